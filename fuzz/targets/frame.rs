//! The bytes of a WebSocket.
#![no_main]

use hubcast_fuzz::wire::laws;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::frame(bytes));
