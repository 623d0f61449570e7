//! One path to the peer and the DTLS connection over it.

use std::sync::Arc;
use std::time::Duration;

use connectivity::Connectivity;
use crypto::{Secret, derive_seed};
use datachannel::Channels;
use proto::{Batch, Instant, Path, Transmit, Writer, sooner};

use crate::fingerprint::Fingerprints;
use crate::media::engine::Engine;
use crate::media::queue::{Queue, Waiting};
use crate::negotiation::RemoteParameters;
use crate::session::Media;
use crate::srtp::{Srtp, Unwritten};
use crate::transports::{OwnSockets, TransportId};
use crate::{CandidateError, Discard, DtlsRole, Failure, GatheringState, SendMediaError};

/// A transport: ICE, over it DTLS, and over that what its sections carry.
#[derive(Debug)]
pub(crate) struct Transport {
    pub id: TransportId,
    pub connectivity: Connectivity,
    /// Sockets of its own, unless it has those that sessions share.
    pub own: Option<Box<OwnSockets>>,
    /// What the peer's description says of it, until both descriptions are set.
    pub remote: Option<Box<RemoteParameters>>,
    pub remote_ufrag: Option<String>,
    /// The local ufrag that whoever demultiplexes knows of.
    pub told_ufrag: Option<String>,
    /// And the one before it.
    pub former_ufrag: Option<String>,
    /// Candidates of ours, as text, for descriptions.
    pub candidates: Vec<String>,
    pub gathering: GatheringState,
    /// Once it carries audio or video.
    pub media: Option<Box<Media>>,
    dtls: Option<dtls::Connection>,
    dtls_config: Arc<dtls::Config>,
    dtls_seed: Secret<32>,
    dtls_role: Option<DtlsRole>,
    fingerprints: Option<Fingerprints>,
    /// DTLS that came before the peer had answered a check on its path.
    held: Option<Box<Held>>,
    /// Its handshake waits for a path that carries something.
    is_stalled: bool,
    remote_tls_id: Option<String>,
    state: DtlsState,
    /// When the path was last said not to be silent.
    noted: Instant,
    /// Once media are agreed upon.
    srtp: Option<Box<Srtp>>,
    /// RFC 8842 §4: names the DTLS association in signalling.
    pub tls_id: String,
}

/// How far DTLS is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DtlsState {
    /// Not complete yet.
    Handshake,
    /// The peer is who signalling says it is; data flows.
    Connected,
    /// The peer closed in good order, or we did.
    Closed,
    /// It broke.
    Failed(Failure),
}

/// What a datagram of the transport's came to.
pub(crate) enum News {
    /// DTLS is up now.
    Connected,
    /// DTLS has ended.
    Ended,
}

