//! Packets read, written and changed in place.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use proptest::prelude::*;
use proto::Writer;
use rtp::extension::Form;
use rtp::{
    DecodeError, EditError, Encoder, Header, Packet, PacketMut, PayloadType, RtpTimestamp, SequenceNumber,
    Ssrc, header_len, is_rtcp, rtx,
};
use support::{hex, parts, plain, written};

/// By hand from RFC 3550 §5.1: marker, type 111, two sources, an extension of its own kind, padding.
const WHOLE: &str = "b2 ef 0102 01020304 11223344 aaaaaaaa bbbbbbbb abcd 0001 01020304 68656c6c6f 000003";

#[test]
fn every_field_is_where_the_rfc_has_it() {
    let bytes = hex(WHOLE);
    let packet = Packet::decode(&bytes).unwrap();
    let header = Header {
        marker: true,
        payload_type: PayloadType::new(111).unwrap(),
        sequence_number: SequenceNumber(0x0102),
        timestamp: RtpTimestamp(0x0102_0304),
        ssrc: Ssrc(0x1122_3344),
    };
    assert_eq!(packet.header(), header);
    assert_eq!(packet.csrcs().collect::<Vec<_>>(), [Ssrc(0xaaaa_aaaa), Ssrc(0xbbbb_bbbb)]);
    let extension = packet.extension().unwrap();
    assert_eq!((extension.profile(), extension.data()), (0xabcd, &[1, 2, 3, 4][..]));
    assert_eq!((extension.form(), extension.elements().count()), (None, 0));
    assert_eq!((packet.payload(), packet.padding()), (&b"hello"[..], 3));
    assert_eq!((packet.header_len(), header_len(&bytes)), (28, Ok(28)));
    assert_eq!(packet.bytes(), bytes);
}

#[test]
fn every_prefix_of_a_header_is_refused() {
    let bytes = hex(WHOLE);
    for len in 0..28 {
        assert_eq!(Packet::decode(&bytes[..len]), Err(DecodeError::Truncated), "{len}");
        assert_eq!(header_len(&bytes[..len]), Err(DecodeError::Truncated), "{len}");
    }
    // There is a payload of nothing, but then no padding either, which the header says there is.
    assert_eq!(Packet::decode(&bytes[..28]), Err(DecodeError::Padding));
    assert_eq!(header_len(&bytes[..28]), Ok(28));
}

#[test]
fn other_versions_are_refused() {
    for first in 0..=255_u8 {
        let mut bytes = vec![0; 200];
        bytes[0] = first & 0xdf;
        let refused = Packet::decode(&bytes) == Err(DecodeError::Version);
        assert_eq!(refused, first >> 6 != 2, "{first:#x}");
    }
}

#[test]
fn rtcp_is_told_from_rtp_by_its_second_byte() {
    let rtcp: Vec<u8> = (0..=255).filter(|kind| is_rtcp(&[0x80, *kind])).collect();
    assert_eq!(rtcp, (192..=223).collect::<Vec<_>>());
    assert!(!is_rtcp(&[0x80]));
}

#[test]
fn sources_have_their_limit() {
    let mut memory = [0; 100];
    let mut sources = vec![Ssrc(1); 15];
    assert!(Encoder::new(&mut Writer::new(&mut memory), Header::default(), &sources).is_ok());
    sources.push(Ssrc(2));
    let mut out = Writer::new(&mut memory);
    let refused = Encoder::new(&mut out, Header::default(), &sources).map(|_| ());
    assert_eq!((refused, out.len()), (Err(EditError::TooManySources), 0));
}

#[test]
fn a_packet_that_does_not_fit_is_not_begun_or_not_kept() {
    let mut parts = plain(b"payload");
    parts.csrcs = vec![Ssrc(1)];
    parts.elements = vec![(1, vec![1, 2, 3]), (2, vec![4])];
    parts.padding = 5;
    let whole = parts.encode();
    for len in 0..whole.len() {
        let mut memory = vec![0; len];
        let mut out = Writer::new(&mut memory);
        let mut write = || {
            let mut packet = Encoder::new(&mut out, parts.header, &parts.csrcs)?;
            for (id, value) in &parts.elements {
                packet.element(parts.form, *id, value)?;
            }
            packet.finish(&parts.payload, parts.padding).map_err(EditError::from)
        };
        assert_eq!(write(), Err(EditError::NoRoom), "{len}");
    }
}

