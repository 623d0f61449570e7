//! Reading RTCP never panics and gives no more than the bytes have, and what reads is written as something that
//! reads alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp::Writer;
use rtp::rtcp::{Compound, Encoder, Packet};

fuzz_target!(|datagram: &[u8]| {
    let Ok(compound) = Compound::decode(datagram) else { return };
    let mut given = 0;
    for packet in compound.packets().flatten() {
        given += count(&packet);
        let mut memory = vec![0; datagram.len() + 8];
        let mut out = Writer::new(&mut memory);
        Encoder::new(&mut out).packet(&packet).expect("room");
        let again = Compound::decode(out.written()).expect("own output");
        let again: Vec<_> = again.packets().collect();
        let [Ok(again)] = again[..] else { panic!("{again:?}") };
        assert_eq!(count(&again), count(&packet));
        let mut memory = vec![0; datagram.len() + 8];
        let mut twice = Writer::new(&mut memory);
        Encoder::new(&mut twice).packet(&again).expect("room");
        assert_eq!(twice.written(), out.written());
    }
    assert!(given <= 8 * datagram.len());
});

/// How much there is in a packet, all of which is read.
fn count(packet: &Packet<'_>) -> usize {
    match packet {
        Packet::SenderReport(it) => it.reports().count(),
        Packet::ReceiverReport(it) => it.reports().count(),
        Packet::SourceDescription(it) => it.chunks().map(|chunk| 1 + chunk.items().count()).sum(),
        Packet::Goodbye(it) => it.sources().count(),
        Packet::Nack(it) => it.lost().count(),
        Packet::Tmmbr(it) | Packet::Tmmbn(it) => it.entries().count(),
        Packet::TransportCc(it) => {
            let packets: u32 = it.statuses().map(|run| u32::from(run.count)).sum();
            assert_eq!(packets, it.count.into());
            it.statuses().count()
        }
        Packet::CongestionControl(it) => it.streams().map(|stream| 1 + stream.packets().count()).sum(),
        Packet::Fir(it) => it.entries().count(),
        Packet::Remb(it) => it.sources().count(),
        Packet::ExtendedReport(it) => it.blocks().count(),
        _ => 1,
    }
}
