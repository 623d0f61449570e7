//! What packets of the codecs hold that were agreed upon, and which of those frames are sent with.

use ::media::{Codec as Format, FecConfig, RedConfig};
use rtp::{PayloadType, fec};
use sdp::format_parameters;

use super::codec::is_auxiliary;
use super::{CodecParameters, Feedback, MediaKind, Negotiated};

/// The first codec that frames can be sent with, or the one that was chosen.
pub(super) fn sendable(
    negotiated: &Negotiated,
    kind: MediaKind,
    chosen: Option<PayloadType>,
) -> Option<(&CodecParameters, Format)> {
    let all = negotiated.send.iter().filter_map(|codec| {
        let ::media::Format::Media(format) = format(codec, kind)? else { return None };
        let carries_others = matches!(format, Format::RedundantAudio { .. });
        (!carries_others && !is_auxiliary(&codec.name)).then_some((codec, format))
    });
    let mut chosen = all.clone().filter(|(codec, _)| Some(codec.payload_type) == chosen);
    chosen.next().or_else(|| all.clone().next())
}

/// What a codec's packets hold.
pub(super) fn format(codec: &CodecParameters, kind: MediaKind) -> Option<::media::Format> {
    let clock_rate = codec.clock_rate;
    let is = |name: &str| codec.name.eq_ignore_ascii_case(name);
    let media = ::media::Format::Media;
    Some(match kind {
        MediaKind::Audio if is("opus") => media(Format::Opus),
        MediaKind::Audio if is("PCMU") || is("PCMA") => media(Format::G711),
        MediaKind::Audio if is("G722") => media(Format::G722),
        MediaKind::Audio if is("red") => {
            // RFC 2198 §5: `a=fmtp:63 111/111`.
            let (first, _) = format_parameters(&codec.parameters).next()?;
            let primary = first.split('/').next()?.parse().ok().and_then(PayloadType::new)?;
            media(Format::RedundantAudio { primary, clock_rate })
        }
        MediaKind::Audio => media(Format::OtherAudio { clock_rate }),
        MediaKind::Video if is("VP8") => media(Format::Vp8),
        MediaKind::Video if is("VP9") => media(Format::Vp9),
        MediaKind::Video if is("H264") => media(Format::H264),
        MediaKind::Video if is("H265") => media(Format::H265),
        MediaKind::Video if is("AV1") => media(Format::Av1),
        MediaKind::Video if is("red") => ::media::Format::Red,
        MediaKind::Video if is("ulpfec") => ::media::Format::Fec(fec::Format::Ulp),
        MediaKind::Video if is("flexfec-03") => ::media::Format::Fec(fec::Format::Flex03),
        MediaKind::Video if is("flexfec") => ::media::Format::Fec(fec::Format::Flex),
        MediaKind::Video => media(Format::OtherVideo { clock_rate }),
    })
}

/// How frames of `codec` are repaired, of what was agreed upon: by FlexFEC before ULPFEC in RED. That is not for codecs whose pictures
/// have no numbers if lost packets are asked for again: receivers would ask for its packets, too (libwebrtc,
/// `ShouldDisableRedAndUlpfec`).
pub(super) fn repair(
    negotiated: &Negotiated,
    codec: &CodecParameters,
) -> (Option<FecConfig>, Option<RedConfig>) {
    let formats = || negotiated.send.iter().filter_map(|it| Some((it, format(it, MediaKind::Video)?)));
    let fec = |wanted: fn(fec::Format) -> bool| {
        formats().find_map(|(it, format)| {
            let ::media::Format::Fec(format) = format else { return None };
            let config = FecConfig { format, payload_type: it.payload_type, group: REPAIR_GROUP };
            wanted(format).then_some(config)
        })
    };
    if let Some(flexfec) = fec(|format| format != fec::Format::Ulp) {
        return (Some(flexfec), None);
    }
    let has_pictures = ["VP8", "VP9"].iter().any(|name| codec.name.eq_ignore_ascii_case(name));
    let ulpfec = fec(|format| format == fec::Format::Ulp)
        .filter(|_| has_pictures || !codec.feedback.contains(Feedback::NACK));
    let red = formats().find(|(_, format)| *format == ::media::Format::Red).map(|(it, _)| it);
    let red = red.map(|it| RedConfig { payload_type: it.payload_type, rtx: it.rtx });
    ulpfec.zip(red).map_or((None, None), |(ulpfec, red)| (Some(ulpfec), Some(red)))
}

/// Packets that share one of repair.
const REPAIR_GROUP: usize = 10;