#[test]
fn elements_go_only_into_the_form_of_their_packet() {
    let mut memory = [0; 400];
    let mut out = Writer::new(&mut memory);
    let mut packet = Encoder::new(&mut out, Header::default(), &[]).unwrap();
    for (id, len) in [(0, 1), (15, 1), (255, 1), (1, 0), (1, 17)] {
        assert_eq!(packet.element(Form::OneByte, id, &vec![0; len]), Err(EditError::Form), "{id} {len}");
    }
    packet.element(Form::OneByte, 14, &[0; 16]).unwrap();
    assert_eq!(packet.element(Form::TwoByte, 15, &[]), Err(EditError::Form), "the first one chose");
    packet.finish(&[], 0).unwrap();
    let mut out = Writer::new(&mut memory);
    let mut packet = Encoder::new(&mut out, Header::default(), &[]).unwrap();
    assert_eq!(packet.element(Form::TwoByte, 0, &[]), Err(EditError::Form));
    assert_eq!(packet.element(Form::TwoByte, 1, &[0; 256]), Err(EditError::Form));
    packet.element(Form::TwoByte, 255, &[7; 255]).unwrap();
    packet.finish(&[], 0).unwrap();
    assert_eq!(Packet::decode(out.written()).unwrap().element(255), Some(&[7; 255][..]));
}

#[test]
fn a_failing_payload_leaves_nothing_behind() {
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    out.put(b"before").unwrap();
    let packet = Encoder::new(&mut out, Header::default(), &[]).unwrap();
    let failed =
        packet.finish_with(0, |out| out.put(b"some").map_err(EditError::from).and(Err(EditError::Value)));
    assert_eq!((failed, out.written()), (Err(EditError::Value), &b"before"[..]));
}

#[test]
fn a_forwarder_rewrites_what_is_its_own() {
    let mut parts = plain(b"payload");
    parts.elements = vec![(1, vec![0x31]), (3, vec![1, 2, 3]), (9, vec![5])];
    let bytes = parts.encode();
    let mut memory = [bytes.clone(), vec![0xee; 20]].concat();
    let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
    packet.set_marker(true);
    packet.set_payload_type(PayloadType::new(127).unwrap());
    packet.set_sequence_number(SequenceNumber(0xffff));
    packet.set_timestamp(RtpTimestamp(5));
    packet.set_ssrc(Ssrc(6));
    packet
        .map_elements(|id| [(1, 4), (3, 1)].into_iter().find(|pair| pair.0 == id).map(|pair| pair.1))
        .unwrap();
    packet.element_mut(1).unwrap().copy_from_slice(&[7, 8, 9]);
    packet.payload_mut()[0] = b'P';
    let header = Header {
        marker: true,
        payload_type: PayloadType::new(127).unwrap(),
        sequence_number: SequenceNumber(0xffff),
        timestamp: RtpTimestamp(5),
        ssrc: Ssrc(6),
    };
    let now = packet.as_packet();
    assert_eq!(now.header(), header);
    let elements: Vec<_> = now.extension().unwrap().elements().map(|it| (it.id, it.value.to_vec())).collect();
    assert_eq!(elements, [(4, vec![0x31]), (1, vec![7, 8, 9])]);
    assert_eq!(now.payload(), b"Payload");
    assert_eq!((packet.len(), packet.is_empty()), (bytes.len(), false), "nothing has moved");
    let len = packet.into_bytes().len();
    assert_eq!(&memory[len..], [0xee; 20], "nor anything behind it");
}

#[test]
fn the_marker_and_the_payload_type_do_not_touch_each_other() {
    let mut bytes = plain(b"").encode();
    let len = bytes.len();
    let mut packet = PacketMut::decode(&mut bytes, len).unwrap();
    for (marker, kind) in [(true, 0), (true, 127), (false, 127), (false, 0)] {
        packet.set_marker(marker);
        packet.set_payload_type(PayloadType::new(kind).unwrap());
        let header = packet.as_packet().header();
        assert_eq!((header.marker, header.payload_type.get()), (marker, kind));
    }
}

