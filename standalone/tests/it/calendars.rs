//! Calendars, as calendar programs ask for them.

use http::{Method, response::Parts};
use icalendar::{Component, EventStatus};
use serde_json::{Value, json};

use crate::{
    conformance::{Row, check, send},
    http_client::Http,
    program::{Home, eventually},
    programs::{FOR_NETS, NETS, sign_up, start},
};

const KEY: &str = "/registrations/calendar_key";

async fn get(http: &Http, path: &str) -> (Parts, String) {
    http.send_for_text(http.request(Method::GET, path)).await
}

/// The path of a URL of this gateway.
fn path_of(url: &str, http: &Http) -> String {
    let origin = http.request(Method::GET, "").uri_ref().expect("a URL").to_string();
    let path = url.strip_prefix(origin.trim_end_matches('/'));
    path.unwrap_or_else(|| panic!("{url} is not below {origin}")).to_owned()
}

/// Summary and status of the only event, as a reader that is not ours finds them.
fn only_event(text: &str) -> (String, Option<EventStatus>) {
    let read: icalendar::Calendar = text.parse().expect("an iCalendar object");
    let events: Vec<_> = read.events().collect();
    assert_eq!(events.len(), 1, "{text}");
    (events[0].get_summary().expect("a summary").to_owned(), events[0].get_status())
}

#[tokio::test]
async fn a_program_is_a_file_that_is_sent_again_only_where_it_has_changed() {
    let home = Home::new();
    let (_pavilion, http, admin) = start(&home).await;
    send(&http, Some(&admin), ("POST /programs", NETS, 201, "{}")).await;
    let path = "/programs/1/calendar.ics";
    let (head, text) = get(&http, path).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.headers["content-type"], "text/calendar; charset=utf-8");
    assert_eq!(head.headers["cache-control"], "no-cache");
    assert_eq!(only_event(&text), ("Nets".to_owned(), Some(EventStatus::Confirmed)));
    assert!(text.contains("\r\nDTSTART:20990501T100000Z\r\nDTEND:20990501T110000Z\r\n"), "{text}");
    assert!(text.ends_with("END:VCALENDAR\r\n"), "{text}");

    let (only_head, nothing) = http.send_for_text(http.request(Method::HEAD, path)).await;
    assert_eq!((only_head.status.as_u16(), nothing.as_str()), (200, ""));
    assert_eq!(only_head.headers["content-length"], text.len().to_string());
    let etag = head.headers["etag"].to_str().expect("ASCII");
    assert_eq!(only_head.headers["etag"], etag);

    let known = async |method| {
        let request = http.request(method, path).header("if-none-match", etag);
        http.send_for_text(request).await
    };
    for method in [Method::GET, Method::HEAD] {
        let (head, nothing) = known(method).await;
        assert_eq!((head.status.as_u16(), nothing.as_str()), (304, ""));
        assert_eq!(head.headers["etag"], etag);
        assert_eq!(head.headers["cache-control"], "no-cache");
    }
    send(&http, Some(&admin), ("POST /programs/1/cancel", "", 200, "{}")).await;
    let (head, text) = known(Method::GET).await;
    assert_eq!(head.status, 200);
    let cancelled = ("Cancelled: Nets".to_owned(), Some(EventStatus::Cancelled));
    assert_eq!(only_event(&text), cancelled);

    let missing = http.try_get("/programs/2/calendar.ics").await.expect("an answer");
    missing.assert_problem(404, "PROGRAM_NOT_FOUND", "Program not found");
    let missing = http.try_get("/programs/x/calendar.ics").await.expect("an answer");
    missing.assert_problem(404, "NOT_FOUND", "Not found");
}

