//! What the parameter `profile-level-id` says, and when two of them go together (RFC 6184 §8.1, §8.2.2).

use core::fmt;

/// The parameter `profile-level-id`: profile and level of a stream (RFC 6184 §8.1).
///
/// Two values with other bytes may mean the same profile, which is why they are compared by what they mean:
///
/// ```
/// use rtp::payload::h264::{Level, Profile, ProfileLevelId};
/// let offered: ProfileLevelId = "42e01f".parse()?;
/// let ours: ProfileLevelId = "4d8028".parse()?;
/// assert_eq!(offered.profile, Profile::ConstrainedBaseline);
/// assert_eq!(offered.profile, ours.profile);
/// assert!(offered.level < ours.level);
/// assert_eq!((offered.level, offered.to_string()), (Level::L3_1, "42e01f".to_owned()));
/// # Ok::<_, rtp::payload::h264::UnknownProfile>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProfileLevelId {
    /// The profile, or the part of one, that the stream keeps to.
    pub profile: Profile,
    /// The highest level.
    pub level: Level,
}

/// The profiles of RFC 6184 table 5, and Constrained High, which came later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    Extended,
    ConstrainedHigh,
    High,
    High10,
    High422,
    High444Predictive,
    High10Intra,
    High422Intra,
    High444Intra,
    Cavlc444Intra,
}

/// The levels of H.264 table A-1, in their order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    L1,
    L1b,
    L1_1,
    L1_2,
    L1_3,
    L2,
    L2_1,
    L2_2,
    L3,
    L3_1,
    L3_2,
    L4,
    L4_1,
    L4_2,
    L5,
    L5_1,
    L5_2,
    L6,
    L6_1,
    L6_2,
}

impl ProfileLevelId {
    /// What is meant where the parameter is missing: Baseline at level 1 (RFC 6184 §8.1).
    pub const DEFAULT: Self = Self { profile: Profile::Baseline, level: Level::L1 };

    /// Reads profile_idc, profile-iop and level_idc; `None` of a profile or level that is not known.
    pub fn from_bytes([idc, iop, level_idc]: [u8; 3]) -> Option<Self> {
        let row = PROFILES.iter().find(|row| row.idc == idc && iop & row.mask == row.value)?;
        let level = match (level_idc, has_flag_for_1b(row.profile)) {
            // H.264 A.3.4: level 1b is 11 with constraint_set3_flag in the older profiles, and 9 in the later ones.
            (11, true) if iop & SET3 != 0 => Level::L1b,
            (9, false) => Level::L1b,
            _ => LEVELS.iter().find(|(number, _)| *number == level_idc)?.1,
        };
        Some(Self { profile: row.profile, level })
    }

    /// The three bytes, in the form that is usual for the profile.
    pub fn to_bytes(self) -> [u8; 3] {
        let (idc, mut iop) = match self.profile {
            Profile::ConstrainedBaseline => (0x42, 0xe0),
            Profile::Baseline => (0x42, 0),
            Profile::Main => (0x4d, 0),
            Profile::Extended => (0x58, 0),
            Profile::ConstrainedHigh => (0x64, 0x0c),
            Profile::High => (0x64, 0),
            Profile::High10 => (0x6e, 0),
            Profile::High422 => (0x7a, 0),
            Profile::High444Predictive => (0xf4, 0),
            Profile::High10Intra => (0x6e, SET3),
            Profile::High422Intra => (0x7a, SET3),
            Profile::High444Intra => (0xf4, SET3),
            Profile::Cavlc444Intra => (0x2c, SET3),
        };
        let level_idc = match (self.level, has_flag_for_1b(self.profile)) {
            (Level::L1b, true) => {
                iop |= SET3;
                11
            }
            (Level::L1b, false) => 9,
            (level, _) => LEVELS.iter().find(|(_, known)| *known == level).map_or(0, |(number, _)| *number),
        };
        [idc, iop, level_idc]
    }
}

/// The profile-level-id of an answer, or `None` if the profiles do not go together (RFC 6184 §8.2.2).
///
/// The answer has the offer's profile. If both sides have said `level-asymmetry-allowed=1`, it has the level that we can receive,
/// whatever the peer's is; otherwise the lower one counts in both directions. The packetization modes have to be the same as well.
pub fn answer_level(
    offered: ProfileLevelId,
    ours: ProfileLevelId,
    asymmetry_allowed: bool,
) -> Option<ProfileLevelId> {
    let level = if asymmetry_allowed { ours.level } else { ours.level.min(offered.level) };
    (offered.profile == ours.profile).then_some(ProfileLevelId { profile: ours.profile, level })
}

impl std::str::FromStr for ProfileLevelId {
    type Err = UnknownProfile;

    /// Six hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        let digits = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, 16).ok().filter(|_| digits).ok_or(UnknownProfile)?;
        let [_, bytes @ ..] = number.to_be_bytes();
        Self::from_bytes(bytes).ok_or(UnknownProfile)
    }
}

impl fmt::Display for ProfileLevelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is no profile-level-id, or one of a profile or level that is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownProfile;

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no profile-level-id of a known profile and level")
    }
}

impl core::error::Error for UnknownProfile {}

const fn has_flag_for_1b(profile: Profile) -> bool {
    matches!(profile, Profile::ConstrainedBaseline | Profile::Baseline | Profile::Main | Profile::Extended)
}

struct Row {
    idc: u8,
    mask: u8,
    value: u8,
    profile: Profile,
}

const fn row(idc: u8, mask: u8, value: u8, profile: Profile) -> Row {
    Row { idc, mask, value, profile }
}

