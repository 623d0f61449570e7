//! Connections of TCP candidates (RFC 6544): the agent says which it wants, and is told what became of them.

use std::net::SocketAddr;

use proto::{Carrier, Instant, Path};

use crate::pair::{Link, Pair, PairState};
use crate::{Agent, Event};

/// Connections whose end is to be told. Most agents never have one, and pay for a pointer.
#[derive(Debug, Default)]
pub(crate) struct Closing(Vec<Path>);

/// Names a connection that an agent has asked for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ConnectId(pub(crate) u32);

impl Agent {
    /// The connection of [`Event::Connect`] is open, on `path` ([`Carrier::Framed`]), whose local end is where it
    /// really begins.
    pub fn tcp_opened(&mut self, now: Instant, id: ConnectId, path: Path) {
        self.begin(now);
        let trigger = self.next_trigger();
        let pair = self.generation.pairs.iter_mut().find(|pair| pair.id.0 == id.0);
        let is_wanted = |pair: &&mut Pair| {
            // Names are given anew after a restart.
            let leads_there = path.carrier == Carrier::Framed && path.remote == pair.path.remote;
            pair.link == Link::Opening && leads_there
        };
        match pair.filter(is_wanted) {
            Some(pair) => {
                (pair.path, pair.link, pair.state) = (path, Link::Open, PairState::Waiting);
                pair.triggered = Some(trigger);
            }
            None => self.hang_up(path),
        }
        self.finish();
    }

    /// The connection of [`Event::Connect`] could not be opened.
    pub fn tcp_failed(&mut self, now: Instant, id: ConnectId) {
        self.begin(now);
        let pair = self.generation.pairs.iter_mut().find(|pair| pair.id.0 == id.0);
        if let Some(pair) = pair.filter(|pair| pair.link == Link::Opening) {
            pair.link = Link::Closed;
            pair.fail();
        }
        self.finish();
    }

    /// The connection on `path` is over, whoever had opened it.
    pub fn tcp_closed(&mut self, now: Instant, path: Path) {
        self.begin(now);
        self.closing.iter_mut().for_each(|closing| closing.0.retain(|known| *known != path));
        if path.carrier != Carrier::Framed {
            return self.finish();
        }
        let (locals, mut is_over) = (&self.locals, false);
        for generation in [Some(&mut self.generation), self.previous.as_deref_mut()].into_iter().flatten() {
            let Some(at) = generation.pairs.iter().position(|pair| pair.path == path) else { continue };
            let mut pair = generation.pairs.swap_remove(at);
            is_over = true;
            if generation.nominated == Some(pair.id) {
                generation.nominated = None;
            }
            if generation.selected == Some(pair.id) {
                generation.selected = None;
            }
            // What has worked may work again, over another connection.
            let local = locals.iter().find(|local| local.id == pair.local && local.is_active());
            if let Some(local) = local.filter(|_| pair.is_valid()) {
                pair.reopen(local.given.base);
                generation.pairs.push(pair);
            }
        }
        if is_over {
            self.sync_routes();
            self.select_best();
        }
        self.finish();
    }

    /// Has the next connection opened whose turn it is; each counts as a check.
    pub(crate) fn open_connections(&mut self) {
        let Some(id) = self.next_connection() else { return };
        if self.next_check > self.now || !self.has_slot() {
            return;
        }
        let Some(pair) = self.generation.pair_mut(id) else { return };
        (pair.link, pair.state) = (Link::Wanted, PairState::InProgress);
        self.use_slot();
    }

    /// The pair whose connection is to be opened next.
    pub(crate) fn next_connection(&self) -> Option<crate::pair::PairId> {
        let generation = &self.generation;
        if self.lite.is_some() || generation.peer.is_none() {
            return None;
        }
        let is_closed = |pair: &&Pair| {
            pair.link == Link::Closed
                && matches!(pair.state, PairState::Waiting | PairState::Frozen)
                && self.is_worth_checking(pair)
                && generation.budget(pair.path) > 0
        };
        let open = generation.pairs.iter().filter(|pair| pair.is_connection());
        if u32::try_from(open.count()).unwrap_or(u32::MAX) >= self.config.max_connections {
            return None;
        }
        let best = generation.pairs.iter().filter(is_closed).max_by_key(|pair| pair.priority);
        best.map(|pair| pair.id)
    }

    /// Whether a connection is to be opened or closed: [`poll_event`](Self::poll_event) tells which.
    pub fn wants_connections(&self) -> bool {
        self.closing.is_some() || self.generation.pairs.iter().any(|pair| pair.link == Link::Wanted)
    }

    /// The next connection that is to be opened or closed.
    pub(crate) fn poll_connection(&mut self) -> Option<Event> {
        if let Some(path) = self.closing.as_mut().and_then(|closing| closing.0.pop()) {
            return Some(Event::Disconnect(path));
        }
        self.closing = None;
        let wanted = self.generation.pairs.iter_mut().find(|pair| pair.link == Link::Wanted)?;
        wanted.link = Link::Opening;
        // The system chooses the port.
        let local = SocketAddr::new(wanted.path.local.ip(), 0);
        Some(Event::Connect { id: ConnectId(wanted.id.0), local, remote: wanted.path.remote })
    }

    /// The agent has no use for the connection on `path` any more, if it is one.
    pub(crate) fn hang_up(&mut self, path: Path) {
        if path.carrier != Carrier::Framed {
            return;
        }
        let Closing(closing) = &mut **self.closing.get_or_insert_default();
        if !closing.contains(&path) && closing.len() < MAX_CLOSING {
            closing.push(path);
        }
    }

    /// RFC 6544 §8: a path was chosen, so connections that have not proved to be one are not wanted any more.
    pub(crate) fn hang_up_unproved(&mut self) {
        let is_useless =
            |pair: &&mut Pair| pair.link == Link::Open && !pair.is_valid() && !pair.authenticated;
        let framed = self.generation.pairs.iter_mut().filter(|pair| pair.path.carrier == Carrier::Framed);
        let useless: Vec<Path> = framed
            .filter(is_useless)
            .map(|pair| {
                pair.link = Link::Closed;
                pair.fail();
                pair.path
            })
            .collect();
        useless.into_iter().for_each(|path| self.hang_up(path));
    }
}

/// Connections whose end is to be told: as many as there are pairs in two generations.
const MAX_CLOSING: usize = 200;
