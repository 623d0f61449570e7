//! Several workers of one endpoint: each has sockets of its own at the same addresses, among which the system divides
//! whoever sends by a hash of addresses and ports (SO_REUSEPORT), without knowing whose session it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::{Carrier, Path};
use session::{Demux, Question, Route};

use super::asked::Asked;
use super::chute::{ChuteIn, ChuteOut, Parcel, chute};
use super::inbox::{Inbox, Letter, Owner};

/// What a worker knows of the other ones. A STUN request tells by its ufrag whose it is; the answer to a question is in
/// a table that all share; and what session has which path, workers tell each other when a peer has shown its password
/// there, so that nothing on the way of a datagram is locked.
pub(crate) struct Neighbours {
    own: usize,
    inboxes: Vec<Arc<Inbox>>,
    asked: Arc<Asked>,
    /// What paths are whose, of all workers.
    owners: BTreeMap<Path, Owner>,
    /// Ufrags of others that do not begin with their number: the program has chosen them.
    ufrags: BTreeMap<String, usize>,
    /// What sessions of ours have told the others of.
    published: BTreeMap<usize, Published>,
    /// To each other worker, and from each.
    chutes_in: Vec<Option<ChuteIn>>,
    chutes_out: Vec<Option<ChuteOut>>,
    /// Workers that are to look for what was laid before them.
    unrung: BTreeSet<usize>,
    /// So that of two who take a path at a time all agree who was later.
    stamps: Arc<AtomicU64>,
}

#[derive(Default)]
struct Published {
    paths: Vec<Path>,
    ufrags: Vec<String>,
}

impl Neighbours {
    /// What each of the workers knows of the others; nothing where there is but one.
    pub(crate) fn of(inboxes: &[Arc<Inbox>], max_passed_on: usize) -> Vec<Option<Box<Self>>> {
        if inboxes.len() <= 1 {
            return vec![None];
        }
        Self::all(inboxes, max_passed_on).into_iter().map(|one| Some(Box::new(one))).collect()
    }

    /// What each of the workers knows that have these inboxes: others may lay `max_passed_on` bytes before each of them.
    fn all(inboxes: &[Arc<Inbox>], max_passed_on: usize) -> Vec<Self> {
        let count = inboxes.len();
        let (asked, stamps) = (Arc::new(Asked::new()), Arc::new(AtomicU64::new(0)));
        // A train of the greatest length finds room in each.
        let share = (max_passed_on / count.saturating_sub(1).max(1)).max(net::RECEIVE_BUFFER);
        let mut chutes_in: Vec<Vec<Option<ChuteIn>>> = (0..count).map(|_| Vec::new()).collect();
        let mut chutes_out: Vec<Vec<Option<ChuteOut>>> = (0..count).map(|_| Vec::new()).collect();
        for (from, row) in chutes_in.iter_mut().enumerate() {
            for (to, column) in chutes_out.iter_mut().enumerate() {
                let (into, out) = (from != to).then(|| chute(share)).unzip();
                row.push(into);
                column.push(out);
            }
        }
        let chutes = chutes_in.into_iter().zip(chutes_out).enumerate();
        chutes
            .map(|(own, (chutes_in, chutes_out))| Self {
                own,
                inboxes: inboxes.to_vec(),
                asked: asked.clone(),
                owners: BTreeMap::new(),
                ufrags: BTreeMap::new(),
                published: BTreeMap::new(),
                chutes_in,
                chutes_out,
                unrung: BTreeSet::new(),
                stamps: stamps.clone(),
            })
            .collect()
    }

    /// Which other worker has what is asked for.
    pub(crate) fn find(&self, question: Question<'_>) -> Option<usize> {
        let worker = match question {
            Question::Ufrag(ufrag) => match self.ufrags.get(ufrag) {
                Some(key) => self.worker_of(*key),
                None => self.worker_of_prefix(ufrag)?,
            },
            Question::Transaction(transaction) => self.asked.find(transaction)?,
            Question::Path(path) => self.worker_of(self.owners.get(&path)?.key),
        };
        (worker != self.own).then_some(worker)
    }

    /// Which worker has the session.
    pub(crate) const fn worker_of(&self, key: usize) -> usize {
        // Keys are dealt out like this (`Inbox::add`).
        match key.checked_rem(self.inboxes.len()) {
            Some(worker) => worker,
            None => 0,
        }
    }

    pub(crate) fn inbox(&self, worker: usize) -> Option<&Inbox> {
        self.inboxes.get(worker).map(Arc::as_ref)
    }

