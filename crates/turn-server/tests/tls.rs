//! Clients over TLS: the same protocol under it, and those who do not get so far (THREATS T9).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use net::{ByteStream, TlsClient};
use support::Certificate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use turn_server::{Config, Error, Server};

/// A Binding request.
const REQUEST: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

fn config(certificate: &Certificate) -> Config {
    let mut config = Config::new();
    config.tls = vec![([127, 0, 0, 2], 0).into()];
    config.certificate = Some(certificate.server());
    config
}

/// Asks for the address that the server sees; the first bytes of the answer.
async fn ask(server: &Server, name: &str, believed: &Certificate) -> io::Result<[u8; 2]> {
    let client = TlsClient::from_file(&believed.file()).unwrap();
    let mut stream = ByteStream::connect_tls(server.tls_addresses()[0], name, &client)?;
    poll_fn(|cx| stream.poll_open(cx)).await?;
    // In two pieces.
    for piece in [&REQUEST[..3], &REQUEST[3..]] {
        assert_eq!(poll_fn(|cx| stream.poll_write(cx, piece)).await?, piece.len());
        poll_fn(|cx| stream.poll_flush(cx)).await?;
    }
    let (mut memory, mut len) = ([0; 100], 0);
    while len < 20 {
        let read = poll_fn(|cx| stream.poll_read(cx, &mut memory[len..])).await?;
        assert!(read > 0);
        len += read;
    }
    Ok([memory[0], memory[1]])
}

#[tokio::test]
async fn real_clients_over_tls_are_answered_and_believe_only_the_right_server() {
    let (Some(certificate), Some(other)) = (Certificate::new(), Certificate::new()) else { return };
    let server = Server::bind(config(&certificate)).await.unwrap();
    for name in ["localhost", "127.0.0.2"] {
        assert_eq!(ask(&server, name, &certificate).await.unwrap(), [1, 1], "{name}");
    }
    assert!(ask(&server, "example.org", &certificate).await.is_err(), "another's name");
    assert!(ask(&server, "localhost", &other).await.is_err(), "another's certificate");
    server.set_certificate(other.server()).await.unwrap();
    assert_eq!(ask(&server, "localhost", &other).await.unwrap(), [1, 1]);
    assert!(ask(&server, "localhost", &certificate).await.is_err(), "it shows the new one");
    assert_eq!(server.stats().await.unwrap().turn.allocations, 0);
}

#[tokio::test]
async fn real_handshakes_that_do_not_happen_end_in_time() {
    let Some(certificate) = Certificate::new() else { return };
    let mut config = config(&certificate);
    config.first_message_timeout = Duration::from_millis(200);
    let server = Server::bind(config).await.unwrap();
    let connect = || async { TcpStream::connect(server.tls_addresses()[0]).await.unwrap() };
    let (mut silent, mut plain, mut half) = (connect().await, connect().await, connect().await);
    plain.write_all(&REQUEST).await.unwrap();
    half.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    for stream in [&mut silent, &mut plain, &mut half] {
        let mut said = Vec::new();
        // An alert, perhaps, and the end.
        let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
        assert!(ended.is_ok() && said.len() < 20, "{said:?}");
    }
    assert_eq!(server.stats().await.unwrap().connections, 0);
    assert_eq!(ask(&server, "localhost", &certificate).await.unwrap(), [1, 1], "others are served");
}

#[tokio::test]
async fn real_tls_needs_a_certificate() {
    let Some(certificate) = Certificate::new() else { return };
    let mut config = config(&certificate);
    config.certificate = None;
    assert!(matches!(Server::bind(config).await, Err(Error::NoCertificate)));
    let key_alone = turn_server::TlsServer::from_files(&certificate.file(), &certificate.file());
    assert!(key_alone.unwrap_err().to_string().contains("certificate.pem"));
}
