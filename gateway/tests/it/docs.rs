//! `/openapi.json` and `/docs`.

use crate::harness::start_alone;

#[tokio::test]
async fn the_description_is_openapi_3_1_and_names_itself() {
    let gateway = start_alone().await;
    let answer = gateway.get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.json["openapi"], "3.1.0");
    let paths = answer.json["paths"].as_object().expect("paths");
    for path in ["/auth/login", "/registrations", "/healthz", "/openapi.json", "/docs"] {
        assert!(paths.contains_key(path), "{path} is not described");
    }
}

#[tokio::test]
async fn every_route_tells_of_its_refusals() {
    let gateway = start_alone().await;
    let document = gateway.get("/openapi.json").await.json;
    let create = &document["paths"]["/registrations"]["post"]["responses"];
    for status in
        ["201", "400", "401", "404", "408", "409", "413", "414", "415", "429", "431", "500", "503"]
    {
        assert!(create[status].is_object(), "{status} is missing");
    }
    let unauthorized = &document["components"]["responses"]["Unauthorized"];
    assert!(unauthorized["content"]["application/problem+json"]["example"]["msg"].is_string());
    assert_eq!(document["paths"]["/healthz"]["get"]["responses"]["401"], serde_json::Value::Null);
}

#[tokio::test]
async fn whatever_reads_or_sets_a_cookie_says_so() {
    let document = start_alone().await.get("/openapi.json").await.json;
    let (mut readers, mut setters) = (Vec::new(), Vec::new());
    for (path, item) in document["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("methods").values() {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            if parameters.any(|it| it["in"] == "cookie" && it["name"] == "device") {
                readers.push(path.as_str());
            }
            if operation["responses"]["200"]["headers"]["Set-Cookie"].is_object() {
                setters.push(path.as_str());
            }
        }
    }
    assert_eq!(readers, ["/api/auth/login", "/auth/login", "/login", "/reset-password"]);
    let others = ["/auth/change_password", "/auth/login", "/auth/logout"];
    let expected = [&["/api/auth/login"][..], &others, &["/login", "/update-password"]].concat();
    assert_eq!(setters, expected);
    let refresh = &document["paths"]["/api/auth/refresh"]["post"]["security"];
    assert_eq!(*refresh, serde_json::json!([{ "refresh": [] }, {}]));
}

#[tokio::test]
async fn answers_tell_how_a_client_stands_but_for_those_of_health() {
    let document = start_alone().await.get("/openapi.json").await.json;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("methods").values() {
            let answers = operation["responses"].as_object().expect("answers").values();
            for answer in answers.filter(|answer| answer["$ref"].is_null()) {
                let is_limited = !["/healthz", "/readyz"].contains(&path.as_str());
                for name in ["RateLimit", "RateLimit-Policy"] {
                    assert_eq!(answer["headers"][name].is_object(), is_limited, "{path} {name}");
                }
            }
        }
    }
    for (name, refusal) in document["components"]["responses"].as_object().expect("refusals") {
        assert!(refusal["headers"]["RateLimit"].is_object(), "{name}");
    }
}

#[tokio::test]
async fn a_body_without_a_required_member_may_be_absent() {
    let document = start_alone().await.get("/openapi.json").await.json;
    let required = |path: &str| document["paths"][path]["post"]["requestBody"]["required"].clone();
    assert_eq!(required("/api/auth/refresh"), false);
    assert_eq!(required("/registrations"), true);
}

#[tokio::test]
async fn a_username_of_a_wrong_type_is_refused_beside_an_address_too() {
    let gateway = start_alone().await;
    let body = r#"{"email": "ann@example.com", "username": {}, "password": "pass word"}"#;
    for path in ["/login", "/api/auth/login"] {
        let answer = gateway.post(path, body).await;
        answer.assert_problem(400, "INVALID_ARGUMENT");
        assert_eq!(answer.errors(), [["username", "INVALID_TYPE"]], "{path}");
    }
}

#[tokio::test]
async fn the_page_allows_nothing_but_what_is_its_own() {
    let gateway = start_alone().await;
    let (answer, page) = gateway.get_text("/docs", &[]).await;
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    let policy = answer.headers["content-security-policy"].to_str().expect("ASCII");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.contains("http"), "no address of another host: {page}");
}

#[tokio::test]
async fn a_part_of_the_page_is_sent_as_the_client_takes_it_and_once() {
    let gateway = start_alone().await;
    let path = "/docs/swagger-ui.css";
    let (plain, css) = gateway.get_text(path, &[("accept-encoding", "gzip;q=0")]).await;
    assert_eq!(plain.headers.get("content-encoding"), None);
    assert!(css.contains(".swagger-ui"));

    let (packed, _) = gateway.get_text(path, &[("accept-encoding", "br, GZIP")]).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert_eq!(packed.headers["content-type"], "text/css; charset=utf-8");
    assert_eq!(packed.headers["vary"], "accept-encoding");
    let (unpacked, _) = gateway.get_text(path, &[("accept-encoding", "br")]).await;
    assert_eq!(unpacked.headers.get("content-encoding"), None, "not compressed for each client");

    let tag = packed.headers["etag"].to_str().expect("ASCII");
    let headers = [("accept-encoding", "gzip"), ("if-none-match", tag)];
    let (known, nothing) = gateway.get_text(path, &headers).await;
    assert_eq!((known.status.as_u16(), nothing.as_str()), (304, ""));
    gateway.get("/docs/swagger-ui.html").await.assert_problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again_in_any_coding() {
    let gateway = start_alone().await;
    let mut tags = Vec::new();
    for path in ["/openapi.json", "/docs"] {
        for coding in ["identity", "gzip", "br"] {
            let accept = ("accept-encoding", coding);
            let (answer, _) = gateway.get_text(path, &[accept]).await;
            let is_coded = coding != "identity" && path != "/docs";
            let expected = is_coded.then(|| coding.parse().expect("a header value"));
            assert_eq!(answer.headers.get("content-encoding"), expected.as_ref(), "{answer:?}");
            assert_eq!(answer.headers["cache-control"], "no-cache");
            let tag = answer.headers["etag"].to_str().expect("ASCII").to_owned();
            assert!(tag.starts_with('"'), "a strong one: {tag}");

            let known = [accept, ("if-none-match", &tag)];
            let (answer, nothing) = gateway.get_text(path, &known).await;
            assert_eq!((answer.status.as_u16(), nothing.as_str()), (304, ""), "{answer:?}");
            assert_eq!(answer.headers["etag"], tag.as_str());
            tags.push(tag);
        }
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "the page has one, the document one for each coding: {tags:?}");
}
