//! What is wanted of a stream that is sent (W3C WebRTC 1.0 §5.2, `RTCRtpEncodingParameters`).

use rtp::Rid;

use super::{MediaKind, ScalabilityMode};
use crate::TransceiverError;

/// One stream that is sent (W3C WebRTC 1.0 §5.2, `RTCRtpEncodingParameters`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SendEncoding {
    /// Its name, where there are several.
    pub rid: Option<Rid>,
    /// Whether it is not to be sent for now.
    pub is_paused: bool,
    /// The most that it may take, in bits a second.
    pub max_bitrate: Option<u64>,
    /// Of video: the most frames a second. Whoever encodes has to keep to it, and is told with each target rate.
    pub max_framerate: Option<f64>,
    /// Of video: by how much width and height are to be divided, 1 at least and where nothing is said. It is told likewise.
    pub scale_resolution_down_by: Option<f64>,
    /// Of video: which layers it is to have in itself. It is told likewise.
    pub scalability_mode: Option<ScalabilityMode>,
    /// How much of what is scarce it has, against other streams and the data channels.
    pub priority: Priority,
    /// Whose packets leave first where they wait. Audio never waits; of a transceiver the highest counts.
    pub network_priority: Priority,
}

/// How important a stream is (W3C's `RTCPriorityType`). Each has twice what the one below it has (RFC 8831 §6.4 and RFC 8835 §4.1
/// have the same steps).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Priority {
    /// `very-low`.
    VeryLow,
    /// `low`: what is usual.
    #[default]
    Low,
    /// `medium`.
    Medium,
    /// `high`.
    High,
}

impl Priority {
    /// As W3C writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// Its weight against others.
    pub(crate) const fn weight(self) -> u16 {
        match self {
            Self::VeryLow => 1,
            Self::Low => 2,
            Self::Medium => 4,
            Self::High => 8,
        }
    }

    /// From 0 on; 1 is usual.
    pub(crate) const fn urgency(self) -> u8 {
        match self {
            Self::VeryLow => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
        }
    }
}

/// What an encoder of video has to keep to beside its bitrate.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EncoderLimits {
    /// The most frames a second.
    pub max_framerate: Option<f64>,
    /// By how much width and height are to be divided.
    pub scale_resolution_down_by: Option<f64>,
    /// Which layers the stream is to have in itself.
    pub scalability_mode: Option<ScalabilityMode>,
}

impl EncoderLimits {
    const fn bits(&self) -> [Option<u64>; 2] {
        const fn of(number: Option<f64>) -> Option<u64> {
            match number {
                Some(number) => Some(number.to_bits()),
                None => None,
            }
        }
        [of(self.max_framerate), of(self.scale_resolution_down_by)]
    }
}

impl PartialEq for EncoderLimits {
    fn eq(&self, other: &Self) -> bool {
        (self.bits(), self.scalability_mode) == (other.bits(), other.scalability_mode)
    }
}

impl Eq for EncoderLimits {}

/// What an encoder was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub bitrate: Option<u64>,
    /// What else it has to keep to was changed since.
    pub lacks_limits: bool,
}

impl SendEncoding {
    /// One with a name. `None` if it is none (RFC 8851 §10, RFC 8852 §3).
    pub fn named(rid: &str) -> Option<Self> {
        Some(Self { rid: Some(Rid::new(rid.as_bytes())?), ..Self::default() })
    }

    /// Says what nothing is said of: pictures are as large as they are (W3C WebRTC 1.0 §5.2).
    pub(crate) fn complete(&mut self, kind: MediaKind) {
        if kind == MediaKind::Video {
            self.scale_resolution_down_by.get_or_insert(1.0);
        }
    }

    /// What its encoder is told.
    pub(crate) const fn limits(&self) -> EncoderLimits {
        EncoderLimits {
            max_framerate: self.max_framerate,
            scale_resolution_down_by: self.scale_resolution_down_by,
            scalability_mode: self.scalability_mode,
        }
    }
}

/// Takes away what audio does not have, and refuses what cannot be (W3C WebRTC 1.0 §5.1 `addTransceiver`, §5.2 `setParameters`).
pub(crate) fn check_encodings(
    kind: MediaKind,
    encodings: &mut [SendEncoding],
) -> Result<(), TransceiverError> {
    for encoding in encodings {
        if kind == MediaKind::Audio {
            (encoding.max_framerate, encoding.scale_resolution_down_by) = (None, None);
            encoding.scalability_mode = None;
        }
        let is_scale = |scale: f64| scale.is_finite() && scale >= 1.0;
        let is_rate = |rate: f64| rate.is_finite() && rate >= 0.0;
        if !encoding.scale_resolution_down_by.is_none_or(is_scale)
            || !encoding.max_framerate.is_none_or(is_rate)
        {
            return Err(TransceiverError::Range);
        }
    }
    Ok(())
}

/// Refuses layers that none of these codecs has (W3C webrtc-svc §4).
pub(crate) fn check_scalability<'a>(
    encodings: &[SendEncoding],
    codecs: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), TransceiverError> {
    let mut modes = encodings.iter().filter_map(|encoding| encoding.scalability_mode);
    let can = |mode: ScalabilityMode| codecs.clone().any(|codec| mode.is_of(codec));
    if modes.all(can) { Ok(()) } else { Err(TransceiverError::Scalability) }
}

/// Layers of simulcast of which nothing else is said have each twice the width and height of the one before, up to the whole picture
/// (W3C WebRTC 1.0 §5.1); where a scale is given, the others are not scaled.
pub(crate) fn scale_layers(kind: MediaKind, encodings: &mut [SendEncoding]) {
    if kind == MediaKind::Audio || encodings.len() < 2 {
        return;
    }
    let is_said = encodings.iter().any(|encoding| encoding.scale_resolution_down_by.is_some());
    let mut scale = 1.0;
    for encoding in encodings.iter_mut().rev() {
        encoding.scale_resolution_down_by.get_or_insert(scale);
        if !is_said {
            scale *= 2.0;
        }
    }
}
