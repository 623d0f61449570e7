//! The rules of RFC 9260, RFC 3758 and RFC 6525 that no other test shows, in a file for each subject.
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

mod acknowledging;
mod congestion;
mod ending;
mod handshaking;
mod losses;
mod packet_size;
mod partial_reliability;
mod receiving;
mod sending;
mod wire_format;
