//! Moving in, with each of the databases.

use std::{fmt::Write as _, path::Path};

use proto::auth::v1::{LoginRequest, auth_service_client::AuthServiceClient};
use service_kit::{Timestamp, on_each_database, secret::SecretKey, testing::ManualClock};
use tokio::net::TcpListener;
use tonic::{Code, Status, transport::Channel};

use super::*;
use crate::{
    Config, PasswordSettings,
    feed::Feed,
    model::{EventType, Identifier, Role, Roles, User},
    serve,
};

/// A sample of each format with its password; of the costly ones, a cheap one.
const SAMPLES: [(&str, &str); 9] = [
    (
        "securepassword123",
        "pbkdf2:sha256:150000$TOlacCw2$\
         c816078f8d51cb29a67597c231600a8c4cfde856baebafe45d2f393bfc1c32ca",
    ),
    (
        "securepassword123",
        "scrypt:32768:8:1$KUitYWGbTQhJmAi6$\
         8115ad5fb75c9c650f8d87cb04a908c0c9d91841ecc0881509277ac0e32d4da6\
         bca283f3cdc520dfeb7556c35e4274ef5e43ad5144117c7fa7cdf1876c789f84",
    ),
    (
        "securepassword123",
        "sha256$qgTFOY5XRrn0nmna$\
         53b2cdd6f521c049227af8d3bb2f311d5f35bea43b73bcff814925765ac073c4",
    ),
    ("securepassword123", "$2b$10$eqVLrn3LYJW42jcuTSYJHedcZqSSFnoOqaq0e68aKupMb/iGTc7tm"),
    ("securepassword123", "$2y$10$eqVLrn3LYJW42jcuTSYJHedcZqSSFnoOqaq0e68aKupMb/iGTc7tm"),
    ("securepassword123", "$2b$12$cflOeW/uP/X7PZUiIgYaneaRV.V4WmZnnWQZcvL.1apNcY.PMRdNa"),
    ("pässwörd-☃-密码", "pbkdf2_sha1$180000$mZ2pXk4bQw1s$KJ7tIMj9v4VY3P/Lq1ASqm+Htbg="),
    (
        "pässwörd-☃-密码",
        "$scrypt$ln=15,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
         NxbnER+jl98DKolpNhbpwD+zIjWByhlK+Otyk3RNiXg",
    ),
    (
        "pässwörd-☃-密码",
        "$argon2id$v=19$m=19456,t=2,p=1$dCr9CbhdvRb/MSfwXlcEeQ$\
         ixKFyB4Wj0s5fK7pswODxBBfScwc9cGtgAFDEuousKc",
    ),
];

/// What the service of the tests makes.
const OWN: &str = "$argon2id$v=19$m=8,t=1,p=1$";

type TestDatabase = service_kit::testing::TestDatabase;

async fn store(database: &TestDatabase) -> Store {
    Store::new(database.open(MIGRATIONS).await)
}

async fn account(store: &Store, name: &str) -> Option<(User, String)> {
    let identifier = Identifier::parse(name).expect("an identifier");
    store.credentials(&identifier).await.expect("read")
}

/// What an import comes to, and what it reports.
async fn run(
    database: &TestDatabase,
    file: &str,
    text: &str,
    change: impl FnOnce(&mut ImportOptions),
) -> (Result<ImportSummary, String>, String) {
    let file = database.folder().join(file);
    std::fs::write(&file, text).expect("written");
    let mut options = ImportOptions { file, dry_run: false, skip_invalid: false, format: None };
    change(&mut options);
    let (url, clock) = (database.database_url(), ManualClock::default().clock());
    let mut report = Vec::new();
    let imported = import(&options, &url, &clock, &Shutdown::new(), &mut report).await;
    let report = String::from_utf8(report).expect("text");
    (imported.map_err(|error| error.to_string()), report)
}

fn summary(rows: u64, imported: u64, already_there: u64, refused: u64) -> ImportSummary {
    ImportSummary { rows, imported, already_there, refused }
}

/// Rows whose names are numbered, all with the hash of one password and a salt each.
fn numbered(numbers: std::ops::Range<u32>) -> String {
    numbers.fold(String::from("username,email,password_hash\n"), |mut text, number| {
        let hash = SAMPLES[2].1.replace("qgTF", &format!("{number:06}"));
        writeln!(text, "user{number},user{number}@example.com,{hash}").expect("written");
        text
    })
}

