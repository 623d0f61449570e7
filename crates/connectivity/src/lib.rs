//! One path to a peer, without I/O: an ICE agent, gathering of host and server-reflexive candidates,
//! and the datagrams of whatever runs above (DTLS, a VPN).
//!
//! The caller binds sockets, resolves names, and moves bytes and time:
//!
//! ```
//! # use proto::{Batch, Instant, NoSpace};
//! # use connectivity::{Config, Connectivity, Event, SendError};
//! let now = Instant::from_nanos(0);
//! let mut connectivity = Connectivity::new(now, Config::default(), [1; 32]);
//! connectivity.add_host(now, ([192, 0, 2, 1], 4000).into())?;
//! connectivity.gather(now);
//! let Some(Event::Candidate(candidate)) = connectivity.poll_event() else { panic!("a host candidate") };
//! assert!(candidate.to_string().contains("192.0.2.1 4000 typ host"));
//! assert_eq!(connectivity.poll_event(), Some(Event::GatheringDone));
//!
//! // Signal the candidate and `local_credentials`, take the peer's, drain, and wait for `PathSelected`.
//! let mut memory = [0; 1500];
//! let mut batch = Batch::new(&mut memory, 1, connectivity.max_datagram());
//! let sent = connectivity.send_with(now, &mut batch, |out| Ok::<_, SendError>(out.put(b"hello")?));
//! assert_eq!(sent, Err(SendError::NoPath));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `connectivity` | [`Connectivity`] and its commands |
//! | `candidates` | what the peer is told of our addresses, and which of its own are used |
//! | `census` | what statistics are made of |
//! | `tcp`, `framing` | TCP candidates (RFC 6544); datagrams on a byte stream (RFC 4571) |
//! | `gather` | the STUN clients, a server and a base each |
//! | `relay` | the TURN clients, and datagrams through them |
//! | `names` | `.local` names that the peer gave in place of addresses |
//! | `privacy` | host addresses of ours behind names, and reports without them |
//! | `report` | [`Report`]: why it is not connected, and what to try |
//! | `config`, `error`, `event` | what goes in, what can go wrong, what comes out |
//!
//! # Scope
//!
//! Implemented: host, server-reflexive and relayed candidates over UDP of both families, host candidates over TCP,
//! trickle, restart; external addresses of NATs that forward every port, hidden host candidates, relays alone; remote
//! `.local` names, and names in place of our host addresses. Not yet: path MTU discovery.
//! Left to the caller: sockets, DNS and multicast DNS, interfaces.

mod candidates;
mod census;
mod config;
mod connectivity;
mod error;
mod event;
mod framing;
mod gather;
mod names;
mod privacy;
mod relay;
mod report;
mod tcp;

pub use census::{Census, Entry as CensusEntry};
pub use config::{Config, ExternalAddress};
pub use connectivity::{Connectivity, Received};
pub use error::{CandidateError, Discard, SendError};
pub use event::Event;
pub use framing::{Deframer, FrameTooLong, frame_header};
pub use ice::{Candidate, ConnectId, Credentials, CredentialsError, Failure, Kind, Role, Route, State};
pub use mdns::LocalName;
pub use names::{NameFailure, NameState};
pub use proto::{Arrival, Batch, Carrier, Instant, NoSpace, Path, Transmit, Writer};
pub use relay::{Relays, TurnServer};
pub use report::{RelayReport, Report, ServerReport, Timers};
pub use turn::PeerPolicy as AddressPolicy;
pub use turn::wire::{FrameError, frame_len};
