use proto::Reader;

use crate::Ssrc;

/// What SRTP has to know of the first header of a compound RTCP packet (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RtcpHeader {
    pub(crate) ssrc: Ssrc,
}

impl RtcpHeader {
    /// Decodes the header of `packet`; `None` if it is of another version, or ends within the header.
    pub(crate) fn decode(packet: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(packet);
        if reader.u32().ok()? >> 30 != 2 {
            return None;
        }
        Some(Self { ssrc: Ssrc(reader.u32().ok()?) })
    }
}

/// The part that is never encrypted: header and SSRC of the sender (RFC 3711 §3.4).
pub(crate) const RTCP_HEADER_LEN: usize = 8;
