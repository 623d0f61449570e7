//! A section of a description, read once: which payload type is which codec.

use rtp::PayloadType;
use sdp::{Attribute, Media, RtpMap};

use super::codec::parameter;
use super::{Feedback, MediaKind};

/// A codec as a description has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionCodec<'a> {
    pub payload_type: PayloadType,
    pub name: &'a str,
    pub clock_rate: u32,
    pub channels: u8,
    pub parameters: &'a str,
    pub feedback: Feedback,
    /// Of its retransmissions.
    pub rtx: Option<PayloadType>,
}

/// The codecs of a section in its order, without those that only repair others. Payload types that RTCP needs (RFC 5761
/// §4) and such as are not explained are left out.
pub(crate) fn codecs<'a>(media: &Media<'a>) -> Vec<SectionCodec<'a>> {
    let mut maps: [Option<RtpMap<'a>>; 128] = [None; 128];
    let mut parameters = [""; 128];
    let mut feedback = [Feedback::NONE; 128];
    let mut of_all = Feedback::NONE;
    for attribute in media.attributes() {
        if let Attribute::RtpMap(map) = attribute
            && let Some(slot) = maps.get_mut(usize::from(map.payload_type))
        {
            slot.get_or_insert(map);
        } else if let Attribute::Fmtp(fmtp) = attribute
            && let Some(slot) = fmtp.format.parse().ok().and_then(|number: usize| parameters.get_mut(number))
        {
            *slot = fmtp.parameters;
        } else if let Attribute::RtcpFeedback(line) = attribute {
            let kind = Feedback::parse(line.value);
            match line.payload_type.and_then(|number| feedback.get_mut(usize::from(number))) {
                Some(slot) => *slot = slot.with(kind),
                None => of_all = of_all.with(kind),
            }
        }
    }
    let mut found: Vec<SectionCodec<'a>> = Vec::new();
    let mut retransmissions = Vec::new();
    let mut seen = 0_u128;
    for number in media.payload_types() {
        let Some(payload_type) = PayloadType::new(number).filter(|it| !it.is_taken_for_rtcp()) else {
            continue;
        };
        let index = usize::from(number);
        let Some(map) = maps.get(index).copied().flatten().or_else(|| static_map(number)) else { continue };
        if seen >> number & 1 == 1 {
            continue;
        }
        seen |= 1 << number;
        let parameters = parameters.get(index).copied().unwrap_or_default();
        if map.encoding.eq_ignore_ascii_case("rtx") {
            let original = parameter(parameters, "apt").and_then(|text| text.parse().ok());
            retransmissions.extend(original.map(|original: u8| (original, payload_type)));
            continue;
        }
        found.push(SectionCodec {
            payload_type,
            name: map.encoding,
            clock_rate: map.clock_rate,
            channels: if media.kind() == sdp::MediaKind::Audio { map.channels() } else { 1 },
            parameters,
            feedback: feedback.get(index).copied().unwrap_or_default().with(of_all),
            rtx: None,
        });
    }
    for (original, payload_type) in retransmissions {
        if let Some(codec) = found.iter_mut().find(|codec| codec.payload_type.get() == original) {
            codec.rtx.get_or_insert(payload_type);
        }
    }
    found
}

/// RFC 3551 §6: payload types that need no `a=rtpmap`.
const fn static_map(number: u8) -> Option<RtpMap<'static>> {
    let encoding = match number {
        0 => "PCMU",
        8 => "PCMA",
        9 => "G722",
        13 => "CN",
        _ => return None,
    };
    Some(RtpMap { payload_type: number, encoding, clock_rate: 8000, parameters: None })
}

/// What a section carries, if it is audio or video.
pub(crate) fn kind_of(media: &Media<'_>) -> Option<MediaKind> {
    match media.kind() {
        sdp::MediaKind::Audio => Some(MediaKind::Audio),
        sdp::MediaKind::Video => Some(MediaKind::Video),
        sdp::MediaKind::Application | sdp::MediaKind::Other => None,
    }
}

/// Whether media go over DTLS-SRTP with feedback under this profile (RFC 9429 §5.1.2). Profiles without security, and SAVP
/// without DTLS, are none that we take, whatever else the section says.
pub(crate) fn is_secure(media: &Media<'_>) -> bool {
    matches!(
        media.protocol(),
        "UDP/TLS/RTP/SAVPF"
            | "TCP/TLS/RTP/SAVPF"
            | "TCP/DTLS/RTP/SAVPF"
            | "UDP/TLS/RTP/SAVP"
            | "TCP/DTLS/RTP/SAVP"
            | "RTP/SAVPF"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str, line: &str) -> Vec<(u8, String, u8, Option<u8>, usize)> {
        let text = format!("v=0\r\no=- 1 1 IN IP4 x\r\n{line}\r\n{lines}");
        let description = sdp::SessionDescription::parse(&text).unwrap();
        let media = description.media().next().unwrap();
        codecs(&media)
            .iter()
            .map(|codec| {
                (
                    codec.payload_type.get(),
                    codec.name.to_owned(),
                    codec.channels,
                    codec.rtx.map(PayloadType::get),
                    codec.feedback.values().count(),
                )
            })
            .collect()
    }

    #[test]
    fn codecs_stand_in_their_order_with_what_belongs_to_them() {
        let lines = "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtcp-fb:* nack\r\n\
                     a=rtcp-fb:96 nack pli\r\na=rtcp-fb:98 unheard of\r\na=rtpmap:98 VP9/90000\r\n";
        let found = read(lines, "m=video 9 UDP/TLS/RTP/SAVPF 98 97 96 98 99 300 x");
        assert_eq!(found, [(98, "VP9".to_owned(), 1, None, 1), (96, "VP8".to_owned(), 1, Some(97), 2)]);
        let found = read("a=rtpmap:111 opus/48000/2\r\n", "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 9 13 3");
        let names: Vec<&str> = found.iter().map(|codec| codec.1.as_str()).collect();
        assert_eq!(names, ["opus", "PCMU", "PCMA", "G722", "CN"]);
        assert_eq!(found[0].2, 2);
    }

    #[test]
    fn payload_types_that_rtcp_needs_are_none() {
        for number in 0..=127_u8 {
            let lines = format!("a=rtpmap:{number} VP8/90000\r\n");
            let found = read(&lines, &format!("m=video 9 UDP/TLS/RTP/SAVPF {number}"));
            assert_eq!(found.len(), usize::from(!(64..=95).contains(&number)), "{number}");
        }
    }

    #[test]
    fn only_profiles_with_security_are_taken() {
        for (protocol, expected) in [
            ("UDP/TLS/RTP/SAVPF", true),
            ("TCP/DTLS/RTP/SAVPF", true),
            ("RTP/AVP", false),
            ("RTP/AVPF", false),
            ("RTP/SAVP", false),
        ] {
            let text = format!("v=0\r\no=- 1 1 IN IP4 x\r\nm=audio 9 {protocol} 0\r\n");
            let description = sdp::SessionDescription::parse(&text).unwrap();
            assert_eq!(is_secure(&description.media().next().unwrap()), expected, "{protocol}");
        }
    }
}
