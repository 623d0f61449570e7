use std::fmt;

/// Names a stream; each direction of an association has its own streams (RFC 9260 §1.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u16);

/// Payload protocol identifier: carried with every message, not looked at here (RFC 9260 §3.3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ppid(pub u32);

/// Transmission sequence number of a DATA chunk. It wraps, so it is compared with [`Tsn::precedes`]
/// and has no order of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Tsn(pub u32);

impl Tsn {
    /// Whether `self` comes before `other` in serial number arithmetic (RFC 9260 §1.6, RFC 1982).
    ///
    /// ```
    /// use sctp::Tsn;
    /// assert!(Tsn(u32::MAX).precedes(Tsn(0)));
    /// assert!(!Tsn(7).precedes(Tsn(7)));
    /// ```
    #[must_use]
    pub const fn precedes(self, other: Self) -> bool {
        let ahead = other.0.wrapping_sub(self.0);
        ahead != 0 && ahead < 1 << 31
    }

    /// The number `count` places on.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }
}

/// Stream sequence number of an ordered message; wraps (RFC 9260 §3.3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Ssn(pub u16);

/// A weight for the sender's scheduler: streams with something to send share the association's capacity
/// in proportion to it. The named values are those of RFC 8831 §6.4 and RFC 8832 §5.1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Priority(pub u16);

impl Priority {
    /// Below normal.
    pub const BELOW_NORMAL: Self = Self(128);
    /// Normal.
    pub const NORMAL: Self = Self(256);
    /// High.
    pub const HIGH: Self = Self(512);
    /// Extra high.
    pub const EXTRA_HIGH: Self = Self(1024);
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A TSN that does not wrap within the life of an association: the wire carries its low 32 bits. The
/// first one of an association lies one turn above zero, so that there is room below it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Serial(pub(crate) u64);

impl Serial {
    /// The serial of the first TSN of an association.
    pub(crate) const fn first(tsn: Tsn) -> Self {
        Self((1 << 32) + tsn.0 as u64)
    }

    /// The serial nearest to `self` whose low bits are `tsn`.
    pub(crate) fn near(self, tsn: Tsn) -> Self {
        let ahead = tsn.0.wrapping_sub(self.tsn().0);
        if ahead < 1 << 31 {
            self.plus(u64::from(ahead))
        } else {
            Self(self.0.saturating_sub(u64::from(ahead.wrapping_neg())))
        }
    }

    pub(crate) fn tsn(self) -> Tsn {
        Tsn(u32::try_from(self.0 & 0xffff_ffff).unwrap_or(0))
    }

    pub(crate) const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    pub(crate) const fn minus(self, count: u64) -> Self {
        Self(self.0.saturating_sub(count))
    }

    /// How far `self` lies behind `earlier`; zero if it does not.
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_follow_the_wrap_in_both_directions() {
        for start in [0u32, 1, 5, 1 << 31, u32::MAX - 2, u32::MAX] {
            let mut serial = Serial::first(Tsn(start));
            for step in [0u32, 1, 2, 1000, (1 << 31) - 1] {
                let next = serial.near(Tsn(serial.tsn().0.wrapping_add(step)));
                assert_eq!(next.since(serial), u64::from(step));
                let back = next.near(Tsn(next.tsn().0.wrapping_sub(step)));
                assert_eq!(back, serial);
                serial = next;
            }
        }
    }

    #[test]
    fn precedence_is_that_of_serial_numbers() {
        for a in [0u32, 1, (1 << 31) - 1, 1 << 31, u32::MAX] {
            assert!(!Tsn(a).precedes(Tsn(a)));
            assert!(Tsn(a).precedes(Tsn(a).plus(1)));
            assert!(Tsn(a).precedes(Tsn(a).plus((1 << 31) - 1)));
            assert!(!Tsn(a).precedes(Tsn(a).plus(1 << 31)));
            assert!(!Tsn(a).precedes(Tsn(a).plus(u32::MAX)));
        }
    }
}
