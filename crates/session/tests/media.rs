//! RTP and RTCP between two sessions: keys by DTLS (RFC 5764), whose a packet is (RFC 9143 §9.2), and what is refused.
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

use std::time::Duration;

use harness::{Two, config, near, peer};
use proto::{Arrival, Batch, Writer};
use rtp::extension::{Form, Kind, RepairedRid};
use rtp::{Encoder, Header, Mid, PayloadType, RtpTimestamp, SequenceNumber};
use session::{
    ChannelInit, Direction, Discard, Event, MediaKind, Rid, SendEncoding, SendMediaError, Session, Ssrc,
    TransceiverId, TransceiverInit,
};

/// Audio, video and data, both ways, connected; the transceivers of each side.
fn connected() -> (Two, [[TransceiverId; 2]; 2]) {
    connected_with(|_| {})
}

fn connected_with(change: impl Fn(&mut session::Config)) -> (Two, [[TransceiverId; 2]; 2]) {
    let mut configs = [config(0), config(1)];
    configs.iter_mut().for_each(change);
    let mut two = Two::with(configs, near());
    let now = two.now();
    let kinds = [MediaKind::Audio, MediaKind::Video];
    let ids = [0, 1].map(|side| kinds.map(|kind| two.session(side).add_track(now, kind, vec![]).unwrap()));
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    (two, ids)
}

/// A packet of a transceiver's first encoding, with these elements.
fn packet(
    session: &Session,
    id: TransceiverId,
    number: u16,
    write: impl FnOnce(&mut Encoder<'_, '_>, &session::Negotiated),
) -> Vec<u8> {
    let info = session.transceiver(id).unwrap();
    let negotiated = info.negotiated.unwrap();
    let header = Header {
        payload_type: negotiated.send[0].payload_type,
        sequence_number: SequenceNumber(number),
        timestamp: RtpTimestamp(u32::from(number) * 960),
        ssrc: info.encodings[0].ssrc,
        ..Header::default()
    };
    build(header, |encoder| write(encoder, negotiated))
}

fn build(header: Header, write: impl FnOnce(&mut Encoder<'_, '_>)) -> Vec<u8> {
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    let mut encoder = Encoder::new(&mut out, header, &[]).unwrap();
    write(&mut encoder);
    encoder.finish(b"payload", 0).unwrap();
    out.written().to_vec()
}

fn plain(_: &mut Encoder<'_, '_>, _: &session::Negotiated) {}

fn run(two: &mut Two) {
    two.run(Duration::from_millis(100), |_| false);
}

/// What has come since.
fn media(two: &mut Two, side: usize) -> Vec<harness::Media> {
    let host = two.hosts[side];
    std::mem::take(&mut peer(&mut two.world, host).media)
}

fn discards(two: &mut Two, side: usize) -> Vec<Discard> {
    let host = two.hosts[side];
    std::mem::take(&mut peer(&mut two.world, host).discards)
}

#[test]
fn packets_arrive_as_they_were_sent_at_the_transceiver_of_their_section() {
    let (mut two, ids) = connected();
    let now = two.now();
    for side in [0, 1] {
        for (at, id) in ids[side].into_iter().enumerate() {
            let mut sent = Vec::new();
            for number in 0..50 {
                let packet = packet(two.session(side), id, number, plain);
                two.session(side).send_rtp(now, id, &packet).unwrap();
                sent.push(packet);
            }
            run(&mut two);
            let came = media(&mut two, 1 - side);
            assert!(came.iter().map(|it| &it.packet).eq(&sent));
            assert!(came.iter().all(|it| it.transceiver == ids[1 - side][at] && !it.is_repair));
        }
        let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
        two.session(side).send_rtcp(now, &report).unwrap();
        run(&mut two);
        let host = two.hosts[1 - side];
        assert_eq!(peer(&mut two.world, host).reports, [report]);
    }
    for side in [0, 1] {
        assert!(discards(&mut two, side).is_empty());
        let stats = two.session(side).stats(now);
        let (sent, received) = stats.srtp.unwrap();
        assert_eq!((sent.rtp_packets, received.rtp_packets), (100, 100));
        assert_eq!((sent.rtcp_packets, received.rtcp_packets), (1, 1));
        assert_eq!(stats.remote_sources, 3, "two sources and retransmissions of one were described");
    }
    // And data flow beside them.
    let theirs = two.incoming(1);
    let ours = two.session(0).open_channel(now, ChannelInit::labelled("more")).unwrap();
    run(&mut two);
    let _ = (theirs, ours);
    assert!(two.seen[1].iter().filter(|event| matches!(event, Event::ChannelOpened(_))).count() >= 1);
}

