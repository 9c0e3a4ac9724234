//! Backends of a network of their own, and how they move.

use std::{collections::HashMap, net::Ipv4Addr, time::Duration};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Ipam, IpamConfig, NetworkConnectRequest,
    NetworkCreateRequest, NetworkDisconnectRequest, NetworkingConfig,
};
use tokio::time::Instant;

use super::{
    Result,
    engine::{BY_HAND, Engine},
    http::Question,
};

/// The network.
pub(crate) const NETWORK: &str = "bench_network";
/// The backend that the routes lead to.
pub(crate) const BACKEND: &str = "bench-backend";
/// What it answers.
pub(crate) const RIGHT: &str = "right";
/// What whoever has taken its address answers.
pub(crate) const WRONG: &str = "wrong";
/// Where it listens.
pub(crate) const PORT: u16 = 8080;

const STRANGER: &str = "bench-stranger";
const SUBNET: &str = "10.213.7.0/24";
/// The addresses that the engine gives out by itself begin well below.
const FIRST: u8 = 100;
const LAST: u8 = 250;
/// A shell and a small server have to start.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);

/// The backend and where it is.
pub(crate) struct Backends<'a> {
    engine: &'a Engine,
    at: u8,
    has_stranger: bool,
}

impl<'a> Backends<'a> {
    /// A network with the backend on it.
    pub(crate) async fn start(engine: &'a Engine) -> Result<Self> {
        network(engine).await?;
        let backends = Self { engine, at: FIRST, has_stranger: false };
        backends.run(BACKEND, RIGHT, FIRST).await?;
        backends.listens().await?;
        Ok(backends)
    }

    /// Moves the backend and gives its address to a stranger; returns when the backend listens again, with that moment.
    pub(crate) async fn change_places(&mut self) -> Result<Instant> {
        if std::mem::replace(&mut self.has_stranger, true) {
            self.engine.remove(STRANGER).await?;
        }
        self.engine.remove(BACKEND).await?;
        self.run(STRANGER, WRONG, self.at).await?;
        self.step();
        self.run(BACKEND, RIGHT, self.at).await?;
        self.listens().await
    }

    /// Moves the backend without stopping it.
    pub(crate) async fn reconnect(&mut self) -> Result<()> {
        let leave = NetworkDisconnectRequest { container: BACKEND.to_owned(), force: Some(true) };
        self.engine.client.disconnect_network(NETWORK, leave).await?;
        self.step();
        let join = NetworkConnectRequest { container: BACKEND.to_owned(), endpoint_config: Some(endpoint(self.at)) };
        Ok(self.engine.client.connect_network(NETWORK, join).await?)
    }

    /// Where the backend is.
    pub(crate) fn address(&self) -> Ipv4Addr {
        address(self.at)
    }

    fn step(&mut self) {
        self.at = if self.at == LAST { FIRST } else { self.at + 1 };
    }

    async fn listens(&self) -> Result<Instant> {
        let question = Question { address: self.address(), port: PORT, host: "localhost".to_owned(), path: "/".to_owned() };
        question.until(LISTENS_WITHIN, |answer| answer.body == RIGHT).await
    }

    async fn run(&self, name: &str, answer: &str, at: u8) -> Result<()> {
        let script = format!("mkdir -p /www; echo {answer} >/www/index.html; exec httpd -f -p {PORT} -h /www");
        let body = ContainerCreateBody {
            cmd: Some(["sh", "-c", &script].map(str::to_owned).into()),
            stop_signal: Some("SIGKILL".to_owned()),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(NETWORK.to_owned(), endpoint(at))])),
            }),
            ..by_hand("mooring-demo/busybox:1")
        };
        self.engine.create(name, body).await?;
        self.engine.start(name).await
    }
}

/// A container of this image on the network, beside Mooring's.
pub(crate) fn by_hand(image: &str) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image.to_owned()),
        labels: Some(HashMap::from([(BY_HAND.to_owned(), "by-hand".to_owned())])),
        host_config: Some(HostConfig { network_mode: Some(NETWORK.to_owned()), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    }
}

/// Makes the network.
pub(crate) async fn network(engine: &Engine) -> Result<()> {
    let pool = IpamConfig { subnet: Some(SUBNET.to_owned()), ..IpamConfig::default() };
    let request = NetworkCreateRequest {
        name: NETWORK.to_owned(),
        ipam: Some(Ipam { config: Some(vec![pool]), ..Ipam::default() }),
        ..NetworkCreateRequest::default()
    };
    engine.client.create_network(request).await?;
    Ok(())
}

fn address(at: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 213, 7, at)
}

fn endpoint(at: u8) -> EndpointSettings {
    let ipam = EndpointIpamConfig { ipv4_address: Some(address(at).to_string()), ..EndpointIpamConfig::default() };
    EndpointSettings { ipam_config: Some(ipam), ..EndpointSettings::default() }
}
