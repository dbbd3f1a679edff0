//! TLS to PostgreSQL: who is taken for the database, and when it goes on in the clear. The server
//! has a certificate for `localhost`, and none for its address. Without HUBCAST_TEST_POSTGRES, or
//! for what needs it HUBCAST_TEST_POSTGRES_CA, the path of the CA's certificate, they pass without
//! a look.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use diesel::dsl::sql;
use diesel::sql_types::Bool;

use super::*;
use crate::store::conn::query;

/// A CA that did not sign the server's certificate.
const ANOTHER_CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/another-ca.pem");

/// What a certificate is for, and what it is not for.
const BY_NAME: &str = "localhost";
const BY_ADDRESS: &str = "127.0.0.1";

struct Secured {
    database: PostgresDatabase,
    ca: String,
}

impl Secured {
    fn create() -> Option<Self> {
        let (Some(server), Ok(ca)) = (postgres(), std::env::var("HUBCAST_TEST_POSTGRES_CA")) else {
            println!("left out: HUBCAST_TEST_POSTGRES or HUBCAST_TEST_POSTGRES_CA is not set");
            return None;
        };
        Some(Self { database: PostgresDatabase::create(server), ca })
    }

    /// `host` is only what it is called by: it is where the run says.
    fn url(&self, host: &str, parameters: &str) -> String {
        let (user, place) = self.database.server.rsplit_once('@').expect("has a user");
        let (address, port) = place.rsplit_once(':').expect("has a port");
        format!("{user}@{host}:{port}/{}?hostaddr={address}&{parameters}", self.database.name)
    }

    /// Whether the connection has TLS, or why there is none.
    fn look(&self, host: &str, parameters: &str) -> Result<bool, String> {
        look(&self.url(host, parameters))
    }
}

fn look(url: &str) -> Result<bool, String> {
    let db = Db::open(&postgres_settings(url), Arc::new(NullPublisher))
        .map_err(|fault| fault.to_string())?;
    let tls = run(db.read(async |conn| {
        let own = diesel::select(sql::<Bool>(
            "(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())",
        ));
        query!(conn, |c| own.get_result(c))
    }));
    db.close();
    Ok(tls.expect("reads"))
}

fn assert_refused(outcome: Result<bool, String>, reason: &str) {
    let text = outcome.expect_err("it is refused");
    assert!(text.contains(reason) && !text.contains('\n'), "{text}");
}

#[test]
fn with_verify_full_the_name_and_who_signed_it_count() {
    let Some(secured) = Secured::create() else { return };
    let (ours, another) = (
        format!("sslmode=verify-full&sslrootcert={}", secured.ca),
        format!("sslmode=verify-full&sslrootcert={ANOTHER_CA}"),
    );
    assert_eq!(secured.look(BY_NAME, &ours), Ok(true));
    assert_refused(
        secured.look(BY_ADDRESS, &ours),
        "The database's certificate is for another name",
    );
    assert_refused(secured.look(BY_NAME, &another), "The database's certificate is not trusted");
    // Whatever the system trusts, the CA of a test is not among it.
    if "postgres://h/d?sslrootcert=system".parse::<DatabaseUrl>().is_ok() {
        assert_refused(
            secured.look(BY_NAME, "sslrootcert=system"),
            "The database's certificate is not trusted",
        );
        assert_refused(
            secured.look(BY_NAME, "sslmode=verify-full"),
            "The database's certificate is not trusted",
        );
    }
}

#[test]
fn with_verify_ca_it_counts_who_signed_it_and_not_the_name() {
    let Some(secured) = Secured::create() else { return };
    for mode in ["verify-ca", "require"] {
        for host in [BY_NAME, BY_ADDRESS] {
            let look = |ca: &str| secured.look(host, &format!("sslmode={mode}&sslrootcert={ca}"));
            assert_eq!(look(&secured.ca), Ok(true));
            assert_refused(look(ANOTHER_CA), "The database's certificate is not trusted");
        }
    }
}

#[test]
fn without_roots_it_is_tls_with_anyone_or_none() {
    let Some(secured) = Secured::create() else { return };
    for (parameters, tls) in [
        ("sslmode=require", true),
        ("sslmode=prefer", true),
        ("", true),
        ("sslmode=disable", false),
    ] {
        assert_eq!(secured.look(BY_ADDRESS, parameters), Ok(tls), "{parameters}");
    }
}

/// A server's end of TLS as it should not be.
#[derive(Clone, Copy)]
enum Answer {
    /// There is no TLS.
    No,
    /// There is, and then it is garbage.
    Garbage,
}

/// Stands before a PostgreSQL and answers those who ask for TLS; others are passed on. Ends with
/// the test's process.
fn before(server: &str, answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("is bound");
    let server = server.rsplit('@').next().expect("has a host").to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = server.clone();
            thread::spawn(move || serve(client, &server, answer));
        }
    });
    address.to_string()
}

fn serve(mut client: TcpStream, server: &str, answer: Answer) -> Option<()> {
    let mut begin = [0; 8];
    client.read_exact(&mut begin).ok()?;
    // https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest
    if begin == [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f] {
        match answer {
            Answer::No => client.write_all(b"N").ok()?,
            Answer::Garbage => return client.write_all(b"Sno TLS record begins like this").ok(),
        }
        client.read_exact(&mut begin).ok()?;
    }
    let mut server = TcpStream::connect(server).ok()?;
    server.write_all(&begin).ok()?;
    let back = (server.try_clone().ok()?, client.try_clone().ok()?);
    thread::spawn(move || pass(back.0, back.1));
    pass(client, server);
    Some(())
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // However it ends, it ends for both.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn where_no_tls_can_be_had_prefer_goes_on_in_the_clear_and_require_does_not() {
    let Some(server) = postgres() else {
        println!("left out: HUBCAST_TEST_POSTGRES is not set");
        return;
    };
    let database = PostgresDatabase::create(server);
    let (user, _) = database.server.rsplit_once('@').expect("has a user");
    for (answer, reason) in [
        (Answer::No, "The database offers no TLS"),
        (Answer::Garbage, "TLS with the database fails"),
    ] {
        let address = before(&database.server, answer);
        let look =
            |mode: &str| look(&format!("{user}:hush-hush@{address}/{}?{mode}", database.name));
        assert_eq!(look("sslmode=prefer"), Ok(false));
        assert_eq!(look(""), Ok(false));
        for mode in
            ["sslmode=require".to_owned(), format!("sslmode=verify-ca&sslrootcert={ANOTHER_CA}")]
        {
            let outcome = look(&mode);
            assert!(!outcome.as_ref().is_err_and(|text| text.contains("hush-hush")));
            assert_refused(outcome, reason);
        }
    }
}
