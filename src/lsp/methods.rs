//! Lists the requests about documents that the server answers: what each needs, how it is answered,
//! and what the server offers for it.

use gen_lsp_types as lsp;
use lsp_server::{ErrorCode, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lsp::features::semantic_tokens::TOKEN_TYPES;
use crate::lsp::features::{
    code_actions, code_lenses, completion, diagnostics, hover, navigation, rename, semantic_tokens,
    structure, symbols,
};
use crate::lsp::snapshot::Snapshot;

/// A method of the protocol.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) answer: Answer,
    /// Adds the method to what the server offers.
    pub(crate) offer: fn(&mut lsp::ServerCapabilities),
}

/// What a request is about, and how it is answered.
pub(crate) enum Answer {
    /// The document that the parameters name.
    Document(Readiness, fn(Request, &Snapshot) -> Response),
    /// Every open document.
    Workspace(fn(Request, &[Snapshot]) -> Response),
}

/// What a request about a document needs before it can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The text alone, or whatever analysis exists.
    Now,
    /// An analysis of some text.
    FirstAnalysis,
    /// The analysis of the newest text.
    NewestAnalysis,
}

/// The method with a name; `None` for one that the server does not offer.
pub(crate) fn find_method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

pub(crate) const METHODS: &[Method] = &[
    Method {
        name: "textDocument/foldingRange",
        answer: Answer::Document(Readiness::Now, |request, document| {
            with_params(request, |_: lsp::FoldingRangeParams| structure::folding_ranges(document))
        }),
        offer: |offered| {
            offered.folding_range_provider = Some(lsp::FoldingRangeProvider::Bool(true));
        },
    },
    Method {
        name: "textDocument/selectionRange",
        answer: Answer::Document(Readiness::Now, |request, document| {
            with_params(request, |params: lsp::SelectionRangeParams| {
                structure::selection_ranges(document, &params.positions)
            })
        }),
        offer: |offered| {
            offered.selection_range_provider = Some(lsp::SelectionRangeProvider::Bool(true));
        },
    },
    Method {
        name: "textDocument/documentLink",
        answer: Answer::Document(Readiness::Now, |request, document| {
            with_params(request, |_: lsp::DocumentLinkParams| structure::document_links(document))
        }),
        offer: |offered| {
            offered.document_link_provider = Some(lsp::DocumentLinkOptions::default());
        },
    },
    Method {
        name: "textDocument/semanticTokens/full",
        answer: Answer::Document(Readiness::Now, |request, document| {
            with_params(request, |_: lsp::SemanticTokensParams| {
                semantic_tokens::semantic_tokens(document, None)
            })
        }),
        offer: offer_semantic_tokens,
    },
    Method {
        name: "textDocument/semanticTokens/range",
        answer: Answer::Document(Readiness::Now, |request, document| {
            with_params(request, |params: lsp::SemanticTokensRangeParams| {
                semantic_tokens::semantic_tokens(document, Some(params.range))
            })
        }),
        offer: offer_semantic_tokens,
    },
    Method {
        name: "workspace/symbol",
        answer: Answer::Workspace(|request, documents| {
            with_params(request, |params: lsp::WorkspaceSymbolParams| {
                symbols::workspace_symbols(documents, &params.query)
            })
        }),
        offer: |offered| {
            offered.workspace_symbol_provider = Some(lsp::WorkspaceSymbolProvider::Bool(true));
        },
    },
    Method {
        name: "textDocument/completion",
        answer: Answer::Document(Readiness::FirstAnalysis, |request, document| {
            with_params(request, |params: lsp::CompletionParams| {
                completion::completion(document, params.text_document_position_params.position)
            })
        }),
        offer: |offered| {
            offered.completion_provider = Some(lsp::CompletionOptions {
                trigger_characters: Some(words(&["[", ".", ":", " "])),
                ..lsp::CompletionOptions::default()
            });
        },
    },
    Method {
        name: "textDocument/hover",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            with_params(request, |params: lsp::HoverParams| {
                hover::hover(document, params.text_document_position_params.position)
            })
        }),
        offer: |offered| offered.hover_provider = Some(lsp::HoverProvider::Bool(true)),
    },
    Method {
        name: "textDocument/definition",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            with_params(request, |params: lsp::DefinitionParams| {
                navigation::definition(document, params.text_document_position_params.position)
            })
        }),
        offer: |offered| offered.definition_provider = Some(lsp::DefinitionProvider::Bool(true)),
    },
    Method {
        name: "textDocument/references",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            with_params(request, |params: lsp::ReferenceParams| {
                navigation::references(document, params.text_document_position_params.position)
            })
        }),
        offer: |offered| offered.references_provider = Some(lsp::ReferencesProvider::Bool(true)),
    },
    Method {
        name: "textDocument/documentSymbol",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            with_params(request, |_: lsp::DocumentSymbolParams| symbols::document_symbols(document))
        }),
        offer: |offered| {
            offered.document_symbol_provider = Some(lsp::DocumentSymbolProvider::Bool(true));
        },
    },
    Method {
        name: "textDocument/codeAction",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            with_params(request, |params: lsp::CodeActionParams| {
                code_actions::code_actions(document, &params)
            })
        }),
        offer: |offered| {
            let kinds = vec![lsp::CodeActionKind::QuickFix, lsp::CodeActionKind::RefactorRewrite];
            let options = lsp::CodeActionOptions {
                code_action_kinds: Some(kinds),
                ..lsp::CodeActionOptions::default()
            };
            offered.code_action_provider =
                Some(lsp::CodeActionProvider::CodeActionOptions(options));
        },
    },
    Method {
        name: "textDocument/prepareRename",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            try_with_params(request, |params: lsp::PrepareRenameParams| {
                let position = params.text_document_position_params.position;
                rename::prepare_rename(document, position)
            })
        }),
        offer: offer_rename,
    },
    Method {
        name: "textDocument/rename",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            try_with_params(request, |params: lsp::RenameParams| {
                let position = params.text_document_position_params.position;
                rename::rename(document, position, &params.new_name)
            })
        }),
        offer: offer_rename,
    },
    Method {
        name: "textDocument/codeLens",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            with_params(request, |_: lsp::CodeLensParams| code_lenses::code_lenses(document))
        }),
        offer: |offered| offered.code_lens_provider = Some(lsp::CodeLensOptions::default()),
    },
    Method {
        name: "textDocument/inlayHint",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            with_params(request, |params: lsp::InlayHintParams| {
                code_lenses::inlay_hints(document, params.range)
            })
        }),
        offer: |offered| offered.inlay_hint_provider = Some(lsp::InlayHintProvider::Bool(true)),
    },
    Method {
        name: "textDocument/diagnostic",
        answer: Answer::Document(Readiness::NewestAnalysis, |request, document| {
            with_params(request, |_: lsp::DocumentDiagnosticParams| diagnostics::report(document))
        }),
        // Editors that request diagnostics and receive the published ones as well show each finding
        // twice.
        offer: |_| {},
    },
];

