//! Video inside of RED with ULPFEC between its frames: what is sent.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use media::{
    EncodingConfig, FecConfig, HistoryLimits, OutgoingFrame, Output, PacketKind, Received, RedConfig, Rtp,
    SenderConfig, SenderId, SharedPackets, StreamId,
};
use proptest::prelude::*;
use proto::{Instant, Writer};
use rtp::extension::Kind;
use rtp::fec::{self, Repair};
use rtp::rtcp::{Compound, Encoder, Packet as Rtcp};
use rtp::{Packet, PacketMut, Rid, SequenceNumber, Ssrc};
use support::red::{
    MEDIA, RED, RED_RTX, RTX, ULPFEC, block, drain, header, is_repair, number, protected, receiver, send,
    sender,
};
use support::{deliver, extensions, video_sender};
use testkit::{Capture, epoch};

/// The packet of media that a packet of RED holds, by the description of the format rather than by what sends it: the header with the
/// block's payload type, and the block.
fn unwrapped(bytes: &[u8]) -> Vec<u8> {
    let (payload_type, data) = block(bytes);
    let packet = Packet::decode(bytes).unwrap();
    let mut plain = bytes[..packet.header_len()].to_vec();
    plain[1] = plain[1] & 0x80 | payload_type;
    plain.extend_from_slice(&data);
    plain
}

#[test]
fn every_number_is_used_once_and_repair_follows_the_frame_that_it_protects() {
    let mut alice = support::rtp("alice", 1);
    let id = alice.add_sender(sender(5)).unwrap();
    // A frame of as many packets as have a repair of their own, one of many groups, and short ones that share.
    let lengths = [3000, 20_000, 500, 500, 500, 6000, 900, 60_000];
    for (frame, len) in (0..).zip(lengths) {
        send(&mut alice, id, frame, len);
    }
    let sent = drain(&mut alice, epoch(), 1500);
    let first = number(&sent[0]);
    for (at, bytes) in (0..).zip(&sent) {
        assert_eq!((number(bytes), header(bytes).ssrc), (first.wrapping_add(at), header(&sent[0]).ssrc));
    }
    let mut media: Vec<u16> = Vec::new();
    let mut covered = Vec::new();
    let mut frames = 0;
    for (at, bytes) in sent.iter().enumerate() {
        if is_repair(bytes) {
            assert!(!header(bytes).marker && header(bytes).timestamp == header(&sent[at - 1]).timestamp);
            assert!(
                is_repair(&sent[at - 1]) || header(&sent[at - 1]).marker,
                "not between packets of a frame"
            );
            let protected = protected(bytes);
            assert!((1..=5).contains(&protected.len()) && protected.iter().all(|it| media.contains(it)));
            covered.extend(protected);
            continue;
        }
        media.push(number(bytes));
        if header(bytes).marker {
            frames += 1;
        }
    }
    assert_eq!(frames, lengths.len());
    assert_eq!(covered, media, "all are protected once, in their order");
    let stats = alice.sender(id).unwrap().stats(0).unwrap();
    assert_eq!((stats.repairs, stats.unrepaired), ((sent.len() - media.len()) as u64, 0));
    assert_eq!(stats.packets, sent.len() as u64);
    let kinds = alice.sent().iter().filter(|sent| sent.kind == PacketKind::Repair).count();
    assert_eq!((kinds as u64, alice.sent().iter().count()), (stats.repairs, sent.len()));
}

/// Recovers a packet from its group and the repair, by the format's description.
fn recover(group: &[Vec<u8>], lost: usize, repair: &[u8]) -> Vec<u8> {
    let ssrc = header(&group[0]).ssrc;
    let others = group.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, bytes)| bytes.as_slice());
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    let (_, repair) = block(repair);
    let missing = header(&group[lost]).sequence_number;
    Repair::decode(fec::Format::Ulp, &repair).unwrap().recover(ssrc, missing, others, &mut out).unwrap();
    out.written().to_vec()
}

