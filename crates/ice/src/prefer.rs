//! Which pair is the better one, and when the path moves to it.

use std::time::Duration;

use proto::{Carrier, Instant};

use crate::pair::{Pair, PairId};
use crate::{Agent, Kind, Role};

impl Agent {
    /// Of the valid pairs the one to use: of highest priority, unless another of its class is much faster.
    pub(crate) fn best_valid(&self) -> Option<&Pair> {
        let valid = || self.generation.pairs.iter().filter(|pair| pair.is_valid());
        let best = valid().max_by_key(|pair| pair.priority)?;
        let class = self.class(best);
        let faster = valid().filter(|pair| self.class(pair) >= class && is_much_faster(pair, best));
        Some(faster.min_by_key(|pair| pair.round_trip).unwrap_or(best))
    }

    /// The pair that the controlling side should move to, if any: one that is clearly better, where the peer knows
    /// renomination, and any that is alive where the nominated one is silent.
    pub(crate) fn better_pair(&self) -> Option<PairId> {
        let generation = &self.generation;
        if generation.pairs.len() < 2 {
            return None;
        }
        let current = generation.pair(generation.nominated)?;
        let is_silent = self.is_silent();
        let silent_since = generation.consent.as_ref().map(|consent| consent.heard());
        let has_failed = is_silent
            && silent_since.is_none_or(|since| since + self.config.disconnected_after * 2 <= self.now);
        // Who does not know renomination need not follow, so that both ends may then use different pairs: not before
        // the path has been asked in vain for a while.
        if !(has_failed || self.may_renominate() && (is_silent || self.next_nomination() <= self.now)) {
            return None;
        }
        let is_better = |pair: &&Pair| {
            pair.is_valid()
                && pair.id != current.id
                && if is_silent {
                    silent_since.is_none_or(|since| pair.answered > since)
                } else {
                    self.is_preferred(pair, current)
                }
        };
        let better = generation.pairs.iter().filter(is_better);
        better.max_by_key(|pair| (self.class(pair), pair.priority)).map(|pair| pair.id)
    }

    /// Whether both sides know renomination, so that the path may move while it is well.
    pub(crate) const fn may_renominate(&self) -> bool {
        self.config.renomination && self.remote_options.renomination
    }

    /// When the path may move again while it is well.
    pub(crate) fn next_nomination(&self) -> Instant {
        self.nominated_at + self.config.renomination_interval
    }

    /// Whether moving from `current` to `pair` is worth it.
    fn is_preferred(&self, pair: &Pair, current: &Pair) -> bool {
        let (class, old_class) = (self.class(pair), self.class(current));
        let (Some(trip), Some(old_trip)) = (pair.round_trip, current.round_trip) else {
            return class > old_class;
        };
        let slower = |trip: Duration, by: Duration| trip > old_trip.saturating_add(old_trip / 4) + by;
        if class != old_class {
            // A direct way is cheaper for everybody, unless it is a detour.
            return class > old_class && !slower(trip, GREAT_DIFFERENCE);
        }
        let is_measured = pair.responses >= LEAST_SAMPLES;
        let is_faster = is_measured && is_much_faster(pair, current);
        let is_wanted = pair.priority > current.priority && !slower(trip, SMALL_DIFFERENCE);
        is_faster || (is_wanted && !is_much_faster(current, pair))
    }

    /// What a pair costs: relayed ones most, then TCP.
    fn class(&self, pair: &Pair) -> Class {
        let remote = self.generation.remote(pair.path);
        let local = self.locals.iter().find(|local| local.id == pair.local);
        let is_relayed = local.is_some_and(|local| local.given.kind == Kind::Relayed)
            || remote.is_some_and(|remote| remote.kind == Kind::Relayed);
        match pair.path.carrier {
            _ if is_relayed => Class::Relayed,
            Carrier::Udp => Class::Direct,
            Carrier::Framed | Carrier::Stream => Class::Stream,
        }
    }