#[test]
fn a_value_that_is_set_takes_the_place_of_one_that_was_removed() {
    let mut parts = plain(b"payload");
    parts.elements = vec![(1, vec![1, 2, 3]), (2, vec![4, 5, 6])];
    let mut bytes = parts.encode();
    let len = bytes.len();
    let mut packet = PacketMut::decode(&mut bytes, len).unwrap();
    assert!(packet.remove_element(1) && !packet.remove_element(1));
    assert_eq!(packet.as_packet().element(1), None);
    assert_eq!(packet.growth(5, 3), Ok(0));
    packet.set_element(5, &[9, 9, 9]).unwrap();
    assert_eq!(packet.as_packet().element(5), Some(&[9, 9, 9][..]));
    assert_eq!(packet.as_packet().element(2), Some(&[4, 5, 6][..]));
    assert_eq!((packet.len(), packet.room()), (len, 0));
    assert_eq!(packet.growth(6, 1), Ok(4));
    assert_eq!(packet.set_element(6, &[1]), Err(EditError::NoRoom));
    assert_eq!(packet.as_packet().payload(), b"payload");
    packet.remove_element(5);
    packet.trim_elements();
    assert_eq!(packet.len(), len - 4);
    packet.remove_element(2);
    packet.trim_elements();
    assert_eq!((packet.len(), packet.as_packet().extension()), (len - 12, None));
    assert_eq!(packet.as_packet().payload(), b"payload");
}

#[test]
fn a_packet_without_an_extension_gets_one_of_the_smallest_form() {
    for (id, value, grown, form) in [
        (3, vec![1], 8, Form::OneByte),
        (14, vec![1; 16], 24, Form::OneByte),
        (3, vec![1; 17], 24, Form::TwoByte),
        (15, vec![], 8, Form::TwoByte),
        (255, vec![2; 255], 264, Form::TwoByte),
    ] {
        let bytes = plain(b"payload").encode();
        let mut memory = [bytes.clone(), vec![0xee; grown]].concat();
        let mut packet = PacketMut::decode(&mut memory[..bytes.len() + grown - 1], bytes.len()).unwrap();
        assert_eq!(packet.growth(id, value.len()), Ok(grown));
        assert_eq!(packet.set_element(id, &value), Err(EditError::NoRoom));
        assert_eq!(packet.bytes(), bytes);
        let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
        packet.set_element(id, &value).unwrap();
        let now = packet.as_packet();
        assert_eq!(now.extension().unwrap().form(), Some(form));
        assert_eq!((now.element(id), now.payload()), (Some(&value[..]), &b"payload"[..]));
        packet.remove_extension();
        assert_eq!(packet.bytes(), bytes);
    }
    let bytes = plain(b"").encode();
    let mut memory = [bytes.clone(), vec![0; 300]].concat();
    let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
    assert_eq!(packet.set_element(0, &[1]), Err(EditError::Form));
    assert_eq!(packet.set_element(1, &[1; 256]), Err(EditError::Form));
    assert_eq!(packet.bytes(), bytes);
}

#[test]
fn elements_are_widened_where_there_is_room() {
    let mut parts = plain(b"payload");
    parts.elements = vec![(1, vec![1]), (2, vec![4, 5, 6]), (14, vec![7; 16])];
    parts.padding = 2;
    let bytes = parts.encode();
    let mut memory = [bytes.clone(), vec![0; 40]].concat();
    let mut packet = PacketMut::decode(&mut memory[..bytes.len()], bytes.len()).unwrap();
    assert_eq!(packet.set_element(15, &[1]), Err(EditError::Form));
    assert_eq!(packet.widen_elements(), Err(EditError::NoRoom));
    assert_eq!(packet.bytes(), bytes);
    let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
    packet.widen_elements().unwrap();
    packet.set_element(15, &[8; 17]).unwrap();
    let now = packet.as_packet();
    assert_eq!(now.extension().unwrap().form(), Some(Form::TwoByte));
    for (id, value) in &parts.elements {
        assert_eq!(now.element(*id), Some(&value[..]), "{id}");
    }
    assert_eq!((now.element(15), now.payload(), now.padding()), (Some(&[8; 17][..]), &b"payload"[..], 2));
}

#[test]
fn an_extension_of_another_kind_is_left_alone() {
    let bytes = hex(WHOLE);
    let mut memory = [bytes.clone(), vec![0; 40]].concat();
    let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
    assert_eq!(packet.set_element(1, &[1]), Err(EditError::NotElements));
    assert_eq!(packet.growth(1, 1), Err(EditError::NotElements));
    assert_eq!(packet.map_elements(Some), Err(EditError::NotElements));
    assert_eq!(packet.widen_elements(), Err(EditError::NotElements));
    assert!(!packet.remove_element(1) && packet.element_mut(1).is_none());
    packet.trim_elements();
    assert_eq!(packet.bytes(), bytes);
    packet.remove_extension();
    let now = packet.as_packet();
    assert_eq!((now.extension(), now.payload(), now.padding()), (None, &b"hello"[..], 3));
}

