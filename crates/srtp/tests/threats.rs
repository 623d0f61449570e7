//! The rows S1 to S8 of the list of threats.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a panic is how a test fails"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use common::{config, keys, pair, protect_rtcp, protect_rtp, rtcp, rtp};
use crypto::{
    Aead, AeadAlgorithm, Block, Cipher, CipherAlgorithm, Forged, Group, Hash, HashAlgorithm, Hmac,
    InvalidKey, InvalidSignature, KeyExchange, Nonce, Provider, Rng, SignatureAlgorithm, SigningKey, Tag,
};
use srtp::{
    Cryptex, Inbound, MasterKeys, Outbound, Profile, ProtectError, RolloverError, Ssrc, UnprotectError,
};

#[test]
fn s1_no_flipped_bit_is_accepted() {
    let mut flips = 0;
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = pair(&config(), profile);
        let media = protect_rtp(&mut outbound, &rtp(7, 100, &[0x55; 140]));
        let control = protect_rtcp(&mut outbound, &rtcp(7, &[0x55; 52]));
        for bit in 0..media.len() * 8 {
            let mut packet = media.clone();
            packet[bit / 8] ^= 1 << (bit % 8);
            assert!(inbound.unprotect_rtp(&mut packet).is_err(), "{} bit {bit}", profile.name());
            flips += 1;
        }
        for bit in 0..control.len() * 8 {
            let mut packet = control.clone();
            packet[bit / 8] ^= 1 << (bit % 8);
            assert!(inbound.unprotect_rtcp(&mut packet).is_err(), "{} bit {bit}", profile.name());
            flips += 1;
        }
        let (mut zero_media, mut zero_control) = (media.clone(), control.clone());
        let (media_len, control_len) = (media.len(), control.len());
        zero_media[media_len - profile.rtp_tag_len()..].fill(0);
        let tag = if profile.rtcp_tag_len() == 16 { control_len - 20 } else { control_len - 10 };
        zero_control[tag..tag + profile.rtcp_tag_len()].fill(0);
        assert_eq!(inbound.unprotect_rtp(&mut zero_media).err(), Some(UnprotectError::Forged));
        assert_eq!(inbound.unprotect_rtcp(&mut zero_control).err(), Some(UnprotectError::Forged));
        assert_eq!(inbound.streams(), (0, 0));
        // The packets themselves are still good.
        assert!(inbound.unprotect_rtp(&mut media.clone()).is_ok());
        assert!(inbound.unprotect_rtcp(&mut control.clone()).is_ok());
    }
    assert!(flips >= 10_000, "{flips}");
}

#[test]
fn s1_nothing_decrypted_is_left_after_a_wrong_tag() {
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = pair(&config(), profile);
        let plain = rtp(7, 100, &[0x55; 100]);
        let mut packet = protect_rtp(&mut outbound, &plain);
        *packet.last_mut().unwrap() ^= 1;
        let before = packet.clone();
        assert!(inbound.unprotect_rtp(&mut packet).is_err());
        for at in 12..112 {
            assert!(packet[at] == before[at] || packet[at] == 0);
        }
        let mut packet = protect_rtcp(&mut outbound, &rtcp(7, &[0x55; 48]));
        packet[20] ^= 1;
        let before = packet.clone();
        assert!(inbound.unprotect_rtcp(&mut packet).is_err());
        for at in 8..56 {
            assert!(packet[at] == before[at] || packet[at] == 0);
        }
    }
}

#[test]
fn s2_a_million_forged_packets_of_other_sources_leave_nothing() {
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80] {
        let (mut outbound, mut inbound) = pair(&config(), profile);
        let honest = protect_rtp(&mut outbound, &rtp(7, 1, b"honest"));
        inbound.unprotect_rtp(&mut honest.clone()).unwrap();
        let (mut media, mut control) = (rtp(0, 1, &[1; 40]), rtcp(0, &[1; 40]));
        // Wherever the profile has it, the flag says that the packet is encrypted.
        control[32..].fill(0x80);
        let counted = allocation_counter::measure(|| {
            for ssrc in 0..1_u32 << 19 {
                media[8..12].copy_from_slice(&ssrc.to_be_bytes());
                control[4..8].copy_from_slice(&ssrc.to_be_bytes());
                assert!(inbound.unprotect_rtp(&mut media).is_err());
                assert!(inbound.unprotect_rtcp(&mut control).is_err());
            }
        });
        assert_eq!(inbound.streams(), (1, 0));
        assert_eq!(counted.bytes_current, 0);
        let stats = inbound.stats();
        assert_eq!((stats.rtp_packets, stats.rtcp_packets), (1, 0));
        assert_eq!(stats.forged + stats.replayed, 1 << 20);
    }
}

