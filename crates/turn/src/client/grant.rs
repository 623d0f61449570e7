use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proto::Instant;

use crate::wire::ChannelNumber;

/// A permission, or a channel: asked for, held for a while, and asked for again before it ends.
#[derive(Debug)]
pub(super) struct Grant<K> {
    pub(super) key: K,
    pub(super) status: Status,
    /// The application has not heard of the last change.
    pub(super) is_news: bool,
}

/// The peer of a permission.
pub(super) type Permission = Grant<IpAddr>;
/// The peer of a channel, and its number.
pub(super) type Channel = Grant<(SocketAddr, ChannelNumber)>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    /// It waits for the allocation, or is in flight.
    Wanted,
    Held {
        renew: Instant,
        ends: Instant,
    },
    Refused(Option<u16>),
}

impl<K> Grant<K> {
    pub(super) const fn new(key: K) -> Self {
        Self { key, status: Status::Wanted, is_news: false }
    }

    pub(super) fn is_held(&self, now: Instant) -> bool {
        matches!(self.status, Status::Held { ends, .. } if ends > now)
    }

    /// When it is to be asked for again.
    pub(super) const fn renewal(&self) -> Option<Instant> {
        match self.status {
            Status::Held { renew, .. } => Some(renew),
            Status::Wanted | Status::Refused(_) => None,
        }
    }

    /// It was granted, at the latest now.
    pub(super) fn hold(&mut self, asked: Instant, lifetime: Duration) {
        self.is_news |= !matches!(self.status, Status::Held { .. });
        let renew = asked + lifetime.saturating_sub(MARGIN);
        self.status = Status::Held { renew, ends: asked + lifetime };
    }

    pub(super) const fn refuse(&mut self, code: Option<u16>) {
        self.status = Status::Refused(code);
        self.is_news = true;
    }
}

/// RFC 8656 §9.
pub(super) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// RFC 8656 §12.
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// Time for the renewal and all its retransmissions.
const MARGIN: Duration = Duration::from_secs(60);
