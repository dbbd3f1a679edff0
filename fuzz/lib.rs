//! The codec of hubcast, out of the server's own files. Each target hands its bytes to one function
//! of `wire::laws`, which the property tests call too. Run them by `scripts/fuzz`.

#[path = "../crates/hubcast-realtime/src/wire/mod.rs"]
pub mod wire;
