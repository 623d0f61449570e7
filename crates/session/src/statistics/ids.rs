use std::borrow::Borrow;
use std::fmt;

use super::Value;

/// Names a dictionary of a [`StatsReport`](super::StatsReport): the same thing has the same id in every report of its session, and
/// another thing never has it. It begins with what it names, behind which stand numbers:
///
/// | id | what |
/// |---|---|
/// | `P` | the connection |
/// | `T0` | a transport |
/// | `CP0.0.3` | a pair of candidates: transport, ICE generation, number |
/// | `L0.0.1`, `R0.0.2` | candidates of ours and of the peer's: the same |
/// | `CFL0`, `CFR0.0` | certificates: ours and those of its issuers; the peer's by transport |
/// | `D3` | a data channel |
/// | `CI0.96`, `CO0.96` | codecs that come and that are sent: transport, payload type |
/// | `I2.0`, `RO2.0` | a stream that comes, and what its sender says of it: transceiver, stream |
/// | `O2.0`, `RI2.0` | a stream that is sent, and what its receiver says of it: transceiver, encoding |
/// | `S2` | the source of what a transceiver sends |
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StatsId(String);

impl StatsId {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn connection() -> Self {
        Self("P".to_owned())
    }

    pub(super) fn transport(transport: u32) -> Self {
        Self(format!("T{transport}"))
    }

    pub(super) fn pair(transport: u32, generation: u32, number: u32) -> Self {
        Self(format!("CP{transport}.{generation}.{number}"))
    }

    pub(super) fn local(transport: u32, generation: u32, number: u32) -> Self {
        Self(format!("L{transport}.{generation}.{number}"))
    }

    pub(super) fn remote(transport: u32, generation: u32, number: u32) -> Self {
        Self(format!("R{transport}.{generation}.{number}"))
    }

    pub(super) fn local_certificate(depth: usize) -> Self {
        Self(format!("CFL{depth}"))
    }

    pub(super) fn remote_certificate(transport: u32) -> Self {
        Self(format!("CFR{transport}.0"))
    }

    pub(super) fn channel(number: u64) -> Self {
        Self(format!("D{number}"))
    }
}

impl fmt::Display for StatsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for StatsId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a StatsId> for Value<'a> {
    fn from(id: &'a StatsId) -> Self {
        Self::Text(&id.0)
    }
}
