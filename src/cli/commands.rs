//! The commands that end by themselves: accounts, tokens, migrations, a check of the settings.

use std::io::BufRead;
use std::sync::Arc;

use serde_json::json;

use super::{
    AccountArgs, DatabaseArgs, Failure, PasswordArgs, TokenArgs, UserAdd, UserLink, UserPasswd,
    UserRemove, UserRename, UserRole, start_log,
};
use crate::auth::{PasswordHasher, Tokens, load_key};
use crate::config::{
    self, BadSetting, DatabaseUrl, Environment, KeySource, MIN_SECRET, Opener, PROFILE,
    PublicKeySource, Secret, Settings,
};
use crate::error::Error;
use crate::http;
use crate::model::fields::{self, Fields};
use crate::model::{ExternalIdentity, User};
use crate::service::accounts::{self, NewAccount};
use crate::service::{demo, identities};
use crate::store::users::Account;
use crate::store::{Db, NullPublisher, tokens, users};

/// Users that one query reads.
const USERS_PER_QUERY: i64 = 500;

/// Opens the database, runs `work` and closes the database.
fn with_db<T>(
    store: &DatabaseArgs,
    work: impl AsyncFnOnce(&Db) -> Result<T, Error>,
) -> Result<T, Failure> {
    start_log(store.log);
    let db = Db::open(&store.database, Arc::new(NullPublisher))
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            runtime.block_on(work(&db)).map_err(|error| Failure::Failed(error.to_string()))
        }
        Err(error) => Err(Failure::Failed(error.to_string())),
    };
    db.close();
    outcome
}

pub(super) fn migrate(mut store: DatabaseArgs) -> Result<(), Failure> {
    store.database.opener = Opener::Migration;
    with_db(&store, async |_| Ok(()))
}

pub(super) fn user_add(add: UserAdd) -> Result<(), Failure> {
    let password = read_password(add.password)?;
    // POST /auth/register has the same rules and texts.
    let body =
        json!({"email": add.email, "name": add.name, "password": password.expose()}).to_string();
    let account = Fields::parse(body.as_bytes()).and_then(NewAccount::read);
    let account = account.map_err(|faults| Failure::Usage(faults.to_string()))?;
    let user = with_db(&add.store, async |db| {
        let passwords = PasswordHasher::default();
        accounts::add_user(db, &passwords, PasswordHasher::SELF, account, add.role).await
    })?;
    show(&user);
    Ok(())
}

pub(super) fn user_passwd(passwd: UserPasswd) -> Result<(), Failure> {
    let password = read_password(passwd.password)?;
    let body = json!({"password": password.expose()}).to_string();
    let checked = Fields::parse(body.as_bytes()).and_then(|mut fields| {
        let password = fields.required("password", fields::password);
        fields.finish(|| password)
    });
    let password = Secret::from(checked.map_err(|faults| Failure::Usage(faults.to_string()))?);
    let account = selected(passwd.account);
    let user = with_db(&passwd.store, async |db| {
        accounts::set_password(db, &PasswordHasher::default(), account, password).await
    })?;
    show(&user);
    Ok(())
}

pub(super) fn user_role(UserRole { account, role, store }: UserRole) -> Result<(), Failure> {
    show(&with_db(&store, async |db| accounts::set_role(db, selected(account), role).await)?);
    Ok(())
}

pub(super) fn user_rename(UserRename { account, name, store }: UserRename) -> Result<(), Failure> {
    let body = json!({"name": name}).to_string();
    let checked = Fields::parse(body.as_bytes()).and_then(|mut fields| {
        let name = fields.required("name", fields::person_name);
        fields.finish(|| name)
    });
    let name = checked.map_err(|faults| Failure::Usage(faults.to_string()))?;
    show(&with_db(&store, async |db| accounts::rename(db, selected(account), name).await)?);
    Ok(())
}

pub(super) fn user_remove(UserRemove { account, store }: UserRemove) -> Result<(), Failure> {
    show(&with_db(&store, async |db| accounts::remove(db, selected(account)).await)?);
    Ok(())
}

pub(super) fn user_link(
    UserLink { account, subject, issuer, store }: UserLink,
) -> Result<(), Failure> {
    let id = ExternalIdentity::new(issuer.unwrap_or_default(), subject).ok_or_else(|| {
        Failure::Usage(
            "--subject, --issuer: have at most 255 characters, none of them a control character, \
             and a subject is not empty"
                .into(),
        )
    })?;
    show(&with_db(&store, async |db| identities::link(db, selected(account), id).await)?);
    Ok(())
}

fn selected(AccountArgs { user, email }: AccountArgs) -> Account {
    // The group of arguments has exactly one of the two.
    user.map_or_else(|| Account::Email(email.unwrap_or_default()), Account::Id)
}

fn read_password(PasswordArgs { password, .. }: PasswordArgs) -> Result<Secret, Failure> {
    password.map_or_else(first_line, Ok)
}

fn first_line() -> Result<Secret, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::Failed(format!("stdin: {error}")))?;
    Ok(Secret::from(line.trim_end_matches(['\r', '\n']).to_owned()))
}

pub(super) fn user_list(store: &DatabaseArgs) -> Result<(), Failure> {
    with_db(store, async |db| {
        let mut after = None;
        loop {
            let users =
                db.read(async move |conn| users::list(conn, after, USERS_PER_QUERY).await).await?;
            users.iter().for_each(show);
            match users.last() {
                Some(last) => after = Some(last.id),
                None => return Ok(()),
            }
        }
    })
}

