mod frames;
mod leaving;
mod media;
mod networks;
mod offer_answer;
mod packets;
mod relaying;
mod restart;
mod settle;
mod sockets;
mod states;
mod tcp;
mod transports;
mod without_sdp;

use self::leaving::{AllLeaving, Leaving};
pub use self::media::{ReceiveParameters, RtcpParameters, SendParameters};
pub(crate) use self::packets::Media;
pub use self::packets::{OmittedPacket, Received, RecoveredPacket};
use self::restart::ToReplace;
pub use self::sockets::SocketRequest;
use self::sockets::SocketRequests;
pub use self::tcp::TcpRequest;
use self::tcp::TcpRequests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use connectivity::Relays;
use crypto::{Rng, Secret, derive_seed};
use datachannel::{ChannelId, Channels, Incoming, Outgoing};
use proto::{Arrival, Batch, Instant, Path, Transmit, sooner};

use crate::channel::{ChannelInfo, ChannelInit};
use crate::config::{Config, WallClock};
use crate::negotiation::Negotiation;
use crate::state::News;
use crate::transport::Transport;
use crate::transports::{TransportId, Transports};
use crate::{
    Discard, Event, Failure, LocalCandidate, NegotiationError, Protocol, Route, SendError, SignalingState,
    protocol_of,
};

/// A whole connection to one peer, without I/O: negotiation, ICE, DTLS, SCTP and data channels, SRTP and media; over one
/// transport, or several where sections are not bundled. It is driven as every machine: inputs at any time, then [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event) until `None`, then sleep until [`poll_timeout`](Self::poll_timeout).
///
/// ```text
///                 set_local, set_remote            a path            handshake
///   New ──────────────────────────────▶ Connecting ──────▶ DTLS ──────────────▶ Connected
///                                           ▲                                    │   ▲
///                                           │ ICE restart                silence ▼   │ answers
///                                         Failed ◀─────────────────────── Disconnected
/// ```
#[derive(Debug)]
pub struct Session {
    now: Instant,
    pub(crate) config: Config,
    seed: Secret<32>,
    pub(crate) transports_made: u32,
    dtls_config: Arc<dtls::Config>,
    /// The certificate that `dtls_config` shows.
    pub(crate) identity: Arc<dtls::Identity>,
    pub(crate) negotiation: Negotiation,
    pub(crate) channels: Channels,
    pub(crate) transports: Transports,
    /// The transport that carries the channels.
    data: TransportId,
    /// The one that `finish_rtp` is asked about.
    written: TransportId,
    /// Whether packets may have been recovered, or numbers be left out, that nobody has fetched.
    has_asides: bool,
    /// Relays that no transport has: after a rollback, and while they are given back at the end.
    relays: Option<Box<Relays>>,
    /// Those of transports with sockets of their own, which are given back before the sockets are closed.
    leaving: Option<Box<AllLeaving>>,
    /// The next gathering has servers that are yet to be told of.
    awaits_next_servers: bool,
    /// It was begun from parameters: there are no descriptions, and nothing calls for any.
    is_without_sdp: bool,
    /// The time of day, for reports of media.
    pub(crate) wall_clock: ::media::NtpClock,
    /// The peer or we have given the section of the channels up: another association is begun when one is called for.
    has_given_data_up: bool,
    /// Associations that have been given up.
    associations_gone: u32,
    to_replace: Option<Box<ToReplace>>,
    untold: VecDeque<LocalCandidate>,
    /// TCP connections that are to be opened and closed.
    connections: Option<Box<TcpRequests>>,
    /// Sockets that are to be opened and closed.
    sockets: Option<Box<SocketRequests>>,
    routes: VecDeque<Route>,
    news: News,
    ending: Ending,
    failure: Option<Failure>,
    pub(crate) gone: Gone,
    pub(crate) ignored: crate::stats::Ignored,
}

/// Counters of transports that are gone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gone {
    pub media_refused: u64,
    pub collisions: u64,
}

/// How far the end of a session is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    /// Not begun.
    No,
    /// The peer is being told, until this time.
    Telling(Instant),
    /// Relays are being given back, until this time.
    GivingBack(Instant),
    /// Nothing is done any more.
    Over,
}

