//! Policies of bundling (RFC 9429 §4.1.1, RFC 9143): what offers say by each of them, and what becomes of sections with peers
//! that bundle all of them, some, or none.
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

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use harness::exchange::{answer, offer, parse};
use harness::{CLOCK, Two, config, near};
use rtp::PayloadType;
use session::{
    BundlePolicy, ChannelId, ChannelInit, Config, ConnectionState, Content, Event, FrameConfig,
    GatheringState, IceState, MediaKind, NegotiationError, OutgoingFrame, SdpType, Session,
    SessionDescription, TransceiverId, TransceiverInit, Value,
};
use testkit::epoch;

const POLICIES: [BundlePolicy; 3] =
    [BundlePolicy::Balanced, BundlePolicy::MaxCompat, BundlePolicy::MaxBundle];

fn fresh(side: u8, policy: BundlePolicy) -> Session {
    fresh_with(side, policy, |_| {})
}

fn fresh_with(side: u8, policy: BundlePolicy, change: impl FnOnce(&mut Config)) -> Session {
    let mut config = config(side);
    config.bundle_policy = policy;
    change(&mut config);
    Session::new(epoch(), CLOCK, config, [side + 1; 32]).unwrap()
}

/// Audio, video, a second audio and data, in this order.
fn add_all(session: &mut Session) -> ChannelId {
    for kind in [MediaKind::Audio, MediaKind::Video, MediaKind::Audio] {
        session.add_track(epoch(), kind, vec![]).unwrap();
    }
    session.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap()
}

/// What one who has never heard of bundles makes of an offer.
fn unbundled(description: &SessionDescription) -> SessionDescription {
    without(description, &["a=group:BUNDLE", "a=bundle-only"])
}

fn without(description: &SessionDescription, starts: &[&str]) -> SessionDescription {
    let text = description.to_string();
    let kept = text.lines().filter(|line| !starts.iter().any(|start| line.starts_with(start)));
    parse(&kept.map(|line| format!("{line}\r\n")).collect::<String>())
}

/// The description with this group in place of its own.
fn regrouped(description: &SessionDescription, mids: &str) -> SessionDescription {
    let text = description.to_string();
    let lines = text.lines().map(|line| {
        if line.starts_with("a=group:BUNDLE") {
            format!("a=group:BUNDLE {mids}\r\n")
        } else {
            format!("{line}\r\n")
        }
    });
    parse(&lines.collect::<String>())
}

/// Of each section whether it has a port, or is `bundle-only`, or rejected.
fn ports(description: &SessionDescription) -> Vec<&'static str> {
    let port = |media: sdp::Media<'_>| match (media.is_rejected(), media.is_bundle_only()) {
        (true, _) => "rejected",
        (false, true) => "bundle-only",
        (false, false) => "port",
    };
    description.media().map(port).collect()
}

fn groups(description: &SessionDescription) -> Vec<Vec<String>> {
    description.bundle_groups().map(|group| group.map(str::to_owned).collect()).collect()
}

fn distinct<'a>(
    description: &'a SessionDescription,
    of: impl Fn(sdp::Media<'a>) -> Option<&'a str>,
) -> usize {
    description.media().filter_map(of).collect::<BTreeSet<&str>>().len()
}

/// The transports, by their statistics.
fn transports(session: &Session) -> usize {
    let report = session.statistics(epoch());
    report.iter().filter(|(id, _)| id.as_str().starts_with('T')).count()
}

