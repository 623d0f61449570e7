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

    /// Has `each` take the messages that are whole with `fresh`, and keeps the rest; how many there were.
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
        mut each: impl FnMut(&[u8]),
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
            each(frame);
            rest = after;
            count = count.saturating_add(1);
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
            let count = inbound.feed(piece, LIMIT, |frame| seen.push(frame.to_vec())).unwrap();
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

    #[test]
    fn what_is_no_message_or_too_long_ends_the_stream() {
        let mut inbound = Inbound::default();
        let mut count = 0;
        let none = inbound.feed(&[0x80, 0, 0, 0], LIMIT, |_| count += 1);
        assert_eq!((none, count), (Err(FrameError::NotTurn), 0));
        let long = Inbound::default().feed(&[0x40, 0, 1, 0], 255, |_| {});
        assert_eq!(long, Err(FrameError::TooLong));
        let mut inbound = Inbound::default();
        assert_eq!(inbound.feed(&[0x40, 0, 0, 200, 1], 255, |_| {}), Ok(0));
        assert_eq!(inbound.room(255), 250);
    }
}
