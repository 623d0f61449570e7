//! RTP and RTCP: whose what comes is, and what is sent of it.

use proto::{Arrival, Batch, Ecn, Instant, Path, Transmit};
use rtp::{Packet, PacketMut, Rid};
use srtp::{AuthenticatedRtcp, AuthenticatedRtp};

use super::Session;
use crate::media::TransceiverId;
use crate::media::demux::Streams;
use crate::media::engine::Engine;
use crate::media::queue::{Queue, Waiting};
use crate::transport::{DtlsState, Transport};
use crate::{Discard, Failure, SendMediaError};

/// What a datagram was.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received<'b> {
    /// It is taken: connectivity, DTLS, data, or media of which frames are made.
    Consumed,
    /// Media of which frames are made: the rest of the session has nothing to follow.
    #[doc(hidden)]
    Frames,
    /// A packet of RTP. Nothing else makes its type than that it was authenticated.
    Rtp {
        /// Whose it is.
        transceiver: TransceiverId,
        /// Which of several streams of one source (RFC 8853), or which of them it repairs.
        rid: Option<Rid>,
        /// Whether it is a retransmission (RFC 4588), by its payload type.
        is_repair: bool,
        /// The packet, where it came.
        packet: AuthenticatedRtp<'b>,
    },
    /// A packet of a transceiver whose output is [packets](::media::Output::Packets): as its sender sent it, also if it was retransmitted.
    Packet {
        /// Whose it is.
        transceiver: TransceiverId,
        /// Which of its streams.
        stream: ::media::StreamId,
        /// Its number there, which does not wrap.
        number: u64,
        /// It, with nothing behind it that may not be written over.
        packet: PacketMut<'b>,
    },
    /// A datagram of RTCP, for all transceivers.
    Rtcp {
        /// The datagram, where it came.
        compound: AuthenticatedRtcp<'b>,
    },
}

/// What a session has of media, once it has any.
#[derive(Debug)]
pub(crate) struct Media {
    pub streams: Streams,
    pub queue: Queue,
    /// Where frames are sent and received.
    pub engine: Option<Box<Engine>>,
    /// How often SSRCs of ours were drawn anew.
    pub collisions: u64,
}

/// Packets of media. What is sent waits as it is, without protection, in memory of
/// [`Limits::media_queue`](crate::Limits::media_queue) bytes, and is protected when it is taken, in the caller's buffer:
/// there is no other way out of it.
impl Session {
    /// Sends a packet of RTP by a transceiver, with an SSRC of its [encodings](crate::TransceiverInfo::encodings). It
    /// goes out with the next [`poll_transmit`](Self::poll_transmit).
    ///
    /// # Errors
    ///
    /// Why it was not taken.
    pub fn send_rtp(&mut self, now: Instant, id: TransceiverId, packet: &[u8]) -> Result<(), SendMediaError> {
        self.advance(now);
        self.may_send(id, packet)?;
        self.push(Waiting::Rtp, packet)
    }

    /// Writes a packet of RTP, protected, to a batch at once, without waiting anywhere: for whoever forwards within the turn
    /// in which the packet came. [`finish_rtp`](Self::finish_rtp) says where the batch goes; what does not fit behind what
    /// is in it already goes into the next. All else is as with [`send_rtp`](Self::send_rtp), but that what waits there is
    /// not waited for.
    ///
    /// # Errors
    ///
    /// Why it was not written; [`Blocked`](SendMediaError::Blocked) where the batch has no room for it.
    pub fn write_rtp(
        &mut self,
        now: Instant,
        id: TransceiverId,
        packet: &[u8],
        batch: &mut Batch<'_>,
    ) -> Result<(), SendMediaError> {
        self.advance(now);
        self.may_send(id, packet)?;
        let limit = self.max_media_packet().ok_or(SendMediaError::NotConnected)?;
        if self.ending != super::Ending::No {
            return Err(SendMediaError::NotConnected);
        }
        if packet.len() > limit {
            return Err(SendMediaError::TooLarge { limit });
        }
        let transport = self.transport.as_mut().ok_or(SendMediaError::NotConnected)?;
        transport.write_media(self.now, batch, Waiting::Rtp, packet)
    }

    /// Where a batch of [`write_rtp`](Self::write_rtp) goes; `None` if nothing is in it.
    pub fn finish_rtp(&self, batch: &Batch<'_>) -> Option<Transmit> {
        self.transport.as_ref()?.connectivity.finish(batch)
    }

    /// Whether a transceiver may send this.
    fn may_send(&self, id: TransceiverId, packet: &[u8]) -> Result<(), SendMediaError> {
        let transceiver = self.negotiation.transceiver(id).ok_or(SendMediaError::Stopped)?;
        let decoded = Packet::decode(packet).map_err(|_| SendMediaError::Malformed)?;
        if rtp::is_rtcp(packet) {
            return Err(SendMediaError::Malformed);
        }
        if !transceiver.association.current.is_some_and(sdp::Direction::sends) {
            return Err(SendMediaError::NotSending);
        }
        // RFC 3711 §9.1: two senders with one SSRC would encrypt alike.
        let ssrc = decoded.header().ssrc;
        if transceiver.ssrcs().any(|own| own == ssrc) { Ok(()) } else { Err(SendMediaError::UnknownSource) }
    }

