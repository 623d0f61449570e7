use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit, Writer};

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
    /// The next event, in its `Debug` form.
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