impl Session {
    /// A session that has not begun. `clock` dates its certificate and its statistics; equal seeds and inputs give equal bytes
    /// (as far as the provider's do).
    ///
    /// # Errors
    ///
    /// If no certificate can be made.
    pub fn new(
        now: Instant,
        clock: WallClock,
        config: Config,
        seed: [u8; 32],
    ) -> Result<Self, dtls::IdentityError> {
        let provider = config.provider;
        let identity = match &config.identity {
            Some(identity) => identity.clone(),
            None => {
                let seed = derive_seed(&seed, "identity");
                Arc::new(dtls::Identity::generate(provider, clock.unix_seconds, seed)?)
            }
        };
        let mut channels_config = datachannel::Config::default();
        channels_config.max_message = config.limits.max_message_size;
        channels_config.max_channels = config.limits.max_channels;
        if channels_config.sctp.send_buffer != config.limits.send_buffer {
            Arc::make_mut(&mut channels_config.sctp).send_buffer = config.limits.send_buffer;
        }
        let mut dtls_config = dtls::Config::new(provider, identity.clone());
        // Offered and answered even where only data is spoken of: there are peers that give up a transport
        // without a profile (aiortc), and media may follow on the same one.
        dtls_config.srtp_profiles =
            vec![dtls::SrtpProfile::AeadAes128Gcm, dtls::SrtpProfile::Aes128CmHmacSha1_80];
        // RFC 9429 §5.2.1: a number of 62 bits or less.
        let session_id = Rng::new(derive_seed(&seed, "session id")).u64() >> 2;
        Ok(Self {
            now,
            channels: Channels::new(now, channels_config, derive_seed(&seed, "sctp")),
            dtls_config: Arc::new(dtls_config),
            identity,
            config,
            seed: Secret::new(seed),
            transports_made: 0,
            negotiation: Negotiation::new(session_id),
            transports: Transports::default(),
            data: TransportId::default(),
            has_asides: false,
            written: TransportId::default(),
            relays: None,
            leaving: None,
            awaits_next_servers: false,
            is_without_sdp: false,
            wall_clock: ::media::NtpClock::new(now, Duration::from_secs(clock.unix_seconds)),
            has_given_data_up: false,
            associations_gone: 0,
            to_replace: None,
            untold: VecDeque::new(),
            connections: None,
            sockets: None,
            routes: VecDeque::new(),
            news: News::default(),
            ending: Ending::No,
            failure: None,
            gone: Gone::default(),
            ignored: crate::stats::Ignored::default(),
        })
    }

    /// Makes a data channel. It exists at once, and opens when the peer is connected.
    ///
    /// # Errors
    ///
    /// If its label or protocol are too long, its stream is in use, or there are too many.
    pub fn open_channel(
        &mut self,
        now: Instant,
        init: ChannelInit,
    ) -> Result<ChannelId, datachannel::OpenError> {
        self.advance(now);
        if self.ending != Ending::No {
            return Err(datachannel::OpenError::Closed);
        }
        self.renew_channels();
        let id = self.channels.open(self.now, init.into())?;
        // W3C WebRTC 1.0 §6.1: only the first channel needs a media section.
        self.ask_for_offer();
        Ok(id)
    }

