use std::time::Duration;

use proto::{NoSpace, Writer};

use super::handshake::{InitReply, LEAST_WINDOW};
use super::{Association, State};
use crate::cookie::COOKIE_LEN;
use crate::outbound::Turn;
use crate::wire::{
    Causes, Chunk, DATA_HEADER_LEN, ForwardTsn, HEADER_LEN, Init, Parameter, Parameters, begin_packet,
    finish_packet, put_sack,
};
use crate::{Ssn, StreamId, Tsn};

/// What is owed to the peer beside data: the latest of each kind.
#[derive(Debug, Default)]
pub(super) struct Replies {
    pub(super) init: bool,
    pub(super) init_ack: Option<Box<InitReply>>,
    pub(super) cookie_echo: bool,
    pub(super) cookie_ack: bool,
    /// The tag of whoever sent a stale State Cookie, and what to tell them.
    pub(super) stale: Option<(u32, Cause)>,
    pub(super) heartbeat: bool,
    pub(super) heartbeat_ack: Option<Box<[u8]>>,
    pub(super) error: Option<Cause>,
    pub(super) abort: Option<Abort>,
    pub(super) shutdown: bool,
    pub(super) shutdown_ack: bool,
    pub(super) shutdown_complete: Option<(u32, bool)>,
}

impl Replies {
    pub(super) fn only_last_words(&mut self) {
        *self = Self {
            abort: self.abort.take(),
            shutdown_complete: self.shutdown_complete.take(),
            ..Self::default()
        };
    }
}

/// An ABORT to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abort {
    tag: u32,
    reflected: bool,
    cause: u16,
    /// Of the DATA chunk that had no data (RFC 9260 §3.3.10.9).
    tsn: Tsn,
}

impl Abort {
    /// One that the peer finds under its own `tag`; no cause if `cause` is zero.
    pub(super) const fn new(tag: u32, cause: u16) -> Self {
        Self { tag, reflected: false, cause, tsn: Tsn(0) }
    }

    /// One that carries the tag of the packet it answers.
    pub(super) const fn reflected(tag: u32) -> Self {
        Self { tag, reflected: true, cause: 0, tsn: Tsn(0) }
    }

    /// One for a DATA chunk without data.
    pub(super) const fn no_data(tag: u32, tsn: Tsn) -> Self {
        Self { tag, reflected: false, cause: CAUSE_NO_USER_DATA, tsn }
    }
}

/// An error cause to be reported, cut at a few bytes.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    kind: u16,
    value: Box<[u8]>,
}

impl Cause {
    pub(super) fn new(kind: u16, value: &[u8]) -> Self {
        Self { kind, value: value.get(..value.len().min(REPORT_LEN)).unwrap_or_default().into() }
    }

    /// A chunk that was not understood, with its length as it came and as much of it as is reported.
    pub(super) fn of_chunk(chunk: u8, flags: u8, value: &[u8]) -> Self {
        let [a, b] = u16::try_from(value.len() + 4).unwrap_or(u16::MAX).to_be_bytes();
        let bytes: Vec<u8> = [chunk, flags, a, b].iter().chain(value).take(REPORT_LEN).copied().collect();
        Self { kind: CAUSE_UNRECOGNIZED_CHUNK, value: bytes.into() }
    }
}

/// Parameters that were not understood and are to be reported (RFC 9260 §3.2.2): whole ones, as long as they
/// fit.
#[derive(Clone, Debug, Default)]
pub(super) struct Unrecognized(Vec<u8>);

impl Unrecognized {
    pub(super) fn add(&mut self, kind: u16, value: &[u8]) {
        let mut memory = [0; REPORT_LEN];
        let mut out = Writer::new(&mut memory);
        let fits = (Parameter::Unknown { kind, value }).encode(&mut out).is_ok();
        if fits && self.0.len().saturating_add(out.len()) <= REPORT_LEN {
            self.0.extend_from_slice(out.written());
        }
    }

    /// For an ERROR that goes with the COOKIE ECHO.
    pub(super) fn cause(self) -> Option<Cause> {
        (!self.0.is_empty()).then(|| Cause { kind: CAUSE_UNRECOGNIZED_PARAMETERS, value: self.0.into() })
    }

