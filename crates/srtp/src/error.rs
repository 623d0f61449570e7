use std::fmt;

/// Why a packet was not protected. Nothing was sent, and the state is as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProtectError {
    /// This is not an RTP or RTCP packet of version 2 with all that its header says.
    Malformed,
    /// The buffer is too short for what is added.
    NoRoom {
        /// Bytes that it must have.
        needed: usize,
    },
    /// The packet is longer than 65,535 bytes.
    TooLong,
    /// Another packet with this SSRC and index was protected before. The buffer has been erased, since what it held
    /// must not be sent.
    Reused,
    /// The index lies behind the window of those that are remembered, so nobody knows if it was used.
    TooOld,
    /// [`Config::max_streams`](crate::Config::max_streams) SSRCs are in use, and
    /// [`max_retired_streams`](crate::Config::max_retired_streams) have been.
    TooManyStreams,
    /// The keys protected as many packets as they may, or the SSRC has no index left: new keys are needed.
    KeyExpired,
    /// Cryptex is on, and the header extension is not one of RFC 8285, or needs bits that Cryptex has no room for.
    UnfitExtension,
}

/// Why a packet was ignored. The state is as it was, but for the counters. Anyone on the path can cause each of
/// them, except [`TooManyStreams`](Self::TooManyStreams) and [`KeyExpired`](Self::KeyExpired).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UnprotectError {
    /// This is not a packet of version 2 with all that its header says and a tag.
    Malformed,
    /// The tag does not belong to the packet.
    Forged,
    /// The packet came before.
    Replayed,
    /// The packet's index lies behind the window of those that are remembered.
    TooOld,
    /// SRTCP that is not encrypted, or a header that [`Cryptex::Required`](crate::Cryptex::Required) wants encrypted.
    Unencrypted,
    /// The header is encrypted by Cryptex, which is off.
    UnexpectedCryptex,
    /// [`Config::max_streams`](crate::Config::max_streams) SSRCs are in use, and
    /// [`max_retired_streams`](crate::Config::max_retired_streams) have been.
    TooManyStreams,
    /// The keys have served for as many packets as they may, or the SSRC has no index left.
    KeyExpired,
}

/// A key, a salt or keying material does not have the length of its profile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyError;

/// Why a rollover counter was not set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RolloverError {
    /// The stream has come further: what was used or received could come again.
    Behind,
    /// [`Config::max_streams`](crate::Config::max_streams) SSRCs are in use, and
    /// [`max_retired_streams`](crate::Config::max_retired_streams) have been.
    TooManyStreams,
}

impl fmt::Display for ProtectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a packet of RTP or RTCP",
            Self::NoRoom { needed } => return write!(f, "the buffer has less than {needed} bytes"),
            Self::TooLong => "the packet is too long",
            Self::Reused => "another packet with this index was protected before",
            Self::TooOld => "the index is too old to be known",
            Self::TooManyStreams => "there are too many streams",
            Self::KeyExpired => "the keys protected as many packets as they may",
            Self::UnfitExtension => "the header extension cannot be encrypted",
        })
    }
}

impl fmt::Display for UnprotectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a packet of SRTP or SRTCP",
            Self::Forged => "the tag does not belong to the packet",
            Self::Replayed => "the packet came before",
            Self::TooOld => "the packet is too old to be known",
            Self::Unencrypted => "the packet is not encrypted",
            Self::UnexpectedCryptex => "the header is encrypted, which was not agreed",
            Self::TooManyStreams => "there are too many streams",
            Self::KeyExpired => "the keys have served for as many packets as they may",
        })
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key or salt has the wrong length")
    }
}

impl fmt::Display for RolloverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Behind => "the stream has come further",
            Self::TooManyStreams => "there are too many streams",
        })
    }
}

impl std::error::Error for ProtectError {}
impl std::error::Error for UnprotectError {}
impl std::error::Error for KeyError {}
impl std::error::Error for RolloverError {}
