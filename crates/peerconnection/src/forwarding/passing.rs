//! Packets on their way from one connection to others.

use std::sync::Arc;

use proto::Instant;
use session::{
    MediaKind, Negotiated, OmittedPacket, PayloadType, SendMediaError, SharedPacket, SharedPackets, StreamId,
    TransceiverId,
};

use super::{Errand, Viewer};
use crate::connection::{Core, Handle};
use crate::transceiver::{KnownCodec, RtpPacket};

/// What came in one turn and is to be forwarded, in its order.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    items: Vec<PassingItem>,
    /// Makes those, and others that programs forward.
    pub memory: SharedPackets,
}

#[derive(Debug)]
struct PassingItem {
    stream: StreamId,
    number: u64,
    viewers: Arc<Vec<Viewer>>,
    /// What goes on; `None`: the number is left out.
    packet: Option<PassingPacket>,
}

#[derive(Debug)]
struct PassingPacket {
    packet: SharedPacket,
    begins_key_frame: bool,
    negotiated: Arc<Negotiated>,
    rates: Arc<Vec<(StreamId, u64)>>,
}

impl Passing {
    pub(crate) const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Forwards all of them; to be called while no connection is locked. `touched` hears of each connection by which
    /// something goes out.
    pub(crate) fn forward(&mut self, mut touched: impl FnMut(&Handle)) {
        for train in self.items.chunk_by(|one, next| Arc::ptr_eq(&one.viewers, &next.viewers)) {
            let viewers = train.first().map(|item| item.viewers.clone()).unwrap_or_default();
            for viewer in viewers.iter() {
                let Some(handle) = viewer.handle.upgrade() else { continue };
                let wish = handle.with(|core| {
                    // The clock is read after the lock is taken, so that time never goes back for a session.
                    let now = handle.now();
                    train.iter().fold(None, |wish, item| core.forward_passing(now, viewer, item).or(wish))
                });
                touched(&handle);
                wish.into_iter().for_each(Errand::run);
            }
        }
        self.items.clear();
    }
}

impl Core {
    /// Notes a packet that came for those by whom it is forwarded. Gives whether there are any.
    pub(crate) fn pass(
        &mut self,
        now: Instant,
        id: TransceiverId,
        (stream, number): (StreamId, u64),
        packet: &SharedPacket,
        passing: &mut Passing,
    ) -> bool {
        let audience = self.media.get_mut(&id).and_then(|slot| slot.audience.as_deref_mut());
        let Some(audience) = audience else { return false };
        let bytes = packet.bytes();
        let (viewers, rates) = (audience.viewers.clone(), audience.layers.count(now, stream, bytes.len()));
        let Some(info) = self.session.transceiver(id) else { return false };
        let Some(negotiated) = info.negotiated.cloned() else { return false };
        let begins_key_frame = begins_key_frame(info.kind, &negotiated, bytes);
        let packet = PassingPacket { packet: packet.clone(), begins_key_frame, negotiated, rates };
        passing.items.push(PassingItem { stream, number, viewers, packet: Some(packet) });
        true
    }

    /// Notes a number that is to be left out by those by whom its stream is forwarded, and by the program.
    pub(crate) fn pass_omitted(&mut self, omitted: OmittedPacket, passing: &mut Passing) {
        let OmittedPacket { transceiver, stream, number, .. } = omitted;
        let slot = self.media_slot(transceiver);
        let audience = slot.audience.as_deref().map(|audience| audience.viewers.clone());
        if audience.is_none() || slot.is_read {
            slot.add_omitted(stream, number);
        }
        if let Some(viewers) = audience {
            passing.items.push(PassingItem { stream, number, viewers, packet: None });
        }
    }

    /// Leaves out what holds nothing in front of a packet that a program forwards, or leaves out itself.
    pub(crate) fn omit_before(
        &mut self,
        now: Instant,
        id: TransceiverId,
        encoding: usize,
        packet: &RtpPacket,
    ) {
        for number in packet.omitted_before() {
            // What cannot be sent now has no numbers to be left out.
            let _ = self.session.omit_rtp(now, id, encoding, (packet.stream.0, number));
        }
    }

