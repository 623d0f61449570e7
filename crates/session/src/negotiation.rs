//! Offers and answers (RFC 9429): which sections there are, in which state the exchange is, what descriptions say, and
//! what they make of transceivers. It changes no transport itself.

mod describe;
mod descriptions;
mod needed;
mod numbers;
mod parameters;
mod placing;
mod read;
mod transceivers;

pub(crate) use placing::Placing;
pub(crate) use read::Choice;
pub(crate) use transceivers::{check_streams, distinct_streams};

use std::collections::VecDeque;

use self::descriptions::Descriptions;
use crypto::Secret;
use ice::Credentials;
use sdp::{Attribute, Media, SessionDescription, Setup};

use crate::config::BundlePolicy;
use crate::fingerprint::Fingerprints;
use crate::media::transceiver::{Association, Transceiver};
use crate::media::{MediaConfig, TransceiverId};
use crate::transports::TransportId;
use crate::{NegotiationError, SdpType, SignalingState};

/// The exchange of descriptions.
///
/// ```text
///             set_local(offer)                      set_remote(answer)
///   Stable ───────────────────▶ HaveLocalOffer ────────────────────────▶ Stable
///     │ ▲                          │      │ set_remote(pranswer)           ▲
///     │ └──────────────────────────┘      └────────▶ HaveRemotePranswer ───┘ set_remote(answer)
///     │    rollback, set_remote(offer)
///     │       set_remote(offer)                      set_local(answer)
///     └───────────────────────▶ HaveRemoteOffer ───────────────────────▶ Stable
///                                         │ set_local(pranswer)            ▲
///                                         └────────▶ HaveLocalPranswer ────┘ set_local(answer)
/// ```
#[derive(Debug)]
pub(crate) struct Negotiation {
    state: SignalingState,
    session_id: u64,
    /// Of the description made last: each has another (RFC 9429 §5.2.2).
    version: u64,
    /// As agreed, or as offered while an exchange is under way.
    sections: Vec<Section>,
    /// As agreed: what a rollback leaves.
    agreed: Vec<Section>,
    /// What `create_offer` or `create_answer` made last: the only thing that `set_local` takes.
    created: Option<Box<Created>>,
    local: Descriptions,
    remote: Descriptions,
    pub(super) transceivers: Vec<Transceiver>,
    /// Seeds that were drawn.
    draws: u32,
    /// What a rollback restores.
    before: Option<Box<Before>>,
    /// Stopped transceivers whose tracks the application does not know to be gone.
    pub(crate) stopped: Option<Box<Stopped>>,
}

/// Most sessions have none, and pay for a pointer.
#[derive(Debug, Default)]
pub(crate) struct Stopped(pub(crate) VecDeque<TransceiverId>);

/// The sections of an offer that is about to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    sections: Vec<Section>,
    policy: BundlePolicy,
}

impl Plan {
    /// The transports that they need.
    pub(crate) fn transports(&self) -> impl Iterator<Item = TransportId> {
        self.sections.iter().filter_map(|section| section.transport)
    }
}

/// A description that can be set, and the sections of an offer.
#[derive(Debug)]
struct Created {
    kind: SdpType,
    description: SessionDescription,
    plan: Vec<Section>,
    drafts: Drafts,
}

/// Credentials in a description of transports that begin ICE anew once it is set.
pub(crate) type Drafts = Vec<(TransportId, Credentials)>;

/// What an exchange of descriptions has changed of transceivers.
#[derive(Debug, Default)]
struct Before {
    associations: Vec<(TransceiverId, Association)>,
    /// Those that it has made.
    made: Vec<TransceiverId>,
}

/// What is there of an offer of the peer's that another one replaces.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    /// The transceivers that it has made, with the names of their sections.
    made: Vec<(Option<String>, TransceiverId)>,
    /// The tracks that the application knows of, with their streams.
    told: Vec<(TransceiverId, Vec<String>)>,
}

