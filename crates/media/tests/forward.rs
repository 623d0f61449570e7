//! A forwarder between a sender and receivers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use media::{
    Codec, EncodingConfig, FecConfig, OutgoingFrame, Output, Received, Rtp, SendError, SenderId,
    SharedPackets, StreamId, TransportFeedback,
};
use proto::{Ecn, Instant, Writer};
use rtp::payload::{PictureId, vp8};
use rtp::rtcp::{Compound, Packet as Rtcp, PacketStatus};
use rtp::{Packet, PacketMut, Rid, is_rtcp};
use support::{Call, clock, extensions, rtp, video_receiver, video_sender, vp8};
use testkit::{Link, epoch};

struct Forwarder {
    alice: Rtp,
    sending: SenderId,
    middle: Rtp,
    onward: SenderId,
    now: Instant,
    /// Which stream is forwarded.
    chosen: StreamId,
    /// What leaves it.
    out: Vec<Vec<u8>>,
}

impl Forwarder {
    fn new() -> Self {
        let (mut alice, mut middle) = (rtp("alice", 1), rtp("middle", 2));
        let mut config = video_sender();
        config.encodings =
            [b"h", b"l"].iter().map(|name| EncodingConfig::named(Rid::new(*name).unwrap())).collect();
        let sending = alice.add_sender(config).unwrap();
        let mut config = video_receiver();
        config.output = Output::Packets;
        middle.add_receiver(config).unwrap();
        let mut config = video_sender();
        // The onward peer knows extensions by other numbers.
        config.extensions = rtp::extension::ExtensionMap::default();
        config.extensions.set(9, rtp::extension::Kind::AbsSendTime).unwrap();
        config.extensions.set(10, rtp::extension::Kind::Mid).unwrap();
        config.extensions.set(11, rtp::extension::Kind::TransportSequence).unwrap();
        let onward = middle.add_sender(config).unwrap();
        let chosen = StreamId(0);
        Self { alice, sending, middle, onward, now: epoch(), chosen, out: Vec::new() }
    }

    /// Sends a frame of both layers, and forwards the chosen one's. `drop`: which of its packets are lost before.
    fn frame(&mut self, number: u32, drop: impl Fn(usize) -> bool) {
        for encoding in 0..2 {
            let bytes = vp8(number, number == 0, 3000);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
            self.alice.sender(self.sending).unwrap().send_frame(self.now, encoding, &frame).unwrap();
        }
        let mut count = 0;
        loop {
            let mut memory = [0; 1500];
            let mut out = Writer::new(&mut memory);
            if !self.alice.poll_rtp(self.now, &mut out) {
                break;
            }
            let len = out.len();
            count += 1;
            if drop(count) {
                continue;
            }
            let packet = PacketMut::decode(&mut memory, len).unwrap();
            let (_, received) = self.middle.handle_rtp(self.now, None, packet).unwrap();
            let Received::Packet { stream, number, mut packet } = received else { continue };
            if stream != self.chosen {
                continue;
            }
            let source = (stream.0, number);
            self.middle.forward(self.now, self.onward, 0, source, &mut packet, &extensions()).unwrap();
            self.out.push(packet.bytes().to_vec());
        }
        self.now += Duration::from_millis(33);
    }
}

/// The packets of a sender in their order.
fn drain(rtp: &mut Rtp, now: Instant) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    loop {
        let mut memory = [0; 1500];
        let mut out = Writer::new(&mut memory);
        if !rtp.poll_rtp(now, &mut out) {
            return packets;
        }
        packets.push(out.written().to_vec());
    }
}

