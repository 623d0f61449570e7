use std::fmt;
use std::time::Duration;

use crypto::{Digest, HashAlgorithm, Provider, Rng, SignatureAlgorithm, SigningKey, derive_seed};
use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData, SerialNumber};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::IdentityError;
use crate::wire::KeyAlgorithm;

/// A certificate of ours and the key that goes with it.
///
/// ```
/// let identity = dtls::Identity::generate(crypto::default_provider(), 1_790_000_000, [7; 32])?;
/// let sha256 = identity.fingerprint(crypto::default_provider(), crypto::HashAlgorithm::Sha256);
/// assert_eq!(sha256.as_bytes().len(), 32);
/// # Ok::<_, dtls::IdentityError>(())
/// ```
pub struct Identity {
    certificate: Vec<u8>,
    /// Those of its issuers, which are sent behind it.
    issuers: Vec<Vec<u8>>,
    key: Box<dyn SigningKey>,
}

impl Identity {
    /// A self-signed ECDSA P-256 certificate with a fresh key, as WebRTC uses them: valid for 30 days
    /// from `not_before`, in seconds since 1970, and a day before it for clocks that are late.
    pub fn generate(
        provider: &'static dyn Provider,
        not_before: u64,
        seed: [u8; 32],
    ) -> Result<Self, IdentityError> {
        Self::generate_for(provider, not_before.saturating_sub(DAY), Duration::from_secs(31 * DAY), seed)
    }

    /// A self-signed ECDSA P-256 certificate with a fresh key, valid from `not_before`, in seconds
    /// since 1970, for `lifetime`.
    pub fn generate_for(
        provider: &'static dyn Provider,
        not_before: u64,
        lifetime: Duration,
        seed: [u8; 32],
    ) -> Result<Self, IdentityError> {
        let not_after = not_before.saturating_add(lifetime.as_secs());
        if not_after > END_OF_9999 {
            return Err(IdentityError::Validity);
        }
        let mut rng = Rng::new(derive_seed(&seed, "dtls identity"));
        // A random number is a private key of P-256 but for once in 2³².
        let key = loop {
            let secret = crypto::Secret::new(rng.array());
            if let Ok(key) = provider.signing_key(SignatureAlgorithm::EcdsaP256Sha256, secret.expose()) {
                break key;
            }
        };
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "WebRTC");
        params.distinguished_name = name;
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(not_before);
        params.not_after = epoch + Duration::from_secs(not_after);
        // RFC 5280 §4.1.2.2: positive, at most 20 bytes; it need not be secret, only be another each time.
        let mut serial = rng.array::<16>();
        serial.iter_mut().take(1).for_each(|first| *first = *first & 0x3f | 0x40);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params.self_signed(&Signer(&*key)).map_err(|_| IdentityError::Certificate)?;
        Self::new(certificate.der().to_vec(), key)
    }

    /// A certificate, DER, and its key, made elsewhere. Their belonging together is checked.
    pub fn new(certificate: Vec<u8>, key: Box<dyn SigningKey>) -> Result<Self, IdentityError> {
        if certificate.len() > MAX_CERTIFICATE {
            return Err(IdentityError::TooLong);
        }
        match leaf_key(&certificate) {
            Ok(leaf)
                if leaf.algorithm == KeyAlgorithm::of(key.algorithm()) && leaf.bytes == key.public_key() =>
            {
                Ok(Self { certificate, issuers: Vec::new(), key })
            }
            Ok(_) => Err(IdentityError::OtherKey),
            Err(_) => Err(IdentityError::Certificate),
        }
    }

    /// The same with the certificates, DER, that lead from its own to an authority's, each signed by the next
    /// (RFC 5246 §7.4.2). They are sent as they are.
    ///
    /// # Errors
    ///
    /// All together they are longer than 16 KiB.
    pub fn with_issuers(mut self, issuers: Vec<Vec<u8>>) -> Result<Self, IdentityError> {
        let all = issuers.iter().map(Vec::len).fold(self.certificate.len(), usize::saturating_add);
        if all > MAX_CERTIFICATE {
            return Err(IdentityError::TooLong);
        }
        if issuers.iter().any(|der| X509Certificate::from_der(der).is_err()) {
            return Err(IdentityError::Certificate);
        }
        self.issuers = issuers;
        Ok(self)
    }

    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificates, DER, of its issuers, in the order in which they are sent.
    pub fn issuers(&self) -> impl Iterator<Item = &[u8]> {
        self.issuers.iter().map(Vec::as_slice)
    }

    /// The certificate and those of its issuers, as they are sent.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.certificate()).chain(self.issuers.iter().map(Vec::as_slice))
    }

    /// The hash of the certificate (RFC 8122 §5).
    pub fn fingerprint(&self, provider: &'static dyn Provider, algorithm: HashAlgorithm) -> Digest {
        fingerprint(provider, algorithm, &self.certificate)
    }

    /// Until when the certificate is valid, in seconds since 1970; 0 if that was before.
    pub fn expires(&self) -> u64 {
        let read = X509Certificate::from_der(&self.certificate);
        let end = read.map_or(0, |(_, certificate)| certificate.validity().not_after.timestamp());
        u64::try_from(end).unwrap_or_default()
    }

    /// Which kind of key it has.
    pub fn key_algorithm(&self) -> KeyAlgorithm {
        KeyAlgorithm::of(self.key.algorithm())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate.len()).finish_non_exhaustive()
    }
}