#[test]
fn an_element_past_the_end_does_not_come_back_when_the_extension_grows() {
    // Two-byte form: 16 bytes where there are ten; one-byte form: 16 where there are three.
    for (extension, id) in [("1000 0003 01 10 00000000000000000000", 9), ("bede 0001 1f 000000", 2)] {
        let mut bytes = plain(b"").encode();
        bytes[0] |= 0x10;
        bytes.extend(hex(extension));
        bytes.extend(b"payload");
        let mut memory = [bytes.clone(), vec![0; 40]].concat();
        let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
        packet.set_element(id, &[7; 16]).unwrap();
        packet.set_element(id + 1, &[8; 16]).unwrap();
        let now = packet.as_packet();
        assert_eq!(
            (now.element(1), now.element(id), now.element(id + 1)),
            (None, Some(&[7; 16][..]), Some(&[8; 16][..]))
        );
        assert_eq!(now.payload(), b"payload");
        memory[..bytes.len()].copy_from_slice(&bytes);
        let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
        packet.widen_elements().unwrap();
        assert_eq!(packet.as_packet().element(1), None);
    }
}

#[test]
fn padding_is_put_on_and_taken_off() {
    let bytes = plain(b"payload").encode();
    let mut memory = [bytes.clone(), vec![0xee; 255]].concat();
    let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
    for count in [255, 1, 4, 0] {
        packet.set_padding(count).unwrap();
        let now = packet.as_packet();
        assert_eq!(
            (now.padding(), now.payload(), packet.len()),
            (count, &b"payload"[..], bytes.len() + usize::from(count))
        );
    }
    assert_eq!(packet.bytes(), bytes);
    let mut packet = PacketMut::decode(&mut memory[..bytes.len() + 3], bytes.len()).unwrap();
    assert_eq!(packet.set_padding(4), Err(EditError::NoRoom));
    assert_eq!(packet.bytes(), bytes);
}

#[test]
fn a_retransmission_has_the_original_number_in_front_of_its_payload() {
    // RFC 4588 §4.
    let mut parts = plain(b"payload");
    parts.header.marker = true;
    parts.elements = vec![(1, vec![1])];
    let bytes = parts.encode();
    let stream = rtx::Stream { ssrc: Ssrc(9), payload_type: PayloadType::new(97).unwrap() };
    let original = rtx::Stream { ssrc: parts.header.ssrc, payload_type: parts.header.payload_type };
    for padding in [0, 1, 2, 200] {
        let mut parts = parts.clone();
        parts.padding = padding;
        let padded = parts.encode();
        let mut memory = [padded.clone(), vec![0; 2]].concat();
        let mut packet = PacketMut::decode(&mut memory, padded.len()).unwrap();
        rtx::wrap(&mut packet, stream, SequenceNumber(100)).unwrap();
        let now = packet.as_packet();
        let header = Header {
            sequence_number: SequenceNumber(100),
            ssrc: Ssrc(9),
            payload_type: stream.payload_type,
            ..parts.header
        };
        assert_eq!((now.header(), now.payload(), now.padding()), (header, &b"\x00\x07payload"[..], 0));
        assert_eq!(now.element(1), Some(&[1][..]));
        packet.set_padding(if padding > 2 { 7 } else { 0 }).unwrap();
        assert_eq!(rtx::unwrap(&mut packet, original), Ok(SequenceNumber(7)));
        assert_eq!(packet.bytes(), bytes);
    }
    let mut memory = [bytes.clone(), vec![0; 1]].concat();
    let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
    assert_eq!(rtx::wrap(&mut packet, stream, SequenceNumber(100)), Err(EditError::NoRoom));
    assert_eq!(packet.bytes(), bytes);
}