    /// Forwards a packet by a transceiver, if it still wants those of this source, and it is of the stream that goes out there.
    fn forward_passing(&mut self, now: Instant, viewer: &Viewer, item: &PassingItem) -> Option<Errand> {
        let id = viewer.id;
        let slot = self.media.get_mut(&id)?;
        let (turn, target) = (slot.turn, slot.target.map(|(bitrate, _)| bitrate));
        let feed = slot.feed.as_ref().filter(|feed| feed.number == viewer.feed)?;
        let Some(packet) = &item.packet else {
            if feed.choice.current == Some(item.stream) {
                let source = (BY_ITSELF | turn, item.number);
                // What cannot be sent now has no numbers to be left out.
                let _ = self.session.omit_rtp(now, id, 0, source);
            }
            return None;
        };
        let step = feed.choice.step(now, item.stream, packet.begins_key_frame, &packet.rates, target);
        if step.goes_out {
            // Each change begins another source, so that its numbers go on from where the last one's have ended.
            let turn = turn.wrapping_add(u32::from(step.is_change));
            let source = (BY_ITSELF | turn, item.number);
            let sent = self.forward(now, id, 0, source, &packet.packet, &packet.negotiated);
            let slot = self.media_slot(id);
            match (sent, &mut slot.feed) {
                (Ok(()), Some(feed)) if step.is_change => {
                    feed.choice.change(item.stream);
                    slot.turn = turn;
                }
                (Ok(()), _) => {}
                // What its path does not take now is lost, as on any link; a change waits for the next key frame.
                (Err(_), _) => slot.not_forwarded = slot.not_forwarded.wrapping_add(1),
            }
        }
        // Nobody is bothered for what cannot be sent yet.
        let asked = step.asks_for.filter(|_| self.can_forward(id))?;
        let feed = self.media_slot(id).feed.as_mut()?;
        feed.choice.asked = Some((asked, now));
        Some(feed.key_frame(asked))
    }

    /// Forwards a packet of another connection's; `source` is what tells streams apart that take turns, and its number there.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        id: TransceiverId,
        encoding: usize,
        source: (u32, u64),
        packet: &SharedPacket,
        theirs: &Arc<Negotiated>,
    ) -> Result<(), SendMediaError> {
        self.follow_codec(id, packet.header().payload_type, theirs)?;
        self.session.forward_rtp(now, id, encoding, source, packet)
    }

    /// Has a transceiver send what a packet is of, under the payload type that its own peer knows it by.
    fn follow_codec(
        &mut self,
        id: TransceiverId,
        payload_type: PayloadType,
        theirs: &Arc<Negotiated>,
    ) -> Result<(), SendMediaError> {
        let info = self.session.transceiver(id).ok_or(SendMediaError::Stopped)?;
        let ours = info.negotiated.ok_or(SendMediaError::NotSending)?;
        let known = self.media.get(&id).and_then(|slot| slot.codec.as_ref());
        let is_known = known.is_some_and(|known| {
            known.payload_type == payload_type
                && Arc::ptr_eq(&known.theirs, theirs)
                && Arc::ptr_eq(&known.ours, ours)
        });
        if is_known {
            return Ok(());
        }
        let theirs_is = theirs.codec(payload_type).ok_or(SendMediaError::Malformed)?;
        let same = ours.send.iter().find(|it| it.is_same(theirs_is)).map(|it| it.payload_type);
        let codec = KnownCodec { theirs: theirs.clone(), ours: ours.clone(), payload_type };
        // What accompanies others, as telephone events do, cannot be chosen either.
        if !same.is_some_and(|same| self.session.set_codec(id, same)) {
            return Err(SendMediaError::UnknownEncoding);
        }
        self.media_slot(id).codec = Some(codec);
        Ok(())
    }
}

/// Sources that are forwarded by themselves; those of programs have the numbers of streams.
const BY_ITSELF: u32 = 1 << 31;

/// Which codec a packet is of.
fn payload_type(packet: &[u8]) -> Option<PayloadType> {
    packet.get(1).and_then(|byte| PayloadType::new(byte & 0x7f))
}

/// Whether a decoder can begin with a packet, and with what follows it. Every packet of audio is such a one.
pub(crate) fn begins_key_frame(kind: MediaKind, negotiated: &Negotiated, packet: &[u8]) -> bool {
    let outline = || negotiated.codec(payload_type(packet)?)?.outline(kind, packet);
    kind == MediaKind::Audio || outline().is_some_and(|it| it.starts_frame && it.key_frame)
}
