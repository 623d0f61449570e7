use std::collections::BTreeMap;
use std::time::Duration;

use crypto::Rng;
use proto::Instant;

/// How a link treats datagrams. The default is perfect: no delay, no loss, no limit.
#[derive(Clone, Debug)]
pub struct Link {
    /// Time that every datagram takes.
    pub delay: Duration,
    /// Up to this much more, drawn for each datagram; enough of it reorders.
    pub jitter: Duration,
    /// Share of datagrams that are lost, 0 to 1.
    pub loss: f64,
    /// Losses come in bursts as well, by the model of Gilbert and Elliott.
    pub bursts: Option<Bursts>,
    /// Share of datagrams that arrive twice.
    pub duplicate: f64,
    /// Share of datagrams that are held back by `reorder_by`, so that later ones overtake them.
    pub reorder: f64,
    /// How long a reordered datagram is held back.
    pub reorder_by: Duration,
    /// Share of datagrams in which one bit is flipped.
    pub corrupt: f64,
    /// Share of datagrams of which only a part arrives.
    pub truncate: f64,
    /// Bits a second; `None` is without limit.
    pub bandwidth: Option<u64>,
    /// Bytes that may wait for the bandwidth; what comes on top is lost.
    pub queue: usize,
    /// The largest datagram that gets through; larger ones vanish silently.
    pub mtu: usize,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            bursts: None,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::from_millis(20),
            corrupt: 0.0,
            truncate: 0.0,
            bandwidth: None,
            queue: 256 * 1024,
            mtu: 65_535,
        }
    }
}

/// A second state of a link, in which it loses more.
#[derive(Clone, Copy, Debug)]
pub struct Bursts {
    /// Share of datagrams before which a burst begins.
    pub begin: f64,
    /// Share of datagrams before which a burst ends.
    pub end: f64,
    /// Share of datagrams that are lost meanwhile.
    pub loss: f64,
}

impl Bursts {
    /// The share of datagrams that are lost to bursts in the long run.
    pub fn average(&self) -> f64 {
        self.loss * self.begin / (self.begin + self.end)
    }
}

/// A link in one direction, with what is on its way. `T` is what travels along with the bytes.
#[derive(Debug)]
pub struct Pipe<T> {
    link: Link,
    rng: Rng,
    /// When the last byte accepted so far will have left.
    busy_until: Instant,
    under_way: BTreeMap<(Instant, u64), (T, Vec<u8>)>,
    sent: u64,
    in_burst: bool,
}

impl<T: Clone> Pipe<T> {
    /// An empty pipe.
    pub fn new(link: Link, seed: [u8; 32]) -> Self {
        Self {
            link,
            rng: Rng::new(seed),
            busy_until: Instant::default(),
            under_way: BTreeMap::new(),
            sent: 0,
            in_burst: false,
        }
    }

