//! `settings.md`: a table for each group of settings that `hubcast serve` takes.

use clap::builder::ValueRange;
use clap::{Arg, ArgAction, Command};

use super::markdown::{code, sentence, table};
use crate::config::PROFILE;

const INTRODUCTION: &str = "\
# Settings

Each setting can be given as a flag of `hubcast serve`, as an environment variable, or as a line of
the file `.env` in the working directory. A flag wins over the environment, and the environment
wins over `.env`. A variable that is empty counts as not set. `hubcast check-config` checks the
settings and prints what they mean, without starting the server.

| value | written as |
| --- | --- |
| size | bytes, or with a unit: `65536`, `64KiB`, `1MiB` |
| duration | a whole number with a unit: `500ms`, `10s`, `2m`, `24h`; a setting in `_MS` also \
takes a bare number of milliseconds |
| rate | `N/s` or `N/m`, with `,BURST` for the most at once (N if left out): `100/s,200` |
| switch | `on` or `off`, also `true` or `false`; some flags take no value and mean `on` |
| list | values with commas between them |

Exit codes: 0 after a clean stop, 1 after a failure, 2 for a bad setting or bad usage; the reason is
one line on stderr that names the setting. On SIGTERM or SIGINT the server stops within 10 s, and
clients resume their sessions on the next one.
";

/// The page. `serve` is the command whose arguments are the settings.
pub(super) fn page(serve: &Command) -> String {
    let arguments: Vec<&Arg> =
        serve.get_arguments().filter(|argument| argument.get_help_heading().is_some()).collect();
    let mut headings: Vec<&str> = Vec::new();
    for heading in arguments.iter().filter_map(|argument| argument.get_help_heading()) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    let sections = headings.into_iter().map(|heading| {
        let group =
            arguments.iter().filter(|argument| argument.get_help_heading() == Some(heading));
        let rows = group.map(|argument| row(argument));
        format!("\n## {heading}\n\n{}", table(&["setting", "flag", "default", "meaning"], rows))
    });
    format!("{INTRODUCTION}{}{}", sections.collect::<String>(), production())
}

/// What production changes.
fn production() -> String {
    let rows = PROFILE.iter().map(|row| {
        let [outside, production, why] = [row.outside, row.production, row.why].map(str::to_owned);
        vec![code(row.setting), outside, production, why]
    });
    let table = table(&["setting", "outside of production", "in production", "why"], rows);
    format!("\n## What `HUBCAST_ENV=production` changes\n\n{table}")
}

fn row(argument: &Arg) -> Vec<String> {
    let setting = argument.get_env().map(|name| name.to_string_lossy()).unwrap_or_default();
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string);
    let help = help.unwrap_or_default();
    let (meaning, default) = split_default(&help);
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| takes_value(argument))
        .map(|value| code(value.get_name()))
        .collect();
    let mut meaning = sentence(meaning);
    if !values.is_empty() {
        meaning = format!("{meaning} Values: {}.", values.join(", "));
    }
    let default = default.map_or_else(|| declared_default(argument), str::to_owned);
    vec![code(&setting), code(&flag(argument)), default, meaning]
}

/// The help text, and the default that it ends with as `[default: …]`: used for settings whose
/// default cannot be written as a value.
fn split_default(help: &str) -> (&str, Option<&str>) {
    let text = help.trim_end().trim_end_matches('.');
    let parts = text.strip_suffix(']').and_then(|text| text.rsplit_once(" [default: "));
    parts.map_or((help, None), |(meaning, default)| (meaning, Some(default)))
}

fn declared_default(argument: &Arg) -> String {
    if !takes_value(argument) {
        return "off".to_owned();
    }
    let values = argument.get_default_values().iter().map(|value| value.to_string_lossy());
    let values = values.collect::<Vec<_>>().join(",");
    if values.is_empty() { "none".to_owned() } else { code(&values) }
}

fn takes_value(argument: &Arg) -> bool {
    match argument.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => false,
        _ => argument.get_num_args() != Some(ValueRange::EMPTY),
    }
}

fn flag(argument: &Arg) -> String {
    argument.get_long().map(|long| format!("--{long}")).unwrap_or_default()
}