async fn login(
    auth: &AuthServiceClient<Channel>,
    name: &str,
    password: &str,
) -> Result<(), Status> {
    let request = LoginRequest {
        identifier: name.to_owned(),
        password: password.to_owned(),
        device_token: String::new(),
    };
    auth.clone().login(request).await.map(drop)
}

/// A service on the database, which ends with the test.
async fn start(database: &TestDatabase) -> AuthServiceClient<Channel> {
    let config = Config {
        passwords: PasswordSettings {
            argon2_memory_kib: 8,
            argon2_iterations: 1,
            argon2_parallelism: 1,
        },
        clock: ManualClock::default().clock(),
        ..Config::with_defaults(database.database_url(), SecretKey::from_bytes([7; 32]))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(serve(config, listener, Shutdown::new()));
    AuthServiceClient::new(Channel::from_shared(url).expect("a URL").connect_lazy())
}

on_each_database! {
    async fn a_running_replica_hears_of_it_without_a_sign_in(database) {
        let feed = Feed::open(store(&database).await, ManualClock::default().clock()).await;
        let feed = feed.expect("opened");
        let mut moved_in = feed.moved_in();
        run(&database, "users.csv", &numbered(0..1), |_| {}).await.0.expect("imported");
        tokio::select! {
            () = feed.follow() => unreachable!("it never ends"),
            heard = moved_in.changed() => heard.expect("heard"),
        }
    }

    async fn every_format_signs_in_and_has_a_hash_of_ours_from_then_on(database) {
        let rows = SAMPLES.iter().enumerate();
        let text = rows.fold(String::from("username,password_hash\n"), |mut text, (number, one)| {
            // Some hashes hold commas.
            writeln!(text, "user{number},\"{}\"", one.1).expect("written");
            text
        });
        let (imported, report) = run(&database, "users.csv", &text, |_| {}).await;
        assert_eq!(imported, Ok(summary(9, 9, 0, 0)), "{report}");
        let store = store(&database).await;
        let auth = start(&database).await;
        for (number, (password, hash)) in SAMPLES.iter().enumerate() {
            let name = format!("user{number}");
            assert_eq!(account(&store, &name).await.expect("an account").1, *hash);
            login(&auth, &name, password).await.expect("signed in with the old hash");
            let (_, hash) = account(&store, &name).await.expect("an account");
            assert!(hash.starts_with(OWN), "{hash}");
            login(&auth, &name, password).await.expect("signed in with the new hash");
        }
        let refused = login(&auth, "user0", "another password").await.expect_err("refused");
        assert_eq!(refused.code(), Code::Unauthenticated);
    }

    async fn a_wrong_password_is_refused_and_replaces_nothing(database) {
        let text = format!("username,password_hash\nann,{}\n", SAMPLES[1].1);
        run(&database, "users.csv", &text, |_| {}).await.0.expect("imported");
        let auth = start(&database).await;
        for name in ["ann", "nobody"] {
            let refused = login(&auth, name, "another password").await.expect_err("refused");
            assert_eq!(refused.code(), Code::Unauthenticated);
        }
        let store = store(&database).await;
        assert_eq!(account(&store, "ann").await.expect("an account").1, SAMPLES[1].1);
    }

    async fn signing_in_at_once_on_two_devices_works_on_both(database) {
        let text = format!("username,password_hash\nann,{}\n", SAMPLES[1].1);
        run(&database, "users.csv", &text, |_| {}).await.0.expect("imported");
        let auth = start(&database).await;
        let both = (0..2).map(|_| login(&auth, "ann", SAMPLES[1].0));
        for one in futures_util::future::join_all(both).await {
            one.expect("signed in");
        }
    }

    async fn a_disabled_account_moves_in_disabled(database) {
        let text = format!(
            "{{\"email\":\"Ann@Example.com\",\"name\":\"Ann A.\",\"password_hash\":\"{}\",\
             \"roles\":[\"coach\",\"user\"],\"disabled\":true,\
             \"created_at\":\"2020-02-03T04:05:06+01:00\",\"last_seen\":7}}\n\n",
            SAMPLES[2].1
        );
        let (imported, report) = run(&database, "users.jsonl", &text, |_| {}).await;
        assert_eq!(imported, Ok(summary(1, 1, 0, 0)), "{report}");
        assert!(report.contains("column \"last_seen\" is not known and is ignored"), "{report}");
        let store = store(&database).await;
        let (user, _) = account(&store, "ann@example.com").await.expect("an account");
        assert_eq!((user.email.as_deref(), &*user.name), (Some("Ann@Example.com"), "Ann A."));
        assert_eq!(user.roles, Roles::from_iter([Role::User, Role::Coach]));
        assert_eq!(user.created_at, Timestamp::from_seconds(1_580_699_106));
        let auth = start(&database).await;
        let refused = login(&auth, "ann@example.com", SAMPLES[2].0).await.expect_err("barred");
        assert_eq!(refused.code(), Code::PermissionDenied);
        let refused = login(&auth, "ann@example.com", "wrong").await.expect_err("wrong");
        assert_eq!(refused.code(), Code::Unauthenticated);
    }

    async fn a_dry_run_writes_nothing(database) {
        let dry = |options: &mut ImportOptions| options.dry_run = true;
        let (imported, report) = run(&database, "users.csv", &numbered(0..3), dry).await;
        assert_eq!(imported, Ok(summary(3, 3, 0, 0)), "{report}");
        let store = store(&database).await;
        assert!(account(&store, "user0").await.is_none());
        assert_eq!(store.last_sequence().await.expect("read"), 0);
    }

    async fn every_bad_row_is_reported_before_anything_is_written(database) {
        let good = SAMPLES[2].1;
        let costly = SAMPLES[1].1.replace(":32768:", ":1073741824:");
        let text = format!(
            "Username,email,password_hash,disabled,created_at,roles\n\
             ann,,{good},,,\n\
             a b,nobody,{good},perhaps,tomorrow,king\n\
             ,,,,,\n\
             bob,,plaintext1,,2999-01-01T00:00:00Z,\n\
             ANN,,{good},,,\n\
             cut,short\n\
             eve,,{costly},,,\n\
             zoe,,{good},no,2020-01-02 03:04:05,admin;user\n"
        );
        let (imported, report) = run(&database, "users.csv", &text, |_| {}).await;
        let error = imported.expect_err("bad rows");
        assert!(error.starts_with("6 of 8 rows cannot be imported"), "{error}");
        let told: Vec<_> = report
            .lines()
            .filter_map(|line| line.strip_prefix("line "))
            .map(|line| line.splitn(4, ": ").take(3).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            told,
            [
                "3 username INVALID_FORMAT",
                "3 email INVALID_FORMAT",
                "3 roles UNKNOWN_ROLE",
                "3 disabled INVALID_FORMAT",
                "3 created_at INVALID_FORMAT",
                "4 username REQUIRED",
                "4 password_hash REQUIRED",
                "5 password_hash UNKNOWN_FORMAT",
                "5 created_at OUT_OF_RANGE",
                "6 username REPEATED",
                "7 row MALFORMED",
                "8 password_hash TOO_COSTLY",
            ]
        );
        assert!(!report.contains("plaintext1") && !report.contains("53b2"), "{report}");
        let store = store(&database).await;
        assert!(account(&store, "ann").await.is_none(), "nothing is written");

        let skip = |options: &mut ImportOptions| options.skip_invalid = true;
        let (imported, report) = run(&database, "users.csv", &text, skip).await;
        assert_eq!(imported, Ok(summary(8, 2, 0, 6)), "{report}");
        let (zoe, _) = account(&store, "zoe").await.expect("an account");
        assert_eq!(zoe.created_at, Timestamp::from_seconds(1_577_934_245));
        assert_eq!(zoe.roles, Roles::from_iter([Role::User, Role::Admin]));
    }

    async fn an_interrupted_import_is_completed_by_running_it_again(database) {
        let (imported, _) = run(&database, "users.csv", &numbered(0..250), |_| {}).await;
        assert_eq!(imported, Ok(summary(250, 250, 0, 0)));
        // One of them signs in meanwhile, and has a hash of ours.
        let auth = start(&database).await;
        login(&auth, "user7", SAMPLES[2].0).await.expect_err("another salt than the sample's");
        let text = format!("username,password_hash\nsigned-in,{}\n", SAMPLES[2].1);
        run(&database, "users.csv", &text, |_| {}).await.0.expect("imported");
        login(&auth, "signed-in", SAMPLES[2].0).await.expect("signed in");

        let text = format!("{}signed-in,,{}\n", numbered(0..400), SAMPLES[2].1);
        let (imported, report) = run(&database, "users.csv", &text, |_| {}).await;
        assert_eq!(imported, Ok(summary(401, 150, 251, 0)), "{report}");
        let store = store(&database).await;
        let (user, _) = account(&store, "user399").await.expect("an account");
        let events = store.events_after(0, 1000).await.expect("read");
        let registered = events.iter().filter(|event| {
            event.details.event_type == EventType::Registered && event.details.detail == "imported"
        });
        assert_eq!(registered.clone().count(), 401);
        assert!(registered.clone().any(|event| event.details.user_id == Some(user.id)));
    }

    async fn an_account_with_another_password_is_a_conflict(database) {
        run(&database, "users.csv", &numbered(0..2), |_| {}).await.0.expect("imported");
        let store = store(&database).await;
        let (_, before) = account(&store, "user0").await.expect("an account");
        let text = format!(
            "username,email,password_hash\nUSER0,other@example.com,{0}\nnew,User1@example.com,{0}\n",
            SAMPLES[0].1
        );
        let (imported, report) = run(&database, "users.csv", &text, |_| {}).await;
        imported.expect_err("conflicts");
        assert!(report.contains("line 2: username: USERNAME_TAKEN: "), "{report}");
        assert!(report.contains("line 3: email: EMAIL_TAKEN: "), "{report}");
        assert_eq!(account(&store, "user0").await.expect("an account").1, before);
    }

    async fn ten_thousand_accounts_move_in(database) {
        let (imported, report) = run(&database, "users.csv", &numbered(0..10_000), |_| {}).await;
        assert_eq!(imported, Ok(summary(10_000, 10_000, 0, 0)));
        assert!(report.contains("checked 10000 rows ...\n"), "{report}");
        assert!(report.ends_with("imported 10000 accounts; 0 were already there\n"), "{report}");
        let store = store(&database).await;
        assert_eq!(store.last_sequence().await.expect("read"), 10_000);
    }

    async fn a_shutdown_stops_between_two_batches(database) {
        let file = database.folder().join("users.csv");
        std::fs::write(&file, numbered(0..10)).expect("written");
        let options =
            ImportOptions { file, dry_run: false, skip_invalid: false, format: None };
        let shutdown = Shutdown::new();
        shutdown.begin();
        let (url, clock) = (database.database_url(), ManualClock::default().clock());
        let stopped = import(&options, &url, &clock, &shutdown, &mut Vec::new()).await;
        let error = stopped.expect_err("stopped").to_string();
        assert_eq!(error, "stopped after 0 rows: run it again to go on");
    }
}

fn rows_of(name: &str, bytes: &[u8]) -> Result<Vec<rows::Row>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("written");
    let read = |path: &Path| {
        let (mut rows, mut all) = (Rows::open(path, None)?, Vec::new());
        while let Some(row) = rows.next()? {
            all.push(row);
        }
        Ok(all)
    };
    read(&path).map_err(|error: StartError| error.to_string())
}

