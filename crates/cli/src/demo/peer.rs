//! The process's side of one connection: candidates and offers out, channels and answers in.

use std::sync::Arc;
use std::time::Duration;

use peerline::{ConnectionState, DataChannel, Event, Events, IceCandidate, PeerConnection, SignalingState};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

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
        // What is of a room is forwarded without a task.
        Part::Data | Part::Room(_) => {}
        Part::Call(call) => call.run(&mut tasks),
    }
    let mut news = interval(NEWS_EVERY);
    news.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connected = false;
    let mut patience = Patience { connect: Some(Instant::now() + CONNECT_TIME), answer: None };
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            reason = patience.ends() => {
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
                if connection.signaling_state() == SignalingState::Stable {
                    patience.answer = None;
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
                (connected, patience.connect) = (true, None);
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
                patience.answer.get_or_insert_with(|| Instant::now() + ANSWER_TIME);
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

/// Until when something has to have happened, where it is waited for.
#[derive(Debug)]
struct Patience {
    connect: Option<Instant>,
    answer: Option<Instant>,
}

impl Patience {
    /// Waits until it is too late. Gives for what.
    async fn ends(&self) -> String {
        let connect = self.connect.map(|at| (at, "No connection came", CONNECT_TIME));
        let answer = self.answer.map(|at| (at, "An offer was not answered", ANSWER_TIME));
        let Some((at, what, time)) = connect.into_iter().chain(answer).min() else {
            return std::future::pending().await;
        };
        sleep_until(at).await;
        format!("{what} within {} seconds.", time.as_secs())
    }
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
        (Command::Record(wanted), Part::Call(call)) => call.record(demo, name, connection, signals, wanted),
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
    if let Part::Room(seat) = part {
        seat.share();
    }
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
/// How long a page may take to answer an offer: until then others' offers wait.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// How often a page is told what it shows.
const NEWS_EVERY: Duration = Duration::from_secs(1);
/// How long the end of a connection may take.
const CLOSE_TIME: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use peerline::{Configuration, Endpoint, MediaKind};

    use super::*;

    #[tokio::test]
    async fn real_as_many_signals_wait_for_a_page_as_the_limit_and_news_leave_room_for_offers() {
        let endpoint = Endpoint::builder().address([127, 0, 0, 1].into()).bind().await.unwrap();
        let (peer, _events) = endpoint.connect(Configuration::default()).unwrap();
        let (signals, _waiting) = mpsc::channel(MAX_SIGNALS);
        let part = Part::Call(Call::accept(&peer).unwrap());
        for _ in 0..100 {
            tell(&part, &peer, &signals);
        }
        assert_eq!(signals.capacity(), 64);
        while signals.capacity() > 1 {
            signals.try_send(Signal::News(json!({}))).unwrap();
        }
        peer.add_track(MediaKind::Audio, &[]).unwrap();
        offer(&peer, &signals).unwrap();
        peer.rollback().unwrap();
        assert!(offer(&peer, &signals).unwrap_err().contains("does not listen"));
    }
}
