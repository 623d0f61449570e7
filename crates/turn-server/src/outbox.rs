use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dtls::{Connection, SealError};
use net::ready::Signal;
use net::{Listener, Transport, UdpSocket};
use proto::{Batch, Carrier, Ecn, NoSpace, Path, Transmit, Writer};
use slab::Slab;
use tokio::net::TcpListener;
use turn::server::Relay;

use crate::associations::Associations;
use crate::stream::Stream;

/// A socket, and how the system says that it is ready.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) signal: Arc<Signal>,
    pub(crate) waker: Waker,
    pub(crate) socket: Socket,
}

#[derive(Debug)]
pub(crate) enum Socket {
    /// A listener or a relay.
    Udp(UdpSocket),
    /// A listener, and who speaks DTLS with it, but while what they sent is relayed.
    Dtls(UdpSocket, Option<Box<Associations>>),
    Acceptor(TcpListener, Carries),
    /// Of connections of peers.
    Relay(Listener),
    Stream(Box<Stream>),
}

/// What is on a TCP connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Carries {
    /// Messages.
    Messages,
    /// TLS, with messages in it.
    Tls,
}

/// The sockets and how they are found.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) slots: Slab<Slot>,
    /// UDP sockets, by what they are bound to.
    pub(crate) by_address: HashMap<SocketAddr, usize>,
    pub(crate) by_path: HashMap<Path, usize>,
    /// DTLS listeners.
    pub(crate) dtls: Vec<usize>,
    /// For what is encrypted by itself.
    pub(crate) sealed: Vec<u8>,
    /// Connections that something was written for.
    pub(crate) unflushed: Vec<usize>,
    pub(crate) counts: Counts,
    pub(crate) max_unsent: usize,
}

/// What is counted on the way out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Datagrams and messages for which there was no room.
    pub(crate) dropped: u64,
    /// Datagrams that the system did not want to send.
    pub(crate) failed: u64,
}

impl Sockets {
    fn udp(&self, local: SocketAddr) -> Option<&UdpSocket> {
        match &self.slots.get(*self.by_address.get(&local)?)?.socket {
            Socket::Udp(socket) | Socket::Dtls(socket, _) => Some(socket),
            Socket::Acceptor(..) | Socket::Relay(_) | Socket::Stream(_) => None,
        }
    }

    pub(crate) fn stream(&mut self, key: usize) -> Option<(&mut Stream, &Waker)> {
        match self.slots.get_mut(key)? {
            Slot { socket: Socket::Stream(stream), waker, .. } => Some((stream, waker)),
            _ => None,
        }
    }

    /// The DTLS listener at this address.
    fn dtls_listener(&self, local: SocketAddr) -> Option<usize> {
        // Where there is none nothing is looked up.
        let key = if self.dtls.is_empty() { None } else { self.by_address.get(&local).copied() };
        key.filter(|key| self.dtls.contains(key))
    }

    pub(crate) fn associations(&mut self, key: usize) -> Option<&mut Associations> {
        match &mut self.slots.get_mut(key)?.socket {
            Socket::Dtls(_, associations) => associations.as_deref_mut(),
            Socket::Udp(_) | Socket::Acceptor(..) | Socket::Relay(_) | Socket::Stream(_) => None,
        }
    }

    /// Sends what was written to a batch, under DTLS what is one datagram.
    pub(crate) fn send(&mut self, transmit: &Transmit, bytes: &[u8]) {
        if transmit.path.carrier != Carrier::Udp {
            // Nobody asks twice over TCP: what a flood of data leaves no room for is not the answer.
            let limit = self.max_unsent.saturating_add(ROOM_FOR_ANSWERS);
            return self.push(transmit.path, bytes.len(), limit, |out| out.put(bytes));
        }
        let Some(key) = self.dtls_listener(transmit.path.local) else {
            return self.send_plain(transmit, bytes);
        };
        let mut memory = std::mem::take(&mut self.sealed);
        memory.resize(bytes.len().saturating_add(MOST_OVERHEAD), 0);
        let mut out = Writer::new(&mut memory);
        // Who is gone is answered no more.
        if let Some(connection) = self.associations(key).and_then(|them| them.at(&transmit.path)) {
            let is_sealed = seal(connection, &mut out, |out| out.put(bytes)).is_ok();
            self.count_unless(is_sealed);
            if is_sealed {
                let len = out.len();
                self.send_plain(&Transmit { len, segment_size: None, ..*transmit }, out.written());
            }
        }
        self.sealed = memory;
    }

    /// Sends datagrams as they are.
    pub(crate) fn send_plain(&mut self, transmit: &Transmit, bytes: &[u8]) {
        let Some(socket) = self.udp(transmit.path.local) else { return };
        let mut counts = self.counts;
        let segment = transmit.segment_size.unwrap_or(transmit.len).max(1);
        for piece in bytes.chunks(segment.saturating_mul(socket.max_segments())) {
            let several = piece.len() > segment;
            let part = Transmit { len: piece.len(), segment_size: several.then_some(segment), ..*transmit };
            if several && !try_send(socket, &part, piece, None) {
                // The system or the device cannot cut it: as single datagrams then.
                for single in piece.chunks(segment) {
                    let part = Transmit { len: single.len(), segment_size: None, ..*transmit };
                    try_send(socket, &part, single, Some(&mut counts));
                }
            } else if !several {
                try_send(socket, &part, piece, Some(&mut counts));
            }
        }
        self.counts = counts;
    }

