//! Ten thousand sessions on one port, told apart by a [`Demux`], in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::{Arrival, Batch, Instant, Path};
use session::{
    ChannelId, ChannelInit, Config, ConnectionState, Demux, DtlsRole, Event, IceCredentials, IceRole,
    Identity, MessageKind, Outgoing, PeerCertificate, Route, Session, Target, TransportParameters, WallClock,
};

/// A datagram under way.
struct Flying {
    at: Instant,
    path: Path,
    bytes: Vec<u8>,
}

/// The sessions of one port, even numbers, and the peer of each, odd numbers, at an address of its own.
struct Port {
    now: Instant,
    sessions: Vec<Session>,
    channels: Vec<ChannelId>,
    demux: Demux,
    by_address: BTreeMap<SocketAddr, usize>,
    timers: BTreeSet<(Instant, usize)>,
    due: Vec<Option<Instant>>,
    air: VecDeque<Flying>,
    identity: Arc<Identity>,
    /// Requests for somebody whom nobody knew.
    strangers: usize,
    /// Messages that were read, by session.
    read: Vec<usize>,
}

impl Port {
    fn new() -> Self {
        let identity = Identity::generate(testkit::null_provider(), CLOCK.unix_seconds, [1; 32]).unwrap();
        Self {
            now: testkit::epoch(),
            sessions: Vec::new(),
            channels: Vec::new(),
            demux: Demux::default(),
            by_address: BTreeMap::new(),
            timers: BTreeSet::new(),
            due: Vec::new(),
            air: VecDeque::new(),
            identity: Arc::new(identity),
            strangers: 0,
            read: Vec::new(),
        }
    }

    /// A peer calls: it knows the port, and the port its password.
    fn call(&mut self) {
        let pair = self.sessions.len() / 2;
        let [a, b] = [0, 1].map(|side| format!("side{side}number{pair:08}password"));
        let from = SocketAddr::from((u32::try_from(pair + 0x0a00_0000).unwrap().to_be_bytes(), 4000));
        for side in [0, 1] {
            let mut config = Config::new(testkit::null_provider());
            config.identity = Some(self.identity.clone());
            config.local_addresses = vec![if side == 0 { port() } else { from }];
            let seed = u64::try_from(self.sessions.len()).unwrap().to_be_bytes().repeat(4);
            let mut session = Session::new(self.now, CLOCK, config, seed.try_into().unwrap()).unwrap();
            let (ours, theirs) = if side == 0 { (&a, &b) } else { (&b, &a) };
            let (ice, dtls) =
                [(IceRole::Controlled, DtlsRole::Server), (IceRole::Controlling, DtlsRole::Client)][side];
            let remote = IceCredentials::new(theirs, theirs).unwrap();
            let mut parameters = TransportParameters::new(ice, dtls, remote, PeerCertificate::Any);
            parameters.local = Some(IceCredentials::new(ours, ours).unwrap());
            if side == 1 {
                parameters.candidates = vec![port()];
            }
            let mut init = ChannelInit::labelled("known");
            init.negotiated = Some(0);
            self.channels.push(session.open_channel(self.now, init).unwrap());
            session.open_transport(self.now, parameters).unwrap();
            self.sessions.push(session);
            self.due.push(None);
            self.read.push(0);
            if side == 1 {
                self.by_address.insert(from, self.sessions.len() - 1);
            }
            self.pump(self.sessions.len() - 1);
        }
    }

