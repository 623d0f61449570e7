/// Names a channel of a [`Channels`](crate::Channels). It is never given out twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelId {
    generation: u64,
    index: usize,
}

impl ChannelId {
    /// Its number: that of the first channel is 1, and none is given out twice.
    pub const fn number(self) -> u64 {
        self.generation
    }
}

/// A table whose keys are not used again.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<(ChannelId, T)>>,
    free: Vec<usize>,
    generation: u64,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), generation: 0 }
    }

    pub(crate) fn insert(&mut self, value: T) -> ChannelId {
        self.generation = self.generation.saturating_add(1);
        let index = self.free.pop().unwrap_or(self.slots.len());
        let id = ChannelId { generation: self.generation, index };
        match self.slots.get_mut(index) {
            Some(slot) => *slot = Some((id, value)),
            None => {
                // One by one at first: a vector begins with room for four, and most peers open one.
                if self.slots.len() == self.slots.capacity() && index < 4 {
                    self.slots.reserve_exact(1);
                }
                self.slots.push(Some((id, value)));
            }
        }
        id
    }

    pub(crate) fn get(&self, id: ChannelId) -> Option<&T> {
        self.slots.get(id.index)?.as_ref().filter(|(known, _)| *known == id).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, id: ChannelId) -> Option<&mut T> {
        self.slots.get_mut(id.index)?.as_mut().filter(|(known, _)| *known == id).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, id: ChannelId) {
        if let Some(slot) =
            self.slots.get_mut(id.index).filter(|slot| slot.as_ref().is_some_and(|(known, _)| *known == id))
        {
            *slot = None;
            self.free.push(id.index);
        }
        if self.is_empty() {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ChannelId> + '_ {
        self.slots.iter().flatten().map(|(id, _)| *id)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_name_finds_nothing() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        slab.remove(a);
        slab.remove(a);
        let c = slab.insert('c');
        assert_eq!((slab.get(a), slab.get(b), slab.get(c), slab.len()), (None, Some(&'b'), Some(&'c'), 2));
        slab.remove(b);
        slab.remove(c);
        let d = slab.insert('d');
        assert_eq!((slab.get(a), slab.get(b), slab.get(c), slab.get(d)), (None, None, None, Some(&'d')));
    }
}
