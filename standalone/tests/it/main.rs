//! The built product, from the outside: `pavilion` as a process, and the three parts connected by
//! nothing but TCP.
//!
//! The three parts are started through their crates' `serve`, not as processes: `cargo test -p
//! pavilion` builds no other crate's programs, so that tests would run against none or against old
//! ones. What a program adds to `serve` is the same code for all four, and is tested here with
//! `pavilion`.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that lacks a part fails")]

mod beyond;
mod calendars;
mod conformance;
mod cookies;
mod deployment;
mod document_000;
mod document_001;
mod document_002;
mod document_003;
mod document_004;
mod ending;
mod every_rpc;
mod grpc;
mod http_client;
mod journey;
mod logout;
mod logs;
mod program;
mod programs;
mod rest;
mod separate;
mod settings;
