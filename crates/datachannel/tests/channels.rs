//! Channels from end to end: opening, messages, closing, limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Pair, named};
use datachannel::{
    ChannelError, Channels, CloseReason, Config, Event, Init, Kind, OpenError, Outgoing, Reliability, Role,
    SendError, State, StreamId,
};
use proto::Writer;

#[test]
fn a_channel_opens_talks_and_closes() {
    let mut pair = Pair::new();
    let init = Init {
        label: "chat".into(),
        protocol: "p".into(),
        ordered: false,
        reliability: Reliability::MaxRetransmits(3),
        ..Init::default()
    };
    let (ours, theirs) = pair.open(0, init.clone());
    assert_eq!(pair.ends[1].init(theirs), Some(&init));
    assert_eq!(
        (pair.ends[0].stream(ours), pair.ends[1].stream(theirs)),
        (Some(StreamId(0)), Some(StreamId(0)))
    );

    pair.send(0, ours, Outgoing::text("hello"));
    pair.send(0, ours, Outgoing::text(""));
    pair.send(0, ours, Outgoing::binary(Bytes::new()));
    pair.send(0, ours, Outgoing::binary(vec![7; 60_000]));
    pair.send(1, theirs, Outgoing::binary(vec![1, 2, 3]));
    pair.seconds(2);
    assert_eq!(
        pair.messages(1, theirs),
        [
            (Kind::Text, b"hello".to_vec()),
            (Kind::Text, vec![]),
            (Kind::Binary, vec![]),
            (Kind::Binary, vec![7; 60_000])
        ]
    );
    assert_eq!(pair.messages(0, ours), [(Kind::Binary, vec![1, 2, 3])]);
    let stats = pair.ends[1].stats(theirs).unwrap();
    assert_eq!(
        (stats.messages_received, stats.bytes_received, stats.messages_sent, stats.bytes_sent),
        (4, 60_005, 1, 3)
    );

    pair.ends[0].close(pair.now, ours);
    pair.seconds(3);
    assert!(pair.take(0, Event::Closed { channel: ours, error: None }), "{:?}", pair.events);
    assert!(pair.take(1, Event::Closed { channel: theirs, error: None }), "{:?}", pair.events);
    assert!(pair.ends.iter().all(Channels::is_empty));
    // The number is free again.
    let (again, _) = pair.open(0, named("again"));
    assert_ne!(again, ours);
}

#[test]
fn channels_opened_before_anything_is_known_get_their_streams_later() {
    let now = testkit::epoch();
    let mut pair = Pair::new();
    pair.ends = [[1; 32], [2; 32]].map(|seed| Channels::new(now, Config::default(), seed));
    let a: Vec<_> = (0..3).map(|i| pair.ends[0].open(now, named(&format!("a{i}"))).unwrap()).collect();
    let b: Vec<_> = (0..3).map(|i| pair.ends[1].open(now, named(&format!("b{i}"))).unwrap()).collect();
    assert_eq!(pair.ends[0].send(now, a[0], &mut Outgoing::text("x")), Err(SendError::NotOpen));
    pair.ends[0].set_role(now, Role::Server);
    pair.ends[1].set_role(now, Role::Client);
    pair.send(0, a[0], Outgoing::text("early"));
    pair.seconds(3);
    assert_eq!(a.iter().map(|id| pair.ends[0].stream(*id).unwrap().0).collect::<Vec<_>>(), [1, 3, 5]);
    assert_eq!(b.iter().map(|id| pair.ends[1].stream(*id).unwrap().0).collect::<Vec<_>>(), [0, 2, 4]);
    let theirs = pair.ends[1].channel(StreamId(1)).unwrap();
    assert_eq!(pair.ends[1].label(theirs), Some("a0"));
    assert_eq!(pair.messages(1, theirs), [(Kind::Text, b"early".to_vec())]);
}

