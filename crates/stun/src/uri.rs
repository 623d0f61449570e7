//! URIs of STUN and TURN servers ([RFC 7064], [RFC 7065]), as programs are given them.
//!
//! ```
//! use stun::uri::{Host, Scheme, Transport, Uri};
//!
//! let uri: Uri = "turn:example.org?transport=tcp".parse()?;
//! assert_eq!((uri.scheme(), uri.port(), uri.transport()), (Scheme::Turn, 3478, Transport::Tcp));
//! assert_eq!(*uri.host(), Host::Name("example.org".to_owned()));
//! # Ok::<_, stun::uri::ParseError>(())
//! ```
//!
//! [RFC 7064]: https://www.rfc-editor.org/rfc/rfc7064
//! [RFC 7065]: https://www.rfc-editor.org/rfc/rfc7065

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Where a server is, and how it is spoken to. It prints as it is written, without what says nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Uri {
    scheme: Scheme,
    host: Host,
    port: Option<u16>,
    transport: Option<Transport>,
}

/// Which service, and whether over TLS or DTLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// `stun:`
    Stun,
    /// `stuns:`
    Stuns,
    /// `turn:`
    Turn,
    /// `turns:`
    Turns,
}

/// The machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, in the form in which it is looked up.
    Name(String),
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// UDP, or DTLS above it.
    Udp,
    /// TCP, or TLS above it.
    Tcp,
}

impl Uri {
    /// Which service.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The machine.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port: without one in the URI 3478, and 5349 over TLS (RFC 7064 §3.2, RFC 7065 §3.2).
    pub fn port(&self) -> u16 {
        self.port.unwrap_or_else(|| if self.is_secure() { SECURE_PORT } else { PORT })
    }

