//! Frames and feedback: a sender and a receiver for each transceiver, and RTCP for all of them.

use std::sync::Arc;
use std::time::Duration;

use ::media::{
    Claim, Claimant, ControlConfig, DelayLimits, EncodingConfig, Numbering, Output, Receiver, ReceiverConfig,
    ReceiverId, Rtp, RtpConfig, SenderConfig, SenderId, TransportFeedback,
};
use proto::{Instant, Ssrc, sooner};
use rtp::extension::Kind;
use rtp::{Mid, PayloadType};

use super::encoding::Told;
use super::formats::{format, repair, sendable};
use super::tones::tone_format;
use super::transceiver::Transceiver;
use super::transforms::Shared;
use super::{Encoding, Feedback, FrameConfig, MediaKind, Negotiated, TransceiverId, parameter_sets};
use crate::transports::TransportId;
use crate::{Event, OmittedPacket, RecoveredPacket};

/// The machines of a transport's media.
#[derive(Debug)]
pub(crate) struct Engine {
    pub rtp: Rtp,
    config: Arc<FrameConfig>,
    lines: Vec<Line>,
    /// When something is to be sent, and when a frame is to come out, as of the last change.
    sends: Option<Instant>,
    frames: Option<Instant>,
    /// The longest packets that are made here, and those that the path carries, before protection.
    max_packet: usize,
    max_forwarded: usize,
}

/// What belongs to one transceiver.
#[derive(Debug)]
pub(crate) struct Line {
    pub id: TransceiverId,
    kind: MediaKind,
    pub negotiated: Arc<Negotiated>,
    receiver: Option<ReceiverId>,
    sender: Option<SenderId>,
    kept: Kept,
    encodings: Vec<Encoding>,
    /// What encoders were told, stream by stream.
    told_rates: Vec<Told>,
    /// What the frames that come go through.
    transform: Option<Shared>,
    /// For how many milliseconds what comes is held back at least.
    held: Option<u16>,
    /// A frame can be had, which is to be told.
    is_ready: bool,
    /// Since when that is told, or frames are fetched.
    told: Option<Instant>,
    /// When to look whether there is one.
    due: Option<Instant>,
}

/// What outlives the machines of a transceiver: they are made anew when it sends or receives again, and when another transport
/// carries it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    output: Output,
    /// What is sent, among those that were agreed upon.
    payload_type: Option<PayloadType>,
    /// How many receivers and senders there have been.
    made: [u32; 2],
    /// How far the numbers of sources have come that were sent with.
    numbers: Vec<(Ssrc, Numbering)>,
}

impl Engine {
    pub(crate) fn new(config: Arc<FrameConfig>, rtp: RtpConfig, seed: [u8; 32]) -> Self {
        let mut rtp = rtp;
        let mut control = ControlConfig::default();
        control.bandwidth = config.bandwidth;
        rtp.control = Some(control);
        Self {
            rtp: Rtp::new(rtp, seed),
            config,
            lines: Vec::new(),
            sends: None,
            frames: None,
            max_packet: DEFAULT_PACKET,
            max_forwarded: DEFAULT_PACKET,
        }
    }

    /// Gives up what `transport` carries no more; what is to be kept of it waits with its transceiver.
    pub(crate) fn release(&mut self, transceivers: &mut [Transceiver], transport: Option<TransportId>) {
        let is_own = |it: &Transceiver| !it.is_stopping && Some(it.association.transport) == transport;
        let is_there = |id: TransceiverId| transceivers.iter().any(|it| it.id == id && is_own(it));
        let gone: Vec<Line> = self.lines.extract_if(.., |line| !is_there(line.id)).collect();
        for mut line in gone {
            line.receiver.into_iter().for_each(|id| self.rtp.remove_receiver(id));
            line.end_sender(&mut self.rtp);
            if let Some(transceiver) = transceivers.iter_mut().find(|it| it.id == line.id) {
                transceiver.kept = Some(Box::new(line.kept));
            }
        }
    }

