use crypto::{AeadAlgorithm, CipherAlgorithm};

/// What encrypts and authenticates, with which lengths. The names are those of RFC 4568 and its registry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Profile {
    /// AES-128 in counter mode, HMAC-SHA-1 cut to 80 bits (RFC 3711).
    Aes128CmHmacSha1_80,
    /// AES-128 in counter mode, HMAC-SHA-1 cut to 32 bits, but to 80 bits for SRTCP (RFC 3711, RFC 4568 §6.2).
    Aes128CmHmacSha1_32,
    /// AES-256 in counter mode, HMAC-SHA-1 cut to 80 bits (RFC 6188).
    Aes256CmHmacSha1_80,
    /// AES-256 in counter mode, HMAC-SHA-1 cut to 32 bits, but to 80 bits for SRTCP (RFC 6188).
    Aes256CmHmacSha1_32,
    /// AES-128-GCM (RFC 7714).
    AeadAes128Gcm,
    /// AES-256-GCM (RFC 7714).
    AeadAes256Gcm,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Aes128CmHmacSha1_80,
        Self::Aes128CmHmacSha1_32,
        Self::Aes256CmHmacSha1_80,
        Self::Aes256CmHmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// Its name in SDP's registry of crypto suites (RFC 4568 §6.2, RFC 6188, RFC 7714).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128CmHmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Aes128CmHmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Aes256CmHmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Aes256CmHmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of a master key, and of a session key.
    pub const fn key_len(self) -> usize {
        self.cipher().key_len()
    }

    /// Bytes of a master salt, and of a session salt.
    pub const fn salt_len(self) -> usize {
        if self.aead().is_some() { 12 } else { 14 }
    }

    /// Bytes that DTLS has to export for both directions (RFC 5764 §4.2): what
    /// [`MasterKeys::from_keying_material`](crate::MasterKeys::from_keying_material) takes.
    pub const fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// Bytes of the tag of an SRTP packet.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_32 | Self::Aes256CmHmacSha1_32 => 4,
            Self::Aes128CmHmacSha1_80 | Self::Aes256CmHmacSha1_80 => 10,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Bytes of the tag of an SRTCP packet. It is never cut to 32 bits: there is little of SRTCP, and more hangs on
    /// it (RFC 3711 §5.2, RFC 4568 §6.2.2).
    pub const fn rtcp_tag_len(self) -> usize {
        if self.aead().is_some() { 16 } else { 10 }
    }

    /// The cipher of the counter mode, and of the key derivation, with the same length of keys (RFC 3711 §4.3.3,
    /// RFC 6188 §3, RFC 7714 §11).
    pub(crate) const fn cipher(self) -> CipherAlgorithm {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 | Self::AeadAes128Gcm => {
                CipherAlgorithm::Aes128
            }
            Self::Aes256CmHmacSha1_80 | Self::Aes256CmHmacSha1_32 | Self::AeadAes256Gcm => {
                CipherAlgorithm::Aes256
            }
        }
    }

    pub(crate) const fn aead(self) -> Option<AeadAlgorithm> {
        match self {
            Self::AeadAes128Gcm => Some(AeadAlgorithm::Aes128Gcm),
            Self::AeadAes256Gcm => Some(AeadAlgorithm::Aes256Gcm),
            Self::Aes128CmHmacSha1_80
            | Self::Aes128CmHmacSha1_32
            | Self::Aes256CmHmacSha1_80
            | Self::Aes256CmHmacSha1_32 => None,
        }
    }
}
