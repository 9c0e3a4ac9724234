//! `mooring doctor nginx`: fixed backends and their like, found and mended.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use serde::Serialize;

use super::{
    super::{
        Error, Exit,
        output::{self, BAD, FAINT, Format, GOOD, STRONG, printable},
        user,
    },
    Checked, Verdict,
    reload::{self, Asked, Way},
};
use crate::{
    execute::repair::{Aside, Recorded, Swap},
    manifest::{Key, Kind},
    nginx::{
        findings::{self, Finding},
        flatten::Dump,
        include,
        repair::{self, Files, MARKER, Repaired, Resolver},
    },
    observe::{
        docker::{Bind, Connection, Docker},
        engine::Engine as _,
        nginx_files::{Disk, Mounted, NginxFiles},
    },
    record::{self, Record, journal::Actor},
    settings::Settings,
};

/// Where nginx looks unless it is told otherwise.
const MAIN: &str = "/etc/nginx/nginx.conf";

/// The name under which the whole configuration is tested. No pattern that nginx uses names hidden files.
const ASIDE: &str = ".mooring-test.conf";

/// Look through nginx's files for what it never says
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring doctor nginx
  mooring doctor nginx ./nginx/sites
  mooring doctor nginx --container edge --fix --probe http://127.0.0.1/health

Exit codes: 0 nothing was found, 1 something was, 2 it cannot be said or done",
    long_about = "Look through nginx's files for what it never says: backends that are looked up once and never again, followed backends that a fixed one defeats, resolvers that never forget, servers that are ignored.\n\nWith --fix, files whose first line begins with the marker are mended: tested by nginx aside, put in place each in one step, loaded, and taken back if anything fails. Every change is on record in the state directory first. Other files are never changed; what to change in them is printed."
)]
pub(super) struct NginxArgs {
    /// Files or directories; of a main file, or a directory that has nginx.conf, everything that it includes
    #[arg(value_name = "PATH", conflicts_with = "container")]
    paths: Vec<PathBuf>,
    /// The container that nginx runs in; it is looked into, and its files are changed where they are mounted from
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
    /// nginx's main file inside the container
    #[arg(long, value_name = "PATH", default_value = MAIN, requires = "container")]
    config: PathBuf,
    /// Mends what may be changed
    #[arg(long)]
    fix: bool,
    /// The command that runs nginx; -t, -c and -s reload are put behind it. Default: nginx with the main file
    #[arg(long, value_name = "COMMAND")]
    nginx: Option<String>,
    /// An http:// address that must be answered no worse after the change than before
    #[arg(long = "probe", value_name = "URL", requires = "fix")]
    probes: Vec<String>,
    /// What the first line of a file begins with that may be changed
    #[arg(long, value_name = "TEXT", default_value = MARKER)]
    marker: String,
    /// The DNS server that is written where there is none
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.11")]
    resolver: String,
    /// How long it is believed
    #[arg(long, value_name = "TIME", default_value = "30s")]
    valid: String,
    /// How to write what was found
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// An nginx and what was found in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    /// Which one.
    nginx: String,
    findings: Vec<Finding>,
    /// The files that were mended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repaired: Vec<Repaired>,
    /// Files that are missing from the picture, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unread: BTreeMap<PathBuf, String>,
    /// Where files of a container are on the host.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    on_host: BTreeMap<PathBuf, PathBuf>,
    looked_at: usize,
}

/// The files of one nginx, and where they are.
struct Seen {
    name: String,
    read: NginxFiles,
    place: Place,
}

enum Place {
    Host,
    /// nginx has them elsewhere than they lie on this host; in this container, if it is known.
    Mounted {
        binds: Vec<Bind>,
        container: Option<(Docker, String)>,
    },
}

pub(super) async fn run(settings: &Settings, args: NginxArgs) -> Result<Exit, Error> {
    let seen = match &args.container {
        Some(container) => of_container(settings, container, &args.config).await?,
        None => of_host(&args.paths)?,
    };
    let resolver = Resolver { address: args.resolver.clone(), valid: args.valid.clone(), ..Resolver::default() };
    let files = seen.files(&args.marker, &resolver);
    let mut found = seen.found(findings::find(files));
    if args.fix {
        let mut plan = repair::plan(files);
        for file in plan.repaired.extract_if(.., |file| seen.on_host(&file.path).is_none()) {
            output::note(&format!(
                "{} is not mended: it is not mounted from a directory of this host",
                printable(&file.path.display().to_string())
            ));
        }
        if !plan.repaired.is_empty() {
            fix(settings, &args, &seen, &plan.repaired).await?;
            let mended = seen.with(&plan.repaired);
            found = Found { repaired: plan.repaired, ..seen.found(findings::find(Files { texts: &mended, ..files })) };
        }
    }
    match args.output {
        Format::Json => output::json(&found)?,
        Format::Text => output::print(&found.text())?,
    }
    Ok(if found.is_good() { Exit::Good } else { Exit::Differs })
}

