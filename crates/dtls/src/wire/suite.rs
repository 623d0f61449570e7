use crypto::{AeadAlgorithm, Group, HashAlgorithm, Provider, SignatureAlgorithm};

/// A protocol version that this crate speaks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Version {
    /// DTLS 1.2 (RFC 6347).
    Dtls12,
}

impl Version {
    /// Its number on the wire.
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::Dtls12 => version::DTLS_1_2,
        }
    }
}

/// Version numbers on the wire: one's complement, so that later versions are smaller.
pub mod version {
    /// DTLS 1.0, which also stands in the first records of a handshake.
    pub const DTLS_1_0: u16 = 0xfeff;
    /// DTLS 1.2.
    pub const DTLS_1_2: u16 = 0xfefd;
    /// DTLS 1.3, only ever in `supported_versions`.
    pub const DTLS_1_3: u16 = 0xfefc;
}

/// A cipher suite of DTLS 1.2 that this crate speaks: all forward secret and authenticated encryption.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CipherSuite {
    /// RFC 5289; mandatory in WebRTC (RFC 8827 §6.5).
    EcdheEcdsaAes128GcmSha256,
    /// RFC 5289.
    EcdheEcdsaAes256GcmSha384,
    /// RFC 7905.
    EcdheEcdsaChaCha20Poly1305Sha256,
    /// RFC 5289: as all that follow, of a server with an RSA key.
    EcdheRsaAes128GcmSha256,
    /// RFC 5289.
    EcdheRsaAes256GcmSha384,
    /// RFC 7905.
    EcdheRsaChaCha20Poly1305Sha256,
}

impl CipherSuite {
    /// All of them, in the order in which they are preferred by default.
    pub const ALL: [Self; 6] = [
        Self::EcdheEcdsaAes128GcmSha256,
        Self::EcdheEcdsaAes256GcmSha384,
        Self::EcdheEcdsaChaCha20Poly1305Sha256,
        Self::EcdheRsaAes128GcmSha256,
        Self::EcdheRsaAes256GcmSha384,
        Self::EcdheRsaChaCha20Poly1305Sha256,
    ];
    /// Those of servers with an ECDSA key, as WebRTC's peers nearly always have.
    pub const ECDSA: [Self; 3] = [
        Self::EcdheEcdsaAes128GcmSha256,
        Self::EcdheEcdsaAes256GcmSha384,
        Self::EcdheEcdsaChaCha20Poly1305Sha256,
    ];

    /// The suite with this number.
    pub fn from_u16(value: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.to_u16() == value)
    }

    /// Its number in the IANA registry.
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::EcdheEcdsaAes128GcmSha256 => 0xc02b,
            Self::EcdheEcdsaAes256GcmSha384 => 0xc02c,
            Self::EcdheEcdsaChaCha20Poly1305Sha256 => 0xcca9,
            Self::EcdheRsaAes128GcmSha256 => 0xc02f,
            Self::EcdheRsaAes256GcmSha384 => 0xc030,
            Self::EcdheRsaChaCha20Poly1305Sha256 => 0xcca8,
        }
    }

    /// Its name in the IANA registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdheEcdsaAes128GcmSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Self::EcdheEcdsaAes256GcmSha384 => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            Self::EcdheEcdsaChaCha20Poly1305Sha256 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            Self::EcdheRsaAes128GcmSha256 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Self::EcdheRsaAes256GcmSha384 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            Self::EcdheRsaChaCha20Poly1305Sha256 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        }
    }

    /// What protects its records.
    pub const fn aead(self) -> AeadAlgorithm {
        match self {
            Self::EcdheEcdsaAes128GcmSha256 | Self::EcdheRsaAes128GcmSha256 => AeadAlgorithm::Aes128Gcm,
            Self::EcdheEcdsaAes256GcmSha384 | Self::EcdheRsaAes256GcmSha384 => AeadAlgorithm::Aes256Gcm,
            Self::EcdheEcdsaChaCha20Poly1305Sha256 | Self::EcdheRsaChaCha20Poly1305Sha256 => {
                AeadAlgorithm::ChaCha20Poly1305
            }
        }
    }

    /// The hash of its key derivation and transcript.
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Self::EcdheEcdsaAes128GcmSha256
            | Self::EcdheEcdsaChaCha20Poly1305Sha256
            | Self::EcdheRsaAes128GcmSha256
            | Self::EcdheRsaChaCha20Poly1305Sha256 => HashAlgorithm::Sha256,
            Self::EcdheEcdsaAes256GcmSha384 | Self::EcdheRsaAes256GcmSha384 => HashAlgorithm::Sha384,
        }
    }

    /// Which key the server signs its share with.
    pub const fn key(self) -> KeyAlgorithm {
        match self {
            Self::EcdheEcdsaAes128GcmSha256
            | Self::EcdheEcdsaAes256GcmSha384
            | Self::EcdheEcdsaChaCha20Poly1305Sha256 => KeyAlgorithm::P256,
            Self::EcdheRsaAes128GcmSha256
            | Self::EcdheRsaAes256GcmSha384
            | Self::EcdheRsaChaCha20Poly1305Sha256 => KeyAlgorithm::Rsa,
        }
    }
}

