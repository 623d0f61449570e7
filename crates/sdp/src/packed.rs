//! Descriptions that nobody reads for now.

mod usual;

use std::fmt;
use std::sync::LazyLock;

use self::usual::USUAL;
use crate::SessionDescription;

/// A description that is only kept, usually in a quarter of the memory or less: descriptions repeat themselves and each other.
///
/// What stood before, in the text or among lines that are usual, is said by where it stood and how long it is (LZ77).
#[derive(Clone)]
pub struct PackedDescription(Box<[u8]>);

impl SessionDescription {
    /// Packs it. [`unpack`](PackedDescription::unpack) gives one that is written the same.
    pub fn pack(&self) -> PackedDescription {
        PackedDescription(pack(&self.to_string()).into_boxed_slice())
    }
}

impl PackedDescription {
    /// The description.
    pub fn unpack(&self) -> SessionDescription {
        SessionDescription::of_checked(unpack(&self.0))
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

/// A byte below [`REPEAT`] is followed by so many bytes and one more as they are. Any other is the length of what is repeated,
/// less the least of [`SHORTEST`], and is followed by how far back it begins, in two bytes.
fn pack(text: &str) -> Vec<u8> {
    let all = [USUAL.as_bytes(), text.as_bytes()].concat();
    let mut places = Places::new(text.len());
    let mut packed = Vec::with_capacity(text.len() / 4);
    let (mut at, mut literal) = (USUAL.len(), USUAL.len());
    while at < all.len() {
        let (begin, mut len) = places.longest(&all, at);
        if len < SHORTEST {
            len = 1;
        } else {
            put_literals(&mut packed, all.get(literal..at).unwrap_or_default());
            packed.push(u8::try_from(len - SHORTEST).unwrap_or_default().saturating_add(REPEAT));
            packed.extend_from_slice(&u16::try_from(at - begin).unwrap_or_default().to_be_bytes());
            literal = at + len;
        }
        (at..at + len).for_each(|passed| places.add(&all, passed));
        at += len;
    }
    put_literals(&mut packed, all.get(literal..).unwrap_or_default());
    packed
}

fn put_literals(packed: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.chunks(usize::from(REPEAT)) {
        packed.push(u8::try_from(piece.len() - 1).unwrap_or_default());
        packed.extend_from_slice(piece);
    }
}

fn unpack(packed: &[u8]) -> String {
    let mut all = USUAL.as_bytes().to_vec();
    let mut rest = packed;
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first < REPEAT {
            let (literal, behind) = rest.split_at_checked(usize::from(first) + 1).unwrap_or_default();
            all.extend_from_slice(literal);
            rest = behind;
        } else if let Some((distance, behind)) = rest.split_first_chunk() {
            let from = all.len().saturating_sub(usize::from(u16::from_be_bytes(*distance)));
            // It may run into what it makes.
            for at in from..from + usize::from(first - REPEAT) + SHORTEST {
                all.extend(all.get(at).copied());
            }
            rest = behind;
        }
    }
    let text = all.get(USUAL.len()..).unwrap_or_default().to_vec();
    // It was text before it was packed.
    String::from_utf8(text).unwrap_or_default()
}

/// Where words have stood: chains of places whose first bytes have the same hash, the latest first.
struct Places {
    heads: Vec<u32>,
    /// Of each place in the text, behind the usual lines.
    before: Vec<u32>,
}

/// The chains of the usual lines.
static USUAL_PLACES: LazyLock<Places> = LazyLock::new(|| {
    let mut places = Places { heads: vec![NOWHERE; 1 << HASH_BITS], before: Vec::new() };
    for at in 0..USUAL.len() {
        let last = places.replace_head(USUAL.as_bytes(), at).unwrap_or(NOWHERE);
        places.before.push(last);
    }
    places
});

impl Places {
    fn new(len: usize) -> Self {
        Self { heads: USUAL_PLACES.heads.clone(), before: vec![NOWHERE; len] }
    }

    fn add(&mut self, all: &[u8], at: usize) {
        if let Some(last) = self.replace_head(all, at)
            && let Some(before) = self.before.get_mut(at - USUAL.len())
        {
            *before = last;
        }
    }

    fn replace_head(&mut self, all: &[u8], at: usize) -> Option<u32> {
        let head = self.heads.get_mut(hash(all, at)?)?;
        Some(std::mem::replace(head, u32::try_from(at).ok()?))
    }

    fn before(&self, place: usize) -> usize {
        let before = match place.checked_sub(USUAL.len()) {
            Some(place) => self.before.get(place),
            None => USUAL_PLACES.before.get(place),
        };
        before.map_or(NOWHERE, |before| *before) as usize
    }

    /// Where the longest repetition of what stands at `at` begins, and how long it is.
    fn longest(&self, all: &[u8], at: usize) -> (usize, usize) {
        let mut best = (at, 0);
        let head = hash(all, at).and_then(|hash| self.heads.get(hash));
        let mut place = head.map_or(NOWHERE, |head| *head) as usize;
        for _ in 0..MAX_TRIES {
            if place >= at || at - place > usize::from(u16::MAX) || best.1 == LONGEST {
                break;
            }
            // Most are no longer, which their last byte tells.
            if all.get(place + best.1) == all.get(at + best.1) {
                let (here, there) = (all.get(at..).unwrap_or_default(), all.get(place..).unwrap_or_default());
                let same = here.iter().zip(there).take(LONGEST).take_while(|(here, there)| here == there);
                let len = same.count();
                if len > best.1 {
                    best = (place, len);
                }
            }
            place = self.before(place);
        }
        best
    }
}

fn hash(all: &[u8], at: usize) -> Option<usize> {
    let word = u32::from_le_bytes(*all.get(at..)?.first_chunk()?);
    usize::try_from(word.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HASH_BITS)).ok()
}

/// From here on a byte stands for a repetition.
const REPEAT: u8 = 32;
/// What is shorter is not worth three bytes.
const SHORTEST: usize = 4;
const LONGEST: usize = SHORTEST + (u8::MAX - REPEAT) as usize;
const HASH_BITS: u32 = 12;
/// Places that are looked at for the longest repetition: so that hostile texts take no longer than others.
const MAX_TRIES: usize = 16;
const NOWHERE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_and_little_are_packed_too() {
        for text in ["", "v", "v=0\r\n", "äöü", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert_eq!(unpack(&pack(text)), text);
        }
        let long = "x".repeat(100_000);
        assert_eq!(unpack(&pack(&long)), long);
        assert!(pack(&long).len() < 2000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_unpacked_is_what_was_packed(
            pieces in proptest::collection::vec((0_usize..6, any::<String>()), 0..60),
        ) {
            let usual = ["a=rtcp-mux\r\n", "a=mid:", "nack pli\r\n", "\r\n", "a=ssrc:1234567890 cname:"];
            let text: String = pieces.iter().map(|(at, own)| usual.get(*at).map_or(own.as_str(), |it| it)).collect();
            prop_assert_eq!(unpack(&pack(&text)), text);
        }

        #[test]
        fn whatever_is_unpacked_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpack(&bytes);
        }
    }
}
