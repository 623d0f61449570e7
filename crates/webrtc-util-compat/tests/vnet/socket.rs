//! A port of webrtc-util's network as a transport of the facade's.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use peerline::{Train, Transmit, Transport};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
use tokio::task::AbortHandle;

use crate::network::Port;

/// A train that goes out: its bytes, those of each datagram, and where to.
type Outgoing = (Vec<u8>, usize, SocketAddr);
/// Room for a train that is waited for.
type Room = Pin<Box<dyn Future<Output = Result<mpsc::OwnedPermit<Outgoing>, SendError<()>>> + Send>>;

/// A task stands between the polling of one side and the futures of the other; it ends with this.
pub struct VnetSocket {
    local: SocketAddr,
    outgoing: mpsc::Sender<Outgoing>,
    room: Mutex<Option<Room>>,
    incoming: Mutex<mpsc::Receiver<(Vec<u8>, SocketAddr)>>,
    sending: AbortHandle,
}

impl VnetSocket {
    pub fn new(Port { conn, incoming }: Port) -> Self {
        let local = conn.local_addr().unwrap();
        let (outgoing, mut to_send) = mpsc::channel::<Outgoing>(QUEUE);
        let sending = tokio::spawn(async move {
            while let Some((bytes, segment, remote)) = to_send.recv().await {
                for datagram in bytes.chunks(segment) {
                    // What cannot be sent is lost, as on any network.
                    let _ = conn.send_to(datagram, remote).await;
                }
            }
        });
        let incoming = Mutex::new(incoming);
        Self { local, outgoing, room: Mutex::new(None), incoming, sending: sending.abort_handle() }
    }
}

impl Transport for VnetSocket {
    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn max_segments(&self) -> usize {
        8
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        let mut room = self.room.lock().unwrap();
        let waiting = room.get_or_insert_with(|| Box::pin(self.outgoing.clone().reserve_owned()));
        let permit = ready!(waiting.as_mut().poll(cx));
        *room = None;
        let permit = permit.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        let bytes = &bytes[..transmit.len];
        let segment = transmit.segment_size.unwrap_or(transmit.len).max(1);
        permit.send((bytes.to_vec(), segment, transmit.path.remote));
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Train>> {
        let Some((bytes, remote)) = ready!(self.incoming.lock().unwrap().poll_recv(cx)) else {
            // The network is gone: silence.
            return Poll::Pending;
        };
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Poll::Ready(Ok(Train { remote, len: bytes.len(), stride: bytes.len().max(1), ecn: None }))
    }
}

impl Drop for VnetSocket {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

impl fmt::Debug for VnetSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VnetSocket").field("local", &self.local).finish_non_exhaustive()
    }
}

/// Trains that wait to be sent.
const QUEUE: usize = 64;
