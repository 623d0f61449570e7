//! Offers, answers and candidates: what a session does of RFC 9429.

use crypto::{HashAlgorithm, derive_seed};
use ice::Role;
use proto::Instant;
use sdp::{SessionDescription, Setup};

use super::Session;
use super::media::media_config;
use crate::config::DtlsRole;
use crate::negotiation::{
    Drafts, LocalEnd, LocalParameters, Negotiation, Placing, RemoteParameters, Replaced,
};
use crate::transport::{DtlsState, Transport};
use crate::transports::TransportId;
use crate::{CandidateError, Failure, GatheringState, NegotiationError, SdpType, SignalingState};

impl Session {
    /// Makes an offer with everything added so far.
    ///
    /// # Errors
    ///
    /// If an offer of the peer's is being answered, or the session is closed.
    pub fn create_offer(&mut self, now: Instant) -> Result<SessionDescription, NegotiationError> {
        self.advance(now);
        self.must_be_open()?;
        if self.signaling_state() == SignalingState::HaveRemoteOffer {
            return Err(NegotiationError::WrongState(SignalingState::HaveRemoteOffer));
        }
        let mut placing = self.placing();
        let plan = self.negotiation.plan(self.channels.is_in_use(), &mut placing)?;
        self.transports_made = placing.next.0;
        plan.transports().for_each(|id| self.make_transport(id, Role::Controlling, None));
        let drafts = self.draw_to_replace();
        let offer = self.describe(
            drafts,
            |_, _| Setup::ActPass,
            |negotiation, parameters| negotiation.create_offer(plan, parameters),
        );
        self.forget_unused();
        offer
    }

    /// Makes the answer to the offer that was set.
    ///
    /// # Errors
    ///
    /// If no offer of the peer's is being answered.
    pub fn create_answer(&mut self, now: Instant) -> Result<SessionDescription, NegotiationError> {
        self.advance(now);
        self.must_be_open()?;
        let setup = |session: &Self, transport: &Transport| match session.answer_role(transport) {
            DtlsRole::Client => Setup::Active,
            DtlsRole::Server => Setup::Passive,
        };
        // RFC 8445 §9: where the peer restarts, so do we.
        let drafts = self.draw_where(Transport::is_restarted_by_peer);
        self.describe(drafts, setup, Negotiation::create_answer)
    }

    /// Sets the description that was created last; gathering begins, and after an answer, connecting.
    ///
    /// # Errors
    ///
    /// If it is another one, or does not belong to the present state.
    pub fn set_local(
        &mut self,
        now: Instant,
        kind: SdpType,
        description: SessionDescription,
    ) -> Result<(), NegotiationError> {
        self.advance(now);
        self.must_be_open()?;
        let had_data = self.negotiation.has_data();
        let context = Self::media_context(&self.config, &self.seed);
        for (id, credentials) in self.negotiation.set_local(kind, description, context)? {
            self.restart_transport(id, credentials);
        }
        for transport in self.transports.iter_mut() {
            transport.connectivity.gather(self.now);
        }
        self.news.negotiation_begins();
        match kind {
            SdpType::Offer => {}
            SdpType::Answer => {
                self.connect();
                self.agreed(had_data);
            }
            SdpType::Pranswer => self.connect(),
        }
        self.follow_media();
        self.settle();
        Ok(())
    }

    /// Makes the description that is due and sets it: the answer to an offer of the peer's, or else an offer (W3C WebRTC 1.0
    /// §4.4.2, `setLocalDescription` without an argument). Gives what is to be sent to the peer.
    ///
    /// # Errors
    ///
    /// If an offer of ours has a provisional answer, or the session is closed.
    pub fn make_local(&mut self, now: Instant) -> Result<(SdpType, SessionDescription), NegotiationError> {
        let (kind, description) = match self.signaling_state() {
            SignalingState::HaveRemoteOffer | SignalingState::HaveLocalPranswer => {
                (SdpType::Answer, self.create_answer(now)?)
            }
            SignalingState::Stable
            | SignalingState::HaveLocalOffer
            | SignalingState::HaveRemotePranswer
            | SignalingState::Closed => (SdpType::Offer, self.create_offer(now)?),
        };
        self.set_local(now, kind, description.clone())?;
        Ok((kind, description))
    }

