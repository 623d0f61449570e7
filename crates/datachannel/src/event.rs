use sctp::CloseReason;

use crate::ChannelId;

/// News for the caller. Events carry no payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The association is up.
    Connected,
    /// The peer has opened a channel. It can be written to at once.
    Incoming(ChannelId),
    /// A channel of ours can be written to: the association is up and it has its stream.
    Open(ChannelId),
    /// A channel that had nothing to read has something. Pull until `None`.
    Readable(ChannelId),
    /// A channel whose `send` was refused has room again.
    Writable(ChannelId),
    /// A channel has ended, in both directions. What was received before can still be read.
    Closed {
        /// Which.
        channel: ChannelId,
        /// What went wrong, if anything did.
        error: Option<ChannelError>,
    },
    /// The association has ended, and with it all channels. The last event, unless another is [begun](crate::Channels::begin_anew).
    Disconnected(CloseReason),
}

/// Why a channel was closed without anyone asking for it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ChannelError {
    /// The peer sent a message larger than [`Config::max_message`](crate::Config::max_message).
    MessageTooLarge,
    /// The peer broke the establishment protocol, or opened a channel on the stream of this one.
    Protocol,
    /// The stream could not be had when the DTLS role was known.
    NoStream,
    /// The association ended, or was begun anew by the peer.
    Disconnected,
}

#[derive(Debug, Default)]
pub(crate) struct Events {
    connected: bool,
    /// Each once, the next at the end: a tree would keep a node of eleven for the one channel that most have.
    channels: Vec<(ChannelId, Kind)>,
    disconnected: Option<CloseReason>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Incoming,
    Open,
    Readable,
    Writable,
    Closed(Option<ChannelError>),
}

impl Events {
    pub(crate) fn connected(&mut self) {
        self.connected = true;
    }

    pub(crate) fn incoming(&mut self, channel: ChannelId) {
        self.add((channel, Kind::Incoming));
    }

    pub(crate) fn open(&mut self, channel: ChannelId) {
        self.add((channel, Kind::Open));
    }

    pub(crate) fn readable(&mut self, channel: ChannelId) {
        self.add((channel, Kind::Readable));
    }

    pub(crate) fn writable(&mut self, channel: ChannelId) {
        self.add((channel, Kind::Writable));
    }

    pub(crate) fn closed(&mut self, channel: ChannelId, error: Option<ChannelError>) {
        self.add((channel, Kind::Closed(error)));
    }

    pub(crate) fn disconnected(&mut self, reason: CloseReason) {
        self.disconnected = Some(reason);
    }

    fn add(&mut self, event: (ChannelId, Kind)) {
        if let Err(place) = self.channels.binary_search_by(|known| event.cmp(known)) {
            self.channels.insert(place, event);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.connected) {
            return Some(Event::Connected);
        }
        if let Some((channel, kind)) = self.channels.pop() {
            return Some(match kind {
                Kind::Incoming => Event::Incoming(channel),
                Kind::Open => Event::Open(channel),
                Kind::Readable => Event::Readable(channel),
                Kind::Writable => Event::Writable(channel),
                Kind::Closed(error) => Event::Closed { channel, error },
            });
        }
        self.disconnected.take().map(Event::Disconnected)
    }
}
