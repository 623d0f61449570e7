//! Every message: what is encoded decodes alike, no prefix does, and no bytes panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use dtls::wire::*;
use proptest::prelude::*;
use proto::{NoSpace, Reader, Writer};

fn encoded(write: impl Fn(&mut Writer<'_>) -> Result<(), NoSpace>) -> Vec<u8> {
    let mut memory = vec![0; 70_000];
    let mut out = Writer::new(&mut memory);
    write(&mut out).unwrap();
    let len = out.len();
    memory.truncate(len);
    for room in 0..len.min(300) {
        assert_eq!(write(&mut Writer::new(&mut vec![0; room])), Err(NoSpace));
    }
    memory
}

fn list(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

prop_compose! {
    fn numbers()(numbers in proptest::collection::vec(any::<u16>(), 1..20)) -> Vec<u8> { list(&numbers) }
}

prop_compose! {
    fn bytes(max: usize)(bytes in proptest::collection::vec(any::<u8>(), 0..max)) -> Vec<u8> { bytes }
}

proptest! {
    #[test]
    fn hellos_come_back(
        random: [u8; 32], version: u16, session in bytes(33), cookie in bytes(255), suites in numbers(),
        groups in numbers(), profiles in numbers(), versions in numbers(), mki in bytes(255),
        info in bytes(200), value in bytes(300), suite: u16, compression: u8, kind in 0x1000u16..0xf000,
    ) {
        let checked = |bytes| List16::checked(bytes).unwrap();
        let extensions = [
            Extension::SupportedGroups(checked(&groups)),
            Extension::EcPointFormats(&[0, 1]),
            Extension::SignatureAlgorithms(checked(&suites)),
            Extension::UseSrtp(UseSrtp { profiles: checked(&profiles), mki: &mki }),
            Extension::ExtendedMasterSecret,
            Extension::SupportedVersions(checked(&versions)),
            Extension::RenegotiationInfo(&info),
            Extension::Unknown { kind, value: &value },
        ];
        let hello = ClientHello {
            version, random, session_id: &session, cookie: &cookie, suites: checked(&suites),
            compressions: &[0, compression], extensions: Extensions::default(),
        };
        let body = encoded(|out| hello.encode(&extensions, out));
        let decoded = ClientHello::decode(&body).unwrap();
        prop_assert_eq!(ClientHello { extensions: Extensions::default(), ..decoded }, hello);
        prop_assert!(decoded.extensions.iter().eq(extensions));
        let bare = body.len() - encoded(|out| encode_extensions(out, &extensions)).len();
        for cut in 0..body.len() {
            // A hello of old ends before the extensions.
            prop_assert_eq!(ClientHello::decode(&body[..cut]).is_ok(), cut == bare);
        }
        let head = ClientHello::decode_head(&mut Reader::new(&body)).unwrap();
        prop_assert_eq!(head, (version, random, &session[..], &cookie[..]));

        let hello = ServerHello { version, random, session_id: &session, suite, compression, extensions: Extensions::default() };
        let body = encoded(|out| hello.encode(&extensions, out));
        let decoded = ServerHello::decode(&body).unwrap();
        prop_assert_eq!(ServerHello { extensions: Extensions::default(), ..decoded }, hello);
        prop_assert!(decoded.extensions.iter().eq(extensions));

        let twice = [extensions[4], extensions[4]];
        let body = encoded(|out| hello.encode(&twice, out));
        prop_assert_eq!(ServerHello::decode(&body), Err(DecodeError::Illegal));

        let request = HelloVerifyRequest { version, cookie: &cookie };
        let body = encoded(|out| request.encode(out));
        prop_assert_eq!(HelloVerifyRequest::decode(&body), Ok(request));
        for cut in 0..body.len() {
            prop_assert_eq!(HelloVerifyRequest::decode(&body[..cut]), Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn messages_come_back(
        chain in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..600), 0..4), group: u16, scheme: u16, share in bytes(255),
        signature in bytes(300), kinds in bytes(20), schemes in numbers(), authorities in bytes(100),
    ) {
        let ders = || chain.iter().map(Vec::as_slice);
        let body = encoded(|out| Certificate::encode(ders(), out));
        prop_assert!(Certificate::decode(&body).unwrap().chain().eq(ders()));
        let scheme = SignatureScheme(scheme);
        let exchange = ServerKeyExchange { group, share: &share, scheme, signature: &signature, parameters: &[] };
        let exchange_body = encoded(|out| exchange.encode(out));
        let decoded = ServerKeyExchange::decode(&exchange_body).unwrap();
        prop_assert_eq!(decoded.parameters, &exchange_body[..4 + share.len()]);
        prop_assert_eq!(ServerKeyExchange { parameters: &[], ..decoded }, exchange);
        let request = CertificateRequest { kinds: &kinds, schemes: List16::checked(&schemes).unwrap(), authorities: &authorities };
        let request_body = encoded(|out| request.encode(out));
        prop_assert_eq!(CertificateRequest::decode(&request_body), Ok(request));
        let client = ClientKeyExchange { share: &share };
        let client_body = encoded(|out| client.encode(out));
        prop_assert_eq!(ClientKeyExchange::decode(&client_body), Ok(client));
        let verify = CertificateVerify { scheme, signature: &signature };
        let verify_body = encoded(|out| verify.encode(out));
        prop_assert_eq!(CertificateVerify::decode(&verify_body), Ok(verify));
        for cut in 0..body.len() { prop_assert!(Certificate::decode(&body[..cut]).is_err()); }
        for cut in 0..exchange_body.len() { prop_assert!(ServerKeyExchange::decode(&exchange_body[..cut]).is_err()); }
        for cut in 0..request_body.len() { prop_assert!(CertificateRequest::decode(&request_body[..cut]).is_err()); }
        for cut in 0..client_body.len() { prop_assert!(ClientKeyExchange::decode(&client_body[..cut]).is_err()); }
        for cut in 0..verify_body.len() { prop_assert!(CertificateVerify::decode(&verify_body[..cut]).is_err()); }
    }

    #[test]
    fn no_bytes_panic(noise in bytes(400)) {
        let _ = ClientHello::decode(&noise).map(|hello| hello.extensions.iter().count());
        let _ = ServerHello::decode(&noise).map(|hello| hello.extensions.iter().count());
        let _ = (HelloVerifyRequest::decode(&noise), Certificate::decode(&noise), ServerKeyExchange::decode(&noise));
        let _ = (CertificateRequest::decode(&noise), ClientKeyExchange::decode(&noise), CertificateVerify::decode(&noise));
        let _ = (Alert::decode(&noise), RecordHeader::decode(&noise), Fragment::decode(&mut Reader::new(&noise)));
        for kind in [10, 11, 13, 14, 23, 43, 0xff01, 9] {
            if let Ok(extension) = Extension::decode(kind, &noise) {
                let body = encoded(|out| extension.encode(out));
                prop_assert_eq!(&body[4..], &noise[..]);
            }
        }
    }
}

/// The numbers and names of the IANA registries "TLS Alerts", "TLS Cipher Suites", "TLS Supported Groups" and
/// "DTLS-SRTP Protection Profiles", and of RFC 6347 §4.1.
#[test]
fn numbers_and_names_are_those_of_the_registries() {
    for (number, name) in [
        (0, "close_notify"),
        (10, "unexpected_message"),
        (20, "bad_record_mac"),
        (22, "record_overflow"),
        (40, "handshake_failure"),
        (42, "bad_certificate"),
        (43, "unsupported_certificate"),
        (44, "certificate_revoked"),
        (45, "certificate_expired"),
        (46, "certificate_unknown"),
        (47, "illegal_parameter"),
        (48, "unknown_ca"),
        (49, "access_denied"),
        (50, "decode_error"),
        (51, "decrypt_error"),
        (70, "protocol_version"),
        (71, "insufficient_security"),
        (80, "internal_error"),
        (86, "inappropriate_fallback"),
        (90, "user_canceled"),
        (100, "no_renegotiation"),
        (109, "missing_extension"),
        (110, "unsupported_extension"),
        (116, "certificate_required"),
        (120, "no_application_protocol"),
        (255, "alert 255"),
    ] {
        assert_eq!(AlertDescription(number).to_string(), name);
    }
    for (number, name) in [
        (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        (0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
        (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        (0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ] {
        let suite = CipherSuite::from_u16(number).unwrap();
        assert_eq!((suite.to_u16(), suite.name()), (number, name));
    }
    for (number, name) in [(23, "secp256r1"), (29, "x25519")] {
        let group = NamedGroup::from_u16(number).unwrap();
        assert_eq!((group.to_u16(), group.name()), (number, name));
    }
    for (number, name) in [
        (1, "SRTP_AES128_CM_HMAC_SHA1_80"),
        (2, "SRTP_AES128_CM_HMAC_SHA1_32"),
        (7, "SRTP_AEAD_AES_128_GCM"),
        (8, "SRTP_AEAD_AES_256_GCM"),
    ] {
        let profile = SrtpProfile::from_u16(number).unwrap();
        assert_eq!((profile.to_u16(), profile.name()), (number, name));
    }
    for number in [0, 3, 9, 24, 30, 0xc02a, 0xccaa, 0xffff] {
        assert_eq!(CipherSuite::from_u16(number), None);
        assert_eq!(NamedGroup::from_u16(number), None);
        assert_eq!(SrtpProfile::from_u16(number), None);
    }
    assert_eq!(Version::Dtls12.to_u16(), 0xfefd);
}

#[test]
fn a_message_may_have_128_extensions_and_no_more() {
    for (count, decoded) in [(127, Ok(127)), (128, Ok(128)), (129, Err(DecodeError::Illegal))] {
        let mut bytes = list(&[count * 4]);
        bytes.extend((0..count).flat_map(|n| list(&[0x5000 + n, 0])));
        let extensions = Extensions::decode(&mut Reader::new(&bytes));
        assert_eq!(extensions.map(|extensions| extensions.iter().count()), decoded);
    }
}
