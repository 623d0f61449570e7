use std::sync::{Arc, LazyLock};

use ::media::{BandwidthConfig, HistoryLimits, Output};
use rtp::PayloadType;
use rtp::extension::Kind;

use super::{Codec, Feedback, MediaKind};

/// Which codecs and header extensions are offered and answered.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MediaConfig {
    /// Codecs, the preferred first. Default: Opus, G.722, PCMU, PCMA, telephone-event; VP8, VP9, H.264 (constrained
    /// baseline in mode 1), AV1, H.265, each with retransmissions and with feedback by `nack`, `nack pli`, `ccm fir`,
    /// `goog-remb` and `transport-cc`.
    pub codecs: Vec<Codec>,
    /// Header extensions. Default: names of sections and streams, absolute send times, transport-wide numbers, audio
    /// levels; of video orientation and dependency descriptors.
    pub extensions: Vec<ExtensionUse>,
}

/// How frames are sent and received.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FrameConfig {
    /// What comes of a transceiver unless [`set_output`](crate::Session::set_output) says otherwise. Default: frames.
    pub output: Output,
    /// Bounds of the estimate of what the path carries. Default: 30 kbit/s to 50 Mbit/s, from 300 kbit/s on.
    pub bandwidth: BandwidthConfig,
    /// What each stream keeps to be sent, and sent again. Default: 2,048 packets, 4 MiB, 2 s.
    pub history: HistoryLimits,
    /// What waits in the jitter buffer of each stream, and in a frame. Default: 2,048 packets and 4 MiB.
    pub buffer: rtp::payload::Limits,
    /// Tones that wait to be played by [`insert_dtmf`](crate::Session::insert_dtmf), of each transceiver. Default: 256.
    pub max_tones: usize,
    /// Whether a stream that does harm is stopped (RFC 8083). Default: yes.
    pub circuit_breaker: bool,
}

impl Default for FrameConfig {
    fn default() -> Self {
        Self {
            output: Output::default(),
            bandwidth: BandwidthConfig::default(),
            history: HistoryLimits::default(),
            buffer: rtp::payload::Limits::default(),
            max_tones: 256,
            circuit_breaker: true,
        }
    }
}

/// A header extension, and for what it is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExtensionUse {
    /// Which.
    pub kind: Kind,
    /// Whether with audio.
    pub audio: bool,
    /// Whether with video.
    pub video: bool,
}

impl ExtensionUse {
    /// With audio, with video, or both.
    pub const fn new(kind: Kind, audio: bool, video: bool) -> Self {
        Self { kind, audio, video }
    }

    /// Whether it is used with this kind of media.
    pub const fn is_for(&self, media: MediaKind) -> bool {
        match media {
            MediaKind::Audio => self.audio,
            MediaKind::Video => self.video,
        }
    }
}

impl MediaConfig {
    /// The defaults, of which there is one value for all sessions.
    pub(crate) fn shared() -> &'static Arc<Self> {
        static DEFAULT: LazyLock<Arc<MediaConfig>> = LazyLock::new(Arc::default);
        &DEFAULT
    }

    /// The codecs of one kind.
    pub(crate) fn codecs(&self, kind: MediaKind) -> impl Iterator<Item = &Codec> + Clone {
        self.codecs.iter().filter(move |codec| codec.kind == kind)
    }

    /// The extensions of one kind of media.
    pub(crate) fn extensions(&self, kind: MediaKind) -> impl Iterator<Item = &ExtensionUse> {
        self.extensions.iter().filter(move |extension| extension.is_for(kind))
    }
}

impl Default for MediaConfig {
    fn default() -> Self {
        let rows = AUDIO.iter().chain(VIDEO).filter_map(|row| {
            let mut codec = Codec::new(row.kind, row.name, row.clock_rate, row.payload_type)?;
            codec.channels = row.channels;
            codec.parameters = row.parameters.into();
            codec.feedback = row.feedback;
            codec.rtx = row.rtx.and_then(PayloadType::new);
            Some(codec)
        });
        let extensions = [
            ExtensionUse::new(Kind::Mid, true, true),
            ExtensionUse::new(Kind::AbsSendTime, true, true),
            ExtensionUse::new(Kind::TransportSequence, true, true),
            ExtensionUse::new(Kind::AudioLevel, true, false),
            ExtensionUse::new(Kind::Rid, false, true),
            ExtensionUse::new(Kind::RepairedRid, false, true),
            ExtensionUse::new(Kind::VideoOrientation, false, true),
            ExtensionUse::new(Kind::DependencyDescriptor, false, true),
        ];
        Self { codecs: rows.collect(), extensions: extensions.to_vec() }
    }
}

/// A codec of the defaults.
struct Row {
    kind: MediaKind,
    name: &'static str,
    clock_rate: u32,
    channels: u8,
    payload_type: u8,
    rtx: Option<u8>,
    parameters: &'static str,
    feedback: Feedback,
}

const fn audio(
    name: &'static str,
    clock_rate: u32,
    channels: u8,
    payload_type: u8,
    parameters: &'static str,
) -> Row {
    let kind = MediaKind::Audio;
    Row { kind, name, clock_rate, channels, payload_type, rtx: None, parameters, feedback: Feedback::NONE }
}

const fn video(name: &'static str, payload_type: u8, rtx: u8, parameters: &'static str) -> Row {
    Row {
        kind: MediaKind::Video,
        name,
        clock_rate: 90_000,
        channels: 1,
        payload_type,
        rtx: Some(rtx),
        parameters,
        feedback: Feedback::VIDEO,
    }
}

/// Payload types as Chromium offers them; those below 35 are of RFC 3551 §6.
const AUDIO: &[Row] = &[
    Row { feedback: Feedback::TRANSPORT_CC, ..audio("opus", 48_000, 2, 111, "minptime=10;useinbandfec=1") },
    audio("G722", 8000, 1, 9, ""),
    audio("PCMU", 8000, 1, 0, ""),
    audio("PCMA", 8000, 1, 8, ""),
    audio("telephone-event", 48_000, 1, 110, "0-15"),
    audio("telephone-event", 8000, 1, 126, "0-15"),
];

const VIDEO: &[Row] = &[
    video("VP8", 96, 97, ""),
    video("VP9", 98, 99, "profile-id=0"),
    video("H264", 102, 103, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    video("AV1", 45, 46, "level-idx=5;profile=0;tier=0"),
    video("H265", 49, 50, "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"),
];
