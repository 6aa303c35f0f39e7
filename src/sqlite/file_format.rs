//! The last row of a database's record, read from the pages of its file. SQLite reads the whole
//! schema before it answers the same question, which over a fleet where nothing is pending is most
//! of the time.
//!
//! It never guesses: as SQLite's own readers do, it holds the shared lock while it reads a file
//! beside which neither a journal nor a WAL stands, so that no program can write to it meanwhile.
//! Whatever is not exactly as tatmig makes it is left to SQLite. The format of the file is
//! documented, and promised not to change: <https://sqlite.org/fileformat.html>.

use std::fs::File;

use crate::database::history;
use crate::database::history_entry::{Event, Record};

/// So many pages are read; SQLite reads more.
const PAGES: usize = 64;

/// The bytes that every database begins with.
pub(crate) const HEADER: usize = 100;

/// Whether the lock can be taken on this system.
pub(crate) const SHARES: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));

/// Takes the shared lock of SQLite's readers, without waiting; closing the file gives it back.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
#[allow(
    clippy::cast_possible_truncation,
    reason = "each system has a type of its own for these small numbers"
)]
pub(crate) fn share(file: &File) -> bool {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{F_RDLCK, F_UNLCK, SEEK_SET, flock, off_t};

    // SQLite's names and numbers: a writer that waits for readers holds the pending byte.
    const PENDING_BYTE: off_t = 0x4000_0000;
    const SHARED_FIRST: off_t = PENDING_BYTE + 2;
    const SHARED_SIZE: off_t = 510;
    let lock = |l_type, l_start, l_len| {
        let lock = flock { l_type, l_whence: SEEK_SET as _, l_start, l_len, l_pid: 0 };
        // Where there are locks of a file's own, one of this process's connections counts as well.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let lock = FcntlArg::F_OFD_SETLK(&lock);
        #[cfg(target_vendor = "apple")]
        let lock = FcntlArg::F_SETLK(&lock);
        fcntl(file, lock).is_ok()
    };
    lock(F_RDLCK as _, PENDING_BYTE, 1) && {
        let shared = lock(F_RDLCK as _, SHARED_FIRST, SHARED_SIZE);
        lock(F_UNLCK as _, PENDING_BYTE, 1) && shared
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn share(_file: &File) -> bool {
    false
}

/// The last row of the record in a file that is locked; nothing where SQLite has to be asked.
pub(crate) fn last_record(file: &File, header: &[u8; HEADER]) -> Option<Record> {
    const UTF_8: u32 = 1;
    let size = page_size(header);
    let is_known = size.is_power_of_two()
        && size >= 512
        && (1..=2).contains(&header[18])
        && (1..=2).contains(&header[19])
        && header[21..24] == [64, 32, 32]
        && number(header, 44).is_some_and(|format| (1..=4).contains(&format))
        && number(header, 56) == Some(UTF_8);
    let usable = size.checked_sub(usize::from(header[20])).filter(|usable| *usable >= 480)?;
    // What the header says of the number of pages counts if the last writer knew of it.
    let whole = file.metadata().ok()?.len() / size as u64;
    let told = u64::from(number(header, 28)?);
    let is_told = told > 0 && number(header, 24) == number(header, 92);
    let count = if is_told { told.min(whole) } else { whole };
    let pages = Pages { file, size, usable, count };
    if is_known { pages.last(pages.root()?) } else { None }
}

/// The size of a database's pages.
pub(crate) fn page_size(header: &[u8; HEADER]) -> usize {
    match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => usize::from(size),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

struct Pages<'f> {
    file: &'f File,
    size: usize,
    /// The bytes of each page that hold content.
    usable: usize,
    /// How many there are.
    count: u64,
}

/// A page of a table's tree.
struct Page {
    bytes: Vec<u8>,
    /// Where its own header begins: behind the database's, on the first page.
    start: usize,
    is_leaf: bool,
    cells: usize,
}

impl Pages<'_> {
    fn page(&self, number: u32) -> Option<Page> {
        const INTERIOR: u8 = 0x05;
        const LEAF: u8 = 0x0d;
        if u64::from(number) > self.count {
            return None;
        }
        let position = u64::from(number.checked_sub(1)?) * self.size as u64;
        let mut bytes = vec![0; self.size];
        read_at(self.file, &mut bytes, position)?;
        let start = if number == 1 { HEADER } else { 0 };
        let kind = bytes[start];
        let cells = usize::from(u16::from_be_bytes([bytes[start + 3], bytes[start + 4]]));
        let is_leaf = kind == LEAF;
        (is_leaf || kind == INTERIOR).then_some(Page { bytes, start, is_leaf, cells })
    }

    /// The root of the record's tree, if the record is a table as tatmig makes it.
    fn root(&self) -> Option<u32> {
        let mut ahead = vec![1];
        for _ in 0..PAGES {
            let page = self.page(ahead.pop()?)?;
            if !page.is_leaf {
                ahead.push(page.rightmost()?);
                for cell in (0..page.cells).rev() {
                    ahead.push(number(&page.bytes, page.cell(cell)?)?);
                }
                continue;
            }
            for cell in 0..page.cells {
                let (_, payload) = self.row(&page, cell)?;
                let mut values = Values::of(payload)?;
                let (kind, name) = (values.next(), values.next());
                if name != Some(Value::Text(history::TABLE)) {
                    continue;
                }
                let (_, root, sql) = (values.next(), values.next(), values.next());
                let is_own = kind == Some(Value::Text("table"))
                    && matches!(sql, Some(Value::Text(sql)) if history::is_own_table(sql));
                let Some(Value::Integer(root)) = root.filter(|_| is_own) else { return None };
                return u32::try_from(root).ok();
            }
        }
        None
    }

    /// The last row of the record.
    fn last(&self, root: u32) -> Option<Record> {
        let mut at = root;
        for _ in 0..PAGES {
            let page = self.page(at)?;
            if !page.is_leaf {
                at = page.rightmost()?;
                continue;
            }
            let (id, payload) = self.row(&page, page.cells.checked_sub(1)?)?;
            let mut values = Values::of(payload)?;
            return Record::from_values(id, || values.next());
        }
        None
    }

    /// The number of a row, and as much of its content as stands on the page.
    fn row<'p>(&self, page: &'p Page, cell: usize) -> Option<(i64, &'p [u8])> {
        let mut rest = page.bytes.get(page.cell(cell)?..self.usable)?;
        let length = usize::try_from(varint(&mut rest)?).ok()?;
        let id = varint(&mut rest)?;
        let most = self.usable - 35;
        let here = if length <= most {
            length
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let local = least + (length - least) % (self.usable - 4);
            if local <= most { local } else { least }
        };
        Some((id, rest.get(..here)?))
    }
}

