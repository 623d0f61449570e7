use super::syntax::aggregated;
use super::{Content, Framing, ParameterSets, Syntax, Units};
use crate::payload::assembly::{Assembly, Ending};
use crate::payload::{Broken, Discard, Frame, FrameError, Limits, Payload, Reason, Stats};

/// Puts access units together.
#[derive(Debug)]
pub(crate) struct Assembler {
    syntax: Syntax,
    framing: Framing,
    assembly: Assembly,
    /// Where in the frame the unit begins that is being put together from fragments.
    unit: Option<usize>,
    /// Whether the frame has a part of a picture.
    has_picture: bool,
    /// Where in the frame parameter sets may stand: behind its delimiter.
    sets_at: usize,
    /// Those that go before key frames as long as none came.
    sets: ParameterSets,
    /// Whether anything came before, so that a frame without loss is known to be whole.
    begun: bool,
}

impl Assembler {
    pub(crate) const fn new(syntax: Syntax, framing: Framing, limits: Limits) -> Self {
        Self {
            syntax,
            framing,
            assembly: Assembly::new(limits),
            unit: None,
            has_picture: false,
            sets_at: 0,
            sets: ParameterSets::NONE,
            begun: false,
        }
    }

    pub(crate) fn learn_parameter_sets(&mut self, sets: &[u8]) -> Result<(), FrameError> {
        let units = Units::new(sets, self.framing);
        units.clone().check()?;
        self.sets.learn(self.syntax, &units);
        Ok(())
    }

    pub(crate) fn handle_payload(&mut self, payload: Payload<'_>) -> Result<(), Discard> {
        self.assembly.admit()?;
        let payload = Payload { after_loss: payload.after_loss || !self.begun, ..payload };
        self.begun = true;
        let content =
            self.syntax.decode(payload.bytes).map_err(|discard| self.assembly.refuse(&payload, discard))?;
        if self.unit.is_some() && !payload.after_loss && self.assembly.is_other(payload.timestamp) {
            self.assembly.break_open(Reason::Unfinished);
        }
        if self.awaits_picture() && !payload.after_loss {
            self.assembly.go_on_at(payload.timestamp);
        }
        self.assembly.arrive(&payload, self.starts(&payload, content), Ending::Timestamp)?;
        if self.assembly.len() == 0 {
            (self.unit, self.has_picture, self.sets_at) = (None, false, 0);
        }
        let result = match content {
            Content::Unit { header, data } => self.whole_unit(header, data),
            Content::Aggregate { units } => aggregated(units).try_for_each(|unit| {
                let (header, data) = self.split(unit);
                self.whole_unit(header, data)
            }),
            Content::Fragment { start, end, header, data } => self.fragment(start, end, header, data),
        };
        match result {
            // These two are counted where they are found.
            Err(discard @ (Discard::TooManyBytes | Discard::BrokenFrame)) => return Err(discard),
            Err(discard) => return Err(self.assembly.refuse(&payload, discard)),
            Ok(()) => {}
        }
        if payload.marker {
            if self.unit.is_some() {
                self.assembly.break_open(Reason::Unfinished);
            }
            if !self.awaits_picture() {
                self.assembly.finish(true);
            }
        }
        Ok(())
    }

    pub(crate) fn poll_frame(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        self.assembly.poll()
    }

    pub(crate) fn handle_loss(&mut self) {
        self.assembly.lose();
        self.begun = false;
    }

    pub(crate) const fn stats(&self) -> Stats {
        self.assembly.stats()
    }

    /// Whether the open frame has nothing but what stands before a picture. That belongs to the access unit of the next one
    /// (H.264 §7.4.1.2.3, H.265 §7.4.2.4.4), also where a sender marks it, or gives it a time of its own.
    fn awaits_picture(&self) -> bool {
        !self.has_picture && self.unit.is_none() && self.assembly.is_open()
    }

    /// Whether a frame can begin with this payload.
    fn starts(&self, payload: &Payload<'_>, content: Content<'_>) -> bool {
        if let Content::Fragment { start: false, .. } = content {
            return false;
        }
        // Without loss, the first payload of a timestamp is the first of its frame.
        !payload.after_loss || content_begins_frame(self.syntax, content)
    }

