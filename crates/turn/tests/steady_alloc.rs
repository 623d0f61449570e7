//! What is relayed allocates nothing, on either end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

#[expect(dead_code, reason = "the server's tests use the rest")]
mod support;

use stun::Credentials;
use support::{Bench, LISTENER, PEER, config, inbound};
use turn::client::{self, Event};
use turn::server;
use turn::{Arrival, Batch, Carrier, Client, Path, Writer};

/// A client that may send to the peer, and the server that lets it.
fn joined(with_channel: bool) -> (Bench, Client, Path) {
    let mut bench = Bench::new(config());
    let path = Path {
        carrier: Carrier::Udp,
        local: "198.51.100.7:4000".parse().unwrap(),
        remote: LISTENER.parse().unwrap(),
    };
    let credentials = Credentials::new("alice", "wonderland").unwrap();
    let config = client::Config::new(crypto::default_provider());
    let mut client = Client::new(config, credentials, path, [3; 32]);
    let there = Path { local: path.remote, remote: path.local, ..path };
    client.allocate(bench.now);
    let peer = PEER.parse::<std::net::SocketAddr>().unwrap();
    client.permit(bench.now, peer.ip()).unwrap();
    if with_channel {
        client.bind_channel(bench.now, peer).unwrap();
    }
    for _ in 0..10 {
        let mut memory = [0; 1500];
        let mut batch = Batch::new(&mut memory, 1, 1500);
        if client.poll_transmit(bench.now, &mut batch).is_some() {
            let request = batch.bytes().to_vec();
            bench.receive(there, &request).unwrap();
        }
        while let Some(mut answer) = bench.poll() {
            let arrival = Arrival { path, ecn: None, at: bench.now };
            let _ = client.handle_datagram(arrival, &mut answer.bytes).unwrap();
        }
        while let Some(event) = client.poll_event() {
            assert!(!matches!(event, Event::Failed(_) | Event::Refused(..)), "{event:?}");
        }
    }
    (bench, client, there)
}

#[test]
fn what_is_relayed_allocates_nothing() {
    for with_channel in [false, true] {
        let (mut bench, mut client, there) = joined(with_channel);
        let here = Path { local: there.remote, remote: there.local, ..there };
        let relay = *bench.sockets.first().unwrap();
        let peer = PEER.parse().unwrap();
        let (mut out_memory, mut back_memory) = ([0; 1500], [0; 1500]);
        let mut round = |bench: &mut Bench| {
            let mut batch = Batch::new(&mut out_memory, 1, 1500);
            client
                .send_with(peer, &mut batch, |out| Ok::<_, client::SendError>(out.put(b"to the peer")?))
                .unwrap();
            let arrival = Arrival { path: there, ecn: None, at: bench.now };
            let received = bench.server.handle_datagram(arrival, batch.bytes()).unwrap();
            let server::Received::Relay(relayed) = received else { panic!("nothing is relayed") };
            assert_eq!(relayed.payload, b"to the peer");
            let arrival = Arrival { path: inbound(relay, PEER), ecn: None, at: bench.now };
            let received = bench.server.handle_datagram(arrival, b"from the peer").unwrap();
            let server::Received::Relay(relayed) = received else { panic!("nothing is relayed") };
            let mut out = Writer::new(&mut back_memory);
            relayed.write(&mut out).unwrap();
            let len = out.len();
            let arrival = Arrival { path: here, ecn: None, at: bench.now };
            let received = client.handle_datagram(arrival, &mut back_memory[..len]).unwrap();
            let client::Received::Data { payload, .. } = received else { panic!("no data") };
            assert_eq!(payload, b"from the peer");
            len
        };
        let len = round(&mut bench);
        assert_eq!(len == 4 + 13, with_channel, "{len} bytes for 13");
        let info = allocation_counter::measure(|| {
            for _ in 0..100 {
                round(&mut bench);
            }
        });
        assert_eq!(info.count_total, 0, "with a channel: {with_channel}");
    }
}
