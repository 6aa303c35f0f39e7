//! Answers requests on threads of their own. A panic in one of them answers an error, and the server
//! continues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use lsp_server::{ErrorCode, Message, Request, RequestId, Response};

use crate::lsp::methods::{Answer, Method};
use crate::lsp::snapshot::Snapshot;
use crate::lsp::transport::send;

/// The number of threads: one slow request does not delay completion.
pub(crate) const THREADS: usize = 2;

/// A request with the documents that it is about.
pub(crate) struct RequestJob {
    pub(crate) request: Request,
    pub(crate) method: &'static Method,
    /// The document that the request names; for a request of the workspace, every open one.
    pub(crate) snapshots: Vec<Snapshot>,
}

/// The requests that were cancelled and are not answered yet.
pub(crate) type CancelledRequests = Arc<Mutex<Vec<RequestId>>>;

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
    let RequestJob { request, method, snapshots } = job;
    match (&method.answer, snapshots.as_slice()) {
        (_, []) => Response::new_ok(request.id, serde_json::Value::Null),
        (Answer::Document(_, answer), [document, ..]) => answer(request, document),
        (Answer::Workspace(answer), documents) => answer(request, documents),
    }
}
