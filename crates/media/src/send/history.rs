use std::collections::VecDeque;
use std::time::Duration;

use proto::{Instant, Writer};

use super::encoding::Encapsulation;
use super::shared::SharedPacket;

/// The packets of a stream: those that wait to be sent, and those that were, for whoever asks for them again.
///
/// Each is kept once. Memory is used again.
#[derive(Debug)]
pub(crate) struct History {
    limits: HistoryLimits,
    /// By number; numbers may be missing.
    packets: VecDeque<Stored>,
    /// Numbers that wait, in the order in which they go.
    waiting: VecDeque<u64>,
    /// Numbers that were asked for again.
    again: VecDeque<u64>,
    /// Whether one of them may have been forgotten since they were last gone through.
    again_is_stale: bool,
    bytes: usize,
    waiting_bytes: usize,
    spare: Vec<Vec<u8>>,
}

/// What is kept of a stream that is sent.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HistoryLimits {
    /// Packets, sent or not: 2,048 by default, two seconds at 10 Mbit/s.
    pub max_packets: usize,
    /// Bytes of them: 4 MiB by default.
    pub max_bytes: usize,
    /// After so long a packet is not sent again. 2 s by default: nobody waits longer.
    pub max_age: Duration,
    /// Packets that were asked for again and wait. 512 by default.
    pub max_retransmissions: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            max_packets: 2048,
            max_bytes: 4 << 20,
            max_age: Duration::from_secs(2),
            max_retransmissions: 512,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) number: u64,
    /// The packet; of one whose payload is shared what stands in front of that.
    pub(crate) head: Vec<u8>,
    tail: Option<Tail>,
    pub(crate) sent: Option<Instant>,
    pub(crate) added: Instant,
    /// When it was sent again, and whether it waits to be.
    again: Option<Instant>,
    is_asked: bool,
    pub(crate) encapsulation: Encapsulation,
}

/// The rest of a packet: what is shared with others.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) packet: SharedPacket,
    /// From where on in its payload.
    pub(crate) from: usize,
}

impl Stored {
    /// Whether it repairs others: only its header is stored, and nobody gets it again.
    const fn is_repair(&self) -> bool {
        matches!(self.encapsulation, Encapsulation::Ulpfec { .. })
    }

    /// Whether it has the marker.
    pub(crate) fn ends_frame(&self) -> bool {
        self.head.get(1).is_some_and(|second| second & MARKER != 0)
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len().saturating_add(self.tail().len())
    }

    /// What follows the head.
    pub(crate) fn tail(&self) -> &[u8] {
        let Some(Tail { packet, from }) = &self.tail else { return &[] };
        packet.payload().get(*from..).unwrap_or_default()
    }

    /// Writes it behind what `out` holds. Gives whether there was room.
    pub(crate) fn write(&self, out: &mut Writer<'_>) -> bool {
        let start = out.len();
        let written = out.put(&self.head).and_then(|()| out.put(self.tail()));
        if written.is_err() {
            out.truncate(start);
        }
        written.is_ok()
    }
}

impl History {
    pub(crate) const fn new(limits: HistoryLimits) -> Self {
        Self {
            limits,
            packets: VecDeque::new(),
            waiting: VecDeque::new(),
            again: VecDeque::new(),
            again_is_stale: false,
            bytes: 0,
            waiting_bytes: 0,
            spare: Vec::new(),
        }
    }

    /// Whether so many packets with so many bytes can wait beside those that do.
    pub(crate) fn has_room(&self, packets: usize, bytes: usize) -> bool {
        self.waiting.len().saturating_add(packets) <= self.limits.max_packets
            && self.waiting_bytes.saturating_add(bytes) <= self.limits.max_bytes
    }

    /// Memory for a packet.
    pub(crate) fn memory(&mut self, len: usize) -> Vec<u8> {
        let mut memory = self.spare.pop().unwrap_or_default();
        memory.clear();
        memory.resize(len, 0);
        memory
    }

    /// Memory that was not needed.
    pub(crate) fn give_back(&mut self, memory: Vec<u8>) {
        if self.spare.len() < MAX_SPARE {
            self.spare.push(memory);
        }
    }

