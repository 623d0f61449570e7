//! Connections to peers through TCP allocations (RFC 6062): our client against our server, and against coturn's.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proto::{Arrival, Batch, Carrier, Instant, Path};
use stun::Credentials;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use turn::Client;
use turn::client::{self, DataConnection, DataEvent, Event};
use turn::server::RelayAddress;
use turn::wire::{ConnectionId, frame_len};
use turn_server::{Config, Server, Stats};

/// Nothing here takes so long.
const LONG: Duration = Duration::from_secs(20);

fn ip(last: u8) -> IpAddr {
    [127, 0, 3, last].into()
}

/// The server at an address of its own: nobody is relayed to where it listens.
fn config(last: u8) -> Config {
    let mut config = Config::at(SocketAddr::new(ip(last), 0)).user("alice", "wonderland").unwrap();
    config.turn.relays = vec![RelayAddress { local: ip(last), external: ip(last) }];
    config.turn.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
    config.turn.tcp_relays = true;
    config
}

/// Our client on its control connection.
struct Control {
    client: Client,
    stream: TcpStream,
    start: std::time::Instant,
    kept: Vec<u8>,
}

fn path_of(stream: &TcpStream) -> Path {
    Path {
        carrier: Carrier::Stream,
        local: stream.local_addr().unwrap(),
        remote: stream.peer_addr().unwrap(),
    }
}

fn request(mut poll: impl FnMut(&mut Batch<'_>) -> bool) -> Option<Vec<u8>> {
    let mut memory = [0; 1500];
    let mut batch = Batch::new(&mut memory, 1, 1500);
    poll(&mut batch).then(|| batch.bytes().to_vec())
}

impl Control {
    /// With an allocation over TCP; its relayed address.
    async fn new(server: SocketAddr) -> (Self, SocketAddr) {
        let stream = TcpStream::connect(server).await.unwrap();
        let mut config = client::Config::new(crypto::default_provider());
        config.tcp = true;
        let credentials = Credentials::new("alice", "wonderland").unwrap();
        let client = Client::new(config, credentials, path_of(&stream), [3; 32]);
        let mut control = Self { client, stream, start: std::time::Instant::now(), kept: Vec::new() };
        let now = control.now();
        control.client.allocate(now);
        let Event::Allocated { relayed, .. } = control.next().await else { panic!("no allocation") };
        (control, relayed)
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap())
    }

    async fn next(&mut self) -> Event {
        timeout(LONG, self.wait()).await.expect("an event")
    }

    async fn wait(&mut self) -> Event {
        loop {
            let now = self.now();
            while let Some(bytes) = request(|batch| self.client.poll_transmit(now, batch).is_some()) {
                self.stream.write_all(&bytes).await.unwrap();
            }
            if let Some(event) = self.client.poll_event() {
                return event;
            }
            let mut more = [0; 2000];
            let len = self.stream.read(&mut more).await.unwrap();
            assert!(len > 0, "the control connection is over");
            self.kept.extend_from_slice(&more[..len]);
            while let Some(len) = frame_len(&self.kept, 65_536).unwrap().filter(|len| *len <= self.kept.len())
            {
                let mut frame: Vec<u8> = self.kept.drain(..len).collect();
                let arrival = Arrival { path: path_of(&self.stream), ecn: None, at: self.now() };
                let _ = self.client.handle_datagram(arrival, &mut frame).unwrap();
            }
        }
    }

    async fn permit(&mut self, peer: IpAddr) {
        let now = self.now();
        self.client.permit(now, peer).unwrap();
        assert_eq!(self.next().await, Event::Permitted(peer));
    }

    async fn connect(&mut self, peer: SocketAddr) -> ConnectionId {
        let now = self.now();
        self.client.connect(now, peer).unwrap();
        let event = self.next().await;
        let Event::Connected { connection, peer: to } = event else { panic!("{event:?}") };
        assert_eq!(to, peer);
        connection
    }

    /// A connection that asks to go on in the peer's, and its first request.
    async fn ask(&mut self, connection: ConnectionId) -> (TcpStream, DataConnection, Vec<u8>) {
        let stream = TcpStream::connect(self.stream.peer_addr().unwrap()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let now = self.now();
        let mut data = self.client.bind_connection(now, connection, path_of(&stream)).unwrap();
        let bytes = request(|batch| data.poll_transmit(now, batch).is_some()).unwrap();
        (stream, data, bytes)
    }

    /// One that does.
    async fn bind(&mut self, connection: ConnectionId) -> TcpStream {
        let (mut stream, mut data, mut bytes) = self.ask(connection).await;
        loop {
            stream.write_all(&bytes).await.unwrap();
            let frame = timeout(LONG, message(&mut stream)).await.unwrap();
            let now = self.now();
            data.handle_datagram(Arrival { path: data.path(), ecn: None, at: now }, &frame).unwrap();
            match data.poll_event() {
                Some(DataEvent::Bound) => return stream,
                Some(other) => panic!("{other:?}"),
                None => bytes = request(|batch| data.poll_transmit(now, batch).is_some()).unwrap(),
            }
        }
    }
}

/// One whole message, and nothing behind it.
async fn message(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes).await.unwrap();
    let len = frame_len(&bytes, 65_536).unwrap().unwrap();
    bytes.resize(len, 0);
    stream.read_exact(&mut bytes[4..]).await.unwrap();
    bytes
}

