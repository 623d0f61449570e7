//! H.264 ([RFC 6184]): single NAL units, STAP-A and FU-A, in the packetization modes 0 and 1.
//!
//! Not implemented: the interleaved mode 2 with its STAP-B, MTAP and FU-B, which no browser speaks.
//!
//! [RFC 6184]: https://www.rfc-editor.org/rfc/rfc6184

mod profile;

pub use self::profile::{Level, Profile, ProfileLevelId, UnknownProfile, answer_level};
pub use super::nal::Payloads;
use super::nal::{Assembler, Content, ParameterSets, Syntax, Units, aggregated};
use super::{Broken, Discard, Frame, FrameError, Framing, Limits, Outline, Payload, Stats};

/// The packetization modes (RFC 6184 §6.2, §6.3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// 0: every payload is a unit, so that no unit may be longer than a payload.
    SingleNalUnit,
    /// 1: units are joined and divided where they have to be.
    #[default]
    NonInterleaved,
}

impl Mode {
    /// The mode of a `packetization-mode` parameter (RFC 6184 §8.1); 2 is not implemented.
    pub const fn from_parameter(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::SingleNalUnit),
            1 => Some(Self::NonInterleaved),
            _ => None,
        }
    }
}

/// Divides access units into payloads. Before an IDR picture that comes without any, it repeats the parameter sets that it saw
/// last, so that whoever joins there can decode.
#[derive(Clone, Debug)]
pub struct Packetizer {
    mode: Mode,
    framing: Framing,
    sets: ParameterSets,
}

impl Packetizer {
    /// One for access units whose NAL units are told apart by `framing`.
    pub fn new(mode: Mode, framing: Framing) -> Self {
        Self { mode, framing, sets: ParameterSets::default() }
    }

    /// Takes over parameter sets that the encoder keeps beside its frames, in the packetizer's framing. Up to 8,192 bytes are kept.
    pub fn learn_parameter_sets(&mut self, sets: &[u8]) -> Result<(), FrameError> {
        let units = Units::new(sets, self.framing);
        units.clone().check()?;
        self.sets.learn(Syntax::H264, &units);
        Ok(())
    }

    /// An access unit in payloads of at most `max_payload` bytes.
    pub fn frame<'a>(&'a mut self, frame: &'a [u8], max_payload: usize) -> Result<Payloads<'a>, FrameError> {
        let units = Units::new(frame, self.framing);
        self.sets.learn(Syntax::H264, &units);
        let non_interleaved = self.mode == Mode::NonInterleaved;
        Payloads::new(Syntax::H264, units, &self.sets, non_interleaved, max_payload)
    }
}

/// Puts access units together. One ends with the marker, or, as RFC 6184 §5.1 does not let one rely on that, with the next
/// timestamp. Units that stand before a picture, as parameter sets that go alone, come out with that.
#[derive(Debug)]
pub struct Depacketizer {
    assembler: Assembler,
}

impl Depacketizer {
    /// One whose access units have `framing`, and that keeps as much as `limits` says.
    pub const fn new(framing: Framing, limits: Limits) -> Self {
        Self { assembler: Assembler::new(Syntax::H264, framing, limits) }
    }

    /// Takes over parameter sets that come beside the stream, as in a description, in the framing of access units. They go before key
    /// frames that have none, as long as none comes with the stream. Up to 8,192 bytes are kept.
    pub fn learn_parameter_sets(&mut self, sets: &[u8]) -> Result<(), FrameError> {
        self.assembler.learn_parameter_sets(sets)
    }

    /// Takes the next payload. Drain [`poll_frame`](Self::poll_frame) afterwards.
    pub fn handle_payload(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
        self.assembler.handle_payload(payload)
    }

    /// The oldest frame that waits, or that it is broken.
    pub fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        self.assembler.poll_frame()
    }

    /// Packets are missing and none has come since: the frame that was begun is given up at once.
    pub fn handle_loss(&mut self) {
        self.assembler.handle_loss();
    }

    /// Figures so far.
    pub const fn stats(&self) -> Stats {
        self.assembler.stats()
    }
}

/// What a payload shows to a forwarder. `key_frame` is set where a part of an IDR picture, or a sequence parameter set that
/// announces one, is in it.
pub fn outline(payload: &[u8]) -> Result<Outline, Discard> {
    let content = Syntax::H264.decode(payload)?;
    let starts_frame = super::nal::content_begins_frame(Syntax::H264, content);
    let seen = |header: u8, data| {
        let outline = Syntax::H264.outline([header, 0], data);
        Outline { starts_frame, key_frame: outline.key_frame || header & 0x1f == SPS, ..outline }
    };
    Ok(match content {
        Content::Unit { header: [header, _], data } | Content::Fragment { header: [header, _], data, .. } => {
            seen(header, data)
        }
        Content::Aggregate { units } => {
            let mut all = Outline { starts_frame, discardable: true, ..Outline::default() };
            for unit in aggregated(units) {
                if let [header, data @ ..] = unit {
                    let one = seen(*header, data);
                    all.key_frame |= one.key_frame;
                    all.discardable &= one.discardable;
                }
            }
            all
        }
    })
}

/// Sequence parameter set (H.264 table 7-1).
const SPS: u8 = 7;
