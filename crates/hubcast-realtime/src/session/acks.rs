//! The acks that the server waits for, by socket.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::core::payload::{Json, Payload};

/// The most acks of one socket that may be outstanding.
const MAX_OUTSTANDING: usize = 256;

/// A client's ack.
#[derive(Debug)]
pub struct Ack {
    /// The arguments. `{"_placeholder":true,"num":N}` marks where attachment N belongs.
    pub args: Vec<Json>,
    pub attachments: Vec<Bytes>,
}

impl Ack {
    /// Returns the arguments with their attachments, for sending them on.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        Payload::from_client(&self.args, self.attachments)
    }
}

/// The reason for a missing ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckError {
    /// No ack arrived in time. A later one is dropped.
    TimedOut,
    /// The socket has left.
    Gone,
    /// 256 acks of this socket are outstanding already.
    TooMany,
    /// Only clients of Socket.IO can ack.
    NotSocketIo,
}

impl std::fmt::Display for AckError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the client has not answered in time",
            Self::Gone => "the client has gone",
            Self::TooMany => "the client has not answered many questions before",
            Self::NotSocketIo => "the client's protocol knows no answers",
        })
    }
}

impl std::error::Error for AckError {}

/// The outstanding acks of one socket. Most sockets never have any, and hold a null pointer here.
#[derive(Default)]
pub(super) struct PendingAcks(OnceCell<Rc<RefCell<AckTable>>>);

#[derive(Default)]
struct AckTable {
    last: u64,
    by_id: HashMap<u64, oneshot::Sender<Ack>>,
    /// Whether the socket has left.
    is_over: bool,
}

impl PendingAcks {
    /// Starts to wait for an ack.
    pub(super) fn begin(&self) -> Result<AckWaiter, AckError> {
        let waiting = Rc::clone(self.0.get_or_init(Rc::default));
        let (ack, answered) = oneshot::channel();
        let id = {
            let mut all = waiting.borrow_mut();
            if all.is_over {
                return Err(AckError::Gone);
            }
            if all.by_id.len() >= MAX_OUTSTANDING {
                return Err(AckError::TooMany);
            }
            all.last += 1;
            let id = all.last;
            all.by_id.insert(id, ack);
            id
        };
        Ok(AckWaiter { id, answered, waiting })
    }

    /// Passes an ack to its waiter. An ack without a waiter is dropped, as in the reference server.
    pub(super) fn take(&self, id: u64, ack: Ack) {
        let asked = self.0.get().and_then(|waiting| waiting.borrow_mut().by_id.remove(&id));
        if let Some(asked) = asked {
            // The caller may have stopped waiting.
            let _ = asked.send(ack);
        }
    }

    /// Ends all waiting, because the socket has left.
    pub(super) fn end(&self) {
        if let Some(waiting) = self.0.get() {
            let mut waiting = waiting.borrow_mut();
            waiting.is_over = true;
            waiting.by_id.clear();
        }
    }
}

/// Waits for one ack. Dropping it ends the waiting.
pub(super) struct AckWaiter {
    pub(super) id: u64,
    answered: oneshot::Receiver<Ack>,
    waiting: Rc<RefCell<AckTable>>,
}

impl AckWaiter {
    pub(super) async fn wait(mut self, within: Duration) -> Result<Ack, AckError> {
        match tokio::time::timeout(within, &mut self.answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AckError::Gone),
            Err(_) => Err(AckError::TimedOut),
        }
    }
}

impl Drop for AckWaiter {
    fn drop(&mut self) {
        self.waiting.borrow_mut().by_id.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack() -> Ack {
        Ack { args: Vec::new(), attachments: Vec::new() }
    }

    #[actix_rt::test]
    async fn each_ack_ends_its_own_wait() {
        let acks = PendingAcks::default();
        let (first, second) = (acks.begin().unwrap(), acks.begin().unwrap());
        assert_ne!(first.id, second.id);
        acks.take(second.id, ack());
        acks.take(99, ack());
        assert!(second.wait(Duration::from_secs(1)).await.is_ok());
        assert_eq!(first.wait(Duration::ZERO).await.err(), Some(AckError::TimedOut));
        assert!(acks.0.get().unwrap().borrow().by_id.is_empty());
    }

    #[actix_rt::test]
    async fn waits_are_bounded_and_end_with_the_socket() {
        let acks = PendingAcks::default();
        let mut all: Vec<_> = (0..MAX_OUTSTANDING).map(|_| acks.begin().unwrap()).collect();
        assert_eq!(acks.begin().err(), Some(AckError::TooMany));
        let last = all.pop().unwrap();
        drop(all);
        assert!(acks.begin().is_ok());
        acks.end();
        assert_eq!(last.wait(Duration::from_secs(1)).await.err(), Some(AckError::Gone));
        assert_eq!(acks.begin().err(), Some(AckError::Gone));
    }
}
