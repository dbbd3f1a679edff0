//! The body of a long-polling request.
#![no_main]

use hubcast_fuzz::wire::laws;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::payload(bytes));
