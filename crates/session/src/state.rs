//! The news of a session's own: latest-state slots, each told when it changes.

use std::collections::VecDeque;

use proto::Path;

use crate::{ConnectionState, Event, GatheringState, IceState, SignalingState};

/// A change in what belongs to a session, for a [`Demux`](crate::Demux).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
    /// STUN requests for this local ufrag are the session's.
    UfragAdded(String),
    /// No longer.
    UfragRemoved(String),
    /// Datagrams on this path are the session's, unless another session's peer is there: this one's has asked there
    /// under its password, for which it need not be where the path ends.
    PathClaimed(Path),
    /// Datagrams on this path are the session's: the peer has answered there.
    PathAdded(Path),
    /// No longer.
    PathRemoved(Path),
}

/// What a session has to tell.
#[derive(Debug)]
pub(crate) struct News {
    signaling: Slot<SignalingState>,
    ice: Slot<IceState>,
    connection: Slot<ConnectionState>,
    gathering: Slot<GatheringState>,
    /// W3C WebRTC 1.0 §4.4, `[[NegotiationNeeded]]`.
    negotiation_needed: bool,
    /// It is to be told.
    negotiation_untold: bool,
}

/// A state, and whether it was told. States passed in between are told too, as far as two: a reader learns
/// that it was connected even if it has failed since.
#[derive(Debug)]
struct Slot<T> {
    now: T,
    untold: VecDeque<T>,
}

impl<T: Copy + PartialEq> Slot<T> {
    const fn new(first: T) -> Self {
        Self { now: first, untold: VecDeque::new() }
    }

    fn set(&mut self, state: T) {
        if self.now != state {
            self.now = state;
            if self.untold.len() == MAX_UNTOLD {
                self.untold.pop_front();
            }
            self.untold.push_back(state);
        }
    }
}

impl Default for News {
    fn default() -> Self {
        Self {
            signaling: Slot::new(SignalingState::Stable),
            ice: Slot::new(IceState::New),
            connection: Slot::new(ConnectionState::New),
            gathering: Slot::new(GatheringState::New),
            negotiation_needed: false,
            negotiation_untold: false,
        }
    }
}

impl News {
    pub(crate) fn states_are(
        &mut self,
        signaling: SignalingState,
        ice: IceState,
        connection: ConnectionState,
    ) {
        self.signaling.set(signaling);
        self.ice.set(ice);
        self.connection.set(connection);
    }

    pub(crate) fn gathering_is(&mut self, state: GatheringState) {
        self.gathering.set(state);
    }

    pub(crate) const fn gathering(&self) -> GatheringState {
        self.gathering.now
    }

    /// Nothing calls for an exchange of descriptions (any more).
    pub(crate) const fn negotiation_is_covered(&mut self) {
        self.negotiation_needed = false;
        self.negotiation_untold = false;
    }

    /// One is under way: nobody is told to begin one (W3C WebRTC 1.0 §4.7.3: not outside of `stable`).
    pub(crate) const fn negotiation_begins(&mut self) {
        self.negotiation_untold = false;
    }

    /// Something calls for one, which is told once until it is covered.
    pub(crate) const fn need_negotiation(&mut self) {
        self.negotiation_untold |= !self.negotiation_needed;
        self.negotiation_needed = true;
    }

    pub(crate) const fn needs_negotiation(&self) -> bool {
        self.negotiation_needed
    }

    /// The next change, but for the end of gathering, which comes after the candidates.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        if let Some(state) = self.signaling.untold.pop_front() {
            return Some(Event::SignalingState(state));
        }
        if self.gathering.untold.front().is_some_and(|state| *state != GatheringState::Complete) {
            return self.gathering.untold.pop_front().map(Event::GatheringState);
        }
        if let Some(state) = self.ice.untold.pop_front() {
            return Some(Event::IceState(state));
        }
        if let Some(state) = self.connection.untold.pop_front() {
            return Some(Event::ConnectionState(state));
        }
        std::mem::take(&mut self.negotiation_untold).then_some(Event::NegotiationNeeded)
    }

    /// The end of gathering, once every candidate was told.
    pub(crate) fn pop_gathering_done(&mut self) -> Option<Event> {
        self.gathering.untold.pop_front().map(Event::GatheringState)
    }
}

/// States kept for a reader who does not read.
const MAX_UNTOLD: usize = 8;
