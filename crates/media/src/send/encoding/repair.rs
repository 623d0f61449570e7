//! FlexFEC: packets of repair that have a source of their own.

use proto::{Instant, Writer};
use rtp::extension::Form;
use rtp::{Encoder, Header, PacketMut, Ssrc, fec};

use super::Encoding;
use crate::send::forward::wire;
use crate::send::history::Stored;
use crate::send::log::{PacketKind, SentLog};
use crate::send::template::{stamp, stamps};
use crate::send::{FecConfig, SenderConfig};

impl Encoding {
    /// A packet of repair over the group; `None` if there is none to be had.
    pub(super) fn write_repair(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        log: &mut SentLog,
        out: &mut Writer<'_>,
    ) -> Option<bool> {
        let fec = config.flexfec()?;
        let stored = || self.group.iter().filter_map(|number| self.history.get(*number));
        // What is shared with others went without repair, which was agreed upon since.
        let is_whole = stored().all(|stored| stored.tail().is_empty());
        let longest = stored().map(Stored::len).max()?;
        let most = longest.saturating_add(self.repair_overhead(config));
        if most > config.max_forwarded || !is_whole {
            // What it protects is of others, or was divided for a path that carried more.
            self.stats.unrepaired = self.stats.unrepaired.saturating_add(1);
            return None;
        }
        if out.room() < most {
            return Some(false);
        }
        let header = Header {
            marker: false,
            payload_type: fec.payload_type,
            sequence_number: wire(self.next_fec),
            timestamp: self.time?.0,
            ssrc: self.fec_ssrc,
        };
        let protected = [self.ssrc];
        // RFC 8627 §4.2.1: the contributing source is the stream that is protected.
        let csrcs: &[Ssrc] = if fec.format == fec::Format::Flex { &protected } else { &[] };
        let start = out.len();
        let mut encoder = Encoder::new(out, header, csrcs).ok()?;
        let extensions = &config.extensions;
        if let Some(mid) = config.mid.filter(|_| self.remote.count == 0) {
            extensions.encode(&mut encoder, Form::OneByte, &mid).ok()?;
        }
        for (id, zeros) in stamps(extensions) {
            encoder.element(Form::OneByte, id, zeros).ok()?;
        }
        let packets = stored().map(|stored| stored.head.as_slice());
        let written = encoder.finish_with(0, |out| fec::protect(fec.format, packets, out).map(drop)).ok()?;
        let mut payload = 0;
        if let Ok(mut packet) = PacketMut::decode(out.written_mut(start), written) {
            stamp(&mut packet, extensions, now, log.next());
            payload = packet.as_packet().payload().len();
        }
        self.next_fec = self.next_fec.saturating_add(1);
        log.push(now, self.fec_ssrc, header.sequence_number, written, PacketKind::Repair);
        self.stats.packets = self.stats.packets.saturating_add(1);
        self.stats.repairs = self.stats.repairs.saturating_add(1);
        self.count_headers(written, payload);
        self.stats.bytes = self.stats.bytes.saturating_add(u64::try_from(payload).unwrap_or(0));
        Some(true)
    }

    /// By how much a packet of repair is longer at most than the longest that it protects.
    pub(super) fn repair_overhead(&self, config: &SenderConfig) -> usize {
        let Some(fec) = config.flexfec() else { return 0 };
        let mid = config.mid.filter(|_| self.is_named()).map(|mid| mid.as_bytes().len());
        let elements = stamps(&config.extensions).map(|(_, zeros)| zeros.len()).chain(mid);
        let elements = elements.fold(0, |sum, len| len.saturating_add(1).saturating_add(sum));
        let extensions = if elements == 0 { 0 } else { elements.saturating_add(EXTENSION) };
        let header = match fec.format {
            fec::Format::Ulp => 0,
            fec::Format::Flex03 => 32,
            // With the one contributing source.
            fec::Format::Flex => 28,
        };
        extensions.saturating_add(header)
    }

    /// What packets leave free so that the path carries their repair.
    pub(super) fn repair_reserve(&self, config: &SenderConfig) -> usize {
        let spare = config.max_forwarded.saturating_sub(config.max_packet);
        self.repair_overhead(config).saturating_sub(spare)
    }

    pub(super) fn extend_group(&mut self, config: &SenderConfig, number: u64, end: bool) {
        let Some(fec) = config.flexfec() else { return };
        let most = fec.packets();
        if self.group.len() < most {
            self.group.push(number);
        }
        // A frame that is too short for a repair of its own leaves its packets to the next.
        self.group_ends = end && self.group.len() >= most.div_ceil(2);
    }

    pub(super) fn group_is_full(&self, config: &SenderConfig) -> bool {
        let full = |fec: FecConfig| self.group.len() >= fec.packets();
        config.flexfec().is_some_and(|fec| full(fec) || self.group_ends)
    }
}

/// The header of header extensions, and what fills the last word.
const EXTENSION: usize = 7;
