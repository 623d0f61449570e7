//! Numbers that mean one thing in all sections of a bundle: payload types and identifiers of header extensions
//! (RFC 9143 §9.2, RFC 8285 §5).

use std::collections::{BTreeMap, BTreeSet};

use rtp::PayloadType;
use sdp::{Media, SessionDescription};

use crate::NegotiationError;
use crate::media::Codec;
use crate::media::section::{SectionCodec, codecs};

/// What numbers stand for already.
#[derive(Debug, Default)]
pub(super) struct Numbers<'a> {
    codecs: Vec<SectionCodec<'a>>,
    /// What codecs were given in sections before.
    given: Vec<(Codec, PayloadType, Option<PayloadType>)>,
    taken: BTreeSet<u8>,
    extensions: BTreeMap<u16, &'a str>,
}

impl<'a> Numbers<'a> {
    /// Takes over what a description says.
    pub(super) fn read(&mut self, description: &'a SessionDescription) {
        for media in description.media().filter(|media| !media.is_rejected()) {
            self.taken.extend(media.payload_types());
            self.codecs.extend(codecs(&media));
            for map in media.extensions() {
                self.extensions.entry(map.id).or_insert(map.uri);
            }
        }
    }

    /// The numbers of a codec and of its retransmissions: those that it has, in this section or in another, or else the codec's own,
    /// or else free ones. Sections share them (RFC 9143 §9.1): there are too few for each to have its own.
    pub(super) fn of_codec(
        &mut self,
        codec: &Codec,
        own: &[SectionCodec<'_>],
    ) -> Option<(PayloadType, Option<PayloadType>)> {
        let known = own.iter().find(|it| codec.fits(it));
        let known = known.map(|it| (it.payload_type, it.rtx)).or_else(|| {
            let it = self.codecs.iter().find(|it| codec.fits(it))?;
            Some((it.payload_type, it.rtx))
        });
        let given = self.given.iter().find(|(it, ..)| it == codec).map(|(_, number, rtx)| (*number, *rtx));
        let (number, rtx) = match known.or(given) {
            Some(known) => known,
            None => (self.free(codec.payload_type)?, None),
        };
        self.taken.insert(number.get());
        let rtx = match (codec.rtx, rtx) {
            (None, _) => None,
            (Some(_), Some(known)) => Some(known),
            (Some(wanted), None) => {
                let known = given.filter(|(given, _)| *given == number).and_then(|(_, rtx)| rtx);
                known.or_else(|| self.free(wanted))
            }
        };
        self.taken.extend(rtx.map(PayloadType::get));
        if given.is_none() {
            self.given.push((codec.clone(), number, rtx));
        }
        Some((number, rtx))
    }

    /// The identifier of a header extension: the one that it has, or a free one.
    pub(super) fn of_extension(&mut self, uri: &'static str) -> Option<u16> {
        let known = self.extensions.iter().find(|(id, known)| **known == uri && is_usable(**id));
        if let Some((id, _)) = known {
            return Some(*id);
        }
        let free = (1..=255).find(|id| is_usable(*id) && !self.extensions.contains_key(id))?;
        self.extensions.insert(free, uri);
        Some(free)
    }

    fn free(&self, wanted: PayloadType) -> Option<PayloadType> {
        // RFC 3551 §3 and RFC 5761 §4: numbers for all, and then those that used to be fixed.
        let dynamic = (96..=127).chain(35..=63);
        std::iter::once(wanted.get())
            .chain(dynamic)
            .find(|number| !self.taken.contains(number))
            .and_then(PayloadType::new)
    }
}

/// RFC 8285 §4.2 and §5: 0 is padding, 15 ends elements, and from 256 on there are none in a packet.
pub(super) const fn is_usable(id: u16) -> bool {
    matches!(id, 1..=14 | 16..=255)
}

/// Refuses sections that give one number two meanings.
pub(super) fn check<'a>(sections: impl Iterator<Item = Media<'a>>) -> Result<(), NegotiationError> {
    let mut extensions: BTreeMap<u16, &str> = BTreeMap::new();
    let mut known: [Option<SectionCodec<'a>>; 128] = [None; 128];
    for media in sections {
        for map in media.extensions() {
            if is_usable(map.id) && *extensions.entry(map.id).or_insert(map.uri) != map.uri {
                return Err(NegotiationError::ExtensionConflict { id: map.id });
            }
        }
        for codec in codecs(&media) {
            let Some(slot) = known.get_mut(usize::from(codec.payload_type.get())) else { continue };
            let first = slot.get_or_insert(codec);
            let same = first.name.eq_ignore_ascii_case(codec.name)
                && (first.clock_rate, first.channels) == (codec.clock_rate, codec.channels);
            if !same {
                return Err(NegotiationError::PayloadTypeConflict { payload_type: codec.payload_type.get() });
            }
        }
    }
    Ok(())
}
