use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use proto::Instant;

use crate::ids::Serial;
use crate::outbound::{Outbound, Outgoing};
use crate::wire::{DATA_HEADER_LEN, Data, padding};
use crate::{Ssn, StreamId, Tsn};

/// What was sent and is not acknowledged cumulatively: a ring indexed by TSN. Beside it a log of
/// transmissions in the order of packets, from whose front losses are read: nothing ever walks the ring.
#[derive(Debug)]
pub(crate) struct Flight {
    ring: VecDeque<Sent>,
    /// Serial of the ring's front.
    front: Serial,
    log: VecDeque<Run>,
    lost: BinaryHeap<Reverse<Serial>>,
    acked: Vec<(Serial, Serial)>,
    reported: Vec<(Serial, Serial)>,
    /// Chunk bytes in flight, and payload bytes of the same.
    bytes: usize,
    payload: usize,
    chunks: usize,
    next_packet: u64,
    highest_acked: u64,
    /// Up to here the peer need not wait for anything (RFC 3758 §3.5).
    advanced: Serial,
    abandoned: usize,
}

#[derive(Debug)]
struct Sent {
    data: Bytes,
    at: Instant,
    packet: u64,
    expires: Option<Instant>,
    ppid: crate::Ppid,
    stream: StreamId,
    ssn: u16,
    transmits: u16,
    max_retransmits: Option<u16>,
    unordered: bool,
    begin: bool,
    end: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    InFlight,
    Lost,
    Acked,
    Abandoned,
}

/// What an acknowledgement is judged by.
#[derive(Clone, Copy, Debug)]
struct Facts {
    len: usize,
    at: Instant,
    packet: u64,
    transmits: u16,
    state: State,
}

impl Sent {
    const fn facts(&self) -> Facts {
        Facts {
            len: self.data.len(),
            at: self.at,
            packet: self.packet,
            transmits: self.transmits,
            state: self.state,
        }
    }
}

/// Consecutive serials that one packet carried.
#[derive(Clone, Copy, Debug)]
struct Run {
    packet: u64,
    first: Serial,
    count: u64,
}

/// What a SACK brought.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Acked {
    /// Chunk bytes that were acknowledged for the first time.
    pub(crate) bytes: usize,
    pub(crate) advanced: bool,
    pub(crate) rtt: Option<Duration>,
    /// Latest packet among those acknowledged.
    pub(crate) packet: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SackError {
    Old,
    Unsent,
}

/// What a search for losses found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Losses {
    /// Latest packet that was lost.
    pub(crate) packet: Option<u64>,
    /// When to look again.
    pub(crate) again: Option<Instant>,
}

impl Flight {
    pub(crate) fn new(first: Tsn) -> Self {
        let front = Serial::first(first);
        Self {
            ring: VecDeque::new(),
            front,
            log: VecDeque::new(),
            lost: BinaryHeap::new(),
            acked: Vec::new(),
            reported: Vec::new(),
            bytes: 0,
            payload: 0,
            chunks: 0,
            next_packet: 1,
            highest_acked: 0,
            advanced: front.minus(1),
            abandoned: 0,
        }
    }

