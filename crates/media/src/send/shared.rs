use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use rtp::extension::{ExtensionMap, Kind};
use rtp::{DecodeError, Header, Packet, Ssrc};

use super::template::is_stamp;

/// A packet of somebody else that goes on to several: its payload is kept once for all of them, until the last has given it up.
///
/// ```
/// # use media::SharedPackets;
/// # use rtp::extension::ExtensionMap;
/// let mut packets = SharedPackets::default();
/// let packet = b"\x80\x6f\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44opus";
/// let shared = packets.share(packet, &ExtensionMap::default())?;
/// assert_eq!((shared.bytes(), shared.payload()), (&packet[..], &b"opus"[..]));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedPacket(Arc<Parts>);

#[derive(Debug, Default)]
struct Parts {
    bytes: Vec<u8>,
    header: Header,
    csrcs: Vec<Ssrc>,
    /// Where the payload stands.
    payload: Range<usize>,
    padding: u8,
    /// Header extensions that are passed on, with how long their values are, which follow each other in `values`.
    elements: Vec<(Kind, usize)>,
    values: Vec<u8>,
}

impl SharedPacket {
    /// The fixed part of its header, as it came.
    pub fn header(&self) -> Header {
        self.0.header
    }

    /// The whole packet, as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// What is carried, without padding.
    pub fn payload(&self) -> &[u8] {
        self.0.bytes.get(self.0.payload.clone()).unwrap_or_default()
    }

    pub(crate) fn csrcs(&self) -> &[Ssrc] {
        &self.0.csrcs
    }

    pub(crate) fn padding(&self) -> u8 {
        self.0.padding
    }

    /// Header extensions that are passed on. Names of sections and streams are each peer's own, and what tells when a packet left is
    /// written when it leaves.
    pub(crate) fn elements(&self) -> impl Iterator<Item = (Kind, &[u8])> + Clone {
        let mut values = self.0.values.as_slice();
        self.0.elements.iter().map(move |(kind, len)| {
            let (value, rest) = values.split_at_checked(*len).unwrap_or_default();
            values = rest;
            (*kind, value)
        })
    }

    /// Whether it has nothing but its header and its payload.
    pub(crate) fn is_bare(&self) -> bool {
        self.0.csrcs.is_empty() && self.0.elements.is_empty() && self.0.padding == 0
    }
}

impl Parts {
    fn fill(&mut self, packet: &Packet<'_>, theirs: &ExtensionMap) {
        self.bytes.clear();
        self.bytes.extend_from_slice(packet.bytes());
        self.payload = packet.header_len()..packet.header_len().saturating_add(packet.payload().len());
        self.header = packet.header();
        self.padding = packet.padding();
        self.csrcs.clear();
        self.csrcs.extend(packet.csrcs());
        self.elements.clear();
        self.values.clear();
        let elements = packet.extension().map(|extension| extension.elements());
        for element in elements.into_iter().flatten() {
            let Some(kind) = theirs.kind(element.id) else { continue };
            if !is_stamp(kind) && !matches!(kind, Kind::Mid | Kind::Rid | Kind::RepairedRid) {
                self.elements.push((kind, element.value.len()));
                self.values.extend_from_slice(element.value);
            }
        }
    }
}

/// Makes [`SharedPacket`]s. Memory of those that everybody has given up is used again.
#[derive(Debug, Default)]
pub struct SharedPackets {
    /// Those that were made, the oldest first; they are given up in about that order.
    made: VecDeque<Arc<Parts>>,
}

impl SharedPackets {
    /// Copies a packet. `theirs` is what the identifiers of its header extensions mean.
    ///
    /// # Errors
    ///
    /// It is no packet of RTP.
    pub fn share(&mut self, packet: &[u8], theirs: &ExtensionMap) -> Result<SharedPacket, DecodeError> {
        let packet = Packet::decode(packet)?;
        let mut parts = self.spare().unwrap_or_default();
        match Arc::get_mut(&mut parts) {
            Some(parts) => parts.fill(&packet, theirs),
            None => {
                let mut fresh = Parts::default();
                fresh.fill(&packet, theirs);
                parts = Arc::new(fresh);
            }
        }
        if self.made.len() < MAX_REMEMBERED && parts.bytes.capacity() <= MAX_REMEMBERED_BYTES {
            self.made.push_back(parts.clone());
        }
        Ok(SharedPacket(parts))
    }

    /// One that everybody has given up.
    fn spare(&mut self) -> Option<Arc<Parts>> {
        let is_spare = |parts: &Arc<Parts>| Arc::strong_count(parts) == 1;
        // After a burst most of them lie idle.
        if self.made.len() > MIN_REMEMBERED && self.made.get(self.made.len() / 2).is_some_and(is_spare) {
            self.made.pop_front();
        }
        self.made.front().is_some_and(is_spare).then(|| self.made.pop_front())?
    }
}

/// Packets whose memory is used again: with those of two seconds in use, 16 Mbit/s. Beyond that each is allocated.
const MAX_REMEMBERED: usize = 4096;
/// Longer ones than networks carry are let go.
const MAX_REMEMBERED_BYTES: usize = 4096;
/// So many may lie idle while packets come.
const MIN_REMEMBERED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn share(packets: &mut SharedPackets) -> SharedPacket {
        let packet = b"\x80\x6f\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44opus";
        packets.share(packet, &ExtensionMap::default()).unwrap()
    }

    #[test]
    fn memory_that_everybody_has_given_up_is_used_again() {
        let mut packets = SharedPackets::default();
        let first = share(&mut packets);
        let place = Arc::as_ptr(&first.0);
        let other = first.clone();
        drop(first);
        let second = share(&mut packets);
        assert_ne!(Arc::as_ptr(&second.0), place, "somebody has it");
        assert_eq!((other.payload(), second.payload()), (&b"opus"[..], &b"opus"[..]));
        drop(other);
        assert_eq!(Arc::as_ptr(&share(&mut packets).0), place);
    }

    #[test]
    fn what_is_longer_than_networks_carry_is_let_go() {
        let mut packets = SharedPackets::default();
        for (len, remembered) in [(MAX_REMEMBERED_BYTES, 1), (MAX_REMEMBERED_BYTES + 1, 0)] {
            let mut packet = vec![0; len];
            packet[0] = 0x80;
            let _held = packets.share(&packet, &ExtensionMap::default()).unwrap();
            assert_eq!(packets.made.len(), remembered, "{len}");
        }
    }

    #[test]
    fn as_many_are_remembered_as_the_limit_and_after_a_burst_fewer() {
        let mut packets = SharedPackets::default();
        let mut held: Vec<_> = (0..MAX_REMEMBERED + 10).map(|_| share(&mut packets)).collect();
        assert_eq!(packets.made.len(), MAX_REMEMBERED);
        held.clear();
        (0..2 * MAX_REMEMBERED).for_each(|_| drop(share(&mut packets)));
        assert_eq!(packets.made.len(), MIN_REMEMBERED);
    }
}