#[test]
fn media_need_no_data_and_data_that_come_later_need_no_second_transport() {
    let mut two = Two::new();
    let now = two.now();
    two.session(0).add_track(now, MediaKind::Audio, vec![]).unwrap();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    // Nothing is sent that nobody asked for, and nothing gives up for want of an answer.
    two.run(Duration::from_secs(120), |_| false);
    assert!(two.is_connected(), "{}", two.reports());
    assert_eq!(two.session(0).stats(now).sctp.timeouts, 0);
    let now = two.now();
    let channel = two.session(1).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(1);
    let theirs = two.incoming(0);
    two.echo(theirs, channel);
}

#[test]
fn an_element_that_names_the_section_weighs_more_than_what_was_known() {
    let (mut two, ids) = connected();
    let now = two.now();
    let [audio, video] = ids[0];
    // An SSRC that no description names, with the payload type of both: its section's name tells.
    let codec = two.session(0).transceiver(video).unwrap().negotiated.unwrap().clone();
    let mid = |two: &mut Two, id| {
        let mid = two.session(0).transceiver(id).unwrap().mid.unwrap().to_owned();
        Mid::new(mid.as_bytes()).unwrap()
    };
    let (audio_mid, video_mid) = (mid(&mut two, audio), mid(&mut two, video));
    for (name, expected) in [(video_mid, Some(ids[1][1])), (audio_mid, None)] {
        let packet = packet(two.session(0), video, if expected.is_some() { 1 } else { 2 }, |encoder, _| {
            codec.extensions.encode(encoder, Form::OneByte, &name).unwrap();
        });
        two.session(0).send_rtp(now, video, &packet).unwrap();
        run(&mut two);
        let came: Vec<_> = media(&mut two, 1).iter().map(|it| it.transceiver).collect();
        assert_eq!(came, Vec::from_iter(expected));
        // A payload type that was not agreed upon for the section is nobody's.
        let refused = discards(&mut two, 1);
        assert_eq!(refused, if expected.is_some() { vec![] } else { vec![Discard::UnknownPayloadType] });
    }
    let unknown = Mid::new(b"elsewhere").unwrap();
    let packet = packet(two.session(0), video, 3, |encoder, _| {
        codec.extensions.encode(encoder, Form::OneByte, &unknown).unwrap();
    });
    two.session(0).send_rtp(now, video, &packet).unwrap();
    run(&mut two);
    assert_eq!(discards(&mut two, 1), [Discard::UnknownStream]);
    assert_eq!(two.session(1).stats(now).ignored.stray, 2);
}

