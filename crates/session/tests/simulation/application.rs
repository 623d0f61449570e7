//! Two applications and the signalling between them: they do what the plan says and check what arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::Instant;
use session::{
    ChannelId, ChannelState, ConnectionState, Event, Failure, GatheringState, OpenError, Outgoing,
    Reliability, SendError, Session, SignalingState,
};
use testkit::{HostId, World};

use crate::call::Call;
use crate::faults::Faults;
use crate::harness::{Node, peer, session};
use crate::oracle::Oracle;
use crate::plan::{ChannelPlan, Plan};
use crate::signalling::{Mail, Signalling};

/// Both applications.
pub struct Applications {
    pub plan: Plan,
    pub hosts: [HostId; 2],
    clock: HostId,
    pub start: Instant,
    pub signalling: Signalling,
    pub faults: Faults,
    pub call: Option<Call>,
    oracle: Oracle,
    channels: Vec<Channel>,
    by_id: [BTreeMap<ChannelId, usize>; 2],
    readable: [BTreeSet<ChannelId>; 2],
    read_at: [Instant; 2],
    pub connected_at: [Option<Instant>; 2],
    pub restarted: bool,
    pub progress: u64,
    progressed_at: Instant,
    /// Bytes that SCTP had taken on each side when nothing else had happened for long.
    carried: [u64; 2],
    pub failure: Option<Failure>,
    /// Since everything reliable has arrived: what is partial gets a while more.
    complete_since: Option<Instant>,
}

#[derive(Default)]
struct Channel {
    ids: [Option<ChannelId>; 2],
    open: [bool; 2],
    closed: [bool; 2],
    closing: bool,
    /// By sender.
    ways: [Way; 2],
}

/// A channel in one direction.
#[derive(Default)]
struct Way {
    /// Messages begun.
    begun: usize,
    current: Option<Outgoing>,
    next_at: Option<Instant>,
    /// Begun and not seen at the other end.
    outstanding: BTreeSet<usize>,
    last_seen: Option<usize>,
    parts: Option<(session::MessageKind, Vec<u8>)>,
    received: usize,
    cut: bool,
}

impl Applications {
    pub fn new(plan: Plan, hosts: [HostId; 2], clock: HostId, now: Instant) -> Self {
        let channels = plan.channels.iter().map(|_| Channel::default()).collect();
        Self {
            signalling: Signalling::new(&plan, now),
            faults: Faults::new(&plan),
            call: None,
            oracle: Oracle::new(&plan),
            plan,
            hosts,
            clock,
            start: now,
            channels,
            by_id: [BTreeMap::new(), BTreeMap::new()],
            readable: [BTreeSet::new(), BTreeSet::new()],
            read_at: [now; 2],
            connected_at: [None; 2],
            restarted: false,
            progress: 0,
            progressed_at: now,
            carried: [0; 2],
            failure: None,
            complete_since: None,
        }
    }

    /// Opens what is there at the start, and offers.
    pub fn begin(&mut self, world: &mut World<Node>) {
        self.call = Call::begin(&self.plan, self.hosts, world);
        self.open_channels(world);
        let first = &self.plan.channels[0];
        let offerer = if first.init.negotiated.is_some() || self.has_channel(self.plan.offerer) {
            self.plan.offerer
        } else {
            first.opener
        };
        self.plan.offerer = offerer;
        self.offer(world, offerer);
        if self.plan.glare && self.has_channel(1 - offerer) {
            self.offer(world, 1 - offerer);
        }
    }

    /// Everything that is to be done now; says whether all is done, or lost.
    pub fn step(&mut self, world: &mut World<Node>) -> bool {
        let ids = self.by_id.each_ref().map(|ids| ids.keys().copied());
        if let Err(problem) = self.oracle.check(self.hosts, ids, world) {
            panic!("{problem}\n{}", self.describe(world));
        }
        let now = world.now();
        let connected = self.connected_at.iter().all(Option::is_some);
        self.faults.step(&self.plan, self.hosts, connected, world);
        self.open_channels(world);
        self.take_events(world);
        self.deliver_mail(world);
        self.restart(world);
        for side in self.awake(world) {
            self.read(world, side);
            self.write(world, side);
            if let Some(call) = &mut self.call {
                call.step(world, self.hosts, side);
            }
        }
        if self.failure.is_some() || self.was_cut_short(world) {
            return true;
        }
        let patience = self.plan.patience();
        if now - self.progressed_at >= patience {
            self.look_below(world);
        }
        let stalled = now - self.progressed_at;
        assert!(stalled < patience, "nothing happened for {stalled:?}\n{}", self.describe(world));
        if self.is_complete(now) {
            let since = *self.complete_since.get_or_insert(now);
            let partial =
                self.plan.channels.iter().any(|plan| plan.init.reliability != Reliability::Reliable);
            let linger = if partial { Duration::from_secs(3) } else { Duration::ZERO };
            if now - since >= linger {
                return true;
            }
            self.wake(world, Some(since + linger));
        } else {
            self.complete_since = None;
            self.wake(world, None);
        }
        false
    }

