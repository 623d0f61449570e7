//! What a description of the peer says, checked before anything is changed (RFC 9429 §5.8).

use ice::Credentials;
use sdp::{Media, SessionDescription, Setup};

use super::{Negotiation, RemoteParameters, SctpParameters, Section, SectionKind, numbers};
use crate::fingerprint;
use crate::media::MediaConfig;
use crate::media::section::{codecs, is_secure, kind_of};
use crate::{NegotiationError, SdpType};

/// What is accepted of a description.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Of each section, whether it is.
    pub(super) accepted: Vec<bool>,
    /// The section that candidates of that description belong to.
    pub(super) tag: Option<usize>,
    /// What it says about the transport; `None` where no section is accepted.
    pub(crate) remote: Option<RemoteParameters>,
}

impl Negotiation {
    /// Checks a description of the peer. Nothing is changed before [`set_remote`](Self::set_remote).
    pub(crate) fn read_remote(
        &self,
        kind: SdpType,
        description: &SessionDescription,
        config: &MediaConfig,
    ) -> Result<Choice, NegotiationError> {
        self.must_take_remote(kind)?;
        let sections = if kind == SdpType::Offer { &self.agreed } else { &self.sections };
        self.check_sections(kind, description, sections)?;
        let mids = Mids::of(description);
        if description.bundle_groups().flatten().any(|mid| mids.get(mid).is_none()) {
            return Err(NegotiationError::UnknownBundledMid);
        }
        let choice = match kind {
            SdpType::Offer => self.choose(description, &mids, config),
            SdpType::Answer | SdpType::Pranswer => self.read_answer(description, &mids)?,
        };
        let accepted = || {
            let all = description.media().zip(&choice.accepted);
            all.filter(|(_, is_accepted)| **is_accepted).map(|(media, _)| media)
        };
        numbers::check(accepted().filter(|media| kind_of(media).is_some()))?;
        let Some(tag) = choice.tag.and_then(|tag| description.media().nth(tag)) else { return Ok(choice) };
        let data = accepted().find(Media::is_data_channels);
        let remote = transport_parameters(kind, tag, data)?;
        Ok(Choice { remote: Some(remote), ..choice })
    }

    fn check_sections(
        &self,
        kind: SdpType,
        description: &SessionDescription,
        sections: &[Section],
    ) -> Result<(), NegotiationError> {
        let known = sections.len();
        let count = description.media().len();
        // RFC 9429 §5.2.2 and §5.3.1: sections are added at the end, and never taken away.
        if count < known || (kind != SdpType::Offer && count > known) {
            return Err(NegotiationError::SectionCount { expected: known, found: count });
        }
        for (section, media) in sections.iter().zip(description.media()) {
            // RFC 9429 §5.2.2: an offer may use a rejected section for something else, under another name.
            let is_free = kind == SdpType::Offer && matches!(section.kind, SectionKind::Rejected { .. });
            let is_renamed =
                section.mid.as_deref() != media.mid() && media.mid().is_some() && section.mid.is_some();
            let is_other = match section.kind {
                SectionKind::Media(id) | SectionKind::Refused(id) => self
                    .transceiver(id)
                    .is_some_and(|transceiver| transceiver.kind.name() != media.kind_text()),
                SectionKind::Data => !media.is_data_channels(),
                SectionKind::Rejected { .. } => false,
            };
            if (is_renamed || (is_other && kind == SdpType::Offer)) && !is_free {
                return Err(NegotiationError::SectionChanged { index: media.index() });
            }
        }
        if let (true, Some((_, offer))) = (kind != SdpType::Offer, &self.local.pending) {
            // RFC 9429 §5.8.3: an answer says of each section what it carries as the offer did.
            let differs = |(ours, theirs): &(Media<'_>, Media<'_>)| {
                let is_revived = ours.is_rejected() && !theirs.is_rejected();
                ours.kind_text() != theirs.kind_text() || ours.protocol() != theirs.protocol() || is_revived
            };
            if let Some((section, _)) = offer.media().zip(description.media()).find(differs) {
                return Err(NegotiationError::NotAsOffered { index: section.index() });
            }
        }
        // A section that leaves its name out keeps the one it had, which then is nobody else's.
        let mut names = std::collections::BTreeSet::new();
        for media in description.media() {
            let known = sections.get(media.index()).and_then(|section| section.mid.as_deref());
            if let Some(mid) = media.mid().or(known)
                && !names.insert(mid)
            {
                return Err(NegotiationError::SectionChanged { index: media.index() });
            }
        }
        Ok(())
    }

