//! Forwarding: a train of packets of one session's, or a single packet, goes out by ten others. The side that forwards is counted,
//! with what it takes of feedback; the ends are not.

use std::sync::Arc;
use std::time::Duration;

use proto::{Arrival, Batch};
use session::{
    Config, Discard, FrameConfig, MediaKind, Output, Received, Session, SharedPacket, SharedPackets,
    TransceiverId,
};
use testkit::null_provider;

use crate::counted;
use crate::ends::{Ends, WALL_CLOCK};

/// By the machines of media: copies are kept for whoever asks for them again, and leave at the path's pace.
pub(crate) fn kept() -> Box<dyn FnMut()> {
    forward(true, TRAIN, 1)
}

/// The same over connections with 50 sections, as viewers of large rooms have.
pub(crate) fn among_50() -> Box<dyn FnMut()> {
    forward(true, TRAIN, 50)
}

/// The same of a packet that comes alone, as those of audio do.
pub(crate) fn singly() -> Box<dyn FnMut()> {
    forward(true, 1, 1)
}

/// Within the turn in which they came.
pub(crate) fn at_once() -> Box<dyn FnMut()> {
    forward(false, TRAIN, 1)
}

fn forward(kept: bool, packets: usize, sections: usize) -> Box<dyn FnMut()> {
    let mut room = Room::new(kept, packets, sections);
    (0..WARM_UP_TURNS).for_each(|_| room.turn(|operation| operation()));
    Box::new(move || room.turn(counted))
}

/// Two sessions, of which the first sends video to the second.
struct Line {
    sessions: [Session; 2],
    transceivers: [TransceiverId; 2],
    ssrc: [u8; 4],
    payload_type: u8,
}

impl Line {
    fn connected(number: u8, kept: bool, sections: usize) -> (Self, proto::Instant) {
        let mut ids = None;
        let mut ends = Ends::negotiated(
            [0, 1].map(|end| {
                let mut config = Config::new(null_provider());
                config.local_addresses = vec![Ends::path(end).local];
                if kept {
                    let mut frames = FrameConfig::default();
                    frames.output = Output::Packets;
                    frames.bandwidth.start = 50_000_000;
                    config.frames = Some(Arc::new(frames));
                }
                let seed = [number * 2 + u8::from(end == 1); 32];
                Session::new(testkit::epoch(), WALL_CLOCK, config, seed).expect("a certificate")
            }),
            |now, offering| {
                let mut add = || offering.add_track(now, MediaKind::Video, vec![]).expect("room");
                ids = Some((0..sections).map(|_| add()).last().expect("one at least"));
            },
        );
        while ends.sessions.iter().any(|session| session.max_media_packet().is_none()) {
            ends.introduce();
            ends.turn(Duration::from_millis(1));
        }
        let Ends { sessions, now, .. } = ends;
        let ours = ids.expect("it was added");
        let theirs = sessions[1].transceivers().last().expect("one").0;
        let info = sessions[0].transceiver(ours).expect("it is there");
        let ssrc = info.encodings[0].ssrc.0.to_be_bytes();
        let payload_type = info.negotiated.expect("agreed").send[0].payload_type.get();
        (Self { sessions, transceivers: [ours, theirs], ssrc, payload_type }, now)
    }
}

/// One who sends, by a line that ends here, and lines to those who receive.
struct Room {
    sender: Line,
    viewers: Vec<Line>,
    now: proto::Instant,
    number: u16,
    kept: bool,
    /// That come together.
    count: usize,
    memory: Vec<u8>,
    train: Vec<u8>,
    packets: SharedPackets,
    /// Those of the turn.
    shared: Vec<SharedPacket>,
}

impl Room {
    fn new(kept: bool, count: usize, sections: usize) -> Self {
        let mut latest = testkit::epoch();
        let mut line = |number| {
            let (line, now) = Line::connected(number, kept, sections);
            latest = latest.max(now);
            line
        };
        let (sender, viewers) = (line(0), (1..=VIEWERS).map(line).collect());
        Self {
            sender,
            viewers,
            now: latest,
            number: 0,
            kept,
            count,
            memory: vec![0; 65_000],
            train: vec![0; 65_000],
            packets: SharedPackets::default(),
            shared: Vec::new(),
        }
    }

