use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_core::Stream;
use session::{ConnectionState, GatheringState, IceState, SignalingState, TransceiverId};

use crate::connection::{Connection, Handle};
use crate::waiting::{Waiting, wait_at};
use crate::{DataChannel, Transceiver};

/// What happens to a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The peer opened a channel (`datachannel`).
    DataChannel(DataChannel),
    /// The peer sends audio or video on this transceiver from now on, or what it sends belongs to a further stream (`track`).
    Track(Transceiver),
    /// The peer does not send on this transceiver any more, or it was stopped (`ended`, `mute`).
    TrackRemoved(TransceiverId),
    /// A local candidate was found: tell the peer (`icecandidate`). `None` is the last.
    IceCandidate(Option<IceCandidate>),
    /// The state of the connection as a whole (`connectionstatechange`).
    ConnectionState(ConnectionState),
    /// The state of ICE (`iceconnectionstatechange`).
    IceConnectionState(IceState),
    /// The state of gathering (`icegatheringstatechange`).
    IceGatheringState(GatheringState),
    /// The state of the exchange of descriptions (`signalingstatechange`).
    SignalingState(SignalingState),
    /// Something was added that only an offer can tell the peer, or the path has died and a restart of ICE may find another
    /// (`negotiationneeded`): it is so when this is read.
    NegotiationNeeded,
}

/// A candidate as signalling carries it (`RTCIceCandidateInit`): with the feature `serde`, in JSON as browsers have it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "camelCase", default)
)]
pub struct IceCandidate {
    /// `candidate:…`; empty means that there will be no more.
    pub candidate: String,
    /// The name of its media section.
    pub sdp_mid: Option<String>,
    /// The number of its media section.
    pub sdp_m_line_index: Option<u16>,
    /// The user fragment that it belongs to.
    pub username_fragment: Option<String>,
}

/// The events of one connection, in order: one value with one reader, also a `Stream`. They are kept until
/// they are read; of states that were passed meanwhile the oldest are forgotten past a limit. Once it is dropped nothing is
/// kept, and what comes on channels that nobody has taken from it is dropped, too.
pub struct Events {
    connection: Weak<Connection>,
    handle: Weak<Handle>,
}

impl Events {
    pub(crate) fn new(handle: &Arc<Handle>) -> Self {
        Self { connection: Arc::downgrade(handle.connection()), handle: Arc::downgrade(handle) }
    }

    /// The next event; `None` once the connection is closed and every event was read.
    ///
    /// Cancel safe: an event is returned or stays.
    pub async fn next(&mut self) -> Option<Event> {
        wait_at(self.connection.clone(), |core| Some(&mut core.news.reader), |cx| self.poll(cx)).await
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let Some(connection) = self.connection.upgrade() else { return Poll::Ready(None) };
        let mut core = connection.lock();
        loop {
            match core.news.queue.pop_front() {
                // An exchange that has begun since, or was, has told the peer, or is followed by another request.
                Some(News::Event(Event::NegotiationNeeded)) if !core.session.needs_negotiation() => {}
                Some(News::Event(event)) => return Poll::Ready(Some(event)),
                // A channel handle keeps the connection alive; where nobody holds one any more it is over.
                Some(News::Opened(id)) => {
                    if let Some(handle) = self.handle.upgrade() {
                        drop(core);
                        return Poll::Ready(Some(Event::DataChannel(DataChannel::new(handle, id))));
                    }
                }
                Some(News::Track(id)) => {
                    if let Some(handle) = self.handle.upgrade() {
                        drop(core);
                        if let Some(transceiver) = Transceiver::new(handle, id) {
                            return Poll::Ready(Some(Event::Track(transceiver)));
                        }
                        core = connection.lock();
                    }
                }
                None if core.is_over() => return Poll::Ready(None),
                None => return core.news.reader.wait(cx),
            }
        }
    }
}

impl Drop for Events {
    /// Nobody will take what was not read: channels among it are never read, and must not hold up others.
    fn drop(&mut self) {
        let Some(connection) = self.connection.upgrade() else { return };
        let left = connection.lock().abandon_news(connection.now());
        if let Some(handle) = self.handle.upgrade().filter(|_| left) {
            handle.notify();
        }
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

/// Events that were not read yet.
#[derive(Debug)]
pub(crate) struct NewsQueue {
    queue: VecDeque<News>,
    max_unread: usize,
    is_abandoned: bool,
    pub reader: Waiting,
}

#[derive(Debug)]
enum News {
    Event(Event),
    Opened(session::ChannelId),
    Track(TransceiverId),
}

impl NewsQueue {
    pub(crate) fn new(max_unread: usize) -> Self {
        Self { queue: VecDeque::new(), max_unread, is_abandoned: false, reader: Waiting::default() }
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.add(News::Event(event));
    }

    /// Asks for an offer, once however often it is asked for before that is read.
    pub(crate) fn push_negotiation_needed(&mut self) {
        self.queue.retain(|news| !matches!(news, News::Event(Event::NegotiationNeeded)));
        self.add(News::Event(Event::NegotiationNeeded));
    }

    /// Says whether somebody may take the channel.
    pub(crate) fn push_opened(&mut self, channel: session::ChannelId) -> bool {
        self.add(News::Opened(channel));
        !self.is_abandoned
    }

    /// Nobody reads any more. Gives the channels that nobody has taken.
    pub(crate) fn abandon(&mut self) -> impl Iterator<Item = session::ChannelId> + use<> {
        self.is_abandoned = true;
        let unread = std::mem::take(&mut self.queue).into_iter();
        unread.filter_map(|news| if let News::Opened(channel) = news { Some(channel) } else { None })
    }

    pub(crate) fn push_track(&mut self, transceiver: TransceiverId) {
        self.add(News::Track(transceiver));
    }

    fn add(&mut self, news: News) {
        if self.is_abandoned {
            return;
        }
        if self.queue.len() >= self.max_unread.max(1) {
            // A state that was left since is the least loss; channels and candidates are bounded themselves.
            let stale = self.queue.iter().position(|news| {
                !matches!(news, News::Opened(_) | News::Track(_) | News::Event(Event::IceCandidate(_)))
            });
            self.queue.remove(stale.unwrap_or(0));
        }
        self.queue.push_back(news);
        self.reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_kept_up_to_their_number_and_then_the_oldest_state_is_forgotten() {
        for limit in [2, 4096] {
            let mut news = NewsQueue::new(limit);
            news.push(Event::IceCandidate(None));
            for _ in 1..limit {
                news.push(Event::NegotiationNeeded);
            }
            assert_eq!(news.queue.len(), limit);
            news.push(Event::SignalingState(SignalingState::Stable));
            assert_eq!(news.queue.len(), limit);
            let is_state = |news: &News| matches!(news, News::Event(Event::NegotiationNeeded));
            assert_eq!(news.queue.iter().filter(|news| is_state(news)).count(), limit - 2);
            let ends = (news.queue.pop_front(), news.queue.pop_back());
            let expected = Event::SignalingState(SignalingState::Stable);
            assert!(matches!(ends.0, Some(News::Event(Event::IceCandidate(None)))));
            assert!(
                matches!(ends.1, Some(News::Event(event)) if format!("{event:?}") == format!("{expected:?}"))
            );
        }
    }
}
