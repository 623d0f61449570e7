use crate::Discard;
use crate::wire::{Fragment, HandshakeType};

/// Handshake messages of the peer that are not whole, or not due, yet (RFC 6347 §4.2.2, §4.2.3).
///
/// Bounded in bytes; the message that is due next displaces later ones, so that nothing that is sent
/// ahead can keep it out.
#[derive(Debug)]
pub(crate) struct Reassembly {
    next: u16,
    partials: Vec<Partial>,
    max_message: usize,
    max_bytes: usize,
}

impl Reassembly {
    pub(crate) const fn new(next: u16, max_message: usize, max_bytes: usize) -> Self {
        Self { next, partials: Vec::new(), max_message, max_bytes }
    }

    /// The number of the message that is due.
    pub(crate) const fn next(&self) -> u16 {
        self.next
    }

    /// Whether the fragment is the whole message that is due, so that it need not be kept.
    pub(crate) fn is_due(&self, fragment: &Fragment<'_>) -> bool {
        fragment.is_whole() && fragment.sequence == self.next && fragment.data.len() <= self.max_message
    }

    /// The message that is due was processed.
    pub(crate) fn advance(&mut self) {
        self.partials.retain(|partial| partial.sequence != self.next);
        self.next = self.next.wrapping_add(1);
    }

    /// Forgets all that is kept.
    pub(crate) fn clear(&mut self) {
        self.partials = Vec::new();
    }

    /// Forgets the messages of which contradicting fragments came: one of them is right, and it will
    /// come again.
    pub(crate) fn forget_contested(&mut self) {
        self.partials.retain(|partial| !partial.contested);
    }

    /// Keeps a fragment.
    pub(crate) fn insert(&mut self, fragment: &Fragment<'_>) -> Result<(), Discard> {
        if fragment.sequence < self.next {
            return Err(Discard::Repeated);
        }
        if fragment.sequence - self.next >= MAX_AHEAD {
            return Err(Discard::TooFarAhead);
        }
        let total = usize::try_from(fragment.total).map_err(|_| Discard::NoRoom)?;
        if total > self.max_message {
            return Err(Discard::NoRoom);
        }
        if fragment.data.is_empty() && total > 0 {
            return Err(Discard::EmptyFragment);
        }
        match self.partials.iter_mut().find(|partial| partial.sequence == fragment.sequence) {
            Some(partial) => partial.insert(fragment),
            None => {
                self.make_room(fragment.sequence, total)?;
                let mut partial = Partial::new(fragment, total);
                partial.insert(fragment)?;
                self.partials.push(partial);
                Ok(())
            }
        }
    }

    /// Takes the message that is due, if it is whole. It stays due until [`advance`](Self::advance).
    pub(crate) fn take_due(&mut self) -> Option<(HandshakeType, Vec<u8>)> {
        let at =
            self.partials.iter().position(|partial| partial.sequence == self.next && partial.is_whole())?;
        let partial = self.partials.swap_remove(at);
        Some((partial.kind, partial.data))
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.partials.iter().map(Partial::cost).sum()
    }

    fn make_room(&mut self, sequence: u16, total: usize) -> Result<(), Discard> {
        loop {
            let used: usize = self.partials.iter().map(Partial::cost).sum();
            if used.saturating_add(total).saturating_add(PARTIAL_OVERHEAD) <= self.max_bytes {
                return Ok(());
            }
            let last = self.partials.iter().enumerate().max_by_key(|(_, partial)| partial.sequence);
            match last {
                Some((at, partial)) if partial.sequence > sequence => drop(self.partials.swap_remove(at)),
                _ => return Err(Discard::NoRoom),
            }
        }
    }
}

/// One message in pieces.
#[derive(Debug)]
struct Partial {
    sequence: u16,
    kind: HandshakeType,
    data: Vec<u8>,
    /// What came, as sorted ranges that do not touch.
    ranges: Vec<(usize, usize)>,
    contested: bool,
}

