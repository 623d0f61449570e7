use std::collections::VecDeque;
use std::time::Duration;

use proto::{Instant, NoSpace, Path, Writer};
use stun::IntegrityKey;
use stun::wire::{Attribute, Class, Encoder, ErrorCode, Method, TransactionId, UnknownAttributes};

/// A response that waits for the socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) path: Path,
    pub(crate) id: TransactionId,
    /// The request had the longer integrity code, and so has the response (RFC 8489 §9.1.3).
    pub(crate) is_sha256: bool,
    pub(crate) answer: Answer,
    /// Signed with the credentials of the generation before the restart.
    pub(crate) is_previous: bool,
}

/// What a response says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Granted; the peer is seen where its request came from.
    Success,
    /// 400 or 401: the request was not authenticated, so the response cannot be (RFC 8489 §9.1.3).
    Unauthenticated(u16),
    /// 400: an attribute is missing from an authenticated request.
    Incomplete,
    /// 420 with the first type that is not understood.
    UnknownAttribute(u16),
    /// 487.
    RoleConflict,
}

impl Reply {
    pub(crate) fn encode(&self, out: &mut Writer<'_>, key: &IntegrityKey) -> Result<(), NoSpace> {
        let (class, attribute) = match self.answer {
            Answer::Success => (Class::Success, Attribute::XorMappedAddress(self.path.remote)),
            Answer::Unauthenticated(code) => (Class::Error, error(code)),
            Answer::Incomplete => (Class::Error, error(400)),
            Answer::UnknownAttribute(_) => (Class::Error, error(420)),
            Answer::RoleConflict => (Class::Error, error(487)),
        };
        let mut encoder = Encoder::new(out, class, Method::BINDING, self.id)?;
        encoder.attribute(attribute)?;
        if let Answer::UnknownAttribute(kind) = self.answer {
            encoder.attribute(Attribute::UnknownAttributes(UnknownAttributes::new(&[kind])))?;
        }
        if matches!(self.answer, Answer::Unauthenticated(_)) {
            encoder.finish(None)
        } else if self.is_sha256 {
            encoder.finish_with_sha256(key)
        } else {
            encoder.finish(Some(key))
        }
    }
}

const fn error(code: u16) -> Attribute<'static> {
    let reason = match code {
        400 => "Bad Request",
        401 => "Unauthenticated",
        420 => "Unknown Attribute",
        _ => "Role Conflict",
    };
    Attribute::ErrorCode(ErrorCode { code, reason })
}

/// Responses that wait for the socket, bounded; those to the unauthenticated are also few a second.
#[derive(Debug)]
pub(crate) struct Replies {
    queue: VecDeque<Reply>,
    max: usize,
    max_refusals: u32,
    window: Instant,
    refusals: u32,
}

impl Replies {
    pub(crate) fn new(max: usize, max_refusals: u32) -> Self {
        let window = Instant::default();
        Self { queue: VecDeque::with_capacity(max.min(2)), max, max_refusals, window, refusals: 0 }
    }

    /// Queues `reply`; says whether there was room for it.
    pub(crate) fn push(&mut self, now: Instant, reply: Reply) -> bool {
        if self.queue.len() >= self.max {
            return false;
        }
        if matches!(reply.answer, Answer::Unauthenticated(_)) {
            if now >= self.window + Duration::from_secs(1) {
                self.window = now;
                self.refusals = 0;
            }
            if self.refusals >= self.max_refusals {
                return false;
            }
            self.refusals = self.refusals.saturating_add(1);
        }
        self.queue.push_back(reply);
        true
    }

    pub(crate) fn front(&self) -> Option<&Reply> {
        self.queue.front()
    }

    pub(crate) fn pop(&mut self) {
        self.queue.pop_front();
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }
}
