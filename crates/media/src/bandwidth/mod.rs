//! What a path carries, estimated by who sends on it.

mod acknowledged;
mod allocator;
mod alr;
mod delay;
mod feedback;
mod gcc;
mod groups;
mod loss;
mod marks;
mod probe;
mod received;
mod rivals;
mod trend;

pub use allocator::{Claim, Claimant};
pub use gcc::Gcc;

pub(crate) use allocator::Allocator;
pub(crate) use feedback::FeedbackReader;
pub(crate) use received::ReceivedRate;

use std::fmt;
use std::time::Duration;

use proto::Instant;

use crate::SentPacket;

/// Estimates what a path carries, from what is sent and what the peer says of its arrival.
///
/// [`Rtp`](crate::Rtp) tells it of every packet and of all feedback, sends no faster than a multiple of the target, and sends the
/// probes that are asked for. [`Gcc`] is the one that is used by default. Rates are in bit/s, of RTP packets without what SRTP, UDP
/// and IP add.
pub trait BandwidthEstimator: fmt::Debug + Send {
    /// A packet was sent.
    fn handle_sent(&mut self, now: Instant, packet: &SentPacket);

    /// The peer told what became of packets, each once, in the order in which they were sent. One that was told of as lost may follow as
    /// one that arrived ([`SentPacket::told`]).
    fn handle_feedback(&mut self, now: Instant, results: &[PacketResult]);

    /// The peer reported on streams (RFC 3550 §6.4): so many of `expected` packets were lost since the reports before. It is all that
    /// some peers tell of a path.
    fn handle_report(&mut self, now: Instant, lost: u64, expected: u64) {
        let _ = (now, lost, expected);
    }

    /// The peer wants the rate to stay below this (REMB), or no longer wants that.
    fn set_remote_limit(&mut self, limit: Option<u64>);

    /// What all streams together could use: there is no reason to look for more.
    fn set_wanted(&mut self, bitrate: u64);

    /// Advances to `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    fn poll_timeout(&self) -> Option<Instant>;

    /// A probe that is to be sent now.
    fn poll_probe(&mut self, now: Instant) -> Option<Probe>;

    /// At what rate may be sent.
    fn target(&self) -> u64;

    /// At how many hundredths of the target packets may leave at most, and without bursts, where the path answers short queues.
    /// `None`: as the pacer is set.
    fn pacing(&self) -> Option<u64> {
        None
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PacketResult {
    /// What was sent, and when.
    pub packet: SentPacket,
    /// When it arrived, in nanoseconds by a clock of the peer that does not wrap. `None`: it is lost.
    pub arrival: Option<i64>,
    /// Whether it was marked on its way (RFC 3168 §5, CE).
    pub congestion: bool,
}

/// Packets sent faster than the target, for what they tell of the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Probe {
    /// Which probe: packets of it carry the number in [`SentPacket::probe`].
    pub id: u32,
    /// How fast, in bit/s.
    pub bitrate: u64,
    /// How many packets at least.
    pub min_packets: u32,
    /// How many bytes at least.
    pub min_bytes: u64,
}

/// Between what bounds an estimate stays, and how it answers marks.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BandwidthConfig {
    /// Never less, in bit/s: 30,000 by default, which speech still passes.
    pub min: u64,
    /// At first: 300,000 by default.
    pub start: u64,
    /// Never more: 50 Mbit/s by default.
    pub max: u64,
    /// With which marks packets are sent.
    pub marking: Marking,
    /// Whether a part of the path is kept beside flows that fill its queue, as downloads over TCP do: `true` by default. Then packets
    /// wait in that queue as long as they would anyway, and losses hold the rate in place of delays until those flows are gone. With
    /// `false` the rate falls to a tenth of the path beside them.
    pub competes: bool,
}

impl Default for BandwidthConfig {
    fn default() -> Self {
        Self { min: 30_000, start: 300_000, max: 50_000_000, marking: Marking::Classic, competes: true }
    }
}

/// What a mark of congestion means: that follows from how packets are marked when they leave.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Marking {
    /// ECT(0), or no mark: CE says what a loss says (RFC 3168 §5). The rate is cut to 85 % (RFC 8511 §3 has the cut for a mark milder
    /// than for a loss), and not again for what left before that had its effect (RFC 3168 §6.1.2).
    #[default]
    Classic,
    /// ECT(1) (L4S, RFC 9331 §4.3): marks are frequent and each says little. As often as with the other, the rate is cut by half the
    /// average share of marked packets, as DCTCP does (RFC 8257 §3.3).
    Scalable,
}

/// A rate as a whole number: what is no number is 0.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
pub(crate) const fn whole(rate: f64) -> u64 {
    rate as u64
}

/// A rate for calculations; above 2⁵³ it is rounded.
pub(crate) const fn real(rate: u64) -> f64 {
    rate as f64
}

/// Milliseconds with their fractions.
pub(crate) const fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
