//! Which of the streams of a transceiver is forwarded: of the layers of simulcast the one that fits.

use std::sync::Arc;
use std::time::Duration;

use proto::Instant;
use session::StreamId;

/// The streams of a transceiver, with what comes of each in a second.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    since: Option<Instant>,
    streams: Vec<Measured>,
    rates: Arc<Vec<(StreamId, u64)>>,
}

#[derive(Debug)]
struct Measured {
    stream: StreamId,
    /// Since rates were measured last.
    bits: u64,
    rate: Option<u64>,
    last: Instant,
}

impl Layers {
    /// So many bytes of a stream came. Gives the rates of all.
    pub(crate) fn count(&mut self, now: Instant, stream: StreamId, len: usize) -> Arc<Vec<(StreamId, u64)>> {
        let since = *self.since.get_or_insert(now);
        let bits = u64::try_from(len).unwrap_or(u64::MAX).saturating_mul(8);
        if let Some(known) = self.streams.iter_mut().find(|it| it.stream == stream) {
            (known.bits, known.last) = (known.bits.saturating_add(bits), now);
        } else if self.streams.len() < MAX_LAYERS {
            self.streams.push(Measured { stream, bits, rate: None, last: now });
        }
        if now - since >= MEASURED {
            self.measure(now, now - since);
        }
        self.rates.clone()
    }

    fn measure(&mut self, now: Instant, elapsed: Duration) {
        self.since = Some(now);
        self.streams.retain(|it| now - it.last < SILENCE);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        for it in &mut self.streams {
            let rate = std::mem::take(&mut it.bits).saturating_mul(1000) / millis;
            // Key frames are large and rare: half of the weight is the past's.
            it.rate = Some(it.rate.map_or(rate, |earlier| earlier.midpoint(rate)));
        }
        let mut rates: Vec<_> = self.streams.iter().map(|it| (it.stream, it.rate.unwrap_or(0))).collect();
        rates.sort_unstable_by_key(|(_, rate)| *rate);
        self.rates = Arc::new(rates);
    }

    /// What comes of each lately, in bit/s, the smallest first.
    pub(crate) fn rates(&self) -> Arc<Vec<(StreamId, u64)>> {
        self.rates.clone()
    }
}

/// Over how much time rates are measured.
const MEASURED: Duration = Duration::from_secs(1);
/// A stream of which nothing has come for so long is not there.
const SILENCE: Duration = Duration::from_secs(2);
/// Streams whose rates are measured: those of simulcast are three in practice.
const MAX_LAYERS: usize = 16;

/// Which of several streams goes out.
#[derive(Debug, Default)]
pub(crate) struct LayerChoice {
    pub current: Option<StreamId>,
    /// Of which stream a key frame was asked for, and when.
    pub asked: Option<(StreamId, Instant)>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    /// It goes out.
    pub goes_out: bool,
    /// Another stream begins with it: that counts once it is on its way.
    pub is_change: bool,
    /// Of this stream a key frame is to be asked for.
    pub asks_for: Option<StreamId>,
}

impl LayerChoice {
    /// The stream that should go out: the highest that fits into `target` bit/s, or the lowest if none does. One that is higher
    /// than the present one has to fit with a fifth to spare, so that nobody is sent to and fro.
    fn wanted(&self, rates: &[(StreamId, u64)], target: Option<u64>) -> Option<StreamId> {
        let current = rates.iter().position(|(stream, _)| Some(*stream) == self.current);
        let fits = |(at, (_, rate)): &(usize, &(StreamId, u64))| {
            let is_higher = current.is_some_and(|current| *at > current);
            let spare = if is_higher { rate / 5 } else { 0 };
            target.is_some_and(|target| rate.saturating_add(spare) <= target)
        };
        let best = rates.iter().enumerate().rfind(fits).map(|(_, layer)| layer);
        best.or_else(|| rates.first()).map(|(stream, _)| *stream)
    }

    /// What becomes of a packet of `stream`, where so much may be sent.
    pub(crate) fn step(
        &self,
        now: Instant,
        stream: StreamId,
        begins_key_frame: bool,
        rates: &[(StreamId, u64)],
        target: Option<u64>,
    ) -> Step {
        let wanted = self.wanted(rates, target).or(self.current).unwrap_or(stream);
        let is_it = self.current == Some(wanted);
        let is_change = !is_it && stream == wanted && begins_key_frame;
        let was_asked = self.asked.is_some_and(|(it, at)| it == wanted && now - at < ASK_AGAIN);
        Step {
            goes_out: is_change || self.current == Some(stream),
            is_change,
            asks_for: (!is_it && !is_change && !was_asked).then_some(wanted),
        }
    }