#[test]
fn what_waits_is_the_same_as_what_goes_at_once_and_keeps_no_names_of_others() {
    // A contributing source, a name of theirs, time, a level that is not agreed on here; VP8 with a picture.
    let packet = |number: u8| {
        let mut packet = vec![0xb1, 0xe0, 0, number, 0, 0, 0, number, 1, 2, 3, 4, 9, 9, 9, 9];
        packet.extend([0xbe, 0xde, 0, 3, 0x10, b'7', 0x22, 1, 2, 3, 0x40, 5, 0, 0, 0, 0]);
        packet.extend([0x90, 0x80, 0x80, number, 1, 2, 3, 4, 0, 0, 3]);
        packet
    };
    let mut theirs = rtp::extension::ExtensionMap::default();
    theirs.set(1, rtp::extension::Kind::Mid).unwrap();
    theirs.set(2, rtp::extension::Kind::AbsSendTime).unwrap();
    theirs.set(4, rtp::extension::Kind::VideoOrientation).unwrap();
    let mut config = video_sender();
    config.extensions = rtp::extension::ExtensionMap::default();
    config.extensions.set(9, rtp::extension::Kind::AbsSendTime).unwrap();
    config.extensions.set(10, rtp::extension::Kind::Mid).unwrap();
    config.extensions.set(12, rtp::extension::Kind::VideoOrientation).unwrap();
    config.mid = None;
    let [mut at_once, mut waiting] = [rtp("middle", 2), rtp("middle", 2)];
    let ids = [&mut at_once, &mut waiting].map(|rtp| rtp.add_sender(config.clone()).unwrap());
    let now = epoch();
    let mut packets = SharedPackets::default();
    for number in 1..5 {
        let mut memory = packet(number);
        let len = memory.len();
        memory.resize(len + 64, 0);
        let mut changed = PacketMut::decode(&mut memory, len).unwrap();
        at_once.forward(now, ids[0], 0, (7, number.into()), &mut changed, &theirs).unwrap();
        let sender = waiting.sender(ids[1]).unwrap();
        let packet = packets.share(&packet(number), &theirs).unwrap();
        sender.write_rtp(now, 0, (7, number.into()), &packet).unwrap();
        let sent = drain(&mut waiting, now);
        let (one, other) = (changed.as_packet(), Packet::decode(&sent[0]).unwrap());
        assert_eq!((one.header(), one.payload(), one.padding()), (other.header(), other.payload(), 3));
        assert!(one.csrcs().eq(other.csrcs()) && other.csrcs().len() == 1);
        for id in 1..15 {
            assert_eq!(one.element(id), other.element(id), "element {id}");
        }
        assert_eq!((other.element(12), other.element(9).map(<[u8]>::len)), (Some(&[5][..]), Some(3)));
        assert_eq!(other.element(10), None, "a section of theirs is none of ours");
    }
}

/// What of a source goes on in which frame, by its dependency descriptor: at once, or after it has waited.
fn frames_forwarded(waits: bool, packets_of: &[(u32, u64, u16)]) -> Vec<u16> {
    let mut theirs = rtp::extension::ExtensionMap::default();
    theirs.set(4, rtp::extension::Kind::DependencyDescriptor).unwrap();
    let mut config = video_sender();
    config.extensions.set(12, rtp::extension::Kind::DependencyDescriptor).unwrap();
    let (mut middle, mut packets) = (rtp("middle", 2), SharedPackets::default());
    let id = middle.add_sender(config).unwrap();
    let forward = |(source, number, frame): &(u32, u64, u16)| {
        let (now, [high, low]) = (epoch(), frame.to_be_bytes());
        let mut bytes = vec![0x90, 96, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 0xbe, 0xde, 0, 2];
        bytes.extend([0x43, 0xc5, high, low, 0x7f, 0, 0, 0, 0x10, 1, 2, 3]);
        let sent = if waits {
            let packet = packets.share(&bytes, &theirs).unwrap();
            middle.sender(id).unwrap().write_rtp(now, 0, (*source, *number), &packet).unwrap();
            drain(&mut middle, now).remove(0)
        } else {
            let len = bytes.len();
            bytes.resize(len + 64, 0);
            let mut packet = PacketMut::decode(&mut bytes, len).unwrap();
            middle.forward(now, id, 0, (*source, *number), &mut packet, &theirs).unwrap();
            packet.bytes().to_vec()
        };
        let Some([0xc5, high, low, 0x7f]) = Packet::decode(&sent).unwrap().element(12) else {
            panic!("{sent:?}")
        };
        u16::from_be_bytes([*high, *low])
    };
    packets_of.iter().map(forward).collect()
}

