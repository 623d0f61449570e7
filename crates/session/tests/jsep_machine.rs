//! THREATS P3: whatever two sessions are asked to do, in any order, no step panics, a refused one changes nothing, and when
//! both are at rest they agree.
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

use std::sync::Arc;

use crypto::Rng;
use harness::{CLOCK, config};
use session::{
    BundlePolicy, ChannelInit, Direction, Event, FrameConfig, MediaConfig, MediaKind, SdpType, SendEncoding,
    Session, SessionDescription, SignalingState, TransceiverId, TransceiverInit,
};
use testkit::epoch;

const DIRECTIONS: [Direction; 4] =
    [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];

/// Few, so that they are all used now and then.
const MAX_TRANSPORTS: usize = 3;

/// Two sessions, and the descriptions that are on their way.
struct Pair {
    sessions: [Session; 2],
    /// The last description that each side has set and the other may still get.
    carried: [Option<(SdpType, SessionDescription)>; 2],
    /// The provisional answer that each side has set last.
    provisional: [Option<SessionDescription>; 2],
    /// All that there were, for replays.
    old: Vec<(SdpType, SessionDescription)>,
    rng: Rng,
    tracks: [Vec<TransceiverId>; 2],
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut bytes = [3; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let sessions = [0, 1].map(|side| {
            let mut config = config(side);
            config.provider = testkit::null_provider();
            let policies = [BundlePolicy::Balanced, BundlePolicy::MaxCompat, BundlePolicy::MaxBundle];
            let number = if side == 0 { seed } else { seed / 3 };
            config.bundle_policy = policies[usize::try_from(number % 3).unwrap()];
            config.limits.max_transports = MAX_TRANSPORTS;
            // With machines of frames, too, which follow.
            config.frames = (seed % 2 == 1).then(|| Arc::new(FrameConfig::default()));
            Session::new(epoch(), CLOCK, config, [side + 1; 32]).unwrap()
        });
        Self {
            sessions,
            carried: [None, None],
            provisional: [None, None],
            old: Vec::new(),
            rng: Rng::new(bytes),
            tracks: [Vec::new(), Vec::new()],
        }
    }

    fn below(&mut self, bound: u32) -> usize {
        self.rng.below(bound) as usize
    }

    fn step(&mut self) {
        let side = self.below(2);
        match self.below(17) {
            0 => self.add(side),
            1 => {
                let streams = [vec![], vec!["s".to_owned()]][self.below(2)].clone();
                let kind = self.kind();
                let _ = self.sessions[side].add_track(epoch(), kind, streams);
            }
            2..=4 => self.change(side),
            5..=8 => self.create(side),
            9..=11 => self.deliver(side),
            12 => {
                let _ = self.sessions[side].rollback(epoch());
            }
            13 => self.deliver_broken(side),
            14 => {
                let _ = self.sessions[side].open_channel(epoch(), ChannelInit::labelled("chat"));
            }
            15 => self.confirm(side),
            _ => self.sessions[side].restart_ice(),
        }
        self.check(side);
    }

    fn kind(&mut self) -> MediaKind {
        [MediaKind::Audio, MediaKind::Video][self.below(2)]
    }

    fn add(&mut self, side: usize) {
        if self.sessions[side].transceivers().count() > 6 {
            return;
        }
        let kind = self.kind();
        let mut init = TransceiverInit::default();
        init.direction = DIRECTIONS[self.below(4)];
        init.has_track = self.below(2) == 0;
        if kind == MediaKind::Video && self.below(3) == 0 {
            init.send_encodings = ["a", "b"].map(|rid| SendEncoding::named(rid).unwrap()).to_vec();
        }
        self.sessions[side].add_transceiver(epoch(), kind, init).unwrap();
    }

