//! A client over TCP to which more is relayed than it reads.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use proto::{Arrival, Batch, Carrier, Instant, Path};
use stun::Credentials;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use turn::Client;
use turn::client::{self, Event, Received};
use turn::server::RelayAddress;
use turn::wire::frame_len;
use turn_server::{Config, Server};

/// Our client on a connection with small buffers.
struct Slow {
    client: Client,
    stream: TcpStream,
    kept: Vec<u8>,
    data: usize,
    now: Instant,
}

impl Slow {
    fn path(&self) -> Path {
        self.client.path()
    }

    async fn send(&mut self) {
        let mut memory = [0; 1500];
        loop {
            let mut batch = Batch::new(&mut memory, 1, 1500);
            if self.client.poll_transmit(self.now, &mut batch).is_none() {
                return;
            }
            self.stream.write_all(batch.bytes()).await.unwrap();
        }
    }

    async fn read(&mut self) {
        let mut more = [0; 16_384];
        let len = self.stream.read(&mut more).await.unwrap();
        assert!(len > 0, "it is over");
        self.kept.extend_from_slice(&more[..len]);
        while let Some(len) = frame_len(&self.kept, 65_536).unwrap().filter(|len| *len <= self.kept.len()) {
            let mut frame: Vec<u8> = self.kept.drain(..len).collect();
            let arrival = Arrival { path: self.path(), ecn: None, at: self.now };
            if let Received::Data { .. } = self.client.handle_datagram(arrival, &mut frame).unwrap() {
                self.data += 1;
            }
        }
    }

    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let found = async {
            loop {
                self.send().await;
                while let Some(event) = self.client.poll_event() {
                    if wanted(&event) {
                        return event;
                    }
                }
                self.read().await;
            }
        };
        timeout(Duration::from_secs(20), found).await.unwrap()
    }
}

/// Data are lost where too many wait, as on any path; an answer is not, as over TCP nobody asks twice for it.
#[tokio::test]
async fn real_answers_find_room_where_data_do_not() {
    let ip: IpAddr = [127, 0, 5, 1].into();
    let mut config = Config::at(SocketAddr::new(ip, 0)).user("alice", "wonderland").unwrap();
    config.turn.relays = vec![RelayAddress { local: ip, external: ip }];
    config.turn.peers.allow = vec!["127.0.0.0/8".parse().unwrap()];
    let server = Server::bind(config).await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let stream = socket.connect(server.tcp_addresses()[0]).await.unwrap();
    let (local, remote) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    let credentials = Credentials::new("alice", "wonderland").unwrap();
    let path = Path { carrier: Carrier::Stream, local, remote };
    let client = Client::new(client::Config::new(crypto::default_provider()), credentials, path, [3; 32]);
    let now = Instant::from_nanos(1);
    let mut slow = Slow { client, stream, kept: Vec::new(), data: 0, now };
    slow.client.allocate(now);
    let allocated = slow.until(|event| matches!(event, Event::Allocated { .. })).await;
    let Event::Allocated { relayed, .. } = allocated else { panic!("{allocated:?}") };
    let peer = UdpSocket::bind("127.0.5.2:0").unwrap();
    let to = peer.local_addr().unwrap();
    slow.client.permit(now, to.ip()).unwrap();
    slow.until(|event| matches!(event, Event::Permitted(_))).await;
    let fill = async |server: &Server| {
        // The long ones first, and what is left is filled with short ones.
        for len in [1000, 1] {
            let before = server.stats().await.unwrap().dropped;
            for round in 0.. {
                assert!(round < 200_000, "nothing is dropped");
                peer.send_to(&vec![7; len], relayed).unwrap();
                if round % 16 == 0 && server.stats().await.unwrap().dropped > before + 50 {
                    break;
                }
            }
        }
    };
    fill(&server).await;
    let answers = slow.client.stats().answers;
    slow.client.probe(now);
    slow.send().await;
    sleep(Duration::from_millis(200)).await;
    let read = async {
        while slow.client.stats().answers == answers {
            slow.read().await;
        }
    };
    assert!(timeout(Duration::from_secs(5), read).await.is_ok(), "after {} of data", slow.data);
    assert!(slow.data > 50, "{}", slow.data);
}