/// The hash of a DER certificate, of ours or of a peer (RFC 8122 §5).
pub fn fingerprint(provider: &'static dyn Provider, algorithm: HashAlgorithm, certificate: &[u8]) -> Digest {
    let mut hash = provider.hash(algorithm);
    hash.update(certificate);
    hash.digest()
}

/// Why a peer's certificate cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LeafError {
    /// It is not a certificate in DER, or something follows it.
    Malformed,
    /// It is one, of a key that is neither an uncompressed point of P-256 nor one of RSA.
    OtherAlgorithm,
}

impl fmt::Display for LeafError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a certificate",
            Self::OtherAlgorithm => "a certificate of a key that is neither a point of P-256 nor of RSA",
        })
    }
}

impl std::error::Error for LeafError {}

/// The public key of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeafKey<'a> {
    /// What kind it is of.
    pub algorithm: KeyAlgorithm,
    /// The 65 bytes of an uncompressed point of P-256 (SEC 1 §2.3.3), not yet shown to lie on the curve; or the
    /// DER of an RSA key's modulus and exponent (RFC 8017 §A.1.1), of which nothing is shown.
    pub bytes: &'a [u8],
}

/// The public key of a DER certificate. Nothing else in it is looked at: whose certificate it is says its
/// [`fingerprint`].
///
/// # Errors
///
/// It is none, or of a key of another kind.
pub fn leaf_key(der: &[u8]) -> Result<LeafKey<'_>, LeafError> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| LeafError::Malformed)?;
    if !rest.is_empty() {
        return Err(LeafError::Malformed);
    }
    let info = &certificate.tbs_certificate.subject_pki;
    let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let kind = &info.algorithm.algorithm;
    let algorithm = if *kind == OID_PKCS1_RSAENCRYPTION {
        KeyAlgorithm::Rsa
    } else if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256) {
        KeyAlgorithm::P256
    } else {
        return Err(LeafError::OtherAlgorithm);
    };
    // The bytes are borrowed from `der`; the parser's own borrow ends with it, so they are found again.
    let key: &[u8] = &info.subject_public_key.data;
    let at = der.windows(key.len().max(1)).position(|window| window == key).ok_or(LeafError::Malformed)?;
    let bytes = der.get(at..at.saturating_add(key.len())).ok_or(LeafError::Malformed)?;
    if algorithm == KeyAlgorithm::P256 && (bytes.len() != 65 || bytes.first() != Some(&4)) {
        return Err(LeafError::OtherAlgorithm);
    }
    Ok(LeafKey { algorithm, bytes })
}

struct Signer<'a>(&'a dyn SigningKey);

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message))
    }
}

/// Bytes of the longest certificate, or chain, that is sent.
const MAX_CERTIFICATE: usize = 16 << 10;
const DAY: u64 = 86_400;
const END_OF_9999: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5280 §4.1.1.3, §6.1.3: the certificate is signed by the key that it holds.
    #[test]
    fn the_certificate_is_signed_with_its_own_key() {
        for maker in [crypto::rust_crypto(), crypto::default_provider()] {
            let identity = Identity::generate(maker, 1_790_000_000, [7; 32]).unwrap();
            let (_, certificate) = X509Certificate::from_der(identity.certificate()).unwrap();
            let (signed, signature) =
                (certificate.tbs_certificate.as_ref(), &certificate.signature_value.data);
            let public = leaf_key(identity.certificate()).unwrap().bytes;
            for checker in [crypto::rust_crypto(), crypto::default_provider()] {
                let check =
                    |bytes| checker.verify(SignatureAlgorithm::EcdsaP256Sha256, public, bytes, signature);
                assert!(check(signed).is_ok(), "{} by {}", maker.name(), checker.name());
                assert!(check(&signed[1..]).is_err());
            }
        }
    }

    /// RFC 5280 §4.1.2.5: there are four digits for the year.
    #[test]
    fn a_certificate_ends_with_the_year_9999_at_the_latest() {
        let until = |end| {
            let (null, begin) = (testkit::null_provider(), 1_790_000_000);
            Identity::generate_for(null, begin, Duration::from_secs(end - begin), [7; 32])
        };
        let identity = until(END_OF_9999).unwrap();
        let (_, certificate) = X509Certificate::from_der(identity.certificate()).unwrap();
        assert_eq!(certificate.validity().not_after.to_string(), "Dec 31 23:59:59 9999 +00:00");
        assert!(matches!(until(END_OF_9999 + 1), Err(IdentityError::Validity)));
    }
}
