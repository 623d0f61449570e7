//! The pages, which are part of the program.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;

use super::server::Demo;

/// Answers for every page and every file of them.
pub(crate) fn router() -> Router<Arc<Demo>> {
    let page = |&(path, title, body)| (path, HTML, Bytes::from(HEAD.replace("{title}", title) + body));
    let whole = |&(path, kind, text): &(&'static str, _, &'static str)| {
        (path, kind, Bytes::from_static(text.as_bytes()))
    };
    let all = PAGES.iter().map(page).chain(FILES.iter().map(whole));
    all.fold(Router::new(), |router, (path, kind, bytes)| {
        router.route(path, get(move || file(kind, bytes.clone())))
    })
}

async fn file(kind: &'static str, bytes: Bytes) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, bytes)
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What stands above each page, with its title.
const HEAD: &str = include_str!("../../page/head.html");

const PAGES: [(&str, &str, &str); 3] = [
    ("/", "Peerline demo", include_str!("../../page/index.html")),
    ("/call", "Peerline demo: a call", include_str!("../../page/call.html")),
    ("/room", "Peerline demo: a room", include_str!("../../page/room.html")),
];

const FILES: [(&str, &str, &str); 7] = [
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
