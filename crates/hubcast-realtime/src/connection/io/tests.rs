//! A connection over TLS with a client that reads on demand.

use std::io::{Read, Write};
use std::net::TcpStream as Socket;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Io, Layer};
use crate::connection::connection::Connection;
use crate::connection::deadlines::Deadlines;
use crate::core::protocol::Protocol;
use crate::core::reason::DisconnectReason;
use crate::core::settings::{SEND_BUFFER, Settings};
use crate::wire::websocket;

type Client = StreamOwned<ClientConnection, Socket>;

const PEM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/tls.pem");
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns both ends of a connection whose handshake is done.
async fn pair() -> (TlsStream<TcpStream>, Client) {
    let certificate = CertificateDer::from_pem_file(PEM).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(PEM).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("can be a root");
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let server =
        server.with_no_client_auth().with_single_cert(vec![certificate], key).expect("a pair");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions");
    let client = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("an address");
    let shaking = thread::spawn(move || {
        let mut socket = Socket::connect(address).expect("connects");
        socket.set_read_timeout(Some(PATIENCE)).expect("takes a time-out");
        let mut session = ClientConnection::new(client, "localhost".try_into().expect("a name"))
            .expect("a session");
        while session.is_handshaking() {
            session.complete_io(&mut socket).expect("a handshake");
        }
        StreamOwned::new(session, socket)
    });
    let (tcp, _) = listener.accept().await.expect("accepts");
    let stream = TlsAcceptor::from(Arc::new(server)).accept(tcp).await.expect("a handshake");
    (stream, shaking.join().expect("a client"))
}

/// Returns a connection to a client, and all bytes that were sent until the kernel's buffer was
/// full. TLS holds the last of them.
async fn full() -> (Rc<Connection>, Client, Vec<u8>) {
    let (stream, client) = pair().await;
    let (tcp, session) = stream.into_inner();
    SockRef::from(&tcp).set_send_buffer_size(SEND_BUFFER).expect("takes a size");
    let settings = Arc::new(Settings { outbox_limit: usize::MAX / 2, ..Settings::default() });
    let connection = Connection::new(
        Some(Io::tls(tcp, session)),
        Protocol::Plain,
        settings,
        Deadlines::new(),
        Rc::default(),
    );
    let mut sent = Vec::new();
    for n in (0..251).cycle() {
        let frame = [n; 10_000];
        connection.send(Bytes::copy_from_slice(&frame));
        sent.extend(frame);
        let Some(Layer::Tls(tls)) = connection.io().map(|io| &io.layer) else {
            panic!("is over TLS")
        };
        if tls.session.borrow().wants_write() {
            break;
        }
    }
    assert!(connection.writer.is_empty() && connection.writer.is_blocked.get());
    (connection, client, sent)
}

/// Reads on a thread of its own, because the connection lives on this one.
async fn read(mut client: Client, length: usize) -> (Vec<u8>, Client) {
    let reading = actix_rt::task::spawn_blocking(move || {
        let mut received = vec![0; length];
        client.read_exact(&mut received).expect("receives it");
        (received, client)
    });
    reading.await.expect("reads")
}

#[test]
fn bytes_that_tls_has_are_written_when_the_kernel_has_room() {
    actix_rt::System::new().block_on(async {
        let (connection, client, sent) = full().await;
        let (received, _client) = read(client, sent.len()).await;
        assert!(received == sent);
        assert!(!connection.writer.is_blocked.get());
    });
}

#[test]
fn a_close_frame_follows_all_bytes_and_ends_tls() {
    actix_rt::System::new().block_on(async {
        let (connection, client, mut sent) = full().await;
        connection.close(DisconnectReason::Shutdown);
        sent.extend(websocket::close(DisconnectReason::Shutdown));
        let (received, mut client) = read(client, sent.len()).await;
        assert!(received == sent);
        let rest =
            actix_rt::task::spawn_blocking(move || client.read(&mut [0; 1])).await.expect("reads");
        assert_eq!(rest.expect("a proper end"), 0);
    });
}

#[test]
fn a_nudge_finds_out_whether_the_client_takes_bytes_and_loses_none() {
    actix_rt::System::new().block_on(async {
        let (connection, mut client, mut sent) = full().await;
        let mut received = vec![0; sent.len() / 2];
        let more = vec![1; 20_000_000];
        sent.extend(&more);
        connection.send(Bytes::from(more));
        // No other task runs here meanwhile, so only the nudge writes.
        let until = |nudged| {
            let end = Instant::now() + PATIENCE;
            while connection.writer.nudge(connection.io().expect("a WebSocket")) != nudged {
                assert!(Instant::now() < end, "a nudge never returned {nudged}");
            }
        };
        until(false);
        client.read_exact(&mut received).expect("receives it");
        until(true);
        let (rest, _client) = read(client, sent.len() - received.len()).await;
        received.extend(rest);
        assert!(received == sent);
    });
}

#[test]
fn text_that_tls_holds_is_read_on_another_thread_when_the_socket_has_nothing() {
    actix_rt::System::new().block_on(async {
        let (mut stream, mut client) = pair().await;
        for record in ["one", "two"] {
            client.conn.writer().write_all(record.as_bytes()).expect("takes it");
        }
        client.conn.write_tls(&mut client.sock).expect("sends both at once");
        stream.read_exact(&mut [0; 3]).await.expect("the first");
        let (tcp, session) = stream.into_inner();
        let detached = Io::tls(tcp, session).detach().expect("leaves its event loop");
        let there = thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let (io, mut text) = (detached.attach().expect("joins one"), BytesMut::new());
                tokio::time::timeout(PATIENCE, io.read_buf(&mut text))
                    .await
                    .expect("is ready")
                    .expect("reads");
                text
            })
        });
        assert_eq!(there.join().expect("reads"), "two");
    });
}
