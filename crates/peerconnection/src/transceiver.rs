use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use session::{
    Codec, Content, Direction, EncodedTransform, EncoderLimits, Encoding, EncodingStats, MediaKind,
    Negotiated, OutgoingFrame, Output, PayloadType, ReceiveParameters, RemoteReport, Rid, SendEncoding,
    SendMediaError, SendParameters, SenderEvent, StatsReport, Stop, StreamId, StreamStats, TransceiverError,
    TransceiverId,
};

use crate::Error;
use crate::channel::Waiting;
use crate::connection::{Core, Handle};
use crate::forwarding::{Audience, Feed, begins_key_frame, payload_type};

/// Audio or video, each way (`RTCRtpTransceiver` with its sender and receiver). Cheap to clone; all clones are the same one.
/// It keeps its connection alive.
///
/// Frames are encoded and decoded elsewhere: [`write_frame`](Self::write_frame) takes what an encoder makes, and
/// [`recv`](Self::recv) gives what a decoder takes, in decoding order and in time. [`forward_to`](Self::forward_to) has what
/// comes go out by others; a forwarder that chooses by itself takes packets: [`recv_rtp`](Self::recv_rtp) and
/// [`write_rtp`](Self::write_rtp).
#[derive(Clone)]
pub struct Transceiver {
    handle: Arc<Handle>,
    id: TransceiverId,
    kind: MediaKind,
}

impl Transceiver {
    /// `None` if it is stopped already.
    pub(crate) fn new(handle: Arc<Handle>, id: TransceiverId) -> Option<Self> {
        let kind = handle.with(|core| core.session.transceiver(id).map(|info| info.kind))?;
        Some(Self { handle, id, kind })
    }

    /// Its name within its connection.
    pub const fn id(&self) -> TransceiverId {
        self.id
    }

    pub(crate) const fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// Audio or video.
    pub const fn kind(&self) -> MediaKind {
        self.kind
    }

    /// The name of its media section, once it has one.
    pub fn mid(&self) -> Option<String> {
        self.info(|info| info.mid.map(str::to_owned)).flatten()
    }

    /// The direction that is wanted.
    pub fn direction(&self) -> Direction {
        self.info(|info| info.direction).unwrap_or(Direction::Inactive)
    }

    /// The direction that was agreed upon last.
    pub fn current_direction(&self) -> Option<Direction> {
        self.info(|info| info.current_direction).flatten()
    }

    /// Wants another direction, which the next exchange of descriptions agrees upon.
    ///
    /// # Errors
    ///
    /// It is stopped.
    pub fn set_direction(&self, direction: Direction) -> Result<(), Error> {
        self.command(|core, now, id| core.session.set_direction(now, id, direction))
    }

    /// Has nothing to send any more, and goes on receiving (`removeTrack`).
    ///
    /// # Errors
    ///
    /// It is stopped.
    pub fn remove_track(&self) -> Result<(), Error> {
        self.command(|core, now, id| core.session.remove_track(now, id))
    }

    /// Stops it for good; the next exchange of descriptions tells the peer (`stop`).
    ///
    /// # Errors
    ///
    /// It is stopped already.
    pub fn stop(&self) -> Result<(), Error> {
        self.command(|core, now, id| core.session.stop_transceiver(now, id))
    }

    /// Which codecs the next descriptions have, in this order; none for those of the configuration
    /// (`setCodecPreferences`).
    ///
    /// # Errors
    ///
    /// It is stopped, or a codec is none of the configuration's.
    pub fn set_codec_preferences(&self, codecs: Vec<Codec>) -> Result<(), Error> {
        self.command(|core, _, id| core.session.set_codec_preferences(id, codecs))
    }

    /// The codecs of its kind that this side speaks (`getCapabilities`).
    pub fn codecs(&self) -> Vec<Codec> {
        let kind = self.kind;
        let is_it = |codec: &&Codec| codec.kind == kind;
        self.handle.with(|core| core.session.media_config().codecs.iter().filter(is_it).cloned().collect())
    }

    /// Codecs and header extensions that were agreed upon (`getParameters`).
    pub fn negotiated(&self) -> Option<Arc<Negotiated>> {
        self.info(|info| info.negotiated.cloned()).flatten()
    }

    /// The streams that are sent, with their SSRCs.
    pub fn encodings(&self) -> Vec<Encoding> {
        self.info(|info| info.encodings.to_vec()).unwrap_or_default()
    }

