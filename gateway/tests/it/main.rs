//! The gateway over real HTTP. What the services are needed for is asked of [`scripted`] ones,
//! which say what real ones say only in bad times and remember what they were asked.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that lacks a part fails")]

mod balancing;
mod compression;
mod connections;
mod cors;
mod docs;
mod document_000;
mod errors;
mod families;
mod floods;
mod forwarding;
mod harness;
mod health;
mod paging;
mod participants;
mod rate;
mod scripted;
