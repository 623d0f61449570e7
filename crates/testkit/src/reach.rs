//! Which two hosts can meet directly, by theory: from the properties of the NATs between them alone.
//!
//! Both sides run ICE (RFC 8445): each asks a STUN server from its one socket, tells the other the address at which the
//! server saw it, and sends checks to what it was told and to whatever address a check has come from.
//!
//! # Words
//!
//! A host sits behind layers of NATs, from the inside to the outside; none is a public host. The *mapping* of a layer
//! is effectively endpoint-independent also where ports are [overloaded](Ports::Overloaded): another mapping, but the
//! same outside port. What comes out of several layers depends on the far end as much as the most dependent of them
//! does: a layer gives the same address again if and only if it is given the same address. So a side has
//! one mapping, `M`, the maximum of its layers, in the order independent (I), address (A), address and port (P).
//!
//! A layer lets a datagram in if the mapping that it comes to has sent to where it is from, as exactly as its *filter*
//! asks: to anybody (I), to that address (A), or to that address and port (P). What such a mapping has sent to is
//! everything that the host has sent to if the mappings up to this layer are independent, and otherwise only what belongs
//! to the mapping.
//!
//! For sides X and Y, `Xs` is what the server saw of X. A check succeeds when it is let in *and* its answer comes from
//! the very address that the check was sent to (RFC 8445 §7.2.5.2.1); the answer itself is always let in, because the
//! check has opened the way.
//!
//! # What can be found
//!
//! 1. **X checks `Ys`.** The answer leaves by Y's mapping towards X. It is `Ys` only if `M(Y)` is I. Y sends to
//!    `Xs` all the time, which opens each filter of Y's of kind I or A. One of kind P opens only to `Xs` exactly, so
//!    that X's checks must come from there: `M(X)` is I. Where they do not, Y never learns where they come from: they do
//!    not get in. *So: `M(Y)` = I, and no filter of Y's is P or `M(X)` = I.*
//! 2. **Neither mapping is independent.** Then what the servers saw is good for a first knock only. X knocks at `Ys`
//!    from `X1`. It gets in if each layer of Y's is *open*: its filter is I, or it is A and the mappings up to there are
//!    independent, so that it has sent to X's address. Y sees `X1`, and checks it from `Y2`. That gets in if X is *lax*:
//!    no filter of X's is P; for `X1` has sent to Y's address, and not to `Y2`. Now X knows `Y2`. X answers from `X1` if
//!    `M(X)` is A, since `Y2` is of the address it knew: Y's check has succeeded. If `M(X)` is P, X answers from
//!    `X2`, in vain, and checks `Y2` from there; Y, open, lets it in, and answers from `Y2` if `M(Y)` is A: X's check has
//!    succeeded. If both are P, every check makes a new mapping, and no answer is ever from where it should be.
//!    *So: not both P, and one is open while the other is lax.*
//!
//! Between one independent mapping and one that is not, what comes by the first knock of 2. adds nothing to 1.: the
//! independent side is asked from an address it may learn only if it lets it in, which is 1. again.
//!
//! Whether a port is preserved changes nothing of this as long as it is not overloaded: the server has been given it.
//!
//! # Behind the same NAT
//!
//! Two hosts on one network meet there. If there are NATs of their own between them and a shared one (a carrier's),
//! they know only their addresses outside of it, so that it has to hairpin; and then the above
//! holds, with the shared one as a layer of each. If one of them has no NAT of its own, the other reaches it inside, at
//! its own address.
//!
//! Without UDP, nothing is found: ICE over TCP is none of this.

use crate::{Dependence, Nat, Passage, Ports};

/// Whether ICE over UDP must find a direct path between hosts behind the NATs `a` and `b`, each from the inside to the
/// outside, and all of them behind `shared`, if there is one.
pub fn is_direct(a: &[Nat], b: &[Nat], shared: Option<Nat>) -> bool {
    let has_udp = |own: &[Nat]| own.iter().all(|nat| nat.passage == Passage::Everything);
    if !has_udp(a) || !has_udp(b) {
        return false;
    }
    let Some(shared) = shared else { return can_meet(&Side::of(a), &Side::of(b)) };
    if a.is_empty() || b.is_empty() {
        return true;
    }
    let [a, b] = [a, b].map(|own| Side::of(&[own, &[shared]].concat()));
    shared.hairpin && shared.passage == Passage::Everything && can_meet(&a, &b)
}

