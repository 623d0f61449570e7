//! usrsctp's example programs on 127.0.0.1, in both roles, in real time, in UDP encapsulation (RFC 6951): the port
//! numbers of UDP are the addresses. Says why and returns where they are missing.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; a real peer lives in real time"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use crypto::{HashAlgorithm, Rng};
use proto::{Instant, Writer};
use sctp::{Association, CloseReason, Config, Direction, Event, Ppid, SendError, StreamId, StreamOptions};

#[test]
fn real_usrsctp_server_reads_every_byte_that_we_send() {
    let Some(mut peer) = Peer::new(TSCTP) else { return };
    peer.start(&["-L", "127.0.0.1", "-p", "5001"]);
    std::thread::sleep(Duration::from_millis(300));
    let mut end = End::new(Association::client(Instant::default(), config(5000, 5001), [3; 32]));
    end.association.open(StreamId(0), StreamOptions::default()).unwrap();
    let message = Bytes::from((0..LEN).map(|i| i as u8).collect::<Vec<_>>());
    let (mut rest, mut sent) = (message.clone(), 0);
    let began = Clock::now();
    let reason = end.run(&peer, |association, now| {
        while sent < COUNT {
            match association.send(now, StreamId(0), Ppid(53), &mut rest, true) {
                Ok(()) => (sent, rest) = (sent + 1, message.clone()),
                Err(SendError::Blocked) => return,
                Err(error) => panic!("{error}"),
            }
        }
        association.shutdown(now);
    });
    assert_eq!((reason, sent), (CloseReason::Shutdown, COUNT));
    let megabytes = (LEN * COUNT) as f64 / 1e6;
    println!("to usrsctp: {megabytes} MB, {:.1} MB/s", megabytes / began.elapsed().as_secs_f64());
    // Length of a message, messages that it was to read, messages and bytes that it read.
    let told = peer.output().expect("its figures");
    println!("{told}");
    let counted = numbers(&told);
    assert_eq!(
        counted.get(..4),
        Some(&[LEN as u64, COUNT as u64, COUNT as u64, (LEN * COUNT) as u64][..]),
        "{told}"
    );
}

#[test]
fn real_usrsctp_client_sends_and_we_read_every_byte() {
    let Some(mut peer) = Peer::new(TSCTP) else { return };
    let (len, count) = (LEN.to_string(), COUNT.to_string());
    peer.start(&["-p", "5001", "-l", &len, "-n", &count, "127.0.0.1"]);
    // Its port is any: the INIT tells.
    let mut end = End::new(Association::server(Instant::default(), config(5001, peer.source()), [4; 32]));
    let (mut bytes, mut messages) = (0, 0);
    let began = Clock::now();
    let reason = end.run(&peer, |association, now| {
        while let Some(chunk) = association.recv(now, StreamId(0)) {
            bytes += chunk.data.len();
            messages += usize::from(chunk.end);
        }
    });
    assert_eq!((reason, messages, bytes), (CloseReason::Shutdown, COUNT, LEN * COUNT));
    let megabytes = bytes as f64 / 1e6;
    println!("from usrsctp: {megabytes} MB, {:.1} MB/s", megabytes / began.elapsed().as_secs_f64());
}

fn config(local: u16, remote: u16) -> Arc<Config> {
    let mut config = Config::default();
    (config.local_port, config.remote_port) = (local, remote);
    Arc::new(config)
}

