//! What sees and alters the frames of a transceiver, and what else few have.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ::media::{EncodedFrame, EncodedTransform};
use rtp::extension::Kind;

/// What few transceivers have. It outlives the machines that go by it, which an exchange of descriptions may replace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    pub send: Option<Shared>,
    pub receive: Option<Shared>,
    /// For how many milliseconds what comes is held back at least, where that is said.
    pub held: Option<u16>,
    /// Header extensions that are offered and answered, where not all are.
    pub extensions: Option<Vec<Kind>>,
}

/// A transform that several may hold and one uses at a time.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Box<dyn EncodedTransform>>>);

impl Shared {
    pub(crate) fn new(transform: Box<dyn EncodedTransform>) -> Self {
        Self(Arc::new(Mutex::new(transform)))
    }

    /// For a machine.
    pub(crate) fn boxed(&self) -> Box<dyn EncodedTransform> {
        Box::new(self.clone())
    }
}

impl EncodedTransform for Shared {
    fn transform(&mut self, frame: &EncodedFrame, bytes: &mut Vec<u8>) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).transform(frame, bytes)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}