#[test]
fn an_offer_says_of_each_section_what_the_policy_has() {
    let expected = [
        (BundlePolicy::Balanced, ["port", "port", "bundle-only", "port"], 3),
        (BundlePolicy::MaxCompat, ["port"; 4], 4),
        (BundlePolicy::MaxBundle, ["port", "bundle-only", "bundle-only", "bundle-only"], 1),
    ];
    for (policy, sections, count) in expected {
        let mut session = fresh(0, policy);
        add_all(&mut session);
        let first = session.create_offer(epoch()).unwrap();
        assert_eq!(ports(&first), sections, "{}", policy.name());
        // Whatever the policy is, all are bundled with who bundles.
        assert_eq!(groups(&first), [["0", "1", "2", "3"]], "{}", policy.name());
        assert_eq!(distinct(&first, |media| media.ice_ufrag()), count);
        assert_eq!(distinct(&first, |media| media.ice_pwd()), count);
        assert_eq!(distinct(&first, |media| media.tls_id()), count);
        let text = first.to_string();
        let prints: BTreeSet<&str> = text.lines().filter(|line| line.starts_with("a=fingerprint")).collect();
        assert_eq!(prints.len(), 1, "RFC 9429 §5.2.1: all have the same");
        assert!(
            text.lines().filter(|line| line.starts_with("a=setup")).all(|line| line == "a=setup:actpass")
        );
        // Making an offer changes nothing.
        let second = session.create_offer(epoch()).unwrap();
        let ufrags = |offer: &SessionDescription| -> Vec<String> {
            offer.media().map(|media| media.ice_ufrag().unwrap().to_owned()).collect()
        };
        assert_eq!(ufrags(&first), ufrags(&second));
        assert_eq!(transports(&session), count);
        session.set_local(epoch(), SdpType::Offer, second).unwrap();
        assert_eq!(transports(&session), count);
        // And one that is taken back leaves nothing.
        session.rollback(epoch()).unwrap();
        assert_eq!((transports(&session), session.ice_state()), (0, IceState::New));
        assert_eq!(session.gathering_state(), GatheringState::New);
    }
}

#[test]
fn an_answer_to_who_does_not_bundle_has_what_the_policy_takes() {
    let expected = [
        (BundlePolicy::Balanced, ["port", "port", "rejected", "port"], 3),
        (BundlePolicy::MaxCompat, ["port"; 4], 4),
        (BundlePolicy::MaxBundle, ["port", "rejected", "rejected", "rejected"], 1),
    ];
    for (policy, sections, count) in expected {
        let mut offerer = fresh(0, BundlePolicy::MaxCompat);
        add_all(&mut offerer);
        let offer = unbundled(&offer(&mut offerer));
        let mut session = fresh(1, policy);
        let answer = answer(&mut session, offer);
        assert_eq!(ports(&answer), sections, "{}", policy.name());
        assert!(groups(&answer).is_empty(), "RFC 9429 §5.3.1: no group that was not offered");
        assert_eq!(distinct(&answer, |media| media.ice_ufrag()), count);
        assert_eq!(transports(&session), count);
        offerer.set_remote(epoch(), SdpType::Answer, answer).unwrap();
        assert_eq!(transports(&offerer), count, "what is rejected has no transport any more");
    }
}

/// Two connected or connecting sessions, what they send by, and what each is to have.
struct Call {
    two: Two,
    channel: ChannelId,
    /// The other side's end of it, once it is open.
    theirs: Option<ChannelId>,
}

impl Call {
    fn new(policies: [BundlePolicy; 2], change: impl Fn(&mut Config)) -> Self {
        let mut configs = [config(0), config(1)];
        for (config, policy) in configs.iter_mut().zip(policies) {
            config.bundle_policy = policy;
            change(config);
        }
        let mut two = Two::with(configs, near());
        let now = two.now();
        let channel = add_all(two.session(0));
        for kind in [MediaKind::Audio, MediaKind::Video] {
            two.session(1).add_track(now, kind, vec![]).unwrap();
        }
        Self { two, channel, theirs: None }
    }

    /// An exchange of which each description is changed on its way.
    fn negotiate(
        &mut self,
        offerer: usize,
        change: [&dyn Fn(&SessionDescription) -> SessionDescription; 2],
    ) -> [SessionDescription; 2] {
        let two = &mut self.two;
        let now = two.now();
        let offer = two.session(offerer).create_offer(now).unwrap();
        two.session(offerer).set_local(now, SdpType::Offer, offer.clone()).unwrap();
        let seen = change[0](&offer);
        two.session(1 - offerer).set_remote(now, SdpType::Offer, seen).unwrap();
        let answer = two.session(1 - offerer).create_answer(now).unwrap();
        two.session(1 - offerer).set_local(now, SdpType::Answer, answer.clone()).unwrap();
        two.session(offerer).set_remote(now, SdpType::Answer, change[1](&answer)).unwrap();
        [offer, answer]
    }

    fn connect(&mut self) {
        let connected = self.two.run(Duration::from_secs(10), Two::is_connected);
        assert!(connected, "{}", self.two.reports());
    }

