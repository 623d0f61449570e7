//! The server's part in behaviour discovery (RFC 5780 §6.1).

use std::net::SocketAddr;

use stun::wire::{Attribute, Class, Encoder, Method, TransactionId};
use turn::server::{Discovery, RelayAddress};
use turn::{Carrier, Path, Writer};

use crate::support::{Answer, Bench, config};

/// Two addresses of each family, the first of them behind a 1:1 NAT.
fn bench() -> Bench {
    let mut config = config();
    let address = |local: &str, external: &str| RelayAddress {
        local: local.parse().unwrap(),
        external: external.parse().unwrap(),
    };
    let v4 = [address("10.0.0.1", "192.0.2.1"), address("192.0.2.2", "192.0.2.2")];
    let v6 = ["2001:db8::1", "2001:db8::2"].map(|ip| address(ip, ip));
    config.discovery = vec![
        Discovery { addresses: v4, ports: [3478, 3479] },
        Discovery { addresses: v6, ports: [3478, 3479] },
    ];
    Bench::new(config)
}

fn path(local: &str, remote: &str) -> Path {
    Path { carrier: Carrier::Udp, local: local.parse().unwrap(), remote: remote.parse().unwrap() }
}

fn binding(attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut memory = vec![0; 4000];
    let mut out = Writer::new(&mut memory);
    let id = TransactionId([5; 12]);
    let mut request = Encoder::new(&mut out, Class::Request, Method::BINDING, id).unwrap();
    for attribute in attributes {
        request.attribute(*attribute).unwrap();
    }
    request.finish_without_fingerprint(None).unwrap();
    out.written().to_vec()
}

