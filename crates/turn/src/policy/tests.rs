use super::*;

/// THREATS T1: the first, the last and one address inside of each range, as they are and in every IPv6 form.
pub(crate) fn special_addresses() -> Vec<IpAddr> {
    let mut all = Vec::new();
    for (network, prefix) in SPECIAL_V4 {
        let first = network.to_bits();
        let last = first | u32::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
        for bits in [first, last, first | 1] {
            let [a, b, c, d] = Ipv4Addr::from_bits(bits).octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            all.push(IpAddr::V4(Ipv4Addr::from_bits(bits)));
            all.push(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low).into());
            all.push(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low).into());
            all.push(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low).into());
            all.push(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into());
            all.push(Ipv6Addr::new(0x64, 0xff9b, 1, 7, 0, 0, high, low).into());
            all.push(Ipv6Addr::new(0x2002, high, low, 1, 0, 0, 0, 1).into());
            all.push(Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low).into());
            all.push(Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !0x0808, !0x0808).into());
        }
    }
    for (network, prefix) in SPECIAL_V6 {
        let first = network.to_bits();
        let last = first | u128::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
        all.extend([first, last].map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))));
    }
    all
}

#[test]
fn every_special_address_is_denied_in_every_form() {
    let all = special_addresses();
    assert!(all.len() > 400, "{}", all.len());
    for ip in all {
        assert!(!PeerPolicy::default().permits(ip), "{ip}");
    }
}

#[test]
fn what_lies_beside_a_special_range_is_permitted() {
    for ip in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:db7::1",
        "2001:db9::1",
        "2003::1",
        "2600::1",
        "3ffe::1",
        "64:ff9b::8.8.8.8",
    ] {
        assert!(PeerPolicy::default().permits(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn what_is_denied_is_not_allowed_and_forms_do_not_help() {
    let mut policy = PeerPolicy::default();
    policy.allow.push("127.0.0.0/8".parse().unwrap());
    policy.deny.push("127.0.0.53".parse().unwrap());
    policy.deny.push("8.8.0.0/16".parse().unwrap());
    for (ip, permitted) in [
        ("127.0.0.1", true),
        ("::ffff:127.0.0.1", true),
        ("127.0.0.53", false),
        ("::ffff:127.0.0.53", false),
        ("8.8.4.4", false),
        ("64:ff9b::808:808", false),
        ("2002:808:808::1", false),
        ("::1", false),
    ] {
        assert_eq!(policy.permits(ip.parse().unwrap()), permitted, "{ip}");
    }
}

#[test]
fn networks_are_read_and_written() {
    for (text, written) in [("10.0.0.0/8", "10.0.0.0/8"), ("::1", "::1/128"), ("0.0.0.0/0", "0.0.0.0/0")] {
        let network: Network = text.parse().unwrap();
        assert_eq!(network.to_string(), written);
        assert_eq!(written.parse(), Ok(network));
    }
    for bad in ["", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0/8", "a/8", "1.2.3.4/"] {
        assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
    }
    assert!("0.0.0.0/0".parse::<Network>().unwrap().contains([255; 4].into()));
    assert!(!"::/0".parse::<Network>().unwrap().contains([255; 4].into()));
}
