//! SRTP of packets of 1,200 bytes, one stream, each packet once: ours with either provider, the peers, and what of it
//! is the encryption alone.

use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use crypto::{AeadAlgorithm, CipherAlgorithm, HashAlgorithm, Provider};
use rtc_crypto::RTCCryptoProvider;
use srtp::{Config, Inbound, MasterKeys, Outbound, Profile};
use str0m_proto::crypto as str0m_crypto;

use crate::measure::{Effort, Figure, OURS, Random, Side, in_turn, thread_cpu};

pub(super) fn protect_gcm(effort: Effort) -> Vec<Figure> {
    protect(effort, Profile::AeadAes128Gcm)
}

pub(super) fn unprotect_gcm(effort: Effort) -> Vec<Figure> {
    unprotect(effort, Profile::AeadAes128Gcm)
}

pub(super) fn protect_cm(effort: Effort) -> Vec<Figure> {
    protect(effort, Profile::Aes128CmHmacSha1_80)
}

pub(super) fn unprotect_cm(effort: Effort) -> Vec<Figure> {
    unprotect(effort, Profile::Aes128CmHmacSha1_80)
}

/// Packets of one pass: few enough to stay in the second-level cache.
const PACKETS: u16 = 256;
const PACKET: usize = 1200;
const HEADER: usize = 12;
const SSRC: u32 = 0xdeca_fbad;

/// What every side is given, and what it has to make of it.
struct Work {
    profile: Profile,
    key: [u8; 16],
    salt: Vec<u8>,
    /// With room for the tag.
    plain: Vec<Vec<u8>>,
    protected: Vec<Vec<u8>>,
}

impl Work {
    fn new(profile: Profile) -> Self {
        let mut random = Random(0x1234_5678_9abc_def1);
        let mut bytes = |len| (0..len).map(|_| random.next() as u8).collect::<Vec<_>>();
        let key = bytes(16).try_into().expect("16 bytes");
        let salt = bytes(profile.salt_len());
        let packet = |number: u16| {
            let mut packet = vec![0x80, 96];
            packet.extend((1000 + number).to_be_bytes());
            packet.extend([0, 0, 0, 1]);
            packet.extend(SSRC.to_be_bytes());
            packet.extend(bytes(PACKET - HEADER));
            packet.resize(PACKET + profile.rtp_tag_len(), 0);
            packet
        };
        let plain: Vec<_> = (0..PACKETS).map(packet).collect();
        let mut work = Self { profile, key, salt, protected: plain.clone(), plain };
        let mut outbound = work.outbound(crypto::rust_crypto());
        for packet in &mut work.protected {
            outbound.protect_rtp(packet, PACKET).expect("room");
        }
        work
    }

    fn keys(&self) -> MasterKeys {
        MasterKeys::new(self.profile, &self.key, &self.salt).expect("lengths")
    }

    fn outbound(&self, provider: &'static dyn Provider) -> Outbound {
        Outbound::new(&Config::new(provider), &self.keys()).expect("keys")
    }

    fn inbound(&self, provider: &'static dyn Provider) -> Inbound {
        Inbound::new(&Config::new(provider), &self.keys()).expect("keys")
    }

    fn is_gcm(&self) -> bool {
        self.profile == Profile::AeadAes128Gcm
    }

    /// A session key, for those that begin below (RFC 3711 §4.3.1).
    fn session<const N: usize>(&self, label: u8) -> [u8; N] {
        let mut counter = [0; 16];
        counter[..self.salt.len()].copy_from_slice(&self.salt);
        counter[7] ^= label;
        let cipher =
            crypto::rust_crypto().cipher(CipherAlgorithm::Aes128, &self.key).expect("a key of 16 bytes");
        let mut key = [0; N];
        cipher.apply_keystream(&counter, &mut key);
        key
    }
}

/// What became of a packet.
trait Made {
    fn bytes(&self, memory: &[u8]) -> Vec<u8>;
}

/// It stands where it was, with so many bytes.
impl Made for usize {
    fn bytes(&self, memory: &[u8]) -> Vec<u8> {
        memory[..*self].to_vec()
    }
}

