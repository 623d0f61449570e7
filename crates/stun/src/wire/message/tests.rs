use proptest::prelude::*;
use proto::Writer;

use super::super::{Encoder, UnknownAttributes};
use super::*;

fn key() -> IntegrityKey {
    IntegrityKey::short_term(crypto::rust_crypto(), "a password of 22 chars")
}

fn encode(attributes: &[Attribute<'_>], key: Option<&IntegrityKey>) -> Vec<u8> {
    let mut memory = [0; 4096];
    let mut out = Writer::new(&mut memory);
    out.put(b"before").unwrap(); // an encoder need not begin at the start of its writer
    let mut encoder =
        Encoder::new(&mut out, Class::Request, Method::BINDING, TransactionId([5; 12])).unwrap();
    for attribute in attributes {
        encoder.attribute(*attribute).unwrap();
    }
    encoder.finish(key).unwrap();
    out.written()[6..].to_vec()
}

#[test]
fn every_type_of_message_joins_and_splits() {
    for kind in 0..0x4000 {
        let (class, method) = split_type(kind);
        assert_eq!(join_type(class, method), kind);
    }
    for number in 0..0x1000 {
        let method = Method::new(number).unwrap();
        assert_eq!(method.number(), number);
        assert_eq!(split_type(join_type(Class::Indication, method)), (Class::Indication, method));
    }
    assert_eq!(Method::new(0x1000), None);
    assert_eq!(join_type(Class::Success, Method::BINDING), 0x0101);
    assert_eq!(join_type(Class::Error, Method::BINDING), 0x0111);
    assert_eq!(split_type(0x0113), (Class::Error, Method(3)), "Allocate error response, RFC 8656");
}

#[test]
fn every_prefix_and_every_longer_message_is_refused() {
    let bytes = encode(&[Attribute::Username("a:b"), Attribute::Priority(7)], Some(&key()));
    assert!((0..bytes.len()).all(|cut| Message::decode(&bytes[..cut]).is_err()));
    let longer = [&bytes[..], &[0; 4]].concat();
    assert_eq!(Message::decode(&longer).unwrap_err(), DecodeError::NotStun);
}

/// THREATS I4: `length % 4 != 0`.
#[test]
fn a_length_that_is_no_multiple_of_four_is_refused() {
    let mut bytes = encode(&[], None);
    for len in [1_u8, 2, 3, 9] {
        bytes[3] = len;
        bytes.truncate(20);
        bytes.resize(20 + usize::from(len), 0);
        assert_eq!(Message::decode(&bytes).unwrap_err(), DecodeError::NotStun);
    }
}

#[test]
fn a_message_of_65535_bytes_is_the_longest() {
    let value = vec![0; 65_535 - 3 - 4 - 8];
    let mut memory = vec![0; 70_000];
    let mut out = Writer::new(&mut memory);
    let id = TransactionId([5; 12]);
    let mut encoder = Encoder::new(&mut out, Class::Request, Method::BINDING, id).unwrap();
    encoder.attribute(Attribute::Unknown { kind: 0x8099, value: &value }).unwrap();
    encoder.finish(None).unwrap();
    assert_eq!(Message::decode(out.written()).unwrap().attributes().count(), 2);

    let mut memory = vec![0; 70_000];
    let mut out = Writer::new(&mut memory);
    let mut encoder = Encoder::new(&mut out, Class::Request, Method::BINDING, id).unwrap();
    encoder.attribute(Attribute::Unknown { kind: 0x8099, value: &value }).unwrap();
    encoder.attribute(Attribute::UseCandidate).unwrap();
    assert!(encoder.finish(None).is_err());
}

#[test]
fn sixty_four_attributes_are_taken_and_one_more_is_not() {
    let attributes = [Attribute::UseCandidate; 64];
    assert!(Message::decode(&encode(&attributes[..63], None)).is_ok(), "63 and the fingerprint");
    assert_eq!(Message::decode(&encode(&attributes, None)).unwrap_err(), DecodeError::TooManyAttributes);
}

#[test]
fn a_flipped_bit_is_noticed() {
    let key = key();
    let bytes = encode(&[Attribute::Username("a:b"), Attribute::Priority(7)], Some(&key));
    assert_eq!(Message::decode(&bytes).unwrap().verify(&key), Ok(()));
    // The fingerprint's own type and length are behind what is signed: changed, it is ignored.
    let header_of_fingerprint = (bytes.len() - 8) * 8..(bytes.len() - 4) * 8;
    for bit in (0..bytes.len() * 8).filter(|bit| !header_of_fingerprint.contains(bit)) {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let fine = Message::decode(&bytes).is_ok_and(|message| message.verify(&key).is_ok());
        assert!(!fine, "bit {bit}");
    }
}

#[test]
fn wrong_keys_and_missing_codes_are_told_apart() {
    let other = IntegrityKey::short_term(crypto::rust_crypto(), "another one");
    let bytes = encode(&[], Some(&other));
    assert_eq!(Message::decode(&bytes).unwrap().verify(&key()), Err(IntegrityError::Forged));
    let bytes = encode(&[], None);
    assert_eq!(Message::decode(&bytes).unwrap().verify(&key()), Err(IntegrityError::Missing));
    assert_eq!(format!("{:?}", key()), "IntegrityKey([redacted])");
}

/// RFC 8489 §9, for either code.
#[test]
fn attributes_behind_the_integrity_code_are_ignored() {
    for (key, code) in [(key(), 0x0008), (key().with_sha256(), 0x001c)] {
        let mut memory = [0; 512];
        let mut out = Writer::new(&mut memory);
        let id = TransactionId([5; 12]);
        let mut encoder = Encoder::new(&mut out, Class::Request, Method::BINDING, id).unwrap();
        encoder.attribute(Attribute::Priority(1)).unwrap();
        encoder.finish_without_fingerprint(Some(&key)).unwrap();
        // An attacker appends what would nominate, and what must be understood.
        out.put(&[0, 0x25, 0, 0, 0, 0x77, 0, 0]).unwrap();
        let len = u16::try_from(out.len() - 20).unwrap();
        out.patch_u16(2, len).unwrap();
        let message = Message::decode(out.written()).unwrap();
        assert_eq!(message.verify(&key), Ok(()));
        let seen: Vec<_> = message.attributes().map(|attribute| attribute.kind()).collect();
        assert_eq!(seen, [0x0024, code]);
        assert_eq!(message.unknown_required().count(), 0);
    }
}

#[test]
fn the_longer_code_is_the_one_that_counts() {
    let key256 = key().with_sha256();
    let bytes = encode(&[Attribute::Priority(1)], Some(&key256));
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.verify(&key()), Ok(()), "a key verifies both");
    assert!(
        message
            .attributes()
            .any(|a| matches!(a, Attribute::MessageIntegritySha256(code) if code.len() == 32))
    );

    // Both codes, the second one wrong: refused although the first is right.
    let mut memory = [0; 512];
    let mut out = Writer::new(&mut memory);
    let encoder = Encoder::new(&mut out, Class::Request, Method::BINDING, TransactionId([5; 12])).unwrap();
    encoder.finish_without_fingerprint(Some(&key())).unwrap();
    out.put(&[0, 0x1c, 0, 16]).unwrap();
    out.put_zeros(16).unwrap();
    let len = u16::try_from(out.len() - 20).unwrap();
    out.patch_u16(2, len).unwrap();
    assert_eq!(Message::decode(out.written()).unwrap().verify(&key()), Err(IntegrityError::Forged));
}

