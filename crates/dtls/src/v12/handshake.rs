use std::sync::Arc;

use crypto::{KeyExchange, Rng, Secret, SharedSecret, SignatureAlgorithm, constant_time_eq};
use proto::{NoSpace, Writer};

use super::{Opener, Sealer, Session};
use crate::flight::Flight;
use crate::identity::{LeafError, leaf_key};
use crate::wire::{
    Certificate, CipherSuite, HandshakeType, KeyAlgorithm, NamedGroup, SignatureScheme, SrtpProfile,
    encode_fragment_header,
};
use crate::{CloseReason, Config, Discard, Role};

/// One handshake: takes the peer's messages whole and in order, and writes ours into a [`Flight`].
///
/// ```text
///   client                                     server
///   ClientHello                       ──▶
///                                     ◀──      (HelloVerifyRequest)
///   (ClientHello with the cookie)     ──▶
///                                     ◀──      ServerHello, Certificate, ServerKeyExchange,
///                                              CertificateRequest, ServerHelloDone
///   Certificate, ClientKeyExchange,
///   CertificateVerify,
///   [ChangeCipherSpec], Finished      ──▶
///                                     ◀──      [ChangeCipherSpec], Finished
/// ```
///
/// Where the server does not ask for a certificate, CertificateRequest, the client's Certificate and its
/// CertificateVerify are left out; a client that is asked and has none sends an empty Certificate without proof.
///
/// A message that comes at another point, or whose content cannot be meant, is refused and changes
/// nothing: before the keys anyone could have sent it (RFC 6347 §4.1.2.7).
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(super) config: Arc<Config>,
    pub(super) role: Role,
    pub(super) expect: Expect,
    pub(super) rng: Rng,
    /// Every message so far, ours and the peer's, as if none had been cut (RFC 6347 §4.2.6).
    pub(super) transcript: Vec<u8>,
    /// The number of our next message.
    pub(super) send_sequence: u16,
    pub(super) client_random: [u8; 32],
    pub(super) server_random: [u8; 32],
    pub(super) suite: Option<CipherSuite>,
    pub(super) exchange: Option<Exchange>,
    /// The client's share and the shared secret, until its flight is due.
    pub(super) agreed: Option<(Vec<u8>, SharedSecret)>,
    pub(super) certificate_requested: bool,
    pub(super) peer_certificate: Vec<u8>,
    pub(super) peer_key: Vec<u8>,
    pub(super) peer_key_algorithm: KeyAlgorithm,
    /// What the peer sent behind its certificate, up to the limit, until it is taken.
    pub(super) peer_issuers: Vec<Vec<u8>>,
    pub(super) session: Option<Session>,
    pub(super) srtp: Option<SrtpProfile>,
    pub(super) hellos_verified: u8,
    pub(super) wrong_signatures: u8,
}

/// The message that comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expect {
    // As a client:
    ServerHello,
    ServerCertificate,
    ServerKeyExchange,
    RequestOrDone,
    ServerHelloDone,
    // As a server:
    ClientHello,
    ClientCertificate,
    ClientKeyExchange,
    CertificateVerify,
    // Both:
    ChangeCipherSpec,
    Finished,
    Nothing,
}

/// What a message led to.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The flight was written anew, to be sent now.
    pub(crate) flight: bool,
    /// The keys of epoch 1.
    pub(crate) keys: Option<(Sealer, Opener)>,
    /// The peer has shown that it owns its certificate's key.
    pub(crate) peer_proven: bool,
    /// The peer was not asked for a certificate: it may be anybody.
    pub(crate) peer_unasked: bool,
    /// Both Finished messages were made.
    pub(crate) complete: bool,
}

/// Why a message led to nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// It is ignored.
    Discard(Discard),
    /// What the peer offers cannot work.
    Close(CloseReason),
}

impl<E: Into<Discard>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Discard(error.into())
    }
}

impl Handshake {
    pub(crate) fn new(config: Arc<Config>, role: Role, seed: [u8; 32], send_sequence: u16) -> Self {
        let mut rng = Rng::new(seed);
        let (mut client_random, mut server_random) = ([0; 32], [0; 32]);
        match role {
            Role::Client => rng.fill(&mut client_random),
            Role::Server => rng.fill(&mut server_random),
        }
        Self {
            config,
            role,
            expect: match role {
                Role::Client => Expect::ServerHello,
                Role::Server => Expect::ClientHello,
            },
            rng,
            transcript: Vec::new(),
            send_sequence,
            client_random,
            server_random,
            suite: None,
            exchange: None,
            agreed: None,
            certificate_requested: false,
            peer_certificate: Vec::new(),
            peer_key: Vec::new(),
            peer_key_algorithm: KeyAlgorithm::P256,
            peer_issuers: Vec::new(),
            session: None,
            srtp: None,
            hellos_verified: 0,
            wrong_signatures: 0,
        }
    }

