//! The `peerline` program.
fn main() {}
