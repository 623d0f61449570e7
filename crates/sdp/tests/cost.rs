//! What a description from anyone may cost, and texts that have broken other parsers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]
#![allow(clippy::disallowed_methods, reason = "what it costs is measured")]

use std::time::{Duration, Instant};

use sdp::{Limits, Lines, ParseErrorKind, SessionDescription};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";

/// THREATS P1.
#[test]
fn texts_that_broke_other_parsers_are_read_or_refused() {
    let section = format!("{HEAD}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n");
    let (nul, cr) = (section.replace("s=-", "s=a\0b"), section.replace("\r\n", "\r"));
    assert!(SessionDescription::parse(&nul).is_err(), "NUL is no text (RFC 8866 §9)");
    assert!(SessionDescription::parse(&cr).is_err(), "a lone CR ends no line");
    for number in
        ["4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "-1", "1e9", ""]
    {
        for line in [
            format!("a=max-message-size:{number}"),
            format!("a=sctp-port:{number}"),
            format!("a=rtcp:{number}"),
            format!("a=ssrc:{number} cname:x"),
            format!("a=rtpmap:{number} opus/48000"),
            format!("b=AS:{number}"),
        ] {
            let text = format!("{section}{line}\r\n");
            if let Ok(description) = SessionDescription::parse(&text) {
                assert_eq!(description.to_string(), text);
                for media in description.media() {
                    let _ = (media.max_message_size(), media.sctp_port(), media.attributes().count());
                }
            }
        }
        let text = format!("{HEAD}m=audio {number} RTP/AVP 4294967296\r\n");
        if let Ok(description) = SessionDescription::parse(&text) {
            assert_eq!(description.to_string(), text);
        }
    }
    // What is no UTF-8 cannot be handed over; a replacement changes nothing that matters.
    let bytes = [section.as_bytes(), b"a=x:\xff\xfe\r\n"].concat();
    assert!(std::str::from_utf8(&bytes).is_err());
    let lossy = String::from_utf8_lossy(&bytes);
    assert_eq!(SessionDescription::parse(&lossy).unwrap().to_string(), lossy);
}

/// THREATS P2: the sizes.
#[test]
fn bytes_and_lines_are_limited() {
    let kind = |text: &str| SessionDescription::parse(text).err().map(|error| error.kind);
    let limits = Limits::default();
    let line = |len: usize| format!("{HEAD}a={}\r\n", "x".repeat(len - 2));
    assert_eq!(kind(&line(limits.line_bytes)), None);
    assert_eq!(kind(&line(limits.line_bytes + 1)), Some(ParseErrorKind::TooMuch("line_bytes")));
    let bytes = |len: usize| {
        let full = format!("a={}\r\n", "x".repeat(4092));
        let mut text = String::from(HEAD);
        while text.len() + 2 * full.len() < len {
            text.push_str(&full);
        }
        let mut rest = len - text.len();
        if rest > 5000 {
            text.push_str(&full);
            rest -= full.len();
        }
        text.push_str(&format!("a={}\r\n", "x".repeat(rest - 4)));
        text
    };
    assert_eq!((bytes(limits.bytes).len(), kind(&bytes(limits.bytes))), (limits.bytes, None));
    assert_eq!(kind(&bytes(limits.bytes + 1)), Some(ParseErrorKind::TooMuch("bytes")));
}

/// THREATS P2: time grows with the text and not with its square, whatever it consists of.
#[test]
fn real_reading_and_writing_take_linear_time() {
    type Shape = (&'static str, fn(usize) -> String);
    let shapes: [Shape; 6] = [
        ("attributes", |n| (0..n / 40).map(|i| format!("a=x-attribute-{i:010}:value value v\r\n")).collect()),
        ("groups", |n| (0..n / 40).map(|i| format!("a=group:FID {i:010} {i:010} xxxxxxx\r\n")).collect()),
        ("bundle", |n| (0..n / 4000).map(|_| format!("a=group:BUNDLE{}\r\n", " name".repeat(790))).collect()),
        ("codecs", |n| {
            (0..n / 40).map(|i| format!("a=fmtp:{} x={i:010};packet-mode=1\r\n", i % 128)).collect()
        }),
        ("sections", |n| {
            let more = "a=x-attribute:01234567890123\r\n".repeat(n / 255 / 32);
            (0..250).map(|i| format!("m=audio 9 X 0\r\na=mid:name-{i}\r\n{more}")).collect()
        }),
        ("fingerprints", |n| {
            let print = ["AB"; 32].join(":");
            format!("m=audio 9 X 0\r\n{}", format!("a=fingerprint:sha-256 {print}\r\n").repeat(n / 120))
        }),
    ];
    for (shape, make) in shapes {
        // Whole lines, up to the length.
        let text = |len: usize| {
            let mut text = format!("{HEAD}{}", make(len));
            if let Some(end) = text.as_bytes().iter().take(len).rposition(|byte| *byte == b'\n') {
                text.truncate(end + 1);
            }
            text
        };
        let (small, large) = (text(60 << 10), text(240 << 10));
        let (mut of_small, mut of_large) = (Duration::MAX, Duration::MAX);
        // What takes the square of the time takes sixteen times as long for four times the text; half of that leaves room for
        // caches that hold the small text alone. A machine with other work gets several tries: the square shows in each.
        let holds = (0..10).any(|_| {
            (of_small, of_large) = (of_small.min(best_time(&small)), of_large.min(best_time(&large)));
            let most = of_small.max(Duration::from_micros(50)) * 8;
            of_large <= most && of_large <= Duration::from_millis(20)
        });
        assert!(holds, "{shape}: {of_small:?}, and {of_large:?} for {} bytes", large.len());
    }
}

/// The shortest of several times that reading, asking and writing took.
fn best_time(text: &str) -> Duration {
    // Wherever the lines stand.
    let mut limits = Limits::default();
    limits.session_lines = limits.lines;
    let run = || {
        let start = Instant::now();
        let description = SessionDescription::parse_within(text, &limits).unwrap();
        let mut seen = Lines::parse(text).unwrap().iter().count();
        seen += description.bundle_groups().flatten().count();
        for media in description.media() {
            seen += usize::from(media.mid().is_some()) + media.fingerprints().count();
        }
        assert!(seen > 0 && description.to_string().len() == text.len());
        start.elapsed()
    };
    (0..15).map(|_| run()).min().unwrap()
}