    /// What is sent (`getParameters` of its sender), to be changed and given to [`set_parameters`](Self::set_parameters) before it
    /// is read again.
    ///
    /// # Errors
    ///
    /// It is stopped.
    pub fn parameters(&self) -> Result<SendParameters, Error> {
        Ok(self.handle.with(|core| core.session.sender_parameters(self.id))?)
    }

    /// Changes what is wanted of what is sent (`setParameters`): bitrates, rates of frames, scales, priorities, and whether a
    /// stream is paused. Encoders are told by [`SenderRequest::TargetRate`].
    ///
    /// # Errors
    ///
    /// Other parameters than those that were read last, or what cannot be changed; nothing is changed then.
    pub fn set_parameters(&self, parameters: SendParameters) -> Result<(), Error> {
        self.command(|core, now, id| core.session.set_sender_parameters(now, id, parameters))
    }

    /// What is received (`getParameters` of its receiver).
    ///
    /// # Errors
    ///
    /// It is stopped.
    pub fn receive_parameters(&self) -> Result<ReceiveParameters, Error> {
        Ok(self.handle.with(|core| core.session.receiver_parameters(self.id))?)
    }

    /// Changes what is wanted of what is sent, whatever was read before: names and number stay.
    ///
    /// # Errors
    ///
    /// It is stopped, or other names or more or fewer encodings are given.
    pub fn set_encodings(&self, wanted: Vec<SendEncoding>) -> Result<(), Error> {
        self.command(|core, now, id| core.session.set_encodings(now, id, wanted))
    }

    /// The names of the peer's streams (`MediaStream`) that what is received belongs to.
    pub fn remote_streams(&self) -> Vec<String> {
        self.info(|info| info.remote_streams.to_vec()).unwrap_or_default()
    }

    /// Sends frames with this payload type from now on, one of those that were agreed upon. Gives whether it is one.
    pub fn set_codec(&self, payload_type: PayloadType) -> bool {
        self.handle.with(|core| core.session.set_codec(self.id, payload_type))
    }

    /// Sends a frame, by the stream with this number: 0 where there is but one. It does not wait: media that are late are of
    /// no use.
    ///
    /// # Errors
    ///
    /// Why nothing of it will be sent. After [`Blocked`](SendMediaError::Blocked) a video encoder has to go on with a key
    /// frame.
    pub fn write_frame(&self, encoding: usize, frame: &OutgoingFrame<'_>) -> Result<(), SendMediaError> {
        let now = self.handle.now();
        let sent = self.handle.with(|core| core.session.write_frame(now, self.id, encoding, frame));
        self.handle.notify();
        sent
    }

    /// Sends a payload that is complete, with a payload type of its own: a telephone event, comfort noise.
    ///
    /// # Errors
    ///
    /// As of [`write_frame`](Self::write_frame).
    pub fn write_payload(
        &self,
        payload_type: PayloadType,
        is_marked: bool,
        payload: &OutgoingFrame<'_>,
    ) -> Result<(), SendMediaError> {
        let now = self.handle.now();
        let sent = self
            .handle
            .with(|core| core.session.write_payload(now, self.id, payload_type, is_marked, payload));
        self.handle.notify();
        sent
    }

    /// Lets a transform see and alter each frame that is sent, before it is divided into packets, in place of the one before;
    /// `None`: none any more. [`FrameEncryptor`](crate::FrameEncryptor) encrypts from end to end. It runs where frames are written,
    /// under the connection's lock, and must not call the connection.
    ///
    /// # Errors
    ///
    /// It is stopped.
    pub fn set_send_transform(&self, transform: Option<Box<dyn EncodedTransform>>) -> Result<(), Error> {
        self.command(|core, _, id| core.session.set_send_transform(id, transform))
    }

    /// The same of each frame that comes, once it is whole; one that the transform leaves out is as good as lost, and counted.
    /// [`FrameDecryptor`](crate::FrameDecryptor) decrypts. It runs in [`recv`](Self::recv), likewise.
    ///
    /// # Errors
    ///
    /// It is stopped.
    pub fn set_receive_transform(&self, transform: Option<Box<dyn EncodedTransform>>) -> Result<(), Error> {
        self.command(|core, _, id| core.session.set_receive_transform(id, transform))
    }

    /// Whether tones can be sent (`canInsertDTMF`): it sends audio, the connection is there, and the peer takes telephone
    /// events with the clock of the codec.
    pub fn can_insert_dtmf(&self) -> bool {
        self.handle.with(|core| core.session.can_insert_dtmf(self.id))
    }

