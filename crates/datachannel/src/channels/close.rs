use std::collections::VecDeque;

use proto::Instant;
use sctp::{Direction, StreamId};

use super::{Channels, State};
use crate::{ChannelError, ChannelId};

impl Channels {
    /// Closes a channel when all that it has queued was sent and acknowledged. What was not read is thrown
    /// away. [`Event::Closed`](crate::Event::Closed) says when both sides have closed it (RFC 8831 §6.7).
    pub fn close(&mut self, now: Instant, channel: ChannelId) {
        let Some(state) = self.channels.get_mut(channel) else { return };
        state.front = VecDeque::new();
        let draining = std::mem::take(&mut state.draining);
        let stream = state.stream;
        match state.state {
            State::Closing if !draining => return,
            State::Ended => {
                self.forget(channel);
                return;
            }
            State::Waiting | State::Opening | State::Open | State::Closing => {
                let has_closed = state.leave(State::Closing);
                self.totals.closed = self.totals.closed.saturating_add(has_closed.into());
            }
        }
        let Some(stream) = stream else {
            self.gone(channel);
            return;
        };
        while self.association.recv(now, stream).is_some() {}
        self.reset_when_announced(now, channel, stream);
        self.pump(now);
    }

    /// Resets the stream of a channel that is being closed, once the peer is sure to know of it: the reset of
    /// a stream that it never heard of would not be answered.
    pub(super) fn reset_when_announced(&mut self, now: Instant, channel: ChannelId, stream: StreamId) {
        if self.channels.get(channel).is_some_and(|state| state.control.is_empty()) {
            self.association.reset(now, stream);
        }
    }

    /// Closes a channel for something that the peer did.
    pub(super) fn fail(&mut self, now: Instant, channel: ChannelId, error: ChannelError) {
        if let Some(state) = self.channels.get_mut(channel) {
            state.error.get_or_insert(error);
            self.close(now, channel);
        }
    }

    pub(super) fn stream_was_reset(&mut self, now: Instant, stream: StreamId, direction: Direction) {
        let Some(id) = self.channel(stream) else {
            if direction == Direction::Incoming {
                self.early.take(stream);
                if !self.refused.remove(&stream) {
                    // A negotiated channel that the peer alone has opened, and closes now.
                    self.association.answer_reset(now, stream);
                }
            }
            return;
        };
        let Some(state) = self.channels.get_mut(id) else { return };
        if direction == Direction::Outgoing {
            // Ours is the second, or the first: the channel is gone when the number is free again.
            state.draining = false;
            state.outgoing_reset = true;
            if state.incoming_reset {
                self.gone(id);
            }
            return;
        }
        state.incoming_reset = true;
        if state.outgoing_reset {
            self.gone(id);
            return;
        }
        if state.state == State::Closing {
            return;
        }
        // The peer has closed it: we follow when everything was read.
        let has_closed = state.leave(State::Closing);
        self.totals.closed = self.totals.closed.saturating_add(has_closed.into());
        state.draining = true;
        let nothing = state.front.is_empty();
        if nothing && !self.has_more(now, id, stream) {
            self.read_to_the_end(now, id);
        }
    }

    /// Whether the channel has something for the application, which is then kept in front.
    fn has_more(&mut self, now: Instant, id: ChannelId, stream: StreamId) -> bool {
        let Some(chunk) = self.association.recv(now, stream) else { return false };
        if let Some(state) = self.channels.get_mut(id) {
            state.front.push_back(chunk);
        }
        true
    }

    /// Nothing is left to read: a channel that waited for that goes on with its end.
    pub(super) fn read_to_the_end(&mut self, now: Instant, id: ChannelId) {
        let Some(state) = self.channels.get_mut(id) else { return };
        if state.state == State::Ended {
            self.forget(id);
            return;
        }
        if std::mem::take(&mut state.draining)
            && let Some(stream) = state.stream
        {
            self.association.reset(now, stream);
            self.pump(now);
        }
    }

    /// Both directions are reset, or there was no stream.
    fn gone(&mut self, id: ChannelId) {
        let Some(state) = self.channels.get(id) else { return };
        let error = state.error;
        self.forget(id);
        self.events.closed(id, error);
    }

    fn forget(&mut self, id: ChannelId) {
        if let Some(stream) = self.stream(id).filter(|stream| self.channel(*stream) == Some(id)) {
            self.by_stream.remove(stream);
        }
        self.channels.remove(id);
    }

    /// Takes what the association holds for channels out of it; they are on no stream of it any more.
    pub(super) fn keep_unread(&mut self, now: Instant) {
        let ids: Vec<ChannelId> = self.channels.ids().collect();
        for id in ids {
            let own = self.stream(id).filter(|stream| self.channel(*stream) == Some(id));
            while own.is_some_and(|stream| self.look_ahead(now, id, stream)) {}
            self.channels.get_mut(id).into_iter().for_each(|state| state.stream = None);
        }
    }

    /// The peer has begun anew: it knows nothing of our channels.
    pub(super) fn start_over(&mut self) {
        self.end_all();
        for stream in std::mem::take(&mut self.by_stream).into_streams() {
            self.association.forget(stream);
        }
    }

    /// The association has ended: all channels have, too. What they hold can still be read.
    pub(super) fn end_all(&mut self) {
        let ids: Vec<ChannelId> = self.channels.ids().collect();
        for id in ids {
            let Some(state) = self.channels.get_mut(id) else { continue };
            if state.state == State::Ended {
                continue;
            }
            let graceful = state.state == State::Closing;
            let error = state.error.or_else(|| (!graceful).then_some(ChannelError::Disconnected));
            let has_closed = state.leave(State::Ended);
            self.totals.closed = self.totals.closed.saturating_add(has_closed.into());
            state.control = bytes::Bytes::new();
            self.events.closed(id, error);
        }
        self.control_waits = false;
        self.refused.clear();
        self.early = super::Early::default();
    }
}
