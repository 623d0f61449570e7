//! Tasks that wait for something of a connection.

use std::future::poll_fn;
use std::sync::Weak;
use std::task::{Context, Poll, Waker};

use crate::connection::{Connection, Core};

/// Tasks that wait for something.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Vec<Waker>);

impl Waiting {
    /// Remembers the task.
    pub(crate) fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn forget(&mut self, task: &Waker) -> Option<Waker> {
        let at = self.0.iter().position(|waker| waker.will_wake(task))?;
        Some(self.0.swap_remove(at))
    }
}

/// Waits as `poll` says, which has the task wake by what is at `place`; if it is dropped before, nothing stays there.
pub(crate) async fn wait_at<T>(
    connection: Weak<Connection>,
    place: impl Fn(&mut Core) -> Option<&mut Waiting>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> T {
    let mut waiter = Waiter { connection, place, task: None };
    poll_fn(|cx| {
        let polled = poll(cx);
        if polled.is_pending() {
            waiter.note(cx.waker());
        }
        polled
    })
    .await
}

/// The task that a future was polled by last.
struct Waiter<F: Fn(&mut Core) -> Option<&mut Waiting>> {
    connection: Weak<Connection>,
    place: F,
    task: Option<Waker>,
}

impl<F: Fn(&mut Core) -> Option<&mut Waiting>> Waiter<F> {
    fn note(&mut self, task: &Waker) {
        if !self.task.as_ref().is_some_and(|known| known.will_wake(task)) {
            self.leave();
            self.task = Some(task.clone());
        }
    }

    fn leave(&mut self) {
        let Some(task) = self.task.take() else { return };
        let Some(connection) = self.connection.upgrade() else { return };
        let forgotten = (self.place)(&mut connection.lock()).and_then(|waiting| waiting.forget(&task));
        // The task may wait there by another future, too, which then does so again.
        forgotten.into_iter().for_each(Waker::wake);
    }
}

impl<F: Fn(&mut Core) -> Option<&mut Waiting>> Drop for Waiter<F> {
    fn drop(&mut self) {
        self.leave();
    }
}
