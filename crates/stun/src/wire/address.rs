use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proto::{NoSpace, Reader, Writer};

use super::TransactionId;
use super::message::MAGIC_COOKIE;

/// Reads an address as MAPPED-ADDRESS has it (RFC 8489 §14.1).
pub(super) fn decode(value: &[u8]) -> Option<SocketAddr> {
    let mut reader = Reader::new(value);
    let family = reader.u16().ok()? & 0xff;
    let port = reader.u16().ok()?;
    let ip = match family {
        IPV4 => IpAddr::V4(Ipv4Addr::from_bits(reader.u32().ok()?)),
        IPV6 => IpAddr::V6(Ipv6Addr::from(reader.array::<16>().ok()?)),
        _ => return None,
    };
    reader.is_empty().then(|| SocketAddr::new(ip, port))
}

/// Writes an address as MAPPED-ADDRESS has it.
pub(super) fn encode(out: &mut Writer<'_>, address: SocketAddr) -> Result<(), NoSpace> {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.put_u64((u64::from(head(IPV4, address.port())) << 32) | u64::from(ip.to_bits()))
        }
        IpAddr::V6(ip) => {
            out.put_u32(head(IPV6, address.port()))?;
            out.put(&ip.octets())
        }
    }
}

/// Masks or unmasks an address as XOR-MAPPED-ADDRESS does (RFC 8489 §14.2).
pub(super) fn xor(address: SocketAddr, id: TransactionId) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() ^ MAGIC_COOKIE)),
        IpAddr::V6(ip) => {
            let mut mask = [0; 16];
            let (cookie, rest) = mask.split_at_mut(4);
            cookie.copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            rest.copy_from_slice(&id.0);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() ^ u128::from_be_bytes(mask)))
        }
    };
    let [high, low, ..] = MAGIC_COOKIE.to_be_bytes();
    SocketAddr::new(ip, address.port() ^ u16::from_be_bytes([high, low]))
}

fn head(family: u16, port: u16) -> u32 {
    (u32::from(family) << 16) | u32::from(port)
}

const IPV4: u16 = 1;
const IPV6: u16 = 2;