    /// For an INIT ACK: a parameter for each.
    fn encode(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let causes = Causes::decode(&self.0).map_err(|_| NoSpace)?;
        let mut memory = [0; REPORT_LEN];
        for (kind, value) in causes.iter() {
            let mut whole = Writer::new(&mut memory);
            (Parameter::Unknown { kind, value }).encode(&mut whole)?;
            let len = value.len().saturating_add(4);
            let whole = whole.written().get(..len).unwrap_or_default();
            (Parameter::Unknown { kind: UNRECOGNIZED_PARAMETER, value: whole }).encode(out)?;
        }
        Ok(())
    }
}

impl Association {
    pub(super) fn write_packet(&mut self, out: &mut Writer<'_>) -> bool {
        let start = out.len();
        if self.write_lone(out) || self.write_bundle(out) {
            self.stats.packets_sent = self.stats.packets_sent.saturating_add(1);
            return true;
        }
        out.truncate(start);
        false
    }

    /// Chunks that travel alone.
    fn write_lone(&mut self, out: &mut Writer<'_>) -> bool {
        if let Some(abort) = self.replies.abort {
            let written = self.write_abort(out, abort).is_ok();
            if written {
                self.replies.abort = None;
            }
            return written;
        }
        if let Some((tag, reflected)) = self.replies.shutdown_complete {
            let written = self.write_one(out, tag, &Chunk::ShutdownComplete { reflected }).is_ok();
            if written {
                self.replies.shutdown_complete = None;
            }
            return written;
        }
        if let Some((tag, cause)) = &self.replies.stale {
            let written = self.write_error(out, *tag, cause).is_ok();
            if written {
                self.replies.stale = None;
            }
            return written;
        }
        if let Some(reply) = self.replies.init_ack.take() {
            let written = self.write_init_ack(out, &reply).is_ok();
            if !written {
                self.replies.init_ack = Some(reply);
            }
            return written;
        }
        if self.replies.init {
            let written = self.write_init(out).is_ok();
            if written {
                self.replies.init = false;
                self.timers.handshake = Some(self.now + self.round_trip.rto(&self.config));
            }
            return written;
        }
        self.is_connected() && (self.write_long_heartbeat_ack(out) || self.write_size_probe(out))
    }

    /// One that leaves too little room for anything else.
    fn write_long_heartbeat_ack(&mut self, out: &mut Writer<'_>) -> bool {
        let most = self.max_packet / 2;
        let Some(info) = self.replies.heartbeat_ack.take_if(|info| info.len() > most) else { return false };
        let written = self.write_one(out, self.peer.tag, &Chunk::HeartbeatAck(&info)).is_ok();
        if !written {
            self.replies.heartbeat_ack = Some(info);
        }
        written
    }

    fn write_bundle(&mut self, out: &mut Writer<'_>) -> bool {
        let echoing = matches!(self.state, State::CookieEchoed(_));
        if !echoing && !self.is_connected() {
            return false;
        }
        let start = out.len();
        if begin_packet(out, self.config.local_port, self.config.remote_port, self.peer.tag).is_err() {
            return false;
        }
        let end = start.saturating_add(self.max_packet);
        let mut control = self.write_handshake(out);
        if !echoing {
            control |= self.write_control(out);
            let before_sack = out.len();
            let mut sack = self.ack.pending && self.write_sack(out, end);
            let due = self.ack.due;
            let mut data = self.write_data(out, start, end);
            if sack && !due && !data && (self.flight.next_lost().is_some() || self.can_go_on()) {
                // What is sent again keeps its size, as what may be lost does, and may fill the packet: a SACK that can wait does
                // not hold it up.
                out.truncate(before_sack);
                sack = false;
                data = self.write_data(out, start, end);
            }
            if sack && (due || data) {
                self.sack_written();
                control = true;
            } else if sack {
                out.truncate(before_sack);
            }
            control |= data;
            if !control && self.sender.forward {
                // What was to be sent was given up instead, and no other packet takes the news along.
                control = self.write_forward(out);
            }
        }
        control && finish_packet(out, start).is_ok()
    }

    fn write_handshake(&mut self, out: &mut Writer<'_>) -> bool {
        let mut any = false;
        if let State::CookieEchoed(cookie) = &self.state
            && self.replies.cookie_echo
            && Chunk::CookieEcho(cookie).encode(out).is_ok()
        {
            self.replies.cookie_echo = false;
            self.timers.handshake = Some(self.now + self.round_trip.rto(&self.config));
            any = true;
        }
        if self.replies.cookie_ack && Chunk::CookieAck.encode(out).is_ok() {
            self.replies.cookie_ack = false;
            any = true;
        }
        // Behind a COOKIE ECHO at the earliest (RFC 9260 §5.1).
        if let Some(cause) = self.replies.error.as_ref().filter(|_| any || self.is_connected())
            && put_error(out, cause).is_ok()
        {
            self.replies.error = None;
            any = true;
        }
        any
    }

