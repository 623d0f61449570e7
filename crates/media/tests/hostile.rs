//! What peers may do wrong, and what it may cost.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use media::{
    BandwidthEstimator, ControlConfig, Event, PacketResult, Probe, Rtp, RtpConfig, SenderEvent, SentPacket,
    Stop,
};
use proptest::prelude::*;
use proto::{Instant, NoSpace, Writer};
use rtp::rtcp::{Arrived, Compound, Encoder, FirEntry, MaxBitrate, Packet, ReportBlock, TransportFeedback};
use rtp::{PacketMut, SequenceNumber, Ssrc};
use support::{Call, audio_receiver, rtp, video_receiver, video_sender};
use testkit::{Link, epoch};

fn near() -> Link {
    Link { delay: Duration::from_millis(1), ..Link::default() }
}

fn rtcp(write: impl FnOnce(&mut Encoder<'_, '_>) -> Result<(), NoSpace>) -> Vec<u8> {
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    write(&mut Encoder::new(&mut out)).unwrap();
    out.written().to_vec()
}

#[test]
fn r5_a_flood_of_nacks_makes_us_send_half_as_much_again_and_no_more() {
    let mut call = Call::new(&near(), 1);
    let sender = call.alice.add_sender(video_sender()).unwrap();
    let ssrc = call.alice.sender(sender).unwrap().sources().next().unwrap().1;
    let mut sent = 0;
    for round in 0..100 {
        call.video(sender, round, 1, 5000);
        let stats = call.alice.sender(sender).unwrap().stats(0).unwrap();
        // All of the last 500 packets, ten times a frame.
        for _ in 0..10 {
            let newest = u16::try_from(stats.packets % 65_536).unwrap();
            let flood = rtcp(|out| {
                let from = SequenceNumber(newest).wrapping_add(u16::MAX - 500);
                out.nack(Ssrc(9), ssrc, (0..32_768).step_by(1).map(|n| from.wrapping_add(n))).map(drop)
            });
            call.alice.handle_rtcp(call.now, &flood).unwrap();
            // And whatever the numbers are: these are asked for by what was really sent.
            let all: Vec<SequenceNumber> = call.alice.sent().iter().map(|sent| sent.sequence).collect();
            for part in all.chunks(700) {
                let bytes = rtcp(|out| {
                    let mut numbers: Vec<SequenceNumber> = part.to_vec();
                    numbers.sort_by_key(|number| number.0);
                    out.nack(Ssrc(9), ssrc, numbers).map(drop)
                });
                call.alice.handle_rtcp(call.now, &bytes).unwrap();
            }
            call.exchange();
        }
        sent = stats.bytes;
    }
    let stats = call.alice.sender(sender).unwrap().stats(0).unwrap();
    let (again, media) = (stats.retransmitted_bytes, stats.bytes - stats.retransmitted_bytes);
    println!("{media} bytes, {again} of them again; {} refused", stats.refused);
    assert!(again > media / 4, "the budget is used: {again} of {media}");
    assert!(again * 2 <= media * 103 / 100, "headers are not counted here: {again} of {media}");
    assert!(stats.refused > 3000 && sent > 0);
}

#[test]
fn r5_a_flood_of_plis_and_firs_wants_a_key_frame_once_in_half_a_second() {
    let mut call = Call::new(&near(), 2);
    let sender = call.alice.add_sender(video_sender()).unwrap();
    let ssrc = call.alice.sender(sender).unwrap().sources().next().unwrap().1;
    let mut wanted = Vec::new();
    for step in 0..5000_u64 {
        let now = epoch() + Duration::from_millis(step);
        let sequence = u8::try_from(step % 256).unwrap();
        let pli = rtcp(|out| {
            out.pli(Ssrc(9), ssrc)?;
            out.fir(Ssrc(9), [FirEntry { ssrc, sequence }])
        });
        call.alice.handle_rtcp(now, &pli).unwrap();
        while let Some(event) = call.alice.poll_event(now) {
            assert_eq!(event, Event::Sender(sender, SenderEvent::KeyFrameWanted { encoding: 0 }));
            wanted.push(now);
        }
    }
    assert_eq!(wanted.len(), 10);
    assert!(wanted.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(500)));
}

