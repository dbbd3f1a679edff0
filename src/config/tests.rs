//! Rules that involve more than one setting.

use super::*;
use clap::Parser;

#[derive(Parser)]
struct Probe {
    #[command(flatten)]
    settings: Settings,
}

fn settings(flags: &[&str]) -> Settings {
    Probe::try_parse_from([&["probe"], flags].concat())
        .map(|probe| probe.settings)
        .expect("flags parse")
}

#[test]
fn what_is_for_development_is_refused_in_production() {
    for (flag, setting) in [("--demo", "HUBCAST_DEMO"), ("--allow-query-user", "ALLOW_QUERY_USER")]
    {
        let flags = [flag, "--env", "production", "--jwt-secret", "s"];
        assert_eq!(settings(&flags).check().expect_err("refused").setting, setting);
    }
}

#[test]
fn registration_is_closed_in_production_and_where_others_have_users() {
    let registration = |flags: &[&str]| settings(flags).registration();
    assert_eq!(registration(&[]), Registration::Open);
    for closed in [["--env", "production"], ["--jwt-subject", "outside"]] {
        assert_eq!(registration(&closed), Registration::Closed);
        let open = [&closed[..], &["--registration", "open"]].concat();
        assert_eq!(registration(&open), Registration::Open);
    }
    assert_eq!(registration(&["--registration", "closed"]), Registration::Closed);
}

#[test]
fn the_shop_is_stricter_in_production_unless_it_is_told_otherwise() {
    let rules = |flags: &[&str]| {
        let settings = settings(flags);
        (settings.catalog(), settings.customer_payments(), settings.order_hold())
    };
    let day = Duration::from_secs(24 * 60 * 60);
    let open = (Catalog::Anyone, CustomerPayments::On, None);
    let strict = (Catalog::Admin, CustomerPayments::Off, Some(day));
    assert_eq!(rules(&[]), open);
    let production = ["--env", "production"];
    assert_eq!(rules(&production), strict);
    let opened = ["--catalog", "anyone", "--customer-payments", "on", "--order-hold", "none"];
    assert_eq!(rules(&[&production[..], &opened].concat()), open);
    let closed = ["--catalog", "admin", "--customer-payments", "off", "--order-hold", "24h"];
    assert_eq!(rules(&closed), strict);
    let fault = "soon".parse::<OrderHold>().expect_err("is no duration");
    assert!(fault.ends_with("such as 10s, up to a year, or none"), "{fault}");
}

#[test]
fn events_are_kept_longer_than_sessions() {
    let check = |window, retention| {
        settings(&[
            "--jwt-secret",
            "s",
            "--recovery-window",
            window,
            "--event-retention",
            retention,
        ])
        .check()
        .map_err(|bad| bad.setting)
    };
    assert_eq!(check("2m", "3m"), Ok(()));
    assert_eq!(check("2m", "179s"), Err("EVENT_RETENTION"));
}

#[test]
fn settings_do_not_print_secrets() {
    let settings =
        settings(&["--jwt-secret", "hush-hush", "--database-url", "postgres://u:hush-hush@h/d"]);
    assert!(!format!("{settings:?}").contains("hush-hush"));
}
