//! Strangers, and users who want more than they may (THREATS T1, T2, T4, T6, T10).

use std::net::{IpAddr, Ipv4Addr};

use stun::wire::{Attribute, Class, Encoder, Method, TransactionId};
use turn::Writer;
use turn::server::Discard;

use crate::support::{Asker, Bench, LISTENER, config};

/// THREATS T1: each range, as it is and as others embed it, by every method; and nothing from there comes in.
#[test]
fn special_addresses_are_not_reached_by_any_method() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let both = [Attribute::AdditionalAddressFamily(stun::wire::AddressFamily::V6)];
    alice.allocate(&mut bench, &both);
    let relays: Vec<_> = bench.sockets.iter().copied().collect();
    let mut count = 0;
    for ip in special() {
        let peer = std::net::SocketAddr::new(ip, 80).to_string();
        assert_eq!(alice.permit(&mut bench, &peer), 403, "{peer}");
        assert_eq!(alice.bind(&mut bench, 0x4000, &peer), 403, "{peer}");
        assert_eq!(alice.send(&mut bench, &peer, b"x").err(), Some(Discard::NoPermission), "{peer}");
        assert_eq!(bench.receive(alice.path, &[0x40, 0, 0, 1, 1]).err(), Some(Discard::NoChannel));
        for relay in &relays {
            let path = crate::support::inbound(*relay, &peer);
            assert_eq!(bench.receive(path, b"x").err(), Some(Discard::NoPermission), "{peer}");
        }
        count += 1;
    }
    assert!(count >= 200, "{count}");
    assert_eq!(bench.server.stats().to_peers + bench.server.stats().to_clients, 0);
}

/// A few of each range of the registries, in every form in which IPv6 carries IPv4.
pub(crate) fn special() -> Vec<IpAddr> {
    let v4 = [
        "0.0.0.1",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "192.175.48.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
    ];
    let mut all = Vec::new();
    for ip in v4.map(|ip| ip.parse::<Ipv4Addr>().unwrap()) {
        let [a, b, c, d] = ip.octets();
        let hex = format!("{a:02x}{b:02x}:{c:02x}{d:02x}");
        let inverted = format!("{:02x}{:02x}:{:02x}{:02x}", !a, !b, !c, !d);
        all.push(IpAddr::V4(ip));
        for text in [
            format!("::ffff:{ip}"),
            format!("::{ip}"),
            format!("::ffff:0:{ip}"),
            format!("64:ff9b::{ip}"),
            format!("64:ff9b:1:7::{ip}"),
            format!("2002:{hex}::1"),
            format!("2001:0:808:808::{inverted}"),
            format!("2001:0:{hex}::f7f7:f7f7"),
        ] {
            all.push(text.parse().unwrap());
        }
    }
    for ip in [
        "::",
        "::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::9",
        "2002::1",
        "2620:4f:8000::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        all.push(ip.parse().unwrap());
    }
    all
}

/// THREATS T10: nobody becomes a client through a relay, and the server's own ports are out of reach, even
/// where its address is allowed.
#[test]
fn the_server_is_no_peer_of_its_own_clients() {
    let mut open = config();
    open.peers.allow.push("0.0.0.0/0".parse().unwrap());
    let (mut bench, mut alice) = (Bench::new(open), Asker::alice());
    let relayed = alice.allocate(&mut bench, &[]).relayed();
    assert_eq!(alice.bind(&mut bench, 0x4000, LISTENER), 403);
    assert_eq!(alice.bind(&mut bench, 0x4000, "192.0.2.1:22"), 403);
    assert_eq!(alice.permit(&mut bench, LISTENER), 0, "an address, and ports are looked at when it is used");
    for peer in [LISTENER, "192.0.2.1:22", "192.0.2.1:65535"] {
        if peer != relayed.to_string() {
            assert_eq!(alice.send(&mut bench, peer, b"x").err(), Some(Discard::NoPermission), "{peer}");
        }
    }
    assert!(alice.send(&mut bench, &relayed.to_string(), b"x").is_ok());
}

/// THREATS T1, T10: nor in any form in which IPv6 carries IPv4, whatever the operator allows.
#[test]
fn the_servers_own_addresses_are_not_reached_in_disguise() {
    let mut open = config();
    open.peers.allow = ["0.0.0.0/0", "::/0"].map(|network| network.parse().unwrap()).to_vec();
    let (mut bench, mut alice) = (Bench::new(open), Asker::alice());
    let family = [Attribute::AdditionalAddressFamily(stun::wire::AddressFamily::V6)];
    let relayed = alice.allocate(&mut bench, &family).relayed();
    for ip in [
        "::ffff:192.0.2.1",
        "::192.0.2.1",
        "::ffff:0:192.0.2.1",
        "64:ff9b::192.0.2.1",
        "64:ff9b:1:7::192.0.2.1",
        "2002:c000:201::1",
        "2001:0:c000:201::1",
    ] {
        let peer = format!("[{ip}]:{}", relayed.port());
        assert_eq!(alice.permit(&mut bench, &peer), 403, "{peer}");
        assert_eq!(alice.bind(&mut bench, 0x4000, &peer), 403, "{peer}");
    }
    assert_eq!(alice.permit(&mut bench, "[64:ff9b::192.0.2.2]:1"), 0, "another's, and all is allowed");
}

