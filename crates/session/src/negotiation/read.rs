//! What a description of the peer says, checked before anything is changed (RFC 9429 §5.8).

use ice::Credentials;
use sdp::{Media, SessionDescription, Setup};

use super::{Negotiation, Placing, RemoteParameters, SctpParameters, Section, SectionKind, numbers};
use crate::config::BundlePolicy;
use crate::fingerprint;
use crate::media::section::{codecs, is_secure, kind_of};
use crate::media::{Codec, MediaConfig, TransceiverId};
use crate::transports::TransportId;
use crate::{NegotiationError, SdpType};

/// What is accepted of a description.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Of each section, whether it is.
    pub(super) accepted: Vec<bool>,
    /// The transports of those that are.
    pub(crate) units: Vec<Unit>,
}

/// A bundle, or a section outside of any: what shares a transport.
#[derive(Debug)]
pub(crate) struct Unit {
    /// None where an offer calls for a new one.
    pub(crate) transport: Option<TransportId>,
    /// The accepted sections; the first is the one that our candidates stand in.
    members: Vec<usize>,
    is_bundle: bool,
    /// What the section that stands for it says about the peer's end.
    pub(crate) remote: Option<RemoteParameters>,
}

impl Choice {
    /// The transport of a section, whether our candidates stand in it, and whether it is in a bundle.
    pub(super) fn place_of(&self, index: usize) -> (Option<TransportId>, bool, bool) {
        let unit = self.units.iter().find(|unit| unit.members.contains(&index));
        let place = |unit: &Unit| (unit.transport, unit.members.first() == Some(&index), unit.is_bundle);
        unit.map_or((None, false, false), place)
    }
}

/// Sections of a description that are to share a transport, before it is known which are accepted.
struct Group {
    members: Vec<usize>,
    is_bundle: bool,
}

impl Negotiation {
    /// Checks a description of the peer. Nothing is changed before [`set_remote`](Self::set_remote).
    pub(crate) fn read_remote(
        &self,
        kind: SdpType,
        description: &SessionDescription,
        config: &MediaConfig,
        placing: &Placing,
    ) -> Result<Choice, NegotiationError> {
        self.must_take_remote(kind)?;
        let sections = if kind == SdpType::Offer { &self.agreed } else { &self.sections };
        self.check_sections(kind, description, sections)?;
        let mids = Mids::of(description);
        if description.bundle_groups().flatten().any(|mid| mids.get(mid).is_none()) {
            return Err(NegotiationError::UnknownBundledMid);
        }
        let accepted = match kind {
            SdpType::Offer => self.choose(description, &mids, config, placing),
            SdpType::Answer | SdpType::Pranswer => self.read_answer(description, &mids)?,
        };
        let mut units: Vec<Unit> = Vec::new();
        for group in groups(description, &mids) {
            let is_accepted = |index: &usize| accepted.get(*index) == Some(&true);
            let members: Vec<usize> = group.members.iter().copied().filter(is_accepted).collect();
            let Some(first) = members.first().copied() else { continue };
            let sections = || members.iter().filter_map(|index| description.media().nth(*index));
            numbers::check(sections().filter(|media| kind_of(media).is_some()))?;
            let transport = self.transport_for(kind, &members, &units);
            if transport.is_none() && kind != SdpType::Offer {
                // RFC 9143 §7.3.2: what we offer to those alone who bundle has no transport without.
                return Err(NegotiationError::NotBundled { index: first });
            }
            // RFC 9143 §7.3.1: the transport is that of the first section named, of those that have one.
            let has_transport = |media: &Media<'_>| media.ice_ufrag().is_some() && !media.is_rejected();
            let all = || group.members.iter().filter_map(|index| description.media().nth(*index));
            let tag = sections().find(has_transport).filter(|_| kind == SdpType::Offer);
            let tag = tag.or_else(|| all().find(has_transport).filter(|_| kind == SdpType::Offer));
            let Some(tag) = tag.or_else(|| sections().next()) else { continue };
            let remote = transport_parameters(kind, tag, sections().find(Media::is_data_channels))?;
            units.push(Unit { transport, members, is_bundle: group.is_bundle, remote: Some(remote) });
        }
        let is_placed = |index: &usize| units.iter().any(|unit| unit.members.contains(index));
        let mut indices = (0..accepted.len()).filter(|index| accepted.get(*index) == Some(&true));
        match indices.find(|index| !is_placed(index)) {
            Some(index) => Err(NegotiationError::NotBundled { index }),
            None => Ok(Choice { accepted, units }),
        }
    }