#[test]
fn what_is_recovered_is_what_was_sent_to_the_last_byte() {
    let mut alice = support::rtp("alice", 2);
    let id = alice.add_sender(sender(10)).unwrap();
    let mut groups = 0;
    let mut media = Vec::new();
    let mut now = epoch();
    for frame in 0..10 {
        send(&mut alice, id, frame, 300 + frame as usize * 1000);
        // Each leaves at another time, with another stamp.
        let mut sent = Vec::new();
        let mut memory = [0; 1500];
        while let mut out = Writer::new(&mut memory)
            && alice.poll_rtp(now, &mut out)
        {
            sent.push(out.written().to_vec());
            now += Duration::from_millis(1);
        }
        for bytes in &sent {
            if is_repair(bytes) {
                let numbers = protected(bytes);
                let group: Vec<Vec<u8>> =
                    media.iter().filter(|it: &&Vec<u8>| numbers.contains(&number(it))).cloned().collect();
                (0..group.len()).for_each(|lost| assert_eq!(recover(&group, lost, bytes), group[lost]));
                groups += 1;
            } else {
                media.push(unwrapped(bytes));
            }
        }
    }
    assert!(groups > 5, "{groups}");
}

/// libwebrtc writes stamps after its repair, and leaves them out of the packets that it recovers from: so it gets all but them.
#[test]
fn who_leaves_stamps_out_of_repair_recovers_all_but_stamps() {
    let mut alice = support::rtp("alice", 3);
    let id = alice.add_sender(sender(48)).unwrap();
    // All but the first packets of frames lack the time of capture, which stands behind the stamps.
    let captured = Some(rtp::NtpTime(1 << 40));
    for frame in 0..8_u32 {
        let bytes = support::vp8(frame, frame == 0, 3500);
        let frame =
            OutgoingFrame { bytes: &bytes, timestamp: frame * 3000, captured, ..OutgoingFrame::default() };
        alice.sender(id).unwrap().send_frame(epoch(), 0, &frame).unwrap();
    }
    let sent = drain(&mut alice, epoch() + Duration::from_secs(5), 1500);
    let zeroed = |mut bytes: Vec<u8>| {
        let map = extensions();
        let len = bytes.len();
        PacketMut::decode(&mut bytes, len).unwrap().change_elements(|id, value| {
            if matches!(map.kind(id), Some(Kind::AbsSendTime | Kind::TransportSequence)) {
                value.fill(0);
            }
        });
        bytes
    };
    let repair = sent.iter().find(|bytes| is_repair(bytes)).unwrap();
    let numbers = protected(repair);
    let media = sent.iter().filter(|bytes| numbers.contains(&number(bytes)));
    let group: Vec<Vec<u8>> = media.map(|bytes| zeroed(unwrapped(bytes))).collect();
    assert!(group.len() >= 24, "{}", group.len());
    for lost in 0..group.len() {
        assert_eq!(zeroed(recover(&group, lost, repair)), group[lost]);
    }
}

#[test]
fn sender_reports_count_what_went_out_under_the_source() {
    let mut alice = support::rtp("alice", 5);
    let id = alice.add_sender(sender(5)).unwrap();
    (0..5).for_each(|frame| send(&mut alice, id, frame, 5000));
    let mut now = epoch();
    let sent = drain(&mut alice, now, 1500);
    let octets: usize = sent.iter().map(|bytes| Packet::decode(bytes).unwrap().payload().len()).sum();
    let headers: usize = sent.iter().map(|bytes| Packet::decode(bytes).unwrap().header_len()).sum();
    let stats = alice.sender(id).unwrap().stats(0).unwrap();
    assert_eq!((stats.bytes, stats.header_bytes), (octets as u64, headers as u64));
    let mut memory = [0; 1500];
    let mut info = None;
    while info.is_none() {
        now = alice.poll_timeout().unwrap().max(now);
        alice.handle_timeout(now);
        let mut out = Writer::new(&mut memory);
        if alice.poll_rtcp(now, &mut out) {
            let compound = Compound::decode(out.written()).unwrap();
            info = compound.packets().flatten().find_map(|packet| {
                if let Rtcp::SenderReport(report) = packet { Some(report.info) } else { None }
            });
        }
    }
    let info = info.unwrap();
    assert_eq!((info.packet_count as usize, info.octet_count as usize), (sent.len(), octets));
}