fn show(user: &User) {
    println!("{}\t{}\t{}\t{}", user.id, user.role, user.email, user.name);
}

pub(super) fn token(args: &TokenArgs) -> Result<(), Failure> {
    let source = args.auth.key(args.environment.environment, &args.store.database.url)?;
    if let KeySource::Outside(source) = &source {
        let mend =
            "is set, so tokens are signed elsewhere; get one there, or set JWT_SECRET instead"
                .to_owned();
        return Err(BadSetting { setting: source.setting(), mend }.into());
    }
    let id = args.user;
    let is_production = args.environment.environment == Some(Environment::Production);
    let (found, demo_accounts) = with_db(&args.store, async |db| {
        let demo_accounts = if is_production {
            demo::with_public_password(db, &PasswordHasher::default()).await?
        } else {
            Vec::new()
        };
        Ok((db.read(async move |conn| tokens::holder(conn, id).await).await?, demo_accounts))
    })?;
    let (user, generation) =
        found.ok_or_else(|| Failure::Failed(format!("User with ID {id} not found")))?;
    if demo_accounts.iter().any(|email| user.email.eq_ignore_ascii_case(email)) {
        return Err(Failure::Failed(demo::refusal(&demo_accounts)));
    }
    let tokens = load_key(source)
        .and_then(|key| Tokens::new(&key, &args.auth))
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let issued = tokens.issue(user.id, args.role.unwrap_or(user.role), generation, args.ttl);
    println!("{}", issued.map_err(|error| Failure::Failed(error.to_string()))?.token);
    Ok(())
}

/// Checks what the settings alone cannot know too: which paths are taken.
pub(super) fn check(settings: &Settings) -> Result<(), BadSetting> {
    let path = &settings.realtime.socketio_path;
    if http::is_taken(path) {
        let mend = format!("{path} is a path of REST; choose another one");
        return Err(BadSetting { setting: "SOCKETIO_PATH", mend });
    }
    settings.check()
}

pub(super) fn check_config(settings: &Settings) -> Result<(), Failure> {
    check(settings)?;
    let url = &settings.database.url;
    println!("listens on  {}:{}", settings.server.host, settings.server.port);
    if let Some(address) = settings.server.metrics_address {
        println!("metrics on  {address}");
    }
    let page = settings.page.is_on(settings.server.environment.environment);
    println!("test page   {}", if page { "on" } else { "off" });
    println!(
        "speaks      {}",
        if settings.tls.server()?.is_some() { "https and wss" } else { "http and ws" }
    );
    match url {
        DatabaseUrl::Sqlite(file) => println!("database    SQLite, {}", file.display()),
        DatabaseUrl::Postgres(url) => println!("database    PostgreSQL, sslmode={}", url.tls),
    }
    match settings.auth.key(settings.server.environment.environment, url)? {
        KeySource::Setting(secret) => {
            println!("signs with  JWT_SECRET");
            if secret.expose().len() < MIN_SECRET {
                println!("warning     JWT_SECRET has fewer than {MIN_SECRET} bytes");
            }
        }
        KeySource::File(file) => println!("signs with  a random secret in {}", file.display()),
        KeySource::Outside(PublicKeySource::File(file)) => {
            let keys = file.keys();
            println!("checks with JWT_PUBLIC_KEY_FILE, keys: {}; signs nothing", keys.keys().len());
            keys.skipped().iter().for_each(|skipped| println!("leaves out  {skipped}"));
        }
        KeySource::Outside(PublicKeySource::Urls(urls)) => {
            for url in urls.as_slice() {
                println!("checks with the keys at {url}; signs nothing");
            }
        }
        KeySource::Outside(PublicKeySource::Issuer(issuer)) => {
            println!("checks with the keys that {issuer} names; signs nothing");
        }
    }
    print_profile(settings);
    println!("The settings are good.");
    Ok(())
}

/// Prints what production changes, with what is in force, and what is still open.
fn print_profile(settings: &Settings) {
    let is_on = if settings.is_production() { "which is on" } else { "which is off" };
    println!("\nWhat HUBCAST_ENV=production changes, {is_on}:");
    let titles = ["setting", "outside", "production", "in force", "why"];
    let rows = PROFILE
        .iter()
        .map(|row| [row.setting, row.outside, row.production, (row.in_force)(settings), row.why]);
    let rows: Vec<_> = std::iter::once(titles).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let [setting, outside, production, in_force] = [0, 1, 2, 3].map(width);
    for [a, b, c, d, why] in &rows {
        println!("{a:setting$}  {b:outside$}  {c:production$}  {d:in_force$}  {why}");
    }
    let open = config::open(settings);
    println!(
        "\nStill open: {}",
        if open.is_empty() {
            "nothing that the settings show"
        } else if settings.is_production() {
            ""
        } else {
            "(what HUBCAST_ENV=production has there, if the setting is left out)"
        }
    );
    for open in open {
        let change =
            open.in_production.map_or_else(String::new, |value| format!(" (production: {value})"));
        println!("{}: {}{change}", open.setting, open.what);
    }
    println!();
}

/// Prints a document, indented. A closed pipe is no failure.
pub(super) fn print(document: &serde_json::Value) -> Result<(), Failure> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{document:#}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(error.to_string()))
        }
        _ => Ok(()),
    }
}
