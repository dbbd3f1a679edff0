//! Counts the open connections by transport and protocol.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::core::protocol::Protocol;

/// The transport of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Long-polling.
    Polling,
    WebSocket,
}

/// All combinations, as the metrics name them.
const KINDS: [(&str, &str); 5] = [
    ("websocket", "socketio"),
    ("polling", "socketio"),
    ("websocket", "plain"),
    ("websocket", "engineio"),
    ("polling", "engineio"),
];

/// The open connections at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections([usize; KINDS.len()]);

impl Connections {
    /// Returns the total.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// Returns `(transport, protocol, count)` of each combination. The transport is `websocket` or
    /// `polling`; the protocol is `socketio`, `plain` or, for bare Engine.IO, `engineio`.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, usize)> {
        KINDS
            .into_iter()
            .zip(self.0)
            .map(|((transport, protocol), count)| (transport, protocol, count))
    }
}

#[derive(Default)]
pub(crate) struct Gauges([AtomicUsize; KINDS.len()]);

impl Gauges {
    pub(crate) fn opened(&self, transport: Transport, protocol: Protocol) {
        self.of(transport, protocol).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self, transport: Transport, protocol: Protocol) {
        self.of(transport, protocol).fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts an upgrade from polling to WebSocket.
    pub(crate) fn moved(&self, protocol: Protocol) {
        self.closed(Transport::Polling, protocol);
        self.opened(Transport::WebSocket, protocol);
    }

    pub(crate) fn now(&self) -> Connections {
        Connections(std::array::from_fn(|at| {
            self.0.get(at).map_or(0, |gauge| gauge.load(Ordering::Relaxed))
        }))
    }

    /// Returns the gauge, in the order of [`KINDS`].
    fn of(&self, transport: Transport, protocol: Protocol) -> &AtomicUsize {
        let [websocket, polling, plain, engine_websocket, engine_polling] = &self.0;
        match (protocol, transport) {
            (Protocol::SocketIo { .. }, Transport::WebSocket) => websocket,
            (Protocol::SocketIo { .. }, Transport::Polling) => polling,
            (Protocol::Plain, _) => plain,
            (Protocol::EngineIo, Transport::WebSocket) => engine_websocket,
            (Protocol::EngineIo, Transport::Polling) => engine_polling,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_under_its_own_name() {
        let gauges = Gauges::default();
        let offsets = Protocol::SocketIo { offsets: false };
        gauges.opened(Transport::Polling, offsets);
        gauges.opened(Transport::Polling, Protocol::EngineIo);
        gauges.opened(Transport::WebSocket, Protocol::Plain);
        gauges.moved(offsets);
        let open: Vec<_> = gauges.now().iter().filter(|(.., count)| *count > 0).collect();
        assert_eq!(
            open,
            [("websocket", "socketio", 1), ("websocket", "plain", 1), ("polling", "engineio", 1)]
        );
        gauges.closed(Transport::WebSocket, Protocol::Plain);
        assert_eq!(gauges.now().total(), 2);
    }
}
