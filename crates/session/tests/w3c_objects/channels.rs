//! `RTCDataChannel` and createDataChannel.

use std::time::Duration;

use session::{
    ChannelId, ChannelInfo, ChannelInit, ChannelState, Event, OpenError, Outgoing, Reliability, SendError,
};
use testkit::epoch;

use crate::harness::Two;
use crate::harness::exchange::{answer, offer, parse};
use crate::{both, wait};

/// A channel that both sides have, opened by one or agreed upon.
fn pair(init: ChannelInit) -> (Two, [ChannelId; 2]) {
    let mut two = Two::new();
    let now = two.now();
    let is_negotiated = init.negotiated.is_some();
    let ours = two.session(0).open_channel(now, init.clone()).unwrap();
    let agreed = is_negotiated.then(|| two.session(1).open_channel(now, init).unwrap());
    two.negotiate(0);
    assert!(two.run(Duration::from_secs(10), Two::is_connected), "{}", two.reports());
    let theirs = agreed.unwrap_or_else(|| two.incoming(1));
    wait(&mut two, 200);
    (two, [ours, theirs])
}

fn kinds() -> [ChannelInit; 2] {
    let chat = ChannelInit::labelled("chat");
    [chat.clone(), ChannelInit { negotiated: Some(0), ..chat }]
}

fn said(info: ChannelInfo<'_>) -> (String, String, Option<u16>, bool, Option<u16>, Option<u16>) {
    let ChannelInfo { label, protocol, stream, ordered, max_retransmits, max_packet_life_time, .. } = info;
    (label.to_owned(), protocol.to_owned(), stream, ordered, max_retransmits, max_packet_life_time)
}

fn info(two: &mut Two, side: usize, id: ChannelId) -> ChannelInfo<'_> {
    two.session(side).channel(id).unwrap()
}

#[test]
fn what_a_channel_is_made_with_is_what_the_peer_learns() {
    let long = "l".repeat(65_535);
    let wide = "\u{20ac}".repeat(21_845);
    let life = |millis| Reliability::MaxLifetime(Duration::from_millis(millis));
    let mut cases = vec![(String::new(), String::new(), true, Reliability::Reliable)];
    for ordered in [true, false] {
        for reliability in [
            Reliability::Reliable,
            Reliability::MaxRetransmits(0),
            Reliability::MaxRetransmits(u16::MAX),
            life(0),
            life(65_535),
        ] {
            cases.push(("chat".to_owned(), "custom".to_owned(), ordered, reliability));
        }
    }
    cases.push((long.clone(), long, true, Reliability::Reliable));
    cases.push((wide.clone(), wide, true, Reliability::Reliable));
    for (label, protocol, ordered, reliability) in cases {
        let (mut two, [ours, theirs]) =
            pair(ChannelInit { label, protocol, ordered, reliability, negotiated: None });
        let own = said(info(&mut two, 0, ours));
        assert_eq!(own, said(info(&mut two, 1, theirs)));
        let expected = match reliability {
            Reliability::Reliable => (None, None),
            Reliability::MaxRetransmits(count) => (Some(count), None),
            Reliability::MaxLifetime(time) => (None, u16::try_from(time.as_millis()).ok()),
        };
        assert_eq!((own.3, (own.4, own.5)), (ordered, expected));
        assert!(own.2.is_some_and(|id| id < 65_535));
        assert!(!info(&mut two, 1, theirs).negotiated);
    }
}

