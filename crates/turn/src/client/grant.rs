use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proto::Instant;

use crate::wire::ChannelNumber;

/// A permission, or a channel: asked for, held for a while, and asked for again before it ends.
#[derive(Debug)]
pub(super) struct Grant<K> {
    pub(super) key: K,
    pub(super) status: Status,
    /// When it was last asked for, or of use.
    pub(super) used: Instant,
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
    /// The server had no room: it is asked again then.
    Postponed(Instant),
}

impl<K> Grant<K> {
    pub(super) const fn new(key: K, now: Instant) -> Self {
        Self { key, status: Status::Wanted, used: now, is_news: false }
    }

    pub(super) fn is_held(&self, now: Instant) -> bool {
        matches!(self.status, Status::Held { ends, .. } if ends > now)
    }

    /// When it is to be asked for again.
    pub(super) const fn renewal(&self) -> Option<Instant> {
        match self.status {
            Status::Held { renew, .. } | Status::Postponed(renew) => Some(renew),
            Status::Wanted | Status::Refused(_) => None,
        }
    }

    /// It was granted, at the latest now.
    pub(super) fn hold(&mut self, asked: Instant, lifetime: Duration) {
        self.is_news |= !matches!(self.status, Status::Held { .. });
        let renew = asked + lifetime.saturating_sub(MARGIN);
        self.status = Status::Held { renew, ends: asked + lifetime };
    }

    /// There is no room for it now; told once, however often it is so.
    pub(super) const fn postpone(&mut self, until: Instant) {
        self.is_news |= !matches!(self.status, Status::Postponed(_));
        self.status = Status::Postponed(until);
    }

    pub(super) const fn refuse(&mut self, code: Option<u16>) {
        self.status = Status::Refused(code);
        self.is_news = true;
    }
}

/// Which of them may make room for another one: the one that was of use longest ago, if that was long ago. A peer that is
/// checked or talked to is so more often.
pub(super) fn idlest<K>(now: Instant, grants: impl Iterator<Item = (K, Instant)>) -> Option<K> {
    let idle = grants.filter(|(_, used)| *used + IDLE <= now);
    idle.min_by_key(|(_, used)| *used).map(|(key, _)| key)
}

/// RFC 8656 §9.
pub(super) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// RFC 8656 §12.
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// Time for the renewal and all its retransmissions.
const MARGIN: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(60);
/// Between two questions whether there is room by now: permissions of others end at any time.
pub(super) const POSTPONEMENT: Duration = Duration::from_secs(30);
