//! Compose's short notations: ports, mounts, devices, restart policies, command lines.
//!
//! Each is read once, where a manifest enters, into a type that cannot be wrong.
//! Refusals say what was expected, for the user who wrote the text.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// A published port: `[HOST_IP:]HOST:CONTAINER[/PROTOCOL]`, or `CONTAINER[/PROTOCOL]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortBinding {
    /// The host's address; without one, all of them.
    pub host_ip: Option<IpAddr>,
    /// The host's port; without one, the engine picks a free one.
    pub host_port: Option<u16>,
    /// The port inside the container.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl FromStr for PortBinding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, protocol)) => (ports, protocol.parse()?),
            None => (text, Protocol::default()),
        };
        let port = |text: &str| {
            let number = text.parse::<u16>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("`{text}` is not a port from 1 to 65535 (ranges are not supported)"))
        };
        let (outside, inside) = ports.rsplit_once(':').map_or((None, ports), |(outside, inside)| (Some(outside), inside));
        // An IPv6 address has colons itself, and stands in brackets.
        let (host_ip, host_port) = match outside {
            None => (None, None),
            Some(outside) => match outside.rsplit_once(':') {
                None => (None, Some(outside)),
                Some((ip, port)) => (Some(ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip)), Some(port)),
            },
        };
        let host_ip = host_ip.map(|ip| ip.parse().map_err(|_| format!("`{ip}` is not an address of the host"))).transpose()?;
        let host_port = host_port.filter(|port| !port.is_empty()).map(port).transpose()?;
        Ok(Self { host_ip, host_port, container_port: port(inside)?, protocol })
    }
}

impl fmt::Display for PortBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            None => {}
        }
        match (self.host_port, self.host_ip) {
            (Some(port), _) => write!(f, "{port}:")?,
            (None, Some(_)) => f.write_str(":")?,
            (None, None) => {}
        }
        write!(f, "{}", self.container_port)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            other => write!(f, "/{other}"),
        }
    }
}

/// The protocol of a published port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(format!("`{text}` is not a protocol; the protocols are tcp, udp and sctp")),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// A mount: `VOLUME:/path[:ro]`, or `/host/path:/path[:ro]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// The path inside the container.
    pub target: String,
    /// Whether the container may not write to it.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MountSource {
    /// A volume, by name.
    Volume(String),
    /// A path of the host; one that starts with a dot is relative to the manifest's file.
    Bind(String),
}

impl FromStr for Mount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (Some(source), Some(target), options, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(not_a_mount(text));
        };
        absolute(target)?;
        let read_only = match options {
            None | Some("rw") => false,
            Some("ro") => true,
            Some(other) => return Err(format!("`{other}` is not a mount option; the options are ro and rw")),
        };
        let source = if source.starts_with(['/', '.']) {
            MountSource::Bind(source.to_owned())
        } else if is_volume_name(source) {
            MountSource::Volume(source.to_owned())
        } else {
            return Err(format!("`{source}` is neither the name of a volume nor a path (a path starts with / or .)"));
        };
        Ok(Self { source, target: target.to_owned(), read_only })
    }
}

/// A lone path would be an anonymous volume, which is lost with the container that it was made for.
fn not_a_mount(text: &str) -> String {
    let reason = if text.contains(':') { "" } else { "; a volume without a name would be lost with its container" };
    format!("`{text}` is not VOLUME:/path[:ro] or /host/path:/path[:ro]{reason}")
}

/// What the engine accepts as the name of a volume.
fn is_volume_name(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(valid)
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (MountSource::Volume(source) | MountSource::Bind(source)) = &self.source;
        write!(f, "{source}:{}{}", self.target, if self.read_only { ":ro" } else { "" })
    }
}

/// A file system in memory: `/path[:options]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// The path inside the container.
    pub target: String,
    /// Mount options, as in `size=64m`; empty for the engine's defaults.
    pub options: String,
}

/// What the engine lets a tmpfs be mounted with; it refuses the rest only when the container starts.
const TMPFS_OPTIONS: [&str; 17] = [
    "size",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "ro",
    "rw",
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "noatime",
    "relatime",
    "sync",
];

impl FromStr for Tmpfs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        absolute(target)?;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let name = option.split('=').next().unwrap_or_default();
            if !TMPFS_OPTIONS.contains(&name) {
                return Err(format!("`{name}` is not an option of a tmpfs; the options are {}", TMPFS_OPTIONS.join(", ")));
            }
        }
        Ok(Self { target: target.to_owned(), options: options.to_owned() })
    }
}

