//! How ICE begins anew: credentials are drawn for descriptions, and replace those in use once one is set.

use ice::Credentials;

use super::Session;
use crate::negotiation::Drafts;
use crate::transport::Transport;
use crate::transports::TransportId;

/// Local ufrags that the next offer is to replace (W3C WebRTC 1.0 §4.4.1.2, `[[LocalIceCredentialsToReplace]]`). Most
/// sessions have none, and pay for a pointer.
#[derive(Debug, Default)]
pub(super) struct ToReplace(Vec<String>);

impl Session {
    /// Has the next offer begin ICE anew, if a description of ours was set. Without descriptions there is none.
    pub fn restart_ice(&mut self) {
        if !self.is_without_sdp {
            self.call_for_restart();
        }
    }

    /// The path is lost: what W3C WebRTC 1.0 leaves to the application, to restart ICE, is asked of it at once.
    pub(super) fn call_for_restart(&mut self) {
        let described = self.negotiation.local_ufrags();
        let ufrags = self.transports.iter().map(|transport| transport.ufrag().to_owned());
        self.replace(ToReplace(ufrags.filter(|ufrag| described.contains(ufrag)).collect()));
        self.ask_for_offer();
    }

    /// Calls for an offer that begins ICE anew, where there was a path and there is none.
    pub(super) fn restart_without_path(&mut self) {
        let is_lost = self
            .transports
            .iter()
            .any(|transport| transport.connectivity.selected_path().is_none() && transport.dtls().is_some());
        if is_lost {
            self.call_for_restart();
        }
    }

    fn replace(&mut self, ToReplace(ufrags): ToReplace) {
        self.to_replace = (!ufrags.is_empty()).then(|| Box::new(ToReplace(ufrags)));
    }

    /// Credentials in place of those that are to be replaced.
    pub(super) fn draw_to_replace(&mut self) -> Drafts {
        let Some(to_replace) = self.to_replace.take() else { return Drafts::new() };
        let drafts = self.draw_where(|transport| to_replace.has(transport));
        self.to_replace = Some(to_replace);
        drafts
    }

    /// RFC 9429 §4.1.8: a description that is made and not set has changed nothing.
    pub(super) fn draw_where(&mut self, is_chosen: impl Fn(&Transport) -> bool) -> Drafts {
        let chosen = self.transports.iter_mut().filter(|transport| is_chosen(transport));
        chosen.map(|transport| (transport.id, transport.connectivity.draw_credentials())).collect()
    }

    /// Begins ICE anew on a transport, with servers that were announced for that.
    pub(super) fn restart_transport(&mut self, id: TransportId, credentials: Credentials) {
        if std::mem::take(&mut self.awaits_next_servers) {
            self.await_servers_now();
        }
        if let Some(transport) = self.transports.get_mut(id) {
            transport.connectivity.restart_with(self.now, credentials);
            transport.candidates.clear();
        }
    }

    /// RFC 9429 §4.1.10.2: what an offer of ours that is taken back has begun anew goes on as before. It is to be begun by
    /// the next one.
    pub(super) fn take_restarts_back(&mut self) {
        let mut to_replace = self.to_replace.take().unwrap_or_default();
        for transport in self.transports.iter_mut() {
            let taken_back = transport.ufrag().to_owned();
            transport.connectivity.take_restart_back(self.now);
            if transport.ufrag() == taken_back {
                continue;
            }
            self.untold.retain(|candidate| candidate.ufrag != taken_back);
            let candidates = transport.connectivity.local_candidates();
            transport.candidates = candidates.map(|candidate| candidate.to_string()).collect();
            if !to_replace.has(transport) {
                to_replace.0.push(transport.ufrag().to_owned());
            }
        }
        self.replace(*to_replace);
        self.follow_replaced();
    }

    /// W3C WebRTC 1.0 §4.4.1.5: nothing is left to be done for credentials that are replaced, by whatever description.
    pub(super) fn follow_replaced(&mut self) {
        let Some(ToReplace(mut ufrags)) = self.to_replace.take().map(|to_replace| *to_replace) else {
            return;
        };
        ufrags.retain(|ufrag| self.transports.iter().any(|transport| transport.ufrag() == ufrag));
        self.replace(ToReplace(ufrags));
    }
}

impl ToReplace {
    fn has(&self, transport: &Transport) -> bool {
        self.0.iter().any(|ufrag| ufrag == transport.ufrag())
    }
}
