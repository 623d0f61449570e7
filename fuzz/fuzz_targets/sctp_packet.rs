//! Decoding never panics, and what decodes re-encodes to chunks that decode alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::Writer;
use sctp::wire::{Chunk, Packet, begin_packet, finish_packet};

fuzz_target!(|bytes: &[u8]| {
    let Ok(packet) = Packet::decode(bytes) else { return };
    let chunks: Vec<Chunk<'_>> = packet.chunks().collect();
    let mut memory = vec![0; bytes.len() + 4 * chunks.len()];
    let mut out = Writer::new(&mut memory);
    begin_packet(&mut out, packet.source, packet.destination, packet.tag).expect("fits");
    for chunk in &chunks {
        chunk.encode(&mut out).expect("no longer than it was");
        if let Chunk::Init(init) | Chunk::InitAck(init) = chunk {
            init.parameters.iter().for_each(|parameter| parameter.streams().for_each(drop));
        }
    }
    finish_packet(&mut out, 0).expect("fits");
    let again = Packet::decode(out.written()).expect("own output decodes");
    assert!(again.checksum_is_right());
    assert!(again.chunks().eq(chunks));
});
