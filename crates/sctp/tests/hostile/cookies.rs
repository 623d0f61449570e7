//! C2, C3, C4: State Cookies that are forged, and handshake chunks that come at the wrong time.

use std::time::Duration;

use crypto::Rng;
use sctp::wire::{Chunk, Packet};
use sctp::{Config, Discard, Event, StreamId, StreamOptions, Tsn};

use crate::common::victim::{
    COOKIE_ACK, ERROR, INIT_ACK, PEER_TAG, SHUTDOWN_ACK, Victim, complaint, cookie, find, init, kinds, sign,
};

/// Bytes of a cookie before its code: see `Parts`.
const BODY: usize = 40;

/// The cookie that the victim sends to whoever asks.
fn asked(victim: &mut Victim, tag: u32) -> (u32, Vec<u8>) {
    let mut chunk = init(&[]);
    chunk.tag = tag;
    victim.give_under(0, &[Chunk::Init(chunk)]).unwrap();
    let sent = victim.sent();
    let Some(Chunk::InitAck(ack)) = find(&sent, INIT_ACK) else { panic!("no INIT ACK") };
    (ack.tag, cookie(&ack).to_vec())
}

#[test]
fn c2_a_cookie_tells_nothing_that_the_asker_does_not_know() {
    // On a standing association: another host asks, and must learn nothing of the tags in use (RFC 9260 §5.2.2).
    let mut victim = Victim::new(Config::default());
    let (tag, theirs) = (victim.tag.to_be_bytes(), PEER_TAG.to_be_bytes());
    let (fresh, first) = asked(&mut victim, 99);
    let body = &first[..BODY];
    assert!(!body.windows(4).any(|word| word == tag || word == theirs), "{body:02x?}");
    assert_ne!(fresh, victim.tag);
    // Time, new tag, asker's tag, Tie-Tags, first TSNs, window, streams, abilities: all 40 bytes.
    assert_eq!(body[..8], victim.now.as_nanos().to_be_bytes());
    assert_eq!((&body[8..12], &body[12..16]), (&fresh.to_be_bytes()[..], &99u32.to_be_bytes()[..]));
    assert_eq!(body[28..], [&init(&[]).tsn.0.to_be_bytes()[..], &[0, 16, 0, 0, 255, 255, 0, 0]].concat());
    // The Tie-Tags are of the association, the rest is drawn anew.
    let (_, second) = asked(&mut victim, 99);
    assert_eq!(first[16..24], second[16..24]);
    assert_ne!((&first[8..12], &first[24..28]), (&second[8..12], &second[24..28]));
    // Without an association they are zero.
    let (_, cookie) = asked(&mut Victim::listening(Config::default()), 99);
    assert_eq!(cookie[16..24], [0; 8]);
}

#[test]
fn c3_a_forged_stale_foreign_cut_or_flipped_cookie_makes_no_association() {
    let mut victim = Victim::listening(Config::default());
    let (tag, good) = asked(&mut victim, PEER_TAG);
    let mut refuse = |cookie: &[u8], error: Discard| {
        let taken = victim.give_under(tag, &[Chunk::CookieEcho(cookie)]);
        assert_eq!(taken, Err(error), "{cookie:02x?}");
        assert!(!victim.end.is_connected() && victim.events.is_empty());
        assert_eq!(kinds(&victim.sent()), [0u8; 0], "dropped silently");
    };
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refuse(&flipped, Discard::ForgedCookie);
    }
    for cut in 0..good.len() {
        refuse(&good[..cut], Discard::ForgedCookie);
    }
    refuse(&[&good[..], &[0]].concat(), Discard::ForgedCookie);
    let mut rng = Rng::new([3; 32]);
    for _ in 0..testkit::scaled(100_000) {
        let mut forged = good.clone();
        rng.fill(&mut forged);
        refuse(&forged, Discard::ForgedCookie);
    }
    // Of another association with the same peer.
    let mut other = Victim::listening(Config::default());
    other.end = sctp::Association::server(other.now, std::sync::Arc::new(Config::default()), [2; 32]);
    refuse(&asked(&mut other, PEER_TAG).1, Discard::ForgedCookie);
    // Under another tag than the one it was made for (RFC 9260 §5.1.5).
    let taken = victim.give_under(tag ^ 1, &[Chunk::CookieEcho(&good)]);
    assert_eq!((taken, kinds(&victim.sent())), (Err(Discard::Tag), vec![]));
    // One nanosecond too old; how much too old is told, rounded up (RFC 9260 §3.3.10.3).
    for (late, told) in [(1, 1), (1_000, 1), (1_001, 2), (5_000_000_000, 5_000_000)] {
        let mut victim = Victim::listening(Config::default());
        let (tag, good) = asked(&mut victim, PEER_TAG);
        victim.now += Duration::from_secs(60) + Duration::from_nanos(late);
        assert_eq!(victim.give_under(tag, &[Chunk::CookieEcho(&good)]), Err(Discard::StaleCookie));
        let sent = victim.sent();
        assert_eq!(complaint(&sent, ERROR), Some((PEER_TAG, vec![(3, u32::to_be_bytes(told).to_vec())])));
        assert!(!victim.end.is_connected());
    }
    // And at its last moment it is good.
    victim.now += Duration::from_secs(60);
    victim.give_under(tag, &[Chunk::CookieEcho(&good)]).unwrap();
    assert_eq!(victim.events, [Event::Connected]);
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    CookieWait,
    CookieEchoed,
    Established,
    ShutdownPending,
    ShutdownSent,
    ShutdownReceived,
    ShutdownAckSent,
}

