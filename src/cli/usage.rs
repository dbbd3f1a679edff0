//! Parses the arguments, and describes a mistake in one line.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Parser};

use super::Failure;
use crate::model::{Role, UserId};

pub(super) enum Parsed<T> {
    Command(T),
    /// --help or --version, which were printed.
    Printed,
}

/// Parses the arguments. Without a command, the command is `serve`.
pub(super) fn parse<T: Parser>(args: impl Iterator<Item = OsString>) -> Result<Parsed<T>, Failure> {
    let mut args: Vec<OsString> = args.collect();
    let first = args.get(1).and_then(|arg| arg.to_str());
    let asks = matches!(first, Some("-h" | "--help" | "-V" | "--version"));
    if first.is_none_or(|arg| arg.starts_with('-')) && !asks {
        args.insert(args.len().min(1), "serve".into());
    }
    let command = prepare_env(T::command());
    let matches = command
        .try_get_matches_from(args)
        .and_then(|mut matches| T::from_arg_matches_mut(&mut matches));
    match matches {
        Ok(parsed) => Ok(Parsed::Command(parsed)),
        Err(error) if !error.use_stderr() => {
            // Fails only if stdout is closed, and then there is no reader.
            let _ = error.print();
            Ok(Parsed::Printed)
        }
        Err(error) => Err(Failure::Usage(one_line(&error, &T::command()))),
    }
}

/// Hides the environment's values in --help, and ignores empty variables: process managers often
/// pass a setting without a value as an empty one.
fn prepare_env(command: clap::Command) -> clap::Command {
    let prepare = |arg: Arg| {
        let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        if empty { arg.env(None) } else { arg.hide_env_values(true) }
    };
    command.mut_args(prepare).mut_subcommands(prepare_env)
}

/// Names the setting and the remedy. The value is left out, because it can be a secret; clap
/// repeats an unknown setting in its own text.
fn one_line(error: &clap::Error, command: &clap::Command) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let setting = text(ContextKind::InvalidArg).map(|arg| name(arg, command));
    match (error.kind(), setting, error.source()) {
        (ErrorKind::ValueValidation, Some(setting), Some(source)) => format!("{setting}: {source}"),
        (ErrorKind::InvalidValue, Some(setting), _) => match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(words)) if !words.is_empty() => {
                format!("{setting}: has to be one of {}", words.join(", "))
            }
            _ => format!("{setting}: needs a value"),
        },
        _ => {
            let text = error.to_string();
            let paragraph = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> =
                paragraph.trim_start_matches("error: ").split_whitespace().collect();
            format!("{}; see hubcast --help", words.join(" "))
        }
    }
}

/// Returns `PORT (--port)` for `--port <PORT>`.
fn name(arg: &str, command: &clap::Command) -> String {
    let flag = arg.split([' ', '=']).next().unwrap_or(arg);
    let is_it =
        |arg: &&Arg| arg.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long));
    env_of(command, &is_it).map_or(flag.to_owned(), |env| format!("{env} ({flag})"))
}

fn env_of(command: &clap::Command, is_it: &dyn Fn(&&Arg) -> bool) -> Option<String> {
    let own = command
        .get_arguments()
        .find(is_it)
        .and_then(Arg::get_env)
        .map(|env| env.to_string_lossy().into_owned());
    own.or_else(|| command.get_subcommands().find_map(|command| env_of(command, is_it)))
}

pub(super) fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|_| format!("{text:?} is no role; write customer or admin"))
}

pub(super) fn user(text: &str) -> Result<UserId, String> {
    text.parse().map_err(|_| format!("{text:?} is no user's id; `hubcast user list` shows them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(args: &[&str]) -> Result<Command, String> {
        let args = ["hubcast"].iter().chain(args).map(OsString::from);
        match parse::<Cli>(args) {
            Ok(Parsed::Command(cli)) => Ok(cli.command),
            Ok(Parsed::Printed) => Err("printed".into()),
            Err(Failure::Usage(text) | Failure::Failed(text)) => Err(text),
        }
    }

    #[test]
    fn without_a_command_it_serves() {
        assert!(matches!(parsed(&[]), Ok(Command::Serve(_))));
        assert!(
            matches!(parsed(&["--demo"]), Ok(Command::Serve(settings)) if settings.server.demo)
        );
        assert!(matches!(parsed(&["migrate"]), Ok(Command::Migrate(_))));
    }

    #[test]
    fn a_mistake_is_described_in_one_line_with_the_settings_name() {
        let cases = [
            (
                &["serve", "--port", "99999"][..],
                "PORT (--port): \"99999\" is not a port; write a number from 0 to 65535",
            ),
            (
                &["--log-format", "xml"],
                "LOG_FORMAT (--log-format): has to be one of auto, text, json",
            ),
            (
                &["--database-url", "mysql://u:hush@h/d"],
                "DATABASE_URL (--database-url): has to begin with sqlite:// or postgres://",
            ),
            (
                &["migrate", "--database-url", "postgres://u:hush@h/d?sslmode=on"],
                "DATABASE_URL (--database-url): sslmode has to be one of disable, prefer, require, \
                 verify-ca, verify-full",
            ),
            (
                &["--rate-events", "fast"],
                "RATE_EVENTS (--rate-events): \"fast\" is not a rate; write N/s or N/m, optionally \
                 with ,BURST, such as 100/s,200",
            ),
            (
                &["token"],
                "the following required arguments were not provided: --user <ID>; see hubcast \
                 --help",
            ),
            (&["--nonsense"], "unexpected argument '--nonsense' found; see hubcast --help"),
            (
                &["token", "--user", "x"],
                "--user: \"x\" is no user's id; `hubcast user list` shows them",
            ),
        ];
        for (args, text) in cases {
            assert_eq!(parsed(args).err().as_deref(), Some(text));
        }
    }

    #[test]
    fn a_password_comes_from_exactly_one_source() {
        let add = ["user", "add", "--email", "a@b.test", "--name", "A"];
        assert!(parsed(&add).is_err());
        assert!(parsed(&[&add[..], &["--password", "12345678"]].concat()).is_ok());
        assert!(
            parsed(&[&add[..], &["--password", "12345678", "--password-stdin"]].concat()).is_err()
        );
    }
}