/// What goes through usrsctp and comes back is what was sent, to the digest, whatever the link loses each way. Most
/// messages are small, one in 64 is as long as the echo takes.
#[test]
fn real_usrsctp_echoes_every_byte_under_loss() {
    for loss in [0, 10, 50] {
        let Some(mut peer) = Peer::new(ECHO) else { return };
        peer.speak(&[]);
        std::thread::sleep(Duration::from_millis(300));
        let count = testkit::scaled(1_000_000);
        let mut end = End::new(Association::client(Instant::default(), config(5000, 7), [3; 32]));
        end.lossy(loss);
        end.association.open(StreamId(3), StreamOptions::default()).unwrap();
        let mut rng = Rng::new([9; 32]);
        let [mut there, mut back] = [0; 2].map(|_| crypto::rust_crypto().hash(HashAlgorithm::Sha256));
        let (mut rest, mut sent, mut came) = (Bytes::new(), 0, 0);
        let began = Clock::now();
        let mut total = 0;
        let reason = end.run(&peer, |association, now| {
            while let Some(chunk) = association.recv(now, StreamId(3)) {
                back.update(&chunk.data);
                came += u64::from(chunk.end);
            }
            // No more at a time than the echo has room for in both directions.
            while sent < count && sent - came < 1000 {
                if rest.is_empty() {
                    let most = if rng.below(64) == 0 { 10_240 } else { 1000 };
                    let mut message = vec![0; 1 + rng.below(most) as usize];
                    rng.fill(&mut message);
                    there.update(&message);
                    total += message.len();
                    rest = Bytes::from(message);
                }
                match association.send(now, StreamId(3), Ppid(53), &mut rest, true) {
                    Ok(()) => sent += 1,
                    Err(SendError::Blocked) => return,
                    Err(error) => panic!("{error}"),
                }
            }
            if came == count {
                association.shutdown(now);
            }
        });
        assert_eq!((reason, came), (CloseReason::Shutdown, count), "{loss} in a thousand");
        assert_eq!(there.digest().as_bytes(), back.digest().as_bytes(), "{loss} in a thousand");
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{count} messages, {total} bytes there and back in {seconds:.1} s, {loss} in a thousand lost"
        );
    }
}

/// Messages of all sizes up to 256 KiB, over a link that loses one in a hundred, and all bytes are read.
#[test]
fn real_usrsctp_reads_messages_of_all_sizes_under_loss() {
    let Some(mut peer) = Peer::new(TSCTP) else { return };
    peer.start(&["-L", "127.0.0.1", "-p", "5001"]);
    std::thread::sleep(Duration::from_millis(300));
    let mut end = End::new(Association::client(Instant::default(), config(5000, 5001), [5; 32]));
    end.lossy(10);
    end.association.open(StreamId(0), StreamOptions::default()).unwrap();
    let mut rng = Rng::new([6; 32]);
    let count = testkit::scaled(50_000);
    let (mut rest, mut sent, mut total) = (Bytes::new(), 0, 0u64);
    let reason = end.run(&peer, |association, now| {
        while sent < count {
            if rest.is_empty() {
                let power = rng.below(19);
                let size = 1 + rng.below(1 << power) as usize;
                total += size as u64;
                rest = Bytes::from(vec![1; size]);
            }
            match association.send(now, StreamId(0), Ppid(53), &mut rest, true) {
                Ok(()) => sent += 1,
                Err(SendError::Blocked) => return,
                Err(error) => panic!("{error}"),
            }
        }
        if association.is_connected() {
            association.shutdown(now);
        }
    });
    assert_eq!((reason, sent), (CloseReason::Shutdown, count));
    let told = peer.output().expect("its figures");
    assert_eq!(numbers(&told).get(3), Some(&total), "{told}");
}

