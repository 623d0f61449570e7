//! The statistics of W3C: names that stay, sums that are right, and members that are those of `docs/statistics.md`.
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

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use harness::{CLOCK, Two, config, near, peer};
use session::{
    CandidateKind, CandidatePairState, ChannelId, ChannelInit, ChannelState, Codec, Config, Content,
    Credentials, Dictionary, DtlsRole, DtlsTransportState, FrameConfig, Gathering, IceRole, IceState,
    Identity, InboundRtpStats, MediaConfig, MediaKind, OutboundRtpStats, OutgoingFrame, Output, Relaying,
    SendEncoding, StatsId, StatsReport, Timestamp, TransceiverId, TransceiverInit, TurnServer, Value,
};
use testkit::{Link, Nat};

fn report(two: &mut Two, side: usize) -> StatsReport {
    let now = two.now();
    two.session(side).statistics(now)
}

fn wait(two: &mut Two, time: Duration) {
    two.run(time, |_| false);
}

/// Two sides with an open channel, each of whose datagrams are remembered.
fn connected() -> (Two, [ChannelId; 2]) {
    let mut two = Two::new();
    for host in two.hosts {
        peer(&mut two.world, host).logs = true;
    }
    let ours = two.connect();
    let theirs = two.incoming(1);
    (two, [ours, theirs])
}

/// Datagrams of DTLS and above that a side has written, and their bytes.
fn written(two: &mut Two, side: usize) -> (u64, u64) {
    let host = two.hosts[side];
    let log = &peer(&mut two.world, host).log;
    let data = log.iter().filter(|(_, _, datagram)| !stun::wire::is_stun(datagram));
    data.fold((0, 0), |(count, bytes), (_, _, datagram)| (count + 1, bytes + datagram.len() as u64))
}

#[test]
fn sums_are_what_was_sent_and_what_came() {
    let (mut two, channels) = connected();
    for round in 0..10_usize {
        for side in [0, 1] {
            two.send(side, channels[side], vec![1; 1000 * (round + 1)]);
        }
        wait(&mut two, Duration::from_millis(200));
        for side in [0, 1] {
            assert_eq!(two.messages(side, channels[side]).len(), 1);
        }
    }
    wait(&mut two, Duration::from_secs(1));
    let reports = [0, 1].map(|side| report(&mut two, side));
    for side in [0, 1] {
        let (packets, bytes) = written(&mut two, side);
        let (_, ours) = reports[side].transports().next().unwrap();
        let (_, theirs) = reports[1 - side].transports().next().unwrap();
        assert_eq!((ours.packets_sent, ours.bytes_sent), (packets, bytes), "every datagram but ICE's own");
        assert_eq!((theirs.packets_received, theirs.bytes_received), (packets, bytes), "nothing was lost");
        let pairs = || reports[side].candidate_pairs().map(|(_, pair)| pair);
        assert_eq!(pairs().map(|pair| pair.packets_sent).sum::<u64>(), packets);
        assert_eq!(pairs().map(|pair| pair.bytes_sent).sum::<u64>(), bytes);
        assert_eq!(pairs().map(|pair| pair.bytes_received).sum::<u64>(), ours.bytes_received);

        let selected = ours.selected_candidate_pair_id.as_ref().unwrap();
        let Some(Dictionary::CandidatePair(pair)) = reports[side].get(selected.as_str()) else { panic!() };
        assert_eq!((pair.state, pair.nominated), (CandidatePairState::Succeeded, true));
        assert!(pair.responses_received > 0 && pair.responses_sent > 0 && pair.requests_received > 0);
        assert_eq!(pair.responses_sent, pair.requests_received, "each was answered");
        assert_eq!(pair.current_round_trip_time, Some(Duration::from_millis(20)), "twice 10 ms");
        let all = pair.current_round_trip_time.unwrap() * u32::try_from(pair.responses_received).unwrap();
        assert_eq!(pair.total_round_trip_time, all, "no link is slower at times");

        let (_, channel) = reports[side].data_channels().next().unwrap();
        let sums = (channel.messages_sent, channel.bytes_sent);
        assert_eq!(sums, (10, 55_000));
        assert_eq!((channel.messages_received, channel.bytes_received), sums);
        assert_eq!((channel.label.as_str(), channel.state), ("chat", ChannelState::Open));
    }
}

