use rtp::Packet;
use rtp::extension::{Kind, Mandatory};
use rtp::payload::{PictureId, vp8, vp9};

use crate::{Codec, Format, ReceiverConfig};

/// What a place among the numbers of a stream holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Holds {
    /// Nothing of the stream's: padding, or repair.
    Nothing,
    /// Media, and which part of a picture that is, where it tells.
    Media(Option<Part>),
}

impl Holds {
    pub(crate) const fn is_nothing(self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// What a packet is of its picture. Repair and padding have numbers among those of media: where a picture was whole and the next one
/// begins, nothing that is missing between them is of use (RFC 5109 §14 has repair in the stream that it protects; libwebrtc goes by
/// pictures, too).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    pub(crate) number: PictureNumber,
    /// It is the first packet of the picture.
    pub(crate) begins: bool,
    /// It is the last one.
    pub(crate) ends: bool,
}

/// Which picture it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PictureNumber {
    /// As the payload has it.
    Payload(PictureId),
    /// As the dependency descriptor has it, of any codec.
    Frame(u16),
}

impl Part {
    /// Reads it from a packet: from its dependency descriptor (AV1 RTP specification, appendix A) or, where it has none, from the payload
    /// of VP8 and VP9. Browsers that have agreed on the first leave the second out.
    pub(crate) fn read(packet: &Packet<'_>, config: &ReceiverConfig) -> Option<Self> {
        let header = packet.header();
        let Some(Format::Media(codec)) = config.format(header.payload_type) else { return None };
        if !codec.is_video() {
            return None;
        }
        let descriptor = config.extensions.id(Kind::DependencyDescriptor).and_then(|id| packet.element(id));
        if let Some(Ok(mandatory)) = descriptor.map(Mandatory::read) {
            let Mandatory { start_of_frame, end_of_frame, frame_number, .. } = mandatory;
            let number = PictureNumber::Frame(frame_number);
            return Some(Self { number, begins: start_of_frame, ends: end_of_frame });
        }
        let (number, begins) = picture(codec, packet.payload())?;
        Some(Self { number: PictureNumber::Payload(number), begins, ends: header.marker })
    }

    /// Whether it begins the picture after the one that `before` ends.
    pub(crate) fn follows(self, before: Self) -> bool {
        before.ends && self.begins && self.number == before.number.next()
    }
}

impl PictureNumber {
    const fn next(self) -> Self {
        match self {
            Self::Payload(number) => Self::Payload(number.next()),
            Self::Frame(number) => Self::Frame(number.wrapping_add(1)),
        }
    }
}

/// The picture that a payload is of, where it tells, and whether it begins that.
fn picture(codec: Codec, payload: &[u8]) -> Option<(PictureId, bool)> {
    if codec == Codec::Vp8 {
        let (descriptor, _) = vp8::Descriptor::decode(payload).ok()?;
        let begins = descriptor.partition_start && descriptor.partition == 0;
        return Some((descriptor.picture_id?, begins));
    }
    if codec != Codec::Vp9 {
        return None;
    }
    let (descriptor, _) = vp9::Descriptor::decode(payload).ok()?;
    let is_lowest = descriptor.layer.is_none_or(|layer| layer.spatial == 0);
    Some((descriptor.picture_id?, descriptor.start && is_lowest))
}

#[cfg(test)]
mod tests {
    use rtp::PayloadType;

    use super::*;

    const MEDIA: u8 = 96;

    fn config(codec: Codec) -> ReceiverConfig {
        let formats = vec![(PayloadType::new(MEDIA).unwrap(), Format::Media(codec))];
        let mut config = ReceiverConfig { formats, ..ReceiverConfig::default() };
        config.extensions.set(5, Kind::DependencyDescriptor).unwrap();
        config
    }

    /// A packet with this payload, as it is read.
    fn plain(codec: Codec, marker: bool, payload: &[u8]) -> Option<Part> {
        read(codec, marker, &[], payload)
    }

