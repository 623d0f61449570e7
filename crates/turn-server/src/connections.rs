use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use turn::server::network;

/// How many TCP and TLS connections there are, of all workers: a lock is taken when one is opened and when it is closed.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    limit_per_source: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    per_source: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(crate) fn new(limit: usize, limit_per_source: usize) -> Self {
        Self { limit, limit_per_source, counts: Mutex::default() }
    }

    /// Counts one more of `ip`, if there may be.
    pub(crate) fn open(&self, ip: IpAddr) -> bool {
        // Nothing panics while it is held.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = counts.per_source.get(&network(ip)).copied().unwrap_or(0);
        if counts.all >= self.limit || of_source >= self.limit_per_source {
            return false;
        }
        counts.all = counts.all.saturating_add(1);
        counts.per_source.insert(network(ip), of_source.saturating_add(1));
        true
    }

    /// One of `ip` is closed.
    pub(crate) fn close(&self, ip: IpAddr) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        if let Entry::Occupied(mut count) = counts.per_source.entry(network(ip)) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
