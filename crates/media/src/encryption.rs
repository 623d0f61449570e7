//! SFrame (RFC 9605) as a transform of frames: servers that forward them cannot read them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crypto::Provider;
use rtp::payload::opaque::{Structure, Visible};
use sframe::{CipherSuite, HEADER_ROOM, KeyError, Receiver, ReceiverConfig, ReceiverStats, Sender};

use crate::{Codec, EncodedFrame, EncodedTransform};

/// Encrypts frames for whoever has the key, and not for servers on the way. All clones have one key and one counter, so that one key
/// can serve several streams: RFC 9605 §9.1 forbids that a counter comes twice.
///
/// What packetizers and forwarders look at stays in the clear, and is authenticated: the first byte of Opus and of VP9, ten bytes of a
/// key frame of VP8 and three of another one. Of H.264, H.265 and AV1 they look at more than that: all of such a frame is encrypted,
/// and what leaves is a frame with copies of its parameter sets and one picture that holds the ciphertext
/// ([`rtp::payload::opaque`]). A frame of these that has no picture, as parameter sets that go alone, is left out.
///
/// A key frame of H.264 or H.265 has to bring its parameter sets itself, as those that packetizers repeat are not part of what is
/// encrypted. All of a picture is one NAL unit then, so that H.264's packetization mode 0 can send small ones only.
#[derive(Clone, Debug)]
pub struct FrameEncryptor {
    sender: Arc<Mutex<Sender>>,
    provider: &'static dyn Provider,
    tag_len: usize,
    /// What is encrypted where it lies, of a frame that is encrypted as a whole.
    text: Scratch,
    /// What takes its place.
    wrapped: Scratch,
}

impl FrameEncryptor {
    /// With a key that nobody else encrypts with (RFC 9605 §4.4.1), named `key_id`.
    ///
    /// # Errors
    ///
    /// The default provider of cryptography does not know the suite.
    pub fn new(suite: CipherSuite, key_id: u64, base_key: &[u8]) -> Result<Self, KeyError> {
        Self::with_provider(crypto::default_provider(), suite, key_id, base_key)
    }

    /// The same with cryptography from `provider`.
    ///
    /// # Errors
    ///
    /// The provider does not know the suite.
    pub fn with_provider(
        provider: &'static dyn Provider,
        suite: CipherSuite,
        key_id: u64,
        base_key: &[u8],
    ) -> Result<Self, KeyError> {
        let sender = Sender::new(provider, suite, key_id, base_key)?;
        Ok(Self {
            sender: Arc::new(Mutex::new(sender)),
            provider,
            tag_len: suite.tag_len(),
            text: Scratch::default(),
            wrapped: Scratch::default(),
        })
    }

    /// Goes on with another key, of which counters begin anew: it must never have been used.
    ///
    /// # Errors
    ///
    /// The provider does not know the suite.
    pub fn set_key(&self, key_id: u64, base_key: &[u8]) -> Result<(), KeyError> {
        lock(&self.sender).set_key(self.provider, key_id, base_key)
    }
}

impl FrameEncryptor {
    /// Encrypts all of the frame, and leaves one of the same structure that holds it.
    fn wrap(&mut self, structure: Structure, bytes: &mut Vec<u8>) -> bool {
        let Self { sender, tag_len, text: Scratch(text), wrapped: Scratch(wrapped), .. } = self;
        let Some(visible) = structure.visible(bytes) else { return false };
        text.clear();
        text.resize(HEADER_ROOM, 0);
        text.extend_from_slice(bytes);
        let end = text.len();
        text.resize(end.saturating_add(*tag_len), 0);
        let sealed = lock(sender).encrypt(visible.bytes(), text, HEADER_ROOM..end);
        let Ok(content) = sealed else { return false };
        let whole = structure.wrap(bytes, content, wrapped).is_some();
        if whole {
            std::mem::swap(bytes, wrapped);
        }
        whole
    }
}

