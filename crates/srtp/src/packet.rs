use proto::Ssrc;

/// The index of an RTP packet: 32 bits of rollover counter and 16 of sequence number (RFC 3711 §3.3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PacketIndex(pub(crate) u64);

impl PacketIndex {
    /// All 48 bits.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How often the sequence number wrapped.
    pub const fn rollover_counter(self) -> u32 {
        let [_, _, a, b, c, d, _, _] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// What the packet has of it.
    pub const fn sequence(self) -> u16 {
        let [.., e, f] = self.0.to_be_bytes();
        u16::from_be_bytes([e, f])
    }
}

/// An RTP packet that [`Inbound`](crate::Inbound) has authenticated and decrypted. Nothing else makes one, so that what
/// takes one takes nothing that anyone else could have sent.
#[derive(Debug)]
pub struct AuthenticatedRtp<'p> {
    pub(crate) bytes: &'p mut [u8],
    pub(crate) header_len: usize,
    pub(crate) ssrc: Ssrc,
    pub(crate) index: PacketIndex,
}

impl<'p> AuthenticatedRtp<'p> {
    /// The packet, as it was before it was protected.
    pub const fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The same, to be rewritten in place.
    pub const fn into_bytes(self) -> &'p mut [u8] {
        self.bytes
    }

    /// What stands behind the header, padding included.
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(self.header_len..).unwrap_or_default()
    }

    /// Its source.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Its index, which is authenticated too.
    pub const fn index(&self) -> PacketIndex {
        self.index
    }
}

/// A compound RTCP packet that [`Inbound`](crate::Inbound) has authenticated and decrypted.
#[derive(Debug)]
pub struct AuthenticatedRtcp<'p> {
    pub(crate) bytes: &'p mut [u8],
    pub(crate) ssrc: Ssrc,
}

impl<'p> AuthenticatedRtcp<'p> {
    /// The packet, as it was before it was protected.
    pub const fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The same, mutable.
    pub const fn into_bytes(self) -> &'p mut [u8] {
        self.bytes
    }

    /// The source of the first packet in it.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }
}
