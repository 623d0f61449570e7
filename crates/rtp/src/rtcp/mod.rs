//! RTCP (RFC 3550 §6): datagrams of several packets, reports, and feedback (RFC 4585, RFC 5104, RFC 8888,
//! transport-wide congestion control, REMB, RFC 3611).
//!
//! ```
//! # use rtp::rtcp::{Compound, Encoder, Packet};
//! # use rtp::{SequenceNumber, Ssrc};
//! # use proto::Writer;
//! let mut memory = [0; 100];
//! let mut out = Writer::new(&mut memory);
//! let mut datagram = Encoder::new(&mut out);
//! datagram.receiver_report(Ssrc(1), [], &[])?;
//! datagram.nack(Ssrc(1), Ssrc(2), [7, 8, 30].map(SequenceNumber))?;
//!
//! for packet in Compound::decode(out.written())?.packets() {
//!     if let Packet::Nack(nack) = packet? {
//!         assert!(nack.lost().eq([7, 8, 30].map(SequenceNumber)));
//!     }
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::arithmetic_side_effects)]

mod congestion;
mod encode;
mod feedback;
mod goodbye;
mod nack;
mod report;
mod sdes;
mod transport_cc;
mod transport_cc_encode;
mod xr;

pub use congestion::{CongestionControl, MAX_METRICS, PacketStatus, StreamReport};
pub use encode::Encoder;
pub use feedback::{Feedback, FeedbackClass, Fir, FirEntry, MaxBitrate, MaxBitrates, Pli, Remb};
pub use goodbye::{App, Goodbye};
pub use nack::{Nack, NackEntry};
pub use report::{ReceiverReport, ReportBlock, SenderInfo, SenderReport};
pub use sdes::{Chunk, SdesItem, SdesKind, SourceDescription};
pub use transport_cc::{Statuses, TICK, TICKS_PER_REFERENCE, TransportCc, TransportRun, TransportStatus};
pub use transport_cc_encode::{Arrived, MAX_SPAN, TransportFeedback};
pub use xr::{ExtendedReport, ReceiverDelay, ReceiverDelays, XrBlock, XrEncoder};

use proto::Reader;

use crate::DecodeError;

/// A datagram of RTCP: one packet or several. The headers and lengths of all are checked once; what each
/// holds is checked when it is read, so that a packet of a kind or form that is not known spoils no other.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Decodes a datagram, of full or of reduced size (RFC 5506).
    ///
    /// # Errors
    ///
    /// It is empty, a header or length is impossible, or it has more than [`MAX_PACKETS`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut count = 0_usize;
        while count == 0 || !reader.is_empty() {
            Raw::decode(&mut reader)?;
            count = count.saturating_add(1);
            if count > MAX_PACKETS {
                return Err(DecodeError::TooManyPackets);
            }
        }
        Ok(Self { bytes })
    }

    /// The packets in their order; an error stands for one that is malformed within.
    pub fn packets(&self) -> impl Iterator<Item = Result<Packet<'a>, DecodeError>> + Clone + use<'a> {
        self.raw().map(|raw| Packet::of(&raw))
    }

    /// The packets in their order, without a look at what they hold.
    pub fn raw(&self) -> impl Iterator<Item = Raw<'a>> + Clone + use<'a> {
        let reader = Reader::new(self.bytes);
        RawPackets { reader }
    }

    /// Whether it does not begin with a report, as only peers may send it who have agreed to (RFC 5506).
    pub fn is_reduced_size(&self) -> bool {
        !matches!(self.bytes.get(1), Some(&(SENDER_REPORT | RECEIVER_REPORT)))
    }
}

#[derive(Clone)]
struct RawPackets<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for RawPackets<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        Raw::decode(&mut self.reader).ok()
    }
}

/// A packet of RTCP by its header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Raw<'a> {
    /// The packet type.
    pub kind: u8,
    /// How many reports or sources there are, or the format of feedback: 0 to 31.
    pub count: u8,
    /// What follows the first four bytes, without padding.
    pub body: &'a [u8],
    /// How many bytes of padding follow, the one that counts them among them.
    pub padding: u8,
}

impl<'a> Raw<'a> {
    /// Browsers pad feedback to whole words wherever it stands, by less than a word. So padding may have any
    /// length, in any packet, although RFC 3550 §6.4.1 has it at the end, in multiples of four.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let [first, kind] = reader.array()?;
        if first >> 6 != crate::packet::VERSION {
            return Err(DecodeError::Version);
        }
        let words = usize::from(reader.u16()?);
        let mut body = reader.take(words.saturating_mul(4))?;
        let mut padding = 0;
        if first & crate::packet::PADDING != 0 {
            padding = body.last().copied().filter(|count| *count > 0).ok_or(DecodeError::Padding)?;
            let len = body.len().checked_sub(padding.into()).ok_or(DecodeError::Padding)?;
            body = body.get(..len).unwrap_or_default();
        }
        Ok(Self { kind, count: first & 0x1f, body, padding })
    }
}

