//! `auth-service user ...`, as a process beside the running service on the same database.

use proto::auth::v1::{ListUsersRequest, Role, Tokens, ValidateTokenRequest};
use service_kit::{
    Clock, on_each_database,
    testing::{ManualClock, TestDatabase},
};

use crate::{
    program::{Program, Told},
    service::{PASSWORD, Service, by, config, refusal},
    signing_keys::eventually,
};

const ROOTS_PASSWORD: &str = "a password of root";

/// A running service, and the commands beside it.
async fn house(database: &TestDatabase) -> (Service, Operator) {
    let clock = ManualClock::default();
    let mut config = config(database, &clock);
    // The commands have no other.
    config.clock = Clock::system();
    (Service::start_with(config, clock).await, Operator(Program::on(database)))
}

/// Runs `auth-service user`; whatever comes of it, no password is shown.
struct Operator(Program);

impl Operator {
    async fn run(&self, arguments: &[&str], input: &str) -> Told {
        let arguments: Vec<_> = ["user"].iter().chain(arguments).copied().collect();
        let told = self.0.run(&arguments, input.as_bytes()).await;
        let password = input.trim();
        assert!(password.is_empty() || !told.out.contains(password), "{arguments:?}: {told:?}");
        assert!(password.is_empty() || !told.err.contains(password), "{arguments:?}: {told:?}");
        told
    }

    /// What a command prints that does what it is told.
    async fn done(&self, arguments: &[&str], input: &str) -> String {
        let told = self.run(arguments, input).await;
        assert_eq!(told.code, Some(0), "{arguments:?}: {told:?}");
        told.out
    }

    /// The one line, among those of the log, of a command that fails.
    async fn refused(&self, arguments: &[&str], input: &str) -> String {
        let told = self.run(arguments, input).await;
        assert_eq!((told.code, &*told.out), (Some(1), ""), "{arguments:?}: {told:?}");
        let is_logged = |line: &str| line.contains("  INFO ");
        let lines: Vec<_> = told.err.lines().filter(|line| !is_logged(line)).collect();
        let [line] = *lines else { panic!("{arguments:?}: {told:?}") };
        let line = line.strip_prefix("error: ");
        line.unwrap_or_else(|| panic!("{arguments:?}: {told:?}")).to_owned()
    }

    async fn create(&self, names: &[&str], password: &str) -> String {
        self.done(&[&["create", "--password-stdin"], names].concat(), password).await
    }
}

/// Waits until the running service has heard that a token is not good any more.
async fn heeded(service: &Service, tokens: &Tokens) {
    eventually("its token is refused", async || !service.is_active(&tokens.access_token).await)
        .await;
}

