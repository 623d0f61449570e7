//! Datagrams on a byte stream (RFC 4571): a length of two bytes, then the datagram.

use std::fmt;

/// Finds the datagrams in what a TCP connection brings, in whatever pieces it comes. It keeps one datagram at most, up
/// to its limit.
///
/// ```
/// use connectivity::{Deframer, frame_header};
/// let mut stream = frame_header(5)?.to_vec();
/// stream.extend_from_slice(b"hello\0");
/// let mut deframer = Deframer::new(1500);
/// let mut rest = &stream[..];
/// assert_eq!(deframer.next_frame(&mut rest), Ok(Some(&mut b"hello"[..].to_vec()[..])));
/// assert_eq!(deframer.next_frame(&mut rest), Ok(None));
/// # Ok::<_, connectivity::FrameTooLong>(())
/// ```
#[derive(Debug)]
pub struct Deframer {
    limit: usize,
    header: [u8; 2],
    header_len: usize,
    frame: Vec<u8>,
    /// The frame was handed out.
    is_done: bool,
}

impl Deframer {
    /// For datagrams of `limit` bytes at most.
    pub const fn new(limit: usize) -> Self {
        Self { limit, header: [0; 2], header_len: 0, frame: Vec::new(), is_done: false }
    }

    /// Changes the limit, for what begins from now on.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next datagram, once it is whole; takes from the front of `stream` what it needs. Empty ones are passed over
    /// (RFC 4571 §2). It is lent until the next call.
    ///
    /// # Errors
    ///
    /// It is longer than the limit. What follows cannot be told apart, so the connection is of no use any more.
    pub fn next_frame(&mut self, stream: &mut &[u8]) -> Result<Option<&mut [u8]>, FrameTooLong> {
        if std::mem::take(&mut self.is_done) {
            self.frame.clear();
            self.header_len = 0;
        }
        loop {
            while let Some(slot) = self.header.get_mut(self.header_len) {
                let Some((byte, rest)) = stream.split_first() else { return Ok(None) };
                (*slot, *stream) = (*byte, rest);
                self.header_len = self.header_len.saturating_add(1);
            }
            let len = usize::from(u16::from_be_bytes(self.header));
            if len > self.limit {
                return Err(FrameTooLong);
            }
            if len == 0 {
                self.header_len = 0;
                continue;
            }
            let missing = len.saturating_sub(self.frame.len()).min(stream.len());
            let (taken, rest) = stream.split_at(missing);
            self.frame.extend_from_slice(taken);
            *stream = rest;
            if self.frame.len() < len {
                return Ok(None);
            }
            self.is_done = true;
            return Ok(Some(&mut self.frame));
        }
    }
}

/// What goes in front of a datagram of `len` bytes.
///
/// # Errors
///
/// It has more than 65,535 bytes.
pub fn frame_header(len: usize) -> Result<[u8; 2], FrameTooLong> {
    u16::try_from(len).map(u16::to_be_bytes).map_err(|_| FrameTooLong)
}

/// A datagram is longer than it may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameTooLong;

impl fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a datagram in a stream is longer than it may be")
    }
}

impl std::error::Error for FrameTooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(datagrams: &[&[u8]]) -> Vec<u8> {
        let mut stream = Vec::new();
        for datagram in datagrams {
            stream.extend(frame_header(datagram.len()).unwrap());
            stream.extend(*datagram);
        }
        stream
    }

    #[test]
    fn datagrams_come_out_whole_in_whatever_pieces_the_stream_comes() {
        let datagrams: Vec<Vec<u8>> = (0..50_u8).map(|n| vec![n; usize::from(n) * 7 % 40]).collect();
        let borrowed: Vec<&[u8]> = datagrams.iter().map(Vec::as_slice).collect();
        let stream = framed(&borrowed);
        for piece in [1, 2, 3, 7, 100, stream.len()] {
            let mut deframer = Deframer::new(40);
            let mut found = Vec::new();
            for mut bytes in stream.chunks(piece) {
                while let Some(frame) = deframer.next_frame(&mut bytes).unwrap() {
                    found.push(frame.to_vec());
                }
                assert!(bytes.is_empty());
            }
            let wanted: Vec<_> = datagrams.iter().filter(|datagram| !datagram.is_empty()).collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "pieces of {piece}");
        }
    }

    #[test]
    fn a_datagram_has_as_many_bytes_as_the_limit_and_not_one_more() {
        let stream = framed(&[&[1; 100], &[2; 101]]);
        let mut deframer = Deframer::new(100);
        let mut rest = &stream[..];
        assert_eq!(deframer.next_frame(&mut rest).unwrap().unwrap(), [1; 100]);
        assert_eq!(deframer.next_frame(&mut rest), Err(FrameTooLong));
        assert!(deframer.frame.capacity() <= 200, "nothing is kept ahead");
        let mut deframer = Deframer::new(100);
        deframer.set_limit(101);
        let mut rest = &stream[..];
        assert_eq!(deframer.next_frame(&mut rest).unwrap().unwrap().len(), 100);
        assert_eq!(deframer.next_frame(&mut rest).unwrap().unwrap().len(), 101);
        assert_eq!((frame_header(65_535), frame_header(65_536)), (Ok([255, 255]), Err(FrameTooLong)));
    }
}
