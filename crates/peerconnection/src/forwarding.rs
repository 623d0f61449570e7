//! Forwarding: what a transceiver receives goes out by others.

mod layers;

use std::ops::Range;
use std::sync::{Arc, Weak};

use proto::Instant;
use session::{MediaKind, Negotiated, Output, PayloadType, SendMediaError, StreamId, TransceiverId};

use self::layers::{LayerChoice, Layers};
use crate::Error;
use crate::connection::{Core, Handle};
use crate::transceiver::{Forwarded, SenderRequest, Transceiver};

impl Transceiver {
    /// Forwards what comes here by another transceiver of the same kind, from now on, in place of what that one forwarded
    /// before: packets go out in the same turn in which they came, with no task between. Key frames are asked for here when the
    /// peer there needs one. Of the layers of simulcast that one goes out which fits into what the path there is thought to
    /// carry; changes are to a key frame, which is asked for.
    ///
    /// Both connections may be of different endpoints. It ends with
    /// [`stop_forwarding_to`](Self::stop_forwarding_to), and with either of the two.
    ///
    /// # Errors
    ///
    /// [`Forwarding`](Error::Forwarding): of audio and video only one, or more than [`MAX_VIEWERS`] others.
    pub fn forward_to(&self, to: &Self) -> Result<(), Error> {
        if self.kind() != to.kind() {
            return Err(Error::Forwarding("what comes is of another kind than what is sent there"));
        }
        let viewer = Viewer { handle: Arc::downgrade(to.handle()), id: to.id() };
        self.handle().with(|core| {
            let slot = core.media_slot(self.id());
            let output =
                if slot.output.is_some_and(Output::has_frames) { Output::Both } else { Output::Packets };
            slot.audience.get_or_insert_default().add(viewer)?;
            slot.output = Some(output);
            core.session.set_output(self.id(), output);
            Ok::<_, Error>(())
        })?;
        let feed =
            Feed { from: Arc::downgrade(self.handle()), id: self.id(), choice: LayerChoice::default() };
        to.handle().with(|core| core.media_slot(to.id()).feed = Some(feed));
        self.handle().notify();
        Ok(())
    }

    /// Ends what [`forward_to`](Self::forward_to) began. Without it there is nothing to end.
    pub fn stop_forwarding_to(&self, to: &Self) {
        let viewer = Viewer { handle: Arc::downgrade(to.handle()), id: to.id() };
        self.handle().with(|core| {
            let audience = core.media_slot(self.id()).audience.as_deref_mut();
            audience.into_iter().for_each(|audience| audience.remove(&viewer));
        });
        to.handle().with(|core| {
            core.media_slot(to.id()).feed.take_if(|feed| feed.is_from(self.handle(), self.id()));
        });
    }

    /// Packets that [`forward_to`](Self::forward_to) has given to this one and that were not sent: there was no path, or more
    /// waited than it takes.
    pub fn not_forwarded(&self) -> u64 {
        self.handle().with(|core| core.media_slot(self.id()).not_forwarded)
    }
}

/// Those by whom one transceiver's packets are forwarded: more than a room holds.
pub const MAX_VIEWERS: usize = 1024;

/// A transceiver by which is forwarded.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    handle: Weak<Handle>,
    id: TransceiverId,
}

impl PartialEq for Viewer {
    fn eq(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.handle, &other.handle) && self.id == other.id
    }
}

/// All by whom a transceiver's packets are forwarded, and what comes.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    viewers: Arc<Vec<Viewer>>,
    layers: Layers,
}

impl Audience {
    fn add(&mut self, viewer: Viewer) -> Result<(), Error> {
        let mut viewers: Vec<Viewer> = self
            .viewers
            .iter()
            .filter(|it| it.handle.strong_count() > 0 && **it != viewer)
            .cloned()
            .collect();
        if viewers.len() >= MAX_VIEWERS {
            return Err(Error::Forwarding("it is forwarded by as many others as the limit"));
        }
        viewers.push(viewer);
        self.viewers = Arc::new(viewers);
        Ok(())
    }

    fn remove(&mut self, viewer: &Viewer) {
        let others = self.viewers.iter().filter(|it| it.handle.strong_count() > 0 && *it != viewer);
        self.viewers = Arc::new(others.cloned().collect());
    }
}

