//! Descriptions of browsers and broken ones.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::fs;

use proptest::prelude::*;
use sdp::{Attribute, Limits, Media, MediaKind, ParseErrorKind, SessionDescription, Setup, StreamDirection};

/// What Chromium and aiortc wrote, by file name.
fn samples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let mut samples: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    samples.sort();
    assert!(samples.len() >= 37, "the samples are missing");
    samples
}

#[test]
fn every_sample_is_written_as_it_was_read() {
    for (name, text) in samples() {
        let description = SessionDescription::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(description.to_string(), text, "{name}");
        let lf = text.replace("\r\n", "\n");
        assert_eq!(SessionDescription::parse(&lf).unwrap().to_string(), lf, "{name} with LF");
        let open = text.trim_end();
        assert_eq!(
            SessionDescription::parse(open).unwrap().to_string(),
            open,
            "{name} without the last line end"
        );
    }
}

#[test]
fn every_sample_says_what_a_connection_needs() {
    for (name, text) in samples() {
        let description = SessionDescription::parse(&text).unwrap();
        assert!(description.media().len() > 0, "{name}");
        for media in description.media().filter(|media| !media.is_rejected()) {
            assert_ne!(media.kind(), MediaKind::Other, "{name}");
            assert!(
                media.mid().is_some() && media.ice_ufrag().is_some() && media.ice_pwd().is_some(),
                "{name}"
            );
            assert!(
                media.fingerprints().any(|print| print.algorithm().eq_ignore_ascii_case("sha-256")),
                "{name}"
            );
            let offer = name.ends_with("offer.sdp");
            assert_eq!(media.setup() == Some(Setup::ActPass), offer, "{name}");
            assert_eq!(media.is_data_channels(), media.kind() == MediaKind::Application, "{name}");
            assert!(media.candidates().all(|text| text.starts_with("candidate:")));
            assert_eq!(description.media_by_mid(media.mid().unwrap()).unwrap().index(), media.index());
        }
        let bundled: usize = description.bundle_groups().map(Iterator::count).sum();
        assert!(bundled >= 1 && bundled <= description.media().len(), "{name}");
    }
}

/// What two offers of browsers say about RTP, read by the types.
#[test]
fn every_sample_says_how_its_media_are_sent() {
    for (name, text) in samples() {
        let description = SessionDescription::parse(&text).unwrap();
        let is_media = |media: &Media<'_>| matches!(media.kind(), MediaKind::Audio | MediaKind::Video);
        for media in description.media().filter(|media| is_media(media) && !media.is_rejected()) {
            let attributes: Vec<_> = media.attributes().collect();
            assert!(media.has_rtcp_mux(), "{name}");
            assert!(media.extensions().any(|map| map.uri.ends_with("sdes:mid")), "{name}");
            for payload_type in media.payload_types() {
                let is_its = |attribute: &&Attribute<'_>| matches!(attribute, Attribute::RtpMap(map) if map.payload_type == payload_type);
                assert_eq!(attributes.iter().filter(is_its).count(), 1, "{name}: {payload_type}");
            }
            let known =
                ["rtpmap", "fmtp", "rtcp-fb", "extmap", "msid", "ssrc", "ssrc-group", "rid", "simulcast"];
            for attribute in &attributes {
                assert!(
                    !known.contains(&attribute.name()) || !matches!(attribute, Attribute::Other(..)),
                    "{name}: {attribute}"
                );
            }
        }
    }
}

