use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use crypto::{HashAlgorithm, Hmac, Provider, constant_time_eq};
use proto::Instant;

/// What a server says of itself at the beginning of its nonces (RFC 8489 §18.1), safe from removal since
/// the nonce is signed by the client.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SecurityFeatures {
    /// It sends PASSWORD-ALGORITHMS.
    pub password_algorithms: bool,
    /// It takes USERHASH in place of USERNAME.
    pub username_anonymity: bool,
}

impl SecurityFeatures {
    /// Those of a nonce, if it begins with the cookie of RFC 8489 §9.2.
    pub fn of(nonce: &str) -> Option<Self> {
        let encoded = nonce.strip_prefix(COOKIE)?.get(..4)?;
        let mut bits = [0; 3];
        STANDARD.decode_slice(encoded, &mut bits).ok().filter(|len| *len == bits.len())?;
        let [first, ..] = bits;
        Some(Self {
            password_algorithms: first & PASSWORD_ALGORITHMS != 0,
            username_anonymity: first & USERNAME_ANONYMITY != 0,
        })
    }

    fn encode(self) -> [u8; 4] {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let first = bit(self.password_algorithms, PASSWORD_ALGORITHMS)
            | bit(self.username_anonymity, USERNAME_ANONYMITY);
        let mut text = [0; 4];
        // Three bytes are four characters.
        let _ = STANDARD.encode_slice([first, 0, 0], &mut text);
        text
    }
}

/// Makes nonces and knows them again without keeping any: time and a code over it, the client's address
/// and the features; 29 characters, as every byte counts in an answer that anyone can ask for.
pub struct Nonces {
    hmac: Box<dyn Hmac>,
    lifetime: Duration,
    cookie: [u8; COOKIE_LEN],
}

/// A nonce as it is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nonce([u8; NONCE_LEN]);

