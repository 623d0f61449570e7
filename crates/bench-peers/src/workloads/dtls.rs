//! Full handshakes in memory: mutual self-signed ECDSA certificates, P-256 for the key exchange, use_srtp.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ::dtls::wire::{NamedGroup, SrtpProfile};
use ::dtls::{Config, Connection, Event, Identity};
use dimpl::{Dtls, DtlsCertificate, Output};
use proto::Writer;
use rtc_crypto::RTCCryptoProvider;
use rtc_shared::TransportProtocol;

use super::sdp::in_microseconds;
use crate::measure::{Effort, Figure, OURS, Side, in_turn};

pub(super) fn handshake(effort: Effort) -> Vec<Figure> {
    let (ours, dimpl, rtc) = (Ours::new(), Dimpl::new(), Rtc::new());
    in_microseconds(in_turn(
        effort,
        vec![
            Side::timed("Peerline", OURS, move || ours.handshake()),
            Side::timed("dimpl (aws-lc-rs)", "dimpl", move || dimpl.handshake()),
            Side::timed("rtc-dtls (ring)", "rtc-dtls", move || rtc.handshake()),
        ],
    ))
}

struct Ours {
    configs: [Arc<Config>; 2],
}

impl Ours {
    fn new() -> Self {
        let provider = crypto::default_provider();
        let config = |number| {
            let identity = Identity::generate(provider, 1_800_000_000, [number; 32]).expect("a certificate");
            let mut config = Config::new(provider, Arc::new(identity));
            config.groups = vec![NamedGroup::Secp256r1];
            config.srtp_profiles = vec![SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80];
            Arc::new(config)
        };
        Self { configs: [config(1), config(2)] }
    }

    fn handshake(&self) {
        let now = proto::Instant::from_nanos(1);
        let [client, server] = &self.configs;
        let mut client = Connection::client(now, client.clone(), [3; 32]);
        let mut server = Connection::server(now, server.clone(), [4; 32]);
        for _ in 0..4 {
            carry(&mut client, &mut server);
            carry(&mut server, &mut client);
        }
        let (mut a, mut b) = ([0; 60], [0; 60]);
        client.export_keying_material(b"EXTRACTOR-dtls_srtp", None, &mut a).expect("connected");
        server.export_keying_material(b"EXTRACTOR-dtls_srtp", None, &mut b).expect("connected");
        assert_eq!(a, b);
    }
}

fn carry(from: &mut Connection, to: &mut Connection) {
    let now = proto::Instant::from_nanos(1);
    let mut memory = [0; 1200];
    loop {
        let mut out = Writer::new(&mut memory);
        if !from.poll_packet(now, &mut out) {
            return;
        }
        let len = out.len();
        let mut records = to.handle_datagram(now, &mut memory[..len]);
        while records.next_record().is_some() {}
        drop(records);
        while let Some(event) = to.poll_event() {
            if event == Event::PeerCertificate {
                assert!(to.peer_certificate().is_some());
                to.accept_peer(now);
            }
        }
    }
}

struct Dimpl {
    config: Arc<dimpl::Config>,
    certificates: [DtlsCertificate; 2],
}

struct DimplEnd {
    dtls: Dtls,
    keys: Option<Vec<u8>>,
    has_certificate: bool,
    waiting: VecDeque<Vec<u8>>,
}

impl Dimpl {
    fn new() -> Self {
        let provider = dimpl::crypto::aws_lc_rs::default_provider();
        let config = dimpl::Config::builder()
            .with_crypto_provider(provider)
            .kx_groups(&[dimpl::NamedGroup::Secp256r1])
            // As behind ICE, which has proved the address.
            .use_server_cookie(false)
            .mtu(1200)
            .build()
            .expect("a configuration");
        let certificate = || dimpl::certificate::generate_self_signed_certificate().expect("a certificate");
        Self { config: Arc::new(config), certificates: [certificate(), certificate()] }
    }

