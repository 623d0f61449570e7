//! How much of a long test is run.

/// How often a test repeats itself, out of the `full` number that its requirement names.
///
/// The environment variable `PEERLINE_SCALE` is the share: 0.01 if it is not set, as in CI, and 1 by
/// `cargo xtask threats`, which runs everything as it is written. It is never less than one.
///
/// # Panics
///
/// If the variable is no number above 0.
#[must_use]
pub fn scaled(full: u64) -> u64 {
    scaled_at_least(full, 1)
}

/// The same, but never below `least`, for what proves nothing when it is rare.
///
/// # Panics
///
/// If the variable is no number above 0.
#[must_use]
pub fn scaled_at_least(full: u64, least: u64) -> u64 {
    let share = match std::env::var("PEERLINE_SCALE").map(|text| text.parse::<f64>()) {
        Ok(Ok(share)) => share,
        Ok(Err(_)) => f64::NAN,
        Err(_) => DEFAULT_SHARE,
    };
    assert!(share > 0.0, "PEERLINE_SCALE must be a number above 0");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a count of repetitions need not be exact"
    )]
    let count = (full as f64 * share).ceil() as u64;
    count.max(least.min(full))
}

const DEFAULT_SHARE: f64 = 0.01;
