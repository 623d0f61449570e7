//! Packets of somebody else become packets of a stream of ours.

use proto::{Instant, Writer};
use rtp::extension::{ExtensionMap, Kind};
use rtp::payload::{Written, vp9};
use rtp::{EditError, Encoder, Header, PacketMut, RtpTimestamp};

use super::Encoding;
use crate::Codec;
use crate::send::forward::wire;
use crate::send::history::Tail;
use crate::send::shared::SharedPacket;
use crate::send::template::{Template, form_of, stamps};
use crate::send::{OutgoingFrame, SendError, SenderConfig};

impl Encoding {
    /// Makes a packet of somebody else's one of this stream, where it stands. Gives its number.
    pub(crate) fn adopt(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        source: u32,
        number: u64,
        packet: &mut PacketMut<'_>,
        theirs: &ExtensionMap,
    ) -> Result<u64, SendError> {
        packet.map_elements(|id| passed_on(theirs, config, id))?;
        if self.is_named() {
            if let Some(mid) = &config.mid {
                config.extensions.write(packet, mid)?;
            }
            if let Some(rid) = &self.rid {
                config.extensions.write(packet, rid)?;
            }
        }
        for (id, zeros) in stamps(&config.extensions) {
            packet.set_element(id, zeros)?;
        }
        let (number, fresh) = self.forward.place(source, number, self.next).ok_or(SendError::Late)?;
        let descriptor = config.extensions.id(Kind::DependencyDescriptor);
        self.forward.rewrite(now, packet, config.codec, fresh, descriptor);
        packet.set_ssrc(self.ssrc);
        packet.set_payload_type(config.payload_type);
        packet.set_sequence_number(wire(number));
        self.next = self.next.max(number.saturating_add(1));
        self.note_time(now, packet.as_packet().header().timestamp, config);
        Ok(number)
    }

    /// Keeps what [`adopt`](Self::adopt) makes of a packet, which waits for its turn: a header of ours, and the payload, which stays
    /// where it is but for its beginning. `source` tells streams apart, and has the packet's number there.
    pub(crate) fn adopt_shared(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        source: (u32, u64),
        packet: &SharedPacket,
    ) -> Result<(), SendError> {
        let mut head = self.history.memory(0);
        match self.write_head(now, config, source, packet, &mut head) {
            Ok((number, from)) => {
                let tail = (from < packet.payload().len()).then(|| Tail { packet: packet.clone(), from });
                let is_new = self.history.add_shared(now, number, head, tail, None);
                if is_new { Ok(()) } else { Err(SendError::Late) }
            }
            Err(error) => {
                self.history.give_back(head);
                Err(error)
            }
        }
    }

    /// Writes a header of ours to `memory`, and behind it what is not shared. Gives the packet's number here, and how much of the
    /// payload was written.
    fn write_head(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        (source, number): (u32, u64),
        packet: &SharedPacket,
        memory: &mut Vec<u8>,
    ) -> Result<(u64, usize), SendError> {
        let from = own_part(config, packet);
        let (own, shared) = packet.payload().split_at_checked(from).unwrap_or_default();
        if packet.is_bare() && !self.is_named() {
            if self.bare_header.is_empty() {
                let mut header = Vec::new();
                self.encode_head(config, packet, &[], &mut header)?;
                self.bare_header = header;
            }
            memory.extend_from_slice(&self.bare_header);
            memory.extend_from_slice(own);
        } else {
            self.encode_head(config, packet, own, memory)?;
        }
        // Others send what their path carries; one that is too long for ours would wait for room for ever.
        if memory.len().saturating_add(shared.len()) > config.max_forwarded {
            return Err(SendError::TooLong);
        }
        let (number, fresh) = self.forward.place(source, number, self.next).ok_or(SendError::Late)?;
        let Header { marker, timestamp, .. } = packet.header();
        let timestamp = self.forward.timestamp(now, timestamp, config.codec, fresh);
        let end = memory.len().saturating_sub(packet.padding().into());
        let payload = memory.get_mut(end.saturating_sub(own.len())..end).unwrap_or_default();
        self.forward.rewrite_payload(payload, config.codec, fresh);
        if packet.elements().any(|(kind, _)| kind == Kind::DependencyDescriptor) {
            let (len, descriptor) = (memory.len(), config.extensions.id(Kind::DependencyDescriptor));
            if let Ok(mut head) = PacketMut::decode(memory, len) {
                self.forward.rewrite_descriptor(&mut head, fresh, descriptor);
            }
        }
        let (payload_type, ssrc) = (config.payload_type, self.ssrc);
        Header { marker, payload_type, sequence_number: wire(number), timestamp, ssrc }.patch(memory);
        self.next = self.next.max(number.saturating_add(1));
        self.note_time(now, timestamp, config);
        Ok((number, from))
    }

