//! The settings of tokens, and the source of the key: a secret of this server, or the public keys
//! of another issuer.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::{BadSetting, DatabaseUrl, Environment, PublicKeys, Secret, Words, parse, real_path};

/// Signing and checking of tokens.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct AuthSettings {
    /// Secret for HS256, at least 32 random characters; another program that has it may sign tokens
    /// too. If unset, a random secret is made once and kept beside the SQLite file. Required in
    /// production and on PostgreSQL, unless JWT_PUBLIC_KEY_FILE is set
    #[arg(long, env = "JWT_SECRET")]
    pub jwt_secret: Option<Secret>,
    /// Instead of JWT_SECRET: a file with the public keys of the program that signs the tokens, as
    /// PEM (RSA for RS256, P-256 for ES256, Ed25519 for EdDSA) or as a JWKS, read at the start.
    /// This server then signs no tokens and has no registration and no login [default: none]
    #[arg(long, env = "JWT_PUBLIC_KEY_FILE", value_name = "PATH")]
    pub jwt_public_key_file: Option<PublicKeys>,
    /// The `iss` of tokens. If set, a token with another issuer, or with none, is refused
    #[arg(long, env = "JWT_ISSUER", value_parser = parse::claim)]
    pub jwt_issuer: Option<String>,
    /// The `aud` of tokens, or several as a comma list. If set, a token for none of them is
    /// refused. In a token without `aud`, `client_id` counts (Cognito)
    #[arg(long, env = "JWT_AUDIENCE")]
    pub jwt_audience: Option<Words>,
    /// With JWT_PUBLIC_KEY_FILE or JWT_SUBJECT=outside: make an account for a token whose issuer and
    /// subject are new, on or off. If off, an operator links the token's subject to an account with
    /// `hubcast user link`
    #[arg(
        long, env = "JWT_PROVISION", default_value = "off", value_parser = parse::flag,
        action = ArgAction::Set
    )]
    pub jwt_provision: bool,
    /// What `sub` is in a token that another program signs with JWT_SECRET: `id`, the id of a user
    /// of this server, for back ends that know our ids; or `outside`, the subject of another
    /// program that has users of its own. Then its tokens are taken as with JWT_PUBLIC_KEY_FILE,
    /// and this server signs its own with a key derived from JWT_SECRET
    #[arg(long, env = "JWT_SUBJECT", value_enum, default_value_t = SubjectMeaning::Id)]
    pub jwt_subject: SubjectMeaning,
    /// The claim with the caller's role: a name, or a path such as `realm_access.roles`. It is a
    /// text or a list of texts. Without the claim, the role of the account counts
    #[arg(
        long, env = "JWT_ROLE_CLAIM", default_value = "role", value_parser = parse::claim
    )]
    pub jwt_role_claim: String,
    /// The words in JWT_ROLE_CLAIM that mean admin, as a comma list. Any other word is a customer's
    #[arg(
        long, env = "JWT_ROLE_ADMIN", default_value = "admin", value_parser = parse::admin_words
    )]
    pub jwt_role_admin: Words,
    /// How far `nbf` and `iat` of a token may be ahead of this machine's clock, up to 10m. `exp`
    /// has no leeway
    #[arg(long, env = "JWT_LEEWAY", default_value = "5s", value_parser = parse::leeway)]
    pub jwt_leeway: Duration,
}

/// What `sub` means in a token that is signed with JWT_SECRET, but not by this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SubjectMeaning {
    Id,
    Outside,
}

#[cfg(test)]
impl AuthSettings {
    /// The settings that these flags give.
    pub(crate) fn of(flags: &[&str]) -> Self {
        #[derive(clap::Parser)]
        struct Probe {
            #[command(flatten)]
            auth: AuthSettings,
        }
        let arguments = [&["probe"], flags].concat();
        <Probe as clap::Parser>::try_parse_from(arguments).expect("flags parse").auth
    }
}

/// The source of the key of tokens.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// JWT_SECRET, not empty.
    Setting(Secret),
    /// A file with a random secret; a missing file is made.
    File(PathBuf),
    /// Another program signs, and this server can only check.
    Outside(PublicKeys),
}

/// The file of the random secret, in the folder of the SQLite file.
pub const SECRET_FILE: &str = "hubcast.jwt-secret";

impl AuthSettings {
    /// Decides on the source of the key. An empty JWT_SECRET counts as unset.
    ///
    /// # Errors
    /// - Both keys are set.
    /// - JWT_PROVISION is on, but no token has an outside subject.
    /// - No key is set, in production or on PostgreSQL, where a random one per machine would not
    ///   do.
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
            (None, _) if self.jwt_provision && self.jwt_subject == SubjectMeaning::Id => {
                return refused(
                    "JWT_PROVISION",
                    "is for tokens that others sign; set JWT_PUBLIC_KEY_FILE or \
                     JWT_SUBJECT=outside too, or leave it out",
                );
            }
            (None, Some(secret)) => return Ok(KeySource::Setting(secret.clone())),
            (None, None) => {}
        }
        let missing = |because: &str| {
            let mend = format!(
                "has to be set {because}; give at least 32 random characters, e.g. from `openssl \
                 rand -base64 32`, or set JWT_PUBLIC_KEY_FILE"
            );
            Err(BadSetting { setting: "JWT_SECRET", mend })
        };
        match url {
            _ if environment == Some(Environment::Production) => {
                missing("with HUBCAST_ENV=production")
            }
            DatabaseUrl::Postgres(_) => missing("with a postgres:// DATABASE_URL"),
            DatabaseUrl::Sqlite(file) => {
                Ok(KeySource::File(real_path(file).with_file_name(SECRET_FILE)))
            }
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
        let beside = std::path::absolute("some/hubcast.jwt-secret").expect("a path");
        assert!(matches!(key, Ok(KeySource::File(file)) if file == beside));
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
        let shared = ["--jwt-provision", "on", "--jwt-secret", "s", "--jwt-subject", "outside"];
        assert!(matches!(key(&shared), Ok(KeySource::Setting(_))));
    }
}