/// The nginx of this host, and those of all containers whose image is named after it; and which could not be looked into.
pub(super) async fn everywhere(settings: &Settings) -> (Vec<Found>, Vec<Checked>) {
    let mut seen = Vec::new();
    if Path::new(MAIN).exists() {
        seen.push(("this host".to_owned(), of_host(&[])));
    }
    if let Ok(docker) = docker(settings) {
        // That the engine does not answer has been said by then.
        let containers = docker.list().await.unwrap_or_default();
        for container in containers.iter().filter(|container| container.image.contains("nginx")) {
            let name = &container.name;
            seen.push((format!("container {name}"), of_container(settings, name, Path::new(MAIN)).await));
        }
    }
    let resolver = Resolver::default();
    let (mut found, mut blind) = (Vec::new(), Vec::new());
    for (name, seen) in seen {
        match seen {
            Ok(seen) => found.push(seen.found(findings::find(seen.files(MARKER, &resolver)))),
            Err(error) => {
                let message = format!("could not be looked into: {}", crate::error_chain(&error));
                blind.push(Checked { check: format!("nginx on {name}"), verdict: Verdict::Skipped, message });
            }
        }
    }
    (found, blind)
}

fn of_host(paths: &[PathBuf]) -> Result<Seen, Error> {
    let paths: Vec<PathBuf> = match paths {
        [] => vec![PathBuf::from(MAIN)],
        paths => paths.iter().map(|path| super::super::absolute(path)).collect(),
    };
    if let [directory] = &paths[..]
        && let Some(seen) = of_mounted(directory)
    {
        return Ok(seen);
    }
    let mut read = NginxFiles::default();
    let mut others = Vec::new();
    for path in paths {
        let main = if path.is_dir() { path.join("nginx.conf") } else { path.clone() };
        let followed = NginxFiles::follow(&Disk, &main);
        // A main file is one with a block for requests; everything else is a part of one that we are not shown.
        let is_main = followed.main.as_ref().is_some_and(|main| include::has_http(&followed.texts[main]));
        if is_main && read.main.is_none() { read = followed } else { others.push(path) }
    }
    let NginxFiles { texts, unread, .. } = NginxFiles::collect(&Disk, &others);
    read.texts.extend(texts);
    read.unread.extend(unread);
    if read.texts.is_empty() {
        let why = read
            .unread
            .iter()
            .next()
            .map_or("there is no configuration".to_owned(), |(path, why)| format!("{}: {why}", path.display()));
        return Err(Error::Usage { message: why, help: "name nginx's main file, its directory, or a --container".to_owned() });
    }
    Ok(Seen { name: "this host".to_owned(), read, place: Place::Host })
}

/// A directory that is made to be mounted into a container: its main file includes from where it will be there.
fn of_mounted(directory: &Path) -> Option<Seen> {
    let destination = parent(MAIN);
    let alone = NginxFiles::follow(&Disk, &directory.join("nginx.conf"));
    let text = alone.texts.get(alone.main.as_ref()?)?;
    let config = crate::nginx::config::Config::parse(text).ok()?;
    let elsewhere = include::patterns(&config).iter().any(|(_, pattern)| Path::new(pattern).starts_with(destination));
    if !elsewhere || directory == destination {
        return None;
    }
    let read = NginxFiles::follow(&Mounted { source: directory, destination }, Path::new(MAIN));
    let binds = vec![Bind { source: directory.to_owned(), destination: destination.to_owned() }];
    Some(Seen { name: directory.display().to_string(), read, place: Place::Mounted { binds, container: None } })
}

fn docker(settings: &Settings) -> Result<Docker, Error> {
    let connection = Connection::new(&settings.engine, Arc::new(|_| {}));
    let connection = connection
        .map_err(|error| Error::Usage { message: error.to_string(), help: "name it with --engine or DOCKER_HOST".to_owned() })?;
    Ok(Docker::new(connection))
}