    /// The transport that sections have which are to share one: that of the first of them, or of any, unless others have it.
    /// An answer may name none but those that were offered.
    fn transport_for(&self, kind: SdpType, members: &[usize], units: &[Unit]) -> Option<TransportId> {
        let is_free = |id: &TransportId| units.iter().all(|unit| unit.transport != Some(*id));
        let sections = if kind == SdpType::Offer { &self.agreed } else { &self.sections };
        let of = |index: &usize| sections.get(*index)?.transport;
        match kind {
            SdpType::Offer => members.iter().filter_map(of).find(is_free),
            SdpType::Answer | SdpType::Pranswer => {
                let has_own = |index: &&usize| sections.get(**index).is_some_and(|section| section.is_tag);
                members.iter().find(has_own).or_else(|| members.first()).and_then(of).filter(is_free)
            }
        }
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
            let is_free = kind == SdpType::Offer && section.is_rejected();
            let is_renamed =
                section.mid.as_deref() != media.mid() && media.mid().is_some() && section.mid.is_some();
            let is_other = match section.kind {
                SectionKind::Media(id) | SectionKind::Refused(id) => self
                    .transceiver(id)
                    .is_some_and(|transceiver| transceiver.kind.name() != media.kind_text()),
                SectionKind::Data => !media.is_data_channels(),
                SectionKind::Rejected(_) => false,
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

    /// What is accepted of an offer: what can be, as far as the policy has it, and there may be transports
    /// (RFC 9429 §4.1.1 and §5.3.1).
    fn choose(
        &self,
        offer: &SessionDescription,
        mids: &Mids<'_>,
        config: &MediaConfig,
        placing: &Placing,
    ) -> Vec<bool> {
        let first_data = offer.media().find(is_usable_data).map(|media| media.index());
        let muxed = Muxed::of(offer, mids);
        let mut waiting = self.waiting();
        let mut is_usable = |media: &Media<'_>| {
            if media.is_data_channels() {
                return first_data == Some(media.index());
            }
            let is_good = !media.is_rejected() && is_secure(media) && muxed.has(media);
            is_good && self.speaks(media, config, &mut waiting)
        };
        let usable: Vec<bool> = offer.media().map(|media| is_usable(&media)).collect();
        let is_usable = |index: &usize| usable.get(*index) == Some(&true);
        let is_known = |index: &usize| self.agreed.get(*index).is_some_and(|section| !section.is_rejected());
        let groups = groups(offer, mids);
        let first = |kind: Option<&str>| {
            let is_it = |index: &usize| {
                is_usable(index)
                    && kind.is_none_or(|kind| {
                        offer.media().nth(*index).is_some_and(|media| media.kind_text() == kind)
                    })
            };
            let mut indices = (0..usable.len()).filter(is_it);
            indices.clone().find(is_known).or_else(|| indices.next())
        };
        let wanted: Vec<Option<usize>> = match placing.policy {
            BundlePolicy::MaxBundle => vec![first(None)],
            BundlePolicy::Balanced => {
                ["audio", "video", "application"].into_iter().map(|kind| first(Some(kind))).collect()
            }
            BundlePolicy::MaxCompat => (0..usable.len()).map(Some).collect(),
        };
        let mut used = self.transports_of(&self.agreed).len();
        let mut claimed = std::collections::BTreeSet::new();
        let mut accepted = vec![false; usable.len()];
        for group in groups {
            let members = || group.members.iter().filter(|index| is_usable(index));
            let is_wanted = |index: &usize| wanted.contains(&Some(*index));
            // What has a transport keeps it, whatever the policy would say if it were new.
            let keeps = placing.policy != BundlePolicy::MaxBundle && members().any(is_known);
            if !(keeps || group.members.iter().any(is_wanted)) {
                continue;
            }
            let mut known = members().filter_map(|index| self.agreed.get(*index)?.transport);
            if !known.any(|transport| claimed.insert(transport)) {
                if used >= placing.max_transports.max(1) {
                    continue;
                }
                used += 1;
            }
            for index in members() {
                accepted.iter_mut().skip(*index).take(1).for_each(|slot| *slot = true);
            }
        }
        accepted
    }

    /// Whether a section is for a transceiver that exists or can, which speaks one of its codecs. One that waits is taken for it.
    fn speaks(&self, media: &Media<'_>, config: &MediaConfig, waiting: &mut Vec<TransceiverId>) -> bool {
        let Some(kind) = kind_of(media) else { return false };
        let agreed = self.agreed.get(media.index());
        let known = agreed.and_then(Section::transceiver).and_then(|id| self.transceiver(id));
        let mut takers = waiting.iter().filter_map(|id| self.transceiver(*id));
        let taker = || takers.find(|it| it.may_take(media));
        let offered = codecs(media);
        let is_common = |codec: &Codec| offered.iter().any(|theirs| codec.fits(theirs));
        match known.or_else(taker) {
            Some(transceiver) => {
                let speaks = !transceiver.is_stopping && transceiver.codecs(config).any(is_common);
                waiting.retain(|id| !speaks || *id != transceiver.id);
                speaks
            }
            None => config.codecs(kind).any(is_common),
        }
    }

    /// What the peer has accepted of our offer.
    fn read_answer(
        &self,
        answer: &SessionDescription,
        mids: &Mids<'_>,
    ) -> Result<Vec<bool>, NegotiationError> {
        let muxed = Muxed::of(answer, mids);
        let offer = self.local.pending.as_ref().map(|(_, offer)| offer);
        // What was stopped since is answered as it was offered.
        let offered = offer.iter().flat_map(|offer| offer.media());
        let accepted: Vec<bool> = offered
            .zip(answer.media())
            .map(|(ours, theirs)| !ours.is_rejected() && !theirs.is_rejected())
            .collect();
        let is_accepted = |media: &Media<'_>| accepted.get(media.index()) == Some(&true);
        for media in answer.media().filter(|media| is_accepted(media) && kind_of(media).is_some()) {
            let index = media.index();
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
        Ok(accepted)
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

/// The bundles of a description, in the order of their names, and each section outside of them alone. One that says that it
/// is for those who bundle, and is in no bundle, is none.
fn groups(description: &SessionDescription, mids: &Mids<'_>) -> Vec<Group> {
    let mut seen = std::collections::BTreeSet::new();
    let mut groups: Vec<Group> = Vec::new();
    for bundle in description.bundle_groups() {
        let members: Vec<usize> = bundle
            .filter_map(|mid| Some(mids.get(mid)?.index()))
            // RFC 9143 §7.1: a section is in one.
            .filter(|index| seen.insert(*index))
            .collect();
        groups.push(Group { members, is_bundle: true });
    }
    let alone = description.media().filter(|media| {
        let is_for_bundles = media.is_bundle_only() && media.port() == 0;
        !seen.contains(&media.index()) && !is_for_bundles
    });
    groups.extend(alone.map(|media| Group { members: vec![media.index()], is_bundle: false }));
    groups
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
