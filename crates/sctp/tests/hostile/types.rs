//! C7: chunks and parameters that are not known, and those of extensions that are not there.

use sctp::wire::{Chunk, Parameter};
use sctp::{Config, Discard, StreamId};

use crate::common::victim::{
    COOKIE_ECHO, ERROR, INIT_ACK, PEER_TAG, Victim, abilities, complaint, find, init, kinds, packet,
    parameter,
};

const KNOWN: [u8; 15] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192];

#[test]
fn c7_all_256_chunk_types_are_known_or_follow_their_upper_bits() {
    for kind in 0..=255u8 {
        if KNOWN.contains(&kind) {
            // These decode to themselves, or not at all.
            let bytes = crate::common::victim::raw(1, &[kind, 0, 0, 4]);
            if let Ok(packet) = sctp::wire::Packet::decode(&bytes) {
                assert!(!matches!(packet.chunks().next(), Some(Chunk::Unknown { .. })), "{kind}");
            }
            continue;
        }
        for len in [0, 1, 4, 1000] {
            let mut victim = Victim::new(Config::default());
            let value: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let unknown = Chunk::Unknown { kind, flags: 0x5a, value: &value };
            let (before, behind) = (victim.message(0, 0, 0, b"before"), victim.message(1, 0, 1, b"behind"));
            let tag = victim.tag;
            let taken = victim.give_under(tag, &[before, unknown, behind]);
            let goes_on = kind & 0x80 != 0;
            let expected: &[&[u8]] = if goes_on { &[b"before", b"behind"] } else { &[b"before"] };
            assert_eq!(
                (taken, victim.read(0)),
                (Ok(()), expected.iter().map(|it| it.to_vec()).collect()),
                "{kind}"
            );
            let sent = victim.sent();
            let [a, b] = (len as u16 + 4).to_be_bytes();
            let whole: Vec<u8> =
                [kind, 0x5a, a, b].into_iter().chain(value.iter().copied()).take(256).collect();
            let report = (kind & 0x40 != 0).then(|| (PEER_TAG, vec![(6, whole)]));
            assert_eq!(complaint(&sent, ERROR), report, "{kind}");
            assert!(victim.end.is_connected(), "{kind}");
            // Alone it is refused with the reason, or skipped.
            let taken = victim.give(&unknown);
            assert_eq!(taken, if goes_on { Ok(()) } else { Err(Discard::UnknownChunk) }, "{kind}");
        }
    }
}

/// Which parameter types are tried: all of them in full, else every so many and the registered ones.
fn parameter_types() -> impl Iterator<Item = u16> {
    let step = 65_536 / testkit::scaled_at_least(65_536, 1_024);
    (0..65_536u64).filter(move |kind| kind % step == 0 || kind & 0x3fff < 16).map(|kind| kind as u16)
}

/// Those that mean something to us, in an INIT or elsewhere.
fn is_known(kind: u16) -> bool {
    matches!(kind, 5..=9 | 11..=18 | 0x8000 | 0x8002..=0x8004 | 0x8008 | 0xc000 | 0xc006)
}

#[test]
fn c7_all_parameter_types_of_an_init_are_known_or_follow_their_upper_bits() {
    for kind in parameter_types().filter(|kind| !is_known(*kind)) {
        let unknown = parameter(&Parameter::Unknown { kind, value: b"abcde" });
        let parameters = [&unknown[..], &abilities()].concat();
        let mut victim = Victim::listening(Config::default());
        victim.give_under(0, &[Chunk::Init(init(&parameters))]).unwrap();
        let sent = victim.sent();
        let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else {
            panic!("{kind:x}: an INIT ACK in any case")
        };
        let reports: Vec<Vec<u8>> = ack
            .parameters
            .iter()
            .filter_map(|it| match it {
                Parameter::Unknown { kind: 8, value } => Some(value.to_vec()),
                _ => None,
            })
            .collect();
        let expected = if kind & 0x4000 != 0 { vec![unknown[..9].to_vec()] } else { vec![] };
        assert_eq!(reports, expected, "{kind:x}");
        // What stands behind is read only if the upper bit says so: the cookie tells.
        let cookie = crate::common::victim::cookie(&ack);
        assert_eq!(cookie[38] == 3, kind & 0x8000 != 0, "{kind:x}");
    }
}