fn nack(rtp: &mut Rtp, now: Instant, ssrc: Ssrc, numbers: &[u16]) {
    let mut memory = [0; 500];
    let mut out = Writer::new(&mut memory);
    let numbers = numbers.iter().map(|number| SequenceNumber(*number));
    let mut encoder = Encoder::new(&mut out);
    encoder.nack(Ssrc(7), ssrc, numbers).unwrap();
    rtp.handle_rtcp(now, out.written()).unwrap();
}

/// Sends a frame, has its first packet asked for again, and gives both.
fn again(config: SenderConfig) -> (Vec<u8>, Vec<Vec<u8>>, Rtp, SenderId) {
    let mut alice = support::rtp("alice", 6);
    let id = alice.add_sender(config).unwrap();
    // What is sent again is a share of what is sent.
    (0..5).for_each(|frame| send(&mut alice, id, frame, 5000));
    let sent = drain(&mut alice, epoch(), 1500);
    let now = epoch() + Duration::from_millis(50);
    nack(&mut alice, now, header(&sent[0]).ssrc, &[number(&sent[0])]);
    let again = drain(&mut alice, now, 1500);
    (sent[0].clone(), again, alice, id)
}

#[test]
fn what_is_sent_again_is_inside_of_red_where_the_peer_takes_it_so() {
    let mut config = sender(5);
    config.red = Some(RedConfig { payload_type: RED, rtx: Some(RED_RTX) });
    let (first, again, ..) = again(config);
    let packet = Packet::decode(&again[0]).unwrap();
    assert_eq!((again.len(), packet.header().payload_type), (1, RED_RTX));
    let wanted = [&number(&first).to_be_bytes()[..], Packet::decode(&first).unwrap().payload()].concat();
    assert_eq!(packet.payload(), wanted);
    assert!(packet.header().ssrc != header(&first).ssrc);
}

#[test]
fn what_is_sent_again_is_outside_of_red_where_the_peer_takes_that_alone() {
    let (first, again, ..) = again(sender(5));
    let packet = Packet::decode(&again[0]).unwrap();
    assert_eq!((again.len(), packet.header().payload_type), (1, RTX));
    assert_eq!(packet.payload(), [&number(&first).to_be_bytes()[..], &block(&first).1].concat());
}

#[test]
fn without_retransmissions_of_their_own_packets_go_again_as_they_went() {
    let mut config = sender(5);
    config.rtx = None;
    let (first, again, ..) = again(config);
    assert_eq!(again.len(), 1);
    assert_eq!((header(&again[0]), block(&again[0])), (header(&first), block(&first)));
}

#[test]
fn repair_is_not_sent_again() {
    let mut alice = support::rtp("alice", 7);
    let id = alice.add_sender(sender(5)).unwrap();
    send(&mut alice, id, 0, 5000);
    let sent = drain(&mut alice, epoch(), 1500);
    let last = sent.last().unwrap();
    assert!(is_repair(last));
    let now = epoch() + Duration::from_millis(50);
    nack(&mut alice, now, header(last).ssrc, &[number(last)]);
    assert!(drain(&mut alice, now, 1500).is_empty());
    let stats = alice.sender(id).unwrap().stats(0).unwrap();
    assert_eq!((stats.nacks, stats.refused, stats.retransmitted_packets), (1, 1, 0));
}

#[test]
fn padding_is_what_was_sent_and_no_repair() {
    let mut config = media::RtpConfig::new(support::clock(), "alice");
    config.control = Some(media::ControlConfig::default());
    let mut alice = Rtp::new(config, [8; 32]);
    let mut sending = sender(2);
    sending.red = Some(RedConfig { payload_type: RED, rtx: Some(RED_RTX) });
    let id = alice.add_sender(sending).unwrap();
    alice.set_padding(500_000);
    let mut padded = 0;
    let mut now = epoch();
    for step in 0..400 {
        if step % 40 == 0 {
            // One packet and its repair.
            let bytes = support::vp8(step, step == 0, 900);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: step * 900, ..OutgoingFrame::default() };
            alice.sender(id).unwrap().send_frame(now, 0, &frame).unwrap();
        }
        alice.handle_timeout(now);
        for bytes in drain(&mut alice, now, 1500) {
            let packet = Packet::decode(&bytes).unwrap();
            if packet.header().payload_type == RED_RTX {
                assert_eq!(packet.payload()[2], MEDIA.get(), "a packet of media");
                padded += 1;
            } else {
                block(&bytes);
            }
        }
        now += Duration::from_millis(5);
    }
    assert!(padded > 5, "{padded}");
}