/// A host's NATs together.
struct Side {
    /// On what the outermost address depends.
    mapping: Dependence,
    /// Of each layer: on what the mapping up to there depends, and the filter.
    layers: Vec<(Dependence, Dependence)>,
}

impl Side {
    fn of(nats: &[Nat]) -> Self {
        let mut mapping = Dependence::EndpointIndependent;
        let mut layers = Vec::new();
        for nat in nats {
            let overloads = nat.ports == Ports::Overloaded;
            let own = if overloads { Dependence::EndpointIndependent } else { nat.mapping };
            mapping = mapping.max(own);
            // Overloaded mappings share a port, and each of them lets in: together they have sent to everybody.
            layers.push((mapping, nat.filtering));
        }
        Self { mapping, layers }
    }

    fn is_independent(&self) -> bool {
        self.mapping == Dependence::EndpointIndependent
    }

    /// Lets a first knock in, from the address of whom it has sent to.
    fn is_open(&self) -> bool {
        self.layers.iter().all(|(mapping, filter)| match filter {
            Dependence::EndpointIndependent => true,
            Dependence::Address => *mapping == Dependence::EndpointIndependent,
            Dependence::AddressAndPort => false,
        })
    }

    /// Lets in what comes from another port than it has sent to.
    fn is_lax(&self) -> bool {
        self.layers.iter().all(|(_, filter)| *filter != Dependence::AddressAndPort)
    }

    /// 1.: the other one's checks get to our told address, and are answered from there.
    fn can_be_asked_by(&self, other: &Self) -> bool {
        self.is_independent() && (self.is_lax() || other.is_independent())
    }
}

fn can_meet(x: &Side, y: &Side) -> bool {
    let by_address = y.can_be_asked_by(x) || x.can_be_asked_by(y);
    let neither = !x.is_independent() && !y.is_independent();
    let one_holds = x.mapping.min(y.mapping) != Dependence::AddressAndPort;
    let by_knocking = x.is_open() && y.is_lax() || y.is_open() && x.is_lax();
    by_address || neither && one_holds && by_knocking
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What everybody knows of NATs, before anything is computed.
    #[test]
    fn well_known_pairs_come_out_as_they_are_known() {
        let open: &[Nat] = &[];
        let (cone, symmetric) = (Nat::cone(), Nat::symmetric());
        let full = Nat { filtering: Dependence::EndpointIndependent, ..cone };
        let restricted = Nat { filtering: Dependence::Address, ..cone };
        for (a, b, direct) in [
            (open, &[symmetric][..], true),
            (&[cone], &[cone], true),
            (&[full], &[symmetric], true),
            (&[restricted], &[symmetric], true),
            (&[cone], &[symmetric], false),
            (&[symmetric], &[symmetric], false),
            // Linux on both sides: overloaded ports are as good as an independent mapping.
            (&[Nat { ports: Ports::Overloaded, ..symmetric }], &[cone], true),
            // A good NAT at home does not help behind a bad one of the carrier's.
            (&[full, symmetric], &[cone], false),
            (&[cone, full], &[cone, full], true),
            (open, &[Nat { passage: Passage::NoUdp, ..cone }], false),
        ] {
            assert_eq!(is_direct(a, b, None), direct, "{a:?} {b:?}");
            assert_eq!(is_direct(b, a, None), direct, "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_shared_nat_has_to_hairpin_for_those_with_nats_of_their_own() {
        let carrier = Nat::cone();
        let hairpin = Nat { hairpin: true, ..carrier };
        assert!(!is_direct(&[Nat::cone()], &[Nat::cone()], Some(carrier)));
        assert!(is_direct(&[Nat::cone()], &[Nat::cone()], Some(hairpin)));
        assert!(is_direct(&[], &[], Some(carrier)));
        assert!(is_direct(&[Nat::cone()], &[], Some(carrier)));
    }
}
