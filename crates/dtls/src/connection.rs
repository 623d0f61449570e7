mod path;

use std::ops::Range;
use std::sync::Arc;

use crypto::derive_seed;
use proto::{Instant, Reader, Writer};

use crate::flight::{Flight, Outbound};
use crate::reassembly::Reassembly;
use crate::timing::Timing;
use crate::v12::{Fault, Handshake, Opener, Progress, Session, Started};
use crate::wire::{
    Alert, AlertDescription, CipherSuite, ContentType, Fragment, HandshakeType, MAX_PLAINTEXT,
    RECORD_HEADER_LEN, RecordHeader, SrtpProfile, Version, version,
};
use crate::{CloseReason, Config, Discard, Event, ExportError, Record, Records, SealError, Stats};

/// One side of a DTLS connection, without addresses, sockets or clock.
///
/// ```text
///                  messages of the peer, in order          accept_peer, and both Finished
///   Handshaking ──────────────────────────────▶ (PeerCertificate) ──────────▶ Connected
///        │                                            │ reject_peer               │
///        │ give_up, nothing in common                 ▼                           │ close, alert,
///        └─────────────────────────────────────▶  Closed  ◀───────────────────────┘ close_notify
/// ```
///
/// Feed it with `handle_datagram` and `handle_timeout`; then drain `poll_packet` and `poll_event`, and
/// sleep until `poll_timeout`.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    role: Role,
    now: Instant,
    /// Until both Finished messages were made.
    handshake: Option<Box<Handshake>>,
    reassembly: Reassembly,
    flight: Flight,
    outbound: Outbound,
    inbound: Inbound,
    timing: Timing,
    /// From both Finished messages on.
    established: Option<Established>,
    acceptance: Acceptance,
    /// What the peer sent behind its certificate, until it is accepted.
    peer_issuers: Vec<Vec<u8>>,
    closed: Option<CloseReason>,
    alert: Option<Alert>,
    max_datagram: usize,
    /// A flight had to be cut into small datagrams.
    is_small: bool,
    events: Events,
    stats: Stats,
}

/// Who began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The side that sends the first ClientHello.
    Client,
    /// The side that answers it.
    Server,
}

impl Role {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

#[derive(Debug)]
struct Established {
    session: Session,
    srtp: Option<SrtpProfile>,
    certificate: Vec<u8>,
    /// The number of the peer's Finished: when it comes again, our last flight was lost.
    last_message: u16,
}

/// The peer's records: of epoch 0, then of epoch 1.
#[derive(Debug, Default)]
struct Inbound {
    /// The keys of epoch 1, used from the peer's ChangeCipherSpec on.
    opener: Option<Opener>,
    protected: bool,
    /// Handshake records of epoch 1 that came before it.
    future: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Acceptance {
    Unknown,
    Asked,
    Accepted,
}

/// One slot an event: nothing queues.
#[derive(Debug, Default)]
struct Events {
    certificate: bool,
    connected: bool,
    closed: Option<CloseReason>,
}

impl Connection {
    /// A client, whose ClientHello is ready to be sent.
    pub fn client(now: Instant, config: Arc<Config>, seed: [u8; 32]) -> Self {
        let mut connection = Self::new(now, config, Role::Client, seed, 0, 0);
        if let Some(handshake) = &mut connection.handshake
            && let Err(Fault::Close(reason)) = handshake.start(&[], &mut connection.flight)
        {
            connection.end(reason);
        }
        connection
    }

    /// A server, which waits for a ClientHello. It demands no cookie: use it where the peer's address was
    /// proved, as by ICE; [`Endpoint`](crate::Endpoint) serves strangers.
    pub fn server(now: Instant, config: Arc<Config>, seed: [u8; 32]) -> Self {
        Self::new(now, config, Role::Server, seed, 0, 0)
    }

    /// A server whose client's first message has the number `message` and came in the record `record`
    /// (RFC 6347 §4.2.1, §4.2.2: ours go on from there).
    pub(crate) fn server_from(
        now: Instant,
        config: Arc<Config>,
        seed: [u8; 32],
        message: u16,
        record: u64,
    ) -> Self {
        Self::new(now, config, Role::Server, seed, message, record)
    }

