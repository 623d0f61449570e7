use std::time::Duration;

use proto::{Instant, Writer, sooner};
use rtp::Ssrc;
use rtp::rtcp::Packet as Rtcp;

use super::pacer::{Pacer, PacerConfig};
use super::sections::Sections;
use super::{Event, Rtp, SenderId};
use crate::bandwidth::{
    Allocator, BandwidthConfig, BandwidthEstimator, Claim, Claimant, FeedbackReader, Gcc,
};
use crate::later::{Blank, Later};
use crate::send::{Class, Losses, PacketKind, Sender, is_about};
use crate::tap;

/// How the rate of a transport is controlled.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ControlConfig {
    /// Bounds of the estimate.
    pub bandwidth: BandwidthConfig,
    /// How packets are spread.
    pub pacer: PacerConfig,
    /// Streams, and data channels as one, among which the rate is divided: 64 by default.
    pub max_claims: usize,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { bandwidth: BandwidthConfig::default(), pacer: PacerConfig::default(), max_claims: 64 }
    }
}

/// Estimate, pacer and allocator of a transport.
#[derive(Debug)]
pub(super) struct Control {
    estimator: Box<dyn BandwidthEstimator>,
    /// Who has said last what the path carries.
    limited_by: Option<Ssrc>,
    pacer: Pacer,
    reader: Later<FeedbackReader>,
    allocator: Allocator,
    divided: u64,
    told: u64,
    repeats: Later<Repeats>,
}

/// How much is sent again, in bit/s: it is part of the target, and so of what is left to be divided.
#[derive(Clone, Debug)]
struct Repeats {
    bits: u64,
    since: Instant,
    rate: u64,
}

impl Blank for Repeats {
    fn blank() -> &'static Self {
        static NONE: Repeats = Repeats::NONE;
        &NONE
    }
}

impl Repeats {
    const NONE: Self = Self { bits: 0, since: Instant::from_nanos(0), rate: 0 };

    fn add(&mut self, now: Instant, bytes: usize) {
        if (self.bits, self.rate) == (0, 0) {
            self.since = now;
        }
        self.bits = self.bits.saturating_add((bytes as u64).saturating_mul(8));
    }

    /// Looks at the span that has passed, if it is long enough: the rate follows by half of it.
    fn update(&mut self, now: Instant) {
        let span = now - self.since;
        if span >= REPEATS_SPAN {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = self.bits.saturating_mul(1000).checked_div(millis).unwrap_or(0);
            self.rate = u64::midpoint(self.rate, rate);
            (self.bits, self.since) = (0, now);
        }
    }

    /// What is left of a rate: half of it at least.
    fn leave(&self, target: u64) -> u64 {
        target.saturating_sub(self.rate.min(target / 2))
    }
}

const REPEATS_SPAN: Duration = Duration::from_millis(100);

impl Control {
    pub(super) fn new(config: ControlConfig) -> Self {
        Self {
            estimator: Box::new(Gcc::new(config.bandwidth)),
            limited_by: None,
            pacer: Pacer::new(config.pacer),
            reader: Later::NEW,
            allocator: Allocator::new(config.max_claims),
            divided: 0,
            told: 0,
            repeats: Later::NEW,
        }
    }

    fn divide(&mut self) {
        let left = self.repeats.leave(self.estimator.target());
        if left != self.divided {
            self.divided = left;
            self.allocator.allocate(left);
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.divide();
        let target = self.estimator.target();
        if self.told.abs_diff(target) > self.told / 20 {
            self.told = target;
            return Some(Event::Bandwidth(target));
        }
        let (claimant, bitrate) = self.allocator.poll()?;
        Some(Event::TargetRate { claimant, bitrate })
    }
}

impl Rtp {
    /// Estimates the bandwidth in another way, in place of the one before. Without [`ControlConfig`] it does nothing.
    pub fn set_estimator(&mut self, estimator: Box<dyn BandwidthEstimator>) {
        if let Some(control) = &mut self.control {
            control.estimator = estimator;
            control.estimator.set_wanted(control.allocator.wanted());
        }
    }

    /// At what rate may be sent, in bit/s of RTP packets; `None` if the rate is not controlled.
    pub fn target(&self) -> Option<u64> {
        self.control.as_ref().map(|control| control.estimator.target())
    }

    /// What a claimant has of that rate, in bit/s.
    pub fn target_of(&self, claimant: Claimant) -> Option<u64> {
        self.control.as_ref()?.allocator.given(claimant)
    }

    /// Sets what a stream, or data channels, can use of the bandwidth, or takes it back. Gives whether there was room for it.
    pub fn set_claim(&mut self, claimant: Claimant, claim: Option<Claim>) -> bool {
        let Some(control) = &mut self.control else { return false };
        let is_set = control.allocator.set(claimant, claim);
        control.estimator.set_wanted(control.allocator.wanted());
        control.divided = 0;
        is_set
    }

    /// Up to what rate padding fills what the streams leave, in bit/s; 0 for none.
    pub const fn set_padding(&mut self, rate: u64) {
        if let Some(control) = &mut self.control {
            control.pacer.set_padding(rate);
        }
    }

