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
use crate::database::history_entry::{HistoryEntry, HistoryEvent};

/// So many pages are read; SQLite reads more.
const MAX_PAGES_READ: usize = 64;

/// The bytes that every database begins with.
pub(crate) const HEADER_SIZE: usize = 100;

/// Whether the lock can be taken on this system.
pub(crate) const HAS_SHARED_LOCK: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));

/// Takes the shared lock of SQLite's readers, without waiting; closing the file gives it back.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
#[allow(
    clippy::cast_possible_truncation,
    reason = "each system has a type of its own for these small numbers"
)]
pub(crate) fn try_shared_lock(file: &File) -> bool {
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
pub(crate) fn try_shared_lock(_file: &File) -> bool {
    false
}

/// The last row of the record in a file that is locked; nothing where SQLite has to be asked.
pub(crate) fn last_history_entry(file: &File, header: &[u8; HEADER_SIZE]) -> Option<HistoryEntry> {
    const UTF_8: u32 = 1;
    let page_size = page_size(header);
    let is_supported = page_size.is_power_of_two()
        && page_size >= 512
        && (1..=2).contains(&header[18])
        && (1..=2).contains(&header[19])
        && header[21..24] == [64, 32, 32]
        && read_u32(header, 44).is_some_and(|format| (1..=4).contains(&format))
        && read_u32(header, 56) == Some(UTF_8);
    let usable_size =
        page_size.checked_sub(usize::from(header[20])).filter(|usable| *usable >= 480)?;
    // What the header says of the number of pages counts if the last writer knew of it.
    let file_page_count = file.metadata().ok()?.len() / page_size as u64;
    let header_page_count = u64::from(read_u32(header, 28)?);
    let is_header_count_valid =
        header_page_count > 0 && read_u32(header, 24) == read_u32(header, 92);
    let page_count = if is_header_count_valid {
        header_page_count.min(file_page_count)
    } else {
        file_page_count
    };
    let reader = PageReader { file, page_size, usable_size, page_count };
    if is_supported { reader.last_entry(reader.history_root_page()?) } else { None }
}

/// The size of a database's pages.
pub(crate) fn page_size(header: &[u8; HEADER_SIZE]) -> usize {
    match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => usize::from(size),
    }
}

fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

struct PageReader<'f> {
    file: &'f File,
    page_size: usize,
    /// The bytes of each page that hold content.
    usable_size: usize,
    /// How many there are.
    page_count: u64,
}

/// A page of a table's tree.
struct Page {
    bytes: Vec<u8>,
    /// Where its own header begins: behind the database's, on the first page.
    header_offset: usize,
    is_leaf: bool,
    cell_count: usize,
}

impl PageReader<'_> {
    fn read_page(&self, number: u32) -> Option<Page> {
        const INTERIOR: u8 = 0x05;
        const LEAF: u8 = 0x0d;
        if u64::from(number) > self.page_count {
            return None;
        }
        let position = u64::from(number.checked_sub(1)?) * self.page_size as u64;
        let mut bytes = vec![0; self.page_size];
        read_at(self.file, &mut bytes, position)?;
        let header_offset = if number == 1 { HEADER_SIZE } else { 0 };
        let page_type = bytes[header_offset];
        let cell_count =
            usize::from(u16::from_be_bytes([bytes[header_offset + 3], bytes[header_offset + 4]]));
        let is_leaf = page_type == LEAF;
        (is_leaf || page_type == INTERIOR).then_some(Page {
            bytes,
            header_offset,
            is_leaf,
            cell_count,
        })
    }

    /// The root of the record's tree, if the record is a table as tatmig makes it.
    fn history_root_page(&self) -> Option<u32> {
        let mut pages_to_visit = vec![1];
        for _ in 0..MAX_PAGES_READ {
            let page = self.read_page(pages_to_visit.pop()?)?;
            if !page.is_leaf {
                pages_to_visit.push(page.rightmost_child()?);
                for cell in (0..page.cell_count).rev() {
                    pages_to_visit.push(read_u32(&page.bytes, page.cell_offset(cell)?)?);
                }
                continue;
            }
            for cell in 0..page.cell_count {
                let (_, payload) = self.row_payload(&page, cell)?;
                let mut values = RecordCursor::new(payload)?;
                let (kind, name) = (values.next(), values.next());
                if name != Some(RecordValue::Text(history::TABLE_NAME)) {
                    continue;
                }
                let (_, root, sql) = (values.next(), values.next(), values.next());
                let is_history_table = kind == Some(RecordValue::Text("table"))
                    && matches!(sql, Some(RecordValue::Text(sql)) if history::is_history_table_sql(sql));
                let Some(RecordValue::Integer(root)) = root.filter(|_| is_history_table) else {
                    return None;
                };
                return u32::try_from(root).ok();
            }
        }
        None
    }

    /// The last row of the record.
    fn last_entry(&self, root: u32) -> Option<HistoryEntry> {
        let mut page_number = root;
        for _ in 0..MAX_PAGES_READ {
            let page = self.read_page(page_number)?;
            if !page.is_leaf {
                page_number = page.rightmost_child()?;
                continue;
            }
            let (id, payload) = self.row_payload(&page, page.cell_count.checked_sub(1)?)?;
            let mut values = RecordCursor::new(payload)?;
            return HistoryEntry::from_record_values(id, || values.next());
        }
        None
    }

    /// The number of a row, and as much of its content as stands on the page.
    fn row_payload<'p>(&self, page: &'p Page, cell: usize) -> Option<(i64, &'p [u8])> {
        let mut rest = page.bytes.get(page.cell_offset(cell)?..self.usable_size)?;
        let length = usize::try_from(read_varint(&mut rest)?).ok()?;
        let id = read_varint(&mut rest)?;
        let max_local = self.usable_size - 35;
        let local_length = if length <= max_local {
            length
        } else {
            let min_local = (self.usable_size - 12) * 32 / 255 - 23;
            let local = min_local + (length - min_local) % (self.usable_size - 4);
            if local <= max_local { local } else { min_local }
        };
        Some((id, rest.get(..local_length)?))
    }
}

