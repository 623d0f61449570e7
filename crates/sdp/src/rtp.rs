//! Values of the attributes that describe RTP: payload formats, feedback, header extensions, streams.

use std::fmt;

use crate::attribute::{Direction, is_token, number};
use crate::{Attribute, ParseErrorKind};

/// What a payload type stands for (RFC 8866 §6.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtpMap<'a> {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The name of the payload format; its case means nothing.
    pub encoding: &'a str,
    /// Ticks of the RTP clock in a second.
    pub clock_rate: u32,
    /// What follows: of audio the number of channels, 1 where it is missing.
    pub parameters: Option<&'a str>,
}

impl<'a> RtpMap<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (payload_type, rest) = text.split_once(' ')?;
        let mut parts = rest.trim_start_matches(' ').splitn(3, '/');
        let (encoding, clock_rate, parameters) = (parts.next()?, parts.next()?, parts.next());
        let payload_type = number(payload_type).filter(|number| *number < 128)?;
        let clock_rate = number(clock_rate).filter(|rate| *rate > 0)?;
        is_token(encoding).then_some(Self { payload_type, encoding, clock_rate, parameters })
    }

    /// The number of channels; 1 for what is no number.
    pub fn channels(&self) -> u8 {
        self.parameters.and_then(number).filter(|channels| *channels > 0).unwrap_or(1)
    }
}

impl fmt::Display for RtpMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.payload_type, self.encoding, self.clock_rate)?;
        self.parameters.map_or(Ok(()), |parameters| write!(f, "/{parameters}"))
    }
}

/// Parameters of a payload format (RFC 8866 §6.15).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fmtp<'a> {
    /// The format: of RTP a payload type.
    pub format: &'a str,
    /// The parameters as they are written.
    pub parameters: &'a str,
}

impl<'a> Fmtp<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (format, parameters) = text.split_once(' ').unwrap_or((text, ""));
        is_token(format).then_some(Self { format, parameters: parameters.trim_start_matches(' ') })
    }

    /// The parameters as names and values, in the form `name=value;name=value` that most formats have.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        format_parameters(self.parameters)
    }
}

impl fmt::Display for Fmtp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format)?;
        if self.parameters.is_empty() { Ok(()) } else { write!(f, " {}", self.parameters) }
    }
}

/// Names and values of parameters of the form `name=value;name=value`.
pub fn format_parameters(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let pairs = text.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    pairs.map(|pair| match pair.split_once('=') {
        Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
        None => (pair, None),
    })
}

/// Feedback that is understood (RFC 4585 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtcpFeedback<'a> {
    /// The payload type; `None` stands for all.
    pub payload_type: Option<u8>,
    /// What it is: `nack pli`, for example.
    pub value: &'a str,
}

impl<'a> RtcpFeedback<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (format, value) = text.split_once(' ')?;
        let value = value.trim_start_matches(' ');
        let payload_type = match format {
            "*" => None,
            _ => Some(number(format).filter(|number| *number < 128)?),
        };
        (!value.is_empty()).then_some(Self { payload_type, value })
    }
}

impl fmt::Display for RtcpFeedback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload_type {
            Some(payload_type) => write!(f, "{payload_type} {}", self.value),
            None => write!(f, "* {}", self.value),
        }
    }
}

/// Which header extension an identifier stands for (RFC 8285 §5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtMap<'a> {
    /// The identifier, never 0. From 4096 on it means that the answerer is to choose one (RFC 8285 §7).
    pub id: u16,
    /// The way in which it is used; `None` is that of the section.
    pub direction: Option<Direction>,
    /// Which extension.
    pub uri: &'a str,
    /// What the extension has besides.
    pub attributes: Option<&'a str>,
}

impl<'a> ExtMap<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.splitn(3, ' ');
        let (entry, uri, attributes) = (fields.next()?, fields.next()?, fields.next());
        let (id, direction) = match entry.split_once('/') {
            Some((id, direction)) => (id, Some(Direction::parse(direction)?)),
            None => (entry, None),
        };
        let id = number(id).filter(|id| (1..=MAX_EXTENSION_ID).contains(id))?;
        (!uri.is_empty()).then_some(Self { id, direction, uri, attributes })
    }
}