    /// Plays tones one after another, in place of those that wait (`insertDTMF`): `0` to `9`, `A` to `D`, `*`, `#`, and
    /// commas for pauses of two seconds. A `duration` is 40 ms to 6 s (usual are 100 ms), a `gap` 30 ms to 6 s (usual are
    /// 70 ms), and others are taken for the nearest of these. Frames that are written while a tone is played are left out.
    ///
    /// # Errors
    ///
    /// Why they are not played; what waits is as it was.
    pub fn insert_dtmf(&self, tones: &str, duration: Duration, gap: Duration) -> Result<(), Error> {
        let now = self.handle.now();
        let done = self.handle.with(|core| core.session.insert_dtmf(now, self.id, tones, duration, gap));
        self.handle.notify();
        Ok(done?)
    }

    /// The tones that wait (`toneBuffer`).
    pub fn tone_buffer(&self) -> String {
        self.handle.with(|core| core.session.tone_buffer(self.id))
    }

    /// The next tone that begins to be played, or that all were played (`tonechange`); `None` once the transceiver is stopped or
    /// the connection closed.
    ///
    /// Cancel safe: news are returned or stay. Only the last is kept.
    pub async fn next_tone(&self) -> Option<ToneChange> {
        poll_fn(|cx| {
            self.handle.with(|core| match core.media_slot(self.id).tone.take() {
                Some(tone) => Poll::Ready(Some(tone)),
                None => core.wait_for_media(self.id, cx, |slot| &mut slot.listeners),
            })
        })
        .await
    }

