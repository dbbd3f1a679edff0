//! The settings of tokens, and the source of the key: a secret of this server, or the public keys
//! of another issuer.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::{
    BadSetting, DatabaseUrl, Environment, KeyFile, KeyUrl, KeyUrls, PublicKeySource, Secret, Words,
    parse, real_path,
};

/// Signing and checking of tokens.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct AuthSettings {
    /// Secret for HS256, at least 32 random characters; another program that has it may sign tokens
    /// too. If unset, a random secret is made once and kept beside the SQLite file. Required in
    /// production and on PostgreSQL, unless others sign
    #[arg(long, env = "JWT_SECRET")]
    pub jwt_secret: Option<Secret>,
    /// Instead of JWT_SECRET: a file with the public keys of the program that signs the tokens,
    /// RSA, EC (P-256, P-384) or Ed25519, as PEM (public keys, certificates), a JWKS, a JWK, or a
    /// map from key ids to certificates. Read again within 5 s of a change. This server then signs
    /// no tokens and has no registration and no login [default: none]
    #[arg(long, env = "JWT_PUBLIC_KEY_FILE", value_name = "PATH")]
    pub jwt_public_key_file: Option<KeyFile>,
    /// Instead of a file: the address of the keys (a JWKS), or several as a comma list; https, or
    /// http to this machine itself. Certificates have to be from an authority that the system
    /// trusts, or one in SSL_CERT_FILE. The keys are fetched again in the background, and for a
    /// token whose `kid` is not known [default: the one in the OpenID configuration of JWT_ISSUER,
    /// if that is set and no key is]
    #[arg(
        long,
        env = "JWKS_URL",
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    pub jwks_url: KeyUrls,
    /// The `iss` of tokens. If set, a token with another issuer, or with none, is refused
    #[arg(long, env = "JWT_ISSUER", value_parser = parse::claim)]
    pub jwt_issuer: Option<String>,
    /// The `aud` of tokens, or several as a comma list. If set, a token for none of them is
    /// refused. In a token without `aud`, `client_id` counts (Cognito)
    #[arg(long, env = "JWT_AUDIENCE")]
    pub jwt_audience: Option<Words>,
    /// With the keys of another program, or JWT_SUBJECT=outside: make an account for a token whose
    /// issuer and subject are new, on or off. If off, an operator links the token's subject to an
    /// account with `hubcast user link`
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
    Outside(PublicKeySource),
}

/// The fewest bytes of a secret that cannot be guessed (RFC 7518, 3.2: HS256 needs as many bits as
/// its hash has).
pub const MIN_SECRET: usize = 32;

/// The file of the random secret, in the folder of the SQLite file.
pub const SECRET_FILE: &str = "hubcast.jwt-secret";

