//! Redundant data ([RFC 2198]): several encodings in one payload.
//!
//! Browsers send audio so, each frame with the ones before it, and video with ULPFEC ([RFC 5109] §14.1), where every payload has the
//! primary block alone: [`write_primary`], [`encapsulate`] and [`blocks`] serve for that.
//!
//! [RFC 2198]: https://www.rfc-editor.org/rfc/rfc2198
//! [RFC 5109]: https://www.rfc-editor.org/rfc/rfc5109

use std::collections::VecDeque;

use proto::{NoSpace, Reader, Writer};

use super::assembly::{Assembly, Ending};
use super::single::outline_of_audio;
use super::{Broken, Discard, Frame, FrameError, Limits, Payload, Stats, Written, whole};
use crate::{EditError, PacketMut, PayloadType};

/// One encoding in a payload (RFC 2198 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Block<'a> {
    /// The payload type of what is in it, 0 to 127.
    pub payload_type: u8,
    /// How much older it is than the packet's timestamp, in ticks; 0 of the primary.
    pub timestamp_offset: u16,
    /// Whether it is the primary, the last one.
    pub primary: bool,
    /// The encoding.
    pub data: &'a [u8],
}

/// The blocks of a payload, the primary last. All is checked at once; at most [`MAX_BLOCKS`] are taken.
pub fn blocks(payload: &[u8]) -> Result<impl Iterator<Item = Block<'_>>, Discard> {
    let mut reader = Reader::new(payload);
    let mut sum = 0_usize;
    for count in 1.. {
        if count > MAX_BLOCKS {
            return Err(Discard::Unsupported);
        }
        if reader.u8().map_err(|_| if count == 1 { Discard::Empty } else { Discard::Truncated })? & MORE == 0
        {
            break;
        }
        sum = sum.saturating_add(usize::from(reader.u24().map(split)?.1));
    }
    let mut data = Reader::new(reader.rest());
    if data.remaining() < sum {
        return Err(Discard::Truncated);
    }
    let mut headers = Reader::new(payload);
    let mut done = false;
    Ok(std::iter::from_fn(move || {
        let first = headers.u8().ok().filter(|_| !done)?;
        let payload_type = first & !MORE;
        if first & MORE == 0 {
            done = true;
            return Some(Block { payload_type, timestamp_offset: 0, primary: true, data: data.rest() });
        }
        let (timestamp_offset, len) = headers.u24().ok().map(split)?;
        let data = data.take(len.into()).ok()?;
        Some(Block { payload_type, timestamp_offset, primary: false, data })
    }))
}

/// Appends a payload with the primary block alone.
pub fn write_primary(payload_type: u8, data: &[u8], out: &mut Writer<'_>) -> Result<(), NoSpace> {
    whole(out, false, |out| {
        out.put_u8(payload_type & !MORE)?;
        out.put(data)
    })?;
    Ok(())
}

/// Puts the payload of a packet, where it stands, into a redundant payload with the primary block alone, which has the packet's
/// payload type until then; the packet gets `payload_type`. It grows by [`PRIMARY_HEADER`] bytes.
///
/// # Errors
///
/// There is no room: nothing is changed.
pub fn encapsulate(packet: &mut PacketMut<'_>, payload_type: PayloadType) -> Result<(), EditError> {
    let block = packet.as_packet().header().payload_type;
    packet.prepend(&[block.get()])?;
    packet.set_payload_type(payload_type);
    Ok(())
}

/// Writes over the blocks' payload types in place, as a forwarder has to whose two sides have other numbers. Nothing is changed if
/// `new` has none for a block.
pub fn map_payload_types(payload: &mut [u8], new: impl Fn(u8) -> Option<u8>) -> Result<(), Discard> {
    if blocks(payload)?.any(|block| new(block.payload_type).is_none_or(|new| new & MORE != 0)) {
        return Err(Discard::Unsupported);
    }
    let mut at = 0_usize;
    while let Some(header) = payload.get_mut(at) {
        let more = *header & MORE;
        *header = more | new(*header & !MORE).unwrap_or_default();
        if more == 0 {
            break;
        }
        at = at.saturating_add(REDUNDANT_HEADER);
    }
    Ok(())
}

/// Timestamp offset and length of a redundant block.
const fn split(bits: u32) -> (u16, u16) {
    let [_, a, b, c] = bits.to_be_bytes();
    (u16::from_be_bytes([a, b]) >> 2, u16::from_be_bytes([b & 3, c]))
}

/// Sends frames of audio, each with those before it.
#[derive(Clone, Debug)]
pub struct Packetizer {
    payload_type: u8,
    depth: usize,
    /// Frames with their timestamps, the newest last.
    history: VecDeque<(u32, Vec<u8>)>,
}

impl Packetizer {
    /// One that repeats the `depth` frames before each, at most [`MAX_DEPTH`], of the encoding with `payload_type`.
    pub const fn new(payload_type: u8, depth: usize) -> Result<Self, FrameError> {
        if payload_type & MORE != 0 || depth > MAX_DEPTH {
            return Err(FrameError::OutOfRange);
        }
        Ok(Self { payload_type, depth, history: VecDeque::new() })
    }

