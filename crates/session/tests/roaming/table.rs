//! Runs a scenario for many seeds, compares what it took with the figure, and leaves a row for docs/roaming.md.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What came of a session.
pub struct Outcome {
    /// How long what the figure limits has taken.
    pub took: Duration,
    /// Reliable bytes, or for what says so datagrams, that were sent and did not come.
    pub lost: u64,
}

/// What a scenario must keep to.
pub struct Figure {
    /// Its number in THREATS §3.2.
    pub number: u32,
    /// In words, for the table.
    pub text: &'static str,
    pub median: Option<Duration>,
    pub p99: Option<Duration>,
    pub worst: Option<Duration>,
    /// So many of a thousand sessions take no longer than this.
    pub share: Option<(u64, Duration)>,
}

impl Figure {
    pub const fn new(number: u32, text: &'static str) -> Self {
        Self { number, text, median: None, p99: None, worst: None, share: None }
    }
}

/// Runs `session` for each seed. `name` is the test's, so that one seed of it alone can be run again.
pub fn measure(name: &str, figure: &Figure, mut session: impl FnMut(u64) -> Outcome) {
    let from_environment = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let first: u64 = from_environment("PEERLINE_ROAMING_SEED").unwrap_or(0);
    let count: u64 =
        from_environment("PEERLINE_ROAMING_SEEDS").unwrap_or_else(|| testkit::scaled_at_least(1000, 200));
    let (mut took, mut lost, mut broken, mut slowest) = (Vec::new(), 0, Vec::new(), (Duration::ZERO, 0));
    for seed in first..first + count {
        match catch_unwind(AssertUnwindSafe(|| session(seed))) {
            Ok(outcome) => {
                slowest = slowest.max((outcome.took, seed));
                took.push(outcome.took);
                lost += outcome.lost;
            }
            Err(_) => {
                println!("replay: {}", replay(name, seed));
                broken.push(seed);
            }
        }
    }
    took.sort_unstable();
    let at =
        |percent: usize| took.get(took.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
    let (median, p99, worst) = (at(50), at(99), at(100));
    println!(
        "{name}: {count} sessions from seed {first}: median {median:?}, p99 {p99:?}, worst {worst:?}, {} broken, {lost} lost; \
         the slowest: {}",
        broken.len(),
        replay(name, slowest.1)
    );
    leave_row(name, figure, count, [median, p99, worst], broken.len(), lost);
    let is_rare =
        figure.share.is_some_and(|(share, _)| (broken.len() as u64) * 1000 <= (1000 - share) * count);
    assert!(broken.is_empty() || is_rare, "replay one of {broken:?}: {}", replay(name, broken[0]));
    assert_eq!(lost, 0, "lost");
    for (seen, limit, what) in
        [(median, figure.median, "median"), (p99, figure.p99, "p99"), (worst, figure.worst, "worst")]
    {
        let holds = limit.is_none_or(|limit| seen <= limit);
        assert!(holds, "{what} {seen:?}, see {}", replay(name, slowest.1));
    }
    if let Some((share, limit)) = figure.share {
        let slow = took.iter().filter(|took| **took > limit).count() + broken.len();
        assert!(
            slow as u64 * 1000 <= (1000 - share) * count,
            "{slow} of {count} took longer than {limit:?}, see {}",
            replay(name, slowest.1)
        );
    }
}

fn replay(name: &str, seed: u64) -> String {
    format!("cargo xtask roaming --seeds 1 --seed {seed} --scenario {name}")
}

/// For `cargo xtask roaming --write`, which says where.
fn leave_row(name: &str, figure: &Figure, count: u64, took: [Duration; 3], broken: usize, lost: u64) {
    let Ok(folder) = std::env::var("PEERLINE_ROAMING_ROWS") else { return };
    let [median, p99, worst] = took.map(|took| format!("{:.2} s", took.as_secs_f64()));
    let Figure { number, text, .. } = figure;
    let words = name.replace('_', " ");
    let row = format!(
        "| {number} | {words} | {count} | {median} | {p99} | {worst} | {text} | {broken} | {lost} |\n"
    );
    std::fs::write(format!("{folder}/{number}-{name}.row"), row).unwrap();
}
