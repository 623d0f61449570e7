use proto::Instant;

/// Receivers or senders by the places that their identifiers name, and which of them may have something to do: of hundreds
/// that share a transport few have, at any one time, and nobody looks at the others for each packet.
///
/// Whoever may change one stirs it. One that was stirred is looked at until it is found to be at rest.
#[derive(Debug)]
pub(super) struct Sections<T> {
    places: Vec<Option<T>>,
    /// 64 sections each.
    words: Vec<Word>,
    /// When the first of them is due, and its place: of all as they were when they were last looked at.
    first: Option<(Instant, usize)>,
}

/// A bit for each section.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    /// It may have changed since it was last at rest.
    stirred: u64,
    /// It may have news.
    news: u64,
}

impl<T> Default for Sections<T> {
    fn default() -> Self {
        Self { places: Vec::new(), words: Vec::new(), first: None }
    }
}

impl<T> Sections<T> {
    /// How many places there are, free ones among them.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    /// Puts a section in a free place, at most `limit` of them.
    pub(super) fn insert(&mut self, section: T, limit: usize) -> Option<usize> {
        let at = match self.places.iter().position(Option::is_none) {
            Some(at) => at,
            None if self.places.len() >= limit => return None,
            None => {
                // They are large, there are few, and none is added often.
                self.places.reserve_exact(1);
                self.places.push(None);
                let words = self.places.len().div_ceil(WORD);
                self.words.reserve_exact(words.saturating_sub(self.words.len()));
                self.words.resize(words, Word::default());
                self.places.len().checked_sub(1)?
            }
        };
        *self.places.get_mut(at)? = Some(section);
        self.stir(at);
        Some(at)
    }

    /// Takes one out: it keeps its place, if it is [put back](Self::put_back) before another comes.
    pub(super) fn take(&mut self, at: usize) -> Option<T> {
        let taken = self.places.get_mut(at)?.take();
        self.stir(at);
        taken
    }

    pub(super) fn put_back(&mut self, at: usize, section: T) {
        if let Some(place) = self.places.get_mut(at) {
            *place = Some(section);
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.places.get(at)?.as_ref()
    }

    /// One that may be changed.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.stir(at);
        self.places.get_mut(at)?.as_mut()
    }

    /// One that is [stirred](Self::stir) by the caller, if it changes.
    pub(super) fn peek_mut(&mut self, at: usize) -> Option<&mut T> {
        self.places.get_mut(at)?.as_mut()
    }

    /// All of them with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.places.iter().enumerate().filter_map(|(at, section)| Some((at, section.as_ref()?)))
    }

    /// All of them, which may be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.stir_all();
        self.places.iter_mut().flatten()
    }

    /// All of them, for a change that gives none of them anything to do sooner than it had.
    pub(super) fn each_at_rest(&mut self, change: impl FnMut(&mut T)) {
        self.places.iter_mut().flatten().for_each(change);
    }

    /// Those that were stirred.
    pub(super) fn stirred(&self) -> impl Iterator<Item = &T> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let at = self.next_stirred(from, self.len())?;
            from = at.saturating_add(1);
            Some(self.get(at))
        })
        .flatten()
    }

    /// Those that were stirred, and may be changed once more.
    pub(super) fn stirred_mut(&mut self, mut change: impl FnMut(&mut T)) {
        let mut from = 0;
        while let Some(at) = self.next_stirred(from, self.len()) {
            self.get_mut(at).into_iter().for_each(&mut change);
            from = at.saturating_add(1);
        }
    }

    /// The first place from `from` on and before `until` whose section was stirred.
    pub(super) fn next_stirred(&self, from: usize, until: usize) -> Option<usize> {
        self.next(from, until, |word| word.stirred)
    }

    /// The first place from `from` on whose section may have news.
    pub(super) fn next_with_news(&self, from: usize) -> Option<usize> {
        self.next(from, self.len(), |word| word.news)
    }

    fn next(&self, from: usize, until: usize, bits: impl Fn(&Word) -> u64) -> Option<usize> {
        let mut from = from;
        while from < until {
            let rest = bits(self.words.get(from / WORD)?) >> (from % WORD);
            if rest != 0 {
                let at = from.saturating_add(usize::try_from(rest.trailing_zeros()).ok()?);
                return (at < until).then_some(at);
            }
            from = (from / WORD).saturating_add(1).saturating_mul(WORD);
        }
        None
    }

    /// One has no news: nobody asks it until it is stirred.
    pub(super) fn has_told(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / WORD) {
            word.news &= !(1 << (at % WORD));
        }
    }

    /// When the first of them is due; `look` gives when one is, and whether it is at rest until then, if nobody stirs it.
    pub(super) fn settle(
        &mut self,
        mut look: impl FnMut(&mut T) -> (Option<Instant>, bool),
    ) -> Option<Instant> {
        let mut first = self.first;
        let stirred = first.filter(|(_, at)| self.is_stirred(*at));
        if let Some((before, at)) = stirred {
            // If it is no later than it was, nobody else is before it who was not.
            let due = self.look(at, &mut look).filter(|due| *due <= before);
            first = due.map(|due| (due, at));
        }
        let (looks_at_all, seen) = (stirred.is_some() && first.is_none(), stirred.map(|(_, at)| at));
        let (mut from, until) = (0, self.len());
        while let Some(at) =
            if looks_at_all { (from < until).then_some(from) } else { self.next_stirred(from, until) }
        {
            from = at.saturating_add(1);
            if Some(at) == seen && !looks_at_all {
                continue;
            }
            let due = self.look(at, &mut look);
            if let Some(due) = due.filter(|due| first.is_none_or(|(first, _)| *due < first)) {
                first = Some((due, at));
            }
        }
        self.first = first;
        first.map(|(due, _)| due)
    }

    /// When one is due; whether it is at rest is noted.
    fn look(
        &mut self,
        at: usize,
        look: &mut impl FnMut(&mut T) -> (Option<Instant>, bool),
    ) -> Option<Instant> {
        let section = self.places.get_mut(at).and_then(Option::as_mut);
        let (due, is_at_rest) = section.map_or((None, true), look);
        if let Some(word) = self.words.get_mut(at / WORD).filter(|_| is_at_rest) {
            word.stirred &= !(1 << (at % WORD));
        }
        due
    }

    /// Stirs all of them, if one is due, as of when they last [settled](Self::settle).
    pub(super) fn stir_due(&mut self, now: Instant) {
        if self.first.is_some_and(|(due, _)| due <= now) {
            self.stir_all();
        }
    }

    /// Has all of them be looked at.
    pub(super) fn stir_all(&mut self) {
        self.words.fill(Word { stirred: u64::MAX, news: u64::MAX });
    }

    /// Has one be looked at.
    pub(super) fn stir(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / WORD) {
            word.stirred |= 1 << (at % WORD);
            word.news |= 1 << (at % WORD);
        }
    }

    fn is_stirred(&self, at: usize) -> bool {
        self.words.get(at / WORD).is_some_and(|word| word.stirred >> (at % WORD) & 1 == 1)
    }
}

