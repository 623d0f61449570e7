use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crypto::SecretBytes;
use net::{Resolver, TlsClient};
use proto::{Instant, Path};
use session::uri::{Host, Transport, Uri};
use session::{Credentials, TurnServer, UnusedReason, UnusedServer};

use crate::server_connection::{ServerCarrier, connect_to_server};
use crate::{Configuration, Error};

/// Servers that help to find a path, under one name and password (`RTCIceServer`).
///
/// ```
/// use peerline::{Configuration, IceServer};
///
/// let mut configuration = Configuration::default();
/// configuration.ice_servers = vec![
///     IceServer::new("stun:stun.example.org"),
///     IceServer::new("turn:turn.example.org").credentials("alice", "wonderland"),
/// ];
/// assert!(!format!("{configuration:?}").contains("wonderland"));
/// ```
#[derive(Clone, Debug)]
pub struct IceServer {
    urls: Vec<String>,
    username: String,
    credential: SecretBytes,
}

impl IceServer {
    /// The server at `url`: `stun:host:port` (RFC 7064), `turn:host:port?transport=udp` or `tcp`, or, over TLS,
    /// `turns:host:port` (RFC 7065), over DTLS with `?transport=udp` behind; port and transport may be left out. A name
    /// without a port is that of a domain whose services DNS knows, or of the server. Over TLS and DTLS the server proves
    /// its name ([`Configuration::tls`]). `stuns:` is not used, and the report says so: a server asked over TLS sees a
    /// TCP port of ours, not those that peers are to reach.
    pub fn new(url: impl Into<String>) -> Self {
        Self { urls: vec![url.into()], username: String::new(), credential: SecretBytes::new(&[]) }
    }

    /// One more URL, of the same name and password.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// The name and the password, which TURN servers want: those of an account, or of the REST API for access to
    /// TURN services. They are prepared by OpaqueString (RFC 8489 §14.3).
    #[must_use]
    pub fn credentials(mut self, username: &str, password: &str) -> Self {
        username.clone_into(&mut self.username);
        self.credential = SecretBytes::new(password.as_bytes());
        self
    }
}

/// Which addresses of ours the peer may learn and use (`RTCIceTransportPolicy`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IceTransportPolicy {
    /// All of them.
    #[default]
    All,
    /// All but those of this machine itself: what STUN servers see of it, and what TURN servers lend us. The peer may still
    /// see the address of ours from which it is spoken to.
    NoHost,
    /// Those that TURN servers lend us: nothing is sent to anybody but these servers.
    Relay,
}

/// What the servers of a configuration come to.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub servers: Vec<Server>,
    pub unused: Vec<UnusedServer>,
}

/// A server that is to be used, by URI.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub uri: Uri,
    /// Of a TURN server.
    pub credentials: Option<Credentials>,
    /// Whom to believe over TLS; the authorities of this machine if nothing is said.
    pub tls: Option<TlsClient>,
    /// Who knows where it is.
    pub resolver: Resolver,
    /// The [`IceServer`] whose URL it is.
    pub group: usize,
    /// How long others of its group have been tried when its turn comes.
    pub head_start: Duration,
    /// How often its connection was lost or could not be had again.
    pub losses: u32,
    /// Since when there is one.
    pub connected: Option<Instant>,
}

/// A server that was looked up.
#[derive(Debug)]
pub(crate) enum Found {
    Stun(SocketAddr),
    Turn(TurnServer),
    /// A connection to a TURN server, which is open: its path, and what carries its messages.
    Stream(Path, Arc<dyn net::Transport>),
    /// Where it is as well, over UDP, and where it was said to be before.
    Elsewhere(Alternates),
}

/// Further addresses of a server over UDP, of which the next are tried when those before are silent (RFC 8489 §8).
#[derive(Debug)]
pub(crate) struct Alternates {
    pub server: Server,
    pub tried: Vec<SocketAddr>,
    pub left: VecDeque<SocketAddr>,
}

