//! A connectivity check as the answering agent sees it: read, USERNAME, MESSAGE-INTEGRITY and FINGERPRINT
//! compared, a success response with XOR-MAPPED-ADDRESS and both codes written.

use std::hint::black_box;
use std::net::SocketAddr;

use ::stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use ::stun::{IntegrityKey, Writer};
use rtc_crypto::RTCCryptoProvider;

use crate::measure::{Effort, Figure, OURS, Side, in_turn};

/// Reads a request; writes the response, or refuses.
type Answer = Box<dyn FnMut(&[u8], &mut Vec<u8>) -> Option<()>>;

pub(super) fn check_and_response(effort: Effort) -> Vec<Figure> {
    let request = request();
    let mut forged = request.clone();
    forged[30] ^= 1;
    let mut peers: Vec<(&'static str, &'static str, Answer)> = vec![
        ("Peerline", OURS, ours()),
        ("stun-types", "stun-types", stun_types()),
        ("is (str0m)", "is", is()),
        ("rtc-stun", "rtc-stun", rtc_stun()),
    ];
    let mut expected = Vec::new();
    (peers[0].2)(&request, &mut expected).expect("a good request");
    let mut sides = Vec::new();
    for (name, package, mut answer) in peers.drain(..) {
        let mut response = Vec::new();
        answer(&request, &mut response).expect("a good request");
        assert_eq!(response, expected, "{name} answers otherwise");
        assert!(answer(&forged, &mut response).is_none(), "{name} takes a forged request");
        let request = request.clone();
        sides.push(Side::timed(name, package, move || {
            answer(black_box(&request), &mut response).expect("a good request");
        }));
    }
    in_turn(effort, sides)
}

fn request() -> Vec<u8> {
    let key = IntegrityKey::short_term(crypto::default_provider(), PASSWORD);
    let mut memory = [0; 200];
    let mut out = Writer::new(&mut memory);
    let mut encoder =
        Encoder::new(&mut out, Class::Request, Method::BINDING, TransactionId([7; 12])).expect("room");
    encoder.attribute(Attribute::Username(USERNAME)).expect("room");
    encoder.attribute(Attribute::IceControlling(0x1122_3344_5566_7788)).expect("room");
    encoder.attribute(Attribute::Priority(1_853_824_767)).expect("room");
    encoder.finish(Some(&key)).expect("room");
    out.written().to_vec()
}

fn ours() -> Answer {
    let key = IntegrityKey::short_term(crypto::default_provider(), PASSWORD);
    let from = from();
    let mut memory = [0; 200];
    Box::new(move |datagram, response| {
        let message = Message::decode(datagram).ok()?;
        if message.username()? != USERNAME {
            return None;
        }
        message.verify(&key).ok()?;
        let mut out = Writer::new(&mut memory);
        let id = message.transaction();
        let mut encoder = Encoder::new(&mut out, Class::Success, Method::BINDING, id).ok()?;
        encoder.attribute(Attribute::XorMappedAddress(from)).ok()?;
        encoder.finish(Some(&key)).ok()?;
        response.clear();
        response.extend_from_slice(out.written());
        Some(())
    })
}

fn stun_types() -> Answer {
    use stun_types::attribute::{Username, XorMappedAddress};
    use stun_types::message::{
        IntegrityAlgorithm, Message, MessageIntegrityCredentials, MessageWrite, MessageWriteExt,
        MessageWriteVec, ShortTermCredentials,
    };

    let credentials: MessageIntegrityCredentials = ShortTermCredentials::new(PASSWORD.to_owned()).into();
    let key = credentials.make_key(IntegrityAlgorithm::Sha1);
    let from = from();
    Box::new(move |datagram, response| {
        // The fingerprint is compared here.
        let message = Message::from_bytes(datagram).ok()?;
        if message.attribute::<Username>().ok()?.username() != USERNAME {
            return None;
        }
        message.validate_integrity_with_key(&key).ok()?;
        let mut out = Message::builder_success(&message, MessageWriteVec::new());
        out.add_attribute(&XorMappedAddress::new(from, message.transaction_id())).ok()?;
        out.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).ok()?;
        out.add_fingerprint().ok()?;
        *response = out.finish();
        Some(())
    })
}

fn is() -> Answer {
    use is::stun::StunMessage;

    let sha1 = str0m_aws_lc_rs::default_provider().sha1_hmac_provider;
    let mac = move |key: &[u8], parts: &[&[u8]]| sha1.sha1_hmac(key, parts);
    let from = from();
    Box::new(move |datagram, response| {
        let message = StunMessage::parse(datagram).ok()?;
        if message.username()? != USERNAME || !message.verify(PASSWORD.as_bytes(), mac) {
            return None;
        }
        response.resize(128, 0);
        let reply = StunMessage::binding_reply(message.trans_id(), from);
        let len = reply.to_bytes(Some(PASSWORD.as_bytes()), response, mac).ok()?;
        response.truncate(len);
        Some(())
    })
}

fn rtc_stun() -> Answer {
    use rtc_stun::attributes::ATTR_USERNAME;
    use rtc_stun::fingerprint::FINGERPRINT;
    use rtc_stun::integrity::MessageIntegrity;
    use rtc_stun::message::{BINDING_SUCCESS, Message};
    use rtc_stun::textattrs::TextAttribute;
    use rtc_stun::xoraddr::XorMappedAddress;

    let provider = rtc_crypto::providers::RingProvider::new();
    let from = from();
    Box::new(move |datagram, response| {
        let mut message = Message::new();
        message.unmarshal_binary(datagram).ok()?;
        if TextAttribute::get_from_as(&message, ATTR_USERNAME).ok()?.text != USERNAME {
            return None;
        }
        MessageIntegrity::check(&mut message, PASSWORD.as_bytes(), provider.crypto()).ok()?;
        FINGERPRINT.check(&message).ok()?;
        let mut out = Message::new();
        let integrity =
            MessageIntegrity::new_short_term_integrity_with_provider(PASSWORD.to_owned(), provider.crypto());
        out.build(&[
            Box::new(message.clone()),
            Box::new(BINDING_SUCCESS),
            Box::new(XorMappedAddress { ip: from.ip(), port: from.port() }),
            Box::new(integrity),
            Box::new(FINGERPRINT),
        ])
        .ok()?;
        *response = out.raw.to_vec();
        Some(())
    })
}

fn from() -> SocketAddr {
    ([192, 0, 2, 77], 54321).into()
}

const USERNAME: &str = "Xg4bT1qz:9Fk2";
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt3x";
