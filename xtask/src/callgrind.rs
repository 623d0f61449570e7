//! Counts the instructions of the hot paths, so that a slow-down is seen on any machine, however busy.
//!
//! Valgrind's processor is the same everywhere, and encryption is left out or portable: a count depends on our
//! code and the compiler alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::command::{cargo, exists, root};

/// What is counted, as cargo builds it.
pub(crate) const BUILD: &str = "build --quiet --locked --profile counted -p peerline-hot-paths";

/// Counts every path and compares with the baseline; `bless` makes what was counted the new one.
pub(crate) fn run(bless: bool, only: &str) -> Result {
    if !exists("valgrind") {
        return Err("valgrind is missing: `apt-get install valgrind`".into());
    }
    cargo(BUILD)?;
    let names = names()?;
    let baseline = Baseline::read()?;
    let compiler = compiler()?;
    let (mut counted, mut problems) = (BTreeMap::new(), Vec::new());
    println!("{:<24} {:>12} {:>12} {:>8}", "path", "instructions", "baseline", "change");
    for name in names.lines().filter(|name| name.contains(only)) {
        let count = count(name)?;
        let known = baseline.counts.get(name).copied();
        let change = known.map(|known| 100.0 * (as_f64(count) / as_f64(known) - 1.0));
        let shown = change.map_or_else(|| "new".to_owned(), |change| format!("{change:+.1} %"));
        println!("{name:<24} {count:>12} {:>12} {shown:>8}", known.unwrap_or_default());
        if change.is_none_or(|change| change > TOLERANCE) {
            problems.push(format!("{name}: {count} instructions, {shown}"));
        }
        if name.starts_with("forged-") && count > MOST_OF_FORGED {
            problems.push(format!("{name}: {count} instructions, more than {MOST_OF_FORGED}"));
        }
        counted.insert(name.to_owned(), count);
    }
    if bless {
        return Baseline { compiler, counts: counted }.write();
    }
    if problems.is_empty() {
        return Ok(());
    }
    let other = baseline.compiler != compiler;
    let hint = if other { format!("\nThe baseline is of {}.", baseline.compiler) } else { String::new() };
    Err(format!(
        "{}\nMore than {TOLERANCE} % above the baseline is too much; if it has to be: \
         `cargo xtask callgrind --bless`{hint}",
        problems.join("\n")
    ))
}

/// Instructions of one operation of the path.
fn count(name: &str) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=hot_paths::counted*")
        .arg(program())
        .args([name, &COUNT.to_string()])
        // Graviola asks for it: valgrind 3.19 gets one of its instructions wrong.
        .env("VALGRIND_BUG_494162", "1")
        .current_dir(root())
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")).map(|(_, number)| number);
    let total: Option<u64> = collected.and_then(|number| number.trim().parse().ok());
    match total {
        Some(total) if output.status.success() && total > 0 => Ok(total / COUNT),
        _ => Err(format!("valgrind has not counted {name}:\n{said}")),
    }
}

/// The paths that there are.
fn names() -> Result<String> {
    let output = Command::new(program()).output();
    let output = output.map_err(|error| format!("cannot run {}: {error}", program().display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn program() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("counted/hot-paths")
}

fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").current_dir(root()).output();
    let output = output.map_err(|error| format!("cannot run rustc: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What was counted when it was last thought right.
#[derive(Default)]
struct Baseline {
    compiler: String,
    counts: BTreeMap<String, u64>,
}

impl Baseline {
    fn read() -> Result<Self> {
        let text = fs::read_to_string(root().join(BASELINE)).unwrap_or_default();
        let mut baseline = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(" = ") else { continue };
            if name == "compiler" {
                value.trim_matches('"').clone_into(&mut baseline.compiler);
            } else {
                let count = value.parse().map_err(|_| format!("{BASELINE}: `{line}`"))?;
                baseline.counts.insert(name.to_owned(), count);
            }
        }
        Ok(baseline)
    }

    fn write(&self) -> Result {
        let counts = self.counts.iter().map(|(name, count)| format!("{name} = {count}\n"));
        let counts: String = counts.collect();
        let text = format!(
            "# Instructions of one operation: written by `cargo xtask callgrind --bless`.\n\
             compiler = \"{}\"\n\n[instructions]\n{counts}",
            self.compiler
        );
        fs::write(root().join(BASELINE), text).map_err(|error| format!("{BASELINE}: {error}"))
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a percentage")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

const BASELINE: &str = "xtask/baselines/callgrind.toml";
/// Operations that a count is the mean of.
const COUNT: u64 = 100;
/// Percent above the baseline that a count may be.
const TOLERANCE: f64 = 3.0;
/// Instructions that a datagram with a forged source may cost.
const MOST_OF_FORGED: u64 = 12_000;
