use crate::cryptex;
use crate::extensions::ExtensionCipher;
use crate::index::{HALF, Progress, nearest};
use crate::keys::Derivation;
use crate::outbound::MAX_PACKET;
use crate::replay::{Known, Window};
use crate::streams::Streams;
use crate::transform::{Division, Transform};
use crate::wire::{RTCP_HEADER_LEN, RtcpHeader, RtpHeader};
use crate::{
    AuthenticatedRtcp, AuthenticatedRtp, Config, Cryptex, InboundStats, KeyError, MasterKeys, PacketIndex,
    RolloverError, Ssrc, UnprotectError,
};

/// Checks and decrypts what the peer sends, in the caller's buffer.
///
/// Nothing of a packet changes the state before its tag was found right: not a window, not a rollover counter, and no
/// state is made for its SSRC.
#[derive(Debug)]
pub struct Inbound {
    rtp: Transform,
    rtcp: Transform,
    extensions: Option<ExtensionCipher>,
    cryptex: Cryptex,
    accept_unencrypted_rtcp: bool,
    rtp_streams: Streams<Progress>,
    rtcp_streams: Streams<Window>,
    rtp_window: usize,
    rtcp_window: usize,
    max_rtp_packets: u64,
    max_rtcp_packets: u64,
    stats: InboundStats,
}

impl Inbound {
    /// A receiver with the peer's keys.
    pub fn new(config: &Config, keys: &MasterKeys) -> Result<Self, KeyError> {
        let (provider, profile) = (config.provider, keys.profile());
        let derivation = Derivation::new(provider, keys)?;
        Ok(Self {
            rtp: Transform::rtp(provider, profile, &derivation)?,
            rtcp: Transform::rtcp(provider, profile, &derivation)?,
            extensions: ExtensionCipher::new(provider, profile, &derivation, config.encrypted_extensions)?,
            cryptex: config.cryptex,
            accept_unencrypted_rtcp: config.accept_unencrypted_rtcp,
            rtp_streams: Streams::new(config.max_streams, config.max_retired_streams),
            rtcp_streams: Streams::new(config.max_streams, config.max_retired_streams),
            rtp_window: config.rtp_window,
            rtcp_window: config.rtcp_window,
            max_rtp_packets: config.max_rtp_packets,
            max_rtcp_packets: config.max_rtcp_packets,
            stats: InboundStats::default(),
        })
    }