impl fmt::Display for Tmpfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.options.is_empty() { "" } else { ":" };
        write!(f, "{}{colon}{}", self.target, self.options)
    }
}

/// Refuses what is no path inside a container.
fn absolute(target: &str) -> Result<(), String> {
    if !target.starts_with('/') || target.split('/').any(|part| part == "..") {
        return Err(format!("`{target}` is not an absolute path inside the container"));
    }
    if target.trim_end_matches('/').is_empty() {
        return Err("`/` is the container's own root, which nothing can be mounted on".to_owned());
    }
    Ok(())
}

/// A device: `HOST[:CONTAINER[:PERMISSIONS]]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Device {
    /// The path on the host.
    pub host: String,
    /// The path inside the container.
    pub container: String,
    /// Any of `r`, `w`, `m`.
    pub permissions: String,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let host = parts.next().unwrap_or_default();
        let container = parts.next().unwrap_or(host);
        let permissions = parts.next().unwrap_or("rwm");
        let known = !permissions.is_empty() && permissions.chars().all(|c| matches!(c, 'r' | 'w' | 'm'));
        if !host.starts_with('/') || !container.starts_with('/') || !known || parts.next().is_some() {
            return Err(format!("`{text}` is not /dev/on/host[:/dev/in/container[:rwm]]"));
        }
        Ok(Self { host: host.to_owned(), container: container.to_owned(), permissions: permissions.to_owned() })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.host, self.container, self.permissions)
    }
}

/// The host's GPUs: `all`, or how many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Gpus {
    /// All that there are.
    All,
    /// So many, whichever.
    Count(u16),
}

impl FromStr for Gpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            (_, Ok(count)) if count > 0 => Ok(Self::Count(count)),
            _ => Err(format!("`{text}` is neither `all` nor a number of GPUs")),
        }
    }
}

impl fmt::Display for Gpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Count(count) => count.fmt(f),
        }
    }
}

/// A line of `/etc/hosts`: `NAME:ADDRESS`, where the address may be `host-gateway`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address.
    pub address: HostAddress,
}

/// The address of an additional host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostAddress {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// The address at which containers reach the engine's host.
    Gateway,
}

impl FromStr for ExtraHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Compose writes `=` as well, so that IPv6 addresses need no brackets.
        let split = text.split_once('=').or_else(|| text.split_once(':'));
        let (name, address) = split
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| format!("`{text}` is not NAME:ADDRESS, as in `db.example.test:192.0.2.7`"))?;
        let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
        let address = match bare {
            "host-gateway" => HostAddress::Gateway,
            _ => HostAddress::Ip(bare.parse().map_err(|_| format!("`{address}` is neither an IP address nor `host-gateway`"))?),
        };
        Ok(Self { name: name.to_owned(), address })
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            HostAddress::Ip(ip) => write!(f, "{}:{ip}", self.name),
            HostAddress::Gateway => write!(f, "{}:host-gateway", self.name),
        }
    }
}

/// The engine's restart policy: `no`, `always`, `unless-stopped`, `on-failure[:N]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Restart {
    /// Never.
    No,
    /// Always, also after the engine itself came back.
    Always,
    /// Always, but not when it had been stopped.
    UnlessStopped,
    /// After a failure, at most this often; without a number, without limit.
    OnFailure(Option<u32>),
}

impl FromStr for Restart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is not no, always, unless-stopped or on-failure[:N]");
        match text.split_once(':') {
            None => match text {
                "no" => Ok(Self::No),
                "always" => Ok(Self::Always),
                "unless-stopped" => Ok(Self::UnlessStopped),
                "on-failure" => Ok(Self::OnFailure(None)),
                _ => Err(unknown()),
            },
            Some(("on-failure", times)) => times.parse().map(|times| Self::OnFailure(Some(times))).map_err(|_| unknown()),
            Some(_) => Err(unknown()),
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
            Self::OnFailure(None) => f.write_str("on-failure"),
            Self::OnFailure(Some(times)) => write!(f, "on-failure:{times}"),
        }
    }
}

/// Splits a command line into words as a shell would.
///
/// The refusal does not repeat the line: passwords stand in command lines.
pub fn split_words(line: &str) -> Result<Vec<String>, String> {
    shlex::split(line).ok_or_else(|| "the command has a quotation mark without its partner, or ends in a backslash".to_owned())
}

/// Text in the notation is how these are stored, too.
macro_rules! stored_as_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}

