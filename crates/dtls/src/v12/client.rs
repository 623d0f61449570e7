use super::handshake::{Expect, Fault, Handshake, INTERNAL, Message, Progress};
use crate::flight::Flight;
use crate::wire::{
    CertificateRequest, CertificateVerify, CipherSuite, ClientHello, ClientKeyExchange, Extension,
    Extensions, HandshakeType, HelloVerifyRequest, KeyAlgorithm, List16, NamedGroup, ServerHello,
    ServerKeyExchange, SignatureScheme, SrtpProfile, UseSrtp, version,
};
use crate::{CloseReason, Discard};

impl Handshake {
    /// Writes the ClientHello, with the server's cookie if it gave one.
    pub(crate) fn start(&mut self, cookie: &[u8], flight: &mut Flight) -> Result<(), Fault> {
        flight.clear();
        self.transcript.clear();
        let provider = self.config.provider;
        let possible = self.config.cipher_suites.iter().filter(|suite| suite.key().is_checked_by(provider));
        let suites = be_bytes(possible.map(|suite| suite.to_u16()));
        let groups = be_bytes(self.config.groups.iter().map(|group| group.to_u16()));
        let schemes = be_bytes(SignatureScheme::taken(provider).map(|scheme| scheme.0));
        let name = self.config.server_name.clone().unwrap_or_default();
        let profiles = be_bytes(self.config.srtp_profiles.iter().map(|profile| profile.to_u16()));
        let mut extensions = vec![
            Extension::RenegotiationInfo(&[]),
            Extension::ExtendedMasterSecret,
            Extension::SupportedGroups(List16::checked(&groups).map_err(|_| INTERNAL)?),
            Extension::EcPointFormats(&[UNCOMPRESSED]),
            Extension::SignatureAlgorithms(List16::checked(&schemes).map_err(|_| INTERNAL)?),
        ];
        if let Ok(profiles) = List16::checked(&profiles) {
            extensions.push(Extension::UseSrtp(UseSrtp { profiles, mki: &[] }));
        }
        if !name.is_empty() {
            extensions.push(Extension::ServerName(name.as_bytes()));
        }
        let hello = ClientHello {
            version: version::DTLS_1_2,
            random: self.client_random,
            session_id: &[],
            cookie,
            suites: List16::checked(&suites).map_err(|_| INTERNAL)?,
            compressions: &[0],
            extensions: Extensions::default(),
        };
        let lists = [suites.len(), groups.len(), profiles.len(), name.len()];
        let limit = lists.into_iter().fold(512, usize::saturating_add);
        self.send(flight, 0, HandshakeType::CLIENT_HELLO, limit, |out| hello.encode(&extensions, out))
    }

    pub(super) fn handle_as_client(
        &mut self,
        message: &Message<'_>,
        flight: &mut Flight,
    ) -> Result<Progress, Fault> {
        match self.expect {
            Expect::ServerHello if message.kind == HandshakeType::HELLO_VERIFY_REQUEST => {
                return self.take_hello_verify_request(message, flight);
            }
            Expect::ServerHello => {
                message.must_be(HandshakeType::SERVER_HELLO)?;
                self.take_server_hello(message)?;
            }
            Expect::ServerCertificate => {
                message.must_be(HandshakeType::CERTIFICATE)?;
                self.take_certificate(message)?;
                // RFC 5246 §7.4.2: the certificate has the kind of key that the suite speaks of.
                if self.suite.is_none_or(|suite| suite.key() != self.peer_key_algorithm) {
                    return Err(Fault::Close(CloseReason::UnsupportedCertificate));
                }
                self.expect = Expect::ServerKeyExchange;
            }
            Expect::ServerKeyExchange => {
                message.must_be(HandshakeType::SERVER_KEY_EXCHANGE)?;
                self.take_server_key_exchange(message)?;
            }
            Expect::RequestOrDone if message.kind == HandshakeType::CERTIFICATE_REQUEST => {
                self.take_certificate_request(message)?;
            }
            Expect::RequestOrDone | Expect::ServerHelloDone => {
                message.must_be(HandshakeType::SERVER_HELLO_DONE)?;
                if !message.body.is_empty() {
                    return Err(Discard::IllegalParameter.into());
                }
                self.record(message);
                return self.send_client_flight(flight);
            }
            Expect::Finished => {
                self.check_finished(message)?;
                return Ok(Progress { complete: true, ..Progress::default() });
            }
            Expect::ClientHello
            | Expect::ClientCertificate
            | Expect::ClientKeyExchange
            | Expect::CertificateVerify
            | Expect::ChangeCipherSpec
            | Expect::Nothing => return Err(Discard::Unexpected.into()),
        }
        Ok(Progress::default())
    }

    fn take_hello_verify_request(
        &mut self,
        message: &Message<'_>,
        flight: &mut Flight,
    ) -> Result<Progress, Fault> {
        let request = HelloVerifyRequest::decode(message.body)?;
        if self.hellos_verified >= MAX_HELLO_VERIFY_REQUESTS {
            return Err(Discard::Unexpected.into());
        }
        self.hellos_verified = self.hellos_verified.saturating_add(1);
        // RFC 6347 §4.2.1: the same hello once more with the cookie; §4.2.6: neither the first hello nor
        // the request is part of the transcript.
        let cookie = request.cookie.to_vec();
        self.start(&cookie, flight)?;
        Ok(Progress { flight: true, ..Progress::default() })
    }

