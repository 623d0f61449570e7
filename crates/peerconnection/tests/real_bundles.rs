//! Sections that are not bundled, between two endpoints: a transport and sockets of its own for each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    dead_code,
    reason = "a panic is how a test fails, and of the harness a part is used"
)]

mod harness;
#[path = "harness/relay.rs"]
mod relay;

use std::collections::BTreeSet;
use std::time::Duration;

use harness::{comes_true, endpoint, within};
use peerline::{
    BundlePolicy, Configuration, ConnectionState, DataChannel, DataChannelInit, Description, Dictionary,
    Endpoint, Error, Event, Events, IceTransportPolicy, MediaKind, Message, OutgoingFrame, PeerConnection,
    SendMediaError, SessionDescription, Transceiver,
};
use relay::{server, through};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

fn with_policy(policy: BundlePolicy) -> Configuration {
    let mut configuration = Configuration::default();
    configuration.bundle_policy = policy;
    configuration
}

/// An offer as one reads it who has never heard of bundles.
fn unbundled(offer: &Description) -> Description {
    let text = offer.sdp.to_string();
    let is_kept = |line: &&str| !line.starts_with("a=group:BUNDLE") && *line != "a=bundle-only";
    let kept: String = text.lines().filter(is_kept).map(|line| format!("{line}\r\n")).collect();
    Description { kind: offer.kind, sdp: SessionDescription::parse(&kept).unwrap() }
}

/// What happens to one side, candidates apart, which the other side gets.
struct Found {
    tracks: UnboundedReceiver<Transceiver>,
    channels: UnboundedReceiver<DataChannel>,
}

fn link(mut events: Events, other: PeerConnection) -> Found {
    let (tracks, found_tracks) = unbounded_channel();
    let (channels, found_channels) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                Event::IceCandidate(Some(candidate)) => other.add_ice_candidate(&candidate).unwrap(),
                Event::Track(transceiver) => _ = tracks.send(transceiver),
                Event::DataChannel(channel) => _ = channels.send(channel),
                _ => {}
            }
        }
    });
    Found { tracks: found_tracks, channels: found_channels }
}

/// Audio, video and data from the first, both ways, after an offer that was changed on its way.
struct Call {
    alice: PeerConnection,
    bob: PeerConnection,
    ours: DataChannel,
    theirs: DataChannel,
    sending: Vec<Transceiver>,
    receiving: Vec<Transceiver>,
}

impl Call {
    async fn new(
        endpoints: [&Endpoint; 2],
        configurations: [Configuration; 2],
        change: impl Fn(&Description) -> Description,
    ) -> Self {
        let [first, second] = configurations;
        let (alice, from_alice) = endpoints[0].connect(first).unwrap();
        let (bob, from_bob) = endpoints[1].connect(second).unwrap();
        let kinds = [MediaKind::Audio, MediaKind::Video];
        let sending = kinds.map(|kind| alice.add_track(kind, &["s"]).unwrap()).to_vec();
        let ours = alice.create_data_channel("chat", DataChannelInit::default()).unwrap();
        let offer = alice.create_offer().unwrap();
        alice.set_local_description(offer.clone()).unwrap();
        bob.set_remote_description(change(&offer)).unwrap();
        let answer = bob.create_answer().unwrap();
        bob.set_local_description(answer.clone()).unwrap();
        alice.set_remote_description(answer).unwrap();
        let of_alice = link(from_alice, bob.clone());
        let mut of_bob = link(from_bob, alice.clone());
        drop(of_alice);
        let theirs = within(20, "to meet", of_bob.channels.recv()).await.unwrap();
        let mut receiving = Vec::new();
        for _ in 0..2 {
            receiving.push(within(5, "tracks", of_bob.tracks.recv()).await.unwrap());
        }
        let is_up = |it: &PeerConnection| it.connection_state() == ConnectionState::Connected;
        assert!(comes_true(|| is_up(&alice) && is_up(&bob)).await, "{}\n{}", alice.report(), bob.report());
        Self { alice, bob, ours, theirs, sending, receiving }
    }

    /// Frames of audio and of video, and a message each way.
    async fn exchange(&self) {
        for (from, to) in [(&self.ours, &self.theirs), (&self.theirs, &self.ours)] {
            from.send(Message::Text("over its own transport".to_owned())).await.unwrap();
            let came = within(5, "a message", to.recv()).await.unwrap();
            assert_eq!(came, Message::Text("over its own transport".to_owned()));
        }
        for transceiver in &self.sending {
            tokio::spawn(pump(transceiver.clone()));
        }
        for transceiver in &self.receiving {
            for _ in 0..10 {
                within(10, "frames", transceiver.recv()).await.unwrap();
            }
        }
    }
}