stored_as_text!(PortBinding, Mount, Device, Gpus, ExtraHost, Restart);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn round<T: FromStr<Err = String> + fmt::Display>(text: &str) -> String {
        text.parse::<T>().map_or_else(|refusal| format!("refused: {refusal}"), |value| value.to_string())
    }

    #[test]
    fn ports_are_read_as_compose_does() {
        for text in ["80", "8080:80", "127.0.0.1:8080:80", "[::1]:8080:80", "53:53/udp", "127.0.0.1::80"] {
            assert_eq!(round::<PortBinding>(text), text);
        }
        assert_eq!(round::<PortBinding>("8080:80/tcp"), "8080:80");
        assert_eq!(
            round::<PortBinding>("8000-8010:80"),
            "refused: `8000-8010` is not a port from 1 to 65535 (ranges are not supported)"
        );
        assert_eq!(round::<PortBinding>("0:80"), "refused: `0` is not a port from 1 to 65535 (ranges are not supported)");
        assert_eq!(round::<PortBinding>("localhost:80:80"), "refused: `localhost` is not an address of the host");
        assert_eq!(round::<PortBinding>("80/icmp"), "refused: `icmp` is not a protocol; the protocols are tcp, udp and sctp");
    }

    #[test]
    fn mounts_are_read_as_compose_does() {
        for text in ["data:/data", "./conf:/etc/app:ro", "/srv/x:/x"] {
            assert_eq!(round::<Mount>(text), text);
        }
        assert_eq!(round::<Mount>("data:/data:rw"), "data:/data");
        assert_eq!(
            round::<Mount>("/data"),
            "refused: `/data` is not VOLUME:/path[:ro] or /host/path:/path[:ro]; a volume without a name would be lost with its container"
        );
        assert_eq!(round::<Mount>("data:data"), "refused: `data` is not an absolute path inside the container");
        assert_eq!(round::<Mount>("data:/data:z"), "refused: `z` is not a mount option; the options are ro and rw");
        assert_eq!(round::<Mount>("data:/"), "refused: `/` is the container's own root, which nothing can be mounted on");
        assert_eq!(round::<Mount>("data:/a/../b"), "refused: `/a/../b` is not an absolute path inside the container");
        assert!(round::<Mount>("~/x:/x").starts_with("refused: `~/x` is neither"));
    }

    #[test]
    fn file_systems_in_memory_are_read_as_compose_does() {
        for text in ["/run", "/run:size=64m,mode=1777", "/tmp:noexec"] {
            assert_eq!(round::<Tmpfs>(text), text);
        }
        assert_eq!(round::<Tmpfs>("run"), "refused: `run` is not an absolute path inside the container");
        assert!(
            round::<Tmpfs>("/run:sise=64m").starts_with("refused: `sise` is not an option of a tmpfs; the options are size, ")
        );
    }

    #[test]
    fn additional_hosts_are_read_as_compose_does() {
        assert_eq!(round::<ExtraHost>("db:192.0.2.7"), "db:192.0.2.7");
        assert_eq!(round::<ExtraHost>("db=192.0.2.7"), "db:192.0.2.7");
        assert_eq!(round::<ExtraHost>("db:[::1]"), "db:::1");
        assert_eq!(round::<ExtraHost>("db:::1"), "db:::1");
        assert_eq!(round::<ExtraHost>("host.docker.internal:host-gateway"), "host.docker.internal:host-gateway");
        assert_eq!(round::<ExtraHost>("db:elsewhere"), "refused: `elsewhere` is neither an IP address nor `host-gateway`");
        assert_eq!(round::<ExtraHost>("db"), "refused: `db` is not NAME:ADDRESS, as in `db.example.test:192.0.2.7`");
    }

    #[test]
    fn devices_and_restart_policies_are_read_as_compose_does() {
        assert_eq!(round::<Device>("/dev/null"), "/dev/null:/dev/null:rwm");
        assert_eq!(round::<Device>("/dev/a:/dev/b:r"), "/dev/a:/dev/b:r");
        assert!(round::<Device>("null").starts_with("refused"));
        for text in ["no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(round::<Restart>(text), text);
        }
        assert!(round::<Restart>("on-failure:x").starts_with("refused"));
        assert_eq!((round::<Gpus>("all"), round::<Gpus>("2")), ("all".to_owned(), "2".to_owned()));
        assert_eq!(round::<Gpus>("0"), "refused: `0` is neither `all` nor a number of GPUs");
    }

    #[test]
    fn command_lines_are_split_as_a_shell_would() {
        assert_eq!(split_words("sh -c 'echo \"a b\"'"), Ok(vec!["sh".into(), "-c".into(), "echo \"a b\"".into()]));
        assert!(split_words("echo 'a").is_err());
    }
}