#[test]
fn a_transport_says_what_was_agreed_upon() {
    let mut two = Two::new();
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let before = report(&mut two, 0);
    assert_eq!((before.transports().count(), before.len()), (0, 2), "the connection and its channel");
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, session::SdpType::Offer, offer).unwrap();
    let offered = report(&mut two, 0);
    let (_, transport) = offered.transports().next().unwrap();
    assert_eq!((transport.dtls_state, transport.ice_state), (DtlsTransportState::New, IceState::New));
    assert_eq!((&transport.tls_version, transport.dtls_cipher, transport.dtls_role), (&None, None, None));

    let (mut two, _) = connected();
    let reports = [0, 1].map(|side| report(&mut two, side));
    let [first, second] = [0, 1].map(|side| reports[side].transports().next().unwrap().1);
    assert_eq!((first.ice_role, second.ice_role), (Some(IceRole::Controlling), Some(IceRole::Controlled)));
    assert_eq!((first.dtls_role, second.dtls_role), (Some(DtlsRole::Server), Some(DtlsRole::Client)));
    for (side, transport) in [(0, first), (1, second)] {
        assert_eq!(transport.dtls_state, DtlsTransportState::Connected);
        assert_eq!(transport.tls_version.as_deref(), Some("FEFD"));
        let suite = two.session(side).stats(now).cipher_suite;
        assert_eq!(transport.dtls_cipher, suite);
        assert!(transport.selected_candidate_pair_changes >= 1);
        let certificate = |id: &StatsId, report: usize| match reports[report].get(id.as_str()) {
            Some(Dictionary::Certificate(stats)) => stats.clone(),
            other => panic!("{other:?}"),
        };
        let shown = certificate(transport.local_certificate_id.as_ref().unwrap(), side);
        let other = if side == 0 { second } else { first };
        let seen = certificate(other.remote_certificate_id.as_ref().unwrap(), 1 - side);
        assert_eq!(shown, seen, "it is the same");
        let description = two.session(side).local_description().unwrap().1.to_string();
        assert!(description.contains(&format!("a=fingerprint:sha-256 {}", shown.fingerprint)));
        assert!(description.contains(&format!("a=ice-ufrag:{}", transport.ice_local_username_fragment)));
    }
    two.session(0).close(now);
    wait(&mut two, Duration::from_secs(2));
    for side in [0, 1] {
        let closed = report(&mut two, side);
        assert_eq!(closed.transports().next().unwrap().1.ice_state, IceState::Closed);
        let counts = closed.peer_connection().unwrap();
        assert_eq!((counts.data_channels_opened, counts.data_channels_closed), (1, 1));
    }
}

/// What a dictionary is about, which never changes.
fn identity(dictionary: &Dictionary) -> String {
    let kept: &[&str] = match dictionary.kind() {
        "candidate-pair" => &["transportId", "remoteCandidateId"],
        "local-candidate" => {
            &["transportId", "address", "port", "protocol", "foundation", "usernameFragment"]
        }
        "remote-candidate" => &["transportId", "address", "port", "protocol"],
        "certificate" => &["fingerprint"],
        "data-channel" => &["label", "protocol"],
        _ => &[],
    };
    let members = dictionary.members();
    let kept = members.iter().filter(|(name, _)| kept.contains(name));
    format!("{} {:?}", dictionary.kind(), kept.collect::<Vec<_>>())
}

