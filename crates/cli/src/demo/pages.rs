//! The pages, which are part of the program.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::server::Demo;

/// Answers for every file of them.
pub(crate) fn router() -> Router<Arc<Demo>> {
    FILES
        .iter()
        .fold(Router::new(), |router, &(path, kind, text)| router.route(path, get(move || file(kind, text))))
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

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: [(&str, &str, &str); 10] = [
    ("/", HTML, include_str!("../../page/index.html")),
    ("/call", HTML, include_str!("../../page/call.html")),
    ("/room", HTML, include_str!("../../page/room.html")),
    ("/style.css", CSS, include_str!("../../page/style.css")),
    ("/demo.js", SCRIPT, include_str!("../../page/demo.js")),
    ("/call.js", SCRIPT, include_str!("../../page/call.js")),
    ("/room.js", SCRIPT, include_str!("../../page/room.js")),
    ("/meeting.js", SCRIPT, include_str!("../../page/meeting.js")),
    ("/figures.js", SCRIPT, include_str!("../../page/figures.js")),
    ("/plot.js", SCRIPT, include_str!("../../page/plot.js")),
];

/// The pages need nothing but themselves.
const POLICY: &str =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'";
