use std::collections::{BTreeMap, VecDeque};

use proto::Path;
use stun::wire::{Class, Message};

/// Which of many sessions on one port a datagram belongs to, without I/O: a STUN request to the session
/// whose ufrag it names, a response to the session that asked, and anything else to the session whose peer
/// has proved its password on the path.
///
/// Sessions are numbered by the caller. Feed it from [`Session::poll_route`](crate::Session::poll_route),
/// and with what is sent.
///
/// ```
/// use session::{Demux, Target};
/// # use proto::{Carrier, Path};
/// let mut demux = Demux::default();
/// demux.add_ufrag("abcd", 7);
/// let path = Path { carrier: Carrier::Udp, local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], 2).into() };
/// demux.add_path(path, 7);
/// assert_eq!(demux.route(path, b"\x17\xfe\xfd"), Target::Session(7));
/// demux.remove_session(7);
/// assert_eq!(demux.route(path, b"\x17\xfe\xfd"), Target::Nobody);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Demux {
    by_path: BTreeMap<Path, usize>,
    by_ufrag: BTreeMap<String, usize>,
    by_transaction: BTreeMap<[u8; 12], usize>,
    /// In the order in which they were noted, so that the oldest is forgotten.
    transactions: VecDeque<[u8; 12]>,
}

/// Where a datagram belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target<'a> {
    /// To this session.
    Session(usize),
    /// It is a STUN request for a local ufrag that no session has: perhaps a new peer's first.
    Unknown {
        /// The ufrag that the sender believes to be ours.
        ufrag: &'a str,
        /// The ufrag that it says is its own.
        remote_ufrag: &'a str,
    },
    /// To somebody who is not in this table, but behind this number: see [`Demux::route_among`].
    Elsewhere(usize),
    /// To nobody.
    Nobody,
}

/// What is asked of others who share the port, about a datagram that no session of a [`Demux`] is known to have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Question<'a> {
    /// Whose local ufrag is this?
    Ufrag(&'a str),
    /// Who has sent the request of this transaction?
    Transaction([u8; 12]),
    /// Whose peer has proved its password on this path?
    Path(Path),
}

impl Demux {
    /// Datagrams on `path` belong to `session` from now on.
    pub fn add_path(&mut self, path: Path, session: usize) {
        self.by_path.insert(path, session);
    }

    /// Datagrams on `path` belong to `session` as long as they belong to no other: its peer claims them, and may have
    /// forged where it is. Says whether they now do.
    pub fn claim_path(&mut self, path: Path, session: usize) -> bool {
        *self.by_path.entry(path).or_insert(session) == session
    }

    /// Takes that back, if it still is so.
    pub fn remove_path(&mut self, path: Path, session: usize) {
        if self.by_path.get(&path) == Some(&session) {
            self.by_path.remove(&path);
        }
    }

    /// STUN requests for the local `ufrag` belong to `session` from now on.
    pub fn add_ufrag(&mut self, ufrag: &str, session: usize) {
        self.by_ufrag.insert(ufrag.to_owned(), session);
    }

    /// Takes that back, if it still is so.
    pub fn remove_ufrag(&mut self, ufrag: &str, session: usize) {
        if self.by_ufrag.get(ufrag) == Some(&session) {
            self.by_ufrag.remove(ufrag);
        }
    }

    /// Forgets everything about `session`.
    pub fn remove_session(&mut self, session: usize) {
        self.by_path.retain(|_, owner| *owner != session);
        self.by_ufrag.retain(|_, owner| *owner != session);
        self.by_transaction.retain(|_, owner| *owner != session);
        self.transactions.retain(|id| self.by_transaction.contains_key(id));
    }

    /// Notes what `session` sends: the response to a STUN request belongs to it. Anything else costs a look
    /// at one byte. The latest 8,192 requests are known. Gives the transaction of a request back, for others who
    /// share the port.
    pub fn note_sent(&mut self, datagram: &[u8], session: usize) -> Option<[u8; 12]> {
        if !Self::is_stun(datagram) {
            return None;
        }
        let message = Message::decode(datagram).ok().filter(|message| message.class() == Class::Request)?;
        let id = message.transaction().0;
        if self.by_transaction.insert(id, session).is_none() {
            if self.transactions.len() == MAX_TRANSACTIONS
                && let Some(oldest) = self.transactions.pop_front()
            {
                self.by_transaction.remove(&oldest);
            }
            self.transactions.push_back(id);
        }
        Some(id)
    }

