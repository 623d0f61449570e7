//! Flows over a bottleneck, a millisecond at a time.

use crypto::Rng;
use media::{
    Claim, Claimant, ControlConfig, Event, Marking, OutgoingFrame, ReceiverId, Rtp, RtpConfig, SenderEvent,
    SenderId, Stop, TransportFeedback,
};
use proto::{Ecn, Instant, Writer};
use rtp::{PacketMut, is_rtcp};

use crate::path::{Item, Kind, Path, TCP_PACKET, Tcp};
use crate::support::{audio_receiver, audio_sender, clock, opus, video_receiver, video_sender, vp8};

/// How a flow of audio and video runs.
#[derive(Clone, Copy)]
pub struct Plan {
    /// 0 forward, 1 backward.
    pub direction: usize,
    pub delay: u64,
    /// Seconds.
    pub start: u64,
    pub pause: Option<(u64, u64)>,
    pub feedback: TransportFeedback,
    pub marking: Option<Marking>,
}

impl Plan {
    pub const fn new(start: u64) -> Self {
        Self {
            direction: 0,
            delay: 50,
            start,
            pause: None,
            feedback: TransportFeedback::TransportWide,
            marking: None,
        }
    }
}

pub struct Flow {
    pub plan: Plan,
    from: Rtp,
    to: Rtp,
    video: SenderId,
    audio: SenderId,
    rng: Rng,
    /// What the encoder makes, and what it will make from when on.
    rate: u64,
    ordered: Option<(u64, u64)>,
    frames: u32,
    sounds: u32,
    key: bool,
    pub sent: u64,
    pub lost: u64,
    /// Bits on the wire that have left the bottleneck, each second.
    pub rates: Vec<u64>,
    /// Milliseconds in the queue, of each packet.
    pub delays: Vec<u64>,
    pub stopped: Option<(u64, Stop)>,
}

impl Flow {
    fn new(plan: Plan, run: u8, seed: u8) -> Self {
        let mut config = RtpConfig::new(clock(), "from");
        config.reduced_size = true;
        config.bandwidth = 2_000_000;
        let mut receiving = config.clone();
        receiving.feedback = plan.feedback;
        let mut control = ControlConfig::default();
        control.bandwidth.start = MIN_RATE;
        control.bandwidth.marking = plan.marking.unwrap_or_default();
        config.control = Some(control);
        let (mut from, mut to) =
            (Rtp::new(config, of_run(run, seed)), Rtp::new(receiving, of_run(run, seed + 100)));
        let (video, audio) = (
            from.add_sender(without_breaker(video_sender())).unwrap(),
            from.add_sender(without_breaker(audio_sender())).unwrap(),
        );
        to.add_receiver(video_receiver()).unwrap();
        to.add_receiver(audio_receiver()).unwrap();
        Self {
            plan,
            from,
            to,
            video,
            audio,
            rng: Rng::new(of_run(run, seed + 50)),
            rate: MIN_RATE,
            ordered: None,
            frames: 0,
            sounds: 0,
            key: true,
            sent: 0,
            lost: 0,
            rates: Vec::new(),
            delays: Vec::new(),
            stopped: None,
        }
    }

    fn begin(&mut self) {
        let claim = Claim { min: MIN_RATE, desired: MAX_RATE, max: MAX_RATE, priority: 1, required: true };
        self.from.set_claim(Claimant::Stream(self.video, 0), Some(claim));
        let claim = Claim { min: 40_000, desired: 40_000, max: 40_000, priority: 4, required: true };
        self.from.set_claim(Claimant::Stream(self.audio, 0), Some(claim));
    }

    /// What is captured and encoded at this millisecond.
    fn encode(&mut self, millis: u64, now: Instant) {
        if let Some((_, rate)) = self.ordered.take_if(|(at, _)| *at <= millis) {
            self.rate = rate;
        }
        let since = millis - self.plan.start * 1000;
        let second = millis / 1000;
        let pauses = self.plan.pause.is_some_and(|(from, to)| (from..to).contains(&second));
        if since.is_multiple_of(20) {
            // 20 kbit/s, the packet's headers not counted.
            let bytes = opus(self.sounds);
            let timestamp = self.sounds * 960;
            let frame = OutgoingFrame { bytes: &bytes[..50], timestamp, ..OutgoingFrame::default() };
            let _ = self.from.sender(self.audio).unwrap().send_frame(now, 0, &frame);
            self.sounds += 1;
        }
        if since.is_multiple_of(33) && !pauses {
            // 5 % up and down, and the headers of packets taken off.
            let noise = 950 + u64::from(self.rng.below(101));
            let bytes = self.rate * 33 / 8000 * noise / 1000 * 94 / 100;
            let bytes = vp8(self.frames, self.key, usize::try_from(bytes).unwrap());
            let frame =
                OutgoingFrame { bytes: &bytes, timestamp: self.frames * 2970, ..OutgoingFrame::default() };
            if self.from.sender(self.video).unwrap().send_frame(now, 0, &frame).is_ok() {
                self.key = false;
            }
            self.frames += 1;
        }
    }

