use proto::{Arrival, Batch, Carrier, Instant, NoSpace, Path, Transmit, Writer};
use stun::wire::{Attribute, Class, Encoder, Message, Method};
use stun::{ChallengeError, LongTerm, Transaction};

use super::event::{CommandError, Discard, Event, Failure};
use super::{Client, Config, State};
use crate::wire::ConnectionId;

/// A connection to the server that goes on in one of a peer's (RFC 6062 §4.3, §4.4), until it does.
///
/// Its owner opens it, cuts what comes into messages ([`frame_len`](crate::wire::frame_len)) and hands them in. After
/// [`DataEvent::Bound`] there are no messages any more: what comes behind the answer is the peer's, and what is sent goes to him.
///
/// ```text
///            ┌──────┐ challenged
///            ▼      │
///  new ──▶ Asking ──┴──────▶ Bound          Failed: refused, or 39.5 s of silence
/// ```
#[derive(Debug)]
pub struct DataConnection {
    config: Config,
    path: Path,
    now: Instant,
    connection: ConnectionId,
    login: LongTerm,
    transaction: Option<Transaction>,
    challenges: u32,
    event: Option<DataEvent>,
    rng: crypto::Rng,
}

/// What became of a [`DataConnection`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DataEvent {
    /// It goes on in the peer's.
    Bound,
    /// It does not; it is of no use any more.
    Failed(Failure),
}

impl Client {
    /// Asks the server to connect to a peer (RFC 6062 §4.3): [`Event::Connected`] or [`Event::NotConnected`] follows.
    ///
    /// # Errors
    ///
    /// The allocation is of datagrams, there is none, or as many are asked for as may be.
    pub fn connect(&mut self, now: Instant, peer: std::net::SocketAddr) -> Result<(), CommandError> {
        let now = self.advance(now);
        self.check_open()?;
        if !self.config.tcp {
            return Err(CommandError::WrongTransport);
        }
        if self.state != State::Allocated {
            return Err(CommandError::NoAllocation);
        }
        let is_connect = |pending: &&super::Pending| matches!(pending.purpose, super::Purpose::Connect(_));
        let under_way = self.pending.iter().filter(is_connect).count();
        if under_way.saturating_add(self.news.len()) >= self.config.max_connections {
            return Err(CommandError::Full);
        }
        self.ask(now, super::Purpose::Connect(peer));
        Ok(())
    }

    /// For a new connection to the server along `path`, over TCP or TLS like the one that this client has: to go on in the
    /// one of [`Event::Connected`] or [`Event::Attempted`], for which there are thirty seconds.
    ///
    /// # Errors
    ///
    /// The client is closed, or the allocation is of datagrams.
    pub fn bind_connection(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        path: Path,
    ) -> Result<DataConnection, CommandError> {
        let now = self.advance(now);
        self.check_open()?;
        if !self.config.tcp || path.carrier == Carrier::Udp {
            return Err(CommandError::WrongTransport);
        }
        let mut rng = crypto::Rng::new(self.rng.array());
        Ok(DataConnection {
            config: self.config.clone(),
            path,
            now,
            connection,
            login: self.login.another(),
            transaction: Some(Transaction::new(now, true, &mut rng)),
            challenges: 0,
            event: None,
            rng,
        })
    }

    /// What the server says of a connection that a peer has opened (RFC 6062 §4.4).
    pub(super) fn handle_attempt(&mut self, now: Instant, message: &Message<'_>) -> Result<(), Discard> {
        let peer = peer_of(message).ok_or(Discard::Incomplete)?;
        let connection = connection_of(message).ok_or(Discard::Incomplete)?;
        let is_permitted =
            self.permissions.iter().any(|permission| permission.key == peer.ip() && permission.is_held(now));
        if !(self.config.tcp && self.state == State::Allocated && is_permitted) {
            return Err(Discard::NoPermission);
        }
        if self.news.len() >= self.config.max_connections {
            return Err(Discard::Full);
        }
        self.news.push_back(Event::Attempted { connection, peer });
        Ok(())
    }
}