/// The keys that certificates may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256.
    P256,
    /// RSA with 2,048 to 8,192 bits, where the provider has it.
    Rsa,
}

impl KeyAlgorithm {
    /// The kind of signature that such a key makes.
    pub(crate) const fn of(signature: SignatureAlgorithm) -> Self {
        match signature {
            SignatureAlgorithm::RsaPkcs1Sha256 | SignatureAlgorithm::RsaPssSha256 => Self::Rsa,
            SignatureAlgorithm::EcdsaP256Sha256 | _ => Self::P256,
        }
    }

    /// Whether `provider` checks what such keys sign.
    pub(crate) fn is_checked_by(self, provider: &dyn Provider) -> bool {
        provider.verifies(match self {
            Self::P256 => SignatureAlgorithm::EcdsaP256Sha256,
            Self::Rsa => SignatureAlgorithm::RsaPssSha256,
        })
    }
}

/// A group for key exchange (RFC 8422 §5.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NamedGroup {
    /// X25519.
    X25519,
    /// P-256.
    Secp256r1,
}

impl NamedGroup {
    /// The group with this number.
    pub const fn from_u16(value: u16) -> Option<Self> {
        Some(match value {
            29 => Self::X25519,
            23 => Self::Secp256r1,
            _ => return None,
        })
    }

    /// Its number in the IANA registry.
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::X25519 => 29,
            Self::Secp256r1 => 23,
        }
    }

    /// Its name in the IANA registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X25519 => "x25519",
            Self::Secp256r1 => "secp256r1",
        }
    }

    pub(crate) const fn group(self) -> Group {
        match self {
            Self::X25519 => Group::X25519,
            Self::Secp256r1 => Group::P256,
        }
    }
}

/// A signature algorithm by its number; any can be carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SignatureScheme(pub u16);

impl SignatureScheme {
    /// ECDSA on P-256 with SHA-256.
    pub const ECDSA_SECP256R1_SHA256: Self = Self(0x0403);
    /// RSASSA-PSS with SHA-256 by a key that may be used otherwise, too (RFC 8446 §4.2.3).
    pub const RSA_PSS_RSAE_SHA256: Self = Self(0x0804);
    /// RSASSA-PKCS1-v1_5 with SHA-256: is taken, and never made.
    pub const RSA_PKCS1_SHA256: Self = Self(0x0401);

    /// Those that are taken of peers, as they are listed, the best first.
    pub(crate) fn taken(provider: &dyn Provider) -> impl Iterator<Item = Self> {
        let all = [Self::ECDSA_SECP256R1_SHA256, Self::RSA_PSS_RSAE_SHA256, Self::RSA_PKCS1_SHA256];
        all.into_iter()
            .filter(|scheme| scheme.algorithm().is_some_and(|algorithm| provider.verifies(algorithm)))
    }

    pub(crate) const fn algorithm(self) -> Option<SignatureAlgorithm> {
        Some(match self {
            Self::ECDSA_SECP256R1_SHA256 => SignatureAlgorithm::EcdsaP256Sha256,
            Self::RSA_PSS_RSAE_SHA256 => SignatureAlgorithm::RsaPssSha256,
            Self::RSA_PKCS1_SHA256 => SignatureAlgorithm::RsaPkcs1Sha256,
            _ => return None,
        })
    }

    /// What a key of ours makes.
    pub(crate) const fn made_by(key: KeyAlgorithm) -> Self {
        match key {
            KeyAlgorithm::P256 => Self::ECDSA_SECP256R1_SHA256,
            KeyAlgorithm::Rsa => Self::RSA_PSS_RSAE_SHA256,
        }
    }
}

/// A protection profile of SRTP (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SrtpProfile {
    /// AES-128 in counter mode with an 80-bit HMAC-SHA-1 tag.
    Aes128CmHmacSha1_80,
    /// AES-128 in counter mode with a 32-bit HMAC-SHA-1 tag.
    Aes128CmHmacSha1_32,
    /// AES-128-GCM.
    AeadAes128Gcm,
    /// AES-256-GCM.
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// The profile with this number.
    pub const fn from_u16(value: u16) -> Option<Self> {
        Some(match value {
            1 => Self::Aes128CmHmacSha1_80,
            2 => Self::Aes128CmHmacSha1_32,
            7 => Self::AeadAes128Gcm,
            8 => Self::AeadAes256Gcm,
            _ => return None,
        })
    }

    /// Its number in the IANA registry.
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::Aes128CmHmacSha1_80 => 1,
            Self::Aes128CmHmacSha1_32 => 2,
            Self::AeadAes128Gcm => 7,
            Self::AeadAes256Gcm => 8,
        }
    }

    /// Its name in the IANA registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128CmHmacSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
            Self::Aes128CmHmacSha1_32 => "SRTP_AES128_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        }
    }

    /// Bytes of one master key and of one master salt. The exporter with the label
    /// `EXTRACTOR-dtls_srtp` gives the client's key, the server's key, the client's salt and the
    /// server's salt, in this order (RFC 5764 §4.2).
    pub const fn key_and_salt_len(self) -> (usize, usize) {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 => (16, 14),
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
        }
    }
}
