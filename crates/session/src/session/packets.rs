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
use crate::transports::TransportId;
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
    /// Those that were recovered are given by [`poll_recovered`](Session::poll_recovered), and numbers that are to be left out where
    /// they are forwarded by [`poll_omitted`](Session::poll_omitted), before this one goes on.
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

/// A packet of RTP that did not come: it was recovered from packets of repair.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RecoveredPacket {
    /// Whose it is.
    pub transceiver: TransceiverId,
    /// Which of its streams.
    pub stream: ::media::StreamId,
    /// Its number there, which does not wrap.
    pub number: u64,
    /// It, as its sender sent it.
    pub bytes: Vec<u8>,
}

/// A number of a stream that holds nothing for those to whom it is forwarded: repair inside of RED (RFC 5109 §14), or an empty packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OmittedPacket {
    /// Whose it is.
    pub transceiver: TransceiverId,
    /// Which of its streams.
    pub stream: ::media::StreamId,
    /// Its number there, which does not wrap.
    pub number: u64,
}

/// What a transport has of media, once it carries any.
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
        let transport = self.may_send(id, packet)?;
        self.push(transport, Waiting::Rtp, packet)
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
        let transport = self.transport_of(id).filter(|transport| transport.media.is_some());
        let transport = transport.ok_or(SendMediaError::NotConnected)?;
        let limit = transport.max_media_packet().ok_or(SendMediaError::NotConnected)?;
        if packet.len() > limit {
            return Err(SendMediaError::TooLarge { limit });
        }
        // What goes elsewhere goes in another batch.
        if self.written != transport.id {
            if !batch.bytes().is_empty() {
                return Err(SendMediaError::Blocked);
            }
            self.written = transport.id;
        }
        let transport = self.transports.get_mut(self.written).ok_or(SendMediaError::NotConnected)?;
        transport.write_media(self.now, batch, Waiting::Rtp, packet)
    }

    /// Where a batch of [`write_rtp`](Self::write_rtp) goes; `None` if nothing is in it.
    pub fn finish_rtp(&self, batch: &Batch<'_>) -> Option<Transmit> {
        self.transports.get(self.written)?.connectivity.finish(batch)
    }

    /// What carries what a transceiver sends and receives.
    pub(super) fn transport_of(&self, id: TransceiverId) -> Option<&Transport> {
        self.transports.get(self.negotiation.transceiver(id)?.association.transport)
    }

    /// Whether a transceiver may send this.
    fn may_send(&self, id: TransceiverId, packet: &[u8]) -> Result<TransportId, SendMediaError> {
        let transceiver = self.negotiation.transceiver(id).filter(|_| self.ending == super::Ending::No);
        let transceiver = transceiver.ok_or(SendMediaError::Stopped)?;
        let decoded = Packet::decode(packet).map_err(|_| SendMediaError::Malformed)?;
        if rtp::is_rtcp(packet) {
            return Err(SendMediaError::Malformed);
        }
        if !transceiver.association.current.is_some_and(sdp::Direction::sends) {
            return Err(SendMediaError::NotSending);
        }
        // RFC 3711 §9.1: two senders with one SSRC would encrypt alike.
        let ssrc = decoded.header().ssrc;
        let is_own = transceiver.ssrcs().any(|own| own == ssrc);
        if is_own { Ok(transceiver.association.transport) } else { Err(SendMediaError::UnknownSource) }
    }

    /// Sends a datagram of RTCP: where sections have transports of their own, by that of the transceiver whose SSRC its
    /// first packet has as its sender's, or else by the first that carries media.
    ///
    /// # Errors
    ///
    /// Why it was not taken.
    pub fn send_rtcp(&mut self, now: Instant, compound: &[u8]) -> Result<(), SendMediaError> {
        let sender = compound.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let is_sender = |ssrc: proto::Ssrc| Some(ssrc.0) == sender;
        let mut transceivers = self.negotiation.transceivers.iter();
        let known = transceivers.find(|transceiver| transceiver.ssrcs().any(is_sender));
        let of_media = || self.transports.iter().find(|transport| transport.media.is_some());
        let transport = known.map(|transceiver| transceiver.association.transport);
        let transport = transport.or_else(|| of_media().map(|transport| transport.id));
        self.push_rtcp(now, transport.ok_or(SendMediaError::NotConnected), compound)
    }

    /// Sends a datagram of RTCP by the transport of a transceiver.
    ///
    /// # Errors
    ///
    /// Why it was not taken.
    pub fn send_rtcp_by(
        &mut self,
        now: Instant,
        id: TransceiverId,
        compound: &[u8],
    ) -> Result<(), SendMediaError> {
        let transceiver = self.negotiation.transceiver(id).ok_or(SendMediaError::Stopped);
        self.push_rtcp(now, transceiver.map(|it| it.association.transport), compound)
    }

    fn push_rtcp(
        &mut self,
        now: Instant,
        transport: Result<TransportId, SendMediaError>,
        compound: &[u8],
    ) -> Result<(), SendMediaError> {
        self.advance(now);
        if !rtp::is_rtcp(compound) || rtp::rtcp::Compound::decode(compound).is_err() {
            return Err(SendMediaError::Malformed);
        }
        self.push(transport?, Waiting::Rtcp, compound)
    }

    /// The largest packet of RTP or RTCP that is taken by every transport that carries media, in bytes; `None` where none
    /// is yet.
    pub fn max_media_packet(&self) -> Option<usize> {
        let carrying = self.transports.iter().filter(|transport| transport.media.is_some());
        carrying.filter_map(Transport::max_media_packet).min()
    }

    fn push(&mut self, id: TransportId, kind: Waiting, packet: &[u8]) -> Result<(), SendMediaError> {
        let transport = self.transports.get_mut(id).ok_or(SendMediaError::NotConnected)?;
        let limit = transport.max_media_packet().ok_or(SendMediaError::NotConnected)?;
        if self.ending != super::Ending::No {
            return Err(SendMediaError::NotConnected);
        }
        if packet.len() > limit {
            return Err(SendMediaError::TooLarge { limit });
        }
        let media = transport.media.as_mut().ok_or(SendMediaError::NotConnected)?;
        if media.queue.push(kind, packet) { Ok(()) } else { Err(SendMediaError::Blocked) }
    }

    /// Takes a datagram that begins like RTP, from a path of the peer's.
    pub(super) fn take_media<'b>(
        &mut self,
        place: usize,
        arrival: Arrival,
        path: Path,
        payload: &'b mut [u8],
    ) -> Result<Received<'b>, Discard> {
        let transport = self.transports.at(place).ok_or(Discard::TooEarly)?;
        let now = self.now.max(arrival.at);
        if rtp::is_rtcp(payload) {
            let compound = transport.open_rtcp(payload)?;
            transport.note_authenticated(now, path);
            if let Some(engine) = transport.engine_mut() {
                // A packet in it that cannot be read is counted there.
                let taken = engine.rtp.handle_rtcp(now, compound.bytes());
                engine.refresh(now);
                return taken.map(|()| Received::Frames).map_err(|_| Discard::Malformed);
            }
            return Ok(Received::Rtcp { compound });
        }
        let packet = transport.open_rtp(payload)?;
        transport.note_authenticated(now, path);
        let media = transport.media.as_mut().ok_or(Discard::UnknownStream)?;
        let decoded = Packet::decode(packet.bytes()).map_err(|_| Discard::Malformed)?;
        let routed = media.streams.route(now, &decoded)?;
        if routed.is_new && self.negotiation.avoid(&[(packet.ssrc(), None)], &self.seed).is_some() {
            media.collisions = media.collisions.wrapping_add(1);
            for transport in self.transports.iter_mut() {
                let id = transport.id;
                if let Some(engine) = transport.engine_mut() {
                    engine.follow(now, &mut self.negotiation.transceivers, id);
                }
            }
        }
        let crate::media::demux::Routed { transceiver, rid, is_repair, .. } = routed;
        if let Some(engine) = self.transports.at(place).and_then(Transport::engine_mut) {
            let received = receive_frame(engine, now, arrival.ecn, transceiver, packet);
            self.has_asides |= engine.has_asides_of(transceiver);
            return received;
        }
        Ok(Received::Rtp { transceiver, rid, is_repair, packet })
    }

    /// A packet that was recovered from packets of repair, of a transceiver whose output is
    /// [packets](::media::Output::Packets): to be drained after each datagram, whatever that was.
    pub fn poll_recovered(&mut self) -> Option<RecoveredPacket> {
        self.poll_aside(Engine::poll_recovered)
    }

    /// A number that forwarders leave out ([`omit_rtp`](Session::omit_rtp)), so that those to whom they forward miss nothing that is
    /// not for them: to be drained after each datagram, before the packet that came goes on. Repair that was lost is told, too, where
    /// pictures have numbers that show it (VP8, VP9).
    pub fn poll_omitted(&mut self) -> Option<OmittedPacket> {
        self.poll_aside(Engine::poll_omitted)
    }

    fn poll_aside<T>(&mut self, poll: impl FnMut(&mut Engine) -> Option<T>) -> Option<T> {
        if !self.has_asides {
            return None;
        }
        let found = self.transports.iter_mut().filter_map(Transport::engine_mut).find_map(poll);
        if found.is_none() {
            self.has_asides = self.transports.iter().filter_map(Transport::engine).any(Engine::has_asides);
        }
        found
    }

    /// Follows what descriptions have agreed upon, and makes keys once media are to be protected.
    pub(super) fn follow_media(&mut self) {
        let limits = &self.config.limits;
        for transport in self.transports.iter_mut() {
            let is_wanted = self.negotiation.carries_media(transport.id);
            if transport.media.is_none() && !is_wanted {
                continue;
            }
            let media = transport.media.get_or_insert_with(|| {
                let streams = Streams::new(limits.max_remote_sources);
                Box::new(Media {
                    streams,
                    queue: Queue::new(limits.media_queue),
                    engine: None,
                    collisions: 0,
                })
            });
            media.streams.follow(&self.negotiation.transceivers, transport.id);
        }
        self.follow_frames();
        self.protect_media();
    }

    /// Makes the keys of SRTP, once DTLS is up and media are agreed upon (RFC 5764 §4.2).
    pub(super) fn protect_media(&mut self) {
        let mut is_lacking = false;
        for transport in self.transports.iter_mut() {
            let is_wanted = self.negotiation.carries_media(transport.id)
                && transport.dtls_state() == DtlsState::Connected;
            is_lacking |= is_wanted && !transport.protect_media(self.config.limits.max_remote_sources);
        }
        if is_lacking {
            self.fail(Failure::NoSrtpProfile);
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
    engine.refresh_receiver(now, transceiver);
    Ok(match received.map_err(Discard::Media)? {
        ::media::Received::Consumed => Received::Frames,
        ::media::Received::Packet { stream, number, packet } => {
            Received::Packet { transceiver, stream, number, packet }
        }
    })
}
