//! What descriptions say and are read as (`webrtc/protocol`).

use std::fmt::Write as _;

use session::{
    BundlePolicy, ChannelInit, Direction, MediaKind, NegotiationError, SdpType, SendEncoding, Session,
    TransceiverInit,
};
use testkit::epoch;

use crate::harness::exchange::{answer, both, directions, fresh, lines, negotiate, offer, only, parse};
use crate::harness::{CLOCK, config};
use crate::{add, track};

/// An offer of another implementation: `sections` follow what is true of all.
fn foreign(sections: &str) -> String {
    format!(
        "v=0\r\no=- 0 3 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
         a=fingerprint:sha-256 A7:24:72:CA:6E:02:55:39:BA:66:DF:6E:CC:4C:D8:B0:1A:BF:1A:56:65:7D:F4:03:AD:7E:77:43:2A:29:EC:93\r\n\
         a=ice-ufrag:ETEn\r\na=ice-pwd:OtSK0WpNtpUjkY4+86js7Z/l\r\n{sections}"
    )
}

fn video(port: u16, rest: &str) -> String {
    format!(
        "m=video {port} UDP/TLS/RTP/SAVPF 100\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=sendonly\r\na=mid:video\r\n\
         a=rtpmap:100 VP8/90000\r\n{rest}"
    )
}

const SETUP: &str = "a=setup:actpass\r\n";

/// The session with the answer to an offer of another implementation set.
fn answered(offer: &str) -> (Session, String) {
    let mut session = fresh(0);
    let answer = answer(&mut session, parse(offer)).to_string();
    (session, answer)
}

#[test]
fn sections_go_by_their_place_where_names_are_left_out() {
    let nameless = |text: String| -> String {
        let keeps = |line: &&str| !line.starts_with("a=mid:") && !line.starts_with("a=group:");
        text.split_inclusive('\n').filter(keeps).collect()
    };
    for (offers, answers) in [(true, false), (false, true), (true, true)] {
        let [mut a, mut b] = both();
        track(&mut a, MediaKind::Audio, &[]);
        let change = |changes: bool, text: String| parse(&if changes { nameless(text) } else { text });
        let offered = change(offers, offer(&mut a).to_string());
        let answered = change(answers, answer(&mut b, offered).to_string());
        a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
        assert_eq!(directions(&a), [(Direction::SendRecv, Some(Direction::SendOnly))]);
    }
}

#[test]
fn a_section_that_was_rejected_is_used_again() {
    let [mut a, mut b] = both();
    for kind in [MediaKind::Audio, MediaKind::Audio, MediaKind::Video, MediaKind::Video] {
        let id = add(&mut a, kind, Direction::SendRecv);
        let [described, _] = negotiate(&mut a, &mut b);
        let kinds: Vec<&str> = described.media().map(|media| media.kind_text()).collect();
        assert_eq!(kinds, [kind.name()]);
        a.stop_transceiver(epoch(), id).unwrap();
        negotiate(&mut a, &mut b);
    }
    // Also one that the peer's first offer has rejected.
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let (mut session, _) = answered(&foreign(&video(0, SETUP)));
        assert!(session.transceivers().next().is_none());
        add(&mut session, kind, Direction::SendRecv);
        let next = session.create_offer(epoch()).unwrap();
        assert_eq!(next.media().map(|media| media.kind_text()).collect::<Vec<_>>(), [kind.name()]);
    }
}

#[test]
fn a_section_of_no_known_kind_is_rejected() {
    let [mut a, mut b] = both();
    track(&mut a, MediaKind::Audio, &["s"]);
    let text = offer(&mut a).to_string().replace("m=audio ", "m=unicorns ");
    let answer = answer(&mut b, parse(&text)).to_string();
    assert!(lines(&answer, "m=").len() == 1 && answer.contains("\r\nm=unicorns 0 "), "{answer}");
}

