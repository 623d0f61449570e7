//! What is relayed: only to and from peers that the client asked for, for as long as it asked (THREATS T7).

use std::time::Duration;

use stun::wire::{Attribute, Class, Message, Method};
use turn::server::Discard;
use turn::wire::{ChannelData, ChannelNumber};

use crate::support::{Asker, Bench, PEER, config, inbound};

#[test]
fn data_goes_both_ways_in_indications() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let relayed = alice.allocate(&mut bench, &[]).relayed();
    assert_eq!(alice.send(&mut bench, PEER, b"x").err(), Some(Discard::NoPermission));
    assert_eq!(bench.receive(inbound(relayed, PEER), b"x").err(), Some(Discard::NoPermission));
    assert_eq!(alice.permit(&mut bench, PEER), 0);
    let sent = alice.send(&mut bench, PEER, b"hello").unwrap().unwrap();
    assert_eq!((sent.path, &sent.bytes[..]), (inbound(relayed, PEER), &b"hello"[..]));
    // A permission is for an address, whatever the port.
    let other_port = "8.8.4.4:9";
    let came = bench.receive(inbound(relayed, other_port), b"world").unwrap().unwrap();
    assert_eq!(came.path, alice.path);
    let message = Message::decode(&came.bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
    let attributes: Vec<_> = message.attributes().collect();
    assert_eq!(
        attributes,
        [Attribute::XorPeerAddress(other_port.parse().unwrap()), Attribute::Data(b"world")]
    );
    assert_eq!(bench.receive(inbound(relayed, "8.8.4.5:5000"), b"x").err(), Some(Discard::NoPermission));
}

#[test]
fn data_goes_both_ways_in_channels() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let relayed = alice.allocate(&mut bench, &[]).relayed();
    assert_eq!(bench.receive(alice.path, &[0x40, 0, 0, 1, 7]).err(), Some(Discard::NoChannel));
    assert_eq!(alice.bind(&mut bench, 0x4000, PEER), 0);
    let sent = bench.receive(alice.path, &[0x40, 0, 0, 1, 7]).unwrap().unwrap();
    assert_eq!((sent.path, &sent.bytes[..]), (inbound(relayed, PEER), &[7][..]));
    let came = bench.receive(inbound(relayed, PEER), b"abc").unwrap().unwrap();
    let number = ChannelNumber::new(0x4000).unwrap();
    assert_eq!(ChannelData::decode(&came.bytes), Ok(ChannelData { channel: number, payload: b"abc" }));
    assert_eq!(came.bytes.len(), 7, "no padding in datagrams");
    let came = bench.receive(inbound(relayed, "8.8.4.4:1"), b"abc").unwrap().unwrap();
    assert!(Message::decode(&came.bytes).is_ok(), "another port is no channel's");
}

/// To the millisecond.
#[test]
fn what_an_allocation_carried_is_told_when_it_ends() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let relayed = alice.allocate(&mut bench, &[]).relayed();
    alice.permit(&mut bench, PEER);
    alice.send(&mut bench, PEER, b"12345").unwrap().unwrap();
    for _ in 0..3 {
        bench.receive(inbound(relayed, PEER), b"123").unwrap().unwrap();
    }
    assert!(alice.send(&mut bench, "8.8.8.8:1", b"nobody permitted this").is_err());
    bench.sleep(Duration::from_secs(600));
    let told: Vec<_> = bench
        .usages
        .iter()
        .map(|(usage, over)| (usage.username(), usage.relayed, usage.to_peers, usage.to_client, *over))
        .collect();
    let relayed = [Some(relayed), None];
    assert_eq!(told, [("alice", relayed, 0, 0, false), ("alice", relayed, 5, 9, true)]);
}

