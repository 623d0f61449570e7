use crate::cryptex;
use crate::extensions::ExtensionCipher;
use crate::index::{Progress, nearest};
use crate::keys::Derivation;
use crate::replay::Known;
use crate::streams::{Retire, Streams};
use crate::transform::{Division, Fingerprint, Transform};
use crate::wire::{EXTENSION_HEADER_LEN, RtcpHeader, RtpHeader};
use crate::{
    Config, Cryptex, KeyError, MasterKeys, OutboundStats, PacketIndex, ProtectError, RolloverError, Ssrc,
};

/// Protects what we send, in the caller's buffer.
///
/// It cannot be copied: two of one kind would encrypt different packets with one key stream.
#[derive(Debug)]
pub struct Outbound {
    rtp: Transform,
    rtcp: Transform,
    extensions: Option<ExtensionCipher>,
    cryptex: Cryptex,
    rtp_streams: Streams<RtpStream>,
    rtcp_streams: Streams<u32>,
    window: usize,
    max_rtp_packets: u64,
    max_rtcp_packets: u64,
    stats: OutboundStats,
}

/// What was sent with one SSRC.
#[derive(Debug)]
struct RtpStream {
    sent: Progress,
    /// Of each packet within the window, to know it again.
    fingerprints: Box<[Fingerprint]>,
}

impl RtpStream {
    fn new(sent: Progress) -> Self {
        let fingerprints = vec![0; sent.size()].into();
        Self { sent, fingerprints }
    }
}

impl Retire for RtpStream {
    fn last(&self) -> Option<u64> {
        self.sent.last()
    }
}

impl Outbound {
    /// A sender with these keys, which nobody else may send with.
    pub fn new(config: &Config, keys: &MasterKeys) -> Result<Self, KeyError> {
        let (provider, profile) = (config.provider, keys.profile());
        let derivation = Derivation::new(provider, keys)?;
        Ok(Self {
            rtp: Transform::rtp(provider, profile, &derivation)?,
            rtcp: Transform::rtcp(provider, profile, &derivation)?,
            extensions: ExtensionCipher::new(provider, profile, &derivation, config.encrypted_extensions)?,
            cryptex: config.cryptex,
            rtp_streams: Streams::new(config.max_streams, config.max_retired_streams),
            rtcp_streams: Streams::new(config.max_streams, config.max_retired_streams),
            window: config.rtp_window,
            max_rtp_packets: config.max_rtp_packets,
            max_rtcp_packets: config.max_rtcp_packets,
            stats: OutboundStats::default(),
        })
    }

