//! Lists what the server offers, and reads what the editor understands.

use gen_lsp_types as lsp;

use crate::lsp::features::commands::COMMANDS;
use crate::lsp::methods::METHODS;
use crate::lsp::position::Encoding;

/// What the server has to know of the editor.
#[derive(Clone, Debug)]
pub(crate) struct ClientFeatures {
    pub(crate) encoding: Encoding,
    /// Whether code lenses can be requested again.
    pub(crate) refreshes_code_lenses: bool,
    pub(crate) refreshes_inlay_hints: bool,
    /// Whether the server can ask to be notified of changes of tatmig.toml.
    pub(crate) registers_watchers: bool,
}

impl ClientFeatures {
    /// Chooses the encoding: UTF-8, in which texts are held, if the editor offers it. UTF-16 is the
    /// protocol's default.
    pub(crate) fn new(capabilities: &lsp::ClientCapabilities) -> Self {
        let general = capabilities.general.as_ref();
        let encodings = general.and_then(|general| general.position_encodings.as_ref());
        let offers_utf8 =
            encodings.is_some_and(|encodings| encodings.contains(&lsp::PositionEncodingKind::UTF8));
        let workspace = capabilities.workspace.as_ref();
        let code_lens = workspace.and_then(|workspace| workspace.code_lens.as_ref());
        let inlay_hint = workspace.and_then(|workspace| workspace.inlay_hint.as_ref());
        let watched = workspace.and_then(|workspace| workspace.did_change_watched_files.as_ref());
        Self {
            encoding: if offers_utf8 { Encoding::Utf8 } else { Encoding::Utf16 },
            refreshes_code_lenses: code_lens
                .and_then(|code_lens| code_lens.refresh_support)
                .unwrap_or(false),
            refreshes_inlay_hints: inlay_hint
                .and_then(|inlay_hint| inlay_hint.refresh_support)
                .unwrap_or(false),
            registers_watchers: watched
                .and_then(|watched| watched.dynamic_registration)
                .unwrap_or(false),
        }
    }
}

/// What the server offers.
pub(crate) fn server_capabilities(encoding: Encoding) -> lsp::ServerCapabilities {
    let mut capabilities = lsp::ServerCapabilities {
        position_encoding: Some(match encoding {
            Encoding::Utf8 => lsp::PositionEncodingKind::UTF8,
            Encoding::Utf16 => lsp::PositionEncodingKind::UTF16,
        }),
        text_document_sync: Some(lsp::TextDocumentSync::Options(lsp::TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(lsp::TextDocumentSyncKind::Incremental),
            save: Some(lsp::Save::Bool(true)),
            ..lsp::TextDocumentSyncOptions::default()
        })),
        execute_command_provider: Some(lsp::ExecuteCommandOptions {
            commands: COMMANDS.map(ToOwned::to_owned).into(),
            ..lsp::ExecuteCommandOptions::default()
        }),
        ..lsp::ServerCapabilities::default()
    };
    for method in METHODS {
        (method.offer)(&mut capabilities);
    }
    capabilities
}
