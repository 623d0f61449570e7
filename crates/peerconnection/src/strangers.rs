//! Peers whom no connection expects.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use proto::Path;

/// The peers that ask an endpoint for somebody who is not there: whoever listens may connect to them, by
/// [`Endpoint::accept`](crate::Endpoint::accept). Nothing that they say is proved; whoever can send a datagram can be
/// a stranger. As long as nobody listens nothing of them is kept.
pub struct Strangers {
    waiting_room: Arc<WaitingRoom>,
}

/// A STUN request for a user of whom no connection knows. It counts against the limit until it is dropped or accepted,
/// and is told only once until then, however often it is repeated.
pub struct Stranger {
    /// The worker to whose socket it has come.
    worker: usize,
    path: Path,
    ufrag: String,
    remote_ufrag: String,
    datagram: Vec<u8>,
    waiting_room: Arc<WaitingRoom>,
}

impl Strangers {
    /// Begins to listen; `None` if somebody does.
    pub(crate) fn listen(waiting_room: &Arc<WaitingRoom>) -> Option<Self> {
        let was_open = waiting_room.is_open.swap(true, Ordering::AcqRel);
        (!was_open).then(|| Self { waiting_room: waiting_room.clone() })
    }

    /// The next; `None` once the endpoint has ended.
    ///
    /// Cancel safe: a stranger is returned or stays.
    pub async fn next(&mut self) -> Option<Stranger> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// How many were turned away since the endpoint began, because as many as may be were there already.
    pub fn turned_away(&self) -> u64 {
        self.waiting_room.lock().turned_away
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Stranger>> {
        let mut guests = self.waiting_room.lock();
        match guests.untold.pop_front() {
            Some(Guest { worker, path, ufrag, remote_ufrag, datagram }) => {
                guests.told.push((path, ufrag.clone()));
                let waiting_room = self.waiting_room.clone();
                Poll::Ready(Some(Stranger { worker, path, ufrag, remote_ufrag, datagram, waiting_room }))
            }
            None if guests.has_ended => Poll::Ready(None),
            None => {
                guests.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Stream for Strangers {
    type Item = Stranger;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Stranger>> {
        self.poll(cx)
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        let mut guests = self.waiting_room.lock();
        self.waiting_room.is_open.store(false, Ordering::Release);
        guests.untold = VecDeque::new();
    }
}

impl fmt::Debug for Strangers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Strangers")
    }
}

impl Stranger {
    pub(crate) const fn worker(&self) -> usize {
        self.worker
    }

    /// Where the datagram came: the socket of ours, and whom it says it is from.
    pub const fn path(&self) -> Path {
        self.path
    }

    /// The ufrag of ours that it asks for (RFC 8445 §7.2.2).
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The ufrag that it says is its own.
    pub fn remote_ufrag(&self) -> &str {
        &self.remote_ufrag
    }

    /// The request itself.
    pub fn datagram(&self) -> &[u8] {
        &self.datagram
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut guests = self.waiting_room.lock();
        let place = guests.told.iter().position(|(path, ufrag)| (path, ufrag) == (&self.path, &self.ufrag));
        if let Some(place) = place {
            guests.told.swap_remove(place);
        }
    }
}

impl fmt::Debug for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, ufrag, remote_ufrag, .. } = self;
        f.debug_struct("Stranger")
            .field("path", path)
            .field("ufrag", ufrag)
            .field("remote_ufrag", remote_ufrag)
            .finish_non_exhaustive()
    }
}

/// Where strangers wait until somebody asks who is there.
pub(crate) struct WaitingRoom {
    /// Whether somebody listens: looked at before the lock is taken, so that strangers cost nothing otherwise.
    is_open: AtomicBool,
    limit: usize,
    guests: Mutex<Guests>,
}

struct Guest {
    worker: usize,
    path: Path,
    ufrag: String,
    remote_ufrag: String,
    datagram: Vec<u8>,
}

#[derive(Default)]
struct Guests {
    untold: VecDeque<Guest>,
    /// Those of whom the program has been told, and which it has not answered yet.
    told: Vec<(Path, String)>,
    turned_away: u64,
    has_ended: bool,
    reader: Option<Waker>,
}

impl WaitingRoom {
    pub(crate) fn new(limit: usize) -> Self {
        Self { is_open: AtomicBool::new(false), limit, guests: Mutex::default() }
    }

