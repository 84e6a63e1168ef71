//! A program from its announcement to its end.

use http::Method;
use serde_json::{Value, json};

use crate::{
    conformance::{Row, check, send},
    http_client::Http,
    journey::{PASSWORD, log_in, register},
    program::{Home, Pavilion},
};

pub(crate) const NETS: &str = r#"{"title": "Nets", "sport": "cricket", "training_level": "beginner", "capacity": 1,
    "starts_at": "2099-05-01T12:00:00+02:00", "ends_at": "2099-05-01T11:00:00Z"}"#;
pub(crate) const FOR_NETS: &str = r#"{"program_id": 1}"#;

/// Makes an account, and signs in to it.
pub(crate) async fn sign_up(http: &Http, username: &str) -> String {
    let email = format!("{username}@example.com");
    let account = json!({ "username": username, "email": email, "password": PASSWORD });
    assert_eq!(http.post("/auth/register_user", account.clone()).await.status, 201);
    http.post("/auth/login", account).await.text("access_token")
}

/// The first account as an administrator, with an access token.
pub(crate) async fn start(home: &Home) -> (Pavilion, Http, String) {
    let pavilion = home.start(&[]).await;
    let http = pavilion.http();
    register(&http).await;
    home.make_admin(1).await;
    let [admin, _] = log_in(&http).await;
    (pavilion, http, admin)
}

#[tokio::test]
async fn a_program_fills_up_overflows_and_gives_a_seat_that_is_free_to_who_waits() {
    let home = Home::new();
    let (_pavilion, http, admin) = start(&home).await;
    let (ann, bob) = (sign_up(&http, "ann").await, sign_up(&http, "bob").await);
    let made = r#"{"id": 1, "title": "Nets", "capacity": 1, "seats_taken": 0, "status": "active",
        "starts_at": "2099-05-01T10:00:00.000000Z", "time_zone": "UTC", "location": null, "etag": "*"}"#;
    send(&http, Some(&admin), ("POST /programs", NETS, 201, made)).await;

    let seat = r#"{"registration": {"id": 1, "program_id": 1, "sport": "cricket",
        "status": "confirmed", "waitlist_position": null}}"#;
    send(&http, Some(&ann), ("POST /registrations", FOR_NETS, 201, seat)).await;
    let queue = r#"{"registration": {"id": 2, "status": "waitlisted", "waitlist_position": 1}}"#;
    send(&http, Some(&bob), ("POST /registrations", FOR_NETS, 201, queue)).await;
    let again = r#"{"code": "ALREADY_REGISTERED"}"#;
    send(&http, Some(&bob), ("POST /registrations", FOR_NETS, 409, again)).await;
    let full = r#"{"seats_taken": 1, "waitlist_length": 1}"#;
    send(&http, None, ("GET /programs/1", "", 200, full)).await;
    let both = r#"{"participants": [
        {"registration_id": 1, "user_id": 2, "username": "ann", "email": "ann@example.com",
         "name": null, "status": "confirmed", "waitlist_position": null, "registered_at": "*"},
        {"registration_id": 2, "username": "bob", "status": "waitlisted", "waitlist_position": 1}
    ], "next_page_token": ""}"#;
    let roster = "GET /programs/1/participants";
    send(&http, Some(&admin), (roster, "", 200, both)).await;
    send(&http, Some(&ann), (roster, "", 403, r#"{"code": "ROLE_REQUIRED"}"#)).await;

    let missing = r#"{"code": "REGISTRATION_NOT_FOUND"}"#;
    send(&http, Some(&bob), ("DELETE /registrations/1", "", 404, missing)).await;
    let ended = r#"{"id": 1, "status": "cancelled"}"#;
    send(&http, Some(&ann), ("DELETE /registrations/1", "", 200, ended)).await;
    let promoted = r#"{"id": 2, "status": "confirmed", "waitlist_position": null}"#;
    send(&http, Some(&bob), ("GET /registrations/2", "", 200, promoted)).await;
    let left = r#"{"participants": [{"registration_id": 2}], "next_page_token": "",
        "counts": {"confirmed": 1, "waitlisted": 0, "cancelled": 1}}"#;
    send(&http, Some(&admin), (roster, "", 200, left)).await;
    let gone = r#"{"participants": [{"registration_id": 1, "status": "cancelled"}],
        "counts": {"confirmed": 1, "waitlisted": 0, "cancelled": 1}}"#;
    send(&http, Some(&admin), ("GET /programs/1/participants?status=cancelled", "", 200, gone))
        .await;

    let cancelled = r#"{"id": 1, "status": "cancelled"}"#;
    send(&http, Some(&admin), ("POST /programs/1/cancel", "", 200, cancelled)).await;
    let refused = r#"{"code": "PROGRAM_CANCELLED"}"#;
    send(&http, Some(&ann), ("POST /registrations", FOR_NETS, 409, refused)).await;
}

