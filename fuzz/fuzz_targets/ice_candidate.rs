//! Parsing never panics, and what parses displays as a line that parses alike.
#![no_main]

use ice::Candidate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let Ok(candidate) = line.parse::<Candidate>() else { return };
    assert_eq!(candidate.to_string().parse(), Ok(candidate));
});
