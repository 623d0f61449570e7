use session::{ChannelInit, Reliability};

/// How a data channel is to be (`RTCDataChannelInit`).
#[derive(Clone, Debug)]
pub struct DataChannelInit {
    /// Whether messages arrive in the order in which they were sent. Default: yes.
    pub ordered: bool,
    /// How long a message is worth sending again. Default: until it has arrived.
    pub reliability: Reliability,
    /// A name for what is spoken on the channel.
    pub protocol: String,
    /// The stream identifier of a channel that both sides make by agreement, without a message that
    /// opens it.
    pub negotiated: Option<u16>,
}

impl Default for DataChannelInit {
    fn default() -> Self {
        Self { ordered: true, reliability: Reliability::Reliable, protocol: String::new(), negotiated: None }
    }
}

impl DataChannelInit {
    pub(crate) fn into_session(self, label: &str) -> ChannelInit {
        let Self { ordered, reliability, protocol, negotiated } = self;
        ChannelInit { label: label.to_owned(), protocol, ordered, reliability, negotiated }
    }
}
