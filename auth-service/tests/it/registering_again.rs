//! Register with a `request_id` (AIP-155).

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use proto::auth::v1::{DeleteUserRequest, RegisterRequest, User};
use service_kit::{db::Row, on_each_database, sql, testing::TestDatabase};
use tonic::{Code, Status};

use crate::{
    service::{PASSWORD, Service, by, config, refusal, violations},
    signing_keys::eventually,
};

const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);

fn with_id(request_id: &str) -> RegisterRequest {
    RegisterRequest {
        username: "ann".to_owned(),
        email: "ann@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        request_id: request_id.to_owned(),
        ..RegisterRequest::default()
    }
}

async fn register(service: &Service, request: RegisterRequest) -> Result<User, Status> {
    Ok(service.auth().register(request).await?.into_inner().user.expect("a user"))
}

/// How many accounts, events and request ids are stored.
async fn rows(database: &TestDatabase) -> [i64; 3] {
    let db = database.connect().await;
    let count = |row: Result<Row, _>| row.expect("a row").get(0).expect("a count");
    [
        count(db.read(sql!("SELECT COUNT(*) FROM users")).fetch_one().await),
        count(db.read(sql!("SELECT COUNT(*) FROM events")).fetch_one().await),
        count(db.read(sql!("SELECT COUNT(*) FROM register_requests")).fetch_one().await),
    ]
}

on_each_database! {
    async fn the_same_call_gives_the_same_account_for_a_day(database) {
        let service = Service::start(&database).await;
        let made = register(&service, with_id("try-1")).await.expect("registered");
        service.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
        let again = register(&service, with_id("try-1")).await;
        assert_eq!(again.expect("the same"), made);
        assert_eq!(rows(&database).await, [1, 1, 1]);
        let taken = (Code::AlreadyExists, "USERNAME_TAKEN".to_owned());
        for other in ["", "try-2"] {
            assert_eq!(refusal(register(&service, with_id(other)).await), taken, "{other:?}");
        }
        service.clock.advance(SECOND);
        assert_eq!(refusal(register(&service, with_id("try-1")).await), taken);
        let bob = RegisterRequest { username: "bob".to_owned(), email: String::new(), ..with_id("try-1") };
        assert_eq!(register(&service, bob).await.expect("the id is free again").id, 2);
    }

    async fn another_call_with_the_id_is_refused(database) {
        let service = Service::start(&database).await;
        register(&service, with_id("try-1")).await.expect("registered");
        for other in [
            RegisterRequest { username: "bob".to_owned(), email: String::new(), ..with_id("try-1") },
            RegisterRequest { username: "Ann".to_owned(), ..with_id("try-1") },
            RegisterRequest { name: "Ann".to_owned(), ..with_id("try-1") },
            RegisterRequest { password: "another password".to_owned(), ..with_id("try-1") },
        ] {
            assert_eq!(violations(register(&service, other).await), ["request_id: REUSED"]);
        }
        assert_eq!(rows(&database).await[0], 1);
    }

    async fn a_guess_at_the_password_counts_as_a_failed_sign_in(database) {
        let service = Service::start(&database).await;
        register(&service, with_id("try-1")).await.expect("registered");
        let guess = || RegisterRequest { password: "another password".to_owned(), ..with_id("try-1") };
        for _ in 0..4 {
            violations(register(&service, guess()).await);
        }
        register(&service, with_id("try-1")).await.expect("the right one forgets the others");
        for _ in 0..5 {
            violations(register(&service, guess()).await);
        }
        let locked = (Code::ResourceExhausted, "ACCOUNT_LOCKED".to_owned());
        assert_eq!(refusal(register(&service, guess()).await), locked);
        assert_eq!(refusal(register(&service, with_id("try-1")).await), locked, "right or not");
        assert_eq!(refusal(service.login("ann", PASSWORD).await), locked);
    }

    async fn many_at_once_make_one_account(database) {
        let service = Service::start(&database).await;
        let calls = (0..10).map(|_| register(&service, with_id("try-1")));
        let made = join_all(calls).await.into_iter().map(|made| made.expect("an account").id);
        assert_eq!(made.collect::<BTreeSet<_>>(), BTreeSet::from([1]));
        let [users, _, requests] = rows(&database).await;
        assert_eq!((users, requests), (1, 1));
        // The names of these are free, each time: the id alone is what they race for.
        let calls = (0..10).map(|number| RegisterRequest {
            username: format!("user{number}"),
            email: String::new(),
            ..with_id("try-2")
        });
        let made = join_all(calls.map(|call| register(&service, call))).await;
        let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        for refused in refused {
            assert_eq!(violations(refused), ["request_id: REUSED"]);
        }
        assert_eq!(rows(&database).await[0], 2);
    }

    async fn an_id_goes_with_its_account_or_after_a_day(database) {
        let service = Service::start(&database).await;
        register(&service, with_id("try-1")).await.expect("registered");
        let token = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        let delete = DeleteUserRequest { user_id: 1, ..DeleteUserRequest::default() };
        service.users().delete_user(by(&token, delete)).await.expect("deleted");
        assert_eq!(rows(&database).await[2], 0);

        let again = register(&service, with_id("try-1")).await.expect("nobody has the names");
        assert_eq!((again.id, rows(&database).await[2]), (2, 1));
        service.clock.advance(DAY);
        // A replica tidies up when it starts.
        let clock = service.clock.clone();
        let _replica = Service::start_with(config(&database, &clock), clock).await;
        eventually("it is gone", async || rows(&database).await[2] == 0).await;
    }
}