    /// Follows what was agreed upon for this transport, after all have [released](Self::release) what they carry no more.
    pub(crate) fn follow(&mut self, now: Instant, transceivers: &mut [Transceiver], transport: TransportId) {
        let own = |it: &&mut Transceiver| !it.is_stopping && it.association.transport == transport;
        for transceiver in transceivers.iter_mut().filter(own) {
            let Some(negotiated) = transceiver.association.negotiated.clone() else { continue };
            let negotiated = &negotiated;
            let at = self.line(transceiver, negotiated);
            self.follow_receiver(at, transceiver, negotiated);
            self.follow_sender(at, transceiver, negotiated);
            if let Some(line) = self.lines.get_mut(at) {
                line.negotiated = negotiated.clone();
            }
        }
        self.follow_feedback();
        self.refresh(now);
    }

    /// Packets of the first size are made from now on, and the path carries those of the second, before protection.
    pub(crate) fn set_max_packet(&mut self, own: usize, forwarded: usize) {
        if (self.max_packet, self.max_forwarded) == (own, forwarded) {
            return;
        }
        (self.max_packet, self.max_forwarded) = (own, forwarded);
        for sender in self.lines.iter().filter_map(|line| line.sender) {
            if let Some(sender) = self.rtp.sender(sender) {
                sender.set_max_packet(own);
                sender.set_max_forwarded(forwarded);
            }
        }
    }

    /// What belongs to each transceiver.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What receives for a transceiver, if anything does.
    pub(crate) fn receiver(&self, id: TransceiverId) -> Option<ReceiverId> {
        self.lines.get(self.place(id)?)?.receiver
    }

    /// What sends for a transceiver, if anything does.
    pub(crate) fn sender(&self, id: TransceiverId) -> Option<SenderId> {
        self.lines.get(self.place(id)?)?.sender
    }

    fn place(&self, id: TransceiverId) -> Option<usize> {
        TransceiverId::place(&self.lines, id, |line| line.id)
    }

    /// What an encoder is told of its rate.
    pub(crate) fn tell_rate(&mut self, id: SenderId, encoding: usize, bitrate: u64) -> Option<Event> {
        let line = self.lines.iter_mut().find(|line| line.sender == Some(id))?;
        let limits = line.encodings.get(encoding)?.wanted.limits();
        *line.told_rates.get_mut(encoding)? = Told { bitrate: Some(bitrate), lacks_limits: false };
        Some(Event::TargetRate { transceiver: line.id, encoding, bitrate, limits })
    }

    /// An encoder that knows its rate, and not what else was changed since.
    pub(crate) fn poll_limited(&mut self) -> Option<Event> {
        self.lines.iter_mut().find_map(|line| {
            let mut streams = line.told_rates.iter_mut().zip(&line.encodings).enumerate();
            streams.find_map(|(encoding, (told, wanted))| {
                let bitrate = told.bitrate.filter(|_| told.lacks_limits)?;
                told.lacks_limits = false;
                let limits = wanted.wanted.limits();
                Some(Event::TargetRate { transceiver: line.id, encoding, bitrate, limits })
            })
        })
    }

    /// Whose a receiver is.
    pub(crate) fn of_receiver(&self, id: ReceiverId) -> Option<TransceiverId> {
        self.lines.iter().find(|line| line.receiver == Some(id)).map(|line| line.id)
    }

    /// Whose a sender is.
    pub(crate) fn of_sender(&self, id: SenderId) -> Option<TransceiverId> {
        self.lines.iter().find(|line| line.sender == Some(id)).map(|line| line.id)
    }

