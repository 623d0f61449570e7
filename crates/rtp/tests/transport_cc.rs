//! Feedback on all packets of a transport.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::panic,
    reason = "of many kinds of packet a test is about few"
)]

mod support;

use proptest::prelude::*;
use proto::{NoSpace, Writer};
use rtp::rtcp::{
    Arrived, Compound, Encoder, MAX_SPAN, Packet, TransportCc, TransportFeedback, TransportRun,
    TransportStatus,
};
use rtp::{DecodeError, SequenceNumber, Ssrc};
use support::hex;

const HEADER: TransportFeedback =
    TransportFeedback { sender: Ssrc(1), media: Ssrc(2), feedback_count: 3, base: None };

fn write(arrived: &[Arrived], room: usize) -> Result<(usize, Vec<u8>), NoSpace> {
    let mut memory = vec![0; room];
    let mut out = Writer::new(&mut memory);
    let taken = Encoder::new(&mut out).transport_cc(HEADER, arrived.iter().copied())?;
    Ok((taken, out.written().to_vec()))
}

fn read(bytes: &[u8]) -> Result<TransportCc<'_>, DecodeError> {
    match Compound::decode(bytes).unwrap().packets().next().unwrap()? {
        Packet::TransportCc(it) => Ok(it),
        other => panic!("{other:?}"),
    }
}

/// Feedback from its parts: first number, count, chunks and times.
fn feedback(base: u16, count: u16, rest: &str) -> Vec<u8> {
    let mut bytes = hex(&format!("8f cd 0000 00000001 00000002 {base:04x} {count:04x} 000001 09 {rest}"));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes[3] = u8::try_from(bytes.len() / 4 - 1).unwrap();
    bytes
}

fn arrived(packets: &[(u16, u64)]) -> Vec<Arrived> {
    packets
        .iter()
        .map(|(sequence, ticks)| Arrived { sequence: SequenceNumber(*sequence), ticks: *ticks })
        .collect()
}

fn all(it: &TransportCc<'_>) -> Vec<(u16, u16, Option<i64>)> {
    let one = |run: TransportRun| match run.status {
        TransportStatus::Lost => (run.first.0, run.count, None),
        TransportStatus::Received { ticks } => (run.first.0, run.count, Some(ticks.unwrap_or(-1))),
    };
    it.statuses().map(one).collect()
}

#[test]
fn chunks_of_each_kind_are_read() {
    // draft-holmer-rmcat-transport-wide-cc-extensions §3.1.2 to §3.1.4: a run of three that have come, fourteen
    // of one bit, and seven of two.
    let bytes = feedback(65_534, 3 + 14 + 4, "2003 a002 d200 01 02 03 04 05 06 ffff");
    let it = read(&bytes).unwrap();
    assert_eq!((it.sender, it.media, it.base, it.count), (Ssrc(1), Ssrc(2), SequenceNumber(65_534), 21));
    assert_eq!((it.reference, it.feedback_count), (1, 9));
    // 0xa002: the first of fourteen and the last but one. 0xd200: small, lost, large, lost.
    let expected = [
        (65_534, 1, Some(257)),
        (65_535, 1, Some(259)),
        (0, 1, Some(262)),
        (1, 1, Some(266)),
        (2, 11, None),
        (13, 1, Some(271)),
        (14, 1, None),
        (15, 1, Some(277)),
        (16, 1, None),
        (17, 1, Some(276)),
        (18, 1, None),
    ];
    assert_eq!(all(&it), expected);
    assert_eq!(it.received().count(), 7);
}

#[test]
fn the_reference_has_a_sign() {
    let mut bytes = feedback(0, 1, "2001 05");
    bytes[16..19].copy_from_slice(&[0xff, 0xff, 0xfe]);
    let it = read(&bytes).unwrap();
    assert_eq!((it.reference, all(&it)), (-2, vec![(0, 1, Some(-512 + 5))]));
}

#[test]
fn feedback_without_times_is_read_in_runs() {
    let bytes = feedback(10, 30, "2009 8000 d555");
    let it = read(&bytes).unwrap();
    assert_eq!(all(&it), [(10, 9, Some(-1)), (19, 14, None), (33, 7, Some(-1))]);
    assert_eq!(it.received().count(), 0);
}