on_each_database! {
    async fn an_administrator_made_at_the_command_line_signs_in_at_once(database) {
        let (service, operator) = house(&database).await;
        let names = ["--username", "root", "--email", "root@example.com", "--name", "Zoë"];
        let roles = ["--role", "user", "--role", "admin"];
        let made = operator.create(&[&names[..], &roles].concat(), ROOTS_PASSWORD).await;
        assert_eq!(made, "made user 1: user admin\n");
        let root = service.login("root@example.com", ROOTS_PASSWORD).await.expect("signed in");
        let list = by(&root.access_token, ListUsersRequest::default());
        let users = service.users().list_users(list).await.expect("allowed").into_inner().users;
        let names = (&*users[0].username, &*users[0].email, &*users[0].name);
        assert_eq!(names, ("root", "root@example.com", "Zoë"));
        assert_eq!(operator.create(&["--username", "ann"], PASSWORD).await, "made user 2: user\n");

        for (names, expected) in [
            (["--username", "ROOT"], "the username is taken"),
            (["--email", "Root@example.com"], "the e-mail address is taken"),
        ] {
            let arguments = [&["create", "--password-stdin"], &names[..]].concat();
            assert_eq!(operator.refused(&arguments, PASSWORD).await, expected);
        }
    }

    async fn a_line_break_at_its_end_is_not_part_of_a_password(database) {
        let (service, operator) = house(&database).await;
        for (number, end) in ["", "\n", "\r\n"].into_iter().enumerate() {
            let name = format!("user{number}");
            operator.create(&["--username", &name], &format!(" {PASSWORD} {end}")).await;
            service.login(&name, &format!(" {PASSWORD} ")).await.expect("spaces are part of it");
            let stripped = service.login(&name, PASSWORD).await;
            assert_eq!(refusal(stripped).1, "INVALID_CREDENTIALS");
        }
    }

    async fn a_password_that_is_refused_changes_nothing(database) {
        let (service, mut operator) = house(&database).await;
        let list = database.folder().join("refused.txt");
        std::fs::write(&list, "correct horse\n").expect("a file");
        operator.0 = operator.0.with("PASSWORD_BLOCKLIST", list.display().to_string());
        operator.create(&["--username", "ann"], PASSWORD).await;
        let ann = service.login("ann", PASSWORD).await.expect("signed in");
        let (long, wide) = ("x".repeat(1025), "☃".repeat(400));
        for (password, expected) in [
            ("", "password is required"),
            ("\n", "password is required"),
            ("sevench\n", "password must be at least 8 characters"),
            ("Correct HORSE\n", "password is on a list of passwords"),
            (&long, "password must be at most 1024 bytes"),
            (&wide, "password must be at most 1024 bytes"),
        ] {
            for arguments in [
                &["create", "--username", "bob", "--password-stdin"][..],
                &["set-password", "ann", "--password-stdin"],
            ] {
                let told = operator.refused(arguments, password).await;
                assert!(told.contains(expected), "{password:?}: {told}");
            }
        }
        let create = ["create", "--username", "bob", "--password-stdin"];
        let told = operator.0.run(&[&["user"], &create[..]].concat(), b"not \xff UTF-8").await;
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(service.is_active(&ann.access_token).await);
        service.login("ann", PASSWORD).await.expect("the old password");
        assert_eq!(operator.done(&["list"], "").await.lines().count(), 2, "no bob");
    }

    async fn a_change_of_roles_is_heeded_by_the_running_service(database) {
        let (service, operator) = house(&database).await;
        operator.create(&["--username", "root", "--role", "admin"], ROOTS_PASSWORD).await;
        operator.create(&["--username", "ann", "--email", "ann@example.com"], PASSWORD).await;
        let root = service.login("root", ROOTS_PASSWORD).await.expect("signed in");
        let old = service.login("ann", PASSWORD).await.expect("signed in");
        let told = operator.done(&["set-role", "ANN@example.com", "coach", "user"], "").await;
        assert_eq!(told, "user 2 is now: user coach\n");
        heeded(&service, &old).await;
        assert!(service.is_active(&root.access_token).await, "another's");
        let new = service.refresh(&old.refresh_token).await.expect("the session lives on");
        let request = ValidateTokenRequest { access_token: new.access_token };
        let validated = service.auth().validate_token(request).await.expect("an answer");
        let validated = validated.into_inner();
        assert!(validated.active);
        assert_eq!(validated.roles().collect::<Vec<_>>(), [Role::User, Role::Coach]);

        let last = "the last administrator can be neither deleted, demoted nor disabled";
        assert_eq!(operator.refused(&["set-role", "root", "user"], "").await, last);
        assert!(service.is_active(&root.access_token).await);
        operator.done(&["set-role", "ann", "admin"], "").await;
        operator.done(&["set-role", "root", "user"], "").await;
        heeded(&service, &root).await;
        assert_eq!(operator.refused(&["set-role", "bob", "admin"], "").await, "there is no such user");
    }

    async fn a_new_password_ends_all_sessions_and_lifts_a_lock(database) {
        let (service, operator) = house(&database).await;
        operator.create(&["--username", "ann"], PASSWORD).await;
        let sessions = [
            service.login("ann", PASSWORD).await.expect("signed in"),
            service.login("ann", PASSWORD).await.expect("signed in"),
        ];
        lock(&service, "ann").await;
        let told = operator.done(&["set-password", "ann", "--password-stdin"], ROOTS_PASSWORD).await;
        assert_eq!(told, "user 1 has a new password and is signed out everywhere\n");
        for tokens in sessions {
            heeded(&service, &tokens).await;
            let refreshed = service.refresh(&tokens.refresh_token).await;
            assert_eq!(refusal(refreshed).1, "REFRESH_TOKEN_INVALID");
        }
        service.login("ann", ROOTS_PASSWORD).await.expect("not locked any more");
        assert_eq!(refusal(service.login("ann", PASSWORD).await).1, "INVALID_CREDENTIALS");
        let nobody = ["set-password", "bob", "--password-stdin"];
        assert_eq!(operator.refused(&nobody, PASSWORD).await, "there is no such user");
    }

    async fn a_lock_is_lifted(database) {
        let (service, operator) = house(&database).await;
        operator.create(&["--username", "ann"], PASSWORD).await;
        let was_not = operator.done(&["unlock", "ann"], "").await;
        assert_eq!(was_not, "user 1 was not locked\n");
        lock(&service, "ann").await;
        let lifted = operator.done(&["unlock", "ann"], "").await;
        assert_eq!(lifted, "user 1 is no longer locked\n");
        service.login("ann", PASSWORD).await.expect("signed in");
        assert_eq!(operator.refused(&["unlock", "bob"], "").await, "there is no such user");
    }

    async fn accounts_are_listed_by_id_in_pages(database) {
        let (service, operator) = house(&database).await;
        service.register("user1", "").await.expect("it is up");
        let accounts = database.folder().join("accounts.csv");
        let hash = format!("pbkdf2:sha256:1000$salt${}", "0".repeat(64));
        let rows = (2..=1001).map(|number| format!("user{number},{hash}\n"));
        let text: String = ["username,password_hash\n".to_owned()].into_iter().chain(rows).collect();
        std::fs::write(&accounts, text).expect("a file");
        let import = ["import", accounts.to_str().expect("text")];
        let told = operator.0.run(&import, b"").await;
        assert_eq!(told.code, Some(0), "{told:?}");
        service.make_admin(&database, 2).await;
        let table = operator.done(&["list"], "").await;
        let lines: Vec<_> = table.lines().collect();
        let cells = |line: &str| -> Vec<String> {
            let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
            cells.map(str::to_owned).collect()
        };
        let head = ["ID", "USERNAME", "EMAIL", "ROLES", "DISABLED", "CREATED", "NAME"];
        assert_eq!(cells(lines[0]), head);
        assert_eq!(cells(lines[2])[..5], ["2", "user2", "-", "user admin", "no"]);
        assert_eq!(lines.len(), 1002, "a head, a thousand accounts, a hint");
        assert_eq!(lines[1001], "more: auth-service user list --after 1000");
        let rest = operator.done(&["list", "--after", "1000"], "").await;
        let rest: Vec<_> = rest.lines().skip(1).map(|line| cells(line)[0].clone()).collect();
        assert_eq!(rest, ["1001"]);
        let found = operator.done(&["list", "USER100"], "").await;
        let found: Vec<_> = found.lines().skip(1).map(|line| cells(line)[1].clone()).collect();
        assert_eq!(found, ["user100", "user1000", "user1001"]);
    }
}

