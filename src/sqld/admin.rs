//! Creates, copies and deletes namespaces through the server's admin interface. The interface cannot
//! list namespaces.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ureq::http::Method;

use crate::sqld::error::ServerError;
use crate::sqld::server::{
    ADMIN_KEY_VARIABLE, HttpResponse, RequestKind, Server, sleep_unless_cancelled,
};

/// How many times tatmig asks for a namespace that the server reports as missing.
const MAX_EXISTS_ATTEMPTS: u32 = 3;

/// What a request to create a namespace did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateResult {
    /// The namespace was created.
    Created,
    /// The namespace existed before.
    AlreadyExists,
}

impl Server {
    /// Whether the address of the admin interface is configured.
    pub(crate) fn has_admin(&self) -> bool {
        self.config.admin_url.is_some()
    }

    /// Creates an empty namespace.
    pub(crate) fn create(
        &self,
        name: &str,
        cancel: &AtomicBool,
    ) -> Result<CreateResult, ServerError> {
        let path = format!("/{name}/create");
        let response = self.send_admin_request(Method::POST, &path, b"{}".to_vec(), cancel)?;
        match response.status {
            200 => Ok(CreateResult::Created),
            400 if response.message().contains("already exist") => Ok(CreateResult::AlreadyExists),
            _ => Err(self.admin_status_error(&response)),
        }
    }

    /// Deletes a namespace and everything in it.
    pub(crate) fn delete(&self, name: &str, cancel: &AtomicBool) -> Result<(), ServerError> {
        let path = format!("/{name}");
        let response = self.send_admin_request(Method::DELETE, &path, Vec::new(), cancel)?;
        match response.status {
            200 => Ok(()),
            404 => Err(ServerError::NoNamespace { name: name.to_owned() }),
            _ => Err(self.admin_status_error(&response)),
        }
    }

    /// Copies a namespace to a new namespace.
    pub(crate) fn fork(
        &self,
        name: &str,
        new_name: &str,
        cancel: &AtomicBool,
    ) -> Result<CreateResult, ServerError> {
        let path = format!("/{name}/fork/{new_name}");
        let response = self.send_admin_request(Method::POST, &path, b"{}".to_vec(), cancel)?;
        match response.status {
            200 => Ok(CreateResult::Created),
            400 if response.message().contains("already exist") => Ok(CreateResult::AlreadyExists),
            404 => Err(ServerError::NoNamespace { name: name.to_owned() }),
            _ => Err(self.admin_status_error(&response)),
        }
    }

    /// Makes a namespace read-only for every client.
    pub(crate) fn block_writes(&self, name: &str, cancel: &AtomicBool) -> Result<(), ServerError> {
        let path = format!("/{name}/config");
        let response = self.send_admin_request(Method::GET, &path, Vec::new(), cancel)?;
        let parsed: Option<serde_json::Value> = serde_json::from_slice(&response.body).ok();
        // The server resets every setting that is not sent back. If it has a key, leaving it out
        // would open the copy to everyone.
        let Some(mut config) = parsed.filter(|config| response.status == 200 && config.is_object())
        else {
            return Err(self.admin_status_error(&response));
        };
        config["block_writes"] = true.into();
        config["block_reason"] = "backup made by tatmig".into();
        let config = config.to_string().into_bytes();
        let response = self.send_admin_request(Method::POST, &path, config, cancel)?;
        if response.status == 200 { Ok(()) } else { Err(self.admin_status_error(&response)) }
    }

    /// Whether a namespace exists.
    pub(crate) fn exists(&self, name: &str, cancel: &AtomicBool) -> Result<bool, ServerError> {
        let path = format!("/{name}/config");
        for attempt in 0..MAX_EXISTS_ATTEMPTS {
            let response = self.send_admin_request(Method::GET, &path, Vec::new(), cancel)?;
            match response.status {
                200 => return Ok(true),
                404 => sleep_unless_cancelled(Duration::from_millis(20 << attempt), cancel),
                _ => return Err(self.admin_status_error(&response)),
            }
        }
        Ok(false)
    }

    fn send_admin_request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        cancel: &AtomicBool,
    ) -> Result<HttpResponse, ServerError> {
        let admin_url = self.config.admin_url.as_deref().ok_or(ServerError::NoAdminUrl)?;
        let url = format!("{}/v1/namespaces{path}", admin_url.trim_end_matches('/'));
        let authorization =
            self.config.admin_key.as_ref().map(|authorization| format!("basic {authorization}"));
        let mut headers = vec![("content-type", "application/json")];
        headers
            .extend(authorization.as_deref().map(|authorization| ("authorization", authorization)));
        let request_kind =
            if method == Method::GET { RequestKind::Read } else { RequestKind::Write };
        let is_post = method == Method::POST;
        let request = Self::build_request(method, &url, &headers, body)?;
        let response = self.send_request(request, request_kind, cancel)?;
        match response.status {
            404 if !response.message().starts_with("Namespace ") && is_post => {
                let reason = "404 from the admin interface".to_owned();
                Err(ServerError::UnexpectedResponse { url: admin_url.to_owned(), reason })
            }
            401 | 403 => {
                let (credential, variable) = ("the admin key", ADMIN_KEY_VARIABLE);
                Err(ServerError::Unauthorized { credential, status: response.status, variable })
            }
            _ => Ok(response),
        }
    }

    /// The error for a status that the admin interface has no reason to respond with.
    fn admin_status_error(&self, response: &HttpResponse) -> ServerError {
        let url = self.config.admin_url.clone().unwrap_or_default();
        ServerError::HttpStatus { url, status: response.status, message: response.message() }
    }
}
