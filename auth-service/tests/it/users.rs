//! UserService: who may see and change which account.

use proto::auth::v1::{
    BatchGetUsersRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, ListUsersResponse,
    Role, UpdateUserRequest, User, UserContact,
};
use service_kit::{on_each_database, testing::ManualClock};
use tonic::{Code, Status};

use crate::service::{PASSWORD, SERVICE_TOKEN, Service, by, config, refusal, violations};

fn update(token: &str, user: User, paths: &[&str]) -> tonic::Request<UpdateUserRequest> {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    let update_mask = Some(prost_types::FieldMask { paths });
    by(token, UpdateUserRequest { user: Some(user), update_mask, ..Default::default() })
}

fn deletion(user_id: i64) -> DeleteUserRequest {
    DeleteUserRequest { user_id, ..Default::default() }
}

async fn send(
    service: &Service,
    request: tonic::Request<UpdateUserRequest>,
) -> Result<User, Status> {
    let answer = service.users().update_user(request).await?.into_inner();
    Ok(answer.user.expect("a user"))
}

async fn list(service: &Service, token: &str, query: &str) -> ListUsersResponse {
    let request = ListUsersRequest { query: query.to_owned(), ..Default::default() };
    service.users().list_users(by(token, request)).await.expect("a list").into_inner()
}

/// An administrator (1), two users (2, 3), and a token of the first two.
async fn house(database: &service_kit::testing::TestDatabase) -> (Service, String, String) {
    let service = Service::start(database).await;
    for name in ["root", "ann", "bob"] {
        let email = format!("{name}@example.com");
        service.register(name, &email).await.expect("registered");
    }
    service.make_admin(database, 1).await;
    let root = service.login("root", PASSWORD).await.expect("signed in").access_token;
    let ann = service.login("ann", PASSWORD).await.expect("signed in").access_token;
    (service, root, ann)
}

fn denied(reason: &str) -> (Code, String) {
    (Code::PermissionDenied, reason.to_owned())
}