    /// Writes the header of a packet and `own`, in place of what `memory` holds: numbers and times are known once it is sure that
    /// there is a packet.
    fn encode_head(
        &self,
        config: &SenderConfig,
        packet: &SharedPacket,
        own: &[u8],
        memory: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let elements = packet.elements().map(|(_, value)| value.len().saturating_add(MAX_ELEMENT_HEADER));
        let elements = elements.fold(0, usize::saturating_add);
        let sources = packet.csrcs().len().saturating_mul(4);
        let carried = own.len().saturating_add(packet.padding().into());
        let len = elements.saturating_add(sources).saturating_add(carried).saturating_add(ROOM);
        memory.clear();
        memory.resize(len, 0);
        let mut out = Writer::new(memory);
        let mut encoder = Encoder::new(&mut out, Header::default(), packet.csrcs())?;
        self.extend(&mut encoder, config, packet)?;
        let len = encoder.finish(own, packet.padding()).map_err(EditError::from)?;
        memory.truncate(len);
        Ok(())
    }

    /// The header extensions: those of ours, and theirs that are passed on.
    fn extend(
        &self,
        encoder: &mut Encoder<'_, '_>,
        config: &SenderConfig,
        packet: &SharedPacket,
    ) -> Result<(), EditError> {
        let map = &config.extensions;
        let elements = packet.elements().filter_map(|(kind, value)| Some((map.id(kind)?, value)));
        let (mid, rid) = (config.mid.filter(|_| self.is_named()), self.rid.filter(|_| self.is_named()));
        let names = [
            mid.as_ref().and_then(|mid| Some((map.id(Kind::Mid)?, mid.as_bytes()))),
            rid.as_ref().and_then(|rid| Some((map.id(Kind::Rid)?, rid.as_bytes()))),
        ];
        let names = names.into_iter().flatten();
        let elements = names.chain(elements);
        let form = form_of(config, elements.clone());
        for (id, zeros) in stamps(map) {
            encoder.element(form, id, zeros)?;
        }
        for (id, value) in elements {
            encoder.element(form, id, value)?;
        }
        Ok(())
    }

    /// A packet of somebody else's is left out. Where what follows it has its number already, an empty packet fills the gap, so that
    /// nobody asks for it.
    pub(crate) fn omit(&mut self, now: Instant, config: &SenderConfig, (source, theirs): (u32, u64)) {
        let gap = self.forward.made().and_then(|forward| forward.omit(source, theirs));
        let Some(number) = gap.filter(|_| self.active && !self.breaker.is_open()) else { return };
        // What is older than all that is remembered may have been sent.
        let is_known = self.history.oldest().is_some_and(|oldest| number > oldest);
        if !is_known || self.history.get(number).is_some() || !self.history.has_room(1, 0) {
            return;
        }
        let template = Template {
            now,
            ssrc: self.ssrc,
            rid: self.rid,
            timestamp: self.time.map_or_else(RtpTimestamp::default, |(timestamp, _)| timestamp),
            payload_type: config.payload_type,
            named: self.is_named(),
        };
        let mut payload = |_: &mut Writer<'_>| Ok(Some(Written { len: 0, marker: false }));
        // Without room for the header there was none for what it stands beside.
        let (frame, history) = (OutgoingFrame::default(), &mut self.history);
        if template.write(config, &frame, false, number, history, &mut payload).is_ok() {
            self.forward.fill(theirs);
        }
    }

    /// Until the peer has shown that it knows the stream, packets tell whose it is (RFC 9143 §9.1).
    pub(super) fn is_named(&self) -> bool {
        self.remote.count == 0
    }
}

/// As what an element of theirs goes on. Names of sections and streams are each peer's own.
fn passed_on(theirs: &ExtensionMap, config: &SenderConfig, id: u8) -> Option<u8> {
    let kind = theirs.kind(id)?;
    let is_name = matches!(kind, Kind::Mid | Kind::Rid | Kind::RepairedRid);
    config.extensions.id(kind).filter(|_| !is_name)
}

/// How much of a packet's payload is each stream's own: what is rewritten. All of it where padding or repair is made of the packet.
fn own_part(config: &SenderConfig, packet: &SharedPacket) -> usize {
    let payload = packet.payload();
    if config.fec.is_some() || packet.padding() > 0 {
        return payload.len();
    }
    if config.codec == Codec::Vp8 {
        return payload.len().min(VP8_DESCRIPTOR);
    }
    if config.codec != Codec::Vp9 {
        return 0;
    }
    let start = payload.get(..VP9_DESCRIPTOR).filter(|start| vp9::Descriptor::decode(start).is_ok());
    // One that describes many layers and pictures is longer.
    start.map_or(payload.len(), <[u8]>::len)
}

/// What a header takes beside contributing sources and elements of theirs: names and stamps of ours, and what fills a word.
const ROOM: usize = 128;
/// In the form with more.
const MAX_ELEMENT_HEADER: usize = 2;
/// More than its longest descriptor (RFC 7741 §4.2), so that some of the picture follows it.
const VP8_DESCRIPTOR: usize = 8;
/// More than usual descriptors (RFC 9628 §4.2).
const VP9_DESCRIPTOR: usize = 64;