    /// Frames of this transceiver come out as frames or as packets from now on.
    pub(crate) fn set_output(&mut self, now: Instant, id: TransceiverId, output: Output) -> bool {
        let Some(line) = self.lines.iter_mut().find(|line| line.id == id) else { return false };
        if line.kept.output != output {
            line.kept.output = output;
            (line.told, line.is_ready) = (None, false);
            if let Some(old) = line.receiver {
                let config = receiver_config(
                    &self.config,
                    &line.negotiated,
                    line.kind,
                    line.mid(&self.rtp, old),
                    (output, line.held),
                );
                self.rtp.remove_receiver(old);
                let line_receiver = self.rtp.add_receiver(config);
                if let Some(receiver) = line_receiver.and_then(|id| self.rtp.receiver(id)) {
                    announce(receiver, &line.negotiated);
                    receiver.set_transform(line.transform.as_ref().map(Shared::boxed));
                }
                line.receiver = line_receiver;
                line.kept.made[0] = line.kept.made[0].wrapping_add(1);
            }
        }
        self.refresh(now);
        true
    }

    /// What the frames of this transceiver go through that come from now on.
    pub(crate) fn set_receive_transform(&mut self, id: TransceiverId, transform: Option<Shared>) {
        let Some(line) = self.lines.iter_mut().find(|line| line.id == id) else { return };
        if let Some(receiver) = line.receiver.and_then(|id| self.rtp.receiver(id)) {
            receiver.set_transform(transform.as_ref().map(Shared::boxed));
        }
        line.transform = transform;
    }

    /// For how many milliseconds what comes of this transceiver is held back at least.
    pub(crate) fn set_held(&mut self, now: Instant, id: TransceiverId, held: Option<u16>) {
        let Some(line) = self.lines.iter_mut().find(|line| line.id == id) else { return };
        line.held = held;
        if let Some(receiver) = line.receiver.and_then(|id| self.rtp.receiver(id)) {
            receiver.set_delay(delay_limits(held));
        }
        self.refresh(now);
    }

    /// Sends frames of this payload type from now on, which was agreed upon. Gives whether it was.
    pub(crate) fn set_codec(&mut self, id: TransceiverId, payload_type: PayloadType) -> bool {
        let Some(line) = self.lines.iter_mut().find(|line| line.id == id) else { return false };
        let Some((codec, format)) = sendable(&line.negotiated, line.kind, Some(payload_type)) else {
            return false;
        };
        line.kept.payload_type = Some(payload_type);
        if let Some(sender) = line.sender.and_then(|id| self.rtp.sender(id)) {
            sender.set_codec(codec.payload_type, format, codec.rtx);
            let (fec, red) = repair(&line.negotiated, codec);
            sender.set_repair(fec, red);
            sender.set_tones(tone_format(&line.negotiated, format.clock_rate()));
        }
        true
    }

    /// When something is to be sent.
    pub(crate) const fn sends(&self) -> Option<Instant> {
        self.sends
    }

    /// When something is due; frames that it was told of are not counted, but for those that nobody fetches. Without a path
    /// what is to be sent waits, for however long.
    pub(crate) fn due(&self, has_path: bool) -> Option<Instant> {
        sooner(self.sends.filter(|_| has_path), self.frames)
    }

    /// To be called after every change.
    pub(crate) fn refresh(&mut self, now: Instant) {
        self.lines.iter_mut().for_each(|line| line.look(now, &mut self.rtp));
        self.refresh_sends();
    }

    /// The same after what changes one transceiver's receiver alone.
    pub(crate) fn refresh_receiver(&mut self, now: Instant, id: TransceiverId) {
        if let Some(at) = self.place(id)
            && let Some(line) = self.lines.get_mut(at)
        {
            line.look(now, &mut self.rtp);
        }
        self.refresh_sends();
    }

    /// The same after what changes no receiver.
    pub(crate) fn refresh_sends(&mut self) {
        self.frames = self.lines.iter().filter_map(|line| line.due).min();
        self.sends = self.rtp.poll_due();
    }

    /// Something waits that may be sent: whoever sends or advances next finds out when.
    pub(crate) fn look_at(&mut self, now: Instant) {
        self.sends = sooner(self.sends, Some(now));
    }