/// usrsctp aborts what breaks the protocol, and we hear why; after our own abort it takes a new association.
#[test]
fn real_usrsctp_aborts_and_is_aborted() {
    let Some(mut peer) = Peer::new(ECHO) else { return };
    peer.speak(&[]);
    std::thread::sleep(Duration::from_millis(300));
    let mut broken = false;
    let mut end = End::new(Association::client(Instant::default(), config(5000, 7), [7; 32]));
    end.association.open(StreamId(0), StreamOptions::default()).unwrap();
    let reason = end.run(&peer, |association, now| {
        if association.is_connected() && !std::mem::replace(&mut broken, true) {
            // A DATA chunk without data, in a packet like the next.
            association.send(now, StreamId(0), Ppid(53), &mut Bytes::from_static(b"x"), true).unwrap();
            let mut memory = [0; 2048];
            let mut out = Writer::new(&mut memory);
            assert!(association.poll_packet(now, &mut out));
            let packet = sctp::wire::Packet::decode(out.written()).unwrap();
            let (tag, data) = (packet.tag, packet.chunks().last().unwrap());
            let sctp::wire::Chunk::Data(data) = data else { panic!("{data:?}") };
            let data = sctp::wire::Data { payload: &[], ..data };
            let mut memory = [0; 100];
            let mut out = Writer::new(&mut memory);
            sctp::wire::begin_packet(&mut out, 5000, 7, tag).unwrap();
            sctp::wire::Chunk::Data(data).encode(&mut out).unwrap();
            sctp::wire::finish_packet(&mut out, 0).unwrap();
            peer.socket.send_to(out.written(), ("127.0.0.1", peer.port)).unwrap();
        }
    });
    // RFC 9260 §3.3.10.9: no user data.
    assert_eq!(reason, CloseReason::PeerAborted { cause: 9 });
    for seed in [8, 9] {
        let mut end = End::new(Association::client(Instant::default(), config(5000, 7), [seed; 32]));
        let reason = end.run(&peer, |association, now| {
            if association.is_connected() {
                association.abort(now);
            }
        });
        assert_eq!(reason, CloseReason::Aborted);
        // The ABORT is the last that is sent.
        let mut memory = [0; 2048];
        let mut out = Writer::new(&mut memory);
        while end.association.poll_packet(Instant::default(), &mut out) {
            peer.socket.send_to(out.written(), ("127.0.0.1", peer.port)).unwrap();
            out.truncate(0);
        }
    }
}

/// Streams are reset by either side (RFC 6525), and their numbers used again: `rtcweb` does so when it is told to
/// close a channel. Its establishment protocol is an old draft, of which this plays the other side.
#[test]
fn real_usrsctp_resets_streams_and_is_answered() {
    let Some(mut peer) = Peer::new(RTCWEB) else { return };
    peer.speak(&["127.0.0.1", "5001"]);
    let mut end = End::new(Association::server(Instant::default(), config(5001, peer.source()), [4; 32]));
    peer.say("open 0 0 0");
    let (mut resets, mut opened, mut rounds) = (Vec::new(), None, 0);
    let reason = end.run_with(&peer, |association, now, events| {
        for event in events {
            if let Event::Reset { stream, direction } = event {
                resets.push((*stream, *direction));
                if *direction == Direction::Incoming {
                    association.reset(now, *stream);
                } else {
                    rounds += 1;
                    peer.say("open 0 0 0");
                    opened = None;
                }
            }
        }
        for stream in (0..16).map(StreamId) {
            while let Some(chunk) = association.recv(now, stream) {
                match chunk.data.first() {
                    // Its request: our response names its stream.
                    Some(0) if opened.is_none() => {
                        opened = Some(stream);
                        association.open(stream, StreamOptions::default()).expect("its number is free");
                        let [a, b] = stream.0.to_be_bytes();
                        let mut response = Bytes::from(vec![1, 0, 0, 0, a, b]);
                        association.send(now, stream, Ppid(50), &mut response, true).unwrap();
                    }
                    // Its acknowledgement: open, and closed at once.
                    Some(2) => peer.say("close 0"),
                    other => panic!("{other:?} on {stream}: {:?}", chunk.data),
                }
            }
        }
        if rounds == 3 {
            association.abort(now);
        }
    });
    assert_eq!(reason, CloseReason::Aborted);
    let expected = [Direction::Incoming, Direction::Outgoing];
    assert!(
        resets.len() == 6 && resets.chunks(2).all(|pair| [pair[0].1, pair[1].1] == expected),
        "{resets:?}"
    );
}

/// A program as a process, and the socket that speaks with it.
struct Peer {
    program: &'static str,
    child: Option<Child>,
    told: Option<JoinHandle<Option<String>>>,
    socket: UdpSocket,
    port: u16,
}

