//! The process's side of one connection: candidates out, channels in.

use std::sync::Arc;
use std::time::Duration;

use peerline::{ConnectionState, DataChannel, Event, Events, IceCandidate, PeerConnection};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::server::Demo;
use super::sessions::{Place, Signal};
use super::upload;

/// Serves a browser until the connection is over; then its place is free again.
pub(crate) async fn serve(
    demo: Arc<Demo>,
    place: Place,
    connection: PeerConnection,
    mut events: Events,
    signals: mpsc::Sender<Signal>,
) {
    let name = place.id().get(..6).unwrap_or_default().to_owned();
    // Dropped with this task, and the channels' tasks with it.
    let mut channels = JoinSet::new();
    let mut waiting = std::pin::pin!(sleep(CONNECT_TIME));
    let mut connected = false;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = &mut waiting, if !connected => {
                let reason = format!("No connection came within {} seconds.", CONNECT_TIME.as_secs());
                fail(&demo, &name, &connection, &signals, reason);
                break;
            }
            // What a channel's task has to say it says itself.
            Some(_) = channels.join_next() => continue,
        };
        match event {
            Some(Event::IceCandidate(candidate)) => {
                // A full queue means that no WebSocket came; the description has the candidates too.
                let _ = signals.try_send(Signal::Candidate(candidate.unwrap_or_else(end_of_candidates)));
            }
            Some(Event::DataChannel(channel)) => {
                channels.spawn(serve_channel(demo.clone(), name.clone(), channel));
            }
            Some(Event::ConnectionState(ConnectionState::Connected)) if !connected => {
                connected = true;
                demo.terminal.say(&format!("{name}: connected{}", path(&connection)));
            }
            Some(Event::ConnectionState(ConnectionState::Failed(failure))) => {
                fail(&demo, &name, &connection, &signals, failure.to_string());
                break;
            }
            Some(_) => {}
            None => {
                if connected {
                    demo.terminal.say(&format!("{name}: gone"));
                }
                break;
            }
        }
    }
    channels.abort_all();
    connection.close();
    // Closing takes a second at the most; the place is kept so long.
    let _ = timeout(CLOSE_TIME, connection.closed()).await;
}

/// Says in the terminal and on the page why there is no connection.
fn fail(
    demo: &Demo,
    name: &str,
    connection: &PeerConnection,
    signals: &mpsc::Sender<Signal>,
    reason: String,
) {
    let report = connection.report().to_string();
    demo.terminal.say(&format!("{name}: {reason}\n{}", report.trim_end()));
    // Without a WebSocket the browser finds out by itself.
    let _ = signals.try_send(Signal::Failed { reason, report });
}

/// ` over udp 127.0.0.1:5 → 127.0.0.1:6 (host → prflx)`, as far as it is known.
fn path(connection: &PeerConnection) -> String {
    let stats = connection.stats();
    let (Some(path), Some(cipher)) = (stats.selected_path, stats.cipher_suite) else { return String::new() };
    let kinds = match (stats.local_kind, stats.remote_kind) {
        (Some(local), Some(remote)) => format!(" ({local} to {remote})"),
        _ => String::new(),
    };
    format!(", {} to {}{kinds}, {cipher}", path.local, path.remote)
}

/// RFC 8838 §8.2: an empty candidate ends them.
fn end_of_candidates() -> IceCandidate {
    IceCandidate::default()
}

async fn serve_channel(demo: Arc<Demo>, name: String, channel: DataChannel) {
    let label = channel.label().to_owned();
    match label.as_str() {
        "chat" | "ping" => echo(&channel).await,
        label if label.starts_with("upload-") => {
            upload::receive(&channel, &name, &demo.terminal, &demo.destination).await;
        }
        _ => {}
    }
    channel.close();
}

async fn echo(channel: &DataChannel) {
    while let Some(message) = channel.recv().await {
        if channel.send(message).await.is_err() {
            break;
        }
    }
}

/// How long an offer may stay without a connection.
const CONNECT_TIME: Duration = Duration::from_secs(60);
/// How long the end of a connection may take.
const CLOSE_TIME: Duration = Duration::from_secs(3);
