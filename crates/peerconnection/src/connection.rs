mod channels;
mod media;
mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use net::Clock;
use proto::{Arrival, Instant};
use session::{
    ChannelId, ChannelState, ConnectionState, GatheringState, InterfaceReport, MessageKind, Outgoing,
    Received, RecoveredPacket, SdpType, Session, StreamId, TransceiverId,
};

use crate::channel::Slot;
use crate::description::Description;
use crate::events::{Event, IceCandidate, NewsQueue};
use crate::fixed::Fixed;
use crate::forwarding::{Errand, Passing};
use crate::ice_server::{Server, Wanted};
use crate::transceiver::{MediaSlot, RtpPacket, SenderRequest};
use crate::waiting::{Waiting, wait_at};
use crate::worker::{Inbox, Networks};
use crate::{Configuration, DataChannel, DataChannelInit, Error, Message, SendError};

/// A connection to one peer. Cheap to clone; all clones are the same connection. It closes when
/// [`close`](Self::close) is called, or when the last of its handles (this, its data channels and its transceivers) is
/// dropped.
#[derive(Clone)]
pub struct PeerConnection {
    handle: Arc<Handle>,
}

impl PeerConnection {
    pub(crate) const fn from_handle(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// Makes an offer with everything that was added so far (`createOffer`).
    ///
    /// # Errors
    ///
    /// If an offer of the peer's is being answered, or the connection is closed.
    pub fn create_offer(&self) -> Result<Description, Error> {
        self.command(|session, now| session.create_offer(now))
            .map(|sdp| Description { kind: SdpType::Offer, sdp })
    }

    /// Makes the answer to the offer that was set (`createAnswer`).
    ///
    /// # Errors
    ///
    /// If no offer of the peer's is being answered.
    pub fn create_answer(&self) -> Result<Description, Error> {
        self.command(|session, now| session.create_answer(now))
            .map(|sdp| Description { kind: SdpType::Answer, sdp })
    }

    /// Sets what was created last (`setLocalDescription`); gathering begins.
    ///
    /// # Errors
    ///
    /// If it is not what was created last, or does not belong to the present state.
    pub fn set_local_description(&self, description: Description) -> Result<(), Error> {
        self.command(|session, now| session.set_local(now, description.kind, description.sdp))
    }

    /// Makes the description that is due, the answer to an offer of the peer's or else an offer, and sets it
    /// (`setLocalDescription` without an argument). Gives what is to be sent to the peer.
    ///
    /// # Errors
    ///
    /// If an offer of ours has a provisional answer, or the connection is closed.
    pub fn make_local_description(&self) -> Result<Description, Error> {
        self.command(Session::make_local).map(|(kind, sdp)| Description { kind, sdp })
    }

    /// Sets a description of the peer's (`setRemoteDescription`). An offer takes back an offer of ours.
    ///
    /// # Errors
    ///
    /// If it does not belong to the present state or lacks what a connection needs. Nothing is changed then.
    pub fn set_remote_description(&self, description: Description) -> Result<(), Error> {
        self.command(|session, now| session.set_remote(now, description.kind, description.sdp))
    }

    /// Takes an offer that was set last back.
    ///
    /// # Errors
    ///
    /// If none is under way.
    pub fn rollback(&self) -> Result<(), Error> {
        self.command(Session::rollback)
    }

    /// The local description set last, with the candidates found since.
    pub fn local_description(&self) -> Option<Description> {
        let found = self.handle.with(|core| core.session.local_description());
        found.map(|(kind, sdp)| Description { kind, sdp })
    }

    /// The remote description set last.
    pub fn remote_description(&self) -> Option<Description> {
        let found = self.handle.with(|core| core.session.remote_description().cloned());
        found.map(|(kind, sdp)| Description { kind, sdp })
    }

    /// Adds a candidate of the peer's (`addIceCandidate`). An empty one says that there will be no more.
    ///
    /// # Errors
    ///
    /// If it is none, belongs nowhere, or no remote description was set yet.
    pub fn add_ice_candidate(&self, candidate: &IceCandidate) -> Result<(), Error> {
        let now = self.handle.now();
        let added = self.handle.with(|core| {
            let IceCandidate { candidate, sdp_mid, sdp_m_line_index, username_fragment } = candidate;
            let (mid, ufrag) = (sdp_mid.as_deref(), username_fragment.as_deref());
            let section = sdp_m_line_index.map(usize::from);
            core.session.add_remote_candidate(now, candidate, mid, section, ufrag)
        });
        self.handle.notify();
        Ok(added?)
    }

    /// Has the next offer begin ICE anew (`restartIce`).
    pub fn restart_ice(&self) {
        self.handle.with(|core| core.session.restart_ice());
        self.handle.notify();
    }

    /// Has the connection use these servers (`setConfiguration`): [`ice_servers`](Configuration::ice_servers), and what
    /// belongs to them, `max_server_urls`, `name_servers`, `relay_head_start` and `tls`. The name and the password of a
    /// URL that it knows already are used at once, for what the server has lent it, so that credentials that end are
    /// renewed without a packet lost. Other URLs are used when candidates are gathered next: with the first local
    /// description, or when ICE [begins anew](Self::restart_ice). What servers have lent that are not named any more is
    /// kept. Nothing else of the configuration is looked at but what must not change.
    ///
    /// # Errors
    ///
    /// A URL or credentials cannot be, the certificate or the policy for transports is another one, or the connection is
    /// closed. Nothing is changed then.
    pub fn set_configuration(&self, configuration: &Configuration) -> Result<(), Error> {
        let now = self.handle.now();
        let (servers, at_once) = self.handle.with(|core| {
            if core.session.connection_state() == ConnectionState::Closed {
                return Err(Error::ConnectionClosed);
            }
            core.fixed.check(configuration)?;
            let Wanted { servers, unused } = Wanted::read(configuration)?;
            unused.into_iter().for_each(|unused| core.session.note_unused_server(unused));
            Ok((servers, core.session.await_servers(now)))
        })?;
        self.handle.set_servers(servers, at_once);
        Ok(())
    }

    /// Makes a data channel. It can be used at once: what is sent waits until it is open.
    ///
    /// # Errors
    ///
    /// If label or protocol are too long, the identifier is in use, or there are too many channels.
    pub fn create_data_channel(&self, label: &str, init: DataChannelInit) -> Result<DataChannel, Error> {
        let now = self.handle.now();
        let id = self.handle.with(|core| {
            if core.session.connection_state() == ConnectionState::Closed {
                return Err(Error::ConnectionClosed);
            }
            Ok(core.session.open_channel(now, init.into_session(label))?)
        })?;
        self.handle.notify();
        Ok(DataChannel::new(self.handle.clone(), id))
    }

    /// The largest message that the peer takes, in bytes (`maxMessageSize`): `u64::MAX` is no limit; `None` before an exchange of
    /// descriptions has agreed on channels.
    pub fn max_message_size(&self) -> Option<u64> {
        self.handle.with(|core| core.session.max_message_size())
    }

    /// How many channels there can be at a time, by what the peer takes and by [`Limits::max_channels`](crate::Limits::max_channels),
    /// once it is connected (`maxChannels`).
    pub fn max_channels(&self) -> Option<usize> {
        self.handle.with(|core| core.session.max_channels())
    }

    /// Closes the connection; the peer is told. Idempotent. What channels have taken and not delivered is lost:
    /// [`DataChannel::delivered`] waits for it.
    pub fn close(&self) {
        self.handle.close();
    }

    /// Waits until the peer was told that the connection is closed and its relays were given back, or there is no time
    /// left for that.
    ///
    /// Cancel safe.
    pub async fn closed(&self) {
        wait_at(
            Arc::downgrade(self.handle.connection()),
            |core| Some(&mut core.closers),
            |cx| {
                self.handle.with(|core| if core.is_over() { Poll::Ready(()) } else { core.closers.wait(cx) })
            },
        )
        .await;
    }

    fn command<T, E: Into<Error>>(
        &self,
        command: impl FnOnce(&mut Session, Instant) -> Result<T, E>,
    ) -> Result<T, Error> {
        let now = self.handle.now();
        let done = self.handle.with(|core| command(&mut core.session, now));
        self.handle.notify();
        done.map_err(Into::into)
    }
}

impl fmt::Debug for PeerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerConnection").field("state", &self.connection_state()).finish()
    }
}