#[test]
fn s2_twins_of_which_one_is_fed_forgeries_stay_equal() {
    for profile in Profile::ALL {
        let (mut outbound, mut one) = pair(&config(), profile);
        let (_, mut other) = pair(&config(), profile);
        let mut rng = Rng::new([3; 32]);
        for step in 0..400_u16 {
            let mut packet = protect_rtp(&mut outbound, &rtp(7, step.wrapping_mul(300), &[1; 20]));
            for _ in 0..3 {
                let mut forged = packet.clone();
                forged[2..4].copy_from_slice(&rng.array::<2>());
                let at = 12 + rng.below(forged.len() as u32 - 12) as usize;
                forged[at] ^= 0x40;
                assert!(other.unprotect_rtp(&mut forged).is_err());
            }
            let mut copy = packet.clone();
            let expected = one.unprotect_rtp(&mut packet).unwrap().index();
            assert_eq!(other.unprotect_rtp(&mut copy).unwrap().index(), expected);
        }
        assert_eq!(one.highest(Ssrc(7)), other.highest(Ssrc(7)));
    }
}

#[test]
fn s3_control_that_is_not_encrypted_is_refused_unless_allowed_and_right() {
    for profile in Profile::ALL {
        let mut lenient = config();
        lenient.accept_unencrypted_rtcp = true;
        let (mut outbound, mut strict) = pair(&config(), profile);
        let (_, mut lenient) = pair(&lenient, profile);
        let mut packet = protect_rtcp(&mut outbound, &rtcp(7, &[3; 20]));
        let word = if profile.rtcp_tag_len() == 16 { packet.len() - 4 } else { packet.len() - 14 };
        packet[word] &= 0x7f;
        // The flag is cleared on the way: the tag covers it.
        assert_eq!(strict.unprotect_rtcp(&mut packet.clone()).err(), Some(UnprotectError::Unencrypted));
        assert_eq!(lenient.unprotect_rtcp(&mut packet).err(), Some(UnprotectError::Forged));
        assert_eq!((strict.streams(), lenient.streams()), ((0, 0), (0, 0)));
        assert_eq!(strict.stats().against_policy, 1);
    }
    // A right one by hand: HMAC-SHA-1 over packet and index, with the key of RFC 3711's derivation.
    let profile = Profile::Aes128CmHmacSha1_80;
    let provider = crypto::rust_crypto();
    let (key, salt): (Vec<u8>, Vec<u8>) = ((1..17).collect(), (101..115).collect());
    let mut counter = [0; 16];
    counter[..14].copy_from_slice(&salt);
    counter[7] ^= 4;
    let mut authentication = [0; 20];
    provider.cipher(CipherAlgorithm::Aes128, &key).unwrap().apply_keystream(&counter, &mut authentication);
    let plain = rtcp(7, &[3; 20]);
    let word = 5_u32.to_be_bytes();
    let tag = provider.hmac(HashAlgorithm::Sha1, &authentication).sign(&[&plain, &word]);
    let packet = [&plain[..], &word, &tag.as_bytes()[..10]].concat();
    let (_, mut strict) = pair(&config(), profile);
    assert_eq!(strict.unprotect_rtcp(&mut packet.clone()).err(), Some(UnprotectError::Unencrypted));
    let mut lenient = config();
    lenient.accept_unencrypted_rtcp = true;
    let (_, mut lenient) = pair(&lenient, profile);
    assert_eq!(lenient.unprotect_rtcp(&mut packet.clone()).unwrap().bytes(), plain);
    assert_eq!(lenient.unprotect_rtcp(&mut packet.clone()).err(), Some(UnprotectError::Replayed));
}

#[test]
fn s3_plain_packets_are_not_delivered() {
    for profile in Profile::ALL {
        let (_, mut inbound) = pair(&config(), profile);
        for len in 0..200 {
            let mut media = rtp(7, len, &vec![0; usize::from(len)]);
            assert!(inbound.unprotect_rtp(&mut media).is_err());
            let mut control = rtcp(7, &vec![0; usize::from(len)]);
            assert!(inbound.unprotect_rtcp(&mut control).is_err());
        }
        assert_eq!(inbound.streams(), (0, 0));
    }
}