const WORD: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// When it is due, and whether it is at rest.
    type Section = (Option<u64>, bool);

    fn at(millis: u64) -> Instant {
        Instant::default() + Duration::from_millis(millis)
    }

    fn sections(count: usize) -> Sections<Section> {
        let mut sections = Sections::default();
        (0..count).for_each(|at| assert_eq!(sections.insert((None, true), count), Some(at)));
        assert_eq!(sections.insert((None, true), count), None);
        sections
    }

    fn settle(sections: &mut Sections<Section>) -> (Option<Instant>, usize) {
        let mut looked = 0;
        let due = sections.settle(|(due, is_at_rest)| {
            looked += 1;
            (due.map(at), *is_at_rest)
        });
        (due, looked)
    }

    fn stirred(sections: &Sections<Section>) -> Vec<usize> {
        (0..sections.len()).filter(|at| sections.next_stirred(*at, sections.len()) == Some(*at)).collect()
    }

    #[test]
    fn whoever_is_at_rest_is_not_looked_at() {
        let mut sections = sections(130);
        assert_eq!(settle(&mut sections), (None, 130));
        assert_eq!(settle(&mut sections), (None, 0));
        *sections.get_mut(129).unwrap() = (None, false);
        *sections.get_mut(63).unwrap() = (None, true);
        let _ = sections.get_mut(130);
        assert_eq!(stirred(&sections), [63, 129]);
        assert_eq!(sections.next_stirred(64, 129), None);
        assert_eq!(settle(&mut sections), (None, 2));
        // Until it is at rest.
        assert_eq!((settle(&mut sections), stirred(&sections)), ((None, 1), vec![129]));
        assert_eq!(sections.stirred().count(), 1);
        assert_eq!(sections.iter_mut().count(), 130);
        assert_eq!(stirred(&sections).len(), 130);
    }

    #[test]
    fn the_first_that_is_due_is_known_whatever_changes() {
        let mut sections = sections(70);
        settle(&mut sections);
        *sections.get_mut(3).unwrap() = (Some(30), true);
        *sections.get_mut(69).unwrap() = (Some(20), true);
        assert_eq!(settle(&mut sections), (Some(at(20)), 2));
        assert_eq!(settle(&mut sections), (Some(at(20)), 0));
        // The first one is sooner: nobody else is asked.
        *sections.get_mut(69).unwrap() = (Some(15), false);
        assert_eq!(settle(&mut sections), (Some(at(15)), 1));
        *sections.get_mut(69).unwrap() = (Some(15), true);
        *sections.get_mut(4).unwrap() = (Some(10), true);
        assert_eq!(settle(&mut sections), (Some(at(10)), 2));
        *sections.get_mut(4).unwrap() = (None, true);
        *sections.get_mut(69).unwrap() = (Some(20), true);
        assert_eq!(settle(&mut sections).0, Some(at(20)));
        // One that is later changes nothing.
        *sections.get_mut(3).unwrap() = (Some(25), true);
        assert_eq!(settle(&mut sections), (Some(at(20)), 1));
        // The first one is later: the next is found among all.
        *sections.get_mut(69).unwrap() = (Some(40), true);
        assert_eq!(settle(&mut sections), (Some(at(25)), 71));
        assert_eq!(sections.take(3), Some((Some(25), true)));
        assert_eq!(settle(&mut sections).0, Some(at(40)));
        sections.stir_due(at(39));
        assert_eq!(stirred(&sections), []);
        sections.stir_due(at(40));
        assert_eq!(stirred(&sections).len(), 70);
    }

    #[test]
    fn whoever_has_told_its_news_is_not_asked_again() {
        let mut sections = sections(66);
        let asked = |sections: &mut Sections<Section>| {
            let mut asked = Vec::new();
            while let Some(at) = sections.next_with_news(0) {
                asked.push(at);
                sections.has_told(at);
            }
            asked
        };
        assert_eq!(asked(&mut sections).len(), 66);
        settle(&mut sections);
        let _ = sections.get_mut(65);
        let _ = sections.take(7).map(|section| sections.put_back(7, section));
        assert_eq!(asked(&mut sections), [7, 65]);
        assert_eq!(sections.iter().count(), 66);
        assert_eq!(asked(&mut sections), []);
    }
}
