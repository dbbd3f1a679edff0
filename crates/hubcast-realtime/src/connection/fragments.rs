//! A message in several frames (RFC 6455 section 5.4), bounded in bytes and in frames.

use crate::core::ws::Message;
use actix_http::ws::Item;
use bytestring::ByteString;

use crate::core::reason::DisconnectReason;
use crate::core::settings::MAX_FRAGMENTS;

/// The incomplete message. It is empty between messages, and then holds no memory.
#[derive(Default)]
pub(crate) struct Fragments(Option<Box<PartialMessage>>);

struct PartialMessage {
    text: bool,
    data: Vec<u8>,
    frames: usize,
}

impl Fragments {
    /// Adds a frame. Returns the message if the frame was its last.
    pub(crate) fn add(
        &mut self,
        item: Item,
        limit: usize,
    ) -> Result<Option<Message>, DisconnectReason> {
        let (data, last) = match item {
            Item::FirstText(data) => return self.first(true, &data, limit),
            Item::FirstBinary(data) => return self.first(false, &data, limit),
            Item::Continue(data) => (data, false),
            Item::Last(data) => (data, true),
        };
        let message = self.0.as_mut().ok_or(DisconnectReason::ParseError)?;
        message.frames += 1;
        if message.data.len() + data.len() > limit || message.frames > MAX_FRAGMENTS {
            self.0 = None;
            return Err(DisconnectReason::TooLarge);
        }
        message.data.extend_from_slice(&data);
        if !last {
            return Ok(None);
        }
        let Some(message) = self.0.take() else { return Ok(None) };
        if message.text {
            let text = String::from_utf8(message.data).map_err(|_| DisconnectReason::NotUtf8)?;
            Ok(Some(Message::Text(ByteString::from(text))))
        } else {
            Ok(Some(Message::Binary(message.data.into())))
        }
    }

    /// Returns true while more frames are due.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.0.is_some()
    }

    fn first(
        &mut self,
        text: bool,
        data: &[u8],
        limit: usize,
    ) -> Result<Option<Message>, DisconnectReason> {
        if self.0.is_some() {
            return Err(DisconnectReason::ParseError);
        }
        if data.len() > limit {
            return Err(DisconnectReason::TooLarge);
        }
        self.0 = Some(Box::new(PartialMessage { text, data: data.to_vec(), frames: 1 }));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn fragments_become_one_message() {
        let mut fragments = Fragments::default();
        assert_eq!(fragments.add(Item::FirstText("a".into()), 10).unwrap(), None);
        assert_eq!(fragments.add(Item::Continue("b".into()), 10).unwrap(), None);
        assert_eq!(
            fragments.add(Item::Last("c".into()), 10).unwrap(),
            Some(Message::Text("abc".into()))
        );
        assert!(fragments.0.is_none());
    }

    #[test]
    fn bytes_frames_and_order_are_bounded() {
        let mut fragments = Fragments::default();
        assert_eq!(fragments.add(Item::Last("c".into()), 10), Err(DisconnectReason::ParseError));
        assert_eq!(
            fragments.add(Item::FirstText("x".repeat(11).into()), 10),
            Err(DisconnectReason::TooLarge)
        );
        fragments.add(Item::FirstText("12345".into()), 10).unwrap();
        assert_eq!(
            fragments.add(Item::Continue("123456".into()), 10),
            Err(DisconnectReason::TooLarge)
        );
        fragments.add(Item::FirstText(Bytes::new()), 10).unwrap();
        let outcome =
            (0..=MAX_FRAGMENTS).find_map(|_| fragments.add(Item::Continue(Bytes::new()), 10).err());
        assert_eq!(outcome, Some(DisconnectReason::TooLarge));
        fragments.add(Item::FirstText(vec![0xff].into()), 10).unwrap();
        assert_eq!(fragments.add(Item::Last(Bytes::new()), 10), Err(DisconnectReason::NotUtf8));
    }
}
