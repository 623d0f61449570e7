//! A link in the middle of the path that becomes narrow in the middle of a session, and tells nobody (THREATS figure 15).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a panic is how a test fails"
)]
#![cfg(target_os = "linux")]

mod harness;

use std::process::Command;

use harness::{Pair, negotiate, within};
use peerline::{Configuration, DataChannelInit, Endpoint, Event, IceCandidate, Mdns};

/// The process whose network is the router's, set where the test has its own.
const ROUTER: &str = "PEERLINE_ROUTER";
const TEST: &str = "real_reliable_data_goes_on_through_a_link_that_becomes_narrow";

/// Two hosts in one network, either of which sees the other at an address of the router between them.
const SETUP: &str = r#"
set -e
unshare --net sleep 600 >/dev/null 2>&1 & router=$!
while [ "$(readlink /proc/$router/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
on_router() { nsenter --target $router --net "$@"; }
ip link set lo up
ip link add left type veth peer name near netns $router
ip link add right type veth peer name far netns $router
ip addr add 10.77.1.1/24 dev left && ip link set left up
ip addr add 10.77.2.1/24 dev right && ip link set right up
on_router ip addr add 10.77.1.99/24 dev near && on_router ip link set near up
on_router ip addr add 10.77.2.99/24 dev far && on_router ip link set far up
on_router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
on_router nft -f - <<'RULES'
table ip between {
  chain to { type nat hook prerouting priority -100;
    ip daddr 10.77.1.99 dnat to 10.77.2.1
    ip daddr 10.77.2.99 dnat to 10.77.1.1; }
  chain from { type nat hook postrouting priority 100;
    oifname "far" snat to 10.77.2.99
    oifname "near" snat to 10.77.1.99; }
  chain silent { type filter hook output priority 0; meta l4proto icmp drop; }
}
RULES
nft -f - <<'RULES'
table ip apart { chain in { type filter hook input priority 0; iifname "lo" ip saddr 10.77.0.0/16 drop; }; }
RULES
"#;

#[tokio::test]
async fn real_reliable_data_goes_on_through_a_link_that_becomes_narrow() {
    let Some(router) = std::env::var_os(ROUTER) else { return run_apart() };
    let on =
        |name: &'static str| Endpoint::builder().interfaces(move |it| it.name == name).mdns(Mdns::Resolve);
    let (here, there) = (on("left").bind().await.unwrap(), on("right").bind().await.unwrap());
    let pair = connect_through_router(&here, &there).await;
    pair.exchange_a_megabyte().await;

    // Each time with both directions under way, so that datagrams of the full size are in flight.
    let count = testkit::scaled_at_least(1000, 200);
    let mut took = Vec::new();
    for _ in 0..count {
        let narrow = tokio::task::spawn_blocking({
            let router = router.clone();
            move || set_mtu(&router, "600")
        });
        while !narrow.is_finished() {
            let start = tokio::time::Instant::now();
            within(5, "a megabyte each way, in whose midst the link changes", pair.exchange_a_megabyte())
                .await;
            took.push(start.elapsed());
        }
        narrow.await.unwrap();
        set_mtu(&router, "1500");
    }
    took.sort_unstable();
    let (median, worst) = (took[took.len() / 2], took.last().unwrap());
    println!("{count} times narrow: a megabyte each way took {median:?} in the median, {worst:?} at worst");
    set_mtu(&router, "600");
    within(5, "a megabyte each way", pair.exchange_a_megabyte()).await;
}

/// Of the routes, and not of the links: what comes by them still passes, alone as well as in a train.
fn set_mtu(router: &std::ffi::OsStr, mtu: &str) {
    for route in ["10.77.1.0/24 dev near", "10.77.2.0/24 dev far"] {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(router).args(["--net", "ip", "route", "change"]);
        assert!(command.args(route.split(' ')).args(["mtu", "lock", mtu]).status().unwrap().success());
    }
}

async fn connect_through_router(here: &Endpoint, there: &Endpoint) -> Pair {
    let (alice, mut from_alice) = here.connect(Configuration::default()).unwrap();
    let (bob, mut from_bob) = there.connect(Configuration::default()).unwrap();
    let ours = alice.create_data_channel("first", DataChannelInit::default()).unwrap();
    negotiate(&alice, &bob);
    let seen = |found: IceCandidate, from: &str, to: &str| IceCandidate {
        candidate: found.candidate.replace(from, to),
        ..found
    };
    let met = async {
        loop {
            tokio::select! {
                Some(event) = from_alice.next() => if let Event::IceCandidate(Some(found)) = event {
                    bob.add_ice_candidate(&seen(found, "10.77.1.1", "10.77.2.99")).unwrap();
                },
                Some(event) = from_bob.next() => match event {
                    Event::IceCandidate(Some(found)) => {
                        alice.add_ice_candidate(&seen(found, "10.77.2.1", "10.77.1.99")).unwrap();
                    }
                    Event::DataChannel(theirs) => break theirs,
                    _ => {}
                },
            }
        }
    };
    let theirs = within(10, "to meet", met).await;
    within(10, "to open", ours.opened()).await.unwrap();
    Pair { alice, bob, from_alice, from_bob, ours, theirs }
}

/// Runs the test again in a network of its own, with another one for the router.
fn run_apart() {
    let apart = |then: &str| {
        let run = format!("{SETUP}\n{then}");
        Command::new("unshare")
            .args(["--net", "sh", "-c", &run])
            .arg(std::env::current_exe().unwrap())
            .output()
    };
    for needed in [["unshare", "--net", "true"], ["nft", "list", "ruleset"]] {
        let there = Command::new(needed[0]).args(&needed[1..]).output();
        if !there.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: {needed:?}: {there:?}");
            return;
        }
    }
    let then = format!(
        "set +e; {ROUTER}=$router \"$0\" --exact {TEST} --nocapture; status=$?; kill $router; exit $status"
    );
    let output = apart(&then).unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    eprintln!("{said}");
}
