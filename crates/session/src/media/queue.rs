//! Packets of RTP and RTCP that wait for the caller to take them, in one piece of memory that is used again and again.

/// What a packet that waits is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Waiting {
    Rtp,
    Rtcp,
}

/// A bounded queue of bytes. It allocates until it is as large as it ever gets, and keeps that.
#[derive(Debug)]
pub(crate) struct Queue {
    bytes: Vec<u8>,
    /// Where the first packet that waits begins.
    start: usize,
    limit: usize,
}

impl Queue {
    /// For `limit` bytes; a packet costs [`COST`] more than it has.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, limit }
    }

    /// Adds a packet, if there is room.
    pub(crate) fn push(&mut self, kind: Waiting, packet: &[u8]) -> bool {
        let Ok(len) = u16::try_from(packet.len()) else { return false };
        if self.waiting() + packet.len() + COST > self.limit {
            return false;
        }
        // What was taken is given back once it is half of all, so that each byte is moved once at most.
        if self.start > self.bytes.len() / 2 {
            self.bytes.copy_within(self.start.., 0);
            self.bytes.truncate(self.bytes.len() - self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(&[u8::from(kind == Waiting::Rtcp), 0]);
        self.bytes.extend_from_slice(packet);
        true
    }

    /// The packet that waits longest.
    pub(crate) fn first(&self) -> Option<(Waiting, &[u8])> {
        let (head, rest) = self.bytes.get(self.start..)?.split_first_chunk::<COST>()?;
        let [high, low, kind, _] = *head;
        let packet = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
        Some((if kind == 0 { Waiting::Rtp } else { Waiting::Rtcp }, packet))
    }

    /// Takes it away.
    pub(crate) fn pop(&mut self) {
        let Some((_, packet)) = self.first() else { return };
        self.start += COST + packet.len();
        if self.start >= self.bytes.len() {
            self.clear();
        }
    }

    /// Takes all away.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    fn waiting(&self) -> usize {
        self.bytes.len() - self.start
    }
}

/// What a packet costs beside its bytes.
pub(crate) const COST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_as_they_went_in_and_no_more_than_fit() {
        let mut queue = Queue::new(1000);
        let mut rng = crypto::Rng::new([1; 32]);
        let mut model: std::collections::VecDeque<(Waiting, Vec<u8>)> = std::collections::VecDeque::new();
        for _ in 0..10_000 {
            let mut packet = vec![0; rng.below(300) as usize];
            rng.fill(&mut packet);
            let kind = if rng.below(2) == 0 { Waiting::Rtp } else { Waiting::Rtcp };
            let waiting: usize = model.iter().map(|(_, packet)| packet.len() + COST).sum();
            let fits = waiting + packet.len() + COST <= 1000;
            assert_eq!(queue.push(kind, &packet), fits);
            if fits {
                model.push_back((kind, packet));
            }
            if rng.below(2) == 0 {
                assert_eq!(queue.first(), model.front().map(|(kind, packet)| (*kind, packet.as_slice())));
                queue.pop();
                model.pop_front();
            }
            assert!(queue.bytes.capacity() <= 4000, "{}", queue.bytes.capacity());
        }
        let mut full = Queue::new(104);
        assert!(!full.push(Waiting::Rtp, &[0; 101]) && full.push(Waiting::Rtp, &[0; 100]));
        assert!(!full.push(Waiting::Rtp, &[]));
    }
}