/// A media section.
#[derive(Clone, Debug)]
struct Section {
    mid: Option<String>,
    kind: SectionKind,
    /// None where it is rejected.
    transport: Option<TransportId>,
    /// It is the section that its transport's candidates stand in, and of those that share it the first that is named.
    is_tag: bool,
    /// The last answer had it in a bundle.
    is_bundled: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum SectionKind {
    /// Carries the data channels.
    Data,
    /// Carries what this transceiver sends and receives.
    Media(TransceiverId),
    /// Has carried that, and is to be rejected by the answer.
    Refused(TransceiverId),
    /// Rejected: the rest of its `m=` line.
    Rejected(Box<RejectedLine>),
}

/// What stays of an `m=` line without a port.
#[derive(Clone, Debug, Eq, PartialEq)]
struct RejectedLine {
    kind: String,
    protocol: String,
    formats: String,
}

/// What a description of ours says about our ends of the transports, and what we speak.
#[derive(Debug)]
pub(crate) struct LocalParameters<'a> {
    pub ends: &'a [LocalEnd<'a>],
    /// SHA-256 of our certificate.
    pub fingerprint: &'a [u8],
    pub is_ice_lite: bool,
    pub max_message_size: u64,
    pub media: &'a MediaConfig,
    /// See [`Negotiation::cname`].
    pub seed: &'a Secret<32>,
}

/// Our end of one transport.
#[derive(Debug)]
pub(crate) struct LocalEnd<'a> {
    pub id: TransportId,
    pub credentials: &'a Credentials,
    pub tls_id: &'a str,
    pub setup: Setup,
    /// With `candidate:` in front.
    pub candidates: &'a [String],
    pub gathering_done: bool,
}

impl<'a> LocalParameters<'a> {
    fn end_of(&self, section: &Section) -> Result<&'a LocalEnd<'a>, NegotiationError> {
        let end = section.transport.and_then(|id| self.ends.iter().find(|end| end.id == id));
        end.ok_or(NegotiationError::Missing("ice-ufrag"))
    }
}

/// What a description of the peer says about its end of the transport.
#[derive(Debug)]
pub(crate) struct RemoteParameters {
    pub credentials: Credentials,
    pub fingerprints: Fingerprints,
    pub setup: Setup,
    pub tls_id: Option<String>,
    /// Where data channels were accepted.
    pub sctp: Option<SctpParameters>,
    pub is_ice_lite: bool,
    pub ice_options: ice::Options,
    pub candidates: Vec<String>,
    pub end_of_candidates: bool,
}

/// What the peer says about its association.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SctpParameters {
    pub port: u16,
    /// 0 is without limit.
    pub max_message_size: u64,
}

impl Negotiation {
    pub(crate) const fn new(session_id: u64) -> Self {
        Self {
            state: SignalingState::Stable,
            session_id,
            version: 0,
            sections: Vec::new(),
            agreed: Vec::new(),
            created: None,
            local: Descriptions::NONE,
            remote: Descriptions::NONE,
            transceivers: Vec::new(),
            draws: 0,
            before: None,
            stopped: None,
        }
    }

    pub(crate) const fn state(&self) -> SignalingState {
        self.state
    }

    /// Whether a section for data channels is agreed upon.
    pub(crate) fn has_data(&self) -> bool {
        self.agreed.iter().any(|section| section.kind == SectionKind::Data)
    }

    /// Whether a section for data channels is agreed upon or offered.
    pub(crate) fn offers_data(&self) -> bool {
        self.sections.iter().any(|section| section.kind == SectionKind::Data)
    }

    /// Whether a section is agreed upon that needs a transport.
    pub(crate) fn has_transport(&self) -> bool {
        self.agreed.iter().any(|section| !section.is_rejected())
    }

    /// Whether a section for audio or video is agreed upon.
    pub(crate) fn has_media(&self) -> bool {
        self.media_transports().next().is_some()
    }

    /// Whether a section for audio or video is agreed upon that this transport carries.
    pub(crate) fn carries_media(&self, id: TransportId) -> bool {
        self.media_transports().any(|transport| transport == Some(id))
    }

