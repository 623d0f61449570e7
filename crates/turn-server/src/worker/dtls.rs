//! The turns and timers of DTLS listeners.

use std::task::{Context, Poll};

use crypto::derive_seed;
use net::ready::Kind;
use net::{RECEIVE_BUFFER, Transport as _, UdpSocket};
use proto::{Arrival, Carrier, Instant, Path};
use tracing::{debug, trace};
use turn::server::Received;

use super::Worker;
use crate::associations::Associations;
use crate::outbox::{Outbox, Slot, Socket};
use crate::{Config, DtlsServer, Stats};

impl Worker {
    /// Hears clients at these sockets too.
    pub(super) fn add_dtls(&mut self, config: &Config, sockets: Vec<UdpSocket>, seed: &[u8; 32]) {
        let Some(certificate) = &config.dtls_certificate else { return };
        let shown = certificate.config(config.turn.provider, config);
        for (number, socket) in sockets.into_iter().enumerate() {
            let associations = Associations::new(
                shown.clone(),
                self.connections.clone(),
                self.limits.first_message,
                self.limits.idle,
                derive_seed(seed, &format!("dtls listener {number}")),
            );
            let local = socket.local_address();
            let key = self.add(Socket::Dtls(socket, Some(Box::new(associations))), Kind::Listener);
            self.sockets.by_address.insert(local, key);
            self.sockets.dtls.push(key);
        }
    }

    /// One receive call, and what is to be relayed of what was in it.
    pub(super) fn serve_dtls(&mut self, key: usize) -> bool {
        let Self { server, clock, sockets, receive_buffer, trains, send_buffer, .. } = self;
        let Some(Slot { socket: Socket::Dtls(socket, associations), waker, .. }) = sockets.slots.get_mut(key)
        else {
            return false;
        };
        match socket.poll_receive_trains(&mut Context::from_waker(waker), receive_buffer, trains) {
            Poll::Pending => return false,
            Poll::Ready(Err(error)) => {
                debug!(%error, "receive");
                return true;
            }
            Poll::Ready(Ok(())) => {}
        }
        let (local, at) = (socket.local_address(), clock.now());
        // What they send goes to peers: nobody asks for the associations meanwhile.
        let Some(mut taken) = associations.take() else { return false };
        let mut outbox = Outbox::new(sockets, send_buffer);
        for (train, piece) in trains.iter().zip(receive_buffer.chunks_exact_mut(RECEIVE_BUFFER)) {
            let path = Path { carrier: Carrier::Udp, local, remote: train.remote };
            let arrival = Arrival { path, ecn: train.ecn, at };
            let bytes = piece.get_mut(..train.len).unwrap_or_default();
            for datagram in bytes.chunks_mut(train.stride) {
                let may_answer = taken.receive(arrival, datagram, |message| {
                    match server.handle_datagram(arrival, message) {
                        Ok(Received::Relay(relay)) => outbox.push(&relay, train.ecn),
                        Ok(Received::Consumed) => {}
                        Err(discard) => trace!(from = %train.remote, %discard, "dropped"),
                    }
                });
                if may_answer {
                    taken.drain(at, |transmit, bytes| outbox.send_now(transmit, bytes));
                }
            }
        }
        outbox.finish();
        if let Some(Slot { socket: Socket::Dtls(_, associations), .. }) = self.sockets.slots.get_mut(key) {
            *associations = Some(taken);
        }
        true
    }

    /// Sends what handshakes want to be sent, and lets those go who are gone.
    pub(super) fn follow_dtls(&mut self, now: Instant) {
        for number in 0..self.sockets.dtls.len() {
            let Some(key) = self.sockets.dtls.get(number).copied() else { return };
            let Some(slot) = self.sockets.slots.get_mut(key) else { continue };
            let Socket::Dtls(_, associations) = &mut slot.socket else { continue };
            let Some(mut taken) = associations.take() else { continue };
            taken.drain(now, |transmit, bytes| self.sockets.send_plain(transmit, bytes));
            while let Some(path) = taken.take_gone() {
                self.server.client_gone(now, path);
            }
            if let Some(Slot { socket: Socket::Dtls(_, associations), .. }) = self.sockets.slots.get_mut(key)
            {
                *associations = Some(taken);
            }
        }
        if !self.sockets.dtls.is_empty() {
            self.open_and_close(now);
        }
    }

    fn each_listener(&mut self, mut act: impl FnMut(&mut Associations)) {
        for key in self.sockets.dtls.clone() {
            if let Some(associations) = self.sockets.associations(key) {
                act(associations);
            }
        }
    }

    /// When associations have to be looked at.
    pub(super) fn next_dtls(&self) -> Option<Instant> {
        self.listeners().filter_map(Associations::next_timeout).min()
    }

    fn listeners(&self) -> impl Iterator<Item = &Associations> {
        let slots = self.sockets.dtls.iter().filter_map(|key| self.sockets.slots.get(*key));
        slots.filter_map(|slot| match &slot.socket {
            Socket::Dtls(_, associations) => associations.as_deref(),
            Socket::Udp(_) | Socket::Acceptor(..) | Socket::Relay(_) | Socket::Stream(_) => None,
        })
    }

    pub(super) fn expire_dtls(&mut self, now: Instant) {
        self.each_listener(|associations| associations.expire(now));
    }

    pub(super) fn refuse_dtls(&mut self) {
        self.each_listener(Associations::refuse_strangers);
    }

    /// Shows another certificate from now on.
    pub(super) fn renew_dtls(&mut self, shown: &DtlsServer) {
        self.each_listener(|associations| associations.show(shown));
    }

    /// Tells all clients that it is over.
    pub(super) fn end_dtls(&mut self) {
        let now = self.clock.now();
        self.each_listener(|associations| associations.close_all(now));
        self.follow_dtls(now);
    }

    pub(super) fn count_dtls(&self, stats: &mut Stats) {
        for associations in self.listeners() {
            let counts = associations.counts;
            stats.dtls_associations = stats.dtls_associations.saturating_add(associations.len());
            stats.dtls_handshakes = stats.dtls_handshakes.wrapping_add(counts.completed);
            stats.dtls_discarded = stats.dtls_discarded.wrapping_add(counts.discarded);
            stats.refused_connections = stats.refused_connections.wrapping_add(counts.refused);
        }
    }
}
