//! Offers and answers, written (RFC 9429 §5.2 and §5.3).

use std::fmt::Write as _;

use rtp::PayloadType;
use sdp::{
    Attribute, Builder, Direction, ExtMap, Fingerprint, Fmtp, Media, MediaLine, Msid, Rid, RtcpFeedback,
    RtpMap, SessionDescription, Source, StreamDirection,
};

use super::numbers::{Numbers, is_usable};
use super::{LocalEnd, LocalParameters, Negotiation, Plan, RejectedLine, Section, SectionKind, without_name};
use crate::NegotiationError;
use crate::media::agree::{answer, kind_of, simulcast};
use crate::media::section::codecs;
use crate::media::transceiver::Transceiver;
use crate::media::{Feedback, MediaConfig, MediaKind};

/// A codec as it is written.
struct Row<'a> {
    payload_type: PayloadType,
    name: &'a str,
    clock_rate: u32,
    channels: u8,
    parameters: &'a str,
    feedback: Feedback,
    rtx: Option<PayloadType>,
}

/// What differs between the section of an offer and that of an answer.
struct MediaSection<'a> {
    codecs: Vec<Row<'a>>,
    extensions: Vec<(u16, Option<Direction>, &'a str)>,
    direction: Direction,
    send_rids: Vec<rtp::Rid>,
    receive_rids: Vec<rtp::Rid>,
    reduced_size: bool,
    is_offer: bool,
}

impl Negotiation {
    /// An offer of these sections.
    pub(super) fn describe_offer(
        &self,
        plan: &Plan,
        parameters: &LocalParameters<'_>,
    ) -> Result<SessionDescription, NegotiationError> {
        let mut builder = Builder::new(self.session_id, self.version + 1);
        let Plan { sections: plan, policy } = plan;
        for group in self.groups_of(plan, *policy) {
            builder.bundle(group.into_iter().filter_map(|index| plan.get(index)?.mid.as_deref()));
        }
        self.describe_session(&mut builder, parameters, true);
        if (0..plan.len()).any(|index| self.transceiver_at(plan, index).is_some()) {
            builder.attribute(Attribute::ExtMapAllowMixed);
        }
        let mut numbers = Numbers::default();
        for (_, description) in [self.local.latest(), self.remote.latest()].into_iter().flatten() {
            numbers.read(description);
        }
        for (index, section) in plan.iter().enumerate() {
            let was_agreed = self.was_agreed(index, section);
            // RFC 9143 §7.2.1: what has no transport of its own yet is for those who bundle.
            let bundle_only = !section.is_tag && !was_agreed;
            match &section.kind {
                SectionKind::Data => {
                    builder.media(MediaLine {
                        kind: "application",
                        port: if bundle_only { 0 } else { 9 },
                        protocol: "UDP/DTLS/SCTP",
                        formats: DATA_FORMAT,
                    });
                    section.mid.as_deref().map(|mid| builder.attribute(Attribute::Mid(mid)));
                    if bundle_only {
                        builder.attribute(Attribute::BundleOnly);
                    }
                    let end = parameters.end_of(section)?;
                    describe_transport(&mut builder, parameters, end)?;
                    describe_data(&mut builder, parameters);
                    describe_candidates(&mut builder, end, section.is_tag);
                }
                SectionKind::Rejected(line) => {
                    let RejectedLine { kind, protocol, formats } = &**line;
                    builder.media(MediaLine { kind, port: 0, protocol, formats });
                    section.mid.as_deref().map(|mid| builder.attribute(Attribute::Mid(mid)));
                }
                SectionKind::Media(_) | SectionKind::Refused(_) => match self.transceiver_at(plan, index) {
                    Some(transceiver) => {
                        let current = self.local.current();
                        let own = current.filter(|_| was_agreed).and_then(|(_, it)| it.media().nth(index));
                        let content = offered_section(parameters.media, transceiver, own, &mut numbers);
                        let line = Line {
                            port: if bundle_only { 0 } else { 9 },
                            protocol: "UDP/TLS/RTP/SAVPF",
                            mid: section.mid.as_deref(),
                            end: parameters.end_of(section)?,
                        };
                        self.describe_media(&mut builder, parameters, transceiver, &content, line)?;
                        describe_candidates(&mut builder, line.end, section.is_tag);
                    }
                    None => {
                        let kind = self.kind_of_section(section);
                        let line = MediaLine { kind, port: 0, protocol: "UDP/TLS/RTP/SAVPF", formats: "0" };
                        builder.media(line);
                        section.mid.as_deref().map(|mid| builder.attribute(Attribute::Mid(mid)));
                    }
                },
            }
        }
        Ok(builder.build()?)
    }

