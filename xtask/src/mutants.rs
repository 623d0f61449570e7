//! Mutation testing: a seeded sample of small changes to a crate, each of which its tests should notice.
//!
//! What came of each mutant stands in `docs/mutants/<crate>.toml`, so that a run goes on where the last one stopped. The
//! reasons beside missed ones are written by hand and kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;
use crate::command::{cargo, commit, exists, root, run as run_command, today};

/// The state of a crate's sample.
#[derive(Default, Deserialize, Serialize)]
struct Record {
    /// Where the last run stood.
    commit: String,
    date: String,
    /// Of the viable ones, those that a test noticed, in percent.
    score: f64,
    #[serde(default)]
    mutants: BTreeMap<String, Mutant>,
}

#[derive(Deserialize, Serialize)]
struct Mutant {
    outcome: Outcome,
    /// Why a missed one is not worth a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Caught,
    Missed,
    /// The tests did not end, which is noticed too.
    Timeout,
    /// It does not compile.
    Unviable,
}

/// Runs the mutants of the sample that were not run yet; with `again`, the missed ones once more.
pub(crate) fn run(name: &str, sample: usize, again: bool, in_place: bool) -> Result {
    if !exists("cargo-mutants") {
        return Err("cargo-mutants is missing: `cargo install cargo-mutants --locked`".into());
    }
    let mut record = read(name)?;
    if again {
        record.mutants.retain(|_, mutant| mutant.outcome != Outcome::Missed || mutant.reason.is_some());
    }
    let all = list(name)?;
    let chosen = choose(&all, sample);
    record.mutants.retain(|key, _| chosen.iter().any(|(chosen, _)| chosen == key));
    let waiting: Vec<&(String, String)> =
        chosen.iter().filter(|(key, _)| !record.mutants.contains_key(key)).collect();
    println!("{name}: {} mutants, {} in the sample, {} to run", all.len(), chosen.len(), waiting.len());
    if !waiting.is_empty() {
        // Tests that fail by themselves would notice everything.
        cargo(&format!("test --quiet -p peerline-{name} --lib --tests"))?;
    }
    // In portions, so that a run that is stopped has lost little.
    for portion in waiting.chunks(PORTION) {
        for (full, outcome) in test(name, portion, in_place)? {
            if let Some((key, _)) = portion.iter().find(|(_, known)| *known == full) {
                record.mutants.insert(key.clone(), Mutant { outcome, reason: None });
            }
        }
        write(name, &mut record)?;
    }
    write(name, &mut record)?;
    let unexplained: Vec<&str> = record
        .mutants
        .iter()
        .filter(|(_, mutant)| mutant.outcome == Outcome::Missed && mutant.reason.is_none())
        .map(|(key, _)| key.as_str())
        .collect();
    println!("{name}: {:.1} % noticed; missed, without a reason:\n{}", record.score, unexplained.join("\n"));
    Ok(())
}

/// All mutants: what they are called whatever line they stand in, and their full names.
fn list(name: &str) -> Result<Vec<(String, String)>> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json", "-p", &format!("peerline-{name}")]).current_dir(root());
    let output = command.output().map_err(|error| format!("cannot run cargo-mutants: {error}"))?;
    let list: Vec<Value> = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let named = list.iter().filter_map(|mutant| {
        let full = mutant["name"].as_str()?;
        let mut parts = full.splitn(4, ':');
        let (file, _, _, what) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let key = format!("{}:{what}", file.trim_start_matches("crates/"));
        let time = times.entry(key.clone()).or_default();
        *time += 1;
        let key = if *time > 1 { format!("{key} #{time}") } else { key };
        Some((key, full.to_owned()))
    });
    Ok(named.collect())
}

/// `sample` of them, chosen by name: the same ones for as long as they exist.
fn choose(all: &[(String, String)], sample: usize) -> Vec<(String, String)> {
    let mut chosen = all.to_vec();
    chosen.sort_by_key(|(key, _)| fingerprint(key));
    chosen.truncate(sample);
    chosen
}

/// FNV-1a, begun with a seed of our own.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(SEED, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Tests some mutants and says what came of each.
fn test(name: &str, portion: &[&(String, String)], in_place: bool) -> Result<Vec<(String, Outcome)>> {
    let folder = root().join("target/mutants").join(name);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut command = Command::new("cargo");
    command.args(["mutants", "-p", &format!("peerline-{name}"), "--no-shuffle", "--baseline=skip"]);
    command.args(["--timeout=60", "--build-timeout=600", "--colors=never", "--no-times", "-o"]).arg(&folder);
    command.args(in_place.then_some("--in-place"));
    for (_, full) in portion {
        command.arg("-F").arg(format!("^{}$", escape(full)));
    }
    command.args(["--", "--lib", "--tests"]);
    // Its exit code says whether mutants were missed; whether it worked, its output does.
    let ran = run_command(&mut command);
    let path = folder.join("mutants.out/outcomes.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{ran:?}; {}: {error}", path.display()))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let outcomes = report["outcomes"].as_array().into_iter().flatten().filter_map(|outcome| {
        let full = outcome["scenario"]["Mutant"]["name"].as_str()?.to_owned();
        let outcome = match outcome["summary"].as_str()? {
            "CaughtMutant" => Outcome::Caught,
            "MissedMutant" => Outcome::Missed,
            "Timeout" => Outcome::Timeout,
            "Unviable" => Outcome::Unviable,
            _ => return None,
        };
        Some((full, outcome))
    });
    Ok(outcomes.collect())
}

/// As a pattern that matches only itself.
fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|letter| [r"\.+*?()|[]{}^$#&-~".contains(letter).then_some('\\'), Some(letter)])
        .flatten()
        .collect()
}

fn read(name: &str) -> Result<Record> {
    match fs::read_to_string(path(name)) {
        Ok(text) => toml::from_str(&text).map_err(|error| format!("{}: {error}", path(name).display())),
        Err(_) => Ok(Record::default()),
    }
}

fn write(name: &str, record: &mut Record) -> Result {
    let count = |wanted: &[Outcome]| {
        record.mutants.values().filter(|mutant| wanted.contains(&mutant.outcome)).count() as f64
    };
    let (noticed, missed) = (count(&[Outcome::Caught, Outcome::Timeout]), count(&[Outcome::Missed]));
    record.score = (noticed / (noticed + missed).max(1.0) * 1000.0).round() / 10.0;
    (record.commit, record.date) = (commit()?, today());
    let text = toml::to_string(record).map_err(|error| error.to_string())?;
    let path = path(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::write(&path, format!("# Written by `cargo xtask mutants {name}`; reasons by hand.\n{text}"))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn path(name: &str) -> PathBuf {
    root().join("docs/mutants").join(format!("{name}.toml"))
}

const PORTION: usize = 25;
const SEED: u64 = 0xcbf2_9ce4_8422_2325;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_stays_the_same_when_lines_move() {
        let at = |line: u32| -> Vec<(String, String)> {
            (0..50).map(|n| (format!("a:{n}"), format!("a:{line}:{n}"))).collect()
        };
        let keys = |line| choose(&at(line), 10).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(1), keys(7));
        assert_eq!(keys(1).len(), 10);
    }

    #[test]
    fn a_name_is_matched_by_itself_alone() {
        assert_eq!(escape("a.rs:1: b -> (c)"), r"a\.rs:1: b \-> \(c\)");
    }
}
