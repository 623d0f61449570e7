use crypto::{AeadAlgorithm, Group, HashAlgorithm};

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
}

impl CipherSuite {
    /// All of them, in the order in which they are preferred by default.
    pub const ALL: [Self; 3] = [
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
        }
    }

    /// Its name in the IANA registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdheEcdsaAes128GcmSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Self::EcdheEcdsaAes256GcmSha384 => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            Self::EcdheEcdsaChaCha20Poly1305Sha256 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        }
    }

    /// What protects its records.
    pub const fn aead(self) -> AeadAlgorithm {
        match self {
            Self::EcdheEcdsaAes128GcmSha256 => AeadAlgorithm::Aes128Gcm,
            Self::EcdheEcdsaAes256GcmSha384 => AeadAlgorithm::Aes256Gcm,
            Self::EcdheEcdsaChaCha20Poly1305Sha256 => AeadAlgorithm::ChaCha20Poly1305,
        }
    }

    /// The hash of its key derivation and transcript.
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Self::EcdheEcdsaAes128GcmSha256 | Self::EcdheEcdsaChaCha20Poly1305Sha256 => HashAlgorithm::Sha256,
            Self::EcdheEcdsaAes256GcmSha384 => HashAlgorithm::Sha384,
        }
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
    /// ECDSA on P-256 with SHA-256, the only one this crate makes and takes.
    pub const ECDSA_SECP256R1_SHA256: Self = Self(0x0403);
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