    /// The next frame; `None` once the transceiver is stopped or the connection closed.
    ///
    /// Cancel safe: a frame is returned or stays. Frames that nobody fetches for a second are dropped.
    pub async fn recv(&self) -> Option<ReceivedFrame> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Self::recv) for those who write futures by hand.
    pub fn poll_recv(&self, cx: &Context<'_>) -> Poll<Option<ReceivedFrame>> {
        let now = self.handle.now();
        let received = self.handle.with(|core| {
            if let Some(wanted) = core.media_slot(self.id).output {
                core.session.set_output(self.id, wanted);
            }
            if let Some(frame) = core.session.poll_frame(now, self.id) {
                let content = match frame.content {
                    Content::Media { bytes, outline, marker, after_loss } => FrameContent::Media {
                        bytes: Bytes::copy_from_slice(bytes),
                        is_key: outline.key_frame,
                        is_marked: marker,
                        is_after_loss: after_loss,
                    },
                    Content::Concealed { duration } => FrameContent::Concealed { duration },
                };
                return Poll::Ready(Some(ReceivedFrame {
                    stream: frame.stream,
                    payload_type: frame.payload_type,
                    timestamp: frame.timestamp.0,
                    playout: frame.playout - now,
                    content,
                }));
            }
            core.wait_for_media(self.id, cx, |slot| &mut slot.readers)
        });
        if received.is_pending() {
            // The worker has to look when the next frame is due.
            self.handle.notify();
        }
        received
    }

    /// Chooses whether frames come, packets, or both; what waits is dropped. Without it frames come, and packets in their place
    /// from the first call of [`recv_rtp`](Self::recv_rtp) on.
    pub fn set_output(&self, output: Output) {
        self.handle.with(|core| {
            core.media_slot(self.id).output = Some(output);
            core.session.set_output(self.id, output);
        });
        self.handle.notify();
    }

    /// The next packet, as its sender sent it, also if it was lost and came again; from the first call on there are no frames
    /// any more, unless [both](Output::Both) are [wanted](Self::set_output). `None` once the transceiver is stopped or the connection closed.
    ///
    /// Cancel safe: a packet is returned or stays. Of more than [`MAX_PACKETS`] that wait the oldest are dropped.
    pub async fn recv_rtp(&self) -> Option<RtpPacket> {
        poll_fn(|cx| {
            self.handle.with(|core| {
                let wanted = core.media_slot(self.id).output.filter(|output| output.has_packets());
                core.session.set_output(self.id, wanted.unwrap_or(Output::Packets));
                core.media_slot(self.id).is_read = true;
                match core.media_slot(self.id).packets.pop_front() {
                    Some(packet) => Poll::Ready(Some(packet)),
                    None => core.wait_for_media(self.id, cx, |slot| &mut slot.readers),
                }
            })
        })
        .await
    }

    /// Forwards a packet that [`recv_rtp`](Self::recv_rtp) of another transceiver gave, by the stream with this number: numbers,
    /// times, header extensions and the payload type are changed to what the peer of this one expects. Streams may take turns, as the layers of
    /// simulcast do: a change should be to a packet that [begins a key frame](RtpPacket::begins_key_frame).
    ///
    /// # Errors
    ///
    /// As of [`write_frame`](Self::write_frame); [`UnknownEncoding`](SendMediaError::UnknownEncoding) also where it was not
    /// agreed upon that the packet's codec is sent here.
    pub fn write_rtp(&self, encoding: usize, packet: &RtpPacket) -> Result<(), SendMediaError> {
        let now = self.handle.now();
        let theirs = packet.negotiated.as_ref().ok_or(SendMediaError::Malformed)?;
        let source = (packet.stream, packet.number);
        let sent =
            self.handle.with(|core| core.forward(now, self.id, encoding, source, &packet.bytes, theirs));
        self.handle.notify();
        sent
    }

    /// What the peer or the path wants of what is sent; `None` once the transceiver is stopped or the connection closed.
    ///
    /// Cancel safe: a request is returned or stays. Of each kind and stream the latest is kept.
    pub async fn next_request(&self) -> Option<SenderRequest> {
        poll_fn(|cx| {
            self.handle.with(|core| match core.media_slot(self.id).requests.pop_front() {
                Some(request) => Poll::Ready(Some(request)),
                None => core.wait_for_media(self.id, cx, |slot| &mut slot.requesters),
            })
        })
        .await
    }

    /// Has a stream that comes go on with a key frame, as soon as one can be had.
    pub fn request_key_frame(&self, stream: StreamId) {
        self.handle.with(|core| core.session.request_key_frame(self.id, stream));
        self.handle.notify();
    }

    /// Plays this and another transceiver of the same peer together (lip-sync): to be called about once a second.
    pub fn synchronize(&self, other: &Self) {
        self.handle.with(|core| core.session.synchronize(self.id, other.id));
    }

    /// Lets a stream go on that its circuit breaker has stopped ([`SenderRequest::Stopped`]).
    pub fn resume(&self, encoding: usize) {
        self.handle.with(|core| core.session.resume_stream(self.id, encoding));
    }

    /// The statistics of W3C that are about what it sends and receives (`getStats` of its sender and its receiver).
    pub fn get_stats(&self) -> StatsReport {
        let now = self.handle.now();
        self.handle.with(|core| core.session.transceiver_statistics(now, self.id))
    }

    /// What is received, stream by stream, with their SSRCs and names.
    pub fn stream_stats(&self) -> Vec<(session::Ssrc, Option<Rid>, StreamStats)> {
        self.handle.with(|core| {
            let stats = core.session.stream_stats(self.id);
            let named = stats.into_iter().filter_map(|(stream, stats)| {
                let (ssrc, rid) = core.session.stream_source(self.id, stream)?;
                Some((ssrc, rid, stats))
            });
            named.collect()
        })
    }

    /// The sources from which packets came in the last ten seconds, the latest first, with how loud they were
    /// (`getSynchronizationSources`).
    pub fn synchronization_sources(&self) -> Vec<RtpSource> {
        let now = self.handle.now();
        let found = self.handle.with(|core| core.session.synchronization_sources(now, self.id));
        found.iter().map(|source| RtpSource::of(source, now)).collect()
    }

    /// The sources that a mixer has named in them (`getContributingSources`). Their levels are there where
    /// [`MediaConfig::extensions`](crate::MediaConfig::extensions) has those of mixers (RFC 6465), and the peer, too.
    pub fn contributing_sources(&self) -> Vec<RtpSource> {
        let now = self.handle.now();
        let found = self.handle.with(|core| core.session.contributing_sources(now, self.id));
        found.iter().map(|source| RtpSource::of(source, now)).collect()
    }

    /// What is sent, stream by stream, and what the peer says of it.
    pub fn encoding_stats(&self) -> Vec<(EncodingStats, RemoteReport)> {
        self.handle
            .with(|core| (0..).map_while(|encoding| core.session.encoding_stats(self.id, encoding)).collect())
    }

    fn info<T>(&self, read: impl FnOnce(session::TransceiverInfo<'_>) -> T) -> Option<T> {
        self.handle.with(|core| core.session.transceiver(self.id).map(read))
    }

    fn command(
        &self,
        command: impl FnOnce(&mut Core, proto::Instant, TransceiverId) -> Result<(), TransceiverError>,
    ) -> Result<(), Error> {
        let now = self.handle.now();
        let done = self.handle.with(|core| command(core, now, self.id));
        self.handle.notify();
        Ok(done?)
    }
}

