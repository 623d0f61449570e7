//! What must hold at every moment of a session, as its figures show it.

use proto::Instant;
use testkit::{HostId, World};

use crate::harness::{Node, session};

/// The figures of the moment before.
#[derive(Debug)]
pub struct Oracle {
    /// Whether some messages may be given up: by their policy, or because their channel is closed in the middle of one.
    partial: bool,
    before: [sctp::Stats; 2],
}

impl Oracle {
    pub fn new(partial: bool) -> Self {
        Self { partial, before: Default::default() }
    }

    /// Says what does not hold.
    pub fn check(&mut self, hosts: [HostId; 2], world: &mut World<Node>) -> Result<(), String> {
        for (before, host) in self.before.iter_mut().zip(hosts) {
            let clock = world.clock(host);
            let asleep = world.is_asleep(host);
            let session = session(world, host);
            let now = session.stats(clock).sctp;
            judge(self.partial, before, &now)?;
            if now.in_flight > 0 && !asleep && !session.is_over() {
                timer_is_set(clock, session.poll_timeout())?;
            }
            *before = now;
        }
        Ok(())
    }
}

fn judge(partial: bool, before: &sctp::Stats, now: &sctp::Stats) -> Result<(), String> {
    // A window that shrinks leaves more in flight than it allows; nothing is added then, but for the last packet
    // that began below the limit and two probes of the tail (RFC 8985 §7.3).
    let shrunk = now.loss_events > before.loss_events || now.timeouts > before.timeouts;
    if !shrunk && now.in_flight > before.in_flight && now.in_flight > now.congestion_window + 3 * MAX_PACKET {
        return Err(format!("more is in flight than allowed\n{before:?}\n{now:?}"));
    }
    if !partial && now.abandoned > 0 {
        return Err(format!("{} parts of reliable messages were given up", now.abandoned));
    }
    Ok(())
}

fn timer_is_set(now: Instant, timer: Option<Instant>) -> Result<(), String> {
    match timer {
        Some(due) if due > now => Ok(()),
        other => Err(format!("data is outstanding at {now:?}, the next timer is {other:?}")),
    }
}

const MAX_PACKET: usize = 1200;
