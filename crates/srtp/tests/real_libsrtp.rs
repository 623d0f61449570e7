//! libsrtp, by PyPI's pylibsrtp, as the other end: 100,000 packets, byte for byte, in both directions.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a panic is how a test fails"
)]

mod common;

use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use common::config;
use crypto::Rng;
use srtp::{Inbound, MasterKeys, Outbound, Profile};

const PROFILES: [Profile; 4] = [
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
    Profile::Aes128CmHmacSha1_80,
    Profile::Aes128CmHmacSha1_32,
];

/// libsrtp in a process of its own, until this is dropped.
struct Peer {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn spawn(python: &Path, profile: Profile, key: &[u8]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pylibsrtp_peer.py");
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = BufWriter::new(child.stdin.take().unwrap());
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut peer = Self { child, input, output };
        peer.write(&[format!("{}:", profile.name()).as_bytes(), key].concat());
        peer
    }

    fn write(&mut self, frame: &[u8]) {
        self.input.write_all(&(frame.len() as u32).to_be_bytes()).unwrap();
        self.input.write_all(frame).unwrap();
    }

    /// What libsrtp makes of all these packets; `None` for what it refuses.
    fn ask(&mut self, requests: &[(u8, Vec<u8>)]) -> Vec<Option<Vec<u8>>> {
        for (verb, packet) in requests {
            self.write(&[&[*verb], &packet[..]].concat());
        }
        self.input.flush().unwrap();
        requests.iter().map(|_| self.read()).collect()
    }

    fn read(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; 4];
        self.output.read_exact(&mut head).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(head) as usize];
        self.output.read_exact(&mut answer).unwrap();
        (answer.remove(0) == 0).then_some(answer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A packet with any number of CSRCs, sometimes an extension and padding.
fn media(rng: &mut Rng, ssrc: u32, sequence: u16) -> Vec<u8> {
    let csrcs = if rng.below(4) == 0 { rng.below(16) as u8 } else { 0 };
    let extension = rng.below(3) == 0;
    let mut packet = vec![0x80 | csrcs | u8::from(extension) << 4, rng.array::<1>()[0]];
    packet.extend(sequence.to_be_bytes());
    packet.extend(rng.array::<4>());
    packet.extend(ssrc.to_be_bytes());
    (0..csrcs).for_each(|_| packet.extend(rng.array::<4>()));
    if extension {
        let words = rng.below(8) as u16;
        packet.extend([0xbe, 0xde]);
        packet.extend(words.to_be_bytes());
        (0..words).for_each(|_| packet.extend(rng.array::<4>()));
    }
    let mut payload = vec![0; rng.below(300) as usize];
    rng.fill(&mut payload);
    packet.extend(payload);
    packet
}

fn control(rng: &mut Rng, ssrc: u32) -> Vec<u8> {
    let words = rng.below(30) as u16;
    let mut packet = vec![0x80, 200 + rng.below(8) as u8];
    packet.extend((words + 1).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    (0..words).for_each(|_| packet.extend(rng.array::<4>()));
    packet
}

/// Exchanges that many packets with libsrtp, under loss and reordering, and gives how many were compared.
fn exchange(python: &Path, profile: Profile, count: usize) -> usize {
    let mut rng = Rng::new([profile.name().len() as u8; 32]);
    let mut both = vec![0; profile.key_len() + profile.salt_len()];
    rng.fill(&mut both);
    let mut peer = Peer::spawn(python, profile, &both);
    let keys = MasterKeys::from_key_and_salt(profile, &both).unwrap();
    let mut config = config();
    (config.rtp_window, config.rtcp_window) = (1024, 1024);
    let (mut outbound, mut inbound) =
        (Outbound::new(&config, &keys).unwrap(), Inbound::new(&config, &keys).unwrap());
    // libsrtp's first SRTCP index is one, ours is zero.
    for ssrc in 1..4_u32 {
        outbound.protect_rtcp(&mut common::rtcp(ssrc, &[0; 40]), 8).unwrap();
    }
    let mut next = [65_000_u16, 10, 32_000];
    let mut compared = 0;
    while compared < count {
        let mut plain = Vec::new();
        for _ in 0..200 {
            let source = rng.below(3) as usize;
            let ssrc = source as u32 + 1;
            if rng.below(10) == 0 {
                plain.push((b'p', control(&mut rng, ssrc)));
            } else {
                plain.push((b'P', media(&mut rng, ssrc, next[source])));
                next[source] = next[source].wrapping_add(1);
            }
        }
        // Both protect the same packets to the same bytes.
        let theirs = peer.ask(&plain);
        let mut protected = Vec::new();
        for ((verb, packet), theirs) in plain.iter().zip(theirs) {
            let mut memory = packet.clone();
            memory.resize(packet.len() + 20, 0);
            let len = match verb {
                b'P' => outbound.protect_rtp(&mut memory, packet.len()),
                _ => outbound.protect_rtcp(&mut memory, packet.len()),
            };
            memory.truncate(len.unwrap());
            assert_eq!(theirs.as_ref(), Some(&memory), "{}", profile.name());
            protected.push((if *verb == b'P' { b'U' } else { b'u' }, memory, packet.clone()));
        }
        // One of ten is lost, two of ten come late, some come twice, and some are damaged: both say the same of each.
        protected.retain(|_| rng.below(10) != 0);
        for at in 0..protected.len() {
            let other = (at + rng.below(60) as usize).min(protected.len() - 1);
            if rng.below(5) == 0 {
                protected.swap(at, other);
            }
            if rng.below(20) == 0 {
                protected.push(protected[at].clone());
            }
        }
        for (_, packet, _) in &mut protected {
            if rng.below(50) == 0 {
                let at = 12.min(packet.len() - 5) + rng.below(4) as usize;
                packet[at] ^= 0x10;
            }
        }
        let requests: Vec<(u8, Vec<u8>)> =
            protected.iter().map(|(v, packet, _)| (*v, packet.clone())).collect();
        let theirs = peer.ask(&requests);
        for ((verb, mut packet, plain), theirs) in protected.into_iter().zip(theirs) {
            let ours = match verb {
                b'U' => inbound.unprotect_rtp(&mut packet).map(|packet| packet.bytes().to_vec()),
                _ => inbound.unprotect_rtcp(&mut packet).map(|packet| packet.bytes().to_vec()),
            };
            assert_eq!(ours.is_ok(), theirs.is_some(), "{} {ours:?}", profile.name());
            if let (Ok(ours), Some(theirs)) = (ours, theirs) {
                assert_eq!((&ours, &theirs), (&plain, &plain));
            }
        }
        compared += plain.len();
    }
    let stats = inbound.stats();
    assert!(stats.replayed > 100 && stats.forged > 100 && stats.rtcp_packets > 100, "{stats:?}");
    compared
}

#[test]
fn real_libsrtp_makes_the_same_bytes_of_100_000_packets_and_takes_the_same() {
    let Some(python) = testkit::python("import pylibsrtp") else { return };
    let runs = PROFILES.map(|profile| {
        let python = python.clone();
        thread::spawn(move || exchange(&python, profile, 25_000))
    });
    let compared: usize = runs.into_iter().map(|run| run.join().unwrap()).sum();
    assert!(compared >= 100_000);
    println!("{compared} packets, each way");
}
