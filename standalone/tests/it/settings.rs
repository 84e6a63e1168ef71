//! Settings that `pavilion` refuses: one line that names the setting, and shows no secret.

use std::net::TcpListener;

use crate::program::Home;

/// Part of each value that may hold a secret.
const SECRET: &str = "hunter2hunter2";

/// A key of 32 bytes, in base64.
const OTHER_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

async fn assert_refused(home: &Home, settings: &[(&str, &str)], variable: &str) {
    let (code, told) = home.refused(settings).await;
    assert_eq!(code, Some(1), "{settings:?}: {told}");
    assert!(told.starts_with(&format!("error: {variable}: ")), "{settings:?}: {told}");
    assert_eq!(told.lines().count(), 1, "{settings:?}: {told}");
    assert!(!told.contains(SECRET), "{settings:?}: {told}");
}

#[tokio::test]
async fn a_value_that_makes_no_sense_is_refused() {
    let home = Home::new();
    for (variable, value) in [
        ("AUTH_ADDR", "nowhere"),
        ("TRAINING_ADDR", "127.0.0.1"),
        ("GATEWAY_ADDR", "127.0.0.1:65536"),
        ("AUTH_DATABASE_URL", "postgress://pavilion:hunter2hunter2@127.0.0.1/auth"),
        ("AUTH_DATABASE_URL", "postgres://pavilion:hunter2hunter2@127.0.0.1:port/auth"),
        ("TRAINING_DATABASE_URL", "pavilion:hunter2hunter2@127.0.0.1"),
        ("ACCESS_TOKEN_TTL", "soon"),
        ("REFRESH_TOKEN_TTL", "30"),
        ("SESSION_TTL_MAX", "0s"),
        ("PASSWORD_MIN_LENGTH", "0"),
        ("ARGON2_ITERATIONS", "-1"),
        ("ARGON2_MEMORY_KIB", "1"),
        ("ARGON2_PARALLELISM", "0"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("SECRET_KEY", "hunter2hunter2"),
        ("SERVICE_TOKEN", "hunter2hunter2,"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "auth_service=loud"),
    ] {
        assert_refused(&home, &[(variable, value)], variable).await;
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    for variable in ["AUTH_ADDR", "TRAINING_ADDR", "GATEWAY_ADDR"] {
        assert_refused(&home, &[(variable, &address)], variable).await;
    }
}

#[tokio::test]
async fn a_file_or_folder_that_cannot_be_used_is_refused() {
    let home = Home::new();
    let file = home.path().join("file");
    std::fs::write(&file, SECRET).expect("a file");
    let file = file.to_str().expect("text");
    let nowhere = home.path().join("nowhere/key");
    for (variable, value) in [
        ("DATA_DIR", file),
        ("LOG_DIR", file),
        ("SECRET_KEY_FILE", nowhere.to_str().expect("text")),
        ("SECRET_KEY_FILE", home.path().to_str().expect("text")),
        ("SECRET_KEY_FILE", file),
    ] {
        assert_refused(&home, &[(variable, value)], variable).await;
    }
}

#[tokio::test]
async fn two_secret_keys_are_refused() {
    let home = Home::new();
    let settings = [("SECRET_KEY", OTHER_KEY), ("SECRET_KEY_FILE", "key")];
    let (code, told) = home.refused(&settings).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.starts_with("error: ") && told.lines().count() == 1, "{told}");
    assert!(told.contains("SECRET_KEY") && told.contains("SECRET_KEY_FILE"), "{told}");
    assert!(!told.contains(OTHER_KEY), "{told}");
}

#[tokio::test]
async fn what_is_found_out_only_while_starting_is_one_error_among_log_lines() {
    let home = Home::new();
    home.start(&[]).await.stop().await;
    for (variable, value) in [("SECRET_KEY", OTHER_KEY), ("ARGON2_ITERATIONS", "0")] {
        let (code, told) = home.refused(&[(variable, value)]).await;
        assert_eq!(code, Some(1), "{told}");
        // The other parts may have logged that they listen.
        let errors: Vec<_> = told.lines().filter(|line| line.starts_with("error: ")).collect();
        let [error] = *errors else { panic!("one error: {told}") };
        assert!(error.starts_with(&format!("error: {variable}: ")), "{error}");
        assert!(!told.contains(OTHER_KEY), "{told}");
    }

    home.start(&[]).await.stop().await;
}
