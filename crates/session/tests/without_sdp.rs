//! Connections between peers who exchange no descriptions.
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

use std::sync::Arc;
use std::time::Duration;

use crypto::HashAlgorithm;
use harness::{CLOCK, Two, config};
use session::{
    CandidateError, ChannelInit, ConnectionState, DtlsRole, Event, Failure, IceCredentials, IceRole,
    Identity, NegotiationError, ParametersError, PeerCertificate, SdpType, SessionDescription,
    TransportParameters,
};

fn credentials(name: &str) -> IceCredentials {
    IceCredentials::new(name, &format!("{name}PasswordOfThisVeryTest")).unwrap()
}

/// What side 0, which dials, and side 1, which waits, know of each other: the address of the second alone.
fn parameters(side: usize, certificate: PeerCertificate) -> TransportParameters {
    let (ice, dtls) =
        [(IceRole::Controlling, DtlsRole::Client), (IceRole::Controlled, DtlsRole::Server)][side];
    let [ours, theirs] = [["dial", "wait"], ["wait", "dial"]][side].map(credentials);
    let mut parameters = TransportParameters::new(ice, dtls, theirs, certificate);
    parameters.local = Some(ours);
    if side == 0 {
        parameters.candidates = vec!["192.0.2.2:4000".parse().unwrap()];
    }
    parameters
}

fn identity(seed: u8) -> (Arc<Identity>, [u8; 32]) {
    let provider = crypto::rust_crypto();
    let identity = Identity::generate(provider, CLOCK.unix_seconds, [seed; 32]).unwrap();
    let hash = identity.fingerprint(provider, HashAlgorithm::Sha256).as_bytes().try_into().unwrap();
    (Arc::new(identity), hash)
}

fn open(two: &mut Two, certificates: [PeerCertificate; 2]) {
    two.trickles = false;
    let now = two.now();
    for side in [0, 1] {
        two.session(side).open_transport(now, parameters(side, certificates[side])).unwrap();
    }
}

#[test]
fn an_address_and_a_password_are_enough_to_connect() {
    let mut two = Two::new();
    let now = two.now();
    let mut init = ChannelInit::labelled("known");
    init.negotiated = Some(0);
    let ours = two.session(0).open_channel(now, init.clone()).unwrap();
    let theirs = two.session(1).open_channel(now, init).unwrap();
    open(&mut two, [PeerCertificate::Any; 2]);
    assert_eq!(two.session(0).peer_certificate(), None, "not before it was proved");
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    two.echo(ours, theirs);
    let later_on = two.now();
    let later = two.session(0).open_channel(later_on, ChannelInit::labelled("later")).unwrap();
    let incoming = two.incoming(1);
    two.echo(later, incoming);
    for side in [0, 1] {
        let calls = two.seen[side].iter().filter(|event| **event == Event::NegotiationNeeded).count();
        assert_eq!(calls, 0, "there is nobody to negotiate with");
        assert!(two.session(side).peer_certificate().is_some());
    }
}

#[test]
fn certificates_are_checked_where_their_hash_is_known() {
    let (first, first_hash) = identity(1);
    let (second, second_hash) = identity(2);
    let mut other = second_hash;
    other[31] ^= 1;
    for (expected, is_right) in [(second_hash, true), (other, false), (first_hash, false)] {
        let mut configs = [config(0), config(1)];
        (configs[0].identity, configs[1].identity) = (Some(first.clone()), Some(second.clone()));
        let mut two = Two::with(configs, harness::near());
        let theirs = PeerCertificate::Sha256(first_hash);
        open(&mut two, [PeerCertificate::Sha256(expected), theirs]);
        let connected = two.run(Duration::from_secs(5), Two::is_connected);
        assert_eq!(connected, is_right, "{}", two.reports());
        let state = two.session(0).connection_state();
        if is_right {
            assert_eq!(two.session(0).peer_certificate(), Some(second.certificate()));
            assert_eq!(two.session(1).peer_certificate(), Some(first.certificate()));
        } else {
            assert_eq!(state, ConnectionState::Failed(Failure::Fingerprint));
            assert_eq!(two.session(0).peer_certificate(), None);
        }
    }
}

#[test]
fn a_wrong_password_connects_nobody() {
    let mut two = Two::new();
    two.trickles = false;
    let now = two.now();
    let mut wrong = parameters(0, PeerCertificate::Any);
    wrong.remote = IceCredentials::new("wait", "notThePasswordOfThisVeryTest").unwrap();
    two.session(0).open_transport(now, wrong).unwrap();
    two.session(1).open_transport(now, parameters(1, PeerCertificate::Any)).unwrap();
    two.run(Duration::from_secs(50), |_| false);
    for side in [0, 1] {
        let state = two.session(side).connection_state();
        assert!(matches!(state, ConnectionState::Failed(Failure::Ice(_))), "{state:?}");
    }
}

#[test]
fn candidates_may_follow() {
    let mut two = Two::new();
    two.trickles = false;
    let now = two.now();
    let mut knows_nothing = parameters(0, PeerCertificate::Any);
    knows_nothing.candidates.clear();
    two.session(0).open_transport(now, knows_nothing).unwrap();
    two.session(1).open_transport(now, parameters(1, PeerCertificate::Any)).unwrap();
    assert!(!two.run(Duration::from_secs(2), Two::is_connected));
    let now = two.now();
    let add = |two: &mut Two, text: &str| two.session(0).add_remote_candidate(now, text, None, None, None);
    assert!(matches!(add(&mut two, "candidate:nonsense"), Err(CandidateError::Parse(_))));
    add(&mut two, "candidate:1 1 udp 1 192.0.2.2 4000 typ host").unwrap();
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
}

#[test]
fn descriptions_and_parameters_exclude_each_other() {
    let offer = |two: &mut Two| {
        let now = two.now();
        two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        let offer = two.session(0).create_offer(now).unwrap();
        two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
        offer
    };
    let mut two = Two::new();
    let now = two.now();
    let offer: SessionDescription = offer(&mut two);
    let begun = two.session(0).open_transport(now, parameters(0, PeerCertificate::Any));
    assert_eq!(begun, Err(ParametersError::Begun));
    let session = two.session(1);
    for wrong in [0, 1] {
        let mut parameters = parameters(0, PeerCertificate::Any);
        match wrong {
            0 => parameters.sctp_port = 0,
            _ => parameters.candidates.push("192.0.2.9:0".parse().unwrap()),
        }
        assert_eq!(session.open_transport(now, parameters), Err(ParametersError::Port));
    }
    session.open_transport(now, parameters(1, PeerCertificate::Any)).unwrap();
    let again = session.open_transport(now, parameters(1, PeerCertificate::Any));
    assert_eq!(again, Err(ParametersError::Begun));
    let without = Err(NegotiationError::WithoutSdp);
    assert_eq!(session.set_remote(now, SdpType::Offer, offer), without);
    assert_eq!(session.create_offer(now).map(|_| ()), without);
    assert_eq!(session.create_answer(now).map(|_| ()), without);
    session.restart_ice();
    assert!(!std::iter::from_fn(|| session.poll_event()).any(|event| event == Event::NegotiationNeeded));
    session.close(now);
    let closed = session.open_transport(now, parameters(1, PeerCertificate::Any));
    assert_eq!(closed, Err(ParametersError::Closed));
}