    /// Takes the next message of the peer, which came under the keys of `epoch`.
    pub(crate) fn handle(
        &mut self,
        epoch: u16,
        kind: HandshakeType,
        sequence: u16,
        body: &[u8],
        flight: &mut Flight,
    ) -> Result<Progress, Fault> {
        if kind == HandshakeType::HELLO_REQUEST {
            return Err(Discard::Renegotiation.into());
        }
        // RFC 5246 §7.4.9: Finished is the one message of epoch 1.
        if (epoch > 0) != (self.expect == Expect::Finished) {
            return Err(Discard::Unexpected.into());
        }
        let message = Message { kind, sequence, body };
        match self.role {
            Role::Client => self.handle_as_client(&message, flight),
            Role::Server => self.handle_as_server(&message, flight),
        }
    }

    /// The peer changes to the keys of epoch 1.
    pub(crate) fn handle_change_cipher_spec(&mut self) -> Result<(), Discard> {
        if self.expect != Expect::ChangeCipherSpec {
            return Err(Discard::Unexpected);
        }
        self.expect = Expect::Finished;
        Ok(())
    }

    /// What is left when the handshake is complete: the session, the profile, the peer's certificate.
    pub(crate) fn into_session(self) -> Option<(Session, Option<SrtpProfile>, Vec<u8>)> {
        Some((self.session?, self.srtp, self.peer_certificate))
    }

    /// What the peer's Finished must say now.
    #[cfg(test)]
    pub(crate) fn expected_finished(&self) -> Option<[u8; 12]> {
        Some(self.session.as_ref()?.verify_data(self.role.other(), &self.transcript))
    }

    pub(crate) fn peer_certificate(&self) -> &[u8] {
        &self.peer_certificate
    }

