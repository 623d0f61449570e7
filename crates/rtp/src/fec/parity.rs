use proto::{NoSpace, Writer};

use super::FecError;
use crate::packet::FIXED;
use crate::{DecodeError, Packet, SequenceNumber, Ssrc};

/// The parity of headers: what of them is protected, but for the version.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Fields {
    /// Padding, extension, number of sources; marker, payload type.
    pub(super) flags: [u8; 2],
    pub(super) timestamp: u32,
    /// How many bytes follow the twelve that every packet has.
    pub(super) len: u16,
}

impl Fields {
    pub(super) fn of(packet: &[u8]) -> Result<Self, FecError> {
        let header = Packet::decode(packet)?.header();
        let [first, second, ..] = *packet else { return Err(DecodeError::Truncated.into()) };
        let len = u16::try_from(packet.len().saturating_sub(FIXED)).map_err(|_| FecError::NoRoom)?;
        Ok(Self { flags: [first & 0x3f, second], timestamp: header.timestamp.0, len })
    }

    pub(super) fn add(&mut self, other: Self) {
        let [first, second] = &mut self.flags;
        let [other_first, other_second] = other.flags;
        *first ^= other_first;
        *second ^= other_second;
        self.timestamp ^= other.timestamp;
        self.len ^= other.len;
    }

    /// The twelve bytes of a packet that has these.
    pub(super) fn header(&self, number: SequenceNumber, ssrc: Ssrc) -> [u8; FIXED] {
        let [first, second] = self.flags;
        let [n0, n1] = number.0.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [s0, s1, s2, s3] = ssrc.0.to_be_bytes();
        [0x80 | first, second, n0, n1, t0, t1, t2, t3, s0, s1, s2, s3]
    }
}

/// What follows the first twelve bytes of a packet.
pub(super) fn body(packet: &[u8]) -> &[u8] {
    packet.get(FIXED..).unwrap_or_default()
}

/// Adds `bytes` to the parity that was written from `from` on; what is longer makes it longer.
pub(super) fn add(out: &mut Writer<'_>, from: usize, bytes: &[u8]) -> Result<(), NoSpace> {
    let have = out.len().saturating_sub(from);
    out.put_zeros(bytes.len().saturating_sub(have))?;
    out.written_mut(from).iter_mut().zip(bytes).for_each(|(sum, byte)| *sum ^= byte);
    Ok(())
}
