//! A peer that holds valid keys and sends what it likes: the rows C1 to C12 of the threat list, in a file each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

#[path = "../common/mod.rs"]
mod common;

mod acknowledgements;
mod cookies;
mod forward;
mod lengths;
mod memory;
mod resets;
mod sending;
mod types;
