use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crypto::{Secret, constant_time_eq, derive_seed};
use proto::{Arrival, Batch, Instant, Path, Reader, Transmit, Writer};

use crate::wire::{
    ClientHello, ContentType, Fragment, HANDSHAKE_HEADER_LEN, HandshakeType, HelloVerifyRequest,
    RECORD_HEADER_LEN, RecordHeader, encode_fragment_header, version,
};
use crate::{Config, ConnectError, Connection, Discard, Event, Records};

/// DTLS for strangers: many connections on one socket, by path. A client that nobody knows must first
/// send back a cookie, which costs no memory to give (RFC 6347 §4.2.1).
///
/// ```text
///   ClientHello without a valid cookie ──▶ HelloVerifyRequest, nothing kept
///   ClientHello with it                ──▶ a Connection, until its Closed event was taken
/// ```
#[derive(Debug)]
pub struct Endpoint {
    config: Arc<Config>,
    seed: Secret<32>,
    now: Instant,
    entries: BTreeMap<ConnectionId, Entry>,
    by_path: BTreeMap<Path, ConnectionId>,
    next_id: u64,
    /// The latest demand for a cookie that was not sent yet; an earlier one is lost, as on the network.
    reply: Option<(Path, Reply)>,
    timeouts: BTreeSet<(Instant, ConnectionId)>,
    /// Connections that were touched: their packets, events and timers are to be asked for.
    touched: VecDeque<ConnectionId>,
}

/// Names a connection of an [`Endpoint`]; never given twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(u64);

/// What came of a datagram.
#[derive(Debug)]
pub enum Delivery<'e, 'b> {
    /// A stranger is asked for a cookie.
    Consumed,
    /// It belongs to this connection, which may be new: its records.
    Records(ConnectionId, Records<'e, 'b>),
}

#[derive(Debug)]
struct Entry {
    path: Path,
    connection: Connection,
    timeout: Option<Instant>,
    touched: bool,
}

#[derive(Debug)]
struct Reply {
    bytes: [u8; REPLY_LEN],
}

impl Endpoint {
    /// An endpoint without connections, which serves strangers and connects to others.
    pub fn new(config: Arc<Config>, seed: [u8; 32]) -> Self {
        Self {
            config,
            seed: Secret::new(seed),
            now: Instant::default(),
            entries: BTreeMap::new(),
            by_path: BTreeMap::new(),
            next_id: 0,
            reply: None,
            timeouts: BTreeSet::new(),
            touched: VecDeque::new(),
        }
    }

    /// What connections are made with from now on; those that live keep what they have. Cookies stay valid if the
    /// lifetime of their keys is the same.
    pub fn set_config(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    /// Begins a connection as a client.
    pub fn connect(&mut self, now: Instant, path: Path) -> Result<ConnectionId, ConnectError> {
        self.now = self.now.max(now);
        if self.by_path.contains_key(&path) {
            return Err(ConnectError::PathInUse);
        }
        if self.entries.len() >= self.config.max_connections {
            return Err(ConnectError::TooManyConnections);
        }
        let seed = self.next_seed();
        let connection = Connection::client(self.now, Arc::clone(&self.config), seed);
        Ok(self.insert(path, connection))
    }

    /// Takes a datagram. Those of known paths go to their connection; of the others only the start of a
    /// ClientHello is answered.
    pub fn handle_datagram<'e, 'b>(
        &'e mut self,
        arrival: Arrival,
        datagram: &'b mut [u8],
    ) -> Result<Delivery<'e, 'b>, Discard> {
        self.now = self.now.max(arrival.at);
        let now = self.now;
        let id = match self.by_path.get(&arrival.path) {
            Some(id) => *id,
            None => match self.greet(arrival.path, datagram)? {
                Some(id) => id,
                None => return Ok(Delivery::Consumed),
            },
        };
        let connection = self.connection_mut(id).ok_or(Discard::UnknownPeer)?;
        Ok(Delivery::Records(id, connection.handle_datagram(now, datagram)))
    }

    /// The connection with this name; `None` when its end was announced.
    pub fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let entry = self.entries.get_mut(&id)?;
        if !entry.touched {
            entry.touched = true;
            self.touched.push_back(id);
        }
        Some(&mut entry.connection)
    }