    fn write_control(&mut self, out: &mut Writer<'_>) -> bool {
        let mut any = false;
        if let Some(info) = self.replies.heartbeat_ack.take_if(|info| info.len() <= self.max_packet / 2) {
            if Chunk::HeartbeatAck(&info).encode(out).is_ok() {
                any = true;
            } else {
                self.replies.heartbeat_ack = Some(info);
            }
        }
        if let Some(nonce) = self.heartbeat_nonce.filter(|_| self.replies.heartbeat)
            && put_heartbeat(out, nonce).is_ok()
        {
            self.replies.heartbeat = false;
            any = true;
        }
        any |= self.write_reconfig(out);
        if self.sender.forward {
            any |= self.write_forward(out);
        }
        if self.replies.shutdown && self.state == State::ShutdownSent {
            let chunk = Chunk::Shutdown { cumulative: self.inbound.cumulative() };
            any |= self.write_shutdown(out, &chunk);
        }
        if self.replies.shutdown_ack && self.state == State::ShutdownAckSent {
            any |= self.write_shutdown(out, &Chunk::ShutdownAck);
        }
        any
    }

    fn write_shutdown(&mut self, out: &mut Writer<'_>, chunk: &Chunk<'_>) -> bool {
        if chunk.encode(out).is_err() {
            return false;
        }
        self.replies.shutdown = false;
        self.replies.shutdown_ack = false;
        self.timers.shutdown = Some(self.now + self.round_trip.rto(&self.config));
        true
    }

    /// RFC 3758 §3.5: tells the peer what not to wait for.
    fn write_forward(&mut self, out: &mut Writer<'_>) -> bool {
        let Some(mut cumulative) = self.flight.forward() else {
            self.sender.forward = false;
            return false;
        };
        let mut seen: Vec<(StreamId, Ssn)> = Vec::new();
        for (tsn, stream, ssn) in self.flight.skipped() {
            if let Some((_, last)) = seen.iter_mut().find(|(known, _)| *known == stream) {
                *last = ssn;
            } else if seen.len() < MAX_SKIPPED {
                seen.push((stream, ssn));
            } else {
                // RFC 3758 §3.5, C4: streams that do not fit are for another one, when this was acknowledged.
                cumulative = tsn.plus(u32::MAX);
                break;
            }
        }
        let mut memory = [0; MAX_SKIPPED * 4];
        let mut list = Writer::new(&mut memory);
        for (stream, ssn) in seen {
            if list.put_u16(stream.0).and_then(|()| list.put_u16(ssn.0)).is_err() {
                return false;
            }
        }
        if Chunk::ForwardTsn(ForwardTsn { cumulative, skipped: list.written() }).encode(out).is_err() {
            return false;
        }
        self.sender.forward = false;
        let rto = self.round_trip.rto(&self.config);
        self.timers.retransmit.get_or_insert(self.now + rto);
        true
    }

    /// Writes a SACK, in the expectation that data follow. What it says is settled by `sack_written`.
    fn write_sack(&mut self, out: &mut Writer<'_>, end: usize) -> bool {
        let space = end.saturating_sub(out.len()).min(out.room());
        let words = space.saturating_sub(SACK_LEN) / 4;
        // RFC 9260 §6.2: as many runs as fit, and duplicates in what they leave.
        let gaps = self.inbound.gaps().take(words);
        let spare = words.saturating_sub(self.inbound.gap_count());
        let duplicates = self.inbound.duplicates();
        let duplicates = duplicates.get(..duplicates.len().min(spare)).unwrap_or_default();
        space >= SACK_LEN
            && put_sack(out, self.inbound.cumulative(), self.inbound.window(), gaps, duplicates).is_ok()
    }

    fn sack_written(&mut self) {
        self.ack = super::Ack { announced: self.inbound.window(), ..super::Ack::default() };
        self.timers.ack = None;
        self.inbound.forget_duplicates();
    }

