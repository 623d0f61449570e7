//! Video inside of RED, with packets of ULPFEC between its packets (RFC 2198, RFC 5109 §14).
//!
//! Repair goes in the same stream as what it protects, under numbers of its own there. They are taken when a frame was divided, right
//! behind its last packet, so that numbers have no gap, and none is used twice; never between the packets of a frame, where libwebrtc
//! would take them for a loss. Repair waits among the packets as the header of the one that it will be, and the parity is written
//! when that leaves, over the others as they were sent.

use proto::{Instant, Writer};
use rtp::extension::Form;
use rtp::payload::{Written, red};
use rtp::{EditError, PacketMut, PayloadType, fec};

use super::Encoding;
use crate::send::forward::wire;
use crate::send::history::{History, Stored};
use crate::send::log::{PacketKind, SentLog};
use crate::send::template::{Template, form, stamp};
use crate::send::{OutgoingFrame, SenderConfig};

/// What a packet that is stored as itself goes in when it leaves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Encapsulation {
    /// Nothing.
    #[default]
    None,
    /// RED, if the peer takes that.
    Red,
    /// It is the header of a packet of ULPFEC, which protects so many packets, from the one on whose number is so much lower.
    Ulpfec { protected: u8, distance: u16 },
}

/// The packets that are not protected yet: so many up to the number that follows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpenGroup {
    packets: u16,
    /// Where it is not the next number of the stream, others came between, which are not protected.
    follows: u64,
    layout: Option<Layout>,
}

/// What decides where in a packet the stamps of leaving stand. Receivers that leave stamps out of repair (libwebrtc does, as it
/// writes them after its repair) recover all but those where they stand in one place in all packets.
type Layout = (bool, Form);

impl OpenGroup {
    /// The packets of a frame become the next ones.
    pub(super) fn frame<'e>(
        self,
        config: &'e SenderConfig,
        template: &'e Template,
        frame: &OutgoingFrame<'_>,
    ) -> Result<FrameInRed<'e>, EditError> {
        let layout = Some((template.named, form(config, frame)));
        let overhead = match config.ulpfec() {
            Some(_) => template.header_len(config, &OutgoingFrame::default())?.saturating_add(ULPFEC_HEADERS),
            None => 0,
        };
        Ok(FrameInRed { config, template, layout, overhead, group: self, unrepaired: 0 })
    }
}

/// A frame while it is divided.
#[derive(Debug)]
pub(super) struct FrameInRed<'e> {
    config: &'e SenderConfig,
    template: &'e Template,
    layout: Option<Layout>,
    /// By how much repair is longer than the longest of what it protects.
    overhead: usize,
    pub(super) group: OpenGroup,
    /// Groups without repair, as it would not go into a packet.
    pub(super) unrepaired: u64,
}

impl FrameInRed<'_> {
    /// What packets leave free so that the path carries them inside of RED, and their repair.
    pub(super) fn reserved_bytes(&self) -> usize {
        let SenderConfig { max_packet, max_forwarded, .. } = *self.config;
        let red = self.config.red().map_or(0, |_| red::PRIMARY_HEADER);
        self.overhead.saturating_sub(max_forwarded.saturating_sub(max_packet)).max(red)
    }

    /// How many packets of repair there are at most for so many packets and those before them.
    pub(super) fn repairs(&self, packets: usize) -> usize {
        let Some((fec, _)) = self.config.ulpfec() else { return 0 };
        packets.saturating_add(self.group.packets.into()).div_ceil(fec.packets())
    }

    /// The packet before `next` was written.
    pub(super) fn extend(&mut self, next: u64, history: &mut History) {
        if self.config.red().is_none() {
            return;
        }
        let number = next.saturating_sub(1);
        history.encapsulate(number, Encapsulation::Red);
        if self.group.follows != number || self.group.layout != self.layout {
            self.group = OpenGroup { layout: self.layout, ..OpenGroup::default() };
        }
        self.group.packets = self.group.packets.saturating_add(1);
        self.group.follows = next;
    }

    /// The frame is over: repair takes the next numbers, unless layers of the same picture follow. A frame that is too short for one
    /// of its own leaves its packets to the next; what is longer than a group is divided evenly.
    pub(super) fn end(&mut self, next: &mut u64, history: &mut History) {
        let Some((fec, _)) = self.config.ulpfec() else { return };
        let OpenGroup { packets, follows, .. } = self.group;
        let (most, packets) = (fec.packets(), u64::from(packets));
        let is_whole = history.get(follows.saturating_sub(1)).is_some_and(Stored::ends_frame);
        if usize::from(self.group.packets) < most.div_ceil(2) || !is_whole {
            return;
        }
        self.group = OpenGroup::default();
        let first = follows.saturating_sub(packets);
        let groups = packets.div_ceil(u64::try_from(most).unwrap_or(1));
        let begin = |group: u64| {
            let share = packets.saturating_mul(group).checked_div(groups).unwrap_or(packets);
            first.saturating_add(share)
        };
        for group in 0..groups {
            if !self.queue_repair(begin(group), begin(group.saturating_add(1)), *next, history) {
                self.unrepaired = self.unrepaired.saturating_add(1);
                continue;
            }
            *next = next.saturating_add(1);
        }
    }

    /// Has the repair of these packets wait under the number `next`. Gives whether the path carries it.
    fn queue_repair(&self, first: u64, end: u64, next: u64, history: &mut History) -> bool {
        let protected = u8::try_from(end.saturating_sub(first));
        let distance = u16::try_from(next.saturating_sub(first));
        let (Ok(protected), Ok(distance)) = (protected, distance) else { return false };
        let longest = longest(history, first, protected);
        if longest.saturating_add(self.overhead) > self.config.max_forwarded {
            return false;
        }
        let mut payload = |_: &mut Writer<'_>| Ok(Some(Written { len: 0, marker: false }));
        let frame = OutgoingFrame::default();
        if self.template.write(self.config, &frame, false, next, history, &mut payload) != Ok(true) {
            return false;
        }
        history.encapsulate(next, Encapsulation::Ulpfec { protected, distance });
        true
    }
}

