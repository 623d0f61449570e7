/// What a datagram on a shared path is, by its first byte (RFC 7983 §7, as RFC 9443 §2 left it).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// 0 to 3.
    Stun,
    /// 16 to 19: not spoken here.
    Zrtp,
    /// 20 to 63.
    Dtls,
    /// 64 to 79: data of a TURN channel.
    TurnChannel,
    /// 128 to 191.
    Rtp,
    /// Anything else.
    Unknown,
}

/// What a datagram that begins with `first` is.
pub const fn protocol_of(first: u8) -> Protocol {
    match first {
        0..=3 => Protocol::Stun,
        16..=19 => Protocol::Zrtp,
        20..=63 => Protocol::Dtls,
        64..=79 => Protocol::TurnChannel,
        128..=191 => Protocol::Rtp,
        _ => Protocol::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_is_as_in_the_rfc() {
        let count = |wanted| (0..=255).filter(|first| protocol_of(*first) == wanted).count();
        let counts =
            [Protocol::Stun, Protocol::Zrtp, Protocol::Dtls, Protocol::TurnChannel, Protocol::Rtp].map(count);
        assert_eq!(counts, [4, 4, 44, 16, 64]);
        for (first, protocol) in [
            (0, Protocol::Stun),
            (3, Protocol::Stun),
            (4, Protocol::Unknown),
            (15, Protocol::Unknown),
            (20, Protocol::Dtls),
            (63, Protocol::Dtls),
            (80, Protocol::Unknown),
            (127, Protocol::Unknown),
            (191, Protocol::Rtp),
            (192, Protocol::Unknown),
        ] {
            assert_eq!(protocol_of(first), protocol, "{first}");
        }
    }
}
