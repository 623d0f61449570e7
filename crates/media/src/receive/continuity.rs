use rtp::payload::PictureId;

use crate::Codec;

/// Tells a loss between two pictures from one of theirs. Repair and padding have numbers among those of media: where a picture was
/// whole and the next one begins, nothing that is missing between them is of use (libwebrtc goes by pictures, too).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Continuity {
    /// The picture whose last packet was read last.
    whole: Option<PictureId>,
}

impl Continuity {
    /// A packet is read in its turn.
    pub(crate) fn read(&mut self, codec: Codec, marker: bool, payload: &[u8]) {
        self.whole = if marker { codec.picture(payload).map(|(picture, _)| picture) } else { None };
    }

    /// Packets are missing from here on.
    pub(crate) const fn lose(&mut self) {
        self.whole = None;
    }

    /// Whether a packet begins the picture after the one that was read last.
    pub(crate) fn goes_on_with(&self, codec: Codec, payload: &[u8]) -> bool {
        let Some(next) = self.whole.map(PictureId::next) else { return false };
        codec.picture(payload) == Some((next, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VP8 with a picture of 15 bits; `start`: it begins a frame.
    fn vp8(picture: u16, start: bool) -> [u8; 5] {
        let [high, low] = (picture | 0x8000).to_be_bytes();
        [0x80 | if start { 0x10 } else { 0 }, 0x80, high, low, 1]
    }

    /// VP9 with a picture of 7 bits and a spatial layer.
    fn vp9(picture: u8, spatial: u8, start: bool) -> [u8; 5] {
        [0xa0 | if start { 8 } else { 0 }, picture, spatial << 1, 0, 1]
    }

    fn goes_on(codec: Codec, last: (&[u8], bool), next: &[u8]) -> bool {
        let mut continuity = Continuity::default();
        continuity.read(codec, last.1, last.0);
        continuity.goes_on_with(codec, next)
    }

    #[test]
    fn a_picture_follows_the_one_before_it_when_that_was_whole_and_not_otherwise() {
        let whole = |next: &[u8]| goes_on(Codec::Vp8, (&vp8(7, false), true), next);
        assert!(whole(&vp8(8, true)) && goes_on(Codec::Vp8, (&vp8(0x7fff, true), true), &vp8(0, true)));
        assert!(!whole(&vp8(8, false)), "its first packet is missing");
        assert!(!whole(&vp8(9, true)) && !whole(&vp8(7, true)) && !whole(&[0x10, 1, 2]));
        assert!(!goes_on(Codec::Vp8, (&vp8(7, false), false), &vp8(8, true)), "its last packet is missing");
        assert!(!goes_on(Codec::Vp8, (&[0x10, 1, 2], true), &vp8(0, true)), "pictures have no numbers");
        assert!(!goes_on(Codec::H264, (&[0x65, 1], true), &[0x65, 1]));
        let mut continuity = Continuity::default();
        continuity.read(Codec::Vp8, true, &vp8(7, true));
        continuity.lose();
        assert!(!continuity.goes_on_with(Codec::Vp8, &vp8(8, true)));
    }

    #[test]
    fn a_picture_of_layers_begins_with_the_lowest() {
        let whole = |next: &[u8]| goes_on(Codec::Vp9, (&vp9(127, 1, false), true), next);
        assert!(whole(&vp9(0, 0, true)));
        assert!(!whole(&vp9(0, 1, true)) && !whole(&vp9(0, 0, false)) && !whole(&vp9(1, 0, true)));
    }
}
