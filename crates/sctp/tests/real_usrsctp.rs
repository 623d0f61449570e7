//! usrsctp's `tsctp` on 127.0.0.1, in both roles, in real time, in UDP encapsulation (RFC 6951): the port
//! numbers of UDP are the addresses. Says why and returns where there is no `tsctp`.
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

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use proto::{Instant, Writer};
use sctp::{Association, CloseReason, Config, Event, Ppid, SendError, StreamId, StreamOptions};

#[test]
fn real_usrsctp_server_reads_every_byte_that_we_send() {
    let Some(mut peer) = Peer::new("server") else { return };
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
    let Some(mut peer) = Peer::new("client") else { return };
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

/// `tsctp` as a process, and the socket that speaks with it.
struct Peer {
    child: Option<Child>,
    told: Option<JoinHandle<Option<String>>>,
    socket: UdpSocket,
    port: u16,
}

impl Peer {
    fn new(role: &str) -> Option<Self> {
        if !Path::new(TSCTP).exists() {
            println!("not run: {TSCTP} is missing (Debian: libusrsctp-examples); as its {role}");
            return None;
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        Some(Self { child: None, told: None, socket, port })
    }

    fn start(&mut self, arguments: &[&str]) {
        let ours = self.socket.local_addr().unwrap().port();
        let mut command = Command::new(TSCTP);
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

    /// The figures that it prints when it has read to the end.
    fn output(&mut self) -> Option<String> {
        std::thread::sleep(Duration::from_secs(1));
        self.stop();
        self.told.take()?.join().unwrap()
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
}

impl End {
    fn new(association: Association) -> Self {
        Self { association, began: Clock::now() }
    }

    /// Runs until the association has ended, and says why it did.
    fn run(&mut self, peer: &Peer, mut act: impl FnMut(&mut Association, Instant)) -> CloseReason {
        let mut memory = [0; 2048];
        while self.began.elapsed() < LIMIT {
            let now = Instant::default() + self.began.elapsed();
            let association = &mut self.association;
            association.handle_timeout(now);
            act(association, now);
            let mut out = Writer::new(&mut memory);
            while association.poll_packet(now, &mut out) {
                peer.socket.send_to(out.written(), ("127.0.0.1", peer.port)).unwrap();
                out.truncate(0);
            }
            while let Some(event) = association.poll_event() {
                if let Event::Closed(reason) = event {
                    return reason;
                }
            }
            if let Ok((len, _)) = peer.socket.recv_from(&mut memory) {
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
const LEN: usize = 1000;
const COUNT: usize = 20_000;
const LIMIT: Duration = Duration::from_secs(60);
