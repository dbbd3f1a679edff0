//! A text message of a client, in any of the protocols.
#![no_main]

use hubcast_fuzz::wire::laws;

libfuzzer_sys::fuzz_target!(|text: &str| laws::packet(text));
