use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::{FromStr, SplitAsciiWhitespace};

use crate::ParseError;
use crate::credentials::is_ice_chars;

/// A candidate as it is signalled (RFC 8839 §5.1). It parses from the value of `a=candidate`, with or
/// without the `candidate:` and `a=` in front, and displays as `candidate:…`.
///
/// ```
/// let line = "candidate:1 1 udp 2122260223 192.0.2.1 54321 typ host generation 0";
/// let candidate: ice::Candidate = line.parse()?;
/// assert_eq!(candidate.kind, ice::Kind::Host);
/// assert_eq!(candidate.extension("generation"), Some("0"));
/// assert_eq!(candidate.to_string(), line);
/// # Ok::<_, ice::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Equal for candidates that come from the same base and server by the same means: 1 to 32 ice-chars.
    pub foundation: String,
    /// 1 to 256; only 1 is used.
    pub component: u16,
    /// What carries the datagrams.
    pub transport: Transport,
    /// Larger is better.
    pub priority: u32,
    /// Where the candidate is.
    pub address: Address,
    /// How it was found.
    pub kind: Kind,
    /// `raddr` and `rport`: the base of a reflexive candidate.
    pub related: Option<Address>,
    /// `tcptype`, of a TCP candidate (RFC 6544 §4.5).
    pub tcp_type: Option<TcpType>,
    /// What follows, as names and values.
    pub extensions: Vec<(String, String)>,
}

impl Candidate {
    /// The value of the first extension with this name.
    pub fn extension(&self, name: &str) -> Option<&str> {
        self.extensions.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The ufrag that this candidate belongs to (RFC 8839 §5.1).
    pub fn ufrag(&self) -> Option<&str> {
        self.extension("ufrag")
    }
}

impl FromStr for Candidate {
    type Err = ParseError;