    /// Advances to `now`; frames that nobody has fetched for a while are given up.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.rtp.handle_timeout(now);
        for line in &mut self.lines {
            let Some(receiver) = line.receiver else { continue };
            if line.told.is_some_and(|told| told + UNREAD <= now) {
                if let Some(receiver) = self.rtp.receiver(receiver) {
                    receiver.drop_frames(now);
                }
                line.told = None;
            }
        }
        self.refresh(now);
    }

    /// The next transceiver that has a frame, of which nobody was told.
    pub(crate) fn poll_ready(&mut self, now: Instant) -> Option<TransceiverId> {
        let line = self.lines.iter_mut().find(|line| line.is_ready)?;
        line.is_ready = false;
        line.told = Some(now);
        let id = line.id;
        self.refresh(now);
        Some(id)
    }

    /// The next frame of a transceiver. Where there is none it will be told of the next.
    pub(crate) fn poll_frame(&mut self, now: Instant, id: TransceiverId) -> Option<::media::Frame<'_>> {
        let line = self.lines.iter_mut().find(|line| line.id == id)?;
        let receiver = line.receiver?;
        let has_frame = self.rtp.receiver(receiver)?.has_frame(now);
        // Whoever fetches needs not be told before there is nothing more.
        line.is_ready = false;
        line.told = has_frame.then_some(now);
        self.refresh(now);
        self.rtp.receiver(receiver).filter(|_| has_frame)?.poll_frame(now)
    }

    /// Whether there is anything for those who forward a transceiver beside the packets that come.
    pub(crate) fn has_asides_of(&self, id: TransceiverId) -> bool {
        let line = self.place(id).and_then(|at| self.lines.get(at));
        line.is_some_and(|line| line.with_asides(&self.rtp).is_some())
    }

    /// The same of all.
    pub(crate) fn has_asides(&self) -> bool {
        self.lines.iter().any(|line| line.with_asides(&self.rtp).is_some())
    }

    /// A number that is to be left out where it is forwarded.
    pub(crate) fn poll_omitted(&mut self) -> Option<OmittedPacket> {
        let Self { rtp, lines, .. } = self;
        lines.iter().find_map(|line| {
            let (stream, number) = rtp.receiver(line.with_asides(rtp)?)?.poll_omitted()?;
            Some(OmittedPacket { transceiver: line.id, stream, number })
        })
    }

    /// A packet that was recovered, and whose it is.
    pub(crate) fn poll_recovered(&mut self) -> Option<RecoveredPacket> {
        let Self { rtp, lines, .. } = self;
        lines.iter().find_map(|line| {
            let (stream, number, bytes) = rtp.receiver(line.with_asides(rtp)?)?.poll_recovered()?;
            Some(RecoveredPacket { transceiver: line.id, stream, number, bytes })
        })
    }

    fn line(&mut self, transceiver: &mut Transceiver, negotiated: &Arc<Negotiated>) -> usize {
        if let Some(at) = self.place(transceiver.id) {
            return at;
        }
        let fresh =
            || Kept { output: self.config.output, payload_type: None, made: [0; 2], numbers: Vec::new() };
        let kept = transceiver.kept.take().map_or_else(fresh, |kept| *kept);
        // Descriptions add them one by one, and not often.
        self.lines.reserve_exact(1);
        self.lines.push(Line {
            id: transceiver.id,
            kind: transceiver.kind,
            negotiated: negotiated.clone(),
            receiver: None,
            sender: None,
            kept,
            encodings: Vec::new(),
            told_rates: Vec::new(),
            transform: transceiver.extras().and_then(|extras| extras.receive.clone()),
            held: transceiver.extras().and_then(|extras| extras.held),
            is_ready: false,
            told: None,
            due: None,
        });
        self.lines.len().saturating_sub(1)
    }

    fn follow_receiver(&mut self, at: usize, transceiver: &Transceiver, negotiated: &Arc<Negotiated>) {
        let Some(line) = self.lines.get_mut(at) else { return };
        let receives = transceiver.association.current.is_some_and(sdp::Direction::receives);
        if !receives {
            (line.told, line.is_ready) = (None, false);
            line.receiver.take().into_iter().for_each(|id| self.rtp.remove_receiver(id));
            return;
        }
        let is_same_media = line.negotiated.receive() == negotiated.receive();
        let mid = mid_of(transceiver);
        if let Some(id) = line.receiver.filter(|_| is_same_media) {
            if let Some(receiver) = self.rtp.receiver(id) {
                let formats = receiver.config().formats.clone();
                receiver.set_formats(formats, negotiated.extensions.clone());
                announce(receiver, negotiated);
            }
            return;
        }
        line.receiver.take().into_iter().for_each(|id| self.rtp.remove_receiver(id));
        let config = receiver_config(&self.config, negotiated, line.kind, mid, (line.kept.output, line.held));
        line.receiver = self.rtp.add_receiver(config);
        line.kept.made[0] = line.kept.made[0].wrapping_add(1);
        if let Some(receiver) = line.receiver.and_then(|id| self.rtp.receiver(id)) {
            announce(receiver, negotiated);
            receiver.set_transform(line.transform.as_ref().map(Shared::boxed));
        }
    }

    fn follow_sender(&mut self, at: usize, transceiver: &Transceiver, negotiated: &Arc<Negotiated>) {
        let Some(line) = self.lines.get_mut(at) else { return };
        let sends = transceiver.association.current.is_some_and(sdp::Direction::sends);
        let wanted = sendable(negotiated, line.kind, line.kept.payload_type);
        let Some((codec, format)) = wanted.filter(|_| sends) else {
            line.end_sender(&mut self.rtp);
            return;
        };
        let encodings = &transceiver.association.encodings;
        let sources = |encodings: &[Encoding]| -> Vec<_> {
            encodings.iter().map(|it| (it.ssrc, it.rtx, it.wanted.rid)).collect()
        };
        let is_same = sources(encodings) == sources(&line.encodings);
        if !is_same {
            line.told_rates.clear();
            line.end_sender(&mut self.rtp);
        }
        for ((told, old), new) in line.told_rates.iter_mut().zip(&line.encodings).zip(encodings) {
            told.lacks_limits |= old.wanted.limits() != new.wanted.limits();
        }
        line.encodings = encodings.clone();
        let mid = mid_of(transceiver);
        match line.sender.and_then(|id| self.rtp.sender(id)) {
            Some(sender) => {
                sender.set_codec(codec.payload_type, format, codec.rtx);
                let (fec, red) = repair(negotiated, codec);
                sender.set_repair(fec, red);
                sender.set_extensions(mid, negotiated.extensions.clone());
            }
            None => {
                let mut config = SenderConfig::default();
                config.mid = mid;
                config.extensions = negotiated.extensions.clone();
                (config.payload_type, config.codec, config.rtx) = (codec.payload_type, format, codec.rtx);
                config.nack = codec.feedback.contains(Feedback::NACK);
                (config.fec, config.red) = repair(negotiated, codec);
                config.encodings = encodings.iter().map(|it| encoding_config(it, &line.kept)).collect();
                (config.max_packet, config.max_forwarded) = (self.max_packet, self.max_forwarded);
                config.history = self.config.history;
                config.circuit_breaker = self.config.circuit_breaker;
                config.max_tones = self.config.max_tones;
                line.sender = self.rtp.add_sender(config);
                line.kept.made[1] = line.kept.made[1].wrapping_add(1);
                if let Some(sender) = line.sender.and_then(|id| self.rtp.sender(id)) {
                    sender.set_transform(
                        transceiver.extras().and_then(|it| it.send.as_ref()).map(Shared::boxed),
                    );
                }
            }
        }
        line.told_rates.reserve_exact(encodings.len().saturating_sub(line.told_rates.len()));
        line.told_rates.resize(encodings.len(), Told::default());
        let (Some(id), kind) = (line.sender, line.kind) else { return };
        if let Some(sender) = self.rtp.sender(id) {
            let urgencies = encodings.iter().map(|encoding| encoding.wanted.network_priority.urgency());
            sender.set_urgency(urgencies.max().unwrap_or(0));
        }
        if let Some(sender) = self.rtp.sender(id).filter(|_| kind == MediaKind::Audio) {
            sender.set_tones(tone_format(negotiated, format.clock_rate()));
        }
        for (number, encoding) in encodings.iter().enumerate() {
            let is_active = !encoding.wanted.is_paused;
            let claim = is_active.then(|| claim(kind, encoding, number));
            self.rtp.set_claim(Claimant::Stream(id, number), claim);
            if let Some(sender) = self.rtp.sender(id) {
                sender.set_active(number, is_active);
            }
        }
    }

    /// What peers are told of the path is the same for all sections of a transport.
    fn follow_feedback(&mut self) {
        let lines = || self.lines.iter().map(|line| &line.negotiated);
        let reduced = lines().all(|negotiated| negotiated.reduced_size) && !self.lines.is_empty();
        let has = |wanted: Feedback| {
            lines().any(|negotiated| negotiated.receive().iter().any(|codec| codec.feedback.contains(wanted)))
        };
        let is_numbered =
            lines().any(|negotiated| negotiated.extensions.id(Kind::TransportSequence).is_some());
        let is_timed = lines().any(|negotiated| negotiated.extensions.id(Kind::AbsSendTime).is_some());
        let feedback = if has(Feedback::ACK_CCFB) {
            TransportFeedback::Streams
        } else if has(Feedback::TRANSPORT_CC) && is_numbered {
            TransportFeedback::TransportWide
        } else if has(Feedback::GOOG_REMB) && is_timed {
            TransportFeedback::Remb
        } else {
            TransportFeedback::None
        };
        self.rtp.set_feedback(reduced, feedback);
    }
}

