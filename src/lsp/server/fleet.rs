//! Runs commands for the fleet in the background, and keeps what they report.

use std::sync::Arc;
use std::thread;

use gen_lsp_types as lsp;
use lsp_server::{ErrorCode, Request, RequestId, Response};
use semver::Version;
use serde_json::Value;

use crate::lsp::features::commands;
use crate::lsp::features::commands::CommandOutcome;
use crate::lsp::fleet::FleetReport;
use crate::lsp::server::{Event, Server};
use crate::lsp::transport::send;
use crate::lsp::uri;

impl Server {
    /// Asks for the status of the fleet in the background.
    pub(super) fn request_fleet_status(&self, uri: &str) {
        let has_file = uri::to_path(uri).is_some_and(|path| path.is_file());
        let Some(snapshot) = self.snapshot(uri).filter(|_| has_file) else { return };
        let (events, uri) = (self.events.clone(), uri.to_owned());
        thread::spawn(move || {
            let report = FleetReport::Status(commands::status(&snapshot));
            let _ = events.send(Event::FleetReported { uri, report });
        });
    }

    /// Adds what a command reported to the facts of its fleet.
    pub(super) fn take_fleet_report(&mut self, uri: &str, report: FleetReport) {
        let known = self.fleets.get(uri);
        let facts = known.cloned().unwrap_or_default().with(report);
        if known.is_some_and(|known| **known == facts) {
            return;
        }
        self.fleets.insert(uri.to_owned(), Arc::new(facts));
        let Some(client) = self.client.clone() else { return };
        if client.refreshes_code_lenses {
            self.request("workspace/codeLens/refresh", Value::Null);
        }
        if client.refreshes_inlay_hints {
            self.request("workspace/inlayHint/refresh", Value::Null);
        }
    }

    pub(super) fn execute_command(&mut self, request: Request) {
        let params = serde_json::from_value::<lsp::ExecuteCommandParams>(request.params);
        let invalid = |message: &str| {
            let code = ErrorCode::InvalidParams as i32;
            send(&self.writer, Response::new_err(request.id.clone(), code, message.to_owned()));
        };
        let Some(params) =
            params.ok().filter(|params| commands::COMMANDS.contains(&params.command.as_str()))
        else {
            return invalid("the command is not one of tatmig's");
        };
        let arguments = params.arguments.unwrap_or_default();
        let argument = |index: usize| arguments.get(index).and_then(Value::as_str);
        let uri = argument(0).unwrap_or_default().to_owned();
        let Ok(version) = argument(1).map(Version::parse).transpose() else {
            return invalid("the second argument of the command is not a version");
        };
        let Some(snapshot) = self.snapshot(&uri) else {
            return invalid("the document of the command is not open");
        };
        let (events, id) = (self.events.clone(), request.id);
        thread::spawn(move || {
            let outcome = commands::run(&snapshot, &params.command, version.as_ref());
            let _ = events.send(Event::CommandEnded { uri, id, outcome });
        });
    }

    pub(super) fn end_command(&mut self, uri: &str, id: RequestId, outcome: CommandOutcome) {
        self.show_message(outcome.kind, &outcome.message);
        send(&self.writer, Response::new_ok(id, outcome.message));
        self.take_fleet_report(uri, outcome.report);
    }
}
