//! An ICE agent without I/O: connectivity checks ([RFC 8445]), trickled candidates (RFC 8838),
//! patience (RFC 8863), consent (RFC 7675).
//!
//! The agent checks; it does not gather: host, server-reflexive and relayed candidates are given to it.
//! It reads no clock and owns no thread. Two agents on one host, the caller moving bytes and time:
//!
//! ```
//! # use proto::{Arrival, Batch, Instant, Path};
//! # use ice::{Agent, Config, LocalCandidate, Role, State};
//! let mut now = Instant::from_nanos(0);
//! let mut config = Config::default();
//! let mut alice = Agent::new(now, config.clone(), [1; 32]);
//! config.role = Role::Controlled;
//! let mut bob = Agent::new(now, config, [2; 32]);
//!
//! // Signalling: credentials and candidates go to the other side.
//! alice.set_remote_credentials(now, bob.local_credentials().clone());
//! bob.set_remote_credentials(now, alice.local_credentials().clone());
//! let id = alice.add_local_candidate(now, LocalCandidate::host(([127, 0, 0, 1], 1).into()))?;
//! bob.add_remote_candidate(now, alice.candidate(id).ok_or("just added")?)?;
//! let id = bob.add_local_candidate(now, LocalCandidate::host(([127, 0, 0, 1], 2).into()))?;
//! alice.add_remote_candidate(now, bob.candidate(id).ok_or("just added")?)?;
//!
//! for _ in 0..20 {
//!     exchange(now, &mut alice, &mut bob);
//!     exchange(now, &mut bob, &mut alice);
//!     now += std::time::Duration::from_millis(50);
//! }
//! assert_eq!((alice.state(), bob.state()), (State::Connected, State::Connected));
//! assert_eq!(alice.selected_path().map(|path| path.remote.port()), Some(2));
//!
//! fn exchange(now: Instant, from: &mut Agent, to: &mut Agent) {
//!     let mut memory = [0; 1500];
//!     from.handle_timeout(now);
//!     loop {
//!         let mut batch = Batch::new(&mut memory, 1, 1200);
//!         let Some(transmit) = from.poll_transmit(now, &mut batch) else { break };
//!         let Path { carrier, local, remote } = transmit.path;
//!         let path = Path { carrier, local: remote, remote: local };
//!         let _ = to.handle_datagram(Arrival { path, ecn: None, at: now }, batch.bytes());
//!     }
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `agent`, `restart` | [`Agent`] and its commands |
//! | `inbound`, `outbound` | its datagrams in, its datagrams out |
//! | `nominate`, `prefer` | its timers, the choice of the path, its state; which pair is better |
//! | `lite` | what a lite agent does in place of checks |
//! | `tcp`, `routes`, `pacer` | its connections; the paths that are proved; the pace of many agents |
//! | `generation` | what a restart replaces: credentials, remote candidates, pairs, consent |
//! | `pair`, `consent`, `reply` | a pair with its check; a path's consent; responses that wait |
//! | `candidate`, `local`, `credentials` | what is signalled and what is gathered |
//! | `config`, `error`, `event`, `stats`, `census` | what goes in, what can go wrong, what comes out |
//!
//! # Scope
//!
//! Implemented: full and lite agents of one component; UDP, and TCP candidates that open connections or wait for them
//! (RFC 6544; simultaneous open is read and not used); trickle; regular nomination that measures, renomination as
//! libwebrtc has it, and nomination by an aggressive peer; restart that keeps the path until there is a new one.
//! Left to the caller: gathering, names, relays, connections and their framing.
//!
//! [RFC 8445]: https://www.rfc-editor.org/rfc/rfc8445

mod agent;
mod candidate;
mod census;
mod config;
mod consent;
mod credentials;
mod error;
mod event;
mod generation;
mod inbound;
mod lite;
mod local;
mod nominate;
mod outbound;
mod pacer;
mod pair;
mod prefer;
mod reply;
mod restart;
mod routes;
mod stats;
mod tcp;
mod timers;

pub use agent::Agent;
pub use candidate::{Address, Candidate, Kind, TcpType, Transport};
pub use census::{Census, LocalEntry, RemoteEntry, Traffic};
pub use config::{Config, Options};
pub use credentials::Credentials;
pub use error::{CandidateError, CredentialsError, Discard, ParseError};
pub use event::{Event, Failure, Role, Route, State};
pub use local::{CandidateId, LocalCandidate};
pub use pacer::Pacer;
pub use pair::PairState;
pub use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit};
pub use stats::{Counters, PairStats, Stats};
pub use stun::DecodeError;
pub use tcp::ConnectId;
pub use timers::Timers;
