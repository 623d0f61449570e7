//! Everything that the machines send, read by someone else's dissector.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use mdns::wire::Kind;
use mdns::{Config, LocalName};
use support::{answers, arrival, ip, name, querier, queries, query, responder};
use testkit::{Capture, epoch};

#[test]
fn real_tshark_finds_nothing_malformed_in_what_we_send() {
    let mut capture = Capture::of_ip();
    let mut count = 0;
    let mut keep = |sent: Vec<(mdns::Path, Vec<u8>)>| {
        for (path, bytes) in sent {
            capture.datagram(epoch(), path.local, path.remote, &bytes);
            count += 1;
        }
    };
    let mut querier = querier(Config::default());
    querier.resolve(epoch(), name()).unwrap();
    keep(queries(&mut querier, epoch()));
    let mut responder = responder(Config::default());
    let names: Vec<LocalName> =
        ["192.0.2.1", "2001:db8::1"].iter().map(|a| responder.announce(epoch(), ip(a)).unwrap()).collect();
    keep(answers(&mut responder, epoch()));
    let mut now = epoch();
    for name in &names {
        for kind in [Kind::A, Kind::AAAA, Kind::ANY, Kind(33)] {
            for remote in ["192.0.2.2:5353", "192.0.2.2:4000"] {
                now += Duration::from_secs(2);
                responder.handle_datagram(arrival(now, remote), &query(name, kind)).unwrap();
                keep(answers(&mut responder, now));
            }
        }
    }
    responder.close(now + Duration::from_secs(2));
    keep(answers(&mut responder, now + Duration::from_secs(2)));
    let Some(seen) = capture.dissect("mdns") else {
        eprintln!("skipped: no tshark");
        return;
    };
    assert!(count >= 20 && seen.len() == count, "{count} sent, {} seen", seen.len());
    for (protocols, malformed) in seen {
        assert!(protocols.ends_with(":mdns") && malformed.is_empty(), "{protocols} {malformed}");
    }
}
