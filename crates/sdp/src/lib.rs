//! SDP ([RFC 8866]) as WebRTC uses it ([RFC 9429]): what is read is kept to the byte, what is known is typed.
//!
//! ```
//! use sdp::{Media, MediaKind, SessionDescription, Setup};
//!
//! let text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
//!             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
//!             a=mid:0\r\na=setup:actpass\r\na=sctp-port:5000\r\na=x-own:kept\r\n";
//! let description = SessionDescription::parse(text)?;
//! let media = description.media().next().expect("one section");
//! assert_eq!(media.kind(), MediaKind::Application);
//! assert_eq!((media.mid(), media.setup(), media.sctp_port()), (Some("0"), Some(Setup::ActPass), Some(5000)));
//! assert_eq!(description.to_string(), text);
//!
//! let error = SessionDescription::parse(&text.replace("actpass", "maybe")).unwrap_err();
//! assert_eq!(error.to_string(), "line 8: `a=setup` has no value that RFC 4145 knows");
//! # Ok::<_, sdp::ParseError>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `lines` | [`Lines`]: any SDP as borrowed lines |
//! | `description` | [`SessionDescription`]: owned lines, checked once, changed in place |
//! | `media` | [`Media`]: the typed view of one media section |
//! | `attribute`, `rtp` | [`Attribute`] and the values it holds |
//! | `packed` | [`PackedDescription`]: one that is only kept, in little memory |
//! | `builder` | [`Builder`]: a description from scratch |
//! | `limits`, `error` | how much is read, and what can be wrong, by line |
//!
//! # Scope
//!
//! The grammar of RFC 8866 as far as lines go; typed: origin, media descriptions, grouping (RFC 5888,
//! RFC 9143), ICE (RFC 8839), DTLS (RFC 8122, RFC 8842), SCTP (RFC 8841), directions, payload formats with their
//! parameters and feedback (RFC 8866, RFC 4585), header extensions (RFC 8285), streams by name (RFC 8851, RFC 8853),
//! by source (RFC 5576) and by track (RFC 8830), RTCP (RFC 3605, RFC 5761, RFC 8858, RFC 5506), bandwidth.
//! Other attributes are kept as text. Left to the caller: what an offer and its answer mean for each other; candidates
//! stay text, which `ice` parses.
//!
//! Tolerated, since it is met: LF without CR, a missing last line end, missing `s=` and `t=` lines,
//! white space at the end of a line.
//!
//! [RFC 8866]: https://www.rfc-editor.org/rfc/rfc8866
//! [RFC 9429]: https://www.rfc-editor.org/rfc/rfc9429

mod attribute;
mod builder;
mod description;
mod error;
mod limits;
mod lines;
mod media;
mod packed;
mod rtp;

pub use attribute::{Attribute, Direction, Fingerprint, Group, Setup};
pub use builder::{Builder, MediaLine};
pub use description::{Origin, SessionDescription};
pub use error::{ParseError, ParseErrorKind};
pub use limits::Limits;
pub use lines::{Line, Lines};
pub use media::{Bandwidth, Media, MediaKind};
pub use packed::PackedDescription;
pub use rtp::{
    ExtMap, Fmtp, Msid, Rid, Rtcp, RtcpFeedback, RtpMap, Simulcast, Source, SourceGroup, StreamDirection,
    format_parameters,
};
