use super::super::{Class, Encoder, Message, Method};
use super::*;

/// THREATS I2: every type that is interpreted, and some that are not, at every length.
#[test]
fn every_attribute_of_every_length_is_an_error_or_fine() {
    let mut accepted = 0;
    for kind in (0..=0x40).chain(0x8000..=0x8040).chain([0xc057, 0xffff]) {
        for len in 0..=40_u16 {
            for fill in [0, 1, 2, 3, 4, 0x41, 0xff] {
                let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
                bytes.extend([7; 12]);
                bytes.extend(kind_and(kind, len));
                bytes.extend(std::iter::repeat_n(fill, len.next_multiple_of(4).into()));
                let body = u16::try_from(bytes.len() - 20).unwrap();
                bytes[2..4].copy_from_slice(&body.to_be_bytes());
                if let Ok(message) = Message::decode(&bytes) {
                    accepted += 1;
                    assert_eq!(message.attributes().next().unwrap().kind(), kind);
                } else {
                    assert!(kind < 0x26 || (0x8022..=0x802a).contains(&kind), "{kind:#x} {len}");
                }
            }
        }
    }
    assert!(accepted > 1000);
}

fn kind_and(kind: u16, len: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (kind.to_be_bytes(), len.to_be_bytes());
    [a, b, c, d]
}

#[test]
fn fixed_sizes_are_minded() {
    let id = TransactionId([0; 12]);
    for (kind, right) in [
        (PRIORITY, 4),
        (USE_CANDIDATE, 0),
        (ICE_CONTROLLED, 8),
        (ICE_CONTROLLING, 8),
        (MESSAGE_INTEGRITY, 20),
        (FINGERPRINT, 4),
    ] {
        for len in 0..=40 {
            let decoded = Attribute::decode(kind, &[0; 40][..len], id);
            assert_eq!(decoded.is_ok(), len == right, "{kind:#x} {len}");
        }
    }
    for len in 0..=40 {
        let decoded = Attribute::decode(MESSAGE_INTEGRITY_SHA256, &[0; 40][..len], id);
        assert_eq!(decoded.is_ok(), [16, 20, 24, 28, 32].contains(&len));
        let address = [0, 1, 0, 9, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        if let Some(value) = address.get(..len) {
            assert_eq!(Attribute::decode(XOR_MAPPED_ADDRESS, value, id).is_ok(), len == 8);
        }
    }
}

/// RFC 8489 §14.15: as MAPPED-ADDRESS, so not in disguise.
#[test]
fn an_alternate_server_survives_the_wire() {
    let id = TransactionId([9; 12]);
    let server = Attribute::AlternateServer(([192, 0, 2, 4], 3478).into());
    let bytes = [0x80, 0x23, 0, 8, 0, 1, 0x0d, 0x96, 192, 0, 2, 4];
    let mut memory = [0; 12];
    server.encode(&mut Writer::new(&mut memory), id).unwrap();
    assert_eq!(memory, bytes);
    assert_eq!(Attribute::decode(0x8023, &bytes[4..], id), Ok(server));
}

#[test]
fn texts_are_limited_and_must_be_text() {
    let id = TransactionId([0; 12]);
    let long = [b'a'; 764];
    for kind in [USERNAME, REALM, NONCE] {
        assert!(Attribute::decode(kind, &long[..763], id).is_ok());
        assert_eq!(Attribute::decode(kind, &long, id), Err(DecodeError::Attribute(kind)));
    }
    assert!(Attribute::decode(NONCE, &[0xff], id).is_err());
    let software = Attribute::decode(SOFTWARE, &[0xff], id);
    assert_eq!(software, Ok(Attribute::Unknown { kind: SOFTWARE, value: &[0xff] }));
}

/// RFC 8489 §14.3, §14.8 to §14.10, §14.14: what is written is shorter than what must be read.
#[test]
fn texts_that_are_too_long_are_not_written() {
    let (long, wide) = ("a".repeat(509), "\u{20ac}".repeat(128));
    let cut = |text: &str| text.chars().take(127).collect::<String>();
    let (long_cut, wide_cut) = (cut(&long), cut(&wide));
    let written = |attribute: Attribute<'_>| {
        attribute.encode(&mut Writer::new(&mut [0; 1000]), TransactionId([0; 12])).is_ok()
    };
    assert!(written(Attribute::Username(&long[..508])) && !written(Attribute::Username(&long)));
    for (short, text) in [(&long_cut, &long), (&wide_cut, &wide)] {
        assert!(written(Attribute::Realm(short)) && !written(Attribute::Realm(text)));
        assert!(written(Attribute::Nonce(short)) && !written(Attribute::Nonce(text)));
        assert!(written(Attribute::Software(short)) && !written(Attribute::Software(text)));
        assert!(written(Attribute::ErrorCode(ErrorCode { code: 400, reason: short })));
        assert!(!written(Attribute::ErrorCode(ErrorCode { code: 400, reason: text })));
    }
}