impl fmt::Display for ExtMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        self.direction.map_or(Ok(()), |direction| write!(f, "/{}", direction.name()))?;
        write!(f, " {}", self.uri)?;
        self.attributes.map_or(Ok(()), |attributes| write!(f, " {attributes}"))
    }
}

/// Whose a stream with a name is (RFC 8851 §4, RFC 8853 §5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamDirection {
    /// The writer of the description sends it.
    Send,
    /// The writer of the description receives it.
    Recv,
}

impl StreamDirection {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "send" => Some(Self::Send),
            "recv" => Some(Self::Recv),
            _ => None,
        }
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Recv => "recv",
        }
    }
}

/// A stream with a name, and what it is restricted to (RFC 8851 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rid<'a> {
    /// The name.
    pub id: &'a str,
    /// Who sends it.
    pub direction: StreamDirection,
    /// The restrictions as they are written: `pt=97;max-width=1280`, for example.
    pub restrictions: Option<&'a str>,
}

impl<'a> Rid<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.splitn(3, ' ');
        let (id, direction, restrictions) = (fields.next()?, fields.next()?, fields.next());
        let direction = StreamDirection::parse(direction)?;
        is_rid(id).then_some(Self { id, direction, restrictions })
    }
}

impl fmt::Display for Rid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.direction.name())?;
        self.restrictions.map_or(Ok(()), |restrictions| write!(f, " {restrictions}"))
    }
}

/// Streams of one source, each way (RFC 8853 §5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Simulcast<'a> {
    text: &'a str,
}

impl<'a> Simulcast<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.split(' ');
        let (mut sends, mut receives) = (0, 0);
        while let Some(direction) = fields.next() {
            match StreamDirection::parse(direction)? {
                StreamDirection::Send => sends += 1,
                StreamDirection::Recv => receives += 1,
            }
            let list = fields.next()?;
            let mut names = list.split([';', ',']).map(|name| name.strip_prefix('~').unwrap_or(name));
            if !names.all(is_rid) {
                return None;
            }
        }
        let is_whole = sends <= 1 && receives <= 1 && sends + receives > 0;
        is_whole.then_some(Self { text })
    }

    /// The streams of one way, best first: of each the names that stand for it by choice, and whether it pauses.
    pub fn streams(
        &self,
        direction: StreamDirection,
    ) -> impl Iterator<Item = impl Iterator<Item = (&'a str, bool)> + use<'a>> + use<'a> {
        let mut fields = self.text.split(' ');
        fields.find(|field| *field == direction.name());
        let lists = fields.next().into_iter().flat_map(|list| list.split(';'));
        lists.map(|choice| {
            choice.split(',').map(|name| match name.strip_prefix('~') {
                Some(name) => (name, true),
                None => (name, false),
            })
        })
    }
}

impl fmt::Display for Simulcast<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The stream that a track belongs to (RFC 8830 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Msid<'a> {
    /// The stream's name; `-` is none.
    pub id: &'a str,
    /// More of the application's: the track's name.
    pub track: Option<&'a str>,
}

impl<'a> Msid<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (id, track) = match text.split_once(' ') {
            Some((id, track)) => (id, Some(track)),
            None => (text, None),
        };
        is_token(id).then_some(Self { id, track })
    }

    /// The stream's name, if there is one.
    pub fn stream(&self) -> Option<&'a str> {
        Some(self.id).filter(|id| *id != "-")
    }
}

impl fmt::Display for Msid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)?;
        self.track.map_or(Ok(()), |track| write!(f, " {track}"))
    }
}

/// Something about one source (RFC 5576 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Source<'a> {
    /// Its SSRC.
    pub ssrc: u32,
    /// What is said: `cname`, for example.
    pub attribute: &'a str,
    /// The value, behind a colon.
    pub value: Option<&'a str>,
}

impl<'a> Source<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (ssrc, attribute) = text.split_once(' ')?;
        let ssrc = number(ssrc)?;
        let (attribute, value) = match attribute.split_once(':') {
            Some((attribute, value)) => (attribute, Some(value)),
            None => (attribute, None),
        };
        is_token(attribute).then_some(Self { ssrc, attribute, value })
    }
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ssrc, self.attribute)?;
        self.value.map_or(Ok(()), |value| write!(f, ":{value}"))
    }
}

