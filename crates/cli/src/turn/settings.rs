use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use turn_server::turn::server::RelayAddress;
use turn_server::{Alternate, Config, DtlsServer, TlsServer};

use super::problem::Problem;

/// What the server is run with: each flag is also a line of the file of `--config`, where a flag that may be
/// given more than once is a list. What is given on the command line counts in place of what is in the file.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// Reads settings from this TOML file too. Users and secrets are read anew on SIGHUP.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Where clients are heard over UDP and TCP; may be given more than once. An unspecified address stands for
    /// all of this machine's of its family but loopback. Default: 0.0.0.0:3478 and [::]:3478.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<Vec<SocketAddr>>,
    /// Where clients are heard over UDP alone; may be given more than once.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen_udp: Option<Vec<SocketAddr>>,
    /// Where clients are heard over TCP alone; may be given more than once.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen_tcp: Option<Vec<SocketAddr>>,
    /// Where clients are heard over TLS; may be given more than once. Needs --certificate and --key.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen_tls: Option<Vec<SocketAddr>>,
    /// Where clients are heard over DTLS 1.2, at other UDP ports than those of --listen; may be given more than once.
    /// Needs --certificate and --key, of an ECDSA P-256 key.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen_dtls: Option<Vec<SocketAddr>>,
    /// A second address and port, other than those of the first UDP listener of its family, over which clients find
    /// out what their NAT does (RFC 5780); behind a 1:1 NAT with the address that clients see. One a family.
    #[arg(long, value_name = "ADDRESS:PORT[=EXTERNAL]")]
    alternate: Option<Vec<String>>,
    /// The file with the certificate for TLS and DTLS and those that lead to its authority, in PEM. Read anew on SIGHUP.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The file with the certificate's private key, in PEM. Read anew on SIGHUP.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The realm, of at most 508 bytes. Longer than eight characters, it makes answers to strangers more than three
    /// times as long as what they answer. Default: peerline.
    #[arg(long)]
    realm: Option<String>,
    /// Somebody who may use the server; may be given more than once. Other users of this machine see command
    /// lines: `--users` keeps passwords in a file.
    #[arg(long, value_name = "NAME:PASSWORD")]
    #[serde(deserialize_with = "secret_list")]
    pub(crate) user: Option<Vec<Shy>>,
    /// A file with a line NAME:PASSWORD for each who may use the server. Blank lines and those that begin with #
    /// say nothing.
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// A secret of time-limited names, see --secrets; may be given twice.
    #[arg(long, value_name = "SECRET")]
    #[serde(deserialize_with = "secret_list")]
    pub(crate) secret: Option<Vec<Shy>>,
    /// A file with a secret of time-limited names (`1790000000:anything`, password: base64 of HMAC-SHA1) on each
    /// line, two at most: while one replaces the other both count.
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    /// Where relayed addresses are, one a family; behind a 1:1 NAT with the address that peers see. Default: the
    /// first address of each family at which clients are heard.
    #[arg(long, value_name = "ADDRESS[=EXTERNAL]")]
    relay: Option<Vec<String>>,
    /// Ports of relayed addresses. Default: 49152-65535.
    #[arg(long, value_name = "FIRST-LAST")]
    ports: Option<String>,
    /// Relays to this special-purpose network too (private addresses, loopback, …); may be given more than once.
    #[arg(long, value_name = "ADDRESS[/PREFIX]")]
    allow_peer: Option<Vec<String>>,
    /// Does not relay to this network; may be given more than once, and counts more than --allow-peer.
    #[arg(long, value_name = "ADDRESS[/PREFIX]")]
    deny_peer: Option<Vec<String>>,
    /// Allocations in total. Default: 16384.
    #[arg(long, value_name = "COUNT")]
    max_allocations: Option<usize>,
    /// Allocations of a user name. Default: 10.
    #[arg(long, value_name = "COUNT")]
    max_allocations_per_user: Option<usize>,
    /// Allocations of a client's address. Default: 32.
    #[arg(long, value_name = "COUNT")]
    max_allocations_per_source: Option<usize>,
    /// Peers of an allocation. Default: 128.
    #[arg(long, value_name = "COUNT")]
    max_permissions: Option<usize>,
    /// Channels of an allocation. Default: 128.
    #[arg(long, value_name = "COUNT")]
    max_channels: Option<usize>,
    /// Bytes a second that an allocation relays, each way. Default: no bound.
    #[arg(long, value_name = "BYTES")]
    max_bandwidth: Option<u64>,
    /// Bytes a second that all allocations relay together. Default: no bound.
    #[arg(long, value_name = "BYTES")]
    max_total_bandwidth: Option<u64>,
    /// Seconds that an allocation lives whose client asks for more. Default: 3600.
    #[arg(long, value_name = "SECONDS")]
    max_lifetime: Option<u64>,
    /// Seconds that a nonce is taken. Default: 600.
    #[arg(long, value_name = "SECONDS")]
    nonce_lifetime: Option<u64>,
    /// Refusals a second to a network (/24, /56) of clients that have not shown who they are. Default: 20.
    #[arg(long, value_name = "COUNT")]
    max_refusals_per_second: Option<u32>,
    /// Tasks that relay, on as many cores, between which the system divides the clients. Default: 1.
    #[arg(long, value_name = "COUNT")]
    workers: Option<usize>,
    /// Microseconds that a task rests under load, so that more is received and sent with each system call; 0: none.
    /// Default: 50.
    #[arg(long, value_name = "MICROSECONDS")]
    coalesce: Option<u64>,
    /// TCP and TLS connections and DTLS associations at a time. Default: 4096.
    #[arg(long, value_name = "COUNT")]
    max_connections: Option<usize>,
    /// Those of an address. Default: 128.
    #[arg(long, value_name = "COUNT")]
    max_connections_per_source: Option<usize>,
    /// Has clients over TCP and TLS relay connections too (RFC 6062), to and from peers.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    tcp_relays: Option<bool>,
    /// Connections to peers that all TCP relays have together. Default: 1024.
    #[arg(long, value_name = "COUNT")]
    max_peer_connections: Option<usize>,
    /// Those of a user name. Default: 64.
    #[arg(long, value_name = "COUNT")]
    max_peer_connections_per_user: Option<usize>,
    /// Those of an allocation. Default: 16.
    #[arg(long, value_name = "COUNT")]
    max_peer_connections_per_allocation: Option<usize>,
    /// DTLS associations at a time whose handshake is not complete. Default: 256.
    #[arg(long, value_name = "COUNT")]
    max_dtls_handshakes: Option<usize>,
    /// Asks clients for the hash of their name in place of the name (RFC 8489 §9.2.4).
    #[arg(long, num_args = 0, default_missing_value = "true")]
    anonymity: Option<bool>,
    /// Whether clients may take their allocations along to another address (RFC 8016). Default: true, but with several
    /// workers they may not.
    #[arg(long, value_name = "BOOL")]
    mobility: Option<bool>,
    /// Takes the channel numbers 0x5000 to 0x7FFF of clients from before RFC 8656.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    rfc5766_channels: Option<bool>,
    /// Where Prometheus finds the metrics: http://ADDRESS:PORT/metrics. Default: nowhere.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Seconds that live allocations have after SIGTERM or SIGINT; the second such signal ends them. Default: 30.
    #[arg(long, value_name = "SECONDS")]
    drain: Option<u64>,
    /// How much is written to standard error. Default: info.
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<LogLevel>,
    /// As what. Default: text.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// From what on something is worth a line.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// What needs somebody.
    Warn,
    /// Allocations too.
    #[default]
    Info,
    /// What clients do wrong too.
    Debug,
    /// Each dropped datagram too.
    Trace,
}