impl Page {
    /// Where a cell begins.
    fn cell(&self, cell: usize) -> Option<usize> {
        let pointers = self.start + if self.is_leaf { 8 } else { 12 };
        let at = pointers + 2 * cell;
        Some(usize::from(u16::from_be_bytes([*self.bytes.get(at)?, *self.bytes.get(at + 1)?])))
    }

    fn rightmost(&self) -> Option<u32> {
        number(&self.bytes, self.start + 8)
    }
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'p> {
    Null,
    Integer(i64),
    Text(&'p str),
    Other,
}

/// The values of a row, one after the other; none is told that does not stand whole on the page.
struct Values<'p> {
    types: &'p [u8],
    content: &'p [u8],
}

impl<'p> Values<'p> {
    fn of(payload: &'p [u8]) -> Option<Self> {
        let mut rest = payload;
        let length = usize::try_from(varint(&mut rest)?).ok()?;
        let types = payload.get(payload.len() - rest.len()..length)?;
        Some(Self { types, content: payload.get(length..)? })
    }

    fn next(&mut self) -> Option<Value<'p>> {
        let code = varint(&mut self.types)?;
        let length = match code {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(code).ok()?,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((code - 12) / 2).ok()?,
            _ => return None,
        };
        let (bytes, rest) = self.content.split_at_checked(length)?;
        self.content = rest;
        Some(match code {
            0 => Value::Null,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => {
                let sign = if bytes[0] >= 0x80 { -1 } else { 0 };
                Value::Integer(bytes.iter().fold(sign, |all, byte| all << 8 | i64::from(*byte)))
            }
            13.. if code % 2 == 1 => Value::Text(std::str::from_utf8(bytes).ok()?),
            _ => Value::Other,
        })
    }
}

