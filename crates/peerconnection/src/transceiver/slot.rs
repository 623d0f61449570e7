use std::collections::VecDeque;
use std::sync::Arc;

use session::{EncoderLimits, Negotiated, Output, PayloadType, StreamId};

use super::{RtpPacket, SenderRequest, ToneChange};
use crate::forwarding::{Audience, Feed};
use crate::waiting::Waiting;

/// What the facade keeps for a transceiver beside the session's own state.
#[derive(Debug, Default)]
pub(crate) struct MediaSlot {
    pub readers: Waiting,
    pub requesters: Waiting,
    pub listeners: Waiting,
    pub(super) tone: Option<ToneChange>,
    pub packets: VecDeque<RtpPacket>,
    /// Numbers that hold nothing for those to whom they are forwarded, until the next packet of their stream tells of them.
    omitted: VecDeque<(StreamId, u64)>,
    /// What the program wants to come, if it has said anything of it.
    pub output: Option<Output>,
    /// Whether the program fetches packets, and whether frames.
    pub is_read: bool,
    pub is_watched: bool,
    /// By whom its packets are forwarded.
    pub audience: Option<Box<Audience>>,
    /// From where it gets what it forwards, and how much of that was not sent.
    pub feed: Option<Feed>,
    pub not_forwarded: u64,
    pub codec: Option<KnownCodec>,
    /// How often what it forwards has begun to come from elsewhere, or to be another stream.
    pub turn: u32,
    /// What may be sent by its first stream, in bit/s, and what else an encoder has to keep to.
    pub target: Option<(u64, EncoderLimits)>,
    pub(super) requests: VecDeque<SenderRequest>,
}

/// Which codec was forwarded last: of theirs under this payload type, and for it one of ours was chosen.
#[derive(Debug)]
pub(crate) struct KnownCodec {
    pub theirs: Arc<Negotiated>,
    pub ours: Arc<Negotiated>,
    pub payload_type: PayloadType,
}

impl MediaSlot {
    /// What is to come; `None` where nobody has said anything of it.
    pub(crate) fn wanted(&self) -> Option<Output> {
        let output = self.output.filter(|output| output.has_packets() || !self.is_read);
        let own = if self.is_read { output.or(Some(Output::Packets)) } else { output };
        if self.audience.is_none() {
            return own;
        }
        let has_frames = own.map_or(self.is_watched, Output::has_frames);
        Some(if has_frames { Output::Both } else { Output::Packets })
    }

    pub(crate) fn request(&mut self, request: SenderRequest) {
        // One of each kind and stream: as many as that.
        self.requests.retain(|earlier| !earlier.is_replaced_by(request));
        self.requests.push_back(request);
        self.requesters.wake();
    }

    pub(crate) fn begin_tone(&mut self, tone: Option<char>) {
        self.tone = Some(tone.map_or(ToneChange::Done, ToneChange::Began));
        self.listeners.wake();
    }

    /// A number of a stream is to be left out where it is forwarded.
    pub(crate) fn add_omitted(&mut self, stream: StreamId, number: u64) {
        if self.omitted.len() >= MAX_OMITTED {
            self.omitted.pop_front();
        }
        self.omitted.push_back((stream, number));
    }

    /// Those of a stream in front of a packet, as bits: the lowest one is about the number right before it.
    pub(crate) fn take_omitted(&mut self, stream: StreamId, number: u64) -> u64 {
        let mut bits = 0;
        if !self.omitted.is_empty() {
            self.omitted.retain(|(of, omitted)| {
                let before = number.checked_sub(omitted.saturating_add(1)).filter(|_| *of == stream);
                bits |= before.and_then(|before| 1_u64.checked_shl(before.try_into().ok()?)).unwrap_or(0);
                before.is_none()
            });
        }
        bits
    }

    pub(crate) fn add_packet(&mut self, packet: RtpPacket) {
        if self.packets.len() >= MAX_PACKETS {
            self.packets.pop_front();
        }
        self.packets.push_back(packet);
        self.readers.wake();
    }

    pub(crate) fn wake_all(&mut self) {
        self.readers.wake();
        self.requesters.wake();
        self.listeners.wake();
    }
}

/// Packets that wait for a forwarder: a second at 8 Mbit/s.
pub const MAX_PACKETS: usize = 1024;
/// Numbers to be left out that wait for a packet of their stream.
const MAX_OMITTED: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use session::{EncoderLimits, MediaKind, Negotiated, SharedPackets, StreamId};

    use super::*;

    #[test]
    fn as_many_packets_wait_as_the_limit_and_of_requests_the_latest() {
        let mut slot = MediaSlot::default();
        let packet = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let shared = SharedPackets::default().share(&packet, &Negotiated::default().extensions).unwrap();
        let packet = |number| RtpPacket {
            stream: StreamId(0),
            rid: None,
            number,
            kind: MediaKind::Video,
            omitted: 0,
            packet: shared.clone(),
            negotiated: Arc::default(),
        };
        for number in 0..MAX_PACKETS as u64 {
            slot.add_packet(packet(number));
        }
        assert_eq!((slot.packets.len(), slot.packets[0].number), (MAX_PACKETS, 0));
        slot.add_packet(packet(MAX_PACKETS as u64));
        assert_eq!((slot.packets.len(), slot.packets[0].number), (MAX_PACKETS, 1));
        let limits = EncoderLimits::default();
        for bitrate in 0..100 {
            slot.request(SenderRequest::TargetRate { encoding: 0, bitrate, limits });
            slot.request(SenderRequest::TargetRate { encoding: 1, bitrate, limits });
            slot.request(SenderRequest::KeyFrame { encoding: 0 });
        }
        assert_eq!(slot.requests.len(), 3);
        assert_eq!(slot.requests[0], SenderRequest::TargetRate { encoding: 0, bitrate: 99, limits });
    }

    #[test]
    fn numbers_that_are_left_out_are_told_with_the_next_packet_of_their_stream() {
        let mut slot = MediaSlot::default();
        for (stream, number) in [(1, 69), (1, 6), (1, 5), (2, 68), (1, 70), (1, 71)] {
            slot.add_omitted(StreamId(stream), number);
        }
        // The one right before it, the 64th before it, and not the one before that.
        assert_eq!(slot.take_omitted(StreamId(1), 70), 1 | 1 << 63);
        assert_eq!(slot.take_omitted(StreamId(1), 70), 0, "once");
        assert_eq!(slot.take_omitted(StreamId(1), 72), 0b11);
        assert_eq!(slot.take_omitted(StreamId(2), 70), 0b10);
        for number in 0..=64 {
            slot.add_omitted(StreamId(1), 100 + number);
        }
        // The oldest of one more than the limit is forgotten.
        assert_eq!((slot.omitted.len(), slot.take_omitted(StreamId(1), 165)), (64, u64::MAX));
        assert!(slot.omitted.is_empty());
    }
}
