use crypto::Provider;

/// How keys are used, and what bounds them. One value serves both directions of a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Who encrypts.
    pub provider: &'static dyn Provider,
    /// RTP packets of a stream that are remembered: those that came, and those that were sent. Rounded up to a power
    /// of two from 64 to 32,768. Default: 128 (RFC 3711 §3.3.2 demands 64).
    pub rtp_window: usize,
    /// The same of RTCP packets that came. Default: 128.
    pub rtcp_window: usize,
    /// SSRCs of RTP, and as many of RTCP, in one direction, that have state. Where there is one more, the one that was used longest
    /// ago makes room. Default: 1,024.
    pub max_streams: usize,
    /// SSRCs besides that have made room, of each the last index: it stays as long as the keys, since to forget it would let
    /// packets in again, or use a key stream twice. Those beyond are refused. Default: 16,384, of 12 bytes each.
    pub max_retired_streams: usize,
    /// RTP packets of all streams that one master key protects. Default: 2⁴⁸ (RFC 3711 §9.2).
    pub max_rtp_packets: u64,
    /// RTCP packets of all streams that one master key protects. Default: 2³¹ (RFC 3711 §9.2).
    pub max_rtcp_packets: u64,
    /// Whether RTCP is taken that is authenticated without being encrypted. Default: no (RFC 8827 §6.5).
    pub accept_unencrypted_rtcp: bool,
    /// Whether CSRCs and header extensions are encrypted as a whole. Default: off.
    pub cryptex: Cryptex,
    /// Header extensions that are encrypted one by one (RFC 6904). They are left as they are in a packet that Cryptex
    /// encrypts. Default: none.
    pub encrypted_extensions: ExtensionIds,
}

impl Config {
    /// The defaults, with keys by `provider`.
    pub const fn new(provider: &'static dyn Provider) -> Self {
        Self {
            provider,
            rtp_window: 128,
            rtcp_window: 128,
            max_streams: 1024,
            max_retired_streams: 16_384,
            max_rtp_packets: 1 << 48,
            max_rtcp_packets: 1 << 31,
            accept_unencrypted_rtcp: false,
            cryptex: Cryptex::Off,
            encrypted_extensions: ExtensionIds::NONE,
        }
    }
}

/// The encryption of CSRCs and header extensions as a whole (RFC 9335).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cryptex {
    /// Not agreed: never sent, and refused.
    #[default]
    Off,
    /// Agreed: sent, and taken, but a peer may leave it out.
    On,
    /// Agreed, and a packet with CSRCs or header extensions in the clear is refused.
    Required,
}

/// A set of identifiers of header extensions (RFC 8285), 1 to 255.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ExtensionIds([u64; 4]);

impl ExtensionIds {
    /// The empty set.
    pub const NONE: Self = Self([0; 4]);

    /// Adds `id`. Zero is padding and not an identifier, so it is never in the set.
    #[must_use]
    pub fn with(mut self, id: u8) -> Self {
        if let (Some(word), true) = (self.0.get_mut(usize::from(id / 64)), id != 0) {
            *word |= 1 << (id % 64);
        }
        self
    }

    /// Whether `id` was added.
    pub fn contains(&self, id: u8) -> bool {
        self.0.get(usize::from(id / 64)).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}