#[test]
fn ids_stay_over_time_renegotiation_and_restart() {
    let (mut two, channels) = connected();
    let mut known: [BTreeMap<String, String>; 2] = [BTreeMap::new(), BTreeMap::new()];
    let mut look = |two: &mut Two| {
        [0, 1].map(|side| {
            let report = report(two, side);
            for (id, dictionary) in &report {
                let now = identity(dictionary);
                let before = known[side].entry(id.to_string()).or_insert_with(|| now.clone());
                assert_eq!(*before, now, "{id} was another one");
                // What is named is there.
                for (name, value) in dictionary.members() {
                    if let (true, Some(Value::Text(other))) = (name.ends_with("Id"), value) {
                        assert!(report.get(other).is_some(), "{id} names {other}");
                    }
                }
            }
            report
        })
    };
    let first = look(&mut two);
    wait(&mut two, Duration::from_secs(20));
    let later = look(&mut two);
    for side in [0, 1] {
        let ids = |report: &StatsReport| report.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&first[side]), ids(&later[side]), "only time has passed");
        assert!(later[side].timestamp > first[side].timestamp);
    }
    let now = two.now();
    two.session(1).add_track(now, MediaKind::Audio, vec![]).unwrap();
    two.negotiate(1);
    wait(&mut two, Duration::from_secs(1));
    look(&mut two);
    for side in [0, 1] {
        two.session(side).restart_ice();
        two.negotiate(side);
        look(&mut two);
        wait(&mut two, Duration::from_secs(3));
        look(&mut two);
    }
    let now = two.now();
    two.session(0).close_channel(now, channels[0]);
    wait(&mut two, Duration::from_secs(1));
    assert_eq!(two.messages(1, channels[1]).len(), 0);
    wait(&mut two, Duration::from_secs(1));
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("another")).unwrap();
    wait(&mut two, Duration::from_secs(1));
    let last = look(&mut two);
    for side in [0, 1] {
        for id in ["P", "T0", "CFL0", "CFR0.0", "D2"] {
            assert!(last[side].get(id).is_some(), "{id}");
        }
        assert!(last[side].get("D1").is_none(), "its stream is used again, its id is not");
        let (_, transport) = last[side].transports().next().unwrap();
        let (packets, bytes) = written(&mut two, side);
        assert_eq!((transport.packets_sent, transport.bytes_sent), (packets, bytes), "of all generations");
        assert!(transport.selected_candidate_pair_changes >= 3);
        let counts = last[side].peer_connection().unwrap();
        assert_eq!((counts.data_channels_opened, counts.data_channels_closed), (2, 1));
    }
}

#[test]
fn a_channels_statistics_are_its_own() {
    let (mut two, channels) = connected();
    let now = two.now();
    let other = two.session(0).open_channel(now, ChannelInit::labelled("other")).unwrap();
    let own = two.session(0).channel_statistics(now, channels[0]);
    assert_eq!(own.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["D1"]);
    two.session(0).close_channel(now, other);
    wait(&mut two, Duration::from_secs(1));
    let now = two.now();
    assert!(two.session(0).channel_statistics(now, other).is_empty(), "it is gone");
    let pair = report(&mut two, 0);
    let (id, _) = pair.candidate_pairs().next().unwrap();
    let kinds: BTreeSet<_> = pair.selection(id.as_str()).iter().map(|(_, it)| it.kind()).collect();
    let named = ["candidate-pair", "local-candidate", "remote-candidate", "transport", "certificate"];
    assert_eq!(kinds, BTreeSet::from(named));
}

#[test]
fn moments_are_dates() {
    let (mut two, channels) = connected();
    let start = Duration::from_secs(CLOCK.unix_seconds);
    let begun = testkit::epoch();
    wait(&mut two, Duration::from_secs(7));
    two.send(0, channels[0], &b"now"[..]);
    let sent = two.now();
    wait(&mut two, Duration::from_millis(5));
    let stats = report(&mut two, 0);
    assert_eq!(stats.timestamp, Timestamp(start + (two.now() - begun)));
    let (_, pair) = stats.candidate_pairs().find(|(_, pair)| pair.packets_sent > 0).unwrap();
    assert_eq!(pair.last_packet_sent_timestamp, Some(Timestamp(start + (sent - begun))));
    assert!(pair.last_packet_received_timestamp < pair.last_packet_sent_timestamp);
}

#[test]
fn what_is_hidden_is_not_told() {
    let mut configs = [config(0), config(1)];
    let name = |side: u8| session::LocalName::random(&mut crypto::Rng::new([side; 32]));
    for (side, config) in configs.iter_mut().enumerate() {
        let address = config.local_addresses[0].ip();
        config.host_names = Some(Arc::new(vec![(address, name(u8::try_from(side).unwrap()))]));
    }
    let mut two = Two::with(configs, near());
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    wait(&mut two, Duration::from_secs(1));
    for side in [0, 1] {
        let text = format!("{:?}", report(&mut two, side));
        assert!(!text.contains("192.0.2."), "{text}");
        assert!(text.contains(&name(u8::try_from(side).unwrap()).to_string()), "the name that stands for it");
    }
}

