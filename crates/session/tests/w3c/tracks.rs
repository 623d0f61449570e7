//! `addTrack`, `removeTrack`, `addTransceiver` and what a `track` event says.

use session::{Direction, MediaKind, SdpType, SendEncoding, TransceiverError, TransceiverInit};
use testkit::epoch;

use crate::harness::exchange::{answer, both, directions, fresh, lines, negotiate, offer, only, parse};
use crate::{add, mids, states, track, tracks};

#[test]
fn a_new_transceiver_has_a_direction_and_nothing_else() {
    let mut a = fresh(0);
    assert!(a.transceivers().next().is_none());
    let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    for (number, direction) in all.into_iter().enumerate() {
        let kind = [MediaKind::Audio, MediaKind::Video][number % 2];
        let id = add(&mut a, kind, direction);
        let info = a.transceiver(id).unwrap();
        assert_eq!(
            (info.kind, info.direction, info.current_direction, info.mid),
            (kind, direction, None, None)
        );
        assert!(!info.is_stopping && info.remote_streams.is_empty());
        assert_eq!(a.transceivers().count(), number + 1);
    }
    let id = track(&mut fresh(1), MediaKind::Audio, &["s"]);
    assert_eq!(track(&mut fresh(1), MediaKind::Audio, &[]), id, "of another session");
}

#[test]
fn a_track_takes_a_transceiver_that_has_none_and_has_not_sent() {
    for (kind, direction, is_taken) in [
        (MediaKind::Audio, Direction::RecvOnly, true),
        (MediaKind::Audio, Direction::SendRecv, true),
        (MediaKind::Video, Direction::RecvOnly, false),
    ] {
        let mut a = fresh(0);
        let id = add(&mut a, kind, direction);
        let taken = track(&mut a, MediaKind::Audio, &[]);
        assert_eq!(taken == id, is_taken);
        assert_eq!(a.transceiver(taken).unwrap().direction, Direction::SendRecv);
    }
    // Two with tracks stay two, and one that has sent is not taken.
    let [mut a, mut b] = both();
    for _ in 0..2 {
        a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).unwrap();
    }
    negotiate(&mut a, &mut b);
    let first = a.transceivers().next().unwrap().0;
    a.remove_track(epoch(), first).unwrap();
    track(&mut a, MediaKind::Audio, &[]);
    assert_eq!(a.transceivers().count(), 3);
}

#[test]
fn both_ways_need_one_transceiver() {
    let [mut a, mut b] = both();
    let ours = track(&mut a, MediaKind::Audio, &["s"]);
    let offered = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    let theirs = only(&b);
    assert_eq!(track(&mut b, MediaKind::Audio, &["t"]), theirs);
    assert_eq!(directions(&b), [(Direction::SendRecv, None)]);
    let (_, answered) = b.make_local(epoch()).unwrap();
    a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
    let both_ways = [(Direction::SendRecv, Some(Direction::SendRecv))];
    assert_eq!((directions(&a), directions(&b)), (both_ways.to_vec(), both_ways.to_vec()));
    assert_eq!(tracks(&mut a), [(ours, true)]);
}

#[test]
fn a_track_that_is_removed_leaves_the_way_in() {
    let cases = [
        (Direction::SendRecv, Direction::SendRecv, Direction::RecvOnly),
        (Direction::SendOnly, Direction::SendOnly, Direction::Inactive),
        (Direction::RecvOnly, Direction::RecvOnly, Direction::RecvOnly),
        (Direction::Inactive, Direction::Inactive, Direction::Inactive),
    ];
    for (before, current, after) in cases {
        let [mut a, mut b] = both();
        let mut init = TransceiverInit::default();
        init.direction = before;
        let id = a.add_transceiver(epoch(), MediaKind::Audio, init).unwrap();
        if before.receives() {
            track(&mut b, MediaKind::Audio, &[]);
        }
        negotiate(&mut a, &mut b);
        assert_eq!(a.transceiver(id).unwrap().current_direction, Some(current));
        for _ in 0..2 {
            a.remove_track(epoch(), id).unwrap();
            let info = a.transceiver(id).unwrap();
            assert_eq!((info.direction, info.current_direction), (after, Some(current)));
        }
    }
}

