//! `getStats`: what must be there of each dictionary, and what belongs to whom.

use std::collections::{BTreeMap, BTreeSet};

use session::{ChannelInit, Dictionary, MediaKind, OutgoingFrame, StatsReport, Value};
use testkit::epoch;

use crate::harness::{self, Two};
use crate::{both, call, speak, wait};

/// W3C WebRTC 1.0 §8.6, but for what the codec, the player and the camera alone know.
const MANDATORY: &[(&str, &[&str])] = &[
    ("peer-connection", &["dataChannelsOpened", "dataChannelsClosed"]),
    (
        "data-channel",
        &[
            "label",
            "protocol",
            "dataChannelIdentifier",
            "state",
            "messagesSent",
            "bytesSent",
            "messagesReceived",
            "bytesReceived",
        ],
    ),
    ("codec", &["payloadType", "mimeType", "clockRate", "channels", "sdpFmtpLine"]),
    (
        "inbound-rtp",
        &[
            "ssrc",
            "kind",
            "transportId",
            "codecId",
            "packetsReceived",
            "packetsLost",
            "jitter",
            "packetsDiscarded",
            "framesDropped",
            "remoteId",
            "nackCount",
            "framesReceived",
            "bytesReceived",
            "totalSamplesDuration",
            "trackIdentifier",
        ],
    ),
    (
        "remote-inbound-rtp",
        &["ssrc", "kind", "transportId", "codecId", "localId", "roundTripTime", "packetsLost", "jitter"],
    ),
    (
        "outbound-rtp",
        &[
            "ssrc",
            "kind",
            "transportId",
            "codecId",
            "packetsSent",
            "bytesSent",
            "remoteId",
            "nackCount",
            "framesSent",
        ],
    ),
    (
        "remote-outbound-rtp",
        &["ssrc", "kind", "transportId", "codecId", "packetsSent", "bytesSent", "localId", "remoteTimestamp"],
    ),
    ("media-source", &["trackIdentifier", "kind"]),
    (
        "transport",
        &[
            "bytesSent",
            "bytesReceived",
            "selectedCandidatePairId",
            "localCertificateId",
            "remoteCertificateId",
        ],
    ),
    (
        "candidate-pair",
        &[
            "transportId",
            "localCandidateId",
            "remoteCandidateId",
            "state",
            "nominated",
            "bytesSent",
            "bytesReceived",
            "totalRoundTripTime",
            "currentRoundTripTime",
        ],
    ),
    ("local-candidate", &["address", "port", "protocol", "candidateType"]),
    ("remote-candidate", &["address", "port", "protocol", "candidateType"]),
    ("certificate", &["fingerprint", "fingerprintAlgorithm", "base64Certificate"]),
];

fn report(two: &mut Two, side: usize) -> StatsReport {
    let now = two.now();
    two.session(side).statistics(now)
}

/// Both ways, until everything that is reported has been.
fn talked() -> (Two, [Vec<session::TransceiverId>; 2]) {
    let (mut two, ids) = call(&[MediaKind::Audio, MediaKind::Video]);
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("dummy")).unwrap();
    two.negotiate(0);
    for number in 0..600 {
        for side in [0, 1] {
            let now = two.now();
            let bytes = harness::vp8(number, 500, 1);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 1800, ..OutgoingFrame::default() };
            two.session(side).write_frame(now, ids[side][1], 0, &frame).unwrap();
            for id in ids[side].clone() {
                while two.session(side).poll_frame(now, id).is_some() {}
            }
        }
        let now = two.now();
        let frame = OutgoingFrame { bytes: &[0xf8, 1], timestamp: number * 960, ..OutgoingFrame::default() };
        two.session(1).write_frame(now, ids[1][0], 0, &frame).unwrap();
        speak(&mut two, 0, ids[0][0], number);
    }
    (two, ids)
}

#[test]
fn each_dictionary_has_what_must_be_there() {
    let (mut two, _) = talked();
    let report = report(&mut two, 0);
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, dictionary) in &report {
        let values = dictionary.members().into_iter().filter(|(_, value)| value.is_some());
        found.entry(dictionary.kind()).or_default().extend(values.map(|(name, _)| name));
    }
    for (kind, members) in MANDATORY {
        for member in *members {
            assert!(found.get(kind).is_some_and(|it| it.contains(member)), "{kind}.{member}");
        }
    }
}

/// What dictionaries name is there, and of the kind that its name says.
#[test]
fn what_is_named_is_there() {
    let (mut two, _) = talked();
    let report = report(&mut two, 0);
    for (id, dictionary) in &report {
        for (name, value) in dictionary.members() {
            let Some(Value::Text(named)) = value.filter(|_| name.ends_with("Id")) else { continue };
            let kind = report.get(named).unwrap_or_else(|| panic!("{id:?}.{name}: {named}")).kind();
            let expected: &[&str] = match name {
                "transportId" => &["transport"],
                "codecId" => &["codec"],
                "localId" => &["inbound-rtp", "outbound-rtp"],
                "remoteId" => &["remote-inbound-rtp", "remote-outbound-rtp"],
                "mediaSourceId" => &["media-source"],
                "selectedCandidatePairId" => &["candidate-pair"],
                "localCandidateId" => &["local-candidate"],
                "remoteCandidateId" => &["remote-candidate"],
                "localCertificateId" | "remoteCertificateId" | "issuerCertificateId" => &["certificate"],
                other => panic!("{other}"),
            };
            assert!(expected.contains(&kind), "{id:?}.{name} is {kind}");
        }
    }
}

#[test]
fn statistics_of_one_transceiver_are_its_own_and_what_they_name() {
    let (mut two, ids) = talked();
    let now = two.now();
    let all = report(&mut two, 0);
    for (at, id) in ids[0].iter().enumerate() {
        let own = two.session(0).transceiver_statistics(now, *id);
        let kind = [MediaKind::Audio, MediaKind::Video][at];
        assert!(own.inbound_rtp().all(|(_, it)| it.kind == kind) && own.inbound_rtp().count() == 1);
        assert!(own.outbound_rtp().all(|(_, it)| it.kind == kind) && own.outbound_rtp().count() == 1);
        assert!(own.len() < all.len() && own.data_channels().count() == 0 && own.peer_connection().is_none());
        for (id, dictionary) in &own {
            assert_eq!(all.get(id.as_str()).map(Dictionary::kind), Some(dictionary.kind()));
        }
    }
}

#[test]
fn there_are_statistics_before_anything_is_there_and_after_it_was_closed() {
    let [mut a, _] = both();
    assert!(a.statistics(epoch()).peer_connection().is_some());
    a.close(epoch());
    assert!(a.statistics(epoch()).peer_connection().is_some());
    let (mut two, _) = talked();
    let before = report(&mut two, 0);
    let now = two.now();
    two.session(0).close(now);
    wait(&mut two, 2000);
    let after = report(&mut two, 0);
    let count = |report: &StatsReport| report.peer_connection().unwrap().data_channels_opened;
    assert_eq!(count(&before), count(&after));
}
