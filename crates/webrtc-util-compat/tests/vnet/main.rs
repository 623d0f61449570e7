//! The facade over the virtual network of webrtc-util: whether a path is found through each pair of its NATs,
//! which are not of our making.

mod network;
mod socket;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crypto::HashAlgorithm;
use network::{Nat, Network, Port, STUN_SERVER};
use peerline::{
    CandidateKind, Configuration, ConnectionState, DataChannel, DataChannelInit, Endpoint, Event, Events,
    Failure, IceFailure, PeerConnection,
};
use socket::VnetSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// One of two peers.
struct Peer {
    connection: PeerConnection,
    events: Events,
    local: SocketAddr,
}

impl Peer {
    async fn new(port: Port, ice_patience: Duration) -> Self {
        let socket = VnetSocket::new(port);
        let stun = format!("stun:{STUN_SERVER}");
        let local = peerline::Transport::local_address(&socket);
        let endpoint = Endpoint::builder().stun(stun).transport(Arc::new(socket)).bind().await.unwrap();
        let mut configuration = Configuration::default();
        configuration.limits.ice_patience = ice_patience;
        let (connection, events) = endpoint.connect(configuration).unwrap();
        Self { connection, events, local }
    }

    /// Waits until every candidate was found.
    async fn gathered(&mut self) {
        while !matches!(self.events.next().await.unwrap(), Event::IceCandidate(None)) {}
    }

    /// Waits until the connection has failed, and says why.
    async fn failed(&mut self) -> Failure {
        loop {
            match self.events.next().await.unwrap() {
                Event::ConnectionState(ConnectionState::Failed(why)) => return why,
                Event::ConnectionState(ConnectionState::Connected) => panic!("it connected"),
                _ => {}
            }
        }
    }

    async fn opened(&mut self) -> DataChannel {
        loop {
            if let Event::DataChannel(channel) = self.events.next().await.unwrap() {
                return channel;
            }
        }
    }

    /// What the two ends of its path are, and where the other one is.
    fn path(&self) -> (CandidateKind, CandidateKind, SocketAddr) {
        let stats = self.connection.stats();
        let path = stats.selected_path.unwrap();
        assert_eq!(path.local, self.local, "the base, whatever the NAT makes of it");
        (stats.local_kind.unwrap(), stats.remote_kind.unwrap(), path.remote)
    }

    /// Where the STUN server sees it.
    fn reflexive(&self) -> SocketAddr {
        let report = self.connection.report().connectivity.unwrap();
        let is_reflexive = |kind| kind == CandidateKind::ServerReflexive;
        let found = report.local_candidates.iter().find(|candidate| is_reflexive(candidate.kind));
        let address = &found.expect("a server-reflexive candidate").address;
        address.ip().unwrap()
    }
}

/// Two peers behind NATs of these kinds, each on a LAN of its own. With `alike`, both LANs use the same addresses.
async fn behind([a, b]: [Nat; 2], alike: bool, patience: Duration) -> (Network, [Peer; 2]) {
    let mut network = Network::new();
    let (cidr, address) =
        if alike { ("192.168.0.0/24", "192.168.0.2:4000") } else { ("10.0.0.0/24", "10.0.0.2:4000") };
    let here = network.lan("192.168.0.0/24", "203.0.113.10", a).await;
    let here = network.bind(&here, "192.168.0.2:4000").await;
    let there = network.lan(cidr, "203.0.113.20", b).await;
    let there = network.bind(&there, address).await;
    network.start().await;
    (network, [Peer::new(here, patience).await, Peer::new(there, patience).await])
}

/// Has both gather, and then exchanges their descriptions, so that every candidate is known from the first check on.
async fn negotiate([a, b]: &mut [Peer; 2]) -> DataChannel {
    let channel = a.connection.create_data_channel("data", DataChannelInit::default()).unwrap();
    a.connection.set_local_description(a.connection.create_offer().unwrap()).unwrap();
    a.gathered().await;
    b.connection.set_remote_description(a.connection.local_description().unwrap()).unwrap();
    b.connection.set_local_description(b.connection.create_answer().unwrap()).unwrap();
    b.gathered().await;
    a.connection.set_remote_description(b.connection.local_description().unwrap()).unwrap();
    channel
}

/// A mebibyte each way at once; what arrives is what was sent, by its hash.
async fn exchange(channels: [&DataChannel; 2]) {
    let provider = crypto::default_provider();
    let messages = |side: usize| -> Vec<Vec<u8>> {
        (0..MESSAGES).map(|n| (0..LEN).map(|at| (at * 31 + n * 7 + side * 101) as u8).collect()).collect()
    };
    let send = |side: usize| async move {
        for message in messages(side) {
            channels[side].send(message).await.unwrap();
        }
    };
    let receive = |side: usize| async move {
        let mut bytes = Vec::new();
        for _ in 0..MESSAGES {
            bytes.extend_from_slice(channels[side].recv().await.expect("a message").as_bytes());
        }
        assert_eq!(bytes.len(), MESSAGES * LEN);
        let sha256 = |bytes: &[u8]| {
            let mut hash = provider.hash(HashAlgorithm::Sha256);
            hash.update(bytes);
            hash.digest()
        };
        assert_eq!(sha256(&bytes).as_ref(), sha256(&messages(1 - side).concat()).as_ref());
    };
    tokio::join!(send(0), send(1), receive(0), receive(1));
}

