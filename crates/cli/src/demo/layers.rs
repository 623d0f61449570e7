//! Which of the streams of simulcast one receiver gets.

use std::time::Duration;

use peerline::{Rid, StreamId};
use tokio::time::Instant;

/// The streams of one video, each with what it takes.
#[derive(Debug)]
pub(crate) struct Layers {
    layers: Vec<Layer>,
    since: Instant,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    /// Which.
    pub stream: StreamId,
    /// Its name, where there are several.
    pub rid: Option<Rid>,
    /// Bit/s, of late.
    pub rate: u64,
    bytes: u64,
    last: Instant,
}

impl Layers {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { layers: Vec::new(), since: now }
    }

    /// A packet came. Of more streams than there may be the ones that come late are not counted, so that nobody gets them.
    pub(crate) fn count(&mut self, now: Instant, stream: StreamId, rid: Option<Rid>, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        if let Some(layer) = self.layers.iter_mut().find(|layer| layer.stream == stream) {
            layer.bytes = layer.bytes.saturating_add(bytes);
            layer.last = now;
        } else if self.layers.len() < MAX_LAYERS {
            self.layers.push(Layer { stream, rid, rate: 0, bytes, last: now });
        }
    }

    /// To be called once in a while: takes the rates anew, and forgets streams that have fallen silent.
    pub(crate) fn measure(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since).as_millis();
        let Some(elapsed) = u64::try_from(elapsed).ok().filter(|elapsed| *elapsed > 0) else { return };
        self.since = now;
        self.layers.retain(|layer| now.saturating_duration_since(layer.last) < SILENCE);
        for layer in &mut self.layers {
            let rate = std::mem::take(&mut layer.bytes).saturating_mul(8000) / elapsed;
            // Key frames are large and rare: half of the weight is the past's.
            layer.rate = if layer.rate == 0 { rate } else { layer.rate.midpoint(rate) };
        }
        self.layers.sort_by_key(|layer| layer.rate);
    }

    /// The best stream that fits into `target` bit/s, and the least if none does. One that is better than `current` has to fit
    /// with something to spare, so that nobody is sent to and fro.
    pub(crate) fn choose(&self, target: u64, current: Option<StreamId>) -> Option<Layer> {
        let current = self.layers.iter().position(|layer| Some(layer.stream) == current);
        let fits = |(at, layer): (usize, &Layer)| {
            let is_better = current.is_some_and(|current| at > current);
            let needed = if is_better { layer.rate.saturating_add(layer.rate / 8) } else { layer.rate };
            (needed <= target).then_some(*layer)
        };
        self.layers.iter().enumerate().filter_map(fits).next_back().or_else(|| self.layers.first().copied())
    }

    /// All of them, the smallest first.
    pub(crate) fn all(&self) -> &[Layer] {
        &self.layers
    }

    /// What the largest takes.
    pub(crate) fn largest(&self) -> u64 {
        self.layers.last().map_or(0, |layer| layer.rate)
    }
}

/// Streams of one video.
const MAX_LAYERS: usize = 8;
/// A stream of which nothing has come for so long is not there.
const SILENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A second of each of these rates, in kbit/s.
    fn layers(now: Instant, rates: &[u64]) -> Layers {
        let mut layers = Layers::new(now);
        for (number, rate) in (0..).zip(rates) {
            layers.count(now + SECOND, StreamId(number), None, usize::try_from(rate * 125).unwrap());
        }
        layers.measure(now + SECOND);
        layers
    }

    fn chosen(layers: &Layers, kilobits: u64, current: Option<u32>) -> Option<u32> {
        layers.choose(kilobits * 1000, current.map(StreamId)).map(|layer| layer.stream.0)
    }

    #[test]
    fn the_best_that_fits_is_chosen_and_the_least_if_none_does() {
        let layers = layers(Instant::now(), &[800, 100, 300]);
        for (target, expected) in
            [(0, 1), (99, 1), (100, 1), (299, 1), (300, 2), (799, 2), (800, 0), (9000, 0)]
        {
            assert_eq!(chosen(&layers, target, None), Some(expected), "{target} kbit/s");
        }
        assert_eq!(chosen(&Layers::new(Instant::now()), 1000, None), None);
    }

    #[test]
    fn a_better_one_needs_room_to_spare_and_the_present_one_does_not() {
        let layers = layers(Instant::now(), &[100, 300, 800]);
        assert_eq!(chosen(&layers, 310, Some(0)), Some(0));
        assert_eq!(chosen(&layers, 340, Some(0)), Some(1));
        assert_eq!(chosen(&layers, 310, Some(1)), Some(1));
        assert_eq!(chosen(&layers, 290, Some(1)), Some(0));
        assert_eq!(chosen(&layers, 899, Some(0)), Some(1));
        assert_eq!(chosen(&layers, 900, Some(0)), Some(2));
    }

    #[test]
    fn streams_that_fall_silent_are_not_chosen_and_no_more_are_known_than_the_limit() {
        let now = Instant::now();
        let mut layers = layers(now, &[100, 300]);
        for step in 1..4 {
            layers.count(now + SECOND * (1 + step), StreamId(0), None, 12_500);
            layers.measure(now + SECOND * (1 + step));
        }
        assert_eq!(layers.all().len(), 1);
        assert_eq!(chosen(&layers, 9000, Some(1)), Some(0));
        for number in 0..=8 {
            layers.count(now + SECOND * 4, StreamId(number), None, 10_000 + number as usize);
        }
        layers.measure(now + SECOND * 5);
        assert_eq!(layers.all().len(), MAX_LAYERS);
        assert!(layers.all().iter().all(|layer| layer.stream.0 < 8));
    }
}
