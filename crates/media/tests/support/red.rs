//! A sender whose repair is in its stream, inside of RED (RFC 5109 §14), and who receives that.

use std::time::Duration;

use media::{FecConfig, Format, OutgoingFrame, ReceiverConfig, RedConfig, Rtp, SenderConfig, SenderId};
use proto::{Instant, Writer};
use rtp::fec::{self, Repair};
use rtp::payload::red;
use rtp::{Packet, PayloadType};
use testkit::{Link, epoch};

use super::{pt, video_receiver, video_sender, vp8};

pub const MEDIA: PayloadType = pt(96);
pub const RTX: PayloadType = pt(97);
pub const RED: PayloadType = pt(98);
pub const ULPFEC: PayloadType = pt(99);
pub const RED_RTX: PayloadType = pt(100);

pub fn sender(group: usize) -> SenderConfig {
    let mut config = video_sender();
    config.fec = Some(FecConfig { format: fec::Format::Ulp, payload_type: ULPFEC, group });
    config.red = Some(RedConfig { payload_type: RED, rtx: None });
    config
}

pub fn receiver() -> ReceiverConfig {
    let mut config = video_receiver();
    config.formats.extend([
        (RED, Format::Red),
        (ULPFEC, Format::Fec(fec::Format::Ulp)),
        (RED_RTX, Format::Rtx { of: RED }),
    ]);
    config
}

pub fn link(loss: f64, delay: u64) -> Link {
    Link { delay: Duration::from_millis(delay), loss, ..Link::default() }
}

/// What leaves now.
pub fn drain(rtp: &mut Rtp, now: Instant, room: usize) -> Vec<Vec<u8>> {
    let mut memory = [0; 1500];
    let mut sent = Vec::new();
    while let mut out = Writer::new(&mut memory[..room])
        && rtp.poll_rtp(now, &mut out)
    {
        sent.push(out.written().to_vec());
    }
    sent
}

pub fn send(rtp: &mut Rtp, sender: SenderId, number: u32, len: usize) {
    let bytes = vp8(number, number == 0, len);
    let frame = OutgoingFrame { bytes: &bytes, timestamp: number * 3000, ..OutgoingFrame::default() };
    rtp.sender(sender).unwrap().send_frame(epoch(), 0, &frame).unwrap();
}

pub fn header(bytes: &[u8]) -> rtp::Header {
    Packet::decode(bytes).unwrap().header()
}

pub fn number(bytes: &[u8]) -> u16 {
    header(bytes).sequence_number.0
}

/// The block of a packet of RED: its payload type, and what is in it.
pub fn block(bytes: &[u8]) -> (u8, Vec<u8>) {
    let packet = Packet::decode(bytes).unwrap();
    assert_eq!(packet.header().payload_type, RED);
    let mut blocks = red::blocks(packet.payload()).unwrap();
    let block = blocks.next().unwrap();
    assert!(block.primary && blocks.next().is_none());
    (block.payload_type, block.data.to_vec())
}

pub fn is_repair(bytes: &[u8]) -> bool {
    block(bytes).0 == ULPFEC.get()
}

/// The numbers that a packet of repair protects.
pub fn protected(bytes: &[u8]) -> Vec<u16> {
    let (_, repair) = block(bytes);
    Repair::decode(fec::Format::Ulp, &repair).unwrap().protected().mask.numbers().map(|it| it.0).collect()
}
