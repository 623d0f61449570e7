//! Payload formats: from a codec's frames to RTP payloads and back, one module a format.
//!
//! All have one shape. A `Packetizer` takes a frame and returns the `Payloads` it is sent in; each call of `write` appends the
//! next one to the caller's [`Writer`], at most as long as was asked for, and says by [`Written`] whether its packet has the
//! marker. Nothing is allocated and the frame is not copied on the way. A `Depacketizer` takes [`Payload`]s in the order of
//! their sequence numbers, with a flag where some are missing, and gives [`Frame`]s back, or says by [`Broken`] that one cannot
//! be put together. What it keeps is bounded by [`Limits`]. `outline` looks at a single payload, for forwarders.
//!
//! ```
//! use proto::Writer;
//! use rtp::payload::{Limits, Payload, PictureId, vp8};
//!
//! let frame = [0x10; 3000];
//! let mut packetizer = vp8::Packetizer::new(PictureId::Long(7));
//! let mut depacketizer = vp8::Depacketizer::new(Limits::default());
//! let mut payloads = packetizer.frame(&frame, vp8::Layer::default(), 1200)?;
//! let mut memory = [0; 1200];
//! let mut out = Writer::new(&mut memory);
//! while let Some(written) = payloads.write(&mut out)? {
//!     let payload = Payload { bytes: out.written(), timestamp: 90_000, marker: written.marker, after_loss: false };
//!     depacketizer.handle_payload(payload)?;
//!     out.truncate(0);
//! }
//! let received = depacketizer.poll_frame().ok_or("a frame")??;
//! assert_eq!((received.bytes, received.packets), (&frame[..], 3));
//! assert!(received.outline.key_frame);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! | Module | Format |
//! |--------|--------|
//! | [`vp8`] | VP8, RFC 7741 |
//! | [`h264`] | H.264, RFC 6184: single NAL units, STAP-A, FU-A; packetization modes 0 and 1 |
//! | [`vp9`] | VP9, RFC 9628: flexible and non-flexible mode |
//! | [`av1`] | AV1, the RTP payload format of the Alliance for Open Media |
//! | [`h265`] | H.265, RFC 7798: single NAL units, aggregation packets, fragmentation units |
//! | [`opus`] | Opus, RFC 7587 |
//! | [`g711`] | PCMU and PCMA, RFC 3551, with their samples |
//! | [`g722`] | G.722, RFC 3551 |
//! | [`telephone_event`] | keys that are pressed, RFC 4733 |
//! | [`comfort_noise`] | comfort noise, RFC 3389 |
//! | [`red`] | redundant audio, RFC 2198, and what carries ULPFEC |
//!
//! [`opaque`] is for frames that are encrypted from end to end, of formats whose structure goes through all of a frame.

mod assembly;
pub mod av1;
pub mod comfort_noise;
mod error;
pub mod g711;
pub mod g722;
pub mod h264;
pub mod h265;
mod nal;
pub mod opaque;
pub mod opus;
mod picture_id;
mod pieces;
pub mod red;
mod single;
pub mod telephone_event;
pub mod vp8;
pub mod vp9;

use proto::{NoSpace, Writer};

pub use assembly::{Limits, Stats};
pub use error::{Broken, Discard, FrameError, Reason};
pub use nal::Framing;
pub use picture_id::PictureId;
pub use single::Single;

/// The payload of an RTP packet, as a depacketizer takes it.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// Its bytes, without padding.
    pub bytes: &'a [u8],
    /// The packet's timestamp, in units of the format's clock.
    pub timestamp: u32,
    /// The packet's marker.
    pub marker: bool,
    /// Whether packets are missing between the last one that was handed over and this one.
    pub after_loss: bool,
}

/// A frame that was put together.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its bytes, as a decoder takes them.
    pub bytes: &'a [u8],
    /// The timestamp of its packets; of a repeated frame in a RED packet (RFC 2198), its own.
    pub timestamp: u32,
    /// How many packets it came in.
    pub packets: usize,
    /// The marker of its last packet: for video the end of a picture, for audio the begin of a talkspurt.
    pub marker: bool,
    /// What it is.
    pub outline: Outline,
}

/// What a payload or a frame shows without being decoded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Outline {
    /// Whether it begins a frame; of a frame always.
    pub starts_frame: bool,
    /// Whether it begins, or of formats whose every part tells, belongs to, a frame that needs no other.
    pub key_frame: bool,
    /// The temporal layer, where it is told.
    pub temporal: Option<u8>,
    /// The spatial layer, where it is told.
    pub spatial: Option<u8>,
    /// Whether a receiver of lower temporal layers can go on with this layer from here.
    pub switching_point: bool,
    /// Whether no other frame refers to it.
    pub discardable: bool,
}

/// What a call of `write` has appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    /// Bytes of the payload.
    pub len: usize,
    /// The marker its packet has to have.
    pub marker: bool,
}

/// Writes a payload, all of it or nothing.
fn whole(
    out: &mut Writer<'_>,
    marker: bool,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
) -> Result<Written, NoSpace> {
    let at = out.len();
    match write(out) {
        Ok(()) => Ok(Written { len: out.len().saturating_sub(at), marker }),
        Err(error) => {
            out.truncate(at);
            Err(error)
        }
    }
}