/// RFC 8489 §9.1.3: whoever asked with the longer code is answered with it, by a key that signs with the shorter one
/// otherwise.
#[test]
fn an_answer_can_have_the_longer_code_whatever_its_key_signs_with() {
    let mut memory = [0; 100];
    let mut out = Writer::new(&mut memory);
    let answer = Encoder::new(&mut out, Class::Success, Method::BINDING, TransactionId([3; 12])).unwrap();
    answer.finish_with_sha256(&key()).unwrap();
    let message = Message::decode(out.written()).unwrap();
    assert!(message.is_signed_with_sha256());
    assert_eq!(message.verify(&key()), Ok(()));
    let kinds: Vec<_> = message.attributes().map(|attribute| attribute.kind()).collect();
    assert_eq!(kinds, [0x001c, 0x8028]);
}

/// RFC 8489 §14.5, §14.6: whatever stands behind a code, a further one of its kind too, is ignored.
#[test]
fn of_two_codes_of_a_kind_the_first_counts() {
    for (key, kind, len) in [(key(), 0x0008, 20), (key().with_sha256(), 0x001c, 32)] {
        let mut memory = [0; 512];
        let mut out = Writer::new(&mut memory);
        let encoder =
            Encoder::new(&mut out, Class::Request, Method::BINDING, TransactionId([5; 12])).unwrap();
        encoder.finish_without_fingerprint(Some(&key)).unwrap();
        out.put_u16(kind).unwrap();
        out.put_u16(len).unwrap();
        out.put_zeros(len.into()).unwrap();
        let body = u16::try_from(out.len() - 20).unwrap();
        out.patch_u16(2, body).unwrap();
        assert_eq!(Message::decode(out.written()).unwrap().verify(&key), Ok(()), "{kind:#06x}");
    }
}

