//! Which of many sockets have something to do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Which sockets may have something to do, by their keys: listeners and relays take turns.
///
/// One task with thousands of sockets must not ask each of them in every turn: each is polled with the waker of a
/// [`Signal`] of its own, which puts its key into a queue, and the task looks at those that are in it.
///
/// Each key is in a queue at most once, so that no queue is longer than there are sockets, but for keys of
/// sockets that are gone.
#[derive(Debug)]
pub struct Ready {
    sender: UnboundedSender<(Kind, usize)>,
    woken: UnboundedReceiver<(Kind, usize)>,
    listeners: VecDeque<usize>,
    relays: VecDeque<usize>,
    last: Kind,
}

/// With whom a socket shares its turns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Many are heard at it.
    Listener,
    /// It belongs to one.
    Relay,
}

/// What the system wakes for one socket.
#[derive(Debug)]
pub struct Signal {
    kind: Kind,
    key: usize,
    is_queued: AtomicBool,
    queue: UnboundedSender<(Kind, usize)>,
}

impl Ready {
    /// Nothing is ready.
    pub fn new() -> Self {
        let (sender, woken) = unbounded_channel();
        Self { sender, woken, listeners: VecDeque::new(), relays: VecDeque::new(), last: Kind::Relay }
    }

    /// The signal of a new socket, which is queued at once: only who is asked says when it is ready.
    pub fn signal(&self, kind: Kind, key: usize) -> Arc<Signal> {
        let queue = self.sender.clone();
        let signal = Arc::new(Signal { kind, key, is_queued: AtomicBool::new(false), queue });
        signal.wake_by_ref();
        signal
    }

    /// Takes over what was woken; the task is woken for what comes later.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some((kind, key))) = self.woken.poll_recv(cx) {
            self.queue(kind).push_back(key);
        }
    }

    /// Whose turn it is.
    pub fn pop(&mut self) -> Option<usize> {
        let other = if self.last == Kind::Listener { Kind::Relay } else { Kind::Listener };
        let kind = if self.queue(other).is_empty() { self.last } else { other };
        self.last = kind;
        self.queue(kind).pop_front()
    }

    /// Whether nobody's turn it is.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.relays.is_empty()
    }

    const fn queue(&mut self, kind: Kind) -> &mut VecDeque<usize> {
        match kind {
            Kind::Listener => &mut self.listeners,
            Kind::Relay => &mut self.relays,
        }
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self::new()
    }
}

impl Signal {
    /// What the socket is polled with.
    pub fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// The socket has its turn: what happens from now on queues it again.
    pub fn begin_turn(&self) {
        self.is_queued.store(false, Ordering::Release);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            // Nobody is left to be woken when this fails.
            let _ = self.queue.send((self.kind, self.key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(ready: &mut Ready) -> Vec<usize> {
        ready.poll(&mut Context::from_waker(Waker::noop()));
        std::iter::from_fn(|| ready.pop()).collect()
    }

    #[tokio::test]
    async fn a_socket_is_queued_once_however_often_it_is_woken() {
        let mut ready = Ready::new();
        let signal = ready.signal(Kind::Relay, 7);
        for _ in 0..5 {
            signal.wake_by_ref();
        }
        assert_eq!(drain(&mut ready), [7]);
        signal.wake_by_ref();
        assert_eq!(drain(&mut ready), [0; 0], "it had no turn yet");
        signal.begin_turn();
        signal.wake_by_ref();
        assert_eq!(drain(&mut ready), [7]);
        assert!(ready.is_empty());
    }

    #[tokio::test]
    async fn listeners_and_relays_take_turns() {
        let mut ready = Ready::new();
        for key in 0..4 {
            ready.signal(Kind::Relay, key);
        }
        for key in 10..12 {
            ready.signal(Kind::Listener, key);
        }
        assert_eq!(drain(&mut ready), [10, 0, 11, 1, 2, 3]);
    }
}
