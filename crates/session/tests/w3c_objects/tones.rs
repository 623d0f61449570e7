//! `RTCDTMFSender`. What is played when is shown in media/tests/tones.rs.

use std::time::Duration;

use session::{Direction, DtmfError, Event, MediaKind, SenderEvent, Session, TransceiverId};
use testkit::epoch;

use crate::harness::Two;
use crate::harness::exchange::negotiate;
use crate::{both, call, wait};

fn press(
    session: &mut Session,
    now: proto::Instant,
    id: TransceiverId,
    tones: &str,
) -> Result<(), DtmfError> {
    session.insert_dtmf(now, id, tones, Duration::from_millis(100), Duration::from_millis(70))
}

/// The tones that began.
fn began(two: &Two) -> Vec<Option<char>> {
    let tone = |event: &Event| match event {
        Event::Sender(_, SenderEvent::Tone(tone)) => Some(*tone),
        _ => None,
    };
    two.seen[0].iter().filter_map(tone).collect()
}

#[test]
fn keys_are_taken_in_either_case_and_nothing_else_is() {
    let (mut two, ids) = call(&[MediaKind::Audio]);
    let (id, now) = (ids[0][0], two.now());
    let session = two.session(0);
    for tones in ["", "012345689", "ABCD", "abcd", "#*", ",", "0123456789ABCDabcd#*,"] {
        assert_eq!(press(session, now, id, tones), Ok(()), "{tones}");
        assert_eq!(session.tone_buffer(id), tones.to_uppercase());
    }
    for (tones, wrong) in [("123FFABC", 'F'), ("E", 'E'), ("# *", ' ')] {
        let refused = press(session, now, id, tones).unwrap_err();
        assert_eq!((refused, refused.name()), (DtmfError::Unknown(wrong), "InvalidCharacterError"));
        assert_eq!(session.tone_buffer(id), "0123456789ABCDABCD#*,", "what waits is as it was");
    }
}

#[test]
fn nothing_is_played_before_there_is_a_connection_nor_without_sending() {
    let [mut a, mut b] = both();
    let id = a.add_track(epoch(), MediaKind::Audio, vec![]).unwrap();
    let refused = press(&mut a, epoch(), id, "").unwrap_err();
    assert_eq!((refused, refused.name()), (DtmfError::NotAllowed, "InvalidStateError"));
    negotiate(&mut a, &mut b);
    assert!(!a.can_insert_dtmf(id), "not connected yet");
    for direction in [Direction::RecvOnly, Direction::Inactive] {
        let (mut two, ids) = call(&[MediaKind::Audio]);
        let (id, now) = (ids[0][0], two.now());
        assert!(two.session(0).can_insert_dtmf(id));
        two.session(0).set_direction(now, id, direction).unwrap();
        assert!(two.session(0).can_insert_dtmf(id), "what was agreed upon counts");
        two.negotiate(0);
        assert_eq!(press(two.session(0), now, id, ""), Err(DtmfError::NotAllowed));
    }
    let (mut two, ids) = call(&[MediaKind::Audio]);
    let (id, now) = (ids[0][0], two.now());
    let session = two.session(0);
    let mut parameters = session.sender_parameters(id).unwrap();
    parameters.encodings[0].is_paused = true;
    session.set_sender_parameters(now, id, parameters).unwrap();
    assert_eq!(press(session, now, id, "1"), Err(DtmfError::NotAllowed), "its stream is paused");
    session.stop_transceiver(now, id).unwrap();
    assert_eq!(press(session, now, id, ""), Err(DtmfError::NotAllowed));
}

#[test]
fn no_tone_begins_once_it_is_stopped_or_sends_no_more() {
    let ends: [fn(&mut Two, TransceiverId); 2] = [
        |two, id| {
            let now = two.now();
            two.session(0).stop_transceiver(now, id).unwrap();
        },
        |two, id| {
            let now = two.now();
            two.session(0).set_direction(now, id, Direction::RecvOnly).unwrap();
            two.negotiate(0);
        },
    ];
    for end in ends {
        let (mut two, ids) = call(&[MediaKind::Audio]);
        let now = two.now();
        press(two.session(0), now, ids[0][0], "ABC").unwrap();
        wait(&mut two, 250);
        assert_eq!(began(&two), [Some('A'), Some('B')]);
        end(&mut two, ids[0][0]);
        wait(&mut two, 1000);
        assert_eq!(began(&two).len(), 2);
    }
}

#[test]
fn none_at_all_tells_nothing_alone_and_ends_what_plays() {
    let (mut two, ids) = call(&[MediaKind::Audio]);
    let now = two.now();
    press(two.session(0), now, ids[0][0], "").unwrap();
    wait(&mut two, 300);
    assert!(began(&two).is_empty());
    let now = two.now();
    press(two.session(0), now, ids[0][0], "ABC").unwrap();
    wait(&mut two, 200);
    let now = two.now();
    press(two.session(0), now, ids[0][0], "").unwrap();
    wait(&mut two, 500);
    assert_eq!(began(&two), [Some('A'), Some('B'), None]);
}
