use std::fmt;

/// Why a frame was not encrypted. No counter was used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EncryptError {
    /// There is less room before the frame than its header needs, or less behind it than the tag needs, or the frame
    /// does not lie inside the memory.
    NoRoom,
    /// The metadata is longer than [`MAX_METADATA`](crate::Sender::MAX_METADATA).
    MetadataTooLong,
    /// Every counter was used: another key is needed.
    KeyExpired,
}

/// Why a frame was not decrypted. The state is as it was, but for the counters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecryptError {
    /// There is no header, or no tag behind it.
    Malformed,
    /// No key has the identifier of the header: it may come yet.
    UnknownKey(u64),
    /// The metadata is longer than [`MAX_METADATA`](crate::Sender::MAX_METADATA).
    MetadataTooLong,
    /// The tag does not belong to the frame, its header and the metadata.
    Forged,
}

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyError {
    /// [`ReceiverConfig::max_keys`](crate::ReceiverConfig::max_keys) are there already.
    TooMany,
    /// The provider does not know the suite's algorithms.
    Unsupported,
    /// A counter that was used before would be used again.
    Reused,
}

impl fmt::Display for EncryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "there is no room for the header or the tag",
            Self::MetadataTooLong => "the metadata is too long",
            Self::KeyExpired => "the key has encrypted as many frames as it may",
        })
    }
}

impl fmt::Display for DecryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a frame of SFrame",
            Self::UnknownKey(key_id) => return write!(f, "there is no key {key_id}"),
            Self::MetadataTooLong => "the metadata is too long",
            Self::Forged => "the tag does not belong to the frame",
        })
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "there are too many keys",
            Self::Unsupported => "the provider does not know the algorithms",
            Self::Reused => "the counter was used before",
        })
    }
}

impl std::error::Error for EncryptError {}
impl std::error::Error for DecryptError {}
impl std::error::Error for KeyError {}