    fn new(now: Instant, config: Arc<Config>, role: Role, seed: [u8; 32], message: u16, record: u64) -> Self {
        let seed = derive_seed(&seed, "dtls handshake");
        Self {
            handshake: Some(Box::new(Handshake::new(Arc::clone(&config), role, seed, message))),
            reassembly: Reassembly::new(message, config.max_message, config.max_reassembly),
            flight: Flight::default(),
            outbound: Outbound::starting_at(record),
            inbound: Inbound::default(),
            timing: Timing::new(now, &config),
            established: None,
            acceptance: Acceptance::Unknown,
            peer_issuers: Vec::new(),
            closed: None,
            alert: None,
            max_datagram: config.max_datagram.max(MIN_DATAGRAM),
            is_small: false,
            events: Events::default(),
            stats: Stats::default(),
            role,
            now,
            config,
        }
    }

    /// Takes a datagram of the peer, whose records are decrypted in place and lent one by one.
    pub fn handle_datagram<'c, 'b>(&'c mut self, now: Instant, datagram: &'b mut [u8]) -> Records<'c, 'b> {
        self.now = self.now.max(now);
        let now = self.now;
        Records::new(self, now, datagram)
    }

    /// Accepts the owner of [`peer_certificate`](Self::peer_certificate). Without effect before
    /// [`Event::PeerCertificate`].
    pub fn accept_peer(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.acceptance == Acceptance::Asked && self.closed.is_none() {
            self.acceptance = Acceptance::Accepted;
            self.peer_issuers = Vec::new();
            self.announce_connected();
        }
    }

    /// Refuses the owner of [`peer_certificate`](Self::peer_certificate): the connection closes with
    /// `bad_certificate`. Without effect before [`Event::PeerCertificate`] and after acceptance.
    pub fn reject_peer(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.acceptance == Acceptance::Asked {
            self.end(CloseReason::PeerRejected);
        }
    }

    /// Begins an application data record at the end of `out`, which takes as much plaintext as there is
    /// room for, up to 16 KiB.
    pub fn begin_record<'c, 'w, 'a>(
        &'c mut self,
        out: &'w mut Writer<'a>,
    ) -> Result<Record<'c, 'w, 'a>, SealError> {
        if !self.is_connected() {
            return Err(SealError::NotConnected);
        }
        // The peer can read application data only behind our Finished.
        if self.flight.is_due() {
            return Err(SealError::HandshakePending);
        }
        let sealer = self.outbound.sealer().ok_or(SealError::NotConnected)?;
        match sealer.begin(ContentType::ApplicationData, out) {
            Ok(started) => Ok(Record::new(self, out, started)),
            Err(SealError::Exhausted) => {
                self.end(CloseReason::SequenceExhausted);
                Err(SealError::Exhausted)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn seal(&mut self, started: Started, out: &mut Writer<'_>) {
        if let Some(sealer) = self.outbound.sealer() {
            sealer.seal(started, out);
            self.stats.records_sent = self.stats.records_sent.wrapping_add(1);
        }
    }

    /// Fills `out` with keying material that both sides have and nobody else (RFC 5705), for `label` and
    /// an optional context.
    pub fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExportError> {
        let established =
            self.established.as_ref().filter(|_| self.is_connected()).ok_or(ExportError::NotConnected)?;
        if RESERVED_LABELS.contains(&label) {
            return Err(ExportError::ReservedLabel);
        }
        let context = match context {
            Some(context) => {
                let len = u16::try_from(context.len()).map_err(|_| ExportError::ContextTooLong)?;
                Some((context, len))
            }
            None => None,
        };
        established.session.export(label, context, out);
        Ok(())
    }

    /// Closes, and tells the peer. A second call has no effect.
    pub fn close(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.end(CloseReason::Local);
    }

    /// Writes one datagram of handshake messages or an alert behind what stands in `out`; `false` if
    /// there is none, or no room for it.
    pub fn poll_packet(&mut self, now: Instant, out: &mut Writer<'_>) -> bool {
        self.now = self.now.max(now);
        let beyond = out.room().saturating_sub(self.flight_datagram());
        if out.reserve_tail(beyond).is_err() {
            return false;
        }
        let mut written = false;
        if self.flight.is_due() {
            written = self.flight.write(&mut self.outbound, out);
            if written && !self.flight.is_due() {
                // The last flight of all is sent again only when the peer asks by sending its own.
                let awaits_answer = self.handshake.is_some();
                self.timing.sent(self.now, awaits_answer);
            }
        }
        if let Some(alert) = self.alert.filter(|_| !self.flight.is_due()) {
            let sent = self.outbound.alert(self.role, alert, out);
            if sent.is_ok() {
                self.alert = None;
                written = true;
            }
        }
        out.release_tail(beyond);
        if written {
            self.stats.handshake_datagrams_sent = self.stats.handshake_datagrams_sent.wrapping_add(1);
        }
        written
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.handshake.is_none() || self.closed.is_some() {
            return;
        }
        if self.timing.is_over(self.now) {
            self.end(CloseReason::TimedOut);
        } else if self.timing.expire(self.now) {
            self.reassembly.forget_contested();
            self.resend();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timing.next()
    }

    /// The next piece of news, once.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.events.certificate) {
            Some(Event::PeerCertificate)
        } else if std::mem::take(&mut self.events.connected) {
            Some(Event::Connected)
        } else {
            self.events.closed.take().map(Event::Closed)
        }
    }

    /// Bytes that a record adds to its plaintext once connected; before, the most that any suite adds.
    pub fn overhead(&self) -> usize {
        match self.suite() {
            Some(CipherSuite::EcdheEcdsaChaCha20Poly1305Sha256) => RECORD_HEADER_LEN + 16,
            _ => RECORD_HEADER_LEN + 8 + 16,
        }
    }

    /// Bytes of plaintext that fit into a datagram of `datagram` bytes.
    pub fn max_plaintext(&self, datagram: usize) -> usize {
        datagram.saturating_sub(self.overhead()).min(MAX_PLAINTEXT)
    }

    /// Whether data can be sent and keys exported.
    pub const fn is_connected(&self) -> bool {
        self.established.is_some() && matches!(self.acceptance, Acceptance::Accepted) && self.closed.is_none()
    }

    /// Whether the connection has ended, and why.
    pub const fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Whether we are the client.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The version, once it is agreed.
    pub fn version(&self) -> Option<Version> {
        self.suite().map(|_| Version::Dtls12)
    }

    /// The cipher suite, once it is agreed.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.suite()
    }

