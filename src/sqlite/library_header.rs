//! Reads the first bytes of a library: whether it is complete and for this program. The operating
//! system's own message about such a file does not reach SQLite's caller, and a file that was cut off
//! would end the process with a signal.

/// How many bytes are read.
pub(crate) const HEADER_LENGTH: u64 = 64;

/// Why a file cannot be a library for this program, by its first bytes and its length.
#[cfg(target_os = "linux")]
pub(crate) fn header_problem(header: &[u8], length: u64) -> Option<String> {
    use std::io::Read as _;

    if !header.starts_with(b"\x7fELF") {
        return Some("it is not a shared library of Linux".to_owned());
    }
    let mut own = Vec::new();
    let program = std::fs::File::open("/proc/self/exe").ok()?;
    program.take(HEADER_LENGTH).read_to_end(&mut own).ok()?;
    // Bytes 4 and 5 are the word size and the byte order, 18 and 19 the processor.
    let target = |header: &[u8]| Some([header.get(4..6)?, header.get(18..20)?].concat());
    if target(header) != target(&own) {
        let processor = std::env::consts::ARCH;
        return Some(format!(
            "it is for another processor than this program, which is for {processor}"
        ));
    }
    let is_complete = end_of_section_headers(header).is_some_and(|end| end <= length);
    (!is_complete).then(|| "the file is not complete".to_owned())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn header_problem(header: &[u8], _length: u64) -> Option<String> {
    header.is_empty().then(|| "the file is empty".to_owned())
}

/// Where the table of section headers ends, which linkers write last; 0 if it was removed. The header
/// is for this processor, so its numbers are in the order of this processor's bytes.
#[cfg(target_os = "linux")]
fn end_of_section_headers(header: &[u8]) -> Option<u64> {
    let u16_at = |offset: usize| {
        Some(u64::from(u16::from_ne_bytes(header.get(offset..offset + 2)?.try_into().ok()?)))
    };
    if cfg!(target_pointer_width = "64") {
        let start = u64::from_ne_bytes(header.get(40..48)?.try_into().ok()?);
        start.checked_add(u16_at(58)? * u16_at(60)?)
    } else {
        let start = u32::from_ne_bytes(header.get(32..36)?.try_into().ok()?);
        u64::from(start).checked_add(u16_at(46)? * u16_at(48)?)
    }
}
