use std::net::SocketAddr;
use std::time::Duration;

/// What is known of the NAT or firewall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Findings {
    /// From where was asked.
    pub local: SocketAddr,
    /// What the server saw.
    pub mapped: Option<SocketAddr>,
    /// The server's other address and port; none: it has none, and neither mapping nor filtering is found out.
    pub other_address: Option<SocketAddr>,
    /// On what it depends which address outside ours becomes (RFC 5780 §4.3; RFC 4787 §4.1).
    pub mapping: Option<Dependence>,
    /// On what it depends whose datagrams are let in (RFC 5780 §4.4; RFC 4787 §5).
    pub filtering: Option<Dependence>,
    /// Whether two inside reach each other by their addresses outside (RFC 5780 §3.4). None without a NAT.
    pub hairpin: Option<bool>,
    /// How long a mapping lives in silence (RFC 5780 §4.6).
    pub lifetime: Option<Lifetime>,
    /// Somebody on the way rewrites addresses within datagrams, an application-level gateway (RFC 5780 §3.6).
    pub is_rewritten: bool,
}

/// On what of the far end something depends, in the words of RFC 4787.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dependence {
    /// On nothing: one mapping for all; whoever knows it may send.
    EndpointIndependent,
    /// On its address.
    Address,
    /// On its address and its port.
    AddressAndPort,
}

/// Within what a mapping's life lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetime {
    /// It was there after so long.
    pub at_least: Duration,
    /// It was not after so long; none: that was not tried.
    pub below: Option<Duration>,
}

impl Findings {
    pub(super) const fn new(local: SocketAddr) -> Self {
        Self {
            local,
            mapped: None,
            other_address: None,
            mapping: None,
            filtering: None,
            hairpin: None,
            lifetime: None,
            is_rewritten: false,
        }
    }

    /// Whether the server saw another address than ours.
    pub fn is_translated(&self) -> bool {
        self.mapped.is_some_and(|mapped| mapped != self.local)
    }

    /// Whether the NAT kept our port.
    pub fn keeps_port(&self) -> bool {
        self.mapped.is_some_and(|mapped| mapped.port() == self.local.port())
    }
}
