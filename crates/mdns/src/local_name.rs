use std::fmt;
use std::str::FromStr;

use crypto::Rng;

use crate::wire::Name;

/// A name of one label under `.local`, as candidates have them. Nothing else is asked for by multicast
/// DNS on behalf of a peer (draft-ietf-mmusic-mdns-ice-candidates §3.2.1), so that none can make us ask
/// for the names of others' machines and services.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct LocalName {
    /// As it stands in messages, in small letters, and zeros behind it.
    wire: [u8; WIRE],
}

impl LocalName {
    /// A name that tells nothing: a random UUID of version 4 (RFC 9562 §5.4), with 122 random bits.
    pub fn random(rng: &mut Rng) -> Self {
        let [a, b, c, d, e, f, version, h, variant, rest @ ..] = rng.array::<16>();
        let version = version & 0x0f | 0x40;
        let variant = variant & 0x3f | 0x80;
        let [j, k, l, m, n, o, p] = rest;
        let mut label = [0; 36];
        let mut places = label.iter_mut();
        let bytes = [a, b, c, d, e, f, version, h, variant, j, k, l, m, n, o, p];
        for (at, byte) in bytes.into_iter().enumerate() {
            let dash = matches!(at, 4 | 6 | 8 | 10).then_some(b'-');
            let digits = [byte >> 4, byte & 0x0f]
                .map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
            // The places come last: what is at the left of a `zip` loses one more.
            for (letter, place) in dash.into_iter().chain(digits).zip(places.by_ref()) {
                *place = letter;
            }
        }
        Self::of_label(&label)
    }

    /// The name, to write into messages or to compare with what they have.
    pub const fn as_name(&self) -> Name<'_> {
        Name::trusted(&self.wire, 0)
    }

    fn of_label(label: &[u8]) -> Self {
        let mut wire = [0; WIRE];
        let len = u8::try_from(label.len()).unwrap_or(0);
        let letters = label.iter().map(u8::to_ascii_lowercase);
        let bytes = [len].into_iter().chain(letters).chain(*b"\x05local");
        wire.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        Self { wire }
    }
}

impl FromStr for LocalName {
    type Err = NameError;

    /// Reads `label.local`, in letters of any case.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (label, suffix) = text.split_once('.').ok_or(NameError::NotLocal)?;
        if !suffix.eq_ignore_ascii_case("local") {
            return Err(NameError::NotLocal);
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if label.is_empty() || label.len() > MAX_LABEL || !label.bytes().all(allowed) {
            return Err(NameError::Label);
        }
        Ok(Self::of_label(label.as_bytes()))
    }
}

impl fmt::Display for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_name().fmt(f)
    }
}

impl fmt::Debug for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalName({self})")
    }
}

/// Why text is no [`LocalName`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NameError {
    /// It is not one label and `.local`.
    NotLocal,
    /// The label is not 1 to 63 letters, digits, hyphens and underscores.
    Label,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotLocal => "not one label and `.local`",
            Self::Label => "the label is not 1 to 63 letters, digits, hyphens and underscores",
        })
    }
}

impl std::error::Error for NameError {}

/// RFC 1035 §2.3.4.
const MAX_LABEL: usize = 63;
/// The longest label, `local` and the root, each with its length.
const WIRE: usize = 1 + MAX_LABEL + 6 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_label_under_local_are_taken_and_no_others() {
        let longest = format!("{}.local", "a".repeat(63));
        for text in ["a.local", "9b36eaac-bb2e-49bb-bb78-21c41c499900.LOCAL", "My_Printer.Local", &longest] {
            let name: LocalName = text.parse().unwrap();
            assert_eq!(name.to_string(), text.to_ascii_lowercase());
        }
        for text in
            ["", "local", "a", "a.b.local", "a.local.", "a.locale", "example.com", "a..local", ".local.local"]
        {
            assert_eq!(text.parse::<LocalName>(), Err(NameError::NotLocal), "{text}");
        }
        let longer = format!("a{longest}");
        for text in [".local", "a b.local", "é.local", "a\0.local", "*.local", &longer] {
            assert_eq!(text.parse::<LocalName>(), Err(NameError::Label), "{text}");
        }
    }

    #[test]
    fn random_names_are_uuids_of_version_4_and_follow_the_seed() {
        let (mut rng, mut again) = (Rng::new([1; 32]), Rng::new([1; 32]));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let name = LocalName::random(&mut rng);
            assert_eq!(name, LocalName::random(&mut again));
            let text = name.to_string();
            assert_eq!(text.parse(), Ok(name));
            let parts: Vec<&str> = text.strip_suffix(".local").unwrap().split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{text}");
            assert!(parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit())));
            assert!(seen.insert(text));
        }
    }

    #[test]
    fn a_name_stands_in_messages_as_labels() {
        let name: LocalName = "Ab.local".parse().unwrap();
        let labels: Vec<&[u8]> = name.as_name().labels().collect();
        assert_eq!(labels, [&b"ab"[..], b"local"]);
    }
}
