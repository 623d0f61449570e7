//! Two peers in one program meet, and one says hello.
#![allow(clippy::print_stdout, reason = "an example talks")]

use peerline::{Configuration, DataChannelInit, Endpoint, Event};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = Endpoint::builder().loopback(true).bind().await?;
    let there = Endpoint::builder().loopback(true).bind().await?;
    let (alice, mut from_alice) = here.connect(Configuration::default())?;
    let (bob, mut from_bob) = there.connect(Configuration::default())?;

    let chat = alice.create_data_channel("chat", DataChannelInit::default())?;
    let offer = alice.create_offer()?;
    alice.set_local_description(offer.clone())?;
    bob.set_remote_description(offer)?;
    let answer = bob.create_answer()?;
    bob.set_local_description(answer.clone())?;
    alice.set_remote_description(answer)?;

    let sent = tokio::spawn(async move { chat.send("hello, bob").await });
    loop {
        tokio::select! {
            Some(event) = from_alice.next() => if let Event::IceCandidate(Some(found)) = event {
                bob.add_ice_candidate(&found)?;
            },
            Some(event) = from_bob.next() => if let Event::IceCandidate(Some(found)) = event {
                alice.add_ice_candidate(&found)?;
            } else if let Event::DataChannel(channel) = event {
                println!("bob got {:?}", channel.recv().await);
                break;
            },
        }
    }
    Ok(sent.await??)
}