    fn write_data(&mut self, out: &mut Writer<'_>, start: usize, end: usize) -> bool {
        if !matches!(self.state, State::Established | State::ShutdownPending | State::ShutdownReceived) {
            return false;
        }
        if self.sender.timed_out && !self.flight.nothing_in_flight() {
            return false;
        }
        let mut last = None;
        while self.write_lost(out, start, end, &mut last) {}
        let resent = last.is_some();
        let mut new = false;
        if self.flight.next_lost().is_none() {
            while self.write_new(out, end, &mut last) {
                new = true;
            }
        }
        let Some(last) = last else { return false };
        self.flight.finish_packet();
        self.stats.probes = self.stats.probes.saturating_add(u64::from(self.sender.probe));
        self.sender.probe = false;
        self.sender.fast = false;
        if new {
            self.sender.burst = self.sender.burst.saturating_sub(1);
        }
        if resent || !self.can_go_on() {
            // The I bit (RFC 7053): nothing follows soon, so the peer is not to wait for it.
            let flags = out.written().get(last + 1).copied().unwrap_or(0) | FLAG_IMMEDIATE;
            let _ = out.patch(last + 1, &[flags]);
        }
        let rto = self.round_trip.rto(&self.config);
        self.timers.retransmit.get_or_insert(self.now + rto);
        self.timers.probe = Some(self.now + self.round_trip.probe_delay(&self.config));
        true
    }

    /// Whether the windows and the queue allow another packet.
    fn can_go_on(&mut self) -> bool {
        self.flight.bytes() < self.congestion.window()
            && self.peer.window > 0
            && self.sender.burst > 0
            && self.outbound.turn(self.now, self.full()) != Turn::Nothing
    }

    /// Payload of a packet with a single fragment.
    fn full(&self) -> usize {
        self.max_packet.saturating_sub(HEADER_LEN + DATA_HEADER_LEN)
    }

    fn write_lost(
        &mut self,
        out: &mut Writer<'_>,
        start: usize,
        end: usize,
        last: &mut Option<usize>,
    ) -> bool {
        while let Some(serial) = self.flight.next_to_abandon(self.now).filter(|_| self.peer.forward_tsn) {
            self.flight.abandon(self.now, serial, &mut self.outbound);
            self.stats.abandoned = self.stats.abandoned.saturating_add(1);
            self.sender.forward = true;
        }
        let in_flight = self.flight.bytes();
        let regardless = self.sender.probe || self.sender.fast;
        let allowed = in_flight == 0 || in_flight < self.congestion.window() || regardless;
        let Some((serial, data)) = self.flight.next_lost() else { return false };
        let at = out.len();
        let need = DATA_HEADER_LEN + data.payload.len().next_multiple_of(4);
        // A fragment of an earlier, larger path goes alone.
        let alone = at == start + HEADER_LEN;
        if !allowed || (need > end.saturating_sub(at) && !alone) || Chunk::Data(data).encode(out).is_err() {
            return false;
        }
        if self.flight.is_earliest(serial) {
            // RFC 9260 §6.1: with the earliest chunk the timer begins anew.
            self.timers.retransmit = None;
        }
        self.flight.resent(self.now, serial);
        self.stats.retransmissions = self.stats.retransmissions.saturating_add(1);
        *last = Some(at);
        true
    }

    /// A burst was sent and the window is still open: the next follows when its share of the round trip has
    /// passed, were the window sent twice in one (RFC 9002 §7.7 paces alike), even if the peer
    /// acknowledges a whole train at once.
    fn pace(&mut self) {
        let Some(round_trip) = self.round_trip.smoothed().filter(|_| self.timers.pace.is_none()) else {
            return;
        };
        let burst = self.config.max_burst.saturating_mul(self.max_packet);
        let bursts = (self.congestion.window() / burst.max(1)).clamp(1, MAX_BURSTS).saturating_mul(2);
        let share = round_trip / u32::try_from(bursts).unwrap_or(u32::MAX);
        self.timers.pace = Some(self.now + share.max(SHORTEST_PACE));
    }

