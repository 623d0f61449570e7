//! RFC 9260 §3.3.7 to §3.3.9, §4, §8.4, §8.5.1, §9: how an association ends, and what is said after.

use std::time::Duration;

use sctp::wire::{Causes, Chunk, Packet};
use sctp::{CloseReason, Config, Discard, Event, SendError, StreamId, StreamOptions};

use crate::common::victim::{
    ABORT, DATA, PEER_TAG, SACK, SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE, Victim, complaint, data, find,
    kinds, raw,
};

const NONE: [u8; 0] = [];

fn with_data(bytes: usize) -> Victim {
    let mut victim = Victim::new(Config::default());
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; bytes].into(), true).unwrap();
    victim
}

fn refuses_to_send(victim: &mut Victim) -> bool {
    let sent = victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 1].into(), true);
    sent == Err(SendError::Closed)
}

/// RFC 9260 §9.2, the side that begins: all is sent first; then SHUTDOWN, again and again, with news of what came.
#[test]
fn a_shutdown_waits_for_our_data_and_hears_the_peers() {
    let mut victim = with_data(3000);
    victim.end.shutdown(victim.now);
    assert!(refuses_to_send(&mut victim));
    assert_eq!(kinds(&victim.sent()), [DATA; 3]);
    victim.acknowledge(2, 1 << 20, &[]).unwrap();
    assert_eq!(kinds(&victim.sent()), [SHUTDOWN]);
    assert!(refuses_to_send(&mut victim));
    // DATA that comes now is answered at once with a SHUTDOWN; where that cannot tell all, a SACK goes with it.
    for (ahead, expected) in [(0, &[SHUTDOWN, SACK][..]), (2, &[SHUTDOWN, SACK]), (1, &[SHUTDOWN, SACK])] {
        victim.give(&victim.message(ahead, 0, ahead as u16, b"x")).unwrap();
        let sent = victim.sent();
        assert_eq!(kinds(&sent), expected, "{ahead}");
        let Some(Chunk::Shutdown { cumulative }) = find(&sent, SHUTDOWN) else { panic!() };
        assert_eq!(cumulative, victim.next.plus([0, 2, 0][ahead as usize]), "{ahead}");
    }
    // T2 sends it again, with what came last.
    let again = victim.run(Duration::from_secs(3));
    let again = again.first().map(|(_, packet)| packet.clone()).into_iter().collect::<Vec<_>>();
    let Some(Chunk::Shutdown { cumulative }) = find(&again, SHUTDOWN) else { panic!() };
    assert_eq!(cumulative, victim.next.plus(2));
    victim.give(&Chunk::ShutdownAck).unwrap();
    let sent = victim.sent();
    assert_eq!(kinds(&sent), [SHUTDOWN_COMPLETE]);
    assert!(matches!(find(&sent, SHUTDOWN_COMPLETE), Some(Chunk::ShutdownComplete { reflected: false })));
    assert_eq!(Packet::decode(&sent[0]).unwrap().tag, PEER_TAG);
    assert_eq!(victim.events.last(), Some(&Event::Closed(CloseReason::Shutdown)));
    assert_eq!(victim.end.poll_timeout(), None);
}

/// RFC 9260 §4, §9.2, the side that is told: what is queued is still sent; then SHUTDOWN ACK, again and again.
#[test]
fn a_side_that_is_told_of_a_shutdown_sends_the_rest_first() {
    let mut victim = with_data(20_000);
    let first = data(&victim.sent()).len() as u32;
    let cumulative = victim.theirs.plus(u32::MAX);
    victim.give(&Chunk::Shutdown { cumulative }).unwrap();
    assert!(refuses_to_send(&mut victim));
    victim.end.shutdown(victim.now);
    assert_eq!(kinds(&victim.sent()), NONE, "our own shutdown is without meaning now");
    // The SHUTDOWN acknowledges, and SACKs do.
    victim.give(&Chunk::Shutdown { cumulative: victim.theirs.plus(first - 1) }).unwrap();
    let rest = data(&victim.sent()).len() as u32;
    assert!(rest > 0);
    victim.acknowledge(first + rest - 1, 1 << 20, &[]).unwrap();
    assert_eq!(kinds(&victim.sent()), [SHUTDOWN_ACK]);
    assert!(refuses_to_send(&mut victim));
    let again = victim.run(Duration::from_secs(5));
    assert!(
        again.len() >= 2 && again.iter().all(|(_, it)| kinds(std::slice::from_ref(it)) == [SHUTDOWN_ACK])
    );
    // An INIT of a peer that has forgotten is answered with it, too; a SHUTDOWN ACK ends it.
    victim.give_under(0, &[Chunk::Init(crate::common::victim::init(&[]))]).unwrap();
    assert_eq!(kinds(&victim.sent()), [SHUTDOWN_ACK]);
    victim.give(&Chunk::ShutdownAck).unwrap();
    assert_eq!(kinds(&victim.sent()), [SHUTDOWN_COMPLETE]);
    assert_eq!(victim.events.last(), Some(&Event::Closed(CloseReason::Shutdown)));
}

