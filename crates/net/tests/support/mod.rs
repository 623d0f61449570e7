//! A host of multicast DNS on a real socket.
#![allow(dead_code, reason = "each test uses a part")]

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mdns::{Arrival, Batch, Carrier, Config, Event, Link, Path, Querier, Responder, Transmit, wire};
use net::{Clock, RECEIVE_BUFFER, Transport, UdpSocket, random_seed};
use tokio::time::timeout;

pub(crate) struct Station {
    pub(crate) clock: Clock,
    pub(crate) querier: Querier,
    pub(crate) responder: Responder,
    socket: UdpSocket,
}

impl Station {
    /// A host whose neighbours share 64 bits with `address`, or all.
    pub(crate) fn new(socket: UdpSocket, address: IpAddr) -> Self {
        let clock = Clock::start();
        let link = Link::new(socket.local_address()).with_network(address, 64);
        let mut responder = Responder::new(clock.now(), Config::default(), random_seed().unwrap());
        let mut querier = Querier::new(clock.now(), Config::default());
        responder.add_link(link.clone()).unwrap();
        querier.add_link(link).unwrap();
        Self { clock, querier, responder, socket }
    }

    /// Sends what is due, and takes what comes within five milliseconds.
    pub(crate) async fn turn(&mut self) -> Option<Event> {
        let mut memory = [0; 1500];
        let mut batch = Batch::new(&mut memory, 1, 1500);
        while let Some(transmit) = self.querier.poll_transmit(self.clock.now(), &mut batch) {
            send(&self.socket, transmit, batch.bytes()).await;
            batch.clear();
        }
        while let Some(transmit) = self.responder.poll_transmit(self.clock.now(), &mut batch) {
            send(&self.socket, transmit, batch.bytes()).await;
            batch.clear();
        }
        if let Some((remote, bytes)) = receive(&self.socket, 5).await {
            let path = Path { carrier: Carrier::Udp, local: self.socket.local_address(), remote };
            let arrival = Arrival { path, ecn: None, at: self.clock.now() };
            let _ = if wire::is_response(&bytes) {
                self.querier.handle_datagram(arrival, &bytes)
            } else {
                self.responder.handle_datagram(arrival, &bytes)
            };
        }
        self.querier.poll_event()
    }
}

pub(crate) async fn send(socket: &UdpSocket, transmit: Transmit, bytes: &[u8]) {
    poll_fn(|cx| socket.poll_send(cx, &transmit, bytes)).await.unwrap();
}

pub(crate) async fn receive(socket: &UdpSocket, millis: u64) -> Option<(SocketAddr, Vec<u8>)> {
    let mut buffer = vec![0; RECEIVE_BUFFER];
    let train = timeout(Duration::from_millis(millis), poll_fn(|cx| socket.poll_receive(cx, &mut buffer)));
    let train = train.await.ok()?.unwrap();
    Some((train.remote, buffer[..train.len].to_vec()))
}
