use std::net::SocketAddr;
use std::time::Duration;

use net::TlsServer;
use stun::CredentialsError;
use turn::Users;

use crate::{Alternate, DtlsServer};

/// What a [`Server`](crate::Server) is made with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// The protocol: realm, relay addresses and their ports, quotas, lifetimes, who may be a peer.
    ///
    /// Without `relays`, relayed addresses are at the first listener of each family. `listeners` is filled in
    /// with what is bound, `unix_time` with the time; what is in `listeners` before stays, for addresses that
    /// lead here through a NAT.
    pub turn: turn::server::Config,
    /// Where clients are heard over UDP. An unspecified address stands for all of this machine's of its
    /// family but loopback.
    pub udp: Vec<SocketAddr>,
    /// Where clients find out what their NAT does (RFC 5780), at most one of each family. Default: nowhere.
    pub alternates: Vec<Alternate>,
    /// Where clients are heard over TCP, likewise. Port 0 is the port that UDP has.
    pub tcp: Vec<SocketAddr>,
    /// Where clients are heard over TLS, likewise.
    pub tls: Vec<SocketAddr>,
    /// What they are shown there. Default: nothing, and then there can be no TLS.
    pub certificate: Option<TlsServer>,
    /// Where clients are heard over DTLS, likewise; at none of the addresses of `udp`. One datagram is in one record.
    pub dtls: Vec<SocketAddr>,
    /// What they are shown there. Default: nothing, and then there can be no DTLS.
    pub dtls_certificate: Option<DtlsServer>,
    /// Who may use it.
    pub users: Users,
    /// Tasks that relay, each with sockets of its own at the same addresses, between which the system divides the
    /// clients (SO_REUSEPORT); more than one want a runtime with as many threads. All limits hold for all of them
    /// together. With more than one no allocation
    /// goes along with its client to another address (`turn.mobility`). Default: 1.
    pub workers: usize,
    /// For how long a worker that is relaying densely, every 200 µs or so, rests before it looks at its sockets again,
    /// so that more datagrams are received and sent with one system call: 1.2 to 2 times as many for the same processor
    /// time were measured (docs/performance.md), for this much delay and what the system adds to it, about 50 µs. The
    /// thread sleeps, whatever else of its runtime waits: it wants one of its own. Default: none.
    pub coalesce: Duration,
    /// TCP and TLS connections and DTLS associations at a time; one beyond is closed at once, or not answered. Default: 4,096.
    pub max_connections: usize,
    /// Those of one address, over IPv6 of its /64. Default: 128.
    pub max_connections_per_source: usize,
    /// DTLS associations at a time whose handshake is not complete; a stranger beyond is not answered. They take
    /// `first_message_timeout` at most. Default: 256.
    pub max_dtls_handshakes: usize,
    /// Bytes of a message over TCP; a longer one ends its connection, and as much of an incomplete one is
    /// kept. Default: 64 KiB.
    pub max_frame: usize,
    /// Bytes that wait for a client that reads slowly; a message beyond is dropped. Answers have 16 KiB besides. Default: 64 KiB.
    pub max_unsent: usize,
    /// Bytes that wait each way between a peer and a client that are joined, where one reads more slowly than the other
    /// sends (`turn.tcp_relays`): no more is read of it until they are gone. Default: 32 KiB.
    pub max_unsent_data: usize,
    /// Between a peer and a client that are joined, when one of them has ended and the other says nothing. Default: 30 seconds.
    pub half_closed_timeout: Duration,
    /// From the opening of a connection, its TLS or DTLS handshake included, to the end of its first message. Default: 10 seconds.
    pub first_message_timeout: Duration,
    /// Without anything from the client on a connection. Permissions are renewed every five minutes
    /// (RFC 8656 §9), so one that is used is never so silent. Default: 15 minutes.
    pub idle_timeout: Duration,
}

impl Config {
    /// Clients at `address` over UDP and TCP, nobody yet, and the defaults.
    pub fn at(address: SocketAddr) -> Self {
        Self { udp: vec![address], tcp: vec![address], ..Self::new() }
    }

    /// The defaults, and no address to listen at.
    pub fn new() -> Self {
        Self {
            turn: turn::server::Config::new(crypto::default_provider()),
            udp: Vec::new(),
            alternates: Vec::new(),
            tcp: Vec::new(),
            tls: Vec::new(),
            certificate: None,
            dtls: Vec::new(),
            dtls_certificate: None,
            users: Users::default(),
            workers: 1,
            coalesce: Duration::ZERO,
            max_connections: 4096,
            max_connections_per_source: 128,
            max_dtls_handshakes: 256,
            max_frame: 64 * 1024,
            max_unsent: 64 * 1024,
            max_unsent_data: 32 * 1024,
            half_closed_timeout: Duration::from_secs(30),
            first_message_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(900),
        }
    }

    /// With one more user, in the realm of `turn`, which has to be set before.
    ///
    /// # Errors
    ///
    /// The name or the password cannot be one (RFC 8489 §14.3).
    pub fn user(mut self, name: &str, password: &str) -> Result<Self, CredentialsError> {
        self.users.add(self.turn.provider, &self.turn.realm, name, password)?;
        Ok(self)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
