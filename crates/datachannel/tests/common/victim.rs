//! Channels whose peer writes what it likes on its streams.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datachannel::{Channels, Config, Event, Role, StreamId};
use proto::{Instant, Writer};
use sctp::{Association, Direction, Ppid, StreamOptions};

/// Channels, as the DTLS server, and an association that plays its peer by hand.
pub(crate) struct Victim {
    pub(crate) now: Instant,
    pub(crate) channels: Channels,
    pub(crate) peer: Association,
    pub(crate) events: Vec<Event>,
    pub(crate) resets: Vec<StreamId>,
    /// The peer answers resets with its own, as it should.
    pub(crate) answers: bool,
}

impl Victim {
    pub(crate) fn new(config: Config) -> Self {
        let now = testkit::epoch();
        let mut peer_config = sctp::Config::default();
        peer_config.max_streams = 65_535;
        let mut channels = Channels::new(now, config, [1; 32]);
        channels.set_role(now, Role::Server);
        let peer = Association::client(now, Arc::new(peer_config), [2; 32]);
        let mut victim = Self { now, channels, peer, events: Vec::new(), resets: Vec::new(), answers: false };
        victim.run(100);
        assert!(victim.channels.is_connected());
        victim.events.clear();
        victim
    }

    pub(crate) fn run(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(5) {
            let mut memory = [0; 2000];
            let mut out = Writer::new(&mut memory);
            while self.peer.poll_packet(self.now, &mut out) {
                self.channels.handle_packet(self.now, out.written()).unwrap();
                out.truncate(0);
            }
            while self.channels.poll_packet(self.now, &mut out) {
                self.peer.handle_packet(self.now, out.written()).unwrap();
                out.truncate(0);
            }
            while let Some(event) = self.channels.poll_event() {
                self.events.push(event);
            }
            while let Some(event) = self.peer.poll_event() {
                if let sctp::Event::Reset { stream, direction: Direction::Incoming } = event {
                    self.resets.push(stream);
                    if self.answers {
                        self.peer.reset(self.now, stream);
                    }
                }
            }
            self.now += Duration::from_millis(5);
            self.peer.handle_timeout(self.now);
            self.channels.handle_timeout(self.now);
        }
    }

    pub(crate) fn write(&mut self, stream: u16, ppid: u32, bytes: &[u8]) {
        let stream = StreamId(stream);
        let _ = self.peer.open(stream, StreamOptions::default());
        self.peer.send(self.now, stream, Ppid(ppid), &mut Bytes::copy_from_slice(bytes), true).unwrap();
    }

    pub(crate) fn was_reset(&self, stream: u16) -> bool {
        self.resets.contains(&StreamId(stream))
    }
}

/// DATA_CHANNEL_OPEN, reliable, with these lengths and what follows them.
pub(crate) fn open(label_len: u16, protocol_len: u16, texts: &[u8]) -> Vec<u8> {
    let mut bytes = vec![3, 0, 1, 0, 0, 0, 0, 0];
    bytes.extend(label_len.to_be_bytes());
    bytes.extend(protocol_len.to_be_bytes());
    bytes.extend_from_slice(texts);
    bytes
}

pub(crate) const DCEP: u32 = 50;
