use std::collections::VecDeque;
use std::fmt;

use crypto::{Hash, HashAlgorithm};
use proto::Instant;

/// The fingerprint of a run: equal seeds must give equal traces. It also keeps the last few lines for
/// the message of a test that fails.
#[derive(Debug)]
pub struct Trace {
    hash: Box<dyn Hash>,
    count: u64,
    last: VecDeque<String>,
    /// Where machines write what is noted here.
    pub(crate) memory: Vec<u8>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hash: crypto::rust_crypto().hash(HashAlgorithm::Sha256),
            count: 0,
            last: VecDeque::new(),
            memory: Vec::new(),
        }
    }
}

impl Trace {
    /// Notes that `bytes` happened at `at` to or from `who`.
    pub fn note(&mut self, at: Instant, who: &str, bytes: &[u8]) {
        self.hash.update(&at.as_nanos().to_be_bytes());
        self.hash.update(who.as_bytes());
        self.hash.update(&bytes.len().to_be_bytes());
        self.hash.update(bytes);
        self.count += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        let head: Vec<String> = bytes.iter().take(24).map(|byte| format!("{byte:02x}")).collect();
        self.last.push_back(format!("{at:?} {who} {} bytes {}", bytes.len(), head.concat()));
    }

    /// How much was noted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The fingerprint, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        self.hash.digest().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "trace of {} lines, the last of them:", self.count)?;
        self.last.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Lines kept for the message of a failure.
const KEPT: usize = 40;
