//! Sections that parameters agree upon, where there are no descriptions.

use std::sync::Arc;

use crypto::Secret;

use super::{Negotiation, Section, SectionKind};
use crate::media::{Negotiated, TransceiverId};
use crate::transports::TransportId;
use crate::{SectionFault, SectionParameters};

impl Negotiation {
    /// Whether these sections can take the place of those that are there. Gives which cannot.
    pub(crate) fn may_set_sections(
        &self,
        sections: &[SectionParameters],
    ) -> Result<(), (usize, SectionFault)> {
        for (number, section) in sections.iter().enumerate() {
            let known = self.named(&section.mid).and_then(|id| self.transceiver(id));
            if known.is_some_and(|known| known.kind != section.kind) {
                return Err((number, SectionFault::Kind));
            }
        }
        Ok(())
    }

    /// Has these sections and no others: those of a name that is known go on, others begin, and what is not named is stopped. They
    /// were checked.
    pub(crate) fn set_sections(
        &mut self,
        sections: &[SectionParameters],
        transport: TransportId,
        seed: &Secret<32>,
    ) {
        let is_named = |mid: Option<&str>| sections.iter().any(|section| Some(section.mid.as_str()) == mid);
        let gone =
            self.transceivers.iter().filter(|it| it.is_stopping || !is_named(it.association.mid.as_deref()));
        for id in gone.map(|gone| gone.id).collect::<Vec<_>>() {
            self.forget(id);
        }
        self.agreed.clear();
        for (index, section) in sections.iter().enumerate() {
            let known = self.named(&section.mid);
            let id = known.unwrap_or_else(|| self.make_transceiver(section.kind, section.direction, seed));
            let (mid, kind) = (Some(section.mid.clone()), SectionKind::Media(id));
            let (is_tag, is_bundled) = (index == 0, true);
            self.agreed.push(Section { mid, kind, transport: Some(transport), is_tag, is_bundled });
            self.follow_section(id, index, section, known.is_none(), seed);
            if let Some(transceiver) = self.transceiver_mut(id) {
                transceiver.association.transport = transport;
            }
        }
        self.sections.clone_from(&self.agreed);
    }

    fn named(&self, mid: &str) -> Option<TransceiverId> {
        self.transceivers
            .iter()
            .find(|it| !it.is_stopping && it.association.mid.as_deref() == Some(mid))
            .map(|it| it.id)
    }

    fn follow_section(
        &mut self,
        id: TransceiverId,
        index: usize,
        section: &SectionParameters,
        is_new: bool,
        seed: &Secret<32>,
    ) {
        let wanted: Vec<_> = section.encodings.iter().map(|encoding| encoding.wanted.clone()).collect();
        let rids = wanted.iter().map(|wanted| wanted.rid);
        let known = self.transceiver(id).map(|it| &it.association.encodings);
        let has_same = known.is_some_and(|known| known.iter().map(|it| it.wanted.rid).eq(rids));
        let negotiated = Negotiated::of_parameters(section).map(Arc::new);
        if let Some(transceiver) = self.transceiver_mut(id) {
            // What is drawn is none of the peer's.
            transceiver.association.negotiated = negotiated;
        }
        // SSRCs that were drawn stay.
        if is_new || !has_same {
            self.set_encodings(id, wanted, seed);
        }
        let Some(transceiver) = self.transceiver_mut(id) else { return };
        for (made, encoding) in transceiver.association.encodings.iter_mut().zip(&section.encodings) {
            made.wanted.clone_from(&encoding.wanted);
            if let Some((ssrc, rtx)) = encoding.ssrcs {
                (made.ssrc, made.rtx) = (ssrc, rtx);
            }
        }
        let [sent, received] = &section.streams;
        transceiver.direction = section.direction;
        transceiver.has_track = section.direction.sends();
        transceiver.has_sent |= section.direction.sends();
        transceiver.streams.clone_from(sent);
        let association = &mut transceiver.association;
        association.mid = Some(section.mid.clone());
        association.section = Some(index);
        association.current = Some(section.direction);
        transceiver.fire(section.direction, false);
        transceiver.association.remote_streams.clone_from(received);
    }
}
