use proto::{NoSpace, Reader, Writer};

use super::Structure;
use crate::payload::{Discard, PictureId};

/// The payload descriptor (RFC 9628 §4.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Descriptor<'a> {
    /// The picture's number.
    pub picture_id: Option<PictureId>,
    /// P: the layer frame refers to other pictures.
    pub inter_picture: bool,
    /// F: flexible mode.
    pub flexible: bool,
    /// B: a layer frame begins with this payload.
    pub start: bool,
    /// E: a layer frame ends with this payload.
    pub end: bool,
    /// Z: no higher spatial layer refers to the layer frame.
    pub not_for_higher: bool,
    /// The layers.
    pub layer: Option<Layer>,
    /// TL0PICIDX: the number of the picture of the lowest temporal layer that this one rests on; with layers, in non-flexible mode.
    pub tl0_pic_idx: Option<u8>,
    /// The pictures that are referred to, in flexible mode.
    pub references: References,
    /// The scalability structure.
    pub structure: Option<Structure<'a>>,
}

/// The layers of a frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Layer {
    /// TID, 0 to 7.
    pub temporal: u8,
    /// U: a receiver of lower temporal layers can go on with this one from here.
    pub switching_up: bool,
    /// SID, 0 to 7.
    pub spatial: u8,
    /// D: it refers to the next lower spatial layer of the picture.
    pub inter_layer: bool,
}

/// The pictures that a frame refers to, at most three: by how much their numbers are lower. Descriptors can tell 1 to 127, the
/// structure up to 255.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct References {
    differences: [u8; MAX_REFERENCES],
    len: u8,
}

impl References {
    /// `None` if there are too many.
    pub fn new(differences: &[u8]) -> Option<Self> {
        let mut all = Self::default();
        differences.iter().all(|difference| all.push(*difference)).then_some(all)
    }

    /// How much lower the numbers are.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.differences.iter().copied().take(self.len.into())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len.into()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, difference: u8) -> bool {
        match self.differences.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = difference;
                self.len = self.len.saturating_add(1);
                true
            }
            None => false,
        }
    }
}

impl<'a> Descriptor<'a> {
    /// Reads the descriptor and returns what stands behind it.
    pub fn decode(payload: &'a [u8]) -> Result<(Self, &'a [u8]), Discard> {
        let (descriptor, _, data) = walk(payload)?;
        Ok((descriptor, data))
    }

    /// Appends the descriptor. In non-flexible mode, layers come with TL0PICIDX (0 if there is none); references are written in flexible
    /// mode alone.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let flags = [
            (self.picture_id.is_some(), I),
            (self.inter_picture, P),
            (self.layer.is_some(), L),
            (self.flexible, F),
            (self.start, B),
            (self.end, E),
            (self.structure.is_some(), V),
            (self.not_for_higher, Z),
        ];
        out.put_u8(flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, mask)| all | mask))?;
        if let Some(picture_id) = self.picture_id {
            picture_id.encode(out)?;
        }
        if let Some(Layer { temporal, switching_up, spatial, inter_layer }) = self.layer {
            out.put_u8(
                temporal << 5 | u8::from(switching_up) << 4 | (spatial & 7) << 1 | u8::from(inter_layer),
            )?;
            if !self.flexible {
                out.put_u8(self.tl0_pic_idx.unwrap_or_default())?;
            }
        }
        if self.flexible && self.inter_picture {
            for (at, difference) in self.references.iter().enumerate() {
                let more = at.saturating_add(1) < self.references.len();
                out.put_u8(difference << 1 | u8::from(more))?;
            }
        }
        self.structure.map_or(Ok(()), |structure| structure.encode(out))
    }

    /// How many bytes [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        let picture_id = match self.picture_id {
            None => 0,
            Some(PictureId::Short(_)) => 1,
            Some(PictureId::Long(_)) => 2,
        };
        let layer = if self.layer.is_none() { 0 } else { 2 - usize::from(self.flexible) };
        let references = if self.flexible && self.inter_picture { self.references.len() } else { 0 };
        let structure = self.structure.map_or(0, |structure| structure.encoded_len());
        [1, picture_id, layer, references, structure].into_iter().fold(0, usize::saturating_add)
    }
}