    /// What one session has to send and to tell, and when it is to be looked at again.
    fn pump(&mut self, number: usize) {
        let session = &mut self.sessions[number];
        let is_ours = number.is_multiple_of(2);
        let mut memory = [0; 16_384];
        loop {
            let mut batch = Batch::new(&mut memory, 8, 1500);
            let Some(transmit) = session.poll_transmit(self.now, &mut batch) else { break };
            let Path { carrier, local, remote } = transmit.path;
            for datagram in batch.bytes().chunks(transmit.segment_size.unwrap_or(transmit.len)) {
                if is_ours {
                    let _ = self.demux.note_sent(datagram, number);
                }
                let path = Path { carrier, local: remote, remote: local };
                self.air.push_back(Flying { at: self.now + DELAY, path, bytes: datagram.to_vec() });
            }
        }
        while let Some(route) = session.poll_route() {
            if !is_ours {
                continue;
            }
            match route {
                Route::UfragAdded(ufrag) => self.demux.add_ufrag(&ufrag, number),
                Route::UfragRemoved(ufrag) => self.demux.remove_ufrag(&ufrag, number),
                Route::PathClaimed(path) => _ = self.demux.claim_path(path, number),
                Route::PathAdded(path) => self.demux.add_path(path, number),
                Route::PathRemoved(path) => self.demux.remove_path(path, number),
            }
        }
        while let Some(event) = session.poll_event() {
            if let Event::ChannelReadable(id) = event {
                while session.recv(self.now, id).is_some_and(|piece| piece.end) {
                    self.read[number] += 1;
                }
            }
        }
        let next = session.poll_timeout();
        if self.due[number] != next {
            self.due[number].map(|old| self.timers.remove(&(old, number)));
            next.map(|new| self.timers.insert((new, number)));
            self.due[number] = next;
        }
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let landing = self.air.front().map(|flying| flying.at);
            let timer = self.timers.first().map(|(due, _)| *due);
            let Some(next) = landing.into_iter().chain(timer).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if landing.is_some_and(|at| at <= self.now) {
                let Some(Flying { path, mut bytes, .. }) = self.air.pop_front() else { break };
                let number = if path.local == port() {
                    match self.demux.route(path, &bytes) {
                        Target::Session(number) => Some(number),
                        Target::Unknown { .. } => {
                            self.strangers += 1;
                            None
                        }
                        Target::Elsewhere(_) | Target::Nobody => None,
                    }
                } else {
                    self.by_address.get(&path.local).copied()
                };
                let Some(number) = number else { continue };
                // A hello that comes before its path is proved is refused, and comes again.
                let arrival = Arrival { path, ecn: None, at: self.now };
                let _ = self.sessions[number].handle_datagram(arrival, &mut bytes);
                self.pump(number);
            } else if let Some((_, number)) = self.timers.first().copied() {
                self.sessions[number].handle_timeout(self.now);
                self.pump(number);
            }
        }
        self.now = end;
    }

    fn connected(&self) -> usize {
        let states = self.sessions.iter().map(Session::connection_state);
        states.filter(|state| *state == ConnectionState::Connected).count()
    }
}

#[test]
fn ten_thousand_sessions_share_a_port() {
    let count = usize::try_from(testkit::scaled_at_least(10_000, 1000)).unwrap();
    let mut port = Port::new();
    for _ in 0..count {
        port.call();
        port.run(Duration::from_millis(1));
    }
    port.run(Duration::from_secs(5));
    assert_eq!(port.connected(), 2 * count);
    assert_eq!(port.strangers, 0);
    // All of them stay, and each has its own messages.
    port.run(Duration::from_secs(35));
    assert_eq!(port.connected(), 2 * count, "consent goes on for everyone");
    for number in 0..port.sessions.len() {
        let (now, channel) = (port.now, port.channels[number]);
        let mut message = Outgoing::new(MessageKind::Text, format!("from {number}"));
        port.sessions[number].send(now, channel, &mut message).unwrap();
        port.pump(number);
    }
    port.run(Duration::from_secs(1));
    assert!(port.read.iter().all(|read| *read == 1), "a message each");
    // Half of the peers leave; the others do not notice, and nothing of them stays behind.
    for number in (1..port.sessions.len()).step_by(4) {
        let now = port.now;
        port.sessions[number].close(now);
        port.pump(number);
    }
    port.run(Duration::from_secs(3));
    assert_eq!(port.connected(), 2 * (count - count.div_ceil(2)));
    let over = (0..port.sessions.len()).step_by(4).filter(|number| port.sessions[*number].is_over());
    assert_eq!(over.count(), count.div_ceil(2));
    println!("{count} sessions on one port");
}

fn port() -> SocketAddr {
    ([192, 0, 2, 1], 443).into()
}

const CLOCK: WallClock = WallClock { unix_seconds: 1_800_000_000 };
/// Each way.
const DELAY: Duration = Duration::from_millis(10);
