use proto::Instant;

use crate::Agent;

/// When an agent does something by itself: what is `None` is not under way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timers {
    /// The next thing of all.
    pub next: Option<Instant>,
    /// There is no path yet, and it says so if none is found until then; with checks in flight a little later.
    pub gives_up: Option<Instant>,
    /// It asks for the peer's consent on the path again.
    pub asks_consent: Option<Instant>,
    /// The consent lapses if the peer does not answer until then.
    pub consent_expires: Option<Instant>,
}

impl Agent {
    /// When it does what by itself, for reports.
    pub fn timers(&self) -> Timers {
        if !self.is_active() {
            return Timers::default();
        }
        let is_open = self.generation.selected.is_none() && self.previous.is_none();
        let started = self.generation.started.filter(|_| is_open);
        let used = Some(&self.generation).filter(|generation| generation.consent.is_some());
        let used = used.or(self.previous.as_deref());
        let consent = used.and_then(|generation| generation.consent.as_ref());
        Timers {
            next: self.poll_timeout(),
            gives_up: started.map(|started| started + self.config.patience),
            asks_consent: consent.map(|consent| consent.due()),
            consent_expires: consent.map(|consent| consent.expires(&self.config)),
        }
    }
}