    /// One without a byte, which is a datagram too.
    fn send_empty(&mut self, path: Path, ecn: Option<Ecn>) {
        let mut counts = self.counts;
        if let Some(socket) = self.udp(path.local) {
            try_send(socket, &Transmit { path, ecn, len: 0, segment_size: None }, &[], Some(&mut counts));
        }
        self.counts = counts;
    }

    /// One more is dropped, unless all is well.
    const fn count_unless(&mut self, is_well: bool) {
        if !is_well {
            self.counts.dropped = self.counts.dropped.wrapping_add(1);
        }
    }

    /// Puts a message behind what waits for a connection.
    fn push(
        &mut self,
        path: Path,
        len: usize,
        limit: usize,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
    ) {
        let Some(key) = self.by_path.get(&path).copied() else { return };
        let Some((stream, _)) = self.stream(key) else { return };
        if stream.push(len, limit, write) {
            if self.unflushed.last() != Some(&key) {
                self.unflushed.push(key);
            }
        } else {
            self.counts.dropped = self.counts.dropped.wrapping_add(1);
        }
    }
}

/// Writes one record.
fn seal(
    connection: &mut Connection,
    out: &mut Writer<'_>,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), NoSpace>,
) -> Result<(), SealError> {
    let mut record = connection.begin_record(out)?;
    write(record.plaintext())?;
    record.seal();
    Ok(())
}

/// Whether it was sent. A relay does not wait: what there is no room for is counted and gone.
fn try_send(socket: &UdpSocket, transmit: &Transmit, bytes: &[u8], counts: Option<&mut Counts>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    let sent = socket.poll_send(&mut cx, transmit, bytes);
    if let Some(counts) = counts {
        match &sent {
            Poll::Ready(Ok(())) => {}
            Poll::Pending => counts.dropped = counts.dropped.wrapping_add(1),
            Poll::Ready(Err(_)) => counts.failed = counts.failed.wrapping_add(1),
        }
    }
    matches!(sent, Poll::Ready(Ok(())))
}

/// What is relayed of one receive call: datagrams of equal path, mark and length leave in one send.
#[derive(Debug)]
pub(crate) struct Outbox<'a> {
    sockets: &'a mut Sockets,
    batch: Batch<'a>,
    run: Option<Run>,
}

/// What the datagrams of a batch have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Run {
    path: Path,
    ecn: Option<Ecn>,
    segment: usize,
    /// The DTLS listener that it leaves from.
    dtls: Option<usize>,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(sockets: &'a mut Sockets, memory: &'a mut [u8]) -> Self {
        let longest = memory.len();
        Self { sockets, batch: Batch::new(memory, MAX_SEGMENTS, longest), run: None }
    }

    /// Takes a datagram; what came before goes out when this one cannot go with it.
    pub(crate) fn push(&mut self, relay: &Relay<'_>, ecn: Option<Ecn>) {
        let (path, len) = (relay.path, relay.len());
        if path.carrier != Carrier::Udp {
            let limit = self.sockets.max_unsent;
            return self.sockets.push(path, len, limit, |out| relay.write(out));
        }
        let dtls = match self.run {
            Some(run) if run.path == path => run.dtls,
            _ => self.sockets.dtls_listener(path.local),
        };
        let Some(key) = dtls else {
            self.begin(Run { path, ecn, segment: len, dtls });
            if len == 0 {
                self.finish();
                return self.sockets.send_empty(path, ecn);
            }
            let appended = self.batch.append(|out| relay.write(out)).is_ok();
            return self.sockets.count_unless(appended);
        };
        let overhead = self.sockets.associations(key).and_then(|them| Some(them.at(&path)?.overhead()));
        let Some(overhead) = overhead else { return };
        self.begin(Run { path, ecn, segment: len.saturating_add(overhead), dtls });
        let Self { sockets, batch, .. } = self;
        let Some(connection) = sockets.associations(key).and_then(|them| them.at(&path)) else { return };
        let appended = batch.append(|out| seal(connection, out, |out| relay.write(out))).is_ok();
        sockets.count_unless(appended);
    }

    /// What comes next is of `run`; what came before goes out when it is of another.
    fn begin(&mut self, run: Run) {
        let joins = self.run.is_some_and(|before| {
            (before.path, before.ecn) == (run.path, run.ecn)
                && before.segment <= MAX_JOINED
                && run.segment <= self.batch.room()
        });
        if !joins {
            self.finish();
            self.run = Some(run);
        }
    }

    /// Sends a datagram as it is, before what waits.
    pub(crate) fn send_now(&mut self, transmit: &Transmit, bytes: &[u8]) {
        self.sockets.send_plain(transmit, bytes);
    }

    /// Sends what is left.
    pub(crate) fn finish(&mut self) {
        let Some(run) = self.run.take() else { return };
        if let Some(transmit) = self.batch.finish(run.path, run.ecn) {
            self.sockets.send_plain(&transmit, self.batch.bytes());
        }
        self.batch.clear();
    }
}

/// Bytes of answers that wait for a client beside its data: a hundred of them.
const ROOM_FOR_ANSWERS: usize = 16 * 1024;
/// Bytes that any record adds to what is in it, header and tag; more than enough.
const MOST_OVERHEAD: usize = 64;
/// Datagrams of one send: what Linux takes.
const MAX_SEGMENTS: usize = 64;
/// The longest datagrams that are joined: what every link carries that carries IPv6 (RFC 8200 §5). The
/// system refuses to cut a send into datagrams that are longer than the link's, and sends them singly.
const MAX_JOINED: usize = 1280 - 40 - 8;
