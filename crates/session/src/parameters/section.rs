use std::collections::BTreeSet;

use proto::Ssrc;
use rtp::extension::{ExtensionMap, Kind};
use rtp::{Mid, Rid};
use sdp::Direction;

use crate::media::CodecParameters;
use crate::{MediaConfig, MediaKind, SendEncoding};

/// What two peers agree on of a media section who exchange no descriptions: for
/// [`TransportParameters::sections`](crate::TransportParameters) and
/// [`set_sections`](crate::Session::set_sections).
///
/// ```
/// use session::{Direction, MediaConfig, MediaKind, SectionParameters};
///
/// // One side writes down what it is to be, and both know it.
/// let mut camera = SectionParameters::new("cam", MediaKind::Video, &MediaConfig::default());
/// camera.direction = Direction::SendOnly;
/// let at_the_other_end = camera.for_peer();
/// assert_eq!(at_the_other_end.direction, Direction::RecvOnly);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SectionParameters {
    /// The name of the section, which both sides have: 1 to 36 characters of a token.
    pub mid: String,
    /// What it carries.
    pub kind: MediaKind,
    /// The direction as this side sees it. Default: both ways.
    pub direction: Direction,
    /// What this side may send, with the payload types that the peer knows; the first is sent.
    pub send: Vec<CodecParameters>,
    /// What may come, with the payload types that are known here.
    pub receive: Vec<CodecParameters>,
    /// Header extensions by their identifiers, 1 to 14: the same for all sections, and both ways.
    pub extensions: Vec<(u8, Kind)>,
    /// Whether RTCP may be of reduced size (RFC 5506). Default: yes.
    pub reduced_size: bool,
    /// The streams that this side sends; where there are several each has a name. Default: one, without a name.
    pub encodings: Vec<SectionEncoding>,
    /// SSRCs of the peer's media, with those of their retransmissions, where they are known. Sections that packets name (by
    /// [`Kind::Mid`]) need none.
    pub remote_sources: Vec<(Ssrc, Option<Ssrc>)>,
    /// The names of the streams that come, where they have names (RFC 8853).
    pub receive_rids: Vec<Rid>,
    /// The names of the streams (`MediaStream`) to which belongs what is sent, and what comes.
    pub streams: [Vec<String>; 2],
}

/// A stream that is sent.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SectionEncoding {
    /// What is wanted of it.
    pub wanted: SendEncoding,
    /// Its SSRC and that of its retransmissions, if the peer is to know them beforehand; else they are drawn.
    pub ssrcs: Option<(Ssrc, Ssrc)>,
}

impl SectionEncoding {
    /// One of which the peer knows the SSRCs: of media, and of retransmissions.
    pub fn with_ssrcs(media: Ssrc, rtx: Ssrc) -> Self {
        Self { wanted: SendEncoding::default(), ssrcs: Some((media, rtx)) }
    }

    /// One that has a name. `None` if it is none (RFC 8851 §10).
    pub fn named(rid: &str) -> Option<Self> {
        Some(Self { wanted: SendEncoding::named(rid)?, ssrcs: None })
    }
}

/// What is wrong with a section.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SectionFault {
    /// The name is none, or another section has it.
    #[error("its name is none, or taken")]
    Name,
    /// It has no codecs for its direction; a payload type is there twice, stands for something else in another section, or
    /// cannot be told from RTCP (RFC 5761 §4).
    #[error("its codecs do not go together")]
    Codecs,
    /// An identifier is none, or stands for something else in it or another section (RFC 8285 §5).
    #[error("its header extensions do not go together")]
    Extensions,
    /// Of several encodings each has a name of its own, there are up to 16, and one of audio.
    #[error("its encodings do not go together")]
    Encodings,
    /// An SSRC is there twice, or there are more of the peer's than
    /// [`Limits::max_remote_sources`](crate::Limits::max_remote_sources).
    #[error("its SSRCs do not go together")]
    Sources,
    /// The names of its streams are none: tokens of up to 64 characters, up to 16 of them and each once.
    #[error("the names of its streams are none")]
    Streams,
    /// There are more sections than [`Limits::max_transceivers`](crate::Limits::max_transceivers).
    #[error("there are too many sections")]
    TooMany,
    /// A section of this name carries something else already.
    #[error("a section of its name carries something else")]
    Kind,
}

impl SectionParameters {
    /// A section both ways with the codecs, their payload types and the header extensions of `config`, which the peer has, too.
    pub fn new(mid: impl Into<String>, kind: MediaKind, config: &MediaConfig) -> Self {
        let codecs: Vec<_> = config.codecs(kind).map(CodecParameters::of).collect();
        // An identifier is of a kind and of all sections: by its place among all of them.
        let numbered = (1..=14).zip(&config.extensions).filter(|(_, extension)| extension.is_for(kind));
        Self {
            mid: mid.into(),
            kind,
            direction: Direction::SendRecv,
            send: codecs.clone(),
            receive: codecs,
            extensions: numbered.map(|(id, extension)| (id, extension.kind)).collect(),
            reduced_size: true,
            encodings: vec![SectionEncoding::default()],
            remote_sources: Vec::new(),
            receive_rids: Vec::new(),
            streams: [Vec::new(), Vec::new()],
        }
    }

