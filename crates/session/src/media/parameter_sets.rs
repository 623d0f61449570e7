//! Parameter sets of H.264 and H.265 that a peer tells in its description (RFC 6184 §8.1, RFC 7798 §7.1), and may leave out of its
//! stream.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rtp::PayloadType;
use sdp::format_parameters;

use super::CodecParameters;

/// Those of each format that may come, with start codes. `ours` is what may, `theirs` the same by the peer's description.
pub(super) fn of(ours: &[CodecParameters], theirs: &[CodecParameters]) -> Vec<(PayloadType, Vec<u8>)> {
    let told = ours.iter().filter_map(|codec| {
        let theirs = theirs.iter().find(|theirs| theirs.is_same(codec))?;
        Some((codec.payload_type, sets(theirs)?))
    });
    told.collect()
}

fn sets(codec: &CodecParameters) -> Option<Vec<u8>> {
    let names: &[&str] = match &*codec.name {
        name if name.eq_ignore_ascii_case("H264") => &["sprop-parameter-sets"],
        name if name.eq_ignore_ascii_case("H265") => &["sprop-vps", "sprop-sps", "sprop-pps"],
        _ => return None,
    };
    let mut all = Vec::new();
    for wanted in names {
        let values =
            format_parameters(&codec.parameters).filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        for set in values.filter_map(|(_, value)| value).flat_map(|value| value.split(',')) {
            let set = DECODER.decode(set.trim()).ok()?;
            if !set.is_empty() {
                all.extend([0, 0, 0, 1]);
                all.extend(set);
            }
        }
    }
    (1..=MAX_BYTES).contains(&all.len()).then_some(all)
}

/// Some cameras leave the padding out.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// As much as depacketizers keep.
const MAX_BYTES: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, MediaKind};

    fn told(name: &'static str, parameters: &'static str) -> Vec<(PayloadType, Vec<u8>)> {
        let codec = |parameters: &'static str, payload_type| {
            let mut codec = Codec::new(MediaKind::Video, name, 90_000, payload_type).unwrap();
            codec.parameters = parameters.into();
            CodecParameters::of(&codec)
        };
        // Ours has another number, and says nothing.
        of(&[codec("profile-level-id=42e01f;packetization-mode=1", 100)], &[codec(parameters, 96)])
    }

    #[test]
    fn sets_are_those_of_the_peer_under_the_number_of_ours() {
        let sets = [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xd9, 0, 0, 0, 1, 0x68, 0xcb, 0x83];
        let number = PayloadType::new(100).unwrap();
        for list in ["Z0LAH9k=,aMuD", "Z0LAH9k, aMuD,"] {
            let text = format!("profile-level-id=42e01f;packetization-mode=1;sprop-parameter-sets={list}");
            assert_eq!(told("H264", text.leak()), [(number, sets.to_vec())]);
        }
        let h265 = told("H265", "sprop-pps=RAHB;sprop-vps=QAEMAQ==;sprop-sps=QgEBAWA=");
        let order: Vec<u8> = h265[0]
            .1
            .windows(4)
            .zip(&h265[0].1[4..])
            .filter(|(at, _)| **at == [0, 0, 0, 1])
            .map(|(_, kind)| *kind)
            .collect();
        assert_eq!(order, [0x40, 0x42, 0x44]);
    }

    #[test]
    fn what_is_no_list_of_sets_says_nothing() {
        let base = "profile-level-id=42e01f;packetization-mode=1";
        for list in ["", ";sprop-parameter-sets", ";sprop-parameter-sets=", ";sprop-parameter-sets=%%%,aMuD"]
        {
            assert_eq!(told("H264", format!("{base}{list}").leak()), []);
        }
        let long = format!("{base};sprop-parameter-sets={}", "QUFB".repeat(3000));
        assert_eq!(told("H264", long.leak()), []);
        assert_eq!(told("VP8", "sprop-parameter-sets=aMuD"), []);
    }
}