    /// Whether a datagram is STUN by its first byte (RFC 7983 §7). All that are not, on one path, belong to one session.
    pub fn is_stun(datagram: &[u8]) -> bool {
        datagram.first().is_some_and(|first| *first < FIRST_NOT_STUN)
    }

    /// Where a datagram that arrived on `path` belongs.
    pub fn route<'a>(&self, path: Path, datagram: &'a [u8]) -> Target<'a> {
        self.route_among(path, datagram, |_| None)
    }

    /// Likewise, where several of these share a port: `others` says which of them, by any number but one's own, has what
    /// it is asked for. It is asked for nothing that a session here is known to have.
    pub fn route_among<'a>(
        &self,
        path: Path,
        datagram: &'a [u8],
        others: impl Fn(Question<'_>) -> Option<usize>,
    ) -> Target<'a> {
        let elsewhere = |question| others(question).map(Target::Elsewhere);
        let proven = || match self.by_path.get(&path) {
            Some(session) => Target::Session(*session),
            None => elsewhere(Question::Path(path)).unwrap_or(Target::Nobody),
        };
        if !Self::is_stun(datagram) {
            return proven();
        }
        // STUN says whose it is, even where several sessions meet the same far end on one path.
        let Ok(message) = Message::decode(datagram) else { return proven() };
        if message.class() != Class::Request && message.class() != Class::Indication {
            let transaction = message.transaction().0;
            return match self.by_transaction.get(&transaction) {
                Some(session) => Target::Session(*session),
                None => elsewhere(Question::Transaction(transaction)).unwrap_or_else(proven),
            };
        }
        // RFC 8445 §7.2.2: the ufrag of the one who is asked stands before the colon.
        let Some((ufrag, remote_ufrag)) = message.username().and_then(|name| name.split_once(':')) else {
            return proven();
        };
        if let Some(session) = self.by_ufrag.get(ufrag) {
            return Target::Session(*session);
        }
        let known = elsewhere(Question::Ufrag(ufrag)).unwrap_or_else(proven);
        if known == Target::Nobody { Target::Unknown { ufrag, remote_ufrag } } else { known }
    }
}

/// RFC 7983 §7: STUN begins with 0 to 3.
const FIRST_NOT_STUN: u8 = 4;
/// STUN requests whose session is remembered: each session has at most 20 under way in a second.
const MAX_TRANSACTIONS: usize = 8192;

#[cfg(test)]
mod tests {
    use proto::Writer;
    use stun::wire::{Attribute, Encoder, Method, TransactionId};

    use super::*;

    fn message(class: Class, id: u8, username: Option<&str>) -> Vec<u8> {
        with_id(class, [id; 12], username)
    }

    fn with_id(class: Class, id: [u8; 12], username: Option<&str>) -> Vec<u8> {
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        let mut encoder = Encoder::new(&mut out, class, Method::BINDING, TransactionId(id)).unwrap();
        if let Some(name) = username {
            encoder.attribute(Attribute::Username(name)).unwrap();
        }
        encoder.finish(None).unwrap();
        out.written().to_vec()
    }

    #[test]
    fn stun_goes_by_its_ufrag_and_all_else_by_the_proven_path() {
        let mut demux = Demux::default();
        let path = testkit::path("10.0.0.1:1", "10.0.0.2:2");
        demux.add_ufrag("ours", 1);
        demux.add_ufrag("other", 2);
        let request = message(Class::Request, 1, Some("ours:theirs"));
        assert_eq!(demux.route(path, &request), Target::Session(1));
        demux.add_path(path, 2);
        assert_eq!(demux.route(path, &request), Target::Session(1));
        assert_eq!(demux.route(path, &message(Class::Request, 1, Some("gone:theirs"))), Target::Session(2));
        assert_eq!(demux.route(path, b"anything"), Target::Session(2));
        demux.remove_path(path, 1);
        assert_eq!(demux.route(path, b"anything"), Target::Session(2), "not its own to remove");
        demux.remove_path(path, 2);
        assert_eq!(demux.route(path, b"anything"), Target::Nobody);
    }

    /// THREATS D17: whoever has a session of its own must not take away those of others by forged source addresses.
    #[test]
    fn a_claim_takes_no_path_from_another_session_and_an_answer_does() {
        let mut demux = Demux::default();
        let path = testkit::path("10.0.0.1:1", "10.0.0.2:2");
        demux.claim_path(path, 1);
        assert_eq!(demux.route(path, b"data"), Target::Session(1));
        demux.claim_path(path, 2);
        assert_eq!(demux.route(path, b"data"), Target::Session(1));
        demux.remove_path(path, 2);
        assert_eq!(demux.route(path, b"data"), Target::Session(1));
        demux.add_path(path, 2);
        assert_eq!(demux.route(path, b"data"), Target::Session(2), "it was there later, and answered");
    }

