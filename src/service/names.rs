//! The names of admins, which nobody else may take.

use crate::error::Error;
use crate::model::{Role, name};
use crate::store::{Conn, users};

/// The most admins whose names are kept from others.
const MAX_ADMINS: i64 = 1000;

/// Returns true if the name looks like an admin's, and the account is no admin's.
pub(super) async fn is_reserved(conn: &mut Conn, name: &str, role: Role) -> Result<bool, Error> {
    if role == Role::Admin {
        return Ok(false);
    }
    let key = name::key(name);
    let names = users::admin_names(conn, MAX_ADMINS).await?;
    Ok(names.iter().any(|of_admin| name::key(of_admin) == key))
}

/// Refuses a name that looks like an admin's.
///
/// # Errors
/// [`Error::Conflict`], which does not say whose name it is.
pub(super) async fn check(conn: &mut Conn, name: &str, role: Role) -> Result<(), Error> {
    if is_reserved(conn, name, role).await? {
        return Err(Error::Conflict("Name is not available".into()));
    }
    Ok(())
}
