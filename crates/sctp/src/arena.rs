use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Memory that received payload is copied to. Blocks are cut into slices and taken back whole when all
/// slices of one are dropped; when too many are out, a slice gets memory of its own. Blocks begin small, so
/// that a peer that says little holds little, and double as long as one is not enough.
#[derive(Debug)]
pub(crate) struct Arena {
    block: BytesMut,
    /// Bytes of `block` as it was made: none in the beginning, at most [`BLOCK`].
    size: usize,
    full: VecDeque<BytesMut>,
    /// Blocks beside the one that is being cut.
    max_full: usize,
}

impl Arena {
    /// One whose blocks are a quarter of `window` at most, as a sliver may keep each of them. One there always is.
    pub(crate) fn new(window: usize) -> Self {
        let max_full = (window / 4 / BLOCK).saturating_sub(1).min(MAX_FULL);
        Self { block: BytesMut::new(), size: 0, full: VecDeque::new(), max_full }
    }

    pub(crate) fn store(&mut self, bytes: &[u8]) -> Bytes {
        if self.block.capacity() < bytes.len() && !self.next_block(bytes.len()) {
            return Bytes::copy_from_slice(bytes);
        }
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }

    /// Gives all memory back, but for what slices still hold.
    pub(crate) fn release(&mut self) {
        *self = Self { block: BytesMut::new(), size: 0, full: VecDeque::new(), max_full: self.max_full };
    }

    fn next_block(&mut self, needed: usize) -> bool {
        if needed > BLOCK {
            return false;
        }
        if self.size >= needed && self.block.try_reclaim(self.size) {
            return true;
        }
        if self.size < BLOCK {
            // The smaller one goes with the last of its slices.
            self.size = self.size.saturating_mul(2).max(needed.next_power_of_two()).clamp(FIRST, BLOCK);
            self.block = BytesMut::with_capacity(self.size);
            return true;
        }
        if self.full.front_mut().is_some_and(|oldest| oldest.try_reclaim(BLOCK)) {
            if let Some(oldest) = self.full.pop_front() {
                let full = std::mem::replace(&mut self.block, oldest);
                self.full.push_back(full);
            }
            return true;
        }
        if self.full.len() >= self.max_full {
            return false;
        }
        self.full.push_back(std::mem::replace(&mut self.block, BytesMut::with_capacity(BLOCK)));
        true
    }
}

const FIRST: usize = 256;
const BLOCK: usize = 64 << 10;
/// With the one that is being cut, and with what slices may hold of the smaller ones: 256 KiB, a quarter of the
/// default receive window.
const MAX_FULL: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reused_when_the_reader_keeps_up_and_bounded_when_not() {
        let mut arena = Arena::new(1 << 20);
        for i in 0..1000u32 {
            let slice = arena.store(&[1; 1000]);
            assert_eq!(slice.len(), 1000, "{i}");
        }
        assert_eq!((arena.full.len(), arena.size), (0, 1024));
        let kept: Vec<Bytes> = (0..1000).map(|_| arena.store(&[2; 1000])).collect();
        assert_eq!((arena.full.len(), arena.size), (MAX_FULL, BLOCK));
        assert!(kept.iter().all(|slice| slice.iter().all(|byte| *byte == 2)));
        for (window, blocks) in [(0, 0), (256 << 10, 0), (512 << 10, 1), (64 << 20, MAX_FULL)] {
            let mut arena = Arena::new(window);
            let kept: Vec<Bytes> = (0..1000).map(|_| arena.store(&[3; 1000])).collect();
            assert_eq!((arena.full.len(), kept.len()), (blocks, 1000), "{window}");
        }
    }
}