impl Transport {
    pub(crate) fn new(
        id: TransportId,
        connectivity: Connectivity,
        own: Option<Box<OwnSockets>>,
        dtls_config: Arc<dtls::Config>,
        seed: [u8; 32],
    ) -> Self {
        let mut rng = crypto::Rng::new(derive_seed(&seed, "tls-id"));
        let tls_id = rng.array::<15>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            id,
            connectivity,
            own,
            remote: None,
            remote_ufrag: None,
            told_ufrag: None,
            former_ufrag: None,
            candidates: Vec::new(),
            gathering: GatheringState::New,
            media: None,
            dtls: None,
            dtls_config,
            dtls_seed: Secret::new(derive_seed(&seed, "dtls")),
            dtls_role: None,
            fingerprints: None,
            held: None,
            is_stalled: false,
            remote_tls_id: None,
            state: DtlsState::Handshake,
            noted: Instant::default(),
            srtp: None,
            tls_id,
        }
    }

    pub(crate) fn ufrag(&self) -> &str {
        self.connectivity.local_credentials().ufrag()
    }

    pub(crate) const fn dtls_state(&self) -> DtlsState {
        self.state
    }

    pub(crate) const fn dtls_role(&self) -> Option<DtlsRole> {
        self.dtls_role
    }

    pub(crate) const fn dtls(&self) -> Option<&dtls::Connection> {
        self.dtls.as_ref()
    }

    /// Whether the role, the certificates and the identity of the association are those that are in use; true
    /// while none are. Peers may leave the identity out (RFC 8842 §5.1).
    pub(crate) fn is_compatible(&self, role: DtlsRole, remote: &RemoteParameters) -> bool {
        let is_continued = match (&self.remote_tls_id, &remote.tls_id) {
            (Some(known), Some(named)) => known == named,
            _ => true,
        };
        is_continued
            && self.dtls_role.is_none_or(|known| known == role)
            && self.fingerprints.as_ref().is_none_or(|known| known.is_same(&remote.fingerprints))
    }

    /// Whether an offer of the peer's begins ICE anew that is not answered yet.
    pub(crate) fn is_restarted_by_peer(&self) -> bool {
        let (known, offered) = (self.remote_ufrag.as_deref(), self.remote.as_deref());
        offered.is_some_and(|remote| known.is_some_and(|known| known != remote.credentials.ufrag()))
    }

    /// Keeps a candidate, or the end of them, that such an offer is followed by. Those that are too many are counted.
    pub(crate) fn keep_candidate(&mut self, text: &str) -> Result<(), CandidateError> {
        let Some(remote) = &mut self.remote else { return Ok(()) };
        if text.is_empty() {
            remote.end_of_candidates = true;
            return Ok(());
        }
        text.parse::<ice::Candidate>().map_err(CandidateError::Parse)?;
        if remote.candidates.len() < MAX_KEPT_CANDIDATES {
            remote.candidates.push(text.to_owned());
        } else {
            self.connectivity.count_refused();
        }
        Ok(())
    }

    /// What the exchange of descriptions agreed upon. DTLS begins when there is a path.
    pub(crate) fn agree(
        &mut self,
        now: Instant,
        role: DtlsRole,
        fingerprints: Fingerprints,
        tls_id: Option<String>,
    ) {
        self.dtls_role = Some(role);
        self.fingerprints = Some(fingerprints);
        self.remote_tls_id = tls_id.or_else(|| self.remote_tls_id.take());
        self.begin_dtls(now);
    }

    /// Begins DTLS if the role is known and there is a path.
    pub(crate) fn begin_dtls(&mut self, now: Instant) {
        if self.connectivity.selected_path().is_some() {
            self.make_dtls(now);
        }
    }

    /// The peer may speak first, on a valid path that is not selected yet.
    fn make_dtls(&mut self, now: Instant) -> Option<&mut dtls::Connection> {
        let role = self.dtls_role?;
        let round_trip = self.round_trip();
        let max_datagram = self.max_datagram();
        Some(self.dtls.get_or_insert_with(|| {
            let (config, seed) = (self.dtls_config.clone(), *self.dtls_seed.expose());
            let mut connection = match role {
                DtlsRole::Client => dtls::Connection::client(now, config, seed),
                DtlsRole::Server => dtls::Connection::server(now, config, seed),
            };
            connection.set_max_datagram(max_datagram);
            connection.set_round_trip(round_trip);
            connection
        }))
    }

    /// Whether DTLS on `path` is not to be believed yet: until there are keys nothing tells the peer's from anybody
    /// else's, and whoever repeats a check of the peer's from elsewhere has a path that it seems to have proved. The
    /// peer's own hello may come a moment before its answer to our check.
    pub(crate) fn must_wait(&self, path: Path) -> bool {
        self.state == DtlsState::Handshake
            && self.dtls_role.is_some()
            && !self.connectivity.is_confirmed(path)
    }

    /// Keeps a datagram until its path is confirmed, as long as all that are kept cost `limit` bytes at most.
    pub(crate) fn hold(&mut self, path: Path, datagram: &[u8], limit: usize) -> Result<(), Discard> {
        let cost = datagram.len() + HELD_COST;
        let held = self.held.as_ref().map_or(0, |held| held.cost());
        if cost > limit.saturating_sub(held) {
            return Err(Discard::Unconfirmed);
        }
        self.held.get_or_insert_default().0.push((path, datagram.to_vec()));
        Ok(())
    }

    /// The next datagram that need not wait any more.
    pub(crate) fn poll_held(&mut self) -> Option<(Path, Vec<u8>)> {
        if self.state != DtlsState::Handshake {
            self.held = None;
        }
        let held = &mut self.held.as_mut()?.0;
        let ready = held.iter().position(|(path, _)| self.connectivity.is_confirmed(*path))?;
        Some(held.remove(ready))
    }

    /// Takes a DTLS datagram that came on a path of the peer's; each piece of application data goes to
    /// `deliver`. The first refusal is returned.
    pub(crate) fn handle_dtls(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        mut deliver: impl FnMut(&[u8]) -> Result<(), Discard>,
    ) -> Result<(), Discard> {
        let connection = self.make_dtls(now).ok_or(Discard::TooEarly)?;
        let mut outcome = Ok(());
        let mut records = connection.handle_datagram(now, datagram);
        while let Some(record) = records.next_record() {
            let taken = record.map_err(Discard::Dtls).and_then(|plaintext| deliver(plaintext));
            outcome = outcome.and(taken);
        }
        outcome
    }

    /// The peer's data came on `path`: it is not silent, though a check or its answer be lost (RFC 7675 §5.1: that is
    /// no consent). Said often enough for who waits for seconds.
    pub(crate) fn note_authenticated(&mut self, now: Instant, path: Path) {
        if now - self.noted < NOTE_INTERVAL {
            return;
        }
        self.noted = now;
        match self.connectivity.selected_path() {
            Some(selected) if selected == path => self.connectivity.note_authenticated(now),
            // It may have seen sooner than we that the other one is dead.
            Some(_) => self.connectivity.doubt_path(now),
            None => {}
        }
    }

    /// Acts on what DTLS reports.
    pub(crate) fn poll_dtls(&mut self, now: Instant) -> Option<News> {
        let connection = self.dtls.as_mut()?;
        while let Some(event) = connection.poll_event() {
            match event {
                dtls::Event::PeerCertificate => {
                    let matches = connection.peer_certificate().is_some_and(|certificate| {
                        let prints = self.fingerprints.as_ref();
                        prints.is_some_and(|prints| {
                            prints.match_certificate(self.dtls_config.provider, certificate)
                        })
                    });
                    if matches {
                        connection.accept_peer(now);
                    } else {
                        self.state = DtlsState::Failed(Failure::Fingerprint);
                        connection.reject_peer(now);
                        return Some(News::Ended);
                    }
                }
                dtls::Event::Connected => {
                    self.state = DtlsState::Connected;
                    return Some(News::Connected);
                }
                dtls::Event::Closed(reason) => {
                    if !matches!(self.state, DtlsState::Failed(_)) {
                        let in_good_order =
                            matches!(reason, dtls::CloseReason::Local | dtls::CloseReason::Remote);
                        self.state = if in_good_order {
                            DtlsState::Closed
                        } else {
                            DtlsState::Failed(Failure::Dtls(reason))
                        };
                    }
                    return Some(News::Ended);
                }
                _ => {}
            }
        }
        None
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.connectivity.handle_timeout(now);
        let is_live = self.is_live();
        let Some(connection) = &mut self.dtls else { return };
        if !is_live {
            self.is_stalled = true;
            return;
        }
        if std::mem::take(&mut self.is_stalled) {
            connection.path_revived(now);
        }
        connection.handle_timeout(now);
    }

    /// Whether there is a path, and it is not silent: a handshake that has none is not at fault for the time that it takes.
    fn is_live(&self) -> bool {
        self.connectivity.state() != ice::State::Disconnected && self.connectivity.selected_path().is_some()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let dtls = self.dtls.as_ref().and_then(dtls::Connection::poll_timeout).filter(|_| self.is_live());
        sooner(self.connectivity.poll_timeout(), dtls)
    }

    /// One datagram of DTLS's own: handshake or alert.
    pub(crate) fn send_dtls(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        let connection = self.dtls.as_mut().filter(|connection| connection.has_packet())?;
        self.connectivity.selected_path()?;
        self.connectivity.limit(batch);
        let sent = self.connectivity.send_with(now, batch, |out| {
            if connection.poll_packet(now, out) { Ok(()) } else { Err(Nothing) }
        });
        sent.ok()?;
        self.connectivity.finish(batch)
    }

    /// A train of records, each around a packet that `write` writes; it says whether it wrote one.
    pub(crate) fn send_records(
        &mut self,
        now: Instant,
        batch: &mut Batch<'_>,
        mut write: impl FnMut(&mut Writer<'_>) -> bool,
    ) -> Option<Transmit> {
        let connection = self.dtls.as_mut().filter(|_| self.state == DtlsState::Connected)?;
        self.connectivity.selected_path()?;
        self.connectivity.limit(batch);
        while batch.room() >= MIN_DATAGRAM {
            let sent = self.connectivity.send_with(now, batch, |out| {
                let mut record = connection.begin_record(out).map_err(|_| Nothing)?;
                if !write(record.plaintext()) {
                    return Err(Nothing);
                }
                record.seal();
                Ok(())
            });
            if sent.is_err() {
                break;
            }
        }
        self.connectivity.finish(batch)
    }

    /// Whether records can be sent. For who has no path time does not pass: nobody leaves anything unanswered.
    pub(crate) fn carries_records(&self) -> bool {
        self.state == DtlsState::Connected && self.connectivity.selected_path().is_some()
    }

    /// Makes the keys of SRTP, if there are none; DTLS is up. Gives whether there are any.
    pub(crate) fn protect_media(&mut self, max_streams: usize) -> bool {
        if self.srtp.is_some() {
            return true;
        }
        let Some((role, dtls)) = self.dtls_role.zip(self.dtls.as_ref()) else { return false };
        self.srtp = Srtp::new(self.dtls_config.provider, dtls, role, max_streams).map(Box::new);
        self.srtp.is_some()
    }

    pub(crate) fn srtp_stats(&self) -> Option<(srtp::OutboundStats, srtp::InboundStats)> {
        self.srtp.as_ref().map(|srtp| srtp.stats())
    }

    /// Packets of media that were given up.
    pub(crate) fn media_refused(&self) -> u64 {
        self.srtp.as_ref().map_or(0, |srtp| srtp.refused)
    }

    /// Checks and decrypts a packet of RTP where it stands.
    pub(crate) fn open_rtp<'b>(
        &mut self,
        packet: &'b mut [u8],
    ) -> Result<srtp::AuthenticatedRtp<'b>, Discard> {
        self.media_keys()?.open_rtp(packet)
    }

    /// Checks and decrypts a datagram of RTCP where it stands.
    pub(crate) fn open_rtcp<'b>(
        &mut self,
        packet: &'b mut [u8],
    ) -> Result<srtp::AuthenticatedRtcp<'b>, Discard> {
        self.media_keys()?.open_rtcp(packet)
    }

    /// RFC 5764 §5.1: what is not protected is never looked at, and what is not only while DTLS is up.
    fn media_keys(&mut self) -> Result<&mut Srtp, Discard> {
        let is_up = self.state == DtlsState::Connected;
        self.srtp.as_deref_mut().filter(|_| is_up).ok_or(Discard::TooEarly)
    }

    /// The largest packet of media that can be sent.
    pub(crate) fn max_media_packet(&self) -> Option<usize> {
        let srtp = self.srtp.as_ref().filter(|_| self.state == DtlsState::Connected)?;
        self.connectivity.selected_path()?;
        Some(self.connectivity.max_datagram().saturating_sub(srtp.overhead()))
    }

    /// How long packets of media may be before they are protected: those of our own, and those that are forwarded.
    pub(crate) fn packet_limits(&self) -> Option<(usize, usize)> {
        let forwarded = self.max_media_packet()?;
        let added = self.connectivity.max_datagram().saturating_sub(forwarded);
        Some((self.max_datagram().saturating_sub(added), forwarded))
    }

    /// One packet of media, at once.
    pub(crate) fn write_media(
        &mut self,
        now: Instant,
        batch: &mut Batch<'_>,
        kind: Waiting,
        packet: &[u8],
    ) -> Result<(), SendMediaError> {
        let srtp = self.srtp.as_mut().ok_or(SendMediaError::NotConnected)?;
        let sent = self.connectivity.send_with(now, batch, |out| srtp.write(kind, packet, out));
        sent.map_err(|unwritten| match unwritten {
            Unwritten::NoRoom => SendMediaError::Blocked,
            Unwritten::Refused => SendMediaError::Refused,
        })
    }

    /// The machines of its frames.
    pub(crate) fn engine_mut(&mut self) -> Option<&mut Engine> {
        self.media.as_mut()?.engine.as_deref_mut()
    }

    /// Likewise.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.media.as_ref()?.engine.as_deref()
    }

    /// When something of frames is due.
    pub(crate) fn frames_due(&self) -> Option<Instant> {
        self.engine()?.due(self.max_media_packet().is_some())
    }

    /// A train of packets of media.
    pub(crate) fn send_media(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        let mut media = self.media.take()?;
        let mut sent = media.engine.as_mut().and_then(|engine| self.send_frames(now, batch, engine));
        if sent.is_none() && media.queue.first().is_some() {
            sent = self.send_waiting(now, batch, &mut media.queue);
        }
        self.media = Some(media);
        sent
    }

    /// A train of packets of media that wait.
    fn send_waiting(&mut self, now: Instant, batch: &mut Batch<'_>, queue: &mut Queue) -> Option<Transmit> {
        let srtp = self.srtp.as_mut().filter(|_| self.state == DtlsState::Connected)?;
        self.connectivity.selected_path()?;
        self.connectivity.limit(batch);
        let mut is_empty = true;
        while let Some((kind, packet)) = queue.first() {
            let sent = self.connectivity.send_with(now, batch, |out| srtp.write(kind, packet, out));
            match sent {
                Ok(()) => is_empty = false,
                Err(Unwritten::NoRoom) if !is_empty || batch.room() < packet.len() + srtp.overhead() => break,
                // The path carries less than when it was taken, or the key is used up: it goes nowhere.
                Err(Unwritten::NoRoom | Unwritten::Refused) => {
                    srtp.refused = srtp.refused.wrapping_add(1);
                }
            }
            queue.pop();
        }
        if is_empty { None } else { self.connectivity.finish(batch) }
    }

    /// A train of packets of the machines of media: reports first, then packets whose turn it is.
    fn send_frames(&mut self, now: Instant, batch: &mut Batch<'_>, engine: &mut Engine) -> Option<Transmit> {
        if engine.sends().is_none_or(|due| due > now) {
            return None;
        }
        let (own, forwarded) = self.packet_limits()?;
        engine.set_max_packet(own, forwarded);
        let srtp = self.srtp.as_mut()?;
        self.connectivity.limit(batch);
        let mut is_rtcp = true;
        loop {
            let kind = if is_rtcp { Waiting::Rtcp } else { Waiting::Rtp };
            let sent = self.connectivity.send_with(now, batch, |out| {
                srtp.write_with(kind, out, |out| match kind {
                    Waiting::Rtcp => engine.rtp.poll_rtcp(now, out),
                    Waiting::Rtp => engine.rtp.poll_rtp(now, out),
                })
            });
            match sent {
                Ok(()) => {}
                // It has no place in this batch, or there is none: the next kind, or the next batch.
                Err(Unwritten::NoRoom) if is_rtcp => is_rtcp = false,
                Err(Unwritten::NoRoom) => break,
                Err(Unwritten::Refused) => srtp.refused = srtp.refused.wrapping_add(1),
            }
        }
        engine.refresh(now);
        self.connectivity.finish(batch)
    }

    /// As ICE has measured it. A check that had to be repeated measures nothing.
    pub(crate) fn round_trip(&self) -> Duration {
        self.connectivity.round_trip().unwrap_or(ASSUMED_ROUND_TRIP)
    }

    /// The largest datagram that is made here; of media others make larger ones.
    fn max_datagram(&self) -> usize {
        self.connectivity.max_datagram().min(MAX_DATAGRAM)
    }

    /// Has the channels make packets that fit into one record in one datagram. Where the handshake had to do with small ones, so
    /// have data, until the usual size is known to arrive.
    pub(crate) fn size_packets(&self, channels: &mut Channels) {
        let usual = self.max_datagram();
        let Some(connection) = &self.dtls else { return channels.set_max_packet(usual) };
        let usual_packet = connection.max_plaintext(usual);
        if connection.has_backed_off() {
            channels.set_max_packet(connection.max_plaintext(usual.min(self.dtls_config.small_datagram)));
            channels.probe_packet(usual_packet);
        } else {
            channels.set_max_packet(usual_packet);
        }
    }

    /// Has DTLS tell the peer that it ends.
    pub(crate) fn close_dtls(&mut self, now: Instant) {
        if let Some(connection) = &mut self.dtls {
            connection.close(now);
        }
    }
}

