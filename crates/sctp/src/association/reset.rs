use std::collections::BTreeMap;

use super::Association;
use crate::wire::{Chunk, Parameter, Parameters, ReconfigResult};
use crate::{Direction, StreamId, Tsn};
use proto::Writer;

/// Stream reset (RFC 6525): our request, of which one is outstanding at most, and our answers to the peer's.
#[derive(Debug)]
pub(super) struct Resets {
    next_request: u32,
    outstanding: Option<Request>,
    expected: u32,
    /// The request with that number was answered with In progress.
    deferred: bool,
    answers: [Option<(u32, ReconfigResult)>; 2],
    last_answer: ReconfigResult,
    /// Which directions of a stream are still to be reset before its number can be used again.
    waiting: BTreeMap<StreamId, Waiting>,
}

#[derive(Debug)]
struct Request {
    number: u32,
    last: Tsn,
    streams: Vec<StreamId>,
    due: bool,
    /// The peer has answered that it is at it: what it takes longer is not in vain (RFC 6525 §5.2.7, H2).
    in_progress: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    outgoing: bool,
    incoming: bool,
}

impl Resets {
    pub(super) fn new(first: Tsn, peer_first: Tsn) -> Self {
        Self {
            next_request: first.0,
            outstanding: None,
            expected: peer_first.0,
            deferred: false,
            answers: [None; 2],
            last_answer: ReconfigResult::NothingToDo,
            waiting: BTreeMap::new(),
        }
    }

    /// Numbering begins anew; streams that are open stay open.
    pub(super) fn set_peer(&mut self, first: Tsn) {
        self.expected = first.0;
        self.deferred = false;
        self.answers = [None; 2];
    }

    pub(super) fn opened(&mut self, stream: StreamId) {
        self.waiting.insert(stream, Waiting { outgoing: true, incoming: true });
    }

    pub(super) fn forget(&mut self, stream: StreamId) {
        self.waiting.remove(&stream);
    }

    /// Whether a direction of `stream` is still to be reset.
    pub(super) fn awaits(&self, stream: StreamId) -> bool {
        self.waiting.contains_key(&stream)
    }

    /// Streams that are not sent on any more but wait for the peer's reset.
    pub(super) fn awaiting(&self) -> usize {
        self.waiting.values().filter(|waiting| !waiting.outgoing).count()
    }

    /// A direction is reset. `false` if it was not waited for.
    pub(super) fn done(&mut self, stream: StreamId, direction: Direction) -> bool {
        let Some(waiting) = self.waiting.get_mut(&stream) else { return false };
        let flag = match direction {
            Direction::Incoming => &mut waiting.incoming,
            Direction::Outgoing => &mut waiting.outgoing,
        };
        let was = std::mem::take(flag);
        if !waiting.incoming && !waiting.outgoing {
            self.waiting.remove(&stream);
        }
        was
    }

    pub(super) fn in_progress(&self) -> bool {
        self.outstanding.as_ref().is_some_and(|request| request.in_progress)
    }

    pub(super) fn timed_out(&mut self) {
        if let Some(request) = &mut self.outstanding {
            request.due = true;
        }
    }

    fn answer(&mut self, number: u32, result: ReconfigResult) {
        if let Some(slot) = self.answers.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some((number, result));
        }
    }
}

impl Association {
    /// Takes a RE-CONFIG chunk.
    pub(super) fn handle_reconfig(&mut self, parameters: Parameters<'_>) {
        for parameter in parameters.iter().take(2) {
            match parameter {
                Parameter::OutgoingReset { request, last, .. } => {
                    let result = self.number_is_right(request).unwrap_or_else(|| {
                        if self.inbound.has_arrived(last) {
                            self.reset_incoming(&parameter);
                            ReconfigResult::Performed
                        } else {
                            ReconfigResult::InProgress
                        }
                    });
                    self.answer(request, result);
                }
                Parameter::IncomingReset { request, .. }
                | Parameter::AssociationReset { request }
                | Parameter::AddStreams { request, .. } => {
                    // WebRTC uses the outgoing request alone (RFC 8831 §6.7): the others may be denied.
                    let result = self.number_is_right(request).unwrap_or(ReconfigResult::Denied);
                    self.answer(request, result);
                }
                Parameter::ReconfigResponse { request, result } => self.handle_response(request, result),
                Parameter::StateCookie(_)
                | Parameter::ForwardTsnSupported
                | Parameter::SupportedExtensions(_)
                | Parameter::Unknown { .. } => {
                    self.stats.unknown_chunks = self.stats.unknown_chunks.saturating_add(1);
                }
            }
        }
    }

    /// The answer to a request with a number that is not the next (RFC 6525 §5.2.1), or `None` if it is.
    fn number_is_right(&mut self, number: u32) -> Option<ReconfigResult> {
        if self.resets.deferred && number == self.resets.expected.wrapping_add(1) {
            // RFC 6525 §5.2.7 has the peer ask again under the same number after In progress. Chromium asked under the
            // next one for years, and refused it would ask no more, nor for any other stream.
            self.resets.expected = number;
            self.resets.last_answer = ReconfigResult::InProgress;
        }
        if number == self.resets.expected {
            return None;
        }
        let repeated = number == self.resets.expected.wrapping_sub(1);
        Some(if repeated { self.resets.last_answer } else { ReconfigResult::BadNumber })
    }