impl Page {
    /// Where a cell begins.
    fn cell_offset(&self, cell: usize) -> Option<usize> {
        let pointer_array = self.header_offset + if self.is_leaf { 8 } else { 12 };
        let pointer_offset = pointer_array + 2 * cell;
        Some(usize::from(u16::from_be_bytes([
            *self.bytes.get(pointer_offset)?,
            *self.bytes.get(pointer_offset + 1)?,
        ])))
    }

    fn rightmost_child(&self) -> Option<u32> {
        read_u32(&self.bytes, self.header_offset + 8)
    }
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RecordValue<'p> {
    Null,
    Integer(i64),
    Text(&'p str),
    Other,
}

/// The values of a row, one after the other; none is told that does not stand whole on the page.
struct RecordCursor<'p> {
    types: &'p [u8],
    content: &'p [u8],
}

impl<'p> RecordCursor<'p> {
    fn new(payload: &'p [u8]) -> Option<Self> {
        let mut rest = payload;
        let length = usize::try_from(read_varint(&mut rest)?).ok()?;
        let types = payload.get(payload.len() - rest.len()..length)?;
        Some(Self { types, content: payload.get(length..)? })
    }

    fn next(&mut self) -> Option<RecordValue<'p>> {
        let serial_type = read_varint(&mut self.types)?;
        let length = match serial_type {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(serial_type).ok()?,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((serial_type - 12) / 2).ok()?,
            _ => return None,
        };
        let (bytes, rest) = self.content.split_at_checked(length)?;
        self.content = rest;
        Some(match serial_type {
            0 => RecordValue::Null,
            8 => RecordValue::Integer(0),
            9 => RecordValue::Integer(1),
            1..=6 => {
                let sign = if bytes[0] >= 0x80 { -1 } else { 0 };
                RecordValue::Integer(
                    bytes.iter().fold(sign, |all, byte| all << 8 | i64::from(*byte)),
                )
            }
            13.. if serial_type % 2 == 1 => RecordValue::Text(std::str::from_utf8(bytes).ok()?),
            _ => RecordValue::Other,
        })
    }
}