    fn take_server_hello(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        let hello = ServerHello::decode(message.body)?;
        if hello.version != version::DTLS_1_2 {
            return Err(Fault::Close(CloseReason::NoCommonVersion));
        }
        let suite = CipherSuite::from_u16(hello.suite)
            .filter(|suite| self.config.cipher_suites.contains(suite))
            .ok_or(Discard::IllegalParameter)?;
        if hello.compression != 0 {
            return Err(Discard::IllegalParameter.into());
        }
        let (mut extended, mut srtp) = (false, None);
        for extension in hello.extensions.iter() {
            match extension {
                Extension::ExtendedMasterSecret => extended = true,
                Extension::UseSrtp(answer) => srtp = Some(self.take_srtp_answer(&answer)?),
                Extension::RenegotiationInfo([]) => {}
                Extension::EcPointFormats(formats) if formats.contains(&UNCOMPRESSED) => {}
                // We ask with this one; some servers answer it, and the answer means nothing.
                Extension::SupportedGroups(_) => {}
                // RFC 6066 §3: it has this name.
                Extension::ServerName([]) if self.config.server_name.is_some() => {}
                // RFC 5246 §7.4.1.4: a server answers only what it was asked.
                Extension::ServerName(_)
                | Extension::EcPointFormats(_)
                | Extension::SignatureAlgorithms(_)
                | Extension::SupportedVersions(_)
                | Extension::RenegotiationInfo(_)
                | Extension::Unknown { .. } => return Err(Discard::IllegalParameter.into()),
            }
        }
        if !extended {
            return Err(Fault::Close(CloseReason::NoExtendedMasterSecret));
        }
        if srtp.is_none() && self.config.srtp_required {
            return Err(Fault::Close(CloseReason::NoCommonSrtpProfile));
        }
        self.suite = Some(suite);
        self.srtp = srtp;
        self.server_random = hello.random;
        self.record(message);
        self.expect = Expect::ServerCertificate;
        Ok(())
    }

    /// RFC 5764 §4.1.1: exactly one profile, out of those offered, and no key identifier, as none was offered.
    fn take_srtp_answer(&self, answer: &UseSrtp<'_>) -> Result<SrtpProfile, Fault> {
        if self.config.srtp_profiles.is_empty() {
            return Err(Discard::IllegalParameter.into());
        }
        let mut profiles = answer.profiles.iter();
        let chosen = profiles
            .next()
            .and_then(SrtpProfile::from_u16)
            .filter(|profile| self.config.srtp_profiles.contains(profile));
        match chosen {
            Some(profile) if profiles.next().is_none() && answer.mki.is_empty() => Ok(profile),
            _ => Err(Fault::Close(CloseReason::IllegalSrtp)),
        }
    }

    fn take_server_key_exchange(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        let exchange = ServerKeyExchange::decode(message.body)?;
        let group = NamedGroup::from_u16(exchange.group)
            .filter(|group| self.config.groups.contains(group))
            .ok_or(Discard::IllegalParameter)?;
        let signed = [&self.client_random[..], &self.server_random, exchange.parameters].concat();
        self.verify(exchange.scheme, &signed, exchange.signature)?;
        let ours = self.new_exchange(group);
        self.agreed = Some(self.agree(ours, exchange.share)?);
        self.exchange = None;
        self.record(message);
        self.expect = Expect::RequestOrDone;
        Ok(())
    }

    fn take_certificate_request(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        let request = CertificateRequest::decode(message.body)?;
        let key =
            self.config.identity.as_ref().map_or(KeyAlgorithm::P256, |identity| identity.key_algorithm());
        let scheme = SignatureScheme::made_by(key).0;
        if !request.kinds.contains(&kind_of(key)) || !request.schemes.contains(scheme) {
            return Err(Fault::Close(CloseReason::NoCommonSignatureAlgorithm));
        }
        self.certificate_requested = true;
        self.record(message);
        self.expect = Expect::ServerHelloDone;
        Ok(())
    }

    fn send_client_flight(&mut self, flight: &mut Flight) -> Result<Progress, Fault> {
        let (share, shared) = self.agreed.take().ok_or(INTERNAL)?;
        flight.clear();
        if self.certificate_requested {
            self.send_certificate(flight)?;
        }
        self.send(flight, 0, HandshakeType::CLIENT_KEY_EXCHANGE, share.len().saturating_add(1), |out| {
            ClientKeyExchange { share: &share }.encode(out)
        })?;
        let keys = self.derive(&shared)?;
        // RFC 5246 §7.4.8: who showed none has no key to prove.
        if let Some(identity) = self.config.identity.as_deref().filter(|_| self.certificate_requested) {
            let signature = identity.sign(&self.transcript);
            let scheme = SignatureScheme::made_by(identity.key_algorithm());
            self.send(
                flight,
                0,
                HandshakeType::CERTIFICATE_VERIFY,
                signature.len().saturating_add(4),
                |out| CertificateVerify { scheme, signature: &signature }.encode(out),
            )?;
        }
        self.send_finished(flight)?;
        self.expect = Expect::ChangeCipherSpec;
        Ok(Progress { flight: true, keys: Some(keys), peer_proven: true, ..Progress::default() })
    }
}

/// What stands for such keys in a CertificateRequest.
pub(super) const fn kind_of(key: KeyAlgorithm) -> u8 {
    match key {
        KeyAlgorithm::P256 => CertificateRequest::ECDSA_SIGN,
        KeyAlgorithm::Rsa => CertificateRequest::RSA_SIGN,
    }
}

pub(super) fn be_bytes(values: impl Iterator<Item = u16>) -> Vec<u8> {
    values.flat_map(u16::to_be_bytes).collect()
}

pub(super) const UNCOMPRESSED: u8 = 0;
/// A server asks once; a second time if its cookie's key changed meanwhile.
const MAX_HELLO_VERIFY_REQUESTS: u8 = 3;
