//! The database of one [`Home`](super::Home): SQLite in its folder, or its own database on
//! PostgreSQL.

use std::path::Path;

use diesel::connection::{Connection, SimpleConnection};
use diesel::{RunQueryDsl, SqliteConnection};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;

/// `postgres://user@host:port` of a server on which databases may be created. Without it, the tests
/// run on SQLite.
const VARIABLE: &str = "HUBCAST_TEST_POSTGRES";

pub enum Database {
    /// The default path of a server without settings.
    Sqlite,
    Postgres {
        server: String,
        name: String,
    },
}

impl Database {
    /// Creates the database that this run uses. `folder` belongs to the home alone.
    pub fn create(folder: &Path) -> Self {
        let Ok(server) = std::env::var(VARIABLE) else { return Self::Sqlite };
        let random: String = folder
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let name = format!("hubcast_test_{}_{}", std::process::id(), random.to_ascii_lowercase());
        // template0, because nobody may be connected to it.
        admin(&server)
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
            .unwrap();
        Self::Postgres { server, name }
    }

    /// The settings with which a server uses this database.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Sqlite => Vec::new(),
            // On PostgreSQL the secret has to be set, and each home has another.
            Self::Postgres { server, name } => {
                vec![("DATABASE_URL", format!("{server}/{name}")), ("JWT_SECRET", name.repeat(2))]
            }
        }
    }

    /// Runs statements while servers may be running.
    pub fn execute(&self, folder: &Path, statements: &str) {
        match self {
            Self::Sqlite => sqlite(folder).batch_execute(statements).unwrap(),
            Self::Postgres { server, name } => {
                connect(server, name).batch_execute(statements).unwrap();
            }
        }
    }

    /// The result of `SELECT … AS number`.
    pub fn number(&self, folder: &Path, query: &str) -> i64 {
        let query = diesel::sql_query(query);
        let row: Number = match self {
            Self::Sqlite => query.get_result(&mut sqlite(folder)).unwrap(),
            Self::Postgres { server, name } => {
                query.get_result(&mut connect(server, name)).unwrap()
            }
        };
        row.number
    }
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

impl Drop for Database {
    fn drop(&mut self) {
        // Not after a failed test, perhaps without the server: a second panic would abort all
        // tests.
        if let Self::Postgres { server, name } = self
            && !std::thread::panicking()
        {
            admin(server).batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
        }
    }
}

fn sqlite(folder: &Path) -> SqliteConnection {
    let mut conn =
        SqliteConnection::establish(folder.join("data/hubcast.db").to_str().unwrap()).unwrap();
    // A server may be writing.
    conn.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    conn
}

fn admin(server: &str) -> AsyncConnectionWrapper<AsyncPgConnection> {
    connect(server, "postgres")
}

fn connect(server: &str, name: &str) -> AsyncConnectionWrapper<AsyncPgConnection> {
    AsyncConnectionWrapper::establish(&format!("{server}/{name}"))
        .unwrap_or_else(|fault| panic!("{VARIABLE}: {server}: {fault}"))
}