impl Alternates {
    /// The next addresses, one of each family at the most.
    pub(crate) fn next(&mut self) -> Vec<Found> {
        let of_family = |v4: bool| self.left.iter().copied().find(|address| address.is_ipv4() == v4);
        let next: Vec<SocketAddr> = [of_family(false), of_family(true)].into_iter().flatten().collect();
        self.left.retain(|address| !next.contains(address));
        self.tried.extend_from_slice(&next);
        next.into_iter().map(|address| self.server.at(address)).collect()
    }
}

impl Wanted {
    /// Reads what was configured.
    ///
    /// # Errors
    ///
    /// A URL is none; a TURN server has no name and password, or one that cannot be.
    pub(crate) fn read(configuration: &Configuration) -> Result<Self, Error> {
        let mut wanted = Self::default();
        let resolver = match configuration.name_servers.as_slice() {
            [] => Resolver::default(),
            servers => Resolver::asking(servers),
        };
        for (group, server) in configuration.ice_servers.iter().enumerate() {
            for url in &server.urls {
                let uri = read_url(url)?;
                let credentials = if uri.is_turn() { Some(read_credentials(&uri, server)?) } else { None };
                // What a server sees of us over TCP says nothing about our UDP ports.
                let is_possible = uri.is_turn() || (uri.transport() == Transport::Udp && !uri.is_secure());
                let reason = if !is_possible {
                    UnusedReason::Transport
                } else if wanted.servers.len() >= configuration.max_server_urls {
                    UnusedReason::TooMany
                } else {
                    wanted.servers.push(Server {
                        uri,
                        credentials,
                        tls: configuration.tls.clone(),
                        resolver: resolver.clone(),
                        group,
                        head_start: Duration::ZERO,
                        losses: 0,
                        connected: None,
                    });
                    continue;
                };
                wanted.unused.push(UnusedServer { uri: uri.to_string(), reason });
            }
        }
        wanted.give_head_starts(configuration.relay_head_start);
        Ok(wanted)
    }

    fn give_head_starts(&mut self, head_start: Duration) {
        let datagrams = self.servers.iter().filter(|server| server.uri.is_turn() && !server.is_stream());
        // All of a group's servers over UDP are tried first, together.
        let datagrams: BTreeSet<usize> = datagrams.map(|server| server.group).collect();
        let mut ahead: BTreeMap<usize, u32> = datagrams.into_iter().map(|group| (group, 1)).collect();
        for server in self.servers.iter_mut().filter(|server| server.is_stream()) {
            let ahead = ahead.entry(server.group).or_default();
            server.head_start = head_start.saturating_mul(*ahead);
            *ahead += 1;
        }
    }
}

impl Server {
    /// Where it is: its address, or the first of each family that its name has, or the service in DNS of that name, and
    /// where it is as well.
    /// Over TCP, TLS and DTLS a connection to one of them besides.
    /// None of these steps takes longer than `patience`.
    pub(crate) async fn look_up(self, patience: Duration) -> Result<Vec<Found>, UnusedServer> {
        let addresses = addresses_of(&self.uri, &self.resolver);
        self.find_among(addresses, patience).await
    }

    /// The same, where the addresses are those that `addresses` will tell.
    async fn find_among(
        &self,
        addresses: impl Future<Output = io::Result<Vec<SocketAddr>>>,
        patience: Duration,
    ) -> Result<Vec<Found>, UnusedServer> {
        let unused = |reason| UnusedServer { uri: self.uri.to_string(), reason };
        let found = tokio::time::timeout(patience, addresses).await;
        let found = found.ok().and_then(Result::ok).unwrap_or_default();
        if found.is_empty() {
            return Err(unused(UnusedReason::Name));
        }
        // A service may be at several machines.
        if !self.is_stream() {
            let left = found.iter().copied().take(MAX_ADDRESSES).collect();
            let mut alternates = Alternates { server: self.clone(), tried: Vec::new(), left };
            let mut found = alternates.next();
            if !alternates.left.is_empty() {
                found.push(Found::Elsewhere(alternates));
            }
            return Ok(found);
        }
        let of_family = |v4: bool| found.iter().copied().find(|address| address.is_ipv4() == v4);
        let first = [of_family(false), of_family(true)].into_iter().flatten();
        let others = found.iter().filter(|address| first.clone().all(|tried| tried != **address));
        for address in first.clone().chain(others.copied()).take(MAX_CONNECTS) {
            match tokio::time::timeout(patience, self.connect(address)).await {
                Ok(Ok(found)) => return Ok(vec![found]),
                Ok(Err(error)) => tracing::debug!(server = %self.uri, %address, %error, "no connection"),
                Err(_) => tracing::debug!(server = %self.uri, %address, "no connection in time"),
            }
        }
        Err(unused(UnusedReason::Connection))
    }

