use std::fmt;

/// How many bytes the message takes that a stream goes on with: STUN by its own length, ChannelData with
/// its padding (RFC 8656 §12.5). `None` until the four bytes are there that tell. Channels of RFC 5766 that
/// RFC 8656 has no more are framed alike: who reads the message refuses it, and the stream goes on.
///
/// # Errors
///
/// What comes is neither, or longer than `limit`: nothing behind it can be read.
pub fn frame_len(stream: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(&[first, _, high, low]) = stream.first_chunk::<4>() else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let whole = match first {
        0..=0x3f if len.is_multiple_of(4) => len.saturating_add(STUN_HEADER),
        0x40..=0x7f => len.saturating_add(CHANNEL_HEADER).next_multiple_of(4),
        _ => return Err(FrameError::NotTurn),
    };
    if whole > limit { Err(FrameError::TooLong) } else { Ok(Some(whole)) }
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// Neither STUN nor ChannelData.
    NotTurn,
    /// Longer than is kept.
    TooLong,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTurn => "neither STUN nor ChannelData",
            Self::TooLong => "a message longer than is kept",
        })
    }
}

impl std::error::Error for FrameError {}

const STUN_HEADER: usize = 20;
const CHANNEL_HEADER: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_long_as_they_say() {
        let limit = 1000;
        for known in 0..4 {
            assert_eq!(frame_len(&[0; 4][..known], limit), Ok(None));
        }
        assert_eq!(frame_len(&[0, 1, 0, 8], limit), Ok(Some(28)));
        assert_eq!(frame_len(&[0, 1, 0, 9], limit), Err(FrameError::NotTurn));
        for (len, whole) in [(0, 4), (1, 8), (4, 8), (5, 12)] {
            assert_eq!(frame_len(&[0x40, 1, 0, len], limit), Ok(Some(whole)));
            assert_eq!(frame_len(&[0x7f, 1, 0, len], limit), Ok(Some(whole)));
        }
        assert_eq!(frame_len(&[0x40, 1, 3, 0xe4], limit), Ok(Some(1000)));
        assert_eq!(frame_len(&[0x40, 1, 3, 0xe5], limit), Err(FrameError::TooLong));
        for first in 0x80..=0xff {
            assert_eq!(frame_len(&[first, 1, 0, 0], limit), Err(FrameError::NotTurn));
        }
    }
}
