//! The client: one allocation on one server.

mod answer;
mod config;
mod data;
mod event;
mod grant;
mod relay;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crypto::{Rng, derive_seed};
use proto::{Batch, Carrier, Instant, NoSpace, Path, Transmit, Writer};
use stun::wire::{AddressFamily, Attribute, Class, Encoder, Method};
use stun::{ChallengeError, Credentials, LongTerm, Transaction};

use self::grant::{Channel, Grant, Permission, Status, idlest};
use crate::wire::ChannelNumber;

pub use self::config::Config;
pub use self::data::{DataConnection, DataEvent};
pub use self::event::{CommandError, Discard, Event, Failure, SendError, Stats};
pub use self::relay::Received;

/// A relayed address on a TURN server (RFC 8656), kept for as long as it is wanted.
///
/// ```text
///         allocate              answer                 release             answer, or 2 s
///  Idle ───────────▶ Allocating ──────▶ Allocated ───────────▶ Releasing ─────────────────▶ Closed
///                      ▲    │               │                                                 ▲
///                      └────┼───────────────┘ forgotten by the server                         │
///                           └─────────────────────────────────────────────────────────────────┘ refused
/// ```
///
/// Permissions and channels may be asked for at any time, and are asked for again when the allocation had to
/// be made anew.
#[derive(Debug)]
pub struct Client {
    config: Config,
    path: Path,
    now: Instant,
    login: LongTerm,
    /// What was used before [`set_credentials`](Client::set_credentials), for a server that insists on it.
    former: Option<Box<Credentials>>,
    /// The server takes the credentials no more: what was granted is used to its end.
    is_refused: bool,
    state: State,
    allocation: Option<Allocation>,
    /// When the allocation was granted, and how many in a row were lost soon after that.
    allocated: Instant,
    losses: u32,
    /// What the server still had at our address was given back once.
    is_cleared: bool,
    /// With what the allocation goes along (RFC 8016), the server's latest.
    ticket: Option<Box<[u8]>>,
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
    /// The channel number that was taken last: an old one is not to be taken again soon (RFC 8656 §12).
    last_number: Option<ChannelNumber>,
    pending: Vec<Pending>,
    /// When the allocation is refreshed, and when the release is given up.
    refresh: Option<Instant>,
    /// When the allocation ends unless it is refreshed.
    ends: Instant,
    release: Option<Instant>,
    /// When doubts last had the server asked.
    probed: Option<Instant>,
    /// The earliest of all timers.
    timeout: Option<Instant>,
    /// The latest on the allocation, and whether it was lost before.
    event: Option<Event>,
    is_lost: bool,
    /// What is to be said of connections to peers: with those that are asked for as many as may be.
    news: VecDeque<Event>,
    /// An answer came that was not signed well: what to say when no better one comes.
    was_forged: bool,
    stats: Stats,
    rng: Rng,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Idle,
    Allocating,
    Allocated,
    Releasing,
    Closed,
}

/// What the server has granted.
#[derive(Clone, Copy, Debug)]
struct Allocation {
    relayed: SocketAddr,
    additional: Option<SocketAddr>,
    mapped: SocketAddr,
}

/// A request in flight.
#[derive(Debug)]
struct Pending {
    purpose: Purpose,
    transaction: Transaction,
    /// How often the server has challenged it.
    challenges: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    Allocate,
    Refresh,
    /// A refresh from another address, with the ticket.
    Move,
    Release,
    Permit(IpAddr),
    Bind(SocketAddr, ChannelNumber),
    Connect(SocketAddr),
}

impl Client {
    /// A client that asks the server at `path.remote` from `path.local`; over [`Carrier::Stream`] each
    /// datagram is one message of a TCP or TLS connection. Equal seeds and inputs give equal bytes.
    pub fn new(config: Config, credentials: Credentials, path: Path, seed: [u8; 32]) -> Self {
        Self {
            login: LongTerm::new(config.provider, credentials),
            former: None,
            is_refused: false,
            config,
            path,
            now: Instant::default(),
            state: State::Idle,
            allocation: None,
            allocated: Instant::default(),
            losses: 0,
            is_cleared: false,
            ticket: None,
            permissions: Vec::new(),
            channels: Vec::new(),
            last_number: None,
            pending: Vec::new(),
            refresh: None,
            ends: Instant::default(),
            release: None,
            probed: None,
            timeout: None,
            event: None,
            is_lost: false,
            news: VecDeque::new(),
            was_forged: false,
            stats: Stats::default(),
            rng: Rng::new(derive_seed(&seed, "turn client")),
        }
    }