#[test]
fn neither_packets_nor_their_repair_are_longer_than_the_path_carries() {
    for (made, forwarded) in [(1170, 1212), (1200, 1200), (1170, 1180)] {
        for rid in [None, Rid::new(b"sixteen-letters-")] {
            let mut config = sender(10);
            (config.max_packet, config.max_forwarded) = (made, forwarded);
            config.encodings = vec![rid.map_or_else(EncodingConfig::default, EncodingConfig::named)];
            let mut alice = support::rtp("alice", 9);
            let id = alice.add_sender(config).unwrap();
            send(&mut alice, id, 0, 30_000);
            // With room for no more than the path carries.
            let sent = drain(&mut alice, epoch(), forwarded);
            let longest = |repair: bool| {
                sent.iter().filter(|bytes| is_repair(bytes) == repair).map(Vec::len).max().unwrap()
            };
            let stats = alice.sender(id).unwrap().stats(0).unwrap();
            assert!(stats.repairs >= 3 && stats.unrepaired == 0, "{stats:?}");
            assert!(longest(false) <= made && longest(false) + 120 > made, "{}", longest(false));
            assert!(longest(true) <= forwarded && longest(true) > longest(false), "{}", longest(true));
        }
    }
}

#[test]
fn repair_that_the_path_does_not_carry_takes_no_number() {
    let mut config = sender(5);
    // What is made is longer than what goes.
    (config.max_packet, config.max_forwarded) = (1200, 1000);
    let mut alice = support::rtp("alice", 10);
    let id = alice.add_sender(config).unwrap();
    (0..3).for_each(|frame| send(&mut alice, id, frame, 6000));
    let sent = drain(&mut alice, epoch(), 1500);
    assert!(sent.iter().all(|bytes| !is_repair(bytes)));
    assert!(sent.iter().zip(number(&sent[0])..).all(|(bytes, wanted)| number(bytes) == wanted));
    let stats = alice.sender(id).unwrap().stats(0).unwrap();
    assert!(stats.repairs == 0 && stats.unrepaired >= 3, "{stats:?}");
}

/// What came to change while repair waited.
fn changed(change: impl FnOnce(&mut media::Sender)) -> (Vec<Vec<u8>>, media::EncodingStats) {
    let mut alice = support::rtp("alice", 11);
    let id = alice.add_sender(sender(5)).unwrap();
    (0..3).for_each(|frame| send(&mut alice, id, frame, 6000));
    change(alice.sender(id).unwrap());
    let sent = drain(&mut alice, epoch(), 1500);
    assert!(sent.iter().zip(number(&sent[0])..).all(|(bytes, wanted)| number(bytes) == wanted));
    (sent, alice.sender(id).unwrap().stats(0).unwrap())
}

#[test]
fn an_empty_packet_takes_the_number_of_repair_that_cannot_be_had_any_more() {
    let is_empty = |bytes: &&Vec<u8>| Packet::decode(bytes).unwrap().payload().is_empty();
    let (sent, stats) = changed(|sender| sender.set_max_forwarded(1000));
    let empty: Vec<&Vec<u8>> = sent.iter().filter(is_empty).collect();
    assert!(empty.len() >= 3 && empty.iter().all(|bytes| header(bytes).payload_type == RED));
    assert_eq!((stats.repairs, stats.unrepaired), (0, empty.len() as u64));
    let (sent, stats) = changed(|sender| sender.set_repair(None, None));
    let empty = sent.iter().filter(is_empty).count();
    assert!(sent.iter().all(|bytes| header(bytes).payload_type == MEDIA), "the peer takes no RED any more");
    assert!(empty >= 3 && stats.unrepaired == empty as u64, "{stats:?}");
    // A receiver misses nothing.
    let mut bob = support::rtp("bob", 12);
    let id = bob.add_receiver(receiver()).unwrap();
    for mut bytes in sent {
        deliver(&mut bob, epoch(), &mut bytes);
    }
    let receiver = bob.receiver(id).unwrap();
    assert!((0..3).all(|_| receiver.poll_frame(epoch()).is_some()));
    let stats = receiver.stats(StreamId(0)).unwrap();
    assert_eq!((stats.lost, stats.nack.missing), (0, 0));
}

