//! Measures Peerline beside its peers and prints the table: `cargo xtask bench peers`.

use std::path::PathBuf;
use std::process::ExitCode;

use bench_peers::measure::Effort;
use bench_peers::report::{Outcome, put_between, table};
use bench_peers::{plot, workloads};
use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// Only workloads whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Samples of each side.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// CPU time of a sample, in milliseconds.
    #[arg(long, default_value_t = 200)]
    sample_ms: u64,
    /// Writes the table between the marks of this file, and ratios.svg into a folder `plots` beside it.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let effort = Effort { rounds: arguments.rounds, sample_ms: arguments.sample_ms };
    let mut outcomes = Vec::new();
    for workload in workloads::ALL {
        if workload.name.contains(&arguments.only) {
            eprintln!("{} …", workload.name);
            let figures = (workload.run)(effort);
            // What it needs is not there: it has said so.
            if !figures.is_empty() {
                outcomes.push(Outcome { workload, figures });
            }
        }
    }
    let table = table(&outcomes);
    println!("{table}");
    if let Some(path) = arguments.write
        && let Err(problem) = write(&path, &table, &outcomes)
    {
        eprintln!("{}: {problem}", path.display());
        return ExitCode::FAILURE;
    }
    if outcomes.iter().all(Outcome::meets_floor) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write(
    path: &std::path::Path,
    table: &str,
    outcomes: &[Outcome],
) -> Result<(), Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(path)?;
    std::fs::write(path, put_between(&text, table)?)?;
    let plots = path.with_file_name("plots");
    std::fs::create_dir_all(&plots)?;
    plot::ratios(outcomes, &plots.join("ratios.svg"))
}
