use std::ops::Range;
use std::sync::MutexGuard;
use std::task::{Context, Poll};

use net::Train;
use proto::{Arrival, Carrier, Path};
use session::{Demux, Target};
use tracing::debug;

use super::chute::Parcel;
use super::{Neighbours, Worker, note_failure};
use crate::connection::Core;
use crate::relay_sockets;

/// What comes to the sockets of a worker, and to those of others for it: to the sessions, and to other workers.
impl Worker {
    /// Receives what has arrived, up to a budget; says whether there may be more.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        let mut more = false;
        for number in 0..self.sockets.len() {
            // Each socket has its own: what floods one must not keep the others waiting.
            let mut budget = TRAINS_PER_TURN;
            while let Some(socket) = self.sockets.get(number) {
                if budget == 0 {
                    more = true;
                    break;
                }
                match socket.transport.poll_receive(cx, &mut self.receive_buffer) {
                    Poll::Pending => break,
                    Poll::Ready(Err(error)) => {
                        // ICMP errors of earlier sends come back here; the next call goes on.
                        if self.receive_lines.allow(self.clock.now()) {
                            debug!(%error, "receive");
                        }
                        budget -= 1;
                    }
                    Poll::Ready(Ok(train)) => {
                        let local = socket.transport.local_address();
                        let path = Path { carrier: Carrier::Udp, local, remote: train.remote };
                        let Train { len, stride, ecn, .. } = train;
                        self.deliver(Parcel { path, ecn, len, stride }, None);
                        budget -= 1;
                    }
                }
            }
        }
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.ring();
        }
        more |= self.receive_passed_on();
        more |= self.receive_tcp(cx);
        more |= self.receive_relayed(cx);
        more
    }

    /// What sockets for relaying have, each within a budget; says whether there may be more.
    fn receive_relayed(&mut self, cx: &mut Context<'_>) -> bool {
        self.relays.poll(cx);
        for _ in 0..RELAYS_PER_TURN {
            let Some((socket, session)) = self.relays.next() else { break };
            if let Some(sent) = self.relays.flush(socket) {
                note_failure(&mut self.send_lines, self.clock.now(), sent);
                // What waited behind it has its turn.
                self.dirty.insert(session);
            }
            let mut budget = TRAINS_PER_TURN;
            while let Poll::Ready(received) = self.relays.receive(socket, &mut self.receive_buffer) {
                match received {
                    Ok(received) => self.deliver_relayed(session, &received),
                    Err(error) => {
                        if self.receive_lines.allow(self.clock.now()) {
                            debug!(%error, "receive");
                        }
                        if self.lose_stream(socket, session) {
                            break;
                        }
                    }
                }
                budget -= 1;
                if budget == 0 {
                    self.relays.requeue(socket);
                    break;
                }
            }
        }
        !self.relays.is_idle()
    }

    /// What comes to a socket of one session is for nobody else.
    fn deliver_relayed(&mut self, session: usize, received: &relay_sockets::Received) {
        let relay_sockets::Received { path, train } = *received;
        let Self { sessions, receive_buffer, passing, .. } = self;
        let Some(driven) = sessions.get(&session) else { return };
        let arrival = Arrival { path, ecn: train.ecn, at: self.clock.now() };
        let datagrams = receive_buffer.get_mut(..train.len).unwrap_or_default();
        let mut core = driven.connection.lock();
        for datagram in datagrams.chunks_mut(train.stride) {
            core.handle_datagram(arrival, datagram, passing);
        }
        drop(core);
        self.dirty.insert(session);
        self.forward();
    }

    /// Forwards what has come for others.
    fn forward(&mut self) {
        if self.passing.is_empty() {
            return;
        }
        let Self { passing, inbox, dirty, .. } = self;
        passing.forward(|handle| match handle.key_of(inbox) {
            Some(key) => _ = dirty.insert(key),
            None => handle.notify(),
        });
    }

    /// Gives what lies in the buffer to whom it belongs; `from` is the worker that has passed it on, if one has.
    fn deliver(&mut self, parcel: Parcel, from: Option<usize>) {
        // A peer that has shown its password to another worker may send here before we have heard of it.
        if self.neighbours.is_some() {
            self.read_letters();
        }
        let Parcel { path, ecn, len, stride } = parcel;
        let arrival = Arrival { path, ecn, at: self.clock.now() };
        let Self {
            receive_buffer,
            demux,
            sessions,
            dirty,
            strangers,
            neighbours,
            inbox,
            number,
            passing,
            ..
        } = self;
        let buffer = receive_buffer.get_mut(..len).unwrap_or_default();
        // The datagrams of a train nearly always belong to one session: it is locked once.
        let mut open: Option<(usize, MutexGuard<'_, Core>)> = None;
        // All that are not STUN go where the first of them goes.
        let mut data: Option<Target<'static>> = None;
        let mut run = Run::default();
        let mut start: usize = 0;
        while start < len {
            let place = start..start.saturating_add(stride.max(1)).min(len);
            start = place.end;
            let Some(datagram) = buffer.get_mut(place.clone()) else { break };
            let is_data = !Demux::is_stun(datagram);
            let target = data.filter(|_| is_data).unwrap_or_else(|| {
                // What was passed on once has come as far as it can.
                let others = neighbours.as_ref().filter(|_| from.is_none());
                demux.route_among(path, datagram, |question| others?.find(question))
            });
            let key = match target {
                Target::Session(key) => key,
                Target::Elsewhere(worker) => {
                    data = data.or_else(|| is_data.then_some(Target::Elsewhere(worker)));
                    if let (false, Some(neighbours)) = (run.extend(worker, &place), &mut *neighbours) {
                        run.pass_on(neighbours, parcel, buffer);
                        run = Run { worker, place };
                    }
                    continue;
                }
                Target::Unknown { ufrag, remote_ufrag } => {
                    inbox.count_stray();
                    strangers.enter(from.unwrap_or(*number), path, (ufrag, remote_ufrag), datagram);
                    continue;
                }
                Target::Nobody => {
                    inbox.count_stray();
                    continue;
                }
            };
            data = data.or_else(|| is_data.then_some(Target::Session(key)));
            if open.as_ref().is_none_or(|(locked, _)| *locked != key) {
                // The old lock is given back before the next is taken.
                drop(open.take());
                let Some(driven) = sessions.get(&key) else { continue };
                open = Some((key, driven.connection.lock()));
                dirty.insert(key);
            }
            if let Some((_, core)) = &mut open {
                core.handle_datagram(arrival, datagram, passing);
            }
        }
        drop(open);
        if let Some(neighbours) = neighbours {
            run.pass_on(neighbours, parcel, buffer);
        }
        self.forward();
    }

    /// What has come to other workers' sockets for our sessions, from each within a budget; says whether there may be
    /// more.
    fn receive_passed_on(&mut self) -> bool {
        let count = self.neighbours.as_ref().map_or(0, |neighbours| neighbours.count());
        let mut more = false;
        for worker in 0..count {
            for left in (0..TRAINS_PER_TURN).rev() {
                let Some(neighbours) = &mut self.neighbours else { break };
                let Some(parcel) = neighbours.take(worker, &mut self.receive_buffer) else { break };
                self.deliver(parcel, Some(worker));
                more |= left == 0;
            }
        }
        more
    }
}

/// Datagrams of a train, side by side, that belong to a session of another worker's; at first there are none.
#[derive(Default)]
struct Run {
    worker: usize,
    place: Range<usize>,
}

impl Run {
    /// Takes the next one in, if it goes there too and lies behind; says whether it does.
    fn extend(&mut self, worker: usize, next: &Range<usize>) -> bool {
        let is_next = self.worker == worker && self.place.end == next.start && !self.place.is_empty();
        if is_next {
            self.place.end = next.end;
        }
        is_next
    }

    fn pass_on(&self, neighbours: &mut Neighbours, parcel: Parcel, buffer: &[u8]) {
        let bytes = buffer.get(self.place.clone()).filter(|bytes| !bytes.is_empty());
        bytes.into_iter().for_each(|bytes| neighbours.pass_on(self.worker, parcel, bytes));
    }
}

/// Sockets for relaying that have a turn before sessions get to send.
const RELAYS_PER_TURN: usize = 64;
/// Trains received on a socket in a turn before sessions get to send.
const TRAINS_PER_TURN: usize = 64;
