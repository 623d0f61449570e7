//! VP8 ([RFC 7741]).
//!
//! [RFC 7741]: https://www.rfc-editor.org/rfc/rfc7741

use proto::{NoSpace, Reader, Writer};

use super::assembly::{Assembly, Ending};
use super::pieces::Pieces;
use super::{
    Broken, Discard, Frame, FrameError, Limits, Outline, Payload, PictureId, Reason, Stats, Written, whole,
};

/// The payload descriptor (RFC 7741 §4.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Descriptor {
    /// N: no other frame refers to this one.
    pub non_reference: bool,
    /// S: a partition starts with this payload.
    pub partition_start: bool,
    /// PID: the partition, 0 to 7.
    pub partition: u8,
    /// The picture's number.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX: the number of the picture of the lowest temporal layer that this one rests on.
    pub tl0_pic_idx: Option<u8>,
    /// TID and Y.
    pub temporal: Option<Temporal>,
    /// KEYIDX: the number of the key frame this one rests on, 0 to 31.
    pub key_idx: Option<u8>,
}

/// The temporal layer of a frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Temporal {
    /// TID, 0 to 3.
    pub layer: u8,
    /// Y: the frame rests on the lowest layer alone, so that a receiver can go on with this layer from here.
    pub sync: bool,
}

impl Descriptor {
    /// Reads the descriptor and returns what stands behind it.
    pub fn decode(payload: &[u8]) -> Result<(Self, &[u8]), Discard> {
        let (descriptor, _, data) = walk(payload)?;
        Ok((descriptor, data))
    }

    /// Appends the descriptor, as short as it can be. Numbers are cut to their width.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let Self { non_reference, partition_start, partition, picture_id, tl0_pic_idx, temporal, key_idx } =
            *self;
        let extension = bit(picture_id.is_some(), I)
            | bit(tl0_pic_idx.is_some(), L)
            | bit(temporal.is_some() || tl0_pic_idx.is_some(), T)
            | bit(key_idx.is_some(), K);
        let first = bit(non_reference, N) | bit(partition_start, S) | (partition & PID);
        out.put_u8(first | bit(extension != 0, X))?;
        if extension == 0 {
            return Ok(());
        }
        out.put_u8(extension)?;
        if let Some(picture_id) = picture_id {
            picture_id.encode(out)?;
        }
        if let Some(index) = tl0_pic_idx {
            out.put_u8(index)?;
        }
        if extension & (T | K) != 0 {
            // RFC 7741 §4.2: TL0PICIDX comes with a TID; 0 is what it is without layers.
            let Temporal { layer, sync } = temporal.unwrap_or_default();
            out.put_u8((layer & 3) << 6 | bit(sync, Y) | (key_idx.unwrap_or_default() & KEYIDX))?;
        }
        Ok(())
    }

    /// Whether a frame begins with the payload.
    pub const fn starts_frame(&self) -> bool {
        self.partition_start && self.partition == 0
    }

    fn outline(&self, data: &[u8]) -> Outline {
        Outline {
            starts_frame: self.starts_frame(),
            key_frame: self.starts_frame() && is_key_frame(data),
            temporal: self.temporal.map(|temporal| temporal.layer),
            spatial: None,
            switching_point: self.temporal.is_some_and(|temporal| temporal.sync),
            discardable: self.non_reference,
        }
    }
}

/// Whether a frame is a key frame (RFC 6386 §9.1).
pub fn is_key_frame(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 1 == 0)
}

/// Width and height of a key frame in pixels (RFC 6386 §9.1).
pub fn dimensions(frame: &[u8]) -> Option<(u16, u16)> {
    let [first, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = frame else { return None };
    let side = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
    (first & 1 == 0).then(|| (side(*w0, *w1), side(*h0, *h1)))
}

/// What a payload shows to a forwarder.
pub fn outline(payload: &[u8]) -> Result<Outline, Discard> {
    let (descriptor, data) = Descriptor::decode(payload)?;
    Ok(descriptor.outline(data))
}

/// What a forwarder writes over when it joins streams or leaves layers out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rewrite {
    /// The picture's number; of a field of 7 bits, its low 7 bits are taken.
    pub picture_id: Option<u16>,
    /// TL0PICIDX.
    pub tl0_pic_idx: Option<u8>,
    /// KEYIDX, 0 to 31.
    pub key_idx: Option<u8>,
}

