use std::sync::Arc;

use crypto::{HashAlgorithm, Provider};
use net::Clock;
use session::Identity;

use crate::Error;

/// A self-signed certificate and its key (`RTCCertificate`), which connections may share: a server whose peers know
/// its hash beforehand shows the same one to all. Cheap to clone.
///
/// ```
/// use peerline::{Certificate, Configuration};
///
/// let certificate = Certificate::generate()?;
/// let hash: [u8; 32] = certificate.sha256();
/// let mut configuration = Configuration::default();
/// configuration.certificate = Some(certificate);
/// # Ok::<_, peerline::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(crate) identity: Arc<Identity>,
    provider: &'static dyn Provider,
}

impl Certificate {
    /// ECDSA on P-256 with a fresh key, valid from yesterday for 31 days (`generateCertificate`), by the fastest
    /// provider of cryptography that this machine runs.
    ///
    /// # Errors
    ///
    /// If the system has no entropy, or its clock is beyond the year 9999.
    pub fn generate() -> Result<Self, Error> {
        let provider = crypto::default_provider();
        let seed =
            net::random_seed().map_err(|source| Error::Io { what: "the system gives no entropy", source })?;
        let identity = Identity::generate(provider, Clock::unix_seconds(), seed);
        let identity = Arc::new(identity.map_err(|_| Error::Identity)?);
        Ok(Self { identity, provider })
    }

    /// Its SHA-256 hash, as `a=fingerprint` has it (RFC 8122 §5).
    pub fn sha256(&self) -> [u8; 32] {
        let digest = self.identity.fingerprint(self.provider, HashAlgorithm::Sha256);
        let mut hash = [0; 32];
        hash.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        hash
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        self.identity.certificate()
    }
}