/// More tolerant than browsers, which refuse such an answer: what one side alone has is not agreed upon.
#[test]
fn directions_of_an_answer_that_do_not_fit_are_taken_as_far_as_they_do() {
    for (wanted, real, claimed, current) in [
        (Direction::RecvOnly, "a=inactive", "a=recvonly", Direction::Inactive),
        (Direction::SendOnly, "a=recvonly", "a=sendrecv", Direction::SendOnly),
    ] {
        let [mut a, mut b] = both();
        add(&mut a, MediaKind::Audio, wanted);
        let offered = offer(&mut a);
        let text = answer(&mut b, offered).to_string();
        assert!(text.contains(real), "{text}");
        a.set_remote(epoch(), SdpType::Answer, parse(&text.replace(real, claimed))).unwrap();
        assert_eq!(directions(&a), [(wanted, Some(current))]);
    }
}

#[test]
fn another_fingerprint_in_mid_session_is_refused_in_offers_and_answers() {
    let bogus =
        "BA:DC:0F:FE:EB:AD:C0:DE:DE:AD:BE:EF:B0:BB:1E:5F:AB:1E:CA:11:AB:1E:D0:0D:FE:E1:DE:AD:C0:1D:B0:55";
    let [mut a, mut b] = both();
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    negotiate(&mut a, &mut b);
    let offered = offer(&mut a);
    let changed = |text: &str| {
        let real = lines(text, "a=fingerprint:")[0].to_owned();
        parse(&text.replace(&real, &format!("a=fingerprint:sha-256 {bogus}")))
    };
    let refused = b.set_remote(epoch(), SdpType::Offer, changed(&offered.to_string())).unwrap_err();
    assert_eq!(refused.name(), "InvalidAccessError");
    let answered = answer(&mut b, offered);
    let refused = a.set_remote(epoch(), SdpType::Answer, changed(&answered.to_string())).unwrap_err();
    assert_eq!(refused, NegotiationError::DtlsChanged);
    a.set_remote(epoch(), SdpType::Answer, answered).unwrap();
}

#[test]
fn roles_of_dtls_are_those_that_the_first_offer_leaves() {
    for (offered, answered_with, role) in [
        ("actpass", "active", session::DtlsRole::Client),
        ("active", "passive", session::DtlsRole::Server),
        ("passive", "active", session::DtlsRole::Client),
    ] {
        let (session, answer) = answered(&foreign(&video(9, &format!("a=setup:{offered}\r\n"))));
        assert_eq!(lines(&answer, "a=setup:"), [format!("a=setup:{answered_with}")]);
        let report = session.statistics(epoch());
        assert_eq!(report.transports().next().unwrap().1.dtls_role, Some(role));
    }
}

#[test]
fn keys_come_from_dtls_and_from_nowhere_else() {
    let mut a = fresh(0);
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    assert!(!a.create_offer(epoch()).unwrap().to_string().contains("a=crypto:"));
    let sdes = "a=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:2nra27hTUb9ilyn2rEkBEQN9WOFts26F/jvofasw\r\n";
    let mut text = foreign(&video(9, sdes));
    let fingerprint = lines(&text, "a=fingerprint:")[0].to_owned();
    text = text.replace(&format!("{fingerprint}\r\n"), "");
    let refused = fresh(0).set_remote(epoch(), SdpType::Offer, parse(&text)).unwrap_err();
    assert_eq!(refused.name(), "InvalidAccessError");
}

/// Of other letters it is no description.
#[test]
fn credentials_have_the_letters_of_ice() {
    let good = foreign(&video(9, SETUP));
    assert!(session::SessionDescription::parse(&good).is_ok());
    for (real, bad) in [("ETEn", "E$En"), ("K0Wp", "K$Wp")] {
        let text = good.replace(real, bad);
        let taken = session::SessionDescription::parse(&text).map_err(NegotiationError::from);
        let taken = taken.and_then(|offer| fresh(0).set_remote(epoch(), SdpType::Offer, offer));
        assert!(taken.is_err(), "{bad}");
    }
}

