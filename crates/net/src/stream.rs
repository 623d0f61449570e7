use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::{TlsClient, TlsServer};

/// A TCP connection, plain or under TLS, that may still be opening: until then nothing is read, and nothing
/// is taken to be written.
pub struct ByteStream {
    state: State,
}

enum State {
    Opening(Pin<Box<dyn Future<Output = io::Result<Open>> + Send>>),
    Open(Open),
    Failed,
}

enum Open {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl ByteStream {
    /// One that is open.
    pub fn plain(stream: TcpStream) -> Self {
        without_delay(&stream);
        Self { state: State::Open(Open::Plain(stream)) }
    }

    /// One whose client begins a TLS handshake now.
    pub fn accept_tls(stream: TcpStream, server: &TlsServer) -> Self {
        without_delay(&stream);
        let accepting = TlsAcceptor::from(server.0.clone()).accept(stream);
        let opening = async {
            let mut stream = accepting.await?;
            // What waits there is memory of whoever does not read.
            stream.get_mut().1.set_buffer_limit(Some(MAX_TLS_UNSENT));
            Ok(Open::Tls(Box::new(stream.into())))
        };
        Self { state: State::Opening(Box::pin(opening)) }
    }

    /// One to `server`.
    pub fn connect(server: SocketAddr) -> Self {
        let opening = async move {
            let stream = TcpStream::connect(server).await?;
            without_delay(&stream);
            Ok(Open::Plain(stream))
        };
        Self { state: State::Opening(Box::pin(opening)) }
    }

    /// One from the address `local`, of which the system chooses the port if it is 0, to `remote`.
    pub fn connect_from(local: SocketAddr, remote: SocketAddr) -> Self {
        let opening = async move {
            let socket = if local.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.bind(local)?;
            let stream = socket.connect(remote).await?;
            without_delay(&stream);
            Ok(Open::Plain(stream))
        };
        Self { state: State::Opening(Box::pin(opening)) }
    }

    /// One from the address and port `local`, where a listener of [`Listener::bind_for_both`](crate::Listener::bind_for_both)
    /// is, to `remote`.
    pub fn connect_beside(local: SocketAddr, remote: SocketAddr) -> Self {
        let opening = async move {
            let socket = if local.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            #[cfg(unix)]
            {
                socket.set_reuseaddr(true)?;
                socket.set_reuseport(true)?;
            }
            socket.bind(local)?;
            let stream = socket.connect(remote).await?;
            without_delay(&stream);
            Ok(Open::Plain(stream))
        };
        Self { state: State::Opening(Box::pin(opening)) }
    }

    /// One to `server`, under TLS, which has to prove that it is `name`: a host name or an address.
    ///
    /// # Errors
    ///
    /// That is no name.
    pub fn connect_tls(server: SocketAddr, name: &str, client: &TlsClient) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(client.config.clone());
        let opening = async move {
            let stream = TcpStream::connect(server).await?;
            without_delay(&stream);
            Ok(Open::Tls(Box::new(connector.connect(name, stream).await?.into())))
        };
        Ok(Self { state: State::Opening(Box::pin(opening)) })
    }

    /// Whether it is open, and under TLS the other side is who it has to be.
    ///
    /// # Errors
    ///
    /// It does not open.
    pub fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open(cx).map_ok(|_| ())
    }

    /// The address on this side, once there is one.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Open(Open::Plain(stream)) => stream.local_addr().ok(),
            State::Open(Open::Tls(stream)) => stream.get_ref().0.local_addr().ok(),
            State::Opening(_) | State::Failed => None,
        }
    }

    /// Reads into `buffer`; 0 at the end.
    ///
    /// # Errors
    ///
    /// Those of the connection: it is over.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(buffer);
        match ready!(self.open(cx))? {
            Open::Plain(stream) => ready!(Pin::new(stream).poll_read(cx, &mut read))?,
            Open::Tls(stream) => ready!(Pin::new(stream).poll_read(cx, &mut read))?,
        }
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Takes bytes to be sent; how many.
    ///
    /// # Errors
    ///
    /// Those of the connection: it is over.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(self.open(cx))? {
            Open::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Open::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Sends what was taken: under TLS some of it may wait.
    ///
    /// # Errors
    ///
    /// Those of the connection: it is over.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.open(cx))? {
            Open::Plain(_) => Poll::Ready(Ok(())),
            Open::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Says that no more is sent. What was taken before has to be flushed.
    ///
    /// # Errors
    ///
    /// Those of the connection: it is over.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.open(cx))? {
            Open::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Open::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Open>> {
        if let State::Opening(opening) = &mut self.state {
            match ready!(opening.as_mut().poll(cx)) {
                Ok(open) => self.state = State::Open(open),
                Err(error) => {
                    self.state = State::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        match &mut self.state {
            State::Open(open) => Poll::Ready(Ok(open)),
            State::Opening(_) | State::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// Bytes under TLS that wait for TCP.
const MAX_TLS_UNSENT: usize = 16 * 1024;

/// Without it small messages wait for acknowledgements; with a failure they merely do.
fn without_delay(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Opening(_) => "opening",
            State::Open(Open::Plain(_)) => "plain",
            State::Open(Open::Tls(_)) => "tls",
            State::Failed => "failed",
        };
        f.debug_struct("ByteStream").field("state", &state).finish_non_exhaustive()
    }
}