/// What a line of the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// Text that is not to be shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Shy(String);

impl Shy {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Shy {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Shy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Reads a list of texts whose errors do not show what it found.
fn secret_list<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Vec<Shy>>, D::Error> {
    let value = toml::Value::deserialize(reader)?;
    let read = |value: &toml::Value| value.as_str().map(Shy::from);
    let list = value.as_array().and_then(|list| list.iter().map(read).collect::<Option<Vec<_>>>());
    list.map(Some).ok_or_else(|| serde::de::Error::custom("`user` and `secret` are lists of texts"))
}

impl Settings {
    /// With what the file says besides.
    pub(crate) fn complete(self) -> Result<Self, Problem> {
        let Some(path) = &self.config else { return Ok(self) };
        let file = |reason: String| Problem::File { path: path.clone(), reason };
        let text = read(path)?;
        // Only the message: with its context an error shows the line, which may hold a password.
        let mut all: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            file(format!("line {}: {}", before.lines().count().max(1), error.message()))
        })?;
        all.extend(toml::Table::try_from(&self).map_err(|_| file("not a table of settings".into()))?);
        let all: Self = all.try_into().map_err(|error: toml::de::Error| file(error.message().to_owned()))?;
        Ok(Self { config: self.config, ..all })
    }

    /// What the server is made with, but for who may use it.
    pub(crate) fn server(&self) -> Result<Config, Problem> {
        let mut config = Config::new();
        let any = [&self.listen, &self.listen_udp, &self.listen_tcp, &self.listen_tls, &self.listen_dtls]
            .iter()
            .any(|list| list.is_some());
        let default = ["0.0.0.0:3478", "[::]:3478"].map(|text| parse("listen", text));
        let both = match &self.listen {
            Some(listen) => listen.clone(),
            None if any => Vec::new(),
            None => default.into_iter().collect::<Result<_, _>>()?,
        };
        config.udp = [both.as_slice(), self.listen_udp.as_deref().unwrap_or_default()].concat();
        config.tcp = [both.as_slice(), self.listen_tcp.as_deref().unwrap_or_default()].concat();
        config.tls = self.listen_tls.clone().unwrap_or_default();
        config.dtls = self.listen_dtls.clone().unwrap_or_default();
        config.certificate = self.certificate()?;
        config.dtls_certificate = self.dtls_certificate()?;
        config.alternates = self.alternates()?;
        let turn = &mut config.turn;
        set(&mut turn.realm, self.realm.clone());
        for relay in self.relay.iter().flatten() {
            let (local, external) = relay.split_once('=').unwrap_or((relay, relay));
            let (local, external): (IpAddr, IpAddr) = (parse("relay", local)?, parse("relay", external)?);
            let is_second = turn.relays.iter().any(|other| other.local.is_ipv4() == local.is_ipv4());
            if is_second || local.is_ipv4() != external.is_ipv4() || local.is_unspecified() {
                return Err(Problem::Value { option: "relay", value: relay.clone() });
            }
            turn.relays.push(RelayAddress { local, external });
        }
        if let Some(ports) = &self.ports {
            let wrong = || Problem::Value { option: "ports", value: ports.clone() };
            let (first, last) = ports.split_once('-').ok_or_else(wrong)?;
            let (first, last): (u16, u16) = (parse("ports", first)?, parse("ports", last)?);
            if first == 0 || first > last {
                return Err(wrong());
            }
            turn.ports = first..=last;
        }
        for (networks, given, option) in [
            (&mut turn.peers.allow, &self.allow_peer, "allow-peer"),
            (&mut turn.peers.deny, &self.deny_peer, "deny-peer"),
        ] {
            for network in given.iter().flatten() {
                networks.push(parse(option, network)?);
            }
        }
        set(&mut turn.max_allocations, self.max_allocations);
        set(&mut turn.max_allocations_per_user, self.max_allocations_per_user);
        set(&mut turn.max_allocations_per_source, self.max_allocations_per_source);
        set(&mut turn.max_permissions, self.max_permissions);
        set(&mut turn.max_channels, self.max_channels);
        set(&mut turn.max_refusals_per_second, self.max_refusals_per_second);
        set(&mut turn.max_lifetime, self.max_lifetime.map(Duration::from_secs));
        set(&mut turn.nonce_lifetime, self.nonce_lifetime.map(Duration::from_secs));
        set(&mut turn.anonymity, self.anonymity);
        set(&mut turn.mobility, self.mobility);
        set(&mut turn.tcp_relays, self.tcp_relays);
        set(&mut turn.max_connections, self.max_peer_connections);
        set(&mut turn.max_connections_per_user, self.max_peer_connections_per_user);
        set(&mut turn.max_connections_per_allocation, self.max_peer_connections_per_allocation);
        set(&mut turn.rfc5766_channels, self.rfc5766_channels);
        (turn.max_bandwidth, turn.max_total_bandwidth) = (self.max_bandwidth, self.max_total_bandwidth);
        if let Some(workers @ (0 | MANY_WORKERS..)) = self.workers {
            return Err(Problem::Value { option: "workers", value: workers.to_string() });
        }
        set(&mut config.workers, self.workers);
        let coalesce = self.coalesce.unwrap_or(COALESCE);
        if coalesce > MOST_COALESCE {
            return Err(Problem::Value { option: "coalesce", value: coalesce.to_string() });
        }
        // Its tasks have threads of their own here.
        config.coalesce = Duration::from_micros(coalesce);
        set(&mut config.max_connections, self.max_connections);
        set(&mut config.max_connections_per_source, self.max_connections_per_source);
        set(&mut config.max_dtls_handshakes, self.max_dtls_handshakes);
        Ok(config)
    }