    /// The transports of sections for audio or video that are agreed upon, if only for now (RFC 9429 §4.1.10.1).
    fn media_transports(&self) -> impl Iterator<Item = Option<TransportId>> {
        let agreed = self.agreed.iter().filter(|section| section.transceiver().is_some());
        let is_provisional =
            matches!(self.state, SignalingState::HaveLocalPranswer | SignalingState::HaveRemotePranswer);
        let sections = if is_provisional { self.sections.as_slice() } else { &[] };
        let answered = sections.iter().filter_map(|section| self.transceiver(section.transceiver()?));
        let answered = answered.map(|transceiver| &transceiver.association);
        let answered = answered.filter(|association| association.negotiated.is_some());
        agreed.map(|section| section.transport).chain(answered.map(|association| Some(association.transport)))
    }

    /// The number and name of the section that a transport belongs to, agreed or offered.
    pub(crate) fn transport_section(&self, id: TransportId) -> Option<(usize, &str)> {
        let has_it = |index: &usize| {
            self.sections.get(*index).is_some_and(|it| it.transport == Some(id) && self.is_offered(it))
        };
        let is_tag = |index: &usize| self.sections.get(*index).is_some_and(|section| section.is_tag);
        let mut all = (0..self.sections.len()).filter(has_it);
        let index = all.clone().find(is_tag).or_else(|| all.next())?;
        Some((index, self.sections.get(index)?.mid.as_deref().unwrap_or_default()))
    }

    /// The transport of a section that is not rejected, agreed or offered, although its transceiver may be stopped since.
    pub(crate) fn transport_of(&self, index: usize) -> Option<TransportId> {
        let is_live = |section: &&Section| matches!(section.kind, SectionKind::Data | SectionKind::Media(_));
        self.sections.get(index).filter(is_live)?.transport
    }

    /// The sections of an offer made now, and the transports that they need: some may not be there yet.
    pub(crate) fn plan(&self, wants_data: bool, placing: &mut Placing) -> Result<Plan, NegotiationError> {
        self.must_be(&[SignalingState::Stable, SignalingState::HaveLocalOffer])?;
        let mut sections = self.plan_offer(wants_data);
        self.place_offer(&mut sections, placing);
        Ok(Plan { sections, policy: placing.policy })
    }

    /// An offer with every section there is, one for each transceiver, and one for data channels if that was wanted.
    pub(crate) fn create_offer(
        &mut self,
        plan: Plan,
        parameters: &LocalParameters<'_>,
    ) -> Result<SessionDescription, NegotiationError> {
        let description = self.describe_offer(&plan, parameters)?;
        self.version += 1;
        let (kind, plan) = (SdpType::Offer, plan.sections);
        let drafts = Drafts::new();
        self.created = Some(Box::new(Created { kind, description: description.clone(), plan, drafts }));
        self.forget_idle();
        Ok(description)
    }

    /// The answer to the offer that was set.
    pub(crate) fn create_answer(
        &mut self,
        parameters: &LocalParameters<'_>,
    ) -> Result<SessionDescription, NegotiationError> {
        self.must_be(&[SignalingState::HaveRemoteOffer, SignalingState::HaveLocalPranswer])?;
        let (_, offer) = self.remote.pending.as_ref().ok_or(NegotiationError::WrongState(self.state))?;
        let description = self.describe_answer(offer, parameters)?;
        self.version += 1;
        let (kind, plan, drafts) = (SdpType::Answer, Vec::new(), Drafts::new());
        self.created = Some(Box::new(Created { kind, description: description.clone(), plan, drafts }));
        Ok(description)
    }

    /// Notes the drafts that the description which was created last was made with.
    pub(crate) fn note_drafts(&mut self, drafts: Drafts) {
        if let Some(created) = &mut self.created {
            created.drafts = drafts;
        }
    }

