use std::time::Duration;

/// Counters since the association began, and its state of the moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets written.
    pub packets_sent: u64,
    /// Packets taken.
    pub packets_received: u64,
    /// Packets refused, in whole or in part.
    pub packets_discarded: u64,
    /// Payload bytes written, without retransmissions.
    pub bytes_sent: u64,
    /// Payload bytes taken, without duplicates.
    pub bytes_received: u64,
    /// DATA chunks sent again.
    pub retransmissions: u64,
    /// Times that T3-rtx expired.
    pub timeouts: u64,
    /// Loss events that were found without a time-out.
    pub loss_events: u64,
    /// Packets that were sent to have the tail of a flight acknowledged, regardless of the congestion window.
    pub probes: u64,
    /// DATA chunks that had arrived before.
    pub duplicates: u64,
    /// DATA chunks refused for want of room.
    pub no_room: u64,
    /// Messages or parts of them that were given up.
    pub abandoned: u64,
    /// Chunks and parameters of unknown types.
    pub unknown_chunks: u64,
    /// Bytes that the congestion window allows in flight.
    pub congestion_window: usize,
    /// Bytes in flight.
    pub in_flight: usize,
    /// The window that the peer announced last, in bytes.
    pub peer_window: u32,
    /// The smoothed round-trip time.
    pub round_trip: Option<Duration>,
}
