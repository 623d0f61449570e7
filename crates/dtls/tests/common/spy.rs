//! A provider that remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crypto::{
    Aead, AeadAlgorithm, Cipher, CipherAlgorithm, Forged, Group, Hash, HashAlgorithm, Hmac, InvalidKey,
    InvalidSignature, KeyExchange, Nonce, Provider, Rng, SignatureAlgorithm, SigningKey, Tag,
};

/// Does what another provider does, and keeps note of nonces and signatures.
#[derive(Debug)]
pub struct Spy {
    provider: &'static dyn Provider,
    keys: Mutex<BTreeMap<Vec<u8>, u32>>,
    sealed: Arc<Mutex<Vec<(u32, Nonce)>>>,
    verified: AtomicUsize,
    agreed: Arc<AtomicUsize>,
}

impl Spy {
    /// A spy on `provider`, which lives as long as the test.
    pub fn on(provider: &'static dyn Provider) -> &'static Self {
        Box::leak(Box::new(Self {
            provider,
            keys: Mutex::default(),
            sealed: Arc::default(),
            verified: AtomicUsize::new(0),
            agreed: Arc::default(),
        }))
    }

    /// The key, by number, and the nonce of everything that was encrypted.
    pub fn sealed(&self) -> Vec<(u32, Nonce)> {
        self.sealed.lock().unwrap().clone()
    }

    /// Signatures that were checked.
    pub fn verified(&self) -> usize {
        self.verified.load(Ordering::Relaxed)
    }

    /// Shared secrets that were computed.
    pub fn agreed(&self) -> usize {
        self.agreed.load(Ordering::Relaxed)
    }
}

impl Provider for Spy {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    fn aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn Aead>, InvalidKey> {
        let mut keys = self.keys.lock().unwrap();
        let next = u32::try_from(keys.len()).unwrap();
        let number = *keys.entry(key.to_vec()).or_insert(next);
        let aead = self.provider.aead(algorithm, key)?;
        Ok(Box::new(Watched { aead, number, sealed: Arc::clone(&self.sealed) }))
    }

    fn cipher(&self, algorithm: CipherAlgorithm, key: &[u8]) -> Result<Box<dyn Cipher>, InvalidKey> {
        self.provider.cipher(algorithm, key)
    }

    fn hash(&self, algorithm: HashAlgorithm) -> Box<dyn Hash> {
        self.provider.hash(algorithm)
    }

    fn hmac(&self, algorithm: HashAlgorithm, key: &[u8]) -> Box<dyn Hmac> {
        self.provider.hmac(algorithm, key)
    }

    fn key_exchange(&self, group: Group, rng: &mut Rng) -> Box<dyn KeyExchange> {
        Box::new(Exchange(self.provider.key_exchange(group, rng), Arc::clone(&self.agreed)))
    }

    fn signing_key(
        &self,
        algorithm: SignatureAlgorithm,
        secret: &[u8; 32],
    ) -> Result<Box<dyn SigningKey>, InvalidKey> {
        self.provider.signing_key(algorithm, secret)
    }

    fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        self.verified.fetch_add(1, Ordering::Relaxed);
        self.provider.verify(algorithm, public_key, message, signature)
    }
}

#[derive(Debug)]
struct Watched {
    aead: Box<dyn Aead>,
    number: u32,
    sealed: Arc<Mutex<Vec<(u32, Nonce)>>>,
}

impl Aead for Watched {
    fn seal(&self, nonce: &Nonce, associated_data: &[u8], message: &mut [u8]) -> Tag {
        self.sealed.lock().unwrap().push((self.number, *nonce));
        self.aead.seal(nonce, associated_data, message)
    }

    fn open(&self, nonce: &Nonce, data: &[u8], message: &mut [u8], tag: &Tag) -> Result<(), Forged> {
        self.aead.open(nonce, data, message, tag)
    }
}

#[derive(Debug)]
struct Exchange(Box<dyn KeyExchange>, Arc<AtomicUsize>);

impl KeyExchange for Exchange {
    fn public_key(&self) -> &[u8] {
        self.0.public_key()
    }

    fn complete(self: Box<Self>, peer: &[u8]) -> Result<crypto::SharedSecret, InvalidKey> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.complete(peer)
    }
}
