//! Offers, answers and candidates: what a session does of RFC 9429.

use connectivity::Connectivity;
use crypto::{HashAlgorithm, derive_seed};
use ice::Role;
use proto::Instant;
use sdp::{SessionDescription, Setup};

use super::Session;
use super::media::media_config;
use crate::config::DtlsRole;
use crate::negotiation::{LocalParameters, Negotiation, RemoteParameters};
use crate::transport::Transport;
use crate::{
    CandidateError, Failure, GatheringState, NegotiationError, Route, SdpType, SignalingState, TcpRequest,
};

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
        let wants_data = !self.channels.is_empty();
        if wants_data || self.negotiation.has_transport() || self.negotiation.wants_media() {
            self.make_transport(Role::Controlling, None);
        }
        if std::mem::take(&mut self.restart_wanted) && self.transport.is_some() {
            self.restart_transport();
            self.restart_offered = true;
            self.candidates.clear();
            self.settle();
        }
        self.describe(Setup::ActPass, |negotiation, parameters| {
            negotiation.create_offer(wants_data, parameters)
        })
    }

    /// Makes the answer to the offer that was set.
    ///
    /// # Errors
    ///
    /// If no offer of the peer's is being answered.
    pub fn create_answer(&mut self, now: Instant) -> Result<SessionDescription, NegotiationError> {
        self.advance(now);
        self.must_be_open()?;
        let setup = match self.answer_role() {
            DtlsRole::Client => Setup::Active,
            DtlsRole::Server => Setup::Passive,
        };
        self.describe(setup, Negotiation::create_answer)
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
        let role = self.answer_role();
        let context = Self::media_context(&self.config, &self.seed);
        self.negotiation.set_local(kind, description, context)?;
        if let Some(transport) = &mut self.transport {
            transport.connectivity.gather(self.now);
        }
        self.news.negotiation_begins();
        match kind {
            SdpType::Offer => {}
            SdpType::Answer => {
                self.connect(role);
                self.agreed();
            }
            SdpType::Pranswer => self.connect(role),
        }
        self.follow_media();
        self.settle();
        Ok(())
    }

    /// Sets a description of the peer's. An offer takes back one of ours (implicit rollback), and replaces one
    /// of the peer's that was not answered yet.
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
        let mut choice = self.negotiation.read_remote(kind, &description, context.config)?;
        let remote = choice.remote.take();
        let role = remote.as_ref().map(|remote| self.role_under(kind, remote.setup));
        if let (Some(remote), Some(role), Some(transport)) = (&remote, role, &self.transport)
            && transport.dtls_role().is_some()
            && !transport.is_compatible(role, remote)
        {
            return Err(NegotiationError::DtlsChanged);
        }
        self.news.negotiation_begins();
        if kind == SdpType::Offer {
            self.take_offer_back();
            self.remote = None;
        }
        let had_data = kind == SdpType::Answer && self.negotiation.offers_data();
        let context = Self::media_context(&self.config, &self.seed);
        self.negotiation.set_remote(kind, description, &choice, context);
        match (remote, kind) {
            (Some(remote), SdpType::Offer) => {
                self.make_transport(Role::Controlled, None);
                let renewed =
                    self.remote_ufrag.as_deref().is_some_and(|ufrag| ufrag != remote.credentials.ufrag());
                if renewed && self.transport.is_some() {
                    // RFC 8445 §9: the peer restarts, so do we.
                    self.restart_transport();
                    self.candidates.clear();
                }
                self.remote = Some(Box::new(remote));
            }
            (Some(remote), SdpType::Answer | SdpType::Pranswer) => {
                let role = role.unwrap_or(DtlsRole::Server);
                self.remote = Some(Box::new(remote));
                self.connect(role);
            }
            (None, SdpType::Answer) => {
                self.forget_transport();
                if had_data && !self.channels.is_empty() {
                    self.reject_data();
                }
            }
            (None, _) => {}
        }
        if kind == SdpType::Answer {
            if had_data && !self.negotiation.has_data() {
                self.channels.abort(self.now);
            }
            self.agreed();
        }
        self.follow_media();
        self.settle();
        Ok(())
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
        self.take_offer_back();
        self.negotiation.rollback();
        self.remote = None;
        self.news.negotiation_is_covered();
        self.ask_for_offer();
        self.follow_media();
        self.settle();
        Ok(())
    }

    /// The local description set last, with the candidates found since.
    pub fn local_description(&self) -> Option<(SdpType, SessionDescription)> {
        let done = self.news.gathering() == GatheringState::Complete;
        self.negotiation.local_description(&self.candidates, done)
    }

    /// The remote description set last.
    pub fn remote_description(&self) -> Option<&(SdpType, SessionDescription)> {
        self.negotiation.remote_description()
    }

    /// Adds a candidate of the peer's, `candidate:…`, that belongs to the media section named or numbered.
    /// An empty one says that there will be no more. Without descriptions it belongs to the one transport there is.
    ///
    /// # Errors
    ///
    /// If it is none, belongs nowhere, or no remote description was set yet. Candidates that cannot be used
    /// here (TCP, and `.local` names that nobody asks for) are no error.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: &str,
        mid: Option<&str>,
        section: Option<usize>,
        ufrag: Option<&str>,
    ) -> Result<(), CandidateError> {
        self.advance(now);
        if self.is_without_sdp {
            self.take_candidate(candidate)?;
            self.settle();
            return Ok(());
        }
        let (_, description) =
            self.negotiation.remote_description().ok_or(CandidateError::NoRemoteDescription)?;
        // RFC 9429 §4.1.19: an end that names no section is that of all.
        let is_end_of_all = candidate.trim().is_empty() && mid.is_none() && section.is_none();
        let used = self.negotiation.transport_section().map(|(index, _)| index);
        let media = match (mid, section) {
            _ if is_end_of_all && used.is_some() => used.and_then(|index| description.media().nth(index)),
            (Some(mid), _) => description.media_by_mid(mid),
            (None, Some(section)) => description.media().nth(section),
            (None, None) => description.media().next(),
        };
        let media = media.ok_or(CandidateError::UnknownSection)?;
        let ours = self.negotiation.uses_transport_of(&media);
        // RFC 9429 §5.2.1: in a bundle only one section needs to have it.
        let tagged = used.filter(|_| ours).and_then(|index| description.media().nth(index)?.ice_ufrag());
        if ufrag.is_some_and(|ufrag| media.ice_ufrag().or(tagged) != Some(ufrag)) {
            return Err(CandidateError::UnknownUfrag);
        }
        if ours {
            self.take_candidate(candidate)?;
        }
        self.settle();
        Ok(())
    }

    fn take_candidate(&mut self, text: &str) -> Result<(), CandidateError> {
        let text = text.trim().trim_start_matches("a=");
        let Some(transport) = &mut self.transport else { return Ok(()) };
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
    pub(super) fn connect(&mut self, role: DtlsRole) {
        let Some(remote) = self.remote.take() else { return };
        let Some(transport) = &mut self.transport else { return };
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
        } = *remote;
        self.remote_ufrag = Some(credentials.ufrag().to_owned());
        if is_ice_lite {
            transport.connectivity.set_remote_lite(self.now);
        }
        transport.connectivity.set_remote_options(self.now, ice_options);
        transport.connectivity.set_remote_credentials(self.now, credentials);
        transport.agree(self.now, role, fingerprints, tls_id);
        if let Some(sctp) = sctp {
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
            let _ = self.take_candidate(candidate);
        }
        if end_of_candidates {
            let _ = self.take_candidate("");
        }
    }

    /// The role that `setup` of the peer's leaves us.
    fn role_under(&self, kind: SdpType, setup: Setup) -> DtlsRole {
        match (setup, kind) {
            (Setup::Active, _) => DtlsRole::Server,
            (Setup::Passive, _) => DtlsRole::Client,
            // RFC 8842 §5.5: an association that exists keeps its roles.
            (Setup::ActPass | Setup::HoldConn, _) => {
                let known = self.transport.as_ref().and_then(Transport::dtls_role);
                known.unwrap_or(self.config.answer_dtls_role)
            }
        }
    }

    fn answer_role(&self) -> DtlsRole {
        let setup = self.remote.as_ref().map_or(Setup::ActPass, |remote| remote.setup);
        self.role_under(SdpType::Offer, setup)
    }

    /// With these credentials, or such as are drawn.
    pub(super) fn make_transport(&mut self, role: Role, credentials: Option<ice::Credentials>) {
        if self.transport.is_some() {
            return;
        }
        self.transports_made += 1;
        let seed = derive_seed(self.seed.expose(), &format!("transport {}", self.transports_made));
        let mut config = connectivity::Config::default();
        config.max_datagram = crate::transport::MAX_MEDIA_DATAGRAM;
        config.ice.provider = self.config.provider;
        config.ice.role = role;
        config.ice.lite = self.config.ice_lite;
        let late = config.ice.give_up.saturating_sub(config.ice.patience);
        config.ice.patience = self.config.limits.ice_patience;
        config.ice.give_up = config.ice.patience.saturating_add(late);
        config.ice.ufrag_prefix.clone_from(&self.config.ufrag_prefix);
        config.stun_servers.clone_from(&self.config.stun_servers);
        config.resolves_names = self.config.resolves_names;
        config.host_names = self.config.host_names.as_deref().cloned();
        config.ice.pacer.clone_from(&self.config.pacer);
        let gathering = self.config.gathering.as_deref();
        if let Some(gathering) = gathering {
            config.hides_hosts = gathering.hides_hosts;
            config.external.clone_from(&gathering.external);
            config.remote_policy.clone_from(&gathering.remote_policy);
        }
        let relaying = self.config.relaying.as_deref();
        if let Some(relaying) = relaying {
            config.turn_servers.clone_from(&relaying.servers);
            config.turn_streams.clone_from(&relaying.streams);
            config.relay_only = relaying.only;
            config.awaits_servers = relaying.awaits_servers;
        }
        let mut connectivity = Connectivity::new(self.now, config, derive_seed(&seed, "connectivity"));
        if let Some(credentials) = credentials {
            connectivity.set_local_credentials(self.now, credentials);
        }
        for address in &self.config.local_addresses {
            // One that cannot be a candidate is left out; the report tells.
            let _ = connectivity.add_host(self.now, *address);
        }
        for address in gathering.iter().flat_map(|gathering| &gathering.tcp.listeners) {
            let _ = connectivity.add_tcp_listener(self.now, *address); // as above
        }
        for address in gathering.iter().flat_map(|gathering| &gathering.tcp.active) {
            let _ = connectivity.add_tcp_active(self.now, *address); // as above
        }
        if let Some(relays) = self.relays.take() {
            connectivity.adopt_relays(self.now, relays);
            for server in relaying.iter().flat_map(|relaying| &relaying.servers) {
                connectivity.add_turn_server(self.now, server.clone());
            }
            for (path, credentials) in relaying.iter().flat_map(|relaying| &relaying.streams) {
                connectivity.add_relay_stream(self.now, *path, credentials.clone());
            }
        }
        for address in relaying.iter().flat_map(|relaying| &relaying.sockets) {
            connectivity.add_relay_socket(self.now, *address);
        }
        self.transport = Some(Transport::new(connectivity, self.dtls_config.clone(), seed));
        self.follow_ufrag();
    }

    /// What an offer of ours changed, if one is under way, which is taken back: a transport that it alone
    /// called for is forgotten with its role, and a restart is still to be offered.
    fn take_offer_back(&mut self) {
        if !self.negotiation.has_transport() && self.remote.is_none() {
            self.forget_transport();
            self.candidates.clear();
            self.untold.clear();
            self.news.gathering_is(GatheringState::New);
        }
        self.restart_wanted |= std::mem::take(&mut self.restart_offered);
    }

    fn forget_transport(&mut self) {
        let Some(mut transport) = self.transport.take() else { return };
        self.forget_media(&transport);
        let ufrag = transport.connectivity.local_credentials().ufrag().to_owned();
        self.routes.push_back(Route::UfragRemoved(ufrag));
        // The next transport has the same sockets, and with them the same allocations.
        self.relays = self.relays.take().or_else(|| transport.connectivity.take_relays());
        transport.connectivity.close(self.now);
        while let Some(event) = transport.connectivity.poll_event() {
            if let connectivity::Event::Disconnect(path) = event {
                self.connections.get_or_insert_default().0.push_back(TcpRequest::Close(path));
            }
        }
        while let Some(route) = transport.connectivity.poll_route() {
            if let ice::Route::Removed(path) = route {
                self.routes.push_back(Route::PathRemoved(path));
            }
        }
    }

    /// An exchange of descriptions is complete.
    fn agreed(&mut self) {
        self.restart_offered = false;
        let is_in_use = self.transport.as_ref().is_some_and(|transport| transport.dtls_role().is_some());
        if is_in_use && !self.negotiation.has_transport() {
            if self.channels.has_role() {
                self.reject_data();
            } else {
                self.forget_transport();
            }
        }
        self.news.negotiation_is_covered();
        self.ask_for_offer();
    }

    /// No section carries the data channels (any more): they end, and so does what was under them.
    fn reject_data(&mut self) {
        self.channels.abort(self.now);
        self.forget_transport();
        self.fail(Failure::Rejected);
    }

    /// W3C WebRTC 1.0 §4.7.3: what no exchange has covered calls for one as soon as none is under way.
    pub(super) fn ask_for_offer(&mut self) {
        let is_open = self.ending == super::Ending::No && !self.is_without_sdp && self.failure.is_none();
        if self.negotiation.state() != SignalingState::Stable || !is_open {
            return;
        }
        let lacks_data = !self.channels.is_empty() && !self.negotiation.has_data();
        if self.restart_wanted || lacks_data || self.negotiation.is_needed() {
            self.news.need_negotiation();
        } else {
            self.news.negotiation_is_covered();
        }
    }

    fn describe(
        &mut self,
        setup: Setup,
        make: impl FnOnce(&mut Negotiation, &LocalParameters<'_>) -> Result<SessionDescription, NegotiationError>,
    ) -> Result<SessionDescription, NegotiationError> {
        let none = ice::Credentials::new("none", "noTransportHenceNoPassword")
            .map_err(|_| NegotiationError::IceCredentials);
        let (credentials, tls_id) = match &self.transport {
            Some(transport) => {
                (transport.connectivity.local_credentials().clone(), transport.tls_id.as_str())
            }
            // Nothing that needs a transport is described then.
            None => (none?, ""),
        };
        let provider = self.config.provider;
        let fingerprint = self.identity.fingerprint(provider, HashAlgorithm::Sha256);
        let parameters = LocalParameters {
            credentials: &credentials,
            fingerprint: fingerprint.as_bytes(),
            tls_id,
            is_ice_lite: self.config.ice_lite,
            setup,
            max_message_size: self.config.limits.max_message_size,
            candidates: &self.candidates,
            gathering_done: self.news.gathering() == GatheringState::Complete,
            media: media_config(&self.config),
            seed: &self.seed,
        };
        make(&mut self.negotiation, &parameters)
    }
}
