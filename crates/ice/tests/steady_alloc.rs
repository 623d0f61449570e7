//! A connected agent allocates nothing: neither for consent, nor for the peer's checks, nor for forgeries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod support;

use ice::{Agent, Role, State};
use proto::{Arrival, Batch, Path};
use support::{A, B, Peer, both_connected, introduce, seconds, signal};
use testkit::{Link, Pair, epoch};

#[test]
fn consent_both_ways_allocates_nothing() {
    let mut a = Peer::new(Role::Controlling, [1; 32]).host(A);
    let mut b = Peer::new(Role::Controlled, [2; 32]).host(B);
    introduce(&mut a, &mut b, epoch());
    signal(&b, &mut a, epoch());
    let mut pair = Pair::new(a, b, Link::default(), [1; 32]);
    pair.run(seconds(20), |_| false);
    assert!(both_connected(&mut pair));
    let mut now = pair.now();
    let (mut a, mut b) = (pair.a.agent, pair.b.agent);
    let info = allocation_counter::measure(|| {
        for _ in 0..100 {
            now = now.max(a.poll_timeout().min(b.poll_timeout()).unwrap());
            for _ in 0..2 {
                carry(now, &mut a, &mut b);
                carry(now, &mut b, &mut a);
            }
        }
    });
    assert!(a.stats().counters.consent_sent > 40 && b.stats().counters.unauthorized > 40);
    assert!(
        matches!(a.state(), State::Connected | State::Completed)
            && matches!(b.state(), State::Connected | State::Completed)
    );
    assert_eq!(info.count_total, 0);
}

fn carry(now: proto::Instant, from: &mut Agent, to: &mut Agent) {
    let mut memory = [0; 1500];
    from.handle_timeout(now);
    loop {
        let mut batch = Batch::new(&mut memory, 1, 1200);
        let Some(transmit) = from.poll_transmit(now, &mut batch) else { break };
        let Path { carrier, local, remote } = transmit.path;
        let path = Path { carrier, local: remote, remote: local };
        // Refusals of the forgeries below answer nothing.
        let _ = to.handle_datagram(Arrival { path, ecn: None, at: now }, batch.bytes());
        let mut forged = [0; 200];
        let len = batch.bytes().len();
        forged[..len].copy_from_slice(batch.bytes());
        forged[len - 9] ^= 1; // the last byte of the integrity code
        forged[3] -= 8; // and no fingerprint
        let _ = to.handle_datagram(Arrival { path, ecn: None, at: now }, &forged[..len - 8]);
    }
}
