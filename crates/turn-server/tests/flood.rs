//! Twenty thousand strangers a second at a server that is at work (THREATS T4, T6).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use turn::server::RelayAddress;
use turn::{Arrival, Batch, Carrier, Client, Credentials, Path, client};
use turn_server::{Config, Server};

/// An Allocate with REQUESTED-TRANSPORT alone: the smallest that there is.
const ALLOCATE: [u8; 28] =
    [0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0x19, 0, 4, 17, 0, 0, 0];

/// A client with a channel to a peer of its own.
struct Caller {
    socket: UdpSocket,
    client: Client,
    path: Path,
    peer: UdpSocket,
    relayed: SocketAddr,
}

impl Caller {
    fn new(server: SocketAddr, number: u8) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 2, 0, number], 0))).unwrap();
        let peer = UdpSocket::bind(("127.0.0.3", 0)).unwrap();
        for socket in [&socket, &peer] {
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        }
        let path = Path { carrier: Carrier::Udp, local: socket.local_addr().unwrap(), remote: server };
        let credentials = Credentials::new("u", "p").unwrap();
        let config = client::Config::new(crypto::default_provider());
        let mut client = Client::new(config, credentials, path, [number; 32]);
        client.allocate(now());
        client.bind_channel(now(), peer.local_addr().unwrap()).unwrap();
        let mut caller = Self { socket, client, path, peer, relayed: server };
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut is_bound = false;
        while !is_bound {
            assert!(Instant::now() < deadline, "no channel");
            let mut memory = [0; 1500];
            let mut batch = Batch::new(&mut memory, 1, 1500);
            while caller.client.poll_transmit(now(), &mut batch).is_some() {
                caller.socket.send_to(batch.bytes(), server).unwrap();
                batch.clear();
            }
            caller.receive();
            while let Some(event) = caller.client.poll_event() {
                match event {
                    client::Event::Allocated { relayed, .. } => caller.relayed = relayed,
                    client::Event::ChannelBound(_) => is_bound = true,
                    client::Event::Failed(failure) => panic!("{failure}"),
                    _ => {}
                }
            }
        }
        caller
    }

    /// One datagram of the server's; whether it was the peer's data.
    fn receive(&mut self) -> bool {
        let mut memory = [0; 1500];
        let Ok(len) = self.socket.recv(&mut memory) else { return false };
        let arrival = Arrival { path: self.path, ecn: None, at: now() };
        let received = self.client.handle_datagram(arrival, &mut memory[..len]);
        matches!(received, Ok(client::Received::Data { .. }))
    }

    /// One datagram each way.
    fn send(&mut self) {
        let mut memory = [0; 1500];
        let mut batch = Batch::new(&mut memory, 1, 1500);
        let peer = self.peer.local_addr().unwrap();
        self.client
            .send_with(peer, &mut batch, |out| Ok::<_, client::SendError>(out.put(&[7; 500])?))
            .unwrap();
        self.socket.send_to(batch.bytes(), self.path.remote).unwrap();
        self.peer.send_to(&[8; 500], self.relayed).unwrap();
    }

    /// How many of the two have arrived.
    fn arrived(&mut self) -> u64 {
        let there = matches!(self.peer.recv(&mut [0; 1500]), Ok(500));
        u64::from(there) + u64::from(self.receive())
    }
}

/// What the callers sent, and what of it arrived, until they are to stop.
fn relay(callers: &mut [Caller], stop: &AtomicBool) -> (u64, u64) {
    let (mut sent, mut arrived) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        for caller in &mut *callers {
            caller.send();
            sent += 2;
        }
        arrived += callers.iter_mut().map(Caller::arrived).sum::<u64>();
        thread::sleep(Duration::from_millis(20).saturating_sub(start.elapsed()));
    }
    (sent, arrived)
}

/// Twenty Allocates each millisecond; how many, how many were answered, and the longest answer.
fn flood(server: SocketAddr, stop: &AtomicBool) -> (u64, u64, usize) {
    let sockets: Vec<UdpSocket> =
        (1..=20).map(|n| UdpSocket::bind(SocketAddr::from(([127, 3, n, 1], 0))).unwrap()).collect();
    sockets.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
    let (start, mut sent, mut answers, mut longest) = (Instant::now(), 0_u64, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        // Late milliseconds are made up for.
        let due = u64::try_from(start.elapsed().as_millis()).unwrap() * 20;
        while sent < due {
            let socket = &sockets[usize::try_from(sent % 20).unwrap()];
            // What the system has no room for was none of the flood.
            sent += u64::from(socket.send_to(&ALLOCATE, server).is_ok());
        }
        for socket in &sockets {
            while let Ok(len) = socket.recv(&mut [0; 1500]) {
                answers += 1;
                longest = len.max(longest);
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    (sent, answers, longest)
}

struct Outcome {
    flooded: u64,
    answers: u64,
    longest: usize,
    sent: u64,
    arrived: u64,
    kept: i64,
}

fn measure(seconds: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = Config::at(([127, 0, 0, 2], 0).into()).user("u", "p").unwrap();
    let relay_ip = [127, 0, 0, 2].into();
    config.turn.relays = vec![RelayAddress { local: relay_ip, external: relay_ip }];
    config.turn.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
    config.turn.max_allocations_per_user = 50;
    // The callers share a network here.
    config.turn.max_refusals_per_second = 200;
    let server = runtime.block_on(Server::bind(config)).unwrap();
    let address = server.local_addr();
    let made = thread::spawn(move || (1..=50).map(|n| Caller::new(address, n)).collect::<Vec<_>>());
    runtime.block_on(async {
        while !made.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut callers = made.join().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let relaying = thread::spawn({
        let stop = stop.clone();
        move || relay(&mut callers, &stop)
    });
    // Queues are as long as they get.
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(500)).await });
    let mut flooded = (0, 0, 0);
    let memory = allocation_counter::measure(|| {
        let flooding = thread::spawn({
            let stop = stop.clone();
            move || flood(address, &stop)
        });
        runtime.block_on(async { tokio::time::sleep(Duration::from_secs(seconds)).await });
        stop.store(true, Ordering::Relaxed);
        flooded = flooding.join().unwrap();
    });
    let (sent, arrived) = runtime.block_on(async {
        while !relaying.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        relaying.join().unwrap()
    });
    assert_eq!(runtime.block_on(server.stats()).unwrap().turn.allocations, 50);
    let (flooded, answers, longest) = flooded;
    Outcome { flooded, answers, longest, sent, arrived, kept: memory.bytes_current }
}

#[test]
fn real_twenty_thousand_strangers_a_second_cost_little_and_leave_nothing() {
    let seconds = testkit::scaled_at_least(10, 2);
    // What gets lost where other programs want the processors is not the server's: there are several tries.
    for try_number in 1.. {
        let Outcome { flooded, answers, longest, sent, arrived, kept } = measure(seconds);
        println!(
            "{flooded} strangers in {seconds} s got {answers} answers of {longest} bytes at most, {kept} kept; {arrived} of {sent} relayed"
        );
        assert!(
            longest <= 3 * ALLOCATE.len() && (1..=flooded).contains(&answers),
            "{longest} bytes, {answers}"
        );
        assert!(kept <= 1 << 20, "{kept} bytes");
        let is_flood = flooded >= 19_000 * seconds && sent > 1_000 * seconds;
        if is_flood && arrived * 100 >= sent * 99 {
            break;
        }
        assert!(try_number < 5, "{flooded} strangers in {seconds} s, {arrived} of {sent} relayed");
    }
}

fn now() -> turn::Instant {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    turn::Instant::from_nanos(1) + START.elapsed()
}
