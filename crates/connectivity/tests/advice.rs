//! What the report advises, for each of the reasons why there may be no connection.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use std::time::Duration;

use connectivity::{
    Config, Connectivity, Credentials, Failure, LocalName, NameFailure, NameState, Report, State, TurnServer,
};
use testkit::epoch;

const OWN: ([u8; 4], u16) = ([192, 0, 2, 1], 4000);
const SERVER: ([u8; 4], u16) = ([198, 51, 100, 1], 3478);

/// A side that checks, with a candidate of its own and one of the peer's, a STUN and a TURN server.
fn checking() -> Connectivity {
    let mut config = Config::default();
    config.resolves_names = true;
    config.stun_servers = vec![SERVER.into()];
    let credentials = stun::Credentials::new("alice", "wonderland").unwrap();
    config.turn_servers = vec![TurnServer::new(SERVER.into(), credentials)];
    let mut side = Connectivity::new(epoch(), config, [1; 32]);
    side.add_host(epoch(), OWN.into()).unwrap();
    side.add_relay_socket(epoch(), ([192, 0, 2, 1], 5000).into());
    side.gather(epoch());
    side.set_remote_credentials(epoch(), Credentials::new("abcd", "0123456789012345678901").unwrap());
    side.add_remote_candidate_text(epoch(), "candidate:1 1 udp 1 192.0.2.2 9 typ host").unwrap();
    side
}

fn report(change: impl FnOnce(&mut Report)) -> Report {
    let mut report = checking().report();
    assert_eq!(report.stats.state, State::Checking);
    // The servers have answered, and the relay has an address.
    report.servers[0].is_pending = false;
    report.servers[0].mapped = Some(OWN.into());
    report.relays[0].is_pending = false;
    report.relays[0].relayed = [Some(SERVER.into()), None];
    change(&mut report);
    report
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_reason_has_its_advice() {
    let named = |report: &mut Report, state| {
        report.remote_candidates.clear();
        report.names = vec![("c0ffee.local".to_owned(), state)];
    };
    let cases: Vec<(Report, &str)> = vec![
        (report(|it| it.stats.state = State::New), "Nothing was heard of the peer"),
        (report(|it| it.stats.state = State::Disconnected), "The path is silent"),
        (report(|it| it.stats.state = State::Failed(Failure::ConsentExpired)), "The path died"),
        (
            report(|it| it.stats.state = State::Failed(Failure::WrongCredentials)),
            "One side has another ufrag or password",
        ),
        (
            report(|it| {
                it.relays[0].relayed = [None; 2];
                it.relays[0].failure = Some(turn::client::Failure::TimedOut);
            }),
            "No TURN server gave an address",
        ),
        (
            report(|it| {
                it.relay_only = true;
                it.relays.clear();
            }),
            "Only relayed addresses may be used",
        ),
        (
            report(|it| {
                it.local_candidates.clear();
                it.hides_hosts = true;
            }),
            "Our addresses are hidden",
        ),
        (
            report(|it| {
                it.local_candidates.clear();
                it.refused_hosts = 1;
            }),
            "None of our addresses can be used",
        ),
        (report(|it| it.local_candidates.clear()), "There is no address of ours"),
        (report(|it| named(it, NameState::Asked)), "being asked for: wait"),
        (
            report(|it| named(it, NameState::Failed(NameFailure::Unavailable))),
            "multicast DNS does not work here",
        ),
        (report(|it| named(it, NameState::Failed(NameFailure::NoAnswer))), "Nobody on this network answers"),
        (
            report(|it| {
                it.remote_candidates.clear();
                it.ignored_hostnames = 1;
            }),
            "The peer gave only .local names: let one side",
        ),
        (report(|it| it.remote_candidates.clear()), "The peer gave no candidate"),
        (report(|it| it.stats.pairs.clear()), "of different families"),
        (
            report(|it| {
                it.servers[0].mapped = None;
                it.servers[0].failure = Some(stun::Failure::TimedOut);
            }),
            "No STUN server answers",
        ),
        (report(|it| it.servers.clear()), "use a STUN server, or a TURN server"),
        (report(|it| it.stats.state = State::Failed(Failure::NoAnswer)), "not through the relay either"),
        (
            report(|it| {
                it.relays.clear();
                it.stats.state = State::Failed(Failure::NoAnswer);
            }),
            "both sides may be behind strict NATs",
        ),
    ];
    for (report, advice) in cases {
        let given = report.advice().unwrap_or_else(|| panic!("none: {advice}"));
        assert!(given.contains(advice), "{given:?}, not {advice:?}");
        assert!(report.to_string().ends_with(&format!("try: {given}\n")), "{report}");
    }
    for well in [State::Connected, State::Completed, State::Closed] {
        assert_eq!(report(|it| it.stats.state = well).advice(), None);
    }
}

#[test]
fn the_page_has_timers_names_and_addresses_that_are_none() {
    let mut side = checking();
    assert!(side.add_host(epoch(), ([0, 0, 0, 0], 4000).into()).is_err());
    let name: LocalName = "c0ffee.local".parse().unwrap();
    side.add_remote_candidate_text(epoch(), "candidate:2 1 udp 1 c0ffee.local 9 typ host").unwrap();
    let report = side.report();
    assert_eq!(report.timers.gives_up, Some(Duration::from_millis(39_500)));
    assert_eq!((report.timers.consent_expires, report.timers.asks_server), (None, Some(Duration::ZERO)));
    let page = report.to_string();
    assert!(
        page.contains("timers: next in 0.000 s, server asked in 0.000 s, given up in 39.500 s\n"),
        "{page}"
    );
    assert!(page.contains("  c0ffee.local: asked for\n"), "{page}");
    assert!(page.contains("  addresses that cannot be candidates: 1\n"), "{page}");
    side.name_resolved(epoch(), &name, [192, 0, 2, 3].into());
    let page = side.report().to_string();
    assert!(page.contains("  c0ffee.local: known\n") && page.contains("  host 0.0.0.0:9\n"), "{page}");
    side.close(epoch());
    // What is left is to give the relay back.
    let timers = side.report().timers;
    assert_eq!((timers.gives_up, timers.consent_expires, timers.next), (None, None, timers.asks_server));
}
