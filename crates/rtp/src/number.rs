//! Identifiers and numbers of RTP. Those that wrap compare as RFC 1982 and RFC 3550 have it.
#![deny(clippy::arithmetic_side_effects)]

use std::fmt;
use std::time::Duration;

/// What a packet's payload is, as the session's description says: 0 to 127.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PayloadType(u8);

impl PayloadType {
    /// `None` above 127.
    pub const fn new(value: u8) -> Option<Self> {
        if value < 128 { Some(Self(value)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether this cannot be told from RTCP on the same port: 64 to 95 (RFC 5761 §4).
    pub const fn is_taken_for_rtcp(self) -> bool {
        matches!(self.0, 64..=95)
    }

    pub(crate) const fn of_low_bits(byte: u8) -> Self {
        Self(byte & 0x7f)
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of a packet in its stream; wraps after 65,535.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SequenceNumber(pub u16);

impl SequenceNumber {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.wrapping_add(1)
    }

    /// The number `count` after this one.
    #[must_use]
    pub const fn wrapping_add(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// How far this is behind `earlier`, counted upwards: 0 to 65,535.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u16 {
        self.0.wrapping_sub(earlier.0)
    }

    /// How far this is from `other` by the shorter way: negative if before it.
    #[must_use]
    pub const fn distance(self, other: Self) -> i16 {
        self.since(other).cast_signed()
    }

    /// Whether this comes after `other` by the shorter way. Of two that are 32,768 apart neither does.
    #[must_use]
    pub const fn is_newer_than(self, other: Self) -> bool {
        self.distance(other) > 0
    }

    /// The number without wrapping that ends in this one and is the nearest to `near`; not below zero.
    #[must_use]
    pub fn extend(self, near: u64) -> u64 {
        let [.., a, b] = near.to_be_bytes();
        let ahead = self.distance(Self(u16::from_be_bytes([a, b])));
        near.checked_add_signed(ahead.into()).unwrap_or_else(|| self.0.into())
    }
}

impl From<u64> for SequenceNumber {
    /// The low 16 bits of an extended number.
    fn from(extended: u64) -> Self {
        let [.., a, b] = extended.to_be_bytes();
        Self(u16::from_be_bytes([a, b]))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The instant that a packet's first sample was taken, in ticks of the payload's clock; wraps.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct RtpTimestamp(pub u32);

impl RtpTimestamp {
    /// The instant `ticks` after this one.
    #[must_use]
    pub const fn wrapping_add(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// How far this is from `other` by the shorter way, in ticks: negative if before it.
    #[must_use]
    pub const fn distance(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// Whether this comes after `other` by the shorter way.
    #[must_use]
    pub const fn is_newer_than(self, other: Self) -> bool {
        self.distance(other) > 0
    }

    /// The instant without wrapping that ends in this one and is the nearest to `near`; not below zero.
    #[must_use]
    pub fn extend(self, near: u64) -> u64 {
        let [.., a, b, c, d] = near.to_be_bytes();
        let ahead = self.distance(Self(u32::from_be_bytes([a, b, c, d])));
        near.checked_add_signed(ahead.into()).unwrap_or_else(|| self.0.into())
    }
}

impl fmt::Display for RtpTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A time of day as RTCP tells it: seconds since 1900 in units of 2⁻³² s (RFC 3550 §4).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since 1970; wraps in 2036 as the format does.
    #[must_use]
    pub fn from_unix(since_1970: Duration) -> Self {
        let seconds = since_1970.as_secs().wrapping_add(SECONDS_TO_1970);
        let fraction = u64::from(since_1970.subsec_nanos()).wrapping_shl(32) / 1_000_000_000;
        Self(seconds.wrapping_shl(32) | fraction)
    }

    /// The time since 1970; before 1970 there is none, so that what the format shows belongs to the years until 2106.
    #[must_use]
    pub fn to_unix(self) -> Duration {
        const SHORT: u64 = SECONDS_TO_1970 & 0xffff_ffff;
        let seconds = (self.0 >> 32).wrapping_sub(SHORT) & 0xffff_ffff;
        // To the nearest: what was made of whole nanoseconds is these again.
        let fraction = (self.0 & 0xffff_ffff).wrapping_mul(1_000_000_000).wrapping_add(1 << 31);
        Duration::from_secs(seconds).saturating_add(Duration::from_nanos(fraction >> 32))
    }

    /// The middle 32 bits, in units of 2⁻¹⁶ s, as reports repeat them (RFC 3550 §6.4.1, LSR).
    #[must_use]
    pub const fn middle(self) -> u32 {
        let [_, _, a, b, c, d, _, _] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

const SECONDS_TO_1970: u64 = 2_208_988_800;

/// The name of a media section (RFC 9143): a token of at most [`Mid::MAX_LEN`] bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mid(Name);

/// The name of a stream within a media section (RFC 8851, RFC 8852): letters, digits, `-` and `_`, at
/// most [`Rid::MAX_LEN`] bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Rid(Name);

impl Mid {
    /// As long as a UUID is as text; names in one-byte elements have 16 at most.
    pub const MAX_LEN: usize = MAX_NAME;

    /// `None` if it is empty, too long or no token (RFC 8866 §9).
    pub fn new(name: &[u8]) -> Option<Self> {
        Name::new(name, is_token).map(Self)
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name, which is ASCII.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Rid {
    /// As long as a UUID is as text; names in one-byte elements have 16 at most.
    pub const MAX_LEN: usize = MAX_NAME;

    /// `None` if it is empty, too long or has other characters.
    pub fn new(name: &[u8]) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        Name::new(name, allowed).map(Self)
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name, which is ASCII.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const MAX_NAME: usize = 36;

/// Bytes behind the name are zero, so that equal names are equal values.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Name {
    bytes: [u8; MAX_NAME],
    len: u8,
}

impl Name {
    fn new(name: &[u8], allowed: impl Fn(u8) -> bool) -> Option<Self> {
        if name.is_empty() || !name.iter().all(|byte| allowed(*byte)) {
            return None;
        }
        let mut bytes = [0; MAX_NAME];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self { bytes, len: u8::try_from(name.len()).ok()? })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

const fn is_token(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x27 | 0x2a | 0x2b | 0x2d | 0x2e | 0x30..=0x39 | 0x41..=0x5a | 0x5e..=0x7e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printed_as_they_are_read() {
        assert_eq!(
            format!("{:?} {:?}", Rid::new(b"high"), Mid::new(b"0")),
            r#"Some(Rid("high")) Some(Mid("0"))"#
        );
    }

    #[test]
    fn numbers_compare_across_the_place_where_they_wrap() {
        for (newer, older, distance) in [(0, 65_535, 1), (5, 65_530, 11), (0x8000, 1, 0x7fff), (7, 6, 1)] {
            let (newer, older) = (SequenceNumber(newer), SequenceNumber(older));
            assert!(newer.is_newer_than(older) && !older.is_newer_than(newer));
            assert_eq!((newer.distance(older), older.distance(newer)), (distance, -distance));
            assert_eq!(older.wrapping_add(newer.since(older)), newer);
        }
        let apart = [SequenceNumber(0), SequenceNumber(0x8000)];
        assert!(!apart[0].is_newer_than(apart[1]) && !apart[1].is_newer_than(apart[0]));
        assert!(!apart[0].is_newer_than(apart[0]));
        assert_eq!(SequenceNumber(65_535).next(), SequenceNumber(0));
        assert!(RtpTimestamp(3).is_newer_than(RtpTimestamp(u32::MAX)));
        assert_eq!(RtpTimestamp(3).distance(RtpTimestamp(u32::MAX - 1)), 5);
        assert_eq!(RtpTimestamp(u32::MAX).wrapping_add(4), RtpTimestamp(3));
    }

    #[test]
    fn an_extended_number_is_the_nearest_one() {
        for (number, near, extended) in [
            (3, 65_534, 65_539),
            (65_534, 65_539, 65_534),
            (65_534, 3, 65_534),
            (9, 9, 9),
            (10, (7 << 16) + 5, (7 << 16) + 10),
            (0xffff, 7 << 16, (7 << 16) - 1),
        ] {
            assert_eq!(SequenceNumber(number).extend(near), extended);
            assert_eq!(SequenceNumber::from(extended), SequenceNumber(number));
        }
        assert_eq!(RtpTimestamp(5).extend(u64::from(u32::MAX)), (1 << 32) + 5);
        assert_eq!(RtpTimestamp(u32::MAX).extend(1 << 33), (1 << 33) - 1);
        assert_eq!(RtpTimestamp(u32::MAX).extend(0), u64::from(u32::MAX));
        assert_eq!(SequenceNumber(3).extend(u64::MAX), 3);
    }

    #[test]
    fn payload_types_have_seven_bits() {
        assert_eq!(PayloadType::new(127).map(PayloadType::get), Some(127));
        assert_eq!(PayloadType::new(128), None);
        let confused: Vec<u8> =
            (0..128).filter(|n| PayloadType::of_low_bits(*n).is_taken_for_rtcp()).collect();
        assert_eq!((confused.first(), confused.last(), confused.len()), (Some(&64), Some(&95), 32));
    }

    #[test]
    fn names_have_their_characters_and_their_limit() {
        assert_eq!(Mid::new(b"audio-1").unwrap().as_str(), "audio-1");
        assert_eq!(Rid::new(b"h_1").unwrap().to_string(), "h_1");
        for bad in [&b""[..], b"a b", b"a\0", b"a,b", b"\xc3\xa4", b"a:b"] {
            assert_eq!(Mid::new(bad), None);
            assert_eq!(Rid::new(bad), None);
        }
        assert_eq!(Rid::new(b"a.b"), None);
        assert_eq!(Mid::new(&[b'a'; Mid::MAX_LEN]).unwrap().as_bytes().len(), 36);
        assert_eq!(Mid::new(&[b'a'; Mid::MAX_LEN + 1]), None);
        assert_eq!(Rid::new(&[b'a'; Rid::MAX_LEN]).unwrap().as_bytes().len(), 36);
        assert_eq!(Rid::new(&[b'a'; Rid::MAX_LEN + 1]), None);
    }

    #[test]
    fn ntp_time_counts_from_1900() {
        let time = NtpTime::from_unix(Duration::new(1, 500_000_000));
        assert_eq!(time.to_unix(), Duration::new(1, 500_000_000));
        let late = Duration::new(2_500_000_000, 123_456_789);
        assert_eq!(NtpTime::from_unix(late).to_unix(), late, "after the wrap");
        assert_eq!(time.0, (2_208_988_801 << 32) | 1 << 31);
        assert_eq!(NtpTime(0x1122_3344_5566_7788).middle(), 0x3344_5566);
        // 2036-02-07T06:28:16Z, when the seconds are zero again.
        assert_eq!(NtpTime::from_unix(Duration::from_secs(2_085_978_496)).0, 0);
    }
}