impl Stand {
    const ALL: [Self; 7] = [
        Self::CookieWait,
        Self::CookieEchoed,
        Self::Established,
        Self::ShutdownPending,
        Self::ShutdownSent,
        Self::ShutdownReceived,
        Self::ShutdownAckSent,
    ];

    fn reach(self) -> Victim {
        let mut victim = match self {
            Self::CookieWait => return Victim::asking(Config::default()),
            Self::CookieEchoed => return Victim::echoing(Config::default()),
            _ => Victim::new(Config::default()),
        };
        if matches!(self, Self::ShutdownPending | Self::ShutdownReceived) {
            victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
            victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut (&b"x"[..]).into(), true).unwrap();
            victim.sent();
        }
        match self {
            Self::ShutdownPending | Self::ShutdownSent => victim.end.shutdown(victim.now),
            Self::ShutdownReceived | Self::ShutdownAckSent => {
                let cumulative = victim.theirs.plus(u32::MAX);
                victim.give(&Chunk::Shutdown { cumulative }).unwrap();
            }
            _ => {}
        }
        victim.sent();
        victim
    }

    const fn has_peer(self) -> bool {
        !matches!(self, Self::CookieWait)
    }
}

/// RFC 9260 §5.2.4, table 12: whose tags a cookie carries decides, in every state.
#[test]
fn c4_the_table_of_cookies_for_a_standing_association_is_complete() {
    let mut rows = [0; 5];
    for stand in Stand::ALL {
        for local in [false, true] {
            for peer in [false, true] {
                for ties in [None, Some(false), Some(true)] {
                    rows[row(stand, local, peer, ties)] += 1;
                }
            }
        }
    }
    assert_eq!(rows.iter().sum::<u32>(), 84);
    assert!(rows.iter().all(|count| *count > 0), "every row was met: {rows:?}");
}

/// Tries one cookie, and says which row of the table it is: A, B, C, D, or none of them.
fn row(stand: Stand, local: bool, peer: bool, ties: Option<bool>) -> usize {
    let mut victim = stand.reach();
    // In the last state an INIT is not answered with a cookie: one is made by hand.
    let mut body = match stand {
        Stand::ShutdownAckSent => asked(&mut Stand::Established.reach(), 1).1,
        _ => asked(&mut victim, 1).1,
    };
    body.truncate(BODY);
    let own = if local { victim.tag } else { victim.tag ^ 0x5555 };
    body[8..12].copy_from_slice(&own.to_be_bytes());
    let named = if peer { PEER_TAG } else { 4242 };
    body[12..16].copy_from_slice(&named.to_be_bytes());
    body[24..28].copy_from_slice(&5000u32.to_be_bytes());
    match ties {
        None => body[16..24].fill(0),
        Some(false) => body[16] ^= 1,
        Some(true) => {}
    }
    // Before there is a peer nothing can match it.
    let (peer, tied) = (peer && stand.has_peer(), ties == Some(true) && stand.has_peer());
    let taken = victim.give_under(own, &[Chunk::CookieEcho(&sign(&body))]);
    let sent = victim.sent();
    let context =
        format!("{stand:?} {local} {peer} {ties:?}: {taken:?} {:?} {:?}", kinds(&sent), victim.events);
    let tag = sent.first().map(|packet| Packet::decode(packet).unwrap().tag);
    let restarted = victim.events.contains(&Event::Restarted);
    match (local, peer) {
        (false, false) if tied && stand == Stand::ShutdownAckSent => {
            assert_eq!(kinds(&sent), [ERROR, SHUTDOWN_ACK], "{context}");
            assert_eq!(complaint(&sent, ERROR).unwrap().1, [(10, vec![])], "{context}");
            assert!(!restarted, "{context}");
            0
        }
        (false, false) if tied => {
            assert_eq!((taken, kinds(&sent), tag), (Ok(()), vec![COOKIE_ACK], Some(4242)), "{context}");
            assert!(restarted, "{context}");
            // Its own numbers are those of the cookie now.
            assert!(victim.end.open(StreamId(1), StreamOptions::default()).is_ok(), "{context}");
            victim.end.send(victim.now, StreamId(1), sctp::Ppid(53), &mut (&b"x"[..]).into(), true).unwrap();
            let sent = victim.sent();
            let Some(Chunk::Data(data)) = find(&sent, 0) else { panic!("{context}") };
            assert_eq!(data.tsn, Tsn(5000), "{context}");
            0
        }
        (true, false) => {
            // The peer goes on under the tag of this cookie.
            assert_eq!(kinds(&sent).first(), Some(&COOKIE_ACK), "{context}");
            assert_eq!((taken, tag, restarted), (Ok(()), Some(named), false), "{context}");
            assert!(victim.end.is_connected(), "{context}");
            1
        }
        (true, true) => {
            assert_eq!(kinds(&sent).first(), Some(&COOKIE_ACK), "{context}");
            assert_eq!((taken, tag, restarted), (Ok(()), Some(PEER_TAG), false), "{context}");
            assert!(victim.end.is_connected(), "{context}");
            3
        }
        (false, _) => {
            assert_eq!((taken, kinds(&sent)), (Err(Discard::UnexpectedCookie), vec![]), "{context}");
            assert!(!restarted, "{context}");
            if peer && ties.is_none() { 2 } else { 4 }
        }
    }
}

