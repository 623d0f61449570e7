//! Video inside of RED, with packets of ULPFEC between its packets (RFC 2198, RFC 5109 §14.1).
//!
//! Repair goes in the same stream as what it protects, under a number of its own there. That is taken when frames are divided, right
//! behind the packets that are protected: so numbers have no gap, and none is used twice. It waits among the packets as the header of
//! the one that it will be, and the parity is written when that leaves, over the others as they were sent.

use proto::{Instant, Writer};
use rtp::extension::Form;
use rtp::payload::{Written, red};
use rtp::{EditError, PacketMut, PayloadType, fec};

use super::Encoding;
use crate::send::forward::wire;
use crate::send::history::History;
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
    /// It is the header of a packet of ULPFEC, which protects so many packets before it.
    Ulpfec { protected: u8 },
}

/// The packets that the next packet of ULPFEC protects: so many up to the number that follows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpenGroup {
    protected: u8,
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
    pub(super) fn reserve(&self) -> usize {
        let SenderConfig { max_packet, max_forwarded, .. } = *self.config;
        let red = self.config.red().map_or(0, |_| red::PRIMARY_HEADER);
        self.overhead.saturating_sub(max_forwarded.saturating_sub(max_packet)).max(red)
    }

    /// How many packets of repair there are at most among so many of the frame, and those before it.
    pub(super) fn repairs(&self, packets: usize) -> usize {
        let group = self.config.ulpfec().map(|(fec, _)| fec.packets());
        group.and_then(|group| packets.checked_div(group)).map_or(0, |repairs| repairs.saturating_add(2))
    }

    /// The packet before `next` was written.
    pub(super) fn extend(&mut self, next: &mut u64, history: &mut History) {
        if self.config.red().is_none() {
            return;
        }
        let number = next.saturating_sub(1);
        history.encapsulate(number, Encapsulation::Red);
        let Some((fec, _)) = self.config.ulpfec() else { return };
        if self.group.follows != number || self.group.layout != self.layout {
            self.group = OpenGroup { layout: self.layout, ..OpenGroup::default() };
        }
        self.group.protected = self.group.protected.saturating_add(1);
        self.group.follows = *next;
        if usize::from(self.group.protected) >= fec.packets() {
            self.close(next, history);
        }
    }

    /// The frame is over. One that is too short for a repair of its own leaves its packets to the next.
    pub(super) fn end(&mut self, next: &mut u64, history: &mut History) {
        let Some((fec, _)) = self.config.ulpfec() else { return };
        if usize::from(self.group.protected) >= fec.packets().div_ceil(2) {
            self.close(next, history);
        }
    }

    /// Takes the next number for the repair of the group, if the path carries that.
    fn close(&mut self, next: &mut u64, history: &mut History) {
        let protected = std::mem::take(&mut self.group).protected;
        let longest = longest(history, *next, protected);
        let fits = longest.saturating_add(self.overhead) <= self.config.max_forwarded;
        let (header, frame) = (self.template, OutgoingFrame::default());
        let mut payload = |_: &mut Writer<'_>| Ok(Some(Written { len: 0, marker: false }));
        if !fits || header.write(self.config, &frame, false, *next, history, &mut payload) != Ok(true) {
            self.unrepaired = self.unrepaired.saturating_add(1);
            return;
        }
        history.encapsulate(*next, Encapsulation::Ulpfec { protected });
        *next = next.saturating_add(1);
    }
}

impl Encoding {
    /// Writes the packet of ULPFEC whose turn it is. Where it cannot be had any more, as the path carries less than it did or the peer
    /// takes no RED now, an empty packet takes its number, so that nobody asks for it.
    pub(super) fn write_ulpfec(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        protected: u8,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> bool {
        let Some(number) = self.history.front().map(|stored| stored.number) else { return false };
        let Some(stored) = self.history.get(number) else { return false };
        let (waited, header_len) = (now - stored.added, stored.bytes.len());
        let longest = longest(&self.history, number, protected);
        let most = header_len.saturating_add(ULPFEC_HEADERS).saturating_add(longest);
        let format = config.ulpfec().filter(|_| longest > 0 && most <= config.max_forwarded);
        if out.room() < format.map_or(header_len, |_| most) {
            return false;
        }
        let start = out.len();
        if out.put(&stored.bytes).is_err() {
            return false;
        }
        let packets = || protected_by(&self.history, number, protected);
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
fn protected_by(history: &History, number: u64, protected: u8) -> impl Iterator<Item = &[u8]> + Clone {
    let numbers = number.saturating_sub(protected.into())..number;
    numbers.filter_map(|number| history.get(number)).map(|stored| stored.bytes.as_slice())
}

fn longest(history: &History, number: u64, protected: u8) -> usize {
    protected_by(history, number, protected).map(<[u8]>::len).max().unwrap_or(0)
}

/// How long the headers of RED and ULPFEC are together at most (RFC 5109 §7.3, §7.4), less the twelve bytes that every packet begins
/// with, which they stand for.
const ULPFEC_HEADERS: usize = 7;
