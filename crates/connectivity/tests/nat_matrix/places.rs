//! Where the two sides can be.

use std::fmt;

use testkit::{Dependence, Nat, Passage, Ports};

/// Behind which NATs a side is, from the inside to the outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The row and the column that it belongs to.
    pub group: String,
    pub nats: Vec<Nat>,
}

/// Two places, and the NAT that both are behind, if there is one.
pub struct Pair {
    pub a: Place,
    pub b: Place,
    pub shared: Option<Nat>,
    /// The table that it belongs to.
    pub table: Table,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Table {
    /// One NAT on each side.
    Matrix,
    /// Two NATs in a row, firewalls, or none.
    Others,
    /// Both behind the same NAT.
    Shared,
}

impl Place {
    /// What the firewalls let pass together.
    pub fn passage(&self) -> Passage {
        self.nats
            .iter()
            .map(|nat| nat.passage)
            .find(|it| *it != Passage::Everything)
            .unwrap_or(Passage::Everything)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { a, b, shared, .. } = self;
        write!(f, "{} - {} {:?} {:?}", a.group, b.group, a.nats, b.nats)?;
        shared.iter().try_for_each(|nat| write!(f, ", both behind {nat:?}"))
    }
}

pub const DEPENDENCES: [(Dependence, &str); 3] =
    [(Dependence::EndpointIndependent, "I"), (Dependence::Address, "A"), (Dependence::AddressAndPort, "P")];

/// One NAT of each kind: 54.
fn kinds() -> Vec<Place> {
    let mut kinds = Vec::new();
    for (mapping, m) in DEPENDENCES {
        for (ports, sign) in [(Ports::Random, ""), (Ports::Preserved, ""), (Ports::Overloaded, "+")] {
            for (filtering, f) in DEPENDENCES {
                for hairpin in [false, true] {
                    // A port that is overloaded makes a difference only where there is more than one mapping.
                    let sign = if mapping == Dependence::EndpointIndependent { "" } else { sign };
                    let nat = Nat { mapping, filtering, hairpin, ports, ..Nat::cone() };
                    kinds.push(Place { group: format!("{m}{sign}/{f}"), nats: vec![nat] });
                }
            }
        }
    }
    kinds
}

/// The nine kinds by mapping and filter alone.
pub fn plain() -> Vec<Place> {
    let is_plain = |place: &Place| {
        let nat = place.nats[0];
        nat.ports == Ports::Random && !nat.hairpin
    };
    kinds().into_iter().filter(is_plain).collect()
}

/// What is not one NAT.
pub fn others() -> Vec<Place> {
    let independent = Nat { filtering: Dependence::EndpointIndependent, hairpin: true, ..Nat::cone() };
    let by_address = Nat { mapping: Dependence::Address, filtering: Dependence::Address, ..Nat::symmetric() };
    let (home, strict) = (Nat::cone(), Nat::symmetric());
    let place = |group: &str, nats: &[Nat]| Place { group: group.to_owned(), nats: nats.to_vec() };
    vec![
        place("none", &[]),
        place("I/P in I/I", &[home, independent]),
        place("I/P in A/A", &[home, by_address]),
        place("I/P in P/P", &[home, strict]),
        place("P/P in I/I", &[strict, independent]),
        place("no UDP", &[Nat { passage: Passage::NoUdp, ..home }]),
        place("TCP 443 only", &[Nat { passage: Passage::Tcp443, ..home }]),
    ]
}

/// Every pair once; who controls is whoever's turn it is.
pub fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    each_pair(&kinds(), |a, b| pairs.push(Pair { a, b, shared: None, table: Table::Matrix }));
    let (plain, others) = (plain(), others());
    for a in &others {
        for b in &plain {
            pairs.push(Pair { a: a.clone(), b: b.clone(), shared: None, table: Table::Others });
        }
    }
    each_pair(&others, |a, b| pairs.push(Pair { a, b, shared: None, table: Table::Others }));
    for shared in &plain {
        for hairpin in [false, true] {
            let nat = Nat { hairpin, ..shared.nats[0] };
            let mut homes = plain.clone();
            homes.push(others[0].clone());
            each_pair(&homes, |a, b| {
                pairs.push(Pair { a, b, shared: Some(nat), table: Table::Shared });
            });
        }
    }
    pairs
}

fn each_pair(places: &[Place], mut take: impl FnMut(Place, Place)) {
    for (at, a) in places.iter().enumerate() {
        for b in places.iter().skip(at) {
            take(a.clone(), b.clone());
        }
    }
}
