//! Offers and answers for data channels (RFC 9429): which sections there are, in which state the exchange
//! is, and what a description of the peer says about the transport. It changes no transport itself.

use std::fmt::Write as _;

use ice::Credentials;
use sdp::{Attribute, Builder, Fingerprint, Media, MediaLine, SessionDescription, Setup};

use crate::fingerprint::{self, Fingerprints};
use crate::{NegotiationError, SdpType, SignalingState};

/// The exchange of descriptions.
///
/// ```text
///             set_local(offer)                      set_remote(answer)
///   Stable ───────────────────▶ HaveLocalOffer ────────────────────────▶ Stable
///     │ ▲                            │ rollback, or set_remote(offer)
///     │ └────────────────────────────┘
///     │       set_remote(offer)                      set_local(answer)
///     └───────────────────────▶ HaveRemoteOffer ───────────────────────▶ Stable
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
    created: Option<(SdpType, SessionDescription)>,
    local: Descriptions,
    remote: Descriptions,
}

/// What was set on one side.
#[derive(Debug, Default)]
struct Descriptions {
    current: Option<(SdpType, SessionDescription)>,
    pending: Option<(SdpType, SessionDescription)>,
}

impl Descriptions {
    fn latest(&self) -> Option<&(SdpType, SessionDescription)> {
        self.pending.as_ref().or(self.current.as_ref())
    }

    fn settle(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.current = Some(pending);
        }
    }
}

/// A media section.
#[derive(Clone, Debug)]
struct Section {
    mid: Option<String>,
    kind: SectionKind,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum SectionKind {
    /// Carries the data channels.
    Data,
    /// Rejected, since we do not know what it carries or have one like it: the rest of its `m=` line.
    Rejected { kind: String, protocol: String, formats: String },
}

/// What a description of ours says about our end of the transport.
#[derive(Debug)]
pub(crate) struct LocalParameters<'a> {
    pub credentials: &'a Credentials,
    /// SHA-256 of our certificate.
    pub fingerprint: &'a [u8],
    pub tls_id: &'a str,
    pub is_ice_lite: bool,
    pub setup: Setup,
    pub max_message_size: u64,
    /// With `candidate:` in front.
    pub candidates: &'a [String],
    pub gathering_done: bool,
}