    /// Lets a stranger in, who came to `worker`, if somebody listens, it is not there yet, and there is room.
    pub(crate) fn enter(
        &self,
        worker: usize,
        path: Path,
        (ufrag, remote_ufrag): (&str, &str),
        datagram: &[u8],
    ) {
        if !self.is_open.load(Ordering::Acquire) {
            return;
        }
        let mut guests = self.lock();
        // Who listened may have left meanwhile.
        if !self.is_open.load(Ordering::Acquire) {
            return;
        }
        let is_waiting = guests.untold.iter().any(|guest| guest.path == path && guest.ufrag == ufrag);
        if is_waiting || guests.told.iter().any(|(from, wanted)| *from == path && wanted == ufrag) {
            return;
        }
        let is_full = guests.untold.len() + guests.told.len() >= self.limit;
        if is_full || datagram.len() > MAX_REQUEST {
            guests.turned_away = guests.turned_away.saturating_add(1);
            return;
        }
        let (ufrag, remote_ufrag) = (ufrag.to_owned(), remote_ufrag.to_owned());
        guests.untold.push_back(Guest { worker, path, ufrag, remote_ufrag, datagram: datagram.to_vec() });
        wake(guests);
    }

    /// The endpoint is at its end: nobody will come any more.
    pub(crate) fn close(&self) {
        let mut guests = self.lock();
        guests.has_ended = true;
        wake(guests);
    }

    fn lock(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut guests: MutexGuard<'_, Guests>) {
    let reader = guests.reader.take();
    drop(guests);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// The longest request that is kept: a check has less than 200 bytes.
const MAX_REQUEST: usize = 1500;

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;

    fn enter(room: &WaitingRoom, number: u16, len: usize) {
        let path = testkit::path("127.0.0.1:1", &format!("127.0.0.1:{}", number + 2));
        room.enter(0, path, ("ours", "theirs"), &vec![1; len]);
    }

    fn next(strangers: &Strangers) -> Option<Stranger> {
        match strangers.poll(&Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => found,
            Poll::Pending => None,
        }
    }

    #[test]
    fn nobody_is_kept_unless_somebody_listens() {
        let room = Arc::new(WaitingRoom::new(4));
        enter(&room, 1, 100);
        let strangers = Strangers::listen(&room).unwrap();
        assert!(Strangers::listen(&room).is_none(), "one listens already");
        assert!(next(&strangers).is_none(), "who came before is gone");
        enter(&room, 1, 100);
        let stranger = next(&strangers).unwrap();
        assert_eq!(
            (stranger.ufrag(), stranger.remote_ufrag(), stranger.path().remote.port()),
            ("ours", "theirs", 3)
        );
        enter(&room, 2, 100);
        drop(strangers);
        enter(&room, 3, 100);
        let strangers = Strangers::listen(&room).unwrap();
        assert!(next(&strangers).is_none());
    }

    #[test]
    fn so_many_strangers_are_let_in_and_not_one_more() {
        let room = Arc::new(WaitingRoom::new(3));
        let strangers = Strangers::listen(&room).unwrap();
        (0..3).for_each(|number| enter(&room, number, MAX_REQUEST));
        assert_eq!(strangers.turned_away(), 0);
        enter(&room, 3, 100);
        assert_eq!(strangers.turned_away(), 1);
        let first = next(&strangers).unwrap();
        enter(&room, 4, 100);
        assert_eq!(strangers.turned_away(), 2, "who was told of is still there");
        drop(first);
        enter(&room, 5, MAX_REQUEST + 1);
        assert_eq!(strangers.turned_away(), 3, "too long");
        enter(&room, 5, 100);
        assert_eq!(strangers.turned_away(), 3);
        assert_eq!(std::iter::from_fn(|| next(&strangers)).count(), 3);
    }

    #[test]
    fn who_repeats_himself_is_told_of_once_until_he_was_answered() {
        let room = Arc::new(WaitingRoom::new(3));
        let strangers = Strangers::listen(&room).unwrap();
        (0..5).for_each(|_| enter(&room, 1, 100));
        let stranger = next(&strangers).unwrap();
        enter(&room, 1, 100);
        assert!(next(&strangers).is_none());
        drop(stranger);
        enter(&room, 1, 100);
        assert!(next(&strangers).is_some());
        assert_eq!(strangers.turned_away(), 0);
        room.close();
        assert!(matches!(strangers.poll(&Context::from_waker(Waker::noop())), Poll::Ready(None)));
    }
}