/// With an error where the specification throws one, and where nothing would be done.
#[test]
fn a_closed_session_and_a_stopped_transceiver_take_nothing() {
    let [mut a, mut b] = both();
    let id = track(&mut a, MediaKind::Audio, &["s"]);
    negotiate(&mut a, &mut b);
    a.stop_transceiver(epoch(), id).unwrap();
    assert_eq!(a.remove_track(epoch(), id), Err(TransceiverError::Stopped));
    let other = track(&mut a, MediaKind::Audio, &[]);
    a.close(epoch());
    let closed = Err(TransceiverError::Closed);
    assert_eq!(a.remove_track(epoch(), other), closed);
    assert_eq!(a.set_direction(epoch(), other, Direction::RecvOnly), closed);
    assert_eq!(a.set_streams(epoch(), other, vec![]), closed);
    assert_eq!(a.stop_transceiver(epoch(), other), closed);
    assert_eq!(a.add_track(epoch(), MediaKind::Audio, vec![]).map(drop), closed);
    assert_eq!(a.add_transceiver(epoch(), MediaKind::Audio, TransceiverInit::default()).map(drop), closed);
    assert_eq!(TransceiverError::Closed.name(), "InvalidStateError");
}

#[test]
fn layers_have_names_that_are_some() {
    for bad in ["@Invalid!", &"a".repeat(37), ""] {
        assert!(SendEncoding::named(bad).is_none(), "{bad}");
    }
    let mut a = fresh(0);
    let mut init = TransceiverInit::default();
    let mut layer = SendEncoding::named("foo").unwrap();
    (layer.is_paused, layer.max_bitrate, layer.max_framerate) = (true, Some(8), Some(25.0));
    init.send_encodings = vec![layer];
    let id = a.add_transceiver(epoch(), MediaKind::Video, init).unwrap();
    assert!(a.transceiver(id).unwrap().encodings[0].wanted.is_paused);
}

#[test]
fn a_track_event_comes_for_what_is_sent_and_for_nothing_else() {
    for (direction, comes) in [
        (Direction::SendRecv, true),
        (Direction::SendOnly, true),
        (Direction::RecvOnly, false),
        (Direction::Inactive, false),
    ] {
        let [mut a, mut b] = both();
        let mut init = TransceiverInit::default();
        (init.direction, init.streams) = (direction, vec!["stream1".into()]);
        a.add_transceiver(epoch(), MediaKind::Audio, init).unwrap();
        // Also where the section names its stream although it sends nothing.
        let offered = a.create_offer(epoch()).unwrap().to_string();
        let offered = if direction.sends() {
            offered
        } else {
            offered.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=msid:stream1 track1\r\n")
        };
        b.set_remote(epoch(), SdpType::Offer, parse(&offered)).unwrap();
        let id = only(&b);
        let told: &[_] = if comes { &[(id, true)] } else { &[] };
        assert_eq!(tracks(&mut b), told, "{direction:?}");
        let info = b.transceiver(id).unwrap();
        assert_eq!((info.direction, info.remote_streams.len()), (Direction::RecvOnly, usize::from(comes)));
    }
}

#[test]
fn track_events_come_in_the_order_of_sections_behind_the_state() {
    let [mut a, mut b] = both();
    for kind in [MediaKind::Audio, MediaKind::Video, MediaKind::Video, MediaKind::Audio] {
        add(&mut a, kind, Direction::SendRecv);
    }
    let offered = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
    assert!(matches!(b.poll_event(), Some(session::Event::SignalingState(_))));
    let order: Vec<_> = b.transceivers().map(|(id, _)| (id, true)).collect();
    assert_eq!(tracks(&mut b), order);
}

/// An offer to receive both is answered with one.
#[test]
fn what_the_answer_does_not_send_has_no_track() {
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let [mut a, mut b] = both();
        let ours = [MediaKind::Audio, MediaKind::Video].map(|kind| add(&mut a, kind, Direction::RecvOnly));
        track(&mut b, kind, &["s"]);
        negotiate(&mut a, &mut b);
        assert_eq!(tracks(&mut a), [(ours[usize::from(kind == MediaKind::Video)], true)]);
        assert_eq!(tracks(&mut b), []);
    }
}

#[test]
fn a_direction_that_comes_back_brings_the_track_back() {
    let [mut a, mut b] = both();
    let ours = track(&mut a, MediaKind::Audio, &["s"]);
    negotiate(&mut a, &mut b);
    let id = only(&b);
    assert_eq!(tracks(&mut b), [(id, true)]);
    for (direction, comes) in [(Direction::Inactive, false), (Direction::SendRecv, true)] {
        a.set_direction(epoch(), ours, direction).unwrap();
        negotiate(&mut a, &mut b);
        assert_eq!(tracks(&mut b), [(id, comes)]);
    }
}

