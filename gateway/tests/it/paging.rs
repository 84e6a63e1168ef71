//! Lists: all there is, or page by page.

use http::{Method, header::LINK};
use http_body_util::Full;
use prost::Message;
use proto::{
    auth::v1::{ListUsersRequest, ListUsersResponse},
    training::v1::{ListRegistrationsRequest, ListRegistrationsResponse, Registration},
};

use crate::{
    harness::{TestGateway, nowhere, start_gateway},
    scripted::{Asked, Scripted},
};

/// A service with `pages` pages of one registration each; their tokens are `page+2`, `page+3`, ...
async fn with_pages(pages: i64) -> (Scripted, TestGateway) {
    let answer = move |asked: Asked| {
        let token = asked.message::<ListRegistrationsRequest>().page_token;
        let page = token.strip_prefix("page+").map_or(1, |page| page.parse().expect("a number"));
        let next = if page < pages { format!("page+{}", page + 1) } else { String::new() };
        let registration = Registration { id: page, ..Registration::default() };
        let registrations = if pages == 0 { vec![] } else { vec![registration] };
        let said = ListRegistrationsResponse { registrations, next_page_token: next };
        std::future::ready(Ok(said.encode_to_vec()))
    };
    let training = Scripted::start(answer).await;
    let gateway = start_gateway(nowhere().await, training.channel.clone()).await;
    (training, gateway)
}

fn asked(training: &Scripted) -> Vec<(i32, String)> {
    let calls = training.calls();
    let requests = calls.iter().map(Asked::message::<ListRegistrationsRequest>);
    requests.map(|request| (request.page_size, request.page_token)).collect()
}

fn ids(json: &serde_json::Value) -> Vec<i64> {
    let registrations = json.as_array().expect("an array");
    registrations.iter().map(|one| one["id"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn without_paging_all_pages_come_in_one_array() {
    let (training, gateway) = with_pages(3).await;
    let answer = gateway.get("/registrations?page_size=&page_token=").await;
    assert_eq!(answer.status, 200);
    answer.assert_headers();
    assert_eq!(ids(&answer.json), [1, 2, 3]);
    assert_eq!(answer.headers.get(LINK), None);
    let wanted = ["", "page+2", "page+3"].map(|token| (1000, token.to_owned()));
    assert_eq!(asked(&training), wanted);
}

#[tokio::test]
async fn no_registrations_are_an_empty_array() {
    let (_training, gateway) = with_pages(0).await;
    let answer = gateway.get("/registrations").await;
    assert_eq!((answer.status.as_u16(), answer.json), (200, serde_json::json!([])));
}

#[tokio::test]
async fn what_is_too_much_for_one_answer_is_linked_to() {
    let (_training, gateway) = with_pages(12).await;
    let answer = gateway.get("/registrations").await;
    assert_eq!(ids(&answer.json), (1..=10).collect::<Vec<_>>());
    let next = "</registrations?page_size=1000&page_token=page%2B11>; rel=\"next\"";
    assert_eq!(answer.headers[LINK], next);

    let answer = gateway.get("/registrations?page_size=1000&page_token=page%2B11").await;
    assert_eq!(ids(&answer.json), [11]);
}

#[tokio::test]
async fn with_paging_one_page_comes_with_a_link_to_the_next() {
    let (training, gateway) = with_pages(2).await;
    let answer = gateway.get("/registrations?page_size=1").await;
    assert_eq!(ids(&answer.json), [1]);
    let next = "</registrations?page_size=1&page_token=page%2B2>; rel=\"next\"";
    assert_eq!(answer.headers[LINK], next);

    let answer = gateway.get("/registrations?page_size=1&page_token=page%2B2").await;
    assert_eq!(ids(&answer.json), [2]);
    assert_eq!(answer.headers.get(LINK), None);
    assert_eq!(asked(&training), [(1, String::new()), (1, "page+2".to_owned())]);
}

#[tokio::test]
async fn accounts_are_searched_for_on_the_next_page_too() {
    let page = ListUsersResponse { users: Vec::new(), next_page_token: "t".to_owned() };
    let auth = Scripted::saying(page).await;
    let gateway = start_gateway(auth.channel.clone(), nowhere().await).await;
    let answer = gateway.get("/api/users?query=J%C3%B6&page_size=1").await;
    let next = "</api/users?query=J%C3%B6&page_size=1&page_token=t>; rel=\"next\"";
    assert_eq!(answer.headers[LINK], next);
    let asked: ListUsersRequest = auth.only_call().message();
    assert_eq!((asked.query.as_str(), asked.page_size), ("J\u{f6}", 1));
}

#[tokio::test]
async fn a_page_size_that_is_no_integer_is_400() {
    let (training, gateway) = with_pages(2).await;
    let answer = gateway.get("/registrations?page_size=ten").await;
    answer.assert_problem(400, "INVALID_ARGUMENT");
    assert_eq!(answer.errors(), [["page_size", "INVALID_TYPE"]]);
    assert_eq!(training.calls().len(), 0);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let (_training, gateway) = with_pages(2).await;
    let request = gateway.request(Method::HEAD, "/registrations?page_size=1");
    let answer = gateway.send(request.body(Full::default()).expect("a request")).await;
    assert_eq!((answer.status.as_u16(), answer.json), (200, serde_json::Value::Null));
    assert!(answer.headers.contains_key(LINK));
    assert_ne!(answer.headers["content-length"], "0");

    let request = gateway.request(Method::HEAD, "/nothing").body(Full::default());
    let answer = gateway.send(request.expect("a request")).await;
    assert_eq!((answer.status.as_u16(), answer.json), (404, serde_json::Value::Null));
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}