/// Frames of audio and video both ways, and the transceivers of each side.
fn call(link: Link, change: impl Fn(&mut MediaConfig)) -> (Two, [[TransceiverId; 2]; 2]) {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.frames = Some(Arc::new(FrameConfig::default()));
        let mut media = MediaConfig::default();
        change(&mut media);
        config.media = Some(Arc::new(media));
        config
    });
    let mut two = Two::with(configs, link);
    let now = two.now();
    let kinds = [MediaKind::Audio, MediaKind::Video];
    let ids = [0, 1].map(|side| kinds.map(|kind| two.session(side).add_track(now, kind, vec![]).unwrap()));
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(20), Two::is_connected), "{}", two.reports());
    (two, ids)
}

/// Frames that came, of audio and of video.
type Came = [[u64; 2]; 2];

/// Sends for so many twentieths of a second, and reads all the while; then what is under way arrives.
fn talk(two: &mut Two, ids: [[TransceiverId; 2]; 2], steps: Range<u32>) -> Came {
    let mut came = Came::default();
    let quiet = steps.end + 40;
    for step in steps.start..quiet {
        let now = two.now();
        for side in [0, 1] {
            if step >= steps.end {
                continue;
            }
            let [audio, video] = ids[side];
            let frame =
                OutgoingFrame { bytes: &[0xf8; 40], timestamp: step * 2400, ..OutgoingFrame::default() };
            two.session(side).write_frame(now, audio, 0, &frame).unwrap();
            // VP8 (RFC 6386 §9.1).
            let mut bytes = vec![u8::from(!step.is_multiple_of(30)), 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 180, 0];
            bytes.resize(3000, 7);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: step * 4500, ..OutgoingFrame::default() };
            two.session(side).write_frame(now, video, 0, &frame).unwrap();
        }
        for _ in 0..5 {
            two.run(Duration::from_millis(10), |_| false);
            let now = two.now();
            for side in [0, 1] {
                for (at, id) in ids[side].into_iter().enumerate() {
                    while let Some(frame) = two.session(side).poll_frame(now, id) {
                        came[side][at] += u64::from(matches!(frame.content, Content::Media { .. }));
                    }
                }
            }
        }
    }
    came
}

fn inbound(report: &StatsReport, kind: MediaKind) -> (StatsId, InboundRtpStats) {
    let found = report.inbound_rtp().find(|(_, stats)| stats.kind == kind);
    found.map(|(id, stats)| (id.clone(), stats.clone())).unwrap()
}

fn outbound(report: &StatsReport, kind: MediaKind) -> (StatsId, OutboundRtpStats) {
    let found = report.outbound_rtp().find(|(_, stats)| stats.kind == kind);
    found.map(|(id, stats)| (id.clone(), stats.clone())).unwrap()
}

