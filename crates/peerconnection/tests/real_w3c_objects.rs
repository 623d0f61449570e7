//! What the web-platform-tests suite asserts of W3C WebRTC's objects, where the facade alone has them: configurations,
//! certificates, and the names of errors. See docs/rfc/w3c-objects.toml.
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

use std::time::{Duration, Instant, SystemTime};

use harness::{connect, endpoint, negotiate, within};
use peerline::{
    BundlePolicy, Certificate, ChannelState, Configuration, DataChannelInit, Direction, Error, ExtensionKind,
    IceServer, IceTransportPolicy, MediaKind, Reliability, SendError, TransceiverInit,
};

fn with(servers: Vec<IceServer>) -> Configuration {
    let mut configuration = Configuration::default();
    configuration.ice_servers = servers;
    configuration
}

/// `RTCConfiguration-iceServers`, of which URLs with names of other scripts and percent signs are left to the program.
#[tokio::test]
async fn real_servers_are_taken_by_the_rules_of_their_urls() {
    let here = endpoint().await;
    let made = |servers: Vec<IceServer>| here.connect(with(servers)).map(drop).map_err(|error| error.name());
    assert_eq!(made(vec![]), Ok(()));
    for url in [
        "stun:stun1.example.net",
        "stuns:stun1.example.net",
        "stun:example.net:",
        "stun:example.net:65535",
        "stun:[2001::1]",
        "stun:GOOgoo.com",
        "stun:1.2.3.4.",
        "stun:256.com",
        "stun:.",
    ] {
        assert_eq!(made(vec![IceServer::new(url)]), Ok(()), "{url}");
    }
    let turn = |url: &str, user: &str, word: &str| made(vec![IceServer::new(url).credentials(user, word)]);
    assert_eq!(turn("turn:turn.example.org", "user", "cred"), Ok(()));
    assert_eq!(turn("turns:turn.example.org", "user", "cred"), Ok(()));
    let several =
        IceServer::new("turns:turn.example.org").url("turn:turn.example.net").credentials("user", "cred");
    assert_eq!(made(vec![several]), Ok(()));
    for url in ["turn:turn.example.net", "turns:turn.example.net"] {
        assert_eq!(made(vec![IceServer::new(url)]), Err("InvalidAccessError"));
        assert_eq!(turn(url, "user", ""), Err("InvalidAccessError"));
        assert_eq!(turn(url, "", "cred"), Err("InvalidAccessError"));
    }
    for url in [
        "",
        "relative-url",
        "http://example.com",
        "turn://example.org/foo?x=y",
        "stun://example.org/foo?x=y",
        "stun:example.net:65536",
        "stun:example.net:b",
        "stun:example.net: ",
        "stun:example.net:-21",
        "stun:example.net#foo",
        "stun:[61:24:74]:98",
        "stun:[::127.0.0.1.]",
        "stun:%25",
        "stun:hello%00",
        "stun:192.168.0.1 hello",
        "stun:x x:12",
        "stun:[example.net]",
        "stun:[::1.2.3.4x]",
        "stun:[::%31]",
        "stun:%5B::1]",
        "stun:a\0b",
        "stun:a<b",
        "stun:a[b",
        "stun:a\\b",
        "stun:a^b",
    ] {
        assert_eq!(turn(url, "user", "cred"), Err("SyntaxError"), "{url:?}");
        let second = IceServer::new("stun:stun1.example.net").url(url);
        assert_eq!(made(vec![second]), Err("SyntaxError"), "{url:?}");
    }
}

#[tokio::test]
async fn real_a_configuration_counts_whole_or_not_at_all() {
    let here = endpoint().await;
    let defaults = Configuration::default();
    assert_eq!(defaults.bundle_policy, BundlePolicy::MaxBundle);
    assert_eq!(defaults.ice_transport_policy, IceTransportPolicy::All);
    assert!(defaults.ice_servers.is_empty() && defaults.certificate.is_none());
    for policy in [BundlePolicy::Balanced, BundlePolicy::MaxCompat, BundlePolicy::MaxBundle] {
        let mut configuration = Configuration::default();
        configuration.bundle_policy = policy;
        let (alice, _events) = here.connect(configuration.clone()).unwrap();
        assert!(alice.set_configuration(&configuration).is_ok());
        let mut other = configuration.clone();
        other.bundle_policy =
            if policy == BundlePolicy::Balanced { BundlePolicy::MaxCompat } else { BundlePolicy::Balanced };
        let refused = alice.set_configuration(&other).unwrap_err();
        assert_eq!(refused.name(), "InvalidModificationError", "{refused}");
        let mut other = configuration;
        other.ice_servers = vec![IceServer::new("stun:good.example"), IceServer::new("")];
        assert_eq!(alice.set_configuration(&other).unwrap_err().name(), "SyntaxError");
        assert!(!alice.report().to_string().contains("good.example"), "nothing of it was taken");
        alice.close();
        let closed = alice.set_configuration(&Configuration::default()).unwrap_err();
        assert_eq!(closed.name(), "InvalidStateError");
    }
}

