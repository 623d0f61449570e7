use crypto::{Aead, Cipher, HashAlgorithm, Hmac, Provider, Secret, constant_time_eq};

use crate::keys::{Derivation, Label};
use crate::wire::RTCP_HEADER_LEN;
use crate::{KeyError, Profile, Ssrc};

/// The session keys of RTP or of RTCP in one direction, scheduled, and what is done with them in place.
///
/// Every method takes a packet with all the room that its trailer needs. `None` means that the packet is shorter than
/// it must be, which callers have ruled out.
#[derive(Debug)]
pub(crate) struct Transform {
    algorithm: Algorithm,
    /// The session salt in the highest bits (RFC 3711 §4.1.1; RFC 7714 §8.1 has 96 bits of it).
    salt: Secret<16>,
    tag_len: usize,
}

#[derive(Debug)]
enum Algorithm {
    Aead(Box<dyn Aead>),
    CounterMode { cipher: Box<dyn Cipher>, hmac: Box<dyn Hmac> },
}

/// How an RTP packet divides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Division {
    /// Bytes that are not encrypted, once `moved` was done.
    pub(crate) clear: usize,
    /// Cryptex: bytes of CSRCs that go behind the header of the extension, so that what is encrypted is in one piece
    /// (RFC 9335 §6.2).
    pub(crate) moved: usize,
}

/// The first eight bytes of the tag before it is cut, to tell one packet from another.
pub(crate) type Fingerprint = u64;

/// The tag is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrongTag;

impl Transform {
    pub(crate) fn rtp(
        provider: &dyn Provider,
        profile: Profile,
        derivation: &Derivation,
    ) -> Result<Self, KeyError> {
        let labels = [Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt];
        Self::new(provider, profile, derivation, labels, profile.rtp_tag_len())
    }

    pub(crate) fn rtcp(
        provider: &dyn Provider,
        profile: Profile,
        derivation: &Derivation,
    ) -> Result<Self, KeyError> {
        let labels = [Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt];
        Self::new(provider, profile, derivation, labels, profile.rtcp_tag_len())
    }

    fn new(
        provider: &dyn Provider,
        profile: Profile,
        derivation: &Derivation,
        [encryption, authentication, salt]: [Label; 3],
        tag_len: usize,
    ) -> Result<Self, KeyError> {
        let key: Secret<32> = derivation.derive(encryption);
        let authentication: Secret<AUTHENTICATION_KEY_LEN> = derivation.derive(authentication);
        let salt = derivation.derive_salt(salt, profile.salt_len());
        Self::from_session_keys(provider, profile, key.expose(), authentication.expose(), salt, tag_len)
    }

    /// `key` may be longer than the profile's.
    pub(crate) fn from_session_keys(
        provider: &dyn Provider,
        profile: Profile,
        key: &[u8],
        authentication: &[u8],
        salt: Secret<16>,
        tag_len: usize,
    ) -> Result<Self, KeyError> {
        let key = key.get(..profile.key_len()).ok_or(KeyError)?;
        let algorithm = match profile.aead() {
            Some(aead) => Algorithm::Aead(provider.aead(aead, key).map_err(|_| KeyError)?),
            None => Algorithm::CounterMode {
                cipher: provider.cipher(profile.cipher(), key).map_err(|_| KeyError)?,
                hmac: provider.hmac(HashAlgorithm::Sha1, authentication),
            },
        };
        Ok(Self { algorithm, salt, tag_len })
    }

    pub(crate) const fn tag_len(&self) -> usize {
        self.tag_len
    }

    /// Encrypts an RTP packet and writes its tag.
    pub(crate) fn seal_rtp(
        &self,
        packet: &mut [u8],
        division: Division,
        ssrc: Ssrc,
        index: u64,
    ) -> Option<Fingerprint> {
        let (text, tag) = packet.split_at_mut_checked(packet.len().checked_sub(self.tag_len)?)?;
        division.gather(text);
        let (clear, message) = text.split_at_mut_checked(division.clear)?;
        match &self.algorithm {
            Algorithm::Aead(key) => {
                let sealed = key.seal(&self.nonce(ssrc, index), clear, message);
                division.scatter(text);
                Some(write_tag(tag, &sealed))
            }
            Algorithm::CounterMode { cipher, hmac } => {
                cipher.apply_keystream(&self.counter(ssrc, index), message);
                division.scatter(text);
                Some(write_tag(tag, hmac.sign(&[text, &rollover(index)]).as_bytes()))
            }
        }
    }

