use std::time::Duration;

use rtp::extension::ExtensionMap;
use rtp::{Mid, PayloadType, Rid, Ssrc, fec};

use super::history::HistoryLimits;
use super::tones::ToneFormat;
use crate::Codec;

/// How a media section is sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SenderConfig {
    /// The name of the section.
    pub mid: Option<Mid>,
    /// The header extensions that both sides have agreed on.
    pub extensions: ExtensionMap,
    /// What payload type frames are sent with.
    pub payload_type: PayloadType,
    /// What frames are.
    pub codec: Codec,
    /// The payload type of retransmissions (RFC 4588). Without it they go as they went before.
    pub rtx: Option<PayloadType>,
    /// Whether packets are sent again when they are asked for (`nack`). `true` by default.
    pub nack: bool,
    /// Packets of repair.
    pub fec: Option<FecConfig>,
    /// Packets of frames go inside of RED, and with them ULPFEC, if that is their repair. Not beside FlexFEC, which protects what is
    /// sent as it is. Packets that are forwarded, and complete payloads, go as they are, and ULPFEC does not protect them: it takes
    /// numbers between those that it protects, and a forwarder keeps the numbers of others without a gap.
    pub red: Option<RedConfig>,
    /// Telephone events that the peer takes, with the clock of the codec. Of audio alone.
    pub tones: Option<ToneFormat>,
    /// As many tones wait to be played, at most. 256 by default.
    pub max_tones: usize,
    /// The streams: one, or one a layer with simulcast. One by default.
    pub encodings: Vec<EncodingConfig>,
    /// The longest packet, without what SRTP adds. 1,170 bytes by default: with its 16 to 20 bytes, UDP and IPv6, and a TURN
    /// channel, it passes a path of 1,280 bytes (RFC 8200 §5).
    pub max_packet: usize,
    /// The longest packet that is forwarded, or sent again: others make longer ones, and a retransmission is longer than what it
    /// repeats. 1,212 bytes.
    pub max_forwarded: usize,
    /// What is kept to be sent, and sent again.
    pub history: HistoryLimits,
    /// Retransmissions are at most so many hundredths of what is sent otherwise. 50 by default.
    pub retransmission_percent: usize,
    /// At most so many bytes of that are saved up. 128 KiB by default: the losses of a second of 1 Mbit/s.
    pub retransmission_burst: usize,
    /// The shortest time between two key frames that peers ask for. 500 ms by default.
    pub key_frame_interval: Duration,
    /// Bitrates that peers ask for are never taken as less, in bit/s: 10,000 by default, which speech still passes.
    pub min_bitrate: u64,
    /// Nor as more: 1 Gbit/s by default.
    pub max_bitrate: u64,
    /// Those who ask for limits of bitrates by TMMBR: 4 by default.
    pub max_limits: usize,
    /// Whether the circuit breaker stops the sender (RFC 8083). `true` by default.
    pub circuit_breaker: bool,
}

/// A stream of a section.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EncodingConfig {
    /// Its name, with simulcast.
    pub rid: Option<Rid>,
    /// Its source, if it was chosen already; those of retransmissions and of repair likewise.
    pub ssrc: Option<Ssrc>,
    /// Of retransmissions.
    pub rtx_ssrc: Option<Ssrc>,
    /// Of repair.
    pub fec_ssrc: Option<Ssrc>,
    /// Where a sender that had these sources has left off, if there was one ([`Sender::numbering`](crate::Sender::numbering)).
    pub numbering: Option<Numbering>,
}

/// How far the numbers of a source have come. Whoever goes on with the source goes on behind them: under one key SRTP takes no number
/// twice (RFC 3711 §9.1), and nothing far behind the last one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Numbering {
    pub(crate) next: u64,
    pub(crate) next_rtx: u64,
    pub(crate) next_fec: u64,
    pub(crate) timestamp_offset: u32,
}

impl EncodingConfig {
    /// A stream with a name.
    pub fn named(rid: Rid) -> Self {
        Self { rid: Some(rid), ..Self::default() }
    }
}

/// Redundant payloads (RFC 2198) with one block each, the primary: what browsers put video and its ULPFEC into (RFC 5109 §14).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RedConfig {
    /// Their payload type.
    pub payload_type: PayloadType,
    /// The payload type of retransmissions with RED inside (RFC 4588). Without it what was lost is sent again outside of RED, with
    /// that of its codec's retransmissions ([`SenderConfig::rtx`]).
    pub rtx: Option<PayloadType>,
}

/// Packets of repair: FlexFEC with a source of its own, or ULPFEC in the stream that it protects.
#[derive(Clone, Copy, Debug)]
pub struct FecConfig {
    /// How they tell what they protect. ULPFEC needs RED, too, and is not sent without.
    pub format: fec::Format,
    /// Their payload type.
    pub payload_type: PayloadType,
    /// So many packets share one of repair: 2 to 48. Frames of at least half as many have one of their own.
    ///
    /// FlexFEC follows the end of a frame: up to half as many more share a repair where that ends with them, and shorter frames share
    /// one within 45 ms, or a round trip where lost packets are asked for again. So repair is one packet of at least two, and of
    /// large frames one of ten to fourteen where this is 10. ULPFEC follows the last packet of a picture, that of all its packets: in
    /// a longer one they are divided evenly.
    pub group: usize,
}

impl FecConfig {
    /// How many packets share one of repair.
    pub(super) fn packets(&self) -> usize {
        self.group.clamp(2, MAX_GROUP)
    }
}

impl SenderConfig {
    /// Repair with a source of its own.
    pub(super) fn flexfec(&self) -> Option<FecConfig> {
        self.fec.filter(|fec| fec.format != fec::Format::Ulp)
    }

    /// Repair inside of RED.
    pub(super) fn ulpfec(&self) -> Option<(FecConfig, RedConfig)> {
        self.fec.filter(|fec| fec.format == fec::Format::Ulp).zip(self.red)
    }

    /// What packets of frames go into.
    pub(super) fn red(&self) -> Option<RedConfig> {
        self.red.filter(|_| self.flexfec().is_none())
    }
}

/// RFC 5109 §7.3 spans 48 packets.
const MAX_GROUP: usize = 48;

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            mid: None,
            extensions: ExtensionMap::default(),
            payload_type: PayloadType::default(),
            codec: Codec::Opus,
            rtx: None,
            nack: true,
            fec: None,
            red: None,
            tones: None,
            max_tones: 256,
            encodings: vec![EncodingConfig::default()],
            max_packet: 1170,
            max_forwarded: 1212,
            history: HistoryLimits::default(),
            retransmission_percent: 50,
            retransmission_burst: 128 << 10,
            key_frame_interval: Duration::from_millis(500),
            min_bitrate: 10_000,
            max_bitrate: 1_000_000_000,
            max_limits: 4,
            circuit_breaker: true,
        }
    }
}
