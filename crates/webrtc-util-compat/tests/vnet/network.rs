//! Networks of webrtc-util: a WAN with a STUN server, and LANs behind NATs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use proto::Writer;
use stun::wire::{Attribute, Class, Encoder, Message, Method};
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use webrtc_util::Conn;
use webrtc_util::vnet::chunk::Chunk;
use webrtc_util::vnet::interface::Interface;
use webrtc_util::vnet::nat::{EndpointDependencyType, NatType};
use webrtc_util::vnet::net::{Net, NetConfig};
use webrtc_util::vnet::router::{Nic, Router, RouterConfig};

/// The classic kinds of NAT (RFC 3489 §5), in the terms of RFC 4787.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Nat {
    FullCone,
    Restricted,
    PortRestricted,
    Symmetric,
}

impl Nat {
    pub const ALL: [Self; 4] = [Self::FullCone, Self::Restricted, Self::PortRestricted, Self::Symmetric];

    fn behaviour(self) -> NatType {
        use EndpointDependencyType::{
            EndpointAddrDependent as Address, EndpointAddrPortDependent as AddressAndPort,
            EndpointIndependent as Any,
        };
        let (mapping_behavior, filtering_behavior) = match self {
            Self::FullCone => (Any, Any),
            Self::Restricted => (Any, Address),
            Self::PortRestricted => (Any, AddressAndPort),
            Self::Symmetric => (AddressAndPort, AddressAndPort),
        };
        NatType { mapping_behavior, filtering_behavior, ..NatType::default() }
    }
}

/// A WAN, what is connected to it, and the STUN server there.
pub struct Network {
    wan: Arc<Mutex<Router>>,
    // Routers know their nets and their NATs' networks weakly.
    nets: Vec<(Net, Arc<Mutex<Inlet>>)>,
    lans: Vec<Arc<Mutex<Router>>>,
    server: Option<AbortHandle>,
}

impl Network {
    /// A WAN alone.
    pub fn new() -> Self {
        Self { wan: router("203.0.113.0/24", None, None), nets: Vec::new(), lans: Vec::new(), server: None }
    }

    /// A LAN behind a NAT whose other side is `outside`.
    pub async fn lan(&mut self, cidr: &str, outside: &str, nat: Nat) -> Arc<Mutex<Router>> {
        let lan = router(cidr, Some(outside), Some(nat.behaviour()));
        self.wan.lock().await.add_router(lan.clone()).await.unwrap();
        lan.lock().await.set_router(self.wan.clone()).await.unwrap();
        self.lans.push(lan.clone());
        lan
    }

    /// A machine at `address` of `router`, and a port of it.
    pub async fn bind(&mut self, router: &Arc<Mutex<Router>>, address: &str) -> Port {
        let address: SocketAddr = address.parse().unwrap();
        let static_ips = vec![address.ip().to_string()];
        let net = Net::new(Some(NetConfig { static_ips, ..NetConfig::default() }));
        let nic = net.get_nic().unwrap();
        router.lock().await.add_net(nic.clone()).await.unwrap();
        nic.lock().await.set_router(router.clone()).await.unwrap();
        let conn = net.bind(address).await.unwrap();
        let (sender, incoming) = mpsc::channel(QUEUE);
        let inlet = Arc::new(Mutex::new(Inlet { address, sender }));
        router.lock().await.add_net(inlet.clone()).await.unwrap();
        self.nets.push((net, inlet));
        Port { conn, incoming }
    }

    /// Begins to carry datagrams, with a STUN server in the WAN.
    pub async fn start(&mut self) {
        let port = self.bind(&self.wan.clone(), STUN_SERVER).await;
        self.server = Some(tokio::spawn(answer(port)).abort_handle());
        // The future of `start` is not `Send`, and what it does for this router is done before it is awaited.
        drop(self.wan.lock().await.start());
        for lan in &self.lans {
            drop(lan.lock().await.start());
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

fn router(cidr: &str, outside: Option<&str>, nat_type: Option<NatType>) -> Arc<Mutex<Router>> {
    let config = RouterConfig {
        cidr: cidr.to_owned(),
        static_ips: outside.map(str::to_owned).into_iter().collect(),
        nat_type,
        min_delay: Duration::from_millis(2),
        ..RouterConfig::default()
    };
    Arc::new(Mutex::new(Router::new(config).unwrap()))
}

/// What sends from an address and receives there.
pub struct Port {
    pub conn: Arc<dyn Conn + Send + Sync>,
    pub incoming: mpsc::Receiver<(Vec<u8>, SocketAddr)>,
}

/// Takes what arrives at an address, in the place of the `Net` that sends from there: a `Net` locks itself for both,
/// and so, in a ring with the two locks of a router, does not stand datagrams of both directions at a time.
struct Inlet {
    address: SocketAddr,
    sender: mpsc::Sender<(Vec<u8>, SocketAddr)>,
}

#[async_trait]
impl Nic for Inlet {
    async fn get_interface(&self, _name: &str) -> Option<Interface> {
        None
    }

    async fn add_addrs_to_interface(&mut self, _name: &str, _: &[IpNet]) -> webrtc_util::Result<()> {
        Ok(())
    }

    async fn on_inbound_chunk(&self, chunk: Box<dyn Chunk + Send + Sync>) {
        if chunk.destination_addr() == self.address {
            // Where the queue is full it is lost, as on any network.
            let _ = self.sender.try_send((chunk.user_data(), chunk.source_addr()));
        }
    }

    async fn get_static_ips(&self) -> Vec<IpAddr> {
        vec![self.address.ip()]
    }

    async fn set_router(&self, _: Arc<Mutex<Router>>) -> webrtc_util::Result<()> {
        Ok(())
    }
}

/// A STUN server (RFC 8489 §6.3.1): tells everyone where it sees them.
async fn answer(mut port: Port) {
    while let Some((datagram, from)) = port.incoming.recv().await {
        let Ok(request) = Message::decode(&datagram) else { continue };
        if (request.class(), request.method()) != (Class::Request, Method::BINDING) {
            continue;
        }
        let mut memory = [0; 200];
        let mut out = Writer::new(&mut memory);
        let mut response =
            Encoder::new(&mut out, Class::Success, Method::BINDING, request.transaction()).unwrap();
        response.attribute(Attribute::XorMappedAddress(from)).unwrap();
        response.finish(None).unwrap();
        port.conn.send_to(out.written(), from).await.unwrap();
    }
}

pub const STUN_SERVER: &str = "203.0.113.1:3478";
/// Datagrams that wait at a port: more than a round trip holds.
const QUEUE: usize = 4096;