#[test]
fn simulcast_and_sources_are_read() {
    let read = |file: &str| {
        let text = samples().into_iter().find(|(name, _)| name == file).unwrap().1;
        SessionDescription::parse(&text).unwrap()
    };
    let chromium = read("chromium-simulcast-0-offer.sdp");
    let video = chromium.media().next().unwrap();
    assert!(video.rids().map(|rid| rid.id).eq(["q", "h", "f"]));
    let streams = video.simulcast().unwrap().streams(StreamDirection::Send);
    assert!(streams.flatten().eq([("q", false), ("h", false), ("f", false)]));
    assert!(video.allows_mixed_extensions());
    let firefox = read("firefox-form-media-0-offer.sdp");
    let video = firefox.media().nth(1).unwrap();
    assert_eq!(video.rids().nth(1).unwrap().restrictions, Some("max-width=320"));
    let groups: Vec<Vec<u32>> = video
        .attributes()
        .filter_map(|attribute| {
            let Attribute::SourceGroup(group) = attribute else { return None };
            (group.semantics() == "FID").then(|| group.ssrcs().collect())
        })
        .collect();
    assert_eq!(groups, [[3_807_741_206, 1_148_250_937], [2_270_094_853, 519_836_472]]);
    let msid = video.msids().next().unwrap();
    assert_eq!(msid.stream(), Some("{6f2d9a31-58c4-4be7-a0d3-1f7e92c4b586}"));
    let text = "v=0\r\no=- 1 1 IN IP4 x\r\nm=video 9 X 96\r\nb=AS:500\r\nb=TIAS:500000\r\nb=X:y\r\n";
    let description = SessionDescription::parse(text).unwrap();
    let bandwidths: Vec<_> = description.media().next().unwrap().bandwidths().collect();
    assert_eq!(
        bandwidths.iter().map(|it| (it.modifier, it.value)).collect::<Vec<_>>(),
        [("AS", 500), ("TIAS", 500_000)]
    );
}

#[test]
fn changes_are_made_in_place() {
    let text = samples().into_iter().find(|(name, _)| name == "chromium-bundle-all-0-offer.sdp").unwrap().1;
    let mut description = SessionDescription::parse(&text).unwrap();
    let before: Vec<String> = description.media().map(|media| media.mid().unwrap().to_owned()).collect();
    description.add_attribute(Some(0), Attribute::Candidate("1 1 udp 1 10.0.0.1 1 typ host"));
    description.set_attribute(Some(1), Attribute::Setup(Setup::Active));
    description.add_attribute(None, Attribute::IceLite);
    assert_eq!(description.remove_attributes(Some(1), "extmap"), 11);
    assert_eq!(description.remove_attributes(Some(1), "extmap"), 0);

    let again = SessionDescription::parse(&description.to_string()).unwrap();
    for description in [&description, &again] {
        let mids: Vec<String> = description.media().map(|media| media.mid().unwrap().to_owned()).collect();
        assert_eq!(mids, before);
        let setups: Vec<_> = description.media().map(|media| media.setup().unwrap()).collect();
        assert_eq!(setups, [Setup::ActPass, Setup::Active, Setup::ActPass]);
        let candidates: Vec<_> = description.media().map(|media| media.candidates().count()).collect();
        assert_eq!(candidates, [1, 0, 0]);
        assert!(description.media().all(|media| media.is_ice_lite()));
    }
    let lines = |text: &str| text.lines().count();
    assert_eq!(lines(&description.to_string()), lines(&text) + 2 - 11, "only what was asked for");
}

/// What was replaced is forgotten now and then, which must not be seen.
#[test]
fn changes_made_again_and_again_leave_the_last_alone() {
    let text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 X 0\r\na=mid:0\r\nm=video 9 X 0\r\na=mid:1";
    let mut often = SessionDescription::parse(text).unwrap();
    for round in 0..1000 {
        let mid = format!("mid:{round}");
        often.set_attribute(Some(0), Attribute::parse(&mid).unwrap());
        often.add_attribute(Some(1), Attribute::parse("candidate:1").unwrap());
        if round % 7 == 0 {
            assert!(often.remove_attributes(Some(1), "candidate") > 0);
        }
        let candidates = "a=candidate:1\r\n".repeat(round % 7);
        let expected =
            text.replace("a=mid:0", &format!("a={mid}")) + if round % 7 == 0 { "" } else { "\r\n" };
        assert_eq!(often.to_string(), expected + &candidates, "{round}");
        assert_eq!(
            often.media().nth(1).and_then(|media| media.mid().map(str::to_owned)).as_deref(),
            Some("1")
        );
    }
}

