//! The server's tests: each drives the built binary by its public API, on a database of its own.
//! They are one program, because each program is linked by itself.

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod bell;
mod bell_counts;
mod bell_reading;
mod broadcast;
mod chat;
mod chat_unread;
mod command_line;
mod command_line_load;
mod command_line_users;
mod crowd;
mod emit;
mod guards;
mod invitations;
mod kept_answers;
mod keys;
mod keys_provisioning;
mod limits;
mod logout;
mod orders;
mod payments;
mod permissions;
mod products;
mod projects;
mod reviews;
mod stages;
mod stats;
mod stock;
mod test_page;
mod tokens;
mod waitlist;