/// AV1 RTP specification, appendix A.8.1: numbers of frames rise. libwebrtc drops key frames with lower ones.
#[test]
fn frames_are_counted_on_when_another_source_takes_over() {
    for waits in [false, true] {
        let of = |packets: &[(u32, u64, u16)]| frames_forwarded(waits, packets);
        assert_eq!(of(&[(1, 7, 5000), (1, 8, 5001), (1, 9, 5001)]), [5000, 5001, 5001]);
        let switched =
            [(1, 7, 5000), (1, 9, 5002), (2, 3, 300), (2, 5, 301), (2, 4, 300), (3, 1, 0xffff), (3, 2, 0)];
        assert_eq!(of(&switched), [5000, 5002, 5003, 5004, 5003, 5005, 5006], "{waits}");
        assert_eq!(of(&[(1, 7, 0xffff), (2, 1, 9), (1, 8, 0xffff)]), [0xffff, 0, 1], "{waits}");
    }
}

fn picture(packet: &Packet<'_>) -> u16 {
    vp8::Descriptor::decode(packet.payload()).unwrap().0.picture_id.map(PictureId::value).unwrap()
}

#[test]
fn layers_are_switched_without_a_gap_in_numbers_times_and_pictures() {
    let mut forwarder = Forwarder::new();
    for number in 0..60 {
        forwarder.chosen = StreamId(u32::from(number % 20 >= 10));
        forwarder.frame(number, |_| false);
    }
    let packets: Vec<Packet<'_>> = forwarder.out.iter().map(|bytes| Packet::decode(bytes).unwrap()).collect();
    assert!(packets.len() >= 180);
    let ssrc = packets[0].header().ssrc;
    for pair in packets.windows(2) {
        let (before, after) = (pair[0].header(), pair[1].header());
        assert_eq!(after.ssrc, ssrc);
        assert_eq!(after.sequence_number, before.sequence_number.next());
        let ticks = after.timestamp.distance(before.timestamp);
        let step = i32::from(picture(&pair[1]).wrapping_sub(picture(&pair[0])) & 0x7fff);
        assert_eq!(step, i32::from(ticks > 0), "a picture has one time");
        // 33 ms of the clock here, or what the sender says: 3,000 ticks.
        assert!(ticks == 0 || (2970..=3000).contains(&ticks), "{ticks}");
        assert_eq!(pair[1].element(9).map(<[u8]>::len), Some(3));
        assert!(pair[1].element(4).is_none(), "what the onward peer does not know is left out");
    }
    let transport: Vec<u16> =
        packets.iter().map(|it| u16::from_be_bytes(it.element(11).unwrap().try_into().unwrap())).collect();
    assert!(transport.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
}

#[test]
fn losses_before_the_forwarder_are_gaps_behind_it_and_it_answers_for_what_it_has() {
    let mut forwarder = Forwarder::new();
    (0..30).for_each(|number| forwarder.frame(number, |count| number == 20 && count == 1));
    let numbers: Vec<u16> =
        forwarder.out.iter().map(|bytes| Packet::decode(bytes).unwrap().header().sequence_number.0).collect();
    let gaps = numbers.windows(2).filter(|pair| pair[1] != pair[0].wrapping_add(1));
    assert_eq!(gaps.count(), 1);
    // A receiver asks for the fifth.
    let ssrc = Packet::decode(&forwarder.out[4]).unwrap().header().ssrc;
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    let lost = [rtp::SequenceNumber(numbers[4])];
    rtp::rtcp::Encoder::new(&mut out).nack(rtp::Ssrc(9), ssrc, lost).unwrap();
    let now = forwarder.now;
    forwarder.middle.handle_rtcp(now, out.written()).unwrap();
    out.truncate(0);
    assert!(forwarder.middle.poll_rtp(now, &mut out));
    let len = out.len();
    let mut packet = PacketMut::decode(out.written_mut(0), len).unwrap();
    assert_eq!(packet.as_packet().header().payload_type.get(), 97);
    let original = rtp::rtx::Stream { ssrc, payload_type: support::pt(96) };
    assert_eq!(rtp::rtx::unwrap(&mut packet, original).unwrap().0, numbers[4]);
    let sent = Packet::decode(&forwarder.out[4]).unwrap();
    assert_eq!(packet.as_packet().payload(), sent.payload());
}

/// Feedback of Bob's on what Alice sends.
fn feedback(kind: TransportFeedback, loss: f64) -> (Call, Vec<Vec<u8>>) {
    let mut call = Call::new(&Link { delay: Duration::from_millis(20), loss, ..Link::default() }, 40);
    call.bob.set_feedback(true, kind);
    let video = call.alice.add_sender(video_sender()).unwrap();
    call.bob.add_receiver(video_receiver()).unwrap();
    call.video(video, 0, 300, 5000);
    let datagrams = call.rtcp.iter().filter(|(_, is_alice, _)| !is_alice);
    let datagrams = datagrams.map(|(_, _, bytes)| bytes.clone()).collect();
    (call, datagrams)
}

#[test]
fn transport_wide_feedback_tells_of_every_packet_when_it_came() {
    let (call, datagrams) = feedback(TransportFeedback::TransportWide, 0.05);
    let (mut told, mut at) = (0, i64::MIN);
    for datagram in &datagrams {
        for packet in Compound::decode(datagram).unwrap().packets() {
            let Ok(Rtcp::TransportCc(feedback)) = packet else { continue };
            for (sequence, ticks) in feedback.received() {
                let sent = call.alice.sent().by_transport(sequence).unwrap();
                let left = i64::try_from(sent.at.as_nanos() / 250_000).unwrap();
                // The link takes 20 ms: 80 ticks. The reference wraps after 12 days, and this begins at its begin.
                assert!((79..=81).contains(&(ticks - left)), "{ticks} {left}");
                at = at.max(ticks);
                told += 1;
            }
        }
    }
    let sent = call.alice.sent().iter().count();
    assert!(told * 100 > sent * 92 && told < sent, "{told} of {sent}");
}

#[test]
fn feedback_on_streams_tells_of_every_packet_with_its_mark() {
    let (call, datagrams) = feedback(TransportFeedback::Streams, 0.05);
    let (mut came, mut lost) = (0, 0);
    for datagram in &datagrams {
        for packet in Compound::decode(datagram).unwrap().packets() {
            let Ok(Rtcp::CongestionControl(feedback)) = packet else { continue };
            for stream in feedback.streams() {
                for (sequence, status) in stream.packets() {
                    assert!(call.alice.sent().by_stream(stream.ssrc, sequence).is_some());
                    match status {
                        PacketStatus::Lost => lost += 1,
                        PacketStatus::Received { ecn, offset } => {
                            assert!(ecn.is_none() && offset.unwrap() <= 110);
                            came += 1;
                        }
                    }
                }
            }
        }
    }
    let sent = call.alice.sent().iter().count();
    assert!(came * 100 > sent * 92 && lost > 20 && came + lost <= sent, "{came} and {lost} of {sent}");
    assert_ne!(Ecn::Ce, Ecn::Ect0);
}

#[test]
fn rtcp_stays_within_its_share_and_every_full_datagram_has_report_and_name() {
    let (call, datagrams) = feedback(TransportFeedback::TransportWide, 0.02);
    let bytes: usize = datagrams.iter().map(|datagram| datagram.len() + 28).sum();
    // 5 % of 3 Mbit/s in ten seconds, and what may be saved up.
    assert!(bytes < 10 * 18_750 + 18_750, "{bytes}");
    let mut full = 0;
    for (_, is_alice, datagram) in &call.rtcp {
        assert!(is_rtcp(datagram) && datagram.len() <= 1170);
        let compound = Compound::decode(datagram).unwrap();
        let packets: Vec<Rtcp<'_>> = compound.packets().map(Result::unwrap).collect();
        if compound.is_reduced_size() {
            continue;
        }
        full += 1;
        assert!(matches!(packets[0], Rtcp::SenderReport(_) | Rtcp::ReceiverReport(_)));
        let Rtcp::SourceDescription(description) = packets[1] else { panic!("{packets:?}") };
        let names: Vec<&[u8]> =
            description.chunks().filter_map(|chunk| description.cname(chunk.ssrc)).collect();
        assert_eq!(names, [if *is_alice { &b"alice"[..] } else { b"bob" }]);
    }
    assert!(full >= 15, "{full}");
}

#[test]
fn who_does_not_agree_to_less_gets_full_datagrams_alone() {
    let mut call = Call::new(&Link { delay: Duration::from_millis(20), loss: 0.05, ..Link::default() }, 50);
    call.bob.set_feedback(false, TransportFeedback::TransportWide);
    let video = call.alice.add_sender(video_sender()).unwrap();
    call.bob.add_receiver(video_receiver()).unwrap();
    call.video(video, 0, 150, 5000);
    let mut nacks = 0;
    for (_, is_alice, datagram) in &call.rtcp {
        let compound = Compound::decode(datagram).unwrap();
        assert!(*is_alice || !compound.is_reduced_size());
        nacks += compound.packets().filter(|packet| matches!(packet, Ok(Rtcp::Nack(_)))).count();
    }
    assert!(nacks > 10);
}

#[test]
fn who_only_receives_learns_the_round_trip_by_extended_reports() {
    let mut call = Call::new(&Link { delay: Duration::from_millis(40), ..Link::default() }, 60);
    let video = call.alice.add_sender(video_sender()).unwrap();
    call.bob.add_receiver(video_receiver()).unwrap();
    call.video(video, 0, 150, 2000);
    let trip = call.bob.stats().round_trip.unwrap();
    assert!((80..83).contains(&trip.as_millis()), "{trip:?}");
    assert!(clock().ntp(call.now) > clock().ntp(epoch()));
}

#[test]
fn equal_seeds_and_inputs_give_equal_bytes_and_refused_packets_change_nothing() {
    let run = |disturb: bool| {
        let mut call =
            Call::new(&Link { delay: Duration::from_millis(20), loss: 0.03, ..Link::default() }, 70);
        let video = call.alice.add_sender(video_sender()).unwrap();
        let receiver = call.bob.add_receiver(video_receiver()).unwrap();
        for part in 0..30 {
            call.video(video, part * 10, 10, 3000);
            if disturb {
                // Of no section; of a payload type that nobody knows; of nobody's retransmissions.
                let junk: [&[u8]; 3] = [
                    b"\x90\x60\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44\xbe\xde\x00\x01\x10\x39\x00\x00data",
                    b"\x80\x05\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44data",
                    b"\x80\x05\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x45",
                ];
                for bytes in junk {
                    let mut bytes = bytes.to_vec();
                    let len = bytes.len();
                    let packet = PacketMut::decode(&mut bytes, len).unwrap();
                    assert!(call.bob.handle_rtp(call.now, None, packet).is_err());
                }
            }
        }
        let bytes: Vec<u8> = call.rtcp.iter().flat_map(|(_, _, bytes)| bytes.clone()).collect();
        (bytes, call.out[receiver.0].clone(), call.rtp_bytes)
    };
    let plain = run(false);
    assert_eq!(plain, run(false));
    assert_eq!(plain, run(true));
}

#[test]
fn packets_with_as_much_padding_as_there_can_be_go_on() {
    let mut packet = vec![0xa0, 0x60, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 0x10, 1, 2, 3];
    packet.extend([0; 254]);
    packet.push(255);
    for mid in [rtp::Mid::new(b"a-name-of-16-chr"), None] {
        let mut config = video_sender();
        config.mid = mid;
        let mut rtp = rtp("middle", 2);
        let id = rtp.add_sender(config).unwrap();
        let shared = SharedPackets::default().share(&packet, &extensions()).unwrap();
        rtp.sender(id).unwrap().write_rtp(epoch(), 0, (7, 1), &shared).unwrap();
        let sent = drain(&mut rtp, epoch());
        let sent = Packet::decode(&sent[0]).unwrap();
        assert_eq!((sent.payload(), sent.padding()), (&[0x10, 1, 2, 3][..], 255));
    }
}

/// An empty packet stands for what was left out too late: its number is not given out again, however late that comes after all.
#[test]
fn the_number_of_an_empty_packet_is_nobody_elses() {
    let mut forwarder = rtp("forwarder", 9);
    let id = forwarder.add_sender(video_sender()).unwrap();
    let (mut packets, mut now) = (SharedPackets::default(), epoch());
    let mut write = |forwarder: &mut Rtp, now, number: u16| {
        let [high, low] = number.to_be_bytes();
        let bytes = [0x80, 96, high, low, 0, 0, high, low, 0, 0, 0, 5, 0x10, 1, 2, 3];
        let packet = packets.share(&bytes, &extensions()).unwrap();
        forwarder.sender(id).unwrap().write_rtp(now, 0, (1, number.into()), &packet)
    };
    for number in [500, 502] {
        write(&mut forwarder, now, number).unwrap();
        assert_eq!(drain(&mut forwarder, now).len(), 1);
    }
    forwarder.sender(id).unwrap().omit_rtp(now, 0, (1, 501));
    let empty = drain(&mut forwarder, now);
    assert_eq!(empty.iter().map(|bytes| Packet::decode(bytes).unwrap().payload().len()).sum::<usize>(), 0);
    assert_eq!(empty.len(), 1);
    // Until nothing else remembers it.
    now += Duration::from_secs(5);
    write(&mut forwarder, now, 503).unwrap();
    drain(&mut forwarder, now);
    forwarder.handle_timeout(now);
    assert_eq!(write(&mut forwarder, now, 501), Err(SendError::Late));
}

/// The newest packet of a stream, which somebody asks for.
fn ask_again(rtp: &mut Rtp, now: Instant, sent: &Packet<'_>) -> Vec<u8> {
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    let lost = [sent.header().sequence_number];
    rtp::rtcp::Encoder::new(&mut out).nack(rtp::Ssrc(9), sent.header().ssrc, lost).unwrap();
    rtp.handle_rtcp(now, out.written()).unwrap();
    let mut again = drain(rtp, now);
    assert_eq!(again.len(), 1);
    again.remove(0)
}

#[test]
fn what_is_sent_again_without_a_format_of_its_own_is_what_it_was_to_the_last_bit() {
    let mut config = video_sender();
    config.rtx = None;
    let mut rtp = rtp("middle", 2);
    let id = rtp.add_sender(config).unwrap();
    let mut now = epoch();
    let mut sent = Vec::new();
    for number in 0..4 {
        let bytes = vp8(number, number == 0, 3000);
        let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
        rtp.sender(id).unwrap().send_frame(now, 0, &frame).unwrap();
        sent.extend(drain(&mut rtp, now));
        now += Duration::from_millis(30);
    }
    let next = rtp.sent().next();
    let asked = sent[4].clone();
    assert_eq!(ask_again(&mut rtp, now, &Packet::decode(&asked).unwrap()), asked);
    assert_eq!(rtp.sent().next(), next, "it keeps its place on the transport");
    let place = u16::from_be_bytes(Packet::decode(&asked).unwrap().element(5).unwrap().try_into().unwrap());
    let logged = rtp.sent().by_transport(rtp::SequenceNumber(place)).unwrap();
    assert_eq!(logged.told, media::Told::Arrived, "which of the two has arrived cannot be told");
}

#[test]
fn packets_whose_payload_is_shared_are_each_streams_own_and_are_repaired() {
    let packet = |number: u8, codec: Codec| {
        let mut packet = vec![0x80, 0x60, 0, number, 0, 0, 0, number, 1, 2, 3, 4];
        if codec == Codec::Vp8 {
            packet.extend([0x90, 0xe0, 0x80, number, number, 0x20]);
        } else if codec == Codec::Vp9 {
            // With a picture, a layer, and for every second packet a structure.
            let has_structure = number.is_multiple_of(2);
            packet.extend([if has_structure { 0xae } else { 0xac }, 0x80, number, 0, number]);
            packet.extend(has_structure.then_some([0, 0]).into_iter().flatten());
        }
        packet.extend((0..200).map(|at| number.wrapping_add(at)));
        packet
    };
    for (codec, fec) in [(Codec::Vp8, false), (Codec::Vp9, false), (Codec::H264, false), (Codec::Vp8, true)] {
        let mut shared = SharedPackets::default();
        let mut viewers: Vec<(Rtp, SenderId, Vec<Vec<u8>>)> = Vec::new();
        for seed in 2..4 {
            let mut config = video_sender();
            (config.codec, config.mid) = (codec, None);
            let (format, payload_type) = (rtp::fec::Format::Flex03, support::pt(98));
            config.fec = fec.then_some(FecConfig { format, payload_type, group: 4 });
            let mut rtp = rtp("middle", seed);
            let id = rtp.add_sender(config).unwrap();
            viewers.push((rtp, id, Vec::new()));
        }
        let now = epoch();
        for number in 1..9 {
            let bytes = packet(number, codec);
            let packet = shared.share(&bytes, &rtp::extension::ExtensionMap::default()).unwrap();
            for (at, (rtp, id, sent)) in viewers.iter_mut().enumerate() {
                // The second one has had another source before, so that its numbers and pictures are others.
                if number == 1 && at == 1 {
                    rtp.sender(*id).unwrap().write_rtp(now, 0, (1, 0), &packet).unwrap();
                    drain(rtp, now);
                }
                rtp.sender(*id).unwrap().write_rtp(now, 0, (7, number.into()), &packet).unwrap();
                sent.extend(drain(rtp, now).into_iter().filter(|it| it[1] & 0x7f == 96));
            }
            assert_eq!(packet.bytes(), bytes, "what all share is not written to");
        }
        for (at, (rtp, id, sent)) in viewers.iter_mut().enumerate() {
            assert_eq!(sent.len(), 8);
            let repairs = rtp.sender(*id).unwrap().stats(0).unwrap().repairs;
            assert_eq!(repairs, if fec { 2 } else { 0 }, "each group of four");
            for (number, sent) in (1..).zip(sent.iter()) {
                let (sent, came) = (Packet::decode(sent).unwrap(), packet(number, codec));
                let came = Packet::decode(&came).unwrap();
                // Of each descriptor the second to fifth byte are numbers.
                assert_eq!(sent.payload()[6..], came.payload()[6..]);
                let is_changed = sent.payload()[..6] != came.payload()[..6];
                assert_eq!(is_changed, at == 1 && codec != Codec::H264, "{codec:?} {number}");
                // Half of what was sent may be sent again.
                if number > 3 {
                    continue;
                }
                let again = ask_again(rtp, now, &sent);
                let mut memory = again.clone();
                let mut again = PacketMut::decode(&mut memory, again.len()).unwrap();
                let original = rtp::rtx::Stream { ssrc: sent.header().ssrc, payload_type: support::pt(96) };
                rtp::rtx::unwrap(&mut again, original).unwrap();
                assert_eq!(
                    (again.as_packet().header(), again.as_packet().payload()),
                    (sent.header(), sent.payload())
                );
            }
        }
    }
}

#[test]
fn streams_with_the_longest_names_are_sent_forwarded_repaired_and_sent_again() {
    let mut config = video_sender();
    let name = [b'n'; Rid::MAX_LEN];
    (config.mid, config.encodings) =
        (rtp::Mid::new(&name), vec![EncodingConfig::named(Rid::new(&name).unwrap())]);
    let (format, payload_type) = (rtp::fec::Format::Flex03, support::pt(98));
    config.fec = Some(FecConfig { format, payload_type, group: 2 });
    let mut rtp = rtp("middle", 2);
    let id = rtp.add_sender(config).unwrap();
    let bytes = vp8(0, true, 3000);
    let frame = OutgoingFrame { bytes: &bytes, ..OutgoingFrame::default() };
    rtp.sender(id).unwrap().send_frame(epoch(), 0, &frame).unwrap();
    let packet = [0x80, 0x60, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 0x10, 1, 2, 3];
    let shared = SharedPackets::default().share(&packet, &extensions()).unwrap();
    rtp.sender(id).unwrap().write_rtp(epoch(), 0, (7, 1), &shared).unwrap();
    let sent = drain(&mut rtp, epoch());
    let sent: Vec<Packet<'_>> = sent.iter().map(|bytes| Packet::decode(bytes).unwrap()).collect();
    assert!(sent.iter().all(|packet| packet.element(1) == Some(&name[..])), "each names its section");
    let media: Vec<&Packet<'_>> = sent.iter().filter(|it| it.header().payload_type.get() == 96).collect();
    assert!(media.len() == 5 && media.iter().all(|packet| packet.element(2) == Some(&name[..])));
    assert!(sent.len() > media.len(), "there is repair");
    let again = ask_again(&mut rtp, epoch(), media[0]);
    assert_eq!(Packet::decode(&again).unwrap().element(3), Some(&name[..]), "it names what it repeats");
}