#[test]
fn feedback_that_claims_too_much_is_refused() {
    assert_eq!(read(&feedback(0, 5, "2002 2001")).map(drop), Err(DecodeError::Truncated), "chunks end");
    assert_eq!(
        read(&feedback(0, 9, "2009 010203040506")).map(drop),
        Err(DecodeError::Truncated),
        "times end"
    );
    assert_eq!(
        read(&feedback(0, 9, "6009 01020304")).map(drop),
        Err(DecodeError::Value),
        "a reserved symbol"
    );
    assert_eq!(read(&feedback(0, 2, "f000 0102")).map(drop), Err(DecodeError::Value), "a reserved symbol");
    assert_eq!(
        read(&feedback(0, 2, "0000 0002 00000000")).map(drop),
        Err(DecodeError::Value),
        "a run of nothing"
    );
    // What stands behind the last packet counts for nothing.
    assert_eq!(all(&read(&feedback(0, 1, "d300 0102")).unwrap()), [(0, 1, Some(257))]);
}

#[test]
fn what_browsers_pad_is_read() {
    // Chunks and times of five bytes, and padding of three with its flag: no whole word, as RFC 3550 would have it.
    let mut bytes = feedback(7, 3, "d500 01 02 03 000003");
    bytes[0] |= 0x20;
    assert_eq!(all(&read(&bytes).unwrap()), [(7, 1, Some(257)), (8, 1, Some(259)), (9, 1, Some(262))]);
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    Encoder::new(&mut out).packet(&Packet::TransportCc(read(&bytes).unwrap())).unwrap();
    assert_eq!(out.written(), bytes);
}

#[test]
fn the_chunks_are_the_shortest() {
    // All of one kind: a run. Few that differ: fourteen of one bit. Large ones: seven of two bits.
    let chunks = |packets: &[(u16, u64)]| {
        let (taken, bytes) = write(&arrived(packets), 1500).unwrap();
        assert_eq!(taken, packets.len());
        bytes[20..].to_vec()
    };
    let steady: Vec<(u16, u64)> = (0..100).map(|at| (at, u64::from(at) + 256)).collect();
    assert!(chunks(&steady).starts_with(&hex("2064 00 01 01")));
    let holes: Vec<(u16, u64)> = (0..7).map(|at| (2 * at, 256)).collect();
    assert!(chunks(&holes).starts_with(&hex("aaaa 00")), "thirteen, and one that is not there");
    assert_eq!(chunks(&[(0, 256), (1, 600), (2, 599)]), hex("da00 00 0158 ffff 01"));
    assert_eq!(chunks(&[(0, 256), (20_000, 256)])[..6], hex("a000 1fff 1fff"));
}

#[test]
fn what_is_missing_before_the_first_is_told() {
    let written = |base: u16, first: u16| {
        let mut memory = [0; 100];
        let mut out = Writer::new(&mut memory);
        let about = TransportFeedback { base: Some(SequenceNumber(base)), ..HEADER };
        let packets = arrived(&[(first, 600), (first.wrapping_add(1), 601)]);
        Encoder::new(&mut out).transport_cc(about, packets.into_iter()).unwrap();
        out.written().to_vec()
    };
    let bytes = written(65_534, 3);
    let it = read(&bytes).unwrap();
    assert_eq!((it.base, it.count, it.reference), (SequenceNumber(65_534), 7, 2));
    assert_eq!(all(&it), [(65_534, 5, None), (3, 1, Some(600)), (4, 1, Some(601))]);
    // As far as numbers can be told from those of before, and none that comes later.
    for (base, first, told) in
        [(0, MAX_SPAN - 1, 0), (0, MAX_SPAN, MAX_SPAN), (5, 5, 5), (6, 5, 5), (60_000, 40_000, 40_000)]
    {
        assert_eq!(read(&written(base, first)).unwrap().base, SequenceNumber(told), "{base} {first}");
    }
}

