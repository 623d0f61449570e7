use crate::attribute::{Attribute, Direction, Fingerprint, Setup, number};
use crate::description::{SessionDescription, attributes};
use crate::rtp::{ExtMap, Msid, Rid, Simulcast};

/// One media section. Attributes that may stand for the whole session are looked for there too, where
/// the section itself has none.
#[derive(Clone, Copy, Debug)]
pub struct Media<'a> {
    description: &'a SessionDescription,
    index: usize,
}

/// What a media section carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Data channels, if the protocol and format say so.
    Application,
    /// Something that WebRTC does not use.
    Other,
}

/// How much the writer can receive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bandwidth<'a> {
    /// What is counted, and in which unit: `AS` in kilobits (RFC 8866 §5.8), `TIAS` in bits (RFC 3890) a second.
    pub modifier: &'a str,
    /// How much.
    pub value: u64,
}

impl<'a> Media<'a> {
    pub(crate) const fn new(description: &'a SessionDescription, index: usize) -> Self {
        Self { description, index }
    }

    /// Which of the sections this is, from 0.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// What it carries.
    pub fn kind(&self) -> MediaKind {
        match self.kind_text() {
            "audio" => MediaKind::Audio,
            "video" => MediaKind::Video,
            "application" => MediaKind::Application,
            _ => MediaKind::Other,
        }
    }

