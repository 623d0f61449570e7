//! The HTTP side: the page, offers, and candidates.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use peerline::{Configuration, Description, Endpoint, IceCandidate, PeerConnection};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

use super::destination::Destination;
use super::peer;
use super::relay::Relay;
use super::sessions::{MAX_SESSIONS, Sessions, Signal, Unavailable};
use super::terminal::Terminal;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Demo {
    endpoint: Endpoint,
    pub(crate) sessions: Sessions,
    pub(crate) terminal: Terminal,
    pub(crate) destination: Destination,
    pub(crate) relay: Option<Relay>,
}

impl Demo {
    /// One endpoint serves all browsers.
    pub(crate) const fn new(
        endpoint: Endpoint,
        sessions: Sessions,
        terminal: Terminal,
        destination: Destination,
        relay: Option<Relay>,
    ) -> Self {
        Self { endpoint, sessions, terminal, destination, relay }
    }
}

/// Everything that the demo answers.
pub(crate) fn router(demo: Arc<Demo>) -> Router {
    Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("../../page/index.html"))))
        .route("/style.css", get(|| file("text/css; charset=utf-8", include_str!("../../page/style.css"))))
        .route("/demo.js", get(|| file("text/javascript; charset=utf-8", include_str!("../../page/demo.js"))))
        .route("/plot.js", get(|| file("text/javascript; charset=utf-8", include_str!("../../page/plot.js"))))
        .route("/api/offer", post(offer))
        .route("/api/servers", get(servers))
        .route("/api/candidates/{id}", get(candidates))
        .layer(DefaultBodyLimit::max(MAX_OFFER))
        .with_state(demo)
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, text)
}

/// What the page may connect through.
async fn servers(State(demo): State<Arc<Demo>>) -> impl IntoResponse {
    let turn = demo.relay.as_ref().map(Relay::for_page);
    ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "turn": turn })))
}

/// A refusal: what was wrong, and what to do.
type Refusal = (StatusCode, Json<serde_json::Value>);

fn refuse(status: StatusCode, error: impl Into<String>) -> Refusal {
    (status, Json(json!({ "error": error.into() })))
}

#[derive(Debug, Deserialize)]
struct Offer {
    r#type: String,
    sdp: String,
}

#[derive(Debug, Serialize)]
struct Answer {
    id: String,
    r#type: &'static str,
    sdp: String,
}

async fn offer(
    State(demo): State<Arc<Demo>>,
    body: Result<Json<Offer>, JsonRejection>,
) -> Result<Json<Answer>, Refusal> {
    let Json(offer) = body.map_err(|rejection| {
        let what = format!(
            "send {{\"type\": \"offer\", \"sdp\": …}} as application/json: {}",
            rejection.body_text()
        );
        refuse(rejection.status(), what)
    })?;
    if offer.r#type != "offer" {
        let what = format!("an offer is needed, this is of type `{}`", offer.r#type);
        return Err(refuse(StatusCode::BAD_REQUEST, what));
    }
    let offer = Description::offer(&offer.sdp).map_err(|error| refuse_offer(&error))?;
    let Some(place) = demo.sessions.reserve(new_id()?) else {
        let what = format!("all {MAX_SESSIONS} places are taken: try again when another browser has gone");
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, what));
    };
    let mut configuration = Configuration::default();
    configuration.limits.max_channels = MAX_CHANNELS;
    configuration.ice_servers.extend(demo.relay.as_ref().map(Relay::server));
    let (connection, events) = demo.endpoint.connect(configuration).map_err(|error| internal(&error))?;
    connection.set_remote_description(offer).map_err(|error| refuse_offer(&error))?;
    let answer = connection.create_answer().map_err(|error| internal(&error))?;
    connection.set_local_description(answer.clone()).map_err(|error| internal(&error))?;

    let (signals, to_tell) = mpsc::channel(MAX_SIGNALS);
    place.fill(connection.clone(), to_tell);
    let answer = Answer { id: place.id().to_owned(), r#type: "answer", sdp: answer.sdp.to_string() };
    tokio::spawn(peer::serve(demo, place, connection, events, signals));
    Ok(Json(answer))
}

fn refuse_offer(error: &peerline::Error) -> Refusal {
    let what = if let peerline::Error::Sdp(error) = error {
        format!("the offer is broken: {error}")
    } else {
        format!("the offer cannot be answered: {error}")
    };
    refuse(StatusCode::BAD_REQUEST, what)
}

fn internal(error: &impl ToString) -> Refusal {
    refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// A name that nobody guesses: who knows it may add candidates.
fn new_id() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| internal(&error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The WebSocket of a session: candidates of both sides, and news of a failure.
async fn candidates(
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
        Ok((peer, signals)) => {
            let upgrade = upgrade.max_message_size(MAX_CANDIDATE).max_frame_size(MAX_CANDIDATE);
            upgrade.on_upgrade(move |socket| trickle(socket, peer, signals))
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

/// A candidate as browsers write it (`RTCIceCandidateInit`).
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct CandidateInit {
    candidate: String,
    sdp_mid: Option<String>,
    sdp_m_line_index: Option<u16>,
    username_fragment: Option<String>,
}

async fn trickle(mut socket: WebSocket, peer: PeerConnection, mut signals: mpsc::Receiver<Signal>) {
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
                if let Err(problem) = add_candidate(&peer, &text) {
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
        Signal::Candidate(found) => {
            let IceCandidate { candidate, sdp_mid, sdp_m_line_index, username_fragment } = found;
            json!(CandidateInit { candidate, sdp_mid, sdp_m_line_index, username_fragment }).to_string()
        }
        Signal::Failed { reason, report } => json!({ "failed": reason, "report": report }).to_string(),
    }
}

/// A candidate that is refused does no harm: others may do.
fn add_candidate(peer: &PeerConnection, text: &str) -> Result<(), String> {
    let init: CandidateInit = serde_json::from_str(text).map_err(|error| format!("no candidate: {error}"))?;
    let CandidateInit { candidate, sdp_mid, sdp_m_line_index, username_fragment } = init;
    let candidate = IceCandidate { candidate, sdp_mid, sdp_m_line_index, username_fragment };
    peer.add_ice_candidate(&candidate).map_err(|error| format!("the candidate was refused: {error}"))
}

/// The page needs nothing but itself.
const POLICY: &str =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'";
/// Bytes of an offer: those of data channels have a thousand or two.
const MAX_OFFER: usize = 256 * 1024;
/// Bytes of a candidate's message.
const MAX_CANDIDATE: usize = 16 * 1024;
/// Data channels of a browser at a time.
const MAX_CHANNELS: usize = 64;
/// Signals that wait for a WebSocket: more than all candidates of ours.
const MAX_SIGNALS: usize = 128;