impl DataConnection {
    /// Takes a message of the server.
    ///
    /// # Errors
    ///
    /// Why it was ignored; nothing has changed.
    pub fn handle_datagram(&mut self, arrival: Arrival, datagram: &[u8]) -> Result<(), Discard> {
        let now = self.advance(arrival.at);
        if arrival.path != self.path {
            return Err(Discard::WrongPath);
        }
        let message =
            Message::decode_within(datagram, self.config.max_attributes).map_err(|_| Discard::Malformed)?;
        let is_asked = |transaction: &Transaction| {
            transaction.id() == message.transaction() && transaction.attempts() > 0
        };
        if message.method() != Method::CONNECTION_BIND || !self.transaction.as_ref().is_some_and(is_asked) {
            return Err(Discard::UnknownTransaction);
        }
        let code = match message.class() {
            Class::Success => None,
            Class::Error => Some(message.error_code().ok_or(Discard::Incomplete)?.code),
            Class::Request | Class::Indication => return Err(Discard::UnknownTransaction),
        };
        if message.unknown_required().next().is_some() {
            return Err(Discard::Malformed);
        }
        if self.login.key().is_some() && !matches!(code, Some(401 | 438)) {
            self.login.verify(&message).map_err(|_| Discard::Forged)?;
        }
        self.transaction = None;
        match code {
            None => self.event = Some(DataEvent::Bound),
            Some(401 | 438) => self.handle_challenge(now, &message, code == Some(401)),
            Some(code) => self.fail(Failure::Rejected(code)),
        }
        Ok(())
    }

    /// With what the server wants of this connection.
    fn handle_challenge(&mut self, now: Instant, message: &Message<'_>, is_anew: bool) {
        // What the control connection was challenged with may mean nothing here.
        if is_anew && self.challenges == 0 {
            self.login.forget();
        }
        self.challenges = self.challenges.saturating_add(1);
        match self.login.handle_challenge(message) {
            Ok(()) | Err(ChallengeError::SameNonce) if self.challenges <= MAX_CHALLENGES => {
                self.transaction = Some(Transaction::new(now, true, &mut self.rng));
            }
            Ok(()) => self.fail(Failure::Rejected(438)),
            Err(error) => self.fail(Failure::Challenge(error)),
        }
    }

    /// The connection is over before it was bound.
    pub fn connection_lost(&mut self, now: Instant) {
        self.advance(now);
        if self.transaction.take().is_some() {
            self.fail(Failure::Disconnected);
        }
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        if self.transaction.take_if(|transaction| transaction.has_failed(now)).is_some() {
            self.fail(Failure::TimedOut);
        }
    }

    /// Appends the request, if it is due.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.handle_timeout(now);
        let transaction = self.transaction.filter(|transaction| transaction.is_due(self.now))?;
        batch.append(|out| self.write(&transaction, out)).ok()?;
        let schedule = self.config.schedule;
        self.transaction.as_mut()?.sent(self.now, &schedule);
        batch.finish(self.path, None)
    }

    /// When [`handle_timeout`](Self::handle_timeout) or `poll_transmit` has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.transaction.as_ref()?.poll_timeout()
    }

    /// What became of it; once.
    pub const fn poll_event(&mut self) -> Option<DataEvent> {
        self.event.take()
    }

    /// From and to where it is.
    pub const fn path(&self) -> Path {
        self.path
    }

    fn write(&self, transaction: &Transaction, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let mut request = Encoder::new(out, Class::Request, Method::CONNECTION_BIND, transaction.id())?;
        request.attribute(Attribute::ConnectionId(self.connection.number()))?;
        self.login.write(&mut request)?;
        request.finish_without_fingerprint(self.login.key())
    }

    const fn fail(&mut self, failure: Failure) {
        self.event = Some(DataEvent::Failed(failure));
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one attribute among many")]
pub(super) fn connection_of(message: &Message<'_>) -> Option<ConnectionId> {
    message.attributes().find_map(|attribute| match attribute {
        Attribute::ConnectionId(number) => Some(ConnectionId::new(number)),
        _ => None,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one attribute among many")]
fn peer_of(message: &Message<'_>) -> Option<std::net::SocketAddr> {
    message.attributes().find_map(|attribute| match attribute {
        Attribute::XorPeerAddress(peer) => Some(peer),
        _ => None,
    })
}

/// As many as a client's other requests have.
const MAX_CHALLENGES: u32 = 3;
