//! Offers and answers between sessions that nothing carries anything for.

use session::{Direction, Event, SdpType, Session, SessionDescription, TransceiverId, TransceiverInit};
use testkit::epoch;

use super::{CLOCK, config};

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

pub fn fresh(side: u8) -> Session {
    Session::new(epoch(), CLOCK, config(side), [side + 1; 32]).unwrap()
}

pub fn init(direction: Direction) -> TransceiverInit {
    let mut init = TransceiverInit::default();
    init.direction = direction;
    init
}

pub fn both() -> [Session; 2] {
    [fresh(0), fresh(1)]
}

pub fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event())
        .filter(|event| !matches!(event, Event::Candidate(_)))
        .collect()
}

pub fn needs(session: &mut Session) -> bool {
    events(session).contains(&Event::NegotiationNeeded)
}

pub fn only(session: &Session) -> TransceiverId {
    let mut all = session.transceivers();
    let id = all.next().unwrap().0;
    assert!(all.next().is_none(), "one transceiver");
    id
}

pub fn directions(session: &Session) -> Vec<(Direction, Option<Direction>)> {
    session.transceivers().map(|(_, info)| (info.direction, info.current_direction)).collect()
}