    /// The other workers.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Inbox> {
        let others = self.inboxes.iter().enumerate().filter(|(number, _)| *number != self.own);
        others.map(|(_, inbox)| inbox.as_ref())
    }

    /// Whether no worker has a connection.
    pub(crate) fn are_idle(&self) -> bool {
        self.inboxes.iter().all(|inbox| inbox.connections() == 0)
    }

    /// Notes a question of ours.
    pub(crate) fn note_asked(&self, transaction: [u8; 12]) {
        self.asked.note(transaction, self.own);
    }

    /// Lays datagrams before another worker, which has to be [rung](Self::ring) for; those that find no room are lost, as
    /// they are before a socket.
    pub(crate) fn pass_on(&mut self, worker: usize, parcel: Parcel, bytes: &[u8]) {
        let chute = self.chutes_in.get_mut(worker).and_then(Option::as_mut);
        let is_taken = chute.is_some_and(|chute| chute.put(parcel, bytes));
        let count = u64::try_from(bytes.len().div_ceil(parcel.stride.max(1))).unwrap_or(u64::MAX);
        if let Some(own) = self.inboxes.get(self.own) {
            let counters = &own.counters;
            let counter = if is_taken { &counters.passed_on } else { &counters.not_passed_on };
            counter.fetch_add(count, Ordering::Relaxed);
        }
        self.unrung.insert(worker);
    }

    /// Has the workers look before whom something was laid: once for all of a turn, as they then answer it at once.
    pub(crate) fn ring(&mut self) {
        while let Some(worker) = self.unrung.pop_first() {
            self.inboxes.get(worker).into_iter().for_each(|inbox| inbox.ring());
        }
    }

    /// The next parcel of another worker's.
    pub(crate) fn take(&mut self, worker: usize, buffer: &mut [u8]) -> Option<Parcel> {
        self.chutes_out.get_mut(worker)?.as_mut()?.take(buffer)
    }

    /// How many workers there are.
    pub(crate) const fn count(&self) -> usize {
        self.inboxes.len()
    }

    /// Notes what has changed for a session of ours, and tells the others.
    pub(crate) fn follow(&mut self, demux: &mut Demux, route: Route, key: usize) {
        match route {
            Route::UfragAdded(ufrag) => {
                demux.add_ufrag(&ufrag, key);
                if self.worker_of_prefix(&ufrag) != Some(self.own) {
                    self.post(|| Letter::Ufrag(ufrag.clone(), key));
                    self.published.entry(key).or_default().ufrags.push(ufrag);
                }
            }
            Route::UfragRemoved(ufrag) => {
                demux.remove_ufrag(&ufrag, key);
                if let Some(published) = self.published.get_mut(&key)
                    && published.ufrags.extract_if(.., |known| *known == ufrag).count() > 0
                {
                    self.post(|| Letter::UfragGone(ufrag.clone(), key));
                }
            }
            Route::PathClaimed(path) if path.carrier == Carrier::Udp => {
                // It belongs to nobody else, here or elsewhere.
                if !self.owners.contains_key(&path) && demux.claim_path(path, key) {
                    self.own_path(path, key, false);
                }
            }
            Route::PathAdded(path) if path.carrier == Carrier::Udp => {
                demux.add_path(path, key);
                self.own_path(path, key, true);
            }
            Route::PathRemoved(path) if path.carrier == Carrier::Udp => {
                demux.remove_path(path, key);
                self.disown_path(path, key);
            }
            // A TCP connection is its session's own socket.
            Route::PathClaimed(_) | Route::PathAdded(_) | Route::PathRemoved(_) => {}
        }
    }

    /// A session of ours is over.
    pub(crate) fn forget(&mut self, key: usize) {
        let Some(Published { paths, ufrags }) = self.published.remove(&key) else { return };
        for path in paths {
            self.remove_path(path, key);
            self.post(|| Letter::PathGone(path, key));
        }
        for ufrag in ufrags {
            self.post(|| Letter::UfragGone(ufrag.clone(), key));
        }
    }

    /// Another worker's session has a path: one of ours may have had it before.
    pub(crate) fn add_path(&mut self, demux: &mut Demux, path: Path, owner: Owner) {
        if let Some(known) = self.owners.get(&path) {
            let is_later = owner.is_proven && (!known.is_proven || known.stamp < owner.stamp);
            if !is_later {
                return;
            }
            demux.remove_path(path, known.key);
        }
        self.owners.insert(path, owner);
    }

    /// A session has a path no more.
    pub(crate) fn remove_path(&mut self, path: Path, key: usize) {
        if self.owners.get(&path).is_some_and(|owner| owner.key == key) {
            self.owners.remove(&path);
        }
    }

    /// Another worker's session has a ufrag of the program's.
    pub(crate) fn add_ufrag(&mut self, ufrag: String, key: usize) {
        self.ufrags.insert(ufrag, key);
    }

    /// It has it no more.
    pub(crate) fn remove_ufrag(&mut self, ufrag: &str, key: usize) {
        if self.ufrags.get(ufrag) == Some(&key) {
            self.ufrags.remove(ufrag);
        }
    }

    fn own_path(&mut self, path: Path, key: usize, is_proven: bool) {
        let owner = Owner { key, stamp: self.stamps.fetch_add(1, Ordering::AcqRel), is_proven };
        self.owners.insert(path, owner);
        let published = &mut self.published.entry(key).or_default().paths;
        if !published.contains(&path) {
            published.push(path);
        }
        self.post(|| Letter::Path(path, owner));
    }

    fn disown_path(&mut self, path: Path, key: usize) {
        let Some(published) = self.published.get_mut(&key) else { return };
        if published.paths.extract_if(.., |known| *known == path).count() > 0 {
            self.remove_path(path, key);
            self.post(|| Letter::PathGone(path, key));
        }
    }

    fn post(&self, letter: impl Fn() -> Letter) {
        self.others().for_each(|inbox| inbox.post(letter()));
    }

    fn worker_of_prefix(&self, ufrag: &str) -> Option<usize> {
        let first = ufrag.bytes().next()?;
        let number = PREFIXES.iter().position(|prefix| *prefix == first)?;
        (number < self.inboxes.len()).then_some(number)
    }
}

