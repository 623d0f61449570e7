//! The HTTP side: offers, and what a page may know before it sends one.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use peerline::{Configuration, Description, Endpoint, MediaConfig, PeerConnection};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

use super::call::Call;
use super::destination::Destination;
use super::peer::{self, Part};
use super::relay::Relay;
use super::room::{Refused, Rooms};
use super::sessions::{MAX_SESSIONS, Sessions, Wires};
use super::terminal::Terminal;
use super::{pages, signalling};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Demo {
    endpoint: Endpoint,
    pub(crate) sessions: Sessions,
    pub(crate) rooms: Rooms,
    pub(crate) terminal: Terminal,
    pub(crate) destination: Destination,
    pub(crate) relay: Option<Relay>,
    media: Arc<MediaConfig>,
}

impl Demo {
    /// One endpoint serves all browsers.
    pub(crate) fn new(
        endpoint: Endpoint,
        sessions: Sessions,
        terminal: Terminal,
        destination: Destination,
        relay: Option<Relay>,
    ) -> Self {
        // What everybody in a room can send and show, and a recording can hold: every browser has these (RFC 7742, RFC 7874).
        let mut media = MediaConfig::default();
        media.codecs.retain(|codec| matches!(codec.name.as_ref(), "opus" | "VP8"));
        Self {
            endpoint,
            sessions,
            rooms: Rooms::default(),
            terminal,
            destination,
            relay,
            media: Arc::new(media),
        }
    }
}

/// Everything that the demo answers.
pub(crate) fn router(demo: Arc<Demo>) -> Router {
    pages::router()
        .route("/api/offer", post(offer))
        .route("/api/servers", get(servers))
        .route("/api/candidates/{id}", get(signalling::wire))
        .layer(DefaultBodyLimit::max(MAX_OFFER))
        .with_state(demo)
}

/// What the page may connect through, and whether recordings are kept.
async fn servers(State(demo): State<Arc<Demo>>) -> impl IntoResponse {
    let turn = demo.relay.as_ref().map(Relay::for_page);
    let keeps = demo.destination.keeps();
    ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "turn": turn, "keeps": keeps })))
}

/// A refusal: what was wrong, and what to do.
type Refusal = (StatusCode, Json<serde_json::Value>);

pub(crate) fn refuse(status: StatusCode, error: impl Into<String>) -> Refusal {
    (status, Json(json!({ "error": error.into() })))
}

#[derive(Debug, Deserialize)]
struct Offer {
    r#type: String,
    sdp: String,
    #[serde(flatten)]
    page: Page,
}

/// Of which page an offer is.
#[derive(Debug, Deserialize)]
#[serde(tag = "page", rename_all = "lowercase")]
enum Page {
    /// Data channels.
    Data,
    /// A call with the process.
    Call,
    /// A room, and who comes into it.
    Room { room: String, name: String },
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
            "send {{\"type\": \"offer\", \"sdp\": …, \"page\": …}} as application/json: {}",
            rejection.body_text()
        );
        refuse(rejection.status(), what)
    })?;
    if offer.r#type != "offer" {
        let what = format!("an offer is needed, this is of type `{}`", offer.r#type);
        return Err(refuse(StatusCode::BAD_REQUEST, what));
    }
    let description = Description::offer(&offer.sdp).map_err(|error| refuse_offer(&error))?;
    let Some(place) = demo.sessions.reserve(new_id()?) else {
        let what = format!("all {MAX_SESSIONS} places are taken: try again when another browser has gone");
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, what));
    };
    let mut configuration = Configuration::default();
    configuration.limits.max_channels = MAX_CHANNELS;
    configuration.media = Some(demo.media.clone());
    configuration.ice_servers.extend(demo.relay.as_ref().map(Relay::server));
    let (connection, events) = demo.endpoint.connect(configuration).map_err(|error| internal(&error))?;
    connection.set_remote_description(description).map_err(|error| refuse_offer(&error))?;
    let part = part(&demo, offer.page, &connection)?;
    let answer = connection.create_answer().map_err(|error| internal(&error))?;
    connection.set_local_description(answer.clone()).map_err(|error| internal(&error))?;

    let (signals, to_tell) = mpsc::channel(MAX_SIGNALS);
    let (commands, to_do) = mpsc::channel(MAX_COMMANDS);
    place.fill(connection.clone(), Wires { signals: to_tell, commands });
    let answer = Answer { id: place.id().to_owned(), r#type: "answer", sdp: answer.sdp.to_string() };
    tokio::spawn(peer::serve(demo, place, part, connection, events, signals, to_do));
    Ok(Json(answer))
}

/// What an offer that was set is for.
fn part(demo: &Demo, page: Page, connection: &PeerConnection) -> Result<Part, Refusal> {
    match page {
        Page::Data => Ok(Part::Data),
        Page::Call => Call::accept(connection).map(Part::Call).map_err(|error| refuse_offer(&error)),
        Page::Room { room, name } => {
            let joined = demo.rooms.join(&room, &name, &new_id()?, connection, &demo.terminal);
            joined.map(Part::Room).map_err(|refused| {
                let status = match refused {
                    Refused::Full | Refused::TooManyRooms => StatusCode::SERVICE_UNAVAILABLE,
                    Refused::Name | Refused::Sections | Refused::Media(_) => StatusCode::BAD_REQUEST,
                };
                refuse(status, refused.to_string())
            })
        }
    }
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

/// A name that nobody guesses: who knows that of a session may add candidates.
fn new_id() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| internal(&error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Bytes of an offer, and of what comes over a WebSocket: a description of a full room has fifty thousand.
pub(crate) const MAX_OFFER: usize = 256 * 1024;
/// Data channels of a browser at a time.
const MAX_CHANNELS: usize = 64;
/// Signals that wait for a WebSocket: more than all candidates of ours.
pub(crate) const MAX_SIGNALS: usize = 128;
/// What a browser wants, and was not done yet.
pub(crate) const MAX_COMMANDS: usize = 32;