    /// What is accepted of an offer: the first section that can be, and what shares its transport (RFC 9429 §5.3.1 under the
    /// policy `max-bundle`).
    fn choose(&self, offer: &SessionDescription, mids: &Mids<'_>, config: &MediaConfig) -> Choice {
        let first_data = offer.media().find(is_usable_data).map(|media| media.index());
        let muxed = Muxed::of(offer, mids);
        let is_usable = |media: &Media<'_>| {
            if media.is_data_channels() {
                return first_data == Some(media.index());
            }
            !media.is_rejected() && is_secure(media) && muxed.has(media) && self.speaks(media, config)
        };
        let usable: Vec<bool> = offer.media().map(|media| is_usable(&media)).collect();
        let is_known = |index: &usize| {
            let agreed = self.agreed.get(*index);
            agreed.is_some_and(|section| !matches!(section.kind, SectionKind::Rejected { .. }))
        };
        let mut indices = (0..usable.len()).filter(|index| usable.get(*index) == Some(&true));
        let first = indices.clone().find(is_known).or_else(|| indices.next());
        let Some(anchor) = first.and_then(|first| offer.media().nth(first)) else {
            return Choice { accepted: vec![false; usable.len()], ..Choice::default() };
        };
        let group = group_of(offer, &anchor);
        let mut accepted = vec![false; usable.len()];
        for media in offer.media() {
            let is_member =
                media.index() == anchor.index() || media.mid().is_some_and(|mid| group.contains(&mid));
            if let (true, Some(slot)) = (is_member, accepted.get_mut(media.index())) {
                *slot = usable.get(media.index()).copied().unwrap_or(false);
            }
        }
        // RFC 9143 §7.3.1: the transport is that of the first section named, of those that have one.
        let named = group.iter().filter_map(|mid| mids.get(mid));
        let is_accepted = |media: &Media<'_>| accepted.get(media.index()) == Some(&true);
        let has_transport = |media: &Media<'_>| media.ice_ufrag().is_some() && !media.is_rejected();
        let tag = named.clone().find(|media| is_accepted(media) && has_transport(media));
        let tag = tag.or_else(|| named.clone().find(has_transport)).unwrap_or(anchor);
        Choice { accepted, tag: Some(tag.index()), remote: None }
    }

    /// Whether a section is for a transceiver that exists or can, which speaks one of its codecs.
    fn speaks(&self, media: &Media<'_>, config: &MediaConfig) -> bool {
        let Some(kind) = kind_of(media) else { return false };
        let agreed = self.agreed.get(media.index());
        let known = agreed.and_then(Section::transceiver).and_then(|id| self.transceiver(id));
        let offered = codecs(media);
        match known {
            Some(transceiver) => {
                !transceiver.is_stopping
                    && transceiver.codecs(config).any(|codec| offered.iter().any(|it| codec.fits(it)))
            }
            None => config.codecs(kind).any(|codec| offered.iter().any(|it| codec.fits(it))),
        }
    }

    /// What the peer has accepted of our offer.
    fn read_answer(&self, answer: &SessionDescription, mids: &Mids<'_>) -> Result<Choice, NegotiationError> {
        let muxed = Muxed::of(answer, mids);
        let accepted: Vec<bool> = self
            .sections
            .iter()
            .zip(answer.media())
            .map(|(section, media)| self.is_offered(section) && !media.is_rejected())
            .collect();
        let is_accepted = |media: &Media<'_>| accepted.get(media.index()) == Some(&true);
        let first_of_group =
            answer.bundle_groups().flatten().filter_map(|mid| mids.get(mid)).find(is_accepted);
        let Some(anchor) = first_of_group.or_else(|| answer.media().find(is_accepted)) else {
            return Ok(Choice { accepted, ..Choice::default() });
        };
        let group = group_of(answer, &anchor);
        let offer = self.local.pending.as_ref().map(|(_, offer)| offer);
        for media in answer.media().filter(is_accepted) {
            let index = media.index();
            if index != anchor.index() && !media.mid().is_some_and(|mid| group.contains(&mid)) {
                return Err(NegotiationError::NotBundled { index });
            }
            if kind_of(&media).is_none() {
                continue;
            }
            // RFC 9429 §4.1.1: we offer nothing else.
            if !muxed.has(&media) {
                return Err(NegotiationError::RtcpMux { index });
            }
            let offered = offer.and_then(|offer| offer.media().nth(index));
            let offered = offered.map(|media| codecs(&media)).unwrap_or_default();
            let is_common = codecs(&media).iter().any(|theirs| {
                offered.iter().any(|ours| {
                    ours.name.eq_ignore_ascii_case(theirs.name) && ours.clock_rate == theirs.clock_rate
                })
            });
            if !is_common {
                return Err(NegotiationError::NoCommonCodec { index });
            }
        }
        Ok(Choice { tag: Some(anchor.index()), accepted, remote: None })
    }
}

