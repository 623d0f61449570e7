//! What must hold at every moment of a session, as its figures show it.

use proto::Instant;
use session::{ChannelId, Reliability};
use testkit::{HostId, World};

use crate::harness::{Node, session};
use crate::plan::Plan;

/// The figures of the moment before.
#[derive(Debug)]
pub struct Oracle {
    /// Whether some messages may be given up: by their policy, or because their channel is closed in the middle of one.
    partial: bool,
    /// Bytes that may wait for sending.
    send_buffer: usize,
    before: [sctp::Stats; 2],
}

impl Oracle {
    pub fn new(plan: &Plan) -> Self {
        let partial = plan
            .channels
            .iter()
            .any(|it| it.init.reliability != Reliability::Reliable || it.closer.is_some());
        let send_buffer = plan.send_buffer.unwrap_or_else(|| session::Limits::default().send_buffer);
        Self { partial, send_buffer, before: Default::default() }
    }

    /// Says what does not hold, with the channels of each side.
    pub fn check(
        &mut self,
        hosts: [HostId; 2],
        channels: [impl Iterator<Item = ChannelId>; 2],
        world: &mut World<Node>,
    ) -> Result<(), String> {
        for ((before, host), channels) in self.before.iter_mut().zip(hosts).zip(channels) {
            let clock = world.clock(host);
            let asleep = world.is_asleep(host);
            let session = session(world, host);
            let stats = session.stats(clock);
            let now = stats.sctp;
            judge(self.partial, before, &now)?;
            let waiting: usize = channels.map(|id| session.buffered(id)).sum();
            if waiting > self.send_buffer + RESERVE {
                return Err(format!("{waiting} bytes wait, and {} may", self.send_buffer));
            }
            // Without a path there is nothing to wait for.
            if now.in_flight > 0 && !asleep && stats.selected_path.is_some() {
                timer_is_set(clock, session.poll_timeout())?;
            }
            *before = now;
        }
        Ok(())
    }
}

fn judge(partial: bool, before: &sctp::Stats, now: &sctp::Stats) -> Result<(), String> {
    // What is sent begins below the window and passes it by less than a packet (RFC 9260 §6.1, rule B). A window that
    // shrinks leaves more in flight; then nothing is added but for one packet at the loss itself (§7.2.4), which is sent
    // in the moment that shows the loss, and for probes, which no window holds back (RFC 8985 §7.3, RFC 9002 §7.5).
    let shrunk = now.loss_events > before.loss_events || now.timeouts > before.timeouts;
    let allowed = before.in_flight.max(now.congestion_window + MAX_PACKET);
    let probes = usize::try_from(now.probes - before.probes).unwrap();
    if !shrunk && now.in_flight > allowed + probes * MAX_PACKET {
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
/// What a message that has begun may add to a full buffer, as it holds up all others.
const RESERVE: usize = 64 << 10;
