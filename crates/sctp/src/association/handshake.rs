use super::transmit::{
    Abort, CAUSE_COOKIE_IN_SHUTDOWN, CAUSE_INVALID_PARAMETER, CAUSE_MISSING_PARAMETER, CAUSE_STALE_COOKIE,
    CAUSE_UNRESOLVABLE_ADDRESS, Cause, Unrecognized,
};
use super::{Association, Local, Peer, State};
use crate::congestion::control;
use crate::cookie::Cookie;
use crate::flight::Flight;
use crate::inbound::Inbound;
use crate::wire::{Init, Parameter};
use crate::{CloseReason, Direction, Discard, StreamId, Tsn, Violation};

/// An INIT that is to be answered.
#[derive(Clone, Debug)]
pub(super) struct InitReply {
    pub(super) cookie: Cookie,
    pub(super) unknown: Unrecognized,
}

/// What the optional parameters of an INIT or INIT ACK say.
#[derive(Clone, Debug, Default)]
struct Abilities<'a> {
    forward_tsn: bool,
    reconfig: bool,
    cookie: Option<&'a [u8]>,
    unknown: Unrecognized,
}

impl Association {
    /// RFC 9260 §5.1, §5.2.1, §5.2.2: an INIT changes nothing; it is answered, whatever the state.
    pub(super) fn handle_init(&mut self, init: &Init<'_>) -> Result<(), Discard> {
        if self.state == State::Closed {
            return Err(Discard::Closed);
        }
        if let Some(cause) = forbidden(init) {
            if init.tag != 0 {
                self.replies.abort = Some(Abort::new(init.tag, cause));
            }
            return Err(Discard::UnexpectedChunk);
        }
        let (local, tie_tags) = match &self.state {
            State::Closed => return Err(Discard::Closed),
            State::ShutdownAckSent => {
                // RFC 9260 §9.2: the peer has lost our SHUTDOWN ACK.
                self.replies.shutdown_ack = true;
                return Ok(());
            }
            State::Listening | State::CookieWait => (self.local, [0; 2]),
            State::CookieEchoed(_) => (self.local, self.tie_tags),
            State::Established | State::ShutdownPending | State::ShutdownSent | State::ShutdownReceived => {
                let fresh = Local { tag: self.rng.u32().max(1), first: Tsn(self.rng.u32()) };
                (fresh, self.tie_tags)
            }
        };
        let abilities = self.abilities(init);
        self.replies.init_ack = Some(Box::new(InitReply {
            cookie: Cookie {
                made: self.now,
                local_tag: local.tag,
                peer_tag: init.tag,
                tie_tags,
                local_tsn: local.first,
                peer_tsn: init.tsn,
                peer_window: init.window,
                peer_inbound: init.inbound,
                forward_tsn: abilities.forward_tsn,
                reconfig: abilities.reconfig,
            },
            unknown: abilities.unknown,
        }));
        Ok(())
    }

    pub(super) fn handle_init_ack(&mut self, init: &Init<'_>) -> Result<(), Discard> {
        if self.state != State::CookieWait {
            return Err(Discard::UnexpectedChunk);
        }
        if init.window < LEAST_WINDOW {
            // RFC 9260 §3.3.3: dropped, without an effect on the state.
            self.replies.abort =
                Some(Abort::new(init.tag, CAUSE_INVALID_PARAMETER)).filter(|_| init.tag != 0);
            return Err(Discard::UnexpectedChunk);
        }
        if let Some(cause) = forbidden(init) {
            // RFC 9260 §3.3.3: such an answer ends the attempt.
            let abort =
                if init.tag == 0 { Abort::reflected(self.local.tag) } else { Abort::new(init.tag, cause) };
            self.replies.abort = Some(abort);
            self.close(CloseReason::Violation(Violation::Handshake));
            return Ok(());
        }
        let abilities = self.abilities(init);
        let Some(cookie) = abilities.cookie else {
            self.peer.tag = init.tag;
            self.violate(Violation::Handshake, CAUSE_MISSING_PARAMETER);
            return Ok(());
        };
        self.set_peer(Peer {
            tag: init.tag,
            first: init.tsn,
            window: init.window,
            inbound: init.inbound,
            forward_tsn: abilities.forward_tsn,
            reconfig: abilities.reconfig,
            known: true,
            closed: false,
        });
        self.replies.error = abilities.unknown.cause();
        self.state = State::CookieEchoed(cookie.into());
        self.replies.init = false;
        self.replies.cookie_echo = true;
        self.timers.handshake = None;
        self.errors = 0;
        self.round_trip.answered();
        Ok(())
    }

