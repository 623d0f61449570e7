use std::any::Any;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dtls::{Config, Connection, Event, SrtpProfile};
use proto::Writer;
use tokio::sync::{Notify, mpsc, watch};
use webrtc_util::{Conn, Error, KeyingMaterialExporter, KeyingMaterialExporterError};

use crate::wire::{Carrier, Clock, MAX_DATAGRAM, QUEUE, datagrams, seed};

/// A [`dtls::Connection`] on a `Conn`, and a `Conn` itself.
///
/// Dropping it, or `close`, ends its task; the carrier below is left as it is.
pub struct DtlsConnection {
    shared: Arc<Shared>,
    received: tokio::sync::Mutex<mpsc::Receiver<Vec<u8>>>,
}

struct Shared {
    carrier: Carrier,
    connection: Mutex<Connection>,
    /// There is something to send, or the end is wanted.
    touched: Notify,
    clock: Clock,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Handshake,
    Connected,
    Closed(dtls::CloseReason),
}

impl DtlsConnection {
    /// Connects as the client. `accept` is shown the peer's certificate, in DER, and says whether it is the right one.
    ///
    /// # Errors
    ///
    /// If the handshake fails, or the carrier does.
    pub async fn client(
        carrier: Carrier,
        config: Arc<Config>,
        accept: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        let clock = Clock::start();
        let connection = Connection::client(clock.now(), config, seed()?);
        Self::connect(carrier, connection, clock, accept).await
    }

    /// Connects as the server; otherwise as [`client`](Self::client).
    ///
    /// # Errors
    ///
    /// If the handshake fails, or the carrier does.
    pub async fn server(
        carrier: Carrier,
        config: Arc<Config>,
        accept: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        let clock = Clock::start();
        let connection = Connection::server(clock.now(), config, seed()?);
        Self::connect(carrier, connection, clock, accept).await
    }

    async fn connect(
        carrier: Carrier,
        connection: Connection,
        clock: Clock,
        accept: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        let shared =
            Arc::new(Shared { carrier, connection: Mutex::new(connection), touched: Notify::new(), clock });
        let (stage, mut stages) = watch::channel(Stage::Handshake);
        let (sender, received) = mpsc::channel(QUEUE);
        tokio::spawn(shared.clone().drive(stage, sender, accept));
        let reached = stages.wait_for(|stage| *stage != Stage::Handshake).await.map(|stage| *stage);
        match reached {
            Ok(Stage::Connected) => Ok(Self { shared, received: tokio::sync::Mutex::new(received) }),
            Ok(Stage::Closed(reason)) => Err(Error::Other(format!("DTLS: {reason}"))),
            Ok(Stage::Handshake) | Err(_) => Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
        }
    }

    /// The SRTP profile agreed upon.
    pub fn srtp_profile(&self) -> Option<SrtpProfile> {
        self.shared.lock().srtp_profile()
    }

