//! Mail, on its way from the queue to a server that is not always well.

use std::{process::Stdio, time::Duration};

use proto::auth::v1::{RequestPasswordResetRequest, auth_service_client::AuthServiceClient};
use service_kit::{
    on_each_database,
    testing::{
        DatabaseKind, ManualClock, TestDatabase,
        smtp::{MailServer, Mood, Received, Security},
    },
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

use crate::{
    certificates::acceptor,
    service::{Service, config},
};

const ANN: &str = "ann@example.com";

/// Moves the clock on until the next mail comes: the task may set its next try a moment after the
/// server has seen it fail.
async fn next_in_time(server: &mut MailServer, clock: &ManualClock) -> Received {
    for _ in 0..30 {
        clock.advance(Duration::from_secs(10));
        if let Some(mail) = server.next_within(Duration::from_secs(2)).await {
            return mail;
        }
    }
    panic!("no mail in five minutes of the clock");
}

on_each_database! {
    async fn an_outage_of_the_mail_server_loses_no_mail(database) {
        let mut server = MailServer::start().await;
        server.set(Mood::Down);
        let service = Service::start_mailing(&database, &server).await;
        service.register("ann", ANN).await.expect("registered");
        service.ask_for_code(ANN).await.expect("taken while the server is down");
        server.next_failure().await;
        server.set(Mood::Up);
        let mail = next_in_time(&mut server, &service.clock).await;
        service.reset_password(ANN, &mail.code()).await.expect("reset");
    }

    async fn what_is_refused_for_now_is_sent_later_as_the_same_mail(database) {
        let mut server = MailServer::start().await;
        server.set(Mood::Refusing("450 greylisted"));
        let service = Service::start_mailing(&database, &server).await;
        service.register("ann", ANN).await.expect("registered");
        let asked_at = service.clock.clock().now();
        service.ask_for_code(ANN).await.expect("taken");
        server.next_failure().await;
        server.set(Mood::Up);
        let mail = next_in_time(&mut server, &service.clock).await;
        assert!(service.clock.clock().now() > asked_at);
        assert_eq!(mail.header("Date"), "Thu, 01 Jan 2026 00:00:00 +0000", "when it was written");
        assert!(mail.header("Message-ID").ends_with("@localhost>"));
    }

    async fn what_is_refused_for_good_is_given_up(database) {
        let mut server = MailServer::start().await;
        server.set(Mood::Refusing("550 no such user"));
        let service = Service::start_mailing(&database, &server).await;
        for name in ["ann", "bob", "eve"] {
            let email = format!("{name}@example.com");
            service.register(name, &email).await.expect("registered");
        }
        service.ask_for_code(ANN).await.expect("taken");
        server.next_failure().await;
        server.set(Mood::Up);
        service.clock.advance(Duration::from_mins(1));
        // Were Ann's still there, it would be sent with one of these.
        for email in ["bob@example.com", "eve@example.com"] {
            service.ask_for_code(email).await.expect("taken");
            assert_eq!(server.next().await.to, email);
        }
    }

    async fn a_mail_that_comes_too_late_is_not_sent(database) {
        let mut server = MailServer::start().await;
        server.set(Mood::Down);
        let service = Service::start_mailing(&database, &server).await;
        service.register("ann", ANN).await.expect("registered");
        service.register("bob", "bob@example.com").await.expect("registered");
        service.ask_for_code(ANN).await.expect("taken");
        server.next_failure().await;
        service.clock.advance(Duration::from_mins(10));
        server.set(Mood::Up);
        service.ask_for_code("bob@example.com").await.expect("taken");
        assert_eq!(server.next().await.to, "bob@example.com");
    }

    async fn mails_and_codes_survive_a_restart(database) {
        let mut server = MailServer::start().await;
        server.set(Mood::Down);
        let service = Service::start_mailing(&database, &server).await;
        service.register("ann", ANN).await.expect("registered");
        service.ask_for_code(ANN).await.expect("taken");
        server.next_failure().await;
        service.shutdown.begin();
        service.serving.await.expect("no panic").expect("a clean end");

        server.set(Mood::Up);
        let (url, clock) = (server.url("smtp", ""), service.clock);
        let service = Service::start_mailing_at(&database, url, clock).await;
        let mail = next_in_time(&mut server, &service.clock).await;
        service.reset_password(ANN, &mail.code()).await.expect("reset");
    }

    async fn two_replicas_send_each_mail_once(database) {
        let mut server = MailServer::start().await;
        let clock = ManualClock::default();
        let replica = || Service::start_mailing_at(&database, server.url("smtp", ""), clock.clone());
        let (one, two) = (replica().await, replica().await);
        let mut expected = Vec::new();
        for number in 0..8 {
            let email = format!("user{number}@example.com");
            one.register("", &email).await.expect("registered");
            expected.push(email);
        }
        for (number, email) in expected.iter().enumerate() {
            let service = if number % 2 == 0 { &one } else { &two };
            service.ask_for_code(email).await.expect("taken");
        }
        let mut received = Vec::new();
        for _ in &expected {
            received.push(server.next().await.to);
        }
        // One more, so that whatever came twice would have come before.
        one.register("", "last@example.com").await.expect("registered");
        one.ask_for_code("last@example.com").await.expect("taken");
        received.push(server.next().await.to);
        expected.push("last@example.com".to_owned());
        received.sort();
        expected.sort();
        assert_eq!(received, expected);
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing_where_it_is_required() {
    let mut server = MailServer::start().await;
    assert_fails(&mut server, "smtp", "?tls=required").await;
}

#[tokio::test]
async fn a_server_whose_certificate_nobody_vouches_for_gets_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = MailServer::start_with(Security::Tls(acceptor(folder.path()))).await;
    assert_fails(&mut server, "smtps", "").await;
    let mut server = MailServer::start_with(Security::StartTls(acceptor(folder.path()))).await;
    assert_fails(&mut server, "smtp", "?tls=required").await;
    assert_fails(&mut server, "smtp", "?tls=opportunistic").await;
}

/// That two tries fail and no mail is taken.
async fn assert_fails(server: &mut MailServer, scheme: &str, tls: &str) {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let clock = ManualClock::default();
    let url = server.url(scheme, tls);
    let service = Service::start_mailing_at(&database, url, clock).await;
    service.register("ann", ANN).await.expect("registered");
    service.ask_for_code(ANN).await.expect("taken");
    server.next_failure().await;
    assert!(server.next_within(Duration::ZERO).await.is_none());
    service.shutdown.begin();
    service.serving.await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn a_bad_smtp_url_is_refused_at_start_without_its_password() {
    let database = TestDatabase::create(DatabaseKind::Sqlite).await;
    let clock = ManualClock::default();
    let mut config = config(&database, &clock);
    config.mail.smtp_url = Some("smpt://user:hunter2@mail.example".to_owned());
    let service = Service::start_with(config, clock).await;
    let error = service.serving.await.expect("no panic").expect_err("refused").to_string();
    assert!(error.starts_with("SMTP_URL: ") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn mail_goes_out_over_tls_to_a_server_that_is_vouched_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let acceptor = acceptor(folder.path());
    for (security, scheme, tls) in [
        (Security::Tls(acceptor.clone()), "smtps", ""),
        (Security::StartTls(acceptor.clone()), "smtp", "?tls=required"),
        (Security::StartTls(acceptor), "smtp", "?tls=opportunistic"),
    ] {
        let mut server = MailServer::start_with(security).await;
        let process = Process::start(&folder, &[("SMTP_URL", &server.url(scheme, tls))]).await;
        process.ask_for_code().await;
        let mail = server.next().await;
        assert!(mail.is_encrypted && mail.to == ANN, "{scheme}{tls}");
    }
}

#[tokio::test]
async fn without_a_server_mail_goes_to_the_log_and_the_log_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = Process::start(&folder, &[]).await;
    assert!(process.log.iter().any(|line| line.contains("WARN") && line.contains("SMTP_URL")));
    process.ask_for_code().await;
    let line = process.line_with("mail.to").await;
    assert!(line.contains(ANN) && line.contains("Your code: "), "{line}");
}

/// The program itself, which believes the certificate in `ca.pem`.
struct Process {
    url: String,
    log: Vec<String>,
    lines: Lines<BufReader<ChildStderr>>,
    _child: Child,
}

impl Process {
    async fn start(folder: &TempDir, settings: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir_in(folder.path()).expect("a folder").keep();
        let mut child = Command::new(env!("CARGO_BIN_EXE_auth-service"))
            .current_dir(&data)
            .env_clear()
            .env("DATA_DIR", &data)
            .env("AUTH_ADDR", "127.0.0.1:0")
            .env("ARGON2_MEMORY_KIB", "8")
            .env("SSL_CERT_FILE", folder.path().join("ca.pem"))
            .envs(settings.iter().copied())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut process = Self { url: String::new(), log: Vec::new(), lines, _child: child };
        let listening = process.line_with("listening").await;
        let (_, address) = listening.split_once("address=").expect("an address");
        let address = address.split_whitespace().next().expect("an address");
        process.url = format!("http://{address}");
        process
    }

    /// The next line of the log that contains `text`.
    async fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.next_line().await.expect("read").expect("it runs");
            self.log.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Makes Ann's account and asks for a code.
    async fn ask_for_code(&self) {
        let mut auth = AuthServiceClient::connect(self.url.clone()).await.expect("connected");
        let request = proto::auth::v1::RegisterRequest {
            email: ANN.to_owned(),
            password: crate::service::PASSWORD.to_owned(),
            ..Default::default()
        };
        auth.register(request).await.expect("registered");
        let request = RequestPasswordResetRequest {
            email: ANN.to_owned(),
            ..RequestPasswordResetRequest::default()
        };
        auth.request_password_reset(request).await.expect("taken");
    }
}
