//! A session between peers who exchange no descriptions.

use proto::Instant;
use sdp::Setup;

use super::{Ending, Session};
use crate::fingerprint::Fingerprints;
use crate::negotiation::{RemoteParameters, SctpParameters};
use crate::{DtlsRole, ParametersError, SectionParameters, SignalingState, TransportParameters};

impl Session {
    /// Connects to a peer of whom `parameters` say all that descriptions would. Gathering begins; our candidates are
    /// events as ever, for a peer that wants them. Descriptions are refused from now on, channels are used as ever.
    ///
    /// # Errors
    ///
    /// If the session has begun otherwise, or is closed, or a port is 0; nothing is changed then.
    pub fn open_transport(
        &mut self,
        now: Instant,
        parameters: TransportParameters,
    ) -> Result<(), ParametersError> {
        self.advance(now);
        if self.ending != Ending::No {
            return Err(ParametersError::Closed);
        }
        if !self.transports.is_empty() || self.signaling_state() != SignalingState::Stable {
            return Err(ParametersError::Begun);
        }
        let TransportParameters {
            ice_role,
            dtls_role,
            local,
            remote,
            is_remote_lite,
            certificate,
            candidates,
            sctp_port,
            max_message_size,
            sections,
        } = parameters;
        if sctp_port == 0 || candidates.iter().any(|address| address.port() == 0) {
            return Err(ParametersError::Port);
        }
        self.check_sections(&sections)?;
        self.is_without_sdp = true;
        self.news.negotiation_is_covered();
        let id = self.next_transport();
        self.make_transport(id, ice_role, local);
        let Some(transport) = self.transports.get_mut(id) else { return Ok(()) };
        transport.connectivity.gather(self.now);
        let as_text = |address: &std::net::SocketAddr| {
            format!("candidate:1 1 udp {HOST_PRIORITY} {} {} typ host", address.ip(), address.port())
        };
        transport.remote = Some(Box::new(RemoteParameters {
            credentials: remote,
            fingerprints: Fingerprints::of(certificate),
            setup: match dtls_role {
                DtlsRole::Client => Setup::Passive,
                DtlsRole::Server => Setup::Active,
            },
            tls_id: None,
            sctp: Some(SctpParameters { port: sctp_port, max_message_size }),
            is_ice_lite: is_remote_lite,
            ice_options: ice::Options::default(),
            candidates: candidates.iter().map(as_text).collect(),
            end_of_candidates: false,
        }));
        self.connect();
        self.negotiation.set_sections(&sections, self.data, &self.seed);
        self.follow_media();
        self.settle();
        Ok(())
    }

    /// Changes the sections of audio and video that both ends know: those of a name that is known go on with what was changed, the
    /// codecs, the direction; others begin, and those that are not named end. The peer has to do the same; what comes
    /// between the one and the other is dropped and counted.
    ///
    /// # Errors
    ///
    /// The session was not begun from parameters, it is closed, or the sections do not go together; nothing is changed
    /// then.
    pub fn set_sections(
        &mut self,
        now: Instant,
        sections: &[SectionParameters],
    ) -> Result<(), ParametersError> {
        self.advance(now);
        if self.ending != Ending::No {
            return Err(ParametersError::Closed);
        }
        if !self.is_without_sdp {
            return Err(ParametersError::WithSdp);
        }
        self.check_sections(sections)?;
        self.negotiation.set_sections(sections, self.data, &self.seed);
        self.follow_media();
        self.settle();
        Ok(())
    }

    fn check_sections(&self, sections: &[SectionParameters]) -> Result<(), ParametersError> {
        let limits = &self.config.limits;
        crate::parameters::check(sections, limits.max_transceivers, limits.max_remote_sources)
            .and_then(|()| self.negotiation.may_set_sections(sections))
            .map_err(|(number, fault)| ParametersError::Section { number, fault })
    }

    /// Whether gathering was begun: by a local description, or from parameters.
    pub fn gathers(&self) -> bool {
        self.is_without_sdp || self.negotiation.has_local_description()
    }

    /// The certificate that the peer has shown and proved to own, DER; `None` before DTLS is up.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let transport = self.transports.first()?;
        let is_proved = transport.dtls_state() == crate::transport::DtlsState::Connected;
        transport.dtls()?.peer_certificate().filter(|_| is_proved)
    }
}

/// RFC 8445 §5.1.2.1: of a host candidate, the only one of its host.
const HOST_PRIORITY: u32 = 2_130_706_431;
