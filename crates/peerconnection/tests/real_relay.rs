//! Connections through TURN servers on loopback: ours, and coturn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;
#[path = "harness/relay.rs"]
mod relay;
#[path = "harness/wire.rs"]
mod wire;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use harness::{Pair, comes_true, connect_over, endpoint, negotiate, within};
use net::{Train, Transport, UdpSocket};
use peerline::{
    CandidateKind, ConnectionState, DataChannelInit, Endpoint, Event, Failure, GatheringState, IceServer,
    IceTransportPolicy, UnusedReason,
};
use proto::Transmit;
use relay::{relay_only, server, through};
use wire::Wire;

/// Closes both, and waits until they are over.
async fn close(pair: &Pair) {
    pair.alice.close();
    within(5, "to close", async { tokio::join!(pair.alice.closed(), pair.bob.closed()) }).await;
}

/// Sends and receives as a socket does, and notes to whom.
#[derive(Debug)]
struct Noted {
    socket: UdpSocket,
    remotes: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Noted {
    fn at(address: SocketAddr, remotes: &Arc<Mutex<BTreeSet<SocketAddr>>>) -> io::Result<Arc<dyn Transport>> {
        Ok(Arc::new(Self { socket: UdpSocket::bind(address)?, remotes: remotes.clone() }))
    }
}

impl Transport for Noted {
    fn local_address(&self) -> SocketAddr {
        self.socket.local_address()
    }
    fn max_segments(&self) -> usize {
        self.socket.max_segments()
    }
    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        self.remotes.lock().unwrap().insert(transmit.path.remote);
        self.socket.poll_send(cx, transmit, bytes)
    }
    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Train>> {
        self.socket.poll_receive(cx, buffer)
    }
}

/// THREATS I12: the peer learns nothing but relayed addresses, and nothing is sent to anybody but the server.
#[tokio::test]
async fn real_who_may_only_use_relays_sends_to_the_server_alone() {
    let server = server().await;
    let remotes = Arc::new(Mutex::new(BTreeSet::new()));
    let here = {
        let opened = remotes.clone();
        let shared = Noted::at(SocketAddr::from(([127, 0, 0, 1], 0)), &remotes).unwrap();
        let open = move |address| Noted::at(address, &opened);
        Endpoint::builder().transport(shared).open_with(open).bind().await.unwrap()
    };
    let there = endpoint().await;
    let pair = connect_over(&here, &there, relay_only(server.local_addr())).await;
    pair.exchange_a_megabyte().await;

    let stats = server.stats().await.unwrap();
    assert_eq!(stats.turn.allocations, 2);
    assert!(stats.turn.relayed_bytes > 2 << 20, "{stats:?}");
    for side in [&pair.alice, &pair.bob] {
        let stats = side.stats();
        assert_eq!(stats.local_kind, Some(CandidateKind::Relayed));
        assert_eq!(stats.remote_kind, Some(CandidateKind::Relayed));
        let text = side.local_description().unwrap().sdp.to_string();
        let candidates: Vec<&str> = text.lines().filter(|line| line.starts_with("a=candidate")).collect();
        assert!(!candidates.is_empty(), "{text}");
        assert!(candidates.iter().all(|line| line.contains("typ relay raddr 0.0.0.0 rport 9")), "{text}");
        assert!(!text.contains("127.0.0.1"), "{text}");
    }
    close(&pair).await;
    assert_eq!(*remotes.lock().unwrap(), BTreeSet::from([server.local_addr()]));
    assert_eq!(server.stats().await.unwrap().turn.allocations, 0);
}