#[test]
fn s4_indices_are_right_through_loss_reordering_and_wraps() {
    let mut config = config();
    config.rtp_window = 1 << 15;
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_32] {
        for loss in [0, 30] {
            let (mut outbound, mut inbound) = pair(&config, profile);
            let mut rng = Rng::new([loss as u8 + 1; 32]);
            // Packets wait so long that others overtake them by up to 2¹⁴.
            let mut waiting: Vec<(u64, Vec<u8>)> = Vec::new();
            let first = 65_500_u64;
            let mut deliver = |index: u64, mut packet: Vec<u8>| {
                assert_eq!(inbound.unprotect_rtp(&mut packet).unwrap().index().get(), index);
            };
            for step in 0..80_000_u64 {
                let index = first + step;
                let packet = protect_rtp(&mut outbound, &rtp(7, index as u16, &step.to_be_bytes()));
                if step == 0 {
                    deliver(index, packet);
                } else if rng.below(100) >= loss {
                    waiting.push((index, packet));
                }
                if waiting.len() >= 1 << 12 {
                    let at = rng.below(1 << 12) as usize;
                    let (index, packet) = waiting.swap_remove(at);
                    deliver(index, packet);
                    // Those that have waited too long would be outside of what a sequence number can tell.
                    let oldest = (first + step).saturating_sub((1 << 14) - 64);
                    while let (0, Some(at)) = (step % 64, overdue(&waiting, oldest)) {
                        let (index, packet) = waiting.swap_remove(at);
                        deliver(index, packet);
                    }
                }
            }
            assert!(inbound.highest(Ssrc(7)).unwrap().rollover_counter() == 2);
            assert_eq!(outbound.highest(Ssrc(7)).unwrap().get(), first + 79_999);
            assert_eq!(inbound.stats().forged, 0);
        }
    }
}

fn overdue(waiting: &[(u64, Vec<u8>)], oldest: u64) -> Option<usize> {
    waiting.iter().position(|(index, _)| *index < oldest)
}

#[test]
fn s4_a_late_joiner_is_told_the_rollover_counter() {
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = pair(&config(), profile);
        outbound.set_rollover_counter(Ssrc(7), 3).unwrap();
        let mut packet = protect_rtp(&mut outbound, &rtp(7, 500, b"later"));
        assert_eq!(inbound.unprotect_rtp(&mut packet.clone()).err(), Some(UnprotectError::Forged));
        let counter = outbound.highest(Ssrc(7)).unwrap().rollover_counter();
        inbound.set_rollover_counter(Ssrc(7), counter).unwrap();
        let index = inbound.unprotect_rtp(&mut packet).unwrap().index();
        assert_eq!((index.rollover_counter(), index.sequence(), index.get()), (3, 500, 3 << 16 | 500));
        assert_eq!(inbound.set_rollover_counter(Ssrc(7), 2), Err(RolloverError::Behind));
        assert_eq!(outbound.set_rollover_counter(Ssrc(7), 2), Err(RolloverError::Behind));
    }
}

/// What was sent and received before the counter was set is out of the window's memory, but not forgotten.
#[test]
fn s5_s6_setting_a_rollover_counter_lets_nothing_come_again() {
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = pair(&config(), profile);
        let recorded = protect_rtp(&mut outbound, &rtp(7, 65_535, b"first"));
        inbound.unprotect_rtp(&mut recorded.clone()).unwrap();
        outbound.set_rollover_counter(Ssrc(7), 1).unwrap();
        inbound.set_rollover_counter(Ssrc(7), 1).unwrap();
        let mut next = protect_rtp(&mut outbound, &rtp(7, 1, b"next"));
        inbound.unprotect_rtp(&mut next).unwrap();

        assert_eq!(inbound.unprotect_rtp(&mut recorded.clone()).err(), Some(UnprotectError::TooOld));
        let mut memory = [0; 100];
        let other = rtp(7, 65_535, b"other");
        memory[..other.len()].copy_from_slice(&other);
        assert_eq!(outbound.protect_rtp(&mut memory, other.len()), Err(ProtectError::TooOld));
    }
}

