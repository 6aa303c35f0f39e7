//! Gives a request what is known of a document at the moment of the request.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use gen_lsp_types as lsp;

use crate::edit::page::DocumentView;
use crate::lsp::analysis::Analysis;
use crate::lsp::fleet::FleetFacts;
use crate::lsp::host::{DocumentSettings, Host};
use crate::lsp::model::Model;
use crate::lsp::position::LineIndex;

/// A document as one request sees it.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) uri: lsp::Uri,
    pub(crate) path: PathBuf,
    pub(crate) version: i32,
    pub(crate) text: Arc<str>,
    pub(crate) index: Arc<LineIndex>,
    pub(crate) settings: DocumentSettings,
    /// May be of an older text.
    pub(crate) analysis: Option<Arc<Analysis>>,
    pub(crate) fleet: Arc<FleetFacts>,
    pub(crate) host: Arc<dyn Host>,
}

impl Snapshot {
    /// The blocks, sections and code blocks of the text.
    pub(crate) fn view(&self) -> DocumentView<'_> {
        DocumentView::parse(&self.text)
    }

    pub(crate) fn offset(&self, position: lsp::Position) -> usize {
        self.index.offset(&self.text, position)
    }

    pub(crate) fn range(&self, range: Range<usize>) -> lsp::Range {
        self.index.range(&self.text, range)
    }

    pub(crate) fn location(&self, range: Range<usize>) -> lsp::Location {
        lsp::Location { uri: self.uri.clone(), range: self.range(range) }
    }

    /// The model of this text.
    pub(crate) fn model(&self) -> Option<&Model> {
        let analysis = self.analysis.as_ref()?;
        if Arc::ptr_eq(&analysis.text, &self.text) { analysis.current_model() } else { None }
    }

    /// The changes of the text that an edit makes.
    pub(crate) fn workspace_edit(
        &self,
        edits: impl IntoIterator<Item = crate::edit::TextEdit>,
    ) -> lsp::WorkspaceEdit {
        let edits = edits.into_iter().map(|edit| lsp::TextEdit {
            range: self.range(edit.range()),
            new_text: edit.text().to_owned(),
        });
        let document = lsp::TextDocumentEdit {
            text_document: lsp::OptionalVersionedTextDocumentIdentifier {
                version: Some(self.version),
                text_document_identifier: lsp::TextDocumentIdentifier { uri: self.uri.clone() },
            },
            edits: edits.map(lsp::Edit::TextEdit).collect(),
        };
        lsp::WorkspaceEdit {
            document_changes: Some(vec![lsp::DocumentChange::TextDocumentEdit(document)]),
            ..lsp::WorkspaceEdit::default()
        }
    }
}