    /// The answer to `offer`.
    pub(super) fn describe_answer(
        &self,
        offer: &SessionDescription,
        parameters: &LocalParameters<'_>,
    ) -> Result<SessionDescription, NegotiationError> {
        let mut builder = Builder::new(self.session_id, self.version + 1);
        let sections = self.answered_sections(offer, parameters.media);
        let live: Vec<usize> =
            (0..sections.len()).filter(|index| self.is_live(sections.get(*index))).collect();
        // RFC 9429 §5.3.1: an answer bundles what the offer does, as far as it is accepted.
        let accepted: std::collections::BTreeSet<&str> =
            live.iter().filter_map(|index| sections.get(*index)?.mid.as_deref()).collect();
        for group in offer.bundle_groups() {
            builder.bundle(group.filter(|mid| accepted.contains(mid)));
        }
        // An answer says `trickle` if the offer does.
        let trickles = offer.media().any(|media| media.has_ice_option("trickle"));
        self.describe_session(&mut builder, parameters, trickles);
        let allows_mixed = |index: &usize| {
            self.transceiver_at(&sections, *index).is_some()
                && offer.media().nth(*index).is_some_and(|media| media.allows_mixed_extensions())
        };
        if live.iter().any(allows_mixed) {
            builder.attribute(Attribute::ExtMapAllowMixed);
        }
        for (index, (section, offered)) in sections.iter().zip(offer.media()).enumerate() {
            match &section.kind {
                SectionKind::Data => {
                    // RFC 9429 §5.1.3: an answer repeats the profile that was offered.
                    let formats = offered.formats().collect::<Vec<_>>().join(" ");
                    builder.media(MediaLine {
                        kind: "application",
                        port: 9,
                        protocol: offered.protocol(),
                        formats: &formats,
                    });
                    // RFC 9429 §5.3.1: an answer names a section if the offer does.
                    offered.mid().map(|mid| builder.attribute(Attribute::Mid(mid)));
                    let end = parameters.end_of(section)?;
                    describe_transport(&mut builder, parameters, end)?;
                    describe_data(&mut builder, parameters);
                    describe_candidates(&mut builder, end, section.is_tag);
                }
                SectionKind::Media(_) if self.is_live(Some(section)) => {
                    let Some(transceiver) = self.transceiver_at(&sections, index) else { continue };
                    let found = answered_codecs(parameters.media, transceiver, &offered);
                    let content = answered_section(parameters.media, transceiver, &offered, &found);
                    let end = parameters.end_of(section)?;
                    let line = Line { port: 9, protocol: offered.protocol(), mid: offered.mid(), end };
                    self.describe_media(&mut builder, parameters, transceiver, &content, line)?;
                    describe_candidates(&mut builder, end, section.is_tag);
                }
                SectionKind::Media(_) | SectionKind::Refused(_) | SectionKind::Rejected(_) => {
                    let formats = offered.formats().collect::<Vec<_>>().join(" ");
                    builder.media(MediaLine {
                        kind: offered.kind_text(),
                        port: 0,
                        protocol: offered.protocol(),
                        formats: &formats,
                    });
                    offered.mid().map(|mid| builder.attribute(Attribute::Mid(mid)));
                }
            }
        }
        Ok(builder.build()?)
    }

    /// The sections of an answer made now: what nothing is left of that both speak is refused (RFC 9429 §5.3.1).
    fn answered_sections(&self, offer: &SessionDescription, config: &MediaConfig) -> Vec<Section> {
        let mut sections = self.sections.clone();
        for (section, offered) in sections.iter_mut().zip(offer.media()) {
            let SectionKind::Media(id) = section.kind else { continue };
            let speaks = |it: &Transceiver| !answered_codecs(config, it, &offered).is_empty();
            if !self.transceiver(id).is_some_and(speaks) {
                section.kind = SectionKind::Refused(id);
            }
        }
        self.pass_tags_on(&mut sections);
        sections
    }

    /// RFC 9429 §5.2.1 and §5.3.1: at session level, since it is true of all sections. `ice2` as RFC 8445 §10 asks.
    fn describe_session(&self, builder: &mut Builder, parameters: &LocalParameters<'_>, trickles: bool) {
        if parameters.is_ice_lite {
            builder.attribute(Attribute::IceLite);
        }
        builder.attribute(Attribute::IceOptions(if trickles {
            "trickle ice2 renomination"
        } else {
            "ice2 renomination"
        }));
    }

