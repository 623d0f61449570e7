//! An endpoint of several tasks, among whose sockets the system divides what comes without knowing whose it is: with four of
//! them about three quarters of all connections have a path on which everything comes to another one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]
#![cfg(target_os = "linux")]

mod harness;

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use harness::{Pair, comes_true, connect_over, endpoint, pattern, within};
use peerline::{
    Certificate, Configuration, DataChannel, DataChannelInit, DtlsRole, Endpoint, EndpointBuilder, Events,
    IceCredentials, IceRole, Mdns, Message, PeerCertificate, PeerConnection, TransportParameters,
};

fn four() -> EndpointBuilder {
    Endpoint::builder().address([127, 0, 0, 1].into()).workers(4)
}

fn plain() -> [Configuration; 2] {
    [Configuration::default(), Configuration::default()]
}

/// Of all workers: connections, what was nobody's, passed on, and lost for want of room.
fn sum(endpoint: &Endpoint) -> (usize, u64, u64, u64) {
    let stats = endpoint.worker_stats();
    let count = |of: fn(&peerline::WorkerStats) -> u64| stats.iter().map(of).sum();
    let connections = stats.iter().map(|worker| worker.connections).sum();
    (connections, count(|it| it.strays), count(|it| it.passed_on), count(|it| it.not_passed_on))
}

/// Each has met its peer, and a megabyte goes each way; with the tasks of tokio counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_connections_of_all_workers_share_one_port_and_each_hears_what_is_its_own() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let server = four().bind().await.unwrap();
    assert_eq!((server.local_addresses().len(), tasks()), (1, before + 4), "one port, four tasks");
    let mut pairs = Vec::new();
    for number in 0..24 {
        let client = endpoint().await;
        let pair = if number % 2 == 0 {
            connect_over(&client, &server, plain()).await
        } else {
            connect_over(&server, &client, plain()).await
        };
        pairs.push((client, pair));
    }
    assert_eq!(tasks(), before + 4 + pairs.len(), "connections have none");
    let connections: Vec<usize> = server.worker_stats().iter().map(|worker| worker.connections).collect();
    assert_eq!(connections, [6; 4]);
    for (_, pair) in &pairs {
        pair.exchange_a_megabyte().await;
    }
    let (_, _, passed_on, lost) = sum(&server);
    println!("{passed_on} passed on, {lost} lost between workers");
    // 24 clients that all come to the right one of four are not to be had by chance.
    assert!(passed_on > 100);
    // Who is gone leaves his place to the next.
    for (_, pair) in pairs.drain(..) {
        pair.close().await;
    }
    assert!(comes_true(|| sum(&server).0 == 0).await);
    let client = endpoint().await;
    let pair = connect_over(&client, &server, plain()).await;
    pair.exchange_a_megabyte().await;
    // All end with the last connection, and not before.
    drop(server);
    pair.exchange_a_megabyte().await;
    assert_eq!(tasks(), before + 5);
    drop((pair, client));
    assert!(comes_true(|| tasks() == before).await, "{} tasks are left", tasks());
}

/// Every client's socket is known to lead to the wrong worker, or not to: what one socket says comes to one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_what_comes_to_another_worker_is_passed_on_and_counted_there() {
    let server = four().bind().await.unwrap();
    let (mut right, mut wrong) = (0, 0);
    for _ in 0..64 {
        let client = endpoint().await;
        let before = server.worker_stats();
        let pair = connect_over(&client, &server, plain()).await;
        pair.ours.send(pattern(100_000)).await.unwrap();
        assert!(within(10, "a message", pair.theirs.recv()).await.is_some());
        let after = server.worker_stats();
        let more =
            after.iter().zip(&before).filter(|(after, before)| after.passed_on > before.passed_on + 50);
        match more.count() {
            0 => right += 1,
            1 => wrong += 1,
            count => panic!("one socket led to {count} workers"),
        }
        pair.close().await;
        if right > 0 && wrong > 0 {
            break;
        }
    }
    assert!(right > 0 && wrong > 0, "{right} came to the right worker, {wrong} to another");
    assert_eq!(sum(&server).3, 0);
}