#[test]
fn a_message_is_signed_if_it_has_either_code() {
    for (key, signed, with_sha256) in
        [(None, false, false), (Some(key()), true, false), (Some(key().with_sha256()), true, true)]
    {
        let bytes = encode(&[Attribute::Priority(1)], key.as_ref());
        let message = Message::decode(&bytes).unwrap();
        assert_eq!((message.is_signed(), message.is_signed_with_sha256()), (signed, with_sha256));
    }
}

/// RFC 8489 §14.1, §14.2: the form that no middlebox rewrites is preferred, wherever it stands.
#[test]
fn the_plain_address_counts_only_without_the_one_in_disguise() {
    let plain = Attribute::MappedAddress(([192, 0, 2, 1], 1).into());
    let second = Attribute::MappedAddress(([192, 0, 2, 2], 2).into());
    let disguised = Attribute::XorMappedAddress(([192, 0, 2, 3], 3).into());
    for (attributes, port) in [
        (&[][..], None),
        (&[plain], Some(1)),
        (&[plain, second], Some(1)),
        (&[plain, disguised], Some(3)),
        (&[disguised, plain], Some(3)),
    ] {
        let bytes = encode(attributes, None);
        let mapped = Message::decode(&bytes).unwrap().mapped_address();
        assert_eq!(mapped.map(|address| address.port()), port, "{attributes:?}");
    }
}

#[test]
fn a_fingerprint_must_be_last() {
    let mut bytes = encode(&[], None);
    bytes.extend([0x80, 0x99, 0, 0]);
    bytes[3] += 4;
    assert_eq!(Message::decode(&bytes).unwrap_err(), DecodeError::Fingerprint);
}

#[test]
fn stun_is_told_from_the_rest_by_its_first_byte_and_cookie() {
    let mut bytes = encode(&[], None);
    assert!(is_stun(&bytes));
    assert!(!is_stun(&bytes[..19]));
    for first in 0x40..=0xff {
        bytes[0] = first;
        assert!(!is_stun(&bytes));
    }
    assert!(!is_stun(&[0; 20]));
}

#[test]
fn unknown_types_that_must_be_understood_are_listed() {
    let attributes = [
        Attribute::Unknown { kind: 0x0077, value: &[] },
        Attribute::Unknown { kind: 0xc057, value: &[0, 0, 0, 1] },
        Attribute::Unknown { kind: 0x7ffe, value: &[1] },
        Attribute::Unknown { kind: 0x7fff, value: &[] },
        Attribute::Unknown { kind: 0x8040, value: &[] },
    ];
    let bytes = encode(&attributes, None);
    let message = Message::decode(&bytes).unwrap();
    assert!(message.unknown_required().eq([0x0077, 0x7ffe, 0x7fff]));
}

fn attribute() -> impl Strategy<Value = Owned> {
    prop_oneof![
        (any::<bool>(), any::<SocketAddr>()).prop_map(|(xor, address)| {
            // Flow and scope of an IPv6 address are not on the wire.
            Owned::Address(xor, SocketAddr::new(address.ip(), address.port()))
        }),
        "[a-z:+/é]{0,60}".prop_map(Owned::Text),
        any::<u32>().prop_map(Owned::Priority),
        (any::<bool>(), any::<u64>()).prop_map(|(ing, tie)| Owned::Role(ing, tie)),
        (300..700_u16, "[ -~]{0,20}").prop_map(|(code, reason)| Owned::Error(code, reason)),
        proptest::collection::vec(any::<u16>(), 0..9).prop_map(Owned::List),
        (0x8031..=0xffff_u16, proptest::collection::vec(any::<u8>(), 0..50))
            .prop_map(|(kind, value)| Owned::Unknown(kind, value)),
    ]
}

