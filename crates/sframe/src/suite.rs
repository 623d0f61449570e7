use crypto::{AeadAlgorithm, HashAlgorithm};

/// A cipher suite (RFC 9605 §4.5). Both sides must know which one is in use: nothing on the wire says it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CipherSuite {
    /// AES-128 in counter mode, HMAC-SHA-256 cut to 80 bits.
    Aes128CtrHmacSha256_80,
    /// AES-128 in counter mode, HMAC-SHA-256 cut to 64 bits. Short tags can be guessed: see §7.5.
    Aes128CtrHmacSha256_64,
    /// AES-128 in counter mode, HMAC-SHA-256 cut to 32 bits. Short tags can be guessed: see §7.5.
    Aes128CtrHmacSha256_32,
    /// AES-128-GCM, keys by SHA-256.
    Aes128GcmSha256_128,
    /// AES-256-GCM, keys by SHA-512.
    Aes256GcmSha512_128,
}

impl CipherSuite {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Aes128CtrHmacSha256_80,
        Self::Aes128CtrHmacSha256_64,
        Self::Aes128CtrHmacSha256_32,
        Self::Aes128GcmSha256_128,
        Self::Aes256GcmSha512_128,
    ];

    /// The suite with this number (RFC 9605 §8.1).
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.number() == number)
    }

    /// Its number in the registry (RFC 9605 §8.1).
    pub const fn number(self) -> u16 {
        match self {
            Self::Aes128CtrHmacSha256_80 => 1,
            Self::Aes128CtrHmacSha256_64 => 2,
            Self::Aes128CtrHmacSha256_32 => 3,
            Self::Aes128GcmSha256_128 => 4,
            Self::Aes256GcmSha512_128 => 5,
        }
    }

    /// Bytes behind an encrypted frame (`AEAD.Nt`).
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Aes128CtrHmacSha256_80 => 10,
            Self::Aes128CtrHmacSha256_64 => 8,
            Self::Aes128CtrHmacSha256_32 => 4,
            Self::Aes128GcmSha256_128 | Self::Aes256GcmSha512_128 => 16,
        }
    }

    /// Bytes of the key that is derived (`AEAD.Nk`).
    pub(crate) const fn key_len(self) -> usize {
        match self.aead() {
            Some(aead) => aead.key_len(),
            // The cipher's key, and the code's, which is as long as its hash (§4.5.1).
            None => COUNTER_MODE_KEY_LEN + self.hash().digest_len(),
        }
    }

    /// The hash function of the key schedule.
    pub(crate) const fn hash(self) -> HashAlgorithm {
        match self {
            Self::Aes256GcmSha512_128 => HashAlgorithm::Sha512,
            Self::Aes128CtrHmacSha256_80
            | Self::Aes128CtrHmacSha256_64
            | Self::Aes128CtrHmacSha256_32
            | Self::Aes128GcmSha256_128 => HashAlgorithm::Sha256,
        }
    }

    /// The AEAD, where it is not put together of counter mode and HMAC.
    pub(crate) const fn aead(self) -> Option<AeadAlgorithm> {
        match self {
            Self::Aes128GcmSha256_128 => Some(AeadAlgorithm::Aes128Gcm),
            Self::Aes256GcmSha512_128 => Some(AeadAlgorithm::Aes256Gcm),
            Self::Aes128CtrHmacSha256_80 | Self::Aes128CtrHmacSha256_64 | Self::Aes128CtrHmacSha256_32 => {
                None
            }
        }
    }
}

/// `AEAD.Nka`.
pub(crate) const COUNTER_MODE_KEY_LEN: usize = 16;