    /// The sides that are not asleep.
    pub fn awake(&self, world: &World<Node>) -> Vec<usize> {
        (0..2).filter(|side| !world.is_asleep(self.hosts[*side])).collect()
    }

    /// Whether the plan wants the end now, in the middle of whatever is going on.
    pub fn was_cut_short(&self, world: &World<Node>) -> bool {
        self.plan.cut_short.is_some_and(|after| world.elapsed() >= after)
    }

    /// Whether each side has the description of the other.
    pub fn are_acquainted(&self, world: &mut World<Node>) -> bool {
        self.hosts.iter().all(|host| {
            let session = session(world, *host);
            session.remote_description().is_some() && session.signaling_state() == SignalingState::Stable
        })
    }

    /// After the end: nothing but reading on.
    pub fn drain(&mut self, world: &mut World<Node>) {
        self.take_events(world);
    }

    fn take_events(&mut self, world: &mut World<Node>) {
        for side in self.awake(world) {
            while let Some(event) = peer(world, self.hosts[side]).events.pop_front() {
                self.take_event(world, side, event);
            }
        }
    }

    fn wake(&self, world: &mut World<Node>, also: Option<Instant>) {
        let now = world.now();
        let opens = self.plan.channels.iter().map(|plan| self.start + plan.open_after);
        let mail = self.signalling.next(now);
        let sends =
            self.channels.iter().flat_map(|channel| channel.ways.iter().filter_map(|way| way.next_at));
        let restart = self.plan.restart.map(|(_, after)| self.start + after);
        let reads = (0..2).filter(|side| !self.readable[*side].is_empty()).map(|side| self.read_at[side]);
        let all = opens.chain(mail).chain(sends).chain(restart).chain(reads).chain(also);
        let all = all.chain(self.plan.cut_short.map(|after| self.start + after));
        let all = all.chain(self.faults.next(now)).chain(self.call.iter().flat_map(Call::next));
        let stall = self.progressed_at + self.plan.patience();
        let due = all.filter(|due| *due > now).min().unwrap_or(stall).min(stall);
        if let Some(Node::Clock(clock)) = world.machines.get_mut(&self.clock) {
            *clock = Some(due);
        }
    }

    fn has_channel(&self, side: usize) -> bool {
        self.channels.iter().any(|channel| channel.ids[side].is_some())
    }

    /// What is still sent on a channel that the other side has closed is no application's any more, and has to
    /// arrive all the same before its stream is reset (RFC 8831 §6.7); a long message may come out only when it is
    /// whole. On a slow network that takes minutes. Asked once in a while alone, so that a session that carries nothing
    /// is seen.
    fn look_below(&mut self, world: &mut World<Node>) {
        let now = world.now();
        let carried = self.hosts.map(|host| session(world, host).stats(now).sctp.bytes_received);
        if carried != self.carried {
            self.carried = carried;
            self.progressed(now);
        }
    }

    fn progressed(&mut self, now: Instant) {
        self.progress += 1;
        self.progressed_at = now;
    }

    // Channels.

    fn open_channels(&mut self, world: &mut World<Node>) {
        let now = world.now();
        for number in 0..self.channels.len() {
            let plan = &self.plan.channels[number];
            if now < self.start + plan.open_after {
                continue;
            }
            for side in self.awake(world) {
                let wanted = plan.opener == side || plan.init.negotiated.is_some();
                if wanted && self.channels[number].ids[side].is_none() {
                    let clock = world.clock(self.hosts[side]);
                    let session = session(world, self.hosts[side]);
                    match session.open_channel(clock, plan.init.clone()) {
                        Ok(id) => {
                            self.channels[number].ids[side] = Some(id);
                            self.by_id[side].insert(id, number);
                        }
                        // It has ended just now, and that is still to be told.
                        Err(OpenError::Closed) => {
                            let state = session.connection_state();
                            let ended = matches!(state, ConnectionState::Closed | ConnectionState::Failed(_));
                            assert!(ended, "closed while {state:?}");
                        }
                        Err(error) => panic!("cannot open: {error:?}"),
                    }
                }
            }
        }
    }