#[test]
fn a_fir_that_is_repeated_is_one_request() {
    let mut call = Call::new(&near(), 3);
    let sender = call.alice.add_sender(video_sender()).unwrap();
    let ssrc = call.alice.sender(sender).unwrap().sources().next().unwrap().1;
    let mut count = 0;
    for (step, sequence) in [(0, 7), (1000, 7), (2000, 7), (3000, 8)] {
        let now = epoch() + Duration::from_millis(step);
        let fir = rtcp(|out| out.fir(Ssrc(9), [FirEntry { ssrc, sequence }]));
        call.alice.handle_rtcp(now, &fir).unwrap();
        count += std::iter::from_fn(|| call.alice.poll_event(now)).count();
    }
    assert_eq!(count, 2);
}

#[test]
fn r5_bitrates_that_peers_ask_for_are_clamped_and_tmmbr_is_answered() {
    let mut call = Call::new(&near(), 4);
    let sender = call.alice.add_sender(video_sender()).unwrap();
    let ssrc = call.alice.sender(sender).unwrap().sources().next().unwrap().1;
    for (bitrate, limit) in [(0, 10_000), (1 << 63, 1_000_000_000), (500_000, 500_000)] {
        let remb = rtcp(|out| out.remb(Ssrc(9), bitrate, [ssrc]));
        call.alice.handle_rtcp(call.now, &remb).unwrap();
        let event = call.alice.poll_event(call.now);
        assert_eq!(event, Some(Event::Sender(sender, SenderEvent::BitrateLimit(limit))));
        assert_eq!(call.alice.poll_event(call.now), None);
    }
    // Of streams that are not ours nothing is said.
    let other = rtcp(|out| out.remb(Ssrc(9), 1, [Ssrc(1)]));
    call.alice.handle_rtcp(call.now, &other).unwrap();
    assert_eq!(call.alice.sender(sender).unwrap().bitrate_limit(), Some(500_000));
    for owner in 20..26 {
        let limit = MaxBitrate { ssrc, bitrate: 400_000 - 1000 * u64::from(owner), overhead: 40 };
        let tmmbr = rtcp(|out| out.tmmbr(Ssrc(owner), [limit]));
        call.alice.handle_rtcp(call.now, &tmmbr).unwrap();
    }
    // Four who ask are heard.
    assert_eq!(call.alice.sender(sender).unwrap().bitrate_limit(), Some(377_000));
    // Whoever asks when something is due, again and again, is told so.
    assert!((0..3).all(|_| call.alice.poll_timeout().is_some_and(|due| due <= call.now)));
    call.exchange();
    let answers: Vec<(Ssrc, u64)> = call.rtcp.iter().flat_map(|(_, _, bytes)| tmmbn(bytes)).collect();
    assert_eq!(answers, [(Ssrc(23), 377_000)]);
}

