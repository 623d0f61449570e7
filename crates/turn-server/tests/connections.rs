//! Clients over TCP that dawdle, flood, do not read, or come in crowds (THREATS T9); and the server's end.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use turn::wire::frame_len;
use turn_server::{Config, Error, Server};

/// A Binding request.
const REQUEST: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

fn config() -> Config {
    Config::at(([127, 0, 0, 2], 0).into())
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.tcp_addresses()[0]).await.unwrap()
}

/// One whole message.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes).await.unwrap();
    let len = frame_len(&bytes, 65_536).unwrap().unwrap();
    bytes.resize(len, 0);
    stream.read_exact(&mut bytes[4..]).await.unwrap();
    bytes
}

/// The server closes it.
async fn ends(stream: &mut TcpStream) {
    let read = timeout(Duration::from_secs(10), stream.read(&mut [0; 100])).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
}

#[tokio::test]
async fn real_connections_without_a_message_end_and_idle_ones_too() {
    let mut config = config();
    config.first_message_timeout = Duration::from_millis(200);
    config.idle_timeout = Duration::from_millis(600);
    let server = Server::bind(config).await.unwrap();
    let (mut silent, mut slow, mut idle) =
        (connect(&server).await, connect(&server).await, connect(&server).await);
    slow.write_all(&REQUEST[..19]).await.unwrap();
    idle.write_all(&REQUEST).await.unwrap();
    assert_eq!(message(&mut idle).await[..2], [1, 1]);
    ends(&mut silent).await;
    ends(&mut slow).await;
    assert_eq!(server.stats().await.unwrap().connections, 1);
    ends(&mut idle).await;
    assert_eq!(server.stats().await.unwrap().connections, 0);
}

#[tokio::test]
async fn real_requests_byte_by_byte_and_many_at_once_have_the_same_answers() {
    let server = Server::bind(config()).await.unwrap();
    let (mut single, mut joined) = (connect(&server).await, connect(&server).await);
    single.set_nodelay(true).unwrap();
    for byte in REQUEST.iter().cycle().take(3 * REQUEST.len()) {
        single.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    joined.write_all(&[REQUEST; 3].concat()).await.unwrap();
    for _ in 0..3 {
        let (a, b) = (message(&mut single).await, message(&mut joined).await);
        assert_eq!((a.len(), &a[..2], &a[8..20]), (b.len(), &[1, 1][..], &REQUEST[8..]));
    }
}

#[tokio::test]
async fn real_what_is_no_message_ends_its_connection_alone() {
    let server = Server::bind(config()).await.unwrap();
    let (mut good, mut bad) = (connect(&server).await, connect(&server).await);
    bad.write_all(&[0xff; 8]).await.unwrap();
    ends(&mut bad).await;
    good.write_all(&REQUEST).await.unwrap();
    assert_eq!(message(&mut good).await[..2], [1, 1]);
}

#[tokio::test]
async fn real_crowds_of_connections_are_turned_away() {
    let mut config = config();
    config.max_connections_per_source = 2;
    let server = Server::bind(config).await.unwrap();
    let mut first = connect(&server).await;
    let _second = connect(&server).await;
    let mut third = connect(&server).await;
    ends(&mut third).await;
    let stats = server.stats().await.unwrap();
    assert_eq!((stats.connections, stats.refused_connections), (2, 1));
    drop(first.shutdown().await);
    ends(&mut first).await;
    let mut fourth = connect(&server).await;
    fourth.write_all(&REQUEST).await.unwrap();
    assert_eq!(message(&mut fourth).await[..2], [1, 1]);
}

/// What waits for it is bounded; what is dropped are whole messages.
#[tokio::test]
async fn real_clients_that_do_not_read_lose_whole_messages() {
    let server = Server::bind(config()).await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let stream = socket.connect(server.tcp_addresses()[0]).await.unwrap();
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    let many = [REQUEST; 200].concat();
    let mut sent = 0_u64;
    while server.stats().await.unwrap().dropped == 0 {
        assert!(sent < 4_000_000, "nothing is dropped");
        stream.write_all(&many).await.unwrap();
        sent += 200;
    }
    // The stream is as well cut as before: answers, and then the one to another request.
    sleep(Duration::from_millis(200)).await;
    let stats = server.stats().await.unwrap();
    // Of many requests in one read not all are answered.
    for _ in stats.dropped + stats.turn.unanswered..sent {
        assert_eq!(message(&mut stream).await[..2], [1, 1]);
    }
    assert!(timeout(Duration::from_millis(200), stream.read(&mut [0; 1])).await.is_err(), "nothing more");
    stream.write_all(&REQUEST).await.unwrap();
    assert_eq!(message(&mut stream).await[..2], [1, 1]);
}

async fn is_free(address: SocketAddr) -> bool {
    for _ in 0..100 {
        if std::net::UdpSocket::bind(address).is_ok() {
            return true;
        }
        sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn real_servers_end_when_they_are_shut_down_or_dropped() {
    let server = Server::bind(config()).await.unwrap();
    let address = server.local_addr();
    assert_eq!(server.tcp_addresses(), [address], "one port for both");
    let mut client = connect(&server).await;
    let again = Server::bind(Config::at(address)).await;
    assert!(matches!(again, Err(Error::Bind { address: taken, .. }) if taken == address));
    let stats = timeout(Duration::from_secs(5), server.shutdown(Duration::from_secs(60))).await;
    assert_eq!(stats.unwrap().unwrap().turn.allocations, 0);
    ends(&mut client).await;
    assert!(is_free(address).await);
    drop(Server::bind(Config::at(address)).await.unwrap());
    assert!(is_free(address).await);
    assert!(matches!(Server::bind(Config::new()).await, Err(Error::NoAddress)));
}
