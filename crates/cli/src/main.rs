//! `peerline`: the stack at work, and its servers. `peerline help` lists what it does.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks")]

mod demo;
mod nat;
mod turn;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "peerline",
    version,
    about = "WebRTC in Rust: a demo, a TURN server, and what the NAT before you does"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Serves a page whose browser talks to this process over WebRTC data channels: chat, uploads, figures.
    Demo(demo::Options),
    /// Runs a TURN server: relays for those whom NATs and firewalls keep apart.
    Turn(Box<turn::Options>),
    /// Tells what kind of NAT this machine is behind, and what that means for connections (RFC 5780).
    Nat(nat::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo(options) => demo::run(options).await.map_err(|problem| problem.to_string()),
        Task::Nat(options) => nat::run(options).await.map_err(|problem| problem.to_string()),
        Task::Turn(options) => turn::run(*options).await.map_err(|problem| problem.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("peerline: {problem}");
            ExitCode::FAILURE
        }
    }
}
