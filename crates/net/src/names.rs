use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::base::iana::Rcode;
use domain::base::message_builder::AdditionalBuilder;
use domain::base::name::{Name, RelativeName, ToName};
use domain::base::{Message, MessageBuilder, Question};
use domain::dep::octseq::octets::Octets;
use domain::net::client::dgram_stream::Connection;
use domain::net::client::protocol::{TcpConnect, UdpConnect};
use domain::net::client::request::{RequestMessage, SendRequest};
use domain::resolv::lookup::host::lookup_host;
use domain::resolv::lookup::srv::lookup_srv;
use domain::resolv::resolver;
use domain::resolv::stub::conf::ResolvConf;

/// From names to addresses.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let resolver = net::Resolver::default();
/// let found = resolver.service("_stun._udp", "localhost", 3478).await?;
/// assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 3478));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    /// `None`: those of the system.
    servers: Option<Arc<[SocketAddr]>>,
}

impl Resolver {
    /// One that asks these servers of names, in this order and no others, where [`Resolver::default`] asks the system.
    pub fn asking(servers: &[SocketAddr]) -> Self {
        Self { servers: Some(servers.into()) }
    }

    /// The addresses of a machine, each with `port`.
    ///
    /// # Errors
    ///
    /// If it has none, or nobody tells.
    pub async fn addresses(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let Some(servers) = &self.servers else {
            return Ok(tokio::net::lookup_host((name, port)).await?.collect());
        };
        let found = lookup_host(&Servers(servers.clone()), absolute(name)?).await?;
        if found.is_empty() {
            return Err(no_address(name));
        }
        Ok(found.port_iter(port).collect())
    }

    /// The addresses where the domain `name` offers `service`, as in `_turn._udp`, the preferred ones first: those of
    /// the service's machines (RFC 2782), four at the most, with the first address of each family, or if DNS knows
    /// nothing of such a service those of `name` itself with `port`.
    ///
    /// # Errors
    ///
    /// If the domain says that it does not offer it, there is no address, or nobody tells.
    pub async fn service(&self, service: &str, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if !may_have_services(name) {
            return self.addresses(name, port).await;
        }
        let machines = tokio::time::timeout(PATIENCE, self.machines(service, name, port));
        // Most domains have no such records: nobody waits for the second answer.
        let (machines, plain) = tokio::join!(machines, self.addresses(name, port));
        let Ok(Ok(machines)) = machines else { return plain };
        let Some(machines) = machines else {
            let text = format!("{name} says that it does not offer {service}");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        };
        let mut found = Vec::new();
        for (machine, its_port) in machines {
            if machine.eq_ignore_ascii_case(name) && its_port == port {
                found.extend(one_of_each_family(plain.as_deref().unwrap_or_default()));
            } else if let Ok(addresses) = self.addresses(&machine, its_port).await {
                found.extend(one_of_each_family(&addresses));
            }
        }
        if found.is_empty() { Err(no_address(name)) } else { Ok(found) }
    }

    /// Those that offer the service; `None` if the domain denies it.
    async fn machines(&self, service: &str, name: &str, port: u16) -> io::Result<Option<Vec<(String, u16)>>> {
        let servers = match &self.servers {
            Some(servers) => servers.clone(),
            None => system_servers().await?,
        };
        let service: RelativeName<Vec<u8>> = service.parse().map_err(io::Error::other)?;
        let found = lookup_srv(&Servers(servers), service, absolute(name)?, port).await;
        let Some(found) = found.map_err(io::Error::other)? else { return Ok(None) };
        let machines = found.into_srvs().take(MAX_MACHINES);
        Ok(Some(machines.map(|machine| (machine.target().to_string(), machine.port())).collect()))
    }
}

/// Whether a name can have a service in DNS: not the machine itself, names of the link, and those that never are
/// (RFC 6761 §6.3 and §6.4, RFC 6762 §3), nor one without a domain.
fn may_have_services(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.rsplit_once('.').is_some_and(|(_, top)| {
        !["localhost", "local", "invalid"].iter().any(|special| top.eq_ignore_ascii_case(special))
    })
}

fn absolute(name: &str) -> io::Result<Name<Vec<u8>>> {
    name.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn no_address(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{name} has no address"))
}

fn one_of_each_family(addresses: &[SocketAddr]) -> impl Iterator<Item = SocketAddr> {
    let first = |v4: bool| addresses.iter().copied().find(move |address| address.is_ipv4() == v4);
    [first(false), first(true)].into_iter().flatten()
}

/// What resolv.conf(5) says now: it changes with the network that the machine is in.
async fn system_servers() -> io::Result<Arc<[SocketAddr]>> {
    let read = tokio::task::spawn_blocking(ResolvConf::default).await.map_err(io::Error::other)?;
    Ok(read.servers.iter().map(|server| server.addr).take(MAX_SERVERS).collect())
}

/// Who is asked, one after the other.
struct Servers(Arc<[SocketAddr]>);

/// Nothing of it is left when the question is dropped.
async fn ask(servers: Arc<[SocketAddr]>, question: Option<Vec<u8>>) -> io::Result<Answer> {
    let question = question.and_then(|octets| Message::from_octets(octets).ok());
    let question = question.ok_or_else(|| io::Error::other("the question cannot be asked"))?;
    let mut answer = Err(io::Error::new(io::ErrorKind::TimedOut, "no server of names answers"));
    for server in servers.iter().copied() {
        let asked = tokio::time::timeout(PATIENCE, ask_one(server, question.clone())).await;
        match asked {
            Ok(Ok(said)) if is_answer(&said) => return Ok(Answer(said)),
            Ok(Ok(_)) => answer = Err(io::Error::other("a server of names failed")),
            Ok(Err(error)) => answer = Err(error),
            Err(_) => {}
        }
    }
    answer
}

async fn ask_one<O>(server: SocketAddr, question: Message<O>) -> io::Result<Message<bytes::Bytes>>
where
    O: Octets + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let request = RequestMessage::new(question).map_err(io::Error::other)?;
    // Over TCP what is too long for a datagram.
    let (connection, driver) = Connection::new(UdpConnect::new(server), TcpConnect::new(server));
    let mut asked = connection.send_request(request);
    tokio::select! {
        answer = asked.get_response() => answer.map_err(io::Error::other),
        () = driver.run() => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// A name that is not there is an answer, too.
fn is_answer(message: &Message<bytes::Bytes>) -> bool {
    matches!(message.header().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN)
}

impl resolver::Resolver for Servers {
    type Octets = bytes::Bytes;
    type Answer = Answer;
    type Query<'a> = Pin<Box<dyn Future<Output = io::Result<Answer>> + Send>>;

    fn query<N: ToName, Q: Into<Question<N>>>(&self, question: Q) -> Self::Query<'_> {
        let question = write(&question.into());
        Box::pin(ask(self.0.clone(), question))
    }
}

fn write(question: &Question<impl ToName>) -> Option<Vec<u8>> {
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_rd(true);
    let mut message = message.question();
    message.push(question).ok()?;
    let message: AdditionalBuilder<Vec<u8>> = message.additional();
    Some(message.finish())
}

struct Answer(Message<bytes::Bytes>);

impl AsRef<Message<bytes::Bytes>> for Answer {
    fn as_ref(&self) -> &Message<bytes::Bytes> {
        &self.0
    }
}

/// For each server, and for the question after a service: it is rare, and an addition to what the name itself has.
const PATIENCE: Duration = Duration::from_secs(2);
/// As many as the system's own resolver asks.
const MAX_SERVERS: usize = 3;
/// Of those that offer a service, so many are looked up.
const MAX_MACHINES: usize = 4;
