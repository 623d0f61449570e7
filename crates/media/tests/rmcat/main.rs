//! Congestion control on the cases of RFC 8867, in virtual time.
//!
//! With `PEERLINE_RMCAT=../../docs` in the environment it writes docs/congestion.md and its plot.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::redundant_pub_crate,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod cases;
mod page;
mod path;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, thread};

use cases::{CASES, Case, Outcome};

#[test]
fn the_cases_of_rfc_8867_reach_their_floors() {
    let outcomes = run_all(1);
    println!("{}", page::table(&outcomes));
    if let Ok(folder) = env::var("PEERLINE_RMCAT") {
        page::write(&outcomes, folder.as_ref()).unwrap();
    }
    let problems: Vec<String> = outcomes.iter().flat_map(page::problems).collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

/// How far figures go with chance: medians and the worst of ten runs, of the cases whose names contain `PEERLINE_RMCAT_CASE`.
#[test]
#[ignore = "for whoever changes something: it takes minutes"]
fn what_ten_runs_of_each_reach() {
    println!("{}", page::spread(&run_all(RUNS)));
}

/// All cases, each so often with other seeds, in their order.
fn run_all(runs: u8) -> Vec<Outcome> {
    let wanted = env::var("PEERLINE_RMCAT_CASE").unwrap_or_default();
    let cases = CASES.iter().filter(|case| case.name.contains(&wanted));
    let jobs: Vec<(&Case, u8)> = cases.flat_map(|case| (0..runs).map(move |run| (case, run))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((number, (case, run))) = take(&next, &jobs) {
                    let outcome = (case.run)(case, *run);
                    done.lock().unwrap().push((number, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    assert_eq!(done.len(), jobs.len());
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn take<'a, T>(next: &AtomicUsize, jobs: &'a [T]) -> Option<(usize, &'a T)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(number).map(|job| (number, job))
}

const RUNS: u8 = 10;
