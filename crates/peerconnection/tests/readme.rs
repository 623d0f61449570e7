//! The README says what is so.
#![allow(clippy::expect_used, reason = "a panic is how a test fails")]

#[test]
fn the_program_of_the_readme_is_the_example() {
    let example = include_str!("../examples/two_peers.rs");
    let (_, program) = example.split_once("\n\n").expect("a heading, then the program");
    assert!(include_str!("../../../README.md").contains(program), "change both, or neither");
}
