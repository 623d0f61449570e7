use std::fmt;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use zeroize::Zeroizing;

use crate::{HashAlgorithm, rust_crypto};

/// A stream of random bytes from a seed: ChaCha20 (RFC 8439), the only source of randomness in the
/// protocol crates. Equal seeds give equal streams.
///
/// Only the seed and the position are kept: four blocks of the stream at hand would be 256 bytes in every
/// machine that draws a number now and then.
pub struct Rng {
    seed: Zeroizing<[u8; 32]>,
    /// Words of 32 bits that were drawn.
    position: u128,
}

impl Rng {
    /// The stream that belongs to `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed: Zeroizing::new(seed), position: 0 }
    }

    /// Draws from the stream where it stands.
    fn draw<T>(&mut self, draw: impl FnOnce(&mut ChaCha20Rng) -> T) -> T {
        let mut stream = ChaCha20Rng::from_seed(*self.seed);
        stream.set_word_pos(self.position);
        let drawn = draw(&mut stream);
        self.position = stream.get_word_pos();
        drawn
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.draw(|stream| stream.fill_bytes(bytes));
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> u32 {
        self.draw(|stream| stream.next_u32())
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.draw(|stream| stream.next_u64())
    }

    /// A number in `0..bound`, or 0 if `bound` is 0; its bias is below `bound` in 2⁶⁴.
    pub fn below(&mut self, bound: u32) -> u32 {
        let wide = (u128::from(self.u64()) * u128::from(bound)) >> 64;
        u32::try_from(wide).unwrap_or(0)
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng([redacted])")
    }
}

/// The seed of a part called `label`, from the seed of the whole: HMAC-SHA-256. Parts with different
/// labels get independent streams, however much each of them draws.
pub fn derive_seed(seed: &[u8; 32], label: &str) -> [u8; 32] {
    let code = rust_crypto().hmac(HashAlgorithm::Sha256, seed).sign(&[label.as_bytes()]);
    let mut derived = [0; 32];
    derived.iter_mut().zip(code.as_bytes()).for_each(|(to, from)| *to = *from);
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_streams_and_labels_separate_them() {
        let seed = [3; 32];
        assert_eq!(Rng::new(seed).array::<64>(), Rng::new(seed).array::<64>());
        assert_ne!(derive_seed(&seed, "ice"), derive_seed(&seed, "dtls"));
        assert_ne!(derive_seed(&seed, "ice"), seed);
    }

    #[test]
    fn drawing_in_pieces_gives_the_stream_that_drawing_at_once_gives() {
        let (mut pieces, mut whole) = (Rng::new([5; 32]), ChaCha20Rng::from_seed([5; 32]));
        for len in [4, 8, 12, 64, 256, 32, 4] {
            let (mut a, mut b) = (vec![0; len], vec![0; len]);
            pieces.fill(&mut a);
            whole.fill_bytes(&mut b);
            assert_eq!(a, b);
        }
        assert_eq!((pieces.u32(), pieces.u64()), (whole.next_u32(), whole.next_u64()));
    }

    #[test]
    fn numbers_below_a_bound_reach_all_of_it() {
        let mut rng = Rng::new([0; 32]);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
    }
}