    fn from_str(line: &str) -> Result<Self, ParseError> {
        if line.len() > MAX_LINE {
            return Err(ParseError::TooLong);
        }
        let line = line.trim_ascii();
        let line = line.strip_prefix("a=").unwrap_or(line);
        let line = line.strip_prefix("candidate:").unwrap_or(line);
        let mut words = line.split_ascii_whitespace();
        let mut next = || words.next().ok_or(ParseError::Truncated);
        let foundation = next()?;
        if foundation.len() > 32 || !is_ice_chars(foundation) {
            return Err(ParseError::Foundation);
        }
        let component: u16 = number(next()?).ok_or(ParseError::Component)?;
        if !(1..=256).contains(&component) {
            return Err(ParseError::Component);
        }
        let transport = Transport::parse(next()?).ok_or(ParseError::Transport)?;
        let priority = number(next()?).ok_or(ParseError::Priority)?;
        let host = next()?;
        let address = Address::parse(host, number(next()?).ok_or(ParseError::Port)?);
        if next()? != "typ" {
            return Err(ParseError::Kind);
        }
        let kind = Kind::parse(next()?).ok_or(ParseError::Kind)?;
        let mut candidate = Self {
            foundation: foundation.to_owned(),
            component,
            transport,
            priority,
            address: address.ok_or(ParseError::Address)?,
            kind,
            related: None,
            tcp_type: None,
            extensions: Vec::new(),
        };
        candidate.parse_extensions(words)?;
        Ok(candidate)
    }
}

impl Candidate {
    fn parse_extensions(&mut self, mut words: SplitAsciiWhitespace<'_>) -> Result<(), ParseError> {
        let mut related_host = None;
        while let Some(name) = words.next() {
            let value = words.next().ok_or(ParseError::Extension)?;
            match name {
                "raddr" if related_host.is_none() => related_host = Some((value, self.extensions.len())),
                "rport" if self.related.is_none() && related_host.is_some() => {
                    let port = number(value).ok_or(ParseError::Port)?;
                    let (host, _) = related_host.unwrap_or_default();
                    self.related = Some(Address::parse(host, port).ok_or(ParseError::Address)?);
                }
                "tcptype" if self.tcp_type.is_none() => {
                    self.tcp_type = Some(TcpType::parse(value).ok_or(ParseError::Extension)?);
                }
                _ if self.extensions.len() == MAX_EXTENSIONS => return Err(ParseError::Extension),
                _ => self.extensions.push((name.to_owned(), value.to_owned())),
            }
        }
        // Without its port it says nothing to us, and is kept like any other.
        if let (Some((host, place)), None) = (related_host, &self.related) {
            if self.extensions.len() == MAX_EXTENSIONS {
                return Err(ParseError::Extension);
            }
            self.extensions.insert(place, ("raddr".to_owned(), host.to_owned()));
        }
        Ok(())
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { foundation, component, transport, priority, address, kind, .. } = self;
        write!(f, "candidate:{foundation} {component} {transport} {priority} ")?;
        write!(f, "{} {} typ {kind}", address.host(), address.port())?;
        if let Some(related) = &self.related {
            write!(f, " raddr {} rport {}", related.host(), related.port())?;
        }
        if let Some(tcp_type) = self.tcp_type {
            write!(f, " tcptype {tcp_type}")?;
        }
        self.extensions.iter().try_for_each(|(name, value)| write!(f, " {name} {value}"))
    }
}

/// Where a candidate is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// An IP address.
    Ip(SocketAddr),
    /// A name that must be resolved first: `….local` by mDNS, others by DNS.
    Hostname {
        /// The name.
        name: String,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// The port.
    pub const fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Hostname { port, .. } => *port,
        }
    }

    /// The IP address, if it is one.
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Hostname { .. } => None,
        }
    }

    /// Whether this is a name of mDNS.
    pub fn is_local_name(&self) -> bool {
        matches!(self, Self::Hostname { name, .. } if name.to_ascii_lowercase().ends_with(".local"))
    }

    fn parse(host: &str, port: u16) -> Option<Self> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(Self::Ip(SocketAddr::new(ip, port)));
        }
        let is_name = host.len() <= MAX_NAME
            && host.chars().any(|c| c.is_ascii_alphabetic())
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        is_name.then(|| Self::Hostname { name: host.to_owned(), port })
    }

    fn host(&self) -> &dyn fmt::Display {
        match self {
            Self::Ip(SocketAddr::V4(address)) => address.ip(),
            Self::Ip(SocketAddr::V6(address)) => address.ip(),
            Self::Hostname { name, .. } => name,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

/// How a candidate was found (RFC 8445 §5.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// An address of an interface.
    #[default]
    Host,
    /// As a STUN server saw us.
    ServerReflexive,
    /// As the peer saw us.
    PeerReflexive,
    /// At a TURN server.
    Relayed,
}

impl Kind {
    /// RFC 8445 §5.1.2.2: the recommended type preferences.
    pub(crate) const fn preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }

    /// Those of TCP candidates, below those of UDP (RFC 6544 §4.2 leaves the numbers to us; they are Chromium's).
    pub(crate) const fn tcp_preference(self) -> u32 {
        match self {
            Self::Host => 90,
            Self::PeerReflexive => 80,
            Self::ServerReflexive => 70,
            Self::Relayed => 0,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "host" => Self::Host,
            "srflx" => Self::ServerReflexive,
            "prflx" => Self::PeerReflexive,
            "relay" => Self::Relayed,
            _ => return None,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        })
    }
}

/// What carries a candidate's datagrams.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP (RFC 6544).
    Tcp,
    /// Something else, by its name.
    Other(String),
}

impl Transport {
    fn parse(word: &str) -> Option<Self> {
        let is_token =
            word.len() <= 32 && word.chars().all(|c| c.is_ascii_alphanumeric() || "-/._+".contains(c));
        Some(match word {
            _ if word.eq_ignore_ascii_case("udp") => Self::Udp,
            _ if word.eq_ignore_ascii_case("tcp") => Self::Tcp,
            _ if is_token => Self::Other(word.to_owned()),
            _ => return None,
        })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Other(name) => name,
        })
    }
}

/// Who opens the connection of a TCP candidate (RFC 6544 §4.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TcpType {
    /// It opens.
    Active,
    /// It waits.
    Passive,
    /// Both at once.
    SimultaneousOpen,
}

impl TcpType {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "active" => Self::Active,
            "passive" => Self::Passive,
            "so" => Self::SimultaneousOpen,
            _ => return None,
        })
    }
}

impl fmt::Display for TcpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        })
    }
}

fn number<T: FromStr>(word: &str) -> Option<T> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

const MAX_LINE: usize = 4096;
const MAX_EXTENSIONS: usize = 32;
/// RFC 1035 §2.3.4.
const MAX_NAME: usize = 253;

#[cfg(test)]
mod tests;
