use std::borrow::Borrow;
use std::fmt;

use ::media::StreamId;

use super::Value;
use crate::{PayloadType, TransceiverId};

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
/// | `I2.1.0`, `RO2.1.0` | a stream that comes, and what its sender says of it: transceiver, how often its streams have begun anew, stream |
/// | `O2.1.0`, `RI2.1.0` | a stream that is sent, and what its receiver says of it: transceiver, how often its streams have begun anew, encoding |
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

    pub(super) fn codec_in(transport: u32, payload_type: PayloadType) -> Self {
        Self(format!("CI{transport}.{}", payload_type.get()))
    }

    pub(super) fn codec_out(transport: u32, payload_type: PayloadType) -> Self {
        Self(format!("CO{transport}.{}", payload_type.get()))
    }

    pub(super) fn inbound(transceiver: TransceiverId, made: u32, stream: StreamId) -> Self {
        Self(format!("I{transceiver}.{made}.{}", stream.0))
    }

    /// What the sender says of the stream `inbound`.
    pub(super) fn remote_outbound(inbound: &Self) -> Self {
        Self(format!("RO{}", inbound.0.trim_start_matches('I')))
    }

    pub(super) fn outbound(transceiver: TransceiverId, made: u32, encoding: usize) -> Self {
        Self(format!("O{transceiver}.{made}.{encoding}"))
    }

    pub(super) fn remote_inbound(transceiver: TransceiverId, made: u32, encoding: usize) -> Self {
        Self(format!("RI{transceiver}.{made}.{encoding}"))
    }

    /// Whether it names something of this transceiver's.
    pub(super) fn is_of(&self, transceiver: TransceiverId) -> bool {
        let kind = ["RO", "RI", "I", "O", "S"].into_iter().find_map(|kind| self.0.strip_prefix(kind));
        let number = kind.and_then(|rest| rest.split('.').next());
        number.is_some_and(|number| number == transceiver.to_string())
    }

    pub(super) fn source(transceiver: TransceiverId) -> Self {
        Self(format!("S{transceiver}"))
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