    /// Sets what was created last. `description` must be it, to the letter; an answer may be set as a provisional one, and then
    /// again.
    /// Gives the drafts that it was made with.
    pub(crate) fn set_local(
        &mut self,
        kind: SdpType,
        description: SessionDescription,
        context: MediaContext<'_>,
    ) -> Result<Drafts, NegotiationError> {
        self.must_be(match kind {
            SdpType::Offer => &[SignalingState::Stable, SignalingState::HaveLocalOffer],
            SdpType::Answer | SdpType::Pranswer => {
                &[SignalingState::HaveRemoteOffer, SignalingState::HaveLocalPranswer]
            }
        })?;
        let is_offer = kind == SdpType::Offer;
        let text = description.to_string();
        let is_it = |created: &Created| {
            (created.kind == SdpType::Offer) == is_offer && created.description.to_string() == text
        };
        let Some(mut created) = self.created.take_if(|created| is_it(created)) else {
            return Err(NegotiationError::NotTheCreatedDescription);
        };
        let drafts = std::mem::take(&mut created.drafts);
        self.local.pending = Some((kind, description));
        match kind {
            SdpType::Offer => {
                if self.state == SignalingState::Stable {
                    self.remember();
                }
                self.sections = created.plan;
                self.associate_offered();
                self.state = SignalingState::HaveLocalOffer;
            }
            SdpType::Pranswer => {
                self.apply_local_answer(false, context);
                self.state = SignalingState::HaveLocalPranswer;
                // It may be set once more, and for good.
                self.created = Some(created);
            }
            SdpType::Answer => {
                self.apply_local_answer(true, context);
                self.settle();
            }
        }
        Ok(drafts)
    }

    /// Sets a description that [`read_remote`](Self::read_remote) found right, as far as it was chosen there.
    pub(crate) fn set_remote(
        &mut self,
        kind: SdpType,
        description: SessionDescription,
        choice: &Choice,
        replaced: &Replaced,
        context: MediaContext<'_>,
    ) {
        self.created = None;
        match kind {
            SdpType::Offer => {
                self.remember();
                self.apply_remote_offer(&description, choice, replaced, context);
                self.remote.pending = Some((kind, description));
                self.state = SignalingState::HaveRemoteOffer;
            }
            SdpType::Pranswer => {
                self.apply_remote_answer(&description, choice, false, context);
                self.remote.pending = Some((kind, description));
                self.state = SignalingState::HaveRemotePranswer;
            }
            SdpType::Answer => {
                self.apply_remote_answer(&description, choice, true, context);
                self.remote.pending = Some((kind, description));
                self.settle();
            }
        }
        self.forget_idle();
    }

    /// Takes the offer that was set last back: everything is as it was before, but for what is `replaced`, which stays until
    /// the next is set.
    pub(crate) fn rollback(&mut self, replaced: &Replaced) {
        self.sections.clone_from(&self.agreed);
        self.local.pending = None;
        self.remote.pending = None;
        self.created = None;
        self.restore(replaced);
        if replaced.made.is_empty() {
            self.forget_idle();
        }
        self.state = SignalingState::Stable;
    }

    pub(crate) fn close(&mut self) {
        self.created = None;
        self.state = SignalingState::Closed;
    }

    /// The user fragments that descriptions of ours name.
    pub(crate) fn local_ufrags(&self) -> Vec<String> {
        let pending = self.local.pending.as_ref();
        let media = pending.into_iter().chain(self.local.current()).flat_map(|(_, it)| it.media());
        media.filter_map(|media| media.ice_ufrag().map(str::to_owned)).collect()
    }

    pub(crate) const fn has_local_description(&self) -> bool {
        self.local.has_any()
    }