    /// What it carries, as it is written.
    pub fn kind_text(&self) -> &'a str {
        self.fields().next().unwrap_or_default()
    }

    /// The port; 9 stands for "as the candidates say", 0 for "rejected" (but see [`Self::is_rejected`]).
    pub fn port(&self) -> u16 {
        let port = self.fields().nth(1).unwrap_or_default();
        port.split('/').next().and_then(|port| port.parse().ok()).unwrap_or(0)
    }

    /// The protocol: `UDP/DTLS/SCTP`, for example.
    pub fn protocol(&self) -> &'a str {
        self.fields().nth(2).unwrap_or_default()
    }

    /// The formats.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.fields().skip(3)
    }

    /// Whether the section is rejected or stopped: its port is 0, and it is not one that only takes part
    /// in a bundle (RFC 9143 §6).
    pub fn is_rejected(&self) -> bool {
        self.port() == 0 && !self.own().any(|attribute| attribute == Attribute::BundleOnly)
    }

    /// The attributes of the section itself.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.own()
    }

    /// Its name.
    pub fn mid(&self) -> Option<&'a str> {
        self.own().find_map(|attribute| if let Attribute::Mid(mid) = attribute { Some(mid) } else { None })
    }

    /// The ICE user fragment.
    pub fn ice_ufrag(&self) -> Option<&'a str> {
        self.first(|attribute| if let Attribute::IceUfrag(text) = attribute { Some(text) } else { None })
    }

    /// The ICE password.
    pub fn ice_pwd(&self) -> Option<&'a str> {
        self.first(|attribute| if let Attribute::IcePwd(text) = attribute { Some(text) } else { None })
    }

    /// Whether `option` is among the ICE options.
    pub fn has_ice_option(&self, option: &str) -> bool {
        let options = self
            .first(|attribute| if let Attribute::IceOptions(text) = attribute { Some(text) } else { None });
        options.is_some_and(|options| options.split_ascii_whitespace().any(|word| word == option))
    }

    /// Whether the other side is an ICE lite implementation.
    pub fn is_ice_lite(&self) -> bool {
        self.description.attributes().any(|attribute| attribute == Attribute::IceLite)
    }

    /// The candidates as text, each beginning with `candidate:`.
    pub fn candidates(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let lines = self.description.lines(Some(self.index));
        lines.filter(|(kind, value)| *kind == b'a' && value.starts_with("candidate:")).map(|(_, value)| value)
    }

    /// Whether these are all candidates that there will be.
    pub fn has_end_of_candidates(&self) -> bool {
        self.first(|attribute| (attribute == Attribute::EndOfCandidates).then_some(())).is_some()
    }

    /// The fingerprints: those of the section, or where it has none, those of the session (RFC 8122 §5).
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint<'a>> + use<'a> {
        let print =
            |attribute| if let Attribute::Fingerprint(print) = attribute { Some(print) } else { None };
        let session =
            self.own().find_map(print).is_none().then(|| self.description.attributes().filter_map(print));
        self.own().filter_map(print).chain(session.into_iter().flatten())
    }

    /// Who begins the DTLS handshake.
    pub fn setup(&self) -> Option<Setup> {
        self.first(|attribute| if let Attribute::Setup(setup) = attribute { Some(setup) } else { None })
    }

    /// The identity of the DTLS association.
    pub fn tls_id(&self) -> Option<&'a str> {
        self.first(|attribute| if let Attribute::TlsId(text) = attribute { Some(text) } else { None })
    }

    /// The SCTP port.
    pub fn sctp_port(&self) -> Option<u16> {
        self.own()
            .find_map(|attribute| if let Attribute::SctpPort(port) = attribute { Some(port) } else { None })
    }

    /// The largest message that the writer takes, in bytes, as written: 0 is without limit; absent, 64 KiB
    /// are to be assumed (RFC 8841 §6.1).
    pub fn max_message_size(&self) -> Option<u64> {
        self.own().find_map(
            |attribute| if let Attribute::MaxMessageSize(size) = attribute { Some(size) } else { None },
        )
    }

    /// Which way media flows.
    pub fn direction(&self) -> Option<Direction> {
        self.first(
            |attribute| if let Attribute::Direction(direction) = attribute { Some(direction) } else { None },
        )
    }

    /// Whether this section asks for data channels as RFC 8841 §4 writes them, or with the older profile that
    /// RFC 9429 §5.1.3 wants to be understood.
    pub fn is_data_channels(&self) -> bool {
        self.kind() == MediaKind::Application
            && matches!(self.protocol(), "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" | "DTLS/SCTP")
            && self.formats().any(|format| format == "webrtc-datachannel")
    }

    /// The formats that are payload types, in the order of preference.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.formats().filter_map(|format| number(format).filter(|number| *number < 128))
    }

    /// Whether the section has no transport of its own (RFC 9143 §6).
    pub fn is_bundle_only(&self) -> bool {
        self.own().any(|attribute| attribute == Attribute::BundleOnly)
    }

    /// Whether RTP and RTCP share a port (RFC 5761 §5.1.1).
    pub fn has_rtcp_mux(&self) -> bool {
        self.first(|attribute| matches!(attribute, Attribute::RtcpMux | Attribute::RtcpMuxOnly).then_some(()))
            .is_some()
    }

    /// The header extensions, those of the whole session among them (RFC 8285 §5).
    pub fn extensions(&self) -> impl Iterator<Item = ExtMap<'a>> + use<'a> {
        let extension = |attribute| if let Attribute::ExtMap(map) = attribute { Some(map) } else { None };
        self.own().chain(self.description.attributes()).filter_map(extension)
    }

    /// Whether packets may have elements of header extensions in both forms (RFC 8285 §6).
    pub fn allows_mixed_extensions(&self) -> bool {
        self.first(|attribute| (attribute == Attribute::ExtMapAllowMixed).then_some(())).is_some()
    }

    /// The streams that the track belongs to, and its name.
    pub fn msids(&self) -> impl Iterator<Item = Msid<'a>> + use<'a> {
        self.own()
            .filter_map(|attribute| if let Attribute::Msid(msid) = attribute { Some(msid) } else { None })
    }

    /// The streams that are restricted by name.
    pub fn rids(&self) -> impl Iterator<Item = Rid<'a>> + use<'a> {
        self.own().filter_map(|attribute| if let Attribute::Rid(rid) = attribute { Some(rid) } else { None })
    }

    /// Which of them are of one source.
    pub fn simulcast(&self) -> Option<Simulcast<'a>> {
        self.own().find_map(|attribute| {
            if let Attribute::Simulcast(simulcast) = attribute { Some(simulcast) } else { None }
        })
    }

    /// How much the writer can receive: `b=` lines (RFC 8866 §5.8). What is no number is left out.
    pub fn bandwidths(&self) -> impl Iterator<Item = Bandwidth<'a>> + use<'a> {
        let lines = self.description.lines(Some(self.index)).filter(|(kind, _)| *kind == b'b');
        lines.filter_map(|(_, value)| {
            let (modifier, value) = value.split_once(':')?;
            Some(Bandwidth { modifier, value: number(value)? })
        })
    }

    fn first<T>(&self, find: impl Fn(Attribute<'a>) -> Option<T>) -> Option<T> {
        self.own().find_map(&find).or_else(|| self.description.attributes().find_map(&find))
    }

    fn own(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        attributes(self.description.lines(Some(self.index)))
    }

    fn fields(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let line = self.description.lines(Some(self.index)).next();
        line.map_or("", |(_, value)| value).split_ascii_whitespace()
    }
}
