use std::collections::VecDeque;
use std::sync::Arc;

use session::{EncoderLimits, Negotiated, Output, PayloadType};

use super::{RtpPacket, SenderRequest, ToneChange};
use crate::channel::Waiting;
use crate::forwarding::{Audience, Feed};

/// What the facade keeps for a transceiver beside the session's own state.
#[derive(Debug, Default)]
pub(crate) struct MediaSlot {
    pub readers: Waiting,
    pub requesters: Waiting,
    pub listeners: Waiting,
    pub(super) tone: Option<ToneChange>,
    pub packets: VecDeque<RtpPacket>,
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
}