#[test]
fn a_new_channel_has_its_defaults_and_no_number_before_the_role_is_known() {
    let [mut a, mut b] = both();
    let plain = a.open_channel(epoch(), ChannelInit::labelled("")).unwrap();
    let again = a.open_channel(epoch(), ChannelInit::labelled("")).unwrap();
    assert_ne!(plain, again, "labels need not differ");
    let fresh = a.channel(plain).unwrap();
    assert_eq!((fresh.state, fresh.negotiated, a.buffered(plain)), (ChannelState::Connecting, false, 0));
    assert_eq!(said(fresh), (String::new(), String::new(), None, true, None, None));
    let refused = a.send(epoch(), plain, &mut Outgoing::text("early")).unwrap_err();
    assert_eq!((refused, refused.name()), (SendError::NotOpen, "InvalidStateError"));
    let agreed = |id| ChannelInit { negotiated: Some(id), ..ChannelInit::labelled("agreed") };
    for id in [0, 1, 65_534] {
        let channel = a.open_channel(epoch(), agreed(id)).unwrap();
        assert_eq!(a.channel(channel).unwrap().stream, Some(id));
    }
    assert_eq!(a.open_channel(epoch(), agreed(65_535)).map(drop), Err(OpenError::OutOfRange));
    assert_eq!(a.open_channel(epoch(), agreed(1)).map(drop), Err(OpenError::InUse));
    // Beside a number that both have agreed on, the others are given when the role is known.
    let first = offer(&mut a);
    let text = answer(&mut b, first);
    a.set_remote(epoch(), session::SdpType::Answer, text).unwrap();
    let later = a.open_channel(epoch(), ChannelInit::labelled("later")).unwrap();
    let ids = [plain, again, later].map(|id| a.channel(id).unwrap().stream.unwrap());
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2] && !ids.contains(&1));
    assert_eq!(a.open_channel(epoch(), agreed(1)).map(drop), Err(OpenError::InUse));
    assert_eq!(a.open_channel(epoch(), agreed(ids[0])).map(drop), Err(OpenError::InUse));
    a.close(epoch());
    let refused = a.open_channel(epoch(), ChannelInit::labelled("")).unwrap_err();
    assert_eq!((refused, refused.name()), (OpenError::Closed, "InvalidStateError"));
}

#[test]
fn texts_are_as_long_as_the_protocol_has_it_and_not_a_byte_longer() {
    for (text, fits) in [
        ("l".repeat(65_535), true),
        ("l".repeat(65_536), false),
        ("\u{b5}".repeat(32_767), true),
        ("\u{b5}".repeat(32_768), false),
    ] {
        for negotiated in [None, Some(42)] {
            let plain = ChannelInit { negotiated, ..ChannelInit::labelled("") };
            for init in [
                ChannelInit { label: text.clone(), ..plain.clone() },
                ChannelInit { protocol: text.clone(), ..plain },
            ] {
                let [mut a, _] = both();
                let refused = a.open_channel(epoch(), init).err().map(|error| error.name());
                assert_eq!(refused, (!fits).then_some("TypeError"), "{}", text.len());
            }
        }
    }
}

/// RFC 8832 §6.
#[test]
fn the_client_has_even_numbers_and_the_server_odd_ones() {
    for (role, rest) in [("active", 1), ("passive", 0)] {
        let [mut a, mut b] = both();
        let first = a.open_channel(epoch(), ChannelInit::labelled("")).unwrap();
        let offered = offer(&mut a);
        let text = answer(&mut b, offered).to_string().replace("a=setup:active", &format!("a=setup:{role}"));
        a.set_remote(epoch(), session::SdpType::Answer, parse(&text)).unwrap();
        let second = a.open_channel(epoch(), ChannelInit::labelled("")).unwrap();
        let ids = [first, second].map(|id| a.channel(id).unwrap().stream.unwrap());
        assert!(ids.iter().all(|id| id % 2 == rest) && ids[0] != ids[1], "{role} {ids:?}");
    }
}

