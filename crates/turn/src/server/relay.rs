use std::net::SocketAddr;

use proto::{Carrier, NoSpace, Path, Writer};
use stun::wire::{Attribute, Class, Encoder, Method, TransactionId};

use crate::wire::{ChannelData, ChannelNumber};

/// What became of a datagram.
#[derive(Clone, Copy, Debug)]
#[must_use = "what is to be relayed is the caller's to send"]
pub enum Received<'b> {
    /// It was the server's own.
    Consumed,
    /// It goes on.
    Relay(Relay<'b>),
}

/// A datagram that is to leave at once: on `path`, as [`write`](Self::write) writes it. Those of equal path
/// and length that come one behind the other can be sent together, as segments.
#[derive(Clone, Copy, Debug)]
pub struct Relay<'b> {
    /// From and to where.
    pub path: Path,
    /// What it carries.
    pub payload: &'b [u8],
    pub(super) framing: Framing,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Framing {
    /// To a peer: as it is.
    Bare,
    Channel(ChannelNumber),
    /// A Data indication (RFC 8656 §11.4).
    Indication(SocketAddr, TransactionId),
}

impl Relay<'_> {
    /// Bytes that [`write`](Self::write) needs.
    pub fn len(&self) -> usize {
        let before = match self.framing {
            Framing::Bare => return self.payload.len(),
            Framing::Channel(_) => ChannelData::HEADER_LEN,
            Framing::Indication(peer, _) => {
                let address = if peer.is_ipv4() { 12 } else { 24 };
                return self
                    .payload
                    .len()
                    .next_multiple_of(4)
                    .saturating_add(INDICATION_LEN)
                    .saturating_add(address);
            }
        };
        let len = self.payload.len().saturating_add(before);
        if self.is_padded() { len.next_multiple_of(4) } else { len }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the datagram.
    ///
    /// # Errors
    ///
    /// It does not fit.
    pub fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        match self.framing {
            Framing::Bare => out.put(self.payload),
            Framing::Channel(channel) => {
                ChannelData { channel, payload: self.payload }.encode(out, self.is_padded())
            }
            Framing::Indication(peer, transaction) => {
                let mut message = Encoder::new(out, Class::Indication, Method::DATA, transaction)?;
                message.attribute(Attribute::XorPeerAddress(peer))?;
                message.attribute(Attribute::Data(self.payload))?;
                message.finish_without_fingerprint(None)
            }
        }
    }

    /// Over streams every message ends at a multiple of four (RFC 8656 §12.5).
    fn is_padded(&self) -> bool {
        self.path.carrier != Carrier::Udp
    }
}

/// Header of the message and of DATA.
const INDICATION_LEN: usize = 24;
