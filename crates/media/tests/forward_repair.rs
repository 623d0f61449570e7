//! A forwarder between a sender whose repair is in its stream (RFC 5109 §14) and viewers who get none of it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use media::{
    Codec, Content, FecConfig, Format, OutgoingFrame, Output, Received, ReceiverId, RedConfig, Rtp, SenderId,
    SharedPackets, StreamId,
};
use proto::{Instant, Writer};
use rtp::rtcp::{Compound, Packet as Rtcp};
use rtp::{Packet, PacketMut, SequenceNumber, fec, is_rtcp};
use support::{deliver, extensions, pt, rtp, video_receiver, video_sender, vp8};
use testkit::{Link, Pipe, epoch};

const MEDIA: u8 = 96;

/// One to whom is forwarded, over a path of its own.
struct Viewer {
    /// The forwarder's end.
    near: Rtp,
    sender: SenderId,
    far: Rtp,
    there: Pipe<()>,
    back: Pipe<()>,
    /// Numbers under which packets went out, and those among them that were empty.
    sent: BTreeSet<u64>,
    empty: BTreeSet<u64>,
    /// Numbers that were asked for.
    asked: BTreeSet<u64>,
    last: u64,
    frames: Vec<u32>,
}

impl Viewer {
    fn new(link: &Link, seed: u8) -> Self {
        let (mut near, mut far) = (rtp("near", seed), rtp("far", seed + 1));
        let sender = near.add_sender(video_sender()).unwrap();
        far.add_receiver(video_receiver()).unwrap();
        let [there, back] = [0, 1].map(|at| Pipe::new(link.clone(), [seed + 2 + at; 32]));
        let (sent, empty, asked) = Default::default();
        Self { near, sender, far, there, back, sent, empty, asked, last: 1 << 20, frames: Vec::new() }
    }

    /// A number of 16 bits as one that goes on.
    fn extend(&mut self, number: SequenceNumber) -> u64 {
        let number = number.extend(self.last);
        self.last = self.last.max(number);
        number
    }

    fn exchange(&mut self, now: Instant) {
        while let Some((_, mut bytes)) = self.there.receive(now) {
            deliver(&mut self.far, now, &mut bytes);
        }
        while let Some((_, mut bytes)) = self.back.receive(now) {
            let compound = Compound::decode(&bytes).unwrap();
            for packet in compound.packets().flatten() {
                let Rtcp::Nack(nack) = packet else { continue };
                for number in nack.lost() {
                    let number = number.extend(self.last);
                    self.asked.insert(number);
                }
            }
            deliver(&mut self.near, now, &mut bytes);
        }
        self.near.handle_timeout(now);
        self.far.handle_timeout(now);
        while let Some(frame) = self.far.receiver(ReceiverId(0)).unwrap().poll_frame(now) {
            let Content::Media { bytes, .. } = frame.content else { panic!("it is video") };
            self.frames.push(u32::from_be_bytes(bytes[10..14].try_into().unwrap()));
        }
        for bytes in leaving(&mut self.near, now) {
            if !is_rtcp(&bytes) {
                let packet = Packet::decode(&bytes).unwrap();
                let header = packet.header();
                if header.payload_type == pt(MEDIA) {
                    let number = self.extend(header.sequence_number);
                    assert!(self.sent.insert(number), "{number} went twice");
                    if packet.payload().is_empty() {
                        self.empty.insert(number);
                    }
                }
            }
            self.there.send(now, (), &bytes);
        }
        leaving(&mut self.far, now).iter().for_each(|bytes| self.back.send(now, (), bytes));
    }

    fn due(&mut self) -> Option<Instant> {
        let due = [self.there.due(), self.back.due(), self.near.poll_timeout(), self.far.poll_timeout()];
        due.into_iter().flatten().min()
    }
}

/// All that leaves now.
fn leaving(rtp: &mut Rtp, now: Instant) -> Vec<Vec<u8>> {
    let mut memory = [0; 1500];
    let mut sent = Vec::new();
    while let mut out = Writer::new(&mut memory)
        && (rtp.poll_rtp(now, &mut out) || rtp.poll_rtcp(now, &mut out))
    {
        sent.push(out.written().to_vec());
    }
    while rtp.poll_event(now).is_some() {}
    sent
}

struct Room {
    now: Instant,
    alice: Rtp,
    camera: SenderId,
    middle: Rtp,
    there: Pipe<()>,
    back: Pipe<()>,
    packets: SharedPackets,
    viewers: Vec<Viewer>,
    /// What the paths are like but for the first frame and the last: nobody knows what is missing before and behind all.
    links: Vec<Link>,
    /// Packets of repair that came, and numbers that the forwarder was told to leave out.
    repairs: u64,
    omitted: u64,
}

