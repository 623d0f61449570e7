//! One sender to many receivers through one worker, in memory: packets of video are opened once, get another header for
//! each receiver, and are protected with its keys.
//!
//! CPU time of the forwarding side alone: its end towards the sender, and one towards each receiver, feedback and timers
//! included. The other ends check every payload, unmeasured.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use proto::{Arrival, Batch, Carrier, Path};
use session::{
    Config, Event, FrameConfig, MediaKind, Output as Comes, Received, SdpType, Session, SharedPacket,
    SharedPackets, TransceiverId, WallClock,
};
use str0m::media::{MediaKind as Str0mKind, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event as Str0mEvent, Input, Output, Rtc};

use crate::measure::{Effort, Figure, OURS, Side, in_turn, messages, thread_cpu};
use crate::nodes::ours::time;

pub(super) fn to_10(effort: Effort) -> Vec<Figure> {
    to(effort, 10)
}

pub(super) fn to_100(effort: Effort) -> Vec<Figure> {
    to(effort, 100)
}

fn to(effort: Effort, receivers: usize) -> Vec<Figure> {
    let mut ours = Ours::new(receivers, false);
    let mut ours_kept = Ours::new(receivers, true);
    let mut plain = Str0m::new(receivers, false);
    let mut kept = Str0m::new(receivers, true);
    in_turn(
        effort,
        vec![
            Side::new("Peerline", OURS, move |effort| sample(effort, receivers, |spent| ours.turn(spent))),
            Side::new("Peerline (kept for NACK)", OURS, move |effort| {
                sample(effort, receivers, |spent| ours_kept.turn(spent))
            }),
            Side::new("str0m", "str0m", move |effort| sample(effort, receivers, |spent| plain.turn(spent))),
            Side::new("str0m (kept for NACK)", "str0m", move |effort| {
                sample(effort, receivers, |spent| kept.turn(spent))
            }),
        ],
    )
}

/// Microseconds a forwarded packet.
fn sample(effort: Effort, receivers: usize, mut turn: impl FnMut(&mut u64)) -> f64 {
    let (mut spent, mut packets, wall) = (0, 0, Instant::now());
    while spent < effort.sample_ms * 1_000_000 && wall.elapsed().as_millis() as u64 <= effort.sample_ms * 20 {
        turn(&mut spent);
        packets += TRAIN * receivers;
    }
    spent as f64 / packets as f64 / 1e3
}

/// Packets of a frame, which come together.
const TRAIN: usize = 8;
/// What makes datagrams of nearly 1,200 bytes with anybody's header extensions.
const PAYLOAD: usize = 1200 - 12 - 16 - 8;
/// Between frames.
const INTERVAL: Duration = Duration::from_millis(10);

/// CPU time of `work` is added to `spent`, less what reading the clock takes.
fn timed<T>(spent: &mut u64, work: impl FnOnce() -> T) -> T {
    let start = thread_cpu();
    let result = work();
    *spent += (thread_cpu() - start).saturating_sub(clock_cost());
    result
}

/// The least that is between two readings of the clock.
fn clock_cost() -> u64 {
    static COST: OnceLock<u64> = OnceLock::new();
    let between = |_| {
        let start = thread_cpu();
        thread_cpu() - start
    };
    *COST.get_or_init(|| (0..1000).map(between).min().unwrap_or(0))
}

// Ours.

/// Two sessions, of which `a` sends video to `b`.
pub(super) struct Line {
    pub(super) a: Session,
    pub(super) b: Session,
    pub(super) transceiver: TransceiverId,
    pub(super) at_b: TransceiverId,
    pub(super) ssrc: [u8; 4],
    pub(super) payload_type: u8,
}

struct Ours {
    sender: Line,
    receivers: Vec<Line>,
    epoch: Instant,
    now: Instant,
    number: u16,
    memory: Vec<u8>,
    batches: Vec<Vec<u8>>,
    kept: bool,
    shared: SharedPackets,
    /// Those of the turn.
    taken: Vec<(SharedPacket, u64)>,
    arrived: usize,
    forwarded: usize,
}