    /// The service that DNS is asked for, as in `_turn._udp`: where the server has a name and the URI no port (RFC 8489
    /// §8.1, RFC 5928 §3, RFC 7350 §4).
    pub fn service(&self) -> Option<String> {
        if self.port.is_some() || matches!(self.host, Host::Ip(_)) {
            return None;
        }
        let protocol = match self.transport() {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        Some(format!("_{}._{protocol}", self.scheme.name()))
    }

    /// What carries the messages: without a word in the URI UDP, and TCP where TLS is asked for.
    pub fn transport(&self) -> Transport {
        self.transport.unwrap_or_else(|| if self.is_secure() { Transport::Tcp } else { Transport::Udp })
    }

    /// Whether TLS or DTLS is asked for.
    pub const fn is_secure(&self) -> bool {
        matches!(self.scheme, Scheme::Stuns | Scheme::Turns)
    }

    /// Whether it is a relay.
    pub const fn is_turn(&self) -> bool {
        matches!(self.scheme, Scheme::Turn | Scheme::Turns)
    }
}

impl FromStr for Uri {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (scheme, rest) = text.split_once(':').ok_or(ParseError::Scheme)?;
        let scheme = Scheme::parse(scheme).ok_or(ParseError::Scheme)?;
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        let (host, port) = parse_authority(authority)?;
        let transport = query.map(|query| parse_query(scheme, query)).transpose()?;
        Ok(Self { scheme, host, port, transport })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.name())?;
        match &self.host {
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}")?,
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            Host::Name(name) => f.write_str(name)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.transport {
            Some(Transport::Udp) => f.write_str("?transport=udp"),
            Some(Transport::Tcp) => f.write_str("?transport=tcp"),
            None => Ok(()),
        }
    }
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Stuns => "stuns",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Stun, Self::Stuns, Self::Turn, Self::Turns];
        // RFC 3986 §3.1: in whatever case.
        all.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(text))
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port` (RFC 3986 §3.2.2, §3.2.3), and nothing besides.
fn parse_authority(text: &str) -> Result<(Host, Option<u16>), ParseError> {
    let (host, tail) = match text.strip_prefix('[') {
        Some(inner) => {
            let (address, tail) = inner.split_once(']').ok_or(ParseError::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| ParseError::Host)?;
            (Host::Ip(address.into()), tail)
        }
        None => {
            let at = text.find(':').unwrap_or(text.len());
            let (host, tail) = text.split_at_checked(at).ok_or(ParseError::Host)?;
            (parse_name(host)?, tail)
        }
    };
    let port = match tail.strip_prefix(':') {
        // RFC 3986 §3.2.3: a colon with nothing behind it says nothing.
        Some("") => None,
        Some(digits) => Some(parse_port(digits)?),
        None if tail.is_empty() => None,
        None => return Err(ParseError::Host),
    };
    Ok((host, port))
}

fn parse_name(text: &str) -> Result<Host, ParseError> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(address.into()));
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(is_letter) {
        return Err(ParseError::Host);
    }
    Ok(Host::Name(text.to_owned()))
}

fn parse_port(digits: &str) -> Result<u16, ParseError> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseError::Port);
    }
    digits.parse().ok().filter(|port| *port != 0).ok_or(ParseError::Port)
}

/// RFC 7065 §3.1 has one question, for relays alone.
fn parse_query(scheme: Scheme, query: &str) -> Result<Transport, ParseError> {
    let (name, value) = query.split_once('=').ok_or(ParseError::Transport)?;
    let is_turn = matches!(scheme, Scheme::Turn | Scheme::Turns);
    match value {
        _ if !is_turn || !name.eq_ignore_ascii_case("transport") => Err(ParseError::Transport),
        _ if value.eq_ignore_ascii_case("udp") => Ok(Transport::Udp),
        _ if value.eq_ignore_ascii_case("tcp") => Ok(Transport::Tcp),
        _ => Err(ParseError::Transport),
    }
}

/// What is wrong with a URI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ParseError {
    /// It begins with none of `stun:`, `stuns:`, `turn:` and `turns:`.
    Scheme,
    /// The host is missing or neither an address nor a name of letters, digits, dots, hyphens and underscores;
    /// IPv6 addresses stand in brackets, and names of other scripts in their ASCII form.
    Host,
    /// The port is no number from 1 to 65,535.
    Port,
    /// What follows the question mark is not `transport=udp` or `transport=tcp`, or not for this scheme.
    Transport,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "it begins with none of stun:, stuns:, turn: and turns:",
            Self::Host => "the host is neither an address nor a name; an IPv6 address stands in brackets",
            Self::Port => "the port is no number from 1 to 65535",
            Self::Transport => {
                "only turn: and turns: have ?transport=udp or ?transport=tcp, and nothing else"
            }
        })
    }
}

impl std::error::Error for ParseError {}

/// RFC 7064 §3.2, RFC 7065 §3.2, RFC 8489 §18.6.
const PORT: u16 = 3478;
const SECURE_PORT: u16 = 5349;
/// RFC 3986 §3.2.2: what the domain name system takes.
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use crypto::Rng;

    use super::*;

    fn name(text: &str) -> Host {
        Host::Name(text.to_owned())
    }

    /// RFC 7064 appendix B, RFC 7065 appendix B.
    #[test]
    fn the_examples_of_the_rfcs_are_understood() {
        use Scheme::{Stun, Stuns, Turn, Turns};
        use Transport::{Tcp, Udp};
        for (text, scheme, port, transport) in [
            ("stun:example.org", Stun, 3478, Udp),
            ("stuns:example.org", Stuns, 5349, Tcp),
            ("stun:example.org:8000", Stun, 8000, Udp),
            ("turn:example.org", Turn, 3478, Udp),
            ("turns:example.org", Turns, 5349, Tcp),
            ("turn:example.org:8000", Turn, 8000, Udp),
            ("turn:example.org?transport=udp", Turn, 3478, Udp),
            ("turn:example.org?transport=tcp", Turn, 3478, Tcp),
            ("turns:example.org?transport=tcp", Turns, 5349, Tcp),
            ("turns:example.org?transport=udp", Turns, 5349, Udp),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!((uri.scheme(), uri.port(), uri.transport()), (scheme, port, transport), "{text}");
            assert_eq!((uri.host(), uri.to_string().as_str()), (&name("example.org"), text));
            assert_eq!(uri.is_turn(), text.starts_with("turn"), "{text}");
        }
    }

    #[test]
    fn a_service_is_asked_for_where_there_is_a_name_and_no_port() {
        for (text, service) in [
            ("stun:example.org", Some("_stun._udp")),
            ("stuns:example.org", Some("_stuns._tcp")),
            ("turn:example.org", Some("_turn._udp")),
            ("turn:example.org?transport=tcp", Some("_turn._tcp")),
            ("turns:example.org", Some("_turns._tcp")),
            ("turns:example.org?transport=udp", Some("_turns._udp")),
            ("turn:example.org:3478", None),
            ("turn:192.0.2.1", None),
            ("turn:[2001:db8::1]", None),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(uri.service().as_deref(), service, "{text}");
        }
    }

    #[test]
    fn hosts_are_names_and_addresses_of_both_families() {
        for (text, host, port, printed) in [
            ("stun:192.0.2.1:1", Host::Ip([192, 0, 2, 1].into()), 1, "stun:192.0.2.1:1"),
            ("STUN:[2001:db8::1]", Host::Ip("2001:db8::1".parse().unwrap()), 3478, "stun:[2001:db8::1]"),
            ("turn:[::1]:05", Host::Ip("::1".parse().unwrap()), 5, "turn:[::1]:5"),
            ("turn:a-b_c.Example.:", name("a-b_c.Example."), 3478, "turn:a-b_c.Example."),
            ("turn:localhost?Transport=UDP", name("localhost"), 3478, "turn:localhost?transport=udp"),
            ("turn:192.0.2.300", name("192.0.2.300"), 3478, "turn:192.0.2.300"),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!((uri.host(), uri.port()), (&host, port), "{text}");
            assert_eq!(uri.to_string(), printed);
        }
        assert!(format!("stun:{}", "a".repeat(255)).parse::<Uri>().is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        use ParseError::{Host, Port, Scheme, Transport};
        let long = format!("stun:{}", "a".repeat(256));
        for (text, error) in [
            ("", Scheme),
            ("example.org", Scheme),
            ("http://example.org", Scheme),
            ("turn", Scheme),
            (" turn:a", Scheme),
            ("stun:", Host),
            ("stun::1", Host),
            ("stun://example.org", Host),
            ("stun:a/b", Host),
            ("turn:user@example.org", Host),
            ("turn:a b", Host),
            ("turn:caf\u{e9}.example", Host),
            ("turn:%61", Host),
            ("turn:a#b", Host),
            ("turn:[::1", Host),
            ("turn:[::1]5", Host),
            ("turn:[192.0.2.1]", Host),
            ("turn:[fe80::1%25eth0]", Host),
            ("turn:[v1.a]", Host),
            (&long, Host),
            ("stun:2001:db8::1", Port),
            ("stun:a:x", Port),
            ("stun:a:+1", Port),
            ("stun:a:0", Port),
            ("stun:a:65536", Port),
            ("stun:a: 1", Port),
            ("turn:a:1:2", Port),
            ("stun:a?transport=udp", Transport),
            ("stuns:a?", Transport),
            ("turn:a?", Transport),
            ("turn:a?transport", Transport),
            ("turn:a?transport=", Transport),
            ("turn:a?transport=sctp", Transport),
            ("turn:a?transport=udp&b=c", Transport),
            ("turn:a?transport=udp?transport=tcp", Transport),
            ("turn:a?ttl=1", Transport),
        ] {
            assert_eq!(text.parse::<Uri>(), Err(error), "{text}");
        }
    }

    /// Whatever is understood prints as something that is understood alike.
    #[test]
    fn no_text_breaks_the_parser_and_what_is_read_is_written_alike() {
        let parts = [
            "stun",
            "turn",
            "turns",
            ":",
            ":",
            "[",
            "]",
            "::1",
            "192.0.2.1",
            "example.org",
            "3478",
            "?",
            "transport=",
            "tcp",
            "udp",
            "/",
            "\u{e9}",
            "\0",
            "99999",
            " ",
        ];
        let mut understood = 0;
        for seed in 0..200 {
            let mut rng = Rng::new([seed; 32]);
            for _ in 0..200 {
                let mut text = if rng.below(4) == 0 { String::new() } else { "turn:".to_owned() };
                for _ in 0..1 + rng.u64() % 6 {
                    let pick = usize::try_from(rng.u64()).unwrap() % parts.len();
                    text.push_str(parts[pick]);
                }
                if let Ok(uri) = text.parse::<Uri>() {
                    understood += 1;
                    assert_eq!(uri.to_string().parse(), Ok(uri), "seed {seed}: {text}");
                }
            }
        }
        assert!(understood > 1000, "{understood}");
    }
}
