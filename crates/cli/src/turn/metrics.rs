use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Metric, Registry};
use tokio::net::TcpListener;
use turn_server::{Server, Stats};

use super::problem::Problem;

/// Serves `/metrics` in the text format of Prometheus until `ended`.
pub(crate) async fn serve(
    address: SocketAddr,
    server: Arc<Server>,
    ended: impl Future<Output = ()> + Send + 'static,
) -> Result<SocketAddr, Problem> {
    let fail = |source| Problem::Metrics { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    let router = axum::Router::new().route("/metrics", get(answer)).with_state(server);
    tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(ended).into_future());
    Ok(bound)
}

async fn answer(State(server): State<Arc<Server>>) -> Response {
    match server.stats().await {
        Ok(stats) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text(&stats)).into_response(),
        Err(stopped) => (StatusCode::SERVICE_UNAVAILABLE, stopped.to_string()).into_response(),
    }
}

/// All that is counted.
fn text(stats: &Stats) -> String {
    let mut registry = Registry::with_prefix("peerline_turn");
    let Stats { turn, .. } = stats;
    for (name, help, value) in [
        ("allocations", "Allocations that live", turn.allocations),
        ("free_ports", "Ports of relay addresses that are free", turn.free_ports),
        ("udp_sockets", "UDP sockets that are open", stats.udp_sockets),
        ("connections", "TCP connections of clients that are open", stats.connections),
        ("peer_connections", "Connections of TCP relays to peers, open or on their way", turn.connections),
        ("dtls_associations", "DTLS associations that there are", stats.dtls_associations),
    ] {
        register(&mut registry, name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
    }
    for (name, help, value) in [
        ("allocations_made", "Allocations that were ever made", turn.allocated),
        ("allocations_moved", "Times that one went along with its client to another address", turn.moved),
        ("connections_joined", "Connections of clients that went on in one of a peer's", turn.joined),
        ("packets_to_peers", "Datagrams relayed from clients to peers", turn.to_peers),
        ("packets_to_clients", "Datagrams relayed from peers to clients", turn.to_clients),
        ("relayed_bytes", "Bytes of payload relayed either way", turn.relayed_bytes),
        ("refusals", "Requests answered with an error", turn.refused),
        ("refusals_unsent", "Refusals not sent because there were too many", turn.unanswered),
        ("discarded", "Datagrams of clients and peers that meant nothing here", turn.discarded),
        (
            "connections_refused",
            "TCP connections and DTLS hellos beyond the limit",
            stats.refused_connections,
        ),
        ("dtls_handshakes", "DTLS handshakes that were completed", stats.dtls_handshakes),
        ("dtls_discarded", "Datagrams and records over DTLS that meant nothing", stats.dtls_discarded),
        ("dropped", "Datagrams and messages for which there was no room", stats.dropped),
        ("failed", "Datagrams that the system refused to send", stats.failed),
    ] {
        register(&mut registry, name, help, ConstCounter::new(value));
    }
    let mut text = String::new();
    // Into a string nothing fails.
    let _ = encode(&mut text, &registry);
    text
}

fn register(registry: &mut Registry, name: &str, help: &str, metric: impl Metric) {
    registry.register(name, help, metric);
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_there() {
        let mut stats = Stats::default();
        stats.turn.allocations = 3;
        stats.turn.relayed_bytes = 1 << 40;
        stats.connections = 7;
        stats.dtls_associations = 5;
        let text = text(&stats);
        for line in [
            "peerline_turn_allocations 3",
            "peerline_turn_relayed_bytes_total 1099511627776",
            "peerline_turn_connections 7",
            "peerline_turn_dtls_associations 5",
            "# TYPE peerline_turn_failed counter",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 20);
    }
}