/// What all handles of a connection share. When the last is dropped the connection closes.
pub(crate) struct Handle {
    connection: Arc<Connection>,
    inbox: Arc<Inbox>,
    key: usize,
    networks: Arc<Mutex<Networks>>,
}

impl Handle {
    pub(crate) const fn new(
        connection: Arc<Connection>,
        inbox: Arc<Inbox>,
        key: usize,
        networks: Arc<Mutex<Networks>>,
    ) -> Self {
        Self { connection, inbox, key, networks }
    }

    /// The interfaces of the machine, for a report that may tell them.
    fn interfaces(&self) -> Vec<InterfaceReport> {
        let networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            if networks.tells_interfaces { net::interfaces().unwrap_or_default() } else { Vec::new() };
        let report = |net::Interface { name, address, .. }| {
            let is_used = networks.local.iter().any(|local| local.ip() == address);
            InterfaceReport { name, address, is_used }
        };
        found.into_iter().map(report).collect()
    }

    pub(crate) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(crate) fn now(&self) -> Instant {
        self.connection.now()
    }

    /// Runs one synchronous command under the lock of this connection alone.
    pub(crate) fn with<T>(&self, command: impl FnOnce(&mut Core) -> T) -> T {
        command(&mut self.connection.lock())
    }

    /// Its key in the worker that has this inbox, if it is that one's.
    pub(crate) fn key_of(&self, inbox: &Arc<Inbox>) -> Option<usize> {
        Arc::ptr_eq(&self.inbox, inbox).then_some(self.key)
    }

