//! Disks that fail: real ones, small, and of this run alone.
//!
//! The state directory and the desired state get a file system in memory each,
//! in a mount namespace that only this process has. To fill a disk, its size is
//! set to what is used of it, so it costs nothing and is over at once. What
//! is given up on it in the meantime is room again, until somebody else takes that as well.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::statvfs::statvfs,
};

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// That of the state directory is full; what Mooring itself gives up on it is free.
    StateFull,
    /// It is full, and whatever becomes free on it is taken by somebody else at the next second.
    StateDrained,
    /// The state directory cannot be written: what is open stays open, nothing else is opened, made or removed.
    StateSealed,
    /// The disk of the desired state is full.
    DesiredFull,
    /// It can only be read.
    DesiredSealed,
}

/// As large as it has to be for Mooring to keep room on it. It takes no memory until it is used.
const STATE: u64 = 64 << 20;
const DESIRED: u64 = 4 << 20;

/// The disks of a run.
pub struct Disks {
    desired: PathBuf,
    state: PathBuf,
    troubles: BTreeSet<Trouble>,
    is_sealed: bool,
}

/// Whether disks can be had here. Where they cannot, nothing goes wrong with any.
pub fn are_possible() -> bool {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    *POSSIBLE.get_or_init(|| {
        let tried = chance::in_a_child(|| {
            own_mounts();
            mount_memory(Path::new("/tmp"), DESIRED);
        });
        let Some(child) = tried else { return false };
        loop {
            match child.has_ended() {
                Some(done) => return done,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    })
}

/// From here on, what this process mounts is seen by nobody else.
pub fn own_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
}

fn mount_memory(path: &Path, size: u64) {
    let options = format!("size={size},mode=0755");
    mount(Some("simulated"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
}

fn set(path: &Path, size: u64, flags: MsFlags) {
    mount(None::<&str>, path, None::<&str>, MsFlags::MS_REMOUNT | flags, Some(format!("size={size}").as_str())).unwrap();
}

/// Leaves no room.
fn fill(path: &Path, flags: MsFlags) {
    let disk = statvfs(path).unwrap();
    set(path, (disk.blocks() - disk.blocks_free()) * disk.fragment_size(), flags);
}

impl Disks {
    /// Two disks, both well: one for this directory, and one for the state directory in it.
    pub fn mounted(directory: &Path) -> Self {
        let state = directory.join("state");
        mount_memory(directory, DESIRED);
        fs::create_dir(&state).unwrap();
        mount_memory(&state, STATE);
        Self { desired: directory.to_owned(), state, troubles: BTreeSet::new(), is_sealed: false }
    }

    /// It begins.
    pub fn begin(&mut self, trouble: Trouble) {
        self.troubles.insert(trouble);
        match trouble {
            Trouble::StateFull | Trouble::StateDrained => self.unsealed(|state| fill(state, MsFlags::empty())),
            Trouble::StateSealed => self.unsealed(|_| ()),
            Trouble::DesiredFull | Trouble::DesiredSealed => self.lay_back(),
        }
    }

    /// It ends.
    pub fn end(&mut self, trouble: Trouble) {
        self.troubles.remove(&trouble);
        let is_full = self.is(Trouble::StateFull) || self.is(Trouble::StateDrained);
        self.unsealed(|state| {
            if !is_full {
                set(state, STATE, MsFlags::empty());
            }
        });
        self.lay_back();
    }

    /// All are well.
    pub fn be_well(&mut self) {
        while let Some(trouble) = self.troubles.first().copied() {
            self.end(trouble);
        }
    }

    /// A second goes by, and somebody else takes what has become free.
    pub fn go_on(&mut self) {
        if self.is(Trouble::StateDrained) {
            self.unsealed(|state| fill(state, MsFlags::empty()));
        }
        if self.is(Trouble::DesiredFull) {
            self.lay_back();
        }
    }

    /// People change files, and see to it that they can.
    pub fn lift(&self) {
        if self.is(Trouble::DesiredFull) || self.is(Trouble::DesiredSealed) {
            set(&self.desired, DESIRED, MsFlags::empty());
        }
    }

    /// They have.
    pub fn lay_back(&self) {
        let flags = if self.is(Trouble::DesiredSealed) { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        if self.is(Trouble::DesiredFull) {
            fill(&self.desired, flags);
        } else {
            set(&self.desired, DESIRED, flags);
        }
    }

    /// Whether Mooring may be unable to begin.
    pub fn may_refuse(&self) -> bool {
        self.troubles.iter().any(|trouble| *trouble < Trouble::DesiredFull)
    }

    fn is(&self, trouble: Trouble) -> bool {
        self.troubles.contains(&trouble)
    }

    /// Does something to the disk of the state directory, below the seal on it, and seals it if it is to be.
    fn unsealed(&mut self, change: impl FnOnce(&Path)) {
        let (none, state) = (None::<&str>, &self.state);
        if self.is_sealed {
            umount2(state, MntFlags::MNT_DETACH).unwrap();
        }
        change(state);
        self.is_sealed = self.is(Trouble::StateSealed);
        if self.is_sealed {
            mount(Some(state), state, none, MsFlags::MS_BIND, none).unwrap();
            mount(none, state, none, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY, none).unwrap();
        }
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        self.be_well();
        for path in [&self.state, &self.desired] {
            // What is still open goes with the process.
            let _ = umount2(path, MntFlags::MNT_DETACH);
        }
    }
}