/// A room of 64 KiB for each pair of workers: what is beyond it is lost, as on the way, and comes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_flood_that_is_passed_on_stops_no_connection() {
    let server = four().max_passed_on(0).bind().await.unwrap();
    let mut pairs = Vec::new();
    for _ in 0..8 {
        let client = endpoint().await;
        pairs.push((connect_over(&client, &server, plain()).await, client));
    }
    // A flood of requests for a ufrag of the first worker's, of which those that come to others are passed on.
    let flood = std::thread::spawn({
        let to = server.local_addresses()[0];
        move || {
            let request = request("A123:flood");
            for _ in 0..16 {
                let from = UdpSocket::bind("127.0.0.1:0").unwrap();
                for _ in 0..2000 {
                    let _ = from.send_to(&request, to);
                }
            }
        }
    });
    for (pair, _) in &pairs {
        pair.exchange_a_megabyte().await;
    }
    flood.join().unwrap();
    let (_, strays, passed_on, lost) = sum(&server);
    println!("{strays} nobody's, {passed_on} passed on, {lost} lost between workers");
    assert!(strays > 0 && passed_on > 0);
    for (pair, _) in &pairs {
        pair.exchange_a_megabyte().await;
    }
}

/// A Binding request with this USERNAME.
fn request(username: &str) -> Vec<u8> {
    use stun::wire::{Attribute, Class, Encoder, Method, TransactionId};
    let mut memory = [0; 200];
    let mut out = proto::Writer::new(&mut memory);
    let mut encoder =
        Encoder::new(&mut out, Class::Request, Method::BINDING, TransactionId([7; 12])).unwrap();
    encoder.attribute(Attribute::Username(username)).unwrap();
    encoder.finish(None).unwrap();
    out.written().to_vec()
}

fn credentials(ufrag: &str) -> IceCredentials {
    IceCredentials::new(ufrag, ufrag).unwrap()
}

type Opened = (PeerConnection, Events, DataChannel);

/// A side of a connection without descriptions, whose ufrag both sides know.
fn parameters(role: IceRole, ufrag: &str) -> TransportParameters {
    let dtls = if role == IceRole::Controlling { DtlsRole::Client } else { DtlsRole::Server };
    let mut parameters = TransportParameters::new(role, dtls, credentials(ufrag), PeerCertificate::Any);
    parameters.local = Some(credentials(ufrag));
    parameters
}

fn with_channel((peer, events): (PeerConnection, Events)) -> Opened {
    let known = DataChannelInit { negotiated: Some(0), ..DataChannelInit::default() };
    let channel = peer.create_data_channel("", known).unwrap();
    (peer, events, channel)
}

fn dial(from: &Endpoint, to: &Endpoint, ufrag: &str, certificate: &Certificate) -> Opened {
    let mut parameters = parameters(IceRole::Controlling, ufrag);
    parameters.candidates = to.local_addresses();
    let mut configuration = Configuration::default();
    configuration.certificate = Some(certificate.clone());
    with_channel(from.connect_without_sdp(configuration, parameters).unwrap())
}

