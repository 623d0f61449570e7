//! RFC 9260 §3.3.1, §6, §6.5, §6.6, §6.9: what comes, and how it is handed out.

use std::time::Duration;

use sctp::wire::{Chunk, Data};
use sctp::{Config, Discard, Ssn};

use crate::common::victim::{DATA, HEARTBEAT_ACK, SACK, Victim, find, kinds};

/// RFC 9260 §6.6: in order within a stream, however the TSNs came; other streams do not wait.
#[test]
fn ordered_messages_wait_for_their_turn_and_other_streams_do_not_wait_for_them() {
    let mut victim = Victim::new(Config::default());
    victim.give(&victim.message(2, 0, 1, b"second")).unwrap();
    victim.give(&victim.message(3, 5, 0, b"other")).unwrap();
    assert_eq!((victim.read(0).len(), victim.read(5)), (0, vec![b"other".to_vec()]));
    victim.give(&victim.message(1, 7, 0, b"more")).unwrap();
    assert_eq!(victim.read(0).len(), 0);
    victim.give(&victim.message(0, 0, 0, b"first")).unwrap();
    assert_eq!(victim.read(0), [&b"first"[..], b"second"]);
}

/// RFC 9260 §3.3.1, §6.6: unordered messages are handed out as they come, whatever their number says.
#[test]
fn unordered_messages_are_handed_out_at_once_and_their_number_is_ignored() {
    let mut victim = Victim::new(Config::default());
    for (ahead, ssn) in [(5, 9), (3, 65_535), (1, 0), (4, 9)] {
        let payload = [ahead as u8];
        let data = victim.data(ahead, true, true, &payload);
        victim.give(&Chunk::Data(Data { ssn: Ssn(ssn), ..data })).unwrap();
        assert_eq!(victim.read(0), [payload], "{ahead}");
    }
    // Nor do they move the number of the ordered ones.
    victim.give(&victim.message(0, 0, 0, b"ordered")).unwrap();
    assert_eq!(victim.read(0), [b"ordered"]);
}

/// RFC 9260 §6.9: fragments become messages in whatever order they come; unordered ones overtake.
#[test]
fn fragments_become_messages_in_any_order_of_arrival() {
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]];
    for unordered in [false, true] {
        for order in orders {
            let mut victim = Victim::new(Config::default());
            for ahead in order {
                let payload = [ahead as u8; 3];
                let data = victim.data(ahead, ahead == 0, ahead == 3, &payload);
                victim.give(&Chunk::Data(Data { unordered, ..data })).unwrap();
            }
            let read: Vec<u8> = victim.read(0).concat();
            assert_eq!(read, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], "{order:?} {unordered}");
        }
    }
}

/// RFC 9260 §6: DATA counts only in the states that it may come in, and SACKs likewise.
#[test]
fn data_is_taken_only_where_it_may_come() {
    // Before there is an association, and while the peer is finishing.
    let mut asking = Victim::asking(Config::default());
    asking.tag = asking.tag.max(1);
    assert!(asking.give(&asking.message(0, 0, 0, b"x")).is_err());
    let mut echoing = Victim::echoing(Config::default());
    assert_eq!(echoing.give(&echoing.message(0, 0, 0, b"x")), Err(Discard::UnexpectedChunk));
    assert_eq!(kinds(&echoing.sent()), [0u8; 0]);
    let mut finishing = Victim::new(Config::default());
    let cumulative = finishing.theirs.plus(u32::MAX);
    finishing.give(&Chunk::Shutdown { cumulative }).unwrap();
    finishing.sent();
    assert_eq!(finishing.give(&finishing.message(0, 0, 0, b"x")), Err(Discard::UnexpectedChunk));
    assert!(finishing.read(0).is_empty());
    // While we finish, it is.
    let mut victim = Victim::new(Config::default());
    victim.end.shutdown(victim.now);
    victim.sent();
    victim.give(&victim.message(0, 0, 0, b"late")).unwrap();
    assert_eq!(victim.read(0), [b"late"]);
}

/// RFC 9260 §3.3.6, §8.3: a HEARTBEAT comes back as it was.
#[test]
fn a_heartbeat_is_answered_with_its_own_bytes() {
    let mut victim = Victim::new(Config::default());
    for len in [0, 1, 4, 40, 594] {
        let info: Vec<u8> = (0..len).map(|at| at as u8).collect();
        victim.give(&Chunk::Heartbeat(&info)).unwrap();
        let sent = victim.sent();
        let Some(Chunk::HeartbeatAck(back)) = find(&sent, HEARTBEAT_ACK) else { panic!("{len}") };
        assert_eq!(back, info);
    }
    // One that leaves no room for anything else is answered alone; what a packet of ours cannot hold is not.
    for (len, answered) in [(595u16, true), (1172, true), (1173, false)] {
        let info: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let taken = victim.give(&Chunk::Heartbeat(&info));
        victim.end.open(sctp::StreamId(len), Default::default()).unwrap();
        victim
            .end
            .send(victim.now, sctp::StreamId(len), sctp::Ppid(53), &mut vec![0; 9].into(), true)
            .unwrap();
        let sent = victim.sent();
        if answered {
            let Some(Chunk::HeartbeatAck(back)) = find(&sent, HEARTBEAT_ACK) else { panic!("{len}") };
            assert_eq!((back, kinds(&sent), taken), (&info[..], vec![HEARTBEAT_ACK, DATA], Ok(())));
        } else {
            assert_eq!((kinds(&sent), taken), (vec![DATA], Err(Discard::NoRoom)));
        }
        assert!(sent.iter().all(|packet| packet.len() <= 1188));
    }
    // RFC 9260 §12.5: nor would its answer and one to what came with it be one packet.
    let tag = victim.tag;
    victim.give_under(tag, &[Chunk::Heartbeat(&[0; 595]), victim.message(0, 0, 0, b"x")]).unwrap();
    assert_eq!(kinds(&victim.sent()), [SACK]);
    // Only the answer to the last of ours counts.
    assert_eq!(victim.give(&Chunk::HeartbeatAck(b"\0\x01\0\x0cwrong567")), Err(Discard::UnexpectedChunk));
}

