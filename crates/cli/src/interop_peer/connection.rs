//! The peer connection: commands to it, events from it.

use std::path::Path;

use peerline::{
    BundlePolicy, CandidateKind, Carrier, Configuration, ConnectionState, DataChannelInit, Description,
    DtlsRole, Endpoint, Event, Events, IceCandidate, IceServer, IceTransportPolicy, Mdns, PeerConnection,
    Reliability, TlsClient,
};
use serde_json::{Value, json};

use crate::channels::Channels;
use crate::media::Media;
use crate::output::Output;
use crate::{Answer, Refusal, Ways};

pub(crate) struct Peer {
    connection: PeerConnection,
    channels: Channels,
    media: Media,
    output: Output,
}

impl Peer {
    /// Makes the connection as `config` wants it.
    pub(crate) async fn new(config: &Value, ways: &Ways, output: Output) -> Result<Self, Refusal> {
        let mut configuration = Configuration::default();
        if config["certificate"] == "rsa" {
            let certificate = crate::rsa::certificate();
            configuration.certificate =
                Some(certificate.ok_or_else(|| Refusal::Unsupported("certificate rsa".to_owned()))?);
        }
        configuration.ice_servers = ice_servers(config);
        if let Some(file) = std::env::var_os("INTEROP_CA_FILE").filter(|file| !file.is_empty()) {
            configuration.tls = Some(TlsClient::from_file(Path::new(&file))?);
        }
        if config["iceTransportPolicy"] == "relay" {
            configuration.ice_transport_policy = IceTransportPolicy::Relay;
        }
        let policies = [BundlePolicy::Balanced, BundlePolicy::MaxCompat, BundlePolicy::MaxBundle];
        if let Some(policy) = policies.into_iter().find(|policy| config["bundlePolicy"] == policy.name()) {
            configuration.bundle_policy = policy;
        }
        if config["dtlsRole"] == "server" {
            configuration.answer_dtls_role = DtlsRole::Server;
        }
        let mdns = if config["mdns"] == true { Mdns::Hide } else { Mdns::Resolve };
        let builder = Endpoint::builder().loopback(config["loopback"] == true).mdns(mdns);
        let builder = builder.ice_lite(ways.lite).udp(!ways.tcp_only).tcp_active(ways.tcp_only);
        let builder = if ways.tcp_only { builder.tcp_port(0) } else { builder };
        let endpoint = builder.bind().await?;
        let (connection, events) = endpoint.connect(configuration)?;
        let channels = Channels::new(output.clone());
        let media = Media::default();
        tokio::spawn(report(events, connection.clone(), channels.clone(), media.clone(), output.clone()));
        Ok(Self { connection, channels, media, output })
    }

    /// Carries a command out; `None` where it answers for itself later.
    pub(crate) fn carry_out(&self, command: &Value) -> Option<Answer> {
        let done = || json!({ "ev": "ok" });
        Some(match command["op"].as_str().unwrap_or_default() {
            "create_offer" => self.create_offer(command).map(|()| done()),
            "set_remote" => self.set_remote(command).map(|()| done()),
            "rollback" => self.connection.rollback().map(|()| done()).map_err(Into::into),
            "local_description" => {
                self.describe();
                Ok(done())
            }
            "candidate" => self.add_candidate(command).map(|()| done()),
            "add_channel" => self.add_channel(command).map(|()| done()),
            "close_channel" => self.channels.close(command).map(|()| done()),
            "add_media" => self.media.add(command).map(|()| done()),
            "stop_media" => self.media.stop(command).map(|()| done()),
            "media" => Ok(self.media.report(&self.connection)),
            "received" => Ok(self.channels.received(command)),
            "stats" => Ok(self.stats()),
            "send" => match self.channels.send(command) {
                Ok(()) => return None,
                Err(refusal) => Err(refusal),
            },
            other => Err(Refusal::Unsupported(other.to_owned())),
        })
    }

    pub(crate) fn close(&self) {
        let report = format!("{}{:?}", self.connection.report(), self.connection.stats().sctp);
        self.output.event(json!({ "ev": "log", "message": report }));
        self.connection.close();
        self.channels.clear();
        self.media.clear();
    }

    pub(crate) async fn closed(&self) {
        self.connection.closed().await;
    }

    fn create_offer(&self, command: &Value) -> Result<(), Refusal> {
        if command["iceRestart"] == true {
            self.connection.restart_ice();
        }
        self.media.offer(&self.connection)?;
        let offer = self.connection.create_offer()?;
        self.connection.set_local_description(offer)?;
        self.describe();
        Ok(())
    }

    fn set_remote(&self, command: &Value) -> Result<(), Refusal> {
        let text = command["sdp"].as_str().unwrap_or_default();
        if command["type"] == "offer" {
            self.connection.set_remote_description(Description::offer(text)?)?;
            self.media.answer(&self.connection)?;
            let answer = self.connection.create_answer()?;
            self.connection.set_local_description(answer)?;
            self.describe();
        } else {
            self.connection.set_remote_description(Description::answer(text)?)?;
        }
        Ok(())
    }

    fn describe(&self) {
        if let Some(Description { kind, sdp }) = self.connection.local_description() {
            self.output.event(json!({ "ev": "description", "type": kind.name(), "sdp": sdp.to_string() }));
        }
    }

