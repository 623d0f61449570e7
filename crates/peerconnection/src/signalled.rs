//! Descriptions as browsers write them into JSON (`RTCSessionDescriptionInit`).

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use session::SdpType;

use crate::Description;

#[derive(Deserialize, Serialize)]
struct DescriptionInit<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    sdp: Cow<'a, str>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Offer,
    Answer,
    Pranswer,
}

impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = match self.kind {
            SdpType::Offer => Kind::Offer,
            SdpType::Answer => Kind::Answer,
            SdpType::Pranswer => Kind::Pranswer,
        };
        DescriptionInit { kind, sdp: self.sdp.to_string().into() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Description {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let DescriptionInit { kind, sdp } = DescriptionInit::deserialize(deserializer)?;
        let kind = match kind {
            Kind::Offer => SdpType::Offer,
            Kind::Answer => SdpType::Answer,
            Kind::Pranswer => SdpType::Pranswer,
        };
        Ok(Self { kind, sdp: sdp.parse().map_err(D::Error::custom)? })
    }
}
