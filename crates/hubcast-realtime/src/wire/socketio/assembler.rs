//! Puts binary packets together from a connection's messages, in the order in which they arrive.

use bytes::Bytes;

use super::{BinaryPacket, Body, EventOrAck, Fault, Packet, decode};

/// The packet whose attachments have not all arrived, if any. An idle one is a null pointer.
///
/// It holds at most one packet's text and attachments, within the limit given to
/// [`Assembler::binary`], and nothing after a fault. It has no clock: the session closes a client
/// that never sends what it announced.
#[derive(Debug, Default)]
pub struct Assembler(Option<Box<PartialPacket>>);

#[derive(Debug)]
struct PartialPacket {
    namespace: Box<str>,
    content: EventOrAck,
    due: usize,
    attachments: Vec<Bytes>,
    size: usize,
}

impl Assembler {
    /// Takes a text message. Returns `None` if the packet announced attachments, so it never
    /// returns a [`Body::Binary`].
    ///
    /// # Errors
    /// [`Fault::Due`] while attachments of an earlier packet are missing, or a fault of [`decode`].
    pub fn text<'a>(&mut self, text: &'a str) -> Result<Option<Packet<'a>>, Fault> {
        if self.0.take().is_some() {
            return Err(Fault::Due);
        }
        let Packet { namespace, body } = decode(text)?;
        match body {
            Body::Binary { content, due } => {
                self.0 = Some(Box::new(PartialPacket {
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

    /// Takes a binary message. Returns the packet with its last attachment. `limit` is the most
    /// bytes that a packet's attachments may have in total.
    ///
    /// # Errors
    /// [`Fault::NotDue`] if no packet announced it, [`Fault::TooLarge`] above the limit.
    pub fn binary(&mut self, data: Bytes, limit: usize) -> Result<Option<BinaryPacket>, Fault> {
        let mut packet = self.0.take().ok_or(Fault::NotDue)?;
        packet.size = packet.size.saturating_add(data.len());
        if packet.size > limit {
            return Err(Fault::TooLarge);
        }
        if packet.attachments.len() + 1 < packet.due {
            // Copies, because a few bytes would keep a large read buffer alive until the next one
            // arrives.
            packet.attachments.push(Bytes::copy_from_slice(&data));
            self.0 = Some(packet);
            return Ok(None);
        }
        let PartialPacket { namespace, content, mut attachments, .. } = *packet;
        attachments.push(data);
        Ok(Some(BinaryPacket { namespace, content, attachments }))
    }

    /// Returns true if the next message has to be binary.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.is_some()
    }
}
