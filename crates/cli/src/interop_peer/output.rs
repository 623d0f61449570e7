use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::{Answer, Refusal};

/// Standard output: one event a line, whole lines only.
#[derive(Clone, Default)]
pub(crate) struct Output(Arc<Mutex<()>>);

impl Output {
    /// Writes an event.
    pub(crate) fn event(&self, event: Value) {
        let _whole_line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = std::io::stdout().lock();
        // A driver that went away cannot be told so.
        let _ = writeln!(out, "{event}").and_then(|()| out.flush());
    }

    /// Writes the event that answers `command`.
    pub(crate) fn answer(&self, command: &Value, answer: Answer) {
        let mut event = match answer {
            Ok(event) => event,
            Err(Refusal::Error(message)) => json!({ "ev": "error", "message": message }),
            Err(Refusal::Unsupported(what)) => json!({ "ev": "unsupported", "what": what }),
        };
        if let Some(members) = event.as_object_mut() {
            members.insert("re".to_owned(), command["seq"].clone());
        }
        self.event(event);
    }
}
