//! What an upgrade saw of files that have not changed since, kept in `.tatmig-index` in the users
//! directory, so that the next one need not open them: as git's index does for a work tree. It is
//! only ever believed where it cannot be wrong, and its loss or damage only costs time.
//!
//! A file is as it was seen if the same inode has the same size and the same two times to the
//! nanosecond, and neither a journal nor a WAL stands beside it. Of these times the change time is
//! the kernel's own: no program can set it, and every write moves it. Three things would make it
//! lie, and are kept out. A write within the clock tick of the look: a file is only noted if its
//! last change lay some seconds behind when it was opened. A power cut that keeps a file's new
//! bytes and loses its new times: what an earlier boot of the machine noted is not believed. A
//! file system whose times come from another machine's clock, or from a cache: only some local
//! ones are believed.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::database::file::side_file;
use crate::database::history::Standpoint;
use crate::member::Member;

/// The file's name; a name that begins with it is never a database's.
pub(super) const NAME: &str = ".tatmig-index";

/// The first line; another one is another format.
const FORMAT: &str = "tatmig-index 1";

/// How long ago the last change of a file lies at least: longer than any clock tick.
const SETTLED: Duration = Duration::from_secs(2);

/// What tells that a file is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970, up to the year 2262.
    modified: i64,
    changed: i64,
}

/// A file that was seen. Of a large fleet there are many: the name stands with all others in one
/// piece of memory.
#[derive(Clone, Copy, Debug)]
struct Entry {
    stamp: Stamp,
    name: (u32, u32),
    /// Which of the standpoints.
    at: u32,
}

/// What an index holds.
#[derive(Debug, Default)]
struct Contents {
    /// There are a few in a fleet, whatever its size.
    standpoints: Vec<Standpoint>,
    /// By name.
    entries: Vec<Entry>,
    names: Vec<u8>,
}

impl Contents {
    fn name(&self, entry: &Entry) -> &[u8] {
        &self.names[entry.name.0 as usize..entry.name.1 as usize]
    }

    fn find(&self, name: &OsStr) -> Option<&Entry> {
        let name = name.as_encoded_bytes();
        let at = self.entries.binary_search_by(|entry| self.name(entry).cmp(name)).ok()?;
        Some(&self.entries[at])
    }

    /// Adds what stands behind all others; nothing of what does not fit.
    fn push(&mut self, name: &[u8], stamp: Stamp, standpoint: &Standpoint) {
        let known = self.standpoints.iter().position(|known| known == standpoint);
        let at = known.unwrap_or_else(|| {
            self.standpoints.push(standpoint.clone());
            self.standpoints.len() - 1
        });
        self.push_at(name, stamp, at);
    }

    /// Adds what other contents hold.
    fn take(&mut self, other: &Self, entry: &Entry) {
        if let Some(standpoint) = other.standpoints.get(entry.at as usize) {
            self.push(other.name(entry), entry.stamp, standpoint);
        }
    }

    fn push_at(&mut self, name: &[u8], stamp: Stamp, at: usize) -> Option<()> {
        let start = u32::try_from(self.names.len()).ok()?;
        let end = u32::try_from(self.names.len() + name.len()).ok()?;
        self.names.extend_from_slice(name);
        self.entries.push(Entry { stamp, name: (start, end), at: u32::try_from(at).ok()? });
        Some(())
    }
}

/// The index of one users directory, and what a run adds to it.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    boot: String,
    contents: Contents,
    news: Mutex<News>,
}

#[derive(Debug, Default)]
struct News {
    /// Files that were opened and found where they stand, in no order.
    noted: Contents,
    stale: Vec<OsString>,
}

impl Index {
    /// Reads the index of a directory; an empty one where none can be read, and none at all where
    /// the file system cannot be trusted with one.
    pub(super) fn open(directory: &Path) -> Option<Self> {
        let boot = boot()?;
        if !is_local(directory) {
            return None;
        }
        let path = directory.join(NAME);
        let contents = std::fs::read(&path).ok().and_then(|bytes| read(&bytes, &boot));
        Some(Self { path, boot, contents: contents.unwrap_or_default(), news: Mutex::default() })
    }

