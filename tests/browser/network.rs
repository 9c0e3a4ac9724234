//! A network of the browser's own, which nothing changes but we.
//!
//! Each network that the engine makes gives the machine an address more, and Chromium then gives up what it is loading
//! (`ERR_NETWORK_CHANGED`): now and then a page came without its picture, and a test failed for what another one did.

use std::{
    fs::File,
    io,
    net::{Shutdown, TcpListener, TcpStream},
    process::Command,
    thread,
};

use nix::sched::{CloneFlags, setns};

/// A command in a network namespace of its own: its loopback, and an address that leads nowhere (RFC 5737), without which
/// Chromium calls itself offline.
pub fn apart(program: &str) -> Command {
    let script = "ip link set lo up && ip link add away type veth peer name nowhere && ip link set nowhere up \
        && ip address add 192.0.2.1/24 dev away && ip link set away up && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-ec", script, "sh", program]);
    command
}

/// What is done there on sockets: they stay in the network in which they were made.
///
/// # Errors
///
/// The error of what is done, and where there is no such process.
pub fn within<T: Send>(process: u32, what: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let enter = || setns(File::open(format!("/proc/{process}/ns/net"))?, CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
    // The thread that enters does not come back.
    thread::scope(|scope| scope.spawn(|| enter().and_then(|()| what())).join().unwrap())
}

/// From here on, this port of loopback is there what it is here.
///
/// # Errors
///
/// Where it cannot be had.
pub fn lead_out(process: u32, port: u16) -> io::Result<()> {
    let listener = within(process, || TcpListener::bind(("127.0.0.1", port)))?;
    thread::spawn(move || {
        for inside in listener.incoming().flatten() {
            // Whoever does not listen out here is not reached from there.
            let Ok(outside) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let (Ok(back), Ok(forth)) = (outside.try_clone(), inside.try_clone()) else { continue };
            thread::spawn(move || pass(&inside, &outside));
            thread::spawn(move || pass(&back, &forth));
        }
    });
    Ok(())
}

/// All that one says, to the other. Both may end at any time.
fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
