//! How news go from part to part.

use super::{Ending, Session, states, take_dtls};
use crate::transport::{DtlsState, News};
use crate::{GatheringState, LocalCandidate, TcpRequest};

impl Session {
    /// Carries news from part to part until there is none.
    pub(super) fn settle(&mut self) {
        self.end_when_given_back();
        self.negotiation.fold_descriptions();
        let (mut is_lost, mut is_up) = (false, false);
        for place in 0..self.transports.len() {
            is_lost |= self.settle_connectivity(place);
            self.take_held(place);
            is_up |= self.settle_dtls(place);
        }
        if is_up {
            self.protect_media();
        }
        if is_lost && self.ending == Ending::No {
            self.call_for_restart();
        }
        self.follow_ufrags();
        self.update_states();
    }

    /// Takes the news of a path. Gives whether it was lost, with what went over it.
    fn settle_connectivity(&mut self, place: usize) -> bool {
        let now = self.now;
        let mut is_lost = false;
        while let Some(transport) = self.transports.at(place)
            && let Some(event) = transport.connectivity.poll_event()
        {
            let is_data = transport.id == self.data;
            match event {
                connectivity::Event::Candidate(candidate) => self.tell_candidate(place, &candidate),
                connectivity::Event::GatheringDone => self.note_gathered(place),
                connectivity::Event::PathSelected(_) => {
                    transport.begin_dtls(now);
                    if is_data {
                        self.channels.set_round_trip(transport.round_trip());
                        self.channels.path_revived(now);
                    }
                }
                connectivity::Event::PathRevived if is_data => self.channels.path_revived(now),
                // RFC 7675 §5.1: what was consented to with these credentials cannot be asked for with them again.
                connectivity::Event::StateChanged(ice::State::Failed(ice::Failure::ConsentExpired)) => {
                    is_lost |= matches!(transport.dtls_state(), DtlsState::Handshake | DtlsState::Connected);
                }
                connectivity::Event::Connect { id, local, remote } => {
                    let request = TcpRequest::Open { id, local, remote };
                    self.connections.get_or_insert_default().0.push_back(request);
                }
                connectivity::Event::Disconnect(path) => {
                    self.connections.get_or_insert_default().0.push_back(TcpRequest::Close(path));
                }
                connectivity::Event::PathRevived
                | connectivity::Event::StateChanged(_)
                | connectivity::Event::RoleSwitched(_)
                | _ => {}
            }
        }
        is_lost
    }

    fn tell_candidate(&mut self, place: usize, candidate: &ice::Candidate) {
        let Some(transport) = self.transports.at(place) else { return };
        let text = candidate.to_string();
        transport.gathering = GatheringState::Gathering;
        let (section, mid) = self.negotiation.transport_section(transport.id).unwrap_or_default();
        if self.untold.len() < self.config.limits.max_untold_candidates {
            let ufrag = transport.connectivity.local_credentials().ufrag().to_owned();
            let mid = mid.to_owned();
            self.untold.push_back(LocalCandidate { candidate: text.clone(), mid, section, ufrag });
            transport.candidates.push(text);
        }
        self.follow_gathering();
    }

    /// Everything that is asked by the sockets that there are has answered.
    pub(super) fn note_gathered(&mut self, place: usize) {
        let Some(transport) = self.transports.at(place) else { return };
        if transport.own.as_ref().is_none_or(|own| own.are_complete) {
            transport.gathering = GatheringState::Complete;
        } else if transport.gathering == GatheringState::New {
            transport.gathering = GatheringState::Gathering;
        }
        self.follow_gathering();
    }

    pub(super) fn follow_gathering(&mut self) {
        self.news.gathering_is(states::gathering(&self.transports));
    }

    /// Gives DTLS what had to wait for its path.
    fn take_held(&mut self, place: usize) {
        let now = self.now;
        let Some(transport) = self.transports.at(place) else { return };
        while let Some((path, mut payload)) = transport.poll_held() {
            let channels = Some(&mut self.channels).filter(|_| transport.id == self.data);
            if let Err(discard) = take_dtls(transport, channels, now, path, &mut payload) {
                self.ignored.count(&discard);
            }
        }
    }

    /// Takes the news of DTLS. Gives whether it is up now.
    fn settle_dtls(&mut self, place: usize) -> bool {
        let now = self.now;
        let mut is_up = false;
        while let Some(transport) = self.transports.at(place)
            && let Some(news) = transport.poll_dtls(now)
        {
            let is_data = transport.id == self.data;
            match news {
                News::Connected => {
                    if is_data {
                        transport.size_packets(&mut self.channels);
                    }
                    transport.candidates.shrink_to_fit();
                    self.negotiation.give_back();
                    is_up = true;
                }
                News::Ended => {
                    if is_data {
                        self.channels.abort(now);
                    }
                    let is_closed = transport.dtls_state() == DtlsState::Closed;
                    let goes_on = |state| matches!(state, DtlsState::Handshake | DtlsState::Connected);
                    let others_go_on = self.transports.iter().any(|other| goes_on(other.dtls_state()));
                    // A peer closes a transport, too, when nothing is left for it to carry.
                    if is_closed && !others_go_on && self.ending == Ending::No {
                        // The peer closed: our own good-bye goes out, then it is over here too.
                        self.negotiation.close();
                        self.ending = Ending::Telling(now + self.config.limits.close_wait);
                    }
                }
            }
        }
        is_up
    }

    /// Reports changes of local ufrags to whoever demultiplexes.
    pub(super) fn follow_ufrags(&mut self) {
        for transport in self.transports.iter_mut() {
            let ufrag = transport.ufrag();
            if transport.told_ufrag.as_deref() == Some(ufrag) {
                continue;
            }
            let ufrag = ufrag.to_owned();
            // The former one stays known: checks for it may still arrive, or be asked for again. Of two that is the one in use.
            let former = transport.told_ufrag.replace(ufrag.clone());
            let kept = transport.former_ufrag.as_ref().is_some_and(|kept| {
                let connectivity = &transport.connectivity;
                let is_left = former.as_ref().is_none_or(|former| !connectivity.is_asked_for(former));
                *kept != ufrag && is_left && connectivity.is_asked_for(kept)
            });
            let gone = if kept { former } else { std::mem::replace(&mut transport.former_ufrag, former) };
            if gone.as_ref() == Some(&ufrag) {
                continue;
            }
            self.routes.extend(gone.map(crate::Route::UfragRemoved));
            self.routes.push_back(crate::Route::UfragAdded(ufrag));
        }
    }
}
