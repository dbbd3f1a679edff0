//! The official client: socket.io-client 4.8, as far as recovery concerns it.

use serde_json::Value;

/// The state of `Socket.onconnect` and `Socket.emitEvent`.
#[derive(Default)]
pub(crate) struct Client {
    pub(crate) pid: Option<String>,
    pub(crate) last_offset: Option<String>,
    pub(crate) recovered: bool,
    /// Names and numbers of stored events since the last connect that did not recover.
    pub(crate) received: Vec<(String, i64)>,
}

impl Client {
    pub(crate) fn on_packet(&mut self, text: &str) {
        if let Some(connect) = text.strip_prefix("40") {
            let connect: Value = serde_json::from_str(connect).unwrap();
            let pid = connect["pid"].as_str().map(ToOwned::to_owned);
            self.recovered = pid.is_some() && self.pid == pid;
            self.pid = pid;
            if !self.recovered {
                self.received.clear();
            }
            return;
        }
        let args: Vec<Value> = serde_json::from_str(text.strip_prefix("42").unwrap()).unwrap();
        if args[0] != "session"
            && let Some(number) = args[1].as_i64()
        {
            self.received.push((args[0].as_str().unwrap().to_owned(), number));
        }
        if self.pid.is_some()
            && let Some(Value::String(last)) = args.last()
        {
            self.last_offset = Some(last.clone());
        }
    }
}

/// Returns the texts of consecutive WebSocket frames.
pub(crate) fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let (head, length) = match bytes[1] {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            short => (2, usize::from(short)),
        };
        texts.push(String::from_utf8(bytes[head..head + length].to_vec()).unwrap());
        bytes = &bytes[head + length..];
    }
    texts
}
