//! Each of our layers against that of webrtc-rs 0.17, in both roles, in one process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dtls::SrtpProfile;
use dtls17::cipher_suite::CipherSuiteId;
use dtls17::config::{ClientAuthType, Config as TheirConfig, ExtendedMasterSecretType};
use dtls17::conn::DTLSConn;
use dtls17::crypto::Certificate;
use dtls17::extension::extension_use_srtp::SrtpProtectionProfile;
use peerline_webrtc_util_compat::{DtlsConnection, Received, SctpAssociation};
use sctp::{Ppid, StreamId, StreamOptions};
use sctp17::association::{Association, Config as TheirAssociationConfig};
use sctp17::chunk::chunk_payload_data::PayloadProtocolIdentifier;
use sctp17::stream::ReliabilityType;
use tokio::time::timeout;
use webrtc_util::conn::conn_pipe::pipe;
use webrtc_util::{Conn, KeyingMaterialExporter as _};

type Carrier = Arc<dyn Conn + Send + Sync>;

const LIMIT: Duration = Duration::from_secs(30);
const LABEL: &str = "EXTRACTOR-dtls_srtp";

fn ours() -> Arc<dtls::Config> {
    let provider = crypto::default_provider();
    let identity = dtls::Identity::generate(provider, 1_790_000_000, [7; 32]).unwrap();
    let mut config = dtls::Config::new(provider, Arc::new(identity));
    config.srtp_profiles = vec![SrtpProfile::AeadAes128Gcm];
    Arc::new(config)
}

fn theirs() -> TheirConfig {
    TheirConfig {
        certificates: vec![Certificate::generate_self_signed(vec!["peer".to_owned()]).unwrap()],
        cipher_suites: vec![CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256],
        srtp_protection_profiles: vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm],
        client_auth: ClientAuthType::RequireAnyClientCert,
        extended_master_secret: ExtendedMasterSecretType::Require,
        insecure_skip_verify: true,
        ..TheirConfig::default()
    }
}

/// Ours and theirs, connected; `client` says whether ours begins.
async fn connected(client: bool) -> (DtlsConnection, DTLSConn) {
    let (here, there) = pipe();
    let (here, there): (Carrier, Carrier) = (Arc::new(here), Arc::new(there));
    let mine = async {
        if client {
            DtlsConnection::client(here, ours(), |_| true).await
        } else {
            DtlsConnection::server(here, ours(), |_| true).await
        }
    };
    let (mine, other) =
        timeout(LIMIT, async { tokio::join!(mine, DTLSConn::new(there, theirs(), !client, None)) })
            .await
            .expect("in time");
    (mine.expect("our end"), other.expect("their end"))
}

