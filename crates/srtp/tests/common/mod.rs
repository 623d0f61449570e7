//! What the tests share.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses a part")]

use srtp::{Config, Inbound, MasterKeys, Outbound, Profile};

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

pub fn config() -> Config {
    Config::new(crypto::default_provider())
}

pub fn keys(profile: Profile, seed: u8) -> MasterKeys {
    let key: Vec<u8> = (seed..).take(profile.key_len()).collect();
    let salt: Vec<u8> = (seed.wrapping_add(100)..).take(profile.salt_len()).collect();
    MasterKeys::new(profile, &key, &salt).unwrap()
}

pub fn pair(config: &Config, profile: Profile) -> (Outbound, Inbound) {
    let keys = keys(profile, 1);
    (Outbound::new(config, &keys).unwrap(), Inbound::new(config, &keys).unwrap())
}

/// A packet without CSRCs and extension.
pub fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(1234_u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A receiver report without blocks, with `filling` behind it.
pub fn rtcp(ssrc: u32, filling: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(filling);
    packet
}

pub fn protect_rtp(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut memory = packet.to_vec();
    memory.resize(packet.len() + outbound.rtp_overhead(), 0);
    let len = outbound.protect_rtp(&mut memory, packet.len()).unwrap();
    memory.truncate(len);
    memory
}

pub fn protect_rtcp(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut memory = packet.to_vec();
    memory.resize(packet.len() + outbound.rtcp_overhead(), 0);
    let len = outbound.protect_rtcp(&mut memory, packet.len()).unwrap();
    memory.truncate(len);
    memory
}