#[tokio::test]
async fn a_coach_notes_who_came_and_ends_the_registration_of_another() {
    let home = Home::new();
    let (_pavilion, http, admin) = start(&home).await;
    let ann = sign_up(&http, "ann").await;
    sign_up(&http, "cleo").await;
    let bob = sign_up(&http, "bob").await;
    let coach = r#"{"user": {"id": 3, "role": "coach"}}"#;
    send(&http, Some(&admin), ("PUT /api/users/3", r#"{"role": "coach"}"#, 200, coach)).await;
    let credentials = json!({ "email": "cleo@example.com", "password": PASSWORD });
    let coach = http.post("/auth/login", credentials).await.text("access_token");
    send(&http, Some(&coach), ("POST /programs", NETS, 201, r#"{"id": 1}"#)).await;
    for player in [&ann, &bob] {
        send(&http, Some(player), ("POST /registrations", FOR_NETS, 201, "{}")).await;
    }

    let path = "PUT /registrations/1/attendance";
    let came = r#"{"attendance": "present"}"#;
    let noted = r#"{"registration": {"id": 1, "status": "confirmed"}, "attendance": "present"}"#;
    let roster = r#"{"participants": [{"registration_id": 1, "attendance": "present"},
        {"registration_id": 2, "attendance": null}]}"#;
    #[rustfmt::skip]
    let table: &[Row] = &[
        (path, came, 200, noted),
        ("GET /programs/1/participants", "", 200, roster),
        (path, r#"{"attendance": null}"#, 200, r#"{"attendance": null}"#),
        (path, r#"{"attendance": "excused"}"#, 200, r#"{"attendance": "excused"}"#),
        (path, "", 400, r#"{"errors": [{"field": "attendance", "code": "REQUIRED"}]}"#),
        (path, r#"{"attendance": "late"}"#, 400, r#"{"errors": [{"field": "attendance", "code": "INVALID_VALUE"}]}"#),
        ("PUT /registrations/2/attendance", came, 409, r#"{"code": "NO_SEAT"}"#),
        ("PUT /registrations/9/attendance", came, 404, r#"{"code": "REGISTRATION_NOT_FOUND"}"#),
        ("DELETE /registrations/1", "", 200, r#"{"id": 1, "user_id": 2, "status": "cancelled"}"#),
        ("GET /registrations/2", "", 200, r#"{"user_id": 4, "status": "confirmed"}"#),
    ];
    check(&http, Some(&coach), table).await;
    let refused = r#"{"code": "ROLE_REQUIRED"}"#;
    send(&http, Some(&bob), ("PUT /registrations/2/attendance", came, 403, refused)).await;
}

#[tokio::test]
async fn a_program_is_changed_by_whoever_saw_its_last_change() {
    let home = Home::new();
    let (_pavilion, http, admin) = start(&home).await;
    let repeatable =
        || http.signed(Method::POST, "/programs", &admin).header("idempotency-key", "1");
    let nets: Value = serde_json::from_str(NETS).expect("JSON");
    let made = http.send(repeatable(), Some(nets.clone())).await;
    let again = http.send(repeatable(), Some(nets)).await;
    assert_eq!((made.status, again.status, &made.json), (201, 201, &again.json));
    let change = json!({ "title": "Nets II", "capacity": null, "etag": made.text("etag") });
    let patch = async |change: &Value| {
        let request = http.signed(Method::PATCH, "/programs/1", &admin);
        http.send(request, Some(change.clone())).await
    };
    let changed = patch(&change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(
        (&changed.json["title"], &changed.json["capacity"]),
        (&json!("Nets II"), &Value::Null)
    );
    let late = patch(&change).await;
    assert_eq!((late.status, late.text("code")), (409, "ETAG_MISMATCH".to_owned()));
    let conditional = async |method: Method, path: &str, tag: &str, body: Option<Value>| {
        http.send(http.signed(method, path, &admin).header("if-match", tag), body).await
    };
    let (seen, now) = (made.headers["etag"].clone(), changed.headers["etag"].clone());
    let (seen, now) = (seen.to_str().expect("ASCII"), now.to_str().expect("ASCII"));
    let program = http.try_get("/programs/1").await.expect("an answer");
    assert_eq!((program.headers["etag"].as_bytes(), seen == now), (now.as_bytes(), false));
    for (method, path, body) in [
        (
            Method::PATCH,
            "/programs/1",
            Some(json!({ "title": "Nets III", "etag": changed.text("etag") })),
        ),
        (Method::POST, "/programs/1/cancel", None),
    ] {
        let late = conditional(method.clone(), path, seen, body.clone()).await;
        late.assert_problem(412, "ETAG_MISMATCH", "The program was changed meanwhile");
        let weak = conditional(method, path, &format!("W/{now}"), body).await;
        assert_eq!(weak.status, 412, "a weak tag never matches: {weak:?}");
    }
    let body = Some(json!({ "title": "Nets III" }));
    for (tags, path, status) in [
        (format!("W/{now}, {seen}, \"other\""), "/programs/1", 412),
        (format!("{seen}, \"other\""), "/programs/2", 404),
        (format!("{seen} {now}"), "/programs/1", 412),
    ] {
        let refused = conditional(Method::PATCH, path, &tags, body.clone()).await;
        assert_eq!(refused.status, status, "{tags}: {refused:?}");
    }
    let unsigned = http.request(Method::PATCH, "/programs/2").header("if-match", "\"1\", \"2\"");
    assert_eq!(http.send(unsigned, body.clone()).await.status, 401);
    let listed = http.signed(Method::PATCH, "/programs/1", &admin);
    let listed = listed.header("if-match", seen).header("if-match", now);
    let listed = http.send(listed, Some(json!({ "description": "With a coach" }))).await;
    assert_eq!(listed.status, 200, "one of several tags: {listed:?}");
    let now = listed.headers["etag"].to_str().expect("ASCII");
    let body = Some(json!({ "title": "Nets III", "etag": made.text("etag") }));
    let changed = conditional(Method::PATCH, "/programs/1", now, body).await;
    assert_eq!((changed.status, changed.text("title")), (200, "Nets III".to_owned()));
    assert_ne!(changed.headers["etag"], now);

    let etag = json!({ "etag": made.text("etag") });
    let late = http.post_signed("/programs/1/cancel", &admin, etag).await;
    assert_eq!((late.status, late.text("code")), (409, "ETAG_MISMATCH".to_owned()));

    #[rustfmt::skip]
    let table: &[Row] = &[
        ("PATCH /programs/1", "{}", 400, r#"{"errors": [{"field": "body", "code": "REQUIRED"}]}"#),
        ("PATCH /programs/1", r#"{"title": null, "capacity": -1}"#, 400,
         r#"{"errors": [{"field": "title"}, {"field": "capacity"}]}"#),
        ("PATCH /programs/1", r#"{"starts_at": "noon", "coach_id": "1"}"#, 400,
         r#"{"errors": [{"field": "coach_id", "code": "INVALID_TYPE"},
                        {"field": "starts_at", "code": "INVALID_FORMAT"}]}"#),
        ("PATCH /programs/2", r#"{"title": "Nets"}"#, 404, r#"{"message": "Program not found"}"#),
        ("POST /programs", "{}", 400, r#"{"errors": [{"field": "title"}, {"field": "sport"},
         {"field": "training_level"}, {"field": "starts_at"}, {"field": "ends_at"}]}"#),
    ];
    check(&http, Some(&admin), table).await;
}

#[tokio::test]
async fn programs_are_listed_to_anyone_and_written_by_coaches_and_admins() {
    let home = Home::new();
    let (_pavilion, http, admin) = start(&home).await;
    let ann = sign_up(&http, "ann").await;
    let hockey = NETS.replace("cricket", "hockey").replace("Nets", "Ice");
    for body in [NETS, &hockey] {
        let body = serde_json::from_str(body).expect("JSON");
        assert_eq!(http.post_signed("/programs", &admin, body).await.status, 201);
    }
    let refused = r#"{"code": "ROLE_REQUIRED"}"#;
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("POST /programs", NETS, 403, refused),
        ("PATCH /programs/1", r#"{"title": "Mine"}"#, 403, refused),
        ("POST /programs/1/cancel", "", 403, refused),
    ];
    check(&http, Some(&ann), table).await;
    let first = send(
        &http,
        None,
        (
            "GET /programs?page_size=1",
            "",
            200,
            r#"{"programs": [{"id": 1}], "next_page_token": "*"}"#,
        ),
    )
    .await;
    let next = format!("/programs?page_token={}", first.text("next_page_token"));
    let next = http.try_get(&next).await.expect("an answer");
    assert_eq!(
        (&next.json["programs"][0]["id"], next.text("next_page_token").as_str()),
        (&json!(2), "")
    );
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("GET /programs?sport=hockey&open_only=true", "", 200, r#"{"programs": [{"title": "Ice"}]}"#),
        ("GET /programs?training_level=expert", "", 200, r#"{"programs": [], "next_page_token": ""}"#),
        ("GET /programs?open_only=maybe&page_size=ten", "", 400,
         r#"{"errors": [{"field": "page_size"}, {"field": "open_only"}]}"#),
        ("GET /programs/3", "", 404, r#"{"code": "PROGRAM_NOT_FOUND"}"#),
        ("POST /programs", NETS, 401, r#"{"code": "TOKEN_MISSING"}"#),
    ];
    check(&http, None, table).await;
}