#[test]
fn streams_count_what_was_sent_and_what_came() {
    let (mut two, ids) = call(near(), |_| {});
    let came = talk(&mut two, ids, 0..200);
    let reports = [0, 1].map(|side| report(&mut two, side));
    for side in [0, 1] {
        for (at, kind) in [MediaKind::Audio, MediaKind::Video].into_iter().enumerate() {
            let (_, sent) = outbound(&reports[1 - side], kind);
            let (id, received) = inbound(&reports[side], kind);
            assert_eq!((sent.ssrc, &sent.mid), (received.ssrc, &received.mid));
            let padding = two.session(1 - side).encoding_stats(ids[1 - side][at], 0).unwrap().0;
            let fresh = sent.packets_sent - sent.retransmitted_packets_sent - padding.padding_packets;
            let bytes = sent.bytes_sent - sent.retransmitted_bytes_sent - padding.padding_bytes;
            assert!(received.packets_received >= fresh, "{sent:?} {received:?}");
            assert!(received.packets_received <= sent.packets_sent && received.bytes_received >= bytes);
            assert_eq!((received.packets_lost, received.packets_discarded, sent.nack_count), (0, 0, 0));
            assert!(received.header_bytes_received >= received.packets_received * 12);
            assert!(sent.header_bytes_sent >= sent.packets_sent * 12);
            assert!(received.jitter < Duration::from_millis(20), "{:?}", received.jitter);
            assert!(sent.target_bitrate.unwrap() > 0 && sent.active);
            let codec = |id: &Option<StatsId>, report: usize| match reports[report]
                .get(id.as_ref().unwrap().as_str())
            {
                Some(Dictionary::Codec(codec)) => (codec.mime_type.clone(), codec.clock_rate),
                other => panic!("{other:?}"),
            };
            assert_eq!(codec(&sent.codec_id, 1 - side), codec(&received.codec_id, side));
            let held =
                received.jitter_buffer_delay / u32::try_from(received.jitter_buffer_emitted_count).unwrap();
            assert!(held < Duration::from_millis(200), "{held:?} of {id}");
            assert!(received.jitter_buffer_minimum_delay <= received.jitter_buffer_target_delay);

            let remote = reports[side].get(received.remote_id.as_ref().unwrap().as_str());
            let Some(Dictionary::RemoteOutboundRtp(remote)) = remote else { panic!("{remote:?}") };
            assert_eq!((&remote.local_id, remote.packets_sent, remote.bytes_sent), (&id, fresh, bytes));
            assert!(remote.reports_sent > 1);
            let apart = two.now() - testkit::epoch() + Duration::from_secs(CLOCK.unix_seconds);
            let age = apart.checked_sub(remote.remote_timestamp.0).unwrap();
            assert!(age < Duration::from_secs(10), "{age:?}");
            let remote = reports[1 - side].get(sent.remote_id.as_ref().unwrap().as_str());
            let Some(Dictionary::RemoteInboundRtp(remote)) = remote else { panic!("{remote:?}") };
            assert_eq!((remote.packets_lost, remote.fraction_lost), (0, 0.0));
            assert!(
                remote.packets_received <= fresh && remote.packets_received + 60 > fresh,
                "{remote:?} {fresh}"
            );
            let trip = remote.round_trip_time.unwrap();
            assert!((20..25).contains(&trip.as_millis()), "{trip:?}");
            let average =
                remote.total_round_trip_time / u32::try_from(remote.round_trip_time_measurements).unwrap();
            assert!((20..25).contains(&average.as_millis()), "{average:?}");

            if kind == MediaKind::Audio {
                assert_eq!(
                    received.jitter_buffer_emitted_count,
                    (came[side][at] - 1) * 2400,
                    "ticks of 48 kHz"
                );
                assert_eq!((received.concealed_samples, received.frames_received), (Some(0), None));
                let duration = Duration::from_millis(50) * u32::try_from(came[side][at] - 1).unwrap();
                assert_eq!(received.total_samples_duration, Some(duration));
            } else {
                assert_eq!(received.frames_received, Some(came[side][at]));
                assert_eq!(
                    received.frames_assembled_from_multiple_packets,
                    Some(came[side][at]),
                    "3,000 bytes"
                );
                assert_eq!(received.jitter_buffer_emitted_count, came[side][at]);
                assert_eq!((sent.frames_sent, sent.huge_frames_sent), (Some(200), Some(0)));
                assert_eq!(
                    (received.pli_count, sent.pli_count),
                    (Some(0), Some(0)),
                    "it began with a key frame"
                );
            }
        }
    }
}

#[test]
fn both_sides_agree_on_losses_and_repairs() {
    let mut link = near();
    link.loss = 0.05;
    let (mut two, ids) = call(link, |_| {});
    talk(&mut two, ids, 0..300);
    let reports = [0, 1].map(|side| report(&mut two, side));
    for side in [0, 1] {
        let (_, sent) = outbound(&reports[1 - side], MediaKind::Video);
        let (_, received) = inbound(&reports[side], MediaKind::Video);
        assert!(received.packets_lost > 0 && received.retransmitted_packets_received > 0, "{received:?}");
        // What pads probes looks like a retransmission where it comes.
        let padding = two.session(1 - side).encoding_stats(ids[1 - side][1], 0).unwrap().0;
        let most = sent.retransmitted_packets_sent + padding.padding_packets;
        assert!(received.retransmitted_packets_received <= most);
        let most = sent.retransmitted_bytes_sent + padding.padding_bytes;
        assert!(received.retransmitted_bytes_received <= most);
        assert!(sent.nack_count > 0 && sent.nack_count <= received.nack_count, "requests are lost, too");
        assert_eq!((received.rtx_ssrc.is_some(), received.rtx_ssrc), (true, sent.rtx_ssrc));
        let remote = reports[1 - side].get(sent.remote_id.as_ref().unwrap().as_str());
        let Some(Dictionary::RemoteInboundRtp(remote)) = remote else { panic!("{remote:?}") };
        assert!(remote.packets_lost > 0 && remote.packets_lost <= received.packets_lost, "{remote:?}");
        let (_, audio) = inbound(&reports[side], MediaKind::Audio);
        assert!(audio.concealment_events.unwrap() * 2400 <= audio.concealed_samples.unwrap());
        assert!(audio.concealment_events.unwrap() > 0, "{audio:?}");
    }
}

