//! The stacks behind one trait.

pub mod ours;
pub mod ours_sctp;
pub mod rtc;
pub mod rtc_sctp;
pub mod sctp_proto;
pub mod str0m;

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::pair::Datagram;

/// Gives up to `most` of what waits to `deliver`.
fn drain(waiting: &mut VecDeque<Bytes>, most: usize, deliver: &mut dyn FnMut(Datagram<'_>)) -> usize {
    let count = waiting.len().min(most);
    waiting.drain(..count).for_each(|bytes| deliver(Datagram::Owned(bytes)));
    count
}

/// Where the two ends are.
fn address(is_first: bool) -> SocketAddr {
    if is_first { ([10, 0, 0, 1], 1000).into() } else { ([10, 0, 0, 2], 2000).into() }
}