/// constraint_set3_flag in profile-iop.
const SET3: u8 = 0x10;

/// RFC 6184 table 5: profile_idc, which bits of profile-iop count, and what they are.
const PROFILES: &[Row] = &[
    row(0x42, 0x4f, 0x40, Profile::ConstrainedBaseline),
    row(0x4d, 0x8f, 0x80, Profile::ConstrainedBaseline),
    row(0x58, 0xcf, 0xc0, Profile::ConstrainedBaseline),
    row(0x42, 0x4f, 0x00, Profile::Baseline),
    row(0x58, 0xcf, 0x80, Profile::Baseline),
    row(0x4d, 0xaf, 0x00, Profile::Main),
    row(0x58, 0xcf, 0x00, Profile::Extended),
    row(0x64, 0xff, 0x00, Profile::High),
    row(0x64, 0xff, 0x0c, Profile::ConstrainedHigh),
    row(0x6e, 0xff, 0x00, Profile::High10),
    row(0x7a, 0xff, 0x00, Profile::High422),
    row(0xf4, 0xff, 0x00, Profile::High444Predictive),
    row(0x6e, 0xff, 0x10, Profile::High10Intra),
    row(0x7a, 0xff, 0x10, Profile::High422Intra),
    row(0xf4, 0xff, 0x10, Profile::High444Intra),
    row(0x2c, 0xff, 0x10, Profile::Cavlc444Intra),
];

/// level_idc (H.264 A.3).
const LEVELS: &[(u8, Level)] = &[
    (10, Level::L1),
    (11, Level::L1_1),
    (12, Level::L1_2),
    (13, Level::L1_3),
    (20, Level::L2),
    (21, Level::L2_1),
    (22, Level::L2_2),
    (30, Level::L3),
    (31, Level::L3_1),
    (32, Level::L3_2),
    (40, Level::L4),
    (41, Level::L4_1),
    (42, Level::L4_2),
    (50, Level::L5),
    (51, Level::L5_1),
    (52, Level::L5_2),
    (60, Level::L6),
    (61, Level::L6_1),
    (62, Level::L6_2),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ProfileLevelId {
        text.parse().unwrap()
    }

    #[test]
    fn every_way_to_write_a_profile_is_understood() {
        let cases = [
            ("42e01f", Profile::ConstrainedBaseline),
            ("42c01f", Profile::ConstrainedBaseline),
            ("42401f", Profile::ConstrainedBaseline),
            ("4d801f", Profile::ConstrainedBaseline),
            ("4df01f", Profile::ConstrainedBaseline),
            ("58c01f", Profile::ConstrainedBaseline),
            ("42001f", Profile::Baseline),
            ("42a01f", Profile::Baseline),
            ("58801f", Profile::Baseline),
            ("4d001f", Profile::Main),
            ("4d401f", Profile::Main),
            ("58001f", Profile::Extended),
            ("64001f", Profile::High),
            ("640c1f", Profile::ConstrainedHigh),
            ("6e001f", Profile::High10),
            ("7a001f", Profile::High422),
            ("f4001f", Profile::High444Predictive),
            ("6e101f", Profile::High10Intra),
            ("7a101f", Profile::High422Intra),
            ("f4101f", Profile::High444Intra),
            ("2c101f", Profile::Cavlc444Intra),
        ];
        for (text, profile) in cases {
            assert_eq!(id(text), ProfileLevelId { profile, level: Level::L3_1 }, "{text}");
        }
        for bad in
            ["", "42e0", "42e01f0", "+2e01f", "42e0ff", "64081f", "42e81f", "ff001f", "42e00b9", "42é0f"]
        {
            assert_eq!(bad.parse::<ProfileLevelId>(), Err(UnknownProfile), "{bad}");
        }
    }

    #[test]
    fn level_1b_is_written_in_two_ways() {
        assert_eq!(id("42f00b").level, Level::L1b);
        assert_eq!(id("42e00b").level, Level::L1_1);
        assert_eq!(id("640009").level, Level::L1b);
        assert_eq!("42e009".parse::<ProfileLevelId>(), Err(UnknownProfile));
        assert!(Level::L1 < Level::L1b && Level::L1b < Level::L1_1);
        assert_eq!(id("42f00b").to_string(), "42f00b");
        assert_eq!(id("640009").to_string(), "640009");
    }

    #[test]
    fn what_is_written_is_read_alike() {
        for row in PROFILES {
            for level in LEVELS.iter().map(|(_, level)| *level).chain([Level::L1b]) {
                let id = ProfileLevelId { profile: row.profile, level };
                assert_eq!(ProfileLevelId::from_bytes(id.to_bytes()), Some(id));
            }
        }
    }

    #[test]
    fn an_answer_has_the_lower_level_unless_both_allow_asymmetry() {
        let (low, high) = (id("42e00d"), id("42e028"));
        assert_eq!(answer_level(low, high, false), Some(low));
        assert_eq!(answer_level(high, low, false), Some(low));
        assert_eq!(answer_level(low, high, true), Some(high));
        assert_eq!(answer_level(high, low, true), Some(low));
        assert_eq!(answer_level(id("42001f"), id("42e01f"), true), None);
        assert_eq!(answer_level(id("64001f"), id("640c1f"), false), None);
        assert_eq!(answer_level(id("4d801f"), id("42e01f"), false), Some(id("42e01f")));
    }

    #[test]
    fn without_the_parameter_it_is_baseline_at_level_1() {
        assert_eq!(ProfileLevelId::DEFAULT.to_bytes(), [0x42, 0, 10]);
    }
}
