use bytes::Bytes;
use proto::{Instant, Writer};
use sctp::{Ppid, Reliability, StreamId, StreamOptions};

use super::{Channel, Channels, Init, Role, State};
use crate::message::DCEP;
use crate::wire::{Message, Open};
use crate::{ChannelError, ChannelId, OpenError};

impl Channels {
    /// Opens a channel, before the association is up and before the DTLS role is known if need be.
    /// [`Event::Open`](crate::Event::Open) says when it can be written to; what `send` takes before is kept.
    pub fn open(&mut self, now: Instant, init: Init) -> Result<ChannelId, OpenError> {
        if self.association.is_closed() {
            return Err(OpenError::Closed);
        }
        if self.channels.len() >= self.config.max_channels {
            return Err(OpenError::TooMany);
        }
        if init.label.len() > usize::from(u16::MAX) || init.protocol.len() > usize::from(u16::MAX) {
            return Err(OpenError::TooLong);
        }
        if let Some(stream) = init.negotiated {
            return self.open_negotiated(now, stream, init);
        }
        let id = self.channels.insert(Channel::new(init, State::Waiting));
        if self.role.is_some()
            && let Err(error) = self.assign_stream(now, id)
        {
            self.channels.remove(id);
            return Err(error);
        }
        Ok(id)
    }

    fn open_negotiated(
        &mut self,
        now: Instant,
        stream: StreamId,
        init: Init,
    ) -> Result<ChannelId, OpenError> {
        if self.by_stream.contains(stream) || self.refused.contains(&stream) {
            return Err(OpenError::InUse);
        }
        let mut channel = Channel::new(init, State::Opening);
        channel.acknowledged = true;
        channel.stream = Some(stream);
        self.association.open(stream, channel.options())?;
        channel.front = self.early.take(stream).into();
        let readable = !channel.front.is_empty();
        let id = self.channels.insert(channel);
        self.by_stream.insert(stream, id);
        if readable {
            self.events.readable(id);
        }
        if self.association.is_connected() {
            self.announce(id);
        }
        self.pump(now);
        Ok(id)
    }

    /// Gives every waiting channel a stream.
    pub(super) fn assign_streams(&mut self, now: Instant) {
        let ids: Vec<ChannelId> = self.channels.ids().collect();
        for id in ids {
            if self.channels.get(id).is_some_and(|channel| channel.state == State::Waiting)
                && self.assign_stream(now, id).is_err()
            {
                self.channels.remove(id);
                self.events.closed(id, Some(ChannelError::NoStream));
            }
        }
    }