#[test]
fn header_extensions_are_offered_and_answered_under_the_offers_numbers() {
    let uris = |text: &str| -> Vec<(String, String)> {
        let all = lines(text, "a=extmap:").into_iter();
        all.filter_map(|line| line["a=extmap:".len()..].split_once(' '))
            .map(|(id, uri)| (id.to_owned(), uri.to_owned()))
            .collect()
    };
    let mut a = fresh(0);
    add(&mut a, MediaKind::Audio, Direction::SendRecv);
    let mut init = TransceiverInit::default();
    init.send_encodings = ["0", "1"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
    a.add_transceiver(epoch(), MediaKind::Video, init).unwrap();
    let text = a.create_offer(epoch()).unwrap().to_string();
    let offered = uris(&text);
    for wanted in [
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "urn:ietf:params:rtp-hdrext:sdes:mid",
        "urn:3gpp:video-orientation",
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    ] {
        assert!(offered.iter().any(|(_, uri)| uri == wanted), "{wanted}");
    }
    for map in [
        &[(1, "urn:ietf:params:rtp-hdrext:sdes:mid")][..],
        &[(1, "urn:3gpp:video-orientation")],
        &[(16, "urn:ietf:params:rtp-hdrext:sdes:mid"), (17, "urn:3gpp:video-orientation")],
    ] {
        let mut rest = SETUP.to_owned();
        map.iter().for_each(|(id, uri)| write!(rest, "a=extmap:{id} {uri}\r\n").unwrap());
        let expected: Vec<_> = map.iter().map(|(id, uri)| (id.to_string(), (*uri).to_owned())).collect();
        assert_eq!(uris(&answered(&foreign(&video(9, &rest))).1), expected);
    }
    // 15 is no error, and what is not known is not answered.
    let rest = format!("{SETUP}a=extmap:15 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:2 bogus\r\n");
    assert_eq!(uris(&answered(&foreign(&video(9, &rest))).1), []);
}

/// More tolerant than browsers, which refuse such an answer: an extension under another number is not agreed upon.
#[test]
fn extensions_whose_numbers_an_answer_has_changed_are_not_used() {
    let [mut a, mut b] = both();
    let id = add(&mut a, MediaKind::Audio, Direction::SendRecv);
    negotiate(&mut a, &mut b);
    let offered = offer(&mut a);
    let (mid, level) = ("urn:ietf:params:rtp-hdrext:sdes:mid", "urn:ietf:params:rtp-hdrext:ssrc-audio-level");
    let swapped = answer(&mut b, offered)
        .to_string()
        .replace(level, "x")
        .replace(mid, level)
        .replace(" x", &format!(" {mid}"));
    a.set_remote(epoch(), SdpType::Answer, parse(&swapped)).unwrap();
    let info = a.transceiver(id).unwrap();
    let map = &info.negotiated.unwrap().extensions;
    for kind in [session::ExtensionKind::Mid, session::ExtensionKind::AudioLevel] {
        assert!(map.id(kind).is_none(), "{kind:?}");
    }
    assert!(map.id(session::ExtensionKind::AbsSendTime).is_some());
}

#[test]
fn formats_of_retransmission_name_formats_that_are_there() {
    let check = |text: &str| {
        let formats: Vec<&str> = lines(text, "m=video")[0].split(' ').skip(3).collect();
        for line in lines(text, "a=fmtp:").into_iter().filter(|line| line.contains("apt=")) {
            let of = line.split_once("apt=").unwrap().1;
            assert!(formats.contains(&of), "{line}: {text}");
        }
        for line in lines(text, "a=rtpmap:").into_iter().filter(|line| line.contains(" rtx/")) {
            let number = &line["a=rtpmap:".len()..line.find(' ').unwrap()];
            assert_eq!(lines(text, &format!("a=fmtp:{number} apt=")).len(), 1, "{text}");
        }
    };
    let [mut a, mut b] = both();
    track(&mut a, MediaKind::Video, &[]);
    let [offered, answered_with] = negotiate(&mut a, &mut b);
    check(&offered.to_string());
    check(&answered_with.to_string());
    // One whose format is missing, and two of one codec, each with the other's.
    for formats in [
        "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=98\r\na=rtpmap:98 VP8/90000\r\n",
        "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=98\r\na=rtpmap:98 VP8/90000\r\n\
         a=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=96\r\n",
        "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=98\r\n",
    ] {
        let text = video(9, &format!("{formats}{SETUP}"))
            .replace("SAVPF 100", "SAVPF 96 97 98 99")
            .replace("a=rtpmap:100 VP8/90000\r\n", "");
        check(&answered(&foreign(&text)).1);
    }
}

/// Although the last exchange has left one alone.
#[test]
fn a_further_offer_has_all_codecs_again() {
    let (mut session, answer) = answered(&foreign(&video(9, SETUP)));
    assert_eq!(lines(&answer, "a=rtpmap:").len(), 1);
    let text = session.create_offer(epoch()).unwrap().to_string();
    for name in ["VP8/90000", "H264/90000"] {
        assert!(text.contains(&format!(" {name}")), "{text}");
    }
    assert!(text.contains("a=rtpmap:100 VP8/90000"));
    for line in lines(&text, "a=rtpmap:").into_iter().filter(|line| line.ends_with("H264/90000")) {
        let number = &line["a=rtpmap:".len()..line.find(' ').unwrap()];
        assert!(lines(&text, &format!("a=fmtp:{number} "))[0].contains("profile-level-id="));
    }
}

#[test]
fn what_a_receiver_says_of_vp8_is_a_parameter_of_what_is_sent() {
    let (session, _) = answered(&foreign(&video(9, &format!("a=fmtp:100 max-fr=30;max-fs=3600\r\n{SETUP}"))));
    let info = session.transceiver(only(&session)).unwrap();
    assert_eq!(&*info.negotiated.unwrap().send[0].parameters, "max-fr=30;max-fs=3600");
}

#[test]
fn simulcast_that_is_wanted_is_answered_and_offered_again_also_when_it_rests() {
    let rids = "a=rid:foo recv\r\na=rid:bar recv\r\na=rid:baz recv\r\na=simulcast:recv foo;bar;baz\r\n";
    for wanted in [rids.to_owned(), rids.replace("foo;bar", "foo;~bar")] {
        let text = foreign(&video(9, &format!("{SETUP}{wanted}"))).replace("a=sendonly", "a=recvonly");
        let mut session = fresh(0);
        session.set_remote(epoch(), SdpType::Offer, parse(&text)).unwrap();
        let id = only(&session);
        session.set_direction(epoch(), id, Direction::SendOnly).unwrap();
        let (_, answer) = session.make_local(epoch()).unwrap();
        let answer = answer.to_string();
        assert_eq!(lines(&answer, "a=simulcast:"), ["a=simulcast:send foo;bar;baz"]);
        assert_eq!(lines(&answer, "a=rid:"), ["a=rid:foo send", "a=rid:bar send", "a=rid:baz send"]);
        let mut parameters = session.sender_parameters(id).unwrap();
        assert!(parameters.encodings.iter().all(|encoding| !encoding.is_paused), "`~` is the peer's matter");
        parameters.encodings.iter_mut().for_each(|encoding| encoding.is_paused = true);
        session.set_sender_parameters(epoch(), id, parameters).unwrap();
        let next = session.create_offer(epoch()).unwrap().to_string();
        assert_eq!(lines(&next, "a=simulcast:"), ["a=simulcast:send foo;bar;baz"]);
    }
}

/// Layers that the first offer asks for are not kept where the second asks for others, or for none.
#[test]
fn an_offer_that_replaces_another_asks_for_its_own_layers() {
    let asking = |rids: &str| {
        let lines: String = rids.split(';').map(|rid| format!("a=rid:{rid} recv\r\n")).collect();
        let wanted =
            if rids.is_empty() { String::new() } else { format!("{lines}a=simulcast:recv {rids}\r\n") };
        parse(&foreign(&video(9, &format!("{SETUP}{wanted}"))).replace("a=sendonly", "a=recvonly"))
    };
    let mut session = fresh(0);
    session.set_remote(epoch(), SdpType::Offer, asking("foo;bar;baz")).unwrap();
    let id = only(&session);
    session.set_direction(epoch(), id, Direction::SendOnly).unwrap();
    for (rids, scales) in
        [("foo;baz", vec![2.0, 1.0]), ("", vec![1.0]), ("one;two;three", vec![4.0, 2.0, 1.0])]
    {
        session.set_remote(epoch(), SdpType::Offer, asking(rids)).unwrap();
        assert_eq!(only(&session), id);
        let wanted = session.transceiver(id).unwrap().encodings.iter().map(|encoding| &encoding.wanted);
        let (names, known): (Vec<_>, Vec<_>) =
            wanted.map(|wanted| (wanted.rid, wanted.scale_resolution_down_by.unwrap())).unzip();
        let names: Vec<String> = names.into_iter().flatten().map(|rid| rid.as_str().to_owned()).collect();
        assert_eq!((names.join(";"), known), (rids.to_owned(), scales));
    }
    let (_, answer) = session.make_local(epoch()).unwrap();
    assert_eq!(lines(&answer.to_string(), "a=simulcast:"), ["a=simulcast:send one;two;three"]);
}

#[test]
fn payload_types_are_none_that_rtcp_needs() {
    let mut session = fresh(0);
    for kind in [MediaKind::Audio, MediaKind::Video] {
        add(&mut session, kind, Direction::RecvOnly);
    }
    let offered = session.create_offer(epoch()).unwrap();
    assert!(
        offered.media().flat_map(|media| media.payload_types()).all(|number| !(64..96).contains(&number))
    );
    for number in (35..64).chain(96..128) {
        let text = foreign(&video(9, SETUP)).replace("100", &number.to_string());
        let answer = answered(&text).1;
        assert!(answer.contains(&format!("a=rtpmap:{number} VP8/90000")), "{answer}");
    }
}

#[test]
fn sections_that_are_not_bundled_may_have_the_same_payload_type() {
    let audio = "m=audio 1 RTP/SAVPF 100\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=mid:audio\r\na=rtpmap:100 opus/48000/2\r\n";
    let text = foreign(&format!("{}{audio}{SETUP}", video(1, SETUP)));
    for (policy, accepted) in [(BundlePolicy::Balanced, 2), (BundlePolicy::MaxBundle, 1)] {
        let mut config = config(0);
        config.bundle_policy = policy;
        let mut session = Session::new(epoch(), CLOCK, config, [1; 32]).unwrap();
        let answer = answer(&mut session, parse(&text));
        assert_eq!(answer.media().filter(|media| !media.is_rejected()).count(), accepted);
        assert_eq!(session.transceivers().count(), accepted);
    }
}

#[test]
fn a_section_for_those_who_bundle_needs_no_transport_of_its_own() {
    let audio = "a=group:BUNDLE audio video\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\n\
                 a=sendonly\r\na=mid:audio\r\na=rtpmap:111 opus/48000/2\r\na=setup:actpass\r\n";
    let mut text = foreign("");
    // What is true of all stands in the first section alone.
    let at = text.find("a=fingerprint").unwrap();
    let transport = text.split_off(at);
    text = format!("{text}{audio}{transport}{}", video(0, "a=bundle-only\r\n"));
    let (session, answer) = answered(&text);
    assert_eq!(session.transceivers().count(), 2, "{answer}");
}

/// RFC 8830 §2 has it otherwise, but names are no more than names here.
#[test]
fn two_sections_may_name_one_track() {
    let section = video(9, &format!("{SETUP}a=msid:s t\r\n"));
    let text = foreign(&format!(
        "a=group:BUNDLE video unique\r\n{section}{}",
        section.replace("a=mid:video", "a=mid:unique")
    ));
    let (session, _) = answered(&text);
    let named: Vec<_> = session.transceivers().map(|(_, info)| info.remote_track).collect();
    assert_eq!(named, [Some("t"); 2]);
}

#[test]
fn channels_have_a_section_with_name_and_port() {
    let mut session = fresh(0);
    session.open_channel(epoch(), ChannelInit::labelled("channel")).unwrap();
    let text = session.create_offer(epoch()).unwrap().to_string();
    assert_eq!(lines(&text, "m="), ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel"]);
    assert!(lines(&text, "a=sctp-port:").len() == 1 && lines(&text, "a=mid:").len() == 1);
}
