use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use dtls::{Connection, Event};
use net::{Clock, RECEIVE_BUFFER, SEND_BUFFER, TlsClient, Train, Transport, UdpSocket};
use proto::{Carrier, Ecn, Instant, Path, Transmit, Writer};

/// A DTLS association with a TURN server over a UDP socket of its own: what is in a record is a datagram here
/// (RFC 8656 §3.1). An error of [`poll_receive`](Transport::poll_receive) is its end.
pub(crate) struct RelayAssociation {
    local: SocketAddr,
    remote: SocketAddr,
    max_segments: usize,
    /// The worker's task is the only one that asks.
    inner: Mutex<Inner>,
}

struct Inner {
    socket: UdpSocket,
    remote: SocketAddr,
    clock: Clock,
    connection: Connection,
    inbound: Inbound,
    sealed: Vec<u8>,
    /// Since when something was sent and nothing has come.
    unanswered: Option<Instant>,
    /// How long that may go on.
    silence: Duration,
    is_over: bool,
    /// Whom its end is told.
    reader: Option<Waker>,
}

/// What a train brought and is not handed out yet.
#[derive(Default)]
struct Inbound {
    bytes: Vec<u8>,
    /// How much of it is handed out.
    taken: usize,
    /// Of each datagram that is not.
    lens: VecDeque<usize>,
    ecn: Option<Ecn>,
}

