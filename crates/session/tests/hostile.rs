//! Whatever arrives from the peer's address or from strangers is dropped and counted, and the connection
//! stays healthy.
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

use crypto::Rng;
use harness::Two;
use proto::Arrival;
use session::{ChannelInit, Discard};

const PEER: &str = "192.0.2.2:4000";
const STRANGER: &str = "192.0.2.66:666";

fn inject(two: &mut Two, from: &str, datagram: &[u8]) -> Result<(), Discard> {
    let path = testkit::path("192.0.2.1:4000", from);
    let arrival = Arrival { path, ecn: None, at: two.now() };
    two.session(0).handle_datagram(arrival, &mut datagram.to_vec()).map(drop)
}

/// One datagram that begins like each layer's, and is wrong.
fn malformed() -> Vec<Vec<u8>> {
    let mut stun = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    stun.resize(20, 7);
    let mut handshake = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 20];
    handshake.resize(33, 0xff);
    let mut record = vec![23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 0, 0, 60];
    record.resize(73, 0x5a);
    let alert = vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 2, 40];
    vec![vec![], vec![0], vec![22], stun, handshake, record, alert]
}

#[test]
fn malformed_datagrams_of_every_layer_are_dropped_and_counted() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    let mut refused = 0;
    for from in [PEER, STRANGER] {
        for datagram in malformed() {
            assert!(inject(&mut two, from, &datagram).is_err(), "{datagram:02x?} from {from}");
            refused += 1;
        }
    }
    let mut rng = Rng::new([9; 32]);
    for first in 0..=255_u8 {
        for from in [PEER, STRANGER] {
            let mut datagram = [0; 200];
            rng.fill(&mut datagram);
            datagram[0] = first;
            assert!(inject(&mut two, from, &datagram).is_err(), "{first} from {from}");
            refused += 1;
        }
    }
    let now = two.now();
    let ignored = two.session(0).stats(now).ignored;
    let counted =
        ignored.unknown_protocol + ignored.untimely + ignored.connectivity + ignored.dtls + ignored.sctp;
    assert!(counted >= refused, "{counted} of {refused}");
    assert!(two.is_connected());
    two.echo(ours, theirs);
}

#[test]
fn records_of_the_peer_from_another_address_are_not_taken() {
    let mut two = Two::new();
    let ours = two.connect();
    let theirs = two.incoming(1);
    two.run(Duration::from_secs(2), |_| false);
    // What the peer writes, carried from elsewhere.
    let now = two.now();
    two.session(1).send(now, theirs, &mut session::Outgoing::text("mine")).unwrap();
    let mut records = Vec::new();
    let mut memory = [0; 2000];
    loop {
        let mut batch = proto::Batch::new(&mut memory, 1, 1500);
        if two.session(1).poll_transmit(now, &mut batch).is_none() {
            break;
        }
        records.extend((batch.bytes()[0] == 23).then(|| batch.bytes().to_vec()));
    }
    assert!(!records.is_empty());
    for record in &records {
        let refused = inject(&mut two, STRANGER, record);
        assert_eq!(refused, Err(Discard::Connectivity(connectivity::Discard::NotAuthenticated)));
    }
    assert!(two.messages(0, ours).is_empty());
    for record in &records {
        inject(&mut two, PEER, record).unwrap();
    }
    assert_eq!(two.messages(0, ours), [b"mine"]);
}

#[test]
fn handshakes_and_alerts_of_strangers_do_not_disturb_the_set_up() {
    let mut two = Two::new();
    let now = two.now();
    let ours = two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    let connected = two.run(Duration::from_secs(5), |two| {
        for datagram in malformed() {
            assert!(inject(two, STRANGER, &datagram).is_err());
        }
        two.is_connected()
    });
    assert!(connected, "{}", two.reports());
    let theirs = two.incoming(1);
    two.echo(ours, theirs);
}
