//! The headers of packets that are written from frames, and what is written into them when they leave.

use proto::{Instant, Writer};
use rtp::extension::{AbsCaptureTime, AbsSendTime, ExtensionMap, Form, Kind};
use rtp::{EditError, Encoder, Header, PacketMut, PayloadType, Rid, RtpTimestamp, Ssrc};

use super::forward::wire;
use super::history::History;
use super::packetizer::Write;
use super::{OutgoingFrame, SenderConfig};

/// What the packets of a frame have in common.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) now: Instant,
    pub(super) ssrc: Ssrc,
    pub(super) rid: Option<Rid>,
    pub(super) timestamp: RtpTimestamp,
    pub(super) payload_type: PayloadType,
    pub(super) named: bool,
}

impl Template {
    pub(super) fn header_len(
        &self,
        config: &SenderConfig,
        frame: &OutgoingFrame<'_>,
    ) -> Result<usize, EditError> {
        let mut memory = [0; MAX_HEADER];
        let mut out = Writer::new(&mut memory);
        let mut encoder = Encoder::new(&mut out, Header::default(), &[])?;
        self.extend(&mut encoder, config, frame, true)?;
        encoder.finish(&[], 0).map_err(EditError::from)
    }

    /// Writes a packet into the history. `false` if there is no further payload.
    pub(super) fn write(
        &self,
        config: &SenderConfig,
        frame: &OutgoingFrame<'_>,
        first: bool,
        number: u64,
        history: &mut History,
        write: Write<'_>,
    ) -> Result<bool, EditError> {
        let mut memory = history.memory(config.max_packet);
        let mut out = Writer::new(&mut memory);
        let header = Header {
            marker: false,
            payload_type: self.payload_type,
            sequence_number: wire(number),
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let mut encoder = Encoder::new(&mut out, header, &[])?;
        self.extend(&mut encoder, config, frame, first)?;
        let mut written = None;
        let len = encoder.finish_with(0, |out| {
            written = write(out)?;
            Ok::<_, EditError>(())
        })?;
        let Some(written) = written else {
            history.give_back(memory);
            return Ok(false);
        };
        memory.truncate(len);
        if let Some(second) = memory.get_mut(1)
            && written.marker
        {
            *second |= 0x80;
        }
        history.add(self.now, number, memory, None);
        Ok(true)
    }

    /// The header extensions. `first`: the packet is the first of its frame.
    fn extend(
        &self,
        encoder: &mut Encoder<'_, '_>,
        config: &SenderConfig,
        frame: &OutgoingFrame<'_>,
        first: bool,
    ) -> Result<(), EditError> {
        let map = &config.extensions;
        let form = form(config, frame);
        for (id, zeros) in stamps(map) {
            encoder.element(form, id, zeros)?;
        }
        if self.named {
            if let Some(mid) = &config.mid {
                map.encode(encoder, form, mid)?;
            }
            if let Some(rid) = &self.rid {
                map.encode(encoder, form, rid)?;
            }
        }
        if let Some(level) = &frame.audio_level {
            map.encode(encoder, form, level)?;
        }
        if let Some(captured) = frame.captured.filter(|_| first) {
            map.encode(encoder, form, &AbsCaptureTime { captured, clock_offset: None })?;
        }
        for (kind, value) in frame.extensions {
            if let Some(id) = map.id(*kind) {
                encoder.element(form, id, value)?;
            }
        }
        Ok(())
    }
}

/// One-byte elements, unless one does not go into that form.
pub(super) fn form(config: &SenderConfig, frame: &OutgoingFrame<'_>) -> Form {
    let values =
        frame.extensions.iter().filter_map(|(kind, value)| Some((config.extensions.id(*kind)?, *value)));
    form_of(config, values)
}

/// The form of packets with these elements, to which any of what was agreed upon may be added later.
pub(super) fn form_of<'v>(config: &SenderConfig, elements: impl IntoIterator<Item = (u8, &'v [u8])>) -> Form {
    let long_name = config.mid.is_some_and(|mid| mid.as_bytes().len() > 16);
    let fits = |(id, value): (u8, &[u8])| Form::OneByte.element_len(id, value.len()).is_some();
    let is_small = !long_name && config.extensions.iter().all(|(id, _)| id < 15);
    if is_small && elements.into_iter().all(fits) { Form::OneByte } else { Form::TwoByte }
}