    fn describe_media(
        &self,
        builder: &mut Builder,
        parameters: &LocalParameters<'_>,
        transceiver: &Transceiver,
        content: &MediaSection<'_>,
        line: Line<'_>,
    ) -> Result<(), NegotiationError> {
        let mut formats = String::new();
        for row in &content.codecs {
            for number in [Some(row.payload_type), row.rtx].into_iter().flatten() {
                let _ = write!(formats, " {number}"); // a `String` takes everything
            }
        }
        builder.media(MediaLine {
            kind: transceiver.kind.name(),
            port: line.port,
            protocol: line.protocol,
            formats: formats.trim_start(),
        });
        line.mid.map(|mid| builder.attribute(Attribute::Mid(mid)));
        if line.port == 0 {
            builder.attribute(Attribute::BundleOnly);
        }
        // RFC 9429 §5.2.1 has them in the tagged section alone; browsers repeat them, and there are peers that
        // refuse a section without (aiortc).
        describe_transport(builder, parameters, line.end)?;
        builder.attribute(Attribute::RtcpMux);
        if content.is_offer {
            builder.attribute(Attribute::RtcpMuxOnly);
        }
        if content.reduced_size {
            builder.attribute(Attribute::RtcpReducedSize);
        }
        for (id, direction, uri) in &content.extensions {
            let map = ExtMap { id: *id, direction: *direction, uri, attributes: None };
            builder.attribute(Attribute::ExtMap(map));
        }
        builder.attribute(Attribute::Direction(content.direction));
        // By what is wanted, even where the offer does not let it flow: W3C WebRTC 1.0 §4.7.3 looks for it.
        if transceiver.direction.sends() {
            describe_streams(builder, transceiver);
        }
        describe_codecs(builder, content);
        describe_rids(builder, content);
        if content.direction.sends() && content.send_rids.is_empty() {
            describe_sources(builder, parameters, transceiver, content);
        }
        Ok(())
    }

    /// What a section that is rejected had carried.
    pub(super) fn kind_of_section(&self, section: &Section) -> &'static str {
        section
            .transceiver()
            .and_then(|id| self.transceiver(id))
            .map_or("audio", |transceiver| transceiver.kind.name())
    }
}

/// What an `m=` line has besides its formats.
#[derive(Clone, Copy)]
struct Line<'a> {
    port: u16,
    protocol: &'a str,
    mid: Option<&'a str>,
    end: &'a LocalEnd<'a>,
}

fn offered_section<'a>(
    config: &'a MediaConfig,
    transceiver: &'a Transceiver,
    own: Option<Media<'a>>,
    numbers: &mut Numbers<'a>,
) -> MediaSection<'a> {
    // Sections that are not bundled may have other numbers for the same (RFC 9143 §9.2).
    let known = |uri: &str| {
        let mut maps = own.iter().flat_map(|media| media.extensions());
        maps.find(|map| map.uri == uri && is_usable(map.id)).map(|map| map.id)
    };
    let extensions: Vec<_> = transceiver
        .header_extensions(config)
        .map(|kind| kind.uri())
        .filter_map(|uri| Some((known(uri).or_else(|| numbers.of_extension(uri))?, None, uri)))
        .collect();
    let own = own.map(|media| codecs(&media)).unwrap_or_default();
    let rows = transceiver.codecs(config).filter_map(|codec| {
        let (payload_type, rtx) = numbers.of_codec(codec, &own)?;
        Some(Row {
            payload_type,
            name: &codec.name,
            clock_rate: codec.clock_rate,
            channels: codec.channels,
            parameters: &codec.parameters,
            feedback: codec.feedback,
            rtx,
        })
    });
    let codecs = rows.collect();
    let encodings = &transceiver.association.encodings;
    let send_rids = if transceiver.direction.sends() {
        encodings.iter().filter_map(|encoding| encoding.wanted.rid).collect()
    } else {
        Vec::new()
    };
    // What comes by simulcast is still wanted so.
    let negotiated = transceiver.association.negotiated.as_deref();
    let receive_rids = negotiated
        .filter(|_| transceiver.direction.receives())
        .map_or_else(Vec::new, |negotiated| negotiated.receive_rids.clone());
    MediaSection {
        codecs,
        extensions,
        direction: transceiver.direction,
        send_rids,
        receive_rids,
        reduced_size: true,
        is_offer: true,
    }
}