/// From where a transceiver gets what it forwards.
#[derive(Debug)]
pub(crate) struct Feed {
    from: Weak<Handle>,
    id: TransceiverId,
    pub choice: LayerChoice,
}

impl Feed {
    fn is_from(&self, handle: &Arc<Handle>, id: TransceiverId) -> bool {
        std::ptr::eq(self.from.as_ptr(), Arc::as_ptr(handle)) && self.id == id
    }

    /// That the stream that is forwarded goes on with a key frame.
    pub(crate) fn key_frame(&self) -> Option<KeyFrameWish> {
        Some(KeyFrameWish { from: self.from.clone(), id: self.id, stream: self.choice.current? })
    }
}

/// That a stream of a transceiver goes on with a key frame.
pub(crate) struct KeyFrameWish {
    from: Weak<Handle>,
    id: TransceiverId,
    stream: StreamId,
}

impl KeyFrameWish {
    /// To be called while no connection is locked.
    pub(crate) fn tell(self) {
        if let Some(from) = self.from.upgrade() {
            from.with(|core| core.session.request_key_frame(self.id, self.stream));
            from.notify();
        }
    }
}

/// Packets that came in one turn and are to be forwarded.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    bytes: Vec<u8>,
    packets: Vec<PassingPacket>,
}

#[derive(Debug)]
struct PassingPacket {
    place: Range<usize>,
    stream: StreamId,
    number: u64,
    begins_key_frame: bool,
    negotiated: Arc<Negotiated>,
    viewers: Arc<Vec<Viewer>>,
    rates: Arc<Vec<(StreamId, u64)>>,
}

impl Passing {
    pub(crate) const fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Forwards all of them; to be called while no connection is locked. `touched` hears of each connection by which
    /// something goes out.
    pub(crate) fn forward(&mut self, mut touched: impl FnMut(&Handle)) {
        let Self { bytes, packets } = self;
        for train in packets.chunk_by(|one, next| Arc::ptr_eq(&one.viewers, &next.viewers)) {
            let viewers = train.first().map(|packet| packet.viewers.clone()).unwrap_or_default();
            for viewer in viewers.iter() {
                let Some(handle) = viewer.handle.upgrade() else { continue };
                let wish = handle.with(|core| {
                    // The clock is read after the lock is taken, so that time never goes back for a session.
                    let now = handle.now();
                    train.iter().fold(None, |wish, packet| {
                        let bytes = bytes.get(packet.place.clone()).unwrap_or_default();
                        core.forward_passing(now, viewer.id, packet, bytes).or(wish)
                    })
                });
                touched(&handle);
                wish.into_iter().for_each(KeyFrameWish::tell);
            }
        }
        packets.clear();
        bytes.clear();
    }
}

impl Core {
    /// What is wanted of what a transceiver sends goes to where that comes from, or else to the program.
    pub(crate) fn pass_request(&mut self, id: TransceiverId, request: Option<SenderRequest>) {
        let Some(request) = request else { return };
        let Self { media, wishes, .. } = self;
        let slot = media.entry(id).or_default();
        match (request, &mut slot.feed) {
            (SenderRequest::KeyFrame { encoding: 0 }, Some(feed)) => wishes.extend(feed.key_frame()),
            (SenderRequest::TargetRate { encoding: 0, bitrate, .. }, Some(feed)) => {
                feed.choice.target = Some(bitrate)
            }
            (request, _) => slot.request(request),
        }
    }

    /// Where frames or packets were wanted before anything was agreed upon.
    pub(crate) fn follow_outputs(&mut self) {
        for (id, slot) in &self.media {
            if let Some(output) = slot.output {
                self.session.set_output(*id, output);
            }
        }
    }