    /// The peer's certificate, in DER.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.shared.lock().peer_certificate().map(<[u8]>::to_vec)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere has left no half-done change: every call of the machine is whole.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves datagrams and time until the connection is over.
    async fn drive(
        self: Arc<Self>,
        stage: watch::Sender<Stage>,
        sender: mpsc::Sender<Vec<u8>>,
        accept: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Error> {
        let mut datagrams = datagrams(self.carrier.clone());
        loop {
            // Accepting the peer makes packets, and these make news.
            while self.take_events(&stage, &accept) | self.send_packets().await? {}
            if self.lock().closed().is_some() {
                return Ok(());
            }
            let timeout = self.lock().poll_timeout();
            tokio::select! {
                datagram = datagrams.recv() => match datagram {
                    Some(datagram) => self.take(datagram, &sender),
                    None => return Ok(()),
                },
                () = self.clock.sleep(timeout) => self.lock().handle_timeout(self.clock.now()),
                () = self.touched.notified() => {}
                () = sender.closed() => self.lock().close(self.clock.now()),
            }
        }
    }

    /// Says whether there were any.
    async fn send_packets(&self) -> Result<bool, Error> {
        let mut any = false;
        while let Some(packet) = self.next_packet() {
            self.carrier.send(&packet).await?;
            any = true;
        }
        Ok(any)
    }

    fn next_packet(&self) -> Option<Vec<u8>> {
        let mut memory = vec![0; 1500];
        let mut out = Writer::new(&mut memory);
        if !self.lock().poll_packet(self.clock.now(), &mut out) {
            return None;
        }
        let len = out.len();
        memory.truncate(len);
        Some(memory)
    }

    /// Says whether there were any.
    fn take_events(&self, stage: &watch::Sender<Stage>, accept: &impl Fn(&[u8]) -> bool) -> bool {
        let mut connection = self.lock();
        let mut any = false;
        while let Some(event) = connection.poll_event() {
            any = true;
            match event {
                Event::PeerCertificate => {
                    if connection.peer_certificate().is_some_and(accept) {
                        connection.accept_peer(self.clock.now());
                    } else {
                        connection.reject_peer(self.clock.now());
                    }
                }
                Event::Connected => _ = stage.send_replace(Stage::Connected),
                Event::Closed(reason) => _ = stage.send_replace(Stage::Closed(reason)),
                _ => {}
            }
        }
        any
    }

    fn take(&self, mut datagram: Vec<u8>, sender: &mpsc::Sender<Vec<u8>>) {
        let mut connection = self.lock();
        let mut records = connection.handle_datagram(self.clock.now(), &mut datagram);
        while let Some(record) = records.next_record() {
            // What is refused is counted by the machine; what nobody reads is lost, as a datagram may be.
            if let Ok(data) = record {
                let _ = sender.try_send(data.to_vec());
            }
        }
    }

    /// A record with `data` in it.
    fn seal(&self, data: &[u8]) -> Option<Vec<u8>> {
        let mut memory = vec![0; data.len() + 100];
        let mut out = Writer::new(&mut memory);
        let mut connection = self.lock();
        let mut record = connection.begin_record(&mut out).ok()?;
        record.plaintext().put(data).ok()?;
        record.seal();
        let len = out.len();
        memory.truncate(len);
        Some(memory)
    }
}

#[async_trait]
impl Conn for DtlsConnection {
    async fn connect(&self, _address: SocketAddr) -> Result<(), Error> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }

    async fn recv(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let Some(data) = self.received.lock().await.recv().await else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        let Some(room) = buffer.get_mut(..data.len()) else { return Err(Error::ErrBufferShort) };
        room.copy_from_slice(&data);
        Ok(data.len())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let len = self.recv(buffer).await?;
        Ok((len, self.remote_addr().unwrap_or(SocketAddr::from(([0; 4], 0)))))
    }

    async fn send(&self, data: &[u8]) -> Result<usize, Error> {
        if data.len() > MAX_DATAGRAM - 100 {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        }
        let sealed = self.shared.seal(data).ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        self.shared.carrier.send(&sealed).await?;
        Ok(data.len())
    }

    async fn send_to(&self, data: &[u8], _target: SocketAddr) -> Result<usize, Error> {
        self.send(data).await
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        self.shared.carrier.local_addr()
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        self.shared.carrier.remote_addr()
    }

    async fn close(&self) -> Result<(), Error> {
        self.shared.lock().close(self.shared.clock.now());
        self.shared.touched.notify_one();
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

#[async_trait]
impl KeyingMaterialExporter for DtlsConnection {
    async fn export_keying_material(
        &self,
        label: &str,
        context: &[u8],
        length: usize,
    ) -> Result<Vec<u8>, KeyingMaterialExporterError> {
        let mut out = vec![0; length];
        let context = (!context.is_empty()).then_some(context);
        match self.shared.lock().export_keying_material(label.as_bytes(), context, &mut out) {
            Ok(()) => Ok(out),
            Err(_) => Err(KeyingMaterialExporterError::HandshakeInProgress),
        }
    }
}

impl fmt::Debug for DtlsConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsConnection").field("connection", &*self.shared.lock()).finish_non_exhaustive()
    }
}
