//! The data channels of the connection, by label.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerline::DataChannel;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::Refusal;
use crate::output::Output;
use crate::payload::{self, Kind};
use crate::tally::Tally;

/// All channels that there have been.
#[derive(Clone)]
pub(crate) struct Channels {
    output: Output,
    by_label: Arc<Mutex<BTreeMap<String, Entry>>>,
}

struct Entry {
    channel: DataChannel,
    received: Arc<Mutex<Tally>>,
    sends: mpsc::UnboundedSender<Value>,
}

impl Channels {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, by_label: Arc::default() }
    }

    /// Takes a channel over: reports its states, receives, and echoes if `echoes`.
    pub(crate) fn add(&self, channel: DataChannel, remote: bool, echoes: bool) {
        let received: Arc<Mutex<Tally>> = Arc::default();
        let (sends, requests) = mpsc::unbounded_channel();
        let entry = Entry { channel: channel.clone(), received: received.clone(), sends };
        lock(&self.by_label).insert(channel.label().to_owned(), entry);
        tokio::spawn(carry_out_sends(channel.clone(), requests, self.output.clone()));
        let output = self.output.clone();
        tokio::spawn(async move {
            if channel.opened().await.is_ok() {
                output.event(opened(&channel, remote));
            }
            while let Some(message) = channel.recv().await {
                lock(&received).add(&message);
                if echoes && channel.send(message).await.is_err() {
                    break;
                }
            }
            output.event(
                json!({ "ev": "channel", "state": "closed", "label": channel.label(), "id": channel.id() }),
            );
        });
    }

    /// What has arrived on a channel.
    pub(crate) fn received(&self, command: &Value) -> Value {
        let label = command["label"].as_str().unwrap_or_default();
        let mut tally = Tally::default();
        if let Some(entry) = lock(&self.by_label).get(label) {
            let mut received = lock(&entry.received);
            tally = received.clone();
            if command["reset"] == true {
                *received = Tally::default();
            }
        }
        let mut event = tally.report();
        event["ev"] = "received".into();
        event["label"] = label.into();
        event
    }

    /// Has the channel send; it answers when it is done.
    pub(crate) fn send(&self, command: &Value) -> Result<(), Refusal> {
        let label = command["label"].as_str().unwrap_or_default();
        let by_label = lock(&self.by_label);
        let entry = by_label.get(label).ok_or_else(|| Refusal::Error(format!("no channel `{label}`")))?;
        entry.sends.send(command.clone())?;
        Ok(())
    }

    pub(crate) fn close(&self, command: &Value) -> Result<(), Refusal> {
        let label = command["label"].as_str().unwrap_or_default();
        let by_label = lock(&self.by_label);
        let entry = by_label.get(label).ok_or_else(|| Refusal::Error(format!("no channel `{label}`")))?;
        entry.channel.close();
        Ok(())
    }

    /// Lets go of all channels.
    pub(crate) fn clear(&self) {
        lock(&self.by_label).clear();
    }
}

async fn carry_out_sends(channel: DataChannel, mut requests: mpsc::UnboundedReceiver<Value>, output: Output) {
    while let Some(command) = requests.recv().await {
        let answer = send(&channel, &command).await.map(|tally| {
            let mut event = tally.report();
            event["ev"] = "sent".into();
            event["label"] = channel.label().into();
            event
        });
        output.answer(&command, answer);
    }
}

async fn send(channel: &DataChannel, command: &Value) -> Result<Tally, Refusal> {
    let mut tally = Tally::default();
    if let Some(text) = command["text"].as_str() {
        let message = text.into();
        tally.add(&message);
        channel.send(message).await?;
        return Ok(tally);
    }
    let number = |name: &str| command[name].as_u64().unwrap_or_default();
    let kind = if command["kind"] == "text" { Kind::Text } else { Kind::Binary };
    let size = usize::try_from(number("size"))?;
    let pattern = payload::pattern(u32::try_from(number("seed"))?, kind);
    let interval = Duration::from_millis(number("interval"));
    for at in 0..usize::try_from(number("count"))? {
        let message = payload::message(&pattern, kind, at, size);
        tally.add(&message);
        channel.send(message).await?;
        if !interval.is_zero() {
            tokio::time::sleep(interval).await;
        }
    }
    Ok(tally)
}

fn opened(channel: &DataChannel, remote: bool) -> Value {
    json!({
        "ev": "channel", "state": "open", "label": channel.label(), "id": channel.id(), "remote": remote,
        "ordered": channel.ordered(), "protocol": channel.protocol(), "negotiated": channel.negotiated(),
        "maxRetransmits": channel.max_retransmits(), "maxPacketLifeTime": channel.max_packet_life_time(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