#[test]
fn streams_of_simulcast_are_told_apart_by_their_names() {
    let mut two = Two::new();
    let now = two.now();
    let mut init = TransceiverInit::default();
    init.direction = Direction::SendOnly;
    init.send_encodings = ["lo", "hi"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
    let id = two.session(0).add_transceiver(now, MediaKind::Video, init).unwrap();
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    let negotiated = two.session(0).transceiver(id).unwrap().negotiated.unwrap().clone();
    let encodings = two.session(0).transceiver(id).unwrap().encodings.to_vec();
    let vp8 = negotiated.send[0].clone();
    let header = |ssrc, payload_type, number| Header {
        ssrc,
        payload_type,
        sequence_number: SequenceNumber(number),
        ..Header::default()
    };
    let mut expected = Vec::new();
    for (encoding, name) in encodings.iter().zip(["lo", "hi"]) {
        let rid = Rid::new(name.as_bytes()).unwrap();
        // The name stands in the first packet alone: its source is known from then on.
        for number in 1..4 {
            let packet = build(header(encoding.ssrc, vp8.payload_type, number), |encoder| {
                if number == 1 {
                    negotiated.extensions.encode(encoder, Form::OneByte, &rid).unwrap();
                }
            });
            two.session(0).send_rtp(now, id, &packet).unwrap();
            expected.push((Some(rid), false));
        }
        let packet = build(header(encoding.rtx, vp8.rtx.unwrap(), 1), |encoder| {
            negotiated.extensions.encode(encoder, Form::OneByte, &RepairedRid(rid)).unwrap();
        });
        two.session(0).send_rtp(now, id, &packet).unwrap();
        expected.push((Some(rid), true));
    }
    run(&mut two);
    let came: Vec<_> = media(&mut two, 1).iter().map(|it| (it.rid, it.is_repair)).collect();
    assert_eq!(came, expected);
    assert!(negotiated.extensions.id(Kind::Rid).is_some());
}

#[test]
fn a_payload_type_tells_where_nothing_else_does() {
    // The peer's description has no SSRC lines, and packets have no elements.
    let mut two = Two::new();
    let now = two.now();
    let audio = two.session(0).add_track(now, MediaKind::Audio, vec![]).unwrap();
    let video = two.session(0).add_track(now, MediaKind::Video, vec![]).unwrap();
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, session::SdpType::Offer, offer.clone()).unwrap();
    let text: String =
        offer.to_string().split_inclusive('\n').filter(|line| !line.starts_with("a=ssrc")).collect();
    two.session(1).set_remote(now, session::SdpType::Offer, text.parse().unwrap()).unwrap();
    let answer = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, session::SdpType::Answer, answer.clone()).unwrap();
    two.session(0).set_remote(now, session::SdpType::Answer, answer).unwrap();
    assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
    let theirs: Vec<_> = two.session(1).transceivers().map(|(id, _)| id).collect();
    assert_eq!(two.session(1).stats(now).remote_sources, 0);
    for (id, expected) in [(video, theirs[1]), (audio, theirs[0])] {
        let packet = packet(two.session(0), id, 1, plain);
        two.session(0).send_rtp(now, id, &packet).unwrap();
        run(&mut two);
        assert_eq!(media(&mut two, 1)[0].transceiver, expected);
    }
    assert_eq!(two.session(1).stats(now).remote_sources, 2);
}