    /// Chunk bytes in flight (what the congestion window counts).
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Payload bytes in flight (what the peer's window counts).
    pub(crate) const fn payload(&self) -> usize {
        self.payload
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Whether everything but what was abandoned is acknowledged.
    pub(crate) const fn nothing_in_flight(&self) -> bool {
        self.chunks == 0
    }

    pub(crate) fn next_tsn(&self) -> Tsn {
        self.next().tsn()
    }

    pub(crate) fn last_tsn(&self) -> Tsn {
        self.next().minus(1).tsn()
    }

    /// Whether the peer has acknowledged everything up to `tsn`.
    pub(crate) fn is_acknowledged(&self, tsn: Tsn) -> bool {
        let last = self.front.minus(1);
        last.near(tsn) <= last
    }

    pub(crate) const fn packet(&self) -> u64 {
        self.next_packet
    }

    /// The packet that chunks were noted for is complete.
    pub(crate) fn finish_packet(&mut self) {
        self.next_packet = self.next_packet.saturating_add(1);
    }

    pub(crate) fn release_memory(&mut self) {
        if self.ring.is_empty() {
            self.ring = VecDeque::new();
            self.log = VecDeque::new();
            self.lost = BinaryHeap::new();
            self.acked = Vec::new();
            self.reported = Vec::new();
        }
    }

    /// Notes a new fragment as sent with the packet being written.
    pub(crate) fn push(&mut self, now: Instant, outgoing: Outgoing) {
        let serial = self.next();
        self.count_in(outgoing.data.len());
        self.log(serial);
        self.ring.push_back(Sent {
            data: outgoing.data,
            at: now,
            packet: self.next_packet,
            expires: outgoing.expires,
            ppid: outgoing.ppid,
            stream: outgoing.stream,
            ssn: outgoing.ssn,
            transmits: 1,
            max_retransmits: outgoing.max_retransmits,
            unordered: outgoing.unordered,
            begin: outgoing.begin,
            end: outgoing.end,
            state: State::InFlight,
        });
    }

    /// The lost chunk that is to be sent next.
    pub(crate) fn next_lost(&mut self) -> Option<(Serial, Data<'_>)> {
        let serial = loop {
            let Reverse(serial) = *self.lost.peek()?;
            if self.get(serial).is_some_and(|sent| sent.state == State::Lost) {
                break serial;
            }
            self.lost.pop();
        };
        Some((serial, self.data(serial)?))
    }

    /// Whether `serial` is the first that is not acknowledged cumulatively.
    pub(crate) fn is_earliest(&self, serial: Serial) -> bool {
        self.front == serial
    }

    /// Notes the first lost chunk as sent again with the packet being written.
    pub(crate) fn resent(&mut self, now: Instant, serial: Serial) {
        self.lost.pop();
        let packet = self.next_packet;
        let Some(sent) = self.get_mut(serial) else { return };
        sent.state = State::InFlight;
        sent.at = now;
        sent.packet = packet;
        sent.transmits = sent.transmits.saturating_add(1);
        let len = sent.data.len();
        self.count_in(len);
        self.log(serial);
    }

    /// Takes a SACK, or a SHUTDOWN, which does not say what lies above gaps. Nothing is changed if it is refused.
    pub(crate) fn acknowledge(
        &mut self,
        now: Instant,
        cumulative: Tsn,
        gaps: Option<impl Iterator<Item = (u16, u16)>>,
        least: Duration,
        outbound: &mut Outbound,
    ) -> Result<Acked, SackError> {
        let cumulative = self.front.minus(1).near(cumulative);
        if cumulative < self.front.minus(1) {
            return Err(SackError::Old);
        }
        if cumulative >= self.next() {
            return Err(SackError::Unsent);
        }
        self.reported.clear();
        if gaps.is_none() {
            // RFC 9260 §3.3.8: what was reported before stands.
            self.reported.extend(self.acked.iter().filter(|(_, last)| *last > cumulative));
        }
        for (first, last) in gaps.into_iter().flatten() {
            let (first, last) = (cumulative.plus(first.into()), cumulative.plus(last.into()));
            if last >= self.next() {
                return Err(SackError::Unsent);
            }
            // Runs that are empty or out of order say nothing.
            if first > last
                || self.reported.last().is_some_and(|(_, before)| first <= *before)
                || first <= cumulative
            {
                break;
            }
            self.reported.push((first, last));
        }
        let mut acked = Acked { advanced: cumulative >= self.front, ..Acked::default() };
        while self.front <= cumulative {
            let Some(sent) = self.ring.pop_front() else { break };
            self.front = self.front.plus(1);
            self.settle(now, &sent, least, &mut acked, outbound);
        }
        self.advanced = self.advanced.max(cumulative);
        self.compare_runs(now, least, &mut acked);
        self.highest_acked = self.highest_acked.max(acked.packet);
        self.advance();
        Ok(acked)
    }

    /// Marks what is lost by now: overtaken by three packets, or by one and long enough ago (RFC 8985).
    pub(crate) fn find_losses(&mut self, now: Instant, reordering: Duration) -> Losses {
        let mut losses = Losses::default();
        while let Some(run) = self.log.front().copied() {
            let current = |sent: &&Sent| sent.state == State::InFlight && sent.packet == run.packet;
            let Some(at) = self.get(run.first).filter(current).map(|sent| sent.at) else {
                self.step_log();
                continue;
            };
            if run.packet >= self.highest_acked {
                break;
            }
            let due = at + reordering;
            if run.packet.saturating_add(PACKET_THRESHOLD) > self.highest_acked && due > now {
                losses.again = Some(due);
                break;
            }
            losses.packet = Some(run.packet);
            self.mark_lost(run.first);
            self.step_log();
        }
        losses
    }

    /// Everything in flight is lost (T3-rtx, RFC 9260 §6.3.3).
    pub(crate) fn all_lost(&mut self) {
        while let Some(run) = self.log.front().copied() {
            if self
                .get(run.first)
                .is_some_and(|sent| sent.state == State::InFlight && sent.packet == run.packet)
            {
                self.mark_lost(run.first);
            }
            self.step_log();
        }
        // What the peer has reported and then left out of its reports was taken back.
        let mut runs = self.acked.iter().copied().peekable();
        for (offset, sent) in (0u64..).zip(&mut self.ring) {
            let serial = self.front.plus(offset);
            while runs.next_if(|(_, last)| *last < serial).is_some() {}
            if sent.state == State::Acked && runs.peek().is_none_or(|(first, _)| *first > serial) {
                sent.state = State::Lost;
                self.lost.push(Reverse(serial));
            }
        }
    }

    /// Marks the chunk sent last as lost, so that it is sent again as a probe. Says whether there is one that
    /// may be.
    pub(crate) fn probe(&mut self) -> bool {
        let Some(run) = self.log.back().copied() else { return false };
        let serial = run.first.plus(run.count.saturating_sub(1));
        let may = |sent: &Sent| {
            sent.state == State::InFlight && sent.max_retransmits.is_none_or(|most| sent.transmits <= most)
        };
        if !self.get(serial).is_some_and(may) {
            return false;
        }
        self.mark_lost(serial);
        true
    }

    /// The next lost chunk whose message is to be given up rather than sent again.
    pub(crate) fn next_to_abandon(&mut self, now: Instant) -> Option<Serial> {
        let (serial, _) = self.next_lost()?;
        let sent = self.get(serial)?;
        let worn = sent.max_retransmits.is_some_and(|most| sent.transmits > most);
        (worn || sent.expires.is_some_and(|at| at <= now)).then_some(serial)
    }

    /// Gives up the message that `serial` is of: all of it that was sent, and in `outbound` all that was not.
    pub(crate) fn abandon(&mut self, now: Instant, serial: Serial, outbound: &mut Outbound) {
        let mut first = serial;
        while first > self.front && self.get(first).is_some_and(|sent| !sent.begin) {
            first = first.minus(1);
        }
        let mut at = first;
        let mut ended = false;
        let mut stream = None;
        while let Some(sent) = self.get_mut(at) {
            if at > first && sent.begin {
                break;
            }
            stream = Some(sent.stream);
            ended = sent.end;
            if sent.state != State::Abandoned {
                let (was, len, id) = (sent.state, sent.data.len(), sent.stream);
                sent.data = Bytes::new();
                sent.state = State::Abandoned;
                if was == State::InFlight {
                    self.count_out(len);
                }
                outbound.release(id, len);
                self.abandoned = self.abandoned.saturating_add(1);
            }
            at = at.plus(1);
            if ended {
                break;
            }
        }
        if let Some(stream) = stream.filter(|_| !ended) {
            self.cut_off(now, stream, outbound);
        }
        self.advance();
    }

    /// Ends the message that was begun on `stream` with a TSN that is never sent, so that the peer can be
    /// told to skip it even if it has all the rest.
    pub(crate) fn cut_off(&mut self, now: Instant, stream: StreamId, outbound: &mut Outbound) {
        let Some((ssn, unordered)) = outbound.abandon_begun(stream) else { return };
        self.ring.push_back(Sent {
            data: Bytes::new(),
            at: now,
            packet: 0,
            expires: None,
            ppid: crate::Ppid(0),
            stream,
            ssn,
            transmits: 0,
            max_retransmits: None,
            unordered,
            begin: false,
            end: true,
            state: State::Abandoned,
        });
        self.abandoned = self.abandoned.saturating_add(1);
        // Where all before it is acknowledged, nothing else moves the forward point.
        self.advance();
    }

    /// The serial of the last fragment in flight of the message that was begun on `stream`.
    pub(crate) fn last_of(&self, stream: StreamId) -> Option<Serial> {
        let last = self.next().minus(1);
        self.get(last).filter(|sent| sent.stream == stream && !sent.end).map(|_| last)
    }

    /// The new cumulative TSN for a FORWARD TSN, if the peer is to be told one.
    pub(crate) fn forward(&self) -> Option<Tsn> {
        (self.abandoned > 0 && self.advanced >= self.front).then(|| self.advanced.tsn())
    }

    /// What is skipped of ordered messages up to the forward point: in the order of the TSNs.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = (Tsn, StreamId, Ssn)> + '_ {
        let count = usize::try_from(self.advanced.plus(1).since(self.front)).unwrap_or(usize::MAX);
        let skipped = (0u64..).zip(self.ring.iter().take(count));
        skipped
            .filter(|(_, sent)| sent.state == State::Abandoned && !sent.unordered)
            .map(|(offset, sent)| (self.front.plus(offset).tsn(), sent.stream, Ssn(sent.ssn)))
    }

    fn next(&self) -> Serial {
        self.front.plus(u64::try_from(self.ring.len()).unwrap_or(u64::MAX))
    }

    fn get(&self, serial: Serial) -> Option<&Sent> {
        self.ring.get(usize::try_from(serial.0.checked_sub(self.front.0)?).ok()?)
    }

    fn get_mut(&mut self, serial: Serial) -> Option<&mut Sent> {
        self.ring.get_mut(usize::try_from(serial.0.checked_sub(self.front.0)?).ok()?)
    }

    fn data(&self, serial: Serial) -> Option<Data<'_>> {
        let sent = self.get(serial)?;
        Some(Data {
            immediate: false,
            unordered: sent.unordered,
            begin: sent.begin,
            end: sent.end,
            tsn: serial.tsn(),
            stream: sent.stream,
            ssn: Ssn(sent.ssn),
            ppid: sent.ppid,
            payload: &sent.data,
        })
    }