    fn assign_stream(&mut self, now: Instant, id: ChannelId) -> Result<(), OpenError> {
        let first = self.next_stream;
        let stream = loop {
            let stream = StreamId(self.next_stream);
            let parity = first & 1;
            self.next_stream =
                if self.next_stream >= LAST_STREAM - 1 { parity } else { self.next_stream.saturating_add(2) };
            let free = !self.by_stream.contains(stream) && !self.refused.contains(&stream);
            match if free {
                self.association.open(stream, StreamOptions::default())
            } else {
                Err(sctp::OpenError::InUse)
            } {
                Ok(()) => break stream,
                Err(sctp::OpenError::InUse | sctp::OpenError::OutOfRange) if self.next_stream != first => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.by_stream.insert(stream, id);
        let Some(channel) = self.channels.get_mut(id) else { return Ok(()) };
        channel.stream = Some(stream);
        channel.state = State::Opening;
        channel.control = encode_open(&channel.init);
        self.send_control(now, id);
        if self.association.is_connected() {
            self.announce(id);
        }
        Ok(())
    }

    pub(super) fn association_is_up(&mut self, now: Instant) {
        self.events.connected();
        let ids: Vec<ChannelId> = self.channels.ids().collect();
        for id in ids {
            self.announce(id);
        }
        self.send_controls(now);
    }

    fn announce(&mut self, id: ChannelId) {
        if let Some(channel) = self.channels.get_mut(id).filter(|channel| channel.state == State::Opening) {
            channel.state = State::Open;
            self.totals.opened = self.totals.opened.saturating_add(1);
            self.events.open(id);
        }
    }

    /// Tries again what the send buffer had no room for.
    pub(super) fn send_controls(&mut self, now: Instant) {
        self.control_waits = false;
        let waiting =
            |id: &ChannelId| self.channels.get(*id).is_some_and(|channel| !channel.control.is_empty());
        let ids: Vec<ChannelId> = self.channels.ids().filter(waiting).collect();
        for id in ids {
            self.send_control(now, id);
        }
    }

    /// Sends the OPEN or ACK of a channel, reliably and in order whatever the channel is; then sets the stream
    /// to what the channel asks for.
    pub(super) fn send_control(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        let Some(stream) = channel.stream else { return };
        self.association
            .set_options(stream, StreamOptions::new(false, Reliability::Reliable, channel.init.priority));
        let result = self.association.send(now, stream, Ppid(DCEP), &mut channel.control, true);
        match result {
            Ok(()) => {
                channel.control = Bytes::new();
                self.association.set_options(stream, channel.options());
                if std::mem::take(&mut channel.blocked) && channel.state != State::Closing {
                    self.events.writable(id);
                }
            }
            Err(sctp::SendError::Blocked) => {
                self.control_waits = true;
                return;
            }
            Err(_) => channel.control = Bytes::new(),
        }
        if channel.state == State::Closing && !channel.draining {
            self.reset_when_announced(now, id, stream);
        }
    }

    /// An OPEN came on a stream that belongs to no channel.
    pub(super) fn open_incoming(
        &mut self,
        now: Instant,
        stream: StreamId,
        open: &Open<'_>,
    ) -> Option<ChannelId> {
        // RFC 8832 §6: even streams are the DTLS client's to open.
        let theirs = self.role.is_none_or(|role| (role == Role::Server) == (stream.0 & 1 == 0));
        if !theirs || self.channels.len() >= self.config.max_channels || !self.has_room_for_texts(open) {
            self.refuse(now, stream);
            return None;
        }
        let init = Init {
            label: open.label.into(),
            protocol: open.protocol.into(),
            ordered: !open.unordered,
            reliability: open.reliability,
            negotiated: None,
            priority: open.priority,
        };
        let mut channel = Channel::new(init, State::Open);
        channel.acknowledged = true;
        channel.incoming = true;
        channel.stream = Some(stream);
        channel.control = Bytes::from_static(ACK);
        if self.association.open(stream, channel.options()).is_err() {
            self.refuse(now, stream);
            return None;
        }
        let id = self.channels.insert(channel);
        self.by_stream.insert(stream, id);
        self.totals.opened = self.totals.opened.saturating_add(1);
        self.events.incoming(id);
        self.send_control(now, id);
        Some(id)
    }

    /// Whether the label and the protocol fit beside those of the peer's other channels.
    fn has_room_for_texts(&self, open: &Open<'_>) -> bool {
        let sum = |label: &str, protocol: &str| label.len().saturating_add(protocol.len());
        let theirs = self.channels.ids().filter_map(|id| self.channels.get(id)).filter(|it| it.incoming);
        let kept = theirs.map(|it| sum(&it.init.label, &it.init.protocol)).fold(0, usize::saturating_add);
        kept.saturating_add(sum(open.label, open.protocol)) <= self.config.max_texts
    }

    /// Resets a stream that the peer has no business on, and ignores it until the peer has reset it too.
    pub(super) fn refuse(&mut self, now: Instant, stream: StreamId) {
        self.early.take(stream);
        if self.refused.len() < self.config.max_channels {
            self.refused.insert(stream);
        }
        if self.association.open(stream, StreamOptions::default()).is_ok() {
            self.association.reset(now, stream);
        }
    }
}

fn encode_open(init: &Init) -> Bytes {
    let open = Open {
        unordered: !init.ordered,
        reliability: init.reliability,
        priority: init.priority,
        label: &init.label,
        protocol: &init.protocol,
    };
    let mut bytes = vec![0; open.encoded_len()];
    let written = Message::Open(open).encode(&mut Writer::new(&mut bytes));
    debug_assert!(written.is_ok(), "the lengths were checked");
    bytes.into()
}

/// DATA_CHANNEL_ACK.
const ACK: &[u8] = &[2];
/// RFC 8832 §6: 65,535 is no stream.
const LAST_STREAM: u16 = 65_534;
