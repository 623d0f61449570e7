//! Offers and answers between sessions that nothing carries anything for.

use session::{SdpType, Session, SessionDescription};
use testkit::epoch;

pub fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text).unwrap()
}

/// Makes an offer and sets it.
pub fn offer(session: &mut Session) -> SessionDescription {
    let offer = session.create_offer(epoch()).unwrap();
    session.set_local(epoch(), SdpType::Offer, offer.clone()).unwrap();
    offer
}

/// Takes an offer, and makes and sets the answer.
pub fn answer(session: &mut Session, offer: SessionDescription) -> SessionDescription {
    session.set_remote(epoch(), SdpType::Offer, offer).unwrap();
    let answer = session.create_answer(epoch()).unwrap();
    session.set_local(epoch(), SdpType::Answer, answer.clone()).unwrap();
    answer
}

/// A whole exchange; gives both descriptions.
pub fn negotiate(offerer: &mut Session, answerer: &mut Session) -> [SessionDescription; 2] {
    let offer = offer(offerer);
    let answer = answer(answerer, offer.clone());
    offerer.set_remote(epoch(), SdpType::Answer, answer.clone()).unwrap();
    [offer, answer]
}

/// The lines that begin so.
pub fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}
