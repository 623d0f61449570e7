//! `peerline`: a program to see the stack at work. `peerline help` lists what it does.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks")]

mod demo;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "peerline", version, about = "WebRTC in Rust: things to try")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Serves a page whose browser talks to this process over WebRTC data channels: chat, uploads, figures.
    Demo(demo::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo(options) => demo::run(options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("peerline: {problem}");
            ExitCode::FAILURE
        }
    }
}
