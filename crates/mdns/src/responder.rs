use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crypto::Rng;
use proto::{Arrival, Batch, Instant, Path, Transmit};

use crate::link::{Link, Links, PORT};
use crate::reply::{self, Asked, Form, Reply};
use crate::wire::{Class, Data, Kind, Message, Question, Section};
use crate::{CommandError, Config, Discard, LocalName, Stats};

/// Makes random names for addresses, and answers for them on the links that have the address.
///
/// ```text
///          announce             told unasked, then asked again and again           withdraw
///   (none) ───────▶ Announced ───────────────────────────────────────▶ Announced ──────────▶ Leaving
///                                 to all: once a second at most                         goodbye to the links
///                                 to one: unicast_rate a second                         that were told, gone
/// ```
///
/// Call the inputs (`announce`, `handle_*`) whenever something happens, then drain `poll_transmit` until
/// `None`, and sleep until `poll_timeout`. There are no events: nothing happens that its owner has not
/// brought about.
#[derive(Debug)]
pub struct Responder {
    config: Config,
    links: Links,
    names: Vec<Announced>,
    replies: VecDeque<Reply>,
    rate: Rate,
    rng: Rng,
    now: Instant,
    next: Option<Instant>,
    stats: Stats,
}

impl Responder {
    /// A responder without links and names. Equal seeds and equal inputs give equal names and bytes.
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            links: Links::default(),
            names: Vec::new(),
            replies: VecDeque::new(),
            rate: Rate { since: now, count: 0 },
            rng: Rng::new(seed),
            now,
            next: None,
            stats: Stats::default(),
        }
    }

    /// Adds a link, in place of one with the same local end. Names that have an address there are answered
    /// for, and were not announced there.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub fn add_link(&mut self, link: Link) -> Result<(), CommandError> {
        if self.links.add(link, self.config.max_links)? {
            self.names.iter_mut().for_each(|name| name.slots.push(Slot::default()));
        }
        Ok(())
    }

    /// Forgets the link with this local end.
    pub fn remove_link(&mut self, local: SocketAddr) {
        if let Some(place) = self.links.remove(local) {
            for name in self.names.iter_mut().filter(|name| place < name.slots.len()) {
                name.slots.remove(place);
            }
            self.replies.retain(|reply| reply.path.local != local);
            self.settle();
        }
    }

    /// Makes a name for `address`, which holds until it is withdrawn. Each call makes another, so that
    /// names of different sessions say nothing of each other.
    ///
    /// # Errors
    ///
    /// No link has that address, or there are too many names.
    pub fn announce(&mut self, now: Instant, address: IpAddr) -> Result<LocalName, CommandError> {
        let now = self.advance(now);
        if !self.links.iter().any(|link| link.has(address)) {
            return Err(CommandError::NotOnALink);
        }
        let leaving = self.names.iter().filter(|name| name.is_leaving).count();
        if self.names.len().saturating_sub(leaving) >= self.config.max_names {
            return Err(CommandError::TooManyNames);
        }
        // No more goodbyes wait than twice as many.
        if leaving > self.config.max_names {
            let first = self.names.iter().position(|name| name.is_leaving);
            first.into_iter().for_each(|place| drop(self.names.remove(place)));
        }
        let name = LocalName::random(&mut self.rng);
        let announcements = self.config.announcements;
        let slots = self.links.iter().map(|link| {
            if announcements > 0 && link.has(address) {
                Slot { asked: Asked::ADDRESS, due: Some(now), last: None, announcements }
            } else {
                Slot::default()
            }
        });
        let slots = slots.collect();
        self.names.push(Announced { name, address, slots, is_leaving: false });
        self.settle();
        Ok(name)
    }

    /// Stops answering for `name`, and says so to the links that were told of it (RFC 6762 §10.1).
    pub fn withdraw(&mut self, now: Instant, name: &LocalName) {
        let now = self.advance(now);
        if let Some(announced) = self.names.iter_mut().find(|announced| announced.name == *name) {
            announced.leave(now);
        }
        self.settle();
    }

    /// Withdraws all names.
    pub fn close(&mut self, now: Instant) {
        let now = self.advance(now);
        self.names.iter_mut().for_each(|announced| announced.leave(now));
        self.settle();
    }

    /// Takes a datagram that arrived.
    ///
    /// # Errors
    ///
    /// Why it was ignored; but for the count in [`stats`](Self::stats), the state is unchanged.
    pub fn handle_datagram(&mut self, arrival: Arrival, datagram: &[u8]) -> Result<(), Discard> {
        let now = self.advance(arrival.at);
        let taken = self.take(now, arrival.path, datagram);
        let count = if taken.is_ok() { &mut self.stats.received } else { &mut self.stats.discarded };
        *count = count.wrapping_add(1);
        if taken.is_ok() {
            self.settle();
        }
        taken
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// Writes an answer that is due to `batch`, straight into the caller's memory: one datagram.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        let now = self.advance(now);
        if self.next.is_none_or(|next| next > now) {
            return None;
        }
        let ttl = seconds(self.config.ttl);
        while let Some(reply) = self.replies.front().copied() {
            let known = self.names.iter().find(|known| known.name == reply.name && !known.is_leaving);
            if let Some(known) = known {
                let Reply { name, asked, form, .. } = reply;
                batch.append(|out| reply::write(out, &name, known.address, asked, form, ttl)).ok()?;
                self.stats.unicast = self.stats.unicast.wrapping_add(1);
            }
            self.replies.pop_front();
            if let Some(transmit) = batch.finish(reply.path, None) {
                self.settle();
                return Some(transmit);
            }
        }
        let mut written = None;
        'names: for announced in &mut self.names {
            let Announced { name, address, slots, is_leaving } = announced;
            let ttl = if *is_leaving { 0 } else { ttl };
            for (slot, link) in slots.iter_mut().zip(self.links.iter()) {
                if slot.due.is_none_or(|due| due > now) {
                    continue;
                }
                let asked = slot.asked;
                batch.append(|out| reply::write(out, name, *address, asked, Form::Multicast, ttl)).ok()?;
                self.stats.multicast = self.stats.multicast.wrapping_add(1);
                slot.sent(now);
                written = batch.finish(link.path(), None);
                break 'names;
            }
        }
        self.settle();
        written
    }

    /// When `poll_transmit` has something to do next.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Whether no names are left, and all links know it.
    pub const fn is_idle(&self) -> bool {
        self.names.is_empty()
    }

    /// What was counted.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn take(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Discard> {
        if datagram.len() > self.config.max_datagram {
            return Err(Discard::TooLong);
        }
        let (place, link) = self.links.find(path)?;
        let message = Message::decode_within(datagram, self.config.max_records)?;
        if message.header().is_response() {
            return Err(Discard::NotAQuery);
        }
        if !message.header().is_plain() {
            return Err(Discard::NotPlain);
        }
        let mut outcome = Err(Discard::NotOurs);
        let half = seconds(self.config.ttl).div_ceil(2);
        let recent = self.config.ttl / 4;
        for announced in self.names.iter_mut().filter(|announced| !announced.is_leaving) {
            if !link.has(announced.address) {
                continue;
            }
            let is_known = knows(&message, announced, half);
            let Some(slot) = announced.slots.get_mut(place) else { continue };
            let of_ours = |question: &Question<'_>| {
                matches!(question.class, Class::IN | Class::ANY) && question.name == announced.name.as_name()
            };
            for question in message.questions().filter(of_ours) {
                let mut asked = asked(&question, announced.address);
                asked.address &= !is_known;
                if asked.is_empty() {
                    outcome = outcome.or(Err(Discard::AlreadyKnown));
                    continue;
                }
                // RFC 6762 §5.4: an asker gets its own answer only when all have been told lately.
                let was_told = slot.last.is_some_and(|last| now - last < recent);
                let id = message.header().id;
                let form = if path.remote.port() != PORT {
                    Form::Plain { id, kind: question.kind, class: question.class }
                } else if question.unicast && was_told {
                    Form::Unicast { id }
                } else {
                    slot.ask(now, asked);
                    outcome = Ok(());
                    continue;
                };
                let reply = Reply { path, name: announced.name, asked, form };
                if add(&mut self.replies, reply, &mut self.rate, now, &self.config) {
                    outcome = Ok(());
                } else {
                    outcome = outcome.or(Err(Discard::TooManyReplies));
                }
            }
        }
        outcome
    }

    /// Forgets names that have left, and keeps the time of what is due next.
    fn settle(&mut self) {
        self.names.retain(|name| !name.is_leaving || name.slots.iter().any(|slot| slot.due.is_some()));
        let dues = self.names.iter().flat_map(|name| &name.slots).filter_map(|slot| slot.due);
        let waiting = self.replies.front().map(|_| self.now);
        self.next = dues.chain(waiting).min();
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }
}

