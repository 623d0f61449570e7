//! What happens in a simulated session: everything is drawn from the seed.

use std::time::Duration;

use crypto::{Rng, derive_seed};
use session::{ChannelInit, MessageKind, Reliability};
use testkit::{Bursts, Link};

use crate::faults::{Fault, FaultPlan};

/// A session, as the seed wants it.
#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    /// Real cryptography; the null provider's otherwise.
    pub real_crypto: bool,
    /// The link of each side, outwards.
    pub links: [Link; 2],
    /// Bits flipped inside of records, where the cryptography proves nothing.
    pub inner_flips: f64,
    /// Whether each side is behind a NAT.
    pub nats: [bool; 2],
    pub offerer: usize,
    /// Both offer at the same time; the other side than `offerer` gives in.
    pub glare: bool,
    pub answers_as_client: bool,
    /// Up to so long for each message of the signalling.
    pub signal_delay: Duration,
    /// Candidates travel with the descriptions alone, which wait until all are known.
    pub half_trickle: bool,
    /// ICE is restarted by this side, after so long.
    pub restart: Option<(usize, Duration)>,
    pub channels: Vec<ChannelPlan>,
    /// Bytes that each side may hold for sending.
    pub send_buffer: Option<usize>,
    /// The session is closed after so long, whatever is under way.
    pub cut_short: Option<Duration>,
    /// How long a reader waits between a few reads.
    pub read_pause: Duration,
    /// Who closes the session in the end.
    pub closer: usize,
    pub faults: Vec<FaultPlan>,
    /// In percent: descriptions that are lost, and sent again; mail that comes twice.
    pub signal_loss: u32,
    pub signal_repeat: u32,
    /// Candidates for this side are lost like descriptions, and not sent again.
    pub loses_candidates: Option<usize>,
    /// Both sides send audio and video for so long once they are connected.
    pub call: Option<Duration>,
    /// How wrong the clock on each side's wall is, in seconds.
    pub wall_clocks: [i64; 2],
}

#[derive(Debug)]
pub struct ChannelPlan {
    pub init: ChannelInit,
    pub opener: usize,
    /// After the start.
    pub open_after: Duration,
    /// What each side sends, and how long it waits before each.
    pub messages: [Vec<(MessageKind, Vec<u8>)>; 2],
    pub pause: Duration,
    /// Closed by this side once it has sent everything.
    pub closer: Option<usize>,
}

/// Draws from the seed.
#[derive(Debug)]
pub struct Draw(Rng);

impl Draw {
    pub fn new(seed: &[u8; 32], label: &str) -> Self {
        Self(Rng::new(derive_seed(seed, label)))
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.0.below(100) < percent
    }

    /// Up to an hour, either way, in seconds.
    pub fn hour(&mut self) -> i64 {
        i64::from(self.0.below(7201)) - 3600
    }

    /// From `low`, below `high`.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.0.below(high - low)
    }

    pub fn millis(&mut self, most: u32) -> Duration {
        Duration::from_millis(u64::from(self.0.below(most + 1)))
    }

    pub fn side(&mut self) -> usize {
        self.0.below(2) as usize
    }

    /// Below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.below(u32::try_from(end.max(1)).unwrap()) as usize
    }

    pub fn byte(&mut self) -> u8 {
        u8::try_from(self.0.below(256)).unwrap()
    }

    /// How often something of this chance happens, one after the other; 5 times at most.
    pub fn run_of(&mut self, percent: u32) -> u32 {
        (1..6).take_while(|_| self.chance(percent)).last().unwrap_or(0)
    }
}