impl Room {
    fn new(first: &Link, second: &[Link]) -> Self {
        let (mut alice, mut middle) = (rtp("alice", 1), rtp("middle", 2));
        let mut config = video_sender();
        config.fec = Some(FecConfig { format: fec::Format::Ulp, payload_type: pt(99), group: 5 });
        config.red = Some(RedConfig { payload_type: pt(98), rtx: None });
        let camera = alice.add_sender(config).unwrap();
        let mut config = video_receiver();
        config.formats.extend([(pt(98), Format::Red), (pt(99), Format::Fec(fec::Format::Ulp))]);
        config.output = Output::Packets;
        middle.add_receiver(config).unwrap();
        Self {
            now: epoch(),
            alice,
            camera,
            middle,
            there: Pipe::new(link(0.0), [3; 32]),
            back: Pipe::new(link(0.0), [4; 32]),
            packets: SharedPackets::default(),
            viewers: (1..).zip(second).map(|(at, _)| Viewer::new(&link(0.0), 10 * at)).collect(),
            links: std::iter::once(first).chain(second).cloned().collect(),
            repairs: 0,
            omitted: 0,
        }
    }

    fn exchange(&mut self) {
        let now = self.now;
        while let Some((_, mut bytes)) = self.there.receive(now) {
            if is_rtcp(&bytes) {
                self.middle.handle_rtcp(now, &bytes).unwrap();
                continue;
            }
            let len = bytes.len();
            let received = self.middle.handle_rtp(now, None, PacketMut::decode(&mut bytes, len).unwrap());
            let receiver = self.middle.receiver(ReceiverId(0)).unwrap();
            // In the order in which they are told.
            while let Some((stream, number)) = receiver.poll_omitted() {
                self.omitted += 1;
                for viewer in &mut self.viewers {
                    viewer.near.sender(viewer.sender).unwrap().omit_rtp(now, 0, (stream.0, number));
                }
            }
            let mut packets = Vec::new();
            if let Ok((_, Received::Packet { stream, number, packet })) = received {
                assert!(!packet.as_packet().payload().is_empty());
                packets.push((stream, number, packet.as_packet().bytes().to_vec()));
            }
            packets.extend(std::iter::from_fn(|| receiver.poll_recovered()));
            for (stream, number, bytes) in packets {
                let packet = self.packets.share(&bytes, &extensions()).unwrap();
                for viewer in &mut self.viewers {
                    let sender = viewer.near.sender(viewer.sender).unwrap();
                    sender.write_rtp(now, 0, (stream.0, number), &packet).unwrap();
                }
            }
        }
        while let Some((_, mut bytes)) = self.back.receive(now) {
            deliver(&mut self.alice, now, &mut bytes);
        }
        self.alice.handle_timeout(now);
        self.middle.handle_timeout(now);
        leaving(&mut self.alice, now).iter().for_each(|bytes| self.there.send(now, (), bytes));
        leaving(&mut self.middle, now).iter().for_each(|bytes| self.back.send(now, (), bytes));
        self.viewers.iter_mut().for_each(|viewer| viewer.exchange(now));
    }

    fn run(&mut self, end: Instant) {
        loop {
            self.exchange();
            let own =
                [self.there.due(), self.back.due(), self.alice.poll_timeout(), self.middle.poll_timeout()];
            let due = own.into_iter().chain(self.viewers.iter_mut().map(Viewer::due)).flatten().min();
            let next = due.unwrap_or(end);
            assert!(next > self.now, "time stands still: {:?}", self.now);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = next;
        }
    }

    fn set_links(&mut self, links: Vec<Link>) {
        let pipes = self.viewers.iter_mut().map(|viewer| (&mut viewer.there, &mut viewer.back));
        let pipes = std::iter::once((&mut self.there, &mut self.back)).chain(pipes);
        for ((there, back), link) in pipes.zip(links) {
            there.set_link(link.clone());
            back.set_link(link);
        }
    }

    /// So many frames of video, 30 a second, and a second more.
    fn video(&mut self, frames: u32, len: usize) {
        for number in 0..frames {
            // Key frames come by themselves now and then.
            let bytes = vp8(number, number.is_multiple_of(60), len);
            let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
            self.alice.sender(self.camera).unwrap().send_frame(self.now, 0, &frame).unwrap();
            self.run(self.now + Duration::from_nanos(33_333_333));
            match number {
                0 => self.set_links(self.links.clone()),
                _ if number + 2 == frames => self.set_links(vec![link(0.0); self.links.len()]),
                _ => {}
            }
        }
        self.run(self.now + Duration::from_secs(1));
        let receiver = self.middle.receiver(ReceiverId(0)).unwrap();
        self.repairs = receiver.stats(StreamId(0)).unwrap().repairs;
    }
}

fn link(loss: f64) -> Link {
    Link { delay: Duration::from_millis(15), loss, ..Link::default() }
}

