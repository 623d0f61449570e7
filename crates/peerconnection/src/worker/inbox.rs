use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use atomic_waker::AtomicWaker;
use net::Transport;
use proto::Path;
use session::LocalName;

use crate::WorkerStats;
use crate::connection::Connection;
use crate::framed_stream::FramedStream;
use crate::ice_server::Server;
use crate::names;

/// How the rest of the process reaches a worker.
pub(crate) struct Inbox {
    /// Which of so many workers of the endpoint it is.
    number: usize,
    workers: usize,
    /// Rung since the worker has last looked.
    is_rung: AtomicBool,
    waker: AtomicWaker,
    /// There are letters.
    has_mail: AtomicBool,
    letters: Mutex<Letters>,
    pub(super) counters: Counters,
}

/// What a worker has and has done.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicUsize,
    pub(super) strays: AtomicU64,
    pub(super) passed_on: AtomicU64,
    pub(super) not_passed_on: AtomicU64,
}

#[derive(Default)]
struct Letters {
    /// In the order in which they came.
    mail: Vec<Letter>,
    touched: BTreeSet<usize>,
    /// TCP connections among the mail.
    handed_over: usize,
    /// Nobody can add connections any more.
    last: bool,
    /// The worker has ended.
    ended: bool,
    next_key: usize,
}

/// What a worker is told.
pub(super) enum Letter {
    /// It has a connection more, and the servers that are to be looked up for it.
    Connection(usize, Arc<Connection>, Vec<Server>),
    /// A connection is to use these servers, at once or when it gathers next.
    Servers(usize, Vec<Server>, bool),
    /// Another worker's session has a path.
    Path(Path, Owner),
    /// It has it no more.
    PathGone(Path, usize),
    /// Another worker's session has a ufrag that does not tell whose it is.
    Ufrag(String, usize),
    /// It has it no more.
    UfragGone(String, usize),
    /// A session asks for a name of multicast DNS.
    Name(usize, LocalName),
    /// A session that asked for names is over.
    Forget(usize),
    /// What has become of a question for a name.
    Found(names::Found),
    /// The machine has other addresses.
    Networks(NetworkChange),
    /// A TCP connection whose first datagram names a session of this worker's.
    Stream(FramedStream, Vec<u8>),
}

/// A session that has a path, since when, and whether its peer has answered there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(super) key: usize,
    pub(super) stamp: u64,
    pub(super) is_proven: bool,
}

/// Sockets of a worker's that have come, and addresses of those that are to go.
#[derive(Default)]
pub(super) struct NetworkChange {
    pub(super) opened: Vec<Arc<dyn Transport>>,
    pub(super) gone: Vec<SocketAddr>,
    pub(super) names: Vec<(IpAddr, LocalName)>,
}

/// What a worker finds when it looks.
pub(super) struct Mail {
    pub(super) letters: Vec<Letter>,
    pub(super) touched: BTreeSet<usize>,
    /// Whether more connections may come.
    pub(super) is_open: bool,
}

