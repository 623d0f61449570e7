use std::time::Duration;

use super::transmit::{Abort, CAUSE_INVALID_STREAM, CAUSE_PROTOCOL_VIOLATION, CAUSE_STALE_COOKIE, Cause};
use super::{Association, State};
use crate::flight::SackError;
use crate::inbound::Inserted;
use crate::wire::{CHUNK_HEADER_LEN, Causes, Chunk, Data, HEADER_LEN, Packet, Parameter, Parameters};
use crate::{CloseReason, Discard, Tsn, Violation};
use proto::Instant;

impl Association {
    /// Takes a packet. An error says why it was ignored; the state is then as it was.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Result<(), Discard> {
        self.now = self.now.max(now);
        let result = self.take_packet(packet);
        let counter =
            if result.is_ok() { &mut self.stats.packets_received } else { &mut self.stats.packets_discarded };
        *counter = counter.saturating_add(1);
        result
    }

    fn take_packet(&mut self, bytes: &[u8]) -> Result<(), Discard> {
        let packet = Packet::decode(bytes)?;
        if !packet.checksum_is_right() {
            return Err(Discard::Checksum);
        }
        if packet.destination != self.config.local_port || packet.source != self.config.remote_port {
            return Err(Discard::Ports);
        }
        let mut chunks = packet.chunks();
        let first = chunks.next().ok_or(Discard::UnexpectedChunk)?;
        if matches!(first, Chunk::Init(_) | Chunk::InitAck(_) | Chunk::ShutdownComplete { .. })
            && chunks.next().is_some()
        {
            return Err(Discard::Bundled);
        }
        if let Err(refused) = self.check_tag(packet.tag, &first) {
            // RFC 9260 §3.3.7, §8.4: an ABORT is never answered.
            if self.state == State::Closed
                && packet.chunks().any(|chunk| matches!(chunk, Chunk::Abort { .. }))
            {
                self.replies.abort = None;
            }
            return Err(refused);
        }
        let mut taken = false;
        let mut refused = Discard::UnexpectedChunk;
        let mut data = false;
        for chunk in packet.chunks() {
            // RFC 9260 §12.5: one packet calls forth one at most, and the answer to this leaves no room for another.
            let is_long = matches!(chunk, Chunk::Heartbeat(info) if self.is_long(info));
            if is_long && packet.chunks().nth(1).is_some() {
                refused = Discard::Bundled;
                continue;
            }
            data |= matches!(chunk, Chunk::Data(_));
            if matches!(chunk, Chunk::Abort { .. }) {
                self.replies.abort = None;
            }
            match self.take_chunk(packet.tag, &chunk) {
                Ok(()) => taken = true,
                Err(Discard::UnknownChunk) => {
                    refused = Discard::UnknownChunk;
                    break;
                }
                Err(error) => refused = error,
            }
        }
        if data && self.is_connected() {
            self.owe_ack();
        }
        self.outbound.unblock(|stream| self.events.writable(stream));
        self.progress_shutdown();
        if taken { Ok(()) } else { Err(refused) }
    }

    /// Whether a HEARTBEAT's answer leaves too little room for others.
    pub(super) fn is_long(&self, info: &[u8]) -> bool {
        info.len() > self.max_packet / 2
    }

    /// RFC 9260 §8.5 and §8.5.1.
    fn check_tag(&mut self, tag: u32, first: &Chunk<'_>) -> Result<(), Discard> {
        let ours = tag == self.local.tag;
        let theirs = self.peer.known && tag == self.peer.tag;
        let right = match first {
            Chunk::Init(_) => tag == 0,
            Chunk::CookieEcho(_) => true, // compared with the one in the cookie
            Chunk::Abort { reflected, .. } | Chunk::ShutdownComplete { reflected } => {
                if *reflected {
                    theirs
                } else {
                    ours
                }
            }
            Chunk::ShutdownAck if matches!(self.state, State::CookieWait | State::CookieEchoed(_)) => {
                // RFC 9260 §8.5.1, rule E: the peer is still ending an association that we know nothing of.
                self.replies.shutdown_complete = Some((tag, true));
                false
            }
            Chunk::InitAck(_) => ours,
            Chunk::Data(_)
            | Chunk::Sack(_)
            | Chunk::Heartbeat(_)
            | Chunk::HeartbeatAck(_)
            | Chunk::Shutdown { .. }
            | Chunk::ShutdownAck
            | Chunk::Error { .. }
            | Chunk::CookieAck
            | Chunk::Reconfig(_)
            | Chunk::ForwardTsn(_)
            | Chunk::Unknown { .. } => {
                if ours && self.state == State::Closed && self.peer.known {
                    // RFC 9260 §8.4: whoever goes on sending has missed the end.
                    if matches!(first, Chunk::ShutdownAck) {
                        self.replies.shutdown_complete = Some((tag, true));
                    } else if !matches!(first, Chunk::CookieAck | Chunk::Error { .. }) {
                        self.replies.abort = Some(Abort::reflected(tag));
                    }
                }
                ours && self.state != State::Listening
            }
        };
        if !right {
            return Err(Discard::Tag);
        }
        if self.state == State::Closed { Err(Discard::Closed) } else { Ok(()) }
    }

    fn take_chunk(&mut self, tag: u32, chunk: &Chunk<'_>) -> Result<(), Discard> {
        if self.state == State::Closed {
            return Err(Discard::Closed);
        }
        match chunk {
            Chunk::Init(init) if tag == 0 => self.handle_init(init),
            Chunk::InitAck(init) => self.handle_init_ack(init),
            Chunk::CookieEcho(cookie) => self.handle_cookie_echo(tag, cookie),
            Chunk::Abort { causes, .. } => {
                let cause = causes.iter().next().map_or(0, |(code, _)| code);
                self.close(CloseReason::PeerAborted { cause });
                Ok(())
            }
            // RFC 9260 §8.5.1, rule C: also under the peer's tag, as `check_tag` found.
            Chunk::ShutdownComplete { .. } => {
                if self.state != State::ShutdownAckSent {
                    return Err(Discard::UnexpectedChunk);
                }
                self.close(CloseReason::Shutdown);
                Ok(())
            }
            _ if tag != self.local.tag => Err(Discard::Tag),
            Chunk::Error { causes } => {
                self.handle_error(*causes);
                Ok(())
            }
            Chunk::CookieAck => self.handle_cookie_ack(),
            Chunk::Heartbeat(info) if self.state != State::CookieWait => {
                // What fills more than a packet of ours came on a path that cannot carry the answer.
                if info.len() > self.max_packet.saturating_sub(HEADER_LEN + CHUNK_HEADER_LEN) {
                    return Err(Discard::NoRoom);
                }
                self.replies.heartbeat_ack = Some((*info).into());
                Ok(())
            }
            _ if !self.is_connected() => Err(Discard::UnexpectedChunk),
            Chunk::Data(data) => self.handle_data(data),
            Chunk::Sack(sack) => self.handle_sack(sack.cumulative, Some(sack.window), Some(sack.gaps())),
            Chunk::ForwardTsn(forward) => {
                let news = self.inbound.forward(forward.cumulative, forward.skipped(), &mut self.events);
                // RFC 3758 §3.6: whether or not it is news, the sender is to know where we stand.
                self.ack.pending = true;
                self.ack.due = true;
                if news { Ok(()) } else { Err(Discard::UnexpectedChunk) }
            }
            Chunk::HeartbeatAck(info) => self.handle_heartbeat_ack(info),
            Chunk::Reconfig(parameters) => {
                self.handle_reconfig(*parameters);
                Ok(())
            }
            Chunk::Shutdown { cumulative } => self.handle_shutdown(*cumulative),
            Chunk::ShutdownAck => self.handle_shutdown_ack(),
            Chunk::Unknown { kind, flags, value } => self.handle_unknown(*kind, *flags, value),
            Chunk::Init(_) => Err(Discard::Tag),
            Chunk::Heartbeat(_) => Err(Discard::UnexpectedChunk),
        }
    }

    fn handle_data(&mut self, data: &Data<'_>) -> Result<(), Discard> {
        if data.payload.is_empty() {
            // RFC 9260 §6.2: DATA without data ends the association.
            self.replies.abort = Some(Abort::no_data(self.peer.tag, data.tsn));
            self.close(CloseReason::Violation(Violation::EmptyData));
            return Ok(());
        }
        if !matches!(self.state, State::Established | State::ShutdownPending | State::ShutdownSent) {
            return Err(Discard::UnexpectedChunk);
        }
        // RFC 9260 §5.1: the first DATA chunk of all is acknowledged without delay.
        let first = self.stats.bytes_received == 0;
        let inserted = self.inbound.insert(data, &mut self.events);
        self.ack.pending = true;
        self.ack.due |= data.immediate || first;
        match inserted {
            Inserted::InOrder => {}
            Inserted::Gap => self.ack.due = true,
            Inserted::Duplicate => {
                self.ack.due = true;
                self.stats.duplicates = self.stats.duplicates.saturating_add(1);
                return Ok(());
            }
            Inserted::NoRoom => {
                self.ack.due = true;
                self.stats.no_room = self.stats.no_room.saturating_add(1);
                return Err(Discard::NoRoom);
            }
            Inserted::Violation => {
                self.violate(Violation::Fragments, CAUSE_PROTOCOL_VIOLATION);
                return Ok(());
            }
        }
        if let Some(stream) = self.inbound.invalid_stream.take() {
            let [a, b] = stream.0.to_be_bytes();
            self.replies.error = Some(Cause::new(CAUSE_INVALID_STREAM, &[a, b, 0, 0]));
        }
        let len = u64::try_from(data.payload.len()).unwrap_or(u64::MAX);
        self.stats.bytes_received = self.stats.bytes_received.saturating_add(len);
        Ok(())
    }

    /// A packet with DATA has come: RFC 9260 §6.2 has every second one acknowledged, and none too late.
    fn owe_ack(&mut self) {
        self.ack.packets = self.ack.packets.saturating_add(1);
        self.ack.due |= self.ack.packets >= 2 || self.inbound.has_gaps() || self.state == State::ShutdownSent;
        self.replies.shutdown |= self.state == State::ShutdownSent;
        if self.ack.pending && !self.ack.due && self.timers.ack.is_none() {
            self.timers.ack = Some(self.now + self.config.ack_delay.min(LONGEST_ACK_DELAY));
        }
        self.timers.idle = Some(self.now + IDLE);
    }

    pub(super) fn handle_sack(
        &mut self,
        cumulative: Tsn,
        window: Option<u32>,
        gaps: Option<impl Iterator<Item = (u16, u16)>>,
    ) -> Result<(), Discard> {
        let least = self.round_trip.least();
        let acked = match self.flight.acknowledge(self.now, cumulative, gaps, least, &mut self.outbound) {
            Ok(acked) => acked,
            Err(SackError::Old) => return Err(Discard::UnexpectedChunk),
            Err(SackError::Unsent) => {
                self.violate(Violation::UnsentAcknowledged, CAUSE_PROTOCOL_VIOLATION);
                return Ok(());
            }
        };
        self.sender.burst = self.config.max_burst;
        self.timers.pace = None;
        if let Some(rtt) = acked.rtt
            && acked.packet >= self.sender.measure
        {
            self.round_trip.measured(rtt);
            self.sender.measure = self.flight.packet();
        }
        if acked.bytes > 0 {
            self.errors = 0;
            self.round_trip.answered();
            self.sender.probes = 0;
            self.sender.timed_out = false;
            if self.sender.limited && acked.packet >= self.sender.recovery {
                self.congestion.acknowledged(acked.bytes);
            }
        }
        self.find_losses();
        if let Some(window) = window {
            let in_flight = u32::try_from(self.flight.payload()).unwrap_or(u32::MAX);
            self.peer.window = window.saturating_sub(in_flight);
            self.peer.closed = usize::try_from(window).is_ok_and(|window| window < self.max_packet);
            if window > 0 {
                self.timers.window = None;
            } else {
                // RFC 9260 §6.1, rule A: a peer that answers probes of its closed window is alive.
                self.errors = 0;
            }
        }
        self.sender.forward |= self.peer.forward_tsn && self.flight.forward().is_some();
        if self.flight.is_empty() {
            self.timers.retransmit = None;
            self.timers.probe = None;
        } else if acked.advanced {
            // RFC 9260 §6.3.2, rule R3.
            self.timers.retransmit = Some(self.now + self.round_trip.rto(&self.config));
        }
        if acked.bytes > 0 && !self.flight.nothing_in_flight() {
            self.timers.probe = Some(self.now + self.round_trip.probe_delay(&self.config));
        }
        self.timers.idle = Some(self.now + IDLE);
        Ok(())
    }

    pub(super) fn find_losses(&mut self) {
        let losses = self.flight.find_losses(self.now, self.round_trip.reordering(&self.config));
        self.timers.reordering = losses.again;
        if losses.packet.is_some_and(|packet| packet >= self.sender.recovery) {
            self.stats.loss_events = self.stats.loss_events.saturating_add(1);
            self.congestion.lost();
            self.sender.recovery = self.flight.packet();
            self.sender.fast = true;
        }
    }

    fn handle_heartbeat_ack(&mut self, info: &[u8]) -> Result<(), Discard> {
        let parameters = Parameters::decode(info)?;
        let proves_size = parameters.iter().any(|parameter| {
            matches!(parameter, Parameter::Unknown { kind: 1, value } if self.is_size_proved(value))
        });
        if proves_size {
            self.answered();
            return Ok(());
        }
        let nonce = self.heartbeat_nonce.ok_or(Discard::UnexpectedChunk)?;
        let answered = parameters.iter().any(|parameter| {
            matches!(parameter, Parameter::Unknown { kind: 1, value } if value == nonce.to_be_bytes())
        });
        if !answered {
            return Err(Discard::UnexpectedChunk);
        }
        self.heartbeat_nonce = None;
        self.answered();
        Ok(())
    }

    fn handle_error(&mut self, causes: Causes<'_>) {
        if causes.iter().any(|(code, _)| code == CAUSE_STALE_COOKIE) {
            self.handle_stale_cookie();
        }
    }

    fn handle_shutdown(&mut self, cumulative: Tsn) -> Result<(), Discard> {
        self.handle_sack(cumulative, None, None::<std::iter::Empty<_>>)?;
        match self.state {
            State::Established | State::ShutdownPending => {
                self.state = State::ShutdownReceived;
                let guard = self.now + self.config.shutdown_limit;
                self.timers.guard.get_or_insert(guard);
            }
            State::ShutdownSent => {
                // Both ends began (RFC 9260 §9.2): acknowledge at once.
                self.state = State::ShutdownAckSent;
                self.replies.shutdown = false;
                self.replies.shutdown_ack = true;
            }
            State::ShutdownReceived
            | State::ShutdownAckSent
            | State::Listening
            | State::CookieWait
            | State::CookieEchoed(_)
            | State::Closed => {}
        }
        Ok(())
    }

    fn handle_shutdown_ack(&mut self) -> Result<(), Discard> {
        if !matches!(self.state, State::ShutdownSent | State::ShutdownAckSent) {
            return Err(Discard::UnexpectedChunk);
        }
        self.replies.shutdown_complete = Some((self.peer.tag, false));
        self.close(CloseReason::Shutdown);
        Ok(())
    }

    /// RFC 9260 §9.2: goes on when everything is acknowledged.
    pub(super) fn progress_shutdown(&mut self) {
        let pending = matches!(self.state, State::ShutdownPending | State::ShutdownReceived);
        if !pending || !self.flight.is_empty() || !self.outbound.is_empty() {
            return;
        }
        if self.state == State::ShutdownPending {
            self.state = State::ShutdownSent;
            self.replies.shutdown = true;
        } else {
            self.state = State::ShutdownAckSent;
            self.replies.shutdown_ack = true;
        }
        self.errors = 0;
    }

    /// RFC 9260 §3.2: the upper bit of an unknown type says whether to go on, the next whether to report.
    fn handle_unknown(&mut self, kind: u8, flags: u8, value: &[u8]) -> Result<(), Discard> {
        self.stats.unknown_chunks = self.stats.unknown_chunks.saturating_add(1);
        if kind & 0x40 != 0 {
            self.replies.error = Some(Cause::of_chunk(kind, flags, value));
        }
        if kind & 0x80 == 0 { Err(Discard::UnknownChunk) } else { Ok(()) }
    }
}

/// RFC 9260 §6.2: no configuration may have it longer.
const LONGEST_ACK_DELAY: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_millis(500);