    /// The connection on this path, if there is one: whoever else is heard on it is a stranger.
    pub fn connection_at(&self, path: &Path) -> Option<ConnectionId> {
        self.by_path.get(path).copied()
    }

    /// The path of the connection with this name.
    pub fn path(&self, id: ConnectionId) -> Option<Path> {
        self.entries.get(&id).map(|entry| entry.path)
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let now = self.now;
        while let Some((at, id)) = self.timeouts.first().copied()
            && at <= now
        {
            self.timeouts.remove(&(at, id));
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.timeout = None;
            }
            if let Some(connection) = self.connection_mut(id) {
                connection.handle_timeout(now);
            }
        }
    }

    /// Appends handshake datagrams of one connection to `batch`. Application data the caller seals
    /// through [`connection_mut`](Self::connection_mut).
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.now = self.now.max(now);
        if let Some((path, reply)) = &self.reply {
            batch.append(|out| out.put(&reply.bytes)).ok()?;
            let transmit = batch.finish(*path, None);
            self.reply = None;
            return transmit;
        }
        for _ in 0..self.touched.len() {
            let id = self.touched.front().copied()?;
            let Some(entry) = self.entries.get_mut(&id) else {
                self.touched.pop_front();
                continue;
            };
            let path = entry.path;
            while batch.append(|out| entry.connection.poll_packet(now, out).then_some(()).ok_or(())).is_ok() {
            }
            if !batch.is_empty() {
                return batch.finish(path, None);
            }
            if entry.connection.has_packet() {
                return None; // no room: the same connection comes first the next time
            }
            self.refresh(id);
            // It stays in the line for its events.
            self.touched.rotate_left(1);
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let touched = self.touched.iter().filter_map(|id| self.entries.get(id)?.connection.poll_timeout());
        self.timeouts.first().map(|(at, _)| *at).into_iter().chain(touched).min()
    }

    /// The next piece of news of any connection, once. A connection is gone when its
    /// [`Event::Closed`] was taken and its last datagram left.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<(ConnectionId, Event)> {
        let mut waiting = 0;
        while let Some(id) = self.touched.get(waiting).copied() {
            self.refresh(id);
            let Some(entry) = self.entries.get_mut(&id) else {
                self.touched.remove(waiting);
                continue;
            };
            if let Some(event) = entry.connection.poll_event() {
                return Some((id, event));
            }
            if entry.connection.has_packet() {
                waiting = waiting.saturating_add(1);
                continue;
            }
            entry.touched = false;
            if entry.connection.closed().is_some() {
                let path = entry.path;
                self.by_path.remove(&path);
                self.entries.remove(&id);
            }
            self.touched.remove(waiting);
        }
        None
    }

    /// Enters a connection's timer into the line of timers.
    fn refresh(&mut self, id: ConnectionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let timeout = entry.connection.poll_timeout();
        if timeout != entry.timeout {
            if let Some(old) = entry.timeout {
                self.timeouts.remove(&(old, id));
            }
            if let Some(new) = timeout {
                self.timeouts.insert((new, id));
            }
            entry.timeout = timeout;
        }
    }

    fn insert(&mut self, path: Path, connection: Connection) -> ConnectionId {
        let id = ConnectionId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.entries.insert(id, Entry { path, connection, timeout: None, touched: true });
        self.by_path.insert(path, id);
        self.touched.push_back(id);
        id
    }

    fn next_seed(&self) -> [u8; 32] {
        derive_seed(self.seed.expose(), &format!("dtls connection {}", self.next_id))
    }

    /// Judges the datagram of a stranger: a new connection, or a demand for a cookie, which is never
    /// longer than what it answers.
    fn greet(&mut self, path: Path, datagram: &[u8]) -> Result<Option<ConnectionId>, Discard> {
        let header = RecordHeader::decode(datagram)?;
        let plain = header.content == ContentType::Handshake && header.epoch == 0;
        if !plain || !matches!(header.version, version::DTLS_1_0 | version::DTLS_1_2) {
            return Err(Discard::UnknownPeer);
        }
        let body = datagram.get(RECORD_HEADER_LEN..).unwrap_or_default();
        let body = body.get(..header.len).ok_or(Discard::Malformed(crate::DecodeError::Truncated))?;
        let fragment = Fragment::decode(&mut Reader::new(body))?;
        if fragment.kind != HandshakeType::CLIENT_HELLO || fragment.offset != 0 {
            return Err(Discard::UnknownPeer);
        }
        // What a cookie covers stands in the first fragment, whatever the size of the rest.
        let (version, random, session, cookie) = ClientHello::decode_head(&mut Reader::new(fragment.data))?;
        let period = self.period();
        let valid = [Some(period), period.checked_sub(1)]
            .into_iter()
            .flatten()
            .any(|period| constant_time_eq(&self.cookie(period, path, version, &random, session), cookie));
        if valid {
            if self.entries.len() >= self.config.max_connections {
                return Err(Discard::TooManyConnections);
            }
            let (seed, config) = (self.next_seed(), Arc::clone(&self.config));
            let (message, record) = (fragment.sequence, header.sequence);
            let connection = Connection::server_from(self.now, config, seed, message, record);
            return Ok(Some(self.insert(path, connection)));
        }
        let cookie = self.cookie(period, path, version, &random, session);
        let reply = Reply::new(&header, fragment.sequence, &cookie).ok_or(Discard::UnknownPeer)?;
        self.reply = Some((path, reply));
        Ok(None)
    }

    /// Which cookie key is the current one.
    fn period(&self) -> u64 {
        let lifetime = u64::try_from(self.config.cookie_lifetime.as_nanos()).unwrap_or(u64::MAX);
        self.now.as_nanos().checked_div(lifetime).unwrap_or(0)
    }

    fn cookie(
        &self,
        period: u64,
        path: Path,
        version: u16,
        random: &[u8; 32],
        session: &[u8],
    ) -> [u8; COOKIE_LEN] {
        let key = derive_seed(self.seed.expose(), &format!("dtls cookie {period}"));
        let hmac = self.config.provider.hmac(crypto::HashAlgorithm::Sha256, &key);
        let mut memory = [0; 20];
        let mut address = Writer::new(&mut memory);
        let written = match path.remote.ip() {
            std::net::IpAddr::V4(ip) => address.put(&ip.octets()),
            std::net::IpAddr::V6(ip) => address.put(&ip.octets()),
        };
        let _ = written.and_then(|()| address.put_u16(path.remote.port())); // 18 of 20 bytes
        // Only the last part varies in length.
        let code = hmac.sign(&[&version.to_be_bytes(), random, address.written(), session]);
        let mut cookie = [0; COOKIE_LEN];
        cookie.iter_mut().zip(code.as_bytes()).for_each(|(to, from)| *to = *from);
        cookie
    }
}