impl Inbox {
    /// Of the worker with this number, of so many.
    pub(crate) fn new(number: usize, workers: usize) -> Self {
        Self {
            number,
            workers,
            is_rung: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            has_mail: AtomicBool::new(false),
            letters: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// Hands a connection to the worker, and the servers that are to be looked up for it; its key, which no other
    /// connection of the endpoint has, or `None` if the worker has ended.
    pub(crate) fn add(&self, connection: Arc<Connection>, servers: Vec<Server>) -> Option<usize> {
        let mut letters = self.lock();
        if letters.ended || letters.last {
            return None;
        }
        let key = letters.next_key * self.workers + self.number;
        letters.next_key += 1;
        letters.mail.push(Letter::Connection(key, connection, servers));
        self.counters.connections.fetch_add(1, Ordering::AcqRel);
        self.deliver(letters);
        Some(key)
    }

    /// Has a connection use these servers, at once or when it gathers next.
    pub(crate) fn set_servers(&self, key: usize, servers: Vec<Server>, at_once: bool) {
        self.post(Letter::Servers(key, servers, at_once));
    }

    /// Says that a session has something to do.
    pub(crate) fn touch(&self, key: usize) {
        let mut letters = self.lock();
        if !letters.ended && letters.touched.insert(key) {
            self.deliver(letters);
        }
    }

    /// Says that no connection will be added any more: the worker ends with the last one of the endpoint.
    pub(crate) fn no_more(&self) {
        let mut letters = self.lock();
        letters.last = true;
        self.deliver(letters);
    }

    /// What the worker has and has done.
    pub(crate) fn stats(&self) -> WorkerStats {
        let Counters { connections, strays, passed_on, not_passed_on } = &self.counters;
        WorkerStats {
            connections: connections.load(Ordering::Acquire),
            strays: strays.load(Ordering::Relaxed),
            passed_on: passed_on.load(Ordering::Relaxed),
            not_passed_on: not_passed_on.load(Ordering::Relaxed),
        }
    }

    /// Connections that the worker has.
    pub(crate) fn connections(&self) -> usize {
        self.counters.connections.load(Ordering::Acquire)
    }

    /// Tells the worker something, unless it has ended.
    pub(super) fn post(&self, letter: Letter) {
        let mut letters = self.lock();
        if !letters.ended {
            letters.mail.push(letter);
            self.deliver(letters);
        }
    }

    /// Hands a TCP connection over with its first datagram, unless so many wait already: says whether it did.
    pub(super) fn hand_over(&self, stream: FramedStream, first: Vec<u8>, limit: usize) -> bool {
        let mut letters = self.lock();
        if letters.ended || letters.handed_over >= limit {
            return false;
        }
        letters.handed_over += 1;
        letters.mail.push(Letter::Stream(stream, first));
        self.deliver(letters);
        true
    }

    /// A datagram, or a TCP connection, was nobody's.
    pub(super) fn count_stray(&self) {
        self.counters.strays.fetch_add(1, Ordering::Relaxed);
    }

    /// Has the worker look for what has come, here or elsewhere.
    pub(super) fn ring(&self) {
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// The worker looks: whoever rings from now on wakes it.
    pub(super) fn look(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
        self.is_rung.swap(false, Ordering::AcqRel);
    }

    /// Whether there are letters.
    pub(super) fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    /// Takes what has come.
    pub(super) fn take(&self) -> Mail {
        let mut letters = self.lock();
        self.has_mail.store(false, Ordering::Release);
        letters.handed_over = 0;
        let mail = std::mem::take(&mut letters.mail);
        let mut touched = BTreeSet::new();
        touched.append(&mut letters.touched);
        Mail { letters: mail, touched, is_open: !letters.last }
    }

    /// The worker has ended; what it has not read is given back.
    pub(super) fn end(&self) -> Vec<Letter> {
        let mut letters = self.lock();
        letters.ended = true;
        std::mem::take(&mut letters.mail)
    }

    fn deliver(&self, letters: MutexGuard<'_, Letters>) {
        self.has_mail.store(true, Ordering::Release);
        drop(letters);
        self.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_letter_is_seen_whenever_it_comes() {
        let inbox = Inbox::new(1, 3);
        assert!(!inbox.has_mail());
        inbox.post(Letter::Forget(7));
        assert!(inbox.has_mail());
        inbox.look(&Context::from_waker(Waker::noop()));
        let Mail { letters, touched, is_open } = inbox.take();
        assert!(matches!(letters.as_slice(), [Letter::Forget(7)]) && touched.is_empty() && is_open);
        assert!(!inbox.has_mail());
        inbox.touch(4);
        inbox.no_more();
        let Mail { letters, touched, is_open } = inbox.take();
        assert!(letters.is_empty() && touched.contains(&4) && !is_open);
        inbox.end();
        inbox.post(Letter::Forget(7));
        assert!(inbox.end().is_empty(), "nobody would read it");
    }
}
