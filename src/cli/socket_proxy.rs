//! `mooring socket-proxy`: an engine's socket that can do only what Mooring does.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, builder::FalseyValueParser};
use nix::sys::stat::{Mode, umask};
use tokio_util::sync::CancellationToken;

use super::{Error, Exit, run};
use crate::{
    observe::docker::Connection,
    settings::Settings,
    socket_proxy::{
        self,
        rules::{Bind, Rules, Selector},
    },
};

/// Offer a socket of the engine that can do only what Mooring does
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring socket-proxy --listen /run/mooring/engine.sock
  mooring socket-proxy --allow-pull --allow-bind /srv/shop/sites --allow-heal com.docker.compose.project=shop
  mooring run --engine unix:///run/mooring/engine.sock

Lists can be given in the environment too, with commas. docs/security.md says what each of these gives away.",
    long_about = "Offer a socket of the engine that can do only what Mooring does, and to its own containers only.\n\nIt holds the engine's socket (--engine), so that a Mooring of the same --owner need not. What is refused is answered with 403 and a reason, and logged."
)]
pub(super) struct SocketProxyArgs {
    /// Where to listen
    #[arg(long, env = "MOORING_LISTEN", value_name = "PATH", default_value = "/run/mooring/engine.sock")]
    listen: PathBuf,
    /// Who may connect: the mode of the socket, in octal
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = mode)]
    mode: u32,
    /// A path of the host that containers may mount; with /** at its end, whatever is below it as well
    #[arg(long, env = "MOORING_ALLOW_BIND", value_name = "PATH[/**]", value_delimiter = ',', value_parser = bind)]
    allow_bind: Vec<Bind>,
    /// A volume that containers may mount although Mooring has not made it
    #[arg(long, env = "MOORING_ALLOW_VOLUME", value_name = "NAME", value_delimiter = ',')]
    allow_volume: Vec<String>,
    /// Somebody else's containers that may be started, restarted and connected, by label
    #[arg(long, env = "MOORING_ALLOW_HEAL", value_name = "LABEL[=VALUE]", value_delimiter = ',', value_parser = label)]
    allow_heal: Vec<Selector>,
    /// The same, by name
    #[arg(long, env = "MOORING_ALLOW_HEAL_NAME", value_name = "NAME", value_delimiter = ',')]
    allow_heal_name: Vec<String>,
    /// Somebody else's container in which any command may be run
    #[arg(long, env = "MOORING_ALLOW_EXEC", value_name = "NAME", value_delimiter = ',')]
    allow_exec: Vec<String>,
    /// Somebody else's container in which nginx may be tested and reloaded
    #[arg(long, env = "MOORING_ALLOW_NGINX", value_name = "NAME", value_delimiter = ',')]
    allow_nginx: Vec<String>,
    /// A capability that containers may be given
    #[arg(long, env = "MOORING_ALLOW_CAP", value_name = "NAME", value_delimiter = ',')]
    allow_cap: Vec<String>,
    /// A device of the host that containers may be given
    #[arg(long, env = "MOORING_ALLOW_DEVICE", value_name = "PATH", value_delimiter = ',')]
    allow_device: Vec<String>,
    /// Containers may be given GPUs
    #[arg(long, env = "MOORING_ALLOW_GPUS", value_parser = FalseyValueParser::new())]
    allow_gpus: bool,
    /// Containers may be on the host's own network
    #[arg(long, env = "MOORING_ALLOW_HOST_NETWORK", value_parser = FalseyValueParser::new())]
    allow_host_network: bool,
    /// Images may be pulled
    #[arg(long, env = "MOORING_ALLOW_PULL", value_parser = FalseyValueParser::new())]
    allow_pull: bool,
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "expected three or four octal digits, as in 0660".to_owned())
}

fn bind(text: &str) -> Result<Bind, String> {
    let (path, and_below) = text.strip_suffix("/**").map_or((text, false), |path| (path, true));
    let is_plain = !path.contains(':') && !path.split('/').any(|part| part == "..");
    // A variable that is set and empty is not set.
    let is_good = text.is_empty() || text.starts_with('/') && is_plain;
    if is_good { Ok(Bind { path: path.to_owned(), and_below }) } else { Err("expected an absolute path".to_owned()) }
}