/// Writes over the fields of a payload in place. Its length stays, and a field that is not there is not made.
pub fn rewrite(payload: &mut [u8], new: Rewrite) -> Result<(), Discard> {
    rewrite_with(payload, |_| new)
}

/// The same, with fields that follow from the ones that are there.
pub fn rewrite_with(payload: &mut [u8], new: impl FnOnce(&Descriptor) -> Rewrite) -> Result<(), Discard> {
    let (descriptor, places, _) = walk(payload)?;
    let new = new(&descriptor);
    if let (Some(value), Some(field)) =
        (new.picture_id, places.picture_id.and_then(|at| payload.get_mut(at..)))
    {
        PictureId::overwrite(field, value);
    }
    if let (Some(value), Some(field)) =
        (new.tl0_pic_idx, places.tl0_pic_idx.and_then(|at| payload.get_mut(at)))
    {
        *field = value;
    }
    if let (Some(value), Some(field)) = (new.key_idx, places.key_idx.and_then(|at| payload.get_mut(at))) {
        *field = *field & !KEYIDX | value & KEYIDX;
    }
    Ok(())
}

/// Where the fields of a descriptor stand.
#[derive(Clone, Copy, Debug, Default)]
struct Places {
    picture_id: Option<usize>,
    tl0_pic_idx: Option<usize>,
    key_idx: Option<usize>,
}

fn walk(payload: &[u8]) -> Result<(Descriptor, Places, &[u8]), Discard> {
    let mut reader = Reader::new(payload);
    let first = reader.u8().map_err(|_| Discard::Empty)?;
    let mut descriptor = Descriptor {
        non_reference: first & N != 0,
        partition_start: first & S != 0,
        partition: first & PID,
        ..Descriptor::default()
    };
    let mut places = Places::default();
    let at = |reader: &Reader<'_>| Some(payload.len().saturating_sub(reader.remaining()));
    if first & X != 0 {
        let extension = reader.u8()?;
        if extension & I != 0 {
            places.picture_id = at(&reader);
            descriptor.picture_id = Some(PictureId::decode(&mut reader)?);
        }
        if extension & L != 0 {
            places.tl0_pic_idx = at(&reader);
            descriptor.tl0_pic_idx = Some(reader.u8()?);
        }
        if extension & (T | K) != 0 {
            let place = at(&reader);
            let octet = reader.u8()?;
            if extension & T != 0 {
                descriptor.temporal = Some(Temporal { layer: octet >> 6, sync: octet & Y != 0 });
            }
            if extension & K != 0 {
                places.key_idx = place;
                descriptor.key_idx = Some(octet & KEYIDX);
            }
        }
    }
    if reader.is_empty() {
        return Err(Discard::Empty);
    }
    Ok((descriptor, places, reader.rest()))
}

/// What the encoder says of a frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Layer {
    /// The temporal layer; `None` if the stream has none. Frames of layer 0 count TL0PICIDX on.
    pub temporal: Option<Temporal>,
    /// Whether no other frame refers to it.
    pub non_reference: bool,
}

/// Divides frames into payloads, and numbers the pictures.
#[derive(Clone, Debug)]
pub struct Packetizer {
    picture_id: PictureId,
    tl0_pic_idx: u8,
}

impl Packetizer {
    /// `first` is the number of the first picture, which RFC 7741 §4.2 wants at random, and says the width of all.
    pub const fn new(first: PictureId) -> Self {
        Self { picture_id: first, tl0_pic_idx: 0 }
    }