impl Peer {
    fn new(program: &'static str) -> Option<Self> {
        if !Path::new(program).exists() {
            println!("skipped: {program} is missing (Debian: libusrsctp-examples)");
            return None;
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        Some(Self { program, child: None, told: None, socket, port })
    }

    fn start(&mut self, arguments: &[&str]) {
        let ours = self.socket.local_addr().unwrap().port();
        let mut command = Command::new(self.program);
        command.args(["-E", &self.port.to_string(), "-U", &ours.to_string()]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // Debian's build prints all that it does: only the line with the figures is kept.
        let lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
        let figures =
            |line: &String| line.split(", ").count() >= 6 && line.starts_with(|c: char| c.is_ascii_digit());
        self.told = Some(std::thread::spawn(move || {
            lines.map_while(Result::ok).map(|line| String::from_utf8_lossy(&line).into_owned()).find(figures)
        }));
        self.child = Some(child);
    }

    /// Starts a program whose first arguments are its UDP port and ours, and that hears what is said to it.
    fn speak(&mut self, arguments: &[&str]) {
        let ours = self.socket.local_addr().unwrap().port();
        let mut command = Command::new(self.program);
        command.args([self.port.to_string(), ours.to_string()]).args(arguments);
        let quiet = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(quiet.spawn().unwrap());
    }

    /// A line on its standard input.
    fn say(&self, line: &str) {
        let mut stdin = self.child.as_ref().unwrap().stdin.as_ref().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// The figures that it prints when it has read to the end.
    fn output(&mut self) -> Option<String> {
        let told = self.told.take()?;
        let began = Clock::now();
        while !told.is_finished() && began.elapsed() < LIMIT {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.stop();
        told.join().unwrap()
    }

    /// The SCTP port that the first packet comes from.
    fn source(&self) -> u16 {
        let mut memory = [0; 2048];
        let began = Clock::now();
        while began.elapsed() < LIMIT {
            if let Ok(len) = self.socket.recv(&mut memory) {
                return sctp::wire::Packet::decode(&memory[..len]).unwrap().source;
            }
        }
        panic!("nothing came");
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct End {
    association: Association,
    began: Clock,
    rng: Rng,
    /// Packets lost each way, of a thousand.
    loss: u32,
}

impl End {
    fn new(association: Association) -> Self {
        Self { association, began: Clock::now(), rng: Rng::new([1; 32]), loss: 0 }
    }

    /// From now on the link loses packets by chance, from a seed of its own.
    fn lossy(&mut self, of_a_thousand: u32) {
        self.loss = of_a_thousand;
    }

    /// Runs until the association has ended, and says why it did.
    fn run(&mut self, peer: &Peer, mut act: impl FnMut(&mut Association, Instant)) -> CloseReason {
        self.run_with(peer, |association, now, _| act(association, now))
    }

    /// The same, with the news.
    fn run_with(
        &mut self,
        peer: &Peer,
        mut act: impl FnMut(&mut Association, Instant, &[Event]),
    ) -> CloseReason {
        let mut memory = [0; 2048];
        let mut events = Vec::new();
        let limit = LIMIT + Duration::from_millis(testkit::scaled(1_000_000));
        while self.began.elapsed() < limit {
            let now = Instant::default() + self.began.elapsed();
            let association = &mut self.association;
            association.handle_timeout(now);
            act(association, now, &events);
            events.clear();
            let mut out = Writer::new(&mut memory);
            while association.poll_packet(now, &mut out) {
                if self.rng.below(1000) >= self.loss {
                    peer.socket.send_to(out.written(), ("127.0.0.1", peer.port)).unwrap();
                }
                out.truncate(0);
            }
            while let Some(event) = association.poll_event() {
                if let Event::Closed(reason) = event {
                    return reason;
                }
                events.push(event);
            }
            if let Ok((len, _)) = peer.socket.recv_from(&mut memory)
                && self.rng.below(1000) >= self.loss
            {
                let _ = association.handle_packet(now, &memory[..len]);
            }
        }
        panic!("not over in time: {:?}", self.association.stats());
    }
}

fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

const TSCTP: &str = "/usr/lib/usrsctp/tsctp";
const ECHO: &str = "/usr/lib/usrsctp/echo_server";
const RTCWEB: &str = "/usr/lib/usrsctp/rtcweb";
const LEN: usize = 1000;
const COUNT: usize = 20_000;
const LIMIT: Duration = Duration::from_secs(60);
