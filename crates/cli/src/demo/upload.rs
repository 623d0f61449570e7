//! One file on one channel: its name and size as text, its bytes, and back come progress and the hash.

use std::fmt::Write;
use std::time::Duration;

use peerline::{DataChannel, Message, SendError};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use super::destination::{Destination, Kept};
use super::terminal::{Bar, Terminal};

/// What comes before the bytes.
#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    size: u64,
}

/// Why an upload did not come to its end.
#[derive(Debug)]
enum Broken {
    /// The channel is closed: nobody is there to be told.
    Gone,
    /// The browser is told this.
    Because(String),
}

impl From<SendError> for Broken {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

/// Receives one file; every end of it is said in the terminal and, where possible, to the browser.
pub(crate) async fn receive(
    channel: &DataChannel,
    peer: &str,
    terminal: &Terminal,
    destination: &Destination,
) {
    match transfer(channel, terminal, destination).await {
        Ok(summary) => terminal.say(&format!("{peer}: {summary}")),
        Err(Broken::Gone) => terminal.say(&format!("{peer}: an upload ended before its time")),
        Err(Broken::Because(reason)) => {
            terminal.say(&format!("{peer}: upload refused: {reason}"));
            // The channel may have closed meanwhile.
            let _ = channel.send(json!({ "error": reason }).to_string()).await;
        }
    }
}

async fn transfer(
    channel: &DataChannel,
    terminal: &Terminal,
    destination: &Destination,
) -> Result<String, Broken> {
    let Header { name, size } = header(channel.recv().await.ok_or(Broken::Gone)?)?;
    let kept = destination.create(&name).map_err(|error| cannot_keep(&error))?;
    let shown: String = name.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect();
    let start = Instant::now();
    let mut upload = Upload { size, received: 0, hash: Sha256::new(), kept, bar: terminal.bar(&shown, size) };
    upload.run(channel).await?;
    let Upload { hash, mut kept, bar, .. } = upload;
    drop(bar);
    let sha256 = hex(&hash.finalize());
    let place = match &mut kept {
        Some(kept) => {
            format!(", kept as {}", kept.complete().await.map_err(|error| cannot_keep(&error))?.display())
        }
        None => String::new(),
    };
    channel.send(json!({ "received": size, "sha256": sha256 }).to_string()).await?;
    let seconds = start.elapsed().as_secs_f64().max(1e-6);
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
    let mebibytes = size as f64 / f64::from(MIB);
    Ok(format!(
        "{shown}: {mebibytes:.1} MiB in {seconds:.2} s, {:.1} MiB/s{place}\n  SHA-256 {sha256}",
        mebibytes / seconds
    ))
}

fn header(message: Message) -> Result<Header, Broken> {
    let because = |reason: String| Err(Broken::Because(reason));
    let Message::Text(text) = message else {
        return because("the first message is to be text: {\"name\": …, \"size\": …}".into());
    };
    match serde_json::from_str::<Header>(&text) {
        Ok(header) if header.size > MAX_SIZE => {
            because(format!("{} bytes are more than the {MAX_SIZE} that are taken", header.size))
        }
        Ok(header) => Ok(header),
        Err(error) => because(format!("the first message is to be {{\"name\": …, \"size\": …}}: {error}")),
    }
}

struct Upload {
    size: u64,
    received: u64,
    hash: Sha256,
    kept: Option<Kept>,
    bar: Bar,
}

impl Upload {
    /// Takes bytes until all are here, and says now and then how many.
    async fn run(&mut self, channel: &DataChannel) -> Result<(), Broken> {
        let mut told = 0;
        let mut next = Instant::now() + TELL_EVERY;
        while self.received < self.size {
            let deadline = if told < self.received { next } else { Instant::now() + IDLE };
            match timeout_at(deadline, channel.recv()).await {
                Ok(Some(message)) => self.take(&message).await?,
                Ok(None) => return Err(Broken::Gone),
                Err(_) if told == self.received => {
                    return Err(Broken::Because(format!("nothing came for {} seconds", IDLE.as_secs())));
                }
                Err(_) => {}
            }
            let now = Instant::now();
            if self.received - told >= u64::from(MIB) || (now >= next && self.received > told) {
                channel.send(json!({ "received": self.received }).to_string()).await?;
                told = self.received;
                next = now + TELL_EVERY;
            }
        }
        Ok(())
    }

    async fn take(&mut self, message: &Message) -> Result<(), Broken> {
        let Message::Binary(bytes) = message else {
            return Err(Broken::Because("text in the middle of a file: send its bytes".into()));
        };
        self.received = self.received.saturating_add(bytes.len().try_into().unwrap_or(u64::MAX));
        if self.received > self.size {
            return Err(Broken::Because(format!("more bytes than the {} that were announced", self.size)));
        }
        self.hash.update(bytes);
        if let Some(kept) = &mut self.kept {
            kept.write(bytes).await.map_err(|error| cannot_keep(&error))?;
        }
        self.bar.set(self.received);
        Ok(())
    }
}

fn cannot_keep(error: &std::io::Error) -> Broken {
    Broken::Because(format!("the file cannot be written: {error}"))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The largest file that is taken.
const MAX_SIZE: u64 = 4 << 30;
const MIB: u32 = 1 << 20;
/// Progress is told after a MiB, or after this long.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// An upload from which nothing comes for so long is given up.
const IDLE: Duration = Duration::from_secs(60);
/// Characters of a name in the terminal.
const MAX_SHOWN: usize = 80;
