//! WebRTC data channels ([RFC 8831]) and their establishment protocol ([RFC 8832]) on one SCTP association,
//! without I/O, clock or entropy.
//!
//! ```
//! use bytes::Bytes;
//! use datachannel::{Channels, Config, Event, Init, Instant, Kind, Outgoing, Role, Writer};
//!
//! let now = Instant::default();
//! let mut client = Channels::new(now, Config::default(), [1; 32]);
//! let mut server = Channels::new(now, Config::default(), [2; 32]);
//! let chat = client.open(now, Init { label: "chat".into(), ..Init::default() })?;
//! client.set_role(now, Role::Client); // known when DTLS has chosen
//! server.set_role(now, Role::Server);
//! client.send(now, chat, &mut Outgoing::text("hello"))?;
//!
//! let mut memory = [0; 1200];
//! for turn in 0..12 {
//!     let (from, to) = if turn % 2 == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
//!     let mut out = Writer::new(&mut memory);
//!     while from.poll_packet(now, &mut out) {
//!         to.handle_packet(now, out.written())?;
//!         out.truncate(0);
//!     }
//! }
//! assert_eq!(server.poll_event(), Some(Event::Connected));
//! let Some(Event::Incoming(channel)) = server.poll_event() else { return Err("no channel".into()) };
//! assert_eq!(server.label(channel), Some("chat"));
//! let message = server.recv(now, channel).ok_or("no message")?;
//! assert_eq!((message.kind, &message.data[..], message.end), (Kind::Text, &b"hello"[..], true));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | [`wire`] | the messages of the establishment protocol as bytes; usable alone |
//! | `channels` | the machine that owns the association (`channels/`: opening, reading, closing) |
//! | `slab` | [`ChannelId`] and the table behind it |
//! | `config`, `error`, `event`, `message` | what goes in, what can go wrong, what comes out |
//!
//! # Scope
//!
//! Implemented: channels opened in band and negotiated ones, all kinds of reliability, priorities, empty
//! messages, the deprecated PPIDs for parts of messages, closing by stream reset, both limits of message sizes
//! (RFC 8841). Left to the caller: DTLS below, SDP beside.
//!
//! [RFC 8831]: https://www.rfc-editor.org/rfc/rfc8831
//! [RFC 8832]: https://www.rfc-editor.org/rfc/rfc8832

mod by_stream;
mod channels;
mod config;
mod error;
mod event;
mod message;
mod slab;
pub mod wire;

pub use channels::{ChannelStats, Channels, Init, Role, State, Totals};
pub use config::Config;
pub use error::{DecodeError, OpenError, SendError};
pub use event::{ChannelError, Event};
pub use message::{Incoming, Kind, Outgoing};
pub use proto::{Instant, Writer};
pub use sctp::{CloseReason, Discard, Priority, Reliability, StreamId};
pub use slab::ChannelId;
