#![expect(clippy::wildcard_enum_match_arm, reason = "most readers look for one attribute among many")]

use std::net::SocketAddr;
use std::time::Duration;

use proto::Instant;
use stun::wire::{AddressFamily, Attribute, Class, Message, Method};

use super::data::connection_of;
use super::event::{Discard, Event, Failure};
use super::grant::{CHANNEL_LIFETIME, PERMISSION_LIFETIME, POSTPONEMENT, Status};
use super::{Allocation, Client, NO_ROOM, Pending, Purpose, State};

impl Client {
    /// Takes the server's answer to a request in flight.
    pub(super) fn handle_answer(&mut self, now: Instant, message: &Message<'_>) -> Result<(), Discard> {
        let is_answered = |pending: &Pending| {
            pending.transaction.id() == message.transaction()
                && pending.transaction.attempts() > 0
                && method_of(pending.purpose) == message.method()
        };
        let place = self.pending.iter().position(is_answered).ok_or(Discard::UnknownTransaction)?;
        let purpose = self.pending.get(place).ok_or(Discard::UnknownTransaction)?.purpose;
        let code = match message.class() {
            Class::Success => None,
            Class::Error => Some(message.error_code().ok_or(Discard::Incomplete)?.code),
            Class::Request | Class::Indication => return Err(Discard::UnknownTransaction),
        };
        if message.unknown_required().next().is_some() {
            return Err(Discard::Malformed);
        }
        // A challenge cannot be signed, and a redirection need not be (RFC 8489 §9.2.5, §10).
        let is_other_user = code == Some(441) && self.former.is_some();
        if self.login.key().is_some() && !matches!(code, Some(401 | 438 | 300)) && !is_other_user {
            self.login.verify(message).map_err(|_| {
                self.was_forged = true;
                Discard::Forged
            })?;
        }
        let granted = if code.is_none() { self.read_grant(purpose, message)? } else { None };
        let pending = self.pending.swap_remove(place);
        self.was_forged = false;
        match code {
            None => {
                self.former = None;
                self.keep_ticket(purpose, message);
                self.keep_connection(purpose, message);
                self.handle_success(now, purpose, granted);
            }
            Some(401 | 438) => self.handle_challenge(now, &pending, message),
            Some(_) if is_other_user => self.go_back_to_former(now, purpose),
            Some(code) => self.handle_error(now, purpose, code, message),
        }
        self.rearm();
        Ok(())
    }

    /// Nobody has answered a request.
    pub(super) fn handle_silence(&mut self, now: Instant, purpose: Purpose) {
        let failure = if self.was_forged { Failure::Forged } else { Failure::TimedOut };
        match purpose {
            Purpose::Allocate => self.fail(failure),
            Purpose::Refresh | Purpose::Move => self.lose(now),
            Purpose::Release if self.state == State::Allocating => self.fail(failure),
            Purpose::Release => self.finish_release(),
            Purpose::Permit(_) | Purpose::Bind(..) | Purpose::Connect(_) => self.refuse(now, purpose, None),
        }
    }

