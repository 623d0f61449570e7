use std::fmt;
use std::sync::Arc;

use super::{Form, Value};
use crate::{EditError, Encoder, Packet, PacketMut};

/// What an element means.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// The name of the media section: [`Mid`](crate::Mid) (RFC 9143).
    Mid,
    /// The name of the stream: [`Rid`](crate::Rid) (RFC 8852).
    Rid,
    /// The name of the stream that this one repairs: [`RepairedRid`](super::RepairedRid) (RFC 8852).
    RepairedRid,
    /// How loud the packet is: [`AudioLevel`](super::AudioLevel) (RFC 6464).
    AudioLevel,
    /// How loud each contributing source is: [`MixerLevels`](super::MixerLevels) (RFC 6465).
    MixerLevels,
    /// When the packet left: [`AbsSendTime`](super::AbsSendTime).
    AbsSendTime,
    /// The packet's place among all of the transport: [`TransportSequence`](super::TransportSequence).
    TransportSequence,
    /// The same, with requests for feedback: [`TransportSequence2`](super::TransportSequence2).
    TransportSequence2,
    /// When the frame was captured: [`AbsCaptureTime`](super::AbsCaptureTime).
    AbsCaptureTime,
    /// How long the receiver should wait: [`PlayoutDelay`](super::PlayoutDelay).
    PlayoutDelay,
    /// How video is to be turned: [`VideoOrientation`](super::VideoOrientation) (3GPP TS 26.114 §7.4.5).
    VideoOrientation,
    /// Camera or screen: [`VideoContentType`](super::VideoContentType).
    VideoContentType,
    /// What took how long at the sender: [`VideoTiming`](super::VideoTiming).
    VideoTiming,
    /// What colours mean: [`ColorSpace`](super::ColorSpace).
    ColorSpace,
    /// Which frames need which: [`DependencyDescriptor`](super::DependencyDescriptor).
    DependencyDescriptor,
    /// Which layers are sent: [`LayersAllocation`](super::LayersAllocation).
    LayersAllocation,
    /// An extension of the program's own, by its URI.
    Custom(&'static str),
}

impl Kind {
    /// The name that descriptions have for it (`a=extmap`).
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::MixerLevels => "urn:ietf:params:rtp-hdrext:csrc-audio-level",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportSequence => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::TransportSequence2 => "http://www.webrtc.org/experiments/rtp-hdrext/transport-wide-cc-02",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::VideoContentType => "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
            Self::VideoTiming => "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
            Self::ColorSpace => "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::LayersAllocation => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
            }
            Self::Custom(uri) => uri,
        }
    }

    /// The kind of this name, among those that are known here.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::KNOWN.into_iter().find(|kind| kind.uri() == uri)
    }

    /// All kinds but those of programs.
    pub const KNOWN: [Self; 16] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::MixerLevels,
        Self::AbsSendTime,
        Self::TransportSequence,
        Self::TransportSequence2,
        Self::AbsCaptureTime,
        Self::PlayoutDelay,
        Self::VideoOrientation,
        Self::VideoContentType,
        Self::VideoTiming,
        Self::ColorSpace,
        Self::DependencyDescriptor,
        Self::LayersAllocation,
    ];
}

/// Which identifier stands for which kind, as both sides have agreed: at most [`MAX_EXTENSIONS`].
///
/// ```
/// # use rtp::extension::{AudioLevel, ExtensionMap, Kind};
/// # use rtp::Packet;
/// let mut map = ExtensionMap::default();
/// map.set(3, Kind::AudioLevel)?;
/// let packet = Packet::decode(b"\x90\x6f\x00\x07\x00\x00\x03\xc0\x11\x22\x33\x44\xbe\xde\x00\x01\x30\x94\x00\x00")?;
/// assert_eq!(map.read(&packet), Some(AudioLevel { voice: true, level: 20 }));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExtensionMap {
    /// By identifier. Whoever has the same map shares them.
    entries: Option<Arc<[(u8, Kind)]>>,
}