impl Made for Bytes {
    fn bytes(&self, _: &[u8]) -> Vec<u8> {
        self.to_vec()
    }
}

impl Made for BytesMut {
    fn bytes(&self, _: &[u8]) -> Vec<u8> {
        self.to_vec()
    }
}

impl Made for Vec<u8> {
    fn bytes(&self, _: &[u8]) -> Vec<u8> {
        self.clone()
    }
}

/// A side that is given each packet once, after one that is not counted: CPU time of a packet. First all of them are
/// compared with `expected`, where that is known.
fn side<'a, C: 'a, M: Made>(
    (name, package): (&'static str, &'static str),
    given: &'a [Vec<u8>],
    expected: Option<&[Vec<u8>]>,
    fresh: impl Fn() -> C + 'a,
    operation: impl Fn(&mut C, &mut [u8]) -> M + 'a,
) -> Side<'a> {
    let mut memory = given.to_vec();
    if let Some(expected) = expected {
        let mut context = fresh();
        for (packet, expected) in memory.iter_mut().zip(expected) {
            let made = operation(&mut context, packet).bytes(packet);
            assert_eq!(made, expected[..made.len()], "{name}");
            assert!(made.len() >= PACKET, "{name}");
        }
    }
    Side::new(name, package, move |effort| {
        let (mut spent, mut count, wall) = (0, 0, Instant::now());
        while spent < effort.sample_ms * 1_000_000
            && wall.elapsed().as_millis() as u64 <= effort.sample_ms * 8
        {
            memory.iter_mut().zip(given).for_each(|(to, from)| to.copy_from_slice(from));
            let mut context = fresh();
            let (first, rest) = memory.split_first_mut().expect("packets");
            black_box(operation(&mut context, first));
            let start = thread_cpu();
            for packet in rest.iter_mut() {
                black_box(operation(&mut context, packet));
            }
            spent += thread_cpu() - start;
            count += rest.len();
        }
        spent as f64 / count as f64
    })
}

fn protect(effort: Effort, profile: Profile) -> Vec<Figure> {
    let work = &Work::new(profile);
    let (given, expected) = (&work.plain[..], Some(&work.protected[..]));
    let ours = |name, provider| {
        let protect =
            |context: &mut Outbound, packet: &mut [u8]| context.protect_rtp(packet, PACKET).expect("room");
        side((name, OURS), given, expected, move || work.outbound(provider), protect)
    };
    let mut sides = vec![
        ours("Peerline", crypto::default_provider()),
        ours("Peerline (RustCrypto)", crypto::rust_crypto()),
        ours("Peerline (ring)", crypto_ring::provider()),
        bare("bare seal", work, given, crypto::default_provider(), Bare::seal),
        bare("bare seal (RustCrypto)", work, given, crypto::rust_crypto(), Bare::seal),
        bare("bare seal (ring)", work, given, crypto_ring::provider(), Bare::seal),
        side(
            ("rtc-srtp (ring)", "rtc-srtp"),
            given,
            expected,
            || rtc(work, false),
            |context, packet| context.encrypt_rtp(&packet[..PACKET]).expect("a packet"),
        ),
        side(
            ("webrtc-srtp", "webrtc-srtp"),
            given,
            expected,
            || webrtc(work, false),
            |context, packet| context.encrypt_rtp(&packet[..PACKET]).expect("a packet"),
        ),
        side(
            ("bare glue of str0m (aws-lc-rs)", "str0m"),
            given,
            expected,
            || Glue::new(work, true),
            |glue, packet| glue.seal(&packet[..PACKET]),
        ),
    ];
    sides.extend(libsrtp(work, "protect", given, &work.protected));
    in_turn(effort, sides)
}

