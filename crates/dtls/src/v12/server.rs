use super::client::{UNCOMPRESSED, be_bytes, kind_of};
use super::handshake::{Expect, Fault, Handshake, INTERNAL, Message, Progress};
use crate::flight::Flight;
use crate::wire::{
    CertificateRequest, CertificateVerify, CipherSuite, ClientHello, ClientKeyExchange, Extension,
    Extensions, HandshakeType, KeyAlgorithm, List16, NamedGroup, ServerHello, ServerKeyExchange,
    SignatureScheme, SrtpProfile, UseSrtp, version,
};
use crate::{ClientCertificate, CloseReason, Discard};

impl Handshake {
    pub(super) fn handle_as_server(
        &mut self,
        message: &Message<'_>,
        flight: &mut Flight,
    ) -> Result<Progress, Fault> {
        match self.expect {
            Expect::ClientHello => {
                message.must_be(HandshakeType::CLIENT_HELLO)?;
                let offer = self.choose(message.body)?;
                self.record(message);
                self.send_server_flight(&offer, flight)?;
                self.expect = match self.config.client_certificate {
                    ClientCertificate::Required => Expect::ClientCertificate,
                    ClientCertificate::NotRequested => Expect::ClientKeyExchange,
                };
                Ok(Progress { flight: true, ..Progress::default() })
            }
            Expect::ClientCertificate => {
                message.must_be(HandshakeType::CERTIFICATE)?;
                self.take_certificate(message)?;
                self.expect = Expect::ClientKeyExchange;
                Ok(Progress::default())
            }
            Expect::ClientKeyExchange => {
                message.must_be(HandshakeType::CLIENT_KEY_EXCHANGE)?;
                let share = ClientKeyExchange::decode(message.body)?.share;
                let ours = self.exchange.take().ok_or(INTERNAL)?;
                let (_, shared) = self.agree(ours, share)?;
                self.record(message);
                let keys = self.derive(&shared)?;
                let peer_unasked = self.config.client_certificate == ClientCertificate::NotRequested;
                self.expect = if peer_unasked { Expect::ChangeCipherSpec } else { Expect::CertificateVerify };
                Ok(Progress { keys: Some(keys), peer_unasked, ..Progress::default() })
            }
            Expect::CertificateVerify => {
                message.must_be(HandshakeType::CERTIFICATE_VERIFY)?;
                let proof = CertificateVerify::decode(message.body)?;
                // Taken out for the time of the check, which needs the handshake to count its failures.
                let transcript = std::mem::take(&mut self.transcript);
                let checked = self.verify(proof.scheme, &transcript, proof.signature);
                self.transcript = transcript;
                checked?;
                self.record(message);
                self.expect = Expect::ChangeCipherSpec;
                Ok(Progress { peer_proven: true, ..Progress::default() })
            }
            Expect::Finished => {
                self.check_finished(message)?;
                flight.clear();
                self.send_finished(flight)?;
                Ok(Progress { flight: true, complete: true, ..Progress::default() })
            }
            Expect::ServerHello
            | Expect::ServerCertificate
            | Expect::ServerKeyExchange
            | Expect::RequestOrDone
            | Expect::ServerHelloDone
            | Expect::ChangeCipherSpec
            | Expect::Nothing => Err(Discard::Unexpected.into()),
        }
    }

    /// Chooses from what the client offers, by our preference.
    fn choose(&mut self, body: &[u8]) -> Result<Choice, Fault> {
        let hello = ClientHello::decode(body)?;
        let (mut extended, mut secure) = (false, hello.suites.contains(RENEGOTIATION_SCSV));
        let key =
            self.config.identity.as_ref().map_or(KeyAlgorithm::P256, |identity| identity.key_algorithm());
        let (mut group, mut signs) = (None, false);
        let mut srtp = None;
        // RFC 6347 §4.2.1: versions count downwards; without `supported_versions`, what stands is the best.
        let mut speaks_1_2 = hello.version >> 8 == 0xfe && hello.version <= version::DTLS_1_2;
        for extension in hello.extensions.iter() {
            match extension {
                Extension::SupportedGroups(groups) => {
                    group = self.config.groups.iter().copied().find(|group| groups.contains(group.to_u16()));
                }
                Extension::EcPointFormats(formats) if !formats.contains(&UNCOMPRESSED) => {
                    return Err(Discard::IllegalParameter.into());
                }
                Extension::SignatureAlgorithms(schemes) => {
                    signs = schemes.contains(SignatureScheme::made_by(key).0);
                }
                Extension::UseSrtp(offer) => srtp = self.choose_srtp(&offer),
                Extension::ExtendedMasterSecret => extended = true,
                Extension::SupportedVersions(versions) => {
                    speaks_1_2 &= versions.contains(version::DTLS_1_2);
                }
                Extension::RenegotiationInfo([]) => secure = true,
                // RFC 5746 §3.6: there is nothing to be renegotiated.
                Extension::RenegotiationInfo(_) => return Err(Discard::IllegalParameter.into()),
                Extension::EcPointFormats(_) | Extension::ServerName(_) | Extension::Unknown { .. } => {}
            }
        }
        if !hello.compressions.contains(&0) {
            return Err(Discard::IllegalParameter.into());
        }
        if !speaks_1_2 {
            return Err(Fault::Close(CloseReason::NoCommonVersion));
        }
        let offered = |suite: &CipherSuite| suite.key() == key && hello.suites.contains(suite.to_u16());
        let suite = self.config.cipher_suites.iter().copied().find(offered);
        let suite = suite.ok_or(Fault::Close(CloseReason::NoCommonCipherSuite))?;
        let group = group.ok_or(Fault::Close(CloseReason::NoCommonGroup))?;
        if !signs {
            return Err(Fault::Close(CloseReason::NoCommonSignatureAlgorithm));
        }
        if !extended {
            return Err(Fault::Close(CloseReason::NoExtendedMasterSecret));
        }
        if srtp.is_none() && self.config.srtp_required {
            return Err(Fault::Close(CloseReason::NoCommonSrtpProfile));
        }
        self.client_random = hello.random;
        self.suite = Some(suite);
        self.srtp = srtp;
        Ok(Choice { suite, group, secure })
    }

