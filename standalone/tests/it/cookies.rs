//! The cookies `session` and `device`: what they are good for, and what they are not.

use http::Method;
use serde_json::json;

use crate::{
    http_client::{Answer, Http},
    journey::{EMAIL, PASSWORD, register},
    program::{Home, eventually},
};

async fn log_in(http: &Http, path: &str, password: &str, cookie: &str) -> Answer {
    let body = json!({ "email": EMAIL, "password": password });
    let request = http.request(Method::POST, path).header("cookie", cookie);
    http.send(request, Some(body)).await
}

async fn log_out(http: &Http, headers: &[(&str, &str)]) -> Answer {
    let mut request = http.request(Method::POST, "/auth/logout");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    http.send(request, None).await
}

#[tokio::test]
async fn the_cookie_of_a_sign_in_signs_out() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let signed_in = log_in(&http, "/auth/login", PASSWORD, "").await;
    let token = signed_in.text("access_token");
    let (value, attributes) = signed_in.cookie("session").expect("a cookie");
    assert_eq!(attributes, ["Path=/auth/logout", "HttpOnly", "SameSite=Lax"]);

    let cookie = format!("other=1; session={value}");
    let answer = log_out(&http, &[("cookie", &cookie)]).await;
    assert_eq!((answer.status, answer.text("message")), (200, "Logout successful".to_owned()));
    let (value, attributes) = answer.cookie("session").expect("it is taken back");
    assert!(value.is_empty() && attributes.contains(&"Max-Age=0".to_owned()), "{answer:?}");
    let refused = eventually("training-service has heard of it", async || {
        Some(http.get("/registrations", &token).await).filter(|answer| answer.status != 200)
    });
    refused.await.assert_refused("TOKEN_REVOKED", "Token has been revoked");
    let again = log_out(&http, &[("cookie", &cookie)]).await;
    again.assert_refused("LOGOUT_TOKEN_INVALID", "Session has ended");
    log_out(&http, &[]).await.assert_refused("TOKEN_MISSING", "Missing Authorization Header");
}

#[tokio::test]
async fn the_cookie_is_good_for_nothing_else() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let signed_in = log_in(&http, "/auth/login", PASSWORD, "").await;
    let (value, _) = signed_in.cookie("session").expect("a cookie");
    for path in ["/registrations", "/sessions", "/api/users/1"] {
        let request = http.request(Method::GET, path).header("cookie", format!("session={value}"));
        assert_eq!(http.send(request, None).await.status, 401, "{path}");
        assert_eq!(http.get(path, &value).await.status, 401, "{path}");
    }
    let refreshed = http.post("/api/auth/refresh", json!({ "refresh_token": value })).await;
    assert_eq!(refreshed.json["code"], "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn another_site_cannot_sign_one_out() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let signed_in = log_in(&http, "/auth/login", PASSWORD, "").await;
    let (value, _) = signed_in.cookie("session").expect("a cookie");
    let cookie = ("cookie", &*format!("session={value}"));
    for foreign in
        [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")]
    {
        let answer = log_out(&http, &[cookie, foreign]).await;
        answer.assert_refused("TOKEN_MISSING", "Missing Authorization Header");
    }
    assert_eq!(http.get("/registrations", &signed_in.text("access_token")).await.status, 200);
    let own = format!("http://{}", pavilion.gateway);
    assert_eq!(log_out(&http, &[cookie, ("origin", &own)]).await.status, 200);
}

#[tokio::test]
async fn the_session_of_the_bearer_token_is_ended_before_that_of_the_cookie() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    let here = log_in(&http, "/auth/login", PASSWORD, "").await;
    let there = log_in(&http, "/auth/login", PASSWORD, "").await;
    let cookie = ("cookie", &*format!("session={}", here.cookie("session").expect("a cookie").0));
    let bearer = ("authorization", &*format!("Bearer {}", there.text("access_token")));
    assert_eq!(log_out(&http, &[cookie, bearer]).await.status, 200);
    assert_eq!(http.get("/sessions", &here.text("access_token")).await.status, 200);
    // The bearer token is no longer good, as one that has expired.
    assert_eq!(log_out(&http, &[cookie, bearer]).await.status, 200);
    assert_eq!(http.get("/sessions", &here.text("access_token")).await.status, 401);
}

#[tokio::test]
async fn cookies_are_secure_where_a_trusted_proxy_says_that_the_client_came_by_https() {
    let home = Home::new();
    for (proxies, is_secure) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let pavilion = home.start(&[("TRUSTED_PROXIES", proxies)]).await;
        let http = pavilion.http();
        if is_secure {
            register(&http).await;
        }
        let request =
            http.request(Method::POST, "/auth/login").header("x-forwarded-proto", "https");
        let body = json!({ "email": EMAIL, "password": PASSWORD });
        let answer = http.send(request, Some(body)).await;
        for name in ["session", "device"] {
            let (_, attributes) = answer.cookie(name).expect("a cookie");
            assert_eq!(attributes.contains(&"Secure".to_owned()), is_secure, "{answer:?}");
        }
        pavilion.stop().await;
    }
}

#[tokio::test]
async fn a_known_device_is_not_kept_out_by_the_guessing_of_strangers() {
    let home = Home::new();
    let pavilion = home.start(&[("LOCKOUT_THRESHOLD", "2")]).await;
    let http = pavilion.http();
    register(&http).await;
    let mut devices = Vec::new();
    for path in ["/auth/login", "/api/auth/login", "/login"] {
        let signed_in = log_in(&http, path, PASSWORD, "").await;
        let (device, attributes) = signed_in.cookie("device").expect("a cookie");
        let expected = ["Path=/", "Max-Age=15552000", "HttpOnly", "SameSite=Lax"];
        assert_eq!(attributes, expected);
        devices.push((path, format!("device={device}")));
    }
    for _ in 0..2 {
        assert_eq!(log_in(&http, "/login", "a guess", "").await.status, 401);
    }
    for (path, device) in devices {
        assert_eq!(log_in(&http, path, PASSWORD, "").await.status, 423, "a stranger");
        assert_eq!(log_in(&http, path, PASSWORD, &device).await.status, 200, "a known device");
    }
}