fn address(is_a: bool) -> std::net::SocketAddr {
    if is_a { ([10, 0, 0, 1], 1000).into() } else { ([10, 0, 0, 2], 2000).into() }
}

pub(super) fn arrival(at_a: bool, at: proto::Instant) -> Arrival {
    let path = Path { carrier: Carrier::Udp, local: address(at_a), remote: address(!at_a) };
    Arrival { path, ecn: None, at }
}

impl Line {
    pub(super) fn connected(now: &mut proto::Instant, number: u8, kept: bool) -> Self {
        let session = |is_a: bool| {
            let mut config = Config::new(crypto::default_provider());
            config.local_addresses = vec![address(is_a)];
            if kept {
                let mut frames = FrameConfig::default();
                frames.output = Comes::Packets;
                // What comes is forwarded as it comes.
                frames.bandwidth.start = 50_000_000;
                config.frames = Some(Arc::new(frames));
            }
            let seed = [number.wrapping_mul(2).wrapping_add(u8::from(is_a)); 32];
            Session::new(*now, WallClock { unix_seconds: 1_800_000_000 }, config, seed)
                .expect("a certificate")
        };
        let (mut a, mut b) = (session(true), session(false));
        let transceiver = a.add_track(*now, MediaKind::Video, vec![]).expect("room");
        let offer = a.create_offer(*now).expect("an offer");
        a.set_local(*now, SdpType::Offer, offer.clone()).expect("as created");
        b.set_remote(*now, SdpType::Offer, offer).expect("an offer of ours");
        let answer = b.create_answer(*now).expect("an answer");
        b.set_local(*now, SdpType::Answer, answer.clone()).expect("as created");
        a.set_remote(*now, SdpType::Answer, answer).expect("an answer of ours");
        let mut memory = vec![0; 65_000];
        for _ in 0..5000 {
            introduce(*now, &mut a, &mut b);
            introduce(*now, &mut b, &mut a);
            carry(*now, &mut a, &mut b, false, &mut memory);
            carry(*now, &mut b, &mut a, true, &mut memory);
            *now += Duration::from_millis(1);
            a.handle_timeout(*now);
            b.handle_timeout(*now);
            if a.max_media_packet().is_some() && b.max_media_packet().is_some() {
                let info = a.transceiver(transceiver).expect("it is there");
                let ssrc = info.encodings[0].ssrc.0.to_be_bytes();
                let payload_type = info.negotiated.expect("agreed").send[0].payload_type.get();
                let at_b = b.transceivers().next().expect("one").0;
                return Self { a, b, transceiver, at_b, ssrc, payload_type };
            }
        }
        panic!("no connection");
    }
}

fn introduce(now: proto::Instant, from: &mut Session, to: &mut Session) {
    while from.poll_route().is_some() {}
    while let Some(event) = from.poll_event() {
        if let Event::Candidate(found) = event {
            to.add_remote_candidate(now, &found.candidate, None, None, None).expect("a candidate");
        }
    }
}

fn carry(now: proto::Instant, from: &mut Session, to: &mut Session, to_a: bool, memory: &mut [u8]) {
    loop {
        let mut batch = Batch::new(memory, 40, 1500);
        let Some(transmit) = from.poll_transmit(now, &mut batch) else { return };
        let size = transmit.segment_size.unwrap_or(transmit.len);
        for datagram in memory[..transmit.len].chunks_mut(size) {
            let _ = to.handle_datagram(arrival(to_a, now), datagram);
        }
    }
}