    /// The SRTP profile that both sides know, once connected.
    pub fn srtp_profile(&self) -> Option<SrtpProfile> {
        self.established.as_ref().filter(|_| self.is_connected())?.srtp
    }

    /// The peer's certificate, DER, from [`Event::PeerCertificate`] on.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        if self.acceptance == Acceptance::Unknown {
            return None;
        }
        match (&self.established, &self.handshake) {
            (Some(established), _) => Some(&*established.certificate),
            (None, Some(handshake)) => Some(handshake.peer_certificate()),
            (None, None) => None,
        }
        .filter(|certificate| !certificate.is_empty())
    }

    /// The certificates, DER, that the peer sent behind its own, in its order and at most
    /// [`Config::max_issuers`]: from [`Event::PeerCertificate`] until it is accepted. Nothing in them was checked.
    pub fn peer_issuers(&self) -> impl Iterator<Item = &[u8]> {
        self.peer_issuers.iter().map(Vec::as_slice)
    }

    /// What was counted so far.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// Whether [`poll_packet`](Self::poll_packet) has something to write.
    pub const fn has_packet(&self) -> bool {
        self.flight.is_due() || self.alert.is_some()
    }

    pub(crate) fn ignore(&mut self, discard: Discard) -> Discard {
        self.stats.count(discard);
        if discard == Discard::Forged && self.stats.forged >= self.config.max_forged {
            self.end(CloseReason::TooManyForgeries);
        }
        discard
    }

    /// Takes one record, header included; says where in it application data stands.
    pub(crate) fn handle_record(
        &mut self,
        now: Instant,
        header: &RecordHeader,
        record: &mut [u8],
    ) -> Result<Option<Range<usize>>, Discard> {
        self.now = self.now.max(now);
        if self.closed.is_some() {
            return Err(Discard::Closed);
        }
        // RFC 6347 §4.2.1: only before the version is agreed may another one stand here.
        let early = header.epoch == 0 && header.version == version::DTLS_1_0;
        if header.version != version::DTLS_1_2 && !early {
            return Err(Discard::Version);
        }
        match (header.epoch, self.inbound.protected) {
            (0, false) => self.handle_plain(header, record).map(|()| None),
            (0, true) => Err(Discard::OldEpoch),
            (1, true) => self.handle_protected(header, record),
            (1, false) => self.keep(header, record).map(|()| None),
            _ => Err(Discard::FutureEpoch),
        }
    }

    fn handle_plain(&mut self, header: &RecordHeader, record: &[u8]) -> Result<(), Discard> {
        let body = record.get(RECORD_HEADER_LEN..).unwrap_or_default();
        if body.len() > MAX_PLAINTEXT {
            return Err(Discard::TooLong);
        }
        match header.content {
            ContentType::Handshake => self.handle_fragments(0, body)?,
            ContentType::ChangeCipherSpec => self.handle_change_cipher_spec(body)?,
            ContentType::Alert => {
                let alert = Alert::decode(body)?;
                self.stats.last_unauthenticated_alert = Some(alert.description);
                return Err(Discard::UnauthenticatedAlert);
            }
            ContentType::ApplicationData => return Err(Discard::NotConnected),
        }
        self.stats.records_received = self.stats.records_received.wrapping_add(1);
        Ok(())
    }

    fn handle_protected(
        &mut self,
        header: &RecordHeader,
        record: &mut [u8],
    ) -> Result<Option<Range<usize>>, Discard> {
        let opener = self.inbound.opener.as_mut().ok_or(Discard::FutureEpoch)?;
        let range = opener.open(header, record)?;
        self.stats.records_received = self.stats.records_received.wrapping_add(1);
        let plaintext = record.get(range.clone()).unwrap_or_default();
        match header.content {
            ContentType::ApplicationData if self.is_connected() => return Ok(Some(range)),
            ContentType::ApplicationData => return Err(Discard::NotConnected),
            ContentType::Handshake => self.handle_fragments(1, plaintext)?,
            ContentType::Alert => self.handle_alert(Alert::decode(plaintext)?),
            ContentType::ChangeCipherSpec => return Err(Discard::Unexpected),
        }
        Ok(None)
    }

    fn handle_alert(&mut self, alert: Alert) {
        if alert.description == AlertDescription::CLOSE_NOTIFY {
            self.end(CloseReason::Remote);
        } else if alert.fatal {
            self.end(CloseReason::Alert(alert.description));
        }
    }

    /// Keeps a handshake record that came before its keys. Others are not worth it.
    fn keep(&mut self, header: &RecordHeader, record: &[u8]) -> Result<(), Discard> {
        let kept: usize = self.inbound.future.iter().map(Vec::len).sum();
        if header.content != ContentType::Handshake
            || self.handshake.is_none()
            || self.inbound.future.len() >= self.config.max_future_records
            || kept.saturating_add(record.len()) > self.config.max_future_bytes
        {
            return Err(Discard::FutureEpoch);
        }
        self.inbound.future.push(record.to_vec());
        Ok(())
    }

    fn handle_change_cipher_spec(&mut self, body: &[u8]) -> Result<(), Discard> {
        let handshake = self.handshake.as_mut().ok_or(Discard::Repeated)?;
        if body != [1] {
            return Err(Discard::IllegalParameter);
        }
        if self.inbound.opener.is_none() {
            return Err(Discard::Unexpected);
        }
        handshake.handle_change_cipher_spec()?;
        self.inbound.protected = true;
        // Whatever came ahead without keys is not the Finished.
        self.reassembly.clear();
        for mut record in std::mem::take(&mut self.inbound.future) {
            let taken = RecordHeader::decode(&record)
                .map_err(Discard::from)
                .and_then(|header| self.handle_protected(&header, &mut record));
            if let Err(discard) = taken {
                self.ignore(discard);
            }
        }
        Ok(())
    }

    /// Takes the fragments of one handshake record. The first that is refused is reported; those behind
    /// it are taken all the same.
    fn handle_fragments(&mut self, epoch: u16, body: &[u8]) -> Result<(), Discard> {
        let mut reader = Reader::new(body);
        let mut first = if reader.is_empty() { Err(Discard::EmptyFragment) } else { Ok(()) };
        while !reader.is_empty() && self.closed.is_none() {
            let taken = match Fragment::decode(&mut reader) {
                Ok(fragment) => self.handle_fragment(epoch, &fragment),
                Err(error) => {
                    reader.rest();
                    Err(error.into())
                }
            };
            match (first, taken) {
                (Ok(()), taken) => first = taken,
                (Err(_), Err(discard)) => drop(self.ignore(discard)),
                (Err(_), Ok(())) => {}
            }
        }
        first
    }

    fn handle_fragment(&mut self, epoch: u16, fragment: &Fragment<'_>) -> Result<(), Discard> {
        // Not part of any flight, and its number may be anything (RFC 6347 §4.2.2).
        if fragment.kind == HandshakeType::HELLO_REQUEST {
            return Err(Discard::Renegotiation);
        }
        if let Some(established) = &self.established {
            // RFC 6347 §4.2.4: the peer repeats its last flight, so ours was lost.
            if epoch == 1 && fragment.sequence == established.last_message {
                if self.role == Role::Server && fragment.kind == HandshakeType::FINISHED {
                    self.resend();
                }
                return Err(Discard::Repeated);
            }
            return Err(Discard::Renegotiation);
        }
        if fragment.sequence < self.reassembly.next() {
            if self.timing.is_repeated_flight(self.now, fragment.sequence) {
                self.resend();
            }
            return Err(Discard::Repeated);
        }
        if self.reassembly.is_due(fragment) {
            self.handle_message(epoch, fragment.kind, fragment.data)?;
        } else if let Err(discard) = self.reassembly.insert(fragment) {
            // Before our first flight no timer forgets what a stranger began: the next piece begins anew.
            if discard == Discard::Contradiction && self.flight.is_empty() {
                self.reassembly.forget_contested();
            }
            return Err(discard);
        }
        while self.closed.is_none()
            && let Some((kind, body)) = self.reassembly.take_due()
        {
            self.handle_message(epoch, kind, &body)?;
        }
        Ok(())
    }

    /// Takes the message that is due, whole.
    fn handle_message(&mut self, epoch: u16, kind: HandshakeType, body: &[u8]) -> Result<(), Discard> {
        let sequence = self.reassembly.next();
        let handshake = self.handshake.as_mut().ok_or(Discard::Repeated)?;
        match handshake.handle(epoch, kind, sequence, body, &mut self.flight) {
            Ok(progress) => {
                self.reassembly.advance();
                self.advance(progress, sequence);
                Ok(())
            }
            Err(Fault::Discard(discard)) => Err(discard),
            Err(Fault::Close(reason)) => {
                self.end(reason);
                Err(Discard::Closed)
            }
        }
    }

    fn advance(&mut self, progress: Progress, sequence: u16) {
        if let Some((sealer, opener)) = progress.keys {
            self.outbound.set_sealer(sealer);
            self.inbound.opener = Some(opener);
        }
        if progress.flight {
            self.flight.rewind();
            self.timing.new_flight(sequence);
        }
        if progress.peer_proven {
            self.acceptance = Acceptance::Asked;
            self.peer_issuers = self.handshake.as_mut().map(|it| it.take_peer_issuers()).unwrap_or_default();
            self.events.certificate = true;
        }
        if progress.peer_unasked {
            self.acceptance = Acceptance::Accepted;
        }
        if progress.complete {
            self.establish(sequence);
        }
    }

    /// Both Finished messages were made: keeps what the connection needs, and frees the rest.
    fn establish(&mut self, last_message: u16) {
        let Some((session, srtp, mut certificate)) = self.handshake.take().and_then(|it| it.into_session())
        else {
            return self.end(CloseReason::Internal);
        };
        certificate.shrink_to_fit();
        self.established = Some(Established { session, srtp, certificate, last_message });
        self.reassembly.clear();
        self.inbound.future = Vec::new();
        self.timing.stop();
        match self.role {
            Role::Client => self.flight.free(),
            Role::Server => self.flight.shrink(),
        }
        self.announce_connected();
    }

    fn announce_connected(&mut self) {
        if self.is_connected() {
            self.events.connected = true;
        }
    }

    fn resend(&mut self) {
        if !self.flight.is_empty() && !self.flight.is_due() && self.timing.take_repeat() {
            self.flight.rewind();
            self.is_small |= self.timing.repeats() >= SMALL_AFTER && self.handshake.is_some();
            self.stats.retransmissions = self.stats.retransmissions.wrapping_add(1);
        }
    }

    /// Ends the connection, once.
    fn end(&mut self, reason: CloseReason) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason);
        self.events.closed = Some(reason);
        self.events.connected = false;
        self.alert = reason.alert().map(|(fatal, description)| Alert { fatal, description });
        self.timing.stop();
        self.flight.free();
        self.reassembly.clear();
        self.inbound.future = Vec::new();
        self.peer_issuers = Vec::new();
    }

    fn suite(&self) -> Option<CipherSuite> {
        match (&self.established, &self.handshake) {
            (Some(established), _) => Some(established.session.suite),
            (None, Some(handshake)) => handshake.suite(),
            (None, None) => None,
        }
    }
}

/// RFC 5705 §4: labels of the handshake itself, which must not be exported.
const RESERVED_LABELS: [&[u8]; 5] =
    [b"client finished", b"server finished", b"master secret", b"extended master secret", b"key expansion"];
/// Room for a piece of any message with its headers and tag.
const MIN_DATAGRAM: usize = 100;
/// Times that a flight is sent again as it was: losses alone explain that many.
const SMALL_AFTER: u32 = 2;

#[cfg(test)]
mod tests;