    /// Where clients find out what their NAT does.
    fn alternates(&self) -> Result<Vec<Alternate>, Problem> {
        let mut alternates: Vec<Alternate> = Vec::new();
        for text in self.alternate.iter().flatten() {
            let (address, external) = match text.split_once('=') {
                Some((address, external)) => (address, Some(parse("alternate", external)?)),
                None => (text.as_str(), None),
            };
            let mut alternate = Alternate::at(parse("alternate", address)?);
            set(&mut alternate.external, external);
            let address = alternate.address;
            if alternates.iter().any(|other| other.address.is_ipv4() == address.is_ipv4())
                || address.is_ipv4() != alternate.external.is_ipv4()
            {
                return Err(Problem::Value { option: "alternate", value: text.clone() });
            }
            alternates.push(alternate);
        }
        Ok(alternates)
    }

    /// What clients are shown over TLS.
    pub(crate) fn certificate(&self) -> Result<Option<TlsServer>, Problem> {
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                TlsServer::from_files(certificate, key).map(Some).map_err(Problem::Certificate)
            }
            (None, None) if self.listen_tls.is_none() && self.listen_dtls.is_none() => Ok(None),
            _ => Err(Problem::HalfCertificate),
        }
    }

    /// The same over DTLS, which takes fewer kinds of keys.
    fn dtls_certificate(&self) -> Result<Option<DtlsServer>, Problem> {
        match (&self.listen_dtls, &self.certificate, &self.key) {
            (None, ..) => Ok(None),
            (Some(_), Some(certificate), Some(key)) => {
                DtlsServer::from_files(certificate, key).map(Some).map_err(Problem::DtlsCertificate)
            }
            (Some(_), ..) => Err(Problem::HalfCertificate),
        }
    }

    /// How long live allocations have.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain.unwrap_or(30))
    }
}

