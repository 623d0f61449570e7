//! Opus ([RFC 7587]), and what its packets tell of themselves ([RFC 6716] §3).
//!
//! [RFC 6716]: https://www.rfc-editor.org/rfc/rfc6716
//! [RFC 7587]: https://www.rfc-editor.org/rfc/rfc7587

use proto::Reader;

use super::single::{Frames, Single, Talkspurts, outline_of_audio};
use super::{Broken, Discard, Frame, FrameError, Limits, Outline, Payload, Stats};

/// Ticks of the RTP clock a second, whatever the sampling rate (RFC 7587 §4.1).
pub const CLOCK_RATE: u32 = 48_000;

/// What the first bytes of a packet tell: the TOC, and the number of frames (RFC 6716 §3.1, §3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Toc {
    /// Which coder.
    pub mode: Mode,
    /// What is coded of the spectrum.
    pub bandwidth: Bandwidth,
    /// Two channels instead of one.
    pub stereo: bool,
    /// Codec frames in the packet, 1 to 48.
    pub frames: u8,
    /// What one of them lasts, in ticks of 1/48,000 s.
    pub frame_duration: u32,
    /// Whether the packet has at most two bytes: of discontinuous transmission (DTX), without sound.
    pub silent: bool,
    /// Whether the first codec frame of the packet repeats the one before it, for the case that it was lost (in-band FEC).
    pub has_fec: bool,
}

/// The coders of RFC 6716 §3.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// SILK alone, for speech.
    Silk,
    /// Both.
    Hybrid,
    /// CELT alone, for music.
    Celt,
}

/// Audio bandwidths, in their order (RFC 6716 table 1).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Bandwidth {
    /// 4 kHz.
    Narrow,
    /// 6 kHz.
    Medium,
    /// 8 kHz.
    Wide,
    /// 12 kHz.
    SuperWide,
    /// 20 kHz.
    Full,
}

impl Toc {
    /// Reads what is told of a packet, and checks that it is well formed (RFC 6716 §3.4).
    pub fn decode(packet: &[u8]) -> Result<Self, Discard> {
        let mut reader = Reader::new(packet);
        let toc = reader.u8().map_err(|_| Discard::Empty)?;
        let config = toc >> 3;
        let (mode, bandwidth, frame_duration) = match config {
            0..12 => {
                let bandwidth = [Bandwidth::Narrow, Bandwidth::Medium, Bandwidth::Wide];
                let ticks = [480, 960, 1920, 2880];
                (Mode::Silk, pick(&bandwidth, config >> 2), pick(&ticks, config & 3))
            }
            12..16 => {
                let bandwidth = [Bandwidth::SuperWide, Bandwidth::Full];
                (Mode::Hybrid, pick(&bandwidth, (config - 12) >> 1), pick(&[480, 960], config & 1))
            }
            _ => {
                let bandwidth = [Bandwidth::Narrow, Bandwidth::Wide, Bandwidth::SuperWide, Bandwidth::Full];
                (Mode::Celt, pick(&bandwidth, (config - 16) >> 2), pick(&[120, 240, 480, 960], config & 3))
            }
        };
        let (Some(bandwidth), Some(frame_duration)) = (bandwidth, frame_duration) else {
            return Err(Discard::Malformed);
        };
        let (frames, first) = frames(toc & 3, &mut reader)?;
        if u32::from(frames).saturating_mul(frame_duration) > MAX_DURATION {
            return Err(Discard::Malformed);
        }
        let stereo = toc & STEREO != 0;
        let has_fec = mode != Mode::Celt && has_lbrr(first, stereo, frame_duration);
        let silent = packet.len() <= 2;
        Ok(Self { mode, bandwidth, stereo, frames, frame_duration, silent, has_fec })
    }

    /// What the packet lasts, in ticks of 1/48,000 s: by how much the timestamp of the next one is higher (RFC 7587 §4.2).
    pub const fn duration(&self) -> u32 {
        self.frame_duration.saturating_mul(self.frames as u32)
    }
}

fn pick<T: Copy>(values: &[T], at: u8) -> Option<T> {
    values.get(usize::from(at)).copied()
}

/// How many frames there are, and the first of them. The rules R1 to R7 of RFC 6716 §3.4 hold afterwards, but that of the
/// duration.
fn frames<'a>(code: u8, reader: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Discard> {
    let (count, first) = match code {
        0 => (1, reader.rest()),
        1 => {
            let both = reader.rest();
            if both.len() % 2 != 0 {
                return Err(Discard::Malformed);
            }
            (2, both.split_at_checked(both.len() / 2).ok_or(Discard::Truncated)?.0)
        }
        2 => {
            let len = length(reader)?;
            let first = reader.take(len)?;
            if reader.remaining() > MAX_FRAME {
                return Err(Discard::Malformed);
            }
            (2, first)
        }
        _ => return many(reader),
    };
    if first.len() > MAX_FRAME { Err(Discard::Malformed) } else { Ok((count, first)) }
}

