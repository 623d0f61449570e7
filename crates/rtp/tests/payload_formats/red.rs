use proptest::prelude::*;
use proto::Writer;
use rtp::payload::red::{
    Block, Depacketizer, MAX_BLOCKS, Packetizer, blocks, encapsulate, map_payload_types, write_primary,
};
use rtp::payload::{Discard, FrameError, Limits};
use rtp::{EditError, Packet, PacketMut, PayloadType};

use crate::support::{noise, payload, receive, send};

fn all(payload: &[u8]) -> Vec<Block<'_>> {
    blocks(payload).unwrap().collect()
}

#[test]
fn headers_have_the_fields_of_rfc_2198() {
    // A redundant block of type 7, 320 ticks old, of 2 bytes; a primary one of type 5 with 3.
    let bytes = [0x87, 0x05, 0x00, 0x02, 0x05, 1, 2, 3, 4, 5];
    assert_eq!(
        all(&bytes),
        [
            Block { payload_type: 7, timestamp_offset: 320, primary: false, data: &[1, 2] },
            Block { payload_type: 5, timestamp_offset: 0, primary: true, data: &[3, 4, 5] },
        ]
    );
    let widest = [&[0xff, 0xff, 0xff, 0xff, 0x7f][..], &[9; 1023]].concat();
    let [redundant, primary] = all(&widest)[..] else { panic!("two") };
    assert_eq!(
        (redundant.payload_type, redundant.timestamp_offset, redundant.data.len()),
        (127, 16_383, 1023)
    );
    assert!(primary.primary && primary.data.is_empty());
}

#[test]
fn what_is_no_redundant_payload_is_refused() {
    for (bytes, discard) in [
        (&[][..], Discard::Empty),
        (&[0x87], Discard::Truncated),
        (&[0x87, 0, 0], Discard::Truncated),
        (&[0x87, 0, 0, 0], Discard::Truncated),
        (&[0x87, 0, 0, 2, 5, 1], Discard::Truncated),
    ] {
        assert_eq!(blocks(bytes).map(drop).unwrap_err(), discard);
        let mut depacketizer = Depacketizer::new(5, Limits::default());
        assert_eq!(depacketizer.handle_payload(payload(bytes, 0, false, false)), Err(discard));
    }
    for (count, good) in [(MAX_BLOCKS, true), (MAX_BLOCKS + 1, false)] {
        let bytes = [[0x87, 0, 0, 0].repeat(count - 1), vec![5]].concat();
        assert_eq!(blocks(&bytes).is_ok(), good);
    }
}

#[test]
fn each_frame_comes_with_those_before_it() {
    let mut packetizer = Packetizer::new(111, 2).unwrap();
    let mut lengths = Vec::new();
    for at in 0..4_u8 {
        let mut payloads = packetizer.frame(&[at; 10], u32::from(at) * 960, at == 0, 1200).unwrap();
        let sent = send(1200, |out| payloads.write(out));
        assert_eq!((sent.len(), sent[0].1), (1, at == 0));
        let seen = all(&sent[0].0);
        for (back, block) in seen.iter().rev().enumerate() {
            assert_eq!(block.payload_type, 111);
            assert_eq!(usize::from(block.timestamp_offset), back * 960);
            assert_eq!(block.data, [at - back as u8; 10]);
        }
        lengths.push(seen.len());
    }
    assert_eq!(lengths, [1, 2, 3, 3]);
    assert_eq!(Packetizer::new(128, 1).unwrap_err(), FrameError::OutOfRange);
    assert!(Packetizer::new(127, 8).is_ok());
    assert_eq!(Packetizer::new(127, 9).unwrap_err(), FrameError::OutOfRange);
}

