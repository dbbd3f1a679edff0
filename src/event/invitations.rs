//! Events of invitations, to the invited person alone.

use schemars::JsonSchema;
use serde::Serialize;

use super::{MAIN, NewEvent, Room, server_events};
use crate::model::{Invitation, InvitationId, UserId};

server_events! {
    /// Somebody wants the user as a member of a conversation or a project.
    INVITATION: stored Invitation = [MAIN] "invitation"
        to "the invited user: all of its sockets";
    /// The invitation is no longer open: the user has accepted or refused it, or it was withdrawn.
    INVITATION_CLOSED: stored InvitationClosed = [MAIN] "invitation:closed"
        to "the invited user: all of its sockets";
}

/// `invitation`.
#[must_use]
pub fn invitation(user: UserId, invitation: &Invitation) -> NewEvent {
    INVITATION.to(vec![Room::User(user)], invitation)
}

#[derive(Serialize, JsonSchema)]
pub(super) struct InvitationClosed {
    id: InvitationId,
}

/// `invitation:closed`.
#[must_use]
pub fn invitation_closed(user: UserId, id: InvitationId) -> NewEvent {
    INVITATION_CLOSED.to(vec![Room::User(user)], &InvitationClosed { id })
}
