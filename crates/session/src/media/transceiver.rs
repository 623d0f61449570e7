use std::fmt;
use std::sync::Arc;

use proto::Ssrc;
use rtp::extension::Kind;
use sdp::Direction;

use super::engine::Kept;
use super::transforms::Extras;
use super::{Codec, MediaConfig, Negotiated, SendEncoding};
use crate::transports::TransportId;

/// Audio or video.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum MediaKind {
    /// Sound.
    #[default]
    Audio,
    /// Pictures.
    Video,
}

impl MediaKind {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// Names a transceiver for as long as its session lives.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransceiverId(pub(crate) u32);

impl TransceiverId {
    /// Where it is among `all`, which mostly stand in the order in which they were made.
    pub(crate) fn place<T>(all: &[T], id: Self, of: impl Fn(&T) -> Self) -> Option<usize> {
        let by_order = all.binary_search_by_key(&id, &of).ok();
        by_order.or_else(|| all.iter().position(|other| of(other) == id))
    }
}

impl fmt::Display for TransceiverId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a transceiver is made with (W3C WebRTC 1.0 §5.1, `RTCRtpTransceiverInit`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TransceiverInit {
    /// The direction that is wanted. Default: both ways.
    pub direction: Direction,
    /// The names of the streams that what is sent belongs to: tokens. Default: none.
    pub streams: Vec<String>,
    /// What is sent: several with names for simulcast. Default: one without a name.
    pub send_encodings: Vec<SendEncoding>,
    /// Whether there is something to send from the beginning; where there is not,
    /// [`add_track`](crate::Session::add_track) may take the transceiver. Default: yes.
    pub has_track: bool,
}

impl Default for TransceiverInit {
    fn default() -> Self {
        Self {
            direction: Direction::SendRecv,
            streams: Vec::new(),
            send_encodings: Vec::new(),
            has_track: true,
        }
    }
}

/// A stream that a transceiver sends.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Encoding {
    /// What the program wants of it.
    pub wanted: SendEncoding,
    /// Its SSRC.
    pub ssrc: Ssrc,
    /// The SSRC of its retransmissions.
    pub rtx: Ssrc,
}

/// What is sent by one transceiver.
pub type SendEncodings = Vec<Encoding>;

/// What is known of a transceiver.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TransceiverInfo<'a> {
    /// What it carries.
    pub kind: MediaKind,
    /// The name of its media section, once it has one.
    pub mid: Option<&'a str>,
    /// The direction that is wanted.
    pub direction: Direction,
    /// The direction that was agreed upon last.
    pub current_direction: Option<Direction>,
    /// Whether it was stopped, which the next exchange of descriptions completes.
    pub is_stopping: bool,
    /// The streams that what is sent belongs to.
    pub streams: &'a [String],
    /// The name of what is sent.
    pub track: &'a str,
    /// What is sent.
    pub encodings: &'a [Encoding],
    /// The streams that what is received belongs to.
    pub remote_streams: &'a [String],
    /// The peer's name for what is received.
    pub remote_track: Option<&'a str>,
    /// What was agreed upon: codecs, header extensions, names of streams.
    pub negotiated: Option<&'a Arc<Negotiated>>,
}

/// One audio or video connection, each way (RFC 9429 §3.4.1).
#[derive(Clone, Debug)]
pub(crate) struct Transceiver {
    pub id: TransceiverId,
    pub kind: MediaKind,
    pub direction: Direction,
    /// Made by, or taken for, [`add_track`](crate::Session::add_track): only such are associated with a peer's sections.
    pub by_track: bool,
    pub has_track: bool,
    /// It has been agreed upon that it sends, once.
    pub has_sent: bool,
    pub is_stopping: bool,
    /// Empty: those of the configuration.
    pub preferences: Vec<Codec>,
    pub streams: Vec<String>,
    pub track: String,
    pub association: Association,
    pub news: TrackNews,
    pub extras: Option<Box<Extras>>,
    /// Of its machines, while no transport has any.
    pub kept: Option<Box<Kept>>,
    /// Of what W3C's `getParameters` gave last: the next one to be given has the next number.
    pub transaction: Transaction,
}

/// How often parameters of what is sent were read, and whether what was read last can be set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Transaction {
    pub count: u64,
    pub is_open: bool,
}

