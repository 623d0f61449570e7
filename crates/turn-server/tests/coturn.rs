//! The tools of coturn against our server: programs of somebody else that know the protocol.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use turn::server::RelayAddress;
use turn_server::{Config, Server, Stats};

/// A peer that sends back what it gets; it ends with the test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where everything is: on loopback, the server and the peers at addresses of their own, because nobody is
/// relayed to the server's, and each server at its own, so that none finds a port taken by another one's relay.
struct Place {
    server: IpAddr,
    peer: IpAddr,
}

/// The next server's.
fn next_place() -> Place {
    let number = SERVERS.fetch_add(1, Ordering::Relaxed);
    Place { server: [127, 0, 2, number].into(), peer: [127, 0, 0, 3].into() }
}

fn is_there(tool: &str) -> bool {
    let found = Command::new(tool).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {tool} is not installed (Debian: coturn)");
    }
    found
}

fn config(place: &Place) -> Config {
    let mut config = Config::at(SocketAddr::new(place.server, 0)).user("u", "p").unwrap();
    config.users.add_secret(config.turn.provider, b"north");
    config.turn.relays = vec![RelayAddress { local: place.server, external: place.server }];
    config.turn.peers.allow = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    // They choose their channels by RFC 5766.
    config.turn.rfc5766_channels = true;
    config.turn.max_allocations_per_user = 1000;
    config.turn.max_allocations_per_source = 1000;
    config.turn.max_refusals_per_second = 10_000;
    config
}

/// A port that was free a moment ago.
fn free_port(ip: IpAddr) -> u16 {
    UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap().port()
}

async fn run(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("it ends").unwrap()
}

