use std::time::Duration;

use proto::Instant;

use super::{Marking, PacketResult};
use crate::later::Blank;

/// How marks of congestion are answered: once for what was sent between one answer's effect and the next.
///
/// Marks on packets that left before the last answer had its effect speak of the rate before it (RFC 3168 §6.1.2 has one answer for a
/// window of data). Those on packets of probes speak of the probe's rate. Both are passed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// Of the round trip that is being counted.
    marked: u32,
    all: u32,
    began: Instant,
    /// The average share of marked packets (DCTCP's alpha, RFC 8257 §3.3), from the first mark on.
    average: Option<f64>,
    /// Since when packets leave as the last answer has it, and whether one of them was marked.
    since: Instant,
    is_new: bool,
    /// When feedback told of a mark last, as long as that is not long ago.
    last: Option<Instant>,
}

impl Blank for Marks {
    fn blank() -> &'static Self {
        static NEW: Marks = Marks::NEW;
        &NEW
    }
}

impl Marks {
    pub(super) const NEW: Self = Self {
        marked: 0,
        all: 0,
        began: Instant::from_nanos(0),
        average: None,
        since: Instant::from_nanos(0),
        is_new: false,
        last: None,
    };

    /// Whether the path marks packets, so that frames should leave spread over the time to the next.
    pub(super) const fn are_there(&self) -> bool {
        self.last.is_some()
    }

    /// A packet arrived.
    pub(super) fn add(&mut self, result: &PacketResult) {
        if result.packet.probe.is_none() {
            self.all = self.all.saturating_add(1);
            self.marked = self.marked.saturating_add(result.congestion.into());
            self.is_new |= result.congestion && result.packet.at >= self.since;
        }
    }

    /// By what the rate is to be multiplied, if at all.
    pub(super) fn answer(&mut self, now: Instant, round_trip: Duration, marking: Marking) -> Option<f64> {
        if self.marked > 0 {
            self.last = Some(now);
        } else if self.last.is_some_and(|last| now - last > MEMORY) {
            self.last = None;
        }
        if self.all >= MIN_PACKETS && now - self.began >= round_trip {
            let share = f64::from(self.marked) / f64::from(self.all);
            self.average = match self.average {
                Some(average) => Some(average + (share - average) * GAIN),
                None => (self.marked > 0).then_some(share),
            };
            (self.marked, self.all, self.began) = (0, 0, now);
        }
        let factor = match marking {
            Marking::Classic => CLASSIC,
            Marking::Scalable => 1.0 - self.average? / 2.0,
        };
        if !std::mem::take(&mut self.is_new) {
            return None;
        }
        self.has_answer(now);
        Some(factor)
    }

    /// The rate was cut: what left before that has its effect speaks of the rate before.
    pub(super) fn has_answer(&mut self, now: Instant) {
        (self.since, self.is_new) = (now + RESPONSE, false);
    }
}

/// Until an encoder follows: what the draft adds to the round trip for a response time (draft-ietf-rmcat-gcc-02 §5.5).
const RESPONSE: Duration = Duration::from_millis(100);
/// RFC 8511 §3: milder than for a loss.
const CLASSIC: f64 = 0.85;
/// RFC 8257 §4.2.
const GAIN: f64 = 1.0 / 16.0;
/// So long without a mark the path is thought not to mark.
const MEMORY: Duration = Duration::from_secs(30);
/// Fewer say nothing of a share.
const MIN_PACKETS: u32 = 5;

#[cfg(test)]
mod tests {
    use rtp::{SequenceNumber, Ssrc};

    use super::*;
    use crate::{PacketKind, SentPacket};

    const TRIP: Duration = Duration::from_millis(100);

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn add(marks: &mut Marks, sent: Instant, congestion: bool, probe: Option<u32>) {
        let packet = SentPacket {
            transport: 1,
            ssrc: Ssrc(1),
            sequence: SequenceNumber(1),
            bytes: 1000,
            at: sent,
            kind: PacketKind::Video,
            probe,
            told: crate::Told::Nothing,
        };
        marks.add(&PacketResult { packet, arrival: Some(0), congestion });
    }

    /// Packets each millisecond, of which one in `every` is marked; feedback each 50 ms after a round trip. Gives the answers.
    fn run(marking: Marking, every: u64, millis: u64) -> Vec<(u64, f64)> {
        let (mut marks, mut answers) = (Marks::NEW, Vec::new());
        for now in (150..millis).step_by(50) {
            (now - 150..now - 100).for_each(|sent| add(&mut marks, at(sent), sent % every == 0, None));
            answers.extend(marks.answer(at(now), TRIP, marking).map(|factor| (now, factor)));
        }
        answers
    }

    #[test]
    fn classic_marks_are_answered_once_until_the_answer_had_its_effect() {
        let answers = run(Marking::Classic, 10, 1000);
        // From the answer 100 ms until packets leave more slowly, and a round trip until they are told of.
        assert_eq!(answers[..3], [(150, 0.85), (400, 0.85), (650, 0.85)]);
    }

    #[test]
    fn scalable_marks_are_answered_in_proportion() {
        let answers = run(Marking::Scalable, 5, 2000);
        assert_eq!(answers[0], (150, 0.9), "half of a fifth, from the first round on");
        assert!(answers.iter().all(|(_, factor)| (factor - 0.9).abs() < 1e-9), "{answers:?}");
        assert!(answers.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 200), "{answers:?}");
        let all = run(Marking::Scalable, 1, 1000);
        assert_eq!(all[0].1, 0.5);
    }

    #[test]
    fn the_share_is_an_average_that_follows_by_a_sixteenth_each_round() {
        let mut marks = Marks::NEW;
        (0..10).for_each(|_| add(&mut marks, at(0), true, None));
        assert_eq!(marks.answer(at(100), TRIP, Marking::Scalable), Some(0.5));
        for round in 2..18 {
            (0..10).for_each(|_| add(&mut marks, at(round * 100), false, None));
            assert_eq!(marks.answer(at(round * 100), TRIP, Marking::Scalable), None);
        }
        add(&mut marks, at(1800), true, None);
        // (15/16)^16 is 0.356.
        let factor = marks.answer(at(1800), TRIP, Marking::Scalable).unwrap();
        assert!((factor - (1.0 - 0.356 / 2.0)).abs() < 0.001, "{factor}");
    }

    #[test]
    fn that_a_path_marks_is_remembered_for_half_a_minute() {
        let mut marks = Marks::NEW;
        assert!(!marks.are_there());
        (0..10).for_each(|_| add(&mut marks, at(0), true, None));
        assert!(marks.answer(at(100), TRIP, Marking::Classic).is_some() && marks.are_there());
        assert!(marks.answer(at(30_100), TRIP, Marking::Classic).is_none() && marks.are_there());
        assert!(marks.answer(at(30_101), TRIP, Marking::Classic).is_none() && !marks.are_there());
    }

    #[test]
    fn marks_on_probes_are_about_the_probe() {
        for marking in [Marking::Classic, Marking::Scalable] {
            let mut marks = Marks::NEW;
            (0..10).for_each(|_| add(&mut marks, at(0), true, Some(1)));
            assert_eq!(marks.answer(at(100), TRIP, marking), None);
        }
    }
}
