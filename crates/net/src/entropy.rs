use std::io;

/// 32 bytes of the system's entropy, from which a connection draws everything random.
///
/// # Errors
///
/// If the system has no source of entropy.
pub fn random_seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}