/// A name of ours.
#[derive(Debug)]
struct Announced {
    name: LocalName,
    address: IpAddr,
    /// One for each link.
    slots: Vec<Slot>,
    is_leaving: bool,
}

impl Announced {
    fn leave(&mut self, now: Instant) {
        self.is_leaving = true;
        for slot in &mut self.slots {
            let was_told = slot.last.is_some();
            *slot = Slot { last: slot.last, ..Slot::default() };
            if was_told {
                slot.ask(now, Asked::ADDRESS);
            }
        }
    }
}

/// What is to be told of a name on a link.
#[derive(Debug, Default)]
struct Slot {
    asked: Asked,
    due: Option<Instant>,
    last: Option<Instant>,
    announcements: u32,
}

impl Slot {
    fn ask(&mut self, now: Instant, asked: Asked) {
        self.asked = self.asked.and(asked);
        // RFC 6762 §6: no record is multicast twice on a link within a second.
        let earliest = self.last.map_or(now, |last| now.max(last + SECOND));
        self.due = Some(self.due.map_or(earliest, |due| due.min(earliest)));
    }

    fn sent(&mut self, now: Instant) {
        let announcements = self.announcements.saturating_sub(1);
        *self = Self { last: Some(now), announcements, ..Self::default() };
        if announcements > 0 {
            self.ask(now, Asked::ADDRESS);
        }
    }
}