    fn log(&mut self, serial: Serial) {
        if let Some(run) = self.log.back_mut()
            && run.packet == self.next_packet
            && run.first.plus(run.count) == serial
        {
            run.count = run.count.saturating_add(1);
            return;
        }
        self.log.push_back(Run { packet: self.next_packet, first: serial, count: 1 });
    }

    fn step_log(&mut self) {
        if let Some(run) = self.log.front_mut() {
            run.first = run.first.plus(1);
            run.count = run.count.saturating_sub(1);
            if run.count == 0 {
                self.log.pop_front();
            }
        }
    }

    fn mark_lost(&mut self, serial: Serial) {
        let Some(sent) = self.get_mut(serial) else { return };
        sent.state = State::Lost;
        let len = sent.data.len();
        self.count_out(len);
        self.lost.push(Reverse(serial));
    }

    fn count_in(&mut self, payload: usize) {
        self.bytes = self.bytes.saturating_add(chunk_len(payload));
        self.payload = self.payload.saturating_add(payload);
        self.chunks = self.chunks.saturating_add(1);
    }

    fn count_out(&mut self, payload: usize) {
        self.bytes = self.bytes.saturating_sub(chunk_len(payload));
        self.payload = self.payload.saturating_sub(payload);
        self.chunks = self.chunks.saturating_sub(1);
    }