#[test]
fn s5_a_recorded_call_replayed_is_refused_whole() {
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = pair(&config(), profile);
        let mut recorded = Vec::new();
        for step in 0..2000_u16 {
            let ssrc = u32::from(step % 3);
            recorded.push((
                true,
                protect_rtp(&mut outbound, &rtp(ssrc, 65_000_u16.wrapping_add(step), &[1; 30])),
            ));
            if step % 20 == 0 {
                recorded.push((false, protect_rtcp(&mut outbound, &rtcp(ssrc, &[1; 24]))));
            }
        }
        let play = |inbound: &mut Inbound| {
            let taken = |(media, packet): &(bool, Vec<u8>)| {
                let mut packet = packet.clone();
                if *media {
                    inbound.unprotect_rtp(&mut packet).is_ok()
                } else {
                    inbound.unprotect_rtcp(&mut packet).is_ok()
                }
            };
            recorded.iter().map(taken).filter(|taken| *taken).count()
        };
        assert_eq!(play(&mut inbound), 2100);
        assert_eq!((play(&mut inbound), play(&mut inbound)), (0, 0));
    }
}

#[test]
fn s5_windows_are_as_wide_as_configured() {
    for (window, width) in [(0, 64), (64, 64), (128, 128), (1024, 1024)] {
        let mut config = config();
        (config.rtp_window, config.rtcp_window) = (window, window);
        let (mut outbound, mut inbound) = pair(&config, Profile::AeadAes128Gcm);
        let media: Vec<_> = (0..=width).map(|at| protect_rtp(&mut outbound, &rtp(7, at, b"x"))).collect();
        let control: Vec<_> = (0..=width).map(|_| protect_rtcp(&mut outbound, &rtcp(7, b""))).collect();
        inbound.unprotect_rtp(&mut media.last().unwrap().clone()).unwrap();
        inbound.unprotect_rtcp(&mut control.last().unwrap().clone()).unwrap();
        // The last of them stands `width` before the newest: too old. The one after it is still known.
        assert_eq!(inbound.unprotect_rtp(&mut media[0].clone()).err(), Some(UnprotectError::TooOld));
        assert_eq!(inbound.unprotect_rtcp(&mut control[0].clone()).err(), Some(UnprotectError::TooOld));
        assert!(inbound.unprotect_rtp(&mut media[1].clone()).is_ok());
        assert!(inbound.unprotect_rtcp(&mut control[1].clone()).is_ok());
        assert_eq!(inbound.unprotect_rtp(&mut media[1].clone()).err(), Some(UnprotectError::Replayed));
        assert_eq!(inbound.unprotect_rtcp(&mut control[1].clone()).err(), Some(UnprotectError::Replayed));
    }
}

#[test]
fn s5_a_forged_packet_far_ahead_moves_no_window() {
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = pair(&config(), profile);
        inbound.unprotect_rtp(&mut protect_rtp(&mut outbound, &rtp(7, 10, b"x"))).unwrap();
        for sequence in [11, 1000, 0x7fff, 0x8009] {
            let mut forged = rtp(7, sequence, &[0; 40]);
            assert_eq!(inbound.unprotect_rtp(&mut forged).err(), Some(UnprotectError::Forged));
        }
        assert_eq!(inbound.highest(Ssrc(7)).unwrap().get(), 10);
        inbound.unprotect_rtp(&mut protect_rtp(&mut outbound, &rtp(7, 11, b"x"))).unwrap();
    }
}

/// A provider that remembers what was encrypted with which key stream.
#[derive(Debug)]
struct Spy(Mutex<Vec<Arc<Log>>>);

/// Of one key: which message was encrypted with which nonce or counter.
type Log = Mutex<Vec<(Block, Vec<u8>)>>;

#[derive(Debug)]
struct Watched<T>(T, Arc<Log>);

impl Spy {
    fn log(&self) -> Arc<Log> {
        let log = Arc::<Log>::default();
        self.0.lock().unwrap().push(Arc::clone(&log));
        log
    }
}