#[test]
fn a_retransmission_of_nothing_holds_no_packet() {
    let original = rtx::Stream { ssrc: Ssrc(1), payload_type: PayloadType::new(96).unwrap() };
    for payload in [&b""[..], b"\x00"] {
        let mut parts = plain(payload);
        parts.padding = 100;
        let mut bytes = parts.encode();
        let (len, before) = (bytes.len(), bytes.clone());
        let mut packet = PacketMut::decode(&mut bytes, len).unwrap();
        assert_eq!(rtx::unwrap(&mut packet, original), Err(EditError::NoOriginal));
        assert_eq!(packet.bytes(), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_encoded_is_decoded(parts in parts()) {
        let bytes = parts.encode();
        let packet = Packet::decode(&bytes).unwrap();
        prop_assert_eq!(packet.header(), parts.header);
        prop_assert!(packet.csrcs().eq(parts.csrcs.iter().copied()));
        let elements: Vec<_> = packet.extension().into_iter().flat_map(|it| it.elements())
            .map(|it| (it.id, it.value.to_vec())).collect();
        prop_assert_eq!(&elements, &parts.elements);
        prop_assert_eq!(packet.payload(), &parts.payload[..]);
        prop_assert_eq!(packet.padding(), parts.padding);
        prop_assert_eq!(Some(packet.header_len()), header_len(&bytes).ok());
    }

    #[test]
    fn any_bytes_are_refused_or_read(mut bytes in prop::collection::vec(any::<u8>(), 0..80), first in 0x80..=0xbf_u8) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        if let Ok(packet) = Packet::decode(&bytes) {
            let parts = packet.header_len() + packet.payload().len() + usize::from(packet.padding());
            prop_assert_eq!(parts, bytes.len());
            for element in packet.extension().into_iter().flat_map(|it| it.elements()) {
                prop_assert!(element.id > 0 && element.value.len() < 256);
            }
        }
    }

    /// Whatever is done to a packet, it stays one, its payload stays, and nothing behind its room changes.
    #[test]
    fn any_changes_leave_a_packet(
        parts in parts(),
        room in 0..40_usize,
        steps in prop::collection::vec((0..8_u8, any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)), 0..12),
    ) {
        let bytes = parts.encode();
        let mut memory = [bytes.clone(), vec![0xee; 60]].concat();
        let (lent, rest) = memory.split_at_mut(bytes.len() + room);
        let mut packet = PacketMut::decode(lent, bytes.len()).unwrap();
        for (step, id, value) in steps {
            let before = packet.bytes().to_vec();
            let growth = packet.growth(id, value.len());
            match step {
                0 => {
                    let same_len = packet.as_packet().element(id).is_some_and(|old| old.len() == value.len());
                    let done = packet.set_element(id, &value);
                    match (&done, growth) {
                        (Ok(()), Ok(growth)) => {
                            prop_assert_eq!(packet.as_packet().element(id), Some(&value[..]));
                            prop_assert!(same_len || packet.len() == before.len() + growth);
                        }
                        (Err(EditError::NoRoom), Ok(growth)) => prop_assert!(growth > packet.room()),
                        (Err(error), growth) => prop_assert_eq!(growth, Err(*error)),
                        (Ok(()), Err(_)) => prop_assert!(false),
                    }
                    if done.is_err() {
                        prop_assert_eq!(packet.bytes(), &before[..]);
                    }
                }
                1 => { packet.remove_element(id); prop_assert_eq!(packet.as_packet().element(id), None); }
                2 => {
                    let elements = |packet: &PacketMut<'_>| -> Vec<_> {
                        packet.as_packet().extension().into_iter().flat_map(|it| it.elements())
                            .map(|it| (it.id, it.value.to_vec())).collect()
                    };
                    let was = elements(&packet);
                    let map = |old: u8| (!old.is_multiple_of(3)).then_some(old ^ (id & 3));
                    let done = packet.map_elements(map);
                    let mapped: Vec<_> = was.iter().filter_map(|(id, value)| Some((map(*id)?, value.clone()))).collect();
                    prop_assert_eq!(elements(&packet), if done.is_ok() { mapped } else { was });
                }
                3 => {
                    let elements = |packet: &PacketMut<'_>| -> Vec<_> {
                        packet.as_packet().extension().into_iter().flat_map(|it| it.elements())
                            .map(|it| (it.id, it.value.to_vec())).collect()
                    };
                    let was = elements(&packet);
                    if packet.widen_elements().is_err() {
                        prop_assert_eq!(packet.bytes(), &before[..]);
                    }
                    prop_assert_eq!(elements(&packet), was);
                }
                4 => packet.trim_elements(),
                5 => packet.remove_extension(),
                6 => if packet.set_padding(id).is_err() {
                    prop_assert_eq!(packet.bytes(), &before[..]);
                },
                _ => packet.set_ssrc(Ssrc(id.into())),
            }
            let again = Packet::decode(packet.bytes()).unwrap();
            prop_assert_eq!(again.payload(), &parts.payload[..]);
            prop_assert!(again.csrcs().eq(parts.csrcs.iter().copied()));
        }
        prop_assert!(rest.iter().all(|byte| *byte == 0xee));
    }
}

#[test]
fn a_packet_is_written_behind_what_is_there() {
    let bytes = written(|out| {
        out.put(b"front").unwrap();
        Encoder::new(out, Header::default(), &[]).unwrap().finish(b"payload", 0).unwrap();
    });
    assert!(bytes.starts_with(b"front\x80"));
    assert_eq!(Packet::decode(&bytes[5..]).unwrap().payload(), b"payload");
}