    /// The certificates behind the peer's, once.
    pub(crate) fn take_peer_issuers(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.peer_issuers)
    }

    pub(crate) const fn suite(&self) -> Option<CipherSuite> {
        self.suite
    }

    /// Writes a message of ours into the flight and the transcript.
    pub(super) fn send(
        &mut self,
        flight: &mut Flight,
        epoch: u16,
        kind: HandshakeType,
        body_limit: usize,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
    ) -> Result<(), Fault> {
        let message =
            flight.push(epoch, kind, self.send_sequence, body_limit, body).map_err(|NoSpace| INTERNAL)?;
        self.transcript.extend_from_slice(message);
        self.send_sequence = self.send_sequence.wrapping_add(1);
        Ok(())
    }

    pub(super) fn send_certificate(&mut self, flight: &mut Flight) -> Result<(), Fault> {
        let config = Arc::clone(&self.config);
        let chain = || config.identity.iter().flat_map(|identity| identity.chain());
        let limit = chain().fold(16_usize, |sum, der| sum.saturating_add(der.len()).saturating_add(3));
        self.send(flight, 0, HandshakeType::CERTIFICATE, limit, |out| Certificate::encode(chain(), out))
    }

    pub(super) fn send_finished(&mut self, flight: &mut Flight) -> Result<(), Fault> {
        flight.push_change_cipher_spec();
        let session = self.session.as_ref().ok_or(INTERNAL)?;
        let data = session.verify_data(self.role, &self.transcript);
        self.send(flight, 1, HandshakeType::FINISHED, data.len(), |out| out.put(&data))
    }

    /// Adds a message of the peer to the transcript.
    pub(super) fn record(&mut self, message: &Message<'_>) {
        let total = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
        let header = encode_fragment_header(message.kind, total, message.sequence, 0, total);
        self.transcript.extend_from_slice(&header);
        self.transcript.extend_from_slice(message.body);
    }

    pub(super) fn take_certificate(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        let certificate = Certificate::decode(message.body)?;
        let mut chain = certificate.chain();
        let leaf = chain.next().ok_or(Fault::Close(CloseReason::NoPeerCertificate))?;
        if leaf.len() > self.config.max_certificate {
            return Err(Fault::Close(CloseReason::UnsupportedCertificate));
        }
        let key = leaf_key(leaf).map_err(|error| match error {
            LeafError::Malformed => Fault::Discard(Discard::IllegalParameter),
            LeafError::OtherAlgorithm => Fault::Close(CloseReason::UnsupportedCertificate),
        })?;
        if !key.algorithm.is_checked_by(self.config.provider) {
            return Err(Fault::Close(CloseReason::UnsupportedCertificate));
        }
        self.peer_key = key.bytes.to_vec();
        self.peer_key_algorithm = key.algorithm;
        self.peer_certificate = leaf.to_vec();
        self.peer_issuers = chain.take(self.config.max_issuers).map(<[u8]>::to_vec).collect();
        self.record(message);
        Ok(())
    }

    /// Checks a signature of the peer. Each check costs more than the message that asks for it, so a
    /// handshake affords a few wrong ones only.
    pub(super) fn verify(
        &mut self,
        scheme: SignatureScheme,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), Fault> {
        let fits = |algorithm: &SignatureAlgorithm| KeyAlgorithm::of(*algorithm) == self.peer_key_algorithm;
        let algorithm = scheme.algorithm().filter(fits).ok_or(Discard::IllegalParameter)?;
        if self.config.provider.verify(algorithm, &self.peer_key, signed, signature).is_ok() {
            return Ok(());
        }
        self.wrong_signatures = self.wrong_signatures.saturating_add(1);
        if self.wrong_signatures >= MAX_WRONG_SIGNATURES {
            return Err(Fault::Close(CloseReason::BadSignature));
        }
        Err(Discard::Signature.into())
    }

    /// Derives the keys from what was agreed, once ClientKeyExchange is in the transcript.
    pub(super) fn derive(&mut self, shared: &SharedSecret) -> Result<(Sealer, Opener), Fault> {
        let suite = self.suite.ok_or(INTERNAL)?;
        let session = Session::new(
            self.config.provider,
            suite,
            shared.expose(),
            &self.transcript,
            self.client_random,
            self.server_random,
        );
        let keys = session.keys(self.role).ok_or(INTERNAL)?;
        self.session = Some(session);
        Ok(keys)
    }

    /// Checks the peer's Finished. It came under the new keys, so a wrong one is no stranger's.
    pub(super) fn check_finished(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        let session = self.session.as_ref().ok_or(INTERNAL)?;
        let expected = session.verify_data(self.role.other(), &self.transcript);
        if message.kind != HandshakeType::FINISHED || !constant_time_eq(&expected, message.body) {
            return Err(Fault::Close(CloseReason::BadFinished));
        }
        self.record(message);
        self.expect = Expect::Nothing;
        Ok(())
    }

    pub(super) fn new_exchange(&mut self, group: NamedGroup) -> Exchange {
        let seed = Secret::new(self.rng.array());
        let key = self.config.provider.key_exchange(group.group(), &mut Rng::new(*seed.expose()));
        Exchange { group, seed, key }
    }

    /// Agrees with the peer's share. Our key survives a share that is not one.
    pub(super) fn agree(
        &mut self,
        exchange: Exchange,
        share: &[u8],
    ) -> Result<(Vec<u8>, SharedSecret), Fault> {
        let Exchange { group, seed, key } = exchange;
        let ours = key.public_key().to_vec();
        if let Ok(shared) = key.complete(share) {
            return Ok((ours, shared));
        }
        let key = self.config.provider.key_exchange(group.group(), &mut Rng::new(*seed.expose()));
        self.exchange = Some(Exchange { group, seed, key });
        Err(Discard::IllegalParameter.into())
    }
}

/// A message of the peer, whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: HandshakeType,
    pub(super) sequence: u16,
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    pub(super) fn must_be(&self, kind: HandshakeType) -> Result<(), Fault> {
        if self.kind == kind { Ok(()) } else { Err(Discard::Unexpected.into()) }
    }
}

/// Our ephemeral key, and the bytes that it can be made from again.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) group: NamedGroup,
    seed: Secret<32>,
    pub(super) key: Box<dyn KeyExchange>,
}

/// What cannot happen with a configuration that can work.
pub(super) const INTERNAL: Fault = Fault::Close(CloseReason::Internal);
const MAX_WRONG_SIGNATURES: u8 = 4;
