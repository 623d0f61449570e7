//! Reading a packet never panics, what reads writes to the same bytes, any changes leave a packet with the same
//! payload and stay within the memory, and repair is refused or gives a packet.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rtp::fec::{Format, Repair, protect};
use rtp::{Encoder, Packet, PacketMut, PayloadType, SequenceNumber, Ssrc, Writer, rtx};

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Set(u8, &'a [u8]),
    Remove(u8),
    /// Other identifiers, of which some are missing.
    Map(u8),
    Widen,
    Trim,
    Strip,
    Pad(u8),
    /// A retransmission, and back.
    Wrap,
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    steps: Vec<Step<'a>>,
    room: u8,
    packet: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    repair(input.packet);
    let Ok(packet) = Packet::decode(input.packet) else { return };
    let sources: Vec<Ssrc> = packet.csrcs().collect();
    if packet.extension().is_none() {
        let mut memory = vec![0; input.packet.len()];
        let mut out = Writer::new(&mut memory);
        let again = Encoder::new(&mut out, packet.header(), &sources).expect("room");
        again.finish(packet.payload(), packet.padding()).expect("room");
        // What stands in padding is anybody's.
        let end = packet.header_len() + packet.payload().len();
        assert_eq!(out.written()[..end], input.packet[..end]);
    }
    let payload = packet.payload();
    let mut memory = input.packet.to_vec();
    memory.resize(input.packet.len() + usize::from(input.room), 0);
    memory.extend([0xee; 16]);
    let (lent, behind) = memory.split_at_mut(input.packet.len() + usize::from(input.room));
    let mut packet = PacketMut::decode(lent, input.packet.len()).expect("it decoded");
    for step in input.steps {
        let before = packet.bytes().to_vec();
        let done = match step {
            Step::Set(id, value) => {
                let done = packet.set_element(id, value);
                assert!(done.is_err() || packet.as_packet().element(id) == Some(value));
                done
            }
            Step::Remove(id) => {
                packet.remove_element(id);
                assert_eq!(packet.as_packet().element(id), None);
                Ok(())
            }
            Step::Map(key) => packet.map_elements(|id| (id % 3 > 0).then_some(id ^ key)),
            Step::Widen => packet.widen_elements(),
            Step::Trim => {
                packet.trim_elements();
                Ok(())
            }
            Step::Strip => {
                packet.remove_extension();
                Ok(())
            }
            Step::Pad(count) => packet.set_padding(count),
            Step::Wrap => {
                let header = packet.as_packet().header();
                let original = rtx::Stream { ssrc: header.ssrc, payload_type: header.payload_type };
                let stream = rtx::Stream { ssrc: Ssrc(1), payload_type: PayloadType::default() };
                rtx::wrap(&mut packet, stream, SequenceNumber(1)).inspect(|()| {
                    assert_eq!(packet.as_packet().padding(), 0);
                    rtx::unwrap(&mut packet, original).expect("it was wrapped");
                    assert_eq!(packet.as_packet().header(), header);
                })
            }
        };
        if done.is_err() {
            assert_eq!(packet.bytes(), before);
        }
        let again = Packet::decode(packet.bytes()).expect("still a packet");
        assert_eq!(again.payload(), payload);
        assert!(again.csrcs().eq(sources.iter().copied()));
    }
    assert_eq!(behind, [0xee; 16]);
});

fn repair(bytes: &[u8]) {
    for format in [Format::Ulp, Format::Flex03, Format::Flex] {
        let mut memory = vec![0; bytes.len() + 100];
        let mut out = Writer::new(&mut memory);
        if let Ok(repair) = Repair::decode(format, bytes) {
            let mask = repair.protected().mask;
            assert!((1..=255).contains(&mask.numbers().count()));
            let _ = repair.recover(Ssrc(1), mask.base(), [], &mut out);
            out.truncate(0);
        }
        // A repair of one packet alone gives that packet back.
        let Ok(packet) = Packet::decode(bytes) else { continue };
        if protect(format, std::iter::once(bytes), &mut out).is_ok() {
            let mut memory = vec![0; bytes.len()];
            let mut recovered = Writer::new(&mut memory);
            let repair = Repair::decode(format, out.written()).expect("own output");
            let header = packet.header();
            repair
                .recover(header.ssrc, header.sequence_number, [], &mut recovered)
                .expect("nothing else is needed");
            assert_eq!(recovered.written(), bytes);
        }
    }
}
