//! VP9 ([RFC 9628]): flexible and non-flexible mode, spatial and temporal layers.
//!
//! A picture consists of one layer frame for each spatial layer that it has. A frame here is a layer frame, as layers are sent, dropped
//! and encrypted one by one; a decoder takes those of a picture in a row. The last one of a picture has the marker.
//!
//! [RFC 9628]: https://www.rfc-editor.org/rfc/rfc9628

mod descriptor;
mod structure;

use proto::{NoSpace, Writer};

pub use self::descriptor::{Descriptor, Layer, References, Rewrite, rewrite, rewrite_with};
pub use self::structure::{GroupPicture, Resolution, Structure};
use super::assembly::{Assembly, Ending};
use super::pieces::Pieces;
use super::{Broken, Discard, Frame, FrameError, Limits, Outline, Payload, PictureId, Stats, Written, whole};

/// Whether a frame is a key frame, by its uncompressed header (VP9 bitstream specification §6.2).
pub fn is_key_frame(frame: &[u8]) -> bool {
    let Some(first) = frame.first() else { return false };
    // Frame marker, two bits of the profile, one that is reserved in profile 3, show_existing_frame, frame_type.
    let bits = if first & 0x30 == 0x30 { first << 1 } else { *first };
    first & 0xc0 == 0x80 && bits & 0x08 == 0 && bits & 0x04 == 0
}

/// What a payload shows to a forwarder. Every payload of a key picture's lowest spatial layer counts as key.
pub fn outline(payload: &[u8]) -> Result<Outline, Discard> {
    let (descriptor, _) = Descriptor::decode(payload)?;
    Ok(outline_of(&descriptor))
}

fn outline_of(descriptor: &Descriptor<'_>) -> Outline {
    let spatial = descriptor.layer.map(|layer| layer.spatial);
    let depends = descriptor.layer.is_some_and(|layer| layer.inter_layer);
    Outline {
        starts_frame: descriptor.start,
        // RFC 9628 §4.2: neither another picture nor a lower layer is referred to.
        key_frame: !descriptor.inter_picture && !depends,
        temporal: descriptor.layer.map(|layer| layer.temporal),
        spatial,
        switching_point: descriptor.layer.is_some_and(|layer| layer.switching_up),
        discardable: false,
    }
}

/// What the encoder says of a layer frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LayerFrame {
    /// P: it refers to other pictures.
    pub inter_picture: bool,
    /// The layers, if the stream has any.
    pub layer: Option<Layer>,
    /// Z: no higher spatial layer refers to it.
    pub not_for_higher: bool,
    /// In flexible mode, the pictures that it refers to: by how much their numbers are lower.
    pub references: References,
    /// Whether another layer frame of the same picture follows.
    pub more: bool,
}

impl LayerFrame {
    /// That of a stream without layers, by its bytes.
    pub fn of(frame: &[u8]) -> Self {
        Self { inter_picture: !is_key_frame(frame), ..Self::default() }
    }
}

/// Divides layer frames into payloads, and numbers the pictures.
#[derive(Clone, Debug)]
pub struct Packetizer {
    picture_id: PictureId,
    flexible: bool,
    tl0_pic_idx: u8,
    /// The structure, as it is sent with key frames; empty if there is none.
    structure: Vec<u8>,
    /// Whether the next frame begins a picture.
    fresh: bool,
}

impl Packetizer {
    /// `first` is the number of the first picture, which RFC 9628 §4.2 wants at random, and says the width of all. In flexible mode every
    /// frame says what it refers to; otherwise the structure does.
    pub const fn new(first: PictureId, flexible: bool) -> Self {
        Self { picture_id: first, flexible, tl0_pic_idx: 0, structure: Vec::new(), fresh: true }
    }

