mod collision;
mod config;
mod control;
mod pacer;
mod report;
mod sections;
mod stats;

pub use config::{RtpConfig, TransportFeedback};
pub use control::ControlConfig;
pub use pacer::PacerConfig;
pub use stats::RtpStats;

use std::time::Duration;

use crypto::Rng;
use proto::{Ecn, Instant, Writer, sooner};
use rtp::extension::{AbsSendTime, ExtensionMap, TransportSequence, TransportSequence2};
use rtp::rtcp::{Compound, Encoder, Packet as Rtcp};
use rtp::{DecodeError, Mid, Packet, PacketMut, Ssrc};

use self::control::Control;
use self::sections::Sections;
use crate::Discard;
use crate::bandwidth::{Claimant, ReceivedRate};
use crate::later::{Blank, Later};
use crate::receive::{
    Arrivals, Received, Receiver, ReceiverConfig, ReceiverEvent, STREAM_FEEDBACK_INTERVAL,
    StreamArrivalLimits, StreamArrivals, transport_feedback_interval,
};
use crate::schedule::Schedule;
use crate::send::{Losses, SendError, Sender, SenderConfig, SenderEvent, SentLog};
use crate::tap::Tap;

/// A receiver of a transport.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReceiverId(pub usize);

/// A sender of a transport.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SenderId(pub usize);

/// News of a transport's media.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Of a receiver.
    Receiver(ReceiverId, ReceiverEvent),
    /// Of a sender.
    Sender(SenderId, SenderEvent),
    /// A peer used one of our sources, which was given up for another (RFC 3550 §8.2): descriptions that name it are no longer true.
    Collision(Ssrc),
    /// What the path is thought to carry has changed by more than a twentieth, in bit/s.
    Bandwidth(u64),
    /// A claimant may use so much from now on: its encoder is to be set to that. 0: it is switched off.
    TargetRate {
        /// Whose it is.
        claimant: Claimant,
        /// In bit/s of packets.
        bitrate: u64,
    },
}

/// An RTP session (RFC 3550 §3): the media sections that share a transport, bundled or alone.
///
/// It finds the section of what comes in, takes turns among those that send, and speaks RTCP for all of them.
///
/// ```text
///   handle_rtp ──▶ section by MID, source, payload type ──▶ Receiver ──▶ frames, packets
///   handle_rtcp ─▶ all receivers and senders
///   poll_rtp ◀──── senders in turn          poll_rtcp ◀──── reports, names, feedback, when it is time
/// ```
#[derive(Debug)]
pub struct Rtp {
    config: RtpConfig,
    rng: Rng,
    /// Who reports while nothing is sent.
    own: Ssrc,
    senders: Sections<Sender>,
    receivers: Sections<Receiver>,
    /// Where the last packet's section was.
    cached: usize,
    turn: usize,
    log: SentLog,
    control: Option<Control>,
    /// What has come that feedback is to be given on, by either kind of it.
    arrivals: Option<Box<Arrivals>>,
    stream_arrivals: Option<Box<StreamArrivals>>,
    /// What peers are told that cannot find it out themselves.
    received_rate: Option<Box<ReceivedRate>>,
    feedback_due: Option<Instant>,
    received_bytes: u64,
    rate: (Instant, u64, u64),
    schedule: Schedule,
    asides: Later<Asides>,
    tap: Option<Box<dyn Tap>>,
    stats: RtpStats,
    /// When those were looked at last that have nothing to do.
    swept: Instant,
    last_now: Instant,
}

/// What is said rarely.
#[derive(Clone, Debug, Default)]
struct Asides {
    /// Peers' reference times, and when they came.
    references: Vec<(Ssrc, u32, Instant)>,
    /// Sources that leave.
    goodbyes: Vec<Ssrc>,
    /// Those that were given up, of which nobody was told.
    collisions: Vec<Ssrc>,
    /// Those that took their places.
    chosen: Vec<Ssrc>,
    turns: report::Turns,
}

impl Blank for Asides {
    fn blank() -> &'static Self {
        const {
            &Self {
                references: Vec::new(),
                goodbyes: Vec::new(),
                collisions: Vec::new(),
                chosen: Vec::new(),
                turns: report::Turns::FIRST,
            }
        }
    }
}