impl EncodedTransform for FrameEncryptor {
    fn transform(&mut self, frame: &EncodedFrame, bytes: &mut Vec<u8>) -> bool {
        let clear = match readable(frame.codec, bytes) {
            Some(Readable::Begin(len)) => len,
            Some(Readable::Structure(structure)) => return self.wrap(structure, bytes),
            None => return false,
        };
        let len = bytes.len();
        // The header comes between what stays and what is encrypted, the tag behind.
        bytes.resize(len.saturating_add(HEADER_ROOM).saturating_add(self.tag_len), 0);
        bytes.copy_within(clear..len, clear.saturating_add(HEADER_ROOM));
        let Some((metadata, memory)) = bytes.split_at_mut_checked(clear) else { return false };
        let text = HEADER_ROOM..len.saturating_sub(clear).saturating_add(HEADER_ROOM);
        let sealed = lock(&self.sender).encrypt(metadata, memory, text).map(|sealed| sealed.len());
        let Ok(sealed) = sealed else { return false };
        let end = bytes.len();
        bytes.copy_within(end.saturating_sub(sealed)..end, clear);
        bytes.truncate(clear.saturating_add(sealed));
        true
    }
}

/// Decrypts what a [`FrameEncryptor`] has made. All clones have the same keys, which may come and go. A frame that it cannot decrypt is
/// as good as lost, and counted.
#[derive(Clone, Debug)]
pub struct FrameDecryptor {
    receiver: Arc<Mutex<Receiver>>,
    tag_len: usize,
    /// What a frame holds that was encrypted as a whole.
    content: Scratch,
}

impl FrameDecryptor {
    /// Without a key.
    pub fn new(suite: CipherSuite) -> Self {
        Self::with_provider(crypto::default_provider(), suite, ReceiverConfig::default())
    }

    /// The same with cryptography from `provider`, and with limits.
    pub fn with_provider(
        provider: &'static dyn Provider,
        suite: CipherSuite,
        config: ReceiverConfig,
    ) -> Self {
        let receiver = Receiver::new(provider, suite, config);
        Self {
            receiver: Arc::new(Mutex::new(receiver)),
            tag_len: suite.tag_len(),
            content: Scratch::default(),
        }
    }

    /// Adds a key, or puts it in the place of the one with that name.
    ///
    /// # Errors
    ///
    /// There are as many as may be, or the provider does not know the suite.
    pub fn add_key(&self, key_id: u64, base_key: &[u8]) -> Result<(), KeyError> {
        lock(&self.receiver).add_key(key_id, base_key)
    }

    /// Forgets a key. Gives whether it was there.
    pub fn remove_key(&self, key_id: u64) -> bool {
        lock(&self.receiver).remove_key(key_id)
    }

    /// What became of frames.
    pub fn stats(&self) -> ReceiverStats {
        lock(&self.receiver).stats()
    }
}

impl FrameDecryptor {
    /// Puts the frame that it holds in place of another one.
    fn unwrap(&mut self, structure: Structure, bytes: &mut Vec<u8>) -> bool {
        // One that holds nothing is counted as what it is, too.
        let Scratch(content) = &mut self.content;
        let visible = structure.unwrap(bytes, content);
        let visible = visible.as_ref().map_or(&[][..], Visible::bytes);
        let opened = lock(&self.receiver).decrypt(visible, content).map(|opened| {
            bytes.clear();
            bytes.extend_from_slice(opened.plaintext);
        });
        opened.is_ok()
    }
}

impl EncodedTransform for FrameDecryptor {
    fn transform(&mut self, frame: &EncodedFrame, bytes: &mut Vec<u8>) -> bool {
        let clear = match readable(frame.codec, bytes) {
            Some(Readable::Begin(len)) => len,
            Some(Readable::Structure(structure)) => return self.unwrap(structure, bytes),
            None => return false,
        };
        let Some((metadata, rest)) = bytes.split_at_mut_checked(clear) else { return false };
        let behind = rest.len();
        let opened = lock(&self.receiver).decrypt(metadata, rest).map(|opened| opened.plaintext.len());
        let Ok(len) = opened else { return false };
        let start = clear.saturating_add(behind).saturating_sub(self.tag_len).saturating_sub(len);
        bytes.copy_within(start..start.saturating_add(len), clear);
        bytes.truncate(clear.saturating_add(len));
        true
    }
}

/// Memory that is used again and again, and holds what frames say: it is never shown, and each clone has its own.
#[derive(Default)]
struct Scratch(Vec<u8>);

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch")
    }
}

/// What others have to see of a frame.
enum Readable {
    /// So many bytes at its begin.
    Begin(usize),
    /// How it is divided.
    Structure(Structure),
}

