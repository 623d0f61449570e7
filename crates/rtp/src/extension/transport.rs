use proto::{NoSpace, Reader, Writer};

use super::{Kind, Value};
use crate::SequenceNumber;

/// A packet's place among all packets of the transport (draft-holmer-rmcat-transport-wide-cc-extensions §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TransportSequence(pub SequenceNumber);

impl Value<'_> for TransportSequence {
    const KIND: Kind = Kind::TransportSequence;

    fn read(bytes: &[u8]) -> Option<Self> {
        Reader::new(bytes).u16().ok().map(|number| Self(SequenceNumber(number)))
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u16(self.0.0)
    }
}

/// The same in its second version: feedback may be asked for in the packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TransportSequence2 {
    /// The place.
    pub sequence: SequenceNumber,
    /// What feedback is wanted now.
    pub request: Option<FeedbackRequest>,
}

/// Asks for feedback on this packet and those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeedbackRequest {
    /// Whether times of arrival are wanted.
    pub timing: bool,
    /// How many packets it is about, this one among them: up to 32,767.
    pub count: u16,
}

impl Value<'_> for TransportSequence2 {
    const KIND: Kind = Kind::TransportSequence2;

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let sequence = SequenceNumber(reader.u16().ok()?);
        let request = reader.u16().ok().map(|field| (field & TIMING != 0, field & !TIMING));
        let request = request.filter(|(_, count)| *count > 0);
        Some(Self { sequence, request: request.map(|(timing, count)| FeedbackRequest { timing, count }) })
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let Some(FeedbackRequest { timing, count }) = self.request else {
            return out.put_u16(self.sequence.0);
        };
        out.put_u16(self.sequence.0)?;
        out.put_u16(if timing { TIMING } else { 0 } | count & !TIMING)
    }
}

const TIMING: u16 = 0x8000;