    /// Begins to ask for an allocation, unless there is one or the client is closed.
    pub fn allocate(&mut self, now: Instant) {
        let now = self.advance(now);
        if self.state == State::Idle {
            self.state = State::Allocating;
            self.ask(now, Purpose::Allocate);
        }
    }

    /// Gives the allocation back; it takes no longer than [`Config::release_wait`]. Nothing is relayed from
    /// now on.
    pub fn release(&mut self, now: Instant) {
        let now = self.advance(now);
        if matches!(self.state, State::Releasing | State::Closed) {
            return;
        }
        let may_exist = self.state != State::Idle;
        self.close();
        if may_exist {
            self.state = State::Releasing;
            self.release = Some(now + self.config.release_wait);
            self.ask(now, Purpose::Release);
        } else {
            self.event = Some(Event::Released);
        }
    }

    /// Our address is another one, or the way to the server: what is asked goes along `path` from now on, and comes by
    /// it. The allocation goes along if the server has given a ticket for it (RFC 8016), which [`Event::Moved`] tells;
    /// otherwise it is lost, and another one is asked for.
    ///
    /// # Errors
    ///
    /// The client is closed.
    pub fn move_to(&mut self, now: Instant, path: Path) -> Result<(), CommandError> {
        let now = self.advance(now);
        self.check_open()?;
        if path == self.path {
            return Ok(());
        }
        self.path = path;
        // What was asked from there is answered to there.
        self.pending.clear();
        self.losses = 0;
        match self.state {
            // All else waits: there is no allocation at the new address before this is answered.
            State::Allocated if self.ticket.is_some() => self.ask(now, Purpose::Move),
            State::Allocated => self.lose(now),
            State::Allocating => self.ask(now, Purpose::Allocate),
            State::Idle | State::Releasing | State::Closed => {}
        }
        self.rearm();
        Ok(())
    }

    /// Whether there is an allocation that would [go along](Self::move_to).
    pub const fn is_mobile(&self) -> bool {
        matches!(self.state, State::Allocated) && self.ticket.is_some()
    }

    /// Name and password are these from now on, as where such that end were renewed. The server is asked at once whether
    /// it takes them for what it has granted; one that insists on the former name (RFC 8656 §5) goes on being asked under
    /// that. Nothing is interrupted meanwhile.
    ///
    /// # Errors
    ///
    /// The client is closed.
    pub fn set_credentials(&mut self, now: Instant, credentials: Credentials) -> Result<(), CommandError> {
        let now = self.advance(now);
        self.check_open()?;
        self.former = Some(Box::new(self.login.set_credentials(credentials)));
        self.is_refused = false;
        self.ask_anew(now);
        Ok(())
    }

    /// What is in flight was signed otherwise, and is asked again.
    fn ask_anew(&mut self, now: Instant) {
        let is_moving = self.is_moving();
        let unanswered = std::mem::take(&mut self.pending);
        if is_moving {
            return self.ask(now, Purpose::Move);
        }
        if self.state == State::Allocated {
            self.ask(now, Purpose::Refresh);
            self.ask_for_wanted(now);
        }
        for pending in unanswered {
            self.ask(now, pending.purpose);
        }
        self.rearm();
    }

    /// The TCP or TLS connection to the server is over, and with it the allocation (RFC 8656 §5).
    pub fn connection_lost(&mut self, now: Instant) {
        self.advance(now);
        match self.state {
            State::Closed => {}
            State::Releasing => self.finish_release(),
            State::Idle | State::Allocating | State::Allocated => self.fail(Failure::Disconnected),
        }
    }

    /// There are doubts whether the server still knows of the allocation: it is refreshed now. A server that has begun anew
    /// says that it does not, and another one is asked for. No more than one such request is in flight, and none within
    /// [`Config::probe_interval`] of the last.
    pub fn probe(&mut self, now: Instant) {
        let now = self.advance(now);
        let is_due = self.probed.is_none_or(|last| last + self.config.probe_interval <= now);
        if self.may_ask() && is_due {
            self.probed = Some(now);
            self.ask(now, Purpose::Refresh);
        }
    }

