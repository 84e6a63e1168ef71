//! auth-service from outside: real HTTP/2 on loopback, real databases.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that lacks something fails")]

mod accounts;
mod lifecycle;
mod login;
mod passwords;
mod service;
mod validate_token;