#[tokio::test(flavor = "multi_thread")]
async fn real_dtls_connects_with_webrtc_rs_in_both_roles_and_exports_the_same_keys() {
    for client in [true, false] {
        let (mine, other) = connected(client).await;
        assert_eq!(mine.srtp_profile(), Some(SrtpProfile::AeadAes128Gcm));
        assert_eq!(other.selected_srtpprotection_profile(), SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm);
        let ours = mine.export_keying_material(LABEL, &[], 56).await.unwrap();
        let theirs = other.connection_state().await.export_keying_material(LABEL, &[], 56).await.unwrap();
        assert_eq!(ours, theirs, "client: {client}");
        let certificate = &other.connection_state().await.peer_certificates;
        assert!(!certificate.is_empty() && mine.peer_certificate().is_some());
        for len in (1..1100).step_by(7) {
            let message: Vec<u8> = (0..len).map(|at| (at * len) as u8).collect();
            let mut buffer = vec![0; 2000];
            mine.send(&message).await.unwrap();
            let read = timeout(LIMIT, other.read(&mut buffer, None)).await.unwrap().unwrap();
            assert_eq!(buffer[..read], message);
            other.write(&message, None).await.unwrap();
            let read = timeout(LIMIT, mine.recv(&mut buffer)).await.unwrap().unwrap();
            assert_eq!(buffer[..read], message);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_a_certificate_that_is_not_the_right_one_ends_the_handshake() {
    for client in [true, false] {
        let (here, there) = pipe();
        let (here, there): (Carrier, Carrier) = (Arc::new(here), Arc::new(there));
        let mine = async {
            if client {
                DtlsConnection::client(here, ours(), |_| false).await.map(drop)
            } else {
                DtlsConnection::server(here, ours(), |_| false).await.map(drop)
            }
        };
        let other = tokio::spawn(async move { DTLSConn::new(there, theirs(), !client, None).await.is_err() });
        assert!(timeout(LIMIT, mine).await.unwrap().is_err());
        // Theirs may have been done already when it is told; it must not hang.
        let _ = timeout(LIMIT, other).await.unwrap();
    }
}

fn association(carrier: Carrier) -> TheirAssociationConfig {
    TheirAssociationConfig {
        net_conn: carrier,
        max_receive_buffer_size: 0,
        max_message_size: 0,
        mtu: 0,
        name: "theirs".to_owned(),
        remote_port: 5000,
        local_port: 5000,
    }
}

fn message(number: usize, len: usize) -> Bytes {
    (0..len).map(|at| (at * 31 + number * 7) as u8).collect()
}

/// Streams both ways over `here` and `there`, large messages and small, and their end.
async fn exchange(here: Carrier, there: Carrier, client: bool) {
    let mine = async {
        let config = Arc::new(sctp::Config::default());
        if client {
            SctpAssociation::client(here, config).await
        } else {
            SctpAssociation::server(here, config).await
        }
    };
    let other = async {
        if client {
            Association::server(association(there)).await
        } else {
            Association::client(association(there)).await
        }
    };
    let (mine, other) = timeout(LIMIT, async { tokio::join!(mine, other) }).await.expect("in time");
    let (mut mine, other) = (mine.expect("our end"), other.expect("their end"));
    let binary = PayloadProtocolIdentifier::Binary;
    let sizes = [1, 100, 1000, 16_384, 60_000];

    // From us to them, on a stream in order and one without.
    for (stream, unordered) in [(2, false), (4, true)] {
        let mut options = StreamOptions::default();
        options.unordered = unordered;
        mine.open(StreamId(stream), options).unwrap();
        let reading = async {
            let stream = other.accept_stream().await.expect("a stream");
            let mut seen = Vec::new();
            let mut buffer = vec![0; 70_000];
            for _ in 0..50 {
                let (len, ppid) = stream.read_sctp(&mut buffer).await.unwrap();
                assert_eq!(ppid, binary);
                seen.push(Bytes::copy_from_slice(&buffer[..len]));
            }
            seen
        };
        let writing = async {
            for number in 0..50 {
                let data = message(number, sizes[number % sizes.len()]);
                mine.send(StreamId(stream), Ppid(53), data).await.unwrap();
            }
        };
        let ((), mut seen) = timeout(LIMIT, async { tokio::join!(writing, reading) }).await.expect("in time");
        let mut expected: Vec<Bytes> =
            (0..50).map(|number| message(number, sizes[number % sizes.len()])).collect();
        if unordered {
            seen.sort();
            expected.sort();
        }
        assert_eq!(seen, expected, "stream {stream}");
    }

    // From them to us.
    let stream = other.open_stream(7, binary).await.unwrap();
    stream.set_reliability_params(false, ReliabilityType::Reliable, 0);
    let writing = async {
        for number in 0..50 {
            let data = message(number, sizes[number % sizes.len()]);
            stream.write_sctp(&data, binary).await.unwrap();
        }
    };
    let reading = async {
        for number in 0..50 {
            let data = message(number, sizes[number % sizes.len()]);
            let expected = Received::Message { stream: StreamId(7), ppid: Ppid(53), data };
            assert!(mine.recv().await == Some(expected), "message {number}");
        }
    };
    timeout(LIMIT, async { tokio::join!(writing, reading) }).await.expect("in time");

    // They close their side of the stream, and the association ends.
    stream.shutdown(std::net::Shutdown::Both).await.unwrap();
    assert_eq!(timeout(LIMIT, mine.recv()).await.unwrap(), Some(Received::Reset(StreamId(7))));
    drop(mine);
    timeout(LIMIT, other.close()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn real_sctp_exchanges_streams_with_webrtc_rs_in_both_roles() {
    for client in [true, false] {
        let (here, there) = pipe();
        exchange(Arc::new(here), Arc::new(there), client).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_sctp_over_dtls_works_when_both_layers_meet_webrtc_rs() {
    for client in [true, false] {
        let (mine, other) = connected(client).await;
        exchange(Arc::new(mine), Arc::new(other), !client).await;
    }
}
