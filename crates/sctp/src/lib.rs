//! SCTP ([RFC 9260]) as WebRTC uses it ([RFC 8831]): one association without addresses, over anything that
//! keeps datagrams whole, with partial reliability (RFC 3758, RFC 7496) and stream reset (RFC 6525).
//!
//! The crate performs no I/O, reads no clock and draws no entropy. The caller moves packets and time:
//!
//! ```
//! use std::sync::Arc;
//! use bytes::Bytes;
//! use sctp::{Association, Config, Event, Instant, Ppid, StreamId, StreamOptions, Writer};
//!
//! let (config, now) = (Arc::new(Config::default()), Instant::default());
//! // In WebRTC both ends begin; one that only answers is `Association::server`.
//! let mut ends = [[1; 32], [2; 32]].map(|seed| Association::client(now, config.clone(), seed));
//! let stream = StreamId(0);
//! ends[0].open(stream, StreamOptions::default())?;
//! ends[0].send(now, stream, Ppid(51), &mut Bytes::from("hello"), true)?;
//!
//! let mut memory = [0; 1200];
//! for turn in 0..12 {
//!     let [a, b] = &mut ends;
//!     let (from, to) = if turn % 2 == 0 { (a, b) } else { (b, a) };
//!     let mut out = Writer::new(&mut memory);
//!     while from.poll_packet(now, &mut out) {
//!         to.handle_packet(now, out.written())?;
//!         out.truncate(0);
//!     }
//! }
//! assert_eq!(ends[1].poll_event(), Some(Event::Connected));
//! assert_eq!(ends[1].poll_event(), Some(Event::Readable(stream)));
//! let chunk = ends[1].recv(now, stream).ok_or("nothing")?;
//! assert_eq!((&chunk.data[..], chunk.end), (&b"hello"[..], true));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | [`wire`] | packets, chunks and parameters as bytes; usable alone |
//! | `association` | the state machine, and what it does on each chunk (`association/`) |
//! | `outbound`, `flight` | what waits to be sent and whose turn it is; what is sent and not acknowledged |
//! | `congestion`, `round_trip` | how much may be in flight, and for how long |
//! | `inbound`, `arena` | what has arrived, reassembly, the reader's queues; the memory for it |
//! | `cookie` | the State Cookie |
//! | `ids` | [`Tsn`], [`Ssn`], [`StreamId`], [`Ppid`], [`Priority`] |
//! | `config`, `error`, `event`, `stats` | what goes in, what can go wrong, what comes out |
//!
//! # Scope
//!
//! Implemented: RFC 9260 on a single path without addresses, INIT collision and restart included; RFC 3758
//! with both policies of RFC 7496 that WebRTC uses; the outgoing reset of RFC 6525; loss detection in the
//! manner of RFC 8985; probes for one larger packet size that the caller names (RFC 8899 in part, RFC 4820). Answered but
//! never asked for: the other requests of RFC 6525 (denied). Left to the
//! caller: encryption, path MTU (`set_max_packet`, `probe_packet`), path liveness. Not implemented: multi-homing and ASCONF
//! (RFC 5061), AUTH (RFC 4895), I-DATA (RFC 8260), zero checksum (RFC 9653).
//!
//! [RFC 9260]: https://www.rfc-editor.org/rfc/rfc9260
//! [RFC 8831]: https://www.rfc-editor.org/rfc/rfc8831

mod arena;
mod association;
mod config;
mod congestion;
mod cookie;
mod error;
mod event;
mod flight;
mod ids;
mod inbound;
mod outbound;
mod round_trip;
mod stats;
pub mod wire;

pub use association::Association;
pub use config::Config;
pub use error::{DecodeError, Discard, OpenError, SendError};
pub use event::{CloseReason, Direction, Event, Violation};
pub use ids::{Ppid, Priority, Ssn, StreamId, Tsn};
pub use inbound::Chunk;
pub use outbound::{Reliability, StreamOptions};
pub use proto::{Instant, Writer};
pub use stats::Stats;
