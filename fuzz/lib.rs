//! The wire codec, compiled from the server's own files. Each target passes its bytes to one
//! function of `wire::laws`, which the property tests call too. Run them with `scripts/fuzz`.

#[path = "../crates/hubcast-realtime/src/wire/mod.rs"]
pub mod wire;
