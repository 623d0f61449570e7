use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crypto::Provider;
use proto::{Instant, NoSpace};

use crate::nonce::{Nonces, SecurityFeatures};
use crate::wire::{Attribute, Encoder, Message, PasswordAlgorithm, PasswordAlgorithms};
use crate::{Credentials, IntegrityKey};

/// The server's side of the long-term credential mechanism (RFC 8489 §9.2.4). It keeps nothing of those
/// who ask: the nonce itself says when and for whom it was made.
#[derive(Debug)]
pub struct Authenticator {
    provider: &'static dyn Provider,
    realm: Box<str>,
    nonces: Nonces,
    anonymity: bool,
}

impl Authenticator {
    /// One of `realm`, with nonces that are taken for `nonce_lifetime`. It offers keys by SHA-256 and
    /// takes those by MD5; where `anonymity` is set it asks for USERHASH in place of names.
    pub fn new(
        provider: &'static dyn Provider,
        realm: &str,
        nonce_lifetime: Duration,
        anonymity: bool,
        seed: [u8; 32],
    ) -> Self {
        let features = SecurityFeatures { password_algorithms: true, username_anonymity: anonymity };
        let nonces = Nonces::new(provider, features, nonce_lifetime, seed);
        Self { provider, realm: realm.into(), nonces, anonymity }
    }

    /// Whose a request from `from` is. The checks come in the order of RFC 8489 §9.2.4. `find` gives the
    /// credentials of a name: two where a secret that they are made with is just being replaced.
    ///
    /// # Errors
    ///
    /// What to answer instead.
    pub fn authenticate(
        &self,
        now: Instant,
        from: SocketAddr,
        request: &Message<'_>,
        find: impl FnOnce(Name<'_>) -> [Option<Credentials>; 2],
    ) -> Result<Authenticated, Refusal> {
        let claim = Claim::of(request)?;
        let algorithm = claim.algorithm()?;
        let mut refusal = Refusal::Unauthenticated;
        if claim.realm == &*self.realm {
            for credentials in find(claim.name).into_iter().flatten() {
                let kind = algorithm.unwrap_or(PasswordAlgorithm::Md5);
                let key = credentials.key(self.provider, &self.realm, kind).ok_or(Refusal::BadRequest)?;
                let key = if algorithm.is_some() { key.with_sha256() } else { key };
                match self.check(now, from, request, &claim, &key) {
                    Ok(()) => {
                        return Ok(Authenticated { credentials, key, with_sha256: algorithm.is_some() });
                    }
                    Err(other) => refusal = other,
                }
                if refusal == Refusal::StaleNonce {
                    break;
                }
            }
        }
        Err(refusal)
    }

    /// The same for a request of somebody whose key is known from before.
    ///
    /// # Errors
    ///
    /// What to answer instead; [`Refusal::OtherUser`] when it is not the same user's.
    pub fn authenticate_again(
        &self,
        now: Instant,
        from: SocketAddr,
        request: &Message<'_>,
        user: &Authenticated,
    ) -> Result<(), Refusal> {
        let claim = Claim::of(request)?;
        let same_algorithm = claim.algorithm()?.is_some() == user.with_sha256;
        let same_name = match claim.name {
            Name::Username(name) => name == user.credentials.username(),
            Name::Userhash(hash) => {
                crate::userhash(self.provider, user.credentials.username(), &self.realm) == *hash
            }
        };
        if !same_name || !same_algorithm || claim.realm != &*self.realm {
            return Err(Refusal::OtherUser);
        }
        self.check(now, from, request, &claim, &user.key)
    }

    /// Appends REALM, NONCE and PASSWORD-ALGORITHMS, which belong into the answers 401 and 438.
    ///
    /// # Errors
    ///
    /// They do not fit.
    pub fn challenge(
        &self,
        now: Instant,
        from: SocketAddr,
        response: &mut Encoder<'_, '_>,
    ) -> Result<(), NoSpace> {
        response.attribute(Attribute::Realm(&self.realm))?;
        response.attribute(Attribute::Nonce(self.nonces.make(now, from).as_str()))?;
        response.attribute(Attribute::PasswordAlgorithms(PasswordAlgorithms::new(OFFERED)))
    }

    /// Whether names are asked for by their hash.
    pub const fn is_anonymous(&self) -> bool {
        self.anonymity
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    fn check(
        &self,
        now: Instant,
        from: SocketAddr,
        request: &Message<'_>,
        claim: &Claim<'_>,
        key: &IntegrityKey,
    ) -> Result<(), Refusal> {
        request.verify(key).map_err(|_| Refusal::Unauthenticated)?;
        if self.nonces.is_valid(now, from, claim.nonce) { Ok(()) } else { Err(Refusal::StaleNonce) }
    }
}

/// Whose request it claims to be.
struct Claim<'a> {
    name: Name<'a>,
    realm: &'a str,
    nonce: &'a str,
    offered: Option<PasswordAlgorithms<'a>>,
    chosen: Option<PasswordAlgorithm>,
}

impl<'a> Claim<'a> {
    fn of(request: &Message<'a>) -> Result<Self, Refusal> {
        if !request.is_signed() {
            return Err(Refusal::Unauthenticated);
        }
        let (mut name, mut chosen) = (None, None);
        for attribute in request.attributes() {
            #[expect(clippy::wildcard_enum_match_arm, reason = "two of many")]
            match attribute {
                Attribute::Username(username) => name = name.or(Some(Name::Username(username))),
                Attribute::Userhash(hash) => name = name.or(Some(Name::Userhash(hash))),
                Attribute::PasswordAlgorithm(algorithm) => chosen = chosen.or(Some(algorithm)),
                _ => {}
            }
        }
        let (Some(name), Some(realm), Some(nonce)) = (name, request.realm(), request.nonce()) else {
            return Err(Refusal::BadRequest);
        };
        Ok(Self { name, realm, nonce, offered: request.password_algorithms(), chosen })
    }