/// Both begin at once: each acknowledges the other's (RFC 9260 §9.2).
#[test]
fn shutdowns_that_cross_are_both_acknowledged() {
    let mut victim = Victim::new(Config::default());
    victim.end.shutdown(victim.now);
    assert_eq!(kinds(&victim.sent()), [SHUTDOWN]);
    victim.give(&Chunk::Shutdown { cumulative: victim.theirs.plus(u32::MAX) }).unwrap();
    assert_eq!(kinds(&victim.sent()), [SHUTDOWN_ACK]);
    victim.give(&Chunk::ShutdownComplete { reflected: false }).unwrap();
    assert_eq!(victim.events, [Event::Closed(CloseReason::Shutdown)]);
}

/// RFC 9260 §8.5.1, rule C: a SHUTDOWN COMPLETE counts in one state alone, under our tag, or the peer's with the T bit.
#[test]
fn a_shutdown_complete_counts_only_where_it_is_awaited() {
    let complete = |reflected| Chunk::ShutdownComplete { reflected };
    for mut victim in [Victim::new(Config::default()), Victim::echoing(Config::default())] {
        assert!(victim.give(&complete(false)).is_err());
        assert!(!victim.end.is_closed());
    }
    for (tag, reflected, counts) in [
        (None, false, true),
        (None, true, false),
        (Some(PEER_TAG), true, true),
        (Some(PEER_TAG), false, false),
    ] {
        let mut victim = Victim::new(Config::default());
        victim.give(&Chunk::Shutdown { cumulative: victim.theirs.plus(u32::MAX) }).unwrap();
        let tag = tag.unwrap_or(victim.tag);
        let taken = victim.give_under(tag, &[complete(reflected)]);
        assert_eq!((taken.is_ok(), victim.end.is_closed()), (counts, counts), "{tag} {reflected}");
    }
}

/// RFC 9260 §3.3.8: a SHUTDOWN says nothing of what lies above gaps, and so takes nothing of it back.
#[test]
fn a_shutdown_takes_no_report_back() {
    let mut victim = with_data(6000);
    let count = data(&victim.sent()).len() as u16;
    victim.acknowledge(u32::MAX, 1 << 20, &[(2, count)]).unwrap();
    victim.sent();
    victim.give(&Chunk::Shutdown { cumulative: victim.theirs.plus(u32::MAX) }).unwrap();
    let mut again = Vec::new();
    for round in 0..2 {
        for (_, packet) in victim.run(Duration::from_secs(20)) {
            again.extend(data(&[packet]).iter().map(|data| data.tsn.0));
        }
        if round == 0 {
            // What was missing has come: again only a SHUTDOWN says so, and the window is open for the rest.
            victim.give(&Chunk::Shutdown { cumulative: victim.theirs }).unwrap();
        }
    }
    assert!(!again.is_empty() && again.iter().all(|tsn| *tsn == victim.theirs.0), "only what is missing");
}

/// RFC 9260 §9.1, §3.3.7: an ABORT under the peer's tag, with its cause, alone.
#[test]
fn an_abort_of_ours_is_told_alone_and_with_its_cause() {
    let mut victim = with_data(5000);
    victim.end.abort(victim.now);
    let sent = victim.sent();
    assert_eq!((kinds(&sent), complaint(&sent, ABORT)), (vec![ABORT], Some((PEER_TAG, vec![(12, vec![])]))));
    assert_eq!(
        (victim.events.last(), victim.end.poll_timeout()),
        (Some(&Event::Closed(CloseReason::Aborted)), None)
    );
    // Before there is a peer there is nobody to tell.
    let mut victim = Victim::asking(Config::default());
    victim.end.abort(victim.now);
    assert_eq!(kinds(&victim.sent()), NONE);
    // A DATA chunk without data is answered with its TSN (§3.3.10.9).
    let mut victim = Victim::new(Config::default());
    victim.give(&Chunk::Data(victim.data(3, true, true, b""))).unwrap();
    let tsn = victim.next.plus(3).0.to_be_bytes().to_vec();
    assert_eq!(complaint(&victim.sent(), ABORT), Some((PEER_TAG, vec![(9, tsn)])));
}

