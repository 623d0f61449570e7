//! Header extensions: elements, the map, and values.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use proptest::prelude::*;
use proto::{NoSpace, Reader, Writer};
use rtp::extension::{
    AbsCaptureTime, AbsSendTime, AudioLevel, ChromaSiting, ColorSpace, ExtensionMap, FeedbackRequest, Form,
    HdrMetadata, Kind, LayersAllocation, MAX_EXTENSIONS, MapError, MasteringMetadata, MixerLevels,
    PlayoutDelay, Range, RepairedRid, Resolution, Rotation, SpatialLayer, TransportSequence,
    TransportSequence2, Value, VideoContentType, VideoOrientation, VideoTiming,
};
use rtp::{Encoder, Header, Mid, NtpTime, Packet, PacketMut, Rid, SequenceNumber};
use support::{hex, plain, written};

/// A packet with this extension.
fn with_extension(extension: &[u8]) -> Vec<u8> {
    let mut bytes = plain(b"").encode();
    bytes[0] |= 0x10;
    [bytes, extension.to_vec()].concat()
}

fn elements(extension: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let bytes = with_extension(extension);
    let extension = Packet::decode(&bytes).unwrap().extension().unwrap();
    extension.elements().map(|it| (it.id, it.value.to_vec())).collect()
}

#[test]
fn the_one_byte_example_of_the_rfc_is_read() {
    // RFC 8285 §4.2: three elements of 1, 2 and 4 bytes, padding behind the second.
    let bytes = hex("bede 0003 10 aa 21 bb bb 00 00 33 cc cc cc cc");
    let expected = [(1, vec![0xaa]), (2, vec![0xbb; 2]), (3, vec![0xcc; 4])];
    assert_eq!(elements(&bytes), expected);
}

#[test]
fn the_two_byte_example_of_the_rfc_is_read() {
    // RFC 8285 §4.3: elements of 0, 1 and 4 bytes, padding behind the second.
    for last in 0..=15 {
        let mut bytes = hex("1000 0003 01 00 02 01 bb 00 03 04 cc cc cc cc");
        bytes[1] = last;
        assert_eq!(elements(&bytes), [(1, vec![]), (2, vec![0xbb]), (3, vec![0xcc; 4])], "appbits {last}");
    }
    assert_eq!(elements(&hex("1010 0003 01 00 02 01 bb 00 03 04 cc cc cc cc")), []);
}

#[test]
fn an_element_that_ends_the_others_ends_them() {
    // RFC 8285 §4.2: 15 whatever its length, and 0 with a length.
    for len in 0..16 {
        let ends =
            |id: u8| elements(&[&[0xbe, 0xde, 0, 6, 0x10, 0xaa, id << 4 | len][..], &[0x20; 21]].concat());
        assert_eq!(ends(15), [(1, vec![0xaa])], "{len}");
        if len > 0 {
            assert_eq!(ends(0), [(1, vec![0xaa])], "{len}");
        }
    }
    // In two-byte form 15 is like any other, and 0 is padding.
    assert_eq!(elements(&hex("1000 0001 0f 01 aa 00")), [(15, vec![0xaa])]);
    assert_eq!(elements(&hex("1000 0002 00 00 0f 01 aa 00 00 00")), [(15, vec![0xaa])]);
}

#[test]
fn an_element_past_the_end_is_none() {
    assert_eq!(elements(&hex("bede 0001 10 aa 21 bb")), [(1, vec![0xaa])]);
    assert_eq!(elements(&hex("1000 0001 01 00 02 01")), [(1, vec![])]);
    assert_eq!(elements(&hex("1000 0001 01 01 aa 02")), [(1, vec![0xaa])]);
    assert_eq!(elements(&hex("1000 0000")), []);
}

#[test]
fn a_map_refuses_what_cannot_be() {
    let mut map = ExtensionMap::default();
    assert_eq!(map.set(0, Kind::Mid), Err(MapError::Id));
    assert_eq!(map.set(15, Kind::Mid), Err(MapError::Id));
    map.set(255, Kind::Mid).unwrap();
    map.set(255, Kind::Mid).unwrap();
    assert_eq!(map.set(1, Kind::Mid), Err(MapError::Taken));
    assert_eq!(map.set(255, Kind::Rid), Err(MapError::Taken));
    assert_eq!((map.kind(255), map.id(Kind::Mid)), (Some(Kind::Mid), Some(255)));
    assert_eq!((map.kind(1), map.id(Kind::Rid)), (None, None));
}