impl AuthSettings {
    /// Decides on the source of the key. An empty JWT_SECRET counts as unset.
    ///
    /// # Errors
    /// - More than one key is set.
    /// - JWT_ISSUER alone is set, and keys cannot be fetched from it.
    /// - JWT_SECRET is short, in production.
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
        if let Some(outside) = self.outside(secret.is_some())? {
            return Ok(KeySource::Outside(outside));
        }
        if self.jwt_provision && self.jwt_subject == SubjectMeaning::Id {
            return refused(
                "JWT_PROVISION",
                "is for tokens that others sign; set JWT_PUBLIC_KEY_FILE, JWKS_URL or \
                 JWT_SUBJECT=outside too, or leave it out",
            );
        }
        if let Some(secret) = secret {
            if environment == Some(Environment::Production) && secret.expose().len() < MIN_SECRET {
                return refused(
                    "JWT_SECRET",
                    "has fewer than 32 bytes, so anyone can guess it and sign tokens; make one by \
                     `openssl rand -base64 32`",
                );
            }
            return Ok(KeySource::Setting(secret.clone()));
        }
        let missing = |because: &str| {
            let mend = format!(
                "has to be set {because}; give at least 32 random characters, e.g. from `openssl \
                 rand -base64 32`, or set JWT_PUBLIC_KEY_FILE or JWKS_URL"
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

    /// Where the public keys of another program are, if another program signs.
    fn outside(&self, has_secret: bool) -> Result<Option<PublicKeySource>, BadSetting> {
        let both = |setting, other: &str| {
            let mend = format!("is set, and so is {other}; leave one of the two out");
            Err(BadSetting { setting, mend })
        };
        let has_urls = !self.jwks_url.as_slice().is_empty();
        match (&self.jwt_public_key_file, &self.jwt_issuer) {
            (Some(_), _) if has_secret => both("JWT_PUBLIC_KEY_FILE", "JWT_SECRET"),
            (Some(_), _) if has_urls => both("JWT_PUBLIC_KEY_FILE", "JWKS_URL"),
            (Some(file), _) => Ok(Some(PublicKeySource::File(file.clone()))),
            _ if has_urls && has_secret => both("JWKS_URL", "JWT_SECRET"),
            _ if has_urls => Ok(Some(PublicKeySource::Urls(self.jwks_url.clone()))),
            (None, Some(issuer)) if !has_secret => match KeyUrl::of_configuration(issuer) {
                Ok(_) => Ok(Some(PublicKeySource::Issuer(issuer.clone()))),
                Err(why) => {
                    let mend = format!(
                        "is set without a key, so its keys are looked for, but it {why}; or set \
                         JWT_SECRET, JWT_PUBLIC_KEY_FILE or JWKS_URL"
                    );
                    Err(BadSetting { setting: "JWT_ISSUER", mend })
                }
            },
            (None, _) => Ok(None),
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
    fn keys_are_at_an_address_or_discovered_from_an_issuer_that_is_one() {
        let source = |flags: &[&str]| match key(flags) {
            Ok(KeySource::Outside(source)) => source.setting(),
            other => panic!("{flags:?}: {other:?}"),
        };
        let url = ["--jwks-url", "https://a.test/keys"];
        let issuer = ["--jwt-issuer", "https://a.test/"];
        let production = ["--env", "production", "--jwt-provision", "on", "--jwt-secret", ""];
        assert_eq!(source(&url), "JWKS_URL");
        assert_eq!(source(&[url, issuer].concat()), "JWKS_URL");
        assert_eq!(source(&issuer), "JWT_ISSUER");
        assert_eq!(source(&[&production[..], &issuer].concat()), "JWT_ISSUER");
        assert_eq!(
            source(&[&issuer[..], &["--jwt-public-key-file", PUBLIC]].concat()),
            "JWT_PUBLIC_KEY_FILE"
        );
        let with_secret = [&issuer[..], &["--jwt-secret", "hush-hush"]].concat();
        assert!(matches!(key(&with_secret), Ok(KeySource::Setting(_))));
        for other in ["them", "http://a.test"] {
            let bad = key(&["--jwt-issuer", other]).expect_err("refused");
            assert_eq!(bad.setting, "JWT_ISSUER");
        }
    }

    #[test]
    fn a_short_secret_is_refused_in_production_and_only_there() {
        let short = ["--jwt-secret", "0123456789012345678901234567890"];
        let long = ["--jwt-secret", "01234567890123456789012345678901"];
        let production = ["--env", "production"];
        let bad = key(&[production, short].concat()).expect_err("refused");
        assert_eq!(bad.setting, "JWT_SECRET");
        assert!(!bad.to_string().contains("0123"), "{bad}");
        for good in [&short[..], &long, &[production, long].concat()] {
            assert!(matches!(key(good), Ok(KeySource::Setting(_))), "{good:?}");
        }
    }

    #[test]
    fn two_keys_and_provisioning_without_an_outside_one_are_refused() {
        let both = key(&["--jwt-secret", "hush-hush", "--jwt-public-key-file", PUBLIC])
            .expect_err("refused");
        assert_eq!(both.setting, "JWT_PUBLIC_KEY_FILE");
        let url = ["--jwks-url", "https://a.test/keys"];
        for (other, setting) in [
            (["--jwt-secret", "hush-hush"], "JWKS_URL"),
            (["--jwt-public-key-file", PUBLIC], "JWT_PUBLIC_KEY_FILE"),
        ] {
            assert_eq!(key(&[url, other].concat()).expect_err("refused").setting, setting);
        }
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