/// A line from the sender and lines to receivers, since when, and when all of them are connected.
pub(super) fn lines(receivers: usize, kept: bool) -> (Line, Vec<Line>, Instant, Instant) {
    let epoch = Instant::now();
    let start = time(epoch, epoch);
    let mut latest = start;
    let mut line = |number| {
        let mut now = start;
        let line = Line::connected(&mut now, number, kept);
        latest = latest.max(now);
        line
    };
    let sender = line(0);
    let receivers = (1..=receivers).map(|number| line(number as u8)).collect();
    (sender, receivers, epoch, epoch + (latest - start))
}

impl Ours {
    fn new(receivers: usize, kept: bool) -> Self {
        let (sender, receivers, epoch, now) = lines(receivers, kept);
        let batches = vec![vec![0; TRAIN * 1500]; receivers.len()];
        Self {
            sender,
            receivers,
            epoch,
            now,
            number: 0,
            memory: vec![0; TRAIN * 1500],
            batches,
            kept,
            shared: SharedPackets::default(),
            taken: Vec::new(),
            arrived: 0,
            forwarded: 0,
        }
    }

    fn turn(&mut self, spent: &mut u64) {
        self.now += INTERVAL;
        let now = time(self.epoch, self.now);
        let Self { sender, memory, .. } = self;
        let payloads = messages(PAYLOAD);

        // The sender's own end: unmeasured.
        let mut batch = Batch::new(memory, TRAIN, 1500);
        for at in 0..TRAIN {
            self.number = self.number.wrapping_add(1);
            let mut packet = vec![0x80, sender.payload_type];
            packet.extend(self.number.to_be_bytes());
            packet.extend(u32::from(self.number).wrapping_mul(900).to_be_bytes());
            packet.extend(sender.ssrc);
            packet.extend_from_slice(&payloads[at % payloads.len()]);
            sender.a.write_rtp(now, sender.transceiver, &packet, &mut batch).expect("room");
        }
        let transmit = sender.a.finish_rtp(&batch).expect("packets");
        let size = transmit.segment_size.expect("of one size");

        if self.kept {
            self.forward_kept(now, size, transmit.len, spent);
        } else {
            self.forward_at_once(now, size, transmit.len, spent);
        }
    }

    /// What came of one receive call, into a train for each receiver.
    fn forward_at_once(&mut self, now: proto::Instant, size: usize, len: usize, spent: &mut u64) {
        let Self { sender, receivers, memory, batches, .. } = self;
        let payloads = messages(PAYLOAD);
        let mut trains = vec![(0, 0); receivers.len()];
        timed(spent, || {
            let mut lens = [0; TRAIN];
            for (datagram, len) in memory[..len].chunks_mut(size).zip(&mut lens) {
                let received = sender.b.handle_datagram(arrival(false, now), datagram).expect("its packet");
                let Received::Rtp { packet, .. } = received else { panic!("{received:?}") };
                *len = packet.bytes().len();
            }
            for ((line, train), memory_of) in receivers.iter_mut().zip(&mut trains).zip(batches.iter_mut()) {
                let mut batch = Batch::new(memory_of, TRAIN, 1500);
                for (packet, len) in memory.chunks_mut(size).zip(lens) {
                    let packet = &mut packet[..len];
                    packet[1] = packet[1] & 0x80 | line.payload_type;
                    packet[8..12].copy_from_slice(&line.ssrc);
                    line.a.write_rtp(now, line.transceiver, packet, &mut batch).expect("room");
                }
                let transmit = line.a.finish_rtp(&batch).expect("packets");
                *train = (transmit.len, transmit.segment_size.expect("of one size"));
            }
        });

        for ((line, (len, size)), memory) in receivers.iter_mut().zip(trains).zip(batches) {
            let mut came = 0;
            for (datagram, payload) in memory[..len].chunks_mut(size).zip(payloads.iter().cycle()) {
                let received = line.b.handle_datagram(arrival(false, now), datagram).expect("its packet");
                let Received::Rtp { packet, .. } = received else { panic!("{received:?}") };
                assert_eq!(packet.payload(), payload);
                came += 1;
            }
            assert_eq!(came, TRAIN);
            keep(now, spent, &mut line.a, &mut line.b, true, memory);
        }
        keep(now, spent, &mut sender.b, &mut sender.a, false, memory);
    }

