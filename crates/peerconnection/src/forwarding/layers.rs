//! Which of the streams of a transceiver is forwarded: of the layers of simulcast the one that fits.

use std::sync::Arc;
use std::time::Duration;

use proto::Instant;
use session::StreamId;

/// The streams of a transceiver, with what comes of each in a second.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    since: Option<Instant>,
    counts: Vec<(StreamId, u64)>,
    rates: Arc<Vec<(StreamId, u64)>>,
}

impl Layers {
    /// So many bytes of a stream came. Gives the rates of all, in bit/s, of the last second that was measured.
    pub(crate) fn count(&mut self, now: Instant, stream: StreamId, len: usize) -> Arc<Vec<(StreamId, u64)>> {
        let since = *self.since.get_or_insert(now);
        let bits = u64::try_from(len).unwrap_or(u64::MAX).saturating_mul(8);
        if let Some((_, count)) = self.counts.iter_mut().find(|(it, _)| *it == stream) {
            *count = count.saturating_add(bits);
        } else if self.counts.len() < MAX_LAYERS {
            self.counts.push((stream, bits));
        }
        let elapsed = now - since;
        if elapsed >= MEASURED {
            let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = |(stream, bits): (StreamId, u64)| (stream, bits.saturating_mul(1000) / millis);
            let mut rates: Vec<_> = self.counts.drain(..).map(rate).collect();
            rates.sort_unstable_by_key(|(_, rate)| *rate);
            self.rates = Arc::new(rates);
            self.since = Some(now);
        }
        self.rates.clone()
    }
}

/// Over how much time rates are measured.
const MEASURED: Duration = Duration::from_secs(1);
/// Streams whose rates are measured: those of simulcast are three in practice.
const MAX_LAYERS: usize = 16;

/// Which of several streams goes out.
#[derive(Debug, Default)]
pub(crate) struct LayerChoice {
    pub current: Option<StreamId>,
    asked: Option<(StreamId, Instant)>,
    /// What may be sent, in bit/s.
    pub target: Option<u64>,
}

impl LayerChoice {
    /// The stream that should go out: the highest that fits, with something to spare where it is not the present one; the
    /// lowest if none does.
    fn wanted(&self, rates: &[(StreamId, u64)]) -> Option<StreamId> {
        let fits = |(stream, rate): &&(StreamId, u64)| {
            let spare = if self.current == Some(*stream) { 0 } else { rate / 5 };
            self.target.is_some_and(|target| rate.saturating_add(spare) <= target)
        };
        let best = rates.iter().rev().find(fits).or_else(|| rates.first());
        best.map(|(stream, _)| *stream)
    }

    /// Whether a packet goes out, and of which stream a key frame is to be asked for.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        stream: StreamId,
        begins_key_frame: bool,
        rates: &[(StreamId, u64)],
    ) -> (bool, Option<StreamId>) {
        let wanted = self.wanted(rates).or(self.current).unwrap_or(stream);
        if self.current == Some(wanted) {
            self.asked = None;
        } else if stream == wanted && begins_key_frame {
            (self.current, self.asked) = (Some(wanted), None);
        }
        let goes_out = self.current == Some(stream);
        let was_asked = self.asked.is_some_and(|(it, at)| it == wanted && now - at < ASK_AGAIN);
        if self.current == Some(wanted) || was_asked {
            return (goes_out, None);
        }
        self.asked = Some((wanted, now));
        (goes_out, Some(wanted))
    }
}

/// After so long without a key frame another one is asked for.
const ASK_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    const LAYERS: [(StreamId, u64); 3] =
        [(StreamId(2), 100_000), (StreamId(0), 500_000), (StreamId(1), 2_000_000)];

    #[test]
    fn the_only_stream_goes_out_from_its_first_key_frame_on() {
        let mut choice = LayerChoice::default();
        let only = StreamId(7);
        assert_eq!(choice.take(at(0), only, false, &[]), (false, Some(only)));
        assert_eq!(choice.take(at(999), only, false, &[]), (false, None));
        assert_eq!(choice.take(at(1000), only, false, &[]), (false, Some(only)), "it is asked for again");
        assert_eq!(choice.take(at(1001), only, true, &[]), (true, None));
        assert_eq!(
            choice.take(at(1002), only, false, &[(only, 9_000_000)]),
            (true, None),
            "whatever it takes"
        );
    }

    #[test]
    fn the_highest_layer_that_fits_goes_out_and_changes_are_to_key_frames() {
        let mut choice = LayerChoice { target: Some(599_999), ..LayerChoice::default() };
        assert_eq!(choice.take(at(0), StreamId(2), true, &LAYERS), (true, None), "but for a fifth");
        choice.target = Some(600_000);
        assert_eq!(choice.take(at(1), StreamId(0), true, &LAYERS), (true, None));
        // A little less than before is no reason to change.
        choice.target = Some(500_000);
        assert_eq!(choice.take(at(2), StreamId(0), false, &LAYERS), (true, None));
        choice.target = Some(499_999);
        assert_eq!(choice.take(at(3), StreamId(0), false, &LAYERS), (true, Some(StreamId(2))));
        assert_eq!(choice.take(at(4), StreamId(2), false, &LAYERS), (false, None));
        assert_eq!(choice.take(at(5), StreamId(2), true, &LAYERS), (true, None));
        assert_eq!(choice.take(at(6), StreamId(0), true, &LAYERS), (false, None));
        // One that does not come any more is left.
        choice.target = Some(10_000_000);
        assert_eq!(choice.take(at(7), StreamId(1), true, &LAYERS[..2]), (false, Some(StreamId(0))));
    }

    #[test]
    fn rates_are_those_of_the_last_second_and_of_as_many_layers_as_the_limit() {
        let mut layers = Layers::default();
        for step in 0..100 {
            assert!(layers.count(at(step * 10), StreamId(1), 1000).is_empty());
            layers.count(at(step * 10), StreamId(0), 100);
        }
        let rates = layers.count(at(1000), StreamId(0), 100);
        assert_eq!(*rates, [(StreamId(0), 80_800), (StreamId(1), 800_000)]);
        for number in 0..=16 {
            layers.count(at(1001), StreamId(number), 1);
        }
        assert_eq!(layers.count(at(2001), StreamId(0), 1).len(), 16);
    }
}