async fn pump(transceiver: Transceiver) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for number in 0..1000_u32 {
        ticks.tick().await;
        let (bytes, clock) = match transceiver.kind() {
            MediaKind::Audio => (vec![0xf8, 1, 2, 3], 960),
            MediaKind::Video if number.is_multiple_of(30) => {
                (vec![0, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 180, 0, 7, 7, 7], 1800)
            }
            MediaKind::Video => (vec![1, 0, 0, 7, 7, 7, 7, 7], 1800),
        };
        let frame = OutgoingFrame { bytes: &bytes, timestamp: number * clock, ..OutgoingFrame::default() };
        match transceiver.write_frame(0, &frame) {
            Ok(()) | Err(SendMediaError::NotConnected | SendMediaError::Blocked) => {}
            Err(_) => return,
        }
    }
}

/// How many transports there are, at how many ports of ours data goes.
fn transports(connection: &PeerConnection) -> (usize, usize) {
    let report = connection.get_stats();
    let selected = |(_, entry): (_, &Dictionary)| match entry {
        Dictionary::Transport(transport) => Some(transport.selected_candidate_pair_id.clone()),
        _ => None,
    };
    let pairs: Vec<_> = report.iter().filter_map(selected).collect();
    let port = |pair: &Option<peerline::StatsId>| match report.get(pair.as_ref()?.as_str())? {
        Dictionary::CandidatePair(pair) => match report.get(pair.local_candidate_id.as_str())? {
            Dictionary::LocalCandidate(candidate) => Some(candidate.port),
            _ => None,
        },
        _ => None,
    };
    (pairs.len(), pairs.iter().filter_map(port).collect::<BTreeSet<u16>>().len())
}

#[tokio::test]
async fn real_sections_that_are_not_bundled_have_sockets_of_their_own() {
    let both = [with_policy(BundlePolicy::MaxCompat), with_policy(BundlePolicy::Balanced)];
    let call = Call::new([&endpoint().await, &endpoint().await], both, unbundled).await;
    call.exchange().await;
    for connection in [&call.alice, &call.bob] {
        assert_eq!(transports(connection), (3, 3), "{}", connection.report());
    }
    // The policy is what it was made with.
    let other = call.alice.set_configuration(&with_policy(BundlePolicy::MaxBundle));
    assert!(matches!(other, Err(Error::Modification { .. })), "{other:?}");
    call.alice.close();
    within(5, "to close", call.bob.closed()).await;
}

#[tokio::test]
async fn real_workers_share_an_endpoint_whose_connections_have_several_transports() {
    let bind = || Endpoint::builder().address([127, 0, 0, 1].into()).workers(2).bind();
    let endpoints = [bind().await.unwrap(), bind().await.unwrap()];
    for _ in 0..4 {
        let both = [(); 2].map(|()| with_policy(BundlePolicy::MaxCompat));
        let call = Call::new([&endpoints[0], &endpoints[1]], both, unbundled).await;
        call.exchange().await;
        assert_eq!(transports(&call.bob), (3, 3));
    }
}

#[tokio::test]
async fn real_sections_that_are_bundled_in_the_end_share_the_port_of_the_endpoint() {
    let endpoints = [endpoint().await, endpoint().await];
    let both = [with_policy(BundlePolicy::Balanced), with_policy(BundlePolicy::MaxBundle)];
    let call = Call::new([&endpoints[0], &endpoints[1]], both, Clone::clone).await;
    call.exchange().await;
    for (connection, endpoint) in [&call.alice, &call.bob].into_iter().zip(&endpoints) {
        assert_eq!(transports(connection), (1, 1));
        let path = connection.stats().selected_path.unwrap();
        assert!(endpoint.local_addresses().contains(&path.local));
    }
}

#[tokio::test]
async fn real_transports_of_their_own_relay_and_give_back_what_was_lent_in_vain() {
    let server = server().await;
    let configuration = || {
        let mut it = through(server.local_addr(), "wonderland", IceTransportPolicy::Relay);
        it.bundle_policy = BundlePolicy::MaxCompat;
        it
    };
    let lent = || async { server.stats().await.unwrap().turn.allocations };
    let endpoints = [endpoint().await, endpoint().await];
    let apart =
        Call::new([&endpoints[0], &endpoints[1]], [configuration(), configuration()], unbundled).await;
    apart.exchange().await;
    assert_eq!(lent().await, 6, "one for each transport of each side");
    apart.alice.close();
    let mut left = lent().await;
    for _ in 0..50 {
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        left = lent().await;
    }
    assert_eq!(left, 0, "all is given back at the end");
    let bundled =
        Call::new([&endpoints[0], &endpoints[1]], [configuration(), configuration()], Clone::clone).await;
    bundled.exchange().await;
    assert_eq!(transports(&bundled.alice), (1, 1));
    let mut left = lent().await;
    for _ in 0..50 {
        if left == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        left = lent().await;
    }
    assert_eq!(left, 2, "and what the bundle does not need, as soon as there is one");
}