/// What of the offer's codecs is answered.
pub(super) fn answered_codecs(
    config: &MediaConfig,
    transceiver: &Transceiver,
    offered: &Media<'_>,
) -> Vec<crate::media::agree::AnsweredCodec> {
    let ours: Vec<_> = transceiver.codecs(config).collect();
    answer(&ours, &codecs(offered), !transceiver.preferences.is_empty())
}

fn answered_section<'a>(
    config: &'a MediaConfig,
    transceiver: &'a Transceiver,
    offered: &Media<'a>,
    found: &'a [crate::media::agree::AnsweredCodec],
) -> MediaSection<'a> {
    let rows = found.iter().map(|answered| Row {
        payload_type: answered.payload_type,
        name: &answered.codec.name,
        clock_rate: answered.codec.clock_rate,
        channels: answered.codec.channels,
        parameters: &answered.parameters,
        feedback: answered.feedback,
        rtx: answered.rtx,
    });
    let theirs = offered.direction().unwrap_or(Direction::SendRecv);
    let direction = theirs.reversed().and(transceiver.direction);
    let mut extensions: Vec<(u16, Option<Direction>, &str)> = Vec::new();
    for map in offered.extensions() {
        let is_ours = kind_of(config, map.uri)
            .is_some_and(|kind| transceiver.header_extensions(config).any(|wanted| wanted == kind));
        let is_new = extensions.iter().all(|(id, _, uri)| *id != map.id && *uri != map.uri);
        // RFC 8285 §7: identifiers that ask for a choice of ours are left out, which is a choice too.
        if is_ours && is_new && is_usable(map.id) {
            extensions.push((map.id, map.direction.map(Direction::reversed), map.uri));
        }
    }
    let wanted = simulcast(offered, StreamDirection::Recv);
    let encodings = transceiver.association.encodings.iter();
    let mut send_rids: Vec<rtp::Rid> = encodings.filter_map(|encoding| encoding.wanted.rid).collect();
    send_rids.retain(|rid| direction.sends() && wanted.contains(rid));
    let receive_rids =
        if direction.receives() { simulcast(offered, StreamDirection::Send) } else { Vec::new() };
    MediaSection {
        codecs: rows.collect(),
        extensions,
        direction,
        send_rids,
        receive_rids,
        reduced_size: offered.attributes().any(|attribute| attribute == Attribute::RtcpReducedSize),
        is_offer: false,
    }
}

/// RFC 8830: the streams that the track belongs to.
fn describe_streams(builder: &mut Builder, transceiver: &Transceiver) {
    let track = Some(transceiver.track.as_str());
    if transceiver.streams.is_empty() {
        builder.attribute(Attribute::Msid(Msid { id: "-", track }));
    }
    for id in &transceiver.streams {
        builder.attribute(Attribute::Msid(Msid { id, track }));
    }
}

/// RFC 5576: for peers that tell streams by their SSRCs.
fn describe_sources(
    builder: &mut Builder,
    parameters: &LocalParameters<'_>,
    transceiver: &Transceiver,
    content: &MediaSection<'_>,
) {
    let Some(encoding) = transceiver.association.encodings.first() else { return };
    let has_rtx = content.codecs.iter().any(|row| row.rtx.is_some());
    let ssrcs = [Some(encoding.ssrc.0), has_rtx.then_some(encoding.rtx.0)];
    if has_rtx {
        let group = format!("ssrc-group:FID {} {}", encoding.ssrc, encoding.rtx);
        if let Ok(attribute) = Attribute::parse(&group) {
            builder.attribute(attribute);
        }
    }
    let cname = Negotiation::cname(parameters.seed);
    for ssrc in ssrcs.into_iter().flatten() {
        builder.attribute(Attribute::Source(Source { ssrc, attribute: "cname", value: Some(&cname) }));
    }
}