/// RFC 5104 §3.5.4.1, RFC 3550 §6.3.5: who has left or fallen silent is no member any more.
#[test]
fn bitrates_that_were_asked_for_hold_as_long_as_whoever_asked_is_there() {
    let mut config = RtpConfig::new(support::clock(), "alice");
    config.control = Some(ControlConfig::default());
    let mut alice = Rtp::new(config, [4; 32]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    alice.set_estimator(Box::new(Listening(heard.clone())));
    let sender = alice.add_sender(video_sender()).unwrap();
    let ssrc = alice.sender(sender).unwrap().sources().next().unwrap().1;
    let mut now = epoch();
    let goodbye = rtcp(|out| out.goodbye([Ssrc(9)], None));
    let limit = |bitrate| MaxBitrate { ssrc, bitrate, overhead: 40 };
    let report = |owner| rtcp(|out| out.receiver_report(Ssrc(owner), [], &[]));
    let remb = rtcp(|out| out.remb(Ssrc(9), 90_000, [ssrc]));
    let told = |alice: &mut Rtp, now| {
        let all = std::iter::from_fn(|| alice.poll_event(now));
        let all = all.filter_map(|event| {
            if let Event::Sender(_, SenderEvent::BitrateLimit(limit)) = event { Some(limit) } else { None }
        });
        all.last()
    };
    for (owner, bitrate) in [(9, 100_000), (10, 200_000)] {
        alice.handle_rtcp(now, &rtcp(|out| out.tmmbr(Ssrc(owner), [limit(bitrate)]))).unwrap();
    }
    alice.handle_rtcp(now, &remb).unwrap();
    assert_eq!(told(&mut alice, now), Some(90_000));
    alice.handle_rtcp(now, &goodbye).unwrap();
    assert_eq!(told(&mut alice, now), Some(200_000));
    alice.handle_rtcp(now, &rtcp(|out| out.remb(Ssrc(8), 300_000, [ssrc]))).unwrap();
    for _ in 0..5 {
        now += Duration::from_secs(10);
        alice.handle_rtcp(now, &report(10)).unwrap();
        alice.handle_timeout(now);
        assert_eq!(alice.sender(sender).unwrap().bitrate_limit(), Some(200_000));
    }
    now += Duration::from_secs(30);
    alice.handle_rtcp(now, &report(8)).unwrap();
    alice.handle_timeout(now);
    assert_eq!(told(&mut alice, now), Some(300_000));
    alice.handle_rtcp(now, &rtcp(|out| out.goodbye([Ssrc(7), Ssrc(8)], None))).unwrap();
    assert_eq!(told(&mut alice, now), Some(1_000_000_000), "as much as there is");
    assert_eq!(*heard.lock().unwrap(), [Some(90_000), None, Some(300_000), None]);
}

/// Hears of limits alone.
#[derive(Debug)]
struct Listening(Arc<Mutex<Vec<Option<u64>>>>);

impl BandwidthEstimator for Listening {
    fn handle_sent(&mut self, _now: Instant, _packet: &SentPacket) {}

    fn handle_feedback(&mut self, _now: Instant, _results: &[PacketResult]) {}

    fn set_remote_limit(&mut self, limit: Option<u64>) {
        self.0.lock().unwrap().push(limit);
    }

    fn set_wanted(&mut self, _bitrate: u64) {}

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll_probe(&mut self, _now: Instant) -> Option<Probe> {
        None
    }

    fn target(&self) -> u64 {
        1_000_000
    }
}

/// Some servers name no stream: it is about the path.
#[test]
fn a_remb_that_names_no_stream_is_about_all() {
    let mut config = RtpConfig::new(support::clock(), "alice");
    config.control = Some(ControlConfig::default());
    let mut alice = Rtp::new(config, [4; 32]);
    let sender = alice.add_sender(video_sender()).unwrap();
    alice.handle_rtcp(epoch(), &rtcp(|out| out.remb(Ssrc(9), 90_000, []))).unwrap();
    let limit = alice.sender(sender).unwrap().bitrate_limit();
    assert_eq!((limit, alice.target()), (Some(90_000), Some(90_000)));
}

fn tmmbn(bytes: &[u8]) -> Vec<(Ssrc, u64)> {
    let read = Compound::decode(bytes).unwrap().packets().filter_map(|packet| match packet {
        Ok(Packet::Tmmbn(it)) => Some(it.entries().map(|it| (it.ssrc, it.bitrate)).collect::<Vec<_>>()),
        Ok(_) | Err(_) => None,
    });
    read.flatten().collect()
}

/// A wish that comes too soon after another is told when it may be, also to who asks for events alone.
#[test]
fn a_second_wish_for_a_key_frame_is_told_in_its_time() {
    let mut alice = rtp("alice", 7);
    let sender = alice.add_sender(video_sender()).unwrap();
    let ssrc = alice.sender(sender).unwrap().sources().next().unwrap().1;
    let pli = rtcp(|out| out.pli(Ssrc(9), ssrc));
    let wanted = Event::Sender(sender, SenderEvent::KeyFrameWanted { encoding: 0 });
    alice.handle_rtcp(epoch(), &pli).unwrap();
    assert_eq!(alice.poll_event(epoch()), Some(wanted));
    alice.handle_rtcp(epoch(), &pli).unwrap();
    assert_eq!((alice.poll_event(epoch()), alice.poll_event(epoch())), (None, None));
    let due = alice.poll_timeout().unwrap();
    let before = epoch() + (due - epoch()) / 2;
    assert!(before > epoch());
    assert_eq!((alice.poll_event(before), alice.poll_event(due)), (None, Some(wanted)));
}

/// RFC 8083 §5: feedback without reports is a sign that somebody is there.
#[test]
fn the_circuit_breaker_hears_feedback_on_the_path() {
    for is_fed in [true, false] {
        let mut alice = rtp("alice", 6);
        let sender = alice.add_sender(video_sender()).unwrap();
        let (mut now, mut stopped, mut memory) = (epoch(), None, [0; 1500]);
        for step in 0..400_u32 {
            now += Duration::from_millis(100);
            let bytes = support::vp8(step, false, 500);
            let frame = media::OutgoingFrame { bytes: &bytes, timestamp: step * 9000, ..Default::default() };
            let _ = alice.sender(sender).unwrap().send_frame(now, 0, &frame);
            while alice.poll_rtp(now, &mut Writer::new(&mut memory)) {}
            while alice.poll_rtcp(now, &mut Writer::new(&mut memory)) {}
            if is_fed {
                let about =
                    TransportFeedback { sender: Ssrc(9), media: Ssrc(8), feedback_count: 0, base: None };
                let arrived = [Arrived { sequence: SequenceNumber(1), ticks: 1 }];
                let feedback = rtcp(|out| out.transport_cc(about, arrived.into_iter()).map(drop));
                alice.handle_rtcp(now, &feedback).unwrap();
            }
            if alice.poll_timeout().is_some_and(|due| due <= now) {
                alice.handle_timeout(now);
            }
            while let Some(event) = alice.poll_event(now) {
                if let Event::Sender(_, SenderEvent::Stopped { reason, .. }) = event {
                    stopped.get_or_insert(reason);
                }
            }
        }
        assert_eq!(stopped, (!is_fed).then_some(Stop::RtcpTimeout));
    }
}

#[test]
fn the_circuit_breaker_stops_a_stream_of_which_nothing_arrives() {
    let mut call = Call::new(&near(), 5);
    let sender = call.alice.add_sender(video_sender()).unwrap();
    let ssrc = call.alice.sender(sender).unwrap().sources().next().unwrap().1;
    let mut stopped = None;
    for second in 0..20_u32 {
        for part in 0..30 {
            let number = second * 30 + part;
            let bytes = support::vp8(number, false, 500);
            let frame =
                media::OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..Default::default() };
            let sent = call.alice.sender(sender).unwrap().send_frame(call.now, 0, &frame);
            if stopped.is_some() {
                assert_eq!(sent, Err(media::SendError::Inactive));
            }
            let end = call.now + Duration::from_millis(33);
            call.run(end);
        }
        let block = ReportBlock { ssrc, highest_sequence: 7, fraction_lost: 255, ..ReportBlock::default() };
        let report = rtcp(|out| out.receiver_report(Ssrc(9), [block], &[]));
        call.alice.handle_rtcp(call.now, &report).unwrap();
        call.exchange();
        for event in call.alice_events.drain(..) {
            if let Event::Sender(_, SenderEvent::Stopped { encoding: 0, reason }) = event {
                stopped.get_or_insert((second, reason));
            }
        }
    }
    assert_eq!(stopped, Some((5, Stop::MediaTimeout)));
    assert!(!call.alice.sender(sender).unwrap().is_active(0));
    call.alice.sender(sender).unwrap().resume(0);
    assert!(call.alice.sender(sender).unwrap().is_active(0));
}

