//! The peer's certificate is the one that signalling names, or there is no connection: D5, D6 of the threats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::time::Duration;

use crypto::HashAlgorithm;
use harness::{CLOCK, Two};
use session::{ChannelInit, ConnectionState, Event, Failure, NegotiationError, SdpType, SessionDescription};

/// The fingerprint of the same certificate by another hash function.
type Digest<'a> = dyn Fn(HashAlgorithm) -> String + 'a;

/// What a case expects of who reads the changed description.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// RFC 8122 §5 takes it: the connection is there.
    Accepted,
    /// Another certificate is named: DTLS fails.
    Mismatch,
    /// Nothing is named that could be compared: the description is refused.
    Refused,
}

/// Replaces the lines with fingerprints by those of `make`, which gets the right SHA-256 in its usual form.
fn replaced(text: &str, make: impl Fn(&str) -> Vec<String>) -> String {
    let right = text.lines().find_map(|line| line.strip_prefix("a=fingerprint:sha-256 ")).unwrap();
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with("a=fingerprint:") {
            for line in make(right) {
                out += &format!("a=fingerprint:{line}\r\n");
            }
        } else {
            out += &format!("{line}\r\n");
        }
    }
    out
}

fn wrong_last_byte(print: &str) -> String {
    let last = if print.ends_with("00") { "11" } else { "00" };
    format!("{}{last}", &print[..print.len() - 2])
}

/// The matrix of THREATS D6, by what stands in the fingerprint lines; `digest` gives other hashes of the same
/// certificate.
#[expect(clippy::type_complexity, reason = "a table: name, outcome, lines")]
fn cases() -> Vec<(&'static str, Outcome, fn(&str, &Digest<'_>) -> Vec<String>)> {
    use Outcome::{Accepted, Mismatch, Refused};
    vec![
        ("sha-256", Accepted, |it, _| vec![format!("sha-256 {it}")]),
        ("wrong last byte", Mismatch, |it, _| vec![format!("sha-256 {}", wrong_last_byte(it))]),
        ("lower case digits", Accepted, |it, _| vec![format!("sha-256 {}", it.to_lowercase())]),
        ("upper case name", Accepted, |it, _| vec![format!("SHA-256 {it}")]),
        ("another hash's name", Refused, |it, _| vec![format!("sha-512 {it}")]),
        ("an unknown name", Refused, |it, _| vec![format!("sha-999 {it}")]),
        ("an unknown name beside", Accepted, |it, _| vec![format!("sha-999 {it}"), format!("sha-256 {it}")]),
        ("none", Refused, |_, _| vec![]),
        ("two, one right", Accepted, |it, _| {
            vec![format!("sha-256 {}", wrong_last_byte(it)), format!("sha-256 {it}")]
        }),
        ("two, none right", Mismatch, |it, _| vec![format!("sha-256 {}", wrong_last_byte(it)); 2]),
        ("sha-384", Accepted, |_, digest| vec![format!("sha-384 {}", digest(HashAlgorithm::Sha384))]),
        ("sha-512", Accepted, |_, digest| vec![format!("sha-512 {}", digest(HashAlgorithm::Sha512))]),
        ("a stronger one that is wrong", Mismatch, |it, digest| {
            let wrong = wrong_last_byte(&digest(HashAlgorithm::Sha512));
            vec![format!("sha-256 {it}"), format!("sha-512 {wrong}")]
        }),
        ("sha-1 alone", Refused, |_, digest| vec![format!("sha-1 {}", digest(HashAlgorithm::Sha1))]),
        ("md5 alone", Refused, |_, digest| vec![format!("md5 {}", digest(HashAlgorithm::Md5))]),
        ("sha-1 beside", Accepted, |it, digest| {
            vec![format!("sha-1 {}", digest(HashAlgorithm::Sha1)), format!("sha-256 {it}")]
        }),
        ("31 bytes", Refused, |it, _| vec![format!("sha-256 {}", &it[..it.len() - 3])]),
        ("33 bytes", Refused, |it, _| vec![format!("sha-256 {it}:00")]),
    ]
}