    /// The same through the machines of media: copies are kept for whoever asks for them again, and leave at the path's pace.
    fn forward_kept(&mut self, now: proto::Instant, size: usize, len: usize, spent: &mut u64) {
        let Self { sender, receivers, memory, batches, shared, taken, .. } = self;
        let payloads = messages(PAYLOAD);
        timed(spent, || {
            let info = sender.b.transceiver(sender.at_b).expect("it is there");
            let theirs = info.negotiated.expect("agreed").clone();
            taken.clear();
            for datagram in memory[..len].chunks_mut(size) {
                let received = sender.b.handle_datagram(arrival(false, now), datagram).expect("its packet");
                let Received::Packet { number, packet, .. } = received else { panic!("{received:?}") };
                let packet = shared.share(packet.as_packet().bytes(), &theirs.extensions);
                taken.push((packet.expect("it is one"), number));
            }
            for line in receivers.iter_mut() {
                for (packet, number) in taken.iter() {
                    line.a.forward_rtp(now, line.transceiver, 0, (0, *number), packet).expect("room");
                }
            }
        });
        self.forwarded += TRAIN * receivers.len();
        let mut sent = Vec::with_capacity(receivers.len());
        for step in 0..5 {
            let now = now + INTERVAL / 5 * step;
            // Woken by what came, and then when something is due.
            let mut is_awake = vec![step == 0; receivers.len()];
            timed(spent, || {
                for (line, is_awake) in receivers.iter_mut().zip(&mut is_awake).filter(|(_, it)| !**it) {
                    if line.a.poll_timeout().is_some_and(|due| due <= now) {
                        line.a.handle_timeout(now);
                        *is_awake = true;
                    }
                }
            });
            while is_awake.contains(&true) {
                timed(spent, || {
                    for ((line, is_awake), memory) in
                        receivers.iter_mut().zip(&mut is_awake).zip(batches.iter_mut())
                    {
                        let mut batch = Batch::new(memory, 40, 1500);
                        let transmit = if *is_awake { line.a.poll_transmit(now, &mut batch) } else { None };
                        *is_awake = transmit.is_some();
                        sent.push(transmit);
                    }
                });
                for ((line, transmit), memory) in
                    receivers.iter_mut().zip(sent.drain(..)).zip(batches.iter_mut())
                {
                    let Some(transmit) = transmit else { continue };
                    let size = transmit.segment_size.unwrap_or(transmit.len);
                    for datagram in memory[..transmit.len].chunks_mut(size) {
                        let received = line.b.handle_datagram(arrival(false, now), datagram);
                        if let Ok(Received::Packet { packet, .. }) = received {
                            self.arrived +=
                                usize::from(payloads.iter().any(|it| packet.as_packet().payload() == it));
                        }
                    }
                }
            }
        }
        for (line, memory) in receivers.iter_mut().zip(batches) {
            keep(now + INTERVAL / 5 * 4, spent, &mut line.a, &mut line.b, true, memory);
        }
        keep(now + INTERVAL / 5 * 4, spent, &mut sender.b, &mut sender.a, false, memory);
        // What is behind waits for its turn.
        assert!(
            self.arrived * 10 >= self.forwarded * 9 || self.forwarded < 20_000,
            "{} of {}",
            self.arrived,
            self.forwarded
        );
    }
}

