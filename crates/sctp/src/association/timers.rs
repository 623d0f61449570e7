use proto::Instant;

use super::{Association, State};
use crate::{CloseReason, Violation};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    /// T1-init and T1-cookie: they never run together.
    pub(super) handshake: Option<Instant>,
    /// T2-shutdown.
    pub(super) shutdown: Option<Instant>,
    /// T5-shutdown-guard.
    pub(super) guard: Option<Instant>,
    /// T3-rtx.
    pub(super) retransmit: Option<Instant>,
    /// The last packet of a flight is probed for.
    pub(super) probe: Option<Instant>,
    /// A packet that was overtaken counts as lost.
    pub(super) reordering: Option<Instant>,
    /// The next burst may be sent, although nothing came in.
    pub(super) pace: Option<Instant>,
    /// A delayed acknowledgement.
    pub(super) ack: Option<Instant>,
    /// RE-CONFIG.
    pub(super) reset: Option<Instant>,
    /// The next HEARTBEAT.
    pub(super) heartbeat: Option<Instant>,
    /// The peer's window stays closed.
    pub(super) window: Option<Instant>,
    /// Memory that was not needed for a while is given back.
    pub(super) idle: Option<Instant>,
}

impl Timers {
    pub(super) fn next(&self) -> Option<Instant> {
        let Self {
            handshake,
            shutdown,
            guard,
            retransmit,
            probe,
            reordering,
            pace,
            ack,
            reset,
            heartbeat,
            window,
            idle,
        } = self; // a new timer must be listed here to compile
        [
            *handshake,
            *shutdown,
            *guard,
            *retransmit,
            *probe,
            *reordering,
            *pace,
            *ack,
            *reset,
            *heartbeat,
            *window,
            *idle,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Association {
    pub(super) fn expire(&mut self) {
        let now = self.now;
        if expired(&mut self.timers.ack, now) {
            self.ack.due = self.ack.pending;
        }
        if expired(&mut self.timers.pace, now) {
            self.sender.burst = self.config.max_burst;
        }
        if expired(&mut self.timers.guard, now) {
            self.replies.abort = Some(super::transmit::Abort::new(self.peer.tag, 0));
            self.close(CloseReason::TimedOut);
        }
        if expired(&mut self.timers.window, now) {
            self.violate(Violation::WindowClosed, super::transmit::CAUSE_PROTOCOL_VIOLATION);
        }
        if expired(&mut self.timers.handshake, now) {
            self.handshake_timed_out();
        }
        if expired(&mut self.timers.shutdown, now) && self.count_error() {
            self.round_trip.back_off();
            self.replies.shutdown = self.state == State::ShutdownSent;
            self.replies.shutdown_ack = self.state == State::ShutdownAckSent;
        }
        // RFC 6525 §5.1.1: the time-out doubles, and counts as a transmission in vain.
        if expired(&mut self.timers.reset, now) && (self.resets.in_progress() || self.count_error()) {
            self.round_trip.back_off();
            self.resets.timed_out();
        }
        if expired(&mut self.timers.reordering, now) {
            self.find_losses();
        }
        if expired(&mut self.timers.probe, now) {
            self.probe();
        }
        if expired(&mut self.timers.retransmit, now) {
            self.retransmission_timed_out();
        }
        if expired(&mut self.timers.heartbeat, now) {
            self.heartbeat_due();
        }
        self.expire_size_probe();
        if expired(&mut self.timers.idle, now) && self.inbound.is_idle() && self.flight.is_empty() {
            self.inbound.release_memory();
            self.outbound.release_memory();
            self.flight.release_memory();
        }
    }

    /// One more transmission was in vain. `false` if it was one too many (RFC 9260 §8.1).
    pub(super) fn count_error(&mut self) -> bool {
        self.errors = self.errors.saturating_add(1);
        if self.errors <= self.config.max_retransmits {
            return true;
        }
        self.replies.abort = Some(super::transmit::Abort::new(self.peer.tag, 0));
        self.close(CloseReason::TimedOut);
        false
    }

    /// The peer answered what is not data, which ends the count of errors (RFC 9260 §8.1), but not while data are
    /// outstanding: on a path that loses whatever is large, small answers would hide that for ever.
    pub(super) fn answered(&mut self) {
        if self.flight.is_empty() {
            self.errors = 0;
        }
    }

    fn handshake_timed_out(&mut self) {
        self.errors = self.errors.saturating_add(1);
        if self.errors > self.config.max_init_retransmits {
            self.close(CloseReason::HandshakeTimedOut);
            return;
        }
        // Behind a checked path it is loss rather than congestion: there is hardly anything in flight yet.
        if self.errors == 1 || self.errors > QUICK_HANDSHAKES {
            self.round_trip.back_off();
        }
        match self.state {
            State::CookieWait => self.replies.init = true,
            State::CookieEchoed(_) => self.replies.cookie_echo = true,
            State::Listening
            | State::Established
            | State::ShutdownPending
            | State::ShutdownSent
            | State::ShutdownReceived
            | State::ShutdownAckSent
            | State::Closed => {}
        }
    }

    /// RFC 9260 §6.3.3.
    fn retransmission_timed_out(&mut self) {
        if self.flight.is_empty() {
            return;
        }
        self.stats.timeouts = self.stats.timeouts.saturating_add(1);
        if !self.count_error() {
            return;
        }
        self.round_trip.back_off();
        self.congestion.timed_out();
        self.flight.all_lost();
        self.sender.recovery = self.flight.packet();
        self.sender.timed_out = true;
        self.sender.fast = false;
        self.sender.probes = 0;
        self.sender.burst = self.config.max_burst;
        self.sender.forward = true;
        self.timers.probe = None;
        self.timers.reordering = None;
        // Runs until something is acknowledged, whether or not what is lost can be sent.
        self.timers.retransmit = Some(self.now + self.round_trip.rto(&self.config));
    }

    /// A tail loss probe (RFC 8985 §7.3): one packet beyond the congestion window, of what is lost if there is some.
    /// It goes while a loss is being repaired, too (RFC 9002 §6.2.4), but after a time-out it would only put off the
    /// next one.
    fn probe(&mut self) {
        let in_vain = self.errors > 0 || self.sender.probes >= MAX_PROBES;
        if self.flight.nothing_in_flight() || in_vain || self.peer.closed {
            return;
        }
        self.sender.probes = self.sender.probes.saturating_add(1);
        self.sender.probe = self.flight.probe();
    }

    fn heartbeat_due(&mut self) {
        let Some(interval) = self.config.heartbeat.filter(|_| self.is_connected()) else { return };
        if self.heartbeat_nonce.is_some() {
            // The last one was not answered.
            if !self.count_error() {
                return;
            }
        }
        self.timers.heartbeat = Some(self.now + interval);
        self.heartbeat_nonce = None;
        if self.flight.is_empty() {
            self.heartbeat_nonce = Some(self.rng.u64());
            self.replies.heartbeat = true;
        }
    }
}

pub(super) fn expired(timer: &mut Option<Instant>, now: Instant) -> bool {
    timer.take_if(|due| *due <= now).is_some()
}

const MAX_PROBES: u32 = 2;
/// Handshakes that are sent again without waiting longer each time.
const QUICK_HANDSHAKES: u32 = 10;
