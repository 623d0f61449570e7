//! Frames: what a session does of [`media`](::media) for its transceivers.

mod tones;
mod transforms;

use std::sync::Arc;
use std::time::Duration;

use ::media::{
    Claimant, Contribution, EncodingStats, Frame, OutgoingFrame, Output, RemoteReport, RtpConfig, RtpStats,
    SendError, SharedPacket, StreamId, StreamStats, Tap,
};
use crypto::derive_seed;
use proto::Instant;
use rtp::PayloadType;

use super::Session;
use crate::media::TransceiverId;
use crate::media::engine::Engine;
use crate::negotiation::Negotiation;
use crate::transport::Transport;
use crate::{Event, SendMediaError, TransceiverError};

/// Frames, where [`Config::frames`](crate::Config::frames) says how: divided into packets, sent at the rate that the path
/// carries, asked for again where they are lost, put in order, and reported.
impl Session {
    /// Sends a frame by a stream of a transceiver, of the codec that was agreed upon
    /// ([`set_codec`](Self::set_codec) chooses among several).
    ///
    /// # Errors
    ///
    /// Why nothing of it will be sent. [`Blocked`](SendMediaError::Blocked): more waits than the path takes.
    pub fn write_frame(
        &mut self,
        now: Instant,
        id: TransceiverId,
        encoding: usize,
        frame: &OutgoingFrame<'_>,
    ) -> Result<(), SendMediaError> {
        self.send_by(now, id, |sender, now| sender.send_frame(now, encoding, frame))
    }

    /// Sends a payload that is complete, with a payload type of its own: a telephone event, comfort noise.
    ///
    /// # Errors
    ///
    /// As of [`write_frame`](Self::write_frame).
    pub fn write_payload(
        &mut self,
        now: Instant,
        id: TransceiverId,
        payload_type: PayloadType,
        is_marked: bool,
        payload: &OutgoingFrame<'_>,
    ) -> Result<(), SendMediaError> {
        self.send_by(now, id, |sender, now| sender.send_payload(now, 0, payload_type, is_marked, payload))
    }

    /// Forwards a packet of another session's: it gets the header that the peer expects, and waits for its turn. Its payload is there
    /// for other sessions, too. `source` tells streams apart that take turns, as the layers of simulcast do, and has the packet's
    /// number in its stream, as [`Received::Packet`](crate::Received::Packet) has it.
    ///
    /// # Errors
    ///
    /// As of [`write_frame`](Self::write_frame).
    pub fn forward_rtp(
        &mut self,
        now: Instant,
        id: TransceiverId,
        encoding: usize,
        source: (u32, u64),
        packet: &SharedPacket,
    ) -> Result<(), SendMediaError> {
        self.send_by(now, id, |sender, now| sender.write_rtp(now, encoding, source, packet))
    }

    /// A forwarder leaves a packet out, as [`poll_omitted`](Self::poll_omitted) tells it to, or as it chooses: no gap shall tell the peer
    /// of it. `source` is that of [`forward_rtp`](Self::forward_rtp). Where packets behind it were forwarded already, an empty packet is
    /// sent in its place, as long as what was sent around it is remembered.
    ///
    /// # Errors
    ///
    /// As of [`write_frame`](Self::write_frame).
    pub fn omit_rtp(
        &mut self,
        now: Instant,
        id: TransceiverId,
        encoding: usize,
        source: (u32, u64),
    ) -> Result<(), SendMediaError> {
        self.send_by(now, id, |sender, now| {
            sender.omit_rtp(now, encoding, source);
            Ok(())
        })
    }

    /// Has a transceiver send frames of another codec of those that were agreed upon. Gives whether it was.
    pub fn set_codec(&mut self, id: TransceiverId, payload_type: PayloadType) -> bool {
        self.engine_of(id).is_some_and(|engine| engine.set_codec(id, payload_type))
    }

