//! Holds the text of an open document and applies the changes that an editor sends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gen_lsp_types as lsp;
use lsp::TextDocumentContentChangeEvent as Change;

use crate::lsp::analysis::Analysis;
use crate::lsp::host::DocumentSettings;
use crate::lsp::position::{Encoding, LineIndex};

/// An open document.
pub(crate) struct OpenDocument {
    pub(crate) uri: lsp::Uri,
    /// The path of the file; that of an unsaved document is made of its URI.
    pub(crate) path: PathBuf,
    pub(crate) version: i32,
    pub(crate) text: Arc<str>,
    pub(crate) index: Arc<LineIndex>,
    pub(crate) settings: DocumentSettings,
    /// The newest analysis, which may be of an older text.
    pub(crate) analysis: Option<Arc<Analysis>>,
    /// Ends the analysis that was started last.
    pub(crate) cancel: Arc<AtomicBool>,
}

impl OpenDocument {
    /// Applies changes in order. Each refers to the text after the one before it.
    pub(crate) fn apply(&mut self, version: i32, changes: Vec<Change>, encoding: Encoding) {
        let mut text = String::from(&*self.text);
        let mut index = None;
        for change in changes {
            match change {
                Change::TextDocumentContentChangePartial(part) => {
                    let lines = index.as_ref().unwrap_or(&*self.index);
                    let start = lines.offset(&text, part.range.start);
                    let end = lines.offset(&text, part.range.end);
                    text.replace_range(start.min(end)..start.max(end), &part.text);
                }
                Change::TextDocumentContentChangeWholeDocument(whole) => text = whole.text,
            }
            index = Some(LineIndex::new(&text, encoding));
        }
        self.version = version;
        if let Some(index) = index {
            (self.text, self.index) = (text.into(), Arc::new(index));
        }
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Ends the analysis of an older text. Returns the flag of the next one.
    pub(crate) fn replace_cancel_flag(&mut self) -> Arc<AtomicBool> {
        self.cancel.store(true, Ordering::Relaxed);
        self.cancel = Arc::default();
        self.cancel.clone()
    }

    /// Whether the newest text is analysed.
    pub(crate) fn is_analysed(&self) -> bool {
        let analysis = self.analysis.as_ref();
        analysis.is_some_and(|analysis| Arc::ptr_eq(&analysis.text, &self.text))
    }
}