async fn greet(here: &DataChannel, there: &DataChannel) {
    for (from, to) in [(here, there), (there, here)] {
        within(10, "to open", from.opened()).await.unwrap();
        from.send("hello").await.unwrap();
        assert_eq!(within(10, "a greeting", to.recv()).await, Some(Message::Text("hello".to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_strangers_of_any_worker_are_told_of_and_accepted_where_they_came() {
    let server = four().bind().await.unwrap();
    let mut strangers = server.strangers().unwrap();
    let certificate = Certificate::generate().unwrap();
    let mut open = Vec::new();
    // Ufrags that begin as those of the fourth worker do, of each, and of none.
    for number in 0..16 {
        let client = endpoint().await;
        let first = ["D", "Axx", "Bxx", "-", "chosen"][number % 5];
        let ufrag = format!("{first}+known/{number:022}").replace('-', "z");
        let (dialler, from_dialler, there) = dial(&client, &server, &ufrag, &certificate);
        let stranger = within(5, "a stranger", strangers.next()).await.unwrap();
        assert_eq!(stranger.ufrag(), ufrag);
        let mut configuration = Configuration::default();
        configuration.certificate = Some(certificate.clone());
        let accepted = server.accept(&stranger, configuration, parameters(IceRole::Controlled, &ufrag));
        let (waiter, from_waiter, here) = with_channel(accepted.unwrap());
        drop(stranger);
        greet(&here, &there).await;
        open.push((client, dialler, from_dialler, waiter, from_waiter, here, there));
    }
    let quiet = tokio::time::timeout(Duration::from_millis(200), strangers.next()).await;
    assert!(quiet.is_err(), "who was accepted is no stranger, at none of the workers");
    let connections: Vec<usize> = server.worker_stats().iter().map(|worker| worker.connections).collect();
    println!("{connections:?} connections, {} turned away", strangers.turned_away());
    assert!(connections.iter().filter(|count| **count > 0).count() > 1, "they came to one worker alone");
}

/// The program has chosen the ufrag, so that it does not tell which worker has the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_ufrag_of_the_program_s_is_known_to_all_workers() {
    let server = four().bind().await.unwrap();
    let mut strangers = server.strangers().unwrap();
    let certificate = Certificate::generate().unwrap();
    let mut open = Vec::new();
    for number in 0..12 {
        let client = endpoint().await;
        let ufrag = format!("Awhoever+may+come/{number:08}");
        let mut configuration = Configuration::default();
        configuration.certificate = Some(certificate.clone());
        let waiting = server.connect_without_sdp(configuration, parameters(IceRole::Controlled, &ufrag));
        let (waiter, from_waiter, here) = with_channel(waiting.unwrap());
        tokio::time::sleep(Duration::from_millis(5)).await;
        let (dialler, from_dialler, there) = dial(&client, &server, &ufrag, &certificate);
        greet(&here, &there).await;
        open.push((client, dialler, from_dialler, waiter, from_waiter, here, there));
    }
    let quiet = tokio::time::timeout(Duration::from_millis(100), strangers.next()).await;
    assert!(quiet.is_err(), "somebody was a stranger to one of the workers");
    let connections: Vec<usize> = server.worker_stats().iter().map(|worker| worker.connections).collect();
    assert_eq!(connections, [3; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_tcp_connections_go_to_the_worker_of_their_first_ufrag() {
    let tcp_only = || Endpoint::builder().address(IpAddr::from([127, 0, 84, 2])).udp(false);
    let server = tcp_only().tcp_port(0).workers(4).bind().await.unwrap();
    assert_eq!(server.tcp_addresses().len(), 1);
    let mut pairs: Vec<(Endpoint, Pair)> = Vec::new();
    for _ in 0..12 {
        let client = tcp_only().tcp_active(true).bind().await.unwrap();
        let pair = connect_over(&client, &server, plain()).await;
        pairs.push((client, pair));
    }
    for (_, pair) in &pairs {
        pair.exchange_a_megabyte().await;
    }
    let connections: Vec<usize> = server.worker_stats().iter().map(|worker| worker.connections).collect();
    assert_eq!(connections, [3; 4]);
    let (_, _, passed_on, lost) = sum(&server);
    assert!((1..=24).contains(&passed_on) && lost == 0, "{passed_on} passed on, {lost} lost");
}

#[tokio::test]
async fn real_an_endpoint_has_as_many_workers_as_may_be_and_not_one_more() {
    for (wanted, there) in [(0, 1), (64, 64), (65, 64)] {
        let server = Endpoint::builder().address([127, 0, 0, 1].into()).workers(wanted).max_passed_on(0);
        assert_eq!(server.bind().await.unwrap().worker_stats().len(), there);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_port_that_workers_share_is_nobody_elses() {
    let server = four().tcp_port(0).bind().await.unwrap();
    let (udp, tcp) = (server.local_addresses()[0].port(), server.tcp_addresses()[0].port());
    for workers in [1, 2] {
        let other = || Endpoint::builder().address([127, 0, 0, 1].into()).workers(workers);
        assert!(other().port(udp).bind().await.is_err());
        assert!(other().tcp_port(tcp).bind().await.is_err());
    }
}

/// One worker asks by multicast DNS, for the connections of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_names_are_found_for_the_connections_of_every_worker() {
    let hidden = || four().mdns(Mdns::Hide);
    let (here, there) = (hidden().bind().await.unwrap(), hidden().bind().await.unwrap());
    let mut pairs = Vec::new();
    if here.connect(Configuration::default()).is_err() || !has_multicast() {
        return;
    }
    for _ in 0..4 {
        let other = Endpoint::builder().address([127, 0, 0, 1].into()).mdns(Mdns::Hide).bind().await.unwrap();
        pairs.push((connect_over(&here, &other, plain()).await, other));
    }
    pairs.push((connect_over(&here, &there, plain()).await, there));
    for (pair, _) in &pairs {
        pair.ours.send("hello").await.unwrap();
        assert_eq!(within(5, "hello", pair.theirs.recv()).await, Some("hello".into()));
    }
}

/// Whether datagrams to a group come back on loopback here.
fn has_multicast() -> bool {
    let works = || -> std::io::Result<bool> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        let group = "224.0.0.251".parse().unwrap();
        socket.join_multicast_v4(&group, &"127.0.0.1".parse().unwrap())?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let sender = UdpSocket::bind("127.0.0.1:0")?;
        sender.send_to(b"x", (group, socket.local_addr()?.port()))?;
        Ok(socket.recv(&mut [0; 8])? == 1)
    };
    let works = works();
    if !matches!(works, Ok(true)) {
        eprintln!("skipped: no multicast on loopback: {works:?}");
    }
    matches!(works, Ok(true))
}