impl Provider for Spy {
    fn name(&self) -> &'static str {
        "spy"
    }

    fn aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn Aead>, InvalidKey> {
        Ok(Box::new(Watched(crypto::default_provider().aead(algorithm, key)?, self.log())))
    }

    fn cipher(&self, algorithm: CipherAlgorithm, key: &[u8]) -> Result<Box<dyn Cipher>, InvalidKey> {
        Ok(Box::new(Watched(crypto::default_provider().cipher(algorithm, key)?, self.log())))
    }

    fn hash(&self, algorithm: HashAlgorithm) -> Box<dyn Hash> {
        crypto::rust_crypto().hash(algorithm)
    }

    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8]) -> Box<dyn Hmac> {
        crypto::rust_crypto().hmac(algorithm, key)
    }

    fn key_exchange(&self, group: Group, rng: &mut Rng) -> Box<dyn KeyExchange> {
        crypto::rust_crypto().key_exchange(group, rng)
    }

    fn signing_key(
        &self,
        a: SignatureAlgorithm,
        secret: &[u8; 32],
    ) -> Result<Box<dyn SigningKey>, InvalidKey> {
        crypto::rust_crypto().signing_key(a, secret)
    }

    fn verify(&self, a: SignatureAlgorithm, k: &[u8], m: &[u8], s: &[u8]) -> Result<(), InvalidSignature> {
        crypto::rust_crypto().verify(a, k, m, s)
    }
}

impl Aead for Watched<Box<dyn Aead>> {
    fn seal(&self, nonce: &Nonce, associated_data: &[u8], message: &mut [u8]) -> Tag {
        let mut block = [0; 16];
        block[..12].copy_from_slice(nonce);
        self.1.lock().unwrap().push((block, [associated_data, message].concat()));
        self.0.seal(nonce, associated_data, message)
    }

    fn open(&self, nonce: &Nonce, data: &[u8], message: &mut [u8], tag: &Tag) -> Result<(), Forged> {
        self.0.open(nonce, data, message, tag)
    }
}

impl Cipher for Watched<Box<dyn Cipher>> {
    fn encrypt_block(&self, block: &mut Block) {
        self.0.encrypt_block(block);
    }

    fn apply_keystream(&self, counter: &Block, message: &mut [u8]) {
        self.1.lock().unwrap().push((*counter, message.to_vec()));
        self.0.apply_keystream(counter, message);
    }
}

#[test]
fn s6_no_key_stream_encrypts_two_messages_that_leave() {
    for profile in [Profile::AeadAes128Gcm, Profile::Aes256CmHmacSha1_80] {
        let spy: &'static Spy = Box::leak(Box::new(Spy(Mutex::default())));
        let mut config = config();
        config.provider = spy;
        let mut outbound = Outbound::new(&config, &keys(profile, 1)).unwrap();
        // What the derivation of keys did.
        spy.0.lock().unwrap().iter().for_each(|log| log.lock().unwrap().clear());
        let mut rng = Rng::new([6; 32]);
        let mut used: BTreeMap<(usize, Block), Vec<u8>> = BTreeMap::new();
        let (mut sent, mut repeated, mut refused) = (0, 0, 0);
        let mut next = [65_000_u16, 3, 40_000];
        for _ in 0..60_000 {
            let source = rng.below(3) as usize;
            let control = rng.below(20) == 0;
            // One of four is a packet that was sent before, sometimes with other bytes, sometimes long ago.
            let back = if rng.below(4) == 0 { rng.below(150) as u16 } else { 0 };
            let sequence = next[source].wrapping_sub(back);
            let content = if rng.below(10) == 0 { rng.below(256) as u8 } else { 9 };
            let plain = if control {
                rtcp(source as u32, &[content; 12])
            } else {
                rtp(source as u32, sequence, &[sequence as u8, content, 1, 2])
            };
            let mut memory = plain.clone();
            memory.resize(plain.len() + 40, 0);
            let outcome = if control {
                outbound.protect_rtcp(&mut memory, plain.len())
            } else {
                outbound.protect_rtp(&mut memory, plain.len())
            };
            let logs = spy.0.lock().unwrap();
            let encrypted: Vec<(usize, Block, Vec<u8>)> = logs
                .iter()
                .enumerate()
                .flat_map(|(key, log)| {
                    log.lock().unwrap().drain(..).map(move |(iv, m)| (key, iv, m)).collect::<Vec<_>>()
                })
                .collect();
            match outcome {
                Ok(_) => {
                    let [(key, iv, message)] = &encrypted[..] else { panic!("{encrypted:?}") };
                    if let Some(before) = used.insert((*key, *iv), message.clone()) {
                        assert_eq!(&before, message);
                        repeated += 1;
                    }
                    sent += 1;
                    if !control && back == 0 {
                        next[source] = next[source].wrapping_add(1);
                    }
                }
                Err(ProtectError::Reused) => {
                    let needed = plain.len() + profile.rtp_tag_len();
                    assert!(memory[..needed].iter().all(|byte| *byte == 0), "what must not leave is there");
                    refused += 1;
                    if back == 0 {
                        next[source] = next[source].wrapping_add(1);
                    }
                }
                Err(ProtectError::TooOld) => assert!(encrypted.is_empty() && back >= 128),
                Err(error) => panic!("{error}"),
            }
        }
        assert!(sent > 50_000 && repeated > 1000 && refused > 100, "{sent} {repeated} {refused}");
        assert_eq!(outbound.stats().reused, refused);
    }
}

