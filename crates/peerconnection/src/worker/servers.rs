use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use session::{ConnectionState, Credentials, Session, UnusedReason, UnusedServer};
use tokio::task::AbortHandle;

use super::{Asked, Driven, Worker};
use crate::ice_server::{Alternates, Found, Server};

/// What a task about a server has come to.
pub(super) enum Step {
    /// Others have had their head start.
    Turn(Server),
    /// Where it was said to be first has had its time to answer.
    Silence(Alternates),
    /// It was looked for.
    Found(Server, Result<Vec<Found>, UnusedServer>),
}

impl Driven {
    /// A connection that is made anew leads to the same server.
    fn note_asked(&mut self, server: &Server, address: SocketAddr) {
        let Server { group, uri, .. } = server;
        if !self.asked.iter().any(|it| it.group == *group && it.address == address && it.uri == *uri) {
            self.asked.push(Asked { group: *group, uri: uri.clone(), address });
        }
    }

    /// Name and password for a server, the latest: they may have been renewed while it was looked for.
    fn credentials_for(&self, server: &Server) -> Option<Credentials> {
        let latest = self.servers.iter().find(|known| known.uri == server.uri).unwrap_or(server);
        latest.credentials.clone()
    }

    /// Whether something has changed for servers that let others go first.
    pub(super) fn is_decided(&self, session: &Session) -> bool {
        let is_relayed = |server: &Server| is_relayed(&self.asked, server, session);
        let is_lost = |server: &Server| !is_relayed(server);
        // Who closes gives his relays back, and wants no others.
        self.waiting.iter().any(is_relayed)
            || self.spare.iter().any(is_lost) && session.connection_state() != ConnectionState::Closed
    }
}

/// Whether one of the server's group relays.
fn is_relayed(asked: &[Asked], server: &Server, session: &Session) -> bool {
    asked.iter().any(|it| it.group == server.group && session.is_relayed_by(it.address))
}

/// Servers of connections: from their names to sockets that reach them.
impl Worker {
    /// Finds out where the servers of a connection are. A name has a task of its own until it is answered.
    pub(super) fn look_up(&mut self, key: usize, servers: Vec<Server>) {
        for server in servers {
            if server.is_stream() && !self.relays.connects() {
                let unused = UnusedServer { uri: server.uri.to_string(), reason: UnusedReason::Socket };
                self.tell(key, &server, Err(unused));
            } else if server.is_stream() {
                self.sessions.entry(key).and_modify(|driven| driven.streams.push(server));
            } else if let Some(found) = server.literal() {
                self.tell(key, &server, Ok(vec![found]));
            } else if let Some(driven) = self.sessions.get_mut(&key) {
                driven.lookups += 1;
                self.lookups.spawn(find(key, server, Duration::ZERO));
            }
        }
        self.end_when_all_are_found(key);
    }

    /// Has a connection use these servers: those that it knows with the credentials that they have now, and the others at
    /// once or when it gathers next.
    pub(super) fn set_servers(&mut self, key: usize, servers: Vec<Server>, at_once: bool) {
        let Some(driven) = self.sessions.get_mut(&key) else { return };
        let now = self.clock.now();
        let groups = driven.servers.iter().map(|server| server.group + 1).max().unwrap_or_default();
        // What was meant for the next time, and is not any more, nobody knows of.
        let is_named = |known: &Server| servers.iter().any(|server| server.uri == known.uri);
        for gone in driven.upcoming.extract_if(.., |server| !is_named(server)) {
            driven.servers.retain(|known| known.uri != gone.uri);
        }
        driven.spare.retain(is_named);
        driven.lost.retain(|(server, _)| is_named(server));
        let mut others = Vec::new();
        for mut server in servers {
            let Some(known) = driven.servers.iter_mut().find(|known| known.uri == server.uri) else {
                server.group += groups;
                others.push(server);
                continue;
            };
            let is_same = match (&known.credentials, &server.credentials) {
                (Some(before), Some(after)) => before.is_same_as(after),
                (before, after) => before.is_none() && after.is_none(),
            };
            let (false, Some(credentials)) = (is_same, server.credentials) else { continue };
            let mut core = driven.connection.lock();
            for asked in driven.asked.iter().filter(|asked| asked.uri == known.uri) {
                core.session.set_turn_credentials(now, asked.address, &credentials);
            }
            known.credentials = Some(credentials);
        }
        self.dirty.insert(key);
        driven.servers.extend_from_slice(&others);
        if at_once {
            self.look_up(key, others);
        } else {
            driven.upcoming.extend(others);
        }
    }

    /// Candidates are gathered anew: with the servers that are for that.
    pub(super) fn look_up_upcoming(&mut self, key: usize) {
        let Some(driven) = self.sessions.get_mut(&key) else { return };
        let upcoming = std::mem::take(&mut driven.upcoming);
        // Whoever begins anew may be where those can be reached that could not before.
        let is_idle =
            |(_, task): &mut (Server, Option<AbortHandle>)| task.as_ref().is_none_or(|it| !it.is_finished());
        let lost: Vec<_> = driven.lost.extract_if(.., is_idle).collect();
        for (mut server, task) in lost {
            task.iter().for_each(AbortHandle::abort);
            server.losses = 1;
            self.connect(key, server, Duration::ZERO);
        }
        self.look_up(key, upcoming);
        self.dirty.insert(key);
    }