#[test]
fn a_negotiated_channel_works_in_whatever_order_it_is_opened() {
    let mut pair = Pair::new();
    let init = Init { negotiated: Some(StreamId(7)), ..Init::default() };
    let a = pair.ends[0].open(pair.now, init.clone()).unwrap();
    assert_eq!(pair.ends[0].open(pair.now, init.clone()), Err(OpenError::InUse));
    pair.send(0, a, Outgoing::text("before you opened"));
    pair.seconds(3);
    let b = pair.ends[1].open(pair.now, init).unwrap();
    pair.send(1, b, Outgoing::text("here"));
    pair.seconds(3);
    assert!(pair.take(1, Event::Readable(b)));
    assert_eq!(pair.messages(1, b), [(Kind::Text, b"before you opened".to_vec())]);
    assert_eq!(pair.messages(0, a), [(Kind::Text, b"here".to_vec())]);
}

/// RFC 8831 §6.7: whoever sees a stream reset resets its own direction, even if no channel was ever opened on it here.
#[test]
fn a_negotiated_channel_that_one_side_alone_has_opened_can_be_closed_and_its_number_used_again() {
    let mut pair = Pair::new();
    let init = Init { negotiated: Some(StreamId(7)), ..Init::default() };
    for spoken in [false, true] {
        let ours = pair.ends[0].open(pair.now, init.clone()).unwrap();
        if spoken {
            pair.send(0, ours, Outgoing::text("nobody hears"));
        }
        pair.seconds(1);
        pair.ends[0].close(pair.now, ours);
        pair.seconds(5);
        assert!(pair.take(0, Event::Closed { channel: ours, error: None }), "{:?}", pair.events);
        assert!(pair.ends.iter().all(Channels::is_empty));
    }
    // Nor is anything left at the other side: both open it now.
    let [a, b] = [0, 1].map(|at| pair.ends[at].open(pair.now, init.clone()).unwrap());
    pair.send(0, a, Outgoing::text("now"));
    pair.seconds(1);
    assert_eq!(pair.messages(1, b), [(Kind::Text, b"now".to_vec())]);
}

/// RFC 9260 §5.1.1: the peer may take fewer streams than there are.
#[test]
fn a_channel_on_a_stream_that_the_peer_does_not_take_ends() {
    let mut pair = Pair::new();
    let init = |stream| Init { negotiated: Some(StreamId(stream)), ..Init::default() };
    let inside = pair.ends[0].open(pair.now, init(9)).unwrap();
    let outside = pair.ends[0].open(pair.now, init(10)).unwrap();
    pair.send(0, outside, Outgoing::text("kept until then"));
    // The peer's INIT and INIT ACK say ten.
    pair.change = Some(Box::new(|from, packet| {
        if from == 1 && matches!(packet[12], 1 | 2) {
            packet[26..28].copy_from_slice(&10u16.to_be_bytes());
            reseal(packet);
        }
    }));
    pair.seconds(3);
    assert!(pair.take(0, Event::Closed { channel: outside, error: None }), "{:?}", pair.events);
    assert_eq!(pair.ends[0].open(pair.now, init(11)), Err(OpenError::OutOfRange));
    assert_eq!(pair.ends[0].state(inside), Some(State::Open));
}

/// Writes the checksum of a packet that was changed.
fn reseal(packet: &mut [u8]) {
    let copy = packet.to_vec();
    let mut out = Writer::new(packet);
    out.put(&copy).unwrap();
    sctp::wire::finish_packet(&mut out, 0).unwrap();
}

#[test]
fn what_follows_an_open_at_once_is_never_lost() {
    for lost in 1..40 {
        let mut pair = Pair::new();
        pair.link = Box::new(move |n| n != lost && n != lost + 3);
        let init = Init { ordered: false, ..named("x") };
        let ours = pair.ends[0].open(pair.now, init).unwrap();
        for i in 0..20u8 {
            pair.send(0, ours, Outgoing::binary(vec![i; 1000]));
        }
        pair.seconds(20);
        let theirs = pair.incoming(1).unwrap();
        let mut got: Vec<u8> = pair.messages(1, theirs).iter().map(|(_, message)| message[0]).collect();
        got.sort_unstable();
        assert_eq!(got, (0..20).collect::<Vec<_>>(), "packet {lost} lost");
    }
}