#[test]
fn as_many_peers_are_told_their_round_trip_as_the_limit() {
    let mut call = Call::new(&near(), 6);
    call.alice.add_receiver(video_receiver()).unwrap();
    let video = call.bob.add_sender(video_sender()).unwrap();
    let frame = media::OutgoingFrame { bytes: &[0; 20], ..Default::default() };
    call.bob.sender(video).unwrap().send_frame(call.now, 0, &frame).unwrap();
    let start = call.now;
    call.run(start + Duration::from_millis(10));
    for peer in 100..117 {
        let time = rtp::NtpTime(u64::from(peer) << 32);
        let report = rtcp(|out| out.extended_report(Ssrc(peer), |xr| xr.reference_time(time)));
        call.alice.handle_rtcp(call.now, &report).unwrap();
    }
    call.run(start + Duration::from_secs(3));
    let delays = call.rtcp.iter().filter(|(_, is_alice, _)| *is_alice).flat_map(|(_, _, bytes)| dlrr(bytes));
    let told: Vec<u32> = delays.map(|ssrc| ssrc.0).filter(|ssrc| *ssrc >= 100 && *ssrc < 200).collect();
    assert_eq!(told, (100..116).collect::<Vec<u32>>());
}

fn dlrr(bytes: &[u8]) -> Vec<Ssrc> {
    let mut all = Vec::new();
    for packet in Compound::decode(bytes).unwrap().packets() {
        let Ok(Packet::ExtendedReport(report)) = packet else { continue };
        for block in report.blocks() {
            if let rtp::rtcp::XrBlock::Delays(delays) = block {
                all.extend(delays.entries().map(|delay| delay.ssrc));
            }
        }
    }
    all
}