#[test]
fn c7_all_parameter_types_of_an_init_ack_are_known_or_follow_their_upper_bits() {
    for kind in parameter_types().filter(|kind| !is_known(*kind)) {
        let unknown = parameter(&Parameter::Unknown { kind, value: b"abcde" });
        let mut victim = Victim::asking(Config::default());
        let parameters = [&parameter(&Parameter::StateCookie(b"cookie"))[..], &unknown].concat();
        victim.give(&Chunk::InitAck(init(&parameters))).unwrap();
        let sent = victim.sent();
        let reported = kind & 0x4000 != 0;
        // RFC 9260 §3.2.2: with the COOKIE ECHO, which comes first.
        let expected: &[u8] = if reported { &[COOKIE_ECHO, ERROR] } else { &[COOKIE_ECHO] };
        assert_eq!(kinds(&sent), expected, "{kind:x}");
        if reported {
            assert_eq!(complaint(&sent, ERROR), Some((PEER_TAG, vec![(8, unknown)])), "{kind:x}");
        }
    }
}

#[test]
fn c7_every_parameter_to_be_reported_is_as_far_as_there_is_room() {
    let unknown: Vec<Vec<u8>> = (0..40u16)
        .map(|nth| parameter(&Parameter::Unknown { kind: 0xc100 + nth, value: &vec![1; usize::from(nth)] }))
        .collect();
    let mut victim = Victim::listening(Config::default());
    victim.give_under(0, &[Chunk::Init(init(&unknown.concat()))]).unwrap();
    let sent = victim.sent();
    let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else { panic!() };
    let reports = ack.parameters.iter().filter(|it| matches!(it, Parameter::Unknown { kind: 8, .. })).count();
    assert_eq!(reports, 18, "256 bytes of them");
    // As parameters without a value, the report of each being twice as long.
    let many = parameter(&Parameter::Unknown { kind: 0xc100, value: &[] }).repeat(600);
    victim.give_under(0, &[Chunk::Init(init(&many))]).unwrap();
    assert_eq!(kinds(&victim.sent()), [INIT_ACK]);
}

/// RFC 5061's ASCONF, RFC 4895's AUTH: what names addresses or keys changes nothing.
#[test]
fn c7_addresses_and_keys_of_extensions_have_no_effect() {
    let mut victim = Victim::new(Config::default());
    let mut twin = Victim::new(Config::default());
    let address = parameter(&Parameter::Unknown { kind: 5, value: &[10, 0, 0, 1] });
    let mut change = vec![0, 0, 0, 1];
    change.extend(parameter(&Parameter::Unknown {
        kind: 0xc001,
        value: &[&[0, 0, 0, 2], &address[..]].concat(),
    }));
    change.extend(parameter(&Parameter::Unknown {
        kind: 0xc004,
        value: &[&[0, 0, 0, 3], &address[..]].concat(),
    }));
    for kind in [0xc1, 0x80, 0x0f] {
        let _ = victim.give(&Chunk::Unknown { kind, flags: 0, value: &change });
        victim.sent();
    }
    // Address parameters of an INIT neither are understood nor reported.
    let addresses = [&address[..], &parameter(&Parameter::Unknown { kind: 6, value: &[1; 16] })].concat();
    let mut other = Victim::listening(Config::default());
    other.give_under(0, &[Chunk::Init(init(&addresses))]).unwrap();
    let sent = other.sent();
    let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else { panic!() };
    assert!(!ack.parameters.iter().any(|it| matches!(it, Parameter::Unknown { .. })));
    // It goes on as one that has seen none of this.
    for end in [&mut victim, &mut twin] {
        end.end.open(StreamId(1), Default::default()).unwrap();
        end.end.send(end.now, StreamId(1), sctp::Ppid(53), &mut (&b"x"[..]).into(), true).unwrap();
    }
    assert_eq!(victim.sent(), twin.sent());
    assert_eq!(victim.events, twin.events);
}

/// RFC 9260 §3.2.1.4: a host name is refused, in both chunks of the handshake.
#[test]
fn c7_a_host_name_is_answered_with_an_abort() {
    let name = parameter(&Parameter::Unknown { kind: 11, value: b"example\0" });
    let mut victim = Victim::listening(Config::default());
    assert!(victim.give_bytes(&packet(0, &[Chunk::Init(init(&name))])).is_err());
    assert_eq!(complaint(&victim.sent(), 6), Some((PEER_TAG, vec![(5, vec![])])));
    assert!(!victim.end.is_closed(), "nothing was there that could end");
    let mut victim = Victim::asking(Config::default());
    let parameters = [&parameter(&Parameter::StateCookie(b"cookie"))[..], &name].concat();
    victim.give(&Chunk::InitAck(init(&parameters))).unwrap();
    assert_eq!(complaint(&victim.sent(), 6), Some((PEER_TAG, vec![(5, vec![])])));
    assert!(victim.end.is_closed());
}
