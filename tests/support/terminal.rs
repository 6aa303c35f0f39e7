//! Runs the program on a pseudoterminal, and reads what it writes there.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A program on a pseudoterminal.
pub(crate) struct OnTerminal {
    pub(crate) child: Child,
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

/// Which streams of the program are the terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    Output,
    Errors,
    InputAndErrors,
    All,
}

impl OnTerminal {
    /// Starts the program of a command, whose other streams stay as they are.
    pub(crate) fn start(mut command: Command, streams: Streams) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let terminal = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        if streams == Streams::InputAndErrors {
            command.stdin(terminal());
        }
        if matches!(streams, Streams::Output | Streams::All) {
            command.stdout(terminal());
        }
        if streams != Streams::Output {
            command.stderr(terminal());
        }
        command.env("TERM", "xterm-256color");
        let child = command.spawn().unwrap();
        // The reads end when no process has the terminal open.
        drop(command);
        let written: Arc<Mutex<Vec<u8>>> = Arc::default();
        let sink = Arc::clone(&written);
        let reader = std::thread::spawn(move || {
            let mut master = File::from(master);
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = master.read(&mut buffer) {
                sink.lock().unwrap().extend(&buffer[..count]);
            }
        });
        Self { child, written, reader: Some(reader) }
    }

    /// What was written so far, with the line ends of a file.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).replace("\r\n", "\n")
    }

    /// Waits for the end of the program. Returns its exit status and everything that it wrote.
    pub(crate) fn wait(mut self) -> Ended {
        let status = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        Ended { status, text: self.text() }
    }
}

/// A program that has ended.
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) text: String,
}

/// A text without the escape codes of colors.
pub(crate) fn without_colors(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (codes, rest) = part.split_once('m').unwrap();
        assert!(codes.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{part:?}");
        text + rest
    })
}
