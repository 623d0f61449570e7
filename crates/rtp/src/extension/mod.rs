//! Header extensions (RFC 8285): elements of one-byte and two-byte form, which identifiers stand for
//! what, and the values that WebRTC knows.
#![deny(clippy::arithmetic_side_effects)]

mod audio;
mod bits;
mod color_space;
mod dependency;
mod element;
mod layers_allocation;
mod map;
mod name;
mod time;
mod transport;
mod video;

pub use audio::{AudioLevel, MixerLevels};
pub use color_space::{ChromaSiting, ColorSpace, HdrMetadata, MasteringMetadata, Range};
pub use dependency::{
    Chain, DependencyDescriptor, FrameDiffs, Indication, MAX_CHAINS, MAX_DECODE_TARGETS, MAX_FRAME_DIFFS,
    MAX_TEMPLATES, Mandatory, Resolution, Structure, Template,
};
pub(crate) use element::Span;
pub use element::{Element, Elements, Form, HeaderExtension};
pub use layers_allocation::{LayersAllocation, SpatialLayer};
pub use map::{ExtensionMap, Kind, MAX_EXTENSIONS, MapError};
pub use name::RepairedRid;
pub use time::{AbsCaptureTime, AbsSendTime, PlayoutDelay};
pub use transport::{FeedbackRequest, TransportSequence, TransportSequence2};
pub use video::{Rotation, VideoContentType, VideoOrientation, VideoTiming};

use proto::{NoSpace, Writer};

/// The value of an element. Implement this for extensions of your own, and give their [`Kind::Custom`]
/// to the [`ExtensionMap`].
///
/// ```
/// # use proto::{NoSpace, Reader, Writer};
/// # use rtp::extension::{ExtensionMap, Kind, Value};
/// struct Loudspeaker(u16);
///
/// impl Value<'_> for Loudspeaker {
///     const KIND: Kind = Kind::Custom("urn:example:loudspeaker");
///
///     fn read(bytes: &[u8]) -> Option<Self> {
///         Reader::new(bytes).u16().ok().map(Self)
///     }
///
///     fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace> {
///         out.put_u16(self.0)
///     }
/// }
///
/// let mut map = ExtensionMap::default();
/// map.set(5, Loudspeaker::KIND)?;
/// # Ok::<_, rtp::extension::MapError>(())
/// ```
pub trait Value<'a>: Sized {
    /// Which extension this is the value of.
    const KIND: Kind;

    /// Reads a value. `None` if it is none.
    fn read(bytes: &'a [u8]) -> Option<Self>;

    /// Writes a value, as [`read`](Self::read) reads it.
    ///
    /// # Errors
    ///
    /// There is no room, or the value cannot be written.
    fn write(&self, out: &mut Writer<'_>) -> Result<(), NoSpace>;
}
