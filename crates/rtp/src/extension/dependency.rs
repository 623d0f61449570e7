use proto::{NoSpace, Writer};

use super::bits::{BitReader, BitWriter};
use crate::DecodeError;

/// What a frame is to a receiver of some layers (AV1 RTP specification, appendix A).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Indication {
    /// It is not part of them.
    #[default]
    NotPresent,
    /// No later frame of them needs it.
    Discardable,
    /// From it on a receiver can switch to them.
    Switch,
    /// It is needed.
    Required,
}

impl Indication {
    const fn of(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::NotPresent,
            1 => Self::Discardable,
            2 => Self::Switch,
            _ => Self::Required,
        }
    }

    const fn bits(self) -> u64 {
        match self {
            Self::NotPresent => 0,
            Self::Discardable => 1,
            Self::Switch => 2,
            Self::Required => 3,
        }
    }
}

/// One indication for each decode target, two bits each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Indications(u64);

impl Indications {
    fn get(self, target: usize) -> Indication {
        let shift = u32::try_from(target.saturating_mul(2)).unwrap_or(64);
        Indication::of(self.0.checked_shr(shift).unwrap_or_default())
    }

    fn set(&mut self, target: usize, indication: Indication) {
        let shift = u32::try_from(target.saturating_mul(2)).unwrap_or(64);
        let mask = 3_u64.checked_shl(shift).unwrap_or_default();
        self.0 = self.0 & !mask | indication.bits().checked_shl(shift).unwrap_or_default();
    }

    fn read(bits: &mut BitReader<'_>, targets: u8) -> Result<Self, DecodeError> {
        let mut all = Self::default();
        for target in 0..targets {
            all.set(target.into(), Indication::of(bits.bits(2)?.into()));
        }
        Ok(all)
    }

    fn write(self, bits: &mut BitWriter<'_, '_>, targets: u8) -> Result<(), NoSpace> {
        (0..targets).try_for_each(|target| {
            let indication = u32::try_from(self.get(target.into()).bits()).unwrap_or_default();
            bits.bits(indication, 2)
        })
    }
}

/// How many frames back the frames are that a frame needs: at most [`MAX_FRAME_DIFFS`] of 1 to 4,096.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FrameDiffs {
    diffs: [u16; MAX_FRAME_DIFFS],
    len: u8,
}

impl FrameDiffs {
    /// `None` if there are too many, or one is out of range.
    pub fn new(diffs: &[u16]) -> Option<Self> {
        let mut all = Self::default();
        diffs.iter().try_for_each(|diff| all.push(*diff).ok())?;
        Some(all)
    }

    /// The distances.
    pub fn as_slice(&self) -> &[u16] {
        self.diffs.get(..self.len.into()).unwrap_or_default()
    }

    fn push(&mut self, diff: u16) -> Result<(), DecodeError> {
        let place = self.diffs.get_mut(usize::from(self.len)).ok_or(DecodeError::Value)?;
        *place = Some(diff).filter(|diff| matches!(diff, 1..=4096)).ok_or(DecodeError::Value)?;
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// Of a template: 4 bits each, with a bit in front that says that there is one.
    fn read_template(bits: &mut BitReader<'_>) -> Result<Self, DecodeError> {
        let mut all = Self::default();
        while bits.flag()? {
            all.push(u16::from(bits.byte(4)?).saturating_add(1))?;
        }
        Ok(all)
    }

    fn write_template(&self, bits: &mut BitWriter<'_, '_>) -> Result<(), NoSpace> {
        for diff in self.as_slice() {
            if *diff > 16 {
                return Err(NoSpace);
            }
            bits.flag(true)?;
            bits.bits(diff.saturating_sub(1).into(), 4)?;
        }
        bits.flag(false)
    }

    /// Of a frame: 4, 8 or 12 bits each.
    fn read_frame(bits: &mut BitReader<'_>) -> Result<Self, DecodeError> {
        let mut all = Self::default();
        loop {
            let nibbles = bits.bits(2)?;
            if nibbles == 0 {
                return Ok(all);
            }
            let diff = bits.bits(nibbles.saturating_mul(4))?.saturating_add(1);
            all.push(u16::try_from(diff).map_err(|_| DecodeError::Value)?)?;
        }
    }

    fn write_frame(&self, bits: &mut BitWriter<'_, '_>) -> Result<(), NoSpace> {
        for diff in self.as_slice() {
            let nibbles = match diff {
                ..=16 => 1,
                17..=256 => 2,
                257.. => 3,
            };
            bits.bits(nibbles, 2)?;
            bits.bits(diff.saturating_sub(1).into(), nibbles.saturating_mul(4))?;
        }
        bits.bits(0, 2)
    }
}

/// How many frames back the last frame of each chain is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Chain(pub u8);

/// A frame as frames of its structure usually are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Template {
    /// Its layer of resolution, 0 to 3.
    pub spatial_id: u8,
    /// Its layer of time, 0 to 7.
    pub temporal_id: u8,
    /// Which frames it needs; in a template 16 frames back at most.
    pub frame_diffs: FrameDiffs,
    indications: Indications,
    chains: [Chain; MAX_CHAINS],
}

