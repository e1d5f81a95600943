//! The second backend: `qemu-system-arm` or `qemu-system-riscv32`, its UART on a Unix socket and its semihosting on a pipe.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Board, Exit, Image, Options, Outcome, Peer, logs};

/// How long QEMU may take to open the socket.
const START: Duration = Duration::from_secs(30);

/// How long is waited for a byte before it is looked whether QEMU still runs.
const PATIENCE: Duration = Duration::from_millis(20);

/// QEMU's programs, and the packages of Debian and Ubuntu that have them.
pub(super) const PROGRAMS: [(&str, &str); 2] =
    [("qemu-system-arm", "qemu-system-arm"), ("qemu-system-riscv32", "qemu-system-misc")];

/// What to install, if QEMU is missing.
pub(super) fn missing() -> Option<String> {
    let found = |program: &str| {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    };
    let (program, _) = PROGRAMS.iter().find(|(program, _)| !found(program))?;
    let packages = PROGRAMS.map(|(_, package)| package).join(" ");
    Some(format!("{program} is missing: install it, on Debian and Ubuntu by `sudo apt install {packages}`"))
}

/// Runs the image. See [`super::run`].
pub(super) fn run(image: &Image, peer: &mut dyn Peer, options: &Options) -> Result<Outcome> {
    if let Some(missing) = missing() {
        bail!(missing);
    }
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let elf = directory.path().join("firmware.elf");
    let socket = directory.path().join("uart0");
    std::fs::write(&elf, image.elf()).context("cannot write the firmware for QEMU")?;
    let listener = UnixListener::bind(&socket).context("cannot open a socket for the UART")?;
    listener.set_nonblocking(true)?;

    // Without `none` the RISC-V board looks for firmware of its own.
    let (program, memory): (_, &[&str]) = match image.board() {
        Board::Virt => ("qemu-system-riscv32", &["-bios", "none", "-m", "16M"]),
        _ => ("qemu-system-arm", &[]),
    };
    let mut child = Command::new(program)
        .args(["-M", image.board().machine(), "-display", "none", "-monitor", "none"])
        .args(memory)
        .args(["-icount", "shift=6,align=off,sleep=off", "-semihosting-config", "enable=on,target=native"])
        .arg("-chardev")
        .arg(format!("socket,id=uart0,path={}", socket.display()))
        .args(["-serial", "chardev:uart0", "-kernel"])
        .arg(&elf)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let console = collect(child.stdout.take());
    let complaints = collect(child.stderr.take());

    let exit = accept(&listener, &mut child).and_then(|stream| talk(stream, peer, &mut child, options));
    // Whatever happened, QEMU does not outlive this call.
    let killed = child.kill();
    let waited = child.wait();
    let exit = exit?;
    killed.or_else(|error| if error.kind() == ErrorKind::InvalidInput { Ok(()) } else { Err(error) })?;
    let exit = match exit {
        Some(exit) => exit,
        None => Exit::Status(waited?.code().context("QEMU was ended by a signal")?),
    };
    let console = console.join().ok().flatten().unwrap_or_default();
    let complaints = complaints.join().ok().flatten().unwrap_or_default();
    // QEMU also warns, of a device that sleeps for one: what it says explains an end of its own only.
    if matches!(exit, Exit::Status(1..)) && console.is_empty() && !complaints.is_empty() {
        bail!("QEMU: {}", String::from_utf8_lossy(&complaints).trim());
    }
    Ok(Outcome { exit, logs: logs::decode(image.elf(), &console)?, counts: None, calls: Vec::new() })
}

/// Reads a pipe to its end in a thread of its own, so that QEMU never waits for a full pipe.
fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Option<Vec<u8>>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe?.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    })
}

/// Waits for QEMU to connect.
fn accept(listener: &UnixListener, child: &mut Child) -> Result<UnixStream> {
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error).context("the socket of the UART"),
        }
        if let Some(status) = child.try_wait()? {
            bail!("QEMU ended before it connected its UART ({status})");
        }
        if start.elapsed() > START {
            bail!("QEMU did not connect its UART within {} s", START.as_secs());
        }
    }
}

/// Carries bytes until QEMU ends (`None`) or a limit is reached.
fn talk(mut stream: UnixStream, peer: &mut dyn Peer, child: &mut Child, options: &Options) -> Result<Option<Exit>> {
    let start = Instant::now();
    let mut outgoing = Vec::new();
    let mut received = [0; 4096];
    loop {
        outgoing.extend(std::iter::from_fn(|| peer.transmit()));
        // Neither direction may wait for the other: QEMU stops reading while what it sends is not read.
        match stream.write(&outgoing) {
            Ok(length) => drop(outgoing.drain(..length)),
            Err(error) if is_timeout(&error) => {}
            // QEMU has ended; what it sent before can still be read.
            Err(_) => outgoing.clear(),
        }
        match stream.read(&mut received) {
            Ok(0) => return wait(child, start, options),
            Ok(length) => received[..length].iter().for_each(|&byte| peer.receive(byte)),
            Err(error) if is_timeout(&error) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return wait(child, start, options),
            Err(error) => return Err(error).context("the socket of the UART"),
        }
        if start.elapsed() > options.timeout {
            return Ok(Some(Exit::Timeout));
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Waits for QEMU to end, now that its socket is closed.
fn wait(child: &mut Child, start: Instant, options: &Options) -> Result<Option<Exit>> {
    while child.try_wait()?.is_none() {
        if start.elapsed() > options.timeout {
            return Ok(Some(Exit::Timeout));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(None)
}
