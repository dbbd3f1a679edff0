//! The command line: reads the settings and runs a command. Exit codes: 0 for success, 1 for a
//! failure, 2 for bad usage or a bad setting.
//!
//! Results go to stdout, logs and errors to stderr. Commands that use the database can run beside a
//! server.

mod commands;
mod docs;
mod usage;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{
    AuthSettings, BadSetting, DatabaseSettings, EnvironmentSetting, LogFormat, LogSettings,
    SOCKETIO_PATH, Secret, Settings,
};
use crate::model::{Role, UserId};
use crate::{app, gateway, http, load};

/// A realtime hub server: REST calls write to the database, and the sockets concerned get an event
/// at once.
#[derive(Debug, Parser)]
#[command(name = "hubcast", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server; also the default without a command
    Serve(Box<Settings>),
    /// Bring the database's schema up to date
    Migrate(DatabaseArgs),
    /// Manage accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Print a token for a user
    Token(Box<TokenArgs>),
    /// Check the settings of `serve`, and print what they mean
    CheckConfig(Box<Settings>),
    /// Print the OpenAPI document of the REST calls, as `/openapi.json` serves it
    Openapi(DocumentArgs),
    /// Print the AsyncAPI document of the events that sockets send and receive, as `/asyncapi.json`
    /// serves it
    Asyncapi(DocumentArgs),
    /// Write the reference pages settings.md, api.md and events.md
    Docs(DocsArgs),
    /// Put load on a running server
    #[command(subcommand)]
    Load(load::Command),
}

#[derive(Debug, Args)]
struct DocumentArgs {
    /// URL of the server that the document names; a running server names its own
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: String,
}

/// The settings of a command that uses the database.
#[derive(Debug, Args)]
struct DatabaseArgs {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make an account, and print its id, role, e-mail and name
    Add(UserAdd),
    /// List all accounts with id, role, e-mail and name
    List(DatabaseArgs),
    /// Change an account's password, and end its tokens and sockets
    Passwd(UserPasswd),
    /// Change an account's role, and end its tokens and sockets
    Role(UserRole),
    /// Change an account's name. A token does not change it from then on (JWT_PROVISION)
    Rename(UserRename),
    /// Remove an account with the data that only it has, and end its tokens and sockets
    Remove(UserRemove),
    /// Link a token's issuer and subject to an account, if another program signs the tokens
    /// (JWT_PUBLIC_KEY_FILE, or JWT_SUBJECT=outside)
    Link(UserLink),
}

/// The account that a command is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct AccountArgs {
    /// Id of the user, as `hubcast user list` shows it
    #[arg(long, value_name = "ID", value_parser = usage::user)]
    user: Option<UserId>,
    /// E-mail of the user; upper and lower case are the same
    #[arg(long)]
    email: Option<String>,
}

#[derive(Debug, Args)]
struct UserPasswd {
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    store: DatabaseArgs,
}

#[derive(Debug, Args)]
struct UserRole {
    #[command(flatten)]
    account: AccountArgs,
    /// `customer` or `admin`
    #[arg(value_parser = usage::role)]
    role: Role,
    #[command(flatten)]
    store: DatabaseArgs,
}

#[derive(Debug, Args)]
struct UserRename {
    #[command(flatten)]
    account: AccountArgs,
    /// Name that other users see
    #[arg(long)]
    name: String,
    #[command(flatten)]
    store: DatabaseArgs,
}

#[derive(Debug, Args)]
struct UserRemove {
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    store: DatabaseArgs,
}

#[derive(Debug, Args)]
struct UserLink {
    #[command(flatten)]
    account: AccountArgs,
    /// The `sub` of the tokens
    #[arg(long, value_name = "SUB")]
    subject: String,
    /// The `iss` of the tokens; empty if they have none [default: JWT_ISSUER, else empty]
    #[arg(long, env = "JWT_ISSUER", value_name = "ISS", hide_env = true)]
    issuer: Option<String>,
    #[command(flatten)]
    store: DatabaseArgs,
}