impl Template {
    /// A template that nothing is known of but its layers.
    pub fn new(spatial_id: u8, temporal_id: u8, frame_diffs: FrameDiffs) -> Self {
        Self { spatial_id, temporal_id, frame_diffs, ..Self::default() }
    }

    /// What it is to each decode target, for the first [`MAX_DECODE_TARGETS`].
    #[must_use]
    pub fn with_indications(mut self, indications: &[Indication]) -> Self {
        for (target, indication) in indications.iter().enumerate() {
            self.indications.set(target, *indication);
        }
        self
    }

    /// How far back each chain's last frame is, for the first [`MAX_CHAINS`]; in a template 15 frames at most.
    #[must_use]
    pub fn with_chains(mut self, chains: &[Chain]) -> Self {
        for (place, chain) in self.chains.iter_mut().zip(chains) {
            *place = *chain;
        }
        self
    }

    /// What it is to a decode target.
    pub fn indication(&self, target: usize) -> Indication {
        self.indications.get(target)
    }

    /// How far back the last frame of a chain is; zero if there is none.
    pub fn chain(&self, chain: usize) -> Chain {
        self.chains.get(chain).copied().unwrap_or_default()
    }
}

/// The size of a picture, 1 to 65,536 each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resolution {
    /// In samples.
    pub width: u32,
    /// In samples.
    pub height: u32,
}

impl Resolution {
    /// From fields that hold one less.
    pub(super) fn of_fields(width: u16, height: u16) -> Self {
        Self { width: u32::from(width).saturating_add(1), height: u32::from(height).saturating_add(1) }
    }

    /// The fields, with what is out of range as the nearest that is not.
    pub(super) fn fields(self) -> (u16, u16) {
        let field = |size: u32| u16::try_from(size.saturating_sub(1)).unwrap_or(u16::MAX);
        (field(self.width), field(self.height))
    }
}

/// What the frames of a stream have in common: sent with the first of them, and needed for all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Structure {
    template_id_offset: u8,
    decode_targets: u8,
    template_count: u8,
    chain_count: u8,
    templates: [Template; MAX_TEMPLATES],
    protected_by: [u8; MAX_DECODE_TARGETS],
    resolutions: Option<[Resolution; 4]>,
}

impl Default for Structure {
    /// One without templates, by which no descriptor can be read yet.
    fn default() -> Self {
        Self {
            template_id_offset: 0,
            decode_targets: 1,
            template_count: 0,
            chain_count: 0,
            templates: [Template::default(); MAX_TEMPLATES],
            protected_by: [0; MAX_DECODE_TARGETS],
            resolutions: None,
        }
    }
}

impl Structure {
    /// A structure of `templates`, whose identifiers begin with `template_id_offset` (0 to 63).
    ///
    /// `chains` says of each decode target by which chain it is protected: empty if there are no chains.
    ///
    /// # Errors
    ///
    /// Numbers out of range, or templates whose layers do not follow each other: each has those of the one
    /// before, or the next temporal layer, or the first temporal layer of the next spatial one.
    pub fn new(
        template_id_offset: u8,
        decode_targets: u8,
        templates: &[Template],
        protected_by: &[u8],
    ) -> Result<Self, DecodeError> {
        let mut it = Self { template_id_offset, decode_targets, ..Self::default() };
        it.templates.get_mut(..templates.len()).ok_or(DecodeError::Value)?.copy_from_slice(templates);
        it.template_count = u8::try_from(templates.len()).map_err(|_| DecodeError::Value)?;
        it.protected_by
            .get_mut(..protected_by.len())
            .ok_or(DecodeError::Value)?
            .copy_from_slice(protected_by);
        it.chain_count = protected_by.iter().max().map_or(0, |last| last.saturating_add(1));
        let steps = templates.windows(2).all(|pair| next_layer(pair).is_some());
        let first = templates.first().is_some_and(|it| (it.spatial_id, it.temporal_id) == (0, 0));
        let layers =
            templates.iter().all(|it| it.spatial_id <= MAX_SPATIAL && it.temporal_id <= MAX_TEMPORAL);
        let targets = matches!(decode_targets, 1..=TARGETS);
        let chains = it.chain_count <= decode_targets
            && (protected_by.is_empty() || protected_by.len() == usize::from(decode_targets));
        let good = steps && first && layers && targets && chains && template_id_offset < 64;
        if good { Ok(it) } else { Err(DecodeError::Value) }
    }

