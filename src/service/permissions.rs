//! Who may do what: one table, which every verb asks. What no line allows is refused.
//!
//! A verb finds out how the caller stands to the thing ([`Standing`]) and asks [`permit`], within
//! its transaction where that can change meanwhile. Who does not even see the thing is told that it
//! is not there; who sees it, but may not, is told so.

use crate::auth::Identity;
use crate::error::Error;
use crate::model::Role;

/// Something that a caller may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Be in `/admin`, and in the room `admin`.
    EnterAdmin,
    ReadOwnAccount,
    EndOwnTokens,
    ReadProduct,
    AddProduct,
    /// Its fields and its stock, and removing it.
    ChangeProduct,
    ReviewProduct,
    /// Be told when it is in stock again.
    AwaitProduct,
    /// For the caller itself, or for another or no one.
    PlaceOrder,
    ReadOrder,
    /// To its next status.
    MoveOrder,
    PayOrder,
    /// Read, mark and delete.
    KeepNotifications,
    SendNotifications,
    MakeProject,
    ReadProject,
    /// Its fields and its stages.
    ChangeProject,
    AddProjectMember,
    /// Another, or the caller itself.
    RemoveProjectMember,
    MakeConversation,
    ReadConversation,
    /// Send, type, mark as read.
    SpeakInConversation,
    AddConversationMember,
    /// Another, or the caller itself.
    RemoveConversationMember,
    /// Be in a project's or a conversation's room, stay there over a resume, and see who is there;
    /// or in one's own.
    JoinRoom,
    /// Events of other back ends.
    EmitEvents,
}

/// How a caller can stand to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Anyone with a good token.
    SignedIn,
    /// Whose it is, or who it is about.
    Own,
    /// Of its project or conversation.
    Member,
    /// Who made it, or to whom it was passed on.
    Owner,
    /// By the token's claim.
    Admin,
}

/// A line of the table.
struct Rule {
    /// To all others it is not there.
    sees: &'static [Who],
    /// Of those, the others are refused.
    may: &'static [Who],
}

/// The table.
const fn rule(action: Action) -> Rule {
    use Who::{Admin, Member, Own, Owner, SignedIn};
    let (sees, may): (&[Who], &[Who]) = match action {
        Action::EnterAdmin => (&[SignedIn], &[Admin]),
        Action::ReadOwnAccount => (&[SignedIn], &[Own]),
        Action::EndOwnTokens => (&[SignedIn], &[Own]),
        Action::ReadProduct => (&[SignedIn], &[SignedIn]),
        Action::AddProduct => (&[SignedIn], &[SignedIn]),
        Action::ChangeProduct => (&[SignedIn], &[Owner, Admin]),
        Action::ReviewProduct => (&[SignedIn], &[SignedIn]),
        Action::AwaitProduct => (&[SignedIn], &[SignedIn]),
        Action::PlaceOrder => (&[SignedIn], &[Own, Admin]),
        Action::ReadOrder => (&[Own, Admin], &[Own, Admin]),
        Action::MoveOrder => (&[SignedIn], &[Admin]),
        Action::PayOrder => (&[Own, Admin], &[Own, Admin]),
        Action::KeepNotifications => (&[Own], &[Own]),
        Action::SendNotifications => (&[SignedIn], &[Admin]),
        Action::MakeProject => (&[SignedIn], &[SignedIn]),
        Action::ReadProject => (&[Member], &[Member]),
        Action::ChangeProject => (&[Member], &[Member]),
        Action::AddProjectMember => (&[Member], &[Owner]),
        Action::RemoveProjectMember => (&[Member], &[Owner, Own]),
        Action::MakeConversation => (&[SignedIn], &[SignedIn]),
        Action::ReadConversation => (&[Member], &[Member]),
        Action::SpeakInConversation => (&[Member], &[Member]),
        Action::AddConversationMember => (&[Member], &[Owner]),
        Action::RemoveConversationMember => (&[Member], &[Owner, Own]),
        Action::JoinRoom => (&[Member, Own], &[Member, Own]),
        Action::EmitEvents => (&[SignedIn], &[Admin]),
    };
    Rule { sees, may }
}

