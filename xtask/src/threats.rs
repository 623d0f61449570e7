//! The rows of the list of threats in full: each test as often as the row says, and a table of what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use crate::Result;
use crate::command::{cargo_with, commit, root, today};
use crate::spec;

/// Runs the tests of all rows, or of those named, and writes what came of them to `docs/threats.md`. What stands
/// there already for the same commit is not run again.
pub(crate) fn run(wanted: &[String]) -> Result {
    let commit = commit()?;
    let rows: Vec<spec::Row> =
        spec::rows()?.into_iter().filter(|row| wanted.is_empty() || wanted.contains(&row.id)).collect();
    if rows.is_empty() {
        return Err("no such row: `cargo xtask spec` lists them".into());
    }
    let mut results = read();
    let mut failed = Vec::new();
    for row in &rows {
        for test in row.tests.iter().filter(|test| !test.contains("fuzz::") && !test.contains("interop::")) {
            let key = (row.id.clone(), test.clone());
            if results
                .get(&key)
                .is_some_and(|line| line.contains(&format!("`{commit}`")) && line.contains("ok"))
            {
                continue;
            }
            let start = Instant::now();
            let passed = run_test(test);
            let seconds = start.elapsed().as_secs_f64();
            let outcome = if passed.is_ok() { "ok" } else { "**failed**" };
            if let Err(problem) = passed {
                failed.push(format!("{}: {problem}", row.id));
            }
            results.insert(key, format!("{outcome} | {seconds:.1} | {} | `{commit}`", today()));
            write(&results)?;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Runs one test, named as in `docs/rfc`, in full.
fn run_test(name: &str) -> Result {
    let arguments = arguments(name).ok_or_else(|| format!("{name} is no test of ours"))?;
    cargo_with(&arguments, &[("PEERLINE_SCALE", "1")])
}

/// What cargo is told to run a test.
fn arguments(name: &str) -> Option<String> {
    let (file, test) = name.split_once("::")?;
    let mut parts = file.split('/');
    let (folder, place, target) = (parts.next()?, parts.next()?, parts.next()?);
    let package = match folder {
        "peerconnection" => "peerline".to_owned(),
        folder => format!("peerline-{folder}"),
    };
    let target = match place {
        "src" => "--lib".to_owned(),
        _ => format!("--test {}", target.trim_end_matches(".rs")),
    };
    Some(format!("test --locked --profile campaign -p {package} {target} -- {test} --nocapture"))
}

type Results = BTreeMap<(String, String), String>;

fn read() -> Results {
    let text = fs::read_to_string(path()).unwrap_or_default();
    let rows = text.lines().filter_map(|line| {
        let (id, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
        let (test, rest) = rest.split_once("` | ")?;
        Some(((id.to_owned(), test.to_owned()), rest.strip_suffix(" |")?.to_owned()))
    });
    rows.collect()
}

fn write(results: &Results) -> Result {
    let mut text = String::from(HEAD);
    let mut rows: Vec<_> = results.iter().collect();
    rows.sort_by_key(|((id, test), _)| {
        let (letter, number) = id.split_at(1);
        (letter.to_owned(), number.parse::<u32>().unwrap_or(0), test.clone())
    });
    for ((id, test), line) in rows {
        let _ = writeln!(text, "| {id} | `{test}` | {line} |");
    }
    fs::write(path(), text).map_err(|error| format!("{}: {error}", path().display()))
}

fn path() -> PathBuf {
    root().join("docs/threats.md")
}

const HEAD: &str = "\
# Threats, each tested in full

Written by `cargo xtask threats`. What each row is about stands in `docs/rfc/threats*.toml`; CI runs the same tests a
hundredth as often (`PEERLINE_SCALE`).

| row | test | result | seconds | date | commit |
|---|---|---|--:|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_again_by_its_name() {
        let told = |name| arguments(name).unwrap_or_default();
        assert!(told("dtls/tests/hostile.rs::a").contains("-p peerline-dtls --test hostile -- a"));
        assert!(told("session/tests/simulation/main.rs::a").contains("--test simulation -- a"));
        assert!(told("sctp/src/flight.rs::a").contains("-p peerline-sctp --lib -- a"));
        assert!(told("peerconnection/tests/real_flood.rs::a").contains("-p peerline --test real_flood"));
    }
}