#[test]
fn s6_another_packet_with_a_used_index_is_refused() {
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = pair(&config(), profile);
        let first = rtp(7, 1, b"first");
        let protected = protect_rtp(&mut outbound, &first);
        assert_eq!(protect_rtp(&mut outbound, &first), protected);
        // Other payload, other header, other length.
        let mut marked = first.clone();
        marked[1] |= 0x80;
        for other in [rtp(7, 1, b"other"), marked, rtp(7, 1, b"firs"), rtp(7, 1, b"")] {
            let mut memory = other.clone();
            memory.resize(other.len() + 16, 9);
            assert_eq!(outbound.protect_rtp(&mut memory, other.len()), Err(ProtectError::Reused));
            assert!(memory[..other.len() + profile.rtp_tag_len()].iter().all(|byte| *byte == 0));
        }
        // The stream goes on, and another SSRC has indices of its own.
        for packet in [rtp(7, 2, b"other"), rtp(8, 1, b"other")] {
            inbound.unprotect_rtp(&mut protect_rtp(&mut outbound, &packet)).unwrap();
        }
    }
}

#[test]
fn s7_keys_end_after_as_many_packets_as_they_may_protect() {
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80] {
        let (unlimited, limited) = (config(), {
            let mut config = config();
            (config.max_rtp_packets, config.max_rtcp_packets) = (10, 5);
            config
        });
        let (mut outbound, mut inbound) = pair(&limited, profile);
        let (mut endless, _) = pair(&unlimited, profile);
        for at in 0..10 {
            let ssrc = u32::from(at % 2);
            inbound.unprotect_rtp(&mut protect_rtp(&mut outbound, &rtp(ssrc, at, b"x"))).unwrap();
            protect_rtp(&mut endless, &rtp(ssrc, at, b"x"));
        }
        for _ in 0..5 {
            inbound.unprotect_rtcp(&mut protect_rtcp(&mut outbound, &rtcp(1, b""))).unwrap();
            protect_rtcp(&mut endless, &rtcp(1, b""));
        }
        let mut memory = rtp(0, 10, &[0; 40]);
        assert_eq!(outbound.protect_rtp(&mut memory, 20), Err(ProtectError::KeyExpired));
        let mut memory = rtcp(1, &[0; 40]);
        assert_eq!(outbound.protect_rtcp(&mut memory, 20), Err(ProtectError::KeyExpired));
        let (mut media, mut control) =
            (protect_rtp(&mut endless, &rtp(0, 10, b"x")), protect_rtcp(&mut endless, &rtcp(1, b"")));
        assert_eq!(inbound.unprotect_rtp(&mut media).err(), Some(UnprotectError::KeyExpired));
        assert_eq!(inbound.unprotect_rtcp(&mut control).err(), Some(UnprotectError::KeyExpired));
        // The same packet again encrypts nothing new.
        protect_rtp(&mut outbound, &rtp(1, 9, b"x"));
    }
    assert_eq!((config().max_rtp_packets, config().max_rtcp_packets), (1 << 48, 1 << 31));
}

#[test]
fn s7_an_index_of_48_bits_does_not_wrap() {
    let (mut outbound, mut inbound) = pair(&config(), Profile::AeadAes256Gcm);
    outbound.set_rollover_counter(Ssrc(7), u32::MAX).unwrap();
    inbound.set_rollover_counter(Ssrc(7), u32::MAX).unwrap();
    let mut packet = protect_rtp(&mut outbound, &rtp(7, u16::MAX, b"the last"));
    assert_eq!(inbound.unprotect_rtp(&mut packet).unwrap().index().get(), (1 << 48) - 1);
    let mut memory = rtp(7, 0, &[0; 40]);
    assert_eq!(outbound.protect_rtp(&mut memory, 20), Err(ProtectError::KeyExpired));
    assert_eq!(inbound.unprotect_rtp(&mut memory).err(), Some(UnprotectError::KeyExpired));
    assert!(outbound.protect_rtp(&mut rtp(7, u16::MAX - 1, &[0; 40]), 20).is_ok());
}

