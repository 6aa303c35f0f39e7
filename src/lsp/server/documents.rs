//! Opens and closes documents, and publishes what their analyses find.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use gen_lsp_types as lsp;

use crate::database::connection::ConnectionSetup;
use crate::lint::LintOptions;
use crate::lsp::analysis::Analysis;
use crate::lsp::analysis_worker::{AnalysisJob, TextToAnalyse};
use crate::lsp::capabilities::ClientFeatures;
use crate::lsp::document::OpenDocument;
use crate::lsp::features::diagnostics::{FindingSet, publication};
use crate::lsp::host::DocumentSettings;
use crate::lsp::position::LineIndex;
use crate::lsp::server::{SETTLE_TIME, Server};
use crate::lsp::uri;

impl Server {
    pub(super) fn open(&mut self, item: lsp::TextDocumentItem, client: &ClientFeatures) {
        let path = uri::to_path(&item.uri.0);
        let defaults = || DocumentSettings::new(LintOptions::default(), ConnectionSetup::default());
        let settings = self.read_settings(path.as_ref()).unwrap_or_else(defaults);
        let uri = item.uri.0.clone();
        let document = OpenDocument {
            path: path.unwrap_or_else(|| PathBuf::from(&uri)),
            version: item.version,
            index: Arc::new(LineIndex::new(&item.text, client.encoding)),
            text: item.text.into(),
            settings,
            analysis: None,
            cancel: Arc::default(),
            uri: item.uri,
        };
        self.documents.insert(uri.clone(), document);
        self.analyse(&uri, true);
        self.request_fleet_status(&uri);
    }

    pub(super) fn close(&mut self, uri: &lsp::Uri) {
        let Some(mut document) = self.documents.remove(&uri.0) else { return };
        document.replace_cancel_flag();
        self.settling.remove(&uri.0);
        self.fleets.remove(&uri.0);
        let _ = self.analysis_jobs.send(AnalysisJob::Forget(uri.0.clone()));
        let empty = lsp::PublishDiagnosticsParams {
            uri: uri.clone(),
            version: None,
            diagnostics: Vec::new(),
        };
        self.notify("textDocument/publishDiagnostics", &empty);
        self.dispatch_waiting();
    }

    /// The settings for a document. `None` without a path, and if the settings have an error, which is
    /// shown once.
    fn read_settings(&mut self, path: Option<&PathBuf>) -> Option<DocumentSettings> {
        match self.host.settings(path?) {
            Ok(settings) => {
                self.settings_error = None;
                Some(settings)
            }
            Err(error) => {
                if self.settings_error.as_ref() != Some(&error) {
                    self.show_message(lsp::MessageType::Error, &error);
                    self.settings_error = Some(error);
                }
                None
            }
        }
    }

    /// Reads the settings again. A document whose settings have an error keeps those that it has: a
    /// half-typed `tatmig.toml` changes no diagnostics.
    pub(super) fn reload_settings(&mut self) {
        let uris: Vec<String> = self.documents.keys().cloned().collect();
        for uri in uris {
            let path = uri::to_path(&uri);
            let Some(settings) = self.read_settings(path.as_ref()) else { continue };
            if let Some(document) = self.documents.get_mut(&uri) {
                document.settings = settings;
                // The same text, at another address: it counts as not analysed.
                document.text = Arc::from(&*document.text);
                self.analyse(&uri, true);
            }
        }
    }

    /// Starts the analysis of a document's text.
    pub(super) fn analyse(&mut self, uri: &str, has_new_settings: bool) {
        let Some(document) = self.documents.get_mut(uri) else { return };
        let job = TextToAnalyse {
            uri: uri.to_owned(),
            name: document.name(),
            version: document.version,
            text: document.text.clone(),
            settings: document.settings.clone(),
            has_new_settings,
            cancel: document.replace_cancel_flag(),
        };
        let _ = self.analysis_jobs.send(AnalysisJob::Analyse(job));
        self.dispatch_waiting();
    }

    pub(super) fn take_analysis(&mut self, uri: &str, analysis: &Arc<Analysis>) {
        let Some(document) = self.documents.get_mut(uri) else { return };
        document.analysis = Some(analysis.clone());
        if document.is_analysed() {
            let publication =
                publication(&document.uri, &document.index, analysis, FindingSet::WithRetained);
            self.notify("textDocument/publishDiagnostics", &publication);
            if analysis.retained.is_empty() {
                self.settling.remove(uri);
            } else {
                self.settling.insert(uri.to_owned(), Instant::now() + SETTLE_TIME);
            }
        }
        self.dispatch_waiting();
    }

    /// Sends exactly what lint finds for documents that have not changed for a while.
    pub(super) fn publish_settled(&mut self) {
        let now = Instant::now();
        let settled = self.settling.iter().filter(|(_, at)| **at <= now);
        let settled: Vec<String> = settled.map(|(uri, _)| uri.clone()).collect();
        for uri in settled {
            self.settling.remove(&uri);
            let Some(document) = self.documents.get(&uri).filter(|document| document.is_analysed())
            else {
                continue;
            };
            if let Some(analysis) = &document.analysis {
                let exact =
                    publication(&document.uri, &document.index, analysis, FindingSet::Exact);
                self.notify("textDocument/publishDiagnostics", &exact);
            }
        }
    }
}