/// Takes one of SQLite's integers of one to nine bytes.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if place == 8 {
            return Some(value << 8 | i64::from(*byte));
        }
        value = value << 7 | i64::from(byte & 0x7f);
        if *byte < 0x80 {
            break;
        }
    }
    Some(value)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], position: u64) -> Option<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, position).ok()
}

#[cfg(not(unix))]
fn read_at(_file: &File, _bytes: &mut [u8], _position: u64) -> Option<()> {
    None
}

impl Record {
    /// A row from its values in their order, the first of which stands for the row's number;
    /// nothing if one of them is not what tatmig writes.
    pub(crate) fn from_values<'v>(
        id: i64,
        mut next: impl FnMut() -> Option<Value<'v>>,
    ) -> Option<Self> {
        let text = |value: Option<Value<'v>>| match value? {
            Value::Text(text) => Some(Some(text.to_owned())),
            Value::Null => Some(None),
            Value::Integer(_) | Value::Other => None,
        };
        let (Value::Null, Value::Text(event)) = (next()?, next()?) else { return None };
        Some(Self {
            id,
            event: Event::parse(event)?,
            from: text(next())??,
            to: text(next())??,
            checksum: {
                // The scope, which the database's own place tells.
                text(next())??;
                text(next())?
            },
            chain: text(next())?,
            applied_at: text(next())??,
            duration_ms: match next()? {
                Value::Integer(duration) => duration,
                _ => return None,
            },
            tool_version: text(next())??,
            note: text(next())?,
        })
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;
    use std::path::Path;

    use rusqlite::Connection;

    use super::*;
    use crate::database::Look as _;
    use crate::database::history_entry::State;
    use crate::sqlite::preflight::{Access, inspect};

    /// A database whose record has some rows, behind and before some tables.
    fn database(path: &Path, pragmas: &str, (before, behind, rows): (usize, usize, i64)) {
        let _ = fs::remove_file(path);
        let connection = Connection::open(path).unwrap();
        let tables = |lead: &str, count: usize| -> String {
            let table = |at| format!("CREATE TABLE {lead}{at} (id INTEGER PRIMARY KEY, a TEXT);");
            (0..count).map(table).collect()
        };
        connection.execute_batch(pragmas).unwrap();
        connection.execute_batch(&format!("BEGIN; {}", tables("a", before))).unwrap();
        history::create(&connection).unwrap();
        connection.execute_batch(&tables("b", behind)).unwrap();
        for row in 0..rows {
            let note = (row % 3 == 1)
                .then(|| "é → what was noted; ".repeat(if row % 2 == 0 { 3 } else { 0 }));
            let values = ("upgrade", row, "1.0.0", "user", "00ff", row - 5, note);
            connection
                .execute(
                    "INSERT INTO _tatmig_migrations VALUES \
                     (NULL, ?1, '1.' || ?2 || '.0', ?3, ?4, ?5, NULL, '2026-01-01', ?6, '0.1.0', ?7)",
                    values,
                )
                .unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
    }

    fn told(path: &Path) -> Option<State> {
        inspect(path, Access::Read).unwrap().state
    }

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.db");
        (place, path)
    }

    #[test]
    fn what_is_told_is_what_sqlite_tells() {
        let (_place, path) = place();
        for page_size in [512, 1024, 4096, 65_536] {
            for pragmas in ["", "PRAGMA auto_vacuum = FULL;", "PRAGMA journal_mode = WAL;"] {
                for shape in [(0, 0, 1), (3, 40, 2), (400, 3, 300), (0, 300, 5_000)] {
                    let pragmas = format!("PRAGMA page_size = {page_size}; {pragmas}");
                    database(&path, &pragmas, shape);
                    let told = told(&path);
                    let is = Connection::open(&path).unwrap().state().unwrap();
                    // On the smallest pages the record's own SQL runs over, and of very many
                    // pages not all are read.
                    let is_left = page_size == 512 || (page_size == 1024 && shape.0 == 400);
                    assert!(told.is_some() || is_left, "{pragmas} {shape:?}");
                    assert!(told.is_none_or(|told| told == is), "{pragmas} {shape:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_as_tatmig_makes_it_is_left_to_sqlite() {
        let (_place, path) = place();
        let change = |sql: &str| {
            database(&path, "", (1, 1, 2));
            assert!(told(&path).is_some());
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
            assert_eq!(told(&path), None, "{sql}");
        };
        change("ALTER TABLE _tatmig_migrations ADD COLUMN more TEXT");
        change("ALTER TABLE _tatmig_migrations RENAME TO elsewhere");
        change("DELETE FROM _tatmig_migrations");
        change("UPDATE _tatmig_migrations SET event = 'other'");
        change("UPDATE _tatmig_migrations SET duration_ms = 1.5");
        change("UPDATE _tatmig_migrations SET note = x'00'");
        change(&format!("UPDATE _tatmig_migrations SET note = '{}'", "long ".repeat(5_000)));
        database(&path, "PRAGMA encoding = 'UTF-16le'", (1, 1, 2));
        assert_eq!(told(&path), None);
        for beside in ["a.db-journal", "a.db-wal"] {
            database(&path, "", (1, 1, 2));
            let beside = path.with_file_name(beside);
            fs::write(&beside, []).unwrap();
            assert_eq!(told(&path), None, "{}", beside.display());
            fs::remove_file(&beside).unwrap();
        }
    }

    #[test]
    fn what_sqlite_refuses_is_left_to_it() {
        let (_place, path) = place();
        for (at, byte) in [(0, 0), (16, 0), (18, 3), (19, 0), (21, 65), (23, 0), (31, 1), (47, 9)] {
            database(&path, "", (1, 1, 2));
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] = byte;
            fs::write(&path, bytes).unwrap();
            let state = inspect(&path, Access::Read).ok().and_then(|header| header.state);
            assert_eq!(state, None, "byte {at}");
        }
    }

    #[test]
    fn a_lock_of_a_connection_of_this_process_counts() {
        let (_place, path) = place();
        database(&path, "", (1, 1, 2));
        let connection = Connection::open(&path).unwrap();
        let file = File::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE").unwrap();
        assert!(!share(&file));
        connection.execute_batch("COMMIT").unwrap();
        assert!(share(&file));
    }

    #[test]
    fn no_damage_makes_it_fail() {
        let (_place, path) = place();
        database(&path, "PRAGMA page_size = 1024", (4, 3, 8));
        let whole = fs::read(&path).unwrap();
        assert!(told(&path).is_some());
        let look = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let header = bytes[..HEADER].try_into().unwrap();
            let _ = last_record(&File::open(&path).unwrap(), header);
        };
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= [0x01, 0x80, 0xff][at % 3];
            look(&damaged);
        }
        for size in [[0, 0], [0, 1], [0, 16], [1, 0], [0x80, 0], [0xff, 0xff]] {
            for reserved in [0, 1, 200, 255] {
                let mut damaged = whole.clone();
                damaged[16..18].copy_from_slice(&size);
                damaged[20] = reserved;
                look(&damaged);
            }
        }
        for cut in (HEADER..whole.len()).step_by(100) {
            look(&whole[..cut]);
        }
    }
}
