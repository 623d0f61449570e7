//! What comes of a transceiver.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use session::{MediaKind, Negotiated, PayloadType, Rid, SharedPacket, StreamId};

use crate::forwarding::begins_key_frame;

/// A frame that came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedFrame {
    /// Which of the streams of the transceiver it belongs to.
    pub stream: StreamId,
    /// Of which codec it is.
    pub payload_type: PayloadType,
    /// When its first sample was taken, in ticks of the codec's clock.
    pub timestamp: u32,
    /// In how long it is to be played or shown.
    pub playout: Duration,
    /// The frame, or that it is missing.
    pub content: FrameContent,
}

impl ReceivedFrame {
    /// The frame as a decoder takes it; none where it is missing.
    pub const fn bytes(&self) -> Option<&Bytes> {
        match &self.content {
            FrameContent::Media { bytes, .. } => Some(bytes),
            FrameContent::Concealed { .. } => None,
        }
    }

    /// Whether a decoder can begin with it.
    pub const fn is_key(&self) -> bool {
        matches!(self.content, FrameContent::Media { is_key: true, .. })
    }
}

/// What a frame holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FrameContent {
    /// It came.
    Media {
        /// As a decoder takes it.
        bytes: Bytes,
        /// Whether a decoder can begin with it.
        is_key: bool,
        /// The marker of its last packet: for audio the begin of a talkspurt.
        is_marked: bool,
        /// Something before it is missing.
        is_after_loss: bool,
    },
    /// It did not come: so many ticks of audio are to be made up.
    Concealed {
        /// In ticks of the codec's clock.
        duration: u32,
    },
}

/// A packet that came, for forwarders.
#[derive(Clone, Debug)]
pub struct RtpPacket {
    /// Which of the streams of its transceiver it belongs to.
    pub stream: StreamId,
    /// The name of that stream, if it has one: in simulcast.
    pub rid: Option<Rid>,
    /// Its number there, which does not wrap.
    pub number: u64,
    pub(crate) kind: MediaKind,
    /// Which numbers before it hold nothing for those to whom it is forwarded: the lowest bit is about the one right before it.
    pub(crate) omitted: u64,
    pub(crate) packet: SharedPacket,
    pub(crate) negotiated: Arc<Negotiated>,
}

impl RtpPacket {
    /// The packet (RFC 3550 §5.1).
    pub fn bytes(&self) -> &[u8] {
        self.packet.bytes()
    }

    /// Which codec it is of, among those that its sender may use.
    pub fn payload_type(&self) -> PayloadType {
        self.packet.header().payload_type
    }

    /// Numbers before it that are left out where it is forwarded.
    pub(crate) fn omitted_before(&self) -> impl Iterator<Item = u64> + use<> {
        let (bits, number) = (self.omitted, self.number);
        let before = (0..u64::from(u64::BITS - bits.leading_zeros())).filter(move |bit| bits >> bit & 1 != 0);
        before.filter_map(move |bit| number.checked_sub(bit.saturating_add(1)))
    }

    /// Whether a decoder can begin with it, and with what follows it: a forwarder changes from one stream to another here.
    /// Every packet of audio is such a one.
    pub fn begins_key_frame(&self) -> bool {
        begins_key_frame(self.kind, &self.negotiated, self.bytes())
    }
}

/// A source of what came lately (`RTCRtpContributingSource`, `RTCRtpSynchronizationSource`).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RtpSource {
    /// Which.
    pub source: session::Ssrc,
    /// How long ago its last packet came.
    pub age: Duration,
    /// The timestamp of that.
    pub rtp_timestamp: u32,
    /// How loud it was then, from 0, silence, to 1; `None` where that is not told.
    pub audio_level: Option<f64>,
    /// Whether the sender takes it for a voice.
    pub is_voice: Option<bool>,
}

impl RtpSource {
    pub(super) fn of(source: &session::Contribution, now: proto::Instant) -> Self {
        Self {
            source: source.source,
            age: now - source.at,
            rtp_timestamp: source.timestamp.0,
            audio_level: source.audio_level(),
            is_voice: source.is_voice,
        }
    }
}
