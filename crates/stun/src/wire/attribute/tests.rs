use super::super::{Class, Encoder, Message, Method};
use super::*;

/// THREATS I2: every type that is interpreted, and some that are not, at every length.
#[test]
fn every_attribute_of_every_length_is_an_error_or_fine() {
    let mut accepted = 0;
    for kind in (0..=0x40).chain(0x8000..=0x8040).chain([0xc001, 0xc057, 0xffff]) {
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
                    assert!(kind <= 0x2a || (0x8000..=0x8030).contains(&kind), "{kind:#x} {len}");
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
        (CHANGE_REQUEST, 4),
        (RESPONSE_PORT, 4),
        (CHANNEL_NUMBER, 4),
        (LIFETIME, 4),
        (REQUESTED_ADDRESS_FAMILY, 4),
        (ADDITIONAL_ADDRESS_FAMILY, 4),
        (EVEN_PORT, 1),
        (REQUESTED_TRANSPORT, 4),
        (DONT_FRAGMENT, 0),
        (RESERVATION_TOKEN, 8),
        (CONNECTION_ID, 4),
        (ICMP, 8),
        (USERHASH, 32),
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

/// As libwebrtc writes it.
#[test]
fn a_nomination_is_a_number_of_four_bytes() {
    let id = TransactionId([9; 12]);
    let mut memory = [0; 12];
    Attribute::Nomination(0x0102_0304).encode(&mut Writer::new(&mut memory), id).unwrap();
    assert_eq!(memory, [0xc0, 0x01, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0]);
    assert_eq!(Attribute::decode(0xc001, &memory[4..8], id), Ok(Attribute::Nomination(0x0102_0304)));
    for value in [&[][..], &[1, 2, 3], &[1, 2, 3, 4, 5]] {
        assert_eq!(Attribute::decode(0xc001, value, id), Ok(Attribute::Unknown { kind: 0xc001, value }));
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

/// One of each of the attributes of relays, discovery and long-term credentials, and what RFC 8656 §18, RFC 5780 §7,
/// RFC 6062 §6.2, RFC 8016 §3.1 and RFC 8489 §14 say of its bytes.
#[test]
fn attributes_have_the_bytes_of_their_rfcs() {
    let id = TransactionId([9; 12]);
    let peer = ([192, 0, 2, 4], 3478).into();
    let algorithms = [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5, PasswordAlgorithm::Other(9)];
    let table: &[(Attribute<'_>, &[u8])] = &[
        (Attribute::ChannelNumber(0x4001), &[0, 0x0c, 0, 4, 0x40, 1, 0, 0]),
        (Attribute::Lifetime(600), &[0, 0x0d, 0, 4, 0, 0, 2, 0x58]),
        (Attribute::Data(b"abc"), &[0, 0x13, 0, 3, b'a', b'b', b'c', 0]),
        (Attribute::RequestedAddressFamily(AddressFamily::V6), &[0, 0x17, 0, 4, 2, 0, 0, 0]),
        (Attribute::EvenPort { reserve: true }, &[0, 0x18, 0, 1, 0x80, 0, 0, 0]),
        (Attribute::EvenPort { reserve: false }, &[0, 0x18, 0, 1, 0, 0, 0, 0]),
        (Attribute::RequestedTransport(17), &[0, 0x19, 0, 4, 17, 0, 0, 0]),
        (Attribute::DontFragment, &[0, 0x1a, 0, 0]),
        (Attribute::ReservationToken(*b"12345678"), b"\0\x22\0\x0812345678"),
        (Attribute::ConnectionId(7), &[0, 0x2a, 0, 4, 0, 0, 0, 7]),
        (Attribute::AdditionalAddressFamily(AddressFamily::Other(3)), &[0x80, 0, 0, 4, 3, 0, 0, 0]),
        (
            Attribute::AddressError(AddressError { family: AddressFamily::V6, code: 440, reason: "no" }),
            &[0x80, 1, 0, 6, 2, 0, 4, 40, b'n', b'o', 0, 0],
        ),
        (Attribute::Icmp(Icmp { kind: 3, code: 4, data: 1280 }), &[0x80, 4, 0, 8, 0, 0, 6, 4, 0, 0, 5, 0]),
        (Attribute::MobilityTicket(b"t"), &[0x80, 0x30, 0, 1, b't', 0, 0, 0]),
        (Attribute::ChangeRequest { ip: true, port: true }, &[0, 3, 0, 4, 0, 0, 0, 6]),
        (Attribute::ChangeRequest { ip: false, port: true }, &[0, 3, 0, 4, 0, 0, 0, 2]),
        (Attribute::ChangeRequest { ip: true, port: false }, &[0, 3, 0, 4, 0, 0, 0, 4]),
        (Attribute::ChangeRequest { ip: false, port: false }, &[0, 3, 0, 4, 0, 0, 0, 0]),
        (Attribute::ResponsePort(0x1234), &[0, 0x27, 0, 4, 0x12, 0x34, 0, 0]),
        (Attribute::Padding(&[0; 4]), &[0, 0x26, 0, 4, 0, 0, 0, 0]),
        (Attribute::ResponseOrigin(peer), &[0x80, 0x2b, 0, 8, 0, 1, 0x0d, 0x96, 192, 0, 2, 4]),
        (Attribute::OtherAddress(peer), &[0x80, 0x2c, 0, 8, 0, 1, 0x0d, 0x96, 192, 0, 2, 4]),
        (Attribute::PasswordAlgorithm(PasswordAlgorithm::Sha256), &[0, 0x1d, 0, 4, 0, 2, 0, 0]),
        (Attribute::AlternateDomain("a.b"), &[0x80, 3, 0, 3, b'a', b'.', b'b', 0]),
    ];
    for (attribute, bytes) in table {
        let mut memory = [0xff; 64];
        let mut out = Writer::new(&mut memory);
        attribute.encode(&mut out, id).unwrap();
        assert_eq!(out.written(), *bytes);
        let len = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        assert_eq!(Attribute::decode(attribute.kind(), &bytes[4..4 + len], id), Ok(*attribute));
    }
    for (attribute, kind) in
        [(Attribute::XorPeerAddress(peer), 0x12), (Attribute::XorRelayedAddress(peer), 0x16)]
    {
        let mut memory = [0; 12];
        attribute.encode(&mut Writer::new(&mut memory), id).unwrap();
        let masked = [0, 8, 0, 1, 0x0d ^ 0x21, 0x96 ^ 0x12, 192 ^ 0x21, 0x12, 2 ^ 0xa4, 4 ^ 0x42];
        assert_eq!((memory[1], &memory[2..]), (kind, &masked[..]));
        assert_eq!(Attribute::decode(kind.into(), &memory[4..], id), Ok(attribute));
    }
    let mut memory = [0; 64];
    let mut out = Writer::new(&mut memory);
    Attribute::PasswordAlgorithms(PasswordAlgorithms::new(&algorithms)).encode(&mut out, id).unwrap();
    assert_eq!(out.written(), [0x80, 2, 0, 12, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0]);
}

/// RFC 8489 §14.11: parameters of unknown algorithms are stepped over, and the list is echoed as it came.
#[test]
fn a_list_of_algorithms_is_read_and_echoed() {
    let id = TransactionId([9; 12]);
    let value = [0, 9, 0, 3, 1, 2, 3, 0, 0, 2, 0, 0, 0, 1, 0, 1, 5];
    let Ok(Attribute::PasswordAlgorithms(list)) = Attribute::decode(PASSWORD_ALGORITHMS, &value, id) else {
        panic!("the last one's padding is the attribute's")
    };
    let all: Vec<_> = list.algorithms().collect();
    assert_eq!(all, [PasswordAlgorithm::Other(9), PasswordAlgorithm::Sha256, PasswordAlgorithm::Other(1)]);
    let mut memory = [0; 64];
    let mut out = Writer::new(&mut memory);
    Attribute::PasswordAlgorithms(PasswordAlgorithms::echo(list.as_bytes())).encode(&mut out, id).unwrap();
    assert_eq!(out.written()[4..21], value);
    for cut in [1, 2, 3, 5, 9, 11, 13, 16] {
        assert!(Attribute::decode(PASSWORD_ALGORITHMS, &value[..cut], id).is_err(), "{cut}");
    }
}
