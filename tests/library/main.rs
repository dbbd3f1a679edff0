//! The tests of the library by its public API, without the product.
//! They are one program, because each program is linked by itself.

#[path = "../support/echo.rs"]
mod echo;
#[path = "../support/inputs.rs"]
mod inputs;
#[path = "../support/polling.rs"]
mod polling;
#[path = "../support/probe.rs"]
mod probe;
#[path = "../support/raw.rs"]
mod raw;

mod admission;
mod calls;
mod conformance;
mod malformed;
mod malformed_frames;
mod malformed_requests;
mod protocol;
mod rooms;
mod sessions;
mod times;
mod transport;
