//! The test page: when it is served, and what the server writes into it.

use crate::support::{Home, Server};
use serde_json::json;

const PRODUCTION: [(&str, &str); 2] =
    [("HUBCAST_ENV", "production"), ("JWT_SECRET", "only-for-tests-only-for-tests-only-for-tests")];

fn index(server: &Server) -> String {
    let answer = server.get("/", "");
    assert_eq!(answer.status, 200);
    answer.body.as_str().expect("the page is a text").to_owned()
}

fn says_that_it_is_off(server: &Server) -> usize {
    server.log.iter().filter(|line| line.contains("TEST_CLIENT=on")).count()
}

#[test]
fn in_production_each_file_is_an_unknown_path_and_the_log_names_the_setting() {
    let home = Home::on_sqlite();
    let server = home.start(&["serve"], &PRODUCTION);
    for path in ["/", "/app.js", "/rows.html", "/style.css", "/favicon.svg"] {
        let answer = server.get(path, "");
        let unknown = json!({
            "statusCode": 404, "message": format!("Cannot GET {path}"), "error": "Not Found"
        });
        assert_eq!((answer.status, answer.body), (404, unknown));
    }
    assert_eq!(server.get("/healthz", "").status, 200);
    assert_eq!(says_that_it_is_off(&server), 1);
}

#[test]
fn in_production_it_can_be_turned_on() {
    let home = Home::on_sqlite();
    let settings = [PRODUCTION[0], PRODUCTION[1], ("TEST_CLIENT", "on")];
    let server = home.start(&["serve"], &settings);
    let page = index(&server);
    assert!(page.contains(r#"<meta name="hubcast-currency" content="EUR">"#), "{page}");
    assert!(page.contains(r#"<meta name="hubcast-demo" content="off">"#), "{page}");
    assert!(page.contains(r#"<meta name="hubcast-payments" content="off">"#), "{page}");
    assert_eq!(says_that_it_is_off(&server), 0);
}

#[test]
fn elsewhere_it_is_on_unless_it_is_turned_off() {
    let home = Home::on_sqlite();
    let server = home.serve(&[("HUBCAST_ENV", "development"), ("CURRENCY", "usd")]);
    let page = index(&server);
    assert!(page.contains(r#"<meta name="hubcast-currency" content="USD">"#), "{page}");
    assert!(page.contains(r#"<meta name="hubcast-demo" content="on">"#), "{page}");
    assert!(page.contains(r#"<meta name="hubcast-payments" content="on">"#), "{page}");
    drop(server);

    let server = home.serve(&[("TEST_CLIENT", "off")]);
    assert_eq!(server.get("/", "").status, 404);
    assert_eq!(says_that_it_is_off(&server), 1);
}
