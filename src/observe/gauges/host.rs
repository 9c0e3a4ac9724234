//! The host's own numbers, from `/proc` and its file systems.
//!
//! Inside a container `/proc` shows the processors, the memory and the load of
//! the host all the same, and the network of the container. Where the host's own
//! `/proc` is mounted at `/host/proc`, that is read instead.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use nix::sys::statvfs::statvfs;

/// Where the host's own `/proc` is looked for.
const MOUNTED: &str = "/host/proc";
/// More file systems are not shown.
const DISKS: usize = 8;

/// What was read in one look. What could not be read is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// The time that processors have worked, and all time, both in ticks.
    pub processors: Option<(u64, u64)>,
    /// How many processors there are.
    pub count: usize,
    /// Memory in use and all memory, in bytes.
    pub memory: Option<(u64, u64)>,
    /// Load of the last one, five and fifteen minutes.
    pub load: Option<[f32; 3]>,
    /// Bytes received and sent since the start.
    pub network: Option<(u64, u64)>,
    /// The file systems.
    pub disks: Vec<Disk>,
    /// What it shows that is not the whole host.
    pub limits: Option<String>,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The directories that are on it, as they were asked about.
    pub paths: Vec<PathBuf>,
    /// Bytes in use.
    pub used: u64,
    /// Bytes that could be in use.
    pub total: u64,
}

/// Looks. Blocks for as long as a disk does.
#[must_use]
pub fn look(paths: &[PathBuf]) -> Look {
    let mounted = Path::new(MOUNTED);
    let has_mounted = mounted.join("stat").exists();
    let proc = if has_mounted { mounted } else { Path::new("/proc") };
    let read = |name: &str| fs::read_to_string(proc.join(name)).ok();
    let is_inside = Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists();
    let limits = (is_inside && !has_mounted).then(|| {
        format!(
            "Mooring runs in a container: processors, memory and load are the host's, the network is the container's own; \
             mount the host's /proc at {MOUNTED} to see the host's"
        )
    });
    let stat = read("stat").unwrap_or_default();
    // `/proc/net` is that of whoever reads it; the first process is on the host's.
    let network = if has_mounted { read("1/net/dev") } else { read("net/dev") };
    Look {
        processors: processors(&stat),
        count: stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count(),
        memory: read("meminfo").and_then(|text| memory(&text)),
        load: read("loadavg").and_then(|text| load(&text)),
        network: network.and_then(|text| traffic(&text)),
        disks: disks(paths),
        limits,
    }
}

/// The first line of `/proc/stat`: waiting for a disk is not work.
fn processors(text: &str) -> Option<(u64, u64)> {
    let fields: Vec<u64> = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|n| n.parse().ok()).collect();
    // Guests are counted in the first two already.
    let all: u64 = fields.iter().take(8).sum();
    let idle = fields.get(3)? + fields.get(4).unwrap_or(&0);
    Some((all.saturating_sub(idle), all))
}

/// In use is what is not available: caches are given back when they are needed.
fn memory(text: &str) -> Option<(u64, u64)> {
    let (available, total) = crate::observe::host::memory(text)?;
    Some((total.saturating_sub(available), total))
}

fn load(text: &str) -> Option<[f32; 3]> {
    let mut fields = text.split_whitespace().map_while(|field| field.parse().ok());
    Some([fields.next()?, fields.next()?, fields.next()?])
}

/// Bytes received and sent by what leads to the outside: bridges and the ends of containers' cables would count twice.
fn traffic(text: &str) -> Option<(u64, u64)> {
    let line = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        let mut counters = counters.split_whitespace().map_while(|n| n.parse::<u64>().ok());
        Some((name.trim().to_owned(), counters.next()?, counters.nth(7)?))
    };
    let all: Vec<(String, u64, u64)> = text.lines().filter_map(line).collect();
    let is_inner =
        |name: &str| ["lo", "veth", "br-", "docker", "virbr", "cni", "flannel", "cali"].iter().any(|p| name.starts_with(p));
    let outer = all.iter().filter(|(name, ..)| !is_inner(name));
    let sum = outer.fold(None, |sum: Option<(u64, u64)>, (_, received, sent)| {
        let (r, s) = sum.unwrap_or_default();
        Some((r + received, s + sent))
    });
    sum.or_else(|| all.first().map(|_| (0, 0)))
}

/// Each file system once.
fn disks(paths: &[PathBuf]) -> Vec<Disk> {
    let mut disks: Vec<(u64, Disk)> = Vec::new();
    for path in paths {
        let (Ok(metadata), Ok(stat)) = (fs::metadata(path), statvfs(path)) else { continue };
        if let Some((_, disk)) = disks.iter_mut().find(|(device, _)| *device == metadata.dev()) {
            disk.paths.push(path.clone());
            continue;
        }
        let unit = stat.fragment_size();
        let used = stat.blocks().saturating_sub(stat.blocks_free()) * unit;
        // What is kept for root is nobody's to use.
        let total = used + stat.blocks_available() * unit;
        disks.push((metadata.dev(), Disk { paths: vec![path.clone()], used, total }));
    }
    disks.into_iter().map(|(_, disk)| disk).take(DISKS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_that_wait_for_a_disk_do_not_work() {
        let text = "cpu  100 5 50 800 40 0 5 0 30 0\ncpu0 50 2 25 400 20 0 2 0 15 0\n";
        assert_eq!(processors(text), Some((160, 1000)));
        assert_eq!(processors("nothing of the kind"), None);
    }

    #[test]
    fn memory_that_is_available_is_not_in_use() {
        assert_eq!(memory("MemTotal: 8000 kB\nMemFree: 1 kB\nMemAvailable: 6000 kB\n"), Some((2000 << 10, 8000 << 10)));
        assert_eq!(memory("MemTotal: 8000 kB\n"), None);
    }

    #[test]
    fn load_is_three_numbers() {
        assert_eq!(load("0.52 1.04 2.50 2/345 6789\n"), Some([0.52, 1.04, 2.5]));
        assert_eq!(load("0.52"), None);
    }

    #[test]
    fn only_what_leads_to_the_outside_is_traffic() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets\n\
                    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n\
                    wlan0:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\nveth12: 80 1 0 0 0 0 0 0 80 1 0 0 0 0 0 0\n\
                    br-1f: 80 1 0 0 0 0 0 0 80 1 0 0 0 0 0 0\n";
        assert_eq!(traffic(text), Some((105, 27)));
        assert_eq!(traffic("lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n"), Some((0, 0)), "there is none, and that is known");
        assert_eq!(traffic(""), None);
    }

    #[test]
    fn a_file_system_counts_once_however_many_directories_are_on_it() {
        let here = tempfile::tempdir().unwrap();
        let (a, b) = (here.path().join("a"), here.path().join("b"));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        let seen = disks(&[a.clone(), b.clone(), here.path().join("nowhere")]);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].paths, [a, b]);
        assert!(seen[0].used <= seen[0].total && seen[0].total > 0, "{seen:?}");
    }

    #[test]
    fn this_host_can_be_looked_at() {
        let look = look(&[PathBuf::from("/")]);
        assert!(look.processors.is_some() && look.count > 0 && look.memory.is_some() && look.load.is_some(), "{look:?}");
    }
}