fn offer_rename(offered: &mut lsp::ServerCapabilities) {
    offered.rename_provider = Some(lsp::RenameProvider::RenameOptions(lsp::RenameOptions {
        prepare_provider: Some(true),
        ..lsp::RenameOptions::default()
    }));
}

fn offer_semantic_tokens(offered: &mut lsp::ServerCapabilities) {
    let options = lsp::SemanticTokensOptions {
        legend: lsp::SemanticTokensLegend {
            token_types: words(&TOKEN_TYPES),
            token_modifiers: Vec::new(),
        },
        full: Some(lsp::Full::Bool(true)),
        range: Some(lsp::SemanticTokensOptionsRange::Bool(true)),
        ..lsp::SemanticTokensOptions::default()
    };
    offered.semantic_tokens_provider =
        Some(lsp::SemanticTokensProvider::SemanticTokensOptions(options));
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Reads the parameters of a request and answers it.
fn with_params<P: DeserializeOwned, R: Serialize>(
    request: Request,
    answer: impl FnOnce(P) -> R,
) -> Response {
    try_with_params(request, |params| Ok(answer(params)))
}

/// The same for a request that can fail with a message for the user.
fn try_with_params<P: DeserializeOwned, R: Serialize>(
    request: Request,
    answer: impl FnOnce(P) -> Result<R, String>,
) -> Response {
    match serde_json::from_value(request.params) {
        Ok(params) => match answer(params) {
            Ok(result) => Response::new_ok(request.id, result),
            Err(message) => Response::new_err(request.id, ErrorCode::RequestFailed as i32, message),
        },
        Err(error) => Response::new_err(
            request.id,
            ErrorCode::InvalidParams as i32,
            format!("the parameters cannot be read: {error}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_listed_once_and_all_but_diagnostics_are_offered() {
        let none = lsp::ServerCapabilities::default();
        for method in METHODS {
            assert_eq!(METHODS.iter().filter(|other| other.name == method.name).count(), 1);
            let mut offered = none.clone();
            (method.offer)(&mut offered);
            let is_offered = offered != none;
            assert_eq!(is_offered, method.name != "textDocument/diagnostic", "{}", method.name);
        }
    }
}
