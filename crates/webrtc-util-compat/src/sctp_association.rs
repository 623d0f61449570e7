use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use proto::Writer;
use sctp::{Association, CloseReason, Config, Event, Ppid, SendError, StreamId, StreamOptions};
use tokio::sync::{Notify, mpsc, watch};

use crate::wire::{Carrier, Clock, QUEUE, datagrams, seed};

/// An [`sctp::Association`] on a `Conn`.
///
/// Dropping it aborts it; the carrier below is left as it is.
pub struct SctpAssociation {
    shared: Arc<Shared>,
    received: mpsc::Receiver<Received>,
    stages: watch::Receiver<Stage>,
}

/// What has come over an association.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Received {
    /// A whole message.
    Message {
        /// The stream it came on.
        stream: StreamId,
        /// What it is for.
        ppid: Ppid,
        /// The message.
        data: Bytes,
    },
    /// The peer has closed its side of a stream (RFC 6525 §5.2.2).
    Reset(StreamId),
}

struct Shared {
    carrier: Carrier,
    association: Mutex<Association>,
    /// There is something to send.
    touched: Notify,
    /// There is room to send.
    room: Notify,
    clock: Clock,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Handshake,
    Connected,
    Closed(CloseReason),
}

impl SctpAssociation {
    /// Begins an association.
    ///
    /// # Errors
    ///
    /// If it fails, or the system has no entropy.
    pub async fn client(carrier: Carrier, config: Arc<Config>) -> io::Result<Self> {
        let clock = Clock::start();
        let association = Association::client(clock.now(), config, seed()?);
        Self::connect(carrier, association, clock).await
    }

    /// Waits for an association.
    ///
    /// # Errors
    ///
    /// If it fails, or the system has no entropy.
    pub async fn server(carrier: Carrier, config: Arc<Config>) -> io::Result<Self> {
        let clock = Clock::start();
        let association = Association::server(clock.now(), config, seed()?);
        Self::connect(carrier, association, clock).await
    }