    fn write_new(&mut self, out: &mut Writer<'_>, end: usize, last: &mut Option<usize>) -> bool {
        let in_flight = self.flight.bytes();
        self.sender.limited = in_flight >= self.congestion.window();
        if self.flight.is_empty() {
            self.sender.burst = self.sender.burst.max(1);
        }
        if self.sender.limited && !self.sender.probe {
            return false;
        }
        if self.sender.burst == 0 {
            self.pace();
            return false;
        }
        let full = self.full();
        let stream = loop {
            match self.outbound.turn(self.now, full) {
                Turn::Nothing => return false,
                Turn::Expired(stream) if self.peer.forward_tsn => self.give_up(stream),
                Turn::Stream(stream) | Turn::Expired(stream) => break stream,
            }
        };
        let at = out.len();
        let space = end.saturating_sub(at).saturating_sub(DATA_HEADER_LEN) & !3;
        let Some(len) = self.outbound.fragment_len(stream, space, full) else { return false };
        if DATA_HEADER_LEN + len.next_multiple_of(4) > out.room() || !self.peer_has_room(len) {
            return false;
        }
        let Some(outgoing) = self.outbound.take(stream, len) else { return false };
        let data = crate::wire::Data {
            immediate: false,
            unordered: outgoing.unordered,
            begin: outgoing.begin,
            end: outgoing.end,
            tsn: self.flight.next_tsn(),
            stream,
            ssn: Ssn(if outgoing.unordered { 0 } else { outgoing.ssn }),
            ppid: outgoing.ppid,
            payload: &outgoing.data,
        };
        let written = Chunk::Data(data).encode(out);
        debug_assert!(written.is_ok(), "the room was checked");
        self.stats.bytes_sent = self.stats.bytes_sent.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        self.peer.window = self.peer.window.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
        self.flight.push(self.now, outgoing);
        *last = Some(at);
        true
    }

    /// RFC 9260 §6.1, rule A: with a closed window one chunk may be in flight, as a probe.
    fn peer_has_room(&mut self, len: usize) -> bool {
        if usize::try_from(self.peer.window).unwrap_or(usize::MAX) >= len {
            return true;
        }
        if let Some(limit) = self.config.zero_window_timeout {
            self.timers.window.get_or_insert(self.now + limit);
        }
        self.flight.nothing_in_flight()
    }

    /// The message that was begun on `stream` has expired.
    fn give_up(&mut self, stream: StreamId) {
        match self.flight.last_of(stream) {
            Some(serial) => self.flight.abandon(self.now, serial, &mut self.outbound),
            None => self.flight.cut_off(self.now, stream, &mut self.outbound),
        }
        self.stats.abandoned = self.stats.abandoned.saturating_add(1);
        self.sender.forward = true;
    }

    fn write_one(&self, out: &mut Writer<'_>, tag: u32, chunk: &Chunk<'_>) -> Result<(), NoSpace> {
        let start = out.len();
        begin_packet(out, self.config.local_port, self.config.remote_port, tag)?;
        chunk.encode(out)?;
        finish_packet(out, start)
    }

    fn write_abort(&self, out: &mut Writer<'_>, abort: Abort) -> Result<(), NoSpace> {
        let mut memory = [0; 12];
        let mut causes = Writer::new(&mut memory);
        if abort.cause != 0 {
            let tsn = abort.tsn.0.to_be_bytes();
            let value: &[u8] = match abort.cause {
                CAUSE_NO_USER_DATA => &tsn,
                // RFC 9260 §3.3.10.2: one is missing, the State Cookie.
                CAUSE_MISSING_PARAMETER => &[0, 0, 0, 1, 0, 7],
                _ => &[],
            };
            (Parameter::Unknown { kind: abort.cause, value }).encode(&mut causes)?;
        }
        let causes = Causes::decode(causes.written()).map_err(|_| NoSpace)?;
        self.write_one(out, abort.tag, &Chunk::Abort { reflected: abort.reflected, causes })
    }

    fn write_error(&self, out: &mut Writer<'_>, tag: u32, cause: &Cause) -> Result<(), NoSpace> {
        let start = out.len();
        begin_packet(out, self.config.local_port, self.config.remote_port, tag)?;
        put_error(out, cause)?;
        finish_packet(out, start)
    }

    fn write_init(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let mut memory = [0; INIT_PARAMETERS_LEN];
        let mut parameters = Writer::new(&mut memory);
        put_abilities(&mut parameters, true, true)?;
        let init = self.init(self.local.tag, self.local.first, parameters.written())?;
        self.write_one(out, 0, &Chunk::Init(init))
    }

