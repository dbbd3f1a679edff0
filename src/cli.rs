//! The command line: reads the settings, does what is asked, and says how it went by the exit code:
//! 0 done, 1 failed, 2 not understood.
//!
//! Answers go to stdout, logs and complaints to stderr. Commands that touch the database work
//! beside a running server.

mod commands;
mod usage;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{
    AuthSettings, BadSetting, DatabaseSettings, EnvironmentSetting, LogFormat, LogSettings, Secret,
    Settings,
};
use crate::model::{Role, UserId};
use crate::{app, gateway, http, load};

/// A realtime hub: REST writes to the database, and every socket that should know hears of it at
/// once.
#[derive(Debug, Parser)]
#[command(name = "hubcast", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what a bare `hubcast` does)
    Serve(Box<Settings>),
    /// Bring the database's schema up to date
    Migrate(Store),
    /// Manage accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Print a token for a user
    Token(Box<TokenArgs>),
    /// Check the settings that `serve` would take, and say what they come to
    CheckConfig(Box<Settings>),
    /// Print the OpenAPI document of the REST calls, as `/openapi.json` gives it
    Openapi,
    /// Print the AsyncAPI document of what sockets send and hear, as `/asyncapi.json` gives it
    Asyncapi,
    /// Put load on a running server
    #[command(subcommand)]
    Load(load::Command),
}

/// What commands need that touch the database.
#[derive(Debug, Args)]
struct Store {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make an account; prints its id, role, e-mail and name
    Add(UserAdd),
    /// List all accounts: id, role, e-mail and name
    List(Store),
    /// Give an account another password; its tokens end, and its sockets with them
    Passwd(UserPasswd),
    /// Give an account another role; its tokens end, and its sockets with them
    Role(UserRole),
    /// Remove an account with all that is nobody else's; its tokens end, and its sockets with them
    Remove(UserRemove),
    /// Say whose account a token's issuer and subject are, where others sign the tokens
    /// (JWT_PUBLIC_KEY_FILE)
    Link(UserLink),
}

/// Which account.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// Id of the user; `hubcast user list` shows it
    #[arg(long, value_name = "ID", value_parser = usage::user)]
    user: Option<UserId>,
    /// E-mail of the user, in any case
    #[arg(long)]
    email: Option<String>,
}

#[derive(Debug, Args)]
struct UserPasswd {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    store: Store,
}

#[derive(Debug, Args)]
struct UserRole {
    #[command(flatten)]
    whose: Whose,
    /// `customer` or `admin`
    #[arg(value_parser = usage::role)]
    role: Role,
    #[command(flatten)]
    store: Store,
}

#[derive(Debug, Args)]
struct UserRemove {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    store: Store,
}

#[derive(Debug, Args)]
struct UserLink {
    #[command(flatten)]
    whose: Whose,
    /// `sub` of the tokens
    #[arg(long, value_name = "SUB")]
    subject: String,
    /// `iss` of the tokens; empty when they have none [default: JWT_ISSUER, else empty]
    #[arg(long, env = "JWT_ISSUER", value_name = "ISS", hide_env = true)]
    issuer: Option<String>,
    #[command(flatten)]
    store: Store,
}

#[derive(Debug, Args)]
struct UserAdd {
    /// Unique without regard to case
    #[arg(long)]
    email: String,
    #[arg(long)]
    name: String,
    /// `customer` or `admin`
    #[arg(long, default_value_t = Role::Customer, value_parser = usage::role)]
    role: Role,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    store: Store,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Password {
    /// The password; others on this machine can see it while the command runs
    #[arg(long)]
    password: Option<Secret>,
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
struct TokenArgs {
    /// Id of the user; `hubcast user list` shows it
    #[arg(long, value_name = "ID", value_parser = usage::user)]
    user: UserId,
    /// `customer` or `admin` [default: the user's own]
    #[arg(long, value_parser = usage::role)]
    role: Option<Role>,
    /// How long it is good: ms, s, m or h
    #[arg(long, default_value = "1h", value_parser = crate::config::duration)]
    ttl: std::time::Duration,
    #[command(flatten)]
    auth: AuthSettings,
    #[command(flatten)]
    environment: EnvironmentSetting,
    #[command(flatten)]
    store: Store,
}

/// Why a command did not do its work.
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

/// Runs the command that these arguments ask for, the program's name first.
#[must_use]
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let parsed = read_dotenv(Path::new(".env")).and_then(|()| usage::parse::<Cli>(args));
    let outcome = match parsed {
        Ok(usage::Parsed::Command(cli)) => dispatch(cli.command),
        Ok(usage::Parsed::Answered) => Ok(ExitCode::SUCCESS),
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
            settings.check()?;
            start_log(settings.log);
            Ok(app::serve(*settings))
        }
        Command::CheckConfig(settings) => commands::check_config(&settings).map(done),
        Command::Migrate(store) => commands::migrate(&store).map(done),
        Command::User(UserCommand::Add(add)) => commands::user_add(add).map(done),
        Command::User(UserCommand::List(store)) => commands::user_list(&store).map(done),
        Command::User(UserCommand::Passwd(passwd)) => commands::user_passwd(passwd).map(done),
        Command::User(UserCommand::Role(role)) => commands::user_role(role).map(done),
        Command::User(UserCommand::Remove(remove)) => commands::user_remove(remove).map(done),
        Command::User(UserCommand::Link(link)) => commands::user_link(link).map(done),
        Command::Token(args) => commands::token(&args).map(done),
        Command::Openapi => commands::print(&http::openapi::document()).map(done),
        Command::Asyncapi => commands::print(&gateway::asyncapi::document()).map(done),
        Command::Load(command) => load::run(command).map(done).map_err(Failure::Failed),
    }
}

/// Settings from `.env` in the working directory; what is in the environment already stays. No
/// thread runs yet.
fn read_dotenv(file: &Path) -> Result<(), Failure> {
    match dotenvy::from_path(file) {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // Not the library's own text: it repeats the line, which can hold a secret.
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
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
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