    fn change(&mut self, side: usize) {
        let ids: Vec<TransceiverId> = self.sessions[side].transceivers().map(|(id, _)| id).collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.below(u32::try_from(ids.len()).unwrap())];
        let choice = self.below(5);
        let direction = DIRECTIONS[self.below(4)];
        let number = self.below(3);
        let session = &mut self.sessions[side];
        let _ = match choice {
            0 => session.set_direction(epoch(), id, direction),
            1 => session.stop_transceiver(epoch(), id),
            2 => session.remove_track(epoch(), id),
            3 => session.set_streams(epoch(), id, vec![number.to_string()]),
            _ => {
                let kind = session.transceiver(id).unwrap().kind;
                let all = MediaConfig::default().codecs.into_iter().filter(|codec| codec.kind == kind);
                session.set_codec_preferences(id, all.skip(number).collect())
            }
        };
    }

    fn create(&mut self, side: usize) {
        let kind = [SdpType::Offer, SdpType::Answer, SdpType::Pranswer][self.below(3)];
        let session = &mut self.sessions[side];
        let created = match kind {
            SdpType::Offer => session.create_offer(epoch()),
            SdpType::Answer | SdpType::Pranswer => session.create_answer(epoch()),
        };
        let Ok(created) = created else { return };
        let text = created.to_string();
        assert_eq!(SessionDescription::parse(&text).expect("own output is read").to_string(), text);
        session.set_local(epoch(), kind, created.clone()).expect("own description is set");
        self.provisional[side] = Some(created.clone()).filter(|_| kind == SdpType::Pranswer);
        self.old.push((kind, created.clone()));
        self.carried[side] = Some((kind, created));
    }

    /// The provisional answer becomes the final one, or comes once more, unless something else was created or set since.
    fn confirm(&mut self, side: usize) {
        let Some(answer) = self.provisional[side].clone() else { return };
        let kind = [SdpType::Answer, SdpType::Pranswer][self.below(2)];
        if self.sessions[side].set_local(epoch(), kind, answer.clone()).is_ok() {
            self.carried[side] = Some((kind, answer));
        }
    }

    fn deliver(&mut self, side: usize) {
        if let Some((kind, description)) = self.carried[1 - side].take() {
            // Now and then to one who has never heard of bundles.
            let is_apart = kind == SdpType::Offer && self.below(4) == 0;
            let description = if is_apart { unbundled(&description) } else { description };
            self.set_remote(side, kind, description);
        }
    }

    /// An old description, or one with lines taken out or swapped for others'.
    fn deliver_broken(&mut self, side: usize) {
        if self.old.is_empty() {
            return;
        }
        let number = self.below(u32::try_from(self.old.len()).unwrap());
        let (kind, description) = self.old[number].clone();
        let mut lines: Vec<String> = description.to_string().lines().map(str::to_owned).collect();
        for _ in 0..self.below(3) {
            let from = self.below(u32::try_from(lines.len()).unwrap());
            let to = self.below(u32::try_from(lines.len()).unwrap());
            match self.below(3) {
                0 => drop(lines.remove(from)),
                1 => lines.swap(from, to),
                _ => lines[from] = lines[to].clone(),
            }
        }
        let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        if let Ok(broken) = SessionDescription::parse(&text) {
            self.set_remote(side, kind, broken);
        }
    }

    fn set_remote(&mut self, side: usize, kind: SdpType, description: SessionDescription) {
        let before = snapshot(&self.sessions[side]);
        if self.sessions[side].set_remote(epoch(), kind, description).is_err() {
            assert_eq!(snapshot(&self.sessions[side]), before, "a refused description changes nothing");
        }
    }

    /// What the specifications say of every state.
    fn check(&mut self, side: usize) {
        let session = &mut self.sessions[side];
        let mut mids = Vec::new();
        let mut ssrcs = Vec::new();
        for (id, info) in session.transceivers() {
            // W3C WebRTC 1.0 §5.4: what was agreed upon belongs to a section.
            assert!(info.current_direction.is_none() || info.negotiated.is_some());
            mids.extend(info.mid.map(str::to_owned));
            ssrcs.extend(info.encodings.iter().flat_map(|encoding| [encoding.ssrc, encoding.rtx]));
            assert!(!info.encodings.is_empty(), "{id}");
        }
        let count = (mids.len(), ssrcs.len());
        mids.sort();
        mids.dedup();
        ssrcs.sort();
        ssrcs.dedup();
        assert_eq!((mids.len(), ssrcs.len()), count, "each name and each SSRC is one transceiver's");
        while session.poll_sockets().is_some() {}
        let report = session.statistics(epoch());
        let transports = report.iter().filter(|(id, _)| id.as_str().starts_with('T')).count();
        assert!(transports <= MAX_TRANSPORTS, "{transports} transports");
        while let Some(event) = session.poll_event() {
            match event {
                Event::Track(id) => {
                    let joins = session.transceiver(id).is_some_and(|it| !it.remote_streams.is_empty());
                    if self.tracks[side].contains(&id) {
                        assert!(joins, "a track comes once, and again to another stream");
                    } else {
                        self.tracks[side].push(id);
                    }
                }
                Event::TrackRemoved(id) => {
                    let place = self.tracks[side].iter().position(|known| *known == id);
                    self.tracks[side].remove(place.expect("only what has come can go"));
                }
                Event::NegotiationNeeded => {
                    assert_eq!(session.signaling_state(), SignalingState::Stable, "W3C WebRTC 1.0 §4.7.3");
                }
                _ => {}
            }
        }
    }

    /// Ends what is under way, exchanges one offer with its answer, and finds both of one mind.
    fn agree(&mut self, offerer: usize) {
        for session in &mut self.sessions {
            let state = session.signaling_state();
            if matches!(state, SignalingState::HaveLocalOffer | SignalingState::HaveRemoteOffer) {
                session.rollback(epoch()).unwrap();
            }
            if session.signaling_state() != SignalingState::Stable {
                return;
            }
        }
        let [a, b] = &mut self.sessions;
        let [a, b] = if offerer == 0 { [a, b] } else { [b, a] };
        let offer = a.create_offer(epoch()).unwrap();
        a.set_local(epoch(), SdpType::Offer, offer.clone()).unwrap();
        if b.set_remote(epoch(), SdpType::Offer, offer).is_err() {
            // A broken description was taken before: they do not know the same sections.
            a.rollback(epoch()).unwrap();
            return;
        }
        let answer = b.create_answer(epoch()).unwrap();
        b.set_local(epoch(), SdpType::Answer, answer.clone()).unwrap();
        if a.set_remote(epoch(), SdpType::Answer, answer).is_err() {
            a.rollback(epoch()).unwrap();
            return;
        }
        for (_, info) in a.transceivers() {
            let mid = info.mid.expect("every transceiver was offered");
            let theirs = b.transceivers().find(|(_, other)| other.mid == Some(mid));
            let (_, theirs) = theirs.expect("the other side has it too");
            assert_eq!(info.current_direction.map(Direction::reversed), theirs.current_direction);
            let (ours, theirs) = (info.negotiated.unwrap(), theirs.negotiated.unwrap());
            let numbers = |codecs: &[session::CodecParameters]| -> Vec<_> {
                codecs.iter().map(|codec| (codec.payload_type, codec.rtx, codec.feedback)).collect()
            };
            assert_eq!(numbers(&ours.send), numbers(theirs.receive()));
            assert_eq!(numbers(ours.receive()), numbers(&theirs.send));
            assert_eq!(ours.extensions, theirs.extensions);
        }
        self.carried = [None, None];
        self.check(0);
        self.check(1);
    }
}