/// Takes one of SQLite's integers of one to nine bytes.
fn read_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte_index in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if byte_index == 8 {
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

impl HistoryEntry {
    /// A row from its values in their order, the first of which stands for the row's number;
    /// nothing if one of them is not what tatmig writes.
    pub(crate) fn from_record_values<'v>(
        id: i64,
        mut next_value: impl FnMut() -> Option<RecordValue<'v>>,
    ) -> Option<Self> {
        let text = |value: Option<RecordValue<'v>>| match value? {
            RecordValue::Text(text) => Some(Some(text.to_owned())),
            RecordValue::Null => Some(None),
            RecordValue::Integer(_) | RecordValue::Other => None,
        };
        let (RecordValue::Null, RecordValue::Text(event)) = (next_value()?, next_value()?) else {
            return None;
        };
        Some(Self {
            id,
            event: HistoryEvent::parse(event)?,
            from: text(next_value())??,
            to: text(next_value())??,
            checksum: {
                // The scope, which the database's own place tells.
                text(next_value())??;
                text(next_value())?
            },
            chain: text(next_value())?,
            applied_at: text(next_value())??,
            duration_ms: match next_value()? {
                RecordValue::Integer(duration) => duration,
                _ => return None,
            },
            tool_version: text(next_value())??,
            note: text(next_value())?,
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
    use crate::database::ReadDatabase as _;
    use crate::database::history_entry::HistoryState;
    use crate::sqlite::preflight::{Access, preflight};

    /// A database whose record has some rows, behind and before some tables.
    fn create_database(path: &Path, pragmas: &str, (before, after, rows): (usize, usize, i64)) {
        let _ = fs::remove_file(path);
        let connection = Connection::open(path).unwrap();
        let tables = |lead: &str, count: usize| -> String {
            let table = |at| format!("CREATE TABLE {lead}{at} (id INTEGER PRIMARY KEY, a TEXT);");
            (0..count).map(table).collect()
        };
        connection.execute_batch(pragmas).unwrap();
        connection.execute_batch(&format!("BEGIN; {}", tables("a", before))).unwrap();
        history::create_table(&connection).unwrap();
        connection.execute_batch(&tables("b", after)).unwrap();
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

    fn preflight_state(path: &Path) -> Option<HistoryState> {
        preflight(path, Access::Read).unwrap().history_state
    }

    fn temp_database_path() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        (directory, path)
    }

    #[test]
    fn fast_read_agrees_with_sqlite() {
        let (_directory, path) = temp_database_path();
        for page_size in [512, 1024, 4096, 65_536] {
            for pragmas in ["", "PRAGMA auto_vacuum = FULL;", "PRAGMA journal_mode = WAL;"] {
                for shape in [(0, 0, 1), (3, 40, 2), (400, 3, 300), (0, 300, 5_000)] {
                    let pragmas = format!("PRAGMA page_size = {page_size}; {pragmas}");
                    create_database(&path, &pragmas, shape);
                    let fast_state = preflight_state(&path);
                    let sqlite_state = Connection::open(&path).unwrap().history_state().unwrap();
                    // On the smallest pages the record's own SQL runs over, and of very many
                    // pages not all are read.
                    let may_fall_back = page_size == 512 || (page_size == 1024 && shape.0 == 400);
                    assert!(fast_state.is_some() || may_fall_back, "{pragmas} {shape:?}");
                    assert!(
                        fast_state.is_none_or(|told| told == sqlite_state),
                        "{pragmas} {shape:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn unfamiliar_content_falls_back_to_sqlite() {
        let (_directory, path) = temp_database_path();
        let assert_falls_back_after = |sql: &str| {
            create_database(&path, "", (1, 1, 2));
            assert!(preflight_state(&path).is_some());
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
            assert_eq!(preflight_state(&path), None, "{sql}");
        };
        assert_falls_back_after("ALTER TABLE _tatmig_migrations ADD COLUMN more TEXT");
        assert_falls_back_after("ALTER TABLE _tatmig_migrations RENAME TO elsewhere");
        assert_falls_back_after("DELETE FROM _tatmig_migrations");
        assert_falls_back_after("UPDATE _tatmig_migrations SET event = 'other'");
        assert_falls_back_after("UPDATE _tatmig_migrations SET duration_ms = 1.5");
        assert_falls_back_after("UPDATE _tatmig_migrations SET note = x'00'");
        assert_falls_back_after(&format!(
            "UPDATE _tatmig_migrations SET note = '{}'",
            "long ".repeat(5_000)
        ));
        create_database(&path, "PRAGMA encoding = 'UTF-16le'", (1, 1, 2));
        assert_eq!(preflight_state(&path), None);
        for side_file in ["a.db-journal", "a.db-wal"] {
            create_database(&path, "", (1, 1, 2));
            let beside = path.with_file_name(side_file);
            fs::write(&beside, []).unwrap();
            assert_eq!(preflight_state(&path), None, "{}", beside.display());
            fs::remove_file(&beside).unwrap();
        }
    }

    #[test]
    fn invalid_headers_fall_back_to_sqlite() {
        let (_directory, path) = temp_database_path();
        for (offset, byte) in
            [(0, 0), (16, 0), (18, 3), (19, 0), (21, 65), (23, 0), (31, 1), (47, 9)]
        {
            create_database(&path, "", (1, 1, 2));
            let mut bytes = fs::read(&path).unwrap();
            bytes[offset] = byte;
            fs::write(&path, bytes).unwrap();
            let state = preflight(&path, Access::Read).ok().and_then(|header| header.history_state);
            assert_eq!(state, None, "byte {offset}");
        }
    }

    #[test]
    fn a_lock_of_the_same_process_blocks_the_shared_lock() {
        let (_directory, path) = temp_database_path();
        create_database(&path, "", (1, 1, 2));
        let connection = Connection::open(&path).unwrap();
        let file = File::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE").unwrap();
        assert!(!try_shared_lock(&file));
        connection.execute_batch("COMMIT").unwrap();
        assert!(try_shared_lock(&file));
    }

    #[test]
    fn damaged_files_never_panic() {
        let (_directory, path) = temp_database_path();
        create_database(&path, "PRAGMA page_size = 1024", (4, 3, 8));
        let intact = fs::read(&path).unwrap();
        assert!(preflight_state(&path).is_some());
        let read_last_entry = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let header = bytes[..HEADER_SIZE].try_into().unwrap();
            let _ = last_history_entry(&File::open(&path).unwrap(), header);
        };
        for offset in 0..intact.len() {
            let mut damaged = intact.clone();
            damaged[offset] ^= [0x01, 0x80, 0xff][offset % 3];
            read_last_entry(&damaged);
        }
        for size in [[0, 0], [0, 1], [0, 16], [1, 0], [0x80, 0], [0xff, 0xff]] {
            for reserved in [0, 1, 200, 255] {
                let mut damaged = intact.clone();
                damaged[16..18].copy_from_slice(&size);
                damaged[20] = reserved;
                read_last_entry(&damaged);
            }
        }
        for length in (HEADER_SIZE..intact.len()).step_by(100) {
            read_last_entry(&intact[..length]);
        }
    }
}
