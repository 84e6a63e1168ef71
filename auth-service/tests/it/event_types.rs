//! Every type of event: what is done for it to be written, and that no secret is in it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use proto::auth::v1::{
    ChangePasswordRequest, DeleteUserRequest, Event, EventType, ListEventsRequest, LoginRequest,
    LogoutRequest, Role, Tokens, UnlockUserRequest, UpdateUserRequest, User,
};
use service_kit::{
    on_each_database,
    testing::{TestDatabase, smtp::MailServer},
};

use crate::{
    program::{Program, SECRET_KEY},
    service::{PASSWORD, SERVICE_TOKEN, Service, by, refusal},
};

const ANN: &str = "ann@example.com";
const CHANGED_PASSWORD: &str = "a changed password";
const WRONG_PASSWORD: &str = "a wrong password";
/// What [`Service::reset_password`] sets.
const RESET_PASSWORD: &str = "correct horse battery staple";
/// From loopback; the machine and the operator have no address.
const HERE: &str = "127.0.0.1";

/// A service, everything in it that must stay secret, and an administrator.
struct House {
    service: Service,
    program: Program,
    log: Arc<Mutex<String>>,
    root: String,
    secrets: BTreeSet<String>,
}

impl House {
    async fn sign_in(&mut self, identifier: &str, password: &str) -> Tokens {
        let request = LoginRequest {
            identifier: identifier.to_owned(),
            password: password.to_owned(),
            ..LoginRequest::default()
        };
        let answer = self.service.auth().login(request).await.expect("signed in").into_inner();
        self.secrets.insert(answer.device_token);
        self.keep(answer.tokens.expect("tokens"))
    }

    async fn refresh(&mut self, tokens: &Tokens) -> Tokens {
        let refreshed = self.service.refresh(&tokens.refresh_token).await.expect("refreshed");
        self.keep(refreshed)
    }

    fn keep(&mut self, tokens: Tokens) -> Tokens {
        // The first two segments are no secret, and nothing works without the last.
        let (_, signature) = tokens.access_token.rsplit_once('.').expect("three segments");
        self.secrets.extend([signature.to_owned(), tokens.refresh_token.clone()]);
        tokens
    }

    async fn update(&self, user: User, path: &str) {
        let update_mask = Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
        let request = by(
            &self.root,
            UpdateUserRequest { user: Some(user), update_mask, ..Default::default() },
        );
        self.service.users().update_user(request).await.expect("changed");
    }

    /// Fails until Ann's account is locked.
    async fn lock(&self) {
        for _ in 0..5 {
            let wrong = self.service.login(ANN, WRONG_PASSWORD).await;
            assert_eq!(refusal(wrong).1, "INVALID_CREDENTIALS");
        }
    }

    async fn operate(&self, arguments: &[&str], input: &str) -> String {
        let told = self.program.run(arguments, input.as_bytes()).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        told.out
    }

    async fn events(&self) -> Vec<Event> {
        let request = by(&self.root, ListEventsRequest { page_size: 1000, ..Default::default() });
        self.service.events().list_events(request).await.expect("a list").into_inner().events
    }
}

/// Does for each type of event what brings it about. Root is user 1, Ann user 2.
async fn live(house: &mut House, mail: &mut MailServer) {
    let ann = house.service.register("ann", ANN).await.expect("registered").id;
    assert_eq!(ann, 2);
    let first = house.sign_in(ANN, PASSWORD).await;
    let logout = by(&first.access_token, LogoutRequest::default());
    house.service.auth().logout(logout).await.expect("signed out");
    let second = house.sign_in(ANN, PASSWORD).await;
    let third = house.refresh(&second).await;
    house.refresh(&third).await;
    let reused = house.service.refresh(&second.refresh_token).await;
    assert_eq!(refusal(reused).1, "REFRESH_TOKEN_REUSED");

    house.lock().await;
    let unlock = by(&house.root, UnlockUserRequest { user_id: ann });
    house.service.users().unlock_user(unlock).await.expect("unlocked");
    let tokens = house.sign_in(ANN, PASSWORD).await;
    let request = ChangePasswordRequest {
        current_password: PASSWORD.to_owned(),
        new_password: CHANGED_PASSWORD.to_owned(),
    };
    let request = by(&tokens.access_token, request);
    house.service.auth().change_password(request).await.expect("changed");
    house.service.ask_for_code(ANN).await.expect("taken");
    let code = mail.next().await.code();
    house.service.reset_password(ANN, &code).await.expect("reset");
    house.secrets.insert(code);

    let change = |name: &str, roles, disabled| User {
        id: ann,
        name: name.to_owned(),
        roles,
        disabled,
        ..User::default()
    };
    house.update(change("Ann", vec![], false), "name").await;
    house.update(change("", vec![Role::Coach.into()], false), "roles").await;
    house.update(change("", vec![], true), "disabled").await;
    house.update(change("", vec![], false), "disabled").await;
    let deletion = by(&house.root, DeleteUserRequest { user_id: ann, ..Default::default() });
    house.service.users().delete_user(deletion).await.expect("deleted");

    let keys = house.operate(&["keys", "list"], "").await;
    let active = keys.lines().find(|line| line.contains(" active ")).expect("an active key");
    let kid = active.split_whitespace().next().expect("a kid").to_owned();
    house.operate(&["keys", "rotate", "--now"], "").await;
    house.operate(&["keys", "revoke", &kid], "").await;
}