fn unprotect(effort: Effort, profile: Profile) -> Vec<Figure> {
    let work = &Work::new(profile);
    let (given, expected) = (&work.protected[..], Some(&work.plain[..]));
    let ours = |name, provider| {
        let unprotect = |context: &mut Inbound, packet: &mut [u8]| {
            context.unprotect_rtp(packet).expect("not seen").bytes().len()
        };
        side((name, OURS), given, expected, move || work.inbound(provider), unprotect)
    };
    let mut sides = vec![
        ours("Peerline", crypto::default_provider()),
        ours("Peerline (RustCrypto)", crypto::rust_crypto()),
        ours("Peerline (ring)", crypto_ring::provider()),
        bare("bare open", work, given, crypto::default_provider(), Bare::open),
        bare("bare open (RustCrypto)", work, given, crypto::rust_crypto(), Bare::open),
        bare("bare open (ring)", work, given, crypto_ring::provider(), Bare::open),
        side(
            ("rtc-srtp (ring)", "rtc-srtp"),
            given,
            expected,
            || rtc(work, true),
            |context, packet| context.decrypt_rtp(packet).expect("not seen"),
        ),
        side(
            ("webrtc-srtp", "webrtc-srtp"),
            given,
            expected,
            || webrtc(work, true),
            |context, packet| context.decrypt_rtp(packet).expect("not seen"),
        ),
        // It opens into memory of its own: the tag says that it is right.
        side(("bare glue of str0m (aws-lc-rs)", "str0m"), given, None, || Glue::new(work, false), Glue::open),
    ];
    sides.extend(libsrtp(work, "unprotect", given, &work.plain));
    in_turn(effort, sides)
}

/// The encryption alone, with its nonce and the check of the tag, by session keys.
enum Bare {
    Gcm { key: Box<dyn crypto::Aead>, salt: [u8; 12] },
    Cm { cipher: Box<dyn crypto::Cipher>, hmac: Box<dyn crypto::Hmac>, salt: [u8; 14] },
}

impl Bare {
    fn new(work: &Work, provider: &dyn Provider) -> Self {
        let key = work.session::<16>(0);
        if work.is_gcm() {
            let key = provider.aead(AeadAlgorithm::Aes128Gcm, &key).expect("a key of 16 bytes");
            return Self::Gcm { key, salt: work.session(2) };
        }
        Self::Cm {
            cipher: provider.cipher(CipherAlgorithm::Aes128, &key).expect("a key of 16 bytes"),
            hmac: provider.hmac(HashAlgorithm::Sha1, &work.session::<20>(1)),
            salt: work.session(2),
        }
    }

    fn seal(&mut self, packet: &mut [u8]) -> usize {
        let (text, tag) = packet.split_at_mut(PACKET);
        match self {
            Self::Gcm { key, salt } => {
                let (header, message) = text.split_at_mut(HEADER);
                let nonce = gcm_nonce(*salt, header);
                tag.copy_from_slice(&key.seal(&nonce, header, message));
            }
            Self::Cm { cipher, hmac, salt } => {
                let counter = cm_counter(*salt, text);
                cipher.apply_keystream(&counter, &mut text[HEADER..]);
                tag.copy_from_slice(&hmac.sign(&[text, &[0; 4]]).as_bytes()[..10]);
            }
        }
        packet.len()
    }

    fn open(&mut self, packet: &mut [u8]) -> usize {
        let (text, tag) = packet.split_at_mut(PACKET);
        match self {
            Self::Gcm { key, salt } => {
                let (header, message) = text.split_at_mut(HEADER);
                let nonce = gcm_nonce(*salt, header);
                let tag = (&*tag).try_into().expect("16 bytes");
                key.open(&nonce, header, message, tag).expect("its tag");
            }
            Self::Cm { cipher, hmac, salt } => {
                let right = hmac.sign(&[text, &[0; 4]]);
                assert!(crypto::constant_time_eq(&right.as_bytes()[..10], tag));
                let counter = cm_counter(*salt, text);
                cipher.apply_keystream(&counter, &mut text[HEADER..]);
            }
        }
        PACKET
    }
}

/// SSRC and sequence number with the salt; the rollover counter is zero.
fn gcm_nonce(mut salt: [u8; 12], header: &[u8]) -> [u8; 12] {
    salt[2..6].iter_mut().zip(&header[8..12]).for_each(|(to, from)| *to ^= from);
    salt[10..].iter_mut().zip(&header[2..4]).for_each(|(to, from)| *to ^= from);
    salt
}