/// What an exchange of descriptions changes, and a rollback restores.
#[derive(Clone, Debug, Default)]
pub(crate) struct Association {
    pub mid: Option<String>,
    pub section: Option<usize>,
    /// What carries the section; the first where nothing else was agreed upon.
    pub transport: TransportId,
    pub current: Option<Direction>,
    /// The direction that the application knows of (W3C WebRTC 1.0 §5.4, `[[FiredDirection]]`).
    pub fired: Option<Direction>,
    pub remote_streams: Vec<String>,
    pub remote_track: Option<String>,
    pub encodings: SendEncodings,
    pub negotiated: Option<Arc<Negotiated>>,
}

/// What the application does not know yet of the peer's track.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum TrackNews {
    #[default]
    None,
    Came,
    /// It is known, and belongs to a further stream: told as if it came.
    Joined,
    Went,
    /// It went, and has come again.
    Returned,
}

impl Transceiver {
    pub(crate) fn info(&self) -> TransceiverInfo<'_> {
        let association = &self.association;
        TransceiverInfo {
            kind: self.kind,
            mid: association.mid.as_deref(),
            direction: self.direction,
            current_direction: association.current,
            is_stopping: self.is_stopping,
            streams: &self.streams,
            track: &self.track,
            encodings: &association.encodings,
            remote_streams: &association.remote_streams,
            remote_track: association.remote_track.as_deref(),
            negotiated: association.negotiated.as_ref(),
        }
    }

    /// The streams that the peer names. Gives whether the track joins one of them.
    pub(crate) fn set_remote_streams(&mut self, streams: Vec<String>) -> bool {
        let joins = self.joins(&streams);
        self.association.remote_streams = streams;
        joins
    }

    /// Whether one of these streams is none that the peer's track belongs to.
    pub(crate) fn joins(&self, streams: &[String]) -> bool {
        streams.iter().any(|stream| !self.association.remote_streams.contains(stream))
    }

    /// The direction that a description has for the peer's track: it comes, stays or goes, or joins another stream, which is
    /// told as if it came (W3C WebRTC 1.0 §4.4.1.5).
    pub(crate) fn fire(&mut self, direction: Direction, joins: bool) {
        let had = self.association.fired.is_some_and(Direction::receives);
        match (had, direction.receives()) {
            (false, true) => {
                let has_gone = matches!(self.news, TrackNews::Went | TrackNews::Returned);
                self.news = if has_gone { TrackNews::Returned } else { TrackNews::Came };
            }
            (true, false) => self.track_goes(),
            (true, true) if joins && self.news == TrackNews::None => self.news = TrackNews::Joined,
            (true, true) | (false, false) => {}
        }
        self.association.fired = Some(direction);
    }

    /// The peer's track is gone; if nobody has heard of it, nobody hears.
    fn track_goes(&mut self) {
        self.news = if self.news == TrackNews::Came { TrackNews::None } else { TrackNews::Went };
        self.association.remote_streams.clear();
    }

    pub(crate) fn extras(&self) -> Option<&Extras> {
        self.extras.as_deref()
    }

    pub(crate) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// The header extensions that it is to have, of those of the configuration.
    pub(crate) fn header_extensions<'a>(
        &'a self,
        config: &'a MediaConfig,
    ) -> impl Iterator<Item = Kind> + 'a {
        let chosen = self.extras().and_then(|extras| extras.extensions.as_ref());
        let is_wanted = move |kind: &Kind| chosen.is_none_or(|chosen| chosen.contains(kind));
        config.extensions(self.kind).map(|extension| extension.kind).filter(is_wanted)
    }

    /// Of the layers that encodings were to have in themselves, those that no codec has which was agreed upon cannot be had.
    pub(crate) fn forget_layers_that_none_has(&mut self, negotiated: &Negotiated) {
        for encoding in &mut self.association.encodings {
            let mode = &mut encoding.wanted.scalability_mode;
            *mode = mode.filter(|mode| negotiated.send.iter().any(|codec| mode.is_of(&codec.name)));
        }
    }

    /// The SSRCs that it sends with.
    pub(crate) fn ssrcs(&self) -> impl Iterator<Item = Ssrc> + '_ {
        self.association.encodings.iter().flat_map(|encoding| [encoding.ssrc, encoding.rtx])
    }
}