async fn listener(last: u8) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((ip(last), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Bytes that do not repeat soon.
fn pattern(len: usize) -> Vec<u8> {
    (0_u32..).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).take(len).collect()
}

/// Until the figures are so.
async fn comes_true(server: &Server, is_so: impl Fn(&Stats) -> bool) -> Stats {
    let mut stats = server.stats().await.unwrap();
    for _ in 0..500 {
        if is_so(&stats) {
            return stats;
        }
        sleep(Duration::from_millis(10)).await;
        stats = server.stats().await.unwrap();
    }
    panic!("{stats:?}")
}

/// A joined pair: the client's end, the peer's, and the control connection.
async fn joined(server: SocketAddr, peer: u8) -> (TcpStream, TcpStream, Control) {
    let (mut control, relayed) = Control::new(server).await;
    let (listener, address) = listener(peer).await;
    let id = control.connect(address).await;
    let (far, from) = listener.accept().await.unwrap();
    assert_eq!(from, relayed, "from the relayed address");
    far.set_nodelay(true).unwrap();
    (control.bind(id).await, far, control)
}

/// 10 kB byte by byte, both ways.
async fn carries_bytes(near: &mut TcpStream, far: &mut TcpStream) {
    carries(near, far).await;
    carries(far, near).await;
}

async fn carries(one: &mut TcpStream, other: &mut TcpStream) {
    let bytes = pattern(10_000);
    let write = async {
        for byte in &bytes {
            one.write_all(std::slice::from_ref(byte)).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let mut got = vec![0; bytes.len()];
    let ((), read) = tokio::join!(write, timeout(LONG, other.read_exact(&mut got)));
    read.unwrap().unwrap();
    assert!(got == bytes);
}

/// THREATS T9.
#[tokio::test]
async fn real_bytes_go_both_ways_in_whatever_pieces_and_each_end_is_told() {
    let server = Server::bind(config(1)).await.unwrap();
    let (mut near, mut far, _control) = joined(server.tcp_addresses()[0], 2).await;
    carries_bytes(&mut near, &mut far).await;
    // One side has said everything, the other has not.
    near.shutdown().await.unwrap();
    assert_eq!(timeout(LONG, far.read(&mut [0; 9])).await.unwrap().unwrap(), 0);
    far.write_all(b"one more thing").await.unwrap();
    let mut last = [0; 14];
    timeout(LONG, near.read_exact(&mut last)).await.unwrap().unwrap();
    assert_eq!(&last, b"one more thing");
    assert_eq!(server.stats().await.unwrap().turn.connections, 1);
    far.shutdown().await.unwrap();
    assert_eq!(timeout(LONG, near.read(&mut [0; 9])).await.unwrap().unwrap(), 0);
    let stats = comes_true(&server, |stats| stats.turn.connections == 0).await;
    assert_eq!((stats.connections, stats.turn.relayed_bytes, stats.turn.joined), (1, 20_014, 1));
}

/// What a client sends behind its request, without waiting for the answer, is the peer's.
#[tokio::test]
async fn real_what_is_sent_behind_the_request_is_not_lost() {
    let server = Server::bind(config(3)).await.unwrap();
    let (mut control, _) = Control::new(server.tcp_addresses()[0]).await;
    let (listener, address) = listener(4).await;
    let bytes = pattern(40_000);
    // The request alone cut anywhere, and then whole with everything behind it.
    for cut in [1, 4, 19, 20, 57, 10_000] {
        let id = control.connect(address).await;
        let (mut far, _) = listener.accept().await.unwrap();
        let (mut stream, mut data, request) = control.ask(id).await;
        let all = [&request[..], &bytes].concat();
        stream.write_all(&all[..cut]).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        stream.write_all(&all[cut..]).await.unwrap();
        let mut got = vec![0; bytes.len()];
        timeout(LONG, far.read_exact(&mut got)).await.unwrap().unwrap();
        assert!(got == bytes, "cut at {cut}");
        let answer = message(&mut stream).await;
        let now = control.now();
        data.handle_datagram(Arrival { path: data.path(), ecn: None, at: now }, &answer).unwrap();
        assert_eq!(data.poll_event(), Some(DataEvent::Bound), "without a challenge");
        drop((stream, far));
        comes_true(&server, |stats| stats.turn.connections == 0).await;
    }
}

/// THREATS T9: what waits is bounded, and whoever sends has to wait.
#[tokio::test]
async fn real_a_slow_reader_holds_up_the_sender_and_loses_nothing() {
    let server = Server::bind(config(5)).await.unwrap();
    let (near, far, _control) = joined(server.tcp_addresses()[0], 6).await;
    let bytes = pattern(48 * 1024 * 1024);
    let mut before = server.stats().await.unwrap().turn.relayed_bytes;
    let ((near_reader, near_writer), (far_reader, far_writer)) =
        (tokio::io::split(near), tokio::io::split(far));
    for (mut writer, mut reader) in [(near_writer, far_reader), (far_writer, near_reader)] {
        let all = bytes.clone();
        let sending = tokio::spawn(async move { writer.write_all(&all).await.unwrap() });
        // Until nothing moves any more.
        let mut stalled = 0;
        let mut last = before;
        while stalled < 10 {
            sleep(Duration::from_millis(50)).await;
            let now = server.stats().await.unwrap().turn.relayed_bytes;
            stalled = if now == last { stalled + 1 } else { 0 };
            last = now;
        }
        let taken = usize::try_from(last - before).unwrap();
        assert!(taken < bytes.len() / 2 && !sending.is_finished(), "{taken} bytes and nobody reads");
        let mut got = vec![0; bytes.len()];
        timeout(LONG, reader.read_exact(&mut got)).await.unwrap().unwrap();
        assert!(got == bytes);
        sending.await.unwrap();
        before = server.stats().await.unwrap().turn.relayed_bytes;
    }
    assert_eq!(server.stats().await.unwrap().dropped, 0);
}

#[tokio::test]
async fn real_peers_that_come_are_announced_and_others_turned_away() {
    let server = Server::bind(config(7)).await.unwrap();
    let (mut control, relayed) = Control::new(server.tcp_addresses()[0]).await;
    control.permit(ip(8)).await;
    let come = |last: u8| async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ip(last), 0)).unwrap();
        socket.connect(relayed).await.unwrap()
    };
    let mut stranger = come(9).await;
    let ended = timeout(LONG, stranger.read(&mut [0; 9])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let mut far = come(8).await;
    // It need not wait for anybody.
    far.write_all(b"already here").await.unwrap();
    let Event::Attempted { connection, peer } = control.next().await else { panic!() };
    assert_eq!(peer, far.local_addr().unwrap());
    let mut near = control.bind(connection).await;
    let mut got = [0; 12];
    timeout(LONG, near.read_exact(&mut got)).await.unwrap().unwrap();
    assert_eq!(&got, b"already here");
    carries_bytes(&mut near, &mut far).await;
    // Everything ends with the allocation.
    let now = control.now();
    control.client.release(now);
    assert_eq!(control.next().await, Event::Released);
    for stream in [&mut near, &mut far] {
        let ended = timeout(LONG, stream.read(&mut [0; 9])).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    let stats = comes_true(&server, |stats| stats.turn.connections == 0 && stats.connections == 1).await;
    assert_eq!(stats.turn.allocations, 0);
    assert!(TcpListener::bind(relayed).await.is_ok(), "nobody listens there any more");
}

/// THREATS T9: half-open connections, of each kind.
#[tokio::test]
async fn real_what_is_not_reached_not_come_for_or_half_closed_ends_in_time() {
    let mut config = config(10);
    config.turn.bind_timeout = Duration::from_millis(400);
    config.turn.connect_timeout = Duration::from_millis(400);
    config.half_closed_timeout = Duration::from_millis(400);
    let server = Server::bind(config).await.unwrap();
    let (mut control, _) = Control::new(server.tcp_addresses()[0]).await;
    let (closed, address) = listener(11).await;
    drop(closed);
    let now = control.now();
    control.client.connect(now, address).unwrap();
    assert_eq!(control.next().await, Event::NotConnected(address, Some(447)));
    // Nobody comes for it.
    let (listener, address) = listener(12).await;
    control.connect(address).await;
    let (mut far, _) = listener.accept().await.unwrap();
    let ended = timeout(LONG, far.read(&mut [0; 9])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert_eq!(server.stats().await.unwrap().turn.connections, 0);
    // Nobody answers: the queue of a listener that does not accept is full.
    let deaf = socket_that_is_deaf().await;
    let now = control.now();
    control.client.connect(now, deaf.1).unwrap();
    assert_eq!(control.next().await, Event::NotConnected(deaf.1, Some(447)));
    // One side has ended, and the other never will.
    let id = control.connect(address).await;
    let (mut far, _) = listener.accept().await.unwrap();
    let mut near = control.bind(id).await;
    near.write_all(b"x").await.unwrap();
    near.shutdown().await.unwrap();
    let mut got = [0; 2];
    assert_eq!(timeout(LONG, far.read(&mut got)).await.unwrap().unwrap(), 1);
    assert_eq!(timeout(LONG, far.read(&mut got)).await.unwrap().unwrap(), 0);
    // As long as it says something it is heard.
    for _ in 0..6 {
        sleep(Duration::from_millis(150)).await;
        far.write_all(b"y").await.unwrap();
        assert_eq!(timeout(LONG, near.read(&mut got)).await.unwrap().unwrap(), 1);
    }
    assert_eq!(timeout(LONG, near.read(&mut got)).await.unwrap().unwrap_or(0), 0);
    comes_true(&server, |stats| stats.turn.connections == 0 && stats.connections == 1).await;
}

/// A listener whose queue is full, and who fills it.
async fn socket_that_is_deaf() -> (TcpListener, SocketAddr, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(ip(13), 0)).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut fill = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        assert!(fill.len() < 100, "it hears everybody");
        fill.push(stream);
    }
    (listener, address, fill)
}

#[tokio::test]
async fn real_bandwidth_slows_a_sender_down_and_nothing_is_lost() {
    let mut config = config(14);
    config.turn.max_bandwidth = Some(400_000);
    let server = Server::bind(config).await.unwrap();
    let (mut near, mut far, _control) = joined(server.tcp_addresses()[0], 15).await;
    let bytes = pattern(800_000);
    let begin = std::time::Instant::now();
    let mut got = vec![0; bytes.len()];
    let (sent, read) = tokio::join!(near.write_all(&bytes), timeout(LONG, far.read_exact(&mut got)));
    sent.unwrap();
    read.unwrap().unwrap();
    let took = begin.elapsed();
    assert!(got == bytes);
    // A second's worth at once, and the rest as it may.
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn real_clients_come_for_connections_while_the_server_drains() {
    let server = std::sync::Arc::new(Server::bind(config(16)).await.unwrap());
    let address = server.tcp_addresses()[0];
    let (mut control, _) = Control::new(address).await;
    let (listener, peer) = listener(17).await;
    let draining = tokio::spawn({
        let server = server.clone();
        async move { server.drain(LONG).await.unwrap() }
    });
    tokio::task::yield_now().await;
    let id = control.connect(peer).await;
    let (mut far, _) = listener.accept().await.unwrap();
    let mut near = control.bind(id).await;
    carries_bytes(&mut near, &mut far).await;
    let now = control.now();
    control.client.release(now);
    assert_eq!(control.next().await, Event::Released);
    let stats = timeout(LONG, draining).await.unwrap().unwrap();
    assert_eq!((stats.turn.allocations, stats.turn.connections), (0, 0));
}

/// The system gives most of these connections to a worker that does not have their peers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_connections_find_the_worker_that_has_their_peer() {
    let mut config = config(18);
    config.workers = 4;
    let server = Server::bind(config).await.unwrap();
    let (mut control, _) = Control::new(server.tcp_addresses()[0]).await;
    let (listener, address) = listener(19).await;
    for round in 0..32_u8 {
        let id = control.connect(address).await;
        let (mut far, _) = listener.accept().await.unwrap();
        let mut near = control.bind(id).await;
        near.write_all(&[round; 100]).await.unwrap();
        let mut got = [0; 100];
        timeout(LONG, far.read_exact(&mut got)).await.unwrap().unwrap();
        assert_eq!(got, [round; 100]);
        // The peer first: what waits then waits at his port.
        drop(far);
        assert_eq!(timeout(LONG, near.read(&mut got)).await.unwrap().unwrap_or(0), 0);
        drop(near);
        comes_true(&server, |stats| stats.turn.connections == 0).await;
    }
    let stats = comes_true(&server, |stats| stats.connections == 1).await;
    assert_eq!((stats.turn.joined, stats.refused_connections), (32, 0));
}

/// THREATS T9: connections for data count like any other.
#[tokio::test]
async fn real_crowds_for_data_are_turned_away() {
    let mut config = config(20);
    config.max_connections_per_source = 2;
    let server = Server::bind(config).await.unwrap();
    let (near, far, mut control) = joined(server.tcp_addresses()[0], 21).await;
    let (listener, address) = listener(22).await;
    let id = control.connect(address).await;
    let _other = listener.accept().await.unwrap();
    let mut third = TcpStream::connect(server.tcp_addresses()[0]).await.unwrap();
    assert_eq!(timeout(LONG, third.read(&mut [0; 9])).await.unwrap().unwrap_or(0), 0);
    drop((near, far));
    comes_true(&server, |stats| stats.connections == 1).await;
    control.bind(id).await;
}

/// A coturn; it ends with the test.
struct Coturn(Child);

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody else's server: connections that it opens, and that come to it.
#[tokio::test]
async fn real_our_client_has_tcp_relays_of_coturn() {
    let found = Command::new("turnserver").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_err() {
        println!("skipped: turnserver is not installed (Debian: coturn)");
        return;
    }
    let port = UdpSocket::bind((ip(30), 0)).unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let process = Command::new("turnserver")
        .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--allow-loopback-peers", "--lt-cred-mech"])
        .args(["-u", "alice:wonderland", "-r", "peerline.test", "-L", &ip(30).to_string()])
        .args(["-E", &ip(30).to_string(), "-p", &port.to_string(), "--log-file", &file("log")])
        .args(["--pidfile", &file("pid"), "-b", &file("db")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _coturn = Coturn(process);
    let address = SocketAddr::new(ip(30), port);
    for attempt in 0.. {
        assert!(attempt < 500, "coturn does not listen");
        if TcpStream::connect(address).await.is_ok() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let (mut near, mut far, mut control) = joined(address, 31).await;
    carries_bytes(&mut near, &mut far).await;
    let relayed = control.client.relayed().next().unwrap();
    control.permit(ip(32)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(ip(32), 0)).unwrap();
    let mut far = socket.connect(relayed).await.unwrap();
    let Event::Attempted { connection, peer } = control.next().await else { panic!() };
    assert_eq!(peer, far.local_addr().unwrap());
    let mut near = control.bind(connection).await;
    carries_bytes(&mut near, &mut far).await;
    // What cannot be is an error of the same kind as ours.
    let (closed, address) = listener(33).await;
    drop(closed);
    let now = control.now();
    control.client.connect(now, address).unwrap();
    assert_eq!(control.next().await, Event::NotConnected(address, Some(447)));
    let now = control.now();
    control.client.release(now);
    assert_eq!(control.next().await, Event::Released);
}
