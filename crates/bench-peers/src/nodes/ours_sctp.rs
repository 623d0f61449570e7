use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto::Writer;
use sctp::{Association, Config, Event, Ppid, StreamId, StreamOptions};

use super::ours::time;
use crate::pair::{Datagram, Node, Pair};

/// An [`Association`] alone.
pub struct OursSctp {
    association: Association,
    epoch: Instant,
    queue: usize,
    open: bool,
    memory: Vec<u8>,
    partial: BytesMut,
}

impl OursSctp {
    /// Two ends, with up to `queue` bytes waiting at the sender.
    pub fn pair(queue: usize) -> Pair<Self> {
        let epoch = Instant::now();
        let mut config = Config::default();
        // As large as those of the peers here.
        config.max_packet = 1200;
        let config = Arc::new(config);
        let end = |association| Self {
            association,
            epoch,
            queue,
            open: false,
            memory: vec![0; 2048],
            partial: BytesMut::new(),
        };
        let now = time(epoch, epoch);
        let mut a = end(Association::client(now, config.clone(), [1; 32]));
        let b = end(Association::server(now, config, [2; 32]));
        a.association.open(STREAM, StreamOptions::default()).expect("a stream");
        Pair { a, b, now: epoch }
    }
}

impl Node for OursSctp {
    const OVERHEAD: usize = 65;

    fn handle(&mut self, now: Instant, datagram: Datagram<'_>) {
        let taken = match datagram {
            Datagram::Lent(bytes) => self.association.handle_packet(time(self.epoch, now), bytes),
            Datagram::Owned(bytes) => self.association.handle_packet(time(self.epoch, now), &bytes),
        };
        taken.expect("a packet of ours");
    }

    fn carry(&mut self, now: Instant, most: usize, deliver: &mut dyn FnMut(Datagram<'_>)) -> usize {
        let mut count = 0;
        while count < most {
            let mut out = Writer::new(&mut self.memory);
            if !self.association.poll_packet(time(self.epoch, now), &mut out) {
                break;
            }
            let len = out.len();
            deliver(Datagram::Lent(&mut self.memory[..len]));
            count += 1;
        }
        while let Some(event) = self.association.poll_event() {
            self.open |= event == Event::Connected;
        }
        count
    }

    fn deadline(&mut self) -> Option<Instant> {
        let due = self.association.poll_timeout()?;
        Some(self.epoch + Duration::from_nanos(due.as_nanos() - 1))
    }

    fn timeout(&mut self, now: Instant) {
        self.association.handle_timeout(time(self.epoch, now));
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn send(&mut self, now: Instant, message: &Bytes) -> bool {
        if self.association.buffered(STREAM) + message.len() > self.queue {
            return false;
        }
        let sent = self.association.send(time(self.epoch, now), STREAM, Ppid(53), &mut message.clone(), true);
        sent.is_ok()
    }

    fn receive(&mut self, now: Instant, take: &mut dyn FnMut(&[u8])) {
        while let Some(chunk) = self.association.recv(time(self.epoch, now), STREAM) {
            if chunk.end && self.partial.is_empty() {
                take(&chunk.data);
                continue;
            }
            self.partial.extend_from_slice(&chunk.data);
            if chunk.end {
                take(&self.partial);
                self.partial.clear();
            }
        }
    }
}

const STREAM: StreamId = StreamId(1);
