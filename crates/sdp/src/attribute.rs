use std::fmt;

use crate::ParseErrorKind;
use crate::rtp::{self, ExtMap, Fmtp, Msid, Rid, Rtcp, RtcpFeedback, RtpMap, Simulcast, Source, SourceGroup};

/// One `a=` line. `Display` writes it without `a=` and line end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// `group`: media sections that belong together (RFC 5888 §5).
    Group(Group<'a>),
    /// `mid`: the name of a media section (RFC 5888 §4).
    Mid(&'a str),
    /// `ice-ufrag` (RFC 8839 §5.4): 4 to 256 characters.
    IceUfrag(&'a str),
    /// `ice-pwd` (RFC 8839 §5.4): 22 to 256 characters.
    IcePwd(&'a str),
    /// `ice-options` (RFC 8839 §5.6): words between blanks.
    IceOptions(&'a str),
    /// `ice-lite` (RFC 8839 §5.3).
    IceLite,
    /// `candidate` (RFC 8839 §5.1), as text.
    Candidate(&'a str),
    /// `end-of-candidates` (RFC 8840 §8.2).
    EndOfCandidates,
    /// `fingerprint` of a certificate (RFC 8122 §5).
    Fingerprint(Fingerprint<'a>),
    /// `setup`: who begins the DTLS handshake (RFC 4145 §4, RFC 8842 §5.3).
    Setup(Setup),
    /// `tls-id` (RFC 8842 §4).
    TlsId(&'a str),
    /// `sctp-port` (RFC 8841 §5).
    SctpPort(u16),
    /// `max-message-size` in bytes; 0 is without limit (RFC 8841 §6).
    MaxMessageSize(u64),
    /// `rtcp-mux` (RFC 5761 §5.1.1).
    RtcpMux,
    /// `bundle-only` (RFC 9143 §6).
    BundleOnly,
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive` (RFC 8866 §6.7).
    Direction(Direction),
    /// `rtpmap`: a payload type (RFC 8866 §6.6).
    RtpMap(RtpMap<'a>),
    /// `fmtp`: parameters of a format (RFC 8866 §6.15).
    Fmtp(Fmtp<'a>),
    /// `rtcp-fb`: feedback that is understood (RFC 4585 §4.2).
    RtcpFeedback(RtcpFeedback<'a>),
    /// `extmap`: a header extension (RFC 8285 §5).
    ExtMap(ExtMap<'a>),
    /// `extmap-allow-mixed`: packets may have elements of both forms (RFC 8285 §6).
    ExtMapAllowMixed,
    /// `rid`: a stream with a name (RFC 8851 §4).
    Rid(Rid<'a>),
    /// `simulcast`: which streams are of one source (RFC 8853 §5.1).
    Simulcast(Simulcast<'a>),
    /// `msid`: the stream that a track belongs to (RFC 8830 §2).
    Msid(Msid<'a>),
    /// `ssrc`: something about a source (RFC 5576 §4.1).
    Source(Source<'a>),
    /// `ssrc-group`: sources that belong together (RFC 5576 §4.2).
    SourceGroup(SourceGroup<'a>),
    /// `rtcp`: where RTCP goes that is not multiplexed (RFC 3605 §2.1).
    Rtcp(Rtcp<'a>),
    /// `rtcp-mux-only` (RFC 8858 §3).
    RtcpMuxOnly,
    /// `rtcp-rsize`: RTCP may be of reduced size (RFC 5506 §5).
    RtcpReducedSize,
    /// `ptime`: milliseconds of media in a packet (RFC 8866 §6.4).
    PacketTime(u32),
    /// `maxptime`: milliseconds at most (RFC 8866 §6.5).
    MaxPacketTime(u32),
    /// Any other: its name, and its value if there is a colon.
    Other(&'a str, Option<&'a str>),
}

impl<'a> Attribute<'a> {
    /// Reads what stands behind `a=`.
    pub fn parse(text: &'a str) -> Result<Self, ParseErrorKind> {
        let text = text.trim_end_matches([' ', '\t']);
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let given = value.unwrap_or_default();
        let must = |good: bool, attribute, name, source| {
            if good { Ok(attribute) } else { Err(ParseErrorKind::Attribute(name, source)) }
        };
        match name {
            "group" => Group::parse(given).map(Self::Group),
            "mid" => must(is_token(given), Self::Mid(given), "mid", "RFC 5888"),
            "ice-ufrag" => must(is_ice(given, 4), Self::IceUfrag(given), "ice-ufrag", "RFC 8839"),
            "ice-pwd" => must(is_ice(given, 22), Self::IcePwd(given), "ice-pwd", "RFC 8839"),
            "ice-options" => must(!given.is_empty(), Self::IceOptions(given), "ice-options", "RFC 8839"),
            "ice-lite" => Ok(Self::IceLite),
            "candidate" => must(!given.is_empty(), Self::Candidate(given), "candidate", "RFC 8839"),
            "end-of-candidates" => Ok(Self::EndOfCandidates),
            "fingerprint" => Fingerprint::parse(given).map(Self::Fingerprint),
            "setup" => Setup::parse(given).map(Self::Setup),
            "tls-id" => must(is_tls_id(given), Self::TlsId(given), "tls-id", "RFC 8842"),
            "sctp-port" => {
                number(given).map(Self::SctpPort).ok_or(ParseErrorKind::Attribute("sctp-port", "RFC 8841"))
            }
            "max-message-size" => number(given)
                .map(Self::MaxMessageSize)
                .ok_or(ParseErrorKind::Attribute("max-message-size", "RFC 8841")),
            "rtcp-mux" => Ok(Self::RtcpMux),
            "bundle-only" => Ok(Self::BundleOnly),
            _ => match Direction::parse(name) {
                Some(direction) => Ok(Self::Direction(direction)),
                None => rtp::parse(name, value).unwrap_or(Ok(Self::Other(name, value))),
            },
        }
    }

    /// The name of the attribute.
    pub const fn name(&self) -> &'a str {
        match self {
            Self::Group(_) => "group",
            Self::Mid(_) => "mid",
            Self::IceUfrag(_) => "ice-ufrag",
            Self::IcePwd(_) => "ice-pwd",
            Self::IceOptions(_) => "ice-options",
            Self::IceLite => "ice-lite",
            Self::Candidate(_) => "candidate",
            Self::EndOfCandidates => "end-of-candidates",
            Self::Fingerprint(_) => "fingerprint",
            Self::Setup(_) => "setup",
            Self::TlsId(_) => "tls-id",
            Self::SctpPort(_) => "sctp-port",
            Self::MaxMessageSize(_) => "max-message-size",
            Self::RtcpMux => "rtcp-mux",
            Self::BundleOnly => "bundle-only",
            Self::Direction(direction) => direction.name(),
            Self::RtpMap(_) => "rtpmap",
            Self::Fmtp(_) => "fmtp",
            Self::RtcpFeedback(_) => "rtcp-fb",
            Self::ExtMap(_) => "extmap",
            Self::ExtMapAllowMixed => "extmap-allow-mixed",
            Self::Rid(_) => "rid",
            Self::Simulcast(_) => "simulcast",
            Self::Msid(_) => "msid",
            Self::Source(_) => "ssrc",
            Self::SourceGroup(_) => "ssrc-group",
            Self::Rtcp(_) => "rtcp",
            Self::RtcpMuxOnly => "rtcp-mux-only",
            Self::RtcpReducedSize => "rtcp-rsize",
            Self::PacketTime(_) => "ptime",
            Self::MaxPacketTime(_) => "maxptime",
            Self::Other(name, _) => name,
        }
    }
}

impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Mid(text)
            | Self::IceUfrag(text)
            | Self::IcePwd(text)
            | Self::IceOptions(text)
            | Self::Candidate(text)
            | Self::TlsId(text)
            | Self::Other(_, Some(text)) => write!(f, ":{text}"),
            Self::Group(group) => write!(f, ":{}{}", group.semantics, group.mids),
            Self::Fingerprint(fingerprint) => write!(f, ":{fingerprint}"),
            Self::Setup(setup) => write!(f, ":{}", setup.name()),
            Self::SctpPort(port) => write!(f, ":{port}"),
            Self::MaxMessageSize(bytes) => write!(f, ":{bytes}"),
            Self::RtpMap(value) => write!(f, ":{value}"),
            Self::Fmtp(value) => write!(f, ":{value}"),
            Self::RtcpFeedback(value) => write!(f, ":{value}"),
            Self::ExtMap(value) => write!(f, ":{value}"),
            Self::Rid(value) => write!(f, ":{value}"),
            Self::Simulcast(value) => write!(f, ":{value}"),
            Self::Msid(value) => write!(f, ":{value}"),
            Self::Source(value) => write!(f, ":{value}"),
            Self::SourceGroup(value) => write!(f, ":{value}"),
            Self::Rtcp(value) => write!(f, ":{value}"),
            Self::PacketTime(time) | Self::MaxPacketTime(time) => write!(f, ":{time}"),
            Self::IceLite
            | Self::EndOfCandidates
            | Self::RtcpMux
            | Self::BundleOnly
            | Self::ExtMapAllowMixed
            | Self::RtcpMuxOnly
            | Self::RtcpReducedSize
            | Self::Direction(_)
            | Self::Other(_, None) => Ok(()),
        }
    }
}

/// Media sections that belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Group<'a> {
    semantics: &'a str,
    /// With the blank before the first.
    mids: &'a str,
}

impl<'a> Group<'a> {
    fn parse(text: &'a str) -> Result<Self, ParseErrorKind> {
        let (semantics, mids) = text.split_at(text.find(' ').unwrap_or(text.len()));
        if is_token(semantics) {
            Ok(Self { semantics, mids })
        } else {
            Err(ParseErrorKind::Attribute("group", "RFC 5888"))
        }
    }

    /// What the group is for: `BUNDLE`, for example.
    pub const fn semantics(&self) -> &'a str {
        self.semantics
    }

    /// The names of the sections.
    pub fn mids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.mids.split_ascii_whitespace()
    }
}

/// The fingerprint of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint<'a> {
    algorithm: &'a str,
    value: &'a str,
}

impl<'a> Fingerprint<'a> {
    fn parse(text: &'a str) -> Result<Self, ParseErrorKind> {
        let wrong = ParseErrorKind::Attribute("fingerprint", "RFC 8122");
        let (algorithm, value) = text.split_once(' ').ok_or(wrong)?;
        let value = value.trim_matches(' ');
        let all_pairs =
            value.split(':').all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()));
        if is_token(algorithm) && all_pairs { Ok(Self { algorithm, value }) } else { Err(wrong) }
    }

    /// The name of the hash function, as it was written: names are compared without regard to case.
    pub const fn algorithm(&self) -> &'a str {
        self.algorithm
    }

    /// Whether this is the fingerprint `digest`. Hexadecimal digits of either case are taken, although
    /// RFC 8122 §5 writes capitals.
    pub fn matches(&self, digest: &[u8]) -> bool {
        self.value.split(':').count() == digest.len() && self.bytes().eq(digest.iter().copied())
    }

    /// The bytes of the fingerprint.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.value.split(':').filter_map(|pair| u8::from_str_radix(pair, 16).ok())
    }

    /// `digest` as it is written in a description: `AB:CD:…`.
    pub fn text_of(digest: &[u8]) -> String {
        let mut text = String::with_capacity(digest.len() * 3);
        for byte in digest {
            if !text.is_empty() {
                text.push(':');
            }
            text.extend([byte >> 4, byte & 15].map(|digit| match digit {
                0..=9 => char::from(b'0' + digit),
                _ => char::from(b'A' - 10 + digit),
            }));
        }
        text
    }
}

impl fmt::Display for Fingerprint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.value)
    }
}

/// Who begins the DTLS handshake (RFC 8842 §5.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Setup {
    /// This side begins.
    Active,
    /// The other side begins.
    Passive,
    /// Either; the answer decides.
    ActPass,
    /// None, for now. WebRTC does not use it.
    HoldConn,
}

impl Setup {
    fn parse(text: &str) -> Result<Self, ParseErrorKind> {
        match text {
            "active" => Ok(Self::Active),
            "passive" => Ok(Self::Passive),
            "actpass" => Ok(Self::ActPass),
            "holdconn" => Ok(Self::HoldConn),
            _ => Err(ParseErrorKind::Attribute("setup", "RFC 4145")),
        }
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

/// Which way media flows, as seen by the side that wrote the description.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// Out.
    SendOnly,
    /// In.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "sendrecv" => Some(Self::SendRecv),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// The direction in which there are these ways.
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// As the other side sees it (RFC 3264 §6.1).
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }

    /// The ways that both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self::of(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    // `parse` alone would take a plus sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// RFC 8866 §9, `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~'))
}

/// RFC 8839 §5.4: `ice-char`s, from `least` to 256 of them.
fn is_ice(text: &str, least: usize) -> bool {
    (least..=256).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'='))
}

/// RFC 8842 §4: 20 to 255 characters.
fn is_tls_id(text: &str) -> bool {
    (20..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_attributes_are_read_and_written_alike() {
        for text in [
            "group:BUNDLE 0 1",
            "group:LS",
            "mid:audio",
            "ice-ufrag:abcd",
            "ice-pwd:abcdefghijklmnopqrstuv",
            "ice-options:trickle ice2",
            "ice-lite",
            "candidate:1 1 udp 1 10.0.0.1 1 typ host",
            "end-of-candidates",
            "fingerprint:sha-256 AB:cd:01",
            "setup:actpass",
            "setup:active",
            "setup:passive",
            "setup:holdconn",
            "tls-id:abcdefghijklmnopqrst",
            "sctp-port:5000",
            "max-message-size:0",
            "max-message-size:18446744073709551615",
            "rtcp-mux",
            "bundle-only",
            "sendrecv",
            "sendonly",
            "recvonly",
            "inactive",
            "rtpmap:96 VP8/90000",
            "x-flag",
            "x-empty:",
        ] {
            let attribute = Attribute::parse(text).unwrap();
            assert_eq!(attribute.to_string(), text);
            assert_eq!(matches!(attribute, Attribute::Other(..)), text.starts_with("x-"));
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for text in [
            "group:",
            "mid:",
            "mid:a b",
            "ice-ufrag:abc",
            "ice-ufrag:ab d",
            "ice-pwd:short",
            "ice-options:",
            "candidate:",
            "fingerprint:sha-256",
            "fingerprint:sha-256 A",
            "fingerprint:sha-256 GG",
            "fingerprint:sha-256 AB:",
            "fingerprint:sha-256 ",
            "setup:",
            "setup:ACTIVE",
            "tls-id:short",
            "sctp-port:65536",
            "sctp-port:-1",
            "sctp-port:+1",
            "sctp-port:",
            "max-message-size:18446744073709551616",
        ] {
            assert!(Attribute::parse(text).is_err(), "{text}");
        }
        assert!(Attribute::parse(&format!("ice-ufrag:{}", "a".repeat(256))).is_ok());
        assert!(Attribute::parse(&format!("ice-ufrag:{}", "a".repeat(257))).is_err());
    }

    #[test]
    fn fingerprints_match_in_either_case_and_full_length_only() {
        let Ok(Attribute::Fingerprint(print)) = Attribute::parse("fingerprint:SHA-256 0A:ff:7b") else {
            panic!()
        };
        assert!(print.matches(&[0x0a, 0xff, 0x7b]));
        assert!(!print.matches(&[0x0a, 0xff]) && !print.matches(&[0x0a, 0xff, 0x7a]));
        assert_eq!(Fingerprint::text_of(&[0x0a, 0xff, 0x7b]), "0A:FF:7B");
    }
}