/// The 32 bytes that a seed's number stands for.
pub fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let bytes = seed_bytes(seed);
        let mut draw = Draw::new(&bytes, "plan");
        let real_crypto = draw.chance(25);
        let rough = draw.between(0, 100);
        let mut links = [0, 1].map(|_| link(&mut draw, rough, real_crypto));
        let inner_flips =
            if !real_crypto && draw.chance(30) { f64::from(draw.between(1, 50)) / 1000.0 } else { 0.0 };
        let nats = if draw.chance(30) { [draw.chance(70), draw.chance(70)] } else { [false, false] };
        let mut budget = links.iter().map(volume).min().unwrap();
        if inner_flips > 0.01 {
            budget = budget.min(96 << 10);
        }
        let count = draw.between(1, 9);
        let mut channels: Vec<_> = (0..count).map(|number| channel(&mut draw, number, &mut budget)).collect();
        // Drawn apart, so that what came before stays as it was.
        let mut extra = Draw::new(&bytes, "extra");
        for channel in &mut channels {
            if extra.chance(8) {
                // Longer than a packet.
                let padding = "long ".repeat(extra.between(1, 6000) as usize);
                channel.init.label.push_str(&padding);
            }
        }
        // And these, once more.
        let mut trouble = Draw::new(&bytes, "faults");
        let count = if trouble.chance(40) { trouble.between(1, 4) } else { 0 };
        let faults: Vec<_> = (0..count).map(|_| FaultPlan::draw(&mut trouble, nats, real_crypto)).collect();
        for link in &mut links {
            if rough >= 20 && trouble.chance(20) {
                let (begin, end) = (trouble.between(1, 10), trouble.between(100, 400));
                let loss = f64::from(trouble.between(500, 1001)) / 1000.0;
                link.bursts =
                    Some(Bursts { begin: f64::from(begin) / 1000.0, end: f64::from(end) / 1000.0, loss });
            }
            if rough >= 20 && trouble.chance(15) {
                link.truncate = f64::from(trouble.between(1, 50)) / 1000.0;
            }
            if rough >= 20 && trouble.chance(10) {
                link.delay = trouble.millis(1000);
            }
        }
        let signal_loss = if trouble.chance(20) { trouble.between(10, 60) } else { 0 };
        let signal_repeat = if trouble.chance(20) { trouble.between(10, 60) } else { 0 };
        let loses_candidates = trouble.chance(50).then(|| trouble.side());
        let mut media = Draw::new(&bytes, "call");
        let call = media.chance(40).then(|| Duration::from_secs(1) + media.millis(3000));
        let wall_clocks = [0, 1].map(|_| if trouble.chance(20) { trouble.hour() } else { 0 });
        Self {
            seed,
            faults,
            signal_loss,
            signal_repeat,
            loses_candidates,
            call,
            wall_clocks,
            real_crypto,
            links,
            inner_flips,
            nats,
            offerer: draw.side(),
            glare: draw.chance(10),
            answers_as_client: draw.chance(60),
            signal_delay: if draw.chance(50) { draw.millis(400) } else { Duration::ZERO },
            half_trickle: draw.chance(20),
            restart: draw.chance(15).then(|| (draw.side(), draw.millis(3000))),
            channels,
            send_buffer: extra.chance(30).then(|| extra.between(4, 64) as usize * 1024),
            cut_short: extra.chance(15).then(|| extra.millis(4000)),
            read_pause: if draw.chance(20) { draw.millis(200) } else { Duration::ZERO },
            closer: draw.side(),
        }
    }

    /// The share of datagrams that do not arrive as they were sent, at the worst of both sides.
    pub fn badness(&self) -> f64 {
        let bursts = |link: &Link| link.bursts.map_or(0.0, |bursts| bursts.average());
        let worst = self.links.iter().map(|link| link.loss + link.corrupt + link.truncate + bursts(link));
        worst.fold(0.0, f64::max) + self.inner_flips
    }

    /// Whether what happens to the session may cost it its connection.
    pub fn is_grave(&self) -> bool {
        let together: Duration = self.faults.iter().map(|fault| fault.length).sum();
        let unreachable = self.nats != [false; 2] && self.loses_candidates.is_some() && self.signal_loss > 0;
        self.faults.iter().any(FaultPlan::is_grave) || together > Duration::from_secs(15) || unreachable
    }

    /// How long connecting may take.
    pub fn set_up(&self) -> Duration {
        let faults: Duration = self.faults.iter().map(|fault| fault.length).sum();
        let checks = Duration::from_secs(if self.badness() > 0.02 { 45 } else { 8 });
        // A description that was lost is sent again after a second, five times at most.
        let signals = Duration::from_secs(if self.signal_loss > 0 { 10 } else { 0 });
        // Behind a NAT that has rebound, and towards one that filters, nobody learns the new address before the server
        // is asked again, which happens every 15 s (RFC 8445 §11).
        let rebound = self.faults.iter().filter(|it| matches!(it.fault, Fault::Rebinding { .. })).count();
        let rebound = Duration::from_secs(15) * u32::try_from(rebound).unwrap();
        checks + faults * 2 + signals + rebound
    }

    /// The chance that the network alone costs the session, from above.
    ///
    /// A flipped bit in a handshake that is not encrypted yet may spoil it for good: both sides take the transcript for
    /// true, and the hello that came is not the one that was sent. The typed failure is what RFC 6347 offers then; a
    /// wrong signature alone is taken for a forgery, and what was sent waits to come again. UDP's checksum keeps such
    /// datagrams from real handshakes. Each side has two of them at most that can be hit: a hello, and certificate with
    /// keys.
    ///
    /// A burst that begins at once and swallows all of the seven requests of a check (RFC 8489 §6.2.1), which are as
    /// many as an address gets that has never answered, leaves no path.
    pub fn risk(&self) -> f64 {
        let spoilt: f64 = self.links.iter().map(|link| 2.0 * link.corrupt).sum();
        let silenced = |bursts: &Bursts| bursts.begin * (1.0 - bursts.end).powi(6) * bursts.loss.powi(7);
        spoilt + self.links.iter().filter_map(|link| link.bursts.as_ref()).map(silenced).sum::<f64>()
    }

    /// How long nothing may happen.
    pub fn patience(&self) -> Duration {
        let holes = self.faults.iter().any(|it| matches!(it.fault, Fault::BlackHole { .. }));
        let faults: Duration = self.faults.iter().map(|fault| fault.length).sum();
        // What does not get through a hole is given up by SCTP, after all of its retransmissions.
        faults + if holes { Duration::from_secs(150) } else { Duration::from_secs(60) }
    }
}

