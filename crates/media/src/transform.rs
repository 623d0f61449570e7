use std::fmt;

use rtp::{PayloadType, RtpTimestamp};

use crate::Codec;

/// Sees each encoded frame whole, and may put other bytes in its place: for encryption from end to end, or for what a program adds
/// to frames. See [`Sender::set_transform`](crate::Sender::set_transform) and
/// [`Receiver::set_transform`](crate::Receiver::set_transform).
///
/// What a sender's transform makes must still be divided into packets as frames of the codec are, and put together again: a receiver
/// looks at the first byte of Opus, at the first ten of a key frame of VP8 and at the first three of another, at the payload
/// descriptor's subject in VP9, and at the headers of NAL units and OBUs. Those have to stay as they are, which
/// [`Codec::OtherAudio`] and [`Codec::OtherVideo`], whose frames are payloads, do not ask for.
pub trait EncodedTransform: fmt::Debug + Send {
    /// A frame that is to be sent and was not yet divided, or one that came and is whole. `false` leaves it out: a sender says so
    /// with [`SendError::Refused`](crate::SendError::Refused), a receiver counts it in
    /// [`TrackStats::refused`](crate::TrackStats::refused) and treats it as lost.
    fn transform(&mut self, frame: &EncodedFrame, bytes: &mut Vec<u8>) -> bool;
}

/// What is known of a frame beside its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EncodedFrame {
    /// Whose it is: of a sender the number of its encoding, of a receiver that of its stream.
    pub stream: u32,
    /// What it is.
    pub payload_type: PayloadType,
    /// What it is.
    pub codec: Codec,
    /// When its first sample was taken: of a sender as it was given, of a receiver as it stands in packets, which begins elsewhere.
    pub timestamp: RtpTimestamp,
}

/// A sender's transform, and the memory that its frames are copied to.
#[derive(Debug)]
pub(crate) struct Outgoing {
    transform: Box<dyn EncodedTransform>,
    bytes: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn new(transform: Box<dyn EncodedTransform>) -> Self {
        Self { transform, bytes: Vec::new() }
    }

    /// What is sent in place of `bytes`, if anything is.
    pub(crate) fn apply(&mut self, frame: &EncodedFrame, bytes: &[u8]) -> Option<&[u8]> {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.transform.transform(frame, &mut self.bytes).then_some(&*self.bytes)
    }
}