/// The fingerprint of a side's certificate, which is made from the harness's seed.
fn digest_of(side: usize) -> impl Fn(HashAlgorithm) -> String {
    let seed = crypto::derive_seed(&[u8::try_from(side + 1).unwrap(); 32], "identity");
    let identity = dtls::Identity::generate(crypto::rust_crypto(), CLOCK.unix_seconds, seed).unwrap();
    move |algorithm| {
        let digest = identity.fingerprint(crypto::rust_crypto(), algorithm);
        digest.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

/// Negotiates with the description that `victim` reads changed on its way; the error if it is refused.
fn negotiate(
    two: &mut Two,
    victim: usize,
    change: impl Fn(&str, &Digest<'_>) -> String,
) -> Result<(), NegotiationError> {
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let carried = |from: usize, description: &SessionDescription| {
        if from == victim {
            return description.clone();
        }
        let (text, digest) = (description.to_string(), digest_of(from));
        assert!(text.contains(&digest(HashAlgorithm::Sha256)), "the certificate is the seed's");
        SessionDescription::parse(&change(&text, &digest)).unwrap()
    };
    let offer = two.session(0).create_offer(now).unwrap();
    two.session(0).set_local(now, SdpType::Offer, offer.clone()).unwrap();
    two.session(1).set_remote(now, SdpType::Offer, carried(0, &offer))?;
    let answer = two.session(1).create_answer(now).unwrap();
    two.session(1).set_local(now, SdpType::Answer, answer.clone()).unwrap();
    two.session(0).set_remote(now, SdpType::Answer, carried(1, &answer))
}

/// When both sides are connected if nothing is wrong.
fn undisturbed() -> Duration {
    let mut two = Two::new();
    negotiate(&mut two, 0, |text, _| text.to_owned()).unwrap();
    assert!(two.run(Duration::from_secs(3), Two::is_connected), "{}", two.reports());
    two.now() - testkit::epoch()
}

/// Checks one case, for one reader of the changed description.
fn check(name: &str, outcome: Outcome, victim: usize, change: impl Fn(&str, &Digest<'_>) -> String) {
    let mut two = Two::new();
    let negotiated = negotiate(&mut two, victim, change);
    if outcome == Outcome::Refused {
        assert!(
            matches!(
                negotiated,
                Err(NegotiationError::WeakFingerprints | NegotiationError::Missing("fingerprint"))
            ),
            "{name}, {victim}: {negotiated:?}"
        );
        // Nothing of it was taken: no handshake follows.
        two.run(Duration::from_secs(5), |_| false);
        assert_ne!(two.session(victim).connection_state(), ConnectionState::Connected, "{name}");
        return;
    }
    assert_eq!(negotiated, Ok(()), "{name}, {victim}");
    let limit = undisturbed() + Duration::from_millis(100);
    if outcome == Outcome::Accepted {
        assert!(two.run(limit, Two::is_connected), "{name}, {victim}: {}", two.reports());
        return;
    }
    let failed = ConnectionState::Failed(Failure::Fingerprint);
    let reported = two.run(limit, |two| two.seen[victim].contains(&Event::ConnectionState(failed)));
    assert!(reported, "{name}, {victim}: not within 100 ms\n{}", two.reports());
    two.run(Duration::from_secs(40), |_| false);
    // The side with the wrong certificate connects for a moment, and what it sends goes nowhere.
    assert_eq!(two.session(victim).connection_state(), failed);
    let now = two.now();
    let stats = two.session(victim).stats(now);
    assert_eq!((stats.sctp.bytes_received, stats.sctp.bytes_sent), (0, 0), "{name}");
    let opened = |event: &Event| matches!(event, Event::ChannelOpen(_) | Event::ChannelOpened(_));
    assert!(!two.seen[victim].iter().any(opened), "{name}: {:?}", two.seen[victim]);
    // The answerer is the client in DTLS. A server's alert comes under the keys and is believed; when a client
    // rejects there are none yet, and its alert is anyone's.
    let told = if victim == 0 {
        dtls::CloseReason::Alert(dtls::AlertDescription::BAD_CERTIFICATE)
    } else {
        dtls::CloseReason::TimedOut
    };
    let told = Event::ConnectionState(ConnectionState::Failed(Failure::Dtls(told)));
    assert!(two.seen[1 - victim].contains(&told), "{name}, {victim}: {:?}", two.seen[1 - victim]);
}

#[test]
fn only_what_rfc_8122_accepts_connects() {
    for (name, outcome, lines) in cases() {
        for victim in [0, 1] {
            check(name, outcome, victim, |text, digest| replaced(text, |right| lines(right, digest)));
        }
    }
}

/// RFC 8122 §5: a line before the sections holds for all of them; one in a section counts there instead.
#[test]
fn a_fingerprint_of_the_session_holds_where_a_section_has_none() {
    let at_session = |text: &str, line: &str, keep: bool| {
        let (head, sections) = text.split_at(text.find("m=").unwrap());
        let sections = if keep { sections.to_owned() } else { replaced(sections, |_| vec![]) };
        format!("{head}a=fingerprint:{line}\r\n{sections}")
    };
    for victim in [0, 1] {
        check("session level", Outcome::Accepted, victim, |text, digest| {
            at_session(text, &format!("sha-256 {}", digest(HashAlgorithm::Sha256)), false)
        });
        check("session level, wrong", Outcome::Mismatch, victim, |text, digest| {
            at_session(text, &format!("sha-256 {}", wrong_last_byte(&digest(HashAlgorithm::Sha256))), false)
        });
        check("right in the section, wrong before", Outcome::Accepted, victim, |text, digest| {
            at_session(text, &format!("sha-256 {}", wrong_last_byte(&digest(HashAlgorithm::Sha256))), true)
        });
        check("wrong in the section, right before", Outcome::Mismatch, victim, |text, digest| {
            let wrong = wrong_last_byte(&digest(HashAlgorithm::Sha256));
            let text = replaced(text, |_| vec![format!("sha-256 {wrong}")]);
            at_session(&text, &format!("sha-256 {}", digest(HashAlgorithm::Sha256)), true)
        });
    }
}

/// A value that is not one cannot be read at all.
#[test]
fn an_empty_fingerprint_is_no_description() {
    let mut two = Two::new();
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let offer = two.session(0).create_offer(now).unwrap().to_string();
    for value in ["", "sha-256", "sha-256 ", "sha-256 zz", "sha-256 A:B"] {
        let changed = replaced(&offer, |_| vec![value.to_owned()]);
        let taken = SessionDescription::parse(&changed)
            .map(|description| two.session(1).set_remote(now, SdpType::Offer, description));
        assert!(!matches!(taken, Ok(Ok(()))), "{value:?}");
    }
}
