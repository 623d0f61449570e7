use std::time::Duration;

/// Figures of a transport.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RtpStats {
    /// Packets of RTP that were taken.
    pub packets: u64,
    /// Those that were refused.
    pub discarded: u64,
    /// Datagrams of RTCP that came.
    pub rtcp: u64,
    /// Packets in them that could not be read.
    pub malformed: u64,
    /// Datagrams of RTCP that were sent.
    pub rtcp_sent: u64,
    /// Packets that no feedback was given on, as too many waited or they came too late.
    pub feedback_dropped: u64,
    /// The round trip, as reports tell it.
    pub round_trip: Option<Duration>,
    /// Round trips that answers to our reference times have told (RFC 3611 §4.5): the last, how many, and all together.
    pub reference_round_trip: Option<Duration>,
    /// See there.
    pub reference_round_trips: u64,
    /// See there.
    pub reference_round_trip_total: Duration,
    /// Packets of feedback by RFC 8888 that were sent.
    pub ccfb_sent: u64,
    /// Those that came.
    pub ccfb_received: u64,
    /// How often the peer was told what the path carries (REMB).
    pub rembs_sent: u64,
}

impl RtpStats {
    /// Both together; round trips are those of this one, unless it knows none.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.wrapping_add(other.packets),
            discarded: self.discarded.wrapping_add(other.discarded),
            rtcp: self.rtcp.wrapping_add(other.rtcp),
            malformed: self.malformed.wrapping_add(other.malformed),
            rtcp_sent: self.rtcp_sent.wrapping_add(other.rtcp_sent),
            feedback_dropped: self.feedback_dropped.wrapping_add(other.feedback_dropped),
            round_trip: self.round_trip.or(other.round_trip),
            reference_round_trip: self.reference_round_trip.or(other.reference_round_trip),
            reference_round_trips: self.reference_round_trips.wrapping_add(other.reference_round_trips),
            reference_round_trip_total: self
                .reference_round_trip_total
                .saturating_add(other.reference_round_trip_total),
            ccfb_sent: self.ccfb_sent.wrapping_add(other.ccfb_sent),
            ccfb_received: self.ccfb_received.wrapping_add(other.ccfb_received),
            rembs_sent: self.rembs_sent.wrapping_add(other.rembs_sent),
        }
    }
}