/// THREATS T6: what a stranger is answered is at most three times as long as what he sent.
#[test]
fn a_stranger_is_answered_briefly() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let methods = [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND];
    let transport = Attribute::RequestedTransport(17);
    let unknown = Attribute::Unknown { kind: 0x7777, value: &[] };
    let mut answered = 0;
    for method in methods.into_iter().chain([Method::BINDING, Method::CONNECT, Method::new(0xfff).unwrap()]) {
        for attributes in
            [&[][..], &[transport], &[unknown], &[unknown; 40], &[transport, Attribute::Username("alice")]]
        {
            bench.sleep(std::time::Duration::from_secs(1));
            let request = alice.request(method, attributes);
            if let Some(answer) = bench.ask(alice.path, &request) {
                answered += 1;
                let limit = if method == Method::BINDING { 5 } else { 3 };
                let (asked, told) = (request.len(), answer.bytes.len());
                assert!(told <= limit * asked, "{method:?} {attributes:?}: {told} for {asked}");
            }
        }
    }
    assert!(answered > 20, "{answered}");
}

/// THREATS T6: twenty refusals a second to a network.
#[test]
fn strangers_are_refused_so_many_times_a_second() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    let flood = |bench: &mut Bench, alice: &mut Asker| {
        let request = alice.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)]);
        (0..1000).filter(|_| bench.ask(alice.path, &request).is_some()).count()
    };
    assert_eq!(flood(&mut bench, &mut alice), 20);
    bench.sleep(std::time::Duration::from_secs(1));
    assert_eq!(flood(&mut bench, &mut alice), 20);
    let mut elsewhere = Asker::new("198.51.101.7:4000", "alice", "wonderland");
    assert_eq!(elsewhere.allocate(&mut bench, &[]).code(), 0, "others are served");
}

/// THREATS T4: a million strangers leave nothing behind.
#[test]
fn nothing_is_kept_of_strangers() {
    let mut bench = Bench::new(config());
    let mut asker = Asker::alice();
    let request = asker.request(Method::ALLOCATE, &[Attribute::RequestedTransport(17)]);
    let mut memory = [0; 1500];
    let mut flood = |bench: &mut Bench, count: u32| {
        let mut path = asker.path;
        for n in 0..count {
            path.remote = ((Ipv4Addr::from_bits(0x0b00_0000 + n * 199)), 1 + (n % 60_000) as u16).into();
            let arrival = turn::Arrival { path, ecn: None, at: bench.now };
            let _ = bench.server.handle_datagram(arrival, &request);
            let mut batch = turn::Batch::new(&mut memory, 1, 1500);
            let _ = bench.server.poll_transmit(bench.now, &mut batch);
            bench.now += std::time::Duration::from_micros(10);
        }
    };
    flood(&mut bench, 1_000);
    let count = u32::try_from(testkit::scaled_at_least(1_000_000, 10_000)).unwrap();
    let info = allocation_counter::measure(|| flood(&mut bench, count));
    assert_eq!((info.count_total, info.bytes_current), (0, 0), "nothing is allocated for them");
    assert_eq!((bench.server.stats().allocations, bench.sockets.len()), (0, 0));
}

/// THREATS T2: the fill bytes of all answers are zero.
#[test]
fn padding_is_zero() {
    let mut odd = config();
    odd.realm = "odd".into();
    let (mut bench, mut alice) = (Bench::new(odd), Asker::alice());
    for attributes in [&[][..], &[Attribute::RequestedTransport(17)]] {
        let request = alice.request(Method::ALLOCATE, attributes);
        if let Some(answer) = bench.ask(alice.path, &request) {
            check_padding(&answer.bytes);
        }
    }
    let relayed = alice.allocate(&mut bench, &[]).relayed();
    alice.permit(&mut bench, crate::support::PEER);
    let refused = alice.call(&mut bench, Method::CHANNEL_BIND, &[]);
    check_padding(&refused.bytes);
    for len in 0..9 {
        let data = vec![0xff; len];
        let path = crate::support::inbound(relayed, crate::support::PEER);
        check_padding(&bench.receive(path, &data).unwrap().unwrap().bytes);
    }
}

fn check_padding(message: &[u8]) {
    let mut at = 20;
    while at < message.len() {
        let len = usize::from(u16::from_be_bytes([message[at + 2], message[at + 3]]));
        let end = (at + 4 + len).next_multiple_of(4);
        assert!(message[at + 4 + len..end].iter().all(|byte| *byte == 0), "{message:?}");
        at = end;
    }
}

/// Every prefix and every flipped bit of what an honest client sends, and bytes of no sense.
#[test]
fn what_is_not_understood_changes_nothing() {
    let (mut bench, mut alice) = (Bench::new(config()), Asker::alice());
    alice.allocate(&mut bench, &[]);
    let request = alice.request(Method::REFRESH, &[Attribute::Lifetime(0)]);
    for cut in 0..request.len() {
        assert!(bench.receive(alice.path, &request[..cut]).is_err(), "{cut}");
    }
    for bit in 0..request.len() * 8 {
        let mut flipped = request.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = bench.receive(alice.path, &flipped);
        while bench.poll().is_some() {}
        assert_eq!(bench.server.stats().allocations, 1, "{bit}");
    }
    for first in 0..=255 {
        for len in 0..40 {
            let mut bytes = vec![first; len];
            let _ = bench.receive(alice.path, &bytes);
            bytes.fill(0);
            let _ = bench.receive(alice.path, &bytes);
        }
    }
    let mut memory = [0; 200];
    for class in [Class::Success, Class::Error, Class::Indication] {
        for method in [Method::ALLOCATE, Method::REFRESH, Method::DATA] {
            let mut out = Writer::new(&mut memory);
            let message = Encoder::new(&mut out, class, method, TransactionId([1; 12])).unwrap();
            message.finish(None).unwrap();
            assert_eq!(bench.receive(alice.path, out.written()).err(), Some(Discard::Unexpected));
        }
    }
    assert_eq!(bench.server.stats().allocations, 1);
    bench.receive(alice.path, &request).unwrap();
    assert_eq!(bench.server.stats().allocations, 0);
}
