use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use session::{ChannelId, ChannelState, Outgoing, StatsReport};

use crate::connection::{Connection, Handle};
use crate::waiting::{Waiting, wait_at};
use crate::{ChannelIo, SendError};

/// A message of a data channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// Text. What is received is checked to be UTF-8.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// The message as bytes, whatever its kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// A data channel. Cheap to clone; all clones are the same channel. It is also a `Stream` and a `Sink` of
/// [`Message`], and by [`into_io`](Self::into_io) an `AsyncRead` and `AsyncWrite`.
///
/// It keeps its connection alive, and does not close when it is dropped: call [`close`](Self::close). What comes for a
/// channel whose last handle was dropped is dropped, too. One that is kept has to be read: what nobody reads fills the
/// receive window of the connection (1 MiB), and then its other channels wait as well.
///
/// A file, with its progress:
///
/// ```no_run
/// # async fn upload(channel: peerline::DataChannel, mut file: std::fs::File) -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Read as _;
///
/// let (mut piece, mut taken) = (vec![0; 16 * 1024], 0);
/// loop {
///     let len = file.read(&mut piece)?;
///     if len == 0 {
///         break;
///     }
///     // As long as there is no room it waits.
///     channel.send(piece[..len].to_vec()).await?;
///     taken += len;
///     println!("{} bytes are on their way", taken - channel.buffered_amount());
/// }
/// channel.delivered().await?;
/// channel.close();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DataChannel {
    shared: Arc<Shared>,
}

/// What all handles of a channel share.
struct Shared {
    handle: Arc<Handle>,
    id: ChannelId,
    label: Box<str>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let now = self.handle.now();
        if self.handle.with(|core| core.leave_channel(now, self.id)) {
            self.handle.notify();
        }
    }
}

impl DataChannel {
    pub(crate) fn new(handle: Arc<Handle>, id: ChannelId) -> Self {
        let label = handle.with(|core| core.session.channel(id).map(|info| info.label.to_owned()));
        Self { shared: Arc::new(Shared { handle, id, label: label.unwrap_or_default().into() }) }
    }

    /// The label that its opener gave it.
    pub fn label(&self) -> &str {
        &self.shared.label
    }

    /// The subprotocol that its opener gave it.
    pub fn protocol(&self) -> String {
        self.info(|info| info.protocol.to_owned()).unwrap_or_default()
    }

    /// The stream identifier, once it is known.
    pub fn id(&self) -> Option<u16> {
        self.info(|info| info.stream).flatten()
    }

    /// Whether messages arrive in the order in which they were sent.
    pub fn ordered(&self) -> bool {
        self.info(|info| info.ordered).unwrap_or(true)
    }

    /// How often a message is sent again at the most, if that is limited.
    pub fn max_retransmits(&self) -> Option<u16> {
        self.info(|info| info.max_retransmits).flatten()
    }

    /// For how many milliseconds a message is sent again at the most, if that is limited.
    pub fn max_packet_life_time(&self) -> Option<u16> {
        self.info(|info| info.max_packet_life_time).flatten()
    }

    /// Whether both sides made the channel by agreement, without a message that opens it.
    pub fn negotiated(&self) -> bool {
        self.info(|info| info.negotiated).unwrap_or_default()
    }

    /// How far the channel is.
    pub fn state(&self) -> ChannelState {
        self.shared.handle.with(|core| core.channel_state(self.shared.id))
    }

    /// Bytes handed over that wait to be sent for the first time (`bufferedAmount`). [`drained_to`](Self::drained_to) waits until they
    /// are few.
    pub fn buffered_amount(&self) -> usize {
        self.shared.handle.with(|core| core.buffered(self.shared.id))
    }

    /// Waits until no more than `threshold` bytes that were handed over wait to be sent for the first time
    /// (`bufferedAmountLowThreshold` and `bufferedamountlow`).
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if more of them wait and the channel has closed, so that they never will be sent.
    pub async fn drained_to(&self, threshold: usize) -> Result<(), SendError> {
        self.wait(
            |slot| &mut slot.drainers,
            |cx| {
                self.shared.handle.with(|core| {
                    if core.buffered(self.shared.id) <= threshold {
                        return Poll::Ready(Ok(()));
                    }
                    let state = core.session.channel(self.shared.id).map(|info| info.state);
                    if core.is_over() || matches!(state, Some(ChannelState::Closed) | None) {
                        return Poll::Ready(Err(SendError::Closed));
                    }
                    core.wait_for_drain(self.shared.id, threshold, cx)
                })
            },
        )
        .await
    }