impl Line {
    /// What receives, if there is anything beside packets for those who forward it.
    fn with_asides(&self, rtp: &Rtp) -> Option<ReceiverId> {
        self.receiver.filter(|id| rtp.peek_receiver(*id).is_some_and(Receiver::has_asides))
    }

    /// Looks whether there is a frame, or when there may be one.
    fn look(&mut self, now: Instant, rtp: &mut Rtp) {
        self.due = None;
        let Some(id) = self.receiver.filter(|_| !self.is_ready) else { return };
        let frame_due = |rtp: &Rtp| rtp.peek_receiver(id)?.frame_due();
        self.due = self.told.map_or_else(|| frame_due(rtp), |told| Some(told + UNREAD));
        if self.told.is_none() && self.due.is_some_and(|due| due <= now) {
            // What is looked at may show that a key frame is wanted: that comes before the question what is to be sent.
            self.is_ready = rtp.receiver(id).is_some_and(|receiver| receiver.has_frame(now));
            self.due = frame_due(rtp).filter(|_| !self.is_ready);
        }
    }

    /// What receives, and which of those that there have been it is.
    pub(crate) fn receiver<'e>(&self, engine: &'e Engine) -> Option<(u32, &'e ::media::Receiver)> {
        let [made, _] = self.kept.made;
        Some((made, engine.rtp.peek_receiver(self.receiver?)?))
    }

    /// The same of what sends.
    pub(crate) fn sender<'e>(&self, engine: &'e Engine) -> Option<(u32, SenderId, &'e ::media::Sender)> {
        let ([_, made], id) = (self.kept.made, self.sender?);
        Some((made, id, engine.rtp.peek_sender(id)?))
    }

    /// Nothing is sent any more. What is sent later with the same sources goes on behind it: SRTP takes no number twice.
    fn end_sender(&mut self, rtp: &mut Rtp) {
        let Some(id) = self.sender.take() else { return };
        for (number, encoding) in self.encodings.iter().enumerate() {
            let Some(left) = rtp.peek_sender(id).and_then(|sender| sender.numbering(number)) else { break };
            let numbers = &mut self.kept.numbers;
            numbers.retain(|(ssrc, _)| *ssrc != encoding.ssrc);
            if numbers.len() >= MAX_NUMBERS {
                numbers.remove(0);
            }
            numbers.push((encoding.ssrc, left));
        }
        rtp.remove_sender(id);
    }

    fn mid(&self, rtp: &Rtp, receiver: ReceiverId) -> Option<Mid> {
        rtp.receiver_config(receiver).and_then(|config| config.mid)
    }
}

