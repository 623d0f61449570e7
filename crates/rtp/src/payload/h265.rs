//! H.265 ([RFC 7798]): single NAL units, aggregation packets and fragmentation units in transmission order, without DONL fields
//! (`sprop-max-don-diff=0`).
//!
//! Extensions of PACI packets are skipped. [RFC 7798] calls the mode of several RTP streams MRST; it is not implemented.
//!
//! [RFC 7798]: https://www.rfc-editor.org/rfc/rfc7798

pub use super::nal::Payloads;
use super::nal::{Assembler, Content, ParameterSets, Syntax, Units, aggregated, content_begins_frame};
use super::{Broken, Discard, Frame, FrameError, Framing, Limits, Outline, Payload, Stats};

/// Divides access units into payloads. Before an IRAP picture that comes without any, it repeats the parameter sets that it saw
/// last, so that whoever joins there can decode.
#[derive(Clone, Debug)]
pub struct Packetizer {
    framing: Framing,
    sets: ParameterSets,
}

impl Packetizer {
    /// One for access units whose NAL units are told apart by `framing`.
    pub fn new(framing: Framing) -> Self {
        Self { framing, sets: ParameterSets::default() }
    }

    /// Takes over parameter sets that the encoder keeps beside its frames, in the packetizer's framing. Up to 8,192 bytes are kept.
    pub fn learn_parameter_sets(&mut self, sets: &[u8]) -> Result<(), FrameError> {
        let units = Units::new(sets, self.framing);
        units.clone().check()?;
        self.sets.learn(Syntax::H265, &units);
        Ok(())
    }

    /// An access unit in payloads of at most `max_payload` bytes.
    pub fn frame<'a>(&'a mut self, frame: &'a [u8], max_payload: usize) -> Result<Payloads<'a>, FrameError> {
        let units = Units::new(frame, self.framing);
        self.sets.learn(Syntax::H265, &units);
        Payloads::new(Syntax::H265, units, &self.sets, true, max_payload)
    }
}

/// Puts access units together. One ends with the marker, or with the next timestamp. Units that stand before a picture, as parameter
/// sets that go alone, come out with that.
#[derive(Debug)]
pub struct Depacketizer {
    assembler: Assembler,
}

impl Depacketizer {
    /// One whose access units have `framing`, and that keeps as much as `limits` says.
    pub const fn new(framing: Framing, limits: Limits) -> Self {
        Self { assembler: Assembler::new(Syntax::H265, framing, limits) }
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

/// What a payload shows to a forwarder. `key_frame` is set where a part of an IRAP picture, or a parameter set that announces one,
/// is in it; the layers are those of the lowest unit.
pub fn outline(payload: &[u8]) -> Result<Outline, Discard> {
    let content = Syntax::H265.decode(payload)?;
    let starts_frame = content_begins_frame(Syntax::H265, content);
    let seen = |header: [u8; 2], data| {
        let outline = Syntax::H265.outline(header, data);
        let announced = matches!(Syntax::H265.kind(header[0]), VPS | SPS);
        Outline { starts_frame, key_frame: outline.key_frame || announced, ..outline }
    };
    Ok(match content {
        Content::Unit { header, data } | Content::Fragment { header, data, .. } => seen(header, data),
        Content::Aggregate { units } => {
            let all = aggregated(units).filter_map(|unit| {
                let [first, second, data @ ..] = unit else { return None };
                Some(seen([*first, *second], data))
            });
            let joined = |a: Outline, b: Outline| Outline {
                key_frame: a.key_frame || b.key_frame,
                temporal: a.temporal.min(b.temporal),
                spatial: a.spatial.min(b.spatial),
                switching_point: a.switching_point || b.switching_point,
                ..a
            };
            all.reduce(joined).unwrap_or_default()
        }
    })
}

// H.265 table 7-1.
const VPS: u8 = 32;
const SPS: u8 = 33;