#[expect(clippy::unnecessary_wraps, reason = "clap's way to read a value")]
fn label(text: &str) -> Result<Selector, Infallible> {
    Ok(match text.split_once('=') {
        Some((label, value)) => Selector::Label(label.to_owned(), Some(value.to_owned())),
        None => Selector::Label(text.to_owned(), None),
    })
}

fn set(names: Vec<String>) -> BTreeSet<String> {
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

pub(super) async fn run(settings: &Settings, args: SocketProxyArgs) -> Result<Exit, Error> {
    Connection::new(&settings.engine, Arc::new(|_| {}))
        .map_err(|error| Error::Usage { message: error.to_string(), help: "name it with --engine or DOCKER_HOST".to_owned() })?;
    let engine = PathBuf::from(settings.engine.trim_start_matches("unix://"));
    let listen = super::absolute(&args.listen);
    if same(&engine, &listen) {
        let message = format!("{} is the engine's own socket", listen.display());
        return Err(Error::Usage { message, help: "name another path with --listen".to_owned() });
    }
    // The socket is made before it has its mode.
    umask(Mode::from_bits_truncate(0o177));
    let socket = socket_proxy::bind(&listen, args.mode).await.map_err(|source| Error::file("listen on", &listen, source))?;
    let shutdown = CancellationToken::new();
    let signals = tokio::spawn(run::listen(run::signals()?, shutdown.clone()));
    let rules = rules(settings, args);
    tracing::info!(listen = %listen.display(), engine = settings.engine, ?rules, "mooring offers the engine");
    socket_proxy::serve(socket, &engine, rules, shutdown).await;
    signals.abort();
    tracing::info!("mooring offers the engine no more");
    Ok(Exit::Good)
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

fn rules(settings: &Settings, args: SocketProxyArgs) -> Rules {
    let is_given = |label: &Selector| !matches!(label, Selector::Label(label, _) if label.is_empty());
    let names = set(args.allow_heal_name).into_iter().map(Selector::Name);
    Rules {
        owner: settings.owner.clone(),
        engine: settings.engine.trim_start_matches("unix://").to_owned(),
        binds: args.allow_bind.into_iter().filter(|bind| !bind.path.is_empty() || bind.and_below).collect(),
        volumes: set(args.allow_volume),
        heal: args.allow_heal.into_iter().filter(is_given).chain(names).collect(),
        exec: set(args.allow_exec),
        nginx: set(args.allow_nginx),
        capabilities: set(args.allow_cap),
        devices: set(args.allow_device),
        gpus: args.allow_gpus,
        host_network: args.allow_host_network,
        pull: args.allow_pull,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SocketProxyArgs,
    }

    fn args(words: &[&str]) -> Result<SocketProxyArgs, String> {
        let line = Line::try_parse_from(["socket-proxy"].iter().chain(words));
        line.map(|line| line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_more_than_its_own_is_allowed_unless_said() {
        let args = args(&[]).unwrap();
        assert_eq!((args.mode, args.allow_gpus, args.allow_host_network, args.allow_pull), (0o660, false, false, false));
        assert!(args.allow_bind.is_empty() && args.allow_heal.is_empty() && args.allow_exec.is_empty());
    }

    #[test]
    fn lists_come_with_commas_or_by_repetition() {
        let args = args(&["--allow-bind", "/srv/a,/srv/b/**", "--allow-bind", "/**", "--allow-heal", "app=shop,tier"]).unwrap();
        let binds: Vec<_> = args.allow_bind.iter().map(|bind| (bind.path.as_str(), bind.and_below)).collect();
        assert_eq!(binds, [("/srv/a", false), ("/srv/b", true), ("", true)]);
        let tier = Selector::Label("tier".to_owned(), None);
        assert_eq!(args.allow_heal, [Selector::Label("app".to_owned(), Some("shop".to_owned())), tier]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for words in [["--allow-bind", "srv"], ["--allow-bind", "/srv/../etc"], ["--mode", "rw"], ["--mode", "7777"]] {
            assert!(args(&words).is_err(), "{words:?}");
        }
    }
}
