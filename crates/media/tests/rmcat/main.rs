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

use cases::{CASES, Outcome};

#[test]
fn the_cases_of_rfc_8867_reach_their_floors() {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = (case.run)(case);
                    done.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let mut outcomes = done.into_inner().unwrap();
    assert_eq!(outcomes.len(), CASES.len());
    let place = |outcome: &Outcome| CASES.iter().position(|case| std::ptr::eq(case, outcome.case));
    outcomes.sort_by_key(place);
    println!("{}", page::table(&outcomes));
    if let Ok(folder) = env::var("PEERLINE_RMCAT") {
        page::write(&outcomes, folder.as_ref()).unwrap();
    }
    let problems: Vec<String> = outcomes.iter().flat_map(page::problems).collect();
    assert!(problems.is_empty(), "{problems:#?}");
}
