//! Document 001, route by route.

use serde_json::json;

use crate::{
    conformance::{Row, check, send},
    http_client::Http,
    program::Home,
};

const ANN: &str =
    r#"{"username": "ann", "email": "ann@example.com", "password": "securepassword123"}"#;
const BOB: &str = r#"{"username": "bob", "password": "securepassword123", "name": "Bob B."}"#;

async fn token(http: &Http, username: &str) -> String {
    let body = json!({ "username": username, "password": "securepassword123" });
    http.post("/api/auth/login", body).await.text("access_token")
}

/// An administrator (1) and a user (2): their tokens.
async fn house(home: &Home, http: &Http) -> [String; 2] {
    check(
        http,
        None,
        &[
            ("POST /api/auth/register", BOB, 201, r#"{"user": {"id": 1, "role": "user"}}"#),
            ("POST /api/auth/register", ANN, 201, r#"{"user": {"id": 2}}"#),
        ],
    )
    .await;
    home.make_admin(1).await;
    [token(http, "bob").await, token(http, "ann").await]
}

#[tokio::test]
async fn accounts_are_made_and_signed_in_to() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let wrong = r#"{"message": "Invalid credentials", "error": "Invalid credentials"}"#;
    let signed_in = r#"{"access_token": "*", "refresh_token": "*", "user": {"id": 1, "email": "ann@example.com"}}"#;
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("POST /api/auth/register", ANN, 201,
         r#"{"message": "User registered successfully", "user": {"id": 1, "username": "ann", "roles": ["user"]}}"#),
        ("POST /api/auth/register", ANN, 409, r#"{"message": "Username already exists"}"#),
        ("POST /api/auth/register", r#"{"email": "ANN@example.com", "password": "securepassword123"}"#,
         409, r#"{"message": "Email already exists"}"#),
        ("POST /api/auth/register", "{}", 400, r#"{"errors": [{"field": "username"}, {"field": "password"}]}"#),
        ("POST /api/auth/register", r#"{"username": 1, "password": "x"}"#, 400,
         r#"{"errors": [{"field": "username", "code": "INVALID_TYPE"}]}"#),
        ("POST /api/auth/login", r#"{"email": "ann@example.com", "password": "securepassword123"}"#, 200, signed_in),
        ("POST /api/auth/login", r#"{"username": "Ann", "password": "securepassword123"}"#, 200, signed_in),
        ("POST /api/auth/login", r#"{"username": "ann", "password": "wrong"}"#, 401, wrong),
        ("POST /api/auth/login", r#"{"username": "nobody", "password": "securepassword123"}"#, 401, wrong),
        ("POST /api/auth/login", "{}", 400, r#"{"errors": [{"field": "username"}, {"field": "password"}]}"#),
    ];
    check(&pavilion.http(), None, table).await;
}

#[tokio::test]
async fn a_token_that_was_signed_out_is_refused_everywhere() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let [_, ann] = house(&home, &http).await;
    let revoked = r#"{"msg": "Token has been revoked", "code": "TOKEN_REVOKED"}"#;
    check(
        &http,
        Some(&ann),
        &[
            ("POST /api/auth/logout", "", 200, r#"{"message": "Logout successful"}"#),
            ("POST /api/auth/logout", "", 401, revoked),
            ("GET /api/users/2", "", 401, revoked),
            ("GET /registrations", "", 401, revoked),
            ("PUT /update-profile", r#"{"name": "Ann"}"#, 401, revoked),
        ],
    )
    .await;
    let unsigned = r#"{"msg": "Missing Authorization Header"}"#;
    send(&http, None, ("POST /api/auth/logout", "", 401, unsigned)).await;
}

#[tokio::test]
async fn a_refresh_token_is_taken_from_the_header_or_the_body() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    house(&home, &http).await;
    let pair = r#"{"access_token": "*", "refresh_token": "*", "expires_in": 900}"#;
    let body = json!({ "username": "ann", "password": "securepassword123" });
    let signed_in = http.post("/api/auth/login", body).await;
    let first = signed_in.text("refresh_token");
    let second = send(&http, Some(&first), ("POST /api/auth/refresh", "", 200, pair)).await;
    let body = json!({ "refresh_token": second.text("refresh_token") });
    let third = http.post("/api/auth/refresh", body).await;
    assert_eq!(third.status, 200, "{third:?}");

    check(
        &http,
        None,
        &[
            ("POST /api/auth/refresh", "", 401, r#"{"msg": "Missing Authorization Header"}"#),
            (
                "POST /api/auth/refresh",
                r#"{"refresh_token": "made up"}"#,
                401,
                r#"{"code": "REFRESH_TOKEN_INVALID", "msg": "*"}"#,
            ),
            (
                "POST /api/auth/refresh",
                r#"{"refresh_token": 7}"#,
                400,
                r#"{"errors": [{"field": "refresh_token", "code": "INVALID_TYPE"}]}"#,
            ),
        ],
    )
    .await;
    let reused = r#"{"code": "REFRESH_TOKEN_REUSED", "msg": "Token has been revoked"}"#;
    send(&http, Some(&first), ("POST /api/auth/refresh", "", 401, reused)).await;
    let access_token = third.text("access_token");
    http.get("/api/users/2", &access_token)
        .await
        .assert_refused("TOKEN_REVOKED", "Token has been revoked");
}

#[tokio::test]
async fn who_may_see_and_change_accounts() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let [bob, ann] = house(&home, &http).await;
    let for_admins = r#"{"message": "Admin access required"}"#;
    let denied = r#"{"message": "Access denied"}"#;
    let nobody = r#"{"message": "User not found"}"#;
    #[rustfmt::skip]
    let of_a_user: &[Row] = &[
        ("GET /api/users", "", 403, for_admins),
        ("GET /api/users/2", "", 200, r#"{"id": 2, "username": "ann", "email": "ann@example.com"}"#),
        ("GET /api/users/1", "", 403, denied),
        ("GET /api/users/99", "", 403, denied),
        ("GET /api/users/0", "", 404, r#"{"code": "NOT_FOUND"}"#),
        ("GET /api/users/one", "", 404, r#"{"code": "NOT_FOUND"}"#),
        ("PUT /api/users/2", r#"{"name": "Ann A."}"#, 200,
         r#"{"message": "User updated successfully", "user": {"name": "Ann A.", "username": "ann"}}"#),
        ("PUT /api/users/2", r#"{"username": null}"#, 200, r#"{"user": {"username": null}}"#),
        ("PUT /api/users/2", r#"{"username": "ann"}"#, 200, r#"{"user": {"username": "ann"}}"#),
        ("PUT /api/users/2", r#"{"username": "BOB"}"#, 409, r#"{"message": "Username already exists"}"#),
        ("PUT /api/users/2", r#"{"email": "nowhere"}"#, 400, r#"{"errors": [{"field": "email"}]}"#),
        ("PUT /api/users/2", "{}", 400, "{}"),
        ("PUT /api/users/2", r#"{"role": "admin"}"#, 403, for_admins),
        ("PUT /api/users/2", r#"{"disabled": false}"#, 403, for_admins),
        ("PUT /api/users/2", r#"{"role": "king", "disabled": 1}"#, 400,
         r#"{"errors": [{"field": "role"}, {"field": "disabled"}]}"#),
        ("PUT /api/users/1", r#"{"name": "B."}"#, 403, denied),
        ("DELETE /api/users/2", "", 403, for_admins),
        ("DELETE /api/users/1", "", 403, for_admins),
    ];
    check(&http, Some(&ann), of_a_user).await;
    #[rustfmt::skip]
    let of_an_admin: &[Row] = &[
        ("GET /api/users", "", 200, r#"[{"id": 1, "role": "admin"}, {"id": 2, "role": "user"}]"#),
        ("GET /api/users?page_size=1", "", 200, r#"[{"id": 1}]"#),
        ("GET /api/users?query=ANN@", "", 200, r#"[{"id": 2}]"#),
        ("GET /api/users/2", "", 200, r#"{"id": 2}"#),
        ("GET /api/users/99", "", 404, nobody),
        ("PUT /api/users/99", r#"{"name": "N."}"#, 404, nobody),
        ("PUT /api/users/2", r#"{"role": "coach", "disabled": true}"#, 200,
         r#"{"user": {"role": "coach", "roles": ["coach"], "disabled": true}}"#),
        ("PUT /api/users/2", r#"{"password": "another password", "current_password": "securepassword123"}"#,
         403, denied),
        ("PUT /api/users/1", r#"{"role": "user"}"#, 409, r#"{"code": "LAST_ADMIN"}"#),
        ("DELETE /api/users/1", "", 409, r#"{"code": "LAST_ADMIN"}"#),
        ("DELETE /api/users/2", "", 200, r#"{"message": "User deleted successfully"}"#),
        ("DELETE /api/users/2", "", 404, nobody),
    ];
    check(&http, Some(&bob), of_an_admin).await;
    let unsigned = r#"{"msg": "Missing Authorization Header"}"#;
    check(
        &http,
        None,
        &[
            ("GET /api/users", "", 401, unsigned),
            ("GET /api/users/1", "", 401, unsigned),
            ("PUT /api/users/1", r#"{"name": "B."}"#, 401, unsigned),
            ("DELETE /api/users/1", "", 401, unsigned),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_name_and_a_password_change_together_or_not_at_all() {
    let home = Home::new();
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    let [_, ann] = house(&home, &http).await;
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("PUT /api/users/2", r#"{"name": "A.", "password": "short"}"#, 400,
         r#"{"errors": [{"field": "current_password", "code": "REQUIRED"}, {"field": "password", "code": "TOO_SHORT"}]}"#),
        ("PUT /api/users/2", r#"{"name": "A.", "password": "another password", "current_password": "wrong"}"#,
         401, r#"{"message": "Invalid credentials"}"#),
        ("PUT /api/users/2",
         r#"{"username": "bob", "password": "another password", "current_password": "securepassword123"}"#,
         409, "{}"),
        ("GET /api/users/2", "", 200, r#"{"name": null, "username": "ann"}"#),
        ("POST /api/auth/login", r#"{"username": "ann", "password": "another password"}"#, 401, "{}"),
        ("PUT /api/users/2",
         r#"{"name": "A.", "password": "another password", "current_password": "securepassword123"}"#,
         200, r#"{"user": {"name": "A."}}"#),
        ("POST /api/auth/login", r#"{"username": "ann", "password": "another password"}"#, 200, "{}"),
    ];
    check(&http, Some(&ann), table).await;
}