#[derive(Debug, Args)]
struct UserAdd {
    /// E-mail for signing in; upper and lower case are the same
    #[arg(long)]
    email: String,
    /// Name that other users see
    #[arg(long)]
    name: String,
    /// `customer` or `admin`
    #[arg(long, default_value_t = Role::Customer, value_parser = usage::role)]
    role: Role,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    store: DatabaseArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PasswordArgs {
    /// The password. Other users of this machine can see it while the command runs
    #[arg(long)]
    password: Option<Secret>,
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
struct TokenArgs {
    /// Id of the user, as `hubcast user list` shows it
    #[arg(long, value_name = "ID", value_parser = usage::user)]
    user: UserId,
    /// `customer` or `admin` [default: the user's own]
    #[arg(long, value_parser = usage::role)]
    role: Option<Role>,
    /// Time until the token expires: ms, s, m or h
    #[arg(long, default_value = "1h", value_parser = crate::config::duration)]
    ttl: std::time::Duration,
    #[command(flatten)]
    auth: AuthSettings,
    #[command(flatten)]
    environment: EnvironmentSetting,
    #[command(flatten)]
    store: DatabaseArgs,
}

#[derive(Debug, Args)]
struct DocsArgs {
    /// Folder for the pages; files with their names are overwritten
    #[arg(long, default_value = "docs", value_name = "FOLDER")]
    out: PathBuf,
}

/// Why a command failed.
enum Failure {
    /// Exit code 2.
    Usage(String),
    /// Exit code 1.
    Failed(String),
}

impl From<BadSetting> for Failure {
    fn from(bad: BadSetting) -> Self {
        Self::Usage(bad.to_string())
    }
}

/// Parses the arguments, the program's name first, and runs the command.
#[must_use]
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let parsed = read_dotenv(Path::new(".env")).and_then(|()| usage::parse::<Cli>(args));
    let outcome = match parsed {
        Ok(usage::Parsed::Command(cli)) => dispatch(cli.command),
        Ok(usage::Parsed::Printed) => Ok(ExitCode::SUCCESS),
        Err(failure) => Err(failure),
    };
    let (text, code) = match outcome {
        Ok(code) => return code,
        Err(Failure::Failed(text)) => (text, 1),
        Err(Failure::Usage(text)) => (text, 2),
    };
    eprintln!("hubcast: {text}");
    ExitCode::from(code)
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Serve(settings) => {
            commands::check(&settings)?;
            start_log(settings.log);
            Ok(app::serve(*settings))
        }
        Command::CheckConfig(settings) => commands::check_config(&settings).map(done),
        Command::Migrate(store) => commands::migrate(store).map(done),
        Command::User(UserCommand::Add(add)) => commands::user_add(add).map(done),
        Command::User(UserCommand::List(store)) => commands::user_list(&store).map(done),
        Command::User(UserCommand::Passwd(passwd)) => commands::user_passwd(passwd).map(done),
        Command::User(UserCommand::Role(role)) => commands::user_role(role).map(done),
        Command::User(UserCommand::Rename(rename)) => commands::user_rename(rename).map(done),
        Command::User(UserCommand::Remove(remove)) => commands::user_remove(remove).map(done),
        Command::User(UserCommand::Link(link)) => commands::user_link(link).map(done),
        Command::Token(args) => commands::token(&args).map(done),
        Command::Openapi(args) => commands::print(&http::openapi::document(&args.url)).map(done),
        Command::Asyncapi(args) => {
            commands::print(&gateway::asyncapi::document(&args.url, SOCKETIO_PATH)).map(done)
        }
        Command::Docs(args) => write_docs(&args.out).map(done).map_err(Failure::Failed),
        Command::Load(command) => load::run(command).map(done).map_err(Failure::Failed),
    }
}

fn write_docs(folder: &Path) -> Result<(), String> {
    let (mut cli, openapi, asyncapi) = (
        Cli::command(),
        http::openapi::document("/"),
        gateway::asyncapi::document("/", SOCKETIO_PATH),
    );
    cli.build();
    let serve = cli.find_subcommand("serve").ok_or("there is no command `serve`")?;
    docs::write(folder, &docs::Sources { serve, openapi: &openapi, asyncapi: &asyncapi })
}

/// Reads settings from `.env` in the working directory. Variables that are set stay as they are.
/// Runs before any thread starts, as changing the environment requires.
fn read_dotenv(file: &Path) -> Result<(), Failure> {
    match dotenvy::from_path(file) {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // The library's text repeats the line, which can hold a secret.
        Err(dotenvy::Error::LineParse(..)) => Err(Failure::Usage(
            ".env: has a line that is not NAME=value; quote values with spaces".into(),
        )),
        Err(error) => Err(Failure::Usage(format!(".env: cannot be read: {error}"))),
    }
}

fn start_log(settings: LogSettings) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Auto => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Text => log.with_ansi(false).init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_no_conflicts() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_broken_dotenv_is_refused_without_repeating_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join(".env");
        assert!(read_dotenv(&file).is_ok());
        std::fs::write(&file, "JWT SECRET=hush-hush\n").expect("writes");
        let Err(Failure::Usage(text)) = read_dotenv(&file) else { panic!("refused") };
        assert!(!text.contains("hush") && !text.contains('\n'), "{text}");
    }
}
