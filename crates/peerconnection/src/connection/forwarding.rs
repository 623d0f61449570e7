//! Packets of one connection that go on by another.

use std::sync::Arc;

use proto::Instant;
use session::{Negotiated, SendMediaError, TransceiverId};

use super::Core;
use crate::transceiver::{Forwarded, RtpPacket};

impl Core {
    /// Forwards a packet of another connection's.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        id: TransceiverId,
        encoding: usize,
        packet: &RtpPacket,
    ) -> Result<(), SendMediaError> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&packet.bytes);
        self.scratch.resize(packet.bytes.len() + FORWARDING_ROOM, 0);
        let Some(theirs) = &packet.negotiated else { return Err(SendMediaError::Malformed) };
        self.follow_codec(id, packet, theirs)?;
        let source = (packet.stream.0, packet.number);
        let len = packet.bytes.len();
        self.session.forward_rtp(now, id, encoding, source, (&mut self.scratch, len), &theirs.extensions)
    }

    /// Has a transceiver send what a packet is of, under the payload type that its own peer knows it by.
    fn follow_codec(
        &mut self,
        id: TransceiverId,
        packet: &RtpPacket,
        theirs: &Arc<Negotiated>,
    ) -> Result<(), SendMediaError> {
        let payload_type = packet.payload_type().ok_or(SendMediaError::Malformed)?;
        let info = self.session.transceiver(id).ok_or(SendMediaError::Stopped)?;
        let ours = info.negotiated.ok_or(SendMediaError::NotSending)?;
        let known = self.media.get(&id).and_then(|slot| slot.forwarded.as_ref());
        let is_known = known.is_some_and(|known| {
            known.payload_type == payload_type
                && Arc::ptr_eq(&known.theirs, theirs)
                && Arc::ptr_eq(&known.ours, ours)
        });
        if is_known {
            return Ok(());
        }
        let codec = theirs.codec(payload_type).ok_or(SendMediaError::Malformed)?;
        let same = ours.send.iter().find(|it| it.is_same(codec)).map(|it| it.payload_type);
        let forwarded = Forwarded { theirs: theirs.clone(), ours: ours.clone(), payload_type };
        // What accompanies others, as telephone events do, cannot be chosen either.
        if !same.is_some_and(|same| self.session.set_codec(id, same)) {
            return Err(SendMediaError::UnknownEncoding);
        }
        self.media_slot(id).forwarded = Some(forwarded);
        Ok(())
    }
}

/// By how much a packet may grow that is forwarded: header extensions that it lacks.
const FORWARDING_ROOM: usize = 64;