impl Rtp {
    /// A session without sections.
    pub fn new(config: RtpConfig, seed: [u8; 32]) -> Self {
        let mut config = config;
        // RFC 3550 §6.5: the text of an item.
        while config.cname.len() > MAX_CNAME {
            config.cname.pop();
        }
        let mut rng = Rng::new(seed);
        let schedule = Schedule::new(Rng::new(rng.array()), config.bandwidth, config.report_interval);
        let [first, second, ..] = rng.u32().to_be_bytes();
        Self {
            own: Ssrc(rng.u32()),
            senders: Sections::default(),
            receivers: Sections::default(),
            cached: 0,
            turn: 0,
            log: SentLog::new(config.max_sent, u16::from_be_bytes([first, second])),
            control: config.control.map(Control::new),
            arrivals: None,
            stream_arrivals: None,
            received_rate: None,
            feedback_due: None,
            received_bytes: 0,
            rate: (Instant::default(), 0, 0),
            schedule,
            asides: Later::NEW,
            tap: None,
            stats: RtpStats::default(),
            swept: Instant::default(),
            last_now: Instant::default(),
            config,
            rng,
        }
    }

    /// Adds a section that is received. `None` if there are as many as the limit.
    pub fn add_receiver(&mut self, config: ReceiverConfig) -> Option<ReceiverId> {
        let mut receiver = Receiver::new(config);
        if let Some(round_trip) = self.stats.round_trip {
            receiver.set_round_trip(round_trip);
        }
        self.receivers.insert(receiver, self.config.max_sections).map(ReceiverId)
    }

    /// Adds a section that is sent. `None` if there are as many as the limit.
    pub fn add_sender(&mut self, config: SenderConfig) -> Option<SenderId> {
        self.senders.insert(Sender::new(config, self.rng.array()), self.config.max_sections).map(SenderId)
    }

    /// A receiver.
    pub fn receiver(&mut self, id: ReceiverId) -> Option<&mut Receiver> {
        self.receivers.get_mut(id.0)
    }

    /// A sender.
    pub fn sender(&mut self, id: SenderId) -> Option<&mut Sender> {
        self.senders.get_mut(id.0)
    }

    /// A receiver, to be looked at.
    pub fn peek_receiver(&self, id: ReceiverId) -> Option<&Receiver> {
        self.receivers.get(id.0)
    }

    /// A sender, to be looked at.
    pub fn peek_sender(&self, id: SenderId) -> Option<&Sender> {
        self.senders.get(id.0)
    }

    /// How a section is received.
    pub fn receiver_config(&self, id: ReceiverId) -> Option<&ReceiverConfig> {
        self.receivers.get(id.0).map(Receiver::config)
    }

    /// Two receivers of one sender are played together (lip-sync): call it about once a second.
    pub fn synchronize(&mut self, one: ReceiverId, other: ReceiverId) {
        let Some(mut first) = self.receivers.take(one.0) else { return };
        if let Some(second) = self.receiver(other) {
            first.synchronize(second);
        }
        self.receivers.put_back(one.0, first);
    }

    /// Removes a receiver.
    pub fn remove_receiver(&mut self, id: ReceiverId) {
        self.receivers.take(id.0);
    }

    /// Removes a sender; its sources say goodbye.
    pub fn remove_sender(&mut self, id: SenderId) {
        let Some(sender) = self.senders.take(id.0) else { return };
        self.forget_claims(id);
        let sources = sender.sources().map(|(_, ssrc, ..)| ssrc);
        let room = MAX_GOODBYES.saturating_sub(self.asides.goodbyes.len());
        self.asides.goodbyes.extend(sources.take(room));
    }

    /// Lets `tap` see what passes, in place of the one before.
    pub fn set_tap(&mut self, tap: Option<Box<dyn Tap>>) {
        self.tap = tap;
    }

    /// What the path is thought to carry, in bit/s.
    pub const fn set_bandwidth(&mut self, bandwidth: u64) {
        self.config.bandwidth = bandwidth;
        self.schedule.set_bandwidth(bandwidth);
    }

    /// What was negotiated anew: feedback of reduced size, and feedback on arrival. What was to be told in another way than
    /// before is told no more.
    pub fn set_feedback(&mut self, reduced_size: bool, feedback: TransportFeedback) {
        self.config.reduced_size = reduced_size;
        if self.config.feedback == feedback {
            return;
        }
        self.config.feedback = feedback;
        (self.arrivals, self.stream_arrivals) = (None, None);
        (self.received_rate, self.feedback_due) = (None, None);
    }

