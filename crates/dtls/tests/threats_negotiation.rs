//! What is offered, what is taken, and what is refused: D21, D22 of the threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod common;

use common::bytes::{Message, messages, written};
use common::spy::Spy;
use common::{Pair, config};
use dtls::wire::{
    ClientHello, Extension, Extensions, List16, ServerHello, UseSrtp, encode_extensions, version,
};
use dtls::{CipherSuite, CloseReason, Discard, Event, SrtpProfile};
use proto::Reader;

fn pair(profiles: &[SrtpProfile]) -> Pair {
    let null = testkit::null_provider();
    let (mut client, mut server) = (config(null, 1), config(null, 2));
    (client.srtp_profiles, client.srtp_required) = (profiles.to_vec(), !profiles.is_empty());
    (server.srtp_profiles, server.srtp_required) = (profiles.to_vec(), !profiles.is_empty());
    Pair::new(client, server)
}

/// What a client makes of a server's hello that `alter` has altered.
fn answered(profiles: &[SrtpProfile], alter: impl Fn(&mut ServerHello<'_>, &mut Vec<Extension<'_>>)) -> Pair {
    let mut pair = pair(profiles);
    for mut datagram in pair.client.datagrams(pair.now) {
        pair.server.receive(pair.now, &mut datagram);
    }
    let honest = messages(&pair.server.datagrams(pair.now)).remove(0);
    let mut hello = ServerHello::decode(&honest.body).unwrap();
    let mut extensions: Vec<_> = hello.extensions.iter().collect();
    alter(&mut hello, &mut extensions);
    let body = written(|out| hello.encode(&extensions, out));
    let mut datagram = Message { body, ..honest }.whole();
    pair.client.receive(pair.now, &mut datagram);
    pair
}

fn without_srtp(extensions: &mut Vec<Extension<'_>>) {
    extensions.retain(|extension| !matches!(extension, Extension::UseSrtp(_)));
}

/// D21: each server that does not do as a client of RFC 5764 and RFC 7627 must demand.
#[test]
fn a_server_hello_that_weakens_the_connection_ends_it() {
    let profiles = [SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80];
    let honest = answered(&profiles, |_, _| {});
    assert!(honest.client.events.is_empty() && honest.client.discards.is_empty());

    let no_ems = answered(&profiles, |_, extensions| {
        extensions.retain(|extension| *extension != Extension::ExtendedMasterSecret);
    });
    assert_eq!(no_ems.client.events, [Event::Closed(CloseReason::NoExtendedMasterSecret)]);
    let none = answered(&profiles, |_, extensions| without_srtp(extensions));
    assert_eq!(none.client.events, [Event::Closed(CloseReason::NoCommonSrtpProfile)]);
    for (name, numbers, mki) in [
        ("two profiles", &[0, 7, 0, 1][..], &[][..]),
        ("the same twice", &[0, 7, 0, 7], &[]),
        ("a profile that was not offered", &[0, 8], &[]),
        ("an unknown profile", &[0x12, 0x34], &[]),
        ("a key identifier", &[0, 7], &[1, 2]),
    ] {
        let pair = answered(&profiles, |_, extensions| {
            without_srtp(extensions);
            let profiles = List16::checked(numbers).unwrap();
            extensions.push(Extension::UseSrtp(UseSrtp { profiles, mki }));
        });
        assert_eq!(pair.client.events, [Event::Closed(CloseReason::IllegalSrtp)], "{name}");
    }
    for number in [version::DTLS_1_0, version::DTLS_1_3, 0x0303, 0] {
        let pair = answered(&profiles, |hello, _| hello.version = number);
        assert_eq!(pair.client.events, [Event::Closed(CloseReason::NoCommonVersion)], "{number:#x}");
    }
}

