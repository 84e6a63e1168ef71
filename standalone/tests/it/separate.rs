//! The three parts apart, on every database.

use proto::auth::v1::{LogoutRequest, auth_service_client::AuthServiceClient};
use service_kit::on_each_database;

use crate::{
    deployment::Deployment,
    grpc::by,
    http_client::Answer,
    journey::{log_in, register, register_for_training},
    program::{channel, eventually},
};

const SERVICE_TOKEN: &str = "service-token-of-the-tests";

/// What `pavilion` does within one process. training-service has started before auth-service, and
/// may have to wait a second until it asks for the keys again.
async fn travel(deployment: &Deployment) -> String {
    let http = deployment.http();
    register(&http).await;
    let [token, _] = log_in(&http).await;
    answer_with(deployment, &token, 200).await;
    register_for_training(&http, &token).await;
    token
}

/// Ends the session of `token`, and waits until training-service has heard of it.
async fn log_out(deployment: &Deployment, token: &str) {
    let mut auth = AuthServiceClient::new(channel(deployment.auth_address()));
    auth.logout(by(token, LogoutRequest::default())).await.expect("ended");
    let refused = answer_with(deployment, token, 401).await;
    refused.assert_refused("TOKEN_REVOKED", "Token has been revoked");
}

/// Asks for registrations until the answer has this status.
async fn answer_with(deployment: &Deployment, token: &str, status: u16) -> Answer {
    let http = deployment.http();
    eventually("an answer with another status", async || {
        Some(http.get("/registrations", token).await).filter(|answer| answer.status == status)
    })
    .await
}

/// Stops auth-service and starts it again: nobody is let in on a guess meanwhile, and afterwards
/// everything is as it was.
async fn outlive_an_outage_of_auth_service(deployment: &mut Deployment, token: &str) {
    deployment.stop_auth().await;
    let answer = answer_with(deployment, token, 503).await;
    assert_eq!(answer.json["code"], "AUTH_UNAVAILABLE", "{answer:?}");
    let pause: u64 =
        answer.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!(pause >= 1, "{answer:?}");
    deployment.wait_for_readiness(503).await;

    deployment.start_auth();
    deployment.wait_for_readiness(200).await;
    let list = answer_with(deployment, token, 200).await;
    assert_eq!(list.json.as_array().map(Vec::len), Some(1), "{list:?}");
}

on_each_database! {
    async fn the_three_parts_do_over_the_network_what_pavilion_does(database) {
        let mut deployment = Deployment::start(database, Some(SERVICE_TOKEN)).await;
        let token = travel(&deployment).await;
        outlive_an_outage_of_auth_service(&mut deployment, &token).await;
        log_in(&deployment.http()).await;
        log_out(&deployment, &token).await;
    }

    async fn without_a_service_token_training_service_asks_about_each_token(database) {
        let mut deployment = Deployment::start(database, None).await;
        let token = travel(&deployment).await;
        outlive_an_outage_of_auth_service(&mut deployment, &token).await;
        log_out(&deployment, &token).await;
    }
}
