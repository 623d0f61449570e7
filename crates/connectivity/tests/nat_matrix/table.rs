//! The results as a page.

use std::fmt::Write as _;

use testkit::Nat;

use crate::Found;
use crate::places::{DEPENDENCES, Pair, Table, others, plain};

pub fn write(results: &[(&Pair, Found)]) -> String {
    let mut page = HEAD.to_owned();
    let count = |found: Found| results.iter().filter(|(_, it)| *it == found).count();
    let direct = count(Found::Direct);
    let _ = writeln!(
        page,
        "{} pairs were run, each without and with relays: {direct} are joined directly, {} through a relay.\n",
        results.len(),
        results.len() - direct
    );
    page.push_str(LEGEND);
    let mut groups: Vec<String> = plain().into_iter().map(|place| place.group).collect();
    let overloaded = DEPENDENCES[1..].iter().flat_map(|(_, m)| DEPENDENCES.map(|(_, f)| format!("{m}+/{f}")));
    groups.extend(overloaded);
    page.push_str("\n## One NAT on each side\n\n");
    grid(&mut page, results, Table::Matrix, &groups, &groups);
    let others: Vec<String> = others().into_iter().map(|place| place.group).collect();
    let columns: Vec<String> = groups.iter().take(9).chain(&others).cloned().collect();
    page.push_str(OTHERS);
    grid(&mut page, results, Table::Others, &others, &columns);
    page.push_str(SHARED);
    shared(&mut page, results);
    page
}

fn grid(page: &mut String, results: &[(&Pair, Found)], table: Table, rows: &[String], columns: &[String]) {
    let _ = writeln!(page, "| | {} |", columns.join(" | "));
    let _ = writeln!(page, "|---|{}", ":-:|".repeat(columns.len()));
    for row in rows {
        let _ = write!(page, "| **{row}** |");
        for column in columns {
            let is_meant = |pair: &Pair| {
                let groups = (&pair.a.group, &pair.b.group);
                pair.table == table && (groups == (row, column) || groups == (column, row))
            };
            let mut found: Vec<Found> =
                results.iter().filter(|(pair, _)| is_meant(pair)).map(|(_, found)| *found).collect();
            found.dedup();
            // Ports and hairpins make no difference within a field.
            let [found] = found[..] else { panic!("{row} - {column}: {found:?}") };
            let _ = write!(page, " {} |", sign(found));
        }
        page.push('\n');
    }
}

fn shared(page: &mut String, results: &[(&Pair, Found)]) {
    page.push_str("| shared NAT | hairpin | pairs | direct | relay |\n|---|---|--:|--:|--:|\n");
    for place in plain() {
        for hairpin in [false, true] {
            let nat = Nat { hairpin, ..place.nats[0] };
            let found: Vec<Found> = results
                .iter()
                .filter(|(pair, _)| pair.shared == Some(nat))
                .map(|(_, found)| *found)
                .collect();
            let direct = found.iter().filter(|found| **found == Found::Direct).count();
            let (group, yes) = (&place.group, if hairpin { "yes" } else { "no" });
            let _ = writeln!(
                page,
                "| **{group}** | {yes} | {} | {direct} | {} |",
                found.len(),
                found.len() - direct
            );
        }
    }
}

const fn sign(found: Found) -> &'static str {
    match found {
        Found::Direct => "●",
        Found::Relay => "○",
        Found::RelayOverTcp => "○ TCP",
        Found::RelayOverTcp443 => "○ 443",
    }
}

const HEAD: &str = "\
# Who meets whom through which NATs

Written by `cargo xtask nat-matrix`; CI fails when it is stale. In the simulator, two sides gather, exchange their
candidates and check, behind each pair of NATs. Each pair is run twice. Without relays they must meet if and only if
theory says that there is a direct path, and report that no check was answered otherwise. With our TURN server, which they
reach as far as their firewalls let them, they must always meet, by the direct path where there is one; data goes both
ways. The theory is a function of the properties of the NATs alone, and stands with its reasons in
`crates/testkit/src/reach.rs`; the runs are `crates/connectivity/tests/nat_matrix`.

";

const LEGEND: &str = "\
A NAT is *mapping/filter* in the words of RFC 4787: **I** endpoint-independent, **A** address-dependent, **P** address- and
port-dependent. So the NAT of most homes is I/P, and the one called symmetric P/P. With **+** the outside port is that
of the inside for every mapping (port overloading), as Linux masquerades. Each field stands for all pairs of ports
chosen at random or preserved, and of hairpinning or not, which make no difference here; that is checked.

● direct, ○ through a relay (*TCP*, *443*: which one side can reach over TCP, or over TCP to port 443, alone).
";

const OTHERS: &str = "
## Two NATs in a row, firewalls, and none

*X in Y*: a home's NAT X behind its carrier's NAT Y. The firewalls are NATs I/P besides.

";

const SHARED: &str = "
## Both behind the same NAT

Each side behind one of the nine NATs, or none, and both of these behind a shared one, as customers of one carrier are. The
addresses that they know of each other are outside of it, so that it has to hairpin; but for hosts without a NAT of their
own, which are reached inside.

";
