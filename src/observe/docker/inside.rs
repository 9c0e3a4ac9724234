//! What lies inside a container, read through the engine: whether it runs does not matter.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bollard::query_parameters::{DownloadFromContainerOptions, InspectContainerOptions};
use futures::TryStreamExt;

use super::{
    Docker,
    failure::{Failure, found, in_path},
};
use crate::observe::{
    engine::Error,
    nginx_files::{self, Tree},
};

/// More than any configuration; a directory that holds more is not looked at to its end.
const MAX_ARCHIVE: usize = 32 * 1024 * 1024;

/// The unit of the archive's format.
const BLOCK: usize = 512;

/// A directory or file of the host that is mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where it is on the host.
    pub source: PathBuf,
    /// Where it is in the container.
    pub destination: PathBuf,
}

/// The files below a directory of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    files: BTreeMap<PathBuf, Vec<u8>>,
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Docker {
    /// What of the host is mounted into a container; none if there is no such container.
    pub async fn binds(&self, container: &str) -> Result<Option<Vec<Bind>>, Error> {
        const CALL: &str = "inspect-container";
        let id = in_path(CALL, container)?;
        let question = async |client: bollard::Docker| client.inspect_container(id, None::<InspectContainerOptions>).await;
        let Some(inspected) = found(self.connection.ask(CALL, question).await)? else { return Ok(None) };
        // A volume's files are on the host as well, but they are the engine's, not to be changed behind its back.
        let binds = inspected
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter(|mount| mount.typ.as_ref().is_some_and(|kind| kind == "bind"));
        let binds = binds.filter_map(|mount| Some(Bind { source: mount.source?.into(), destination: mount.destination?.into() }));
        Ok(Some(binds.collect()))
    }

    /// The files below a directory of a container; none if there is no such directory.
    pub async fn inside(&self, container: &str, directory: &Path) -> Result<Option<Inside>, Error> {
        const CALL: &str = "archive-container";
        let id = in_path(CALL, container)?;
        let options = DownloadFromContainerOptions { path: directory.to_string_lossy().into_owned() };
        let question = async |client: bollard::Docker| {
            let mut archive = Vec::new();
            let mut chunks = client.download_from_container(id, Some(options));
            while let Some(chunk) = chunks.try_next().await? {
                archive.extend_from_slice(&chunk);
                if archive.len() > MAX_ARCHIVE {
                    break;
                }
            }
            Ok(archive)
        };
        let Some(archive) = found(self.connection.ask(CALL, question).await)? else { return Ok(None) };
        // The names in the archive begin with the directory's own.
        let parent = directory.parent().unwrap_or(Path::new("/"));
        // The engine ends its answer in good order also where it has failed in the middle of it.
        Ok(Some(Inside::unpack(&archive, parent).ok_or_else(|| Failure::not_whole(CALL))?))
    }
}

impl Inside {
    /// Reads an archive as the engine makes it: `ustar`, with long names in `PAX` records. Nothing if it has no end: what would come
    /// behind that is not gone. One that is too long is taken for what there is of it.
    fn unpack(archive: &[u8], parent: &Path) -> Option<Self> {
        let mut inside = Self::default();
        let mut has_ended = archive.len() > MAX_ARCHIVE;
        let mut rest = archive;
        let mut long = Long::default();
        while let Some((header, behind)) = rest.split_at_checked(BLOCK) {
            let Some(size) = octal(&header[124..136]) else {
                has_ended |= header.iter().all(|byte| *byte == 0);
                break;
            };
            let Some(content) = behind.get(..size) else { break };
            rest = behind.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
            let path = parent.join(long.path.take().unwrap_or_else(|| name(header)));
            match header[156] {
                b'x' => long = Long::read(content),
                b'0' | 0 if path != parent => drop(inside.files.insert(path, content.to_vec())),
                // Another name of a file that was in the archive before: its content comes once.
                b'1' => {
                    let target = long.link.take().unwrap_or_else(|| field(&header[157..257]));
                    inside.links.insert(path, parent.join(target));
                }
                b'2' => {
                    let target = long.link.take().unwrap_or_else(|| field(&header[157..257]));
                    let target = path.parent().unwrap_or(parent).join(target);
                    inside.links.insert(path, crate::nginx::include::absolute(Path::new("/"), &target.to_string_lossy()));
                }
                _ => {}
            }
        }
        has_ended.then_some(inside)
    }

    /// Adds the files of another directory.
    pub fn extend(&mut self, other: Self) {
        self.files.extend(other.files);
        self.links.extend(other.links);
    }

    /// Where a path leads, through links of files and of the directory that they are in.
    fn target(&self, path: &Path) -> PathBuf {
        let mut path = path.to_owned();
        // A ring of links ends here, and is no file.
        for _ in 0..8 {
            let link = path.ancestors().find_map(|part| Some((part.to_owned(), self.links.get(part)?)));
            let Some((part, target)) = link else { break };
            path = path.strip_prefix(&part).map_or_else(|_| target.clone(), |rest| target.join(rest));
        }
        path
    }
}

impl Tree for Inside {
    fn read(&self, path: &Path) -> Option<Result<String, String>> {
        let bytes = self.files.get(&self.target(path))?;
        Some(nginx_files::text(bytes.clone()))
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let directory = self.target(directory);
        let paths = self.files.keys().chain(self.links.keys());
        let inside = paths.filter_map(|path| path.strip_prefix(&directory).ok()?.iter().next());
        let mut names: Vec<String> = inside.map(|name| name.to_string_lossy().into_owned()).collect();
        names.dedup();
        names
    }
}

/// Names that do not fit into a header.
#[derive(Default)]
struct Long {
    path: Option<String>,
    link: Option<String>,
}

impl Long {
    fn read(records: &[u8]) -> Self {
        let records = String::from_utf8_lossy(records);
        // `25 path=a/long/name`, a record a line.
        let value = |key: &str| {
            let lines = records.lines().filter_map(|line| line.split_once(' ')?.1.split_once('='));
            lines.filter(|(name, _)| *name == key).map(|(_, value)| value.to_owned()).next_back()
        };
        Self { path: value("path"), link: value("linkpath") }
    }
}

fn name(header: &[u8]) -> String {
    let (prefix, name) = (field(&header[345..500]), field(&header[..100]));
    if prefix.is_empty() || &header[257..262] != b"ustar" { name } else { format!("{prefix}/{name}") }
}

fn field(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn octal(bytes: &[u8]) -> Option<usize> {
    let digits = field(bytes);
    let digits = digits.trim();
    // A block of zeros is the end.
    if digits.is_empty() { None } else { usize::from_str_radix(digits, 8).ok() }
}
