//! Frames whose content only their receivers can read, in formats whose structure goes through all of a frame: NAL units of H.264 and
//! H.265, OBUs of AV1.
//!
//! Of such a frame packetizers, forwarders and whoever asks for key frames need parameter sets (of AV1 the sequence header), and what
//! the first picture says at its begin. [`Structure::wrap`] makes a frame of these and of one picture, which holds everything else as
//! bytes that nobody has to understand, and [`Structure::unwrap`] gives them back. The parameter sets are there for others: a receiver
//! finds its own in the content. Whoever encrypts the content authenticates [`Visible`] with it.
//!
//! ```
//! use rtp::payload::opaque::Structure;
//!
//! let frame = [0, 0, 0, 1, 0x67, 66, 0, 0, 0, 1, 0x68, 1, 0, 0, 0, 1, 0x65, 0x88, 0x84, 0, 0x10, 0x17, 0x2a];
//! let (mut wrapped, mut content) = (Vec::new(), Vec::new());
//! let seen = Structure::H264.wrap(&frame, b"\0\0\0whatever", &mut wrapped).ok_or("no frame")?;
//! assert_eq!(seen.bytes(), [0x65, 0x88, 0x84, 0, 0x10]);
//! assert_eq!(wrapped[..21], frame[..21]);
//! assert_eq!(Structure::H264.unwrap(&wrapped, &mut content), Some(seen));
//! assert_eq!(content, b"\0\0\0whatever");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

use super::{av1, nal};

/// How a frame is divided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Structure {
    /// NAL units with start codes ([`Framing::AnnexB`](super::Framing::AnnexB)).
    H264,
    /// The same, with headers of two bytes.
    H265,
    /// OBUs in the low-overhead format.
    Av1,
}

impl Structure {
    /// What stays visible of `frame`'s first picture. `None`: there is no picture in it.
    pub fn visible(self, frame: &[u8]) -> Option<Visible> {
        match self {
            Self::H264 => nal::visible(nal::Syntax::H264, frame),
            Self::H265 => nal::visible(nal::Syntax::H265, frame),
            Self::Av1 => av1::visible(frame),
        }
    }

    /// Writes a frame to `out`, in place of what is there, that looks like `frame` and holds `content`: its parameter sets, and a
    /// picture that begins as its first one does. Gives what is visible of that picture; `None`, and `out` is empty, if `frame` has
    /// none.
    pub fn wrap(self, frame: &[u8], content: &[u8], out: &mut Vec<u8>) -> Option<Visible> {
        out.clear();
        let visible = self.visible(frame)?;
        match self {
            Self::H264 => nal::wrap(nal::Syntax::H264, frame, visible, content, out),
            Self::H265 => nal::wrap(nal::Syntax::H265, frame, visible, content, out),
            Self::Av1 => av1::wrap(frame, visible, content, out),
        }
        Some(visible)
    }

    /// Writes the content of a frame that [`wrap`](Self::wrap) has made to `out`, in place of what is there, and gives what is
    /// visible of its picture. `None`, and `out` is empty: it cannot have made this.
    pub fn unwrap(self, frame: &[u8], out: &mut Vec<u8>) -> Option<Visible> {
        out.clear();
        match self {
            Self::H264 => nal::unwrap(nal::Syntax::H264, frame, out),
            Self::H265 => nal::unwrap(nal::Syntax::H265, frame, out),
            Self::Av1 => av1::unwrap(frame, out),
        }
    }
}

/// What stays visible of a picture: its header, and as much behind it as tells slices and kinds of frames apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Visible {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Visible {
    /// Its greatest length in bytes: that of H.265.
    pub const MAX: usize = 6;

    pub(super) fn new(parts: [&[u8]; 3]) -> Self {
        let mut visible = Self { bytes: [0; Self::MAX], len: 0 };
        let joined = parts.into_iter().flatten();
        for (place, byte) in visible.bytes.iter_mut().zip(joined) {
            *place = *byte;
            visible.len = visible.len.saturating_add(1);
        }
        visible
    }

    /// The bytes, as they stand in the frame.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