    /// RFC 9260 §5.2.4: what a valid State Cookie does depends on whose tags it carries.
    pub(super) fn handle_cookie_echo(&mut self, tag: u32, bytes: &[u8]) -> Result<(), Discard> {
        let cookie = Cookie::open(bytes, &*self.cookie_key)?;
        if tag != cookie.local_tag {
            return Err(Discard::Tag);
        }
        if self.state == State::Closed {
            return Err(Discard::Closed);
        }
        let (ours, theirs) =
            (cookie.local_tag == self.local.tag, self.peer.known && cookie.peer_tag == self.peer.tag);
        let stale = cookie.is_stale(self.now, self.config.cookie_life);
        if stale && !(ours && theirs) {
            // RFC 9260 §3.3.10.3: by how much it has outlived its time, rounded up.
            let staleness = (self.now - (cookie.made + self.config.cookie_life)).as_nanos().div_ceil(1000);
            let staleness = u32::try_from(staleness).unwrap_or(u32::MAX).to_be_bytes();
            self.replies.stale = Some((cookie.peer_tag, Cause::new(CAUSE_STALE_COOKIE, &staleness)));
            return Err(Discard::StaleCookie);
        }
        let ties = cookie.tie_tags == self.tie_tags;
        match (ours, theirs) {
            (true, true) => self.cookie_matches(),                // D
            (true, false) => self.cookie_from_collision(&cookie), // B, and the first one of all
            (false, false) if ties && self.peer.known => self.cookie_from_restart(&cookie), // A
            (false, true | false) => Err(Discard::UnexpectedCookie), // C, and all others
        }
    }

    pub(super) fn handle_cookie_ack(&mut self) -> Result<(), Discard> {
        if !matches!(self.state, State::CookieEchoed(_)) {
            return Err(Discard::UnexpectedChunk);
        }
        self.establish();
        Ok(())
    }

    /// The peer found our State Cookie too old: ask for another (RFC 9260 §5.2.6).
    pub(super) fn handle_stale_cookie(&mut self) {
        if !matches!(self.state, State::CookieEchoed(_)) {
            return;
        }
        // Counted apart: each time the INIT ACK before it has ended the count of errors.
        self.stale = self.stale.saturating_add(1);
        if self.stale > self.config.max_init_retransmits {
            self.violate(Violation::StaleCookie, 0);
            return;
        }
        self.state = State::CookieWait;
        self.replies.cookie_echo = false;
        self.replies.init = true;
        self.timers.handshake = None;
    }

    /// D: the cookie is of the association that stands.
    fn cookie_matches(&mut self) -> Result<(), Discard> {
        if matches!(self.state, State::CookieEchoed(_) | State::CookieWait) {
            self.establish();
        }
        self.replies.cookie_ack = true;
        Ok(())
    }

    /// B: both ends began, and the peer answered before it asked; or the peer is unknown until now.
    fn cookie_from_collision(&mut self, cookie: &Cookie) -> Result<(), Discard> {
        match self.state {
            State::Listening | State::CookieWait | State::CookieEchoed(_) => {
                self.set_peer(peer_of(cookie));
                self.establish();
            }
            State::Established
            | State::ShutdownPending
            | State::ShutdownSent
            | State::ShutdownReceived
            | State::ShutdownAckSent => {
                // The peer goes on under the tag of its INIT; its first TSN counts if nothing has come yet.
                let untouched = self.inbound.cumulative() == Tsn(self.peer.first.0.wrapping_sub(1))
                    && !self.inbound.has_gaps();
                if untouched {
                    self.set_peer(peer_of(cookie));
                } else {
                    self.peer.tag = cookie.peer_tag;
                }
            }
            State::Closed => return Err(Discard::Closed),
        }
        self.replies.cookie_ack = true;
        Ok(())
    }

    /// A: the peer has lost the association and begins anew.
    fn cookie_from_restart(&mut self, cookie: &Cookie) -> Result<(), Discard> {
        if self.state == State::ShutdownAckSent {
            self.replies.shutdown_ack = true;
            self.replies.error = Some(Cause::new(CAUSE_COOKIE_IN_SHUTDOWN, &[]));
            return Ok(());
        }
        self.local = Local { tag: cookie.local_tag, first: cookie.local_tsn };
        self.tie_tags = [self.rng.u32().max(1), self.rng.u32().max(1)];
        self.replies = super::Replies::default();
        self.heartbeat_nonce = None;
        self.set_peer(peer_of(cookie));
        self.flight = Flight::new(self.local.first);
        self.outbound.restart();
        self.congestion = control(&self.config);
        self.congestion.set_packet(self.max_packet);
        self.resets = super::Resets::new(self.local.first, self.peer.first);
        let open: Vec<StreamId> = self.outbound.ids().collect();
        for stream in open {
            self.resets.opened(stream);
        }
        self.timers = super::Timers::default();
        self.ack = super::Ack::default();
        self.sender = super::Sender { burst: self.config.max_burst, ..super::Sender::default() };
        self.events.restarted();
        self.establish();
        self.replies.cookie_ack = true;
        Ok(())
    }

