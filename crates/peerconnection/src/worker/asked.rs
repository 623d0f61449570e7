use std::sync::atomic::{AtomicU64, Ordering};

/// Which worker has sent a STUN request: the answer may come to another one's socket. All workers of an endpoint
/// share it, without a lock: a number for each of the latest requests, of which a later one may take the place.
pub(crate) struct Asked(Vec<AtomicU64>);

impl Asked {
    /// Nobody has asked anything.
    pub(crate) fn new() -> Self {
        Self(std::iter::repeat_with(AtomicU64::default).take(PLACES).collect())
    }

    /// Notes that a worker has sent this transaction.
    pub(crate) fn note(&self, transaction: [u8; 12], worker: usize) {
        if let (Some(place), Ok(worker)) = (self.place(transaction), u8::try_from(worker)) {
            place.store(tag(transaction) | u64::from(worker.saturating_add(1)), Ordering::Release);
        }
    }

    /// Which worker has sent it, if that is still known.
    pub(crate) fn find(&self, transaction: [u8; 12]) -> Option<usize> {
        let known = self.place(transaction)?.load(Ordering::Acquire);
        let worker = usize::try_from(known & WORKER).ok()?.checked_sub(1)?;
        (known & !WORKER == tag(transaction)).then_some(worker)
    }

    /// Transactions are drawn at random (RFC 8489 §6), so that any of their bits say where.
    fn place(&self, transaction: [u8; 12]) -> Option<&AtomicU64> {
        let [.., a, b, c, d] = transaction;
        let number = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        self.0.get(number % PLACES)
    }
}

/// The first 56 bits, in front of the worker.
const fn tag(transaction: [u8; 12]) -> u64 {
    let [a, b, c, d, e, f, g, ..] = transaction;
    u64::from_be_bytes([a, b, c, d, e, f, g, 0])
}

/// The bits that say which worker, from 1 on.
const WORKER: u64 = 0xff;
/// Requests that are known: with 2,000 a second and answers within 100 ms, less than one in a hundred gives way before
/// it is answered, and is then sent again. 256 KiB.
const PLACES: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_asked_is_known_and_nobody_else() {
        let asked = Asked::new();
        assert_eq!(asked.find([0; 12]), None);
        for worker in [0, 1, 63] {
            let mut transaction = [7; 12];
            transaction[11] = u8::try_from(worker).unwrap();
            asked.note(transaction, worker);
            assert_eq!(asked.find(transaction), Some(worker));
            transaction[0] = 8;
            assert_eq!(asked.find(transaction), None, "another one at the same place");
            asked.note(transaction, 5);
            assert_eq!(asked.find(transaction), Some(5), "the latest has the place");
        }
    }
}
