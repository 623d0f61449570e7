use proto::Reader;

use super::{Question, Record, Section};
use crate::DecodeError;

/// The identifier and the flags of a message (RFC 1035 §4.1.1, RFC 6762 §18).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Zero in what is multicast; an answer by unicast repeats that of its question.
    pub id: u16,
    /// All flags and codes.
    pub flags: u16,
}

impl Header {
    /// Of a question to all (RFC 6762 §18.1 to §18.11: everything is zero).
    pub const QUERY: Self = Self { id: 0, flags: 0 };
    /// Of an answer to all: a response, with authority.
    pub const RESPONSE: Self = Self { id: 0, flags: RESPONSE | AUTHORITATIVE };

    /// Whether this is a response.
    pub const fn is_response(self) -> bool {
        self.flags & RESPONSE != 0
    }

    /// Whether the operation is a query and the response code says that all is well: other messages
    /// must be ignored (RFC 6762 §18.3, §18.11).
    pub const fn is_plain(self) -> bool {
        self.flags & (OPCODE | RCODE) == 0
    }
}

/// A received message. Decoding checks every question and record once, so that walking them cannot
/// fail, and copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: Header,
    counts: [u16; 4],
    records_at: usize,
}

impl<'a> Message<'a> {
    /// Decodes a message of at most [`MAX_RECORDS`] questions and records.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_within(bytes, MAX_RECORDS)
    }

    /// Decodes a message of at most `max_records` questions and records. Bytes behind the last are no error.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn decode_within(bytes: &'a [u8], max_records: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let header = Header { id: reader.u16()?, flags: reader.u16()? };
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let total = counts.iter().fold(0_usize, |total, count| total.saturating_add(usize::from(*count)));
        if total > max_records {
            return Err(DecodeError::TooManyRecords);
        }
        let [questions, ..] = counts;
        for _ in 0..questions {
            Question::decode(bytes, &mut reader)?;
        }
        let records_at = bytes.len().saturating_sub(reader.remaining());
        for section in sections(counts) {
            Record::decode(bytes, &mut reader, section)?;
        }
        Ok(Self { bytes, header, counts, records_at })
    }

    /// Its identifier and flags.
    pub const fn header(&self) -> Header {
        self.header
    }

    /// What it asks for.
    pub fn questions(&self) -> impl Iterator<Item = Question<'a>> + use<'a> {
        let bytes = self.bytes;
        let mut reader = Reader::new(bytes.get(super::name::HEADER..).unwrap_or_default());
        let [questions, ..] = self.counts;
        (0..questions).map_while(move |_| Question::decode(bytes, &mut reader).ok())
    }

    /// Its records, section by section.
    pub fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let bytes = self.bytes;
        let mut reader = Reader::new(bytes.get(self.records_at..).unwrap_or_default());
        sections(self.counts).map_while(move |section| Record::decode(bytes, &mut reader, section).ok())
    }
}

/// Whether `datagram` is a response, for a querier, and not a question, for a responder.
pub fn is_response(datagram: &[u8]) -> bool {
    datagram.get(2).is_some_and(|flags| flags & 0x80 != 0)
}

/// The section of each record.
fn sections(counts: [u16; 4]) -> impl Iterator<Item = Section> {
    let [_, answers, authorities, additionals] = counts.map(usize::from);
    std::iter::repeat_n(Section::Answer, answers)
        .chain(std::iter::repeat_n(Section::Authority, authorities))
        .chain(std::iter::repeat_n(Section::Additional, additionals))
}

/// Questions and records of a message: as many as fit into 9,000 bytes if they are of some use.
pub const MAX_RECORDS: usize = 256;

const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const AUTHORITATIVE: u16 = 0x0400;
const RCODE: u16 = 0x000f;