    /// With the largest size of each spatial layer; those that are not given are as the last.
    #[must_use]
    pub fn with_resolutions(mut self, resolutions: &[Resolution]) -> Self {
        let last = resolutions.last().copied();
        self.resolutions = last.map(|last| std::array::from_fn(|at| *resolutions.get(at).unwrap_or(&last)));
        self
    }

    /// How many decode targets there are: sets of layers that a receiver may want.
    pub const fn decode_targets(&self) -> u8 {
        self.decode_targets
    }

    /// How many chains there are.
    pub const fn chains(&self) -> u8 {
        self.chain_count
    }

    /// Which chain protects a decode target, if there are chains and such a target.
    pub fn protected_by(&self, target: usize) -> Option<u8> {
        let there = self.chain_count > 0 && target < usize::from(self.decode_targets);
        self.protected_by.get(target).copied().filter(|_| there)
    }

    /// The templates.
    pub fn templates(&self) -> &[Template] {
        self.templates.get(..self.template_count.into()).unwrap_or_default()
    }

    /// The template of this identifier.
    pub fn template(&self, id: u8) -> Option<&Template> {
        let place = id.wrapping_sub(self.template_id_offset) & 63;
        self.templates().get(usize::from(place))
    }

    /// The largest size of a spatial layer, if sizes are told.
    pub fn resolution(&self, spatial_id: u8) -> Option<Resolution> {
        self.resolutions?.get(usize::from(spatial_id)).copied()
    }

    /// The highest layers that a decode target has: spatial, then temporal.
    pub fn target_layers(&self, target: usize) -> (u8, u8) {
        let present = |it: &&Template| it.indication(target) != Indication::NotPresent;
        self.templates().iter().filter(present).fold((0, 0), |(spatial, temporal), it| {
            (spatial.max(it.spatial_id), temporal.max(it.temporal_id))
        })
    }

    fn all_targets(&self) -> u32 {
        1_u32.checked_shl(self.decode_targets.into()).map_or(u32::MAX, |bit| bit.saturating_sub(1))
    }

    fn last_spatial(&self) -> u8 {
        self.templates().last().map_or(0, |it| it.spatial_id)
    }

    fn read(bits: &mut BitReader<'_>) -> Result<Self, DecodeError> {
        let mut it = Self { template_id_offset: bits.byte(6)?, ..Self::default() };
        it.decode_targets = bits.byte(5)?.saturating_add(1);
        it.read_layers(bits)?;
        let (targets, count) = (it.decode_targets, usize::from(it.template_count));
        let templates = it.templates.get_mut(..count).unwrap_or_default();
        for template in templates.iter_mut() {
            template.indications = Indications::read(bits, targets)?;
        }
        for template in templates.iter_mut() {
            template.frame_diffs = FrameDiffs::read_template(bits)?;
        }
        let chains = bits.below(u32::from(targets).saturating_add(1))?;
        it.chain_count = u8::try_from(chains).map_err(|_| DecodeError::Value)?;
        if chains > 0 {
            for protected_by in it.protected_by.iter_mut().take(targets.into()) {
                *protected_by = u8::try_from(bits.below(chains)?).map_err(|_| DecodeError::Value)?;
            }
            for template in templates.iter_mut() {
                for chain in template.chains.iter_mut().take(it.chain_count.into()) {
                    *chain = Chain(bits.byte(4)?);
                }
            }
        }
        if bits.flag()? {
            let mut resolutions = [Resolution::of_fields(0, 0); 4];
            let sized = usize::from(it.last_spatial()).saturating_add(1);
            for resolution in resolutions.iter_mut().take(sized) {
                let mut field =
                    || bits.bits(16).and_then(|size| u16::try_from(size).map_err(|_| DecodeError::Value));
                *resolution = Resolution::of_fields(field()?, field()?);
            }
            it = it.with_resolutions(resolutions.get(..sized).unwrap_or_default());
        }
        Ok(it)
    }

