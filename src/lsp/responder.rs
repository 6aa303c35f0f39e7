//! Answers requests on threads of their own. A panic in one of them answers an error, and the server
//! continues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use gen_lsp_types as lsp;
use lsp_server::{ErrorCode, Message, Request, RequestId, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lsp::features::{
    code_actions, code_lenses, completion, diagnostics, hover, navigation, rename, semantic_tokens,
    structure, symbols,
};
use crate::lsp::snapshot::Snapshot;
use crate::lsp::transport::send;

/// The number of threads: one slow request does not delay completion.
pub(crate) const THREADS: usize = 2;

/// A request with the documents that it is about.
pub(crate) struct RequestJob {
    pub(crate) request: Request,
    /// The document that the request names; for a request of the workspace, every open one.
    pub(crate) snapshots: Vec<Snapshot>,
}

/// The requests that were cancelled and are not answered yet.
pub(crate) type CancelledRequests = Arc<Mutex<Vec<RequestId>>>;

/// What a request needs before it can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The text alone, or whatever analysis exists.
    Now,
    /// An analysis of some text.
    FirstAnalysis,
    /// The analysis of the newest text.
    NewestAnalysis,
}

/// What a request needs; `None` for a method that the server does not offer.
pub(crate) fn readiness(method: &str) -> Option<Readiness> {
    Some(match method {
        "textDocument/foldingRange"
        | "textDocument/selectionRange"
        | "textDocument/semanticTokens/full"
        | "textDocument/semanticTokens/range"
        | "textDocument/documentLink"
        | "workspace/symbol" => Readiness::Now,
        "textDocument/completion" => Readiness::FirstAnalysis,
        "textDocument/hover"
        | "textDocument/definition"
        | "textDocument/references"
        | "textDocument/documentSymbol"
        | "textDocument/codeAction"
        | "textDocument/prepareRename"
        | "textDocument/rename"
        | "textDocument/codeLens"
        | "textDocument/inlayHint"
        | "textDocument/diagnostic" => Readiness::NewestAnalysis,
        _ => return None,
    })
}

/// Answers requests until the channel closes.
pub(crate) fn run(
    jobs: &Mutex<Receiver<RequestJob>>,
    cancelled: &CancelledRequests,
    writer: &Sender<Message>,
) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let id = job.request.id.clone();
        let response = if take_cancelled(cancelled, &id) {
            Response::new_err(id, ErrorCode::RequestCanceled as i32, "cancelled".to_owned())
        } else {
            let answer = catch_unwind(AssertUnwindSafe(|| answer(job)));
            answer.unwrap_or_else(|_| {
                let message = "tatmig could not answer this request because of an error of its own";
                Response::new_err(id, ErrorCode::InternalError as i32, message.to_owned())
            })
        };
        send(writer, response);
    }
}

fn take_cancelled(cancelled: &CancelledRequests, id: &RequestId) -> bool {
    let mut cancelled = cancelled.lock().unwrap_or_else(PoisonError::into_inner);
    let index = cancelled.iter().position(|cancelled| cancelled == id);
    index.map(|index| cancelled.swap_remove(index)).is_some()
}

fn answer(job: RequestJob) -> Response {
    let RequestJob { request, snapshots } = job;
    let Some(document) = snapshots.first() else {
        return Response::new_ok(request.id, serde_json::Value::Null);
    };
    match request.method.as_str() {
        "textDocument/diagnostic" => {
            with_params(request, |_: lsp::DocumentDiagnosticParams| diagnostics::report(document))
        }
        "textDocument/semanticTokens/full" => {
            with_params(request, |_: lsp::SemanticTokensParams| {
                semantic_tokens::semantic_tokens(document, None)
            })
        }
        "textDocument/semanticTokens/range" => {
            with_params(request, |params: lsp::SemanticTokensRangeParams| {
                semantic_tokens::semantic_tokens(document, Some(params.range))
            })
        }
        "textDocument/documentSymbol" => {
            with_params(request, |_: lsp::DocumentSymbolParams| symbols::document_symbols(document))
        }
        "workspace/symbol" => with_params(request, |params: lsp::WorkspaceSymbolParams| {
            symbols::workspace_symbols(&snapshots, &params.query)
        }),
        "textDocument/foldingRange" => {
            with_params(request, |_: lsp::FoldingRangeParams| structure::folding_ranges(document))
        }
        "textDocument/selectionRange" => {
            with_params(request, |params: lsp::SelectionRangeParams| {
                structure::selection_ranges(document, &params.positions)
            })
        }
        "textDocument/documentLink" => {
            with_params(request, |_: lsp::DocumentLinkParams| structure::document_links(document))
        }
        "textDocument/codeAction" => with_params(request, |params: lsp::CodeActionParams| {
            code_actions::code_actions(document, &params)
        }),
        "textDocument/codeLens" => {
            with_params(request, |_: lsp::CodeLensParams| code_lenses::code_lenses(document))
        }
        "textDocument/inlayHint" => with_params(request, |params: lsp::InlayHintParams| {
            code_lenses::inlay_hints(document, params.range)
        }),
        _ => answer_at_position(request, document),
    }
}

/// Answers a request about one place of a document.
fn answer_at_position(request: Request, document: &Snapshot) -> Response {
    match request.method.as_str() {
        "textDocument/completion" => with_params(request, |params: lsp::CompletionParams| {
            completion::completion(document, params.text_document_position_params.position)
        }),
        "textDocument/hover" => with_params(request, |params: lsp::HoverParams| {
            hover::hover(document, params.text_document_position_params.position)
        }),
        "textDocument/definition" => with_params(request, |params: lsp::DefinitionParams| {
            navigation::definition(document, params.text_document_position_params.position)
        }),
        "textDocument/references" => with_params(request, |params: lsp::ReferenceParams| {
            navigation::references(document, params.text_document_position_params.position)
        }),
        "textDocument/prepareRename" => {
            try_with_params(request, |params: lsp::PrepareRenameParams| {
                let position = params.text_document_position_params.position;
                rename::prepare_rename(document, position)
            })
        }
        "textDocument/rename" => try_with_params(request, |params: lsp::RenameParams| {
            let position = params.text_document_position_params.position;
            rename::rename(document, position, &params.new_name)
        }),
        _ => Response::new_ok(request.id, serde_json::Value::Null),
    }
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