    #[test]
    fn others_are_asked_for_what_nobody_here_has() {
        let mut demux = Demux::default();
        let path = testkit::path("10.0.0.1:1", "10.0.0.2:2");
        demux.add_ufrag("ours", 1);
        assert_eq!(demux.note_sent(&message(Class::Request, 1, None), 1), Some([1; 12]));
        assert_eq!(demux.note_sent(&message(Class::Success, 1, None), 1), None);
        let others = |question: Question<'_>| match question {
            Question::Ufrag(ufrag) => (ufrag == "theirs").then_some(3),
            Question::Transaction(id) => (id == [4; 12]).then_some(4),
            Question::Path(at) => (at == path).then_some(5),
        };
        let route = |demux: &Demux, datagram: &[u8]| match demux.route_among(path, datagram, others) {
            Target::Session(session) => Some((session, true)),
            Target::Elsewhere(number) => Some((number, false)),
            Target::Unknown { .. } | Target::Nobody => None,
        };
        assert_eq!(route(&demux, &message(Class::Request, 9, Some("ours:x"))), Some((1, true)));
        assert_eq!(route(&demux, &message(Class::Success, 1, None)), Some((1, true)));
        assert_eq!(route(&demux, &message(Class::Request, 9, Some("theirs:x"))), Some((3, false)));
        assert_eq!(route(&demux, &message(Class::Success, 4, None)), Some((4, false)));
        for datagram in [message(Class::Success, 9, None), message(Class::Request, 9, Some("no:x")), vec![20]]
        {
            assert_eq!(route(&demux, &datagram), Some((5, false)));
        }
        demux.add_path(path, 2);
        for datagram in [message(Class::Success, 9, None), message(Class::Request, 9, Some("no:x")), vec![20]]
        {
            assert_eq!(route(&demux, &datagram), Some((2, true)), "it is known here");
        }
        // Who has asked hears the answer, whosever the path is.
        assert_eq!(demux.route_among(path, &message(Class::Success, 4, None), others), Target::Elsewhere(4));
        let nobody = |_: Question<'_>| None;
        let elsewhere = testkit::path("10.0.0.1:1", "10.0.0.2:3");
        let request = message(Class::Request, 9, Some("no:x"));
        let unknown = Target::Unknown { ufrag: "no", remote_ufrag: "x" };
        assert_eq!(demux.route_among(elsewhere, &request, nobody), unknown);
    }

    #[test]
    fn an_unknown_ufrag_is_reported() {
        let demux = Demux::default();
        let path = testkit::path("10.0.0.1:1", "10.0.0.2:2");
        let request = message(Class::Request, 1, Some("new:theirs"));
        assert_eq!(demux.route(path, &request), Target::Unknown { ufrag: "new", remote_ufrag: "theirs" });
        for datagram in [
            message(Class::Request, 1, Some("no colon")),
            message(Class::Request, 1, None),
            vec![],
            vec![0; 20],
        ] {
            assert_eq!(demux.route(path, &datagram), Target::Nobody);
        }
    }

    #[test]
    fn a_response_goes_to_who_asked_and_the_oldest_are_forgotten() {
        let mut demux = Demux::default();
        let path = testkit::path("10.0.0.1:1", "10.0.0.2:2");
        demux.note_sent(&message(Class::Request, 1, None), 5);
        demux.note_sent(&message(Class::Success, 2, None), 5);
        demux.note_sent(b"\x17 data", 5);
        assert_eq!(demux.route(path, &message(Class::Success, 1, None)), Target::Session(5));
        assert_eq!(demux.route(path, &message(Class::Error, 1, None)), Target::Session(5));
        assert_eq!(demux.route(path, &message(Class::Success, 2, None)), Target::Nobody);
        for number in 0..MAX_TRANSACTIONS {
            let mut id = [0; 12];
            id[..8].copy_from_slice(&number.to_be_bytes());
            demux.note_sent(&with_id(Class::Request, id, None), 6);
        }
        assert_eq!(demux.route(path, &message(Class::Success, 1, None)), Target::Nobody, "forgotten");
        assert_eq!(demux.by_transaction.len(), MAX_TRANSACTIONS);
        assert_eq!(demux.transactions.len(), MAX_TRANSACTIONS);
        demux.remove_session(6);
        assert!(demux.by_transaction.is_empty() && demux.transactions.is_empty());
    }
}