    /// Where a database stands, if its file is as it was when that was seen.
    pub(super) fn recall(&self, member: &Member) -> Option<&Standpoint> {
        let path = member.home.file()?;
        let name = path.file_name()?;
        let entry = self.contents.find(name)?;
        // In this order: without either beside it at one moment, an unchanged file later was all
        // there is to the database at that moment.
        let alone = ["-journal", "-wal"].iter().all(|suffix| {
            std::fs::symlink_metadata(side_file(path, suffix))
                .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        });
        if alone && Stamp::of(path) == Some(entry.stamp) {
            return self.contents.standpoints.get(entry.at as usize);
        }
        self.news().stale.push(name.to_owned());
        None
    }

    /// Notes where a database stands that was opened at a time and not changed.
    pub(super) fn note(&self, member: &Member, standpoint: &Standpoint, opened: SystemTime) {
        let Some(path) = member.home.file() else { return };
        let Some((name, stamp)) = path.file_name().zip(Stamp::of(path)) else { return };
        let settled = opened.checked_sub(SETTLED).and_then(nanoseconds);
        if settled.is_some_and(|settled| stamp.changed < settled && stamp.modified < settled)
            && !side_file(path, "-wal").exists()
        {
            self.news().noted.push(name.as_encoded_bytes(), stamp, standpoint);
        }
    }

    fn news(&self) -> std::sync::MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the index anew, if a run saw anything else than what stands in it.
    pub(super) fn save(mut self) {
        let news = std::mem::take(&mut *self.news());
        if news.noted.entries.is_empty() && news.stale.is_empty() {
            return;
        }
        let News { mut noted, mut stale } = news;
        let by_name = |left: &Entry, right: &Entry| {
            let name = |entry: &Entry| entry.name.0 as usize..entry.name.1 as usize;
            noted.names[name(left)].cmp(&noted.names[name(right)])
        };
        noted.entries.sort_unstable_by(by_name);
        stale.sort();
        let mut merged = Contents::default();
        let mut newer = noted.entries.iter().peekable();
        for entry in &self.contents.entries {
            let name = self.contents.name(entry);
            let mut replaced = false;
            while let Some(entry) = newer.next_if(|newer| noted.name(newer) <= name) {
                replaced = noted.name(entry) == name;
                merged.take(&noted, entry);
            }
            let is_stale =
                || stale.binary_search_by(|stale| stale.as_encoded_bytes().cmp(name)).is_ok();
            if !replaced && !is_stale() {
                merged.take(&self.contents, entry);
            }
        }
        for entry in newer {
            merged.take(&noted, entry);
        }
        drop(noted);
        self.contents = merged;
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        // Whatever fails here only costs the next run time.
        let written = std::fs::File::create(&beside).and_then(|file| self.write(file));
        if written.and_then(|()| std::fs::rename(&beside, &self.path)).is_err() {
            let _ = std::fs::remove_file(&beside);
        }
    }

    fn write(&self, out: impl Write) -> io::Result<()> {
        let mut out = Summed { out: BufWriter::new(out), sum: DefaultHasher::new() };
        writeln!(out, "{FORMAT}\nboot {}", self.boot)?;
        for Standpoint { to, chain } in &self.contents.standpoints {
            writeln!(out, "at {to} {chain}")?;
        }
        for entry in &self.contents.entries {
            let Stamp { device, inode, size, modified, changed } = entry.stamp;
            write!(out, "{} {device} {inode} {size} {modified} {changed} ", entry.at)?;
            escape(self.contents.name(entry), &mut out)?;
            out.write_all(b"\n")?;
        }
        let sum = out.sum.finish();
        writeln!(out, "sum {sum:016x}")?;
        out.flush()
    }
}