    /// Connects to the servers over TCP, TLS and DTLS, now that they will be asked: they close connections on which nothing
    /// is said. Whether there was one.
    pub(super) fn open_streams(&mut self, key: usize) -> bool {
        let Some(driven) = self.sessions.get_mut(&key) else { return false };
        let servers = std::mem::take(&mut driven.streams);
        driven.lookups = driven.lookups.saturating_add(servers.len());
        let any = !servers.is_empty();
        for server in servers {
            if server.head_start.is_zero() {
                self.connect(key, server, Duration::ZERO);
            } else {
                self.wait(key, server);
            }
        }
        any
    }

    /// Lets others of the same group go first.
    fn wait(&mut self, key: usize, server: Server) {
        let Some(driven) = self.sessions.get_mut(&key) else { return };
        driven.waiting.push(server.clone());
        driven.connecting.push(self.lookups.spawn(async move {
            tokio::time::sleep(server.head_start).await;
            (key, Step::Turn(server))
        }));
    }

    /// Its turn has come, unless another one has won meanwhile.
    fn take_turn(&mut self, key: usize, server: Server) {
        self.settle_race(key);
        let Some(driven) = self.sessions.get_mut(&key) else { return };
        if let Some(place) = driven.waiting.iter().position(|waiting| waiting.is_same(&server)) {
            driven.waiting.swap_remove(place);
            self.connect(key, server, Duration::ZERO);
        }
    }

    /// Those that wait are spared where another one of their group relays, and tried if none does any more.
    pub(super) fn settle_race(&mut self, key: usize) {
        let Some(driven) = self.sessions.get_mut(&key) else { return };
        let mut core = driven.connection.lock();
        let is_won = |server: &mut Server| is_relayed(&driven.asked, server, &core.session);
        let lost: Vec<Server> = driven.spare.extract_if(.., |server| !is_won(server)).collect();
        let slower: Vec<Server> = driven.waiting.extract_if(.., is_won).collect();
        for server in &slower {
            let unused = UnusedServer { uri: server.uri.to_string(), reason: UnusedReason::Slower };
            core.session.note_unused_server(unused);
        }
        drop(core);
        driven.lookups = driven.lookups.saturating_sub(slower.len());
        driven.spare.extend(slower);
        for mut server in lost {
            // Gathering ended without it.
            server.losses = server.losses.max(1);
            self.connect(key, server, Duration::ZERO);
        }
        self.dirty.insert(key);
        self.end_when_all_are_found(key);
    }

    /// Gives servers that were asked time to answer, now that they are, before they are tried elsewhere.
    pub(super) fn watch_for_silence(&mut self, key: usize) {
        let Some(driven) = self.sessions.get_mut(&key) else { return };
        for alternates in std::mem::take(&mut driven.alternates) {
            driven.connecting.retain(|task| !task.is_finished());
            driven.connecting.push(self.lookups.spawn(async move {
                tokio::time::sleep(SILENCE).await;
                (key, Step::Silence(alternates))
            }));
        }
    }

    /// Tries a server at the next of its addresses, unless it has answered at one of those before (RFC 8489 §8).
    fn go_elsewhere(&mut self, key: usize, mut alternates: Alternates) {
        let Some(driven) = self.sessions.get(&key) else { return };
        let core = driven.connection.lock();
        let has_answered = alternates.tried.iter().any(|address| core.session.has_heard_from(*address));
        let is_closed = core.session.connection_state() == ConnectionState::Closed;
        drop(core);
        if has_answered || is_closed {
            return;
        }
        let mut next = alternates.next();
        let server = alternates.server.clone();
        if !alternates.left.is_empty() {
            next.push(Found::Elsewhere(alternates));
        }
        self.tell(key, &server, Ok(next));
    }

    /// Connects to a server again, later and later, and not for ever. Gathering does not wait for that.
    fn reconnect(&mut self, key: usize, mut server: Server) {
        server.lose(self.clock.now());
        let lost = server.clone();
        let task = if server.losses < MAX_LOSSES {
            let delay = FIRST_WAIT.saturating_mul(1 << server.losses);
            server.losses += 1;
            self.connect(key, server, delay)
        } else {
            None
        };
        self.sessions.entry(key).and_modify(|driven| driven.lost.push((lost, task)));
    }

    fn connect(&mut self, key: usize, server: Server, delay: Duration) -> Option<AbortHandle> {
        let driven = self.sessions.get_mut(&key)?;
        let task = self.lookups.spawn(find(key, server, delay));
        driven.connecting.retain(|task| !task.is_finished());
        driven.connecting.push(task.clone());
        Some(task)
    }