fn mid_of(transceiver: &Transceiver) -> Option<Mid> {
    transceiver.association.mid.as_deref().and_then(|mid| Mid::new(mid.as_bytes()))
}

fn announce(receiver: &mut ::media::Receiver, negotiated: &Negotiated) {
    receiver.forget_unnamed(|ssrc| negotiated.remote_sources.iter().any(|(named, _)| *named == ssrc));
    for (ssrc, rtx) in &negotiated.remote_sources {
        // Of more than the limit packets have to tell.
        let _ = receiver.announce(*ssrc, *rtx, None);
    }
}

fn encoding_config(encoding: &Encoding, kept: &Kept) -> EncodingConfig {
    let mut config = EncodingConfig::default();
    config.rid = encoding.wanted.rid;
    config.ssrc = Some(encoding.ssrc);
    config.rtx_ssrc = Some(encoding.rtx);
    let left = kept.numbers.iter().find(|(ssrc, _)| *ssrc == encoding.ssrc);
    config.numbering = left.map(|(_, left)| *left);
    config
}

fn receiver_config(
    frames: &FrameConfig,
    negotiated: &Negotiated,
    kind: MediaKind,
    mid: Option<Mid>,
    (output, held): (Output, Option<u16>),
) -> ReceiverConfig {
    let mut config = ReceiverConfig::default();
    config.mid = mid;
    config.extensions = negotiated.extensions.clone();
    let codecs = negotiated.receive();
    for codec in codecs {
        let Some(format) = format(codec, kind) else { continue };
        config.formats.push((codec.payload_type, format));
        if let Some(rtx) = codec.rtx {
            config.formats.push((rtx, ::media::Format::Rtx { of: codec.payload_type }));
        }
    }
    config.formats.shrink_to_fit();
    config.parameter_sets = parameter_sets::of(codecs, &negotiated.send);
    let has = |wanted: Feedback| codecs.iter().any(|codec| codec.feedback.contains(wanted));
    config.output = output;
    (config.nack, config.pli, config.fir) =
        (has(Feedback::NACK), has(Feedback::NACK_PLI), has(Feedback::CCM_FIR));
    config.buffer = frames.buffer;
    config.delay = delay_limits(held);
    config
}

