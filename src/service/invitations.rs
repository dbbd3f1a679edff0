//! Invitations to conversations and projects, where customers do not add members (MEMBERSHIP):
//! asking a person, the person's list, accepting and refusing.
//!
//! An inviter sees no difference between a pending invitation, a refused one, a person that blocks
//! the inviter, and a person that does not exist: each counts against the limit for 30 days.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use hubcast_realtime::throttled;

use super::permissions::{Action, Relation, permit};
use super::{Page, Services};
use crate::auth::Identity;
use crate::config::Membership;
use crate::error::Error;
use crate::event::{self, Joinable, ProjectChange};
use crate::model::fields::{self, Fields};
use crate::model::{Invitation, InvitationId, Member, UserId};
use crate::store::invitations::{self as rows, NewInvitation};
use crate::store::{Once, Tx, blocks, conversations, members, projects, users};

/// The most invitations of one user that another sees: so nobody's list is filled by one stranger.
const MAX_FROM_ONE: i64 = 5;
/// The most bytes that an invitation has beside the title of its room.
pub(super) const INVITATION_BYTES: usize = 2048;

/// How customers add members.
#[derive(Debug, Clone, Copy)]
pub struct AddingRules {
    pub membership: Membership,
    /// The most invitations that one user may have sent, and the most that one may see.
    pub most: usize,
}

impl AddingRules {
    /// Whether somebody whom the caller adds is asked first.
    pub(super) fn asks(self, caller: &Identity) -> bool {
        self.membership == Membership::Invite && !adds_unasked(caller)
    }
}

fn adds_unasked(caller: &Identity) -> bool {
    permit(caller, Action::AddUnasked, Relation::NONE).is_ok()
}

/// The users among these whom the caller may not add, because they have blocked the caller.
pub(super) async fn blockers(
    tx: &mut Tx,
    caller: &Identity,
    among: &[UserId],
) -> Result<HashSet<UserId>, Error> {
    if adds_unasked(caller) {
        return Ok(HashSet::new());
    }
    Ok(blocks::blockers(tx.conn(), caller.user, among).await?)
}

/// Invites users that are no members of the room, and sends `invitation` to those who see it. A
/// user with an earlier invitation to the room is left out. The caller of this function holds the
/// room locked, and has checked the permission.
///
/// # Errors
/// [`Error::Conflict`] if the inviter has too many open invitations.
pub(super) async fn invite(
    tx: &mut Tx,
    inviter: UserId,
    room: Joinable,
    people: &[UserId],
    rules: AddingRules,
) -> Result<(), Error> {
    let most = i64::try_from(rules.most).unwrap_or(i64::MAX);
    let before = rows::invited(tx, room, people).await?;
    let new: Vec<UserId> = people.iter().copied().filter(|user| !before.contains(user)).collect();
    let sent = rows::sent(tx.conn(), inviter).await?;
    let open = sent.values().sum::<i64>();
    if open + i64::try_from(new.len()).unwrap_or(i64::MAX) > most && !new.is_empty() {
        throttled!(
            info,
            by = inviter.0,
            user = inviter.0,
            open,
            new = new.len(),
            "invitations were refused, because a user may have INVITATION_LIMIT ({most}) open"
        );
        return Err(Error::Conflict(format!("No more than {most} invitations may be open")));
    }
    let existing = users::existing(tx.conn(), &new).await?;
    let blockers = blocks::blockers(tx.conn(), inviter, &existing).await?;
    let received = rows::received(tx.conn(), &existing).await?;
    for named in new {
        let is_seen = existing.contains(&named)
            && !blockers.contains(&named)
            && sent.get(&named).is_none_or(|count| *count < MAX_FROM_ONE)
            && (received.get(&named).is_none_or(|count| *count < most)
                || make_room(tx, inviter, named).await?);
        let id = rows::insert(tx, NewInvitation { room, inviter, named, is_seen }).await?;
        if let Some(id) = id.filter(|_| is_seen)
            && let Some(invitation) = rows::by_id(tx.conn(), id, named).await?
        {
            tx.emit(event::invitation(named, &invitation));
        }
    }
    Ok(())
}