#[test]
fn as_many_packets_wait_with_their_repair_as_the_limit() {
    let mut limits = HistoryLimits::default();
    limits.max_packets = 12;
    let mut config = sender(2);
    config.history = limits;
    let mut alice = support::rtp("alice", 13);
    let id = alice.add_sender(config).unwrap();
    let mut all = Vec::new();
    let mut blocked = 0;
    for number in 0..200_u32 {
        let bytes = support::vp8(number, number == 0, 2500);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
        blocked += u32::from(alice.sender(id).unwrap().send_frame(epoch(), 0, &frame).is_err());
        // One leaves for each frame that comes, so that there is always a queue.
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        if alice.poll_rtp(epoch(), &mut out) {
            all.push(out.written().to_vec());
        }
    }
    all.extend(drain(&mut alice, epoch(), 1500));
    assert!(blocked > 50, "{blocked}");
    assert!(all.iter().zip(number(&all[0])..).all(|(bytes, wanted)| number(bytes) == wanted));
    // What was forgotten meanwhile is not protected, and the rest is.
    let repaired = all.iter().filter(|bytes| !Packet::decode(bytes).unwrap().payload().is_empty());
    for bytes in repaired.filter(|bytes| is_repair(bytes)) {
        for number in protected(bytes) {
            assert!(all.iter().any(|it| self::number(it) == number && !is_repair(it)));
        }
    }
}

#[test]
fn packets_of_others_go_as_they_came_and_are_not_protected() {
    let mut alice = support::rtp("alice", 14);
    let id = alice.add_sender(sender(4)).unwrap();
    send(&mut alice, id, 0, 1000);
    let mut carol = support::rtp("carol", 15);
    let from = carol.add_sender(video_sender()).unwrap();
    send(&mut carol, from, 0, 1000);
    let packet = drain(&mut carol, epoch(), 1500).remove(0);
    let packet = SharedPackets::default().share(&packet, &extensions()).unwrap();
    alice.sender(id).unwrap().write_rtp(epoch(), 0, (0, 70_000), &packet).unwrap();
    (1..5).for_each(|frame| send(&mut alice, id, frame, 2000));
    let sent = drain(&mut alice, epoch(), 1500);
    assert!(sent.iter().zip(number(&sent[0])..).all(|(bytes, wanted)| number(bytes) == wanted));
    let plain: Vec<&Vec<u8>> = sent.iter().filter(|bytes| header(bytes).payload_type == MEDIA).collect();
    assert_eq!(plain.len(), 1);
    let others = || sent.iter().filter(|bytes| header(bytes).payload_type == RED);
    let repairs: Vec<&Vec<u8>> = others().filter(|bytes| is_repair(bytes)).collect();
    assert!(!repairs.is_empty());
    for bytes in repairs {
        assert!(!protected(bytes).contains(&number(plain[0])));
    }
}

