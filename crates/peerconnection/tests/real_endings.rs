//! How connections, channels and endpoints end, over real sockets, and that they leave nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::time::{Duration, Instant};

use harness::{Pair, comes_true, connect, endpoint, negotiate, told_closed, within};
use peerline::{
    ChannelState, Configuration, ConnectionState, DataChannelInit, Direction, Endpoint, Error, Event,
    Failure, IceCandidate, MediaKind, OutgoingFrame, SendError, SendMediaError,
};

#[tokio::test]
async fn real_a_close_by_either_side_is_seen_by_the_other() {
    for closer in [0, 1] {
        let Pair { alice, bob, mut from_alice, mut from_bob, ours, theirs } = connect().await;
        ours.send("before").await.unwrap();
        theirs.send("before").await.unwrap();
        assert!(comes_true(|| ours.buffered_amount() + theirs.buffered_amount() == 0).await);
        if closer == 0 {
            alice.close()
        } else {
            bob.close()
        }
        let both = async {
            assert!(told_closed(&mut from_alice).await && told_closed(&mut from_bob).await, "{closer}");
            for (connection, channel) in [(&alice, &ours), (&bob, &theirs)] {
                connection.closed().await;
                assert_eq!(connection.connection_state(), ConnectionState::Closed);
                assert_eq!(channel.recv().await, Some("before".into()), "what had arrived can be read");
                assert_eq!(channel.recv().await, None);
                assert_eq!(channel.send("late").await, Err(SendError::Closed));
                assert_eq!(channel.opened().await, Err(SendError::Closed));
                assert_eq!(channel.buffered_amount(), 0);
            }
        };
        within(2, "to see the close", both).await;
    }
}

#[tokio::test]
async fn real_a_reader_sees_a_channel_close_at_once() {
    for _ in 0..5 {
        let Pair { ours, theirs, alice: _alice, bob: _bob, .. } = &connect().await;
        // One reader waits already when the close arrives, the other comes late.
        let waiting = tokio::spawn({
            let theirs = theirs.clone();
            async move { while theirs.recv().await.is_some() {} }
        });
        ours.send("good-bye").await.unwrap();
        // Once all is quiet nothing but the end itself can wake the endpoint's task.
        tokio::time::sleep(Duration::from_millis(300)).await;
        ours.close();
        let begin = Instant::now();
        within(2, "the waiting reader", waiting).await.unwrap();
        assert_eq!(within(2, "the closer", ours.recv()).await, None);
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        assert_eq!((ours.state(), theirs.state()), (ChannelState::Closed, ChannelState::Closed));
    }
}