    /// A packet of this stream has gone out, the first of it.
    pub(crate) const fn change(&mut self, stream: StreamId) {
        (self.current, self.asked) = (Some(stream), None);
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

    /// Whether a packet goes out, and of which stream a key frame is asked for; what is sent arrives.
    fn take(
        choice: &mut LayerChoice,
        millis: u64,
        (stream, begins_key_frame): (u32, bool),
        rates: &[(StreamId, u64)],
        target: u64,
    ) -> (bool, Option<u32>) {
        let now = at(millis);
        let step = choice.step(now, StreamId(stream), begins_key_frame, rates, Some(target));
        if step.is_change {
            choice.change(StreamId(stream));
        }
        choice.asked = step.asks_for.map(|it| (it, now)).or(choice.asked);
        (step.goes_out, step.asks_for.map(|it| it.0))
    }

    #[test]
    fn the_only_stream_goes_out_from_its_first_key_frame_on() {
        let mut choice = LayerChoice::default();
        assert_eq!(take(&mut choice, 0, (7, false), &[], 0), (false, Some(7)));
        assert_eq!(take(&mut choice, 999, (7, false), &[], 0), (false, None));
        assert_eq!(take(&mut choice, 1000, (7, false), &[], 0), (false, Some(7)), "it is asked for again");
        assert_eq!(take(&mut choice, 1001, (7, true), &[], 0), (true, None));
        let rates = [(StreamId(7), 9_000_000)];
        assert_eq!(take(&mut choice, 1002, (7, false), &rates, 0), (true, None), "whatever it takes");
    }

    #[test]
    fn the_highest_layer_that_fits_goes_out_and_changes_are_to_key_frames() {
        let mut choice = LayerChoice::default();
        // To begin with nothing needs to be spared.
        assert_eq!(take(&mut choice, 0, (2, true), &LAYERS, 499_999), (true, None));
        assert_eq!(take(&mut choice, 1, (2, false), &LAYERS, 599_999), (true, None), "but for a fifth");
        assert_eq!(take(&mut choice, 2, (0, true), &LAYERS, 600_000), (true, None));
        // A little less than before is no reason to change.
        assert_eq!(take(&mut choice, 3, (0, false), &LAYERS, 500_000), (true, None));
        assert_eq!(take(&mut choice, 4, (0, false), &LAYERS, 499_999), (true, Some(2)));
        assert_eq!(take(&mut choice, 5, (2, false), &LAYERS, 499_999), (false, None));
        assert_eq!(take(&mut choice, 6, (2, true), &LAYERS, 499_999), (true, None));
        assert_eq!(take(&mut choice, 7, (0, true), &LAYERS, 499_999), (false, None));
        // One that does not come any more is left.
        assert_eq!(take(&mut choice, 8, (1, true), &LAYERS[..2], 10_000_000), (false, Some(0)));
    }

    #[test]
    fn a_lower_layer_needs_nothing_to_spare() {
        let mut choice = LayerChoice::default();
        choice.change(StreamId(1));
        assert_eq!(take(&mut choice, 0, (1, false), &LAYERS, 500_000), (true, Some(0)));
        assert_eq!(take(&mut choice, 1, (1, false), &LAYERS, 499_999), (true, Some(2)));
    }

    #[test]
    fn a_change_whose_first_packet_was_not_sent_is_none() {
        let mut choice = LayerChoice::default();
        choice.change(StreamId(2));
        let first = choice.step(at(0), StreamId(0), true, &LAYERS, Some(900_000));
        assert!(first.goes_out && first.is_change);
        // It was not sent: the one before goes on, and another key frame is asked for.
        let step = choice.step(at(1), StreamId(0), false, &LAYERS, Some(900_000));
        assert_eq!(step, Step { goes_out: false, is_change: false, asks_for: Some(StreamId(0)) });
        assert!(choice.step(at(2), StreamId(2), false, &LAYERS, Some(900_000)).goes_out);
    }

    #[test]
    fn rates_are_smoothed_and_streams_that_fall_silent_are_not_there() {
        let mut layers = Layers::default();
        for step in 0..=20 {
            let len = if step < 10 { 12_500 } else { 37_500 };
            layers.count(at(step * 100), StreamId(0), len);
        }
        assert_eq!(*layers.rates(), [(StreamId(0), 2_150_000)], "half of 1.3 and half of 3 Mbit/s");
        layers.count(at(2001), StreamId(1), 100);
        assert_eq!(layers.count(at(3000), StreamId(1), 100).len(), 2);
        assert_eq!(layers.count(at(4000), StreamId(1), 100).len(), 1);
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
