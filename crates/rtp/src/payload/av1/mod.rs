//! AV1 ([RTP Payload Format For AV1]), version 1.0 of the Alliance for Open Media.
//!
//! A frame is a temporal unit in the low-overhead format (AV1 §5.2), each OBU with its size. On the way, sizes and temporal delimiters
//! are left out; what comes out has sizes again, and no delimiters. The dependency descriptor, which tells forwarders of layers, is a
//! header extension.
//!
//! [RTP Payload Format For AV1]: https://aomediacodec.github.io/av1-rtp-spec/

mod obu;
mod opaque;

use proto::{NoSpace, Writer};

use self::obu::{Obu, Obus, elements, leb128, leb128_len};
pub(super) use self::opaque::{unwrap, visible, wrap};
use super::assembly::{Assembly, Ending};
use super::{Broken, Discard, Frame, FrameError, Limits, Outline, Payload, Reason, Stats, Written, whole};

/// The aggregation header (§4.4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AggregationHeader {
    /// Z: the first element goes on with the last one of the packet before.
    pub continues: bool,
    /// Y: the last element goes on in the next packet.
    pub unfinished: bool,
    /// W: how many elements there are, 1 to 3, the last without a length; 0 if each has one.
    pub count: u8,
    /// N: a coded video sequence begins with this packet.
    pub new_sequence: bool,
}

impl AggregationHeader {
    /// Reads the header and returns what stands behind it.
    pub fn decode(payload: &[u8]) -> Result<(Self, &[u8]), Discard> {
        let [octet, rest @ ..] = payload else { return Err(Discard::Empty) };
        let header = Self {
            continues: octet & Z != 0,
            unfinished: octet & Y != 0,
            count: octet >> 4 & 3,
            new_sequence: octet & N != 0,
        };
        // §4.4: a sequence does not begin with the rest of something.
        if header.new_sequence && header.continues { Err(Discard::Malformed) } else { Ok((header, rest)) }
    }

    fn octet(self) -> u8 {
        let bit = |set: bool, mask: u8| if set { mask } else { 0 };
        bit(self.continues, Z) | bit(self.unfinished, Y) | bit(self.new_sequence, N) | (self.count & 3) << 4
    }
}

/// Whether a temporal unit begins a coded video sequence: it has a sequence header, and its first frame is a key frame.
pub fn is_key_frame(unit: &[u8]) -> bool {
    let mut has_sequence = false;
    for obu in Obus::new(unit).map_while(Result::ok) {
        if obu.kind() == obu::SEQUENCE_HEADER {
            has_sequence = true;
        } else if let Some(key) = obu.starts_key_frame() {
            return has_sequence && key;
        }
    }
    false
}

/// What a payload shows to a forwarder: layers where its first element begins with an OBU header that tells them.
pub fn outline(payload: &[u8]) -> Result<Outline, Discard> {
    let (header, rest) = AggregationHeader::decode(payload)?;
    let mut all = elements(header.count, rest)?;
    let mut outline = Outline { key_frame: header.new_sequence, ..Outline::default() };
    if header.continues {
        return Ok(outline);
    }
    let first = all.next().unwrap_or_default();
    outline.starts_frame = begins_unit(header, first);
    if let [header, extension, ..] = first
        && header & obu::EXTENSION != 0
    {
        outline.temporal = Some(extension >> 5);
        outline.spatial = Some(extension >> 3 & 3);
    }
    Ok(outline)
}

/// Whether a temporal unit begins with this element, for all one can see: a sequence, or the frame of the lowest layer.
fn begins_unit(header: AggregationHeader, element: &[u8]) -> bool {
    let [first, rest @ ..] = element else { return false };
    let lowest = first & obu::EXTENSION == 0 || rest.first().is_some_and(|extension| extension >> 3 & 3 == 0);
    header.new_sequence || (lowest && matches!(first >> 3 & 0x0f, 1..=3 | 6))
}

/// Divides temporal units into payloads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packetizer;

impl Packetizer {
    /// One for temporal units in the low-overhead format.
    pub const fn new() -> Self {
        Self
    }