    fn take_event(&mut self, world: &mut World<Node>, side: usize, event: Event) {
        let now = world.now();
        match event {
            Event::Candidate(found) if !self.plan.half_trickle => {
                self.signalling.post(now, 1 - side, Mail::Candidate(found));
            }
            Event::GatheringState(GatheringState::Complete) => self.send_description(world, side),
            Event::ConnectionState(ConnectionState::Connected) => {
                self.connected_at[side].get_or_insert(now);
                self.progressed(now);
            }
            Event::ConnectionState(ConnectionState::Failed(failure)) => self.failure = Some(failure),
            Event::ChannelOpened(id) => self.take_incoming(session(world, self.hosts[side]), side, id),
            Event::ChannelOpen(id) => {
                let number = self.by_id[side][&id];
                assert!(!self.channels[number].open[side], "opened twice");
                self.channels[number].open[side] = true;
                self.progressed(now);
            }
            Event::ChannelReadable(id) => {
                self.readable[side].insert(id);
            }
            Event::ChannelClosed(id) => {
                let number = self.by_id[side][&id];
                while self.read_part(world, side, id) {}
                let channel = &mut self.channels[number];
                assert!(!channel.closed[side], "closed twice");
                channel.closed[side] = true;
                self.readable[side].remove(&id);
                self.progressed(now);
            }
            _ => {}
        }
    }

    fn take_incoming(&mut self, session: &Session, side: usize, id: ChannelId) {
        let info = session.channel(id).expect("a channel that was opened is known");
        let number = self.plan.channels.iter().position(|plan| plan.init.label == info.label);
        let number = number.expect("a label of ours");
        let ChannelPlan { init, opener, .. } = &self.plan.channels[number];
        assert_ne!(*opener, side);
        let (retransmits, life_time) = match init.reliability {
            Reliability::Reliable => (None, None),
            Reliability::MaxRetransmits(count) => (Some(count), None),
            Reliability::MaxLifetime(time) => (None, Some(u16::try_from(time.as_millis()).unwrap())),
        };
        assert_eq!(
            (info.protocol, info.ordered, info.max_retransmits, info.max_packet_life_time),
            (init.protocol.as_str(), init.ordered, retransmits, life_time)
        );
        let channel = &mut self.channels[number];
        assert!(channel.ids[side].replace(id).is_none(), "came twice");
        channel.open[side] = true;
        self.by_id[side].insert(id, number);
    }

    fn write(&mut self, world: &mut World<Node>, side: usize) {
        let (now, clock) = (world.now(), world.clock(self.hosts[side]));
        let session = session(world, self.hosts[side]);
        for (channel, plan) in self.channels.iter_mut().zip(&self.plan.channels) {
            let Some(id) = channel.ids[side].filter(|_| channel.open[side] && !channel.closed[side]) else {
                continue;
            };
            // Of a negotiated channel the applications must know that both have opened it: nothing in band tells them
            // (RFC 8831 §6.4). What comes before is kept, as long as it is not much; a reset is answered at once.
            let known = channel.ids[1 - side].is_some() || plan.init.negotiated.is_none();
            let way = &mut channel.ways[side];
            while !way.cut {
                let next = plan.messages[side].get(way.begun);
                if !known && next.is_some_and(|(_, data)| way.begun > 0 || data.len() > EARLY) {
                    break;
                }
                if way.next_at.is_some_and(|at| now < at) {
                    break;
                }
                way.next_at = None;
                let next = way.current.take().or_else(|| {
                    let (kind, data) = plan.messages[side].get(way.begun)?;
                    way.outstanding.insert(way.begun);
                    way.begun += 1;
                    Some(Outgoing::new(*kind, data.clone()))
                });
                let Some(mut message) = next else { break };
                match session.send(clock, id, &mut message) {
                    Ok(()) => way.next_at = (!plan.pause.is_zero()).then(|| now + plan.pause),
                    Err(SendError::Blocked) => {
                        way.current = Some(message);
                        break;
                    }
                    Err(SendError::Closed | SendError::UnknownChannel) => way.cut = true,
                    Err(error) => panic!("cannot send: {error:?}"),
                }
            }
            let finished = way.begun == plan.messages[side].len() && way.current.is_none();
            if plan.closer == Some(side) && finished && known && !channel.closing {
                channel.closing = true;
                // What the other side has not sent by now may be lost, and its further messages are refused.
                channel.ways[1 - side].cut = true;
                session.close_channel(clock, id);
                let state = session.channel(id).map(|info| info.state);
                assert!(!matches!(state, Some(ChannelState::Open | ChannelState::Connecting)), "{state:?}");
            }
        }
    }

    fn read(&mut self, world: &mut World<Node>, side: usize) {
        let now = world.now();
        if now < self.read_at[side] || self.readable[side].is_empty() {
            return;
        }
        let mut left = if self.plan.read_pause.is_zero() { usize::MAX } else { 8 };
        while let Some(id) = self.readable[side].first().copied() {
            while left > 0 && self.read_part(world, side, id) {
                left -= 1;
            }
            if left == 0 {
                break;
            }
            self.readable[side].remove(&id);
        }
        self.read_at[side] = now + self.plan.read_pause;
    }

