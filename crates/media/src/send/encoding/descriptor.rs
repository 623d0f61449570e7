//! What a dependency descriptor says of the packet that it is in.

use std::ops::Range;

use rtp::PacketMut;
use rtp::extension::Kind;

use super::{History, OutgoingFrame, SenderConfig};

/// The packets of `frame` have these numbers and its header extensions. A dependency descriptor among those says of each of them now
/// whether it is the first one and the last one (AV1 RTP specification, appendix A.8.1), which only who divides a frame knows.
pub(super) fn tell_parts(
    history: &mut History,
    config: &SenderConfig,
    frame: &OutgoingFrame<'_>,
    numbers: Range<u64>,
) {
    let is_used = frame.extensions.iter().any(|(kind, _)| *kind == Kind::DependencyDescriptor);
    let Some(id) = config.extensions.id(Kind::DependencyDescriptor).filter(|_| is_used) else { return };
    let (first, end) = (numbers.start, numbers.end);
    for number in numbers {
        let Some(stored) = history.get_mut(number) else { continue };
        let len = stored.head.len();
        if let Ok(mut packet) = PacketMut::decode(&mut stored.head, len)
            && let Some(flags) = packet.element_mut(id).and_then(<[u8]>::first_mut)
        {
            let start = if number == first { START_OF_FRAME } else { 0 };
            let last = if number.saturating_add(1) == end { END_OF_FRAME } else { 0 };
            *flags = *flags & TEMPLATE_ID | start | last;
        }
    }
}

const START_OF_FRAME: u8 = 0x80;
const END_OF_FRAME: u8 = 0x40;
const TEMPLATE_ID: u8 = 0x3f;
