use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Which peers a server relays to.
///
/// By default none of the special-purpose addresses of the IANA registries (RFC 6890 and its updates),
/// multicast included, in whatever form an IPv6 address embeds them: who can send through a relay must
/// not reach what stands behind it.
///
/// ```
/// let mut policy = turn::PeerPolicy::default();
/// assert!(policy.permits([8, 8, 8, 8].into()));
/// assert!(!policy.permits([169, 254, 169, 254].into()));
/// policy.allow.push("10.1.0.0/16".parse()?);
/// assert!(policy.permits([10, 1, 2, 3].into()) && !policy.permits([10, 2, 2, 3].into()));
/// # Ok::<_, turn::NetworkError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PeerPolicy {
    /// Networks that are reached although they are special.
    pub allow: Vec<Network>,
    /// Networks that are not reached, even if they are allowed above.
    pub deny: Vec<Network>,
}

impl PeerPolicy {
    /// Whether `ip` may be relayed to, and from.
    pub fn permits(&self, ip: IpAddr) -> bool {
        let embedded = embedded(ip);
        let any = |networks: &[Network]| {
            let within = |ip: &IpAddr| networks.iter().any(|network| network.contains(*ip));
            within(&ip) || embedded.iter().flatten().any(within)
        };
        if any(&self.deny) {
            return false;
        }
        let is_special = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => SPECIAL_V4.iter().any(|(network, prefix)| same_v4(ip, *network, *prefix)),
            IpAddr::V6(ip) => SPECIAL_V6.iter().any(|(network, prefix)| same_v6(ip, *network, *prefix)),
        };
        any(&self.allow) || !(is_special(ip) || embedded.iter().flatten().any(|ip| is_special(*ip)))
    }
}

/// A range of addresses, written `192.0.2.0/24` or `2001:db8::/32`; an address alone is a range of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The addresses that share the first `prefix` bits of `address`.
    ///
    /// # Errors
    ///
    /// There are not so many bits.
    pub const fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if prefix <= bits { Ok(Self { address, prefix }) } else { Err(NetworkError) }
    }

    /// Whether `ip` is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => same_v4(ip, network, self.prefix),
            (IpAddr::V6(network), IpAddr::V6(ip)) => same_v6(ip, network, self.prefix),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(all), |prefix| prefix.parse().map_err(|_| NetworkError))?;
        Self::new(address, prefix)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A text is not a range of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NetworkError;

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a network such as 192.0.2.0/24 or 2001:db8::/32")
    }
}

impl std::error::Error for NetworkError {}

/// The IPv4 addresses that an IPv6 address stands for or leads to.
pub(crate) fn embedded(ip: IpAddr) -> [Option<IpAddr>; 2] {
    let IpAddr::V6(ip) = ip else { return [None; 2] };
    let bits = ip.to_bits();
    let low = v4(bits);
    let is = |network: Ipv6Addr, prefix| same_v6(ip, network, prefix);
    let [a, b] = match ip.segments() {
        // Mapped (RFC 4291 §2.5.5.2), compatible (§2.5.5.1), translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            [Some(low), None]
        }
        // 6to4 (RFC 3056 §2): behind the first sixteen bits.
        [0x2002, ..] => [Some(v4(bits >> 80)), None],
        // Teredo (RFC 4380 §4): the server, and the client's address, inverted.
        [0x2001, 0, ..] => [Some(v4(bits >> 64)), Some(v4(!bits))],
        // NAT64 (RFC 6052 §2.1, RFC 8215): the last bits, in the local range for any length of prefix.
        _ if is(NAT64, 96) || is(NAT64_LOCAL, 48) => [Some(low), None],
        _ => [None, None],
    };
    [a.map(IpAddr::V4), b.map(IpAddr::V4)]
}

/// The last 32 bits.
fn v4(bits: u128) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::try_from(bits & u128::from(u32::MAX)).unwrap_or_default())
}

fn same_v4(ip: Ipv4Addr, network: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
    (ip.to_bits() ^ network.to_bits()) & mask == 0
}

fn same_v6(ip: Ipv6Addr, network: Ipv6Addr, prefix: u8) -> bool {
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
    (ip.to_bits() ^ network.to_bits()) & mask == 0
}

const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
const NAT64_LOCAL: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0);

/// The IANA IPv4 special-purpose address registry, and multicast.
const SPECIAL_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The IANA IPv6 special-purpose address registry, multicast, and the site-local range of old (RFC 3879).
/// NAT64's global prefix is judged by the address in it, and compatible and translated ones likewise.
const SPECIAL_V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::UNSPECIFIED, 128),
    (Ipv6Addr::LOCALHOST, 128),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (NAT64_LOCAL, 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x100, 0, 0, 1, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

#[cfg(test)]
mod tests;
