//! auth-service from outside: real HTTP/2 on loopback, real databases.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that lacks something fails")]

mod accounts;
mod keys_command;
mod lifecycle;
mod login;
mod service;
mod signing_keys;
mod validate_token;
