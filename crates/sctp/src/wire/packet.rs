use proto::{NoSpace, Reader, Writer};

use super::{CHUNK_HEADER_LEN, Chunk, HEADER_LEN, padding};
use crate::DecodeError;

/// A received packet: the common header and its chunks.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
    /// The verification tag.
    pub tag: u32,
    bytes: &'a [u8],
    chunks: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Decodes `bytes`, which must hold exactly one packet with at least one chunk. The checksum is
    /// not looked at: see [`checksum_is_right`](Self::checksum_is_right).
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (source, destination) = (reader.u16()?, reader.u16()?);
        let tag = reader.u32()?;
        reader.u32()?;
        let chunks = reader.rest();
        if chunks.is_empty() {
            return Err(DecodeError::NoChunks);
        }
        let mut walk = Reader::new(chunks);
        while !walk.is_empty() {
            read_chunk(&mut walk)?;
        }
        Ok(Self { source, destination, tag, bytes, chunks })
    }

    /// The chunks in wire order.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let mut reader = Reader::new(self.chunks);
        std::iter::from_fn(move || if reader.is_empty() { None } else { read_chunk(&mut reader).ok() })
    }

    /// Whether the CRC-32c of the packet is the one it carries (RFC 9260 §6.8, appendix A).
    pub fn checksum_is_right(&self) -> bool {
        let carried = self.bytes.get(CHECKSUM_AT..HEADER_LEN).unwrap_or_default();
        crc(self.bytes).to_le_bytes() == carried
    }
}

/// Appends a common header to `out`; [`finish_packet`] completes it.
pub fn begin_packet(out: &mut Writer<'_>, source: u16, destination: u16, tag: u32) -> Result<(), NoSpace> {
    let [a, b] = source.to_be_bytes();
    let [c, d] = destination.to_be_bytes();
    let [e, f, g, h] = tag.to_be_bytes();
    out.put(&[a, b, c, d, e, f, g, h, 0, 0, 0, 0])
}

/// Writes the checksum of the packet that begins at offset `start` of `out` and ends where it ends.
pub fn finish_packet(out: &mut Writer<'_>, start: usize) -> Result<(), NoSpace> {
    let sum = crc(out.written().get(start..).unwrap_or_default());
    out.patch(start.saturating_add(CHECKSUM_AT), &sum.to_le_bytes())
}

/// CRC-32c over the packet with its checksum field taken as zero.
fn crc(bytes: &[u8]) -> u32 {
    let head = bytes.get(..CHECKSUM_AT).unwrap_or_default();
    let mut header = [0; HEADER_LEN];
    header.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
    crc32c::crc32c_append(crc32c::crc32c(&header), bytes.get(HEADER_LEN..).unwrap_or_default())
}

fn read_chunk<'a>(reader: &mut Reader<'a>) -> Result<Chunk<'a>, DecodeError> {
    let (kind, flags) = (reader.u8()?, reader.u8()?);
    let len = usize::from(reader.u16()?);
    let value = reader.take(len.checked_sub(CHUNK_HEADER_LEN).ok_or(DecodeError::ChunkLength(kind))?)?;
    reader.take(padding(len))?;
    Chunk::decode(kind, flags, value)
}

const CHECKSUM_AT: usize = 8;
