//! Multicast DNS ([RFC 6762]) for ICE candidates: the addresses of `.local` names are asked for, and
//! addresses of ours are hidden behind random names that we answer for, as the
//! [draft on mDNS candidates] has it.
//!
//! The crate performs no I/O, reads no clock and owns no thread. The caller moves bytes and time:
//!
//! ```
//! # use mdns::{Arrival, Batch, Config, Event, Instant, Link, Path, Querier, Responder, wire};
//! # let mut now = Instant::from_nanos(0);
//! let network = ([192, 0, 2, 0].into(), 24);
//! let link = |host| Link::new(([192, 0, 2, host], mdns::PORT).into()).with_network(network.0, network.1);
//!
//! // One host hides its address behind a name, and the other is told the name in a candidate.
//! let mut responder = Responder::new(now, Config::default(), [7; 32]);
//! responder.add_link(link(1))?;
//! let name = responder.announce(now, [192, 0, 2, 1].into())?;
//!
//! let mut querier = Querier::new(now, Config::default());
//! querier.add_link(link(2))?;
//! let query = querier.resolve(now, name.to_string().parse()?)?;
//!
//! let mut memory = [0; 1500];
//! let mut batch = Batch::new(&mut memory, 1, 1500);
//! let transmit = querier.poll_transmit(now, &mut batch).ok_or("a question")?;
//! assert_eq!(transmit.path.remote, ([224, 0, 0, 251], 5353).into());
//!
//! // On the other host, on its socket for this link:
//! assert!(!wire::is_response(batch.bytes()));
//! let path = Path { local: link(1).local(), remote: link(2).local(), ..transmit.path };
//! responder.handle_datagram(Arrival { path, ecn: None, at: now }, batch.bytes())?;
//! batch.clear();
//! let transmit = responder.poll_transmit(now, &mut batch).ok_or("an answer")?;
//!
//! let path = Path { local: link(2).local(), remote: link(1).local(), ..transmit.path };
//! querier.handle_datagram(Arrival { path, ecn: None, at: now }, batch.bytes())?;
//! assert_eq!(querier.poll_event(), Some(Event::Resolved(query, [192, 0, 2, 1].into())));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | [`wire`] | messages and records as bytes; usable alone |
//! | `local_name` | [`LocalName`]: one label under `.local` |
//! | `link` | [`Link`]: a socket, and which addresses are its neighbours |
//! | `querier` | [`Querier`]: asks for the addresses of names |
//! | `responder` | [`Responder`]: makes names for addresses, and answers for them |
//! | `reply` | the bytes of answers |
//! | `config`, `error`, `event` | what goes in, what can go wrong, what comes out |
//!
//! # Scope
//!
//! Implemented: questions for A and AAAA records with their retransmission; answers by multicast, by
//! unicast, and to askers that know only plain DNS; denial of the types that a name does not have;
//! suppression of answers that the asker knows; announcement and goodbye. A querier keeps one address for
//! a name, as names of candidates have one. Left to the caller: sockets, interfaces, and how many names a
//! peer may have us ask for. Not implemented: probing and conflicts, since a random name of 122 bits is
//! nobody else's but by forgery; services (RFC 6763); questions and answers of more than one message.
//!
//! Nothing in multicast DNS is authenticated: any host of the link can answer for any name. Who is met at
//! an address is for DTLS to find out.
//!
//! [RFC 6762]: https://www.rfc-editor.org/rfc/rfc6762
//! [draft on mDNS candidates]: https://datatracker.ietf.org/doc/draft-ietf-mmusic-mdns-ice-candidates/

mod config;
mod error;
mod event;
mod link;
mod local_name;
mod querier;
mod reply;
mod responder;
pub mod wire;

pub use config::Config;
pub use error::{CommandError, DecodeError, Discard};
pub use event::{Event, Stats};
pub use link::{GROUP_V4, GROUP_V6, Link, PORT};
pub use local_name::{LocalName, NameError};
pub use proto::{Arrival, Batch, Carrier, Instant, NoSpace, Path, Transmit, Writer};
pub use querier::{Querier, QueryId};
pub use responder::Responder;
