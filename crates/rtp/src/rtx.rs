//! Retransmissions as packets of a stream of their own (RFC 4588 §4).
//!
//! ```
//! # use rtp::{PacketMut, PayloadType, SequenceNumber, Ssrc, rtx};
//! let mut memory = [0; 64];
//! memory[..16].copy_from_slice(b"\x80\x60\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44data");
//! let mut packet = PacketMut::decode(&mut memory, 16)?;
//! let stream = rtx::Stream { ssrc: Ssrc(9), payload_type: PayloadType::new(97).ok_or("too large")? };
//! rtx::wrap(&mut packet, stream, SequenceNumber(1))?;
//! assert_eq!(packet.as_packet().payload(), b"\x00\x07data");
//!
//! let original = rtx::Stream { ssrc: Ssrc(0x1122_3344), payload_type: PayloadType::new(96).ok_or("too large")? };
//! rtx::unwrap(&mut packet, original)?;
//! assert_eq!(packet.as_packet().header().sequence_number, SequenceNumber(7));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::arithmetic_side_effects)]

use crate::{EditError, PacketMut, PayloadType, SequenceNumber, Ssrc};

/// What tells packets of retransmission, or of the original, from others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stream {
    /// Whose they are.
    pub ssrc: Ssrc,
    /// What they are.
    pub payload_type: PayloadType,
}

/// How many bytes a packet grows by when it is wrapped.
pub const OVERHEAD: usize = 2;

/// Makes a packet one of retransmission, where it stands: the number that it had goes in front of its
/// payload, and padding is left out. Time, marker, sources and header extension stay.
///
/// # Errors
///
/// There is no room.
pub fn wrap(packet: &mut PacketMut<'_>, stream: Stream, number: SequenceNumber) -> Result<(), EditError> {
    let view = packet.as_packet();
    let original = view.header().sequence_number;
    let spare = packet.room().saturating_add(view.padding().into());
    if spare < OVERHEAD {
        return Err(EditError::NoRoom);
    }
    packet.set_padding(0)?;
    packet.prepend(&original.0.to_be_bytes())?;
    packet.set_sequence_number(number);
    packet.set_ssrc(stream.ssrc);
    packet.set_payload_type(stream.payload_type);
    Ok(())
}

/// Makes the original packet out of one of retransmission, where it stands, and gives its number.
///
/// # Errors
///
/// There is no original in it: packets of padding alone are sent to probe for bandwidth.
pub fn unwrap(packet: &mut PacketMut<'_>, original: Stream) -> Result<SequenceNumber, EditError> {
    if packet.as_packet().payload().len() < OVERHEAD {
        return Err(EditError::NoOriginal);
    }
    packet.set_padding(0)?;
    let number = SequenceNumber(packet.take_u16().ok_or(EditError::NoOriginal)?);
    packet.set_sequence_number(number);
    packet.set_ssrc(original.ssrc);
    packet.set_payload_type(original.payload_type);
    Ok(number)
}
