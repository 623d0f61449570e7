//! What a session knows of audio and video: codecs, header extensions, transceivers, and whose packets are whose.

pub(crate) mod agree;
pub(crate) mod codec;
mod config;
pub(crate) mod demux;
pub(crate) mod encoding;
pub(crate) mod engine;
mod formats;
mod parameter_sets;
pub(crate) mod queue;
mod scalability;
pub(crate) mod section;
mod tones;
pub(crate) mod transceiver;
pub(crate) mod transforms;

pub use codec::{Codec, Feedback};
pub use config::{ExtensionUse, FrameConfig, MediaConfig};
pub use encoding::{EncoderLimits, Priority, SendEncoding};
pub use scalability::ScalabilityMode;
pub use transceiver::{Encoding, MediaKind, SendEncodings, TransceiverId, TransceiverInfo, TransceiverInit};

pub use agree::{CodecParameters, Negotiated};
