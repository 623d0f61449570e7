use std::sync::OnceLock;
use std::time::Instant;

use peerline::Message;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What went over a channel in one direction: counts and digests.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    count: u64,
    bytes: u64,
    text: u64,
    first: Option<f64>,
    last: Option<f64>,
    chain: [u8; 32],
    set: [u8; 32],
}

impl Tally {
    /// Adds a message, as of now.
    pub(crate) fn add(&mut self, message: &Message) {
        let bytes = message.as_bytes();
        let is_text = matches!(message, Message::Text(_));
        self.count += 1;
        self.bytes += bytes.len() as u64;
        self.text += u64::from(is_text);
        let at = milliseconds();
        self.first.get_or_insert(at);
        self.last = Some(at);
        let digest: [u8; 32] =
            Sha256::new().chain_update([u8::from(!is_text)]).chain_update(bytes).finalize().into();
        self.chain = Sha256::new().chain_update(self.chain).chain_update(digest).finalize().into();
        self.set.iter_mut().zip(digest).for_each(|(sum, byte)| *sum ^= byte);
    }

    /// The members of a `sent` or `received` event.
    pub(crate) fn report(&self) -> Value {
        json!({
            "count": self.count, "bytes": self.bytes, "text": self.text, "binary": self.count - self.text,
            "first": self.first, "last": self.last, "chain": hex(&self.chain), "set": hex(&self.set),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of a monotonic clock.
fn milliseconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1000.0
}