    fn read_part(&mut self, world: &mut World<Node>, side: usize, id: ChannelId) -> bool {
        let (now, clock) = (world.now(), world.clock(self.hosts[side]));
        let number = self.by_id[side][&id];
        let Some(part) = session(world, self.hosts[side]).recv(clock, id) else { return false };
        let plan = &self.plan.channels[number];
        let channel = &mut self.channels[number];
        assert!(!channel.closed[side], "a message after the end was told");
        let way = &mut channel.ways[1 - side];
        if part.abandoned {
            assert_ne!(plan.init.reliability, Reliability::Reliable, "given up");
            assert!(way.parts.take().is_some(), "nothing was begun");
            return true;
        }
        let (kind, data) = way.parts.get_or_insert((part.kind, Vec::new()));
        assert_eq!(*kind, part.kind);
        data.extend_from_slice(&part.data);
        if part.end {
            let message = way.parts.take().unwrap();
            way.arrived(plan, 1 - side, &message);
        }
        self.progressed(now);
        true
    }

    fn is_complete(&self, now: Instant) -> bool {
        let done = |(channel, plan): (&Channel, &ChannelPlan)| {
            let arrived = (0..2).all(|side| {
                let way = &channel.ways[side];
                let sent = way.begun == plan.messages[side].len() && way.current.is_none();
                let partial = plan.init.reliability != Reliability::Reliable;
                way.cut || sent && (partial || way.outstanding.is_empty())
            });
            let closed = plan.closer.is_none() || channel.closed == [true; 2];
            arrived && closed && channel.open == [true; 2]
        };
        let restarted = self.restarted || self.plan.restart.is_none();
        let connected = self.connected_at.iter().all(Option::is_some);
        let is_spoken = self.call.as_ref().is_none_or(|call| call.is_over(now));
        let quiet = self.signalling.is_quiet() && self.faults.are_over() && is_spoken;
        connected && restarted && quiet && self.channels.iter().zip(&self.plan.channels).all(done)
    }

    /// What reliable channels that were not closed by the other side must have brought over.
    pub fn check_complete(&self) {
        for (channel, plan) in self.channels.iter().zip(&self.plan.channels) {
            for way in &channel.ways {
                if plan.init.reliability == Reliability::Reliable && !way.cut {
                    assert!(way.outstanding.is_empty(), "{}: lost {:?}", plan.init.label, way.outstanding);
                }
            }
        }
    }

    /// Everything that helps to understand a failure.
    pub fn describe(&self, world: &mut World<Node>) -> String {
        use std::fmt::Write as _;
        let now = world.now();
        let mut text = format!("after {:?}\n", world.elapsed());
        for (number, (channel, plan)) in self.channels.iter().zip(&self.plan.channels).enumerate() {
            let ways = channel.ways.each_ref().map(|way| {
                let blocked = way.current.is_some();
                format!("{} begun, {} arrived, cut {}, blocked {blocked}", way.begun, way.received, way.cut)
            });
            let totals = plan.messages.each_ref().map(Vec::len);
            let _ = writeln!(
                text,
                "{number}: {:?} by {} of {totals:?} closer {:?}: open {:?} closed {:?}: {ways:?}",
                plan.init, plan.opener, plan.closer, channel.open, channel.closed
            );
        }
        let _ = writeln!(text, "{:?}\n{:?}", self.plan.faults, self.signalling);
        for host in self.hosts {
            let _ = writeln!(text, "{}", session(world, host).report(now));
            let _ = writeln!(text, "{:?}", session(world, host).stats(now).sctp);
            let discards = &peer(world, host).discards;
            let _ = writeln!(text, "{:?}", &discards[discards.len().saturating_sub(10)..]);
        }
        let _ = writeln!(text, "{}", world.trace);
        text
    }
}

impl Way {
    /// A whole message came out of the other end.
    fn arrived(&mut self, plan: &ChannelPlan, sender: usize, message: &(session::MessageKind, Vec<u8>)) {
        let sent = &plan.messages[sender];
        let ordered = plan.init.ordered;
        let from = if ordered { self.last_seen.map_or(0, |last| last + 1) } else { 0 };
        let found = self.outstanding.range(from..).find(|place| sent[**place] == *message).copied();
        let Some(found) = found else {
            let head = String::from_utf8_lossy(&message.1[..message.1.len().min(40)]).into_owned();
            panic!(
                "{}: altered, repeated or out of order: {} bytes, {head:?}",
                plan.init.label,
                message.1.len()
            );
        };
        if ordered && plan.init.reliability == Reliability::Reliable {
            assert_eq!(found, self.received, "{}: one was left out", plan.init.label);
        }
        self.outstanding.remove(&found);
        self.last_seen = Some(found);
        self.received += 1;
    }
}

/// The longest message on a channel that the other side may not have opened.
const EARLY: usize = 3000;