    /// Keeps a packet: one that waits, or one that was sent. Gives whether it is new.
    pub(crate) fn add(&mut self, now: Instant, number: u64, bytes: Vec<u8>, sent: Option<Instant>) -> bool {
        self.add_shared(now, number, bytes, None, sent)
    }

    /// The same of a packet whose payload is shared.
    pub(crate) fn add_shared(
        &mut self,
        now: Instant,
        number: u64,
        head: Vec<u8>,
        tail: Option<Tail>,
        sent: Option<Instant>,
    ) -> bool {
        let Err(at) = self.place(number) else {
            self.give_back(head);
            return false;
        };
        let encapsulation = Encapsulation::None;
        let stored =
            Stored { number, head, tail, sent, added: now, again: None, is_asked: false, encapsulation };
        let len = stored.len();
        self.bytes = self.bytes.saturating_add(len);
        // As a rule it is the newest one.
        if at == self.packets.len() {
            self.packets.push_back(stored);
        } else {
            self.packets.insert(at, stored);
        }
        if sent.is_none() {
            self.waiting.push_back(number);
            self.waiting_bytes = self.waiting_bytes.saturating_add(len);
        }
        let limits = self.limits;
        while (self.packets.len() > limits.max_packets || self.bytes > limits.max_bytes)
            && self.forget_oldest()
        {}
        self.forget_old(now);
        true
    }

    /// Forgets what nobody waits for any more.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        let max_age = self.limits.max_age;
        let is_old = |stored: &Stored| stored.sent.is_some_and(|sent| now - sent > max_age);
        while self.packets.front().is_some_and(is_old) && self.forget_oldest() {}
    }

    /// Forgets all that was sent.
    pub(crate) fn forget_sent(&mut self) {
        while self.forget_oldest() {}
    }

    /// Says what a packet goes in.
    pub(crate) fn encapsulate(&mut self, number: u64, encapsulation: Encapsulation) {
        if let Some(stored) = self.get_mut(number) {
            stored.encapsulation = encapsulation;
        }
    }

    /// The packet that goes next.
    pub(crate) fn front(&mut self) -> Option<&mut Stored> {
        let number = *self.waiting.front()?;
        self.get_mut(number)
    }

    /// Whether one of so many packets that go next ends a frame.
    pub(crate) fn next_ends_frame(&self, count: usize) -> bool {
        let mut next = self.waiting.iter().take(count).filter_map(|number| self.get(*number));
        next.any(Stored::ends_frame)
    }

    /// The packet that goes next was sent.
    pub(crate) fn sent(&mut self, now: Instant) {
        if let Some(number) = self.waiting.pop_front()
            && let Some(stored) = self.get_mut(number)
        {
            stored.sent = Some(now);
            let len = stored.len();
            self.waiting_bytes = self.waiting_bytes.saturating_sub(len);
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Somebody asks for a packet. Gives whether it will be sent again: it was sent, not too long ago, and not again just now, and is no
    /// repair.
    pub(crate) fn ask(&mut self, now: Instant, number: u64, round_trip: Duration) -> bool {
        let max_age = self.limits.max_age;
        let Some(stored) = self.get(number).filter(|stored| !stored.is_repair()) else { return false };
        let fresh = stored.sent.is_some_and(|sent| now - sent <= max_age);
        // A request that crossed a retransmission on its way asks for what is coming.
        let crossed = stored.again.is_some_and(|again| now - again < round_trip / 2);
        if !fresh || crossed || stored.is_asked || !self.has_room_for_request() {
            return false;
        }
        if let Some(stored) = self.get_mut(number) {
            stored.is_asked = true;
        }
        self.again.push_back(number);
        true
    }

    /// Whether another may be asked for. What was forgotten since is not waited for: it is looked for once, not with each request.
    fn has_room_for_request(&mut self) -> bool {
        let max = self.limits.max_retransmissions;
        if self.again.len() >= max && std::mem::take(&mut self.again_is_stale) {
            let mut again = std::mem::take(&mut self.again);
            again.retain(|number| self.get(*number).is_some());
            self.again = again;
        }
        self.again.len() < max
    }

    /// Whether any were asked for that have not gone again, and are still there.
    pub(crate) fn is_asked(&self) -> bool {
        self.again.iter().any(|number| self.get(*number).is_some())
    }

    /// The packet that goes next of those that were asked for.
    pub(crate) fn asked(&mut self) -> Option<&Stored> {
        while let Some(number) = self.again.front().copied() {
            if self.get(number).is_some() {
                return self.get(number);
            }
            self.again.pop_front();
        }
        None
    }

    /// The packet that was asked for has gone, or will not.
    pub(crate) fn answered(&mut self, now: Instant, resent: bool) {
        if let Some(number) = self.again.pop_front()
            && let Some(stored) = self.get_mut(number)
        {
            stored.is_asked = false;
            if resent {
                stored.again = Some(now);
            }
        }
    }

    /// Of the newest packets that were sent the newest that is no longer than this.
    pub(crate) fn newest_sent(&self, longest: usize) -> Option<&Stored> {
        let sent = self.packets.iter().rev().filter(|stored| stored.sent.is_some());
        sent.take(LOOK_BACK).find(|stored| stored.len() <= longest && !stored.is_repair())
    }

    /// Bytes that wait.
    pub(crate) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Stored> {
        self.packets.get(self.place(number).ok()?)
    }

    /// The number of the oldest packet.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.packets.front().map(|stored| stored.number)
    }

    /// Drops what waits.
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
        self.waiting.clear();
        self.again.clear();
        self.again_is_stale = false;
        (self.bytes, self.waiting_bytes) = (0, 0);
    }

    /// The packet of a number, to be changed before it goes.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Stored> {
        let at = self.place(number).ok()?;
        self.packets.get_mut(at)
    }

    /// Where a packet is, or would be. Numbers without a gap are the rule: then it is as far from an end as its number is.
    fn place(&self, number: u64) -> Result<usize, usize> {
        let (Some(first), Some(last)) = (self.packets.front(), self.packets.back()) else { return Err(0) };
        if number > last.number {
            return Err(self.packets.len());
        }
        let expected = usize::try_from(number.saturating_sub(first.number)).unwrap_or(usize::MAX);
        if self.packets.get(expected).is_some_and(|stored| stored.number == number) {
            return Ok(expected);
        }
        self.packets.binary_search_by_key(&number, |stored| stored.number)
    }

    /// Forgets the oldest packet, if it was sent.
    fn forget_oldest(&mut self) -> bool {
        if self.packets.front().is_none_or(|stored| stored.sent.is_none()) {
            return false;
        }
        if let Some(stored) = self.packets.pop_front() {
            self.bytes = self.bytes.saturating_sub(stored.len());
            self.again_is_stale |= stored.is_asked;
            self.give_back(stored.head);
        }
        true
    }
}