    /// Sets a description of the peer's. An offer takes back one of ours (implicit rollback), and replaces one
    /// of the peer's that was not answered yet, whose transceivers stay where it has sections of their names.
    ///
    /// # Errors
    ///
    /// What is missing or does not fit; nothing is changed then.
    pub fn set_remote(
        &mut self,
        now: Instant,
        kind: SdpType,
        description: SessionDescription,
    ) -> Result<(), NegotiationError> {
        self.advance(now);
        self.must_be_open()?;
        let context = Self::media_context(&self.config, &self.seed);
        let placing = self.placing();
        let mut choice = self.negotiation.read_remote(kind, &description, context.config, &placing)?;
        for unit in &choice.units {
            let transport = unit.transport.and_then(|id| self.transports.get(id));
            let (Some(transport), Some(remote)) = (transport, &unit.remote) else { continue };
            let role = self.role_under(remote.setup, Some(transport));
            if transport.dtls_role().is_some() && !transport.is_compatible(role, remote) {
                return Err(NegotiationError::DtlsChanged);
            }
        }
        self.news.negotiation_begins();
        let replaced = if kind == SdpType::Offer { self.negotiation.replaced() } else { Replaced::default() };
        if kind == SdpType::Offer {
            let crosses = self.negotiation.state() == SignalingState::HaveLocalOffer;
            self.take_offer_back(&replaced);
            // W3C WebRTC 1.0 §4.4.1.5: to take ours back is a step of its own.
            if crosses {
                self.update_states();
            }
            for unit in &mut choice.units {
                unit.transport.get_or_insert_with(|| self.next_transport());
            }
        }
        let had_data = kind == SdpType::Answer && self.negotiation.offers_data();
        let context = Self::media_context(&self.config, &self.seed);
        self.negotiation.set_remote(kind, description, &choice, &replaced, context);
        let is_rejected = choice.units.is_empty();
        for unit in choice.units {
            if let (Some(id), Some(remote)) = (unit.transport, unit.remote) {
                self.take_remote(kind, id, remote);
            }
        }
        if kind != SdpType::Offer {
            self.connect();
        }
        if kind == SdpType::Answer {
            if is_rejected && had_data && self.channels.is_in_use() {
                self.reject_data();
            }
            self.agreed(had_data);
        }
        self.follow_media();
        self.settle();
        Ok(())
    }

    /// What a description of the peer's says of a transport, until ours says something too.
    fn take_remote(&mut self, kind: SdpType, id: TransportId, remote: RemoteParameters) {
        if kind == SdpType::Offer {
            self.make_transport(id, Role::Controlled, None);
        }
        let Some(transport) = self.transports.get_mut(id) else { return };
        transport.remote = Some(Box::new(remote));
    }

    const fn placing(&self) -> Placing {
        Placing {
            policy: self.config.bundle_policy,
            max_transports: self.config.limits.max_transports,
            next: TransportId(self.transports_made),
        }
    }

    /// Takes an offer that was set last back.
    ///
    /// # Errors
    ///
    /// If none is under way.
    pub fn rollback(&mut self, now: Instant) -> Result<(), NegotiationError> {
        self.advance(now);
        match self.negotiation.state() {
            SignalingState::HaveLocalOffer | SignalingState::HaveRemoteOffer => {}
            state @ (SignalingState::Stable
            | SignalingState::HaveLocalPranswer
            | SignalingState::HaveRemotePranswer
            | SignalingState::Closed) => {
                return Err(NegotiationError::WrongState(state));
            }
        }
        self.take_offer_back(&Replaced::default());
        self.news.negotiation_is_covered();
        self.ask_for_offer();
        self.follow_media();
        self.settle();
        Ok(())
    }

