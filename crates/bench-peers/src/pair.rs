//! Two ends of one stack without I/O, in one thread and in virtual time.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::measure::{Digest, messages, thread_cpu};

/// A datagram, as the sending side has it.
pub enum Datagram<'a> {
    /// In memory that the sender lends.
    Lent(&'a mut [u8]),
    /// In memory of its own.
    Owned(Bytes),
}

impl Datagram<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::Lent(bytes) => bytes.len(),
            Self::Owned(bytes) => bytes.len(),
        }
    }

    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Lent(bytes) => Bytes::copy_from_slice(bytes),
            Self::Owned(bytes) => bytes,
        }
    }
}

/// One end of a connection with one reliable, ordered channel.
pub trait Node {
    /// What a datagram of this node gains below it: IP and UDP, and DTLS where there is only SCTP.
    const OVERHEAD: usize = 28;

    fn handle(&mut self, now: Instant, datagram: Datagram<'_>);
    /// Gives up to `most` of the datagrams that are due to `deliver`; how many there were.
    fn carry(&mut self, now: Instant, most: usize, deliver: &mut dyn FnMut(Datagram<'_>)) -> usize;
    /// When it wants to be called next.
    fn deadline(&mut self) -> Option<Instant>;
    fn timeout(&mut self, now: Instant);
    fn is_open(&self) -> bool;
    /// Takes a message; false if as much is queued as was asked for.
    fn send(&mut self, now: Instant, message: &Bytes) -> bool;
    /// Gives every message that is complete to `take`.
    fn receive(&mut self, now: Instant, take: &mut dyn FnMut(&[u8]));
}

/// Both ends, and their time.
pub struct Pair<N> {
    pub a: N,
    pub b: N,
    pub now: Instant,
}

impl<N: Node> Pair<N> {
    /// One exchange in both directions: up to a train each way. Whether anything moved.
    pub fn step(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        let Self { a, b, now } = self;
        let mut moved = a.carry(*now, TRAIN, &mut |datagram| b.handle(*now, datagram));
        b.receive(*now, take);
        moved += b.carry(*now, TRAIN, &mut |datagram| a.handle(*now, datagram));
        a.receive(*now, &mut |_| {});
        let deadlines = [a.deadline(), b.deadline()];
        let soon = *now + Duration::from_micros(20);
        *now = if moved > 0 {
            soon
        } else {
            let next = deadlines.into_iter().flatten().min();
            next.map_or(*now + Duration::from_millis(5), |next| next.max(soon))
        };
        for (end, deadline) in [a, b].into_iter().zip(deadlines) {
            if deadline.is_some_and(|due| due <= *now) {
                end.timeout(*now);
            }
        }
        moved > 0
    }

    /// Runs until the channel is open at both ends.
    pub fn connect(mut self) -> Self {
        for _ in 0..20_000 {
            if self.a.is_open() && self.b.is_open() {
                return self;
            }
            self.step(&mut |_| {});
        }
        panic!("no connection");
    }

    /// Sends messages of `size` bytes one way for `ms` of CPU time, and until they have arrived. Messages that
    /// arrived, and the CPU seconds; checked to be those that were sent.
    pub fn bulk(&mut self, size: usize, ms: u64) -> (Digest, f64) {
        let messages = messages(size);
        let mut supply = messages.iter().cycle();
        let mut next = supply.next().expect("seven");
        let (mut sent, mut received) = (Digest::default(), Digest::default());
        let (start, wall) = (thread_cpu(), Instant::now());
        let (mut over, mut turns) = (false, 0_u64);
        while !over || received.messages < sent.messages {
            while !over && self.a.send(self.now, next) {
                sent.add(next);
                next = supply.next().expect("seven");
            }
            turns += 1;
            if !over && turns.is_multiple_of(8) {
                over = thread_cpu() - start > ms * 1_000_000 || wall.elapsed().as_millis() as u64 > ms * 5;
            }
            self.step(&mut |message| received.add(message));
            assert!(wall.elapsed() < Duration::from_secs(60), "stalled: {received:?} of {sent:?}");
        }
        let spent = (thread_cpu() - start) as f64 / 1e9;
        assert_eq!(sent, received, "what arrived is not what was sent");
        (received, spent)
    }
}

/// Datagrams that an end takes before it gets to answer: those of one receive call, say.
const TRAIN: usize = 16;