/// What may be spent on retransmissions: a share of what is sent otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    percent: usize,
    most: usize,
    /// In hundredths of a byte.
    credit: usize,
}

impl Budget {
    pub(crate) const fn new(percent: usize, most: usize) -> Self {
        Self { percent, most, credit: 0 }
    }

    /// So many bytes were sent.
    pub(crate) fn earn(&mut self, bytes: usize) {
        let credit = self.credit.saturating_add(bytes.saturating_mul(self.percent));
        self.credit = credit.min(self.most.saturating_mul(100));
    }

    /// Whether so many bytes may be sent again; then they count as sent.
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        let spent = self.credit.checked_sub(bytes.saturating_mul(100));
        self.credit = spent.unwrap_or(self.credit);
        spent.is_some()
    }
}

const MAX_SPARE: usize = 256;

/// As far it is looked for a packet that pads: frames end with a short one.
const LOOK_BACK: usize = 16;
/// The marker's bit in the second byte of a packet (RFC 3550 §5.1).
const MARKER: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn history(max_packets: usize, max_bytes: usize) -> History {
        History::new(HistoryLimits { max_packets, max_bytes, ..HistoryLimits::default() })
    }

    #[test]
    fn it_keeps_as_many_packets_and_bytes_as_the_limits_and_not_more() {
        for (packets, bytes) in [(10, 1000), (1000, 100)] {
            let mut history = history(packets, bytes);
            for number in 0..11 {
                history.add(at(0), number, vec![0; 10], Some(at(0)));
            }
            assert!(history.get(0).is_none() && history.get(1).is_some());
        }
    }

    #[test]
    fn what_waits_is_not_forgotten_and_has_the_same_limits() {
        let mut history = history(10, 1000);
        assert!(history.has_room(10, 1000) && !history.has_room(11, 0) && !history.has_room(0, 1001));
        assert!((0..10).all(|number| history.add(at(0), number, vec![0; 10], None)));
        assert!(!history.has_room(1, 0));
        history.sent(at(0));
        assert!(history.has_room(1, 910) && !history.has_room(1, 911));
        assert_eq!(history.front().unwrap().number, 1);
    }

    #[test]
    fn a_packet_is_sent_again_when_it_is_young_and_not_on_its_way() {
        let mut history = history(10, 1000);
        history.add(at(0), 1, vec![0; 10], None);
        let trip = Duration::from_millis(100);
        assert!(!history.ask(at(0), 1, trip), "it was not sent yet");
        history.sent(at(0));
        assert!(history.ask(at(10), 1, trip) && !history.ask(at(10), 1, trip));
        assert_eq!(history.asked().unwrap().number, 1);
        history.answered(at(10), true);
        assert!(!history.ask(at(59), 1, trip) && history.ask(at(60), 1, trip));
        history.answered(at(60), true);
        assert!(history.ask(at(2000), 1, trip));
        history.answered(at(2000), false);
        assert!(!history.ask(at(2001), 1, trip), "nobody waits for it any more");
        history.add(at(2001), 2, vec![0; 10], None);
        assert!(history.get(1).is_none() && history.get(2).is_some());
    }

    #[test]
    fn requests_have_their_limit() {
        let limits = HistoryLimits { max_retransmissions: 3, ..HistoryLimits::default() };
        let mut history = History::new(limits);
        assert!((0..4).all(|number| history.add(at(0), number, vec![0; 10], Some(at(0)))));
        let asked = (0..4).filter(|number| history.ask(at(1), *number, Duration::ZERO));
        assert_eq!(asked.count(), 3);
        // What is forgotten leaves its place.
        history.forget_old(at(5000));
        assert!(!history.is_asked() && history.add(at(5000), 4, vec![0; 10], Some(at(5000))));
        assert!(history.ask(at(5001), 4, Duration::ZERO) && history.is_asked());
    }

    #[test]
    fn r5_requests_that_are_refused_anyway_have_nothing_looked_for() {
        let limits = HistoryLimits { max_retransmissions: 3, ..HistoryLimits::default() };
        let mut history = History::new(limits);
        (0..3).for_each(|number| assert!(history.add(at(0), number, vec![0; 10], Some(at(0)))));
        (3..8).for_each(|number| assert!(history.add(at(1500), number, vec![0; 10], Some(at(1500)))));
        for number in [1, 2, 4] {
            assert!(history.ask(at(1500), number, Duration::ZERO));
        }
        history.forget_old(at(2500));
        // It waits already, was never there, or is too old.
        for (now, number) in [(2500, 4), (2500, 1), (2500, 99), (4000, 5)] {
            assert!(!history.ask(at(now), number, Duration::ZERO));
            assert_eq!((history.again.len(), history.again_is_stale), (3, true), "{number}");
        }
        // The first that needs room looks for it, and the next not again.
        assert!(history.ask(at(2500), 5, Duration::ZERO));
        assert_eq!((history.again.len(), history.again_is_stale), (2, false));
        assert!(history.ask(at(2500), 6, Duration::ZERO) && !history.ask(at(2500), 7, Duration::ZERO));
    }

    #[test]
    fn r5_retransmissions_are_half_of_what_is_sent_and_not_a_byte_more() {
        let mut budget = Budget::new(50, 1000);
        assert!(!budget.spend(1));
        budget.earn(200);
        assert!(!budget.spend(101) && budget.spend(100) && !budget.spend(1));
        budget.earn(1 << 20);
        assert!(!budget.spend(1001) && budget.spend(1000) && !budget.spend(1));
    }
}