/// The sections by name, read once: groups may have thousands of names.
struct Mids<'a>(std::collections::BTreeMap<&'a str, Media<'a>>);

impl<'a> Mids<'a> {
    fn of(description: &'a SessionDescription) -> Self {
        Self(description.media().filter_map(|media| Some((media.mid()?, media))).collect())
    }

    fn get(&self, mid: &str) -> Option<Media<'a>> {
        self.0.get(mid).copied()
    }
}

/// The sections of a bundle that say that RTP and RTCP share a port say it for all of it (RFC 9143 §9.3).
struct Muxed<'a> {
    mids: std::collections::BTreeSet<&'a str>,
}

impl<'a> Muxed<'a> {
    fn of(description: &'a SessionDescription, sections: &Mids<'a>) -> Self {
        let mut mids = std::collections::BTreeSet::new();
        for group in description.bundle_groups() {
            let group: Vec<&str> = group.collect();
            let has_mux = |mid: &&str| sections.get(mid).is_some_and(|media| media.has_rtcp_mux());
            // The first that carries RTP says it.
            if group.iter().take(MAX_TAGS).any(has_mux) {
                mids.extend(group);
            }
        }
        Self { mids }
    }

    fn has(&self, media: &Media<'_>) -> bool {
        media.has_rtcp_mux() || media.mid().is_some_and(|mid| self.mids.contains(mid))
    }
}

/// The names in the bundle that a section is in.
fn group_of<'a>(description: &'a SessionDescription, media: &Media<'a>) -> Vec<&'a str> {
    let Some(mid) = media.mid() else { return Vec::new() };
    let mut groups = description.bundle_groups().map(|group| group.collect::<Vec<&str>>());
    groups.find(|group| group.contains(&mid)).unwrap_or_default()
}

/// What an accepted section of the peer says about its end of the transport, and `data` about the association.
fn transport_parameters(
    kind: SdpType,
    media: Media<'_>,
    data: Option<Media<'_>>,
) -> Result<RemoteParameters, NegotiationError> {
    let missing = NegotiationError::Missing;
    let ufrag = media.ice_ufrag().ok_or_else(|| missing("ice-ufrag"))?;
    let password = media.ice_pwd().ok_or_else(|| missing("ice-pwd"))?;
    // The grammar of `sdp` and of `ice` is one, but for characters that nobody writes.
    let credentials = Credentials::new(ufrag, password).map_err(|_| NegotiationError::IceCredentials)?;
    let mut lines = media.fingerprints().peekable();
    if lines.peek().is_none() {
        return Err(missing("fingerprint"));
    }
    let fingerprints = fingerprint::read(lines).ok_or(NegotiationError::WeakFingerprints)?;
    // RFC 8842 §5.2 and §5.3: an offer leaves it open or decides, an answer decides. RFC 4145 §4.1 says what
    // its absence means.
    let setup = media.setup().unwrap_or(if kind == SdpType::Offer { Setup::Active } else { Setup::Passive });
    let fits = match kind {
        SdpType::Offer => setup != Setup::HoldConn,
        SdpType::Answer | SdpType::Pranswer => matches!(setup, Setup::Active | Setup::Passive),
    };
    if !fits {
        return Err(NegotiationError::Setup(setup));
    }
    let sctp = match data {
        Some(data) => Some(SctpParameters {
            port: data.sctp_port().ok_or_else(|| missing("sctp-port"))?,
            // RFC 8841 §6.1: 64 KiB where the peer does not say.
            max_message_size: data.max_message_size().unwrap_or(65_536),
        }),
        None => None,
    };
    Ok(RemoteParameters {
        credentials,
        fingerprints,
        setup,
        tls_id: media.tls_id().map(str::to_owned),
        sctp,
        is_ice_lite: media.is_ice_lite(),
        ice_options: ice::Options {
            ice2: media.has_ice_option("ice2"),
            renomination: media.has_ice_option("renomination"),
        },
        candidates: media.candidates().map(str::to_owned).collect(),
        end_of_candidates: media.has_end_of_candidates(),
    })
}

fn is_usable_data(media: &Media<'_>) -> bool {
    media.is_data_channels() && !media.is_rejected()
}

/// How many names of a group are looked at for what the first one says.
const MAX_TAGS: usize = 4;
