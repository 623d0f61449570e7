use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proto::{Instant, Path};
use stun::Authenticated;
use stun::wire::{AddressFamily, TransactionId};

use super::limiter::Bucket;
use super::mobility::Ticket;
use super::ports::Parity;
use super::shared::Transport;
use crate::wire::{ChannelNumber, ConnectionId};

/// What a client has on this server.
#[derive(Debug)]
pub(super) struct Allocation {
    /// The five-tuple of RFC 8656 §3.2.
    pub(super) client: Path,
    pub(super) user: Arc<Authenticated>,
    /// Of the Allocate that made it: the same again is a retransmission.
    pub(super) transaction: TransactionId,
    /// That Allocate had a FINGERPRINT.
    pub(super) fingerprint: bool,
    /// The server has other users since: the next request has to show anew whose it is.
    pub(super) is_stale: bool,
    /// All its sockets were there at once, and its beginning was told.
    pub(super) has_begun: bool,
    /// Sockets that could not be had.
    pub(super) tried: u32,
    /// What another port in place of the first must be; none in place of a kept one, nor of one with a next one kept.
    pub(super) parity: Option<Parity>,
    /// What is relayed.
    pub(super) transport: Transport,
    /// To peers, of one over TCP.
    pub(super) connections: Vec<ConnectionId>,
    /// The address that was asked for, and the one of the other family.
    pub(super) relays: [Option<Relay>; 2],
    /// The other family was asked for, and there is no address of it.
    pub(super) refused_family: Option<(AddressFamily, u16)>,
    /// The next port is kept for whoever shows this.
    pub(super) token: Option<[u8; 8]>,
    /// Whoever shows this, and whose it is, takes it along (RFC 8016).
    pub(super) ticket: Option<Ticket>,
    /// Its client's connection is gone, and no other one has come.
    pub(super) is_parted: bool,
    pub(super) expires: Instant,
    /// When the user's name ends.
    pub(super) credentials_end: Option<Instant>,
    /// At the same position as last time: one of one peer is the common case.
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
    pub(super) from_client: Bucket,
    pub(super) from_peers: Bucket,
}

/// A relayed transport address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relay {
    /// What its socket is bound to.
    pub(super) local: SocketAddr,
    /// What peers see.
    pub(super) external: SocketAddr,
    pub(super) is_open: bool,
}

#[derive(Debug)]
struct Permission {
    peer: IpAddr,
    expires: Instant,
}

/// A number for a peer. After its end neither is bound to another for a while (RFC 8656 §12).
#[derive(Debug)]
struct Channel {
    number: ChannelNumber,
    peer: SocketAddr,
    expires: Instant,
}

impl Allocation {
    pub(super) fn new(
        client: Path,
        user: Arc<Authenticated>,
        transaction: TransactionId,
        expires: Instant,
        [from_client, from_peers]: [Bucket; 2],
    ) -> Self {
        Self {
            client,
            user,
            transaction,
            fingerprint: false,
            is_stale: false,
            has_begun: false,
            tried: 0,
            parity: None,
            transport: Transport::Udp,
            connections: Vec::new(),
            relays: [None, None],
            refused_family: None,
            token: None,
            ticket: None,
            is_parted: false,
            expires,
            credentials_end: None,
            permissions: Vec::new(),
            channels: Vec::new(),
            from_client,
            from_peers,
        }
    }

    /// Whether all its sockets are open.
    pub(super) fn is_open(&self) -> bool {
        self.relays.iter().flatten().all(|relay| relay.is_open)
    }

    /// The relay from which a peer of this family is reached.
    pub(super) fn relay_to(&self, peer: IpAddr) -> Option<&Relay> {
        self.relays.iter().flatten().find(|relay| relay.local.is_ipv4() == peer.is_ipv4())
    }

    pub(super) fn may_relay(&self, now: Instant, peer: IpAddr) -> bool {
        self.permissions.iter().any(|permission| permission.peer == peer && permission.expires > now)
    }

    /// Whether there is room for permissions for all of `peers`, each named once.
    pub(super) fn has_room(&self, now: Instant, peers: &[IpAddr], limit: usize) -> bool {
        let live = self.permissions.iter().filter(|permission| permission.expires > now).count();
        let new = peers.iter().filter(|peer| !self.may_relay(now, **peer)).count();
        live.saturating_add(new) <= limit
    }

    /// Gives or renews a permission (RFC 8656 §9).
    pub(super) fn permit(&mut self, now: Instant, peer: IpAddr) {
        let expires = now + PERMISSION_LIFETIME;
        match self.permissions.iter_mut().find(|permission| permission.peer == peer) {
            Some(permission) => permission.expires = expires,
            None => {
                self.permissions.retain(|permission| permission.expires > now);
                self.permissions.push(Permission { peer, expires });
            }
        }
    }

    /// Binds a channel to a peer, or renews it, and the permission with it (RFC 8656 §12.2).
    pub(super) fn bind(
        &mut self,
        now: Instant,
        number: ChannelNumber,
        peer: SocketAddr,
        limit: usize,
    ) -> Result<(), BindError> {
        self.channels.retain(|channel| channel.expires + QUARANTINE > now);
        let is_full = self.channels.len() >= limit;
        let same = |channel: &&mut Channel| channel.number == number || channel.peer == peer;
        let expires = now + CHANNEL_LIFETIME;
        match self.channels.iter_mut().find(same) {
            Some(channel) if channel.number == number && channel.peer == peer => channel.expires = expires,
            Some(_) => return Err(BindError::Bound),
            None if is_full => return Err(BindError::Full),
            None => self.channels.push(Channel { number, peer, expires }),
        }
        self.permit(now, peer.ip());
        Ok(())
    }

    /// What leads to peers of a family is over.
    pub(super) fn forget_peers(&mut self, family: AddressFamily) {
        let is_other = |peer: IpAddr| AddressFamily::of(peer) != family;
        self.permissions.retain(|permission| is_other(permission.peer));
        self.channels.retain(|channel| is_other(channel.peer.ip()));
    }

    /// Whom a channel leads to.
    pub(super) fn peer_of(&self, now: Instant, number: ChannelNumber) -> Option<SocketAddr> {
        let mut live = self.channels.iter().filter(|channel| channel.expires > now);
        live.find(|channel| channel.number == number).map(|channel| channel.peer)
    }

    /// Which channel leads to a peer.
    pub(super) fn channel_to(&self, now: Instant, peer: SocketAddr) -> Option<ChannelNumber> {
        let mut live = self.channels.iter().filter(|channel| channel.expires > now);
        live.find(|channel| channel.peer == peer).map(|channel| channel.number)
    }
}

/// Why a channel was not bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BindError {
    /// The number leads to another peer, or another number to this peer.
    Bound,
    Full,
}

/// RFC 8656 §9.
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// RFC 8656 §12.
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// RFC 8656 §12: five minutes between the end of a binding and the next one of its number or peer.
const QUARANTINE: Duration = Duration::from_secs(300);