/// What a description of the peer says about its end of the transport.
#[derive(Debug)]
pub(crate) struct RemoteParameters {
    pub credentials: Credentials,
    pub fingerprints: Fingerprints,
    pub setup: Setup,
    pub tls_id: Option<String>,
    pub sctp_port: u16,
    /// 0 is without limit.
    pub max_message_size: u64,
    pub is_ice_lite: bool,
    pub ice_options: ice::Options,
    pub candidates: Vec<String>,
    pub end_of_candidates: bool,
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
            local: Descriptions { current: None, pending: None },
            remote: Descriptions { current: None, pending: None },
        }
    }

    pub(crate) const fn state(&self) -> SignalingState {
        self.state
    }

    /// Whether a section for data channels is agreed upon.
    pub(crate) fn has_data(&self) -> bool {
        self.agreed.iter().any(|section| section.kind == SectionKind::Data)
    }

    /// The name and number of the section that carries the data channels, agreed or offered.
    pub(crate) fn data_section(&self) -> Option<(usize, &str)> {
        let index = self.sections.iter().position(|section| section.kind == SectionKind::Data)?;
        Some((index, self.sections.get(index)?.mid.as_deref().unwrap_or_default()))
    }

    /// An offer with every section there is, and one for data channels if `wants_data`.
    pub(crate) fn create_offer(
        &mut self,
        wants_data: bool,
        parameters: &LocalParameters<'_>,
    ) -> Result<SessionDescription, NegotiationError> {
        self.must_be(&[SignalingState::Stable, SignalingState::HaveLocalOffer])?;
        let mut sections = self.agreed.clone();
        if wants_data && !sections.iter().any(|section| section.kind == SectionKind::Data) {
            sections.push(Section { mid: Some(unused_mid(&sections)), kind: SectionKind::Data });
        }
        let offer = self.describe(&sections, parameters, None)?;
        self.version += 1;
        self.created = Some((SdpType::Offer, offer.clone()));
        Ok(offer)
    }

    /// The answer to the offer that was set.
    pub(crate) fn create_answer(
        &mut self,
        parameters: &LocalParameters<'_>,
    ) -> Result<SessionDescription, NegotiationError> {
        self.must_be(&[SignalingState::HaveRemoteOffer])?;
        let offer = self.remote.pending.as_ref().map(|(_, offer)| offer);
        let answer = self.describe(&self.sections, parameters, offer)?;
        self.version += 1;
        self.created = Some((SdpType::Answer, answer.clone()));
        Ok(answer)
    }

    /// Sets what was created last. `description` must be it, to the letter.
    pub(crate) fn set_local(
        &mut self,
        kind: SdpType,
        description: SessionDescription,
    ) -> Result<(), NegotiationError> {
        self.must_be(match kind {
            SdpType::Offer => &[SignalingState::Stable, SignalingState::HaveLocalOffer],
            SdpType::Answer => &[SignalingState::HaveRemoteOffer],
        })?;
        let created = self.created.as_ref();
        if !created.is_some_and(|(made, text)| *made == kind && text.to_string() == description.to_string()) {
            return Err(NegotiationError::NotTheCreatedDescription);
        }
        self.created = None;
        match kind {
            SdpType::Offer => {
                self.sections.clone_from(&self.agreed);
                let offered = description.media().skip(self.agreed.len());
                self.sections.extend(
                    offered.map(|media| Section {
                        mid: media.mid().map(str::to_owned),
                        kind: SectionKind::Data,
                    }),
                );
                self.local.pending = Some((kind, description));
                self.state = SignalingState::HaveLocalOffer;
            }
            SdpType::Answer => {
                self.local.pending = Some((kind, description));
                self.settle();
            }
        }
        Ok(())
    }

    /// Checks a description of the peer, and says what it says about the transport; `None` where it has no
    /// section for data channels. Nothing is changed before [`set_remote`](Self::set_remote).
    pub(crate) fn read_remote(
        &self,
        kind: SdpType,
        description: &SessionDescription,
    ) -> Result<Option<RemoteParameters>, NegotiationError> {
        self.must_be(match kind {
            SdpType::Offer => {
                &[SignalingState::Stable, SignalingState::HaveLocalOffer, SignalingState::HaveRemoteOffer]
            }
            SdpType::Answer => &[SignalingState::HaveLocalOffer],
        })?;
        let sections = if kind == SdpType::Offer { &self.agreed } else { &self.sections };
        let known = sections.len();
        let count = description.media().len();
        // RFC 9429 §5.2.2 and §5.3.1: sections are added at the end, and never taken away.
        if count < known || (kind == SdpType::Answer && count > known) {
            return Err(NegotiationError::SectionCount { expected: known, found: count });
        }
        for (section, media) in sections.iter().zip(description.media()) {
            // RFC 9429 §5.2.2: an offer may use a rejected section for something else, under another name.
            let is_free = kind == SdpType::Offer && section.kind != SectionKind::Data;
            let is_renamed =
                section.mid.as_deref() != media.mid() && media.mid().is_some() && section.mid.is_some();
            if is_renamed && !is_free {
                return Err(NegotiationError::SectionChanged { index: media.index() });
            }
        }
        if let (SdpType::Answer, Some((_, offer))) = (kind, &self.local.pending) {
            // RFC 9429 §5.8.3: an answer says of each section what it carries as the offer did.
            let differs = |(ours, theirs): &(Media<'_>, Media<'_>)| {
                ours.kind_text() != theirs.kind_text() || ours.protocol() != theirs.protocol()
            };
            if let Some((section, _)) = offer.media().zip(description.media()).find(differs) {
                return Err(NegotiationError::NotAsOffered { index: section.index() });
            }
        }
        // A section that leaves its name out keeps the one it had, which then is nobody else's.
        let names = sections_of(description, sections);
        for (index, section) in names.iter().enumerate() {
            let is_taken = |earlier: &Section| earlier.mid.is_some() && earlier.mid == section.mid;
            if names.iter().take(index).any(is_taken) {
                return Err(NegotiationError::SectionChanged { index });
            }
        }
        for mid in description.bundle_groups().flatten() {
            if description.media_by_mid(mid).is_none() {
                return Err(NegotiationError::UnknownBundledMid);
            }
        }
        let data = match kind {
            SdpType::Offer => description.media().find(is_usable_data),
            SdpType::Answer => self
                .data_section()
                .and_then(|(index, _)| description.media().nth(index))
                .filter(|media| !media.is_rejected()),
        };
        data.map(|media| transport_parameters(kind, media)).transpose()
    }

    /// Sets a description that [`read_remote`](Self::read_remote) found right.
    pub(crate) fn set_remote(&mut self, kind: SdpType, description: SessionDescription) {
        self.created = None;
        match kind {
            SdpType::Offer => {
                if self.state != SignalingState::Stable {
                    self.rollback();
                }
                self.sections = sections_of(&description, &self.agreed);
                self.remote.pending = Some((kind, description));
                self.state = SignalingState::HaveRemoteOffer;
            }
            SdpType::Answer => {
                for (section, media) in self.sections.iter_mut().zip(description.media()) {
                    if media.is_rejected() && section.kind == SectionKind::Data {
                        section.kind = rejected(&media);
                    }
                }
                self.remote.pending = Some((kind, description));
                self.settle();
            }
        }
    }

    /// Takes the offer that was set last back: everything is as it was before.
    pub(crate) fn rollback(&mut self) {
        self.sections.clone_from(&self.agreed);
        self.local.pending = None;
        self.remote.pending = None;
        self.created = None;
        self.state = SignalingState::Stable;
    }

    pub(crate) fn close(&mut self) {
        self.created = None;
        self.state = SignalingState::Closed;
    }

    pub(crate) const fn has_local_description(&self) -> bool {
        self.local.current.is_some() || self.local.pending.is_some()
    }

    /// The local description set last, with the candidates found since.
    pub(crate) fn local_description(
        &self,
        candidates: &[String],
        gathering_done: bool,
    ) -> Option<(SdpType, SessionDescription)> {
        let (kind, mut description) = self.local.latest()?.clone();
        let Some((index, _)) = self.data_section() else { return Some((kind, description)) };
        description.remove_attributes(Some(index), "candidate");
        description.remove_attributes(Some(index), "end-of-candidates");
        for candidate in candidates {
            description.add_attribute(Some(index), Attribute::Candidate(without_name(candidate)));
        }
        if gathering_done {
            description.add_attribute(Some(index), Attribute::EndOfCandidates);
        }
        Some((kind, description))
    }

    /// The remote description set last.
    pub(crate) fn remote_description(&self) -> Option<&(SdpType, SessionDescription)> {
        self.remote.latest()
    }

    /// Gives back what negotiating needed and having agreed does not.
    pub(crate) fn give_back(&mut self) {
        self.sections.shrink_to_fit();
        self.agreed.shrink_to_fit();
    }

    fn settle(&mut self) {
        self.agreed.clone_from(&self.sections);
        self.local.settle();
        self.remote.settle();
        self.state = SignalingState::Stable;
    }

    fn must_be(&self, states: &[SignalingState]) -> Result<(), NegotiationError> {
        if states.contains(&self.state) { Ok(()) } else { Err(NegotiationError::WrongState(self.state)) }
    }

    fn describe(
        &self,
        sections: &[Section],
        parameters: &LocalParameters<'_>,
        offer: Option<&SessionDescription>,
    ) -> Result<SessionDescription, NegotiationError> {
        let mut builder = Builder::new(self.session_id, self.version + 1);
        // RFC 9429 §5.3.1: an answer bundles what the offer does, as far as it is accepted.
        let may_bundle =
            |mid: &&str| offer.is_none_or(|offer| offer.bundle_groups().flatten().any(|it| it == *mid));
        let accepted = sections.iter().filter(|section| section.kind == SectionKind::Data);
        builder.bundle(accepted.filter_map(|section| section.mid.as_deref()).filter(may_bundle));
        // RFC 9429 §5.2.1 and §5.3.1: session-level, since it is true of all sections; an answer says `trickle`
        // if the offer does. `ice2` as RFC 8445 §10 asks.
        let trickles = offer.is_none_or(|offer| offer.media().any(|media| media.has_ice_option("trickle")));
        if parameters.is_ice_lite {
            builder.attribute(Attribute::IceLite);
        }
        builder.attribute(Attribute::IceOptions(if trickles {
            "trickle ice2 renomination"
        } else {
            "ice2 renomination"
        }));
        for (index, section) in sections.iter().enumerate() {
            let offered = offer.and_then(|offer| offer.media().nth(index));
            // RFC 9429 §5.3.1: an answer names a section if the offer does.
            let mid = if let Some(media) = &offered { media.mid() } else { section.mid.as_deref() };
            match &section.kind {
                SectionKind::Data => {
                    // RFC 9429 §5.1.3: an answer repeats the profile that was offered, an offer has the present one.
                    let formats = offered.map(|media| media.formats().collect::<Vec<_>>().join(" "));
                    let line = MediaLine {
                        kind: "application",
                        port: 9,
                        protocol: offered.map_or("UDP/DTLS/SCTP", |media| media.protocol()),
                        formats: formats.as_deref().unwrap_or(DATA_FORMAT),
                    };
                    builder.media(line);
                    mid.map(|mid| builder.attribute(Attribute::Mid(mid)));
                    describe_transport(&mut builder, parameters)?;
                }
                SectionKind::Rejected { kind, protocol, formats } => {
                    builder.media(MediaLine { kind, port: 0, protocol, formats });
                    mid.map(|mid| builder.attribute(Attribute::Mid(mid)));
                }
            }
        }
        Ok(builder.build()?)
    }
}