    /// What is known of a channel; `None` once it is closed and read to its end.
    pub fn channel(&self, id: ChannelId) -> Option<ChannelInfo<'_>> {
        ChannelInfo::of(&self.channels, id)
    }

    /// Takes what fits of `message`, and leaves the rest in it.
    ///
    /// # Errors
    ///
    /// [`SendError::Blocked`] where something is left: call again after [`Event::ChannelWritable`].
    pub fn send(&mut self, now: Instant, id: ChannelId, message: &mut Outgoing) -> Result<(), SendError> {
        self.advance(now);
        self.channels.send(self.now, id, message)
    }

    /// The next message of a channel, or a piece of one.
    pub fn recv(&mut self, now: Instant, id: ChannelId) -> Option<Incoming> {
        self.advance(now);
        self.channels.recv(self.now, id)
    }

    /// Whether the peer has acknowledged everything that was handed over to a channel, but for messages that were given
    /// up; also true of one that is gone.
    pub fn is_delivered(&self, id: ChannelId) -> bool {
        self.channels.is_delivered(id)
    }

    /// Bytes handed over to a channel that wait to be sent for the first time.
    pub fn buffered(&self, id: ChannelId) -> usize {
        self.channels.buffered(id)
    }

    /// The largest message that the peer takes, in bytes (W3C WebRTC 1.0 §6.1.1, `maxMessageSize`): `u64::MAX` is no limit;
    /// `None` before an exchange of descriptions has agreed on channels.
    pub fn max_message_size(&self) -> Option<u64> {
        self.channels.has_role().then(|| self.channels.peer_max_message())
    }

    /// How many channels there can be at a time, by what the peer takes and by
    /// [`Limits::max_channels`](crate::Limits::max_channels), once SCTP is up (W3C WebRTC 1.0 §6.1.1, `maxChannels`).
    pub fn max_channels(&self) -> Option<usize> {
        self.channels.max_channels()
    }

    /// Closes a channel once everything handed over has arrived.
    pub fn close_channel(&mut self, now: Instant, id: ChannelId) {
        self.advance(now);
        self.channels.close(self.now, id);
    }

    /// Closes the session; the peer is told. Idempotent.
    pub fn close(&mut self, now: Instant) {
        self.advance(now);
        if self.ending != Ending::No {
            return;
        }
        self.ending = Ending::Telling(self.now + self.config.limits.close_wait);
        self.negotiation.close();
        self.news.negotiation_is_covered();
        self.channels.abort(self.now);
        let can_tell = self
            .transports
            .iter()
            .any(|transport| transport.dtls().is_some() && transport.connectivity.selected_path().is_some());
        if !can_tell {
            self.end();
        }
        self.update_states();
    }

    /// Whether the session was closed, by either side, and nothing is left to be sent or given back. What channels have
    /// received can still be read.
    pub fn is_over(&self) -> bool {
        self.ending == Ending::Over
    }

    /// Takes a datagram, and lends back what is media in it.
    ///
    /// # Errors
    ///
    /// Why it was ignored, which changes nothing.
    pub fn handle_datagram<'b>(
        &mut self,
        arrival: Arrival,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Discard> {
        self.advance(arrival.at);
        let taken = self.take_datagram(arrival, datagram);
        match &taken {
            // Media change nothing that the rest would have to follow.
            Ok(Received::Rtp { .. } | Received::Rtcp { .. } | Received::Packet { .. }) => return taken,
            Ok(Received::Frames) => return Ok(Received::Consumed),
            Ok(Received::Consumed) => {}
            Err(discard) => self.ignored.count(discard),
        }
        self.settle();
        taken
    }

    /// Advances to `now`. Early and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        if let Ending::Telling(deadline) | Ending::GivingBack(deadline) = self.ending
            && deadline <= self.now
        {
            self.end();
        }
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= self.now);
        let others = self.others_due();
        if !is_due(sooner(others, self.frames_due())) {
            return;
        }
        for transport in self.transports.iter_mut() {
            if let Some(engine) = transport.engine_mut() {
                engine.handle_timeout(now);
            }
        }
        // Packets of media wait for their turn far more often than anything else, and change nothing beside it.
        if !is_due(others) {
            return;
        }
        self.relays.iter_mut().for_each(|relays| relays.handle_timeout(self.now));
        self.leave_in_time();
        for transport in self.transports.iter_mut() {
            transport.handle_timeout(self.now);
            if transport.id == self.data && self.channels.has_role() && transport.carries_records() {
                let in_vain = self.channels.association_stats().timeouts;
                self.channels.handle_timeout(self.now);
                // Nothing is acknowledged: it may be the path.
                if self.channels.association_stats().timeouts != in_vain {
                    transport.connectivity.doubt_path(self.now);
                }
            }
        }
        self.settle();
    }

    /// Writes what is due to `batch`: checks and handshakes one datagram at a time, data in trains. It has to take datagrams of
    /// 1,228 bytes, and of 36 more where there are relays: what is larger waits for one that does.
    pub fn poll_transmit(&mut self, now: Instant, batch: &mut Batch<'_>) -> Option<Transmit> {
        self.advance(now);
        let now = self.now;
        let relayed = self.poll_relays(now, batch);
        if relayed.is_some() || matches!(self.ending, Ending::GivingBack(_)) {
            return relayed;
        }
        for transport in self.transports.iter_mut() {
            if let Some(transmit) = transport.connectivity.poll_transmit(now, batch) {
                return Some(transmit);
            }
            if let Some(transmit) = transport.send_dtls(now, batch) {
                return Some(transmit);
            }
        }
        for transport in self.transports.iter_mut() {
            let media = transport.send_media(now, batch);
            if media.is_some() {
                return media;
            }
        }
        let channels = &mut self.channels;
        if channels.has_role()
            && let Some(transport) = self.transports.get_mut(self.data)
        {
            let data = transport.send_records(now, batch, |out| channels.poll_packet(now, out));
            if data.is_some() {
                return data;
            }
        }
        if matches!(self.ending, Ending::Telling(_)) && batch.room() >= CLOSE_ROOM {
            return self.tell_the_end(batch);
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        sooner(self.others_due(), self.frames_due())
    }

    /// When something of media is due.
    fn frames_due(&self) -> Option<Instant> {
        if matches!(self.ending, Ending::GivingBack(_) | Ending::Over) {
            return None;
        }
        self.transports.iter().fold(None, |due, transport| sooner(due, transport.frames_due()))
    }

    /// When anything else is.
    fn others_due(&self) -> Option<Instant> {
        let relays = self.relays_due();
        let ending = match self.ending {
            Ending::No => None,
            Ending::Telling(deadline) => Some(deadline),
            Ending::GivingBack(deadline) => return relays.into_iter().chain([deadline]).min(),
            Ending::Over => return None,
        };
        if self.transports.is_empty() {
            return relays;
        }
        let mut due = sooner(ending, relays);
        for transport in self.transports.iter() {
            let carries_data =
                transport.id == self.data && self.channels.has_role() && transport.carries_records();
            let channels = if carries_data { self.channels.poll_timeout() } else { None };
            due = sooner(due, sooner(transport.poll_timeout(), channels));
        }
        due
    }

    /// The next news.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.news.pop() {
            return Some(event);
        }
        if let Some(candidate) = self.untold.pop_front() {
            if self.untold.is_empty() {
                self.untold = VecDeque::new();
            }
            return Some(Event::Candidate(candidate));
        }
        if let Some(done) = self.news.pop_gathering_done() {
            return Some(done);
        }
        if let Some(event) = self.poll_track() {
            return Some(event);
        }
        if let Some(event) = self.poll_frames_event() {
            return Some(event);
        }
        while let Some(event) = self.channels.poll_event() {
            let told = match event {
                datachannel::Event::Incoming(id) => Some(Event::ChannelOpened(id)),
                datachannel::Event::Open(id) => Some(Event::ChannelOpen(id)),
                datachannel::Event::Readable(id) => Some(Event::ChannelReadable(id)),
                datachannel::Event::Writable(id) => Some(Event::ChannelWritable(id)),
                datachannel::Event::Closed { channel, .. } => Some(Event::ChannelClosed(channel)),
                datachannel::Event::Disconnected(reason) => {
                    self.channels_ended(reason);
                    self.news.pop()
                }
                datachannel::Event::Connected | _ => None,
            };
            if told.is_some() {
                return told;
            }
        }
        None
    }

    /// The next change in what belongs to this session, for a [`Demux`](crate::Demux).
    pub fn poll_route(&mut self) -> Option<Route> {
        if let Some(route) = self.routes.pop_front() {
            if self.routes.is_empty() {
                self.routes = VecDeque::new();
            }
            return Some(route);
        }
        let mut transports = self.transports.iter_mut();
        Some(match transports.find_map(|transport| transport.connectivity.poll_route())? {
            ice::Route::Added(path) => Route::PathClaimed(path),
            ice::Route::Confirmed(path) => Route::PathAdded(path),
            ice::Route::Removed(path) => Route::PathRemoved(path),
        })
    }

    pub(crate) fn provider_name(&self) -> &'static str {
        self.config.provider.name()
    }

    pub(crate) const fn max_received_message(&self) -> u64 {
        self.config.limits.max_message_size
    }

    /// The state of the exchange of descriptions.
    pub const fn signaling_state(&self) -> SignalingState {
        self.negotiation.state()
    }

    fn take_datagram<'b>(
        &mut self,
        arrival: Arrival,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Discard> {
        if let Some(relays) = self.relays_for(arrival.path, datagram) {
            let refused = |discard| Discard::Connectivity(connectivity::Discard::Turn(discard));
            // What a relay brings now is for nobody.
            return relays.handle_datagram(arrival, datagram).map(|_| Received::Consumed).map_err(refused);
        }
        if matches!(self.ending, Ending::GivingBack(_) | Ending::Over) {
            return Err(Discard::Over);
        }
        let place = self.transports.place_of(arrival.path, datagram);
        let transport = self.transports.at(place).ok_or(Discard::TooEarly)?;
        match datagram.first().map(|first| protocol_of(*first)) {
            Some(Protocol::Stun | Protocol::Dtls | Protocol::TurnChannel) => {}
            Some(Protocol::Rtp) if transport.media.is_some() => {}
            Some(_) | None => return Err(Discard::UnknownProtocol),
        }
        match transport.connectivity.handle_datagram(arrival, datagram).map_err(Discard::Connectivity)? {
            connectivity::Received::Consumed => Ok(Received::Consumed),
            connectivity::Received::Data { path, payload } => {
                let first = payload.first().map(|first| protocol_of(*first));
                if first == Some(Protocol::Rtp) && transport.media.is_some() {
                    return self.take_media(place, arrival, path, payload);
                }
                if payload.first().is_none_or(|first| protocol_of(*first) != Protocol::Dtls) {
                    return Err(Discard::UnknownProtocol);
                }
                if transport.must_wait(path) {
                    let held = transport.hold(path, payload, self.config.limits.max_early_dtls);
                    return held.map(|()| Received::Consumed);
                }
                let offers_data = self.is_without_sdp || self.negotiation.offers_data();
                let is_data = transport.id == self.data;
                let channels = Some(&mut self.channels)
                    .filter(|channels| is_data && (channels.has_role() || offers_data));
                take_dtls(transport, channels, self.now, path, payload).map(|()| Received::Consumed)
            }
        }
    }

    /// Whether descriptions may be exchanged.
    fn must_be_open(&self) -> Result<(), NegotiationError> {
        match self.ending {
            Ending::No if self.is_without_sdp => Err(NegotiationError::WithoutSdp),
            Ending::No => Ok(()),
            Ending::Telling(_) | Ending::GivingBack(_) | Ending::Over => {
                Err(NegotiationError::WrongState(SignalingState::Closed))
            }
        }
    }

    const fn advance(&mut self, now: Instant) {
        if now.as_nanos() > self.now.as_nanos() {
            self.now = now;
        }
    }

    fn channels_ended(&mut self, reason: sctp::CloseReason) {
        let by_peer = matches!(reason, sctp::CloseReason::PeerAborted { .. } | sctp::CloseReason::Shutdown);
        if self.ending == Ending::No && !by_peer && reason != sctp::CloseReason::Aborted {
            self.fail(Failure::Sctp(reason));
        } else if self.ending == Ending::No && by_peer {
            // The association is the only thing that the transport carries, but for media.
            let now = self.now;
            if !self.negotiation.has_media() {
                self.close(now);
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.update_states();
    }

    /// The association was told; now DTLS, then it is over.
    fn tell_the_end(&mut self, batch: &mut Batch<'_>) -> Option<Transmit> {
        for transport in self.transports.iter_mut() {
            transport.close_dtls(self.now);
            let sent = transport.send_dtls(self.now, batch);
            if sent.is_some() {
                return sent;
            }
        }
        self.end();
        self.poll_relays(self.now, batch)
    }

    /// Nothing is sent to the peer any more; what relays hold for it is given back as long as there is time.
    fn end(&mut self) {
        let deadline = match self.ending {
            Ending::Telling(deadline) | Ending::GivingBack(deadline) => deadline,
            Ending::No | Ending::Over => self.now,
        };
        for transport in self.transports.iter_mut() {
            transport.connectivity.close(self.now);
            match (&transport.own, transport.connectivity.take_relays()) {
                (None, Some(relays)) => _ = self.relays.get_or_insert(relays),
                (Some(own), Some(relays)) => {
                    let leaving = Leaving::new(self.now, relays, own.addresses.clone(), deadline);
                    self.leaving.get_or_insert_default().0.push(leaving);
                }
                (_, None) => {}
            }
        }
        self.relays.iter_mut().for_each(|relays| relays.release(self.now));
        self.ending = Ending::GivingBack(deadline);
        self.end_when_given_back();
        self.update_states();
    }

    fn end_when_given_back(&mut self) {
        let Ending::GivingBack(deadline) = self.ending else { return };
        let are_released = || {
            self.relays.as_ref().is_none_or(|relays| relays.is_released())
                && self.leaving.iter().flat_map(|all| &all.0).all(Leaving::is_released)
        };
        if deadline <= self.now || are_released() {
            self.relays = None;
            self.leaving = None;
            self.ending = Ending::Over;
        }
    }
}

/// Gives DTLS what came on a path of the peer's, and SCTP what was in it.
fn take_dtls(
    transport: &mut Transport,
    mut channels: Option<&mut Channels>,
    now: Instant,
    path: Path,
    datagram: &mut [u8],
) -> Result<(), Discard> {
    let mut is_authentic = false;
    let taken = transport.handle_dtls(now, datagram, |packet| {
        is_authentic = true;
        let channels = channels.as_mut().ok_or(Discard::TooEarly)?;
        channels.handle_packet(now, packet).map_err(Discard::Sctp)
    });
    if is_authentic {
        transport.note_authenticated(now, path);
    }
    taken
}

/// Room that any good-bye fits into.
const CLOSE_ROOM: usize = 100;
