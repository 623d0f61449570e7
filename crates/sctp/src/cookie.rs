use std::time::Duration;

use crypto::{HashAlgorithm, Hmac, constant_time_eq};
use proto::{Instant, NoSpace, Reader, Truncated, Writer};

use crate::{Discard, Tsn};

/// What a State Cookie says: all that is needed to build the association (RFC 9260 §5.1.3). Numbers of
/// the protocol and a time on the connection's own clock; nothing else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cookie {
    pub(crate) made: Instant,
    pub(crate) local_tag: u32,
    pub(crate) peer_tag: u32,
    /// The Tie-Tags of the association that stood when the INIT came, or zeros (RFC 9260 §5.2.2).
    pub(crate) tie_tags: [u32; 2],
    pub(crate) local_tsn: Tsn,
    pub(crate) peer_tsn: Tsn,
    pub(crate) peer_window: u32,
    pub(crate) peer_inbound: u16,
    pub(crate) forward_tsn: bool,
    pub(crate) reconfig: bool,
}

impl Cookie {
    pub(crate) fn seal(&self, key: &dyn Hmac) -> Result<[u8; COOKIE_LEN], NoSpace> {
        let mut bytes = [0; COOKIE_LEN];
        let mut out = Writer::new(&mut bytes);
        out.put(&self.made.as_nanos().to_be_bytes())?;
        let [tie_a, tie_b] = self.tie_tags;
        for word in [self.local_tag, self.peer_tag, tie_a, tie_b] {
            out.put_u32(word)?;
        }
        for word in [self.local_tsn.0, self.peer_tsn.0, self.peer_window] {
            out.put_u32(word)?;
        }
        out.put_u16(self.peer_inbound)?;
        out.put_u8(u8::from(self.forward_tsn) | (u8::from(self.reconfig) << 1))?;
        out.put_u8(0)?;
        let code = key.sign(&[out.written()]);
        out.put(code.as_bytes())?;
        Ok(bytes)
    }

    /// Checks the code and reads the rest. Age is the caller's to judge, with [`Cookie::is_stale`].
    pub(crate) fn open(bytes: &[u8], key: &dyn Hmac) -> Result<Self, Discard> {
        let forged = Discard::ForgedCookie;
        if bytes.len() != COOKIE_LEN {
            return Err(forged);
        }
        let (body, code) = bytes.split_at_checked(BODY_LEN).ok_or(forged)?;
        if !constant_time_eq(key.sign(&[body]).as_bytes(), code) {
            return Err(forged);
        }
        Self::read(body).map_err(|_| forged)
    }

    pub(crate) fn is_stale(&self, now: Instant, life: Duration) -> bool {
        now - self.made > life
    }

    fn read(body: &[u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(body);
        let made = Instant::from_nanos(reader.u64()?);
        let (local_tag, peer_tag) = (reader.u32()?, reader.u32()?);
        let tie_tags = [reader.u32()?, reader.u32()?];
        let (local_tsn, peer_tsn) = (Tsn(reader.u32()?), Tsn(reader.u32()?));
        let peer_window = reader.u32()?;
        let peer_inbound = reader.u16()?;
        let flags = reader.u8()?;
        Ok(Self {
            made,
            local_tag,
            peer_tag,
            tie_tags,
            local_tsn,
            peer_tsn,
            peer_window,
            peer_inbound,
            forward_tsn: flags & 1 != 0,
            reconfig: flags & 2 != 0,
        })
    }
}

/// The key that protects cookies: of this association alone.
pub(crate) fn key(seed: &[u8; 32]) -> Box<dyn Hmac> {
    crypto::rust_crypto().hmac(HashAlgorithm::Sha256, seed)
}

const BODY_LEN: usize = 40;
pub(crate) const COOKIE_LEN: usize = BODY_LEN + 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie() -> Cookie {
        Cookie {
            made: Instant::from_nanos(0x0102_0304_0506_0708),
            local_tag: 0x1111_1111,
            peer_tag: 0x2222_2222,
            tie_tags: [0x3333_3333, 0x4444_4444],
            local_tsn: Tsn(0x5555_5555),
            peer_tsn: Tsn(0x6666_6666),
            peer_window: 0x7777_7777,
            peer_inbound: 0x8888,
            forward_tsn: true,
            reconfig: true,
        }
    }

    #[test]
    fn a_cookie_contains_this_and_nothing_else() {
        let bytes = cookie().seal(&*key(&[1; 32])).unwrap();
        let mut expected = vec![1, 2, 3, 4, 5, 6, 7, 8];
        for byte in [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77] {
            expected.extend([byte; 4]);
        }
        expected.extend([0x88, 0x88, 3, 0]);
        assert_eq!(bytes[..BODY_LEN], expected);
        assert_eq!(bytes[BODY_LEN..], *key(&[1; 32]).sign(&[&expected]).as_bytes());
    }

    #[test]
    fn only_what_we_made_opens() {
        let bytes = cookie().seal(&*key(&[1; 32])).unwrap();
        assert_eq!(Cookie::open(&bytes, &*key(&[1; 32])), Ok(cookie()));
        assert_eq!(Cookie::open(&bytes, &*key(&[2; 32])), Err(Discard::ForgedCookie), "other association");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Cookie::open(&flipped, &*key(&[1; 32])), Err(Discard::ForgedCookie), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert_eq!(Cookie::open(&bytes[..cut], &*key(&[1; 32])), Err(Discard::ForgedCookie));
        }
    }

    #[test]
    fn a_cookie_goes_stale_after_its_life_and_not_before() {
        let life = Duration::from_secs(60);
        let made = cookie().made;
        assert!(!cookie().is_stale(made + life, life));
        assert!(cookie().is_stale(made + life + Duration::from_nanos(1), life));
    }
}