#[test]
fn what_was_sent_before_a_close_is_read_after_it() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.open(0, named("x"));
    for i in 0..50u8 {
        pair.send(0, ours, Outgoing::binary(vec![i; 3000]));
    }
    pair.ends[0].close(pair.now, ours);
    assert_eq!(pair.ends[0].send(pair.now, ours, &mut Outgoing::text("late")), Err(SendError::Closed));
    pair.seconds(5);
    assert!(
        !pair.events[1].iter().any(|event| matches!(event, Event::Closed { .. })),
        "not before it is read"
    );
    assert_eq!(pair.messages(1, theirs).len(), 50);
    pair.seconds(5);
    assert!(pair.take(1, Event::Closed { channel: theirs, error: None }));
    assert!(pair.take(0, Event::Closed { channel: ours, error: None }));
}

#[test]
fn sizes_are_limited_on_both_sides() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.open(0, named("x"));
    let (other, other_theirs) = pair.open(0, named("y"));
    let mut message = Outgoing::binary(vec![0; 65_537]);
    assert_eq!(pair.ends[0].send(pair.now, ours, &mut message), Err(SendError::TooLarge { limit: 65_536 }));
    assert_eq!((message.remaining().len(), pair.ends[0].buffered(ours)), (65_537, 0));
    for (announced, limit) in
        [(Some(1 << 20), 1 << 20), (None, 65_536), (Some(0), u64::MAX), (Some(u64::MAX), u64::MAX)]
    {
        pair.ends[0].set_peer_max_message(announced);
        assert_eq!(pair.ends[0].peer_max_message(), limit);
    }
    // At our limit it arrives, one past it the channel is closed, and the other goes on.
    pair.send(0, ours, Outgoing::binary(vec![1; 256 << 10]));
    pair.seconds(5);
    assert_eq!(pair.messages(1, theirs), [(Kind::Binary, vec![1; 256 << 10])]);
    pair.send(0, ours, Outgoing::binary(vec![2; (256 << 10) + 1]));
    pair.send(0, other, Outgoing::text("alive"));
    pair.seconds(5);
    while let Some(part) = pair.ends[1].recv(pair.now, theirs) {
        assert!(!part.end, "the message is not delivered");
    }
    pair.seconds(5);
    assert!(pair.take(1, Event::Closed { channel: theirs, error: Some(ChannelError::MessageTooLarge) }));
    assert!(pair.take(0, Event::Closed { channel: ours, error: None }));
    assert_eq!(pair.messages(1, other_theirs), [(Kind::Text, b"alive".to_vec())]);
}

#[test]
fn a_full_buffer_blocks_and_frees() {
    let mut sctp = sctp::Config::default();
    sctp.send_buffer = 100_000;
    let mut config = Config::default();
    config.sctp = std::sync::Arc::new(sctp);
    let mut pair = Pair::with(config);
    let (ours, theirs) = pair.open(0, named("x"));
    let mut message = Outgoing::binary(vec![5; 60_000]);
    pair.send(0, ours, message.clone());
    assert_eq!(pair.ends[0].send(pair.now, ours, &mut message), Err(SendError::Blocked));
    assert!(!message.remaining().is_empty() && message.remaining().len() < 60_000);
    let mut other = Outgoing::text("not between");
    assert_eq!(pair.ends[0].send(pair.now, ours, &mut other), Err(SendError::Blocked));
    pair.seconds(3);
    assert!(pair.take(0, Event::Writable(ours)));
    pair.ends[0].send(pair.now, ours, &mut message).unwrap();
    pair.ends[0].send(pair.now, ours, &mut other).unwrap();
    pair.seconds(3);
    let lengths: Vec<_> = pair.messages(1, theirs).iter().map(|(_, message)| message.len()).collect();
    assert_eq!(lengths, [60_000, 60_000, 11]);
}

#[test]
fn a_channel_closed_before_its_open_was_taken_ends_on_both_sides() {
    let mut sctp = sctp::Config::default();
    sctp.send_buffer = 20_000;
    let mut config = Config::default();
    config.sctp = std::sync::Arc::new(sctp);
    let mut pair = Pair::with(config);
    let (ours, _) = pair.open(0, named("x"));
    let mut message = Outgoing::binary(vec![5; 40_000]);
    assert_eq!(pair.ends[0].send(pair.now, ours, &mut message), Err(SendError::Blocked));
    let late = pair.ends[0].open(pair.now, named("late")).unwrap();
    pair.ends[0].close(pair.now, late);
    assert_eq!(pair.ends[0].send(pair.now, late, &mut Outgoing::text("x")), Err(SendError::Closed));
    pair.seconds(1);
    while pair.ends[0].send(pair.now, ours, &mut message).is_err() {
        pair.seconds(1);
    }
    pair.seconds(3);
    assert!(pair.take(0, Event::Closed { channel: late, error: None }), "{:?}", pair.events);
    assert_eq!(pair.ends.each_ref().map(Channels::len), [1, 1]);
}

