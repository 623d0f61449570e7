use std::time::Duration;

use proto::Instant;

use crate::Config;

/// When a flight is sent again, and when the handshake is given up.
///
/// RFC 6347 §4.2.4.1 waits a second at first and twice as long each time. Behind ICE, which measured the
/// round trip and keeps checking the path, the waits are shorter, and the end comes sooner.
#[derive(Debug)]
pub(crate) struct Timing {
    started: Instant,
    first_wait: Duration,
    longest_wait: Duration,
    wait: Duration,
    /// When the flight was sent last.
    sent: Option<Instant>,
    /// How often the flight may still be sent again, of how often at most.
    repeats_left: u32,
    max_repeats: u32,
    /// How often the handshake may still have its whole time again.
    revivals_left: u8,
    /// The number of the message that the flight answers.
    answers: Option<u16>,
    retransmit: Option<Instant>,
    give_up: Option<Instant>,
}

impl Timing {
    pub(crate) fn new(now: Instant, config: &Config) -> Self {
        Self {
            started: now,
            first_wait: config.first_wait,
            longest_wait: config.give_up,
            wait: config.first_wait,
            sent: None,
            repeats_left: config.max_retransmissions,
            max_repeats: config.max_retransmissions,
            revivals_left: MAX_REVIVALS,
            answers: None,
            retransmit: None,
            give_up: Some(now + config.give_up),
        }
    }

    pub(crate) fn set_round_trip(&mut self, rtt: Duration, config: &Config) {
        let trips = rtt.saturating_mul(2).min(LONGEST_TRIPS);
        let is_first_wait = self.wait == self.first_wait;
        self.first_wait = trips.max(config.shortest_wait);
        self.longest_wait = trips.max(config.longest_wait);
        self.wait = if is_first_wait { self.first_wait } else { self.wait.min(self.longest_wait) };
        if self.give_up.is_some() {
            self.give_up = Some(self.started + config.give_up_on_path);
        }
        if let (Some(_), Some(sent)) = (self.retransmit, self.sent) {
            self.retransmit = Some(sent + self.wait);
        }
    }

    /// A flight was written that answers the message with this number.
    pub(crate) const fn new_flight(&mut self, answers: u16) {
        self.wait = self.first_wait;
        self.repeats_left = self.max_repeats;
        self.answers = Some(answers);
        self.sent = None;
        self.retransmit = None;
    }

    /// The flight was sent to its end.
    pub(crate) fn sent(&mut self, now: Instant, awaits_answer: bool) {
        self.sent = Some(now);
        self.retransmit = (awaits_answer && self.repeats_left > 0).then_some(now + self.wait);
    }

    /// Whether the flight may be sent again, which is then about to happen.
    pub(crate) const fn take_repeat(&mut self) -> bool {
        let Some(left) = self.repeats_left.checked_sub(1) else { return false };
        self.repeats_left = left;
        self.retransmit = None;
        true
    }

    /// How often the flight was sent again.
    pub(crate) const fn repeats(&self) -> u32 {
        self.max_repeats.saturating_sub(self.repeats_left)
    }

    /// Whether the wait is over; the next one is longer.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let expired = self.retransmit.take_if(|due| *due <= now).is_some();
        if expired {
            self.wait = self.wait.saturating_mul(2).min(self.longest_wait);
        }
        expired
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.give_up.is_some_and(|due| due <= now)
    }

    /// Whether a message that was processed before says that the peer repeats its flight, as our answer
    /// was lost (RFC 6347 §4.2.4, figure 3). It is asked of anyone's message, so the answer is yes only so often.
    pub(crate) fn is_repeated_flight(&self, now: Instant, sequence: u16) -> bool {
        self.answers == Some(sequence) && self.sent.is_some_and(|sent| now - sent >= SHORTEST_REPEAT)
    }

    /// Nothing could arrive until now: what was sent is sent again, and the handshake has its whole time. Not for ever: who
    /// answers ICE now and then, and never DTLS, is given up.
    pub(crate) fn begin_anew(&mut self, now: Instant) {
        let Some(left) = self.revivals_left.checked_sub(1) else { return };
        self.revivals_left = left;
        if let Some(give_up) = self.give_up {
            self.give_up = Some(now + (give_up - self.started));
            self.started = now;
        }
        self.wait = self.first_wait;
        self.repeats_left = self.max_repeats;
        self.retransmit = self.retransmit.map(|_| now);
    }

    pub(crate) const fn stop(&mut self) {
        self.retransmit = None;
        self.give_up = None;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let Self {
            retransmit,
            give_up,
            started: _,
            first_wait: _,
            longest_wait: _,
            wait: _,
            sent: _,
            repeats_left: _,
            max_repeats: _,
            revivals_left: _,
            answers: _,
        } = self; // a new timer must be listed here to compile
        [*retransmit, *give_up].into_iter().flatten().min()
    }
}

/// How often a path is found again in the middle of one handshake.
const MAX_REVIVALS: u8 = 16;
/// Two round trips are not taken for more than this.
const LONGEST_TRIPS: Duration = Duration::from_secs(2);
/// No flight is repeated on a stranger's word sooner than this after it was sent.
const SHORTEST_REPEAT: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Identity;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn timing(max_retransmissions: u32) -> Timing {
        let null = testkit::null_provider();
        let identity = Identity::generate(null, 1_790_000_000, [1; 32]).unwrap();
        let mut config = Config::new(null, Arc::new(identity));
        config.max_retransmissions = max_retransmissions;
        Timing::new(testkit::epoch(), &config)
    }

    #[test]
    fn a_flight_that_may_not_be_repeated_waits_for_the_end_only() {
        let now = testkit::epoch();
        for (repeats, awaits_answer, next) in [(0, true, 60), (1, false, 60), (1, true, 1)] {
            let mut timing = timing(repeats);
            timing.new_flight(0);
            timing.sent(now, awaits_answer);
            assert_eq!(timing.next(), Some(now + Duration::from_secs(next)), "{repeats} {awaits_answer}");
        }
    }

    #[test]
    fn a_new_flight_has_the_first_wait_and_all_repeats_again() {
        let now = testkit::epoch();
        let mut timing = timing(1);
        timing.new_flight(0);
        timing.sent(now, true);
        assert!(timing.expire(now + Duration::from_secs(1)));
        assert!(timing.take_repeat() && !timing.take_repeat());
        timing.new_flight(1);
        let later = now + Duration::from_secs(2);
        timing.sent(later, true);
        assert_eq!(timing.next(), Some(later + Duration::from_secs(1)));
        assert!(timing.take_repeat());
    }

    /// RFC 6347 §4.2.4, figure 3.
    #[test]
    fn a_flight_is_asked_for_by_the_message_it_answers_and_not_at_once() {
        let now = testkit::epoch();
        let mut timing = timing(64);
        assert!(!timing.is_repeated_flight(now + SHORTEST_REPEAT, 3));
        timing.new_flight(3);
        assert!(!timing.is_repeated_flight(now + SHORTEST_REPEAT, 3), "it is not sent yet");
        timing.sent(now, true);
        assert!(!timing.is_repeated_flight(now + (SHORTEST_REPEAT - MILLISECOND), 3));
        assert!(timing.is_repeated_flight(now + SHORTEST_REPEAT, 3));
        assert!(timing.is_repeated_flight(now + Duration::from_secs(9), 3));
        for other in [2, 4] {
            assert!(!timing.is_repeated_flight(now + SHORTEST_REPEAT, other));
        }
    }
}
