//! Tasks that wait for something of a connection, and give up. Apart from the tests that count what a whole process holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use harness::{connect, within};
use peerline::{DataChannel, MediaKind};

struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Polls `future` once as a task of its own. Says whether somebody holds that task, though nobody polls it any more.
fn is_remembered<T>(future: impl Future<Output = T>) -> bool {
    let task = Arc::new(Task);
    {
        let waker = Waker::from(task.clone());
        let mut future = pin!(future);
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    Arc::strong_count(&task) > 1
}

#[tokio::test]
async fn real_tasks_that_have_given_up_waiting_are_forgotten() {
    let mut pair = connect().await;
    let video = pair.alice.add_track(MediaKind::Video, &[]).unwrap();
    while tokio::time::timeout(Duration::from_millis(200), pair.from_alice.next()).await.is_ok() {}
    for _ in 0..3 {
        assert!(!is_remembered(pair.alice.closed()));
        assert!(!is_remembered(pair.from_alice.next()));
        assert!(!is_remembered(pair.theirs.recv()));
        assert!(!is_remembered(video.recv()));
        assert!(!is_remembered(video.next_request()));
        assert!(!is_remembered(video.next_tone()));
        assert!(!is_remembered(video.recv_rtp()));
    }
    while pair.ours.try_send(vec![1; 100_000]).is_ok() {}
    assert!(!is_remembered(pair.ours.send(vec![1; 100_000])));
    // Others that wait are not forgotten with them, in the same task neither.
    let theirs = pair.theirs.clone();
    let reader = async {
        let mut first = Box::pin(theirs.recv());
        let mut second = Box::pin(theirs.recv());
        poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending() && second.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(first);
        second.await
    };
    drain(&pair.theirs).await;
    let writer = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        pair.ours.send("at last").await.unwrap();
    };
    let (read, ()) = within(10, "a message", async { tokio::join!(reader, writer) }).await;
    assert_eq!(read, Some("at last".into()));
}

/// Reads until nothing comes for a while.
async fn drain(channel: &DataChannel) {
    while tokio::time::timeout(Duration::from_millis(500), channel.recv()).await.is_ok() {}
}