/// Where there is a direct path it is taken; the relay is given back at the end all the same.
#[tokio::test]
async fn real_a_direct_path_is_preferred_and_the_relay_is_given_back() {
    let server = server().await;
    let (here, there) = (endpoint().await, endpoint().await);
    let both = [(); 2].map(|()| through(server.local_addr(), "wonderland", IceTransportPolicy::All));
    let pair = connect_over(&here, &there, both).await;
    let kinds: Vec<_> = [&pair.alice, &pair.bob].iter().map(|side| side.stats().local_kind).collect();
    assert!(!kinds.contains(&Some(CandidateKind::Relayed)), "{kinds:?}");
    let gathered = || pair.alice.report().gathering == GatheringState::Complete;
    assert!(comes_true(gathered).await, "{}", pair.alice.report());
    let report = pair.alice.report().connectivity.unwrap();
    assert!(report.relays.iter().any(|relay| relay.relayed[0].is_some()), "{report}");
    // It tells, too, how the outside sees the shared sockets.
    assert!(report.servers.iter().any(|asked| asked.mapped.is_some()), "{report}");
    close(&pair).await;
    assert_eq!(server.stats().await.unwrap().turn.allocations, 0);
}

#[tokio::test]
async fn real_with_a_wrong_password_the_report_says_so_and_the_connection_fails_by_type() {
    let server = server().await;
    let (here, there) = (endpoint().await, endpoint().await);
    let [mut mine, mut other] =
        [(); 2].map(|()| through(server.local_addr(), "wrong", IceTransportPolicy::Relay));
    for configuration in [&mut mine, &mut other] {
        configuration.limits.ice_patience = Duration::from_millis(500);
    }
    let (alice, mut from_alice) = here.connect(mine).unwrap();
    let (bob, _from_bob) = there.connect(other).unwrap();
    alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    negotiate(&alice, &bob);
    let failed = async {
        loop {
            match from_alice.next().await.expect("an event") {
                Event::IceCandidate(Some(found)) => panic!("{found:?}"),
                Event::ConnectionState(ConnectionState::Failed(failure)) => break failure,
                _ => {}
            }
        }
    };
    let failure = within(10, "to fail", failed).await;
    assert!(matches!(failure, Failure::Ice(_)), "{failure:?}");
    let report = alice.report().to_string();
    assert!(report.contains("the user name or the password is wrong"), "{report}");
    assert!(report.contains("try: No TURN server gave an address"), "{report}");
    assert!(!report.contains("wrong\""), "{report}");
    assert_eq!(server.stats().await.unwrap().turn.allocated, 0);
}

/// A socket for each address of the endpoint that reaches the server, up to the limit.
#[tokio::test]
async fn real_there_are_as_many_sockets_for_relaying_as_may_be_and_not_one_more() {
    let server = server().await;
    for (limit, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (8, 3)] {
        let mut builder = Endpoint::builder();
        for last in 1..=3 {
            builder = builder.address([127, 0, 0, last].into());
        }
        let here = builder.bind().await.unwrap();
        let mut configuration = through(server.local_addr(), "wonderland", IceTransportPolicy::Relay);
        configuration.max_relay_sockets = limit;
        let (alice, mut events) = here.connect(configuration).unwrap();
        alice.create_data_channel("first", DataChannelInit::default()).unwrap();
        alice.set_local_description(alice.create_offer().unwrap()).unwrap();
        let mut found = 0;
        let gathered = async {
            while let Some(event) = events.next().await {
                match event {
                    Event::IceCandidate(Some(_)) => found += 1,
                    Event::IceCandidate(None) => break,
                    _ => {}
                }
            }
        };
        within(10, "to gather", gathered).await;
        assert_eq!(found, expected, "limit {limit}");
        let unused = alice.report().unused_servers;
        let reasons: Vec<_> = unused.iter().map(|server| server.reason).collect();
        assert_eq!(reasons, if limit == 0 { vec![UnusedReason::Socket] } else { vec![] });
        alice.close();
        within(5, "to close", alice.closed()).await;
    }
    assert_eq!(server.stats().await.unwrap().turn.allocations, 0);
}