    fn split<'a>(&self, unit: &'a [u8]) -> ([u8; 2], &'a [u8]) {
        let first = unit.first().copied().unwrap_or_default();
        match self.syntax {
            Syntax::H264 => ([first, 0], unit.get(1..).unwrap_or_default()),
            Syntax::H265 => {
                let second = unit.get(1).copied().unwrap_or_default();
                ([first, second], unit.get(2..).unwrap_or_default())
            }
        }
    }

    fn whole_unit(&mut self, header: [u8; 2], data: &[u8]) -> Result<(), Discard> {
        if self.unit.is_some() {
            // The fragments of a unit follow each other: the last is missing.
            return Err(Discard::NoStart);
        }
        self.begin_unit(header, data)?;
        self.assembly.append(data)?;
        self.end_unit();
        Ok(())
    }

    fn fragment(&mut self, start: bool, end: bool, header: [u8; 2], data: &[u8]) -> Result<(), Discard> {
        if start == self.unit.is_some() {
            return Err(Discard::NoStart);
        }
        if start {
            self.begin_unit(header, data)?;
        }
        self.assembly.append(data)?;
        if end {
            self.end_unit();
        }
        Ok(())
    }

    /// A unit of this kind comes next. Whoever sends parameter sets needs no others, and before a key frame they may not lack.
    fn supply_sets(&mut self, kind: u8) -> Result<(), Discard> {
        if self.syntax.is_parameter_set(kind) {
            self.sets = ParameterSets::NONE;
        }
        if self.has_picture || !self.syntax.is_key(kind) {
            return Ok(());
        }
        let mut at = self.sets_at;
        for set in self.sets.units() {
            let start = match self.framing {
                Framing::AnnexB => START_CODE,
                Framing::Length => u32::try_from(set.len()).unwrap_or_default().to_be_bytes(),
            };
            self.assembly.insert(at, &start)?;
            at = at.saturating_add(start.len());
            self.assembly.insert(at, set)?;
            at = at.saturating_add(set.len());
        }
        Ok(())
    }

    fn begin_unit(&mut self, header: [u8; 2], data: &[u8]) -> Result<(), Discard> {
        self.supply_sets(self.syntax.kind(header[0]))?;
        let at = self.assembly.len();
        self.assembly.append(&START_CODE)?;
        self.assembly.append(header.get(..self.syntax.header_len()).unwrap_or_default())?;
        self.unit = Some(at);
        let syntax = self.syntax;
        if syntax.is_picture(syntax.kind(header[0])) {
            let (shown, first) = (syntax.outline(header, data), !self.has_picture);
            self.has_picture = true;
            self.assembly.outline(|outline| {
                outline.key_frame = (first || outline.key_frame) && shown.key_frame;
                outline.discardable = (first || outline.discardable) && shown.discardable;
                outline.switching_point = (first || outline.switching_point) && shown.switching_point;
                outline.temporal = shown.temporal;
                outline.spatial = outline.spatial.max(shown.spatial);
            });
        }
        Ok(())
    }

    fn end_unit(&mut self) {
        let Some(at) = self.unit.take() else { return };
        let header = self.assembly.open_mut(at.saturating_add(START_CODE.len())).first().copied();
        if header.is_some_and(|header| self.syntax.is_delimiter(self.syntax.kind(header))) && at == 0 {
            self.sets_at = self.assembly.len();
        }
        if self.framing == Framing::Length {
            let len = self.assembly.len().saturating_sub(at).saturating_sub(START_CODE.len());
            let len = u32::try_from(len).unwrap_or_default().to_be_bytes();
            if let Some(place) = self.assembly.open_mut(at).first_chunk_mut() {
                *place = len;
            }
        }
    }
}

/// Whether a frame begins with what a payload consists of, for all one can see.
pub(crate) fn content_begins_frame(syntax: Syntax, content: Content<'_>) -> bool {
    let unit = match content {
        Content::Unit { header: [first, _], data }
        | Content::Fragment { start: true, header: [first, _], data, .. } => {
            return syntax.begins_frame(syntax.kind(first), data);
        }
        Content::Fragment { .. } => None,
        Content::Aggregate { units } => aggregated(units).next(),
    };
    let Some([first, rest @ ..]) = unit else { return false };
    let data = rest.get(syntax.header_len().saturating_sub(1)..).unwrap_or_default();
    syntax.begins_frame(syntax.kind(*first), data)
}

/// What stands before a unit, and is written over with its length where that is wanted.
const START_CODE: [u8; 4] = [0, 0, 0, 1];
