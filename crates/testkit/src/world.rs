use std::collections::BTreeMap;
use std::time::Duration;

use proto::{Arrival, Instant, Path};

use crate::machine::drain;
use crate::{HostId, Machine, Network, Trace, epoch};

/// Machines, one on each host of a [`Network`], run together.
#[derive(Debug)]
pub struct World<M> {
    /// The network between them.
    pub network: Network,
    /// The machines, by [`HostId`].
    pub machines: BTreeMap<HostId, M>,
    /// Everything that was sent, and every event.
    pub trace: Trace,
    /// The largest datagram that the machines may write.
    pub max_datagram: usize,
    now: Instant,
    sleeps: BTreeMap<HostId, Sleep>,
    /// How far the clock of a host is behind, by what it has slept.
    lags: BTreeMap<HostId, Duration>,
}

/// A host that does nothing for a while.
#[derive(Debug)]
struct Sleep {
    until: Instant,
    /// What has arrived meanwhile; `None` if nothing is kept, because its network sleeps as well.
    inbox: Option<Vec<(Arrival, Vec<u8>)>>,
}

impl<M: Machine> World<M> {
    /// A world on `network`, without machines yet.
    pub fn new(network: Network) -> Self {
        Self {
            network,
            machines: BTreeMap::new(),
            trace: Trace::default(),
            max_datagram: 1232,
            now: epoch(),
            sleeps: BTreeMap::new(),
            lags: BTreeMap::new(),
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

    /// What the clock of a host says now.
    pub fn clock(&self, host: HostId) -> Instant {
        // While it is suspended it stands still.
        let now = match self.sleeps.get(&host) {
            Some(sleep) if sleep.inbox.is_none() => sleep.until,
            Some(_) | None => self.now,
        };
        epoch() + (now - epoch()).saturating_sub(self.lag(host))
    }

    /// The process of a host is stopped for a while: its clock goes on, and its sockets keep what they can.
    pub fn pause(&mut self, host: HostId, length: Duration) {
        self.sleeps.insert(host, Sleep { until: self.now + length, inbox: Some(Vec::new()) });
    }

    /// A host is put to sleep for a while: its clock stands still, and what is sent to it is lost.
    pub fn suspend(&mut self, host: HostId, length: Duration) {
        self.sleeps.insert(host, Sleep { until: self.now + length, inbox: None });
        *self.lags.entry(host).or_default() += length;
    }

    /// Whether a host does nothing at the moment.
    pub fn is_asleep(&self, host: HostId) -> bool {
        self.sleeps.contains_key(&host)
    }

    /// Runs until `done`, for at most `limit` of virtual time, or until nothing can happen any more; says
    /// whether `done` held. Where time is left and nothing happens any more, the time stands still.
    ///
    /// # Panics
    ///
    /// If a machine has a timer in the past after it was drained.
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.exchange();
            if done(self) {
                return true;
            }
            self.exchange();
            let timer = self.next_timer();
            assert!(timer.is_none_or(|due| due > self.now), "a timer in the past\n{}", self.trace);
            match [timer, self.network.due()].into_iter().flatten().min() {
                Some(next) if next <= end => self.now = self.now.max(next),
                Some(_) => {
                    self.now = end;
                    return false;
                }
                None => return false,
            }
        }
    }

    /// Lets everything happen that is due now.
    pub fn exchange(&mut self) {
        loop {
            let before = self.trace.count();
            self.wake();
            while let Some((host, arrival, datagram)) = self.network.receive(self.now) {
                match self.sleeps.get_mut(&host) {
                    None => self.deliver(host, arrival, datagram),
                    Some(Sleep { inbox: Some(inbox), .. }) if inbox.len() < SOCKET_BUFFER => {
                        inbox.push((arrival, datagram));
                    }
                    Some(_) => {}
                }
            }
            let clocks: Vec<(HostId, Instant)> =
                self.machines.keys().map(|host| (*host, self.clock(*host))).collect();
            for (host, clock) in clocks {
                let Some(machine) = self.machines.get_mut(&host).filter(|_| !self.sleeps.contains_key(&host))
                else {
                    continue;
                };
                machine.handle_timeout(clock);
                let (now, max) = (self.now, self.max_datagram);
                let who = format!("host {}", host.0);
                drain(machine, clock, max, &who, &mut self.trace, |seen, datagram| {
                    // `drain` gives the path as the receiver sees it; the network wants the sender's.
                    let path = Path { carrier: seen.carrier, local: seen.remote, remote: seen.local };
                    self.network.send(now, host, path, None, datagram);
                });
            }
            if before == self.trace.count() && self.network.due().is_none_or(|due| due > self.now) {
                return;
            }
        }
    }