    /// What a success must carry: of an Allocate the addresses, of a Refresh the time.
    fn read_grant(
        &self,
        purpose: Purpose,
        message: &Message<'_>,
    ) -> Result<Option<(Allocation, Duration)>, Discard> {
        // No server makes us ask without end, or forget to ask.
        let lifetime = || {
            let seconds = lifetime_of(message).ok_or(Discard::Incomplete)?;
            Ok(Duration::from_secs(seconds.into()).clamp(MIN_LIFETIME, MAX_LIFETIME))
        };
        match purpose {
            Purpose::Allocate => {
                let is_usable = |address: &SocketAddr| !address.ip().is_unspecified() && address.port() != 0;
                let mut relayed = message.attributes().filter_map(|attribute| match attribute {
                    Attribute::XorRelayedAddress(address) => Some(address),
                    _ => None,
                });
                let first = relayed.next().ok_or(Discard::Incomplete)?;
                let additional = relayed.next();
                let mapped = message.mapped_address().ok_or(Discard::Incomplete)?;
                if ![Some(first), additional, Some(mapped)].iter().flatten().all(is_usable) {
                    return Err(Discard::Incomplete);
                }
                // RFC 8656 §7.3: of the families that were asked for, in their order.
                let is_of = |address: SocketAddr, family| AddressFamily::of(address.ip()) == family;
                let family = if self.config.additional { AddressFamily::V4 } else { self.config.family };
                let is_wanted = |address| self.config.additional && is_of(address, AddressFamily::V6);
                if !is_of(first, family) || !additional.is_none_or(is_wanted) {
                    return Err(Discard::Incomplete);
                }
                Ok(Some((Allocation { relayed: first, additional, mapped }, lifetime()?)))
            }
            Purpose::Refresh | Purpose::Move => match self.allocation {
                Some(allocation) => Ok(Some((allocation, lifetime()?))),
                None => Err(Discard::UnknownTransaction),
            },
            Purpose::Connect(_) => connection_of(message).ok_or(Discard::Incomplete).map(|_| None),
            Purpose::Release | Purpose::Permit(_) | Purpose::Bind(..) => Ok(None),
        }
    }

    fn handle_success(&mut self, now: Instant, purpose: Purpose, granted: Option<(Allocation, Duration)>) {
        if let Some((allocation, lifetime)) = granted {
            let margin = self.config.margin.min(lifetime / 2);
            self.refresh = Some(now + (lifetime - margin));
            self.ends = now + lifetime;
            self.allocation = Some(allocation);
        }
        match purpose {
            Purpose::Allocate => {
                self.state = State::Allocated;
                self.allocated = now;
                self.is_cleared = false;
                if let Some(Allocation { relayed, additional, mapped }) = self.allocation {
                    self.event = Some(Event::Allocated { relayed, additional, mapped });
                }
                self.ask_for_wanted(now);
            }
            Purpose::Refresh | Purpose::Connect(_) => {}
            Purpose::Move => {
                self.allocated = now;
                self.event = Some(Event::Moved);
                self.ask_for_wanted(now);
            }
            Purpose::Release => self.have_given_back(now),
            Purpose::Permit(peer) => {
                let same = self.permissions.iter_mut().find(|permission| permission.key == peer);
                same.into_iter().for_each(|permission| permission.hold(now, PERMISSION_LIFETIME));
            }
            Purpose::Bind(peer, number) => {
                let same = self.channels.iter_mut().find(|channel| channel.key == (peer, number));
                same.into_iter().for_each(|channel| channel.hold(now, CHANNEL_LIFETIME));
            }
        }
    }

    /// A 401 or 438: once more with the credential, or the new nonce.
    fn handle_challenge(&mut self, now: Instant, pending: &Pending, message: &Message<'_>) {
        let challenges = pending.challenges.saturating_add(1);
        match self.login.handle_challenge(message) {
            Ok(()) if challenges <= MAX_CHALLENGES => self.ask_again(now, pending.purpose, challenges),
            // Another request has had the new nonce already.
            Err(stun::ChallengeError::SameNonce) if challenges <= MAX_CHALLENGES => {
                self.ask_again(now, pending.purpose, challenges);
            }
            Ok(()) => self.fail(Failure::Rejected(438)),
            Err(stun::ChallengeError::Refused)
                if self.state == State::Allocated && pending.purpose != Purpose::Move =>
            {
                if self.former.is_some() {
                    self.go_back_to_former(now, pending.purpose);
                } else {
                    self.be_refused(now, pending.purpose);
                }
            }
            Err(error) => {
                if self.state == State::Releasing {
                    self.finish_release();
                } else {
                    self.fail(Failure::Challenge(error));
                }
            }
        }
    }