/// `None` if the frame has not as many bytes as others have to see.
fn readable(codec: Codec, bytes: &[u8]) -> Option<Readable> {
    let len = match codec {
        // RFC 7741 §4.3: frame tag, and of a key frame start code and size.
        Codec::Vp8 => match bytes.first() {
            Some(first) if first & 1 == 0 => 10,
            _ => 3,
        },
        // The table of contents; the uncompressed header with the kind of the frame.
        Codec::Opus | Codec::RedundantAudio { .. } | Codec::Vp9 => 1,
        Codec::G711 | Codec::G722 | Codec::OtherAudio { .. } | Codec::OtherVideo { .. } => 0,
        Codec::H264 => return Some(Readable::Structure(Structure::H264)),
        Codec::H265 => return Some(Readable::Structure(Structure::H265)),
        Codec::Av1 => return Some(Readable::Structure(Structure::Av1)),
    };
    (len <= bytes.len()).then_some(Readable::Begin(len))
}

/// Nothing panics under these locks; what they guard is whole in any case.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rtp::{PayloadType, RtpTimestamp};

    use super::*;

    fn pair(suite: CipherSuite) -> (FrameEncryptor, FrameDecryptor) {
        let provider = crypto::rust_crypto();
        let encryptor = FrameEncryptor::with_provider(provider, suite, 300, b"a key of Alice's").unwrap();
        let decryptor = FrameDecryptor::with_provider(provider, suite, ReceiverConfig::default());
        decryptor.add_key(300, b"a key of Alice's").unwrap();
        (encryptor, decryptor)
    }

    fn frame(codec: Codec) -> EncodedFrame {
        EncodedFrame { stream: 0, payload_type: PayloadType::default(), codec, timestamp: RtpTimestamp(1) }
    }

    const CODECS: [Codec; 8] = [
        Codec::Opus,
        Codec::G711,
        Codec::G722,
        Codec::RedundantAudio { primary: PayloadType::new(111).unwrap(), clock_rate: 48_000 },
        Codec::Vp8,
        Codec::Vp9,
        Codec::OtherAudio { clock_rate: 8000 },
        Codec::OtherVideo { clock_rate: 90_000 },
    ];

    #[test]
    fn frames_of_any_length_come_back_and_their_begin_stays() {
        let mut rng = crypto::Rng::new([7; 32]);
        for suite in CipherSuite::ALL {
            let (mut encryptor, mut decryptor) = pair(suite);
            for codec in CODECS {
                for len in (0..40).chain([1000, 70_000]) {
                    let mut plain = vec![0; len];
                    rng.fill(&mut plain);
                    let mut bytes = plain.clone();
                    let Some(Readable::Begin(clear)) = readable(codec, &plain) else {
                        assert!(len < 10 && !encryptor.transform(&frame(codec), &mut bytes));
                        continue;
                    };
                    assert!(encryptor.transform(&frame(codec), &mut bytes));
                    assert_eq!(bytes[..clear], plain[..clear]);
                    assert!(bytes.len() > len + suite.tag_len() && bytes.len() <= len + suite.tag_len() + 17);
                    // A bit of it, anywhere, and it is none.
                    let mut forged = bytes.clone();
                    let at = rng.below(u32::try_from(forged.len()).unwrap()) as usize;
                    forged[at] ^= 4;
                    assert!(!decryptor.transform(&frame(codec), &mut forged), "{codec:?} {len} {at}");
                    assert!(decryptor.transform(&frame(codec), &mut bytes));
                    assert_eq!(bytes, plain, "{codec:?} {len}");
                }
            }
            let stats = decryptor.stats();
            assert_eq!(stats.decrypted, stats.forged + stats.malformed + stats.unknown_key);
        }
    }

    #[test]
    fn clones_share_their_key_and_its_counter() {
        let (mut one, mut decryptor) = pair(CipherSuite::Aes128GcmSha256_128);
        let mut other = one.clone();
        let mut counters = Vec::new();
        for at in 0..4 {
            let encryptor = if at % 2 == 0 { &mut one } else { &mut other };
            let mut bytes = vec![1, 2, 3];
            assert!(encryptor.transform(&frame(Codec::Opus), &mut bytes));
            counters.push(bytes[1..].to_vec());
            assert!(decryptor.transform(&frame(Codec::Opus), &mut bytes));
        }
        counters.dedup();
        assert_eq!(counters.len(), 4);
        // Another key, for all of them.
        one.set_key(301, b"the next key").unwrap();
        let mut bytes = vec![1, 2, 3];
        assert!(other.transform(&frame(Codec::Opus), &mut bytes));
        assert!(!decryptor.clone().transform(&frame(Codec::Opus), &mut bytes.clone()));
        decryptor.add_key(301, b"the next key").unwrap();
        assert!(decryptor.transform(&frame(Codec::Opus), &mut bytes));
        assert!(decryptor.remove_key(300) && !decryptor.remove_key(300));
        assert_eq!(decryptor.stats().unknown_key, 1);
    }

    #[test]
    fn of_structured_frames_parameter_sets_and_the_kind_of_picture_stay() {
        let mut rng = crypto::Rng::new([8; 32]);
        let mut slice = vec![0; 70_000];
        rng.fill(&mut slice);
        slice.iter_mut().for_each(|byte| *byte |= 4);
        let h264 = [&[0, 0, 0, 1, 0x67, 66, 1, 0, 0, 1, 0x68, 7, 0, 0, 1, 0x65, 0x88][..], &slice].concat();
        let h265 = [&[0, 0, 0, 1, 0x42, 1, 9, 0, 0, 0, 1, 0x26, 1, 0xaf][..], &slice].concat();
        let av1 = [&[0x0a, 2, 7, 7, 0x34, 0x08, 3, 0x10, 5, 6, 0x36, 0x00, 2, 8, 9][..]].concat();
        let delta = vec![0, 0, 1, 0x41, 0x9a];
        let cases = [
            (Codec::H264, h264, vec![0, 0, 0, 1, 0x67, 66, 1, 0, 0, 0, 1, 0x68, 7, 0, 0, 0, 1, 0x65, 0x88]),
            (Codec::H264, delta, vec![0, 0, 0, 1, 0x41, 0x9a, 0x80, 0x80, 0x80]),
            (Codec::H265, h265, vec![0, 0, 0, 1, 0x42, 1, 9, 0, 0, 0, 1, 0x26, 1, 0xaf]),
            (Codec::Av1, av1, vec![0x0a, 2, 7, 7, 0x36, 0x08]),
        ];
        for (codec, plain, begin) in cases {
            for suite in CipherSuite::ALL {
                let (mut encryptor, mut decryptor) = pair(suite);
                for _ in 0..20 {
                    let mut bytes = plain.clone();
                    assert!(encryptor.transform(&frame(codec), &mut bytes));
                    assert_eq!(bytes[..begin.len()], begin, "{codec:?}");
                    assert!(bytes.len() > plain.len() + suite.tag_len());
                    // The parameter sets that are left readable are nobody's proof: only the picture is forged here.
                    let mut forged = bytes.clone();
                    let last = forged.len() - 2;
                    forged[last] ^= 0x40;
                    assert!(!decryptor.transform(&frame(codec), &mut forged));
                    assert!(decryptor.transform(&frame(codec), &mut bytes));
                    assert_eq!(bytes, plain);
                }
                // In the clear, and with another kind of picture.
                assert!(!decryptor.transform(&frame(codec), &mut plain.clone()));
                let mut bytes = plain.clone();
                assert!(encryptor.transform(&frame(codec), &mut bytes));
                let at = begin.len() - 1;
                bytes[at] ^= 1;
                assert!(!decryptor.transform(&frame(codec), &mut bytes));
                let stats = decryptor.stats();
                assert_eq!((stats.decrypted, stats.forged + stats.malformed + stats.unknown_key), (20, 22));
            }
            let (mut encryptor, mut decryptor) = pair(CipherSuite::Aes128GcmSha256_128);
            for nothing in [vec![], vec![0, 0, 0, 1, 0x67, 1], vec![1, 2, 3], vec![0x12, 0]] {
                assert!(!encryptor.transform(&frame(codec), &mut nothing.clone()), "{codec:?} {nothing:?}");
                assert!(!decryptor.transform(&frame(codec), &mut nothing.clone()));
            }
        }
    }

    #[test]
    fn what_frames_say_is_not_shown_and_clones_have_none_of_it() {
        let (mut encryptor, mut decryptor) = pair(CipherSuite::Aes128GcmSha256_128);
        for _ in 0..3 {
            let mut bytes = [&[0, 0, 0, 1, 0x65, 1, 2, 3, 4][..], &[171; 50]].concat();
            assert!(encryptor.transform(&frame(Codec::H264), &mut bytes));
            assert!(decryptor.transform(&frame(Codec::H264), &mut bytes));
        }
        let shown = format!("{encryptor:?} {decryptor:?}");
        assert!(!shown.contains("171, 171"), "{shown}");
        assert!(!encryptor.wrapped.0.is_empty() && !decryptor.content.0.is_empty());
        assert!(encryptor.clone().wrapped.0.is_empty() && decryptor.clone().content.0.is_empty());
    }
}