async fn house(database: &TestDatabase, mail: &MailServer) -> House {
    let program =
        Program::on(database).with("SMTP_URL", mail.url("smtp", "")).with("RUST_LOG", "trace");
    let create = ["user", "create", "--username", "root", "--role", "admin", "--password-stdin"];
    let told = program.run(&create, PASSWORD.as_bytes()).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let (service, log) = program.serve().await;
    let secrets =
        [PASSWORD, CHANGED_PASSWORD, WRONG_PASSWORD, RESET_PASSWORD, SERVICE_TOKEN, SECRET_KEY];
    let mut secrets: BTreeSet<_> = secrets.into_iter().map(str::to_owned).collect();
    // That of the database, where it has one.
    let credentials = database.url.split_once('@').and_then(|(start, _)| start.rsplit_once(':'));
    secrets.extend(credentials.map(|(_, password)| password.to_owned()));
    let mut house = House { service, program, log, root: String::new(), secrets };
    house.root = house.sign_in("root", PASSWORD).await.access_token;
    house
}

/// The first event of a type, as who did it to whom and from where.
fn first(events: &[Event], event_type: EventType) -> (i64, i64, &str) {
    let found = events.iter().find(|event| event.r#type() == event_type);
    let event = found.unwrap_or_else(|| panic!("no {event_type:?} among {events:?}"));
    (event.user_id, event.actor_id, &event.client_address)
}

on_each_database! {
    async fn every_type_of_event_is_written_by_what_it_tells_of(database) {
        let mut mail = MailServer::start().await;
        let mut house = house(&database, &mail).await;
        live(&mut house, &mut mail).await;
        let events = house.events().await;
        let told = |event_type| first(&events, event_type);
        // Root and the machine: what the operator does has no actor and no address.
        assert_eq!(told(EventType::Registered), (1, 0, ""));
        assert_eq!(told(EventType::KeyRotated), (0, 0, ""));
        assert_eq!(told(EventType::KeyRevoked), (0, 0, ""));
        let of_ann: Vec<_> = events.iter().filter(|event| event.user_id == 2).cloned().collect();
        let told = |event_type| first(&of_ann, event_type);
        for (event_type, actor_id) in [
            (EventType::Registered, 2),
            (EventType::LoginSucceeded, 2),
            (EventType::SessionRevoked, 2),
            (EventType::PasswordChanged, 2),
            (EventType::PasswordReset, 2),
            // Whoever that was.
            (EventType::LoginFailed, 0),
            (EventType::AccountLocked, 0),
            (EventType::RefreshTokenReused, 0),
            (EventType::PasswordResetRequested, 0),
            (EventType::AccountUnlocked, 1),
            (EventType::UserUpdated, 1),
            (EventType::RolesChanged, 1),
            (EventType::UserDisabled, 1),
            (EventType::UserEnabled, 1),
            (EventType::UserDeleted, 1),
        ] {
            assert_eq!(told(event_type), (2, actor_id, HERE), "{event_type:?}");
        }
        let types: BTreeSet<_> = events.iter().map(|event| event.r#type).collect();
        let all = (1..).take_while(|number| EventType::try_from(*number).is_ok());
        assert_eq!(types, all.collect(), "none is left out here");
    }

    async fn no_secret_is_in_an_event_or_in_the_log_at_any_level(database) {
        let mut mail = MailServer::start().await;
        let mut house = house(&database, &mail).await;
        live(&mut house, &mut mail).await;
        let events = format!("{:#?}", house.events().await);
        let House { service, log, secrets, .. } = house;
        service.shutdown.begin();
        service.serving.await.expect("no panic").expect("a clean end");
        let log = log.lock().expect("no panic");
        assert!(log.contains("TRACE"), "it has lines of the last level");
        // Without their times, which hold as many digits as a code does.
        let logged = log.lines().map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest));
        for line in events.lines().chain(logged) {
            let told = secrets.iter().find(|secret| tells(line, secret));
            assert_eq!(told, None, "{line}");
        }
    }
}

/// Whether a line holds a secret, as text or as a list of bytes.
fn tells(line: &str, secret: &str) -> bool {
    let bytes = format!("{:?}", secret.as_bytes());
    let is_code = secret.len() == 6;
    let is_whole = |(at, _): (usize, &str)| {
        let (before, after) = (&line[..at], &line[at + secret.len()..]);
        !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
    };
    line.contains(bytes.trim_matches(['[', ']']))
        // Six digits occur by chance in longer numbers.
        || line.match_indices(secret).any(|found| !is_code || is_whole(found))
}
