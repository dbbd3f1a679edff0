//! Binary packets, put together: a connection's messages go through here in the order they came.

use bytes::Bytes;

use super::{Body, Content, Fault, Packet, Whole, decode};

/// What is there of a packet whose attachments have not all come. Without one it is a null pointer.
///
/// It holds at most one packet's text and the bytes of its attachments, within the limit given to
/// [`Assembler::binary`]. It knows no time: a client that never sends what it announced is the
/// session's to end. After a fault nothing is held.
#[derive(Debug, Default)]
pub struct Assembler(Option<Box<Waiting>>);

#[derive(Debug)]
struct Waiting {
    namespace: Box<str>,
    content: Content,
    due: usize,
    attachments: Vec<Bytes>,
    size: usize,
}

impl Assembler {
    /// Takes a text message. `None`: it announced attachments; never gives a [`Body::Binary`].
    ///
    /// # Errors
    /// [`Fault::Due`] while attachments of an earlier packet are missing, else as [`decode`].
    pub fn text<'a>(&mut self, text: &'a str) -> Result<Option<Packet<'a>>, Fault> {
        if self.0.take().is_some() {
            return Err(Fault::Due);
        }
        let Packet { namespace, body } = decode(text)?;
        match body {
            Body::Binary { content, due } => {
                self.0 = Some(Box::new(Waiting {
                    namespace: namespace.into(),
                    content,
                    due,
                    attachments: Vec::with_capacity(due),
                    size: 0,
                }));
                Ok(None)
            }
            body => Ok(Some(Packet { namespace, body })),
        }
    }

    /// Takes a binary message; gives the packet when it was the last one due. `limit`: bytes that a
    /// packet's attachments may have together.
    ///
    /// # Errors
    /// [`Fault::NotDue`] when no packet has announced it, [`Fault::TooLarge`] above the limit.
    pub fn binary(&mut self, data: Bytes, limit: usize) -> Result<Option<Whole>, Fault> {
        let mut waiting = self.0.take().ok_or(Fault::NotDue)?;
        waiting.size = waiting.size.saturating_add(data.len());
        if waiting.size > limit {
            return Err(Fault::TooLarge);
        }
        if waiting.attachments.len() + 1 < waiting.due {
            // It may be a few bytes of a large read buffer, and the next one may not come for long.
            waiting.attachments.push(Bytes::copy_from_slice(&data));
            self.0 = Some(waiting);
            return Ok(None);
        }
        let Waiting { namespace, content, mut attachments, .. } = *waiting;
        attachments.push(data);
        Ok(Some(Whole { namespace, content, attachments }))
    }

    /// Whether the next message has to be binary.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.is_some()
    }
}
