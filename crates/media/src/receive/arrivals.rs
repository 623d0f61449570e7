use std::time::Duration;

use proto::Instant;
use rtp::rtcp::{Arrived, Encoder, TICK, TransportFeedback};
use rtp::{SequenceNumber, Ssrc};

use super::window::Window;

/// When packets of the transport have arrived, for feedback on them (draft-holmer-rmcat-transport-wide-cc-extensions §3). One for all
/// streams of a transport.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    limit: usize,
    /// In ticks.
    window: Window<u64>,
    feedback_count: u8,
    dropped: u64,
}

impl Arrivals {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, window: Window::new(), feedback_count: 0, dropped: 0 }
    }

    /// A packet with this transport-wide number came.
    pub(crate) fn add(&mut self, now: Instant, sequence: SequenceNumber) {
        let tick = u64::try_from(TICK.as_nanos()).unwrap_or(1);
        let dropped = self.window.add(self.limit, sequence, now.as_nanos() / tick, |_| ());
        self.dropped = self.dropped.saturating_add(u64::try_from(dropped).unwrap_or(0));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.window.is_told()
    }

    /// Packets that no feedback was given on, as too many waited or they came too late.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Writes feedback on as many packets as there is room for. Gives whether it wrote any.
    pub(crate) fn write(&mut self, sender: Ssrc, media: Ssrc, out: &mut Encoder<'_, '_>) -> bool {
        let Some(begin) = self.window.begin() else { return false };
        let base = Some(SequenceNumber::from(begin));
        let about = TransportFeedback { sender, media, feedback_count: self.feedback_count, base };
        let arrived = self.window.since(begin);
        let arrived =
            arrived.map(|(number, ticks)| Arrived { sequence: SequenceNumber::from(number), ticks: *ticks });
        let Ok(count) = out.transport_cc(about, arrived) else { return false };
        let last = self.window.since(begin).take(count).last();
        if let Some((last, _)) = last {
            self.window.tell(last.saturating_add(1));
        }
        self.feedback_count = self.feedback_count.wrapping_add(1);
        true
    }
}

/// How often there is feedback on a transport (draft §2.2 leaves it open): as often as 5 % of what arrives allow, between 50 ms and
/// 250 ms, as senders know it from WebRTC.
pub(crate) fn interval(bitrate: u64) -> Duration {
    // A feedback on some twenty packets has about 70 bytes.
    let nanos = 70_u64.saturating_mul(8 * 20 * 1_000_000_000).checked_div(bitrate).unwrap_or(u64::MAX);
    Duration::from_nanos(nanos).clamp(MIN_INTERVAL, MAX_INTERVAL)
}

const MIN_INTERVAL: Duration = Duration::from_millis(50);
const MAX_INTERVAL: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::Writer;
    use rtp::rtcp::{Compound, Packet};

    use super::*;

    fn feedback(arrivals: &mut Arrivals) -> Vec<(u16, i64)> {
        let mut memory = [0; 1200];
        let mut out = Writer::new(&mut memory);
        while !arrivals.is_empty() && arrivals.write(Ssrc(1), Ssrc(2), &mut Encoder::new(&mut out)) {}
        let Ok(compound) = Compound::decode(out.written()) else { return Vec::new() };
        let read = compound.packets().flat_map(|packet| match packet {
            Ok(Packet::TransportCc(it)) => it.received().map(|(n, at)| (n.0, at)).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        });
        read.collect()
    }

    #[test]
    fn as_many_wait_as_the_limit_and_the_oldest_make_room() {
        let mut arrivals = Arrivals::new(3);
        (0..4).for_each(|number| arrivals.add(Instant::default(), SequenceNumber(number)));
        assert_eq!(feedback(&mut arrivals).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(arrivals.dropped(), 1);
    }

    #[test]
    fn what_is_lost_between_two_feedbacks_is_told() {
        let mut arrivals = Arrivals::new(100);
        let mut told = |numbers: &[u16]| {
            numbers.iter().for_each(|number| arrivals.add(Instant::default(), SequenceNumber(*number)));
            let mut memory = [0; 1200];
            let mut out = Writer::new(&mut memory);
            assert!(arrivals.write(Ssrc(1), Ssrc(2), &mut Encoder::new(&mut out)) && arrivals.is_empty());
            let compound = Compound::decode(out.written()).unwrap();
            let Packet::TransportCc(it) = compound.packets().next().unwrap().unwrap() else { panic!() };
            (it.base.0, it.count, it.received().map(|(number, _)| number.0).collect::<Vec<_>>())
        };
        assert_eq!(told(&[1, 2, 3]), (1, 3, vec![1, 2, 3]));
        assert_eq!(told(&[11, 13]), (4, 10, vec![11, 13]));
        // With one that comes late what was told is said again.
        assert_eq!(told(&[12, 15]), (12, 4, vec![12, 13, 15]));
        assert_eq!(told(&[16 + 20_000]), (16, 20_001, vec![20_016]));
    }

    #[test]
    fn feedback_comes_as_often_as_the_rate_allows() {
        for (bitrate, millis) in [(0, 250), (50_000, 224), (1_000_000, 50)] {
            assert_eq!(interval(bitrate).as_millis(), millis);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_packet_is_told_of_once_with_its_time(
            start in any::<u16>(),
            steps in proptest::collection::vec((-5_i32..9, 0_u64..40), 1..150),
        ) {
            let mut arrivals = Arrivals::new(4096);
            let (mut now, mut number) = (1_000, i64::from(start) + 65_536);
            let mut sent = std::collections::BTreeMap::new();
            for (step, millis) in steps {
                number += i64::from(step);
                now += millis;
                let wire = SequenceNumber(u16::try_from(number.rem_euclid(65_536)).unwrap());
                arrivals.add(Instant::from_nanos(now * 1_000_000), wire);
                sent.entry(number).or_insert((wire.0, now));
            }
            let told = feedback(&mut arrivals);
            prop_assert_eq!(told.len(), sent.len());
            for ((told, at), (wire, millis)) in told.iter().zip(sent.values()) {
                prop_assert_eq!(told, wire);
                prop_assert_eq!(*at, i64::try_from(*millis).unwrap() * 4);
            }
        }
    }
}