    /// The credentials have ended: what was granted under them lasts as long as it lasts.
    fn be_refused(&mut self, now: Instant, refused: Purpose) {
        self.is_refused = true;
        let unanswered = std::mem::take(&mut self.pending);
        let purposes = unanswered.iter().map(|pending| pending.purpose).chain([refused]);
        // Peers are asked for again under other credentials; who waits for a connection does not wait for those.
        for purpose in purposes.filter(|purpose| matches!(purpose, Purpose::Connect(_))) {
            self.refuse(now, purpose, Some(UNAUTHENTICATED));
        }
        self.event = Some(Event::CredentialsRefused);
    }

    /// The server does not know the new name, or does not let it go on with what another one has (RFC 8656 §5).
    fn go_back_to_former(&mut self, now: Instant, purpose: Purpose) {
        if let Some(former) = self.former.take() {
            self.login.set_credentials(*former);
        }
        self.ask(now, purpose);
        self.ask_anew(now);
    }

    fn handle_error(&mut self, now: Instant, purpose: Purpose, code: u16, message: &Message<'_>) {
        match purpose {
            // coturn says so where it lets none go along, in place of leaving the wish aside (RFC 8016 §3.1.2).
            Purpose::Allocate if code == MOBILITY_FORBIDDEN && self.config.mobility => {
                self.config.mobility = false;
                self.ask(now, Purpose::Allocate);
            }
            // RFC 8656 §7.4: something at our address is there still, which we have lost or know nothing of, and which may be
            // ours.
            Purpose::Allocate if code == MISMATCH && !self.is_cleared => {
                self.is_cleared = true;
                self.ask(now, Purpose::Release);
            }
            Purpose::Allocate => {
                let other = |attribute| match attribute {
                    Attribute::AlternateServer(server) => Some(server),
                    _ => None,
                };
                let other = message.attributes().find_map(other).filter(|_| code == 300);
                self.fail(other.map_or(Failure::Rejected(code), Failure::Redirected));
            }
            // RFC 8656 §5: the server knows of no allocation where it sees us.
            Purpose::Refresh | Purpose::Permit(_) | Purpose::Bind(..) | Purpose::Connect(_)
                if code == MISMATCH =>
            {
                self.reclaim(now);
            }
            Purpose::Refresh | Purpose::Move => self.lose(now),
            Purpose::Release => self.have_given_back(now),
            // RFC 8656 §5: the server knows of no allocation.
            Purpose::Permit(_) | Purpose::Bind(..) | Purpose::Connect(_) if code == MISMATCH => {
                self.lose(now)
            }
            Purpose::Permit(_) | Purpose::Bind(..) | Purpose::Connect(_) => {
                self.refuse(now, purpose, Some(code));
            }
        }
    }

    /// The server has nothing of ours any more: that is the end, unless it was in the way of something new.
    fn have_given_back(&mut self, now: Instant) {
        if self.state == State::Allocating {
            self.ask(now, Purpose::Allocate);
        } else {
            self.finish_release();
        }
    }

    /// The peer is not reached, or not by a channel, which indications make up for.
    fn refuse(&mut self, now: Instant, purpose: Purpose, code: Option<u16>) {
        match purpose {
            Purpose::Permit(peer) => {
                let same = self.permissions.iter_mut().find(|permission| permission.key == peer);
                let Some(permission) = same else { return };
                if code == Some(NO_ROOM) {
                    permission.postpone(now + POSTPONEMENT);
                } else {
                    permission.refuse(code);
                }
            }
            Purpose::Bind(peer, number) => {
                let same = self.channels.iter_mut().find(|channel| channel.key == (peer, number));
                same.into_iter().for_each(|channel| channel.refuse(code));
            }
            Purpose::Connect(peer) => self.news.push_back(Event::NotConnected(peer, code)),
            Purpose::Allocate | Purpose::Refresh | Purpose::Move | Purpose::Release => {}
        }
    }

    /// What a Connect has led to (RFC 6062 §4.3).
    fn keep_connection(&mut self, purpose: Purpose, message: &Message<'_>) {
        if let (Purpose::Connect(peer), Some(connection)) = (purpose, connection_of(message)) {
            self.news.push_back(Event::Connected { connection, peer });
        }
    }