#[test]
fn one_channel_more_than_allowed_is_refused_with_a_reset() {
    let mut config = Config::default();
    config.max_channels = 3;
    let mut pair = Pair::with(config);
    pair.seconds(1);
    let mut many = Config::default();
    many.max_channels = 10;
    pair.ends[0] = Channels::new(pair.now, many, [1; 32]);
    pair.ends[0].set_role(pair.now, Role::Client);
    let mut fresh = Config::default();
    fresh.max_channels = 3;
    pair.ends[1] = Channels::new(pair.now, fresh, [3; 32]);
    pair.ends[1].set_role(pair.now, Role::Server);
    let opened: Vec<_> =
        (0..4).map(|i| pair.ends[0].open(pair.now, named(&i.to_string())).unwrap()).collect();
    pair.seconds(10);
    assert_eq!(pair.ends[1].len(), 3);
    assert!(pair.take(0, Event::Closed { channel: opened[3], error: None }), "{:?}", pair.events[0]);
    assert_eq!(pair.ends[0].len(), 3);
    assert_eq!(pair.ends[1].open(pair.now, named("own")), Err(OpenError::TooMany));
}

#[test]
fn an_end_of_the_association_ends_all_channels() {
    for abort in [true, false] {
        let mut pair = Pair::new();
        let (ours, theirs) = pair.open(0, named("x"));
        if abort {
            pair.ends[0].abort(pair.now);
        } else {
            pair.ends[0].shutdown(pair.now);
        }
        pair.seconds(5);
        let disconnected = Some(ChannelError::Disconnected);
        assert!(pair.take(0, Event::Closed { channel: ours, error: disconnected }));
        assert!(pair.take(1, Event::Closed { channel: theirs, error: disconnected }));
        let reasons = if abort {
            [CloseReason::Aborted, CloseReason::PeerAborted { cause: 12 }]
        } else {
            [CloseReason::Shutdown; 2]
        };
        for (at, reason) in reasons.into_iter().enumerate() {
            assert!(pair.take(at, Event::Disconnected(reason)), "{:?}", pair.events);
        }
        assert_eq!(pair.ends[0].open(pair.now, named("y")), Err(OpenError::Closed));
    }
}

#[test]
fn an_association_that_is_begun_anew_carries_new_channels_and_leaves_what_was_received() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.open(0, named("old"));
    pair.send(0, ours, Outgoing::text("unread"));
    pair.send(0, ours, Outgoing::text("too"));
    pair.ends[0].shutdown(pair.now);
    pair.seconds(5);
    for (end, role) in [(0, Role::Server), (1, Role::Client)] {
        pair.ends[end].begin_anew(pair.now, [7 + end as u8; 32]);
        pair.ends[end].set_role(pair.now, role);
    }
    assert!(!pair.ends[0].is_in_use() && !pair.ends[0].is_empty());
    let (new, _) = pair.open(1, named("new"));
    assert!(pair.take(0, Event::Closed { channel: ours, error: Some(ChannelError::Disconnected) }));
    assert_eq!(pair.ends[1].stream(new), Some(StreamId(0)));
    pair.send(1, new, Outgoing::text("hello"));
    pair.seconds(1);
    let unread = [(Kind::Text, b"unread".to_vec()), (Kind::Text, b"too".to_vec())];
    assert_eq!(pair.messages(1, theirs), unread);
    assert_eq!((pair.ends[1].state(theirs), pair.ends[1].buffered(theirs)), (None, 0));
}

