use std::net::{IpAddr, SocketAddr};

use peerline::IceServer;
use serde_json::{Value, json};
use turn_server::turn::Network;
use turn_server::{Config, Server};

use super::Problem;
use super::sessions::MAX_SESSIONS;

/// The demo's own TURN server, for the page and this process alone: who has the page has the password.
#[derive(Debug)]
pub(crate) struct Relay {
    server: Server,
    password: String,
}

impl Relay {
    /// Starts it; port 0 lets the system choose.
    pub(crate) async fn start(address: SocketAddr) -> Result<Self, Problem> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| Problem::Relay(error.to_string()))?;
        let password: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let config = Config::at(address).user(USERNAME, &password);
        let mut config = config.map_err(|error| Problem::Relay(error.to_string()))?;
        // Both ends of a session have an address of each family here at the most.
        (config.turn.max_allocations_per_user, config.turn.max_allocations_per_source) =
            (8 * MAX_SESSIONS, 8 * MAX_SESSIONS);
        // Nothing of this machine's is reached but the other end's relay, and no other special address.
        let own: Vec<IpAddr> = if address.ip().is_unspecified() {
            // What is not told is not allowed.
            net::interfaces().unwrap_or_default().into_iter().map(|interface| interface.address).collect()
        } else {
            vec![address.ip()]
        };
        let networks = own.iter().filter_map(|ip| ip.to_string().parse::<Network>().ok());
        config.turn.peers.allow.extend(networks);
        let server = Server::bind(config).await.map_err(|error| Problem::Relay(error.to_string()))?;
        Ok(Self { server, password })
    }

    /// For a connection of this process.
    pub(crate) fn server(&self) -> IceServer {
        IceServer::new(format!("turn:{}", self.server.local_addr())).credentials(USERNAME, &self.password)
    }

    /// For the page, which knows the host by the name under which it was opened.
    pub(crate) fn for_page(&self) -> Value {
        let port = self.server.local_addr().port();
        json!({ "port": port, "username": USERNAME, "credential": self.password })
    }

    #[cfg(test)]
    pub(crate) async fn stats(&self) -> turn_server::Stats {
        self.server.stats().await.unwrap()
    }
}

const USERNAME: &str = "demo";