#[test]
fn a_map_has_as_many_extensions_as_the_limit_and_not_one_more() {
    let names: Vec<&'static str> =
        (0..=MAX_EXTENSIONS).map(|at| &*Box::leak(format!("urn:example:{at}").into_boxed_str())).collect();
    let mut map = ExtensionMap::default();
    for (id, name) in (20..).zip(&names[..MAX_EXTENSIONS]) {
        map.set(id, Kind::Custom(name)).unwrap();
    }
    assert_eq!(map.set(1, Kind::Custom(names[MAX_EXTENSIONS])), Err(MapError::Full));
    assert_eq!(map.iter().len(), MAX_EXTENSIONS);
}

#[test]
fn every_kind_is_found_by_its_uri() {
    for kind in Kind::KNOWN {
        assert_eq!(Kind::from_uri(kind.uri()), Some(kind));
    }
    assert_eq!(Kind::from_uri("urn:example:unknown"), None);
    assert_eq!(Kind::Custom("urn:example:ours").uri(), "urn:example:ours");
}

#[test]
fn a_packet_is_translated_from_one_map_to_another() {
    let map = |pairs: &[(u8, Kind)]| {
        let mut map = ExtensionMap::default();
        pairs.iter().for_each(|(id, kind)| map.set(*id, *kind).unwrap());
        map
    };
    let ours = map(&[(1, Kind::Mid), (2, Kind::AbsSendTime), (3, Kind::AudioLevel)]);
    let theirs = map(&[(2, Kind::AudioLevel), (3, Kind::Mid)]);
    let (mid, level) = (Mid::new(b"0").unwrap(), AudioLevel { voice: false, level: 50 });
    let bytes = written(|out| {
        let mut packet = Encoder::new(out, Header::default(), &[]).unwrap();
        assert!(ours.encode(&mut packet, Form::OneByte, &mid).unwrap());
        assert!(ours.encode(&mut packet, Form::OneByte, &AbsSendTime::from_units(7)).unwrap());
        assert!(ours.encode(&mut packet, Form::OneByte, &level).unwrap());
        assert!(!ours.encode(&mut packet, Form::OneByte, &VideoOrientation::default()).unwrap());
        packet.finish(b"payload", 0).unwrap();
    });
    let mut memory = [bytes.clone(), vec![0; 12]].concat();
    let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
    packet.map_elements(ours.translation(&theirs)).unwrap();
    let now = packet.as_packet();
    assert_eq!((theirs.read(&now), theirs.read(&now)), (Some(mid), Some(level)));
    assert_eq!(now.extension().unwrap().elements().count(), 2);
    let other = Mid::new(b"longer").unwrap();
    assert_eq!(theirs.write(&mut packet, &other), Ok(true));
    assert_eq!(theirs.read(&packet.as_packet()), Some(other));
    assert_eq!(theirs.write(&mut packet, &TransportSequence(SequenceNumber(1))), Ok(false));
}

#[test]
fn a_program_adds_an_extension_of_its_own() {
    #[derive(Debug, PartialEq)]
    struct Loudspeaker(u16);
    impl Value<'_> for Loudspeaker {
        const KIND: Kind = Kind::Custom("urn:example:loudspeaker");
        fn read(bytes: &[u8]) -> Option<Self> {
            Reader::new(bytes).u16().ok().map(Self)
        }
        fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
            out.put_u16(self.0)
        }
    }
    let mut map = ExtensionMap::default();
    map.set(7, Loudspeaker::KIND).unwrap();
    let bytes = plain(b"payload").encode();
    let mut memory = [bytes.clone(), vec![0; 8]].concat();
    let mut packet = PacketMut::decode(&mut memory, bytes.len()).unwrap();
    assert_eq!(map.write(&mut packet, &Loudspeaker(300)), Ok(true));
    assert_eq!(map.read(&packet.as_packet()), Some(Loudspeaker(300)));
}

fn bytes_of<'a>(value: &impl Value<'a>) -> Vec<u8> {
    written(|out| value.write(out).unwrap())
}

