//! Clients over DTLS: the same protocol in its records, those who do not get so far, crowds and rubbish (THREATS T9).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use dtls::CloseReason;
use net::TlsClient;
use proto::{Arrival, Batch, Carrier, Instant, Path};
use stun::Credentials;
use support::Certificate;
use support::dtls::Client;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};
use turn::server::RelayAddress;
use turn_server::{Config, DtlsError, DtlsServer, Error, Server, Stats};

/// A Binding request.
const REQUEST: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const HERE: [u8; 4] = [127, 0, 0, 1];

fn config(certificate: &Certificate) -> Config {
    let mut config = Config::new().user("u", "p").unwrap();
    config.dtls = vec![([127, 0, 0, 2], 0).into()];
    config.dtls_certificate = Some(certificate.dtls());
    config.turn.relays = vec![RelayAddress { local: [127, 0, 0, 2].into(), external: [127, 0, 0, 2].into() }];
    config.turn.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
    config
}

fn at(server: &Server) -> SocketAddr {
    server.dtls_addresses()[0]
}

async fn client(server: &Server) -> Client {
    Client::new(HERE, at(server), None).await
}

/// What the server says once `wanted` holds.
async fn stats_when(server: &Server, wanted: impl Fn(&Stats) -> bool) -> Stats {
    for _ in 0..200 {
        let stats = server.stats().await.unwrap();
        if wanted(&stats) {
            return stats;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", server.stats().await.unwrap());
}

#[tokio::test]
async fn real_clients_over_dtls_are_answered_and_believe_only_the_right_server() {
    let (Some(certificate), Some(other)) = (Certificate::new(), Certificate::new()) else { return };
    let server = Server::bind(config(&certificate)).await.unwrap();
    let trusting = |believed: &Certificate| TlsClient::from_file(&believed.file()).unwrap();
    let connect = async |name: &str, believed: &Certificate| {
        let mut client = Client::new(HERE, at(&server), Some((trusting(believed), name))).await;
        if client.connect().await { client.ask(&REQUEST).await } else { None }
    };
    for name in ["localhost", "127.0.0.2"] {
        let answer = connect(name, &certificate).await.unwrap();
        assert_eq!((answer[..2].to_vec(), answer.len() >= 32), (vec![1, 1], true), "{name}");
    }
    assert!(connect("example.org", &certificate).await.is_none(), "another's name");
    assert!(connect("localhost", &other).await.is_none(), "another's certificate");
    server.set_dtls_certificate(other.dtls()).await.unwrap();
    assert!(connect("localhost", &other).await.is_some(), "it shows the new one");
    assert!(connect("localhost", &certificate).await.is_none());
    assert_eq!(server.local_addr(), at(&server));
}

/// Whatever the authorities' keys are; and without the certificate in the middle nobody is led to the root.
#[tokio::test]
async fn real_chains_of_authorities_with_other_keys_are_believed() {
    let (Some(certificate), Some(other)) =
        (Certificate::by_rsa_authorities(), Certificate::by_rsa_authorities())
    else {
        return;
    };
    let server = Server::bind(config(&certificate)).await.unwrap();
    for (root, right) in [(certificate.root(), true), (other.root(), false)] {
        let believed = TlsClient::from_file(&root).unwrap();
        let mut client = Client::new(HERE, at(&server), Some((believed, "localhost"))).await;
        assert_eq!(client.connect().await, right);
        let mut openssl = std::process::Command::new("timeout");
        openssl.args(["10", "openssl", "s_client", "-dtls1_2", "-connect", &at(&server).to_string()]);
        openssl.args(["-verify_return_error", "-verify_hostname", "localhost", "-CAfile"]).arg(root);
        openssl.stdin(std::process::Stdio::null());
        let done = tokio::task::spawn_blocking(move || openssl.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert_eq!(done.status.success() && said.contains("Cipher is ECDHE-ECDSA"), right, "{said}");
    }
    let chain = std::fs::read_to_string(certificate.file()).unwrap();
    let (leaf, _) = chain.rsplit_once("-----BEGIN").unwrap();
    std::fs::write(certificate.file(), leaf).unwrap();
    server.set_dtls_certificate(certificate.dtls()).await.unwrap();
    let believed = TlsClient::from_file(&certificate.root()).unwrap();
    let mut client = Client::new(HERE, at(&server), Some((believed, "localhost"))).await;
    assert!(!client.connect().await);
}

/// RFC 6347 §4.2.1: a cookie costs nothing, and is no longer than what asks for it.
#[tokio::test]
async fn real_strangers_leave_nothing_behind() {
    let Some(certificate) = Certificate::new() else { return };
    let server = Server::bind(config(&certificate)).await.unwrap();
    let (mut hello, mut answer) = ([0; 1500], [0; 1500]);
    for _ in 0..50 {
        let mut client = client(&server).await;
        let mut out = proto::Writer::new(&mut hello);
        assert!(client.connection.poll_packet(Instant::default(), &mut out));
        let sent = client.socket.send(out.written()).await.unwrap();
        let len = timeout(Duration::from_secs(5), client.socket.recv(&mut answer)).await.unwrap().unwrap();
        assert!(len <= sent && answer[13] == 3, "HelloVerifyRequest: {:?}", &answer[..len]);
    }
    // What is no hello is not answered at all.
    let stranger = UdpSocket::bind((std::net::Ipv4Addr::from(HERE), 0)).await.unwrap();
    for rubbish in [&REQUEST[..], &[], &[22; 100], &[0x40, 0, 0, 4, 1, 2, 3, 4], &hello[..60]] {
        let _ = stranger.send_to(rubbish, at(&server)).await.unwrap();
    }
    assert!(timeout(Duration::from_millis(200), stranger.recv(&mut answer)).await.is_err());
    let stats = server.stats().await.unwrap();
    assert_eq!((stats.dtls_associations, stats.dtls_handshakes, stats.turn.allocations), (0, 0, 0));
    assert!(stats.dtls_discarded >= 4, "{stats:?}");
}

/// Sends its hello with the cookie, and nothing after that.
async fn stall(server: &Server) -> Client {
    let mut stalled = client(server).await;
    stalled.flush().await;
    stalled.step(Duration::from_millis(500)).await;
    stalled
}

/// At the limit and one past it, over all workers; and whoever stalls is gone in time.
#[tokio::test]
async fn real_handshakes_are_bounded_in_number_and_time() {
    let Some(certificate) = Certificate::new() else { return };
    let mut config = config(&certificate);
    config.workers = 3;
    config.max_dtls_handshakes = 2;
    config.first_message_timeout = Duration::from_secs(2);
    let server = Server::bind(config).await.unwrap();
    let mut one = client(&server).await;
    assert!(one.connect().await && one.ask(&REQUEST).await.is_some(), "those that are complete do not count");
    let stalled = [stall(&server).await, stall(&server).await];
    let stats = stats_when(&server, |stats| stats.dtls_associations == 3).await;
    assert_eq!(stats.refused_connections, 0);
    let mut third = client(&server).await;
    assert!(!third.until(Duration::from_millis(700), |client| client.connection.is_connected()).await);
    let stats = server.stats().await.unwrap();
    assert!(stats.refused_connections >= 1 && stats.dtls_associations == 3, "{stats:?}");
    assert!(one.ask(&REQUEST).await.is_some(), "others are served");
    let stats = stats_when(&server, |stats| stats.dtls_associations == 1).await;
    assert_eq!(stats.dtls_handshakes, 1);
    assert!(third.connect().await, "there is room again, and it has gone on asking");
    drop(stalled);
}

#[tokio::test]
async fn real_associations_are_bounded_for_all_and_for_each_source() {
    let Some(certificate) = Certificate::new() else { return };
    for (all, per_source, allowed) in [(3, 10, 3), (10, 2, 2)] {
        let mut config = config(&certificate);
        (config.max_connections, config.max_connections_per_source) = (all, per_source);
        config.tcp = vec![([127, 0, 0, 2], 0).into()];
        let server = Server::bind(config).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..allowed {
            let mut client = client(&server).await;
            assert!(client.connect().await);
            clients.push(client);
        }
        let mut beyond = client(&server).await;
        assert!(!beyond.until(Duration::from_millis(500), |client| client.connection.is_connected()).await);
        // They are counted together with connections.
        let mut tcp = tokio::net::TcpStream::connect(server.tcp_addresses()[0]).await.unwrap();
        let read =
            timeout(Duration::from_secs(5), tokio::io::AsyncReadExt::read(&mut tcp, &mut [0; 9])).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
        let mut elsewhere = Client::new([127, 0, 0, 9], at(&server), None).await;
        let connects = elsewhere.until(Duration::from_millis(500), |client| client.connection.is_connected());
        assert_eq!(connects.await, all > per_source);
        let mut gone = clients.pop().unwrap();
        gone.connection.close(Instant::default());
        gone.flush().await;
        assert!(beyond.connect().await, "there is room again");
    }
}

#[tokio::test]
async fn real_associations_without_a_message_end_and_idle_ones_too() {
    let Some(certificate) = Certificate::new() else { return };
    let mut config = config(&certificate);
    config.first_message_timeout = Duration::from_millis(400);
    config.idle_timeout = Duration::from_millis(1200);
    let server = Server::bind(config).await.unwrap();
    let (mut silent, mut idle) = (client(&server).await, client(&server).await);
    assert!(silent.connect().await && idle.connect().await);
    assert_eq!(idle.ask(&REQUEST).await.unwrap()[..2], [1, 1]);
    for (client, left) in [(&mut silent, 1), (&mut idle, 0)] {
        assert!(client.until(Duration::from_secs(5), |client| client.closed.is_some()).await);
        assert_eq!(client.closed, Some(CloseReason::Remote), "it is told");
        assert_eq!(server.stats().await.unwrap().dtls_associations, left);
    }
}

/// An allocation by the client's machine, whose messages are in records; the relayed address.
async fn allocate(client: &mut Client, server: &Server) -> SocketAddr {
    let path = Path { carrier: Carrier::Udp, local: client.socket.local_addr().unwrap(), remote: at(server) };
    let config = turn::client::Config::new(crypto::default_provider());
    let credentials = Credentials::new("u", "p").unwrap();
    let mut machine = turn::Client::new(config, credentials, path, [1; 32]);
    machine.allocate(Instant::default());
    let mut memory = [0; 1500];
    for _ in 0..4 {
        let mut batch = Batch::new(&mut memory, 1, 1500);
        if machine.poll_transmit(Instant::default(), &mut batch).is_none() {
            break;
        }
        let mut answer = client.ask(batch.bytes()).await.unwrap();
        let _ = machine.handle_datagram(Arrival { path, ecn: None, at: Instant::default() }, &mut answer);
    }
    machine.relayed().next().unwrap()
}

#[tokio::test]
async fn real_allocations_end_with_their_association() {
    let Some(certificate) = Certificate::new() else { return };
    let server = Server::bind(config(&certificate)).await.unwrap();
    let mut client = client(&server).await;
    assert!(client.connect().await);
    allocate(&mut client, &server).await;
    assert_eq!(server.stats().await.unwrap().turn.allocations, 1);
    client.connection.close(Instant::default());
    client.flush().await;
    let stats = stats_when(&server, |stats| stats.turn.allocations == 0).await;
    assert_eq!((stats.dtls_associations, stats.udp_sockets), (0, 1));
}

#[tokio::test]
async fn real_forged_and_repeated_records_change_nothing() {
    let Some(certificate) = Certificate::new() else { return };
    let server = Server::bind(config(&certificate)).await.unwrap();
    let mut client = client(&server).await;
    assert!(client.connect().await);
    allocate(&mut client, &server).await;
    let (before, had) = (server.stats().await.unwrap(), client.received.len());
    let record = client.seal(&REQUEST);
    for bit in 0..record.len() * 8 {
        let mut forged = record.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        let _ = client.socket.send(&forged).await.unwrap();
        if bit % 64 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    // In the plain, as anyone could send it for another.
    let _ = client.socket.send(&REQUEST).await.unwrap();
    let _ = client.socket.send(&[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 1, 0]).await.unwrap();
    let count = record.len() as u64 * 8;
    let stats = stats_when(&server, |stats| stats.dtls_discarded - before.dtls_discarded >= count).await;
    assert_eq!((stats.turn.allocations, stats.dtls_associations), (1, 1));
    assert!(client.ask(&REQUEST).await.is_some(), "it lives");
    for _ in 0..5 {
        let _ = client.socket.send(&record).await.unwrap();
    }
    client.until(Duration::from_millis(300), |_| false).await;
    // What it asked, and one of the five.
    assert_eq!(client.received.len() - had, 2);
}

#[tokio::test]
async fn real_clients_are_told_of_the_end() {
    let Some(certificate) = Certificate::new() else { return };
    let server = Server::bind(config(&certificate)).await.unwrap();
    let mut client = client(&server).await;
    assert!(client.connect().await);
    let ended = tokio::spawn(server.shutdown(Duration::from_secs(1)));
    assert!(client.until(Duration::from_secs(5), |client| client.closed.is_some()).await);
    assert_eq!(client.closed, Some(CloseReason::Remote));
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn real_dtls_needs_a_certificate_of_a_key_on_p_256_or_of_rsa() {
    let Some(certificate) = Certificate::new() else { return };
    let mut without = config(&certificate);
    without.dtls_certificate = None;
    assert!(matches!(Server::bind(without).await, Err(Error::NoCertificate)));
    let (file, key) = (certificate.file(), certificate.key());
    assert!(matches!(DtlsServer::from_files(&file, &file), Err(DtlsError::File(_))));
    let rsa = Certificate::with_key(&["rsa:2048"]).unwrap();
    let with_rsa = DtlsServer::from_files(&rsa.file(), &rsa.key());
    assert_eq!(with_rsa.is_ok(), crypto::accelerated().is_some(), "{with_rsa:?}");
    let others = [&["ed25519"][..], &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]];
    for other in others.into_iter().filter_map(Certificate::with_key) {
        assert_eq!(DtlsServer::from_files(&other.file(), &other.key()).unwrap_err(), DtlsError::Key);
        let error = DtlsServer::from_files(&other.file(), &key).unwrap_err();
        assert!(matches!(error, DtlsError::Certificate(_)), "{error}");
    }
    let another = Certificate::new().unwrap();
    let error = DtlsServer::from_files(&another.file(), &key).unwrap_err();
    assert_eq!(error, DtlsError::Certificate(dtls::IdentityError::OtherKey));
}