    /// Whether pairs that were not checked yet still are, beyond a nomination.
    pub(crate) fn is_worth_checking(&self, pair: &Pair) -> bool {
        let generation = &self.generation;
        match generation.pair(generation.nominated) {
            None => generation.nominated.is_none(),
            // The peer is gone, or this way to it: whatever else there is may work.
            Some(_) if self.is_silent() => true,
            Some(current) => self.may_renominate() && pair.priority > current.priority,
        }
    }

    /// Has pairs that are in reserve checked now and then, so that they stay open and are measured, and all of them
    /// when the selected one falls silent.
    pub(crate) fn keep_backups(&mut self) {
        if !self.keeps_backups() {
            return;
        }
        let now = self.now;
        for id in self.backups().into_iter().flatten() {
            let due = self.generation.pair(Some(id)).is_some_and(|pair| self.backup_due(pair) <= now);
            if due {
                self.trigger(id);
            }
        }
    }

    /// When the next pair in reserve is checked.
    pub(crate) fn backup_timeout(&self) -> Option<Instant> {
        if !self.keeps_backups() {
            return None;
        }
        let backups = self.backups().into_iter().flatten();
        let pairs = backups.filter_map(|id| self.generation.pair(Some(id)));
        pairs
            .filter(|pair| pair.check.is_none() && pair.triggered.is_none())
            .map(|pair| self.backup_due(pair))
            .min()
    }

    /// When the controlling side looks again at what the measurements say.
    pub(crate) fn renomination_timeout(&self) -> Option<Instant> {
        let at = self.next_nomination();
        let is_open = self.keeps_backups() && self.may_renominate() && at > self.now;
        is_open.then_some(at)
    }

    fn keeps_backups(&self) -> bool {
        self.generation.pairs.len() > 1
            && self.role == Role::Controlling
            && self.generation.nominated.is_some()
            && self.generation.peer.is_some()
            && self.lite.is_none()
    }

    fn backup_due(&self, pair: &Pair) -> Instant {
        let is_silent = self.is_silent();
        let interval = if is_silent { self.config.rto } else { self.config.backup_interval };
        // A better class is not left waiting for its second measurement, nor one that was never measured.
        pair.answered + interval
    }

    /// The best valid pairs besides the selected one.
    fn backups(&self) -> [Option<PairId>; MAX_BACKUPS] {
        let mut best: [Option<&Pair>; MAX_BACKUPS] = [None; MAX_BACKUPS];
        let selected = self.generation.selected;
        let reserve = self.generation.pairs.iter();
        for pair in reserve.filter(|pair| pair.is_valid() && Some(pair.id) != selected) {
            let mut candidate = Some(pair);
            for slot in &mut best {
                let is_better = |old: &Pair, new: &Pair| {
                    (self.class(new), new.priority) > (self.class(old), old.priority)
                };
                let wins = match (&slot, candidate) {
                    (Some(old), Some(new)) => is_better(old, new),
                    (None, new) => new.is_some(),
                    (Some(_), None) => false,
                };
                if wins {
                    std::mem::swap(slot, &mut candidate);
                }
            }
        }
        best.map(|pair| pair.map(|pair| pair.id))
    }
}

/// What a pair costs, the dearest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Class {
    Relayed,
    Stream,
    Direct,
}

/// By more than a third and more than jitter.
fn is_much_faster(pair: &Pair, other: &Pair) -> bool {
    let (Some(trip), Some(other)) = (pair.round_trip, other.round_trip) else { return false };
    trip.saturating_add(trip / 2).saturating_add(SMALL_DIFFERENCE) < other
}

/// Pairs in reserve that are kept open.
const MAX_BACKUPS: usize = 3;
/// Answers before a pair's speed alone moves the path.
const LEAST_SAMPLES: u32 = 2;
/// What jitter may explain.
const SMALL_DIFFERENCE: Duration = Duration::from_millis(10);
/// What a relay is worth.
const GREAT_DIFFERENCE: Duration = Duration::from_millis(50);
