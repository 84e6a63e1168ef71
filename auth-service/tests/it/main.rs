//! auth-service from outside: real HTTP/2 on loopback, real databases.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that lacks something fails")]

mod accounts;
mod certificates;
mod event_types;
mod events;
mod housekeeping;
mod keys_command;
mod lifecycle;
mod lockout;
mod login;
mod mail;
mod password_reset;
mod passwords;
mod plans;
mod program;
mod refresh;
mod registering_again;
mod relay;
mod replicas;
mod revocations;
mod service;
mod sessions;
mod signing_keys;
mod user_command;
mod users;
mod validate_token;
mod verifier;
