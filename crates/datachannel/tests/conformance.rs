//! The rules that all machines obey.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::time::Duration;

use crypto::{Rng, derive_seed};
use datachannel::{Channels, Config, Event, Init, Kind, Outgoing, Reliability, Role, SendError};
use proto::{Arrival, Batch, Instant, Path, Transmit, Writer};
use testkit::{Link, Machine, Pair};

/// One end that opens channels of all kinds, sends on them as they open, and reads and closes what comes.
struct End {
    channels: Channels,
    path: Path,
    read: usize,
}

impl End {
    fn new(role: Role, path: Path, seed: [u8; 32]) -> Self {
        let now = testkit::epoch();
        let mut channels = Channels::new(now, Config::default(), seed);
        channels.set_role(now, role);
        for (ordered, reliability) in [
            (true, Reliability::Reliable),
            (false, Reliability::MaxRetransmits(1)),
            (true, Reliability::MaxLifetime(Duration::from_millis(60))),
        ] {
            let init = Init { label: format!("{reliability:?}"), ordered, reliability, ..Init::default() };
            channels.open(now, init).unwrap();
        }
        Self { channels, path, read: 0 }
    }

    fn react(&mut self, event: Event) {
        let now = Instant::default();
        match event {
            Event::Open(id) => {
                for len in [0, 1, 5_000, 60_000] {
                    let sent = self.channels.send(now, id, &mut Outgoing::new(Kind::Binary, vec![1; len]));
                    assert!(matches!(sent, Ok(()) | Err(SendError::Closed)), "{sent:?}");
                }
            }
            Event::Readable(id) => {
                while let Some(part) = self.channels.recv(now, id) {
                    self.read += part.data.len();
                }
                if self.read > 200_000 {
                    self.channels.close(now, id);
                }
            }
            _ => {}
        }
    }
}

impl Machine for End {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        self.channels.handle_packet(arrival.at, datagram).is_ok()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.channels.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        testkit::transmit_packet(batch, self.path, |out| self.channels.poll_packet(now, out))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.channels.poll_timeout()
    }
    fn poll_event(&mut self) -> Option<String> {
        let event = self.channels.poll_event()?;
        self.react(event);
        Some(format!("{event:?} {}", self.read))
    }
}

#[test]
fn the_rules_of_machines_hold() {
    let to_b = testkit::path("192.0.2.1:1", "192.0.2.2:2");
    let to_a = Path { local: to_b.remote, remote: to_b.local, ..to_b };
    testkit::conformance::check(Duration::from_secs(70), |seed| {
        let a = End::new(Role::Client, to_b, seed);
        let b = End::new(Role::Server, to_a, derive_seed(&seed, "b"));
        let link = Link { delay: Duration::from_millis(20), loss: 0.1, ..Link::default() };
        let mut pair = Pair::new(a, b, link, seed);
        pair.max_datagram = 1188;
        pair
    });
}

/// Two ends with equal seeds and inputs, one of which also gets what is refused.
#[test]
fn what_is_refused_leaves_no_trace() {
    let mut now = testkit::epoch();
    let path = testkit::path("192.0.2.1:1", "192.0.2.2:2");
    let mut peer = End::new(Role::Client, path, [1; 32]);
    let mut twins = [0, 1].map(|_| End::new(Role::Server, path, [2; 32]));
    let mut rng = Rng::new([3; 32]);
    let mut refused = 0;
    for round in 0..300 {
        now += Duration::from_millis(11);
        for packet in written(&mut peer, now) {
            for _ in 0..3 {
                let mut copy = packet.clone();
                let at = rng.below(u32::try_from(copy.len()).unwrap()) as usize;
                copy.iter_mut().skip(at).take(2).for_each(|byte| *byte ^= 0x5a);
                assert!(twins[1].channels.handle_packet(now, &copy).is_err());
                refused += 1;
            }
            let [a, b] = twins.each_mut().map(|twin| twin.channels.handle_packet(now, &packet));
            assert_eq!(a, b);
        }
        let [a, b] = twins.each_mut().map(|twin| {
            twin.handle_timeout(now);
            let sent = written(twin, now);
            let events: Vec<String> = std::iter::from_fn(|| twin.poll_event()).collect();
            (sent, events, twin.poll_timeout())
        });
        assert_eq!(a, b, "round {round}");
        for packet in a.0.iter().filter(|_| rng.below(10) > 0) {
            let _ = peer.channels.handle_packet(now, packet);
        }
        peer.handle_timeout(now);
        while peer.poll_event().is_some() {}
    }
    assert!(refused > 300 && twins[0].read > 100_000, "{refused} refused, {} read", twins[0].read);
}

fn written(end: &mut End, now: Instant) -> Vec<Vec<u8>> {
    let (mut packets, mut memory) = (Vec::new(), [0; 2000]);
    let mut out = Writer::new(&mut memory);
    while end.channels.poll_packet(now, &mut out) {
        packets.push(out.written().to_vec());
        out.truncate(0);
    }
    packets
}