    /// Checks the tag of an RTP packet, then decrypts it. Gives its length without the tag.
    pub(crate) fn open_rtp(
        &self,
        packet: &mut [u8],
        division: Division,
        ssrc: Ssrc,
        index: u64,
    ) -> Option<Result<usize, WrongTag>> {
        let len = packet.len().checked_sub(self.tag_len)?;
        let (text, tag) = packet.split_at_mut_checked(len)?;
        match &self.algorithm {
            Algorithm::Aead(key) => {
                division.gather(text);
                let (clear, message) = text.split_at_mut_checked(division.clear)?;
                let opened = key.open(&self.nonce(ssrc, index), clear, message, tag.first_chunk()?);
                division.scatter(text);
                Some(opened.map(|()| len).map_err(|_| WrongTag))
            }
            Algorithm::CounterMode { cipher, hmac } => {
                if !is_tag(tag, hmac.sign(&[text, &rollover(index)]).as_bytes()) {
                    return Some(Err(WrongTag));
                }
                division.gather(text);
                let (_, message) = text.split_at_mut_checked(division.clear)?;
                cipher.apply_keystream(&self.counter(ssrc, index), message);
                division.scatter(text);
                Some(Ok(len))
            }
        }
    }

    /// Encrypts an RTCP packet and writes what comes behind it: the index, and before or behind that the tag
    /// (RFC 3711 §3.4, RFC 7714 §9.2).
    pub(crate) fn seal_rtcp(&self, packet: &mut [u8], ssrc: Ssrc, index: u32) -> Option<()> {
        let (text, trailer) = packet.split_at_mut_checked(packet.len().checked_sub(self.rtcp_overhead())?)?;
        let word = (ENCRYPTED | index).to_be_bytes();
        let (clear, message) = text.split_at_mut_checked(RTCP_HEADER_LEN)?;
        match &self.algorithm {
            Algorithm::Aead(key) => {
                let associated = associated_data(clear, word)?;
                let sealed = key.seal(&self.nonce(ssrc, u64::from(index)), &associated, message);
                let (tag, rest) = trailer.split_at_mut_checked(self.tag_len)?;
                write_tag(tag, &sealed);
                rest.copy_from_slice(&word);
            }
            Algorithm::CounterMode { cipher, hmac } => {
                cipher.apply_keystream(&self.counter(ssrc, u64::from(index)), message);
                let (rest, tag) = trailer.split_at_mut_checked(INDEX_LEN)?;
                rest.copy_from_slice(&word);
                write_tag(tag, hmac.sign(&[text, &word]).as_bytes());
            }
        }
        Some(())
    }

    /// The index of an SRTCP packet, and whether it is encrypted.
    pub(crate) fn rtcp_index(&self, packet: &[u8]) -> Option<(u32, bool)> {
        let behind = match self.algorithm {
            Algorithm::Aead(_) => INDEX_LEN,
            Algorithm::CounterMode { .. } => INDEX_LEN + self.tag_len,
        };
        let (_, trailer) = packet.split_at_checked(packet.len().checked_sub(behind)?)?;
        let word = u32::from_be_bytes(*trailer.first_chunk()?);
        Some((word & !ENCRYPTED, word & ENCRYPTED != 0))
    }