#[tokio::test]
async fn real_a_channel_that_is_closed_takes_nothing_more_and_delivers_what_it_took() {
    let Pair { ours, theirs, alice: _alice, bob: _bob, .. } = &connect().await;
    let send_until_closed = |channel: peerline::DataChannel| async move {
        let mut taken = 0;
        while channel.send(vec![7; 60_000]).await.is_ok() {
            taken += 1;
        }
        taken
    };
    let sender = tokio::spawn(send_until_closed(ours.clone()));
    // Nobody reads, so that there is no room in the end, and a message is handed over in part.
    let is_full = || ours.buffered_amount() >= Configuration::default().send_buffer;
    assert!(comes_true(is_full).await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(is_full() && !sender.is_finished());
    ours.close();
    assert_eq!(ours.state(), ChannelState::Closing);
    assert_eq!(ours.try_send("late"), Err(SendError::Closed));
    assert_eq!(within(2, "late", ours.send("late")).await, Err(SendError::Closed));
    let taken = within(2, "the one that waits", sender).await.unwrap();
    let mut came = 0;
    while let Some(message) = within(5, "what was taken", theirs.recv()).await {
        assert!(message.as_bytes() == [7; 60_000]);
        came += 1;
    }
    assert_eq!(came, taken);
    assert!(comes_true(|| ours.state() == ChannelState::Closed).await);
}

#[tokio::test]
async fn real_a_channel_that_nobody_can_read_any_more_holds_up_no_other() {
    for is_told in [true, false] {
        let Pair { alice, bob: _bob, mut from_bob, ours, theirs, .. } = connect().await;
        let ignored = alice.create_data_channel("ignored", DataChannelInit::default()).unwrap();
        within(5, "to open", ignored.opened()).await.unwrap();
        if is_told {
            // What comes before and after the handle is dropped.
            ignored.send(vec![7; 200_000]).await.unwrap();
            let told = async { while !matches!(from_bob.next().await, Some(Event::DataChannel(_))) {} };
            within(5, "to be told", told).await;
        } else {
            drop(from_bob);
        }
        for _ in 0..50 {
            within(5, "room", ignored.send(vec![7; 100_000])).await.unwrap();
        }
        ours.send("there").await.unwrap();
        assert_eq!(within(5, "a message", theirs.recv()).await, Some("there".into()));
        ignored.close();
        assert!(comes_true(|| ignored.state() == ChannelState::Closed).await);
        assert_eq!(alice.connection_state(), ConnectionState::Connected);
    }
}

#[tokio::test]
async fn real_what_was_delivered_is_there_after_the_end() {
    let Pair { alice, bob, ours, theirs, .. } = connect().await;
    for _ in 0..10 {
        ours.send(vec![7; 50_000]).await.unwrap();
    }
    within(5, "delivery", ours.delivered()).await.unwrap();
    alice.close();
    within(2, "the end", bob.closed()).await;
    for number in 0..10 {
        assert!(within(2, "a message", theirs.recv()).await.is_some(), "{number}");
    }
    assert_eq!(within(2, "the end", theirs.recv()).await, None);
}

#[tokio::test]
async fn real_whatever_is_asked_of_a_closed_connection_is_refused_by_one_error() {
    let Pair { alice, bob, ours: _ours, .. } = connect().await;
    let track = alice.add_track(MediaKind::Audio, &[]).unwrap();
    negotiate(&alice, &bob);
    let frame = OutgoingFrame { bytes: &[0; 3], ..OutgoingFrame::default() };
    let is_sent = || track.write_frame(0, &frame).is_ok();
    assert!(comes_true(is_sent).await && !track.is_stopped());
    let offer = bob.create_offer().unwrap();
    alice.close();
    let refused = [
        alice.create_offer().err(),
        alice.create_answer().err(),
        alice.make_local_description().err(),
        alice.set_local_description(offer.clone()).err(),
        alice.set_remote_description(offer).err(),
        alice.rollback().err(),
        alice.add_ice_candidate(&IceCandidate::default()).err(),
        alice.create_data_channel("late", DataChannelInit::default()).err(),
        alice.add_track(MediaKind::Audio, &[]).err(),
        alice.set_configuration(&Configuration::default()).err(),
        track.set_direction(Direction::Inactive).err(),
    ];
    for (number, error) in refused.iter().enumerate() {
        assert!(matches!(error, Some(Error::ConnectionClosed)), "{number}: {error:?}");
    }
    assert!(track.is_stopped());
    assert_eq!(track.write_frame(0, &frame), Err(SendMediaError::Stopped));
}

#[tokio::test]
async fn real_who_waits_for_a_connection_learns_what_becomes_of_it() {
    let Pair { alice, bob, .. } = connect().await;
    within(5, "both", async { tokio::try_join!(alice.connected(), bob.connected()) }).await.unwrap();
    alice.close();
    assert!(matches!(within(1, "the end", alice.connected()).await, Err(Error::ConnectionClosed)));

    let mut configuration = Configuration::default();
    configuration.limits.ice_patience = Duration::from_millis(500);
    let (here, there) = (endpoint().await, endpoint().await);
    let (alone, _events) = here.connect(configuration).unwrap();
    let (silent, _of_silent) = there.connect(Configuration::default()).unwrap();
    let _channel = alone.create_data_channel("never", DataChannelInit::default()).unwrap();
    let waiting = tokio::spawn({
        let alone = alone.clone();
        async move { alone.connected().await }
    });
    negotiate(&alone, &silent);
    // Nobody has told of a candidate, so that nobody is there.
    silent.close();
    let failed = within(5, "patience", waiting).await.unwrap();
    assert!(matches!(failed, Err(Error::Failed(Failure::Ice(_)))), "{failed:?}");

    let (never, _events) = here.connect(Configuration::default()).unwrap();
    let waiting = tokio::spawn({
        let never = never.clone();
        async move { never.connected().await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    never.close();
    assert!(matches!(within(1, "the end", waiting).await.unwrap(), Err(Error::ConnectionClosed)));
}

#[tokio::test]
async fn real_what_is_lost_was_not_delivered() {
    let Pair { alice, bob: _bob, ours, theirs: _theirs, .. } = connect().await;
    while ours.try_send(vec![7; 50_000]).is_ok() {}
    let waiting = tokio::spawn({
        let ours = ours.clone();
        async move { ours.delivered().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    alice.close();
    assert_eq!(within(2, "the end", waiting).await.unwrap(), Err(SendError::Closed));
}

#[tokio::test]
async fn real_dropping_the_last_handle_closes_the_other_side() {
    let Pair { alice, bob, from_alice, mut from_bob, ours, theirs } = connect().await;
    drop((alice, from_alice));
    ours.send("a channel keeps its connection").await.unwrap();
    assert!(within(2, "it arrives", theirs.recv()).await.is_some());
    assert_eq!(bob.connection_state(), ConnectionState::Connected);
    drop(ours);
    assert!(within(2, "the end", told_closed(&mut from_bob)).await);
    assert_eq!(within(2, "the end", theirs.recv()).await, None);
    within(2, "the end", bob.closed()).await;
}

#[tokio::test]
async fn real_dropping_events_is_harmless() {
    let Pair { alice, bob, from_alice, from_bob, ours, theirs } = connect().await;
    drop((from_alice, from_bob));
    alice.create_data_channel("nobody takes it", DataChannelInit::default()).unwrap();
    for _ in 0..100 {
        ours.send("there").await.unwrap();
        assert_eq!(within(2, "a message", theirs.recv()).await, Some("there".into()));
    }
    alice.close();
    within(2, "the end", bob.closed()).await;
}

#[tokio::test]
async fn real_a_taken_port_is_a_clear_error() {
    let held = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let refused = Endpoint::builder().address([127, 0, 0, 1].into()).port(port).bind().await.unwrap_err();
    let Error::Io { source, .. } = &refused else { panic!("{refused}") };
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse, "{refused}");
}

#[test]
fn real_a_runtime_that_ends_ends_what_waits() {
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let Pair { alice, bob, mut from_alice, ours, theirs, .. } = first.block_on(connect());
    let unopened = alice.create_data_channel("late", DataChannelInit::default()).unwrap();
    let second = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    second.block_on(async {
        let waiting = tokio::spawn({
            let (alice, ours) = (alice.clone(), ours.clone());
            async move {
                let (received, told, ()) =
                    tokio::join!(ours.recv(), told_closed(&mut from_alice), alice.closed());
                (received, told)
            }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        // From outside of any runtime, as tokio wants it.
        std::thread::spawn(move || first.shutdown_timeout(Duration::from_secs(1))).join().unwrap();
        assert_eq!(within(2, "those that wait", waiting).await.unwrap(), (None, true));
        // Those that come late do not wait either.
        assert_eq!(within(2, "recv", theirs.recv()).await, None);
        within(2, "closed", bob.closed()).await;
        assert_eq!(within(2, "send", ours.send("late")).await, Err(SendError::Closed));
        assert_eq!(within(2, "opened", unopened.opened()).await, Err(SendError::Closed));
        assert!(alice.create_offer().is_err());
        assert_eq!(alice.connection_state(), ConnectionState::Closed);
    });
}

#[test]
fn real_an_endpoint_without_its_runtime_makes_no_connections() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let endpoint = runtime.block_on(endpoint());
    // Made, but never seen by the endpoint's task.
    let (unseen, mut events) = endpoint.connect(Configuration::default()).unwrap();
    drop(runtime);
    assert!(matches!(endpoint.connect(Configuration::default()), Err(Error::EndpointClosed)));
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    other.block_on(within(2, "the end", async {
        unseen.closed().await;
        while let Some(event) = events.next().await {
            assert!(!matches!(event, Event::DataChannel(_)));
        }
    }));
}
