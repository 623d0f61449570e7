//! RFC 8832 §5.1 and §6, on the wire.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how a test fails"
)]

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::victim::{DCEP, Victim, open};
use common::{Pair, named};
use datachannel::wire::Message;
use datachannel::{Config, Init, Outgoing, Reliability, StreamId};
use sctp::wire::{Chunk, Packet};

/// What DATA shows of itself: who sent it, the stream, the identifier, the U bit.
type Shown = (usize, u16, u32, bool);

fn watch(pair: &mut Pair) -> Rc<RefCell<Vec<Shown>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = seen.clone();
    pair.change = Some(Box::new(move |from, packet| {
        for chunk in Packet::decode(packet).unwrap().chunks() {
            if let Chunk::Data(data) = chunk {
                log.borrow_mut().push((from, data.stream.0, data.ppid.0, data.unordered));
            }
        }
    }));
    seen
}

/// OPEN and ACK go in order on the channel's stream, whatever the channel is; its messages go in order until the peer is
/// heard, and then as the channel asks for.
#[test]
fn the_establishment_goes_in_order_and_messages_follow_the_channel_when_it_is_acknowledged() {
    for ordered in [true, false] {
        let mut pair = Pair::new();
        pair.seconds(1);
        let seen = watch(&mut pair);
        let init = Init { ordered, reliability: Reliability::MaxRetransmits(0), ..named("x") };
        let ours = pair.ends[0].open(pair.now, init).unwrap();
        pair.send(0, ours, Outgoing::text("before the ACK"));
        pair.seconds(1);
        let theirs = pair.incoming(1).unwrap();
        pair.send(0, ours, Outgoing::text("behind the ACK"));
        pair.send(1, theirs, Outgoing::binary(vec![1]));
        pair.seconds(1);
        let stream = pair.ends[0].stream(ours).unwrap().0;
        let expected: [Shown; 5] = [
            (0, stream, 50, false),
            (0, stream, 51, false),
            (1, stream, 50, false),
            (0, stream, 51, !ordered),
            (1, stream, 53, !ordered),
        ];
        assert_eq!(*seen.borrow(), expected, "{ordered}");
    }
}

/// OPEN and ACK are sent until they arrive, even for a channel that never sends twice.
#[test]
fn the_establishment_is_reliable_whatever_the_channel_is() {
    for lost in 0..8 {
        let mut pair = Pair::new();
        pair.seconds(1);
        let first = pair.count + lost;
        pair.link = Box::new(move |nth| nth <= first || nth > first + 2);
        let init = Init { ordered: false, reliability: Reliability::MaxRetransmits(0), ..named("x") };
        pair.ends[0].open(pair.now, init).unwrap();
        pair.seconds(10);
        assert!(pair.incoming(1).is_some(), "{lost}");
    }
}

/// RFC 8832 §5.1: for a reliable channel the parameter says nothing.
#[test]
fn the_parameter_of_a_reliable_channel_is_zero_and_is_not_read() {
    for kind in [0x00, 0x80] {
        let mut bytes = open(0, 0, b"");
        bytes[1] = kind;
        bytes[4..8].copy_from_slice(&77u32.to_be_bytes());
        let Ok(Message::Open(read)) = Message::decode(&bytes) else { panic!() };
        assert_eq!((read.reliability, read.unordered), (Reliability::Reliable, kind == 0x80));
        let mut memory = [0xff; 12];
        let mut out = proto::Writer::new(&mut memory);
        Message::Open(read).encode(&mut out).unwrap();
        assert_eq!(out.written()[4..8], [0; 4]);
    }
}

/// RFC 8832 §6: what is refused is not acknowledged.
#[test]
fn an_open_that_is_refused_is_never_acknowledged() {
    let mut config = Config::default();
    config.max_channels = 1;
    let mut victim = Victim::new(config);
    victim.write(0, DCEP, &open(0, 0, b""));
    victim.run(100);
    assert_eq!(victim.peer.recv(victim.now, StreamId(0)).map(|it| it.data.to_vec()), Some(vec![2]));
    for (stream, bytes) in
        [(2, open(0, 0, b"")), (3, open(0, 0, b"")), (4, open(9, 9, b"")), (0, open(0, 0, b""))]
    {
        victim.write(stream, DCEP, &bytes);
        victim.run(200);
        assert_eq!(victim.peer.recv(victim.now, StreamId(stream)), None, "{stream}");
        assert!(victim.was_reset(stream), "{stream}");
    }
}

/// RFC 8841 §5: each end's port is its own, and the other learns it from signalling.
#[test]
fn ends_with_ports_of_their_own_meet_once_each_knows_the_others() {
    for told in [true, false] {
        let mut pair = Pair::new();
        let mut config = Config::default();
        std::sync::Arc::make_mut(&mut config.sctp).local_port = 6000;
        pair.ends[1] = datachannel::Channels::new(pair.now, config, [9; 32]);
        if told {
            pair.ends[0].set_remote_port(6000);
        }
        pair.ends[0].set_role(pair.now, datachannel::Role::Client);
        pair.ends[1].set_role(pair.now, datachannel::Role::Server);
        pair.ends[0].open(pair.now, named("x")).unwrap();
        pair.seconds(5);
        assert_eq!(pair.incoming(1).is_some(), told);
    }
}
