//! What formats have in common of which every payload is a frame: audio.

use proto::{NoSpace, Writer};

use super::assembly::{Assembly, Ending};
use super::{Broken, Discard, Frame, FrameError, Limits, Outline, Payload, Stats, Written, whole};

/// The one payload of a frame.
#[derive(Clone, Debug)]
pub struct Single<'a> {
    frame: Option<&'a [u8]>,
    marker: bool,
}

impl<'a> Single<'a> {
    pub(super) fn new(frame: &'a [u8], marker: bool, max_payload: usize) -> Result<Self, FrameError> {
        match frame.len() {
            0 => Err(FrameError::Empty),
            len if len > max_payload => Err(FrameError::Indivisible),
            _ => Ok(Self { frame: Some(frame), marker }),
        }
    }

    pub(super) const fn mark(&mut self, marker: bool) {
        self.marker = marker;
    }

    /// Appends the payload; `None` when it was. If it does not fit, nothing is written and it stays the next.
    pub fn write(&mut self, out: &mut Writer<'_>) -> Result<Option<Written>, NoSpace> {
        let Some(frame) = self.frame else { return Ok(None) };
        let written = whole(out, self.marker, |out| out.put(frame))?;
        self.frame = None;
        Ok(Some(written))
    }
}

/// Where talkspurts begin: at the first frame, and after a time in which none was sent (RFC 3551 §4.1).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Talkspurts {
    /// The timestamp of the frame that follows without a gap.
    expected: Option<u32>,
}

impl Talkspurts {
    /// Whether a frame of `timestamp` that lasts `duration` begins one.
    pub(super) fn begins(&mut self, timestamp: u32, duration: u32) -> bool {
        self.expected.replace(timestamp.wrapping_add(duration)) != Some(timestamp)
    }

    /// The next frame begins one.
    pub(super) const fn pause(&mut self) {
        self.expected = None;
    }
}

/// A depacketizer whose payloads are frames.
#[derive(Debug)]
pub(super) struct Frames {
    assembly: Assembly,
}

impl Frames {
    pub(super) const fn new(limits: Limits) -> Self {
        Self { assembly: Assembly::new(limits) }
    }

    /// Takes a payload that `check` finds nothing wrong with.
    pub(super) fn handle_payload(
        &mut self,
        payload: Payload<'_>,
        check: impl FnOnce(&[u8]) -> Result<(), Discard>,
    ) -> Result<(), Discard> {
        self.assembly.admit()?;
        let checked = if payload.bytes.is_empty() { Err(Discard::Empty) } else { check(payload.bytes) };
        checked.map_err(|discard| self.assembly.refuse(&payload, discard))?;
        self.assembly.arrive(&payload, true, Ending::Marker)?;
        self.assembly.append(payload.bytes)?;
        self.assembly.outline(|outline| *outline = outline_of_audio());
        self.assembly.finish(payload.marker);
        Ok(())
    }

    pub(super) fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        self.assembly.poll()
    }

    pub(super) const fn stats(&self) -> Stats {
        self.assembly.stats()
    }
}

/// Every frame of audio begins one that can be decoded.
pub(super) fn outline_of_audio() -> Outline {
    Outline { starts_frame: true, key_frame: true, ..Outline::default() }
}
