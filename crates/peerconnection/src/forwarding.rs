//! Forwarding: what a transceiver receives goes out by others.

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use proto::Instant;
use session::{MediaKind, Negotiated, Output, PayloadType, SendMediaError, StreamId, TransceiverId};

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

/// The streams of a transceiver, with what comes of each in a second.
#[derive(Debug, Default)]
struct Layers {
    since: Option<Instant>,
    counts: Vec<(StreamId, u64)>,
    rates: Arc<Vec<(StreamId, u64)>>,
}

impl Layers {
    /// So many bytes of a stream came. Gives the rates of all, in bit/s, of the last second that was measured.
    fn count(&mut self, now: Instant, stream: StreamId, len: usize) -> Arc<Vec<(StreamId, u64)>> {
        let since = *self.since.get_or_insert(now);
        let bits = u64::try_from(len).unwrap_or(u64::MAX).saturating_mul(8);
        if let Some((_, count)) = self.counts.iter_mut().find(|(it, _)| *it == stream) {
            *count = count.saturating_add(bits);
        } else if self.counts.len() < MAX_LAYERS {
            self.counts.push((stream, bits));
        }
        let elapsed = now - since;
        if elapsed >= MEASURED {
            let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = |(stream, bits): (StreamId, u64)| (stream, bits.saturating_mul(1000) / millis);
            let mut rates: Vec<_> = self.counts.drain(..).map(rate).collect();
            rates.sort_unstable_by_key(|(_, rate)| *rate);
            self.rates = Arc::new(rates);
            self.since = Some(now);
        }
        self.rates.clone()
    }
}

/// Over how much time rates are measured.
const MEASURED: Duration = Duration::from_secs(1);
/// Streams whose rates are measured: those of simulcast are three in practice.
const MAX_LAYERS: usize = 16;

/// Which of several streams goes out.
#[derive(Debug, Default)]
pub(crate) struct LayerChoice {
    current: Option<StreamId>,
    asked: Option<(StreamId, Instant)>,
    /// What may be sent, in bit/s.
    pub target: Option<u64>,
}

impl LayerChoice {
    /// The stream that should go out: the highest that fits, with something to spare where it is not the present one; the
    /// lowest if none does.
    fn wanted(&self, rates: &[(StreamId, u64)]) -> Option<StreamId> {
        let fits = |(stream, rate): &&(StreamId, u64)| {
            let spare = if self.current == Some(*stream) { 0 } else { rate / 5 };
            self.target.is_some_and(|target| rate.saturating_add(spare) <= target)
        };
        let best = rates.iter().rev().find(fits).or_else(|| rates.first());
        best.map(|(stream, _)| *stream)
    }

    /// Whether a packet goes out, and of which stream a key frame is to be asked for.
    fn take(
        &mut self,
        now: Instant,
        stream: StreamId,
        begins_key_frame: bool,
        rates: &[(StreamId, u64)],
    ) -> (bool, Option<StreamId>) {
        let wanted = self.wanted(rates).or(self.current).unwrap_or(stream);
        if self.current == Some(wanted) {
            self.asked = None;
        } else if stream == wanted && begins_key_frame {
            (self.current, self.asked) = (Some(wanted), None);
        }
        let goes_out = self.current == Some(stream);
        let was_asked = self.asked.is_some_and(|(it, at)| it == wanted && now - at < ASK_AGAIN);
        if self.current == Some(wanted) || was_asked {
            return (goes_out, None);
        }
        self.asked = Some((wanted, now));
        (goes_out, Some(wanted))
    }
}

/// After so long without a key frame another one is asked for.
const ASK_AGAIN: Duration = Duration::from_secs(1);

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

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    const LAYERS: [(StreamId, u64); 3] =
        [(StreamId(2), 100_000), (StreamId(0), 500_000), (StreamId(1), 2_000_000)];

    #[test]
    fn the_only_stream_goes_out_from_its_first_key_frame_on() {
        let mut choice = LayerChoice::default();
        let only = StreamId(7);
        assert_eq!(choice.take(at(0), only, false, &[]), (false, Some(only)));
        assert_eq!(choice.take(at(999), only, false, &[]), (false, None));
        assert_eq!(choice.take(at(1000), only, false, &[]), (false, Some(only)), "it is asked for again");
        assert_eq!(choice.take(at(1001), only, true, &[]), (true, None));
        assert_eq!(
            choice.take(at(1002), only, false, &[(only, 9_000_000)]),
            (true, None),
            "whatever it takes"
        );
    }

    #[test]
    fn the_highest_layer_that_fits_goes_out_and_changes_are_to_key_frames() {
        let mut choice = LayerChoice { target: Some(599_999), ..LayerChoice::default() };
        assert_eq!(choice.take(at(0), StreamId(2), true, &LAYERS), (true, None), "but for a fifth");
        choice.target = Some(600_000);
        assert_eq!(choice.take(at(1), StreamId(0), true, &LAYERS), (true, None));
        // A little less than before is no reason to change.
        choice.target = Some(500_000);
        assert_eq!(choice.take(at(2), StreamId(0), false, &LAYERS), (true, None));
        choice.target = Some(499_999);
        assert_eq!(choice.take(at(3), StreamId(0), false, &LAYERS), (true, Some(StreamId(2))));
        assert_eq!(choice.take(at(4), StreamId(2), false, &LAYERS), (false, None));
        assert_eq!(choice.take(at(5), StreamId(2), true, &LAYERS), (true, None));
        assert_eq!(choice.take(at(6), StreamId(0), true, &LAYERS), (false, None));
        // One that does not come any more is left.
        choice.target = Some(10_000_000);
        assert_eq!(choice.take(at(7), StreamId(1), true, &LAYERS[..2]), (false, Some(StreamId(0))));
    }

    #[test]
    fn rates_are_those_of_the_last_second_and_of_as_many_layers_as_the_limit() {
        let mut layers = Layers::default();
        for step in 0..100 {
            assert!(layers.count(at(step * 10), StreamId(1), 1000).is_empty());
            layers.count(at(step * 10), StreamId(0), 100);
        }
        let rates = layers.count(at(1000), StreamId(0), 100);
        assert_eq!(*rates, [(StreamId(0), 80_800), (StreamId(1), 800_000)]);
        for number in 0..=16 {
            layers.count(at(1001), StreamId(number), 1);
        }
        assert_eq!(layers.count(at(2001), StreamId(0), 1).len(), 16);
    }
}