#[test]
fn viewers_miss_nothing_of_repair_that_is_not_for_them() {
    let mut room = Room::new(&link(0.0), &[link(0.0), link(0.03)]);
    room.video(300, 5000);
    assert!(room.repairs > 280 && room.omitted == room.repairs, "{} {}", room.omitted, room.repairs);
    for viewer in &mut room.viewers {
        let (first, last) = (*viewer.sent.first().unwrap(), *viewer.sent.last().unwrap());
        assert_eq!(viewer.sent.len() as u64, last - first + 1, "numbers have no gap");
        assert!(viewer.empty.is_empty() && viewer.asked.is_subset(&viewer.sent));
        let sent = viewer.near.sender(viewer.sender).unwrap().stats(0).unwrap();
        let stats = viewer.far.receiver(ReceiverId(0)).unwrap().stats(StreamId(0)).unwrap();
        assert!(viewer.frames.len() >= 299, "{} frames", viewer.frames.len());
        assert_eq!((sent.refused, stats.nack.abandoned), (0, 0), "{sent:?} {stats:?}");
    }
    // Nobody asks where nothing is lost.
    assert_eq!(room.viewers[0].asked.len(), 0);
    assert!(room.viewers[1].asked.len() > 20);
}

/// Loss on each leg, and packets that overtake others; the numbers wrap.
#[test]
fn whatever_is_lost_viewers_ask_for_nothing_that_does_not_exist() {
    let jittery = Link { jitter: Duration::from_millis(3), ..link(0.05) };
    for (first, second, frames, len) in [
        (link(0.05), [link(0.0), link(0.05)], 1700, 45_000),
        (jittery.clone(), [jittery, link(0.02)], 900, 3000),
    ] {
        let mut room = Room::new(&first, &second);
        room.video(frames, len);
        for viewer in &mut room.viewers {
            let (first, last) = (*viewer.sent.first().unwrap(), *viewer.sent.last().unwrap());
            let gaps: Vec<u64> = (first..last).filter(|number| !viewer.sent.contains(number)).collect();
            assert_eq!(gaps, [], "of {} to {last}", first);
            assert!(viewer.asked.is_subset(&viewer.sent));
            let stats = viewer.far.receiver(ReceiverId(0)).unwrap().stats(StreamId(0)).unwrap();
            println!(
                "{} sent, {} empty, {} asked for, {} frames, {:?}",
                viewer.sent.len(),
                viewer.empty.len(),
                viewer.asked.len(),
                viewer.frames.len(),
                stats.nack
            );
            // What is lost of those that fill gaps is of no use to anybody.
            assert!(stats.nack.abandoned <= viewer.empty.len() as u64, "{stats:?}");
            let missing: Vec<u32> = (0..frames).filter(|number| !viewer.frames.contains(number)).collect();
            assert_eq!(missing, []);
            assert!(viewer.empty.len() * 100 < viewer.sent.len(), "{}", viewer.empty.len());
        }
        let receiver = room.middle.receiver(ReceiverId(0)).unwrap();
        let stats = receiver.stats(StreamId(0)).unwrap();
        println!("{stats:?}, {} omitted", room.omitted);
        assert!(stats.recovered > 100 && stats.retransmitted > 5, "{stats:?}");
        assert!(room.omitted > room.repairs, "some were lost: {} of {}", room.repairs, room.omitted);
        assert_eq!(stats.key_frame_requests, 0);
    }
}

/// Without numbers of pictures lost repair is not told from lost media: what came is left out all the same.
#[test]
fn empty_packets_go_no_further_and_neither_does_repair_of_other_codecs() {
    let mut config = video_receiver();
    config.formats = vec![
        (pt(96), Format::Media(Codec::H264)),
        (pt(98), Format::Red),
        (pt(99), Format::Fec(fec::Format::Ulp)),
    ];
    for output in [Output::Packets, Output::Both, Output::Frames] {
        let mut config = config.clone();
        config.output = output;
        let mut middle = rtp("middle", 2);
        let id = middle.add_receiver(config).unwrap();
        let mut came = Vec::new();
        // Media, an empty packet, RED without a block, padding, media.
        for (number, second, payload) in [
            (1_u8, 0xe0, &b"\x65\x01"[..]),
            (2, 0x60, b""),
            (3, 0x62, b""),
            (4, 0x60, b"\0\0\x03"),
            (5, 0xe0, b"\x65\x01"),
        ] {
            let first = if number == 4 { 0xb0 } else { 0x90 };
            let mut packet = vec![first, second, 0, number, 0, 0, 0, 0, 1, 2, 3, 4];
            // The section's name.
            packet.extend([0xbe, 0xde, 0, 1, 0x10, b'1', 0, 0]);
            packet.extend(payload);
            let len = packet.len();
            let packet = PacketMut::decode(&mut packet, len).unwrap();
            let received = middle.handle_rtp(epoch(), None, packet).unwrap().1;
            let receiver = middle.receiver(id).unwrap();
            came.extend(
                std::iter::from_fn(|| receiver.poll_omitted()).map(|(_, number)| (number & 0xff, false)),
            );
            if let Received::Packet { number, .. } = received {
                came.push((number & 0xff, true));
            }
            assert!(!receiver.has_asides());
        }
        let wanted = [(1, true), (2, false), (3, false), (4, false), (5, true)];
        assert_eq!(came, if output.has_packets() { &wanted[..] } else { &[] });
    }
}
