//! The fingerprints that signalling gives for the peer's certificate (RFC 8122, RFC 8842 §5).

use crypto::{HashAlgorithm, Provider, constant_time_eq};

use crate::PeerCertificate;

/// Whose certificate is accepted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fingerprints {
    /// One of these, by hash functions that are strong enough; at least one.
    Named(Vec<(HashAlgorithm, Vec<u8>)>),
    /// Anybody's, as a program without descriptions may want it that looks for itself.
    Any,
}

impl Fingerprints {
    /// What parameters say.
    pub(crate) fn of(certificate: PeerCertificate) -> Self {
        match certificate {
            PeerCertificate::Sha256(hash) => Self::Named(vec![(HashAlgorithm::Sha256, hash.to_vec())]),
            PeerCertificate::Any => Self::Any,
        }
    }

    /// Whether `certificate` is the one meant: by the strongest hash function named, any of its
    /// fingerprints matches (RFC 8122 §5).
    pub(crate) fn match_certificate(&self, provider: &'static dyn Provider, certificate: &[u8]) -> bool {
        let Self::Named(named) = self else { return true };
        let Some(strongest) = named.iter().map(|(algorithm, _)| algorithm.digest_len()).max() else {
            return false;
        };
        named.iter().filter(|(algorithm, _)| algorithm.digest_len() == strongest).any(
            |(algorithm, expected)| {
                constant_time_eq(dtls::fingerprint(provider, *algorithm, certificate).as_bytes(), expected)
            },
        )
    }

    /// Whether both name the same certificates.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// Those of `lines` whose hash function is known and strong; `None` if there is none. MD5 and SHA-1 do
/// not count (RFC 8122 §5).
pub(crate) fn read<'a>(lines: impl Iterator<Item = sdp::Fingerprint<'a>>) -> Option<Fingerprints> {
    let known = |line: sdp::Fingerprint<'a>| {
        let algorithm = [
            ("sha-256", HashAlgorithm::Sha256),
            ("sha-384", HashAlgorithm::Sha384),
            ("sha-512", HashAlgorithm::Sha512),
        ]
        .into_iter()
        .find_map(|(name, algorithm)| line.algorithm().eq_ignore_ascii_case(name).then_some(algorithm))?;
        let bytes: Vec<u8> = line.bytes().collect();
        (bytes.len() == algorithm.digest_len()).then_some((algorithm, bytes))
    };
    let mut found: Vec<_> = lines.filter_map(known).collect();
    // The order of the lines means nothing: a later description may have another.
    found.sort_by(|(a, left), (b, right)| (a.digest_len(), left).cmp(&(b.digest_len(), right)));
    // They stay as long as the session, and most descriptions have one.
    found.shrink_to_fit();
    (!found.is_empty()).then_some(Fingerprints::Named(found))
}

#[cfg(test)]
mod tests {
    use sdp::Attribute;

    use super::*;

    fn line(algorithm: &str, bytes: &[u8]) -> String {
        format!("fingerprint:{algorithm} {}", sdp::Fingerprint::text_of(bytes))
    }

    fn accepts(lines: &[String], certificate: &[u8]) -> Option<bool> {
        let parsed = lines.iter().filter_map(|line| match Attribute::parse(line) {
            Ok(Attribute::Fingerprint(print)) => Some(print),
            _ => None,
        });
        Some(read(parsed)?.match_certificate(crypto::rust_crypto(), certificate))
    }

    #[test]
    fn the_order_of_lines_means_nothing() {
        let lines = [line("sha-512", &[7; 64]), line("sha-256", &[8; 32]), line("sha-256", &[1; 32])];
        let prints = |order: [usize; 3]| {
            let parsed = order.into_iter().filter_map(|at| match Attribute::parse(&lines[at]) {
                Ok(Attribute::Fingerprint(print)) => Some(print),
                _ => None,
            });
            read(parsed).unwrap()
        };
        assert!(prints([0, 1, 2]).is_same(&prints([2, 1, 0])));
    }

    #[test]
    fn only_what_rfc_8122_accepts_is_accepted() {
        let certificate = b"a certificate";
        let hash =
            |algorithm| dtls::fingerprint(crypto::rust_crypto(), algorithm, certificate).as_bytes().to_vec();
        let (sha1, sha256, sha512) =
            (hash(HashAlgorithm::Sha1), hash(HashAlgorithm::Sha256), hash(HashAlgorithm::Sha512));
        let mut wrong = sha256.clone();
        wrong[31] ^= 1;
        for (lines, expected) in [
            (vec![line("sha-256", &sha256)], Some(true)),
            (vec![line("SHA-256", &sha256)], Some(true)),
            (vec![line("sha-256", &sha256).to_lowercase()], Some(true)),
            (vec![line("sha-512", &sha512)], Some(true)),
            (vec![line("sha-256", &wrong)], Some(false)),
            (vec![line("sha-256", &wrong), line("sha-256", &sha256)], Some(true)),
            (vec![line("sha-256", &sha256), line("sha-512", &sha512)], Some(true)),
            // The strongest decides: a collision of a weaker one must not help.
            (vec![line("sha-256", &sha256), line("sha-512", &[7; 64])], Some(false)),
            (vec![line("sha-1", &sha1)], None),
            (vec![line("md5", &[0; 16])], None),
            (vec![line("sha-999", &sha256)], None),
            (vec![line("sha-256", &sha256[..31])], None),
            (vec![line("sha-512", &sha256)], None),
            (vec![line("sha-1", &sha1), line("sha-256", &sha256)], Some(true)),
            (vec![], None),
        ] {
            assert_eq!(accepts(&lines, certificate), expected, "{lines:?}");
        }
    }
}
