//! Whether an exchange of descriptions is called for (W3C WebRTC 1.0 §4.7.3, "check if negotiation is needed").

use sdp::{Direction, Media};

use super::{Negotiation, Section};
use crate::SdpType;
use crate::media::transceiver::Transceiver;

impl Negotiation {
    /// Whether transceivers call for one.
    pub(crate) fn is_needed(&self) -> bool {
        self.transceivers.iter().any(|transceiver| self.needs(transceiver))
    }

    fn needs(&self, transceiver: &Transceiver) -> bool {
        let association = &transceiver.association;
        if transceiver.is_stopping {
            return association.section.is_some();
        }
        let agreed = association
            .section
            .filter(|index| self.agreed.get(*index).and_then(Section::transceiver) == Some(transceiver.id));
        let Some(index) = agreed else { return true };
        let Some((kind, local)) = self.local.current() else { return true };
        let Some(local) = local.media().nth(index) else { return true };
        let direction = |media: &Media<'_>| media.direction().unwrap_or(Direction::SendRecv);
        let remote = self.remote.current().and_then(|(_, remote)| remote.media().nth(index));
        if transceiver.direction.sends() && !has_streams(&local, &transceiver.streams) {
            return true;
        }
        match kind {
            SdpType::Offer => {
                let theirs = remote.map(|remote| direction(&remote).reversed());
                direction(&local) != transceiver.direction && theirs != Some(transceiver.direction)
            }
            SdpType::Answer | SdpType::Pranswer => {
                let offered = remote.map_or(Direction::SendRecv, |remote| direction(&remote).reversed());
                direction(&local) != transceiver.direction.and(offered)
            }
        }
    }
}

/// Whether a section of ours names these streams and no others.
fn has_streams(media: &Media<'_>, streams: &[String]) -> bool {
    let named = || media.msids().filter_map(|msid| msid.stream());
    media.msids().next().is_some()
        && named().count() == streams.len()
        && named().all(|name| streams.iter().any(|stream| stream == name))
}
