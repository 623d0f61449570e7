use std::time::Duration;

use crypto::Rng;
use proto::Instant;
use stun::wire::TransactionId;

use crate::Config;

/// The consent of the peer to receive on the selected path (RFC 7675).
#[derive(Debug)]
pub(crate) struct Consent {
    /// The last valid response.
    answered: Instant,
    /// The last authenticated sign of life, requests included.
    heard: Instant,
    /// Since when it is doubted that the path still carries anything: nothing was heard since.
    doubted: Option<Instant>,
    last_doubt: Option<Instant>,
    /// A doubt was dispelled, which nobody was told yet.
    revived: bool,
    /// When the silence after data becomes strange.
    quiet: Option<Instant>,
    due: Instant,
    /// The latest first.
    in_flight: [(TransactionId, Instant); IN_FLIGHT],
    in_flight_len: u8,
}

impl Consent {
    /// Consent for a path that is used from `now` on, by an answer of then or before.
    pub(crate) fn new(now: Instant, answered: Instant, config: &Config, rng: &mut Rng) -> Self {
        Self {
            answered,
            heard: now,
            doubted: None,
            last_doubt: None,
            revived: false,
            quiet: None,
            due: now.max(answered + interval(config, rng)),
            in_flight: [(TransactionId([0; 12]), now); IN_FLIGHT],
            in_flight_len: 0,
        }
    }

    /// When the next check is due.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// The last valid response.
    pub(crate) const fn last_answer(&self) -> Instant {
        self.answered
    }

    /// The last sign of life.
    pub(crate) const fn heard(&self) -> Instant {
        self.heard
    }

    pub(crate) fn expires(&self, config: &Config) -> Instant {
        self.answered + config.consent_timeout
    }

    pub(crate) fn silent_at(&self, config: &Config) -> Instant {
        self.heard + config.disconnected_after
    }

    /// A check with this id left at `now`. Each is a transaction of its own, never sent again
    /// (RFC 7675 §5.1).
    pub(crate) fn sent(&mut self, now: Instant, id: TransactionId, config: &Config, rng: &mut Rng) {
        self.in_flight.rotate_right(1);
        if let Some(newest) = self.in_flight.first_mut() {
            *newest = (id, now);
        }
        self.in_flight_len = self.in_flight_len.saturating_add(1).min(MAX_LEN);
        self.due = now + interval(config, rng);
    }

    /// Whether a check with this id is in flight.
    pub(crate) fn knows(&self, id: TransactionId) -> bool {
        self.in_flight.iter().take(self.in_flight_len.into()).any(|(known, _)| *known == id)
    }

    /// A valid response to the check `id`: the time it took.
    pub(crate) fn answered(&mut self, now: Instant, id: TransactionId) -> Option<Duration> {
        let len = usize::from(self.in_flight_len);
        let place = self.in_flight.iter().take(len).position(|(known, _)| *known == id)?;
        let (_, sent) = *self.in_flight.get(place)?;
        self.in_flight.get_mut(place..len)?.rotate_left(1);
        self.in_flight_len = self.in_flight_len.saturating_sub(1);
        self.renew(now);
        Some(now - sent)
    }

    /// A valid response to another check on the path.
    pub(crate) fn renew(&mut self, now: Instant) {
        self.answered = self.answered.max(now);
        self.hear(now);
    }

    /// An authenticated request, which shows life but is no consent.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
        self.revived |= self.doubted.take().is_some();
    }

    /// Authenticated data: the next are expected soon. Says when it is strange that none have come.
    pub(crate) fn hear_data(&mut self, now: Instant) -> Instant {
        self.hear(now);
        *self.quiet.insert(now + QUIET)
    }

    /// Something speaks against the path. Says whether it is to be checked now: not when it is already, nor again and
    /// again.
    pub(crate) fn doubt(&mut self, now: Instant) -> bool {
        let is_recent = self.last_doubt.is_some_and(|last| last + DOUBT > now);
        let begins = self.doubted.is_none() && !is_recent;
        if begins {
            (self.doubted, self.last_doubt) = (Some(now), Some(now));
        }
        begins
    }

    /// Whether the silence after data has just become strange.
    pub(crate) fn is_quiet(&mut self, now: Instant) -> bool {
        self.quiet.take_if(|quiet| *quiet <= now).is_some_and(|quiet| self.heard + QUIET <= quiet)
    }

    /// Whether the path is doubted.
    pub(crate) const fn is_doubted(&self) -> bool {
        self.doubted.is_some()
    }

    /// The path is silent, which speaks against it for good.
    pub(crate) fn fall_silent(&mut self, now: Instant) {
        self.doubted.get_or_insert(now);
    }

    /// Whether a doubt was dispelled since the last call.
    pub(crate) const fn take_revival(&mut self) -> bool {
        std::mem::replace(&mut self.revived, false)
    }

    /// When a doubt that nothing has dispelled is enough to prefer another path: after two requests in vain.
    pub(crate) fn doubtful_at(&self, round_trip: Option<Duration>) -> Option<Instant> {
        let trips = round_trip.unwrap_or(DOUBT).saturating_mul(2).min(DOUBT);
        Some(self.doubted? + DOUBT / 2 + trips)
    }

    /// When the silence after data becomes strange.
    pub(crate) const fn quiet_at(&self) -> Option<Instant> {
        self.quiet
    }
}

/// RFC 7675 §5.1: randomised between 0.8 and 1.2 times the interval.
fn interval(config: &Config, rng: &mut Rng) -> Duration {
    let percent = 80_u32.saturating_add(rng.below(41));
    (config.consent_interval.saturating_mul(percent) / 100).max(LEAST_INTERVAL)
}

/// Doubts that come more often than this are one.
const DOUBT: Duration = Duration::from_secs(1);
/// A flow of data that pauses for longer costs one check each time.
const QUIET: Duration = Duration::from_millis(2500);
/// More than 30 s hold at intervals of at least 4 s.
const IN_FLIGHT: usize = MAX_LEN as usize;
const MAX_LEN: u8 = 8;
/// RFC 7675 §5.1: no shorter time lies between two checks.
const LEAST_INTERVAL: Duration = Duration::from_secs(4);
