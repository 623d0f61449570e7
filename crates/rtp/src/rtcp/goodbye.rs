use proto::{NoSpace, Reader};

use super::{APPLICATION, Encoder, GOODBYE, Raw};
use crate::{DecodeError, Ssrc};

/// Sources that are gone, at most 31 (RFC 3550 §6.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Goodbye<'a> {
    sources: &'a [[u8; 4]],
    /// Why, if that is told: UTF-8 if the sender keeps to the rules.
    pub reason: Option<&'a [u8]>,
}

impl<'a> Goodbye<'a> {
    pub(super) fn decode(raw: &Raw<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(raw.body);
        let (sources, _) = reader.take(usize::from(raw.count).saturating_mul(4))?.as_chunks();
        let reason = match reader.u8() {
            Ok(len) => Some(reader.take(len.into())?),
            Err(_) => None,
        };
        Ok(Self { sources, reason })
    }

    /// Who is gone.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = Ssrc> + Clone + use<'a> {
        self.sources.iter().map(|bytes| Ssrc(u32::from_be_bytes(*bytes)))
    }
}

/// Something of an application's (RFC 3550 §6.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct App<'a> {
    /// The application's, 0 to 31.
    pub subtype: u8,
    /// Who sends it.
    pub ssrc: Ssrc,
    /// Which application's: four letters.
    pub name: [u8; 4],
    /// What it says, in whole words.
    pub data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn decode(raw: &Raw<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(raw.body);
        let ssrc = Ssrc(reader.u32()?);
        Ok(Self { subtype: raw.count, ssrc, name: reader.array()?, data: reader.rest() })
    }
}

impl Encoder<'_, '_> {
    /// Says that sources are gone, at most 31.
    ///
    /// # Errors
    ///
    /// There is no room, there are too many sources, or the reason is longer than 255 bytes.
    pub fn goodbye(
        &mut self,
        sources: impl IntoIterator<Item = Ssrc>,
        reason: Option<&[u8]>,
    ) -> Result<(), NoSpace> {
        self.write_counted(GOODBYE, |out| {
            let mut count = 0_usize;
            for source in sources {
                out.put_u32(source.0)?;
                count = count.saturating_add(1);
            }
            if let Some(reason) = reason {
                out.put_u8(u8::try_from(reason.len()).map_err(|_| NoSpace)?)?;
                out.put(reason)?;
                // To a whole word, with zeros that are no padding of the packet's.
                let len = reason.len().saturating_add(1);
                out.put_zeros(len.div_ceil(4).saturating_mul(4).saturating_sub(len))?;
            }
            Ok(count)
        })
    }

    /// Adds something of an application's.
    ///
    /// # Errors
    ///
    /// There is no room, or the subtype is above 31.
    pub fn app(&mut self, app: &App<'_>) -> Result<(), NoSpace> {
        self.write(APPLICATION, app.subtype, |out| {
            out.put_u32(app.ssrc.0)?;
            out.put(&app.name)?;
            out.put(app.data)
        })
    }
}