    fn establish(&mut self) {
        let fresh = !self.is_connected();
        self.state = State::Established;
        self.timers.handshake = None;
        self.timers.heartbeat = self.config.heartbeat.map(|interval| self.now + interval);
        (self.errors, self.stale) = (0, 0);
        self.round_trip.answered();
        self.replies.init = false;
        self.replies.cookie_echo = false;
        self.ack.announced = self.inbound.window();
        if fresh {
            self.events.connected();
        }
        self.drop_streams_out_of_range();
    }

    /// RFC 9260 §5.1.1: what was opened before the peer said how many streams it takes, and lies beyond, is
    /// over before it began.
    fn drop_streams_out_of_range(&mut self) {
        let beyond: Vec<StreamId> =
            self.outbound.ids().filter(|stream| stream.0 >= self.peer.inbound).collect();
        for stream in beyond {
            self.forget(stream);
            self.events.reset(stream, Direction::Incoming);
            self.events.reset(stream, Direction::Outgoing);
        }
    }

    fn set_peer(&mut self, peer: Peer) {
        self.peer = peer;
        self.inbound = Inbound::new(&self.config, peer.first);
        self.resets.set_peer(peer.first);
    }

    fn abilities<'a>(&mut self, init: &Init<'a>) -> Abilities<'a> {
        let mut abilities = Abilities::default();
        for parameter in init.parameters.iter() {
            match parameter {
                Parameter::StateCookie(cookie) => abilities.cookie = Some(cookie),
                Parameter::ForwardTsnSupported => abilities.forward_tsn = true,
                Parameter::SupportedExtensions(chunks) => {
                    abilities.reconfig |= chunks.contains(&RECONFIG);
                    abilities.forward_tsn |= chunks.contains(&FORWARD_TSN);
                }
                Parameter::Unknown { kind, value } => {
                    let known = KNOWN_PARAMETERS.contains(&kind);
                    if known {
                        continue;
                    }
                    self.stats.unknown_chunks = self.stats.unknown_chunks.saturating_add(1);
                    // RFC 9260 §3.2.1: the second bit asks for a report, the first to go on.
                    if kind & 0x4000 != 0 {
                        abilities.unknown.add(kind, value);
                    }
                    if kind & 0x8000 == 0 {
                        break;
                    }
                }
                Parameter::OutgoingReset { .. }
                | Parameter::IncomingReset { .. }
                | Parameter::AssociationReset { .. }
                | Parameter::AddStreams { .. }
                | Parameter::ReconfigResponse { .. } => {}
            }
        }
        abilities
    }
}

const fn peer_of(cookie: &Cookie) -> Peer {
    Peer {
        tag: cookie.peer_tag,
        first: cookie.peer_tsn,
        window: cookie.peer_window,
        inbound: cookie.peer_inbound,
        forward_tsn: cookie.forward_tsn,
        reconfig: cookie.reconfig,
        known: true,
        closed: false,
    }
}

/// The cause by which an INIT or INIT ACK is refused, if a field of it has a value that RFC 9260 §3.3.2
/// forbids.
fn forbidden(init: &Init<'_>) -> Option<u16> {
    if init.tag == 0 || init.outbound == 0 || init.inbound == 0 || init.window < LEAST_WINDOW {
        return Some(CAUSE_INVALID_PARAMETER);
    }
    let named = |parameter| matches!(parameter, Parameter::Unknown { kind: HOST_NAME, .. });
    init.parameters.iter().any(named).then_some(CAUSE_UNRESOLVABLE_ADDRESS)
}

/// RFC 9260 §3.3.2: the least a_rwnd of an INIT or INIT ACK.
pub(crate) const LEAST_WINDOW: u32 = 1500;
/// RFC 9260 §3.3.2.1.4: a deprecated parameter that is refused.
const HOST_NAME: u16 = 11;
/// Parameters that are known and without use here: addresses, cookie preservative, address types,
/// unrecognized parameter, ECN, and those of RFC 4895 and RFC 5061.
const KNOWN_PARAMETERS: [u16; 10] = [5, 6, 8, 9, 12, 0x8000, 0x8002, 0x8003, 0x8004, 0xc006];
const RECONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;
