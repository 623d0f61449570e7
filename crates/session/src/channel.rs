use datachannel::{ChannelId, Channels, Init, Reliability, State, StreamId};

/// How a data channel is to be.
#[derive(Clone, Debug)]
pub struct ChannelInit {
    /// Its label.
    pub label: String,
    /// A name for what is spoken on it.
    pub protocol: String,
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// How long a message is worth sending again.
    pub reliability: Reliability,
    /// The stream of a channel that both sides make by agreement.
    pub negotiated: Option<u16>,
}

impl ChannelInit {
    /// An ordered and reliable channel with this label.
    pub fn labelled(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
        }
    }
}

impl From<ChannelInit> for Init {
    fn from(init: ChannelInit) -> Self {
        let ChannelInit { label, protocol, ordered, reliability, negotiated } = init;
        Self {
            label,
            protocol,
            ordered,
            reliability,
            negotiated: negotiated.map(StreamId),
            ..Self::default()
        }
    }
}

/// What is known of a channel.
#[derive(Clone, Copy, Debug)]
pub struct ChannelInfo<'a> {
    /// Its label.
    pub label: &'a str,
    /// What is spoken on it.
    pub protocol: &'a str,
    /// Its stream, once it has one.
    pub stream: Option<u16>,
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// How often a message is sent again at the most, if that is limited.
    pub max_retransmits: Option<u16>,
    /// For how many milliseconds a message is sent again at the most, if that is limited.
    pub max_packet_life_time: Option<u16>,
    /// Whether both sides made it by agreement.
    pub negotiated: bool,
    /// How far it is.
    pub state: ChannelState,
}

/// How far a channel is (W3C WebRTC 1.0 §6.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ChannelState {
    /// The peer is not connected yet.
    #[default]
    Connecting,
    /// Messages can be sent.
    Open,
    /// It is being closed; what was handed over still arrives.
    Closing,
    /// It has ended.
    Closed,
}

impl ChannelState {
    /// The name that W3C WebRTC 1.0 gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

impl<'a> ChannelInfo<'a> {
    pub(crate) fn of(channels: &'a Channels, id: ChannelId) -> Option<Self> {
        let init = channels.init(id)?;
        let (max_retransmits, life_time) = match init.reliability {
            Reliability::Reliable => (None, None),
            Reliability::MaxRetransmits(count) => (Some(count), None),
            Reliability::MaxLifetime(time) => {
                (None, Some(u16::try_from(time.as_millis()).unwrap_or(u16::MAX)))
            }
        };
        Some(Self {
            label: &init.label,
            protocol: &init.protocol,
            stream: channels.stream(id).map(|stream| stream.0),
            ordered: init.ordered,
            max_retransmits,
            max_packet_life_time: life_time,
            negotiated: init.negotiated.is_some(),
            state: match channels.state(id)? {
                State::Waiting | State::Opening => ChannelState::Connecting,
                State::Open => ChannelState::Open,
                State::Closing => ChannelState::Closing,
                State::Ended => ChannelState::Closed,
            },
        })
    }
}
