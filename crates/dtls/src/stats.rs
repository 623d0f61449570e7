use crate::Discard;
use crate::wire::AlertDescription;

/// Counters of one connection. Every datagram's worth of bytes ends in one of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Records taken, of any kind.
    pub records_received: u64,
    /// Application data records sent.
    pub records_sent: u64,
    /// Handshake and alert datagrams sent.
    pub handshake_datagrams_sent: u64,
    /// Times that a flight was sent again.
    pub retransmissions: u64,
    /// Records and fragments ignored, for whatever reason.
    pub discarded: u64,
    /// Of these: with a wrong tag.
    pub forged: u64,
    /// Of these: that came before.
    pub replayed: u64,
    /// Of these: of an epoch that is over, or not there yet.
    pub wrong_epoch: u64,
    /// Of these: that do not decode.
    pub malformed: u64,
    /// Of these: application data before the connection.
    pub early: u64,
    /// Of these: alerts that anyone could have sent.
    pub unauthenticated_alerts: u64,
    /// The latest of these alerts: a hint at why a handshake does not go on, and no more than a hint.
    pub last_unauthenticated_alert: Option<AlertDescription>,
}

impl Stats {
    pub(crate) const fn count(&mut self, discard: Discard) {
        self.discarded = self.discarded.wrapping_add(1);
        let counter = match discard {
            Discard::Forged => &mut self.forged,
            Discard::Replayed => &mut self.replayed,
            Discard::OldEpoch | Discard::FutureEpoch => &mut self.wrong_epoch,
            Discard::Malformed(_) | Discard::Version | Discard::TooLong | Discard::TooShort => {
                &mut self.malformed
            }
            Discard::NotConnected => &mut self.early,
            Discard::UnauthenticatedAlert => &mut self.unauthenticated_alerts,
            Discard::Repeated
            | Discard::Unexpected
            | Discard::TooFarAhead
            | Discard::EmptyFragment
            | Discard::Contradiction
            | Discard::NoRoom
            | Discard::Signature
            | Discard::IllegalParameter
            | Discard::Renegotiation
            | Discard::Closed
            | Discard::UnknownPeer
            | Discard::TooManyConnections => return,
        };
        *counter = counter.wrapping_add(1);
    }
}