/// Each value, its bytes written by hand from its specification.
#[test]
fn values_have_the_bytes_of_their_specifications() {
    fn check<T: PartialEq + std::fmt::Debug>(
        value: T,
        bytes: &'static str,
        read: impl Fn(&'static [u8]) -> Option<T>,
        write: impl Fn(&T) -> Vec<u8>,
    ) {
        let bytes: &'static [u8] = Vec::leak(hex(bytes));
        assert_eq!(write(&value), bytes);
        assert_eq!(read(bytes), Some(value));
        for len in 0..bytes.len().min(1) {
            assert_eq!(read(&bytes[..len]), None, "{len} of {bytes:x?}");
        }
    }
    macro_rules! check {
        ($value:expr, $bytes:literal) => {
            check($value, $bytes, |bytes| Value::read(bytes), |value| bytes_of(value));
        };
    }
    check!(Mid::new(b"v0").unwrap(), "7630");
    check!(Rid::new(b"hi").unwrap(), "6869");
    check!(RepairedRid(Rid::new(b"hi").unwrap()), "6869");
    check!(AudioLevel { voice: true, level: 127 }, "ff");
    check!(AudioLevel { voice: false, level: 3 }, "03");
    check!(MixerLevels::new(&[1, 127, 0]).unwrap(), "017f00");
    check!(AbsSendTime::from_units(0xab_cdef), "abcdef");
    check!(TransportSequence(SequenceNumber(0x1234)), "1234");
    check!(TransportSequence2 { sequence: SequenceNumber(0x1234), request: None }, "1234");
    let request = Some(FeedbackRequest { timing: true, count: 5 });
    check!(TransportSequence2 { sequence: SequenceNumber(1), request }, "00018005");
    check!(
        AbsCaptureTime { captured: NtpTime(0x0102_0304_0506_0708), clock_offset: None },
        "0102030405060708"
    );
    let clock_offset = Some(-2);
    check!(AbsCaptureTime { captured: NtpTime(1), clock_offset }, "0000000000000001 fffffffffffffffe");
    check!(PlayoutDelay::new(Duration::from_millis(100), Duration::from_millis(40_950)).unwrap(), "00afff");
    let rotation = Rotation::ThreeQuarters;
    check!(VideoOrientation { back_camera: true, flip: false, rotation }, "0b");
    check!(VideoOrientation { back_camera: false, flip: true, rotation: Rotation::Quarter }, "05");
    check!(VideoContentType::SCREEN, "01");
    let timing = VideoTiming {
        flags: 1,
        encode_start: 2,
        encode_finish: 3,
        packetized: 4,
        pacer_exit: 5,
        network: [6, 0x0708],
    };
    check!(timing, "01 0002 0003 0004 0005 0006 0708");
    let plain = ColorSpace {
        primaries: 1,
        transfer: 6,
        matrix: 5,
        range: Range::Full,
        horizontal_siting: ChromaSiting::Collocated,
        vertical_siting: ChromaSiting::Half,
        hdr: None,
    };
    check!(plain, "01060526");
    let mastering = MasteringMetadata {
        luminance_max: 1000,
        luminance_min: 50,
        red: [1, 2],
        green: [3, 4],
        blue: [5, 6],
        white: [7, 8],
    };
    let hdr = Some(HdrMetadata { mastering, max_content_light_level: 9, max_frame_average_light_level: 10 });
    check!(
        ColorSpace { hdr, ..plain },
        "01060526 03e8 0032 0001 0002 0003 0004 0005 0006 0007 0008 0009 000a"
    );
}

#[test]
fn values_that_are_none_are_refused() {
    assert_eq!(AbsSendTime::read(&[1, 2]), None);
    assert_eq!(TransportSequence::read(&[1]), None);
    assert_eq!(TransportSequence2::read(&[1]), None);
    // A request for nothing is no request.
    let none = TransportSequence2 { sequence: SequenceNumber(1), request: None };
    assert_eq!(TransportSequence2::read(&[0, 1, 0x80, 0]), Some(none));
    assert_eq!(AbsCaptureTime::read(&[0; 7]), None);
    assert_eq!(PlayoutDelay::read(&hex("00b00a")), None, "the shortest is longer than the longest");
    assert_eq!(PlayoutDelay::new(Duration::ZERO, Duration::from_millis(40_960)), None);
    assert_eq!(MixerLevels::read(&[0; 16]), None);
    assert_eq!(VideoTiming::read(&[0; 11]), None);
    let older = VideoTiming { network: [0, 7], ..VideoTiming::default() };
    assert_eq!(VideoTiming::read(&hex("0000 0000 0000 0000 0000 0007")), Some(older));
    assert_eq!(ColorSpace::read(&[1, 2, 3]), None);
    for len in 5..28 {
        assert_eq!(ColorSpace::read(&vec![0; len]), None, "{len}");
    }
    assert_eq!(Mid::read(b"a b"), None);
}

#[test]
fn send_times_wrap_after_64_seconds() {
    let at = |millis| AbsSendTime::from_duration(Duration::from_millis(millis));
    assert_eq!(at(500).units(), 1 << 17);
    assert_eq!(at(64_000), at(0));
    assert_eq!(at(64_250).distance(at(63_750)), 1 << 17);
    assert_eq!(at(63_750).distance(at(64_250)), -(1 << 17));
}

#[test]
fn layers_have_the_bytes_of_their_description() {
    let layer = |stream, spatial_id, kbps: &[u32]| {
        let mut all = [0; 4];
        all[..kbps.len()].copy_from_slice(kbps);
        let temporal_layers = u8::try_from(kbps.len()).unwrap();
        SpatialLayer { stream, spatial_id, temporal_layers, kbps: all, resolution: None }
    };
    // Nothing is sent.
    let none = LayersAllocation::new(0, 1, &[]).unwrap();
    assert_eq!((bytes_of(&none), LayersAllocation::read(&[0])), (vec![0], Some(none)));
    // Two streams with the same layer: 2 layers of time at 100 and 200, and one at 600 kbit/s.
    let simulcast = LayersAllocation::new(1, 2, &[layer(0, 0, &[100, 200]), layer(1, 0, &[600])]).unwrap();
    let bytes = hex("51 40 64 c801 d804");
    assert_eq!((bytes_of(&simulcast), LayersAllocation::read(&bytes)), (bytes.clone(), Some(simulcast)));
    // Layers that differ: 0 and 1 of the first stream, 1 of the second.
    let layers = [layer(0, 0, &[1]), layer(0, 1, &[2]), layer(1, 1, &[3, 4, 5, 6])];
    let svc = LayersAllocation::new(0, 2, &layers).unwrap();
    let bytes = hex("10 32 0c 01 02 03 04 05 06");
    assert_eq!((bytes_of(&svc), LayersAllocation::read(&bytes)), (bytes.clone(), Some(svc)));
    // With sizes: 640 by 360, 30 frames.
    let resolution = Some((Resolution { width: 640, height: 360 }, 30));
    let sized = LayersAllocation::new(0, 1, &[SpatialLayer { resolution, ..layer(0, 0, &[300]) }]).unwrap();
    let bytes = hex("01 00 ac02 027f 0167 1e");
    assert_eq!((bytes_of(&sized), LayersAllocation::read(&bytes)), (bytes.clone(), Some(sized)));
    for len in (0..bytes.len()).filter(|len| *len != 4) {
        assert_eq!(LayersAllocation::read(&bytes[..len]), None, "{len}");
    }
    assert_eq!(LayersAllocation::read(&hex("01 00 ffffffffff01")), None, "more than 32 bits");
    assert_eq!(LayersAllocation::read(&hex("c1 00 00")), None, "the fourth stream of one");
    for (stream, streams, layers) in [
        (0, 0, vec![layer(0, 0, &[1])]),
        (0, 5, vec![layer(0, 0, &[1])]),
        (1, 1, vec![layer(0, 0, &[1])]),
        (0, 1, vec![layer(0, 4, &[1])]),
        (0, 1, vec![layer(0, 0, &[])]),
        (0, 1, vec![layer(0, 1, &[1]), layer(0, 0, &[1])]),
        (0, 1, vec![layer(0, 0, &[1]), layer(0, 0, &[1])]),
        (0, 1, vec![layer(0, 0, &[1]), SpatialLayer { resolution, ..layer(0, 1, &[1]) }]),
        (1, 2, vec![]),
    ] {
        assert_eq!(LayersAllocation::new(stream, streams, &layers), None, "{stream} {streams} {layers:?}");
    }
}

/// A value comes back as it was.
fn survives<T: PartialEq + std::fmt::Debug + for<'a> Value<'a>>(value: &T) -> Result<(), TestCaseError> {
    let bytes = bytes_of(value);
    let read = T::read(&bytes);
    prop_assert_eq!(read.as_ref(), Some(value));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn values_come_back_as_they_were(
        a: u8, b: u8, c: u16, d: u16, e: u32, f: u64, g: Option<i64>, flags: [bool; 3],
        name in "[A-Za-z0-9]{1,36}", levels in prop::collection::vec(0..128_u8, 1..=15),
        words: [u16; 12], min in 0..4096_u64, more in 0..4096_u64,
    ) {
        survives(&Mid::new(name.as_bytes()).unwrap())?;
        survives(&Rid::new(name.as_bytes()).unwrap())?;
        survives(&RepairedRid(Rid::new(name.as_bytes()).unwrap()))?;
        survives(&AudioLevel { voice: flags[0], level: a & 127 })?;
        prop_assert_eq!(bytes_of(&MixerLevels::new(&levels).unwrap()), levels);
        survives(&AbsSendTime::from_units(e))?;
        survives(&TransportSequence(SequenceNumber(c)))?;
        let request = flags[0].then_some(FeedbackRequest { timing: flags[1], count: d % 0x7fff + 1 });
        survives(&TransportSequence2 { sequence: SequenceNumber(c), request })?;
        survives(&AbsCaptureTime { captured: NtpTime(f), clock_offset: g })?;
        let steps = |steps| Duration::from_millis(10 * steps);
        let delay = PlayoutDelay::new(steps(min), steps((min + more).min(4095))).unwrap();
        survives(&delay)?;
        prop_assert_eq!(delay.min(), steps(min));
        let rotation = [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters][usize::from(a & 3)];
        survives(&VideoOrientation { back_camera: flags[0], flip: flags[1], rotation })?;
        survives(&VideoContentType(a))?;
        let [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11] = words;
        survives(&VideoTiming {
            flags: a, encode_start: w0, encode_finish: w1, packetized: w2, pacer_exit: w3, network: [w4, w5],
        })?;
        let mastering = MasteringMetadata {
            luminance_max: w0, luminance_min: w1, red: [w2, w3], green: [w4, w5], blue: [w6, w7], white: [w8, w9],
        };
        let hdr = HdrMetadata { mastering, max_content_light_level: w10, max_frame_average_light_level: w11 };
        let siting = |at: u8| [ChromaSiting::Unspecified, ChromaSiting::Collocated, ChromaSiting::Half, ChromaSiting::Reserved][usize::from(at & 3)];
        survives(&ColorSpace {
            primaries: a, transfer: b, matrix: a ^ b, hdr: flags[2].then_some(hdr),
            range: [Range::Invalid, Range::Limited, Range::Full, Range::Derived][usize::from(b & 3)],
            horizontal_siting: siting(a), vertical_siting: siting(b),
        })?;
    }

    #[test]
    fn layers_come_back_as_they_were(
        stream in 0..4_u8, more in 0..4_u8, sized: bool, common: bool,
        counts in prop::collection::vec(0..5_u8, 16), rates: [u32; 4], size: [u16; 2], frames: u8,
    ) {
        let streams = (stream + more).min(3) + 1;
        let layers: Vec<SpatialLayer> = (0..streams * 4).filter_map(|at| {
            let place = if common { at % 4 } else { at };
            let temporal_layers = counts[usize::from(place)];
            let mut kbps = rates;
            kbps[usize::from(temporal_layers)..].fill(0);
            let resolution = Resolution { width: u32::from(size[0]) + 1, height: u32::from(size[1]) + 1 };
            (temporal_layers > 0).then_some(SpatialLayer {
                stream: at / 4, spatial_id: at % 4, temporal_layers, kbps,
                resolution: sized.then_some((resolution, frames)),
            })
        }).collect();
        prop_assume!(!layers.is_empty());
        let allocation = LayersAllocation::new(stream, streams, &layers).unwrap();
        prop_assert_eq!(allocation.layers(), &layers[..]);
        survives(&allocation)?;
    }

    #[test]
    fn any_bytes_are_refused_or_come_back(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        // What was read is written as something that reads alike.
        macro_rules! check {
            ($($kind:ty),*) => {$(
                if let Some(value) = <$kind>::read(&bytes) {
                    let again = bytes_of(&value);
                    prop_assert_eq!(<$kind>::read(&again), Some(value));
                }
            )*};
        }
        check!(
            Mid, Rid, RepairedRid, AudioLevel, AbsSendTime, TransportSequence, TransportSequence2, AbsCaptureTime,
            PlayoutDelay, VideoOrientation, VideoContentType, VideoTiming, ColorSpace, LayersAllocation
        );
    }
}
