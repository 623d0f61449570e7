//! Rooms: everybody's audio and video go to everybody else, as packets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerline::{
    Direction, Layer, MediaKind, PeerConnection, SendEncoding, SenderRequest, StatsReport, Transceiver,
    TransceiverInit,
};
use serde_json::{Value, json};

use super::destination::is_legible;
use super::terminal::Terminal;

type Table = BTreeMap<String, Vec<Arc<Member>>>;

/// The rooms that somebody is in.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    table: Arc<Mutex<Table>>,
}

/// Somebody who is in a room.
#[derive(Debug)]
struct Member {
    id: String,
    name: String,
    connection: PeerConnection,
    /// A microphone, a camera.
    sources: Vec<Transceiver>,
    /// What it sees and hears of the others.
    screens: Mutex<Vec<Screen>>,
    /// The most that it wants to receive of all videos, in bit/s.
    limit: Mutex<Option<u64>>,
}

/// By what somebody gets a source of another one.
#[derive(Clone, Debug)]
struct Screen {
    of: String,
    source: Transceiver,
    transceiver: Transceiver,
}

/// A place in a room; dropped, it is free again, its connection closes, and the others receive nothing of it any more.
#[derive(Debug)]
pub(crate) struct Seat {
    table: Arc<Mutex<Table>>,
    room: String,
    member: Arc<Member>,
}

impl Rooms {
    /// Lets somebody in, whose offer was set: what it sends goes to those who are there, and what they send comes to it, which
    /// offers of ours tell them. Who cannot be sent what it has is closed.
    pub(crate) fn join(
        &self,
        room: &str,
        name: &str,
        id: &str,
        connection: &PeerConnection,
        terminal: &Terminal,
    ) -> Result<Seat, Refused> {
        let (room, name) = (named(room)?, named(name)?);
        let sources = connection.transceivers();
        let is_twice = |kind| sources.iter().filter(|it| it.kind() == kind).count() > 1;
        let sections = connection.remote_description().map_or(0, |offer| offer.sdp.media().len());
        if is_twice(MediaKind::Audio) || is_twice(MediaKind::Video) || sections > MAX_SECTIONS {
            return Err(Refused::Sections);
        }
        let member = Arc::new(Member {
            id: id.to_owned(),
            name,
            connection: connection.clone(),
            sources,
            screens: Mutex::default(),
            limit: Mutex::default(),
        });
        let mut table = lock(&self.table);
        if !table.contains_key(&room) && table.len() >= MAX_ROOMS {
            return Err(Refused::TooManyRooms);
        }
        let members = table.entry(room.clone()).or_default();
        if members.len() >= MAX_MEMBERS {
            return Err(Refused::Full);
        }
        let others = members.clone();
        members.push(member.clone());
        let seat = Seat { table: self.table.clone(), room, member: member.clone() };
        let shown = others.iter().try_for_each(|other| member.show(other));
        if shown.is_ok() {
            for other in &others {
                if let Err(error) = other.show(&member) {
                    terminal
                        .say(&format!("{}: nobody else can be shown, and it is closed: {error}", other.name));
                    other.connection.close();
                }
            }
        }
        drop(table);
        // A seat that is dropped takes back what was joined.
        shown.map(|()| seat).map_err(|error| Refused::Media(error.to_string()))
    }
}

impl Member {
    /// Sends what another one has to this one. An error is this one's own.
    fn show(&self, other: &Self) -> Result<(), peerline::Error> {
        for source in &other.sources {
            let mut init = TransceiverInit::default();
            init.direction = Direction::SendOnly;
            // The page knows by that whose it is.
            init.streams = vec![other.id.clone()];
            let transceiver = self.connection.add_transceiver(source.kind(), init)?;
            // A source that is stopped is about to go; nothing comes of it.
            let _ = source.forward_to(&transceiver);
            tokio::spawn(resume(transceiver.clone()));
            let screen = Screen { of: other.id.clone(), source: source.clone(), transceiver };
            lock(&self.screens).push(screen);
        }
        Ok(())
    }

    /// Shows nothing more of somebody who has gone.
    fn hide(&self, id: &str) {
        lock(&self.screens).retain(|screen| {
            if screen.of == id {
                // Its connection may be closed as well.
                let _ = screen.transceiver.stop();
            }
            screen.of != id
        });
    }

    fn videos(&self) -> Vec<Screen> {
        let is_video = |screen: &&Screen| screen.source.kind() == MediaKind::Video;
        lock(&self.screens).iter().filter(is_video).cloned().collect()
    }
}

