mod received;
mod request;
mod slot;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use session::{
    Codec, ConnectionState, Content, Direction, EncodedTransform, Encoding, EncodingStats, ExtensionKind,
    MediaKind, Negotiated, OutgoingFrame, Output, PayloadType, ReceiveParameters, RemoteReport, Rid,
    SendEncoding, SendMediaError, SendParameters, StatsReport, StreamId, StreamStats, TransceiverError,
    TransceiverId,
};

pub use self::received::{FrameContent, ReceivedFrame, RtpPacket, RtpSource};
pub use self::request::{SenderRequest, ToneChange};
pub use self::slot::MAX_PACKETS;
pub(crate) use self::slot::{KnownCodec, MediaSlot};
use crate::Error;
use crate::connection::{Core, Handle};
use crate::waiting::{Waiting, wait_at};

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

    /// Whether it was stopped, or its connection closed. The next exchange of descriptions tells the peer.
    pub fn is_stopped(&self) -> bool {
        let is_closed = self.handle.with(|core| core.session.connection_state() == ConnectionState::Closed);
        is_closed || self.info(|info| info.is_stopping).unwrap_or(true)
    }

    /// Stops it for good; the next exchange of descriptions tells the peer (`stop`). What is forwarded to it or of it ends at once. One
    /// that is stopped stays so.
    ///
    /// # Errors
    ///
    /// The connection is closed.
    pub fn stop(&self) -> Result<(), Error> {
        let stopped = self.command(|core, now, id| {
            core.session.stop_transceiver(now, id)?;
            core.end_forwarding(id);
            // One that no description knows of is gone already.
            core.forget_stopped();
            Ok(())
        });
        self.handle.run_errands();
        stopped
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

    /// Which header extensions the next descriptions have, of those that this side speaks (`setHeaderExtensionsToNegotiate`).
    ///
    /// # Errors
    ///
    /// It is stopped, one is none of the configuration's, or the name of the section is left out.
    pub fn set_header_extensions(&self, wanted: Vec<ExtensionKind>) -> Result<(), Error> {
        self.command(|core, _, id| core.session.set_header_extensions(id, wanted))
    }

    /// The header extensions that the next descriptions have (`getHeaderExtensionsToNegotiate`); none once it is stopped. Those that
    /// were agreed upon are in [`negotiated`](Self::negotiated).
    pub fn header_extensions(&self) -> Vec<ExtensionKind> {
        self.handle.with(|core| core.session.header_extensions(self.id)).unwrap_or_default()
    }

    /// The names of the streams (`MediaStream`) that what is sent belongs to.
    pub fn streams(&self) -> Vec<String> {
        self.info(|info| info.streams.to_vec()).unwrap_or_default()
    }

    /// Says to which streams what is sent belongs (`setStreams`), which the next exchange of descriptions tells the peer.
    ///
    /// # Errors
    ///
    /// It is stopped, the connection is closed, or the names are none.
    pub fn set_streams(&self, streams: &[&str]) -> Result<(), Error> {
        let streams = streams.iter().map(|&name| name.to_owned()).collect();
        self.command(|core, now, id| core.session.set_streams(now, id, streams))
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

    /// Holds what comes back for so long, in whole milliseconds and four seconds at most, where the path does not ask for more
    /// (`jitterBufferTarget`); `None`: as long as the path asks for. More than a second may need a larger
    /// [`FrameConfig::buffer`](crate::FrameConfig::buffer).
    ///
    /// # Errors
    ///
    /// It is more than four seconds, or the transceiver is stopped.
    pub fn set_jitter_buffer_target(&self, target: Option<Duration>) -> Result<(), Error> {
        self.command(|core, now, id| core.session.set_jitter_buffer_target(now, id, target))
    }

    /// What [`set_jitter_buffer_target`](Self::set_jitter_buffer_target) has set.
    pub fn jitter_buffer_target(&self) -> Option<Duration> {
        self.handle.with(|core| core.session.jitter_buffer_target(self.id)).ok().flatten()
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
        self.wait(
            |slot| &mut slot.listeners,
            |cx| {
                self.handle.with(|core| match core.media_slot(self.id).tone.take() {
                    Some(tone) => Poll::Ready(Some(tone)),
                    None => core.wait_for_media(self.id, cx, |slot| &mut slot.listeners),
                })
            },
        )
        .await
    }

    /// The next frame; `None` once the transceiver is stopped or the connection closed.
    ///
    /// Cancel safe: a frame is returned or stays. Frames that nobody fetches for a second are dropped.
    pub async fn recv(&self) -> Option<ReceivedFrame> {
        self.wait(|slot| &mut slot.readers, |cx| self.poll_recv(cx)).await
    }

    async fn wait<T>(
        &self,
        which: impl Fn(&mut MediaSlot) -> &mut Waiting,
        poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> T {
        let connection = Arc::downgrade(self.handle.connection());
        wait_at(connection, |core| core.media.get_mut(&self.id).map(&which), poll).await
    }

    /// [`recv`](Self::recv) for those who write futures by hand.
    pub fn poll_recv(&self, cx: &Context<'_>) -> Poll<Option<ReceivedFrame>> {
        let now = self.handle.now();
        let received = self.handle.with(|core| {
            core.media_slot(self.id).is_watched = true;
            core.follow_output(self.id);
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
            let slot = core.media_slot(self.id);
            (slot.output, slot.is_read) = (Some(output), slot.is_read && output.has_packets());
            core.follow_output(self.id);
        });
        self.handle.notify();
    }

    /// The next packet, as its sender sent it, also if it was lost and came again; from the first call on there are no frames
    /// any more, unless [both](Output::Both) are [wanted](Self::set_output). `None` once the transceiver is stopped or the connection closed.
    ///
    /// Cancel safe: a packet is returned or stays. Of more than [`MAX_PACKETS`] that wait the oldest are dropped.
    pub async fn recv_rtp(&self) -> Option<RtpPacket> {
        self.wait(
            |slot| &mut slot.readers,
            |cx| {
                self.handle.with(|core| {
                    core.media_slot(self.id).is_read = true;
                    core.follow_output(self.id);
                    match core.media_slot(self.id).packets.pop_front() {
                        Some(packet) => Poll::Ready(Some(packet)),
                        None => core.wait_for_media(self.id, cx, |slot| &mut slot.readers),
                    }
                })
            },
        )
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
        let (source, theirs) = ((packet.stream.0, packet.number), &packet.negotiated);
        let sent = self.handle.with(|core| {
            core.omit_before(now, self.id, encoding, packet);
            core.forward(now, self.id, encoding, source, &packet.packet, theirs)
        });
        self.handle.notify();
        sent
    }

    /// Leaves out a packet that [`write_rtp`](Self::write_rtp) would forward, as of a temporal layer that is too much for the peer: no gap
    /// shall tell it of that. What holds no media, as repair does, is left out without it. Packets of streams of which nothing was
    /// forwarded yet need not be told of.
    ///
    /// # Errors
    ///
    /// As of [`write_frame`](Self::write_frame).
    pub fn omit_rtp(&self, encoding: usize, packet: &RtpPacket) -> Result<(), SendMediaError> {
        let now = self.handle.now();
        let omitted = self.handle.with(|core| {
            core.omit_before(now, self.id, encoding, packet);
            core.session.omit_rtp(now, self.id, encoding, (packet.stream.0, packet.number))
        });
        self.handle.notify();
        omitted
    }

    /// What the peer or the path wants of what is sent; `None` once the transceiver is stopped or the connection closed.
    ///
    /// Cancel safe: a request is returned or stays. Of each kind and stream the latest is kept.
    pub async fn next_request(&self) -> Option<SenderRequest> {
        self.wait(
            |slot| &mut slot.requesters,
            |cx| {
                self.handle.with(|core| match core.media_slot(self.id).requests.pop_front() {
                    Some(request) => Poll::Ready(Some(request)),
                    None => core.wait_for_media(self.id, cx, |slot| &mut slot.requesters),
                })
            },
        )
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