/// One that only received may send later, and a second one beside it.
#[test]
fn a_transceiver_that_received_sends_after_another_exchange() {
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let [mut a, mut b] = both();
        let id = add(&mut a, kind, Direction::RecvOnly);
        negotiate(&mut a, &mut b);
        assert_eq!(directions(&b), [(Direction::RecvOnly, Some(Direction::Inactive))]);
        a.set_direction(epoch(), id, Direction::SendRecv).unwrap();
        add(&mut a, kind, Direction::RecvOnly);
        let offered = offer(&mut a);
        b.set_remote(epoch(), SdpType::Offer, offered).unwrap();
        let (second, _) = b.transceivers().nth(1).unwrap();
        b.set_direction(epoch(), second, Direction::SendOnly).unwrap();
        let (_, answered) = b.make_local(epoch()).unwrap();
        a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
        let expected = [
            (Direction::SendRecv, Some(Direction::SendOnly)),
            (Direction::RecvOnly, Some(Direction::RecvOnly)),
        ];
        assert_eq!(directions(&a), expected);
    }
}

#[test]
fn what_waits_to_send_is_for_the_section_that_receives() {
    let mut a = fresh(0);
    for direction in [Direction::SendOnly, Direction::RecvOnly] {
        add(&mut a, MediaKind::Audio, direction);
    }
    let mut b = fresh(1);
    let ours = track(&mut b, MediaKind::Audio, &[]);
    let offered = offer(&mut a);
    answer(&mut b, offered);
    assert_eq!(b.transceiver(ours).unwrap().mid, mids(&a)[1].as_deref());
}

#[test]
fn sections_name_each_stream_once_and_none_with_a_dash() {
    for (streams, expected) in
        [(&[][..], &["-"][..]), (&["x"], &["x"]), (&["x", "y"], &["x", "y"]), (&["x", "x"], &["x"])]
    {
        let named = || streams.iter().map(|&stream| stream.to_owned()).collect::<Vec<_>>();
        for way in 0..3 {
            let mut a = fresh(0);
            let mut init = TransceiverInit::default();
            match way {
                0 => _ = a.add_track(epoch(), MediaKind::Audio, named()).unwrap(),
                1 => {
                    init.streams = named();
                    a.add_transceiver(epoch(), MediaKind::Audio, init).unwrap();
                }
                _ => {
                    let id = a.add_transceiver(epoch(), MediaKind::Audio, init).unwrap();
                    a.set_streams(epoch(), id, named()).unwrap();
                }
            }
            let text = a.create_offer(epoch()).unwrap().to_string();
            let found: Vec<&str> = lines(&text, "a=msid:")
                .into_iter()
                .map(|line| line["a=msid:".len()..].split(' ').next().unwrap())
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
    let mut data = fresh(0);
    data.open_channel(epoch(), session::ChannelInit::labelled("foo")).unwrap();
    assert!(lines(&data.create_offer(epoch()).unwrap().to_string(), "a=msid:").is_empty());
}

#[test]
fn streams_are_read_from_what_the_peer_names() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("a=msid:- foobar\r\n", &[]),
        ("a=msid:foo bar\r\n", &["foo"]),
        ("a=msid:foo bar\r\na=msid:baz bar\r\n", &["foo", "baz"]),
        ("a=msid:foo\r\n", &["foo"]),
    ];
    for (named, streams) in cases {
        let [mut a, mut b] = both();
        add(&mut a, MediaKind::Audio, Direction::SendRecv);
        let text = a.create_offer(epoch()).unwrap().to_string();
        let own = format!("{}\r\n", lines(&text, "a=msid:")[0]);
        b.set_remote(epoch(), SdpType::Offer, parse(&text.replace(&own, named))).unwrap();
        let id = only(&b);
        assert_eq!(b.transceiver(id).unwrap().remote_streams, *streams, "{named}");
        assert_eq!(tracks(&mut b), [(id, true)]);
        assert_eq!(states(&mut b), []);
    }
}

/// That it joins another stream, which was not read yet, does not hide that it goes.
#[test]
fn a_known_track_that_joins_a_stream_and_goes_is_told_to_go() {
    for is_stopped in [false, true] {
        let [mut a, mut b] = both();
        let ours = track(&mut a, MediaKind::Audio, &["s"]);
        negotiate(&mut a, &mut b);
        let theirs = only(&b);
        assert_eq!(tracks(&mut b), [(theirs, true)]);
        a.set_streams(epoch(), ours, vec!["s".to_owned(), "t".to_owned()]).unwrap();
        let answered = answer(&mut b, offer(&mut a));
        a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
        if is_stopped {
            a.stop_transceiver(epoch(), ours).unwrap();
        } else {
            a.remove_track(epoch(), ours).unwrap();
        }
        negotiate(&mut a, &mut b);
        assert_eq!(tracks(&mut b), [(theirs, false)]);
    }
}
