//! Packets of somebody else become packets of a stream of ours.

use proto::{Instant, Writer};
use rtp::extension::{ExtensionMap, Kind};
use rtp::{EditError, Encoder, Header, Packet, PacketMut, Ssrc};

use super::Encoding;
use crate::send::forward::wire;
use crate::send::template::{form_of, is_stamp, stamps};
use crate::send::{SendError, SenderConfig};

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
        self.forward.rewrite(now, packet, config.codec, fresh);
        packet.set_ssrc(self.ssrc);
        packet.set_payload_type(config.payload_type);
        packet.set_sequence_number(wire(number));
        self.next = self.next.max(number.saturating_add(1));
        self.time = Some((packet.as_packet().header().timestamp, now));
        Ok(number)
    }

    /// Writes what [`adopt`](Self::adopt) makes of a packet to `memory`, in place of what is there: a header of ours, and its
    /// payload. Gives its number.
    pub(crate) fn adopt_copy(
        &mut self,
        now: Instant,
        config: &SenderConfig,
        (source, number): (u32, u64),
        packet: &Packet<'_>,
        theirs: &ExtensionMap,
        memory: &mut Vec<u8>,
    ) -> Result<u64, SendError> {
        memory.clear();
        memory.resize(packet.bytes().len().saturating_add(ROOM), 0);
        let mut out = Writer::new(memory);
        // Number and time are known once it is sure that there is a packet.
        let csrcs = Csrcs::of(packet);
        let mut encoder = Encoder::new(&mut out, Header::default(), csrcs.as_slice())?;
        self.extend(&mut encoder, config, packet, theirs)?;
        let len = encoder.finish(packet.payload(), packet.padding()).map_err(EditError::from)?;
        // Others send what their path carries; one that is too long for ours would wait for room for ever.
        if len > config.max_forwarded {
            return Err(SendError::TooLong);
        }
        let (number, fresh) = self.forward.place(source, number, self.next).ok_or(SendError::Late)?;
        let timestamp = self.forward.timestamp(now, packet.header().timestamp, config.codec, fresh);
        let behind = packet.payload().len().saturating_add(packet.padding().into());
        let body = memory.get_mut(len.saturating_sub(behind)..len).unwrap_or_default();
        let payload = body.get_mut(..packet.payload().len()).unwrap_or_default();
        self.forward.rewrite_payload(payload, config.codec, fresh);
        Header {
            marker: packet.header().marker,
            payload_type: config.payload_type,
            sequence_number: wire(number),
            timestamp,
            ssrc: self.ssrc,
        }
        .patch(memory);
        memory.truncate(len);
        self.next = self.next.max(number.saturating_add(1));
        self.time = Some((timestamp, now));
        Ok(number)
    }

    /// The header extensions: those of ours, and theirs that are passed on.
    fn extend(
        &self,
        encoder: &mut Encoder<'_, '_>,
        config: &SenderConfig,
        packet: &Packet<'_>,
        theirs: &ExtensionMap,
    ) -> Result<(), EditError> {
        let map = &config.extensions;
        let elements = packet.extension().map(|extension| extension.elements());
        let is_ours = |id: u8| theirs.kind(id).is_some_and(is_stamp);
        let elements = elements.into_iter().flatten().filter(|element| !is_ours(element.id));
        let elements =
            elements.filter_map(|element| Some((passed_on(theirs, config, element.id)?, element.value)));
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

/// The contributing sources of a packet: at most 15 (RFC 3550 §5.1).
struct Csrcs {
    sources: [Ssrc; 15],
    count: usize,
}

impl Csrcs {
    fn of(packet: &Packet<'_>) -> Self {
        let mut csrcs = Self { sources: [Ssrc(0); 15], count: packet.csrcs().len() };
        csrcs.sources.iter_mut().zip(packet.csrcs()).for_each(|(place, source)| *place = source);
        csrcs
    }

    fn as_slice(&self) -> &[Ssrc] {
        self.sources.get(..self.count).unwrap_or_default()
    }
}

/// By how much a packet may grow: header extensions that it lacks.
const ROOM: usize = 64;
