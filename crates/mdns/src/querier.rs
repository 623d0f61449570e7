use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proto::{Arrival, Batch, Instant, NoSpace, Transmit, Writer};

use crate::link::{Link, Links, PORT};
use crate::wire::{Class, Data, Encoder, Header, Kind, Message, Question, Record, Section};
use crate::{CommandError, Config, Discard, Event, LocalName, Stats};

/// Asks all links for the addresses of `.local` names.
///
/// ```text
///          resolve           an answer of a neighbour
///   (none) ───────▶ Asking ─────────────────────────▶ Known ──┐ resolve, while it holds: told again
///                   │ ▲ ▲ │ max_queries unanswered      │ ▲───┘
///                   └─┘ │ └──────▶ Idle                 │
///        after 1, 2, 4 s│           │ resolve           │ resolve, later
///                       └───────────┴───────────────────┘
/// ```
///
/// Call the inputs (`resolve`, `handle_*`) whenever something happens, then drain the outputs:
/// `poll_transmit` until `None`, `poll_event` until `None`, and sleep until `poll_timeout`.
#[derive(Debug)]
pub struct Querier {
    config: Config,
    links: Links,
    entries: Vec<Entry>,
    last_id: u64,
    now: Instant,
    next: Option<Instant>,
    stats: Stats,
}

/// A name that is or was asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueryId(u64);

impl Querier {
    /// A querier without links, which asks nothing. It draws nothing at random, and so has no seed.
    pub fn new(now: Instant, config: Config) -> Self {
        Self {
            config,
            links: Links::default(),
            entries: Vec::new(),
            last_id: 0,
            now,
            next: None,
            stats: Stats::default(),
        }
    }