    /// Tells the sessions what was found since.
    pub(super) fn take_found(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(looked_up)) = self.lookups.poll_join_next(cx) {
            // They do not panic, and who ends them wants nothing of them.
            let Ok((key, step)) = looked_up else { continue };
            let (server, found) = match step {
                Step::Turn(server) => {
                    self.take_turn(key, server);
                    continue;
                }
                Step::Silence(alternates) => {
                    self.go_elsewhere(key, alternates);
                    continue;
                }
                Step::Found(server, found) => (server, found),
            };
            let Some(driven) = self.sessions.get_mut(&key) else { continue };
            driven.lost.retain(|(lost, _)| !lost.is_same(&server));
            if server.losses == 0 {
                driven.lookups = driven.lookups.saturating_sub(1);
            }
            if found.as_ref().is_err_and(|unused| unused.reason == UnusedReason::Connection) {
                self.reconnect(key, server.clone());
            }
            self.tell(key, &server, found);
            self.end_when_all_are_found(key);
        }
    }

    fn tell(&mut self, key: usize, server: &Server, found: Result<Vec<Found>, UnusedServer>) {
        let uri = || server.uri.to_string();
        let unused = match found {
            Ok(found) => {
                let mut is_used = false;
                for found in found {
                    is_used |= self.add_server(key, server, found);
                }
                (!is_used).then(|| UnusedServer { uri: uri(), reason: UnusedReason::Socket })
            }
            Err(unused) => Some(unused),
        };
        if let (Some(unused), Some(driven)) = (unused, self.sessions.get(&key)) {
            driven.connection.lock().session.note_unused_server(unused);
        }
        self.dirty.insert(key);
    }

    /// Says whether the session can reach it.
    fn add_server(&mut self, key: usize, server: &Server, found: Found) -> bool {
        let Some(driven) = self.sessions.get_mut(&key) else { return false };
        match found {
            Found::Stun(address) => {
                let mut core = driven.connection.lock();
                core.session.add_stun_server(self.clock.now(), address);
                true
            }
            Found::Elsewhere(alternates) => {
                driven.alternates.push(alternates);
                false
            }
            Found::Stream(path, stream) => {
                let Some(credentials) = driven.credentials_for(server) else { return false };
                driven.note_asked(server, path.remote);
                let connected = Some(self.clock.now());
                let server = &Server { connected, ..server.clone() };
                self.relays.add_stream(key, &mut driven.relays, path, stream, server.clone());
                let mut core = driven.connection.lock();
                core.session.note_used_server(&server.uri.to_string());
                core.session.add_relay_stream(self.clock.now(), path, credentials);
                true
            }
            Found::Turn(mut turn) => {
                turn.credentials = driven.credentials_for(server).unwrap_or(turn.credentials);
                let limit = driven.connection.lock().max_relay_sockets();
                // What opens them may be the program's, and runs without the lock.
                let (opened, is_reached) =
                    self.relays.open(key, &mut driven.relays, turn.address.ip(), limit);
                if is_reached {
                    driven.turn_servers.push(turn.address.ip());
                    driven.note_asked(server, turn.address);
                }
                let mut core = driven.connection.lock();
                let now = self.clock.now();
                for address in opened {
                    core.session.add_relay_socket(now, address);
                }
                if is_reached {
                    // RFC 8656 §3.1: it is a STUN server besides, which tells how the shared sockets are seen.
                    core.session.add_stun_server(now, turn.address);
                    core.session.add_turn_server(now, turn);
                }
                is_reached
            }
        }
    }

    /// The socket has failed: if it is a connection to a server that is over. Says whether it is one.
    pub(super) fn lose_stream(&mut self, socket: usize, session: usize) -> bool {
        let Some((path, server)) = self.relays.remove_stream(socket) else { return false };
        let Some(driven) = self.sessions.get_mut(&session) else { return true };
        driven.relays.retain(|key| *key != socket);
        let Some(server) = server else {
            driven.connection.lock().session.tcp_closed(self.clock.now(), path);
            self.dirty.insert(session);
            return true;
        };
        let unused = UnusedServer { uri: server.uri.to_string(), reason: UnusedReason::Connection };
        let mut core = driven.connection.lock();
        core.session.remove_relay_stream(self.clock.now(), path);
        core.session.note_unused_server(unused);
        drop(core);
        self.dirty.insert(session);
        self.reconnect(session, server);
        true
    }

    fn end_when_all_are_found(&self, key: usize) {
        let Some(driven) =
            self.sessions.get(&key).filter(|driven| driven.lookups == 0 && driven.streams.is_empty())
        else {
            return;
        };
        let mut core = driven.connection.lock();
        core.session.end_of_servers(self.clock.now());
    }
}

async fn find(key: usize, server: Server, delay: Duration) -> (usize, Step) {
    tokio::time::sleep(delay).await;
    let found = server.clone().look_up(LOOK_UP).await;
    (key, Step::Found(server, found))
}

/// For a name that nobody answers for, and for each address that nobody answers at: the system's own patience may be
/// minutes.
const LOOK_UP: Duration = Duration::from_secs(5);
/// For a server over UDP to answer, which is asked three times until then, before it is tried at another address.
const SILENCE: Duration = Duration::from_secs(2);
/// Before a connection that was lost or could not be had is made anew; twice as long after each further loss.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How often that is done for a server.
const MAX_LOSSES: u32 = 8;