    fn read_layers(&mut self, bits: &mut BitReader<'_>) -> Result<(), DecodeError> {
        let (mut spatial_id, mut temporal_id) = (0_u8, 0_u8);
        for template in &mut self.templates {
            *template = Template { spatial_id, temporal_id, ..Template::default() };
            self.template_count = self.template_count.saturating_add(1);
            match bits.bits(2)? {
                0 => {}
                1 => temporal_id = temporal_id.saturating_add(1),
                2 => (spatial_id, temporal_id) = (spatial_id.saturating_add(1), 0),
                _ => return Ok(()),
            }
            if spatial_id > MAX_SPATIAL || temporal_id > MAX_TEMPORAL {
                return Err(DecodeError::Value);
            }
        }
        Err(DecodeError::Value)
    }

    fn write(&self, bits: &mut BitWriter<'_, '_>) -> Result<(), NoSpace> {
        bits.bits(self.template_id_offset.into(), 6)?;
        bits.bits(self.decode_targets.saturating_sub(1).into(), 5)?;
        for pair in self.templates().windows(2) {
            bits.bits(next_layer(pair).ok_or(NoSpace)?, 2)?;
        }
        bits.bits(3, 2)?;
        self.templates().iter().try_for_each(|it| it.indications.write(bits, self.decode_targets))?;
        self.templates().iter().try_for_each(|it| it.frame_diffs.write_template(bits))?;
        bits.below(self.chain_count.into(), u32::from(self.decode_targets).saturating_add(1))?;
        if self.chain_count > 0 {
            for chain in self.protected_by.iter().take(self.decode_targets.into()) {
                bits.below((*chain).into(), self.chain_count.into())?;
            }
            for chain in self.templates().iter().flat_map(|it| it.chains.iter().take(self.chain_count.into()))
            {
                if chain.0 > 15 {
                    return Err(NoSpace);
                }
                bits.bits(chain.0.into(), 4)?;
            }
        }
        bits.flag(self.resolutions.is_some())?;
        for resolution in (0..=self.last_spatial()).filter_map(|spatial| self.resolution(spatial)) {
            let (width, height) = resolution.fields();
            bits.bits(width.into(), 16)?;
            bits.bits(height.into(), 16)?;
        }
        Ok(())
    }
}

/// What leads from the layers of a template to those of the next.
fn next_layer(pair: &[Template]) -> Option<u32> {
    let [before, after] = pair else { return None };
    let step = |id: u8| id.checked_add(1);
    if (after.spatial_id, after.temporal_id) == (before.spatial_id, before.temporal_id) {
        Some(0)
    } else if after.spatial_id == before.spatial_id && Some(after.temporal_id) == step(before.temporal_id) {
        Some(1)
    } else {
        (Some(after.spatial_id) == step(before.spatial_id) && after.temporal_id == 0).then_some(2)
    }
}

/// What every packet says of its frame, readable without a [`Structure`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mandatory {
    /// It is the first packet of the frame.
    pub start_of_frame: bool,
    /// It is the last packet of the frame.
    pub end_of_frame: bool,
    /// Which template the frame is like, 0 to 63.
    pub template_id: u8,
    /// Which frame it is; wraps.
    pub frame_number: u16,
}

impl Mandatory {
    /// The first three bytes of a descriptor.
    ///
    /// # Errors
    ///
    /// There are less.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = proto::Reader::new(bytes);
        let first = reader.u8()?;
        Ok(Self {
            start_of_frame: first & 0x80 != 0,
            end_of_frame: first & 0x40 != 0,
            template_id: first & 0x3f,
            frame_number: reader.u16()?,
        })
    }
}

/// How a packet's frame depends on others (AV1 RTP specification, appendix A). The extension's kind is
/// [`Kind::DependencyDescriptor`](super::Kind::DependencyDescriptor); it is no [`Value`](super::Value), as it
/// cannot be read without the stream's [`Structure`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DependencyDescriptor {
    /// What needs no structure.
    pub mandatory: Mandatory,
    /// Whether the structure comes with it.
    pub has_structure: bool,
    /// Which decode targets are still made, one bit each, if that is told here.
    pub active_decode_targets: Option<u32>,
    /// What the frame is: its template, with what differs in this frame.
    pub frame: Template,
}