async fn of_container(settings: &Settings, container: &str, main: &Path) -> Result<Seen, Error> {
    let docker = docker(settings)?;
    let asked = |error: crate::observe::engine::Error| Error::Operator(crate::error_chain(&error));
    let missing = |message: String| Error::Usage { message, help: "`docker ps -a` lists what there is".to_owned() };
    let binds = docker.binds(container).await.map_err(asked)?;
    let binds = binds.ok_or_else(|| missing(format!("there is no container {container}")))?;
    let directory = main.parent().unwrap_or(Path::new("/"));
    let inside = docker.inside(container, directory).await.map_err(asked)?;
    let mut inside = inside.ok_or_else(|| missing(format!("there is no {} in {container}", directory.display())))?;
    let mut read = NginxFiles::follow(&inside, main);
    // What is included from elsewhere lies in directories of its own.
    for other in read.elsewhere(directory) {
        if let Some(more) = docker.inside(container, &other).await.map_err(asked)? {
            inside.extend(more);
        }
    }
    read = NginxFiles::follow(&inside, main);
    if read.main.is_none() {
        return Err(missing(format!("there is no {} in {container}", main.display())));
    }
    let place = Place::Mounted { binds, container: Some((docker, container.to_owned())) };
    Ok(Seen { name: format!("container {container}"), read, place })
}

impl Seen {
    fn files<'a>(&'a self, marker: &'a str, resolver: &'a Resolver) -> Files<'a> {
        Files { texts: &self.read.texts, main: self.read.main.as_deref(), marker, only: None, resolver }
    }

    fn found(&self, findings: Vec<Finding>) -> Found {
        let on_host = findings.iter().filter_map(|finding| {
            let path = self.on_host(&finding.path).filter(|path| *path != finding.path)?;
            Some((finding.path.clone(), path))
        });
        let on_host = on_host.collect();
        let looked_at = self.read.texts.len();
        Found { nginx: self.name.clone(), findings, repaired: Vec::new(), unread: self.read.unread.clone(), on_host, looked_at }
    }

    /// Where a file can be changed so that nginx sees it.
    fn on_host(&self, path: &Path) -> Option<PathBuf> {
        match &self.place {
            // Links stay links: what they lead to is changed.
            Place::Host => path.canonicalize().ok(),
            Place::Mounted { binds, .. } => {
                let mut path = path.to_owned();
                // Links stay links here as well. They are read as the container reads them; a ring of them is no file.
                for _ in 0..8 {
                    let on_host = mounted_from(binds, &path)?;
                    let Ok(target) = std::fs::read_link(&on_host) else { return Some(on_host) };
                    path = include::absolute(path.parent()?, &target.to_string_lossy());
                }
                None
            }
        }
    }

    /// The texts as they are with these files mended.
    fn with(&self, repaired: &[Repaired]) -> BTreeMap<PathBuf, String> {
        let mut texts = self.read.texts.clone();
        texts.extend(repaired.iter().map(|file| (file.path.clone(), file.text.clone())));
        texts
    }

    /// The whole configuration to be tested beforehand, where nginx would see it.
    fn aside(&self, repaired: &[Repaired]) -> Option<Aside> {
        let main = self.read.main.as_ref()?;
        let seen_as = main.with_file_name(ASIDE);
        let path = match &self.place {
            Place::Host => seen_as.clone(),
            Place::Mounted { .. } => self.on_host(&seen_as)?,
        };
        Some(Aside { path, seen_as, text: Dump::new(main, self.with(repaired)).whole().ok()? })
    }

    fn way(&self, args: &NginxArgs) -> Result<Way, Error> {
        let bad = || Error::Usage { message: "--nginx is not a command".to_owned(), help: "close its quotes".to_owned() };
        let command = args.nginx.as_deref().map(|command| shlex::split(command).ok_or_else(bad)).transpose()?;
        let main =
            self.read.main.as_deref().filter(|main| *main != Path::new(MAIN)).map(|main| main.to_string_lossy().into_owned());
        let usual =
            || ["nginx".to_owned()].into_iter().chain(main.into_iter().flat_map(|main| ["-c".to_owned(), main])).collect();
        match (&self.place, command) {
            (_, Some(command)) => Ok(Way::Host(command)),
            (Place::Host, None) => Ok(Way::Host(usual())),
            (Place::Mounted { container: Some((docker, id)), .. }, None) => {
                Ok(Way::Container(Arc::new(docker.clone()), id.clone(), usual()))
            }
            (Place::Mounted { container: None, .. }, None) => Err(Error::Usage {
                message: format!(
                    "these files are for an nginx that has them in {}; how it is run is not known",
                    parent(MAIN).display()
                ),
                help: "say so, as in --nginx \"docker exec NAME nginx\", or name its --container".to_owned(),
            }),
        }
    }
}

