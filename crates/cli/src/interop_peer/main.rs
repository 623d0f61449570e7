//! A peer for interop tests: one peer connection, driven by JSON lines on standard input, reporting by JSON
//! lines on standard output. `--ice-lite` has it leave checks to the other side, `--tcp-only` has it offer candidates of
//! TCP alone.

#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value reads as null")]

mod channels;
mod clips;
mod connection;
mod media;
mod output;
mod payload;
mod rsa;
mod tally;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::connection::Peer;
use crate::output::Output;

/// Why a command was not carried out.
enum Refusal {
    /// It failed; the peer goes on.
    Error(String),
    /// This peer cannot do it at all.
    Unsupported(String),
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(error.to_string())
    }
}

/// How this peer is reached, by its arguments.
#[derive(Default)]
struct Ways {
    lite: bool,
    tcp_only: bool,
}

/// What a command came to: the event that answers it, without its `re`.
type Answer = Result<Value, Refusal>;

#[tokio::main]
async fn main() -> ExitCode {
    let output = Output::default();
    let has = |name: &str| std::env::args().skip(1).any(|argument| argument == name);
    let ways = Ways { lite: has("--ice-lite"), tcp_only: has("--tcp-only") };
    output.event(json!({
        "ev": "ready", "name": "peerline", "version": env!("CARGO_PKG_VERSION"), "protocol": 1,
    }));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut peer = None;
    while let Ok(Some(line)) = lines.next_line().await {
        let command: Value = match serde_json::from_str(&line) {
            Ok(command) => command,
            Err(error) => {
                output.event(json!({ "ev": "error", "message": format!("not a command: {error}") }));
                continue;
            }
        };
        let ends = command["op"] == "close";
        if ends {
            break_off(&mut peer, &output).await;
        }
        if let Some(answer) = carry_out(&command, &ways, &mut peer, &output).await {
            output.answer(&command, answer);
        }
        if ends {
            return ExitCode::SUCCESS;
        }
    }
    break_off(&mut peer, &output).await;
    ExitCode::SUCCESS
}

/// Carries a command out; `None` where it answers for itself later.
async fn carry_out(command: &Value, ways: &Ways, peer: &mut Option<Peer>, output: &Output) -> Option<Answer> {
    if command["op"] == "config" {
        return Some(match Peer::new(command, ways, output.clone()).await {
            Ok(made) => {
                *peer = Some(made);
                Ok(json!({ "ev": "ok" }))
            }
            Err(refusal) => Err(refusal),
        });
    }
    if command["op"] == "close" {
        return Some(Ok(json!({ "ev": "ok" })));
    }
    let Some(peer) = peer else { return Some(Err(Refusal::Error("there is no connection yet".to_owned()))) };
    peer.carry_out(command)
}

/// Closes the connection in good order, and says so.
async fn break_off(peer: &mut Option<Peer>, output: &Output) {
    if let Some(peer) = peer.take() {
        peer.close();
        // The peer is told within this time or not at all.
        let _ = tokio::time::timeout(Duration::from_secs(2), peer.closed()).await;
    }
    output.event(json!({ "ev": "closed" }));
}
