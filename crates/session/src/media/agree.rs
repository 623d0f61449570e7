//! What two descriptions of one section agree upon.

use std::borrow::Cow;

use proto::Ssrc;
use rtp::extension::{ExtensionMap, Kind};
use rtp::payload::Outline;
use rtp::{Packet, PayloadType, Rid};
use sdp::{Attribute, Media, StreamDirection};

use super::codec::{Configuration, is_same};
use super::formats::format;
use super::section::{SectionCodec, codecs};
use super::{Codec, Feedback, MediaConfig, MediaKind};

/// A codec that was agreed upon, for one direction (W3C WebRTC 1.0 §5.2, `RTCRtpCodecParameters`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CodecParameters {
    /// Its payload type.
    pub payload_type: PayloadType,
    /// Its registered name, as we write it.
    pub name: Cow<'static, str>,
    /// Ticks of the RTP clock in a second.
    pub clock_rate: u32,
    /// Channels of audio; 1 of video.
    pub channels: u8,
    /// What the receiver has said of it.
    pub parameters: Box<str>,
    /// Feedback that both sides understand.
    pub feedback: Feedback,
    /// The payload type of its retransmissions.
    pub rtx: Option<PayloadType>,
}

impl CodecParameters {
    /// Whether `other` is the same configuration of the same codec, under whatever payload type: what is of the one can be
    /// sent as the other.
    pub fn is_same(&self, other: &Self) -> bool {
        is_same(self.configuration(), other.configuration())
    }

    /// What a packet of RTP shows without being decoded: key frames and layers. `None` if it is none of this codec.
    pub fn outline(&self, kind: MediaKind, packet: &[u8]) -> Option<Outline> {
        let ::media::Format::Media(codec) = format(self, kind)? else { return None };
        codec.outline(Packet::decode(packet).ok()?.payload())
    }

    fn configuration(&self) -> Configuration<'_> {
        Configuration::of(&self.name, self.clock_rate, self.channels, &self.parameters)
    }
}

impl CodecParameters {
    /// Those of a codec as it is spoken here.
    pub fn of(codec: &Codec) -> Self {
        Self {
            payload_type: codec.payload_type,
            name: codec.name.clone(),
            clock_rate: codec.clock_rate,
            channels: codec.channels,
            parameters: codec.parameters.as_ref().into(),
            feedback: codec.feedback,
            rtx: codec.rtx,
        }
    }
}

/// What was agreed upon for a transceiver.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Negotiated {
    /// What we may send, by the payload types of the peer's description; its order is the peer's preference.
    pub send: Vec<CodecParameters>,
    /// What may come, by the payload types of ours; empty where it is the same as what we may send.
    receive: Vec<CodecParameters>,
    /// Header extensions, the same both ways.
    pub extensions: ExtensionMap,
    /// Whether a packet may have elements in both forms (RFC 8285 §6).
    pub mixed_extensions: bool,
    /// Whether RTCP may be of reduced size (RFC 5506).
    pub reduced_size: bool,
    /// The names of streams that come by simulcast.
    pub receive_rids: Vec<Rid>,
    /// The SSRCs that the peer's description names, each with that of its retransmissions.
    pub remote_sources: Vec<(Ssrc, Option<Ssrc>)>,
}

impl Negotiated {
    /// What may come, by the payload types of our description.
    pub fn receive(&self) -> &[CodecParameters] {
        if self.receive.is_empty() { &self.send } else { &self.receive }
    }

    /// What packets with this payload type that come are of.
    pub fn codec(&self, payload_type: PayloadType) -> Option<&CodecParameters> {
        self.receive().iter().find(|codec| codec.payload_type == payload_type)
    }

    /// What parameters say; `None` where header extensions do not go together.
    pub(crate) fn of_parameters(section: &crate::SectionParameters) -> Option<Self> {
        let receive = if section.receive == section.send { Vec::new() } else { section.receive.clone() };
        Some(Self {
            send: section.send.clone(),
            receive,
            extensions: section.extension_map()?,
            mixed_extensions: false,
            reduced_size: section.reduced_size,
            receive_rids: section.receive_rids.clone(),
            remote_sources: section.remote_sources.clone(),
        })
    }

    /// What `local` and `remote`, of which one answers the other, agree upon. `max_sources` SSRCs are read at most.
    pub(crate) fn of(
        config: &MediaConfig,
        local: &Media<'_>,
        remote: &Media<'_>,
        max_sources: usize,
    ) -> Self {
        let (ours, theirs) = (codecs(local), codecs(remote));
        let (mut send, mut receive) = (Vec::new(), Vec::new());
        for codec in &theirs {
            let is_it = |it: &&SectionCodec<'_>| is_same(configuration(it), configuration(codec));
            // RFC 3264 §6.1: an answer should keep the numbers; one that does not is told by what they stand for.
            let same_number = ours.iter().filter(|it| it.payload_type == codec.payload_type).find(is_it);
            let Some(own) = same_number.or_else(|| ours.iter().find(is_it)) else { continue };
            let parameters = |it: &SectionCodec<'_>, other: &SectionCodec<'_>| CodecParameters {
                payload_type: it.payload_type,
                name: known_name(config, it.name),
                clock_rate: it.clock_rate,
                channels: it.channels,
                parameters: it.parameters.into(),
                feedback: it.feedback.and(other.feedback),
                rtx: it.rtx.filter(|_| other.rtx.is_some()),
            };
            send.push(parameters(codec, own));
            receive.push(parameters(own, codec));
        }
        if send == receive {
            receive.clear();
        }
        receive.shrink_to_fit();
        send.shrink_to_fit();
        let has_reduced_size =
            |media: &Media<'_>| media.attributes().any(|it| it == Attribute::RtcpReducedSize);
        Self {
            send,
            receive,
            extensions: extensions(config, local, remote),
            mixed_extensions: local.allows_mixed_extensions() && remote.allows_mixed_extensions(),
            reduced_size: has_reduced_size(local) && has_reduced_size(remote),
            receive_rids: common_rids(local, remote),
            remote_sources: sources(remote, max_sources),
        }
    }
}