    /// Protects the RTP packet in the first `len` bytes of `buffer`, which must have
    /// [`rtp_overhead`](Self::rtp_overhead) bytes more. Gives the new length (RFC 3711 §3.3).
    ///
    /// The rollover counter follows from the sequence numbers, which may come in any order within the window. The
    /// same packet may be protected again while the window remembers it, and gives the same bytes; another packet
    /// with its SSRC and index is refused, and the buffer is erased.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        let protected = self.try_protect_rtp(buffer, len);
        protected.inspect_err(|error| self.stats.count(*error))
    }

    fn try_protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        let header = RtpHeader::decode(buffer.get(..len).ok_or(ProtectError::NoRoom { needed: len })?)
            .ok_or(ProtectError::Malformed)?;
        let hides = self.cryptex != Cryptex::Off && !cryptex::has_nothing_to_hide(&header);
        let added = if hides && header.extension.is_none() { EXTENSION_HEADER_LEN } else { 0 };
        let needed = len + added + self.rtp.tag_len();
        if needed > MAX_PACKET {
            return Err(ProtectError::TooLong);
        }
        let packet = buffer.get_mut(..needed).ok_or(ProtectError::NoRoom { needed })?;
        let profile = match header.extension.filter(|_| hides) {
            Some(plain) => Some(cryptex::encrypted(plain).ok_or(ProtectError::UnfitExtension)?),
            None => None,
        };

        let slot = self.rtp_streams.find(header.ssrc);
        let (index, known) = match slot.and_then(|slot| self.rtp_streams.get(slot)) {
            Some(stream) => {
                let index = stream.sent.estimate(header.sequence).ok_or(ProtectError::KeyExpired)?;
                (index, stream.sent.check(index))
            }
            None if !self.rtp_streams.has_room(header.ssrc) => return Err(ProtectError::TooManyStreams),
            None => match self.rtp_streams.retired(header.ssrc) {
                None => (u64::from(header.sequence), Known::New),
                Some(last) => {
                    let index = nearest(last, header.sequence).ok_or(ProtectError::KeyExpired)?;
                    (index, if index > last { Known::New } else { Known::TooOld })
                }
            },
        };
        match known {
            Known::TooOld => return Err(ProtectError::TooOld),
            Known::New if self.stats.rtp_packets >= self.max_rtp_packets => {
                return Err(ProtectError::KeyExpired);
            }
            Known::New | Known::Seen => {}
        }

        let fingerprint = if hides {
            let header = cryptex::mark(packet, &header, profile, len);
            self.rtp.seal_rtp(packet, cryptex::division(&header), header.ssrc, index)
        } else {
            if let Some(extensions) = &self.extensions {
                extensions.apply(packet, &header, index);
            }
            self.rtp.seal_rtp(packet, Division { clear: header.len, moved: 0 }, header.ssrc, index)
        };
        let fingerprint = fingerprint.ok_or(ProtectError::Malformed)?;

        let slot = slot.unwrap_or_else(|| {
            let (last, window) = (self.rtp_streams.retired(header.ssrc), self.window);
            let sent = last.map_or_else(|| Progress::new(0, window), |last| Progress::after(last, window));
            self.rtp_streams.insert(header.ssrc, RtpStream::new(sent))
        });
        let stream = self.rtp_streams.get_mut(slot).ok_or(ProtectError::Malformed)?;
        let position = stream.sent.position(index);
        let remembered = stream.fingerprints.get_mut(position).ok_or(ProtectError::Malformed)?;
        if known == Known::New {
            *remembered = fingerprint;
            stream.sent.accept(index);
            self.stats.rtp_packets += 1;
        } else if *remembered == fingerprint {
            self.stats.rtp_repeated = self.stats.rtp_repeated.wrapping_add(1);
        } else {
            packet.fill(0);
            return Err(ProtectError::Reused);
        }
        Ok(needed)
    }

    /// Protects the compound RTCP packet in the first `len` bytes of `buffer`, which must have
    /// [`rtcp_overhead`](Self::rtcp_overhead) bytes more. Gives the new length (RFC 3711 §3.4).
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        let protected = self.try_protect_rtcp(buffer, len);
        protected.inspect_err(|error| self.stats.count(*error))
    }

    fn try_protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        let header = RtcpHeader::decode(buffer.get(..len).ok_or(ProtectError::NoRoom { needed: len })?)
            .ok_or(ProtectError::Malformed)?;
        let needed = len + self.rtcp.rtcp_overhead();
        if needed > MAX_PACKET {
            return Err(ProtectError::TooLong);
        }
        let packet = buffer.get_mut(..needed).ok_or(ProtectError::NoRoom { needed })?;
        let slot = self.rtcp_streams.find(header.ssrc);
        let index = match slot.and_then(|slot| self.rtcp_streams.get(slot)) {
            Some(next) => *next,
            None if !self.rtcp_streams.has_room(header.ssrc) => return Err(ProtectError::TooManyStreams),
            None => {
                let last = self.rtcp_streams.retired(header.ssrc);
                last.map_or(Ok(0), |last| u32::try_from(last + 1)).map_err(|_| ProtectError::KeyExpired)?
            }
        };
        if index >= RTCP_INDICES || self.stats.rtcp_packets >= self.max_rtcp_packets {
            return Err(ProtectError::KeyExpired);
        }
        self.rtcp.seal_rtcp(packet, header.ssrc, index).ok_or(ProtectError::Malformed)?;
        let slot = slot.unwrap_or_else(|| self.rtcp_streams.insert(header.ssrc, 0));
        if let Some(next) = self.rtcp_streams.get_mut(slot) {
            *next = index + 1;
        }
        self.stats.rtcp_packets += 1;
        Ok(needed)
    }

    /// Bytes that [`protect_rtp`](Self::protect_rtp) adds at most.
    pub const fn rtp_overhead(&self) -> usize {
        match self.cryptex {
            Cryptex::Off => self.rtp.tag_len(),
            Cryptex::On | Cryptex::Required => self.rtp.tag_len() + EXTENSION_HEADER_LEN,
        }
    }

    /// Bytes that [`protect_rtcp`](Self::protect_rtcp) adds.
    pub const fn rtcp_overhead(&self) -> usize {
        self.rtcp.rtcp_overhead()
    }

    /// The highest index that was sent with `ssrc`. A receiver that joins late is told its
    /// [`rollover_counter`](PacketIndex::rollover_counter).
    pub fn highest(&self, ssrc: Ssrc) -> Option<PacketIndex> {
        let stream = self.rtp_streams.get(self.rtp_streams.find(ssrc)?)?;
        stream.sent.highest()
    }

    /// Says that the next packet of `ssrc` has this rollover counter. It never goes back, since then a key stream
    /// would come again.
    pub fn set_rollover_counter(&mut self, ssrc: Ssrc, counter: u32) -> Result<(), RolloverError> {
        if let Some(slot) = self.rtp_streams.find(ssrc) {
            let stream = self.rtp_streams.get_mut(slot);
            return stream.map_or(Ok(()), |stream| stream.sent.set_rollover_counter(counter));
        }
        if !self.rtp_streams.has_room(ssrc) {
            return Err(RolloverError::TooManyStreams);
        }
        let sent = Progress::resumed(self.rtp_streams.retired(ssrc), counter, self.window)?;
        self.rtp_streams.insert(ssrc, RtpStream::new(sent));
        Ok(())
    }

    /// The counters.
    pub const fn stats(&self) -> OutboundStats {
        self.stats
    }
}

/// A datagram has no more, and a key stream has 2²⁰ bytes (RFC 3711 §4.1.1).
pub(crate) const MAX_PACKET: usize = 65_535;
/// RFC 3711 §3.4: an SRTCP index has 31 bits.
const RTCP_INDICES: u32 = 1 << 31;