/// Hides one of the invitations that the user sees, so that a new one has room: the oldest of the
/// inviter with the most there, the new one counted too. People who share a room with the user
/// keep theirs. Returns false if all invitations are from such people.
async fn make_room(tx: &mut Tx, inviter: UserId, user: UserId) -> Result<bool, Error> {
    let seen = rows::seen_by(tx.conn(), user).await?;
    let mut counts = HashMap::from([(inviter, 1)]);
    for (_, by) in &seen {
        *counts.entry(*by).or_insert(0) += 1;
    }
    // The oldest of each inviter, and first that of the inviter with the most.
    let mut oldest = seen;
    oldest.sort_by_key(|(id, by)| (by.0, id.0));
    oldest.dedup_by_key(|(_, by)| *by);
    oldest.sort_by_key(|(id, by)| (Reverse(counts.get(by).copied()), id.0));
    for (id, by) in oldest {
        if !members::share_a_room(tx.conn(), user, by).await? {
            if rows::refuse(tx, id, user).await? {
                tx.emit(event::invitation_closed(user, id));
            }
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes the invitation of a user to the room back. Returns false if nobody has named that user.
pub(super) async fn withdraw(tx: &mut Tx, room: Joinable, named: UserId) -> Result<bool, Error> {
    let found = rows::withdraw(tx, room, named).await?;
    if let Some((id, Some(user))) = found {
        tx.emit(event::invitation_closed(user, id));
    }
    Ok(found.is_some())
}

/// Lists the caller's open invitations: at most `limit`, with ids below `before`.
pub async fn list(
    services: &Services,
    caller: &Identity,
    limit: u16,
    before: Option<InvitationId>,
) -> Result<Page<Invitation>, Error> {
    let db = services.db_of(caller);
    permit(caller, Action::AnswerInvitation, Relation::own(true))?;
    let limit_of_query = Page::<Invitation>::query_limit(limit);
    let asked = rows::InvitationPage { user: caller.user, before, limit: limit_of_query };
    let items = db.read(async move |conn| rows::list(conn, &asked).await).await?;
    Ok(Page::from_rows(items, limit))
}

/// Makes the caller a member, as if it had been added: a project's room gets `project:update`.
///
/// # Errors
/// [`Error::NotFound`] also if the invitation has ended or is another's.
pub async fn accept(
    services: &Services,
    caller: &Identity,
    id: InvitationId,
    once: Once,
) -> Result<Invitation, Error> {
    let db = services.db_of(caller);
    services.publish_limits.admit(caller, 1, 0)?;
    let (caller, quotas) = (*caller, services.quotas);
    let write = async move |tx: &mut Tx| {
        let invitation = own(tx, &caller, id).await?;
        // The room is locked before the invitation, in the order of adding and removing.
        match (invitation.project_id, invitation.conversation_id) {
            (Some(project), _) => {
                let project = projects::touch(tx, project).await?.ok_or_else(|| not_found(id))?;
                take(tx, &caller, id).await?;
                if !projects::is_member(tx.conn(), project.id, caller.user).await? {
                    let user = users::by_id(tx.conn(), caller.user).await?;
                    let name = user.ok_or_else(|| not_found(id))?.name;
                    let count = projects::member_count(tx.conn(), project.id).await?;
                    quotas.check_members(&caller, count, 1)?;
                    let joined_at = projects::add_member(tx, project.id, caller.user).await?;
                    let member = Member { user_id: caller.user, name, joined_at };
                    let change = ProjectChange::member_added(&member);
                    tx.emit(event::project_update(&project, change));
                }
            }
            (None, Some(conversation)) => {
                conversations::touch(tx, conversation).await?.ok_or_else(|| not_found(id))?;
                take(tx, &caller, id).await?;
                if !conversations::is_member(tx.conn(), conversation, caller.user).await? {
                    let count = members::conversation_count(tx.conn(), conversation).await?;
                    quotas.check_members(&caller, count, 1)?;
                    conversations::add_member(tx, conversation, caller.user).await?;
                }
            }
            // The table's check excludes this.
            (None, None) => return Err(not_found(id)),
        }
        tx.emit(event::invitation_closed(caller.user, id));
        Ok(invitation)
    };
    db.write(once, write).await
}

/// Reads whether to block the inviter, from `{block?}`.
pub fn read_refusal(mut fields: Fields<'_>) -> Result<bool, Error> {
    let block = fields.optional("block", fields::flag);
    fields.finish(|| Some(block?.unwrap_or(false)))
}

/// Refuses an invitation, and blocks its inviter if `block` is true. The inviter hears nothing, and
/// cannot invite the caller to the same room again before the invitation would have ended.
///
/// # Errors
/// [`Error::NotFound`] also if the invitation has ended or is another's.
pub async fn refuse(
    services: &Services,
    caller: &Identity,
    id: InvitationId,
    block: bool,
    once: Once,
) -> Result<(), Error> {
    let db = services.db_of(caller);
    let caller = *caller;
    let write = async move |tx: &mut Tx| {
        let invitation = own(tx, &caller, id).await?;
        if !rows::refuse(tx, id, caller.user).await? {
            return Err(not_found(id));
        }
        tx.emit(event::invitation_closed(caller.user, id));
        if block {
            super::blocks::add(tx, caller.user, invitation.invited_by.id).await?;
        }
        Ok(())
    };
    db.write(once, write).await
}

async fn own(tx: &mut Tx, caller: &Identity, id: InvitationId) -> Result<Invitation, Error> {
    let found = rows::by_id(tx.conn(), id, caller.user).await?;
    permit(caller, Action::AnswerInvitation, Relation::own(found.is_some()))
        .map_err(|denied| denied.into_error(|| not_found(id)))?;
    found.ok_or_else(|| not_found(id))
}

/// Removes an invitation, unless it was accepted, refused or withdrawn meanwhile.
async fn take(tx: &mut Tx, caller: &Identity, id: InvitationId) -> Result<(), Error> {
    if rows::accept(tx, id, caller.user).await? { Ok(()) } else { Err(not_found(id)) }
}

fn not_found(id: InvitationId) -> Error {
    Error::NotFound(format!("Invitation with ID {id} not found"))
}
