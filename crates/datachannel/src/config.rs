use std::sync::{Arc, LazyLock};

/// Limits of the data channels of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The association's limits and timers.
    pub sctp: Arc<sctp::Config>,
    /// The largest message that is received, in bytes: what `a=max-message-size` announces (RFC 8841 §6.1).
    /// A channel that gets a larger one is closed. 256 KiB.
    pub max_message: u64,
    /// Channels at a time; the peer's further ones are refused with a reset. 1,024.
    pub max_channels: usize,
    /// Bytes of the labels and protocols of all channels that the peer has opened; a channel beyond that is refused with a
    /// reset. 1 MiB.
    pub max_texts: usize,
    /// Bytes of messages kept, over all streams, that came before the OPEN of their channel or before a
    /// negotiated channel was opened here. 128 KiB.
    pub max_early: usize,
}

impl Default for Config {
    fn default() -> Self {
        // One for all who change nothing.
        static SCTP: LazyLock<Arc<sctp::Config>> = LazyLock::new(|| {
            let mut sctp = sctp::Config::default();
            // A stream may outlive its channel for a round trip, until the peer has reset it.
            sctp.max_streams = 2048;
            Arc::new(sctp)
        });
        Self {
            sctp: SCTP.clone(),
            max_message: 256 << 10,
            max_channels: 1024,
            max_texts: 1 << 20,
            max_early: 128 << 10,
        }
    }
}
