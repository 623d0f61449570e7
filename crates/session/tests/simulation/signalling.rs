//! The signalling between two applications, which may lose, repeat, delay and reorder what it carries.

use std::collections::BTreeMap;

use proto::Instant;
use session::{
    CandidateError, GatheringState, LocalCandidate, NegotiationError, SdpType, SessionDescription,
    SignalingState,
};
use testkit::World;

use crate::application::Applications;
use crate::harness::{Node, session};
use crate::plan::{Draw, Plan, seed_bytes};

/// What is on its way between the applications, and what they keep of it.
#[derive(Debug)]
pub struct Signalling {
    draw: Draw,
    delay: u32,
    /// The share that is lost or repeated, in percent.
    loss: u32,
    repeat: u32,
    /// Candidates for this side are lost at the same rate.
    loses_candidates: Option<usize>,
    mail: BTreeMap<(Instant, u64), (usize, Mail)>,
    mailed: u64,
    /// When the last description for each side arrives: descriptions stay in order.
    last_description: [Instant; 2],
    /// The number of the last description that each side has taken: an application knows a repeated one.
    taken: [u64; 2],
    held: [Vec<LocalCandidate>; 2],
    /// A description that waits for the end of gathering.
    unsent: [Option<SdpType>; 2],
}

#[derive(Clone, Debug)]
pub enum Mail {
    Description(SdpType, String),
    Candidate(LocalCandidate),
}

impl Signalling {
    pub fn new(plan: &Plan, now: Instant) -> Self {
        Self {
            draw: Draw::new(&seed_bytes(plan.seed), "signalling"),
            delay: u32::try_from(plan.signal_delay.as_millis()).unwrap(),
            loss: plan.signal_loss,
            repeat: plan.signal_repeat,
            loses_candidates: plan.loses_candidates,
            mail: BTreeMap::new(),
            mailed: 0,
            last_description: [now; 2],
            taken: [0; 2],
            held: [Vec::new(), Vec::new()],
            unsent: [None, None],
        }
    }

    /// When something is delivered next.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.mail.keys().map(|(due, _)| *due).find(|due| *due > now)
    }

    pub fn is_quiet(&self) -> bool {
        self.mail.is_empty() && self.unsent == [None, None]
    }

    pub fn post(&mut self, now: Instant, to: usize, mail: Mail) {
        let mut due = now + self.draw.millis(self.delay);
        let is_description = matches!(mail, Mail::Description(..));
        let losses = |draw: &mut Draw, share| if share == 0 { 0 } else { draw.run_of(share) };
        if is_description {
            // What is lost is sent again after a second.
            due += std::time::Duration::from_secs(losses(&mut self.draw, self.loss).into());
            due = due.max(self.last_description[to]);
            self.last_description[to] = due;
        } else if self.loses_candidates == Some(to) && losses(&mut self.draw, self.loss) > 0 {
            return;
        }
        self.mailed += 1;
        let number = self.mailed;
        if self.repeat > 0 && self.draw.chance(self.repeat) {
            let again = due + self.draw.millis(2000);
            self.mail.insert((again, number), (to, mail.clone()));
            self.mailed += 1;
        }
        self.mail.insert((due, number), (to, mail));
    }
}

impl Applications {
    pub fn offer(&mut self, world: &mut World<Node>, side: usize) {
        let clock = world.clock(self.hosts[side]);
        let session = session(world, self.hosts[side]);
        let offer = session.create_offer(clock).unwrap();
        session.set_local(clock, SdpType::Offer, offer).unwrap();
        self.set_locally(world, side, SdpType::Offer);
    }

    fn set_locally(&mut self, world: &mut World<Node>, side: usize, kind: SdpType) {
        self.signalling.unsent[side] = Some(kind);
        let gathered = session(world, self.hosts[side]).gathering_state() == GatheringState::Complete;
        if !self.plan.half_trickle || gathered {
            self.send_description(world, side);
        }
    }

    pub fn send_description(&mut self, world: &mut World<Node>, side: usize) {
        let Some(wanted) = self.signalling.unsent[side].take() else { return };
        let (kind, text) = session(world, self.hosts[side]).local_description().unwrap();
        if kind == wanted {
            let mail = Mail::Description(kind, text.to_string());
            self.signalling.post(world.now(), 1 - side, mail);
        }
    }

    pub fn deliver_mail(&mut self, world: &mut World<Node>) {
        let now = world.now();
        let due: Vec<_> = self.signalling.mail.keys().take_while(|(due, _)| *due <= now).copied().collect();
        for key @ (_, number) in due {
            let (side, mail) = self.signalling.mail[&key].clone();
            if world.is_asleep(self.hosts[side]) {
                continue;
            }
            self.signalling.mail.remove(&key);
            match mail {
                Mail::Candidate(candidate) => self.signalling.held[side].push(candidate),
                Mail::Description(kind, text) if number > self.signalling.taken[side] => {
                    self.signalling.taken[side] = number;
                    self.take_description(world, side, kind, &text);
                }
                Mail::Description(kind, text) => self.take_repeated(world, side, kind, &text),
            }
            self.add_candidates(world, side);
        }
    }

    fn take_description(&mut self, world: &mut World<Node>, side: usize, kind: SdpType, text: &str) {
        let clock = world.clock(self.hosts[side]);
        let description = SessionDescription::parse(text).unwrap();
        let session = session(world, self.hosts[side]);
        let collides = session.signaling_state() == SignalingState::HaveLocalOffer && kind == SdpType::Offer;
        if collides && side == self.plan.offerer {
            // The other side gives in.
            return;
        }
        if collides {
            self.signalling.unsent[side] = None;
        }
        session.set_remote(clock, kind, description).unwrap();
        if kind == SdpType::Offer {
            let answer = session.create_answer(clock).unwrap();
            session.set_local(clock, SdpType::Answer, answer).unwrap();
            self.set_locally(world, side, SdpType::Answer);
        }
    }

    /// An application drops an offer that it has seen. An answer is refused by the session itself.
    fn take_repeated(&self, world: &mut World<Node>, side: usize, kind: SdpType, text: &str) {
        let clock = world.clock(self.hosts[side]);
        let session = session(world, self.hosts[side]);
        let before = session.signaling_state();
        if kind == SdpType::Answer && before == SignalingState::Stable {
            let refused = session.set_remote(clock, kind, SessionDescription::parse(text).unwrap());
            assert_eq!(refused, Err(NegotiationError::WrongState(before)));
        }
    }

    fn add_candidates(&mut self, world: &mut World<Node>, side: usize) {
        let clock = world.clock(self.hosts[side]);
        let session = session(world, self.hosts[side]);
        self.signalling.held[side].retain(|held| {
            let LocalCandidate { candidate, mid, section, ufrag } = held;
            match session.add_remote_candidate(clock, candidate, Some(mid), Some(*section), Some(ufrag)) {
                Ok(()) => false,
                Err(CandidateError::NoRemoteDescription | CandidateError::UnknownUfrag) => true,
                Err(error) => panic!("{candidate}: {error}"),
            }
        });
    }

    pub fn restart(&mut self, world: &mut World<Node>) {
        let Some((side, after)) = self.plan.restart else { return };
        let due = world.now() >= self.start + after && self.connected_at.iter().all(Option::is_some);
        let stable =
            self.hosts.iter().all(|host| session(world, *host).signaling_state() == SignalingState::Stable);
        let awake = self.awake(world).contains(&side);
        if !self.restarted && due && stable && awake && self.signalling.mail.is_empty() {
            self.restarted = true;
            session(world, self.hosts[side]).restart_ice();
            self.offer(world, side);
        }
    }
}
