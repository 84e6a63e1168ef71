//! auth-service from outside: real HTTP/2 on loopback, real databases.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that lacks something fails")]

mod accounts;
mod events;
mod keys_command;
mod lifecycle;
mod lockout;
mod login;
mod mail;
mod password_reset;
mod passwords;
mod refresh;
mod revocations;
mod service;
mod sessions;
mod signing_keys;
mod smtp;
mod users;
mod validate_token;