/// Sources that belong together (RFC 5576 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SourceGroup<'a> {
    semantics: &'a str,
    /// With the blank before the first.
    ssrcs: &'a str,
}

impl<'a> SourceGroup<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (semantics, ssrcs) = text.split_at(text.find(' ').unwrap_or(text.len()));
        let all_numbers = ssrcs.split_ascii_whitespace().all(|ssrc| number::<u32>(ssrc).is_some());
        (is_token(semantics) && all_numbers).then_some(Self { semantics, ssrcs })
    }

    /// What the group is for: `FID` for a stream and its retransmissions, for example.
    pub const fn semantics(&self) -> &'a str {
        self.semantics
    }

    /// The SSRCs.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ssrcs.split_ascii_whitespace().filter_map(number)
    }
}

impl fmt::Display for SourceGroup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.semantics, self.ssrcs)
    }
}

/// Where RTCP goes that is not multiplexed (RFC 3605 §2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rtcp<'a> {
    /// The port.
    pub port: u16,
    /// The address, with its network and family.
    pub address: Option<&'a str>,
}

impl<'a> Rtcp<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (port, address) = match text.split_once(' ') {
            Some((port, address)) => (port, Some(address)),
            None => (text, None),
        };
        Some(Self { port: number(port)?, address })
    }
}

impl fmt::Display for Rtcp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.port)?;
        self.address.map_or(Ok(()), |address| write!(f, " {address}"))
    }
}

/// Reads the attributes of this module; `None` where it is another.
pub(crate) fn parse<'a>(
    name: &'a str,
    value: Option<&'a str>,
) -> Option<Result<Attribute<'a>, ParseErrorKind>> {
    let given = value.unwrap_or_default();
    let or_other = |attribute: Option<Attribute<'a>>| Ok(attribute.unwrap_or(Attribute::Other(name, value)));
    let must = |attribute: Option<Attribute<'a>>, name, source| {
        attribute.ok_or(ParseErrorKind::Attribute(name, source))
    };
    Some(match name {
        "rtpmap" => must(RtpMap::parse(given).map(Attribute::RtpMap), "rtpmap", "RFC 8866"),
        "fmtp" => must(Fmtp::parse(given).map(Attribute::Fmtp), "fmtp", "RFC 8866"),
        "rtcp-fb" => must(RtcpFeedback::parse(given).map(Attribute::RtcpFeedback), "rtcp-fb", "RFC 4585"),
        "extmap" => must(ExtMap::parse(given).map(Attribute::ExtMap), "extmap", "RFC 8285"),
        "extmap-allow-mixed" => Ok(Attribute::ExtMapAllowMixed),
        // RFC 8851 §6.3 and RFC 8853 §5.3 have a malformed one left out rather than the description refused.
        "rid" => or_other(Rid::parse(given).map(Attribute::Rid)),
        "simulcast" => or_other(Simulcast::parse(given).map(Attribute::Simulcast)),
        "msid" => must(Msid::parse(given).map(Attribute::Msid), "msid", "RFC 8830"),
        "ssrc" => must(Source::parse(given).map(Attribute::Source), "ssrc", "RFC 5576"),
        "ssrc-group" => must(SourceGroup::parse(given).map(Attribute::SourceGroup), "ssrc-group", "RFC 5576"),
        "rtcp" => must(Rtcp::parse(given).map(Attribute::Rtcp), "rtcp", "RFC 3605"),
        "rtcp-mux-only" => Ok(Attribute::RtcpMuxOnly),
        "rtcp-rsize" => Ok(Attribute::RtcpReducedSize),
        // RFC 8866 §6.4 allows fractions, which nobody needs.
        "ptime" => or_other(number(given).map(Attribute::PacketTime)),
        "maxptime" => or_other(number(given).map(Attribute::MaxPacketTime)),
        _ => return None,
    })
}

