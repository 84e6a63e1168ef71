//! The participants of a program as a table.

use prost::Message;
use proto::training::v1::{
    Attendance, ListParticipantsRequest, ListParticipantsResponse, Participant, Registration,
    RegistrationCounts, RegistrationStatus,
};

use crate::{
    harness::{nowhere, start_gateway},
    scripted::Scripted,
};

#[tokio::test]
async fn a_table_of_participants_starts_no_formula_and_links_to_its_next_page() {
    let training = Scripted::start(|_asked| async {
        let participant = Participant {
            registration: Some(Registration { id: 3, user_id: 7, ..Registration::default() }),
            username: "ann".to_owned(),
            email: "+ann@example.com".to_owned(),
            name: "=1+1".to_owned(),
            attendance: Attendance::Present.into(),
        };
        let (participants, next_page_token) = (vec![participant], "a+b".to_owned());
        let counts = Some(RegistrationCounts { confirmed: 1, waitlisted: 2, cancelled: 3 });
        let page = ListParticipantsResponse { participants, next_page_token, counts };
        Ok(page.encode_to_vec())
    })
    .await;
    let gateway = start_gateway(nowhere().await, training.channel.clone()).await;
    let path = "/programs/5/participants?page_size=1&status=confirmed";
    let (answer, table) = gateway.get_text(path, &[("accept", "text/csv")]).await;
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8; header=present");
    let link =
        "</programs/5/participants?status=confirmed&page_size=1&page_token=a%2Bb>; rel=\"next\"";
    assert_eq!(answer.headers["link"], link);
    let row = table.lines().nth(1).expect("a row");
    assert_eq!(row, "3,7,ann,'=1+1,'+ann@example.com,unknown,,,present");
    let asked: ListParticipantsRequest = training.calls()[0].message();
    assert_eq!((asked.program_id, asked.page_size), (5, 1));
    assert_eq!(asked.status(), RegistrationStatus::Confirmed);

    let json = gateway.get(path).await.json;
    assert_eq!(json["participants"][0]["name"], "=1+1", "JSON has what there is");
    let counts = serde_json::json!({ "confirmed": 1, "waitlisted": 2, "cancelled": 3 });
    assert_eq!(json["counts"], counts);
    let refused = gateway.get("/programs/5/participants?page_size=x&status=gone").await;
    assert_eq!(refused.errors(), [["page_size", "INVALID_TYPE"], ["status", "INVALID_VALUE"]]);
}

#[tokio::test]
async fn a_table_that_no_page_is_asked_of_has_all_participants() {
    let training = Scripted::start(|asked| async move {
        let asked: ListParticipantsRequest = asked.message();
        let id = if asked.page_token.is_empty() { 1 } else { 2 };
        let registration = Some(Registration { id, user_id: 7, ..Registration::default() });
        let participants = vec![Participant { registration, ..Participant::default() }];
        let next_page_token = if id == 1 { "more".to_owned() } else { String::new() };
        let counts = Some(RegistrationCounts::default());
        let page = ListParticipantsResponse { participants, next_page_token, counts };
        Ok(page.encode_to_vec())
    })
    .await;
    let gateway = start_gateway(nowhere().await, training.channel.clone()).await;
    let path = "/programs/5/participants";
    let (answer, table) = gateway.get_text(path, &[("accept", "text/csv")]).await;
    let ids: Vec<_> = table.lines().skip(1).map(|row| row.split(',').next()).collect();
    assert_eq!((ids, answer.headers.get("link")), (vec![Some("1"), Some("2")], None));
    let asked = training.calls().into_iter().map(|call| call.message::<ListParticipantsRequest>());
    let asked: Vec<_> = asked.map(|asked| (asked.page_size, asked.page_token)).collect();
    assert_eq!(asked, [(1000, String::new()), (1000, "more".to_owned())]);

    let json = gateway.get(path).await.json;
    assert_eq!(json["next_page_token"], "more", "JSON comes by the page, and says so");
}
