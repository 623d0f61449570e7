use proptest::prelude::*;

use super::*;

#[test]
fn lines_of_other_stacks_survive() {
    for line in [
        // Chromium, Firefox, aiortc, libdatachannel, RFC 8839 §5.1 and a relay with TCP attributes.
        "candidate:842163049 1 udp 1677729535 203.0.113.5 46154 typ srflx raddr 10.0.0.4 rport 46154 generation 0 ufrag xAbC network-id 1 network-cost 10",
        "candidate:0 1 udp 2122252543 3d7a9c1e-6f2d-4f7c-9b1a-52a1b8b9d4d8.local 50210 typ host",
        "candidate:6815297761 1 udp 659136 10.0.0.2 31102 typ host",
        "candidate:2 1 udp 2114977535 2001:db8::4 51000 typ host",
        "candidate:1 1 tcp 2130706431 10.0.1.1 9 typ host tcptype active",
        "candidate:3 1 udp 41885439 192.0.2.9 61000 typ relay raddr 0.0.0.0 rport 0",
    ] {
        let candidate: Candidate = line.parse().unwrap();
        assert_eq!(candidate.to_string(), line);
        assert_eq!(format!("a={line}").parse(), Ok(candidate.clone()));
        assert_eq!(line["candidate:".len()..].parse(), Ok(candidate));
    }
    let firefox = "candidate:0 1 UDP 2122187007 10.0.0.1 39232 typ host".parse::<Candidate>().unwrap();
    assert_eq!(firefox.transport, Transport::Udp);
}

/// What ends a word and what ends the line are the same.
#[test]
fn only_the_blanks_between_words_are_blanks_around_them() {
    for blank in ['\u{b}', '\u{85}', '\u{a0}'] {
        let candidate: Candidate =
            format!("1 1 udp 1 10.0.0.1 9 typ host note {blank}x{blank}").parse().unwrap();
        assert_eq!(candidate.extensions, [("note".to_owned(), format!("{blank}x{blank}"))]);
        assert_eq!(candidate.to_string().parse(), Ok(candidate));
    }
}

#[test]
fn names_are_told_from_addresses() {
    let parse = |host: &str| format!("1 1 udp 1 {host} 9 typ host").parse::<Candidate>();
    let name = parse("a1-b2.LOCAL").unwrap().address;
    assert!(name.is_local_name() && name.ip().is_none());
    assert!(!parse("turn.example.org").unwrap().address.is_local_name());
    for bad in ["1.2.3", "1.2.3.4.5", "[::1]", "fe80::1%eth0", "a;b", "1.2.3.4:5", &"a".repeat(254)] {
        assert_eq!(parse(bad), Err(ParseError::Address), "{bad}");
    }
}

#[test]
fn each_fault_has_its_error() {
    let good = "candidate:1 1 udp 2130706431 10.0.0.1 9 typ host";
    let words: Vec<&str> = good.split(' ').collect();
    for count in 0..words.len() {
        let line = words[..count].join(" ");
        let expected = Err(ParseError::Truncated);
        assert_eq!(line.parse::<Candidate>(), expected, "{line}");
    }
    for (at, word, error) in [
        (0, "candidate:a_b", ParseError::Foundation),
        (0, &format!("candidate:{}", "a".repeat(33)), ParseError::Foundation),
        (1, "0", ParseError::Component),
        (1, "257", ParseError::Component),
        (1, "-1", ParseError::Component),
        (2, "u,dp", ParseError::Transport),
        (3, "4294967296", ParseError::Priority),
        (3, "+1", ParseError::Priority),
        (4, "::g", ParseError::Address),
        (5, "65536", ParseError::Port),
        (6, "type", ParseError::Kind),
        (7, "hosts", ParseError::Kind),
        (7, "host extension", ParseError::Extension),
        (7, "srflx raddr 1.1.1.1 rport x", ParseError::Port),
        (7, "host tcptype sometimes", ParseError::Extension),
    ] {
        let mut words = words.clone();
        words[at] = word;
        assert_eq!(words.join(" ").parse::<Candidate>(), Err(error), "{word}");
    }
    assert_eq!(" ".repeat(5000).parse::<Candidate>(), Err(ParseError::TooLong));
    let many = |count: usize| format!("{good}{}", " a b".repeat(count)).parse::<Candidate>();
    assert!(many(32).is_ok());
    assert_eq!(many(33), Err(ParseError::Extension));
}

#[test]
fn a_related_address_without_its_port_is_kept_where_it_stood() {
    for rest in ["raddr ::", "a 1 raddr :: r 0", "raddr 10.0.0.1 raddr 10.0.0.2 x y", "rport 5 raddr ::"] {
        let line = format!("candidate:3 1 udp 41885439 2001:db8::1 50001 typ relay {rest}");
        let candidate: Candidate = line.parse().unwrap();
        assert_eq!(candidate.related, None);
        assert_eq!(candidate.to_string(), line);
    }
}

proptest! {
    #[test]
    fn any_text_parses_or_is_refused(text in "\\PC*") {
        if let Ok(candidate) = text.parse::<Candidate>() {
            prop_assert_eq!(candidate.to_string().parse(), Ok(candidate));
        }
    }

    #[test]
    fn parses_what_it_displays(
        foundation in "[a-zA-Z0-9+/]{1,32}", component in 1..=256_u16, priority: u32, address: SocketAddr,
        kind in 0..4_usize, related: Option<SocketAddr>, extensions in proptest::collection::vec(("x[a-z-]{1,9}", "[!-~]{1,9}"), 0..5),
    ) {
        let plain = |address: SocketAddr| Address::Ip(SocketAddr::new(address.ip(), address.port()));
        let candidate = Candidate {
            foundation, component, priority, extensions,
            transport: Transport::Udp,
            address: plain(address),
            kind: [Kind::Host, Kind::ServerReflexive, Kind::PeerReflexive, Kind::Relayed][kind],
            related: related.map(plain),
            tcp_type: None,
        };
        prop_assert_eq!(candidate.to_string().parse(), Ok(candidate));
    }
}
