//! Reads the last history row directly from the file's pages, under SQLite's shared lock, without
//! loading the schema. SQLite itself parses the whole schema before it answers the same question,
//! and for a fleet without pending migrations that would be most of the run time.
//!
//! The reader never guesses. The caller holds the shared lock, as SQLite's own readers do, and has
//! checked that the file has neither a journal nor a WAL, so no program can write to the file
//! meanwhile. Anything that is not exactly as tatmig writes it returns `None`, and the caller asks
//! SQLite. The file format is documented and guaranteed not to change:
//! <https://sqlite.org/fileformat.html>.

use std::fs::File;

use crate::database::history;
use crate::database::history_entry::{HistoryEntry, HistoryEvent};
use crate::sqlite::record_format::{RecordCursor, RecordValue, read_varint};

/// The first bytes of every database.
pub(crate) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The largest number of pages read for one search; beyond it SQLite has to answer.
const MAX_PAGES_READ: usize = 64;

/// The length of the database header, in bytes.
pub(crate) const HEADER_SIZE: usize = 100;

/// Whether a file with these first bytes is a database of SQLite.
#[must_use]
pub fn has_database_header(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The last history row of a file on which the caller holds the shared lock; `None` where SQLite
/// has to be asked.
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
    // The header's page count is valid only if the last writer knew that field: then the change
    // counter (offset 24) equals the version-valid-for number (offset 92).
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

/// The page size of a database, in bytes.
pub(crate) fn page_size(header: &[u8; HEADER_SIZE]) -> usize {
    match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => usize::from(size),
    }
}

fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

/// Reads b-tree pages of a database file.
struct PageReader<'f> {
    file: &'f File,
    page_size: usize,
    /// The bytes of each page that hold content: without the reserved region at its end.
    usable_size: usize,
    page_count: u64,
}

/// A page of a table b-tree.
struct Page {
    bytes: Vec<u8>,
    /// The offset of the page header: after the database header on page 1, else 0.
    header_offset: usize,
    is_leaf: bool,
    cell_count: usize,
}

impl PageReader<'_> {
    /// Reads a page; `None` if it does not exist or is no page of a table b-tree.
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

    /// The root page of the history table, if its SQL is what tatmig writes.
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
                let row = self.read_row(&page, cell)?;
                let mut values = RecordCursor::new(row.payload)?;
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

    /// The last row of the history table: the last cell of the rightmost leaf.
    fn last_entry(&self, root: u32) -> Option<HistoryEntry> {
        let mut page_number = root;
        for _ in 0..MAX_PAGES_READ {
            let page = self.read_page(page_number)?;
            if !page.is_leaf {
                page_number = page.rightmost_child()?;
                continue;
            }
            let row = self.read_row(&page, page.cell_count.checked_sub(1)?)?;
            let mut values = RecordCursor::new(row.payload)?;
            return HistoryEntry::from_record_values(row.id, || values.next());
        }
        None
    }

    /// The row in a leaf page's cell, with the part of its payload that is on the page.
    fn read_row<'p>(&self, page: &'p Page, cell: usize) -> Option<Row<'p>> {
        let mut rest = page.bytes.get(page.cell_offset(cell)?..self.usable_size)?;
        let length = usize::try_from(read_varint(&mut rest)?).ok()?;
        let id = read_varint(&mut rest)?;
        // How much of the payload is on this page, by the rules of the file format.
        let max_local = self.usable_size - 35;
        let local_length = if length <= max_local {
            length
        } else {
            let min_local = (self.usable_size - 12) * 32 / 255 - 23;
            let local = min_local + (length - min_local) % (self.usable_size - 4);
            if local <= max_local { local } else { min_local }
        };
        Some(Row { id, payload: rest.get(..local_length)? })
    }
}

/// A row of a table.
struct Row<'p> {
    /// The rowid.
    id: i64,
    /// The part of the payload that is on the page.
    payload: &'p [u8],
}

impl Page {
    /// The offset of a cell in the page.
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

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], position: u64) -> Option<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, position).ok()
}

#[cfg(not(unix))]
fn read_at(_file: &File, _bytes: &mut [u8], _position: u64) -> Option<()> {
    None
}

