use rtp::PayloadType;
use rtp::payload::{
    Broken, Discard, Frame, Framing, Limits, Outline, Payload, av1, g711, h264, h265, opus, red, vp8, vp9,
};

/// What a payload format is, as far as the machines care.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Codec {
    /// Opus (RFC 7587).
    Opus,
    /// PCMU or PCMA (RFC 3551).
    G711,
    /// G.722 (RFC 3551), whose clock has 8,000 ticks a second.
    G722,
    /// Redundant audio (RFC 2198) of the encoding with this payload type, whose clock has `clock_rate` ticks a second.
    RedundantAudio {
        /// What is repeated.
        primary: PayloadType,
        /// Ticks a second.
        clock_rate: u32,
    },
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184); frames have start codes.
    H264,
    /// H.265 (RFC 7798); frames have start codes.
    H265,
    /// AV1.
    Av1,
    /// Audio of which each payload is a frame: comfort noise, telephone events, formats of a program's own.
    OtherAudio {
        /// Ticks a second.
        clock_rate: u32,
    },
    /// Video of which each payload is a frame.
    OtherVideo {
        /// Ticks a second.
        clock_rate: u32,
    },
}

impl Codec {
    /// Ticks a second of the timestamps.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => opus::CLOCK_RATE,
            Self::G711 | Self::G722 => g711::CLOCK_RATE,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 => VIDEO_CLOCK_RATE,
            Self::RedundantAudio { clock_rate, .. }
            | Self::OtherAudio { clock_rate }
            | Self::OtherVideo { clock_rate } => clock_rate,
        }
    }

    /// Video rather than audio.
    pub const fn is_video(self) -> bool {
        match self {
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 | Self::OtherVideo { .. } => true,
            Self::Opus | Self::G711 | Self::G722 | Self::RedundantAudio { .. } | Self::OtherAudio { .. } => {
                false
            }
        }
    }

    /// What a payload shows without being decoded. `None` if it cannot be read.
    pub fn outline(self, payload: &[u8]) -> Option<Outline> {
        match self {
            Self::Vp8 => vp8::outline(payload).ok(),
            Self::Vp9 => vp9::outline(payload).ok(),
            Self::H264 => h264::outline(payload).ok(),
            Self::H265 => h265::outline(payload).ok(),
            Self::Av1 => av1::outline(payload).ok(),
            Self::Opus
            | Self::G711
            | Self::G722
            | Self::RedundantAudio { .. }
            | Self::OtherAudio { .. }
            | Self::OtherVideo { .. } => g711::outline(payload).ok(),
        }
    }
}

/// The depacketizer of a codec.
#[derive(Debug)]
pub(crate) enum Depacketizer {
    Opus(opus::Depacketizer),
    Bytes(g711::Depacketizer),
    Red(Box<red::Depacketizer>),
    Vp8(vp8::Depacketizer),
    Vp9(vp9::Depacketizer),
    H264(Box<h264::Depacketizer>),
    H265(Box<h265::Depacketizer>),
    Av1(Box<av1::Depacketizer>),
}

impl Depacketizer {
    fn new(codec: Codec, limits: Limits) -> Self {
        match codec {
            Codec::Opus => Self::Opus(opus::Depacketizer::new(limits)),
            Codec::G711 | Codec::G722 | Codec::OtherAudio { .. } | Codec::OtherVideo { .. } => {
                Self::Bytes(g711::Depacketizer::new(limits))
            }
            Codec::RedundantAudio { primary, .. } => {
                Self::Red(Box::new(red::Depacketizer::new(primary.get(), limits)))
            }
            Codec::Vp8 => Self::Vp8(vp8::Depacketizer::new(limits)),
            Codec::Vp9 => Self::Vp9(vp9::Depacketizer::new(limits)),
            Codec::H264 => Self::H264(Box::new(h264::Depacketizer::new(Framing::AnnexB, limits))),
            Codec::H265 => Self::H265(Box::new(h265::Depacketizer::new(Framing::AnnexB, limits))),
            Codec::Av1 => Self::Av1(Box::new(av1::Depacketizer::new(limits))),
        }
    }

    /// One that has these parameter sets, if there are any and they are some.
    pub(crate) fn with_sets(codec: Codec, limits: Limits, sets: &[u8]) -> Self {
        let mut fresh = Self::new(codec, limits);
        let _ = match &mut fresh {
            Self::H264(it) => it.learn_parameter_sets(sets),
            Self::H265(it) => it.learn_parameter_sets(sets),
            Self::Opus(_) | Self::Bytes(_) | Self::Red(_) | Self::Vp8(_) | Self::Vp9(_) | Self::Av1(_) => {
                Ok(())
            }
        };
        fresh
    }

    pub(crate) fn handle_payload(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
        match self {
            Self::Opus(it) => it.handle_payload(payload),
            Self::Bytes(it) => it.handle_payload(payload),
            Self::Red(it) => it.handle_payload(payload),
            Self::Vp8(it) => it.handle_payload(payload),
            Self::Vp9(it) => it.handle_payload(payload),
            Self::H264(it) => it.handle_payload(payload),
            Self::H265(it) => it.handle_payload(payload),
            Self::Av1(it) => it.handle_payload(payload),
        }
    }

    /// A frame of this time was read in another format.
    pub(crate) const fn skip_to(&mut self, timestamp: u32) {
        if let Self::Red(it) = self {
            it.skip_to(timestamp);
        }
    }

    pub(crate) fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        match self {
            Self::Opus(it) => it.poll_frame(),
            Self::Bytes(it) => it.poll_frame(),
            Self::Red(it) => it.poll_frame(),
            Self::Vp8(it) => it.poll_frame(),
            Self::Vp9(it) => it.poll_frame(),
            Self::H264(it) => it.poll_frame(),
            Self::H265(it) => it.poll_frame(),
            Self::Av1(it) => it.poll_frame(),
        }
    }
}

/// RFC 3551 §5: video has 90,000 ticks a second.
const VIDEO_CLOCK_RATE: u32 = 90_000;
