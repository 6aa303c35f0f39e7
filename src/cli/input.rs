//! Reads standard input, until its end or until a signal ends the command. A read that only waits for
//! the input would not end at Ctrl-C, since the first signal only sets a flag.

use std::io;

use crate::cli::signals::Signals;

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// All of standard input. `None` if a signal ended the command first.
///
/// # Errors
///
/// Standard input cannot be read.
pub(crate) fn read_to_end(signals: &Signals) -> io::Result<Option<Vec<u8>>> {
    read_while(signals, |_| true)
}

/// A line of standard input, which is a terminal. `None` if a signal ended the command first.
///
/// # Errors
///
/// Standard input cannot be read.
pub(crate) fn read_line(signals: &Signals) -> io::Result<Option<String>> {
    let bytes = read_while(signals, |bytes| !bytes.contains(&b'\n'))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn read_while(signals: &Signals, is_wanted: impl Fn(&[u8]) -> bool) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; CHUNK];
    while is_wanted(&bytes) {
        if signals.received_signal().is_some() {
            return Ok(None);
        }
        match read_ready(&mut chunk) {
            Ok(Some(0)) => break,
            Ok(Some(count)) => bytes.extend_from_slice(&chunk[..count]),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(bytes))
}

/// Reads the input that has come. `None` if nothing came for a while.
#[cfg(unix)]
fn read_ready(chunk: &mut [u8]) -> io::Result<Option<usize>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    // The signal may arrive between the look at its flag and the wait.
    let wait = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let input = rustix::stdio::stdin();
    if poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&wait))? == 0 {
        return Ok(None);
    }
    Ok(Some(rustix::io::read(input, chunk)?))
}

/// This platform has no signals that set a flag: Ctrl-C ends the process.
#[cfg(not(unix))]
fn read_ready(chunk: &mut [u8]) -> io::Result<Option<usize>> {
    io::Read::read(&mut io::stdin(), chunk).map(Some)
}