    /// Changes the link; what is on its way already arrives as it would have.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// How the link treats datagrams now.
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Puts a datagram in at `now`.
    pub fn send(&mut self, now: Instant, what: T, datagram: &[u8]) {
        if datagram.len() > self.link.mtu || chance(&mut self.rng, self.link.loss) || self.is_lost_in_burst()
        {
            return;
        }
        let Some(left) = self.transmit(now, datagram.len()) else { return };
        let copies = if chance(&mut self.rng, self.link.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let mut bytes = datagram.to_vec();
            if chance(&mut self.rng, self.link.corrupt) {
                flip_a_bit(&mut self.rng, &mut bytes);
            }
            if chance(&mut self.rng, self.link.truncate) {
                let len = self.rng.below(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                bytes.truncate(len as usize);
            }
            let mut due = left + self.link.delay + share(&mut self.rng, self.link.jitter);
            if chance(&mut self.rng, self.link.reorder) {
                due += self.link.reorder_by;
            }
            self.sent += 1;
            self.under_way.insert((due, self.sent), (what.clone(), bytes));
        }
    }

    /// When the next datagram comes out.
    pub fn due(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next datagram that has come out by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<(T, Vec<u8>)> {
        let entry = self.under_way.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    fn is_lost_in_burst(&mut self) -> bool {
        let Some(bursts) = self.link.bursts else {
            self.in_burst = false;
            return false;
        };
        let turn = if self.in_burst { bursts.end } else { bursts.begin };
        self.in_burst ^= chance(&mut self.rng, turn);
        self.in_burst && chance(&mut self.rng, bursts.loss)
    }

    /// When a datagram of `len` bytes has left the queue, or `None` if the queue is full.
    fn transmit(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(bandwidth) = self.link.bandwidth else { return Some(now) };
        let nanos = |bytes: usize| {
            let nanos = bytes as u128 * 8 * 1_000_000_000 / u128::from(bandwidth.max(1));
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        let waiting = self.busy_until - now;
        if waiting > nanos(self.link.queue) {
            return None;
        }
        self.busy_until = self.busy_until.max(now) + nanos(len);
        Some(self.busy_until)
    }
}

fn chance(rng: &mut Rng, probability: f64) -> bool {
    // Nothing is drawn for what never happens, so that a fault can be added without changing the others.
    probability > 0.0 && f64::from(rng.u32()) < probability * f64::from(u32::MAX)
}

fn share(rng: &mut Rng, whole: Duration) -> Duration {
    if whole.is_zero() { whole } else { whole.mul_f64(f64::from(rng.u32()) / f64::from(u32::MAX)) }
}

fn flip_a_bit(rng: &mut Rng, bytes: &mut [u8]) {
    let at = rng.below(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let bit = rng.below(8);
    if let Some(byte) = bytes.get_mut(at as usize) {
        *byte ^= 1 << bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch;

    fn arrivals(link: Link, count: usize, len: usize) -> Vec<(Duration, Vec<u8>)> {
        let mut pipe = Pipe::new(link, [1; 32]);
        for number in 0..count {
            let mut datagram = vec![0; len];
            datagram[0] = u8::try_from(number % 256).unwrap();
            pipe.send(epoch(), (), &datagram);
        }
        let mut seen = Vec::new();
        while let Some(due) = pipe.due() {
            assert!(pipe.receive(Instant::from_nanos(due.as_nanos() - 1)).is_none(), "not early");
            seen.push((due - epoch(), pipe.receive(due).unwrap().1));
        }
        seen
    }

    #[test]
    fn a_perfect_link_delivers_everything_in_order_at_once() {
        let seen = arrivals(Link::default(), 200, 10);
        assert_eq!(seen.len(), 200);
        assert!(seen.iter().enumerate().all(|(i, (at, d))| at.is_zero() && usize::from(d[0]) == i));
    }

    #[test]
    fn faults_happen_as_often_as_they_should() {
        let lost = arrivals(Link { loss: 0.3, ..Link::default() }, 1000, 10).len();
        assert!((620..780).contains(&lost), "{lost}");
        let twice = arrivals(Link { duplicate: 0.1, ..Link::default() }, 1000, 10).len();
        assert!((1060..1140).contains(&twice), "{twice}");
        let corrupt = Link { corrupt: 0.5, ..Link::default() };
        let corrupted = arrivals(corrupt, 250, 10)
            .iter()
            .enumerate()
            .filter(|(i, (_, d))| d[0] as usize != *i || d[1..] != [0; 9])
            .count();
        assert!((95..155).contains(&corrupted), "{corrupted}");
        let reordered = arrivals(Link { reorder: 0.2, ..Link::default() }, 100, 10);
        assert!(reordered.windows(2).any(|pair| pair[0].1[0] > pair[1].1[0]));
    }

    #[test]
    fn bursts_lose_runs_of_datagrams() {
        let bursts = Bursts { begin: 0.02, end: 0.2, loss: 0.9 };
        let seen = arrivals(Link { bursts: Some(bursts), ..Link::default() }, 4000, 10);
        let lost = 4000 - seen.len();
        let expected = bursts.average() * 4000.0;
        assert!((expected * 0.7..expected * 1.3).contains(&(lost as f64)), "{lost} of {expected}");
        // Most that are lost stand beside another one: with single losses it would be one in ten.
        let numbers: Vec<u8> = seen.iter().map(|(_, datagram)| datagram[0]).collect();
        let gaps: Vec<u8> = numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) - 1).collect();
        let runs = gaps.iter().filter(|gap| **gap > 0).count();
        assert!(lost > 2 * runs, "{lost} lost in {runs} runs");
    }

    #[test]
    fn what_is_truncated_is_shorter_and_otherwise_as_it_was() {
        let seen = arrivals(Link { truncate: 0.5, ..Link::default() }, 250, 10);
        let short = seen.iter().filter(|(_, datagram)| datagram.len() < 10).count();
        assert!((95..155).contains(&short), "{short}");
        assert!(
            seen.iter().enumerate().all(|(i, (_, d))| d.first().is_none_or(|first| usize::from(*first) == i))
        );
    }

    #[test]
    fn bandwidth_spaces_datagrams_and_a_full_queue_loses_them() {
        // 8,000 bits a second: a datagram of 100 bytes takes 100 ms; 450 bytes may wait.
        let link =
            Link { bandwidth: Some(8000), queue: 450, delay: Duration::from_millis(7), ..Link::default() };
        let at: Vec<u128> = arrivals(link, 20, 100).iter().map(|(at, _)| at.as_millis()).collect();
        assert_eq!(at, [107, 207, 307, 407, 507]);
    }

    #[test]
    fn what_exceeds_the_mtu_vanishes() {
        assert_eq!(arrivals(Link { mtu: 99, ..Link::default() }, 3, 100).len(), 0);
        assert_eq!(arrivals(Link { mtu: 100, ..Link::default() }, 3, 100).len(), 3);
    }
}