impl Partial {
    fn new(fragment: &Fragment<'_>, total: usize) -> Self {
        Self {
            sequence: fragment.sequence,
            kind: fragment.kind,
            data: vec![0; total],
            ranges: Vec::new(),
            contested: false,
        }
    }

    fn cost(&self) -> usize {
        self.data.len().saturating_add(PARTIAL_OVERHEAD)
    }

    fn is_whole(&self) -> bool {
        self.data.is_empty() || self.ranges == [(0, self.data.len())]
    }

    fn insert(&mut self, fragment: &Fragment<'_>) -> Result<(), Discard> {
        let same = fragment.kind == self.kind && usize::try_from(fragment.total) == Ok(self.data.len());
        let start = usize::try_from(fragment.offset).map_err(|_| Discard::NoRoom)?;
        let end = start.saturating_add(fragment.data.len());
        let agrees = same
            && self.ranges.iter().all(|(from, to)| {
                let (from, to) = ((*from).max(start), (*to).min(end));
                from >= to || self.data.get(from..to) == fragment.data.get(from - start..to - start)
            });
        if !agrees {
            self.contested = true;
            return Err(Discard::Contradiction);
        }
        let (mut start_of_run, mut end_of_run) = (start, end);
        let touching = |(from, to): &(usize, usize)| *from <= end && *to >= start;
        for (from, to) in self.ranges.iter().filter(|range| touching(range)) {
            start_of_run = start_of_run.min(*from);
            end_of_run = end_of_run.max(*to);
        }
        let joined = self.ranges.iter().any(touching);
        if !joined && self.ranges.len() >= MAX_RANGES {
            return Err(Discard::NoRoom);
        }
        self.data.get_mut(start..end).ok_or(Discard::Contradiction)?.copy_from_slice(fragment.data);
        if start < end {
            self.ranges.retain(|range| !touching(range));
            let at = self.ranges.partition_point(|(from, _)| *from < start_of_run);
            self.ranges.insert(at, (start_of_run, end_of_run));
        }
        Ok(())
    }
}