#[test]
fn what_does_not_fit_is_not_repeated() {
    let count = |frames: &[(usize, u32)], max: usize| {
        let mut packetizer = Packetizer::new(111, 4).unwrap();
        let mut seen = 0;
        for (len, timestamp) in frames {
            let mut payloads =
                packetizer.frame(&vec![7; *len], *timestamp, false, 5000).map(|_| ()).map(|()| 0);
            assert_eq!(payloads.as_mut().ok(), Some(&mut 0));
            let mut packetizer = packetizer.clone();
            let mut payloads = packetizer.frame(&[1], timestamp + 960, false, max).unwrap();
            seen = all(&send(max, |out| payloads.write(out))[0].0).len();
        }
        seen
    };
    assert_eq!(count(&[(1023, 0)], 5000), 2);
    assert_eq!(count(&[(1024, 0)], 5000), 1);
    assert_eq!(count(&[(10, 0)], 16), 2);
    assert_eq!(count(&[(10, 0)], 15), 1);
    // 16,383 ticks are expressible, one more is not; nor is the same time twice.
    assert_eq!(count(&[(10, 0), (10, 16_383 - 960)], 5000), 3);
    assert_eq!(count(&[(10, 0), (10, 16_384 - 960)], 5000), 2);
    let mut packetizer = Packetizer::new(111, 1).unwrap();
    packetizer.frame(&[1], 5, false, 100).unwrap();
    let mut payloads = packetizer.frame(&[2], 5, false, 100).unwrap();
    assert_eq!(send(100, |out| payloads.write(out))[0].0, [111, 2]);
    assert_eq!(packetizer.frame(&[2; 100], 5, false, 100).unwrap_err(), FrameError::Indivisible);
    assert_eq!(packetizer.frame(&[], 5, false, 100).unwrap_err(), FrameError::Empty);
}

#[test]
fn lost_frames_are_found_in_later_packets_and_none_comes_twice() {
    let mut packetizer = Packetizer::new(111, 2).unwrap();
    let frames: Vec<Vec<u8>> = (0..20).map(|seed| noise(40, seed)).collect();
    let mut sent = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        let mut payloads = packetizer.frame(frame, (at as u32) * 960, false, 1200).unwrap();
        sent.push(send(1200, |out| payloads.write(out)).remove(0).0);
    }
    // Up to two in a row are made up for.
    let lost = [3, 7, 8, 12, 13, 14];
    let mut depacketizer = Depacketizer::new(111, Limits::default());
    let packets = sent.iter().enumerate().filter(|(at, _)| !lost.contains(at));
    let (results, out) = receive!(
        depacketizer,
        packets.map(|(at, bytes)| (bytes, (at as u32) * 960, false, lost.contains(&at.wrapping_sub(1))))
    );
    assert!(results.iter().all(Result::is_ok));
    let out: Vec<_> = out.into_iter().map(|frame| frame.unwrap()).collect();
    let expected: Vec<usize> = (0..20).filter(|at| *at != 12).collect();
    assert_eq!(out.len(), expected.len());
    for (frame, at) in out.iter().zip(expected) {
        assert_eq!((&frame.bytes, frame.timestamp), (&frames[at], (at as u32) * 960));
    }
    let again = depacketizer.handle_payload(payload(&sent[19], 19 * 960, false, false));
    assert_eq!(again, Err(Discard::Repeated));
    let other = depacketizer.handle_payload(payload(&[13, 1], 20 * 960, false, false));
    assert_eq!(other, Err(Discard::Unsupported));
}