#[test]
fn ids_of_streams_stay_while_they_go_on_and_are_not_used_again() {
    let (mut two, ids) = call(near(), |_| {});
    talk(&mut two, ids, 0..40);
    let streams = |two: &mut Two| {
        let report = report(two, 0);
        let ids = report.iter().filter(|(_, it)| it.kind().ends_with("-rtp") || it.kind() == "codec");
        ids.map(|(id, _)| id.to_string()).collect::<BTreeSet<_>>()
    };
    let before = streams(&mut two);
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("later")).unwrap();
    two.session(0).restart_ice();
    two.negotiate(0);
    talk(&mut two, ids, 40..80);
    assert_eq!(streams(&mut two), before, "renegotiation and a restart change nothing");
    let now = two.now();
    let of_video = two.session(0).transceiver_statistics(now, ids[0][1]);
    let kinds: Vec<_> = of_video.inbound_rtp().map(|(_, it)| it.kind).collect();
    assert_eq!(kinds, [MediaKind::Video]);
    assert!(of_video.outbound_rtp().all(|(_, it)| it.kind == MediaKind::Video));
    assert_eq!((of_video.outbound_rtp().count(), of_video.data_channels().count()), (1, 0));
    assert_eq!(of_video.transports().count(), 1, "what they go over");
    // What is received by packets in place of frames begins anew.
    let old = inbound(&report(&mut two, 0), MediaKind::Video).0;
    two.session(0).set_output(ids[0][1], Output::Packets);
    let now = two.now();
    let frame = OutgoingFrame { bytes: &[0; 100], timestamp: 0, ..OutgoingFrame::default() };
    for _ in 0..3 {
        two.session(1).write_frame(now, ids[1][1], 0, &frame).unwrap();
    }
    wait(&mut two, Duration::from_secs(1));
    let new = report(&mut two, 0);
    assert!(new.get(old.as_str()).is_none());
    assert_ne!(inbound(&new, MediaKind::Video).0, old);
}

/// Reports in which everything occurs that can.
fn reports() -> Vec<StatsReport> {
    let mut reports = Vec::new();
    let (server, identity) = ("198.51.100.1:3478".parse::<SocketAddr>().unwrap(), {
        let make =
            |seed: u8| Identity::generate(crypto::rust_crypto(), CLOCK.unix_seconds, [seed; 32]).unwrap();
        let issuer = make(9).certificate().to_vec();
        Arc::new(make(8).with_issuers(vec![issuer]).unwrap())
    });
    let configs = [0, 1].map(|side| {
        let mut config: Config = config(side);
        let address = config.local_addresses[0];
        let mut relaying = Relaying::default();
        relaying.servers.push(TurnServer::new(server, Credentials::new("alice", "wonderland").unwrap()));
        relaying.sockets.push(SocketAddr::new(address.ip(), 5000));
        config.relaying = Some(Box::new(relaying));
        config.stun_servers = vec![server];
        config.identity = Some(identity.clone());
        let listeners = vec![SocketAddr::new(address.ip(), 4000)];
        let mut gathering = Gathering::default();
        (gathering.tcp.listeners, gathering.tcp.active) = (listeners, vec![address.ip()]);
        config.gathering = Some(Box::new(gathering));
        config
    });
    let mut two = Two::behind([&[Nat::cone()], &[Nat::cone()]], configs, server);
    let now = two.now();
    for kind in [MediaKind::Audio, MediaKind::Video] {
        two.session(0).add_track(now, kind, vec![]).unwrap();
    }
    let ours = two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(10), Two::is_connected), "{}", two.reports());
    let theirs = two.incoming(1);
    two.echo(ours, theirs);
    for side in [0, 1] {
        reports.push(report(&mut two, side));
    }
    let kinds = |kind| {
        let entries = reports.iter().flat_map(StatsReport::iter);
        entries
            .filter(|(_, it)| matches!(it, Dictionary::LocalCandidate(it) if it.candidate_type == kind))
            .count()
    };
    assert!(kinds(CandidateKind::ServerReflexive) > 0 && kinds(CandidateKind::Relayed) > 0, "{reports:#?}");
    let (mut two, ids) = call(near(), |media| {
        let repair = Codec::new(MediaKind::Video, "flexfec-03", 90_000, 49).unwrap();
        media.codecs.push(repair);
    });
    let mut layers = TransceiverInit::default();
    layers.send_encodings = ["h", "l"].map(|rid| SendEncoding::named(rid).unwrap()).into();
    let now = two.now();
    two.session(0).add_transceiver(now, MediaKind::Video, layers).unwrap();
    two.negotiate(0);
    talk(&mut two, ids, 0..100);
    for side in [0, 1] {
        reports.push(report(&mut two, side));
    }
    reports
}

