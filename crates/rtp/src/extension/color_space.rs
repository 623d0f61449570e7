use proto::{NoSpace, Reader, Writer};

use super::{Kind, Value};

/// What the colours of a picture mean, by the numbers of ITU-T H.273.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ColorSpace {
    /// ColourPrimaries.
    pub primaries: u8,
    /// TransferCharacteristics.
    pub transfer: u8,
    /// MatrixCoefficients.
    pub matrix: u8,
    /// Which values samples have.
    pub range: Range,
    /// Where samples of colour stand between those of brightness, horizontally.
    pub horizontal_siting: ChromaSiting,
    /// The same vertically.
    pub vertical_siting: ChromaSiting,
    /// How the picture was mastered, for screens of high dynamic range. It needs the two-byte form.
    pub hdr: Option<HdrMetadata>,
}

/// Which values samples have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Range {
    /// Not said.
    #[default]
    Invalid,
    /// 16 to 235, and 16 to 240 for colour, of eight bits.
    Limited,
    /// All.
    Full,
    /// As matrix and transfer have it.
    Derived,
}

/// Where samples of colour stand.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ChromaSiting {
    /// Not said.
    #[default]
    Unspecified,
    /// On the first of two samples of brightness.
    Collocated,
    /// In the middle between the two.
    Half,
    /// A number that has no meaning yet.
    Reserved,
}

/// How a picture was mastered (SMPTE ST 2086, CTA-861.3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HdrMetadata {
    /// The screen that it was mastered on.
    pub mastering: MasteringMetadata,
    /// The brightest sample, in cd/m².
    pub max_content_light_level: u16,
    /// The brightest mean of a frame, in cd/m².
    pub max_frame_average_light_level: u16,
}

/// A screen. Places of colours are in units of 0.00002 of CIE 1931: x, then y.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MasteringMetadata {
    /// In cd/m².
    pub luminance_max: u16,
    /// In units of 0.0001 cd/m².
    pub luminance_min: u16,
    /// The red primary.
    pub red: [u16; 2],
    /// The green primary.
    pub green: [u16; 2],
    /// The blue primary.
    pub blue: [u16; 2],
    /// The white point.
    pub white: [u16; 2],
}

impl Value<'_> for ColorSpace {
    const KIND: Kind = Kind::ColorSpace;

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [primaries, transfer, matrix, rest] = reader.array().ok()?;
        let hdr = if reader.is_empty() { None } else { Some(hdr(&mut reader)?) };
        Some(Self {
            primaries,
            transfer,
            matrix,
            range: Range::of(rest >> 4),
            horizontal_siting: ChromaSiting::of(rest >> 2),
            vertical_siting: ChromaSiting::of(rest),
            hdr,
        })
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put(&[self.primaries, self.transfer, self.matrix])?;
        let siting = self.horizontal_siting.number() << 2 | self.vertical_siting.number();
        out.put_u8(self.range.number() << 4 | siting)?;
        let Some(HdrMetadata { mastering: it, max_content_light_level, max_frame_average_light_level }) =
            self.hdr
        else {
            return Ok(());
        };
        out.put_u16(it.luminance_max)?;
        out.put_u16(it.luminance_min)?;
        [it.red, it.green, it.blue, it.white]
            .as_flattened()
            .iter()
            .try_for_each(|place| out.put_u16(*place))?;
        out.put_u16(max_content_light_level)?;
        out.put_u16(max_frame_average_light_level)
    }
}

fn hdr(reader: &mut Reader<'_>) -> Option<HdrMetadata> {
    let mut field = || reader.u16().ok();
    Some(HdrMetadata {
        mastering: MasteringMetadata {
            luminance_max: field()?,
            luminance_min: field()?,
            red: [field()?, field()?],
            green: [field()?, field()?],
            blue: [field()?, field()?],
            white: [field()?, field()?],
        },
        max_content_light_level: field()?,
        max_frame_average_light_level: field()?,
    })
}

impl Range {
    const fn of(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Invalid,
            1 => Self::Limited,
            2 => Self::Full,
            _ => Self::Derived,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Invalid => 0,
            Self::Limited => 1,
            Self::Full => 2,
            Self::Derived => 3,
        }
    }
}

impl ChromaSiting {
    const fn of(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Unspecified,
            1 => Self::Collocated,
            2 => Self::Half,
            _ => Self::Reserved,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::Collocated => 1,
            Self::Half => 2,
            Self::Reserved => 3,
        }
    }
}
