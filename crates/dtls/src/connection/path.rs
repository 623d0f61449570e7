//! What a connection is told of the path under it.

use std::time::Duration;

use proto::Instant;

use super::{Connection, MIN_DATAGRAM};

impl Connection {
    /// Says that the path is proved to carry datagrams with this round trip, so that lost ones are sent
    /// again sooner and the handshake is given up earlier.
    pub fn set_round_trip(&mut self, rtt: Duration) {
        self.timing.set_round_trip(rtt, &self.config);
    }

    /// Says that the path, which had carried nothing for a while, does so again, or that another one has taken its place. A handshake
    /// goes on at once and has its whole time anew, up to 16 times; who has given up, or is connected, does nothing.
    pub fn path_revived(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.handshake.is_some() && self.closed.is_none() {
            self.timing.begin_anew(self.now);
        }
    }

    /// Sets the size of the largest datagram that [`poll_packet`](Self::poll_packet) writes, in bytes of
    /// UDP payload; at least 100. A flight that was cut to another size is cut anew when it is sent again.
    pub fn set_max_datagram(&mut self, bytes: usize) {
        self.max_datagram = bytes.max(MIN_DATAGRAM);
    }

    /// Whether the handshake had to do with small datagrams: larger ones may not get through, or much is lost.
    pub const fn has_backed_off(&self) -> bool {
        self.is_small
    }

    /// The largest datagram of the flight.
    pub(super) fn flight_datagram(&self) -> usize {
        if self.is_small {
            self.max_datagram.min(self.config.small_datagram.max(MIN_DATAGRAM))
        } else {
            self.max_datagram
        }
    }
}
