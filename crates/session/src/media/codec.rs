use std::borrow::Cow;

use rtp::PayloadType;
use rtp::payload::h264::ProfileLevelId;
use sdp::format_parameters;

use super::MediaKind;
use super::section::SectionCodec;

/// A codec that is spoken here.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Codec {
    /// What it is for.
    pub kind: MediaKind,
    /// Its registered name; case means nothing.
    pub name: Cow<'static, str>,
    /// Ticks of the RTP clock in a second.
    pub clock_rate: u32,
    /// Channels of audio; 1 of video.
    pub channels: u8,
    /// What we can receive, as `a=fmtp` says it: `profile-id=0`, for example.
    pub parameters: Cow<'static, str>,
    /// Feedback that is understood.
    pub feedback: Feedback,
    /// The payload type that offers have for it where it is free.
    pub payload_type: PayloadType,
    /// The payload type of retransmissions (RFC 4588), if there are any.
    pub rtx: Option<PayloadType>,
}

impl Codec {
    /// A codec without parameters and feedback. `None` where the payload type is none, or one that RTCP needs
    /// (RFC 5761 §4).
    pub fn new(
        kind: MediaKind,
        name: impl Into<Cow<'static, str>>,
        clock_rate: u32,
        payload_type: u8,
    ) -> Option<Self> {
        let payload_type = PayloadType::new(payload_type).filter(|it| !it.is_taken_for_rtcp())?;
        Some(Self {
            kind,
            name: name.into(),
            clock_rate,
            channels: 1,
            parameters: Cow::Borrowed(""),
            feedback: Feedback::NONE,
            payload_type,
            rtx: None,
        })
    }

    /// Redundant audio (RFC 2198) around Opus. Not among the defaults.
    pub fn red() -> Option<Self> {
        Some(Self { channels: 2, ..Self::new(MediaKind::Audio, "red", 48_000, 63)? })
    }

    /// Repair of video inside of its own stream: RED (RFC 2198), and ULPFEC (RFC 5109). Not among the defaults. RED has retransmissions
    /// of its own here: without those, browsers send nothing again of what went inside of it.
    pub fn ulpfec() -> Option<[Self; 2]> {
        let [red, ulpfec] = [("red", 116), ("ulpfec", 117)]
            .map(|(name, payload_type)| Self::new(MediaKind::Video, name, 90_000, payload_type));
        Some([Self { rtx: PayloadType::new(115), ..red? }, ulpfec?])
    }

    /// Whether it is the same but for capitals in its name.
    pub(crate) fn is_spelt_as(&self, other: &Self) -> bool {
        let has_name = self.name.eq_ignore_ascii_case(&other.name);
        has_name && *self == Self { name: self.name.clone(), ..other.clone() }
    }

    /// Whether `theirs` is the same configuration of the same codec: the formats' own rules about which parameters must be
    /// equal.
    pub(crate) fn fits(&self, theirs: &SectionCodec<'_>) -> bool {
        is_same(
            Configuration::of(&self.name, self.clock_rate, self.channels, &self.parameters),
            Configuration::of(theirs.name, theirs.clock_rate, theirs.channels, theirs.parameters),
        )
    }

    /// The parameters of an answer to `offered`: what we can receive.
    pub(crate) fn answer_parameters(&self, offered: &SectionCodec<'_>) -> String {
        if !self.name.eq_ignore_ascii_case("h264") {
            return self.parameters.clone().into_owned();
        }
        // RFC 6184 §8.2.2: the level is each side's own if both allow that, and the lower one if not.
        let allows = |text| parameter(text, "level-asymmetry-allowed") == Some("1");
        let asymmetric = allows(offered.parameters) && allows(&self.parameters);
        let (theirs, ours) = (profile_level(offered.parameters), profile_level(&self.parameters));
        let level = theirs
            .zip(ours)
            .and_then(|(theirs, ours)| rtp::payload::h264::answer_level(theirs, ours, asymmetric));
        let mut text = String::new();
        for (name, value) in format_parameters(&self.parameters) {
            if !text.is_empty() {
                text.push(';');
            }
            text.push_str(name);
            let level = level.filter(|_| name.eq_ignore_ascii_case("profile-level-id"));
            match (level, value) {
                (Some(level), _) => text.push_str(&format!("={level}")),
                (None, Some(value)) => text.push_str(&format!("={value}")),
                (None, None) => {}
            }
        }
        text
    }
}

