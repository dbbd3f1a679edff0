//! TLS to PostgreSQL: which certificates are accepted, and when the connection continues in the
//! clear. The server has a certificate for `localhost`, and none for its address. Skipped without
//! HUBCAST_TEST_POSTGRES and, where needed, HUBCAST_TEST_POSTGRES_CA, the path of the CA's
//! certificate.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use diesel::dsl::sql;
use diesel::sql_types::Bool;

use super::*;
use crate::store::conn::query;

/// A CA that did not sign the server's certificate.
const ANOTHER_CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/another-ca.pem");

/// The host that the certificate is for, and one that it is not for.
const BY_NAME: &str = "localhost";
const BY_ADDRESS: &str = "127.0.0.1";

struct Secured {
    database: PostgresDatabase,
    ca: String,
}

impl Secured {
    fn create() -> Option<Self> {
        let (Some(server), Ok(ca)) = (postgres(), std::env::var("HUBCAST_TEST_POSTGRES_CA")) else {
            println!("skipped: HUBCAST_TEST_POSTGRES or HUBCAST_TEST_POSTGRES_CA is not set");
            return None;
        };
        Some(Self { database: PostgresDatabase::create(server), ca })
    }

    /// `host` is only the name in the URL; `hostaddr` is the address connected to.
    fn url(&self, host: &str, parameters: &str) -> String {
        let (user, place) = self.database.server.rsplit_once('@').expect("has a user");
        let (address, port) = place.rsplit_once(':').expect("has a port");
        format!("{user}@{host}:{port}/{}?hostaddr={address}&{parameters}", self.database.name)
    }

    /// Returns true if the connection has TLS, or the reason why it fails.
    fn connect_tls(&self, host: &str, parameters: &str) -> Result<bool, String> {
        connect_tls(&self.url(host, parameters))
    }
}

fn connect_tls(url: &str) -> Result<bool, String> {
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
fn verify_full_checks_the_name_and_the_signer() {
    let Some(secured) = Secured::create() else { return };
    let (ours, another) = (
        format!("sslmode=verify-full&sslrootcert={}", secured.ca),
        format!("sslmode=verify-full&sslrootcert={ANOTHER_CA}"),
    );
    assert_eq!(secured.connect_tls(BY_NAME, &ours), Ok(true));
    assert_refused(
        secured.connect_tls(BY_ADDRESS, &ours),
        "The database's certificate is for another name",
    );
    assert_refused(
        secured.connect_tls(BY_NAME, &another),
        "The database's certificate is not trusted",
    );
    // The system does not trust the CA of a test.
    if "postgres://h/d?sslrootcert=system".parse::<DatabaseUrl>().is_ok() {
        assert_refused(
            secured.connect_tls(BY_NAME, "sslrootcert=system"),
            "The database's certificate is not trusted",
        );
        assert_refused(
            secured.connect_tls(BY_NAME, "sslmode=verify-full"),
            "The database's certificate is not trusted",
        );
    }
}

#[test]
fn verify_ca_checks_the_signer_and_not_the_name() {
    let Some(secured) = Secured::create() else { return };
    for mode in ["verify-ca", "require"] {
        for host in [BY_NAME, BY_ADDRESS] {
            let look =
                |ca: &str| secured.connect_tls(host, &format!("sslmode={mode}&sslrootcert={ca}"));
            assert_eq!(look(&secured.ca), Ok(true));
            assert_refused(look(ANOTHER_CA), "The database's certificate is not trusted");
        }
    }
}

#[test]
fn without_roots_every_certificate_is_accepted() {
    let Some(secured) = Secured::create() else { return };
    for (parameters, tls) in [
        ("sslmode=require", true),
        ("sslmode=prefer", true),
        ("", true),
        ("sslmode=disable", false),
    ] {
        assert_eq!(secured.connect_tls(BY_ADDRESS, parameters), Ok(tls), "{parameters}");
    }
}

/// A faulty server's reply to a request for TLS.
#[derive(Clone, Copy)]
enum TlsReply {
    /// Refuses TLS.
    No,
    /// Accepts TLS, and then sends garbage.
    Garbage,
}

/// Listens in front of a PostgreSQL, answers requests for TLS, and forwards other connections. Ends
/// with the test's process.
fn faulty_server(server: &str, reply: TlsReply) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("is bound");
    let server = server.rsplit('@').next().expect("has a host").to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = server.clone();
            thread::spawn(move || serve(client, &server, reply));
        }
    });
    address.to_string()
}

fn serve(mut client: TcpStream, server: &str, reply: TlsReply) -> Option<()> {
    let mut begin = [0; 8];
    client.read_exact(&mut begin).ok()?;
    // https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest
    if begin == [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f] {
        match reply {
            TlsReply::No => client.write_all(b"N").ok()?,
            TlsReply::Garbage => return client.write_all(b"Sno TLS record begins like this").ok(),
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
    // Either end closes both.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn without_tls_prefer_continues_in_the_clear_and_require_fails() {
    let Some(server) = postgres() else {
        println!("skipped: HUBCAST_TEST_POSTGRES is not set");
        return;
    };
    let database = PostgresDatabase::create(server);
    let (user, _) = database.server.rsplit_once('@').expect("has a user");
    for (reply, reason) in [
        (TlsReply::No, "The database offers no TLS"),
        (TlsReply::Garbage, "TLS with the database fails"),
    ] {
        let address = faulty_server(&database.server, reply);
        let look = |mode: &str| {
            connect_tls(&format!("{user}:hush-hush@{address}/{}?{mode}", database.name))
        };
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
