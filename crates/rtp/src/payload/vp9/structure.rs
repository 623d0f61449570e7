use proto::{NoSpace, Reader, Writer};

use super::References;
use crate::payload::{Discard, FrameError};

/// The scalability structure (RFC 9628 §4.2.1). Decoding checks all of it, so that the iterators cannot fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Structure<'a> {
    bytes: &'a [u8],
    resolutions: Option<&'a [u8]>,
    group: Option<&'a [u8]>,
}

/// Width and height of a spatial layer, in pixels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resolution {
    /// Pixels in a line.
    pub width: u16,
    /// Lines.
    pub height: u16,
}

/// A picture of a group.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct GroupPicture {
    /// Its temporal layer, 0 to 7.
    pub temporal: u8,
    /// Whether a receiver of lower temporal layers can go on with this one from here.
    pub switching_up: bool,
    /// The pictures that it refers to.
    pub references: References,
}

impl<'a> Structure<'a> {
    /// Reads a structure and returns what stands behind it.
    pub fn decode(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Discard> {
        let mut reader = Reader::new(bytes);
        let first = reader.u8()?;
        let layers = usize::from(first >> 5).saturating_add(1);
        let resolutions =
            if first & Y != 0 { Some(reader.take(layers.saturating_mul(RESOLUTION))?) } else { None };
        let mut group = None;
        if first & G != 0 {
            let pictures = reader.u8()?;
            let start = reader;
            for _ in 0..pictures {
                picture(&mut reader)?;
            }
            group = start.peek().get(..start.remaining().saturating_sub(reader.remaining()));
        }
        let rest = reader.peek();
        let bytes = bytes.get(..bytes.len().saturating_sub(rest.len())).unwrap_or_default();
        Ok((Self { bytes, resolutions, group }, rest))
    }

    /// How many spatial layers there are, 1 to 8.
    pub fn layers(&self) -> u8 {
        self.bytes.first().map_or(1, |first| (first >> 5).saturating_add(1))
    }

    /// The resolution of each spatial layer, lowest first; none if they are not told.
    pub fn resolutions(&self) -> impl Iterator<Item = Resolution> + use<'a> {
        let mut reader = Reader::new(self.resolutions.unwrap_or_default());
        std::iter::from_fn(move || Some(Resolution { width: reader.u16().ok()?, height: reader.u16().ok()? }))
    }

    /// The pictures of a group, after which the references repeat. `None` if there is no group; RFC 9628 lets an empty one say that
    /// there is none any more.
    pub fn group(&self) -> Option<impl Iterator<Item = GroupPicture> + use<'a>> {
        let mut reader = Reader::new(self.group?);
        Some(std::iter::from_fn(move || picture(&mut reader).ok()))
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put(self.bytes)
    }

    pub(super) const fn encoded_len(&self) -> usize {
        self.bytes.len()
    }
}

fn picture(reader: &mut Reader<'_>) -> Result<GroupPicture, Discard> {
    let octet = reader.u8()?;
    let differences = reader.take(usize::from(octet >> 2 & 3))?;
    let references = References::new(differences).ok_or(Discard::Malformed)?;
    Ok(GroupPicture { temporal: octet >> 5, switching_up: octet & U != 0, references })
}

pub(super) fn encode(
    layers: u8,
    resolutions: Option<&[Resolution]>,
    group: Option<&[GroupPicture]>,
    out: &mut Writer<'_>,
) -> Result<(), FrameError> {
    let last = layers.checked_sub(1).filter(|last| *last < 8).ok_or(FrameError::OutOfRange)?;
    let pictures =
        group.map_or(Ok(0), |group| u8::try_from(group.len())).map_err(|_| FrameError::OutOfRange)?;
    if resolutions.is_some_and(|all| all.len() != usize::from(layers))
        || group.unwrap_or_default().iter().any(|picture| picture.temporal > 7)
    {
        return Err(FrameError::OutOfRange);
    }
    let flags = (if resolutions.is_some() { Y } else { 0 }) | (if group.is_some() { G } else { 0 });
    let mut write = || {
        out.put_u8(last << 5 | flags)?;
        for Resolution { width, height } in resolutions.unwrap_or_default() {
            out.put_u16(*width)?;
            out.put_u16(*height)?;
        }
        if group.is_some() {
            out.put_u8(pictures)?;
        }
        for GroupPicture { temporal, switching_up, references } in group.unwrap_or_default() {
            let count = u8::try_from(references.len()).map_err(|_| NoSpace)?;
            out.put_u8(temporal << 5 | u8::from(*switching_up) << 4 | count << 2)?;
            references.iter().try_for_each(|difference| out.put_u8(difference))?;
        }
        Ok::<_, NoSpace>(())
    };
    write().map_err(|_| FrameError::OutOfRange)
}

const Y: u8 = 0x10;
const G: u8 = 0x08;
const U: u8 = 0x10;
const RESOLUTION: usize = 4;
/// One octet of flags, 8 resolutions, the count, and 255 pictures with 3 references.
pub(super) const MAX_ENCODED: usize = 1 + 8 * RESOLUTION + 1 + 255 * 4;