/// Answers by unicast within a second.
#[derive(Debug)]
struct Rate {
    since: Instant,
    count: u32,
}

/// What a question about one of our names asks for. Of other types than the one that it has there is
/// nothing, and that is an answer (RFC 6762 §6.1).
fn asked(question: &Question<'_>, address: IpAddr) -> Asked {
    let has = if address.is_ipv4() { Kind::A } else { Kind::AAAA };
    let address = question.kind == has || question.kind == Kind::ANY;
    Asked { address, denial: !address }
}

/// Whether the asker knows the address, for at least half of the time that it holds (RFC 6762 §7.1).
fn knows(message: &Message<'_>, announced: &Announced, half: u32) -> bool {
    message.records().any(|record| {
        let address = match record.data {
            Data::A(address) => IpAddr::V4(address),
            Data::Aaaa(address) => IpAddr::V6(address),
            Data::Nsec(_) | Data::Other(_) => return false,
        };
        record.section == Section::Answer
            && address == announced.address
            && record.class == Class::IN
            && record.ttl >= half
            && record.name == announced.name.as_name()
    })
}

/// Queues an answer to one asker, if there is room and it is not one too many this second.
fn add(replies: &mut VecDeque<Reply>, reply: Reply, rate: &mut Rate, now: Instant, config: &Config) -> bool {
    let is_over = now - rate.since >= SECOND;
    let (since, count) = if is_over { (now, 0) } else { (rate.since, rate.count) };
    if replies.len() >= config.max_replies || count >= config.unicast_rate {
        return false;
    }
    *rate = Rate { since, count: count.saturating_add(1) };
    replies.push_back(reply);
    true
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1)
}

const SECOND: Duration = Duration::from_secs(1);
