use crypto::{
    Aead, AeadAlgorithm, Block, Cipher, CipherAlgorithm, Digest, Forged, Group, Hash, HashAlgorithm, Hmac,
    InvalidKey, InvalidSignature, KeyExchange, Nonce, Provider, Rng, SharedSecret, SignatureAlgorithm,
    SigningKey, Tag,
};

/// A provider that encrypts nothing and accepts every tag and signature, so that simulations are fast
/// and a fuzzer gets past the cryptography. Sizes on the wire are the real ones. Hashes and HMACs are
/// real, since cookies and transcripts depend on them.
pub fn null_provider() -> &'static dyn Provider {
    &Null
}

#[derive(Debug)]
struct Null;

impl Provider for Null {
    fn name(&self) -> &'static str {
        "null"
    }

    fn aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn Aead>, InvalidKey> {
        if key.len() == algorithm.key_len() { Ok(Box::new(Self)) } else { Err(InvalidKey) }
    }

    fn cipher(&self, algorithm: CipherAlgorithm, key: &[u8]) -> Result<Box<dyn Cipher>, InvalidKey> {
        let key: Vec<u8> = key.to_vec();
        if key.len() == algorithm.key_len() { Ok(Box::new(Mixer(key))) } else { Err(InvalidKey) }
    }

    fn hash(&self, algorithm: HashAlgorithm) -> Box<dyn Hash> {
        crypto::rust_crypto().hash(algorithm)
    }

    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8]) -> Box<dyn Hmac> {
        crypto::rust_crypto().hmac(algorithm, key)
    }

    fn key_exchange(&self, group: Group, rng: &mut Rng) -> Box<dyn KeyExchange> {
        let len = match group {
            Group::X25519 => 32,
            Group::P256 | _ => 65,
        };
        let mut share = vec![0; len];
        rng.fill(&mut share);
        share.iter_mut().take(1).for_each(|first| *first = 4);
        Box::new(Share(share))
    }

    fn signing_key(
        &self,
        algorithm: SignatureAlgorithm,
        secret: &[u8; 32],
    ) -> Result<Box<dyn SigningKey>, InvalidKey> {
        // A real public key, so that certificates parse.
        let public = crypto::rust_crypto().signing_key(algorithm, secret)?.public_key().to_vec();
        Ok(Box::new(Signer { algorithm, public }))
    }

    fn verify(&self, _: SignatureAlgorithm, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
        Ok(())
    }
}

impl Aead for Null {
    fn seal(&self, _: &Nonce, _: &[u8], _: &mut [u8]) -> Tag {
        [0; 16]
    }

    fn open(&self, _: &Nonce, _: &[u8], _: &mut [u8], _: &Tag) -> Result<(), Forged> {
        Ok(())
    }
}

/// A block cipher that derives keys which depend on those they come from, and encrypts nothing.
#[derive(Debug)]
struct Mixer(Vec<u8>);

impl Cipher for Mixer {
    fn encrypt_block(&self, block: &mut Block) {
        self.0.iter().enumerate().for_each(|(at, byte)| {
            if let Some(mixed) = block.get_mut(at % 16) {
                *mixed = mixed.rotate_left(3) ^ byte;
            }
        });
    }

    fn apply_keystream(&self, _: &Block, _: &mut [u8]) {}
}

#[derive(Debug)]
struct Share(Vec<u8>);

impl KeyExchange for Share {
    fn public_key(&self) -> &[u8] {
        &self.0
    }

    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, InvalidKey> {
        // Symmetric, so that both sides agree.
        let mixed: Vec<u8> = self.0.iter().zip(peer).map(|(a, b)| a ^ b).take(32).collect();
        if peer.len() == self.0.len() { Ok(SharedSecret::new(&mixed)) } else { Err(InvalidKey) }
    }
}

#[derive(Debug)]
struct Signer {
    algorithm: SignatureAlgorithm,
    public: Vec<u8>,
}

impl SigningKey for Signer {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        // A DER sequence of two integers, as long as a real one; what it says depends on the message.
        let digest: Digest = {
            let mut hash = crypto::rust_crypto().hash(HashAlgorithm::Sha256);
            hash.update(message);
            hash.digest()
        };
        let mut signature = vec![0x30, 68];
        for _ in 0..2 {
            signature.extend([0x02, 32, 0x01]);
            signature.extend(digest.as_bytes().iter().take(31));
        }
        signature
    }
}