    /// A frame in payloads of at most `max_payload` bytes. The picture counts as sent if this succeeds.
    pub fn frame<'a>(
        &mut self,
        frame: &'a [u8],
        layer: Layer,
        max_payload: usize,
    ) -> Result<Payloads<'a>, FrameError> {
        if frame.is_empty() {
            return Err(FrameError::Empty);
        }
        if layer.temporal.is_some_and(|temporal| temporal.layer > 3) {
            return Err(FrameError::OutOfRange);
        }
        let base = layer.temporal.is_some_and(|temporal| temporal.layer == 0);
        let tl0_pic_idx = self.tl0_pic_idx.wrapping_add(u8::from(base));
        let descriptor = Descriptor {
            non_reference: layer.non_reference,
            partition_start: true,
            partition: 0,
            picture_id: Some(self.picture_id),
            tl0_pic_idx: layer.temporal.map(|_| tl0_pic_idx),
            temporal: layer.temporal,
            key_idx: None,
        };
        let mut memory = [0; MAX_DESCRIPTOR];
        let mut out = Writer::new(&mut memory);
        descriptor.encode(&mut out).map_err(|_| FrameError::OutOfRange)?;
        let pieces = max_payload.checked_sub(out.len()).and_then(|most| Pieces::new(frame, most));
        let pieces = pieces.ok_or(FrameError::PayloadTooSmall)?;
        self.picture_id = self.picture_id.next();
        self.tl0_pic_idx = tl0_pic_idx;
        Ok(Payloads { descriptor, pieces })
    }
}

/// The payloads of a frame.
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    descriptor: Descriptor,
    pieces: Pieces<'a>,
}

impl Payloads<'_> {
    /// Appends the next payload; `None` behind the last. If it does not fit, nothing is written and it stays the next.
    pub fn write(&mut self, out: &mut Writer<'_>) -> Result<Option<Written>, NoSpace> {
        if self.pieces.is_empty() {
            return Ok(None);
        }
        let written = whole(out, self.pieces.is_last(), |out| {
            self.descriptor.encode(out)?;
            out.put(self.pieces.peek())
        })?;
        self.pieces.advance();
        self.descriptor.partition_start = false;
        Ok(Some(written))
    }
}

/// Puts frames together.
#[derive(Debug)]
pub struct Depacketizer {
    assembly: Assembly,
}

impl Depacketizer {
    /// One that keeps as much as `limits` says.
    pub const fn new(limits: Limits) -> Self {
        Self { assembly: Assembly::new(limits) }
    }

    /// Takes the next payload. Drain [`poll_frame`](Self::poll_frame) afterwards.
    pub fn handle_payload(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
        self.assembly.admit()?;
        let (descriptor, data) =
            Descriptor::decode(payload.bytes).map_err(|discard| self.assembly.refuse(&payload, discard))?;
        self.assembly.arrive(&payload, descriptor.starts_frame(), Ending::Marker)?;
        if descriptor.starts_frame() {
            self.assembly.outline(|outline| *outline = descriptor.outline(data));
        }
        self.assembly.append(data)?;
        if payload.marker {
            self.assembly.finish(true);
        }
        Ok(())
    }

    /// The oldest frame that waits, or that it is broken.
    pub fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        self.assembly.poll()
    }

    /// Packets are missing and none has come since: the frame that was begun is given up at once.
    pub fn handle_loss(&mut self) {
        self.assembly.break_open(Reason::Lost);
    }

    /// Figures so far.
    pub const fn stats(&self) -> Stats {
        self.assembly.stats()
    }
}

const fn bit(set: bool, mask: u8) -> u8 {
    if set { mask } else { 0 }
}

// RFC 7741 §4.2.
const X: u8 = 0x80;
const N: u8 = 0x20;
const S: u8 = 0x10;
const PID: u8 = 0x07;
const I: u8 = 0x80;
const L: u8 = 0x40;
const T: u8 = 0x20;
const K: u8 = 0x10;
const Y: u8 = 0x20;
const KEYIDX: u8 = 0x1f;
/// The longest descriptor: two octets of flags, PictureID, TL0PICIDX, TID and KEYIDX.
const MAX_DESCRIPTOR: usize = 6;
