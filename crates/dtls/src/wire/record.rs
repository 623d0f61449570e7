use proto::{NoSpace, Reader, Writer};

use super::DecodeError;

/// The header of a DTLS 1.2 record, and of a DTLS 1.3 plaintext record (RFC 6347 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordHeader {
    /// What the record carries.
    pub content: ContentType,
    /// The record layer's version: `0xfefd`, or `0xfeff` before the version is agreed.
    pub version: u16,
    /// Counts changes of keys.
    pub epoch: u16,
    /// Counts records within the epoch; 48 bits.
    pub sequence: u64,
    /// Bytes that follow the header.
    pub len: usize,
}

impl RecordHeader {
    /// Decodes the header at the start of `bytes`; what follows it is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let content = reader.u8()?;
        let version = reader.u16()?;
        let epoch = reader.u16()?;
        let sequence = reader.u48()?;
        let len = usize::from(reader.u16()?);
        let content = ContentType::from_u8(content).ok_or(DecodeError::Illegal)?;
        Ok(Self { content, version, epoch, sequence, len })
    }

    /// Appends the header to `out`.
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let len = u16::try_from(self.len).map_err(|_| NoSpace)?;
        if out.room() < RECORD_HEADER_LEN {
            return Err(NoSpace);
        }
        out.put_u8(self.content as u8)?;
        out.put_u16(self.version)?;
        out.put_u16(self.epoch)?;
        out.put_u48(self.sequence)?;
        out.put_u16(len)
    }
}

/// What a record carries (RFC 5246 §6.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContentType {
    /// The change to the next epoch's keys.
    ChangeCipherSpec = 20,
    /// An alert.
    Alert = 21,
    /// Handshake fragments.
    Handshake = 22,
    /// What the layer above sends.
    ApplicationData = 23,
}

impl ContentType {
    /// The type with this number.
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            _ => return None,
        })
    }
}

/// Bytes of a [`RecordHeader`].
pub const RECORD_HEADER_LEN: usize = 13;
/// The largest plaintext of a record (RFC 5246 §6.2.1).
pub const MAX_PLAINTEXT: usize = 1 << 14;
/// The last sequence number of an epoch.
pub const MAX_SEQUENCE: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decodes_what_it_encodes(bytes: [u8; 13], kind in 0u8..30) {
            let mut bytes = bytes;
            bytes[0] = kind;
            let decoded = RecordHeader::decode(&bytes);
            prop_assert_eq!(decoded.is_ok(), (20..24).contains(&kind));
            if let Ok(header) = decoded {
                let mut memory = [0; 13];
                header.encode(&mut Writer::new(&mut memory)).unwrap();
                prop_assert_eq!(memory, bytes);
            }
            for cut in 0..13 {
                prop_assert_eq!(RecordHeader::decode(&bytes[..cut]), Err(DecodeError::Truncated));
            }
        }
    }
}