    /// A message each way.
    fn echo(&mut self) {
        let theirs = *self.theirs.get_or_insert_with(|| self.two.incoming(1));
        self.two.echo(self.channel, theirs);
    }

    /// Sends a packet by each transceiver that may, both ways; gives the names of the sections that packets came of.
    fn exchange(&mut self, number: u16) -> [Vec<String>; 2] {
        let two = &mut self.two;
        let now = two.now();
        let mut expected = [0, 0];
        for side in [0, 1] {
            two.peer(side).media.clear();
            let sending: Vec<(TransceiverId, Vec<u8>)> = two
                .session(side)
                .transceivers()
                .filter(|(_, info)| info.current_direction.is_some_and(session::Direction::sends))
                .map(|(id, info)| {
                    (
                        id,
                        packet(info.negotiated.unwrap().send[0].payload_type, info.encodings[0].ssrc, number),
                    )
                })
                .collect();
            expected[1 - side] = sending.len();
            for (id, packet) in sending {
                two.session(side).send_rtp(now, id, &packet).unwrap();
            }
        }
        two.run(Duration::from_millis(200), |_| false);
        [0, 1].map(|side| {
            let came = std::mem::take(&mut two.peer(side).media);
            assert_eq!(came.len(), expected[side], "side {side}");
            let session = two.session(side);
            let mid = |media: &harness::Media| session.transceiver(media.transceiver).unwrap().mid;
            let mut mids: Vec<String> = came.iter().map(|media| mid(media).unwrap().to_owned()).collect();
            mids.sort();
            mids
        })
    }

    fn transports(&mut self) -> [usize; 2] {
        [0, 1].map(|side| transports(self.two.session(side)))
    }
}

fn packet(payload_type: PayloadType, ssrc: session::Ssrc, number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type.get(), 0, 0, 0, 0, 0, 0];
    packet[2..4].copy_from_slice(&number.to_be_bytes());
    packet.extend(ssrc.0.to_be_bytes());
    packet.resize(200, 7);
    packet
}

fn same(description: &SessionDescription) -> SessionDescription {
    description.clone()
}

#[test]
fn with_a_peer_that_bundles_everything_is_on_one_transport_whatever_the_policies_are() {
    for ours in POLICIES {
        for theirs in POLICIES {
            let mut call = Call::new([ours, theirs], |_| {});
            let [_, answer] = call.negotiate(0, [&same, &same]);
            assert_eq!(ports(&answer), ["port"; 4], "RFC 9429 §5.3.1: no answer has `bundle-only`");
            assert_eq!(groups(&answer), [["0", "1", "2", "3"]]);
            assert_eq!(call.transports(), [1, 1], "{} and {}", ours.name(), theirs.name());
            call.connect();
            assert_eq!(call.exchange(1), [vec!["0", "1"], vec!["0", "1", "2"]]);
            call.echo();
            assert!(call.two.sockets.iter().all(Vec::is_empty), "what was opened in vain is closed");
            // RFC 9429 §5.2.2: what is bundled is named again, and needs no sign of it.
            let again = call.two.session(0).create_offer(epoch()).unwrap();
            assert_eq!(
                (ports(&again), groups(&again)),
                (vec!["port"; 4], vec![vec!["0", "1", "2", "3"].into_iter().map(str::to_owned).collect()])
            );
            assert_eq!(call.transports(), [1, 1]);
        }
    }
}

#[test]
fn with_a_peer_that_does_not_bundle_each_section_has_a_transport_of_its_own() {
    for ours in POLICIES {
        for theirs in POLICIES {
            let mut call = Call::new([ours, theirs], |_| {});
            let [offer, answer] = call.negotiate(0, [&unbundled, &same]);
            // What is offered to those who bundle comes without a port to who does not.
            let offered: Vec<bool> = ports(&offer).iter().map(|port| *port == "port").collect();
            let is_taken = |index: usize| match theirs {
                BundlePolicy::Balanced => index != 2,
                BundlePolicy::MaxCompat => true,
                BundlePolicy::MaxBundle => index == 0,
            };
            let expected: Vec<usize> = (0..4).filter(|index| offered[*index] && is_taken(*index)).collect();
            let found = ports(&answer);
            let accepted: Vec<usize> = (0..4).filter(|index| found[*index] == "port").collect();
            assert_eq!(accepted, expected, "{} and {}", ours.name(), theirs.name());
            assert_eq!(call.transports(), [expected.len(); 2]);
            call.connect();
            let mids = |both: bool| -> Vec<String> {
                let of_media = expected.iter().filter(|index| **index < 3 && (!both || **index < 2));
                of_media.map(usize::to_string).collect()
            };
            assert_eq!(call.exchange(1), [mids(true), mids(false)]);
            if expected.contains(&3) {
                call.echo();
            }
            assert_eq!(call.two.sockets.each_ref().map(Vec::len), [expected.len() - 1; 2]);
            // They go on apart: neither side names in a group what the last answer had in none (RFC 9429 §5.2.2).
            if ours != BundlePolicy::MaxBundle {
                let again = call.two.session(0).create_offer(epoch()).unwrap();
                let bundled: Vec<String> = groups(&again).concat();
                assert!(expected.iter().all(|index| !bundled.contains(&index.to_string())), "{again}");
            }
        }
    }
}