impl Reply {
    /// RFC 6347 §4.2.1: the HelloVerifyRequest takes over the numbers of what it answers.
    fn new(answered: &RecordHeader, message: u16, cookie: &[u8; COOKIE_LEN]) -> Option<Self> {
        let mut bytes = [0; REPLY_LEN];
        let mut out = Writer::new(&mut bytes);
        let len = REPLY_LEN - RECORD_HEADER_LEN;
        let header = RecordHeader {
            content: ContentType::Handshake,
            version: version::DTLS_1_0,
            epoch: 0,
            sequence: answered.sequence,
            len,
        };
        header.encode(&mut out).ok()?;
        let total = u32::try_from(len - HANDSHAKE_HEADER_LEN).ok()?;
        let kind = HandshakeType::HELLO_VERIFY_REQUEST;
        out.put(&encode_fragment_header(kind, total, message, 0, total)).ok()?;
        HelloVerifyRequest { version: version::DTLS_1_0, cookie }.encode(&mut out).ok()?;
        (out.room() == 0).then_some(Self { bytes })
    }
}

const COOKIE_LEN: usize = 32;
/// Headers, version, length, cookie.
const REPLY_LEN: usize = RECORD_HEADER_LEN + HANDSHAKE_HEADER_LEN + 3 + COOKIE_LEN;
// No reply is longer than what it answers, of which as much was read (RFC 6347 §4.2.1, against amplification).
const _: () = assert!(REPLY_LEN <= RECORD_HEADER_LEN + HANDSHAKE_HEADER_LEN + ClientHello::LEAST_HEAD_LEN);