#[test]
fn layers_of_simulcast_have_repair_of_their_own_and_are_told_apart_by_it() {
    let mut config = sender(4);
    let rids = [Rid::new(b"h"), Rid::new(b"l")].map(Option::unwrap);
    config.encodings = rids.map(EncodingConfig::named).to_vec();
    let mut alice = support::rtp("alice", 16);
    let id = alice.add_sender(config).unwrap();
    let mut bob = support::rtp("bob", 17);
    let to = bob.add_receiver(receiver()).unwrap();
    let mut lost = 0;
    for number in 0..20_u32 {
        for (encoding, len) in [(0, 4000), (1, 2500)] {
            let bytes = support::vp8(number, number == 0, len);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
            alice.sender(id).unwrap().send_frame(epoch(), encoding, &frame).unwrap();
        }
        let sent = drain(&mut alice, epoch(), 1500);
        for (at, mut bytes) in sent.into_iter().enumerate() {
            // One of the first: of either layer what comes first may be repair.
            if at < 2 {
                lost += 1;
                continue;
            }
            deliver(&mut bob, epoch(), &mut bytes);
        }
    }
    let receiver = bob.receiver(to).unwrap();
    let streams: Vec<StreamId> = receiver.streams().collect();
    assert_eq!(streams.len(), 2);
    let mut recovered = 0;
    for (stream, rid) in streams.into_iter().zip(rids) {
        assert_eq!(receiver.source_of(stream).unwrap().1, Some(rid));
        recovered += receiver.stats(stream).unwrap().recovered;
    }
    assert!(recovered + 2 >= lost && lost == 40, "{recovered} of {lost}");
}

#[test]
fn retransmissions_are_not_what_repair_is_about() {
    // Two of a group are lost; one comes again with another header. The other comes out of that as it was, or not at all.
    let mut alice = support::rtp("alice", 18);
    let id = alice.add_sender(sender(5)).unwrap();
    let mut config = receiver();
    config.output = Output::Packets;
    let mut bob = support::rtp("bob", 19);
    let to = bob.add_receiver(config).unwrap();
    (0..4).for_each(|frame| send(&mut alice, id, frame, 5000));
    let sent = drain(&mut alice, epoch(), 1500);
    let lost = [7, 8];
    assert!(lost.iter().all(|at| !is_repair(&sent[*at])));
    for (at, bytes) in sent.iter().enumerate() {
        if !lost.contains(&at) {
            deliver(&mut bob, epoch(), &mut bytes.clone());
        }
    }
    let now = epoch() + Duration::from_millis(50);
    nack(&mut alice, now, header(&sent[7]).ssrc, &[number(&sent[7])]);
    for mut bytes in drain(&mut alice, now, 1500) {
        assert_eq!(header(&bytes).payload_type, RTX);
        let len = bytes.len();
        let received = bob.handle_rtp(now, None, PacketMut::decode(&mut bytes, len).unwrap()).unwrap().1;
        let Received::Packet { packet, .. } = received else { panic!("it is forwarded") };
        assert_eq!(packet.as_packet().payload(), block(&sent[7]).1);
    }
    let receiver = bob.receiver(to).unwrap();
    while let Some((_, _, bytes)) = receiver.poll_recovered() {
        assert_eq!(bytes, unwrapped(&sent[8]));
    }
    assert_eq!(receiver.stats(StreamId(0)).unwrap().retransmitted, 1);
}

