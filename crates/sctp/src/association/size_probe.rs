//! Whether the path carries larger packets than those that are sent: a HEARTBEAT that is padded to their size is answered, or is
//! not (RFC 8899 §6.2, RFC 4820; for data channels RFC 8261 §5).

use proto::{Instant, Writer};

use super::Association;
use super::transmit::put_heartbeat;
use crate::wire::{CHUNK_HEADER_LEN, Chunk, begin_packet, finish_packet};

#[derive(Clone, Copy, Debug)]
pub(super) struct SizeProbe {
    /// Of the packets that are tried.
    bytes: usize,
    /// Is answered.
    nonce: u64,
    tries: u32,
    is_due: bool,
    /// When it is due again.
    again: Option<Instant>,
}

impl Association {
    /// Has packets of so many bytes tried, 1,500 at most, up to ten times within some minutes: once one is answered, packets may be
    /// as large. Until then they are as [`set_max_packet`](Self::set_max_packet) says, and what is lost of tries harms nothing.
    pub fn probe_packet(&mut self, bytes: usize) {
        let bytes = bytes.min(PADDING.len()) & !3;
        if bytes > self.max_packet {
            let probe = SizeProbe { bytes, nonce: self.rng.u64(), tries: 0, is_due: true, again: None };
            self.size_probe = Some(Box::new(probe));
        }
    }

    pub(super) fn size_probe_again(&self) -> Option<Instant> {
        self.size_probe.as_ref().and_then(|probe| probe.again)
    }

    pub(super) fn expire_size_probe(&mut self) {
        let now = self.now;
        if let Some(probe) = &mut self.size_probe {
            probe.is_due |= super::timers::expired(&mut probe.again, now);
        }
    }

    /// A packet of its own; `false` if none is due or there is no room for it.
    pub(super) fn write_size_probe(&mut self, out: &mut Writer<'_>) -> bool {
        let Some(probe) = &mut self.size_probe else { return false };
        if !probe.is_due || probe.bytes > out.room() {
            return false;
        }
        let (start, tag) = (out.len(), self.peer.tag);
        let rto = self.round_trip.rto(&self.config);
        let written = begin_packet(out, self.config.local_port, self.config.remote_port, tag)
            .and_then(|()| put_heartbeat(out, probe.nonce))
            .and_then(|()| {
                let so_far = out.len().saturating_sub(start).saturating_add(CHUNK_HEADER_LEN);
                let padding = PADDING.get(..probe.bytes.saturating_sub(so_far)).unwrap_or(&PADDING);
                Chunk::Unknown { kind: PAD, flags: 0, value: padding }.encode(out)
            })
            .and_then(|()| finish_packet(out, start));
        if written.is_err() {
            out.truncate(start);
            return false;
        }
        probe.is_due = false;
        probe.tries = probe.tries.saturating_add(1);
        let wait = rto.saturating_mul(1 << probe.tries.min(LONGEST_WAIT));
        probe.again = (probe.tries < MOST_TRIES).then_some(self.now + wait);
        true
    }

    /// Whether it is the answer to a probe: packets are as large from now on.
    pub(super) fn is_size_proved(&mut self, nonce: &[u8]) -> bool {
        let Some(probe) = self.size_probe.take_if(|probe| nonce == probe.nonce.to_be_bytes()) else {
            return false;
        };
        self.set_max_packet(probe.bytes.max(self.max_packet));
        true
    }
}

/// RFC 4820 §3: whoever does not know it skips it.
const PAD: u8 = 0x84;
/// As long as the largest packet that is tried: what Ethernet carries.
static PADDING: [u8; 1500] = [0; 1500];
const MOST_TRIES: u32 = 10;
/// The wait between two tries is doubled so often at most.
const LONGEST_WAIT: u32 = 6;
