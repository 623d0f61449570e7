//! The process's side of one connection: candidates and offers out, channels and answers in.

use std::sync::Arc;
use std::time::Duration;

use peerline::{ConnectionState, DataChannel, Event, Events, IceCandidate, PeerConnection, SignalingState};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::call::Call;
use super::room::Seat;
use super::server::{Demo, MAX_SIGNALS};
use super::sessions::{Command, Place, Signal};
use super::upload;

/// What a browser has come for.
#[derive(Debug)]
pub(crate) enum Part {
    /// Data channels.
    Data,
    /// A call with the process.
    Call(Call),
    /// A room with others.
    Room(Seat),
}

/// Serves a browser until the connection is over; then its place is free again.
pub(crate) async fn serve(
    demo: Arc<Demo>,
    place: Place,
    part: Part,
    connection: PeerConnection,
    mut events: Events,
    signals: mpsc::Sender<Signal>,
    mut commands: mpsc::Receiver<Command>,
) {
    let name = place.id().get(..6).unwrap_or_default().to_owned();
    // Dropped with this task, and what serves channels and media with it.
    let mut tasks = JoinSet::new();
    match &part {
        Part::Data => {}
        Part::Call(call) => call.run(&mut tasks),
        Part::Room(seat) => seat.run(&mut tasks),
    }
    let mut news = interval(NEWS_EVERY);
    news.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
            // What a task has to say it says itself.
            Some(_) = tasks.join_next() => continue,
            // Without a WebSocket nothing is wanted any more.
            Some(command) = commands.recv() => {
                if let Err(reason) = heed(&demo, &name, &part, &connection, &signals, command) {
                    fail(&demo, &name, &connection, &signals, reason);
                    break;
                }
                continue;
            }
            _ = news.tick(), if connected => {
                tell(&part, &connection, &signals);
                continue;
            }
        };
        match event {
            Some(Event::IceCandidate(candidate)) => {
                // A full queue means that no WebSocket came; the description has the candidates too.
                let _ = signals.try_send(Signal::Candidate(candidate.unwrap_or_else(end_of_candidates)));
            }
            Some(Event::DataChannel(channel)) => {
                tasks.spawn(serve_channel(demo.clone(), name.clone(), channel));
            }
            Some(Event::ConnectionState(ConnectionState::Connected)) if !connected => {
                connected = true;
                let what = match &part {
                    Part::Data => "connected".to_owned(),
                    Part::Call(_) => "calls".to_owned(),
                    Part::Room(seat) => format!("has come into the room {}", seat.room()),
                };
                demo.terminal.say(&format!("{name}: {what}{}", path(&connection)));
            }
            Some(Event::NegotiationNeeded) => {
                if let Err(reason) = offer(&connection, &signals) {
                    fail(&demo, &name, &connection, &signals, reason);
                    break;
                }
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
    tasks.abort_all();
    // Others in the room go on without it.
    drop(part);
    connection.close();
    // Closing takes a second at the most; the place is kept so long.
    let _ = timeout(CLOSE_TIME, connection.closed()).await;
}

/// Offers what has changed. Who answers the offer before is asked when that is done: the event comes again then.
fn offer(connection: &PeerConnection, signals: &mpsc::Sender<Signal>) -> Result<(), String> {
    if connection.signaling_state() != SignalingState::Stable {
        return Ok(());
    }
    let offer = connection.create_offer().map_err(|error| error.to_string())?;
    connection.set_local_description(offer.clone()).map_err(|error| error.to_string())?;
    signals.try_send(Signal::Offer(offer)).map_err(|_| "The page does not listen any more.".to_owned())
}

/// Does what a browser wants; an error is the end of its session.
fn heed(
    demo: &Arc<Demo>,
    name: &str,
    part: &Part,
    connection: &PeerConnection,
    signals: &mpsc::Sender<Signal>,
    command: Command,
) -> Result<(), String> {
    match (command, part) {
        (Command::Answer(answer), _) => {
            let set = connection.set_remote_description(answer);
            return set.map_err(|error| format!("The answer cannot be used: {error}."));
        }
        (Command::Record(wanted), Part::Call(call)) => call.record(demo, name, signals, wanted),
        (Command::Limit(bitrate), Part::Room(seat)) => seat.limit(bitrate),
        // A page of ours does not ask for that.
        (Command::Record(_) | Command::Limit(_), _) => {
            let _ = signals.try_send(Signal::News(json!({ "error": "that is of another page" })));
        }
    }
    Ok(())
}

/// What a page shows, once a second.
fn tell(part: &Part, connection: &PeerConnection, signals: &mpsc::Sender<Signal>) {
    // Room is left for what must not be lost.
    if signals.capacity() <= MAX_SIGNALS / 2 {
        return;
    }
    let stats = connection.get_stats();
    let news = match part {
        Part::Data => return,
        Part::Call(_) => json!({ "stats": stats }),
        Part::Room(seat) => seat.news(stats),
    };
    // It is full, or nobody reads.
    let _ = signals.try_send(Signal::News(news));
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
/// How often a page is told what it shows.
const NEWS_EVERY: Duration = Duration::from_secs(1);
/// How long the end of a connection may take.
const CLOSE_TIME: Duration = Duration::from_secs(3);