/// The sections of statistics that are about a transport.
fn values(call: &mut Call, side: usize, kind: &str, member: &str) -> Vec<String> {
    let now = call.two.now();
    let report = call.two.session(side).statistics(now);
    let of_kind = report.iter().filter(|(_, entry)| entry.kind() == kind);
    let value = |(_, entry): (_, &session::Dictionary)| {
        entry.members().into_iter().find(|(name, _)| *name == member).and_then(|(_, value)| match value {
            Some(Value::Text(text)) => Some(text.to_owned()),
            _ => None,
        })
    };
    of_kind.filter_map(value).collect()
}

#[test]
fn transports_have_keys_candidates_certificates_and_figures_of_their_own() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |_| {});
    call.negotiate(0, [&unbundled, &same]);
    call.connect();
    call.exchange(1);
    call.echo();
    for side in [0, 1] {
        let ufrags = values(&mut call, side, "transport", "iceLocalUsernameFragment");
        assert_eq!(ufrags.iter().collect::<BTreeSet<_>>().len(), 4, "{ufrags:?}");
        assert_eq!(values(&mut call, side, "transport", "dtlsState"), ["connected"; 4]);
        assert_eq!(values(&mut call, side, "transport", "iceState").len(), 4);
        let pairs = values(&mut call, side, "transport", "selectedCandidatePairId");
        assert_eq!(pairs.iter().collect::<BTreeSet<_>>().len(), 4, "{pairs:?}");
        let remote = values(&mut call, side, "transport", "remoteCertificateId");
        assert_eq!(remote.iter().collect::<BTreeSet<_>>().len(), 4, "{remote:?}");
        let owners = values(&mut call, side, "candidate-pair", "transportId");
        assert_eq!(owners.iter().collect::<BTreeSet<_>>().len(), 4, "{owners:?}");
        let owners = values(&mut call, side, "local-candidate", "transportId");
        assert_eq!(owners.iter().collect::<BTreeSet<_>>().len(), 4, "{owners:?}");
        // Candidates stand in the section whose they are.
        let (_, local) = call.two.session(side).local_description().unwrap();
        for media in local.media() {
            assert_eq!(media.candidates().count(), 1, "{local}");
            assert!(media.has_end_of_candidates(), "{local}");
        }
        let addresses: BTreeSet<&str> = local
            .media()
            .flat_map(|media| {
                media.candidates().map(|text| text.split(' ').nth(5).unwrap()).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(addresses.len(), 4, "RFC 9429 §5.2.1: unique candidates");
        let report = call.two.session(side).report(epoch());
        assert_eq!(report.others.len(), 3);
        assert!(report.to_string().contains("transport 3"));
    }
    // A packet of one transport's is nothing to another: its keys are others.
    let ignored = |call: &mut Call| [0, 1].map(|side| call.two.session(side).stats(epoch()).ignored.srtp);
    assert_eq!(ignored(&mut call), [0, 0]);
}

#[test]
fn a_group_of_some_sections_is_a_transport_and_the_others_have_their_own() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |_| {});
    let some = |offer: &SessionDescription| regrouped(offer, "1 3");
    let [_, answer] = call.negotiate(0, [&some, &same]);
    assert_eq!(
        (ports(&answer), groups(&answer)),
        (vec!["port"; 4], vec![vec!["1".to_owned(), "3".to_owned()]])
    );
    assert_eq!(call.transports(), [3, 3]);
    call.connect();
    assert_eq!(call.exchange(1), [vec!["0", "1"], vec!["0", "1", "2"]]);
    call.echo();
    // A new section is offered to be bundled with them.
    let now = call.two.now();
    call.two.session(1).add_track(now, MediaKind::Video, vec![]).unwrap();
    let [offer, answer] = call.negotiate(1, [&same, &same]);
    assert_eq!(groups(&offer), [["1", "3", "4"]]);
    assert_eq!(groups(&answer), [["1", "3", "4"]]);
    assert_eq!(call.transports(), [3, 3]);
    call.two.run(Duration::from_secs(1), |_| false);
    assert_eq!(call.exchange(2), [vec!["0", "1", "4"], vec!["0", "1", "2"]]);
    call.echo();
}