    fn events(&mut self, millis: u64, now: Instant) {
        while let Some(event) = self.from.poll_event(now) {
            match event {
                Event::TargetRate { claimant: Claimant::Stream(id, 0), bitrate } if id == self.video => {
                    let at = self.ordered.map_or(millis + REACTION, |(at, _)| at);
                    self.ordered = Some((at, bitrate.clamp(MIN_RATE, MAX_RATE)));
                }
                Event::Sender(_, SenderEvent::KeyFrameWanted { .. }) => self.key = true,
                Event::Sender(_, SenderEvent::Stopped { reason, .. }) => {
                    self.stopped = Some((millis, reason))
                }
                _ => {}
            }
        }
        while self.to.poll_event(now).is_some() {}
        for at in 0..2 {
            while self.to.receiver(ReceiverId(at)).unwrap().poll_frame(now).is_some() {}
        }
    }
}

/// TCP flows: one that never ends, or files with pauses between them.
pub struct Files {
    tcp: Tcp,
    /// When the next file begins, if there is one.
    begins: Option<u64>,
    rng: Rng,
    delay: u64,
    pub rates: Vec<u64>,
    is_short: bool,
}

pub struct World {
    pub paths: [Path; 2],
    pub flows: Vec<Flow>,
    pub files: Vec<Files>,
    pub millis: u64,
    /// What the forward path could carry, each second.
    pub capacities: Vec<u64>,
    acks: Vec<(u64, usize, u64)>,
    run: u8,
}

impl World {
    pub fn new(run: u8, capacity: u64, plans: &[Plan]) -> Self {
        let flows = (1..).zip(plans).map(|(seed, plan)| Flow::new(*plan, run, seed)).collect();
        Self {
            paths: [Path::new(capacity, of_run(run, 1)), Path::new(1_000_000_000, of_run(run, 2))],
            flows,
            files: Vec::new(),
            millis: 0,
            capacities: Vec::new(),
            acks: Vec::new(),
            run,
        }
    }

    pub fn add_tcp(&mut self, is_short: bool, is_on: bool) {
        let seed = u8::try_from(self.files.len()).unwrap() + 200;
        let mut files = Files {
            tcp: Tcp::new(if is_short { Some(0) } else { None }),
            begins: is_short.then_some(0),
            rng: Rng::new(of_run(self.run, seed)),
            delay: 50,
            rates: vec![0; self.capacities.len()],
            is_short,
        };
        if is_short && !is_on {
            files.begins = Some(files.idle());
        }
        self.files.push(files);
    }

    pub fn run(&mut self, until: u64, mut change: impl FnMut(&mut Self)) {
        while self.millis < until * 1000 {
            if self.millis.is_multiple_of(1000) {
                change(self);
                self.capacities.push(self.paths[0].capacity);
                self.flows.iter_mut().for_each(|flow| flow.rates.push(0));
                self.files.iter_mut().for_each(|files| files.rates.push(0));
            }
            self.step();
            self.millis += 1;
        }
    }