#[test]
fn channels_come_and_go_without_leaving_anything() {
    let mut pair = Pair::new();
    pair.seconds(1);
    for round in 0..200 {
        let from = round % 2;
        let (ours, theirs) = pair.open(from, named("x"));
        pair.send(from, ours, Outgoing::text("hi"));
        pair.seconds(1);
        assert_eq!(pair.messages(1 - from, theirs).len(), 1);
        pair.ends[round / 2 % 2].close(pair.now, if round / 2 % 2 == from { ours } else { theirs });
        pair.seconds(2);
        assert!(pair.ends.iter().all(Channels::is_empty), "round {round}");
        pair.events = [Vec::new(), Vec::new()];
    }
}

/// An ACK that was lost and sent again comes between messages; the messages behind it must not be taken for
/// the end of a channel that the peer has closed meanwhile.
#[test]
fn messages_behind_a_late_ack_are_read_from_a_closed_channel() {
    let opened = |lost: u64| {
        let mut pair = Pair::new();
        pair.seconds(1);
        pair.link = Box::new(move |number| number != lost);
        let init = Init { ordered: false, ..Init::default() };
        let ours = pair.ends[0].open(pair.now, init).unwrap();
        loop {
            pair.run(Duration::from_millis(1));
            if let Some(theirs) = pair.incoming(1) {
                return (pair, ours, theirs);
            }
        }
    };
    // The packet with the ACK is the last of those so far.
    let (pair, ..) = opened(0);
    let (mut pair, ours, theirs) = opened(pair.count);
    pair.send(1, theirs, Outgoing::text("before"));
    pair.seconds(5);
    pair.send(1, theirs, Outgoing::text("behind"));
    pair.ends[1].close(pair.now, theirs);
    pair.seconds(5);
    let texts: Vec<Vec<u8>> = pair.messages(0, ours).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, [b"before", b"behind"]);
    pair.seconds(1);
    assert!(pair.take(0, Event::Closed { channel: ours, error: None }));
}

#[test]
fn an_open_longer_than_many_packets_opens_its_channel() {
    let mut pair = Pair::new();
    let (label, protocol) = ("l".repeat(65_535), "p".repeat(65_535));
    let init = Init { label: label.clone(), protocol: protocol.clone(), ..Init::default() };
    let (ours, theirs) = pair.open(0, init);
    assert_eq!(pair.ends[1].label(theirs), Some(label.as_str()));
    assert_eq!(pair.ends[1].protocol(theirs), Some(protocol.as_str()));
    pair.send(0, ours, Outgoing::text("heard"));
    pair.seconds(1);
    assert_eq!(pair.messages(1, theirs).len(), 1);
}

/// The peer answers the reset of a stream only if it has heard of it.
#[test]
fn a_channel_closed_before_there_was_room_for_its_open_still_ends() {
    let mut sctp = sctp::Config::default();
    sctp.send_buffer = 4096;
    let mut config = Config::default();
    config.sctp = std::sync::Arc::new(sctp);
    let mut pair = Pair::with(config);
    pair.seconds(1);
    let init = Init { label: "l".repeat(20_000), ..Init::default() };
    let ours = pair.ends[0].open(pair.now, init).unwrap();
    pair.ends[0].close(pair.now, ours);
    pair.seconds(5);
    let theirs = pair.incoming(1).expect("the peer sees the channel");
    assert!(pair.take(0, Event::Closed { channel: ours, error: None }));
    assert!(pair.take(1, Event::Closed { channel: theirs, error: None }));
}

#[test]
fn a_peer_that_begins_anew_can_open_the_same_streams() {
    let mut pair = Pair::new();
    let first = pair.ends[0].open(pair.now, Init { label: "a".into(), ..Init::default() }).unwrap();
    pair.run(Duration::from_secs(1));
    assert!(pair.ends[0].stream(first).is_some());
    let mut anew = Channels::new(pair.now, Config::default(), [3; 32]);
    anew.set_role(pair.now, Role::Client);
    pair.ends[0] = anew;
    let second = pair.ends[0].open(pair.now, Init { label: "b".into(), ..Init::default() }).unwrap();
    pair.events = [Vec::new(), Vec::new()];
    pair.run(Duration::from_secs(5));
    assert!(
        pair.events[1].iter().any(|event| matches!(event, Event::Incoming(_))),
        "{second:?} {:?}",
        pair.events
    );
}