/// What cannot be used is in the report, and holds nothing up.
#[tokio::test]
async fn real_servers_that_cannot_be_used_are_in_the_report() {
    let server = server().await;
    let wire = Arc::new(Wire::new());
    // Somebody else's network, and no way to open sockets in it.
    let here = Endpoint::builder().transport(wire).bind().await.unwrap();
    let there = endpoint().await;
    let mut mine = through(server.local_addr(), "wonderland", IceTransportPolicy::All);
    mine.ice_servers.push(IceServer::new("stun:nowhere.invalid"));
    mine.ice_servers.push(IceServer::new("stuns:localhost"));
    mine.ice_servers.push(IceServer::new("turns:localhost").credentials("a", "b"));
    mine.ice_servers.push(IceServer::new("turn:[::1]").credentials("a", "b"));
    let pair = connect_over(&here, &there, [mine, peerline::Configuration::default()]).await;
    let mut unused = Vec::new();
    let known = async {
        while unused.len() < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            unused = pair.alice.report().unused_servers;
        }
    };
    within(10, "five servers", known).await;
    let reason_of = |uri: &str| unused.iter().find(|server| server.uri.starts_with(uri)).unwrap().reason;
    assert_eq!(reason_of("stuns:localhost"), UnusedReason::Transport);
    assert_eq!(reason_of("turns:localhost"), UnusedReason::Socket, "not past the network that is there");
    assert_eq!(reason_of("turn:127.0.0.9"), UnusedReason::Socket);
    assert_eq!(reason_of("turn:[::1]"), UnusedReason::Socket);
    assert_eq!(reason_of("stun:nowhere.invalid"), UnusedReason::Name);
    assert!(pair.alice.report().to_string().contains("server stun:nowhere.invalid is not used: its name"));
}

#[tokio::test]
async fn real_a_server_that_has_given_enough_is_in_the_report() {
    let server = relay::server_for(|config| config.turn.max_allocations_per_user = 1).await;
    let mine = || through(server.local_addr(), "wonderland", IceTransportPolicy::Relay);
    let there = endpoint().await;
    let (first, _events) = endpoint().await.connect(mine()).unwrap();
    let (second, _more) = endpoint().await.connect(mine()).unwrap();
    let mut gathered = Vec::new();
    for connection in [&first, &second] {
        let (peer, _from_peer) = there.connect(peerline::Configuration::default()).unwrap();
        connection.create_data_channel("first", DataChannelInit::default()).unwrap();
        negotiate(connection, &peer);
        let done = || connection.report().gathering == GatheringState::Complete;
        assert!(comes_true(done).await, "{}", connection.report());
        gathered.push(connection.report().to_string());
    }
    assert!(gathered[0].contains("gives us 127.0.0.9"), "{}", gathered[0]);
    assert!(gathered[1].contains("error 486: this user has as many allocations"), "{}", gathered[1]);
}

/// THREATS figure 31, for the sockets of relays.
#[tokio::test]
async fn real_no_error_of_a_socket_for_relaying_ends_a_connection() {
    let server = server().await;
    let errors = [io::ErrorKind::WouldBlock, io::ErrorKind::OutOfMemory, io::ErrorKind::ConnectionRefused];
    let mut at_once = tokio::task::JoinSet::new();
    let address = server.local_addr();
    for at in 0..testkit::scaled_at_least(400, 16) {
        for error in errors {
            if at_once.len() >= 12 {
                at_once.join_next().await.unwrap().unwrap();
            }
            at_once.spawn(async move {
                let wire = Arc::new(Wire::failing(at, error));
                let open = {
                    let wire = wire.clone();
                    move |_| Ok(wire.clone() as Arc<dyn Transport>)
                };
                let shared = Arc::new(Wire::new());
                let here = Endpoint::builder().transport(shared).open_with(open).bind().await.unwrap();
                let there = endpoint().await;
                let pair = connect_over(&here, &there, relay_only(address)).await;
                for number in 0..3 + at / 2 {
                    let number = number.to_be_bytes()[7];
                    pair.ours.send(vec![number; 5000]).await.unwrap();
                    let heard = within(10, "a message", pair.theirs.recv()).await.expect("a message");
                    assert_eq!(heard.as_bytes(), vec![number; 5000], "{at} {error}");
                    pair.theirs.send("yes").await.unwrap();
                    assert!(within(10, "an answer", pair.ours.recv()).await.is_some(), "{at} {error}");
                }
                assert!(wire.sends() > at, "{at} was never reached");
                close(&pair).await;
            });
        }
    }
    while let Some(done) = at_once.join_next().await {
        done.unwrap();
    }
    assert_eq!(server.stats().await.unwrap().turn.allocations, 0);
}
