use std::fmt;

use crypto::Provider;
use proto::NoSpace;

use crate::nonce::SecurityFeatures;
use crate::wire::{Attribute, Encoder, Message, PasswordAlgorithm, PasswordAlgorithms};
use crate::{Credentials, IntegrityError, IntegrityKey, userhash};

/// The client's side of the long-term credential mechanism (RFC 8489 §9.2): it is challenged by a first
/// answer, and what it asks from then on carries the credential.
#[derive(Debug)]
pub struct LongTerm {
    provider: &'static dyn Provider,
    credentials: Credentials,
    challenge: Option<Challenge>,
}

impl LongTerm {
    /// Nothing is known of the server yet.
    pub const fn new(provider: &'static dyn Provider, credentials: Credentials) -> Self {
        Self { provider, credentials, challenge: None }
    }

    /// Another one that begins with what this one knows of the server: for one more connection to it.
    pub fn another(&self) -> Self {
        let challenge = self.challenge.as_ref().and_then(|known| {
            let kind = known.algorithm.as_ref().map_or(PasswordAlgorithm::Md5, |(kind, _)| *kind);
            let key = self.credentials.key(self.provider, &known.realm, kind)?;
            Some(Challenge {
                realm: known.realm.clone(),
                nonce: known.nonce.clone(),
                algorithm: known.algorithm.clone(),
                userhash: known.userhash,
                key: if known.algorithm.is_some() { key.with_sha256() } else { key },
            })
        });
        Self { provider: self.provider, credentials: self.credentials.clone(), challenge }
    }

    /// Begins anew, as if nothing were known of the server.
    pub fn forget(&mut self) {
        self.challenge = None;
    }

    /// The key of requests and of their answers; none before the first challenge.
    pub fn key(&self) -> Option<&IntegrityKey> {
        self.challenge.as_ref().map(|challenge| &challenge.key)
    }

    /// Appends what a request carries besides its integrity code, for which [`Encoder::finish`] wants
    /// [`key`](Self::key): nothing before the first challenge (RFC 8489 §9.2.3).
    ///
    /// # Errors
    ///
    /// It does not fit.
    pub fn write(&self, request: &mut Encoder<'_, '_>) -> Result<(), NoSpace> {
        let Some(challenge) = &self.challenge else { return Ok(()) };
        request.attribute(match &challenge.userhash {
            Some(hash) => Attribute::Userhash(hash),
            None => Attribute::Username(self.credentials.username()),
        })?;
        request.attribute(Attribute::Realm(&challenge.realm))?;
        request.attribute(Attribute::Nonce(&challenge.nonce))?;
        if let Some((algorithm, offered)) = &challenge.algorithm {
            request.attribute(Attribute::PasswordAlgorithms(PasswordAlgorithms::echo(offered)))?;
            request.attribute(Attribute::PasswordAlgorithm(*algorithm))?;
        }
        Ok(())
    }

