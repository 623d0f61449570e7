use std::net::SocketAddr;
use std::str::FromStr;

use crypto::Provider;
use session::{DtlsRole, Limits};

use crate::Error;

/// What a connection is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Configuration {
    /// The role in the DTLS handshake that this side takes when it answers an offer that leaves it open.
    /// Default: client, as RFC 8842 §5.3 recommends.
    pub answer_dtls_role: DtlsRole,
    /// Bytes of messages that a channel holds before `send` waits. Default: 1 MiB.
    pub send_buffer: usize,
    /// Events that are kept for a reader who does not read; of more the oldest states are forgotten. Default:
    /// 4,096, more than all candidates and channels there can be.
    pub max_unread_events: usize,
    /// Where the cryptography comes from. Default: the fastest provider that this machine runs.
    pub provider: &'static dyn Provider,
    /// How much of everything a connection keeps.
    pub limits: Limits,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            answer_dtls_role: DtlsRole::Client,
            send_buffer: 1024 * 1024,
            max_unread_events: 4096,
            provider: crypto::default_provider(),
            limits: Limits::default(),
        }
    }
}

/// The URL of a STUN server: `stun:host` or `stun:host:port` (RFC 7064).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct StunUrl {
    host: String,
    port: u16,
}

impl StunUrl {
    /// The server's addresses.
    ///
    /// # Errors
    ///
    /// If the name is not known.
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>, Error> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((host, self.port)).await;
        let found =
            found.map_err(|source| Error::Io { what: "the name of a STUN server is not known", source })?;
        Ok(found.collect())
    }
}

impl FromStr for StunUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Url(text.to_owned());
        let rest = text.strip_prefix("stun:").ok_or_else(wrong)?;
        // The colons of an IPv6 address stand within brackets.
        let after = rest.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match rest.get(after..).and_then(|tail| tail.rfind(':')) {
            Some(at) => (rest.get(..after + at), rest.get(after + at + 1..)),
            None => (Some(rest), None),
        };
        let host =
            host.filter(|host| !host.is_empty() && !host.contains(['/', '?', '@'])).ok_or_else(wrong)?;
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| wrong()))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

/// RFC 8489 §18.6.
const DEFAULT_PORT: u16 = 3478;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_stun_servers_are_read() {
        for (text, host, port) in [
            ("stun:example.org", "example.org", 3478),
            ("stun:example.org:19302", "example.org", 19302),
            ("stun:192.0.2.1:1", "192.0.2.1", 1),
            ("stun:[2001:db8::1]", "[2001:db8::1]", 3478),
            ("stun:[2001:db8::1]:5", "[2001:db8::1]", 5),
        ] {
            assert_eq!(text.parse::<StunUrl>().unwrap(), StunUrl { host: host.into(), port }, "{text}");
        }
        for text in
            ["", "stun:", "stun::1", "turn:example.org", "stun:a:x", "stun:a:70000", "stun:a/b", "http://a"]
        {
            assert!(text.parse::<StunUrl>().is_err(), "{text}");
        }
    }
}
