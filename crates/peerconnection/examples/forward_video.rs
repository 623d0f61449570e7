//! Forwards a browser's video to others. Paste what `JSON.stringify(pc.localDescription.sdp)` gives, with all candidates,
//! first of the browser that sends, then of each that watches; the answers are printed for `pc.setRemoteDescription`.
#![allow(clippy::print_stdout, reason = "an example talks")]

use peerline::{Configuration, Description, Direction, Endpoint, Event, GatheringState, Transceiver};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let endpoint = Endpoint::builder().bind().await?;
    let camera = answer(&endpoint, Direction::RecvOnly).await?;
    let mut screens = Vec::new();
    loop {
        let screen = answer(&endpoint, Direction::SendOnly).await?;
        camera.forward_to(&screen)?;
        screens.push(screen);
    }
}

async fn answer(endpoint: &Endpoint, direction: Direction) -> Outcome<Transceiver> {
    let (peer, mut events) = endpoint.connect(Configuration::default())?;
    let mut line = String::new();
    tokio::task::block_in_place(|| std::io::stdin().read_line(&mut line))?;
    let offer = line.trim().trim_matches('"').replace("\\r\\n", "\r\n");
    peer.set_remote_description(Description::offer(&offer)?)?;
    let track = peer.transceivers().pop().ok_or("an offer without media")?;
    track.set_direction(direction)?;
    peer.set_local_description(peer.create_answer()?)?;
    while !matches!(events.next().await, Some(Event::IceGatheringState(GatheringState::Complete)) | None) {}
    peer.local_description().iter().for_each(|answer| println!("{:?}", answer.sdp.to_string()));
    Ok(track)
}