#[test]
fn what_is_buffered_is_what_was_handed_over_until_it_is_sent() {
    for init in kinds() {
        let (mut two, [ours, theirs]) = pair(init);
        assert_eq!([two.session(0).buffered(ours), two.session(1).buffered(theirs)], [0, 0]);
        let now = two.now();
        let text = "\u{4e16}\u{754c}\u{4f60}\u{597d}";
        two.session(0).send(now, ours, &mut Outgoing::text(text)).unwrap();
        assert_eq!(two.session(0).buffered(ours), text.len());
        for count in 1..4 {
            two.session(0).send(now, ours, &mut Outgoing::binary(&b"hello"[..])).unwrap();
            assert_eq!(two.session(0).buffered(ours), text.len() + 5 * count);
        }
        let mut came = 0;
        assert!(two.run(Duration::from_secs(1), |two| {
            came += two.messages(1, theirs).len();
            came == 4
        }));
        assert_eq!(two.session(0).buffered(ours), 0);
        // Nor does it fall when the channel is closed.
        let now = two.now();
        two.session(0).send(now, ours, &mut Outgoing::binary(&b"hello"[..])).unwrap();
        two.session(0).close_channel(now, ours);
        assert_eq!(two.session(0).buffered(ours), 5);
    }
}

#[test]
fn a_channel_that_one_side_closes_ends_on_both_without_an_error_and_once() {
    for init in kinds() {
        let (mut two, ids) = pair(init);
        let now = two.now();
        two.session(0).close_channel(now, ids[0]);
        assert_eq!(info(&mut two, 0, ids[0]).state, ChannelState::Closing);
        let refused = two.session(0).send(now, ids[0], &mut Outgoing::text("late"));
        assert_eq!(refused, Err(SendError::Closed));
        wait(&mut two, 500);
        let now = two.now();
        two.session(0).close(now);
        wait(&mut two, 1500);
        for side in [0, 1] {
            let closed = two.seen[side].iter().filter(|it| **it == Event::ChannelClosed(ids[side])).count();
            assert_eq!(closed, 1, "side {side}");
            assert!(two.session(side).channel(ids[side]).is_none_or(|it| it.state == ChannelState::Closed));
        }
    }
}

#[test]
fn channels_end_with_the_connection() {
    for init in kinds() {
        let (mut two, ids) = pair(init);
        let now = two.now();
        two.session(0).close(now);
        wait(&mut two, 1500);
        for side in [0, 1] {
            assert!(two.seen[side].contains(&Event::ChannelClosed(ids[side])), "side {side}");
        }
    }
}

#[test]
fn a_channel_of_the_peers_is_open_when_it_is_told_of_and_once() {
    let (mut two, [ours, theirs]) = pair(ChannelInit::labelled("fire-me!"));
    assert_eq!(info(&mut two, 1, theirs).state, ChannelState::Open);
    two.send(1, theirs, &b"at once"[..]);
    assert!(two.run(Duration::from_secs(1), |two| two.messages(0, ours) == [b"at once".to_vec()]));
    let told =
        |two: &Two, side: usize, event: Event| two.seen[side].iter().filter(|it| **it == event).count();
    assert_eq!(told(&two, 1, Event::ChannelOpened(theirs)), 1);
    assert_eq!(told(&two, 0, Event::ChannelOpen(ours)), 1);
    // One that both have agreed on is nobody's.
    let (two, [_, theirs]) = pair(kinds()[1].clone());
    assert_eq!(told(&two, 1, Event::ChannelOpened(theirs)), 0);
    assert_eq!(told(&two, 1, Event::ChannelOpen(theirs)), 1);
}

#[test]
fn a_channel_carries_messages_at_each_step_of_a_restart() {
    let (mut two, [ours, theirs]) = pair(ChannelInit::labelled("chat"));
    let now = two.now();
    two.session(0).restart_ice();
    let offered = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, session::SdpType::Offer, offered.clone()).unwrap();
    two.echo(ours, theirs);
    let now = two.now();
    two.session(1).set_remote(now, session::SdpType::Offer, offered).unwrap();
    two.echo(ours, theirs);
    let now = two.now();
    let answered = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, session::SdpType::Answer, answered.clone()).unwrap();
    two.echo(ours, theirs);
    let now = two.now();
    two.session(0).set_remote(now, session::SdpType::Answer, answered).unwrap();
    two.echo(ours, theirs);
}