impl Screen {
    /// Tells what the largest layer takes, and what is wanted at most: the estimate does not look for more than that.
    fn claim(&self, limit: Option<u64>) {
        let largest = self.source.layers().last().map_or(0, |layer| layer.bitrate);
        let most = largest.saturating_add(largest / 4).max(MIN_CLAIM);
        let most = limit.map_or(most, |limit| most.min(limit));
        let mut wanted: Vec<SendEncoding> =
            self.transceiver.encodings().into_iter().map(|it| it.wanted).collect();
        if let [only] = wanted.as_mut_slice() {
            let claimed = only.max_bitrate.unwrap_or(0);
            if most.abs_diff(claimed) > claimed / 8 {
                only.max_bitrate = Some(most);
                // One that is stopped needs nothing.
                let _ = self.transceiver.set_encodings(wanted);
            }
        }
    }

    /// What the page is told of a video.
    fn news(&self) -> Value {
        let forwarded = self.transceiver.forwarded();
        let shown = forwarded.and_then(|it| it.stream);
        let rid = |layer: &Layer| layer.rid.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let layer = |layer: &Layer| json!({ "rid": rid(layer), "rate": layer.bitrate, "shown": Some(layer.stream) == shown });
        let layers: Vec<Value> = self.source.layers().iter().map(layer).collect();
        json!({ "layers": layers, "target": forwarded.and_then(|it| it.target) })
    }
}

/// RFC 8083 §4.5: a stream that has done harm goes on after a while; the path may be another one by then.
async fn resume(transceiver: Transceiver) {
    while let Some(request) = transceiver.next_request().await {
        if let SenderRequest::Stopped { encoding, .. } = request {
            tokio::time::sleep(BREAK).await;
            transceiver.resume(encoding);
        }
    }
}

impl Seat {
    /// The room's name.
    pub(crate) fn room(&self) -> &str {
        &self.room
    }

    /// Of all videos together no more than this is wanted, in bit/s.
    pub(crate) fn limit(&self, bitrate: Option<u64>) {
        *lock(&self.member.limit) = bitrate;
        self.share();
    }

    /// Divides what is wanted at most among the videos: to be called once a second.
    pub(crate) fn share(&self) {
        let videos = self.member.videos();
        let count = u64::try_from(videos.len().max(1)).unwrap_or(1);
        let limit = lock(&self.member.limit).map(|limit| limit / count);
        videos.iter().for_each(|video| video.claim(limit));
    }

    /// What the page is told now and then: who is there, and what of whom it gets.
    pub(crate) fn news(&self, stats: StatsReport) -> Value {
        let members = lock(&self.table).get(&self.room).cloned().unwrap_or_default();
        let (own, videos) = (&self.member, self.member.videos());
        let others: Vec<Value> = members
            .iter()
            .filter(|other| other.id != own.id)
            .map(|other| {
                let video = videos.iter().find(|video| video.of == other.id).map(Screen::news);
                json!({ "id": other.id, "name": other.name, "video": video })
            })
            .collect();
        let estimate = own.connection.rtp_stats().and_then(|(_, target)| target);
        json!({ "room": { "name": self.room, "you": own.name, "members": others, "estimate": estimate }, "stats": stats })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.member.connection.close();
        let mut table = lock(&self.table);
        let Some(members) = table.get_mut(&self.room) else { return };
        members.retain(|member| !Arc::ptr_eq(member, &self.member));
        let others = members.clone();
        if members.is_empty() {
            table.remove(&self.room);
        }
        drop(table);
        others.iter().for_each(|other| other.hide(&self.member.id));
    }
}

/// A name as it may be: of a room, or of somebody.
fn named(name: &str) -> Result<String, Refused> {
    let name = name.trim();
    let is_one = !name.is_empty() && name.chars().count() <= MAX_NAME && name.chars().all(is_legible);
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
    /// More is offered than the page of a room has.
    Sections,
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
            Self::Sections => {
                write!(f, "a room takes one microphone, one camera and data channels, and nothing else")
            }
            Self::Name => {
                write!(f, "the names of rooms and people have 1 to {MAX_NAME} characters that can be seen")
            }
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
/// Media sections of an offer: a microphone, a camera, data channels.
pub(super) const MAX_SECTIONS: usize = 3;
/// Characters of a name.
const MAX_NAME: usize = 40;
/// What a video may claim at least, in bit/s: it comes to nothing before it has begun.
const MIN_CLAIM: u64 = 300_000;
/// How long a stream rests that did harm.
const BREAK: Duration = Duration::from_secs(5);