#[test]
fn two_groups_are_two_transports() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |_| {});
    let two_groups = |offer: &SessionDescription| {
        let text =
            offer.to_string().replace("a=group:BUNDLE 0 1 2 3", "a=group:BUNDLE 0 2\r\na=group:BUNDLE 1 3");
        parse(&text)
    };
    let [_, answer] = call.negotiate(0, [&two_groups, &same]);
    assert_eq!(groups(&answer), [["0", "2"], ["1", "3"]]);
    assert_eq!(call.transports(), [2, 2]);
    call.connect();
    assert_eq!(call.exchange(1), [vec!["0", "1"], vec!["0", "1", "2"]]);
    call.echo();
    let again = call.two.session(1).create_offer(epoch()).unwrap();
    assert_eq!(groups(&again), [["0", "2"], ["1", "3"]]);
}

#[test]
fn sections_come_later_and_go_with_their_transports() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |_| {});
    call.negotiate(0, [&unbundled, &same]);
    call.connect();
    let now = call.two.now();
    let late = call.two.session(0).add_track(now, MediaKind::Video, vec![]).unwrap();
    call.negotiate(0, [&unbundled, &same]);
    assert_eq!(call.transports(), [5, 5]);
    assert_eq!(call.two.session(0).connection_state(), ConnectionState::Connecting);
    call.connect();
    assert_eq!(call.exchange(1), [vec!["0", "1"], vec!["0", "1", "2", "4"]]);
    assert_eq!(call.two.sockets.each_ref().map(Vec::len), [4, 4]);
    // The section whose transport was the first goes, and so does that transport; the others stay.
    let now = call.two.now();
    let first = call.two.session(0).transceivers().next().unwrap().0;
    for id in [first, late] {
        call.two.session(0).stop_transceiver(now, id).unwrap();
    }
    call.negotiate(0, [&unbundled, &same]);
    assert_eq!(call.transports(), [3, 3]);
    call.two.run(Duration::from_secs(1), |_| false);
    assert!(call.two.is_connected(), "{}", call.two.reports());
    assert_eq!(call.exchange(2), [vec!["1"], vec!["1", "2"]]);
    call.echo();
    assert_eq!(call.two.sockets.each_ref().map(Vec::len), [3, 3]);
    // What comes now has the sockets that are shared, which nobody has.
    let now = call.two.now();
    call.two.session(1).add_track(now, MediaKind::Audio, vec![]).unwrap();
    call.negotiate(1, [&unbundled, &same]);
    call.connect();
    assert_eq!(call.exchange(3)[0].len(), 2);
    assert_eq!(call.two.sockets.each_ref().map(Vec::len), [3, 3]);
}

#[test]
fn what_was_apart_is_bundled_by_an_offer_that_does_so() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |_| {});
    call.negotiate(0, [&unbundled, &same]);
    call.connect();
    call.exchange(1);
    call.echo();
    // The other side, which offers now, has heard of bundles meanwhile.
    let all = |offer: &SessionDescription| {
        let text = offer.to_string();
        parse(&text.replacen("s=-", "s=-\r\na=group:BUNDLE 1 0 2 3", 1).replace("t=0 0\r\n", "").replacen(
            "s=-\r\n",
            "s=-\r\nt=0 0\r\n",
            1,
        ))
    };
    let [_, answer] = call.negotiate(1, [&all, &same]);
    assert_eq!(groups(&answer), [["1", "0", "2", "3"]]);
    assert_eq!(call.transports(), [1, 1]);
    call.two.run(Duration::from_secs(2), |_| false);
    assert!(call.two.is_connected(), "{}", call.two.reports());
    assert_eq!(call.exchange(2), [vec!["0", "1"], vec!["0", "1", "2"]]);
    call.echo();
}