#[derive(Clone, Debug)]
enum Owned {
    Address(bool, SocketAddr),
    Text(String),
    Priority(u32),
    Role(bool, u64),
    Error(u16, String),
    List(Vec<u16>),
    Unknown(u16, Vec<u8>),
}

impl Owned {
    fn lend(&self) -> Attribute<'_> {
        match self {
            Self::Address(true, address) => Attribute::XorMappedAddress(*address),
            Self::Address(false, address) => Attribute::MappedAddress(*address),
            Self::Text(text) => Attribute::Username(text),
            Self::Priority(value) => Attribute::Priority(*value),
            Self::Role(true, tie) => Attribute::IceControlling(*tie),
            Self::Role(false, tie) => Attribute::IceControlled(*tie),
            Self::Error(code, reason) => Attribute::ErrorCode(ErrorCode { code: *code, reason }),
            Self::List(types) => Attribute::UnknownAttributes(UnknownAttributes::new(types)),
            Self::Unknown(kind, value) => Attribute::Unknown { kind: *kind, value },
        }
    }
}

proptest! {
    #[test]
    fn decodes_what_it_encodes(list in proptest::collection::vec(attribute(), 0..12), signed: bool) {
        let attributes: Vec<_> = list.iter().map(Owned::lend).collect();
        let key = key();
        let bytes = encode(&attributes, signed.then_some(&key));
        let message = Message::decode(&bytes).unwrap();
        prop_assert_eq!(message.verify(&key).is_ok(), signed);
        let tail = if signed { 2 } else { 1 };
        let seen: Vec<_> = message.attributes().collect();
        prop_assert_eq!(seen.len(), attributes.len() + tail);
        for (seen, sent) in seen.iter().zip(&attributes) {
            if let (Attribute::UnknownAttributes(seen), Attribute::UnknownAttributes(sent)) = (seen, sent) {
                prop_assert!(seen.types().eq(sent.types()));
            } else {
                prop_assert_eq!(seen, sent);
            }
        }
        for cut in 0..bytes.len() {
            prop_assert!(Message::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::decode(&bytes) {
            message.attributes().count();
        }
    }

    #[test]
    fn mutated_messages_decode_or_are_refused(
        list in proptest::collection::vec(attribute(), 0..6),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let attributes: Vec<_> = list.iter().map(Owned::lend).collect();
        let mut bytes = encode(&attributes, Some(&key()));
        bytes.truncate(bytes.len() - 8); // without the fingerprint, so that changes get deep
        let len = u16::try_from(bytes.len() - 20).unwrap();
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(message) = Message::decode(&bytes) {
            message.attributes().count();
            let _ = message.verify(&key());
        }
    }
}

/// RFC 8489 §14: of two the first counts; §14.5: behind the integrity code none does.
#[test]
fn what_is_noted_while_decoding_is_what_the_attributes_say() {
    let (first, second) = (Attribute::Username("a:b"), Attribute::Username("c:d"));
    let unknown = Attribute::Unknown { kind: 0x7ffe, value: b"ab" };
    let optional = Attribute::Unknown { kind: 0x8ffe, value: b"ab" };
    let code = Attribute::MessageIntegrity(&[7; 20]);
    let code_256 = Attribute::MessageIntegritySha256(&[7; 32]);
    let list: [&[Attribute<'_>]; 9] = [
        &[],
        &[first],
        &[first, second],
        &[optional, second, first, unknown],
        &[code, first, unknown],
        &[code_256, first, unknown],
        &[unknown, code, first],
        &[first, code, second, unknown, code_256],
        &[optional, code, code_256],
    ];
    for attributes in list {
        let bytes = encode(attributes, None);
        let message = Message::decode(&bytes).unwrap();
        let username = message.attributes().find_map(|attribute| match attribute {
            Attribute::Username(name) => Some(name),
            _ => None,
        });
        assert_eq!(message.username(), username, "{attributes:?}");
        let unknown = message
            .attributes()
            .filter(|attribute| matches!(attribute, Attribute::Unknown { .. }) && attribute.kind() < 0x8000);
        assert!(message.unknown_required().eq(unknown.map(|attribute| attribute.kind())), "{attributes:?}");
    }
}