/// Fails to sign in until the account is locked.
async fn lock(service: &Service, identifier: &str) {
    for _ in 0..5 {
        let wrong = service.login(identifier, "a wrong password").await;
        assert_eq!(refusal(wrong).1, "INVALID_CREDENTIALS");
    }
    assert_eq!(refusal(service.login(identifier, PASSWORD).await).1, "ACCOUNT_LOCKED");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_one_line() {
    let database = TestDatabase::create(service_kit::testing::DatabaseKind::Sqlite).await;
    let operator = Operator(Program::on(&database));
    for (arguments, expected) in [
        (&["create", "--username", "ann"][..], "--password-stdin"),
        (&["create", "--password-stdin"], "username"),
        (&["create", "--password-stdin", "--username", "a b"], "username"),
        (&["create", "--password-stdin", "--email", "nowhere"], "email"),
        (&["create", "--password-stdin", "--username", "ann", "--role", "boss"], "boss"),
        (&["create", "--username", "ann", "--password", PASSWORD], "--password"),
        (&["list", "--after", "last"], "last"),
        (&["list", "a", "b"], "unexpected argument 'b'"),
        (&["set-role", "ann"], "<ROLES>"),
        (&["set-role", "ann", "boss"], "boss"),
        (&["set-password", "ann"], "--password-stdin"),
        (&["unlock"], "<USER>"),
        (&["delete", "ann"], "unrecognized subcommand 'delete'"),
    ] {
        let told = operator.refused(arguments, PASSWORD).await;
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    let url = "postgress://pavilion:hunter2@127.0.0.1/auth";
    let nowhere = Operator(Program::on(&database).with("AUTH_DATABASE_URL", url));
    let told = nowhere.refused(&["list"], "").await;
    assert!(told.starts_with("AUTH_DATABASE_URL: ") && !told.contains("hunter2"), "{told}");
}
