//! The states of a session, of all its transports together (W3C WebRTC 1.0 §4.3.2 to §4.3.4).

use super::{Ending, Session};
use crate::transport::{DtlsState, Transport};
use crate::transports::Transports;
use crate::{ConnectionState, Failure, GatheringState, IceState, SignalingState};

impl Session {
    /// The state of ICE, of all transports together.
    pub fn ice_state(&self) -> IceState {
        if self.ending != Ending::No {
            return IceState::Closed;
        }
        // After each datagram.
        if let Some(only) = self.transports.only() {
            return if only.ice_state() == IceState::Closed { IceState::New } else { only.ice_state() };
        }
        let states = || self.transports.iter().map(Transport::ice_state);
        let any = |wanted: IceState| states().any(|state| state == wanted);
        let all = |wanted: &[IceState]| states().all(|state| wanted.contains(&state));
        if any(IceState::Failed) {
            IceState::Failed
        } else if any(IceState::Disconnected) {
            IceState::Disconnected
        } else if all(&[IceState::New, IceState::Closed]) {
            IceState::New
        } else if any(IceState::New) || any(IceState::Checking) {
            IceState::Checking
        } else if all(&[IceState::Completed, IceState::Closed]) {
            IceState::Completed
        } else {
            IceState::Connected
        }
    }

    /// The state of gathering, of all transports together.
    pub const fn gathering_state(&self) -> GatheringState {
        self.news.gathering()
    }

    /// The state of the connection as a whole: of ICE and DTLS of all transports.
    pub fn connection_state(&self) -> ConnectionState {
        if self.ending != Ending::No {
            return ConnectionState::Closed;
        }
        if let Some(failure) = self.failure {
            return ConnectionState::Failed(failure);
        }
        // After each datagram.
        match self.transports.only() {
            Some(only) => together(std::iter::once(only)),
            None => together(self.transports.iter()),
        }
    }

    /// Whether an offer is called for, and no exchange of descriptions is under way: what
    /// [`Event::NegotiationNeeded`](crate::Event::NegotiationNeeded) has told, as long as it holds.
    pub fn needs_negotiation(&self) -> bool {
        self.news.needs_negotiation() && self.signaling_state() == SignalingState::Stable
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending != Ending::No
    }

    pub(super) fn update_states(&mut self) {
        let (signaling, ice, connection) =
            (self.signaling_state(), self.ice_state(), self.connection_state());
        self.news.states_are(signaling, ice, connection);
    }
}

/// What gathering is at, of all transports together.
pub(super) fn gathering(transports: &Transports) -> GatheringState {
    let any = |wanted| transports.iter().any(|transport| transport.gathering == wanted);
    if any(GatheringState::Gathering) {
        GatheringState::Gathering
    } else if any(GatheringState::New) || transports.is_empty() {
        GatheringState::New
    } else {
        GatheringState::Complete
    }
}

impl Transport {
    pub(crate) const fn ice_state(&self) -> IceState {
        match self.connectivity.state() {
            ice::State::New => IceState::New,
            // W3C WebRTC 1.0 §5.6: one that waits for candidates has not begun.
            ice::State::Checking if self.connectivity.awaits_remotes() => IceState::New,
            ice::State::Checking => IceState::Checking,
            ice::State::Connected => IceState::Connected,
            ice::State::Completed => IceState::Completed,
            ice::State::Disconnected => IceState::Disconnected,
            ice::State::Failed(_) => IceState::Failed,
            ice::State::Closed => IceState::Closed,
        }
    }

    /// What has failed of it.
    const fn failure(&self) -> Option<Failure> {
        match (self.connectivity.state(), self.dtls_state()) {
            // Without a path DTLS had no chance: what is wrong is the path.
            (ice::State::Failed(failure), DtlsState::Failed(Failure::Dtls(dtls::CloseReason::TimedOut))) => {
                Some(Failure::Ice(failure))
            }
            (_, DtlsState::Failed(failure)) => Some(failure),
            (ice::State::Failed(failure), _) => Some(Failure::Ice(failure)),
            _ => None,
        }
    }

    fn is_new(&self) -> bool {
        let has_begun = self.dtls_state() == DtlsState::Handshake && self.dtls().is_some();
        matches!(self.ice_state(), IceState::New | IceState::Closed)
            && !has_begun
            && self.dtls_state() != DtlsState::Connected
    }

    fn is_connected(&self) -> bool {
        matches!(self.ice_state(), IceState::Connected | IceState::Completed | IceState::Closed)
            && matches!(self.dtls_state(), DtlsState::Connected | DtlsState::Closed)
    }
}

/// The state of a connection over these transports (W3C WebRTC 1.0 §4.3.3, `RTCPeerConnectionState`).
fn together<'a>(transports: impl Iterator<Item = &'a Transport> + Clone) -> ConnectionState {
    let all = |is: fn(&Transport) -> bool| transports.clone().all(is);
    if let Some(failure) = transports.clone().find_map(Transport::failure) {
        ConnectionState::Failed(failure)
    } else if transports.clone().any(|transport| transport.ice_state() == IceState::Disconnected) {
        ConnectionState::Disconnected
    } else if all(Transport::is_new) {
        ConnectionState::New
    } else if all(Transport::is_connected) {
        ConnectionState::Connected
    } else {
        ConnectionState::Connecting
    }
}