impl DependencyDescriptor {
    /// Reads a descriptor by the structure of its stream. If a structure comes with it, that takes the place
    /// of the other, and the descriptor is read by it. After an error the structure is as it was.
    ///
    /// # Errors
    ///
    /// It is malformed, or the structure does not have its template.
    pub fn read(bytes: &[u8], structure: &mut Structure) -> Result<Self, DecodeError> {
        let mandatory = Mandatory::read(bytes)?;
        let mut bits = BitReader::new(bytes.get(3..).unwrap_or_default());
        if bytes.len() == 3 {
            let frame = *structure.template(mandatory.template_id).ok_or(DecodeError::NoTemplate)?;
            return Ok(Self { mandatory, has_structure: false, active_decode_targets: None, frame });
        }
        let has_structure = bits.flag()?;
        let has_targets = bits.flag()?;
        let custom = [bits.flag()?, bits.flag()?, bits.flag()?];
        if !has_structure {
            return Self::read_frame(&mut bits, mandatory, structure, has_targets, custom);
        }
        let new = Structure::read(&mut bits)?;
        let it = Self::read_frame(&mut bits, mandatory, &new, has_targets, custom)?;
        *structure = new;
        // All targets are made from here on, unless something else is told.
        let active_decode_targets = Some(it.active_decode_targets.unwrap_or_else(|| new.all_targets()));
        Ok(Self { has_structure, active_decode_targets, ..it })
    }

    fn read_frame(
        bits: &mut BitReader<'_>,
        mandatory: Mandatory,
        structure: &Structure,
        has_targets: bool,
        [indications, diffs, chains]: [bool; 3],
    ) -> Result<Self, DecodeError> {
        let targets = structure.decode_targets;
        let active_decode_targets = if has_targets { Some(bits.bits(targets.into())?) } else { None };
        let mut frame = *structure.template(mandatory.template_id).ok_or(DecodeError::NoTemplate)?;
        if indications {
            frame.indications = Indications::read(bits, targets)?;
        }
        if diffs {
            frame.frame_diffs = FrameDiffs::read_frame(bits)?;
        }
        if chains {
            for chain in frame.chains.iter_mut().take(structure.chain_count.into()) {
                *chain = Chain(bits.byte(8)?);
            }
        }
        Ok(Self { mandatory, has_structure: false, active_decode_targets, frame })
    }

    /// Writes a descriptor by the structure of its stream, which goes with it if `has_structure` says so.
    /// What differs from the frame's template is written out.
    ///
    /// # Errors
    ///
    /// There is no room, the structure does not have the template or cannot be written, or the frame has
    /// other layers than its template.
    pub fn write(&self, structure: &Structure, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let Mandatory { start_of_frame, end_of_frame, template_id, frame_number } = self.mandatory;
        let template = structure.template(template_id).ok_or(NoSpace)?;
        let frame = &self.frame;
        if (frame.spatial_id, frame.temporal_id) != (template.spatial_id, template.temporal_id) {
            return Err(NoSpace);
        }
        let mut bits = BitWriter::new(out);
        bits.flag(start_of_frame)?;
        bits.flag(end_of_frame)?;
        bits.bits(template_id.into(), 6)?;
        bits.bits(frame_number.into(), 16)?;
        // A structure that comes along says itself that all targets are made.
        let implied = self.has_structure.then_some(structure.all_targets());
        let targets = self.active_decode_targets.filter(|targets| Some(*targets) != implied);
        let chains = usize::from(structure.chain_count);
        let custom = [
            frame.indications != template.indications,
            frame.frame_diffs != template.frame_diffs,
            frame.chains.iter().take(chains).ne(template.chains.iter().take(chains)),
        ];
        if !self.has_structure && targets.is_none() && custom == [false; 3] {
            return bits.finish();
        }
        bits.flag(self.has_structure)?;
        bits.flag(targets.is_some())?;
        custom.into_iter().try_for_each(|flag| bits.flag(flag))?;
        if self.has_structure {
            structure.write(&mut bits)?;
        }
        if let Some(targets) = targets {
            bits.bits(targets, structure.decode_targets.into())?;
        }
        let [indications, diffs, chain_diffs] = custom;
        if indications {
            frame.indications.write(&mut bits, structure.decode_targets)?;
        }
        if diffs {
            frame.frame_diffs.write_frame(&mut bits)?;
        }
        if chain_diffs {
            frame.chains.iter().take(chains).try_for_each(|chain| bits.bits(chain.0.into(), 8))?;
        }
        bits.finish()
    }
}

/// Decode targets of a structure (five bits).
pub const MAX_DECODE_TARGETS: usize = 32;
/// Chains of a structure: not more than decode targets.
pub const MAX_CHAINS: usize = MAX_DECODE_TARGETS;
/// Templates of a structure. The specification has 64 identifiers.
pub const MAX_TEMPLATES: usize = 64;
/// Frames that a frame says it needs. The specification has no limit; no codec has more than seven.
pub const MAX_FRAME_DIFFS: usize = 8;

const TARGETS: u8 = 32;
const MAX_SPATIAL: u8 = 3;
const MAX_TEMPORAL: u8 = 7;