    /// Its connection is over, or could not be had. One that has lasted is no sign that the next will not.
    pub(crate) fn lose(&mut self, now: Instant) {
        if self.connected.take().is_some_and(|since| since + LASTING <= now) {
            self.losses = self.losses.min(1);
        }
    }

    /// Whether both came from one URL of the configuration.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.group == other.group && self.uri == other.uri
    }

    /// Whether it is spoken to over a connection.
    pub(crate) fn is_stream(&self) -> bool {
        self.uri.transport() == Transport::Tcp || self.uri.is_secure()
    }

    /// Where it is, if neither a name has to be looked up for that nor a connection be opened.
    pub(crate) fn literal(&self) -> Option<Found> {
        match self.uri.host() {
            Host::Ip(ip) if !self.is_stream() => Some(self.at(SocketAddr::new(*ip, self.uri.port()))),
            Host::Ip(_) | Host::Name(_) => None,
        }
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Found> {
        let carrier = match (self.uri.is_secure(), self.uri.transport()) {
            (false, _) => ServerCarrier::Tcp,
            (true, Transport::Tcp) => ServerCarrier::Tls,
            (true, Transport::Udp) => ServerCarrier::Dtls,
        };
        let name = match self.uri.host() {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        };
        let (path, transport) = connect_to_server(address, &name, carrier, self.tls.as_ref()).await?;
        Ok(Found::Stream(path, transport))
    }

    fn at(&self, address: SocketAddr) -> Found {
        match self.credentials.clone() {
            Some(credentials) => Found::Turn(TurnServer::new(address, credentials)),
            None => Found::Stun(address),
        }
    }
}

/// Reads the URL of a STUN or TURN server. What stands before an `@` is in no error: it may be a password.
pub(crate) fn read_url(url: &str) -> Result<Uri, Error> {
    url.parse().map_err(|reason| {
        let shown = url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| format!("[...]@{host}"));
        Error::Url { url: shown, reason }
    })
}

/// Every address of the server.
pub(crate) async fn addresses_of(uri: &Uri, resolver: &Resolver) -> io::Result<Vec<SocketAddr>> {
    match (uri.host(), uri.service()) {
        (Host::Ip(ip), _) => Ok(vec![SocketAddr::new(*ip, uri.port())]),
        (Host::Name(name), Some(service)) => resolver.service(&service, name, uri.port()).await,
        (Host::Name(name), None) => resolver.addresses(name, uri.port()).await,
    }
}

fn read_credentials(uri: &Uri, server: &IceServer) -> Result<Credentials, Error> {
    let refused = |reason| Error::Credentials { url: uri.to_string(), reason };
    let password = std::str::from_utf8(server.credential.expose());
    let password = password.map_err(|_| refused(session::CredentialsError::Password))?;
    Credentials::new(&server.username, password).map_err(refused)
}

/// A connection that was there for so long was a good one.
const LASTING: Duration = Duration::from_secs(60);
/// Addresses of a server over UDP that are tried, in pairs of both families: those of four machines.
const MAX_ADDRESSES: usize = 8;
/// Addresses of a server to which a connection is tried.
const MAX_CONNECTS: usize = 4;

#[cfg(test)]
mod tests {
    use session::CredentialsError;