#[test]
fn permissions_and_channels_end_when_they_are_said_to() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let relayed = alice.allocate(&mut bench, &[Attribute::Lifetime(3600)]).relayed();
    let (permitted, bound) = ("8.8.4.4:1", "8.8.8.8:2");
    assert_eq!(alice.permit(&mut bench, permitted), 0);
    assert_eq!(alice.bind(&mut bench, 0x4001, bound), 0);
    let channel = [0x40, 1, 0, 1, 7];
    let path = alice.path;
    let state = |bench: &mut Bench| {
        let ok = |result: Result<_, _>| result.is_ok();
        [
            ok(bench.receive(inbound(relayed, permitted), b"x")),
            ok(bench.receive(inbound(relayed, bound), b"x")),
            ok(bench.receive(path, &channel)),
        ]
    };
    bench.sleep(Duration::from_millis(299_999));
    assert_eq!(state(&mut bench), [true; 3]);
    bench.sleep(Duration::from_millis(1));
    assert_eq!(state(&mut bench), [false; 3], "a channel's permission is not longer than others");
    assert_eq!(alice.permit(&mut bench, bound), 0);
    assert_eq!(state(&mut bench), [false, true, true]);
    bench.sleep(Duration::from_millis(299_999));
    assert_eq!(state(&mut bench), [false, true, true]);
    bench.sleep(Duration::from_millis(1));
    assert_eq!(alice.permit(&mut bench, bound), 0);
    assert_eq!(state(&mut bench), [false, true, false], "ten minutes after it was bound");
    // For five minutes neither number nor peer is bound otherwise, but both together are.
    assert_eq!(alice.bind(&mut bench, 0x4001, "8.8.8.9:2"), 400);
    assert_eq!(alice.bind(&mut bench, 0x4002, bound), 400);
    bench.sleep(Duration::from_millis(299_999));
    assert_eq!(alice.bind(&mut bench, 0x4002, bound), 400);
    bench.sleep(Duration::from_millis(1));
    assert_eq!(alice.bind(&mut bench, 0x4002, bound), 0);
}

#[test]
fn channels_have_the_numbers_that_they_may_have() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.allocate(&mut bench, &[]);
    for (number, code) in [(0x3fff, 400), (0x4000, 0), (0x4fff, 0), (0x5000, 400), (0, 400), (0xffff, 400)] {
        assert_eq!(
            alice.bind(&mut bench, number, &format!("8.8.4.4:{}", number.max(1))),
            code,
            "{number:#x}"
        );
    }
    assert_eq!(alice.bind(&mut bench, 0x4000, "8.8.4.4:1"), 400, "bound to another port");
    assert_eq!(alice.bind(&mut bench, 0x4000, &format!("8.8.4.4:{}", 0x4000)), 0, "renewed");
    assert_eq!(alice.call(&mut bench, Method::CHANNEL_BIND, &[Attribute::ChannelNumber(0x4003)]).code(), 400);
    assert_eq!(alice.call(&mut bench, Method::CREATE_PERMISSION, &[]).code(), 400);
}

#[test]
fn without_an_allocation_there_is_nothing_to_ask_for() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    assert_eq!(alice.permit(&mut bench, PEER), 437);
    assert_eq!(alice.bind(&mut bench, 0x4000, PEER), 437);
    assert_eq!(alice.send(&mut bench, PEER, b"x").err(), Some(Discard::NoAllocation));
    assert_eq!(bench.receive(alice.path, &[0x40, 0, 0, 0]).err(), Some(Discard::NoAllocation));
}

/// Two clients of one server that reach each other by their relays only.
#[test]
fn two_relays_of_one_server_reach_each_other() {
    let mut open = config();
    open.peers.allow.push("192.0.2.1".parse().unwrap());
    let (mut bench, mut alice) = (Bench::new(open), Asker::alice());
    let mut bob = Asker::new("198.51.100.8:1", "bob", "wonderland");
    let ours = alice.allocate(&mut bench, &[]).relayed();
    let theirs = bob.allocate(&mut bench, &[]).relayed();
    assert_eq!(alice.permit(&mut bench, &theirs.to_string()), 0);
    assert_eq!(bob.bind(&mut bench, 0x4000, &ours.to_string()), 0);
    let sent = alice.send(&mut bench, &theirs.to_string(), b"hello").unwrap().unwrap();
    let came = bench.receive(inbound(theirs, &ours.to_string()), &sent.bytes).unwrap().unwrap();
    assert_eq!((came.path, &came.bytes[4..]), (bob.path, &b"hello"[..]));
}

#[test]
fn no_more_than_the_bandwidth_is_relayed() {
    let mut slow = config();
    slow.max_bandwidth = Some(10_000);
    let (mut bench, mut alice) = (Bench::new(slow), Asker::alice());
    alice.allocate(&mut bench, &[]);
    assert_eq!(alice.permit(&mut bench, PEER), 0);
    let sent = |bench: &mut Bench, alice: &Asker| {
        (0..100).filter(|_| alice.send(bench, PEER, &[0; 1000]).is_ok()).count()
    };
    assert_eq!(sent(&mut bench, &alice), 10);
    bench.sleep(Duration::from_millis(500));
    assert_eq!(sent(&mut bench, &alice), 5);
    assert_eq!(alice.send(&mut bench, PEER, &[0; 1000]).err(), Some(Discard::Bandwidth));
}