    /// Takes feedback on the path.
    #[expect(clippy::wildcard_enum_match_arm, reason = "of many packets it is about some")]
    pub(super) fn handle_path_feedback(&mut self, now: Instant, packet: &Rtcp<'_>) {
        let Some(control) = &mut self.control else { return };
        let results = match packet {
            Rtcp::TransportCc(feedback) => control.reader.transport_wide(feedback, &mut self.log),
            Rtcp::CongestionControl(feedback) => control.reader.streams(feedback, &mut self.log),
            Rtcp::Remb(remb) => {
                if is_about(remb, |ssrc| self.senders.iter().any(|(_, sender)| sender.owns(ssrc))) {
                    control.limited_by = Some(remb.sender);
                    control.estimator.set_remote_limit(Some(remb.bitrate));
                }
                return;
            }
            Rtcp::Goodbye(goodbye) => {
                if control.limited_by.is_some_and(|peer| goodbye.sources().any(|source| source == peer)) {
                    control.limited_by = None;
                    control.estimator.set_remote_limit(None);
                }
                return;
            }
            _ => return,
        };
        control.estimator.handle_feedback(now, results);
    }

    /// Takes what reports tell of streams.
    pub(super) fn control_reports(&mut self, now: Instant, losses: Losses) {
        if let Some(control) = &mut self.control
            && losses.expected > 0
        {
            control.estimator.handle_report(now, losses.lost, losses.expected);
        }
    }

    pub(super) fn control_timeout(&mut self, now: Instant) {
        if let Some(control) = &mut self.control {
            control.estimator.handle_timeout(now);
            control.repeats.made().into_iter().for_each(|repeats| repeats.update(now));
        }
    }

    pub(super) fn control_event(&mut self) -> Option<Event> {
        self.control.as_mut()?.poll_event()
    }

    pub(super) fn forget_claims(&mut self, sender: SenderId) {
        if let Some(control) = &mut self.control {
            control.allocator.remove_sender(sender);
            control.estimator.set_wanted(control.allocator.wanted());
            control.divided = 0;
        }
    }

    /// A packet of so many bytes was sent: the one that was logged last, if it has the place `next`. What is sent again as it was has
    /// its place already.
    pub(super) fn control_sent(&mut self, now: Instant, bytes: usize, next: u64) {
        let Some(control) = &mut self.control else { return };
        let logged = self.log.last().filter(|packet| packet.transport == next);
        if let Some(packet) = logged {
            control.estimator.handle_sent(now, packet);
        }
        if logged.is_none_or(|packet| packet.kind == PacketKind::Retransmission) {
            control.repeats.add(now, bytes);
        }
        control.repeats.made().into_iter().for_each(|repeats| repeats.update(now));
        let waiting = self.senders.stirred().map(Sender::waiting_bytes).sum();
        control.pacer.set_most(control.estimator.pacing());
        control.pacer.sent(now, bytes, control.estimator.target(), waiting);
    }

    /// Writes the packet whose turn it is, if it may go.
    pub(super) fn poll_class(&mut self, now: Instant, out: &mut Writer<'_>) -> bool {
        let Some(control) = &mut self.control else {
            return self.poll_senders(now, |_| true, Class::Any, out);
        };
        if control.pacer.probe().is_none()
            && let Some(probe) = control.estimator.poll_probe(now)
        {
            control.pacer.begin_probe(probe);
        }
        self.log.set_probe(control.pacer.probe());
        let (is_open, pads) =
            (control.pacer.is_open(now), control.pacer.pads().is_some_and(|due| due <= now));
        let is_video = Sender::is_video;
        let (mut has_audio, mut is_asked) = (false, false);
        let mut urgencies: Option<(u8, u8)> = None;
        for sender in self.senders.stirred() {
            has_audio |= !sender.is_video();
            if sender.is_video() {
                is_asked |= sender.is_asked();
                let urgency = sender.urgency();
                let (lowest, highest) = urgencies.unwrap_or((urgency, urgency));
                urgencies = Some((lowest.min(urgency), highest.max(urgency)));
            }
        }
        has_audio && self.poll_senders(now, |sender| !is_video(sender), Class::Any, out)
            || is_open
                && (is_asked && self.poll_senders(now, is_video, Class::Again, out)
                    || urgencies.is_some_and(|urgencies| self.poll_video(now, urgencies, out)))
            || pads && is_open && self.poll_senders(now, is_video, Class::Padding, out)
    }

