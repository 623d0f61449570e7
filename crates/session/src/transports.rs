//! The transports of a session: one, or one for each bundle and for each section outside of any (RFC 9429 §4.1.1).

use std::fmt;

use proto::Path;

use crate::transport::Transport;

/// Names a transport for as long as its session lives; the one of number 0 is `T0` in [statistics](crate::StatsId).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransportId(pub(crate) u32);

impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The transports, in the order in which they were made. Nearly every session has one, which costs no memory of its own. None moves
/// in memory as long as there are others: what it has of keys would stay behind.
#[derive(Debug, Default)]
pub(crate) struct Transports {
    first: Option<Transport>,
    others: Option<Box<Others>>,
}

/// Most sessions have none, and pay for a pointer.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "see `Transports`")]
struct Others(Vec<Box<Transport>>);

impl Transports {
    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.as_ref().map_or(0, |others| others.0.len())
    }

    // Chained slices, which cost next to nothing after each datagram.

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Transport> + Clone {
        let others = self.others.as_ref().map_or(&[][..], |others| &others.0);
        self.first.as_slice().iter().chain(others.iter().map(|transport| &**transport))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Transport> {
        let others = self.others.as_mut().map_or(&mut [][..], |others| &mut others.0);
        self.first.as_mut_slice().iter_mut().chain(others.iter_mut().map(|transport| &mut **transport))
    }

    /// The one that there is, where there is but one, as in nearly every session.
    pub(crate) fn only(&self) -> Option<&Transport> {
        self.first.as_ref().filter(|_| self.others.is_none())
    }

    /// The oldest.
    pub(crate) fn first(&self) -> Option<&Transport> {
        self.iter().next()
    }

    /// The one that stands at this place in the order.
    pub(crate) fn at(&mut self, place: usize) -> Option<&mut Transport> {
        match (&mut self.first, place) {
            (Some(first), 0) => Some(first),
            (first, place) => {
                let place = place.checked_sub(usize::from(first.is_some()))?;
                self.others.as_mut()?.0.get_mut(place).map(|transport| &mut **transport)
            }
        }
    }

    pub(crate) fn get(&self, id: TransportId) -> Option<&Transport> {
        self.iter().find(|transport| transport.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: TransportId) -> Option<&mut Transport> {
        self.iter_mut().find(|transport| transport.id == id)
    }

    /// The one that has the sockets that sessions share, and what is asked for by them.
    pub(crate) fn main(&self) -> Option<&Transport> {
        self.iter().find(|transport| transport.own.is_none())
    }

    /// Likewise.
    pub(crate) fn main_mut(&mut self) -> Option<&mut Transport> {
        self.iter_mut().find(|transport| transport.own.is_none())
    }

    pub(crate) fn push(&mut self, transport: Transport) {
        if self.is_empty() {
            self.first = Some(transport);
        } else {
            self.others.get_or_insert_default().0.push(Box::new(transport));
        }
    }

    pub(crate) fn remove(&mut self, id: TransportId) {
        self.first.take_if(|first| first.id == id);
        if let Some(others) = &mut self.others {
            others.0.retain(|transport| transport.id != id);
        }
        self.others.take_if(|others| others.0.is_empty());
    }

    /// The place of the one that a datagram is for. Of several that is the one that it names, that has asked, or whose
    /// peer has proved its password on the path; what is nobody's is for the first to refuse.
    pub(crate) fn place_of(&self, path: Path, datagram: &[u8]) -> usize {
        if self.others.is_none() {
            return 0;
        }
        self.iter().position(|transport| transport.connectivity.accepts(path, datagram)).unwrap_or(0)
    }
}

/// The sockets of a transport that shares none with others.
#[derive(Debug, Default)]
pub(crate) struct OwnSockets {
    pub addresses: Vec<std::net::SocketAddr>,
    /// They have all been told of, so that gathering may end.
    pub are_complete: bool,
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use proto::Instant;

    use super::*;
    use crate::{BundlePolicy, Config, MediaKind, Session, WallClock};

    #[test]
    fn a_transport_stays_where_it_is_while_others_come_and_go() {
        let now = Instant::from_nanos(1);
        let mut config = Config::new(testkit::null_provider());
        config.bundle_policy = BundlePolicy::MaxCompat;
        let mut session =
            Session::new(now, WallClock { unix_seconds: 1_800_000_000 }, config, [1; 32]).unwrap();
        (0..4).for_each(|_| _ = session.add_track(now, MediaKind::Audio, vec![]).unwrap());
        session.create_offer(now).unwrap();
        let transports = &mut session.transports;
        let places = |transports: &Transports| -> Vec<(u32, *const Transport)> {
            transports.iter().map(|transport| (transport.id.0, ptr::from_ref(transport))).collect()
        };
        let mut known = places(transports);
        assert_eq!(known.len(), 4);
        for gone in [1, 0, 3] {
            transports.remove(TransportId(gone));
            known.retain(|(id, _)| *id != gone);
            assert_eq!(places(transports), known);
            let ids = (0..known.len()).map(|place| transports.at(place).map(|transport| transport.id.0));
            assert!(ids.eq(known.iter().map(|(id, _)| Some(*id))));
            assert!(transports.at(known.len()).is_none() && !transports.is_empty());
        }
        transports.remove(TransportId(2));
        assert!(transports.is_empty() && transports.at(0).is_none() && transports.first().is_none());
    }
}