    /// Takes a packet of RTP that was authenticated, with the mark it came with. Gives whose it was, and what became of it.
    ///
    /// # Errors
    ///
    /// Why it is of no use. Its arrival counts for feedback on the path nevertheless, if it belongs to a section.
    pub fn handle_rtp<'p>(
        &mut self,
        now: Instant,
        ecn: Option<Ecn>,
        packet: PacketMut<'p>,
    ) -> Result<(ReceiverId, Received<'p>), Discard> {
        let now = self.advance(now);
        let received = self.receive(now, ecn, None, packet);
        self.count(&received);
        received
    }

    /// The same for whoever has found the section itself, by descriptions that this does not know.
    ///
    /// # Errors
    ///
    /// As of [`handle_rtp`](Self::handle_rtp).
    pub fn handle_rtp_of<'p>(
        &mut self,
        now: Instant,
        ecn: Option<Ecn>,
        receiver: ReceiverId,
        packet: PacketMut<'p>,
    ) -> Result<Received<'p>, Discard> {
        let now = self.advance(now);
        let received = self.receive(now, ecn, Some(receiver.0), packet);
        self.count(&received);
        received.map(|(_, received)| received)
    }

    fn count<T>(&mut self, received: &Result<T, Discard>) {
        match received {
            Ok(_) => self.stats.packets = self.stats.packets.saturating_add(1),
            Err(_) => self.stats.discarded = self.stats.discarded.saturating_add(1),
        }
    }

    fn receive<'p>(
        &mut self,
        now: Instant,
        ecn: Option<Ecn>,
        section: Option<usize>,
        mut packet: PacketMut<'p>,
    ) -> Result<(ReceiverId, Received<'p>), Discard> {
        if let Some(tap) = &mut self.tap
            && !tap.rtp_in(now, &mut packet)
        {
            return Err(Discard::Tap);
        }
        let view = packet.as_packet();
        let ssrc = view.header().ssrc;
        if self.senders.iter().any(|(_, sender)| sender.owns(ssrc)) {
            self.resolve_collision(ssrc);
            return Err(Discard::Collision);
        }
        if ssrc == self.own {
            self.own = Ssrc(self.rng.u32());
        }
        let at = section.or_else(|| self.section(&view)).ok_or(Discard::UnknownSection)?;
        self.note_arrival(now, ecn, at, &view);
        let receiver = self.receivers.get_mut(at).ok_or(Discard::UnknownSection)?;
        self.schedule.start(now);
        let received = receiver.handle_rtp(now, packet);
        if let Some(mark) = ecn.filter(|_| received.is_ok()) {
            receiver.count_mark(ssrc, mark);
        }
        Ok((ReceiverId(at), received?))
    }

    /// Takes a datagram of RTCP that was authenticated. A packet in it that cannot be read spoils no other.
    ///
    /// # Errors
    ///
    /// It is no datagram of RTCP.
    pub fn handle_rtcp(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DecodeError> {
        let now = self.advance(now);
        let compound = Compound::decode(datagram)?;
        if let Some(tap) = &mut self.tap
            && !tap.rtcp_in(now, &compound)
        {
            return Ok(());
        }
        self.stats.rtcp = self.stats.rtcp.saturating_add(1);
        let mut reports = 0_usize;
        let (ntp, interval) = (self.config.clock.ntp(now), self.schedule.interval());
        let mut losses = Losses::default();
        for packet in compound.packets() {
            let Ok(packet) = packet else {
                self.stats.malformed = self.stats.malformed.saturating_add(1);
                continue;
            };
            let reports_here = matches!(packet, Rtcp::SenderReport(_) | Rtcp::ReceiverReport(_));
            reports = reports.saturating_add(reports_here.into());
            if let Rtcp::ExtendedReport(report) = &packet {
                self.handle_extended(now, ntp, report);
                continue;
            }
            if matches!(packet, Rtcp::CongestionControl(_)) {
                self.stats.ccfb_received = self.stats.ccfb_received.saturating_add(1);
            }
            self.handle_path_feedback(now, &packet);
            // That is about no section, and comes more often than all else. Nothing is due any sooner by it.
            if matches!(packet, Rtcp::TransportCc(_) | Rtcp::CongestionControl(_)) {
                self.senders.each_at_rest(|sender| sender.handle_path_feedback(now));
                continue;
            }
            for receiver in self.receivers.iter_mut() {
                receiver.handle_rtcp(now, &packet);
            }
            for sender in self.senders.iter_mut() {
                losses.add(sender.handle_rtcp(now, ntp, interval, &packet));
            }
        }
        self.control_reports(now, losses);
        self.schedule.count(datagram.len(), reports);
        let round_trip = self.senders.iter().filter_map(|(_, sender)| sender.round_trip()).min();
        if let Some(round_trip) = round_trip.filter(|round_trip| self.stats.round_trip != Some(*round_trip)) {
            self.set_round_trip(round_trip);
        }
        Ok(())
    }

    /// Sends a packet of somebody else at once: it is changed where it stands, with room behind it for header extensions that it
    /// lacks, and then it is the caller's to protect and send. `source` tells streams apart that take turns, as the layers of
    /// simulcast do, and has the packet's number in its stream, as a receiver gives it; `theirs` is what identifiers of its header
    /// extensions mean.
    ///
    /// # Errors
    ///
    /// Why it is not to be sent.
    pub fn forward(
        &mut self,
        now: Instant,
        sender: SenderId,
        encoding: usize,
        source: (u32, u64),
        packet: &mut PacketMut<'_>,
        theirs: &ExtensionMap,
    ) -> Result<(), SendError> {
        let now = self.advance(now);
        self.schedule.start(now);
        let sender = self.senders.get_mut(sender.0).ok_or(SendError::UnknownEncoding)?;
        let next = self.log.next();
        sender.forward(now, encoding, source, packet, theirs, &mut self.log)?;
        self.control_sent(now, packet.len(), next);
        if let Some(tap) = &mut self.tap {
            tap.rtp_out(now, packet);
        }
        Ok(())
    }

    /// Writes the next packet of RTP behind what `out` holds: the senders take turns. Where the rate is controlled, audio goes first
    /// and at once, then what was asked for again, then video, then padding, each when it may. Gives whether there was one, and room
    /// for it.
    pub fn poll_rtp(&mut self, now: Instant, out: &mut Writer<'_>) -> bool {
        let now = self.advance(now);
        let (start, next) = (out.len(), self.log.next());
        let written = self.poll_class(now, out);
        if written {
            self.control_sent(now, out.len().saturating_sub(start), next);
        }
        written
    }

    /// Writes a datagram of RTCP behind what `out` holds, if one is due. Gives whether it did.
    pub fn poll_rtcp(&mut self, now: Instant, out: &mut Writer<'_>) -> bool {
        let now = self.advance(now);
        let regular = self.schedule.due().is_some_and(|due| due <= now) && {
            self.count_members(now);
            self.schedule.is_regular(now)
        };
        let feedback = self.wants_feedback(now) && self.schedule.allows_feedback(now);
        if !regular && !feedback && self.asides.goodbyes.is_empty() {
            return false;
        }
        let start = out.len();
        let room = out.room().min(self.config.max_rtcp.max(MIN_RTCP));
        if room < MIN_RTCP {
            return false;
        }
        // What is written is as long as the limit at most, whatever room there is.
        let spare = out.room().saturating_sub(room);
        if out.reserve_tail(spare).is_err() {
            return false;
        }
        let mut encoder = Encoder::new(out);
        let reports = regular || !self.asides.goodbyes.is_empty() || !self.config.reduced_size;
        let sources = self.write_datagram(now, regular, reports, &mut encoder);
        if let Some(tap) = self.tap.as_mut().filter(|_| sources.is_some()) {
            tap.rtcp_out(now, &mut encoder);
        }
        out.release_tail(spare);
        let Some(sources) = sources else {
            out.truncate(start);
            return false;
        };
        self.schedule.sent(now, out.len().saturating_sub(start), sources, regular);
        self.stats.rtcp_sent = self.stats.rtcp_sent.saturating_add(1);
        true
    }

    /// Advances to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        self.receivers.stir_due(now);
        self.senders.stir_due(now);
        // What was sent long ago is forgotten by those that send no more, too, if not at once.
        if now - self.swept >= SWEEP_INTERVAL {
            self.swept = now;
            self.senders.stir_all();
        }
        self.receivers.stirred_mut(|receiver| receiver.handle_timeout(now));
        self.senders.stirred_mut(|sender| sender.handle_timeout(now));
        self.control_timeout(now);
    }

    /// When something is due: a frame, a datagram, news.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let frames = self.receivers.iter().filter_map(|(_, receiver)| receiver.frame_due()).min();
        sooner(frames, self.poll_due())
    }

    /// When something other than a frame is due: for whoever asks each receiver [when a frame is](Receiver::frame_due).
    pub fn poll_due(&mut self) -> Option<Instant> {
        if !self.asides.goodbyes.is_empty() {
            return Some(self.last_now);
        }
        let senders = self.senders.settle(|sender| (sender.poll_timeout(), sender.is_at_rest()));
        let packets = self.packets_due();
        let wanted = self.feedback_wanted_at().and_then(|at| Some(at.max(self.schedule.feedback_due()?)));
        sooner(sooner(packets, senders), sooner(wanted, self.schedule.due()))
    }

    /// News.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        let now = self.advance(now);
        if let Some(ssrc) = self.asides.made().and_then(|asides| asides.collisions.pop()) {
            return Some(Event::Collision(ssrc));
        }
        if let Some(event) = self.control_event() {
            return Some(event);
        }
        let mut from = 0;
        while let Some(at) = self.receivers.next_with_news(from) {
            if let Some(event) = self.receivers.get_mut(at).and_then(Receiver::poll_event) {
                return Some(Event::Receiver(ReceiverId(at), event));
            }
            self.receivers.has_told(at);
            from = at.saturating_add(1);
        }
        self.senders.stir_due(now);
        from = 0;
        while let Some(at) = self.senders.next_with_news(from) {
            if let Some(event) = self.senders.get_mut(at).and_then(|sender| sender.poll_event(now)) {
                return Some(Event::Sender(SenderId(at), event));
            }
            self.senders.has_told(at);
            from = at.saturating_add(1);
        }
        None
    }

    /// What was sent, for an estimate of bandwidth.
    pub const fn sent(&self) -> &SentLog {
        &self.log
    }

    /// Figures so far.
    pub fn stats(&self) -> RtpStats {
        let transport_wide = self.arrivals.as_ref().map(|arrivals| arrivals.dropped());
        let streams = self.stream_arrivals.as_ref().map(|arrivals| arrivals.dropped());
        RtpStats { feedback_dropped: transport_wide.or(streams).unwrap_or(0), ..self.stats }
    }

    /// All sources of ours say goodbye with the next datagram.
    pub fn close(&mut self) {
        (0..self.senders.len()).for_each(|at| self.remove_sender(SenderId(at)));
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.last_now = self.last_now.max(now);
        self.last_now
    }

    /// The section of a packet (RFC 9143 §9.2): by its name, by its source, by its payload type if no other section has that.
    fn section(&mut self, packet: &Packet<'_>) -> Option<usize> {
        let header = packet.header();
        let has_source = |receiver: &Receiver| receiver.has_source(header.ssrc);
        let is_other_name = |receiver: &Receiver| {
            let config = receiver.config();
            let name = config.extensions.read::<Mid>(packet);
            name.is_some() && config.mid.is_some() && name != config.mid
        };
        if let Some(receiver) = self.receivers.get(self.cached)
            && has_source(receiver)
            && !is_other_name(receiver)
        {
            return Some(self.cached);
        }
        let place = |which: &dyn Fn(&Receiver) -> bool| {
            self.receivers.iter().find(|(_, receiver)| which(receiver)).map(|(at, _)| at)
        };
        let by_name = place(&|receiver| {
            let config = receiver.config();
            config.mid.is_some() && config.extensions.read::<Mid>(packet) == config.mid
        });
        let found = by_name.or_else(|| {
            let is_named = place(&is_other_name).is_some();
            // A name that no section has: nobody's, rather than anybody's.
            place(&has_source)
                .or_else(|| if is_named { None } else { self.by_payload_type(header.payload_type) })
        })?;
        self.cached = found;
        Some(found)
    }

    fn by_payload_type(&self, payload_type: rtp::PayloadType) -> Option<usize> {
        let mut fitting =
            self.receivers.iter().filter(|(_, receiver)| receiver.config().format(payload_type).is_some());
        let (at, _) = fitting.next()?;
        fitting.next().is_none().then_some(at)
    }

    /// Counts a packet for feedback on the path.
    fn note_arrival(&mut self, now: Instant, ecn: Option<Ecn>, at: usize, packet: &Packet<'_>) {
        let bytes = u64::try_from(packet.bytes().len()).unwrap_or(0);
        self.received_bytes = self.received_bytes.saturating_add(bytes);
        match self.config.feedback {
            TransportFeedback::None => return,
            TransportFeedback::TransportWide => {
                let Some(receiver) = self.receivers.get(at) else { return };
                let map = &receiver.config().extensions;
                let one = map.read::<TransportSequence>(packet).map(|it| it.0);
                let sequence = one.or_else(|| Some(map.read::<TransportSequence2>(packet)?.sequence));
                let Some(sequence) = sequence else { return };
                let max = self.config.max_arrivals;
                self.arrivals.get_or_insert_with(|| Box::new(Arrivals::new(max))).add(now, sequence);
            }
            TransportFeedback::Streams => {
                let header = packet.header();
                let limits = arrival_limits(&self.config);
                let arrivals =
                    self.stream_arrivals.get_or_insert_with(|| Box::new(StreamArrivals::new(limits)));
                arrivals.add(now, header.ssrc, header.sequence_number, ecn);
            }
            TransportFeedback::Remb => {
                let Some(receiver) = self.receivers.get(at) else { return };
                let Some(sent) = receiver.config().extensions.read::<AbsSendTime>(packet) else { return };
                let bounds = self.config.control.map(|control| control.bandwidth).unwrap_or_default();
                let rate = self.received_rate.get_or_insert_with(|| Box::new(ReceivedRate::new(bounds)));
                let round_trip = self.stats.round_trip.unwrap_or(ASSUMED_ROUND_TRIP);
                rate.add(now, sent, packet.bytes().len(), round_trip);
                // It has a time of its own.
                return;
            }
        }
        if self.feedback_due.is_none() {
            self.feedback_due = Some(now + self.feedback_interval(now));
        }
    }

    fn feedback_interval(&mut self, now: Instant) -> Duration {
        if self.config.feedback == TransportFeedback::Streams {
            return STREAM_FEEDBACK_INTERVAL;
        }
        let (since, before, rate) = self.rate;
        let elapsed = now - since;
        if elapsed >= RATE_WINDOW {
            let bits = u128::from(self.received_bytes.saturating_sub(before)).saturating_mul(8_000);
            let rate = bits / elapsed.as_millis().max(1);
            self.rate = (now, self.received_bytes, u64::try_from(rate).unwrap_or(u64::MAX));
            return transport_feedback_interval(self.rate.2);
        }
        transport_feedback_interval(rate)
    }

    fn set_round_trip(&mut self, round_trip: Duration) {
        self.stats.round_trip = Some(round_trip);
        for receiver in self.receivers.iter_mut() {
            receiver.set_round_trip(round_trip);
        }
    }

    /// Who speaks for us in reports and feedback: the first source that is sent, or one that only reports.
    fn reporter(&self) -> Ssrc {
        let mut sources = self.senders.iter().filter_map(|(_, sender)| sender.sources().next());
        sources.next().map_or(self.own, |(_, ssrc, ..)| ssrc)
    }

    fn count_members(&mut self, now: Instant) {
        let heard: usize = self.receivers.iter().map(|(_, receiver)| receiver.sources().count()).sum();
        let ours: usize = self.senders.iter().map(|(_, sender)| sender.sources().len()).sum();
        let sending = self.senders.iter().filter(|(_, sender)| sender.has_sent()).count();
        let we_send = sending > 0;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let members = count(heard.saturating_add(ours.max(1)));
        self.schedule.set_members(now, members, count(heard.saturating_add(sending)), we_send);
    }

    /// When feedback is wanted.
    fn feedback_wanted_at(&mut self) -> Option<Instant> {
        let asked = self.receivers.settle(|receiver| (receiver.feedback_due(), true));
        let told = self.senders.stirred().any(Sender::has_notification).then_some(self.last_now);
        let rate = self.received_rate.as_ref().and_then(|rate| rate.due());
        sooner(sooner(asked, told), sooner(self.feedback_due, rate))
    }

    fn wants_feedback(&mut self, now: Instant) -> bool {
        self.feedback_wanted_at().is_some_and(|at| at <= now)
    }
}

/// All places, from the one whose turn it is on.
pub(crate) fn turns(turn: usize, count: usize) -> impl Iterator<Item = usize> {
    let turn = if turn < count { turn } else { 0 };
    (turn..count).chain(0..turn)
}

const fn arrival_limits(config: &RtpConfig) -> StreamArrivalLimits {
    StreamArrivalLimits { max_streams: config.max_feedback_streams, max_packets: config.max_arrivals }
}

/// Sources that say goodbye in one datagram (RFC 3550 §6.6).
const MAX_GOODBYES: usize = 31;
const MAX_CNAME: usize = 255;
/// Before any is known.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(200);
/// A report with a block and a long name: less is no room.
const MIN_RTCP: usize = 400;
/// How often those are looked at that have nothing to do.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);
const RATE_WINDOW: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
