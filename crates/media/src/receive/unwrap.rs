//! What other packets hold: retransmissions, RED, and repair.

use proto::Instant;
use rtp::payload::red;
use rtp::{EditError, Packet, PacketMut, PayloadType, fec, rtx};

use super::stream::Stream;
use super::{Format, Received, Receiver};
use crate::Discard;

impl Receiver {
    /// RFC 4588 §4: the original comes out, as if it had come late.
    pub(super) fn retransmission<'p>(
        &mut self,
        now: Instant,
        at: usize,
        of: PayloadType,
        mut packet: PacketMut<'p>,
    ) -> Result<Received<'p>, Discard> {
        let stream = self.streams.get_mut(at).ok_or(Discard::UnknownStream)?;
        let ssrc = stream.ssrc.ok_or(Discard::UnknownStream)?;
        match rtx::unwrap(&mut packet, rtx::Stream { ssrc, payload_type: of }) {
            Ok(_) => {}
            // Padding, which probes the path.
            Err(EditError::NoOriginal) => return Ok(Received::Consumed),
            Err(error) => return Err(error.into()),
        }
        stream.live(&self.config).count_retransmission(packet.as_packet().payload().len());
        match self.config.format(of) {
            Some(Format::Media(_)) => self.media(now, at, packet, false),
            Some(Format::Red) => self.red(now, at, packet, false),
            _ => Err(Discard::UnknownPayloadType),
        }
    }

    /// A packet of repair with a source of its own.
    pub(super) fn repair<'p>(
        &mut self,
        now: Instant,
        at: usize,
        format: fec::Format,
        view: &Packet<'_>,
    ) -> Result<Received<'p>, Discard> {
        let stream = self.streams.get_mut(at).ok_or(Discard::UnknownStream)?;
        let recovery = stream.live(&self.config).recovery.as_mut().ok_or(Discard::UnknownPayloadType)?;
        if view.payload().is_empty() {
            return Ok(Received::Consumed);
        }
        if !recovery.add_repair(format, view.payload()) {
            return Err(Discard::Payload);
        }
        self.recover(now, at);
        Ok(Received::Consumed)
    }

    /// Media or repair inside of RED (RFC 2198, RFC 5109 §14.1): one block, since video repeats nothing.
    pub(super) fn red<'p>(
        &mut self,
        now: Instant,
        at: usize,
        packet: PacketMut<'p>,
        on_path: bool,
    ) -> Result<Received<'p>, Discard> {
        let view = packet.as_packet();
        if view.payload().is_empty() {
            self.place(now, at, &view, on_path, true)?;
            return Ok(Received::Consumed);
        }
        let block =
            red::blocks(view.payload()).map_err(|_| Discard::Payload)?.last().ok_or(Discard::Payload)?;
        let payload_type = PayloadType::new(block.payload_type).ok_or(Discard::Payload)?;
        match self.config.format(payload_type) {
            Some(Format::Fec(format)) => {
                self.place(now, at, &view, on_path, true)?;
                let stream = self.streams.get_mut(at).ok_or(Discard::UnknownStream)?;
                if let Some(recovery) = &mut stream.live(&self.config).recovery
                    && !recovery.add_repair(format, block.data)
                {
                    return Err(Discard::Payload);
                }
                self.recover(now, at);
                Ok(Received::Consumed)
            }
            Some(Format::Media(_)) => {
                let (header_len, len) = (view.header_len(), block.data.len());
                let (header, before) = (view.header(), view.payload().len().saturating_sub(len));
                let memory = packet.into_bytes();
                let from = header_len.saturating_add(before);
                memory.copy_within(from..from.saturating_add(len), header_len);
                if let Some(first) = memory.first_mut() {
                    *first &= !PADDING;
                }
                let mut packet = PacketMut::decode(memory, header_len.saturating_add(len))?;
                packet.set_marker(header.marker);
                packet.set_payload_type(payload_type);
                self.media(now, at, packet, on_path)
            }
            _ => Err(Discard::UnknownPayloadType),
        }
    }

    /// Recovers what can be.
    pub(super) fn recover(&mut self, now: Instant, at: usize) {
        loop {
            let Some(stream) = self.streams.get_mut(at) else { return };
            let Some(ssrc) = stream.ssrc else { return };
            let Some(recovery) = stream.live_mut().and_then(|live| live.recovery.as_mut()) else { return };
            self.scratch.resize(MAX_PACKET, 0);
            let Some(len) = recovery.recover(ssrc, &mut self.scratch) else { return };
            let memory = std::mem::take(&mut self.scratch);
            let bytes = memory.get(..len).unwrap_or_default();
            let placed = Packet::decode(bytes).map_err(Discard::from).and_then(|view| {
                let format = self.config.format(view.header().payload_type);
                format.filter(|it| matches!(it, Format::Media(_))).ok_or(Discard::UnknownPayloadType)?;
                let placed = self.place(now, at, &view, false, false)?;
                if let Some(live) = self.streams.get_mut(at).and_then(Stream::live_mut) {
                    live.count_rebuilt(&view);
                }
                Ok(placed)
            });
            if let Ok((id, number)) = placed
                && self.config.output.has_packets()
            {
                if self.recovered.len() < MAX_RECOVERED {
                    self.recovered.push_back((id, number, bytes.to_vec()));
                } else if let Some(live) = self.streams.get_mut(at).and_then(Stream::live_mut) {
                    live.count_unfetched();
                }
            }
            self.scratch = memory;
        }
    }
}

/// A packet of IP is no longer.
const MAX_PACKET: usize = 65_535;
/// Recovered packets that wait for a forwarder.
const MAX_RECOVERED: usize = 64;
const PADDING: u8 = 0x20;