    /// Sends a datagram of RTCP.
    ///
    /// # Errors
    ///
    /// Why it was not taken.
    pub fn send_rtcp(&mut self, now: Instant, compound: &[u8]) -> Result<(), SendMediaError> {
        self.advance(now);
        if !rtp::is_rtcp(compound) || rtp::rtcp::Compound::decode(compound).is_err() {
            return Err(SendMediaError::Malformed);
        }
        self.push(Waiting::Rtcp, compound)
    }

    /// The largest packet of RTP or RTCP that is taken, in bytes; `None` where none is yet.
    pub fn max_media_packet(&self) -> Option<usize> {
        self.transport.as_ref().filter(|_| self.media.is_some())?.max_media_packet()
    }

    fn push(&mut self, kind: Waiting, packet: &[u8]) -> Result<(), SendMediaError> {
        let limit = self.max_media_packet().ok_or(SendMediaError::NotConnected)?;
        if self.ending != super::Ending::No {
            return Err(SendMediaError::NotConnected);
        }
        if packet.len() > limit {
            return Err(SendMediaError::TooLarge { limit });
        }
        let media = self.media.as_mut().ok_or(SendMediaError::NotConnected)?;
        if media.queue.push(kind, packet) { Ok(()) } else { Err(SendMediaError::Blocked) }
    }

    /// Takes a datagram that begins like RTP, from a path of the peer's.
    pub(super) fn take_media<'b>(
        &mut self,
        arrival: Arrival,
        path: Path,
        payload: &'b mut [u8],
    ) -> Result<Received<'b>, Discard> {
        let transport = self.transport.as_mut().ok_or(Discard::TooEarly)?;
        let now = self.now.max(arrival.at);
        if rtp::is_rtcp(payload) {
            let compound = transport.open_rtcp(payload)?;
            transport.note_authenticated(now, path);
            if let Some(engine) = self.engine_mut() {
                // A packet in it that cannot be read is counted there.
                let taken = engine.rtp.handle_rtcp(now, compound.bytes());
                engine.refresh(now);
                return taken.map(|()| Received::Frames).map_err(|_| Discard::Malformed);
            }
            return Ok(Received::Rtcp { compound });
        }
        let packet = transport.open_rtp(payload)?;
        transport.note_authenticated(now, path);
        let media = self.media.as_mut().ok_or(Discard::UnknownStream)?;
        let decoded = Packet::decode(packet.bytes()).map_err(|_| Discard::Malformed)?;
        let routed = media.streams.route(&decoded)?;
        if routed.is_new && self.negotiation.avoid(&[(packet.ssrc(), None)], &self.seed).is_some() {
            media.collisions = media.collisions.wrapping_add(1);
            if let Some(engine) = &mut media.engine {
                engine.follow(now, &self.negotiation.transceivers);
            }
        }
        let crate::media::demux::Routed { transceiver, rid, is_repair, .. } = routed;
        if let Some(engine) = &mut media.engine {
            return receive_frame(engine, now, arrival.ecn, transceiver, packet);
        }
        Ok(Received::Rtp { transceiver, rid, is_repair, packet })
    }

    /// A train of packets that wait.
    pub(super) fn send_media(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        let media = self.media.as_mut()?;
        let transport = self.transport.as_mut()?;
        if let Some(engine) = &mut media.engine {
            let sent = transport.send_frames(now, batch, engine);
            if sent.is_some() {
                return sent;
            }
        }
        media.queue.first()?;
        transport.send_media(now, batch, &mut media.queue)
    }

    /// Follows what descriptions have agreed upon, and makes keys once media are to be protected.
    pub(super) fn follow_media(&mut self) {
        if self.media.is_none() && !self.negotiation.has_media() {
            return;
        }
        let limits = &self.config.limits;
        let media = self.media.get_or_insert_with(|| {
            let streams = Streams::new(limits.max_remote_sources);
            Box::new(Media { streams, queue: Queue::new(limits.media_queue), engine: None, collisions: 0 })
        });
        media.streams.follow(&self.negotiation.transceivers);
        self.follow_frames();
        self.protect_media();
    }

    /// Makes the keys of SRTP, once DTLS is up and media are agreed upon (RFC 5764 §4.2).
    pub(super) fn protect_media(&mut self) {
        let Some(transport) = &mut self.transport else { return };
        let is_wanted = self.negotiation.has_media() && transport.dtls_state() == DtlsState::Connected;
        if is_wanted && !transport.protect_media(self.config.limits.max_remote_sources) {
            self.fail(Failure::NoSrtpProfile);
        }
    }

    pub(super) fn forget_media(&mut self, transport: &Transport) {
        // Keys go with their transport; what waits for them is of no use to others.
        if transport.has_srtp()
            && let Some(media) = &mut self.media
        {
            media.queue.clear();
            media.engine = None;
        }
    }
}

/// Gives a packet to what receives for its transceiver.
fn receive_frame<'b>(
    engine: &mut Engine,
    now: Instant,
    ecn: Option<Ecn>,
    transceiver: TransceiverId,
    packet: AuthenticatedRtp<'b>,
) -> Result<Received<'b>, Discard> {
    let receiver = engine.receiver(transceiver).ok_or(Discard::UnknownStream)?;
    let bytes = packet.into_bytes();
    let len = bytes.len();
    let packet = PacketMut::decode(bytes, len).map_err(|_| Discard::Malformed)?;
    let received = engine.rtp.handle_rtp_of(now, ecn, receiver, packet);
    engine.refresh(now);
    Ok(match received.map_err(Discard::Media)? {
        ::media::Received::Consumed => Received::Frames,
        ::media::Received::Packet { stream, number, packet } => {
            Received::Packet { transceiver, stream, number, packet }
        }
    })
}
