//! TURN servers over UDP on loopback, each in a process of its own: what they relay in a second of their CPU
//! time, the kernel's share included. Data goes in channels, both ways, in trains as video frames are.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use net::Transport as _;
use proto::{Arrival, Batch, Carrier, Path, Transmit};
use tokio::runtime::Runtime;
use turn::{Client, Credentials, client};

use crate::measure::{Effort, Figure, Side, in_turn};

pub(super) fn one(effort: Effort) -> Vec<Figure> {
    relaying(effort, 1, Sends::Single)
}

pub(super) fn fifty(effort: Effort) -> Vec<Figure> {
    relaying(effort, 50, Sends::Single)
}

pub(super) fn five_hundred(effort: Effort) -> Vec<Figure> {
    relaying(effort, 500, Sends::Single)
}

pub(super) fn fifty_in_trains(effort: Effort) -> Vec<Figure> {
    relaying(effort, 50, Sends::Trains)
}

/// How the load leaves its sockets.
#[derive(Clone, Copy, PartialEq)]
enum Sends {
    /// One system call a datagram.
    Single,
    /// One a train (GSO).
    Trains,
}

fn relaying(effort: Effort, allocations: usize, sends: Sends) -> Vec<Figure> {
    if Command::new("turnserver")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("skipped: coturn's turnserver is not installed (Debian: coturn)");
        return Vec::new();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut ours = Load::new(Node::ours(), allocations, &runtime);
    let mut theirs = Load::new(Node::coturn(), allocations, &runtime);
    in_turn(
        effort,
        vec![
            Side::new("Peerline", crate::measure::OURS, |effort| ours.sample(effort, sends, &runtime)),
            Side::new("coturn", "coturn", |effort| theirs.sample(effort, sends, &runtime)),
        ],
    )
}

/// A server's process, which ends with this.
struct Node {
    process: Child,
    address: SocketAddr,
}

impl Node {
    fn ours() -> Self {
        let (ip, port) = (Ipv4Addr::new(127, 0, 0, 2), free_port());
        let program = std::env::current_exe().expect("a path").with_file_name("turn-node");
        let mut command = Command::new(program);
        command.args([ip.to_string(), port.to_string()]);
        Self::start(command, (ip, port).into())
    }

    fn coturn() -> Self {
        let (ip, port) = (Ipv4Addr::new(127, 0, 0, 4), free_port());
        let mut command = Command::new("turnserver");
        command.args([
            "-n",
            "--no-cli",
            "--log-file=/dev/null",
            "--realm=bench",
            "--lt-cred-mech",
            "--user=u:p",
        ]);
        command.args([
            "--no-tls",
            "--no-dtls",
            "--no-tcp",
            "--allow-loopback-peers",
            "--no-software-attribute",
        ]);
        command.args([
            format!("--listening-ip={ip}"),
            format!("--relay-ip={ip}"),
            format!("--listening-port={port}"),
        ]);
        let scratch = std::env::temp_dir().join(format!("bench-coturn-{}", std::process::id()));
        command.arg(format!("--pidfile={}.pid", scratch.display()));
        command.arg(format!("--userdb={}.db", scratch.display()));
        Self::start(command, (ip, port).into())
    }

    fn start(mut command: Command, address: SocketAddr) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { process: command.spawn().expect("the server starts"), address }
    }

    /// CPU time of all its threads, in nanoseconds.
    fn cpu(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("it runs");
        let of_task = |task: io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        tasks.filter_map(of_task).sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let probe = UdpSocket::bind("127.0.0.2:0").and_then(|socket| socket.local_addr());
    probe.expect("a port").port()
}

/// Clients of a server with a peer each.
struct Load {
    node: Node,
    callers: Vec<Caller>,
}

/// A client with a channel to a peer.
struct Caller {
    socket: net::UdpSocket,
    peer: net::UdpSocket,
    client: Client,
    path: Path,
    relayed: SocketAddr,
}

impl Load {
    fn new(node: Node, allocations: usize, runtime: &Runtime) -> Self {
        let mut callers: Vec<Caller> = Vec::new();
        runtime.block_on(async {
            while callers.len() < allocations {
                let seed = callers.len();
                callers.push(Caller::new(node.address, seed).await);
            }
        });
        Self { node, callers }
    }

    /// Thousands of datagrams relayed in a second of the server's CPU time.
    fn sample(&mut self, effort: Effort, sends: Sends, runtime: &Runtime) -> f64 {
        let (start, cpu) = (Instant::now(), self.node.cpu());
        let (mut sent, mut arrived) = (0, 0);
        runtime.block_on(async {
            while self.node.cpu() - cpu < effort.sample_ms * 1_000_000 && start.elapsed() < MOST {
                // What a few have under way together fits into the buffers of any socket.
                for group in self.callers.chunks_mut(GROUP) {
                    for caller in &mut *group {
                        caller.send(sends).await;
                        sent += 2 * TRAIN;
                    }
                    for caller in group {
                        arrived += receive(&caller.peer, PAYLOAD).await;
                        arrived += receive(&caller.socket, PAYLOAD + HEADER).await;
                    }
                }
            }
        });
        assert!(arrived * 100 >= sent * 99, "{arrived} of {sent} arrived");
        arrived as f64 / (self.node.cpu() - cpu) as f64 * 1e6
    }
}

