use std::time::Duration;

use proto::Instant;
use rtp::Ssrc;

/// Key frames that peers want, no more often than is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyFrameWish {
    wanted: bool,
    told: Option<Instant>,
    fir: Option<(Ssrc, u8)>,
}

impl KeyFrameWish {
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    /// RFC 5104 §4.3.1.2: a request with the number of the last is that request.
    pub(crate) fn want_by_fir(&mut self, sender: Ssrc, sequence: u8) {
        if self.fir.replace((sender, sequence)) != Some((sender, sequence)) {
            self.wanted = true;
        }
    }

    pub(crate) fn due(&self, interval: Duration) -> Option<Instant> {
        self.wanted.then(|| self.told.map_or_else(Instant::default, |told| told + interval))
    }

    pub(crate) fn take(&mut self, now: Instant, interval: Duration) -> bool {
        let due = self.due(interval).is_some_and(|due| due <= now);
        if due {
            *self = Self { wanted: false, told: Some(now), fir: self.fir };
        }
        due
    }
}
