use proto::{NoSpace, Reader};

use super::{Encoder, Raw, SOURCE_DESCRIPTION};
use crate::{DecodeError, Ssrc};

/// What an item of a description is (RFC 3550 §6.5, and the registry of SDES items).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SdesKind(pub u8);

impl SdesKind {
    /// The name that binds the sources of an endpoint together.
    pub const CNAME: Self = Self(1);
    /// A person's name.
    pub const NAME: Self = Self(2);
    /// An address of electronic mail.
    pub const EMAIL: Self = Self(3);
    /// A telephone number.
    pub const PHONE: Self = Self(4);
    /// A place.
    pub const LOC: Self = Self(5);
    /// The program.
    pub const TOOL: Self = Self(6);
    /// A notice.
    pub const NOTE: Self = Self(7);
    /// An extension: a prefix and its value.
    pub const PRIV: Self = Self(8);
    /// The name of the stream (RFC 8852).
    pub const RTP_STREAM_ID: Self = Self(12);
    /// The name of the stream that this one repairs (RFC 8852).
    pub const REPAIRED_RTP_STREAM_ID: Self = Self(13);
    /// The name of the media section (RFC 9143).
    pub const MID: Self = Self(15);
}

/// An item of a description.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SdesItem<'a> {
    /// What it is; never 0, which ends the items.
    pub kind: SdesKind,
    /// UTF-8 if the sender keeps to the rules; at most 255 bytes.
    pub text: &'a [u8],
}

impl<'a> SdesItem<'a> {
    /// Prefix and value of a private item (RFC 3550 §6.5.8).
    pub fn private(&self) -> Option<(&'a [u8], &'a [u8])> {
        let mut reader = Reader::new(self.text);
        let len = reader.u8().ok().filter(|_| self.kind == SdesKind::PRIV)?;
        Some((reader.take(len.into()).ok()?, reader.rest()))
    }
}

/// Descriptions of at most 31 sources (RFC 3550 §6.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SourceDescription<'a> {
    count: u8,
    body: &'a [u8],
}

/// The description of a source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chunk<'a> {
    /// Which source.
    pub ssrc: Ssrc,
    items: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    pub(super) fn decode(raw: &Raw<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(raw.body);
        for _ in 0..raw.count {
            Chunk::read(&mut reader)?;
        }
        if reader.is_empty() {
            Ok(Self { count: raw.count, body: raw.body })
        } else {
            Err(DecodeError::Length)
        }
    }

    /// The descriptions in their order.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.body);
        (0..self.count).map_while(move |_| Chunk::read(&mut reader).ok())
    }

    /// The name that binds a source to others, if it is told (RFC 3550 §6.5.1).
    pub fn cname(&self, ssrc: Ssrc) -> Option<&'a [u8]> {
        let mut items = self.chunks().filter(|chunk| chunk.ssrc == ssrc).flat_map(|chunk| chunk.items());
        items.find(|item| item.kind == SdesKind::CNAME).map(|item| item.text)
    }
}

impl<'a> Chunk<'a> {
    /// Items end with a zero, and the chunk with zeros up to a whole word.
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let ssrc = Ssrc(reader.u32()?);
        let begin = reader.peek();
        while let Some(item) = item(reader)? {
            debug_assert!(item.kind.0 != 0, "zero ends the items");
        }
        let len = begin.len().saturating_sub(reader.remaining());
        let zeros = len.div_ceil(4).saturating_mul(4).saturating_sub(len);
        reader.take(zeros)?;
        Ok(Self { ssrc, items: begin.get(..len).unwrap_or_default() })
    }

    /// The items in their order.
    pub fn items(&self) -> impl Iterator<Item = SdesItem<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.items);
        std::iter::from_fn(move || item(&mut reader).ok().flatten())
    }
}

/// `None` is the zero at the end.
fn item<'a>(reader: &mut Reader<'a>) -> Result<Option<SdesItem<'a>>, DecodeError> {
    let kind = reader.u8()?;
    if kind == 0 {
        return Ok(None);
    }
    let len = reader.u8()?;
    Ok(Some(SdesItem { kind: SdesKind(kind), text: reader.take(len.into())? }))
}

impl Encoder<'_, '_> {
    /// Adds descriptions of at most 31 sources.
    ///
    /// # Errors
    ///
    /// There is no room, there are too many sources, or an item is longer than 255 bytes or of kind 0.
    pub fn source_description<'i, I>(
        &mut self,
        chunks: impl IntoIterator<Item = (Ssrc, I)>,
    ) -> Result<(), NoSpace>
    where
        I: IntoIterator<Item = SdesItem<'i>>,
    {
        self.write_counted(SOURCE_DESCRIPTION, |out| {
            let mut count = 0_usize;
            for (ssrc, items) in chunks {
                let start = out.len();
                out.put_u32(ssrc.0)?;
                for SdesItem { kind, text } in items {
                    if kind.0 == 0 {
                        return Err(NoSpace);
                    }
                    out.put_u8(kind.0)?;
                    out.put_u8(u8::try_from(text.len()).map_err(|_| NoSpace)?)?;
                    out.put(text)?;
                }
                // One zero at least, and then up to a whole word.
                let len = out.len().saturating_sub(start);
                out.put_zeros(4_usize.saturating_sub(len % 4))?;
                count = count.saturating_add(1);
            }
            Ok(count)
        })
    }
}