/// As when a gateway goes on with another source in the same stream, whose times lie hours before.
#[test]
fn times_that_leap_back_are_followed_and_nothing_is_delivered_twice() {
    let mut depacketizer = Depacketizer::new(111, Limits::default());
    let plain = |number: u8| vec![111, number];
    // The frame before, 960 ticks ago.
    let doubled = |number: u8| vec![0x80 | 111, 0x0f, 0x00, 1, 111, number - 1, number];
    let mut now = 2_000_000_000_u32;
    for (number, leap) in [(2, 0), (3, 0), (4, -1_900_000_000), (5, 0), (6, -16_384 - 960), (7, 0)] {
        now = now.wrapping_add(960).wrapping_add_signed(leap);
        let bytes = if leap == 0 { plain(number) } else { doubled(number) };
        let (results, frames) = receive!(depacketizer, [(&bytes[..], now, false, false)]);
        assert_eq!((results[0], frames.len()), (Ok(()), 1), "{number}");
        assert_eq!(frames[0].as_ref().unwrap().bytes, [number]);
        // What goes on repeats nothing that is not known.
        let again = depacketizer.handle_payload(payload(&bytes, now, false, false));
        assert_eq!(again, Err(Discard::Repeated));
    }
    // As far as payloads repeat, older ones are late.
    let late = depacketizer.handle_payload(payload(&plain(9), now.wrapping_sub(16_383), false, false));
    assert_eq!(late, Err(Discard::Repeated));
}

#[test]
fn the_primary_block_alone_carries_video_and_ulpfec() {
    let mut memory = [0; 8];
    let mut out = Writer::new(&mut memory);
    write_primary(100, &[1, 2, 3], &mut out).unwrap();
    assert_eq!(out.written(), [100, 1, 2, 3]);
    assert_eq!(
        all(out.written()),
        [Block { payload_type: 100, timestamp_offset: 0, primary: true, data: &[1, 2, 3] }]
    );
    assert!(write_primary(100, &[0; 5], &mut out).is_err());
    assert_eq!(out.len(), 4);
}

#[test]
fn a_packet_goes_into_red_where_it_stands() {
    let plain =
        b"\xb0\xe4\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44\xbe\xde\x00\x01\x10\x05\x00\x00data\x00\x02";
    let red = PayloadType::new(116).unwrap();
    let mut memory = [&plain[..], &[0]].concat();
    let mut packet = PacketMut::decode(&mut memory, plain.len()).unwrap();
    encapsulate(&mut packet, red).unwrap();
    let wrapped = Packet::decode(packet.bytes()).unwrap();
    let before = Packet::decode(plain).unwrap();
    assert_eq!(wrapped.header(), rtp::Header { payload_type: red, ..before.header() });
    assert_eq!(
        (wrapped.payload(), wrapped.padding(), wrapped.element(1)),
        (&b"\x64data"[..], 2, Some(&[5][..]))
    );
    // There is no room for more.
    let bytes = packet.bytes().to_vec();
    assert_eq!(encapsulate(&mut packet, red), Err(EditError::NoRoom));
    assert_eq!(packet.bytes(), bytes);
}

#[test]
fn forwarders_write_payload_types_over_in_place() {
    let mut bytes = [0x87, 0x05, 0x00, 0x02, 0x05, 1, 2, 3];
    map_payload_types(&mut bytes, |old| Some(old + 100)).unwrap();
    assert_eq!(bytes, [0x80 | 107, 0x05, 0x00, 0x02, 105, 1, 2, 3]);
    let before = bytes;
    assert_eq!(map_payload_types(&mut bytes, |old| (old == 107).then_some(1)), Err(Discard::Unsupported));
    assert_eq!(map_payload_types(&mut bytes, |_| Some(128)), Err(Discard::Unsupported));
    assert_eq!(map_payload_types(&mut bytes[..3], |_| Some(1)), Err(Discard::Truncated));
    assert_eq!(bytes, before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_payload_is_taken_or_refused(payloads: Vec<(Vec<u8>, u16, bool)>) {
        let mut depacketizer = Depacketizer::new(111, Limits::default());
        for (mut bytes, timestamp, marker) in payloads {
            if let Some(first) = bytes.first_mut() {
                *first |= 0x80;
            }
            if let Ok(blocks) = blocks(&bytes) {
                prop_assert!(blocks.map(|block| block.data.len()).sum::<usize>() < bytes.len());
            }
            let _ = map_payload_types(&mut bytes, |_| Some(111));
            let _ = depacketizer.handle_payload(payload(&bytes, timestamp.into(), marker, false));
            while depacketizer.poll_frame().is_some() {}
        }
    }
}