    fn add_candidate(&self, command: &Value) -> Result<(), Refusal> {
        let text = |name: &str| command[name].as_str().map(str::to_owned);
        let candidate = IceCandidate {
            candidate: text("candidate").unwrap_or_default(),
            sdp_mid: text("sdpMid"),
            sdp_m_line_index: command["sdpMLineIndex"].as_u64().and_then(|index| index.try_into().ok()),
            username_fragment: text("usernameFragment"),
        };
        Ok(self.connection.add_ice_candidate(&candidate)?)
    }

    fn add_channel(&self, command: &Value) -> Result<(), Refusal> {
        let number = |name: &str| command[name].as_u64().and_then(|number| u16::try_from(number).ok());
        let reliability = match (number("maxRetransmits"), number("maxPacketLifeTime")) {
            (Some(count), _) => Reliability::MaxRetransmits(count),
            (None, Some(millis)) => Reliability::MaxLifetime(std::time::Duration::from_millis(millis.into())),
            (None, None) => Reliability::Reliable,
        };
        let init = DataChannelInit {
            ordered: command["ordered"] != false,
            reliability,
            protocol: command["protocol"].as_str().unwrap_or_default().to_owned(),
            negotiated: number("id").filter(|_| command["negotiated"] == true),
        };
        let label = command["label"].as_str().unwrap_or_default();
        let channel = self.connection.create_data_channel(label, init)?;
        self.channels.add(channel, false, command["echo"] == true);
        Ok(())
    }

    fn stats(&self) -> Value {
        let stats = self.connection.stats();
        let selected = stats.selected_path.map(|path| {
            let end = |address: std::net::SocketAddr, kind: Option<CandidateKind>, relayed_over: Option<&str>| {
                json!({
                    "type": kind.map(|kind| kind.to_string()), "protocol": "udp",
                    "address": address.ip().to_string(), "port": address.port(), "relayProtocol": relayed_over,
                })
            };
            // How the other side speaks to its relay nobody tells us.
            let report = self.connection.report().connectivity;
            let relays = report.iter().flat_map(|report| &report.relays);
            let ours = relays.clone().find(|relay| relay.relayed.contains(&Some(path.local)));
            let over = ours.map(|relay| if relay.carrier == Carrier::Udp { "udp" } else { "tcp" });
            json!({
                "local": end(path.local, stats.local_kind, over),
                "remote": end(path.remote, stats.remote_kind, None),
            })
        });
        let w3c = self.connection.get_stats();
        let srtp = w3c.transports().find_map(|(_, transport)| transport.srtp_cipher);
        let connected = self.connection.connection_state() == ConnectionState::Connected;
        let role = stats.dtls_role.map(|role| if role == DtlsRole::Client { "client" } else { "server" });
        let ice_role = stats.ice_role.map(|role| format!("{role:?}").to_lowercase());
        json!({ "ev": "stats", "report": {
            "selected": selected,
            "dtls": {
                "version": stats.dtls_version, "cipher": stats.cipher_suite, "srtp": srtp, "role": role,
                "state": if connected { "connected" } else { "connecting" },
            },
            "iceRole": ice_role,
            "maxMessageSize": stats.max_message_size,
            // All of it, as a browser's getStats has it.
            "w3c": w3c,
        } })
    }
}

/// Reports what happens to the connection until it is over.
async fn report(
    mut events: Events,
    connection: PeerConnection,
    channels: Channels,
    media: Media,
    output: Output,
) {
    while let Some(event) = events.next().await {
        let shown = match event {
            Event::DataChannel(channel) => {
                let echoes = channel.label().starts_with("echo");
                channels.add(channel, true, echoes);
                continue;
            }
            Event::Track(transceiver) => {
                media.receive(&transceiver);
                let kind = transceiver.kind().name();
                json!({ "ev": "track", "kind": kind, "mid": transceiver.mid() })
            }
            Event::IceCandidate(Some(found)) => json!({
                "ev": "candidate", "candidate": found.candidate, "sdpMid": found.sdp_mid,
                "sdpMLineIndex": found.sdp_m_line_index, "usernameFragment": found.username_fragment,
            }),
            Event::IceGatheringState(state) => json!({ "ev": "gathering", "state": state.name() }),
            Event::IceConnectionState(state) => json!({ "ev": "ice", "state": state.name() }),
            Event::ConnectionState(state) => {
                if let ConnectionState::Failed(failure) = state {
                    let report = connection.report();
                    output.event(json!({ "ev": "log", "message": format!("failed: {failure}\n{report}") }));
                }
                json!({ "ev": "connection", "state": state.name() })
            }
            Event::IceCandidate(None) | Event::SignalingState(_) | Event::NegotiationNeeded | _ => continue,
        };
        output.event(shown);
    }
}

/// The servers to use.
fn ice_servers(config: &Value) -> Vec<IceServer> {
    let mut servers = Vec::new();
    for given in config["iceServers"].as_array().into_iter().flatten() {
        let urls: Vec<&str> = match &given["urls"] {
            Value::Array(urls) => urls.iter().filter_map(Value::as_str).collect(),
            Value::String(url) => vec![url.as_str()],
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
        };
        let text = |name: &str| given[name].as_str().unwrap_or_default();
        for url in urls {
            servers.push(IceServer::new(url).credentials(text("username"), text("credential")));
        }
    }
    servers
}