    /// Whether the client would use key identifiers is no matter: the answer names none (RFC 5764 §4.1.3).
    fn choose_srtp(&self, offer: &UseSrtp<'_>) -> Option<SrtpProfile> {
        let offered = |profile: &SrtpProfile| offer.profiles.contains(profile.to_u16());
        self.config.srtp_profiles.iter().copied().find(offered)
    }

    fn send_server_flight(&mut self, choice: &Choice, flight: &mut Flight) -> Result<(), Fault> {
        let identity = self.config.identity.clone().ok_or(INTERNAL)?;
        flight.clear();
        let profile = self.srtp.map(|profile| profile.to_u16().to_be_bytes());
        let mut extensions =
            vec![Extension::ExtendedMasterSecret, Extension::EcPointFormats(&[UNCOMPRESSED])];
        if choice.secure {
            extensions.push(Extension::RenegotiationInfo(&[]));
        }
        if let Some(profiles) = profile.as_ref().and_then(|bytes| List16::checked(bytes).ok()) {
            extensions.push(Extension::UseSrtp(UseSrtp { profiles, mki: &[] }));
        }
        let hello = ServerHello {
            version: version::DTLS_1_2,
            random: self.server_random,
            session_id: &[],
            suite: choice.suite.to_u16(),
            compression: 0,
            extensions: Extensions::default(),
        };
        self.send(flight, 0, HandshakeType::SERVER_HELLO, 256, |out| hello.encode(&extensions, out))?;
        self.send_certificate(flight)?;

        let exchange = self.new_exchange(choice.group);
        let share = exchange.key.public_key().to_vec();
        self.exchange = Some(exchange);
        let mut parameters = [0; 256];
        let mut out = proto::Writer::new(&mut parameters);
        let group = choice.group.to_u16();
        ServerKeyExchange::encode_parameters(group, &share, &mut out).map_err(|_| INTERNAL)?;
        let signed = [&self.client_random[..], &self.server_random, out.written()].concat();
        let signature = identity.sign(&signed);
        let scheme = SignatureScheme::made_by(identity.key_algorithm());
        let limit = signature.len().saturating_add(256);
        self.send(flight, 0, HandshakeType::SERVER_KEY_EXCHANGE, limit, |out| {
            ServerKeyExchange { group, share: &share, scheme, signature: &signature, parameters: &[] }
                .encode(out)
        })?;
        if self.config.client_certificate == ClientCertificate::Required {
            let provider = self.config.provider;
            let kinds = [KeyAlgorithm::P256, KeyAlgorithm::Rsa].into_iter();
            let kinds: Vec<_> = kinds.filter(|key| key.is_checked_by(provider)).map(kind_of).collect();
            let schemes = be_bytes(SignatureScheme::taken(provider).map(|scheme| scheme.0));
            let schemes = List16::checked(&schemes).map_err(|_| INTERNAL)?;
            self.send(flight, 0, HandshakeType::CERTIFICATE_REQUEST, 32, |out| {
                CertificateRequest { kinds: &kinds, schemes, authorities: &[] }.encode(out)
            })?;
        }
        self.send(flight, 0, HandshakeType::SERVER_HELLO_DONE, 0, |_| Ok(()))
    }
}

struct Choice {
    suite: CipherSuite,
    group: NamedGroup,
    /// Whether the client knows RFC 5746, and is told that we do.
    secure: bool,
}

/// RFC 5746 §3.3: stands among the suites of a client for an empty `renegotiation_info`.
const RENEGOTIATION_SCSV: u16 = 0x00ff;
