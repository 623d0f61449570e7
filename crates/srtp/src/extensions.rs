use crypto::{Cipher, Provider, Secret};

use crate::keys::{Derivation, Label};
use crate::transform::counter;
use crate::wire::{EXTENSION_HEADER_LEN, ONE_BYTE, RtpHeader, TWO_BYTE};
use crate::{ExtensionIds, KeyError, Profile};

/// The encryption of single header extensions, with keys of its own (RFC 6904).
#[derive(Debug)]
pub(crate) struct ExtensionCipher {
    cipher: Box<dyn Cipher>,
    salt: Secret<16>,
    ids: ExtensionIds,
}

impl ExtensionCipher {
    /// `None` where there is nothing to encrypt.
    pub(crate) fn new(
        provider: &dyn Provider,
        profile: Profile,
        derivation: &Derivation,
        ids: ExtensionIds,
    ) -> Result<Option<Self>, KeyError> {
        if ids.is_empty() {
            return Ok(None);
        }
        let key: Secret<32> = derivation.derive(Label::HeaderEncryption);
        let key = key.expose().get(..profile.key_len()).ok_or(KeyError)?;
        let cipher = provider.cipher(profile.cipher(), key).map_err(|_| KeyError)?;
        let salt = derivation.derive_salt(Label::HeaderSalt, profile.salt_len());
        Ok(Some(Self { cipher, salt, ids }))
    }

    /// Encrypts the extensions of `packet`, or decrypts them: identifiers and lengths stay as they are, so that both
    /// find the same bytes. Extensions that are not of RFC 8285 are left alone.
    pub(crate) fn apply(&self, packet: &mut [u8], header: &RtpHeader, index: u64) {
        let one_byte = match header.extension {
            Some(ONE_BYTE) => true,
            Some(profile) if profile & TWO_BYTE_MASK == TWO_BYTE => false,
            _ => return,
        };
        let from = header.extension_at() + EXTENSION_HEADER_LEN;
        let Some(elements) = packet.get_mut(from..header.len) else { return };
        let mut stream =
            KeyStream { cipher: &*self.cipher, first: counter(&self.salt, header.ssrc, index), block: None };
        let mut at = 0;
        while let Some(element) = Element::read(elements, at, one_byte) {
            if let (true, Some(data)) =
                (self.ids.contains(element.id), elements.get_mut(element.from..element.to))
            {
                (element.from..).zip(data).for_each(|(at, byte)| *byte ^= stream.byte(at));
            }
            at = element.to;
        }
    }
}

/// An element of a header extension: where its data are.
struct Element {
    id: u8,
    from: usize,
    to: usize,
}

impl Element {
    /// The element at `at`, or after the padding there. `None` at the end, and where an element is longer than what
    /// there is (RFC 8285 §4.2, §4.3).
    fn read(elements: &[u8], at: usize, one_byte: bool) -> Option<Self> {
        let padding = elements.get(at..)?.iter().take_while(|byte| **byte == 0).count();
        let at = at + padding;
        let first = *elements.get(at)?;
        let (id, from, len) = if one_byte {
            (first >> 4, at + 1, usize::from(first & 0xf) + 1)
        } else {
            (first, at + 2, usize::from(*elements.get(at + 1)?))
        };
        // RFC 8285 §4.2: nothing is read behind identifier 15 of one byte.
        let ends = one_byte && id == 15 || from + len > elements.len();
        (!ends).then_some(Self { id, from, to: from + len })
    }
}

/// A key stream that is read here and there, but never backwards.
struct KeyStream<'a> {
    cipher: &'a dyn Cipher,
    first: crypto::Block,
    /// The block that was made last, and its number.
    block: Option<(usize, crypto::Block)>,
}

impl KeyStream<'_> {
    fn byte(&mut self, at: usize) -> u8 {
        let number = at / 16;
        let block = match self.block {
            Some((made, block)) if made == number => block,
            _ => {
                let counter = u128::from_be_bytes(self.first).wrapping_add(number as u128);
                let mut block = counter.to_be_bytes();
                self.cipher.encrypt_block(&mut block);
                self.block = Some((number, block));
                block
            }
        };
        block.get(at % 16).copied().unwrap_or_default()
    }
}

/// RFC 8285 §4.3: the last four bits are the application's.
const TWO_BYTE_MASK: u16 = 0xfff0;