/// RFC 9260 §3.3.7, §8.4, §9.1: an ABORT is never answered, whatever comes with it, and whatever is wrong with it.
#[test]
fn an_abort_is_never_answered() {
    let abort = Chunk::Abort { reflected: false, causes: Causes::decode(&[]).unwrap() };
    let mut victim = Victim::new(Config::default());
    // Its causes do not decode.
    let tag = victim.tag;
    assert!(victim.give_bytes(&raw(tag, &[6, 0, 0, 8, 0, 12, 0, 99])).is_err());
    assert!(victim.end.is_connected() && victim.sent().is_empty());
    // Behind what would end it with an ABORT of ours, and behind what is answered.
    let empty = Chunk::Data(victim.data(0, true, true, b""));
    victim.give_under(tag, &[Chunk::Heartbeat(b"\0\x01\0\x08beat"), empty, abort]).unwrap();
    assert!(victim.end.is_closed());
    assert_eq!(kinds(&victim.sent()), NONE);
    let _ = victim.give(&abort);
    let _ = victim.give_under(tag, &[Chunk::CookieAck, abort]);
    let _ = victim.give_under(tag, &[Chunk::Shutdown { cumulative: victim.theirs }, abort]);
    assert_eq!(kinds(&victim.sent()), NONE);
    // It ends an association in every state, and the rest of its packet is not heard.
    let mut victim = Victim::new(Config::default());
    let tag = victim.tag;
    let behind = victim.message(0, 0, 0, b"behind");
    victim.give_under(tag, &[abort, behind]).unwrap();
    assert_eq!(victim.events, [Event::Closed(CloseReason::PeerAborted { cause: 0 })]);
    assert!(victim.read(0).is_empty());
    for mut victim in [Victim::asking(Config::default()), Victim::echoing(Config::default())] {
        victim.give(&abort).unwrap();
        assert!(victim.end.is_closed());
    }
}

/// RFC 9260 §8.4: what still comes when the association is over.
#[test]
fn what_comes_after_the_end_is_answered_by_the_rules_for_strangers() {
    let mut victim = Victim::new(Config::default());
    victim.end.abort(victim.now);
    victim.sent();
    let tag = victim.tag;
    // A SHUTDOWN ACK: SHUTDOWN COMPLETE under the same tag, with the T bit.
    assert!(victim.give(&Chunk::ShutdownAck).is_err());
    let sent = victim.sent();
    assert!(matches!(find(&sent, SHUTDOWN_COMPLETE), Some(Chunk::ShutdownComplete { reflected: true })));
    assert_eq!(Packet::decode(&sent[0]).unwrap().tag, tag);
    // Data and the like: ABORT under the same tag, with the T bit, one for each packet.
    let message = victim.message(0, 0, 0, b"late");
    for chunk in [message, Chunk::Heartbeat(b""), Chunk::Shutdown { cumulative: victim.theirs }] {
        assert!(victim.give(&chunk).is_err());
        let sent = victim.sent();
        assert!(matches!(find(&sent, ABORT), Some(Chunk::Abort { reflected: true, .. })), "{chunk:?}");
        assert_eq!((sent.len(), Packet::decode(&sent[0]).unwrap().tag), (1, tag));
    }
    // Nothing for a SHUTDOWN COMPLETE, a COOKIE ACK, an ERROR, or under a tag that never was ours.
    for chunk in [
        Chunk::ShutdownComplete { reflected: false },
        Chunk::CookieAck,
        Chunk::Error { causes: Causes::decode(&[0, 3, 0, 8, 0, 0, 0, 0]).unwrap() },
    ] {
        assert!(victim.give(&chunk).is_err());
        assert_eq!(kinds(&victim.sent()), NONE, "{chunk:?}");
    }
    assert!(victim.give_under(tag ^ 1, &[message]).is_err());
    assert_eq!(kinds(&victim.sent()), NONE);
    // A SHUTDOWN ACK in the middle of a handshake is a stranger's, and changes nothing (§8.5.1, rule E).
    let mut victim = Victim::echoing(Config::default());
    assert_eq!(victim.give_under(4711, &[Chunk::ShutdownAck]), Err(Discard::Tag));
    let sent = victim.sent();
    assert_eq!((kinds(&sent), Packet::decode(&sent[0]).unwrap().tag), (vec![SHUTDOWN_COMPLETE], 4711));
    victim.give(&Chunk::CookieAck).unwrap();
    assert!(victim.end.is_connected());
}

/// RFC 9260 §8.1: the count of what was in vain begins anew with every acknowledgement.
#[test]
fn an_acknowledgement_forgives_what_was_in_vain() {
    let mut config = Config::default();
    config.max_retransmits = 5;
    let mut victim = Victim::new(config);
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    for round in 0..5 {
        victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut vec![0; 10].into(), true).unwrap();
        victim.sent();
        let before = victim.end.stats().timeouts;
        while victim.end.stats().timeouts < before + 4 {
            victim.now = victim.end.poll_timeout().unwrap();
            victim.end.handle_timeout(victim.now);
            victim.sent();
        }
        victim.acknowledge(round, 1 << 20, &[]).unwrap();
        assert!(victim.end.is_connected(), "{round}");
    }
}