/// Connects two peers and moves data both ways.
async fn connect(peers: &mut [Peer; 2]) {
    let ours = negotiate(peers).await;
    let theirs = peers[1].opened().await;
    exchange([&ours, &theirs]).await;
}

async fn within<T>(seconds: u64, what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(seconds), future).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {seconds} s"))
}

#[tokio::test(flavor = "multi_thread")]
async fn real_peers_of_one_lan_meet_at_their_host_addresses() {
    let mut network = Network::new();
    let lan = network.lan("192.168.0.0/24", "203.0.113.10", Nat::PortRestricted).await;
    let here = network.bind(&lan, "192.168.0.2:4000").await;
    let there = network.bind(&lan, "192.168.0.3:4000").await;
    network.start().await;
    let mut peers = [Peer::new(here, PATIENCE).await, Peer::new(there, PATIENCE).await];
    within(30, "one LAN", connect(&mut peers)).await;
    for (mine, other) in [(0, 1), (1, 0)] {
        let host = CandidateKind::Host;
        assert_eq!(peers[mine].path(), (host, host, peers[other].local));
        // The NAT was asked all the same.
        assert_eq!(peers[mine].reflexive().ip(), "203.0.113.10".parse::<std::net::IpAddr>().unwrap());
    }
}

/// Peers behind NATs of these kinds connect, by a pair of the kinds that follow from the NATs'.
async fn meets(nats: [Nat; 2], alike: bool) {
    let what = format!("{nats:?}, alike: {alike}");
    let (_network, mut peers) = behind(nats, alike, PATIENCE).await;
    let met = tokio::time::timeout(Duration::from_secs(30), connect(&mut peers)).await.is_ok();
    let reports = peers.each_ref().map(|peer| peer.connection.report().to_string());
    assert!(met, "{what}: {}", reports.join("\n"));
    for (mine, other) in [(0, 1), (1, 0)] {
        let (local, remote, address) = peers[mine].path();
        let reflexive = peers[other].reflexive();
        assert_eq!(address.ip(), reflexive.ip(), "{what}");
        // A symmetric NAT shows the peer another port than the server: only a check can tell it.
        if nats[other] == Nat::Symmetric {
            assert_eq!(remote, CandidateKind::PeerReflexive, "{what}");
            assert_ne!(address, reflexive, "{what}");
        } else {
            assert_eq!(remote, CandidateKind::ServerReflexive, "{what}");
            assert_eq!(address, reflexive, "{what}");
        }
        let own = if nats[mine] == Nat::Symmetric {
            CandidateKind::PeerReflexive
        } else {
            CandidateKind::ServerReflexive
        };
        assert_eq!(local, own, "{what}");
    }
}

/// Whether a path leads through NATs of these kinds: where one maps anew for each peer, the other must let in who
/// comes from a port that nobody told it.
fn is_passable(nats: [Nat; 2]) -> bool {
    let is_strict = |nat| matches!(nat, Nat::Symmetric | Nat::PortRestricted);
    !(nats.contains(&Nat::Symmetric) && nats.into_iter().all(is_strict))
}

fn pairs() -> impl Iterator<Item = [Nat; 2]> {
    Nat::ALL.into_iter().flat_map(|a| Nat::ALL.map(|b| [a, b]))
}

#[tokio::test(flavor = "multi_thread")]
async fn real_every_pair_of_nats_that_can_be_passed_is_passed() {
    let mut at_once = JoinSet::new();
    for nats in pairs().filter(|nats| is_passable(*nats)) {
        at_once.spawn(meets(nats, false));
    }
    assert_eq!(at_once.len(), 13);
    at_once.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_two_lans_with_the_same_addresses_do_not_confuse_their_peers() {
    meets([Nat::PortRestricted, Nat::PortRestricted], true).await;
    meets([Nat::Restricted, Nat::Symmetric], true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_pairs_of_nats_that_need_a_relay_fail_by_type_and_in_time() {
    let mut at_once = JoinSet::new();
    for nats in pairs().filter(|nats| !is_passable(*nats)) {
        at_once.spawn(async move {
            let patience = Duration::from_secs(4);
            let (_network, mut peers) = behind(nats, false, patience).await;
            let _channel = negotiate(&mut peers).await;
            let start = Instant::now();
            for peer in &mut peers {
                let why = within(12, &format!("{nats:?}"), peer.failed()).await;
                assert_eq!(why, Failure::Ice(IceFailure::NoAnswer), "{nats:?}");
                let advice = peer.connection.report().to_string();
                assert!(advice.contains("use a TURN server"), "{nats:?}: {advice}");
            }
            assert!(start.elapsed() >= patience - Duration::from_secs(1), "{nats:?}");
        });
    }
    assert_eq!(at_once.len(), 3);
    at_once.join_all().await;
}

const MESSAGES: usize = 64;
const LEN: usize = 16 << 10;
/// As it is by default.
const PATIENCE: Duration = Duration::from_millis(39_500);