#[test]
fn s8_every_short_packet_with_any_header_is_refused() {
    for profile in Profile::ALL {
        for mode in [Cryptex::Off, Cryptex::On] {
            let mut config = config();
            config.cryptex = mode;
            let (mut outbound, mut inbound) = pair(&config, profile);
            for len in 0..=64 {
                for first in 0..=255_u8 {
                    let mut packet = vec![first; len];
                    assert!(inbound.unprotect_rtp(&mut packet).is_err());
                    let mut packet = vec![first; len];
                    assert!(inbound.unprotect_rtcp(&mut packet).is_err());
                    // What is sent may be anything; it is refused, or it is as long as it should be.
                    for room in [0, 3, 40] {
                        let mut memory = vec![first; len + room];
                        let _ = outbound.protect_rtp(&mut memory, len);
                        let _ = outbound.protect_rtp(&mut memory, len + room + 1);
                        let _ = outbound.protect_rtcp(&mut memory, len);
                    }
                }
            }
            assert_eq!(inbound.streams(), (0, 0));
        }
    }
}

#[test]
fn packets_are_as_long_as_a_datagram_and_not_one_byte_more() {
    let (mut outbound, mut inbound) = pair(&config(), Profile::Aes128CmHmacSha1_80);
    let longest = rtp(7, 1, &vec![1; 65_535 - 12 - 10]);
    let mut packet = protect_rtp(&mut outbound, &longest);
    assert_eq!(packet.len(), 65_535);
    assert_eq!(inbound.unprotect_rtp(&mut packet).unwrap().bytes(), longest);
    let mut memory = rtp(7, 2, &vec![1; 70_000]);
    assert_eq!(outbound.protect_rtp(&mut memory, 65_526), Err(ProtectError::TooLong));
    assert_eq!(outbound.protect_rtcp(&mut memory, 65_522), Err(ProtectError::TooLong));
    assert_eq!(inbound.unprotect_rtp(&mut memory[..65_536]).err(), Some(UnprotectError::Malformed));
    assert_eq!(inbound.unprotect_rtcp(&mut memory[..65_536]).err(), Some(UnprotectError::Malformed));
}

#[test]
fn keying_material_is_divided_by_role() {
    use srtp::{DtlsRole, KeyError};
    for profile in Profile::ALL {
        let material: Vec<u8> = (0..profile.keying_material_len()).map(|at| at as u8).collect();
        let config = config();
        let client = MasterKeys::from_keying_material(profile, &material, DtlsRole::Client).unwrap();
        let server = MasterKeys::from_keying_material(profile, &material, DtlsRole::Server).unwrap();
        let (key, salt) = (profile.key_len(), profile.salt_len());
        let ours = MasterKeys::new(profile, &material[..key], &material[2 * key..2 * key + salt]).unwrap();
        let plain = rtp(7, 1, b"hello");
        let protected = protect_rtp(&mut Outbound::new(&config, &client.0).unwrap(), &plain);
        assert_eq!(protected, protect_rtp(&mut Outbound::new(&config, &ours).unwrap(), &plain));
        let mut packet = protected.clone();
        assert!(Inbound::new(&config, &server.1).unwrap().unprotect_rtp(&mut packet).is_ok());
        // What the client writes with, it does not read with.
        assert!(Inbound::new(&config, &client.1).unwrap().unprotect_rtp(&mut protected.clone()).is_err());
        let mut back = protect_rtp(&mut Outbound::new(&config, &server.0).unwrap(), &plain);
        assert!(Inbound::new(&config, &client.1).unwrap().unprotect_rtp(&mut back).is_ok());
        for len in [0, key, material.len() - 1] {
            let short = MasterKeys::from_keying_material(profile, &material[..len], DtlsRole::Client);
            assert_eq!(short.err(), Some(KeyError));
        }
        assert_eq!(format!("{client:?}").matches("[redacted]").count(), 4);
    }
}
