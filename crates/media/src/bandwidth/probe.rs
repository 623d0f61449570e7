use std::time::Duration;

use proto::Instant;

use super::{PacketResult, Probe, real, whole};
use crate::later::Blank;

/// When to look for more than the estimate, and how fast: at the begin, when the application sends less than it may, and after
/// the rate fell by much.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    max: u64,
    next_id: u32,
    /// Rates that wait to be probed.
    waiting: [u64; 2],
    began: bool,
    /// What a probe must find for another one to follow, and until when.
    further: Option<(u64, Instant)>,
    last_alr: Option<Instant>,
    before_drop: Option<(u64, Instant)>,
    last_drop: Option<Instant>,
}

impl Prober {
    pub(super) const fn new(max: u64) -> Self {
        Self {
            max,
            next_id: 1,
            waiting: [0; 2],
            began: false,
            further: None,
            last_alr: None,
            before_drop: None,
            last_drop: None,
        }
    }

    /// The first packet was sent: three times and six times the rate.
    pub(super) fn begin(&mut self, now: Instant, start: u64, wanted: Option<u64>) {
        if !self.began {
            self.began = true;
            self.start(now, [start.saturating_mul(3), start.saturating_mul(6)], wanted, true);
        }
    }

    /// A probe found so much. If that is most of what was sent, there may be more.
    pub(super) fn found(&mut self, now: Instant, bitrate: u64, wanted: Option<u64>) {
        if let Some((needed, until)) = self.further
            && now <= until
            && bitrate >= needed
        {
            self.start(now, [bitrate.saturating_mul(2), 0], wanted, true);
        }
    }

    /// The rate fell from what it was.
    pub(super) fn dropped(&mut self, now: Instant, from: u64, to: u64) {
        if real(to) < real(from) * LARGE_DROP {
            self.before_drop = Some((from, now));
        }
    }

    /// Looks whether it is time.
    pub(super) fn update(
        &mut self,
        now: Instant,
        target: u64,
        limited: Option<Instant>,
        ended: Option<Instant>,
        wanted: Option<u64>,
    ) {
        if self.is_busy(now) || !self.began {
            return;
        }
        let lately = limited.is_some() || ended.is_some_and(|ended| now - ended < AFTER_ALR);
        if let Some((rate, at)) = self.before_drop {
            let allowed = self.last_drop.is_none_or(|last| now - last >= INTERVAL);
            if now - at > DROP_MEMORY {
                self.before_drop = None;
            } else if lately && allowed && now - at >= Duration::from_secs(1) {
                self.before_drop = None;
                self.last_drop = Some(now);
                self.start(now, [whole(real(rate) * RECOVERED), 0], wanted, false);
                return;
            }
        }
        let since = limited.map(|since| since.max(self.last_alr.unwrap_or_default()));
        if since.is_some_and(|since| now - since >= INTERVAL) {
            self.last_alr = Some(now);
            self.start(now, [target.saturating_mul(2), 0], wanted, true);
        }
    }

    /// When [`update`](Self::update) is worth a call.
    pub(super) fn due(&self, limited: Option<Instant>) -> Option<Instant> {
        if self.waiting.iter().any(|rate| *rate > 0) {
            return None;
        }
        let due = limited?.max(self.last_alr.unwrap_or_default()) + INTERVAL;
        // One nanosecond after what is waited for.
        Some(self.further.map_or(due, |(_, until)| due.max(until + Duration::from_nanos(1))))
    }

    pub(super) fn poll(&mut self) -> Option<Probe> {
        let place = self.waiting.iter_mut().find(|rate| **rate > 0)?;
        let bitrate = std::mem::take(place);
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        Some(Probe {
            id,
            bitrate,
            min_packets: MIN_PACKETS,
            min_bytes: bitrate.saturating_mul(DURATION_MILLIS) / 8000,
        })
    }

    fn is_busy(&self, now: Instant) -> bool {
        self.waiting.iter().any(|rate| *rate > 0) || self.further.is_some_and(|(_, until)| now <= until)
    }

