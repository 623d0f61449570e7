use proto::{NoSpace, Writer};

use super::{Kind, Value};
use crate::{Mid, Rid};

impl Value<'_> for Mid {
    const KIND: Kind = Kind::Mid;

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::new(bytes)
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put(self.as_bytes())
    }
}

impl Value<'_> for Rid {
    const KIND: Kind = Kind::Rid;

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::new(bytes)
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put(self.as_bytes())
    }
}

/// The name of the stream that a stream of retransmissions or of repair belongs to (RFC 8852 §3.2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RepairedRid(pub Rid);

impl Value<'_> for RepairedRid {
    const KIND: Kind = Kind::RepairedRid;

    fn read(bytes: &[u8]) -> Option<Self> {
        Rid::new(bytes).map(Self)
    }

    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
        out.put(self.0.as_bytes())
    }
}
