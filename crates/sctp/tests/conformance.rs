//! The rules that all machines obey.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crypto::Rng;
use proto::{Arrival, Batch, Instant, Path, Transmit, Writer};
use sctp::{
    Association, Config, Discard, Event, Ppid, Priority, Reliability, SendError, StreamId, StreamOptions,
};
use testkit::{Link, Machine, Pair};

/// One end that sends messages of all kinds as long as there are any, and reads all that comes.
struct End {
    association: Association,
    path: Path,
    left: usize,
    rest: Bytes,
    read: usize,
}

impl End {
    fn new(association: Association, path: Path, messages: usize) -> Self {
        let mut end = Self { association, path, left: messages, rest: Bytes::new(), read: 0 };
        for (stream, options) in [
            (0, StreamOptions::default()),
            (1, StreamOptions::new(true, Reliability::MaxRetransmits(1), Priority::NORMAL)),
            (
                2,
                StreamOptions::new(
                    false,
                    Reliability::MaxLifetime(Duration::from_millis(60)),
                    Priority::NORMAL,
                ),
            ),
        ] {
            end.association.open(StreamId(stream), options).unwrap();
        }
        end
    }

    fn send(&mut self, now: Instant) {
        while self.left > 0 {
            if self.rest.is_empty() {
                self.rest = Bytes::from(vec![7; self.left * 37 % 4000 + 1]);
            }
            let stream = StreamId(u16::try_from(self.left % 3).unwrap());
            match self.association.send(now, stream, Ppid(53), &mut self.rest, true) {
                Ok(()) => self.left -= 1,
                Err(SendError::Blocked) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Machine for End {
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool {
        self.association.handle_packet(arrival.at, datagram).is_ok()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        testkit::transmit_packet(batch, self.path, |out| self.association.poll_packet(now, out))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }
    fn poll_event(&mut self) -> Option<String> {
        let event = self.association.poll_event()?;
        if let Event::Readable(stream) = event {
            while let Some(chunk) = self.association.recv(Instant::default(), stream) {
                self.read += chunk.data.len();
            }
        }
        if let Event::Connected | Event::Writable(_) = event {
            self.send(Instant::default());
        }
        Some(format!("{event:?} {}", self.read))
    }
}

fn config(buffer: usize) -> Arc<Config> {
    let mut config = Config::default();
    (config.send_buffer, config.receive_window) = (buffer, 64 << 10);
    Arc::new(config)
}

#[test]
fn the_rules_of_machines_hold() {
    let to_b = testkit::path("192.0.2.1:1", "192.0.2.2:2");
    let to_a = Path { local: to_b.remote, remote: to_b.local, ..to_b };
    for server in [false, true] {
        testkit::conformance::check(Duration::from_secs(70), |seed| {
            let now = testkit::epoch();
            let a = Association::client(now, config(50_000), seed);
            let b = if server { Association::server } else { Association::client };
            let b = b(now, config(50_000), crypto::derive_seed(&seed, "b"));
            let link = Link { delay: Duration::from_millis(20), loss: 0.1, ..Link::default() };
            let mut pair = Pair::new(End::new(a, to_b, 200), End::new(b, to_a, 100), link, seed);
            pair.max_datagram = 1188;
            pair
        });
    }
}

/// Two victims with equal seeds and inputs, one of which also gets what is refused: what they send, report and
/// plan stays equal.
#[test]
fn what_is_refused_leaves_no_trace() {
    let mut rng = Rng::new([9; 32]);
    let mut refusals: Vec<Discard> = Vec::new();
    let mut now = testkit::epoch();
    let made = |seed| Association::client(now, config(200_000), [seed; 32]);
    let (mut peer, mut plain, mut bothered) = (made(1), made(2), made(2));
    let mut history: Vec<Vec<u8>> = Vec::new();
    for end in [&mut peer, &mut plain, &mut bothered] {
        end.open(StreamId(0), StreamOptions::default()).unwrap();
        end.send(now, StreamId(0), Ppid(53), &mut Bytes::from(vec![3; 150_000]), true).unwrap();
    }
    for round in 0..400 {
        now += Duration::from_millis(7);
        for packet in written(&mut peer, now) {
            // The peer's packets, each with a fault, go to one of the two alone.
            for fault in 0..4 {
                let mut copy = packet.clone();
                let at = rng.below(u32::try_from(copy.len()).unwrap()) as usize;
                match fault {
                    0 => copy.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x10),
                    1 => copy.truncate(at),
                    2 => {
                        // Ports and tags that are not ours, under a right sum.
                        copy.iter_mut().skip(at % 8).take(1).for_each(|byte| *byte ^= 1);
                        seal(&mut copy);
                    }
                    _ => rng.fill(&mut copy),
                }
                refusals.push(bothered.handle_packet(now, &copy).unwrap_err());
            }
            let taken = [&mut plain, &mut bothered].map(|end| end.handle_packet(now, &packet));
            assert_eq!(taken[0], taken[1]);
            history.push(packet);
        }
        let ends = [&mut plain, &mut bothered];
        let [a, b] = ends.map(|end| {
            end.handle_timeout(now);
            let sent = written(end, now);
            let events: Vec<Event> = std::iter::from_fn(|| end.poll_event()).collect();
            let read: usize = std::iter::from_fn(|| end.recv(now, StreamId(0))).map(|it| it.data.len()).sum();
            (sent, events, read, end.poll_timeout())
        });
        assert_eq!(a, b, "round {round}");
        for packet in a.0.iter().filter(|_| rng.below(10) > 0) {
            let _ = peer.handle_packet(now, packet);
        }
        while peer.poll_event().is_some() {}
        while peer.recv(now, StreamId(0)).is_some() {}
    }
    assert!(history.len() > 100, "{}", history.len());
    assert!(peer.is_connected() && plain.is_connected());
    for kind in [Discard::Checksum, Discard::Ports, Discard::Tag] {
        assert!(refusals.contains(&kind), "{kind:?}");
    }
    assert!(refusals.iter().any(|discard| matches!(discard, Discard::Malformed(_))));
}

fn written(end: &mut Association, now: Instant) -> Vec<Vec<u8>> {
    let (mut packets, mut memory) = (Vec::new(), [0; 2000]);
    let mut out = Writer::new(&mut memory);
    while end.poll_packet(now, &mut out) {
        packets.push(out.written().to_vec());
        out.truncate(0);
    }
    packets
}

fn seal(packet: &mut [u8]) {
    let copy = packet.to_vec();
    let mut out = Writer::new(packet);
    out.put(&copy).unwrap();
    sctp::wire::finish_packet(&mut out, 0).unwrap();
}
