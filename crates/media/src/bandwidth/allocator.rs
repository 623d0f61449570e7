use super::real;
use crate::transport::SenderId;

/// Whose a share of the bandwidth is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claimant {
    /// A stream: of a sender without simulcast its only one, or one layer.
    Stream(SenderId, usize),
    /// All data channels together.
    Data,
}

/// What a claimant can use, in bit/s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim {
    /// With less it is of no use.
    pub min: u64,
    /// What it should have before anybody has more than that.
    pub desired: u64,
    /// With more it can do nothing.
    pub max: u64,
    /// How much it has of what is scarce, against others: 1 at least. Who has more is also served first with the least.
    pub priority: u16,
    /// Whether it has its least even if there is less than that: audio, and video that must not go black.
    pub required: bool,
}

/// Divides the target rate among claimants.
///
/// First everybody has its least, those of higher priority first; who cannot have it has nothing, unless it is required. Then
/// shares by priority, up to what is desired; then up to the most. Who was switched off comes back when there is a tenth more
/// than its least, and nobody is told of changes below a twentieth.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allocator {
    max: usize,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    claimant: Claimant,
    claim: Claim,
    given: u64,
    told: Option<u64>,
    is_open: bool,
}

impl Allocator {
    pub(crate) const fn new(max: usize) -> Self {
        Self { max, entries: Vec::new() }
    }

    /// Sets or takes back a claim. Gives whether there was room for it.
    pub(crate) fn set(&mut self, claimant: Claimant, claim: Option<Claim>) -> bool {
        let at = self.entries.iter().position(|entry| entry.claimant == claimant);
        let Some(claim) = claim else {
            at.map(|at| self.entries.remove(at));
            return true;
        };
        let desired = claim.desired.max(claim.min);
        let claim = Claim { desired, max: claim.max.max(desired), priority: claim.priority.max(1), ..claim };
        if let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) {
            entry.claim = claim;
            return true;
        }
        if self.entries.len() >= self.max {
            return false;
        }
        // Those of higher priority stand first, and of equal ones those that came first.
        let at = self.entries.iter().position(|entry| entry.claim.priority < claim.priority);
        let entry = Entry { claimant, claim, given: 0, told: None, is_open: false };
        self.entries.reserve_exact(1);
        self.entries.insert(at.unwrap_or(self.entries.len()), entry);
        true
    }

    /// Takes back the claims of a sender.
    pub(crate) fn remove_sender(&mut self, sender: SenderId) {
        self.entries.retain(|entry| !matches!(entry.claimant, Claimant::Stream(id, _) if id == sender));
    }

    /// What a claimant has of what was divided last.
    pub(crate) fn given(&self, claimant: Claimant) -> Option<u64> {
        self.entries.iter().find(|entry| entry.claimant == claimant).map(|entry| entry.given)
    }

    /// What all could use.
    pub(crate) fn wanted(&self) -> u64 {
        self.entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.claim.max))
    }

    /// Divides `total`.
    pub(crate) fn allocate(&mut self, total: u64) {
        self.entries.sort_by_key(|entry| std::cmp::Reverse(entry.claim.priority));
        let mut left = total;
        for required in [true, false] {
            for entry in self.entries.iter_mut().filter(|entry| entry.claim.required == required) {
                let min = entry.claim.min;
                // Who was switched off does not come back for a moment.
                let was_off = entry.told == Some(0);
                let needed = if was_off { min.saturating_add(min / 10) } else { min };
                entry.is_open = required || needed <= left;
                entry.given = if entry.is_open { min } else { 0 };
                left = left.saturating_sub(entry.given);
            }
        }
        for level in [|claim: &Claim| claim.desired, |claim: &Claim| claim.max] {
            left = self.fill(left, level);
        }
    }

    /// Raises everybody towards a level by weight. Gives what is left.
    fn fill(&mut self, mut left: u64, level: fn(&Claim) -> u64) -> u64 {
        let lacks = |entry: &&mut Entry| entry.is_open && entry.given < level(&entry.claim);
        // Each round fills somebody, or divides all there is.
        for _ in 0..self.entries.len() {
            let weights: u64 =
                self.entries.iter_mut().filter(lacks).map(|entry| u64::from(entry.claim.priority)).sum();
            if weights == 0 || left == 0 {
                break;
            }
            let share = |entry: &Entry| {
                let part = u128::from(left).saturating_mul(entry.claim.priority.into()) / u128::from(weights);
                u64::try_from(part).unwrap_or(u64::MAX)
            };
            let needs = |entry: &Entry| level(&entry.claim).saturating_sub(entry.given);
            let is_filled = self.entries.iter_mut().filter(lacks).any(|entry| needs(entry) <= share(entry));
            let mut spent = 0_u64;
            for entry in self.entries.iter_mut().filter(lacks) {
                let (share, needs) = (share(entry), needs(entry));
                if is_filled && needs > share {
                    continue;
                }
                let more = share.min(needs);
                entry.given = entry.given.saturating_add(more);
                spent = spent.saturating_add(more);
            }
            left = left.saturating_sub(spent);
            if !is_filled {
                break;
            }
        }
        left
    }

    /// What somebody has now that was told something else.
    pub(crate) fn poll(&mut self) -> Option<(Claimant, u64)> {
        let entry = self.entries.iter_mut().find(|entry| {
            let Some(told) = entry.told else { return true };
            let switched = (told == 0) != (entry.given == 0);
            // What is all that can be used is told in any case.
            let full = entry.given == entry.claim.max && told != entry.given;
            switched || full || real(told.abs_diff(entry.given)) > real(told) * HYSTERESIS
        })?;
        entry.told = Some(entry.given);
        Some((entry.claimant, entry.given))
    }
}