/// RFC 9260 §5.2.4, step 3: on a standing association an old cookie is told to be stale, unless both tags are its own.
#[test]
fn c4_an_old_cookie_counts_only_if_it_is_of_the_standing_association() {
    for (local, peer) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut victim = Stand::Established.reach();
        let mut body = asked(&mut victim, 1).1;
        body.truncate(BODY);
        let own = if local { victim.tag } else { victim.tag ^ 1 };
        body[8..12].copy_from_slice(&own.to_be_bytes());
        body[12..16].copy_from_slice(&(if peer { PEER_TAG } else { 4242 }).to_be_bytes());
        victim.now += Duration::from_secs(61);
        let taken = victim.give_under(own, &[Chunk::CookieEcho(&sign(&body))]);
        let sent = victim.sent();
        if local && peer {
            assert_eq!((taken, kinds(&sent)[0]), (Ok(()), COOKIE_ACK));
        } else {
            assert_eq!(taken, Err(Discard::StaleCookie), "{local} {peer}");
            assert_eq!(complaint(&sent, ERROR).unwrap().1[0].0, 3);
        }
        assert!(!victim.events.contains(&Event::Restarted));
    }
}

/// A cookie of before a restart is of an association that is gone.
#[test]
fn c4_a_restart_makes_the_cookies_of_before_worthless() {
    let mut victim = Victim::new(Config::default());
    let [first, second] = [98, 99].map(|tag| asked(&mut victim, tag));
    victim.give_under(first.0, &[Chunk::CookieEcho(&first.1)]).unwrap();
    assert_eq!(std::mem::take(&mut victim.events), [Event::Restarted]);
    victim.sent();
    let late = victim.give_under(second.0, &[Chunk::CookieEcho(&second.1)]);
    assert_eq!((late, victim.events.len(), victim.sent().len()), (Err(Discard::UnexpectedCookie), 0, 0));
}

#[test]
fn c4_a_flood_of_inits_on_a_standing_association_retains_nothing() {
    let mut victim = Victim::new(Config::default());
    victim.end.open(StreamId(0), StreamOptions::default()).unwrap();
    let inits = testkit::scaled_at_least(100_000, 10_000);
    let mut answers = 0;
    victim.sent();
    let info = allocation_counter::measure(|| {
        for number in 0..inits {
            let mut chunk = init(&[]);
            chunk.tag = number as u32 + 1;
            victim.give_under(0, &[Chunk::Init(chunk)]).unwrap();
            let sent = victim.sent();
            assert_eq!(kinds(&sent), [INIT_ACK], "one answer to each");
            assert_eq!(Packet::decode(&sent[0]).unwrap().tag, chunk.tag);
            answers += 1;
        }
    });
    assert_eq!((answers, info.bytes_current), (inits, 0));
    assert_eq!(kinds(&victim.sent()), [0u8; 0]);
    // Data goes on in both directions, under the old tags.
    let message = victim.message(0, 0, 0, b"still here");
    victim.give(&message).unwrap();
    assert_eq!(victim.read(0), [b"still here"]);
    victim.end.send(victim.now, StreamId(0), sctp::Ppid(53), &mut (&b"x"[..]).into(), true).unwrap();
    let sent = victim.sent();
    assert_eq!(Packet::decode(&sent[0]).unwrap().tag, PEER_TAG);
    assert!(
        find(&sent, 0).is_some() && victim.events.iter().all(|event| *event == Event::Readable(StreamId(0)))
    );
}
