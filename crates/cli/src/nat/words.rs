use std::fmt;
use std::net::SocketAddr;

use peerline::ServerCarrier;
use serde_json::{Value, json};
use stun::discovery::{Dependence, Event, Findings};

use super::binding::Binding;

/// What was found, for people.
pub(super) struct Page {
    pub(super) findings: Findings,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.findings;
        let Some(mapped) = found.mapped else { return Ok(()) };
        if found.is_translated() {
            let port = if found.keeps_port() { "the port is kept" } else { "the port is another one" };
            writeln!(f, "A NAT: {} is seen as {mapped}; {port}.", found.local)?;
        } else {
            writeln!(f, "No NAT: {mapped} is seen as it is.")?;
        }
        if let Some(mapping) = found.mapping.filter(|_| found.is_translated()) {
            writeln!(f, "Mapping: {}.", describe_mapping(mapping))?;
        }
        if let Some(filtering) = found.filtering {
            writeln!(f, "Filtering: {}.", describe_filtering(filtering))?;
        }
        if let Some(hairpin) = found.hairpin {
            let (yes, no) =
                ("reach each other by their addresses outside", "do not reach each other that way");
            writeln!(f, "Hairpin: two devices inside {}.", if hairpin { yes } else { no })?;
        }
        if let Some(lifetime) = found.lifetime {
            let at_least = lifetime.at_least.as_secs();
            match lifetime.below {
                Some(below) => {
                    writeln!(
                        f,
                        "Lifetime: a mapping ends after {at_least} to {} s of silence.",
                        below.as_secs()
                    )?;
                }
                None => writeln!(f, "Lifetime: a mapping lives through {at_least} s of silence.")?,
            }
        }
        if found.is_rewritten {
            writeln!(f, "Gateway: something on the way changes addresses within packets.")?;
        }
        writeln!(f, "\nWhat that means: {}", meaning(found))
    }
}

/// What a connection showed, for people.
pub(super) struct ConnectionPage {
    pub(super) carrier: ServerCarrier,
    pub(super) found: Binding,
}

impl fmt::Display for ConnectionPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { local, mapped } = self.found;
        let carrier = carrier_name(self.carrier);
        if local == mapped {
            writeln!(f, "Over {carrier} the server is reached, and sees {local} as it is.")?;
        } else {
            writeln!(
                f,
                "Over {carrier} the server is reached, and sees {local} as {mapped}: there is a NAT."
            )?;
        }
        writeln!(f, "\nWhat that means: {CONNECTED}")
    }
}

/// What a connection showed, for programs.
pub(super) fn json_of_connection(server: SocketAddr, carrier: ServerCarrier, found: &Binding) -> Value {
    json!({
        "server": server.to_string(),
        "carrier": carrier_name(carrier),
        "local": found.local.to_string(),
        "mapped": found.mapped.to_string(),
        "nat": found.local != found.mapped,
        "meaning": CONNECTED,
    })
}

const fn carrier_name(carrier: ServerCarrier) -> &'static str {
    match carrier {
        ServerCarrier::Tcp => "TCP",
        ServerCarrier::Tls => "TLS",
        ServerCarrier::Dtls => "DTLS",
        _ => "a connection",
    }
}

/// What was found, for programs.
pub(super) fn json(server: SocketAddr, found: &Findings, event: Event) -> Value {
    let failure = if let Event::Failed(failure) = event { Some(failure.to_string()) } else { None };
    json!({
        "server": server.to_string(),
        "local": found.local.to_string(),
        "mapped": found.mapped.map(|mapped| mapped.to_string()),
        "nat": found.mapped.map(|_| found.is_translated()),
        "keeps_port": found.mapped.map(|_| found.keeps_port()),
        "mapping": found.mapping.map(name),
        "filtering": found.filtering.map(name),
        "hairpin": found.hairpin,
        "rewritten": found.is_rewritten,
        "lifetime": found.lifetime.map(|lifetime| json!({
            "at_least": lifetime.at_least.as_secs(),
            "below": lifetime.below.map(|below| below.as_secs()),
        })),
        "failure": failure,
        "meaning": if failure.is_some() { NO_UDP } else { meaning(found) },
    })
}

/// The words of RFC 4787.
const fn name(dependence: Dependence) -> &'static str {
    match dependence {
        Dependence::EndpointIndependent => "endpoint-independent",
        Dependence::Address => "address-dependent",
        Dependence::AddressAndPort => "address-and-port-dependent",
    }
}

const fn describe_mapping(mapping: Dependence) -> &'static str {
    match mapping {
        Dependence::EndpointIndependent => "endpoint-independent; one address outside, whomever one talks to",
        Dependence::Address => "address-dependent; another port outside for each machine that one talks to",
        Dependence::AddressAndPort => {
            "address-and-port-dependent; another port outside for each program that one talks to (\"symmetric\")"
        }
    }
}

const fn describe_filtering(filtering: Dependence) -> &'static str {
    match filtering {
        Dependence::EndpointIndependent => "endpoint-independent; whoever knows the address outside may send",
        Dependence::Address => "address-dependent; machines to which something was sent may send",
        Dependence::AddressAndPort => {
            "address-and-port-dependent; only whom something was sent to, at that port, may send"
        }
    }
}

