//! The keys of one transport's media, and what they are used for (RFC 5764).

use proto::Writer;
use srtp::{AuthenticatedRtcp, AuthenticatedRtp, Inbound, MasterKeys, Outbound, Profile};

use crate::media::queue::Waiting;
use crate::{Discard, DtlsRole};

/// SRTP both ways.
#[derive(Debug)]
pub(crate) struct Srtp {
    outbound: Outbound,
    inbound: Inbound,
    /// Packets that were given up when their turn came.
    pub refused: u64,
}

/// Why a packet was not written.
pub(crate) enum Unwritten {
    /// There is no room in this batch.
    NoRoom,
    /// It can never be.
    Refused,
}

impl From<connectivity::SendError> for Unwritten {
    fn from(_: connectivity::SendError) -> Self {
        Self::NoRoom
    }
}

impl From<proto::NoSpace> for Unwritten {
    fn from(_: proto::NoSpace) -> Self {
        Self::NoRoom
    }
}

impl Srtp {
    /// Makes the keys of what DTLS has agreed upon, for `max_streams` SSRCs of the peer's at a time. `None` where that is nothing.
    pub(crate) fn new(
        provider: &'static dyn crypto::Provider,
        dtls: &dtls::Connection,
        role: DtlsRole,
        max_streams: usize,
    ) -> Option<Self> {
        let profile = match dtls.srtp_profile()? {
            dtls::SrtpProfile::Aes128CmHmacSha1_80 => Profile::Aes128CmHmacSha1_80,
            dtls::SrtpProfile::Aes128CmHmacSha1_32 => Profile::Aes128CmHmacSha1_32,
            dtls::SrtpProfile::AeadAes128Gcm => Profile::AeadAes128Gcm,
            dtls::SrtpProfile::AeadAes256Gcm => Profile::AeadAes256Gcm,
            _ => return None,
        };
        let mut material = crypto::Secret::new([0; MAX_MATERIAL]);
        let material = material.expose_mut().get_mut(..profile.keying_material_len())?;
        dtls.export_keying_material(LABEL, None, material).ok()?;
        let role = match role {
            DtlsRole::Client => srtp::DtlsRole::Client,
            DtlsRole::Server => srtp::DtlsRole::Server,
        };
        let (ours, theirs) = MasterKeys::from_keying_material(profile, material, role).ok()?;
        let (mut config, mut own) = (srtp::Config::new(provider), srtp::Config::new(provider));
        (config.max_streams, own.max_streams) = (max_streams, MAX_OWN_STREAMS);
        (config.rtp_window, own.rtp_window) = (RTP_WINDOW, RTP_WINDOW);
        Some(Self {
            outbound: Outbound::new(&own, &ours).ok()?,
            inbound: Inbound::new(&config, &theirs).ok()?,
            refused: 0,
        })
    }

    /// Checks and decrypts a packet where it stands.
    pub(crate) fn open_rtp<'b>(&mut self, packet: &'b mut [u8]) -> Result<AuthenticatedRtp<'b>, Discard> {
        self.inbound.unprotect_rtp(packet).map_err(Discard::Srtp)
    }

    /// Checks and decrypts a datagram of RTCP where it stands.
    pub(crate) fn open_rtcp<'b>(&mut self, packet: &'b mut [u8]) -> Result<AuthenticatedRtcp<'b>, Discard> {
        self.inbound.unprotect_rtcp(packet).map_err(Discard::Srtp)
    }

    /// Has `write` write a packet in its place, and protects it. Where it writes none there is none.
    pub(crate) fn write_with(
        &mut self,
        kind: Waiting,
        out: &mut Writer<'_>,
        write: impl FnOnce(&mut Writer<'_>) -> bool,
    ) -> Result<(), Unwritten> {
        let overhead = self.overhead_of(kind);
        let start = out.len();
        out.reserve_tail(overhead)?;
        let is_written = write(out);
        out.release_tail(overhead);
        if !is_written {
            return Err(Unwritten::NoRoom);
        }
        self.protect(kind, start, out)
    }

    /// Writes a packet, protected.
    pub(crate) fn write(
        &mut self,
        kind: Waiting,
        packet: &[u8],
        out: &mut Writer<'_>,
    ) -> Result<(), Unwritten> {
        let start = out.len();
        out.put(packet)?;
        self.protect(kind, start, out)
    }

    fn overhead_of(&self, kind: Waiting) -> usize {
        match kind {
            Waiting::Rtp => self.outbound.rtp_overhead(),
            Waiting::Rtcp => self.outbound.rtcp_overhead(),
        }
    }

    /// Protects what was written from `start` on.
    fn protect(&mut self, kind: Waiting, start: usize, out: &mut Writer<'_>) -> Result<(), Unwritten> {
        let packet = out.len() - start;
        out.put_zeros(self.overhead_of(kind))?;
        let place = out.written_mut(start);
        let protected = match kind {
            Waiting::Rtp => self.outbound.protect_rtp(place, packet),
            Waiting::Rtcp => self.outbound.protect_rtcp(place, packet),
        };
        let len = protected.map_err(|_| Unwritten::Refused)?;
        out.truncate(start + len);
        Ok(())
    }

    /// What protection adds at most.
    pub(crate) fn overhead(&self) -> usize {
        self.outbound.rtp_overhead().max(self.outbound.rtcp_overhead())
    }

    pub(crate) const fn stats(&self) -> (srtp::OutboundStats, srtp::InboundStats) {
        (self.outbound.stats(), self.inbound.stats())
    }
}

/// RFC 5764 §4.2.
const LABEL: &[u8] = b"EXTRACTOR-dtls_srtp";
/// Two keys of 32 bytes and two salts of 14.
const MAX_MATERIAL: usize = 92;
/// SSRCs of ours at a time: 256 transceivers with 16 encodings each, and their retransmissions.
const MAX_OWN_STREAMS: usize = 8192;
/// Packets of a stream within which one may come again as it was: as many as go in a second at 10 Mbit/s.
const RTP_WINDOW: usize = 1024;
