#![expect(clippy::wildcard_enum_match_arm, reason = "most readers look for one attribute among many")]

use std::net::SocketAddr;

use proto::{Arrival, Batch, Carrier, NoSpace, Writer};
use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};

use super::event::{Discard, SendError};
use super::grant::{Channel, Permission};
use super::{Client, State};
use crate::wire::{ChannelData, ChannelNumber};

/// What became of a datagram of the server.
#[derive(Debug)]
#[must_use = "data of a peer are the caller's to take"]
pub enum Received<'b> {
    /// It was the client's own.
    Consumed,
    /// A peer sent this to the relayed address.
    Data {
        /// Who.
        peer: SocketAddr,
        /// What, in the datagram's own memory.
        payload: &'b mut [u8],
    },
}

impl Client {
    /// Whether a datagram is the server's: asked before its buffer is lent. Says nothing on its worth.
    pub fn accepts(&self, path: proto::Path, datagram: &[u8]) -> bool {
        path == self.path && matches!(datagram.first(), Some(0..=3 | 0x40..=0x4f))
    }

    /// Takes a datagram of the server.
    ///
    /// # Errors
    ///
    /// Why it was ignored; but for what was counted nothing has changed.
    pub fn handle_datagram<'b>(
        &mut self,
        arrival: Arrival,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Discard> {
        let now = self.advance(arrival.at);
        let taken =
            if arrival.path == self.path { self.take(now, datagram) } else { Err(Discard::WrongPath) };
        match taken {
            Ok(None) => {
                self.stats.answers = self.stats.answers.wrapping_add(1);
                Ok(Received::Consumed)
            }
            Ok(Some((peer, range))) => {
                self.stats.received = self.stats.received.wrapping_add(1);
                let payload = datagram.get_mut(range).ok_or(Discard::Malformed)?;
                Ok(Received::Data { peer, payload })
            }
            Err(discard) => {
                self.stats.discarded = self.stats.discarded.wrapping_add(1);
                Err(discard)
            }
        }
    }

    /// Appends one datagram for the peer to `batch`: what `payload` writes, with four bytes before it when
    /// there is a channel, else 36 or 48. It goes to the server, on [`path`](Self::path).
    ///
    /// # Errors
    ///
    /// There is no allocation or no permission, it does not fit, or what `payload` says.
    pub fn send_with<E: From<SendError>>(
        &mut self,
        peer: SocketAddr,
        batch: &mut Batch<'_>,
        payload: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let now = self.now;
        let family = |relayed: SocketAddr| relayed.is_ipv4() == peer.is_ipv4();
        if self.state != State::Allocated || self.config.tcp || !self.relayed().any(family) {
            return Err(SendError::NoAllocation.into());
        }
        let mut permissions = self.permissions.iter_mut().filter(|permission| permission.is_held(now));
        let permission = permissions.find(|permission| permission.key == peer.ip());
        permission.ok_or(SendError::NoPermission)?.used = now;
        let mut channels = self.channels.iter_mut().filter(|channel| channel.is_held(now));
        let channel = channels.find(|channel| channel.key.0 == peer).map(|channel| {
            channel.used = now;
            channel.key.1
        });
        let is_padded = self.path.carrier != Carrier::Udp;
        let result = match channel {
            Some(channel) => batch.append(|out| write_channel_data(channel, is_padded, out, payload)),
            None => {
                let transaction = TransactionId(self.rng.array());
                batch.append(|out| write_indication(peer, transaction, out, payload))
            }
        };
        result.map_err(Unsent::into_inner)?;
        self.stats.sent = self.stats.sent.wrapping_add(1);
        Ok(())
    }

    /// Bytes that [`send_with`](Self::send_with) puts around a payload for the peer, at most: what is padded may
    /// have up to three fewer.
    pub fn overhead(&self, peer: SocketAddr) -> usize {
        let has_channel =
            self.channels.iter().any(|channel| channel.key.0 == peer && channel.is_held(self.now));
        match (has_channel, peer.is_ipv4()) {
            // On streams it is padded (RFC 8656 §12.5), and what is in an attribute is so everywhere.
            (true, _) if self.path.carrier != Carrier::Udp => ChannelData::HEADER_LEN.saturating_add(3),
            (true, _) => ChannelData::HEADER_LEN,
            (false, true) => 39,
            (false, false) => 51,
        }
    }

