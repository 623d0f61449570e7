//! Payload formats on real bitstreams, which ffmpeg makes, and as other implementations see and make them. What is not
//! installed is skipped, and said to be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod aiortc;
mod clips;
#[cfg(unix)]
mod ffmpeg;
mod identity;
mod tshark;
