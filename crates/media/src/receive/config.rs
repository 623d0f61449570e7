use std::time::Duration;

use rtp::extension::ExtensionMap;
use rtp::payload::Limits;
use rtp::{Mid, PayloadType, fec};

use super::delay::DelayLimits;
use super::nack::NackLimits;
use super::recovery::RecoveryLimits;
use crate::Codec;

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// Media.
    Media(Codec),
    /// Retransmissions (RFC 4588).
    Rtx {
        /// Of packets with this payload type.
        of: PayloadType,
    },
    /// Video with its repair inside (RFC 2198 around RFC 5109).
    Red,
    /// Packets of repair.
    Fec(fec::Format),
}

/// What a receiver gives out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Output {
    /// Frames, through a jitter buffer.
    #[default]
    Frames,
    /// Packets as they come, for forwarders.
    Packets,
    /// Packets as they come, and their frames besides: for forwarders that record, or look at what they forward.
    Both,
}

impl Output {
    /// Whether there are frames.
    pub const fn has_frames(self) -> bool {
        matches!(self, Self::Frames | Self::Both)
    }

    /// Whether there are packets.
    pub const fn has_packets(self) -> bool {
        matches!(self, Self::Packets | Self::Both)
    }
}

/// How a media section is received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceiverConfig {
    /// The name of the section.
    pub mid: Option<Mid>,
    /// The header extensions that both sides have agreed on.
    pub extensions: ExtensionMap,
    /// What payload types stand for; the first that is media has the clock of the section.
    pub formats: Vec<(PayloadType, Format)>,
    /// Parameter sets of H.264 and H.265 that come beside the stream (`sprop-parameter-sets`), with start codes, by payload types: they
    /// go before key frames that have none.
    pub parameter_sets: Vec<(PayloadType, Vec<u8>)>,
    /// What comes out.
    pub output: Output,
    /// Whether missing packets may be asked for (`nack`).
    pub nack: bool,
    /// Whether key frames may be asked for by PLI (`nack pli`).
    pub pli: bool,
    /// Whether key frames may be asked for by FIR (`ccm fir`). Used where PLI is not.
    pub fir: bool,
    /// Whether frames that follow a loss are left out until there is a key frame. `true` by default.
    pub wait_for_key_frame: bool,
    /// Streams at a time: 16 by default, more than simulcast has.
    pub max_streams: usize,
    /// Packets in a row, after the first, that make a source believed which nothing but its payload type speaks for: 1 by
    /// default (RFC 3550 A.1, MIN_SEQUENTIAL).
    pub probation: u16,
    /// After so long without a packet another source takes a stream over. 500 ms by default.
    pub takeover: Duration,
    /// The shortest time between two requests for a key frame of a stream. 500 ms by default.
    pub key_frame_interval: Duration,
    /// Contributing sources that are remembered for ten seconds: 64 by default. As many synchronization sources are as there may be streams.
    pub max_contributors: usize,
    /// What is asked for again.
    pub nack_limits: NackLimits,
    /// What is kept for repair.
    pub recovery: RecoveryLimits,
    /// What waits in the jitter buffer of a stream, and in a frame: 2,048 packets and 4 MiB by default.
    pub buffer: Limits,
    /// The delay of playout.
    pub delay: DelayLimits,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            mid: None,
            extensions: ExtensionMap::default(),
            formats: Vec::new(),
            parameter_sets: Vec::new(),
            output: Output::Frames,
            nack: true,
            pli: true,
            fir: false,
            wait_for_key_frame: true,
            max_streams: 16,
            probation: 1,
            takeover: Duration::from_millis(500),
            key_frame_interval: Duration::from_millis(500),
            max_contributors: 64,
            nack_limits: NackLimits::default(),
            recovery: RecoveryLimits::default(),
            buffer: Limits::default(),
            delay: DelayLimits::default(),
        }
    }
}

impl ReceiverConfig {
    /// What a payload type stands for.
    pub fn format(&self, payload_type: PayloadType) -> Option<Format> {
        self.formats.iter().find(|entry| entry.0 == payload_type).map(|entry| entry.1)
    }

    /// The parameter sets that come beside the stream.
    pub(crate) fn sets_of(&self, payload_type: PayloadType) -> &[u8] {
        let found = self.parameter_sets.iter().find(|(other, _)| *other == payload_type);
        found.map_or(&[], |(_, sets)| sets)
    }

    /// The codecs by their payload types.
    pub(crate) fn codecs(&self) -> impl Iterator<Item = (PayloadType, Codec)> + '_ {
        self.formats.iter().filter_map(|(payload_type, format)| match format {
            Format::Media(codec) => Some((*payload_type, *codec)),
            Format::Rtx { .. } | Format::Red | Format::Fec(_) => None,
        })
    }

    pub(crate) fn has_fec(&self) -> bool {
        self.formats.iter().any(|(_, format)| matches!(format, Format::Fec(_)))
    }

    /// Whether repair takes numbers of streams that are forwarded.
    pub(crate) fn forwards_around_repair(&self) -> bool {
        self.output.has_packets() && self.has_fec() && self.formats.iter().any(|(_, it)| *it == Format::Red)
    }

    pub(crate) fn is_video(&self) -> bool {
        self.codecs().next().is_some_and(|(_, codec)| codec.is_video())
    }

    /// The ticks of a second in the time of a packet: those of its codec (RFC 3550 §5.1).
    pub(crate) fn clock_rate_of(&self, payload_type: PayloadType) -> u32 {
        match self.format(payload_type) {
            Some(Format::Media(codec)) => codec.clock_rate(),
            Some(Format::Rtx { .. } | Format::Red | Format::Fec(_)) | None => self.clock_rate(),
        }
    }

    pub(crate) fn clock_rate(&self) -> u32 {
        self.codecs().next().map_or(1, |(_, codec)| codec.clock_rate())
    }
}
