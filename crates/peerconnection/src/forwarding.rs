//! Forwarding: what a transceiver receives goes out by others.

mod errand;
mod layers;
mod passing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use session::{Direction, Rid, StreamId, TransceiverId};

pub(crate) use self::errand::Errand;
use self::layers::{LayerChoice, Layers};
pub(crate) use self::passing::{Passing, begins_key_frame};
use crate::Error;
use crate::connection::{Core, Handle};
use crate::transceiver::{SenderRequest, Transceiver};

impl Transceiver {
    /// Forwards what comes here by another transceiver of the same kind, from now on, in place of what that one forwarded
    /// before: packets go out in the same turn in which they came, with no task between, and whatever they come from they are
    /// one stream there. Key frames are asked for here when the peer there needs one. Of the layers of simulcast that one goes
    /// out which fits into what the path there is thought to carry; changes are to a key frame, which is asked for.
    ///
    /// While it lasts, packets come of this transceiver. Frames come as well, where [`set_output`](Self::set_output) wants them
    /// or [`recv`](Self::recv) is called and nothing was said; when nobody forwards it any more what comes is what would come
    /// without. Of what is wanted of the other one its program hears no more [key frames](SenderRequest::KeyFrame) and
    /// [rates](SenderRequest::TargetRate) of its first stream; the latest rate is told when it ends.
    ///
    /// Both connections may be of different endpoints. It ends with
    /// [`stop_forwarding_to`](Self::stop_forwarding_to), when either of the two is stopped, and with either connection.
    ///
    /// # Errors
    ///
    /// [`Forwarding`](Error::Forwarding): of audio and video only one, one of the two is stopped, or more than [`MAX_VIEWERS`]
    /// others. What was forwarded before goes on then.
    pub fn forward_to(&self, to: &Self) -> Result<(), Error> {
        if self.kind() != to.kind() {
            return Err(Error::Forwarding("what comes is of another kind than what is sent there"));
        }
        if to.handle().with(|core| core.feed(to.id()).is_some_and(|it| it.is_from(self.handle(), self.id())))
        {
            return Ok(());
        }
        // No two connections are locked at once: until both know of each other nothing goes out.
        let number = FEEDS.fetch_add(1, Ordering::Relaxed);
        let viewer = Viewer { handle: Arc::downgrade(to.handle()), id: to.id(), feed: number };
        self.handle().with(|core| core.add_viewer(self.id(), viewer.clone()))?;
        let (from, choice) = (Arc::downgrade(self.handle()), LayerChoice::default());
        let feed = Feed { number, from, id: self.id(), choice };
        let replaced = to.handle().with(|core| core.replace_feed(to.id(), feed));
        match replaced {
            Ok(earlier) => earlier.iter().for_each(|earlier| earlier.leaving().run()),
            Err(error) => {
                self.handle().with(|core| core.remove_viewer(self.id(), number));
                return Err(error);
            }
        }
        // Its source may have ended before it was there to be told.
        if !self.handle().with(|core| core.has_viewer(self.id(), number)) {
            Errand::EndFeed(viewer).run();
        }
        self.handle().notify();
        Ok(())
    }

    /// Ends what [`forward_to`](Self::forward_to) began. Without it there is nothing to end.
    pub fn stop_forwarding_to(&self, to: &Self) {
        let is_it = |feed: &Feed| feed.is_from(self.handle(), self.id());
        let ended = to.handle().with(|core| core.end_feed(to.id(), is_it));
        ended.iter().for_each(|feed| feed.leaving().run());
    }

    /// Packets that [`forward_to`](Self::forward_to) has given to this one and that were not sent: there was no path, or more
    /// waited than it takes.
    pub fn not_forwarded(&self) -> u64 {
        self.handle().with(|core| core.media_slot(self.id()).not_forwarded)
    }

