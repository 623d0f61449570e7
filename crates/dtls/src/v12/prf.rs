use crypto::{HashAlgorithm, Provider, Secret};

use super::{Opener, Sealer};
use crate::Role;
use crate::wire::CipherSuite;

/// Fills `out` with the pseudo-random function of RFC 5246 §5 over `label` and the parts of the seed.
pub(super) fn prf(
    provider: &dyn Provider,
    algorithm: HashAlgorithm,
    secret: &[u8],
    label: &[u8],
    seed: &[&[u8]],
    out: &mut [u8],
) {
    let hmac = provider.hmac(algorithm, secret);
    let mut parts = Vec::with_capacity(seed.len().saturating_add(2));
    parts.push(label);
    parts.extend_from_slice(seed);
    let mut a = hmac.sign(&parts);
    for chunk in out.chunks_mut(algorithm.digest_len()) {
        let mut with_a = Vec::with_capacity(parts.len().saturating_add(1));
        with_a.push(a.as_bytes());
        with_a.extend_from_slice(&parts);
        let block = hmac.sign(&with_a);
        chunk.iter_mut().zip(block.as_bytes()).for_each(|(to, from)| *to = *from);
        a = hmac.sign(&[a.as_bytes()]);
    }
}

/// What a handshake leaves behind: the master secret and what it was mixed with. Gives the keys of
/// the records, the Finished messages, and exported keying material.
#[derive(Debug)]
pub(crate) struct Session {
    provider: &'static dyn Provider,
    pub(crate) suite: CipherSuite,
    master: Secret<48>,
    client_random: [u8; 32],
    server_random: [u8; 32],
}

impl Session {
    /// RFC 7627 §4: the master secret from the shared secret and the hash of the handshake up to and
    /// including ClientKeyExchange.
    pub(super) fn new(
        provider: &'static dyn Provider,
        suite: CipherSuite,
        shared: &[u8],
        transcript: &[u8],
        client_random: [u8; 32],
        server_random: [u8; 32],
    ) -> Self {
        let mut hash = provider.hash(suite.hash());
        hash.update(transcript);
        let mut master = Secret::new([0; 48]);
        let seed = hash.digest();
        prf(
            provider,
            suite.hash(),
            shared,
            b"extended master secret",
            &[seed.as_bytes()],
            master.expose_mut(),
        );
        Self { provider, suite, master, client_random, server_random }
    }

    /// RFC 5246 §6.3: the keys of epoch 1, for us to write and to read with.
    pub(super) fn keys(&self, role: Role) -> Option<(Sealer, Opener)> {
        let aead = self.suite.aead();
        let key_len = aead.key_len();
        let iv_len = super::protection::fixed_iv_len(aead);
        // Two keys of at most 32 bytes and two fixed nonce parts of at most 12.
        let mut block = Secret::new([0; 88]);
        let block = block.expose_mut();
        let out = block.get_mut(..key_len.saturating_add(iv_len).saturating_mul(2))?;
        let seed: &[&[u8]] = &[&self.server_random, &self.client_random];
        prf(self.provider, self.suite.hash(), self.master.expose(), b"key expansion", seed, out);
        let (keys, ivs) = out.split_at_checked(key_len.saturating_mul(2))?;
        let (client_key, server_key) = keys.split_at_checked(key_len)?;
        let (client_iv, server_iv) = ivs.split_at_checked(iv_len)?;
        let client = (self.provider.aead(aead, client_key).ok()?, client_iv);
        let server = (self.provider.aead(aead, server_key).ok()?, server_iv);
        let (write, read) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        Some((Sealer::new(write.0, write.1, 1), Opener::new(read.0, read.1)))
    }

    /// RFC 5246 §7.4.9: what the Finished of `sender` says after `transcript`.
    pub(super) fn verify_data(&self, sender: Role, transcript: &[u8]) -> [u8; 12] {
        let mut hash = self.provider.hash(self.suite.hash());
        hash.update(transcript);
        let label: &[u8] = match sender {
            Role::Client => b"client finished",
            Role::Server => b"server finished",
        };
        let mut data = [0; 12];
        let seed = hash.digest();
        prf(self.provider, self.suite.hash(), self.master.expose(), label, &[seed.as_bytes()], &mut data);
        data
    }

    /// RFC 5705 §4: keying material for the layers above.
    pub(crate) fn export(&self, label: &[u8], context: Option<(&[u8], u16)>, out: &mut [u8]) {
        let len;
        let mut seed: Vec<&[u8]> = vec![&self.client_random, &self.server_random];
        if let Some((context, context_len)) = context {
            len = context_len.to_be_bytes();
            seed.extend([&len[..], context]);
        }
        prf(self.provider, self.suite.hash(), self.master.expose(), label, &seed, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors for the PRF with SHA-256 and SHA-384, published on the IETF's TLS list in 2009.
    #[test]
    fn the_pseudo_random_function_gives_the_published_values() {
        let secret = hex("9bbe436ba940f017b17652849a71db35");
        let seed = hex("a0ba9f936cda311827a6f796ffd5198c");
        let mut out = [0; 100];
        prf(crypto::rust_crypto(), HashAlgorithm::Sha256, &secret, b"test label", &[&seed], &mut out);
        let expected = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9\
                        c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789ba\
                        a48082d122ee42c5a72e5a5110fff70187347b66";
        assert_eq!(out[..], hex(expected));

        let secret = hex("b80b733d6ceefcdc71566ea48e5567df");
        let seed = hex("cd665cf6a8447dd6ff8b27555edb7465");
        let mut out = [0; 148];
        prf(crypto::default_provider(), HashAlgorithm::Sha384, &secret, b"test label", &[&seed], &mut out);
        assert_eq!(out[..16], hex("7b0c18e9ced410ed1804f2cfa34a336a"));
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }
}
