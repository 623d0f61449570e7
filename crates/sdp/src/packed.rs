//! Descriptions that nobody reads for now.

mod usual;

use std::fmt;

use lz4_flex::block;

use self::usual::USUAL;
use crate::SessionDescription;

/// A description that is only kept, usually in a quarter of the memory or less: descriptions repeat themselves and each other.
///
/// Its text is compressed (LZ4), with usual lines to refer to.
#[derive(Clone)]
pub struct PackedDescription(Box<[u8]>);

impl SessionDescription {
    /// Packs it. [`unpack`](PackedDescription::unpack) gives one that is written the same.
    pub fn pack(&self) -> PackedDescription {
        let packed = block::compress_prepend_size_with_dict(self.to_string().as_bytes(), USUAL.as_bytes());
        PackedDescription(packed.into_boxed_slice())
    }
}

impl PackedDescription {
    /// The description.
    pub fn unpack(&self) -> SessionDescription {
        let text = block::decompress_size_prepended_with_dict(&self.0, USUAL.as_bytes());
        // It was packed here, and was text before.
        SessionDescription::of_checked(String::from_utf8(text.unwrap_or_default()).unwrap_or_default())
    }

    /// How many bytes it takes.
    pub const fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for PackedDescription {
    /// Without its bytes, which hold the ICE password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedDescription").field("size", &self.size()).finish_non_exhaustive()
    }
}