impl Nonce {
    /// Its characters.
    pub fn as_str(&self) -> &str {
        // Base64 is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Nonces {
    /// Nonces that are taken for `lifetime`.
    pub fn new(
        provider: &dyn Provider,
        features: SecurityFeatures,
        lifetime: Duration,
        seed: [u8; 32],
    ) -> Self {
        let key = crypto::derive_seed(&seed, "stun nonces");
        let mut cookie = [0; COOKIE_LEN];
        let text = COOKIE.bytes().chain(features.encode());
        cookie.iter_mut().zip(text).for_each(|(to, from)| *to = from);
        Self { hmac: provider.hmac(HashAlgorithm::Sha256, &key), lifetime, cookie }
    }

    /// A nonce for the client at `address`. Nothing is allocated: strangers ask for them.
    pub fn make(&self, now: Instant, address: SocketAddr) -> Nonce {
        let seconds = seconds(now);
        let mut value = [0; TIME_LEN + CODE_LEN];
        let (time, code) = value.split_at_mut(TIME_LEN);
        time.copy_from_slice(&seconds.to_be_bytes());
        code.copy_from_slice(&self.code(seconds, address));
        let mut text = [0; NONCE_LEN];
        let (cookie, encoded) = text.split_at_mut(COOKIE_LEN);
        cookie.copy_from_slice(&self.cookie);
        // The lengths are constants that fit.
        let _ = URL_SAFE_NO_PAD.encode_slice(value, encoded);
        Nonce(text)
    }

    /// Whether `nonce` was made here for `address`, and not too long ago. In constant time.
    pub fn is_valid(&self, now: Instant, address: SocketAddr, nonce: &str) -> bool {
        let Some(encoded) = nonce.as_bytes().strip_prefix(&self.cookie) else { return false };
        let mut value = [0; TIME_LEN + CODE_LEN];
        if URL_SAFE_NO_PAD.decode_slice(encoded, &mut value) != Ok(value.len()) {
            return false;
        }
        let (time, code) = value.split_at(TIME_LEN);
        let made = time.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
        let is_ours = constant_time_eq(code, &self.code(made, address));
        // Of the future is as old as can be.
        let age = seconds(now).wrapping_sub(made);
        is_ours && u64::from(age) <= self.lifetime.as_secs()
    }

    fn code(&self, seconds: u32, address: SocketAddr) -> [u8; CODE_LEN] {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let digest =
            self.hmac.sign(&[&seconds.to_be_bytes(), &ip, &address.port().to_be_bytes(), &self.cookie]);
        let mut code = [0; CODE_LEN];
        code.iter_mut().zip(digest.as_bytes()).for_each(|(byte, digest)| *byte = *digest);
        code
    }
}

/// Whole seconds, which go round after 136 years.
fn seconds(now: Instant) -> u32 {
    u32::try_from(now.since_epoch().as_secs() & u64::from(u32::MAX)).unwrap_or_default()
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// RFC 8489 §9.2: what a nonce of a server begins with that knows this RFC.
const COOKIE: &str = "obMatJos2";
/// RFC 8489 §18.1: bit 0 is the first of the first byte.
const PASSWORD_ALGORITHMS: u8 = 0x80;
const USERNAME_ANONYMITY: u8 = 0x40;
/// With the features.
const COOKIE_LEN: usize = COOKIE.len() + 4;
const NONCE_LEN: usize = COOKIE_LEN + (TIME_LEN + CODE_LEN) / 3 * 4;
const TIME_LEN: usize = 4;
/// Bytes of the code: a guess must be right within the lifetime, and gives no more than a nonce.
const CODE_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: SecurityFeatures =
        SecurityFeatures { password_algorithms: true, username_anonymity: false };

    fn nonces(seed: u8) -> Nonces {
        let provider = crypto::default_provider();
        Nonces::new(provider, FEATURES, Duration::from_secs(600), [seed; 32])
    }

    /// THREATS T4: the client's alone, for ten minutes, and not one bit of it otherwise.
    #[test]
    fn a_nonce_is_known_again_in_time_and_from_its_address_alone() {
        let (nonces, address) = (nonces(1), "192.0.2.1:4000".parse().unwrap());
        let now = testkit::epoch();
        let nonce = nonces.make(now, address);
        let nonce = nonce.as_str();
        assert_eq!(nonce.len(), 29);
        for (after, valid) in [(0, true), (600, true), (601, false), (1 << 31, false)] {
            assert_eq!(nonces.is_valid(now + Duration::from_secs(after), address, nonce), valid, "{after}");
        }
        for other in ["192.0.2.1:4001", "192.0.2.2:4000", "[2001:db8::1]:4000"] {
            assert!(!nonces.is_valid(now, other.parse().unwrap(), nonce), "{other}");
        }
        assert!(!self::nonces(2).is_valid(now, address, nonce), "another server's");
        for at in 0..nonce.len() {
            let mut bytes = nonce.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(!nonces.is_valid(now, address, &changed), "{at}");
            assert!(!nonces.is_valid(now, address, &nonce[..at]), "{at}");
        }
        let before = nonces.make(now + Duration::from_secs(5), address);
        assert!(!nonces.is_valid(now, address, before.as_str()), "of the future");
    }

    #[test]
    fn features_are_read_from_a_nonce() {
        let nonce = nonces(1).make(testkit::epoch(), "192.0.2.1:4000".parse().unwrap());
        assert!(nonce.as_str().starts_with("obMatJos2gAAA"));
        assert_eq!(SecurityFeatures::of(nonce.as_str()), Some(FEATURES));
        // RFC 8489 §9.2: none at all are 24 zero bits.
        assert_eq!(
            SecurityFeatures::of("obMatJos2AAAA//449k954d6OL34oL9FSTvy64sA"),
            Some(SecurityFeatures::default())
        );
        assert_eq!(
            SecurityFeatures::of("obMatJos2wAAA").map(|features| features.username_anonymity),
            Some(true)
        );
        for no in ["", "obMatJos2", "obMatJos2gA", "obMatJos2ÄÄ", "f//499k954d6OL34oL9FSTvy64sA"] {
            assert_eq!(SecurityFeatures::of(no), None, "{no}");
        }
    }
}
