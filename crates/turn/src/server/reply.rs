use std::net::SocketAddr;
use std::sync::Arc;

use proto::{Instant, NoSpace, Path, Writer};
use stun::wire::{
    AddressError, Attribute, Class, Encoder, ErrorCode, Method, TransactionId, UnknownAttributes,
};
use stun::{Authenticated, Authenticator};

use super::discovery::Discovered;
use super::mobility::Ticket;
use crate::wire::ConnectionId;

/// An answer that waits to be written.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) path: Path,
    pub(super) method: Method,
    pub(super) transaction: TransactionId,
    /// What it is signed with: a stranger's is not signed.
    pub(super) user: Option<Arc<Authenticated>>,
    /// The request had one (RFC 8489 §7: a client that uses it wants it back).
    pub(super) fingerprint: bool,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Mapped,
    Discovered(Discovered),
    Allocated(Allocated),
    Refreshed(u32, Option<Ticket>),
    Done,
    /// What a client is to come for (RFC 6062 §5.2).
    Connected(ConnectionId),
    /// A peer has come: not an answer, but an indication (RFC 6062 §5.3).
    Attempt(ConnectionId, SocketAddr),
    Error(u16),
    /// 401 or 438 with what the client needs to try again.
    Challenge(u16),
    /// 420 with the first of the types.
    Unknown([u16; MAX_UNKNOWN], usize),
}

/// What an Allocate gave (RFC 8656 §7.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Allocated {
    pub(super) relayed: [Option<SocketAddr>; 2],
    pub(super) refused: Option<(stun::wire::AddressFamily, u16)>,
    pub(super) lifetime: u32,
    pub(super) token: Option<[u8; 8]>,
    pub(super) ticket: Option<Ticket>,
}

impl Reply {
    pub(super) fn write(
        &self,
        now: Instant,
        authenticator: &Authenticator,
        out: &mut Writer<'_>,
    ) -> Result<(), NoSpace> {
        let class = match self.content {
            Content::Mapped
            | Content::Discovered(_)
            | Content::Allocated(_)
            | Content::Refreshed(..)
            | Content::Connected(_)
            | Content::Done => Class::Success,
            Content::Attempt(..) => Class::Indication,
            Content::Error(_) | Content::Challenge(_) | Content::Unknown(..) => Class::Error,
        };
        let mut message = Encoder::new(out, class, self.method, self.transaction)?;
        let client = self.path.remote;
        match &self.content {
            Content::Mapped => message.attribute(Attribute::XorMappedAddress(client))?,
            Content::Discovered(discovered) => discovered.write(&mut message)?,
            Content::Allocated(allocated) => allocated.write(client, &mut message)?,
            Content::Refreshed(lifetime, ticket) => {
                message.attribute(Attribute::Lifetime(*lifetime))?;
                write_ticket(ticket.as_ref(), &mut message)?;
            }
            Content::Done => {}
            Content::Connected(id) => message.attribute(Attribute::ConnectionId(id.number()))?,
            Content::Attempt(id, peer) => {
                message.attribute(Attribute::XorPeerAddress(*peer))?;
                message.attribute(Attribute::ConnectionId(id.number()))?;
            }
            Content::Error(code) => message.attribute(error(*code))?,
            Content::Challenge(code) => {
                // Without words: whoever asked may not be who gets the answer.
                message.attribute(Attribute::ErrorCode(ErrorCode { code: *code, reason: "" }))?;
                authenticator.challenge(now, client, &mut message)?;
            }
            Content::Unknown(types, count) => {
                message.attribute(Attribute::ErrorCode(ErrorCode { code: 420, reason: "" }))?;
                let types = types.get(..*count).unwrap_or_default();
                message.attribute(Attribute::UnknownAttributes(UnknownAttributes::new(types)))?;
            }
        }
        let key = self.user.as_ref().map(|user| user.key());
        if self.fingerprint { message.finish(key) } else { message.finish_without_fingerprint(key) }
    }
}

impl Allocated {
    fn write(&self, client: SocketAddr, message: &mut Encoder<'_, '_>) -> Result<(), NoSpace> {
        for relayed in self.relayed.into_iter().flatten() {
            message.attribute(Attribute::XorRelayedAddress(relayed))?;
        }
        message.attribute(Attribute::Lifetime(self.lifetime))?;
        message.attribute(Attribute::XorMappedAddress(client))?;
        if let Some(token) = self.token {
            message.attribute(Attribute::ReservationToken(token))?;
        }
        if let Some((family, code)) = self.refused {
            message.attribute(Attribute::AddressError(AddressError { family, code, reason: "" }))?;
        }
        write_ticket(self.ticket.as_ref(), message)
    }
}

/// RFC 8016 §3.1.3, §3.2.2.
fn write_ticket(ticket: Option<&Ticket>, message: &mut Encoder<'_, '_>) -> Result<(), NoSpace> {
    match ticket {
        Some(ticket) => message.attribute(Attribute::MobilityTicket(ticket.as_bytes())),
        None => Ok(()),
    }
}

/// With words, for those who have shown who they are.
fn error(code: u16) -> Attribute<'static> {
    let reason = match code {
        400 => "Bad Request",
        401 => "Unauthenticated",
        403 => "Forbidden",
        405 => "Mobility Forbidden",
        437 => "Allocation Mismatch",
        440 => "Address Family not Supported",
        441 => "Wrong Credentials",
        442 => "Unsupported Transport",
        443 => "Peer Address Family Mismatch",
        446 => "Connection Already Exists",
        447 => "Connection Timeout or Failure",
        486 => "Allocation Quota Reached",
        508 => "Insufficient Capacity",
        _ => "",
    };
    Attribute::ErrorCode(ErrorCode { code, reason })
}

/// Types that a 420 names: more than a client can mean.
pub(super) const MAX_UNKNOWN: usize = 8;
