use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use turn::server::network;

/// How many TCP and TLS connections and DTLS associations there are, of all workers: a lock is taken when one is opened
/// and when it is closed, and for what strangers send over DTLS.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    limit_per_source: usize,
    limit_handshakes: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// DTLS associations among them whose handshake is not complete.
    handshakes: usize,
    per_source: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(crate) fn new(limit: usize, limit_per_source: usize, limit_handshakes: usize) -> Self {
        Self { limit, limit_per_source, limit_handshakes, counts: Mutex::default() }
    }

    /// Counts one more of `ip`, if there may be.
    pub(crate) fn open(&self, ip: IpAddr) -> bool {
        self.count(&mut self.lock(), ip)
    }

    /// Whether there may be one more DTLS association of `ip`, and its handshake.
    pub(crate) fn may_shake_hands(&self, ip: IpAddr) -> bool {
        let counts = self.lock();
        counts.handshakes < self.limit_handshakes && self.has_room(&counts, ip)
    }

    /// Counts one more DTLS association of `ip`, and its handshake, if there may be.
    pub(crate) fn shake_hands(&self, ip: IpAddr) -> bool {
        let mut counts = self.lock();
        let is_counted = counts.handshakes < self.limit_handshakes && self.count(&mut counts, ip);
        if is_counted {
            counts.handshakes = counts.handshakes.saturating_add(1);
        }
        is_counted
    }

    /// A handshake is complete, or will never be.
    pub(crate) fn handshake_over(&self) {
        let mut counts = self.lock();
        counts.handshakes = counts.handshakes.saturating_sub(1);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Nothing panics while it is held.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, counts: &Counts, ip: IpAddr) -> bool {
        let of_source = counts.per_source.get(&network(ip)).copied().unwrap_or(0);
        counts.all < self.limit && of_source < self.limit_per_source
    }

    fn count(&self, counts: &mut Counts, ip: IpAddr) -> bool {
        if !self.has_room(counts, ip) {
            return false;
        }
        counts.all = counts.all.saturating_add(1);
        let of_source = counts.per_source.entry(network(ip)).or_default();
        *of_source = of_source.saturating_add(1);
        true
    }

    /// One of `ip` is closed.
    pub(crate) fn close(&self, ip: IpAddr) {
        let mut counts = self.lock();
        counts.all = counts.all.saturating_sub(1);
        if let Entry::Occupied(mut count) = counts.per_source.entry(network(ip)) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