    /// Adds a link, in place of one with the same local end.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub fn add_link(&mut self, link: Link) -> Result<(), CommandError> {
        self.links.add(link, self.config.max_links).map(|_| ())
    }

    /// Forgets the link with this local end.
    pub fn remove_link(&mut self, local: SocketAddr) {
        self.links.remove(local);
    }

    /// Asks for the address of `name`, or tells again what is known. Whoever asks for a name that is
    /// being asked for shares the question. One [`Event`] is the answer.
    ///
    /// # Errors
    ///
    /// There is no link, or there are too many names.
    pub fn resolve(&mut self, now: Instant, name: LocalName) -> Result<QueryId, CommandError> {
        let now = self.advance(now);
        if self.links.len() == 0 {
            return Err(CommandError::NoLink);
        }
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name) {
            match entry.state {
                State::Asking(_) => {}
                State::Known { until, .. } if until > now => entry.has_news = true,
                State::Known { .. } | State::Idle => {
                    // A new question for the same name is no reason to ask more often (RFC 6762 §5.2).
                    let due = entry.sent_at.map_or(now, |sent| now.max(sent + interval(&self.config)));
                    entry.state = State::Asking(Asking { sent: 0, due, link: 0 });
                    entry.has_news = false;
                }
            }
            let id = entry.id;
            self.schedule();
            return Ok(id);
        }
        self.make_room(now)?;
        self.last_id = self.last_id.wrapping_add(1);
        let id = QueryId(self.last_id);
        let state = State::Asking(Asking { sent: 0, due: now, link: 0 });
        self.entries.push(Entry { id, name, state, sent_at: None, has_news: false });
        self.schedule();
        Ok(id)
    }

    /// Stops asking, for all who have asked for that name. There is no event.
    pub fn cancel(&mut self, query: QueryId) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == query) {
            entry.has_news = false;
            if matches!(entry.state, State::Asking(_)) {
                entry.state = State::Idle;
            }
        }
        self.schedule();
    }

    /// Takes a datagram that arrived.
    ///
    /// # Errors
    ///
    /// Why it was ignored; but for the count in [`stats`](Self::stats), the state is unchanged.
    pub fn handle_datagram(&mut self, arrival: Arrival, datagram: &[u8]) -> Result<(), Discard> {
        let now = self.advance(arrival.at);
        let message = self.examine(now, &arrival, datagram).inspect_err(|_| {
            self.stats.discarded = self.stats.discarded.wrapping_add(1);
        })?;
        self.stats.received = self.stats.received.wrapping_add(1);
        let Ok((_, link)) = self.links.find(arrival.path) else { return Err(Discard::UnknownLink) };
        for entry in &mut self.entries {
            let Ok(state) = entry.told(now, &message, link, self.config.max_ttl) else { continue };
            entry.has_news |= matches!(entry.state, State::Asking(_));
            entry.state = state;
        }
        self.schedule();
        Ok(())
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        for entry in &mut self.entries {
            if let State::Asking(asking) = entry.state
                && asking.sent >= self.config.max_queries.max(1)
                && asking.due <= now
            {
                entry.state = State::Idle;
                entry.has_news = true;
            }
        }
        self.schedule();
    }

    /// Writes a question that is due to `batch`, straight into the caller's memory: one datagram.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.handle_timeout(now);
        let now = self.now;
        if self.next.is_none_or(|next| next > now) {
            return None;
        }
        let (count, wait) = (self.links.len(), interval(&self.config));
        let mut written = None;
        for entry in &mut self.entries {
            let State::Asking(asking) = &mut entry.state else { continue };
            if asking.due > now {
                continue;
            }
            if let Some(link) = self.links.get(asking.link) {
                let unicast = self.config.asks_unicast && asking.sent == 0;
                batch.append(|out| write_query(out, &entry.name, unicast)).ok()?;
                self.stats.multicast = self.stats.multicast.wrapping_add(1);
                entry.sent_at = Some(now);
                asking.link = asking.link.saturating_add(1);
                written = batch.finish(link.path(), None);
            }
            if asking.link >= count {
                // RFC 6762 §5.2: the second query a second after the first, then twice as long each time.
                asking.due = now + wait.saturating_mul(1 << asking.sent.min(16));
                asking.sent = asking.sent.saturating_add(1);
                asking.link = 0;
            }
            if written.is_some() {
                break;
            }
        }
        self.schedule();
        written
    }

    /// When [`handle_timeout`](Self::handle_timeout) or `poll_transmit` has something to do next.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// The latest news of a question, once.
    pub fn poll_event(&mut self) -> Option<Event> {
        let entry = self.entries.iter_mut().find(|entry| entry.has_news)?;
        entry.has_news = false;
        match entry.state {
            State::Known { address, .. } => Some(Event::Resolved(entry.id, address)),
            State::Asking(_) | State::Idle => Some(Event::Failed(entry.id)),
        }
    }

    /// What was counted.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn examine<'a>(
        &self,
        now: Instant,
        arrival: &Arrival,
        datagram: &'a [u8],
    ) -> Result<Message<'a>, Discard> {
        if datagram.len() > self.config.max_datagram {
            return Err(Discard::TooLong);
        }
        let (_, link) = self.links.find(arrival.path)?;
        // RFC 6762 §6: whoever may not send from this port is no responder.
        if arrival.path.remote.port() != PORT {
            return Err(Discard::WrongPort);
        }
        let message = Message::decode_within(datagram, self.config.max_records)?;
        if !message.header().is_response() {
            return Err(Discard::NotAResponse);
        }
        if !message.header().is_plain() {
            return Err(Discard::NotPlain);
        }
        let mut verdict = Discard::NotAsked;
        for entry in &self.entries {
            match entry.told(now, &message, link, self.config.max_ttl) {
                Ok(_) => return Ok(message),
                Err(Discard::NotAsked) => {}
                Err(discard) => verdict = discard,
            }
        }
        Err(verdict)
    }

    /// Makes room for one more name: what was asked for last, a second ago or more, gives way.
    fn make_room(&mut self, now: Instant) -> Result<(), CommandError> {
        if self.entries.len() < self.config.max_names {
            return Ok(());
        }
        let wait = interval(&self.config);
        let is_spare = |entry: &Entry| {
            !matches!(entry.state, State::Asking(_))
                && !entry.has_news
                && entry.sent_at.is_none_or(|sent| sent + wait <= now)
        };
        let spare = self.entries.iter().enumerate().filter(|(_, entry)| is_spare(entry));
        let oldest = spare.min_by_key(|(_, entry)| entry.sent_at).map(|(place, _)| place);
        self.entries.remove(oldest.ok_or(CommandError::TooManyNames)?);
        Ok(())
    }

    /// Keeps the time of what is due next, after anything has changed.
    fn schedule(&mut self) {
        let dues = self.entries.iter().filter_map(|entry| match entry.state {
            State::Asking(asking) => Some(asking.due),
            State::Known { .. } | State::Idle => None,
        });
        self.next = dues.min();
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }
}