    use super::*;

    fn read(servers: &[IceServer]) -> Result<Wanted, Error> {
        read_up_to(servers, 3)
    }

    fn read_up_to(servers: &[IceServer], limit: usize) -> Result<Wanted, Error> {
        Wanted::read(&Configuration {
            ice_servers: servers.to_vec(),
            max_server_urls: limit,
            ..Configuration::default()
        })
    }

    fn server(url: &str) -> Server {
        read(&[IceServer::new(url).credentials("a", "b")]).unwrap().servers.remove(0)
    }

    /// A server is restarted now and then, for as long as a connection lasts.
    #[test]
    fn a_connection_that_has_lasted_counts_no_losses_of_before() {
        let mut server = server("turn:a.example?transport=tcp");
        let at = |seconds| Instant::default() + Duration::from_secs(seconds);
        for (losses, connected, expected) in [
            (0, None, 0),
            (5, None, 5),
            (5, Some(41), 5),
            (5, Some(40), 1),
            (1, Some(40), 1),
            (0, Some(0), 0),
        ] {
            (server.losses, server.connected) = (losses, connected.map(at));
            server.lose(at(100));
            assert_eq!((server.losses, server.connected), (expected, None), "{losses} {connected:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_and_the_rest_is_used() {
        let server = IceServer::new("turn:a.example?transport=udp")
            .url("turn:a.example:80?transport=tcp")
            .url("turns:a.example")
            .url("turns:a.example?transport=udp")
            .url("stuns:a.example")
            .url("stun:a.example")
            .credentials("alice", "wonderland");
        let wanted = read_up_to(&[server], 9).unwrap();
        let used: Vec<_> = wanted.servers.iter().map(|server| server.uri.to_string()).collect();
        assert_eq!(
            used,
            [
                "turn:a.example?transport=udp",
                "turn:a.example:80?transport=tcp",
                "turns:a.example",
                "turns:a.example?transport=udp",
                "stun:a.example"
            ]
        );
        assert!(wanted.servers[0].credentials.is_some() && wanted.servers[4].credentials.is_none());
        let unused: Vec<_> = wanted.unused.iter().map(ToString::to_string).collect();
        let why = "is not used: STUN over TLS says nothing about our UDP ports";
        assert_eq!(unused, [format!("server stuns:a.example {why}")]);
    }

    #[test]
    fn three_servers_of_three_are_used_and_a_fourth_is_told() {
        let servers = |count: u8| -> Vec<IceServer> {
            (0..count).map(|number| IceServer::new(format!("stun:192.0.2.{number}"))).collect()
        };
        let wanted = read(&servers(3)).unwrap();
        assert_eq!((wanted.servers.len(), wanted.unused.len()), (3, 0));
        let wanted = read(&servers(4)).unwrap();
        assert_eq!(wanted.servers.len(), 3);
        let fourth = UnusedServer { uri: "stun:192.0.2.3".to_owned(), reason: UnusedReason::TooMany };
        assert_eq!(wanted.unused, [fourth]);
    }

    #[test]
    fn each_url_of_a_server_has_its_head_start() {
        let first = IceServer::new("turns:a.example")
            .url("stun:a.example")
            .url("turn:a.example?transport=tcp")
            .url("turn:a.example")
            .credentials("alice", "wonderland");
        let second = IceServer::new("turn:b.example?transport=tcp").credentials("alice", "wonderland");
        let wanted = read_up_to(&[first, second], 9).unwrap();
        let starts: Vec<_> = wanted.servers.iter().map(|server| server.head_start.as_millis()).collect();
        assert_eq!(starts, [250, 0, 500, 0, 0]);
    }

    #[test]
    fn wrong_urls_and_credentials_are_refused_by_type() {
        for url in ["", "http://a.example", "stun:", "turn:a.example:99999", "turn:a.example?x=y"] {
            let server = IceServer::new(url).credentials("a", "b");
            assert!(matches!(read(&[server]), Err(Error::Url { .. })), "{url}");
        }
        for (username, password, wrong) in
            [("", "", CredentialsError::Username), ("a", "", CredentialsError::Password)]
        {
            let server = IceServer::new("turn:a.example").credentials(username, password);
            let refused = read(&[server]);
            assert!(matches!(&refused, Err(Error::Credentials { reason, .. }) if *reason == wrong));
        }
    }

    /// Nine addresses of each family: eight in all are tried, two at a time.
    #[tokio::test]
    async fn real_addresses_are_tried_in_pairs_and_no_more_than_eight() {
        let v4 = |number: u16| SocketAddr::from(([192, 0, 2, 1], number));
        let v6 = |number: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], number));
        let addresses: Vec<SocketAddr> = (1..10).flat_map(|number| [v6(number), v4(number)]).collect();
        let patience = Duration::from_secs(5);
        let found = server("stun:a.example").find_among(async { Ok(addresses) }, patience).await.unwrap();
        let [Found::Stun(first), Found::Stun(second), Found::Elsewhere(_)] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!([*first, *second], [v6(1), v4(1)]);
        let Some(Found::Elsewhere(mut alternates)) = found.into_iter().next_back() else {
            panic!("no others")
        };
        for number in 2..=4 {
            let next = alternates.next();
            let [Found::Stun(first), Found::Stun(second)] = &next[..] else { panic!("{next:?}") };
            assert_eq!([*first, *second], [v6(number), v4(number)]);
        }
        assert!(alternates.next().is_empty());
        assert_eq!(alternates.tried.len(), MAX_ADDRESSES);
        // One address alone has no others.
        let found = server("stun:a.example").find_among(async { Ok(vec![v4(1)]) }, patience).await.unwrap();
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn no_password_is_shown() {
        let server = IceServer::new("turn:a.example").credentials("alice", "wonderland");
        assert!(!format!("{server:?}").contains("wonderland"));
        assert!(!format!("{:?}", read(&[server]).unwrap()).contains("wonderland"));
        let inside = IceServer::new("turn:alice:wonderland@a.example").credentials("alice", "wonderland");
        let error = read(&[inside]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("wonderland"), "{error}");
        assert!(error.to_string().contains("a.example"), "{error}");
    }

