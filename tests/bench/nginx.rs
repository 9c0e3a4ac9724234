//! An nginx that is tended by hand, and what can be asked of any.

use std::{fs, net::Ipv4Addr, time::Duration};

use bollard::{
    models::{ContainerCreateBody, HostConfig},
    query_parameters::LogsOptions,
};
use futures::StreamExt;
use tokio::time::sleep;

use super::{
    Result,
    backends::{self, NETWORK},
    engine::Engine,
    http::Question,
};

/// nginx that says when it reloads.
pub(crate) const COMMAND: &str = "[/usr/sbin/nginx, -g, 'daemon off; error_log /dev/stderr notice;']";

/// The nginx.
pub(crate) struct Nginx<'a> {
    engine: &'a Engine,
    name: &'static str,
    sites: tempfile::TempDir,
    address: Ipv4Addr,
}

impl<'a> Nginx<'a> {
    /// Starts one that serves nothing yet.
    pub(crate) async fn start(engine: &'a Engine, name: &'static str) -> Result<Self> {
        let sites = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let body = ContainerCreateBody {
            host_config: Some(HostConfig {
                network_mode: Some(NETWORK.to_owned()),
                binds: Some(vec![format!("{}:/etc/nginx/sites:ro", sites.path().display())]),
                ..HostConfig::default()
            }),
            ..backends::by_hand("mooring-demo/nginx:1")
        };
        engine.create(name, body).await?;
        engine.start(name).await?;
        let address = address(engine, name).await?;
        // Its process id has to be there before it can be told anything.
        sleep(Duration::from_millis(300)).await;
        Ok(Self { engine, name, sites, address })
    }

    /// Replaces what it will serve by.
    pub(crate) fn serve(&self, text: &str) -> Result<()> {
        let new = self.sites.path().join("sites.new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, self.sites.path().join("sites.conf"))?)
    }

    /// `nginx -t` and `nginx -s reload`, as somebody would type them.
    pub(crate) async fn test_and_reload(&self) -> Result<()> {
        self.engine.run(self.name, &["/usr/sbin/nginx", "-t"]).await?;
        self.engine.run(self.name, &["/usr/sbin/nginx", "-s", "reload"]).await
    }

    /// The first route.
    pub(crate) fn question(&self) -> Question {
        question(self.address)
    }
}

/// What any nginx at this address is asked.
pub(crate) fn question(address: Ipv4Addr) -> Question {
    Question { address, port: 80, host: "h0.test".to_owned(), path: "/p0/".to_owned() }
}

/// Where a container is on the network.
pub(crate) async fn address(engine: &Engine, name: &str) -> Result<Ipv4Addr> {
    let settings = engine.inspect(name).await?.network_settings.and_then(|settings| settings.networks);
    let address = settings.and_then(|mut networks| networks.remove(NETWORK)).and_then(|endpoint| endpoint.ip_address);
    Ok(address.ok_or_else(|| format!("{name} has no address"))?.parse()?)
}

/// How often an nginx with [`COMMAND`] has been told to reload.
pub(crate) async fn reloads(engine: &Engine, name: &str) -> Result<u64> {
    let options = LogsOptions { stderr: true, stdout: true, ..LogsOptions::default() };
    let mut lines = engine.client.logs(name, Some(options));
    let mut reloads = 0;
    while let Some(line) = lines.next().await {
        reloads += u64::from(line?.to_string().contains("reconfiguring"));
    }
    Ok(reloads)
}
