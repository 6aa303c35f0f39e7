//! Reads and writes the messages of the protocol. A message that is no valid JSON ends nothing: it is
//! answered with an error. Half of a UTF-16 pair, which an editor may send, becomes U+FFFD.

use std::borrow::Cow;
use std::io::{self, BufRead, Read as _, Write};
use std::sync::mpsc::{Receiver, Sender};

use lsp_server::{ErrorCode, Message, RequestId, Response};

/// The longest message: far beyond any document that is read.
const MAX_MESSAGE_LEN: u64 = 1 << 30;

/// A message of the editor, or why it cannot be read.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Message),
    /// The response to send.
    Invalid(Response),
}

/// Reads messages until the input ends or is no longer one.
pub(crate) fn read_messages(mut input: impl BufRead, mut emit: impl FnMut(Incoming)) {
    while let Ok(Some(content)) = read_frame(&mut input) {
        emit(parse(&content));
    }
}

/// Reads the content of the next message; `None` at the end of the input.
fn read_frame(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut length = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(1 << 16).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let header = String::from_utf8_lossy(&line);
        let header = header.trim();
        if header.is_empty() {
            // Line ends between two messages do no harm.
            let Some(length) = length else { continue };
            let mut content = Vec::new();
            input.by_ref().take(length).read_to_end(&mut content)?;
            return Ok((content.len() as u64 == length).then_some(content));
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok().filter(|length| *length <= MAX_MESSAGE_LEN);
        }
    }
}

fn parse(content: &[u8]) -> Incoming {
    let text = String::from_utf8_lossy(content);
    let error = match serde_json::from_str(&without_lone_surrogates(&text)) {
        Ok(message) => return Incoming::Message(message),
        Err(error) => error,
    };
    let value: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let id = value.as_ref().and_then(|value| value.get("id")).map(|id| match id.as_i64() {
        Some(number) => RequestId::from(i32::try_from(number).unwrap_or_default()),
        None => RequestId::from(id.as_str().unwrap_or_default().to_owned()),
    });
    let code =
        if value.is_some() { ErrorCode::InvalidRequest } else { ErrorCode::ParseError } as i32;
    let id = id.unwrap_or_else(|| RequestId::from(0));
    Incoming::Invalid(Response::new_err(id, code, format!("the message cannot be read: {error}")))
}

/// Replaces each escape of half a UTF-16 pair in JSON, which is no text.
fn without_lone_surrogates(json: &str) -> Cow<'_, str> {
    let is_escape = |at: usize| json.as_bytes()[at..].starts_with(b"\\u");
    let unit = |at: usize| {
        let digits = json.get(at + 2..at + 6).filter(|_| is_escape(at))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &json.as_bytes()[at..]) {
        let start = at + found;
        let Some(first) = unit(start) else {
            // `\\` and the like: the escaped character begins no escape.
            at = (start + 2).min(json.len());
            continue;
        };
        let is_high = (0xD800..0xDC00).contains(&first);
        let is_low = |unit: u16| (0xDC00..0xE000).contains(&unit);
        at = start + 6;
        if is_high && unit(at).is_some_and(is_low) {
            at += 6;
        } else if is_high || is_low(first) {
            // The replacement has the same length.
            out.to_mut().replace_range(start..start + 6, "\\ufffd");
        }
    }
    out
}

/// Writes messages until the channel closes or the editor stops reading.
pub(crate) fn write_messages(messages: &Receiver<Message>, mut output: impl Write) {
    while let Ok(message) = messages.recv() {
        if message.write(&mut output).is_err() {
            return;
        }
    }
}

/// Sends a message to the writer. After the end of the writer, the message is dropped.
pub(crate) fn send(writer: &Sender<Message>, message: impl Into<Message>) {
    let _ = writer.send(message.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<String> {
        let mut read = Vec::new();
        read_messages(input, |incoming| {
            read.push(match incoming {
                Incoming::Message(Message::Notification(notification)) => {
                    format!("{} {}", notification.method, notification.params)
                }
                Incoming::Message(_) => "other".to_owned(),
                Incoming::Invalid(response) => {
                    format!(
                        "error {}",
                        response.response_result.err().map_or(0, |error| error.code)
                    )
                }
            });
        });
        read
    }

    fn frame(json: &str) -> Vec<u8> {
        format!("Content-Length: {}\r\n\r\n{json}", json.len()).into_bytes()
    }

    #[test]
    fn a_message_that_is_no_json_does_not_end_the_input() {
        let mut input = frame("{\"method\":");
        input.extend(frame("[1]"));
        input.extend(b"\r\nX: y\r\n");
        input.extend(frame(r#"{"jsonrpc":"2.0","method":"a","params":1}"#));
        assert_eq!(read(&input), ["error -32700", "error -32600", "a 1"]);
        assert!(read(b"Content-Length: 9\r\n\r\n{}").is_empty());
    }

    #[test]
    fn half_a_pair_becomes_a_replacement_character() {
        let json = r#"{"method":"a","params":["\ud83d","\ud83d\ude00","\ude00x","\\ud83d","\ud83d\ud83d\ude00"]}"#;
        assert_eq!(
            read(&frame(json)),
            ["a [\"\u{fffd}\",\"😀\",\"\u{fffd}x\",\"\\\\ud83d\",\"\u{fffd}😀\"]"]
        );
    }
}