/// RFC 5766 §11 against RFC 8656 §12.
#[test]
fn old_clients_have_their_channels_where_they_are_allowed() {
    for (allowed, number, code) in
        [(false, 0x5000, 400), (true, 0x5000, 0), (true, 0x7fff, 0), (true, 0x8000, 400), (true, 0x3fff, 400)]
    {
        let mut config = config();
        config.rfc5766_channels = allowed;
        let (mut bench, mut alice) = (Bench::new(config), Asker::alice());
        let relay = alice.allocate(&mut bench, &[]).relayed();
        assert_eq!(alice.bind(&mut bench, number, PEER), code, "{number:#x}");
        let [high, low] = number.to_be_bytes();
        let sent = bench.receive(alice.path, &[high, low, 0, 1, 7]);
        let refused = if allowed && code == 0 { None } else { Some(Discard::NotTurn) };
        assert!(number == 0x3fff || sent.as_ref().err().copied() == refused, "{number:#x}: {sent:?}");
        if code == 0 {
            assert_eq!(sent.unwrap().unwrap().bytes, [7]);
            let back = bench.receive(inbound(relay, PEER), &[8]).unwrap().unwrap();
            assert_eq!(back.bytes, [high, low, 0, 1, 8]);
        }
    }
}

/// RFC 8656 §10.2.
#[test]
fn all_peers_of_a_request_are_permitted_or_none() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let relayed = alice.allocate(&mut bench, &[]).relayed();
    let peer = |text: &str| Attribute::XorPeerAddress(text.parse().unwrap());
    for (bad, code) in [("127.0.0.1:1", 403), ("[2600::1]:1", 443)] {
        for peers in [[peer(PEER), peer(bad)], [peer(bad), peer(PEER)]] {
            assert_eq!(alice.call(&mut bench, Method::CREATE_PERMISSION, &peers).code(), code);
            assert_eq!(bench.receive(inbound(relayed, PEER), b"x").err(), Some(Discard::NoPermission));
        }
    }
    let both = [peer(PEER), peer("8.8.8.8:1")];
    assert_eq!(alice.call(&mut bench, Method::CREATE_PERMISSION, &both).code(), 0);
    for from in [PEER, "8.8.8.8:77"] {
        assert!(bench.receive(inbound(relayed, from), b"x").is_ok());
    }
}

/// RFC 8656 §12.2.
#[test]
fn channels_are_of_the_families_that_there_are() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.allocate(&mut bench, &[]);
    assert_eq!(alice.bind(&mut bench, 0x4000, "[2600::1]:1"), 443);
    assert_eq!(alice.bind(&mut bench, 0x4000, PEER), 0, "the number is free");
}

/// RFC 8656 §9: nor does an earlier client's permission let anybody in.
#[test]
fn a_new_allocation_has_nothing_of_the_old_one() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.allocate(&mut bench, &[]);
    assert_eq!(alice.bind(&mut bench, 0x4000, PEER), 0);
    assert_eq!(alice.call(&mut bench, Method::REFRESH, &[Attribute::Lifetime(0)]).code(), 0);
    let relayed = alice.allocate(&mut bench, &[]).relayed();
    assert_eq!(bench.receive(inbound(relayed, PEER), b"x").err(), Some(Discard::NoPermission));
    assert_eq!(bench.receive(alice.path, &[0x40, 0, 0, 1, 7]).err(), Some(Discard::NoChannel));
    assert_eq!(alice.send(&mut bench, PEER, b"x").err(), Some(Discard::NoPermission));
}

/// RFC 8656 §11.2.
#[test]
fn what_must_not_be_fragmented_is_not_sent_where_it_might_be() {
    for allowed in [true, false] {
        let mut config = config();
        config.dont_fragment = allowed;
        let (mut bench, mut alice) = (Bench::new(config), Asker::alice());
        alice.allocate(&mut bench, &[]);
        assert_eq!(alice.permit(&mut bench, PEER), 0);
        let mut memory = [0; 200];
        let mut out = turn::Writer::new(&mut memory);
        let id = stun::wire::TransactionId([9; 12]);
        let mut message = stun::wire::Encoder::new(&mut out, Class::Indication, Method::SEND, id).unwrap();
        for attribute in
            [Attribute::XorPeerAddress(PEER.parse().unwrap()), Attribute::DontFragment, Attribute::Data(b"x")]
        {
            message.attribute(attribute).unwrap();
        }
        message.finish_without_fingerprint(None).unwrap();
        let refused = if allowed { None } else { Some(Discard::Malformed) };
        assert_eq!(bench.receive(alice.path, out.written()).err(), refused);
    }
}
