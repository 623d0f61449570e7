//! What is wanted of a transceiver that sends.

use session::{EncoderLimits, SenderEvent, Stop};

/// What is being played of the tones of [`Transceiver::insert_dtmf`](crate::Transceiver::insert_dtmf).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToneChange {
    /// This one begins, or with a comma a pause.
    Began(char),
    /// All were played.
    Done,
}

/// What is wanted of what a transceiver sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SenderRequest {
    /// The peer cannot go on without a key frame.
    KeyFrame {
        /// Of which stream.
        encoding: usize,
    },
    /// An encoder is to be set to this from now on, in bit/s of packets; 0: its stream is switched off.
    TargetRate {
        /// Which stream.
        encoding: usize,
        /// In bit/s.
        bitrate: u64,
        /// Of video: what else it has to keep to.
        limits: EncoderLimits,
    },
    /// Sending was stopped, as it does harm (RFC 8083): see [`Transceiver::resume`](crate::Transceiver::resume).
    Stopped {
        /// Which stream.
        encoding: usize,
        /// Why.
        reason: Stop,
    },
}

impl SenderRequest {
    pub(crate) const fn of(event: SenderEvent) -> Option<Self> {
        match event {
            SenderEvent::KeyFrameWanted { encoding } => Some(Self::KeyFrame { encoding }),
            SenderEvent::Stopped { encoding, reason } => Some(Self::Stopped { encoding, reason }),
            // The estimate heeds it, and tells target rates.
            SenderEvent::BitrateLimit(_) | _ => None,
        }
    }

    /// Whether a later one of this kind takes its place.
    pub(super) fn is_replaced_by(self, later: Self) -> bool {
        match (self, later) {
            (Self::KeyFrame { encoding }, Self::KeyFrame { encoding: other })
            | (Self::TargetRate { encoding, .. }, Self::TargetRate { encoding: other, .. })
            | (Self::Stopped { encoding, .. }, Self::Stopped { encoding: other, .. }) => encoding == other,
            _ => false,
        }
    }
}