on_each_database! {
    async fn one_sees_oneself_and_an_administrator_sees_all(database) {
        let (service, root, ann) = house(&database).await;
        let get = async |token: &str, user_id| {
            let answer = service.users().get_user(by(token, GetUserRequest { user_id })).await?;
            Ok::<_, Status>(answer.into_inner().user.expect("a user").id)
        };
        assert_eq!(get(&ann, 0).await.expect("own"), 2);
        assert_eq!(get(&ann, 2).await.expect("own"), 2);
        assert_eq!(get(&root, 3).await.expect("another's"), 3);
        assert_eq!(refusal(get(&ann, 3).await), denied("NOT_OWNER"));
        assert_eq!(refusal(get(&ann, 99).await), denied("NOT_OWNER"), "nor that it is not there");
        assert_eq!(refusal(get(&root, 99).await), (Code::NotFound, "USER_NOT_FOUND".to_owned()));
        assert_eq!(violations(get(&root, -1).await), ["user_id: OUT_OF_RANGE"]);
        let list = service.users().list_users(by(&ann, ListUsersRequest::default())).await;
        assert_eq!(refusal(list), denied("ROLE_REQUIRED"));
    }

    async fn accounts_are_found_by_how_they_begin(database) {
        let (service, root, _) = house(&database).await;
        service.register("Annabel", "x%y@example.com").await.expect("registered");
        let ids = async |query: &str| -> Vec<i64> {
            list(&service, &root, query).await.users.iter().map(|user| user.id).collect()
        };
        assert_eq!(ids("").await, [1, 2, 3, 4]);
        assert_eq!(ids("AN").await, [2, 4]);
        assert_eq!(ids("bob@").await, [3]);
        assert_eq!(ids("x%").await, [4]);
        assert_eq!(ids("%").await, [0_i64; 0], "nothing is special");
        for (query, page_size, expected) in
            [("", 3, [vec![1, 2, 3], vec![4]]), ("an", 1, [vec![2], vec![4]])]
        {
            let page =
                ListUsersRequest { page_size, query: query.to_owned(), ..Default::default() };
            let first = service.users().list_users(by(&root, page.clone())).await.expect("a page");
            let first = first.into_inner();
            let rest = ListUsersRequest { page_token: first.next_page_token, ..page };
            let rest = service.users().list_users(by(&root, rest)).await.expect("a page");
            let rest = rest.into_inner();
            assert!(rest.next_page_token.is_empty());
            let pages = [first.users, rest.users]
                .map(|users| users.iter().map(|user| user.id).collect::<Vec<_>>());
            assert_eq!(pages, expected, "{query}");
        }
    }

    async fn services_learn_whose_accounts_there_are(database) {
        let (service, root, _) = house(&database).await;
        for number in 4..=60 {
            service.register(&format!("user{number}"), "").await.expect("registered");
        }
        let batch = async |token: &str, user_ids: Vec<i64>| {
            let request = by(token, BatchGetUsersRequest { user_ids });
            Ok::<_, Status>(service.users().batch_get_users(request).await?.into_inner().users)
        };
        let two = batch(SERVICE_TOKEN, vec![60, 2, 99, 2]).await.expect("two");
        let ann = UserContact {
            user_id: 2,
            username: "ann".to_owned(),
            email: "ann@example.com".to_owned(),
            name: String::new(),
        };
        let last =
            UserContact { user_id: 60, username: "user60".to_owned(), ..UserContact::default() };
        assert_eq!(two, [ann, last]);
        assert_eq!(batch(SERVICE_TOKEN, vec![]).await.expect("none"), []);
        let all = batch(SERVICE_TOKEN, (1..=1000).rev().collect()).await.expect("all");
        assert!(all.iter().map(|user| user.user_id).eq(1..=60), "{all:?}");

        service.users().delete_user(by(&root, deletion(2))).await.expect("gone");
        assert_eq!(batch(SERVICE_TOKEN, vec![2]).await.expect("none"), []);

        for too_many_or_odd in [(1..=1001).collect(), vec![1, 0]] {
            let refused = batch(SERVICE_TOKEN, too_many_or_odd).await;
            assert_eq!(violations(refused), ["user_ids: OUT_OF_RANGE"]);
        }
        assert_eq!(refusal(batch(&root, vec![1]).await), denied("SERVICE_TOKEN_REQUIRED"));
    }

    async fn one_changes_ones_own_names_by_mask(database) {
        let (service, _, ann) = house(&database).await;
        let new = User {
            username: "Anna".to_owned(),
            name: "Anna Ä.".to_owned(),
            email: "not looked at".to_owned(),
            ..Default::default()
        };
        let changed = send(&service, update(&ann, new, &["username", "name"])).await;
        let changed = changed.expect("changed");
        let names = (&*changed.username, &*changed.email, &*changed.name);
        assert_eq!(names, ("Anna", "ann@example.com", "Anna Ä."));
        service.login("anna", PASSWORD).await.expect("signed in by the new name");
        assert_eq!(refusal(service.login("ann", PASSWORD).await).1, "INVALID_CREDENTIALS");
        let gone = send(&service, update(&ann, User::default(), &["username"])).await;
        assert_eq!(gone.expect("the address is left").username, "");
        let nameless = send(&service, update(&ann, User::default(), &["email"])).await;
        assert_eq!(violations(nameless), ["user.username: REQUIRED"]);
    }

    async fn a_change_can_be_refused_for_many_reasons(database) {
        let (service, root, ann) = house(&database).await;
        let bobs = User { username: "BOB".to_owned(), ..Default::default() };
        let taken = send(&service, update(&ann, bobs, &["username"])).await;
        assert_eq!(refusal(taken), (Code::AlreadyExists, "USERNAME_TAKEN".to_owned()));
        let bobs = User { email: "Bob@example.com".to_owned(), ..Default::default() };
        let taken = send(&service, update(&ann, bobs, &["email"])).await;
        assert_eq!(refusal(taken), (Code::AlreadyExists, "EMAIL_TAKEN".to_owned()));
        let own = User { username: "ANN".to_owned(), ..Default::default() };
        send(&service, update(&ann, own, &["username"])).await.expect("one's own in capitals");
        let bad = User {
            username: "a b".to_owned(),
            email: "nowhere".to_owned(),
            roles: vec![9],
            ..Default::default()
        };
        let bad = update(&root, bad, &["username", "email", "roles", "password"]);
        assert_eq!(
            violations(send(&service, bad).await),
            [
                "username: INVALID_FORMAT",
                "email: INVALID_FORMAT",
                "roles: INVALID_VALUE",
                "update_mask: UNKNOWN_PATH",
            ]
        );
        let nothing = send(&service, update(&ann, User::default(), &[])).await;
        assert_eq!(violations(nothing), ["update_mask: REQUIRED"]);
        for path in ["roles", "disabled"] {
            let user = User { roles: vec![3], disabled: true, ..Default::default() };
            let refused = refusal(send(&service, update(&ann, user, &[path])).await);
            assert_eq!(refused, denied("ROLE_REQUIRED"), "{path}");
        }
        let bob = User { id: 3, name: "Bobby".to_owned(), ..Default::default() };
        let refused = refusal(send(&service, update(&ann, bob, &["name"])).await);
        assert_eq!(refused, denied("NOT_OWNER"));
        let nobody = User { id: 99, ..Default::default() };
        let refused = refusal(send(&service, update(&root, nobody, &["name"])).await);
        assert_eq!(refused, (Code::NotFound, "USER_NOT_FOUND".to_owned()));
    }

    async fn a_change_of_roles_ends_the_tokens_that_carry_the_old_ones(database) {
        let (service, root, _) = house(&database).await;
        let before = service.login("ann", PASSWORD).await.expect("signed in");
        let coach = vec![Role::User.into(), Role::Coach.into()];
        let coach = User { id: 2, roles: coach, ..Default::default() };
        let changed = send(&service, update(&root, coach, &["roles"])).await.expect("changed");
        assert_eq!(changed.roles, [i32::from(Role::User), i32::from(Role::Coach)]);
        assert!(!service.is_active(&before.access_token).await);
        let after = service.refresh(&before.refresh_token).await.expect("the session lives on");
        assert!(service.is_active(&after.access_token).await);
    }

    async fn a_disabled_account_cannot_be_used(database) {
        let (service, root, ann) = house(&database).await;
        let tokens = service.login("ann", PASSWORD).await.expect("signed in");
        let disabled = |disabled| {
            let user = User { id: 2, disabled, ..Default::default() };
            update(&root, user, &["disabled"])
        };
        send(&service, disabled(true)).await.expect("disabled");
        assert!(!service.is_active(&ann).await);
        let refreshed = service.refresh(&tokens.refresh_token).await;
        assert_eq!(refusal(refreshed).1, "REFRESH_TOKEN_INVALID");
        let right = service.login("ann", PASSWORD).await;
        assert_eq!(refusal(right), denied("ACCOUNT_DISABLED"));
        let wrong = service.login("ann", "wrong").await;
        let expected = (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned());
        assert_eq!(refusal(wrong), expected);
        send(&service, disabled(false)).await.expect("enabled");
        service.login("ann", PASSWORD).await.expect("signed in again");
    }

    async fn the_last_administrator_stays(database) {
        let (service, root, _) = house(&database).await;
        let last = (Code::FailedPrecondition, "LAST_ADMIN".to_owned());
        let demoted = User { id: 1, roles: vec![Role::User.into()], ..Default::default() };
        let demotion = || update(&root, demoted.clone(), &["roles"]);
        assert_eq!(refusal(send(&service, demotion()).await), last);
        let disabled = User { id: 1, disabled: true, ..Default::default() };
        let disabling = update(&root, disabled, &["disabled"]);
        assert_eq!(refusal(send(&service, disabling).await), last);
        let deletion = by(&root, deletion(1));
        assert_eq!(refusal(service.users().delete_user(deletion).await), last);
        service.make_admin(&database, 2).await;
        send(&service, demotion()).await.expect("another one is left");
    }

    async fn two_administrators_cannot_demote_each_other_at_once(database) {
        let (service, _, _) = house(&database).await;
        service.make_admin(&database, 2).await;
        let root = service.login("root", PASSWORD).await.expect("signed in").access_token;
        let ann = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        let demote = |token: &str, id| {
            let user = User { id, roles: vec![Role::User.into()], ..Default::default() };
            send(&service, update(token, user, &["roles"]))
        };
        let (one, two) = tokio::join!(demote(&root, 2), demote(&ann, 1));
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        // The other was refused as the last one, or was none any more when it was judged.
        let lost = refusal(if one.is_ok() { two } else { one });
        assert!(["LAST_ADMIN", "TOKEN_REVOKED"].contains(&&*lost.1), "{lost:?}");
    }

    async fn a_deleted_account_is_gone_and_its_tokens_with_it(database) {
        let (service, root, ann) = house(&database).await;
        let by_other = by(&ann, deletion(3));
        let refused = refusal(service.users().delete_user(by_other).await);
        assert_eq!(refused, denied("NOT_OWNER"));
        let nobody = service.users().delete_user(by(&ann, deletion(0))).await;
        assert_eq!(violations(nobody), ["user_id: REQUIRED"]);
        let own = by(&ann, deletion(2));
        service.users().delete_user(own).await.expect("deleted");
        assert!(!service.is_active(&ann).await);
        assert_eq!(refusal(service.login("ann", PASSWORD).await).1, "INVALID_CREDENTIALS");
        let again = by(&root, deletion(2));
        let refused = refusal(service.users().delete_user(again).await);
        assert_eq!(refused, (Code::NotFound, "USER_NOT_FOUND".to_owned()));
        let reborn = service.register("ann", "ann@example.com").await.expect("the name is free");
        assert_eq!(reborn.id, 4, "an id is never used again");
    }

    async fn a_deletion_may_ask_for_the_password_of_the_caller(database) {
        let (service, root, ann) = house(&database).await;
        let delete = async |token: &str, user_id, password: &str| {
            let current_password = password.to_owned();
            let request = DeleteUserRequest { current_password, ..deletion(user_id) };
            service.users().delete_user(by(token, request)).await
        };
        let wrong = (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned());
        for user_id in [0, 2] {
            assert_eq!(refusal(delete(&ann, user_id, "not the password").await), wrong);
        }
        assert!(service.is_active(&ann).await, "nothing has happened yet");
        assert_eq!(refusal(delete(&ann, 3, PASSWORD).await), denied("NOT_OWNER"));
        delete(&ann, 0, PASSWORD).await.expect("one's own");
        assert!(!service.is_active(&ann).await);
        delete(&root, 3, PASSWORD).await.expect("another's, with the password of the caller");
    }

    async fn guessing_at_the_password_of_a_deletion_is_stopped(database) {
        let (service, _, ann) = house(&database).await;
        let delete = async |password: &str| {
            let current_password = password.to_owned();
            let request = DeleteUserRequest { current_password, ..deletion(2) };
            refusal(service.users().delete_user(by(&ann, request)).await).1
        };
        for _ in 0..5 {
            assert_eq!(delete("not the password").await, "INVALID_CREDENTIALS");
        }
        assert_eq!(delete(PASSWORD).await, "ACCOUNT_LOCKED");
    }

    async fn a_deletion_as_administrator_takes_one(database) {
        let (service, root, ann) = house(&database).await;
        let delete = async |token: &str, user_id| {
            let request = DeleteUserRequest { as_administrator: true, ..deletion(user_id) };
            service.users().delete_user(by(token, request)).await
        };
        for user_id in [2, 3, 99] {
            assert_eq!(refusal(delete(&ann, user_id).await), denied("ROLE_REQUIRED"));
        }
        delete(&root, 2).await.expect("deleted");
    }

    async fn names_and_password_change_together_or_not_at_all(database) {
        let (service, root, ann) = house(&database).await;
        let there = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        let new_password = "another password";
        let change = async |token: &str, id, username: &str, current: &str, new: &str| {
            let user = User { id, username: username.to_owned(), ..Default::default() };
            let mut request = update(token, user, &["username"]);
            current.clone_into(&mut request.get_mut().current_password);
            new.clone_into(&mut request.get_mut().new_password);
            send(&service, request).await
        };
        let refused = change(&ann, 2, "a b", "", "short").await;
        let all = ["username: INVALID_FORMAT", "current_password: REQUIRED",
            "new_password: TOO_SHORT"];
        assert_eq!(violations(refused), all);
        let own_name = change(&ann, 2, "annabel1", PASSWORD, "Annabel1").await;
        assert_eq!(violations(own_name), ["new_password: BLOCKLISTED"]);
        let refused = change(&ann, 2, "anna", "not the password", new_password).await;
        let wrong = (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned());
        assert_eq!(refusal(refused), wrong);
        let taken = change(&ann, 2, "bob", PASSWORD, new_password).await;
        assert_eq!(refusal(taken), (Code::AlreadyExists, "USERNAME_TAKEN".to_owned()));
        let others = change(&root, 2, "anna", PASSWORD, new_password).await;
        assert_eq!(refusal(others), denied("NOT_OWNER"), "an administrator neither");
        service.login("ann", PASSWORD).await.expect("neither has changed");
        assert!(service.is_active(&there).await);

        let changed = change(&ann, 2, "anna", PASSWORD, new_password).await.expect("changed");
        assert_eq!(changed.username, "anna");
        assert!(service.is_active(&ann).await);
        assert!(!service.is_active(&there).await, "all other sessions have ended");
        service.login("anna", new_password).await.expect("signed in");
        assert_eq!(refusal(service.login("anna", PASSWORD).await).1, "INVALID_CREDENTIALS");
    }

    async fn asking_for_one_taken_name_after_the_other_is_throttled(database) {
        let clock = ManualClock::default();
        let mut config = config(&database, &clock);
        config.lockout.address_failures_max = 3;
        let service = Service::start_with(config, clock).await;
        for name in ["ann", "bob"] {
            let email = format!("{name}@example.com");
            service.register(name, &email).await.expect("registered");
        }
        let ann = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        let rename = async |username: &str| {
            let user = User { username: username.to_owned(), ..User::default() };
            send(&service, update(&ann, user, &["username"])).await
        };
        for _ in 0..3 {
            assert_eq!(refusal(rename("bob").await).1, "USERNAME_TAKEN");
        }
        for name in ["bob", "free"] {
            let throttled = (Code::ResourceExhausted, "TOO_MANY_FAILURES".to_owned());
            assert_eq!(refusal(rename(name).await), throttled, "{name}");
        }
        let user = User { name: "Ann".to_owned(), ..User::default() };
        send(&service, update(&ann, user, &["name"])).await.expect("nothing to find out");
    }
}