/// Messages from the one that is due on that are kept: more than the longest flight has.
const MAX_AHEAD: u16 = 8;
/// Holes in a message, more or less.
const MAX_RANGES: usize = 32;
/// What a message in pieces costs beside its bytes.
const PARTIAL_OVERHEAD: usize = 64 + MAX_RANGES * 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fragment(sequence: u16, total: usize, offset: usize, data: &[u8]) -> Fragment<'_> {
        let (total, offset) = (u32::try_from(total).unwrap(), u32::try_from(offset).unwrap());
        Fragment { kind: HandshakeType::CERTIFICATE, total, sequence, offset, data }
    }

    #[test]
    fn contradictions_are_refused() {
        let mut reassembly = Reassembly::new(0, 32 << 10, 64 << 10);
        reassembly.insert(&fragment(0, 10, 2, &[2, 3, 4])).unwrap();
        assert_eq!(reassembly.insert(&fragment(0, 11, 0, &[0])), Err(Discard::Contradiction));
        assert_eq!(reassembly.insert(&fragment(0, 10, 4, &[9, 5])), Err(Discard::Contradiction));
        let other = Fragment { kind: HandshakeType::FINISHED, ..fragment(0, 10, 0, &[0]) };
        assert_eq!(reassembly.insert(&other), Err(Discard::Contradiction));
        assert_eq!(reassembly.insert(&fragment(0, 10, 5, &[])), Err(Discard::EmptyFragment));
        reassembly.insert(&fragment(0, 10, 0, &[0, 1, 2])).unwrap();
        reassembly.insert(&fragment(0, 10, 4, &[4, 5, 6, 7, 8, 9])).unwrap();
        assert_eq!(reassembly.take_due().unwrap().1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn never_completed_messages_are_bounded_and_keep_nothing_out() {
        let mut reassembly = Reassembly::new(0, 32 << 10, 64 << 10);
        for round in 0..100_000_u32 {
            let sequence = u16::try_from(round % 65_536).unwrap();
            let total = if round % 2 == 0 { (1 << 24) - 1 } else { 20_000 };
            let _ = reassembly.insert(&fragment(sequence.max(1), total, 0, &[1, 2, 3]));
            assert!(reassembly.bytes() <= 64 << 10);
        }
        for at in 0..300 {
            reassembly.insert(&fragment(0, 30_000, at * 100, &[7; 100])).unwrap();
        }
        assert_eq!(reassembly.take_due().unwrap().1, [7; 30_000]);
        assert!(reassembly.bytes() <= 64 << 10);
    }

    #[test]
    fn a_contested_message_is_forgotten_when_it_is_sent_again() {
        let mut reassembly = Reassembly::new(3, 32 << 10, 64 << 10);
        reassembly.insert(&fragment(3, 99, 0, &[6; 5])).unwrap();
        assert_eq!(reassembly.insert(&fragment(3, 4, 0, &[1, 2])), Err(Discard::Contradiction));
        reassembly.forget_contested();
        reassembly.insert(&fragment(3, 4, 0, &[1, 2])).unwrap();
        reassembly.forget_contested();
        reassembly.insert(&fragment(3, 4, 2, &[3, 4])).unwrap();
        assert_eq!(reassembly.take_due().unwrap().1, [1, 2, 3, 4]);
        assert_eq!(reassembly.insert(&fragment(2, 4, 0, &[1])), Err(Discard::Repeated));
        assert_eq!(reassembly.insert(&fragment(11, 4, 0, &[1])), Err(Discard::TooFarAhead));
    }

    #[test]
    fn a_message_in_pieces_outlives_those_before_it() {
        let mut reassembly = Reassembly::new(0, 32 << 10, 64 << 10);
        reassembly.insert(&fragment(1, 4, 0, &[1, 2])).unwrap();
        reassembly.insert(&fragment(0, 4, 0, &[9])).unwrap();
        reassembly.advance();
        assert_eq!(reassembly.bytes(), 4 + PARTIAL_OVERHEAD, "what is left of the message before is gone");
        reassembly.insert(&fragment(1, 4, 2, &[3, 4])).unwrap();
        assert_eq!(reassembly.take_due().unwrap().1, [1, 2, 3, 4]);
    }

    #[test]
    fn only_the_whole_message_that_is_due_need_not_be_kept() {
        let reassembly = Reassembly::new(3, 4, 64 << 10);
        assert!(reassembly.is_due(&fragment(3, 4, 0, &[1, 2, 3, 4])));
        assert!(!reassembly.is_due(&fragment(3, 4, 0, &[1, 2, 3])));
        assert!(!reassembly.is_due(&fragment(4, 4, 0, &[1, 2, 3, 4])));
        assert!(!reassembly.is_due(&fragment(3, 5, 0, &[1, 2, 3, 4, 5])), "it is longer than the limit");
    }

    proptest! {
        #[test]
        fn any_order_and_overlap_gives_the_message(
            cuts in proptest::collection::vec((0usize..500, 1usize..120), 0..40),
            order in any::<proptest::sample::Index>(),
        ) {
            let message: Vec<u8> = (0..500).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
            let mut pieces: Vec<_> = cuts.into_iter().chain((0..10).map(|i| (i * 50, 50))).collect();
            let turn = order.index(pieces.len());
            pieces.rotate_left(turn);
            let mut reassembly = Reassembly::new(0, 32 << 10, 64 << 10);
            for (start, len) in pieces {
                let end = (start + len).min(500);
                prop_assert_eq!(reassembly.insert(&fragment(0, 500, start, &message[start..end])), Ok(()));
            }
            prop_assert_eq!(reassembly.take_due().unwrap().1, message);
        }
    }
}
