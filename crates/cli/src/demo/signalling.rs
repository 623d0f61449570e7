//! The WebSocket of a session: candidates and descriptions of both sides, what the page wants, what it shows.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use peerline::{Description, IceCandidate, PeerConnection};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::server::{Demo, MAX_OFFER, refuse};
use super::sessions::{Command, Signal, Unavailable, Wires};

/// Joins a browser with its session.
pub(crate) async fn wire(
    State(demo): State<Arc<Demo>>,
    Path(id): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let what = format!("candidates travel over a WebSocket: {}", rejection.body_text());
            return refuse(rejection.status(), what).into_response();
        }
    };
    match demo.sessions.attach(&id) {
        Ok((peer, wires)) => {
            let upgrade = upgrade.max_message_size(MAX_OFFER).max_frame_size(MAX_OFFER);
            upgrade.on_upgrade(move |socket| talk(socket, peer, wires))
        }
        Err(Unavailable::Unknown) => {
            let what = "there is no session of that name, or it has ended: send a new offer";
            refuse(StatusCode::NOT_FOUND, what).into_response()
        }
        Err(Unavailable::Taken) => {
            refuse(StatusCode::CONFLICT, "another WebSocket serves this session").into_response()
        }
    }
}

async fn talk(mut socket: WebSocket, peer: PeerConnection, wires: Wires) {
    let Wires { mut signals, commands } = wires;
    loop {
        tokio::select! {
            signal = signals.recv() => {
                let Some(signal) = signal else { break };
                if socket.send(Message::text(signal_text(signal))).await.is_err() {
                    break;
                }
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { break };
                let Message::Text(text) = message else { continue };
                if let Err(problem) = heed(&peer, &commands, &text) {
                    let problem = json!({ "error": problem }).to_string();
                    if socket.send(Message::text(problem)).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
    // The browser may have gone already.
    let _ = socket.send(Message::Close(None)).await;
}

fn signal_text(signal: Signal) -> String {
    match signal {
        Signal::Candidate(found) => json!(found).to_string(),
        Signal::Offer(offer) => json!(offer).to_string(),
        Signal::News(news) => news.to_string(),
        Signal::Failed { reason, report } => json!({ "failed": reason, "report": report }).to_string(),
    }
}

/// What a browser says: it is told what is wrong with it.
fn heed(peer: &PeerConnection, commands: &mpsc::Sender<Command>, text: &str) -> Result<(), String> {
    let said: Value = serde_json::from_str(text).map_err(|error| format!("no candidate: {error}"))?;
    let is_answer = said.get("type").is_some_and(|it| it == "answer");
    let command = if is_answer {
        let sdp = said.get("sdp").and_then(Value::as_str).unwrap_or_default();
        Command::Answer(Description::answer(sdp).map_err(|error| format!("the answer is broken: {error}"))?)
    } else if let Some(wanted) = said.get("record").and_then(Value::as_bool) {
        Command::Record(wanted)
    } else if let Some(limit) = said.get("limit") {
        Command::Limit(limit.as_u64())
    } else {
        return add_candidate(peer, said);
    };
    commands.try_send(command).map_err(|_| "more is wanted than can be done: wait a moment".to_owned())
}

/// A candidate that is refused does no harm: others may do.
fn add_candidate(peer: &PeerConnection, said: Value) -> Result<(), String> {
    let candidate: IceCandidate =
        serde_json::from_value(said).map_err(|error| format!("no candidate: {error}"))?;
    peer.add_ice_candidate(&candidate).map_err(|error| format!("the candidate was refused: {error}"))
}

#[cfg(test)]
mod tests {
    use peerline::{Configuration, Endpoint};

    use super::*;
    use crate::demo::server::MAX_COMMANDS;

    #[tokio::test]
    async fn real_as_many_wishes_of_a_page_wait_as_the_limit_and_not_one_more() {
        let endpoint = Endpoint::builder().address([127, 0, 0, 1].into()).bind().await.unwrap();
        let (peer, _events) = endpoint.connect(Configuration::default()).unwrap();
        let (commands, _waiting) = mpsc::channel(MAX_COMMANDS);
        for number in 0..32 {
            assert_eq!(heed(&peer, &commands, r#"{ "limit": 5 }"#), Ok(()), "{number}");
        }
        let refused = heed(&peer, &commands, r#"{ "limit": 5 }"#).unwrap_err();
        assert!(refused.contains("more is wanted"), "{refused}");
    }
}
