//! FlexFEC: packets of repair that have a source of their own.

use std::sync::LazyLock;
use std::time::Duration;

use proto::{Instant, Writer};
use rtp::{Encoder, Header, PacketMut, Ssrc, fec};

use super::Encoding;
use crate::later::Blank;
use crate::send::SenderConfig;
use crate::send::forward::wire;
use crate::send::history::Stored;
use crate::send::log::{PacketKind, SentLog};
use crate::send::template::{form_of, stamp, stamps};

/// Packets that the next repair is about.
///
/// A receiver waits for repair only as long as its jitter buffer does, so that groups follow frames and time, as those of libwebrtc do
/// (`UlpfecGenerator`: with the end of a frame, once there are enough packets or frames): a frame of at least half a group has repair of
/// its own, and a shorter one shares it with the next ones only while that is in time. What that costs more of small frames is less of
/// large ones: a frame that ends soon after a group is full ends it, where the rest would have waited for the next frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    numbers: Vec<u64>,
    is_due: bool,
    /// When the first of them left.
    since: Instant,
    /// When the frame before ended.
    frame_ended: Option<Instant>,
}

impl Blank for Group {
    fn blank() -> &'static Self {
        static NONE: LazyLock<Group> = LazyLock::new(Group::default);
        &NONE
    }
}

impl Group {
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.is_due = false;
    }

    /// A packet has left. `ends`: with it a frame; `ends_soon`: the frame ends with one of the half group that is next.
    fn extend(
        &mut self,
        now: Instant,
        number: u64,
        most: usize,
        max_delay: Duration,
        (ends, ends_soon): (bool, bool),
    ) {
        if now - self.since >= STALE {
            // What stands for so long is forgotten, and nobody waits for it.
            self.numbers.clear();
        }
        if self.numbers.is_empty() {
            self.since = now;
        }
        let half = most.div_ceil(2);
        let longest = most.saturating_add(half);
        if self.numbers.len() < longest {
            self.numbers.push(number);
        }
        let count = self.numbers.len();
        self.is_due |= count >= longest || (count >= most && !ends_soon);
        if ends {
            let interval = self.frame_ended.map_or(Duration::ZERO, |ended| now - ended);
            self.frame_ended = Some(now);
            let is_late = (now - self.since) + interval >= max_delay;
            self.is_due |= count >= half || (count >= MIN_PACKETS && is_late);
        }
    }
}

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
        let stored = || self.group.numbers.iter().filter_map(|number| self.history.get(*number));
        // What is shared with others went without repair, which was agreed upon since.
        let is_whole = stored().all(|stored| stored.tail().is_empty());
        let longest = stored().map(Stored::len).max().filter(|_| stored().count() >= MIN_PACKETS)?;
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
        let (extensions, form) = (&config.extensions, form_of(config, []));
        if let Some(mid) = config.mid.filter(|_| self.remote.count == 0) {
            extensions.encode(&mut encoder, form, &mid).ok()?;
        }
        for (id, zeros) in stamps(extensions) {
            encoder.element(form, id, zeros).ok()?;
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
        let header = form_of(config, []).header_len();
        let elements = elements.fold(0, |sum, len| len.saturating_add(header).saturating_add(sum));
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

    /// A packet has left, and with it a frame or not.
    pub(super) fn extend_group(&mut self, now: Instant, config: &SenderConfig, number: u64, ends: bool) {
        let Some(fec) = config.flexfec() else { return };
        let most = fec.packets();
        // What comes later than it would come again is of no use, and what comes sooner is.
        let round_trip = self.remote.round_trip.filter(|_| config.nack).unwrap_or_default();
        let is_full = self.group.numbers.len().saturating_add(1) >= most;
        let ends_soon = is_full && !ends && self.history.next_ends_frame(most.div_ceil(2));
        self.group.extend(now, number, most, MAX_DELAY.max(round_trip), (ends, ends_soon));
    }

    /// Whether the group has its repair next.
    pub(super) fn group_is_due(&self, config: &SenderConfig) -> bool {
        config.flexfec().is_some() && self.group.is_due
    }
}

/// How long repair of a frame waits for packets of later ones: for a second frame at 25 a second and more. Where what is lost is asked
/// for again, a round trip if that is longer.
const MAX_DELAY: Duration = Duration::from_millis(45);
/// Repair of one packet would be that packet again.
const MIN_PACKETS: usize = 2;
/// A receiver plays what came so long ago, or has given it up.
const STALE: Duration = Duration::from_secs(1);
/// The header of header extensions, and what fills the last word.
const EXTENSION: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    /// After how many packets the first repair is due, of frames of so many packets, 33 ms apart.
    fn due_after(packets: u64, max_delay: u64) -> u64 {
        let (mut group, mut number) = (Group::default(), 0);
        for frame in 0.. {
            for left in (0..packets).rev() {
                number += 1;
                let ends = (left == 0, left > 0 && left <= 5);
                group.extend(at(frame * 33), number, 10, Duration::from_millis(max_delay), ends);
                if group.is_due {
                    return number;
                }
            }
        }
        number
    }

    #[test]
    fn small_frames_share_repair_for_as_long_as_it_may_take() {
        assert_eq!([0, 45, 67, 100].map(|most| due_after(1, most)), [2, 2, 3, 4]);
        assert_eq!([0, 45, 67].map(|most| due_after(2, most)), [2, 4, 6]);
        assert_eq!(due_after(1, 1000), 5, "half a group needs no more");
        assert_eq!([3, 4, 5, 9].map(|packets| due_after(packets, 45)), [6, 8, 5, 9]);
    }

    #[test]
    fn large_frames_end_a_group_that_is_full_and_no_more_wait_than_the_limit() {
        assert_eq!([10, 11, 14, 15, 16, 40].map(|packets| due_after(packets, 45)), [10, 11, 14, 15, 10, 10]);
        let mut group = Group::default();
        for number in 1..=20 {
            group.extend(at(0), number, 10, MAX_DELAY, (false, true));
            assert_eq!((group.is_due, group.numbers.len() as u64), (number >= 15, number.min(15)));
        }
    }

    #[test]
    fn a_packet_alone_has_no_repair() {
        let mut group = Group::default();
        group.extend(at(0), 1, 10, Duration::ZERO, (true, false));
        group.extend(at(1000), 2, 10, Duration::ZERO, (true, false));
        assert!(!group.is_due, "the one before is gone");
        group.extend(at(1999), 3, 10, Duration::ZERO, (true, false));
        assert!(group.is_due);
        assert_eq!(group.numbers, [2, 3]);
        group.clear();
        group.extend(at(2100), 4, 10, Duration::ZERO, (true, false));
        assert!(!group.is_due);
    }
}