    fn answer(&mut self, number: u32, result: ReconfigResult) {
        self.resets.answer(number, result);
        if number != self.resets.expected {
            return;
        }
        // A request that is in progress comes again with the same number.
        self.resets.deferred = result == ReconfigResult::InProgress;
        if !self.resets.deferred {
            self.resets.expected = number.wrapping_add(1);
            self.resets.last_answer = result;
        }
    }

    fn reset_incoming(&mut self, parameter: &Parameter<'_>) {
        if parameter.streams().next().is_some() {
            for stream in parameter.streams() {
                self.reset_one(stream);
            }
            return;
        }
        let known: Vec<StreamId> =
            self.inbound.streams().chain(self.resets.waiting.keys().copied()).collect();
        for stream in known {
            self.reset_one(stream);
        }
    }

    fn reset_one(&mut self, stream: StreamId) {
        let known = self.inbound.knows(stream);
        let waited = self.resets.done(stream, Direction::Incoming);
        if known {
            self.inbound.reset(stream, &mut self.events);
        }
        // Of streams that nothing is known of only so many are told as there can be.
        if known || waited || self.events.len() < self.config.max_streams {
            self.report_reset(stream, Direction::Incoming);
        }
    }

    fn handle_response(&mut self, number: u32, result: ReconfigResult) {
        if self.resets.outstanding.as_ref().is_none_or(|request| request.number != number) {
            return;
        }
        self.answered();
        self.round_trip.answered();
        if matches!(result, ReconfigResult::InProgress | ReconfigResult::Busy) {
            // RFC 6525 §5.2.7: ask again after a while, with the same number.
            self.timers.reset = Some(self.now + self.round_trip.rto(&self.config));
            if let Some(request) = &mut self.resets.outstanding {
                request.in_progress = true;
            }
            return;
        }
        self.timers.reset = None;
        let Some(request) = self.resets.outstanding.take() else { return };
        for stream in request.streams {
            self.finish_reset(stream);
        }
    }

    fn finish_reset(&mut self, stream: StreamId) {
        self.outbound.remove(stream);
        self.resets.done(stream, Direction::Outgoing);
        self.report_reset(stream, Direction::Outgoing);
    }

    /// Forms a request when streams have drained and none is outstanding.
    fn form_request(&mut self) {
        if self.resets.outstanding.is_some() {
            return;
        }
        let streams: Vec<StreamId> = self.outbound.drained().take(MAX_STREAMS).collect();
        if streams.is_empty() {
            return;
        }
        if !self.peer.reconfig {
            // The peer cannot be told: for us the stream has ended.
            for stream in streams {
                self.finish_reset(stream);
            }
            return;
        }
        let number = self.resets.next_request;
        self.resets.next_request = number.wrapping_add(1);
        self.resets.outstanding =
            Some(Request { number, last: self.flight.last_tsn(), streams, due: true, in_progress: false });
    }

    /// Writes a RE-CONFIG chunk if one is due. Says whether it did.
    pub(super) fn write_reconfig(&mut self, out: &mut Writer<'_>) -> bool {
        self.form_request();
        // Not before the peer is known to have all that the reset waits for (RFC 6525 §5.2.2, E2), so that nobody has to
        // answer In progress: Chromium did so for ever once it had, and held its other streams back with it.
        let due = self
            .resets
            .outstanding
            .as_ref()
            .is_some_and(|request| request.due && self.flight.is_acknowledged(request.last));
        if !due && self.resets.answers.iter().all(Option::is_none) {
            return false;
        }
        let mut memory = [0; RECONFIG_LEN];
        let mut body = Writer::new(&mut memory);
        let mut answered = 0;
        for (number, result) in self.resets.answers.iter().flatten() {
            if (Parameter::ReconfigResponse { request: *number, result: *result }).encode(&mut body).is_ok() {
                answered += 1;
            }
        }
        // RFC 6525 §3.1: at most two parameters, and only some pairs: an answer and a request may go together.
        let with_request = due && answered < 2;
        if let Some(request) = self.resets.outstanding.as_ref().filter(|_| with_request) {
            let mut list = [0; MAX_STREAMS * 2];
            let mut streams = Writer::new(&mut list);
            for stream in &request.streams {
                if streams.put_u16(stream.0).is_err() {
                    return false;
                }
            }
            let parameter = Parameter::OutgoingReset {
                request: request.number,
                response: self.resets.expected.wrapping_sub(1),
                last: request.last,
                streams: streams.written(),
            };
            if parameter.encode(&mut body).is_err() {
                return false;
            }
        }
        let Ok(parameters) = Parameters::decode(body.written()) else { return false };
        if Chunk::Reconfig(parameters).encode(out).is_err() {
            return false;
        }
        self.resets.answers = [None; 2];
        if with_request {
            if let Some(request) = &mut self.resets.outstanding {
                request.due = false;
            }
            self.timers.reset = Some(self.now + self.round_trip.rto(&self.config));
        }
        true
    }
}

/// Streams of one request: it fits the smallest packet.
const MAX_STREAMS: usize = 20;
const RECONFIG_LEN: usize = 16 + MAX_STREAMS * 2 + 2 * 12;
