use proto::{NoSpace, Writer};
use rtp::payload::{
    FrameError, Framing, PictureId, Written, av1, g711, g722, h264, h265, opus, red, vp8, vp9,
};

use crate::Codec;

/// What the encoder says of a frame beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Layering {
    /// Nothing: the frame belongs to a stream without layers.
    #[default]
    None,
    /// VP8's temporal layers.
    Vp8(vp8::Layer),
    /// VP9's layers.
    Vp9(vp9::LayerFrame),
}

/// The packetizer of a codec.
#[derive(Debug)]
pub(crate) enum Packetizer {
    Opus(opus::Packetizer),
    G711(g711::Packetizer),
    G722(g722::Packetizer),
    Red(Box<red::Packetizer>, u32, Option<u32>),
    Vp8(vp8::Packetizer),
    Vp9(Box<vp9::Packetizer>),
    H264(Box<h264::Packetizer>),
    H265(Box<h265::Packetizer>),
    Av1(av1::Packetizer),
    Whole,
}

/// A payload that is to be written, and whether it was.
pub(crate) type Write<'w> = &'w mut dyn FnMut(&mut Writer<'_>) -> Result<Option<Written>, NoSpace>;

impl Packetizer {
    /// `picture` is the number of the first picture, at random.
    pub(crate) fn new(codec: Codec, picture: u16) -> Self {
        let picture = PictureId::Long(picture & 0x7fff);
        match codec {
            Codec::Opus => Self::Opus(opus::Packetizer::new()),
            Codec::G711 => Self::G711(g711::Packetizer::new()),
            Codec::G722 => Self::G722(g722::Packetizer::new()),
            Codec::RedundantAudio { primary, clock_rate } => match red::Packetizer::new(primary.get(), 1) {
                Ok(packetizer) => Self::Red(Box::new(packetizer), clock_rate, None),
                Err(_) => Self::Whole,
            },
            Codec::Vp8 => Self::Vp8(vp8::Packetizer::new(picture)),
            Codec::Vp9 => Self::Vp9(Box::new(vp9::Packetizer::new(picture, false))),
            Codec::H264 => {
                Self::H264(Box::new(h264::Packetizer::new(h264::Mode::NonInterleaved, Framing::AnnexB)))
            }
            Codec::H265 => Self::H265(Box::new(h265::Packetizer::new(Framing::AnnexB))),
            Codec::Av1 => Self::Av1(av1::Packetizer::new()),
            Codec::OtherAudio { .. } | Codec::OtherVideo { .. } => Self::Whole,
        }
    }

    /// Divides a frame into payloads of at most `max` bytes, and hands `take` what writes each. `take` says whether there are more.
    pub(crate) fn frame(
        &mut self,
        bytes: &[u8],
        timestamp: u32,
        layering: Layering,
        max: usize,
        take: &mut dyn FnMut(Write<'_>) -> bool,
    ) -> Result<(), FrameError> {
        match self {
            Self::Opus(it) => {
                let mut payloads = it.frame(bytes, timestamp, max)?;
                while take(&mut |out| payloads.write(out)) {}
            }
            Self::G711(it) => {
                let mut payloads = it.frame(bytes, timestamp, max)?;
                while take(&mut |out| payloads.write(out)) {}
            }
            Self::G722(it) => {
                let mut payloads = it.frame(bytes, timestamp, max)?;
                while take(&mut |out| payloads.write(out)) {}
            }
            Self::Red(it, clock_rate, last) => {
                // A pause of more than 120 ms, Opus' longest packet, begins a talkspurt.
                let begins = last.is_none_or(|last| timestamp.wrapping_sub(last) > *clock_rate / 8);
                *last = Some(timestamp);
                let mut payloads = it.frame(bytes, timestamp, begins, max)?;
                while take(&mut |out| payloads.write(out)) {}
            }
            Self::Vp8(it) => {
                let layer = if let Layering::Vp8(layer) = layering { layer } else { vp8::Layer::default() };
                let mut payloads = it.frame(bytes, layer, max)?;
                while take(&mut |out| payloads.write(out)) {}
            }
            Self::Vp9(it) => {
                let about =
                    if let Layering::Vp9(about) = layering { about } else { vp9::LayerFrame::of(bytes) };
                let mut payloads = it.frame(bytes, about, max)?;
                while take(&mut |out| payloads.write(out)) {}
            }
            Self::H264(it) => {
                let mut payloads = it.frame(bytes, max)?;
                while take(&mut |out| payloads.write(out)) {}
            }
            Self::H265(it) => {
                let mut payloads = it.frame(bytes, max)?;
                while take(&mut |out| payloads.write(out)) {}
            }
            Self::Av1(it) => {
                let mut payloads = it.frame(bytes, max)?;
                while take(&mut |out| payloads.write(out)) {}
            }
            Self::Whole => whole(bytes, max, take)?,
        }
        Ok(())
    }
}

/// A frame that is a payload.
fn whole(bytes: &[u8], max: usize, take: &mut dyn FnMut(Write<'_>) -> bool) -> Result<(), FrameError> {
    if bytes.is_empty() {
        return Err(FrameError::Empty);
    }
    if bytes.len() > max {
        return Err(FrameError::Indivisible);
    }
    let mut left = Some(bytes);
    while take(&mut |out| {
        let Some(bytes) = left else { return Ok(None) };
        out.put(bytes)?;
        left = None;
        Ok(Some(Written { len: bytes.len(), marker: true }))
    }) {}
    Ok(())
}