/// Timers and what they send, with the worker's share measured.
pub(super) fn keep(
    now: proto::Instant,
    spent: &mut u64,
    worker: &mut Session,
    remote: &mut Session,
    worker_is_a: bool,
    memory: &mut [u8],
) {
    let is_due = |session: &Session| session.poll_timeout().is_some_and(|due| due <= now);
    if !is_due(worker) && !is_due(remote) {
        return;
    }
    remote.handle_timeout(now);
    timed(spent, || worker.handle_timeout(now));
    loop {
        let mut batch = Batch::new(memory, 40, 1500);
        let sent = timed(spent, || worker.poll_transmit(now, &mut batch));
        let answers = sent.is_none();
        let sent = sent.or_else(|| remote.poll_transmit(now, &mut Batch::new(memory, 40, 1500)));
        let Some(transmit) = sent else { break };
        let size = transmit.segment_size.unwrap_or(transmit.len);
        for datagram in memory[..transmit.len].chunks_mut(size) {
            if answers {
                timed(spent, || _ = worker.handle_datagram(arrival(worker_is_a, now), datagram));
            } else {
                let _ = remote.handle_datagram(arrival(!worker_is_a, now), datagram);
            }
        }
    }
    for session in [worker, remote] {
        while session.poll_event().is_some() {}
        while session.poll_route().is_some() {}
    }
}

// str0m, as in its RTP mode for forwarders.

pub(super) struct End {
    rtc: Rtc,
    is_a: bool,
    pub(super) waiting: VecDeque<Vec<u8>>,
    pub(super) packets: Vec<RtpPacket>,
}

struct Str0m {
    /// `a` sends to `b`.
    sender: [End; 2],
    receivers: Vec<[End; 2]>,
    now: Instant,
    payload_type: Pt,
    number: u64,
    kept: bool,
}

const SSRC: u32 = 4242;

impl End {
    fn new(is_a: bool, now: Instant) -> Self {
        let mut rtc = Rtc::builder().set_rtp_mode(true).set_stats_interval(None).build(now);
        rtc.add_local_candidate(Candidate::host(address(is_a), "udp").expect("a candidate")).expect("room");
        rtc.add_remote_candidate(Candidate::host(address(!is_a), "udp").expect("a candidate"));
        Self { rtc, is_a, waiting: VecDeque::new(), packets: Vec::new() }
    }

    pub(super) fn pair(now: &mut Instant) -> [Self; 2] {
        let (mut a, mut b) = (Self::new(true, *now), Self::new(false, *now));
        {
            let (mut x, mut y) = (a.rtc.direct_api(), b.rtc.direct_api());
            let (x_print, y_print) = (x.local_dtls_fingerprint().clone(), y.local_dtls_fingerprint().clone());
            x.set_remote_fingerprint(y_print);
            y.set_remote_fingerprint(x_print);
            let (x_credentials, y_credentials) = (x.local_ice_credentials(), y.local_ice_credentials());
            x.set_remote_ice_credentials(y_credentials);
            y.set_remote_ice_credentials(x_credentials);
            x.set_ice_controlling(true);
            y.set_ice_controlling(false);
            x.start_dtls(true).expect("a start");
            y.start_dtls(false).expect("a start");
            let (mid, ssrc): (_, Ssrc) = ("vid".into(), SSRC.into());
            x.declare_media(mid, Str0mKind::Video);
            x.declare_stream_tx(ssrc, None, mid, None);
            y.declare_media(mid, Str0mKind::Video);
            y.expect_stream_rx(ssrc, None, mid, None);
        }
        for _ in 0..5000 {
            if a.rtc.is_connected() && b.rtc.is_connected() {
                return [a, b];
            }
            *now += Duration::from_millis(1);
            a.timeout(*now);
            b.timeout(*now);
            exchange(*now, &mut a, &mut b);
        }
        panic!("no connection");
    }

    /// VP8's.
    pub(super) fn payload_type(&self) -> Pt {
        let mut codecs = self.rtc.codec_config().iter();
        codecs.find(|it| it.spec().codec == str0m::format::Codec::Vp8).expect("VP8").pt()
    }

    fn poll(&mut self) {
        loop {
            match self.rtc.poll_output().expect("no failure") {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => self.waiting.push_back(transmit.contents.into()),
                Output::Event(Str0mEvent::RtpPacket(packet)) => self.packets.push(packet),
                Output::Event(_) => {}
            }
        }
    }

