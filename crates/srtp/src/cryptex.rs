//! The encryption of CSRCs and header extensions as a whole (RFC 9335).

use crate::transform::Division;
use crate::wire::{EXTENSION_HEADER_LEN, FIXED_HEADER_LEN, ONE_BYTE, RtpHeader, TWO_BYTE};

/// Whether Cryptex has nothing to do in a packet with this header: it has neither CSRCs nor extensions.
pub(crate) const fn has_nothing_to_hide(header: &RtpHeader) -> bool {
    header.csrcs == 0 && header.extension.is_none()
}

/// Whether `header` says that Cryptex was used.
pub(crate) const fn is_used(header: &RtpHeader) -> bool {
    matches!(header.extension, Some(ENCRYPTED_ONE_BYTE | ENCRYPTED_TWO_BYTE))
}

/// How a packet with Cryptex divides: fixed header and the header of the extension stay in the clear.
pub(crate) const fn division(header: &RtpHeader) -> Division {
    Division { clear: FIXED_HEADER_LEN + EXTENSION_HEADER_LEN, moved: header.csrcs }
}

/// The field "defined by profile" that stands for `plain` once it is encrypted. `None` for what may not be
/// encrypted: extensions that are not of RFC 8285, and those with bits of the application, for which there is no room.
pub(crate) const fn encrypted(plain: u16) -> Option<u16> {
    match plain {
        ONE_BYTE => Some(ENCRYPTED_ONE_BYTE),
        TWO_BYTE => Some(ENCRYPTED_TWO_BYTE),
        _ => None,
    }
}

/// Marks a packet of `len` bytes whose header is to be encrypted with `profile`, which [`encrypted`] gave. Without one
/// the packet has CSRCs and no extension, and gets an empty one, so that there is a place for the mark (RFC 9335
/// §5.1); `packet` has room for it.
pub(crate) fn mark(packet: &mut [u8], header: &RtpHeader, profile: Option<u16>, len: usize) -> RtpHeader {
    if let Some(profile) = profile {
        write_profile(packet, header, profile);
        return *header;
    }
    let at = header.extension_at();
    if len + EXTENSION_HEADER_LEN <= packet.len() && at <= len {
        packet.copy_within(at..len, at + EXTENSION_HEADER_LEN);
        packet.iter_mut().take(1).for_each(|first| *first |= EXTENSION_BIT);
        packet.iter_mut().skip(at).take(EXTENSION_HEADER_LEN).for_each(|byte| *byte = 0);
        write_profile(packet, header, ENCRYPTED_ONE_BYTE);
    }
    RtpHeader { extension: Some(ENCRYPTED_ONE_BYTE), len: header.len + EXTENSION_HEADER_LEN, ..*header }
}

/// Writes the field "defined by profile".
fn write_profile(packet: &mut [u8], header: &RtpHeader, profile: u16) {
    let at = header.extension_at();
    if let Some(field) = packet.get_mut(at..at + 2) {
        field.copy_from_slice(&profile.to_be_bytes());
    }
}

/// Takes the mark of Cryptex back.
pub(crate) fn restore_profile(packet: &mut [u8], header: &RtpHeader) {
    let plain = if header.extension == Some(ENCRYPTED_TWO_BYTE) { TWO_BYTE } else { ONE_BYTE };
    write_profile(packet, header, plain);
}

/// RFC 9335 §5: extensions of one byte, encrypted.
const ENCRYPTED_ONE_BYTE: u16 = 0xc0de;
/// RFC 9335 §5: extensions of two bytes, encrypted.
const ENCRYPTED_TWO_BYTE: u16 = 0xc2de;
/// RFC 3550 §5.1.
const EXTENSION_BIT: u8 = 0b0001_0000;
