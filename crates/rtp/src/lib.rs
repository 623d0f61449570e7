//! RTP ([RFC 3550]): packets, header extensions, RTCP, repair and payload formats as bytes, for media in any
//! direction: sent, received, or forwarded.
//!
//! The crate performs no I/O, reads no clock, and allocates nothing to read, write or change a packet. It has no
//! state but that of frames that are being put together or divided. Here a packet passes a forwarder, whose receiver knows extensions by other numbers:
//!
//! ```
//! use rtp::extension::{AudioLevel, ExtensionMap, Form, Kind};
//! use rtp::{Encoder, Header, Packet, PacketMut, SequenceNumber, Ssrc};
//! use proto::Writer;
//!
//! let (mut theirs, mut ours) = (ExtensionMap::default(), ExtensionMap::default());
//! theirs.set(1, Kind::AudioLevel)?;
//! ours.set(4, Kind::AudioLevel)?;
//!
//! // A packet as its sender writes it.
//! let mut memory = [0; 1500];
//! let mut out = Writer::new(&mut memory);
//! let header = Header { ssrc: Ssrc(7), sequence_number: SequenceNumber(100), ..Header::default() };
//! let mut packet = Encoder::new(&mut out, header, &[])?;
//! theirs.encode(&mut packet, Form::OneByte, &AudioLevel { voice: true, level: 30 })?;
//! let len = packet.finish(b"opus", 0)?;
//!
//! // The forwarder changes it where it stands.
//! let mut packet = PacketMut::decode(&mut memory, len)?;
//! packet.set_ssrc(Ssrc(8));
//! packet.set_sequence_number(SequenceNumber(5));
//! packet.map_elements(theirs.translation(&ours))?;
//!
//! // And this is what arrives.
//! let packet = Packet::decode(packet.bytes())?;
//! assert_eq!((packet.header().ssrc, packet.payload()), (Ssrc(8), &b"opus"[..]));
//! assert_eq!(ours.read(&packet), Some(AudioLevel { voice: true, level: 30 }));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `packet`, `encode` | [`Packet`] read and written |
//! | `rewrite` | [`PacketMut`]: a packet changed where it stands |
//! | `number` | identifiers, names and numbers that wrap |
//! | [`extension`] | elements of header extensions, which identifier means what, and their values |
//! | [`rtcp`] | reports and feedback |
//! | [`rtx`] | retransmissions as packets of a stream of their own |
//! | [`fec`] | packets of repair: ULPFEC, FlexFEC |
//! | [`payload`] | what codecs put into packets |
//! | `error` | what can be wrong with bytes, and with changes |
//!
//! # Scope
//!
//! Implemented: RFC 3550's packets; RFC 8285 in both forms, mixed or not, with the values of RFC 6464, 6465, 8852
//! and 9143, of 3GPP's orientation, and of those that browsers know (`abs-send-time`, transport-wide numbers in
//! both versions, `abs-capture-time`, `playout-delay`, content type, timing, colour space, dependency
//! descriptors, layers allocation), and a trait for a program's own; RTCP with reports, descriptions, goodbyes,
//! application packets, feedback by RFC 4585, 5104, 8888, transport-wide and REMB, extended reports with times of
//! receivers (RFC 3611), in datagrams of full and reduced size (RFC 5506); RFC 4588; RFC 5109 at one level,
//! FlexFEC of the draft's third version and of RFC 8627.
//!
//! As bytes only: slices and pictures of RFC 4585, other blocks of RFC 3611. Not implemented: sources that are
//! added to or taken from a packet in place; retransmissions within FlexFEC, and repair over several streams.
//! When to send what, and what a receiver makes of it, is for machines above: this crate only reads and writes.
//! Nothing here is authenticated: SRTP does that before.
//!
//! [RFC 3550]: https://www.rfc-editor.org/rfc/rfc3550

mod encode;
mod error;
pub mod extension;
pub mod fec;
mod number;
mod packet;
pub mod payload;
mod rewrite;
pub mod rtcp;
pub mod rtx;

pub use encode::Encoder;
pub use error::{DecodeError, EditError};
pub use number::{Mid, NtpTime, PayloadType, Rid, RtpTimestamp, SequenceNumber};
pub use packet::{Header, Packet, header_len, is_rtcp};
pub use proto::{Ecn, NoSpace, Reader, Ssrc, Writer};
pub use rewrite::PacketMut;