    /// Checks the tag of an SRTCP packet whose index is known, then decrypts it, if it is encrypted. Gives its length
    /// without what stands behind.
    pub(crate) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: Ssrc,
        (index, encrypted): (u32, bool),
    ) -> Option<Result<usize, WrongTag>> {
        let len = packet.len().checked_sub(self.rtcp_overhead())?;
        let word = (if encrypted { ENCRYPTED | index } else { index }).to_be_bytes();
        let wide = u64::from(index);
        match &self.algorithm {
            Algorithm::Aead(key) if encrypted => {
                let (text, trailer) = packet.split_at_mut_checked(len)?;
                let (clear, message) = text.split_at_mut_checked(RTCP_HEADER_LEN)?;
                let associated = associated_data(clear, word)?;
                let opened = key.open(&self.nonce(ssrc, wide), &associated, message, trailer.first_chunk()?);
                Some(opened.map(|()| len).map_err(|_| WrongTag))
            }
            Algorithm::Aead(key) => {
                // RFC 7714 §9.3: all of it is associated data, and so is the index, which stands behind the tag.
                // For a moment they change places.
                let (_, trailer) = packet.split_at_mut_checked(len)?;
                trailer.rotate_right(INDEX_LEN);
                let (associated, tag) = packet.split_at_mut_checked(len.checked_add(INDEX_LEN)?)?;
                let opened = key.open(&self.nonce(ssrc, wide), associated, &mut [], tag.first_chunk()?);
                let (_, trailer) = packet.split_at_mut_checked(len)?;
                trailer.rotate_left(INDEX_LEN);
                Some(opened.map(|()| len).map_err(|_| WrongTag))
            }
            Algorithm::CounterMode { cipher, hmac } => {
                let (text, trailer) = packet.split_at_mut_checked(len)?;
                let (_, tag) = trailer.split_at_checked(INDEX_LEN)?;
                if !is_tag(tag, hmac.sign(&[text, &word]).as_bytes()) {
                    return Some(Err(WrongTag));
                }
                if encrypted {
                    let (_, message) = text.split_at_mut_checked(RTCP_HEADER_LEN)?;
                    cipher.apply_keystream(&self.counter(ssrc, wide), message);
                }
                Some(Ok(len))
            }
        }
    }

    /// Bytes behind an RTCP packet: the tag and the index.
    pub(crate) const fn rtcp_overhead(&self) -> usize {
        self.tag_len + INDEX_LEN
    }

    /// RFC 7714 §8.1 and §9.1: two bytes of zero, SSRC and index, with the salt added. An SRTCP index has 31 bits and
    /// zeros in front, so that one formula does for both.
    fn nonce(&self, ssrc: Ssrc, index: u64) -> crypto::Nonce {
        let salt = u128::from_be_bytes(*self.salt.expose()) >> 32;
        let [_, _, _, _, nonce @ ..] = (salt ^ u128::from(ssrc.0) << 48 ^ u128::from(index)).to_be_bytes();
        nonce
    }

    fn counter(&self, ssrc: Ssrc, index: u64) -> crypto::Block {
        counter(&self.salt, ssrc, index)
    }
}

impl Division {
    /// Moves the header of the extension before the CSRCs.
    fn gather(self, text: &mut [u8]) {
        self.rotate(text, |part| part.rotate_right(crate::wire::EXTENSION_HEADER_LEN));
    }

    /// Moves it back.
    fn scatter(self, text: &mut [u8]) {
        self.rotate(text, |part| part.rotate_left(crate::wire::EXTENSION_HEADER_LEN));
    }

    fn rotate(self, text: &mut [u8], turn: impl FnOnce(&mut [u8])) {
        let from = crate::wire::FIXED_HEADER_LEN;
        let to = from + self.moved + crate::wire::EXTENSION_HEADER_LEN;
        if let (true, Some(part)) = (self.moved > 0, text.get_mut(from..to)) {
            turn(part);
        }
    }
}

/// The first counter block of a packet (RFC 3711 §4.1.1): salt, SSRC and index, above 16 bits that count blocks.
pub(crate) fn counter(salt: &Secret<16>, ssrc: Ssrc, index: u64) -> crypto::Block {
    let salt = u128::from_be_bytes(*salt.expose());
    (salt ^ u128::from(ssrc.0) << 64 ^ u128::from(index) << 16).to_be_bytes()
}

/// The rollover counter of an index, as it is authenticated behind the packet (RFC 3711 §4.2).
const fn rollover(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

/// RFC 7714 §9.2: the header that stays in the clear, then the index with its flag.
fn associated_data(clear: &[u8], word: [u8; 4]) -> Option<[u8; RTCP_HEADER_LEN + INDEX_LEN]> {
    let mut associated = [0; RTCP_HEADER_LEN + INDEX_LEN];
    let (header, index) = associated.split_at_mut_checked(RTCP_HEADER_LEN)?;
    header.copy_from_slice(clear.get(..RTCP_HEADER_LEN)?);
    index.copy_from_slice(&word);
    Some(associated)
}

/// Writes as much of `whole` as `tag` has room for, and gives its first eight bytes.
fn write_tag(tag: &mut [u8], whole: &[u8]) -> Fingerprint {
    tag.iter_mut().zip(whole).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(whole.first_chunk().copied().unwrap_or_default())
}

/// Whether `tag` is what it should be, cut to its length.
fn is_tag(tag: &[u8], whole: &[u8]) -> bool {
    whole.get(..tag.len()).is_some_and(|expected| constant_time_eq(tag, expected))
}

/// RFC 3711 §5.2: the session key of HMAC-SHA-1 has 160 bits.
const AUTHENTICATION_KEY_LEN: usize = 20;
/// RFC 3711 §3.4: one bit that says whether the packet is encrypted, and 31 bits of index.
const INDEX_LEN: usize = 4;
const ENCRYPTED: u32 = 1 << 31;

#[cfg(test)]
mod tests;