    fn handshake(&self) {
        let now = Instant::now();
        let mut ends = [true, false].map(|active| {
            let certificate = self.certificates[usize::from(active)].clone();
            let mut dtls = Dtls::new_12(self.config.clone(), certificate, now);
            dtls.set_active(active);
            dtls.handle_timeout(now).expect("no failure");
            DimplEnd { dtls, keys: None, has_certificate: false, waiting: VecDeque::new() }
        });
        let mut memory = [0; 4096];
        for turn in 0..12 {
            let [a, b] = &mut ends;
            let (from, to) = if turn % 2 == 0 { (a, b) } else { (b, a) };
            from.drain(&mut memory);
            while let Some(packet) = from.waiting.pop_front() {
                to.dtls.handle_packet(&packet).expect("a packet of its own");
            }
            to.drain(&mut memory);
        }
        let [a, b] = ends;
        assert!(a.keys.is_some() && a.keys == b.keys && a.has_certificate && b.has_certificate);
    }
}

impl DimplEnd {
    fn drain(&mut self, memory: &mut [u8]) {
        loop {
            match self.dtls.poll_output(memory) {
                Output::Packet(packet) => self.waiting.push_back(packet.to_vec()),
                Output::PeerCert(certificate) => self.has_certificate = !certificate.is_empty(),
                Output::KeyingMaterial(keys, _) => self.keys = Some(keys.to_vec()),
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }
}

struct Rtc {
    provider: Arc<dyn RTCCryptoProvider>,
    certificates: [rtc_dtls::crypto::Certificate; 2],
}

impl Rtc {
    fn new() -> Self {
        let provider: Arc<dyn RTCCryptoProvider> = Arc::new(rtc_crypto::providers::RingProvider::new());
        let certificates = [(); 2].map(|()| {
            let names = vec!["WebRTC".to_owned()];
            rtc_dtls::crypto::Certificate::generate_self_signed(names, provider.crypto())
                .expect("a certificate")
        });
        Self { provider, certificates }
    }

    fn config(&self, is_client: bool) -> Arc<rtc_dtls::config::HandshakeConfig> {
        use rtc_dtls::cipher_suite::CipherSuiteId;
        use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType};
        use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;

        let config = ConfigBuilder::default()
            .with_crypto_provider(self.provider.clone())
            .with_certificates(vec![self.certificates[usize::from(is_client)].clone()])
            .with_cipher_suites(vec![CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256])
            .with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            ])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_insecure_skip_verify(true);
        Arc::new(config.build(is_client, None).expect("a configuration"))
    }

    fn handshake(&self) {
        use rtc_dtls::endpoint::{Endpoint, EndpointEvent};

        let now = Instant::now();
        let addresses: [SocketAddr; 2] = [([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into()];
        let server = Endpoint::new(addresses[0], TransportProtocol::UDP, Some(self.config(false)));
        let mut client = Endpoint::new(addresses[1], TransportProtocol::UDP, None);
        client.connect(now, addresses[0], self.config(true), None).expect("a client");
        let mut ends = [server, client];
        let mut done = [false; 2];
        for turn in 1..12 {
            let [a, b] = &mut ends;
            let (from, to) = if turn % 2 == 0 { (a, b) } else { (b, a) };
            while let Some(message) = from.poll_transmit() {
                let source = addresses[turn % 2];
                let events = to.read(now, source, None, message.message).expect("a packet of its own");
                done[1 - turn % 2] |=
                    events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete));
            }
        }
        assert_eq!(done, [true; 2]);
        let keys = |end: &Endpoint, peer: usize| {
            let state = end.get_connection_state(addresses[peer]).expect("connected");
            state.export_keying_material("EXTRACTOR-dtls_srtp", &[], 60).expect("connected")
        };
        assert_eq!(keys(&ends[1], 0).as_ref(), keys(&ends[0], 1).as_ref());
    }
}
