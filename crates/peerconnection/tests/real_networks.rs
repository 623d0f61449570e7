//! Addresses that come and go, in a network of the test's own: what comes becomes a candidate, what goes is given up, and
//! data goes on without a restart.
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

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use harness::{connect_over, within};
use peerline::{Configuration, DataChannel, Endpoint, Event, Events, Mdns, PeerConnection};

/// Set in the process that has a network of its own.
const APART: &str = "PEERLINE_NETWORK_APART";

#[tokio::test]
async fn real_addresses_that_come_and_go_are_followed() {
    follow_addresses("real_addresses_that_come_and_go_are_followed", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_all_workers_of_an_endpoint_follow_the_addresses() {
    follow_addresses("real_all_workers_of_an_endpoint_follow_the_addresses", 3).await;
}

/// With so many workers on either side.
async fn follow_addresses(test: &str, workers: usize) {
    if std::env::var_os(APART).is_none() {
        return run_apart(test);
    }
    // Two hosts in one: each has one end of the link.
    let on = |name: &'static str| {
        Endpoint::builder().workers(workers).interfaces(move |it| it.name == name).mdns(Mdns::Resolve)
    };
    let (here, there) = (on("left").bind().await.unwrap(), on("right").bind().await.unwrap());
    assert_eq!(ips(&here), ["10.77.0.1"]);
    let mut pair = connect_over(&here, &there, [Configuration::default(), Configuration::default()]).await;
    echo(&pair.ours, &pair.theirs).await;

    // One more: it is told, and leads to the peer.
    ip("addr add 10.77.0.2/24 dev left");
    let told = told(&mut pair.from_alice, "10.77.0.2").await;
    pair.bob.add_ice_candidate(&told).unwrap();
    within(5, "another socket", until(|| ips(&here) == ["10.77.0.1", "10.77.0.2"])).await;
    echo(&pair.ours, &pair.theirs).await;

    // The one in use goes: data goes on by the other, with the same ICE credentials.
    let before = ufrag(&pair.alice);
    ip("addr del 10.77.0.1/24 dev left");
    within(5, "one socket less", until(|| ips(&here) == ["10.77.0.2"])).await;
    within(10, "another path", until(|| local(&pair.alice) == Some("10.77.0.2".parse().unwrap()))).await;
    within(20, "data by the other path", echo(&pair.ours, &pair.theirs)).await;
    assert_eq!(ufrag(&pair.alice), before);

    // All of them go, and the connection says so; one comes, and it goes on.
    ip("addr del 10.77.0.2/24 dev left");
    within(5, "no socket", until(|| ips(&here).is_empty())).await;
    assert_eq!(local(&pair.alice), None);
    ip("addr add 10.77.0.3/24 dev left");
    let told = self::told(&mut pair.from_alice, "10.77.0.3").await;
    pair.bob.add_ice_candidate(&told).unwrap();
    within(20, "data by a third", echo(&pair.ours, &pair.theirs)).await;
    assert_eq!(local(&pair.alice), Some("10.77.0.3".parse().unwrap()));
    // A connection that begins now knows of it.
    let page = pair.alice.report().to_string();
    assert!(page.contains("interface left: 10.77.0.3\n"), "{page}");
}

fn ips(endpoint: &Endpoint) -> Vec<String> {
    let mut found: Vec<String> = endpoint.local_addresses().iter().map(|it| it.ip().to_string()).collect();
    found.sort();
    found
}

fn local(connection: &PeerConnection) -> Option<IpAddr> {
    connection.stats().selected_path.map(|path| path.local.ip())
}

fn ufrag(connection: &PeerConnection) -> String {
    let sdp = connection.local_description().unwrap().sdp.to_string();
    sdp.lines().find(|line| line.starts_with("a=ice-ufrag")).unwrap().to_owned()
}

async fn told(events: &mut Events, address: &str) -> peerline::IceCandidate {
    let next = async {
        loop {
            if let Some(Event::IceCandidate(Some(found))) = events.next().await
                && found.candidate.contains(&format!(" {address} "))
            {
                break found;
            }
        }
    };
    within(5, "a candidate", next).await
}

async fn echo(from: &DataChannel, to: &DataChannel) {
    for (from, to) in [(from, to), (to, from)] {
        from.send("are you there?").await.unwrap();
        assert_eq!(to.recv().await.unwrap().as_bytes(), b"are you there?");
    }
}

async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {output:?}");
}

/// Runs one test of this program again in a network of its own, with a link whose ends are `left` and `right`.
fn run_apart(test: &str) {
    let setup = "ip link set lo up && ip link add left type veth peer name right \
        && echo 1 > /proc/sys/net/ipv4/conf/all/promote_secondaries \
        && ip addr add 10.77.0.1/24 dev left && ip addr add 10.77.0.9/24 dev right \
        && ip link set left up && ip link set right up";
    let apart = || {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c"]).env(APART, "1");
        command
    };
    let ready = apart().arg(setup).output();
    if !ready.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no network of its own: {ready:?}");
        return;
    }
    let run = format!("{setup} && exec \"$0\" --exact {test} --nocapture");
    let output = apart().arg(run).arg(std::env::current_exe().unwrap()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