/// What accompanies others.
pub(super) fn is_auxiliary(name: &str) -> bool {
    name.eq_ignore_ascii_case("telephone-event") || name.eq_ignore_ascii_case("CN")
}

/// Whether a codec is there only beside others: redundancy, repair, comfort noise.
pub(crate) fn helps_others(name: &str) -> bool {
    ["red", "ulpfec", "flexfec-03", "CN"].iter().any(|helper| helper.eq_ignore_ascii_case(name))
}

/// What two payload types have in common that mean the same.
#[derive(Clone, Copy)]
pub(crate) struct Configuration<'a> {
    name: &'a str,
    clock_rate: u32,
    channels: u8,
    parameters: &'a str,
}

impl<'a> Configuration<'a> {
    pub(crate) const fn of(name: &'a str, clock_rate: u32, channels: u8, parameters: &'a str) -> Self {
        Self { name, clock_rate, channels, parameters }
    }
}

/// Whether both are the same configuration of a codec.
pub(crate) fn is_same(a: Configuration<'_>, b: Configuration<'_>) -> bool {
    if !a.name.eq_ignore_ascii_case(b.name) || a.clock_rate != b.clock_rate || a.channels != b.channels {
        return false;
    }
    let same = |name, default| {
        let of = |text| parameter(text, name).unwrap_or(default);
        of(a.parameters).eq_ignore_ascii_case(of(b.parameters))
    };
    match a.name.to_ascii_lowercase().as_str() {
        // RFC 6184 §8.2.2: profile and packetization mode; the level may differ.
        "h264" => {
            let profile = |text| profile_level(text).map(|level| level.profile);
            same("packetization-mode", "0")
                && profile(a.parameters).is_some()
                && profile(a.parameters) == profile(b.parameters)
        }
        // RFC 9628 §6.1.
        "vp9" => same("profile-id", "0"),
        // RTP payload format for AV1, section 7.2: levels may differ.
        "av1" => same("profile", "0") && same("tier", "0"),
        // RFC 7798 §7.2.2: profile, tier and how many streams; levels may differ.
        "h265" => same("profile-id", "1") && same("tier-flag", "0") && same("tx-mode", "SRST"),
        _ => true,
    }
}

fn profile_level(parameters: &str) -> Option<ProfileLevelId> {
    match parameter(parameters, "profile-level-id") {
        Some(text) => text.parse().ok(),
        None => Some(ProfileLevelId::DEFAULT),
    }
}

/// The value of a parameter; names are compared without regard to case.
pub(crate) fn parameter<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    format_parameters(text).find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value?))
}

/// Kinds of feedback (`a=rtcp-fb`) that are understood.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Feedback(u16);

impl Feedback {
    /// None.
    pub const NONE: Self = Self(0);
    /// Packets that are missing (RFC 4585 §6.2.1).
    pub const NACK: Self = Self(1);
    /// A picture was lost (RFC 4585 §6.3.1).
    pub const NACK_PLI: Self = Self(2);
    /// A key frame is wanted (RFC 5104 §4.3.1).
    pub const CCM_FIR: Self = Self(4);
    /// The bit rate is to be limited (RFC 5104 §4.2.1).
    pub const CCM_TMMBR: Self = Self(8);
    /// The receiver's estimate of what the path carries (draft-alvestrand-rmcat-remb).
    pub const GOOG_REMB: Self = Self(16);
    /// When each packet of the transport arrived (draft-holmer-rmcat-transport-wide-cc-extensions).
    pub const TRANSPORT_CC: Self = Self(32);
    /// The same, as a standard (RFC 8888).
    pub const ACK_CCFB: Self = Self(64);
    /// What video has by default.
    pub const VIDEO: Self = Self(1 | 2 | 4 | 16 | 32);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The values of `a=rtcp-fb`.
    pub fn values(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(kind, _)| self.contains(*kind)).map(|(_, name)| *name)
    }

    /// What a value of `a=rtcp-fb` means; nothing if it is not known.
    pub(crate) fn parse(value: &str) -> Self {
        let known = NAMES.iter().find(|(_, name)| name.split(' ').eq(value.split_ascii_whitespace()));
        known.map_or(Self::NONE, |(kind, _)| *kind)
    }
}

