//! `RTCSctpTransport`, `RTCDtlsTransport`.

use std::time::Duration;

use session::{ChannelInit, OpenError, Outgoing, SdpType, SendError, Session};
use testkit::epoch;

use crate::both;
use crate::harness::exchange::{answer, negotiate, offer, parse};
use crate::harness::{Two, config, near};

fn with_channel(session: &mut Session) -> session::ChannelId {
    session.open_channel(epoch(), ChannelInit::labelled("chat")).unwrap()
}

/// RFC 8841 §6.1.
#[test]
fn the_largest_message_is_what_the_peer_says_and_64_kib_where_it_says_nothing() {
    for (said, largest) in
        [("", 65_536), ("a=max-message-size:1000\r\n", 1000), ("a=max-message-size:0\r\n", u64::MAX)]
    {
        let [mut a, mut b] = both();
        with_channel(&mut a);
        assert_eq!(a.max_message_size(), None);
        let text = offer(&mut a).to_string();
        assert_eq!(a.max_message_size(), None, "the peer has said nothing yet");
        let own = "a=max-message-size:262144\r\n";
        assert!(text.contains(own));
        answer(&mut b, parse(&text.replace(own, said)));
        assert_eq!(b.max_message_size(), Some(largest), "{said}");
    }
    // Another exchange says something else.
    let [mut a, mut b] = both();
    with_channel(&mut a);
    negotiate(&mut a, &mut b);
    assert_eq!([a.max_message_size(), b.max_message_size()], [Some(262_144); 2]);
    let text = offer(&mut a).to_string().replace("max-message-size:262144", "max-message-size:256");
    answer(&mut b, parse(&text));
    assert_eq!(b.max_message_size(), Some(256));
}

#[test]
fn an_offer_that_is_taken_back_leaves_no_size() {
    let [mut a, mut b] = both();
    with_channel(&mut a);
    let first = offer(&mut a);
    b.set_remote(epoch(), SdpType::Offer, first).unwrap();
    b.rollback(epoch()).unwrap();
    a.rollback(epoch()).unwrap();
    assert_eq!([a.max_message_size(), b.max_message_size()], [None; 2]);
}

#[test]
fn how_many_channels_there_may_be_is_known_once_connected_and_both_say_the_same() {
    let mut two = Two::new();
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    two.negotiate(0);
    assert_eq!([0, 1].map(|side| two.session(side).max_channels()), [None; 2]);
    assert!(two.run(Duration::from_secs(10), Two::is_connected), "{}", two.reports());
    two.incoming(1);
    let [one, other] = [0, 1].map(|side| two.session(side).max_channels());
    assert!(one.is_some_and(|count| count > 0));
    assert_eq!(one, other);
}

#[test]
fn a_message_of_the_largest_size_is_sent_and_of_one_byte_more_is_not() {
    let configs = [0, 1].map(|side| {
        let mut config = config(side);
        config.limits.max_message_size = 4096;
        config
    });
    for negotiated in [None, Some(0)] {
        let mut two = Two::with(configs.clone(), near());
        let now = two.now();
        let init = ChannelInit { negotiated, ..ChannelInit::labelled("chat") };
        let ours = two.session(0).open_channel(now, init.clone()).unwrap();
        let agreed = negotiated.map(|_| two.session(1).open_channel(now, init).unwrap());
        two.negotiate(0);
        assert!(two.run(Duration::from_secs(10), Two::is_connected), "{}", two.reports());
        let theirs = agreed.unwrap_or_else(|| two.incoming(1));
        let limit = two.session(0).max_message_size().unwrap();
        let mut size = 8;
        while size <= usize::try_from(limit).unwrap() {
            two.send(0, ours, vec![7; size]);
            let came = two.run(Duration::from_secs(5), |two| two.messages(1, theirs) == [vec![7; size]]);
            assert!(came, "{size}");
            size *= 2;
        }
        let now = two.now();
        let refused = two.session(0).send(now, ours, &mut Outgoing::binary(vec![7; size])).unwrap_err();
        assert_eq!((refused, refused.name()), (SendError::TooLarge { limit }, "TypeError"));
    }
}

#[test]
fn the_peers_certificate_is_shown_once_connected() {
    let mut two = Two::new();
    assert!(two.session(0).peer_certificate().is_none());
    two.connect();
    for side in [0, 1] {
        assert!(two.session(side).peer_certificate().is_some_and(|der| der.len() > 100));
    }
}

#[test]
fn errors_have_the_names_of_the_specification() {
    for (error, name) in [
        (OpenError::TooMany, "OperationError"),
        (OpenError::InUse, "OperationError"),
        (OpenError::OutOfRange, "TypeError"),
        (OpenError::TooLong, "TypeError"),
        (OpenError::Closed, "InvalidStateError"),
    ] {
        assert_eq!(error.name(), name);
    }
    for (error, name) in [
        (SendError::Blocked, "OperationError"),
        (SendError::TooLarge { limit: 1 }, "TypeError"),
        (SendError::UnknownChannel, "InvalidStateError"),
        (SendError::NotOpen, "InvalidStateError"),
        (SendError::Closed, "InvalidStateError"),
    ] {
        assert_eq!(error.name(), name);
    }
    let [mut a, _] = both();
    let early = a.add_remote_candidate(epoch(), "candidate:1 1 udp 1 192.0.2.9 9 typ host", None, None, None);
    assert_eq!(early.unwrap_err().name(), "InvalidStateError");
    let [mut a, mut b] = both();
    with_channel(&mut a);
    negotiate(&mut a, &mut b);
    for (candidate, mid, ufrag) in [
        ("candidate:garbage", Some("0"), None),
        ("candidate:1 1 udp 1 192.0.2.9 9 typ host", Some("no such"), None),
        ("candidate:1 1 udp 1 192.0.2.9 9 typ host", Some("0"), Some("nope")),
    ] {
        let refused = a.add_remote_candidate(epoch(), candidate, mid, None, ufrag).unwrap_err();
        assert_eq!(refused.name(), "OperationError", "{refused:?}");
    }
}