#[derive(Debug)]
struct Entry {
    id: QueryId,
    name: LocalName,
    state: State,
    sent_at: Option<Instant>,
    has_news: bool,
}

impl Entry {
    /// What becomes of it by a message: what was asked for is known, and what is known goes with a goodbye or is replaced
    /// (RFC 6762 §10.1, §10.2).
    fn told(
        &self,
        now: Instant,
        message: &Message<'_>,
        link: &Link,
        max_ttl: Duration,
    ) -> Result<State, Discard> {
        let its = || message.records().filter(|record| record.name == self.name.as_name());
        let known =
            |address, ttl: Duration| State::Known { address, since: now, until: now + ttl.min(max_ttl) };
        let mut verdict = Discard::NotAsked;
        match self.state {
            State::Asking(asking) if asking.sent > 0 || asking.link > 0 => {
                for record in its() {
                    match answer(&record, link) {
                        Ok(Some((address, ttl))) if !ttl.is_zero() => return Ok(known(address, ttl)),
                        Ok(_) => {}
                        Err(discard) => verdict = discard,
                    }
                }
            }
            State::Known { address, since, until } => {
                let told = || its().filter_map(|record| Some((record.flush, answer(&record, link).ok()??)));
                if let Some((_, (_, ttl))) = told().find(|(_, (told, _))| *told == address) {
                    let is_goodbye = ttl.is_zero();
                    let state = State::Known { address, since, until: until.min(now + SECOND) };
                    return if is_goodbye { Ok(state) } else { Err(verdict) };
                }
                // Of a host with several addresses all are told within a second.
                let is_other = |(flush, (told, ttl)): &(bool, (IpAddr, Duration))| {
                    *flush && !ttl.is_zero() && told.is_ipv4() == address.is_ipv4()
                };
                let other = told().find(is_other).filter(|_| since + SECOND <= now);
                return other.map(|(_, (told, ttl))| known(told, ttl)).ok_or(verdict);
            }
            State::Asking(_) | State::Idle => {}
        }
        Err(verdict)
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Asking(Asking),
    Known { address: IpAddr, since: Instant, until: Instant },
    Idle,
}

/// The query that is due next.
#[derive(Clone, Copy, Debug)]
struct Asking {
    /// Queries that went out on all links.
    sent: u32,
    due: Instant,
    /// The link that it goes out on next.
    link: usize,
}

/// The address that a record tells and for how long, if it tells one; for no time at all with a goodbye.
fn answer(record: &Record<'_>, link: &Link) -> Result<Option<(IpAddr, Duration)>, Discard> {
    if record.section == Section::Authority || record.class != Class::IN {
        return Ok(None);
    }
    let address = match record.data {
        Data::A(address) => IpAddr::V4(address),
        Data::Aaaa(address) => IpAddr::V6(address),
        Data::Nsec(_) | Data::Other(_) => return Ok(None),
    };
    if is_usable(address, link) {
        Ok(Some((address, Duration::from_secs(record.ttl.into()))))
    } else {
        Err(Discard::UnusableAddress)
    }
}

/// Whether a peer can have this address: one host's, with no need of a scope, and not our own machine's
/// unless the link is that.
fn is_usable(address: IpAddr, link: &Link) -> bool {
    let odd = match address {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => {
            let mapped = v6.to_ipv4_mapped().is_some();
            v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local() || mapped
        }
    };
    !odd && (!address.is_loopback() || link.has(address))
}

fn write_query(out: &mut Writer<'_>, name: &LocalName, unicast: bool) -> Result<(), NoSpace> {
    let mut query = Encoder::new(out, Header::QUERY)?;
    for kind in [Kind::A, Kind::AAAA] {
        query.question(&Question { name: name.as_name(), kind, class: Class::IN, unicast })?;
    }
    query.finish()
}

/// RFC 6762 §5.2: at least a second.
fn interval(config: &Config) -> Duration {
    config.interval.max(Duration::from_secs(1))
}

/// RFC 6762 §10.1, §10.2.
const SECOND: Duration = Duration::from_secs(1);