const NAMES: [(Feedback, &str); 7] = [
    (Feedback::GOOG_REMB, "goog-remb"),
    (Feedback::TRANSPORT_CC, "transport-cc"),
    (Feedback::ACK_CCFB, "ack ccfb"),
    (Feedback::CCM_FIR, "ccm fir"),
    (Feedback::CCM_TMMBR, "ccm tmmbr"),
    (Feedback::NACK, "nack"),
    (Feedback::NACK_PLI, "nack pli"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn same(name: &str, a: &str, b: &str) -> bool {
        let of = |parameters| Configuration::of(name, 90_000, 1, parameters);
        is_same(of(a), of(b))
    }

    #[test]
    fn parameters_decide_whether_codecs_are_the_same() {
        for (name, a, b, expected) in [
            ("VP8", "max-fs=1", "", true),
            (
                "H264",
                "profile-level-id=42e01f;packetization-mode=1",
                "packetization-mode=1;profile-level-id=42E034",
                true,
            ),
            (
                "H264",
                "profile-level-id=42e01f;packetization-mode=1",
                "profile-level-id=4d8028;packetization-mode=1",
                true,
            ),
            ("H264", "profile-level-id=42e01f;packetization-mode=1", "profile-level-id=42e01f", false),
            ("H264", "profile-level-id=42e01f", "profile-level-id=64001f", false),
            ("H264", "profile-level-id=42000a", "", true),
            ("H264", "profile-level-id=xyz", "profile-level-id=xyz", false),
            ("VP9", "profile-id=0", "", true),
            ("VP9", "profile-id=2", "", false),
            ("AV1", "level-idx=5;profile=0;tier=0", "", true),
            ("AV1", "profile=1", "", false),
            ("AV1", "tier=1", "", false),
            ("H265", "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST", "level-id=180", true),
            ("H265", "profile-id=2", "", false),
            ("H265", "tx-mode=MRST", "", false),
        ] {
            assert_eq!(same(name, a, b), expected, "{name}: {a} and {b}");
            assert_eq!(same(name, b, a), expected, "{name}: {b} and {a}");
        }
        let opus = |channels| Configuration::of("opus", 48_000, channels, "");
        assert!(!is_same(opus(2), opus(1)) && is_same(opus(2), Configuration::of("OPUS", 48_000, 2, "x=1")));
        assert!(!is_same(opus(2), Configuration::of("opus", 16_000, 2, "")));
    }

    #[test]
    fn the_level_of_an_answer_is_ours_or_the_lower_one() {
        let mut ours = Codec::new(MediaKind::Video, "H264", 90_000, 102).unwrap();
        ours.parameters = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".into();
        let answer = |parameters| {
            let offered = SectionCodec {
                payload_type: PayloadType::new(96).unwrap(),
                name: "H264",
                clock_rate: 90_000,
                channels: 1,
                parameters,
                feedback: Feedback::NONE,
                rtx: None,
            };
            ours.answer_parameters(&offered)
        };
        let with =
            |level: &str| format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={level}");
        assert_eq!(
            answer("profile-level-id=42e034;packetization-mode=1;level-asymmetry-allowed=1"),
            with("42e01f")
        );
        assert_eq!(
            answer("profile-level-id=42e00c;packetization-mode=1;level-asymmetry-allowed=1"),
            with("42e01f")
        );
        assert_eq!(answer("profile-level-id=42e00c;packetization-mode=1"), with("42e00c"));
        assert_eq!(answer("profile-level-id=42e034;packetization-mode=1"), with("42e01f"));
    }

    #[test]
    fn feedback_is_read_and_written_by_its_names() {
        for (kind, name) in NAMES {
            assert_eq!(Feedback::parse(name), kind);
            assert!(kind.values().eq([name]));
        }
        assert_eq!(Feedback::parse("nack  pli"), Feedback::NACK_PLI);
        assert_eq!((Feedback::parse("nack sli"), Feedback::parse("")), (Feedback::NONE, Feedback::NONE));
        assert_eq!(Feedback::VIDEO.values().count(), 5);
        assert!(Feedback::VIDEO.and(Feedback::NACK).contains(Feedback::NACK));
    }
}