#[test]
fn feedback_ends_where_the_next_must_begin() {
    let taken = |packets: &[(u16, u64)]| write(&arrived(packets), 1500).unwrap().0;
    assert_eq!(taken(&[(0, 0), (MAX_SPAN - 1, 0), (MAX_SPAN, 0)]), 2, "numbers");
    assert_eq!(
        taken(&[(9, 0), (10, 32_767), (11, 65_535)]),
        2,
        "times: half a tick more than two bytes hold"
    );
    assert_eq!(taken(&[(9, 40_000), (10, 40_000 - 32_768), (11, 0)]), 3);
    assert_eq!(taken(&[(9, 40_000), (10, 40_000 - 32_769)]), 1);
    assert_eq!(taken(&[(9, 0), (8, 0)]), 1, "numbers rise");
    assert_eq!(taken(&[(9, 0), (9, 0)]), 1, "and none comes twice");
    assert_eq!(write(&[], 1500), Err(NoSpace));
}

#[test]
fn feedback_takes_what_there_is_room_for() {
    let packets: Vec<(u16, u64)> = (0..300).map(|at| (at * 3, u64::from(at) * 400)).collect();
    let mut last = 0;
    for room in 0..700 {
        match write(&arrived(&packets), room) {
            Ok((taken, bytes)) => {
                assert!(bytes.len() <= room && taken >= last, "{room}");
                let times: Vec<_> = read(&bytes).unwrap().received().collect();
                let expected: Vec<_> = arrived(&packets[..taken])
                    .iter()
                    .map(|it| (it.sequence, it.ticks.cast_signed()))
                    .collect();
                assert_eq!(times, expected);
                last = taken;
            }
            Err(NoSpace) => assert!(last == 0 && room < 24, "{room}"),
        }
    }
    assert!(last > 200, "{last}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arrivals_come_back_as_they_were(
        first: u16, start in 0..1_u64 << 31,
        steps in prop::collection::vec((prop_oneof![4 => Just(0_u16), 2 => 0..3_u16, 1 => 0..9000_u16], prop_oneof![6 => 0..40_i64, 1 => -200..400_i64]), 0..300),
        room in 24..1500_usize,
    ) {
        let mut packets = vec![Arrived { sequence: SequenceNumber(first), ticks: start }];
        for (gap, delta) in steps {
            let Arrived { sequence, ticks } = packets[packets.len() - 1];
            packets.push(Arrived { sequence: sequence.wrapping_add(gap).next(), ticks: ticks.saturating_add_signed(delta) });
        }
        // As many datagrams as it takes: none is lost between them.
        let mut left = &packets[..];
        let mut back = Vec::new();
        while !left.is_empty() {
            let (taken, bytes) = write(left, room).unwrap();
            prop_assert!(taken > 0 && bytes.len() % 4 == 0);
            let it = read(&bytes).unwrap();
            let reference = left[0].ticks / 256 * 256;
            prop_assert_eq!(i64::from(it.reference) * 256, i64::try_from(reference).unwrap() << 32 >> 32);
            let shift = reference.cast_signed() - i64::from(it.reference) * 256;
            back.extend(it.received().map(|(sequence, ticks)| Arrived { sequence, ticks: (ticks + shift).cast_unsigned() }));
            prop_assert_eq!(it.statuses().map(|run| u32::from(run.count)).sum::<u32>(), u32::from(it.count));
            left = &left[taken..];
        }
        prop_assert_eq!(back, packets);
    }

    #[test]
    fn any_chunks_are_refused_or_come_back(count: u16, words in prop::collection::vec(any::<u16>(), 1..30)) {
        let rest: String = words.iter().map(|word| format!("{word:04x}")).collect();
        let bytes = feedback(1, count % 200, &rest);
        if let Ok(it) = read(&bytes) {
            prop_assert_eq!(it.statuses().map(|run| u32::from(run.count)).sum::<u32>(), u32::from(it.count));
            let mut memory = [0; 200];
            let mut out = Writer::new(&mut memory);
            Encoder::new(&mut out).packet(&Packet::TransportCc(it)).unwrap();
            prop_assert!(read(out.written()).unwrap().statuses().eq(it.statuses()));
        }
    }
}
