use std::collections::BTreeMap;

use proto::Instant;
use sctp::{Chunk, StreamId};

use super::{Channels, State};
use crate::message::Payload;
use crate::wire::Message;
use crate::{ChannelError, ChannelId, Incoming};

/// What came on streams that belong to no channel: messages that have overtaken the OPEN, or are for a
/// negotiated channel that is not opened here yet.
#[derive(Debug, Default)]
pub(super) struct Early {
    streams: BTreeMap<StreamId, Vec<Chunk>>,
    /// The parts of OPENs that are too long for a packet.
    controls: BTreeMap<StreamId, Vec<u8>>,
    bytes: usize,
}

impl Early {
    /// Keeps `chunk` if that stays within `limit`.
    fn keep(&mut self, stream: StreamId, chunk: Chunk, limit: usize) -> bool {
        let cost = cost(&chunk);
        if self.bytes.saturating_add(cost) > limit {
            return false;
        }
        self.bytes = self.bytes.saturating_add(cost);
        self.streams.entry(stream).or_default().push(chunk);
        true
    }

    /// Adds a part to the control message that is under way on `stream`, if that stays within `limit`, and
    /// within the length of the longest one.
    fn keep_control(&mut self, stream: StreamId, part: &[u8], limit: usize) -> bool {
        let known = self.controls.get(&stream).map_or(0, Vec::len);
        let bytes = self.bytes.saturating_add(part.len());
        if known.saturating_add(part.len()) > MAX_CONTROL || bytes > limit.max(MAX_CONTROL) {
            return false;
        }
        self.bytes = bytes;
        self.controls.entry(stream).or_default().extend_from_slice(part);
        true
    }

    fn take_control(&mut self, stream: StreamId) -> Vec<u8> {
        let control = self.controls.remove(&stream).unwrap_or_default();
        if self.controls.is_empty() {
            // An empty tree keeps a node.
            self.controls = BTreeMap::new();
        }
        self.bytes = self.bytes.saturating_sub(control.len());
        control
    }

    pub(super) fn take(&mut self, stream: StreamId) -> Vec<Chunk> {
        self.take_control(stream);
        let chunks = self.streams.remove(&stream).unwrap_or_default();
        let bytes: usize = chunks.iter().map(cost).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        chunks
    }
}

const fn cost(chunk: &Chunk) -> usize {
    chunk.data.len().saturating_add(128)
}

impl Channels {
    pub(super) fn stream_is_readable(&mut self, now: Instant, stream: StreamId) {
        let Some(id) = self.channel(stream) else {
            self.read_unknown(now, stream);
            return;
        };
        let Some(channel) = self.channels.get(id) else { return };
        if channel.state == State::Closing && !channel.draining {
            // We have closed it: what still comes is thrown away.
            while self.association.recv(now, stream).is_some() {}
            return;
        }
        if channel.front.is_empty() && self.look_ahead(now, id, stream) {
            self.events.readable(id);
        }
    }

    /// Pulls until there is something for the application, and acts on what is for us.
    pub(super) fn look_ahead(&mut self, now: Instant, id: ChannelId, stream: StreamId) -> bool {
        while let Some(chunk) = self.association.recv(now, stream) {
            let Some(channel) = self.channels.get_mut(id) else { return false };
            match Payload::of(chunk.ppid) {
                // A chunk without meaning of its own: the end of a message that was given up.
                _ if chunk.abandoned => {
                    channel.partial_control.clear();
                    channel.front.push_back(chunk);
                    return true;
                }
                Payload::Control => {
                    if channel.partial_control.len().saturating_add(chunk.data.len()) > MAX_CONTROL {
                        self.fail(now, id, ChannelError::Protocol);
                        return false;
                    }
                    channel.partial_control.extend_from_slice(&chunk.data);
                    if chunk.end {
                        let control = std::mem::take(&mut channel.partial_control);
                        self.handle_control(now, id, &control);
                    }
                }
                Payload::Message { .. } => {
                    self.acknowledge(id, stream);
                    if let Some(channel) = self.channels.get_mut(id) {
                        channel.front.push_back(chunk);
                    }
                    return true;
                }
                Payload::Unknown => {
                    if chunk.end {
                        channel.stats.unknown_messages = channel.stats.unknown_messages.saturating_add(1);
                    }
                }
            }
            // A channel that the peer has closed is still read to its end.
            let closed = |channel: &super::Channel| channel.state == State::Closing && !channel.draining;
            if self.channels.get(id).is_none_or(closed) {
                return false;
            }
        }
        false
    }