    /// Writes the next packet of a class of those senders.
    fn poll_senders(
        &mut self,
        now: Instant,
        which: impl Fn(&Sender) -> bool,
        class: Class,
        out: &mut Writer<'_>,
    ) -> bool {
        let (start, count) = (out.len(), self.senders.len());
        let turn = if self.turn < count { self.turn } else { 0 };
        // Whoever is at rest has packets to pad with at most.
        let next = |senders: &Sections<Sender>, from, until| match class {
            Class::Padding => (from < until).then_some(from),
            Class::Any | Class::Again | Class::Fresh => senders.next_stirred(from, until),
        };
        for (mut from, until) in [(turn, count), (0, turn)] {
            while let Some(at) = next(&self.senders, from, until) {
                from = at.saturating_add(1);
                let sender = self.senders.peek_mut(at).filter(|sender| which(sender));
                if sender.is_some_and(|sender| sender.poll_packet(now, class, &mut self.log, out)) {
                    self.senders.stir(at);
                    self.turn = from;
                    self.schedule.start(now);
                    if let Some(tap) = &mut self.tap {
                        tap::outgoing(tap.as_mut(), now, start, out);
                    }
                    return true;
                }
            }
        }
        false
    }

    /// Writes the next packet of video: senders of one urgency take turns, and lower ones wait for higher ones.
    fn poll_video(&mut self, now: Instant, (lowest, highest): (u8, u8), out: &mut Writer<'_>) -> bool {
        let mut urgency = highest;
        loop {
            let is_it = |sender: &Sender| sender.is_video() && sender.urgency() == urgency;
            if self.poll_senders(now, is_it, Class::Fresh, out) {
                return true;
            }
            if urgency == lowest {
                return false;
            }
            let lower = self.senders.stirred().filter(|it| it.is_video() && it.urgency() < urgency);
            urgency = lower.map(Sender::urgency).max().unwrap_or(lowest);
        }
    }

    /// When a packet may go, if any waits.
    pub(super) fn packets_due(&mut self) -> Option<Instant> {
        let now = self.last_now;
        let Some(control) = &self.control else {
            return self.senders.stirred().any(Sender::is_waiting).then_some(now);
        };
        let opens = control.pacer.opens().map_or(now, |opens| opens.max(now));
        let pads = control.pacer.pads().map(|due| due.max(now));
        let mut due = control.estimator.poll_timeout();
        for sender in self.senders.stirred().filter(|sender| sender.is_waiting()) {
            due = sooner(due, Some(if sender.is_video() { opens } else { now }));
        }
        // Video alone pads.
        if let Some(pads) = pads
            && self.senders.iter().any(|(_, sender)| sender.is_video() && sender.can_pad())
        {
            due = sooner(due, Some(pads.max(opens)));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use rtp::Packet as RtpPacket;
    use rtp::rtcp::Encoder;

    use super::*;
    use crate::send::SenderConfig;
    use crate::{Codec, OutgoingFrame, RtpConfig};

    #[test]
    fn what_is_sent_again_is_taken_off_up_to_half() {
        let mut repeats = Repeats::NONE;
        assert_eq!(repeats.leave(1_000_000), 1_000_000);
        let mut now = Instant::default();
        let mut run = |repeats: &mut Repeats, bytes: usize| {
            for _ in 0..20 {
                (0..10).for_each(|_| repeats.add(now, bytes / 10));
                now += Duration::from_millis(100);
                repeats.update(now);
                repeats.update(now);
            }
        };
        run(&mut repeats, 2500);
        assert!(repeats.leave(1_000_000).abs_diff(800_000) < 10, "{}", repeats.leave(1_000_000));
        run(&mut repeats, 25_000);
        assert_eq!(repeats.leave(1_000_000), 500_000);
        run(&mut repeats, 0);
        assert!(repeats.leave(1_000_000) > 999_990);
    }

    /// Also what goes again under its own number, which feedback cannot tell from the first time.
    #[test]
    fn what_is_sent_again_without_a_format_of_its_own_counts() {
        let mut config = RtpConfig::new(crate::NtpClock::new(Instant::default(), Duration::ZERO), "name");
        config.control = Some(ControlConfig::default());
        let mut rtp = Rtp::new(config, [1; 32]);
        let id =
            rtp.add_sender(SenderConfig { codec: Codec::Vp8, rtx: None, ..SenderConfig::default() }).unwrap();
        let (mut now, mut memory) = (Instant::default() + Duration::from_secs(1), [0; 1500]);
        let mut first = None;
        // Enough that half of it pays for one.
        for timestamp in 0..4 {
            let frame = OutgoingFrame { bytes: &[0; 1000], timestamp, ..OutgoingFrame::default() };
            rtp.sender(id).unwrap().send_frame(now, 0, &frame).unwrap();
            now += Duration::from_millis(50);
            let mut out = Writer::new(&mut memory);
            assert!(rtp.poll_rtp(now, &mut out));
            first.get_or_insert_with(|| RtpPacket::decode(out.written()).unwrap().header());
        }
        let header = first.unwrap();
        let bits = |rtp: &Rtp| rtp.control.as_ref().unwrap().repeats.bits;
        assert_eq!(bits(&rtp), 0);
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        Encoder::new(&mut out).nack(Ssrc(9), header.ssrc, [header.sequence_number]).unwrap();
        rtp.handle_rtcp(now, out.written()).unwrap();
        let (later, mut memory) = (now + Duration::from_millis(50), [0; 1500]);
        assert!(rtp.poll_rtp(later, &mut Writer::new(&mut memory)));
        assert!(bits(&rtp) > 8000, "{}", bits(&rtp));
    }
}
