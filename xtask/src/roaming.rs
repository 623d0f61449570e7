//! Sessions whose network changes: `crates/session/tests/roaming`, and the table of what it took.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::command::{cargo_with, commit, root, today};

pub(crate) fn run(seeds: u64, seed: u64, scenario: &str, write: bool) -> Result {
    let rows = root().join("target/roaming");
    let broken = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    if rows.exists() {
        fs::remove_dir_all(&rows).map_err(|error| broken(&rows, error))?;
    }
    fs::create_dir_all(&rows).map_err(|error| broken(&rows, error))?;
    let (first, count) = (seed.to_string(), seeds.to_string());
    let folder = rows.to_string_lossy();
    let environment = [
        ("PEERLINE_ROAMING_SEED", first.as_str()),
        ("PEERLINE_ROAMING_SEEDS", count.as_str()),
        ("PEERLINE_ROAMING_ROWS", &folder),
    ];
    let commit = commit()?;
    // The whole workspace is named so that nothing is built again with fewer features than `test` chose.
    let done = cargo_with(
        &format!("test --locked --workspace --test roaming -- --nocapture {scenario}"),
        &environment,
    );
    if !write {
        return done;
    }
    // Also what did not hold is written.
    let mut files: Vec<_> = fs::read_dir(&rows)
        .map_err(|error| broken(&rows, error))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    files.sort();
    let mut text = format!("{HEAD}{} from seed {first}, {}, commit `{commit}`.\n\n{TABLE}", count, today());
    for file in files {
        text.push_str(&fs::read_to_string(&file).map_err(|error| broken(&file, error))?);
    }
    let path = root().join("docs/roaming.md");
    fs::write(&path, text).map_err(|error| broken(&path, error))?;
    done
}

const HEAD: &str = "\
# Roaming, simulated

Written by `cargo xtask roaming --seeds COUNT --seed FIRST --write`. Two whole sessions in virtual time, each of its own
seed, which draws delays, NATs, who moves, who controls and when it happens; reliable messages go both ways all along, each
with the hash of all before it, so that what is lost, repeated, altered or out of place shows. The network changes, and
measured is how long it takes until what is sent after that arrives, on both ways. The figures are those of THREATS §3.2.
`cargo test` runs 200 seeds of each (`crates/session/tests/roaming`). Here are sessions of each scenario: ";

const TABLE: &str = "\
| figure | scenario | sessions | median | p99 | worst | what is to hold | broken | lost |
|--:|---|--:|--:|--:|--:|---|--:|--:|
";
