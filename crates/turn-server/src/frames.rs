use turn::wire::{FrameError, frame_len};

/// What has come of a stream and is not a whole message yet.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    kept: Vec<u8>,
}

impl Inbound {
    /// How many bytes may come next for a limit of `max_frame` a message.
    pub(crate) const fn room(&self, max_frame: usize) -> usize {
        max_frame.saturating_sub(self.kept.len())
    }

    /// What has come and is not taken.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    /// Has `each` take the messages that are whole with `fresh`, as long as it wants, and keeps the rest; how many it took.
    ///
    /// Nothing is copied of a stream whose reads end where its messages do.
    ///
    /// # Errors
    ///
    /// What comes next is no message, or a longer one: the stream cannot be read on.
    pub(crate) fn feed(
        &mut self,
        fresh: &[u8],
        max_frame: usize,
        mut each: impl FnMut(&[u8]) -> Next,
    ) -> Result<usize, FrameError> {
        let mut kept = std::mem::take(&mut self.kept);
        let joined = !kept.is_empty();
        if joined {
            kept.extend_from_slice(fresh);
        }
        let mut rest = if joined { kept.as_slice() } else { fresh };
        let mut count = 0_usize;
        while let Some(len) = frame_len(rest, max_frame)? {
            let Some((frame, after)) = rest.split_at_checked(len) else { break };
            let next = each(frame);
            if next == Next::Leave {
                break;
            }
            rest = after;
            count = count.saturating_add(1);
            if next == Next::Pause {
                break;
            }
        }
        if joined {
            let done = kept.len().saturating_sub(rest.len());
            kept.drain(..done);
            // Memory is kept only for what is in it.
            self.kept = if kept.is_empty() { Vec::new() } else { kept };
        } else {
            self.kept = rest.to_vec();
        }
        Ok(count)
    }
}

/// What becomes of a stream behind a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// It is read on.
    Continue,
    /// The message is taken, and what is behind it may be none.
    Pause,
    /// The message is not taken either.
    Leave,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 65_536;

    /// 10 kB of messages of many lengths, STUN and ChannelData in turns.
    fn stream() -> (Vec<u8>, Vec<Vec<u8>>) {
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        for number in 0_u16.. {
            if bytes.len() >= 10_000 {
                break;
            }
            let len = number * 37 % 900;
            let (first, len, whole) = if number % 2 == 0 {
                (0, len / 4 * 4, usize::from(len / 4 * 4) + 20)
            } else {
                (0x40, len, usize::from(len + 4).next_multiple_of(4))
            };
            let mut frame = vec![u8::try_from(number % 256).unwrap(); whole];
            frame[0] = first;
            frame[2..4].copy_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(&frame);
            frames.push(frame);
        }
        (bytes, frames)
    }

    fn read(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut inbound, mut seen) = (Inbound::default(), Vec::new());
        for piece in pieces {
            let before = seen.len();
            let count = inbound.feed(piece, LIMIT, |frame| {
                seen.push(frame.to_vec());
                Next::Continue
            });
            let count = count.unwrap();
            assert_eq!(count, seen.len() - before);
        }
        assert_eq!(inbound.room(LIMIT), LIMIT, "nothing is left over");
        seen
    }

    /// THREATS T9.
    #[test]
    fn a_stream_split_at_every_byte_is_the_same() {
        let (bytes, frames) = stream();
        for at in 0..=bytes.len() {
            let (a, b) = bytes.split_at(at);
            assert_eq!(read(&[a, b]), frames, "split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), frames, "byte by byte");
    }

    /// Behind a message that is the last one, or that is another's, everything is there still, wherever it was cut.
    #[test]
    fn a_stream_that_is_no_more_of_messages_keeps_every_byte() {
        let (bytes, frames) = stream();
        let last = 5;
        let behind = frames[..=last].concat().len();
        for next in [Next::Pause, Next::Leave] {
            for at in 0..=bytes.len() {
                let (mut inbound, mut seen) = (Inbound::default(), 0);
                let mut pieces = Vec::new();
                for piece in [&bytes[..at], &bytes[at..]] {
                    if seen > last {
                        pieces.extend_from_slice(piece);
                        continue;
                    }
                    let fed = inbound.feed(piece, LIMIT, |_| {
                        seen += 1;
                        if seen > last { next } else { Next::Continue }
                    });
                    assert!(fed.is_ok());
                }
                let rest = [inbound.take_rest(), pieces].concat();
                let from = if next == Next::Pause { behind } else { behind - frames[last].len() };
                assert!(rest == bytes[from..], "{next:?} at {at}");
            }
        }
    }

    #[test]
    fn what_is_no_message_or_too_long_ends_the_stream() {
        let mut inbound = Inbound::default();
        let mut count = 0;
        let none = inbound.feed(&[0x80, 0, 0, 0], LIMIT, |_| {
            count += 1;
            Next::Continue
        });
        assert_eq!((none, count), (Err(FrameError::NotTurn), 0));
        let long = Inbound::default().feed(&[0x40, 0, 1, 0], 255, |_| Next::Continue);
        assert_eq!(long, Err(FrameError::TooLong));
        let mut inbound = Inbound::default();
        assert_eq!(inbound.feed(&[0x40, 0, 0, 200, 1], 255, |_| Next::Continue), Ok(0));
        assert_eq!(inbound.room(255), 250);
    }
}