/// How the caller stands to a thing, beside being signed in and perhaps an admin. What is not said
/// is not so.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    own: bool,
    member: bool,
    owner: bool,
}

impl Standing {
    /// A stranger to it, or there is no thing.
    pub const STRANGER: Self = Self { own: false, member: false, owner: false };

    /// Whether it is the caller's own, or about the caller.
    #[must_use]
    pub const fn own(own: bool) -> Self {
        Self { own, ..Self::STRANGER }
    }

    /// Whether the caller is a member of its project or conversation.
    #[must_use]
    pub const fn member(member: bool) -> Self {
        Self { member, ..Self::STRANGER }
    }

    /// Whether the caller owns it.
    #[must_use]
    pub const fn owner(owner: bool) -> Self {
        Self { owner, ..Self::STRANGER }
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            own: self.own || other.own,
            member: self.member || other.member,
            owner: self.owner || other.owner,
        }
    }

    fn is(self, who: Who, role: Role) -> bool {
        match who {
            Who::SignedIn => true,
            Who::Own => self.own,
            Who::Member => self.member,
            Who::Owner => self.owner,
            Who::Admin => role == Role::Admin,
        }
    }
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// To this caller the thing is not there.
    Hidden,
    Forbidden,
}

impl Denied {
    /// As an error; `missing` is what one gets who asks for what is not there.
    pub fn or(self, missing: impl FnOnce() -> Error) -> Error {
        match self {
            Self::Hidden => missing(),
            Self::Forbidden => Error::Forbidden,
        }
    }
}

/// For verbs whose thing everyone sees.
impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        denied.or(|| Self::Forbidden)
    }
}

/// Whether the caller may.
///
/// # Errors
/// Why not.
pub fn permit(caller: &Identity, action: Action, standing: Standing) -> Result<(), Denied> {
    permit_role(caller.role, action, standing)
}

/// As [`permit`], where a caller's role is all that is known beside the standing.
///
/// # Errors
/// Why not.
pub fn permit_role(role: Role, action: Action, standing: Standing) -> Result<(), Denied> {
    let Rule { sees, may } = rule(action);
    let any = |whos: &[Who]| whos.iter().any(|who| standing.is(*who, role));
    match (any(sees), any(may)) {
        (true, true) => Ok(()),
        (true, false) => Err(Denied::Forbidden),
        (false, _) => Err(Denied::Hidden),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, UserId};

    fn caller(role: Role) -> Identity {
        Identity { user: UserId(7), role, expires_at: Timestamp::now() }
    }

    #[test]
    fn what_is_anothers_is_hidden_and_what_only_some_may_is_forbidden() {
        let (customer, admin) = (caller(Role::Customer), caller(Role::Admin));
        assert_eq!(permit(&customer, Action::ReadOrder, Standing::own(true)), Ok(()));
        assert_eq!(permit(&customer, Action::ReadOrder, Standing::own(false)), Err(Denied::Hidden));
        assert_eq!(permit(&admin, Action::ReadOrder, Standing::STRANGER), Ok(()));
        assert_eq!(
            permit(&customer, Action::MoveOrder, Standing::own(true)),
            Err(Denied::Forbidden)
        );
        let member = Standing::member(true);
        assert_eq!(permit(&customer, Action::AddProjectMember, member), Err(Denied::Forbidden));
        assert_eq!(
            permit(&customer, Action::AddProjectMember, member.and(Standing::owner(true))),
            Ok(())
        );
        assert_eq!(
            permit(&admin, Action::AddProjectMember, Standing::STRANGER),
            Err(Denied::Hidden)
        );
        assert_eq!(permit(&admin, Action::JoinRoom, Standing::STRANGER), Err(Denied::Hidden));
    }
}