#[test]
fn errors_name_the_line() {
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
    for (text, line, kind) in [
        (String::new(), 0, ParseErrorKind::Empty),
        ("this is no SDP".into(), 1, ParseErrorKind::NotALine),
        ("v=1\r\n".into(), 1, ParseErrorKind::Version),
        ("s=-\r\n".into(), 1, ParseErrorKind::Version),
        ("v=0\r\ns=-\r\n".into(), 0, ParseErrorKind::OriginMissing),
        ("v=0\r\no=- 1 1 IN IP4\r\n".into(), 2, ParseErrorKind::Origin),
        ("v=0\r\no=- x 1 IN IP4 0.0.0.0\r\n".into(), 2, ParseErrorKind::Origin),
        ("v=0\r\nm=audio 9 X 0\r\n".into(), 2, ParseErrorKind::OriginMissing),
        (format!("{head}v=0\r\n"), 5, ParseErrorKind::Version),
        (format!("{head}m=audio 9 UDP/TLS/RTP/SAVPF\r\n"), 5, ParseErrorKind::Media),
        (format!("{head}m=audio\r\n"), 5, ParseErrorKind::Media),
        (format!("{head}m=audio 65536 X 0\r\n"), 5, ParseErrorKind::Port),
        (format!("{head}m=audio -1 X 0\r\n"), 5, ParseErrorKind::Port),
        (format!("{head}a=setup:maybe\r\n"), 5, ParseErrorKind::Attribute("setup", "RFC 4145")),
        (format!("{head}m=a 9 X 0\r\na=mid:1\r\nm=a 9 X 0\r\na=mid:1\r\n"), 8, ParseErrorKind::DuplicateMid),
    ] {
        let error = SessionDescription::parse(&text).unwrap_err();
        assert_eq!((error.line, error.kind), (line, kind), "{text:?}");
        assert!(!error.to_string().is_empty());
    }
}

/// RFC 9429 §5.8: what is read, and cannot be, is an error, also where a section is rejected. What is read of other sections alone is
/// ignored (RFC 8866 §5.13), as is what nobody knows.
#[test]
fn an_attribute_is_an_error_where_it_is_read_and_nowhere_else() {
    let head = "v=0\r\no=- 1 1 IN IP4 x\r\ns=-\r\nt=0 0\r\n";
    let parts = [
        "",
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
        "m=image 9 udptl t38\r\n",
    ];
    let everywhere = [true; 4];
    let sections = [false, true, true, true];
    let rtp = [false, true, false, false];
    for (attribute, is_read) in [
        ("ice-ufrag:a", everywhere),
        ("ice-pwd:short", everywhere),
        ("ice-options:", everywhere),
        ("fingerprint:sha-256 X", everywhere),
        ("setup:none", everywhere),
        ("tls-id:short", everywhere),
        ("group:", [true, false, false, false]),
        ("mid:", sections),
        ("candidate:", sections),
        ("extmap:0 urn:x", [true, true, false, false]),
        ("sctp-port:x", [false, false, true, false]),
        ("max-message-size:-1", [false, false, true, false]),
        ("rtpmap:x", rtp),
        ("fmtp:", rtp),
        ("rtcp-fb:x", rtp),
        ("msid:", rtp),
        ("ssrc:x", rtp),
        ("ssrc-group:FID x", rtp),
        ("rtcp:x", rtp),
        ("rid:!", [false; 4]),
        ("simulcast:x", [false; 4]),
        ("ptime:x", [false; 4]),
        ("nobody-knows:\u{1}", [false; 4]),
    ] {
        for (part, is_read) in parts.into_iter().zip(is_read) {
            let rejected = part.replace(" 9 ", " 0 ");
            for section in [part, &rejected] {
                let text = format!("{head}{section}a={attribute}\r\na=mid:0\r\n");
                let parsed = SessionDescription::parse(&text);
                let where_it_stands = format!("{attribute} in {section}");
                match parsed {
                    Err(error) => {
                        let line = if section.is_empty() { 5 } else { 6 };
                        assert!(is_read, "{where_it_stands}");
                        assert_eq!(error.line, line, "{where_it_stands}");
                    }
                    Ok(description) => {
                        assert!(!is_read, "{where_it_stands}");
                        assert_eq!(description.to_string(), text);
                    }
                }
            }
        }
    }
}