/// Sums up what it passes on. The sum tells damage, and that another release of Rust hashes
/// otherwise, which only costs time.
struct Summed<W> {
    out: W,
    sum: DefaultHasher,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum.write(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads an index that this boot of the machine wrote; nothing of a damaged one.
fn read(bytes: &[u8], boot: &str) -> Option<Contents> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (body, sum) = text.strip_suffix('\n')?.rsplit_once("\nsum ")?;
    let body = &text[..=body.len()];
    if u64::from_str_radix(sum, 16) != Ok(checksum(body.as_bytes())) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next() != Some(FORMAT) || lines.next()?.strip_prefix("boot ") != Some(boot) {
        return None;
    }
    let mut contents = Contents::default();
    for line in lines {
        if let Some(point) = line.strip_prefix("at ") {
            let (to, chain) = point.split_once(' ')?;
            contents.standpoints.push(Standpoint { to: to.to_owned(), chain: chain.to_owned() });
            continue;
        }
        let mut fields = line.splitn(7, ' ');
        let at = fields.next()?.parse().ok()?;
        let stamp = Stamp {
            device: fields.next()?.parse().ok()?,
            inode: fields.next()?.parse().ok()?,
            size: fields.next()?.parse().ok()?,
            modified: fields.next()?.parse().ok()?,
            changed: fields.next()?.parse().ok()?,
        };
        contents.push_at(&unescape(fields.next()?)?, stamp, at)?;
    }
    Some(contents)
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// A name in which everything that might end it, and `%`, is written `%0A`.
fn escape(name: &[u8], out: &mut impl Write) -> io::Result<()> {
    name.iter().try_for_each(|byte| match byte {
        b'%' => out.write_all(b"%25"),
        0x21..=0x7e => out.write_all(&[*byte]),
        byte => write!(out, "%{byte:02X}"),
    })
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

impl Stamp {
    #[cfg(target_os = "linux")]
    fn of(path: &Path) -> Option<Self> {
        use std::os::linux::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        let time = |seconds: i64, nanoseconds: i64| {
            seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
        };
        Some(Self {
            device: metadata.st_dev(),
            inode: metadata.st_ino(),
            size: metadata.st_size(),
            modified: time(metadata.st_mtime(), metadata.st_mtime_nsec())?,
            changed: time(metadata.st_ctime(), metadata.st_ctime_nsec())?,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_path: &Path) -> Option<Self> {
        None
    }
}

fn nanoseconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// What tells one start of the machine from the next; only Linux does.
fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Whether a file system keeps its times itself, on this machine.
#[cfg(target_os = "linux")]
fn is_local(directory: &Path) -> bool {
    // ext2 to ext4, XFS, Btrfs, F2FS, tmpfs, ZFS, bcachefs, overlayfs: as statfs(2) numbers them.
    const LOCAL: [i128; 8] = [
        0xEF53,
        0x5846_5342,
        0x9123_683E,
        0xF2F5_2010,
        0x0102_1994,
        0x2FC1_2FC1,
        0xCA45_1A4E,
        0x794C_7630,
    ];
    rustix::fs::statfs(directory)
        .is_ok_and(|found| LOCAL.iter().any(|kind| *kind == i128::from(found.f_type) & 0xFFFF_FFFF))
}

#[cfg(not(target_os = "linux"))]
fn is_local(_directory: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let stamp = Stamp { device: 1, inode: 2, size: 4096, modified: -5, changed: 1_000_000_001 };
        let mut contents = Contents::default();
        for (name, to) in [(&b"a\n% \xff.db"[..], "1.0.0"), (b"b.db", "1.1.0")] {
            contents.push(name, stamp, &Standpoint { to: to.to_owned(), chain: "00ff".to_owned() });
        }
        Index { path: PathBuf::from(NAME), boot: "b".to_owned(), contents, news: Mutex::default() }
    }

    fn written(index: &Index) -> Vec<u8> {
        let mut bytes = Vec::new();
        index.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_again() {
        let index = index();
        let read = read(&written(&index), "b").unwrap();
        assert_eq!(read.standpoints, index.contents.standpoints);
        assert_eq!(read.names, index.contents.names);
        let stamps = |contents: &Contents| -> Vec<_> {
            contents.entries.iter().map(|entry| (entry.name, entry.stamp, entry.at)).collect()
        };
        assert_eq!(stamps(&read), stamps(&index.contents));
    }

    #[test]
    fn nothing_is_believed_of_a_damaged_index_or_one_of_an_earlier_boot() {
        let text = written(&index());
        assert!(read(&text, "another").is_none());
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged, "b").is_none(), "byte {at}");
            assert!(read(&text[..at], "b").is_none(), "cut at {at}");
        }
    }
}
