//! What both layers need of the `Conn` below them: a task that reads, and time.

use std::sync::Arc;
use std::time::Duration;

use proto::Instant;
use tokio::sync::mpsc;
use webrtc_util::Conn;

/// Whatever carries datagrams.
pub(crate) type Carrier = Arc<dyn Conn + Send + Sync>;

/// Datagrams of `carrier`, read by a task of its own: reading must not be cut off in the middle.
pub(crate) fn datagrams(carrier: Carrier) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            let read = tokio::select! {
                read = carrier.recv(&mut buffer) => read,
                () = sender.closed() => return,
            };
            let Ok(len) = read else { return };
            if sender.send(buffer[..len].to_vec()).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// The machine's monotonic clock, from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(tokio::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::default() + self.0.elapsed()
    }

    /// Sleeps until then, or for ever.
    pub(crate) async fn sleep(&self, until: Option<Instant>) {
        match until {
            Some(due) => tokio::time::sleep_until(self.0 + (due - Instant::default())).await,
            None => tokio::time::sleep(Duration::from_secs(3600)).await,
        }
    }
}

/// 32 bytes of the system's entropy.
pub(crate) fn seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(seed)
}

/// Datagrams that wait for their reader; more are the carrier's to keep or lose.
pub(crate) const QUEUE: usize = 256;
/// Bytes of the longest datagram.
pub(crate) const MAX_DATAGRAM: usize = 65_535;
