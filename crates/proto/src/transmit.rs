use crate::{Ecn, Path, Writer};

/// What was written to a [`Batch`]: where it goes, and how it is cut into datagrams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transmit {
    /// From and to where.
    pub path: Path,
    /// The congestion mark to send with.
    pub ecn: Option<Ecn>,
    /// Bytes in total.
    pub len: usize,
    /// Bytes of each datagram but the last, which may be shorter; `None` for a single datagram.
    pub segment_size: Option<usize>,
}

/// Caller-owned memory that a `poll_transmit` fills with one [`Transmit`]'s worth of datagrams: one
/// send with segmentation offload, in which all datagrams but the last are equally long.
#[derive(Debug)]
pub struct Batch<'a> {
    buf: &'a mut [u8],
    len: usize,
    max_segments: usize,
    max_datagram: usize,
    segments: usize,
    segment_size: usize,
    closed: bool,
}

impl<'a> Batch<'a> {
    /// A batch of at most `max_segments` datagrams of at most `max_datagram` bytes each inside `buf`.
    pub const fn new(buf: &'a mut [u8], max_segments: usize, max_datagram: usize) -> Self {
        Self { buf, len: 0, max_segments, max_datagram, segments: 0, segment_size: 0, closed: false }
    }

    /// Size of the largest datagram that can still be appended; zero when the batch is full.
    pub fn room(&self) -> usize {
        let free = self.buf.len().saturating_sub(self.len);
        if self.closed || self.segments >= self.max_segments {
            0
        } else if self.segments == 0 {
            free.min(self.max_datagram)
        } else {
            free.min(self.segment_size)
        }
    }

    /// Lowers the limit of a datagram to `bytes`, as a path or a relay with less room demands. It
    /// never rises, and does not touch what was appended before.
    pub fn limit_datagram(&mut self, bytes: usize) {
        self.max_datagram = self.max_datagram.min(bytes);
    }

    /// Appends what `write` writes as one datagram. If `write` fails, or writes nothing, the batch is
    /// left as it was.
    pub fn append<E>(&mut self, write: impl FnOnce(&mut Writer<'_>) -> Result<(), E>) -> Result<(), E> {
        let room = self.room();
        let free = self.buf.get_mut(self.len..).unwrap_or_default();
        let mut writer = Writer::new(free.get_mut(..room).unwrap_or_default());
        write(&mut writer)?;
        let written = writer.len();
        if written == 0 {
            return Ok(());
        }
        if self.segments == 0 {
            self.segment_size = written;
        }
        self.closed = written < self.segment_size;
        self.segments = self.segments.saturating_add(1);
        self.len = self.len.saturating_add(written);
        Ok(())
    }

    /// Describes the batch, or `None` if nothing was appended.
    pub fn finish(&self, path: Path, ecn: Option<Ecn>) -> Option<Transmit> {
        let segment_size = (self.segments > 1).then_some(self.segment_size);
        (self.segments > 0).then_some(Transmit { path, ecn, len: self.len, segment_size })
    }

    /// Whether nothing was appended.
    pub const fn is_empty(&self) -> bool {
        self.segments == 0
    }

    /// The datagrams appended so far, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// Forgets what was appended.
    pub const fn clear(&mut self) {
        self.len = 0;
        self.segments = 0;
        self.segment_size = 0;
        self.closed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Carrier, NoSpace};

    fn path() -> Path {
        let address = ([192, 0, 2, 1], 9).into();
        Path { carrier: Carrier::Udp, local: address, remote: address }
    }

    #[test]
    fn equal_segments_and_a_shorter_last_one_make_one_transmit() {
        let mut memory = [0; 100];
        let mut batch = Batch::new(&mut memory, 10, 8);
        for len in [8, 8, 3] {
            batch.append(|out| out.put_zeros(len)).unwrap();
        }
        assert_eq!(batch.room(), 0, "a shorter datagram is the last");
        assert_eq!(batch.append(|out| out.put_u8(1)), Err(NoSpace));
        let transmit = batch.finish(path(), None).unwrap();
        assert_eq!((transmit.len, transmit.segment_size), (19, Some(8)));
        batch.clear();
        assert_eq!((batch.room(), batch.finish(path(), None)), (8, None));
    }

    #[test]
    fn a_failed_append_leaves_the_batch_as_it_was() {
        let mut memory = [0; 10];
        let mut batch = Batch::new(&mut memory, 10, 8);
        batch.append(|out| out.put(&[1; 4])).unwrap();
        assert_eq!(batch.append(|out| out.put(&[2; 3]).and(Err(NoSpace))), Err(NoSpace));
        assert_eq!((batch.room(), batch.bytes()), (4, &[1; 4][..]));
        assert_eq!(batch.append(|_| Ok::<_, NoSpace>(())), Ok(()));
        assert_eq!(batch.finish(path(), None).unwrap().segment_size, None);
        batch.append(|out| out.put(&[3; 4])).unwrap();
        assert_eq!(batch.room(), 2, "the memory ends");
    }

    #[test]
    fn the_first_datagram_sets_the_size_and_the_limit_only_falls() {
        let mut memory = [0; 100];
        let mut batch = Batch::new(&mut memory, 2, 50);
        batch.limit_datagram(20);
        batch.limit_datagram(30);
        assert_eq!(batch.room(), 20);
        batch.append(|out| out.put_u8(7)).unwrap();
        assert_eq!(batch.room(), 1);
        batch.append(|out| out.put_u8(7)).unwrap();
        assert_eq!(batch.room(), 0, "no more than max_segments");
        assert!(!batch.is_empty());
    }
}
