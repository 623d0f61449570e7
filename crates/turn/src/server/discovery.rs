//! The server's part in behaviour discovery (RFC 5780 §6.1).
#![expect(clippy::wildcard_enum_match_arm, reason = "the reader looks for three attributes among many")]

use std::net::SocketAddr;

use proto::{Carrier, NoSpace, Path};
use stun::wire::{Attribute, Encoder, Message};

use super::Config;
use super::reply::{Content, MAX_UNKNOWN};

/// What a client learns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Discovered {
    /// From where it asked.
    client: SocketAddr,
    /// As it sees it.
    origin: SocketAddr,
    other: SocketAddr,
    /// Whether MAPPED-ADDRESS is there too.
    plain: bool,
    padding: Option<usize>,
}

/// What a client wants.
#[derive(Clone, Copy, Debug, Default)]
struct Wish {
    change: Option<(bool, bool)>,
    port: Option<u16>,
    padding: Option<usize>,
}

impl Config {
    /// The answer to a Binding request of `len` bytes, and from and to where it goes.
    pub(super) fn answer_binding(&self, path: Path, message: &Message<'_>, len: usize) -> (Path, Content) {
        let wish = Wish::read(message);
        let Some((origin, other)) = self.ends(path) else {
            return (path, wish.unknown().unwrap_or(Content::Mapped));
        };
        // Both together would send much to a port that did not ask for it (RFC 5780 §7.6).
        if wish.port == Some(0) || wish.port.is_some() && wish.padding.is_some() {
            return (path, Content::Error(400));
        }
        let client = path.remote;
        let (ip, port) = wish.change.unwrap_or_default();
        let pick = |other: bool, ends: [SocketAddr; 2]| {
            let [here, there] = ends;
            if other { there } else { here }
        };
        let [local, seen] = [[origin.0, other.0], [origin.1, other.1]].map(|ends| {
            let (of_ip, of_port) = (pick(ip, ends), pick(port, ends));
            SocketAddr::new(of_ip.ip(), of_port.port())
        });
        let discovered = Discovered {
            client,
            origin: seen,
            other: other.1,
            // With it the answer to a bare request over IPv6 would be more than five times as long.
            plain: client.is_ipv4() || len >= SHORTEST_FOR_PLAIN_V6,
            // As much as the request had, so that nobody asks for more than he sends.
            padding: wish.padding.map(|len| len.min(MAX_PADDING)),
        };
        let remote = SocketAddr::new(client.ip(), wish.port.unwrap_or_else(|| client.port()));
        (Path { local, remote, ..path }, Content::Discovered(discovered))
    }

    /// Where a request came in, and the address and port that it did not come in at; each as it is bound and
    /// as clients see it.
    fn ends(&self, path: Path) -> Option<((SocketAddr, SocketAddr), (SocketAddr, SocketAddr))> {
        if path.carrier != Carrier::Udp {
            return None;
        }
        self.discovery.iter().find_map(|discovery| {
            let address = discovery.addresses.iter().position(|address| address.local == path.local.ip())?;
            let port = discovery.ports.iter().position(|port| *port == path.local.port())?;
            let end = |address: usize, port: usize| {
                let (address, port) = (discovery.addresses.get(address)?, *discovery.ports.get(port)?);
                Some((SocketAddr::new(address.local, port), SocketAddr::new(address.external, port)))
            };
            Some((end(address, port)?, end(1_usize.checked_sub(address)?, 1_usize.checked_sub(port)?)?))
        })
    }
}

impl Wish {
    fn read(message: &Message<'_>) -> Self {
        let mut wish = Self::default();
        for attribute in message.attributes() {
            match attribute {
                Attribute::ChangeRequest { ip, port } => wish.change = wish.change.or(Some((ip, port))),
                Attribute::ResponsePort(port) => wish.port = wish.port.or(Some(port)),
                Attribute::Padding(bytes) => wish.padding = wish.padding.or(Some(bytes.len())),
                _ => {}
            }
        }
        wish
    }

    /// RFC 5780 §6.1: where it cannot be done it is not understood.
    fn unknown(self) -> Option<Content> {
        let asked = [
            self.change.map(|(ip, port)| Attribute::ChangeRequest { ip, port }),
            self.port.map(Attribute::ResponsePort),
            self.padding.map(|_| Attribute::Padding(&[])),
        ];
        let (mut types, mut count) = ([0; MAX_UNKNOWN], 0_usize);
        for (entry, attribute) in types.iter_mut().zip(asked.into_iter().flatten()) {
            *entry = attribute.kind();
            count = count.saturating_add(1);
        }
        (count > 0).then_some(Content::Unknown(types, count))
    }
}

impl Discovered {
    pub(super) fn write(&self, message: &mut Encoder<'_, '_>) -> Result<(), NoSpace> {
        message.attribute(Attribute::XorMappedAddress(self.client))?;
        if self.plain {
            message.attribute(Attribute::MappedAddress(self.client))?;
        }
        message.attribute(Attribute::ResponseOrigin(self.origin))?;
        message.attribute(Attribute::OtherAddress(self.other))?;
        match self.padding.and_then(|len| PADDING.get(..len)) {
            Some(padding) => message.attribute(Attribute::Padding(padding)),
            None => Ok(()),
        }
    }
}

/// What the link of most servers carries (RFC 5780 §7.6).
const MAX_PADDING: usize = 1500;
const PADDING: &[u8] = &[0; MAX_PADDING];
/// 116 bytes are at most five times this.
const SHORTEST_FOR_PLAIN_V6: usize = 24;
