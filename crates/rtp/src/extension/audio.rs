use proto::{NoSpace, Writer};

use super::{Kind, Value};

/// How loud the audio of a packet is (RFC 6464 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AudioLevel {
    /// Whether the sender takes it for a voice.
    pub voice: bool,
    /// 0 is the loudest, 127 silence: −dBov.
    pub level: u8,
}

impl Value<'_> for AudioLevel {
    const KIND: Kind = Kind::AudioLevel;

    fn read(bytes: &[u8]) -> Option<Self> {
        // In two-byte form a byte of padding may follow (RFC 6464 §3).
        let byte = *bytes.first()?;
        Some(Self { voice: byte & 0x80 != 0, level: byte & 0x7f })
    }

    /// A level above 127 is silence.
    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put_u8(if self.voice { 0x80 } else { 0 } | self.level.min(0x7f))
    }
}

/// How loud the sources of a mixed packet are (RFC 6465 §3), in the order of its contributing sources.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MixerLevels<'a>(&'a [u8]);

impl<'a> MixerLevels<'a> {
    /// Levels as in [`AudioLevel`], 1 to 15 of them; only the low seven bits count.
    pub fn new(levels: &'a [u8]) -> Option<Self> {
        matches!(levels.len(), 1..=15).then_some(Self(levels))
    }

    /// The levels: 0 is the loudest, 127 silence.
    pub fn levels(&self) -> impl ExactSizeIterator<Item = u8> + use<'a> {
        self.0.iter().map(|level| level & 0x7f)
    }
}

impl<'a> Value<'a> for MixerLevels<'a> {
    const KIND: Kind = Kind::MixerLevels;

    fn read(bytes: &'a [u8]) -> Option<Self> {
        Self::new(bytes)
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        self.levels().try_for_each(|level| out.put_u8(level))
    }
}
