//! Party may do what: one table, which every verb asks. What no line allows is refused.
//!
//! A verb finds out how the caller stands to the thing ([`Relation`]) and asks [`permit`], within
//! its transaction where that can change meanwhile. Party does not even see the thing is told that it
//! is not there; who visible_to it, but may not, is told so.

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
enum Party {
    /// Anyone with a good token.
    SignedIn,
    /// Whose it is, or who it is about.
    Own,
    /// Of its project or conversation.
    Member,
    /// Party made it, or to whom it was passed on.
    Owner,
    /// By the token's claim.
    Admin,
}

/// A line of the table.
struct Rule {
    /// To all others it is not there.
    visible_to: &'static [Party],
    /// Of those, the others are refused.
    allowed_to: &'static [Party],
}

/// The table.
const fn rule(action: Action) -> Rule {
    use Party::{Admin, Member, Own, Owner, SignedIn};
    let (visible_to, may): (&[Party], &[Party]) = match action {
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
    Rule { visible_to, may }
}

/// How the caller stands to a thing, beside being signed in and perhaps an admin. What is not said
/// is not so.
#[derive(Debug, Clone, Copy, Default)]
pub struct Relation {
    own: bool,
    member: bool,
    owner: bool,
}

impl Relation {
    /// A stranger to it, or there is no thing.
    pub const NONE: Self = Self { own: false, member: false, owner: false };

    /// Whether it is the caller's own, or about the caller.
    #[must_use]
    pub const fn own(own: bool) -> Self {
        Self { own, ..Self::NONE }
    }

    /// Whether the caller is a member of its project or conversation.
    #[must_use]
    pub const fn member(member: bool) -> Self {
        Self { member, ..Self::NONE }
    }

    /// Whether the caller owns it.
    #[must_use]
    pub const fn owner(owner: bool) -> Self {
        Self { owner, ..Self::NONE }
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

    fn is(self, who: Party, role: Role) -> bool {
        match who {
            Party::SignedIn => true,
            Party::Own => self.own,
            Party::Member => self.member,
            Party::Owner => self.owner,
            Party::Admin => role == Role::Admin,
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

/// For verbs whose thing everyone visible_to.
impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        denied.or(|| Self::Forbidden)
    }
}

/// Whether the caller may.
///
/// # Errors
/// Why not.
pub fn permit(caller: &Identity, action: Action, relation: Relation) -> Result<(), Denied> {
    permit_role(caller.role, action, relation)
}

/// As [`permit`], where a caller's role is all that is known beside the relation.
///
/// # Errors
/// Why not.
pub fn permit_role(role: Role, action: Action, relation: Relation) -> Result<(), Denied> {
    let Rule { visible_to, may } = rule(action);
    let any = |parties: &[Party]| parties.iter().any(|who| relation.is(*party, role));
    match (any(visible_to), any(may)) {
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
        assert_eq!(permit(&customer, Action::ReadOrder, Relation::own(true)), Ok(()));
        assert_eq!(permit(&customer, Action::ReadOrder, Relation::own(false)), Err(Denied::Hidden));
        assert_eq!(permit(&admin, Action::ReadOrder, Relation::NONE), Ok(()));
        assert_eq!(
            permit(&customer, Action::MoveOrder, Relation::own(true)),
            Err(Denied::Forbidden)
        );
        let member = Relation::member(true);
        assert_eq!(permit(&customer, Action::AddProjectMember, member), Err(Denied::Forbidden));
        assert_eq!(
            permit(&customer, Action::AddProjectMember, member.and(Relation::owner(true))),
            Ok(())
        );
        assert_eq!(
            permit(&admin, Action::AddProjectMember, Relation::NONE),
            Err(Denied::Hidden)
        );
        assert_eq!(permit(&admin, Action::JoinRoom, Relation::NONE), Err(Denied::Hidden));
    }
}
