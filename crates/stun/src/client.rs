use std::net::SocketAddr;
use std::time::Duration;

use crypto::Rng;
use proto::{Arrival, Batch, Carrier, Instant, Path, Transmit};

use crate::transaction::{MIN_WAIT, Transaction};
use crate::wire::{Class, Encoder, Message, Method};
use crate::{Config, Discard, Event, Failure, Stats};

/// Learns the address a server sees us at, and checks it again every [`Config::refresh`].
///
/// ```text
///            start                    response
///   Stopped ───────▶ Asking ────────────────────────▶ Known
///      ▲               │ ▲ ▲                            │
///      │ Rc unanswered │ │ │ retransmit                 │ refresh
///      └───────────────┘ └─┘                            │
///                      ▲                                │
///                      └────────────────────────────────┘
/// ```
///
/// Call the inputs (`start`, `handle_*`) whenever something happens, then drain the outputs:
/// `poll_transmit` until `None`, `poll_event` until `None`, and sleep until `poll_timeout`.
#[derive(Debug)]
pub struct Client {
    config: Config,
    path: Path,
    now: Instant,
    state: State,
    mapped: Option<SocketAddr>,
    round_trip: Option<Duration>,
    /// When the address is asked for again, while it is known.
    refresh: Option<Instant>,
    event: Option<Event>,
    stats: Stats,
    rng: Rng,
}

impl Client {
    /// A stopped client that asks the server at `path.remote` from `path.local`. Equal seeds and equal
    /// inputs give equal bytes.
    pub fn new(config: Config, path: Path, seed: [u8; 32]) -> Self {
        Self {
            config,
            path,
            now: Instant::default(),
            state: State::Stopped,
            mapped: None,
            round_trip: None,
            refresh: None,
            event: None,
            stats: Stats::default(),
            rng: Rng::new(seed),
        }
    }

    /// Begins asking at `now`; a request already in flight is abandoned.
    pub fn start(&mut self, now: Instant) {
        let now = self.advance(now);
        self.refresh = None;
        let reliable = self.path.carrier != Carrier::Udp;
        self.state = State::Asking(Transaction::new(now, reliable, &mut self.rng));
    }

    /// Stops asking and forgets the address. Reports nothing.
    pub fn stop(&mut self) {
        self.state = State::Stopped;
        self.mapped = None;
        self.refresh = None;
        self.event = None;
    }

    /// Takes a datagram that arrived.
    ///
    /// # Errors
    ///
    /// Why it was ignored; but for the count in [`stats`](Self::stats), the state is unchanged.
    pub fn handle_datagram(&mut self, arrival: Arrival, datagram: &[u8]) -> Result<(), Discard> {
        let now = self.advance(arrival.at);
        let answer = self.examine(arrival.path, datagram).inspect_err(|_| {
            self.stats.discarded = self.stats.discarded.wrapping_add(1);
        })?;
        self.stats.received = self.stats.received.wrapping_add(1);
        match answer {
            Answer::Mapped(address) => self.become_known(now, address),
            Answer::Rejected(code) => self.fail(Failure::Rejected(code)),
        }
        Ok(())
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        if matches!(&self.state, State::Asking(request) if request.has_failed(now)) {
            self.fail(Failure::TimedOut);
        }
        if self.refresh.take_if(|due| *due <= now).is_some() {
            self.start(now);
        }
    }

    /// Appends the request that is due to `batch`, straight into the caller's memory.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.handle_timeout(now);
        let now = self.now;
        let State::Asking(request) = &mut self.state else { return None };
        if !request.is_due(now) {
            return None;
        }
        let id = request.id();
        batch.append(|out| Encoder::new(out, Class::Request, Method::BINDING, id)?.finish(None)).ok()?;
        request.sent(now, &self.config.schedule);
        self.stats.sent = self.stats.sent.wrapping_add(1);
        batch.finish(self.path, None)
    }

    /// When [`handle_timeout`](Self::handle_timeout) or `poll_transmit` has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Asking(request) => request.poll_timeout(),
            State::Known | State::Stopped => self.refresh,
        }
    }

    /// The latest news, once.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// From and to where it asks.
    pub const fn path(&self) -> Path {
        self.path
    }

    /// The address that the server last saw us at, unless the client has failed since.
    pub const fn mapped(&self) -> Option<SocketAddr> {
        self.mapped
    }

    /// Time from request to response, last measured on a request that was sent once.
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What was counted.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// Whether `datagram` looks like the answer to the request in flight.
    pub fn accepts(&self, path: Path, datagram: &[u8]) -> bool {
        let State::Asking(request) = &self.state else { return false };
        path == self.path && datagram.get(8..20) == Some(&request.id().0)
    }

    fn examine(&self, path: Path, datagram: &[u8]) -> Result<Answer, Discard> {
        if path != self.path {
            return Err(Discard::WrongPath);
        }
        let message = Message::decode_within(datagram, self.config.max_attributes)?;
        let State::Asking(request) = &self.state else { return Err(Discard::UnknownTransaction) };
        let ours = request.id() == message.transaction() && request.attempts() > 0;
        if !ours || message.method() != Method::BINDING {
            return Err(Discard::UnknownTransaction);
        }
        if let Some(kind) = message.unknown_required().next() {
            return Err(Discard::UnknownAttribute(kind));
        }
        match message.class() {
            Class::Request | Class::Indication => Err(Discard::UnknownTransaction),
            Class::Success => message.mapped_address().map(Answer::Mapped).ok_or(Discard::Incomplete),
            Class::Error => {
                let error = message.error_code().ok_or(Discard::Incomplete)?;
                Ok(Answer::Rejected(error.code))
            }
        }
    }

    fn become_known(&mut self, now: Instant, address: SocketAddr) {
        if let State::Asking(request) = &self.state {
            self.round_trip = request.round_trip(now).or(self.round_trip);
        }
        self.state = State::Known;
        self.refresh = Some(now + self.config.refresh.max(MIN_WAIT));
        if self.mapped.replace(address) != Some(address) {
            self.event = Some(Event::Mapped(address));
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.stop();
        self.event = Some(Event::Failed(failure));
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }
}

#[derive(Debug)]
enum State {
    Stopped,
    Asking(Transaction),
    Known,
}

enum Answer {
    Mapped(SocketAddr),
    Rejected(u16),
}