    /// `count` runs what is to be counted.
    fn turn(&mut self, count: fn(&mut dyn FnMut())) {
        self.now += INTERVAL;
        let now = self.now;
        let size = self.send(now);
        let Self { sender, viewers, memory, train, packets, shared, .. } = self;
        let theirs = sender.sessions[1].transceiver(sender.transceivers[1]).expect("it is there");
        let theirs = theirs.negotiated.expect("agreed").clone();
        let mut taken = vec![(0, 0); self.count];
        shared.clear();
        let mut receive = || {
            for (datagram, taken) in train.chunks_mut(size).zip(&mut taken) {
                let arrival = Arrival { path: Ends::path(1), ecn: None, at: now };
                let received = sender.sessions[1].handle_datagram(arrival, datagram).expect("its packet");
                *taken = if let Received::Rtp { packet, .. } = &received {
                    (packet.bytes().len(), 0)
                } else if let Received::Packet { number, packet, .. } = &received {
                    let packet = packet.as_packet();
                    shared.push(packets.share(packet.bytes(), &theirs.extensions).expect("it is one"));
                    (packet.bytes().len(), *number)
                } else {
                    panic!("{received:?}")
                };
            }
        };
        count(&mut receive);
        for line in viewers {
            let kept = self.kept;
            let Line { sessions: [ours, end], transceivers: [id, _], ssrc, payload_type } = line;
            let mut out = (0, 0);
            count(&mut || {
                let mut batch = Batch::new(memory, TRAIN, 1500);
                for (packet, (_, number)) in shared.iter().zip(&taken) {
                    ours.forward_rtp(now, *id, 0, (0, *number), packet).expect("room");
                }
                for (packet, (len, _)) in train.chunks_mut(size).zip(&taken) {
                    let packet = &mut packet[..*len];
                    if !kept {
                        packet[1] = packet[1] & 0x80 | *payload_type;
                        packet[8..12].copy_from_slice(ssrc);
                        ours.write_rtp(now, *id, packet, &mut batch).expect("room");
                    }
                }
                if !kept {
                    let transmit = ours.finish_rtp(&batch).expect("packets");
                    out = (transmit.len, transmit.segment_size.expect("of one size"));
                }
            });
            deliver(now, 1, end, &mut memory[..out.0], out.1);
            work(now, [ours, end], memory, count);
            for session in [ours, end] {
                while session.poll_event().is_some() {}
            }
        }
    }

    /// A train of the sender's: gives the size of its datagrams.
    fn send(&mut self, now: proto::Instant) -> usize {
        let Self { sender, train, .. } = self;
        let mut batch = Batch::new(train, TRAIN, 1500);
        for _ in 0..self.count {
            self.number = self.number.wrapping_add(1);
            let mut packet = vec![0x80, sender.payload_type];
            packet.extend(self.number.to_be_bytes());
            packet.extend(u32::from(self.number).wrapping_mul(900).to_be_bytes());
            packet.extend(sender.ssrc);
            // The descriptor of VP8 with the start of a partition.
            packet.push(0x10);
            packet.resize(1180, 1);
            sender.sessions[0].write_rtp(now, sender.transceivers[0], &packet, &mut batch).expect("room");
        }
        let transmit = sender.sessions[0].finish_rtp(&batch).expect("packets");
        transmit.segment_size.unwrap_or(transmit.len)
    }
}

/// Until the next turn: the first session is woken by what came, and then when something is due, as a worker does it, and the second
/// answers.
fn work(now: proto::Instant, [ours, end]: [&mut Session; 2], memory: &mut [u8], count: fn(&mut dyn FnMut())) {
    let (mut is_awake, mut due) = (true, None);
    for step in 0..5 {
        let now = now + INTERVAL / 5 * step;
        loop {
            if due.is_some_and(|due| due <= now) {
                count(&mut || ours.handle_timeout(now));
                is_awake = true;
            }
            if !std::mem::take(&mut is_awake) {
                break;
            }
            loop {
                let mut sent = None;
                count(&mut || {
                    sent = ours.poll_transmit(now, &mut Batch::new(memory, 40, 1500));
                    if sent.is_none() {
                        due = ours.poll_timeout();
                    }
                });
                let Some(transmit) = sent else { break };
                let size = transmit.segment_size.unwrap_or(transmit.len);
                deliver(now, 1, end, &mut memory[..transmit.len], size);
            }
        }
        end.handle_timeout(now);
        while let Some(transmit) = end.poll_transmit(now, &mut Batch::new(memory, 40, 1500)) {
            let size = transmit.segment_size.unwrap_or(transmit.len);
            let datagrams = &mut memory[..transmit.len];
            count(&mut || deliver(now, 0, ours, datagrams, size));
            is_awake = true;
        }
    }
}

/// Gives datagrams to the session that is one end of a line.
fn deliver(now: proto::Instant, end: usize, to: &mut Session, datagrams: &mut [u8], size: usize) {
    let arrival = Arrival { path: Ends::path(end), ecn: None, at: now };
    for datagram in datagrams.chunks_mut(size.max(1)) {
        // Probes of the path are packets that came already.
        let refused = to.handle_datagram(arrival, datagram).err();
        assert!(refused.is_none_or(|refused| matches!(refused, Discard::Media(_))), "{refused:?}");
    }
}

const VIEWERS: u8 = 10;
/// Between trains, or single packets.
const INTERVAL: Duration = Duration::from_millis(10);
/// Packets of a frame, which come together.
const TRAIN: usize = 8;
/// Until what is kept for whoever asks again is as much as is ever kept.
const WARM_UP_TURNS: u32 = 400;