/// The tables of the page: by dictionary the members and who knows them.
fn page() -> BTreeMap<String, BTreeMap<String, String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/statistics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut tables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## `") {
            current = title.trim_end_matches('`').to_owned();
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let [name, who] = cells[..]
            && let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'))
        {
            let table = tables.entry(current.clone()).or_default();
            assert_eq!(table.insert(name.to_owned(), who.to_owned()), None, "{current} has {name} twice");
        }
    }
    tables
}

#[test]
fn the_page_names_every_member_and_each_that_it_calls_filled_is() {
    let page = page();
    let reports = reports();
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (_, dictionary) in reports.iter().flat_map(StatsReport::iter) {
        for (name, value) in dictionary.members() {
            names.entry(dictionary.kind()).or_default().insert(name);
            if value.is_some() {
                seen.insert((dictionary.kind(), name));
            }
        }
    }
    for (kind, table) in &page {
        let filled: BTreeSet<&str> = table
            .iter()
            .filter(|(_, who)| who.starts_with("filled"))
            .map(|(name, _)| name.as_str())
            .collect();
        let Some(names) = names.get(kind.as_str()) else {
            assert!(filled.is_empty(), "there is no {kind}");
            continue;
        };
        assert_eq!(*names, filled, "{kind}");
        for name in filled {
            assert!(seen.contains(&(kind.as_str(), name)), "{kind}.{name} never had a value");
        }
    }
    // Its members are those of the others.
    names.remove("remote-candidate");
    let missing: Vec<_> = names.keys().filter(|kind| !page.contains_key(**kind)).collect();
    assert!(missing.is_empty(), "the page lacks {missing:?}");
}

#[cfg(feature = "serde")]
#[test]
fn a_report_is_written_out_as_browsers_do() {
    let (mut two, _) = connected();
    let stats = report(&mut two, 0);
    let json = serde_json::to_value(&stats).unwrap();
    assert_eq!(json.as_object().unwrap().len(), stats.len());
    let transport = &json["T0"];
    assert_eq!((&transport["id"], &transport["type"]), (&"T0".into(), &"transport".into()));
    assert_eq!(transport["timestamp"], stats.timestamp.0.as_secs_f64() * 1000.0);
    assert_eq!(transport["dtlsState"], "connected");
    assert_eq!(transport["packetsSent"], stats.transports().next().unwrap().1.packets_sent);
    assert!(transport.get("srtpCipher").is_some() && transport.get("dtlsCipher").is_some());
    let pair = &json[transport["selectedCandidatePairId"].as_str().unwrap()];
    assert_eq!((&pair["nominated"], &pair["currentRoundTripTime"]), (&true.into(), &0.02.into()));
    let local = &json[pair["localCandidateId"].as_str().unwrap()];
    assert_eq!((&local["candidateType"], &local["address"]), (&"host".into(), &"192.0.2.1".into()));
    assert_eq!((json["D1"].get("dataChannelIdentifier"), local.get("tcpType")), (Some(&1.into()), None));
}