/// RFC 9260 §12.5: one packet calls forth one packet at most, beside data.
#[test]
fn a_packet_of_many_chunks_is_answered_by_one_packet() {
    let mut victim = Victim::new(Config::default());
    let reset =
        crate::common::victim::parameter(&sctp::wire::Parameter::AssociationReset { request: victim.next.0 });
    let chunks = [
        Chunk::Heartbeat(b"\0\x01\0\x08beat"),
        Chunk::Unknown { kind: 0xc7, flags: 0, value: &[1; 300] },
        Chunk::Heartbeat(b"\0\x01\0\x08more"),
        Chunk::Unknown { kind: 0xc8, flags: 0, value: &[1; 300] },
        Chunk::Reconfig(sctp::wire::Parameters::decode(&reset).unwrap()),
        victim.message(1, 0, 0, b"x"),
        victim.message(2, 0, 1, b"y"),
    ];
    let tag = victim.tag;
    victim.give_under(tag, &chunks).unwrap();
    let sent = victim.sent();
    assert_eq!(sent.len(), 1, "{:?}", kinds(&sent));
    assert!([SACK, HEARTBEAT_ACK].iter().all(|kind| kinds(&sent).contains(kind)) && sent[0].len() <= 1188);
    assert!(victim.run(Duration::from_millis(500)).is_empty());
}

/// RFC 9260 §6.9, §6.6: a message whose fragments have all come is handed out although something before it is missing,
/// in whatever order they came: an unordered one, and an ordered one whose turn it is.
#[test]
fn a_whole_message_above_a_gap_is_handed_out_before_the_gap_closes() {
    for unordered in [false, true] {
        for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
            let mut victim = Victim::new(Config::default());
            for (nth, ahead) in order.into_iter().enumerate() {
                assert!(victim.read(0).is_empty(), "{order:?} {nth}");
                let payload = [ahead as u8];
                let data = victim.data(ahead, ahead == 1, ahead == 3, &payload);
                victim.give(&Chunk::Data(Data { unordered, ..data })).unwrap();
            }
            assert_eq!(victim.read(0), [[1], [2], [3]], "{order:?} {unordered}");
            // The one that was missing is of another stream; the next of this one has its turn.
            victim.give(&victim.message(5, 0, u16::from(!unordered), b"next")).unwrap();
            assert_eq!(victim.read(0), [b"next"], "{order:?} {unordered}");
            victim.give(&victim.message(0, 1, 0, b"missing")).unwrap();
            assert_eq!((victim.read(1).len(), victim.read(0).len()), (1, 0));
        }
    }
}

/// What is looked through for each fragment is bounded: a message of more than 33 waits until the gap closes.
#[test]
fn a_message_of_many_fragments_above_a_gap_waits_until_it_closes() {
    for (fragments, early) in [(33, true), (34, false), (60, false), (200, false)] {
        let mut victim = Victim::new(Config::default());
        for ahead in 1..=fragments {
            victim.give(&Chunk::Data(victim.data(ahead, ahead == 1, ahead == fragments, b"x"))).unwrap();
        }
        let count = victim.read(0).len();
        assert_eq!(count, if early { fragments as usize } else { 0 }, "{fragments}");
        victim.give(&victim.message(0, 1, 0, b"missing")).unwrap();
        assert_eq!(count + victim.read(0).len(), fragments as usize);
    }
}

/// RFC 9260 §6.9: fragments are of one message if their TSNs follow each other and all else is equal. What only looks like
/// one is not handed out, and ends the association when its turn comes.
#[test]
fn fragments_that_do_not_belong_together_never_become_a_message() {
    type Change = fn(&mut Data<'_>);
    let changes: [(&str, Change); 3] = [
        ("another stream", |data| data.stream = sctp::StreamId(1)),
        ("another U bit", |data| data.unordered = !data.unordered),
        ("another number", |data| data.ssn = Ssn(1)),
    ];
    for (what, change) in changes {
        let mut victim = Victim::new(Config::default());
        let mut ordered = |ahead: u32, begin: bool, end: bool, change: Option<Change>| {
            let mut data = Data { unordered: false, ..victim.data(ahead, begin, end, b"x") };
            change.into_iter().for_each(|change| change(&mut data));
            victim.give(&Chunk::Data(data)).unwrap();
            (victim.read(0).len(), victim.read(1).len())
        };
        assert_eq!(ordered(1, true, false, None), (0, 0));
        assert_eq!(ordered(2, false, false, Some(change)), (0, 0), "{what}");
        assert_eq!(ordered(3, false, true, None), (0, 0), "{what}");
        victim.give(&Chunk::Data(victim.data(0, true, true, b"missing"))).unwrap();
        assert_eq!(
            victim.events.last(),
            Some(&sctp::Event::Closed(sctp::CloseReason::Violation(sctp::Violation::Fragments))),
            "{what}"
        );
    }
}