    fn deliver(&mut self, host: HostId, mut arrival: Arrival, mut datagram: Vec<u8>) {
        arrival.at = self.clock(host);
        if let Some(machine) = self.machines.get_mut(&host) {
            machine.handle_datagram(arrival, &mut datagram);
        }
    }

    /// Ends the sleeps that are over: what has waited is there at once.
    fn wake(&mut self) {
        while let Some(host) =
            self.sleeps.iter().find(|(_, sleep)| sleep.until <= self.now).map(|(host, _)| *host)
        {
            let inbox = self.sleeps.remove(&host).and_then(|sleep| sleep.inbox).unwrap_or_default();
            for (arrival, datagram) in inbox {
                self.deliver(host, arrival, datagram);
            }
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let machines = self.machines.iter().filter(|(host, _)| !self.sleeps.contains_key(host));
        let timers = machines.filter_map(|(host, machine)| Some(machine.poll_timeout()? + self.lag(*host)));
        timers.chain(self.sleeps.values().map(|sleep| sleep.until)).min()
    }

    fn lag(&self, host: HostId) -> Duration {
        self.lags.get(&host).copied().unwrap_or_default()
    }
}

/// Datagrams that wait in the socket of a process which is stopped.
const SOCKET_BUFFER: usize = 256;

#[cfg(test)]
mod tests {
    use proto::{Batch, Carrier, Transmit};

    use super::*;
    use crate::{Lan, Link};

    /// Says every second what time it is, to whoever is at the other end, and notes when it hears so.
    #[derive(Debug)]
    struct Talker {
        next: Instant,
        to: Path,
        heard: Vec<Duration>,
    }

    impl Machine for Talker {
        fn handle_datagram(&mut self, arrival: Arrival, _datagram: &mut [u8]) -> bool {
            self.heard.push(arrival.at - epoch());
            true
        }

        fn handle_timeout(&mut self, _now: Instant) {}

        fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
            if now < self.next {
                return None;
            }
            self.next = now + Duration::from_secs(1);
            batch.append(|out| out.put(&[1])).unwrap();
            batch.finish(self.to, None)
        }

        fn poll_timeout(&self) -> Option<Instant> {
            Some(self.next)
        }

        fn poll_event(&mut self) -> Option<String> {
            None
        }
    }

    /// Two talkers, of whom the second sleeps from 1.5 s on, for 3 s; what each has heard after 7 s.
    fn heard(sleep: impl FnOnce(&mut World<Talker>, HostId, Duration)) -> [Vec<u64>; 2] {
        let mut network = Network::new([1; 32]);
        let addresses = [1, 2].map(|last| std::net::SocketAddr::from(([192, 0, 2, last], 1)));
        let hosts = addresses.map(|it| network.add_host(Lan::Public, &[it.ip()], Link::default()));
        let mut world = World::new(network);
        for (side, host) in hosts.into_iter().enumerate() {
            let to = Path { carrier: Carrier::Udp, local: addresses[side], remote: addresses[1 - side] };
            world.machines.insert(host, Talker { next: epoch(), to, heard: Vec::new() });
        }
        world.run(Duration::from_millis(1500), |_| false);
        sleep(&mut world, hosts[1], Duration::from_secs(3));
        world.run(Duration::from_millis(5500), |_| false);
        hosts.map(|host| world.machines[&host].heard.iter().map(Duration::as_secs).collect())
    }

    #[test]
    fn a_paused_process_finds_what_has_waited_and_the_time_that_has_passed() {
        let [awake, paused] = heard(World::pause);
        // 0 and 1, then at 4.5 s, and every second from there.
        assert_eq!(awake, [0, 1, 4, 5, 6]);
        assert_eq!(paused, [0, 1, 4, 4, 4, 5, 6, 7]);
    }

    #[test]
    fn a_suspended_host_loses_what_was_sent_and_the_time() {
        let [awake, suspended] = heard(World::suspend);
        assert_eq!(awake, [0, 1, 5, 6, 7]);
        // Its clock is 3 s behind.
        assert_eq!(suspended, [0, 1, 2, 3, 4]);
    }
}