    pub(super) fn handle(&mut self, now: Instant, datagram: &[u8]) {
        let (from, to) = (address(!self.is_a), address(self.is_a));
        let received = Receive::new(Protocol::Udp, from, to, datagram).expect("a datagram of its kind");
        self.rtc.handle_input(Input::Receive(now, received)).expect("no failure");
        self.poll();
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        self.rtc.handle_input(Input::Timeout(now)).expect("no failure");
        self.poll();
    }

    pub(super) fn write(
        &mut self,
        now: Instant,
        (pt, number, time): (Pt, u64, u32),
        payload: Arc<[u8]>,
        kept: bool,
    ) {
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx(&SSRC.into()).expect("declared");
        stream.write_rtp(RtpWrite::new(pt, number.into(), time, now, payload).nackable(kept));
    }
}

fn exchange(now: Instant, a: &mut End, b: &mut End) {
    while !a.waiting.is_empty() || !b.waiting.is_empty() {
        while let Some(datagram) = a.waiting.pop_front() {
            b.handle(now, &datagram);
        }
        while let Some(datagram) = b.waiting.pop_front() {
            a.handle(now, &datagram);
        }
    }
}

/// The same of str0m's ends.
pub(super) fn pairs(receivers: usize) -> ([End; 2], Vec<[End; 2]>, Instant) {
    let start = Instant::now();
    let mut latest = start;
    let mut pair = || {
        let mut now = start;
        let pair = End::pair(&mut now);
        latest = latest.max(now);
        pair
    };
    let sender = pair();
    let receivers = (0..receivers).map(|_| pair()).collect();
    (sender, receivers, latest)
}

impl Str0m {
    fn new(receivers: usize, kept: bool) -> Self {
        let (sender, receivers, now) = pairs(receivers);
        let payload_type = sender[0].payload_type();
        Self { sender, receivers, now, payload_type, number: 1000, kept }
    }

    fn turn(&mut self, spent: &mut u64) {
        self.now += INTERVAL;
        let now = self.now;
        let payloads = messages(PAYLOAD);
        let [remote, worker] = &mut self.sender;
        for at in 0..TRAIN {
            self.number += 1;
            let payload = Arc::from(&payloads[at % payloads.len()][..]);
            let header = (self.payload_type, self.number, self.number as u32 * 900);
            remote.write(now, header, payload, self.kept);
        }
        remote.timeout(now);
        let datagrams: Vec<_> = remote.waiting.drain(..).collect();

        timed(spent, || {
            for datagram in &datagrams {
                worker.handle(now, datagram);
            }
            for packet in &worker.packets {
                for [to, _] in &mut self.receivers {
                    let header = (packet.header.payload_type, *packet.seq_no, packet.header.timestamp);
                    to.write(now, header, packet.payload.clone(), self.kept);
                }
            }
            for [to, _] in &mut self.receivers {
                to.timeout(now);
            }
        });
        assert_eq!(worker.packets.len(), TRAIN);
        worker.packets.clear();
        exchange_measured(now, spent, worker, remote);
        for [worker, remote] in &mut self.receivers {
            exchange_measured(now, spent, worker, remote);
            assert_eq!(remote.packets.len(), TRAIN);
            for (packet, payload) in remote.packets.drain(..).zip(payloads.iter().cycle()) {
                assert_eq!(packet.payload[..], payload[..]);
            }
        }
    }
}

pub(super) fn exchange_measured(now: Instant, spent: &mut u64, worker: &mut End, remote: &mut End) {
    while !worker.waiting.is_empty() || !remote.waiting.is_empty() {
        while let Some(datagram) = worker.waiting.pop_front() {
            remote.handle(now, &datagram);
        }
        let answers: Vec<_> = remote.waiting.drain(..).collect();
        if !answers.is_empty() {
            timed(spent, || answers.iter().for_each(|answer| worker.handle(now, answer)));
        }
    }
}