fn cm_counter(salt: [u8; 14], header: &[u8]) -> [u8; 16] {
    let mut counter = [0; 16];
    counter[..14].copy_from_slice(&salt);
    counter[4..8].iter_mut().zip(&header[8..12]).for_each(|(to, from)| *to ^= from);
    counter[12..14].iter_mut().zip(&header[2..4]).for_each(|(to, from)| *to ^= from);
    counter
}

fn bare<'a>(
    name: &'static str,
    work: &'a Work,
    given: &'a [Vec<u8>],
    provider: &'static dyn Provider,
    operation: fn(&mut Bare, &mut [u8]) -> usize,
) -> Side<'a> {
    let expected = if given[0] == work.plain[0] { &work.protected } else { &work.plain };
    side((name, OURS), given, Some(expected), move || Bare::new(work, provider), operation)
}

fn rtc(work: &Work, checks_replay: bool) -> rtc_srtp::context::Context {
    use rtc_srtp::option::srtp_replay_protection;
    use rtc_srtp::protection_profile::ProtectionProfile;

    let profile =
        if work.is_gcm() { ProtectionProfile::AeadAes128Gcm } else { ProtectionProfile::Aes128CmHmacSha1_80 };
    let replay = checks_replay.then(|| srtp_replay_protection(128));
    let provider = rtc_crypto::providers::RingProvider::new();
    rtc_srtp::context::Context::new(&work.key, &work.salt, profile, replay, None, provider.crypto())
        .expect("keys")
}

fn webrtc(work: &Work, checks_replay: bool) -> webrtc_srtp::context::Context {
    use webrtc_srtp::option::srtp_replay_protection;
    use webrtc_srtp::protection_profile::ProtectionProfile;

    let profile =
        if work.is_gcm() { ProtectionProfile::AeadAes128Gcm } else { ProtectionProfile::Aes128CmHmacSha1_80 };
    let replay = checks_replay.then(|| srtp_replay_protection(128));
    webrtc_srtp::context::Context::new(&work.key, &work.salt, profile, replay, None).expect("keys")
}

/// The encryption of str0m with its buffers, as its own SRTP has them, which is not public: no header is read, no window
/// kept, no stream looked for.
struct Glue {
    cipher: GlueCipher,
    hmac: &'static dyn str0m_crypto::Sha1HmacProvider,
    authentication: [u8; 20],
    scratch: Vec<u8>,
}

enum GlueCipher {
    Gcm(Box<dyn str0m_crypto::AeadAes128GcmCipher>, [u8; 12]),
    Cm(Box<dyn str0m_crypto::Aes128CmSha1_80Cipher>, [u8; 14]),
}

impl Glue {
    fn new(work: &Work, encrypts: bool) -> Self {
        let provider = str0m_aws_lc_rs::default_provider();
        let key = work.session::<16>(0);
        let cipher = if work.is_gcm() {
            let cipher = provider.srtp_provider.aead_aes_128_gcm();
            GlueCipher::Gcm(cipher.create_cipher(key, encrypts), work.session(2))
        } else {
            let cipher = provider.srtp_provider.aes_128_cm_sha1_80();
            GlueCipher::Cm(cipher.create_cipher(key, encrypts), work.session(2))
        };
        Self {
            cipher,
            hmac: provider.sha1_hmac_provider,
            authentication: work.session(1),
            scratch: Vec::with_capacity(2000),
        }
    }

    fn sequence(packet: &[u8]) -> u16 {
        u16::from_be_bytes([packet[2], packet[3]])
    }

    fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let Self { cipher, hmac, authentication, .. } = self;
        let (header, payload) = packet.split_at(HEADER);
        let sequence = Self::sequence(packet);
        match cipher {
            GlueCipher::Gcm(cipher, salt) => {
                let iv = str0m_crypto::AeadAes128Gcm::rtp_iv(*salt, SSRC, 0, sequence);
                let mut out = vec![0; packet.len() + 16];
                cipher.encrypt(&iv, header, payload, &mut out[HEADER..]).expect("room");
                out[..HEADER].copy_from_slice(header);
                out
            }
            GlueCipher::Cm(cipher, salt) => {
                let index = u64::from(sequence);
                let iv = str0m_crypto::Aes128CmSha1_80::rtp_iv(*salt, SSRC, index);
                let mut out = vec![0; packet.len() + 15];
                cipher.encrypt(&iv, payload, &mut out[HEADER..]).expect("room");
                out[..HEADER].copy_from_slice(header);
                let sign = |key: &[u8], data: &[&[u8]]| hmac.sha1_hmac(key, data);
                str0m_crypto::Aes128CmSha1_80::rtp_hmac(sign, authentication, &mut out, index, packet.len());
                out.truncate(packet.len() + 10);
                out
            }
        }
    }

    fn open(&mut self, packet: &mut [u8]) -> usize {
        let Self { cipher, hmac, authentication, scratch } = self;
        let sequence = Self::sequence(packet);
        match cipher {
            GlueCipher::Gcm(cipher, salt) => {
                let (header, body) = packet.split_at(HEADER);
                let iv = str0m_crypto::AeadAes128Gcm::rtp_iv(*salt, SSRC, 0, sequence);
                scratch.resize(body.len() - 16, 0);
                cipher.decrypt(&iv, &[header], body, scratch).expect("its tag");
            }
            GlueCipher::Cm(cipher, salt) => {
                let (text, tag) = packet.split_at(PACKET);
                let index = u64::from(sequence);
                let sign = |key: &[u8], data: &[&[u8]]| hmac.sha1_hmac(key, data);
                let right = str0m_crypto::Aes128CmSha1_80::rtp_verify(sign, authentication, text, index, tag);
                assert!(right, "its tag");
                let iv = str0m_crypto::Aes128CmSha1_80::rtp_iv(*salt, SSRC, index);
                scratch.resize(PACKET - HEADER + 15, 0);
                cipher.decrypt(&iv, &text[HEADER..], scratch).expect("room");
            }
        }
        PACKET
    }
}

/// libsrtp, by a program of C that is compiled now: it measures itself, of the same packets.
fn libsrtp<'a>(
    work: &'a Work,
    verb: &'static str,
    given: &'a [Vec<u8>],
    expected: &'a [Vec<u8>],
) -> Option<Side<'a>> {
    let version = Command::new("pkg-config").args(["--modversion", "libsrtp2"]).output().ok()?;
    let program = compile();
    let (true, Some(program)) = (version.status.success(), program) else {
        eprintln!("libsrtp is not measured: a C compiler, pkg-config and libsrtp2-dev are needed");
        return None;
    };
    let name = format!("libsrtp {} (as packaged)", String::from_utf8_lossy(&version.stdout).trim());
    let input: Vec<u8> = given.concat();
    Some(Side::new(name.leak(), "libsrtp", move |effort| {
        let key: String = work.key.iter().chain(&work.salt).map(|byte| format!("{byte:02x}")).collect();
        let profile = if work.is_gcm() { "gcm" } else { "cm" };
        let numbers =
            [given[0].len(), PACKET, given.len(), effort.sample_ms as usize].map(|it| it.to_string());
        let mut child = Command::new(&program)
            .args([profile, verb, &key])
            .args(numbers)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a program");
        child.stdin.take().expect("piped").write_all(&input).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let len = if verb == "protect" { given[0].len() } else { PACKET };
        for (made, expected) in output.stdout.chunks(given[0].len()).zip(expected) {
            assert_eq!(made[..len], expected[..len], "libsrtp");
        }
        assert_eq!(output.stdout.len(), input.len());
        told.trim().parse().expect("a number")
    }))
}

fn compile() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name("libsrtp-side");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/workloads/libsrtp.c");
    let mut command = Command::new("cc");
    command.args(["-O2", "-o"]).arg(&program).args([source, "-lsrtp2"]);
    command.status().ok()?.success().then_some(program)
}