const HYSTERESIS: f64 = 0.05;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn claim(min: u64, desired: u64, max: u64, priority: u16) -> Claim {
        Claim { min, desired, max, priority, required: false }
    }

    fn divide(total: u64, claims: &[Claim]) -> Vec<u64> {
        let mut allocator = Allocator::new(16);
        for (at, claim) in claims.iter().enumerate() {
            assert!(allocator.set(Claimant::Stream(SenderId(at), 0), Some(*claim)));
        }
        allocator.allocate(total);
        given(&allocator, claims.len())
    }

    fn given(allocator: &Allocator, count: usize) -> Vec<u64> {
        let of = |at| Claimant::Stream(SenderId(at), 0);
        (0..count)
            .map(|at| allocator.entries.iter().find(|it| it.claimant == of(at)).unwrap().given)
            .collect()
    }

    #[test]
    fn everybody_has_the_least_then_what_is_desired_then_the_most() {
        let audio = Claim { required: true, ..claim(30, 60, 60, 4) };
        let claims = [audio, claim(100, 500, 2000, 1), claim(100, 500, 800, 2)];
        assert_eq!(divide(10, &claims), [30, 0, 0]);
        assert_eq!(divide(140, &claims), [36, 0, 103]);
        assert_eq!(divide(230, &claims), [30, 100, 100]);
        assert_eq!(divide(560, &claims), [60, 200, 300]);
        assert_eq!(divide(1060, &claims), [60, 500, 500]);
        assert_eq!(divide(5000, &claims), [60, 2000, 800]);
    }

    #[test]
    fn who_was_switched_off_comes_back_late_and_small_changes_are_not_told() {
        let mut allocator = Allocator::new(2);
        let (one, other) = (Claimant::Stream(SenderId(0), 0), Claimant::Data);
        allocator.set(one, Some(claim(100, 1000, 1000, 2)));
        allocator.set(other, Some(claim(100, 1000, 1000, 1)));
        assert!(
            !allocator.set(Claimant::Stream(SenderId(1), 0), Some(claim(1, 1, 1, 1))),
            "one past the limit"
        );
        let mut told = |total| {
            allocator.allocate(total);
            let mut told = Vec::new();
            while let Some(news) = allocator.poll() {
                told.push(news);
            }
            told
        };
        assert_eq!(told(190), [(one, 190), (other, 0)]);
        assert_eq!(told(205), [(one, 205)]);
        assert_eq!(told(209), [], "the other one is still off, and 2 % are no news");
        assert_eq!(told(210), [(one, 106), (other, 103)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_more_than_there_is_and_nothing_is_left_that_somebody_could_use(
            total in 0_u64..10_000,
            claims in proptest::collection::vec((0_u64..500, 0_u64..2000, 0_u64..3000, 1_u16..8), 1..8),
        ) {
            let claims: Vec<_> = claims.into_iter().map(|(min, desired, max, priority)| {
                let desired = desired.max(min);
                claim(min, desired, max.max(desired), priority)
            }).collect();
            let given = divide(total, &claims);
            let sum: u64 = given.iter().sum();
            prop_assert!(sum <= total);
            let hungry = |(claim, given): &(&Claim, &u64)| **given >= claim.min && **given < claim.max && **given > 0;
            if claims.iter().zip(&given).any(|pair| hungry(&pair)) {
                // What division leaves is less than there are claimants, twice.
                prop_assert!(total - sum < 16, "{given:?}");
            }
            for (claim, given) in claims.iter().zip(&given) {
                prop_assert!(*given == 0 || (claim.min..=claim.max).contains(given));
            }
            // Equal claims have equal shares.
            let same = divide(total, &[claims[0], claims[0]]);
            prop_assert!(same[0].abs_diff(same[1]) <= 1 || same[1] == 0);
        }
    }
}