    /// A frame at `timestamp` in one payload of at most `max_payload` bytes, with as many of the frames before it as fit: those of
    /// less than 1,024 bytes that are less than 16,384 ticks older. `marker` is what the packet has without redundancy.
    pub fn frame(
        &mut self,
        frame: &[u8],
        timestamp: u32,
        marker: bool,
        max_payload: usize,
    ) -> Result<Payloads<'_>, FrameError> {
        if frame.is_empty() {
            return Err(FrameError::Empty);
        }
        let room = max_payload.checked_sub(frame.len()).and_then(|room| room.checked_sub(PRIMARY_HEADER));
        let mut room = room.ok_or(FrameError::Indivisible)?;
        let mut repeated = 0_usize;
        for (older, data) in self.history.iter().rev().take(self.depth) {
            let needed = data.len().saturating_add(REDUNDANT_HEADER);
            let offset = timestamp.wrapping_sub(*older);
            if data.len() > MAX_LEN || !(1..=MAX_OFFSET).contains(&offset) || needed > room {
                break;
            }
            room = room.saturating_sub(needed);
            repeated = repeated.saturating_add(1);
        }
        // The oldest memory is used for the newest frame.
        let full = self.history.len() > self.depth;
        let oldest = if full { self.history.pop_front() } else { None };
        let (_, mut memory) = oldest.unwrap_or_default();
        memory.clear();
        memory.extend_from_slice(frame);
        self.history.push_back((timestamp, memory));
        Ok(Payloads { packetizer: self, repeated: Some(repeated), marker })
    }
}

/// The one payload of a frame and those before it.
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    packetizer: &'a Packetizer,
    /// How many frames go before the last one; `None` when it was written.
    repeated: Option<usize>,
    marker: bool,
}

impl Payloads<'_> {
    /// Appends the payload; `None` when it was. If it does not fit, nothing is written and it stays the next.
    pub fn write(&mut self, out: &mut Writer<'_>) -> Result<Option<Written>, NoSpace> {
        let Some(repeated) = self.repeated else { return Ok(None) };
        let Packetizer { payload_type, history, .. } = self.packetizer;
        let skipped = history.len().saturating_sub(repeated).saturating_sub(1);
        let Some((timestamp, primary)) = history.back() else { return Ok(None) };
        let before = || history.iter().skip(skipped).take(repeated);
        let written = whole(out, self.marker, |out| {
            for (older, data) in before() {
                out.put_u8(payload_type | MORE)?;
                let len = u32::try_from(data.len()).map_err(|_| NoSpace)?;
                out.put_u24(timestamp.wrapping_sub(*older) << 10 | len)?;
            }
            out.put_u8(*payload_type)?;
            before().try_for_each(|(_, data)| out.put(data))?;
            out.put(primary)
        })?;
        self.repeated = None;
        Ok(Some(written))
    }
}

/// Takes frames of audio out of payloads: those that are repeated only where they did not come before.
#[derive(Debug)]
pub struct Depacketizer {
    payload_type: u8,
    assembly: Assembly,
    /// The timestamp of the newest frame that was delivered.
    newest: Option<u32>,
}

impl Depacketizer {
    /// One for frames of the encoding with `payload_type`; blocks of others are left out.
    pub const fn new(payload_type: u8, limits: Limits) -> Self {
        Self { payload_type, assembly: Assembly::new(limits), newest: None }
    }

    /// Takes the next payload. Drain [`poll_frame`](Self::poll_frame) afterwards.
    pub fn handle_payload(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
        self.assembly.admit()?;
        let blocks = blocks(payload.bytes).map_err(|discard| self.assembly.refuse(&payload, discard))?;
        if self.newest.is_some_and(|newest| is_leap(payload.timestamp, newest)) {
            // What is repeated beside it was delivered by the times before.
            self.newest = Some(payload.timestamp.wrapping_sub(1));
        }
        let mut used = Err(Discard::Repeated);
        for block in blocks {
            if block.payload_type != self.payload_type {
                used = used.map_err(|_| Discard::Unsupported);
                continue;
            }
            let timestamp = payload.timestamp.wrapping_sub(block.timestamp_offset.into());
            if block.data.is_empty() || !self.is_new(timestamp) {
                continue;
            }
            let whole = Payload { timestamp, after_loss: false, ..payload };
            self.assembly.arrive(&whole, true, Ending::Marker)?;
            self.assembly.append(block.data)?;
            self.assembly.outline(|outline| *outline = outline_of_audio());
            self.assembly.finish(payload.marker && block.primary);
            self.newest = Some(timestamp);
            used = Ok(());
        }
        used.map_err(|discard| self.assembly.discard(discard))
    }

    /// A frame of this time came by other means: neither it nor what is older is taken any more.
    pub const fn skip_to(&mut self, timestamp: u32) {
        if self.is_new(timestamp) {
            self.newest = Some(timestamp);
        }
    }

    const fn is_new(&self, timestamp: u32) -> bool {
        let Some(newest) = self.newest else { return true };
        let ahead = timestamp.wrapping_sub(newest);
        ahead != 0 && ahead <= u32::MAX / 2
    }

    /// The oldest frame that waits, or that it is broken.
    pub fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        self.assembly.poll()
    }

    /// Figures so far.
    pub const fn stats(&self) -> Stats {
        self.assembly.stats()
    }
}

/// Whether a payload is older than what any payload repeats: its source counts time from another begin.
const fn is_leap(timestamp: u32, newest: u32) -> bool {
    let behind = newest.wrapping_sub(timestamp);
    behind > MAX_OFFSET && behind <= u32::MAX / 2
}

/// Blocks of a payload that are read. Browsers send at most 10.
pub const MAX_BLOCKS: usize = 32;
/// Frames that a packet repeats.
pub const MAX_DEPTH: usize = 8;
/// F: another header follows.
const MORE: u8 = 0x80;
const REDUNDANT_HEADER: usize = 4;
/// By how much the header of the primary block makes a payload longer.
pub const PRIMARY_HEADER: usize = 1;
/// A redundant block's length has 10 bits, and its timestamp offset 14.
const MAX_LEN: usize = 0x3ff;
const MAX_OFFSET: u32 = 0x3fff;