    /// Does at other connections what has come up here.
    pub(crate) fn run_errands(&self) {
        self.with(Core::take_errands).into_iter().for_each(Errand::run);
    }

    /// Tells the worker that the session has something to do.
    pub(crate) fn notify(&self) {
        self.inbox.touch(self.key);
    }

    fn set_servers(&self, servers: Vec<Server>, at_once: bool) {
        self.inbox.set_servers(self.key, servers, at_once);
    }

    fn close(&self) {
        let now = self.now();
        self.with(|core| core.session.close(now));
        self.notify();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// A session behind its lock.
pub(crate) struct Connection {
    core: Mutex<Core>,
    clock: Clock,
}

impl Connection {
    pub(crate) fn new(session: Session, clock: Clock, configuration: &Configuration) -> Self {
        let Configuration { send_buffer, max_unread_events, max_relay_sockets, .. } = *configuration;
        let core = Core {
            session,
            fixed: Fixed::of(configuration),
            max_relay_sockets,
            news: NewsQueue::new(max_unread_events),
            slots: BTreeMap::new(),
            media: BTreeMap::new(),
            crowded: BTreeSet::new(),
            closers: Waiting::default(),
            connectors: Waiting::default(),
            send_buffer,
            errands: Vec::new(),
            over: false,
        };
        Self { core: Mutex::new(core), clock }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // No code panics under this lock; if one did, the session would still be whole (its rule 7).
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands all of a message over, or none of it.
    pub(crate) fn send(
        core: &mut Core,
        now: Instant,
        id: ChannelId,
        message: &Message,
    ) -> Result<(), SendError> {
        if !core.has_room(id)? {
            return Err(SendError::WouldBlock);
        }
        let (kind, data) = match message {
            Message::Text(text) => (MessageKind::Text, Bytes::copy_from_slice(text.as_bytes())),
            Message::Binary(bytes) => (MessageKind::Binary, bytes.clone()),
        };
        core.hand_over(now, id, Outgoing::new(kind, data))
    }
}

/// What the lock guards.
pub(crate) struct Core {
    pub session: Session,
    fixed: Fixed,
    pub news: NewsQueue,
    slots: BTreeMap<ChannelId, Slot>,
    /// Of transceivers that somebody has asked something of.
    pub media: BTreeMap<TransceiverId, MediaSlot>,
    /// Channels on which somebody waits for room, or for everything to be delivered.
    crowded: BTreeSet<ChannelId>,
    pub closers: Waiting,
    connectors: Waiting,
    send_buffer: usize,
    max_relay_sockets: usize,
    /// What is to be done at other connections.
    pub errands: Vec<Errand>,
    over: bool,
}

impl Core {
    pub(crate) fn slot(&mut self, id: ChannelId) -> &mut Slot {
        self.slots.entry(id).or_default()
    }

    /// The same, if anything was asked of the channel.
    pub(crate) fn known_slot(&mut self, id: ChannelId) -> Option<&mut Slot> {
        self.slots.get_mut(&id)
    }

    /// Gives the session a datagram; what it refuses it counts itself. What is to be forwarded lies in `passing` then.
    pub(crate) fn handle_datagram(&mut self, arrival: Arrival, datagram: &mut [u8], passing: &mut Passing) {
        let received = self.session.handle_datagram(arrival, datagram);
        while let Some(omitted) = self.session.poll_omitted() {
            self.pass_omitted(omitted, passing);
        }
        if let Ok(Received::Packet { transceiver, stream, number, packet }) = received {
            let packet = packet.as_packet();
            self.take_packet(arrival.at, transceiver, (stream, number), packet.bytes(), passing);
        }
        while let Some(RecoveredPacket { transceiver, stream, number, bytes, .. }) =
            self.session.poll_recovered()
        {
            self.take_packet(arrival.at, transceiver, (stream, number), &bytes, passing);
        }
    }

    /// Hands a packet that came, or was recovered, to those by whom it is forwarded, and to the program.
    fn take_packet(
        &mut self,
        now: Instant,
        transceiver: TransceiverId,
        (stream, number): (StreamId, u64),
        packet: &[u8],
        passing: &mut Passing,
    ) {
        let Some(info) = self.session.transceiver(transceiver) else { return };
        let (kind, Some(negotiated)) = (info.kind, info.negotiated.cloned()) else { return };
        // The session has read it.
        let Ok(packet) = passing.memory.share(packet, &negotiated.extensions) else { return };
        let is_passed = self.pass(now, transceiver, (stream, number), &packet, passing);
        if is_passed && !self.media_slot(transceiver).is_read {
            return;
        }
        let rid = self.session.stream_source(transceiver, stream).and_then(|(_, rid)| rid);
        let slot = self.media_slot(transceiver);
        let omitted = slot.take_omitted(stream, number);
        slot.add_packet(RtpPacket { stream, rid, number, kind, omitted, packet, negotiated });
    }

    /// What is to be done at other connections, while this one is not locked.
    pub(crate) fn take_errands(&mut self) -> Vec<Errand> {
        std::mem::take(&mut self.errands)
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    pub(crate) const fn max_relay_sockets(&self) -> usize {
        self.max_relay_sockets
    }

    /// Forgets what was kept for a channel that has closed and was read to its end.
    pub(crate) fn forget(&mut self, id: ChannelId) {
        self.slots.remove(&id);
        self.crowded.remove(&id);
    }

    /// Bytes of a channel that wait to be sent for the first time.
    pub(crate) fn buffered(&self, id: ChannelId) -> usize {
        self.session.buffered(id) + self.slots.get(&id).map_or(0, Slot::unsent_len)
    }

    /// Whether the peer has acknowledged everything that was handed over.
    pub(crate) fn is_delivered(&self, id: ChannelId) -> bool {
        self.slots.get(&id).is_none_or(|slot| slot.unsent.is_none()) && self.session.is_delivered(id)
    }

    /// Has the task wake when a message may be handed over.
    pub(crate) fn wait_for_room<T>(&mut self, id: ChannelId, cx: &Context<'_>) -> Poll<T> {
        self.crowded.insert(id);
        self.slot(id).writers.wait(cx)
    }

    /// Has the task wake when no more than so many bytes wait to be sent.
    pub(crate) fn wait_for_drain<T>(&mut self, id: ChannelId, threshold: usize, cx: &Context<'_>) -> Poll<T> {
        self.crowded.insert(id);
        let slot = self.slot(id);
        slot.drain_limit = if slot.drainers.is_empty() { threshold } else { slot.drain_limit.max(threshold) };
        slot.drainers.wait(cx)
    }

    /// Has the task wake when everything handed over has been delivered.
    pub(crate) fn wait_for_delivery<T>(&mut self, id: ChannelId, cx: &Context<'_>) -> Poll<T> {
        self.crowded.insert(id);
        self.slot(id).flushers.wait(cx)
    }

    /// The next message of a channel, and whether the peer has to be told of the reading: it opens the
    /// receive window, and a reader who finds nothing more may end a channel that the peer has closed.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        id: ChannelId,
        cx: &Context<'_>,
    ) -> (Poll<Option<Message>>, bool) {
        let mut taken = false;
        while let Some(piece) = self.session.recv(now, id) {
            taken = true;
            if let Some(message) = self.slot(id).assemble(piece) {
                return (Poll::Ready(Some(message)), true);
            }
        }
        match self.session.channel(id).map(|info| info.state) {
            Some(ChannelState::Closed) | None => {
                self.forget(id);
                (Poll::Ready(None), true)
            }
            // Where nobody drives the session nothing more can come.
            Some(_) if self.over => (Poll::Ready(None), false),
            Some(state) => {
                let ends = state == ChannelState::Closing;
                (self.slot(id).readers.wait(cx), taken || ends)
            }
        }
    }

    fn hand_over(&mut self, now: Instant, id: ChannelId, mut message: Outgoing) -> Result<(), SendError> {
        match self.session.send(now, id, &mut message) {
            Ok(()) => Ok(()),
            Err(session::SendError::Blocked) => {
                self.slot(id).unsent = Some(message);
                Ok(())
            }
            Err(session::SendError::TooLarge { limit }) => Err(SendError::TooLarge { limit }),
            Err(session::SendError::NotOpen) => Err(SendError::NotOpen),
            Err(_) => Err(SendError::Closed),
        }
    }

    /// Takes the session's news and wakes whom they concern. Runs in the worker after each turn.
    pub(crate) fn spread_news(&mut self, now: Instant) {
        while let Some(event) = self.session.poll_event() {
            match event {
                session::Event::SignalingState(state) => {
                    self.news.push(Event::SignalingState(state));
                    self.forget_stopped();
                    self.follow_outputs();
                }
                session::Event::GatheringState(state) => {
                    if state == GatheringState::Complete {
                        self.news.push(Event::IceCandidate(None));
                    }
                    self.news.push(Event::IceGatheringState(state));
                }
                session::Event::IceState(state) => self.news.push(Event::IceConnectionState(state)),
                session::Event::ConnectionState(state) => {
                    self.connectors.wake();
                    self.news.push(Event::ConnectionState(state));
                }
                session::Event::Candidate(found) => self.news.push(Event::IceCandidate(Some(IceCandidate {
                    candidate: found.candidate,
                    sdp_mid: Some(found.mid),
                    sdp_m_line_index: u16::try_from(found.section).ok(),
                    username_fragment: Some(found.ufrag),
                }))),
                session::Event::NegotiationNeeded => self.news.push_negotiation_needed(),
                session::Event::ChannelOpened(id) => {
                    if !self.news.push_opened(id) {
                        self.leave_channel(now, id);
                    }
                }
                session::Event::ChannelReadable(id)
                    if self.slots.get(&id).is_some_and(|slot| slot.is_left) =>
                {
                    self.drop_unread(now, id);
                }
                session::Event::ChannelReadable(id) => self.wake(id, |slot| slot.readers.wake()),
                session::Event::ChannelOpen(id) | session::Event::ChannelWritable(id) => {
                    self.go_on_sending(now, id);
                    self.wake(id, |slot| {
                        slot.openers.wake();
                        slot.writers.wake();
                    });
                }
                session::Event::ChannelClosed(id) => {
                    self.wake(id, |slot| {
                        slot.unsent = None;
                        slot.wake_all();
                    });
                    self.crowded.remove(&id);
                    // Nothing is left to be read, so nobody needs to come and find that out.
                    if self.session.channel(id).is_none() {
                        self.slots.remove(&id);
                    }
                }
                session::Event::Track(id) => self.news.push_track(id),
                session::Event::TrackRemoved(id) => {
                    self.media.get_mut(&id).into_iter().for_each(MediaSlot::wake_all);
                    self.news.push(Event::TrackRemoved(id));
                }
                session::Event::FrameReadable(id) => {
                    self.media.get_mut(&id).into_iter().for_each(|slot| slot.readers.wake());
                }
                session::Event::Sender(id, event) => {
                    if let session::SenderEvent::Tone(tone) = event {
                        self.media_slot(id).begin_tone(tone);
                    }
                    self.pass_request(id, SenderRequest::of(event));
                }
                session::Event::TargetRate { transceiver, encoding, bitrate, limits } => {
                    let request = SenderRequest::TargetRate { encoding, bitrate, limits };
                    self.pass_request(transceiver, Some(request));
                }
                // Streams are told apart by their frames, and the bandwidth is asked for.
                session::Event::Receiver(..) | session::Event::Bandwidth(_) | _ => {}
            }
        }
        self.wake_writers();
        if self.session.is_over() && !self.over {
            self.end();
        }
    }

    /// Tells those who wait for something of a channel, if anybody ever did.
    fn wake(&mut self, id: ChannelId, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.get_mut(&id) {
            change(slot);
        }
    }

    /// Nobody drives the session any more: it is over, and whoever waits learns of it. The peer does not. Gives what is to be
    /// done at others.
    pub(crate) fn abandon(&mut self, now: Instant) -> Vec<Errand> {
        self.session.close(now);
        self.spread_news(now);
        self.end();
        self.take_errands()
    }

    fn end(&mut self) {
        self.over = true;
        self.closers.wake();
        self.connectors.wake();
        self.news.reader.wake();
        self.crowded.clear();
        self.slots.values_mut().for_each(Slot::wake_all);
        self.media.values_mut().for_each(MediaSlot::wake_all);
        let all: Vec<TransceiverId> = self.media.keys().copied().collect();
        all.into_iter().for_each(|id| self.end_forwarding(id));
    }

    /// Gives the session the rest of a message that it had no room for.
    fn go_on_sending(&mut self, now: Instant, id: ChannelId) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some(rest) = slot.unsent.take() else { return };
        // The channel may have closed meanwhile; then nobody can be told any more.
        let _ = self.hand_over(now, id, rest);
        let slot = self.slot(id);
        if slot.unsent.is_none() && std::mem::take(&mut slot.close_when_sent) {
            self.session.close_channel(now, id);
        }
    }

    /// Wakes those who wait for room where there is room again.
    fn wake_writers(&mut self) {
        let Self { session, slots, crowded, send_buffer, .. } = self;
        crowded.retain(|id| {
            let Some(slot) = slots.get_mut(id) else { return false };
            let buffered = session.buffered(*id);
            if slot.unsent.is_none() && buffered < *send_buffer {
                slot.writers.wake();
            }
            if slot.unsent.is_none() && session.is_delivered(*id) {
                slot.flushers.wake();
            }
            if buffered + slot.unsent_len() <= slot.drain_limit {
                slot.drainers.wake();
            }
            !slot.writers.is_empty() || !slot.flushers.is_empty() || !slot.drainers.is_empty()
        });
    }
}