    /// Waits until the peer has acknowledged everything that was handed over: then the connection may be closed, and
    /// nothing of it is lost. It is ready, too, when the peer has closed the channel, which then takes nothing more.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection has ended before.
    pub async fn delivered(&self) -> Result<(), SendError> {
        self.wait(|slot| &mut slot.flushers, |cx| self.poll_flushed(cx)).await
    }

    /// Waits until the channel is open.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if it closed instead.
    pub async fn opened(&self) -> Result<(), SendError> {
        self.wait(
            |slot| &mut slot.openers,
            |cx| {
                self.shared.handle.with(|core| match core.channel_state(self.shared.id) {
                    ChannelState::Open => Poll::Ready(Ok(())),
                    ChannelState::Connecting => core.slot(self.shared.id).openers.wait(cx),
                    ChannelState::Closing | ChannelState::Closed => Poll::Ready(Err(SendError::Closed)),
                })
            },
        )
        .await
    }

    /// Hands a message over, waiting until the channel has room for it. What was handed over is sent even
    /// if nobody waits for it any more, as long as there is the connection: [`delivered`](Self::delivered) tells when it
    /// may end.
    ///
    /// Cancel safe: dropped before it is ready, nothing of the message was handed over.
    ///
    /// # Errors
    ///
    /// The channel is closed, or the message is larger than the peer takes.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        self.wait(|slot| &mut slot.writers, |cx| self.poll_send(cx, &message)).await
    }

    /// Hands a message over if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`SendError::WouldBlock`] if there is none; otherwise those of [`send`](Self::send).
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let sent = self
            .shared
            .handle
            .with(|core| Connection::send(core, self.shared.handle.now(), self.shared.id, &message));
        self.shared.handle.notify();
        sent
    }

    /// The next message; `None` once the channel has closed and everything was received. A connection that has failed may
    /// come back by a restart of ICE, so that it goes on waiting until that is [closed](crate::PeerConnection::close).
    ///
    /// Cancel safe: a message is returned or stays.
    pub async fn recv(&self) -> Option<Message> {
        self.wait(|slot| &mut slot.readers, |cx| self.poll_recv(cx)).await
    }

    /// The statistics of W3C that are about this channel; none once it is closed and was read to its end.
    pub fn get_stats(&self) -> StatsReport {
        let now = self.shared.handle.now();
        self.shared.handle.with(|core| core.session.channel_statistics(now, self.shared.id))
    }

    /// Closes the channel once everything handed over has been delivered; from now on it takes nothing more, and whoever
    /// waits for that learns it. Idempotent.
    pub fn close(&self) {
        let now = self.shared.handle.now();
        self.shared.handle.with(|core| core.close_channel(now, self.shared.id));
        self.shared.handle.notify();
    }

    /// The channel as a stream of bytes: each write is a binary message, and what arrives is read without
    /// regard to where messages end.
    pub fn into_io(self) -> ChannelIo {
        ChannelIo::new(self)
    }

    /// [`send`](Self::send) for those who write futures by hand.
    pub fn poll_send(&self, cx: &mut Context<'_>, message: &Message) -> Poll<Result<(), SendError>> {
        let sent = self.shared.handle.with(|core| {
            match Connection::send(core, self.shared.handle.now(), self.shared.id, message) {
                Err(SendError::WouldBlock | SendError::NotOpen) => core.wait_for_room(self.shared.id, cx),
                sent => Poll::Ready(sent),
            }
        });
        if sent.is_ready() {
            self.shared.handle.notify();
        }
        sent
    }

    /// Whether everything handed over has been sent and acknowledged.
    pub(crate) fn poll_flushed(&self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.shared.handle.with(|core| {
            match core.session.channel(self.shared.id).map(|info| info.state) {
                // A channel that is gone was closed when everything had arrived; one that has ended with its
                // connection may have lost something.
                None => Poll::Ready(Ok(())),
                Some(ChannelState::Closed) => Poll::Ready(Err(SendError::Closed)),
                Some(_) if core.is_delivered(self.shared.id) => Poll::Ready(Ok(())),
                Some(_) if core.is_over() => Poll::Ready(Err(SendError::Closed)),
                Some(_) => core.wait_for_delivery(self.shared.id, cx),
            }
        })
    }

    /// [`recv`](Self::recv) for those who write futures by hand.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let now = self.shared.handle.now();
        let (received, to_tell) = self.shared.handle.with(|core| core.receive(now, self.shared.id, cx));
        if to_tell {
            self.shared.handle.notify();
        }
        received
    }

    async fn wait<T>(
        &self,
        which: impl Fn(&mut Slot) -> &mut Waiting,
        poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> T {
        let connection = Arc::downgrade(self.shared.handle.connection());
        wait_at(connection, |core| core.known_slot(self.shared.id).map(&which), poll).await
    }

    fn info<T>(&self, read: impl FnOnce(session::ChannelInfo<'_>) -> T) -> Option<T> {
        self.shared.handle.with(|core| core.session.channel(self.shared.id).map(read))
    }
}

impl fmt::Debug for DataChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataChannel")
            .field("label", &self.shared.label)
            .field("state", &self.state())
            .finish()
    }
}

