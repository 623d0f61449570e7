//! One layer at a time.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use crypto::rust_crypto;
use dtls::{Connection, Identity};
use ice::{Agent, LocalCandidate, Role};
use proto::{Arrival, Batch, Instant, Writer};
use sdp::SessionDescription;
use session::{Demux, Target};
use stun::IntegrityKey;
use stun::wire::{Attribute, Class, Encoder, Message, Method, TransactionId};
use testkit::{epoch, null_provider, path};

/// A check of a peer's is read, compared and answered.
pub(crate) fn stun_check() -> Box<dyn FnMut()> {
    let key = IntegrityKey::short_term(rust_crypto(), "VOkJxbRl1RmTxUk/WvJxBt");
    let check = check(&key, "evtjabcd:h6vYabcd");
    let mut memory = [0; 200];
    Box::new(move || {
        let message = Message::decode(black_box(&check)).expect("a message");
        assert!(message.username().is_some());
        message.verify(&key).expect("the key");
        let mut out = Writer::new(&mut memory);
        let id = message.transaction();
        let mut encoder = Encoder::new(&mut out, Class::Success, Method::BINDING, id).expect("room");
        let mapped = Attribute::XorMappedAddress(([192, 0, 2, 1], 32853).into());
        encoder.attribute(mapped).expect("room");
        encoder.finish(Some(&key)).expect("room");
    })
}

/// A check as an ICE agent writes it.
pub(crate) fn check(key: &IntegrityKey, username: &str) -> Vec<u8> {
    let mut memory = [0; 200];
    let mut out = Writer::new(&mut memory);
    let id = TransactionId([7; 12]);
    let mut encoder = Encoder::new(&mut out, Class::Request, Method::BINDING, id).expect("room");
    encoder.attribute(Attribute::Username(username)).expect("room");
    encoder.attribute(Attribute::IceControlling(7)).expect("room");
    encoder.attribute(Attribute::Priority(0x6e00_01ff)).expect("room");
    encoder.finish(Some(key)).expect("room");
    out.written().to_vec()
}

/// The same by an agent, with all that it remembers.
pub(crate) fn ice_check() -> Box<dyn FnMut()> {
    let mut config = ice::Config::default();
    let mut a = Agent::new(epoch(), config.clone(), [1; 32]);
    config.role = Role::Controlled;
    let mut b = Agent::new(epoch(), config, [2; 32]);
    a.set_remote_credentials(epoch(), b.local_credentials().clone());
    b.set_remote_credentials(epoch(), a.local_credentials().clone());
    let (to_b, to_a) = (path("10.0.0.1:1", "10.0.0.2:2"), path("10.0.0.2:2", "10.0.0.1:1"));
    a.add_local_candidate(epoch(), LocalCandidate::host(to_b.local)).expect("room");
    let id = b.add_local_candidate(epoch(), LocalCandidate::host(to_a.local)).expect("room");
    a.add_remote_candidate(epoch(), b.candidate(id).expect("known")).expect("room");
    let mut memory = [0; 1500];
    let mut batch = Batch::new(&mut memory, 1, 1200);
    a.poll_transmit(epoch(), &mut batch).expect("a check");
    let check = batch.bytes().to_vec();
    let mut at = epoch();
    Box::new(move || {
        at += Duration::from_nanos(1);
        b.handle_datagram(Arrival { path: to_a, ecn: None, at }, &check).expect("a check");
        b.poll_transmit(at, &mut Batch::new(&mut memory, 1, 1200)).expect("an answer");
    })
}

/// A browser's offer is read and written again.
pub(crate) fn sdp() -> Box<dyn FnMut()> {
    Box::new(|| {
        let offer: SessionDescription = black_box(OFFER).parse().expect("an offer");
        assert_eq!(offer.to_string().len(), OFFER.len());
    })
}

fn dtls_pair() -> (Connection, Connection) {
    let provider = null_provider();
    let config = |number| {
        let identity = Identity::generate(provider, 1_800_000_000, [number; 32]).expect("a certificate");
        Arc::new(dtls::Config::new(provider, Arc::new(identity)))
    };
    connect(&config(1), &config(2))
}

fn connect(client: &Arc<dtls::Config>, server: &Arc<dtls::Config>) -> (Connection, Connection) {
    let mut client = Connection::client(Instant::default(), client.clone(), [3; 32]);
    let mut server = Connection::server(Instant::default(), server.clone(), [4; 32]);
    for _ in 0..4 {
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
    }
    assert!(client.is_connected() && server.is_connected());
    (client, server)
}

fn carry(from: &mut Connection, to: &mut Connection) {
    let now = Instant::default();
    let mut memory = [0; 1200];
    let mut out = Writer::new(&mut memory);
    while from.poll_packet(now, &mut out) {
        let mut datagram = [0; 1200];
        let len = out.len();
        datagram[..len].copy_from_slice(out.written());
        drop(to.handle_datagram(now, &mut datagram[..len]));
        out.truncate(0);
        while let Some(event) = to.poll_event() {
            if event == dtls::Event::PeerCertificate {
                to.accept_peer(now);
            }
        }
    }
}

/// Both ends of a handshake, less the arithmetic.
pub(crate) fn dtls_handshake() -> Box<dyn FnMut()> {
    let provider = null_provider();
    let identity = Identity::generate(provider, 1_800_000_000, [1; 32]).expect("a certificate");
    let config = Arc::new(dtls::Config::new(provider, Arc::new(identity)));
    Box::new(move || drop(connect(&config, &config)))
}

/// A record of 1,200 bytes is written and read, less the encryption.
pub(crate) fn dtls_record() -> Box<dyn FnMut()> {
    let (mut client, mut server) = dtls_pair();
    let mut memory = [0; 1300];
    Box::new(move || {
        let mut out = Writer::new(&mut memory);
        let mut record = client.begin_record(&mut out).expect("room");
        record.plaintext().put(black_box(&[7; 1200])).expect("room");
        record.seal();
        let len = out.len();
        let mut records = server.handle_datagram(Instant::default(), &mut memory[..len]);
        assert_eq!(records.next_record().expect("a record").expect("a good one").len(), 1200);
    })
}

/// A datagram finds its session among a thousand.
pub(crate) fn demux() -> Box<dyn FnMut()> {
    let mut demux = Demux::default();
    let paths: Vec<_> = (1..1001_u16).map(|port| path("10.0.0.1:1", &format!("10.0.0.2:{port}"))).collect();
    paths.iter().enumerate().for_each(|(number, path)| demux.add_path(*path, number));
    Box::new(move || {
        assert_eq!(demux.route(black_box(paths[500]), black_box(&[23, 0xfe, 0xfd])), Target::Session(500));
    })
}

const OFFER: &str = include_str!("../../sdp/tests/vectors/chromium-bundle-all-0-offer.sdp");
