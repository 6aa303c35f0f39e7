//! Sends the body of a request and remembers whether that began. The HTTP client reads the body
//! only after it has a connection and has sent the head. So a server cannot have run a request
//! whose body was never read, whatever error the client returns.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, OnceLock};

/// What happened first to the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstEvent {
    /// The client began to send the body.
    Started,
    /// The request was withdrawn, so the body is never sent.
    Withdrawn,
}

/// Whether the body of a request is sent, shared by the sender and the one who waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery(Arc<OnceLock<FirstEvent>>);

impl Delivery {
    /// Whether the server may have the request.
    pub(crate) fn has_started(&self) -> bool {
        self.0.get() == Some(&FirstEvent::Started)
    }

    /// Prevents that the body is sent. Returns false if the client has begun to send the body.
    pub(crate) fn withdraw(&self) -> bool {
        *self.0.get_or_init(|| FirstEvent::Withdrawn) == FirstEvent::Withdrawn
    }
}

/// The body of a request.
pub(crate) struct RequestBody {
    bytes: Cursor<Vec<u8>>,
    delivery: Delivery,
}

impl RequestBody {
    pub(crate) fn new(bytes: Vec<u8>, delivery: &Delivery) -> Self {
        Self { bytes: Cursor::new(bytes), delivery: delivery.clone() }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.get_ref().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.get_ref().is_empty()
    }
}

impl Read for RequestBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.delivery.0.get_or_init(|| FirstEvent::Started) {
            FirstEvent::Started => self.bytes.read(buffer),
            FirstEvent::Withdrawn => Err(io::Error::other("the request was withdrawn")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawn_body_is_never_sent_and_a_started_one_cannot_be_withdrawn() {
        let delivery = Delivery::default();
        let mut body = RequestBody::new(b"COMMIT".to_vec(), &delivery);
        assert!(!delivery.has_started());
        assert!(delivery.withdraw());
        assert!(body.read(&mut [0; 8]).is_err());
        assert!(!delivery.has_started());

        let delivery = Delivery::default();
        let mut body = RequestBody::new(b"COMMIT".to_vec(), &delivery);
        assert_eq!(body.read(&mut [0; 8]).unwrap(), 6);
        assert!(delivery.has_started());
        assert!(!delivery.withdraw());
    }
}