/// Has `turnutils_uclient` do what `options` say, through the server to a peer and back; what it says.
async fn client_of(server: &Server, place: &Place, options: &[&str]) -> Option<String> {
    if !(is_there("turnutils_uclient") && is_there("turnutils_peer")) {
        return None;
    }
    let (port, peer_port) = (server.local_addr().port().to_string(), free_port(place.peer).to_string());
    let peer_ip = place.peer.to_string();
    let peer = Command::new("turnutils_peer")
        .args(["-L", &peer_ip, "-p", &peer_port])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _peer = Peer(peer);
    // One that breaks rules may wait for ever for what the server rightly does not send.
    let mut client = Command::new("timeout");
    client.args(["30", "turnutils_uclient"]);
    if place.server.is_ipv4() {
        // Clients choose their ports by the time of day: two that begin in the same second have the same ones.
        let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
        client.args(["-L", &Ipv4Addr::from([127, 1, 0, number]).to_string()]);
    }
    client.args(["-p", &port, "-e", &peer_ip, "-r", &peer_port]).args(options);
    client.arg(place.server.to_string());
    let output = run(client).await;
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Likewise with a new server, and what that counted.
async fn uclient(place: &Place, config: Config, options: &[&str]) -> Option<(String, Stats)> {
    let server = Server::bind(config).await.unwrap();
    let said = client_of(&server, place, options).await?;
    Some((said, server.stats().await.unwrap()))
}

/// The last number behind `label`, up to a blank or a comma.
fn number(said: &str, label: &str) -> Option<u64> {
    let after = said.rsplit_once(label)?.1.trim_start();
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Every packet came back, and there were `at_least` of them.
async fn relays_everything(place: &Place, options: &[&str], at_least: u64) -> Option<Stats> {
    let (said, stats) = uclient(place, config(place), options).await?;
    assert_eq!(number(&said, "Total lost packets "), Some(0), "{options:?}: {said}");
    let (sent, received) = (number(&said, "tot_send_msgs="), number(&said, "tot_recv_msgs="));
    assert!(received == sent && received.is_some_and(|count| count >= at_least), "{options:?}: {said}");
    assert!(stats.turn.to_peers >= at_least && stats.turn.to_clients >= at_least, "{stats:?}");
    assert_eq!((stats.dropped, stats.failed), (0, 0), "{stats:?}");
    Some(stats)
}

const USER: [&str; 4] = ["-u", "u", "-w", "p"];

/// Each of `options` with a server of its own, all at a time: a run of the client takes seconds.
async fn all(options: &[&'static [&'static str]], packets: u64) {
    let mut runs = tokio::task::JoinSet::new();
    for extra in options {
        let all = [&USER[..], &["-n", "10", "-m", "2"], extra].concat();
        runs.spawn(async move { relays_everything(&next_place(), &all, packets).await });
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
}

#[tokio::test]
async fn real_channels_indications_and_other_options_lose_nothing_over_udp() {
    all(&[&[], &["-s"], &["-g"], &["-G"], &["-c"], &["-s", "-c", "-l", "1200"]], 20).await;
}

#[tokio::test]
async fn real_clients_over_tcp_lose_nothing() {
    all(&[&["-t"], &["-t", "-s"], &["-t", "-G"], &["-t", "-l", "171"]], 20).await;
}

#[tokio::test]
async fn real_clients_over_tls_lose_nothing() {
    let Some(certificate) = support::Certificate::new() else { return };
    for extra in [&["-t", "-S"][..], &["-t", "-S", "-s", "-l", "1200"]] {
        let place = next_place();
        let mut config = config(&place);
        (config.tls, config.udp, config.tcp) = (std::mem::take(&mut config.tcp), Vec::new(), Vec::new());
        config.certificate = Some(certificate.server());
        let options = [&USER[..], &["-n", "10", "-m", "2"], extra].concat();
        let Some((said, stats)) = uclient(&place, config, &options).await else { return };
        assert_eq!(number(&said, "Total lost packets "), Some(0), "{said}");
        assert!(stats.turn.to_peers >= 20 && stats.turn.to_clients >= 20, "{stats:?} {said}");
    }
}

/// RFC 6062: connections from one client's relay to another's, which implies `-t`, `-y` and `-c`.
#[tokio::test]
async fn real_clients_of_tcp_relays_lose_nothing() {
    let mut runs = tokio::task::JoinSet::new();
    for (extra, workers) in
        [(&["-T"][..], 1), (&["-T", "-t"], 1), (&["-T", "-l", "1200"], 1), (&["-T", "-m", "20"], 3)]
    {
        let all = [&USER[..], &["-n", "10", "-m", "2"], extra].concat();
        runs.spawn(async move {
            let place = next_place();
            let mut config = config(&place);
            (config.turn.tcp_relays, config.workers) = (true, workers);
            // Each of them connects to each other one.
            (config.turn.max_connections_per_allocation, config.turn.max_connections_per_user) = (64, 1000);
            config.max_connections_per_source = 1000;
            let (said, stats) = uclient(&place, config, &all).await?;
            Some((said, stats, workers))
        });
    }
    while let Some(run) = runs.join_next().await {
        let Some((said, stats, workers)) = run.unwrap() else { continue };
        assert_eq!(number(&said, "Total lost packets "), Some(0), "{workers} workers: {stats:?} {said}");
        let (sent, received) = (number(&said, "tot_send_msgs="), number(&said, "tot_recv_msgs="));
        assert!(received == sent && received.is_some_and(|count| count >= 20), "{said}");
        assert!(stats.turn.joined >= 2 && stats.turn.relayed_bytes > 0, "{stats:?}");
        assert_eq!((stats.dropped, stats.failed, stats.refused_connections), (0, 0, 0), "{stats:?}");
        // Whatever the client leaves behind ends with its control connections.
        assert_eq!(stats.turn.to_peers, 0, "{stats:?}");
    }
}

/// The same where clients, their control connections and those that they come for peers by are under TLS.
#[tokio::test]
async fn real_clients_of_tcp_relays_over_tls_lose_nothing() {
    let Some(certificate) = support::Certificate::new() else { return };
    let place = next_place();
    let mut config = config(&place);
    (config.tls, config.udp, config.tcp) = (std::mem::take(&mut config.tcp), Vec::new(), Vec::new());
    config.certificate = Some(certificate.server());
    config.turn.tcp_relays = true;
    let options = [&USER[..], &["-n", "10", "-m", "2", "-T", "-S"]].concat();
    let Some((said, stats)) = uclient(&place, config, &options).await else { return };
    assert_eq!(number(&said, "Total lost packets "), Some(0), "{said}");
    assert!(number(&said, "tot_recv_msgs=").is_some_and(|count| count >= 20), "{said}");
    assert!(stats.turn.joined >= 2, "{stats:?}");
}

#[tokio::test]
async fn real_clients_over_dtls_lose_nothing() {
    let Some(certificate) = support::Certificate::new() else { return };
    let believed = certificate.file().to_str().unwrap().to_owned();
    let mut runs = tokio::task::JoinSet::new();
    for (extra, workers) in [
        (vec!["-S"], 1),
        (vec!["-S", "-s", "-l", "1200"], 1),
        (vec!["-S", "-g"], 1),
        (vec!["-S", "-y"], 1),
        (vec!["-S", "-c"], 3),
        (vec!["-S", "-E", &believed], 3),
    ] {
        let place = next_place();
        let mut config = config(&place);
        (config.dtls, config.udp, config.tcp) = (std::mem::take(&mut config.udp), Vec::new(), Vec::new());
        config.dtls_certificate = Some(certificate.dtls());
        config.workers = workers;
        let options = [&USER[..], &["-n", "10", "-m", "2"], &extra].concat();
        let options: Vec<String> = options.into_iter().map(str::to_owned).collect();
        runs.spawn(async move {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            Some((options.join(" "), uclient(&place, config, &options).await?))
        });
    }
    while let Some(run) = runs.join_next().await {
        let Some((extra, (said, stats))) = run.unwrap() else { return };
        assert_eq!(number(&said, "Total lost packets "), Some(0), "{extra:?}: {said}");
        assert_eq!(number(&said, "tot_recv_msgs="), number(&said, "tot_send_msgs="), "{extra:?}: {said}");
        assert!(stats.turn.to_peers >= 20 && stats.turn.to_clients >= 20, "{extra:?}: {stats:?} {said}");
        assert!(stats.dtls_handshakes >= 2, "{extra:?}: {stats:?}");
        assert_eq!((stats.dropped, stats.failed), (0, 0), "{extra:?}: {stats:?}");
    }
}

#[tokio::test]
async fn real_clients_reach_each_other() {
    all(&[&["-y"], &["-y", "-s"], &["-y", "-t"], &["-y", "-c"]], 20).await;
}

/// RFC 8016: each client goes to another port in the middle, and its relayed address stays.
#[tokio::test]
async fn real_clients_that_move_lose_nothing() {
    let mut runs = tokio::task::JoinSet::new();
    for extra in [&["-M"][..], &["-M", "-t"], &["-M", "-s"]] {
        let all = [&USER[..], &["-n", "10", "-m", "2"], extra].concat();
        runs.spawn(async move { relays_everything(&next_place(), &all, 20).await });
    }
    while let Some(run) = runs.join_next().await {
        let Some(stats) = run.unwrap() else { continue };
        assert!(stats.turn.moved >= 2, "{stats:?}");
    }
}

/// Under load it rests before it looks at its sockets again; what comes meanwhile waits there.
#[tokio::test]
async fn real_clients_of_a_server_that_rests_lose_nothing() {
    let place = next_place();
    let mut config = config(&place);
    config.coalesce = Duration::from_millis(5);
    let options = [&USER[..], &["-n", "50", "-m", "40", "-z", "2", "-l", "1000"]].concat();
    let Some((said, stats)) = uclient(&place, config, &options).await else { return };
    assert_eq!(number(&said, "Total lost packets "), Some(0), "{said}");
    assert!(stats.turn.to_peers >= 2000 && stats.turn.to_clients >= 2000, "{stats:?}");
    assert_eq!((stats.dropped, stats.failed), (0, 0), "{stats:?}");
}

/// Pairs of ports are asked for, so that a token of one worker is shown to another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_clients_of_several_workers_lose_nothing() {
    for extra in [&["-y"][..], &["-t", "-y"], &[]] {
        let place = next_place();
        let mut config = config(&place);
        config.workers = 3;
        let options = [&USER[..], &["-n", "10", "-m", "20"], extra].concat();
        let Some((said, stats)) = uclient(&place, config, &options).await else { return };
        assert_eq!(number(&said, "Total lost packets "), Some(0), "{extra:?}: {said}");
        assert!(stats.turn.to_peers >= 200 && stats.turn.to_clients >= 200, "{extra:?}: {stats:?}");
        assert_eq!((stats.dropped, stats.failed), (0, 0), "{stats:?}");
    }
}

#[tokio::test]
async fn real_names_that_end_are_taken_and_wrong_ones_are_not() {
    let place = next_place();
    let rest = ["-u", "u", "-W", "north", "-n", "10", "-m", "2"];
    relays_everything(&place, &rest, 20).await;
    for wrong in [["-u", "u", "-w", "q"], ["-u", "v", "-w", "p"], ["-u", "u", "-W", "south"]] {
        let options = [&wrong[..], &["-n", "1", "-m", "1"]].concat();
        let Some((said, stats)) = uclient(&place, config(&place), &options).await else { return };
        assert!(said.contains("Cannot complete Allocation"), "{wrong:?}: {said}");
        assert_eq!((stats.turn.allocated, stats.turn.to_peers), (0, 0), "{wrong:?}");
    }
}

#[tokio::test]
async fn real_relays_of_the_other_family_lose_nothing() {
    let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((v6, 0)).is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    // Clients come over IPv4, and their relays and peers are at ::1: there is one loopback address only, so
    // that the peer is another client of the server's.
    let place = next_place();
    let mut config = config(&place);
    config.turn.relays.push(RelayAddress { local: v6, external: v6 });
    let options = [&USER[..], &["-n", "10", "-m", "2", "-x", "-y"]].concat();
    let Some((said, stats)) = uclient(&place, config, &options).await else { return };
    assert_eq!(number(&said, "Total lost packets "), Some(0), "{said}");
    assert!(number(&said, "tot_recv_msgs=").is_some_and(|count| count >= 20), "{said}");
    assert!(stats.turn.to_peers >= 20, "{stats:?}");
}

/// Clients that break rules, and clients that vanish: what they had ends when its time is over.
#[tokio::test]
async fn real_hostile_clients_leave_nothing_behind() {
    let mut runs = tokio::task::JoinSet::new();
    for extra in [&["-N"][..], &["-R"], &["-N", "-R", "-t"], &["-O"], &["-O", "-t"], &["-B"], &["-B", "-t"]] {
        runs.spawn(async move {
            let place = next_place();
            let mut config = config(&place);
            (config.turn.default_lifetime, config.turn.max_lifetime) = (SHORT, SHORT);
            let server = Server::bind(config).await.unwrap();
            // Without `-c` pairs of ports are asked for, and the second is kept for half a minute.
            let options = [&USER[..], &["-c", "-n", "10", "-m", "3"], extra].concat();
            client_of(&server, &place, &options).await?;
            // The last allocation may be as young as the end of the client.
            let mut stats = server.stats().await.unwrap();
            for _ in 0..100 {
                if (stats.turn.allocations, stats.udp_sockets, stats.connections) == (0, 1, 0) {
                    break;
                }
                tokio::time::sleep(SHORT / 20).await;
                stats = server.stats().await.unwrap();
            }
            assert_eq!((stats.turn.allocations, stats.udp_sockets), (0, 1), "{extra:?}: {stats:?}");
            assert_eq!(stats.connections, 0, "{extra:?}");
            assert_eq!(stats.turn.free_ports, 65_536 - 49_152, "{extra:?}");
            Some(stats.turn.allocated)
        });
    }
    // What breaks rules at random may get no allocation in one run, yet in some of them it does.
    let (mut ran, mut allocated) = (0, 0);
    while let Some(run) = runs.join_next().await {
        let Some(count) = run.unwrap() else { continue };
        (ran, allocated) = (ran + 1, allocated + count);
    }
    assert!(ran == 0 || allocated > 5, "{allocated} allocations in {ran} runs");
}

/// The last byte of the next server's address, and of the next client's.
static SERVERS: AtomicU8 = AtomicU8::new(1);
static CLIENTS: AtomicU8 = AtomicU8::new(1);
/// Of an allocation.
const SHORT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn real_stunclient_learns_its_address() {
    if !is_there("turnutils_stunclient") {
        return;
    }
    let place = next_place();
    let server = Server::bind(config(&place)).await.unwrap();
    let mut client = Command::new("turnutils_stunclient");
    client.args(["-p", &server.local_addr().port().to_string(), &place.server.to_string()]);
    let output = run(client).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("reflexive addr: 127.0.0."), "{said}");
}
