use crate::{ProtectError, UnprotectError};

/// Counters of a receiver. Every packet ends in one of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InboundStats {
    /// RTP packets that were authenticated.
    pub rtp_packets: u64,
    /// RTCP packets that were authenticated.
    pub rtcp_packets: u64,
    /// Packets that do not decode.
    pub malformed: u64,
    /// Packets with a wrong tag.
    pub forged: u64,
    /// Packets that came before, or are too old to tell.
    pub replayed: u64,
    /// Packets that are less or otherwise encrypted than was agreed.
    pub against_policy: u64,
    /// Packets of streams beyond [`Config::max_streams`](crate::Config::max_streams) and those that have made room.
    pub beyond_streams: u64,
    /// Packets that came after the end of the keys.
    pub after_expiry: u64,
}

impl InboundStats {
    pub(crate) const fn count(&mut self, error: UnprotectError) {
        let counter = match error {
            UnprotectError::Malformed => &mut self.malformed,
            UnprotectError::Forged => &mut self.forged,
            UnprotectError::Replayed | UnprotectError::TooOld => &mut self.replayed,
            UnprotectError::Unencrypted | UnprotectError::UnexpectedCryptex => &mut self.against_policy,
            UnprotectError::TooManyStreams => &mut self.beyond_streams,
            UnprotectError::KeyExpired => &mut self.after_expiry,
        };
        *counter = counter.wrapping_add(1);
    }
}

/// Counters of a sender.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutboundStats {
    /// RTP packets that were protected for the first time.
    pub rtp_packets: u64,
    /// RTP packets that were protected again, byte by byte the same.
    pub rtp_repeated: u64,
    /// RTCP packets that were protected.
    pub rtcp_packets: u64,
    /// Packets that were refused.
    pub refused: u64,
    /// Of these: because another packet had their index.
    pub reused: u64,
}

impl OutboundStats {
    pub(crate) const fn count(&mut self, error: ProtectError) {
        self.refused = self.refused.wrapping_add(1);
        if matches!(error, ProtectError::Reused) {
            self.reused = self.reused.wrapping_add(1);
        }
    }
}
