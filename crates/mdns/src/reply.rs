use std::net::IpAddr;

use proto::{NoSpace, Path, Writer};

use crate::LocalName;
use crate::wire::{Class, Data, Encoder, Header, Kind, Nsec, Question, Record, Section};

/// What was asked about a name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Asked {
    /// Its address.
    pub(crate) address: bool,
    /// What it does not have: the other family, or something else.
    pub(crate) denial: bool,
}

impl Asked {
    pub(crate) const ADDRESS: Self = Self { address: true, denial: false };

    pub(crate) const fn is_empty(self) -> bool {
        !self.address && !self.denial
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self { address: self.address || other.address, denial: self.denial || other.denial }
    }
}

/// How an answer is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// To all.
    Multicast,
    /// To one asker of multicast DNS, with the identifier of its query (RFC 6762 §18.1).
    Unicast { id: u16 },
    /// To one asker that knows plain DNS alone, with its question (RFC 6762 §6.7).
    Plain { id: u16, kind: Kind, class: Class },
}

/// An answer to one asker that waits for the socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) path: Path,
    pub(crate) name: LocalName,
    pub(crate) asked: Asked,
    pub(crate) form: Form,
}

/// Writes all that there is to say of a name: its address, and that there is nothing else. What was
/// asked for is the answer, and what was not stands beside it. `ttl` is in seconds.
pub(crate) fn write(
    out: &mut Writer<'_>,
    name: &LocalName,
    address: IpAddr,
    asked: Asked,
    form: Form,
    ttl: u32,
) -> Result<(), NoSpace> {
    let name = name.as_name();
    let (id, plain) = match form {
        Form::Multicast => (0, false),
        Form::Unicast { id } => (id, false),
        Form::Plain { id, .. } => (id, true),
    };
    let mut response = Encoder::new(out, Header { id, ..Header::RESPONSE })?;
    if let Form::Plain { kind, class, .. } = form {
        response.question(&Question { name, kind, class, unicast: false })?;
    }
    // RFC 6762 §6.7: plain DNS knows no such bit, and should ask anew soon, as it hears of no change.
    let (flush, ttl) = if plain { (false, ttl.min(MAX_PLAIN_TTL)) } else { (true, ttl) };
    let (kind, data, nsec) = match address {
        IpAddr::V4(v4) => (Kind::A, Data::A(v4), Nsec::of_a(name)),
        IpAddr::V6(v6) => (Kind::AAAA, Data::Aaaa(v6), Nsec::of_aaaa(name)),
    };
    let parts = [(asked.address, kind, data), (asked.denial, Kind::NSEC, Data::Nsec(nsec))];
    for section in [Section::Answer, Section::Additional] {
        for (_, kind, data) in parts.iter().filter(|part| part.0 == (section == Section::Answer)) {
            let (kind, data) = (*kind, *data);
            response.record(&Record { section, name, kind, class: Class::IN, flush, ttl, data })?;
        }
    }
    response.finish()
}

/// RFC 6762 §6.7: seconds.
const MAX_PLAIN_TTL: u32 = 10;