/// What a packet of RTCP says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// From who sends (RFC 3550 §6.4.1).
    SenderReport(SenderReport<'a>),
    /// From who only receives (RFC 3550 §6.4.2).
    ReceiverReport(ReceiverReport<'a>),
    /// Names of sources (RFC 3550 §6.5).
    SourceDescription(SourceDescription<'a>),
    /// Sources that are gone (RFC 3550 §6.6).
    Goodbye(Goodbye<'a>),
    /// Something of an application's (RFC 3550 §6.7).
    App(App<'a>),
    /// Packets are missing (RFC 4585 §6.2.1).
    Nack(Nack<'a>),
    /// Wanted limits of bitrates (RFC 5104 §4.2.1).
    Tmmbr(MaxBitrates<'a>),
    /// Limits of bitrates in force (RFC 5104 §4.2.2).
    Tmmbn(MaxBitrates<'a>),
    /// When packets of the transport have arrived.
    TransportCc(TransportCc<'a>),
    /// When packets of each stream have arrived, and with what marks (RFC 8888).
    CongestionControl(CongestionControl<'a>),
    /// A picture is lost (RFC 4585 §6.3.1).
    Pli(Pli),
    /// A key frame is needed (RFC 5104 §4.3.1).
    Fir(Fir<'a>),
    /// Slices are lost (RFC 4585 §6.3.2), as bytes.
    SliceLoss(Feedback<'a>),
    /// Which picture the decoder has (RFC 4585 §6.3.3), as bytes.
    ReferencePicture(Feedback<'a>),
    /// The receiver's estimate of what the path carries.
    Remb(Remb<'a>),
    /// More of how reception goes (RFC 3611).
    ExtendedReport(ExtendedReport<'a>),
    /// Feedback of another format.
    Feedback(Feedback<'a>),
    /// Another type.
    Other(Raw<'a>),
}

impl<'a> Packet<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    ///
    /// What it holds does not fit what its type says.
    pub fn of(raw: &Raw<'a>) -> Result<Self, DecodeError> {
        match (raw.kind, raw.count) {
            (SENDER_REPORT, _) => SenderReport::decode(raw).map(Self::SenderReport),
            (RECEIVER_REPORT, _) => ReceiverReport::decode(raw).map(Self::ReceiverReport),
            (SOURCE_DESCRIPTION, _) => SourceDescription::decode(raw).map(Self::SourceDescription),
            (GOODBYE, _) => Goodbye::decode(raw).map(Self::Goodbye),
            (APPLICATION, _) => App::decode(raw).map(Self::App),
            (EXTENDED_REPORT, _) => ExtendedReport::decode(raw).map(Self::ExtendedReport),
            // Its streams stand where other feedback names one.
            (TRANSPORT_FEEDBACK, CONGESTION_CONTROL) => {
                CongestionControl::decode(raw.body).map(Self::CongestionControl)
            }
            (TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK, _) => Self::feedback(Feedback::decode(raw)?),
            _ => Ok(Self::Other(*raw)),
        }
    }

    fn feedback(it: Feedback<'a>) -> Result<Self, DecodeError> {
        match (it.class, it.format) {
            (FeedbackClass::Transport, NACK) => Nack::decode(&it).map(Self::Nack),
            (FeedbackClass::Transport, TMMBR) => MaxBitrates::decode(&it).map(Self::Tmmbr),
            (FeedbackClass::Transport, TMMBN) => MaxBitrates::decode(&it).map(Self::Tmmbn),
            (FeedbackClass::Transport, TRANSPORT_CC) => TransportCc::decode(&it).map(Self::TransportCc),
            (FeedbackClass::Payload, PLI) => Ok(Self::Pli(Pli { sender: it.sender, media: it.media })),
            (FeedbackClass::Payload, SLI) => Ok(Self::SliceLoss(it)),
            (FeedbackClass::Payload, RPSI) => Ok(Self::ReferencePicture(it)),
            (FeedbackClass::Payload, FIR) => Fir::decode(&it).map(Self::Fir),
            (FeedbackClass::Payload, APPLICATION_LAYER) if Remb::is(&it) => Remb::decode(&it).map(Self::Remb),
            (FeedbackClass::Transport | FeedbackClass::Payload, _) => Ok(Self::Feedback(it)),
        }
    }
}

/// How many packets a datagram has at most.
pub const MAX_PACKETS: usize = 128;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const APPLICATION: u8 = 204;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const EXTENDED_REPORT: u8 = 207;

const NACK: u8 = 1;
const TMMBR: u8 = 3;
const TMMBN: u8 = 4;
const CONGESTION_CONTROL: u8 = 11;
const TRANSPORT_CC: u8 = 15;

const PLI: u8 = 1;
const SLI: u8 = 2;
const RPSI: u8 = 3;
const FIR: u8 = 4;
const APPLICATION_LAYER: u8 = 15;
