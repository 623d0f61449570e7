//! What the tests of all crates share, so that one set of faults and one set of rules holds for every
//! protocol machine. For tests only: nothing here ships.
//!
//! Two machines over a link that loses a fifth of the datagrams, replayable from a seed:
//!
//! ```
//! use std::time::Duration;
//! use testkit::{Link, Machine, Pair};
//! # use proto::{Arrival, Batch, Instant, Transmit};
//! # /// Sends a counter every second.
//! # struct Beacon { next: Instant, heard: u32 }
//! # impl Machine for Beacon {
//! #     fn handle_datagram(&mut self, _: Arrival, _: &mut [u8]) -> bool { self.heard += 1; true }
//! #     fn handle_timeout(&mut self, _: Instant) {}
//! #     fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
//! #         if now < self.next { return None }
//! #         testkit::transmit_packet(batch, testkit::path("10.0.0.1:1", "10.0.0.2:1"), |out| out.put_u8(1).is_ok()).inspect(|_| self.next = now + Duration::from_secs(1))
//! #     }
//! #     fn poll_timeout(&self) -> Option<Instant> { Some(self.next) }
//! #     fn poll_event(&mut self) -> Option<String> { None }
//! # }
//! # let beacon = || Beacon { next: testkit::epoch(), heard: 0 };
//! let link = Link { loss: 0.2, delay: Duration::from_millis(30), ..Link::default() };
//! let mut pair = Pair::new(beacon(), beacon(), link, [7; 32]);
//! pair.run(Duration::from_secs(100), |_| false);
//! assert!((60..100).contains(&pair.b.heard));
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `machine` | [`Machine`], the calls that every protocol machine offers, and small helpers |
//! | [`conformance`] | the rules of `docs/architecture.md` that hold for every machine, checked |
//! | `link` | [`Link`] and [`Pipe`]: delay, jitter, loss, duplication, reordering, corruption, bandwidth, MTU |
//! | `pair` | [`Pair`], two machines and a link each way |
//! | `nat` | [`Nat`], translation and filtering as RFC 4787 names them, and firewalls |
//! | [`reach`] | which hosts can meet directly through their NATs, by theory |
//! | `network` | [`Network`], any number of hosts behind any number of NATs |
//! | `scale` | [`scaled`], how much of a long test is run |
//! | `python` | [`python`], an interpreter that has what a test needs |
//! | `capture` | [`Capture`], packets for dissectors that others have written |
//! | `trace` | [`Trace`], the fingerprint of a run |
//! | `world` | [`World`], which runs machines on the hosts of a network, and puts them to sleep |
//! | `null` | [`null_provider`], cryptography that costs and proves nothing |

mod capture;
pub mod conformance;
mod link;
mod machine;
mod nat;
mod network;
mod null;
mod pair;
mod python;
pub mod reach;
mod scale;
mod trace;
mod world;

pub use capture::Capture;
pub use link::{Bursts, Link, Pipe};
pub use machine::{Machine, epoch, path, transmit_packet};
pub use nat::{Dependence, Nat, Passage, Ports};
pub use network::{HostId, Lan, Network};
pub use null::null_provider;
pub use pair::Pair;
pub use python::python;
pub use scale::{scaled, scaled_at_least};
pub use trace::Trace;
pub use world::World;