impl Encoding {
    /// Writes the packet of ULPFEC whose turn it is. Where it cannot be had any more, as the path carries less than it did or the peer
    /// takes no RED now, an empty packet takes its number, so that nobody asks for it.
    pub(super) fn write_ulpfec(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        (protected, distance): (u8, u16),
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> bool {
        let Some(number) = self.history.front().map(|stored| stored.number) else { return false };
        let Some(stored) = self.history.get(number) else { return false };
        let (waited, header_len) = (now - stored.added, stored.head.len());
        let first = number.saturating_sub(distance.into());
        let longest = longest(&self.history, first, protected);
        let most = header_len.saturating_add(ULPFEC_HEADERS).saturating_add(longest);
        let format = config.ulpfec().filter(|_| longest > 0 && most <= config.max_forwarded);
        if out.room() < format.map_or(header_len, |_| most) {
            return false;
        }
        let start = out.len();
        if !stored.write(out) {
            return false;
        }
        let packets = || protected_by(&self.history, first, protected);
        let is_repair = format.is_some_and(|(fec, _)| {
            out.put_u8(fec.payload_type.get()).is_ok()
                && fec::protect(fec::Format::Ulp, packets(), out).is_ok()
        });
        let len = if is_repair { out.len().saturating_sub(start) } else { header_len };
        out.truncate(start.saturating_add(len));
        let Ok(mut packet) = PacketMut::decode(out.written_mut(start), len) else {
            out.truncate(start);
            return false;
        };
        packet.set_payload_type(config.red().map_or(config.payload_type, |red| red.payload_type));
        stamp(&mut packet, &config.extensions, now, log.next());
        let payload = packet.as_packet().payload().len();
        log.push(now, self.ssrc, wire(number), len, PacketKind::Repair);
        self.history.sent(now);
        self.count_headers(len, payload);
        self.count_of_source(payload);
        let stats = &mut self.stats;
        stats.waited = stats.waited.saturating_add(waited);
        stats.repairs = stats.repairs.saturating_add(is_repair.into());
        stats.unrepaired = stats.unrepaired.saturating_add((!is_repair).into());
        true
    }
}

/// Puts the packet that `out` holds from `start` on, without padding, into RED.
pub(super) fn encapsulate(
    out: &mut Writer<'_>,
    start: usize,
    payload_type: PayloadType,
) -> Result<(), EditError> {
    let len = out.len().saturating_sub(start);
    out.put_zeros(red::PRIMARY_HEADER)?;
    let mut packet = PacketMut::decode(out.written_mut(start), len).map_err(|_| EditError::NoRoom)?;
    red::encapsulate(&mut packet, payload_type)
}

impl SenderConfig {
    /// As what a packet is sent again: the payload type of its retransmissions, if they have one, and of RED, if it stays inside.
    pub(super) fn again(&self, encapsulation: Encapsulation) -> (Option<PayloadType>, Option<PayloadType>) {
        let red = self.red().filter(|_| encapsulation == Encapsulation::Red);
        let rtx = red.and_then(|red| red.rtx);
        let stays = red.filter(|_| rtx.is_some() || self.rtx.is_none());
        (rtx.or(self.rtx), stays.map(|red| red.payload_type))
    }
}

/// The packets that a packet of ULPFEC protects, as far as they are remembered.
fn protected_by(history: &History, first: u64, protected: u8) -> impl Iterator<Item = &[u8]> + Clone {
    let numbers = first..first.saturating_add(protected.into());
    numbers.filter_map(|number| history.get(number)).map(|stored| stored.head.as_slice())
}

fn longest(history: &History, first: u64, protected: u8) -> usize {
    protected_by(history, first, protected).map(<[u8]>::len).max().unwrap_or(0)
}

/// How long the headers of RED and ULPFEC are together at most (RFC 5109 §7.3, §7.4), less the twelve bytes that every packet begins
/// with, which they stand for.
const ULPFEC_HEADERS: usize = 7;
