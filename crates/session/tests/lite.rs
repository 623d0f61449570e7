//! A server that is ICE-lite: it says so, asks nothing, and carries data (RFC 8445 §2.4).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]

mod harness;

use std::time::Duration;

use harness::{Two, config, near};
use ice::Role;
use session::{ChannelInit, ConnectionState, SdpType};

/// Side 1 is lite, and side 0 as well if wanted.
fn two(both: bool) -> Two {
    let mut configs = [config(0), config(1)];
    (configs[0].ice_lite, configs[1].ice_lite) = (both, true);
    // A lite agent has host candidates alone, whatever it is told of servers.
    configs[1].stun_servers.push(([192, 0, 2, 99], 3478).into());
    Two::with(configs, near())
}

#[test]
fn a_lite_server_and_a_full_client_are_connected_whoever_offers() {
    for offerer in [0, 1] {
        let mut two = two(false);
        let now = two.now();
        let ours = two.session(offerer).open_channel(now, ChannelInit::labelled("chat")).unwrap();
        two.negotiate(offerer);
        let said = |two: &mut Two, side: usize| {
            let (_, description) = two.session(side).local_description().unwrap();
            description.to_string().lines().filter(|line| *line == "a=ice-lite").count()
        };
        assert_eq!((said(&mut two, 0), said(&mut two, 1)), (0, 1));
        assert!(two.run(Duration::from_secs(5), Two::is_connected), "{}", two.reports());
        let theirs = two.incoming(1 - offerer);
        let channels = if offerer == 0 { (ours, theirs) } else { (theirs, ours) };
        two.echo(channels.0, channels.1);
        assert!(!two.run(Duration::from_secs(90), |two| !two.is_connected()), "{}", two.reports());
        two.echo(channels.0, channels.1);
        let now = two.now();
        assert_eq!(two.session(0).stats(now).ice_role, Some(Role::Controlling));
        assert_eq!(two.session(1).stats(now).ice_role, Some(Role::Controlled));
        let counters = two.session(1).report(now).connectivity.unwrap().stats.counters;
        assert_eq!((counters.checks_sent, counters.consent_sent), (0, 0));
        assert!(two.session(1).report(now).connectivity.unwrap().servers.is_empty());
    }
}

#[test]
fn two_lite_sides_are_connected_without_a_check() {
    let mut two = two(true);
    let ours = two.connect();
    let theirs = two.incoming(1);
    two.echo(ours, theirs);
    two.run(Duration::from_secs(90), |_| false);
    two.echo(ours, theirs);
    let now = two.now();
    for (side, role) in [(0, Role::Controlling), (1, Role::Controlled)] {
        let stats = two.session(side).report(now).connectivity.unwrap().stats;
        assert_eq!((stats.role, stats.counters.checks_sent, stats.counters.replies_sent), (role, 0, 0));
    }
}

#[test]
fn a_full_client_restarts_ice_with_a_lite_server() {
    let mut two = two(false);
    let ours = two.connect();
    let theirs = two.incoming(1);
    two.session(0).restart_ice();
    two.negotiate(0);
    two.run(Duration::from_secs(40), |_| false);
    assert!(two.is_connected(), "{}", two.reports());
    two.echo(ours, theirs);
}

#[test]
fn a_client_that_is_gone_is_noticed_by_a_lite_server() {
    let mut two = two(false);
    two.connect();
    two.cut(&[0]);
    two.run(Duration::from_secs(31), |_| false);
    let failed = ConnectionState::Failed(session::Failure::Ice(ice::Failure::ConsentExpired));
    assert_eq!(two.session(1).connection_state(), failed);
}

#[test]
fn options_are_read_from_the_description() {
    let mut two = Two::new();
    let now = two.now();
    two.session(0).open_channel(now, ChannelInit::labelled("chat")).unwrap();
    let offer = two.session(0).create_offer(now).unwrap();
    assert!(offer.to_string().contains("a=ice-options:trickle ice2 renomination"));
    two.session(0).set_local(now, SdpType::Offer, offer).unwrap();
    two.negotiate(0);
    let report = two.session(0).report(now).connectivity.unwrap();
    assert_eq!(report.remote_options, ice::Options { ice2: true, renomination: true });
}