fn describe_transport(
    builder: &mut Builder,
    parameters: &LocalParameters<'_>,
) -> Result<(), NegotiationError> {
    builder.attribute(Attribute::IceUfrag(parameters.credentials.ufrag()));
    builder.attribute(Attribute::IcePwd(parameters.credentials.password()));
    let mut print = String::from("fingerprint:sha-256 ");
    // Writing to a string cannot fail.
    let _ = print.write_str(&Fingerprint::text_of(parameters.fingerprint));
    builder.attribute(Attribute::parse(&print).map_err(|kind| sdp::ParseError { line: 0, kind })?);
    builder.attribute(Attribute::Setup(parameters.setup));
    builder.attribute(Attribute::TlsId(parameters.tls_id));
    builder.attribute(Attribute::SctpPort(SCTP_PORT));
    builder.attribute(Attribute::MaxMessageSize(parameters.max_message_size));
    for candidate in parameters.candidates {
        builder.attribute(Attribute::Candidate(without_name(candidate)));
    }
    if parameters.gathering_done {
        builder.attribute(Attribute::EndOfCandidates);
    }
    Ok(())
}

/// What an accepted section of the peer says about its end of the transport.
fn transport_parameters(kind: SdpType, media: Media<'_>) -> Result<RemoteParameters, NegotiationError> {
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
        SdpType::Answer => matches!(setup, Setup::Active | Setup::Passive),
    };
    if !fits {
        return Err(NegotiationError::Setup(setup));
    }
    Ok(RemoteParameters {
        credentials,
        fingerprints,
        setup,
        tls_id: media.tls_id().map(str::to_owned),
        sctp_port: media.sctp_port().ok_or_else(|| missing("sctp-port"))?,
        // RFC 8841 §6.1: 64 KiB where the peer does not say.
        max_message_size: media.max_message_size().unwrap_or(65_536),
        is_ice_lite: media.is_ice_lite(),
        ice_options: ice::Options {
            ice2: media.has_ice_option("ice2"),
            renomination: media.has_ice_option("renomination"),
        },
        candidates: media.candidates().map(str::to_owned).collect(),
        end_of_candidates: media.has_end_of_candidates(),
    })
}