impl fmt::Debug for Transceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transceiver").field("id", &self.id).field("kind", &self.kind).finish()
    }
}

/// A frame that came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedFrame {
    /// Which of the streams of the transceiver it belongs to.
    pub stream: StreamId,
    /// Of which codec it is.
    pub payload_type: PayloadType,
    /// When its first sample was taken, in ticks of the codec's clock.
    pub timestamp: u32,
    /// In how long it is to be played or shown.
    pub playout: Duration,
    /// The frame, or that it is missing.
    pub content: FrameContent,
}

impl ReceivedFrame {
    /// The frame as a decoder takes it; none where it is missing.
    pub const fn bytes(&self) -> Option<&Bytes> {
        match &self.content {
            FrameContent::Media { bytes, .. } => Some(bytes),
            FrameContent::Concealed { .. } => None,
        }
    }

    /// Whether a decoder can begin with it.
    pub const fn is_key(&self) -> bool {
        matches!(self.content, FrameContent::Media { is_key: true, .. })
    }
}

/// What a frame holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FrameContent {
    /// It came.
    Media {
        /// As a decoder takes it.
        bytes: Bytes,
        /// Whether a decoder can begin with it.
        is_key: bool,
        /// The marker of its last packet: for audio the begin of a talkspurt.
        is_marked: bool,
        /// Something before it is missing.
        is_after_loss: bool,
    },
    /// It did not come: so many ticks of audio are to be made up.
    Concealed {
        /// In ticks of the codec's clock.
        duration: u32,
    },
}

/// A packet that came, for forwarders.
#[derive(Clone, Debug)]
pub struct RtpPacket {
    /// Which of the streams of its transceiver it belongs to.
    pub stream: StreamId,
    /// The name of that stream, if it has one: in simulcast.
    pub rid: Option<Rid>,
    /// Its number there, which does not wrap.
    pub number: u64,
    pub(crate) kind: MediaKind,
    pub(crate) bytes: Bytes,
    pub(crate) negotiated: Option<Arc<Negotiated>>,
}

impl RtpPacket {
    /// The packet (RFC 3550 §5.1).
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Which codec it is of, among those that its sender may use.
    pub fn payload_type(&self) -> Option<PayloadType> {
        payload_type(&self.bytes)
    }

    /// Whether a decoder can begin with it, and with what follows it: a forwarder changes from one stream to another here.
    /// Every packet of audio is such a one.
    pub fn begins_key_frame(&self) -> bool {
        let negotiated = self.negotiated.as_ref();
        negotiated.is_some_and(|negotiated| begins_key_frame(self.kind, negotiated, &self.bytes))
    }
}

/// A source of what came lately (`RTCRtpContributingSource`, `RTCRtpSynchronizationSource`).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RtpSource {
    /// Which.
    pub source: session::Ssrc,
    /// How long ago its last packet came.
    pub age: Duration,
    /// The timestamp of that.
    pub rtp_timestamp: u32,
    /// How loud it was then, from 0, silence, to 1; `None` where that is not told.
    pub audio_level: Option<f64>,
    /// Whether the sender takes it for a voice.
    pub is_voice: Option<bool>,
}

impl RtpSource {
    fn of(source: &session::Contribution, now: proto::Instant) -> Self {
        Self {
            source: source.source,
            age: now - source.at,
            rtp_timestamp: source.timestamp.0,
            audio_level: source.audio_level(),
            is_voice: source.is_voice,
        }
    }
}

/// What is being played of the tones of [`Transceiver::insert_dtmf`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToneChange {
    /// This one begins, or with a comma a pause.
    Began(char),
    /// All were played.
    Done,
}

/// What is wanted of what a transceiver sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SenderRequest {
    /// The peer cannot go on without a key frame.
    KeyFrame {
        /// Of which stream.
        encoding: usize,
    },
    /// An encoder is to be set to this from now on, in bit/s of packets; 0: its stream is switched off.
    TargetRate {
        /// Which stream.
        encoding: usize,
        /// In bit/s.
        bitrate: u64,
        /// Of video: what else it has to keep to.
        limits: EncoderLimits,
    },
    /// Sending was stopped, as it does harm (RFC 8083): see [`Transceiver::resume`].
    Stopped {
        /// Which stream.
        encoding: usize,
        /// Why.
        reason: Stop,
    },
}

