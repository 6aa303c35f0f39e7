//! A proxy between tatmig and a server, which loses, holds back or alters messages.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    server: SocketAddr,
    fault: ProxyFault,
    has_interfered: AtomicBool,
    /// See [`Proxy::commits`].
    commits: AtomicUsize,
}

/// How a proxy handles requests.
#[derive(Clone, Copy)]
pub(crate) enum ProxyFault {
    /// The first request that commits is forwarded; its response is dropped.
    LostCommitResponse,
    /// The first request that commits is dropped.
    LostCommitRequest,
    /// The first request that commits is forwarded; its response is `502 Bad Gateway`.
    BadGateway,
    /// The first request that commits is forwarded later, whether or not tatmig still waits.
    HeldCommit(Duration),
    /// The header that names the namespace is removed.
    NoNamespaceHeader,
    /// Every response to a batch is altered.
    Altered(fn(&mut Value)),
    /// Every response to a batch has this body.
    Replaced(&'static str),
}

impl Proxy {
    pub(crate) fn new(server: SocketAddr, fault: ProxyFault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            server,
            fault,
            has_interfered: AtomicBool::default(),
            commits: AtomicUsize::default(),
        });
        let proxy_state = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), proxy_state.clone());
                std::thread::spawn(move || state.serve(&stream));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether a message was lost, held back or altered.
    pub(crate) fn has_interfered(&self) -> bool {
        self.state.has_interfered.load(Ordering::SeqCst)
    }

    /// How many requests that commit something of the document or of a copy the server responded to.
    pub(crate) fn commits(&self) -> usize {
        self.state.commits.load(Ordering::SeqCst)
    }
}

impl State {
    fn serve(&self, mut client: &TcpStream) {
        while let Some((head, body)) = read_http_message(&mut client) {
            let text = String::from_utf8_lossy(&body);
            let is_commit = text.contains("\"COMMIT\"");
            // A request that only determines what became of another one does not count.
            let is_counted = is_commit && !text.contains("_tatmig_fence");
            let is_affected = match self.fault {
                ProxyFault::LostCommitResponse
                | ProxyFault::LostCommitRequest
                | ProxyFault::BadGateway
                | ProxyFault::HeldCommit(_) => {
                    is_commit && !self.has_interfered.swap(true, Ordering::SeqCst)
                }
                ProxyFault::NoNamespaceHeader
                | ProxyFault::Altered(_)
                | ProxyFault::Replaced(_) => {
                    self.has_interfered.store(true, Ordering::SeqCst);
                    true
                }
            };
            if is_affected && matches!(self.fault, ProxyFault::LostCommitRequest) {
                return;
            }
            if let (true, ProxyFault::HeldCommit(duration)) = (is_affected, self.fault) {
                std::thread::sleep(duration);
            }
            let head = match self.fault {
                ProxyFault::NoNamespaceHeader => {
                    let lines = head.split_inclusive("\r\n");
                    lines.filter(|line| !line.starts_with("x-namespace-bin")).collect()
                }
                _ => head,
            };
            let mut upstream = TcpStream::connect(self.server).unwrap();
            upstream.write_all(head.as_bytes()).unwrap();
            upstream.write_all(&body).unwrap();
            let Some(response) = read_http_message(&mut upstream) else { return };
            self.commits.fetch_add(usize::from(is_counted), Ordering::SeqCst);
            if is_affected && matches!(self.fault, ProxyFault::LostCommitResponse) {
                return;
            }
            let (head, body) = if is_affected { self.alter_response(response) } else { response };
            if client.write_all(head.as_bytes()).and_then(|()| client.write_all(&body)).is_err() {
                return;
            }
        }
    }

    fn alter_response(&self, (head, body): (String, Vec<u8>)) -> (String, Vec<u8>) {
        let with_body = |status: &str, body: Vec<u8>| {
            (format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()), body)
        };
        match self.fault {
            ProxyFault::BadGateway => with_body("502 Bad Gateway", b"no upstream".to_vec()),
            ProxyFault::Replaced(text) => with_body("200 OK", text.as_bytes().to_vec()),
            ProxyFault::Altered(alter) => match serde_json::from_slice(&body) {
                Ok(mut value) => {
                    alter(&mut value);
                    with_body("200 OK", value.to_string().into_bytes())
                }
                Err(_) => (head, body),
            },
            _ => (head, body),
        }
    }
}

/// Reads an HTTP message: its head, and a body of the given length.
fn read_http_message(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(str::trim)
                .map(|text| text.parse().unwrap())
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}