/// What is written when a packet leaves: which element, and what stands in its place until then.
pub(super) fn stamps(map: &ExtensionMap) -> impl Iterator<Item = (u8, &'static [u8])> + Clone + '_ {
    STAMPS.into_iter().filter_map(|(kind, zeros)| Some((map.id(kind)?, zeros)))
}

/// Whether it is written when a packet leaves.
pub(super) fn is_stamp(kind: Kind) -> bool {
    STAMPS.iter().any(|(stamp, _)| *stamp == kind)
}

/// What is written when packets leave that have it in front of their other elements, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamps {
    ids: [Option<u8>; STAMPS.len()],
}

impl Stamps {
    pub(super) fn of(map: &ExtensionMap) -> Self {
        Self { ids: STAMPS.map(|(kind, _)| map.id(kind)) }
    }

    /// Writes them, as far as they stand where they are expected. Gives whether all did: a packet that was written before other
    /// header extensions were agreed upon may have others.
    pub(super) fn write(self, packet: &mut [u8], now: Instant, transport: u64) -> bool {
        if self.ids == [None; STAMPS.len()] {
            return true;
        }
        let Some(first) = packet.first().filter(|first| **first & EXTENSION != 0) else { return false };
        let begin = FIXED_HEADER.saturating_add(usize::from(*first & CSRC_COUNT).saturating_mul(4));
        let Some(([p0, p1, _, _], mut elements)) =
            packet.get_mut(begin..).and_then(|rest| rest.split_first_chunk_mut())
        else {
            return false;
        };
        let is_small = u16::from_be_bytes([*p0, *p1]) == Form::OneByte.profile();
        let form = if is_small { Form::OneByte } else { Form::TwoByte };
        for ((kind, zeros), id) in STAMPS.into_iter().zip(self.ids) {
            let Some(id) = id else { continue };
            let Some((header, rest)) = elements.split_at_mut_checked(form.header_len()) else { return false };
            let Some((value, rest)) = rest.split_at_mut_checked(zeros.len()) else { return false };
            if Some(&*header) != form.element_header(id, zeros.len()).get(..form.header_len()) {
                return false;
            }
            stamp_value(kind, value, now, transport);
            elements = rest;
        }
        true
    }
}

/// Writes what is known when a packet leaves over what stands in its place.
pub(super) fn stamp(packet: &mut PacketMut<'_>, map: &ExtensionMap, now: Instant, transport: u64) {
    packet.change_elements(|id, value| {
        if let Some(kind) = map.kind(id) {
            stamp_value(kind, value, now, transport);
        }
    });
}

fn stamp_value(kind: Kind, value: &mut [u8], now: Instant, transport: u64) {
    if matches!(kind, Kind::TransportSequence | Kind::TransportSequence2) {
        if let Some(place) = value.first_chunk_mut() {
            *place = wire(transport).0.to_be_bytes();
        }
    } else if kind == Kind::AbsSendTime
        && let Some(place) = value.first_chunk_mut::<3>()
    {
        let [_, time @ ..] = AbsSendTime::from_duration(now.since_epoch()).units().to_be_bytes();
        *place = time;
    }
}

const STAMPS: [(Kind, &[u8]); 3] =
    [(Kind::TransportSequence, &[0; 2]), (Kind::TransportSequence2, &[0; 2]), (Kind::AbsSendTime, &[0; 3])];
/// RFC 3550 §5.1.
const FIXED_HEADER: usize = 12;
const CSRC_COUNT: u8 = 0x0f;
const EXTENSION: u8 = 0x10;
/// All header extensions together.
const MAX_HEADER: usize = 1024;