    /// Accounts for a chunk that has left the ring.
    fn settle(
        &mut self,
        now: Instant,
        sent: &Sent,
        least: Duration,
        acked: &mut Acked,
        outbound: &mut Outbound,
    ) {
        match sent.state {
            State::Acked => {}
            State::Abandoned => {
                self.abandoned = self.abandoned.saturating_sub(1);
                return;
            }
            State::InFlight | State::Lost => self.note_acked(now, sent.facts(), least, acked),
        }
        outbound.release(sent.stream, sent.data.len());
    }

    fn note_acked(&mut self, now: Instant, sent: Facts, least: Duration, acked: &mut Acked) {
        acked.bytes = acked.bytes.saturating_add(chunk_len(sent.len));
        if sent.state == State::InFlight {
            self.count_out(sent.len);
        }
        let rtt = now - sent.at;
        // The answer to a retransmission that comes too soon is one to the original.
        if sent.transmits > 1 && rtt < least {
            return;
        }
        if sent.packet > acked.packet {
            acked.packet = sent.packet;
            // RFC 9260 §6.3.1, rule C5: Karn's algorithm.
            acked.rtt = (sent.transmits == 1).then_some(rtt);
        }
    }

    /// Applies the runs that a SACK reports, in one pass beside those that the last one did. Payload is
    /// kept until the cumulative TSN has passed it, as a peer may take such a report back (RFC 9260 §6.2).
    fn compare_runs(&mut self, now: Instant, least: Duration, acked: &mut Acked) {
        let reported = std::mem::take(&mut self.reported);
        let mut before = std::mem::take(&mut self.acked);
        let mut old = before.iter().copied().peekable();
        for (first, last) in reported.iter().copied() {
            let mut at = first;
            while at <= last {
                while old.next_if(|(_, end)| *end < at).is_some() {}
                match old.peek().copied() {
                    Some((begin, end)) if begin <= at => at = end.plus(1),
                    Some((begin, _)) => {
                        let to = last.min(begin.minus(1));
                        self.mark_acked(now, at, to, least, acked);
                        at = to.plus(1);
                    }
                    None => {
                        self.mark_acked(now, at, last, least, acked);
                        at = last.plus(1);
                    }
                }
            }
        }
        drop(old);
        before.clear();
        self.acked = reported;
        self.reported = before;
    }