    /// The same with an element of the dependency descriptor.
    fn read(codec: Codec, marker: bool, descriptor: &[u8], payload: &[u8]) -> Option<Part> {
        let mut bytes = vec![0x80, MEDIA, 0, 1, 0, 0, 0, 9, 0, 0, 0, 7];
        if marker {
            bytes[1] |= 0x80;
        }
        if !descriptor.is_empty() {
            bytes[0] |= 0x10;
            bytes.extend_from_slice(&[0xbe, 0xde, 0, 1]);
            bytes.push(0x50 | u8::try_from(descriptor.len() - 1).unwrap());
            bytes.extend_from_slice(descriptor);
            bytes.resize(20, 0);
        }
        bytes.extend_from_slice(payload);
        Part::read(&Packet::decode(&bytes).unwrap(), &config(codec))
    }

    /// VP8 with a picture of 15 bits; `start`: it begins a frame.
    fn vp8(picture: u16, start: bool) -> [u8; 5] {
        let [high, low] = (picture | 0x8000).to_be_bytes();
        [0x80 | if start { 0x10 } else { 0 }, 0x80, high, low, 1]
    }

    /// VP9 with a picture of 7 bits and a spatial layer.
    fn vp9(picture: u8, spatial: u8, start: bool) -> [u8; 5] {
        [0xa0 | if start { 8 } else { 0 }, picture, spatial << 1, 0, 1]
    }

    fn follows(codec: Codec, last: (&[u8], bool), next: &[u8]) -> bool {
        match (plain(codec, last.1, last.0), plain(codec, false, next)) {
            (Some(before), Some(next)) => next.follows(before),
            _ => false,
        }
    }

    #[test]
    fn a_picture_follows_the_one_before_it_when_that_was_whole_and_not_otherwise() {
        let whole = |next: &[u8]| follows(Codec::Vp8, (&vp8(7, false), true), next);
        assert!(whole(&vp8(8, true)) && follows(Codec::Vp8, (&vp8(0x7fff, true), true), &vp8(0, true)));
        assert!(!whole(&vp8(8, false)), "its first packet is missing");
        assert!(!whole(&vp8(9, true)) && !whole(&vp8(7, true)) && !whole(&[0x10, 1, 2]));
        assert!(!follows(Codec::Vp8, (&vp8(7, false), false), &vp8(8, true)), "its last packet is missing");
        assert_eq!(plain(Codec::Vp8, true, &[0x10, 1, 2]), None, "pictures have no numbers");
        assert_eq!(plain(Codec::H264, true, &[0x65, 1]), None);
    }

    #[test]
    fn a_picture_of_layers_begins_with_the_lowest() {
        let whole = |next: &[u8]| follows(Codec::Vp9, (&vp9(127, 1, false), true), next);
        assert!(whole(&vp9(0, 0, true)));
        assert!(!whole(&vp9(0, 1, true)) && !whole(&vp9(0, 0, false)) && !whole(&vp9(1, 0, true)));
    }

    #[test]
    fn a_dependency_descriptor_tells_of_any_codec_and_before_the_payload() {
        for codec in [Codec::Vp8, Codec::H264, Codec::H265, Codec::Av1] {
            let part = |number: PictureNumber, begins, ends| Some(Part { number, begins, ends });
            let frame = PictureNumber::Frame(0xffff);
            assert_eq!(
                read(codec, true, &[0x85, 0xff, 0xff], &[0x10, 1]),
                part(frame, true, false),
                "{codec:?}"
            );
            assert_eq!(read(codec, false, &[0x40, 0xff, 0xff], &vp8(3, true)), part(frame, false, true));
            assert_eq!(frame.next(), PictureNumber::Frame(0));
            // One that is cut off says nothing.
            assert_eq!(read(codec, true, &[0x85, 0xff], &[0x10, 1]), None, "{codec:?}");
        }
        assert_eq!(read(Codec::Opus, true, &[0x85, 0xff, 0xff], &[1]), None, "of pictures alone");
        let other = Codec::OtherVideo { clock_rate: 90_000 };
        assert!(read(other, true, &[0xc0, 0, 1], &[1]).is_some());
    }

    #[test]
    fn numbers_of_two_kinds_are_not_compared() {
        let number = |number| Part { number, begins: true, ends: true };
        let (frame, picture) = (PictureNumber::Frame(8), PictureNumber::Payload(PictureId::Long(8)));
        assert!(number(frame).follows(number(PictureNumber::Frame(7))));
        assert!(!number(picture).follows(number(PictureNumber::Frame(7))));
        assert!(!number(frame).follows(number(PictureNumber::Payload(PictureId::Long(7)))));
    }
}
