use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto::{Arrival, Batch, Carrier, Path};
use session::{
    ChannelId, ChannelInit, Config, Event, MessageKind, Outgoing, SdpType, SendError, Session, WallClock,
};

use super::address;
use crate::pair::{Datagram, Node, Pair};

/// A [`Session`]: the whole stack.
pub struct Ours {
    pub session: Session,
    epoch: Instant,
    /// Where the peer's datagrams come from, seen from here.
    path: Path,
    channel: Option<ChannelId>,
    open: bool,
    queue: usize,
    memory: Vec<u8>,
    partial: BytesMut,
}

impl Ours {
    fn new(is_first: bool, queue: usize, epoch: Instant) -> Self {
        let mut config = Config::new(crypto::default_provider());
        config.local_addresses = vec![address(is_first)];
        let clock = WallClock { unix_seconds: 1_800_000_000 };
        let session = Session::new(time(epoch, epoch), clock, config, [u8::from(is_first); 32]);
        Self {
            session: session.expect("a certificate"),
            epoch,
            path: Path { carrier: Carrier::Udp, local: address(is_first), remote: address(!is_first) },
            channel: None,
            open: false,
            queue,
            // What a driver lends; a worker has one for all of its sessions.
            memory: vec![0; 65_000],
            partial: BytesMut::new(),
        }
    }

    /// Two ends that know each other's descriptions, with up to `queue` bytes waiting at the sender.
    pub fn pair(queue: usize) -> Pair<Self> {
        let epoch = Instant::now();
        let (mut a, mut b) = (Self::new(true, queue, epoch), Self::new(false, queue, epoch));
        let now = time(epoch, epoch);
        a.channel = Some(a.session.open_channel(now, ChannelInit::labelled("bench")).expect("a channel"));
        // Descriptions go as text, as signalling carries them.
        let offer = a.session.create_offer(now).expect("an offer");
        a.session.set_local(now, SdpType::Offer, offer.clone()).expect("as created");
        let offer = offer.to_string().parse().expect("an offer of ours");
        b.session.set_remote(now, SdpType::Offer, offer).expect("an offer of ours");
        let answer = b.session.create_answer(now).expect("an answer");
        b.session.set_local(now, SdpType::Answer, answer.clone()).expect("as created");
        let answer = answer.to_string().parse().expect("an answer of ours");
        a.session.set_remote(now, SdpType::Answer, answer).expect("an answer of ours");
        a.introduce(&mut b);
        b.introduce(&mut a);
        Pair { a, b, now: epoch }
    }

    fn introduce(&mut self, to: &mut Self) {
        let now = time(self.epoch, self.epoch);
        while let Some(event) = self.session.poll_event() {
            if let Event::Candidate(found) = event {
                to.session
                    .add_remote_candidate(now, &found.candidate, None, None, None)
                    .expect("a candidate");
            }
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::ChannelOpened(id) | Event::ChannelOpen(id) => {
                    self.channel = Some(id);
                    self.open = true;
                }
                _ => {}
            }
        }
        while self.session.poll_route().is_some() {}
    }
}

/// The time of the peers as ours.
pub fn time(epoch: Instant, now: Instant) -> proto::Instant {
    proto::Instant::from_nanos(1) + (now - epoch)
}

impl Node for Ours {
    fn handle(&mut self, now: Instant, datagram: Datagram<'_>) {
        let arrival = Arrival { path: self.path, ecn: None, at: time(self.epoch, now) };
        // A check that comes before its credentials is refused, and comes again.
        match datagram {
            Datagram::Lent(bytes) => _ = self.session.handle_datagram(arrival, bytes),
            Datagram::Owned(bytes) => _ = self.session.handle_datagram(arrival, &mut BytesMut::from(bytes)),
        }
    }

    fn carry(&mut self, now: Instant, most: usize, deliver: &mut dyn FnMut(Datagram<'_>)) -> usize {
        let mut count = 0;
        while count < most {
            let mut batch = Batch::new(&mut self.memory, (most - count).min(43), 1500);
            let Some(transmit) = self.session.poll_transmit(time(self.epoch, now), &mut batch) else { break };
            let size = transmit.segment_size.unwrap_or(transmit.len);
            for datagram in self.memory[..transmit.len].chunks_mut(size) {
                deliver(Datagram::Lent(datagram));
                count += 1;
            }
        }
        self.take_events();
        count
    }

    fn deadline(&mut self) -> Option<Instant> {
        let due = self.session.poll_timeout()?;
        Some(self.epoch + Duration::from_nanos(due.as_nanos() - 1))
    }

    fn timeout(&mut self, now: Instant) {
        self.session.handle_timeout(time(self.epoch, now));
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn send(&mut self, now: Instant, message: &Bytes) -> bool {
        let Some(channel) = self.channel else { return false };
        if self.session.buffered(channel) + message.len() > self.queue {
            return false;
        }
        let mut message = Outgoing::new(MessageKind::Binary, message.clone());
        match self.session.send(time(self.epoch, now), channel, &mut message) {
            Ok(()) => true,
            Err(SendError::Blocked) => panic!("the queue is smaller than the limit"),
            Err(error) => panic!("{error}"),
        }
    }

    fn receive(&mut self, now: Instant, take: &mut dyn FnMut(&[u8])) {
        let Some(channel) = self.channel else { return };
        while let Some(piece) = self.session.recv(time(self.epoch, now), channel) {
            if piece.end && self.partial.is_empty() {
                take(&piece.data);
                continue;
            }
            self.partial.extend_from_slice(&piece.data);
            if piece.end {
                take(&self.partial);
                self.partial.clear();
            }
        }
    }
}