    /// A temporal unit in payloads of at most `max_payload` bytes.
    pub fn frame<'a>(&mut self, unit: &'a [u8], max_payload: usize) -> Result<Payloads<'a>, FrameError> {
        if unit.is_empty() {
            return Err(FrameError::Empty);
        }
        let mut obus = Obus::new(unit);
        if !obus.clone().all(|obu| obu.is_ok()) {
            return Err(FrameError::NotAFrame);
        }
        let Some(next) = next_sent(&mut obus) else { return Err(FrameError::NotAFrame) };
        if max_payload < 1 + MIN_ELEMENT {
            return Err(FrameError::PayloadTooSmall);
        }
        Ok(Payloads { max_payload, new_sequence: is_key_frame(unit), obus, next: Some((next, 0)) })
    }
}

/// The next OBU that is sent: §5 wants temporal delimiters and tile lists left out.
fn next_sent<'a>(obus: &mut Obus<'a>) -> Option<Obu<'a>> {
    obus.map_while(Result::ok).find(Obu::is_sent)
}

/// The payloads of a temporal unit.
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    max_payload: usize,
    new_sequence: bool,
    obus: Obus<'a>,
    /// The OBU that is next, and how much of it was sent.
    next: Option<(Obu<'a>, usize)>,
}

/// A part of an OBU, or all of it.
#[derive(Clone, Copy, Debug)]
struct Element<'a> {
    obu: Obu<'a>,
    from: usize,
    len: usize,
}

impl<'a> Payloads<'a> {
    /// Appends the next payload; `None` behind the last. If it does not fit, nothing is written and it stays the next.
    pub fn write(&mut self, out: &mut Writer<'_>) -> Result<Option<Written>, NoSpace> {
        let Some((_, from)) = self.next else { return Ok(None) };
        let mut after = self.clone();
        let mut elements = [None; MAX_ELEMENTS];
        let mut room = self.max_payload.saturating_sub(1);
        let (mut count, mut layer) = (0_u8, None);
        for place in &mut elements {
            let Some(element) = after.take(&mut room, layer, count) else { break };
            *place = Some(element);
            layer = layer.or_else(|| element.obu.layer());
            count = count.saturating_add(1);
            if room == 0 {
                break;
            }
        }
        let header = AggregationHeader {
            continues: from > 0,
            unfinished: after.next.is_some_and(|(_, from)| from > 0),
            count,
            new_sequence: self.new_sequence,
        };
        let written = whole(out, after.next.is_none(), |out| {
            out.put_u8(header.octet())?;
            for (at, element) in elements.iter().flatten().enumerate() {
                if at.saturating_add(1) < count.into() {
                    leb128(element.len, out)?;
                }
                element.obu.write(element.from, element.len, out)?;
            }
            Ok(())
        })?;
        after.new_sequence = false;
        *self = after;
        Ok(Some(written))
    }

    /// The next element, as much of it as there is room for. Behind another one it has to be worth the length that the other needs.
    fn take(&mut self, room: &mut usize, layer: Option<(u8, u8)>, count: u8) -> Option<Element<'a>> {
        let (obu, from) = self.next?;
        let rest = obu.len().saturating_sub(from);
        if count > 0 {
            // §4.4: OBUs of one packet are of one layer, as far as they tell.
            if obu.layer().is_some() && layer.is_some() && obu.layer() != layer {
                return None;
            }
            let left = room.checked_sub(leb128_len(self.max_payload))?;
            if left < rest.min(WORTHWHILE) {
                return None;
            }
            *room = left;
        }
        let len = rest.min(*room);
        *room = room.saturating_sub(len);
        self.next = if len < rest {
            Some((obu, from.saturating_add(len)))
        } else {
            next_sent(&mut self.obus).map(|obu| (obu, 0))
        };
        Some(Element { obu, from, len })
    }
}

/// Puts temporal units together. One ends with the marker, or with the next timestamp.
#[derive(Debug)]
pub struct Depacketizer {
    assembly: Assembly,
    /// Where in the unit the OBU begins that goes on in the next packet.
    unfinished: Option<usize>,
    begun: bool,
}

impl Depacketizer {
    /// One that keeps as much as `limits` says.
    pub const fn new(limits: Limits) -> Self {
        Self { assembly: Assembly::new(limits), unfinished: None, begun: false }
    }

