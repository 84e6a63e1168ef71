//! ListRegistrations: order and pages. (Who may list whose: see `access`.)

use proto::training::v1::{ListRegistrationsRequest, ListRegistrationsResponse};
use service_kit::on_each_database;

use crate::service::{Service, User, training, violations};

fn page(page_size: i32, page_token: &str) -> ListRegistrationsRequest {
    let page_token = page_token.to_owned();
    ListRegistrationsRequest { page_size, page_token, ..ListRegistrationsRequest::default() }
}

fn ids(answer: &ListRegistrationsResponse) -> Vec<i64> {
    answer.registrations.iter().map(|registration| registration.id).collect()
}

/// Registers `user` `count` times; the ids.
async fn register(user: &User, count: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(user.create(training("cricket", "beginner")).await.expect("created").id);
    }
    ids
}

on_each_database! {
    async fn pages_lead_from_the_oldest_to_the_youngest(database) {
        let service = Service::start(&database).await;
        let (user, other) = (service.user(7), service.user(8));
        let mut own = register(&user, 3).await;
        register(&other, 2).await;
        own.extend(register(&user, 4).await);

        let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let answer = user.list(page(3, &token)).await.expect("a page");
            seen.extend(ids(&answer));
            pages += 1;
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((seen, pages), (own, 3));
    }

    async fn a_last_page_that_is_full_has_no_successor(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let own = register(&user, 4).await;
        let first = user.list(page(2, "")).await.expect("a page");
        let second = user.list(page(2, &first.next_page_token)).await.expect("a page");
        assert_eq!([ids(&first), ids(&second)].concat(), own);
        assert_eq!(second.next_page_token, "");
    }

    async fn a_registration_made_meanwhile_shifts_no_page(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let mut own = register(&user, 3).await;
        let first = user.list(page(2, "")).await.expect("a page");
        own.extend(register(&user, 1).await);
        let second = user.list(page(2, &first.next_page_token)).await.expect("a page");
        assert_eq!([ids(&first), ids(&second)].concat(), own);
    }

    async fn without_a_size_a_page_has_fifty(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let own = register(&user, 51).await;
        let answer = user.list(page(0, "")).await.expect("a page");
        assert_eq!(ids(&answer), own[..50]);
        let all = user.list(page(i32::MAX, "")).await.expect("a page");
        assert_eq!((ids(&all), &*all.next_page_token), (own, ""));
    }

    async fn an_empty_list_is_one_empty_page(database) {
        let service = Service::start(&database).await;
        let answer = service.user(7).list(page(10, "")).await.expect("a page");
        assert_eq!(answer, ListRegistrationsResponse::default());
    }

    async fn a_bad_listing_is_refused_with_all_violations(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        register(&user, 2).await;
        let token = user.list(page(1, "")).await.expect("a page").next_page_token;
        let damaged = format!("{token}A");
        for token in ["1", "not a token", "AAAA", &damaged, &"A".repeat(10_000)] {
            let rejection = user.list(page(0, token)).await.expect_err("refused");
            assert_eq!(violations(&rejection), [("page_token", "INVALID_FORMAT")], "{token}");
        }
        let request = ListRegistrationsRequest { user_id: -1, ..page(-1, "?") };
        let rejection = user.list(request).await.expect_err("refused");
        assert_eq!(
            violations(&rejection),
            [
                ("page_size", "OUT_OF_RANGE"),
                ("page_token", "INVALID_FORMAT"),
                ("user_id", "OUT_OF_RANGE"),
            ]
        );
    }
}