#[test]
fn a_restart_begins_all_transports_anew() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |_| {});
    call.negotiate(0, [&unbundled, &same]);
    call.connect();
    let before = values(&mut call, 0, "transport", "iceLocalUsernameFragment");
    call.two.session(0).restart_ice();
    call.negotiate(0, [&unbundled, &same]);
    let after = values(&mut call, 0, "transport", "iceLocalUsernameFragment");
    assert!(before.len() == 4 && after.len() == 4 && before.iter().all(|ufrag| !after.contains(ufrag)));
    call.two.run(Duration::from_secs(2), |_| false);
    assert!(call.two.is_connected(), "{}", call.two.reports());
    assert_eq!(call.exchange(1), [vec!["0", "1"], vec!["0", "1", "2"]]);
    call.echo();
}

#[test]
fn the_connection_is_as_good_as_its_worst_transport() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |_| {});
    call.negotiate(0, [&unbundled, &same]);
    let connecting = ConnectionState::Connecting;
    assert!(call.two.run(Duration::from_secs(2), |two| two.session(0).connection_state() == connecting));
    call.connect();
    call.two.run(Duration::from_secs(2), |_| false);
    // One loses its socket: the others go on, and carry what they carried.
    let gone = call.two.sockets[0][0];
    let now = call.two.now();
    call.two.session(0).remove_transport_socket(now, gone);
    let silent = |two: &mut Two| two.session(1).ice_state() == IceState::Disconnected;
    assert!(call.two.run(Duration::from_secs(20), silent), "{}", call.two.reports());
    assert_eq!(call.two.session(1).connection_state(), ConnectionState::Disconnected);
    call.echo();
    let failed = |two: &mut Two| matches!(two.session(1).connection_state(), ConnectionState::Failed(_));
    assert!(call.two.run(Duration::from_secs(60), failed), "{}", call.two.reports());
    assert_eq!(call.two.session(1).ice_state(), IceState::Failed);
    call.echo();
    assert!(call.two.seen[0].contains(&Event::NegotiationNeeded), "a restart is called for");
    // It helps as soon as there is a socket again.
    let now = call.two.now();
    let id = call.two.session(0).transports_with_sockets().next().unwrap();
    call.two.session(0).add_transport_socket(now, id, "192.0.2.1:7000".parse().unwrap());
    call.negotiate(0, [&unbundled, &same]);
    call.connect();
    assert_eq!(call.exchange(1), [vec!["0", "1"], vec!["0", "1", "2"]]);
}

#[test]
fn closing_tells_the_peer_once_for_all() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |_| {});
    call.negotiate(0, [&unbundled, &same]);
    call.connect();
    let now = call.two.now();
    call.two.session(0).close(now);
    let over = |two: &mut Two| [0, 1].map(|side| two.session(side).is_over()) == [true, true];
    assert!(call.two.run(Duration::from_secs(3), over), "{}", call.two.reports());
    assert_eq!(call.two.session(1).connection_state(), ConnectionState::Closed);
}

#[test]
fn an_answer_that_takes_a_section_out_of_its_bundle_is_refused() {
    for policy in [BundlePolicy::Balanced, BundlePolicy::MaxBundle] {
        let [mut a, mut b] = [fresh(0, policy), fresh(1, BundlePolicy::MaxCompat)];
        add_all(&mut a);
        let answer = answer(&mut b, offer(&mut a));
        let before = a.local_description().unwrap().1.to_string();
        // The second audio was offered to those alone who bundle.
        let apart = regrouped(&answer, "0 1 3");
        let refused = a.set_remote(epoch(), SdpType::Answer, apart);
        assert_eq!(refused, Err(NegotiationError::NotBundled { index: 2 }), "{}", policy.name());
        assert_eq!(a.local_description().unwrap().1.to_string(), before);
        a.set_remote(epoch(), SdpType::Answer, answer).unwrap();
    }
}