fn parent(path: &str) -> &Path {
    Path::new(path).parent().unwrap_or(Path::new("/"))
}

/// Where a file of a container lies on the host.
fn mounted_from(binds: &[Bind], path: &Path) -> Option<PathBuf> {
    let around = binds.iter().filter(|bind| path.starts_with(&bind.destination));
    let closest = around.max_by_key(|bind| bind.destination.components().count())?;
    // A file that is mounted by itself cannot be replaced: the container would go on seeing the old one.
    let rest = path.strip_prefix(&closest.destination).ok().filter(|rest| !rest.as_os_str().is_empty())?;
    Some(closest.source.join(rest))
}

/// Tests, swaps, reloads, proves; on record.
async fn fix(settings: &Settings, args: &NginxArgs, seen: &Seen, repaired: &[Repaired]) -> Result<(), Error> {
    let swaps = repaired.iter().filter_map(|file| {
        let changes = file.changes.iter().map(ToString::to_string).collect();
        let old = seen.read.texts.get(&file.path)?.clone();
        Some(Swap { path: seen.on_host(&file.path)?, old, new: file.text.clone(), changes })
    });
    let swaps: Vec<Swap> = swaps.collect();
    let way = seen.way(args)?;
    let bad = |message| Error::Usage { message, help: "name it as in --probe http://127.0.0.1/health".to_owned() };
    let probes = args.probes.iter().map(|address| reload::probe(address).map_err(bad)).collect::<Result<Vec<_>, _>>()?;
    let recorded = Record::join(&settings.state, record::Settings::default()).await;
    let record = recorded.map_err(|error| Error::InTheWay {
        message: format!("nothing was changed, because it could not be recorded: {}", crate::error_chain(&error)),
        help: "name a directory that can be written with --state DIR".to_owned(),
    })?;
    let object = Key::new(Kind::Proxy, args.container.as_deref().unwrap_or("host"));
    let actor = Actor::Cli(user());
    let to = Recorded { journal: &record.journal, actor: &actor, object: &object };
    let nginx = Asked::new(way, &probes).await;
    let aside = seen.aside(repaired);
    let done =
        output::patiently("nginx tests and reloads", crate::execute::repair::swap(to, &nginx, aside.as_ref(), &swaps)).await;
    record.shutdown().await;
    done?;
    if args.probes.is_empty() {
        output::note("nginx took the mended files; name an address with --probe to have that proven by a request");
    }
    Ok(())
}

impl Found {
    fn is_good(&self) -> bool {
        self.findings.is_empty() && self.unread.is_empty()
    }

    /// In one line.
    pub(super) fn checked(&self) -> Checked {
        let verdict = if self.is_good() { Verdict::Good } else { Verdict::Wrong };
        Checked { check: format!("nginx on {}", self.nginx), verdict, message: self.summary() }
    }

    fn summary(&self) -> String {
        let files = plural(self.looked_at, "file");
        let repairable = self.findings.iter().filter(|finding| finding.repairable).count();
        let rest = if repairable == 0 { String::new() } else { format!("; --fix mends {repairable} of them") };
        match self.findings.len() {
            0 => format!("nothing found in {files}"),
            number => format!("{} in {files}{rest}", plural(number, "finding")),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        for file in &self.repaired {
            lines.push(format!("{GOOD}repaired{GOOD:#} {}", printable(&file.path.display().to_string())));
            lines.extend(file.changes.iter().flat_map(|change| change.to_string().lines().map(indented).collect::<Vec<_>>()));
            lines.extend(file.caveats.iter().map(|caveat| format!("  {}", printable(caveat))));
        }
        for (path, why) in &self.unread {
            lines.push(format!("{BAD}unread{BAD:#} {}: {}", printable(&path.display().to_string()), printable(why)));
        }
        for finding in &self.findings {
            let Finding { path, line, code, message, changes, repairable: _ } = finding;
            let on_host =
                self.on_host.get(path).map(|path| format!(" {FAINT}({}){FAINT:#}", printable(&path.display().to_string())));
            let on_host = on_host.unwrap_or_default();
            lines
                .push(format!("{STRONG}{}:{line}{STRONG:#} {BAD}{code}{BAD:#}{on_host}", printable(&path.display().to_string())));
            lines.push(format!("  {}", printable(message)));
            lines.extend(changes.iter().flat_map(|change| change.to_string().lines().map(indented).collect::<Vec<_>>()));
        }
        lines.push(self.summary());
        output::lines(lines)
    }
}

fn indented(line: &str) -> String {
    format!("    {}", printable(line))
}

fn plural(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