impl RelayAssociation {
    /// Shakes hands with `server`, which has to prove that it is `name`, a host name or an address, to whom
    /// `believed` says. Goes on asking until it is dropped, for a minute at most.
    ///
    /// # Errors
    ///
    /// There is no way there, or it is not who it should be.
    pub(crate) async fn connect(server: SocketAddr, name: &str, believed: &TlsClient) -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(net::source_address(server)?, 0))?;
        let (local, clock) = (socket.local_address(), Clock::start());
        let mut config = dtls::Config::without_identity(crypto::default_provider());
        // RFC 6066 §3: addresses are no names.
        config.server_name = name.parse::<IpAddr>().is_err().then(|| name.to_owned());
        config.max_issuers = MAX_ISSUERS;
        let seed = net::random_seed()?;
        let mut inner = Inner {
            connection: Connection::client(clock.now(), Arc::new(config), seed),
            socket,
            remote: server,
            clock,
            inbound: Inbound::default(),
            sealed: Vec::new(),
            unanswered: None,
            silence: SILENCE,
            is_over: false,
            reader: None,
        };
        inner.shake_hands(name, believed).await?;
        let max_segments = inner.socket.max_segments().min(MAX_SEGMENTS);
        Ok(Self { local, remote: server, max_segments, inner: Mutex::new(inner) })
    }

    /// From here to the server.
    pub(crate) const fn path(&self) -> Path {
        Path { carrier: Carrier::Udp, local: self.local, remote: self.remote }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    async fn shake_hands(&mut self, name: &str, believed: &TlsClient) -> io::Result<()> {
        let mut buffer = vec![0; RECEIVE_BUFFER];
        loop {
            self.send_flight().await;
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::PeerCertificate => self.judge(name, believed)?,
                    Event::Connected => return Ok(()),
                    Event::Closed(reason) => return Err(io::Error::other(reason.to_string())),
                    _ => {}
                }
            }
            let due = self.connection.poll_timeout().unwrap_or_else(|| self.clock.now());
            let due = tokio::time::Instant::from_std(self.clock.system(due));
            let filled = poll_fn(|cx| self.poll_fill(cx, &mut buffer));
            // Errors of the socket are those of earlier sends: who does not answer is asked again.
            if let Ok(Err(error)) = tokio::time::timeout_at(due, filled).await {
                tracing::trace!(%error, "receive");
            }
            self.connection.handle_timeout(self.clock.now());
        }
    }

    /// Sends what the handshake wants to be sent.
    async fn send_flight(&mut self) {
        let mut memory = [0; LONGEST_HANDSHAKE];
        loop {
            let mut out = Writer::new(&mut memory);
            if !self.connection.poll_packet(self.clock.now(), &mut out) {
                return;
            }
            let transmit = self.transmit(out.len(), None, None);
            // What is lost is repeated in time.
            if let Err(error) = poll_fn(|cx| self.socket.poll_send(cx, &transmit, out.written())).await {
                tracing::trace!(%error, "send");
            }
        }
    }

    /// The verdict about the server's certificate, as a client of TLS makes it.
    fn judge(&mut self, name: &str, believed: &TlsClient) -> io::Result<()> {
        let now = self.clock.now();
        let certificate = self.connection.peer_certificate().unwrap_or_default();
        let issuers = self.connection.peer_issuers();
        match believed.judge(name, certificate, issuers, Clock::unix_seconds()) {
            Ok(()) => self.connection.accept_peer(now),
            Err(error) => {
                self.connection.reject_peer(now);
                // It is told why, if that gets through.
                self.say_farewell();
                return Err(io::Error::other(error));
            }
        }
        Ok(())
    }

    /// Says that it is over, if there is room for that.
    fn say_farewell(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut memory = [0; LONGEST_HANDSHAKE];
        loop {
            let mut out = Writer::new(&mut memory);
            if !self.connection.poll_packet(self.clock.now(), &mut out) {
                return;
            }
            let transmit = self.transmit(out.len(), None, None);
            if let Poll::Ready(Err(error)) = self.socket.poll_send(cx, &transmit, out.written()) {
                tracing::trace!(%error, "send");
            }
        }
    }

    fn transmit(&self, len: usize, segment_size: Option<usize>, ecn: Option<Ecn>) -> Transmit {
        let path = Path { carrier: Carrier::Udp, local: self.socket.local_address(), remote: self.remote };
        Transmit { path, ecn, len, segment_size }
    }

    /// One receive call, through `buffer`.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<()>> {
        let train = ready!(self.socket.poll_receive(cx, buffer))?;
        if train.remote != self.remote {
            return Poll::Ready(Ok(()));
        }
        let now = self.clock.now();
        self.inbound.begin(train.ecn);
        for datagram in buffer.get_mut(..train.len).unwrap_or_default().chunks_mut(train.stride) {
            let mut records = self.connection.handle_datagram(now, datagram);
            while let Some(record) = records.next_record() {
                // What is refused leaves no trace but in the connection's figures.
                if let Ok(data) = record {
                    self.unanswered = None;
                    self.inbound.push(data);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Encrypts each datagram of a train into a record of its own; bytes of each record but the last.
    fn seal(&mut self, segment: usize, bytes: &[u8]) -> Result<usize, dtls::SealError> {
        let overhead = self.connection.overhead();
        let count = bytes.len().div_ceil(segment);
        self.sealed.resize(bytes.len().saturating_add(overhead.saturating_mul(count)), 0);
        let mut out = Writer::new(&mut self.sealed);
        for datagram in bytes.chunks(segment) {
            let mut record = self.connection.begin_record(&mut out)?;
            record.plaintext().put(datagram)?;
            record.seal();
        }
        Ok(segment.saturating_add(overhead))
    }

    fn end(&mut self) {
        self.is_over = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Inbound {
    /// Makes room for a train; what was not handed out is gone.
    fn begin(&mut self, ecn: Option<Ecn>) {
        self.bytes.clear();
        self.lens.clear();
        (self.taken, self.ecn) = (0, ecn);
    }

    fn push(&mut self, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.lens.push_back(datagram.len());
    }

    /// Hands out as many datagrams as are equally long, and one shorter behind them.
    fn take(&mut self, remote: SocketAddr, buffer: &mut [u8]) -> Option<Train> {
        let stride = self.lens.pop_front()?;
        let mut len = stride;
        while let Some(next) = self.lens.front().copied().filter(|next| *next <= stride && *next > 0) {
            self.lens.pop_front();
            len = len.saturating_add(next);
            if next < stride {
                break;
            }
        }
        let bytes = self.bytes.get(self.taken..self.taken.saturating_add(len))?;
        self.taken = self.taken.saturating_add(len);
        // They were in that buffer, with more around them.
        buffer.get_mut(..len)?.copy_from_slice(bytes);
        Some(Train { remote, len, stride: stride.max(1), ecn: self.ecn })
    }
}

impl Transport for RelayAssociation {
    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn max_segments(&self) -> usize {
        self.max_segments
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        let inner = &mut *self.lock();
        let now = inner.clock.now();
        let since = *inner.unanswered.get_or_insert(now);
        // A server that began anew knows nothing of the association, and says nothing.
        if now - since > inner.silence {
            inner.end();
        }
        if inner.is_over {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let segment = transmit.segment_size.unwrap_or(bytes.len()).max(1);
        let sealed = match inner.seal(segment, bytes) {
            Ok(sealed) => sealed,
            Err(error) => {
                inner.end();
                return Poll::Ready(Err(io::Error::other(error)));
            }
        };
        let all = std::mem::take(&mut inner.sealed);
        let longest = if all.len() > SEND_BUFFER { sealed } else { all.len().max(1) };
        let mut sent = Poll::Ready(Ok(()));
        for piece in all.chunks(longest) {
            let segment_size = (piece.len() > sealed).then_some(sealed);
            let transmit = inner.transmit(piece.len(), segment_size, transmit.ecn);
            sent = inner.socket.poll_send(cx, &transmit, piece);
            if !matches!(sent, Poll::Ready(Ok(()))) {
                break;
            }
        }
        inner.sealed = all;
        sent
    }

    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Train>> {
        let inner = &mut *self.lock();
        match &mut inner.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        for _ in 0..RECEIVES {
            if let Some(train) = inner.inbound.take(self.remote, buffer) {
                return Poll::Ready(Ok(train));
            }
            while let Some(event) = inner.connection.poll_event() {
                inner.is_over |= matches!(event, Event::Closed(_));
            }
            if inner.is_over {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            // Errors are those of earlier sends.
            if let Err(error) = ready!(inner.poll_fill(cx, buffer)) {
                tracing::trace!(%error, "receive");
            }
        }
        // Others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for RelayAssociation {
    fn drop(&mut self) {
        let inner = &mut *self.lock();
        // The allocation was given back before; this is for a server that did not hear it.
        inner.connection.close(inner.clock.now());
        inner.say_farewell();
    }
}

impl fmt::Debug for RelayAssociation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { local, remote, .. } = self;
        f.debug_struct("RelayAssociation")
            .field("local", local)
            .field("remote", remote)
            .finish_non_exhaustive()
    }
}

/// Certificates behind the server's own that are kept for the verdict: authorities have one or two, seldom three.
const MAX_ISSUERS: usize = 8;
/// A request that is not answered for so long has failed (RFC 8489 §6.2.1), and whoever answers nothing is gone.
const SILENCE: Duration = Duration::from_millis(39_500);
/// Bytes of the longest datagram of a handshake; `dtls::Config::max_datagram` is less.
const LONGEST_HANDSHAKE: usize = 1500;
/// Datagrams of one send: with what is around each they are less than a send may have.
const MAX_SEGMENTS: usize = 32;
/// Receive calls of one turn that bring nothing.
const RECEIVES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_of_one_length_are_handed_out_together_and_nothing_else() {
        let remote = SocketAddr::from(([127, 0, 0, 1], 5));
        let mut inbound = Inbound::default();
        let lens = [3, 3, 3, 2, 4, 0, 1, 2];
        inbound.begin(Some(Ecn::Ce));
        for (number, len) in lens.into_iter().enumerate() {
            inbound.push(&vec![u8::try_from(number).unwrap(); len]);
        }
        let mut buffer = [0; 100];
        let mut trains = Vec::new();
        while let Some(train) = inbound.take(remote, &mut buffer) {
            assert_eq!((train.remote, train.ecn), (remote, Some(Ecn::Ce)));
            trains.push((buffer[..train.len].to_vec(), train.stride));
        }
        let expected: [(&[u8], usize); 5] =
            [(&[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3], 3), (&[4; 4], 4), (&[], 1), (&[6], 1), (&[7, 7], 2)];
        assert!(trains.iter().map(|(bytes, stride)| (&bytes[..], *stride)).eq(expected), "{trains:?}");
        inbound.begin(None);
        assert!(inbound.take(remote, &mut buffer).is_none());
    }

    /// A server that knows nothing of the association any more, and one that has answered a moment ago.
    #[tokio::test]
    async fn real_who_answers_nothing_is_gone_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-subj", "/CN=relay", "-addext", "subjectAltName=IP:127.0.0.8", "-days", "2"])
            .args(["-addext", "basicConstraints=CA:FALSE", "-keyout", "key.pem", "-out", "certificate.pem"])
            .current_dir(folder.path())
            .output();
        if !made.is_ok_and(|made| made.status.success()) {
            return;
        }
        let file = |name: &str| folder.path().join(name);
        let mut config = turn_server::Config::at(([127, 0, 0, 8], 0).into());
        config.dtls = config.udp.clone();
        let shown = turn_server::DtlsServer::from_files(&file("certificate.pem"), &file("key.pem"));
        config.dtls_certificate = Some(shown.unwrap());
        let server = turn_server::Server::bind(config).await.unwrap();
        let (at, believed) = (server.dtls_addresses()[0], file("certificate.pem"));
        let believed = TlsClient::from_file(&believed).unwrap();
        let association = RelayAssociation::connect(at, "127.0.0.8", &believed).await.unwrap();
        association.lock().silence = Duration::from_millis(300);
        let request = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let transmit = |len| Transmit { path: association.path(), ecn: None, len, segment_size: None };
        let send = || {
            let cx = &mut Context::from_waker(Waker::noop());
            association.poll_send(cx, &transmit(request.len()), &request)
        };
        let mut buffer = vec![0; RECEIVE_BUFFER];
        // However long it takes, as long as there are answers.
        for _ in 0..5 {
            assert!(matches!(send(), Poll::Ready(Ok(()))));
            let train = poll_fn(|cx| association.poll_receive(cx, &mut buffer)).await.unwrap();
            assert_eq!((train.remote, &buffer[..2]), (at, &[1, 1][..]));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(server);
        assert!(matches!(send(), Poll::Ready(Ok(()))));
        let ends = poll_fn(|cx| association.poll_receive(cx, &mut buffer));
        let ask = async {
            while matches!(send(), Poll::Ready(Ok(()))) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let (ended, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(5), ends), ask);
        assert!(ended.unwrap().is_err(), "who waits is told");
    }
}