/// What the ufrags of a worker's sessions begin with.
pub(crate) fn prefix(worker: usize) -> String {
    PREFIXES.get(worker).map(|prefix| char::from(*prefix).to_string()).unwrap_or_default()
}

/// RFC 8839 §5.4: the ice-chars.
const PREFIXES: &[u8; MAX_WORKERS] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// As many as one ice-char can tell apart.
pub(crate) const MAX_WORKERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(count: usize) -> (Vec<Arc<Inbox>>, Vec<Neighbours>) {
        let inboxes: Vec<_> = (0..count).map(|number| Arc::new(Inbox::new(number, count))).collect();
        let all = Neighbours::all(&inboxes, 1 << 20);
        (inboxes, all)
    }

    fn path(port: u16) -> Path {
        testkit::path("127.0.0.1:1", &format!("127.0.0.1:{port}"))
    }

    /// Has each read what the others have told.
    fn read(inboxes: &[Arc<Inbox>], all: &mut [Neighbours], demuxes: &mut [Demux]) {
        for ((inbox, one), demux) in inboxes.iter().zip(all).zip(demuxes) {
            for letter in inbox.take().letters {
                match letter {
                    Letter::Path(path, owner) => one.add_path(demux, path, owner),
                    Letter::PathGone(path, key) => one.remove_path(path, key),
                    Letter::Ufrag(ufrag, key) => one.add_ufrag(ufrag, key),
                    Letter::UfragGone(ufrag, key) => one.remove_ufrag(&ufrag, key),
                    Letter::Connection(..)
                    | Letter::Servers(..)
                    | Letter::Name(..)
                    | Letter::Forget(_)
                    | Letter::Found(_)
                    | Letter::Networks(_)
                    | Letter::Stream(..) => panic!("nothing else is told here"),
                }
            }
        }
    }

    #[test]
    fn ufrags_tell_whose_they_are_and_those_of_the_program_are_told_of() {
        let (inboxes, mut all) = workers(3);
        let mut demuxes = vec![Demux::default(); 3];
        assert_eq!(all[0].find(Question::Ufrag("Cxxx")), Some(2));
        assert_eq!(all[2].find(Question::Ufrag("Cxxx")), None);
        assert_eq!(all[0].find(Question::Ufrag("Dxxx")), None, "there is no such worker");
        assert_eq!(all[0].find(Question::Ufrag("")), None);
        assert_eq!(all[0].find(Question::Ufrag("-")), None);
        // Keys of the second worker are 1, 4, 7 and so on.
        for ufrag in ["Bown", "Chosen", "chosen"] {
            all[1].follow(&mut demuxes[1], Route::UfragAdded(ufrag.to_owned()), 4);
        }
        read(&inboxes, &mut all, &mut demuxes);
        for (ufrag, worker) in [("Bown", 1), ("Chosen", 1), ("chosen", 1), ("Cother", 2)] {
            assert_eq!(all[0].find(Question::Ufrag(ufrag)), Some(worker), "{ufrag}");
        }
        assert_eq!(all[0].ufrags.len(), 2, "the first says it itself");
        all[1].follow(&mut demuxes[1], Route::UfragRemoved("chosen".to_owned()), 4);
        all[1].forget(4);
        read(&inboxes, &mut all, &mut demuxes);
        assert!(all[0].ufrags.is_empty() && all[2].ufrags.is_empty());
        assert_eq!(all[0].find(Question::Ufrag("Chosen")), Some(2));
        assert_eq!(prefix(0), "A");
        assert_eq!(prefix(MAX_WORKERS - 1), "/");
    }

    #[test]
    fn paths_are_those_of_who_has_proved_them_last_and_claims_take_none() {
        let (inboxes, mut all) = workers(3);
        let mut demuxes = vec![Demux::default(); 3];
        let at =
            |all: &[Neighbours]| [0, 1, 2].map(|number: usize| all[number].find(Question::Path(path(9))));
        all[1].follow(&mut demuxes[1], Route::PathClaimed(path(9)), 1);
        read(&inboxes, &mut all, &mut demuxes);
        assert_eq!(at(&all), [Some(1), None, Some(1)]);
        // Another claim is too late, here and there.
        all[2].follow(&mut demuxes[2], Route::PathClaimed(path(9)), 2);
        assert_eq!(demuxes[2].route(path(9), b"\x17"), session::Target::Nobody);
        // Who proves it has it.
        all[2].follow(&mut demuxes[2], Route::PathAdded(path(9)), 2);
        read(&inboxes, &mut all, &mut demuxes);
        assert_eq!(at(&all), [Some(2), Some(2), None]);
        assert_eq!(demuxes[1].route(path(9), b"\x17"), session::Target::Nobody);
        // What the first had is not taken back twice.
        all[1].follow(&mut demuxes[1], Route::PathRemoved(path(9)), 1);
        read(&inboxes, &mut all, &mut demuxes);
        assert_eq!(at(&all), [Some(2), Some(2), None]);
        // Two at a time: all agree on the later one.
        all[0].follow(&mut demuxes[0], Route::PathAdded(path(9)), 3);
        all[1].follow(&mut demuxes[1], Route::PathAdded(path(9)), 4);
        read(&inboxes, &mut all, &mut demuxes);
        assert_eq!(at(&all), [Some(1), None, Some(1)]);
        assert_eq!(demuxes[1].route(path(9), b"\x17"), session::Target::Session(4));
        assert_eq!(demuxes[0].route(path(9), b"\x17"), session::Target::Nobody);
        // A session that is over leaves nothing.
        [(0, 3), (1, 4), (1, 1), (2, 2)]
            .into_iter()
            .for_each(|(worker, key): (usize, usize)| all[worker].forget(key));
        read(&inboxes, &mut all, &mut demuxes);
        assert!(all.iter().all(|one| one.owners.is_empty() && one.published.is_empty()));
    }

    #[test]
    fn answers_are_theirs_who_have_asked() {
        let (_, all) = workers(2);
        all[1].note_asked([3; 12]);
        assert_eq!(all[0].find(Question::Transaction([3; 12])), Some(1));
        assert_eq!(all[1].find(Question::Transaction([3; 12])), None);
        assert_eq!(all[0].find(Question::Transaction([4; 12])), None);
    }

    #[test]
    fn what_finds_no_room_before_another_worker_is_counted() {
        let (inboxes, mut all) = workers(3);
        let parcel = Parcel { path: path(9), ecn: None, len: 0, stride: 1000 };
        // Half of 1 MiB for each of two others.
        for _ in 0..8 {
            all[0].pass_on(2, parcel, &[1; 1 << 16]);
        }
        assert_eq!((inboxes[0].stats().passed_on, inboxes[0].stats().not_passed_on), (8 * 66, 0));
        all[0].pass_on(2, parcel, &[1]);
        assert_eq!((inboxes[0].stats().passed_on, inboxes[0].stats().not_passed_on), (8 * 66, 1));
        all[1].pass_on(2, parcel, &[1]);
        assert_eq!((inboxes[1].stats().passed_on, inboxes[1].stats().not_passed_on), (1, 0), "its own room");
        let mut buffer = vec![0; 1 << 16];
        assert_eq!(all[2].take(0, &mut buffer).unwrap().len, 1 << 16);
        assert_eq!(all[2].take(1, &mut buffer).unwrap().len, 1);
        assert_eq!(all[2].take(2, &mut buffer), None);
    }
}