    /// The scalability structure that key frames tell of from now on: up to 8 spatial layers, either with a resolution for each or
    /// with none, and the pictures of a group after which the references repeat, at most 255.
    pub fn set_structure(
        &mut self,
        layers: u8,
        resolutions: Option<&[Resolution]>,
        group: Option<&[GroupPicture]>,
    ) -> Result<(), FrameError> {
        let mut memory = [0; structure::MAX_ENCODED];
        let mut out = Writer::new(&mut memory);
        structure::encode(layers, resolutions, group, &mut out)?;
        self.structure.clear();
        self.structure.extend_from_slice(out.written());
        Ok(())
    }

    /// A layer frame in payloads of at most `max_payload` bytes. It counts as sent if this succeeds.
    pub fn frame<'a>(
        &'a mut self,
        frame: &'a [u8],
        about: LayerFrame,
        max_payload: usize,
    ) -> Result<Payloads<'a>, FrameError> {
        let spatial = about.layer.map_or(0, |layer| layer.spatial);
        if frame.is_empty() {
            return Err(FrameError::Empty);
        }
        let references = about.references.len();
        if about.layer.is_some_and(|layer| layer.temporal > 7 || layer.spatial > 7)
            || (self.flexible && about.inter_picture != (references > 0))
            || (!self.flexible && references > 0)
            || about.references.iter().any(|difference| !(1..=127).contains(&difference))
        {
            return Err(FrameError::OutOfRange);
        }
        let base = self.fresh && about.layer.is_some_and(|layer| layer.temporal == 0);
        let tl0_pic_idx = self.tl0_pic_idx.wrapping_add(u8::from(base && !self.flexible));
        let key = !about.inter_picture && spatial == 0;
        let descriptor = Descriptor {
            picture_id: Some(self.picture_id),
            inter_picture: about.inter_picture,
            flexible: self.flexible,
            start: true,
            end: false,
            not_for_higher: about.not_for_higher,
            layer: about.layer,
            tl0_pic_idx: about.layer.map(|_| tl0_pic_idx).filter(|_| !self.flexible),
            references: about.references,
            structure: if key { Structure::decode(&self.structure).ok().map(|(it, _)| it) } else { None },
        };
        let longest = descriptor.encoded_len();
        let pieces = max_payload.checked_sub(longest).and_then(|most| Pieces::new(frame, most));
        let pieces = pieces.ok_or(FrameError::PayloadTooSmall)?;
        self.tl0_pic_idx = tl0_pic_idx;
        self.fresh = !about.more;
        if self.fresh {
            self.picture_id = self.picture_id.next();
        }
        Ok(Payloads { descriptor, pieces, more: about.more })
    }
}

/// The payloads of a layer frame.
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    descriptor: Descriptor<'a>,
    pieces: Pieces<'a>,
    more: bool,
}

impl Payloads<'_> {
    /// Appends the next payload; `None` behind the last. If it does not fit, nothing is written and it stays the next.
    pub fn write(&mut self, out: &mut Writer<'_>) -> Result<Option<Written>, NoSpace> {
        if self.pieces.is_empty() {
            return Ok(None);
        }
        let end = self.pieces.is_last();
        let descriptor = Descriptor { end, ..self.descriptor };
        let written = whole(out, end && !self.more, |out| {
            descriptor.encode(out)?;
            out.put(self.pieces.peek())
        })?;
        self.pieces.advance();
        self.descriptor.start = false;
        self.descriptor.structure = None;
        Ok(Some(written))
    }
}

/// Puts layer frames together.
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
        self.assembly.arrive(&payload, descriptor.start, Ending::Marker)?;
        if descriptor.start {
            self.assembly.outline(|outline| *outline = outline_of(&descriptor));
        }
        self.assembly.append(data)?;
        if descriptor.end || payload.marker {
            self.assembly.finish(payload.marker);
        }
        Ok(())
    }

    /// The oldest layer frame that waits, or that it is broken.
    pub fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        self.assembly.poll()
    }

    /// Packets are missing and none has come since: the frame that was begun is given up at once.
    pub fn handle_loss(&mut self) {
        self.assembly.lose();
    }

    /// Figures so far.
    pub const fn stats(&self) -> Stats {
        self.assembly.stats()
    }
}
