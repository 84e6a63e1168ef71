//! Every statement has an index.

use service_kit::{
    on_each_database,
    testing::plans::{self, Exception},
};

use crate::service::Service;

const EXCEPTIONS: [Exception; 10] = [
    Exception { text: "FROM signing_keys", reason: "there are a handful of keys" },
    Exception {
        text: "SELECT COUNT(*) AS total FROM address_failures",
        reason: "asked once a minute, by the sweep that keeps them to a million",
    },
    Exception { text: "SELECT COUNT(*) FROM mails", reason: "at most 10 000 mails wait" },
    Exception {
        text: "FROM sessions WHERE user_id = ?",
        reason: "a user has at most a hundred sessions",
    },
    Exception {
        text: "WHERE roles >= ? AND disabled = FALSE",
        reason: "there are a handful of administrators",
    },
    Exception {
        text: "UNION SELECT id FROM users WHERE email_key >= ?",
        reason: "it reads and sorts the ids of the accounts that are looked for, no others",
    },
    Exception {
        text: "revokes_until >= ? AND (revokes_until > ? OR sequence > ?)",
        reason: "it leaves out events of one microsecond",
    },
    Exception {
        text: "sequence < ? AND time >= ? AND time < ?",
        reason: "the numbers were found by the times, so that nearly all are wanted",
    },
    Exception {
        text: "SELECT MIN(sequence) AS kept",
        reason: "the range is a batch of old events, and the first that is kept ends it",
    },
    Exception {
        text: "WHERE updated_at <= ? AND locked_until <= ?",
        reason: "it leaves out locks that last for days, which few do",
    },
];

on_each_database! {
    async fn every_statement_has_an_index(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("it is up");
        let modules = ["auth_service", "service_kit::mail"];
        plans::check("auth", &database, &modules, &EXCEPTIONS).await;
    }
}