/// THREATS S3: what is not protected by the keys of this connection is refused, before and after there are any.
#[test]
fn nothing_without_protection_arrives_or_changes_anything() {
    let (mut two, ids) = connected();
    let now = two.now();
    let path = testkit::path("192.0.2.2:4000", "192.0.2.1:4000");
    let plain_rtp = packet(two.session(0), ids[0][0], 9, plain);
    let plain_rtcp = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
    let known = two.session(1).stats(now).remote_sources;
    for base in [plain_rtp, plain_rtcp] {
        for tail in [0, 4, 10, 14, 16, 20, 40] {
            for ssrc in 0..20_u8 {
                let mut datagram = base.clone();
                datagram[11.min(base.len() - 1)] ^= ssrc;
                datagram.resize(base.len() + tail, 0);
                let taken =
                    two.session(1).handle_datagram(Arrival { path, ecn: None, at: now }, &mut datagram);
                assert!(matches!(taken, Err(Discard::Srtp(_))), "{taken:?}");
            }
        }
    }
    let stats = two.session(1).stats(now);
    assert_eq!((stats.ignored.srtp, stats.remote_sources), (280, known));
    assert!(media(&mut two, 1).is_empty());
    // Every byte of a good one counts, and it counts once.
    let good = packet(two.session(0), ids[0][0], 10, plain);
    two.session(0).send_rtp(now, ids[0][0], &good).unwrap();
    let host = two.hosts[0];
    peer(&mut two.world, host).logs = true;
    peer(&mut two.world, host).log.clear();
    run(&mut two);
    let logged = std::mem::take(&mut peer(&mut two.world, host).log);
    let wire = logged.into_iter().map(|(_, _, bytes)| bytes).find(|bytes| bytes[0] == 0x80).unwrap();
    assert_eq!(wire.len(), good.len() + 16, "AES-GCM was agreed upon");
    assert!(!wire.windows(7).any(|window| window == b"payload"));
    assert_eq!(media(&mut two, 1).len(), 1);
    for at in 0..wire.len() {
        let mut datagram = wire.clone();
        datagram[at] ^= 1;
        let taken = two.session(1).handle_datagram(Arrival { path, ecn: None, at: now }, &mut datagram);
        assert!(taken.is_err(), "byte {at}");
    }
    let again =
        two.session(1).handle_datagram(Arrival { path, ecn: None, at: now }, &mut wire.clone()).map(drop);
    assert!(matches!(again, Err(Discard::Srtp(session::UnprotectError::Replayed))));

    // A session without media takes none.
    let mut two = Two::new();
    two.connect();
    let now = two.now();
    let taken =
        two.session(1).handle_datagram(Arrival { path, ecn: None, at: now }, &mut wire.clone()).map(drop);
    assert!(matches!(taken, Err(Discard::UnknownProtocol)));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let (mut two, ids) = connected();
    let now = two.now();
    let [audio, video] = ids[0];
    let good = packet(two.session(0), audio, 1, plain);
    let mut other = good.clone();
    other[8] ^= 1;
    let session = two.session(0);
    assert_eq!(session.send_rtp(now, audio, &other), Err(SendMediaError::UnknownSource));
    assert_eq!(session.send_rtp(now, video, &good), Err(SendMediaError::UnknownSource));
    assert_eq!(session.send_rtp(now, audio, &good[..11]), Err(SendMediaError::Malformed));
    assert_eq!(session.send_rtcp(now, &good), Err(SendMediaError::Malformed));
    let limit = session.max_media_packet().unwrap();
    assert!(limit >= 1100, "{limit}");
    let mut large = good.clone();
    large.resize(limit + 1, 0);
    assert_eq!(session.send_rtp(now, audio, &large), Err(SendMediaError::TooLarge { limit }));
    assert_eq!(session.send_rtp(now, audio, &large[..limit]), Ok(()));
    run(&mut two);
    assert_eq!(media(&mut two, 1)[0].packet.len(), limit);
    two.session(0).set_direction(now, audio, Direction::RecvOnly).unwrap();
    let second = packet(two.session(0), audio, 2, plain);
    assert_eq!(two.session(0).send_rtp(now, audio, &second), Ok(()), "not agreed yet");
    two.negotiate(0);
    assert_eq!(two.session(0).send_rtp(now, audio, &good), Err(SendMediaError::NotSending));
    two.session(0).stop_transceiver(now, audio).unwrap();
    two.negotiate(0);
    assert_eq!(two.session(0).send_rtp(now, audio, &good), Err(SendMediaError::Stopped));
    two.session(0).close(now);
    let last = packet(two.session(0), video, 1, plain);
    assert_eq!(two.session(0).send_rtp(now, video, &last), Err(SendMediaError::Stopped));
    let mut fresh = Two::new();
    let id = fresh.session(0).add_track(now, MediaKind::Audio, vec![]).unwrap();
    assert_eq!(fresh.session(0).send_rtp(now, id, &good), Err(SendMediaError::NotSending));
    assert_eq!(
        fresh.session(0).send_rtcp(now, &[0x80, 201, 0, 1, 0, 0, 0, 7]),
        Err(SendMediaError::NotConnected)
    );
}

#[test]
fn bytes_of_media_wait_up_to_their_limit_and_not_one_more() {
    let (mut two, ids) = connected_with(|config| config.limits.media_queue = 1000);
    let now = two.now();
    let audio = ids[0][0];
    let mut first = packet(two.session(0), audio, 1, plain);
    first.resize(496, 0);
    let mut second = packet(two.session(0), audio, 2, plain);
    second.resize(497, 0);
    two.session(0).send_rtp(now, audio, &first).unwrap();
    assert_eq!(two.session(0).send_rtp(now, audio, &second), Err(SendMediaError::Blocked));
    assert_eq!(two.session(0).send_rtp(now, audio, &second[..496]), Ok(()));
    run(&mut two);
    assert_eq!(media(&mut two, 1).len(), 2);
    let third = packet(two.session(0), audio, 3, plain);
    assert_eq!(two.session(0).send_rtp(now, audio, &third), Ok(()));
}