    /// The local description set last, with the candidates found since: `found` says of a transport what they are, and
    /// whether there are no more.
    pub(crate) fn local_description<'a>(
        &self,
        found: impl Fn(TransportId) -> Option<(&'a [String], bool)>,
    ) -> Option<(SdpType, SessionDescription)> {
        let (kind, mut description) = self.local.latest()?.clone();
        for (index, section) in self.sections.iter().enumerate() {
            let Some(id) = section.transport.filter(|_| self.is_offered(section)) else { continue };
            description.remove_attributes(Some(index), "candidate");
            description.remove_attributes(Some(index), "end-of-candidates");
            if self.transport_section(id).is_none_or(|(tag, _)| tag != index) {
                continue;
            }
            let Some((candidates, is_done)) = found(id) else { continue };
            for candidate in candidates {
                description.add_attribute(Some(index), Attribute::Candidate(without_name(candidate)));
            }
            if is_done {
                description.add_attribute(Some(index), Attribute::EndOfCandidates);
            }
        }
        Some((kind, description))
    }

    /// The remote description set last.
    pub(crate) fn remote_description(&self) -> Option<&(SdpType, SessionDescription)> {
        self.remote.latest()
    }

    /// The transport that candidates for this section of the peer's are for.
    pub(crate) fn transport_of_candidates(&self, media: &Media<'_>) -> Option<TransportId> {
        let id = self.transport_of(media.index())?;
        let (_, description) = self.remote.latest()?;
        let tagged = self.transport_section(id).and_then(|(index, _)| description.media().nth(index));
        // Before it is answered, an offer may have other transports that are not used (RFC 9143 §7.2).
        let is_used = match (tagged.and_then(|tagged| tagged.ice_ufrag()), media.ice_ufrag()) {
            (Some(used), Some(named)) => used == named,
            _ => true,
        };
        is_used.then_some(id)
    }

    /// Gives back what reading descriptions needed.
    pub(crate) fn fold_descriptions(&mut self) {
        self.local.fold();
        self.remote.fold();
    }

    /// Gives back what negotiating needed and having agreed does not.
    pub(crate) fn give_back(&mut self) {
        self.sections.shrink_to_fit();
        self.agreed.shrink_to_fit();
        self.transceivers.shrink_to_fit();
    }

    /// Whether a section of ours, or one that was offered to us, is not rejected.
    fn is_live(&self, section: Option<&Section>) -> bool {
        section.is_some_and(|section| self.is_offered(section))
    }

    /// Whether an offer of ours with this section has it with a port.
    fn is_offered(&self, section: &Section) -> bool {
        match section.kind {
            SectionKind::Data => true,
            SectionKind::Media(id) => {
                self.transceiver(id).is_some_and(|transceiver| !transceiver.is_stopping)
            }
            SectionKind::Refused(_) | SectionKind::Rejected(_) => false,
        }
    }

    fn settle(&mut self) {
        self.agreed.clone_from(&self.sections);
        self.before = None;
        self.created = None;
        self.forget_idle();
        self.local.settle();
        self.remote.settle();
        self.state = SignalingState::Stable;
    }

    fn must_be(&self, states: &[SignalingState]) -> Result<(), NegotiationError> {
        if states.contains(&self.state) { Ok(()) } else { Err(NegotiationError::WrongState(self.state)) }
    }

    fn must_take_remote(&self, kind: SdpType) -> Result<(), NegotiationError> {
        self.must_be(match kind {
            SdpType::Offer => {
                &[SignalingState::Stable, SignalingState::HaveLocalOffer, SignalingState::HaveRemoteOffer]
            }
            SdpType::Answer | SdpType::Pranswer => {
                &[SignalingState::HaveLocalOffer, SignalingState::HaveRemotePranswer]
            }
        })
    }
}

/// What agreeing upon media needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MediaContext<'a> {
    pub config: &'a MediaConfig,
    /// SSRCs of a peer's section that are read.
    pub max_sources: usize,
    /// What SSRCs and names are drawn from.
    pub seed: &'a Secret<32>,
}

fn rejected(media: &Media<'_>) -> SectionKind {
    let formats = media.formats().collect::<Vec<_>>().join(" ");
    let (kind, protocol) = (media.kind_text().to_owned(), media.protocol().to_owned());
    SectionKind::Rejected(Box::new(RejectedLine { kind, protocol, formats }))
}

fn without_name(candidate: &str) -> &str {
    candidate.strip_prefix("candidate:").unwrap_or(candidate)
}
