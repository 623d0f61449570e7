use proto::{Ecn, Path};
use rtrb::{Consumer, Producer, RingBuffer};

/// Where one worker puts trains of datagrams that another one has to have. No lock is taken, and no memory but
/// what was taken once.
pub(crate) struct ChuteIn {
    heads: Producer<Parcel>,
    bytes: Producer<u8>,
}

/// Where the other one takes them out.
pub(crate) struct ChuteOut {
    heads: Consumer<Parcel>,
    bytes: Consumer<u8>,
}

/// A train of datagrams, as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Parcel {
    pub(crate) path: Path,
    pub(crate) ecn: Option<Ecn>,
    pub(crate) len: usize,
    pub(crate) stride: usize,
}

/// A chute in which so many bytes may lie.
pub(crate) fn chute(max_bytes: usize) -> (ChuteIn, ChuteOut) {
    let (heads_in, heads_out) = RingBuffer::new((max_bytes / BYTES_A_PARCEL).max(1));
    let (bytes_in, bytes_out) = RingBuffer::new(max_bytes);
    (ChuteIn { heads: heads_in, bytes: bytes_in }, ChuteOut { heads: heads_out, bytes: bytes_out })
}

impl ChuteIn {
    /// Puts a parcel in, of which these are the bytes; says whether there was room.
    pub(crate) fn put(&mut self, parcel: Parcel, bytes: &[u8]) -> bool {
        if self.heads.is_full() || self.bytes.push_entire_slice(bytes).is_err() {
            return false;
        }
        let parcel = Parcel { len: bytes.len(), ..parcel };
        // There was room, and nobody else puts anything in.
        self.heads.push(parcel).is_ok()
    }
}

impl ChuteOut {
    /// Takes the oldest parcel out, with its bytes in front of `buffer`.
    pub(crate) fn take(&mut self, buffer: &mut [u8]) -> Option<Parcel> {
        let parcel = self.heads.pop().ok()?;
        // What is put in was in such a buffer before.
        self.bytes.pop_entire_slice(buffer.get_mut(..parcel.len)?).ok()?;
        Some(parcel)
    }
}

/// Of small parcels there may be one for so many bytes.
const BYTES_A_PARCEL: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(number: u16) -> Parcel {
        let path = testkit::path("127.0.0.1:1", &format!("127.0.0.1:{}", number + 2));
        Parcel { path, ecn: Some(Ecn::Ce), len: 0, stride: 100 }
    }

    #[test]
    fn parcels_come_out_as_they_were_put_in() {
        let (mut into, mut out) = chute(4096);
        let mut buffer = vec![0; 4096];
        // The ring is gone through many times, and parcels lie across its end.
        for number in 0..100 {
            let bytes: Vec<u8> =
                (0..700 + usize::from(number)).map(|at| u8::try_from(at % 251).unwrap()).collect();
            assert!(into.put(parcel(number), &bytes) && into.put(parcel(number), &bytes[..1]));
            for len in [bytes.len(), 1] {
                let taken = out.take(&mut buffer).unwrap();
                assert_eq!(taken, Parcel { len, ..parcel(number) });
                assert!(buffer[..len] == bytes[..len]);
            }
            assert_eq!(out.take(&mut buffer), None);
        }
    }

    #[test]
    fn so_many_bytes_lie_in_it_and_not_one_more() {
        let (mut into, mut out) = chute(4096);
        assert!(into.put(parcel(0), &[1; 4000]) && into.put(parcel(1), &[2; 96]));
        assert!(!into.put(parcel(2), &[3]));
        let mut buffer = vec![0; 4096];
        assert_eq!(out.take(&mut buffer).unwrap().len, 4000);
        assert!(into.put(parcel(2), &[3; 4000]));
        assert_eq!(out.take(&mut buffer).unwrap().len, 96);
        assert_eq!(out.take(&mut buffer).unwrap().len, 4000);
        assert!(buffer[..4000].iter().all(|byte| *byte == 3));
    }

    #[test]
    fn so_many_parcels_lie_in_it_and_not_one_more() {
        let (mut into, mut out) = chute(4096);
        for number in 0..8 {
            assert!(into.put(parcel(number), &[1]));
        }
        assert!(!into.put(parcel(8), &[1]));
        let mut buffer = vec![0; 4096];
        assert!(out.take(&mut buffer).is_some());
        assert!(into.put(parcel(8), &[1]));
        assert_eq!(std::iter::from_fn(|| out.take(&mut buffer)).count(), 8);
    }
}
