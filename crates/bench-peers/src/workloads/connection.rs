//! From nothing to an open channel, and what an idle peer keeps.

use std::process::Command;
use std::time::Duration;

use crate::measure::{Effort, Figure, OURS, Side, in_turn, thread_cpu};
use crate::nodes::ours::Ours;
use crate::nodes::rtc::Rtc;
use crate::nodes::str0m::Str0m;
use crate::pair::{Node, Pair};

pub(super) fn set_up(effort: Effort) -> Vec<Figure> {
    in_turn(
        effort,
        vec![
            connect("Peerline", OURS, Ours::pair),
            connect("rtc", "rtc", Rtc::pair),
            connect("str0m (aws-lc-rs)", "str0m", Str0m::pair),
        ],
    )
}

fn connect<N: Node + 'static>(
    name: &'static str,
    package: &'static str,
    pair: fn(usize) -> Pair<N>,
) -> Side<'static> {
    // The median of connections, not of their sum: a first one that warms the caches must not count.
    Side::new(name, package, move |effort| {
        let mut samples = Vec::new();
        let start = thread_cpu();
        while thread_cpu() - start < effort.sample_ms * 1_000_000 {
            let before = thread_cpu();
            let pair = pair(128 << 10).connect();
            samples.push((thread_cpu() - before) as f64 / 1e6);
            drop(pair);
        }
        Figure::of(name, package, samples).median
    })
}

/// Counting costs time: another program does it.
pub(super) fn idle_heap(_: Effort) -> Vec<Figure> {
    let program = std::env::current_exe().expect("a name").with_file_name("idle-heap");
    let output = Command::new(&program).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).expect("text");
    let figure = |line: &str| {
        let (name, bytes) = line.split_once(' ').expect("a name and a number");
        let package = if name == "Peerline" { OURS } else { name };
        let package: &str = package;
        Figure::of(name, package, vec![bytes.parse::<f64>().expect("a number") / 1e3])
    };
    told.lines().map(figure).collect()
}

/// Heap of each end of `count` connected pairs after a second of quiet, the ends' own values included.
pub fn heap_of_idle_ends<N: Node>(
    count: usize,
    pair: impl Fn() -> Pair<N>,
    measure: impl FnOnce(&mut dyn FnMut()) -> i64,
) -> i64 {
    // One pair before, so that tables of the whole process do not count.
    drop(pair().connect());
    let mut pairs = Vec::new();
    let bytes = measure(&mut || {
        pairs.reserve_exact(count);
        for _ in 0..count {
            let mut pair = pair().connect();
            let until = pair.now + Duration::from_secs(1);
            while pair.now < until {
                pair.step(&mut |_| {});
            }
            pairs.push(pair);
        }
    });
    drop(pairs);
    bytes / (2 * count as i64)
}