fn describe_codecs(builder: &mut Builder, content: &MediaSection<'_>) {
    for row in &content.codecs {
        let channels = row.channels.to_string();
        let parameters = (row.channels > 1).then_some(channels.as_str());
        builder.attribute(Attribute::RtpMap(RtpMap {
            payload_type: row.payload_type.get(),
            encoding: row.name,
            clock_rate: row.clock_rate,
            parameters,
        }));
        for value in row.feedback.values() {
            let payload_type = Some(row.payload_type.get());
            builder.attribute(Attribute::RtcpFeedback(RtcpFeedback { payload_type, value }));
        }
        let format = row.payload_type.to_string();
        // RFC 2198 §5: redundant audio names what it is around. Browsers refuse video whose RED does: that is around ULPFEC, too.
        let around = content.codecs.iter().find(|it| {
            !it.name.eq_ignore_ascii_case("red")
                && (it.clock_rate, it.channels) == (row.clock_rate, row.channels)
        });
        let redundant = around
            .filter(|_| row.name.eq_ignore_ascii_case("red") && row.clock_rate != VIDEO_CLOCK_RATE)
            .map(|it| format!("{0}/{0}", it.payload_type))
            .unwrap_or_default();
        let parameters = if redundant.is_empty() { row.parameters } else { &redundant };
        if !parameters.is_empty() {
            builder.attribute(Attribute::Fmtp(Fmtp { format: &format, parameters }));
        }
        if let Some(rtx) = row.rtx {
            builder.attribute(Attribute::RtpMap(RtpMap {
                payload_type: rtx.get(),
                encoding: "rtx",
                clock_rate: row.clock_rate,
                parameters: None,
            }));
            let (format, parameters) = (rtx.to_string(), format!("apt={}", row.payload_type));
            builder.attribute(Attribute::Fmtp(Fmtp { format: &format, parameters: &parameters }));
        }
    }
}

/// RFC 8851 and RFC 8853.
fn describe_rids(builder: &mut Builder, content: &MediaSection<'_>) {
    let ways = [(StreamDirection::Send, &content.send_rids), (StreamDirection::Recv, &content.receive_rids)];
    let mut simulcast = String::from("simulcast:");
    for (direction, rids) in ways.into_iter().filter(|(_, rids)| !rids.is_empty()) {
        if !simulcast.ends_with(':') {
            simulcast.push(' ');
        }
        simulcast.push_str(direction.name());
        for (number, rid) in rids.iter().enumerate() {
            builder.attribute(Attribute::Rid(Rid { id: rid.as_str(), direction, restrictions: None }));
            simulcast.push(if number == 0 { ' ' } else { ';' });
            simulcast.push_str(rid.as_str());
        }
    }
    if let Ok(attribute @ Attribute::Simulcast(_)) = Attribute::parse(&simulcast) {
        builder.attribute(attribute);
    }
}

fn describe_transport(
    builder: &mut Builder,
    parameters: &LocalParameters<'_>,
    end: &LocalEnd<'_>,
) -> Result<(), NegotiationError> {
    builder.attribute(Attribute::IceUfrag(end.credentials.ufrag()));
    builder.attribute(Attribute::IcePwd(end.credentials.password()));
    let mut print = String::from("fingerprint:sha-256 ");
    // Writing to a string cannot fail.
    let _ = print.write_str(&Fingerprint::text_of(parameters.fingerprint));
    builder.attribute(Attribute::parse(&print).map_err(|kind| sdp::ParseError { line: 0, kind })?);
    builder.attribute(Attribute::Setup(end.setup));
    builder.attribute(Attribute::TlsId(end.tls_id));
    Ok(())
}

fn describe_data(builder: &mut Builder, parameters: &LocalParameters<'_>) {
    builder.attribute(Attribute::SctpPort(SCTP_PORT));
    builder.attribute(Attribute::MaxMessageSize(parameters.max_message_size));
}

/// RFC 9429 §5.2.1: in the section whose transport is used.
fn describe_candidates(builder: &mut Builder, end: &LocalEnd<'_>, is_tagged: bool) {
    if !is_tagged {
        return;
    }
    for candidate in end.candidates {
        builder.attribute(Attribute::Candidate(without_name(candidate)));
    }
    if end.gathering_done {
        builder.attribute(Attribute::EndOfCandidates);
    }
}

impl Transceiver {
    /// The codecs that it speaks, the preferred first.
    pub(crate) fn codecs<'a>(
        &'a self,
        config: &'a MediaConfig,
    ) -> impl Iterator<Item = &'a crate::media::Codec> + Clone {
        let kind: MediaKind = self.kind;
        let all = self.preferences.is_empty();
        self.preferences.iter().chain(config.codecs(kind).filter(move |_| all))
    }
}

/// RFC 8841 §5.1: the port that browsers use; behind DTLS it distinguishes nothing.
const SCTP_PORT: u16 = 5000;
/// RFC 8841 §4.3.
const DATA_FORMAT: &str = "webrtc-datachannel";
/// Ticks a second of all video (RFC 3551 §5).
const VIDEO_CLOCK_RATE: u32 = 90_000;