    async fn connect(carrier: Carrier, association: Association, clock: Clock) -> io::Result<Self> {
        let association = Mutex::new(association);
        let shared =
            Arc::new(Shared { carrier, association, touched: Notify::new(), room: Notify::new(), clock });
        let (stage, mut stages) = watch::channel(Stage::Handshake);
        let (sender, received) = mpsc::channel(QUEUE);
        tokio::spawn(shared.clone().drive(stage, sender));
        let reached = stages.wait_for(|stage| *stage != Stage::Handshake).await.map(|stage| *stage);
        match reached {
            Ok(Stage::Connected) => Ok(Self { shared, received, stages }),
            Ok(Stage::Closed(reason)) => Err(io::Error::other(format!("SCTP: {reason}"))),
            Ok(Stage::Handshake) | Err(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Says how messages of a stream travel. Streams that the peer uses first are ordered and reliable.
    ///
    /// # Errors
    ///
    /// If the stream cannot be used.
    pub fn open(&self, stream: StreamId, options: StreamOptions) -> io::Result<()> {
        self.shared.lock().open(stream, options).map_err(|error| io::Error::other(error.to_string()))
    }

    /// Sends a message; waits for room.
    ///
    /// # Errors
    ///
    /// If the stream is not open, the message too large, or the association over.
    pub async fn send(&self, stream: StreamId, ppid: Ppid, mut data: Bytes) -> io::Result<()> {
        loop {
            let room = self.shared.room.notified();
            let sent = self.shared.lock().send(self.shared.clock.now(), stream, ppid, &mut data, true);
            self.shared.touched.notify_one();
            match sent {
                Ok(()) => return Ok(()),
                Err(SendError::Blocked) => room.await,
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
    }

    /// The next message, or the end of a stream; `None` when the association is over.
    pub async fn recv(&mut self) -> Option<Received> {
        self.received.recv().await
    }

    /// Closes our side of a stream.
    pub fn reset(&self, stream: StreamId) {
        self.shared.lock().reset(self.shared.clock.now(), stream);
        self.shared.touched.notify_one();
    }

    /// Ends the association once everything has arrived.
    ///
    /// # Errors
    ///
    /// If it ended otherwise.
    pub async fn shutdown(mut self) -> io::Result<()> {
        self.shared.lock().shutdown(self.shared.clock.now());
        self.shared.touched.notify_one();
        let closed =
            self.stages.wait_for(|stage| matches!(stage, Stage::Closed(_))).await.map(|stage| *stage);
        match closed {
            Ok(Stage::Closed(CloseReason::Shutdown)) => Ok(()),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Association> {
        // A panic elsewhere has left no half-done change: every call of the machine is whole.
        self.association.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves packets and time until the association is over.
    async fn drive(self: Arc<Self>, stage: watch::Sender<Stage>, sender: mpsc::Sender<Received>) {
        let mut packets = datagrams(self.carrier.clone());
        let mut unfinished: Vec<(StreamId, BytesMut)> = Vec::new();
        loop {
            while let Some(packet) = self.next_packet() {
                if self.carrier.send(&packet).await.is_err() {
                    return;
                }
            }
            loop {
                let event = self.lock().poll_event();
                let Some(event) = event else { break };
                match event {
                    Event::Connected => _ = stage.send_replace(Stage::Connected),
                    Event::Readable(stream) => {
                        let read = self.read(stream, &mut unfinished, &sender).await;
                        if read.is_err() {
                            self.lock().abort(self.clock.now());
                        }
                    }
                    Event::Writable(_) => self.room.notify_waiters(),
                    Event::Reset { stream, direction: sctp::Direction::Incoming } => {
                        let _ = sender.send(Received::Reset(stream)).await;
                    }
                    Event::Closed(reason) => {
                        stage.send_replace(Stage::Closed(reason));
                        self.room.notify_waiters();
                        while let Some(packet) = self.next_packet() {
                            let _ = self.carrier.send(&packet).await;
                        }
                        return;
                    }
                    _ => {}
                }
            }
            let timeout = self.lock().poll_timeout();
            tokio::select! {
                packet = packets.recv() => match packet {
                    // What is refused is counted by the machine.
                    Some(packet) => _ = self.lock().handle_packet(self.clock.now(), &packet),
                    None => return,
                },
                () = self.clock.sleep(timeout) => self.lock().handle_timeout(self.clock.now()),
                () = self.touched.notified() => {}
                () = sender.closed() => self.lock().abort(self.clock.now()),
            }
        }
    }

    /// Hands over what has arrived on a stream, whole messages at a time.
    async fn read(
        &self,
        stream: StreamId,
        unfinished: &mut Vec<(StreamId, BytesMut)>,
        sender: &mpsc::Sender<Received>,
    ) -> Result<(), mpsc::error::SendError<Received>> {
        loop {
            let chunk = self.lock().recv(self.clock.now(), stream);
            let Some(chunk) = chunk else { return Ok(()) };
            let begun = unfinished.iter().position(|(known, _)| *known == stream);
            if chunk.abandoned {
                begun.map(|at| unfinished.swap_remove(at));
                continue;
            }
            let data = match begun {
                None if chunk.end => chunk.data,
                None => {
                    unfinished.push((stream, BytesMut::from(&chunk.data[..])));
                    continue;
                }
                Some(at) => {
                    unfinished[at].1.extend_from_slice(&chunk.data);
                    if !chunk.end {
                        continue;
                    }
                    unfinished.swap_remove(at).1.freeze()
                }
            };
            sender.send(Received::Message { stream, ppid: chunk.ppid, data }).await?;
        }
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
}

impl fmt::Debug for SctpAssociation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SctpAssociation").field("stats", &self.shared.lock().stats()).finish_non_exhaustive()
    }
}
