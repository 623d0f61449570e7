//! Sessions whose network changes under them, many times over: figures 11 to 15 of THREATS §3.2. Everything is drawn from
//! a seed, one for each session. A scenario prints its figures, and a seed that is broken the command that runs it again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::redundant_pub_crate,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod addresses;
mod draw;
#[path = "../harness/mod.rs"]
mod harness;
mod holes;
mod outages;
mod relays;
mod scene;
mod set_up;
mod table;
mod traffic;