    /// Asks that the peer may send, whatever its port, and goes on asking before the permission ends, or until there are too
    /// many: then that of a peer ends with which nothing was exchanged for the longest time, if that is a minute at least.
    ///
    /// # Errors
    ///
    /// The client is closed, [`Config::max_permissions`] peers of the last minute have one, or there is no relayed address of
    /// the peer's family.
    pub fn permit(&mut self, now: Instant, peer: IpAddr) -> Result<(), CommandError> {
        let now = self.advance(now);
        self.check_open()?;
        if !self.may_have_family(peer) {
            return Err(CommandError::OtherFamily);
        }
        if let Some(permission) = self.permissions.iter_mut().find(|permission| permission.key == peer) {
            permission.used = now;
            // The server was silent; a refusal stands.
            if permission.status != Status::Refused(None) {
                return Ok(());
            }
            permission.status = Status::Wanted;
        } else {
            if self.permissions.len() >= self.config.max_permissions {
                self.give_up_permission(now)?;
            }
            self.permissions.push(Grant::new(peer, now));
        }
        if self.may_ask() {
            self.ask(now, Purpose::Permit(peer));
        }
        Ok(())
    }

    /// Makes room for another permission.
    fn give_up_permission(&mut self, now: Instant) -> Result<(), CommandError> {
        let used = |permission: &Permission| {
            let channels = self.channels.iter().filter(|channel| channel.key.0.ip() == permission.key);
            channels.map(|channel| channel.used).fold(permission.used, Instant::max)
        };
        let permissions = self.permissions.iter().map(|permission| (permission.key, used(permission)));
        let peer = idlest(now, permissions).ok_or(CommandError::Full)?;
        self.permissions.retain(|permission| permission.key != peer);
        self.channels.retain(|channel| channel.key.0.ip() != peer);
        let is_its = |purpose| match purpose {
            Purpose::Permit(of) => of == peer,
            Purpose::Bind(of, _) => of.ip() == peer,
            Purpose::Allocate | Purpose::Refresh | Purpose::Move | Purpose::Release | Purpose::Connect(_) => {
                false
            }
        };
        self.pending.retain(|pending| !is_its(pending.purpose));
        Ok(())
    }

    /// Asks for a channel to the peer, and a permission with it. Until it is bound data go in indications. Where there are too
    /// many, one makes room as with [permissions](Self::permit).
    ///
    /// # Errors
    ///
    /// The client is closed, [`Config::max_channels`] peers of the last minute have one, the allocation is of connections, or there is no
    /// relayed address of the peer's family.
    pub fn bind_channel(&mut self, now: Instant, peer: SocketAddr) -> Result<(), CommandError> {
        let now = self.advance(now);
        self.check_open()?;
        if self.config.tcp {
            return Err(CommandError::WrongTransport);
        }
        if self.channels.iter().any(|channel| channel.key.0 == peer) {
            return Ok(());
        }
        let is_full = self.channels.len() >= self.config.max_channels;
        let channels = self.channels.iter().filter(|_| is_full).map(|channel| (channel.key, channel.used));
        let idlest = idlest(now, channels);
        if is_full && idlest.is_none() {
            return Err(CommandError::Full);
        }
        self.permit(now, peer.ip())?;
        self.channels.retain(|channel| Some(channel.key) != idlest);
        let number = self.next_number().ok_or(CommandError::Full)?;
        self.last_number = Some(number);
        self.channels.push(Grant::new((peer, number), now));
        if self.may_ask() {
            self.ask(now, Purpose::Bind(peer, number));
        }
        Ok(())
    }

    /// The one behind the last, and behind the highest the first: as many as there are take longer than the server keeps one
    /// from another peer.
    fn next_number(&self) -> Option<ChannelNumber> {
        let after = |last: Option<ChannelNumber>| {
            Some(last.and_then(ChannelNumber::next).unwrap_or(ChannelNumber::FIRST))
        };
        let is_free = |number: &ChannelNumber| self.channels.iter().all(|channel| channel.key.1 != *number);
        let numbers = std::iter::successors(after(self.last_number), |number| after(Some(*number)));
        numbers.take(self.channels.len().saturating_add(1)).find(is_free)
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        if self.timeout.is_none_or(|due| due > now) {
            return;
        }
        if self.release.is_some_and(|due| due <= now) {
            self.finish_release();
        }
        while let Some(place) = self.pending.iter().position(|pending| pending.transaction.has_failed(now)) {
            let purpose = self.pending.swap_remove(place).purpose;
            self.handle_silence(now, purpose);
        }
        if self.is_refused {
            if self.ends <= now {
                self.fail(Failure::Challenge(ChallengeError::Refused));
            }
            return self.rearm();
        }
        if self.is_moving() {
            return self.rearm();
        }
        if self.refresh.take_if(|due| *due <= now).is_some() {
            self.ask(now, Purpose::Refresh);
        }
        let is_due = |renewal: Option<Instant>| renewal.is_some_and(|due| due <= now);
        let permissions = self.permissions.iter().filter(|permission| is_due(permission.renewal()));
        let permits = permissions.map(|permission| Purpose::Permit(permission.key));
        let channels = self.channels.iter().filter(|channel| is_due(channel.renewal()));
        let due: Vec<Purpose> =
            permits.chain(channels.map(|channel| Purpose::Bind(channel.key.0, channel.key.1))).collect();
        for purpose in due {
            self.ask(now, purpose);
        }
        self.rearm();
    }