#[test]
fn real_tshark_reads_red_as_we_write_it() {
    let mut alice = support::rtp("alice", 20);
    let id = alice.add_sender(sender(5)).unwrap();
    (0..10).for_each(|frame| send(&mut alice, id, frame, 300 + frame as usize * 700));
    let sent = drain(&mut alice, epoch(), 1500);
    let mut capture = Capture::of_ip();
    let address = |host| SocketAddr::from(([192, 0, 2, host], 5004));
    sent.iter().for_each(|bytes| capture.datagram(epoch(), address(1), address(2), bytes));
    let fields = ["rtp.seq", "rtp.ssrc", "rtp.marker", "rtp.p_type", "rtp.follow"];
    let mut arguments = vec!["-d", "udp.port==5004,rtp", "-d", "rtp.pt==98,rtp_rfc2198"];
    fields.iter().for_each(|field| arguments.extend(["-e", field]));
    let Some(seen) = capture.dissect_with("media-red", &arguments) else {
        eprintln!("skipped: no tshark");
        return;
    };
    assert_eq!(seen.len(), sent.len());
    let mut repairs = 0;
    for ((protocols, rest), bytes) in seen.iter().zip(&sent) {
        assert!(protocols.contains("rtp"), "{protocols}");
        let header = header(bytes);
        let inside = if is_repair(bytes) { ULPFEC } else { MEDIA };
        let ours = [
            String::new(),
            header.sequence_number.0.to_string(),
            format!("0x{:08x}", header.ssrc.0),
            u8::from(header.marker).to_string(),
            // Of the packet, and of its one block.
            format!("{},{}", RED.get(), inside.get()),
            "0".to_owned(),
        ];
        let seen: Vec<&str> = rest.split('|').collect();
        assert!(seen.iter().zip(&ours).all(|(seen, ours)| seen.starts_with(ours)), "{seen:?} {ours:?}");
        repairs += usize::from(inside == ULPFEC);
    }
    assert!(repairs > 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sent_each_number_goes_once_and_repair_is_right(
        group in 0..60_usize,
        frames in prop::collection::vec((1..9000_usize, 0..12_usize), 1..30),
        lost in any::<prop::sample::Index>(),
    ) {
        let mut alice = support::rtp("alice", 21);
        let id = alice.add_sender(sender(group)).unwrap();
        let mut all: Vec<Vec<u8>> = Vec::new();
        for (at, (len, leave)) in (0..).zip(frames) {
            send(&mut alice, id, at, len);
            let mut memory = [0; 1500];
            for _ in 0..leave {
                let mut out = Writer::new(&mut memory);
                if alice.poll_rtp(epoch(), &mut out) {
                    all.push(out.written().to_vec());
                }
            }
        }
        all.extend(drain(&mut alice, epoch(), 1500));
        let first = number(&all[0]);
        for (at, bytes) in (0..).zip(&all) {
            prop_assert_eq!(number(bytes), first.wrapping_add(at));
        }
        for repair in all.iter().filter(|bytes| is_repair(bytes)) {
            let numbers = protected(repair);
            let group: Vec<Vec<u8>> =
                all.iter().filter(|it| numbers.contains(&number(it))).map(|it| unwrapped(it)).collect();
            let lost = lost.index(group.len());
            prop_assert_eq!(&recover(&group, lost, repair), &group[lost]);
        }
    }
}

/// What a frame becomes where the configuration is changed so.
fn sent_with(change: impl FnOnce(&mut SenderConfig)) -> Vec<Vec<u8>> {
    let mut config = sender(5);
    change(&mut config);
    let mut alice = support::rtp("alice", 22);
    let id = alice.add_sender(config).unwrap();
    send(&mut alice, id, 0, 5000);
    drain(&mut alice, epoch(), 1500)
}

#[test]
fn red_without_repair_and_repair_without_red() {
    let sent = sent_with(|config| config.fec = None);
    assert!(sent.len() >= 5 && sent.iter().all(|bytes| block(bytes).0 == MEDIA.get()));
    let sent = sent_with(|config| config.red = None);
    assert!(sent.len() >= 5 && sent.iter().all(|bytes| header(bytes).payload_type == MEDIA));
    // FlexFEC protects what is sent as it is.
    let format = fec::Format::Flex03;
    let sent = sent_with(|config| config.fec = Some(FecConfig { format, payload_type: ULPFEC, group: 5 }));
    assert!(sent.len() > 5 && sent.iter().all(|bytes| header(bytes).payload_type != RED));
}

#[test]
fn what_went_inside_of_red_does_not_go_again_without_it() {
    let mut config = sender(5);
    config.rtx = None;
    let mut alice = support::rtp("alice", 16);
    let id = alice.add_sender(config).unwrap();
    // Half of it may be sent again.
    send(&mut alice, id, 0, 9000);
    let sent = drain(&mut alice, epoch(), 1500);
    let first = header(&sent[0]);
    assert_eq!(first.payload_type, RED);
    nack(&mut alice, epoch(), first.ssrc, &[first.sequence_number.0]);
    assert_eq!(drain(&mut alice, epoch(), 1500), [sent[0].clone()], "as it was");
    alice.sender(id).unwrap().set_repair(None, None);
    let now = epoch() + Duration::from_secs(1);
    nack(&mut alice, now, first.ssrc, &[first.sequence_number.0]);
    assert!(drain(&mut alice, now, 1500).is_empty());
    assert_eq!(alice.sender(id).unwrap().stats(0).unwrap().refused, 1);
}