    fn step(&mut self) {
        let millis = self.millis;
        let now = Instant::from_nanos(testkit::epoch().as_nanos() + millis * 1_000_000);
        for direction in 0..2 {
            let (flows, files) = (&mut self.flows, &mut self.files);
            let arrived = self.paths[direction].step(millis, |item| {
                let bits = item.len as u64 * 8;
                match &item.kind {
                    Kind::Tcp(_) => *files[item.flow].rates.last_mut().unwrap() += bits,
                    Kind::Media(_) if flows[item.flow].plan.direction == direction => {
                        *flows[item.flow].rates.last_mut().unwrap() += bits;
                        flows[item.flow].delays.push(millis - item.since);
                    }
                    Kind::Media(_) => {}
                }
            });
            for item in arrived {
                match item.kind {
                    Kind::Tcp(number) => {
                        self.acks.push((millis + item.delay, item.flow, number));
                    }
                    Kind::Media(mut bytes) => {
                        let flow = &mut self.flows[item.flow];
                        let to = if flow.plan.direction == direction { &mut flow.to } else { &mut flow.from };
                        let ecn = flow.plan.marking.map(|_| if item.is_marked { Ecn::Ce } else { Ecn::Ect0 });
                        if is_rtcp(&bytes) {
                            to.handle_rtcp(now, &bytes).unwrap();
                        } else {
                            let len = bytes.len();
                            let _ = to.handle_rtp(now, ecn, PacketMut::decode(&mut bytes, len).unwrap());
                        }
                    }
                }
            }
        }
        for at in 0..self.flows.len() {
            self.step_flow(at, now);
        }
        self.step_tcp();
    }

    fn step_flow(&mut self, at: usize, now: Instant) {
        let millis = self.millis;
        let flow = &mut self.flows[at];
        if millis < flow.plan.start * 1000 {
            return;
        }
        if millis == flow.plan.start * 1000 {
            flow.begin();
        }
        flow.encode(millis, now);
        flow.from.handle_timeout(now);
        flow.to.handle_timeout(now);
        flow.events(millis, now);
        let mut memory = [0; 1500];
        for is_media in [true, false] {
            let (end, direction) = if is_media {
                (&mut flow.from, flow.plan.direction)
            } else {
                (&mut flow.to, 1 - flow.plan.direction)
            };
            loop {
                let mut out = Writer::new(&mut memory);
                let is_rtp = end.poll_rtp(now, &mut out);
                if !is_rtp && !end.poll_rtcp(now, &mut out) {
                    break;
                }
                let item = Item {
                    flow: at,
                    len: out.len() + OVERHEAD,
                    kind: Kind::Media(out.written().to_vec()),
                    since: millis,
                    delay: flow.plan.delay,
                    is_marked: false,
                };
                let had_room = self.paths[direction].send(item);
                if is_rtp {
                    flow.sent += 1;
                    flow.lost += u64::from(!had_room);
                }
            }
        }
    }

    fn step_tcp(&mut self) {
        let millis = self.millis;
        let files = &mut self.files;
        self.acks.retain(|(due, flow, number)| {
            if *due <= millis {
                files[*flow].tcp.acknowledge(millis, *number);
            }
            *due > millis
        });
        for (at, files) in self.files.iter_mut().enumerate() {
            files.turn(millis);
            while let Some(number) = files.tcp.poll(millis) {
                let item = Item {
                    flow: at,
                    kind: Kind::Tcp(number),
                    len: TCP_PACKET,
                    since: millis,
                    delay: files.delay,
                    is_marked: false,
                };
                self.paths[0].send(item);
            }
        }
    }
}

impl Files {
    pub fn stop(&mut self) {
        self.tcp = Tcp::new(Some(0));
    }

    fn turn(&mut self, millis: u64) {
        if !self.is_short {
            return;
        }
        match self.begins {
            Some(at) if at <= millis => {
                // RFC 8868 §5.1: 30 to 50 kB, uniformly.
                self.tcp = Tcp::new(Some(30_000 + u64::from(self.rng.below(20_001))));
                self.begins = None;
            }
            None if self.tcp.is_done() => self.begins = Some(millis + self.idle()),
            _ => {}
        }
    }

    /// RFC 8868 §5.1: exponentially, 10 s on average.
    fn idle(&mut self) -> u64 {
        let share = (f64::from(self.rng.below(999_999)) + 1.0) / 1_000_000.0;
        (-share.ln() * 10_000.0) as u64
    }
}

/// A seed for one of those that need some, another one in each run.
fn of_run(run: u8, which: u8) -> [u8; 32] {
    let mut seed = [which; 32];
    seed[31] ^= run;
    seed
}

/// The breaker would end what is to be measured: it opens in some of the cases.
fn without_breaker(mut config: media::SenderConfig) -> media::SenderConfig {
    config.circuit_breaker = false;
    config
}

/// RFC 8867 §4.3: 150 kbit/s to 1.5 Mbit/s, and 100 ms until a new rate is followed.
pub const MIN_RATE: u64 = 150_000;
pub const MAX_RATE: u64 = 1_500_000;
const REACTION: u64 = 100;
/// IP, UDP and what SRTP adds.
const OVERHEAD: usize = 38;
