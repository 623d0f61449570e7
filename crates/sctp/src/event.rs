use std::collections::BTreeSet;
use std::fmt;

use crate::StreamId;

/// News for the caller. Events carry no payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is done: data can flow.
    Connected,
    /// The peer lost the association and made it anew (RFC 9260 §5.2.4.1): what was queued or in flight
    /// either way is lost, and all streams are as if just opened.
    Restarted,
    /// A stream that had nothing to read has something. Pull until `None`.
    Readable(StreamId),
    /// A stream whose `send` was refused has room again.
    Writable(StreamId),
    /// A direction of a stream was reset (RFC 6525).
    Reset {
        /// Which stream.
        stream: StreamId,
        /// Which direction of it.
        direction: Direction,
    },
    /// The association has ended. The last event.
    Closed(CloseReason),
}

/// A direction of a stream, seen from this end.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// From the peer: it will send nothing more on this stream.
    Incoming,
    /// To the peer: it has seen all that we sent and the end of it.
    Outgoing,
}

/// Why an association ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Both sides have sent and acknowledged everything (RFC 9260 §9.2).
    Shutdown,
    /// This side aborted.
    Aborted,
    /// The peer aborted, with this cause code, or zero if it gave none (RFC 9260 §3.3.10).
    PeerAborted {
        /// The first error cause.
        cause: u16,
    },
    /// The peer did not complete the handshake in time.
    HandshakeTimedOut,
    /// The peer acknowledged nothing for too long.
    TimedOut,
    /// The peer broke the protocol, and was told so by an ABORT.
    Violation(Violation),
}

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Violation {
    /// It acknowledged a TSN that was never sent.
    UnsentAcknowledged,
    /// It sent a DATA chunk without data (RFC 9260 §6.2).
    EmptyData,
    /// The fragments of its messages do not follow each other.
    Fragments,
    /// A handshake parameter has a forbidden value (RFC 9260 §3.3.2).
    Handshake,
    /// It refused our State Cookie as stale too often.
    StaleCookie,
    /// Its receive window stayed closed for longer than
    /// [`Config::zero_window_timeout`](crate::Config::zero_window_timeout).
    WindowClosed,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shutdown => "both sides have finished",
            Self::Aborted => "aborted by this side",
            Self::PeerAborted { cause: 0 } => "aborted by the peer without a cause",
            Self::PeerAborted { cause } => return write!(f, "aborted by the peer with cause {cause}"),
            Self::HandshakeTimedOut => "the peer did not complete the handshake in time",
            Self::TimedOut => "the peer acknowledged nothing for too long",
            Self::Violation(violation) => return write!(f, "the peer broke the protocol: {violation}"),
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsentAcknowledged => "it acknowledged what was never sent",
            Self::EmptyData => "it sent a DATA chunk without data",
            Self::Fragments => "the fragments of its messages do not follow each other",
            Self::Handshake => "a parameter of its handshake has a forbidden value",
            Self::StaleCookie => "it refused our State Cookie as stale too often",
            Self::WindowClosed => "its receive window stayed closed for too long",
        })
    }
}

/// Events that wait: at most one of a kind for each stream.
#[derive(Debug, Default)]
pub(crate) struct Events {
    connected: bool,
    restarted: bool,
    streams: BTreeSet<(StreamId, Kind)>,
    closed: Option<CloseReason>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Readable,
    Writable,
    Reset(Direction),
}

impl Events {
    pub(crate) fn connected(&mut self) {
        self.connected = true;
    }

    pub(crate) fn restarted(&mut self) {
        self.restarted = true;
    }

    pub(crate) fn readable(&mut self, stream: StreamId) {
        self.streams.insert((stream, Kind::Readable));
    }

    pub(crate) fn writable(&mut self, stream: StreamId) {
        self.streams.insert((stream, Kind::Writable));
    }

    pub(crate) fn reset(&mut self, stream: StreamId, direction: Direction) {
        self.streams.insert((stream, Kind::Reset(direction)));
    }

    pub(crate) fn closed(&mut self, reason: CloseReason) {
        self.closed = Some(reason);
    }

    /// How many wait for streams.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.connected) {
            return Some(Event::Connected);
        }
        if std::mem::take(&mut self.restarted) {
            return Some(Event::Restarted);
        }
        if let Some((stream, kind)) = self.streams.pop_first() {
            return Some(match kind {
                Kind::Readable => Event::Readable(stream),
                Kind::Writable => Event::Writable(stream),
                Kind::Reset(direction) => Event::Reset { stream, direction },
            });
        }
        self.closed.take().map(Event::Closed)
    }
}
