use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit, Writer};

use crate::Trace;
use crate::pair::reverse;

/// The calls that every protocol machine offers, so that one harness drives them all. A test wraps its
/// machine in a newtype and forwards.
pub trait Machine {
    /// A datagram arrived. Says whether it was taken; `false` stands for `Err(Discard)`.
    fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> bool;
    /// Time passed.
    fn handle_timeout(&mut self, now: Instant);
    /// What to send.
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit>;
    /// When to come back.
    fn poll_timeout(&self) -> Option<Instant>;
    /// The next event, in its `Debug` form; a wrapper that wants the event itself keeps a copy.
    fn poll_event(&mut self) -> Option<String>;
}

/// The time at which tests begin: not zero, so that a confusion of instants and durations shows.
pub const fn epoch() -> Instant {
    Instant::from_nanos(1_000_000_000_000)
}

/// A UDP path between two addresses, written as `"10.0.0.1:1"`.
///
/// # Panics
///
/// If either is not an address.
#[expect(clippy::expect_used, reason = "a panic is how a test fails")]
pub fn path(local: &str, remote: &str) -> Path {
    Path {
        carrier: Carrier::Udp,
        local: local.parse().expect("a socket address"),
        remote: remote.parse().expect("a socket address"),
    }
}

/// Turns `poll_packet` of a machine without addresses into a `poll_transmit` of one datagram.
pub fn transmit_packet(
    batch: &mut Batch<'_>,
    path: Path,
    poll_packet: impl FnOnce(&mut Writer<'_>) -> bool,
) -> Option<Transmit> {
    batch.append(|out| if poll_packet(out) { Ok(()) } else { Err(()) }).ok()?;
    batch.finish(path, None)
}

/// Takes everything that `machine` has to say at `now`: datagrams go to `send`, with the path as the
/// receiver sees it, and all of it to `trace`.
///
/// # Panics
///
/// If the machine goes on sending without end.
pub(crate) fn drain(
    machine: &mut impl Machine,
    now: Instant,
    max_datagram: usize,
    who: &str,
    trace: &mut Trace,
    mut send: impl FnMut(Path, &[u8]),
) {
    // Clearing as much for each call would take half of the time of a simulation.
    let mut memory = std::mem::take(&mut trace.memory);
    memory.resize(65_000, 0);
    for round in 0.. {
        assert!(round < MAX_ROUNDS, "{who} sends without end\n{trace}");
        let mut batch = Batch::new(&mut memory, 16, max_datagram);
        let Some(transmit) = machine.poll_transmit(now, &mut batch) else { break };
        let segment = transmit.segment_size.unwrap_or(transmit.len).max(1);
        for datagram in batch.bytes().chunks(segment) {
            trace.note(now, who, datagram);
            send(reverse(transmit.path), datagram);
        }
    }
    trace.memory = memory;
    while let Some(event) = machine.poll_event() {
        trace.note(now, who, event.as_bytes());
    }
}

/// Sends at one instant after which a machine counts as stuck: 16 datagrams each.
const MAX_ROUNDS: u32 = 100_000;
