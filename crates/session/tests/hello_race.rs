//! A stranger who sends DTLS before, during and after the handshake, in the hope that his hello is taken for
//! the peer's: D16 of the threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::time::Duration;

use harness::{Two, config, near, peer};
use proto::{Arrival, Writer};
use session::{ChannelInit, Discard};

const STRANGERS: [&str; 2] = ["192.0.2.66:666", "192.0.2.2:4001"];

/// A record of epoch 0.
fn record(content: u8, body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(body.len()).unwrap();
    [&[content, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, len], body].concat()
}

/// What strangers send: hellos of all kinds, garbage in the shape of handshakes, every alert.
fn attacks() -> Vec<Vec<u8>> {
    let identity = dtls::Identity::generate(testkit::null_provider(), 1_800_000_000, [9; 32]).unwrap();
    let config = dtls::Config::new(testkit::null_provider(), std::sync::Arc::new(identity));
    let mut client = dtls::Connection::client(testkit::epoch(), std::sync::Arc::new(config), [66; 32]);
    let mut memory = [0; 1500];
    let mut out = Writer::new(&mut memory);
    assert!(client.poll_packet(testkit::epoch(), &mut out));
    let well_formed = out.written().to_vec();
    // The same, offering nothing but TLS_NULL_WITH_NULL_NULL.
    let mut null = well_formed.clone();
    let suites = [0, 6, 0xc0, 0x2b, 0xc0, 0x2c, 0xcc, 0xa9];
    let at = null.windows(8).position(|window| window == suites).unwrap();
    null[at + 2..at + 8].fill(0);
    let mut all = vec![well_formed.clone(), null, well_formed[..60].to_vec(), record(20, &[1])];
    for kind in [0, 1, 2, 3, 11, 12, 13, 14, 15, 16, 20, 99] {
        for sequence in 0..6 {
            all.push(record(22, &[kind, 0, 0, 4, 0, sequence, 0, 0, 0, 0, 0, 4, 9, 9, 9, 9]));
            all.push(record(22, &[kind, 0, 0, 0, 0, sequence, 0, 0, 0, 0, 0, 0]));
        }
    }
    for level in [1, 2] {
        all.extend((0..=255).map(|description| record(21, &[level, description])));
    }
    all
}

/// Sets up a call while `attacks` come at both ends, 20 each in 20 ms; how long it took.
fn set_up(seed: u64, attacks: &[Vec<u8>]) -> Duration {
    let mut configs = [config(0), config(1)];
    configs.iter_mut().for_each(|config| config.provider = testkit::null_provider());
    let mut two = Two::with(configs, near());
    let now = two.now();
    let ours = two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let mut next = usize::try_from(seed).unwrap();
    let mut attack = |two: &mut Two| {
        let now = two.now();
        for _ in 0..if attacks.is_empty() { 0 } else { 20 } {
            let datagram = &attacks[next % attacks.len()];
            next += 1;
            for side in [0, 1] {
                let local = ["192.0.2.1:4000", "192.0.2.2:4000"][side];
                // One is a stranger altogether, one has the peer's address and another port.
                let from = if side == 0 { STRANGERS[next % 2] } else { STRANGERS[0] };
                let arrival = Arrival { path: testkit::path(local, from), ecn: None, at: now };
                let taken = two.session(side).handle_datagram(arrival, &mut datagram.clone()).map(drop);
                assert!(taken.is_err(), "seed {seed}: {datagram:02x?}");
            }
        }
    };
    attack(&mut two);
    two.negotiate(0);
    attack(&mut two);
    let connected = two.run(Duration::from_secs(5), |two| {
        attack(two);
        two.is_connected()
    });
    assert!(connected, "seed {seed}\n{}", two.reports());
    let took = two.now() - testkit::epoch();
    let theirs = two.incoming(1);
    two.run(Duration::from_millis(200), |two| {
        attack(two);
        false
    });
    two.echo(ours, theirs);
    assert!(two.is_connected());
    took
}

#[test]
fn a_stranger_who_repeats_the_peers_checks_from_elsewhere_is_not_taken_for_the_peer() {
    let hello = attacks().swap_remove(0);
    let mut configs = [config(0), config(1)];
    configs.iter_mut().for_each(|config| config.provider = testkit::null_provider());
    let mut two = Two::with(configs, near());
    let now = two.now();
    let ours = two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    let (mut repeated, mut refused) = (0, 0);
    let connected = two.run(Duration::from_secs(2), |two| {
        let now = two.now();
        let captured: Vec<_> = peer(&mut two.world, two.hosts[0]).captured.iter().cloned().collect();
        for (path, bytes) in captured {
            if !stun::wire::is_stun(&bytes) || path.remote.to_string() != "192.0.2.2:4000" {
                continue;
            }
            let elsewhere =
                Arrival { path: testkit::path("192.0.2.1:4000", STRANGERS[0]), ecn: None, at: now };
            repeated += usize::from(two.session(0).handle_datagram(elsewhere, &mut bytes.clone()).is_ok());
            for _ in 0..100 {
                let taken = two.session(0).handle_datagram(elsewhere, &mut hello.clone()).map(drop);
                refused += usize::from(taken == Err(Discard::Unconfirmed));
            }
        }
        two.is_connected()
    });
    assert!(connected, "{}", two.reports());
    assert!(repeated > 0 && refused > 0, "{repeated} checks were repeated, {refused} hellos refused");
    let theirs = two.incoming(1);
    two.echo(ours, theirs);
}

#[test]
fn a_call_is_set_up_in_its_time_whatever_strangers_send() {
    let undisturbed = set_up(0, &[]);
    let attacks = attacks();
    for seed in 0..testkit::scaled(1000) {
        let took = set_up(seed * 7, &attacks);
        assert!(took <= undisturbed.mul_f64(1.2), "seed {seed}: {took:?} instead of {undisturbed:?}");
    }
}
