//! What a seed draws.

use std::time::Duration;

use crypto::{Rng, derive_seed};
use testkit::{Dependence, Link, Nat, Ports};

pub struct Draw(Rng);

impl Draw {
    pub fn of(seed: u64, label: &str) -> Self {
        Self(Rng::new(derive_seed(&seed_bytes(seed), label)))
    }

    /// Both bounds included.
    pub fn millis(&mut self, least: u32, most: u32) -> Duration {
        Duration::from_millis((least + self.0.below(most - least + 1)).into())
    }

    /// From `low`, below `high`.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.0.below(high - low)
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.0.below(100) < percent
    }

    pub fn side(&mut self) -> usize {
        self.0.below(2) as usize
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }

    /// A way to the Internet that loses nothing: 2 to 60 ms, and a little jitter.
    pub fn link(&mut self) -> Link {
        let (delay, jitter) = (self.millis(2, 60), self.millis(0, 4));
        Link { delay, jitter, ..Link::default() }
    }

    pub fn dependence(&mut self) -> Dependence {
        [Dependence::EndpointIndependent, Dependence::Address, Dependence::AddressAndPort]
            [self.0.below(3) as usize]
    }

    /// A NAT of any kind.
    pub fn nat(&mut self) -> Nat {
        let ports = if self.chance(50) { Ports::Preserved } else { Ports::Random };
        Nat { mapping: self.dependence(), filtering: self.dependence(), ports, ..Nat::cone() }
    }
}

/// The 32 bytes that a seed's number stands for.
pub fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}
