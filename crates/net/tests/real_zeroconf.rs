//! Our names resolved by the Python library `zeroconf`, and its names by us.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mdns::Event;
use net::UdpSocket;
use support::Station;

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

/// Resolves the name of the first argument, and prints the address.
const RESOLVE: &str = r#"
import sys
from zeroconf import Zeroconf, AddressResolverIPv4
zeroconf = Zeroconf(interfaces=["127.0.0.1"])
resolver = AddressResolverIPv4(sys.argv[1] + ".")
print("resolved", resolver.request(zeroconf, 8000), *resolver.parsed_addresses(), flush=True)
zeroconf.close()
"#;

/// Announces a service whose host has the name of the first argument, until its input ends.
const ANNOUNCE: &str = r#"
import sys
from zeroconf import Zeroconf, ServiceInfo
zeroconf = Zeroconf(interfaces=["127.0.0.1"])
info = ServiceInfo("_test._udp.local.", "test._test._udp.local.", 9, server=sys.argv[1] + ".", parsed_addresses=["127.0.0.1"])
zeroconf.register_service(info)
print("ready", flush=True)
sys.stdin.read()
zeroconf.close()
"#;

/// Runs a program that needs the library; `None` if no interpreter has it.
fn python(program: &str, name: &str) -> Option<Child> {
    let mut command = Command::new(testkit::python("from zeroconf import AddressResolverIPv4")?);
    command.args(["-c", program, name]).stdin(Stdio::piped()).stdout(Stdio::piped());
    Some(command.spawn().unwrap())
}

fn station() -> Option<Station> {
    let group = (mdns::GROUP_V4, mdns::PORT).into();
    match UdpSocket::bind_multicast(group, (LOOPBACK, 0).into()) {
        Ok(socket) => Some(Station::new(socket, LOOPBACK.into())),
        Err(error) => {
            eprintln!("skipped: no multicast on the loopback link: {error}");
            None
        }
    }
}

/// The first line that the program prints, while `station` answers.
async fn line(child: &mut Child, station: &mut Station) -> String {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let reading = std::thread::spawn(move || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line
    });
    while !reading.is_finished() {
        station.turn().await;
    }
    reading.join().unwrap()
}

#[tokio::test]
async fn real_zeroconf_resolves_our_name() {
    let Some(mut station) = station() else { return };
    let name = station.responder.announce(station.clock.now(), IpAddr::from(LOOPBACK)).unwrap();
    let Some(mut child) = python(RESOLVE, &name.to_string()) else { return };
    let said = line(&mut child, &mut station).await;
    child.wait().unwrap();
    assert_eq!(said.trim(), "resolved True 127.0.0.1");
}

#[tokio::test]
async fn real_we_resolve_the_name_of_zeroconf() {
    let Some(mut station) = station() else { return };
    let name = "0b5ca8a2-6d2c-4f3e-9d0e-1e0f4a8f6f11.local";
    let Some(mut child) = python(ANNOUNCE, name) else { return };
    assert_eq!(line(&mut child, &mut station).await.trim(), "ready");
    let query = station.querier.resolve(station.clock.now(), name.parse().unwrap()).unwrap();
    let begin = Instant::now();
    let mut event = None;
    while event.is_none() && begin.elapsed() < Duration::from_secs(20) {
        event = station.turn().await;
    }
    child.stdin.take().unwrap().flush().unwrap();
    child.wait().unwrap();
    assert_eq!(event, Some(Event::Resolved(query, LOOPBACK.into())));
}
