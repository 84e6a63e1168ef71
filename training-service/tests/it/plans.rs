//! Every statement has an index.

use service_kit::{
    on_each_database,
    testing::plans::{self, Exception},
};

use crate::service::Service;

const EXCEPTIONS: [Exception; 6] = [
    Exception { text: "SELECT COUNT(*) FROM mails", reason: "at most 10 000 mails wait" },
    Exception {
        text: "FROM programs WHERE ends_at > ?",
        reason: "it reads and sorts the programs that are not over",
    },
    Exception {
        text: "FROM programs WHERE id > ?",
        reason: "many programs share a sport and a level, so that a page fills soon",
    },
    Exception {
        text: "ORDER BY p.starts_at DESC",
        reason: "they are the live registrations of one user",
    },
    Exception {
        text: "COUNT(waitlist_ticket) OVER",
        reason: "they are the registrations for one program",
    },
    Exception {
        text: "ORDER BY user_id LIMIT ?) r UNION",
        reason: "it merges what two smaller LIMITs have left, once in a while and not for a request",
    },
];

on_each_database! {
    async fn every_statement_has_an_index(database) {
        let service = Service::start(&database).await;
        service.user(1).list_own().await;
        let modules = ["training_service", "service_kit::mail"];
        plans::check("training", &database, &modules, &EXCEPTIONS).await;
    }
}
