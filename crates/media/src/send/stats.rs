use std::sync::LazyLock;
use std::time::Duration;

use rtp::rtcp::ReportBlock;

use crate::later::Blank;

/// What a receiver said last of a stream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RemoteReport {
    /// The block.
    pub block: ReportBlock,
    /// The round trip, once it is known.
    pub round_trip: Option<Duration>,
    /// Blocks that came.
    pub count: u64,
    /// Those that told a round trip.
    pub round_trips: u64,
    /// All of these together.
    pub total_round_trip: Duration,
    /// How many packets have come there, by the numbers in the block.
    pub received: u64,
}

/// What reports tell that the reports before did not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Losses {
    pub(crate) lost: u64,
    /// Packets that were sent in the meantime.
    pub(crate) expected: u64,
}

impl Losses {
    /// Since the block `before`; of the first block all of the `expected` packets.
    pub(crate) fn since(before: Option<ReportBlock>, block: &ReportBlock, expected: i64) -> Self {
        let lost = i64::from(block.cumulative_lost);
        let (expected, lost) = before.map_or((expected, lost), |before| {
            let highest = i64::from(block.highest_sequence) - i64::from(before.highest_sequence);
            (highest, lost - i64::from(before.cumulative_lost))
        });
        let [expected, lost] = [expected, lost].map(|count| u64::try_from(count).unwrap_or(0));
        Self { lost: lost.min(expected), expected }
    }

    pub(crate) const fn add(&mut self, other: Self) {
        self.lost = self.lost.saturating_add(other.lost);
        self.expected = self.expected.saturating_add(other.expected);
    }
}

/// What was sent of a stream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct EncodingStats {
    /// Packets, retransmissions and repair among them.
    pub packets: u64,
    /// Bytes of payload in them.
    pub bytes: u64,
    /// Bytes of headers and padding in them.
    pub header_bytes: u64,
    /// Frames.
    pub frames: u64,
    /// Bytes of them, before they were divided.
    pub frame_bytes: u64,
    /// Frames that were at least two and a half times as long as those before on average.
    pub huge_frames: u64,
    /// For how long packets waited before they were sent for the first time, together.
    pub waited: Duration,
    /// Retransmissions.
    pub retransmitted_packets: u64,
    /// Bytes of payload in them.
    pub retransmitted_bytes: u64,
    /// Retransmissions that nobody asked for: padding.
    pub padding_packets: u64,
    /// Bytes of payload in them.
    pub padding_bytes: u64,
    /// Packets that were asked for and could not or may not be sent again.
    pub refused: u64,
    /// Packets of repair.
    pub repairs: u64,
    /// Groups of packets without one, as it would have been longer than the path carries.
    pub unrepaired: u64,
    /// Frames that were left out because a tone was played in their place.
    pub muted: u64,
    /// NACKs, PLIs and FIRs that came.
    pub nacks: u64,
    /// See there.
    pub plis: u64,
    /// See there.
    pub firs: u64,
    /// Packets under the source of the stream, and bytes of their payloads: what sender reports tell.
    pub(super) media: (u32, u32),
}

impl Blank for RemoteReport {
    fn blank() -> &'static Self {
        static NONE: LazyLock<RemoteReport> = LazyLock::new(RemoteReport::default);
        &NONE
    }
}

impl Blank for EncodingStats {
    fn blank() -> &'static Self {
        static NONE: LazyLock<EncodingStats> = LazyLock::new(EncodingStats::default);
        &NONE
    }
}
