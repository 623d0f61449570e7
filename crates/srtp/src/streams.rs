use std::collections::BTreeMap;

use crate::Ssrc;

/// State by SSRC. Most packets belong to the stream of the packet before, so that one is tried first.
#[derive(Debug)]
pub(crate) struct Streams<T> {
    slots: Vec<(Ssrc, T)>,
    by_ssrc: BTreeMap<Ssrc, usize>,
    latest: usize,
    limit: usize,
}

impl<T> Streams<T> {
    /// For `limit` streams.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { slots: Vec::new(), by_ssrc: BTreeMap::new(), latest: 0, limit }
    }

    /// Where the state of `ssrc` is.
    pub(crate) fn find(&self, ssrc: Ssrc) -> Option<usize> {
        match self.slots.get(self.latest) {
            Some((latest, _)) if *latest == ssrc => Some(self.latest),
            _ => self.by_ssrc.get(&ssrc).copied(),
        }
    }

    /// The state at a place that [`find`](Self::find) gave.
    pub(crate) fn get(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot).map(|(_, state)| state)
    }

    /// The same, to be changed; it is the one that is tried first from now on.
    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.latest = slot;
        self.slots.get_mut(slot).map(|(_, state)| state)
    }

    /// Whether there is no room for one more.
    pub(crate) const fn is_full(&self) -> bool {
        self.slots.len() >= self.limit
    }

    /// Adds the state of an SSRC that has none, and says where it is.
    pub(crate) fn insert(&mut self, ssrc: Ssrc, state: T) -> usize {
        let slot = self.slots.len();
        self.slots.push((ssrc, state));
        self.by_ssrc.insert(ssrc, slot);
        slot
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }
}
