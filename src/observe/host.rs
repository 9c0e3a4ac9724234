//! The host itself: its disks, its memory, its way to the network.
//!
//! From inside a container this is what the container sees: the disk of the
//! state directory, which is one of the host's, and the memory of the host.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::sys::statvfs::statvfs;

use crate::{clock::Clock, plan::guard::Sign};

/// A host with less than this share of its memory, in percent, has none left.
const MEMORY_PERCENT: u64 = 2;

/// So many processes for each processor, and whoever has to answer in time cannot.
const CROWD: f64 = 4.0;

/// So many times as many failures as usual have to be late answers, until they count on a host without time to give.
pub const LATE: u32 = 10;

/// How the host is short of processor time, if it is. Whoever holds the clock has a world of his own: how busy the real host is, is
/// none of its business.
#[must_use]
pub fn overload(clock: &Clock) -> Option<String> {
    if clock.is_anchored() {
        return None;
    }
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    overloaded(&read("/proc/loadavg"), &read("/proc/stat"))
}

/// What `/proc/loadavg` and `/proc/stat` say: both are of the whole host, whatever a container may use of it.
fn overloaded(load: &str, stat: &str) -> Option<String> {
    let load: f64 = load.split(' ').next()?.parse().ok()?;
    let is_processor = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let processors = u32::try_from(stat.lines().filter(is_processor).count()).ok().filter(|processors| *processors > 0)?;
    (load >= CROWD * f64::from(processors))
        .then(|| format!("the host is overloaded: {load:.0} processes want to run on {processors} processors"))
}

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// What is wrong.
    pub signs: Vec<Sign>,
    /// Whether there is a way to the outside.
    pub has_network: bool,
}

/// Looks. A disk with less than `disk_free` bytes is full. Blocks for as long as a disk does.
#[must_use]
pub fn look(paths: &[PathBuf], disk_free: u64) -> Seen {
    let full = paths.iter().find_map(|path| full(path, disk_free));
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| out_of_memory(&text));
    let has_network = fs::read_to_string("/proc/net/route").is_ok_and(|text| has_way_out(&text));
    Seen { signs: full.into_iter().chain(memory).collect(), has_network }
}

fn full(path: &Path, disk_free: u64) -> Option<Sign> {
    let stat = statvfs(path).ok()?;
    let free = stat.blocks_available() * stat.fragment_size();
    (free < disk_free).then(|| Sign::DiskFull { path: path.display().to_string(), free, advice: Vec::new() })
}

/// What `/proc/meminfo` says: bytes that are available, and all of them.
pub(super) fn memory(text: &str) -> Option<(u64, u64)> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
    };
    Some((bytes("MemAvailable")?, bytes("MemTotal")?))
}

fn out_of_memory(text: &str) -> Option<Sign> {
    let (available, total) = memory(text)?;
    (available * 100 < total * MEMORY_PERCENT).then_some(Sign::OutOfMemory { available })
}

/// Whether `/proc/net/route` has a default route: one whose destination and mask are zero.
fn has_way_out(text: &str) -> bool {
    text.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace();
        fields.nth(1) == Some("00000000") && fields.nth(5) == Some("00000000")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_out_when_next_to_nothing_of_it_is_left() {
        let text = |available| format!("MemTotal:       16384000 kB\nMemFree: 1 kB\nMemAvailable:    {available} kB\n");
        assert_eq!(out_of_memory(&text(400_000)), None);
        assert_eq!(out_of_memory(&text(300_000)), Some(Sign::OutOfMemory { available: 307_200_000 }));
        assert_eq!(out_of_memory("nothing of the kind"), None);
    }

    #[test]
    fn a_host_is_overloaded_when_four_processes_wait_for_each_processor() {
        let stat = "cpu  9 9 9\ncpu0 1 2 3\ncpu1 1 2 3\nintr 1\n";
        assert_eq!(overloaded("7.99 1.00 1.00 1/200 3", stat), None);
        let told = "the host is overloaded: 38 processes want to run on 2 processors";
        assert_eq!(overloaded("38.20 9.00 3.00 40/200 3", stat).as_deref(), Some(told));
        assert_eq!(overloaded("38.20 9.00 3.00 40/200 3", ""), None);
        assert_eq!(overloaded("", stat), None);
    }

    #[test]
    fn a_way_out_is_a_default_route() {
        const HEAD: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let route =
            |destination: &str, mask: &str| format!("{HEAD}eth0\t{destination}\t010011AC\t0003\t0\t0\t0\t{mask}\t0\t0\t0\n");
        assert!(has_way_out(&route("00000000", "00000000")));
        assert!(!has_way_out(&route("0011AC00", "00FFFFFF")));
        assert!(!has_way_out(HEAD));
    }

    #[test]
    fn a_disk_is_full_when_less_is_left_than_was_said() {
        let here = tempfile::tempdir().unwrap();
        assert!(!look(&[here.path().to_owned()], 0).signs.iter().any(|sign| matches!(sign, Sign::DiskFull { .. })));
        let seen = look(&[here.path().to_owned()], u64::MAX);
        assert!(seen.signs.iter().any(|sign| matches!(sign, Sign::DiskFull { .. })), "{seen:?}");
    }
}
