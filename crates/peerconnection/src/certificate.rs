use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crypto::{HashAlgorithm, Provider, SignatureAlgorithm};
use net::Clock;
use session::{Identity, IdentityError};

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
        Self::make(Identity::generate)
    }

    /// The same, valid from now on for `lifetime` (`RTCCertificateExpiration`); no clock of a peer may be late then.
    ///
    /// # Errors
    ///
    /// As of [`generate`](Self::generate).
    pub fn generate_for(lifetime: Duration) -> Result<Self, Error> {
        Self::make(|provider, now, seed| Identity::generate_for(provider, now, lifetime, seed))
    }

    fn make(
        make: impl FnOnce(&'static dyn Provider, u64, [u8; 32]) -> Result<Identity, IdentityError>,
    ) -> Result<Self, Error> {
        let provider = crypto::default_provider();
        let seed =
            net::random_seed().map_err(|source| Error::Io { what: "the system gives no entropy", source })?;
        let identity = make(provider, Clock::unix_seconds(), seed);
        let identity = Arc::new(identity.map_err(|_| Error::Identity)?);
        Ok(Self { identity, provider })
    }

    /// One that was made elsewhere, DER, with its private key: RSA of 2,048 to 8,192 bits (PKCS #8 or PKCS #1), where the
    /// accelerated provider of cryptography runs, or ECDSA on P-256 (PKCS #8 or SEC 1).
    ///
    /// ```no_run
    /// # use peerline::Certificate;
    /// let certificate = std::fs::read("certificate.der").map_err(|_| "no certificate")?;
    /// let certificate = Certificate::from_der(certificate, &std::fs::read("key.der").map_err(|_| "no key")?)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It is no certificate, the key is none that is understood here, or another one's.
    pub fn from_der(certificate: Vec<u8>, private_key: &[u8]) -> Result<Self, Error> {
        let provider = crypto::default_provider();
        let key = match crypto::p256_secret(private_key) {
            Ok(secret) => provider.signing_key(SignatureAlgorithm::EcdsaP256Sha256, secret.expose()),
            Err(_) => provider.rsa_signing_key(private_key),
        };
        let identity = Identity::new(certificate, key.map_err(|_| Error::Identity)?);
        Ok(Self { identity: Arc::new(identity.map_err(|_| Error::Identity)?), provider })
    }

    /// Its SHA-256 hash, as `a=fingerprint` has it (RFC 8122 §5).
    pub fn sha256(&self) -> [u8; 32] {
        let digest = self.identity.fingerprint(self.provider, HashAlgorithm::Sha256);
        let mut hash = [0; 32];
        hash.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        hash
    }

    /// Until when it is valid (`expires`). A connection is not made with one that has expired.
    pub fn expires(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.identity.expires())
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        self.identity.certificate()
    }
}
