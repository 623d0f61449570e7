//! Descriptions of browsers and others, packed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a panic is how a test fails")]

use sdp::{Attribute, SessionDescription};

#[test]
fn descriptions_that_are_packed_take_a_third_and_are_unpacked_to_the_byte() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let (mut before, mut after) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut description = SessionDescription::parse(&text).unwrap();
        let packed = description.pack();
        assert_eq!(packed.unpack().to_string(), text, "{path:?}");
        assert_eq!(packed.unpack().media().len(), description.media().len());
        (before, after) = (before + text.len(), after + packed.size());
        // One that was changed, too.
        description.add_attribute(Some(0), Attribute::EndOfCandidates);
        let (packed, changed) = (description.pack(), description.to_string());
        assert_eq!(packed.unpack().to_string(), changed, "{path:?}");
        assert!(!format!("{packed:?}").contains("ice-pwd"));
    }
    println!("{before} bytes of text are {after}");
    assert!(after * 3 < before, "{before} bytes of text are {after}");
}