#[test]
fn a_file_that_cannot_be_a_table_of_accounts_is_refused_with_one_line() {
    let open_quote = [b"username,password_hash\n\"".to_vec(), vec![b'x'; 1_000_000]].concat();
    for (name, bytes, why) in [
        ("users.txt", b"".as_slice(), "--format"),
        ("users.csv", b"", "must name the columns"),
        ("users.csv", b"user,hash\n", "must name the columns"),
        ("users.csv", b"username,password_hash,role,roles\n", "twice"),
        ("users.csv", &open_quote, "is a quote not closed?"),
    ] {
        let error = rows_of(name, bytes).err().expect("refused");
        assert!(error.contains(why) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn rows_that_are_not_text_are_reported_where_they_are() {
    let long = format!("{{\"username\":\"{}\"}}\n", "x".repeat(100_000));
    let text = "\u{feff}{\"username\":\"ann\"}\n\n[1]\n{\"username\":{}}\nnonsense\n";
    let rows = rows_of("users.jsonl", format!("{text}{long}{{}}").as_bytes()).expect("read");
    let told: Vec<_> = rows.iter().map(|row| (row.line, row.violations.len())).collect();
    assert_eq!(told, [(1, 0), (3, 1), (4, 1), (5, 1), (6, 1), (7, 0)]);
    assert_eq!(rows[0].username, "ann");

    let csv = b"\xef\xbb\xbfusername,password_hash\r\n\"a\nb\",x\r\n\xff,y\r\n";
    let rows = rows_of("users.csv", csv).expect("read");
    let told: Vec<_> = rows.iter().map(|row| (row.line, row.violations.len())).collect();
    assert_eq!(told, [(2, 0), (4, 1)]);
}