/// The sections that a peer's offer makes: the first for data channels is accepted, all others rejected.
fn sections_of(description: &SessionDescription, agreed: &[Section]) -> Vec<Section> {
    let data = description.media().find(is_usable_data).map(|media| media.index());
    let section = |media: Media<'_>| {
        let known = agreed.get(media.index()).and_then(|section| section.mid.clone());
        let mid = media.mid().map(str::to_owned).or(known);
        let kind = if data == Some(media.index()) { SectionKind::Data } else { rejected(&media) };
        Section { mid, kind }
    };
    description.media().map(section).collect()
}

fn is_usable_data(media: &Media<'_>) -> bool {
    media.is_data_channels() && !media.is_rejected()
}

fn rejected(media: &Media<'_>) -> SectionKind {
    let formats = media.formats().collect::<Vec<_>>().join(" ");
    SectionKind::Rejected {
        kind: media.kind_text().to_owned(),
        protocol: media.protocol().to_owned(),
        formats,
    }
}

/// RFC 9429 §5.2.1: a short name that no section has yet.
fn unused_mid(sections: &[Section]) -> String {
    let taken = |name: &str| sections.iter().any(|section| section.mid.as_deref() == Some(name));
    (0..).map(|number: u32| number.to_string()).find(|name| !taken(name)).unwrap_or_default()
}

fn without_name(candidate: &str) -> &str {
    candidate.strip_prefix("candidate:").unwrap_or(candidate)
}

/// RFC 8841 §5.1: the port that browsers use; behind DTLS it distinguishes nothing.
const SCTP_PORT: u16 = 5000;
/// RFC 8841 §4.3.
const DATA_FORMAT: &str = "webrtc-datachannel";
