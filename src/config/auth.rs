//! The settings of tokens, and where the key comes from: a secret of our own, or the public keys of
//! whoever signs instead of us.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{BadSetting, DatabaseUrl, Environment, PublicKeys, Secret, parse};

/// How tokens are signed and checked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct AuthSettings {
    /// Secret for HS256. Without one, a random secret is made once and kept beside the SQLite file;
    /// refused in production and on PostgreSQL
    #[arg(long, env = "JWT_SECRET")]
    pub jwt_secret: Option<Secret>,
    /// Instead of JWT_SECRET, a file of the public key of whoever signs the tokens: PEM (RSA for
    /// RS256, P-256 for ES256, Ed25519 for EdDSA) or a JWKS, read at the start. This server then
    /// signs nothing: there is no registration and no login [default: none]
    #[arg(long, env = "JWT_PUBLIC_KEY_FILE", value_name = "PATH")]
    pub jwt_public_key_file: Option<PublicKeys>,
    /// `iss` of our tokens; when set, a token must carry it
    #[arg(long, env = "JWT_ISSUER", value_parser = parse::claim)]
    pub jwt_issuer: Option<String>,
    /// `aud` of our tokens; when set, a token must carry it
    #[arg(long, env = "JWT_AUDIENCE", value_parser = parse::claim)]
    pub jwt_audience: Option<String>,
    /// With JWT_PUBLIC_KEY_FILE, whether a token's issuer and subject that are seen for the first
    /// time become a user: on or off. When off, `hubcast user link` says whose they are
    #[arg(long, env = "JWT_PROVISION", default_value = "off", value_parser = parse::flag, action = ArgAction::Set)]
    pub jwt_provision: bool,
}

/// Where the key of tokens is to be had.
#[derive(Debug, Clone)]
pub enum KeySource {
    Given(Secret),
    /// A file that is made, with a random secret in it, when it is not there.
    File(PathBuf),
    /// Others sign; we can only check.
    Outside(PublicKeys),
}

/// Name of the file that keeps the random secret, in the directory of the SQLite file.
pub const SECRET_FILE: &str = "hubcast.jwt-secret";

impl AuthSettings {
    /// Decides where the key comes from; an empty JWT_SECRET counts as none.
    ///
    /// # Errors
    /// No key, where only one that all hubs share, or one that was chosen on purpose, will do; two;
    /// or JWT_PROVISION with a key of our own.
    pub fn key(
        &self,
        environment: Option<Environment>,
        url: &DatabaseUrl,
    ) -> Result<KeySource, BadSetting> {
        let refused = |setting, mend: &str| Err(BadSetting { setting, mend: mend.to_owned() });
        let secret = self.jwt_secret.as_ref().filter(|secret| !secret.expose().is_empty());
        match (&self.jwt_public_key_file, secret) {
            (Some(_), Some(_)) => {
                return refused(
                    "JWT_PUBLIC_KEY_FILE",
                    "is set, and so is JWT_SECRET; leave one of the two out",
                );
            }
            (Some(keys), None) => return Ok(KeySource::Outside(keys.clone())),
            (None, _) if self.jwt_provision => {
                return refused(
                    "JWT_PROVISION",
                    "is for tokens that others sign; set JWT_PUBLIC_KEY_FILE too, or leave it out",
                );
            }
            (None, Some(secret)) => return Ok(KeySource::Given(secret.clone())),
            (None, None) => {}
        }
        let missing = |because: &str| {
            let mend = format!(
                "has to be set {because}; give at least 32 random characters, e.g. from `openssl rand -base64 32`, or set JWT_PUBLIC_KEY_FILE"
            );
            Err(BadSetting { setting: "JWT_SECRET", mend })
        };
        match url {
            _ if environment == Some(Environment::Production) => {
                missing("with HUBCAST_ENV=production")
            }
            DatabaseUrl::Postgres(_) => missing("with a postgres:// DATABASE_URL"),
            DatabaseUrl::Sqlite(file) => Ok(KeySource::File(file.with_file_name(SECRET_FILE))),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Settings;
    use super::*;

    #[derive(Parser)]
    struct Probe {
        #[command(flatten)]
        settings: Settings,
    }

    const PUBLIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/p256-public.pem");

    fn settings(flags: &[&str]) -> Settings {
        Probe::try_parse_from([&["probe"], flags].concat())
            .map(|probe| probe.settings)
            .expect("flags parse")
    }

    fn key(flags: &[&str]) -> Result<KeySource, BadSetting> {
        let settings = settings(flags);
        assert_eq!(
            settings.check().err(),
            settings
                .auth
                .key(settings.server.environment.environment, &settings.database.url)
                .err()
        );
        settings.auth.key(settings.server.environment.environment, &settings.database.url)
    }

    #[test]
    fn a_missing_secret_is_made_beside_the_sqlite_file() {
        let key = key(&["--database-url", "sqlite://some/where.db", "--jwt-secret", ""]);
        assert!(
            matches!(key, Ok(KeySource::File(file)) if file == std::path::Path::new("some/hubcast.jwt-secret"))
        );
    }

    #[test]
    fn a_missing_secret_is_refused_in_production_and_on_postgres_unless_others_sign() {
        for flags in [&["--env", "production"][..], &["--database-url", "postgres://u:p@h/d"]] {
            let bad = key(&[flags, &["--jwt-secret", ""]].concat()).expect_err("refused");
            assert_eq!(bad.setting, "JWT_SECRET");
            assert!(!bad.to_string().contains('\n'));
            let outside =
                key(&[flags, &["--jwt-public-key-file", PUBLIC, "--jwt-provision", "on"]].concat());
            assert!(matches!(outside, Ok(KeySource::Outside(_))));
        }
    }

    #[test]
    fn two_keys_and_provisioning_without_an_outside_one_are_refused() {
        let both = key(&["--jwt-secret", "hush-hush", "--jwt-public-key-file", PUBLIC])
            .expect_err("refused");
        assert_eq!(both.setting, "JWT_PUBLIC_KEY_FILE");
        for flags in [
            &["--jwt-provision", "on"][..],
            &["--jwt-provision", "on", "--jwt-secret", "hush-hush"],
        ] {
            assert_eq!(key(flags).expect_err("refused").setting, "JWT_PROVISION");
        }
    }
}
