//! What sees and alters the frames of a transceiver.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ::media::{EncodedFrame, EncodedTransform};

/// The transforms of a transceiver. They outlive the machines that use them, which an exchange of descriptions may replace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transforms {
    pub send: Option<Shared>,
    pub receive: Option<Shared>,
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
