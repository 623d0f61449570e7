//! The vocabulary that all of Peerline's protocol crates share, and nothing else: bytes in
//! ([`Reader`]) and out ([`Writer`]), time ([`Instant`]), where datagrams come from and go to
//! ([`Path`], [`Arrival`], [`Transmit`]), and the caller's memory that they are written to ([`Batch`]).
//!
//! No I/O, no clock, no allocation, no dependencies.
//!
//! ```
//! use proto::{Batch, Carrier, NoSpace, Path, Reader};
//!
//! let path = Path { carrier: Carrier::Udp, local: ([127, 0, 0, 1], 4000).into(), remote: ([127, 0, 0, 1], 5000).into() };
//! let mut memory = [0; 4096];
//! // One system call's worth of datagrams: here at most two, of at most 1,200 bytes each.
//! let mut batch = Batch::new(&mut memory, 2, 1200);
//! batch.append(|out| out.put_u16(0x0102))?;
//! batch.append(|out| out.put_u16(0x0304))?;
//! let transmit = batch.finish(path, None).ok_or(NoSpace)?;
//! assert_eq!((transmit.len, transmit.segment_size), (4, Some(2)));
//!
//! let mut reader = Reader::new(batch.bytes());
//! assert_eq!(reader.u32(), Ok(0x0102_0304));
//! assert!(reader.is_empty());
//! # Ok::<_, NoSpace>(())
//! ```
//!
//! # Where things live
//!
//! | Module | Holds |
//! |--------|-------|
//! | `read`, `write` | big-endian cursors over borrowed memory |
//! | `time` | [`Instant`], nanoseconds since an epoch that the caller chooses |
//! | `path` | [`Carrier`], [`Path`], [`Ecn`], [`Arrival`] |
//! | `ssrc` | [`Ssrc`], which RTP and SRTP name streams by |
//! | `transmit` | [`Batch`] and [`Transmit`], one send with segmentation offload |
#![no_std]
#![deny(clippy::arithmetic_side_effects)]

#[cfg(test)]
extern crate std;

mod path;
mod read;
mod ssrc;
mod time;
mod transmit;
mod write;

pub use path::{Arrival, Carrier, Ecn, Path};
pub use read::{Reader, Truncated};
pub use ssrc::Ssrc;
pub use time::{Instant, sooner};
pub use transmit::{Batch, Transmit};
pub use write::{NoSpace, Writer};