fn unbundled(description: &SessionDescription) -> SessionDescription {
    let text = description.to_string();
    let is_kept = |line: &&str| !line.starts_with("a=group:BUNDLE") && *line != "a=bundle-only";
    let kept: String = text.lines().filter(is_kept).map(|line| format!("{line}\r\n")).collect();
    SessionDescription::parse(&kept).unwrap()
}

fn snapshot(session: &Session) -> String {
    let transceivers: Vec<String> =
        session.transceivers().map(|(id, info)| format!("{id}: {info:?}")).collect();
    let remote = session.remote_description().map(|(kind, text)| (*kind, text.to_string()));
    let local = session.local_description().map(|(kind, text)| (kind, text.to_string()));
    format!("{:?} {transceivers:?} {remote:?} {local:?}", session.signaling_state())
}

#[test]
fn any_calls_and_descriptions_in_any_order_leave_both_sides_sound() {
    // 40 steps each: 10,000 in CI.
    let pairs = testkit::scaled_at_least(10_000, 250);
    let (mut agreed, mut steps) = (0, 0);
    for seed in 0..pairs {
        let mut pair = Pair::new(seed);
        for _ in 0..40 {
            pair.step();
            steps += 1;
        }
        pair.agree(usize::try_from(seed % 2).unwrap());
        let is_stable = |session: &Session| session.signaling_state() == SignalingState::Stable;
        agreed += u64::from(pair.sessions.iter().all(is_stable));
    }
    assert!(
        steps >= 10_000 && agreed >= pairs / 2,
        "{agreed} of {pairs} pairs came to rest after {steps} steps"
    );
}