/// RFC 5246 §7.4.1.3, §7.4.1.4: what was not offered cannot be chosen. Anyone could have sent it, so it is
/// ignored and the honest hello awaited.
#[test]
fn a_server_hello_with_what_was_not_offered_is_ignored() {
    let refused = |alter: &dyn Fn(&mut ServerHello<'_>, &mut Vec<Extension<'_>>)| {
        let pair = answered(&[], alter);
        assert!(pair.client.events.is_empty());
        pair.client.discards == [Discard::IllegalParameter]
    };
    assert!(!refused(&|_, _| {}));
    for suite in [0, 0xc023, 0xc0ae, 0x1301, 0x009c] {
        assert!(refused(&|hello, _| hello.suite = suite), "{suite:#x}");
    }
    assert!(refused(&|hello, _| hello.compression = 1));
    assert!(refused(&|_, it| it.push(Extension::Unknown { kind: 16, value: &[0, 1, 0] })));
    assert!(refused(&|_, it| it.push(Extension::SupportedVersions(List16::checked(&[0xfe, 0xfc]).unwrap()))));
    let profiles = List16::checked(&[0, 7]).unwrap();
    assert!(
        refused(&|_, it| it.push(Extension::UseSrtp(UseSrtp { profiles, mki: &[] }))),
        "none was offered"
    );
    assert!(refused(&|_, it| {
        it.retain(|extension| !matches!(extension, Extension::RenegotiationInfo(_)));
        it.push(Extension::RenegotiationInfo(&[1]));
    }));
}

/// RFC 5246 §7.4.2: a suite of RSA and a certificate of a key on P-256 do not go together.
#[test]
fn a_certificate_of_another_kind_than_the_suite_says_ends_the_connection() {
    let Some(provider) = crypto::accelerated() else {
        println!("skipped: this processor or build has no provider with RSA");
        return;
    };
    let mut pair = Pair::new(config(provider, 1), config(provider, 2));
    for mut datagram in pair.client.datagrams(pair.now) {
        pair.server.receive(pair.now, &mut datagram);
    }
    let mut flight = messages(&pair.server.datagrams(pair.now)).into_iter();
    let honest = flight.next().unwrap();
    let mut hello = ServerHello::decode(&honest.body).unwrap();
    hello.suite = CipherSuite::EcdheRsaAes128GcmSha256.to_u16();
    let extensions: Vec<_> = hello.extensions.iter().collect();
    let body = written(|out| hello.encode(&extensions, out));
    pair.client.receive(pair.now, &mut Message { body, ..honest }.whole());
    assert!(pair.client.events.is_empty());
    pair.client.receive(pair.now, &mut flight.next().unwrap().whole());
    assert_eq!(pair.client.events, [Event::Closed(CloseReason::UnsupportedCertificate)]);
}