    fn mark_acked(&mut self, now: Instant, first: Serial, last: Serial, least: Duration, acked: &mut Acked) {
        let mut at = first;
        while at <= last {
            let newly = self.get_mut(at).filter(|sent| matches!(sent.state, State::InFlight | State::Lost));
            if let Some(facts) = newly.map(|sent| {
                let facts = sent.facts();
                sent.state = State::Acked;
                facts
            }) {
                self.note_acked(now, facts, least, acked);
            }
            at = at.plus(1);
        }
    }

    /// Moves the forward point over what is abandoned, and over nothing else (RFC 3758 §3.5, C2): fragments that are acknowledged
    /// may be of a message whose others are not, which the peer would throw away.
    fn advance(&mut self) {
        self.advanced = self.advanced.max(self.front.minus(1));
        if self.abandoned == 0 {
            self.advanced = self.front.minus(1);
            return;
        }
        let is_abandoned = |sent: &Sent| sent.state == State::Abandoned;
        while self.get(self.advanced.plus(1)).is_some_and(is_abandoned) {
            self.advanced = self.advanced.plus(1);
        }
    }
}

const fn chunk_len(payload: usize) -> usize {
    payload.saturating_add(DATA_HEADER_LEN).saturating_add(padding(payload))
}

/// Packets that overtake a lost one: RFC 9260 §7.2.4 asks for three miss indications.
const PACKET_THRESHOLD: u64 = 3;
