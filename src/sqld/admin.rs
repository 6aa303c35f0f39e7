//! The server's admin interface: namespaces are made and removed through it. It lists
//! none, so that nothing here finds out which there are.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ureq::http::Method;

use crate::sqld::error::ServerError;
use crate::sqld::server::{Answer, KEY_VARIABLE, Kind, Server, pause};

/// How often a namespace is looked for that the server says is missing.
const TRIES: u32 = 3;

/// What came of making a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// It was made.
    New,
    /// It was there already.
    There,
}

impl Server {
    /// Whether an admin address was named.
    pub(crate) fn has_admin(&self) -> bool {
        self.access.admin.is_some()
    }

    /// Makes a namespace, which holds nothing.
    pub(crate) fn create(&self, name: &str, stop: &AtomicBool) -> Result<Made, ServerError> {
        let path = format!("/{name}/create");
        let answer = self.administer((Method::POST, &path), b"{}".to_vec(), stop)?;
        match answer.status {
            200 => Ok(Made::New),
            400 if answer.text().contains("already exist") => Ok(Made::There),
            _ => Err(refused(&answer)),
        }
    }

    /// Removes a namespace and all that is in it.
    pub(crate) fn delete(&self, name: &str, stop: &AtomicBool) -> Result<(), ServerError> {
        let path = format!("/{name}");
        let answer = self.administer((Method::DELETE, &path), Vec::new(), stop)?;
        match answer.status {
            200 => Ok(()),
            404 => Err(ServerError::NoNamespace { name: name.to_owned() }),
            _ => Err(refused(&answer)),
        }
    }

    /// Copies a namespace to a new one.
    pub(crate) fn fork(
        &self,
        name: &str,
        to: &str,
        stop: &AtomicBool,
    ) -> Result<Made, ServerError> {
        let path = format!("/{name}/fork/{to}");
        let answer = self.administer((Method::POST, &path), Vec::new(), stop)?;
        match answer.status {
            200 => Ok(Made::New),
            400 if answer.text().contains("already exist") => Ok(Made::There),
            404 => Err(ServerError::NoNamespace { name: name.to_owned() }),
            _ => Err(refused(&answer)),
        }
    }

    /// Lets nobody write to a namespace from now on.
    pub(crate) fn close_to_writes(&self, name: &str, stop: &AtomicBool) -> Result<(), ServerError> {
        let path = format!("/{name}/config");
        let answer = self.administer((Method::GET, &path), Vec::new(), stop)?;
        let found: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
        // What is not sent back is reset, and a key among it would open the copy to everybody.
        let Some(mut config) = found.filter(|config| answer.status == 200 && config.is_object())
        else {
            return Err(refused(&answer));
        };
        config["block_writes"] = true.into();
        config["block_reason"] = "it is a backup that tatmig made".into();
        let config = config.to_string().into_bytes();
        let answer = self.administer((Method::POST, &path), config, stop)?;
        if answer.status == 200 { Ok(()) } else { Err(refused(&answer)) }
    }

    /// Whether there is such a namespace.
    pub(crate) fn exists(&self, name: &str, stop: &AtomicBool) -> Result<bool, ServerError> {
        let path = format!("/{name}/config");
        for again in 0..TRIES {
            let answer = self.administer((Method::GET, &path), Vec::new(), stop)?;
            match answer.status {
                200 => return Ok(true),
                404 => pause(Duration::from_millis(20 << again), stop),
                _ => return Err(refused(&answer)),
            }
        }
        Ok(false)
    }

    fn administer(
        &self,
        (method, path): (Method, &str),
        body: Vec<u8>,
        stop: &AtomicBool,
    ) -> Result<Answer, ServerError> {
        let admin = self.access.admin.as_deref().ok_or(ServerError::NoAdmin)?;
        let url = format!("{}/v1/namespaces{path}", admin.trim_end_matches('/'));
        let key = self.access.key.as_ref().map(|key| format!("basic {key}"));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.as_deref().map(|key| ("authorization", key)));
        let kind = if method == Method::GET { Kind::Reads } else { Kind::Writes };
        let request = Self::request(method.clone(), &url, (&headers, body))?;
        let answer = self.exchange(request, (kind, stop))?;
        match answer.status {
            404 if !answer.text().starts_with("Namespace ") && method == Method::POST => {
                let reason = "404 where namespaces are made".to_owned();
                Err(ServerError::Strange { url: admin.to_owned(), reason })
            }
            401 | 403 => {
                let (what, variable) = ("the admin key", KEY_VARIABLE);
                Err(ServerError::Denied { what, status: answer.status, variable })
            }
            _ => Ok(answer),
        }
    }
}

fn refused(answer: &Answer) -> ServerError {
    ServerError::Refused { status: answer.status, message: answer.text() }
}