#[test]
fn as_many_sources_say_goodbye_as_one_packet_has() {
    let mut call = Call::new(&near(), 7);
    for _ in 0..32 {
        call.alice.add_sender(video_sender()).unwrap();
    }
    call.alice.close();
    call.exchange();
    let mut gone = Vec::new();
    for (_, _, bytes) in &call.rtcp {
        for packet in Compound::decode(bytes).unwrap().packets() {
            let Ok(Packet::Goodbye(goodbye)) = packet else { continue };
            gone.extend(goodbye.sources());
        }
    }
    assert_eq!(gone.len(), 31);
}

fn packet(ssrc: u32, number: u16, payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let mut memory = [0; 300];
    let mut out = Writer::new(&mut memory);
    let header = rtp::Header {
        payload_type: support::pt(payload_type),
        sequence_number: SequenceNumber(number),
        ssrc: Ssrc(ssrc),
        ..rtp::Header::default()
    };
    rtp::Encoder::new(&mut out, header, &[]).unwrap().finish(payload, 0).unwrap();
    out.written().to_vec()
}

#[test]
fn as_many_numbers_to_be_left_out_wait_for_a_forwarder_as_the_limit() {
    let mut config = video_receiver();
    (config.output, config.probation) = (media::Output::Packets, 0);
    let mut receiver = media::Receiver::new(config);
    for number in 0..=64 {
        let mut empty = packet(5, number, 96, &[]);
        let len = empty.len();
        receiver.handle_rtp(epoch(), PacketMut::decode(&mut empty, len).unwrap()).unwrap();
    }
    let numbers: Vec<u64> =
        std::iter::from_fn(|| receiver.poll_omitted()).map(|(_, number)| number).collect();
    assert!(numbers.len() == 64 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

#[test]
fn as_many_recovered_packets_wait_for_a_forwarder_as_the_limit() {
    let mut config = video_receiver();
    (config.output, config.probation) = (media::Output::Packets, 0);
    config.formats.push((support::pt(99), media::Format::Fec(rtp::fec::Format::Flex03)));
    let mut receiver = media::Receiver::new(config);
    let mut first = packet(5, 0, 96, &[0x10, 1]);
    let len = first.len();
    receiver.handle_rtp(epoch(), PacketMut::decode(&mut first, len).unwrap()).unwrap();
    for number in 1..=65 {
        let lost = packet(5, number, 96, &[0x10, 1]);
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        rtp::fec::protect(rtp::fec::Format::Flex03, [&lost[..]].into_iter(), &mut out).unwrap();
        let mut repair = packet(6, number, 99, out.written());
        let len = repair.len();
        receiver.handle_rtp(epoch(), PacketMut::decode(&mut repair, len).unwrap()).unwrap();
    }
    assert_eq!(std::iter::from_fn(|| receiver.poll_recovered()).count(), 64);
    let stream = receiver.streams().next().unwrap();
    let stats = receiver.stats(stream).unwrap();
    assert_eq!((stats.recovered, stats.unfetched), (65, 1));
}

#[test]
fn sections_have_their_limit() {
    let mut config = RtpConfig::new(support::clock(), "x");
    config.max_sections = 2;
    let mut transport = Rtp::new(config, [0; 32]);
    for more in [true, true, false] {
        assert_eq!(transport.add_receiver(audio_receiver()).is_some(), more);
        assert_eq!(transport.add_sender(video_sender()).is_some(), more);
    }
    transport.remove_receiver(media::ReceiverId(0));
    assert_eq!(transport.add_receiver(audio_receiver()), Some(media::ReceiverId(0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_that_comes_makes_it_panic_or_spin(
        datagrams in proptest::collection::vec((any::<bool>(), 0_u64..3_000, proptest::collection::vec(any::<u8>(), 12..120)), 1..60)
    ) {
        let mut transport = rtp("x", 1);
        transport.add_sender(video_sender()).unwrap();
        transport.add_receiver(video_receiver()).unwrap();
        transport.add_receiver(audio_receiver()).unwrap();
        let mut now = epoch();
        let mut memory = [0; 1500];
        for (is_rtcp, millis, mut bytes) in datagrams {
            now += Duration::from_millis(millis);
            bytes[0] = bytes[0] & 0x1f | 0x80;
            if is_rtcp {
                bytes[1] = 200 + bytes[1] % 8;
                let words = u16::try_from(bytes.len() / 4 - 1).unwrap();
                bytes[2..4].copy_from_slice(&words.to_be_bytes());
                let len = bytes.len() & !3;
                let _ = transport.handle_rtcp(now, &bytes[..len]);
            } else {
                bytes[1] = [96, 97, 111, 0xe0][usize::from(bytes[1] % 4)];
                bytes[8..11].fill(0);
                let len = bytes.len();
                if let Ok(packet) = PacketMut::decode(&mut bytes, len) {
                    let _ = transport.handle_rtp(now, None, packet);
                }
            }
            transport.handle_timeout(now);
            for at in 0..2 {
                while transport.receiver(media::ReceiverId(at)).unwrap().poll_frame(now).is_some() {}
            }
            let mut sent = 0;
            loop {
                let mut out = Writer::new(&mut memory);
                if !transport.poll_rtp(now, &mut out) && !transport.poll_rtcp(now, &mut out) {
                    break;
                }
                sent += 1;
                prop_assert!(sent < 200);
            }
            while transport.poll_event(now).is_some() {}
            let due = transport.poll_timeout();
            prop_assert!(due.is_none_or(|due| due > now), "{now:?} {due:?}");
        }
    }
}