fn link(draw: &mut Draw, rough: u32, real_crypto: bool) -> Link {
    let mut link = Link { delay: draw.millis(20), ..Link::default() };
    if rough < 20 {
        return link;
    }
    let mut share = |percent: u32, most: u32| {
        if draw.chance(percent) { f64::from(draw.between(0, most)) / 1000.0 } else { 0.0 }
    };
    link.loss = share(60, if rough < 70 { 50 } else { 200 });
    link.duplicate = share(40, 100);
    link.reorder = share(40, 200);
    // Without real cryptography nothing tells a flipped bit in a handshake or a record's header.
    link.corrupt = if real_crypto { share(50, 30) } else { 0.0 };
    if draw.chance(50) {
        link.jitter = draw.millis(60);
    }
    if draw.chance(50) {
        link.delay = draw.millis(150);
    }
    link.reorder_by = draw.millis(100);
    if draw.chance(30) {
        link.bandwidth = Some(u64::from(draw.between(250, 10_000)) * 1000);
        link.queue = draw.between(16, 256) as usize * 1024;
    }
    if draw.chance(50) {
        link.mtu = draw.between(1252, 1473) as usize;
    }
    link
}

/// Bytes that a link is asked to carry, so that bad ones are done in time.
fn volume(link: &Link) -> usize {
    let bad = link.loss + link.corrupt;
    let slow = link.bandwidth.is_some_and(|bits| bits < 1_000_000) || link.delay > Duration::from_millis(80);
    match bad {
        bad if bad > 0.1 => 48 << 10,
        bad if bad > 0.02 || slow => 256 << 10,
        _ => 1200 << 10,
    }
}

fn channel(draw: &mut Draw, number: u32, budget: &mut usize) -> ChannelPlan {
    let mut init = ChannelInit::labelled(&format!("channel {number}"));
    init.ordered = draw.chance(60);
    init.reliability = match draw.between(0, 10) {
        0..7 => Reliability::Reliable,
        7 => Reliability::MaxRetransmits(u16::try_from(draw.between(0, 4)).unwrap()),
        _ => Reliability::MaxLifetime(draw.millis(500)),
    };
    if draw.chance(30) {
        init.protocol = "spoken".to_owned();
    }
    if draw.chance(15) {
        init.negotiated = Some(u16::try_from(100 + number).unwrap());
    }
    let opener = draw.side();
    // Without a channel at the start there is nothing to offer.
    let open_after = if number == 0 || draw.chance(50) { Duration::ZERO } else { draw.millis(5000) };
    let messages = [0, 1].map(|side| {
        let count = if draw.chance(10) { 0 } else { draw.between(1, 60) };
        (0..count).filter_map(|place| message(draw, [number, side, place], budget)).collect()
    });
    let pause = if draw.chance(40) { draw.millis(200) } else { Duration::ZERO };
    let closer = draw.chance(40).then(|| draw.side());
    ChannelPlan { init, opener, open_after, messages, pause, closer }
}

fn message(draw: &mut Draw, name: [u32; 3], budget: &mut usize) -> Option<(MessageKind, Vec<u8>)> {
    let len = match draw.between(0, 100) {
        0..8 => 0,
        8..30 => draw.between(1, 17),
        30..75 => draw.between(17, 3000),
        75..95 => draw.between(3000, 20_000),
        _ => draw.between(20_000, 256 * 1024 + 1),
    } as usize;
    *budget = budget.checked_sub(len)?;
    let kind = if draw.chance(40) { MessageKind::Text } else { MessageKind::Binary };
    let mut data = format!("{name:?} ").into_bytes();
    // A run of its own for each message, so that pieces in the wrong place show.
    let step = 2 * name[2] as usize + 1;
    data.extend((0..len).map(|at| b'a' + u8::try_from((at * step + at / 26) % 26).unwrap()));
    data.truncate(len);
    Some((kind, data))
}
