//! Random bytes that follow from a seed, for all that asks the system for some.
//!
//! Hash maps, the scheduler of passes that iterates over them, new secrets and
//! ids all get their chance from `getrandom(2)`, which the C library offers as a
//! function. A program that has a function of that name itself is linked with its
//! own, and so is everything in it. It is the only unsafe code there is, and it
//! is in no program but the simulation.

use std::{cell::Cell, fs::File, io::Read as _};

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From here on, what this thread gets follows from the seed.
pub fn sow(seed: u64) {
    STATE.set(Some(seed));
}

/// The next number of a sequence that looks random (SplitMix64).
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Takes the place of the C library's function.
///
/// # Safety
///
/// As there: `buffer` is valid for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    let Ok(filled) = isize::try_from(length) else { return -1 };
    if length == 0 {
        return 0;
    }
    // SAFETY: the caller says so.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    // A thread that ends has no state any more, and wants no more than any bytes.
    match STATE.try_with(Cell::get).ok().flatten() {
        Some(mut state) => {
            for bytes in buffer.chunks_mut(8) {
                bytes.copy_from_slice(&next(&mut state).to_le_bytes()[..bytes.len()]);
            }
            STATE.set(Some(state));
            filled
        }
        None => match File::open("/dev/urandom").and_then(|mut system| system.read_exact(buffer)) {
            Ok(()) => filled,
            Err(_) => -1,
        },
    }
}

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn kill(process: i32, signal: i32) -> i32;
    fn _exit(status: i32) -> !;
    fn sched_setscheduler(thread: i32, policy: i32, parameters: *const i32) -> i32;
}

/// From here on, this thread interrupts no other when it has something to do: on the same processor it waits until
/// that one has nothing to do.
pub fn be_patient() {
    const BATCH: i32 = 3;
    // SAFETY: the parameters are one number, which is read. Where it is refused, all is as before.
    unsafe { sched_setscheduler(0, BATCH, &raw const PRIORITY) };
}

static PRIORITY: i32 = 0;

/// A process that is a copy of this one.
#[derive(Debug)]
pub struct Child(i32);

/// Does something in a process of its own, which begins as a copy of this one: with the same memory it goes on in the same
/// way, whatever else this process does before or after.
///
/// None when there is no room for another process. Only the thread that calls this goes on in the copy, so the others had
/// better hold nothing that it needs.
pub fn in_a_child(work: impl FnOnce()) -> Option<Child> {
    // SAFETY: the C library sees to its own locks, and those of others are the caller's business, see above.
    match unsafe { fork() } {
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // SAFETY: it ends this process, and nothing of the parent's is cleaned up twice.
            unsafe { _exit(i32::from(done.is_err())) }
        }
        process if process > 0 => Some(Child(process)),
        _ => None,
    }
}

impl Child {
    /// Whether it has ended, and then whether well.
    pub fn has_ended(&self) -> Option<bool> {
        const AT_ONCE: i32 = 1;
        let mut status = 0;
        // SAFETY: the status is ours, and the process is our child.
        let ended = unsafe { waitpid(self.0, &raw mut status, AT_ONCE) };
        (ended == self.0).then_some(status == 0)
    }

    /// Ends it.
    pub fn kill(&self) {
        // SAFETY: a child that nobody has waited for keeps its number.
        unsafe { kill(self.0, 9) };
    }
}
