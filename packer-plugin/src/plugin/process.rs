//! The life of a plugin process: cookie, socket, handshake, one connection, end.
//!
//! Source: packer-plugin-sdk 0.6.10 (`plugin/server.go`) and observation of Packer 1.6.6 and 1.16.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::invocation::is_single_component;
use super::{DEFAULT_COMPONENT, Ended, Provisioner, panic_guard, serve_connection, stderr_log};
use crate::sys;
use crate::wire::spec::Encoding;

const COOKIE_NAME: &str = "PACKER_PLUGIN_MAGIC_COOKIE";
const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
/// Set to `3` for the handshake of Packer 1.6 and older under any file name.
pub const HANDSHAKE_VARIABLE: &str = "DISINHERIT_HANDSHAKE_FIELDS";
/// Packer waits one minute for the handshake; it connects at once or never.
const CONNECT_LIMIT: Duration = Duration::from_secs(120);
/// Longest `sun_path`, without the NUL.
const MAX_SOCKET_PATH: usize = 107;

/// Why the plugin could not serve.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(
        "this is a Packer plugin: Packer starts it, not a person. \
         For work without Packer see the commands audit and scrub (--help)"
    )]
    NoCookie,
    #[error("Packer asked for the provisioner {0:?}, which this plugin does not have")]
    UnknownComponent(String),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("Packer did not connect within {} s", CONNECT_LIMIT.as_secs())]
    NotConnected,
    #[error("{0}")]
    Broken(String),
}

/// Serves one run of Packer: what `start provisioner NAME` does. Ends when Packer leaves.
///
/// The exit code is 0 at the end of the connection, 1 when it broke or never came to be; the
/// reason is then on stderr.
#[must_use]
pub fn serve(name: &str, protobuf: bool, provisioner: Arc<dyn Provisioner>) -> ExitCode {
    stderr_log::install();
    panic_guard::install();
    match try_serve(name, protobuf, provisioner) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            log::error!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn try_serve(name: &str, protobuf: bool, provisioner: Arc<dyn Provisioner>) -> Result<(), Fault> {
    if std::env::var_os(COOKIE_NAME).as_deref() != Some(OsStr::new(COOKIE)) {
        return Err(Fault::NoCookie);
    }
    if name != DEFAULT_COMPONENT {
        return Err(Fault::UnknownComponent(name.to_owned()));
    }
    let socket = Socket::bind()?;
    socket.announce()?;
    let connection = socket.accept()?;
    sys::ignore_interrupts();
    let encoding = if protobuf { Encoding::Protobuf } else { Encoding::Gob };
    match serve_connection(connection, encoding, provisioner) {
        Ended::Clean => Ok(()),
        Ended::Broken(text) => Err(Fault::Broken(text)),
    }
}

/// A listening socket in a folder that only we can enter; both vanish with it.
struct Socket {
    listener: UnixListener,
    folder: PathBuf,
    path: PathBuf,
}

impl Socket {
    fn bind() -> Result<Self, Fault> {
        let what = "make the folder of the plugin's socket (is TMPDIR writable?)";
        let name = format!("packer-plugin-disinherit-{:016x}", rand::random::<u64>());
        let mut folder = std::env::temp_dir().join(&name);
        if folder.as_os_str().len() + "/s".len() > MAX_SOCKET_PATH {
            folder = Path::new("/tmp").join(&name);
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|source| Fault::Io { what, source })?;
        let path = folder.join("s");
        match UnixListener::bind(&path) {
            Ok(listener) => Ok(Self { listener, folder, path }),
            Err(source) => {
                remove(fs::remove_dir(&folder));
                Err(Fault::Io { what: "bind the plugin's socket", source })
            }
        }
    }

    /// Prints the line that Packer waits for.
    fn announce(&self) -> Result<(), Fault> {
        let mut line = match handshake_fields() {
            3 => b"5|unix|".to_vec(),
            _ => b"5|0|unix|".to_vec(),
        };
        line.extend_from_slice(self.path.as_os_str().as_bytes());
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(&line)
            .and_then(|()| stdout.flush())
            .map_err(|source| Fault::Io { what: "print the handshake", source })
    }

    /// Takes exactly one connection; the socket is gone afterwards.
    fn accept(self) -> Result<UnixStream, Fault> {
        let what = "accept Packer's connection";
        let listener = self.listener.try_clone().map_err(|source| Fault::Io { what, source })?;
        let (sender, receiver) = mpsc::channel();
        // std cannot accept with a time limit; a thread that waits for ever ends with the process.
        std::thread::Builder::new()
            .name("accept".to_owned())
            .spawn(move || drop(sender.send(listener.accept())))
            .map_err(|source| Fault::Io { what, source })?;
        match receiver.recv_timeout(CONNECT_LIMIT) {
            Ok(Ok((connection, _))) => Ok(connection),
            Ok(Err(source)) => Err(Fault::Io { what, source }),
            Err(_) => Err(Fault::NotConnected),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        remove(fs::remove_file(&self.path));
        remove(fs::remove_dir(&self.folder));
    }
}

fn remove(result: io::Result<()>) {
    if let Err(error) = result {
        log::warn!("remove the plugin's socket: {error}");
    }
}

fn handshake_fields() -> u8 {
    let asked = std::env::var_os(HANDSHAKE_VARIABLE).is_some_and(|fields| fields == "3");
    let single = std::env::args_os().next().is_some_and(|program| is_single_component(&program));
    if asked || single { 3 } else { 4 }
}
