//! What `pavilion` logs: enough to follow a request, and never a secret.

use std::{collections::BTreeSet, fs, path::Path};

use http::Method;
use proto::auth::v1::{
    ChangePasswordRequest, LogoutRequest, RefreshTokenRequest,
    auth_service_client::AuthServiceClient,
};
use serde_json::{Value, json};

use crate::{
    grpc::by,
    journey::{EMAIL, PASSWORD, log_in, travel},
    program::{Home, channel},
};

/// What stands in the daily files of `folder`, of which there is one unless midnight has passed.
fn daily_files(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("text");
        let date = name.strip_prefix("pavilion.").and_then(|name| name.strip_suffix(".log"));
        let date = date.unwrap_or_else(|| panic!("not pavilion.DATE.log: {name}"));
        assert_eq!(date.len(), "2026-01-31".len(), "{name}");
        text.push_str(&fs::read_to_string(&path).expect("text"));
    }
    text
}

/// `name path` of the spans of this trace that lines were logged in.
fn spans_of(log: &str, trace_id: &str) -> BTreeSet<String> {
    let lines = log.lines().filter(|line| !line.is_empty());
    let lines = lines.map(|line| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    lines
        .filter(|line| line["span"]["trace_id"] == trace_id)
        .map(|line| {
            let span = &line["span"];
            assert_eq!(span["request_id"], "mine-1", "{line}");
            let path = span.get("path").unwrap_or(&span["method"]);
            let texts = [&span["name"], path].map(|text| text.as_str().expect("text"));
            texts.join(" ")
        })
        .collect()
}

#[tokio::test]
async fn one_trace_id_ties_the_lines_of_the_gateway_to_those_of_the_services() {
    let home = Home::new();
    let logs = home.path().join("logs");
    let settings =
        [("LOG_FORMAT", "json"), ("RUST_LOG", "debug"), ("LOG_DIR", logs.to_str().expect("text"))];
    let pavilion = home.start(&settings).await;
    let http = pavilion.http();
    let token = travel(&http).await;
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = http
        .signed(Method::GET, "/registrations", &token)
        .header("x-request-id", "mine-1")
        .header("traceparent", format!("00-{trace_id}-00f067aa0ba902b7-01"));
    assert_eq!(http.send(request, None).await.status, 200);
    pavilion.stop().await;

    let log = home.log();
    let spans = spans_of(&log, trace_id);
    let rpc = "rpc /training.v1.RegistrationService/ListRegistrations";
    for span in ["http /registrations", rpc] {
        assert!(spans.contains(span), "{span} is not among {spans:?}");
    }
    assert_eq!(spans_of(&daily_files(&logs), trace_id), spans, "the same in the daily file");
}

#[tokio::test]
async fn no_secret_is_in_any_line_at_any_level() {
    const WRONG_PASSWORD: &str = "a wrong password";
    const NEW_PASSWORD: &str = "correct horse battery";
    const SERVICE_TOKEN: &str = "service-token-of-the-tests";

    let home = Home::new();
    let logs = home.path().join("logs");
    let settings = [
        ("RUST_LOG", "trace"),
        ("LOG_DIR", logs.to_str().expect("text")),
        ("SERVICE_TOKEN", SERVICE_TOKEN),
    ];
    let pavilion = home.start(&settings).await;
    let http = pavilion.http();
    let mut auth = AuthServiceClient::new(channel(pavilion.auth));
    let first = travel(&http).await;
    let [second, refresh_token] = log_in(&http).await;
    let path = "/registrations/calendar_key";
    let key = http.send(http.signed(Method::POST, path, &second), None).await.text("key");
    let calendar = format!("/registrations/calendar.ics?key={key}");
    let (head, _) = http.send_for_text(http.request(Method::GET, &calendar)).await;
    assert_eq!(head.status, 200);
    assert_eq!(http.try_get(&format!("{calendar}x")).await.expect("an answer").status, 404);
    let request = RefreshTokenRequest { refresh_token: refresh_token.clone() };
    let refreshed = auth.refresh_token(request).await.expect("new tokens").into_inner();
    let refreshed = refreshed.tokens.expect("tokens");
    let request = ChangePasswordRequest {
        current_password: PASSWORD.to_owned(),
        new_password: NEW_PASSWORD.to_owned(),
    };
    auth.change_password(by(&refreshed.access_token, request)).await.expect("changed");
    let request = LogoutRequest {
        refresh_token: refreshed.refresh_token.clone(),
        ..LogoutRequest::default()
    };
    auth.logout(request).await.expect("ended");
    // What is refused is logged as well as what is not.
    let wrong = json!({ "email": EMAIL, "password": WRONG_PASSWORD });
    assert_eq!(http.post("/auth/login", wrong).await.status, 401);
    let wrong = json!({ "username": WRONG_PASSWORD, "email": 1, "password": WRONG_PASSWORD });
    assert_eq!(http.post("/auth/register_user", wrong).await.status, 400);
    let unsigned = second.replace('.', "x");
    assert_eq!(http.get("/registrations", &unsigned).await.status, 401);
    pavilion.stop().await;

    let secret_key = fs::read_to_string(home.data().join("secret.key")).expect("a key");
    let signature = |token: &str| token.rsplit_once('.').expect("three segments").1.to_owned();
    let secrets = [
        PASSWORD.to_owned(),
        WRONG_PASSWORD.to_owned(),
        NEW_PASSWORD.to_owned(),
        SERVICE_TOKEN.to_owned(),
        // Whatever they are split into, nothing works without it.
        signature(&first),
        signature(&second),
        signature(&refreshed.access_token),
        refresh_token,
        refreshed.refresh_token,
        unsigned,
        secret_key.trim().to_owned(),
        key,
    ];
    for (name, log) in [("standard error", home.log()), ("LOG_DIR", daily_files(&logs))] {
        assert!(log.contains("TRACE"), "{name} has lines of the last level");
        for secret in &secrets {
            let as_numbers = format!("{:?}", secret.as_bytes());
            let as_numbers = as_numbers.trim_matches(['[', ']']);
            for form in [secret, as_numbers] {
                let line = log.lines().find(|line| line.contains(form));
                assert_eq!(line, None, "{secret} in {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_warning_about_a_setting_that_two_services_read_comes_once() {
    let unencrypted = "smtp://user:hunter2@127.0.0.1:25";
    for (settings, warning) in [
        (&[][..], "SMTP_URL is not set"),
        (&[("SMTP_URL", unencrypted)], "SMTP_URL: the password may go out unencrypted"),
    ] {
        let home = Home::new();
        home.start(settings).await.stop().await;
        let log = home.log();
        assert_eq!(log.matches(warning).count(), 1, "{log}");
    }
}
