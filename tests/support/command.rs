//! The output of a command: its exit code, its answer, its error message.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::process::{Command, Output};

pub fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// The error message on stderr, which has to be one line.
pub fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

/// The answer on stdout of a command that has to succeed.
pub fn answer(output: &Output) -> String {
    assert_eq!(code(output), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs a command with these settings.
pub fn with(mut command: Command, settings: &[(&str, &str)]) -> Output {
    command.envs(settings.iter().copied()).output().unwrap()
}