    fn write_init_ack(&self, out: &mut Writer<'_>, reply: &InitReply) -> Result<(), NoSpace> {
        let cookie = &reply.cookie;
        let mut memory = [0; INIT_PARAMETERS_LEN];
        let mut parameters = Writer::new(&mut memory);
        Parameter::StateCookie(&cookie.seal(&*self.cookie_key)?).encode(&mut parameters)?;
        put_abilities(&mut parameters, true, true)?;
        reply.unknown.encode(&mut parameters)?;
        let mut init = self.init(cookie.local_tag, cookie.local_tsn, parameters.written())?;
        // RFC 9260 §3.3.3: not more than the peer takes.
        init.outbound = init.outbound.min(cookie.peer_inbound);
        self.write_one(out, cookie.peer_tag, &Chunk::InitAck(init))
    }

    fn init<'a>(&self, tag: u32, tsn: Tsn, parameters: &'a [u8]) -> Result<Init<'a>, NoSpace> {
        Ok(Init {
            tag,
            // RFC 9260 §3.3.2: less is not allowed here.
            window: u32::try_from(self.config.receive_window).unwrap_or(u32::MAX).max(LEAST_WINDOW),
            // RFC 8831 §6.2: as many as there are; the tables grow with those in use.
            outbound: u16::MAX,
            inbound: u16::MAX,
            tsn,
            parameters: Parameters::decode(parameters).map_err(|_| NoSpace)?,
        })
    }
}

fn put_abilities(out: &mut Writer<'_>, forward_tsn: bool, reconfig: bool) -> Result<(), NoSpace> {
    if forward_tsn {
        Parameter::ForwardTsnSupported.encode(out)?;
    }
    let chunks: &[u8] = if reconfig { &[130, 192] } else { &[192] };
    Parameter::SupportedExtensions(chunks).encode(out)
}

fn put_error(out: &mut Writer<'_>, cause: &Cause) -> Result<(), NoSpace> {
    let mut memory = [0; REPORT_LEN + 8];
    let mut causes = Writer::new(&mut memory);
    (Parameter::Unknown { kind: cause.kind, value: &cause.value }).encode(&mut causes)?;
    let causes = Causes::decode(causes.written()).map_err(|_| NoSpace)?;
    Chunk::Error { causes }.encode(out)
}

pub(super) fn put_heartbeat(out: &mut Writer<'_>, nonce: u64) -> Result<(), NoSpace> {
    let mut memory = [0; 12];
    let mut info = Writer::new(&mut memory);
    (Parameter::Unknown { kind: HEARTBEAT_INFO, value: &nonce.to_be_bytes() }).encode(&mut info)?;
    Chunk::Heartbeat(info.written()).encode(out)
}

/// Bursts in a window that are told apart: more would only be sent too slowly.
const MAX_BURSTS: usize = 1 << 16;
/// Timers of the systems around us are not finer.
const SHORTEST_PACE: Duration = Duration::from_micros(100);
pub(super) const CAUSE_INVALID_STREAM: u16 = 1;
pub(super) const CAUSE_MISSING_PARAMETER: u16 = 2;
pub(super) const CAUSE_STALE_COOKIE: u16 = 3;
pub(super) const CAUSE_UNRESOLVABLE_ADDRESS: u16 = 5;
const CAUSE_UNRECOGNIZED_CHUNK: u16 = 6;
pub(super) const CAUSE_INVALID_PARAMETER: u16 = 7;
const CAUSE_UNRECOGNIZED_PARAMETERS: u16 = 8;
const CAUSE_NO_USER_DATA: u16 = 9;
pub(super) const CAUSE_COOKIE_IN_SHUTDOWN: u16 = 10;
pub(super) const CAUSE_USER_ABORT: u16 = 12;
pub(super) const CAUSE_PROTOCOL_VIOLATION: u16 = 13;
const UNRECOGNIZED_PARAMETER: u16 = 8;
const HEARTBEAT_INFO: u16 = 1;
const FLAG_IMMEDIATE: u8 = 8;
const SACK_LEN: usize = 16;
/// Bytes of what was not understood that are sent back.
const REPORT_LEN: usize = 256;
/// Cookie, abilities, and reports of parameters, which are twice as long if they are empty ones.
const INIT_PARAMETERS_LEN: usize = 4 + COOKIE_LEN + 4 + 8 + 2 * REPORT_LEN;
/// Streams that one FORWARD TSN names: as many as the smallest packet has room for.
const MAX_SKIPPED: usize = 24;