    /// The streams that come and are forwarded, the smallest first: several where the peer sends simulcast. None before they
    /// were measured for a second, and while nothing is forwarded.
    pub fn layers(&self) -> Vec<Layer> {
        self.handle().with(|core| {
            let audience = core.media.get(&self.id()).and_then(|slot| slot.audience.as_deref());
            let rates = audience.map(|audience| audience.layers.rates()).unwrap_or_default();
            let mut rid = |stream| core.session.stream_source(self.id(), stream).and_then(|(_, rid)| rid);
            rates.iter().map(|&(stream, bitrate)| Layer { stream, rid: rid(stream), bitrate }).collect()
        })
    }

    /// What [`forward_to`](Self::forward_to) has this one send; `None` where it forwards nothing.
    pub fn forwarded(&self) -> Option<Forwarded> {
        self.handle().with(|core| {
            let slot = core.media.get(&self.id())?;
            let target = slot.target.map(|(bitrate, _)| bitrate);
            Some(Forwarded { stream: slot.feed.as_ref()?.choice.current, target })
        })
    }
}

/// A stream that is forwarded, among several of one transceiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Layer {
    /// Which.
    pub stream: StreamId,
    /// Its name, where there are several.
    pub rid: Option<Rid>,
    /// What came of it lately, in bit/s.
    pub bitrate: u64,
}

/// What a transceiver sends of another one's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Forwarded {
    /// Which stream; `None` before its first key frame.
    pub stream: Option<StreamId>,
    /// What it may take, in bit/s, once that is known.
    pub target: Option<u64>,
}

/// Those by whom one transceiver's packets are forwarded: more than a room holds.
pub const MAX_VIEWERS: usize = 1024;

/// Numbers of feeds, of which no two are equal: by them a source and a viewer know that they belong together.
static FEEDS: AtomicU64 = AtomicU64::new(0);

/// A transceiver by which is forwarded.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    handle: Weak<Handle>,
    id: TransceiverId,
    feed: u64,
}

/// All by whom a transceiver's packets are forwarded, and what comes.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    viewers: Arc<Vec<Viewer>>,
    layers: Layers,
}

/// From where a transceiver gets what it forwards.
#[derive(Debug)]
pub(crate) struct Feed {
    number: u64,
    from: Weak<Handle>,
    id: TransceiverId,
    choice: LayerChoice,
}

impl Feed {
    fn is_from(&self, handle: &Arc<Handle>, id: TransceiverId) -> bool {
        std::ptr::eq(self.from.as_ptr(), Arc::as_ptr(handle)) && self.id == id
    }

    /// That a stream goes on with a key frame.
    fn key_frame(&self, stream: StreamId) -> Errand {
        Errand::KeyFrame { from: self.from.clone(), id: self.id, stream }
    }

    /// That it is forwarded here no more.
    fn leaving(&self) -> Errand {
        Errand::Leave { from: self.from.clone(), id: self.id, feed: self.number }
    }
}

/// What one connection knows of it. Errands are for the others.
impl Core {
    fn feed(&self, id: TransceiverId) -> Option<&Feed> {
        self.media.get(&id)?.feed.as_ref()
    }

    fn may_forward(&self, id: TransceiverId) -> Result<(), Error> {
        let is_there = self.session.transceiver(id).is_some_and(|info| !info.is_stopping);
        if self.is_over() || !is_there {
            return Err(Error::Forwarding("one of the two is stopped"));
        }
        Ok(())
    }

    /// Somebody else gets what comes.
    fn add_viewer(&mut self, id: TransceiverId, viewer: Viewer) -> Result<(), Error> {
        self.may_forward(id)?;
        let known = self.media_slot(id).audience.as_deref().map(|it| it.viewers.clone()).unwrap_or_default();
        let is_there = |it: &&Viewer| it.handle.strong_count() > 0;
        let mut viewers: Vec<Viewer> = known.iter().filter(is_there).cloned().collect();
        if viewers.len() >= MAX_VIEWERS {
            return Err(Error::Forwarding("it is forwarded by as many others as the limit"));
        }
        viewers.push(viewer);
        self.media_slot(id).audience.get_or_insert_default().viewers = Arc::new(viewers);
        self.follow_output(id);
        Ok(())
    }

