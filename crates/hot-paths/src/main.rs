//! Runs one hot path a number of times, so that callgrind can count what it costs: `cargo xtask callgrind`.
//!
//! Only what happens inside of [`counted`] counts. Encryption is left out (`testkit::null_provider`), so that
//! the counts are of our own code, and do not depend on what the processor can do; forged datagrams are
//! opened in earnest, by the portable provider.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench: a panic is how it fails, and it talks"
)]

mod codecs;
mod ends;
mod forged;
mod forward;
mod transfer;

/// A path: prepares, and gives what one operation is.
type Prepare = fn() -> Box<dyn FnMut()>;

const PATHS: &[(&str, Prepare)] = &[
    ("stun-check-answered", codecs::stun_check),
    ("ice-check-answered", codecs::ice_check),
    ("sdp-parse-and-write", codecs::sdp),
    ("dtls-record-1200", codecs::dtls_record),
    ("dtls-handshake", codecs::dtls_handshake),
    ("sctp-4-messages-of-16384", transfer::sctp_large),
    ("sctp-100-messages-of-64", transfer::sctp_small),
    ("session-4-messages-of-16384", transfer::session_large),
    ("session-100-messages-of-64", transfer::session_small),
    ("demux-route", codecs::demux),
    ("forged-stun-integrity", forged::stun_integrity),
    ("forged-stun-username", forged::stun_username),
    ("forged-dtls-record", forged::dtls_record),
    ("forged-client-hello", forged::client_hello),
    ("forged-sctp-tag", forged::sctp_tag),
];

/// Paths that are warm, and call [`counted`] themselves for the side that is of interest.
const ONE_SIDE: &[(&str, Prepare)] = &[
    ("forward-8-to-10-at-once", forward::at_once),
    ("forward-8-to-10-kept", forward::kept),
    ("forward-8-to-10-of-50-sections", forward::among_50),
    ("forward-1-to-10-kept", forward::singly),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        PATHS.iter().chain(ONE_SIDE).for_each(|(name, _)| println!("{name}"));
        return;
    };
    let count: u32 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1);
    let (_, prepare) =
        PATHS.iter().chain(ONE_SIDE).find(|(known, _)| *known == name).expect("one of the names");
    let mut operation = prepare();
    let counts_itself = ONE_SIDE.iter().any(|(known, _)| *known == name);
    if counts_itself {
        (0..count).for_each(|_| operation());
        return;
    }
    // What is made at the first time only is not part of the path.
    (0..WARM_UP).for_each(|_| operation());
    (0..count).for_each(|_| counted(&mut *operation));
}

/// The function that callgrind is told to watch.
#[inline(never)]
fn counted(operation: &mut dyn FnMut()) {
    operation();
}

const WARM_UP: u32 = 64;
