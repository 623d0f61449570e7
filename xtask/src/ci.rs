//! All of the checks. What runs in automation only calls this.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::root;
use crate::{Result, callgrind, chores, demo_smoke, fuzz, graph, interop, nat_matrix, spec, tidy};

/// A step: its name, which is also the command that runs it again, and what it does.
type Step = (&'static str, fn() -> Result);

const STEPS: &[Step] = &[
    ("fmt --check", || chores::fmt(true)),
    ("graph", graph::check),
    ("tidy", tidy::check),
    ("spec", spec::check),
    ("locks", chores::locks),
    ("lint", chores::lint),
    ("deny", chores::deny),
    ("doc", chores::doc),
    ("test", test),
    ("nat-matrix --check", || nat_matrix::run(true)),
    ("compat", chores::compat),
    ("callgrind", || callgrind::run(false, "")),
    ("sim", || chores::sim(2000, 0, false)),
    ("fuzz", || fuzz::run(None, 5)),
    ("demo-smoke", || demo_smoke::run(50, None, None, &[])),
    ("interop chromium", || interop::run_in_ci("chromium")),
    ("interop firefox", interop::run_firefox_in_ci),
];

pub(crate) fn run() -> Result {
    let mut times = Vec::new();
    for (name, step) in STEPS {
        println!("── {name}");
        let start = Instant::now();
        step().map_err(|problem| format!("{problem}\n\nThis step alone: cargo xtask {name}"))?;
        times.push((name, start.elapsed()));
        println!("── {name}: {:.0} s", start.elapsed().as_secs_f64());
    }
    println!("\n{:<20} {:>8}", "step", "seconds");
    for (name, time) in &times {
        println!("{name:<20} {:>8.0}", time.as_secs_f64());
    }
    let total: f64 = times.iter().map(|(_, time)| time.as_secs_f64()).sum();
    println!("{:<20} {total:>8.0}  of {BUDGET_SECONDS}", "all");
    Ok(())
}

/// Tests wait for timers and for other programs more often than they compute: beside them, with what they leave of the
/// cores, the programs of the later steps are built. Where tests fail there are no later steps.
fn test() -> Result {
    let (is_over, has_failed) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let counted = [callgrind::BUILD, demo_smoke::BUILD].map(|build| (build, None));
            let interop = interop::is_possible().then_some((interop::BUILD, None));
            let fuzz = ("fuzz build", Some(fuzz::ENVIRONMENT));
            for (build, environment) in counted.into_iter().chain(interop).chain([fuzz]) {
                if !is_over.load(Ordering::Relaxed) {
                    build_ahead(build, environment, &has_failed);
                }
            }
        });
        let result = chores::test();
        has_failed.store(result.is_err(), Ordering::Relaxed);
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

/// What does not work here is said by the step that needs it.
fn build_ahead(arguments: &str, environment: Option<(&str, &str)>, is_in_vain: &AtomicBool) {
    let mut command = Command::new("nice");
    command.args(["-n", "19", "cargo"]).args(arguments.split_whitespace()).envs(environment);
    command.current_dir(root()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut build) = command.spawn() else { return };
    while let Ok(None) = build.try_wait() {
        if is_in_vain.load(Ordering::Relaxed) {
            let _ = build.kill();
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// What all of it may take on two cores.
const BUDGET_SECONDS: u32 = 45 * 60;