#[tokio::test]
async fn a_subscription_needs_the_key_and_nothing_else() {
    let home = Home::new();
    let (_pavilion, http, admin) = start(&home).await;
    let ann = sign_up(&http, "ann").await;
    send(&http, Some(&admin), ("POST /programs", NETS, 201, "{}")).await;
    let made = ("POST /registrations/calendar_key", "", 201, r#"{"key": "*", "url": "*"}"#);
    let first = send(&http, Some(&ann), made).await;
    assert_eq!(first.headers["cache-control"], "no-store");
    let path = path_of(&first.text("url"), &http);
    assert_eq!(path, format!("/registrations/calendar.ics?key={}", first.text("key")));

    let (head, text) = get(&http, &path).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.headers["content-type"], "text/calendar; charset=utf-8");
    assert_eq!(head.headers["cache-control"], "no-store", "it is a person's");
    assert_eq!(head.headers["referrer-policy"], "no-referrer");
    assert!(text.contains("\r\nX-WR-CALNAME:Training\r\n"), "{text}");
    assert!(!text.contains("VEVENT"), "{text}");
    let etag = head.headers["etag"].clone();
    send(&http, Some(&admin), ("POST /registrations", FOR_NETS, 201, "{}")).await;
    let known = async || {
        let request = http.request(Method::GET, &path).header("if-none-match", &etag);
        http.send_for_text(request).await
    };
    assert_eq!(known().await.0.status, 304, "another user's registration");
    send(&http, Some(&ann), ("POST /registrations", FOR_NETS, 201, "{}")).await;
    let (head, text) = known().await;
    assert_eq!(head.status, 200);
    let waiting = ("Waitlist (1): Nets".to_owned(), Some(EventStatus::Tentative));
    assert_eq!(only_event(&text), waiting);

    let second = send(&http, Some(&ann), made).await;
    let gone = async |path: &str| {
        let answer = http.try_get(path).await.expect("an answer");
        answer.assert_problem(404, "CALENDAR_KEY_INVALID", "Calendar not found");
    };
    gone(&path).await;
    let path = path_of(&second.text("url"), &http);
    assert_eq!(get(&http, &path).await.0.status, 200);
    for _ in 0..2 {
        let revoked = http.send(http.signed(Method::DELETE, KEY, &ann), None).await;
        assert_eq!((revoked.status, revoked.json), (204, json!(null)));
    }
    gone(&path).await;
    gone("/registrations/calendar.ics?key=%00%ff").await;

    let missing =
        r#"{"errors": [{"field": "key", "code": "REQUIRED", "message": "key is required"}]}"#;
    let unsigned = r#"{"msg": "Missing Authorization Header"}"#;
    #[rustfmt::skip]
    let table: &[Row] = &[
        ("GET /registrations/calendar.ics", "", 400, missing),
        ("GET /registrations/calendar.ics?key=", "", 400, missing),
        ("POST /registrations/calendar_key", "", 401, unsigned),
        ("DELETE /registrations/calendar_key", "", 401, unsigned),
    ];
    check(&http, None, table).await;
}

#[tokio::test]
async fn a_calendar_ends_with_the_account() {
    let home = Home::new();
    let (_pavilion, http, admin) = start(&home).await;
    for (username, id, ending) in [
        ("ann", 2, (Method::DELETE, Value::Null)),
        ("bob", 3, (Method::PUT, json!({ "disabled": true }))),
    ] {
        let token = sign_up(&http, username).await;
        let made = http.send(http.signed(Method::POST, KEY, &token), None).await;
        let path = path_of(&made.text("url"), &http);
        assert_eq!(get(&http, &path).await.0.status, 200);
        let (method, body) = ending;
        let request = http.signed(method, &format!("/api/users/{id}"), &admin);
        let ended = http.send(request, Some(body).filter(|body| !body.is_null())).await;
        assert_eq!(ended.status, 200, "{ended:?}");
        eventually("the calendar is gone", async || {
            (get(&http, &path).await.0.status == 404).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_address_of_a_calendar_is_that_which_the_client_knows() {
    let home = Home::new();
    let pavilion = home.start(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let http = pavilion.http();
    let ann = sign_up(&http, "ann").await;
    let url = async |headers: &[(&str, &str)]| {
        let request = http.signed(Method::POST, KEY, &ann);
        let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        http.send(request, None).await
    };
    let told = url(&[("x-forwarded-proto", "https"), ("x-forwarded-host", "club.example")]).await;
    let address = "https://club.example/registrations/calendar.ics?key=";
    assert!(told.text("url").starts_with(address), "{told:?}");
    let told = url(&[("x-forwarded-proto", "https"), ("host", "cricket.example:8443")]).await;
    let address = "https://cricket.example:8443/registrations/calendar.ics?key=";
    assert!(told.text("url").starts_with(address), "{told:?}");
    let refused = url(&[("x-forwarded-host", "club.example/<script>")]).await;
    assert_eq!((refused.status, &refused.json["errors"][0]["field"]), (400, &json!("Host")));
}
