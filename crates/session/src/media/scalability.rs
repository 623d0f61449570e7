//! Layers of video in one stream (W3C webrtc-svc).

use std::fmt;
use std::num::NonZeroU8;

use super::codec::helps_others;

/// Which layers a stream of video is to have (`scalabilityMode` of W3C webrtc-svc): in size and in time. They are made by whoever
/// encodes.
///
/// ```
/// let mode = session::ScalabilityMode::named("L3T2_KEY").unwrap();
/// assert_eq!((mode.spatial_layers(), mode.temporal_layers()), (3, 2));
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct ScalabilityMode(
    /// Its number among [`MODES`], from 1 on.
    NonZeroU8,
);

impl ScalabilityMode {
    /// The mode of this name; `None` if it is none.
    pub fn named(name: &str) -> Option<Self> {
        let place = MODES.iter().position(|mode| *mode == name)?;
        Some(Self(NonZeroU8::MIN.saturating_add(u8::try_from(place).ok()?)))
    }

    /// As W3C writes it.
    pub fn name(self) -> &'static str {
        MODES.get(usize::from(self.0.get()).saturating_sub(1)).copied().unwrap_or_default()
    }

    /// How many sizes there are.
    pub fn spatial_layers(self) -> u8 {
        self.digit(1)
    }

    /// How many layers in time there are.
    pub fn temporal_layers(self) -> u8 {
        self.digit(3)
    }

    /// Whether a codec has such layers: VP8 (RFC 7741), H.264 (RFC 6184) and H.265 (RFC 7798) in time alone. Of codecs that are not
    /// known here nothing is known.
    pub(crate) fn is_of(self, codec: &str) -> bool {
        let is_flat = ["VP8", "H264", "H265"].iter().any(|name| name.eq_ignore_ascii_case(codec));
        !helps_others(codec) && (self.spatial_layers() == 1 || !is_flat)
    }

    fn digit(self, at: usize) -> u8 {
        self.name().as_bytes().get(at).map_or(1, |digit| digit.saturating_sub(b'0'))
    }
}

impl fmt::Display for ScalabilityMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for ScalabilityMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// W3C webrtc-svc §6: `L` for sizes that rest on one another, `S` for such that do not, `T` for time; each size is twice the one below,
/// or with `h` one and a half times; with `KEY` it rests on that at key frames alone.
const MODES: &[&str] = &[
    "L1T1",
    "L1T2",
    "L1T3",
    "L2T1",
    "L2T2",
    "L2T3",
    "L3T1",
    "L3T2",
    "L3T3",
    "L2T1h",
    "L2T2h",
    "L2T3h",
    "L3T1h",
    "L3T2h",
    "L3T3h",
    "L2T1_KEY",
    "L2T2_KEY",
    "L2T2_KEY_SHIFT",
    "L2T3_KEY",
    "L2T3_KEY_SHIFT",
    "L3T1_KEY",
    "L3T2_KEY",
    "L3T2_KEY_SHIFT",
    "L3T3_KEY",
    "L3T3_KEY_SHIFT",
    "S2T1",
    "S2T2",
    "S2T3",
    "S2T1h",
    "S2T2h",
    "S2T3h",
    "S3T1",
    "S3T2",
    "S3T3",
    "S3T1h",
    "S3T2h",
    "S3T3h",
];
