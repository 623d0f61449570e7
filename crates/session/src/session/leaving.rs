//! Relays that no transport has any more, and are given back.

use std::net::SocketAddr;

use connectivity::Relays;
use proto::{Batch, Instant, Path, Transmit};

use super::Session;

/// The relays of a transport that is gone: its sockets are closed once they are given back, or there is no time left.
#[derive(Debug)]
pub(super) struct Leaving {
    relays: Box<Relays>,
    addresses: Vec<SocketAddr>,
    until: Instant,
}

/// Most sessions never have one, and pay for a pointer.
#[derive(Debug, Default)]
pub(super) struct AllLeaving(pub(super) Vec<Leaving>);

impl Leaving {
    pub(super) fn new(
        now: Instant,
        mut relays: Box<Relays>,
        addresses: Vec<SocketAddr>,
        until: Instant,
    ) -> Self {
        relays.release(now);
        Self { relays, addresses, until }
    }

    pub(super) fn is_released(&self) -> bool {
        self.relays.is_released()
    }
}

impl Session {
    pub(super) fn poll_relays(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        let own = self.relays.as_mut().and_then(|relays| relays.poll_transmit(now, batch));
        own.or_else(|| self.leaving.as_mut()?.0.iter_mut().find_map(|it| it.relays.poll_transmit(now, batch)))
    }

    pub(super) fn relays_due(&self) -> Option<Instant> {
        if self.leaving.is_none() {
            return self.relays.as_ref()?.poll_timeout();
        }
        let own = self.relays.as_ref().and_then(|relays| relays.poll_timeout());
        let leaving = self.leaving.iter().flat_map(|all| &all.0);
        let leaving = leaving.flat_map(|it| [it.relays.poll_timeout(), Some(it.until)]);
        leaving.chain([own]).flatten().min()
    }

    /// The relays without a transport that a datagram is for.
    pub(super) fn relays_for(&mut self, path: Path, datagram: &[u8]) -> Option<&mut Relays> {
        if self.relays.is_none() && self.leaving.is_none() {
            return None;
        }
        let leaving = self.leaving.iter_mut().flat_map(|all| &mut all.0).map(|it| &mut it.relays);
        let mut all = self.relays.iter_mut().chain(leaving);
        all.find(|relays| relays.accepts(path, datagram)).map(|relays| &mut **relays)
    }

    /// Advances them, and has the sockets closed of those that are done.
    pub(super) fn leave_in_time(&mut self) {
        let now = self.now;
        let Some(leaving) = &mut self.leaving else { return };
        leaving.0.iter_mut().for_each(|it| it.relays.handle_timeout(now));
        let is_done = |it: &mut Leaving| it.until <= now || it.is_released();
        let done: Vec<Leaving> = leaving.0.extract_if(.., is_done).collect();
        if leaving.0.is_empty() {
            self.leaving = None;
        }
        done.into_iter().for_each(|it| self.close_sockets(it.addresses));
    }
}