    /// Checks and decrypts an SRTP packet in place (RFC 3711 §3.3). After an error `packet` holds what came, or zeros
    /// in place of the payload, but nothing that was decrypted.
    pub fn unprotect_rtp<'p>(
        &mut self,
        packet: &'p mut [u8],
    ) -> Result<AuthenticatedRtp<'p>, UnprotectError> {
        let opened = self.try_unprotect_rtp(packet);
        match opened {
            Ok((len, header_len, ssrc, index)) => {
                self.stats.rtp_packets += 1;
                let bytes = packet.get_mut(..len).ok_or(UnprotectError::Malformed)?;
                Ok(AuthenticatedRtp { bytes, header_len, ssrc, index })
            }
            Err(error) => {
                self.stats.count(error);
                Err(error)
            }
        }
    }

    fn try_unprotect_rtp(
        &mut self,
        packet: &mut [u8],
    ) -> Result<(usize, usize, Ssrc, PacketIndex), UnprotectError> {
        let text = packet.len().checked_sub(self.rtp.tag_len()).and_then(|len| packet.get(..len));
        let header = text.and_then(RtpHeader::decode).ok_or(UnprotectError::Malformed)?;
        if packet.len() > MAX_PACKET {
            return Err(UnprotectError::Malformed);
        }
        let hidden = cryptex::is_used(&header);
        match self.cryptex {
            Cryptex::Off if hidden => return Err(UnprotectError::UnexpectedCryptex),
            Cryptex::Required if !hidden && !cryptex::has_nothing_to_hide(&header) => {
                return Err(UnprotectError::Unencrypted);
            }
            Cryptex::Off | Cryptex::On | Cryptex::Required => {}
        }
        if self.stats.rtp_packets >= self.max_rtp_packets {
            return Err(UnprotectError::KeyExpired);
        }

        let slot = self.rtp_streams.find(header.ssrc);
        let mut may_have_wrapped = false;
        let index = match slot.and_then(|slot| self.rtp_streams.get(slot)) {
            Some(received) => {
                let index = received.estimate(header.sequence).ok_or(UnprotectError::KeyExpired)?;
                refuse_known(received.check(index))?;
                index
            }
            None if !self.rtp_streams.has_room(header.ssrc) => return Err(UnprotectError::TooManyStreams),
            None => {
                let last = self.rtp_streams.retired(header.ssrc);
                may_have_wrapped = last.is_none() && u64::from(header.sequence) < HALF;
                index_behind(last, header.sequence)?
            }
        };

        let division =
            if hidden { cryptex::division(&header) } else { Division { clear: header.len, moved: 0 } };
        let (len, index) = if may_have_wrapped {
            self.open_first(packet, division, header.ssrc, index)?
        } else {
            (self.open(packet, division, header.ssrc, index)?, index)
        };

        // From here on the packet is the peer's.
        let window = self.rtp_window;
        let slot = slot.unwrap_or_else(|| {
            let last = self.rtp_streams.retired(header.ssrc);
            let resumed = last.map_or_else(|| Progress::new(0, window), |last| Progress::after(last, window));
            self.rtp_streams.insert(header.ssrc, resumed)
        });
        if let Some(received) = self.rtp_streams.get_mut(slot) {
            received.accept(index);
        }
        if hidden {
            cryptex::restore_profile(packet, &header);
        } else if let Some(extensions) = &self.extensions {
            extensions.apply(packet, &header, index);
        }
        Ok((len, header.len, header.ssrc, PacketIndex(index)))
    }

    /// Opens the first packet of a stream. Where numbers begin anywhere, those before it may have been lost with the wrap, of which
    /// nothing tells but the tag.
    #[cold]
    fn open_first(
        &self,
        packet: &mut [u8],
        division: Division,
        ssrc: Ssrc,
        index: u64,
    ) -> Result<(usize, u64), UnprotectError> {
        let mut memory = [0; LONGEST_FIRST];
        let before = memory.get_mut(..packet.len()).map(|before| {
            before.copy_from_slice(packet);
            &*before
        });
        let opened = self.open(packet, division, ssrc, index).map(|len| (len, index));
        match (opened, before) {
            (Err(UnprotectError::Forged), Some(before)) => {
                packet.copy_from_slice(before);
                let index = index | ROUND;
                Ok((self.open(packet, division, ssrc, index)?, index))
            }
            (opened, _) => opened,
        }
    }

    fn open(
        &self,
        packet: &mut [u8],
        division: Division,
        ssrc: Ssrc,
        index: u64,
    ) -> Result<usize, UnprotectError> {
        let opened = self.rtp.open_rtp(packet, division, ssrc, index);
        opened.ok_or(UnprotectError::Malformed)?.map_err(|_| UnprotectError::Forged)
    }

    /// Checks and decrypts an SRTCP packet in place (RFC 3711 §3.4). After an error `packet` holds what came, or zeros
    /// in place of what is encrypted, but nothing that was decrypted.
    pub fn unprotect_rtcp<'p>(
        &mut self,
        packet: &'p mut [u8],
    ) -> Result<AuthenticatedRtcp<'p>, UnprotectError> {
        let opened = self.try_unprotect_rtcp(packet);
        match opened {
            Ok((len, ssrc)) => {
                self.stats.rtcp_packets += 1;
                let bytes = packet.get_mut(..len).ok_or(UnprotectError::Malformed)?;
                Ok(AuthenticatedRtcp { bytes, ssrc })
            }
            Err(error) => {
                self.stats.count(error);
                Err(error)
            }
        }
    }

    fn try_unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<(usize, Ssrc), UnprotectError> {
        let header = RtcpHeader::decode(packet).ok_or(UnprotectError::Malformed)?;
        let shortest = RTCP_HEADER_LEN + self.rtcp.rtcp_overhead();
        if packet.len() < shortest || packet.len() > MAX_PACKET {
            return Err(UnprotectError::Malformed);
        }
        let (index, encrypted) = self.rtcp.rtcp_index(packet).ok_or(UnprotectError::Malformed)?;
        if !encrypted && !self.accept_unencrypted_rtcp {
            return Err(UnprotectError::Unencrypted);
        }
        if self.stats.rtcp_packets >= self.max_rtcp_packets {
            return Err(UnprotectError::KeyExpired);
        }
        let slot = self.rtcp_streams.find(header.ssrc);
        match slot.and_then(|slot| self.rtcp_streams.get(slot)) {
            Some(received) => refuse_known(received.check(u64::from(index)))?,
            None if !self.rtcp_streams.has_room(header.ssrc) => return Err(UnprotectError::TooManyStreams),
            None if self.rtcp_streams.retired(header.ssrc).is_some_and(|last| u64::from(index) <= last) => {
                return Err(UnprotectError::TooOld);
            }
            None => {}
        }
        let opened = self.rtcp.open_rtcp(packet, header.ssrc, (index, encrypted));
        let len = opened.ok_or(UnprotectError::Malformed)?.map_err(|_| UnprotectError::Forged)?;

        let window = self.rtcp_window;
        let slot = slot.unwrap_or_else(|| {
            let resumed = match self.rtcp_streams.retired(header.ssrc) {
                Some(last) => Window::after(last, window),
                None => Window::new(window),
            };
            self.rtcp_streams.insert(header.ssrc, resumed)
        });
        if let Some(received) = self.rtcp_streams.get_mut(slot) {
            received.accept(u64::from(index));
        }
        Ok((len, header.ssrc))
    }

    /// The highest index that came with `ssrc`, with its rollover counter.
    pub fn highest(&self, ssrc: Ssrc) -> Option<PacketIndex> {
        self.rtp_streams.get(self.rtp_streams.find(ssrc)?)?.highest()
    }

    /// Says that the next packet of `ssrc` has this rollover counter: a receiver that joins late learns it from
    /// elsewhere (RFC 3711 §3.3.1). It never goes back, since then packets could come again.
    pub fn set_rollover_counter(&mut self, ssrc: Ssrc, counter: u32) -> Result<(), RolloverError> {
        if let Some(slot) = self.rtp_streams.find(ssrc) {
            let stream = self.rtp_streams.get_mut(slot);
            return stream.map_or(Ok(()), |stream| stream.set_rollover_counter(counter));
        }
        if !self.rtp_streams.has_room(ssrc) {
            return Err(RolloverError::TooManyStreams);
        }
        let (last, window) = (self.rtp_streams.retired(ssrc), self.rtp_window);
        self.rtp_streams.insert(ssrc, Progress::resumed(last, counter, window)?);
        Ok(())
    }

    /// SSRCs of RTP, and of RTCP, that have state.
    pub const fn streams(&self) -> (usize, usize) {
        (self.rtp_streams.len(), self.rtcp_streams.len())
    }

    /// The counters.
    pub const fn stats(&self) -> InboundStats {
        self.stats
    }
}

/// The index of the first packet of a stream that has no state: behind the last one that it had when it made room for another.
fn index_behind(last: Option<u64>, sequence: u16) -> Result<u64, UnprotectError> {
    let Some(last) = last else { return Ok(u64::from(sequence)) };
    let index = nearest(last, sequence).ok_or(UnprotectError::KeyExpired)?;
    if index > last { Ok(index) } else { Err(UnprotectError::TooOld) }
}

/// A path carries no longer packet; others are opened as if nothing was before them.
const LONGEST_FIRST: usize = 2048;
/// Numbers until they wrap.
const ROUND: u64 = 1 << 16;

const fn refuse_known(known: Known) -> Result<(), UnprotectError> {
    match known {
        Known::New => Ok(()),
        Known::Seen => Err(UnprotectError::Replayed),
        Known::TooOld => Err(UnprotectError::TooOld),
    }
}