impl Stream for DataChannel {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_recv(cx)
    }
}

impl Sink<Message> for DataChannel {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.shared.handle.with(|core| match core.has_room(self.shared.id) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) | Err(SendError::NotOpen) => core.wait_for_room(self.shared.id, cx),
            Err(error) => Poll::Ready(Err(error)),
        })
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        self.try_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_flushed(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.poll_flushed(cx))?;
        self.close();
        Poll::Ready(Ok(()))
    }
}

/// What the facade keeps for a channel beside the session's own state.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub readers: Waiting,
    pub openers: Waiting,
    pub writers: Waiting,
    pub flushers: Waiting,
    pub drainers: Waiting,
    /// The most bytes that any of these waits for.
    pub drain_limit: usize,
    /// The rest of a message that the association had no room for: at most one.
    pub unsent: Option<Outgoing>,
    /// Close the channel as soon as that rest has been handed over.
    pub close_when_sent: bool,
    /// Nobody can read it any more.
    pub is_left: bool,
    /// The beginning of a message whose end has not arrived; the session limits its size.
    partial: BytesMut,
}

impl Slot {
    pub(crate) fn wake_all(&mut self) {
        self.readers.wake();
        self.openers.wake();
        self.writers.wake();
        self.flushers.wake();
        self.drainers.wake();
    }

    pub(crate) fn unsent_len(&self) -> usize {
        self.unsent.as_ref().map_or(0, |rest| rest.remaining().len())
    }

    /// Adds a piece; returns the message that it ends.
    pub(crate) fn assemble(&mut self, piece: session::Incoming) -> Option<Message> {
        if piece.abandoned {
            // The sender gave the message up (RFC 3758): what came of it is none.
            self.partial = BytesMut::new();
            return None;
        }
        let bytes = if self.partial.is_empty() && piece.end {
            piece.data
        } else {
            self.partial.extend_from_slice(&piece.data);
            if !piece.end {
                return None;
            }
            std::mem::take(&mut self.partial).freeze()
        };
        Some(match piece.kind {
            session::MessageKind::Binary => Message::Binary(bytes),
            // RFC 8831 §6.6 has text be UTF-8; what is not becomes legible all the same.
            session::MessageKind::Text => Message::Text(match String::from_utf8(bytes.into()) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use session::{Incoming, MessageKind};

    use super::*;

    fn piece(text: &'static str, end: bool, abandoned: bool) -> Incoming {
        Incoming { kind: MessageKind::Text, data: Bytes::from_static(text.as_bytes()), end, abandoned }
    }

    /// RFC 3758 §3.6: of a message that its sender has given up nothing is handed out.
    #[test]
    fn a_message_that_was_given_up_in_the_middle_is_none() {
        let mut slot = Slot::default();
        assert_eq!(slot.assemble(piece("half of ", false, false)), None);
        assert_eq!(slot.assemble(piece("", true, true)), None);
        assert_eq!(slot.assemble(piece("", true, true)), None, "nor one of which nothing was read");
        assert_eq!(slot.assemble(piece("the ", false, false)), None);
        assert_eq!(slot.assemble(piece("next", true, false)), Some("the next".into()));
    }
}
