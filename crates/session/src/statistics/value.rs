use std::time::Duration;

/// A moment, as the time since 1970 by the clock that the session was [given](crate::WallClock): its seconds are whole, so that
/// it may be off by one, and differences are exact.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(pub Duration);

/// A member's value, as it is written out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Yes or no.
    Bool(bool),
    /// A number or an amount.
    Unsigned(u64),
    /// One that may be negative.
    Signed(i64),
    /// A number with a fraction: durations in seconds, moments in milliseconds since 1970.
    Real(f64),
    /// A word, a name, an id.
    Text(&'a str),
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<Duration> for Value<'_> {
    fn from(value: Duration) -> Self {
        Self::Real(value.as_secs_f64())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(Timestamp(since_1970): Timestamp) -> Self {
        Self::Real(since_1970.as_secs_f64() * 1000.0)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

/// A member by its name in the specification, and its value if it has one.
pub(crate) type Member<'a> = (&'static str, Option<Value<'a>>);

/// A member that there always is.
pub(super) fn some<'a>(name: &'static str, value: impl Into<Value<'a>>) -> Member<'a> {
    (name, Some(value.into()))
}

/// A member that there may be.
pub(super) fn maybe<'a, T: Into<Value<'a>>>(name: &'static str, value: Option<T>) -> Member<'a> {
    (name, value.map(Into::into))
}
