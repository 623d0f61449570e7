//! The server in virtual time: what it grants, what it relays, what it refuses, and what an attacker gets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod allocate;
mod connections;
mod discovery;
mod families;
mod hostile;
mod mobility;
mod permissions;
mod quotas;
mod workers;