/// RFC 8851 §10, as far as RFC 8852 §3 can carry it in a packet.
fn is_rid(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// RFC 8285 §5: 4096 to 4351 are for the answerer to choose.
const MAX_EXTENSION_ID: u16 = 4351;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_are_read_and_written_alike() {
        for text in [
            "rtpmap:111 opus/48000/2",
            "rtpmap:96 VP8/90000",
            "fmtp:111 minptime=10;useinbandfec=1",
            "fmtp:63 111/111",
            "fmtp:webrtc-datachannel",
            "rtcp-fb:* nack pli",
            "rtcp-fb:96 goog-remb",
            "extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
            "extmap:14/recvonly urn:x some=thing more",
            "extmap:4351 urn:x",
            "extmap-allow-mixed",
            "rid:hi send pt=97,98;max-width=1280",
            "rid:lo recv",
            "simulcast:send 1,~4;2;3 recv c",
            "msid:- track",
            "msid:{stream}",
            "ssrc:4294967295 cname:some thing",
            "ssrc:1 fmtp",
            "ssrc-group:FID 1 2",
            "ssrc-group:SIM",
            "rtcp:9 IN IP4 0.0.0.0",
            "rtcp:9",
            "rtcp-mux-only",
            "rtcp-rsize",
            "ptime:20",
            "maxptime:60",
        ] {
            let attribute = Attribute::parse(text).unwrap();
            assert_eq!(attribute.to_string(), text);
            assert!(!matches!(attribute, Attribute::Other(..)), "{text}");
            assert!(text.starts_with(attribute.name()), "{text}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for text in [
            "rtpmap:128 VP8/90000",
            "rtpmap:96 VP8",
            "rtpmap:96 VP8/0",
            "rtpmap:96 /90000",
            "rtpmap:4294967392 VP8/90000",
            "rtpmap:-1 VP8/90000",
            "fmtp:",
            "rtcp-fb:96",
            "rtcp-fb:200 nack",
            "extmap:0 urn:x",
            "extmap:4352 urn:x",
            "extmap:65537 urn:x",
            "extmap:1",
            "extmap:1/sideways urn:x",
            "msid:",
            "ssrc:4294967296 cname:a",
            "ssrc:1",
            "ssrc-group:FID 1 x",
            "rtcp:65536",
        ] {
            assert!(Attribute::parse(text).is_err(), "{text}");
        }
        for text in [
            "rid:a b send",
            "rid:ä send",
            "rid:a sideways",
            "simulcast:send",
            "simulcast: send rid=a",
            "simulcast:send a send b",
            "simulcast:",
            "ptime:2.5",
        ] {
            assert!(matches!(Attribute::parse(text), Ok(Attribute::Other(..))), "{text}");
        }
    }

    #[test]
    fn what_a_value_holds_is_told() {
        let map = RtpMap::parse("111 opus/48000/2").unwrap();
        assert_eq!(
            (map.payload_type, map.encoding, map.clock_rate, map.channels()),
            (111, "opus", 48_000, 2)
        );
        assert_eq!(RtpMap::parse("0 PCMU/8000").unwrap().channels(), 1);
        let fmtp = Fmtp::parse("97 a=1; b = 2;flag;;c=x=y").unwrap();
        let pairs: Vec<_> = fmtp.pairs().collect();
        assert_eq!(pairs, [("a", Some("1")), ("b", Some("2")), ("flag", None), ("c", Some("x=y"))]);
        let simulcast = Simulcast::parse("send 1,~4;2 recv c").unwrap();
        let names = |direction| {
            simulcast.streams(direction).map(|choice| choice.collect()).collect::<Vec<Vec<(&str, bool)>>>()
        };
        assert_eq!(names(StreamDirection::Send), [vec![("1", false), ("4", true)], vec![("2", false)]]);
        assert_eq!(names(StreamDirection::Recv), [vec![("c", false)]]);
        let simulcast = Simulcast::parse("recv c").unwrap();
        assert_eq!(simulcast.streams(StreamDirection::Send).count(), 0);
        assert_eq!(SourceGroup::parse("FID 7 8").unwrap().ssrcs().collect::<Vec<_>>(), [7, 8]);
        assert_eq!(
            (Msid::parse("-").unwrap().stream(), Msid::parse("s t").unwrap().stream()),
            (None, Some("s"))
        );
    }
}