#[test]
fn a_provisional_answer_that_bundles_may_be_followed_by_one_that_does_not() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |_| {});
    let two = &mut call.two;
    let now = two.now();
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    two.session(1).set_remote(now, SdpType::Offer, unbundled(&offer)).unwrap();
    let answer = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    two.session(0).set_remote(now, SdpType::Pranswer, answer.clone()).unwrap();
    assert_eq!(transports(two.session(0)), 4);
    two.session(0).set_remote(now, SdpType::Answer, answer).unwrap();
    call.connect();
    assert_eq!(call.exchange(1), [vec!["0", "1"], vec!["0", "1", "2"]]);
}

#[test]
fn there_are_as_many_transports_as_may_be_and_not_one_more() {
    assert_eq!(session::Limits::default().max_transports, 16);
    for limit in [1, 3, 4] {
        let limited = |config: &mut Config| config.limits.max_transports = limit;
        // Of our own offers those beyond are for who bundles.
        let mut session = fresh_with(0, BundlePolicy::MaxCompat, limited);
        add_all(&mut session);
        let ours = session.create_offer(epoch()).unwrap();
        let expected: Vec<&str> = (0..4).map(|at| if at < limit { "port" } else { "bundle-only" }).collect();
        assert_eq!((ports(&ours), transports(&session)), (expected, limit));
        // Of a peer's those beyond are rejected.
        let mut offerer = fresh(0, BundlePolicy::MaxCompat);
        add_all(&mut offerer);
        let mut session = fresh_with(1, BundlePolicy::MaxCompat, limited);
        let answer = answer(&mut session, unbundled(&offer(&mut offerer)));
        let expected: Vec<&str> = (0..4).map(|at| if at < limit { "port" } else { "rejected" }).collect();
        assert_eq!((ports(&answer), transports(&session)), (expected, limit));
        // And a section that comes when there are as many as may be finds no transport of its own.
        offerer.set_remote(epoch(), SdpType::Answer, answer).unwrap();
        session.add_transceiver(epoch(), MediaKind::Video, TransceiverInit::default()).unwrap();
        let later = session.create_offer(epoch()).unwrap();
        assert_eq!(later.media().filter(sdp::Media::is_bundle_only).count(), 1, "{later}");
        assert_eq!(transports(&session), limit);
    }
}

#[test]
fn frames_flow_on_transports_of_their_own() {
    let mut call = Call::new([BundlePolicy::MaxCompat; 2], |config| {
        config.frames = Some(Arc::new(FrameConfig::default()));
    });
    call.negotiate(0, [&unbundled, &same]);
    call.connect();
    let ids = [0, 1].map(|side| {
        call.two.session(side).transceivers().map(|(id, info)| (id, info.kind)).take(2).collect::<Vec<_>>()
    });
    let mut came = [[0; 2]; 2];
    for step in 0..100_u32 {
        let now = call.two.now();
        for side in [0, 1] {
            for (id, kind) in &ids[side] {
                let (bytes, rate) = match kind {
                    MediaKind::Audio => (vec![0xf8, 1, 2, 3], 2400),
                    MediaKind::Video => (vp8(step), 4500),
                };
                let frame =
                    OutgoingFrame { bytes: &bytes, timestamp: step * rate, ..OutgoingFrame::default() };
                call.two.session(side).write_frame(now, *id, 0, &frame).unwrap();
            }
        }
        call.two.run(Duration::from_millis(50), |_| false);
        let now = call.two.now();
        for side in [0, 1] {
            for (at, (id, _)) in ids[side].iter().enumerate() {
                while let Some(frame) = call.two.session(side).poll_frame(now, *id) {
                    came[side][at] += u32::from(matches!(frame.content, Content::Media { .. }));
                }
            }
            // Lip-sync, of what comes on two transports.
            call.two.session(side).synchronize(ids[side][0].0, ids[side][1].0);
        }
    }
    assert!(came.iter().flatten().all(|count| *count >= 90), "{came:?}");
    for side in [0, 1] {
        let (stats, target) = call.two.session(side).rtp_stats().unwrap();
        assert!(stats.rtcp > 3 && stats.rtcp_sent > 3 && target.is_some(), "{stats:?}");
        let codecs = values(&mut call, side, "inbound-rtp", "transportId");
        assert_eq!(codecs.iter().collect::<BTreeSet<_>>().len(), codecs.len(), "{codecs:?}");
        assert!(codecs.len() >= 2);
    }
}

fn vp8(number: u32) -> Vec<u8> {
    harness::vp8(number, 2000, 7)
}