#[test]
fn transceivers_are_made_up_to_their_number_and_not_one_more() {
    let mut config = config(0);
    config.limits.max_transceivers = 3;
    let mut session = Session::new(testkit::epoch(), harness::CLOCK, config, [1; 32]).unwrap();
    let mut add = || session.add_track(testkit::epoch(), MediaKind::Audio, vec![]);
    assert!((0..3).all(|_| add().is_ok()));
    assert_eq!(add(), Err(session::TransceiverError::TooMany));
}

/// RFC 3550 §8.2: a peer that has drawn one of our SSRCs has us draw another.
#[test]
fn an_ssrc_of_ours_that_the_peer_has_is_drawn_anew() {
    let mut two = Two::new();
    let now = two.now();
    let ours = two.session(0).add_track(now, MediaKind::Video, vec![]).unwrap();
    two.session(1).add_track(now, MediaKind::Video, vec![]).unwrap();
    let before: Vec<Ssrc> =
        two.session(0).transceiver(ours).unwrap().encodings.iter().map(|encoding| encoding.ssrc).collect();
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, session::SdpType::Offer, offer.clone()).unwrap();
    two.session(1).set_remote(now, session::SdpType::Offer, offer).unwrap();
    let answer = two.session(1).create_answer(now).unwrap();
    let theirs = two.session(1).transceivers().next().unwrap().1.encodings[0].ssrc;
    let collides = answer.to_string().replace(&theirs.to_string(), &before[0].to_string());
    two.session(0).set_remote(now, session::SdpType::Answer, collides.parse().unwrap()).unwrap();
    let after = two.session(0).transceiver(ours).unwrap().encodings[0].ssrc;
    assert_ne!(after, before[0]);
    assert!(PayloadType::new(96).is_some());
}

/// What is forwarded goes into the batch at hand, as many packets of one size as one call can send.
#[test]
fn packets_are_written_to_a_batch_at_once() {
    let (mut two, ids) = connected();
    let now = two.now();
    let video = ids[0][1];
    let packets: Vec<_> = (1..=5).map(|number| packet(two.session(0), video, number, plain)).collect();
    let mut memory = [0; 8000];
    let mut batch = Batch::new(&mut memory, 4, 1500);
    assert!(two.session(0).finish_rtp(&batch).is_none());
    for packet in &packets[..4] {
        two.session(0).write_rtp(now, video, packet, &mut batch).unwrap();
    }
    let blocked = two.session(0).write_rtp(now, video, &packets[4], &mut batch);
    assert_eq!(blocked, Err(SendMediaError::Blocked));
    let other = packet(two.session(0), ids[0][0], 1, plain);
    let wrong = two.session(0).write_rtp(now, video, &other, &mut batch);
    assert_eq!(wrong, Err(SendMediaError::UnknownSource));
    let transmit = two.session(0).finish_rtp(&batch).unwrap();
    assert_eq!(transmit.segment_size, Some(packets[0].len() + 16));
    let path = testkit::path("192.0.2.2:4000", "192.0.2.1:4000");
    let mut seen = Vec::new();
    for datagram in memory[..transmit.len].chunks_mut(packets[0].len() + 16) {
        let taken = two.session(1).handle_datagram(Arrival { path, ecn: None, at: now }, datagram).unwrap();
        let session::Received::Rtp { packet, transceiver, .. } = taken else { panic!("{taken:?}") };
        assert_eq!(transceiver, ids[1][1]);
        seen.push(packet.bytes().to_vec());
    }
    assert_eq!(seen, packets[..4]);
    // One that another has taken the place of is refused (RFC 3711 §9.1).
    let mut twin = packets[0].clone();
    *twin.last_mut().unwrap() ^= 1;
    let mut batch = Batch::new(&mut memory, 4, 1500);
    let reused = two.session(0).write_rtp(now, video, &twin, &mut batch);
    assert_eq!(reused, Err(SendMediaError::Refused));
    assert!(two.session(0).finish_rtp(&batch).is_none());
}
