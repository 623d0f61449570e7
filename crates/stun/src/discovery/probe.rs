#![expect(clippy::wildcard_enum_match_arm, reason = "the reader looks for a few attributes among many")]

use std::net::SocketAddr;

use crypto::Rng;
use proto::{Instant, NoSpace, Path, Writer};

use crate::Transaction;
use crate::wire::{Attribute, Class, Encoder, Message, Method};

/// A request of a certain kind, and what became of it.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) test: Test,
    /// Which way it goes.
    pub(super) path: Path,
    /// Which way its answer is to come.
    pub(super) answer: Path,
    pub(super) transaction: Transaction,
    pub(super) outcome: Option<Outcome>,
}

/// What a request is to show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Test {
    /// That there is a server; test I of RFC 5780 §4.3 and §4.4.
    First,
    /// The same from the second socket.
    Second,
    /// Test II of RFC 5780 §4.4: the answer is to come from the other address and port.
    ChangeBoth,
    /// Test III of RFC 5780 §4.4: from the other port.
    ChangePort,
    /// From one socket to the other's address outside (RFC 5780 §3.4).
    Hairpin,
    /// Test II of RFC 5780 §4.3: to the other address.
    OtherAddress,
    /// Test III of RFC 5780 §4.3: to the other address and port.
    OtherBoth,
    /// Keeps the mapping of the first socket (RFC 5780 §4.6).
    Refresh,
    /// From the second socket, answered to the first one's port outside (RFC 5780 §4.6).
    Remote { port: u16 },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Answered(Answer),
    Refused(u16),
    /// It was answered, but not as it was asked to be.
    Unsupported,
    /// It came back to ourselves.
    Hairpin,
    Silent,
}

/// What a server says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) mapped: SocketAddr,
    /// MAPPED-ADDRESS, which somebody on the way may have changed.
    pub(super) plain: Option<SocketAddr>,
    pub(super) other: Option<SocketAddr>,
}

impl Test {
    /// Whether no answer means that the path does not work.
    pub(super) const fn must_answer(self) -> bool {
        matches!(self, Self::First | Self::Refresh)
    }
}

impl Probe {
    pub(super) fn new(now: Instant, test: Test, path: Path, answer: Path, rng: &mut Rng) -> Self {
        let transaction = Transaction::new(now, false, rng);
        Self { test, path, answer, transaction, outcome: None }
    }

    pub(super) fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        let id = self.transaction.id();
        let mut request = Encoder::new(out, Class::Request, Method::BINDING, id)?;
        match self.test {
            Test::ChangeBoth => request.attribute(Attribute::ChangeRequest { ip: true, port: true })?,
            Test::ChangePort => request.attribute(Attribute::ChangeRequest { ip: false, port: true })?,
            Test::Remote { port } => request.attribute(Attribute::ResponsePort(port))?,
            Test::First
            | Test::Second
            | Test::Hairpin
            | Test::OtherAddress
            | Test::OtherBoth
            | Test::Refresh => {}
        }
        request.finish(None)
    }
}

impl Answer {
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let (mut plain, mut other) = (None, None);
        for attribute in message.attributes() {
            match attribute {
                Attribute::MappedAddress(address) => plain = plain.or(Some(address)),
                Attribute::OtherAddress(address) => other = other.or(Some(address)),
                _ => {}
            }
        }
        Some(Self { mapped: message.mapped_address()?, plain, other })
    }
}