    /// The local description set last, with the candidates found since.
    pub fn local_description(&self) -> Option<(SdpType, SessionDescription)> {
        self.negotiation.local_description(|id| {
            let transport = self.transports.get(id)?;
            Some((transport.candidates.as_slice(), transport.gathering == GatheringState::Complete))
        })
    }

    /// The remote description set last.
    pub fn remote_description(&self) -> Option<&(SdpType, SessionDescription)> {
        self.negotiation.remote_description()
    }

    /// Whether the peer takes candidates that are found later, by its description that was set last; `None` before one was
    /// (W3C WebRTC 1.0 §4.4.2, `canTrickleIceCandidates`).
    pub fn can_trickle(&self) -> Option<bool> {
        let (_, description) = self.negotiation.remote_description()?;
        Some(description.media().any(|media| media.has_ice_option("trickle")))
    }

    /// Adds a candidate of the peer's, `candidate:…`, that belongs to the media section named or numbered.
    /// An empty one says that there will be no more. Without descriptions it belongs to the one transport there is.
    ///
    /// # Errors
    ///
    /// If it is none, belongs nowhere, no remote description was set yet, or the session is closed. Candidates that cannot be
    /// used here (TCP, and `.local` names that nobody asks for) are no error.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: &str,
        mid: Option<&str>,
        section: Option<usize>,
        ufrag: Option<&str>,
    ) -> Result<(), CandidateError> {
        self.advance(now);
        if self.is_ending() {
            return Err(CandidateError::Closed);
        }
        if self.is_without_sdp {
            self.take_candidate(self.data, candidate)?;
            self.settle();
            return Ok(());
        }
        let (_, description) =
            self.negotiation.remote_description().ok_or(CandidateError::NoRemoteDescription)?;
        // RFC 9429 §4.1.19: an end that names no section is that of all.
        if candidate.trim().is_empty() && mid.is_none() && section.is_none() && ufrag.is_none() {
            let ids: Vec<TransportId> = self.transports.iter().map(|transport| transport.id).collect();
            ids.into_iter().try_for_each(|id| self.take_candidate(id, ""))?;
            self.settle();
            return Ok(());
        }
        let media = match (mid, section) {
            (Some(mid), _) => description.media_by_mid(mid),
            (None, Some(section)) => description.media().nth(section),
            // W3C WebRTC 1.0 §4.4.2: without a section it belongs to that of its ufrag.
            (None, None) => {
                let is_it = |media: &sdp::Media<'_>| ufrag.is_some() && media.ice_ufrag() == ufrag;
                description.media().find(is_it).or_else(|| description.media().next())
            }
        };
        let media = media.ok_or(CandidateError::UnknownSection)?;
        let id = self.negotiation.transport_of_candidates(&media);
        // RFC 9429 §5.2.1: in a bundle only one section needs to have it.
        let used = id.and_then(|id| self.negotiation.transport_section(id));
        let tagged = used.and_then(|(index, _)| description.media().nth(index)?.ice_ufrag());
        let is_named = ufrag.is_none_or(|ufrag| media.ice_ufrag().or(tagged) == Some(ufrag));
        // W3C WebRTC 1.0 §4.4.2: what an offer is to replace is applied, too, as long as that is not answered.
        let is_replaced = |transport: &&Transport| {
            transport.is_restarted_by_peer() && transport.remote_ufrag.as_deref() == ufrag
        };
        if is_named {
            id.into_iter().try_for_each(|id| self.take_candidate(id, candidate))?;
        } else if let Some(transport) = id.and_then(|id| self.transports.get(id)).filter(is_replaced) {
            let id = transport.id;
            self.add_candidate(id, candidate.trim().trim_start_matches("a="))?;
        } else {
            return Err(CandidateError::UnknownUfrag);
        }
        self.settle();
        Ok(())
    }

    fn take_candidate(&mut self, id: TransportId, text: &str) -> Result<(), CandidateError> {
        let text = text.trim().trim_start_matches("a=");
        let Some(transport) = self.transports.get_mut(id) else { return Ok(()) };
        if transport.is_restarted_by_peer() {
            return transport.keep_candidate(text);
        }
        self.add_candidate(id, text)
    }

    fn add_candidate(&mut self, id: TransportId, text: &str) -> Result<(), CandidateError> {
        let Some(transport) = self.transports.get_mut(id) else { return Ok(()) };
        if text.is_empty() {
            transport.connectivity.end_of_remote_candidates(self.now);
            return Ok(());
        }
        match transport.connectivity.add_remote_candidate_text(self.now, text) {
            // What cannot be used here is for others: `.local` names, TCP.
            Err(connectivity::CandidateError::Parse(error)) => Err(CandidateError::Parse(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Both descriptions are set: what they agree upon takes effect.
    pub(super) fn connect(&mut self) {
        for place in 0..self.transports.len() {
            let Some(transport) = self.transports.at(place) else { return };
            let (id, remote) = (transport.id, transport.remote.take());
            if let Some(remote) = remote {
                let role = self.role_under(remote.setup, self.transports.get(id));
                self.connect_one(id, role, *remote);
            }
        }
    }

    fn connect_one(&mut self, id: TransportId, role: DtlsRole, remote: RemoteParameters) {
        let Some(transport) = self.transports.get_mut(id) else { return };
        let RemoteParameters {
            credentials,
            fingerprints,
            sctp,
            is_ice_lite,
            ice_options,
            candidates,
            end_of_candidates,
            tls_id,
            ..
        } = remote;
        transport.remote_ufrag = Some(credentials.ufrag().to_owned());
        if is_ice_lite {
            transport.connectivity.set_remote_lite(self.now);
        }
        transport.connectivity.set_remote_options(self.now, ice_options);
        transport.connectivity.set_remote_credentials(self.now, credentials);
        transport.agree(self.now, role, fingerprints, tls_id);
        if let Some(sctp) = sctp {
            self.data = id;
            self.renew_channels();
            let Some(transport) = self.transports.get_mut(id) else { return };
            if transport.dtls_state() == DtlsState::Connected {
                self.channels.set_round_trip(transport.round_trip());
                transport.size_packets(&mut self.channels);
            }
            if !self.channels.has_role() {
                self.channels.set_remote_port(sctp.port);
            }
            self.channels.set_peer_max_message(Some(sctp.max_message_size));
            self.channels.set_role(
                self.now,
                match role {
                    DtlsRole::Client => datachannel::Role::Client,
                    DtlsRole::Server => datachannel::Role::Server,
                },
            );
        }
        for candidate in &candidates {
            // One that is none must not undo a description that was set; trickled ones are reported.
            let _ = self.take_candidate(id, candidate);
        }
        if end_of_candidates {
            let _ = self.take_candidate(id, "");
        }
    }

    /// The role that `setup` of the peer's leaves us.
    fn role_under(&self, setup: Setup, transport: Option<&Transport>) -> DtlsRole {
        match setup {
            Setup::Active => DtlsRole::Server,
            Setup::Passive => DtlsRole::Client,
            // RFC 8842 §5.5: an association that exists keeps its roles.
            Setup::ActPass | Setup::HoldConn => {
                let known = transport.and_then(Transport::dtls_role);
                known.unwrap_or(self.config.answer_dtls_role)
            }
        }
    }

    fn answer_role(&self, transport: &Transport) -> DtlsRole {
        let setup = transport.remote.as_ref().map_or(Setup::ActPass, |remote| remote.setup);
        self.role_under(setup, Some(transport))
    }

    /// The offer that is under way, if one is, is taken back, and the transports that it alone called for are forgotten with
    /// their roles. What of it restarts ICE is taken back, too, and still to be offered.
    fn take_offer_back(&mut self, replaced: &Replaced) {
        for transport in self.transports.iter_mut() {
            transport.remote = None;
        }
        self.negotiation.rollback(replaced);
        self.forget_unused();
        self.take_restarts_back();
    }

    /// An exchange of descriptions is complete, before which data channels were agreed upon or offered.
    fn agreed(&mut self, had_data: bool) {
        self.follow_replaced();
        if had_data && !self.negotiation.has_data() {
            self.channels.abort(self.now);
            self.has_given_data_up = true;
        }
        let is_in_use = self.transports.iter().any(|transport| transport.dtls_role().is_some());
        if is_in_use && !self.negotiation.has_transport() && self.channels.has_role() {
            self.reject_data();
        }
        self.forget_unused();
        self.news.negotiation_is_covered();
        self.ask_for_offer();
    }

    /// No section carries the data channels (any more): they end, and so does what was under them.
    fn reject_data(&mut self) {
        self.channels.abort(self.now);
        self.forget_unused();
        self.fail(Failure::Rejected);
    }

    /// Has an association for channels once more, if the last was given up (W3C WebRTC 1.0 §6.1).
    pub(super) fn renew_channels(&mut self) {
        if self.failure.is_none() && std::mem::take(&mut self.has_given_data_up) {
            self.associations_gone = self.associations_gone.wrapping_add(1);
            let seed = derive_seed(self.seed.expose(), &format!("sctp {}", self.associations_gone));
            self.channels.begin_anew(self.now, seed);
        }
    }

    /// W3C WebRTC 1.0 §4.7.3: what no exchange has covered calls for one as soon as none is under way.
    pub(super) fn ask_for_offer(&mut self) {
        let is_open = self.ending == super::Ending::No && !self.is_without_sdp && self.failure.is_none();
        if self.negotiation.state() != SignalingState::Stable || !is_open {
            return;
        }
        let lacks_data = self.channels.is_in_use() && !self.negotiation.has_data();
        if self.to_replace.is_some() || lacks_data || self.negotiation.is_needed() {
            self.news.need_negotiation();
        } else {
            self.news.negotiation_is_covered();
        }
    }

    fn describe(
        &mut self,
        drafts: Drafts,
        setup: impl Fn(&Self, &Transport) -> Setup,
        make: impl FnOnce(&mut Negotiation, &LocalParameters<'_>) -> Result<SessionDescription, NegotiationError>,
    ) -> Result<SessionDescription, NegotiationError> {
        let mut ends: Vec<LocalEnd<'_>> = Vec::with_capacity(self.transports.len());
        for transport in self.transports.iter() {
            let draft = drafts.iter().find(|(id, _)| *id == transport.id);
            let is_done = transport.gathering == GatheringState::Complete;
            ends.push(LocalEnd {
                id: transport.id,
                credentials: draft
                    .map_or_else(|| transport.connectivity.local_credentials(), |(_, drawn)| drawn),
                tls_id: transport.tls_id.as_str(),
                setup: setup(self, transport),
                // Those of a draft are found once it is set.
                candidates: if draft.is_some() { &[] } else { &transport.candidates },
                gathering_done: is_done && draft.is_none(),
            });
        }
        let fingerprint = self.identity.fingerprint(self.config.provider, HashAlgorithm::Sha256);
        let parameters = LocalParameters {
            ends: &ends,
            fingerprint: fingerprint.as_bytes(),
            is_ice_lite: self.config.ice_lite,
            max_message_size: self.config.limits.max_message_size,
            media: media_config(&self.config),
            seed: &self.seed,
        };
        let description = make(&mut self.negotiation, &parameters)?;
        self.negotiation.note_drafts(drafts);
        Ok(description)
    }
}
