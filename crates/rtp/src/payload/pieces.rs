/// Bytes cut into pieces of one length, but for the last, which may be shorter: so a train of packets has equal segments,
/// and the last is not a crumb where that can be avoided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl<'a> Pieces<'a> {
    /// `bytes` in as few pieces of at most `most` bytes as possible; `None` if `most` is zero.
    pub(super) fn new(bytes: &'a [u8], most: usize) -> Option<Self> {
        let most = std::num::NonZero::new(most)?;
        let count = bytes.len().div_ceil(most.get()).max(1);
        Some(Self { rest: bytes, size: bytes.len().div_ceil(count) })
    }

    /// The next piece; empty when all are taken.
    pub(super) fn peek(&self) -> &'a [u8] {
        self.rest.get(..self.size).unwrap_or(self.rest)
    }

    /// Goes on to the piece behind [`peek`](Self::peek).
    pub(super) fn advance(&mut self) {
        self.rest = self.rest.get(self.size..).unwrap_or_default();
    }

    /// Whether [`peek`](Self::peek) is the last one.
    pub(super) const fn is_last(&self) -> bool {
        self.rest.len() <= self.size
    }

    /// Whether all are taken.
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_few_as_possible_and_equal_but_for_the_last() {
        for len in 1..200 {
            let bytes: Vec<u8> = (0..len).collect();
            for most in 1..210 {
                let mut pieces = Pieces::new(&bytes, most).unwrap();
                let mut all: Vec<&[u8]> = Vec::new();
                while !pieces.is_empty() {
                    assert_eq!(pieces.is_last(), all.concat().len() + pieces.peek().len() == bytes.len());
                    all.push(pieces.peek());
                    pieces.advance();
                }
                assert_eq!(all.concat(), bytes);
                assert_eq!(all.len(), bytes.len().div_ceil(most));
                assert!(all.iter().all(|piece| piece.len() <= all[0].len()));
                assert!(all[..all.len() - 1].iter().all(|piece| piece.len() == all[0].len()));
            }
        }
        assert!(Pieces::new(&[1], 0).is_none());
    }
}