/// What the default of `coalesce` is, in microseconds, and what it may be at most.
const COALESCE: u64 = 50;
const MOST_COALESCE: u64 = 10_000;
/// More than any machine has cores for.
const MANY_WORKERS: usize = 1025;

fn set<T>(to: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *to = given;
    }
}

fn parse<T: std::str::FromStr>(option: &'static str, text: &str) -> Result<T, Problem> {
    text.trim().parse().map_err(|_| Problem::Value { option, value: text.into() })
}

pub(crate) fn read(path: &Path) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|source| Problem::File { path: path.into(), reason: source.to_string() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        settings: Settings,
    }

    fn settings(flags: &[&str], file: &str) -> Result<Settings, Problem> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turn.toml");
        fs::write(&path, file).unwrap();
        let path = path.to_str().unwrap();
        let flags = [&["turn", "--config", path], flags].concat();
        Program::try_parse_from(flags).unwrap().settings.complete()
    }

    #[test]
    fn flags_count_more_than_the_file() {
        let file = "realm = 'there'\nlisten = ['127.0.0.1:1', '127.0.0.1:2']\nmax-allocations = 5\n\
                    relay = ['127.0.0.1=192.0.2.1']\nports = '5000-5009'\nallow-peer = ['10.0.0.0/8']\n\
                    user = ['alice:wonderland']\nanonymity = true\nlog-format = 'json'\n";
        let all = settings(
            &["--realm", "here", "--max-lifetime", "700", "--listen-tcp", "[::1]:9", "--tcp-relays"],
            file,
        );
        let all = all.unwrap();
        let config = all.server().unwrap();
        assert_eq!((config.turn.realm.as_str(), config.turn.max_allocations), ("here", 5));
        assert_eq!((config.udp.len(), config.tcp.len(), config.turn.ports), (2, 3, 5000..=5009));
        assert_eq!(config.turn.relays[0].external, "192.0.2.1".parse::<IpAddr>().unwrap());
        assert_eq!(config.turn.max_lifetime, Duration::from_secs(700));
        assert!(config.turn.anonymity && !config.turn.rfc5766_channels && config.turn.tcp_relays);
        assert!(config.turn.peers.permits([10, 1, 1, 1].into()));
        assert_eq!((all.log_format, all.drain()), (Some(LogFormat::Json), Duration::from_secs(30)));
        assert!(!format!("{all:?}").contains("wonderland"));
    }

    /// What is in neither the help nor docs/turn.md cannot be found.
    #[test]
    fn every_setting_is_documented() {
        use clap::CommandFactory;
        let guide = include_str!("../../../../docs/turn.md");
        let command = Program::command();
        let settings: Vec<_> = command.get_arguments().filter(|one| one.get_id() != "help").collect();
        assert!(settings.len() > 25, "{}", settings.len());
        for setting in settings {
            let name = setting.get_long().unwrap();
            assert!(setting.get_help().is_some(), "{name}");
            assert!(guide.contains(&format!("`{name}`")), "docs/turn.md lacks `{name}`");
        }
    }

    #[test]
    fn nothing_given_is_every_address_at_the_port_of_turn() {
        let config = Settings::default().server().unwrap();
        let every: Vec<SocketAddr> =
            ["0.0.0.0:3478", "[::]:3478"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!((&config.udp, &config.tcp), (&every, &every));
        assert!(!config.turn.tcp_relays, "who wants them says so");
        let one = settings(&["--listen-udp", "127.0.0.1:5"], "").unwrap().server().unwrap();
        assert_eq!((one.udp.len(), one.tcp.len()), (1, 0), "what is named is all there is");
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (file, part) in [
            ("realms = 'x'", "unknown field `realms`"),
            ("max-allocations = 'many'", "expected usize"),
            ("listen = ['nowhere']", "socket address"),
            ("x", "turn.toml: line 1"),
            ("realm = 'x'\nuser = ['alice:hunter2'", "turn.toml: line 2"),
            ("user = 'alice:hunter2'", "`user` and `secret` are lists"),
            ("secret = 'hunter2'", "`user` and `secret` are lists"),
            ("secret = [['hunter2']]", "`user` and `secret` are lists"),
        ] {
            let problem = settings(&[], file).unwrap_err();
            let shown = format!("{problem} {problem:?}");
            assert!(shown.contains(part) && !shown.contains("hunter2"), "{shown}");
        }
        for flags in [
            ["--ports", "9-5"],
            ["--ports", "0-5"],
            ["--ports", "7"],
            ["--relay", "0.0.0.0"],
            ["--relay", "127.0.0.1=::1"],
            ["--allow-peer", "10.0.0.0/33"],
            ["--alternate", "127.0.0.2"],
            ["--workers", "0"],
            ["--coalesce", "10001"],
            ["--workers", "1025"],
            ["--alternate", "127.0.0.2:1=::1"],
        ] {
            let problem = settings(&flags, "").unwrap().server().unwrap_err().to_string();
            assert!(
                problem.contains(flags[0].trim_start_matches('-')) && problem.contains(flags[1]),
                "{problem}"
            );
        }
        let half = settings(&["--certificate", "c.pem"], "").unwrap();
        assert!(half.server().unwrap_err().to_string().contains("--key FILE"));
        let two = ["--alternate", "127.0.0.2:3479=192.0.2.1", "--alternate", "[::2]:1"];
        let two = settings(&two, "").unwrap().server().unwrap().alternates;
        assert_eq!((two[0].external.to_string().as_str(), two.len()), ("192.0.2.1", 2));
        let twice = settings(&["--alternate", "127.0.0.2:1", "--alternate", "127.0.0.3:1"], "").unwrap();
        assert!(twice.server().is_err(), "one a family");
        let twice = settings(&["--relay", "127.0.0.1", "--relay", "127.0.0.2"], "").unwrap();
        assert!(twice.server().is_err(), "one a family");
    }
}