#[test]
fn limits_hold_at_one_past_them() {
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n";
    let limits = Limits::default();
    let kind = |text: String| SessionDescription::parse(&text).err().map(|error| error.kind);
    let media = |count: usize| format!("{head}{}", "m=audio 9 X 0\r\n".repeat(count));
    assert_eq!(kind(media(limits.media)), None);
    assert_eq!(kind(media(limits.media + 1)), Some(ParseErrorKind::TooMuch("media")));
    let formats = |count: usize| format!("{head}m=audio 9 X{}\r\n", " 0".repeat(count));
    assert_eq!(kind(formats(limits.formats)), None);
    assert_eq!(kind(formats(limits.formats + 1)), Some(ParseErrorKind::TooMuch("formats")));
    let candidates = |count: usize| format!("{head}m=audio 9 X 0\r\n{}", "a=candidate:1\r\n".repeat(count));
    assert_eq!(kind(candidates(limits.candidates)), None);
    assert_eq!(kind(candidates(limits.candidates + 1)), Some(ParseErrorKind::TooMuch("candidates")));
    let groups =
        |count: usize| format!("{head}m=audio 9 X 0\r\n{}", "a=ssrc-group:FID 1 2\r\n".repeat(count));
    assert_eq!(kind(groups(limits.source_groups)), None);
    assert_eq!(kind(groups(limits.source_groups + 1)), Some(ParseErrorKind::TooMuch("source_groups")));
    let lines = |count: usize| format!("{head}{}", "b=x\r\n".repeat(count - 2));
    assert_eq!(kind(lines(limits.session_lines)), None);
    assert_eq!(kind(lines(limits.session_lines + 1)), Some(ParseErrorKind::TooMuch("session_lines")));
    let lines = |count: usize| format!("{head}m=audio 9 X 0\r\n{}", "b=x\r\n".repeat(count - 3));
    assert_eq!(kind(lines(limits.lines)), None);
    assert_eq!(kind(lines(limits.lines + 1)), Some(ParseErrorKind::TooMuch("lines")));
}

#[test]
fn the_password_is_not_in_debug_output() {
    for (_, text) in samples() {
        let description = SessionDescription::parse(&text).unwrap();
        let password = description.media().find_map(|media| media.ice_pwd()).unwrap().to_owned();
        assert!(!format!("{description:?}").contains(&password));
        assert!(!format!("{:?}", description.media().next().unwrap()).contains(&password));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_parses_is_written_as_it_was_read(text in "(v=0\r?\no=- 1 1 IN IP4 x\r?\n)?([a-z]=[ -~]{0,12}\r?\n|a=(mid|setup|candidate|group|fingerprint|rtpmap|extmap|rid|simulcast|ssrc|msid):[ -~]{0,8}\n|m=(audio|video) [0-9]{1,5} X [0-9 ]{0,6}\r\n){0,12}") {
        if let Ok(description) = SessionDescription::parse(&text) {
            prop_assert_eq!(description.to_string(), text);
            for media in description.media() {
                let _ = (media.kind(), media.port(), media.formats().count(), media.fingerprints().count());
            }
        }
    }

    #[test]
    fn a_damaged_sample_never_panics(index in 0usize..37, at: prop::sample::Index, with: char) {
        let (_, text) = samples().swap_remove(index);
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let place = places[at.index(places.len())];
        let damaged = format!("{}{with}{}", &text[..place], &text[place + 1..]);
        if let Ok(description) = SessionDescription::parse(&damaged) {
            prop_assert_eq!(description.to_string(), damaged);
        }
    }
}
