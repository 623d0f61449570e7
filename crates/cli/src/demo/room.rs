//! Rooms: everybody's audio and video go to everybody else, as packets.

mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerline::{Direction, MediaKind, PeerConnection, StatsReport, TransceiverInit};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use source::{Sink, Source};

/// The rooms that somebody is in.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    table: Arc<Mutex<BTreeMap<String, Vec<Arc<Member>>>>>,
}

/// Somebody who is in a room.
#[derive(Debug)]
struct Member {
    id: String,
    name: String,
    connection: PeerConnection,
    sources: Vec<Arc<Source>>,
    /// The most that it wants to receive of all videos, in bit/s.
    limit: Mutex<Option<u64>>,
}

/// A place in a room; dropped, it is free again and the others receive nothing of it any more.
#[derive(Debug)]
pub(crate) struct Seat {
    table: Arc<Mutex<BTreeMap<String, Vec<Arc<Member>>>>>,
    room: String,
    member: Arc<Member>,
}

impl Rooms {
    /// Lets somebody in, whose offer was set: what it sends goes to those who are there, and what they send comes to it, which
    /// offers of ours tell them.
    pub(crate) fn join(
        &self,
        room: &str,
        name: &str,
        id: &str,
        connection: &PeerConnection,
    ) -> Result<Seat, Refused> {
        let (room, name) = (named(room)?, named(name)?);
        let mut sources: Vec<Arc<Source>> = Vec::new();
        for transceiver in connection.transceivers() {
            // One microphone and one camera of each.
            let is_first = sources.iter().all(|source| source.kind() != transceiver.kind());
            if is_first {
                sources.push(Arc::new(Source::new(transceiver)));
            } else {
                transceiver
                    .set_direction(Direction::Inactive)
                    .map_err(|error| Refused::Media(error.to_string()))?;
            }
        }
        let limit = Mutex::default();
        let member =
            Arc::new(Member { id: id.to_owned(), name, connection: connection.clone(), sources, limit });
        let mut table = lock(&self.table);
        if !table.contains_key(&room) && table.len() >= MAX_ROOMS {
            return Err(Refused::TooManyRooms);
        }
        let members = table.entry(room.clone()).or_default();
        if members.len() >= MAX_MEMBERS {
            return Err(Refused::Full);
        }
        let seat = Seat { table: self.table.clone(), room, member: member.clone() };
        let others = members.clone();
        members.push(member.clone());
        let joined = others.iter().try_for_each(|other| {
            member.show(other)?;
            other.show(&member)
        });
        drop(table);
        // A seat that is dropped takes back what was joined.
        joined.map_err(|error| Refused::Media(error.to_string()))?;
        Ok(seat)
    }
}

impl Member {
    /// Sends what another one has to this one.
    fn show(&self, other: &Self) -> Result<(), peerline::Error> {
        for source in &other.sources {
            let mut init = TransceiverInit::default();
            init.direction = Direction::SendOnly;
            // The page knows by that whose it is.
            init.streams = vec![other.id.clone()];
            let screen = self.connection.add_transceiver(source.kind(), init)?;
            source.add(Sink::new(self.id.clone(), screen));
        }
        Ok(())
    }
}

impl Seat {
    /// Forwards until the tasks are ended.
    pub(crate) fn run(&self, tasks: &mut JoinSet<()>) {
        for source in &self.member.sources {
            tasks.spawn(source.clone().run());
        }
    }

    /// The room's name.
    pub(crate) fn room(&self) -> &str {
        &self.room
    }

    /// Of all videos together no more than this is wanted, in bit/s.
    pub(crate) fn limit(&self, bitrate: Option<u64>) {
        *lock(&self.member.limit) = bitrate;
        self.share();
    }

    /// What the page is told now and then: who is there, and what of whom it gets. Follows changes of those, too.
    pub(crate) fn news(&self, stats: StatsReport) -> Value {
        self.share();
        let members = self.members();
        let own = &self.member;
        let others: Vec<Value> = members
            .iter()
            .filter(|other| other.id != own.id)
            .map(|other| {
                let video = other.sources.iter().find(|source| source.kind() == MediaKind::Video);
                let shown = video.and_then(|video| video.news(&own.id));
                json!({ "id": other.id, "name": other.name, "video": shown })
            })
            .collect();
        let estimate = own.connection.rtp_stats().and_then(|(_, target)| target);
        json!({ "room": { "name": self.room, "you": own.name, "members": others, "estimate": estimate }, "stats": stats })
    }

    fn members(&self) -> Vec<Arc<Member>> {
        lock(&self.table).get(&self.room).cloned().unwrap_or_default()
    }

    /// Divides what is wanted at most among the videos.
    fn share(&self) {
        let members = self.members();
        let others = members.iter().filter(|other| other.id != self.member.id);
        let videos = others.flat_map(|other| &other.sources).filter(|it| it.kind() == MediaKind::Video);
        let videos: Vec<_> = videos.collect();
        let count = u64::try_from(videos.len().max(1)).unwrap_or(1);
        let limit = *lock(&self.member.limit);
        for video in videos {
            video.limit(&self.member.id, limit.map(|limit| limit / count));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        let Some(members) = table.get_mut(&self.room) else { return };
        members.retain(|member| !Arc::ptr_eq(member, &self.member));
        let others = members.clone();
        if members.is_empty() {
            table.remove(&self.room);
        }
        drop(table);
        self.member.sources.iter().for_each(|source| source.close());
        for source in others.iter().flat_map(|other| &other.sources) {
            source.remove(&self.member.id);
        }
    }
}

/// A name as it may be: of a room, or of somebody.
fn named(name: &str) -> Result<String, Refused> {
    let name = name.trim();
    let is_one = !name.is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    if is_one { Ok(name.to_owned()) } else { Err(Refused::Name) }
}

/// Why somebody was not let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// As many are in the room as may be.
    Full,
    /// There are as many rooms as may be.
    TooManyRooms,
    /// A name that is none.
    Name,
    /// What is sent cannot be agreed upon.
    Media(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(
                f,
                "the room is full: {MAX_MEMBERS} are in it. Take another room, or wait until somebody goes"
            ),
            Self::TooManyRooms => {
                write!(f, "there are {MAX_ROOMS} rooms, and no more may be: take one of them")
            }
            Self::Name => write!(f, "the names of rooms and people have 1 to {MAX_NAME} characters"),
            Self::Media(error) => write!(f, "what you send cannot be forwarded: {error}"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rooms at a time.
pub(super) const MAX_ROOMS: usize = 16;
/// Browsers in a room.
pub(super) const MAX_MEMBERS: usize = 8;
/// Characters of a name.
const MAX_NAME: usize = 40;
