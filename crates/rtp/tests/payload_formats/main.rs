//! Payload formats: vectors, round trips, loss, and what no honest peer sends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod audio;
mod av1;
mod h264;
mod h265;
mod opaque;
mod opus;
mod red;
mod support;
mod telephone_event;
mod vp8;
mod vp9;
