use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use net::{ByteStream, TlsClient, TlsError, Transport};
use proto::Path;

use crate::relay_association::RelayAssociation;
use crate::relay_stream::RelayStream;

/// What carries the messages of a STUN or TURN server that is not spoken to over bare UDP (RFC 8489 §6.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ServerCarrier {
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// DTLS over UDP (RFC 7350).
    Dtls,
}

/// Connects to the STUN or TURN server at `address`, for a program that speaks to it by itself, with `stun::Client` or
/// `turn::client::Client`: its messages are the datagrams of what is returned, and their path stands beside it. Over
/// TLS and DTLS the server has to prove that it is `name`, a host name or an address, to whom `tls` believes: the
/// authorities of this machine if nothing is said. An error of [`Transport::poll_receive`] is its end.
///
/// It takes as long as the system's own patience; dropping the future gives it up.
///
/// # Errors
///
/// There is no way there, or the server is not who it should be.
pub async fn connect_to_server(
    address: SocketAddr,
    name: &str,
    carrier: ServerCarrier,
    tls: Option<&TlsClient>,
) -> io::Result<(Path, Arc<dyn Transport>)> {
    let believed = match (carrier, tls) {
        (ServerCarrier::Tcp, _) => None,
        (_, Some(tls)) => Some(tls.clone()),
        (_, None) => Some(authorities().await?),
    };
    let mut stream = match (carrier, &believed) {
        (ServerCarrier::Dtls, Some(believed)) => {
            let association = RelayAssociation::connect(address, name, believed).await?;
            return Ok((association.path(), Arc::new(association)));
        }
        (_, Some(believed)) => ByteStream::connect_tls(address, name, believed)?,
        (_, None) => ByteStream::connect(address),
    };
    poll_fn(|cx| stream.poll_open(cx)).await?;
    let stream = RelayStream::new(stream, address)?;
    Ok((stream.path(), Arc::new(stream)))
}

/// Those that this machine believes, which are read from its disk once.
async fn authorities() -> io::Result<TlsClient> {
    static AUTHORITIES: OnceLock<Result<TlsClient, TlsError>> = OnceLock::new();
    let read = || AUTHORITIES.get_or_init(TlsClient::new).clone();
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?.map_err(io::Error::other)
}
