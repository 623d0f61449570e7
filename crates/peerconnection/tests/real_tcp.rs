//! Connections over TCP candidates alone (RFC 6544): one port for all of them, and strangers at it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use harness::{Pair, connect_over, pattern, within};
use peerline::{Carrier, Configuration, ConnectionState, Endpoint, EndpointBuilder, TcpLimits};

const OWN: [u8; 4] = [127, 0, 84, 1];

fn tcp_only() -> EndpointBuilder {
    Endpoint::builder().address(IpAddr::from(OWN)).udp(false)
}

async fn server(limits: TcpLimits) -> Endpoint {
    tcp_only().tcp_port(0).tcp_limits(limits).bind().await.unwrap()
}

async fn client() -> Endpoint {
    tcp_only().tcp_active(true).bind().await.unwrap()
}

async fn megabyte(pair: &Pair) {
    let sent = pattern(1 << 20);
    let send = async {
        for piece in sent.chunks(1 << 16) {
            pair.ours.send(piece.to_vec()).await.unwrap();
        }
    };
    let receive = async {
        let mut came = Vec::new();
        while came.len() < sent.len() {
            came.extend_from_slice(pair.theirs.recv().await.expect("a message").as_bytes());
        }
        assert!(came == sent);
    };
    within(30, "a megabyte", async { tokio::join!(send, receive) }).await;
}

#[tokio::test]
async fn real_many_connections_share_one_tcp_port() {
    let server = server(TcpLimits::default()).await;
    let mut pairs = Vec::new();
    // Whoever offers: the active side opens the connection, and the other one waits.
    for number in 0..6 {
        let client = client().await;
        let both = [Configuration::default(), Configuration::default()];
        let pair = if number % 2 == 0 {
            connect_over(&client, &server, both).await
        } else {
            connect_over(&server, &client, both).await
        };
        let path = pair.alice.stats().selected_path.unwrap();
        assert_eq!(path.carrier, Carrier::Framed);
        let port = if number % 2 == 0 { path.remote.port() } else { path.local.port() };
        assert_eq!(port, server.tcp_addresses()[0].port());
        pairs.push(pair);
    }
    for pair in &pairs {
        megabyte(pair).await;
    }
    // One ends, and the others do not.
    let first = pairs.remove(0);
    first.alice.close();
    within(5, "to close", async { tokio::join!(first.alice.closed(), first.bob.closed()) }).await;
    for pair in &pairs {
        megabyte(pair).await;
    }
}

fn strange(server: &Endpoint) -> TcpStream {
    let stream = TcpStream::connect(server.tcp_addresses()[0]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
    stream
}

/// Whether the other side has closed the connection, within the read time-out.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

fn framed(datagram: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(datagram.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(datagram);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_strangers_at_the_tcp_port_are_shown_the_door() {
    let mut limits = TcpLimits::default();
    limits.first_message = Duration::from_secs(1);
    let server = server(limits).await;
    // A connection that exists, so that there is somebody to be confused with.
    let client = client().await;
    let pair = connect_over(&client, &server, [Configuration::default(), Configuration::default()]).await;
    let ufrag = {
        let text = pair.bob.local_description().unwrap().sdp.to_string();
        text.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:").map(str::to_owned)).unwrap()
    };
    let request = |name: &str| {
        // A Binding request with that name and no code (RFC 8489 §5 and §14.3).
        let padded = name.len().next_multiple_of(4);
        let mut bytes = vec![0, 1, 0, u8::try_from(padded + 4).unwrap(), 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([7; 12]);
        bytes.extend([0, 6, 0, u8::try_from(name.len()).unwrap()]);
        bytes.extend(name.as_bytes());
        bytes.resize(24 + padded, 0);
        bytes
    };
    let mut indication = request(&format!("{ufrag}:them"));
    indication[1] = 0x11;
    let outcomes = tokio::task::spawn_blocking(move || {
        let said = [
            Vec::new(),
            framed(b"GET / HTTP/1.1"),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            framed(&request("nobody:them")),
            framed(&request(&format!("{ufrag}:them"))),
            framed(&indication),
            framed(&[22; 100]),
            vec![0xff; 100],
        ];
        said.map(|bytes| {
            let mut stream = strange(&server);
            stream.write_all(&bytes).unwrap();
            let is_closed = is_closed(&mut stream);
            (server.tcp_addresses()[0], is_closed, bytes)
        })
    });
    for (_, is_closed, bytes) in outcomes.await.unwrap() {
        assert!(is_closed, "{bytes:?}");
    }
    assert_eq!(pair.bob.connection_state(), ConnectionState::Connected);
    megabyte(&pair).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_silent_connections_are_as_many_as_the_limits_and_not_one_more() {
    let mut limits = TcpLimits::default();
    (limits.max_waiting, limits.max_waiting_per_source) = (6, 3);
    let server = server(limits).await;
    let address = server.tcp_addresses()[0];
    let closed = tokio::task::spawn_blocking(move || {
        let from = |last: u8| {
            let socket = socket_from(SocketAddr::from(([127, 0, 84, last], 0)), address);
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            std::thread::sleep(Duration::from_millis(20)); // in this order
            socket
        };
        // Three of one source and no fourth one.
        let mut first: Vec<TcpStream> = (0..4).map(|_| from(10)).collect();
        let by_source: Vec<bool> = first.iter_mut().map(is_closed).collect();
        // Six in total: the seventh ends the oldest.
        let mut others: Vec<TcpStream> = (0..3).map(|_| from(11)).collect();
        let before: Vec<bool> = first.iter_mut().chain(&mut others).map(is_closed).collect();
        let mut seventh = from(12);
        let after: Vec<bool> = first.iter_mut().chain(&mut others).map(is_closed).collect();
        (by_source, before, after, is_closed(&mut seventh))
    });
    let (by_source, before, after, seventh) = closed.await.unwrap();
    assert_eq!(by_source, [false, false, false, true]);
    assert_eq!(before, [false, false, false, true, false, false, false]);
    assert_eq!(after, [true, false, false, true, false, false, false]);
    assert!(!seventh);
    // And the door is open to those who have something to say.
    let client = client().await;
    let pair = connect_over(&client, &server, [Configuration::default(), Configuration::default()]).await;
    megabyte(&pair).await;
}

fn socket_from(local: SocketAddr, remote: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(local).unwrap();
        socket.connect(remote).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

#[tokio::test]
async fn real_a_tcp_connection_that_breaks_is_opened_again() {
    let server = server(TcpLimits::default()).await;
    let client = client().await;
    let pair = connect_over(&client, &server, [Configuration::default(), Configuration::default()]).await;
    megabyte(&pair).await;
    let before = pair.alice.stats().selected_path.unwrap();
    // The kernel is asked to end it, as a middlebox would (needs the right to administer the network).
    let killed = std::process::Command::new("ss")
        .args(["-K", "src", &before.local.to_string(), "dst", &before.remote.to_string()])
        .output();
    let is_gone = killed
        .is_ok_and(|out| out.status.success() && String::from_utf8_lossy(&out.stdout).contains("127.0.84.1"));
    if !is_gone {
        println!("skipped: `ss -K` ends no connection here");
        return;
    }
    let moved = harness::comes_true(|| {
        pair.alice.stats().selected_path.is_some_and(|path| path.local != before.local)
            && pair.bob.connection_state() == ConnectionState::Connected
    });
    assert!(moved.await, "{}", pair.alice.report());
    megabyte(&pair).await;
}
