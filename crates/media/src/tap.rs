use std::fmt;

use proto::{Instant, Writer};
use rtp::PacketMut;
use rtp::rtcp::{Compound, Encoder};

/// Sees the packets of a transport on their way, and may alter them: for header extensions, feedback and payloads that this crate
/// does not know. See [`Rtp::set_tap`](crate::Rtp::set_tap).
///
/// Every method has a body that does nothing, so that a tap has those alone that it is for. They are called in the order in which
/// packets pass, never during one another.
pub trait Tap: fmt::Debug + Send {
    /// A packet of RTP came, and its section is not known yet. `false` drops it.
    fn rtp_in(&mut self, _now: Instant, _packet: &mut PacketMut<'_>) -> bool {
        true
    }

    /// A datagram of RTCP came. `false` drops it.
    fn rtcp_in(&mut self, _now: Instant, _compound: &Compound<'_>) -> bool {
        true
    }

    /// A packet of RTP leaves; it may grow by [`TAP_ROOM`], which [`SenderConfig::max_packet`](crate::SenderConfig::max_packet) must
    /// leave free on the path. What is kept for retransmission is as it was before.
    fn rtp_out(&mut self, _now: Instant, _packet: &mut PacketMut<'_>) {}

    /// A datagram of RTCP leaves, to which packets may be added.
    fn rtcp_out(&mut self, _now: Instant, _datagram: &mut Encoder<'_, '_>) {}
}

/// By how many bytes a tap may let a packet grow that leaves.
pub const TAP_ROOM: usize = 64;

/// Lets a tap see the packet of RTP that was written from `start` on.
pub(crate) fn outgoing(tap: &mut dyn Tap, now: Instant, start: usize, out: &mut Writer<'_>) {
    let len = out.len().saturating_sub(start);
    // What there is room for.
    let spare = out.room().min(TAP_ROOM);
    if out.put_zeros(spare).is_err() {
        return;
    }
    let mut after = len;
    if let Ok(mut packet) = PacketMut::decode(out.written_mut(start), len) {
        tap.rtp_out(now, &mut packet);
        after = packet.len();
    }
    out.truncate(start.saturating_add(after));
}
