//! Which telephone events may be sent with a codec (RFC 4733).

use ::media::ToneFormat;
use sdp::format_parameters;

use super::{CodecParameters, Negotiated};

/// Telephone events with this clock, if the peer takes any: they share the timestamps of the audio (RFC 4733 §2.1).
pub(crate) fn tone_format(negotiated: &Negotiated, clock_rate: u32) -> Option<ToneFormat> {
    let is_it = |codec: &&CodecParameters| {
        codec.name.eq_ignore_ascii_case("telephone-event") && codec.clock_rate == clock_rate
    };
    let codec = negotiated.send.iter().find(is_it)?;
    Some(ToneFormat { payload_type: codec.payload_type, events: keys(&codec.parameters) })
}

/// The keys among the events that `a=fmtp` lists, as in `0-11,66` (RFC 4733 §2.4.1); without a list all of them.
fn keys(parameters: &str) -> u16 {
    let list = format_parameters(parameters)
        .find_map(|(name, value)| match value {
            None => Some(name),
            Some(value) => name.eq_ignore_ascii_case("events").then_some(value),
        })
        .unwrap_or(parameters)
        .trim();
    if list.is_empty() {
        return u16::MAX;
    }
    let mut keys = 0;
    for range in list.split(',').take(MAX_RANGES) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.trim().parse::<u8>(), last.trim().parse::<u8>()) else { continue };
        for event in first..=last.min(15) {
            keys |= 1_u16.unbounded_shl(event.into());
        }
    }
    keys
}

/// There are 256 events.
const MAX_RANGES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_a_description_are_read() {
        for (text, expected) in [
            ("", 0xffff),
            ("0-15", 0xffff),
            ("0-16", 0xffff),
            ("0-11", 0x0fff),
            ("0-9,11", 0x0bff),
            ("0-15,66,70", 0xffff),
            ("66, 70", 0),
            ("events=0-1", 0x0003),
            ("5", 0x0020),
            ("9-3", 0),
            ("x-y,7,-,8-", 0x0080),
            ("0-999,2", 0x0004),
        ] {
            assert_eq!(keys(text), expected, "{text:?}");
        }
    }
}