    #[tokio::test]
    async fn real_who_does_not_answer_is_given_up() {
        // Nobody ever says where it is.
        let named = server("stun:localhost");
        let look_up = named.find_among(std::future::pending(), Duration::from_millis(100));
        let unknown = tokio::time::timeout(Duration::from_secs(3), look_up).await.unwrap().unwrap_err();
        assert_eq!(unknown.reason, UnusedReason::Name);
        // It takes the connection, and says nothing of TLS.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("turns:{}", silent.local_addr().unwrap());
        let look_up = server(&url).look_up(Duration::from_millis(100));
        let unknown = tokio::time::timeout(Duration::from_secs(3), look_up).await.unwrap().unwrap_err();
        assert_eq!(unknown.reason, UnusedReason::Connection);
    }

    #[tokio::test]
    async fn real_names_and_addresses_are_looked_up() {
        for (url, address) in [("stun:127.0.0.1:7", "127.0.0.1:7"), ("stun:[::1]", "[::1]:3478")] {
            let Some(Found::Stun(found)) = server(url).literal() else { panic!("{url}") };
            assert_eq!(found, address.parse().unwrap());
        }
        assert!(server("stun:localhost").literal().is_none());
        let found = server("stun:localhost:9").look_up(Duration::from_secs(5)).await.unwrap();
        assert!(found.iter().all(|found| match found {
            Found::Stun(address) => address.ip().is_loopback(),
            Found::Elsewhere(alternates) => alternates.left.iter().all(|it| it.ip().is_loopback()),
            Found::Turn(_) | Found::Stream(..) => false,
        }));
        // RFC 6761 §6.4: a name that never is.
        let unknown = server("stun:nowhere.invalid").look_up(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(unknown.reason, UnusedReason::Name);
    }
}
