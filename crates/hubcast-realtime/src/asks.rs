//! Acks that the server asks for: which ones of a socket are still to come.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::gateway::Json;
use super::payload::Payload;

/// Acks of one socket that may be waited for at once.
const MOST: usize = 256;

/// What a client has answered.
#[derive(Debug)]
pub struct Answer {
    /// Where bytes belong stands `{"_placeholder":true,"num":N}`: the Nth of `attachments`.
    pub args: Vec<Json>,
    pub attachments: Vec<Bytes>,
}

impl Answer {
    /// All that came with it, to be sent on.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        Payload::from_client(&self.args, self.attachments)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// None has come in time. One that comes later is for nobody.
    TimedOut,
    /// The socket has left.
    Gone,
    /// 256 answers of this socket are being waited for already.
    TooMany,
    /// Only Socket.IO's clients can be asked.
    NotSocketIo,
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the client has not answered in time",
            Self::Gone => "the client has gone",
            Self::TooMany => "the client has not answered many questions before",
            Self::NotSocketIo => "the client's protocol knows no answers",
        })
    }
}

impl std::error::Error for Unanswered {}

/// Those who wait. Most sockets are never asked anything, and have a null pointer here.
#[derive(Default)]
pub(super) struct Asks(OnceCell<Rc<RefCell<Waiting>>>);

#[derive(Default)]
struct Waiting {
    last: u64,
    by_id: HashMap<u64, oneshot::Sender<Answer>>,
    /// The socket has left.
    is_over: bool,
}

impl Asks {
    /// A question is to be asked.
    pub(super) fn begin(&self) -> Result<Asked, Unanswered> {
        let waiting = Rc::clone(self.0.get_or_init(Rc::default));
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut all = waiting.borrow_mut();
            if all.is_over {
                return Err(Unanswered::Gone);
            }
            if all.by_id.len() >= MOST {
                return Err(Unanswered::TooMany);
            }
            all.last += 1;
            let id = all.last;
            all.by_id.insert(id, answer);
            id
        };
        Ok(Asked { id, answered, waiting })
    }

    /// An ack has come. One that nobody waits for is dropped, as in the reference server.
    pub(super) fn answer(&self, id: u64, answer: Answer) {
        let asked = self.0.get().and_then(|waiting| waiting.borrow_mut().by_id.remove(&id));
        if let Some(asked) = asked {
            // Who asked may have gone.
            let _ = asked.send(answer);
        }
    }

    /// The socket has left: nobody waits any more.
    pub(super) fn end(&self) {
        if let Some(waiting) = self.0.get() {
            let mut waiting = waiting.borrow_mut();
            waiting.is_over = true;
            waiting.by_id.clear();
        }
    }
}

/// One question. Who drops it does not wait any more.
pub(super) struct Asked {
    pub(super) id: u64,
    answered: oneshot::Receiver<Answer>,
    waiting: Rc<RefCell<Waiting>>,
}

impl Asked {
    pub(super) async fn wait(mut self, within: Duration) -> Result<Answer, Unanswered> {
        match tokio::time::timeout(within, &mut self.answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Unanswered::Gone),
            Err(_) => Err(Unanswered::TimedOut),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.waiting.borrow_mut().by_id.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer { args: Vec::new(), attachments: Vec::new() }
    }

    #[actix_rt::test]
    async fn each_answer_is_for_its_own_question() {
        let asks = Asks::default();
        let (first, second) = (asks.begin().unwrap(), asks.begin().unwrap());
        assert_ne!(first.id, second.id);
        asks.answer(second.id, answer());
        asks.answer(99, answer());
        assert!(second.wait(Duration::from_secs(1)).await.is_ok());
        assert_eq!(first.wait(Duration::ZERO).await.err(), Some(Unanswered::TimedOut));
        assert!(asks.0.get().unwrap().borrow().by_id.is_empty());
    }

    #[actix_rt::test]
    async fn questions_are_bounded_and_end_with_the_socket() {
        let asks = Asks::default();
        let mut all: Vec<_> = (0..MOST).map(|_| asks.begin().unwrap()).collect();
        assert_eq!(asks.begin().err(), Some(Unanswered::TooMany));
        let last = all.pop().unwrap();
        drop(all);
        assert!(asks.begin().is_ok());
        asks.end();
        assert_eq!(last.wait(Duration::from_secs(1)).await.err(), Some(Unanswered::Gone));
        assert_eq!(asks.begin().err(), Some(Unanswered::Gone));
    }
}