fn ask(bench: &mut Bench, path: Path, attributes: &[Attribute<'_>]) -> Answer {
    let request = binding(attributes);
    let _ = bench.receive(path, &request);
    let mut memory = [0; 4000];
    let mut batch = turn::Batch::new(&mut memory, 1, 4000);
    let transmit = bench.server.poll_transmit(bench.now, &mut batch).expect("an answer");
    let answer = Answer { bytes: batch.bytes().to_vec(), path: transmit.path };
    // THREATS T6.
    assert!(answer.bytes.len() <= 5 * request.len(), "{} for {}", answer.bytes.len(), request.len());
    answer
}

fn origin_and_other(answer: &Answer) -> [Option<SocketAddr>; 2] {
    [
        answer.find(|attribute| if let Attribute::ResponseOrigin(at) = attribute { Some(at) } else { None }),
        answer.find(|attribute| if let Attribute::OtherAddress(at) = attribute { Some(at) } else { None }),
    ]
}

#[test]
fn answers_leave_from_where_they_are_asked_to() {
    let mut bench = bench();
    let at = |text: &str| Some(text.parse().unwrap());
    let ways = [(false, false), (false, true), (true, false), (true, true)];
    let ends = [("10.0.0.1", "192.0.2.1"), ("192.0.2.2", "192.0.2.2")];
    for (address, local) in ends.iter().enumerate() {
        for (port, local_port) in [3478, 3479].into_iter().enumerate() {
            let here = path(&format!("{}:{local_port}", local.0), "198.51.100.7:4000");
            for (ip, other_port) in ways {
                let answer = ask(&mut bench, here, &[Attribute::ChangeRequest { ip, port: other_port }]);
                let from = ends[address ^ usize::from(ip)];
                let from_port = [3478, 3479][port ^ usize::from(other_port)];
                assert_eq!(answer.path, path(&format!("{}:{from_port}", from.0), "198.51.100.7:4000"));
                let other = format!("{}:{}", ends[1 - address].1, [3478, 3479][1 - port]);
                let expected = [at(&format!("{}:{from_port}", from.1)), at(&other)];
                assert_eq!(origin_and_other(&answer), expected);
                assert_eq!(answer.message().mapped_address(), at("198.51.100.7:4000"));
            }
            assert_eq!(ask(&mut bench, here, &[]).path, here, "without a wish");
        }
    }
}

/// RFC 5780 §7.5: to another port of the same address, and MAPPED-ADDRESS is from where it was asked.
#[test]
fn answers_go_to_the_port_that_is_named() {
    let mut bench = bench();
    let here = path("10.0.0.1:3478", "198.51.100.7:4000");
    let answer = ask(&mut bench, here, &[Attribute::ResponsePort(7000)]);
    assert_eq!(answer.path, path("10.0.0.1:3478", "198.51.100.7:7000"));
    assert_eq!(answer.message().mapped_address(), Some(here.remote));
    assert_eq!(ask(&mut bench, here, &[Attribute::ResponsePort(0)]).code(), 400);
}

/// THREATS T6: no answer has more padding than its request, than a link carries, or where it was not asked from.
#[test]
fn padding_is_no_longer_than_it_came() {
    let mut bench = bench();
    let here = path("10.0.0.1:3478", "198.51.100.7:4000");
    let padding = [0xff; 3000];
    for (asked, given) in [(0, 0), (1, 1), (1499, 1499), (1500, 1500), (1501, 1500), (3000, 1500)] {
        let answer = ask(&mut bench, here, &[Attribute::Padding(&padding[..asked])]);
        let len = answer.find(|attribute| match attribute {
            Attribute::Padding(bytes) => {
                assert!(bytes.iter().all(|byte| *byte == 0));
                Some(bytes.len())
            }
            _ => None,
        });
        assert_eq!(len, Some(given), "{asked}");
    }
    let both = [Attribute::Padding(&padding), Attribute::ResponsePort(7000)];
    let answer = ask(&mut bench, here, &both);
    assert_eq!((answer.code(), answer.path), (400, here));
}

/// THREATS T6: the bare request over IPv6 is the one with the least and the longest addresses in its answer.
#[test]
fn an_answer_is_at_most_five_times_its_request() {
    let mut bench = bench();
    for here in
        [path("10.0.0.1:3478", "198.51.100.7:4000"), path("[2001:db8::1]:3478", "[2001:db8:1::7]:4000")]
    {
        let answers = [
            ask(&mut bench, here, &[]),
            ask(&mut bench, here, &[Attribute::ChangeRequest { ip: true, port: true }]),
            ask(&mut bench, here, &[Attribute::Software("")]),
        ];
        let plain = answers.map(|answer| {
            assert_eq!(answer.message().mapped_address(), Some(here.remote));
            answer
                .find(|attribute| if let Attribute::MappedAddress(at) = attribute { Some(at) } else { None })
        });
        let always = Some(here.remote);
        assert_eq!(plain, [always.filter(|at| at.is_ipv4()), always, always]);
    }
}

/// RFC 5780 §6.1: 420 where there is no other address; and over TCP there is none.
#[test]
fn where_it_cannot_be_done_it_is_not_understood() {
    let elsewhere = path("192.0.2.9:3478", "198.51.100.7:4000");
    let stream = Path { carrier: Carrier::Stream, ..path("10.0.0.1:3478", "198.51.100.7:4000") };
    for here in [elsewhere, stream] {
        let mut bench = bench();
        for (attributes, kinds) in [
            (&[Attribute::ChangeRequest { ip: false, port: false }][..], &[0x0003][..]),
            (&[Attribute::ResponsePort(7000)], &[0x0027]),
            (&[Attribute::Padding(b"1234"), Attribute::ResponsePort(7000)], &[0x0027, 0x0026]),
        ] {
            let answer = ask(&mut bench, here, attributes);
            assert_eq!((answer.code(), answer.path), (420, here));
            let named = answer.find(|attribute| match attribute {
                Attribute::UnknownAttributes(list) => Some(list.types().collect::<Vec<_>>()),
                _ => None,
            });
            assert_eq!(named.as_deref(), Some(kinds));
        }
        let answer = ask(&mut bench, here, &[]);
        assert_eq!(origin_and_other(&answer), [None, None]);
    }
}
