use std::time::Duration;

use crypto::derive_seed;
use proto::{Arrival, Batch, Instant, Path};

use crate::machine::drain;
use crate::{Link, Machine, Pipe, Trace, epoch};

/// Two machines and a link each way, in virtual time.
#[derive(Debug)]
pub struct Pair<A, B> {
    /// One machine.
    pub a: A,
    /// The other.
    pub b: B,
    /// The way from `a` to `b`.
    pub to_b: Pipe<Path>,
    /// The way from `b` to `a`.
    pub to_a: Pipe<Path>,
    /// Everything that was sent, and every event.
    pub trace: Trace,
    /// The largest datagram that the machines may write; 1,200 bytes at first.
    pub max_datagram: usize,
    now: Instant,
}

impl<A: Machine, B: Machine> Pair<A, B> {
    /// Joins `a` and `b` by `link`, the same in both directions.
    pub fn new(a: A, b: B, link: Link, seed: [u8; 32]) -> Self {
        Self {
            a,
            b,
            to_b: Pipe::new(link.clone(), derive_seed(&seed, "to b")),
            to_a: Pipe::new(link, derive_seed(&seed, "to a")),
            trace: Trace::default(),
            max_datagram: 1200,
            now: epoch(),
        }
    }

    /// The virtual time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now - epoch()
    }

    /// Runs until `done`, for at most `limit` of virtual time, or until nothing can happen any more; says
    /// whether `done` held. The time is then that of the last thing that happened.
    ///
    /// # Panics
    ///
    /// If a machine has a timer in the past after it was drained (rule 3).
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.exchange();
            if done(self) {
                return true;
            }
            // `done` may have given a machine something to send.
            self.exchange();
            let timers = [self.a.poll_timeout(), self.b.poll_timeout()];
            assert!(
                timers.iter().flatten().all(|due| *due > self.now),
                "a timer in the past\n{}",
                self.trace
            );
            let due = [timers, [self.to_a.due(), self.to_b.due()]].into_iter().flatten().flatten().min();
            match due {
                Some(next) if next <= end => self.now = self.now.max(next),
                Some(_) | None => return false,
            }
        }
    }

    /// Lets everything happen that is due now.
    pub fn exchange(&mut self) {
        loop {
            let before = self.trace.count();
            while let Some((path, mut datagram)) = self.to_a.receive(self.now) {
                self.a.handle_datagram(Arrival { path, ecn: None, at: self.now }, &mut datagram);
            }
            while let Some((path, mut datagram)) = self.to_b.receive(self.now) {
                self.b.handle_datagram(Arrival { path, ecn: None, at: self.now }, &mut datagram);
            }
            self.a.handle_timeout(self.now);
            self.b.handle_timeout(self.now);
            let (now, max) = (self.now, self.max_datagram);
            drain(&mut self.a, now, max, "a", &mut self.trace, |path, datagram| {
                self.to_b.send(now, path, datagram);
            });
            drain(&mut self.b, now, max, "b", &mut self.trace, |path, datagram| {
                self.to_a.send(now, path, datagram);
            });
            let quiet = [self.to_a.due(), self.to_b.due()].into_iter().flatten().all(|due| due > self.now);
            if quiet && before == self.trace.count() {
                return;
            }
        }
    }

    /// Offers each machine a batch without room, which must change nothing (rule 4).
    pub(crate) fn offer_no_room(&mut self) {
        for max in [0, 1, 7] {
            let mut memory = [0; 8];
            let mut batch = Batch::new(&mut memory, 4, max);
            if let Some(transmit) = self.a.poll_transmit(self.now, &mut batch) {
                self.to_b.send(self.now, reverse(transmit.path), batch.bytes());
            }
            let mut batch = Batch::new(&mut memory, 4, max);
            if let Some(transmit) = self.b.poll_transmit(self.now, &mut batch) {
                self.to_a.send(self.now, reverse(transmit.path), batch.bytes());
            }
        }
    }
}

/// The same way, seen from the other end.
pub(crate) const fn reverse(path: Path) -> Path {
    Path { carrier: path.carrier, local: path.remote, remote: path.local }
}