/// Datagrams in the order in which they came: most sessions never have one, and pay for a pointer.
#[derive(Debug, Default)]
struct Held(Vec<(Path, Vec<u8>)>);

impl Held {
    fn cost(&self) -> usize {
        self.0.iter().map(|(_, datagram)| datagram.len() + HELD_COST).sum()
    }
}

/// Nothing was to be sent, or there was no room.
struct Nothing;

impl From<connectivity::SendError> for Nothing {
    fn from(_: connectivity::SendError) -> Self {
        Self
    }
}

/// What a datagram that waits costs beside its bytes, about.
const HELD_COST: usize = 100;
/// The smallest datagram that is worth beginning: a record around an SCTP packet with one chunk.
const MIN_DATAGRAM: usize = 80;
/// RFC 8831 §5: what every path is expected to carry.
const MAX_DATAGRAM: usize = 1200;
/// What is forwarded is longer: browsers make packets of 1,200 bytes and protect them then. A path of IPv6 carries so much at
/// least, also as a channel of a relay (RFC 8200 §5: 1,280 bytes, less 48 of headers and 4).
pub(crate) const MAX_MEDIA_DATAGRAM: usize = 1228;
/// Before ICE has measured one.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);
/// How often the path is said not to be silent.
const NOTE_INTERVAL: Duration = Duration::from_millis(100);
/// Candidates of the peer's that are kept until its offer is answered: as many as ICE takes.
const MAX_KEPT_CANDIDATES: usize = 100;