    /// The server's latest ticket (RFC 8016 §3.1.3, §3.2.3). One that is longer than any needs to be is none.
    fn keep_ticket(&mut self, purpose: Purpose, message: &Message<'_>) {
        if !self.config.mobility || !matches!(purpose, Purpose::Allocate | Purpose::Refresh | Purpose::Move) {
            return;
        }
        let ticket = message.attributes().find_map(|attribute| match attribute {
            Attribute::MobilityTicket(ticket) => Some(ticket),
            _ => None,
        });
        match ticket.filter(|ticket| (1..=MAX_TICKET).contains(&ticket.len())) {
            Some(ticket) => self.ticket = Some(ticket.into()),
            // A refresh without one leaves the one that there is.
            None if purpose == Purpose::Refresh => {}
            None => self.ticket = None,
        }
    }

    /// A NAT may show us at another address, to which the allocation goes along (RFC 8016); otherwise it is gone.
    fn reclaim(&mut self, now: Instant) {
        if self.ticket.is_none() {
            return self.lose(now);
        }
        if self.state != State::Allocated || self.is_too_often_lost(now) {
            return;
        }
        self.pending.clear();
        self.ask(now, Purpose::Move);
    }

    /// Counts a loss; whether it was one too many in a row, which is the end.
    fn is_too_often_lost(&mut self, now: Instant) -> bool {
        let is_young = now - self.allocated < SHORT_LIFE;
        self.losses = if is_young { self.losses.saturating_add(1) } else { 1 };
        let is_one_too_many = self.losses > MAX_LOSSES;
        if is_one_too_many {
            self.fail(Failure::Rejected(MISMATCH));
        }
        is_one_too_many
    }

    /// The allocation is gone: another one, with all that belonged to it.
    pub(super) fn lose(&mut self, now: Instant) {
        if self.state != State::Allocated || self.is_too_often_lost(now) {
            return;
        }
        self.state = State::Allocating;
        self.allocation = None;
        self.ticket = None;
        self.refresh = None;
        self.news.clear();
        self.pending.clear();
        let statuses = self.permissions.iter_mut().map(|permission| &mut permission.status);
        for status in statuses.chain(self.channels.iter_mut().map(|channel| &mut channel.status)) {
            *status = Status::Wanted;
        }
        (self.event, self.is_lost) = (None, true);
        self.ask(now, Purpose::Allocate);
    }
}

fn lifetime_of(message: &Message<'_>) -> Option<u32> {
    message.attributes().find_map(|attribute| match attribute {
        Attribute::Lifetime(seconds) => Some(seconds),
        _ => None,
    })
}

const fn method_of(purpose: Purpose) -> Method {
    match purpose {
        Purpose::Allocate => Method::ALLOCATE,
        Purpose::Refresh | Purpose::Move | Purpose::Release => Method::REFRESH,
        Purpose::Permit(_) => Method::CREATE_PERMISSION,
        Purpose::Bind(..) => Method::CHANNEL_BIND,
        Purpose::Connect(_) => Method::CONNECT,
    }
}

/// RFC 8489 §14.8.
const UNAUTHENTICATED: u16 = 401;
/// RFC 8656 §19.
const MISMATCH: u16 = 437;
/// RFC 8016 §6.
const MOBILITY_FORBIDDEN: u16 = 405;
/// A 401 and then a nonce that has just become stale, and once more for a server that restarts.
const MAX_CHALLENGES: u32 = 3;
/// One that is lost sooner was hardly worth having, and so many of them in a row are enough.
const SHORT_LIFE: Duration = Duration::from_secs(30);
const MAX_LOSSES: u32 = 3;
/// RFC 8016 has no bound.
const MAX_TICKET: usize = 512;
const MIN_LIFETIME: Duration = Duration::from_secs(60);
const MAX_LIFETIME: Duration = Duration::from_secs(3600);
