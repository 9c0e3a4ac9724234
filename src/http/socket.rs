//! The control socket: who may open it may tell Mooring what to do.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

/// A socket in the state directory that only its owner can open.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    file: SocketFile,
}

impl ControlSocket {
    /// Listens at `path`, in place of whatever socket a Mooring before us has left there.
    ///
    /// The directory has to be ours alone (0700) and its lock has to be held: then nobody can open the socket before
    /// its mode is right, and nobody alive listens on the one that is replaced.
    pub fn bind(path: &Path) -> io::Result<Self> {
        Self::bind_for(path, 0o600)
    }

    /// The same for those whom `mode` lets in, once the socket has it; before, nobody but us.
    pub fn bind_for(path: &Path, mode: u32) -> io::Result<Self> {
        // A socket gets its mode after it has been bound, so it is made under another name first. A rename puts it in
        // its place at once: there is no moment without a socket, nor one with an open one.
        let temporary = path.with_extension("new");
        remove_if_there(&temporary)?;
        let listener = UnixListener::bind(&temporary)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))?;
        let inode = fs::symlink_metadata(&temporary)?.ino();
        fs::rename(&temporary, path)?;
        Ok(Self { listener, file: SocketFile { path: path.to_owned(), inode } })
    }

    pub(crate) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The socket's file, removed with this value unless another one has taken its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            // One that stays behind is replaced by the next Mooring.
            let _ = fs::remove_file(&self.path);
        }
    }
}
