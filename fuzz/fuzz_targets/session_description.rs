//! A description from anywhere, applied wherever one can be: as a first offer, as the answer to ours, as a
//! second offer, and after all of that. It is refused and changes nothing, or taken and answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::Instant;
use session::{
    ChannelInit, Config, MediaKind, NegotiationError, SdpType, SendEncoding, Session, SessionDescription,
    SignalingState, TransceiverInit, WallClock,
};

fuzz_target!(|text: &str| {
    let Ok(description) = SessionDescription::parse(text) else { return };
    // As a first offer.
    let mut session = fresh(1);
    if offer(&mut session, &description).is_ok() {
        let _ = offer(&mut session, &description);
    }
    // As an answer to our offer, and then as an offer.
    let mut session = fresh(2);
    session.open_channel(NOW, ChannelInit::labelled("chat")).expect("a channel");
    let ours = session.create_offer(NOW).expect("an offer");
    session.set_local(NOW, SdpType::Offer, ours).expect("our own offer");
    let _ = set(&mut session, SdpType::Answer, &description);
    if session.signaling_state() == SignalingState::HaveLocalOffer {
        session.rollback(NOW).expect("an offer can be taken back");
    }
    let _ = offer(&mut session, &description);
    // The same with audio and video: as an offer, as a provisional and a final answer, and taken back.
    let mut session = with_media(5);
    if set(&mut session, SdpType::Offer, &description).is_ok() {
        session.rollback(NOW).expect("an offer can be taken back");
    }
    assert_eq!(session.transceivers().count(), 2, "a rollback leaves what was there");
    let _ = offer(&mut session, &description);
    let mut session = with_media(6);
    let ours = session.create_offer(NOW).expect("an offer");
    session.set_local(NOW, SdpType::Offer, ours).expect("our own offer");
    let _ = set(&mut session, SdpType::Pranswer, &description);
    let _ = set(&mut session, SdpType::Answer, &description);
    // Between honest descriptions.
    let (mut a, mut b) = (fresh(3), fresh(4));
    a.open_channel(NOW, ChannelInit::labelled("chat")).expect("a channel");
    negotiate(&mut a, &mut b);
    let _ = offer(&mut b, &description);
    negotiate(&mut a, &mut b);
    let (mut a, mut b) = (with_media(7), with_media(8));
    negotiate(&mut a, &mut b);
    let _ = offer(&mut a, &description);
    negotiate(&mut b, &mut a);
});

/// With audio both ways, and video that is sent in two streams.
fn with_media(seed: u8) -> Session {
    let mut session = fresh(seed);
    session.add_track(NOW, MediaKind::Audio, vec!["stream".into()]).expect("a transceiver");
    let mut init = TransceiverInit::default();
    init.send_encodings = ["a", "b"].iter().filter_map(|rid| SendEncoding::named(rid)).collect();
    session.add_transceiver(NOW, MediaKind::Video, init).expect("a transceiver");
    session
}

fn fresh(seed: u8) -> Session {
    let mut config = Config::new(testkit::null_provider());
    config.local_addresses = vec![([10, 0, 0, seed], 4000).into()];
    let clock = WallClock { unix_seconds: 1_790_000_000 };
    Session::new(NOW, clock, config, [seed; 32]).expect("a certificate")
}

fn set(
    session: &mut Session,
    kind: SdpType,
    description: &SessionDescription,
) -> Result<(), NegotiationError> {
    let before = session.signaling_state();
    let set = session.set_remote(NOW, kind, description.clone());
    if set.is_err() {
        assert_eq!(session.signaling_state(), before, "a refused description changes nothing");
    }
    set
}

/// Applies an offer and answers it.
fn offer(session: &mut Session, description: &SessionDescription) -> Result<(), NegotiationError> {
    set(session, SdpType::Offer, description)?;
    let answer = session.create_answer(NOW).expect("an offer that was taken can be answered");
    let text = answer.to_string();
    assert_eq!(SessionDescription::parse(&text).expect("own output is read").to_string(), text);
    session.set_local(NOW, SdpType::Answer, answer).expect("our own answer");
    assert_eq!(session.signaling_state(), SignalingState::Stable);
    Ok(())
}

fn negotiate(a: &mut Session, b: &mut Session) {
    let Ok(ours) = a.create_offer(NOW) else { return };
    if a.set_local(NOW, SdpType::Offer, ours.clone()).is_ok() && offer(b, &ours).is_ok() {
        let (_, answer) = b.local_description().expect("an answer");
        let answer = answer.clone();
        let _ = a.set_remote(NOW, SdpType::Answer, answer);
    }
}

const NOW: Instant = Instant::from_nanos(1_000_000_000);