impl Caller {
    async fn new(server: SocketAddr, number: usize) -> Self {
        let bind = |ip: [u8; 4]| net::UdpSocket::bind((ip, 0).into()).expect("a socket");
        let (socket, peer) = (bind([127, 0, 1, 1]), bind([127, 0, 0, 3]));
        let path = Path { carrier: Carrier::Udp, local: socket.local_address(), remote: server };
        let credentials = Credentials::new("u", "p").expect("credentials");
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let mut client =
            Client::new(client::Config::new(crypto::default_provider()), credentials, path, seed);
        client.allocate(now());
        client.bind_channel(now(), peer.local_address()).expect("open");
        let (deadline, mut relayed) = (Instant::now() + Duration::from_secs(20), None);
        loop {
            assert!(Instant::now() < deadline, "no channel through {server}");
            client.handle_timeout(now());
            let mut memory = [0; 1500];
            loop {
                let mut batch = Batch::new(&mut memory, 1, 1500);
                let Some(transmit) = client.poll_transmit(now(), &mut batch) else { break };
                poll_fn(|cx| socket.poll_send(cx, &transmit, batch.bytes())).await.expect("sent");
            }
            let mut memory = vec![0; net::RECEIVE_BUFFER];
            let receiving = poll_fn(|cx| socket.poll_receive(cx, &mut memory));
            if let Ok(Ok(train)) = tokio::time::timeout(Duration::from_millis(200), receiving).await {
                let arrival = Arrival { path, ecn: None, at: now() };
                let _ = client.handle_datagram(arrival, &mut memory[..train.len]);
            }
            while let Some(event) = client.poll_event() {
                match event {
                    client::Event::Allocated { relayed: address, .. } => relayed = Some(address),
                    client::Event::ChannelBound(_) => {
                        let relayed = relayed.expect("allocated before");
                        return Self { socket, peer, client, path, relayed };
                    }
                    client::Event::Failed(failure) => panic!("{failure}"),
                    _ => {}
                }
            }
        }
    }

    /// A train each way.
    async fn send(&mut self, sends: Sends) {
        let mut memory = [0; TRAIN * (PAYLOAD + HEADER)];
        let mut batch = Batch::new(&mut memory, TRAIN, PAYLOAD + HEADER);
        let peer = self.peer.local_address();
        for number in 0..TRAIN {
            let payload = [number as u8; PAYLOAD];
            let put = |out: &mut proto::Writer<'_>| Ok::<_, client::SendError>(out.put(&payload)?);
            self.client.send_with(peer, &mut batch, put).expect("a channel");
        }
        transmit(&self.socket, self.path, batch.bytes(), PAYLOAD + HEADER, sends).await;
        let path = Path { carrier: Carrier::Udp, local: peer, remote: self.relayed };
        transmit(&self.peer, path, &[9; TRAIN * PAYLOAD], PAYLOAD, sends).await;
    }
}

async fn transmit(socket: &net::UdpSocket, path: Path, bytes: &[u8], segment: usize, sends: Sends) {
    let at_once = if sends == Sends::Trains { bytes.len() } else { segment };
    for piece in bytes.chunks(at_once) {
        let segment_size = (piece.len() > segment).then_some(segment);
        let transmit = Transmit { path, ecn: None, len: piece.len(), segment_size };
        poll_fn(|cx| socket.poll_send(cx, &transmit, piece)).await.expect("sent");
    }
}

/// How many datagrams of `size` of a train arrive.
async fn receive(socket: &net::UdpSocket, size: usize) -> usize {
    let mut count = 0;
    let mut memory = vec![0; net::RECEIVE_BUFFER * net::RECEIVE_TRAINS];
    let mut trains = Vec::new();
    while count < TRAIN {
        let receiving = poll_fn(|cx| socket.poll_receive_trains(cx, &mut memory, &mut trains));
        let Ok(received) = tokio::time::timeout(Duration::from_millis(100), receiving).await else { break };
        received.expect("a working socket");
        for train in &trains {
            assert_eq!((train.stride, train.len % size), (size, 0), "whole datagrams");
            count += train.len / size;
        }
    }
    count
}

fn now() -> turn::Instant {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    turn::Instant::from_nanos(1) + START.elapsed()
}

/// Datagrams of a train: a video frame at 2.4 Mbit/s.
const TRAIN: usize = 10;
const PAYLOAD: usize = 1000;
/// ChannelData.
const HEADER: usize = 4;
/// Callers that have a train under way at a time.
const GROUP: usize = 5;
/// Of a sample.
const MOST: Duration = Duration::from_secs(20);