    fn handle_control(&mut self, now: Instant, id: ChannelId, bytes: &[u8]) {
        match Message::decode(bytes) {
            Ok(Message::Ack) => {
                if let Some(stream) = self.stream(id) {
                    self.acknowledge(id, stream);
                }
            }
            // RFC 8832 §6: an OPEN on a stream in use, or nonsense: the channel is closed.
            Ok(Message::Open(_)) | Err(_) => self.fail(now, id, ChannelError::Protocol),
        }
    }

    /// The peer is known to have our OPEN: by its ACK or by a message (RFC 8832 §6).
    fn acknowledge(&mut self, id: ChannelId, stream: StreamId) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        if !std::mem::replace(&mut channel.acknowledged, true) && channel.control.is_empty() {
            self.association.set_options(stream, channel.options());
        }
    }

    /// Something came on a stream without a channel: an OPEN, or what is to be kept until there is one.
    fn read_unknown(&mut self, now: Instant, stream: StreamId) {
        while let Some(chunk) = self.association.recv(now, stream) {
            if self.refused.contains(&stream) {
                continue;
            }
            if chunk.abandoned && !self.early.take_control(stream).is_empty() {
                continue;
            }
            if !matches!(Payload::of(chunk.ppid), Payload::Control) {
                if !self.early.keep(stream, chunk, self.config.max_early) {
                    self.refuse(now, stream);
                }
                continue;
            }
            if !self.early.keep_control(stream, &chunk.data, self.config.max_early) {
                self.refuse(now, stream);
                continue;
            }
            if !chunk.end {
                continue;
            }
            let control = self.early.take_control(stream);
            let Ok(Message::Open(open)) = Message::decode(&control) else {
                self.refuse(now, stream);
                continue;
            };
            let early = self.early.take(stream);
            let Some(id) = self.open_incoming(now, stream, &open) else { continue };
            let Some(channel) = self.channels.get_mut(id) else { return };
            channel.front = early.into();
            if !channel.front.is_empty() || self.look_ahead(now, id, stream) {
                self.events.readable(id);
            }
            return;
        }
    }

    pub(super) fn next_incoming(&mut self, now: Instant, id: ChannelId) -> Option<Incoming> {
        loop {
            let channel = self.channels.get_mut(id)?;
            if channel.state == State::Closing && !channel.draining {
                return None;
            }
            let Some(chunk) = channel.front.pop_front() else {
                let stream = channel.stream?;
                if self.by_stream.get(stream) != Some(id) || !self.look_ahead(now, id, stream) {
                    return None;
                }
                continue;
            };
            if chunk.abandoned {
                channel.message = 0;
                return Some(Incoming {
                    kind: crate::Kind::Binary,
                    data: chunk.data,
                    end: true,
                    abandoned: true,
                });
            }
            let Payload::Message { kind, partial, empty } = Payload::of(chunk.ppid) else { continue };
            let data = if empty { bytes::Bytes::new() } else { chunk.data };
            let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
            channel.message = channel.message.saturating_add(len);
            if channel.message > self.config.max_message {
                self.fail(now, id, ChannelError::MessageTooLarge);
                return None;
            }
            let end = chunk.end && !partial;
            channel.stats.bytes_received = channel.stats.bytes_received.saturating_add(len);
            if end {
                channel.message = 0;
                channel.stats.messages_received = channel.stats.messages_received.saturating_add(1);
            }
            return Some(Incoming { kind, data, end, abandoned: false });
        }
    }
}

/// The largest OPEN: two texts of 65,535 bytes.
const MAX_CONTROL: usize = 12 + 2 * 65_535;
