//! Larger packets are tried by padded heartbeats, and used once one is answered.

use std::time::Duration;

use sctp::wire::Chunk;
use sctp::{Config, Discard, StreamId, StreamOptions};

use crate::common::victim::{Victim, data, find, kinds};
use crate::common::{Link, Pair};

const HEARTBEAT: u8 = 4;
const PAD: u8 = 0x84;

fn small() -> Config {
    let mut config = Config::default();
    (config.max_packet, config.heartbeat) = (500, None);
    config
}

/// The largest packet that carries a message of 2,000 bytes.
fn largest(victim: &mut Victim, stream: u16) -> usize {
    victim.end.open(StreamId(stream), StreamOptions::default()).unwrap();
    victim.end.send(victim.now, StreamId(stream), sctp::Ppid(53), &mut vec![0; 2000].into(), true).unwrap();
    let sent = victim.sent();
    let last = data(&sent).last().unwrap().tsn;
    victim.acknowledge(last.0.wrapping_sub(victim.theirs.0), 1 << 20, &[]).unwrap();
    sent.iter().map(Vec::len).max().unwrap()
}

/// RFC 4820 §3: padding has the rest of the packet, behind what is to be answered.
#[test]
fn a_packet_that_is_answered_is_as_large_as_others_may_be_from_then_on() {
    let mut victim = Victim::new(small());
    victim.end.probe_packet(1189);
    let sent = victim.sent();
    assert_eq!((sent.len(), sent[0].len(), kinds(&sent)), (1, 1188, vec![HEARTBEAT, PAD]));
    assert!(largest(&mut victim, 0) <= 500, "it is not answered yet");
    let Some(Chunk::Heartbeat(info)) = find(&sent, HEARTBEAT) else { panic!("{:?}", kinds(&sent)) };
    let mut wrong = info.to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(victim.give(&Chunk::HeartbeatAck(&wrong)), Err(Discard::UnexpectedChunk));
    victim.give(&Chunk::HeartbeatAck(info)).unwrap();
    assert_eq!(largest(&mut victim, 1), 1188);
    // Once is enough.
    assert_eq!(victim.give(&Chunk::HeartbeatAck(info)), Err(Discard::UnexpectedChunk));
    victim.end.probe_packet(1188);
    assert!(!kinds(&victim.sent()).contains(&HEARTBEAT));
}

/// RFC 8899 §4.3: what is lost of them is no sign of congestion, and none of a dead peer.
#[test]
fn tries_in_vain_end_and_harm_nothing() {
    let mut victim = Victim::new(small());
    victim.end.probe_packet(1188);
    let start = victim.now;
    let tries = victim.run(Duration::from_secs(3600));
    assert_eq!(tries.len(), 10);
    assert!(tries.iter().all(|(_, packet)| packet.len() == 1188));
    let waits: Vec<_> = tries.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(
        waits.windows(2).all(|pair| pair[1] >= pair[0]) && waits[0] >= Duration::from_millis(100),
        "{waits:?}"
    );
    assert!(tries[9].0 - start <= Duration::from_secs(600), "{waits:?}");
    assert!(victim.end.is_connected() && victim.end.poll_timeout().is_none());
    assert!(largest(&mut victim, 0) <= 500);
}

#[test]
fn data_are_in_larger_packets_where_the_path_carries_them_and_arrive_where_it_does_not() {
    for (mtu, most) in [(1500, 1188), (600, 500)] {
        let link = Link { loss: 100, ..Link::default() };
        let mut pair = Pair::connected(small(), link, 3);
        pair.tap = Some(Box::new(move |_, packet| packet.len() <= mtu));
        pair.ends[0].probe_packet(1188);
        pair.run_for(Duration::from_secs(10));
        pair.ends.iter_mut().for_each(|end| end.open(StreamId(0), StreamOptions::default()).unwrap());
        pair.send(0, 0, vec![5; 100_000]);
        let before = pair.ends[0].stats().packets_sent;
        assert!(pair.run(Duration::from_secs(60), |pair| pair.ends[1].stats().bytes_received >= 100_000));
        let packets = pair.ends[0].stats().packets_sent - before;
        let needed = 100_000 / most as u64;
        assert!(packets >= needed && packets < needed * 3 / 2, "{packets} packets where {needed} are needed");
    }
}
