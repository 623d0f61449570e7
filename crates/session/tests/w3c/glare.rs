//! Perfect negotiation: both sides offer whenever they are asked to, and the polite one gives in.

use std::collections::VecDeque;

use crypto::Rng;
use session::{Direction, MediaKind, SdpType, Session, SessionDescription, SignalingState};
use testkit::epoch;

use crate::add;
use crate::harness::exchange::{both, directions};

/// Transceivers that each side adds.
const ADDED: usize = 11;

struct Pair {
    sessions: [Session; 2],
    /// What is on its way to each side.
    coming: [VecDeque<(SdpType, SessionDescription)>; 2],
    added: [usize; 2],
    /// Offers that the impolite side has left unanswered.
    ignored: usize,
}

impl Pair {
    /// Offers if one is called for.
    fn ask(&mut self, side: usize) {
        while self.sessions[side].poll_event().is_some() {}
        if self.sessions[side].needs_negotiation() {
            let made = self.sessions[side].make_local(epoch()).unwrap();
            assert_eq!(made.0, SdpType::Offer);
            self.coming[1 - side].push_back(made);
        }
    }

    fn deliver(&mut self, side: usize, is_polite: bool) {
        let Some((kind, description)) = self.coming[side].pop_front() else { return };
        let session = &mut self.sessions[side];
        if kind == SdpType::Offer && session.signaling_state() != SignalingState::Stable && !is_polite {
            self.ignored += 1;
            return;
        }
        session.set_remote(epoch(), kind, description).unwrap();
        if kind == SdpType::Offer {
            let answer = session.make_local(epoch()).unwrap();
            self.coming[1 - side].push_back(answer);
        }
    }
}

#[test]
fn offers_that_cross_again_and_again_leave_all_transceivers() {
    let mut ignored = 0;
    for seed in 0..20 {
        let polite = usize::from(seed % 2);
        let (sessions, coming) = (both(), [VecDeque::new(), VecDeque::new()]);
        let mut pair = Pair { sessions, coming, added: [0; 2], ignored: 0 };
        let mut rng = Rng::new([seed; 32]);
        let is_done = |pair: &Pair| {
            let is_quiet = |session: &Session| {
                session.signaling_state() == SignalingState::Stable && !session.needs_negotiation()
            };
            pair.added == [ADDED; 2]
                && pair.coming.iter().all(VecDeque::is_empty)
                && pair.sessions.iter().all(is_quiet)
        };
        let mut steps = 0;
        while !is_done(&pair) {
            let side = rng.below(2) as usize;
            match rng.below(3) {
                0 if pair.added[side] < ADDED => {
                    add(&mut pair.sessions[side], MediaKind::Video, Direction::SendRecv);
                    pair.added[side] += 1;
                }
                1 => pair.ask(side),
                _ => pair.deliver(side, side == polite),
            }
            steps += 1;
            assert!(steps < 10_000, "it comes to no end");
        }
        for session in &pair.sessions {
            let mut found = directions(session);
            found.sort_by_key(|(wanted, _)| wanted.sends());
            let ours = (Direction::SendRecv, Some(Direction::SendOnly));
            let theirs = (Direction::RecvOnly, Some(Direction::RecvOnly));
            assert_eq!(found, [vec![theirs; ADDED], vec![ours; ADDED]].concat(), "seed {seed}");
        }
        ignored += pair.ignored;
    }
    assert!(ignored > 20, "{ignored} offers have crossed");
}