    /// Appends the request that is due to `batch`.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.handle_timeout(now);
        let now = self.now;
        let place = self.pending.iter().position(|pending| pending.transaction.is_due(now))?;
        let pending = self.pending.get(place)?;
        batch.append(|out| self.write(pending, out)).ok()?;
        let schedule = self.config.schedule;
        self.pending.get_mut(place)?.transaction.sent(now, &schedule);
        self.stats.requests = self.stats.requests.wrapping_add(1);
        self.rearm();
        batch.finish(self.path, None)
    }

    /// When [`handle_timeout`](Self::handle_timeout) or `poll_transmit` has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// The latest news: of the allocation, then of peers.
    pub fn poll_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.is_lost) {
            return Some(Event::Lost);
        }
        if let Some(event) = self.event.take() {
            return Some(event);
        }
        if let Some(news) = self.news.pop_front() {
            return Some(news);
        }
        for permission in self.permissions.iter_mut().filter(|permission| permission.is_news) {
            permission.is_news = false;
            match permission.status {
                Status::Held { .. } => return Some(Event::Permitted(permission.key)),
                Status::Refused(code) => return Some(Event::Refused(permission.key, code)),
                Status::Postponed(_) => return Some(Event::Refused(permission.key, Some(NO_ROOM))),
                Status::Wanted => {}
            }
        }
        for channel in self.channels.iter_mut().filter(|channel| channel.is_news) {
            channel.is_news = false;
            match channel.status {
                Status::Held { .. } => return Some(Event::ChannelBound(channel.key.0)),
                Status::Refused(code) => return Some(Event::ChannelRefused(channel.key.0, code)),
                Status::Postponed(_) => return Some(Event::ChannelRefused(channel.key.0, Some(NO_ROOM))),
                Status::Wanted => {}
            }
        }
        None
    }

    /// From and to where it asks.
    pub const fn path(&self) -> Path {
        self.path
    }

    /// The addresses that peers send to, while there is an allocation.
    pub fn relayed(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let allocation = self.allocation.filter(|_| self.state == State::Allocated);
        let both = allocation.map(|allocation| [Some(allocation.relayed), allocation.additional]);
        both.into_iter().flatten().flatten()
    }

    /// What was counted.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// Whether a relayed address is of the peer's family, or may become so (RFC 8656 §10.1, §12.1).
    fn may_have_family(&self, peer: IpAddr) -> bool {
        if self.state == State::Allocated {
            return self.relayed().any(|relayed| relayed.is_ipv4() == peer.is_ipv4());
        }
        let is_wanted = (self.config.family == AddressFamily::V4) == peer.is_ipv4();
        is_wanted || (self.config.additional && peer.is_ipv6())
    }

    fn check_open(&self) -> Result<(), CommandError> {
        if matches!(self.state, State::Releasing | State::Closed) {
            Err(CommandError::Closed)
        } else {
            Ok(())
        }
    }

    /// Puts a request into flight, unless the same one is.
    fn ask(&mut self, now: Instant, purpose: Purpose) {
        if !self.pending.iter().any(|pending| pending.purpose == purpose) {
            self.ask_again(now, purpose, 0);
        }
        self.rearm();
    }

    fn ask_again(&mut self, now: Instant, purpose: Purpose, challenges: u32) {
        let reliable = self.path.carrier != Carrier::Udp;
        let transaction = Transaction::new(now, reliable, &mut self.rng);
        self.pending.push(Pending { purpose, transaction, challenges });
        self.rearm();
    }

    /// Asks for what goes with an allocation and is not there.
    fn ask_for_wanted(&mut self, now: Instant) {
        let permissions = self.permissions.iter().filter(|permission| permission.status == Status::Wanted);
        let permits = permissions.map(|permission| Purpose::Permit(permission.key));
        let channels = self.channels.iter().filter(|channel| channel.status == Status::Wanted);
        let binds = channels.map(|channel| Purpose::Bind(channel.key.0, channel.key.1));
        let all: Vec<Purpose> = permits.chain(binds).collect();
        for purpose in all {
            self.ask(now, purpose);
        }
    }

    /// Whether the server can be asked for what goes with an allocation.
    fn may_ask(&self) -> bool {
        self.state == State::Allocated && !self.is_refused && !self.is_moving()
    }

    fn is_moving(&self) -> bool {
        self.pending.iter().any(|pending| pending.purpose == Purpose::Move)
    }

    fn write(&self, pending: &Pending, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let method = match pending.purpose {
            Purpose::Allocate => Method::ALLOCATE,
            Purpose::Refresh | Purpose::Move | Purpose::Release => Method::REFRESH,
            Purpose::Permit(_) => Method::CREATE_PERMISSION,
            Purpose::Bind(..) => Method::CHANNEL_BIND,
            Purpose::Connect(_) => Method::CONNECT,
        };
        let mut request = Encoder::new(out, Class::Request, method, pending.transaction.id())?;
        let seconds = |lifetime: Duration| u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        match pending.purpose {
            Purpose::Allocate => {
                request.attribute(Attribute::RequestedTransport(if self.config.tcp { TCP } else { UDP }))?;
                if self.config.additional {
                    request.attribute(Attribute::AdditionalAddressFamily(AddressFamily::V6))?;
                } else if self.config.family != AddressFamily::V4 {
                    // RFC 8656 §7.1: not said for IPv4, so that older servers understand.
                    request.attribute(Attribute::RequestedAddressFamily(self.config.family))?;
                }
                if let Some(lifetime) = self.config.lifetime {
                    request.attribute(Attribute::Lifetime(seconds(lifetime)))?;
                }
                if self.config.mobility {
                    request.attribute(Attribute::MobilityTicket(&[]))?;
                }
            }
            Purpose::Refresh | Purpose::Move => {
                if let Some(lifetime) = self.config.lifetime {
                    request.attribute(Attribute::Lifetime(seconds(lifetime)))?;
                }
                if let Some(ticket) = self.ticket.as_ref().filter(|_| pending.purpose == Purpose::Move) {
                    request.attribute(Attribute::MobilityTicket(ticket))?;
                }
            }
            Purpose::Release => request.attribute(Attribute::Lifetime(0))?,
            Purpose::Permit(peer) => {
                // The port says nothing here (RFC 8656 §10.1).
                request.attribute(Attribute::XorPeerAddress(SocketAddr::new(peer, 0)))?;
            }
            Purpose::Bind(peer, number) => {
                request.attribute(Attribute::ChannelNumber(number.number()))?;
                request.attribute(Attribute::XorPeerAddress(peer))?;
            }
            Purpose::Connect(peer) => request.attribute(Attribute::XorPeerAddress(peer))?,
        }
        self.login.write(&mut request)?;
        request.finish_without_fingerprint(self.login.key())
    }

    /// Nothing is asked or relayed any more.
    fn close(&mut self) {
        self.state = State::Closed;
        self.is_refused = false;
        self.allocation = None;
        self.event = None;
        self.is_lost = false;
        self.news.clear();
        self.pending.clear();
        self.permissions.clear();
        self.channels.clear();
        (self.refresh, self.release) = (None, None);
        self.rearm();
    }

    fn fail(&mut self, failure: Failure) {
        self.close();
        self.event = Some(Event::Failed(failure));
    }

    fn finish_release(&mut self) {
        self.close();
        self.event = Some(Event::Released);
    }

    fn rearm(&mut self) {
        let pending = self.pending.iter().filter_map(|pending| pending.transaction.poll_timeout());
        if self.is_moving() {
            self.timeout = pending.chain(self.release).min();
            return;
        }
        let in_flight = |purpose| self.pending.iter().any(|pending| pending.purpose == purpose);
        let permissions =
            self.permissions.iter().filter(|permission| !in_flight(Purpose::Permit(permission.key)));
        let channels =
            self.channels.iter().filter(|channel| !in_flight(Purpose::Bind(channel.key.0, channel.key.1)));
        let renewals = permissions.filter_map(Grant::renewal).chain(channels.filter_map(Grant::renewal));
        if self.is_refused {
            self.timeout = [Some(self.ends), self.release].into_iter().flatten().chain(pending).min();
            return;
        }
        self.timeout = pending.chain(renewals).chain(self.refresh).chain(self.release).min();
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }
}

/// RFC 8656 §19.
const NO_ROOM: u16 = 508;
/// The protocol numbers of RFC 8656 and RFC 6062.
const UDP: u8 = 17;
const TCP: u8 = 6;