/// RFC 8489 §14, §14.1, §14.2, §14.8: bits that are there to fill are written as zero and not read.
#[test]
fn bits_that_fill_are_zero_and_ignored() {
    let id = TransactionId([9; 12]);
    for fill in 0..=255 {
        for (kind, address) in [(MAPPED_ADDRESS, &[1, 0, 9, 1, 2, 3, 4][..]), (XOR_MAPPED_ADDRESS, &[2; 19])]
        {
            let (zero, filled) = ([&[0], address].concat(), [&[fill], address].concat());
            let decoded = Attribute::decode(kind, &zero, id);
            assert!(decoded.is_ok() && Attribute::decode(kind, &filled, id) == decoded);
        }
        let code = [fill, fill, fill << 3 | 4, 20];
        let Ok(Attribute::ErrorCode(error)) = Attribute::decode(ERROR_CODE, &code, id) else {
            panic!("{fill}")
        };
        assert_eq!(error.code, 420);
        // A name of five bytes, and three that fill.
        let mut bytes = vec![0, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([7; 12]);
        bytes.extend([0, 6, 0, 5, b'a', b':', b'b', b'c', b'd', fill, fill, fill]);
        assert_eq!(Message::decode(&bytes).unwrap().username(), Some("a:bcd"));
    }
    let mut memory = [0xff; 64];
    let mut out = Writer::new(&mut memory);
    Attribute::Username("a:bcd").encode(&mut out, id).unwrap();
    assert_eq!(out.written(), [0, 6, 0, 5, b'a', b':', b'b', b'c', b'd', 0, 0, 0]);
    out.truncate(0);
    Attribute::MappedAddress(([1, 2, 3, 4], 9).into()).encode(&mut out, id).unwrap();
    assert_eq!(out.written(), [0, 1, 0, 8, 0, 1, 0, 9, 1, 2, 3, 4]);
    out.truncate(0);
    Attribute::ErrorCode(ErrorCode { code: 699, reason: "" }).encode(&mut out, id).unwrap();
    assert_eq!(out.written(), [0, 9, 0, 4, 0, 0, 6, 99]);
}

#[test]
fn error_codes_are_between_300_and_699() {
    let id = TransactionId([0; 12]);
    for class in 0..=255 {
        for number in 0..=255 {
            let value = [0, 0, class, number, b'x'];
            let decoded = Attribute::decode(ERROR_CODE, &value, id);
            let valid = (3..=6).contains(&(class & 7)) && number < 100;
            assert_eq!(decoded.is_ok(), valid);
            if let Ok(Attribute::ErrorCode(error)) = decoded {
                assert_eq!(error.code, u16::from(class & 7) * 100 + u16::from(number));
            }
        }
    }
}

#[test]
fn a_list_of_unknown_attributes_survives_the_wire() {
    let types = [0x0030, 0x7fff, 0x0002];
    let mut memory = [0; 64];
    let mut out = Writer::new(&mut memory);
    let mut encoder = Encoder::new(&mut out, Class::Error, Method::BINDING, TransactionId([0; 12])).unwrap();
    encoder.attribute(Attribute::ErrorCode(ErrorCode { code: 420, reason: "" })).unwrap();
    encoder.attribute(Attribute::UnknownAttributes(UnknownAttributes::new(&types))).unwrap();
    encoder.finish(None).unwrap();
    let message = Message::decode(out.written()).unwrap();
    assert_eq!(message.error_code().unwrap().code, 420);
    let list = message.attributes().find_map(|attribute| match attribute {
        Attribute::UnknownAttributes(list) => Some(list.types().collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(list.unwrap(), types);
}
