//! What anyone can have a connected session do, by one datagram with a forged source.

use std::sync::Arc;

use crypto::rust_crypto;
use proto::{Arrival, Batch, Writer};
use sctp::wire::{Chunk, begin_packet, finish_packet};
use stun::IntegrityKey;
use testkit::epoch;

use crate::codecs::check;
use crate::ends::Ends;

/// A check with the right name and a wrong code.
pub(crate) fn stun_integrity() -> Box<dyn FnMut()> {
    let ends = Ends::connected(rust_crypto());
    let ufrag = |end: usize| {
        let (_, description) = ends.sessions[end].local_description().expect("agreed");
        let text = description.to_string();
        let ufrag = text.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"));
        ufrag.expect("a ufrag").to_owned()
    };
    let username = format!("{}:{}", ufrag(1), ufrag(0));
    let key = IntegrityKey::short_term(rust_crypto(), "what an attacker guesses");
    forged(ends, check(&key, &username))
}

/// A check for nobody.
pub(crate) fn stun_username() -> Box<dyn FnMut()> {
    let key = IntegrityKey::short_term(rust_crypto(), "what an attacker guesses");
    forged(Ends::connected(rust_crypto()), check(&key, "evtjabcd:h6vYabcd"))
}

/// A record of the current epoch, of 1,200 bytes, with any tag.
pub(crate) fn dtls_record() -> Box<dyn FnMut()> {
    let mut record = vec![23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 1, 0, 0, 4, 160];
    record.resize(13 + 1184, 0x5a);
    forged(Ends::connected(rust_crypto()), record)
}

/// A ClientHello in the open.
pub(crate) fn client_hello() -> Box<dyn FnMut()> {
    let provider = rust_crypto();
    let identity = dtls::Identity::generate(provider, 1_800_000_000, [9; 32]).expect("a certificate");
    let config = Arc::new(dtls::Config::new(provider, Arc::new(identity)));
    let mut stranger = dtls::Connection::client(epoch(), config, [9; 32]);
    let mut memory = [0; 1200];
    let mut out = Writer::new(&mut memory);
    assert!(stranger.poll_packet(epoch(), &mut out));
    forged(Ends::connected(rust_crypto()), out.written().to_vec())
}

/// `datagram` comes to a connected session, which must refuse it.
fn forged(mut ends: Ends, datagram: Vec<u8>) -> Box<dyn FnMut()> {
    let mut memory = datagram.clone();
    let now = ends.now;
    Box::new(move || {
        memory.copy_from_slice(&datagram);
        let arrival = Arrival { path: Ends::path(1), ecn: None, at: now };
        let session = &mut ends.sessions[1];
        session.handle_datagram(arrival, &mut memory).expect_err("it is forged");
        let mut out = [0; 1500];
        let mut batch = Batch::new(&mut out, 1, 1500);
        let _ = (session.poll_transmit(now, &mut batch), session.poll_event(), session.poll_timeout());
    })
}

/// An SCTP packet that is not of this association: it can only come from the peer, but costs nothing either.
pub(crate) fn sctp_tag() -> Box<dyn FnMut()> {
    let config = Arc::new(sctp::Config::default());
    let now = epoch();
    let mut ends = [[1; 32], [2; 32]].map(|seed| sctp::Association::client(now, config.clone(), seed));
    let mut memory = [0; 2000];
    let mut out = Writer::new(&mut memory);
    for turn in 0..20 {
        while ends[turn % 2].poll_packet(now, &mut out) {
            ends[1 - turn % 2].handle_packet(now, out.written()).expect("a packet of ours");
            out.truncate(0);
        }
    }
    out.truncate(0);
    begin_packet(&mut out, 5000, 5000, 0x0102_0304).expect("room");
    Chunk::CookieAck.encode(&mut out).expect("room");
    finish_packet(&mut out, 0).expect("room");
    let packet = out.written().to_vec();
    Box::new(move || {
        ends[0].handle_packet(now, &packet).expect_err("the tag is wrong");
    })
}
