//! Every check and chore of the workspace: `cargo xtask --help`.
#![expect(clippy::print_stdout, reason = "a command line tool talks")]
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value reads as null")]

mod browser;
mod callgrind;
mod chores;
mod ci;
mod command;
mod demo_smoke;
mod fuzz;
mod graph;
mod interop;
mod ledger;
mod mutants;
mod nat_matrix;
mod roaming;
mod spec;
mod threats;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a step says when it fails.
type Result<T = ()> = std::result::Result<T, String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Every check and chore of the workspace")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// All of the checks, in the order that fails fastest.
    Ci,
    /// Formats the code, or says what is not formatted.
    Fmt {
        /// Only say.
        #[arg(long)]
        check: bool,
    },
    /// Clippy on everything, warnings denied.
    Lint,
    /// Crates depend only on layers below them, and protocol crates do no I/O.
    Graph,
    /// House rules that no lint knows: sizes of files, names of cryptographic crates, `async`.
    Tidy,
    /// Every test, and each crate by itself.
    Test,
    /// The lock files of packages outside of the workspace are up to date.
    Locks,
    /// Our layers against those of webrtc-rs 0.17, in one process, and ring behind our traits.
    Compat,
    /// Each requirement of docs/rfc has a test that exists, or a reason.
    Spec,
    /// The tests of the rows in docs/rfc/threats*.toml, as often as the rows say; writes docs/threats.md.
    Threats {
        /// Rows such as D4; all of them if none is named.
        rows: Vec<String>,
    },
    /// The documentation, warnings denied.
    Doc,
    /// Licences, sources, bans; advisories where the database can be reached.
    Deny,
    /// Builds all fuzz targets, replays their corpora and runs each briefly, or runs one for longer.
    Fuzz {
        /// The target; all of them if none is named.
        target: Option<String>,
        /// How long each runs.
        #[arg(long, default_value_t = 8)]
        seconds: u64,
        /// Continues docs/fuzz.md until each target has run for so many minutes in all.
        #[arg(long)]
        campaign: Option<u64>,
        /// Puts what was found into the committed corpora, less what adds nothing.
        #[arg(long, conflicts_with = "campaign")]
        minimise: bool,
    },
    /// A sample of small changes to a crate, each of which its tests should notice; goes on with docs/mutants.
    Mutants {
        /// The crate's folder name.
        name: String,
        /// How many of its mutants.
        #[arg(long, default_value_t = 300)]
        sample: usize,
        /// Also those that were missed and have no reason.
        #[arg(long)]
        again: bool,
        /// Changes this very checkout, which saves a build; only where nobody works.
        #[arg(long)]
        in_place: bool,
    },
    /// Benchmarks, of one crate or all; or `peers`: ours beside other stacks, for half an hour with the build.
    Bench {
        /// The crate's folder name, or `peers`.
        name: Option<String>,
        /// With `peers`: writes the table and the plot of docs/performance.md.
        #[arg(long)]
        write: bool,
        /// With `peers`: only workloads whose name has this in it.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Counts the instructions of the hot paths, and compares them with the baseline.
    Callgrind {
        /// Makes what was counted the baseline.
        #[arg(long)]
        bless: bool,
        /// Only paths whose name has this in it.
        #[arg(long, default_value = "", conflicts_with = "bless")]
        only: String,
    },
    /// Seeded simulations of two whole peers on a bad network.
    Sim {
        /// How many seeds.
        #[arg(long, default_value_t = 2000)]
        seeds: u64,
        /// The first of them; with `--seeds 1` it replays one.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Adds the result to docs/simulation.md.
        #[arg(long)]
        write: bool,
    },
    /// Two whole sessions whose network changes: addresses, NATs, outages, TURN servers, black holes.
    Roaming {
        /// How many seeds of each scenario.
        #[arg(long, default_value_t = 200)]
        seeds: u64,
        /// The first of them; with `--seeds 1` it replays one.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Only scenarios whose name has this in it.
        #[arg(long, default_value = "", conflicts_with = "write")]
        scenario: String,
        /// Writes docs/roaming.md.
        #[arg(long)]
        write: bool,
    },
    /// Two sides behind each pair of NATs and firewalls, against theory; writes docs/nat-matrix.md.
    NatMatrix {
        /// Only says whether it is stale.
        #[arg(long)]
        check: bool,
    },
    /// Our `interop-peer` against other stacks, by the rig in ../shared/interop.
    Interop {
        /// The other peer: chromium, firefox, aiortc, libdatachannel, libwebrtc, werift, ours.
        #[arg(default_value = "chromium")]
        peer: String,
        /// Scenarios or patterns; all if none is named.
        scenarios: Vec<String>,
    },
    /// Headless Chromium opens the demo's pages: it chats, uploads a file, calls and is recorded, meets others in a room.
    DemoSmoke {
        /// The size of the upload, in MiB.
        #[arg(long, default_value_t = 50)]
        mib: usize,
        /// Keeps screenshots of the pages there, desktop and phone.
        #[arg(long)]
        screenshots: Option<std::path::PathBuf>,
        /// The program, where it was built already.
        #[arg(long)]
        program: Option<std::path::PathBuf>,
        /// Only these pages.
        pages: Vec<demo_smoke::Page>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Ci => ci::run(),
        Task::Fmt { check } => chores::fmt(check),
        Task::Lint => chores::lint(),
        Task::Locks => chores::locks(),
        Task::Graph => graph::check(),
        Task::Tidy => tidy::check(),
        Task::Test => chores::test(),
        Task::Compat => chores::compat(),
        Task::Spec => spec::check(),
        Task::Threats { rows } => threats::run(&rows),
        Task::Doc => chores::doc(),
        Task::Deny => chores::deny(),
        Task::Callgrind { bless, only } => callgrind::run(bless, &only),
        Task::Fuzz { target, minimise: true, .. } => fuzz::minimise(target.as_deref()),
        Task::Fuzz { target, campaign: Some(minutes), .. } => fuzz::campaign(target.as_deref(), minutes),
        Task::Fuzz { target, seconds, .. } => fuzz::run(target.as_deref(), seconds),
        Task::Mutants { name, sample, again, in_place } => mutants::run(&name, sample, again, in_place),
        Task::Bench { name, write, only } => match name.as_deref() {
            Some("peers") => chores::bench_peers(write, &only),
            name => chores::bench(name),
        },
        Task::Sim { seeds, seed, write } => chores::sim(seeds, seed, write),
        Task::Roaming { seeds, seed, scenario, write } => roaming::run(seeds, seed, &scenario, write),
        Task::NatMatrix { check } => nat_matrix::run(check),
        Task::Interop { peer, scenarios } => interop::run(&peer, &scenarios),
        Task::DemoSmoke { mib, screenshots, program, pages } => {
            demo_smoke::run(mib, screenshots.as_deref(), program, &pages)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