    /// Somebody gets it no more. With the last one what comes is as it was before.
    fn remove_viewer(&mut self, id: TransceiverId, feed: u64) {
        let Some(slot) = self.media.get_mut(&id) else { return };
        let Some(audience) = &mut slot.audience else { return };
        let others = audience.viewers.iter().filter(|it| it.feed != feed && it.handle.strong_count() > 0);
        audience.viewers = Arc::new(others.cloned().collect());
        if audience.viewers.is_empty() {
            slot.audience = None;
            self.session.set_output(id, slot.wanted().unwrap_or_default());
        }
    }

    fn has_viewer(&self, id: TransceiverId, feed: u64) -> bool {
        let audience = self.media.get(&id).and_then(|slot| slot.audience.as_deref());
        audience.is_some_and(|audience| audience.viewers.iter().any(|viewer| viewer.feed == feed))
    }

    /// A transceiver sends what comes from elsewhere. Gives from where it got that before.
    fn replace_feed(&mut self, id: TransceiverId, feed: Feed) -> Result<Option<Feed>, Error> {
        self.may_forward(id)?;
        Ok(self.media_slot(id).feed.replace(feed))
    }

    /// It does not any more, if it is this feed; its program learns what may be sent.
    fn end_feed(&mut self, id: TransceiverId, is_it: impl FnOnce(&Feed) -> bool) -> Option<Feed> {
        let slot = self.media.get_mut(&id)?;
        let feed = slot.feed.take_if(|feed| is_it(feed))?;
        if let Some((bitrate, limits)) = slot.target {
            slot.request(SenderRequest::TargetRate { encoding: 0, bitrate, limits });
        }
        Some(feed)
    }

    /// A transceiver is stopped: nothing of it is forwarded any more, nor anything by it.
    pub(crate) fn end_forwarding(&mut self, id: TransceiverId) {
        let ended = self.end_feed(id, |_| true);
        self.errands.extend(ended.iter().map(Feed::leaving));
        let audience = self.media.get_mut(&id).and_then(|slot| slot.audience.take());
        let viewers = audience.map(|audience| audience.viewers).unwrap_or_default();
        self.errands.extend(viewers.iter().cloned().map(Errand::EndFeed));
    }

    /// What is wanted of what a transceiver sends goes to where that comes from, or else to the program.
    pub(crate) fn pass_request(&mut self, id: TransceiverId, request: Option<SenderRequest>) {
        let Some(request) = request else { return };
        let Self { media, errands, .. } = self;
        let slot = media.entry(id).or_default();
        if let SenderRequest::TargetRate { encoding: 0, bitrate, limits } = request {
            slot.target = Some((bitrate, limits));
        }
        match (request, &slot.feed) {
            (SenderRequest::KeyFrame { encoding: 0 }, Some(feed)) => {
                // Before the first one it was asked for already.
                errands.extend(feed.choice.current.map(|stream| feed.key_frame(stream)));
            }
            (SenderRequest::TargetRate { encoding: 0, .. }, Some(_)) => {}
            (request, _) => slot.request(request),
        }
    }

    /// Has frames or packets come, or both, as the program and those want it by whom packets are forwarded.
    pub(crate) fn follow_output(&mut self, id: TransceiverId) {
        if let Some(output) = self.media.get(&id).and_then(|slot| slot.wanted()) {
            self.session.set_output(id, output);
        }
    }

    /// Where something was wanted before anything was agreed upon.
    pub(crate) fn follow_outputs(&mut self) {
        for (id, slot) in &self.media {
            if let Some(output) = slot.wanted() {
                self.session.set_output(*id, output);
            }
        }
    }

    /// Whether what is forwarded by a transceiver can be on its way.
    fn can_forward(&self, id: TransceiverId) -> bool {
        let direction = self.session.transceiver(id).and_then(|info| info.current_direction);
        direction.is_some_and(Direction::sends)
            && self.session.connection_state() == session::ConnectionState::Connected
    }
}
