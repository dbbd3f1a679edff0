//! The arguments of an event or an ack: JSON values and the bytes within them.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::wire::socketio::{self, Fault, MAX_ATTACHMENTS};

/// A value as its JSON text.
pub type Json = Box<RawValue>;

/// The placeholder of the first attachment.
pub(crate) const FIRST_ATTACHMENT: &str = r#"{"_placeholder":true,"num":0}"#;

/// The arguments of an event or an ack.
///
/// ```
/// use hubcast_realtime::Payload;
///
/// // None, one, and three: an array, a text and bytes.
/// let none = Payload::none();
/// let one = Payload::from(serde_json::json!({"a": 1}));
/// let numbers = Payload::of(&vec![1, 2, 3])?;
/// let three = numbers.and(Payload::of("text")?)?.and(Payload::bytes(vec![0xff, 0x00]))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Socket.IO clients receive each argument as it is, bytes as bytes. The plain protocol has only
/// JSON and one `data`: no argument is `null`, several are an array, and bytes are a base64 string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// The arguments' JSON texts joined by commas, with placeholders for bytes.
    args: String,
    count: usize,
    attachments: Vec<Bytes>,
}

impl Payload {
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Makes one argument of a JSON text, which is sent unchanged, or none of an empty text. The
    /// caller has to pass valid JSON, or the client drops its connection.
    #[must_use]
    pub fn json(text: impl Into<String>) -> Self {
        let args = text.into();
        Self { count: usize::from(!args.is_empty()), args, attachments: Vec::new() }
    }

    /// Makes one argument: the value as JSON.
    ///
    /// # Errors
    /// Fails if the value does not serialize as JSON.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::json)
    }

    /// Makes one argument of bytes.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { args: FIRST_ATTACHMENT.to_owned(), count: 1, attachments: vec![bytes.into()] }
    }

    /// Makes several arguments, each JSON, with `{"_placeholder":true,"num":N}` in the place of the
    /// Nth attachment.
    ///
    /// # Errors
    /// [`Fault::TooManyAttachments`] above ten, [`Fault::Attachments`] for a placeholder without an
    /// attachment, [`Fault::Depth`] for JSON that is nested deeper than 128.
    pub fn with_attachments<'a>(
        args: impl IntoIterator<Item = &'a str>,
        attachments: Vec<Bytes>,
    ) -> Result<Self, Fault> {
        let args: Vec<&str> = args.into_iter().collect();
        let payload = Self { count: args.len(), args: args.join(","), attachments };
        if payload.attachments.len() > MAX_ATTACHMENTS {
            return Err(Fault::TooManyAttachments);
        }
        if payload.is_binary() {
            socketio::check(&payload.args, payload.attachments.len())?;
        }
        Ok(payload)
    }

    /// Appends the arguments of `more`.
    ///
    /// # Errors
    /// As [`Payload::with_attachments`]. JSON of an untrusted source that looks like a placeholder
    /// is therefore refused together with bytes.
    pub fn and(self, more: Self) -> Result<Self, Fault> {
        let (own, others) = (self.attachments.len(), more.attachments.len());
        if own + others > MAX_ATTACHMENTS {
            return Err(Fault::TooManyAttachments);
        }
        let more_args = if own + others > 0 {
            socketio::check(&self.args, own)?;
            socketio::shifted(&more.args, others, own)?
        } else {
            more.args
        };
        let mut args = self.args;
        if !args.is_empty() && !more_args.is_empty() {
            args.push(',');
        }
        args.push_str(&more_args);
        let mut attachments = self.attachments;
        attachments.extend(more.attachments);
        Ok(Self { args, count: self.count + more.count, attachments })
    }

    /// Makes a payload of a client's arguments, whose placeholders the decoder has checked.
    pub(crate) fn from_client(args: &[Json], attachments: Vec<Bytes>) -> Self {
        let texts: Vec<&str> = args.iter().map(|arg| arg.get()).collect();
        Self { args: texts.join(","), count: args.len(), attachments }
    }

    /// Returns the arguments' JSON texts, joined by commas.
    pub(crate) fn args(&self) -> &str {
        &self.args
    }

    pub(crate) fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    pub(crate) fn is_binary(&self) -> bool {
        !self.attachments.is_empty()
    }

    /// Returns true if an event with these arguments ends in a string: no other JSON ends in a
    /// quote, and an event without arguments ends in its name.
    pub(crate) fn ends_in_string(&self) -> bool {
        self.count == 0 || self.args.trim_end().ends_with('"')
    }

    /// Returns the payload as one JSON value.
    pub(crate) fn as_one(&self) -> Cow<'_, str> {
        let args = if self.is_binary() {
            // Placeholders that cannot be resolved are sent unchanged: plain clients ignore them.
            socketio::inline(&self.args, &self.attachments)
                .map_or(Cow::Borrowed(self.args()), Cow::Owned)
        } else {
            Cow::Borrowed(self.args())
        };
        match self.count {
            0 => "null".into(),
            1 => args,
            _ => format!("[{args}]").into(),
        }
    }

    /// Returns the approximate size in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.args.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }
}

impl From<serde_json::Value> for Payload {
    fn from(value: serde_json::Value) -> Self {
        Self::json(value.to_string())
    }
}

impl From<Json> for Payload {
    fn from(json: Json) -> Self {
        Self::json(String::from(Box::<str>::from(json)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::FIRST_ATTACHMENT as PLACEHOLDER;

    #[test]
    fn and_appends_arguments_and_keeps_their_bytes() {
        let [one, two] = [Payload::bytes(vec![1]), Payload::bytes(vec![2])];
        let all =
            Payload::none().and(one).unwrap().and(Payload::json("1")).unwrap().and(two).unwrap();
        assert_eq!(all.args(), r#"{"_placeholder":true,"num":0},1,{"_placeholder":true,"num":1}"#);
        assert_eq!(all.attachments(), [&[1][..], &[2]]);
        assert_eq!(all.as_one(), r#"["AQ==",1,"Ag=="]"#);
    }

    #[test]
    fn an_untrusted_placeholder_is_refused_together_with_bytes() {
        let (bytes, untrusted) = (Payload::bytes(vec![1]), Payload::json(PLACEHOLDER));
        assert_eq!(bytes.clone().and(untrusted.clone()), Err(Fault::Attachments));
        assert_eq!(untrusted.clone().and(bytes), Err(Fault::Attachments));
        assert_eq!(untrusted.as_one(), PLACEHOLDER);
        assert_eq!(
            Payload::with_attachments(
                [PLACEHOLDER, r#"{"_placeholder":true,"num":1}"#],
                vec![Bytes::new()]
            ),
            Err(Fault::Attachments)
        );
    }

    #[test]
    fn at_most_ten_attachments_are_allowed() {
        let all = |many: u8| {
            (0..many).try_fold(Payload::none(), |all, byte| all.and(Payload::bytes(vec![byte])))
        };
        assert!(all(10).is_ok());
        assert_eq!(all(11), Err(Fault::TooManyAttachments));
    }

    #[test]
    fn an_empty_text_is_no_argument() {
        assert_eq!(Payload::json(""), Payload::none());
    }

    #[test]
    fn as_one_is_null_the_value_or_an_array() {
        let two = Payload::json("1").and(Payload::of("x").unwrap()).unwrap();
        assert_eq!(
            [Payload::none().as_one(), Payload::json("1").as_one(), two.as_one()],
            ["null", "1", r#"[1,"x"]"#]
        );
        assert!(
            two.ends_in_string()
                && Payload::none().ends_in_string()
                && !Payload::json("{\"a\":\"b\"}").ends_in_string()
        );
    }
}