fn shown(certificate: &Certificate) -> String {
    let bytes: Vec<String> = certificate.sha256().iter().map(|byte| format!("{byte:02X}")).collect();
    format!("a=fingerprint:sha-256 {}\r\n", bytes.join(":"))
}

#[tokio::test]
async fn real_a_certificate_is_in_offers_and_one_that_has_expired_is_refused() {
    let here = endpoint().await;
    let certificate = Certificate::generate().unwrap();
    let days = certificate.expires().duration_since(SystemTime::now()).unwrap().as_secs() / 86_400;
    assert!((29..31).contains(&days), "{days}");
    let mut configuration = Configuration::default();
    configuration.certificate = Some(certificate.clone());
    let (alice, _events) = here.connect(configuration.clone()).unwrap();
    alice.create_data_channel("test", DataChannelInit::default()).unwrap();
    assert!(alice.create_offer().unwrap().sdp.to_string().contains(&shown(&certificate)));
    for (seconds, made) in [(0, Err("InvalidAccessError")), (2000, Ok(()))] {
        let certificate = Certificate::generate_for(Duration::from_secs(seconds)).unwrap();
        let ends = certificate.expires();
        let expected = SystemTime::now() + Duration::from_secs(seconds);
        let skew = ends.duration_since(expected).unwrap_or_else(|error| error.duration());
        assert!(skew <= Duration::from_secs(2), "{skew:?}");
        configuration.certificate = Some(certificate);
        assert_eq!(here.connect(configuration.clone()).map(drop).map_err(|error| error.name()), made);
    }
    assert_eq!(Certificate::generate_for(Duration::MAX).unwrap_err().name(), "InvalidAccessError");
}

#[tokio::test]
async fn real_channels_have_their_attributes_and_errors_their_names() {
    let here = endpoint().await;
    let (alice, _events) = here.connect(Configuration::default()).unwrap();
    let plain = alice.create_data_channel("", DataChannelInit::default()).unwrap();
    assert_eq!((plain.label(), plain.protocol().as_str(), plain.id()), ("", "", None));
    assert_eq!((plain.ordered(), plain.negotiated()), (true, false));
    assert_eq!((plain.max_retransmits(), plain.max_packet_life_time()), (None, None));
    assert_eq!((plain.state(), plain.buffered_amount()), (ChannelState::Connecting, 0));
    let init = |id| DataChannelInit {
        ordered: false,
        reliability: Reliability::MaxRetransmits(1),
        protocol: "custom".to_owned(),
        negotiated: Some(id),
    };
    let agreed = alice.create_data_channel("test", init(3)).unwrap();
    assert_eq!((agreed.label(), agreed.protocol().as_str(), agreed.id()), ("test", "custom", Some(3)));
    assert_eq!((agreed.ordered(), agreed.negotiated(), agreed.max_retransmits()), (false, true, Some(1)));
    let refused = |label: &str, init| alice.create_data_channel(label, init).unwrap_err().name();
    assert_eq!(refused("", init(3)), "OperationError");
    assert_eq!(refused("", init(65_535)), "TypeError");
    assert_eq!(refused(&"l".repeat(65_536), DataChannelInit::default()), "TypeError");
    assert_eq!((alice.max_message_size(), alice.max_channels()), (None, None));
    alice.close();
    assert_eq!(refused("", DataChannelInit::default()), "InvalidStateError");
    assert_eq!(plain.try_send("late").unwrap_err().name(), "InvalidStateError");

    let pair = connect().await;
    let limit = pair.alice.max_message_size().unwrap();
    assert_eq!((limit, pair.alice.max_channels()), (256 * 1024, pair.bob.max_channels()));
    assert_eq!(pair.alice.max_channels(), Some(1024));
    let large = vec![0; usize::try_from(limit).unwrap() + 1];
    let refused = pair.ours.try_send(large).unwrap_err();
    assert_eq!((refused, refused.name()), (SendError::TooLarge { limit }, "TypeError"));
    // The other side's ends with it.
    pair.ours.close();
    assert_eq!(within(5, "to end", pair.theirs.recv()).await, None);
    assert_eq!(pair.theirs.try_send("late").unwrap_err().name(), "InvalidStateError");
}