impl HistoryEntry {
    /// Builds an entry from a row's values in column order; `None` if a value is not what tatmig
    /// writes. The first value is NULL: an `INTEGER PRIMARY KEY` is stored as the rowid.
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
                // Skips the scope: the caller knows the database's scope.
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
    use crate::database::error::DatabaseError;
    use crate::database::history_entry::HistoryState;
    use crate::sqlite::database_file::{Access, DatabaseFile};
    use crate::sqlite::preflight::{FileInfo, preflight};
    use crate::sqlite::regular_file::SymlinkPolicy;

    /// How much a database under test holds.
    #[derive(Clone, Copy, Debug)]
    struct Contents {
        /// Tables created before the history table.
        tables_before: usize,
        /// Tables created after the history table.
        tables_after: usize,
        history_rows: i64,
    }

    const SMALL: Contents = Contents { tables_before: 1, tables_after: 1, history_rows: 2 };

    /// Creates a database with a history table between other tables.
    fn create_database(path: &Path, pragmas: &str, contents: Contents) {
        let _ = fs::remove_file(path);
        let connection = Connection::open(path).unwrap();
        let tables = |lead: &str, count: usize| -> String {
            let table = |at| format!("CREATE TABLE {lead}{at} (id INTEGER PRIMARY KEY, a TEXT);");
            (0..count).map(table).collect()
        };
        connection.execute_batch(pragmas).unwrap();
        connection
            .execute_batch(&format!("BEGIN; {}", tables("a", contents.tables_before)))
            .unwrap();
        history::create_table(&connection).unwrap();
        connection.execute_batch(&tables("b", contents.tables_after)).unwrap();
        for row in 0..contents.history_rows {
            let note =
                (row % 3 == 1).then(|| "é → a note; ".repeat(if row % 2 == 0 { 3 } else { 0 }));
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

    fn try_preflight(path: &Path) -> Result<FileInfo, DatabaseError> {
        let database = DatabaseFile::new(path.to_owned(), SymlinkPolicy::Refuse);
        preflight(&database, Access::Read)
    }

    fn preflight_state(path: &Path) -> Option<HistoryState> {
        try_preflight(path).unwrap().history_state
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
                for (tables_before, tables_after, history_rows) in
                    [(0, 0, 1), (3, 40, 2), (400, 3, 300), (0, 300, 5_000)]
                {
                    let contents = Contents { tables_before, tables_after, history_rows };
                    let pragmas = format!("PRAGMA page_size = {page_size}; {pragmas}");
                    create_database(&path, &pragmas, contents);
                    let fast_state = preflight_state(&path);
                    let sqlite_state = Connection::open(&path).unwrap().history_state().unwrap();
                    // On the smallest pages the history table's own SQL needs an overflow page,
                    // and the search stops after `MAX_PAGES_READ` pages.
                    let may_fall_back =
                        page_size == 512 || (page_size == 1024 && tables_before == 400);
                    assert!(fast_state.is_some() || may_fall_back, "{pragmas} {contents:?}");
                    assert!(
                        fast_state.is_none_or(|state| state == sqlite_state),
                        "{pragmas} {contents:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn unfamiliar_content_falls_back_to_sqlite() {
        let (_directory, path) = temp_database_path();
        let assert_falls_back_after = |sql: &str| {
            create_database(&path, "", SMALL);
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
        create_database(&path, "PRAGMA encoding = 'UTF-16le'", SMALL);
        assert_eq!(preflight_state(&path), None);
        for side_file in ["a.db-journal", "a.db-wal"] {
            create_database(&path, "", SMALL);
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
            create_database(&path, "", SMALL);
            let mut bytes = fs::read(&path).unwrap();
            bytes[offset] = byte;
            fs::write(&path, bytes).unwrap();
            let state = try_preflight(&path).ok().and_then(|header| header.history_state);
            assert_eq!(state, None, "byte {offset}");
        }
    }

    #[test]
    fn damaged_files_never_panic() {
        let (_directory, path) = temp_database_path();
        create_database(
            &path,
            "PRAGMA page_size = 1024",
            Contents { tables_before: 4, tables_after: 3, history_rows: 8 },
        );
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