fn delay_limits(held: Option<u16>) -> DelayLimits {
    DelayLimits::at_least(Duration::from_millis(held.unwrap_or_default().into()))
}

/// What a stream can use of the bandwidth.
fn claim(kind: MediaKind, encoding: &Encoding, number: usize) -> Claim {
    let limit = encoding.wanted.max_bitrate;
    let weight = encoding.wanted.priority.weight();
    match kind {
        MediaKind::Audio => {
            let max = limit.unwrap_or(128_000);
            let priority = 4 * weight;
            Claim { min: 12_000.min(max), desired: 48_000.min(max), max, priority, required: true }
        }
        MediaKind::Video => {
            // RFC 8853's order is the program's; the first layers are the ones that must not go black.
            let max = limit.unwrap_or(5_000_000);
            let priority = if number == 0 { 2 * weight } else { weight };
            Claim { min: 60_000.min(max), desired: 1_500_000.min(max), max, priority, required: number == 0 }
        }
    }
}

/// What a path of 1,280 bytes carries, before protection.
const DEFAULT_PACKET: usize = 1170;
/// For so long a frame waits for whoever was told of it.
const UNREAD: Duration = Duration::from_secs(1);
/// Sources of a transceiver whose numbers are remembered: as many as it sends with at a time.
const MAX_NUMBERS: usize = 16;