impl SenderRequest {
    pub(crate) const fn of(event: SenderEvent) -> Option<Self> {
        match event {
            SenderEvent::KeyFrameWanted { encoding } => Some(Self::KeyFrame { encoding }),
            SenderEvent::Stopped { encoding, reason } => Some(Self::Stopped { encoding, reason }),
            // The estimate heeds it, and tells target rates.
            SenderEvent::BitrateLimit(_) | _ => None,
        }
    }

    /// Whether a later one of this kind takes its place.
    fn is_replaced_by(self, later: Self) -> bool {
        match (self, later) {
            (Self::KeyFrame { encoding }, Self::KeyFrame { encoding: other })
            | (Self::TargetRate { encoding, .. }, Self::TargetRate { encoding: other, .. })
            | (Self::Stopped { encoding, .. }, Self::Stopped { encoding: other, .. }) => encoding == other,
            _ => false,
        }
    }
}

/// What the facade keeps for a transceiver beside the session's own state.
#[derive(Debug, Default)]
pub(crate) struct MediaSlot {
    pub readers: Waiting,
    pub requesters: Waiting,
    pub listeners: Waiting,
    tone: Option<ToneChange>,
    pub packets: VecDeque<RtpPacket>,
    /// What is wanted to come, if anything was said of it.
    pub output: Option<Output>,
    pub forwarded: Option<Forwarded>,
    /// Whether the program fetches packets.
    pub is_read: bool,
    /// By whom its packets are forwarded.
    pub audience: Option<Box<Audience>>,
    /// From where it gets what it forwards, and how much of that was not sent.
    pub feed: Option<Feed>,
    pub not_forwarded: u64,
    requests: VecDeque<SenderRequest>,
}

/// Which codec was forwarded last: of theirs under this payload type, and for it one of ours was chosen.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub theirs: Arc<Negotiated>,
    pub ours: Arc<Negotiated>,
    pub payload_type: PayloadType,
}

impl MediaSlot {
    pub(crate) fn request(&mut self, request: SenderRequest) {
        // One of each kind and stream: as many as that.
        self.requests.retain(|earlier| !earlier.is_replaced_by(request));
        self.requests.push_back(request);
        self.requesters.wake();
    }

    pub(crate) fn begin_tone(&mut self, tone: Option<char>) {
        self.tone = Some(tone.map_or(ToneChange::Done, ToneChange::Began));
        self.listeners.wake();
    }

    pub(crate) fn add_packet(&mut self, packet: RtpPacket) {
        if self.packets.len() >= MAX_PACKETS {
            self.packets.pop_front();
        }
        self.packets.push_back(packet);
        self.readers.wake();
    }

    pub(crate) fn wake_all(&mut self) {
        self.readers.wake();
        self.requesters.wake();
        self.listeners.wake();
    }
}

/// Packets that wait for a forwarder: a second at 8 Mbit/s.
pub const MAX_PACKETS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_packets_wait_as_the_limit_and_of_requests_the_latest() {
        let mut slot = MediaSlot::default();
        let packet = |number| RtpPacket {
            stream: StreamId(0),
            rid: None,
            number,
            kind: MediaKind::Video,
            bytes: Bytes::new(),
            negotiated: None,
        };
        for number in 0..MAX_PACKETS as u64 {
            slot.add_packet(packet(number));
        }
        assert_eq!((slot.packets.len(), slot.packets[0].number), (MAX_PACKETS, 0));
        slot.add_packet(packet(MAX_PACKETS as u64));
        assert_eq!((slot.packets.len(), slot.packets[0].number), (MAX_PACKETS, 1));
        let limits = EncoderLimits::default();
        for bitrate in 0..100 {
            slot.request(SenderRequest::TargetRate { encoding: 0, bitrate, limits });
            slot.request(SenderRequest::TargetRate { encoding: 1, bitrate, limits });
            slot.request(SenderRequest::KeyFrame { encoding: 0 });
        }
        assert_eq!(slot.requests.len(), 3);
        assert_eq!(slot.requests[0], SenderRequest::TargetRate { encoding: 0, bitrate: 99, limits });
    }
}
