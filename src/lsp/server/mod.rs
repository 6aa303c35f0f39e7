//! Runs the main loop: takes messages of the editor and results of the other threads one after the
//! other, and never waits for work.

mod documents;
mod fleet;

use std::collections::BTreeMap;
use std::io::{BufReader, stdin, stdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gen_lsp_types as lsp;
use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::lsp::analysis::Analysis;
use crate::lsp::analysis_worker;
use crate::lsp::analysis_worker::AnalysisJob;
use crate::lsp::capabilities::{ClientFeatures, server_capabilities};
use crate::lsp::document::OpenDocument;
use crate::lsp::features::commands::CommandOutcome;
use crate::lsp::fleet::{FleetFacts, FleetReport};
use crate::lsp::host::Host;
use crate::lsp::methods::{Answer, Method, Readiness, find_method};
use crate::lsp::responder;
use crate::lsp::responder::{CancelledRequests, RequestJob};
use crate::lsp::snapshot::Snapshot;
use crate::lsp::transport::{Incoming, read_messages, send, write_messages};

/// How long findings of an earlier text are kept after the last change.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// What the main loop reacts to.
enum Event {
    Incoming(Box<Incoming>),
    EndOfInput,
    Analysed { uri: String, analysis: Arc<Analysis> },
    FleetReported { uri: String, report: FleetReport },
    CommandEnded { uri: String, id: RequestId, outcome: CommandOutcome },
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerExit {
    /// The editor asked for it.
    AfterShutdown,
    /// The input ended, or the editor left without a word.
    WithoutShutdown,
}

/// Serves an editor over standard input and output until it leaves.
pub fn serve(host: Arc<dyn Host>) -> ServerExit {
    let (events, receiver) = channel();
    let (writer, messages) = channel();
    let writer_thread = thread::spawn(move || write_messages(&messages, stdout().lock()));
    let reader_events = events.clone();
    thread::spawn(move || {
        read_messages(BufReader::new(stdin()), |incoming| {
            let _ = reader_events.send(Event::Incoming(Box::new(incoming)));
        });
        let _ = reader_events.send(Event::EndOfInput);
    });
    let exit = Server::start(host, events, writer).run(&receiver);
    // The server has dropped its sender, so the thread ends after the last message.
    let _ = writer_thread.join();
    exit
}

/// A request that waits for an analysis.
struct WaitingRequest {
    request: Request,
    method: &'static Method,
    uri: String,
    readiness: Readiness,
    version: i32,
}

struct Server {
    host: Arc<dyn Host>,
    events: Sender<Event>,
    writer: Sender<Message>,
    analysis_jobs: Sender<AnalysisJob>,
    responder: Sender<RequestJob>,
    cancelled: CancelledRequests,
    /// `None` before `initialize`.
    client: Option<ClientFeatures>,
    has_shut_down: bool,
    documents: BTreeMap<String, OpenDocument>,
    fleets: BTreeMap<String, Arc<FleetFacts>>,
    waiting: Vec<WaitingRequest>,
    /// The documents whose earlier findings are shown, and until when.
    settling: BTreeMap<String, Instant>,
    /// The last error of the settings that was shown.
    settings_error: Option<String>,
    next_request_id: i32,
}

impl Server {
    fn start(host: Arc<dyn Host>, events: Sender<Event>, writer: Sender<Message>) -> Self {
        let (analysis_jobs, received_jobs) = channel();
        let worker_events = events.clone();
        thread::spawn(move || {
            analysis_worker::run(&received_jobs, |uri, analysis| {
                let _ = worker_events.send(Event::Analysed { uri, analysis });
            });
        });
        let (responder, responder_jobs) = channel();
        let responder_jobs = Arc::new(Mutex::new(responder_jobs));
        let cancelled = CancelledRequests::default();
        for _ in 0..responder::THREADS {
            let (jobs, cancelled) = (responder_jobs.clone(), cancelled.clone());
            let writer = writer.clone();
            thread::spawn(move || responder::run(&jobs, &cancelled, &writer));
        }
        Self {
            host,
            events,
            writer,
            analysis_jobs,
            responder,
            cancelled,
            client: None,
            has_shut_down: false,
            documents: BTreeMap::new(),
            fleets: BTreeMap::new(),
            waiting: Vec::new(),
            settling: BTreeMap::new(),
            settings_error: None,
            next_request_id: 0,
        }
    }

    fn run(mut self, events: &Receiver<Event>) -> ServerExit {
        loop {
            let next_settled = self.settling.values().min();
            let wait = next_settled
                .map_or(Duration::from_hours(1), |at| at.saturating_duration_since(Instant::now()));
            match events.recv_timeout(wait) {
                Ok(Event::Incoming(incoming)) => match *incoming {
                    Incoming::Invalid(response) => send(&self.writer, response),
                    Incoming::Message(Message::Request(request)) => self.handle_request(request),
                    // The server asks nothing whose answer it needs.
                    Incoming::Message(Message::Response(_)) => {}
                    Incoming::Message(Message::Notification(notification)) => {
                        if notification.method == "exit" {
                            return if self.has_shut_down {
                                ServerExit::AfterShutdown
                            } else {
                                ServerExit::WithoutShutdown
                            };
                        }
                        self.handle_notification(notification);
                    }
                },
                Ok(Event::EndOfInput) | Err(RecvTimeoutError::Disconnected) => {
                    return ServerExit::WithoutShutdown;
                }
                Ok(Event::Analysed { uri, analysis }) => self.take_analysis(&uri, &analysis),
                Ok(Event::FleetReported { uri, report }) => self.take_fleet_report(&uri, report),
                Ok(Event::CommandEnded { uri, id, outcome }) => {
                    self.end_command(&uri, id, outcome);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.publish_settled();
        }
    }

    fn handle_request(&mut self, request: Request) {
        let error = |code: ErrorCode, message: &str| {
            Response::new_err(request.id.clone(), code as i32, message.to_owned())
        };
        match request.method.as_str() {
            "initialize" if self.client.is_some() => {
                send(&self.writer, error(ErrorCode::InvalidRequest, "already initialized"));
            }
            "initialize" => self.initialize(request),
            _ if self.client.is_none() => {
                send(&self.writer, error(ErrorCode::ServerNotInitialized, "not initialized"));
            }
            "shutdown" => {
                self.has_shut_down = true;
                send(&self.writer, Response::new_ok(request.id, Value::Null));
            }
            _ if self.has_shut_down => {
                send(&self.writer, error(ErrorCode::InvalidRequest, "the server is shut down"));
            }
            "workspace/executeCommand" => self.execute_command(request),
            name => match find_method(name) {
                Some(method) => self.answer_later(request, method),
                None => {
                    let message = format!("`{name}` is not offered");
                    send(&self.writer, error(ErrorCode::MethodNotFound, &message));
                }
            },
        }
    }

    /// Passes a request to the threads that answer, at once or when its document is ready.
    fn answer_later(&mut self, request: Request, method: &'static Method) {
        match (&method.answer, document_uri(&request.params)) {
            (Answer::Workspace(_), _) => {
                let snapshots = self.documents.keys().filter_map(|uri| self.snapshot(uri));
                let snapshots = snapshots.collect();
                let _ = self.responder.send(RequestJob { request, method, snapshots });
            }
            (Answer::Document(..), None) => {
                let code = ErrorCode::InvalidParams as i32;
                let message = "the parameters name no document".to_owned();
                send(&self.writer, Response::new_err(request.id, code, message));
            }
            (Answer::Document(readiness, _), Some(uri)) => {
                let version = self.documents.get(&uri).map_or(0, |document| document.version);
                let readiness = *readiness;
                self.waiting.push(WaitingRequest { request, method, uri, readiness, version });
                self.dispatch_waiting();
            }
        }
    }

    fn initialize(&mut self, request: Request) {
        let params = serde_json::from_value::<lsp::InitializeParams>(request.params);
        let capabilities = params.map(|params| params.capabilities).unwrap_or_default();
        let client = ClientFeatures::new(&capabilities);
        let result = lsp::InitializeResult {
            capabilities: server_capabilities(client.encoding),
            server_info: Some(lsp::ServerInfo {
                name: "tatmig".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
        };
        self.client = Some(client);
        send(&self.writer, Response::new_ok(request.id, result));
    }

    fn handle_notification(&mut self, notification: Notification) {
        let Some(client) = self.client.clone() else { return };
        let Notification { method, params } = notification;
        match method.as_str() {
            "initialized" if client.registers_watchers => self.watch_settings(),
            "textDocument/didOpen" => {
                let Some(params) = read::<lsp::DidOpenTextDocumentParams>(params) else { return };
                self.open(params.text_document, &client);
            }
            "textDocument/didChange" => {
                let Some(params) = read::<lsp::DidChangeTextDocumentParams>(params) else {
                    return;
                };
                let identifier = params.text_document;
                let Some(document) =
                    self.documents.get_mut(&identifier.text_document_identifier.uri.0)
                else {
                    return;
                };
                document.apply(identifier.version, params.content_changes, client.encoding);
                let uri = document.uri.0.clone();
                self.analyse(&uri, false);
            }
            "textDocument/didClose" => {
                let Some(params) = read::<lsp::DidCloseTextDocumentParams>(params) else { return };
                self.close(&params.text_document.uri);
            }
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => {
                // An editor that reports changed files reports those of settings, too.
                if method.starts_with("workspace/") || !client.registers_watchers {
                    self.reload_settings();
                }
                let uris: Vec<String> = self.documents.keys().cloned().collect();
                for uri in uris {
                    self.request_fleet_status(&uri);
                }
            }
            "workspace/didChangeConfiguration" => self.reload_settings(),
            "$/cancelRequest" => {
                if let Some(id) = read::<lsp::CancelParams>(params).map(|params| params.id) {
                    self.cancel(&match id {
                        lsp::Id::Int(number) => RequestId::from(number),
                        lsp::Id::String(text) => RequestId::from(text),
                    });
                }
            }
            _ => {}
        }
    }

    /// Passes on every request whose analysis exists. The positions of a request that waited for an
    /// older text are those of the older text, so it ends with an error.
    fn dispatch_waiting(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            let document = self.documents.get(&waiting.uri);
            let is_ready = document.is_none_or(|document| match waiting.readiness {
                Readiness::Now => true,
                Readiness::FirstAnalysis => document.analysis.is_some(),
                Readiness::NewestAnalysis => document.is_analysed(),
            });
            let is_outdated = document.is_some_and(|found| found.version != waiting.version);
            if is_outdated {
                let code = ErrorCode::ContentModified as i32;
                let message = "the document has changed".to_owned();
                send(&self.writer, Response::new_err(waiting.request.id, code, message));
            } else if is_ready {
                let snapshots = self.snapshot(&waiting.uri).into_iter().collect();
                let WaitingRequest { request, method, .. } = waiting;
                let _ = self.responder.send(RequestJob { request, method, snapshots });
            } else {
                self.waiting.push(waiting);
            }
        }
    }

    fn cancel(&mut self, id: &RequestId) {
        let index = self.waiting.iter().position(|waiting| waiting.request.id == *id);
        match index.map(|index| self.waiting.remove(index)) {
            Some(waiting) => {
                let code = ErrorCode::RequestCanceled as i32;
                let response = Response::new_err(waiting.request.id, code, "cancelled".to_owned());
                send(&self.writer, response);
            }
            None => {
                let mut cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
                // Most cancelled requests are already answered; their ids are of no use.
                let excess = cancelled.len().saturating_sub(64);
                cancelled.drain(..excess);
                cancelled.push(id.clone());
            }
        }
    }

    fn snapshot(&self, uri: &str) -> Option<Snapshot> {
        let document = self.documents.get(uri)?;
        Some(Snapshot {
            uri: document.uri.clone(),
            path: document.path.clone(),
            version: document.version,
            text: document.text.clone(),
            index: document.index.clone(),
            settings: document.settings.clone(),
            analysis: document.analysis.clone(),
            fleet: self.fleets.get(uri).cloned().unwrap_or_default(),
            host: self.host.clone(),
        })
    }

    /// Asks the editor to report changes of settings files.
    fn watch_settings(&mut self) {
        let watchers = json!({ "registrations": [{
            "id": "tatmig-settings",
            "method": "workspace/didChangeWatchedFiles",
            "registerOptions": { "watchers": [{ "globPattern": "**/tatmig.toml" }] },
        }] });
        self.request("client/registerCapability", watchers);
    }

    fn show_message(&self, kind: lsp::MessageType, message: &str) {
        let params = lsp::ShowMessageParams { kind, message: message.to_owned() };
        self.notify("window/showMessage", &params);
    }

    fn notify(&self, method: &str, params: &impl serde::Serialize) {
        send(&self.writer, Notification::new(method.to_owned(), params));
    }

    fn request(&mut self, method: &str, params: Value) {
        self.next_request_id += 1;
        let id = RequestId::from(format!("tatmig-{}", self.next_request_id));
        send(&self.writer, Request { id, method: method.to_owned(), params });
    }
}

/// Reads the parameters of a notification; others are ignored, since a notification has no answer.
fn read<P: DeserializeOwned>(params: Value) -> Option<P> {
    serde_json::from_value(params).ok()
}

fn document_uri(params: &Value) -> Option<String> {
    Some(params.get("textDocument")?.get("uri")?.as_str()?.to_owned())
}