    fn start(&mut self, now: Instant, rates: [u64; 2], wanted: Option<u64>, further: bool) {
        let most = self.max.min(wanted.map_or(u64::MAX, |wanted| wanted.saturating_mul(2)));
        let rates = rates.map(|rate| rate.min(most));
        let highest = rates.into_iter().max().unwrap_or(0);
        self.waiting = if rates[0] == rates[1] { [rates[0], 0] } else { rates };
        self.further = (further && highest < most).then(|| (whole(real(highest) * FURTHER), now + WAIT));
    }
}

/// How fast the packets of a probe arrived.
#[derive(Clone, Debug)]
pub(super) struct ProbeResults {
    clusters: [Option<Cluster>; MAX_CLUSTERS],
    turn: usize,
}

#[derive(Clone, Copy, Debug)]
struct Cluster {
    id: u32,
    sent: (Instant, Instant),
    arrived: (i64, i64),
    bytes: u64,
    last_sent_bytes: u64,
    first_arrived_bytes: u64,
    packets: u32,
}

impl Blank for ProbeResults {
    fn blank() -> &'static Self {
        static NEW: ProbeResults = ProbeResults::NEW;
        &NEW
    }
}

impl ProbeResults {
    pub(super) const NEW: Self = Self { clusters: [None; MAX_CLUSTERS], turn: 0 };

    /// A packet of a probe arrived. Gives what the probe tells so far.
    pub(super) fn add(&mut self, result: &PacketResult) -> Option<u64> {
        let (id, arrival) = (result.packet.probe?, result.arrival?);
        let bytes = u64::try_from(result.packet.bytes).unwrap_or(0);
        let sent = result.packet.at;
        let same = |cluster: &Option<Cluster>| cluster.is_some_and(|cluster| cluster.id == id);
        let at = self.clusters.iter().position(same).unwrap_or_else(|| {
            self.turn = self.turn.wrapping_add(1) % MAX_CLUSTERS;
            self.turn
        });
        let place = self.clusters.get_mut(at)?;
        if !same(place) {
            *place = Some(Cluster {
                id,
                sent: (sent, sent),
                arrived: (arrival, arrival),
                bytes,
                last_sent_bytes: bytes,
                first_arrived_bytes: bytes,
                packets: 1,
            });
            return None;
        }
        let cluster = place.as_mut()?;
        cluster.bytes = cluster.bytes.saturating_add(bytes);
        cluster.packets = cluster.packets.saturating_add(1);
        if sent >= cluster.sent.1 {
            (cluster.sent.1, cluster.last_sent_bytes) = (sent, bytes);
        }
        cluster.sent.0 = cluster.sent.0.min(sent);
        if arrival < cluster.arrived.0 {
            (cluster.arrived.0, cluster.first_arrived_bytes) = (arrival, bytes);
        }
        cluster.arrived.1 = cluster.arrived.1.max(arrival);
        cluster.rate()
    }
}

impl Cluster {
    fn rate(&self) -> Option<u64> {
        let sent = (self.sent.1 - self.sent.0).as_secs_f64();
        let arrived = self.arrived.1.saturating_sub(self.arrived.0) as f64 / 1e9;
        let usable = |span: f64| span > 0.001 && span <= 1.0;
        if self.packets < ENOUGH_PACKETS || !usable(sent) || !usable(arrived) {
            return None;
        }
        let sent = real(self.bytes.saturating_sub(self.last_sent_bytes)) * 8.0 / sent;
        let arrived = real(self.bytes.saturating_sub(self.first_arrived_bytes)) * 8.0 / arrived;
        if arrived > sent * 2.0 {
            return None;
        }
        // Where it arrives slower than it was sent, the link was full: a little less, so that its queue drains.
        Some(whole(if arrived < sent * 0.9 { arrived * 0.95 } else { arrived.min(sent) }))
    }
}

const MIN_PACKETS: u32 = 5;
const ENOUGH_PACKETS: u32 = 4;
const DURATION_MILLIS: u64 = 15;
const FURTHER: f64 = 0.7;
const WAIT: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(5);
const AFTER_ALR: Duration = Duration::from_secs(3);
const DROP_MEMORY: Duration = Duration::from_secs(5);
const LARGE_DROP: f64 = 0.66;
const RECOVERED: f64 = 0.85;
const MAX_CLUSTERS: usize = 4;
