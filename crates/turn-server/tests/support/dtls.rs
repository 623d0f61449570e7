//! A client over DTLS, without a certificate.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dtls::{CloseReason, Connection, Event};
use proto::{Instant, Writer};
use tokio::net::UdpSocket;
use tokio::time::{timeout, timeout_at};

use net::TlsClient;

pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    pub(crate) connection: Connection,
    started: std::time::Instant,
    pub(crate) received: Vec<Vec<u8>>,
    pub(crate) closed: Option<CloseReason>,
    /// Whom it believes, and by which name.
    believes: Option<(TlsClient, String)>,
}

impl Client {
    /// One that has sent nothing yet.
    pub(crate) async fn new(from: [u8; 4], to: SocketAddr, believes: Option<(TlsClient, &str)>) -> Self {
        let socket = UdpSocket::bind((std::net::Ipv4Addr::from(from), 0)).await.unwrap();
        socket.connect(to).await.unwrap();
        let mut config = dtls::Config::without_identity(crypto::default_provider());
        config.server_name = Some("localhost".into());
        config.max_issuers = 4;
        let mut seed = [7; 32];
        seed[..2].copy_from_slice(&socket.local_addr().unwrap().port().to_be_bytes());
        Self {
            socket,
            connection: Connection::client(Instant::default(), Arc::new(config), seed),
            started: std::time::Instant::now(),
            received: Vec::new(),
            closed: None,
            believes: believes.map(|(tls, name)| (tls, name.to_owned())),
        }
    }

    fn now(&self) -> Instant {
        Instant::default() + self.started.elapsed()
    }

    /// Sends what is due.
    pub(crate) async fn flush(&mut self) {
        loop {
            let (mut memory, now) = ([0; 1500], self.now());
            let mut out = Writer::new(&mut memory);
            if !self.connection.poll_packet(now, &mut out) {
                return;
            }
            let _ = self.socket.send(out.written()).await;
        }
    }

    /// Sends, and takes one datagram if it comes in time; whether one came.
    pub(crate) async fn step(&mut self, wait: Duration) -> bool {
        self.flush().await;
        let mut memory = [0; 2000];
        let received = timeout(wait, self.socket.recv(&mut memory)).await;
        let now = self.now();
        let Ok(Ok(len)) = received else {
            self.connection.handle_timeout(now);
            return false;
        };
        let mut records = self.connection.handle_datagram(now, &mut memory[..len]);
        while let Some(record) = records.next_record() {
            if let Ok(data) = record {
                self.received.push(data.to_vec());
            }
        }
        drop(records);
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::PeerCertificate => {
                    let certificate = self.connection.peer_certificate().unwrap();
                    let issuers = self.connection.peer_issuers();
                    let unix_time = net::Clock::unix_seconds();
                    let is_right = self
                        .believes
                        .as_ref()
                        .is_none_or(|(tls, name)| tls.judge(name, certificate, issuers, unix_time).is_ok());
                    if is_right { self.connection.accept_peer(now) } else { self.connection.reject_peer(now) }
                }
                Event::Closed(reason) => self.closed = Some(reason),
                Event::Connected | _ => {}
            }
        }
        self.flush().await;
        true
    }

    /// Goes on until `done` or for `limit`; whether it is done.
    pub(crate) async fn until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = tokio::time::Instant::now() + limit;
        while !done(self) {
            if timeout_at(end, self.step(Duration::from_millis(50))).await.is_err() {
                return done(self);
            }
        }
        true
    }

    pub(crate) async fn connect(&mut self) -> bool {
        self.until(Duration::from_secs(5), |client| {
            client.connection.is_connected() || client.closed.is_some()
        })
        .await;
        self.connection.is_connected()
    }

    pub(crate) fn seal(&mut self, data: &[u8]) -> Vec<u8> {
        let mut memory = [0; 2000];
        let mut out = Writer::new(&mut memory);
        let mut record = self.connection.begin_record(&mut out).unwrap();
        record.plaintext().put(data).unwrap();
        record.seal();
        out.written().to_vec()
    }

    /// Sends one message, and gives the answer to it.
    pub(crate) async fn ask(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let datagram = self.seal(message);
        let _ = self.socket.send(&datagram).await.unwrap();
        let had = self.received.len();
        self.until(Duration::from_secs(5), |client| client.received.len() > had || client.closed.is_some())
            .await;
        self.received.get(had).cloned()
    }
}