/// Who is reached, by what ICE can do with each pair of NATs.
fn meaning(found: &Findings) -> &'static str {
    use Dependence::{Address, AddressAndPort, EndpointIndependent};
    match (found.is_translated(), found.mapping, found.filtering) {
        (false, _, Some(EndpointIndependent)) => {
            "Everybody reaches this machine. Connections need no relay because of this side."
        }
        (false, ..) => {
            "A firewall, or nothing that was seen. Where both sides send at once, as WebRTC does, it lets a connection \
             in: no relay is needed because of this side."
        }
        (true, Some(EndpointIndependent), Some(EndpointIndependent | Address)) => {
            "Direct connections come about with every peer that lets UDP through. A relay is hardly ever needed."
        }
        (true, Some(EndpointIndependent), Some(AddressAndPort) | None) => {
            "Direct connections come about with most peers. With those whose mapping depends on whom they talk to \
             (\"symmetric\" NATs: companies, mobile networks) a relay is needed: configure a TURN server."
        }
        (true, Some(Address | AddressAndPort), _) => {
            "Direct connections come about only with peers that have no NAT, or one that does not filter by port. With \
             most homes a relay is needed: configure a TURN server."
        }
        (true, None, _) => {
            "This server has no second address, so that it cannot tell more. Ask one that has: `peerline turn \
             --alternate ADDRESS:PORT` is such a server."
        }
    }
}

/// What a connection to a server means.
const CONNECTED: &str = "a relay at this place can carry connections. What kind of NAT it is, and who is reached without a \
                         relay, only UDP can tell: ask `stun:` without `--transport`.";

/// What a server's silence means that speaks over TCP.
pub(super) const TCP_ONLY: &str = "no answer over UDP, but one over TCP: a firewall keeps UDP out. Connections come about \
                                   only through a TURN server over TCP or TLS (turn:…?transport=tcp, turns:…).";

/// What a server's silence means.
pub(super) const NO_UDP: &str = "no answer over UDP. Either no server is there, or a firewall keeps UDP out: then \
                                 connections come about only through a TURN server over TCP or TLS (turns:…, best at \
                                 port 443).";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stun::discovery::{Config, Discovery, Lifetime};

    use super::*;

    fn findings(mapped: &str) -> Findings {
        let path = stun::Path {
            carrier: stun::Carrier::Udp,
            local: "10.0.0.2:4000".parse().unwrap(),
            remote: "192.0.2.1:3478".parse().unwrap(),
        };
        let mut found = *Discovery::new(Config::default(), path, path.local, [1; 32]).findings();
        found.mapped = Some(mapped.parse().unwrap());
        found
    }

    #[test]
    fn each_nat_is_described_and_what_it_means_is_said() {
        use Dependence::{Address, AddressAndPort, EndpointIndependent};
        let all = [EndpointIndependent, Address, AddressAndPort];
        let mut seen = std::collections::BTreeSet::new();
        for mapping in all {
            for filtering in all {
                let mut found = findings("203.0.113.1:4000");
                (found.mapping, found.filtering, found.hairpin) =
                    (Some(mapping), Some(filtering), Some(true));
                let page = Page { findings: found }.to_string();
                assert!(page.contains(&format!("Mapping: {}", name(mapping))), "{page}");
                assert!(page.contains(&format!("Filtering: {}", name(filtering))), "{page}");
                assert!(
                    page.contains("10.0.0.2:4000 is seen as 203.0.113.1:4000; the port is kept"),
                    "{page}"
                );
                let is_relay_needed = mapping != EndpointIndependent || filtering == AddressAndPort;
                assert_eq!(page.contains("TURN server"), is_relay_needed, "{page}");
                seen.insert(page);
            }
        }
        assert_eq!(seen.len(), 9);
        let open = Page { findings: findings("10.0.0.2:4000") }.to_string();
        assert!(open.contains("No NAT") && !open.contains("TURN"), "{open}");
        let unknown = Page { findings: findings("203.0.113.1:1") }.to_string();
        assert!(unknown.contains("--alternate") && unknown.contains("another one"), "{unknown}");
    }

    #[test]
    fn lifetimes_and_gateways_are_told() {
        let mut found = findings("203.0.113.1:1");
        let lifetime = |below: Option<u64>| {
            Some(Lifetime { at_least: Duration::from_secs(97), below: below.map(Duration::from_secs) })
        };
        (found.lifetime, found.is_rewritten) = (lifetime(Some(105)), true);
        let page = Page { findings: found }.to_string();
        assert!(page.contains("after 97 to 105 s") && page.contains("changes addresses"), "{page}");
        found.lifetime = lifetime(None);
        assert!(Page { findings: found }.to_string().contains("through 97 s"));
    }

    #[test]
    fn programs_get_the_same() {
        let mut found = findings("203.0.113.1:1");
        found.mapping = Some(Dependence::Address);
        let server = "192.0.2.1:3478".parse().unwrap();
        let value = json(server, &found, Event::Finished);
        assert_eq!(value["mapping"], "address-dependent");
        assert_eq!(
            (&value["nat"], &value["filtering"], &value["failure"]),
            (&json!(true), &Value::Null, &Value::Null)
        );
        found.mapped = None;
        let value = json(server, &found, Event::Failed(stun::Failure::TimedOut));
        assert_eq!((&value["failure"], &value["nat"]), (&json!("no answer"), &Value::Null));
        assert!(value["meaning"].as_str().unwrap().contains("TLS"));
    }
}