/// A packet of code 3: any number of frames, with padding (RFC 6716 §3.2.5).
fn many<'a>(reader: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Discard> {
    let octet = reader.u8()?;
    let count = octet & 0x3f;
    if count == 0 {
        return Err(Discard::Malformed);
    }
    let mut padding = 0_usize;
    if octet & PADDING != 0 {
        loop {
            let more = reader.u8()?;
            padding = padding.saturating_add(usize::from(more.min(254)));
            if more != 255 {
                break;
            }
        }
    }
    let mut lengths = [0; 48];
    let lengths = lengths.get_mut(..usize::from(count)).ok_or(Discard::Malformed)?;
    let variable = octet & VARIABLE != 0;
    if variable {
        let (_, all_but_last) = lengths.split_last_mut().ok_or(Discard::Malformed)?;
        for place in all_but_last {
            *place = length(reader)?;
        }
    }
    let room = reader.remaining().checked_sub(padding).ok_or(Discard::Truncated)?;
    if variable {
        let sum: usize = lengths.iter().sum();
        let last = room.checked_sub(sum).ok_or(Discard::Truncated)?;
        if let Some(place) = lengths.last_mut() {
            *place = last;
        }
    } else {
        if room % usize::from(count) != 0 {
            return Err(Discard::Malformed);
        }
        lengths.fill(room / usize::from(count));
    }
    if lengths.iter().any(|len| *len > MAX_FRAME) {
        return Err(Discard::Malformed);
    }
    let first = lengths.first().copied().unwrap_or_default();
    Ok((count, reader.take(first)?))
}

/// The length of a frame, in one or two bytes (RFC 6716 §3.2.1).
fn length(reader: &mut Reader<'_>) -> Result<usize, Discard> {
    let first = usize::from(reader.u8()?);
    if first < 252 {
        return Ok(first);
    }
    Ok(usize::from(reader.u8()?).saturating_mul(4).saturating_add(first))
}

/// Whether SILK's header has an LBRR flag set (RFC 6716 §4.2.3): behind the flags of voice activity, for each channel.
fn has_lbrr(frame: &[u8], stereo: bool, frame_duration: u32) -> bool {
    let Some(flags) = frame.first() else { return false };
    let activity = (frame_duration / 960).max(1);
    let flag = |at: u32| flags & 0x80_u8.checked_shr(at).unwrap_or_default() != 0;
    // The second channel's flags follow those of the first.
    flag(activity) || (stereo && flag(activity.saturating_mul(2).saturating_add(1)))
}

/// What a payload shows to a forwarder.
pub fn outline(payload: &[u8]) -> Result<Outline, Discard> {
    Toc::decode(payload).map(|_| outline_of_audio())
}

/// Sends packets, and marks where talkspurts begin (RFC 7587 §4.1).
#[derive(Clone, Debug, Default)]
pub struct Packetizer {
    talkspurts: Talkspurts,
}

impl Packetizer {
    /// One that has sent nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A packet of the encoder at `timestamp`, in 1/48,000 s. Opus cannot be divided: it has to fit into a payload.
    ///
    /// With DTX, the encoder's packets of at most two bytes need not be sent, all but one of 400 ms; then the timestamps have a
    /// gap (RFC 7587 §3.1.3). The first packet with sound after either has the marker.
    pub fn frame<'a>(
        &mut self,
        packet: &'a [u8],
        timestamp: u32,
        max_payload: usize,
    ) -> Result<Single<'a>, FrameError> {
        let mut single = Single::new(packet, false, max_payload)?;
        let toc = Toc::decode(packet).map_err(|_| FrameError::NotAFrame)?;
        let begins = self.talkspurts.begins(timestamp, toc.duration());
        if toc.silent {
            self.talkspurts.pause();
        } else {
            single.mark(begins);
        }
        Ok(single)
    }
}

/// Takes packets out of payloads.
#[derive(Debug)]
pub struct Depacketizer {
    frames: Frames,
}

impl Depacketizer {
    /// One that keeps as much as `limits` says.
    pub const fn new(limits: Limits) -> Self {
        Self { frames: Frames::new(limits) }
    }

    /// Takes the next payload. Drain [`poll_frame`](Self::poll_frame) afterwards.
    pub fn handle_payload(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
        self.frames.handle_payload(payload, |bytes| Toc::decode(bytes).map(drop))
    }

    /// The oldest packet that waits, or that it is broken.
    pub fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        self.frames.poll_frame()
    }

    /// Figures so far.
    pub const fn stats(&self) -> Stats {
        self.frames.stats()
    }
}

const STEREO: u8 = 0x04;
/// p of a packet of code 3.
const PADDING: u8 = 0x40;
/// v of a packet of code 3.
const VARIABLE: u8 = 0x80;
/// RFC 6716 §3.4 R2: a frame has at most 1,275 bytes.
const MAX_FRAME: usize = 1275;
/// RFC 6716 §3.4 R5: a packet lasts at most 120 ms.
const MAX_DURATION: u32 = 5760;