    /// Notes a packet that came for those by whom it is forwarded. Gives whether there are any.
    pub(crate) fn pass(
        &mut self,
        now: Instant,
        id: TransceiverId,
        (stream, number): (StreamId, u64),
        packet: &[u8],
        passing: &mut Passing,
    ) -> bool {
        let audience = self.media.get_mut(&id).and_then(|slot| slot.audience.as_deref_mut());
        let Some(audience) = audience else { return false };
        let (viewers, rates) = (audience.viewers.clone(), audience.layers.count(now, stream, packet.len()));
        if viewers.is_empty() {
            return false;
        }
        let Some(info) = self.session.transceiver(id) else { return false };
        let Some(negotiated) = info.negotiated.cloned() else { return false };
        let begins_key_frame = begins_key_frame(info.kind, &negotiated, packet);
        let start = passing.bytes.len();
        passing.bytes.extend_from_slice(packet);
        let place = start..passing.bytes.len();
        passing.packets.push(PassingPacket {
            place,
            stream,
            number,
            begins_key_frame,
            negotiated,
            viewers,
            rates,
        });
        true
    }

    /// Forwards a packet by a transceiver, if it is of the stream that goes out there.
    fn forward_passing(
        &mut self,
        now: Instant,
        id: TransceiverId,
        packet: &PassingPacket,
        bytes: &[u8],
    ) -> Option<KeyFrameWish> {
        let feed = self.media.get_mut(&id)?.feed.as_mut()?;
        let (goes_out, asked) = feed.choice.take(now, packet.stream, packet.begins_key_frame, &packet.rates);
        let wish = asked.map(|stream| KeyFrameWish { from: feed.from.clone(), id: feed.id, stream });
        if goes_out {
            let source = (packet.stream, packet.number);
            // What its path does not take now is lost, as on any link.
            if self.forward(now, id, 0, source, bytes, &packet.negotiated).is_err() {
                let slot = self.media_slot(id);
                slot.not_forwarded = slot.not_forwarded.wrapping_add(1);
            }
        }
        wish
    }

    /// Forwards a packet of another connection's.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        id: TransceiverId,
        encoding: usize,
        (stream, number): (StreamId, u64),
        packet: &[u8],
        theirs: &Arc<Negotiated>,
    ) -> Result<(), SendMediaError> {
        self.follow_codec(id, packet, theirs)?;
        self.session.forward_rtp(now, id, encoding, (stream.0, number), packet, &theirs.extensions)
    }

    /// Has a transceiver send what a packet is of, under the payload type that its own peer knows it by.
    fn follow_codec(
        &mut self,
        id: TransceiverId,
        packet: &[u8],
        theirs: &Arc<Negotiated>,
    ) -> Result<(), SendMediaError> {
        let payload_type = payload_type(packet).ok_or(SendMediaError::Malformed)?;
        let info = self.session.transceiver(id).ok_or(SendMediaError::Stopped)?;
        let ours = info.negotiated.ok_or(SendMediaError::NotSending)?;
        let known = self.media.get(&id).and_then(|slot| slot.forwarded.as_ref());
        let is_known = known.is_some_and(|known| {
            known.payload_type == payload_type
                && Arc::ptr_eq(&known.theirs, theirs)
                && Arc::ptr_eq(&known.ours, ours)
        });
        if is_known {
            return Ok(());
        }
        let codec = theirs.codec(payload_type).ok_or(SendMediaError::Malformed)?;
        let same = ours.send.iter().find(|it| it.is_same(codec)).map(|it| it.payload_type);
        let forwarded = Forwarded { theirs: theirs.clone(), ours: ours.clone(), payload_type };
        // What accompanies others, as telephone events do, cannot be chosen either.
        if !same.is_some_and(|same| self.session.set_codec(id, same)) {
            return Err(SendMediaError::UnknownEncoding);
        }
        self.media_slot(id).forwarded = Some(forwarded);
        Ok(())
    }
}

/// Which codec a packet is of.
pub(crate) fn payload_type(packet: &[u8]) -> Option<PayloadType> {
    packet.get(1).and_then(|byte| PayloadType::new(byte & 0x7f))
}

/// Whether a decoder can begin with a packet, and with what follows it. Every packet of audio is such a one.
pub(crate) fn begins_key_frame(kind: MediaKind, negotiated: &Negotiated, packet: &[u8]) -> bool {
    let outline = || negotiated.codec(payload_type(packet)?)?.outline(kind, packet);
    kind == MediaKind::Audio || outline().is_some_and(|it| it.starts_frame && it.key_frame)
}