fn offer(suites: &[u8], compressions: &[u8], more: &[Extension<'_>]) -> Message {
    let mut extensions = vec![
        Extension::ExtendedMasterSecret,
        Extension::SupportedGroups(List16::checked(&[0, 29]).unwrap()),
        Extension::SignatureAlgorithms(List16::checked(&[4, 3]).unwrap()),
    ];
    extensions.extend(more);
    let hello = ClientHello {
        version: version::DTLS_1_2,
        random: [5; 32],
        session_id: &[],
        cookie: &[],
        suites: List16::checked(suites).unwrap(),
        compressions,
        extensions: Extensions::default(),
    };
    Message { sequence: 0, kind: 1, body: written(|out| hello.encode(&extensions, out)) }
}

/// D22: the suites that are offered, by name, and each of all numbers alone.
#[test]
fn only_forward_secret_authenticated_suites_are_offered_and_taken() {
    let mut pair = pair(&[]);
    let hello = messages(&pair.client.datagrams(pair.now)).remove(0);
    let hello = ClientHello::decode(&hello.body).unwrap();
    let names: Vec<_> =
        hello.suites.iter().map(|number| CipherSuite::from_u16(number).unwrap().name()).collect();
    assert_eq!(
        names,
        [
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ]
    );
    assert_eq!(hello.compressions, [0]);
    if let Some(provider) = crypto::accelerated() {
        let mut pair = Pair::new(config(provider, 3), config(provider, 4));
        let hello = messages(&pair.client.datagrams(pair.now)).remove(0);
        let hello = ClientHello::decode(&hello.body).unwrap();
        assert!(hello.suites.iter().eq([0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030, 0xcca8]), "RSA behind ECDSA");
        let schemes = hello.extensions.iter().find_map(|extension| {
            if let Extension::SignatureAlgorithms(schemes) = extension { Some(schemes) } else { None }
        });
        assert!(schemes.unwrap().iter().eq([0x0403, 0x0804, 0x0401]));
    }
    let config = std::sync::Arc::new(config(testkit::null_provider(), 2));
    let mut taken = Vec::new();
    for number in 0..=u16::MAX {
        let now = testkit::epoch();
        let server = dtls::Connection::server(now, std::sync::Arc::clone(&config), [1; 32]);
        let mut server = common::End::new(server);
        server.receive(now, &mut offer(&number.to_be_bytes(), &[0], &[]).whole());
        if server.events.is_empty() {
            taken.push(number);
        } else {
            assert_eq!(server.events, [Event::Closed(CloseReason::NoCommonCipherSuite)]);
        }
    }
    assert_eq!(taken, [0xc02b, 0xc02c, 0xcca9]);
}

/// D22: no compression, no renegotiation, whoever asks.
#[test]
fn compression_and_renegotiation_are_not_done() {
    let now = testkit::epoch();
    let config = std::sync::Arc::new(config(testkit::null_provider(), 2));
    let discards = |message: Message| {
        let server = dtls::Connection::server(now, std::sync::Arc::clone(&config), [1; 32]);
        let mut server = common::End::new(server);
        server.receive(now, &mut message.whole());
        assert!(server.events.is_empty());
        server.discards
    };
    assert_eq!(discards(offer(&[0xc0, 0x2b], &[0], &[])), []);
    assert_eq!(discards(offer(&[0xc0, 0x2b], &[1], &[])), [Discard::IllegalParameter]);
    assert_eq!(discards(offer(&[0xc0, 0x2b], &[1, 0], &[])), []);
    let again = Extension::RenegotiationInfo(&[7; 12]);
    assert_eq!(discards(offer(&[0xc0, 0x2b], &[0], &[again])), [Discard::IllegalParameter]);
}

/// RFC 7627 §5.1: whoever lacks the extension is refused by a server, and no secret is computed.
#[test]
fn without_the_extended_master_secret_no_secret_is_computed() {
    let spy = Spy::on(testkit::null_provider());
    let mut pair = Pair::new(config(spy, 1), config(spy, 2));
    let hello = messages(&pair.client.datagrams(pair.now)).remove(0);
    let decoded = ClientHello::decode(&hello.body).unwrap();
    let extensions: Vec<_> =
        decoded.extensions.iter().filter(|it| *it != Extension::ExtendedMasterSecret).collect();
    let body = written(|out| decoded.encode(&extensions, out));
    pair.server.receive(pair.now, &mut Message { body, ..hello }.whole());
    assert_eq!(pair.server.events, [Event::Closed(CloseReason::NoExtendedMasterSecret)]);
    let alert = pair.server.datagrams(pair.now);
    assert_eq!(alert.len(), 1);
    assert_eq!(alert[0][13..], [2, 40], "a fatal handshake_failure");
    assert_eq!((spy.agreed(), spy.sealed().len()), (0, 0));
}

/// RFC 5764 §4.1.3: a server that has no use for a key identifier answers without one.
#[test]
fn a_key_identifier_of_the_client_is_answered_by_none() {
    let mut pair = pair(&[SrtpProfile::AeadAes128Gcm]);
    let offer =
        Extension::UseSrtp(UseSrtp { profiles: List16::checked(&[0, 1, 0, 7]).unwrap(), mki: &[1, 2] });
    pair.server.receive(pair.now, &mut offer_with(&[offer]).whole());
    let flight = messages(&pair.server.datagrams(pair.now));
    let hello = ServerHello::decode(&flight[0].body).unwrap();
    let answer = hello.extensions.iter().find(|extension| matches!(extension, Extension::UseSrtp(_)));
    let profiles = List16::checked(&[0, 7]).unwrap();
    assert_eq!(answer, Some(Extension::UseSrtp(UseSrtp { profiles, mki: &[] })));
}

/// RFC 5764 §4.1.1: where there is nothing in common the extension is not answered, unless it is required.
#[test]
fn a_use_srtp_without_a_common_profile_is_not_answered() {
    let offer = Extension::UseSrtp(UseSrtp { profiles: List16::checked(&[0, 2]).unwrap(), mki: &[] });
    for required in [false, true] {
        let mut server = config(testkit::null_provider(), 2);
        (server.srtp_profiles, server.srtp_required) = (vec![SrtpProfile::AeadAes128Gcm], required);
        let mut pair = Pair::new(config(testkit::null_provider(), 1), server);
        pair.server.receive(pair.now, &mut offer_with(&[offer]).whole());
        let sent = pair.server.datagrams(pair.now);
        if required {
            assert_eq!(pair.server.events, [Event::Closed(CloseReason::NoCommonSrtpProfile)]);
            assert_eq!(sent[0][13..], [2, 40], "a fatal handshake_failure");
        } else {
            let flight = messages(&sent);
            let hello = ServerHello::decode(&flight[0].body).unwrap();
            assert!(!hello.extensions.iter().any(|extension| matches!(extension, Extension::UseSrtp(_))));
        }
    }
}

/// RFC 7627 §5.1: the extension has no content.
#[test]
fn an_extended_master_secret_with_content_is_malformed() {
    assert_eq!(Extension::decode(23, &[]), Ok(Extension::ExtendedMasterSecret));
    assert_eq!(Extension::decode(23, &[0]), Err(dtls::DecodeError::Trailing));
    assert_eq!(written(|out| Extension::ExtendedMasterSecret.encode(out)), [0, 23, 0, 0]);
}

fn offer_with(more: &[Extension<'_>]) -> Message {
    offer(&[0xc0, 0x2b], &[0], more)
}

/// RFC 5764 §4.1.1, RFC 7627 §5.1: the bytes of both extensions as they are offered and answered.
#[test]
fn the_extensions_are_written_as_their_standards_say() {
    let mut pair = pair(&[SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmHmacSha1_80]);
    let hello = pair.client.datagrams(pair.now).remove(0);
    let contains = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(contains(&hello, &[0, 14, 0, 7, 0, 4, 0, 8, 0, 1, 0]), "two profiles, best first, no identifier");
    assert!(contains(&hello, &[0, 23, 0, 0]));
    pair.server.receive(pair.now, &mut hello.clone());
    let flight = pair.server.datagrams(pair.now).concat();
    assert!(contains(&flight, &[0, 14, 0, 5, 0, 2, 0, 8, 0]), "one profile of the offer, no identifier");
    assert!(contains(&flight, &[0, 23, 0, 0]));

    let profiles = List16::checked(&[0, 8]).unwrap();
    let bytes = written(|out| encode_extensions(out, &[Extension::UseSrtp(UseSrtp { profiles, mki: &[9] })]));
    assert_eq!(bytes, [0, 10, 0, 14, 0, 6, 0, 2, 0, 8, 1, 9]);
    let decoded = Extensions::decode(&mut Reader::new(&bytes)).unwrap();
    assert!(decoded.iter().eq([Extension::UseSrtp(UseSrtp { profiles, mki: &[9] })]));
}