/// `RTCDataChannel-bufferedAmountLowThreshold`.
#[tokio::test]
async fn real_whoever_waits_for_a_channel_to_drain_hears_of_it_and_of_no_other() {
    let pair = connect().await;
    let reading = tokio::spawn(async move { while pair.theirs.recv().await.is_some() {} });
    let ours = &pair.ours;
    let low = |threshold| async move {
        let begin = Instant::now();
        let drained = within(10, "to drain", ours.drained_to(threshold)).await;
        // Whoever is not woken finds it so at the end of the time.
        assert!(begin.elapsed() < Duration::from_secs(5), "{threshold}");
        drained
    };
    assert_eq!(low(0).await, Ok(()), "nothing waits yet");
    for len in [4, 65_536] {
        for threshold in [0, len / 2, len, len * 2] {
            for _ in 0..10 {
                pair.ours.send(vec![0xde; len]).await.unwrap();
            }
            assert_eq!(low(threshold).await, Ok(()), "{len} {threshold}");
            assert!(pair.ours.buffered_amount() <= threshold);
        }
    }
    // Two at a time, of which one has less to wait for.
    for _ in 0..10 {
        pair.ours.send(vec![0xde; 65_536]).await.unwrap();
    }
    assert_eq!(tokio::join!(low(300_000), low(0)), (Ok(()), Ok(())));
    // Before there is a connection nothing is sent, and after its end nothing will be.
    let (alice, _events) = endpoint().await.connect(Configuration::default()).unwrap();
    let early = alice.create_data_channel("early", DataChannelInit::default()).unwrap();
    assert_eq!(early.drained_to(0).await, Ok(()));
    pair.ours.send(vec![0xde; 200_000]).await.unwrap();
    pair.alice.close();
    let over = within(10, "to end", pair.ours.drained_to(0)).await;
    assert!(over == Err(SendError::Closed) || pair.ours.buffered_amount() == 0);
    reading.abort();
}

#[tokio::test]
async fn real_transceivers_are_changed_and_stopped_as_in_the_specification() {
    let (here, there) = (endpoint().await, endpoint().await);
    let (alice, _a) = here.connect(Configuration::default()).unwrap();
    let (bob, _b) = there.connect(Configuration::default()).unwrap();
    let audio = alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
    assert!(audio.streams().is_empty() && !audio.is_stopped());
    audio.set_streams(&["one", "two"]).unwrap();
    assert_eq!(audio.streams(), ["one", "two"]);
    assert_eq!(audio.set_streams(&["not a name"]).unwrap_err().name(), "TypeError");
    assert!(audio.header_extensions().contains(&ExtensionKind::AudioLevel));
    audio.set_header_extensions(vec![ExtensionKind::Mid]).unwrap();
    assert_eq!(audio.header_extensions(), [ExtensionKind::Mid]);
    audio.set_jitter_buffer_target(Some(Duration::from_millis(250))).unwrap();
    assert_eq!(audio.jitter_buffer_target(), Some(Duration::from_millis(250)));
    let refused = audio.set_jitter_buffer_target(Some(Duration::from_secs(5))).unwrap_err();
    assert_eq!(refused.name(), "RangeError");
    negotiate(&alice, &bob);
    assert_eq!(audio.negotiated().unwrap().extensions.iter().count(), 1);
    assert_eq!(bob.transceivers()[0].remote_streams(), ["one", "two"]);
    for _ in 0..2 {
        audio.stop().unwrap();
        assert!(audio.is_stopped());
        assert_eq!(audio.direction(), Direction::Inactive);
        assert_eq!(audio.set_direction(Direction::SendRecv).unwrap_err().name(), "InvalidStateError");
    }
    negotiate(&alice, &bob);
    assert!(alice.transceivers().is_empty() && bob.transceivers().is_empty());
    audio.stop().unwrap();
    assert!(audio.is_stopped() && audio.streams().is_empty() && audio.header_extensions().is_empty());
    let video = alice.add_track(MediaKind::Video, &[]).unwrap();
    alice.close();
    for refused in [
        video.stop(),
        video.set_direction(Direction::Inactive),
        video.set_streams(&[]),
        video.remove_track(),
        alice.add_track(MediaKind::Audio, &[]).map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::ConnectionClosed) && error.name() == "InvalidStateError", "{error}");
    }
}