    /// The algorithm that the client chose of ours; none from one that knows of no choice.
    fn algorithm(&self) -> Result<Option<PasswordAlgorithm>, Refusal> {
        let features = SecurityFeatures::of(self.nonce).unwrap_or_default();
        match (self.offered, self.chosen) {
            (None, None) => Ok(None),
            _ if !features.password_algorithms => Ok(None),
            (Some(offered), Some(chosen))
                if offered.algorithms().eq(OFFERED.iter().copied()) && OFFERED.contains(&chosen) =>
            {
                Ok(Some(chosen))
            }
            _ => Err(Refusal::BadRequest),
        }
    }
}

/// Who somebody says he is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Name<'a> {
    /// By name.
    Username(&'a str),
    /// By the hash of name and realm, as [`userhash`](crate::userhash) makes it.
    Userhash(&'a [u8; 32]),
}

/// A user whose request was authentic, and what his answers are signed with.
#[derive(Debug)]
pub struct Authenticated {
    credentials: Credentials,
    key: IntegrityKey,
    with_sha256: bool,
}

impl Authenticated {
    /// The name.
    pub fn username(&self) -> &str {
        self.credentials.username()
    }

    /// What answers are signed with.
    pub const fn key(&self) -> &IntegrityKey {
        &self.key
    }
}

/// Why a request is not taken, which is also the answer to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// 401, with a challenge.
    Unauthenticated,
    /// 438, with a challenge.
    StaleNonce,
    /// 400, unsigned.
    BadRequest,
    /// The request may be authentic, yet it is another user's, or this one's with another algorithm.
    OtherUser,
}

impl Refusal {
    /// The number in ERROR-CODE: 441 for another user (RFC 8656 §5).
    pub const fn code(self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::StaleNonce => 438,
            Self::BadRequest => 400,
            Self::OtherUser => 441,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthenticated => "not authenticated",
            Self::StaleNonce => "the nonce is stale",
            Self::BadRequest => "the credential's attributes are incomplete",
            Self::OtherUser => "another user's",
        })
    }
}

impl std::error::Error for Refusal {}

/// Only one: whoever knows none of this takes MD5 without saying so, and every byte counts in an answer
/// that anyone can ask for.
const OFFERED: &[PasswordAlgorithm] = &[PasswordAlgorithm::Sha256];