    /// The same section as the peer sees it.
    #[must_use]
    pub fn for_peer(&self) -> Self {
        let [sent, received] = self.streams.clone();
        let named = self.receive_rids.iter().map(|rid| SectionEncoding {
            wanted: SendEncoding { rid: Some(*rid), ..SendEncoding::default() },
            ssrcs: None,
        });
        let known = self.remote_sources.iter().map(|(media, rtx)| SectionEncoding {
            // Whoever names none for retransmissions has none.
            ssrcs: rtx.map(|rtx| (*media, rtx)),
            ..SectionEncoding::default()
        });
        let mut encodings: Vec<_> = named.collect();
        if encodings.is_empty() {
            encodings.extend(known);
        }
        if encodings.is_empty() {
            encodings.push(SectionEncoding::default());
        }
        // The names of streams stand in their packets, so that their SSRCs need not be known.
        let unnamed = self.encodings.iter().filter(|encoding| encoding.wanted.rid.is_none());
        Self {
            direction: Direction::of(self.direction.receives(), self.direction.sends()),
            send: self.receive.clone(),
            receive: self.send.clone(),
            encodings,
            remote_sources: unnamed
                .filter_map(|it| it.ssrcs)
                .map(|(media, rtx)| (media, Some(rtx)))
                .collect(),
            receive_rids: self.encodings.iter().filter_map(|encoding| encoding.wanted.rid).collect(),
            streams: [received, sent],
            ..self.clone()
        }
    }

    /// The header extensions, if they go together.
    pub(crate) fn extension_map(&self) -> Option<ExtensionMap> {
        let mut map = ExtensionMap::default();
        self.extensions.iter().all(|(id, kind)| map.set(*id, *kind).is_ok()).then_some(map)
    }
}

/// Whether sections go together, with each other and with themselves. Gives which is wrong.
pub(crate) fn check(
    sections: &[SectionParameters],
    max_sections: usize,
    max_sources: usize,
) -> Result<(), (usize, SectionFault)> {
    let mut names = BTreeSet::new();
    let mut sources = BTreeSet::new();
    let mut codecs: Vec<(u8, &str, u32, u8)> = Vec::new();
    let mut extensions = ExtensionMap::default();
    for (number, section) in sections.iter().enumerate() {
        let fault = |fault: SectionFault| (number, fault);
        if number >= max_sections {
            return Err(fault(SectionFault::TooMany));
        }
        if !is_name(&section.mid) || !names.insert(section.mid.as_str()) {
            return Err(fault(SectionFault::Name));
        }
        check_codecs(section, &mut codecs).ok_or_else(|| fault(SectionFault::Codecs))?;
        let is_known = |(id, kind): &(u8, Kind)| extensions.set(*id, *kind).is_ok();
        if section.extension_map().is_none() || !section.extensions.iter().all(is_known) {
            return Err(fault(SectionFault::Extensions));
        }
        let rids: BTreeSet<_> = section.encodings.iter().filter_map(|it| it.wanted.rid).collect();
        let many = section.encodings.len();
        if many == 0
            || many > MAX_ENCODINGS
            || (many > 1 && (section.kind == MediaKind::Audio || rids.len() != many))
        {
            return Err(fault(SectionFault::Encodings));
        }
        let mut wanted: Vec<_> = section.encodings.iter().map(|it| it.wanted.clone()).collect();
        if crate::media::encoding::check_encodings(section.kind, &mut wanted).is_err() {
            return Err(fault(SectionFault::Encodings));
        }
        let own = section.encodings.iter().filter_map(|encoding| encoding.ssrcs);
        let theirs = section.remote_sources.iter().flat_map(|(media, rtx)| [Some(*media), *rtx]);
        let mut all = own.flat_map(|(media, rtx)| [media, rtx]).chain(theirs.flatten());
        let is_crowded = section.remote_sources.len().saturating_mul(2) > max_sources;
        if is_crowded || section.receive_rids.len() > MAX_ENCODINGS || !all.all(|ssrc| sources.insert(ssrc)) {
            return Err(fault(SectionFault::Sources));
        }
        if section.streams.iter().any(|streams| crate::negotiation::check_streams(streams).is_err()) {
            return Err(fault(SectionFault::Streams));
        }
    }
    Ok(())
}

/// A token (RFC 9143 §4) that header extensions can carry.
fn is_name(mid: &str) -> bool {
    sdp::Attribute::parse(&format!("mid:{mid}")).is_ok() && Mid::new(mid.as_bytes()).is_some()
}

/// Each payload type stands for one thing, in all sections (RFC 9143 §10.1.2), and there is one at least for each way that is used.
fn check_codecs<'a>(section: &'a SectionParameters, known: &mut Vec<(u8, &'a str, u32, u8)>) -> Option<()> {
    let SectionParameters { direction, send, receive, .. } = section;
    if (direction.sends() && send.is_empty()) || (direction.receives() && receive.is_empty()) {
        return None;
    }
    for codecs in [send, receive] {
        let mut seen = BTreeSet::new();
        for codec in codecs {
            let CodecParameters { payload_type, clock_rate, channels, .. } = codec;
            let own = (payload_type.get(), codec.name.as_ref(), *clock_rate, *channels);
            let rtx = codec.rtx.map(|rtx| (rtx.get(), "rtx", *clock_rate, payload_type.get()));
            for entry in [Some(own), rtx].into_iter().flatten() {
                let is_new = seen.insert(entry.0);
                let number = rtp::PayloadType::new(entry.0)?;
                let clashes = known.iter().any(|other| {
                    let is_same =
                        other.1.eq_ignore_ascii_case(entry.1) && (other.2, other.3) == (entry.2, entry.3);
                    other.0 == entry.0 && !is_same
                });
                if !is_new || number.is_taken_for_rtcp() || clashes {
                    return None;
                }
                known.push(entry);
            }
        }
    }
    Some(())
}

/// RFC 8853, as many as transceivers have.
const MAX_ENCODINGS: usize = 16;
