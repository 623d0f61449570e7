//! Media over RTP: machines on [`rtp`]'s bytes that receive, repair, order, report, packetize and send.
//!
//! The crate performs no I/O and reads no clock. The sections of media that share a transport are run by one [`Rtp`]; here one end
//! sends a frame of audio to another:
//!
//! ```
//! use std::time::Duration;
//!
//! use media::{Codec, Content, Format, NtpClock, OutgoingFrame, ReceiverConfig, Rtp, RtpConfig, SenderConfig};
//! use proto::{Instant, Writer};
//! use rtp::{PacketMut, PayloadType};
//!
//! let mut now = Instant::from_nanos(1);
//! let clock = NtpClock::new(now, Duration::from_secs(1_800_000_000));
//! let opus = PayloadType::new(111).ok_or("too large")?;
//! let (mut alice, mut bob) = (
//!     Rtp::new(RtpConfig::new(clock, "alice"), [1; 32]),
//!     Rtp::new(RtpConfig::new(clock, "bob"), [2; 32]),
//! );
//! let mut config = SenderConfig::default();
//! (config.payload_type, config.codec) = (opus, Codec::Opus);
//! let microphone = alice.add_sender(config).ok_or("full")?;
//! let mut config = ReceiverConfig::default();
//! config.formats = vec![(opus, Format::Media(Codec::Opus))];
//! config.probation = 0;
//! let loudspeaker = bob.add_receiver(config).ok_or("full")?;
//!
//! let frame = OutgoingFrame { bytes: &[0xf8, 1, 2, 3], timestamp: 960, ..OutgoingFrame::default() };
//! alice.sender(microphone).ok_or("gone")?.send_frame(now, 0, &frame)?;
//! let mut memory = [0; 1500];
//! let mut out = Writer::new(&mut memory);
//! while alice.poll_rtp(now, &mut out) {
//!     // Protect it, send it; there it is authenticated.
//!     let len = out.len();
//!     bob.handle_rtp(now, None, PacketMut::decode(out.written_mut(0), len)?)?;
//!     out.truncate(0);
//! }
//! // It is to be played when the jitter buffer says so.
//! now = bob.receiver(loudspeaker).and_then(|receiver| receiver.poll_timeout()).ok_or("nothing")?;
//! let frame = bob.receiver(loudspeaker).and_then(|receiver| receiver.poll_frame(now)).ok_or("no frame")?;
//! assert!(matches!(frame.content, Content::Media { bytes: [0xf8, 1, 2, 3], .. }));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `transport` | [`Rtp`]: the sections of a transport, RTCP for all of them |
//! | `schedule` | when RTCP may be sent |
//! | `receive` | [`Receiver`]: sources and streams, what is missing, repair, feedback on arrival |
//! | `receive/track`, `buffer`, `part`, `delay` | the jitter buffer: frames in decoding order, and when to play them |
//! | `receive/window`, `arrivals`, `congestion` | what has come, for feedback on it: transport-wide, or by stream with marks |
//! | `receive/contributors` | who was heard lately |
//! | `send` | [`Sender`]: packets of frames, history, retransmissions, repair, forwarding |
//! | `send/tones` | telephone events for keys that are pressed |
//! | `send/shared` | [`SharedPacket`]: what goes on to several, with one payload for all |
//! | `send/log` | [`SentLog`]: what an estimate of bandwidth has to know |
//! | `bandwidth` | [`BandwidthEstimator`], [`Gcc`]: what the path carries; the allocator that divides it |
//! | `transport/control`, `pacer` | estimate, pacer and allocator at work: audio first, video spread, probes padded |
//! | `breaker` | the circuit breaker of RFC 8083 |
//! | `tap` | [`Tap`]: packets seen and altered on their way |
//! | `transform` | [`EncodedTransform`]: frames seen and altered before they are divided and after they are whole |
//! | `encryption` | [`FrameEncryptor`], [`FrameDecryptor`]: SFrame as such transforms |
//! | `codec` | [`Codec`]: the payload formats |
//! | `clock` | [`NtpClock`]: times of day |
//! | `error` | why packets were not used |
//!
//! # Scope
//!
//! Implemented: RFC 3550 with its reports, timing, probation, collisions; RFC 4585 with NACK, PLI, and immediate and early feedback;
//! RFC 5104 with FIR and TMMBR for one peer; RFC 4588; repair by RFC 5109 in RED, FlexFEC-03 and RFC 8627, sent and received;
//! RFC 5506; telephone events sent (RFC 4733); RFC 3611's times of receivers; RFC 8083; simulcast by RFC 8852's names; feedback on arrival by transport-wide numbers and by
//! RFC 8888; contributing sources with their levels (RFC 6464, RFC 6465); limits of bitrates by REMB, and for peers that know nothing else an estimate
//! on the receiving side that they are told by it ([`TransportFeedback::Remb`]); Google congestion control (draft-ietf-rmcat-gcc-02 and what has become usual since) over both kinds of
//! feedback, with marks of congestion answered as losses (RFC 3168, RFC 8511) or in proportion (RFC 9331), probing, a pacer with
//! padding, and an allocator ([`ControlConfig`]).
//!
//! Left to the caller: SRTP, sockets, descriptions, decoders and encoders. Not implemented: padding where there are no retransmissions with a source of their own; bounding sets of TMMBR with more than one member; frames of
//! audio are not stretched: who plays them does that.

mod bandwidth;
mod breaker;
mod clock;
mod codec;
mod encryption;
mod error;
mod later;
mod receive;
mod schedule;
mod send;
mod tap;
mod transform;
mod transport;

pub use bandwidth::{
    BandwidthConfig, BandwidthEstimator, Claim, Claimant, Gcc, Marking, PacketResult, Probe,
};
pub use breaker::Stop;
pub use clock::NtpClock;
pub use codec::Codec;
pub use encryption::{FrameDecryptor, FrameEncryptor};
pub use error::Discard;
pub use receive::{
    Content, Contribution, DelayLimits, Format, Frame, NackLimits, NackStats, Output, Received, Receiver,
    ReceiverConfig, ReceiverEvent, RecoveryLimits, StreamId, StreamStats, TrackStats,
};
pub use send::{
    EncodingConfig, EncodingStats, FecConfig, HistoryLimits, Layering, Numbering, OutgoingFrame, PacketKind,
    RedConfig, RemoteReport, SendError, Sender, SenderConfig, SenderEvent, SentLog, SentPacket, SharedPacket,
    SharedPackets, Told, ToneError, ToneFormat,
};
pub use sframe::{
    CipherSuite as FrameCipherSuite, KeyError as FrameKeyError, ReceiverConfig as FrameDecryptorConfig,
    ReceiverStats as FrameDecryptorStats,
};
pub use tap::{TAP_ROOM, Tap};
pub use transform::{EncodedFrame, EncodedTransform};
pub use transport::{
    ControlConfig, Event, PacerConfig, ReceiverId, Rtp, RtpConfig, RtpStats, SenderId, TransportFeedback,
};
