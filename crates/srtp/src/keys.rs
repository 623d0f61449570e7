use crypto::{Cipher, Provider, Secret, SecretBytes};

use crate::{KeyError, Profile};

/// The secrets of one direction: a master key and a master salt (RFC 3711 §3.2.1).
///
/// One value belongs to one [`Outbound`](crate::Outbound) and to the peer's [`Inbound`](crate::Inbound), and to no
/// second sender: two senders that use an SSRC in common would encrypt with one key stream (RFC 3711 §9.1).
#[derive(Clone, Debug)]
pub struct MasterKeys {
    profile: Profile,
    key: SecretBytes,
    salt: SecretBytes,
}

/// Which side of the DTLS handshake we are: it says whose keys are whose (RFC 5764 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DtlsRole {
    /// We sent the ClientHello.
    Client,
    /// The peer did.
    Server,
}

impl MasterKeys {
    /// Takes a key of [`Profile::key_len`] and a salt of [`Profile::salt_len`] bytes.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return Err(KeyError);
        }
        Ok(Self { profile, key: SecretBytes::new(key), salt: SecretBytes::new(salt) })
    }

    /// Takes a key with its salt behind it, as SDP's `a=crypto` has them (RFC 4568 §6.1).
    pub fn from_key_and_salt(profile: Profile, bytes: &[u8]) -> Result<Self, KeyError> {
        let (key, salt) = bytes.split_at_checked(profile.key_len()).ok_or(KeyError)?;
        Self::new(profile, key, salt)
    }

    /// Divides what DTLS exported under the label `EXTRACTOR-dtls_srtp`: the client's key, the server's key, the
    /// client's salt, the server's salt (RFC 5764 §4.2). Gives the keys that we send with, then those of the peer.
    pub fn from_keying_material(
        profile: Profile,
        material: &[u8],
        role: DtlsRole,
    ) -> Result<(Self, Self), KeyError> {
        let (keys, salts) = material.split_at_checked(2 * profile.key_len()).ok_or(KeyError)?;
        let (client_key, server_key) = keys.split_at_checked(profile.key_len()).ok_or(KeyError)?;
        let (client_salt, server_salt) = salts.split_at_checked(profile.salt_len()).ok_or(KeyError)?;
        let client = Self::new(profile, client_key, client_salt)?;
        let server = Self::new(profile, server_key, server_salt)?;
        Ok(match role {
            DtlsRole::Client => (client, server),
            DtlsRole::Server => (server, client),
        })
    }

    /// What they are for.
    pub const fn profile(&self) -> Profile {
        self.profile
    }
}

/// Makes session keys of master keys: AES in counter mode as a pseudo-random function, with a key derivation rate
/// of zero, so that every label has one result (RFC 3711 §4.3, RFC 6188 §3, RFC 7714 §11).
pub(crate) struct Derivation {
    cipher: Box<dyn Cipher>,
    salt: Secret<16>,
}

impl Derivation {
    pub(crate) fn new(provider: &dyn Provider, keys: &MasterKeys) -> Result<Self, KeyError> {
        let cipher = provider.cipher(keys.profile.cipher(), keys.key.expose()).map_err(|_| KeyError)?;
        // A salt of 96 bits stands in front of zeros (RFC 7714 §11).
        let mut salt = Secret::new([0; 16]);
        salt.expose_mut().iter_mut().zip(keys.salt.expose()).for_each(|(to, from)| *to = *from);
        Ok(Self { cipher, salt })
    }

    /// `N` bytes that belong to `label`.
    pub(crate) fn derive<const N: usize>(&self, label: Label) -> Secret<N> {
        // RFC 3711 §4.3.1: the label stands above 48 bits of index, within the 112 that the salt has; 16 bits that
        // count blocks come after (§4.3.3).
        let counter = u128::from_be_bytes(*self.salt.expose()) ^ (u128::from(label as u8) << (48 + 16));
        let mut derived = Secret::new([0; N]);
        self.cipher.apply_keystream(&counter.to_be_bytes(), derived.expose_mut());
        derived
    }

    /// A salt of `len` bytes, with zeros behind it.
    pub(crate) fn derive_salt(&self, label: Label, len: usize) -> Secret<16> {
        let mut salt: Secret<16> = self.derive(label);
        salt.expose_mut().iter_mut().skip(len).for_each(|byte| *byte = 0);
        salt
    }
}

/// What a session key is for (RFC 3711 §4.3.2, RFC 6904 §3.2).
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
    HeaderEncryption = 6,
    HeaderSalt = 7,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    fn derived<const N: usize>(profile: Profile, key: &str, salt: &str, label: Label) -> Vec<u8> {
        let keys = MasterKeys::new(profile, &unhex(key), &unhex(salt)).unwrap();
        let derivation = Derivation::new(crypto::rust_crypto(), &keys).unwrap();
        derivation.derive::<N>(label).expose().to_vec()
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711_and_rfc_6904() {
        // RFC 3711 appendix B.3; RFC 6904 appendix A.
        let (key, salt) = ("e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6");
        let profile = Profile::Aes128CmHmacSha1_80;
        assert_eq!(
            derived::<16>(profile, key, salt, Label::RtpEncryption),
            unhex("c61e7a93744f39ee10734afe3ff7a087")
        );
        assert_eq!(derived::<14>(profile, key, salt, Label::RtpSalt), unhex("30cbbc08863d8c85d49db34a9ae1"));
        assert_eq!(
            derived::<94>(profile, key, salt, Label::RtpAuthentication),
            unhex(
                "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c43d9327ad175578ef7227098\
                 6371c10c9a369ac2f94a8c5fbcdddc256d6e919a48b610ef17c2041e474035766b68642c59bbfc2f34db60dbdfb2"
            )
        );
        assert_eq!(
            derived::<16>(profile, key, salt, Label::HeaderEncryption),
            unhex("549752054d6fb708622c4a2e596a1b93")
        );
        assert_eq!(
            derived::<14>(profile, key, salt, Label::HeaderSalt),
            unhex("ab01818174c40d39a3781f7c2d27")
        );
    }

    #[test]
    fn session_keys_are_those_of_rfc_6188() {
        // RFC 6188 §7.
        let key = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6";
        let salt = "3b04803de51ee7c96423ab5b78d2";
        let profile = Profile::Aes256CmHmacSha1_80;
        assert_eq!(
            derived::<32>(profile, key, salt, Label::RtpEncryption),
            unhex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
        );
        assert_eq!(derived::<14>(profile, key, salt, Label::RtpSalt), unhex("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(
            derived::<20>(profile, key, salt, Label::RtpAuthentication),
            unhex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
        );
    }

    #[test]
    fn a_short_salt_has_zeros_behind_it() {
        let profile = Profile::AeadAes128Gcm;
        let keys = MasterKeys::new(profile, &[1; 16], &[2; 12]).unwrap();
        let derivation = Derivation::new(crypto::rust_crypto(), &keys).unwrap();
        let whole = derivation.derive::<16>(Label::HeaderSalt);
        let salt = derivation.derive_salt(Label::HeaderSalt, profile.salt_len());
        assert_eq!(salt.expose()[..12], whole.expose()[..12]);
        assert_eq!(salt.expose()[12..], [0; 4]);
    }
}