impl ExtensionMap {
    /// Lets `id` stand for `kind`.
    ///
    /// # Errors
    ///
    /// The identifier is 0 or 15, or it or the kind is there already as something else, or the map is full.
    pub fn set(&mut self, id: u8, kind: Kind) -> Result<(), MapError> {
        // RFC 8285 §4.2: 15 is kept free in descriptions, as it ends one-byte elements.
        if matches!(id, 0 | 15) {
            return Err(MapError::Id);
        }
        let entries = self.entries();
        if entries.iter().any(|entry| (entry.0 == id) != (entry.1 == kind)) {
            return Err(MapError::Taken);
        }
        match entries.binary_search_by_key(&id, |entry| entry.0) {
            Ok(_) => Ok(()),
            Err(_) if entries.len() >= MAX_EXTENSIONS => Err(MapError::Full),
            Err(place) => {
                let (before, behind) = entries.split_at(place);
                self.entries = Some([before, &[(id, kind)], behind].concat().into());
                Ok(())
            }
        }
    }

    fn entries(&self) -> &[(u8, Kind)] {
        self.entries.as_deref().unwrap_or_default()
    }

    /// What `id` stands for.
    pub fn kind(&self, id: u8) -> Option<Kind> {
        self.entries().iter().find(|entry| entry.0 == id).map(|entry| entry.1)
    }

    /// What stands for `kind`.
    pub fn id(&self, kind: Kind) -> Option<u8> {
        self.entries().iter().find(|entry| entry.1 == kind).map(|entry| entry.0)
    }

    /// All of them, by identifier.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u8, Kind)> + '_ {
        self.entries().iter().copied()
    }

    /// The value of an extension in a packet. `None` if the extension was not agreed on, the packet has
    /// none, or it is malformed.
    pub fn read<'a, V: Value<'a>>(&self, packet: &Packet<'a>) -> Option<V> {
        V::read(packet.element(self.id(V::KIND)?)?)
    }

    /// Sets the value of an extension in a packet; nothing if the extension was not agreed on. Gives
    /// whether it was.
    ///
    /// # Errors
    ///
    /// As with [`PacketMut::set_element`].
    pub fn write<'v, V: Value<'v>>(&self, packet: &mut PacketMut<'_>, value: &V) -> Result<bool, EditError> {
        let Some(id) = self.id(V::KIND) else { return Ok(false) };
        let mut memory = [0; 255];
        let mut scratch = proto::Writer::new(&mut memory);
        value.write(&mut scratch)?;
        packet.set_element(id, scratch.written())?;
        Ok(true)
    }

    /// Adds the value of an extension to a packet that is being written; nothing if the extension was not
    /// agreed on. Gives whether it was.
    ///
    /// # Errors
    ///
    /// As with [`Encoder::element`].
    pub fn encode<'v, V: Value<'v>>(
        &self,
        packet: &mut Encoder<'_, '_>,
        form: Form,
        value: &V,
    ) -> Result<bool, EditError> {
        let Some(id) = self.id(V::KIND) else { return Ok(false) };
        packet.value(form, id, value)?;
        Ok(true)
    }

    /// What gives a packet that came by this map to somebody who has `theirs`: each identifier's other
    /// one, if there is one. For [`PacketMut::map_elements`].
    pub fn translation<'m>(&'m self, theirs: &'m Self) -> impl Fn(u8) -> Option<u8> + 'm {
        |id| theirs.id(self.kind(id)?)
    }
}

/// How many extensions a map has at most.
pub const MAX_EXTENSIONS: usize = 32;

/// Why an extension was not mapped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MapError {
    /// 0 is padding, and 15 ends the elements (RFC 8285 §4.2).
    Id,
    /// The identifier stands for something else, or something else for the kind.
    Taken,
    /// There are [`MAX_EXTENSIONS`].
    Full,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "an identifier that cannot be used",
            Self::Taken => "the identifier or the kind is taken",
            Self::Full => "there are too many extensions",
        })
    }
}

impl std::error::Error for MapError {}