    /// The next frame of a transceiver, in decoding order, with the instant at which it is to be played.
    pub fn poll_frame(&mut self, now: Instant, id: TransceiverId) -> Option<Frame<'_>> {
        self.advance(now);
        let now = self.now;
        self.engine_of(id)?.poll_frame(now, id)
    }

    /// Whether frames or packets come of a transceiver from now on; what waits is dropped. Gives whether it receives, or will.
    pub fn set_output(&mut self, id: TransceiverId, output: Output) -> bool {
        let now = self.now;
        self.engine_of(id).is_some_and(|engine| engine.set_output(now, id, output))
    }

    /// Holds what comes by a transceiver back for so long, in whole milliseconds, where the path does not ask for more, so that what
    /// comes later is there in time (W3C's `jitterBufferTarget`); `None`: as long as the path asks for. More than a second may need
    /// a larger [`FrameConfig::buffer`](crate::FrameConfig::buffer). It stays through all exchanges of descriptions.
    ///
    /// # Errors
    ///
    /// It is more than four seconds, or the transceiver is stopped.
    pub fn set_jitter_buffer_target(
        &mut self,
        now: Instant,
        id: TransceiverId,
        target: Option<Duration>,
    ) -> Result<(), TransceiverError> {
        self.advance(now);
        let millis = |target: Duration| u16::try_from(target.as_millis()).ok().filter(|it| *it <= MAX_HELD);
        let held = match target {
            Some(target) => Some(millis(target).ok_or(TransceiverError::Range)?),
            None => None,
        };
        self.negotiation.transceiver_mut(id).ok_or(TransceiverError::Stopped)?.extras_mut().held = held;
        let now = self.now;
        if let Some(engine) = self.engine_of(id) {
            engine.set_held(now, id, held);
        }
        Ok(())
    }

    /// What [`set_jitter_buffer_target`](Self::set_jitter_buffer_target) has set.
    ///
    /// # Errors
    ///
    /// The transceiver is stopped.
    pub fn jitter_buffer_target(&self, id: TransceiverId) -> Result<Option<Duration>, TransceiverError> {
        let transceiver = self.negotiation.transceiver(id).ok_or(TransceiverError::Stopped)?;
        let held = transceiver.extras().and_then(|extras| extras.held);
        Ok(held.map(|millis| Duration::from_millis(millis.into())))
    }

    /// Has a stream that comes go on with a key frame, as soon as one can be had.
    pub fn request_key_frame(&mut self, id: TransceiverId, stream: StreamId) {
        let now = self.now;
        if let Some(engine) = self.engine_of(id)
            && let Some(receiver) = engine.receiver(id)
            && let Some(receiver) = engine.rtp.receiver(receiver)
        {
            receiver.request_key_frame(stream);
            engine.refresh(now);
        }
    }

    /// Lets a stream go on that its circuit breaker has stopped: RFC 8083 §4.5 leaves that to the program.
    pub fn resume_stream(&mut self, id: TransceiverId, encoding: usize) {
        if let Some(engine) = self.engine_of(id)
            && let Some(sender) = engine.sender(id)
            && let Some(sender) = engine.rtp.sender(sender)
        {
            sender.resume(encoding);
        }
    }

    /// What two transceivers receive is of one sender, and is played together (lip-sync): to be called about once a second.
    pub fn synchronize(&mut self, one: TransceiverId, other: TransceiverId) {
        let mut found = self.transports.iter_mut().filter_map(Transport::engine_mut).filter_map(|engine| {
            match (engine.receiver(one), engine.receiver(other)) {
                (Some(one), Some(other)) => {
                    engine.rtp.synchronize(one, other);
                    None
                }
                (one, other) => engine.rtp.receiver(one.or(other)?),
            }
        });
        // On two transports.
        if let (Some(one), Some(other)) = (found.next(), found.next()) {
            one.synchronize(other);
        }
        drop(found);
        let now = self.now;
        self.transports.iter_mut().filter_map(Transport::engine_mut).for_each(|engine| engine.refresh(now));
    }

    /// Lets `tap` see and alter packets of media on their way, in place of the one before: on the transport of a transceiver.
    /// Gives whether frames are sent and received there yet, which must be.
    pub fn set_tap_of(&mut self, id: TransceiverId, tap: Option<Box<dyn Tap>>) -> bool {
        self.engine_of(id).map(|engine| engine.rtp.set_tap(tap)).is_some()
    }

    /// Likewise, on the oldest transport that carries media: the only one where everything is bundled.
    pub fn set_tap(&mut self, tap: Option<Box<dyn Tap>>) -> bool {
        let engine = self.transports.iter_mut().find_map(Transport::engine_mut);
        engine.map(|engine| engine.rtp.set_tap(tap)).is_some()
    }

    /// What is received by a transceiver, stream by stream.
    pub fn stream_stats(&mut self, id: TransceiverId) -> Vec<(StreamId, StreamStats)> {
        let Some(engine) = self.engine_of(id) else { return Vec::new() };
        let receiver = engine.receiver(id).and_then(|id| engine.rtp.receiver(id));
        let of = |receiver: &mut ::media::Receiver| {
            let stats = |stream| Some((stream, receiver.stats(stream)?));
            receiver.streams().filter_map(stats).collect()
        };
        receiver.map(of).unwrap_or_default()
    }

    /// The sources from which packets of a transceiver came in the last ten seconds, the latest first, with how loud they were
    /// (W3C WebRTC 1.0 §5.3, `getSynchronizationSources`).
    pub fn synchronization_sources(&mut self, now: Instant, id: TransceiverId) -> Vec<Contribution> {
        self.advance(now);
        let now = self.now;
        self.receiver_mut(id).map(|receiver| receiver.synchronization_sources(now)).unwrap_or_default()
    }

    /// The sources that a mixer has named in them (`getContributingSources`), with their levels (RFC 6465) where that extension
    /// was agreed upon.
    pub fn contributing_sources(&mut self, now: Instant, id: TransceiverId) -> Vec<Contribution> {
        self.advance(now);
        let now = self.now;
        self.receiver_mut(id).map(|receiver| receiver.contributing_sources(now)).unwrap_or_default()
    }

    /// The source and the name of a stream that is received.
    pub fn stream_source(
        &mut self,
        id: TransceiverId,
        stream: StreamId,
    ) -> Option<(rtp::Ssrc, Option<rtp::Rid>)> {
        let engine = self.engine_of(id)?;
        let receiver = engine.receiver(id)?;
        engine.rtp.receiver(receiver)?.source_of(stream)
    }

    /// What is sent by a stream of a transceiver, and what the peer says of it.
    pub fn encoding_stats(
        &mut self,
        id: TransceiverId,
        encoding: usize,
    ) -> Option<(EncodingStats, RemoteReport)> {
        let engine = self.engine_of(id)?;
        let sender = engine.sender(id)?;
        let sender = engine.rtp.sender(sender)?;
        Some((sender.stats(encoding)?, sender.remote(encoding)?))
    }

    /// Figures of all media, and what the path is thought to carry, in bit/s; `None` where no frames are sent or received.
    /// Of several transports they are added up; round trips are those of the oldest that knows of any.
    pub fn rtp_stats(&self) -> Option<(RtpStats, Option<u64>)> {
        let engines = self.transports.iter().filter_map(Transport::engine);
        let each = engines.map(|engine| (engine.rtp.stats(), engine.rtp.target()));
        each.reduce(|(all, target), (stats, more)| {
            let target = target.into_iter().chain(more).reduce(u64::saturating_add);
            (all.plus(stats), target)
        })
    }

    fn send_by(
        &mut self,
        now: Instant,
        id: TransceiverId,
        send: impl FnOnce(&mut ::media::Sender, Instant) -> Result<(), SendError>,
    ) -> Result<(), SendMediaError> {
        self.advance(now);
        let now = self.now;
        let transceiver = self.negotiation.transceiver(id).filter(|_| self.ending == super::Ending::No);
        let transceiver = transceiver.ok_or(SendMediaError::Stopped)?;
        if !transceiver.association.current.is_some_and(sdp::Direction::sends) {
            return Err(SendMediaError::NotSending);
        }
        // What nobody can take is not kept.
        let transport = self.transports.get_mut(transceiver.association.transport);
        let transport = transport.ok_or(SendMediaError::NotConnected)?;
        let (own, forwarded) = transport.packet_limits().ok_or(SendMediaError::NotConnected)?;
        let engine = transport.engine_mut().ok_or(SendMediaError::UnknownEncoding)?;
        engine.set_max_packet(own, forwarded);
        let sender = engine.sender(id).and_then(|id| engine.rtp.sender(id));
        let sender = sender.ok_or(SendMediaError::UnknownEncoding)?;
        // Behind what waits already nothing becomes due any earlier.
        let was_waiting = sender.is_waiting();
        let sent = send(sender, now);
        if !was_waiting {
            engine.look_at(now);
        }
        sent.map_err(|error| match error {
            SendError::Blocked => SendMediaError::Blocked,
            SendError::UnknownEncoding => SendMediaError::UnknownEncoding,
            SendError::Inactive => SendMediaError::Inactive,
            SendError::Refused => SendMediaError::LeftOut,
            SendError::TooLong | SendError::Late | SendError::Frame(_) | SendError::Edit(_) | _ => {
                SendMediaError::Frame(error)
            }
        })
    }

    /// What sends for a transceiver.
    fn sender_mut(&mut self, id: TransceiverId) -> Option<&mut ::media::Sender> {
        let engine = self.engine_of(id)?;
        let sender = engine.sender(id)?;
        engine.rtp.sender(sender)
    }

    /// What receives for a transceiver.
    fn receiver_mut(&mut self, id: TransceiverId) -> Option<&mut ::media::Receiver> {
        let engine = self.engine_of(id)?;
        let receiver = engine.receiver(id)?;
        engine.rtp.receiver(receiver)
    }

    /// The machines that a transceiver's frames are with.
    pub(super) fn engine_of(&mut self, id: TransceiverId) -> Option<&mut Engine> {
        let transport = self.negotiation.transceiver(id)?.association.transport;
        self.transports.get_mut(transport)?.engine_mut()
    }

    /// Makes the machines once media are agreed upon, and has them follow what descriptions say.
    pub(super) fn follow_frames(&mut self) {
        let Some(frames) = &self.config.frames else { return };
        for transport in self.transports.iter_mut() {
            let id = transport.id;
            if let Some(engine) = transport.engine_mut() {
                engine.release(&mut self.negotiation.transceivers, Some(id));
            }
        }
        for transport in self.transports.iter_mut() {
            let id = transport.id;
            let carries_media = self.negotiation.carries_media(id);
            let Some(media) = &mut transport.media else { continue };
            if media.engine.is_none() && carries_media {
                let mut config = RtpConfig::new(self.wall_clock, &Negotiation::cname(&self.seed));
                // Those of ours, and as many as the peer's descriptions can have.
                config.max_sections = self.config.limits.max_transceivers.saturating_add(MAX_SECTIONS);
                // The first draws as if there were no others.
                let name = if id.0 == 0 { "rtp".to_owned() } else { format!("rtp {id}") };
                let seed = derive_seed(self.seed.expose(), &name);
                media.engine = Some(Box::new(Engine::new(Arc::clone(frames), config, seed)));
            }
            if let Some(engine) = &mut media.engine {
                engine.follow(self.now, &mut self.negotiation.transceivers, id);
            }
        }
    }

    pub(super) fn poll_frames_event(&mut self) -> Option<Event> {
        let now = self.now;
        self.transports.iter_mut().filter_map(Transport::engine_mut).find_map(|it| poll_engine(it, now))
    }
}

fn poll_engine(engine: &mut Engine, now: Instant) -> Option<Event> {
    while let Some(event) = engine.rtp.poll_event(now) {
        let told = match event {
            ::media::Event::Receiver(id, event) => {
                engine.of_receiver(id).map(|id| Event::Receiver(id, event))
            }
            ::media::Event::Sender(id, event) => engine.of_sender(id).map(|id| Event::Sender(id, event)),
            ::media::Event::Bandwidth(bitrate) => Some(Event::Bandwidth(bitrate)),
            ::media::Event::TargetRate { claimant: Claimant::Stream(id, encoding), bitrate } => {
                engine.tell_rate(id, encoding, bitrate)
            }
            // Collisions are resolved where packets are told apart.
            ::media::Event::TargetRate { .. } | ::media::Event::Collision(_) | _ => None,
        };
        if told.is_some() {
            engine.refresh(now);
            return told;
        }
    }
    engine.refresh(now);
    engine.poll_limited().or_else(|| engine.poll_ready(now).map(Event::FrameReadable))
}

/// In milliseconds: what W3C allows for `jitterBufferTarget`.
const MAX_HELD: u16 = 4000;
/// Sections of a description: see [`sdp::Limits`].
const MAX_SECTIONS: usize = 256;