    /// Where in the datagram a peer's payload is, and whose it is; none in an answer.
    fn take(
        &mut self,
        now: proto::Instant,
        datagram: &[u8],
    ) -> Result<Option<(SocketAddr, std::ops::Range<usize>)>, Discard> {
        if matches!(datagram.first(), Some(0x40..=0x4f)) {
            let data = ChannelData::decode(datagram).map_err(|_| Discard::Malformed)?;
            let is_its = |channel: &&mut Channel| channel.key.1 == data.channel && channel.is_held(now);
            let channel = self.channels.iter_mut().find(is_its).ok_or(Discard::NoChannel)?;
            channel.used = now;
            let (peer, _) = channel.key;
            let end = ChannelData::HEADER_LEN.saturating_add(data.payload.len());
            return Ok(Some((peer, ChannelData::HEADER_LEN..end)));
        }
        let message =
            Message::decode_within(datagram, self.config.max_attributes).map_err(|_| Discard::Malformed)?;
        if (message.class(), message.method()) == (Class::Indication, Method::CONNECTION_ATTEMPT) {
            return self.handle_attempt(now, &message).map(|()| None);
        }
        if (message.class(), message.method()) != (Class::Indication, Method::DATA) {
            return self.handle_answer(now, &message).map(|()| None);
        }
        // RFC 8656 §11.4: of a peer that we asked for.
        let (mut peer, mut payload) = (None, None);
        for attribute in message.attributes() {
            match attribute {
                Attribute::XorPeerAddress(address) => peer = peer.or(Some(address)),
                Attribute::Data(data) => payload = payload.or(Some(data)),
                _ => {}
            }
        }
        let (Some(peer), Some(payload)) = (peer, payload) else { return Err(Discard::Incomplete) };
        let is_its = |permission: &&mut Permission| permission.key == peer.ip() && permission.is_held(now);
        let permission = self.permissions.iter_mut().filter(|_| !self.config.tcp).find(is_its);
        permission.ok_or(Discard::NoPermission)?.used = now;
        let start = payload.as_ptr().addr().saturating_sub(datagram.as_ptr().addr());
        Ok(Some((peer, start..start.saturating_add(payload.len()))))
    }
}

/// Either our own error, or the payload's.
enum Unsent<E> {
    NoSpace,
    Payload(E),
}

impl<E> From<NoSpace> for Unsent<E> {
    fn from(_: NoSpace) -> Self {
        Self::NoSpace
    }
}

impl<E: From<SendError>> Unsent<E> {
    fn into_inner(self) -> E {
        match self {
            Self::NoSpace => SendError::NoSpace.into(),
            Self::Payload(error) => error,
        }
    }
}

fn write_channel_data<E>(
    channel: ChannelNumber,
    is_padded: bool,
    out: &mut Writer<'_>,
    payload: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
) -> Result<(), Unsent<E>> {
    out.put_u16(channel.number())?;
    let len_at = out.len();
    out.put_u16(0)?;
    let start = out.len();
    payload(out).map_err(Unsent::Payload)?;
    let len = out.len().saturating_sub(start);
    out.patch_u16(len_at, u16::try_from(len).map_err(|_| NoSpace)?)?;
    if is_padded {
        out.put_zeros(len.wrapping_neg() & 3)?;
    }
    Ok(())
}

/// A Send indication (RFC 8656 §11.1).
fn write_indication<E>(
    peer: SocketAddr,
    transaction: TransactionId,
    out: &mut Writer<'_>,
    payload: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
) -> Result<(), Unsent<E>> {
    let mut message = Encoder::new(out, Class::Indication, Method::SEND, transaction)?;
    message.attribute(Attribute::XorPeerAddress(peer))?;
    message.data(|out| payload(out).map_err(Unsent::Payload))?;
    Ok(message.finish_without_fingerprint(None)?)
}