    /// Takes the next payload. Drain [`poll_frame`](Self::poll_frame) afterwards.
    pub fn handle_payload(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
        self.assembly.admit()?;
        let payload = Payload { after_loss: payload.after_loss || !self.begun, ..payload };
        self.begun = true;
        let decoded = AggregationHeader::decode(payload.bytes)
            .and_then(|(header, rest)| Ok((header, elements(header.count, rest)?)));
        let (header, elements) = decoded.map_err(|discard| self.assembly.refuse(&payload, discard))?;
        if self.unfinished.is_some() && !payload.after_loss && self.assembly.is_other(payload.timestamp) {
            self.assembly.break_open(Reason::Unfinished);
        }
        let shown = || begins_unit(header, elements.clone().next().unwrap_or_default());
        let starts = !header.continues && (!payload.after_loss || shown());
        self.assembly.arrive(&payload, starts, Ending::Timestamp)?;
        if self.assembly.packets() == 1 {
            self.unfinished = None;
        }
        match self.take(header, elements) {
            // These two are counted where they are found.
            Err(discard @ (Discard::TooManyBytes | Discard::BrokenFrame)) => return Err(discard),
            Err(discard) => return Err(self.assembly.refuse(&payload, discard)),
            Ok(()) => {}
        }
        if payload.marker {
            if self.unfinished.is_some() {
                self.assembly.break_open(Reason::Unfinished);
            }
            self.assembly.finish(true);
        }
        Ok(())
    }

    /// The oldest temporal unit that waits, or that it is broken.
    pub fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        self.assembly.poll()
    }

    /// Packets are missing and none has come since: the unit that was begun is given up at once.
    pub fn handle_loss(&mut self) {
        self.assembly.lose();
        self.begun = false;
    }

    /// Figures so far.
    pub const fn stats(&self) -> Stats {
        self.assembly.stats()
    }

    fn take<'b>(
        &mut self,
        header: AggregationHeader,
        elements: impl Iterator<Item = &'b [u8]>,
    ) -> Result<(), Discard> {
        if header.continues != self.unfinished.is_some() {
            return Err(Discard::NoStart);
        }
        let mut elements = elements.peekable();
        while let Some(element) = elements.next() {
            let at = self.unfinished.take().unwrap_or_else(|| self.assembly.len());
            self.assembly.append(element)?;
            if header.unfinished && elements.peek().is_none() {
                self.unfinished = Some(at);
            } else {
                self.complete(at)?;
            }
        }
        if header.new_sequence {
            self.assembly.outline(|outline| outline.key_frame = true);
        }
        Ok(())
    }

    /// Gives the OBU at `at`, which is whole, its size, or takes it away if it is one of those that are to be ignored.
    fn complete(&mut self, at: usize) -> Result<(), Discard> {
        let element = self.assembly.open_mut(at);
        let obu = Obu::of_element(element)?;
        if !obu.is_sent() {
            self.assembly.shorten(at);
            return Ok(());
        }
        if let Some((temporal, spatial)) = obu.layer() {
            self.assembly.outline(|outline| {
                outline.temporal = Some(temporal);
                outline.spatial = outline.spatial.max(Some(spatial));
            });
        }
        let element = self.assembly.open_mut(at);
        let Obu { header_len, data, has_size, .. } = Obu::of_element(element)?;
        if has_size {
            return Ok(());
        }
        let mut memory = [0; MAX_LEB128];
        let mut size = Writer::new(&mut memory);
        leb128(data.len(), &mut size).map_err(|_| Discard::TooManyBytes)?;
        if let Some(first) = element.first_mut() {
            *first |= obu::HAS_SIZE;
        }
        self.assembly.insert(at.saturating_add(header_len), size.written())
    }
}

const Z: u8 = 0x80;
const Y: u8 = 0x40;
const N: u8 = 0x08;
/// More than three elements could not be counted by W.
const MAX_ELEMENTS: usize = 3;
/// Bytes of an element in a payload of the smallest size.
const MIN_ELEMENT: usize = 1;
/// Of an OBU that does not fit, a piece as long as this is worth being put behind another.
const WORTHWHILE: usize = 32;
/// AV1 §4.10.5.
const MAX_LEB128: usize = 8;