    /// Takes a 401 or 438, after which the request may be made anew. On an error nothing has changed.
    ///
    /// # Errors
    ///
    /// Why the request must not be made again (RFC 8489 §9.2.5).
    pub fn handle_challenge(&mut self, response: &Message<'_>) -> Result<(), ChallengeError> {
        let code = response.error_code().map(|error| error.code);
        let (Some(realm), Some(nonce)) = (response.realm(), response.nonce()) else {
            return Err(ChallengeError::Incomplete);
        };
        // What is longer could be read but not be written back (RFC 8489 §14.9, §14.10).
        if [realm, nonce].iter().any(|text| text.chars().count() > MAX_CHARACTERS) {
            return Err(ChallengeError::Incomplete);
        }
        let features = SecurityFeatures::of(nonce).unwrap_or_default();
        let offered = response.password_algorithms();
        if features.password_algorithms && offered.is_none() {
            return Err(ChallengeError::BidDown);
        }
        let algorithm = match offered {
            None => None,
            Some(offered) => {
                let known = |algorithm: &PasswordAlgorithm| {
                    matches!(algorithm, PasswordAlgorithm::Md5 | PasswordAlgorithm::Sha256)
                };
                let first = offered.algorithms().find(known).ok_or(ChallengeError::NoCommonAlgorithm)?;
                Some((first, offered.as_bytes().into()))
            }
        };
        // RFC 8489 §9.2.5: a credential that was refused is not tried again.
        let same = |challenge: &Challenge| *challenge.realm == *realm && challenge.algorithm == algorithm;
        if code == Some(401) && self.challenge.as_ref().is_some_and(same) {
            return Err(ChallengeError::Refused);
        }
        if code == Some(438) && self.challenge.as_ref().is_some_and(|challenge| *challenge.nonce == *nonce) {
            return Err(ChallengeError::SameNonce);
        }
        let kind = algorithm.as_ref().map_or(PasswordAlgorithm::Md5, |(kind, _)| *kind);
        let key =
            self.credentials.key(self.provider, realm, kind).ok_or(ChallengeError::NoCommonAlgorithm)?;
        let anonymous = features.username_anonymity;
        self.challenge = Some(Challenge {
            userhash: anonymous.then(|| userhash(self.provider, self.credentials.username(), realm)),
            realm: realm.into(),
            nonce: nonce.into(),
            key: if algorithm.is_some() { key.with_sha256() } else { key },
            algorithm,
        });
        Ok(())
    }

    /// Takes another name and password, for the same realm and with the nonce that is known, and gives the former ones back.
    pub fn set_credentials(&mut self, credentials: Credentials) -> Credentials {
        if let Some(challenge) = &mut self.challenge {
            let kind = challenge.algorithm.as_ref().map_or(PasswordAlgorithm::Md5, |(kind, _)| *kind);
            match credentials.key(self.provider, &challenge.realm, kind) {
                Some(key) => {
                    challenge.key = if challenge.algorithm.is_some() { key.with_sha256() } else { key };
                    let hash = || userhash(self.provider, credentials.username(), &challenge.realm);
                    challenge.userhash = challenge.userhash.is_some().then(hash);
                }
                // Then it is challenged once more.
                None => self.challenge = None,
            }
        }
        std::mem::replace(&mut self.credentials, credentials)
    }

    /// Whether the answer to an authenticated request is the server's. Where algorithms were offered the
    /// longer code is demanded (RFC 8489 §9.2.4, §9.2.5).
    ///
    /// # Errors
    ///
    /// It carries no code, or one that was not made with the key.
    pub fn verify(&self, response: &Message<'_>) -> Result<(), IntegrityError> {
        let challenge = self.challenge.as_ref().ok_or(IntegrityError::Missing)?;
        if challenge.algorithm.is_some() && !response.is_signed_with_sha256() {
            return Err(IntegrityError::Missing);
        }
        response.verify(&challenge.key)
    }
}

/// What the server said, and what follows from it.
#[derive(Debug)]
struct Challenge {
    realm: Box<str>,
    nonce: Box<str>,
    /// The one that was chosen, and the server's list as it came.
    algorithm: Option<(PasswordAlgorithm, Box<[u8]>)>,
    userhash: Option<[u8; 32]>,
    key: IntegrityKey,
}

/// Why a request is not made again after a 401 or 438.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ChallengeError {
    /// REALM or NONCE is missing, or too long to be sent back.
    Incomplete,
    /// The nonce says that algorithms were offered, and somebody took them away.
    BidDown,
    /// No algorithm of the server's is known.
    NoCommonAlgorithm,
    /// The name or the password is wrong.
    Refused,
    /// The nonce that is said to be stale came back as the new one.
    SameNonce,
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "the server's challenge has no usable realm and nonce",
            Self::BidDown => "somebody removed the password algorithms from the server's challenge",
            Self::NoCommonAlgorithm => "the server offers no known password algorithm",
            Self::Refused => "the user name or the password is wrong",
            Self::SameNonce => "the server wants another nonce and gives the same",
        })
    }
}

impl std::error::Error for ChallengeError {}

/// RFC 8489 §14.9, §14.10: fewer than 128 characters.
const MAX_CHARACTERS: usize = 127;
