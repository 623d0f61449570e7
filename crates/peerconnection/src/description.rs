use session::{SdpType, SessionDescription};

use crate::Error;

/// A session description and what it is (`RTCSessionDescription`): with the feature `serde`, in JSON as browsers have it.
#[derive(Clone, Debug)]
pub struct Description {
    /// An offer or an answer.
    pub kind: SdpType,
    /// The description; `to_string()` gives its text.
    pub sdp: SessionDescription,
}

impl Description {
    /// Reads an offer.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, and in which line.
    pub fn offer(text: &str) -> Result<Self, Error> {
        Ok(Self { kind: SdpType::Offer, sdp: SessionDescription::parse(text)? })
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, and in which line.
    pub fn answer(text: &str) -> Result<Self, Error> {
        Ok(Self { kind: SdpType::Answer, sdp: SessionDescription::parse(text)? })
    }
}