fn configuration<'a>(codec: &SectionCodec<'a>) -> Configuration<'a> {
    Configuration::of(codec.name, codec.clock_rate, codec.channels, codec.parameters)
}

/// Ours where we have one, which costs no memory.
fn known_name(config: &MediaConfig, name: &str) -> Cow<'static, str> {
    let known = config.codecs.iter().find(|codec| codec.name.eq_ignore_ascii_case(name));
    known.map_or_else(|| name.to_owned().into(), |codec| codec.name.clone())
}

/// The kind of extension that a URI names, among those of the configuration.
pub(crate) fn kind_of(config: &MediaConfig, uri: &str) -> Option<Kind> {
    config.extensions.iter().map(|extension| extension.kind).find(|kind| kind.uri() == uri)
}

/// RFC 8285 §5 and §6: what both have under one identifier.
fn extensions(config: &MediaConfig, local: &Media<'_>, remote: &Media<'_>) -> ExtensionMap {
    let mut map = ExtensionMap::default();
    let theirs: Vec<_> = remote.extensions().take(MAX_LINES).collect();
    for ours in local.extensions().take(MAX_LINES) {
        let is_common = theirs.iter().any(|it| it.id == ours.id && it.uri == ours.uri);
        if let (true, Ok(id), Some(kind)) = (is_common, u8::try_from(ours.id), kind_of(config, ours.uri)) {
            // What is there twice counts once.
            let _ = map.set(id, kind);
        }
    }
    map
}

/// RFC 8853 §5.3: the streams that the peer sends, as far as our side has said that it receives them.
fn common_rids(local: &Media<'_>, remote: &Media<'_>) -> Vec<Rid> {
    let sent = simulcast(remote, StreamDirection::Send);
    let mut received = simulcast(local, StreamDirection::Recv);
    received.retain(|rid| sent.contains(rid));
    received
}

/// The streams of a section's simulcast in one way, of each the first choice.
pub(crate) fn simulcast(media: &Media<'_>, direction: StreamDirection) -> Vec<Rid> {
    let Some(simulcast) = media.simulcast() else { return Vec::new() };
    let first = simulcast.streams(direction).filter_map(|mut choice| choice.next());
    let mut rids: Vec<Rid> = Vec::new();
    for (name, _) in first.take(MAX_RIDS) {
        if let Some(rid) = Rid::new(name.as_bytes()).filter(|rid| !rids.contains(rid)) {
            rids.push(rid);
        }
    }
    rids
}

/// RFC 5576: the SSRCs of a section, each with that of its retransmissions, at most `limit`.
fn sources(media: &Media<'_>, limit: usize) -> Vec<(Ssrc, Option<Ssrc>)> {
    let mut found: Vec<(Ssrc, Option<Ssrc>)> = Vec::new();
    for attribute in media.attributes() {
        if let Attribute::SourceGroup(group) = attribute
            && group.semantics() == "FID"
        {
            let mut ssrcs = group.ssrcs().map(Ssrc);
            if let (Some(ssrc), Some(rtx)) = (ssrcs.next(), ssrcs.next())
                && found.len() < limit
            {
                found.push((ssrc, Some(rtx)));
            }
        }
    }
    for attribute in media.attributes() {
        if let Attribute::Source(source) = attribute
            && found.len() < limit
        {
            let ssrc = Ssrc(source.ssrc);
            if !found.iter().any(|(known, rtx)| *known == ssrc || *rtx == Some(ssrc)) {
                found.push((ssrc, None));
            }
        }
    }
    found.shrink_to_fit();
    found
}

/// A codec of an answer: the offer's numbers, our parameters (RFC 9429 §5.3.1, RFC 3264 §6.1).
#[derive(Debug)]
pub(crate) struct AnsweredCodec {
    pub payload_type: PayloadType,
    pub codec: Codec,
    pub parameters: String,
    pub feedback: Feedback,
    pub rtx: Option<PayloadType>,
}

/// What of `offered` is answered by whoever speaks `ours`: in the offer's order, or in that of preferences.
pub(crate) fn answer(
    ours: &[&Codec],
    offered: &[SectionCodec<'_>],
    has_preferences: bool,
) -> Vec<AnsweredCodec> {
    let of = |theirs: &SectionCodec<'_>| {
        let own = ours.iter().find(|codec| codec.fits(theirs))?;
        Some(AnsweredCodec {
            payload_type: theirs.payload_type,
            codec: (*own).clone(),
            parameters: own.answer_parameters(theirs),
            feedback: own.feedback.and(theirs.feedback),
            rtx: theirs.rtx.filter(|_| own.rtx.is_some()),
        })
    };
    let mut answered: Vec<AnsweredCodec> = offered.iter().filter_map(of).collect();
    if has_preferences {
        // The sort is stable: what is equally preferred keeps the offer's order.
        answered.sort_by_key(|codec| ours.iter().position(|own| **own == codec.codec));
    }
    answered
}

/// Lines of one kind that are looked at in a section; more than there can be of use.
const MAX_LINES: usize = 300;
/// Streams of one source that are told apart.
const MAX_RIDS: usize = 16;