/// What a forwarder writes over when it joins streams or leaves layers out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rewrite {
    /// The picture's number; of a field of 7 bits, its low 7 bits are taken.
    pub picture_id: Option<u16>,
    /// TL0PICIDX.
    pub tl0_pic_idx: Option<u8>,
    /// E: the layer frame ends here.
    pub end: Option<bool>,
    /// U: receivers of lower temporal layers can go on from here.
    pub switching_up: Option<bool>,
}

/// Writes over the fields of a payload in place. Its length stays, and a field that is not there is not made.
pub fn rewrite(payload: &mut [u8], new: Rewrite) -> Result<(), Discard> {
    rewrite_with(payload, |_| new)
}

/// The same, with fields that follow from the ones that are there.
pub fn rewrite_with(payload: &mut [u8], new: impl FnOnce(&Descriptor<'_>) -> Rewrite) -> Result<(), Discard> {
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
    let mut set = |at: Option<usize>, mask: u8, value: Option<bool>| {
        if let (Some(value), Some(field)) = (value, at.and_then(|at| payload.get_mut(at))) {
            *field = if value { *field | mask } else { *field & !mask };
        }
    };
    set(Some(0), E, new.end);
    set(places.layer, U, new.switching_up);
    Ok(())
}

/// Where the fields of a descriptor stand.
#[derive(Clone, Copy, Debug, Default)]
struct Places {
    picture_id: Option<usize>,
    layer: Option<usize>,
    tl0_pic_idx: Option<usize>,
}

fn walk(payload: &[u8]) -> Result<(Descriptor<'_>, Places, &[u8]), Discard> {
    let mut reader = Reader::new(payload);
    let first = reader.u8().map_err(|_| Discard::Empty)?;
    let has = |mask: u8| first & mask != 0;
    let mut descriptor = Descriptor {
        inter_picture: has(P),
        // RFC 9628 §4.2: without a number, the flag of the flexible mode is ignored.
        flexible: has(F) && has(I),
        start: has(B),
        end: has(E),
        not_for_higher: has(Z),
        ..Descriptor::default()
    };
    let mut places = Places::default();
    let at = |reader: &Reader<'_>| Some(payload.len().saturating_sub(reader.remaining()));
    if has(I) {
        places.picture_id = at(&reader);
        descriptor.picture_id = Some(PictureId::decode(&mut reader)?);
    }
    if has(L) {
        places.layer = at(&reader);
        let octet = reader.u8()?;
        descriptor.layer = Some(Layer {
            temporal: octet >> 5,
            switching_up: octet & U != 0,
            spatial: octet >> 1 & 7,
            inter_layer: octet & D != 0,
        });
        if !descriptor.flexible {
            places.tl0_pic_idx = at(&reader);
            descriptor.tl0_pic_idx = Some(reader.u8()?);
        }
    }
    if descriptor.flexible && has(P) {
        loop {
            let octet = reader.u8()?;
            // RFC 9628 §4.2: at most three, none of them the picture itself.
            if octet >> 1 == 0 || !descriptor.references.push(octet >> 1) {
                return Err(Discard::Malformed);
            }
            if octet & N == 0 {
                break;
            }
        }
    }
    if has(V) {
        let (structure, rest) = Structure::decode(reader.peek())?;
        descriptor.structure = Some(structure);
        reader = Reader::new(rest);
    }
    if reader.is_empty() {
        return Err(Discard::Empty);
    }
    Ok((descriptor, places, reader.rest()))
}

// RFC 9628 §4.2.
const I: u8 = 0x80;
const P: u8 = 0x40;
const L: u8 = 0x20;
const F: u8 = 0x10;
const B: u8 = 0x08;
const E: u8 = 0x04;
const V: u8 = 0x02;
const Z: u8 = 0x01;
const U: u8 = 0x10;
const D: u8 = 0x01;
/// Another reference follows.
const N: u8 = 0x01;
const MAX_REFERENCES: usize = 3;
